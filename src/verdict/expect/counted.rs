//! Which attempts expectations are held against, and how they count.
//!
//! A sender inside the process makes one attempt for all recipients of a message that go to one place, as a SHOULD of
//! RFC 5321 section 5.1 asks. Others may make one for each, which is no other way to deliver: such attempts count as
//! one, and such copies as one for each.

use std::collections::BTreeSet;

use crate::{
    fault::Stage,
    observe::{Attempt, SAME_PASS},
    verdict::{
        SenderKind,
        facts::{DrillFacts, MessageFacts},
    },
};

/// The attempts that expectations about attempts are held against.
pub(super) fn counted_attempts<'a>(
    drill: &DrillFacts<'_>,
    facts: &'a MessageFacts<'_>,
) -> Vec<&'a Attempt> {
    let message = facts.message;
    let mut attempts: Vec<&Attempt> = facts.attempts.iter().collect();
    if drill.sender_kind == SenderKind::MailServer {
        // It learns that a message is too old when it takes it up again, and may try it once more.
        let end = message.at.after(drill.scenario.sender.expire);
        // What comes after the end is held against nobody, and looked for by nobody.
        attempts.retain(|attempt| attempt.at < end);
    }
    let recipients = message.to.len();
    // A sender inside the process has what it did in the log, and is held to it.
    if recipients > 1 && drill.sender_kind.is_foreign() {
        attempts = for_all_recipients(recipients, attempts);
    }
    attempts
}

/// Whether each recipient has got at most one copy: a sender may make a transaction of its own for
/// each.
pub(super) fn is_a_copy_for_each(drill: &DrillFacts<'_>, attempts: &[&Attempt]) -> bool {
    let mut seen = BTreeSet::new();
    let mut taken = attempts.iter().flat_map(|attempt| &attempt.taken);
    drill.sender_kind.is_foreign() && taken.all(|to| seen.insert(to))
}

/// The attempts of a sender that makes one for each recipient, as if it made one for all.
///
/// Attempts at one address for different recipients within one pass are merged into the first of
/// them.
fn for_all_recipients(recipients: usize, attempts: Vec<&Attempt>) -> Vec<&Attempt> {
    let mut kept: Vec<(&Attempt, BTreeSet<&str>)> = Vec::new();
    // Attempts that came to no recipient, since the last time that they were one too many.
    let mut unnamed = 0;
    for attempt in attempts {
        // Of those that came to no recipient, one may be for each.
        unnamed += usize::from(attempt.offered.is_empty());
        if attempt.offered.is_empty() && unnamed > recipients {
            kept.push((attempt, BTreeSet::new()));
            unnamed = 0;
            continue;
        }
        let to: BTreeSet<&str> = attempt.offered.iter().map(|to| &**to).collect();
        // Of several recipients some may be refused, and it is one attempt all the same.
        let would_be_one = |earlier: &Attempt| {
            (earlier.result, earlier.stage) == (attempt.result, attempt.stage)
                || earlier.stage == Some(Stage::Rcpt)
                || attempt.stage == Some(Stage::Rcpt)
        };
        let same = |(earlier, so_far): &&mut (&Attempt, BTreeSet<&str>)| {
            earlier.address == attempt.address
                && would_be_one(earlier)
                && so_far.is_disjoint(&to)
                && attempt.at.since(earlier.at) < SAME_PASS
        };
        match kept.iter_mut().find(same) {
            Some((earlier, so_far)) => {
                so_far.extend(to);
                if earlier.stage == Some(Stage::Rcpt) {
                    *earlier = attempt;
                }
            }
            None => kept.push((attempt, to)),
        }
    }
    kept.into_iter().map(|(attempt, _)| attempt).collect()
}
