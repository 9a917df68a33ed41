//! Thousands of domains at once: what they have alike is said once, and each of them is accounted for.

mod domains;

use std::{collections::BTreeSet, fs};

use domains::{domains_in, mxdrill};

/// Domains at one hoster.
const DOMAINS: usize = 50;

/// A folder of zones: that of a hoster, those of domains at its exchangers, and a file that is none.
fn portfolio() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(folder.path().join(name), text).expect("written");
    };
    let soa =
        "@ SOA ns.host.test. hostmaster.host.test. 1 3600 600 864000 300\n@ NS ns.host.test.\n";
    for i in 0..DOMAINS {
        // Without $ORIGIN: the file's name says what relative names are completed by.
        let text = format!(
            "$TTL 300\n{soa}@ MX 10 mx1.host.test.\n@ MX 20 mx2.host.test.\n@ TXT \"v=spf1 mx -all\"\n"
        );
        write(
            &match i % 3 {
                0 => format!("d{i}.test"),
                1 => format!("db.d{i}.test"),
                _ => format!("d{i}.test.zone"),
            },
            &text,
        );
    }
    write(
        "host.test.zone",
        &format!("$TTL 300\n{soa}ns A 192.0.2.53\nmx1 A 192.0.2.1\nmx2 A 198.51.100.1\n"),
    );
    write(
        "other.test.zone",
        &format!("$TTL 300\n{soa}@ MX 5 mx2.host.test.\n"),
    );
    write("notes.md", "no zone\n");
    write("zones.json", "{}\n");
    write(".hidden", "");
    folder
}

#[test]
fn domains_with_one_route_are_one_group_and_all_are_accounted_for() {
    let folder = portfolio();
    for command in ["plan", "rehearse", "lint"] {
        let (text, status) = mxdrill(&[command, "."], folder.path());
        assert!(status.is_some_and(|status| status < 2), "{command}: {text}");
        assert!(text.lines().count() < 100, "{command}: {text}");
        let (json, _) = mxdrill(&[command, ".", "--format", "json"], folder.path());
        let told = domains_in(&json);
        assert_eq!(told.len(), DOMAINS + 1, "{command}: {told:?}");
    }
    let (plan, _) = mxdrill(&["plan", "."], folder.path());
    let others = "mxdrill: .: passed over notes.md and 1 more, not named";
    assert!(plan.contains(others), "{plan}");
    assert!(
        plan.starts_with(
            "Mail for d0.test, d1.test and 48 more goes to its MX records (50 files)\n"
        ),
        "{plan}"
    );
    // What differs in one record is a group of its own, with the file that holds it.
    assert!(
        plan.contains("Mail for other.test goes to its MX records (./other.test.zone)"),
        "{plan}"
    );
    let (rehearsed, _) = mxdrill(&["rehearse", "."], folder.path());
    assert_eq!(
        rehearsed.matches("messages a drill").count(),
        2,
        "{rehearsed}"
    );
}

/// Six zones, each with a serial number, TTLs and a policy's id of its own, and one that differs in a preference.
#[test]
fn serial_numbers_and_ttls_are_no_difference_between_routes_and_a_policy_is_one() {
    let folder = tempfile::tempdir().expect("a folder");
    for i in 1..=7 {
        let (backup, policy) = match i {
            1..=3 => (20, String::new()),
            // No policy without an id (RFC 8461 section 3.1).
            4 => (20, "_mta-sts TXT \"v=STSv1;\"\n".to_owned()),
            5 | 6 => (20, format!("_mta-sts TXT \"v=STSv1; id={i}\"\n")),
            _ => (10, String::new()),
        };
        let text = format!(
            "$TTL {i}00\n@ SOA ns{i}.host.test. hostmaster.d{i}.test. {i} 3600 600 864000 300\n\
             @ MX 10 mx1.host.test.\n@ {i}0 MX {backup} mx2.host.test.\n{policy}"
        );
        fs::write(folder.path().join(format!("d{i}.test.zone")), text).expect("written");
    }
    let hosts = "mx1.host.test. 300 A 192.0.2.1\nmx2.host.test. 300 A 198.51.100.1\n";
    fs::write(folder.path().join("hosts"), hosts).expect("written");
    let (rehearsed, status) = mxdrill(&["rehearse", ".", "hosts"], folder.path());
    assert_eq!(status, Some(0), "{rehearsed}");
    let tables: Vec<&str> = rehearsed
        .lines()
        .filter(|line| line.contains("messages a drill"))
        .filter_map(|line| line.split(" (").next())
        .collect();
    assert_eq!(
        tables,
        [
            "d1.test, d2.test and 2 more",
            "d5.test and d6.test",
            "d7.test"
        ],
        "{rehearsed}"
    );
}

