//! When a sender is killed and started again.
//!
//! The lab only says when; whoever keeps the sender's processes kills them (`SenderContext::crash_is_due`).

use std::fmt;

use crate::{
    fault::{Host, Stage},
    time::Moment,
};

/// The moment of a crash: all processes of the sender are killed then, and it is started again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crash {
    /// A moment of the drill.
    At(Moment),
    /// When a receiver sees the command of a stage for the first time.
    After {
        /// One of [`Crash::STAGES`].
        stage: Stage,
        /// The receiver; `None`: any.
        host: Option<Host>,
    },
}

impl Crash {
    /// The stages that begin with something the sender sends, so that it is known to be there.
    pub const STAGES: [Stage; 9] = [
        Stage::Helo,
        Stage::Starttls,
        Stage::Auth,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Content,
        Stage::Dot,
        Stage::Quit,
    ];
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {at}"),
            Self::After { stage, host: None } => write!(f, "after {stage}"),
            Self::After {
                stage,
                host: Some(host),
            } => write!(f, "after {stage} at {host}"),
        }
    }
}
