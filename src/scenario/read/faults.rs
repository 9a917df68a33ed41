//! The fault rows of a scenario file.
//!
//! A row is about a host or about a query, and which other keys it may have depends on that. Which
//! effects there are depends on the stage.
//!
//! What stands in a row, in the order in which it is checked:
//!
//! 1. What it is about: a host with a stage, a stage of all hosts, or a query. Both, or none, is a mistake.
//! 2. Which messages it is about: a recipient from RCPT on, a sender from MAIL on, a size where there is content.
//! 3. What happens there: the effects of the stage, or those of queries.
//! 4. When: a window, a number of times, every so often, a chance.
//!
//! A row that is given to a running lab is read by the same code as one of a file.

use toml::de::DeValue;

use super::{
    document::{Document, Table, describe},
    keys,
    words::{HostNames, moment, port, query, word},
};
use crate::{
    diagnostic::Mistakes,
    fault::{Chance, Effect, Failure, Fault, Host, QueryEffect, Stage},
    mail::Mailbox,
    time::Moment,
};

/// Octets that a content may have: 64 MiB, as a message may.
const MAX_SIZE: u64 = 64 << 20;

/// Reads the rows, in their order: the first that applies decides.
pub(super) fn faults(table: &Table<'_, '_>, names: &HostNames) -> Vec<Fault> {
    let rows = table.array("faults").into_iter();
    rows.filter_map(|value| Table::of_row(table.doc(), value, &keys::FAULT))
        .filter_map(|row| fault(&row, names))
        .collect()
}

/// Reads the text of one row by itself: its keys, a line each.
pub(super) fn row(text: &str, names: &HostNames) -> Result<Fault, Mistakes> {
    let doc = Document::new("fault", text);
    let parsed = doc.parse();
    let fault = parsed.as_ref().and_then(|root| {
        let row = Table::whole(&doc, root.get_ref(), &keys::FAULT);
        fault(&row, names)
    });
    match fault {
        Some(fault) if !doc.has_mistakes() => Ok(fault),
        _ => Err(doc.into_mistakes()),
    }
}

/// Reads one row. Its window is from `from` up to and without `until`; `first` bounds how often it
/// strikes.
fn fault(row: &Table<'_, '_>, names: &HostNames) -> Option<Fault> {
    if row.get("effect").is_none() {
        row.missing("effect", "what happens, such as effect = \"refuse\"");
    }
    let failure = match (row.get("host"), row.get("query")) {
        (Some(_), None) => session_failure(row, names),
        // Without a host it is about all.
        (None, None) if row.get("stage").is_some() => session_failure(row, names),
        (None, Some(_)) => query_failure(row),
        (Some(_), Some(_)) => {
            row.doc().mistake(
                row.key_offset("query"),
                "found query beside host, expected one of them",
            );
            None
        }
        (None, None) => {
            row.missing(
                "host",
                "host = \"NAME\" with a stage, or query = \"NAME TYPE\"",
            );
            None
        }
    };
    let from = row.parsed("from", moment).unwrap_or(Moment::START);
    let until = row.parsed("until", moment);
    // A window without any moment is a slip: there are shorter ways to write no fault.
    if until.is_some_and(|until| until <= from) {
        row.doc().mistake(
            row.key_offset("until"),
            format!(
                "found a window that ends before it begins, expected until to be later than {from}"
            ),
        );
    }
    let first = times(row, "first");
    let every = times(row, "every");
    let chance = chance(row);
    failure.map(|failure| Fault {
        failure,
        from,
        until,
        first,
        every,
        chance,
    })
}

/// A number of times, one at least.
fn times(row: &Table<'_, '_>, key: &str) -> Option<u32> {
    let times = row.number(key, u64::from(u32::MAX));
    let times: Option<u32> = times.and_then(|n| n.try_into().ok());
    if times == Some(0) {
        let mistake = format!("found {key} = 0, expected at least 1");
        row.doc().mistake(row.key_offset(key), mistake);
    }
    times
}

/// How likely it strikes.
fn chance(row: &Table<'_, '_>) -> Option<Chance> {
    let value = row.get("chance")?;
    // 1 and 1.0 are both certain; TOML has them as two kinds of numbers.
    let number = match value.get_ref() {
        DeValue::Float(float) => float.as_str().parse().ok(),
        DeValue::Integer(one) => one.as_str().parse().ok(),
        _ => None,
    };
    let chance = number.and_then(Chance::of);
    if chance.is_none() {
        let found = describe(value.get_ref());
        let mistake = format!(
            "found {found}, expected chance to be a number over 0 and up to 1, such as 0.2"
        );
        row.doc().mistake(value.span().start, mistake);
    }
    chance
}

