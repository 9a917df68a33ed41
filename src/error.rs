//! What can go wrong for a user of a lab or a drill.

use std::{fmt, io, time::Duration};

use crate::diagnostic::{Invalid, Mistakes};

/// Why a lab could not be started or used, or a drill not be played.
///
/// A drill that was played and failed is no error: its [`Verdict`](crate::Verdict) says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Records or a scenario have mistakes.
    #[error("{0}")]
    Mistakes(#[from] Mistakes),
    /// A value cannot be used, such as a host that the lab does not have.
    #[error("{0}")]
    Invalid(#[from] Invalid),
    /// Sockets, threads or files cannot be had.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// What was waited for did not happen.
    #[error("{0}")]
    NotSeen(NotSeen),
    /// The lab has ended, or the runtime that it was on.
    #[error(
        "the lab has ended: a lab on the memory network lives as long as the runtime on which it was started"
    )]
    Ended,
    /// The drill went on for too long and was broken off.
    #[error("the drill did not end within {0}")]
    BrokenOff(String),
    /// The lab itself failed, so that what it saw cannot be relied on.
    #[error("could not be judged: {0}")]
    LabFailed(String),
    /// The drill failed while the machine was too busy for real time; another try may fare better.
    #[error("{0}")]
    TooSlow(#[from] TooSlow),
    /// There is nothing to rehearse, or too much.
    #[error("{0}")]
    NothingToRehearse(String),
}

impl Error {
    /// Whether it is the machine that was too slow; another try may fare better.
    pub fn is_too_slow(&self) -> bool {
        matches!(self, Self::TooSlow(_))
    }
}

/// As an error of input and output, for functions that have no other.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            Error::Mistakes(_) | Error::Invalid(_) => Self::new(io::ErrorKind::InvalidInput, error),
            Error::NotSeen(_) | Error::BrokenOff(_) => Self::new(io::ErrorKind::TimedOut, error),
            _ => Self::other(error),
        }
    }
}

/// That a drill failed while its lab was held up: whose fault that is cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "could not be judged: this machine is too busy for real time, the lab was held up for {0:.1?} in all"
)]
pub struct TooSlow(pub Duration);

/// What was waited for in vain, and what the lab saw instead.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotSeen {
    /// What was waited for: `a message for alice@example.test`.
    pub what: String,
    /// For how long, by the lab's clock.
    pub waited: Duration,
    /// What the lab saw, a line each: where it can be reached, the last of what happened, the sessions that are
    /// still open.
    pub seen: Vec<String>,
}

impl fmt::Display for NotSeen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} did not come within {:?}", self.what, self.waited)?;
        self.seen
            .iter()
            .try_for_each(|line| write!(f, "\n  {line}"))
    }
}
