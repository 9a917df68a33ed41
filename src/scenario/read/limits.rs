//! What the rows about receivers say of their limits.
//!
//! A limit is a number or a text by itself, or a table with the reply to what is beyond.
//!
//! Whatever form a limit has, it comes out whole: with a number, what it counts, and the reply to what is beyond it.
//! The reply that is not written is the usual one of its kind, made by the types themselves (`Limit::of_sessions` and
//! so on), so that code and files agree on it. A reply has to refuse: with 2yz or 3yz there would be no limit.

use std::{fmt::Display, time::Duration};

use toml::{Spanned, de::DeValue};

use super::{
    document::{Table, whole_number},
    keys::{self, Row},
    words::{duration, word},
};
use crate::{
    reply::{Reply, ReplyClass},
    scenario::{Bandwidth, Counted, CountedBy, Frequency, Greylist, Limit, Limits, Rate, Trickle},
};

/// The most that a limit may be.
const MOST: u64 = 1_000_000;

/// Reads the limits of a row.
pub(super) fn limits(row: &Table<'_, '_>) -> Limits {
    Limits {
        max_sessions: limit(row, "max_sessions", Limit::of_sessions),
        max_recipients: limit(row, "max_recipients", Limit::of_recipients),
        max_messages: limit(row, "max_messages", Limit::of_messages),
        rate: rate(row),
        bandwidth: row.parsed("bandwidth", |text| text.parse::<Bandwidth>()),
        trickle: row.parsed("trickle", |text| {
            word(text, "a way to send replies", &Trickle::WORDS)
        }),
        greylist: greylist(row),
        silent_after: row.parsed("silent_after", some_time),
    }
}

/// A number of one at least, or a table of it and a reply.
fn limit(row: &Table<'_, '_>, key: &str, usual: fn(usize) -> Limit) -> Option<Limit> {
    let value = row.get(key)?;
    let (most, reply) = match table(row, value, &keys::BOUNDED) {
        Some(table) => {
            if table.get("most").is_none() {
                table.missing("most", "how many are taken, such as most = 100");
            }
            let most = table.get("most")?;
            (most, refusal(&table))
        }
        None => (value, None),
    };
    let number = whole_number(row.doc(), most, key, MOST)?;
    if number == 0 {
        let mistake = format!("found 0, expected {key} to be 1 at least");
        row.doc().mistake(most.span().start, mistake);
        return None;
    }
    // Made with its number first: the usual reply may name it.
    let limit = usual(usize::try_from(number).ok()?);
    Some(Limit {
        reply: reply.unwrap_or_else(|| limit.reply.clone()),
        ..limit
    })
}

/// A rate such as `10/min`, or a table of it, of what it counts, and a reply.
fn rate(row: &Table<'_, '_>) -> Option<Rate> {
    let value = row.get("rate")?;
    let Some(table) = table(row, value, &keys::RATE) else {
        let most = row.parsed("rate", |text| text.parse::<Frequency>())?;
        return Some(Rate::new(most, Counted::Messages, CountedBy::Client));
    };
    if table.get("most").is_none() {
        table.missing("most", "how many are taken, such as most = \"10/min\"");
    }
    let of = table.parsed("of", |text| {
        word(text, "what a rate counts", &Counted::WORDS)
    });
    let by = table.parsed("by", |text| {
        word(text, "whose are counted together", &CountedBy::WORDS)
    });
    let reply = refusal(&table);
    let most = table.parsed("most", |text| text.parse::<Frequency>())?;
    let of = of.unwrap_or(Counted::Messages);
    let rate = Rate::new(most, of, by.unwrap_or(CountedBy::Client));
    Some(Rate {
        reply: reply.unwrap_or_else(|| rate.reply.clone()),
        ..rate
    })
}

/// A duration, or a table of it and more.
fn greylist(row: &Table<'_, '_>) -> Option<Greylist> {
    let value = row.get("greylist")?;
    let Some(table) = table(row, value, &keys::GREYLIST) else {
        return row.parsed("greylist", some_time).map(Greylist::new);
    };
    if table.get("wait").is_none() {
        table.missing("wait", "for how long it refuses, such as wait = \"5m\"");
    }
    let window = table.parsed("window", some_time);
    let shared = table.flag("shared").unwrap_or(false);
    let reply = refusal(&table);
    let usual = Greylist::new(table.parsed("wait", some_time)?);
    // Who comes again has to find the door open: the window must outlast the wait.
    let window = window.unwrap_or(usual.window);
    if window <= usual.wait {
        let wait = crate::time::HumanDuration(usual.wait);
        let mistake = format!(
            "found a window that ends before the wait does, expected it to be longer than {wait}"
        );
        let key = if table.get("window").is_some() {
            "window"
        } else {
            "wait"
        };
        table.doc().mistake(table.key_offset(key), mistake);
    }
    Some(Greylist {
        window,
        shared,
        reply: reply.unwrap_or_else(|| usual.reply.clone()),
        ..usual
    })
}

/// The table that a value is; `None` if it is none.
fn table<'d, 'a>(
    row: &Table<'d, 'a>,
    value: &'d Spanned<DeValue<'a>>,
    kind: &Row,
) -> Option<Table<'d, 'a>> {
    value.get_ref().as_table()?;
    Table::of_row(row.doc(), value, kind)
}

/// A reply that refuses.
fn refusal(table: &Table<'_, '_>) -> Option<Reply> {
    table.parsed("reply", |text| {
        let reply: Reply = text
            .parse()
            .map_err(|error: crate::diagnostic::Invalid| error.to_string())?;
        match reply.class() {
            ReplyClass::Transient | ReplyClass::Permanent => Ok(reply),
            ReplyClass::Positive | ReplyClass::Intermediate => Err(expected(
                text,
                "a reply from 400 to 599, such as \"452 4.5.3 too many recipients\"",
            )),
        }
    })
}

/// A duration that is not zero.
fn some_time(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err(expected(text, "some time")),
        time => Ok(time),
    }
}

fn expected(text: &str, what: impl Display) -> String {
    format!("found {text:?}, expected {what}")
}
