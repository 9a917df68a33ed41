//! What a crash of the sender tells of it, and what it excuses.
//!
//! A sender that is killed forgets what it had not written down yet. So for a moment before a crash it is held
//! against nobody that the sender did not know: that a receiver had taken a message (RFC 1047 has the duplicate that
//! comes of it), had refused it, or failed. What it had taken over it must still have (RFC 5321 section 6.1).

use std::{
    collections::{BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    event::{Event, EventKind, SessionId},
    mail::MessageId,
    observe::Attempt,
    scenario::Scenario,
    time::Moment,
};

/// How long a sender may take to note what a receiver answered. On virtual time, which stands still while
/// anything runs, that is ample.
const NOTED: Duration = Duration::from_secs(1);

/// The crashes of a drill, as its log has them.
pub(super) struct CrashesSeen {
    /// Whether there may be any: else no message is kept.
    expected: bool,
    moments: Vec<Moment>,
    /// Messages taken a moment ago.
    taken: VecDeque<(Moment, SessionId, MessageId)>,
    /// Those that were taken a moment before a crash.
    unnoted: BTreeSet<(SessionId, MessageId)>,
    queue_is_empty: bool,
}

impl CrashesSeen {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            expected: !scenario.crashes.is_empty(),
            moments: Vec::new(),
            taken: VecDeque::new(),
            unnoted: BTreeSet::new(),
            queue_is_empty: false,
        }
    }

    /// Takes in what happened next.
    pub(super) fn see(&mut self, event: &Event) {
        self.queue_is_empty |= matches!(event.kind, EventKind::QueueEmpty);
        if !self.expected {
            return;
        }
        let is_old = |taken: &(Moment, _, _)| event.at.since(taken.0) > NOTED;
        match &event.kind {
            EventKind::Taken {
                session,
                message: Some(message),
                ..
            } => {
                while self.taken.front().is_some_and(is_old) {
                    self.taken.pop_front();
                }
                let taken = (event.at, *session, message.clone());
                self.taken.push_back(taken);
            }
            EventKind::Crash { .. } => {
                let taken = self.taken.drain(..).filter(|taken| !is_old(taken));
                let taken = taken.map(|(_, session, message)| (session, message));
                self.unnoted.extend(taken);
                self.moments.push(event.at);
            }
            _ => {}
        }
    }

    /// Whether the queue of a mail server was found empty at the end of the drill.
    pub(super) fn queue_is_empty(&self) -> bool {
        self.queue_is_empty
    }

    /// Whether the sender crashed, and its queue was found empty at the end of the drill.
    pub(super) fn left_an_empty_queue(&self) -> bool {
        self.queue_is_empty && !self.moments.is_empty()
    }

    /// Whether the sender crashed before it can have noted that the message of an attempt was taken.
    pub(super) fn came_before_the_note_of(&self, attempt: &Attempt) -> bool {
        let message = attempt.message.clone();
        message.is_some_and(|message| self.unnoted.contains(&(attempt.session, message)))
    }

    /// Whether the sender crashed before it can have noted what came of an attempt.
    pub(super) fn cut_off(&self, attempt: &Attempt) -> bool {
        self.between(attempt.at, attempt.ended.after(NOTED))
    }

    /// Whether the sender crashed from one moment to another.
    pub(super) fn between(&self, from: Moment, to: Moment) -> bool {
        let mut moments = self.moments.iter();
        moments.any(|at| (from..=to).contains(at))
    }
}
