//! The judge of foreign senders, without one: the reference sender's log with all that it says of itself
//! struck out, as the lab sees a mail server or a command.

mod bundled;

use std::sync::Arc;

use mxdrill::{
    drill,
    event::{Event, Purpose, What},
    lab::NetworkKind,
    scenario::Scenario,
    sender::{Flaw, Reference},
    verdict::{self, Verdict, Witness},
};

/// What the lab sees of a sender that reports nothing.
fn silenced(events: &[Event]) -> Vec<Event> {
    let mut silent = events.to_vec();
    silent.retain(|event| !matches!(event.what, What::Report { .. }));
    for event in &mut silent {
        if let What::Connect { purpose, .. } = &mut event.what {
            *purpose = Purpose::default();
        }
    }
    silent
}

fn explained(verdict: &Verdict) -> String {
    let lines = verdict.findings.iter().map(|finding| {
        format!(
            "  {} {}\n    {:?}\n    {:?}",
            finding.rule.unwrap_or("-"),
            finding.claim,
            finding.expected,
            finding.observed
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn probe_all() {
    for witness in [Witness::Command, Witness::Server] {
        let mut wrong = 0;
        for (name, file) in bundled::scenarios() {
            let scenario = Arc::new(Scenario::load(&file).expect("a valid scenario"));
            if drill::obstacle(&scenario, NetworkKind::Memory).is_some() {
                continue;
            }
            let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
            let run = run.expect("the drill ran");
            let verdict = verdict::judge(&scenario, &silenced(&run.events), witness);
            if !verdict.passed() {
                wrong += 1;
                println!("{witness:?} {name}\n{}", explained(&verdict));
            }
        }
        println!("{witness:?}: {wrong} wrong");
    }
    let mut caught = 0;
    for (word, flaw) in Flaw::ALL.into_iter().take(0) {
        let mut by = Vec::new();
        for (name, file) in bundled::scenarios() {
            let scenario = Arc::new(Scenario::load(&file).expect("a valid scenario"));
            if drill::obstacle(&scenario, NetworkKind::Memory).is_some() {
                continue;
            }
            let Ok(run) = drill::run(
                &scenario,
                NetworkKind::Memory,
                None,
                Reference::with_flaw(flaw),
            ) else {
                continue;
            };
            let verdict = verdict::judge(&scenario, &silenced(&run.events), Witness::Server);
            if !verdict.passed() {
                by.push(name);
            }
        }
        println!("{word}: {} {:?}", by.len(), by.first());
        caught += usize::from(!by.is_empty());
    }
    println!("{caught}");
}
