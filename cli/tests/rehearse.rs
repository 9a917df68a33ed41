//! What `mxdrill rehearse` says, held against reckonings of its own.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

/// What the command says on standard output; it succeeds.
fn rehearse(folder: &Path, arguments: &[&str]) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .current_dir(folder)
        .arg("rehearse")
        .args(arguments)
        .output()
        .expect("started");
    let [out, err] = [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(run.status.success(), "{arguments:?}: {err}");
    out.into_owned()
}

/// The lines of JSON that it says.
fn lines(folder: &Path, arguments: &[&str]) -> Vec<Value> {
    let text = rehearse(folder, &[arguments, &["--format", "json"]].concat());
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

/// The drill of a title that has this in it.
fn drill<'a>(lines: &'a [Value], title: &str) -> &'a Value {
    let has = |line: &&Value| {
        line["drill"]
            .as_str()
            .is_some_and(|drill| drill.contains(title))
    };
    lines
        .iter()
        .find(has)
        .unwrap_or_else(|| panic!("{title}: {lines:#?}"))
}

fn number(line: &Value, key: &str) -> u64 {
    let number = line[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key}: {line:#}"));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "whole seconds"
    )]
    let number = number.round() as u64;
    number
}

const SINGLE: &str = "$ORIGIN example.test.\n$TTL 3600\n@ MX 10 mx1\nmx1 A 192.0.2.1\n";
const PAIR: &str = "$ORIGIN example.test.\n$TTL 3600\n@ MX 10 mx1\n@ MX 10 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";
const BACKUP: &str = "$ORIGIN example.test.\n$TTL 3600\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";

/// How long a message waits that comes at a moment, while the only exchanger is silent in a window: each attempt
/// takes thirty seconds to fail, and the next one is as long after that as the waits say.
fn wait(given: u64, window: std::ops::Range<u64>, waits: &[u64]) -> u64 {
    let mut at = given;
    for wait in waits.iter().chain(waits.last().into_iter().cycle()) {
        if !window.contains(&at) {
            break;
        }
        at += 30 + wait;
    }
    at - given
}

/// Two hours of work, mail for an hour before and after it: 200 messages in four hours.
#[test]
fn planned_work_at_the_only_exchanger_makes_mail_wait_as_long_as_can_be_reckoned() {
    let folder = folder(&[("a.zone", SINGLE)]);
    for (sender, waits) in [
        ("reference", &[30 * MINUTE, HOUR, 2 * HOUR][..]),
        ("postfix", &[300, 300, 600, 1200, 2400, 4200]),
    ] {
        let lines = lines(
            folder.path(),
            &["a.zone", "--down", "mx1=2h", "--senders", sender],
        );
        let [line] = &lines[..] else {
            panic!("{lines:#?}");
        };
        let given: Vec<u64> = (0..200).map(|number| number * 72).collect();
        let during: Vec<u64> = given
            .iter()
            .filter(|at| (HOUR..3 * HOUR).contains(*at))
            .map(|at| wait(*at, HOUR..3 * HOUR, waits))
            .collect();
        let [before, work, after] = [0, 1, 2].map(|phase| &line["phases"][phase]);
        assert_eq!(number(work, "messages"), during.len() as u64, "{line:#}");
        assert_eq!(number(work, "waited"), during.len() as u64, "{line:#}");
        assert_eq!(
            Some(number(work, "longest_wait_seconds")),
            during.iter().max().copied(),
            "{line:#}"
        );
        for phase in [before, after] {
            assert_eq!(number(phase, "longest_wait_seconds"), 0, "{line:#}");
        }
        assert_eq!(number(line, "returned"), 0, "{line:#}");
    }
}

