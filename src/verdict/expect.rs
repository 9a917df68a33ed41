//! What the scenario's author expects, held against what was observed.

use std::collections::{BTreeMap, BTreeSet};

use super::{Case, Finding, Witness};
use crate::observe::Attempt;
use crate::{
    event::{Connected, What},
    fault::Host,
    scenario::{Bounds, ExpectedAttempt, ExpectedMessage, MessageId, Outcome, Total},
    time::Moment,
};

/// Every expectation that does not hold.
pub(super) fn check(case: &Case<'_>) -> Vec<Finding> {
    let expect = &case.scenario.expect;
    let mut findings = Vec::new();
    for (total, bounds) in &expect.totals {
        let observed = observed_total(case, *total);
        let allowed = match (case.witness, total) {
            // A sender of its own mind may use one session for several messages.
            (Witness::Command | Witness::Server, Total::Sessions) => observed <= bounds.max,
            // It does not say what it did not deliver, and whether it will.
            (Witness::Command, Total::Deferred | Total::Bounced) => true,
            _ => bounds.allow(observed),
        };
        if !allowed {
            findings.push(finding(
                case,
                format!("{} messages", total.word()),
                vec![bounds.to_string()],
                vec![observed.to_string()],
            ));
        }
    }
    findings.extend(shares(case, &expect.first_attempts));
    for (id, expected) in &expect.messages {
        findings.extend(message(case, id, expected));
    }
    findings
}

fn finding(
    case: &Case<'_>,
    claim: String,
    expected: Vec<String>,
    observed: Vec<String>,
) -> Finding {
    Finding {
        claim,
        rule: None,
        level: case.scenario.level,
        cites: case.scenario.cites.clone(),
        expected,
        observed,
    }
}

fn observed_total(case: &Case<'_>, total: Total) -> u64 {
    let ended = |wanted: Outcome| {
        case.endings
            .values()
            .filter(|ending| ending.outcome() == wanted)
            .count()
    };
    let count = match total {
        Total::Delivered => ended(Outcome::Delivered),
        Total::Deferred => ended(Outcome::Deferred),
        Total::Bounced => ended(Outcome::Bounced),
        Total::Sessions => sessions(case),
        Total::Notifications => case
            .events
            .iter()
            .filter(|event| matches!(&event.what, What::Taken { from, message: None, .. } if from.is_empty()))
            .count(),
    };
    count as u64
}

/// Connections that receivers accepted, those for notifications apart.
fn sessions(case: &Case<'_>) -> usize {
    let others: BTreeSet<_> = case
        .other_attempts
        .iter()
        .map(|attempt| attempt.session)
        .collect();
    let accepted = case.events.iter().filter(|event| match &event.what {
        What::Connect {
            session, result, ..
        } => *result == Connected::Accepted && !others.contains(session),
        _ => false,
    });
    accepted.count()
}

fn shares(case: &Case<'_>, expected: &[(Host, Bounds)]) -> Vec<Finding> {
    if expected.is_empty() {
        return Vec::new();
    }
    let mut first: BTreeMap<&MessageId, &Attempt> = BTreeMap::new();
    for attempt in &case.attempts {
        if let Some(id) = &attempt.message {
            first.entry(id).or_insert(attempt);
        }
    }
    let share = |host: &Host| {
        first
            .values()
            .filter(|attempt| attempt.went_to(host))
            .count() as u64
    };
    let wrong = expected
        .iter()
        .filter(|(host, bounds)| !bounds.allow(share(host)));
    let line = |host: &Host, count: String| format!("{host}: {count}");
    wrong
        .map(|(host, bounds)| {
            let observed = expected
                .iter()
                .map(|(host, _)| line(host, share(host).to_string()))
                .collect();
            finding(
                case,
                format!("first attempts at {host}"),
                vec![line(host, bounds.to_string())],
                observed,
            )
        })
        .collect()
}

