//! The attempts that are expected of a message, held against those observed.
//!
//! The expected attempts are a sequence, and so are the observed ones. A sender inside the process
//! must make just those. Of a foreign sender some observed attempts may be none (a probe), and some
//! expected ones may be missing (it knew that the host is dead). Whether the two can be aligned is
//! decided like a regular expression: by the set of all places at which one could be.

use std::{collections::BTreeSet, time::Duration};

use super::{as_another_way, finding};
use crate::{
    fault::Stage,
    mail::MessageId,
    observe::{Attempt, SAME_PASS},
    outcome::AttemptResult,
    scenario::ExpectedAttempt,
    time::Moment,
    verdict::{AttemptLists, Finding, Subject, facts::DrillFacts},
};

/// The least by which moments differ: the log has nanoseconds.
const INSTANT: Duration = Duration::from_nanos(1);

/// How much of the attempts a scenario lists: `attempts` all of them, `starts_with` the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listing {
    Whole,
    Beginning,
}

/// A finding if the observed attempts cannot be the expected ones. How a foreign sender fails at
/// this is `Info`: it is held to the rules.
pub(super) fn sequence(
    drill: &DrillFacts<'_>,
    id: &MessageId,
    extent: Listing,
    expected: &[ExpectedAttempt],
    observed: &[&Attempt],
) -> Option<Finding> {
    let (what, shown) = match extent {
        Listing::Whole => ("attempts", observed.len()),
        Listing::Beginning => ("first attempts", observed.len().min(expected.len())),
    };
    if aligned(drill, id, extent, expected, observed) {
        return None;
    }
    let observed = observed[..shown].iter().copied();
    let finding = finding(
        drill,
        Subject::of_message(id),
        format!("{what} of message {id}"),
        expected.iter().map(ToString::to_string).collect(),
        observed.clone().map(ToString::to_string).collect(),
    );
    Some(Finding {
        level: as_another_way(drill),
        attempts: Some(AttemptLists {
            expected: expected.to_vec(),
            observed: observed.cloned().collect(),
        }),
        ..finding
    })
}

/// Whether the attempts can be the expected ones: each that is one for certain in its place, those that may
/// have been none or for another message where they are expected, and nothing missing but what may have
/// been known beforehand.
fn aligned(
    drill: &DrillFacts<'_>,
    id: &MessageId,
    extent: Listing,
    expected: &[ExpectedAttempt],
    observed: &[&Attempt],
) -> bool {
    let last = observed.last().map(|attempt| attempt.at);
    // How many of the observed ones may be accounted for by the expected ones so far.
    let mut counts = BTreeSet::from([0]);
    for expected in expected {
        skip_doubtful(&mut counts, observed);
        let mut next = BTreeSet::new();
        for count in counts {
            let attempt = observed.get(count);
            if attempt.is_some_and(|attempt| matches(drill, expected, attempt)) {
                next.insert(count + 1);
            }
            let now = attempt.map(|attempt| attempt.at).or(last);
            if may_be_known(drill, id, expected, now) {
                next.insert(count);
            }
        }
        counts = next;
    }
    skip_doubtful(&mut counts, observed);
    match extent {
        Listing::Whole => counts.contains(&observed.len()),
        Listing::Beginning => !counts.is_empty(),
    }
}

/// Adds the places after attempts that may have been none, however many in a row.
fn skip_doubtful(counts: &mut BTreeSet<usize>, observed: &[&Attempt]) {
    let mut from = counts.first().copied().unwrap_or(observed.len());
    while from < observed.len() {
        if counts.contains(&from) && is_doubtful(observed[from]) {
            counts.insert(from + 1);
        }
        from += 1;
    }
}

/// Whether a foreign sender may know what an attempt would come to from one for another message: it
/// SHOULD remember hosts that it could not reach (RFC 5321 section 4.5.4.1). One that tries the host
/// for yet another message right after has no such memory.
fn may_be_known(
    drill: &DrillFacts<'_>,
    id: &MessageId,
    expected: &ExpectedAttempt,
    now: Option<Moment>,
) -> bool {
    let failed = expected.result != AttemptResult::Accepted;
    let before_mail = expected.stage.is_none_or(|stage| stage < Stage::Mail);
    if !drill.sender_kind.is_foreign() || !failed || !before_mail {
        return false;
    }
    let mut hosts = expected.hosts.iter();
    if hosts.any(|host| drill.may_be_hidden(host, expected.result)) {
        return true;
    }
    let (earliest, latest) = span_of(drill, expected);
    let made = drill.fruitless.iter();
    let made = made.filter(|(alike, _)| is_alike(drill, expected, alike));
    let some_between = |from: Moment, until: Moment| {
        made.clone().any(|(_, made)| {
            let since = made.range((from, None)..);
            let mut within = since.take_while(|(at, _)| *at <= until);
            within.any(|(_, of)| of.as_ref() != Some(id))
        })
    };
    let Some(now) = now else {
        return some_between(earliest, latest);
    };
    let (next, end) = (now.after(INSTANT), now.after(SAME_PASS - INSTANT));
    some_between(earliest, latest.min(now)) && !some_between(earliest.max(next), latest.min(end))
}

/// Whether an attempt may have been none, or one for another message.
pub(super) fn is_doubtful(attempt: &Attempt) -> bool {
    attempt.incidental || attempt.is_guessed()
}

/// Whether an attempt is an expected one, its time included.
fn matches(drill: &DrillFacts<'_>, expected: &ExpectedAttempt, observed: &Attempt) -> bool {
    let (earliest, latest) = span_of(drill, expected);
    (earliest..=latest).contains(&observed.at) && is_alike(drill, expected, observed)
}

/// When an attempt that is expected may be made: at any time if the scenario gives none, or if the
/// sender's moments are its own.
fn span_of(drill: &DrillFacts<'_>, expected: &ExpectedAttempt) -> (Moment, Moment) {
    match expected.at.zip(drill.sender_kind.tolerance()) {
        Some((at, tolerance)) => (Moment(at.0.saturating_sub(tolerance)), at.after(tolerance)),
        None => (Moment::START, Moment(Duration::MAX)),
    }
}

/// Whether an attempt is an expected one but for its time. What the scenario leaves out may be
/// anything.
fn is_alike(drill: &DrillFacts<'_>, expected: &ExpectedAttempt, observed: &Attempt) -> bool {
    // In TLS 1.3 a client may speak once before it looks at the certificate and leaves.
    let left_tls = expected.result == AttemptResult::Tls
        && (observed.result, observed.stage) == (AttemptResult::Insecure, Some(Stage::Starttls))
        && observed.tls
        && drill.sender_kind.is_foreign();
    expected.hosts.iter().any(|host| observed.went_to(host))
        && expected
            .address
            .is_none_or(|address| address == observed.address)
        && expected.port.is_none_or(|port| port == observed.port)
        && (expected.result == observed.result || left_tls)
        && expected
            .stage
            .is_none_or(|stage| Some(stage) == observed.stage)
        && expected.tls.is_none_or(|tls| tls == observed.tls)
        && (expected.sni.is_none() || expected.sni == observed.sni)
}
