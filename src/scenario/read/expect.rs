//! The `expect` table: a known key is a total, any other key is a message id.
//!
//! How a key is told to be what it is, in this order:
//!
//! 1. The name of a total is a total: an id may not be called like one (`messages` sees to that).
//! 2. `first_attempts` is the table of shares.
//! 3. Anything else is an id: of one message, or of a row with a count, whose messages then share what is expected.
//!
//! A mistake takes its own value out and nothing else: what else stands in the table is read and checked. The scenario
//! is refused at the end, with all mistakes.

use std::{sync::Arc, time::Duration};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    document::{Document, Table, describe, whole_number},
    keys,
    words::{HostNames, duration, moment, port, word},
};
use crate::{
    diagnostic::{did_you_mean, nearest, not_allowed},
    fault::Host,
    mail::{Action, Mailbox, Message, MessageId, Returned},
    outcome::{AttemptResult, Outcome},
    scenario::{
        Bounds, Expect, ExpectedAttempt, ExpectedDsn, ExpectedMessage, TimeBounds, Total,
        expectation::TOTAL_KEYS,
    },
    time::HumanDuration,
};

/// Reads the `expect` table. Its message ids must be those of the scenario's messages.
pub(super) fn read(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    messages: &[Message],
    names: &HostNames,
) -> Expect {
    let mut expect = Expect::default();
    let Some(table) = value.get_ref().as_table() else {
        doc.mistake(
            value.span().start,
            format!(
                "found {}, expected a table for `expect`",
                describe(value.get_ref())
            ),
        );
        return expect;
    };
    for (key, value) in entries_in_order(table) {
        let name: &str = key.get_ref();
        if let Some(total) = Total::named(name) {
            expect
                .totals
                .extend(bounds(doc, value, name).map(|bounds| (total, bounds)));
        } else if name == "first_attempts" {
            expect.first_attempts = first_attempts(doc, value, names);
        } else {
            let ids = ids_meant(name, messages);
            if ids.is_empty() {
                doc.mistake(key.span().start, unknown_key(name, messages));
                continue;
            }
            if let Some(expected) = message(doc, value, names) {
                let expected = Arc::new(expected);
                let each = ids.into_iter().map(|id| (id, Arc::clone(&expected)));
                expect.messages.extend(each);
            }
        }
    }
    expect
}

/// The entries of a table in the order of the file, which the TOML reader does not keep.
fn entries_in_order<'d, 'a>(
    table: &'d DeTable<'a>,
) -> Vec<(
    &'d Spanned<std::borrow::Cow<'a, str>>,
    &'d Spanned<DeValue<'a>>,
)> {
    // Totals and messages keep the order in which their author wrote them, down to the report.
    let mut entries: Vec<_> = table.iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

/// The message of this id, or all those of the row that has it with a count.
///
/// `m` means the message `m`, or `m-1`, `m-2` and so on of a row `m` with a count.
pub(in crate::scenario) fn ids_meant(name: &str, messages: &[Message]) -> Vec<MessageId> {
    let of_row = |id: &str| {
        id.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|n| n.parse::<u64>().is_ok())
    };
    // A message that is called `m-1` by itself comes before the first of a row `m`.
    let exact = messages.iter().find(|message| &*message.id.0 == name);
    match exact {
        Some(message) => vec![message.id.clone()],
        None => messages
            .iter()
            .filter(|message| of_row(&message.id.0))
            .map(|message| message.id.clone())
            .collect(),
    }
}

/// The mistake about a key that is neither a total nor an id. Of many messages, a thousand are
/// searched for a near one.
fn unknown_key(name: &str, messages: &[Message]) -> String {
    let ids = messages.iter().map(|message| &*message.id.0).take(1000);
    let hint = did_you_mean(nearest(name, ids.chain(TOTAL_KEYS)));
    format!(
        "found key {name:?}, expected the id of a message or a total ({}){hint}",
        TOTAL_KEYS.join(", ")
    )
}

/// A number, or `{ min, max }`.
fn bounds(doc: &Document<'_>, value: &Spanned<DeValue<'_>>, key: &str) -> Option<Bounds> {
    // More than any drill can count, and far from where sums could overflow.
    const MAX: u64 = 1 << 40;
    // A number alone is a range that holds just that number.
    if !value.get_ref().is_table() {
        return whole_number(doc, value, key, MAX).map(|number| Bounds {
            min: number,
            max: number,
        });
    }
    let table = Table::of_row(doc, value, &keys::RANGE)?;
    range(&table)
}

