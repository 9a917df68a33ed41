//! The messages of a scenario file, and the sender's settings.
//!
//! A row with a count is many messages, whose ids are the row's with a number behind: `m-1`, `m-2`,
//! ...
//!
//! Rows are read one by one, in three steps: what the row says of each of its messages; how many there are, against
//! what a drill can hold; then an id for each. Two messages with one id are a mistake even across rows, since
//! expectations, logs and reports tell messages apart by their ids alone.
//!
//! The sender's settings are read twice. `sender` takes what depends on nothing else; `relays` comes later, when the
//! hosts that records name are known.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use toml::{Spanned, de::DeValue};

use super::{
    document::{Document, Table, whole_number},
    handling, keys,
    receivers::secret,
    words::{HostNames, duration, moment, word},
};
use crate::{fault::Stage, time::Moment};
use crate::{
    mail::{
        DsnRequest, Mailbox, Message, MessageId, Notify, Occasion, RecipientRequest, Ret,
        dsn::{envelope_id, occasion},
    },
    route::Families,
    scenario::{
        Family, Login, Relay, SenderSettings, TlsPolicy, expectation::TOTAL_KEYS,
        write::DEFAULT_FROM,
    },
};

/// Messages that one row may stand for, and all rows together: a million, which a drill still holds
/// in memory.
const MAX_COUNT: u64 = 1_000_000;
const MAX_MESSAGES: usize = 1_000_000;
/// Messages of a row that are made where there are too many, so that what is expected of them is read.
const SOME: usize = 1000;
/// Octets that a message may have: 64 MiB, a little more than receivers accept by default, so that
/// a drill can be too large for them.
const MAX_SIZE: u64 = 64 << 20;

/// Reads the numbers of the statements that the scenario covers.
pub(super) fn covers(table: &Table<'_, '_>) -> Vec<u16> {
    let numbers = table.array("covers").into_iter();
    numbers
        .filter_map(|value| whole_number(table.doc(), value, "covers", 999))
        .filter_map(|n| n.try_into().ok())
        .collect()
}

/// Reads the messages of all rows. Ids must differ.
pub(super) fn messages(table: &Table<'_, '_>) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    let mut ids: BTreeSet<MessageId> = BTreeSet::new();
    let author = DEFAULT_FROM.parse().ok();
    for value in table.array("messages") {
        let Some(row) = Table::of_row(table.doc(), value, &keys::MESSAGE) else {
            continue;
        };
        let Some((message, mut count)) = message_row(&row, &author) else {
            continue;
        };
        let all = messages.len().saturating_add(count.unwrap_or(1));
        if all > MAX_MESSAGES {
            let key = if count.is_some() { "count" } else { "id" };
            row.doc().mistake(
                row.key_offset(key),
                format!(
                    "found {all} messages up to here, expected {MAX_MESSAGES} at most in all rows together"
                ),
            );
            count = count.map(|count| count.min(SOME));
        }
        messages.reserve(count.unwrap_or(1));
        for id in ids_of(&message.id, count) {
            if !ids.insert(id.clone()) {
                table.doc().mistake(
                    row.key_offset("id"),
                    format!("found a second message with id \"{id}\", expected ids that differ"),
                );
                break;
            }
            messages.push(Message {
                id,
                ..message.clone()
            });
        }
    }
    messages
}

/// The ids of the messages of a row: its own, or with a count one for each.
fn ids_of(id: &MessageId, count: Option<usize>) -> impl Iterator<Item = MessageId> {
    let own = count.is_none().then(|| id.clone());
    let counted = (1..=count.unwrap_or(0)).map(move |n| MessageId(format!("{id}-{n}").into()));
    own.into_iter().chain(counted)
}

