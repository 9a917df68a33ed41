//! The log of a running lab, a line for each event, as it happens.

use std::io::{self, Write};

use super::LogFormat;
use crate::lab::Lab;

/// Who reads the log of a lab, and how far.
pub(super) struct Follower {
    format: LogFormat,
    seen: usize,
}

impl Follower {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, seen: 0 }
    }

    /// Writes events down as they happen, for as long as `out` can be written to.
    pub(super) async fn follow(&mut self, lab: &Lab, mut out: impl Write) -> io::Result<()> {
        loop {
            lab.past(self.seen).await;
            self.catch_up(lab, &mut out)?;
        }
    }

    /// Writes down what happened since, all of it at once.
    pub(super) fn catch_up(&mut self, lab: &Lab, out: &mut impl Write) -> io::Result<()> {
        let mut lines = Vec::new();
        lab.site().log.read_since(self.seen, |events| {
            self.seen += events.len();
            events.iter().try_for_each(|event| match self.format {
                LogFormat::Json => {
                    serde_json::to_writer(&mut lines, event).map_err(io::Error::other)?;
                    writeln!(lines)
                }
                LogFormat::Text => writeln!(lines, "{}", event.line()),
            })
        })?;
        out.write_all(&lines)?;
        out.flush()
    }
}
