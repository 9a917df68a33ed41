//! A failed verdict in words, for a test that panics with it.
//!
//! It is what `mxdrill run` shows of a failed drill: each finding with what was expected and observed and the
//! sections that ask for it, then every attempt in order. Sessions that are open are named, since a client may not
//! be done.

use std::fmt::Write;

use crate::{
    lab::{Lab, seen},
    observe::Attempt,
    verdict::{Finding, Verdict},
};

/// What is wrong and what led there; where nobody sent, what the lab saw instead.
pub(super) fn text(lab: &Lab, verdict: &Verdict, attempts: &[Attempt]) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes it all");
    if verdict.passed() && attempts.is_empty() {
        line("nobody connected to an exchanger");
        seen::lines(lab.state()).iter().for_each(|one| line(one));
        return text;
    }
    line("what the lab saw does not pass");
    text.push_str(&findings(&verdict.findings));
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes it all");
    line("\n  attempts, in order:");
    attempts.iter().for_each(|one| line(&format!("    {one}")));
    for note in verdict
        .notes
        .iter()
        .chain(&seen::open_sessions(lab.state()))
    {
        line(&format!("  note: {note}"));
    }
    text
}

/// Each finding, with what was expected and observed and the sections that ask for it.
pub(crate) fn findings<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut text = String::new();
    let mut line = |line: &str| writeln!(text, "{line}").expect("a string takes it all");
    for finding in findings {
        line(&format!("\n  {} ({})", finding.claim, finding.level));
        for (heading, lines) in [
            ("expected", &finding.expected),
            ("observed", &finding.observed),
            ("because", &finding.because),
        ] {
            let mut heading = heading;
            for one in lines {
                line(&format!("    {heading:<9} {one}"));
                heading = "";
            }
        }
        if !finding.cites.is_empty() {
            line(&format!("    see       {}", finding.cites.join(", ")));
        }
    }
    text
}
