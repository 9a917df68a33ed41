//! A scenario file as a whole: its keys, its records and how its parts must fit together.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    ops::Range,
    path::{Path, PathBuf},
};

use hickory_proto::rr::Record;
use toml::{Spanned, de::DeTable};

use super::{
    Expect, ExpectedAttempt, ExpectedMessage, Host, Leave, Level, Message, MessageId, Mistake,
    Mistakes, PolicyRow, ReadFile, ReceiverSettings, Scenario, SenderSettings, Total,
    document::{Document, Table},
    expect, fault_rows, policy_host, receiver_rows, rows, update_rows,
    words::{HostNames, OWN_EXCHANGER, domain, moment, word},
};
use crate::{
    name::Domain,
    zone::{
        self, History, Zone,
        text::{self, Include, Included, Reading},
    },
};

const KEYS: [&str; 17] = [
    "policies",
    "summary",
    "cites",
    "level",
    "covers",
    "seed",
    "zone",
    "zone_file",
    "messages",
    "sender",
    "faults",
    "updates",
    "receivers",
    "dnssec",
    "engine",
    "stop",
    "expect",
];

/// The lab's own domain for senders: where bounces of `sender@sender.test` arrive.
const SENDER_ZONE: &str = "$ORIGIN sender.test.\n$TTL 3600\n\
    @ IN SOA ns hostmaster 1 7200 3600 1209600 300\n@ IN MX 10 bounces\n@ IN TXT \"v=spf1 mx -all\"\n";
/// The address of its exchanger, or the next one that nobody else has.
const BOUNCE_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 25);

/// Reads a scenario; every mistake is told with its place.
pub(super) fn read(path: &str, text: &str, read_file: &ReadFile<'_>) -> Result<Scenario, Mistakes> {
    let doc = Document::new(path, text);
    let parsed = doc.parse();
    let scenario = parsed
        .as_ref()
        .and_then(|root| scenario(&doc, root, read_file));
    match scenario {
        Some(scenario) if !doc.has_mistakes() => Ok(scenario),
        _ => Err(doc.into_mistakes()),
    }
}

fn scenario<'a>(
    doc: &Document<'a>,
    root: &Spanned<DeTable<'a>>,
    read_file: &ReadFile<'_>,
) -> Option<Scenario> {
    let table = Table::open(doc, root.get_ref(), 0..0, "a scenario", &KEYS);
    let summary = table.text("summary").map(|text| text.value.to_owned());
    if table.get("summary").is_none() {
        table.missing("summary", "one sentence that says what is claimed");
    }
    let mut notes = Vec::new();
    let records = records(&table, read_file, &mut notes);
    let known = records.is_some();
    let mut zones = History::new(Zone::new(records.unwrap_or_default()));
    update_rows::updates(&table, &mut zones, known);
    let sender = table
        .get("sender")
        .map_or_else(SenderSettings::default, |value| rows::sender(doc, value));
    let mut messages = rows::messages(&table);
    host_sender_domain(&mut zones, &sender, &messages);
    let policies = receiver_rows::policies(&table);
    host_policies(&policies, &mut zones);
    if messages.is_empty() && table.array("messages").is_empty() {
        table.missing(
            "messages",
            "at least one row such as messages = [{ id = \"m1\", to = \"alice@example.test\" }]",
        );
    }
    let names = HostNames::new(&zones, known);
    let expect = table.get("expect").map_or_else(Expect::default, |value| {
        expect::read(doc, value, &messages, &names)
    });
    let stop = table.parsed("stop", moment);
    if stop.is_none() {
        imply_leaves(&expect, &mut messages);
    }
    let mut receivers = receiver_rows::receivers(&table, &names);
    receivers.extend(engine_of_all(&table, &zones));
    let scenario = Scenario {
        name: Path::new(doc.path())
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        path: doc.path().to_owned(),
        summary: summary.unwrap_or_default(),
        notes,
        zone_file: table.text("zone_file").map(|name| beside(doc, name.value)),
        cites: table.parsed_array("cites", |text| Ok(text.to_owned())),
        level: table
            .parsed("level", |text| word(text, "a level", &Level::WORDS))
            .unwrap_or(Level::Must),
        covers: rows::covers(&table),
        seed: table.number("seed", i64::MAX as u64).unwrap_or(0),
        faults: fault_rows::faults(&table, &names),
        receivers,
        policies,
        dnssec: table.parsed_array("dnssec", domain),
        stop,
        zones,
        messages,
        sender,
        expect,
    };
    known.then_some(scenario)
}

