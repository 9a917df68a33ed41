//! Judging a drill: expectations of its author and rules of the RFCs, from scenario and log alone.

mod case;
mod dossier;
mod expect;
mod failures;
mod judge;
mod places;
mod rules;
mod surroundings;
mod tally;
mod told;
mod views;

use std::{collections::BTreeMap, time::Duration};

pub(crate) use self::judge::Judge;
pub use self::rules::{RULES, Rule};
use crate::{event::Event, level::Level, outcome::Outcome, scenario::Scenario};

/// The rule about waits between attempts: where passes are begun for a sender, it is not the sender's.
pub const RETRY_WAITS: Rule = rules::RETRY_WAITS;

/// How a drill is judged.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// What is wrong; nothing if the drill passed.
    pub findings: Vec<Finding>,
    /// What is worth knowing and no failure.
    pub notes: Vec<String>,
    /// Messages delivered, deferred and bounced.
    pub outcomes: BTreeMap<Outcome, usize>,
    /// Attempts made for the drill's messages.
    pub attempts: usize,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn passed(&self) -> bool {
        self.findings.is_empty()
    }
}

/// One thing that is wrong, with what shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The claim that does not hold.
    pub claim: String,
    /// The rule that it breaks; `None` for an expectation of the scenario.
    pub rule: Option<&'static str>,
    /// How strongly it is asked for.
    pub level: Level,
    /// The sections that ask for it.
    pub cites: Vec<String>,
    /// What was expected, a line each.
    pub expected: Vec<String>,
    /// What was observed instead, a line each.
    pub observed: Vec<String>,
    /// What led there, a line each: the attempts with the replies to them; where there was none, what was
    /// looked up.
    pub because: Vec<String>,
}

/// Who sent the messages: it decides what can be known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Witness {
    /// A sender inside the process, which says what becomes of messages. A moment may differ from the
    /// expected one by `tolerance`: nothing on a virtual clock.
    Sender {
        /// By how much.
        tolerance: Duration,
    },
    /// A command that ends: what it did not deliver it may have given up, or left somewhere, and it
    /// never tries again. A moment may differ by two seconds.
    Command,
    /// A mail server, whose passes over its queue are begun for it: what it returns is seen, what it
    /// keeps is not, and moments are its own affair.
    Server,
}

impl Witness {
    /// The word for it in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sender { .. } => "in-process",
            Self::Command => "command",
            Self::Server => "mail-server",
        }
    }

    /// What was seen of a message, in words that claim no more.
    pub fn saw(self, outcome: Outcome) -> String {
        match (self, outcome) {
            (Self::Command, Outcome::Deferred) => "not delivered".to_owned(),
            (Self::Server, Outcome::Deferred) => "neither delivered nor returned".to_owned(),
            _ => outcome.to_string(),
        }
    }

    /// By how much a moment may differ from the expected one; `None`: by anything.
    fn tolerance(self) -> Option<Duration> {
        match self {
            Self::Sender { tolerance } => Some(tolerance),
            Self::Command => Some(Duration::from_secs(2)),
            Self::Server => None,
        }
    }
}

/// Judges a log.
pub fn judge(scenario: &Scenario, events: &[Event], witness: Witness) -> Verdict {
    let mut judge = Judge::new(scenario, witness);
    events.iter().for_each(|event| judge.see(event));
    judge.finish()
}
