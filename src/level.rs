//! How strongly the RFCs ask for something.

use std::fmt;

/// How strongly a claim binds a sender (RFC 2119), which decides how a foreign one is judged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A requirement.
    Must,
    /// A recommendation.
    Should,
    /// An option.
    May,
    /// Reported, never failed.
    Info,
}

impl Level {
    /// Every level and its word.
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
