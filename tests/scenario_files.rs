//! Scenario files that somebody spoilt: always a mistake with a place, never a panic.

mod bundled;

use std::path::Path;

use mxdrill::{random_drill::RandomDrill, scenario::Scenario};
use proptest::prelude::*;

/// Files that between them use the whole format.
const FILES: [&str; 6] = [
    include_str!("../scenarios/basics/retry_starts_at_the_primary.toml"),
    include_str!("../scenarios/basics/equal_preference_shares.toml"),
    include_str!("../scenarios/rfc7505/null_mx_is_permanent.toml"),
    include_str!("../scenarios/basics/changed_record_after_its_ttl.toml"),
    include_str!("../scenarios/basics/records_around_a_mail_domain.toml"),
    include_str!("../scenarios/basics/one_of_two_recipients_rejected.toml"),
];

/// What people put where it does not belong.
const ODDITIES: [&str; 16] = [
    "", "\"", "'''", "\"\"\"", "[", "]", "{", "}", "=", "\n", "\u{e9}", "65536", "-1", "\\", "\0",
    "(",
];

fn position(text: &str, wanted: usize) -> usize {
    let mut at = wanted % (text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_file_never_panics(file in 0..FILES.len(), from in any::<usize>(), length in 0..20_usize, oddity in 0..ODDITIES.len()) {
        let text = FILES[file];
        let from = position(text, from);
        let to = position(text, (from + length).min(text.len())).max(from);
        let spoilt = format!("{}{}{}", &text[..from], ODDITIES[oddity], &text[to..]);
        if let Err(mistakes) = Scenario::parse("spoilt.toml", &spoilt) {
            prop_assert!(!mistakes.0.is_empty());
            for mistake in mistakes.0 {
                prop_assert!(mistake.line >= 1 && mistake.line <= spoilt.matches('\n').count() + 1, "{}", mistake);
                prop_assert!(mistake.column >= 1 && !mistake.message.is_empty());
            }
        }
    }

    #[test]
    fn any_text_at_all_never_panics(text in "\\PC{0,200}") {
        drop(Scenario::parse("any.toml", &text));
    }
}

#[test]
fn what_cannot_be_read_is_a_mistake() {
    assert!(Scenario::load(Path::new("no/such/file.toml")).is_err());
}

/// All that a drill does comes from: without its name, and without the order among records of one name that
/// have different types, which no answer shows.
fn substance(scenario: &Scenario) -> String {
    let Scenario {
        name: _,
        path: _,
        zone_file: _,
        notes: _,
        summary,
        cites,
        level,
        covers,
        seed,
        world,
        messages,
        crashes,
        sender,
        stop,
        expect,
    } = scenario;
    let zones = world.zones.zones().map(|zone| {
        let mut records: Vec<_> = zone.records().collect();
        records.sort_by_key(|record| (record.name.clone(), record.record_type()));
        format!("{records:#?}")
    });
    let zones: Vec<String> = zones.collect();
    let moments = format!("{:?}", world.zones);
    let moments: Vec<&str> = moments
        .split("Moment(")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap_or(rest))
        .collect();
    format!(
        "{summary}\n{cites:?} {level} {covers:?} {seed} {stop:?}\n{}\n{moments:?}\n{:#?}\n{:#?}\n{:#?}\n{:?}\n{messages:#?}\n{crashes:?}\n{sender:#?}\n{expect:#?}",
        zones.join("\n"),
        world.faults,
        world.receivers,
        world.policies,
        world.dnssec,
    )
}

/// The scenario of the text that another one is written as.
fn again(scenario: &Scenario) -> Scenario {
    let text = scenario.to_toml();
    Scenario::parse("again.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
}

#[test]
fn every_scenario_that_comes_along_reads_the_same_once_written() {
    for (name, path) in bundled::scenarios() {
        let scenario = Scenario::load(&path).expect("it is valid");
        let again = again(&scenario);
        assert_eq!(substance(&again), substance(&scenario), "{name}");
        // What is written of it is written of it again, to the octet.
        assert_eq!(again.to_toml(), scenario.to_toml(), "{name}");
    }
}

#[test]
fn a_random_drill_reads_the_same_once_written() {
    for number in 0..300 {
        let drill = RandomDrill::new(number);
        if let Ok(scenario) = drill.scenario() {
            assert_eq!(
                substance(&again(&scenario)),
                substance(&scenario),
                "{number}"
            );
        }
    }
}
