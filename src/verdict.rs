//! Judging a drill: expectations of its author and rules of the RFCs, from scenario and log alone.
//!
//! How a log becomes a verdict:
//!
//! 1. `judge` takes in one event after the other. `crate::observe` turns sessions into attempts;
//!    `dns_view` keeps what the name server answered; a `evidence` collects what was seen of each
//!    message.
//! 2. A message is judged as soon as nothing more can come of it, and its evidence is forgotten:
//!    that bounds the memory of a long drill.
//! 3. `expect` holds the message against what the scenario's author wrote, `rules` against what the
//!    RFCs ask of every sender.
//! 4. At the end, `totals` is held against totals and shares, and `surroundings` adds notes on
//!    faults that never applied.
//!
//! What is allowed is worked out anew from scenario and log (`permitted`, `views`, `failures`, `crashes`). None
//! of it is the router's, so that a mistake there does not excuse itself.
//!
//! Silence is not guilt: what a foreign sender may have known, tried or kept where the lab does not
//! see it is held against it nowhere. See [`SenderKind`].

mod crashes;
mod dns_view;
mod evidence;
mod expect;
mod facts;
mod failures;
mod judge;
mod notifications;
mod permitted;
mod rules;
mod surroundings;
mod totals;
mod views;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use self::judge::Judge;
#[cfg(feature = "proptest")]
pub(crate) use self::rules::{RETRY_WAITS, SENDER_NOTIFIED};
pub use self::rules::{RULES, Rule, rule};
use crate::{
    event::Event,
    fault::Host,
    level::Level,
    mail::MessageId,
    observe::Attempt,
    outcome::Outcome,
    scenario::{ExpectedAttempt, Scenario},
};
use serde::{Deserialize, Serialize};

/// How a drill is judged.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Verdict {
    /// What is wrong, in a fixed order: totals and shares first, then expectations, then rules by
    /// message. Empty if the drill passed.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no failure, such as a fault that never applied.
    pub notes: Vec<String>,
    /// How many messages were delivered, deferred and bounced. An outcome that no message has is
    /// not in it.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// How many attempts were made for the drill's messages, those of notifications left out.
    pub attempts: usize,
}

impl Verdict {
    /// Whether nothing is wrong.
    ///
    /// A finding of level `May` or `Info` is one, too; a caller who wants to pass those over looks
    /// at the levels.
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that is wrong, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is about.
    pub subject: Subject,
    /// The claim that does not hold: such as `outcome of message m1`, or the rule's own sentence
    /// with `(message m1)` after it.
    pub claim: String,
    /// The name of the rule that it breaks, one of [`RULES`]; `None` for an expectation of the
    /// scenario.
    pub rule: Option<&'static str>,
    /// Of a rule about sessions and notifications: the number of the statement in `docs/requirements.md` that is broken.
    pub statement: Option<u16>,
    /// How strongly it is asked for: by the rule, or by the scenario's `level`. Softer where a
    /// foreign sender does something in another way.
    pub level: Level,
    /// The sections that ask for it, such as `RFC 5321 section 5.1`.
    pub cites: Vec<String>,
    /// What was expected, a line each.
    pub expected: Vec<String>,
    /// What was observed instead, a line each.
    pub observed: Vec<String>,
    /// The attempts that `expected` and `observed` show; `None` unless it is about a list of them.
    pub attempts: Option<AttemptLists>,
    /// What led there, a line each: the attempts with the replies to them; where there was none, what was
    /// looked up.
    pub because: Vec<String>,
}

/// What a finding is about. In JSON it is an object of those that apply (`message`, `recipient`, `host`), or
/// null for the drill.
// Read back by trying one variant after the other: the one with more keys comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Subject {
    /// A recipient of a message.
    Recipient {
        /// The message, by its id in the scenario.
        message: MessageId,
        /// The recipient, as the scenario writes it.
        recipient: String,
    },
    /// A message, for all its recipients.
    Message {
        /// The message, by its id in the scenario.
        message: MessageId,
    },
    /// The share of first attempts that a host gets.
    Share {
        /// The exchanger whose share it is.
        host: Host,
    },
    /// The drill, or several messages of it.
    Drill,
}

