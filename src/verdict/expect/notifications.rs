//! What notifications are expected to tell, held against those that arrived.
//!
//! Each expected row is one recipient in one notification. Rows and what was told are paired so that as little
//! as possible differs; what is left over on either side is a finding of its own.
//!
//! The pairing is greedy, in two rounds: rows that agree with something in every key take it; then each row that is
//! left takes what differs from it in the fewest keys, in the order of the scenario. With the few rows that a drill
//! has, this finds the pairs that a reader would find.
//!
//! A key that a row leaves out is not looked at. Empty text in a row expects that there is no such field.

use std::collections::BTreeSet;

use crate::{
    event::{NotificationReport, ReportedRecipient},
    mail::{Action, ByMode, Notify, mailbox},
    scenario::ExpectedDsn,
    verdict::{
        SenderKind,
        facts::{DrillFacts, MessageFacts},
    },
};

/// A key of an expected row that differs: what was expected, and what was told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct KeyDifference {
    pub(super) key: &'static str,
    pub(super) expected: String,
    pub(super) observed: String,
}

impl KeyDifference {
    fn new(key: &'static str, expected: impl ToString, observed: Option<impl ToString>) -> Self {
        let observed = observed.map(|observed| observed.to_string());
        Self {
            key,
            expected: expected.to_string(),
            observed: observed.unwrap_or_default(),
        }
    }
}

/// What is wrong with the notifications about a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum WrongNotification {
    /// One was expected, and none like it came.
    Missing(String),
    /// One came that was not expected.
    Unexpected(String),
    /// One came that tells something else.
    Differs(Vec<KeyDifference>),
}

/// What was told of one recipient.
struct ToldRow<'a> {
    report: &'a NotificationReport,
    group: ReportedRecipient,
}

/// What differs from the expected rows; nothing where it cannot be known what was told.
pub(super) fn compare(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    expected: &[ExpectedDsn],
) -> Vec<WrongNotification> {
    let is_foreign = drill.sender_kind.is_foreign();
    let is_command = matches!(
        drill.sender_kind,
        SenderKind::Command | SenderKind::ClockedCommand
    );
    let arrived = &facts.dsn.notifications;
    // A command may have ended before it told anything.
    if is_command || arrived.iter().any(|one| one.report.is_none()) {
        return Vec::new();
    }
    // A report that could not be read may say anything: nothing is held against it.
    let mut told = told(facts);
    let is_unasked = |told: &ToldRow<'_>| told.group.action == Some(Action::Delayed);
    let is_open = |notify: Option<Notify>| notify.is_none();
    let mut recipients = facts.message.to.iter();
    let is_to_tell = facts.message.when_late() == Some(ByMode::Notify);
    // Who is asked nothing may warn (RFC 3461 section 5.2.5).
    if is_foreign
        && !is_to_tell
        && recipients.any(|to| is_open(facts.message.request_of(to).notify))
    {
        told.retain(|told| !is_unasked(told));
    }
    // It was sent, and could not be delivered where the drill's author is: nobody knows what it says.
    if is_foreign && drill.returned_in_vain && told.is_empty() {
        return Vec::new();
    }
    let mut wrong = Vec::new();
    let mut taken = BTreeSet::new();
    let mut open: Vec<&ExpectedDsn> = Vec::new();
    // First those that agree in all, so that none of them is taken for another.
    for row in expected {
        let agreeing = told.iter().enumerate();
        let mut agreeing = agreeing
            .filter(|(index, told)| !taken.contains(index) && differences(row, told).is_empty());
        match agreeing.next().map(|(index, _)| index) {
            Some(index) => {
                taken.insert(index);
            }
            None => open.push(row),
        }
    }
    for row in open {
        let left = told
            .iter()
            .enumerate()
            .filter(|(index, _)| !taken.contains(index));
        let differing = left.map(|(index, told)| (index, differences(row, told)));
        let nearest = differing.min_by_key(|(_, differences)| differences.len());
        match nearest {
            Some((index, differences)) => {
                taken.insert(index);
                wrong.push(WrongNotification::Differs(differences));
            }
            None => wrong.push(WrongNotification::Missing(row_in_words(row))),
        }
    }
    let left = told
        .iter()
        .enumerate()
        .filter(|(index, _)| !taken.contains(index));
    wrong.extend(left.map(|(_, told)| {
        let group = &told.group;
        let of = group.recipient.as_deref().unwrap_or("nobody by name");
        let action = group.action.map_or("a notification", Action::word);
        WrongNotification::Unexpected(format!("{action} for {of}"))
    }));
    wrong
}

