//! Shared fate: what an outage takes with it over many domains, held against an independent count.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use serde_json::Value;

/// Debian's, and that of most systems with one.
const PYTHON: &str = "/usr/bin/python3";
const SEED: &str = "7";
const DOMAINS: &str = "2000";

/// What the command says on both outputs, and its exit status.
fn rehearse(folder: &Path, arguments: &[&str]) -> (String, String, Option<i32>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mxdrill"));
    command.current_dir(folder).arg("rehearse").args(arguments);
    let output = command.output().expect("it ran");
    let [out, err] =
        [output.stdout, output.stderr].map(|octets| String::from_utf8_lossy(&octets).into_owned());
    (out, err, output.status.code())
}

/// The outages among lines of JSON by kind and name, and the last line, which is about all of them.
fn outages(json: &str) -> (BTreeMap<String, Value>, Value) {
    let is_of_a_domain =
        |line: &&str| line.contains("\"drill\"") || line.contains("\"not_rehearsed\":\"");
    let lines = json.lines().filter(|line| !is_of_a_domain(line));
    let lines = lines.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let (outages, mut rest): (Vec<Value>, Vec<Value>) =
        lines.partition(|line| line.get("outage").is_some());
    let outages = outages.into_iter().map(|line| {
        let of = |key: &str| line["outage"][key].as_str().expect("text").to_owned();
        (format!("{} {}", of("kind"), of("name")), line)
    });
    (outages.collect(), rest.pop().expect("what it comes to"))
}

fn names(value: &Value) -> BTreeSet<&str> {
    let names = value.as_array().unwrap_or_else(|| panic!("{value}"));
    names.iter().filter_map(Value::as_str).collect()
}

#[test]
fn what_an_outage_takes_with_it_is_what_an_independent_script_counts() {
    if !Path::new(PYTHON).exists() {
        eprintln!("skipped: there is no {PYTHON}, by which the count is made");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/shared_fate/portfolio.py");
    let made = Command::new(PYTHON)
        .arg(script)
        .arg(folder.path().join("zones"))
        .args([SEED, DOMAINS])
        .output()
        .expect("it ran");
    assert!(made.status.success(), "{made:?}");
    let expected: Value = serde_json::from_slice(&made.stdout).expect("JSON");
    // Domains with an implicit MX, too, are found without being listed.
    let arguments = ["zones", "--shared", "--format", "json"];
    let (json, err, status) = rehearse(folder.path(), &arguments);
    assert_eq!(status, Some(0), "{err}");
    let (found, sum) = outages(&json);
    let counted = expected["outages"].as_object().expect("outages");
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        counted
            .keys()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>()
    );
    for (outage, line) in &found {
        let expected = &counted[outage];
        for fate in ["another", "waits", "lost_if_longer"] {
            let (found, wanted) = (names(&line["names"][fate]), names(&expected[fate]));
            let wrong: Vec<&&str> = found.symmetric_difference(&wanted).take(5).collect();
            assert!(
                wrong.is_empty(),
                "{fate} in the outage of {outage}: {wrong:?}, ..."
            );
            let count = wanted.len();
            assert_eq!(
                line["domains"][fate], count,
                "{fate} in the outage of {outage}"
            );
        }
        assert_eq!(
            line["domains"]["unnoticed"], expected["unnoticed"],
            "{outage}"
        );
        assert_eq!(line["domains"]["lost"], 0, "{outage}");
    }
    assert_eq!(sum["counted"], expected["counted"]);
    let without = &sum["not_counted"]["take_no_mail"];
    assert_eq!(names(without), names(&expected["take_no_mail"]));
    // What is to be mended first is said of domains that wait for just that outage, and so is what is left then.
    let mend = &sum["mend_first"][0];
    let outage = format!(
        "{} {}",
        mend["outage"]["kind"].as_str().expect("a kind"),
        mend["outage"]["name"].as_str().expect("a name")
    );
    let mended = names(&mend["domains_without_an_exchanger_outside"]);
    let waiting = names(&counted[&outage]["waits"]);
    assert!(!mended.is_empty() && mended.is_subset(&waiting), "{mend}");
    for left in mend["left"].as_array().expect("outages") {
        let key = format!(
            "{} {}",
            left["outage"]["kind"].as_str().expect("a kind"),
            left["outage"]["name"].as_str().expect("a name")
        );
        let own = key.strip_prefix("zone ");
        let waiting = names(&counted[&key]["waits"]);
        // Nothing helps a domain whose MX records cannot be looked up.
        let still = waiting
            .iter()
            .filter(|name| !mended.contains(*name) || own == Some(**name));
        assert_eq!(left["domains"]["lost_if_longer"], still.count(), "{key}");
    }
}

/// Three domains: one with a single exchanger of an operator, one with a second one elsewhere, one that takes no mail.
fn few() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (zone, text) in [
        ("op.example", "mx1 A 192.0.2.1\n"),
        ("far.example", "mx A 198.51.100.1\n"),
        ("a.example", "@ MX 10 mx1.op.example.\n"),
        (
            "b.example",
            "@ MX 10 mx1.op.example.\n@ MX 20 mx.far.example.\n",
        ),
        ("c.example", "@ MX 0 .\n"),
    ] {
        let soa = "@ SOA ns.dns.example. host.dns.example. 1 3600 600 864000 300\n";
        let file = folder.path().join(format!("{zone}.zone"));
        fs::write(file, format!("$ORIGIN {zone}.\n$TTL 300\n{soa}{text}")).expect("written");
    }
    folder
}

