//! What the author of a message asks of those who carry it: until when it is to arrive (RFC 2852), and how much it
//! matters (RFC 6710). As values, and as a client writes them.

use std::{fmt, time::Duration};

use crate::words::words;

words! {
    /// What happens to a message that is not delivered in its time (RFC 2852 section 4).
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum ByMode {
        /// It is returned, and not tried any more.
        Return = "return",
        /// Its author is told of the delay, and it is tried as before.
        Notify = "notify",
    }
}

/// In what time a message is to be delivered (DELIVERBY, RFC 2852).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeliverBy {
    /// Counted from the moment at which the sender is given it, in whole seconds.
    pub within: Duration,
    /// What happens when that is over.
    pub mode: ByMode,
    /// Whether each relay is to be told of, too.
    pub trace: bool,
}

impl DeliverBy {
    /// The longest time that the parameter has room for: nine digits.
    pub(crate) const LONGEST: Duration = Duration::from_secs(999_999_999);

    /// Whether nothing is left of the time when so much has passed. What is left is told in whole seconds, and none are
    /// no time for a server that is to return it.
    pub(crate) fn is_over(&self, passed: Duration) -> bool {
        self.left(passed) < 1
    }

    /// Whole seconds that are left; less than nothing behind the end.
    pub(crate) fn left(&self, passed: Duration) -> i64 {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        match self.within.checked_sub(passed) {
            Some(left) => seconds(left),
            None => -seconds(passed.saturating_sub(self.within)),
        }
    }

    /// What follows the reverse-path in MAIL to a server that offers DELIVERBY, a space before it: what is left of the
    /// time (RFC 2852 section 4.1.4), and the mode.
    pub(crate) fn parameter(&self, passed: Duration) -> String {
        let mode = match self.mode {
            ByMode::Return => "R",
            ByMode::Notify => "N",
        };
        let trace = if self.trace { "T" } else { "" };
        format!(" BY={};{mode}{trace}", self.left(passed))
    }
}

/// How much a message matters: from -9 to 9, and 0 is as usual (MT-PRIORITY, RFC 6710).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Priority(i8);

impl Priority {
    /// That of a message of which nothing is said.
    pub(crate) const USUAL: Self = Self(0);
    /// The least and the most.
    pub(crate) const BOUNDS: [i64; 2] = [-9, 9];

    /// A priority; `None` where there is none of this number.
    pub fn new(level: i64) -> Option<Self> {
        let [least, most] = Self::BOUNDS;
        let level = i8::try_from(level).ok()?;
        (least..=most)
            .contains(&level.into())
            .then_some(Self(level))
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_the_time_is_told() {
        let by = |mode| DeliverBy {
            within: Duration::from_secs(120),
            mode,
            trace: mode == ByMode::Notify,
        };
        let passed = Duration::from_millis;
        assert_eq!(by(ByMode::Return).parameter(passed(0)), " BY=120;R");
        assert_eq!(by(ByMode::Return).parameter(passed(30_500)), " BY=89;R");
        assert_eq!(by(ByMode::Notify).parameter(passed(180_000)), " BY=-60;NT");
        assert!(!by(ByMode::Return).is_over(passed(119_000)));
        assert!(by(ByMode::Return).is_over(passed(119_001)));
    }

    #[test]
    fn there_are_nineteen_priorities() {
        let some = (-200..200).filter_map(Priority::new);
        assert_eq!(some.count(), 19);
    }
}
