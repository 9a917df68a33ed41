//! `mxdrill lint --spf-trace`, as users run it.

use std::{
    fs,
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

const ZONE: &str = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n@ MX 10 mx1\nmx1 A 192.0.2.1\n\
    @ TXT \"v=spf1 mx a:gone.example.test include:out.example.test -all exp=why.example.test\"\n\
    out TXT \"v=spf1 ip4:198.51.100.0/24 exists:%{l}.users.example.test ~all\"\nalice.users A 127.0.0.2\n\
    why TXT \"%{i} may not send for %{d}\"\nloop TXT \"v=spf1 include:loop.example.test -all\"\n";

struct Zone(TempDir);

impl Zone {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("a.zone"), ZONE).expect("written");
        Self(folder)
    }

    fn trace(&self, arguments: &[&str]) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .args(["lint", "--spf-trace", "--zone"])
            .arg(self.0.path().join("a.zone"))
            .args(arguments)
            .output();
        output.expect("it runs")
    }

    fn told(&self, arguments: &[&str]) -> Value {
        let output = self.trace(&[arguments, &["--format", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
    }
}

#[test]
fn each_sender_gets_its_result_and_each_limit_is_counted() {
    let zone = Zone::new();
    let cases = [
        (&["192.0.2.1"][..], "pass", 1, 0),
        (&["198.51.100.7"], "pass", 3, 1),
        (&["203.0.113.9"], "fail", 4, 2),
        (
            &["203.0.113.9", "--spf-sender", "alice@example.test"],
            "pass",
            4,
            1,
        ),
        (
            &[
                "198.51.100.7",
                "--spf-helo",
                "out.example.test",
                "--spf-sender",
                "<>",
            ],
            "pass",
            0,
            0,
        ),
        (
            &["2001:db8::1", "--spf-sender", "a@nobody.example.test"],
            "none",
            0,
            0,
        ),
    ];
    for (sender, result, lookups, void) in cases {
        let told = zone.told(&[&["--spf-from"], sender].concat());
        assert_eq!(told["result"], result, "{sender:?}: {told:#}");
        assert_eq!(told["lookups"], lookups, "{sender:?}: {told:#}");
        assert_eq!(told["void"], void, "{sender:?}: {told:#}");
    }
    let told = zone.told(&["--spf-from", "203.0.113.9"]);
    assert_eq!(
        told["explanation"],
        "203.0.113.9 may not send for example.test"
    );
    // Without a sender nothing ends it, and who is meant by %{l} is not known.
    let told = zone.told(&[]);
    assert_eq!(
        (&told["result"], &told["lookups"]),
        (&Value::Null, &4.into())
    );
}

#[test]
fn every_term_and_lookup_is_told_in_order() {
    let output = Zone::new().trace(&["--spf-from", "198.51.100.7"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let expected = "SPF of example.test for mail from 198.51.100.7\nlookups  void\n  \
        0/10   0/2  example.test TXT? \"v=spf1 mx a:gone.example.test include:out.example.test -all exp=why.example.test\"\n  \
        0/10   0/2  the record of example.test: v=spf1 mx a:gone.example.test include:out.example.test -all exp=why.example.test\n  \
        0/10   0/2    mx ...\n  \
        1/10   0/2      example.test MX? 10 mx1.example.test.\n  \
        1/10   0/2      mx1.example.test A? 192.0.2.1\n  \
        1/10   0/2    mx does not match\n  \
        1/10   0/2    a:gone.example.test ...\n  \
        2/10   0/2      gone.example.test A? no such name\n  \
        2/10   1/2    a:gone.example.test does not match\n  \
        2/10   1/2    include:out.example.test ...\n  \
        3/10   1/2      out.example.test TXT? \"v=spf1 ip4:198.51.100.0/24 exists:%{l}.users.example.test ~all\"\n  \
        3/10   1/2    the record of out.example.test: v=spf1 ip4:198.51.100.0/24 exists:%{l}.users.example.test ~all\n  \
        3/10   1/2      ip4:198.51.100.0/24 ...\n  \
        3/10   1/2      ip4:198.51.100.0/24 matches\n  \
        3/10   1/2    out.example.test says pass\n  \
        3/10   1/2    include:out.example.test matches\n  \
        3/10   1/2  example.test says pass\nexample.test: pass\n";
    assert_eq!(said, expected);
    assert!(output.status.success());
}

#[test]
fn an_error_is_a_failure_and_a_slip_is_refused() {
    let zone = Zone::new();
    let status = |arguments: &[&str]| zone.trace(arguments).status.code();
    assert_eq!(
        status(&["--spf-from", "192.0.2.9", "loop.example.test"]),
        Some(1)
    );
    assert_eq!(status(&["loop.example.test"]), Some(1));
    assert_eq!(status(&["--spf-from", "192.0.2.1"]), Some(0));
    for wrong in [
        &["--spf-from", "mx1"][..],
        &["--spf-from", "192.0.2.1", "--spf-sender", "alice"],
        &["--spf-from", "192.0.2.1", "--spf-sender", "<>"],
        &["--spf-helo", "mx1.example.test"],
        &["--format", "sarif"],
        &["-q"],
    ] {
        assert_eq!(status(wrong), Some(2), "{wrong:?}");
    }
}

#[test]
fn what_depends_on_records_that_are_not_at_hand_is_not_known() {
    let zone = Zone::new();
    let records = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ MX 10 mx.provider.test.\n\
        @ TXT \"v=spf1 ip4:192.0.2.1 include:spf.provider.test -all\"\nmx TXT \"v=spf1 mx:example.test -all\"\n\
        on TXT \"v=spf1 redirect=spf.provider.test\"\n";
    fs::write(zone.0.path().join("a.zone"), records).expect("written");
    // What comes before decides all the same.
    let settled = zone.told(&["example.test", "--spf-from", "192.0.2.1"]);
    assert_eq!(settled["result"], "pass");
    for domain in ["example.test", "mx.example.test", "on.example.test"] {
        let output = zone.trace(&[domain, "--spf-from", "203.0.113.9"]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let told =
            format!("{domain}: not known, since the records that decide are in none of the files");
        assert!(text.contains(&told), "{text}");
        assert!(zone.told(&[domain, "--spf-from", "203.0.113.9"])["result"].is_null());
    }
}
