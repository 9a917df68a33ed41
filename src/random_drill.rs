//! Drills made from numbers: zones, faults, receivers and messages of all kinds, and the smallest that still fails.
//!
//! Nothing is expected of them but the rules, which hold for every drill. A case comes from a number and
//! is the same for the same number.
//!
//! The first numbers have every two kinds together at least once (`cover`): a point of failure (`points`), a shape of zone,
//! what receivers offer and bear, mail (`parts`). Those behind are drawn by chance (`chance`).
//!
//! When a case fails, [`RandomDrill::shrunk`] leaves out one part after the other as long as it still
//! fails: what is left is worth reading. What kinds of things are left are its traits (`traits`).

mod chance;
mod cover;
mod parts;
mod points;
mod smaller;
mod traits;

use std::{sync::Arc, time::Duration};

#[cfg(feature = "proptest")]
pub(crate) use self::chance::{DOMAINS, HOSTS, any_exchangers, any_fault, any_messages};
use crate::{
    diagnostic::Mistakes,
    fault::Fault,
    mail::{ByMode, DeliverBy, Priority},
    scenario::{Messages, ReceiverSettings, Scenario, ScenarioBuilder, SenderSettings, TlsPolicy},
    time::Moment,
    verdict::{Rule, SenderKind},
};

/// A drill made at random from a number.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RandomDrill {
    seed: u64,
    /// Lines of a zone file below `test.`.
    records: Vec<String>,
    faults: Vec<Fault>,
    messages: Vec<RandomMessages>,
    sender: Vec<Setting>,
    /// What is special about receivers, one thing a row.
    receivers: Vec<ReceiverSettings>,
}

/// A row of messages.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RandomMessages {
    /// Its number among those of the drill before any was left out.
    number: u8,
    to: Vec<String>,
    minute: u64,
    count: usize,
    from_nobody: bool,
    body: Body,
    asks: Option<Asks>,
}

/// What is asked of those who carry a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// A priority (RFC 6710).
    Priority,
    /// To have it back after an hour (RFC 2852).
    BackInAnHour,
    /// To be told after an hour.
    TellInAnHour,
}

/// What the body of a message has in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    /// A line of the lab's own.
    Plain,
    /// Octets over 127, which need 8BITMIME.
    EightBit,
    /// Lines that begin with dots.
    Dots,
    /// Octets as they are, which need BINARYMIME.
    Binary,
}

/// A way in which the sender may differ from the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Setting {
    RetriesEvery20Minutes,
    ExpiresAfter5Hours,
    RemembersUnreachable,
    IsAnExchanger,
    RequiresTls,
}

impl RandomDrill {
    /// The case of a number, for a sender in the process. The same number gives the same case, as long as nothing in
    /// this module changes.
    pub fn new(seed: u64) -> Self {
        let tolerance = Duration::ZERO;
        Self::for_sender(seed, SenderKind::InProcess { tolerance })
    }

    /// The case of a number for a sender of this kind: a command sends one message, once; a mail server is left to
    /// its own schedule.
    pub fn for_sender(seed: u64, sender: SenderKind) -> Self {
        let row = usize::try_from(seed).ok();
        match row.and_then(|row| cover::rows(sender).get(row)) {
            Some(row) => Self::of_row(seed, row, sender),
            None => chance::drill(seed, sender),
        }
    }

    /// How many numbers, from 0, have every two kinds together at least once for a sender of this kind.
    pub fn covering(sender: SenderKind) -> u64 {
        cover::rows(sender).len() as u64
    }

    /// The case of a row of kinds. What fails does so at the host that comes first: for two hours of a sender that
    /// comes again, so that the drill has an end, and for ever of one that does not.
    fn of_row(seed: u64, row: &cover::Row, sender: SenderKind) -> Self {
        let (place, effect) = row.point;
        let host = row.shape.first_host();
        let is_there = host.is_some() || matches!(place, points::FailurePlace::Query(_));
        let fault = is_there.then(|| {
            let fault = place.fault(effect, "d0.test", host.unwrap_or("h0.test"));
            match sender {
                SenderKind::Command | SenderKind::ClockedCommand => fault,
                _ => fault.until(minutes(120)),
            }
        });
        let receivers = [row.offered.receivers(), row.bears.receivers()];
        Self {
            seed,
            records: row.shape.records(),
            faults: fault.into_iter().collect(),
            messages: row.mail.messages(),
            sender: Vec::new(),
            receivers: receivers.into_iter().flatten().collect(),
        }
    }

