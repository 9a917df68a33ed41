//! A mail server as results speak of it: which it is, where it came from, and what in its configuration decides.

use serde::{Deserialize, Serialize};

/// A mail server that was played with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PlayedServer {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) home: String,
    /// The version, in its own words; empty as long as no run had it.
    pub(crate) version: String,
    /// The packages that it was unpacked from, with their versions.
    pub(crate) packages: Vec<String>,
    /// What in its configuration decides, a line each.
    pub(crate) settings: Vec<String>,
}
