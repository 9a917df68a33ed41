//! What people and programs read of a run: text, JSON lines, JUnit XML, annotations. It sees verdicts and logs only.
//!
//! A report is a sink: it gets each drill as it ends, and the whole at last, so that a run
//! of many drills is written as it goes. What each format has is in a file of its own; `matrix` is
//! about mail servers, `findings` is about lint, and a `sheet` is a table with what is said around it. Pages for a
//! browser (`page`) have drills (`timeline`), a domain with its route (`domain_page`, `route_drawing`), or outages with what
//! they take with them (`fate_bars`).
//!
//! Texts of others (replies, records, what programs print) are made visible before they reach a
//! terminal or a page.

pub(crate) mod domain_page;
pub(crate) mod fate_bars;
mod findings;
mod github;
pub(crate) mod json;
mod junit;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod matrix;
pub(crate) mod page;
mod quiet;
mod route_drawing;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod schedules;
pub(crate) mod sheet;
pub(crate) mod table;
mod text;
mod timeline;

use std::{io, sync::Arc, time::Duration};

pub(crate) use self::{
    findings::Linted,
    timeline::{Shown, TimelineLog, TimelinePage, TimelineSection, key},
};
pub(crate) use self::{
    github::GithubReport,
    json::Json,
    junit::{Junit, merged_junit},
    quiet::Quiet,
    text::{Style, TextReport},
};
use mxdrill::{
    diagnostic::Mistakes,
    drill::Run,
    scenario::Scenario,
    verdict::{Finding, Verdict},
};

/// Findings of one drill that people are told; programs that read JSON get all.
const MOST_FINDINGS: usize = 20;

/// The findings that people are told, and a line about those beyond.
fn first_findings(verdict: &Verdict) -> (&[Finding], Option<String>) {
    let all = &verdict.findings;
    let first = &all[..all.len().min(MOST_FINDINGS)];
    let more = all.len() - first.len();
    let line = format!("and {more} findings more: --format json has them");
    (first, (more > 0).then_some(line))
}

/// A drill that was to be played, and how it ended.
#[derive(Debug)]
pub(crate) struct DrillReport {
    /// The drill.
    pub(crate) scenario: Arc<Scenario>,
    /// How it ended.
    pub(crate) end: DrillEnd,
    /// How long it took in real time.
    pub(crate) elapsed: Duration,
    /// The command line that plays it again, quoted for a shell.
    pub(crate) again: String,
    /// Why its failure is accepted, if a baseline lists it.
    pub(crate) known: Option<String>,
}

/// How a drill ended that was to be played.
#[derive(Debug)]
pub(crate) enum DrillEnd {
    /// It was played, and judged.
    Ran(Box<Run>),
    /// It could not be played here, for this reason.
    Skipped(String),
    /// It broke off, for this reason: nothing is known of the claim.
    Broken(String),
}

/// How many drills ended how: the last line of a report, and the exit status.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct RunCounts {
    /// Played, and nothing is wrong.
    pub(crate) passed: usize,
    /// Played, and something is wrong.
    pub(crate) failed: usize,
    /// Played, and something is wrong that is expected to be.
    pub(crate) known: usize,
    /// Could not be played here.
    pub(crate) skipped: usize,
    /// Broke off, or could not be read.
    pub(crate) broken: usize,
}

impl RunCounts {
    /// Counts an end.
    pub(crate) fn count(&mut self, played: &DrillReport) {
        match &played.end {
            DrillEnd::Ran(run) if run.verdict.passed() => self.passed += 1,
            DrillEnd::Ran(_) if played.known.is_some() => self.known += 1,
            DrillEnd::Ran(_) => self.failed += 1,
            DrillEnd::Skipped(_) => self.skipped += 1,
            DrillEnd::Broken(_) => self.broken += 1,
        }
    }
}

/// Writes a run down, drill by drill.
pub(crate) trait Report {
    /// A drill came to its end.
    ///
    /// # Errors
    /// When it cannot be written.
    fn played(&mut self, played: &DrillReport) -> io::Result<()>;

    /// A file could not be read as a scenario.
    ///
    /// # Errors
    /// When it cannot be written.
    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()>;

    /// All drills have ended.
    ///
    /// # Errors
    /// When it cannot be written.
    fn finished(&mut self, tally: RunCounts, elapsed: Duration) -> io::Result<()>;
}