#[test]
fn exchangers_restarted_in_turn_take_each_others_mail() {
    let folder = folder(&[("a.zone", PAIR)]);
    let lines = lines(folder.path(), &["a.zone", "--rolling", "10m"]);
    let phases = lines[0]["phases"].as_array().expect("phases");
    let told: Vec<(Vec<&str>, Vec<&String>, u64)> = phases
        .iter()
        .map(|phase| {
            let down = phase["down"].as_array().expect("hosts").iter();
            let takers = phase["takers"].as_object().expect("takers");
            (
                down.filter_map(Value::as_str).collect(),
                takers.keys().collect(),
                number(phase, "longest_wait_seconds"),
            )
        })
        .collect();
    let (mx1, mx2) = ("mx1.example.test", "mx2.example.test");
    let (one, two) = (mx1.to_owned(), mx2.to_owned());
    assert_eq!(
        told,
        [
            (vec![], vec![&one, &two], 0),
            (vec![mx1], vec![&two], 30),
            (vec![mx2], vec![&one], 30),
            (vec![], vec![&one, &two], 0),
        ],
        "{phases:#?}"
    );
    let seconds = |phase: usize| number(&phases[phase], "until_seconds");
    assert_eq!([seconds(1), seconds(2)], [10 * MINUTE, 20 * MINUTE]);
}

