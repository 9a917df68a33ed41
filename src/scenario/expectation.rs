//! What is expected of a drill, as data.
//!
//! The keys are those of the `expect` table of a scenario. `read/expect` reads them;
//! `crate::verdict` holds them against what was seen.

use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

use crate::{
    fault::{Host, Stage},
    mail::{Action, MessageId, Returned},
    outcome::{AttemptResult, Outcome},
    reply::Status,
    time::{HumanDuration, Moment},
    words::words,
};

/// Keys of `expect` that are no message ids, and so no message may have for its id.
pub(super) const TOTAL_KEYS: [&str; 6] = [
    "delivered",
    "deferred",
    "bounced",
    "sessions",
    "notifications",
    "first_attempts",
];

/// An allowed range of a number, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least number allowed.
    pub min: u64,
    /// The greatest number allowed; `u64::MAX` where there is no bound.
    pub max: u64,
}

impl Bounds {
    /// Whether a number lies within.
    pub fn allow(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "{min}"),
            (0, max) => write!(f, "at most {max}"),
            (min, u64::MAX) => write!(f, "at least {min}"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}

/// An allowed range of a time, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBounds {
    /// The shortest time allowed.
    pub min: Duration,
    /// The longest time allowed; `Duration::MAX` where there is no bound.
    pub max: Duration,
}

impl TimeBounds {
    /// Whether a time lies within, give or take so much.
    pub fn allow(self, time: Duration, tolerance: Duration) -> bool {
        (self.min..=self.max).contains(&time)
            || (self.min..=self.max).contains(&time.saturating_add(tolerance))
            || (self.min..=self.max).contains(&time.saturating_sub(tolerance))
    }
}

impl fmt::Display for TimeBounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (HumanDuration(self.min), HumanDuration(self.max));
        match (self.min, self.max) {
            (Duration::ZERO, _) => write!(f, "{max} at most"),
            (_, Duration::MAX) => write!(f, "{min} at least"),
            _ => write!(f, "{min} to {max}"),
        }
    }
}

/// What is expected of the whole drill and of each message. Empty if nothing is, which the rules
/// still judge.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Bounds of numbers over all messages of the scenario.
    pub totals: Vec<(Total, Bounds)>,
    /// Bounds of how many messages have their first attempt at a host.
    pub first_attempts: Vec<(Host, Bounds)>,
    /// Expectations about single messages, in the order of the file. Messages of one row with a
    /// count share theirs.
    pub messages: Vec<(MessageId, Arc<ExpectedMessage>)>,
}

words! {
    /// A number over all messages of a drill.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Total {
        /// Messages of which every recipient's copy was delivered.
        Delivered = "delivered",
        /// Messages that are still queued for some recipient.
        Deferred = "deferred",
        /// Messages that were given up for some recipient and are queued for none.
        Bounced = "bounced",
        /// Connections that receivers accepted for the drill's messages; those for notifications do not
        /// count.
        Sessions = "sessions",
        /// Notifications of failed messages that a receiver accepted.
        Notifications = "notifications",
    }
}

/// What is expected of one message. A key that is `None` or empty expects nothing.
#[derive(Debug, Clone, Default)]
pub struct ExpectedMessage {
    /// What becomes of the message as a whole.
    pub outcome: Option<Outcome>,
    /// The host that accepts it, each copy of it.
    pub by: Option<Host>,
    /// How many transactions end with the message accepted.
    pub copies: Option<Bounds>,
    /// The enhanced status code of its notification, or of its last deferral.
    pub status: Option<Status>,
    /// What becomes of it for single recipients, by their mailbox.
    pub recipients: Vec<(String, Outcome)>,
    /// Every attempt, in order, and no other.
    pub attempts: Option<Vec<ExpectedAttempt>>,
    /// The first attempts, in order; others may follow.
    pub starts_with: Option<Vec<ExpectedAttempt>>,
    /// How many attempts there are.
    pub attempt_count: Option<Bounds>,
    /// How long it takes from each attempt at an address to the next one there.
    pub retry_waits: Option<TimeBounds>,
    /// How long after its submission it is returned, if it is.
    pub returned_after: Option<TimeBounds>,
    /// What notifications tell of it, a row for each recipient in each of them; in any order, and nothing else.
    pub dsn: Option<Vec<ExpectedDsn>>,
}

/// What a notification is expected to tell of one recipient. What is `None` may be anything; an empty text is a
/// field that is left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExpectedDsn {
    /// The recipient: `alice@example.test`.
    pub recipient: Option<String>,
    /// What became of it.
    pub action: Option<Action>,
    /// Why.
    pub status: Option<Status>,
    /// The name in the Remote-MTA field.
    pub remote_mta: Option<String>,
    /// How the text of the Diagnostic-Code begins: `550`.
    pub diagnostic: Option<String>,
    /// The Original-Recipient field: `rfc822;Alice@example.test`.
    pub original_recipient: Option<String>,
    /// The Original-Envelope-Id field.
    pub envelope_id: Option<String>,
    /// How much of the message comes back.
    pub returned: Option<Returned>,
}

impl ExpectedMessage {
    /// Whether it is expected to be left in the queue, for some recipient at least.
    ///
    /// For `imply_leaves`: a drill without a `stop` ends when such a message has had its attempts.
    pub(crate) fn is_deferred(&self) -> bool {
        let deferred = |outcome: &Outcome| *outcome == Outcome::Deferred;
        self.outcome.as_ref().is_some_and(deferred)
            || self.recipients.iter().any(|(_, outcome)| deferred(outcome))
    }
}

/// One attempt as it is expected. In text, `{:#}` leaves out when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedAttempt {
    /// The hosts at any of which it may be made, one at least.
    pub hosts: Vec<Host>,
    /// The port at which it is made; `None`: any.
    pub port: Option<u16>,
    /// The address at which it is made; `None`: any of the host.
    pub address: Option<IpAddr>,
    /// How it ends, such as `accepted` or the code of a reply.
    pub result: AttemptResult,
    /// The stage at which it ends; `None`: any.
    pub stage: Option<Stage>,
    /// When it begins, from the start of the drill; `None`: at any time.
    pub at: Option<Moment>,
    /// Whether its transaction is inside TLS; `None`: either.
    pub tls: Option<bool>,
    /// The server name in the client's handshake (SNI); `None`: any or none.
    pub sni: Option<String>,
}

impl fmt::Display for ExpectedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        f.write_str(&hosts.join(" or "))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        write!(f, " {}", self.result)?;
        if let Some(stage) = self.stage {
            write!(f, " at {stage}")?;
        }
        if let Some(address) = self.address {
            write!(f, " [{address}]")?;
        }
        match self.tls {
            Some(true) => f.write_str(" in TLS")?,
            Some(false) => f.write_str(" in plain text")?,
            None => {}
        }
        if let Some(sni) = &self.sni {
            write!(f, " asked for {sni}")?;
        }
        match self.at {
            Some(at) if !f.alternate() => write!(f, " +{}", HumanDuration(at.0)),
            _ => Ok(()),
        }
    }
}
