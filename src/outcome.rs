//! What a message and an attempt come to.
//!
//! Both are words of the scenario format, and both are read off the log: the outcome from what
//! receivers accepted and senders said, the result from how a session ended.

use std::fmt;

use crate::words::words;

words! {
    /// What becomes of a message, or of one recipient's copy of it.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Outcome {
        /// A receiver accepted it.
        Delivered = "delivered",
        /// It is still queued, as far as is known.
        Deferred = "deferred",
        /// It was given up, and its sender is to be told.
        Bounced = "bounced",
    }
}

words! {
    /// How an attempt ended, as far as the lab saw.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    #[non_exhaustive]
    pub enum AttemptResult {
        /// The receiver accepted the message.
        Accepted = "accepted",
        /// The connection was refused (RST to the SYN).
        Refused = "refused",
        /// No answer in time: to the connection, or at a stage of the session.
        Timeout = "timeout",
        /// The connection ended with an RST.
        Reset = "reset",
        /// The connection ended in order, too early for the message.
        Closed = "closed",
        /// The receiver sent what is no reply.
        Garbage = "garbage",
        /// No host has that address.
        Unreachable = "unreachable",
        /// TLS failed, or the certificate did not satisfy the client.
        Tls = "tls",
        /// The client needed TLS and could not have it, and left.
        Insecure = "insecure",
        /// The receiver does not offer what the message needs, and the client left.
        Unsupported = "unsupported",
        ;
        /// A negative reply of this code, 400 to 599.
        Code(u16),
    }
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.pad(&code.to_string()),
            other => f.pad(other.fixed_word().unwrap_or_default()),
        }
    }
}

impl serde::Serialize for AttemptResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
