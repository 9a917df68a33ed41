//! The report for CI systems: JUnit XML, a test suite for each folder of drills.
//!
//! The document is written at the end, since a suite begins with its counts. A drill that broke off
//! is an error there, one that failed a failure, and one that is known to fail is skipped.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::Path,
    time::Duration,
};

use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};

use super::{DrillEnd, DrillReport, Report, RunCounts, first_findings, text::asked_by};
use mxdrill::{diagnostic::Mistakes, verdict::Finding, visible::visible};

/// Writes JUnit XML once all drills came to their end.
pub(crate) struct Junit<W> {
    out: W,
    suites: Vec<(String, TestSuite)>,
}

impl<W: Write> Junit<W> {
    /// A report to a writer.
    pub(crate) fn new(out: W) -> Self {
        Self {
            out,
            suites: Vec::new(),
        }
    }
}

// Suites in the order in which their folders come.
impl<W> Junit<W> {
    fn add(&mut self, folder: String, case: TestCase) {
        match self.suites.iter_mut().find(|(name, _)| *name == folder) {
            Some((_, suite)) => drop(suite.add_test_case(case)),
            None => {
                let mut suite = TestSuite::new(folder.clone());
                suite.add_test_case(case);
                self.suites.push((folder, suite));
            }
        }
    }
}

impl<W> Junit<W> {
    /// The whole document; nothing is left to be told.
    fn document(&mut self, time: Duration) -> io::Result<String> {
        let mut document = Document::new("mxdrill");
        document.set_time(time);
        let suites = std::mem::take(&mut self.suites).into_iter();
        document.add_test_suites(suites.map(|(_, suite)| suite));
        document.to_string().map_err(io::Error::other)
    }
}

/// The folder of a file, as the name of a suite.
fn folder_of(path: &str) -> String {
    let folder = Path::new(path)
        .parent()
        .map(|folder| folder.display().to_string());
    folder
        .filter(|folder| !folder.is_empty())
        .unwrap_or_else(|| ".".to_owned())
}

impl<W: Write> Report for Junit<W> {
    fn played(&mut self, played: &DrillReport) -> io::Result<()> {
        let folder = folder_of(&played.scenario.path);
        let status = match (&played.end, &played.known) {
            (DrillEnd::Ran(run), _) if run.verdict.passed() => TestCaseStatus::success(),
            (DrillEnd::Ran(_), Some(reason)) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(format!("known: {reason}"));
                status
            }
            (DrillEnd::Ran(run), None) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                let (findings, more) = first_findings(&run.verdict);
                let texts: Vec<String> = findings.iter().map(text).chain(more).collect();
                status
                    .set_message(played.scenario.summary.clone())
                    .set_description(texts.join("\n"));
                status
            }
            (DrillEnd::Skipped(reason), _) => {
                let mut status = TestCaseStatus::skipped();
                status.set_message(reason.clone());
                status
            }
            (DrillEnd::Broken(reason), _) => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status.set_message(reason.clone());
                status
            }
        };
        let mut case = TestCase::new(played.scenario.name.clone(), status);
        case.set_classname(folder.clone()).set_time(played.elapsed);
        self.add(folder, case);
        Ok(())
    }

    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()> {
        let path = mistakes.0.first().map_or("", |mistake| &mistake.path);
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status
            .set_message("no valid scenario")
            .set_description(mistakes.to_string());
        let folder = folder_of(path);
        let name = Path::new(path)
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned());
        let mut case = TestCase::new(name.unwrap_or_default(), status);
        case.set_classname(folder.clone());
        self.add(folder, case);
        Ok(())
    }

    fn finished(&mut self, _: RunCounts, elapsed: Duration) -> io::Result<()> {
        // Written apart from being made, so that what keeps it from being written is told as it is.
        let text = self.document(elapsed)?;
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }
}

/// One report of several, each with where it comes from, and the counts of them all: suites of one name are one.
///
/// # Errors
/// A text that is no such report, or a drill that is in two of them.
pub(crate) fn merged_junit(parts: &[(String, String)]) -> io::Result<(String, RunCounts)> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidData, text);
    let mut whole = Junit::new(io::sink());
    let mut time = Duration::ZERO;
    let mut seen = BTreeMap::new();
    for (path, text) in parts {
        let document = Document::deserialize_from_str(text).map_err(|error| {
            invalid(format!(
                "{path}: {error}, expected what `mxdrill run --format junit` prints"
            ))
        })?;
        time += document.time.unwrap_or_default();
        for suite in document.test_suites {
            for case in suite.test_cases {
                let name = format!("{}/{}", suite.name.as_str(), case.name.as_str());
                if let Some(other) = seen.insert(name.clone(), path) {
                    return Err(invalid(format!(
                        "{path}: found {name}, which {other} has too, expected it once"
                    )));
                }
                whole.add(suite.name.as_str().to_owned(), case);
            }
        }
    }
    let mut counts = RunCounts::default();
    for case in whole.suites.iter().flat_map(|(_, suite)| &suite.test_cases) {
        match &case.status {
            TestCaseStatus::Success { .. } => counts.passed += 1,
            TestCaseStatus::Skipped { .. } => counts.skipped += 1,
            TestCaseStatus::NonSuccess { kind, .. } => match kind {
                NonSuccessKind::Failure => counts.failed += 1,
                NonSuccessKind::Error => counts.broken += 1,
            },
        }
    }
    // In the order in which folders are read, and drills in them.
    whole
        .suites
        .sort_by(|(one, _), (other, _)| Path::new(one).cmp(Path::new(other)));
    for (_, suite) in &mut whole.suites {
        suite
            .test_cases
            .sort_by(|one, other| one.name.as_str().cmp(other.name.as_str()));
    }
    Ok((whole.document(time)?, counts))
}

/// A finding as text, in as many lines as it needs.
pub(super) fn text(finding: &Finding) -> String {
    let rule = finding
        .rule
        .map_or(String::new(), |rule| format!("rule {rule}: "));
    let because: Vec<String> = finding
        .because
        .iter()
        .map(|line| format!("\n  what led there: {line}"))
        .collect();
    let text = format!(
        "{rule}{}\n  expected: {}\n  observed: {}{}\n  {}",
        finding.claim,
        finding.expected.join("; "),
        finding.observed.join("; "),
        because.concat(),
        asked_by(finding),
    );
    visible(&text).into_owned()
}