/// The engine of all receivers but the lab's own one, which has to take bounces.
fn engine_of_all(table: &Table<'_, '_>, zones: &History) -> Vec<ReceiverSettings> {
    let Some(engine) = table.parsed("engine", receiver_rows::engine) else {
        return Vec::new();
    };
    let own = |names: &Vec<Domain>| names.iter().any(|name| name.as_str() == OWN_EXCHANGER);
    let addresses = zones
        .addresses()
        .into_iter()
        .filter(|(_, names)| !own(names));
    let row = |(address, _)| ReceiverSettings {
        host: Some(Host::Address(address)),
        certificate: None,
        tlsa: Vec::new(),
        size: None,
        engine: Some(engine.clone()),
    };
    addresses.map(row).collect()
}

/// A scenario of records alone.
pub(super) fn from_zone(zone: &str) -> Result<Scenario, Mistakes> {
    let records = text::parse(zone).map_err(|mistakes| {
        let placed = mistakes.into_iter();
        Mistakes(
            placed
                .map(|mistake| Mistake::at("zone", zone, mistake.offset, mistake.message))
                .collect(),
        )
    })?;
    let mut zones = History::new(Zone::new(records));
    let sender = SenderSettings::default();
    host_sender_domain(&mut zones, &sender, &[]);
    Ok(Scenario {
        name: "zone".to_owned(),
        path: "zone".to_owned(),
        summary: "records alone".to_owned(),
        zone_file: None,
        notes: Vec::new(),
        cites: Vec::new(),
        level: Level::Info,
        covers: Vec::new(),
        seed: 0,
        zones,
        messages: Vec::new(),
        sender,
        faults: Vec::new(),
        receivers: Vec::new(),
        policies: Vec::new(),
        dnssec: Vec::new(),
        stop: None,
        expect: Expect::default(),
    })
}

/// Without `stop`, a message that is expected deferred is left alone once its expected attempts are
/// over; all messages are where only the number of deferred ones is expected.
fn imply_leaves(expect: &Expect, messages: &mut [Message]) {
    let counted = expect
        .totals
        .iter()
        .any(|(total, bounds)| *total == Total::Deferred && bounds.min > 0);
    let expected: BTreeMap<&MessageId, &ExpectedMessage> = expect
        .messages
        .iter()
        .map(|(id, expected)| (id, &**expected))
        .collect();
    let any = expected.values().any(|expected| expected.is_deferred());
    for message in messages {
        let about = expected
            .get(&message.id)
            .filter(|expected| expected.is_deferred());
        if about.is_none() && (any || !counted) {
            continue;
        }
        let attempts: Vec<&ExpectedAttempt> = about
            .into_iter()
            .flat_map(|expected| expected.attempts.iter().chain(&expected.starts_with))
            .flatten()
            .collect();
        let last = attempts.iter().filter_map(|attempt| attempt.at).max();
        message.leave = Some(Leave {
            after: last.unwrap_or(message.at).max(message.at),
            attempts: attempts.len(),
        });
    }
}

/// The records of `zone` or `zone_file`.
fn records(
    table: &Table<'_, '_>,
    read_file: &ReadFile<'_>,
    notes: &mut Vec<String>,
) -> Option<Vec<Record>> {
    let doc = table.doc();
    match (table.get("zone"), table.get("zone_file")) {
        (Some(_), Some(_)) => {
            doc.mistake(
                table.key_offset("zone_file"),
                "found zone_file beside zone, expected one of them",
            );
            None
        }
        (None, None) => {
            table.missing(
                "zone",
                "the records as zone-file text, or zone_file = \"path\"",
            );
            None
        }
        (Some(_), None) => zone_text(table, read_file),
        (None, Some(_)) => zone_file(table, read_file, notes),
    }
}

fn zone_text(table: &Table<'_, '_>, read_file: &ReadFile<'_>) -> Option<Vec<Record>> {
    let zone = table.text("zone")?;
    let include = including(Path::new(table.doc().path()), read_file);
    placed_records(table, zone.value, &zone.span, Some(&include))
}

/// Finds what a text of a file includes, beside that file.
fn including<'a>(
    file: &Path,
    read_file: &'a ReadFile<'_>,
) -> impl Fn(&str) -> Result<Included, String> + 'a {
    let folder = zone::file::folder_of(file);
    move |name| {
        let path = folder.join(name);
        let text = read_file(&path).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(Included {
            path: path.display().to_string(),
            text,
            is_latin: false,
        })
    }
}