#[test]
fn what_waits_is_lost_by_senders_who_keep_mail_for_less_than_the_outage() {
    let folder = few();
    for (more, waits, lost) in [
        (&[][..], &["a.example"][..], &[][..]),
        (&["--lifetime", "12h"], &[], &["a.example"]),
    ] {
        let arguments = [&[".", "--shared", "--format", "json"], more].concat();
        let (json, ..) = rehearse(folder.path(), &arguments);
        let (found, sum) = outages(&json);
        for outage in [
            "exchanger mx1.op.example",
            "address 192.0.2.1",
            "network 192.0.2.0/24",
            "operator op.example",
            "zone op.example",
        ] {
            let of = &found[outage]["names"];
            assert_eq!(
                names(&of["waits"]),
                waits.iter().copied().collect(),
                "{outage}"
            );
            assert_eq!(
                names(&of["lost"]),
                lost.iter().copied().collect(),
                "{outage}"
            );
            assert_eq!(names(&of["lost_if_longer"]), BTreeSet::from(["a.example"]));
            assert_eq!(names(&of["another"]), BTreeSet::from(["b.example"]));
        }
        // The backup is not missed.
        assert_eq!(found["exchanger mx.far.example"]["domains"]["unnoticed"], 2);
        let mend = &sum["mend_first"];
        assert_eq!(mend.as_array().map(Vec::len), Some(1), "{sum}");
        let helped = &mend[0]["domains_without_an_exchanger_outside"];
        assert_eq!(names(helped), BTreeSet::from(["a.example"]));
        assert_eq!(mend[0]["left"], Value::Array(Vec::new()));
    }
}

/// A domain without a backup is the one most at risk, and what is assumed of backups means nothing to it.
#[test]
fn what_backups_do_is_assumed_of_those_that_there_are() {
    let folder = few();
    for (assumed, b_waits) in [
        (&["--backup-greylists", "5m"][..], true),
        (&["--unknown-users", "backup-accepts"], false),
    ] {
        let arguments = [&[".", "--format", "json"], assumed].concat();
        let (json, err, status) = rehearse(folder.path(), &arguments);
        assert_eq!(status, Some(0), "{err}");
        let drilled = json
            .lines()
            .any(|line| line.contains("\"drill\"") && line.contains("\"domain\":\"a.example\""));
        assert!(drilled, "{json}");
        let (found, sum) = outages(&json);
        assert_eq!(sum["counted"], 2, "{sum}");
        assert_eq!(names(&sum["not_counted"]["not_rehearsed"]), BTreeSet::new());
        let waits = names(&found["exchanger mx1.op.example"]["names"]["waits"]);
        assert!(waits.contains("a.example"), "{waits:?}");
        // Who is new to the greylist waits for the next attempt.
        assert_eq!(waits.contains("b.example"), b_waits, "{waits:?}");
    }
    let alone = ["a.example", ".", "--backup-greylists", "5m"];
    let (_, err, status) = rehearse(folder.path(), &alone);
    assert_eq!(status, Some(2));
    assert!(err.contains("found no backup"), "{err}");
}

#[test]
fn the_worst_is_told_drawn_and_written_as_drills_that_pass() {
    let folder = few();
    let arguments = [".", "--shared", "--html", "page.html", "--write", "drills"];
    let (text, err, _) = rehearse(folder.path(), &arguments);
    for told in [
        "Shared fate of 2 domains",
        "operator op.example (192.0.2.0/24, mx1.op.example and 1 more)",
        "Mend first: this domain has no exchanger that is left while those of op.example fail: a.example.",
        "no outage is left that makes mail wait for its end.",
        "Not counted: c.example (mail for them goes nowhere).",
    ] {
        assert!(text.contains(told), "{told}: {text}");
    }
    let page = fs::read_to_string(folder.path().join("page.html")).expect("a page");
    for told in [
        "<h1>2 domains",
        "<b class=\"at-stake\" style=\"flex-grow:1\"></b><b class=\"another\" style=\"flex-grow:1\"></b>",
    ] {
        assert!(page.contains(told), "{told}: {page}");
    }
    let drills = folder.path().join("drills/shared-fate");
    let written = fs::read_dir(drills.join("operator-op.example")).expect("a folder");
    assert_eq!(written.count(), 2, "{err}");
    let mut run = Command::new(env!("CARGO_BIN_EXE_mxdrill"));
    let run = run.arg("run").arg(&drills).output().expect("it ran");
    assert!(run.status.success(), "{run:?}");
}

#[test]
fn planned_work_and_single_domains_have_no_shared_fate() {
    let folder = few();
    for arguments in [
        &["a.example", ".", "--format", "text"][..],
        &["a.example", "b.example", ".", "--down", "mx1=1h"],
    ] {
        let (text, err, status) = rehearse(folder.path(), arguments);
        assert_eq!(status, Some(0), "{err}");
        assert!(!text.contains("Shared fate"), "{text}");
    }
    let (_, err, status) = rehearse(folder.path(), &["a.example", ".", "--shared"]);
    assert_eq!(status, Some(2));
    assert!(
        err.contains("found fewer than two domains that take mail"),
        "{err}"
    );
}

#[test]
fn a_rehearsal_of_several_domains_ends_with_what_they_share() {
    let folder = few();
    let (text, err, status) = rehearse(folder.path(), &["a.example", "b.example", "."]);
    assert_eq!(status, Some(0), "{err}");
    let places = ["messages a drill", "Shared fate of 2 domains"].map(|told| text.find(told));
    assert!(places.is_sorted() && !places.contains(&None), "{text}");
}
