//! What a sender did, read off the lab's side of the log: attempts, and what each message came to.
//!
//! Three steps lead from events to attempts:
//!
//! 1. `sessions` puts the events of a session together, and makes an attempt of each transaction,
//!    or of the session if there was none.
//! 2. `attribution` finds the message of attempts whose sender did not say it, by recipients,
//!    authors, and the addresses to which domains lead (`routes`, `pool`).
//! 3. [`MessageResult`] says what became of a message: what receivers accepted comes before what the
//!    sender or a notification says.
//!
//! Nothing here judges. The verdict, the reports and a lab's own
//! [`Lab::attempts`](crate::lab::Lab::attempts) stand on the same attempts.

mod attribution;
mod pool;
mod routes;
mod sessions;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

pub(crate) use self::attribution::LogFacts;
pub use self::{attribution::Unattributed, sessions::Sessions};
use crate::{
    event::{Event, EventKind, SessionId},
    extension::Extension,
    fault::{Host, Stage},
    mail::{BodyDigest, Message, MessageId, MessageIndex, mailbox},
    name::Domain,
    outcome::{AttemptResult, Outcome},
    port,
    reply::Status,
    scenario::Scenario,
    time::Moment,
};

/// Attempts of one pass over a queue are nearer to each other than this, and those of two are not.
pub const SAME_PASS: Duration = Duration::from_secs(60);

/// One try at one candidate: a connection, or one transaction of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The message it was for; `None` where that cannot be told, and for mail that is none of the
    /// drill's.
    pub message: Option<MessageId>,
    /// How sure it is that it was for that message.
    pub certainty: Certainty,
    /// Whether it was for a notification of which it is not known what message it is about.
    pub notification: bool,
    /// Whether it may have been no attempt at the message by itself: the client left of its own accord before
    /// it handed anything over (a probe, a connection opened ahead, a callout), or found that a session
    /// which it had kept open was over.
    pub incidental: bool,
    /// The session, numbered from 1. Several transactions of one session are several attempts.
    pub session: SessionId,
    /// The exchanger whose address it tried, as the sender said; `None` for a foreign sender, since
    /// several names may have one address.
    pub exchanger: Option<Domain>,
    /// The next hop for which it was made, as the sender said; `None` if it said nothing.
    pub hop: Option<Domain>,
    /// The number of the pass over the candidates, from 1, as the sender said; `None` if it said
    /// nothing.
    pub pass: Option<u32>,
    /// When it began: with the connection, or with MAIL for a further transaction of a session.
    pub at: Moment,
    /// When it ended, as far as the lab saw: with the session, or the last reply in it.
    pub ended: Moment,
    /// The names of the host in the zone, aliases included.
    pub hosts: Arc<[Domain]>,
    /// Its address in the zone.
    pub address: IpAddr,
    /// The port that it tried, as the scenario has it.
    pub port: u16,
    /// How it ended, in the words of the scenario format: `accepted`, a reply code, `refused`,
    /// `timeout`, ...
    pub result: AttemptResult,
    /// The stage at which it ended; `None` if the message was accepted.
    pub stage: Option<Stage>,
    /// The last line of the text of the reply that ended it, without the code; `None` if no negative
    /// reply did.
    pub reply: Option<String>,
    /// Whether the session was inside TLS by its end.
    pub tls: bool,
    /// The server name that the client asked for in the handshake (SNI, RFC 6066 section 3); `None`
    /// without a handshake or a name.
    pub sni: Option<String>,
    /// The reverse-path in MAIL, empty for the null one; `None` if there was no transaction.
    pub from: Option<String>,
    /// The recipients that RCPT commands named, refused ones included.
    pub offered: Vec<String>,
    /// The recipients with the code of the reply to each.
    pub recipients: Vec<(String, u16)>,
    /// The recipients for whom the receiver accepted the message; empty if it did not.
    pub taken: Vec<String>,
    /// The extensions that the receiver offered last in the session; `None` where the log does not say, and without
    /// EHLO.
    pub extensions: Option<Arc<[Extension]>>,
    /// What tells the body that was accepted from another one; `None` where the log does not say.
    pub body: Option<BodyDigest>,
}

/// How sure it is which message an attempt was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Certainty {
    /// It can be no other: the sender said so, the content did, or no other message fits.
    Sure,
    /// It is one of several messages with the same next hops: what is asked of one holds for all.
    OneOfAlike,
    /// It is the likeliest of several messages that go different ways.
    Guessed,
}

impl Hash for Attempt {
    /// By what tells attempts apart: an address may have ten thousand names, which are the same for all that go
    /// there.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.message, self.session, self.at).hash(state);
        (self.address, self.port, &self.exchanger).hash(state);
        (&self.hop, self.pass, self.result, self.stage).hash(state);
        (&self.offered, &self.taken).hash(state);
    }
}