/// The records of a string, mistakes told at their place in the file.
pub(super) fn placed_records(
    table: &Table<'_, '_>,
    value: &str,
    span: &Range<usize>,
    include: Option<&Include<'_>>,
) -> Option<Vec<Record>> {
    text::parse_including(value, include)
        .map_err(|mistakes| {
            let places = table.doc().places(span, value);
            for mistake in mistakes {
                if let Some(elsewhere) = mistake.elsewhere {
                    table.doc().mistake_elsewhere(elsewhere);
                    continue;
                }
                let offset = places.get(mistake.offset).or(places.last()).copied();
                table
                    .doc()
                    .mistake(offset.unwrap_or(span.start), mistake.message);
            }
        })
        .ok()
}

/// The path of a file that a scenario names.
fn beside(doc: &Document<'_>, name: &str) -> PathBuf {
    zone::file::folder_of(Path::new(doc.path())).join(name)
}

fn zone_file(
    table: &Table<'_, '_>,
    read_file: &ReadFile<'_>,
    notes: &mut Vec<String>,
) -> Option<Vec<Record>> {
    let doc = table.doc();
    let name = table.text("zone_file")?;
    let path = beside(doc, name.value);
    let content = read_file(&path)
        .map_err(|error| {
            doc.mistake(
                name.span.start,
                format!(
                    "found zone_file {:?}, which cannot be read: {error}",
                    name.value
                ),
            )
        })
        .ok()?;
    let include = including(&path, read_file);
    let origin = zone::file::domain_of(&path);
    let reading = Reading {
        origin: origin.as_ref().map(Domain::to_wire),
        is_latin: false,
        include: Some(&include),
    };
    let shown = path.display().to_string();
    let mistake = |offset, message| {
        doc.mistake_elsewhere(Mistake::at(&shown, &content, offset, message));
    };
    match text::parse_file(&content, &reading) {
        Ok(written) if written.records.is_empty() => {
            mistake(
                0,
                "found no record in this file, expected a zone file".to_owned(),
            );
            None
        }
        Ok(written) => {
            notes.extend(written.note(&shown));
            let records = written.records.into_iter();
            Some(records.map(|entered| entered.record).collect())
        }
        // A scenario may be somebody else's, and the file it names none of theirs: nothing is quoted of
        // what is no zone file, and one line of what is one.
        Err(misread) => {
            let count = misread.mistakes.len();
            for one in misread.mistakes.into_iter().take(1) {
                match (one.elsewhere, misread.is_zone) {
                    (Some(elsewhere), _) => doc.mistake_elsewhere(elsewhere),
                    (None, true) => mistake(one.offset, more(one.message, count - 1)),
                    (None, false) => mistake(
                        one.offset,
                        "found no record in this file, expected a zone file".to_owned(),
                    ),
                }
            }
            None
        }
    }
}

/// A message with the number of others behind it.
fn more(message: String, others: usize) -> String {
    match others {
        0 => message,
        others => format!("{message}; and {others} more mistakes"),
    }
}

/// Adds the domain of senders, if the scenario does not bring it, on an address that nobody else has.
fn host_sender_domain(zones: &mut History, sender: &SenderSettings, messages: &[Message]) {
    let domain: Domain = "sender.test".parse().expect("a valid name");
    if zones.zones().any(|zone| zone.exists(&domain)) {
        return;
    }
    let mut taken: BTreeSet<IpAddr> = zones.addresses().into_keys().collect();
    taken.extend(&sender.addresses);
    let recipients = messages.iter().flat_map(|message| message.to.iter());
    taken.extend(recipients.filter_map(|to| to.domain.literal()));
    let mut free = (u32::from(BOUNCE_HOST)..).map(Ipv4Addr::from);
    let address = free.find(|address| !taken.contains(&IpAddr::V4(*address)));
    let host = address.unwrap_or(BOUNCE_HOST);
    let zone = format!("{SENDER_ZONE}bounces IN A {host}\n");
    zones.add_everywhere(&text::parse(&zone).expect("a valid zone"));
}

/// Gives the web server of each policy an address that no record has.
fn host_policies(policies: &[PolicyRow], zones: &mut History) {
    let mut free = (1..=254).map(|last| IpAddr::from([198, 51, 100, 255 - last]));
    let mut hosted: Vec<Domain> = Vec::new();
    for row in policies {
        let host = policy_host(&row.domain);
        if hosted.contains(&host) || zones.zones().any(|zone| zone.exists(&host)) {
            continue;
        }
        let taken = zones.addresses();
        let Some(address) = free.find(|address| !taken.contains_key(address)) else {
            return;
        };
        let line = format!("{host}. 3600 IN A {address}\n");
        zones.add_everywhere(&text::parse(&line).expect("a valid record"));
        hosted.push(host);
    }
}
