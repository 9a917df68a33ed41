//! The log of a running lab, a line for each event, as it happens.

use std::io::{self, Write};

use super::LogFormat;
use mxdrill::{
    event::Event,
    lab::Lab,
    visible::{visible, visible_json},
};

/// Who reads the log of a lab, and how far.
#[derive(Default)]
pub(crate) struct Follower {
    seen: usize,
}

/// Writes events down, all of them at once.
pub(crate) fn write(events: &[Event], format: LogFormat, out: &mut impl Write) -> io::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        match format {
            LogFormat::Json => {
                let json = serde_json::to_string(event).map_err(io::Error::other)?;
                writeln!(lines, "{}", visible_json(&json))?;
            }
            // A line of log is one line, whatever a client says.
            LogFormat::Text => writeln!(lines, "{}", visible(&event.line().replace('\n', "\\n")))?,
        }
    }
    out.write_all(&lines)?;
    out.flush()
}

impl Follower {
    /// Writes events down as they happen, for as long as `out` can be written to.
    pub(crate) async fn follow(&mut self, lab: &Lab, mut out: impl Write) -> io::Result<()> {
        loop {
            lab.past(self.seen).await;
            self.catch_up(lab, &mut out)?;
        }
    }

    /// Writes down what happened since.
    pub(crate) fn catch_up(&mut self, lab: &Lab, out: &mut impl Write) -> io::Result<()> {
        let events = lab.events_since(self.seen);
        self.seen += events.len();
        write(&events, LogFormat::Text, out)
    }
}