/// What was told of each recipient. A notification that says nothing for programs tells what it could be read
/// for.
fn told<'a>(facts: &'a MessageFacts<'_>) -> Vec<ToldRow<'a>> {
    let mut told = Vec::new();
    for notification in &facts.dsn.notifications {
        let Some(report) = notification.report.as_deref() else {
            continue;
        };
        // Then the action that was read from its text is all that is known.
        if report.recipients.is_empty() {
            let group = ReportedRecipient {
                action: notification.action,
                ..ReportedRecipient::default()
            };
            told.push(ToldRow { report, group });
        }
        let groups = report.recipients.iter().cloned();
        told.extend(groups.map(|group| ToldRow { report, group }));
    }
    told
}

fn row_in_words(row: &ExpectedDsn) -> String {
    let action = row.action.map_or("a notification", Action::word);
    match &row.recipient {
        Some(recipient) => format!("{action} for {recipient}"),
        None => action.to_owned(),
    }
}

/// The keys of a row that what was told differs in.
fn differences(row: &ExpectedDsn, told: &ToldRow<'_>) -> Vec<KeyDifference> {
    let ToldRow { report, group } = told;
    let mut found = Vec::new();
    if let Some(recipient) = &row.recipient {
        // Local parts with their case, domains without (RFC 5321 section 2.4).
        let named = group.recipient.as_deref();
        if named.map(mailbox::key) != Some(mailbox::key(recipient)) {
            found.push(KeyDifference::new("recipient", recipient, named));
        }
    }
    if row
        .action
        .is_some_and(|action| group.action != Some(action))
    {
        let expected = row.action.map_or("", Action::word);
        found.push(KeyDifference::new("action", expected, group.action));
    }
    if let Some(status) = row.status.filter(|status| group.status != Some(*status)) {
        found.push(KeyDifference::new("status", status, group.status));
    }
    let texts = [
        ("remote_mta", &row.remote_mta, group.remote_name()),
        (
            "original_recipient",
            &row.original_recipient,
            group.original_recipient.as_deref(),
        ),
        (
            "envelope_id",
            &row.envelope_id,
            report.envelope_id.as_deref(),
        ),
    ];
    for (key, expected, observed) in texts {
        let Some(expected) = expected else { continue };
        let is_same = match key {
            // `dns;` is taken off already: the name alone is compared.
            "remote_mta" => is_name(expected, observed.unwrap_or_default()),
            "original_recipient" => without_space(observed.unwrap_or_default()) == *expected,
            _ => observed.unwrap_or_default() == expected,
        };
        if !is_same {
            found.push(KeyDifference::new(key, expected, observed));
        }
    }
    if let Some(expected) = &row.diagnostic {
        let observed = group.diagnostic_text();
        let is_same = match &**expected {
            "" => observed.is_none(),
            // The beginning is enough: servers add words of their own.
            prefix => observed.is_some_and(|observed| observed.starts_with(prefix)),
        };
        if !is_same {
            found.push(KeyDifference::new("diagnostic", expected, observed));
        }
    }
    if let Some(returned) = row.returned.filter(|returned| report.returned != *returned) {
        found.push(KeyDifference::new(
            "returned",
            returned,
            Some(report.returned),
        ));
    }
    found
}

/// Whether two names of hosts are the same.
fn is_name(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    plain(one) == plain(other)
}

/// A field of a type and an address, without the space that may stand between them.
fn without_space(field: &str) -> String {
    match field.split_once(';') {
        Some((kind, address)) => format!("{};{}", kind.trim(), address.trim()),
        None => field.to_owned(),
    }
}
