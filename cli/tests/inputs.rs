//! Records as other tools write them down, and as name servers hand them over: each is held against a zone file that
//! says the same.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Command, Output},
    thread::{self, JoinHandle},
};

use hickory_proto::{
    op::{Message, MessageType, ResponseCode},
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, MX, NULL, SOA},
    },
};
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        fs::write(folder.path().join(name), text).expect("written");
    }
    folder
}

fn mxdrill(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("started")
}

/// What is said on standard output of what succeeds.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let run = mxdrill(folder, arguments);
    let error = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{arguments:?}: {error}");
    String::from_utf8_lossy(&run.stdout).into_owned()
}

/// What is said on standard error of what cannot be run.
fn refused(folder: &Path, arguments: &[&str]) -> String {
    let run = mxdrill(folder, arguments);
    assert_eq!(run.status.code(), Some(2), "{arguments:?}");
    String::from_utf8_lossy(&run.stderr).into_owned()
}

const ZONE: &str = r#"
$ORIGIN example.test.
@        900   SOA   ns1.dns.test. host.dns.test. 1 7200 900 1209600 86400
@        3600  NS    ns1.dns.test.
@        300   MX    10 mx1
@        300   MX    20 lb
@        300   TXT   "v=spf1 mx -all; (x)"
mx1      300   A     192.0.2.1
lb       60    ALIAS dualstack.lb.elb.test.
*        300   CNAME www.example.test.
www      300   A     192.0.2.9
"#;

const ROUTE53: &str = r#"{
  "ResourceRecordSets": [
    { "Name": "example.test.", "Type": "SOA", "TTL": 900,
      "ResourceRecords": [{ "Value": "ns1.dns.test. host.dns.test. 1 7200 900 1209600 86400" }] },
    { "Name": "example.test.", "Type": "NS", "TTL": 3600, "ResourceRecords": [{ "Value": "ns1.dns.test." }] },
    { "Name": "example.test.", "Type": "MX", "TTL": 300,
      "ResourceRecords": [
        { "Value": "10 mx1.example.test" },
        { "Value": "20 lb.example.test." }
      ] },
    { "Name": "example.test.", "Type": "TXT", "TTL": 300,
      "ResourceRecords": [{ "Value": "\"v=spf1 mx -all; \\050x\\051\"" }] },
    { "Name": "mx1.example.test.", "Type": "A", "TTL": 300, "SetIdentifier": "one", "Weight": 1,
      "ResourceRecords": [{ "Value": "192.0.2.1" }] },
    { "Name": "lb.example.test.", "Type": "A",
      "AliasTarget": { "HostedZoneId": "Z", "DNSName": "dualstack.lb.elb.test.", "EvaluateTargetHealth": false } },
    { "Name": "\\052.example.test.", "Type": "CNAME", "TTL": 300,
      "ResourceRecords": [{ "Value": "www.example.test." }] },
    { "Name": "www.example.test.", "Type": "A", "TTL": 300, "ResourceRecords": [{ "Value": "192.0.2.9" }] }
  ]
}
"#;

/// The findings of a file, without the places.
fn findings(folder: &Path, file: &str) -> Vec<String> {
    let run = mxdrill(
        folder,
        &["lint", file, "--format", "json", "--fail-on", "never"],
    );
    let out = String::from_utf8_lossy(&run.stdout).into_owned();
    let message = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        format!("{} {}", line["id"], line["message"])
    };
    let mut findings: Vec<String> = out.lines().map(message).collect();
    findings.sort();
    findings
}

#[test]
fn route_53_json_says_what_a_zone_file_says() {
    let compact = ROUTE53.replace('\n', " ");
    let tabs = ROUTE53.replace("  ", "\t");
    let files = [
        ("a.zone", ZONE),
        ("a.json", ROUTE53),
        ("compact.json", &compact),
        ("tabs.json", &tabs),
    ];
    let folder = folder(&files);
    let plan = |file: &str| said(folder.path(), &["plan", file, "--format", "json"]);
    let expected = findings(folder.path(), "a.zone");
    assert!(expected.len() > 3, "{expected:?}");
    for file in ["a.json", "compact.json", "tabs.json"] {
        assert_eq!(plan(file), plan("a.zone"), "{file}");
        assert_eq!(findings(folder.path(), file), expected, "{file}");
    }
    // The MX record of the load balancer stands in line 9.
    let lint = mxdrill(folder.path(), &["lint", "a.json"]);
    let (out, notes) = (
        String::from_utf8_lossy(&lint.stdout).into_owned(),
        String::from_utf8_lossy(&lint.stderr).into_owned(),
    );
    assert!(out.contains("a.json:8: "), "{out}");
    assert!(
        notes.contains(
            "routing policy are taken as if all of them were answered: mx1.example.test."
        ),
        "{notes}"
    );
    let rehearsed = said(folder.path(), &["rehearse", "a.json"]);
    assert!(
        rehearsed.contains("lb.example.test, which are not known"),
        "{rehearsed}"
    );
}

