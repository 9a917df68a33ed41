//! What a row of messages asks of those who carry them: in what time, and how much they matter.

use std::time::Duration;

use super::{
    document::{Table, describe},
    keys,
    words::{duration, word},
};
use crate::mail::{ByMode, DeliverBy, Priority};

/// The priority of a row (RFC 6710).
pub(super) fn priority(row: &Table<'_, '_>) -> Option<Priority> {
    let value = row.get("priority")?;
    let integer = value.get_ref().as_integer();
    let level =
        integer.and_then(|integer| i64::from_str_radix(integer.as_str(), integer.radix()).ok());
    let priority = level.and_then(Priority::new);
    if priority.is_none() {
        let [least, most] = Priority::BOUNDS;
        row.doc().mistake(
            value.span().start,
            format!(
                "found {}, expected priority to be a whole number from {least} to {most}",
                describe(value.get_ref())
            ),
        );
    }
    priority
}

/// In what time messages are to be delivered (RFC 2852).
pub(super) fn deliver_by(row: &Table<'_, '_>) -> Option<DeliverBy> {
    let value = row.get("deliver_by")?;
    let table = Table::of_row(row.doc(), value, &keys::DELIVER_BY)?;
    if table.get("within").is_none() {
        table.missing("within", "a time such as within = \"2m\"");
    }
    let mode = table.parsed("mode", |text| {
        word(text, "what happens when the time is over", &ByMode::WORDS)
    });
    Some(DeliverBy {
        within: table.parsed("within", time)?,
        mode: mode.unwrap_or(ByMode::Notify),
        trace: table.flag("trace").unwrap_or(false),
    })
}

/// A time that the parameter can tell: it has whole seconds, and nine digits.
fn time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    let is_whole = time.subsec_nanos() == 0;
    let fits = (Duration::from_secs(1)..=DeliverBy::LONGEST).contains(&time);
    (is_whole && fits).then_some(time).ok_or_else(|| {
        format!("found {text:?}, expected whole seconds, one at least and 999999999 at most")
    })
}
