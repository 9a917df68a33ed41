//! Every domain of a portfolio is accounted for in JSON, whatever becomes of its mail.

mod domains;

use std::{collections::BTreeSet, fs};

use domains::{domains_in, mxdrill};

/// Zones of every kind beside each other: with MX records, with an address instead, with a null MX; of hosts alone; reverse.
fn kinds() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let soa = "@ 300 SOA ns.dns.test. hostmaster.dns.test. 1 3600 600 864000 300\n";
    for (name, soa, text) in [
        ("a.test", soa, "@ 300 MX 10 mx\nmx 300 A 192.0.2.1\n"),
        (
            "imp.test",
            soa,
            "@ 300 AAAA 2001:db8::1\nwww 300 A 192.0.2.2\n",
        ),
        ("alias.test", soa, "@ 300 ALIAS lb.elb.test.\n"),
        // A list that is named after its zone.
        ("bare.test", "", "@ 300 A 192.0.2.3\n"),
        // One that says nothing of addresses.
        ("text.test", "", "@ 300 ALIAS lb.elb.test.\n@ 300 TXT x\n"),
        ("nul.test", soa, "@ 300 MX 0 .\n"),
        ("host.test", soa, "mx1 300 A 192.0.2.4\n"),
        ("2.0.192.in-addr.arpa", soa, "1 300 PTR mx.a.test.\n"),
        // A list whose topmost name is a host.
        ("hosts", "", "mx9.other.test. 300 A 192.0.2.9\n"),
    ] {
        let text = format!("{soa}{text}");
        fs::write(folder.path().join(format!("{name}.zone")), text).expect("written");
    }
    let octodns = "---\n\"\":\n  type: A\n  value: 192.0.2.5\n";
    fs::write(folder.path().join("octo.test.yaml"), octodns).expect("written");
    folder
}

#[test]
fn zones_whose_own_address_takes_their_mail_are_accounted_for() {
    let folder = kinds();
    let expected = ["a", "alias", "bare", "imp", "nul", "octo"].map(|name| format!("{name}.test"));
    for command in ["plan", "lint"] {
        let (json, _) = mxdrill(&[command, ".", "--format", "json"], folder.path());
        assert_eq!(
            domains_in(&json),
            BTreeSet::from(expected.clone()),
            "{json}"
        );
    }
    let (text, _) = mxdrill(&["plan", "."], folder.path());
    assert_eq!(text.matches("goes to its own address").count(), 4, "{text}");
    // Where there is no MX record, the heading names the file of what there is.
    for name in ["a", "alias", "bare", "imp", "nul"] {
        assert_eq!(
            text.matches(&format!("(./{name}.test.zone)")).count(),
            1,
            "{text}"
        );
    }
}

#[test]
fn a_domain_in_which_nothing_is_found_has_its_line_in_json() {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, policy) in [("a.test", "-all"), ("b.test", "-all"), ("c.test", "+all")] {
        let text = format!(
            "$TTL 3600\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\n@ NS ns2\nns1 A 192.0.2.1\n\
             ns2 A 198.51.100.1\n@ A 192.0.2.80\n@ MX 0 .\n@ TXT \"v=spf1 {policy}\"\n\
             _dmarc TXT \"v=DMARC1; p=reject; rua=mailto:dmarc@{name}\"\n"
        );
        fs::write(folder.path().join(format!("{name}.zone")), text).expect("written");
    }
    let (json, _) = mxdrill(&["lint", ".", "--format", "json"], folder.path());
    let lines = json
        .lines()
        .map(|line| -> serde_json::Value { serde_json::from_str(line).expect("JSON") });
    let lines: Vec<_> = lines
        .filter(|line| line.get("findings").is_some())
        .collect();
    let told: Vec<_> = lines.iter().map(|line| line["domain"].as_str()).collect();
    assert_eq!(told, ["a.test", "b.test", "c.test"].map(Some), "{json}");
    let of = |domain: &str| {
        let found = json.lines().filter(|line| line.contains("\"severity\""));
        found
            .filter(|line| line.contains(&format!("\"domain\":\"{domain}\"")))
            .count()
    };
    for line in &lines {
        let domain = line["domain"].as_str().expect("a domain");
        assert_eq!(line["findings"], of(domain), "{json}");
        assert!(line["not_checked"].is_array(), "{json}");
    }
    assert!(of("a.test") == 0 && of("c.test") > 0, "{json}");
}