#[test]
fn mistakes_in_route_53_json_are_told_where_they_are() {
    for (found, put, told) in [
        ("192.0.2.1\"", "192.0.2.1.5\"", "a.json:14:"),
        ("\"TTL\": 3600,", "", "a.json:5:"),
        (
            "\"20 lb.example.test.\"",
            "20",
            "a.json:9:20: found the end",
        ),
        (
            "192.0.2.9",
            "192.0.2.9 ; and more",
            "outside quotation marks",
        ),
        (
            "\"Type\": \"A\",\n      \"AliasTarget\"",
            "\"Type\": \"MX\",\n      \"AliasTarget\"",
            "an alias of type MX",
        ),
        (
            "{\n  \"Res",
            "{\n  \"NextToken\": \"x\", \"Res",
            "goes on elsewhere",
        ),
        (
            "\"ResourceRecordSets\"",
            "\"HostedZones\"",
            "found no \"ResourceRecordSets\"",
        ),
        ("]\n}", "]", "found no JSON"),
    ] {
        let text = ROUTE53.replacen(found, put, 1);
        assert_ne!(text, ROUTE53, "{found}");
        let folder = folder(&[("a.json", &text)]);
        let error = refused(folder.path(), &["plan", "a.json"]);
        assert!(error.contains(told), "{found}: {error}");
    }
}

const OCTODNS: &str = r#"---
'':
  - type: MX
    ttl: 300
    values:
      - exchange: mx1.example.test.
        preference: 10
      - {priority: 20, value: mx2.example.test.}
  - type: TXT
    values:
      - v=spf1 mx -all
      - note\; "quoted" and more
_dmarc:
  type: TXT
  value: v=DMARC1\; p=none
_25._tcp.mx1:
  type: TLSA
  value: {certificate_usage: 3, selector: 1, matching_type: 1, certificate_association_data: "aabb"}
mx1:
  - type: A
    values: [192.0.2.1, 192.0.2.2]
  - type: AAAA
    ttl: 60
    value: 2001:db8::1
mx2:
  type: CNAME
  value: relay.provider.test.
go:
  type: URLFWD
  value: {path: /}
"#;

const SAME_AS_OCTODNS: &str = r#"
$ORIGIN example.test.
$TTL 3600
@       300 MX  10 mx1
@       300 MX  20 mx2
@       TXT "v=spf1 mx -all"
@       TXT "note; \"quoted\" and more"
_dmarc  TXT "v=DMARC1; p=none"
_25._tcp.mx1 TLSA 3 1 1 aabb
mx1     A 192.0.2.1
mx1     A 192.0.2.2
mx1     60 AAAA 2001:db8::1
mx2     CNAME relay.provider.test.
"#;