/// What a row says of its messages, and how many there are if it counts them.
///
/// A row with a mistake in it is a message all the same as far as it can be, so that expectations
/// about it are no further mistakes. `author` is who sends it if the row does not say.
fn message_row(row: &Table<'_, '_>, author: &Option<Mailbox>) -> Option<(Message, Option<usize>)> {
    let id = row.parsed("id", message_id);
    for (key, expected) in [
        ("id", "an id such as id = \"m1\""),
        ("to", "a recipient such as to = \"alice@example.test\""),
    ] {
        if row.get(key).is_none() {
            row.missing(key, expected);
        }
    }
    let to: Vec<Mailbox> = row
        .parsed_one_or_many("to", str::parse)
        .into_iter()
        .map(|placed| placed.value)
        .collect();
    if row.get("to").is_some_and(|value| {
        value
            .get_ref()
            .as_array()
            .is_some_and(|array| array.is_empty())
    }) {
        row.doc().mistake(
            row.key_offset("to"),
            "found no recipient, expected at least one",
        );
    }
    // No key is the usual author; an empty one is the null reverse-path (RFC 5321 section 4.5.5).
    let from = match row.get("from") {
        Some(_) => row.parsed("from", reverse_path).flatten(),
        None => author.clone(),
    };
    // After a mistake in it, what names the messages is no further one.
    let count = row
        .get("count")
        .map(|_| row.number("count", MAX_COUNT).unwrap_or(1));
    // Without an id there is no message: nothing could be said of it, and the mistake was told.
    let id = id?;
    if count == Some(0) {
        row.doc().mistake(
            row.key_offset("count"),
            format!("found count 0, expected 1 to {MAX_COUNT}"),
        );
    }
    // After the recipients: requests are kept by their place among them.
    let dsn = dsn_request(row, &to);
    let message = Message {
        id: MessageId::from(id.as_str()),
        at: row.parsed("at", moment).unwrap_or(Moment::START),
        from,
        to: to.into(),
        size: row
            .number("size", MAX_SIZE)
            .and_then(|size| size.try_into().ok()),
        received: row
            .number("received", 1000)
            .and_then(|n| n.try_into().ok())
            .unwrap_or(0),
        body: row.text("body").map(|body| body.value.into()),
        binary: row.flag("binary").unwrap_or(false),
        priority: handling::priority(row),
        deliver_by: handling::deliver_by(row),
        header: row.parsed_array("header", header_field).into(),
        require_tls: row.flag("requiretls").unwrap_or(false),
        dsn: (!dsn.is_empty()).then(|| Arc::new(dsn)),
        leave: None,
    };
    let count = count.map(|count| usize::try_from(count.max(1)).unwrap_or(usize::MAX));
    Some((message, count))
}

/// What a row asks of notifications: `notify` for all recipients or by recipient, `ret`, `envid`, and `orcpt` by
/// recipient.
fn dsn_request(row: &Table<'_, '_>, to: &[Mailbox]) -> DsnRequest {
    let mut recipients = vec![RecipientRequest::default(); to.len()];
    match row.get("notify") {
        Some(value) if value.get_ref().is_table() => {
            let what = "notify by recipient";
            by_recipient(row, "notify", what, to, |table, key, index| {
                recipients[index].notify = notify(table, key);
            });
        }
        Some(_) => {
            // RFC 3461 section 4.1: NOTIFY is a parameter of RCPT, so one value for all is one for each.
            let of_all = notify(row, "notify");
            for recipient in &mut recipients {
                recipient.notify.clone_from(&of_all);
            }
        }
        None => {}
    }
    by_recipient(
        row,
        "orcpt",
        "orcpt by recipient",
        to,
        |table, key, index| {
            recipients[index].original = table.parsed(key, str::parse);
        },
    );
    DsnRequest {
        ret: row.parsed("ret", |text| word(text, "how much to return", &Ret::WORDS)),
        envelope_id: row.parsed("envid", envelope_id),
        recipients,
    }
}

/// Reads a table whose keys are recipients of the message: `read` gets each key and the recipient's place.
fn by_recipient(
    row: &Table<'_, '_>,
    key: &str,
    what: &'static str,
    to: &[Mailbox],
    mut read: impl FnMut(&Table<'_, '_>, &str, usize),
) {
    let Some(value) = row.get(key) else { return };
    let names: Vec<&str> = to.iter().map(|to| &*to.text).collect();
    // Without recipients there is a mistake already, and any would be another.
    let any: Vec<String> = value.get_ref().as_table().map_or_else(Vec::new, |table| {
        table.keys().map(|key| key.get_ref().to_string()).collect()
    });
    // A key that is no recipient is a mistake, with the nearest recipient as a hint.
    let known: Vec<&str> = match to {
        [] => any.iter().map(String::as_str).collect(),
        _ => names.clone(),
    };
    let Some(table) = Table::of_value(row.doc(), value, what, &known) else {
        return;
    };
    for (index, name) in names.into_iter().enumerate() {
        if table.get(name).is_some() {
            read(&table, name, index);
        }
    }
}

