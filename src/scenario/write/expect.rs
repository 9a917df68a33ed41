//! The tables below `expect`: what is expected of a message, and numbers with their bounds.
//!
//! Numbers and times are ranges, and are written as little as they bound: one number where both ends are it, one end
//! where the other is open. That a range has no end at all is written as a least number of 0, which reads as the same.

use std::time::Duration;

use super::toml_text::{TomlTable, array, array_of_lines, duration, key, moment, string};
use crate::{
    outcome::AttemptResult,
    scenario::{Bounds, ExpectedAttempt, ExpectedDsn, ExpectedMessage, TimeBounds},
};

/// In the order of docs/scenarios.md: what becomes of it, then the attempts.
pub(super) fn expected_message(expected: &ExpectedMessage) -> TomlTable {
    let mut keys = TomlTable::default();
    keys.put_some("outcome", expected.outcome.map(string));
    keys.put_some("by", expected.by.as_ref().map(string));
    keys.put_some("copies", expected.copies.map(number));
    keys.put_some("status", expected.status.map(string));
    if !expected.recipients.is_empty() {
        let mut recipients = TomlTable::default();
        for (recipient, outcome) in &expected.recipients {
            recipients.put(&key(recipient), string(outcome));
        }
        keys.put("recipients", recipients.inline());
    }
    for (key, attempts) in [
        ("attempts", &expected.attempts),
        ("starts_with", &expected.starts_with),
    ] {
        let attempts = attempts.as_ref();
        keys.put_some(
            key,
            attempts.map(|attempts| array_of_lines(attempts.iter().map(attempt))),
        );
    }
    keys.put_some("attempt_count", expected.attempt_count.map(number));
    keys.put_some("retry_waits", expected.retry_waits.map(times));
    keys.put_some("returned_after", expected.returned_after.map(times));
    let dsn = expected.dsn.as_ref();
    keys.put_some(
        "dsn",
        dsn.map(|rows| array_of_lines(rows.iter().map(notification))),
    );
    keys
}

fn notification(expected: &ExpectedDsn) -> String {
    let mut row = TomlTable::default();
    row.put_some("recipient", expected.recipient.as_ref().map(string));
    row.put_some("action", expected.action.map(string));
    row.put_some("status", expected.status.map(string));
    row.put_some("remote_mta", expected.remote_mta.as_ref().map(string));
    row.put_some("diagnostic", expected.diagnostic.as_ref().map(string));
    row.put_some(
        "original_recipient",
        expected.original_recipient.as_ref().map(string),
    );
    row.put_some("envelope_id", expected.envelope_id.as_ref().map(string));
    row.put_some("returned", expected.returned.map(string));
    row.inline()
}

/// One host is written as `host`, several as `any`. A reply code is a string, as the format has it in examples,
/// though a number would be read as well.
fn attempt(attempt: &ExpectedAttempt) -> String {
    let mut row = TomlTable::default();
    match &attempt.hosts[..] {
        [host] => row.put("host", string(host)),
        hosts => row.put("any", array(hosts.iter().map(string))),
    }
    row.put_some("port", attempt.port.map(|port| port.to_string()));
    row.put_some("address", attempt.address.map(string));
    let result = match attempt.result {
        AttemptResult::Code(code) => code.to_string(),
        word => word.to_string(),
    };
    row.put("result", string(result));
    row.put_some("stage", attempt.stage.map(string));
    row.put_some("at", attempt.at.map(moment));
    row.put_some("tls", attempt.tls.map(|tls| tls.to_string()));
    row.put_some("sni", attempt.sni.as_ref().map(string));
    row.inline()
}

/// A range: the number alone where no other is allowed.
pub(super) fn number(bounds: Bounds) -> String {
    if bounds.min == bounds.max {
        return bounds.min.to_string();
    }
    let mut range = TomlTable::default();
    bound(&mut range, bounds);
    range.inline()
}

fn times(bounds: TimeBounds) -> String {
    let mut range = TomlTable::default();
    if bounds.min > Duration::ZERO || bounds.max == Duration::MAX {
        range.put("min", duration(bounds.min));
    }
    if bounds.max < Duration::MAX {
        range.put("max", duration(bounds.max));
    }
    range.inline()
}

/// Where there is no bound at all, a least number of 0 stands for it: a range must say something.
pub(super) fn bound(row: &mut TomlTable, bounds: Bounds) {
    if bounds.min > 0 || bounds.max == u64::MAX {
        row.put("min", bounds.min.to_string());
    }
    if bounds.max < u64::MAX {
        row.put("max", bounds.max.to_string());
    }
}
