//! A drill written down as JSON lines: each event as it happened, then the verdict.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{
    drill::Run,
    event::Event,
    scenario::Scenario,
    verdict::{Finding, SenderKind},
    visible::visible_json,
};

/// Writes the events of a drill that ran, and the verdict on it. Nothing in it depends on real time: a seed
/// gives the same octets.
///
/// # Errors
/// The writer's.
pub fn write(out: &mut impl Write, scenario: &Scenario, run: &Run) -> io::Result<()> {
    for event in &run.events {
        write_event(out, scenario, event)?;
    }
    write_line(out, &verdict(scenario, run))
}

/// Writes an event of a drill.
///
/// # Errors
/// The writer's.
pub fn write_event(out: &mut impl Write, scenario: &Scenario, event: &Event) -> io::Result<()> {
    let mut value = serde_json::to_value(event).map_err(io::Error::other)?;
    value["scenario"] = json!(scenario.path);
    write_line(out, &value)
}

/// Writes a line of such a log, without anything in it that a terminal would take for a command.
///
/// # Errors
/// The writer's.
pub fn write_line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{}", visible_json(&value.to_string()))
}

/// The verdict on a drill, in a line.
pub fn verdict(scenario: &Scenario, run: &Run) -> Value {
    let findings: Vec<Value> = run.verdict.findings.iter().map(finding).collect();
    let mut verdict = json!({
        "event": "verdict",
        "scenario": scenario.path,
        "summary": scenario.summary,
        "level": scenario.level,
        "cites": scenario.cites,
        "seed": run.seed,
        "at": run.took,
        "sender": run.sender_kind.word(),
        "passed": run.verdict.passed(),
        "outcomes": run.verdict.outcomes,
        "attempts": run.verdict.attempts,
        "findings": findings,
        "notes": run.verdict.notes,
    });
    if let SenderKind::InProcess { tolerance } = run.sender_kind {
        verdict["tolerance"] = json!(tolerance.as_secs_f64());
    }
    verdict
}

fn finding(finding: &Finding) -> Value {
    json!({
        "subject": finding.subject,
        "claim": finding.claim,
        "rule": finding.rule,
        "level": finding.level,
        "cites": finding.cites,
        "expected": finding.expected,
        "observed": finding.observed,
        "because": finding.because,
    })
}