impl Attempt {
    /// Whether it may have been for another message of the drill.
    pub fn is_guessed(&self) -> bool {
        self.certainty != Certainty::Sure
    }

    /// Whether it went to a host: by the exchanger that the sender named, or by the names of the
    /// address.
    pub fn went_to(&self, host: &Host) -> bool {
        match host {
            Host::Address(address) => *address == self.address,
            Host::Name(name) => match &self.exchanger {
                Some(exchanger) if exchanger == name => true,
                _ => self.hosts.contains(name),
            },
        }
    }

    /// The host in one word: the exchanger that the sender named, the address's first name, or the
    /// address.
    pub fn host(&self) -> String {
        let first = self.exchanger.as_ref().or(self.hosts.first());
        first.map_or_else(|| self.address.to_string(), ToString::to_string)
    }

    /// Finds the reason why the client left: the receiver does not offer what the message needs.
    pub(crate) fn look_for_want(&mut self, message: &Message) {
        let left = (AttemptResult::Insecure, Some(Stage::Starttls));
        if (self.result, self.stage) != left || self.from.is_some() {
            return;
        }
        // It asks once it has seen what is offered, when less of a message's time is left.
        let at = self.ended;
        // Who leaves for want of SMTPUTF8 may not know that a domain has a form in ASCII.
        let may_want = |offered: &[Extension]| {
            message.want(offered, at).is_some()
                || message.is_beyond_ascii() && !offered.iter().any(|one| one.is("SMTPUTF8"))
        };
        if self.extensions.as_deref().is_some_and(may_want) {
            (self.result, self.stage) = (AttemptResult::Unsupported, Some(Stage::Helo));
        }
    }

    /// Whether the host failed it for good within a transaction. A 5yz greeting or EHLO turns away
    /// the client, not the message; so does 530 where messages are submitted (RFC 4954 section 6).
    pub fn is_permanent(&self) -> bool {
        let in_transaction = matches!(
            self.stage,
            Some(Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Dot)
        );
        let is_final = matches!(self.result, AttemptResult::Code(500..));
        is_final && in_transaction && !self.is_of_a_stranger()
    }

    /// Whether the host wants to know first who the client is, which it may at other ports than that of exchangers.
    pub(crate) fn is_of_a_stranger(&self) -> bool {
        self.result == AttemptResult::Code(530) && self.port != port::SMTP
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.host(), self.result)?;
        if let Some(stage) = self.stage.filter(|stage| *stage != Stage::Connect) {
            write!(f, " at {stage}")?;
        }
        write!(f, " [{}]", self.address)?;
        if self.port != port::SMTP {
            write!(f, ":{}", self.port)?;
        }
        if self.tls {
            f.write_str(" in TLS")?;
        }
        if let Some(sni) = &self.sni {
            write!(f, " asked for {sni}")?;
        }
        if f.alternate() {
            return Ok(());
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
// Reads the same events twice: for sessions, and for what tells messages apart.
#[derive(Default)]
pub struct Attempts {
    sessions: Sessions,
    log_facts: LogFacts,
    all: Vec<Unattributed>,
}

impl Attempts {
    /// Takes the next event in.
    pub fn see(&mut self, event: &Event) {
        self.log_facts.see(event);
        self.all.extend(self.sessions.see(event));
    }

    /// All attempts, in the order in which they began. Sessions that are still open count with what
    /// they came to so far.
    pub fn finish(mut self, scenario: &Scenario) -> Vec<Attempt> {
        self.all.extend(self.sessions.finish().flatten());
        let (said, unsaid) = self.all.into_iter().partition(Unattributed::is_said);
        let mut attempts = self.log_facts.attribute(scenario, unsaid);
        attempts.extend(Vec::into_iter(said).map(|one| one.attempt));
        attempts.sort_by_key(|attempt| (attempt.at, attempt.session));
        let index = MessageIndex::new(&scenario.messages);
        for attempt in &mut attempts {
            let id = attempt.message.as_ref();
            let place = id.and_then(|id| index.find(&scenario.messages, id));
            if let Some(place) = place {
                attempt.look_for_want(&scenario.messages[place]);
            }
        }
        attempts
    }
}

/// What became of a message, as far as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MessageResult {
    /// The recipients in the order of the message, each with what became of the message for it.
    pub recipients: Vec<(Arc<str>, Outcome)>,
    /// The enhanced status code that the sender gave last, or its notification; `None` if neither
    /// gave one.
    pub status: Option<Status>,
    /// How many transactions ended with the message accepted.
    pub copies: u64,
}

impl MessageResult {
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
pub(crate) struct Reports {
    /// For each recipient, what the sender said last and when; in the order of recipients.
    reports: Vec<(String, Outcome, Moment)>,
    /// The status of the sender's last report that had one; without any, that of the notification.
    status: Option<Status>,
    /// When each notification arrived that gives the message up, and whether it may be a warning all the same.
    returns: Vec<(Moment, bool)>,
}

impl Reports {
    /// Takes in a report of the message, or a notification about it.
    pub(crate) fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Report {
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
            EventKind::Taken { status, report, .. } if event.kind.given_up().is_some() => {
                let may_warn = report.as_ref().is_some_and(|report| report.may_warn());
                self.returns.push((event.at, may_warn));
                self.status = self.status.or(*status);
            }
            _ => {}
        }
    }

