//! The fault rows of a scenario file.
//!
//! A row is about a host or about a query, and which other keys it may have depends on that. Which
//! effects there are depends on the stage.

use super::{
    document::Table,
    words::{HostNames, moment, query, word},
};
use crate::mail::Mailbox;
use crate::{
    fault::{Effect, Failure, Fault, QueryEffect, Stage, Transport},
    time::Moment,
};

/// Reads the rows, in their order: the first that applies decides.
pub(super) fn faults(table: &Table<'_, '_>, names: &HostNames) -> Vec<Fault> {
    const KEYS: [&str; 9] = [
        "host",
        "stage",
        "query",
        "effect",
        "from",
        "until",
        "first",
        "recipient",
        "over",
    ];
    let rows = table.array("faults").into_iter();
    rows.filter_map(|value| Table::of_value(table.doc(), value, "a fault", &KEYS))
        .filter_map(|row| fault(&row, names))
        .collect()
}

/// Reads one row. Its window is from `from` up to and without `until`; `first` bounds how often it
/// strikes.
fn fault(row: &Table<'_, '_>, names: &HostNames) -> Option<Fault> {
    if row.get("effect").is_none() {
        row.missing("effect", "what happens, such as effect = \"refuse\"");
    }
    let failure = match (row.get("host"), row.get("query")) {
        (Some(_), None) => session_failure(row, names),
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
    if until.is_some_and(|until| until <= from) {
        row.doc().mistake(
            row.key_offset("until"),
            format!(
                "found a window that ends before it begins, expected until to be later than {from}"
            ),
        );
    }
    let first = row
        .number("first", u64::from(u32::MAX))
        .and_then(|n| n.try_into().ok());
    if first == Some(0) {
        row.doc().mistake(
            row.key_offset("first"),
            "found first = 0, expected at least 1",
        );
    }
    failure.map(|failure| Fault {
        failure,
        from,
        until,
        first,
    })
}

/// A failure in sessions with a host. A recipient only makes sense at RCPT.
fn session_failure(row: &Table<'_, '_>, names: &HostNames) -> Option<Failure> {
    let host = row.parsed("host", |text| names.host(text));
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
    let recipient = row.parsed("recipient", |text| {
        text.parse::<Mailbox>()
            .map(|mailbox| mailbox.text.to_string())
    });
    if row.get("recipient").is_some() && stage.is_some_and(|stage| stage != Stage::Rcpt) {
        row.doc().mistake(
            row.key_offset("recipient"),
            "found recipient at another stage, expected stage = \"rcpt\"",
        );
    }
    if row.get("over").is_some() {
        row.doc().mistake(
            row.key_offset("over"),
            "found over beside host, expected it beside query",
        );
    }
    // What may happen depends on where.
    let stage = stage?;
    let effect = row.parsed("effect", |text| Effect::parse(text, stage));
    Some(Failure::Session {
        host: host?,
        stage,
        effect: effect?,
        recipient,
    })
}

/// A failure of a query, by name and perhaps type and transport.
fn query_failure(row: &Table<'_, '_>) -> Option<Failure> {
    for key in ["stage", "recipient"] {
        if row.get(key).is_some() {
            row.doc().mistake(
                row.key_offset(key),
                format!("found {key} beside query, expected it beside host"),
            );
        }
    }
    let query = row.parsed("query", query);
    let over = row.parsed("over", |text| {
        word(
            text,
            "a transport",
            &[("udp", Transport::Udp), ("tcp", Transport::Tcp)],
        )
    });
    let effect: Option<QueryEffect> = row.parsed("effect", str::parse);
    let (name, record_type) = query?;
    Some(Failure::Query {
        name,
        record_type,
        over,
        effect: effect?,
    })
}
