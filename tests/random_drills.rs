//! Whole drills made at random: whatever fails, the reference sender breaks no rule, the same seed gives
//! the same log, and a flaw is found out by a drill small enough to read.

use std::{sync::Arc, time::Duration};

use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    random_drill::RandomDrill,
    scenario::Scenario,
    sender::{Flaw, Reference},
    verdict::{SenderKind, judge},
};

/// Drills of each test; another number of cases than these is for `mxdrill fuzz`.
const CASES: u64 = 1000;
/// Of how many senders one plays a drill, where there are more than there is time for.
const SHARE: u64 = 3;
/// Drills in which each flaw is looked for.
const HAYSTACK: u64 = 4000;

fn play(scenario: &Arc<Scenario>, sender: Reference) -> Run {
    drill::run(scenario, NetworkKind::Memory, None, sender).expect("the drill ran")
}

fn scenario(case: &RandomDrill) -> Arc<Scenario> {
    let text = case.text();
    case.scenario()
        .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

#[test]
fn the_reference_sender_breaks_no_rule() {
    for seed in 0..CASES {
        let case = RandomDrill::new(seed);
        let run = play(&scenario(&case), Reference::default());
        if !run.verdict.passed() {
            let fails =
                |scenario: &Arc<Scenario>| !play(scenario, Reference::default()).verdict.passed();
            let case = case.shrunk(fails);
            let run = play(&scenario(&case), Reference::default());
            panic!("{:#?}\n{}", run.verdict.findings, case.text());
        }
    }
}

#[test]
fn a_seed_replays_a_drill_to_the_octet() {
    for seed in 0..CASES / 4 {
        let scenario = scenario(&RandomDrill::new(seed));
        let log = || {
            let run = play(&scenario, Reference::default());
            serde_json::to_string(&run.events).expect("serialised")
        };
        // Compared as a whole: a difference in octets would fill the screen.
        assert!(log() == log(), "number {seed}");
    }
}

/// A drill is judged message by message, as the sender is done with each; the log tells the same when it
/// is read once more at the end.
#[test]
fn a_log_is_judged_alike_as_it_grows_and_as_a_whole() {
    // One that retries at once goes on for as many events as a drill may have.
    let flaws = Flaw::ALL.into_iter();
    let flaws = flaws.filter(|flaw| *flaw != Flaw::RetriesAtOnce);
    let flawed = flaws.map(Reference::with_flaw);
    let senders: Vec<Reference> = flawed.chain([Reference::default()]).collect();
    for seed in 0..CASES / 8 {
        let scenario = scenario(&RandomDrill::new(seed));
        // Each drill with some of them, so that each is there as often as there is time for.
        let chosen = senders
            .iter()
            .zip(seed..)
            .filter(|(_, turn)| turn % SHARE == 0);
        for (sender, _) in chosen {
            let Run {
                events, verdict, ..
            } = play(&scenario, sender.clone());
            let tolerance = Duration::ZERO;
            let again = judge(&scenario, &events, SenderKind::InProcess { tolerance });
            let [verdict, again] = [verdict, again].map(|verdict| format!("{verdict:#?}"));
            assert!(
                verdict == again,
                "number {seed}, {sender:?}: {verdict}\nand {again}"
            );
        }
    }
}

#[test]
fn every_flaw_is_found_out_by_a_small_drill() {
    // Records of these drills never change, none of their messages is kept for a day, no receiver offers other things in
    // TLS, none is a relay, addresses are in ASCII and lower case, and none asks anything of notifications.
    let not_here = [
        Flaw::KeepsAnswers,
        Flaw::GivesUpAfterADay,
        Flaw::SendsUtf8Anyway,
        Flaw::LowersLocalParts,
        Flaw::StartsTlsTwice,
        Flaw::FetchesAgainAtOnce,
        Flaw::FoldsParameters,
        Flaw::IgnoresNever,
        Flaw::WarnsUnasked,
        Flaw::NoRelayedReport,
        Flaw::ReportsWithRet,
        Flaw::ReportsToNobody,
        Flaw::ReturnsAll,
        Flaw::SendsCredentialsInPlain,
        // No zone has an SOA record.
        Flaw::SaysUnknownName,
    ];
    let flaws = Flaw::ALL.into_iter();
    for flaw in flaws.filter(|flaw| !not_here.contains(flaw)) {
        let fails =
            |scenario: &Arc<Scenario>| !play(scenario, Reference::with_flaw(flaw)).verdict.passed();
        let found = (0..HAYSTACK)
            .map(RandomDrill::new)
            .find(|case| fails(&scenario(case)));
        let small = found
            .unwrap_or_else(|| panic!("{flaw} breaks no rule in {HAYSTACK} drills"))
            .shrunk(fails);
        assert!(
            small.exchangers() <= 3,
            "{flaw} is shown by {} exchangers:\n{}",
            small.exchangers(),
            small.text()
        );
    }
}
