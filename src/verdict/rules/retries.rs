//! How long a sender waits before it tries again, and for how long it goes on.
//!
//! RFC 5321 section 4.5.4.1 says that there is a wait (MUST), how long it is (SHOULD), and when a sender may give up. Drills
//! may ask for other times, of which a sender from outside is told in its own terms.

use std::time::Duration;

use super::{RETRY_WAITS, broken, routing::pause_after};
use crate::{
    level::Level,
    observe::Attempt,
    time::HumanDuration,
    verdict::{
        Finding, Subject,
        facts::{DrillFacts, MessageFacts},
    },
};

/// How long a message is retried at least: "the give-up time generally needs to be at least 4-5 days" (RFC 5321
/// section 4.5.4.1).
const PATIENCE: Duration = Duration::from_secs(4 * 86_400);

/// The least wait between two attempts that counts as one, whatever the sender's own schedule. RFC
/// 5321 section 4.5.4.1 asks for 30 minutes, as a SHOULD.
const LEAST_WAIT: Duration = Duration::from_secs(60);

/// Schedulers count in whole seconds: what is due now may be done a second sooner or later. A wait that is no longer is none.
const WHOLE_SECOND: Duration = Duration::from_secs(1);

/// How long a message has to be kept. A drill may ask for less than the RFC does, and the sender is then right to give up;
/// one from outside is told so in its own terms, and may give up where there is no time for another try.
pub(super) fn patience(drill: &DrillFacts<'_>) -> Duration {
    let settings = &drill.scenario.sender;
    if settings.expire >= PATIENCE || !drill.sender_kind.is_foreign() {
        return PATIENCE.min(settings.expire);
    }
    let longest = settings.retry.iter().max().copied().unwrap_or_default();
    let earlier = settings.expire.saturating_sub(longest + WHOLE_SECOND);
    earlier.max(settings.expire / 2)
}

/// Whether any host was tried after a wait: such a sender retries, and if it gives up, then not at once. Which host of the
/// route comes next is another question.
pub(super) fn is_retried(attempts: &[&Attempt]) -> bool {
    attempts
        .windows(2)
        .any(|pair| pair[1].at.since(pair[0].ended) >= pause_after(pair[0]))
}

/// A candidate tried again without a wait.
///
/// RFC 5321 section 4.5.4.1: "The sender MUST delay retrying a particular destination after one
/// attempt has failed." The least
/// wait is the scenario's shortest interval, a minute at most.
pub(super) fn at_once(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let MessageFacts {
        message, attempts, ..
    } = facts;
    let settings = &drill.scenario.sender;
    let shortest = settings
        .retry
        .iter()
        .min()
        .copied()
        .unwrap_or(LEAST_WAIT)
        .min(LEAST_WAIT);
    for (index, attempt) in attempts.iter().enumerate() {
        // Two exchangers may share an address: a sender that does not say which it means may try it
        // for each of them.
        let same = |later: &&Attempt| {
            later.address == attempt.address
                && later.port == attempt.port
                && later.hop == attempt.hop
                && later.exchanger == attempt.exchanger
                && (later.exchanger.is_some() || attempt.hosts.len() == 1)
        };
        // In the same session, a further transaction.
        let excused = |later: &Attempt| {
            later.session == attempt.session
                || attempt.is_guessed()
                || later.is_guessed()
                // What is started anew may look at its queue at once.
                || drill.crashes.between(attempt.at, later.at)
                || facts.may_follow_at_once(attempt, later)
        };
        let later = attempts[index + 1..]
            .iter()
            .find(|later| same(later) && !excused(later));
        if let Some(later) =
            later.filter(|later| attempt.taken.is_empty() && later.at.since(attempt.at) < shortest)
        {
            let observed = vec![attempt.to_string(), later.to_string()];
            let expected = format!("{} later at the earliest", HumanDuration(shortest));
            let finding = broken(
                RETRY_WAITS,
                Subject::of_message(&message.id),
                expected,
                observed,
            );
            // That there is a wait is a MUST, how long it is a SHOULD.
            let is_no_wait = later.at.since(attempt.ended) <= WHOLE_SECOND;
            return Some(match is_no_wait {
                true => finding,
                false => Finding {
                    level: Level::Should,
                    ..finding
                },
            });
        }
    }
    None
}
