//! What a message and an attempt come to.
//!
//! Both are words of the scenario format, and both are read off the log: the outcome from what
//! receivers accepted and senders said, the result from how a session ended.

use std::fmt;

/// What becomes of a message, or of one recipient's copy of it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A receiver accepted it.
    Delivered,
    /// It is still queued, as far as is known.
    Deferred,
    /// It was given up, and its sender is to be told.
    Bounced,
}

impl Outcome {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("delivered", Self::Delivered),
        ("deferred", Self::Deferred),
        ("bounced", Self::Bounced),
    ];
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS
            .iter()
            .find(|(_, outcome)| outcome == self)
            .expect("every outcome has a word")
            .0;
        f.pad(word)
    }
}

/// How an attempt ended, as far as the lab saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptResult {
    /// The receiver accepted the message.
    Accepted,
    /// The connection was refused (RST to the SYN).
    Refused,
    /// No answer in time: to the connection, or at a stage of the session.
    Timeout,
    /// The connection ended with an RST.
    Reset,
    /// The connection ended in order, too early for the message.
    Closed,
    /// The receiver sent what is no reply.
    Garbage,
    /// No host has that address.
    Unreachable,
    /// TLS failed, or the certificate did not satisfy the client.
    Tls,
    /// The client needed TLS and could not have it, and left.
    Insecure,
    /// A negative reply of this code, 400 to 599.
    Code(u16),
}

impl AttemptResult {
    pub(crate) const WORDS: [(&'static str, Self); 9] = [
        ("accepted", Self::Accepted),
        ("refused", Self::Refused),
        ("timeout", Self::Timeout),
        ("reset", Self::Reset),
        ("closed", Self::Closed),
        ("garbage", Self::Garbage),
        ("unreachable", Self::Unreachable),
        ("tls", Self::Tls),
        ("insecure", Self::Insecure),
    ];
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.pad(&code.to_string()),
            other => f.pad(
                Self::WORDS
                    .iter()
                    .find(|(_, result)| result == other)
                    .expect("every result has a word")
                    .0,
            ),
        }
    }
}

impl serde::Serialize for AttemptResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
