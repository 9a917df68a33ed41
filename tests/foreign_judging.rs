//! The judge of foreign senders, without one: the reference sender's log with all that it says of itself
//! struck out, as the lab sees a mail server or a command.

mod bundled;

use std::{collections::BTreeMap, sync::Arc};

use mxdrill::{
    drill,
    event::{Event, EventKind, silenced},
    fault::Transport,
    lab::NetworkKind,
    random_drill::RandomDrill,
    scenario::Scenario,
    sender::{Flaw, Reference},
    time::Moment,
    verdict::{self, SenderKind, Verdict},
};
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

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

fn reference(scenario: &Arc<Scenario>, sender: Reference) -> Option<Vec<Event>> {
    // A drill that a flaw never ends is broken off.
    let run = drill::run(scenario, NetworkKind::Memory, None, sender);
    run.ok().map(|run| run.events)
}

fn bundled() -> impl Iterator<Item = (String, Arc<Scenario>)> {
    let all = bundled::scenarios().into_iter().map(|(name, file)| {
        let scenario = Scenario::load(&file).expect("a valid scenario");
        (name, Arc::new(scenario))
    });
    all.filter(|(_, scenario)| drill::obstacle(scenario, NetworkKind::Memory).is_none())
}

#[test]
fn the_reference_sender_passes_every_drill_in_silence() {
    for (name, scenario) in bundled() {
        let events = reference(&scenario, Reference::default()).expect("the drill ran");
        for sender_kind in [SenderKind::Command, SenderKind::MailServer] {
            let verdict = verdict::judge(&scenario, &silenced(&events), sender_kind);
            assert!(
                verdict.passed(),
                "{sender_kind:?} {name}\n{}",
                explained(&verdict)
            );
        }
    }
}

#[test]
fn every_flaw_is_caught_in_silence() {
    let all: BTreeMap<String, Arc<Scenario>> = bundled().collect();
    for flaw in Flaw::ALL {
        let control = flaw.control();
        let scenario = &all[control.drill];
        let events = reference(scenario, Reference::with_flaw(flaw)).expect("the drill ran");
        let verdict = verdict::judge(scenario, &silenced(&events), SenderKind::MailServer);
        let mut rules = verdict.findings.iter().filter_map(|finding| finding.rule);
        let caught = match control.unseen {
            None => rules.any(|broken| broken == control.rule),
            Some(_) => !verdict.passed(),
        };
        assert!(caught, "{flaw} {}\n{}", control.drill, explained(&verdict));
    }
}

/// The same with questions dropped, doubled, moved, or sent over TCP: a sender may have asked elsewhere, or
/// for other reasons.
fn shuffled(events: &[Event], random: &mut ChaCha8Rng) -> Vec<Event> {
    let mut shuffled: Vec<Event> = Vec::new();
    let mut moved: Vec<(usize, Event)> = Vec::new();
    let drops = random.random_range(0..4) == 0;
    for event in events {
        let mut event = event.clone();
        let EventKind::Query { over, .. } = &mut event.kind else {
            shuffled.push(event);
            continue;
        };
        if random.random_bool(0.2) {
            *over = Transport::Tcp;
        }
        match random.random_range(0..10) {
            0..3 if drops => {}
            3 => shuffled.extend([event.clone(), event]),
            4 | 5 => moved.push((random.random_range(0..=events.len()), event)),
            _ => shuffled.push(event),
        }
    }
    for (place, mut event) in moved {
        let place = place.min(shuffled.len());
        // It happens at the moment of what it stands beside now.
        let beside = place.checked_sub(1).and_then(|before| shuffled.get(before));
        event.at = beside.map_or(Moment::START, |beside| beside.at);
        shuffled.insert(place, event);
    }
    shuffled
}

#[test]
fn a_sender_that_follows_its_route_is_never_accused_whatever_it_asked() {
    for seed in 0..400 {
        let case = RandomDrill::new(seed);
        let scenario = Arc::new(case.scenario().expect("a valid case"));
        let Some(events) = reference(&scenario, Reference::default()) else {
            continue;
        };
        let silent = silenced(&events);
        let random = &mut ChaCha8Rng::seed_from_u64(seed);
        for sender_kind in [SenderKind::Command, SenderKind::MailServer] {
            let asked = shuffled(&silent, random);
            let mut verdict = verdict::judge(&scenario, &asked, sender_kind);
            // That nothing shows what was done about a message is no accusation.
            verdict.findings.retain(|finding| finding.rule.is_some());
            assert!(
                verdict.passed(),
                "{sender_kind:?} {seed}\n{}\n{}",
                explained(&verdict),
                case.text()
            );
        }
    }
}

#[test]
fn a_sender_that_does_nothing_passes_no_drill() {
    for (name, file) in bundled::scenarios() {
        let scenario = Scenario::load(&file).expect("a valid scenario");
        let given = scenario.messages.iter().map(|message| Event {
            at: Moment::START,
            kind: EventKind::Submitted {
                message: message.id.clone(),
                from: String::new(),
                to: message.to.iter().map(ToString::to_string).collect(),
            },
        });
        let given: Vec<Event> = given.collect();
        let verdict = verdict::judge(&scenario, &given, SenderKind::Command);
        assert!(!verdict.passed(), "{name}");
    }
}
