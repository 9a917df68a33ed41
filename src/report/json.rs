//! The report for programs: JSON lines, each event of each drill, then its verdict.

use std::{
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{End, Played, Report, Tally};
use crate::{
    drill::Run,
    event::Event,
    scenario::{Mistake, Mistakes, Scenario},
    verdict::{Finding, Witness},
    visible::visible_json,
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

    /// The events of a drill that ran, and the verdict on it.
    pub(crate) fn ran(&mut self, scenario: &Scenario, run: &Run) -> io::Result<()> {
        for event in &run.events {
            self::event(&mut self.out, scenario, event)?;
        }
        self.line(&verdict(scenario, run))
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        line(&mut self.out, value)
    }
}

impl<W: Write> Report for Json<W> {
    fn played(&mut self, played: &Played) -> io::Result<()> {
        let scenario = &played.scenario.path;
        match &played.end {
            End::Ran(run) => self.ran(&played.scenario, run),
            End::Skipped(reason) => {
                self.line(&json!({ "event": "skipped", "scenario": scenario, "reason": reason }))
            }
            End::Broken(reason) => {
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

/// Writes an event of a drill.
pub(crate) fn event(out: &mut impl Write, scenario: &Scenario, event: &Event) -> io::Result<()> {
    let mut value = serde_json::to_value(event).map_err(io::Error::other)?;
    value["scenario"] = json!(scenario.path);
    line(out, &value)
}

fn line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", visible_json(&value.to_string()))
}

/// The verdict on a drill, in a line.
pub(crate) fn verdict(scenario: &Scenario, run: &Run) -> Value {
    let findings: Vec<Value> = run.verdict.findings.iter().map(finding).collect();
    let mut verdict = json!({
        "event": "verdict",
        "scenario": scenario.path,
        "summary": scenario.summary,
        "level": scenario.level,
        "cites": scenario.cites,
        "seed": run.seed,
        "at": run.took,
        "sender": run.witness.word(),
        "passed": run.verdict.passed(),
        "outcomes": run.verdict.outcomes,
        "attempts": run.verdict.attempts,
        "findings": findings,
        "notes": run.verdict.notes,
    });
    if let Witness::Sender { tolerance } = run.witness {
        verdict["tolerance"] = json!(tolerance.as_secs_f64());
    }
    verdict
}

fn finding(finding: &Finding) -> Value {
    json!({
        "claim": finding.claim,
        "rule": finding.rule,
        "level": finding.level,
        "cites": finding.cites,
        "expected": finding.expected,
        "observed": finding.observed,
        "because": finding.because,
    })
}
