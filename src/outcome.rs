//! What a message and an attempt come to.

use std::fmt;

/// What a message comes to.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// An exchanger took it.
    Delivered,
    /// It is still queued.
    Deferred,
    /// It was given up and returned.
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

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptResult {
    /// The receiver took the message.
    Accepted,
    /// The connection was refused.
    Refused,
    /// No answer in time.
    Timeout,
    /// The connection ended with an RST.
    Reset,
    /// The connection ended in order, too early.
    Closed,
    /// Something that is no reply.
    Garbage,
    /// No host has that address.
    Unreachable,
    /// TLS failed, or the certificate did not satisfy the sender.
    Tls,
    /// TLS was needed and not to be had.
    Insecure,
    /// This reply code.
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
