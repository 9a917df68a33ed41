//! What is counted over all messages of a drill.
//!
//! Counted when a message is judged, so that nothing of it need be kept. Held against the
//! scenario's totals and shares in `expect`, and against the rule about equal exchangers in
//! `rules::routing`.

use std::collections::BTreeMap;

use super::{
    SenderKind,
    facts::{DrillFacts, MessageFacts},
    rules::routing::Equals,
};
use crate::{
    outcome::Outcome,
    scenario::{Scenario, Total},
};

/// Counts of a drill, of the messages judged so far.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// How many messages ended in which way.
    pub(super) outcomes: BTreeMap<Outcome, usize>,
    /// Attempts for the drill's messages.
    pub(super) attempts: usize,
    /// Connections that receivers accepted.
    pub(super) accepted: usize,
    /// Connections for other mail than the drill's messages, such as notifications. They are no
    /// sessions of the totals.
    pub(super) for_others: usize,
    /// Notifications taken.
    pub(super) notifications: usize,
    /// Messages that a mail server may have returned where nobody sees it: they may count as
    /// bounced or as deferred.
    pub(super) returned_unseen: u64,
    /// First attempts at each host of which a share is expected, in the order of the scenario.
    pub(super) first_attempts: Vec<u64>,
    /// How first attempts were shared among equal exchangers.
    pub(super) equals: Equals,
}

impl Totals {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            first_attempts: vec![0; scenario.expect.first_attempts.len()],
            ..Self::default()
        }
    }

    /// Counts a message.
    pub(super) fn count(&mut self, drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) {
        let outcome = facts.ending.outcome();
        *self.outcomes.entry(outcome).or_default() += 1;
        self.attempts += facts.attempts.len();
        self.equals.count(drill, facts);
        let expected = &drill.scenario.expect.first_attempts;
        // A probe is no attempt to deliver, and does not count as the first.
        let mut proper = facts.attempts.iter().filter(|attempt| !attempt.incidental);
        if let Some(first) = proper.next() {
            for ((host, _), count) in expected.iter().zip(&mut self.first_attempts) {
                *count += u64::from(first.went_to(host));
            }
        }
        // Others say what they return, or say nothing at all.
        let may_be_returned =
            drill.sender_kind == SenderKind::MailServer && outcome == Outcome::Deferred;
        if may_be_returned && drill.returns_unseen(facts.message) {
            self.returned_unseen += 1;
        }
    }

    pub(super) fn total(&self, total: Total) -> u64 {
        let ended = |outcome| self.outcomes.get(&outcome).copied().unwrap_or(0);
        let count = match total {
            Total::Delivered => ended(Outcome::Delivered),
            Total::Deferred => ended(Outcome::Deferred),
            Total::Bounced => ended(Outcome::Bounced),
            // Each session for others was accepted and counted before it was known what it was for.
            Total::Sessions => self.accepted - self.for_others,
            Total::Notifications => self.notifications,
        };
        count as u64
    }
}
