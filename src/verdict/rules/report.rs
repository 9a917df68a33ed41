//! A rule about what the fields of a notification say (RFC 3461 section 6.3, RFC 3464 section 2): they repeat what
//! the author gave, and name the server that refused.
//!
//! What the author gave is held against a sender that was told it. A field that is wrong by itself is held against
//! everybody.
//!
//! One field is told for a notification, the first that is wrong in this order: of the message; of the recipient,
//! whether it is named at all, the fields that a group must have, Original-Recipient, Final-Recipient; then the server
//! and its reply.

use super::{REPORT_FIELDS, broken, delivery::refused_for_good};
use crate::{
    event::{NotificationReport, ReportedRecipient},
    mail::{Action, DsnRequest, Mailbox, Message},
    name::Domain,
    observe::Attempt,
    outcome::AttemptResult,
    verdict::{
        Finding, SenderKind, Subject,
        facts::{DrillFacts, MessageFacts, ToldOfRecipient},
    },
};

/// What is wrong with a field, and which statement of `docs/requirements.md` says so.
struct Wrong {
    statement: u16,
    expected: String,
    observed: String,
}

impl Wrong {
    fn new(statement: u16, expected: impl Into<String>, observed: impl Into<String>) -> Self {
        Self {
            statement,
            expected: expected.into(),
            observed: observed.into(),
        }
    }
}

/// Numbers of statements in `docs/requirements.md`, by what they are about.
mod statement {
    pub(super) const ENVELOPE_ID: u16 = 163;
    pub(super) const ORIGINAL_RECIPIENT: u16 = 164;
    pub(super) const SERVER_AND_REPLY: u16 = 165;
    pub(super) const ACTION_AND_STATUS: u16 = 166;
    pub(super) const NO_SERVER: u16 = 169;
    pub(super) const WILL_RETRY: u16 = 170;
    pub(super) const FINAL_RECIPIENT: u16 = 171;
}

/// A field that is wrong, missing or too many.
pub(in crate::verdict) fn check(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
) -> Option<Finding> {
    let message = facts.message;
    let asked = facts.asked(drill);
    let mut all = facts.told();
    let (subject, wrong) = all.find_map(
        |ToldOfRecipient {
             report, of: group, ..
         }| {
            let of_message = Subject::of_message(&message.id);
            if let Some(wrong) = asked.and_then(|asked| wrong_envelope_id(asked, report)) {
                return Some((of_message, wrong));
            }
            let named = group.recipient.as_deref();
            let Some(to) = named.and_then(|named| facts.recipient(named)) else {
                let number = statement::FINAL_RECIPIENT;
                let missing = Wrong::new(number, "Final-Recipient", "Final-Recipient left out");
                return (named.is_none() && asked.is_some()).then_some((of_message, missing));
            };
            // What is no report for programs has no fields that it must have.
            let wrong = Some(group)
                .filter(|_| report.multipart_report)
                .and_then(wrong_group)
                .or_else(|| asked.and_then(|_| wrong_original(message, to, group)))
                .or_else(|| wrong_final(to, group))
                .or_else(|| wrong_server(drill, facts, to, group, asked.is_some()));
            Some((Subject::of_recipient(&message.id, &to.text), wrong?))
        },
    )?;
    // Where RFC 3464 has the field, and RFC 3461 says no more of it.
    let section = match wrong.statement {
        statement::NO_SERVER => "RFC 3464 section 2.3.5",
        statement::WILL_RETRY => "RFC 3464 section 2.3.9",
        statement::FINAL_RECIPIENT => "RFC 3464 section 2.3.2",
        _ => REPORT_FIELDS.cite,
    };
    Some(Finding {
        statement: Some(wrong.statement),
        cites: vec![section.to_owned()],
        ..broken(REPORT_FIELDS, subject, wrong.expected, vec![wrong.observed])
    })
}