/// Reads what to notify of: `"never"`, or some of the others.
fn notify(table: &Table<'_, '_>, key: &str) -> Option<Notify> {
    // RFC 3461 section 4.1: NEVER stands alone.
    let words = table.parsed_one_or_many(key, occasion);
    let place = table.key_offset(key);
    let is_never = words.iter().any(|one| one.value.is_none());
    let occasions: BTreeSet<Occasion> = words.iter().filter_map(|one| one.value).collect();
    let is_empty_array = table.get(key).is_some_and(|value| {
        let array = value.get_ref().as_array();
        array.is_some_and(|array| array.is_empty())
    });
    let found = match (is_empty_array, is_never && words.len() > 1) {
        (true, _) => "nothing to notify of",
        (_, true) => "\"never\" beside others",
        _ => "",
    };
    if !found.is_empty() {
        let expected = "\"never\" alone, or some of \"success\", \"failure\" and \"delay\"";
        let mistake = format!("found {found}, expected {expected}");
        table.doc().mistake(place, mistake);
        return None;
    }
    match (is_never, occasions.is_empty()) {
        (true, _) => Some(Notify::Never),
        (false, true) => None,
        (false, false) => Some(Notify::Of(occasions)),
    }
}

/// An id: it becomes the left part of a Message-ID (RFC 5322 section 3.6.4), so it has no sign that
/// would need quotes.
fn message_id(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(plain) || text.len() > 64 {
        return Err(format!(
            "found id {text:?}, expected 1 to 64 letters, digits, '-', '_' or '.'"
        ));
    }
    if TOTAL_KEYS.contains(&text) {
        return Err(format!(
            "found id {text:?}, expected an id that is not the name of a total ({})",
            TOTAL_KEYS.join(", ")
        ));
    }
    Ok(text.to_owned())
}

/// A field of a header, on one line (RFC 5322 section 2.2).
fn header_field(text: &str) -> Result<String, String> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|octet| octet.is_ascii_graphic());
    let is_field = text.split_once(':').is_some_and(|(name, _)| is_name(name));
    if is_field && text.is_ascii() && text.len() <= 998 && !text.contains(char::is_control) {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "found {text:?}, expected a header field in ASCII, such as \"TLS-Required: No\""
        ))
    }
}

/// A reverse-path; empty text and `<>` are the null one.
fn reverse_path(text: &str) -> Result<Option<Mailbox>, String> {
    if text.is_empty() || text == "<>" {
        Ok(None)
    } else {
        Ok(Some(text.parse::<Mailbox>()?))
    }
}

/// Reads the sender's settings; what is not there has its default.
pub(super) fn sender(doc: &Document<'_>, value: &Spanned<DeValue<'_>>) -> SenderSettings {
    let mut settings = SenderSettings::default();
    let Some(table) = Table::of_row(doc, value, &keys::SENDER) else {
        return settings;
    };
    schedule(&table, &mut settings);
    names(&table, &mut settings);
    // Names and addresses take the place of the defaults; they are not added to them.
    settings.addresses = table.parsed_array("addresses", |text| {
        text.parse()
            .map_err(|_| format!("found {text:?}, expected an IP address"))
    });
    if table.get("families").is_some() {
        let families = table.parsed_array("families", |text| {
            word(text, "an address family", &Family::WORDS)
        });
        settings.families = Families {
            ipv4: families.contains(&Family::Ipv4),
            ipv6: families.contains(&Family::Ipv6),
        };
        // The order in the list says which family is tried first.
        settings.first_family = families.first().copied().unwrap_or(settings.first_family);
    }
    limits(&table, &mut settings);
    settings.tls = table
        .parsed("tls", |text| word(text, "a TLS policy", &TlsPolicy::WORDS))
        .unwrap_or(settings.tls);
    settings.cache = table.flag("cache").unwrap_or(settings.cache);
    settings.remember_unreachable = table.parsed("remember_unreachable", duration);
    if let Some(value) = table.get("timeouts") {
        // Each stage has a time-out of its own (RFC 5321 section 4.5.3.2).
        if let Some(timeouts) = Table::of_row(doc, value, &keys::TIMEOUTS) {
            for stage in Stage::ALL {
                if let Some(wait) = timeouts.parsed(stage.word(), interval) {
                    settings.timeouts.set(stage, wait);
                }
            }
        }
    }
    settings
}