impl Finding {
    /// The rule that it breaks; `None` for an expectation of the scenario.
    pub fn broken_rule(&self) -> Option<&'static Rule> {
        self.rule.and_then(rule)
    }

    /// Whether it is about the sender's own moments: how long it waits, and when it gives up.
    pub fn is_about_moments(&self) -> bool {
        let claims = [expect::RETRY_WAITS, expect::RETURNED_AFTER];
        self.rule.is_none() && claims.iter().any(|claim| self.claim.starts_with(claim))
    }
}

impl Subject {
    /// A message.
    fn of_message(id: &MessageId) -> Self {
        let message = id.clone();
        Self::Message { message }
    }

    /// A recipient of a message.
    fn of_recipient(id: &MessageId, recipient: &str) -> Self {
        Self::Recipient {
            message: id.clone(),
            recipient: recipient.to_owned(),
        }
    }

    /// The message that it is, or is a recipient of; `None` for what is not about a single one.
    pub fn message(&self) -> Option<&MessageId> {
        match self {
            Self::Recipient { message, .. } | Self::Message { message } => Some(message),
            Self::Share { .. } | Self::Drill => None,
        }
    }
}

/// Attempts that were expected, and those that were made. In text, `{:#}` leaves out when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptLists {
    /// Those that were expected, in order.
    pub expected: Vec<ExpectedAttempt>,
    /// Those that were made, in order: as many as the expectation speaks of.
    pub observed: Vec<Attempt>,
}

/// Who sent the messages, which decides what can be known of them and so what can be held against
/// the sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SenderKind {
    /// A sender inside the process, which says what becomes of messages. A moment may differ from the
    /// expected one by `tolerance`: nothing on a virtual clock.
    InProcess {
        /// By how much a moment may differ: zero on a virtual clock, what the machine was late by
        /// where time is real.
        tolerance: Duration,
    },
    /// A command that ends: what it did not deliver it may have given up, or left somewhere, and it
    /// never tries again. A moment may differ by two seconds.
    Command,
    /// As [`SenderKind::Command`], with a clock that the lab has, too, and that stands still while anything
    /// runs. A moment may differ by 50 milliseconds.
    ClockedCommand,
    /// A mail server, with a schedule of its own: what it returns is seen, what it keeps is not, and moments are
    /// its own affair.
    MailServer,
}

impl SenderKind {
    /// Whether it is outside the process, and says nothing of what it does.
    pub(crate) fn is_foreign(self) -> bool {
        !matches!(self, Self::InProcess { .. })
    }

    /// The word for it in written logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::InProcess { .. } => "in-process",
            Self::Command => "command",
            Self::ClockedCommand => "clocked-command",
            Self::MailServer => "mail-server",
        }
    }

    /// What was seen of a message, in words that claim no more: a command that did not deliver a
    /// message may have queued or dropped it.
    pub fn saw(self, outcome: Outcome) -> String {
        match (self, outcome) {
            (Self::Command | Self::ClockedCommand, Outcome::Deferred) => "not delivered".to_owned(),
            (Self::MailServer, Outcome::Deferred) => "neither delivered nor returned".to_owned(),
            _ => outcome.to_string(),
        }
    }

    /// By how much a moment may differ from the expected one; `None`: by anything.
    fn tolerance(self) -> Option<Duration> {
        match self {
            Self::InProcess { tolerance } => Some(tolerance),
            Self::Command => Some(Duration::from_secs(2)),
            Self::ClockedCommand => Some(Duration::from_millis(50)),
            Self::MailServer => None,
        }
    }
}

/// Judges a log that is complete, such as one that was written down.
pub fn judge(scenario: &Scenario, events: &[Event], sender_kind: SenderKind) -> Verdict {
    let mut judge = Judge::new(scenario, sender_kind);
    events.iter().for_each(|event| judge.see(event));
    judge.finish()
}
