//! How many messages a drill of a rehearsal has: as many as what it shows needs.
//!
//! 1. Where senders choose by chance, who takes which share of the mail is told in per cent: [`MESSAGES`].
//! 2. Where chance decides nothing, each message fares as every other one, and [`ALIKE`] of them show what more would. So
//!    they do where all of them are returned, whomever senders try.
//! 3. A drill has fewer where each of them means many attempts: four hundred exchangers that do not answer for a day
//!    are three thousand attempts of a message.

use super::{
    MESSAGES,
    many::{FEW, OUTAGE},
};
use crate::{fault::Stage, plan::Plan, scenario::SenderSettings};

/// Messages of a drill in which each fares as every other one. One would show as much if nothing in a drill went wrong.
const ALIKE: usize = 20;
/// Attempts of a drill that its messages are cut down to. An attempt is some fifty microseconds.
const ATTEMPTS: usize = 8_000;
/// The same for a change, to which half of the messages come too late.
const LATE_ATTEMPTS: usize = 4 * ATTEMPTS;
/// Messages of a change at least: fewer would not show until when mail goes to the old exchangers.
const LEAST_MESSAGES: usize = 20;
/// Seconds that an attempt takes that nobody answers.
const LEAST_TIMEOUT: u32 = 30;
/// The lookups of so many exchangers take as long as an attempt.
const LOOKED_UP: usize = 4;

/// How many messages the drills of a domain's outages have.
pub(super) struct DrillSizes {
    /// How many exchangers senders use.
    exchangers: usize,
    /// Those of a drill in which each message is an attempt or a few.
    most: usize,
    /// Seconds until an attempt is given up that nobody answers.
    timeout: u64,
}

impl DrillSizes {
    /// Those of a domain with this plan, to which such senders send.
    pub(super) fn of(plan: &Plan, settings: &SenderSettings) -> Self {
        Self {
            exchangers: plan.usable().count(),
            most: match is_by_chance(plan) {
                true => MESSAGES,
                false => ALIKE,
            },
            timeout: settings.timeouts.at(Stage::Connect).as_secs().max(1),
        }
    }

    /// The messages of a drill in which nothing fails, or one exchanger.
    pub(super) fn of_one(&self) -> usize {
        self.messages(1, OUTAGE)
    }

    /// The messages of a drill in which so many of the exchangers do not answer for so many seconds.
    pub(super) fn messages(&self, down: usize, seconds: u64) -> usize {
        if self.exchangers <= FEW {
            return self.most;
        }
        let attempts = match down == self.exchangers {
            // Each attempt takes its time, however many exchangers there are.
            true => usize::try_from(seconds / self.timeout).unwrap_or(usize::MAX),
            false => down,
        };
        let cost = attempts.saturating_add(1 + self.exchangers / LOOKED_UP);
        (ATTEMPTS / cost).clamp(1, self.most)
    }

    /// As many of these messages as are played in a reasonable time, where so many of the exchangers do not answer.
    pub(super) fn affordable(&self, wanted: usize, down: usize) -> usize {
        let cost = down + 1 + self.exchangers / LOOKED_UP;
        wanted.min((ATTEMPTS / cost).max(1))
    }

    /// The messages of a drill in which nobody answers for so many seconds, and all of them are returned.
    pub(super) fn returned(&self, seconds: u64) -> usize {
        self.messages(self.exchangers, seconds).min(ALIKE)
    }
}

/// Whether one message may fare otherwise than another: senders choose among exchangers of one preference. The addresses
/// of an exchanger they try in the order of the answer.
fn is_by_chance(plan: &Plan) -> bool {
    let preferences = plan.usable().map(|(level, _)| level.preference);
    let next = preferences.clone().skip(1);
    preferences.zip(next).any(|(one, other)| one == other)
}

/// How many messages a change is rehearsed with at which so many exchangers go: each that comes too late may try all of them,
/// for as many seconds as they are remembered.
pub(super) fn messages_of_change(gone: usize, remembered: u32) -> usize {
    if gone <= FEW {
        return MESSAGES;
    }
    let attempts = usize::try_from(remembered / LEAST_TIMEOUT).unwrap_or(usize::MAX);
    (LATE_ATTEMPTS / attempts.max(1)).clamp(LEAST_MESSAGES, MESSAGES)
}
