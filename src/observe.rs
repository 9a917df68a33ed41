//! What a sender did, read off the lab's side of the log: attempts, and what each message came to.

mod attribution;
mod pool;
mod routes;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

pub(crate) use self::attribution::Background;
pub use self::{attribution::Unattributed, sessions::Sessions};
use crate::{
    event::{Event, SessionId, What},
    fault::{Host, Stage},
    mail::mailbox,
    mail::{Message, MessageId},
    name::Domain,
    outcome::{AttemptResult, Outcome},
    reply::Status,
    scenario::Scenario,
    time::Moment,
};

/// One try at one candidate: a connection, or one transaction of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Attempt {
    /// The message it was for, where that can be told.
    pub message: Option<MessageId>,
    /// How sure that is.
    pub certainty: Certainty,
    /// Whether it was for a notification, where the sender does not say which.
    pub notification: bool,
    /// Whether it may have been no attempt at the message by itself: the client left of its own accord before
    /// it handed anything over (a probe, a connection opened ahead, a callout), or found that a session
    /// which it had kept open was over.
    pub incidental: bool,
    /// The session.
    pub session: SessionId,
    /// The exchanger that the sender named, if it did.
    pub exchanger: Option<Domain>,
    /// The next hop, if the sender said so.
    pub hop: Option<Domain>,
    /// Which pass over the candidates, if the sender said so.
    pub pass: Option<u32>,
    /// When it began.
    pub at: Moment,
    /// When it ended, as far as the lab saw.
    pub ended: Moment,
    /// The names of the host.
    pub hosts: Vec<Domain>,
    /// Its address in the zone.
    pub address: IpAddr,
    /// How it ended.
    pub result: AttemptResult,
    /// Where it ended; nowhere if it was accepted.
    pub stage: Option<Stage>,
    /// The text of the reply that ended it, if one did.
    pub reply: Option<String>,
    /// Whether it ran inside TLS.
    pub tls: bool,
    /// The server name that the client asked for in the handshake.
    pub sni: Option<String>,
    /// The reverse-path, if there was a transaction.
    pub from: Option<String>,
    /// The recipients that its commands named, those of failed commands included.
    pub offered: Vec<String>,
    /// The replies to its recipients.
    pub recipients: Vec<(String, u16)>,
    /// The recipients for whom the receiver took the message.
    pub taken: Vec<String>,
}

/// How sure it is which message an attempt was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    /// It can be no other.
    Sure,
    /// It is one of several to the same domains.
    OneOfAlike,
    /// It is the likeliest of several.
    Guessed,
}

impl Attempt {
    /// Whether it may have been for another message.
    pub fn is_guessed(&self) -> bool {
        self.certainty != Certainty::Sure
    }

    /// Whether it went to a host: by the exchanger that the sender named, else by the address's names.
    pub fn went_to(&self, host: &Host) -> bool {
        match host {
            Host::Address(address) => *address == self.address,
            Host::Name(name) => match &self.exchanger {
                Some(exchanger) if exchanger == name => true,
                _ => self.hosts.contains(name),
            },
        }
    }

    /// The host in one word.
    pub fn host(&self) -> String {
        let first = self.exchanger.as_ref().or(self.hosts.first());
        first.map_or_else(|| self.address.to_string(), ToString::to_string)
    }

    /// Whether the host failed it for good, in the transaction.
    pub fn is_permanent(&self) -> bool {
        let in_transaction = matches!(
            self.stage,
            Some(Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Dot)
        );
        matches!(self.result, AttemptResult::Code(500..)) && in_transaction
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host(), self.result)?;
        if let Some(stage) = self.stage.filter(|stage| *stage != Stage::Connect) {
            write!(f, " at {stage}")?;
        }
        write!(f, " [{}]", self.address)?;
        if self.tls {
            f.write_str(" in TLS")?;
        }
        if let Some(sni) = &self.sni {
            write!(f, " asked for {sni}")?;
        }
        write!(f, " +{}", self.at)
    }
}

/// Every attempt of a log, in the order in which they began.
pub fn attempts(scenario: &Scenario, events: &[Event]) -> Vec<Attempt> {
    let mut attempts = Attempts::default();
    events.iter().for_each(|event| attempts.see(event));
    attempts.finish(scenario)
}

/// The attempts of a log that is read as it grows: sessions that are over, and those under way.
#[derive(Default)]
pub struct Attempts {
    sessions: Sessions,
    background: Background,
    all: Vec<Unattributed>,
}

impl Attempts {
    /// Takes an event in.
    pub fn see(&mut self, event: &Event) {
        self.background.see(event);
        self.all.extend(self.sessions.see(event));
    }

    /// All of them, in order.
    pub fn finish(mut self, scenario: &Scenario) -> Vec<Attempt> {
        self.all.extend(self.sessions.finish().flatten());
        let (said, unsaid) = self.all.into_iter().partition(Unattributed::is_said);
        let mut attempts = self.background.attribute(scenario, unsaid);
        attempts.extend(Vec::into_iter(said).map(|one| one.attempt));
        attempts.sort_by_key(|attempt| (attempt.at, attempt.session));
        attempts
    }
}

