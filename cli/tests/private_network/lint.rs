//! `mxdrill lint` of a live domain, on ports 25, 53 and 443 of its own addresses: each check tripped, and not tripped.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use libtest_mimic::Failed;
use serde_json::Value;

use super::desk::{DeskTest, Said, TestDesk, hold, tests};

pub(crate) const TESTS: &[DeskTest] = tests! {
    exchangers_are_visited_when_that_is_asked_for: &[],
    what_a_live_domain_serves_is_looked_at: &[],
    checkdmarc_finds_nothing_that_lint_misses: &["python3", "checkdmarc"],
};

const LIVE: &str = r#"
summary = "exchangers and policies with one thing wrong each"
zone = """
$ORIGIN example.test.
$TTL 300
@        IN SOA ns1 h 1 2 3 4 5
@        IN NS  ns1
@        IN NS  ns2
ns1      IN A   8.8.8.8
ns2      IN A   203.0.113.53
@        IN TXT "v=spf1 mx -all"
_dmarc   IN TXT "v=DMARC1; p=reject; rua=mailto:a@good.test,mailto:b@nobody.test"
_mta-sts IN TXT "v=STSv1; id=1"
@        IN MX 10 good
@        IN MX 20 plain
@        IN MX 20 expired
@        IN MX 20 wrong
@        IN MX 20 unknown
@        IN MX 20 old
@        IN MX 20 changed
@        IN MX 20 narrow
@        IN MX 20 down
@        IN MX 20 busy
@        IN MX 20 strange
good     IN A 192.0.2.1
good     IN TXT "v=spf1 a -all"
plain    IN A 192.0.2.2
expired  IN A 192.0.2.3
wrong    IN A 192.0.2.4
unknown  IN A 192.0.2.5
old      IN A 192.0.2.6
changed  IN A 192.0.2.7
narrow   IN A 192.0.2.8
down     IN A 192.0.2.9
busy     IN A 192.0.2.10
strange  IN A 192.0.2.11
_25._tcp.changed IN TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000
$ORIGIN good.test.
@        IN MX 10 mx
mx       IN A 192.0.2.21
mx       IN TXT "v=spf1 a -all"
_mta-sts IN TXT "v=STSv1; id=1"
_dmarc   IN TXT "v=DMARC1; p=reject; rua=mailto:a@good.test"
$ORIGIN ended.test.
@        IN MX 10 mx.good.test.
_mta-sts IN TXT "v=STSv1; id=1"
$ORIGIN moved.test.
@        IN MX 10 mx.good.test.
_mta-sts IN TXT "v=STSv1; id=1"
$ORIGIN short.test.
@        IN MX 10 mx.good.test.
_mta-sts IN TXT "v=STSv1; id=1"
"""
messages = [{ id = "m", to = "a@example.test" }]
receivers = [
  { host = "good.example.test", certificate = "valid", tlsa = ["3 1 1"] },
  { host = "plain.example.test" },
  { host = "expired.example.test", certificate = "expired" },
  { host = "wrong.example.test", certificate = "wrong-name" },
  { host = "unknown.example.test", certificate = "self-signed" },
  { host = "old.example.test", certificate = "valid", tls_versions = ["1.0"] },
  { host = "changed.example.test", certificate = "valid" },
  { host = "narrow.example.test", certificate = "valid", extensions = ["8BITMIME"] },
  { host = "mx.good.test", certificate = "valid", tlsa = ["3 1 1"] },
]
faults = [
  { host = "down.example.test", stage = "connect", effect = "refuse" },
  { host = "busy.example.test", stage = "greeting", effect = "421 4.3.2 too busy" },
  { host = "strange.example.test", stage = "helo", effect = "250 other.test" },
]
policies = [
  { domain = "example.test", text = "version: STSv1\nmode: enforce\nmx: *.example.test\nmax_age: 604800\n", status = 404 },
  { domain = "good.test", text = "version: STSv1\nmode: enforce\nmx: mx.good.test\nmax_age: 604800\n" },
  { domain = "ended.test", text = "version: STSv1\nmode: enforce\nmx: mx.good.test\nmax_age: 604800\n", certificate = "expired" },
  { domain = "moved.test", text = "version: STSv1\nmode: enforce\nmx: mx.good.test\nmax_age: 604800\n", status = 301 },
  { domain = "short.test", text = "version: STSv1\nmode: testing\nmx: mx.other.test\nmax_age: 60\n" },
]
"#;

/// Findings, by the id of the check and the message.
type Findings = BTreeSet<(String, String)>;

/// What is found about domains, with the lines of JSON that are no findings.
fn linted(
    desk: &TestDesk,
    options: &[&str],
    domains: &[&str],
) -> Result<(Findings, Vec<Value>, Said), Failed> {
    fs::write(desk.path("drill.toml"), LIVE)?;
    let authority = desk.path("out/ca.pem").display().to_string();
    let program = desk.program_path().display().to_string();
    let trusting = format!("SSL_CERT_FILE={authority}");
    let command = [
        &["env", &trusting, &program, "lint", "--format", "json"],
        options,
        domains,
    ]
    .concat();
    let said = desk.exec(&["--ca-file", &authority], &command);
    let (mut found, mut others) = (BTreeSet::new(), Vec::new());
    for line in said.out.lines() {
        let line: Value =
            serde_json::from_str(line).map_err(|error| format!("{error}: {said:#?}"))?;
        match (line["id"].as_str(), line["message"].as_str()) {
            (Some(id), Some(message)) => {
                found.insert((id.to_owned(), message.to_owned()));
            }
            _ => others.push(line),
        }
    }
    Ok((found, others, said))
}

