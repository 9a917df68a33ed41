//! A rule that a sender broke in a drill.

use serde::{Deserialize, Serialize};

use mxdrill::{level::Level, verdict::Finding as Judged};

/// A rule that a drill broke, with what shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BrokenRule {
    pub(super) rule: String,
    pub(super) level: Level,
    pub(super) cites: Vec<String>,
    pub(super) expected: Vec<String>,
    pub(super) observed: Vec<String>,
}

impl BrokenRule {
    /// That of a verdict's finding; `None` if it is about an expectation, or about what nothing asks for.
    pub(super) fn of(finding: Judged) -> Option<Self> {
        Some(Self {
            rule: finding.rule?.to_owned(),
            level: finding.level,
            cites: finding.cites,
            expected: finding.expected,
            observed: finding.observed,
        })
        .filter(Self::is_asked_for)
    }

    /// Whether an RFC asks for it: what is left to a sender, or only worth knowing, is not held against it.
    pub(super) fn is_asked_for(&self) -> bool {
        matches!(self.level, Level::Must | Level::Should)
    }
}
