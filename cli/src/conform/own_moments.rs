//! A server's own schedule, allowed for: what a drill expects of the reference sender at its intervals, held against
//! a server that tries at moments of its own.
//!
//! A scenario lists attempts and outcomes as they follow from its `retry` and `expire`. A server with other intervals
//! may find an exchanger up that was down at the scenario's moment, and the other way round, and is not wrong for
//! it. So where it tried more than once and differs:
//!
//! 1. The moments of its passes over the candidates are read off the log, and when it gave messages up.
//! 2. The reference sender plays the drill at these moments, on the memory network.
//! 3. The attempts that it makes there are the expected ones, and what else differs is left out if the reference
//!    sender differs by just the same.
//!
//! What rules say is not touched: they hold at any moment. Neither is what a scenario expects of the moments
//! themselves (`retry_waits`, `returned_after`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mxdrill::{
    drill,
    event::{Event, EventKind, silenced},
    fault::Host,
    lab::NetworkKind,
    mail::{Message, MessageId},
    observe::{self, Attempt, SAME_PASS},
    outcome::Outcome,
    scenario::{Bounds, ExpectedAttempt, ExpectedMessage, Scenario},
    sender::{Moments, Reference},
    time::Moment,
    verdict::{Finding, SenderKind, Verdict, judge},
};

/// As good as for ever: longer than any server keeps a message.
const FOR_EVER: Duration = Duration::from_secs(1000 * 86_400);

/// The verdict on a server, its own moments allowed for.
pub(crate) fn allowed_for(scenario: &Scenario, events: &[Event], verdict: Verdict) -> Verdict {
    // What is expected of its moments is not to be excused by them.
    let by_rule = |finding: &Finding| finding.rule.is_some() || finding.is_about_moments();
    if verdict.findings.iter().all(by_rule) {
        return verdict;
    }
    let Some(moments) = moments(scenario, events) else {
        return verdict;
    };
    let mut patient = scenario.clone();
    patient.sender.expire = FOR_EVER;
    let sender = Reference::default().at_moments(moments);
    let Ok(run) = drill::run(
        &Arc::new(patient.clone()),
        NetworkKind::Memory,
        None,
        sender,
    ) else {
        return verdict;
    };
    let replayed = silenced(&run.events);
    expect_attempts(&mut patient, &replayed);
    let same = judge(&patient, &replayed, SenderKind::MailServer).findings;
    let differs_alike = |finding: &Finding| {
        let mut same = same.iter();
        same.any(|other| {
            (&other.subject, &other.claim, &other.observed)
                == (&finding.subject, &finding.claim, &finding.observed)
        })
    };
    let mut held = verdict;
    held.findings.retain(by_rule);
    let mut own = judge(&patient, events, SenderKind::MailServer).findings;
    own.retain(|finding| !by_rule(finding) && !differs_alike(finding));
    // Expectations come first, as in every verdict.
    own.append(&mut held.findings);
    held.findings = own;
    held.notes.push(
        "it tried at moments of its own, and is held against the reference sender at the same moments"
            .to_owned(),
    );
    held
}

/// When a server tried each message, and gave it up; `None` if it tried none a second time.
fn moments(scenario: &Scenario, events: &[Event]) -> Option<Moments> {
    let attempts = observe::attempts(scenario, events);
    let endings = observe::endings(scenario, events, &attempts);
    let mut moments = Moments::default();
    let mut is_retried = false;
    for message in &scenario.messages {
        let (passes, last) = passes(message, &attempts, events);
        is_retried |= passes.len() > 1;
        // What is neither delivered nor returned would have been returned.
        let over = match endings[&message.id].outcome() {
            Outcome::Bounced => last.after(Duration::from_millis(1)),
            _ => message.at.after(scenario.sender.expire).max(last),
        };
        moments.given_up.insert(message.id.clone(), over);
        moments.passes.insert(message.id.clone(), passes);
    }
    is_retried.then_some(moments)
}