/// What a message came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// For each recipient, in the order of the message.
    pub recipients: Vec<(Arc<str>, Outcome)>,
    /// The status that the sender gave last.
    pub status: Option<Status>,
    /// How often receivers took it.
    pub copies: u64,
}

impl Ending {
    /// The message as a whole: deferred while any recipient is, delivered when all are.
    pub fn outcome(&self) -> Outcome {
        let of = |wanted: Outcome| {
            self.recipients
                .iter()
                .any(|(_, outcome)| *outcome == wanted)
        };
        if of(Outcome::Deferred) {
            Outcome::Deferred
        } else if of(Outcome::Bounced) {
            Outcome::Bounced
        } else {
            Outcome::Delivered
        }
    }
}

/// What was said of a message, by its sender and by a notification about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    /// For each recipient, what the sender said last and when; in the order of recipients.
    reports: Vec<(String, Outcome, Moment)>,
    /// The status that the sender gave last; else the one of the notification.
    status: Option<Status>,
    /// When a notification arrived last.
    pub(crate) returned: Option<Moment>,
    /// When the first one did.
    pub(crate) first_returned: Option<Moment>,
}

impl Heard {
    /// Takes in a report of the message, or a notification about it.
    pub(crate) fn take(&mut self, event: &Event) {
        match &event.what {
            What::Report {
                recipient,
                outcome,
                status,
                ..
            } => {
                match self.place(recipient) {
                    Ok(place) => {
                        let (_, last, at) = &mut self.reports[place];
                        (*last, *at) = (*outcome, event.at);
                    }
                    Err(place) => {
                        let report = (recipient.clone(), *outcome, event.at);
                        self.reports.insert(place, report);
                    }
                }
                self.status = status.or(self.status);
            }
            What::Taken { status, .. } if event.what.given_up().is_some() => {
                self.returned = Some(event.at);
                self.first_returned = self.first_returned.or(self.returned);
                self.status = self.status.or(*status);
            }
            _ => {}
        }
    }

    /// What the sender said last of a recipient, and when.
    pub(crate) fn report(&self, recipient: &str) -> Option<(Outcome, Moment)> {
        let (_, outcome, at) = &self.reports[self.place(recipient).ok()?];
        Some((*outcome, *at))
    }

    fn place(&self, recipient: &str) -> Result<usize, usize> {
        self.reports
            .binary_search_by(|(known, ..)| known.as_str().cmp(recipient))
    }

    /// When the sender said anything last.
    pub(crate) fn last_word(&self) -> Option<Moment> {
        self.reports.iter().map(|(.., at)| *at).max()
    }
}

/// The message that an event speaks of: what its sender says, or a notification.
pub(crate) fn spoken_of(event: &Event) -> Option<&MessageId> {
    match &event.what {
        What::Report { message, .. } => Some(message),
        What::Taken { about, .. } => about.as_ref(),
        _ => None,
    }
}

impl Ending {
    /// What a message came to: taken by a receiver; else given up, as the sender said or a
    /// notification shows; else still queued.
    pub(crate) fn new<'a>(
        message: &Message,
        attempts: impl IntoIterator<Item = &'a Attempt>,
        heard: &Heard,
    ) -> Self {
        let attempts = attempts.into_iter();
        let copies: Vec<&Attempt> = attempts
            .filter(|attempt| !attempt.taken.is_empty())
            .collect();
        let taken = copies.iter().flat_map(|attempt| &attempt.taken);
        let taken: BTreeSet<String> = taken.map(|to| mailbox::key(to)).collect();
        let outcome = |recipient: &str| {
            let delivered = !taken.is_empty() && taken.contains(&mailbox::key(recipient));
            match heard.report(recipient) {
                _ if delivered => Outcome::Delivered,
                Some((Outcome::Bounced, _)) => Outcome::Bounced,
                None if heard.returned.is_some() => Outcome::Bounced,
                _ => Outcome::Deferred,
            }
        };
        Self {
            recipients: message
                .to
                .iter()
                .map(|to| (to.text.clone(), outcome(&to.text)))
                .collect(),
            status: heard.status,
            copies: copies.len() as u64,
        }
    }
}

/// What each message came to.
pub fn endings(
    scenario: &Scenario,
    events: &[Event],
    attempts: &[Attempt],
) -> BTreeMap<MessageId, Ending> {
    let mut of_message: BTreeMap<&MessageId, (Heard, Vec<&Attempt>)> = BTreeMap::new();
    for event in events {
        if let Some(id) = spoken_of(event) {
            of_message.entry(id).or_default().0.take(event);
        }
    }
    for attempt in attempts {
        if let Some(id) = &attempt.message {
            of_message.entry(id).or_default().1.push(attempt);
        }
    }
    let nothing = Default::default();
    let ending = |message: &Message| {
        let (heard, attempts) = of_message.get(&message.id).unwrap_or(&nothing);
        Ending::new(message, attempts.iter().copied(), heard)
    };
    scenario
        .messages
        .iter()
        .map(|message| (message.id.clone(), ending(message)))
        .collect()
}