#[test]
fn octodns_yaml_says_what_a_zone_file_says() {
    let files = [
        ("example.test.zone", SAME_AS_OCTODNS),
        ("example.test.yaml", OCTODNS),
        ("other.yml", OCTODNS),
    ];
    let folder = folder(&files);
    let plan = |arguments: &[&str]| {
        said(
            folder.path(),
            &[&["plan", "--format", "json"], arguments].concat(),
        )
    };
    let expected = plan(&["example.test.zone"]);
    assert_eq!(plan(&["example.test.yaml"]), expected);
    assert_eq!(plan(&["other.yml", "--origin", "example.test"]), expected);
    assert_eq!(plan(&["other.yml", "example.test"]), expected);
    assert_eq!(
        findings(folder.path(), "example.test.yaml"),
        findings(folder.path(), "example.test.zone")
    );
    let lint = mxdrill(folder.path(), &["lint", "example.test.yaml"]);
    let [out, notes] =
        [&lint.stdout, &lint.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(
        out.contains("example.test.yaml:8: error: mx2.example.test is an alias"),
        "{out}"
    );
    assert!(notes.contains("passed over: 1 URLFWD"), "{notes}");
    let error = refused(folder.path(), &["plan", "other.yml"]);
    assert!(
        error.contains("other.yml:1:1: found no domain in the file's name"),
        "{error}"
    );
}

#[test]
fn mistakes_in_octodns_yaml_are_told_where_they_are() {
    for (found, put, told) in [
        (
            "value: mx2.example.test.",
            "value: mx2",
            "example.test.yaml:8:",
        ),
        ("preference: 10", "weight: 10", "example.test.yaml:6:"),
        ("192.0.2.2", "192.0.2.x", "example.test.yaml:21:"),
        (
            "ttl: 60",
            "ttl: soon",
            "example.test.yaml:23:10: found the ttl \"soon\"",
        ),
        ("  type: CNAME\n", "", "example.test.yaml:26:"),
        ("mx2:\n", "mx1:\n", "found \"mx1\" a second time"),
        (
            "value: v=DMARC1\\; p=none",
            "value: *other",
            "found no YAML",
        ),
        (
            "[192.0.2.1, 192.0.2.2]",
            "[192.0.2.1, 192.0.2.2",
            "found no YAML",
        ),
    ] {
        let text = OCTODNS.replacen(found, put, 1);
        assert_ne!(text, OCTODNS, "{found}");
        let folder = folder(&[("example.test.yaml", &text)]);
        let error = refused(folder.path(), &["plan", "example.test.yaml"]);
        assert!(error.contains(told), "{found}: {error}");
    }
    // What is made to exhaust ends, too.
    for text in [
        "[".repeat(500_000),
        "- ".repeat(300_000),
        "a: {".repeat(200_000),
    ] {
        let folder = folder(&[("example.test.yaml", &text)]);
        refused(folder.path(), &["plan", "example.test.yaml"]);
    }
}

#[test]
fn all_that_is_wrong_in_the_file_of_a_tool_is_told_in_its_words() {
    let alone = "'':\n  type: A\n  value: 192.0.2.444\n";
    let several =
        "a:\n  type: A\n  values: [192.0.2.x, 192.0.2.1, 192.0.2.y]\nb:\n  type: A\n  value: z\n";
    for (text, places) in [
        (alone, &[(3, "192.0.2.444")][..]),
        (several, &[(3, "192.0.2.x"), (3, "192.0.2.y"), (6, "z")]),
    ] {
        let folder = folder(&[("example.test.yaml", text)]);
        let error = refused(folder.path(), &["plan", "example.test.yaml"]);
        assert_eq!(error.lines().count(), places.len(), "{error}");
        for (line, (number, word)) in error.lines().zip(places) {
            let place = format!("example.test.yaml:{number}:");
            let told = format!("found \"{word}\", expected an IPv4 address");
            assert!(line.contains(&place) && line.contains(&told), "{error}");
        }
    }
}

#[test]
fn what_dnscontrol_prints_is_read() {
    let tsv = "example.test\t@\t300\tIN\tMX\t10 mx1.example.test.\nmx1.example.test\tmx1\t300\tIN\tA\t192.0.2.1\tcloudflare_proxy=true\n";
    let zone =
        "$TTL 300\n$ORIGIN example.test.\n@ IN MX 10 mx1.example.test.\nmx1 IN A 192.0.2.1\n";
    let folder = folder(&[
        ("a.tsv", tsv),
        ("a.zone", zone),
        ("b.tsv", &tsv.replace("\tIN\tA", "\tA")),
    ]);
    let plan = |file: &str| said(folder.path(), &["plan", file, "--format", "json"]);
    assert_eq!(plan("a.tsv"), plan("a.zone"));
    let error = refused(folder.path(), &["plan", "b.tsv"]);
    assert!(error.contains("b.tsv:2:1: "), "{error}");
}

/// A name server that answers one question with these messages, each made of records.
fn name_server(
    code: ResponseCode,
    messages: Vec<Vec<Record>>,
) -> (SocketAddr, JoinHandle<RecordType>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("a length");
        let mut query = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut query).expect("a query");
        let query = Message::from_vec(&query).expect("a message");
        for records in messages {
            let mut answer = Message::new(query.id, MessageType::Response, query.op_code);
            answer.metadata.response_code = code;
            answer.queries = query.queries.clone();
            answer.answers = records;
            let octets = answer.to_vec().expect("octets");
            let length = u16::try_from(octets.len()).expect("short");
            stream.write_all(&length.to_be_bytes()).expect("sent");
            stream.write_all(&octets).expect("sent");
        }
        query.queries[0].query_type()
    });
    (address, server)
}

