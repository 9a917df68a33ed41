//! The kinds of senders of a rehearsal, held against what was measured; how many messages its drills have.

use std::{fs, io, net::IpAddr, path::Path, time::Duration};

use mxdrill::{
    records::{DomainRecords, Source},
    rehearse::{Assumptions, Fate, Hit, MESSAGES, Rehearsal, Rehearsed, SenderProfile},
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
    rehearsal(records).outages().expect("played")
}

/// example.test with these records.
fn rehearsal(records: &str) -> Rehearsal {
    made(records).expect("a route")
}

/// The same, or why it cannot be rehearsed.
fn made(records: &str) -> io::Result<Rehearsal> {
    let zone = format!("$ORIGIN example.test.\n$TTL 3600\n{records}");
    let mut source = Source::default();
    source.add_text("a.zone", &zone, None).expect("a zone");
    let domain = "example.test".parse().expect("a name");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let records = runtime.block_on(DomainRecords::of(&source, &domain));
    Rehearsal::of(&records, Assumptions::default())
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

/// What does not answer.
fn hit(addresses: &[&str]) -> Hit {
    let mut hit = Hit::default();
    let addresses = addresses
        .iter()
        .map(|one| one.parse::<IpAddr>().expect("an address"));
    hit.addresses.extend(addresses);
    hit
}

/// Four exchangers alike, one with an address of each family, and two backups, one of them at the address of the first.
const MIXED: &str = "@ MX 10 a\n@ MX 10 b\n@ MX 10 c\n@ MX 10 d\n@ MX 10 e\n@ MX 20 f\n@ MX 20 g\n\
    a A 192.0.2.1\nb A 192.0.2.2\nc A 192.0.2.3\nd A 192.0.2.4\ne A 192.0.2.5\ne AAAA 2001:db8::5\n\
    f A 192.0.2.1\ng A 192.0.2.7\n";

/// One of those that are alike is played for all, and each of them by itself here.
#[test]
fn each_hit_of_several_fares_as_it_does_by_itself() {
    let addresses = [
        "192.0.2.1",
        "192.0.2.2",
        "192.0.2.3",
        "192.0.2.4",
        "192.0.2.5",
        "2001:db8::5",
        "192.0.2.7",
    ];
    let mut hits = vec![hit(&addresses)];
    for (index, one) in addresses.iter().enumerate() {
        let others: Vec<&str> = addresses
            .iter()
            .filter(|other| *other != one)
            .copied()
            .collect();
        hits.push(hit(&others));
        hits.push(hit(&[one]));
        hits.extend(addresses[..index].iter().map(|other| hit(&[one, other])));
    }
    for names in [&["a"][..], &["b"], &["b", "c"], &["a", "f"], &["g"], &[""]] {
        let mut unknown = Hit::default();
        let names = names.iter().map(|name| match *name {
            "" => "example.test".to_owned(),
            name => format!("{name}.example.test"),
        });
        let names = names.map(|name| name.parse().expect("a name"));
        unknown.names.extend(names);
        hits.push(unknown);
    }
    let rehearsal = rehearsal(MIXED);
    let together = rehearsal.fates(&hits).expect("played");
    assert_eq!(together.usual, Fate::Unnoticed);
    for (hit, fate) in hits.iter().zip(together.of) {
        let alone = rehearsal.fates([hit]).expect("played");
        assert_eq!(alone.of, [fate], "{hit:?}");
    }
    let fate = |addresses: &[&str]| rehearsal.fates([&hit(addresses)]).expect("played").of[0];
    assert_eq!(fate(&["192.0.2.3"]), Fate::Another);
    // What nobody tries first, and what is behind those who answer.
    assert_eq!(fate(&["2001:db8::5"]), Fate::Unnoticed);
    assert_eq!(fate(&["192.0.2.7"]), Fate::Unnoticed);
    assert_eq!(fate(&addresses), Fate::AtStake);
}

/// Played one by one they would take minutes.
#[test]
fn of_hundreds_alike_one_is_played_for_all() {
    let rows = (0..398).map(|n| {
        let (high, low) = (n / 250, n % 250 + 1);
        format!("@ MX 10 mx{n}\nmx{n} A 10.1.{high}.{low}\nmx{n} AAAA 2001:db8::{n:x}\n")
    });
    let rehearsal = rehearsal(&rows.collect::<String>());
    let addresses: Vec<String> = (0..398)
        .map(|n| format!("10.1.{}.{}", n / 250, n % 250 + 1))
        .collect();
    let mut hits: Vec<Hit> = addresses.iter().map(|one| hit(&[one])).collect();
    hits.extend((0..398).map(|n| hit(&[&format!("2001:db8::{n:x}")])));
    let fates = rehearsal.fates(&hits).expect("played");
    let (first, second) = fates.of.split_at(398);
    assert!(first.iter().all(|fate| *fate == Fate::Another), "{first:?}");
    // Senders try IPv4 first, and none comes to these.
    assert!(
        second.iter().all(|fate| *fate == Fate::Unnoticed),
        "{second:?}"
    );
}

/// RFC 1035 section 4.2.2: a message over TCP has a length of two octets.
#[test]
fn as_many_exchangers_are_rehearsed_as_an_answer_has_room_for() {
    let made = |count: usize, label: &str| {
        let rows = (0..count).map(|n| format!("@ MX 10 {label}{n}\n"));
        made(&rows.collect::<String>())
    };
    let long = "m".repeat(50);
    for (count, label) in [(501, "mx"), (1_200, "mx"), (600, &*long)] {
        assert!(made(count, label).is_ok(), "{count} {label}");
    }
    for (count, label) in [(4_000, "mx"), (1_200, &*long)] {
        let why = made(count, label).expect_err("too many").to_string();
        let told = format!("example.test: found {count} exchangers, expected no more than fit");
        assert!(why.starts_with(&told), "{why}");
    }
}
