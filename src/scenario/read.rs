//! A scenario file as a whole: its keys, and how its parts must fit together.
//!
//! From text to scenario:
//!
//! 1. `document` parses the TOML and keeps the place of everything in it.
//! 2. Records are read first (`records`, `updates`), since all other rows speak of hosts, which
//!    must be among them.
//! 3. Each kind of row has a file: `messages`, `faults`, `receivers`, `expect`; `words` has what
//!    they share.
//! 4. `own` adds what the lab needs beside the scenario's records: a domain for senders, hosts of
//!    policies.
//! 5. Mistakes are collected all the way, so that one run tells of all of them; any mistake means
//!    that there is no scenario.

mod crashes;
mod document;
pub(super) mod expect;
mod faults;
mod handling;
pub(super) mod keys;
mod limits;
mod messages;
mod own;
mod receivers;
mod records;
mod updates;
pub(super) mod words;

use std::{collections::BTreeMap, path::Path};

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use self::{
    document::{Document, Table},
    own::{host_policies, host_sender_domain},
    records::{beside, records},
    words::{HostNames, domain, moment, word},
};
use super::{
    Expect, ExpectedAttempt, ExpectedMessage, ReceiverSettings, Scenario, SenderSettings, Total,
    World,
};
use crate::{
    diagnostic::{Mistake, Mistakes},
    fault::{Fault, Host},
    level::Level,
    mail::{KeepQueued, Message, MessageId},
    name::{Domain, OWN_EXCHANGER},
    zone::{self, History, Zone, file::Reach, text},
};

/// Reads a file that a scenario names, such as its `zone_file`. An error becomes a mistake at the
/// place that names it.
pub type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + 'a;

impl Scenario {
    /// Reads and validates a scenario file.
    ///
    /// # Errors
    /// Every mistake in the file, each with path, line and column. A file that cannot be read is a
    /// mistake at its first character.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        Self::load_within(path, Reach::Folder)
    }

    /// As [`Scenario::load`]; a path of `-` is standard input. `reach` says where the files may lie
    /// that the scenario names.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_within(path: &Path, reach: Reach) -> Result<Self, Mistakes> {
        let shown = path.display().to_string();
        match zone::file::utf8(path) {
            Ok(text) => Self::parse_within(&shown, &text, reach),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Mistakes::of_file(&shown, error.to_string()))
            }
            Err(error) => Err(Mistakes::of_file(
                &shown,
                format!("cannot be read: {error}"),
            )),
        }
    }

    /// Reads and validates scenario text; `path` is what mistakes name, and in its folder a `zone_file` is
    /// found, or below it.
    ///
    /// # Errors
    /// Every mistake in the text, each with path, line and column.
    pub fn parse(path: &str, text: &str) -> Result<Self, Mistakes> {
        Self::parse_within(path, text, Reach::Folder)
    }

    /// As [`Scenario::parse`]; `reach` is where the files may lie that it names.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse_within(path: &str, text: &str, reach: Reach) -> Result<Self, Mistakes> {
        let folder = zone::file::folder_of(Path::new(path));
        Self::parse_with(path, text, &|path| {
            zone::file::allowed(&folder, path, reach)?;
            zone::file::utf8(path)
        })
    }

    /// As [`Scenario::parse`], with another way to read a `zone_file`.
    ///
    /// # Errors
    /// Every mistake in the text, each with path, line and column.
    pub fn parse_with(path: &str, text: &str, read: &ReadFile<'_>) -> Result<Self, Mistakes> {
        self::read(path, text, read)
    }

    /// A scenario of records alone, without messages or faults: a lab for senders of one's own.
    ///
    /// # Errors
    /// Every mistake in the zone-file text, with its line and column.
    ///
    /// The name is `zone`, and nothing is expected.
    pub fn from_zone(zone: &str) -> Result<Self, Mistakes> {
        self::from_zone(zone)
    }
}

/// Reads a row of `faults` by itself, its keys a line each; hosts are those of the zones.
pub(crate) fn fault_row(text: &str, zones: &History) -> Result<Fault, Mistakes> {
    faults::row(text, &HostNames::new(zones, true))
}

/// Reads a scenario; every mistake is reported with its place.
fn read(path: &str, text: &str, read_file: &ReadFile<'_>) -> Result<Scenario, Mistakes> {
    let doc = Document::new(path, text);
    let scenario = doc.parse().and_then(|mut root| {
        let messages = messages_apart(&doc, root.get_mut());
        scenario(&doc, &root, messages, read_file)
    });
    match scenario {
        Some(scenario) if !doc.has_mistakes() => Ok(scenario),
        _ => Err(doc.into_mistakes()),
    }
}

