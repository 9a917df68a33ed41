//! What was seen so far of a message that is not judged yet.
//!
//! A drill may have many messages open at once, and most attempts in them are alike. So
//! an attempt is split: session and times stay here, all else is shared in a pool.

use std::{collections::HashSet, sync::Arc};

use super::notifications::DsnEvidence;
use crate::{
    event::SessionId,
    mail::MessageId,
    observe::{Attempt, Reports},
    time::Moment,
};

/// Attempts that the pool of [`AttemptPool`] holds at most; it begins anew then, which costs room and no
/// correctness.
const MOST_ALIKE: usize = 10_000;

/// What was seen so far of a message that is not judged yet.
#[derive(Default)]
pub(super) struct Evidence {
    attempts: Vec<FiledAttempt>,
    /// What its sender and notifications said of it.
    pub(super) reports: Reports,
    /// Whether a notification about it was tried to be delivered, successfully or not.
    pub(super) is_notified_of: bool,
    /// What was passed on of what is asked of notifications, and the notifications themselves.
    pub(super) dsn: DsnEvidence,
    /// Sessions that have not ended, those of notifications about it included: more may come of
    /// them.
    pub(super) under_way: usize,
    /// Whether its sender is done with it. The reference sender says so; messages of others are
    /// judged at the end.
    pub(super) done: bool,
}

/// An attempt, with what many have alike kept once for all of them.
struct FiledAttempt {
    session: SessionId,
    at: Moment,
    ended: Moment,
    alike: Arc<Attempt>,
}

/// What attempts have alike: all but message, session and time.
#[derive(Default)]
pub(super) struct AttemptPool(HashSet<Arc<Attempt>>);

impl Evidence {
    /// Files an attempt.
    pub(super) fn enter(&mut self, mut attempt: Attempt, alike: &mut AttemptPool) {
        let Attempt {
            session, at, ended, ..
        } = attempt;
        attempt.message = None;
        attempt.session = SessionId(0);
        attempt.at = Moment::START;
        attempt.ended = Moment::START;
        self.attempts.push(FiledAttempt {
            session,
            at,
            ended,
            alike: alike.pooled(attempt),
        });
    }

    /// The attempts for a message, in the order in which they began.
    pub(super) fn attempts(&self, message: &MessageId) -> Vec<Attempt> {
        let attempts = self.attempts.iter().map(|kept| Attempt {
            message: Some(message.clone()),
            session: kept.session,
            at: kept.at,
            ended: kept.ended,
            ..(*kept.alike).clone()
        });
        let mut attempts: Vec<Attempt> = attempts.collect();
        attempts.sort_by_key(|attempt| (attempt.at, attempt.session));
        attempts
    }
}

// An attempt that no evidence has any more is still in the pool, up to its bound.
impl AttemptPool {
    fn pooled(&mut self, attempt: Attempt) -> Arc<Attempt> {
        if let Some(known) = self.0.get(&attempt) {
            return Arc::clone(known);
        }
        if self.0.len() >= MOST_ALIKE {
            self.0.clear();
        }
        let attempt = Arc::new(attempt);
        self.0.insert(Arc::clone(&attempt));
        attempt
    }
}
