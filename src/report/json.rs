//! The report for programs: JSON lines, each event of each drill, then its verdict.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{End, Played, Report, Tally};
use crate::{
    scenario::{Mistake, Mistakes},
    verdict::Finding,
};

/// Writes JSON lines. Nothing in them depends on real time, so that a seed gives the same octets.
pub struct Json<W> {
    out: W,
}

impl<W: Write> Json<W> {
    /// A report to a writer.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

impl<W: Write> Report for Json<W> {
    fn played(&mut self, played: &Played) -> io::Result<()> {
        let scenario = &played.scenario.path;
        let verdict = match &played.end {
            End::Ran(run) => {
                for event in &run.events {
                    let mut value = serde_json::to_value(event).map_err(io::Error::other)?;
                    value["scenario"] = json!(scenario);
                    self.line(&value)?;
                }
                let findings: Vec<Value> = run.verdict.findings.iter().map(finding).collect();
                json!({
                    "event": "verdict",
                    "scenario": scenario,
                    "summary": played.scenario.summary,
                    "level": played.scenario.level,
                    "cites": played.scenario.cites,
                    "seed": run.seed,
                    "at": run.took,
                    "passed": run.verdict.passed(),
                    "outcomes": run.verdict.outcomes,
                    "attempts": run.verdict.attempts,
                    "findings": findings,
                    "notes": run.verdict.notes,
                })
            }
            End::Skipped(reason) => {
                json!({ "event": "skipped", "scenario": scenario, "reason": reason })
            }
            End::Broken(reason) => {
                json!({ "event": "broken", "scenario": scenario, "reason": reason })
            }
        };
        self.line(&verdict)
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

    fn finished(&mut self, tally: Tally, _: Duration) -> io::Result<()> {
        let Tally {
            passed,
            failed,
            skipped,
            broken,
        } = tally;
        self.line(&json!({ "event": "summary", "passed": passed, "failed": failed, "skipped": skipped, "broken": broken }))
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "claim": finding.claim,
        "rule": finding.rule,
        "cites": finding.cites,
        "expected": finding.expected,
        "observed": finding.observed,
    })
}