/// The reasons why domains were not rehearsed, in lines of JSON.
fn reasons(json: &str) -> Vec<(String, String)> {
    let lines = json.lines().filter(|line| line.starts_with('{'));
    let lines =
        lines.map(|line| -> serde_json::Value { serde_json::from_str(line).expect("JSON") });
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    lines
        .filter_map(|line| Some((text(&line["domain"])?, text(&line["not_rehearsed"])?)))
        .collect()
}

#[test]
fn a_domain_that_takes_no_mail_is_told_with_the_reason_and_no_failure_of_the_others() {
    let folder = kinds();
    let expected = ["a", "alias", "bare", "imp", "nul", "octo"].map(|name| format!("{name}.test"));
    for more in [&[][..], &["--rolling", "10m"], &["--senders", "postfix"]] {
        let arguments = [&["rehearse", ".", "--format", "json"], more].concat();
        let (json, status) = mxdrill(&arguments, folder.path());
        assert_eq!(status, Some(0), "{json}");
        assert_eq!(
            domains_in(&json),
            BTreeSet::from(expected.clone()),
            "{json}"
        );
        let [(domain, why)] = &reasons(&json)[..] else {
            panic!("{json}");
        };
        assert_eq!(domain, "nul.test");
        assert!(why.contains("null MX"), "{why}");
    }
    // One that takes mail, and what is planned at an exchanger of its own: nothing is shared, and all are told.
    let two = [
        "rehearse",
        "a.test.zone",
        "nul.test.zone",
        "--format",
        "json",
    ];
    for more in [&[][..], &["--down", "mx=2h"]] {
        let (json, status) = mxdrill(&[&two, more].concat(), folder.path());
        assert_eq!((status, reasons(&json).len()), (Some(0), 1), "{json}");
        assert!(json.contains("\"drill\""), "{json}");
    }
    let (text, status) = mxdrill(&two[..3], folder.path());
    assert_eq!(status, Some(0), "{text}");
    assert!(
        text.contains("mxdrill: nul.test: nothing to rehearse"),
        "{text}"
    );
    let shared = ["rehearse", ".", "--shared", "--format", "json"];
    let (json, status) = mxdrill(&shared, folder.path());
    assert_eq!((status, reasons(&json).len()), (Some(0), 1), "{json}");
    // What is asked for and cannot be is a failure still, also beside others, with its own reason.
    let wrong = [
        "rehearse",
        "a.test.zone",
        "imp.test.zone",
        "--down",
        "mx=2h",
        "--format",
        "json",
    ];
    let (json, status) = mxdrill(&wrong, folder.path());
    assert_eq!(status, Some(2), "{json}");
    let why = "found \"mx\", expected an exchanger of imp.test";
    assert!(reasons(&json)[0].1.starts_with(why), "{json}");
    // Nothing was rehearsed.
    let nothing = ["rehearse", "nul.test.zone", "--format", "json"];
    let (json, status) = mxdrill(&nothing, folder.path());
    assert_eq!((status, reasons(&json).len()), (Some(2), 1), "{json}");
    let none = folder.path().join("none.test.zone");
    fs::write(none, "@ 300 MX 0 .\n").expect("written");
    let (text, status) = mxdrill(
        &["rehearse", "nul.test.zone", "none.test.zone"],
        folder.path(),
    );
    assert_eq!(status, Some(2), "{text}");
}

#[test]
fn of_how_many_domains_something_was_not_checked_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    for (count, told) in [
        (20, None),
        (21, Some("not checked of 1 domain more")),
        (30, Some("not checked of 10 domains more")),
    ] {
        // Each at an exchanger of its own, of which no file has the address.
        let rows = (0..count).map(|n| format!("d{n}.test. 300 MX 10 mx.host{n}.test.\n"));
        fs::write(folder.path().join("all.zone"), rows.collect::<String>()).expect("written");
        let (text, _) = mxdrill(&["lint", "all.zone"], folder.path());
        let lines = text.lines().filter(|line| line.starts_with("not checked"));
        assert_eq!(
            lines.count(),
            count.min(20) + usize::from(told.is_some()),
            "{text}"
        );
        assert!(told.is_none_or(|told| text.contains(told)), "{text}");
    }
}
