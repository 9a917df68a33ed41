//! What is expected of a sender's own moments: how long it waits between attempts, and when it gives up.
//!
//! These hold for every sender as they stand. A mail server has a schedule of its own, and it is that which is
//! judged here.

use std::time::Duration;

use super::{Aspect, Held, attempts::is_doubtful};
use crate::{observe::Attempt, outcome::Outcome, time::HumanDuration, verdict::Finding};

/// How the claims begin that are about a sender's own moments.
pub(in crate::verdict) const RETRY_WAITS: &str = "time between attempts";
pub(in crate::verdict) const RETURNED_AFTER: &str = "time until the return";

/// By how much a time may differ where the sender's clock is its own: servers count in seconds.
const SECONDS: Duration = Duration::from_secs(2);

impl Held<'_> {
    /// The first two attempts at an address that are too near to each other, or too far apart.
    pub(super) fn retry_waits(&self) -> Option<Finding> {
        let bounds = self.expected.retry_waits?;
        let sure: Vec<&&Attempt> = self
            .attempts
            .iter()
            .filter(|attempt| !is_doubtful(attempt))
            .collect();
        sure.iter().enumerate().find_map(|(index, earlier)| {
            let mut later = sure[index + 1..].iter();
            let again = later.find(|later| later.address == earlier.address)?;
            let wait = again.at.since(earlier.at);
            let observed = || format!("{} from {earlier} to {again}", HumanDuration(wait));
            (!bounds.allow(wait, self.tolerance()))
                .then(|| self.differs(Aspect::RetryWaits, bounds.to_string(), observed()))
        })
    }

    /// Whether it was returned when it was to be. That it was is another expectation.
    pub(super) fn returned_after(&self) -> Option<Finding> {
        let bounds = self.expected.returned_after?;
        let facts = self.facts;
        let mut said = facts.message.to.iter();
        let said = said.find_map(|to| match facts.said_of(&to.text) {
            Some((Outcome::Bounced, at)) => Some(at),
            _ => None,
        });
        let wait = said.or(facts.reports.returned())?.since(facts.message.at);
        let observed = HumanDuration(wait).to_string();
        (!bounds.allow(wait, self.tolerance()))
            .then(|| self.differs(Aspect::ReturnedAfter, bounds.to_string(), observed))
    }

    /// By how much a time may differ.
    fn tolerance(&self) -> Duration {
        self.drill.sender_kind.tolerance().unwrap_or(SECONDS)
    }
}
