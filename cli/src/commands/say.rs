//! Lines to the terminal that fail as other output does: with a reason, and without a panic.

use std::{
    fmt::Display,
    io::{self, Write},
};

use mxdrill::visible::visible;

/// Says a line on standard output.
///
/// # Errors
/// That it cannot be written to.
pub(crate) fn out(line: impl Display) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{}", visible(&line.to_string()))?;
    out.flush()
}

/// Says a line on standard error; where that cannot be written to, nobody is left to be told.
pub(crate) fn err(line: impl Display) {
    let line = line.to_string();
    writeln!(anstream::stderr().lock(), "{}", visible(&line)).ok();
}