fn message(case: &Case<'_>, id: &MessageId, expected: &ExpectedMessage) -> Vec<Finding> {
    let ending = &case.endings[id];
    let mut attempts = case.attempts_of(id);
    if case.witness == Witness::Server {
        // It learns that a message is too old when it takes it up again, and may try it once more.
        let end = end_of_life(case, id);
        attempts.retain(|attempt| attempt.at < end);
    }
    let mut findings = Vec::new();
    let mut differs = |what: &str, expected: String, observed: String| {
        findings.push(finding(
            case,
            format!("{what} of message {id}"),
            vec![expected],
            vec![observed],
        ));
    };
    if let Some(outcome) = expected
        .outcome
        .filter(|outcome| !is_outcome(case, *outcome, ending.outcome()))
    {
        differs("outcome", outcome.to_string(), seen(case, ending.outcome()));
    }
    if let Some(host) = &expected.by {
        let takers: Vec<&&Attempt> = attempts
            .iter()
            .filter(|attempt| !attempt.taken.is_empty())
            .collect();
        if takers.is_empty() || !takers.iter().all(|attempt| attempt.went_to(host)) {
            let shown: Vec<String> = takers.iter().map(|attempt| attempt.host()).collect();
            differs(
                "taker",
                host.to_string(),
                if shown.is_empty() {
                    "nobody".to_owned()
                } else {
                    shown.join(", ")
                },
            );
        }
    }
    if let Some(copies) = expected
        .copies
        .filter(|copies| !copies.allow(ending.copies))
    {
        differs("copies", copies.to_string(), ending.copies.to_string());
    }
    if let Some(status) = expected
        .status
        .filter(|status| Some(*status) != ending.status)
    {
        differs(
            "status",
            status.to_string(),
            ending
                .status
                .map_or("none".to_owned(), |status| status.to_string()),
        );
    }
    for (recipient, outcome) in &expected.recipients {
        let observed = ending
            .recipients
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(recipient))
            .map(|(_, outcome)| *outcome);
        if !observed.is_some_and(|observed| is_outcome(case, *outcome, observed)) {
            let observed = observed.map_or("no such recipient".to_owned(), |outcome| {
                seen(case, outcome)
            });
            differs(
                &format!("outcome for {recipient}"),
                outcome.to_string(),
                observed,
            );
        }
    }
    if let Some(count) = expected
        .attempt_count
        .filter(|count| !count.allow(attempts.len() as u64))
    {
        differs(
            "number of attempts",
            count.to_string(),
            attempts.len().to_string(),
        );
    }
    if let Some(expected) = &expected.attempts {
        findings.extend(sequence(case, id, "attempts", expected, &attempts));
    }
    if let Some(expected) = &expected.starts_with {
        let observed = &attempts[..attempts.len().min(expected.len())];
        findings.extend(sequence(case, id, "first attempts", expected, observed));
    }
    findings
}

/// When a message is too old to be kept.
fn end_of_life(case: &Case<'_>, id: &MessageId) -> Moment {
    let messages = &case.scenario.messages;
    let message = messages.iter().find(|message| message.id == *id);
    let given = message.map_or(Moment::START, |message| message.at);
    given.after(case.scenario.sender.expire)
}

/// Whether what was seen of a message can be what was expected of it.
fn is_outcome(case: &Case<'_>, expected: Outcome, observed: Outcome) -> bool {
    let undelivered = expected != Outcome::Delivered && observed == Outcome::Deferred;
    expected == observed || (case.witness == Witness::Command && undelivered)
}

/// What was seen of a message, in words that claim no more.
fn seen(case: &Case<'_>, outcome: Outcome) -> String {
    match (case.witness, outcome) {
        (Witness::Command, Outcome::Deferred) => "not delivered".to_owned(),
        (Witness::Server, Outcome::Deferred) => "neither delivered nor returned".to_owned(),
        _ => outcome.to_string(),
    }
}

fn sequence(
    case: &Case<'_>,
    id: &MessageId,
    what: &str,
    expected: &[ExpectedAttempt],
    observed: &[&Attempt],
) -> Option<Finding> {
    let same = expected.len() == observed.len()
        && expected
            .iter()
            .zip(observed)
            .all(|(expected, observed)| matches(case, expected, observed));
    if same {
        return None;
    }
    let expected = expected.iter().map(ToString::to_string).collect();
    let observed = observed.iter().map(ToString::to_string).collect();
    Some(finding(
        case,
        format!("{what} of message {id}"),
        expected,
        observed,
    ))
}

fn matches(case: &Case<'_>, expected: &ExpectedAttempt, observed: &Attempt) -> bool {
    let in_time = expected
        .at
        .zip(case.witness.tolerance())
        .is_none_or(|(at, tolerance)| observed.at.0.abs_diff(at.0) <= tolerance);
    expected.hosts.iter().any(|host| observed.went_to(host))
        && expected
            .address
            .is_none_or(|address| address == observed.address)
        && expected.result == observed.result
        && expected
            .stage
            .is_none_or(|stage| Some(stage) == observed.stage)
        && expected.tls.is_none_or(|tls| tls == observed.tls)
        && (expected.sni.is_none() || expected.sni == observed.sni)
        && in_time
}