    /// Takes for warnings what may be some and was followed by another attempt.
    pub(crate) fn settle(&mut self, attempts: impl Iterator<Item = Moment>) {
        let last = attempts.max();
        let goes_on = |at: Moment| last.is_some_and(|last| last > at);
        self.returns
            .retain(|(at, may_warn)| !may_warn || !goes_on(*at));
    }

    /// When the last notification arrived that gives the message up.
    pub(crate) fn returned(&self) -> Option<Moment> {
        self.returns.last().map(|(at, _)| *at)
    }

    /// When the first such notification arrived.
    pub(crate) fn first_returned(&self) -> Option<Moment> {
        self.returns.first().map(|(at, _)| *at)
    }

    /// What the sender said last of a recipient, and when.
    pub(crate) fn report(&self, recipient: &str) -> Option<(Outcome, Moment)> {
        let (_, outcome, at) = &self.reports[self.place(recipient).ok()?];
        Some((*outcome, *at))
    }

    /// The place of a recipient among the reports, or the place where it would be.
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
    match &event.kind {
        EventKind::Report { message, .. } => Some(message),
        EventKind::Taken { about, .. } => about.as_ref(),
        _ => None,
    }
}

impl MessageResult {
    /// What a message came to: taken by a receiver; else given up, as the sender said or a
    /// notification shows; else still queued.
    pub(crate) fn new<'a>(
        message: &Message,
        attempts: impl IntoIterator<Item = &'a Attempt>,
        reports: &Reports,
    ) -> Self {
        let attempts = attempts.into_iter();
        let copies: Vec<&Attempt> = attempts
            .filter(|attempt| !attempt.taken.is_empty())
            .collect();
        let taken = copies.iter().flat_map(|attempt| &attempt.taken);
        let taken: BTreeSet<String> = taken.map(|to| mailbox::key(to)).collect();
        let outcome = |recipient: &str| {
            let delivered = !taken.is_empty() && taken.contains(&mailbox::key(recipient));
            match reports.report(recipient) {
                _ if delivered => Outcome::Delivered,
                Some((Outcome::Bounced, _)) => Outcome::Bounced,
                None if reports.returned().is_some() => Outcome::Bounced,
                _ => Outcome::Deferred,
            }
        };
        Self {
            recipients: message
                .to
                .iter()
                .map(|to| (to.text.clone(), outcome(&to.text)))
                .collect(),
            status: reports.status,
            copies: copies.len() as u64,
        }
    }
}

/// What became of each message of a scenario, by its id.
pub fn endings(
    scenario: &Scenario,
    events: &[Event],
    attempts: &[Attempt],
) -> BTreeMap<MessageId, MessageResult> {
    let mut of_message: BTreeMap<&MessageId, (Reports, Vec<&Attempt>)> = BTreeMap::new();
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
        let (reports, attempts) = of_message.get(&message.id).unwrap_or(&nothing);
        let mut reports: Reports = reports.clone();
        reports.settle(attempts.iter().map(|attempt| attempt.at));
        MessageResult::new(message, attempts.iter().copied(), &reports)
    };
    scenario
        .messages
        .iter()
        .map(|message| (message.id.clone(), ending(message)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Status 4.4.7 is that of a message that is late as well (RFC 2852 section 4.1.3): what is tried again was not returned.
    #[test]
    fn that_time_is_over_is_a_warning_where_the_message_is_tried_again() {
        let hours = |count: u64| Moment(Duration::from_secs(count * 3600));
        let returned = |action: &str, attempts: &[u64]| {
            let event = format!(
                r#"{{"at":3600,"event":"taken","session":1,"message":null,"about":"m","action":"failed","status":"4.4.7","from":"",
                "to":["a@b.test"],"octets":1,"tls":false,"report":{{"returned":"headers","recipients":[{{"action":"{action}",
                "status":"4.4.7"}}]}}}}"#
            );
            let event: Event = serde_json::from_str(&event).expect("an event");
            let mut reports = Reports::default();
            reports.take(&event);
            reports.settle(attempts.iter().map(|at| hours(*at)));
            (reports.first_returned(), reports.returned())
        };
        let at = Some(hours(1));
        assert_eq!(returned("delayed", &[0]), (at, at));
        assert_eq!(returned("delayed", &[0, 2]), (None, None));
        // Who says that it failed, and goes on, returned it too early.
        assert_eq!(returned("failed", &[0, 2]), (at, at));
    }
}
