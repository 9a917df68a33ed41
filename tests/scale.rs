//! Many messages, many days, many exchangers, many sessions.

mod sessions;

use std::sync::Arc;

use mxdrill::{
    drill,
    event::{EventKind, silenced},
    lab::{Lab, NetworkKind},
    outcome::Outcome,
    scenario::Scenario,
    sender::Reference,
    verdict::{SenderKind, judge},
};
use sessions::{allows, greeted};

/// Files beside the sessions.
const OTHER_FILES: u32 = 100;

const ZONE: &str = "$ORIGIN example.test.\n$TTL 300\n@ IN MX 10 mx1\n@ IN MX 20 mx2\n\
    mx1 IN A 192.0.2.1\nmx2 IN A 192.0.2.2\n";

fn text(count: usize, more: &str) -> String {
    format!(
        "summary = \"scale\"\nzone = '''\n{ZONE}'''\n\
        messages = [{{ id = \"m\", to = \"a@example.test\", count = {count} }}]\n{more}"
    )
}

fn scenario(count: usize, more: &str) -> Arc<Scenario> {
    let scenario = Scenario::parse("scale", &text(count, more));
    Arc::new(scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

#[test]
fn twenty_thousand_messages_are_delivered_and_counted() {
    let count = 20_000;
    let mut given = 0;
    let run = drill::watch(
        &scenario(count, &format!("[expect]\ndelivered = {count}\n")),
        NetworkKind::Memory,
        None,
        Reference::default(),
        |event| given += usize::from(matches!(event.kind, EventKind::Submitted { .. })),
    );
    let run = run.expect("it ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    assert_eq!(given, count);
}

#[test]
fn of_very_many_findings_the_totals_are_told_and_the_rest_is_counted() {
    let wrong = "[expect]\ndelivered = 7\nm = { outcome = \"bounced\" }\n";
    let scenario = scenario(10_050, wrong);
    let sender = Reference::default();
    let run = drill::watch(&scenario, NetworkKind::Memory, None, sender, |_| {});
    let verdict = run.expect("it ran").verdict;
    assert_eq!(verdict.findings[0].claim, "delivered messages");
    assert_eq!(verdict.findings[0].observed, ["10050"]);
    assert_eq!(verdict.findings.len(), 10_001);
    assert_eq!(verdict.notes, ["and 50 findings more than are listed"]);
}

#[test]
fn messages_that_are_taken_up_late_are_noted() {
    let silent = r#"
faults = [{ host = "mx1.example.test", stage = "connect", effect = "timeout" }]
[expect]
delivered = 10100
"#;
    let scenario = scenario(10_100, silent);
    let sender = Reference::default();
    let run = drill::watch(&scenario, NetworkKind::Memory, None, sender, |_| {});
    let verdict = run.expect("it ran").verdict;
    assert!(verdict.passed(), "{:#?}", verdict.findings);
    let note = verdict.notes.first().expect("a note");
    assert!(
        note.starts_with("100 messages were taken up later than they came, m-10001 first"),
        "{note}"
    );
}

/// A zone file of so many domains, each with two exchangers of its own.
fn zone_of(domains: usize) -> String {
    let mut zone = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns hostmaster 1 2 3 4 5\n".to_owned();
    for i in 0..domains {
        let (low, high) = (i % 250 + 1, i / 250 % 250);
        zone.push_str(&format!(
            "d{i} MX 10 mx1.d{i}\nd{i} MX 20 mx2.d{i}\nmx1.d{i} A 10.1.{high}.{low}\nmx2.d{i} A 10.2.{high}.{low}\n"
        ));
    }
    zone
}

/// The most octets that were held at once while a message was sent to each of so many domains; with `is_read`
/// alone, while their records were read.
fn peak_of(domains: usize, is_read: bool) -> usize {
    let rows = (0..domains).map(|i| format!("{{ id = 'm{i}', to = 'u@d{i}.example.test' }},\n"));
    let rows: String = if is_read {
        rows.take(1).collect()
    } else {
        rows.collect()
    };
    let text = format!("summary = 's'\nzone_file = 'z.zone'\nmessages = [\n{rows}]\n");
    let zone = zone_of(domains);
    let measured = allocation_counter::measure(|| {
        let read = |_: &std::path::Path| Ok(zone.clone());
        let scenario = Arc::new(Scenario::parse_with("s", &text, &read).expect("valid"));
        if !is_read {
            let sender = Reference::default();
            let run = drill::watch(&scenario, NetworkKind::Memory, None, sender, |_| {});
            assert!(run.expect("it ran").verdict.passed());
        }
    });
    usize::try_from(measured.bytes_max).expect("it fits")
}

#[test]
fn a_domain_of_a_drill_takes_some_kilobytes() {
    let (few, many) = (3_000, 6_000);
    let each = (peak_of(many, false) - peak_of(few, false)) / (many - few);
    assert!(each < 13_000, "{each} octets a domain of four records");
}

#[test]
fn records_are_held_once_while_they_are_read() {
    let (few, many) = (2_000, 10_000);
    let records = 4 * (many - few);
    let each = (peak_of(many, true) - peak_of(few, true)) / records;
    assert!(each < 600, "{each} octets a record");
}

/// What a drill knows of a message goes when the sender is done with it: whether something is delivered
/// or nothing is even waited for.
#[test]
fn memory_does_not_grow_with_the_messages_that_are_done() {
    // More than are under way at once, so that what those need is in both.
    let (few, many) = (15_000, 45_000);
    let down = "{ host = \"mx1.example.test\", stage = \"connect\", effect = \"refuse\" }";
    for (to, faults) in [("a@example.test", down), ("a@nowhere.test", "")] {
        let peak = |count: usize| {
            let text = format!(
                "summary = \"scale\"\nzone = '''\n{ZONE}'''\nfaults = [{faults}]\n\
                messages = [{{ id = \"m\", from = \"\", to = \"{to}\", count = {count} }}]\n"
            );
            let scenario = Arc::new(Scenario::parse("scale", &text).expect("valid"));
            let measured = allocation_counter::measure(|| {
                let sender = Reference::default();
                let run = drill::watch(&scenario, NetworkKind::Memory, None, sender, |_| {});
                let verdict = run.expect("it ran").verdict;
                assert_eq!(verdict.outcomes.values().sum::<usize>(), count);
            });
            measured.bytes_max
        };
        let grown = peak(many).saturating_sub(peak(few)) as usize / (many - few);
        assert!(grown < 80, "{grown} octets a message to {to}");
    }
}

/// Four times the messages of a sender that says nothing take the judge some four times the work, and not
/// sixteen times; so do four times the changes of records that concern none of them.
#[test]
fn judging_a_silent_sender_costs_what_its_messages_do() {
    let work = |messages: usize, updates: usize| {
        let updates: String = (1..=updates)
            .map(|n| format!("{{ at = '{n}m', add = 'x{n}.example.test. A 192.0.2.9' }},"))
            .collect();
        let more = format!(
            "faults = [{{ host = 'mx1.example.test', stage = 'connect', effect = 'refuse' }}]\n\
            updates = [{updates}]\n[expect.m]\nattempts = [{{ host = 'mx1.example.test', result = 'refused' }}, \
            {{ host = 'mx2.example.test', result = 'accepted' }}]\n"
        );
        let scenario = scenario(messages, &more);
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
        let events = silenced(&run.expect("it ran").events);
        let measured = allocation_counter::measure(|| {
            let verdict = judge(&scenario, &events, SenderKind::MailServer);
            assert!(verdict.passed(), "{:#?}", verdict.findings.first());
        });
        measured.bytes_total
    };
    for (few, many) in [((500, 1), (2000, 1)), ((100, 50), (400, 200))] {
        let (few, many) = (work(few.0, few.1), work(many.0, many.1));
        assert!(
            many < few * 7,
            "{few} octets, and {many} for four times as much"
        );
    }
}

#[test]
fn a_thousand_messages_are_retried_for_thirty_days() {
    let outage = r#"
sender = { retry = ["15m", "1h", "12h"], expire = "31d" }
faults = [
  { host = "mx1.example.test", stage = "connect", effect = "refuse", until = "30d" },
  { host = "mx2.example.test", stage = "connect", effect = "timeout", until = "30d" },
]
"#;
    let run = drill::run(
        &scenario(1000, outage),
        NetworkKind::Memory,
        None,
        Reference::default(),
    );
    let run = run.expect("it ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    assert_eq!(run.verdict.outcomes[&Outcome::Delivered], 1000);
    assert!(run.took.0.as_secs() > 30 * 86_400, "{}", run.took);
}

#[tokio::test]
async fn a_thousand_exchangers_stand_on_loopback() {
    if !allows(1000 + OTHER_FILES) {
        eprintln!("skipped: no thousand files may be open at once here");
        return;
    }
    let mut zone = String::from("$ORIGIN example.test.\n");
    for n in 0..1000 {
        let (high, low) = (n / 250, n % 250 + 1);
        zone.push_str(&format!(
            "@ IN MX {n} mx{n}\nmx{n} IN A 10.1.{high}.{low}\n"
        ));
    }
    let lab = Lab::from_zone(&zone).await.expect("a lab");
    assert!(lab.endpoints().len() >= 1000);
    for endpoint in lab.endpoints() {
        greeted(endpoint.listens).await.expect("a greeting");
    }
    lab.stop().await;
}