/// Reads the relays to which the sender hands all its mail, and who it is there. Their hosts must be known.
pub(super) fn relays(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    names: &HostNames,
    settings: &mut SenderSettings,
) {
    // What is wrong with the table itself was told when the other settings were read.
    let Some(table) = Table::of_row(doc, value, &keys::SENDER) else {
        return;
    };
    settings.relays = table.parsed_array("relays", |text| {
        let relay: Relay = text
            .parse()
            .map_err(|error: crate::diagnostic::Invalid| error.to_string())?;
        names.host(&relay.host.to_string()).map(|_| relay)
    });
    let mistake = |key: &str, text: String| doc.mistake(table.key_offset(key), text);
    // What does not go together: policies that go by MX records, and credentials without a relay to give them to.
    let has = |key: &str| table.get(key).is_some();
    if has("relays") && table.array("relays").is_empty() {
        let example = "relays = [\"smtp.example.test:587\"]";
        mistake(
            "relays",
            format!("found no relay, expected one at least, such as {example}"),
        );
    }
    if has("relays")
        && matches!(
            settings.tls,
            TlsPolicy::Dane | TlsPolicy::DaneOnly | TlsPolicy::MtaSts
        )
    {
        let found = format!("found tls = \"{}\" beside relays, ", settings.tls);
        let expected =
            "expected none, opportunistic, required or verified: no MX record leads there";
        mistake("tls", found + expected);
    }
    for (key, other) in [("user", "password"), ("password", "user")] {
        if has(key) && !has(other) {
            mistake(key, format!("found {key} without {other}, expected both"));
        } else if has(key) && !has("relays") {
            mistake(
                key,
                format!("found {key} without relays, expected it beside them"),
            );
        }
    }
    let login = table
        .parsed("user", secret)
        .zip(table.parsed("password", secret));
    settings.login = login.map(|(user, password)| Login { user, password });
}

/// When it tries again, and when it gives up.
fn schedule(table: &Table<'_, '_>, settings: &mut SenderSettings) {
    let doc = table.doc();
    if table.get("retry").is_some() {
        settings.retry = table.parsed_array("retry", interval);
        if table.array("retry").is_empty() {
            doc.mistake(
                table.key_offset("retry"),
                "found no interval, expected at least one, such as retry = [\"30m\"]",
            );
        }
    }
    if let Some(expire) = table.parsed("expire", duration) {
        settings.expire = expire;
    }
}

/// The names by which it knows itself.
fn names(table: &Table<'_, '_>, settings: &mut SenderSettings) {
    let doc = table.doc();
    if table.get("names").is_some() {
        settings.names = table.parsed_array("names", |text| {
            text.parse()
                .map_err(|error: crate::name::InvalidDomain| error.to_string())
        });
        if table.array("names").is_empty() {
            doc.mistake(
                table.key_offset("names"),
                "found no name, expected at least the name to say in EHLO",
            );
        }
    }
}

/// How much it tries, and how far it lets a message travel.
fn limits(table: &Table<'_, '_>, settings: &mut SenderSettings) {
    let doc = table.doc();
    let count = |key: &str, max: u64| {
        table
            .number(key, max)
            .and_then(|number| usize::try_from(number).ok())
    };
    settings.max_candidates = count("max_candidates", 1000);
    // Received fields are counted, as RFC 5321 section 6.3 has it.
    settings.max_hops = count("max_hops", 1000).unwrap_or(settings.max_hops);
    for key in ["max_candidates", "max_hops"] {
        if count(key, 1000) == Some(0) {
            doc.mistake(
                table.key_offset(key),
                format!("found {key} = 0, expected at least 1"),
            );
        }
    }
}

/// A duration that is not zero: waiting no time at all would never end.
fn interval(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(format!("found {text:?}, expected more than no time")),
        wait => Ok(wait),
    }
}
