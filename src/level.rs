//! How strongly the RFCs ask for something.
//!
//! The words are those of RFC 2119, and one more for what no RFC asks. A mail server's grade
//! follows from the level of what it departs from.

use std::fmt;

/// How strongly a claim binds a sender (RFC 2119). It decides how a foreign sender is judged
/// that departs from it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// An absolute requirement.
    Must,
    /// A recommendation that may be departed from for a reason.
    Should,
    /// Something that is left to the sender.
    May,
    /// Worth knowing; nothing asks for it.
    Info,
}

impl Level {
    /// Every level with its word, as scenarios and reports have it.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("MUST", Self::Must),
        ("SHOULD", Self::Should),
        ("MAY", Self::May),
        ("INFO", Self::Info),
    ];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS
            .iter()
            .find(|(_, level)| level == self)
            .expect("every level has a word")
            .0;
        f.pad(word)
    }
}