/// The range of a table with `min`, `max` or both.
fn range(table: &Table<'_, '_>) -> Option<Bounds> {
    const MAX: u64 = 1 << 40;
    if table.get("min").is_none() && table.get("max").is_none() {
        table.missing("min", "min, max or both");
        return None;
    }
    // What is left out bounds nothing. So does what has a mistake in it, which was told.
    let min = table.number("min", MAX).unwrap_or(0);
    let max = table.number("max", MAX).unwrap_or(u64::MAX);
    if min > max {
        table.doc().mistake(
            table.key_offset("max"),
            format!("found max {max} below min {min}, expected a range that holds a number"),
        );
    }
    Some(Bounds { min, max })
}

/// Reads the shares of first attempts.
fn first_attempts(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    names: &HostNames,
) -> Vec<(Host, Bounds)> {
    let Some(rows) = value.get_ref().as_array() else {
        doc.mistake(
            value.span().start,
            format!(
                "found {}, expected first_attempts to be an array",
                describe(value.get_ref())
            ),
        );
        return Vec::new();
    };
    let rows = rows
        .iter()
        .filter_map(|row| Table::of_row(doc, row, &keys::SHARE));
    rows.filter_map(|row| {
        if row.get("host").is_none() {
            row.missing("host", "the host whose first attempts are counted");
        }
        let bounds = range(&row);
        Some((row.parsed("host", |text| names.host(text))?, bounds?))
    })
    .collect()
}

/// Reads what is expected of a message.
fn message(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    names: &HostNames,
) -> Option<ExpectedMessage> {
    let table = Table::of_row(doc, value, &keys::EXPECTED)?;
    let attempts = |key: &str| {
        table.get(key).map(|_| {
            table
                .array(key)
                .into_iter()
                .filter_map(|row| attempt(doc, row, names))
                .collect()
        })
    };
    Some(ExpectedMessage {
        outcome: table.parsed("outcome", |text| word(text, "an outcome", &Outcome::WORDS)),
        by: table.parsed("by", |text| names.host(text)),
        copies: table
            .get("copies")
            .and_then(|value| bounds(doc, value, "copies")),
        status: table.parsed("status", str::parse),
        recipients: recipients(&table),
        attempts: attempts("attempts"),
        starts_with: attempts("starts_with"),
        attempt_count: table
            .get("attempt_count")
            .and_then(|value| bounds(doc, value, "attempt_count")),
        retry_waits: time_bounds(&table, "retry_waits"),
        returned_after: time_bounds(&table, "returned_after"),
        dsn: notifications(&table),
    })
}

/// Reads what notifications are expected to tell: a row for each recipient, or one alone.
fn notifications(table: &Table<'_, '_>) -> Option<Vec<ExpectedDsn>> {
    // An empty array is something else than no key: it expects that nothing is told.
    let value = table.get("dsn")?;
    let rows: Vec<&Spanned<DeValue<'_>>> = match value.get_ref().as_table() {
        Some(_) => vec![value],
        None => table.array("dsn"),
    };
    let rows = rows.into_iter().filter_map(|row| {
        let row = Table::of_row(table.doc(), row, &keys::NOTIFICATION)?;
        let text = |key: &str| row.text(key).map(|text| text.value.to_owned());
        // The text as a mailbox prints it, by which it is compared with the log's.
        let recipient = row.parsed("recipient", str::parse::<Mailbox>);
        Some(ExpectedDsn {
            recipient: recipient.map(|recipient| recipient.text.to_string()),
            action: row.parsed("action", |text| word(text, "an action", &Action::WORDS)),
            status: row.parsed("status", str::parse),
            remote_mta: text("remote_mta"),
            diagnostic: text("diagnostic"),
            original_recipient: text("original_recipient"),
            envelope_id: text("envelope_id"),
            returned: row.parsed("returned", |text| {
                word(text, "how much is returned", &Returned::WORDS)
            }),
        })
    });
    Some(rows.collect())
}

/// A range of a time: `{ min, max }`, or one of them.
fn time_bounds(table: &Table<'_, '_>, key: &str) -> Option<TimeBounds> {
    let value = table.get(key)?;
    let range = Table::of_row(table.doc(), value, &keys::TIME_RANGE)?;
    if range.get("min").is_none() && range.get("max").is_none() {
        range.missing("min", "min, max or both");
        return None;
    }
    let min = range.parsed("min", duration).unwrap_or(Duration::ZERO);
    let max = range.parsed("max", duration).unwrap_or(Duration::MAX);
    if min > max {
        let (min, max) = (HumanDuration(min), HumanDuration(max));
        range.doc().mistake(
            range.key_offset("max"),
            format!("found max {max} below min {min}, expected a range that holds a time"),
        );
    }
    Some(TimeBounds { min, max })
}