/// The hosts, by the first label, that findings of a check name.
fn hosts(found: &Findings, id: &str) -> Vec<String> {
    let of = found.iter().filter(|(other, _)| other == id);
    let hosts = of.filter_map(|(_, message)| {
        let words = message.split([' ', ',']);
        let mut hosts = words.filter(|word| word.ends_with(".example.test"));
        Some(hosts.next()?.split('.').next()?.to_owned())
    });
    hosts.collect()
}

fn exchangers_are_visited_when_that_is_asked_for(desk: &TestDesk) -> Result<(), Failed> {
    let (found, others, said) = linted(desk, &["--connect"], &["example.test"])?;
    for (id, expected) in [
        ("exchanger-down", &["busy", "down"][..]),
        ("starttls-absent", &["plain", "strange"]),
        ("certificate-expiry", &["expired"]),
        ("certificate-name", &["wrong"]),
        ("certificate-untrusted", &["unknown"]),
        ("tls-version", &["old"]),
        ("tlsa-mismatch", &["changed"]),
        ("greeting-name", &["strange"]),
    ] {
        let found = hosts(&found, id);
        hold(found == expected, &said).map_err(|failed| {
            format!("{id}: found {found:?}, expected {expected:?}: {failed:?}")
        })?;
    }
    let utf8: Vec<_> = found
        .iter()
        .filter(|(id, _)| id == "smtputf8-differs")
        .collect();
    hold(
        utf8.len() == 1 && utf8[0].1.contains("not by narrow.example.test and strange"),
        &said,
    )?;
    let visits = others.iter().filter(|line| line["said"].is_string());
    hold(visits.count() == 11, &said)?;
    // Nobody is sent anything, and a host that is right trips nothing.
    hold(!said.err.contains("took a message"), &said)?;
    let (found, _, said) = linted(desk, &["--connect"], &["good.test"])?;
    let bad = [
        "exchanger-down",
        "starttls-absent",
        "certificate-expiry",
        "certificate-name",
        "certificate-untrusted",
        "tls-version",
        "tlsa-mismatch",
        "greeting-name",
        "smtputf8-differs",
        "mta-sts-fetch",
        "mta-sts-form",
        "dmarc-report-unreachable",
        "spf-helo",
    ];
    hold(!found.iter().any(|(id, _)| bad.contains(&&**id)), &said)
}

fn what_a_live_domain_serves_is_looked_at(desk: &TestDesk) -> Result<(), Failed> {
    let domains = [
        "example.test",
        "good.test",
        "ended.test",
        "moved.test",
        "short.test",
    ];
    let (found, others, said) = linted(desk, &[], &domains)?;
    let told = |id: &str, words: &str| {
        found
            .iter()
            .any(|(other, message)| other == id && message.contains(words))
    };
    for (id, words) in [
        (
            "mta-sts-fetch",
            "of example.test cannot be fetched: found the status 404",
        ),
        (
            "mta-sts-fetch",
            "of moved.test cannot be fetched: found a redirect (301)",
        ),
        (
            "mta-sts-fetch",
            "of ended.test cannot be fetched: invalid peer certificate",
        ),
        ("mta-sts-max-age", "of short.test"),
        ("mta-sts-misses", "of short.test"),
        ("mta-sts-stale-host", "of short.test lists mx.other.test"),
        ("mta-sts-not-enforced", "of short.test"),
        (
            "dmarc-report-unreachable",
            "nobody.test, which does not exist",
        ),
        ("spf-helo", "plain.example.test"),
    ] {
        hold(told(id, words), &said).map_err(|failed| format!("{id} {words}: {failed:?}"))?;
    }
    for (id, words) in [
        ("mta-sts-fetch", "of good.test"),
        ("mta-sts-fetch", "of short.test"),
        ("mta-sts-misses", "of good.test"),
        ("dmarc-report-unreachable", "to good.test"),
        ("spf-helo", " good.example.test"),
        ("name-servers-differ", ""),
    ] {
        hold(!told(id, words), &said).map_err(|failed| format!("{id} {words}: {failed:?}"))?;
    }
    // What was not looked at is said: the exchangers, and a name server that does not answer.
    let unseen: String = others.iter().map(Value::to_string).collect();
    let is_said = |what: &str| unseen.contains(what);
    hold(is_said("the exchangers themselves (--connect)"), &said)?;
    hold(is_said("ns2.example.test [203.0.113.53]"), &said)?;
    hold(!said.err.contains("session"), &said)
}

fn checkdmarc_finds_nothing_that_lint_misses(desk: &TestDesk) -> Result<(), Failed> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/checkdmarc/compare.py");
    let mut command = Command::new("python3");
    let output = command
        .args(["-W", "ignore"])
        .arg(script)
        .arg(desk.program_path())
        .output()?;
    let said = Said::from(output);
    hold(said.code == Some(0) && !said.out.contains("MISSED"), &said)
}
