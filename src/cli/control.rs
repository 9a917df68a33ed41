//! `mxdrill conform control`: the judge of foreign senders, put to the test itself.
//!
//! The reference sender plays the suite on the memory network; all that it says of itself is struck from the
//! log, which is then judged as a mail server's: clean it has to pass, and each flaw has to be caught.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{Outcome, find};
use crate::{
    drill,
    event::silenced,
    lab::NetworkKind,
    scenario::{Reach, Scenario},
    sender::{Control, Flaw, Reference},
    verdict::{Verdict, Witness, judge},
};

/// Puts the judge to the test and prints what came of it.
pub(super) fn control(filter: Option<&str>) -> io::Result<Outcome> {
    let loaded = find::load(&[], None, Reach::Folder)?;
    let suite: Vec<Arc<Scenario>> = loaded.into_iter().filter_map(Result::ok).collect();
    let is_wanted =
        |scenario: &Arc<Scenario>| filter.is_none_or(|filter| scenario.path.contains(filter));
    if !suite.iter().any(is_wanted) {
        let text = format!(
            "found no scenario whose path contains {:?}",
            filter.unwrap_or_default()
        );
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let mut out = anstream::stdout();
    let (passed, failed) = clean(&suite, filter);
    writeln!(
        out,
        "The reference sender, judged by what the lab saw alone, as a mail server is.\n\nwithout a flaw: {} of {} drills passed",
        passed,
        passed + failed.len()
    )?;
    for (path, verdict) in &failed {
        let claims = verdict.findings.iter().map(|finding| &*finding.claim);
        writeln!(out, "  {path}: {}", claims.collect::<Vec<_>>().join("; "))?;
    }
    writeln!(
        out,
        "\nEach flaw, and by what it is seen: a rule, or what its drill expects.\n\n{:<24} {:<46} {:<22} rule",
        "flaw", "drill", "seen"
    )?;
    let mut missed = 0;
    for (word, flaw) in Flaw::ALL {
        let control = flaw.control();
        let path = format!("scenarios/{}.toml", control.drill);
        let Some(scenario) = suite.iter().find(|scenario| scenario.path == path) else {
            return Err(io::Error::other(format!("found no drill {path}")));
        };
        let seen = seen(scenario, flaw, control);
        missed += usize::from(seen == Seen::Nothing);
        let text = match seen {
            Seen::Rule => "by its rule",
            Seen::Expectation => "by its expectations",
            Seen::Nothing => "MISSED",
        };
        writeln!(
            out,
            "{word:<24} {:<46} {text:<22} {}",
            control.drill, control.rule
        )?;
        if let Some(why) = control.unseen {
            writeln!(out, "{:<24} {why}", "")?;
        }
    }
    Ok(match (failed.is_empty(), missed) {
        (true, 0) => Outcome::Passed,
        _ => Outcome::Failed,
    })
}

/// By what a flaw was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    Rule,
    Expectation,
    Nothing,
}

fn seen(scenario: &Arc<Scenario>, flaw: Flaw, control: Control) -> Seen {
    let Some(verdict) = judged(scenario, Reference::with_flaw(flaw)) else {
        return Seen::Nothing;
    };
    let mut rules = verdict.findings.iter().filter_map(|finding| finding.rule);
    match (rules.any(|rule| rule == control.rule), verdict.passed()) {
        (true, _) => Seen::Rule,
        (false, false) if control.unseen.is_some() => Seen::Expectation,
        (false, _) => Seen::Nothing,
    }
}

/// How many drills the sender passes without a flaw, and those that it fails.
fn clean(suite: &[Arc<Scenario>], filter: Option<&str>) -> (usize, Vec<(String, Verdict)>) {
    let wanted = |scenario: &&Arc<Scenario>| {
        let named = filter.is_none_or(|filter| scenario.path.contains(filter));
        named && drill::obstacle(scenario, NetworkKind::Memory).is_none()
    };
    let mut passed = 0;
    let mut failed = Vec::new();
    for scenario in suite.iter().filter(wanted) {
        match judged(scenario, Reference::default()) {
            Some(verdict) if verdict.passed() => passed += 1,
            Some(verdict) => failed.push((scenario.path.clone(), verdict)),
            None => {}
        }
    }
    (passed, failed)
}

fn judged(scenario: &Arc<Scenario>, sender: Reference) -> Option<Verdict> {
    let run = drill::run(scenario, NetworkKind::Memory, None, sender).ok()?;
    Some(judge(scenario, &silenced(&run.events), Witness::Server))
}