/// RFC 3461 section 6.3(a): the Original-Envelope-Id is there if and only if ENVID was, decoded.
fn wrong_envelope_id(asked: &DsnRequest, report: &NotificationReport) -> Option<Wrong> {
    let differs = report.envelope_id.as_deref() != asked.envelope_id.as_deref();
    differs.then(|| {
        let field = |value: Option<&str>| field("Original-Envelope-Id", value);
        Wrong::new(
            statement::ENVELOPE_ID,
            field(asked.envelope_id.as_deref()),
            field(report.envelope_id.as_deref()),
        )
    })
}

/// A field for people, whether it is there or not.
fn field(name: &str, value: Option<&str>) -> String {
    match value {
        Some(value) => format!("{name}: {value}"),
        None => format!("no {name}"),
    }
}

/// RFC 3461 section 6.3(d): the Original-Recipient is there if and only if ORCPT was.
fn wrong_original(message: &Message, to: &Mailbox, group: &ReportedRecipient) -> Option<Wrong> {
    let asked = message.request_of(to).original;
    let given = group.original_recipient.as_deref();
    let is_same = match (&asked, given) {
        (None, None) => true,
        (Some(asked), Some(given)) => asked.is_in_field(given),
        _ => false,
    };
    (!is_same).then(|| {
        let expected = asked.map(|asked| asked.to_string());
        let name = "Original-Recipient";
        let number = statement::ORIGINAL_RECIPIENT;
        Wrong::new(number, field(name, expected.as_deref()), field(name, given))
    })
}

/// Section 2.3.2 of RFC 3464: the envelope address, its local part in the case that it had.
fn wrong_final(to: &Mailbox, group: &ReportedRecipient) -> Option<Wrong> {
    let given = group.recipient.as_deref()?;
    let name = "Final-Recipient";
    let number = statement::FINAL_RECIPIENT;
    (!to.is(given)).then(|| {
        Wrong::new(
            number,
            field(name, Some(&to.text)),
            field(name, Some(given)),
        )
    })
}

/// Action and Status are always there (RFC 3464 sections 2.3.3 and 2.3.4), Will-Retry-Until only where it is
/// tried again (section 2.3.9).
fn wrong_group(group: &ReportedRecipient) -> Option<Wrong> {
    let missing = |name: &str| {
        let observed = format!("{name} left out, or malformed");
        Wrong::new(statement::ACTION_AND_STATUS, name, observed)
    };
    let Some(action) = group.action else {
        return Some(missing("Action"));
    };
    if group.status.is_none() {
        return Some(missing("Status"));
    }
    (group.will_retry && action != Action::Delayed).then(|| {
        let observed = format!("Will-Retry-Until with Action: {action}");
        let expected = "Will-Retry-Until with Action: delayed only";
        Wrong::new(statement::WILL_RETRY, expected, observed)
    })
}