#[test]
fn findings_alike_are_one_with_a_count_and_all_are_told_if_asked_for() {
    let folder = portfolio();
    let (text, _) = mxdrill(&["lint", "."], folder.path());
    let (all, _) = mxdrill(&["lint", ".", "-v"], folder.path());
    let lines = |text: &str, check: &str| text.matches(&format!("[{check}]")).count();
    assert_eq!(lines(&text, "dmarc-missing"), 1, "{text}");
    assert!(
        text.contains("[dmarc-missing] (and 50 more like it: -v)"),
        "{text}"
    );
    assert_eq!(lines(&all, "dmarc-missing"), DOMAINS + 1, "{all}");
    assert!(!all.contains("more like it"), "{all}");
}

#[test]
fn domains_are_listed_in_a_file_too() {
    let folder = portfolio();
    fs::write(
        folder.path().join("list.conf"),
        "# ours\nd7.test\n\nOTHER.test. # moved\nd7.test\n",
    )
    .expect("written");
    let arguments = ["plan", ".", "--domains", "list.conf", "--format", "json"];
    let (json, status) = mxdrill(&arguments, folder.path());
    assert_eq!(status, Some(0), "{json}");
    let expected = ["d7.test", "other.test"].map(str::to_owned);
    assert_eq!(domains_in(&json), BTreeSet::from(expected));
    fs::write(folder.path().join("list.conf"), "d7.test\na..b\n").expect("written");
    let (text, status) = mxdrill(&["plan", ".", "--domains", "list.conf"], folder.path());
    assert_eq!(status, Some(2));
    assert!(text.contains("list.conf:2:1: found \"a..b\""), "{text}");
}

#[test]
fn one_domain_that_is_named_is_read_from_its_own_file_of_many() {
    let folder = tempfile::tempdir().expect("a folder");
    let soa = "@ 300 SOA ns.host.test. hostmaster.host.test. 1 3600 600 864000 300\n";
    for (soa, name) in [("", "list"), (soa, "zones")] {
        let zones = folder.path().join(name);
        fs::create_dir(&zones).expect("made");
        for i in 0..3 {
            let text = format!("{soa}@ 300 MX 10 mx\nmx 300 A 192.0.2.{i}\n");
            fs::write(zones.join(format!("d{i}.test.zone")), text).expect("written");
        }
        fs::write(folder.path().join("one.txt"), "d1.test\n").expect("written");
        for named in [&["d1.test"][..], &["--domains", "one.txt"]] {
            let arguments = [&["plan", name, "--format", "json"], named].concat();
            let (json, status) = mxdrill(&arguments, folder.path());
            assert_eq!(status, Some(0), "{json}");
            let plan: serde_json::Value = serde_json::from_str(&json).expect("JSON");
            let exchangers = &plan["levels"][0]["exchangers"];
            assert_eq!(exchangers[0]["host"], "mx.d1.test", "{json}");
            assert_eq!(exchangers[1], serde_json::Value::Null, "{json}");
        }
        // A file whose name says nothing is still about the domain that is named, and --origin speaks for all.
        let unnamed = zones.join("export");
        fs::copy(zones.join("d1.test.zone"), &unnamed).expect("copied");
        let unnamed = format!("{name}/export");
        for arguments in [
            &["plan", &*unnamed, "d9.test"][..],
            &[
                "plan",
                &format!("{name}/d1.test.zone"),
                "d9.test",
                "--origin",
                "d9.test",
            ],
        ] {
            let (plan, status) = mxdrill(arguments, folder.path());
            assert_eq!(status, Some(0), "{plan}");
            assert!(plan.contains(" mx.d9.test "), "{plan}");
        }
    }
}

