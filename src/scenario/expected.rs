//! What is expected of a drill, as data.

use std::{fmt, net::IpAddr, sync::Arc};

use crate::{
    fault::{Host, Stage},
    mail::MessageId,
    outcome::{AttemptResult, Outcome},
    reply::Status,
    time::{Moment, Span},
};

/// Keys of `expect` that are no message ids.
pub(super) const TOTAL_KEYS: [&str; 6] = [
    "delivered",
    "deferred",
    "bounced",
    "sessions",
    "notifications",
    "first_attempts",
];

/// An allowed range of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub min: u64,
    /// At most.
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

/// What is expected of the whole drill and of each message.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Totals over the scenario's own messages.
    pub totals: Vec<(Total, Bounds)>,
    /// How first attempts are shared.
    pub first_attempts: Vec<(Host, Bounds)>,
    /// About single messages, in the order of the file.
    pub messages: Vec<(MessageId, Arc<ExpectedMessage>)>,
}

/// A number that can be expected of a whole drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Total {
    /// Messages delivered.
    Delivered,
    /// Messages deferred.
    Deferred,
    /// Messages bounced.
    Bounced,
    /// Connections that receivers accepted.
    Sessions,
    /// Bounces that arrived where they belong.
    Notifications,
}

impl Total {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("delivered", Self::Delivered),
        ("deferred", Self::Deferred),
        ("bounced", Self::Bounced),
        ("sessions", Self::Sessions),
        ("notifications", Self::Notifications),
    ];

    /// The word for it in scenario files.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, total)| *total == self)
            .expect("every total has a word")
            .0
    }
}

/// What is expected of one message; `None` is no expectation.
#[derive(Debug, Clone, Default)]
pub struct ExpectedMessage {
    /// What it comes to.
    pub outcome: Option<Outcome>,
    /// Who takes it.
    pub by: Option<Host>,
    /// How many copies are taken.
    pub copies: Option<Bounds>,
    /// The status of its bounce or last deferral.
    pub status: Option<Status>,
    /// What it comes to for single recipients.
    pub recipients: Vec<(String, Outcome)>,
    /// Every attempt, in order.
    pub attempts: Option<Vec<ExpectedAttempt>>,
    /// The first attempts, in order.
    pub starts_with: Option<Vec<ExpectedAttempt>>,
    /// How many attempts.
    pub attempt_count: Option<Bounds>,
}

impl ExpectedMessage {
    /// Whether it is expected to be left in the queue, for some recipient at least.
    pub(crate) fn is_deferred(&self) -> bool {
        let deferred = |outcome: &Outcome| *outcome == Outcome::Deferred;
        self.outcome.as_ref().is_some_and(deferred)
            || self.recipients.iter().any(|(_, outcome)| deferred(outcome))
    }
}

/// An attempt as expected.
#[derive(Debug, Clone)]
pub struct ExpectedAttempt {
    /// At one of these hosts.
    pub hosts: Vec<Host>,
    /// At this address.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub result: AttemptResult,
    /// Where in the session it ended.
    pub stage: Option<Stage>,
    /// When it began.
    pub at: Option<Moment>,
    /// Whether the transaction ran inside TLS.
    pub tls: Option<bool>,
    /// The server name that the client asked for in the handshake.
    pub sni: Option<String>,
}

impl fmt::Display for ExpectedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        write!(f, "{} {}", hosts.join(" or "), self.result)?;
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
        self.at.map_or(Ok(()), |at| write!(f, " +{}", Span(at.0)))
    }
}
