//! How strongly the RFCs ask for something.
//!
//! The words are those of RFC 2119, and one more for what no RFC asks. A mail server's grade
//! follows from the level of what it departs from.

use crate::words::words;

words! {
    /// How strongly a claim binds a sender (RFC 2119). It decides how a foreign sender is judged
    /// that departs from it.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "UPPERCASE")]
    pub enum Level {
        /// An absolute requirement; MUST NOT, REQUIRED and SHALL are the same.
        Must = "MUST",
        /// A recommendation that may be departed from for a reason.
        Should = "SHOULD",
        /// Something that is left to the sender.
        May = "MAY",
        /// Worth knowing; nothing asks for it.
        Info = "INFO",
    }
}
