//! Where there is no virtual time: it knows the system calls of x86-64.

use std::{convert::Infallible, ffi::OsString, fmt, io};

use mxdrill::lab::SharedTime;

/// What came of a stretch of virtual time: nothing does.
pub(crate) struct Passed {
    never: Infallible,
    pub(crate) ran_along: bool,
}

/// The clock of a command, which cannot be had.
pub(crate) struct Clock(Infallible);

/// What is said instead.
const ABSENT: &str = "virtual time needs Linux on x86-64";

impl Clock {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::Error::new(io::ErrorKind::Unsupported, ABSENT))
    }

    pub(crate) fn time(&self) -> SharedTime {
        match self.0 {}
    }

    pub(crate) fn command(&self, _: &[OsString]) -> Vec<OsString> {
        match self.0 {}
    }

    pub(crate) fn begin(&self) {
        match self.0 {}
    }

    pub(crate) fn complete(&mut self) {
        match self.0 {}
    }

    pub(crate) fn stop(self) -> io::Result<Passed> {
        match self.0 {}
    }
}

impl Passed {
    pub(crate) fn notes(self) -> Vec<String> {
        match self.never {}
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.never {}
    }
}

pub(crate) fn begin(_: i32, _: &[OsString]) -> io::Result<Infallible> {
    Err(io::Error::new(io::ErrorKind::Unsupported, ABSENT))
}