/// Reads the messages, and takes their rows out of the document; `None` if it has none. A hundred thousand rows take as
/// much memory as the zone of as many domains, which is read after them.
fn messages_apart<'a>(doc: &Document<'a>, root: &mut DeTable<'a>) -> Option<Vec<Message>> {
    let table = Table::whole(doc, root, &keys::SCENARIO);
    if table.array("messages").is_empty() {
        return None;
    }
    let messages = messages::messages(&table);
    if let Some(rows) = root.get_mut("messages") {
        *rows.get_mut() = DeValue::Array(DeArray::new());
    }
    Some(messages)
}

/// The scenario of a document, with the messages that were in it. `None` if there are no records, without which nothing else
/// can be checked.
fn scenario<'a>(
    doc: &Document<'a>,
    root: &Spanned<DeTable<'a>>,
    messages: Option<Vec<Message>>,
    read_file: &ReadFile<'_>,
) -> Option<Scenario> {
    let table = Table::whole(doc, root.get_ref(), &keys::SCENARIO);
    let summary = table.text("summary").map(|text| text.value.to_owned());
    if table.get("summary").is_none() {
        table.missing("summary", "one sentence that says what is claimed");
    }
    let mut notes = Vec::new();
    let records = records(&table, read_file, &mut notes);
    let known = records.is_some();
    let mut zones = History::new(records.unwrap_or_default());
    updates::updates(&table, &mut zones, known);
    let mut sender = table
        .get("sender")
        .map_or_else(SenderSettings::default, |value| {
            messages::sender(doc, value)
        });
    // An array whose rows are all mistaken has told of them already.
    if messages.is_none() {
        table.missing(
            "messages",
            "at least one row such as messages = [{ id = \"m1\", to = \"alice@example.test\" }]",
        );
    }
    let mut messages = messages.unwrap_or_default();
    let mut own = host_sender_domain(&mut zones, &sender, &messages);
    let policies = receivers::policies(&table);
    own.extend(host_policies(&policies, &mut zones));
    let names = HostNames::new(&zones, known);
    if let Some(value) = table.get("sender") {
        messages::relays(doc, value, &names, &mut sender);
    }
    let expect = table.get("expect").map_or_else(Expect::default, |value| {
        expect::read(doc, value, &messages, &names)
    });
    // With a stop there is an end, and nothing need be implied.
    let stop = table.parsed("stop", moment);
    if stop.is_none() {
        imply_leaves(&expect, &mut messages);
    }
    let mut receivers = receivers::receivers(&table, &names);
    receivers::implicit_tls(&table, &sender, &receivers, &zones);
    receivers.extend(engine_of_all(&table, &zones));
    let scenario = Scenario {
        name: Path::new(doc.path())
            .file_stem()
            .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned()),
        path: doc.path().to_owned(),
        summary: summary.unwrap_or_default(),
        notes,
        zone_file: table.text("zone_file").map(|name| beside(doc, name.value)),
        cites: table.parsed_array("cites", |text| Ok::<_, String>(text.to_owned())),
        level: table
            .parsed("level", |text| word(text, "a level", &Level::WORDS))
            .unwrap_or(Level::Must),
        covers: messages::covers(&table),
        seed: table.number("seed", i64::MAX as u64).unwrap_or(0),
        world: World {
            faults: faults::faults(&table, &names),
            receivers,
            policies,
            dnssec: table.parsed_array("dnssec", domain),
            zones,
            own,
        },
        crashes: crashes::crashes(&table, &names),
        stop,
        messages,
        sender,
        expect,
    };
    known.then_some(scenario)
}

/// The rows of the scenario's `engine`: all receivers but the lab's own one, which has to accept
/// notifications.
fn engine_of_all(table: &Table<'_, '_>, zones: &History) -> Vec<ReceiverSettings> {
    let Some(engine) = table.parsed("engine", receivers::engine) else {
        return Vec::new();
    };
    let own = |names: &Vec<Domain>| names.iter().any(|name| name.as_str() == OWN_EXCHANGER);
    let addresses = zones
        .addresses()
        .into_iter()
        .filter(|(_, names)| !own(names));
    let row = |(address, _)| ReceiverSettings {
        host: Some(Host::Address(address)),
        engine: Some(engine.clone()),
        ..ReceiverSettings::default()
    };
    addresses.map(row).collect()
}

/// A scenario of records alone.
fn from_zone(zone: &str) -> Result<Scenario, Mistakes> {
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
    let own = host_sender_domain(&mut zones, &sender, &[]);
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
        world: World::of(zones, own),
        messages: Vec::new(),
        crashes: Vec::new(),
        sender,
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
        message.leave = Some(KeepQueued {
            after: last.unwrap_or(message.at).max(message.at),
            attempts: attempts.len(),
        });
    }
}