/// A mailbox, or a pattern of it with stars.
fn mailbox(text: &str) -> Result<String, String> {
    if text.contains('*') {
        // A pattern is no mailbox and cannot be read as one. A local part has 64 octets at most and a domain 255 (RFC
        // 5321 section 4.5.3.1).
        let is_pattern = text.len() <= 320 && !text.contains(|c: char| c.is_control() || c == ' ');
        let expected = || format!("found {text:?}, expected a pattern such as \"*@example.test\"");
        return is_pattern.then(|| text.to_owned()).ok_or_else(expected);
    }
    let mailbox = text.parse::<Mailbox>();
    let mailbox = mailbox.map_err(|error| error.to_string());
    mailbox.map(|mailbox| mailbox.text.to_string())
}

/// A failure in sessions with a host. A recipient only makes sense at RCPT.
fn session_failure(row: &Table<'_, '_>, names: &HostNames) -> Option<Failure> {
    let hosts = row.parsed_one_or_many("host", |text| names.host(text));
    let hosts: Vec<Host> = hosts.into_iter().map(|host| host.value).collect();
    let stage: Option<Stage> = row.parsed("stage", str::parse);
    if row.get("stage").is_none() {
        row.missing(
            "stage",
            &format!(
                "where in the session it fails: {}",
                Stage::ALL.map(Stage::word).join(", ")
            ),
        );
    }
    let port = port(row, "port");
    let recipient = row.parsed("recipient", mailbox);
    let sender = row.parsed("sender", |text| match text {
        "" => Ok(String::new()),
        text => mailbox(text),
    });
    let larger_than = row.number("larger_than", MAX_SIZE);
    // A message is known from MAIL on, who gets it from RCPT on, and how large it is in its content.
    for (key, least, expected) in [
        (
            "recipient",
            Stage::Rcpt,
            "\"rcpt\", \"data\", \"content\" or \"dot\"",
        ),
        (
            "sender",
            Stage::Mail,
            "\"mail\", \"rcpt\", \"data\", \"content\" or \"dot\"",
        ),
        ("larger_than", Stage::Content, "\"content\" or \"dot\""),
    ] {
        let is_known = |stage: Stage| (least..=Stage::Dot).contains(&stage);
        if row.get(key).is_some() && stage.is_some_and(|stage| !is_known(stage)) {
            let mistake = format!("found {key} at another stage, expected stage = {expected}");
            row.doc().mistake(row.key_offset(key), mistake);
        }
    }
    if row.get("over").is_some() {
        row.doc().mistake(
            row.key_offset("over"),
            "found over beside host, expected it beside query",
        );
    }
    // What may happen depends on where.
    let stage = stage?;
    let effect = match row.get("effect")?.get_ref().as_array() {
        None => row.parsed("effect", |text| Effect::parse(text, stage)),
        Some(_) => {
            let lines = row.parsed_array("effect", |text| Ok::<_, String>(text.to_owned()));
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let mistake = |what| row.doc().mistake(row.key_offset("effect"), what);
            Effect::of_lines(&lines, stage).map_err(mistake).ok()
        }
    };
    // A host that is none was reported; without any, the row would be about all.
    if row.get("host").is_some() && hosts.is_empty() {
        if row
            .get("host")
            .is_some_and(|value| value.get_ref().as_array().is_some_and(|all| all.is_empty()))
        {
            let mistake = "found no host, expected one at least, or no key host for all";
            row.doc().mistake(row.key_offset("host"), mistake);
        }
        return None;
    }
    Some(Failure::Session {
        hosts,
        port,
        stage,
        effect: effect?,
        recipient,
        sender,
        larger_than: larger_than.and_then(|octets| octets.try_into().ok()),
    })
}

/// A failure of a query, by name and perhaps type and transport.
fn query_failure(row: &Table<'_, '_>) -> Option<Failure> {
    for key in ["port", "stage", "recipient", "sender", "larger_than"] {
        if row.get(key).is_some() {
            row.doc().mistake(
                row.key_offset(key),
                format!("found {key} beside query, expected it beside host"),
            );
        }
    }
    let query = row.parsed("query", query);
    let over = row.parsed("over", |text| word(text, "a transport", &keys::TRANSPORTS));
    let effect: Option<QueryEffect> = row.parsed("effect", str::parse);
    let (name, record_type) = query?;
    Some(Failure::Query {
        name,
        record_type,
        over,
        effect: effect?,
    })
}