/// When each pass over a message's candidates began, and when the last thing was done for it. A pass ends where
/// nothing is done for a while, or a candidate comes up again. What is looked up without a failure is no pass: a
/// server may find that it is too early for its hosts.
fn passes(message: &Message, attempts: &[Attempt], events: &[Event]) -> (Vec<Moment>, Moment) {
    let asked = events.iter().filter_map(|event| match &event.kind {
        EventKind::Query { answer, .. } if !answer.is_answer() && event.at >= message.at => {
            Some((event.at, event.at, None))
        }
        _ => None,
    });
    let mine = |attempt: &&Attempt| attempt.message.as_ref() == Some(&message.id);
    let tried = attempts.iter().filter(mine);
    let tried = tried.map(|attempt| (attempt.at, attempt.ended, Some(attempt.address)));
    let mut done: Vec<_> = asked.chain(tried).collect();
    done.sort_unstable();
    let (mut passes, mut seen) = (Vec::new(), Vec::new());
    let mut last = message.at;
    for (from, until, address) in done {
        let is_again = address.is_some_and(|address| seen.contains(&address));
        if passes.is_empty() || is_again || from.since(last) > SAME_PASS {
            passes.push(whole_milliseconds(from));
            seen.clear();
        }
        seen.extend(address);
        last = last.max(until);
    }
    (passes, last)
}

/// A moment without what is below a millisecond. The reference sender waits in those, and longer rather than shorter:
/// of a server that tried just before a fault ended it would be the one that tried just after.
fn whole_milliseconds(moment: Moment) -> Moment {
    let below = moment.0.subsec_nanos() % 1_000_000;
    Moment(moment.0 - Duration::from_nanos(below.into()))
}

/// Expects the attempts that a sender made, wherever attempts are expected.
fn expect_attempts(scenario: &mut Scenario, events: &[Event]) {
    let attempts = observe::attempts(scenario, events);
    let mut made: BTreeMap<MessageId, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &attempts {
        if let Some(id) = &attempt.message {
            made.entry(id.clone()).or_default().push(attempt);
        }
    }
    for (id, expected) in &mut scenario.expect.messages {
        let made = made.remove(id).unwrap_or_default();
        let of = |listed: &[ExpectedAttempt], most: usize| -> Vec<ExpectedAttempt> {
            let made = made.iter().take(most);
            made.map(|attempt| as_expected(attempt, listed)).collect()
        };
        let count = made.len() as u64;
        *expected = Arc::new(ExpectedMessage {
            attempts: expected
                .attempts
                .as_ref()
                .map(|listed| of(listed, usize::MAX)),
            starts_with: expected
                .starts_with
                .as_ref()
                .map(|listed| of(listed, listed.len())),
            attempt_count: expected
                .attempt_count
                .map(|bounds| match bounds.allow(count) {
                    true => bounds,
                    false => Bounds {
                        min: count,
                        max: count,
                    },
                }),
            ..ExpectedMessage::clone(expected)
        });
    }
}

/// An attempt as it would be expected. Where the scenario leaves the host open, so does this.
fn as_expected(attempt: &Attempt, listed: &[ExpectedAttempt]) -> ExpectedAttempt {
    let mut alike = listed.iter().filter(|expected| {
        let mut hosts = expected.hosts.iter();
        hosts.any(|host| attempt.went_to(host))
    });
    let like = alike
        .clone()
        .find(|expected| expected.result == attempt.result)
        .or_else(|| alike.next());
    ExpectedAttempt {
        hosts: match like {
            Some(like) => like.hosts.clone(),
            None => attempt.hosts.iter().cloned().map(Host::Name).collect(),
        },
        port: like.and_then(|like| like.port),
        address: like.and_then(|like| like.address),
        result: attempt.result,
        stage: attempt.stage,
        at: None,
        tls: like.and_then(|like| like.tls),
        sni: like.and_then(|like| like.sni.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_tried_just_before_an_outage_ended_is_held_against_one_that_did() {
        let moment = |nanos| Moment(Duration::from_nanos(nanos));
        let floor = |nanos| whole_milliseconds(moment(nanos));
        assert_eq!(floor(599_999_999_999), moment(599_999_000_000));
        assert_eq!(floor(600_000_000_000), moment(600_000_000_000));
    }
}
