//! Zone files of as many shapes as people have them: where each leads mail, or what is wrong in it. What BIND
//! reads in them, mxdrill reads too.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    sync::Arc,
};

use hickory_proto::{
    rr::{Name, RData, RecordType},
    serialize::binary::{BinDecodable, BinEncodable},
};
use mxdrill::{
    lab::{Lab, NetworkKind},
    name::Domain,
    plan::Plan,
    records::{DomainRecords, Source},
    scenario::Scenario,
};

/// What stands before each shape, unless it has an SOA record of its own.
const HEAD: &str = "$ORIGIN example.test.\n$TTL 3600\n@ SOA ns1 hostmaster 1 7200 3600 1209600 300\n@ NS ns1\nns1 A 192.0.2.53\n";

/// A shape: its name, its text, and the exchangers of example.test with their addresses, or a part of what
/// is said of the mistake.
type Shape = (
    &'static str,
    &'static str,
    Result<&'static str, &'static str>,
);

const PLAIN: Result<&str, &str> = Ok("10 mx1.example.test 192.0.2.1");

#[rustfmt::skip]
const SHAPES: &[Shape] = &[
    ("one exchanger", "@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("class and TTL in either order", "@ IN 60 MX 10 mx1\nmx1 60 IN A 192.0.2.1\n", PLAIN),
    ("lower case", "@ in mx 10 mx1\nmx1 in a 192.0.2.1\n", PLAIN),
    ("the owner of the line before", "@ MX 10 mx1\n  TXT \"x\"\nmx1 A 192.0.2.1\n  A 192.0.2.2\n", Ok("10 mx1.example.test 192.0.2.1 192.0.2.2")),
    ("parentheses over lines", "@ MX ( 10 ; the first\n  mx1 )\nmx1 A ( 192.0.2.1 )\n", PLAIN),
    ("CR LF", "@ MX 10 mx1\r\nmx1 A 192.0.2.1\r\n", PLAIN),
    ("no newline at the end", "mx1 A 192.0.2.1\n@ MX 10 mx1", PLAIN),
    ("a class of Hesiod", "@ HS MX 10 mx1\nmx1 A 192.0.2.1\n", Err("6:3: found class HS, expected IN, the only class mail uses")),
    ("a generic class", "@ CLASS1 MX 10 mx1\nmx1 CLASS1 A 192.0.2.1\n", PLAIN),
    ("units of time", "@ 1h30m MX 10 mx1\nmx1 1W A 192.0.2.1\n", PLAIN),
    ("TYPE15 and TYPE1 in words", "@ TYPE15 10 mx1\nmx1 TYPE1 192.0.2.1\n", PLAIN),
    ("TYPE1 in octets", "@ MX 10 mx1\nmx1 TYPE1 \\# 4 C0000201\n", PLAIN),
    ("A in octets", "@ MX 10 mx1\nmx1 A \\# 4 c000 0201\n", PLAIN),
    ("TYPE15 in octets", "@ TYPE15 \\# 20 000a 036d7831 076578616d706c65 0474657374 00\nmx1 A 192.0.2.1\n", PLAIN),
    ("TYPE28 in octets", "@ MX 10 mx1\nmx1 TYPE28 \\# 16 20010db8000000000000000000000001\n", Ok("10 mx1.example.test 2001:db8::1")),
    ("an IPv4 address in IPv6 form", "@ MX 10 mx1\nmx1 AAAA 2001:db8::192.0.2.1\n", Ok("10 mx1.example.test 2001:db8::c000:201")),
    ("a null MX", "@ MX 0 .\n", Ok("")),
    ("another origin in between", "@ MX 10 mx1.sub\n$ORIGIN sub\nmx1 A 192.0.2.1\n$ORIGIN example.test.\n@ MX 20 mx2\nmx2 A 192.0.2.2\n", Ok("10 mx1.sub.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("a wildcard exchanger", "@ MX 10 a.mx\n*.mx A 192.0.2.1\n", Ok("10 a.mx.example.test 192.0.2.1")),
    ("ZONEMD", "@ ZONEMD 1 1 1 000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("types of other uses", "@ CAA 0 issue \"ca.test\"\n@ LOC 52 22 23 N 4 53 32 E -2m\n@ RP a b\n@ HINFO x y\n@ MX 10 mx1\nmx1 A 192.0.2.1\nmx1 SSHFP 1 1 0123456789012345678901234567890123456789\n", PLAIN),
    ("WINS of Windows", "@ WINS L2 C900 ( 192.0.2.1 )\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("LUA of PowerDNS", "@ LUA A \"pickrandom({'192.0.2.9'})\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("redirects of a hoster", "www URL https://example.net/\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a type of one hoster alone", "www MY-FORWARD2 https://example.net/\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("no type of anybody", "www MY_FORWARD https://example.net/\n", Err("6:5: found \"MY_FORWARD\", expected a record type")),
    ("a type of a number", "@ TYPE65280 \\# 2 abcd\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("time stamps of Windows", "@ MX 10 mail\nmail [AGE:3636591] 1200 A 192.0.2.20\n  [AGE:3633973] 1200 A 192.0.2.21\n", Ok("10 mail.example.test 192.0.2.20 192.0.2.21")),
    ("Route 53's aliases", "@ 60 AWS ALIAS A d1.cdn.test. Z2 false\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a target called aws", "www CNAME aws\n@ MX 10 aws\naws A 192.0.2.1\n", Ok("10 aws.example.test 192.0.2.1")),
    ("a target called parked", "@ MX 10 parked\nparked A 192.0.2.1\n", Ok("10 parked.example.test 192.0.2.1")),
    ("a parked domain", "@ A Parked\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a published site", "@ 600 IN A GoCentral Published Site\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("another site", "@ A Website Builder Site\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("owners that are no hosts", "a+b#c=d!e&f TXT x\n0/25 NS ns1\nmy\\ printer TXT x\n_dmarc TXT \"v=DMARC1; p=none\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an exchanger with an underscore", "@ MX 10 my_mx\nmy_mx A 192.0.2.1\n", Ok("10 my_mx.example.test 192.0.2.1")),
    ("an escaped dot in a name", "@ MX 10 a\\.b\na\\.b A 192.0.2.1\n", Ok("10 a\\.b.example.test 192.0.2.1")),
    ("decimal escapes in a name", "@ MX 10 \\109x1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an exchanger with a sign that is not seen", "@ MX 10 mx1\u{200b}\nmx1 A 192.0.2.1\n", Ok("10 mx1\\226\\128\\139.example.test")),
    ("names of records that are types", "mx MX 10 a\na A 192.0.2.1\n@ MX 10 in\nin A 192.0.2.1\ntxt TXT txt\n", Ok("10 in.example.test 192.0.2.1")),
    ("$GENERATE", "@ MX 10 mx1\n@ MX 20 mx2\n$GENERATE 1-3 mx$ A 192.0.2.$\n", Ok("10 mx1.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("$GENERATE with offsets, widths and bases", "@ MX 10 mx08-0a-1.2\n$GENERATE 8-10/2 mx${0,2}-${2,2,x}-${-7}.2 A 192.0.2.${-7}\n", Ok("10 mx08-0a-1.2.example.test 192.0.2.1")),
    ("$GENERATE of MX records", "$GENERATE 1-2 @ MX \"$0 mx$\"\n$GENERATE 1-2 mx$ 60 IN A 192.0.2.$\n", Ok("10 mx1.example.test 192.0.2.1; 20 mx2.example.test 192.0.2.2")),
    ("$GENERATE of nibbles", "$GENERATE 17-18 ${0,3,n}.r PTR mx$$$\n$GENERATE 1-1 \\$$ A 192.0.2.9\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a DNAME above the exchanger", "@ MX 10 mx.sub\nsub DNAME other\nmx.other A 192.0.2.1\n", Ok("10 mx.sub.example.test 192.0.2.1")),
    ("an alias", "@ MX 10 mx1\nmx1 CNAME host\nhost A 192.0.2.1\n", PLAIN),
    ("strings of all kinds", "@ TXT \"a b\" c \"\" \"d\\\"e\" f\\;g h\\ i \\# @ \"\\195\\169\\000\\255\" \u{e9}\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("TXT in octets", "@ TXT \\# 4 03 61ff 62\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("strings without a space between them", "@ TXT \"a\"\"b\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a semicolon in quotes", "@ TXT \"v=DKIM1; p=(\" ; a comment \"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a string of 255 octets", "@ TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abcde\"\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("a file without $TTL", "$ORIGIN example.test.\n@ SOA ns1 hostmaster 1 2 3 4 77\n@ NS ns1\nns1 A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("the last TTL", "$ORIGIN example.test.\n@ 99 SOA ns1 hostmaster 1 2 3 4 77\n@ NS ns1\nns1 55 A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an SOA with odd names", "$ORIGIN example.test.\n$TTL 300\n@ SOA my_ns host_master@example.test. 1 2 3 4 5\n@ NS my_ns\nmy_ns A 192.0.2.53\n@ MX 10 mx1\nmx1 A 192.0.2.1\n", PLAIN),
    ("an SOA without its final dot", "$TTL 300\nexample.test SOA ns1.example.test. h.example.test. 1 2 3 4 5\nexample.test. NS ns1.example.test.\nns1.example.test. A 192.0.2.53\nexample.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n", PLAIN),
    ("the same SOA twice, as AXFR has it", "$TTL 300\nexample.test. SOA a. b. 1 2 3 4 5\nexample.test. NS a.\nexample.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\nexample.test. SOA a. b. 1 2 3 4 5\n", PLAIN),
    ("a list of MX records", "$TTL 300\nexample.test. MX 10 mx1.example.test.\nexample.test. MX 20 mx2.example.test.\n", Ok("10 mx1.example.test; 20 mx2.example.test")),
    // What is wrong is told at its place.
    ("two versions of a zone", "@ MX 10 mx1\nmx1 A 192.0.2.1\n@ SOA ns1 hostmaster 2 7200 3600 1209600 300\n", Err("8:1: found a second SOA record of example.test")),
    ("no origin", "$TTL 300\n@ SOA ns1 h 1 2 3 4 5\n", Err("2:1: found the relative name \"@\" and no origin")),
    ("a string of 256 octets", "@ TXT \"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789abcdef\"\n", Err("6:7: found a string of 256 octets, expected 255 at most")),
    ("an escape that is no octet", "@ TXT \"\\256\"\n", Err("6:7: found")),
    ("octets that are too few", "mx1 A \\# 4 c00002\n", Err("found 3 octets, expected 4")),
    ("octets that are no address", "mx1 A \\# 3 c00002\n", Err("expected the data of a A record")),
    ("a slip in a type", "@ MXX 10 mx1\n", Err("did you mean \"MX\"?")),
    ("a label of 64 octets", "@ MX 10 0123456789012345678901234567890123456789012345678901234567890123\n", Err("a label has 64 octets, at most 63 are allowed")),
    ("a range that goes down", "$GENERATE 3-1 mx$ A 192.0.2.$\n", Err("6:11: found the range \"3-1\"")),
    ("more than $GENERATE makes", "$GENERATE 1-100000 mx$ A 192.0.2.1\n", Err("found $GENERATE of 100000 records")),
    ("more than $GENERATE makes, in two", "$GENERATE 1-40000 a$ A 192.0.2.1\n$GENERATE 1-40000 b$ A 192.0.2.1\n", Err("7:1: found $GENERATE of 40000 records")),
    ("a sign before a number", "@ MX +10 mx1\n", Err("found \"+10\", expected a preference")),
    ("a file that is not there", "$INCLUDE other.zone\n", Err("found $INCLUDE of \"other.zone\"")),
];

/// The text of a shape: below the usual head, unless it brings its own.
fn text_of(shape: &str) -> String {
    match shape.starts_with("$TTL") || shape.starts_with("$ORIGIN") {
        true => shape.to_owned(),
        false => format!("{HEAD}{shape}"),
    }
}

#[tokio::test]
async fn mail_goes_where_each_shape_says() {
    assert!(SHAPES.len() >= 60, "{}", SHAPES.len());
    for (what, shape, expected) in SHAPES {
        let mut source = Source::default();
        let added = source.add_text("a.zone", &text_of(shape), None);
        let found = match added {
            Ok(()) => {
                let domain_records =
                    DomainRecords::of(&source, &"example.test".parse().expect("a name")).await;
                let plan = Plan::of(&domain_records);
                let levels = plan.levels.iter().flat_map(|level| {
                    level.exchangers.iter().map(|planned| {
                        let words = planned.addresses.iter().map(ToString::to_string);
                        let head = format!("{} {}", level.preference, planned.host);
                        std::iter::once(head)
                            .chain(words)
                            .collect::<Vec<_>>()
                            .join(" ")
                    })
                });
                Ok(levels.collect::<Vec<_>>().join("; "))
            }
            Err(mistakes) => Err(mistakes.to_string()),
        };
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, *expected, "{what}"),
            (Err(found), Err(expected)) => {
                assert!(found.contains(expected), "{what}: {found}");
            }
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn included_files_lie_beside_the_file() {
    let outer = tempfile::tempdir().expect("a folder");
    let folder = outer.path().join("zones");
    fs::create_dir_all(folder.join("hosts")).expect("made");
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("written");
    write(
        "main.zone",
        &format!(
            "{HEAD}@ MX 10 mx1.in\n$INCLUDE hosts/in.inc in ; with an origin\nmx2 A 192.0.2.2\n"
        ),
    );
    write("hosts/in.inc", "mx1 A 192.0.2.1\n");
    let mut source = Source::default();
    let main = folder.join("main.zone");
    source.add_file(&main, None).expect("it can be read");
    for (name, address) in [("mx1.in", "192.0.2.1"), ("mx2", "192.0.2.2")] {
        let name = format!("{name}.example.test").parse().expect("a name");
        let reply = source.ask(&name, RecordType::A).await;
        assert_eq!(reply.records()[0].record.data.to_string(), address);
    }
    let placed = source
        .ask(
            &"mx1.in.example.test".parse().expect("a name"),
            RecordType::A,
        )
        .await;
    let place = placed.records()[0]
        .place
        .as_ref()
        .expect("a place")
        .to_string();
    assert!(place.ends_with("hosts/in.inc:1"), "{place}");
    // A mistake is told where it stands, of one line; of what is no zone file nothing is quoted.
    let told = |text: &str| {
        write("wrong.zone", text);
        let added = Source::default().add_file(&folder.join("wrong.zone"), None);
        added.expect_err("a mistake").to_string()
    };
    write(
        "hosts/wrong.inc",
        "\nok A 192.0.2.1\nmx1 A 192.0.2.999\nmx2 A x\n",
    );
    let said = told(&format!("{HEAD}$INCLUDE hosts/wrong.inc\n"));
    assert!(
        said.contains("wrong.inc:3:7: found \"192.0.2.999\"") && said.lines().count() == 1,
        "{said}"
    );
    write("secrets", "password=hunter2\nroot:hunter2:0:0\n");
    let said = told(&format!("{HEAD}$INCLUDE secrets\n"));
    assert!(
        said.contains("expected a zone file") && !said.contains("hunter2"),
        "{said}"
    );
    fs::write(outer.path().join("outside.inc"), "mx1 A 192.0.2.1\n").expect("written");
    let said = told(&format!("{HEAD}$INCLUDE ../outside.inc\n"));
    assert!(said.contains("--allow-outside"), "{said}");
    let said = told(&format!("{HEAD}$INCLUDE wrong.zone\n"));
    assert!(said.contains("found $INCLUDE within 8 others"), "{said}");
}

/// What the name server sends is what the text says, octet by octet.
#[tokio::test]
async fn the_name_server_serves_exactly_these_octets() {
    let zone = "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n\
        t TXT \"x\\059y\\195\\169\\000\\255\" v\\;w\\ z @ \"a;b\"\ng TXT \\# 4 03616200\n\
        a\\032b\\.c TXT \"spaced\"\nsub DNAME other\nx.other TXT \"below\"\n";
    let scenario = Arc::new(Scenario::from_zone(zone).unwrap_or_else(|told| panic!("{told}")));
    let lab = Lab::start(scenario, NetworkKind::Loopback)
        .await
        .expect("a lab");
    let source = Source::resolver(Some(lab.resolver())).expect("a resolver");
    let expected: [(&str, &[&[u8]]); 4] = [
        (
            "t.example.test",
            &[b"x;y\xc3\xa9\x00\xff", b"v;w z", b"@", b"a;b"],
        ),
        ("g.example.test", &[b"ab\x00"]),
        ("a\\032b\\.c.example.test", &[b"spaced"]),
        ("x.sub.example.test", &[b"below"]),
    ];
    for (name, strings) in expected {
        let reply = source
            .ask(&name.parse().expect("a name"), RecordType::TXT)
            .await;
        let [placed] = reply.records() else {
            panic!("{name}: {reply:?}")
        };
        let RData::TXT(txt) = &placed.record.data else {
            panic!("{name}: {reply:?}")
        };
        let found: Vec<&[u8]> = txt.txt_data.iter().map(AsRef::as_ref).collect();
        assert_eq!(found, strings, "{name}");
    }
    lab.stop().await;
}

/// The types that are compared with what BIND makes of a file.
const COMPARED: [RecordType; 4] = [
    RecordType::MX,
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
];

type Sets = BTreeMap<(Vec<u8>, u16), (u32, BTreeSet<Vec<u8>>)>;

/// The sets of records that named-compilezone makes of a file, in its raw form; nothing if it refuses it.
fn of_bind(folder: &Path, text: &str) -> Option<Sets> {
    fs::write(folder.join("zone"), text).expect("written");
    let output = Command::new("named-compilezone")
        .args([
            "-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-M", "ignore",
        ])
        .args([
            "-S", "ignore", "-T", "ignore", "-r", "ignore", "-F", "raw=0", "-o", "raw",
        ])
        .args(["example.test", "zone"])
        .current_dir(folder)
        .output()
        .expect("it runs");
    if !output.status.success() {
        return None;
    }
    let raw = fs::read(folder.join("raw")).expect("written");
    // Format, version, time; then sets: length, class, type, covered type, TTL, count, owner, data.
    let mut rest = &raw[12..];
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet))
    };
    let mut sets = Sets::new();
    while rest.len() >= 4 {
        let (set, after) = rest.split_at(number(&rest[..4]));
        rest = after;
        let record_type = u16::try_from(number(&set[6..8])).expect("two octets");
        let ttl = u32::try_from(number(&set[10..14])).expect("four octets");
        let count = number(&set[14..18]);
        let mut fields = &set[18..];
        let mut next = || {
            let (field, after) = fields[2..].split_at(number(&fields[..2]));
            fields = after;
            field.to_ascii_lowercase()
        };
        let owner = next();
        let data = (0..count).map(|_| next()).collect();
        sets.insert((owner, record_type), (ttl, data));
    }
    Some(sets)
}

/// Whether BIND's program is there.
fn has_bind() -> bool {
    let found = Command::new("named-compilezone").arg("-h").output().is_ok();
    if !found {
        eprintln!("skipped: named-compilezone is not installed");
    }
    found
}

/// Holds what mxdrill reads in a file against what BIND reads.
async fn compare(what: &str, text: &str, sets: &Sets) {
    let mut source = Source::default();
    let origin: Domain = "example.test".parse().expect("a name");
    source
        .add_text("a.zone", text, Some(&origin))
        .unwrap_or_else(|mistakes| panic!("{what}: BIND takes it: {mistakes}\n{text}"));
    let owners: BTreeSet<&Vec<u8>> = sets.keys().map(|(owner, _)| owner).collect();
    for owner in owners {
        let name = Name::from_bytes(owner).expect("a name");
        for record_type in COMPARED {
            // An alias is followed here, and below a DNAME there is nothing.
            let aliases = [RecordType::CNAME, RecordType::DNAME];
            let mut above = Domain::from(&name);
            let mut is_alias = false;
            loop {
                let wire = above.to_wire().to_bytes().expect("a name");
                is_alias |= aliases
                    .iter()
                    .any(|alias| sets.contains_key(&(wire.clone(), u16::from(*alias))));
                match above.parent() {
                    Some(parent) => above = parent,
                    None => break,
                }
            }
            if is_alias {
                continue;
            }
            let reply = source.ask(&Domain::from(&name), record_type).await;
            let expected = sets.get(&(owner.clone(), u16::from(record_type)));
            let found: BTreeSet<Vec<u8>> = reply
                .records()
                .iter()
                .map(|placed| {
                    placed
                        .record
                        .data
                        .to_bytes()
                        .expect("data")
                        .to_ascii_lowercase()
                })
                .collect();
            let wanted = expected.map(|(_, data)| data.clone()).unwrap_or_default();
            assert_eq!(found, wanted, "{what}: {name} {record_type}\n{text}");
            // BIND gives a set one TTL, the first; where nothing else is said, it holds for what follows too.
            let differ = !text.starts_with("$TTL") && what.starts_with("zone ");
            if let Some((ttl, _)) = expected.filter(|_| !differ) {
                let mut ttls = reply.records().iter().map(|placed| placed.record.ttl);
                assert!(
                    ttls.any(|found| found == *ttl),
                    "{what}: {name} {record_type} {ttl}\n{text}"
                );
            }
        }
    }
}

#[tokio::test]
async fn shapes_are_read_as_bind_reads_them() {
    if !has_bind() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut compared = 0;
    for (what, shape, expected) in SHAPES {
        let text = text_of(shape);
        if let Some(sets) = of_bind(folder.path(), &text) {
            // BIND merges versions of a zone only where they are the same, and reads files beside it.
            assert!(
                expected.is_ok()
                    || *what == "no origin"
                    || what.starts_with("more than $GENERATE makes"),
                "{what}: BIND takes it"
            );
            if expected.is_ok() {
                compare(what, &text, &sets).await;
                compared += 1;
            }
        }
    }
    assert!(compared > 35, "{compared}");
}

/// Zone files made of numbers: the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }

    fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len())]
    }

    fn octet(&mut self) -> String {
        match self.below(4) {
            0 => format!("\\{:03}", self.below(256)),
            1 => format!(
                "\\{}",
                self.one_of(&["a", ";", "\"", "\\", "(", " ", "@", "$", "."])
            ),
            2 => self
                .one_of(&["-", "_", "=", "!", "/", "+", "~", "*"])
                .to_owned(),
            _ => self.one_of(&["a", "B", "c", "7", "x", "Z"]).to_owned(),
        }
    }

    fn name(&mut self) -> String {
        match self.below(4) {
            0 => "@".to_owned(),
            1 => self
                .one_of(&[
                    "mx1",
                    "mx2.sub",
                    "a.example.test.",
                    "IN",
                    "mx",
                    "other.test.",
                ])
                .to_owned(),
            _ => {
                let mut label: String = (0..=self.below(5)).map(|_| self.octet()).collect();
                // What stands first may make a directive or an origin of it.
                label.insert(0, 'n');
                label + self.one_of(&["", ".b", ".example.test."])
            }
        }
    }

    fn owner(&mut self) -> String {
        loop {
            let name = self.name();
            if !name.ends_with("other.test.") {
                return name;
            }
        }
    }

    fn string(&mut self) -> String {
        let text: String = (0..self.below(9)).map(|_| self.octet()).collect();
        match self.below(3) {
            0 => format!("x{text}"),
            _ => format!("\"{text}{}\"", self.one_of(&["", "; (x) ", "\u{e9}"])),
        }
    }

    fn data(&mut self) -> String {
        match self.below(6) {
            0 => format!("A 192.0.2.{}", self.below(256)),
            1 => format!("AAAA 2001:db8::{:x}", self.below(65_536)),
            2 => format!("MX {} {}", self.below(65_536), self.name()),
            3 => format!("TYPE1 \\# 4 c00002{:02x}", self.below(256)),
            _ => {
                let strings: Vec<String> = (0..=self.below(3)).map(|_| self.string()).collect();
                format!(
                    "TXT ( {} )",
                    strings.join(self.one_of(&[" ", "\n\t", " ; comment \"(\n "]))
                )
            }
        }
    }

    fn zone(&mut self) -> String {
        let mut text = match self.below(3) {
            0 => "@ 600 IN SOA a b 1 2 3 4 5\n".to_owned(),
            1 => "$TTL 1h\n@ IN SOA a b 1 2 3 4 5\n".to_owned(),
            _ => "@ IN SOA a. b. ( 1 2h 3m 4w\n 5d )\n".to_owned(),
        };
        text.push_str("@ NS other.test.\n");
        for _ in 0..self.below(30) {
            let owner = match self.below(4) {
                0 => String::new(),
                _ => self.owner(),
            };
            let head = self.one_of(&["", "IN", "60", "IN 2h", "1d IN", "CLASS1"]);
            text.push_str(&format!(
                "{owner}\t{head} {}{}\n",
                self.data(),
                self.one_of(&["", " ; x", "\r"])
            ));
            if self.below(12) == 0 {
                text.push_str(self.one_of(&[
                    "$ORIGIN sub.example.test.\n",
                    "$ORIGIN example.test.\n",
                    "$TTL 90\n",
                    "$GENERATE 1-4 g${0,3} A 192.0.2.$\n",
                    "$GENERATE 0-31/7 ${1,5,N} TXT v${3,2,x}\n",
                    "$GENERATE 2-3 @ MX \"$ mx${-1}\"\n",
                ]));
            }
        }
        text
    }
}

#[tokio::test]
async fn a_corpus_is_read_as_bind_reads_it() {
    if !has_bind() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut numbers = Numbers(1);
    let mut compared = 0;
    for count in 0..300 {
        let text = numbers.zone();
        if let Some(sets) = of_bind(folder.path(), &text) {
            compare(&format!("zone {count}"), &text, &sets).await;
            compared += 1;
        }
    }
    assert!(compared > 200, "{compared}");
}
