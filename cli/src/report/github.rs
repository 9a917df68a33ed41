//! Workflow commands of GitHub Actions, which shows them at the lines of the files that they name.

use std::{
    io::{self, Write},
    time::Duration,
};

use super::{DrillEnd, DrillReport, Report, RunCounts, first_findings, junit, text};
use mxdrill::diagnostic::Mistakes;

/// How grave an annotation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Annotation {
    Error,
    Warning,
    Notice,
}

/// Writes one annotation: its place is a path and a line, from 1.
pub(super) fn annotate(
    out: &mut impl Write,
    kind: Annotation,
    place: Option<(&str, usize)>,
    title: &str,
    message: &str,
) -> io::Result<()> {
    // What has a meaning in a command is escaped.
    let escaped = |text: &str| {
        let text = text.replace('%', "%25").replace('\r', "%0D");
        text.replace('\n', "%0A")
    };
    // In a property, `:` and `,` end the value, too.
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let command = match kind {
        Annotation::Error => "error",
        Annotation::Warning => "warning",
        Annotation::Notice => "notice",
    };
    let place = place.map_or(String::new(), |(path, line)| {
        format!("file={},line={line},", property(path))
    });
    let (title, message) = (property(title), escaped(message));
    writeln!(out, "::{command} {place}title={title}::{message}")
}

/// An annotation for each drill that failed or was not played, and a line with the sum.
pub(crate) struct GithubReport<W> {
    out: W,
}

impl<W: Write> GithubReport<W> {
    /// A report to a writer.
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }
}

impl<W: Write> Report for GithubReport<W> {
    fn played(&mut self, played: &DrillReport) -> io::Result<()> {
        // A drill fails as a whole: its file is named, and no line of it.
        let place = Some((&*played.scenario.path, 1));
        let summary = &played.scenario.summary;
        match (&played.end, &played.known) {
            (DrillEnd::Ran(run), _) if run.verdict.passed() => Ok(()),
            (DrillEnd::Ran(_), Some(reason)) => {
                let title = format!("known: {summary}");
                annotate(&mut self.out, Annotation::Notice, place, &title, reason)
            }
            (DrillEnd::Ran(run), None) => {
                let (findings, more) = first_findings(&run.verdict);
                let again = format!("again: {}", played.again);
                let lines = findings.iter().map(junit::text).chain(more).chain([again]);
                let message = lines.collect::<Vec<_>>().join("\n");
                annotate(&mut self.out, Annotation::Error, place, summary, &message)
            }
            (DrillEnd::Skipped(why), _) => {
                annotate(&mut self.out, Annotation::Notice, place, "skipped", why)
            }
            (DrillEnd::Broken(why), _) => {
                annotate(&mut self.out, Annotation::Error, place, "broke off", why)
            }
        }
    }

    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()> {
        let title = "no valid scenario";
        mistakes.0.iter().try_for_each(|mistake| {
            let place = Some((&*mistake.path, mistake.line));
            let message = &mistake.message;
            annotate(&mut self.out, Annotation::Error, place, title, message)
        })
    }

    fn finished(&mut self, tally: RunCounts, elapsed: Duration) -> io::Result<()> {
        writeln!(self.out, "{}", text::sum(tally, elapsed))?;
        self.out.flush()
    }
}
