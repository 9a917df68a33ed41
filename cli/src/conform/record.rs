//! What came of a drill: what comes back from the process that played it.

use serde::{Deserialize, Serialize};

use super::run_error::RunError;

/// What came of a drill, as it comes back from the process that played it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// The version that the server printed; empty if it said none.
    pub(crate) version: String,
    /// Why the drill did not come to its end; `None` if it did. What was found then means nothing.
    pub(crate) trouble: Option<String>,
    /// Whether that is the machine, which had too much else to do: another time may tell more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) too_busy: bool,
    /// What is wrong.
    pub(crate) findings: Vec<RunError>,
    /// What is worth knowing and no failure.
    pub(crate) notes: Vec<String>,
    /// What of the server the drill has set, and of which its result therefore says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) set: Vec<String>,
    /// How much time passed, and how; empty where it was real.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) clock: String,
    /// What became of each message, a line each.
    pub(crate) endings: Vec<String>,
    /// Every attempt, a line each.
    pub(crate) attempts: Vec<String>,
    /// Of the reference sender, in what its drill differs from the same one on the memory network, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) differences: Vec<String>,
    /// How many messages were sent; of a sample, fewer than the scenario has.
    pub(crate) sampled: usize,
    /// How many first attempts each host of a share had, in the order of the shares.
    pub(crate) counts: Vec<usize>,
    /// The drill written down, for `mxdrill judge`: JSON lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) recording: String,
    /// The lab's log, a line for each event.
    pub(crate) log: Vec<String>,
    /// The notifications that came back, the beginning of each.
    pub(crate) returned: Vec<String>,
    /// What the server wrote to its log.
    pub(crate) syslog: String,
    /// What its scripts and daemons printed.
    pub(crate) said: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}