#[test]
fn planned_work_is_told_by_the_clock_and_hosts_by_their_first_label() {
    let folder = folder(&[("a.zone", PAIR)]);
    let arguments = [
        "a.zone",
        "--down",
        "mx1=09:00+2h",
        "--down",
        "mx2.example.test=10:00+30m",
    ];
    let text = rehearse(folder.path(), &arguments);
    for told in [
        "mx1.example.test                    09:00  10:00",
        "mx1.example.test, mx2.example.test  10:00  10:30",
        "From 10:00 to 10:30 nobody takes mail",
        "No mail comes back.",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let refused = |down: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .current_dir(folder.path())
            .args(["rehearse", "a.zone"])
            .args(down)
            .output()
            .expect("started");
        assert_eq!(run.status.code(), Some(2));
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    let said = refused(&["--down", "mx3=2h"]);
    assert!(
        said.contains("expected an exchanger of example.test: mx1.example.test"),
        "{said}"
    );
    let said = refused(&["--down", "mx1=09:00+2h", "--down", "mx2=2h"]);
    assert!(
        said.contains("with a time of day and without one"),
        "{said}"
    );
}

/// The move of a domain with two exchangers to a provider's, all TTLs a day: a sender that asked at the start asks
/// again a day later, and the change is a minute after the start.
#[test]
fn a_move_with_a_ttl_of_a_day_leaves_mail_at_the_old_exchangers_until_it_is_over() {
    let old = PAIR.replace("3600", "86400");
    let new = "$ORIGIN example.test.\n$TTL 86400\n@ MX 10 in.provider.test.\n";
    let folder = folder(&[("old.zone", &old), ("new.zone", new)]);
    let arguments = ["old.zone", "--change", "new.zone"];
    let lines = lines(folder.path(), &arguments);
    // Mail comes for two hours and two days, at 200 even intervals.
    let interval = 2 * (HOUR + DAY) / 200;
    let given = (0..200).map(|number| number * interval);
    let late: Vec<u64> = given.filter(|at| (MINUTE..DAY).contains(at)).collect();
    let last = late.last().expect("some") - MINUTE;
    let late = late.len() as u64;
    let stay = drill(&lines, "exchangers stay");
    assert_eq!(number(stay, "late_at_the_old"), late, "{stay:#}");
    assert_eq!(
        number(stay, "last_at_the_old_after_seconds"),
        last,
        "{stay:#}"
    );
    assert_eq!(number(stay, "longest_wait_seconds"), 0, "{stay:#}");
    let rejecting = drill(&lines, "turn mail away");
    assert_eq!(number(rejecting, "returned"), late, "{rejecting:#}");
    let off = drill(&lines, "switched off with the change");
    assert_eq!(number(off, "waited"), late, "{off:#}");
    assert_eq!(number(off, "returned"), 0, "{off:#}");
    let with_policy = format!("{old}_mta-sts TXT \"v=STSv1; id=1\"\n");
    fs::write(folder.path().join("policy.zone"), with_policy).expect("written");
    let with_policy = rehearse(folder.path(), &["policy.zone", "--change", "new.zone"]);
    let text = rehearse(folder.path(), &arguments);
    let left_out = "Left out: the MTA-STS policy; it has to name the new exchangers";
    assert!(with_policy.contains(left_out) && !text.contains(left_out));
    for told in [
        &format!("{late} of those that come after it"),
        &format!("they leave {late} messages waiting"),
        &format!("{late} messages come back to their authors"),
        "Keep mx1.example.test, mx2.example.test taking mail for 1d after the change. Or lower the TTLs to five minutes that long before it.",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

/// Whatever the TTL is, some remember the old records for just about as long.
#[test]
fn old_records_are_remembered_for_their_ttl_however_long_it_is() {
    for ttl in [5 * MINUTE, HOUR, 6 * HOUR] {
        let old = PAIR.replace("3600", &ttl.to_string());
        let new = "$ORIGIN example.test.\n$TTL 60\n@ MX 10 in.provider.test.\n";
        let folder = folder(&[("old.zone", &old), ("new.zone", new)]);
        let lines = lines(folder.path(), &["old.zone", "--change", "new.zone"]);
        let last = number(
            drill(&lines, "exchangers stay"),
            "last_at_the_old_after_seconds",
        );
        let interval = (2 * HOUR + 2 * ttl) / 200;
        assert!(
            (ttl - MINUTE - interval..ttl).contains(&last),
            "{ttl}: {last}"
        );
        // Nobody is told to lower what is as low already.
        let is_lowered = |line: &Value| format!("{line}").contains("TTL was five minutes before");
        assert_eq!(lines.iter().any(is_lowered), ttl > 5 * MINUTE, "{ttl}");
        let text = rehearse(folder.path(), &["old.zone", "--change", "new.zone"]);
        let is_advised = text.contains("lower the TTLs to five minutes");
        assert_eq!(is_advised, ttl > 5 * MINUTE, "{text}");
    }
}

/// RFC 2308 section 5: that there is no MX record is remembered for the TTL of the SOA record or the minimum in it,
/// whichever is less; the addresses here are for ten minutes.
#[test]
fn that_there_were_no_mx_records_is_remembered_for_as_long_as_the_soa_record_says() {
    for (ttl, minimum, remembered) in [(DAY, 4 * HOUR, 4 * HOUR), (2 * HOUR, DAY, 2 * HOUR)] {
        let old = format!(
            "$ORIGIN example.test.\n@ {ttl} SOA ns.dns.test. host.dns.test. 1 2 3 4 {minimum}\n@ 600 A 192.0.2.9\n"
        );
        let new = format!("{old}@ 600 MX 10 in.provider.test.\n");
        let folder = folder(&[("old.zone", &old), ("new.zone", &new)]);
        let lines = lines(folder.path(), &["old.zone", "--change", "new.zone"]);
        let stay = drill(&lines, "exchangers stay");
        assert_eq!(number(stay, "remembered_seconds"), remembered, "{stay:#}");
        let last = number(stay, "last_at_the_old_after_seconds");
        let asked_again = remembered - MINUTE;
        assert!(
            last < asked_again && last + 10 * MINUTE > asked_again,
            "{last}: {stay:#}"
        );
    }
}

#[test]
fn a_backup_that_knows_no_users_takes_mail_for_nobody() {
    let folder = folder(&[("a.zone", BACKUP)]);
    let of = |does: &[&str]| lines(folder.path(), &[&["a.zone"], does].concat());
    let down = "mx1.example.test does not answer";
    let taken = |lines: &[Value], title| drill(lines, title)["unknown_users"]["takers"].to_string();
    let lax = of(&["--unknown-users", "backup-accepts"]);
    assert_eq!(taken(&lax, down), r#"{"mx2.example.test":20}"#);
    assert_eq!(taken(&lax, "nothing fails"), "{}");
    let strict = of(&["--unknown-users", "backup-rejects"]);
    assert_eq!(taken(&strict, down), "{}");
    assert_eq!(number(drill(&strict, down), "longest_wait_seconds"), 30);
    // Who is new waits for the next attempt, half an hour later; both take thirty seconds to find mx1 silent.
    let grey = of(&["--backup-greylists", "5m"]);
    let waited = number(drill(&grey, down), "longest_wait_seconds");
    assert_eq!(waited, 30 + 30 * MINUTE + 30);
    let single = self::folder(&[("a.zone", SINGLE)]);
    let run = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .current_dir(single.path())
        .args(["rehearse", "a.zone", "--backup-greylists", "5m"])
        .output()
        .expect("started");
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("found no backup"));
}

/// One exchanger without STARTTLS: by a policy that is enforced mail goes to the other; by one that is tested, and
/// without any, to both.
#[test]
fn a_policy_and_tlsa_records_keep_mail_from_an_exchanger_that_has_lost_its_tls() {
    let sts = format!("{PAIR}_mta-sts TXT \"v=STSv1; id=1\"\n");
    let tlsa = format!("{PAIR}_25._tcp.mx1 TLSA 3 1 1 {}\n", "ab".repeat(32));
    let testing = "version: STSv1\nmode: testing\nmx: *.example.test\nmax_age: 86400\n";
    let folder = folder(&[
        ("sts.zone", &sts),
        ("tlsa.zone", &tlsa),
        ("testing.txt", testing),
        ("a.zone", PAIR),
    ]);
    let takers = |lines: &[Value], title: &str| -> String {
        let takers = drill(lines, title)["takers"].as_object();
        let hosts = takers.expect("takers").keys();
        let labels = hosts.filter_map(|host| host.split('.').next());
        labels.collect::<Vec<_>>().join(", ")
    };
    let lost = "mx1.example.test does not offer STARTTLS";
    let expired = "certificate of mx1.example.test has expired";
    let sts = lines(folder.path(), &["sts.zone"]);
    assert_eq!(takers(&sts, lost), "mx2");
    assert_eq!(takers(&sts, expired), "mx2");
    let tlsa = lines(folder.path(), &["tlsa.zone"]);
    assert_eq!(takers(&tlsa, lost), "mx2");
    // RFC 7672 section 3.1.1: of a key that a record of usage 3 names the dates do not count.
    assert_eq!(takers(&tlsa, expired), "mx1, mx2");
    let old = "the TLSA records are of the old one";
    assert_eq!(takers(&tlsa, old), "mx2");
    let testing = lines(
        folder.path(),
        &["sts.zone", "--mta-sts-policy", "testing.txt"],
    );
    assert_eq!(takers(&testing, lost), "mx1, mx2");
    assert!(!rehearse(folder.path(), &["a.zone"]).contains("STARTTLS"));
}

/// The lifetimes of `docs/schedules.md`: chasquid keeps mail for twenty hours, Courier for a week.
#[test]
fn kinds_of_senders_return_mail_when_their_patience_ends() {
    let folder = folder(&[("a.zone", SINGLE)]);
    let lines = lines(folder.path(), &["a.zone", "--senders", "chasquid,courier"]);
    let returned = |sender: &str, outage: u64| {
        let is_it = |line: &&Value| {
            line["sender"]["name"] == sender && line["outage_seconds"].as_u64() == Some(outage)
        };
        number(lines.iter().find(is_it).expect("a drill"), "returned")
    };
    assert_eq!(returned("chasquid", 12 * HOUR), 0);
    assert!(returned("chasquid", DAY) > 0);
    assert_eq!(returned("courier", 6 * DAY), 0);
    assert!(returned("courier", 8 * DAY) > 0);
}

#[test]
fn a_page_for_people_says_what_it_comes_to_before_anything_else() {
    let zone = "$ORIGIN example.test.\n$TTL 3600\n@ MX 10 mx1\n@ MX 20 relay.provider.test.\nmx1 A 192.0.2.1\n";
    let folder = folder(&[("a.zone", zone)]);
    let text = rehearse(
        folder.path(),
        &["a.zone", "--html", "a.html", "--write", "drills"],
    );
    let page = fs::read_to_string(folder.path().join("a.html")).expect("written");
    let stand_in = "198.18.0.1 stands for the addresses of relay.provider.test";
    let file = fs::read_to_string(folder.path().join("drills/all-down.toml")).expect("written");
    for told in [&text, &page, &file] {
        assert!(told.contains(stand_in), "{told}");
    }
    let places = [
        "<h1>example.test",
        "Mail comes back to its senders in",
        "<table>",
        stand_in,
        "Message by message",
    ]
    .map(|text| page.find(text).unwrap_or_else(|| panic!("{text}")));
    assert!(places.is_sorted(), "{places:?}");
    assert!(!page.contains("as expected") && !page.contains("<script") && !page.contains("http"));
    // What changes nothing is told once, folded.
    assert!(
        text.contains(
            "Nothing changes in 4 more:\n  relay.provider.test does not answer for a day\n"
        ),
        "{text}"
    );
}

/// A domain with so many exchangers, each with an address of its own and the preference that is reckoned of its number.
fn many(count: usize, preference: impl Fn(usize) -> usize) -> String {
    let rows = (0..count).map(|n| {
        let (preference, high, low) = (preference(n), n / 250, n % 250 + 1);
        format!("@ MX {preference} mx{n}\nmx{n} A 10.1.{high}.{low}\n")
    });
    format!(
        "$ORIGIN example.test.\n$TTL 3600\n{}",
        rows.collect::<String>()
    )
}

/// Each silent exchanger costs a sender its thirty seconds, in whatever way preferences are told.
#[test]
fn of_many_preferences_the_first_fail_together_and_mail_waits_for_each_of_them() {
    let folder = folder(&[("a.zone", &many(25, |n| n))]);
    let text = rehearse(folder.path(), &["a.zone"]);
    assert!(text.lines().count() < 32, "{text}");
    assert!(
        text.contains("Left out: what happens when one of mx3.example.test"),
        "{text}"
    );
    let lines = lines(folder.path(), &["a.zone"]);
    for (count, title) in [
        (1, "mx0.example.test does not answer for a day"),
        (2, "none of the first 2 of 25 preferences"),
        (20, "none of the first 20 of 25 preferences"),
        (24, "none but preference 24 answers"),
    ] {
        let line = drill(&lines, title);
        let taker = format!("mx{count}.example.test");
        assert_eq!(number(line, "longest_wait_seconds"), count * 30, "{line:#}");
        assert_eq!(
            line["takers"]
                .as_object()
                .map(|all| all.keys().eq([&taker])),
            Some(true),
            "{line:#}"
        );
        assert!(
            line["merged"][0]
                .as_str()
                .is_some_and(|told| told.starts_with("left out")),
            "{line:#}"
        );
    }
}

#[test]
fn exchangers_that_nothing_distinguishes_are_drilled_as_one_of_them() {
    // One has an address of each family: it is not like the others.
    let zone = many(14, |_| 10) + "mx7 AAAA 2001:db8::7\n";
    let folder = folder(&[("a.zone", &zone)]);
    let lines = lines(folder.path(), &["a.zone"]);
    let down: Vec<&Value> = lines
        .iter()
        .filter(|line| {
            line["drill"]
                .as_str()
                .is_some_and(|drill| drill.contains("test (one of") || drill.starts_with("mx7"))
        })
        .filter(|line| {
            line["drill"]
                .as_str()
                .is_some_and(|drill| drill.ends_with("does not answer for a day"))
        })
        .collect();
    let [alike, other] = &down[..] else {
        panic!("{down:#?}");
    };
    assert_eq!(number(alike, "alike"), 13, "{alike:#}");
    assert_eq!(number(alike, "longest_wait_seconds"), 30, "{alike:#}");
    assert!(
        other["drill"]
            .as_str()
            .is_some_and(|drill| drill.starts_with("mx7.")),
        "{other:#}"
    );
    // What refuses mail is one that some comes to.
    let refused = drill(&lines, "(one of 13 alike) rejects everything");
    assert!(number(refused, "returned") > 0, "{refused:#}");
    let text = rehearse(folder.path(), &["a.zone"]);
    assert!(text.lines().count() < 32, "{text}");
    let told = "nothing distinguishes 13 exchangers of preference 10, mx0.example.test, mx1.example.test and 11 more";
    assert!(text.contains(told), "{text}");
    // In turn they are as many phases, which are told as a few.
    let text = rehearse(folder.path(), &["a.zone", "--rolling", "10m"]);
    assert!(
        text.lines().count() < 32 && text.contains(" in turn "),
        "{text}"
    );
}