    /// The case for a sender that has no settings but the default ones, among receivers that are like any other.
    #[cfg(feature = "proptest")]
    pub(crate) fn plain(mut self) -> Self {
        self.sender.clear();
        self.receivers.clear();
        for row in &mut self.messages {
            (row.body, row.asks) = (Body::Plain, None);
        }
        self
    }

    /// The number that the case comes from.
    pub fn number(&self) -> u64 {
        self.seed
    }

    /// The drill as a builder makes it.
    fn builder(&self) -> ScenarioBuilder {
        let zone = format!("$ORIGIN test.\n$TTL 300\n{}", self.records.join("\n"));
        let mut builder = Scenario::builder(format!("made at random, from number {}", self.seed))
            .seed(self.seed)
            .zone(&zone);
        for row in &self.messages {
            builder = builder.messages(row.messages());
        }
        for fault in &self.faults {
            builder = builder.fault(fault.clone());
        }
        for receiver in &self.receivers {
            builder = builder.receiver(receiver.clone());
        }
        let mut settings = SenderSettings::default();
        self.sender.iter().for_each(|one| one.apply(&mut settings));
        builder.sender(settings)
    }

    /// The text of the scenario, which `mxdrill run` plays.
    pub fn text(&self) -> String {
        self.builder().to_toml()
    }

    /// The text of the scenario as a drill of a rule: it makes the claim, as strongly as the rule does.
    pub fn text_about(&self, rule: &Rule) -> String {
        let mut builder = self.builder().level(rule.level).cites(rule.cite);
        builder = builder.summary(rule.claim);
        for statement in rule.statements.iter().filter(|_| rule.is_of_sessions) {
            builder = builder.covers(*statement);
        }
        builder.to_toml()
    }

    /// The drill as a scenario.
    ///
    /// # Errors
    /// That parts are missing which others refer to, as after shrinking.
    pub fn scenario(&self) -> Result<Arc<Scenario>, Mistakes> {
        let path = format!("fuzz-{}.toml", self.seed);
        self.builder().build_as(&path).map(Arc::new)
    }

    /// How many MX records the case has, as a measure of its size.
    pub fn exchangers(&self) -> usize {
        let is_mx = |record: &&String| record.contains(" IN MX ");
        self.records.iter().filter(is_mx).count()
    }
}

impl RandomMessages {
    fn messages(&self) -> Messages {
        let id = format!("m{}", self.number);
        let (first, others) = self.to.split_first().expect("a recipient at least");
        let mut messages = others
            .iter()
            .fold(Messages::new(id, first), Messages::also_to);
        if self.from_nobody {
            messages = messages.from("");
        }
        if self.count > 1 {
            messages = messages.count(self.count);
        }
        messages = match self.body {
            Body::Plain => messages,
            Body::EightBit => messages.body("Grüße aus Köln\n"),
            Body::Dots => messages.body(".\n..\n.a line\nthe end\n"),
            Body::Binary => messages.binary(),
        };
        let by = |mode| DeliverBy {
            within: minutes(60).0,
            mode,
            trace: false,
        };
        messages = match self.asks {
            None => messages,
            Some(Asks::Priority) => Priority::new(5)
                .into_iter()
                .fold(messages, Messages::priority),
            Some(Asks::BackInAnHour) => messages.deliver_by(by(ByMode::Return)),
            Some(Asks::TellInAnHour) => messages.deliver_by(by(ByMode::Notify)),
        };
        messages.at(minutes(self.minute))
    }
}

impl Setting {
    fn apply(self, settings: &mut SenderSettings) {
        match self {
            Self::RetriesEvery20Minutes => settings.retry = vec![minutes(20).0],
            Self::ExpiresAfter5Hours => settings.expire = minutes(300).0,
            Self::RemembersUnreachable => settings.remember_unreachable = Some(minutes(10).0),
            Self::IsAnExchanger => settings.names = vec!["h0.test".parse().expect("a name")],
            Self::RequiresTls => settings.tls = TlsPolicy::Required,
        }
    }
}

fn minutes(count: u64) -> Moment {
    Moment(Duration::from_secs(60 * count))
}