/// Reads the outcomes of single recipients: the keys are mailboxes.
fn recipients(table: &Table<'_, '_>) -> Vec<(String, Outcome)> {
    let Some(value) = table.get("recipients") else {
        return Vec::new();
    };
    let Some(rows) = value.get_ref().as_table() else {
        table.doc().mistake(
            value.span().start,
            format!(
                "found {}, expected recipients to be a table of outcomes",
                describe(value.get_ref())
            ),
        );
        return Vec::new();
    };
    // Any key may stand here: which recipients there are is known where the log is judged.
    let known: Vec<&str> = rows.keys().map(|key| &**key.get_ref()).collect();
    let rows = Table::open(table.doc(), rows, value.span(), "recipients", &known);
    known
        .iter()
        .filter_map(|name| {
            // What is no mailbox is no recipient of the message either, which is reported elsewhere.
            let recipient = name.parse::<Mailbox>();
            Some((
                recipient.map_or_else(|_| (*name).to_owned(), |mailbox| mailbox.text.to_string()),
                rows.parsed(name, |text| word(text, "an outcome", &Outcome::WORDS))?,
            ))
        })
        .collect()
}

/// Reads an expected attempt. It needs a host, or several of which any will do, and how it ends.
fn attempt(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    names: &HostNames,
) -> Option<ExpectedAttempt> {
    let table = Table::of_row(doc, value, &keys::ATTEMPT)?;
    // Exactly one of the two: `host` is short for `any` of one.
    let hosts = match (table.get("host"), table.get("any")) {
        (Some(_), None) => table
            .parsed("host", |text| names.host(text))
            .into_iter()
            .collect(),
        (None, Some(_)) => {
            let is_empty = |value: &Spanned<DeValue<'_>>| {
                value
                    .get_ref()
                    .as_array()
                    .is_some_and(|array| array.is_empty())
            };
            if table.get("any").is_some_and(is_empty) {
                doc.mistake(
                    table.key_offset("any"),
                    "found no host, expected at least one",
                );
            }
            table.parsed_array("any", |text| names.host(text))
        }
        (Some(_), Some(_)) => {
            doc.mistake(
                table.key_offset("any"),
                "found any beside host, expected one of them",
            );
            Vec::new()
        }
        (None, None) => {
            table.missing("host", "host = \"NAME\" or any = [\"NAME\", \"NAME\"]");
            Vec::new()
        }
    };
    // Read before the row is given up for want of hosts, so that both mistakes are told at once.
    let result = result(&table);
    if table.get("result").is_none() {
        table.missing("result", "how it ended, such as result = \"accepted\"");
    }
    Some(ExpectedAttempt {
        hosts,
        port: port(&table, "port"),
        address: table.parsed("address", |text| {
            text.parse()
                .map_err(|_| format!("found {text:?}, expected an IP address"))
        }),
        result: result?,
        stage: table.parsed("stage", str::parse),
        at: table.parsed("at", moment),
        tls: table.flag("tls"),
        sni: table.text("sni").map(|text| text.value.to_owned()),
    })
}

/// A word, or a reply code as a string or a number.
fn result(table: &Table<'_, '_>) -> Option<AttemptResult> {
    let value = table.get("result")?;
    let Some(code) = value.get_ref().as_integer() else {
        return table.parsed("result", result_word);
    };
    // TOML has numbers in hexadecimal, too; what they say in decimal is judged like a string.
    let number = u64::from_str_radix(code.as_str(), code.radix());
    let text = number.map_or_else(|_| code.as_str().to_owned(), |number| number.to_string());
    result_word(&text)
        .map_err(|message| table.doc().mistake(value.span().start, message))
        .ok()
}

/// A result in a word, or a reply code; 4yz and 5yz are the codes that can end an attempt.
fn result_word(text: &str) -> Result<AttemptResult, String> {
    if let Some((_, result)) = AttemptResult::WORDS.iter().find(|(word, _)| *word == text) {
        return Ok(*result);
    }
    match text.parse::<u16>() {
        Ok(code @ 400..=599) if text.len() == 3 => Ok(AttemptResult::Code(code)),
        _ => {
            let words: Vec<&str> = AttemptResult::WORDS.iter().map(|(word, _)| *word).collect();
            Err(not_allowed(
                text,
                "a result or a reply code from 400 to 599",
                &words,
            ))
        }
    }
}
