//! What came of a stretch of virtual time.

use std::{fmt, time::Duration};

use mxdrill::time::HumanDuration;

/// What came of a stretch of virtual time.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// How much time passed on the clock.
    pub(crate) virtually: Duration,
    /// How much it took.
    pub(crate) really: Duration,
    /// How often time was moved.
    pub(crate) leaps: u64,
    /// How often octets under way held it up.
    pub(crate) held: u64,
    /// Calls that were answered.
    pub(crate) calls: u64,
    /// Whether time ran by itself for a while, because something computed for long and not only to pass it.
    pub(crate) ran_along: bool,
    /// What is not exact about it, and what was refused.
    pub(super) notes: Vec<String>,
}

impl Passed {
    /// What is not exact about it, a sentence each.
    pub(crate) fn notes(self) -> Vec<String> {
        self.notes
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (virtually, really) = (HumanDuration(self.virtually), self.really.as_secs_f64());
        let (leaps, held) = (self.leaps, self.held);
        write!(
            f,
            "{virtually} of virtual time in {really:.2} s: {leaps} leaps, held {held} times for octets under way"
        )
    }
}