#[test]
fn a_folder_without_a_zone_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("notes.md"), "").expect("written");
    let (text, status) = mxdrill(&["plan", "."], folder.path());
    assert_eq!(status, Some(2));
    assert!(text.contains("found no zone file in this folder"), "{text}");
}

/// Three domains: two at exchangers of their own whose names end alike, and one at those of the first.
fn alike() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in [
        (
            "a.test.zone",
            "@ 300 MX 10 mxa.test.\nmx1 300 A 192.0.2.1\n",
        ),
        (
            "b.test.zone",
            "@ 300 MX 10 mxb.test.\nmx1 300 A 192.0.2.2\n",
        ),
        ("c.test.zone", "@ 300 MX 10 mxa.test.\n"),
        ("d.test.zone", "@ 300 MX 10 mx1\nmx1 300 A 192.0.2.4\n"),
        ("e.test.zone", "@ 300 MX 10 mx1\nmx1 300 A 192.0.2.4\n"),
    ] {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

#[test]
fn names_that_are_alike_are_no_route_that_is_one() {
    let folder = alike();
    let (plan, _) = mxdrill(&["plan", "."], folder.path());
    let headings: Vec<&str> = plan
        .lines()
        .filter(|line| line.starts_with("Mail for"))
        .collect();
    assert_eq!(
        headings,
        [
            "Mail for a.test and c.test goes to its MX records (2 files)",
            "Mail for b.test goes to its MX records (./b.test.zone)",
            "Mail for d.test goes to its MX records (./d.test.zone)",
            "Mail for e.test goes to its MX records (./e.test.zone)",
        ],
        "{plan}"
    );
    let (json, _) = mxdrill(&["rehearse", ".", "--format", "json"], folder.path());
    let lines = json.lines().filter(|line| line.contains("\"drill\""));
    for line in lines {
        let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let own = match value["domain"].as_str() {
            Some("a.test" | "c.test") => "mxa.test",
            Some("b.test") => "mxb.test",
            Some("d.test") => "mx1.d.test",
            _ => "mx1.e.test",
        };
        let takers = value["takers"].as_object().expect("takers");
        assert!(takers.keys().all(|host| host == own), "{line}");
    }
}

#[test]
fn drills_that_are_written_are_those_of_each_domain() {
    let folder = alike();
    let (told, status) = mxdrill(&["rehearse", ".", "--write", "drills"], folder.path());
    assert_eq!(status, Some(0), "{told}");
    for domain in ["a.test", "b.test", "c.test", "d.test", "e.test"] {
        let drills = fs::read_dir(folder.path().join("drills").join(domain)).expect("a folder");
        assert!(drills.count() > 3, "{domain}: {told}");
    }
}

#[test]
fn a_domain_that_takes_no_mail_is_no_rehearsal_by_itself() {
    let folder = alike();
    let write =
        |name: &str, text: &str| fs::write(folder.path().join(name), text).expect("written");
    write("null.test.zone", "@ 300 MX 0 .\n");
    write("page.html", "an earlier page\n");
    let alone = ["rehearse", "null.test.zone", "--html", "page.html"];
    let (told, status) = mxdrill(&alone, folder.path());
    assert_eq!(status, Some(2), "{told}");
    let page = fs::read_to_string(folder.path().join("page.html")).expect("a page");
    assert_eq!(page, "an earlier page\n");
}

#[test]
fn a_baseline_that_is_written_again_keeps_its_reasons() {
    let folder = alike();
    let lint = ["lint", "b.test.zone", "--write-baseline", "known.toml"];
    mxdrill(&lint, folder.path());
    let path = folder.path().join("known.toml");
    let written = fs::read_to_string(&path).expect("a baseline");
    let reasoned = written.replace("found when the baseline was written", "we know");
    assert_ne!(written, reasoned);
    fs::write(&path, &reasoned).expect("written");
    mxdrill(
        &[&lint[..], &["--baseline", "known.toml"]].concat(),
        folder.path(),
    );
    assert_eq!(fs::read_to_string(&path).expect("a baseline"), reasoned);
}

#[test]
fn a_list_of_domains_with_none_in_it_is_a_mistake() {
    let folder = alike();
    for (text, told) in [
        (
            "# none yet\n",
            "domains.txt: found no domain in it, expected a name a line",
        ),
        (
            "a.test\nnot a name\n",
            "domains.txt:2:1: found \"not a name\", expected one name in a line",
        ),
        // All of them are told, each at its place.
        (
            "a.test\n  a b # two\n\nc d",
            "domains.txt:2:3: found \"a b\", expected one name in a line\n\
             domains.txt:4:1: found \"c d\", expected one name in a line",
        ),
    ] {
        fs::write(folder.path().join("domains.txt"), text).expect("written");
        let (said, status) = mxdrill(&["lint", "--domains", "domains.txt"], folder.path());
        assert_eq!(status, Some(2), "{said}");
        assert!(said.contains(told), "{said}");
    }
}

/// More than are looked up and rehearsed by one thread alone: all cores take part, and nobody can tell.
#[test]
fn very_many_domains_are_told_in_their_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let names: Vec<String> = (1000..1250).map(|n| format!("d{n}.test")).collect();
    let rows = names.iter().enumerate();
    let rows: String = rows
        .map(|(n, name)| {
            format!(
                "{name}. 300 MX 10 mx.{name}.\nmx.{name}. 300 A 10.1.{}.{}\n",
                n / 200,
                n % 200 + 1
            )
        })
        .collect();
    fs::write(folder.path().join("all.zone"), rows).expect("written");
    let in_order = |json: &str| {
        let mut told: Vec<String> = Vec::new();
        for line in json.lines().filter(|line| line.starts_with('{')) {
            let value: serde_json::Value = serde_json::from_str(line).expect("JSON");
            // What a rehearsal says of all of them together is said of none.
            let domain = value["domain"].as_str().map(str::to_owned);
            if domain.is_some() && told.last() != domain.as_ref() {
                told.extend(domain);
            }
        }
        told
    };
    let (plan, status) = mxdrill(&["plan", "all.zone", "--format", "json"], folder.path());
    assert_eq!((in_order(&plan), status), (names.clone(), Some(0)));
    let lint = ["lint", "all.zone", "--format", "json", "--fail-on", "never"];
    let (linted, _) = mxdrill(&lint, folder.path());
    // What was found of each, in the order of the file, then what was not seen of each.
    assert_eq!(in_order(&linted), [&names[..], &names].concat());
    let some: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
    let list = some.join("\n");
    fs::write(folder.path().join("list.conf"), &list).expect("written");
    let rehearse = [
        "rehearse",
        "all.zone",
        "--domains",
        "list.conf",
        "--format",
        "json",
    ];
    let (rehearsed, _) = mxdrill(&rehearse, folder.path());
    assert_eq!(in_order(&rehearsed), some);
    // Those that no file has are told however many others there are.
    for (list, unknown) in [
        (
            names.join("\n") + "\nother.test\n",
            "other.test is in none of the files with its MX records (all.zone)",
        ),
        (
            "x.test\nd1000.test\ny.test\nz.test\n".to_owned(),
            "x.test, y.test and 1 more are in none of the files with their MX records (all.zone)",
        ),
    ] {
        fs::write(folder.path().join("other.conf"), list).expect("written");
        let other = ["plan", "all.zone", "--domains", "other.conf"];
        let (told, status) = mxdrill(&other, folder.path());
        assert_eq!(status, Some(2), "{told}");
        assert!(told.contains(unknown), "{told}");
    }
}