fn record(name: &str, data: RData) -> Record {
    Record::from_rdata(name.parse().expect("a name"), 300, data)
}

fn soa(zone: &str) -> Record {
    let name = |text: &str| text.parse::<Name>().expect("a name");
    let data = SOA::new(
        name("ns1.dns.test."),
        name("host.dns.test."),
        1,
        2,
        3,
        4,
        300,
    );
    record(zone, RData::SOA(data))
}

#[test]
fn a_zone_is_had_from_its_name_server() {
    let host: Name = "mx1.example.test.".parse().expect("a name");
    let mx = record("example.test.", RData::MX(MX::new(10, host)));
    let a = record("mx1.example.test.", RData::A(A::new(192, 0, 2, 1)));
    let odd = RData::Unknown {
        code: RecordType::Unknown(65_400),
        rdata: NULL::with(vec![1, 2, 3]),
    };
    let odd = record("example.test.", odd);
    let (address, server) = name_server(
        ResponseCode::NoError,
        vec![
            vec![soa("example.test."), mx.clone()],
            vec![a, odd, soa("example.test.")],
        ],
    );
    let folder = folder(&[]);
    let server_text = address.to_string();
    let run = mxdrill(
        folder.path(),
        &["plan", "example.test", "--axfr", &server_text],
    );
    let [out, notes] =
        [&run.stdout, &run.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert!(
        out.contains("mx1.example.test  192.0.2.1")
            && out.contains(&format!("example.test from {server_text}")),
        "{out}{notes}"
    );
    assert!(notes.contains("passed over: 1 TYPE65400"), "{notes}");
    assert_eq!(server.join().expect("served"), RecordType::AXFR);

    for (code, messages, told) in [
        (
            ResponseCode::Refused,
            vec![vec![]],
            "AXFR of example.test from 127.0.0.1",
        ),
        (
            ResponseCode::NoError,
            vec![vec![mx]],
            "expected the SOA record of example.test",
        ),
        (
            ResponseCode::NoError,
            vec![vec![soa("example.test.")]],
            "the connection ended before the zone did",
        ),
        (
            ResponseCode::NoError,
            vec![vec![soa("test.")]],
            "expected the SOA record of example.test",
        ),
    ] {
        let (address, server) = name_server(code, messages);
        let error = refused(
            folder.path(),
            &["lint", "example.test", "--axfr", &address.to_string()],
        );
        server.join().expect("served");
        assert!(error.contains(told), "{told}: {error}");
    }
    let error = refused(folder.path(), &["lint", "--axfr", "127.0.0.1"]);
    assert!(error.contains("expected some"), "{error}");
}

#[test]
fn a_ttl_that_nothing_states_is_assumed_aloud() {
    let records = "example.test. IN MX 10 mx1.example.test.\nmx1.example.test. IN A 192.0.2.1\n";
    let soa = "example.test. IN SOA ns. h. 1 3600 600 86400 600\n";
    let first_has_one = "example.test. 60 IN TXT \"v=spf1 mx -all\"\n";
    for (text, told) in [
        (
            records.to_owned(),
            Some(
                "z.zone: 2 records have no TTL, and neither a $TTL nor an SOA record before states one: 300 s are assumed",
            ),
        ),
        (records.replacen("IN", "60 IN", 1), None),
        (format!("$TTL 60\n{records}"), None),
        (format!("{soa}{records}"), None),
        (format!("{first_has_one}{records}"), None),
    ] {
        let folder = folder(&[("z.zone", &text)]);
        let run = mxdrill(folder.path(), &["rehearse", "z.zone"]);
        let notes = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(0), "{notes}");
        match told {
            Some(told) => assert!(notes.contains(told), "{notes}"),
            None => assert!(!notes.contains("TTL"), "{text}: {notes}"),
        }
    }
}
