//! The openspf test suite (`tests/openspf`): what it expects of each sender is what the check says, asked of the records
//! themselves and of a zone file that has them.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use hickory_proto::rr::{
    Name, RData, Record, RecordType,
    rdata::{CNAME, MX, PTR, TXT},
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    check::{Lookup, SpfCheck, SpfClient},
    step::SpfResult,
};
use crate::{
    name::Domain,
    records::{LocatedRecord, RecordLookup, Source},
    zone::present,
};

#[derive(Deserialize)]
struct Section {
    description: String,
    tests: Vec<Test>,
    zone: BTreeMap<String, Vec<Vec<Value>>>,
}

#[derive(Deserialize)]
struct Test {
    name: String,
    helo: String,
    host: String,
    mailfrom: String,
    result: Vec<String>,
    explanation: Option<String>,
}

/// The records of a section; nothing stands for a lookup that times out.
struct SuiteZone {
    records: BTreeMap<Vec<u8>, (Name, Vec<Option<RData>>)>,
    /// Whether such a lookup was made.
    has_timed_out: AtomicBool,
}

impl SuiteZone {
    fn of(section: &Section) -> Self {
        let names = section.zone.iter().map(|(owner, rows)| {
            let is_txt = |row: &Vec<Value>| row[0] == "TXT";
            // An SPF record stands for a TXT record where there are none of these.
            let has_txt = rows.iter().any(is_txt);
            let data = rows.iter().filter_map(|row| match row[0].as_str() {
                Some("TIMEOUT") => Some(None),
                Some("SPF") if has_txt => None,
                Some(kind) => data(kind, &row[1]).map(Some),
                None => None,
            });
            let owner = name(owner).to_lowercase();
            let key = owner.to_ascii().into_bytes();
            (key, (owner, data.collect()))
        });
        Self {
            records: names.collect(),
            has_timed_out: AtomicBool::new(false),
        }
    }

    /// The same records in a zone file, which says nothing of time.
    fn source(&self) -> Source {
        let mut text = ". 300 IN SOA a. b. 1 2 3 4 5\n".to_owned();
        for (owner, set) in self.records.values() {
            for data in set.iter().flatten() {
                let record = Record::from_rdata(owner.clone(), 300, data.clone());
                writeln!(text, "{}", present::record(&record)).expect("written");
            }
        }
        let mut source = Source::default();
        source
            .add_text("suite.zone", &text, None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        source
    }
}

fn name(text: &str) -> Name {
    let text = text.trim_end_matches('.');
    let labels = text.split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).expect("a name")
}

fn data(kind: &str, value: &Value) -> Option<RData> {
    let octets = |text: &Value| -> Vec<u8> {
        let text = text.as_str().unwrap_or_default();
        text.chars()
            .map(|c| u8::try_from(c).expect("an octet"))
            .collect()
    };
    Some(match (kind, value) {
        (_, Value::String(none)) if none == "NONE" => return None,
        ("SPF" | "TXT", Value::Array(strings)) => {
            let strings: Vec<Vec<u8>> = strings.iter().map(octets).collect();
            RData::TXT(TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()))
        }
        ("SPF" | "TXT", text) => RData::TXT(TXT::from_bytes(vec![&octets(text)])),
        ("A", text) => RData::A(text.as_str()?.parse::<Ipv4Addr>().ok()?.into()),
        ("AAAA", text) => RData::AAAA(text.as_str()?.parse::<Ipv6Addr>().ok()?.into()),
        ("PTR", text) => RData::PTR(PTR(name(text.as_str()?))),
        ("CNAME", text) => RData::CNAME(CNAME(name(text.as_str()?))),
        ("MX", Value::Array(fields)) => {
            let preference = u16::try_from(fields[0].as_u64()?).ok()?;
            RData::MX(MX::new(preference, name(fields[1].as_str()?)))
        }
        other => panic!("{other:?}"),
    })
}

impl SuiteZone {
    fn answer(&self, wanted: &Domain, record_type: RecordType, aliases: usize) -> RecordLookup {
        if aliases > 16 {
            return RecordLookup::Failed;
        }
        let owner = wanted.to_wire();
        let Some((_, set)) = self.records.get(owner.to_ascii().as_bytes()) else {
            return RecordLookup::NoDomain;
        };
        let mut found = Vec::new();
        for data in set {
            match data {
                Some(RData::CNAME(target)) if record_type != RecordType::CNAME => {
                    return self.answer(&Domain::from(&target.0), record_type, aliases + 1);
                }
                Some(data) if data.record_type() == record_type => {
                    let record = Record::from_rdata(owner.clone(), 300, data.clone());
                    found.push(LocatedRecord {
                        record: record.into(),
                        place: None,
                    });
                }
                None if found.is_empty() => {
                    self.has_timed_out.store(true, Ordering::Relaxed);
                    return RecordLookup::Failed;
                }
                _ => {}
            }
        }
        if found.is_empty() {
            RecordLookup::NoData
        } else {
            RecordLookup::Records(found)
        }
    }
}

