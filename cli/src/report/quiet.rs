//! A report that says nothing of what is well.

use std::{io, time::Duration};

use super::{DrillEnd, DrillReport, Report, RunCounts};
use mxdrill::diagnostic::Mistakes;

/// Hands on what is wrong and not known to be, and the end only if something was.
pub(crate) struct Quiet(pub(crate) Box<dyn Report>);

impl Report for Quiet {
    fn played(&mut self, played: &DrillReport) -> io::Result<()> {
        let is_wrong = match &played.end {
            DrillEnd::Ran(run) => !run.verdict.passed() && played.known.is_none(),
            DrillEnd::Skipped(_) => false,
            DrillEnd::Broken(_) => true,
        };
        match is_wrong {
            true => self.0.played(played),
            false => Ok(()),
        }
    }

    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()> {
        self.0.unreadable(mistakes)
    }

    fn finished(&mut self, tally: RunCounts, elapsed: Duration) -> io::Result<()> {
        match tally.failed + tally.broken {
            0 => Ok(()),
            _ => self.0.finished(tally, elapsed),
        }
    }
}
