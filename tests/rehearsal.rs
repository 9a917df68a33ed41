//! The kinds of senders of a rehearsal, held against what was measured; how many messages its drills have.

use std::{fs, path::Path, time::Duration};

use mxdrill::{
    records::{DomainRecords, Source},
    rehearse::{Assumptions, MESSAGES, Rehearsal, Rehearsed, SenderProfile},
    time::HumanDuration,
};

fn duration(text: &str) -> Duration {
    let duration: HumanDuration = text
        .trim()
        .parse()
        .unwrap_or_else(|error| panic!("{error}"));
    duration.0
}

/// The shortest and the longest of a range such as `1m12s to 1m35s`, or the same twice.
fn range(text: &str) -> (Duration, Duration) {
    let text = text.trim().trim_end_matches('△');
    let (least, most) = text.split_once(" to ").unwrap_or((text, text));
    (duration(least), duration(most))
}

/// `docs/schedules.md` has a row for each mail server: its name, the moments of its tries, and when it returns mail.
#[test]
fn profiles_are_what_was_measured_of_each_mail_server() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schedules.md");
    let page = fs::read_to_string(page).expect("the page");
    for name in SenderProfile::names() {
        let profile = SenderProfile::find(name).expect("a profile");
        let row = page
            .lines()
            .find(|line| line.starts_with("| [") && line.contains(&format!("(#{name}) |")));
        let Some(row) = row else {
            assert_eq!(name, "reference");
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (tried, returned) = (cells[3], cells[8]);
        let (least, most) = range(returned);
        let slack = match name {
            "haraka" => duration("1h"),
            _ => Duration::ZERO,
        };
        assert!(
            (least..=most + slack).contains(&profile.lifetime),
            "{name}: {:?}, measured {returned}",
            profile.lifetime
        );
        let mut at = Duration::ZERO;
        let mut waits = profile.retry.iter();
        let moments = tried.split(", ").skip(1);
        for told in moments.take_while(|told| *told != "..." && !told.starts_with("then")) {
            at += *waits.next().expect("a wait");
            let (least, most) = range(told);
            assert!(
                (least..=most).contains(&at),
                "{name}: {at:?}, measured {told}"
            );
        }
        if let Some((_, every)) = tried.split_once("then every ") {
            let (least, most) = range(every.split(',').next().expect("a wait"));
            assert!(
                (least..=most).contains(profile.retry.last().expect("a wait")),
                "{name}: {every}"
            );
        }
    }
}

#[test]
fn a_kind_of_sender_that_there_is_not_is_told_with_those_that_there_are() {
    let told = SenderProfile::find("postfx")
        .expect_err("no such")
        .to_string();
    assert!(told.contains("did you mean \"postfix\"?"), "{told}");
}

/// The drills of the outages of example.test with these records.
fn outages(records: &str) -> Vec<Rehearsed> {
    let zone = format!("$ORIGIN example.test.\n$TTL 3600\n{records}");
    let mut source = Source::default();
    source.add_text("a.zone", &zone, None).expect("a zone");
    let domain = "example.test".parse().expect("a name");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let records = runtime.block_on(DomainRecords::of(&source, &domain));
    let rehearsal = Rehearsal::of(&records, Assumptions::default()).expect("a route");
    rehearsal.outages().expect("played")
}

/// Whether one message fares otherwise than another.
fn differ(drill: &Rehearsed) -> bool {
    let mut passages = drill.passages.windows(2);
    passages.any(|pair| pair[0].end != pair[1].end)
}

#[test]
fn drills_have_few_messages_where_all_of_them_fare_alike_and_many_where_chance_decides() {
    const RETURNED: &str = "no exchanger answers for longer than senders wait";
    let hosts = "mx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";
    for (records, is_by_chance) in [
        (format!("@ MX 10 mx1\n@ MX 20 mx2\n{hosts}"), false),
        (format!("@ MX 10 mx1\n@ MX 10 mx2\n{hosts}"), true),
        (
            // What they share fails with either.
            format!("@ MX 10 mx1\n@ MX 20 mx2\n{hosts}mx2 A 192.0.2.1\n"),
            false,
        ),
    ] {
        let drills = outages(&records);
        assert_eq!(drills.iter().any(differ), is_by_chance, "{records}");
        for drill in drills {
            let (title, all) = (&drill.title, drill.passages.len());
            let is_few = !is_by_chance || title == RETURNED;
            assert_eq!(all, if is_few { 20 } else { MESSAGES }, "{records}{title}");
            assert!(!(is_few && differ(&drill)), "{records}{title}");
        }
    }
}
