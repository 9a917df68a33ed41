//! The report for programs: JSON lines, each event of each drill, then its verdict.
//!
//! It is a recording (`mxdrill::recording`) of each drill, with lines about those that were not
//! played and a sum at the end. `mxdrill judge` reads it again.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{DrillEnd, DrillReport, Report, RunCounts};
use mxdrill::{
    diagnostic::{Mistake, Mistakes},
    recording,
};

/// Writes JSON lines. Nothing in them depends on real time, so that a seed gives the same octets.
pub(crate) struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// A report to a writer.
    pub(crate) fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        recording::write_line(&mut self.out, value)
    }
}

impl<W: Write> Report for Json<W> {
    fn played(&mut self, played: &DrillReport) -> io::Result<()> {
        let scenario = &played.scenario.path;
        match &played.end {
            DrillEnd::Ran(run) => recording::write(&mut self.out, &played.scenario, run),
            DrillEnd::Skipped(reason) => {
                self.line(&json!({ "event": "skipped", "scenario": scenario, "reason": reason }))
            }
            DrillEnd::Broken(reason) => {
                self.line(&json!({ "event": "broken", "scenario": scenario, "reason": reason }))
            }
        }
    }

    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()> {
        for Mistake {
            path,
            line,
            column,
            message,
        } in &mistakes.0
        {
            self.line(&json!({ "event": "mistake", "scenario": path, "line": line, "column": column, "message": message }))?;
        }
        Ok(())
    }

    fn finished(&mut self, tally: RunCounts, _: Duration) -> io::Result<()> {
        let RunCounts {
            passed,
            failed,
            known,
            skipped,
            broken,
        } = tally;
        self.line(&json!({ "event": "summary", "passed": passed, "failed": failed, "known": known, "skipped": skipped, "broken": broken }))
    }
}
