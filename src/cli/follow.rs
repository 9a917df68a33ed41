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

    /// Writes events down as they happen, to what `out` opens, for as long as that can be written to.
    pub(super) async fn follow<W: Write>(
        &mut self,
        lab: &Lab,
        out: impl Fn() -> W,
    ) -> io::Result<()> {
        loop {
            lab.past(self.seen).await;
            self.catch_up(lab, out())?;
        }
    }

    /// Writes down what happened since.
    pub(super) fn catch_up(&mut self, lab: &Lab, mut out: impl Write) -> io::Result<()> {
        for event in lab.events_since(self.seen) {
            self.seen += 1;
            match self.format {
                LogFormat::Json => {
                    let event = serde_json::to_string(&event).map_err(io::Error::other)?;
                    writeln!(out, "{event}")?;
                }
                LogFormat::Text => writeln!(out, "{}", event.line())?,
            }
        }
        out.flush()
    }
}