/// The server that had to do with a failure: named if one refused the recipient, and none named if there was
/// none.
///
/// RFC 3461 section 6.3 (h) and (i) ask for Remote-MTA and Diagnostic-Code; RFC 3464 section 2.3.5: the former
/// "MUST NOT be included if no remote MTA was involved".
fn wrong_server(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    to: &Mailbox,
    group: &ReportedRecipient,
    is_asked: bool,
) -> Option<Wrong> {
    if group.action != Some(Action::Failed) {
        return None;
    }
    // Another next hop's servers had nothing to do with this recipient.
    let may_concern = |attempt: &&Attempt| {
        let hop = attempt.hop.as_ref();
        hop.is_none_or(|hop| *hop == to.domain)
    };
    let tried: Vec<&Attempt> = facts.attempts.iter().filter(may_concern).collect();
    let named = group.remote_name();
    // A server may know from another message that a host is down.
    let is_known = match drill.sender_kind {
        SenderKind::InProcess { .. } => tried.is_empty(),
        _ => drill.tried.is_empty() && drill.hidden.is_empty(),
    };
    if is_known {
        let name = named?;
        let expected = "no Remote-MTA: no server was tried";
        let observed = format!("Remote-MTA: {name}");
        return Some(Wrong::new(statement::NO_SERVER, expected, observed));
    }
    let is_sure = |attempt: &&Attempt| !attempt.incidental && !attempt.is_guessed();
    let refused = tried.iter().copied();
    let refused = refused.filter(|attempt| refused_for_good(attempt, to));
    let refused: Vec<&Attempt> = refused.filter(is_sure).collect();
    let hosts = |attempts: &[&Attempt]| {
        let hosts = attempts.iter().map(|attempt| attempt.host());
        hosts.collect::<Vec<_>>().join(" or ")
    };
    let Some(name) = named else {
        return (is_asked && !refused.is_empty()).then(|| {
            let expected = format!("Remote-MTA: {}", hosts(&refused));
            Wrong::new(statement::SERVER_AND_REPLY, expected, "Remote-MTA left out")
        });
    };
    // Where somebody refused, it is one of those; else a sender inside the process may name any that it tried.
    let involved = match (&refused[..], drill.sender_kind) {
        ([], SenderKind::InProcess { .. }) => &tried,
        ([], _) => return None,
        _ => &refused,
    };
    let is_another = !involved.iter().any(|attempt| is_of(attempt, name));
    if is_another && is_a_host(drill, name) {
        let expected = format!("Remote-MTA: {}", hosts(involved));
        let observed = format!("Remote-MTA: {name}");
        return Some(Wrong::new(statement::SERVER_AND_REPLY, expected, observed));
    }
    wrong_diagnostic(&refused, to, group, is_asked)
}

/// Whether an attempt went to a host of this name or address.
fn is_of(attempt: &Attempt, name: &str) -> bool {
    let plain = name.trim_end_matches('.');
    let is_name = |host: &Domain| host.as_str().eq_ignore_ascii_case(plain);
    let address = plain.trim_matches(['[', ']']);
    let is_named = attempt.hosts.iter().chain(&attempt.exchanger).any(is_name);
    is_named || address == attempt.address.to_string()
}

/// Whether a name is that of a host of the drill.
fn is_a_host(drill: &DrillFacts<'_>, name: &str) -> bool {
    let addresses = drill.scenario.world.zones.addresses();
    let mut names = addresses.values().flatten();
    let plain = name.trim_end_matches('.');
    names.any(|host| host.as_str().eq_ignore_ascii_case(plain))
}

/// RFC 3461 section 6.3(i): the reply, as a diagnostic of type `smtp`.
fn wrong_diagnostic(
    refused: &[&Attempt],
    to: &Mailbox,
    group: &ReportedRecipient,
    is_asked: bool,
) -> Option<Wrong> {
    let codes = refused.iter().flat_map(|attempt| {
        let of_recipient = attempt.recipients.iter();
        let of_recipient = of_recipient.filter(|(known, _)| to.is(known));
        let of_all = match attempt.result {
            AttemptResult::Code(code) => Some(code),
            _ => None,
        };
        of_recipient.map(|(_, code)| *code).chain(of_all)
    });
    let codes: Vec<u16> = codes.filter(|code| *code >= 400).collect();
    // Nobody replied: there is nothing to quote.
    let first = *codes.first()?;
    let expected = format!("Diagnostic-Code: smtp; {first}");
    let of_reply = |expected: String, observed: String| {
        Wrong::new(statement::SERVER_AND_REPLY, expected, observed)
    };
    let Some(diagnostic) = &group.diagnostic else {
        return is_asked.then(|| of_reply(expected, "Diagnostic-Code left out".to_owned()));
    };
    let is_smtp = diagnostic.split(';').next();
    let is_smtp = is_smtp.is_some_and(|kind| kind.trim().eq_ignore_ascii_case("smtp"));
    let code = group
        .diagnostic_text()
        .and_then(|text| text.get(..3)?.parse::<u16>().ok());
    // What is no reply at all may be words about one.
    let is_another = code.is_some_and(|code| !codes.contains(&code));
    (is_smtp && is_another).then(|| of_reply(expected, format!("Diagnostic-Code: {diagnostic}")))
}
