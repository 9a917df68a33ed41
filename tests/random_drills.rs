//! Whole drills made at random: whatever fails, the reference sender breaks no rule, and the same seed
//! gives the same log.

use std::sync::Arc;

use mxdrill::{drill, lab::NetworkKind, scenario::Scenario, sender::Reference};
use proptest::prelude::*;

fn record() -> impl Strategy<Value = String> {
    let host = 0..5_u8;
    prop_oneof![
        4 => (0..2_u8, prop_oneof![Just(0_u16), Just(10), Just(20)], host.clone())
            .prop_map(|(domain, preference, host)| format!("d{domain} IN MX {preference} h{host}")),
        4 => (host.clone(), 1..9_u8).prop_map(|(host, last)| format!("h{host} IN A 192.0.2.{last}")),
        1 => (host.clone(), 1..9_u8).prop_map(|(host, last)| format!("h{host} IN AAAA 2001:db8::{last}")),
        1 => (0..2_u8, 1..9_u8).prop_map(|(domain, last)| format!("d{domain} IN A 203.0.113.{last}")),
        1 => (0..2_u8).prop_map(|domain| format!("d{domain} IN MX 10 mail.sender.test.")),
    ]
}

/// A window or a count, as the end of a fault row.
fn extent() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        (1..300_u32).prop_map(|minutes| format!(", until = \"{minutes}m\"")),
        (1..100_u32, 1..100_u32)
            .prop_map(|(from, more)| format!(", from = \"{from}m\", until = \"{}m\"", from + more)),
        (1..4_u32).prop_map(|count| format!(", first = {count}")),
    ]
}

fn session_fault() -> impl Strategy<Value = String> {
    let stage = prop::sample::select(vec![
        ("connect", "refuse"),
        ("connect", "timeout"),
        ("connect", "reset"),
        ("greeting", "554 5.3.2 no mail here"),
        ("greeting", "421 4.3.2 busy"),
        ("helo", "hang"),
        ("mail", "close"),
        ("rcpt", "451 4.2.1 later"),
        ("rcpt", "550 5.1.1 no such user"),
        ("data", "reset"),
        ("data", "554 5.6.0 no"),
        ("content", "close"),
        ("dot", "452 4.3.1 full"),
        ("dot", "hang"),
        ("dot", "lose reply"),
        ("quit", "close"),
        ("mail", "garbage"),
    ]);
    // Addresses of hosts; a row about one that the zone lacks is left out by the scenario below.
    (1..9_u8, stage, extent()).prop_map(|(last, (stage, effect), extent)| {
        format!(
            "{{ host = \"192.0.2.{last}\", stage = \"{stage}\", effect = \"{effect}\"{extent} }}"
        )
    })
}

fn query_fault() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        (0..2_u8).prop_map(|n| format!("d{n}.test MX")),
        (0..5_u8).prop_map(|n| format!("h{n}.test A"))
    ];
    let effect = prop::sample::select(vec![
        "servfail", "timeout", "refused", "truncate", "delay 2s", "nodata", "nxdomain",
    ]);
    (name, effect, extent()).prop_map(|(name, effect, extent)| {
        format!("{{ query = \"{name}\", effect = \"{effect}\"{extent} }}")
    })
}

fn message() -> impl Strategy<Value = (Vec<u8>, u32)> {
    (prop::collection::vec(0..2_u8, 1..3), 0..200_u32)
}

prop_compose! {
    fn scenario()(
        records in prop::collection::vec(record(), 1..16),
        faults in prop::collection::vec(session_fault(), 0..5),
        queries in prop::collection::vec(query_fault(), 0..3),
        messages in prop::collection::vec(message(), 1..5),
        remember in prop::bool::weighted(0.2),
        seed in 0..1000_u64,
    ) -> String {
        let known = |fault: &&String| {
            let address = fault.split('"').nth(1).unwrap_or_default();
            records.iter().any(|record| record.ends_with(&format!(" {address}")))
        };
        let faults: Vec<&String> = faults.iter().filter(known).chain(&queries).collect();
        let faults: Vec<&str> = faults.into_iter().map(String::as_str).collect();
        let rows: Vec<String> = messages.iter().enumerate().map(|(number, (domains, minute))| {
            let to: Vec<String> = domains.iter().enumerate().map(|(n, domain)| format!("\"u{n}@d{domain}.test\"")).collect();
            format!("{{ id = \"m{number}\", at = \"{minute}m\", to = [{}] }}", to.join(", "))
        }).collect();
        let remember = if remember { ", remember_unreachable = \"10m\"" } else { "" };
        format!(
            "summary = \"made at random\"\nseed = {seed}\nzone = '''\n$ORIGIN test.\n$TTL 300\n{}\n'''\n\
             sender = {{ retry = [\"20m\"], expire = \"5h\"{remember} }}\nmessages = [{}]\nfaults = [{}]\n",
            records.join("\n"), rows.join(", "), faults.join(", "),
        )
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_reference_sender_breaks_no_rule(text in scenario()) {
        let scenario = Arc::new(Scenario::parse("random", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")));
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default()).expect("the drill ran");
        prop_assert!(run.verdict.passed(), "{:#?}\n{text}", run.verdict.findings);
    }

    #[test]
    fn a_seed_replays_a_drill_to_the_octet(text in scenario()) {
        let scenario = Arc::new(Scenario::parse("random", &text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")));
        let log = || {
            let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default()).expect("the drill ran");
            serde_json::to_string(&run.events).expect("serialised")
        };
        // Compared as a whole: a difference in octets would fill the screen.
        prop_assert!(log() == log());
    }
}
