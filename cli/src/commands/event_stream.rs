//! The log of a running lab, a line for each event.

use std::io::{self, Write};

use super::LogFormat;
use mxdrill::{
    event::Event,
    visible::{visible, visible_json},
};

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