impl Lookup for SuiteZone {
    async fn look_up(&self, wanted: &Domain, record_type: RecordType) -> RecordLookup {
        self.answer(wanted, record_type, 0)
    }
}

/// The domain that a test is about; nothing where it is no name.
fn domain_of(test: &Test) -> Option<Domain> {
    let domain = test.mailfrom.rsplit_once('@').map(|(_, domain)| domain);
    let labels = domain.unwrap_or(&test.helo).split('.').map(str::as_bytes);
    Some(Domain::from(&Name::from_labels(labels).ok()?))
}

/// What the check comes to, and what the domain says to a sender that fails.
async fn checked(zone: &impl Lookup, test: &Test) -> (SpfResult, Option<String>) {
    let Some(domain) = domain_of(test) else {
        return (SpfResult::None, None);
    };
    let local_part = test.mailfrom.rsplit_once('@').map(|(local, _)| local);
    let sender = SpfClient {
        address: Some(test.host.parse().expect("an address")),
        local_part: local_part.map(str::to_owned),
        helo: Some(test.helo.clone()),
        ..SpfClient::default()
    };
    let mut check = SpfCheck::new(zone, sender, domain.clone());
    let result = check.of(&domain).await;
    (result, check.explanation)
}

fn sections() -> Vec<Section> {
    let suite = include_str!("../../../tests/openspf/rfc7208-tests.json");
    serde_json::from_str(suite).expect("JSON")
}

/// The results of every test, which the file lists: `UPDATE=1` writes it.
#[tokio::test]
async fn senders_get_the_results_of_the_openspf_suite() {
    let mut listed = String::new();
    let mut count = 0;
    let mut differ = Vec::new();
    for section in &sections() {
        writeln!(listed, "\n{}", section.description).expect("written");
        let zone = SuiteZone::of(section);
        let source = zone.source();
        for test in &section.tests {
            count += 1;
            zone.has_timed_out.store(false, Ordering::Relaxed);
            let (found, explanation) = checked(&zone, test).await;
            let agrees = |found: SpfResult| test.result.iter().any(|one| *one == found.word());
            // Where none comes of it, the suite has a text of its own.
            let expected = test.explanation.as_deref().filter(|one| *one != "DEFAULT");
            let says = |one: &str| {
                explanation
                    .as_deref()
                    .is_some_and(|said| said.eq_ignore_ascii_case(one))
            };
            let explains =
                test.explanation.is_none() || expected.map_or(explanation.is_none(), says);
            let in_file = match zone.has_timed_out.load(Ordering::Relaxed) {
                true => None,
                false => Some(checked(&source, test).await.0),
            };
            let line = format!(
                "  {}: expected {}, found {found}, in a zone file {}",
                test.name,
                test.result.join(" or "),
                in_file.map_or("not to be stated: a lookup times out", SpfResult::word)
            );
            if !agrees(found) || !in_file.is_none_or(agrees) || !explains {
                differ.push(format!("{line}, explained {explanation:?}"));
            }
            writeln!(listed, "{line}").expect("written");
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert_eq!(count, 203);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openspf/results.txt");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &listed).expect("written");
    }
    let expected = fs::read_to_string(&path).expect("read").replace('\r', "");
    assert_eq!(listed, expected, "UPDATE=1 writes it, if this is meant");
}

/// Without a sender the check finds something wrong where a sender of the suite gets a permanent error, and
/// nowhere else.
#[tokio::test]
async fn a_walk_finds_what_ends_in_a_permanent_error() {
    for section in &sections() {
        let zone = SuiteZone::of(section);
        for test in &section.tests {
            let Some(domain) = domain_of(test) else {
                continue;
            };
            let mut check = SpfCheck::new(&zone, SpfClient::default(), domain.clone());
            let result = check.of(&domain).await;
            let is_wrong = !check.flaws.is_empty() || result == SpfResult::PermError;
            let is_expected = test.result.iter().any(|result| result == "permerror");
            // Its sender matches before the eleventh lookup; one that matches nothing does not.
            let is_for_others = test.name == "include-at-limit";
            let is_open = test.result.len() > 1;
            assert!(
                is_wrong == is_expected || is_for_others || is_open,
                "{}: {:?}, expected {:?}",
                test.name,
                check.flaws,
                test.result
            );
        }
    }
}
