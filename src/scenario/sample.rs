//! A drill of many messages with some of them: what a real sender can be put through in real time.
//!
//! A mail server needs real time for each message. The sample keeps the first messages and what is
//! expected of them; totals over all messages become totals over the sample, or shares to be judged
//! by statistics.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Bounds, Scenario, Total};
use crate::fault::{Failure, Host, Stage};

/// Drills with more messages than this are sampled; up to it, a mail server takes all of them.
const MANY: usize = 30;
/// The messages of a sample: the first ones of the drill.
const SAMPLE: usize = 24;

/// The share of first attempts that a host should have: from `low` to `high` for each message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// The host whose share it is.
    pub host: Host,
    /// The least share of all messages, from 0 to 1.
    pub low: f64,
    /// The greatest share of all messages, from 0 to 1.
    pub high: f64,
}

// What is expected of the drill is cut along with its messages.
impl Scenario {
    /// The drill with fewer messages, if it has many, and what of its totals then becomes a share: to be
    /// judged by statistics over several runs.
    pub fn sample(&self) -> (Self, Vec<Share>) {
        let mut sample = self.clone();
        let all = self.messages.len();
        if all <= MANY {
            return (sample, Vec::new());
        }
        sample.messages.truncate(SAMPLE);
        let kept: BTreeSet<_> = sample.messages.iter().map(|message| &message.id).collect();
        let expect = &mut sample.expect;
        expect.messages.retain(|(id, _)| kept.contains(id));
        #[expect(clippy::cast_precision_loss, reason = "counts of messages are small")]
        let share = |(host, bounds): &(Host, Bounds)| Share {
            host: host.clone(),
            low: bounds.min as f64 / all as f64,
            high: bounds.max.min(all as u64) as f64 / all as f64,
        };
        // A server may remember what it could not reach, and leave it out.
        let reachable = !self.world.faults.iter().any(|fault| match &fault.failure {
            Failure::Session { stage, .. } => *stage < Stage::Mail,
            Failure::Query { .. } => false,
        });
        let firsts = std::mem::take(&mut expect.first_attempts);
        let shares = firsts.iter().filter(|_| reachable).map(share).collect();
        for (_, bounds) in &mut expect.totals {
            if bounds.allow(all as u64) {
                // All of them at least, or any number.
                let is_of_all = bounds.min >= all as u64;
                bounds.min = if is_of_all { SAMPLE as u64 } else { 0 };
                bounds.max = SAMPLE as u64;
            }
        }
        // A server may use a session for several messages.
        expect.totals.retain(|(total, _)| *total != Total::Sessions);
        (sample, shares)
    }
}
