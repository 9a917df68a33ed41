//! Sessions as they are put together from events, and the attempts that each of them made.
//!
//! A session is a view that absorbs its events until the last. Each transaction in it, from MAIL
//! on, is an attempt. A session without any is one attempt, which ended where the session did. What
//! the client left of its own accord (a probe, a callout) is marked as incidental.
//!
//! What an attempt ends with is found in this order:
//!
//! 1. If the content was accepted, the attempt is accepted, even if something failed later. The one exception is a
//!    reply that was lost: the sender cannot know.
//! 2. Otherwise the last thing that went wrong in the transaction counts, since a client may go on after a recipient
//!    was refused.
//! 3. Without a transaction, the last thing that went wrong in the session counts.
//! 4. If nothing went wrong at all, the client left by itself: because of TLS, or as a probe.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use super::{Attempt, Certainty, attribution::Unattributed};
use crate::{
    event::{AttemptHint, Connected, Event, EventKind, Misbehaviour, ReplyEvent, SessionId},
    extension::Extension,
    fault::Stage,
    mail::{BodyDigest, MessageId},
    name::Domain,
    outcome::AttemptResult,
    time::Moment,
};

/// The sessions under way at some point of a log, by their number.
#[derive(Default)]
pub struct Sessions(BTreeMap<SessionId, SessionRecord>);

// Events that belong to no session are passed over.
impl Sessions {
    /// Takes an event in, and returns the attempts of the session that is over with it, if one is.
    pub fn see(&mut self, event: &Event) -> Vec<Unattributed> {
        let over = match &event.kind {
            EventKind::Connect {
                session,
                address,
                port,
                hosts,
                result,
                hint,
            } => {
                let view = SessionRecord {
                    at: event.at,
                    ended: event.at,
                    address: *address,
                    port: *port,
                    hosts: Arc::clone(hosts),
                    connected: *result,
                    hint: hint.clone(),
                    tls: false,
                    sni: None,
                    extensions: None,
                    greeted_in_tls: false,
                    problem: None,
                    reply: None,
                    transactions: Vec::new(),
                };
                // All there is of it: no end is logged of what never began.
                if *result != Connected::Accepted {
                    return view.into_attempts(*session);
                }
                self.0.insert(*session, view);
                None
            }
            EventKind::End { session, .. } => self.0.remove(session).map(|mut view| {
                view.ended = event.at;
                (*session, view)
            }),
            EventKind::Reply { session, .. }
            | EventKind::Secured { session, .. }
            | EventKind::Taken { session, .. } => {
                if let Some(view) = self.0.get_mut(session) {
                    view.absorb(event);
                }
                None
            }
            EventKind::Submitted { .. }
            | EventKind::Query { .. }
            | EventKind::BareOctet { .. }
            | EventKind::Command { .. }
            | EventKind::Plaintext { .. }
            | EventKind::EightBit { .. }
            | EventKind::Stray { .. }
            | EventKind::Fetched { .. }
            | EventKind::Report { .. }
            | EventKind::Unseen { .. }
            | EventKind::Crash { .. }
            | EventKind::QueueEmpty
            | EventKind::Changed { .. } => None,
        };
        over.map_or_else(Vec::new, |(session, view)| view.into_attempts(session))
    }

    /// The attempts of each session that had not ended when the log did.
    pub fn finish(self) -> impl Iterator<Item = Vec<Unattributed>> {
        let views = self.0.into_iter();
        views.map(|(session, view)| view.into_attempts(session))
    }
}

/// A session as it is put together from events.
// Its times are those of the log.
struct SessionRecord {
    at: Moment,
    ended: Moment,
    address: IpAddr,
    port: u16,
    hosts: Arc<[Domain]>,
    /// How the connection came about; anything but `Accepted` is all there is of the session.
    connected: Connected,
    /// What the sender said of it, if it is one inside the process.
    hint: AttemptHint,
    /// Whether the handshake was completed.
    tls: bool,
    sni: Option<String>,
    /// What the last reply to EHLO offered; `None` where the log does not say.
    extensions: Option<Arc<[Extension]>>,
    /// Whether EHLO was answered inside TLS: the client was content with the certificate.
    greeted_in_tls: bool,
    /// What went wrong outside any transaction last: how, and at which stage.
    problem: Option<(AttemptResult, Stage)>,
    /// The text of the reply that said so.
    reply: Option<String>,
    transactions: Vec<Transaction>,
}

/// A transaction, from MAIL on. A MAIL that was refused is one, too.
#[derive(Default)]
struct Transaction {
    /// When MAIL was answered.
    at: Moment,
    from: String,
    /// The recipients with the code of the reply to each.
    recipients: Vec<(String, u16)>,
    /// The recipients named, whatever came of it.
    offered: Vec<String>,
    /// What went wrong in it last.
    problem: Option<(AttemptResult, Stage)>,
    reply: Option<String>,
    /// Whether it came to DATA.
    offered_content: bool,
    /// The message of the drill whose content was accepted.
    message: Option<MessageId>,
    /// The recipients for whom the message was accepted.
    taken: Vec<String>,
    /// The body of what was accepted.
    body: Option<BodyDigest>,
    /// Whether the content was a notification about a message of the drill.
    is_about_one: bool,
}

impl SessionRecord {
    /// Takes in an event of the session.
    fn absorb(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Reply {
                stage,
                argument,
                more,
                answer,
                ..
            } => {
                self.ended = event.at;
                // Each reply to EHLO replaces what the one before offered (RFC 3207 section 4.2); HELO leaves nothing.
                if *stage == Stage::Helo {
                    self.extensions.clone_from(&more.extensions);
                }
                self.replied(event.at, *stage, argument.as_deref(), answer);
            }
            EventKind::Secured { sni, .. } => {
                self.tls = true;
                self.sni.clone_from(sni);
                // What went wrong in plain text is over: the session begins anew inside TLS.
                self.problem = None;
            }
            EventKind::Taken {
                message,
                to,
                about,
                body,
                ..
            } => {
                if let Some(transaction) = self.transactions.last_mut() {
                    transaction.body = *body;
                    transaction.is_about_one = about.is_some();
                    transaction.taken.clone_from(to);
                    transaction.message.clone_from(message);
                }
            }
            _ => {}
        }
    }

    /// Takes in a reply, or what came instead of one. QUIT settles nothing.
    fn replied(&mut self, at: Moment, stage: Stage, argument: Option<&str>, answer: &ReplyEvent) {
        if stage == Stage::Quit {
            return;
        }
        let code = match answer {
            ReplyEvent::Reply { code, .. } => Some(*code),
            ReplyEvent::Failed { .. } => None,
        };
        // Kept for the report, in which a reply that was positive explains nothing.
        let reply = match answer {
            ReplyEvent::Reply { code: 400.., reply } => Some(reply.clone()),
            ReplyEvent::Reply { .. } | ReplyEvent::Failed { .. } => None,
        };
        let problem = match answer {
            ReplyEvent::Reply { code, .. } if *code < 400 => None,
            ReplyEvent::Reply { code, .. } => Some((AttemptResult::Code(*code), stage)),
            ReplyEvent::Failed { effect } => Some((failed_result(*effect), stage)),
        };
        if stage == Stage::Mail {
            let from = argument.unwrap_or_default().to_owned();
            // Refused or not: a client that was refused at MAIL has tried to send.
            self.transactions.push(Transaction {
                at,
                from,
                ..Transaction::default()
            });
        }
        // A client that is not content with a certificate may only close, which is the same on the wire as a probe;
        // one that says EHLO first was content.
        self.greeted_in_tls |= self.tls && stage == Stage::Helo;
        let in_transaction = stage >= Stage::Mail;
        if let (Stage::Rcpt, Some(to), Some(transaction)) =
            (stage, argument, self.transactions.last_mut())
        {
            transaction.offered.push(to.to_owned());
        }
        match self.transactions.last_mut().filter(|_| in_transaction) {
            // A client that sends ahead of the replies (RFC 2920) goes on after MAIL failed, and after
            // every RCPT did: what is answered then is no failure of its own.
            Some(transaction) if transaction.is_moot(stage) => {}
            Some(transaction) => {
                transaction.offered_content |= stage >= Stage::Data;
                if let (Stage::Rcpt, Some(argument), Some(code)) = (stage, argument, code) {
                    transaction.recipients.push((argument.to_owned(), code));
                }
                if problem.is_some() {
                    (transaction.problem, transaction.reply) = (problem, reply);
                }
            }
            // A positive reply settles what came before it: EHLO refused, HELO taken.
            None => (self.problem, self.reply) = (problem, reply),
        }
    }

    /// The attempts of a session that is over.
    fn into_attempts(self, session: SessionId) -> Vec<Unattributed> {
        let (result, stage) = match (self.connected, self.problem) {
            (Connected::Refused, _) => (AttemptResult::Refused, Stage::Connect),
            (Connected::Timeout, _) => (AttemptResult::Timeout, Stage::Connect),
            (Connected::Reset, _) => (AttemptResult::Reset, Stage::Connect),
            (Connected::Unreachable, _) => (AttemptResult::Unreachable, Stage::Connect),
            // STARTTLS refused, and without it the client would not go on.
            (Connected::Accepted, Some((AttemptResult::Code(_), Stage::Starttls))) => {
                (AttemptResult::Insecure, Stage::Starttls)
            }
            (Connected::Accepted, Some(problem)) => problem,
            // The client left of its own accord, before any transaction.
            (Connected::Accepted, None) if self.tls && !self.greeted_in_tls => {
                (AttemptResult::Tls, Stage::Starttls)
            }
            (Connected::Accepted, None) => (AttemptResult::Insecure, Stage::Starttls),
        };
        // A sender that says what a connection is for, connects for nothing else.
        let is_silent = self.hint.message.is_none();
        // It had nothing to complain of, and left: it wanted to know something, not to send.
        let left = self.connected == Connected::Accepted && self.problem.is_none();
        // What the attempts of the session have in common. Without a transaction it is the one attempt that there was.
        let whole = Attempt {
            message: self.hint.message.clone(),
            incidental: is_silent && left,
            certainty: Certainty::Sure,
            notification: false,
            session,
            exchanger: self.hint.exchanger.clone(),
            hop: self.hint.hop.clone(),
            pass: self.hint.pass,
            at: self.at,
            ended: self.ended,
            hosts: self.hosts,
            address: self.address,
            port: self.port,
            result,
            stage: Some(stage),
            reply: self.reply,
            tls: self.tls,
            sni: self.sni,
            from: None,
            offered: Vec::new(),
            recipients: Vec::new(),
            taken: Vec::new(),
            extensions: self.extensions,
            body: None,
        };
        if self.transactions.is_empty() {
            return vec![Unattributed {
                attempt: whole,
                is_about_one: false,
            }];
        }
        let transactions = self.transactions.into_iter().enumerate();
        transactions
            .map(|(index, transaction)| {
                // The first transaction is what the connection was made for; later ones begin with their own MAIL.
                let at = if index == 0 { whole.at } else { transaction.at };
                let incidental = is_silent
                    && (transaction.was_abandoned() || index > 0 && transaction.was_too_late());
                transaction.into_attempt(Attempt {
                    at,
                    incidental,
                    ..whole.clone()
                })
            })
            .collect()
    }
}

impl Transaction {
    /// Whether a reply at a stage can only repeat an earlier one.
    fn is_moot(&self, stage: Stage) -> bool {
        match self.problem {
            Some((_, Stage::Mail)) => stage > Stage::Mail,
            Some((_, Stage::Rcpt)) => {
                let taken = self.recipients.iter().any(|(_, code)| *code < 400);
                stage > Stage::Rcpt && !taken
            }
            _ => false,
        }
    }

    /// Whether the client gave it up although it could have gone on.
    fn was_abandoned(&self) -> bool {
        let taken = self.recipients.iter().any(|(_, code)| *code < 400);
        let could_go_on = match self.problem {
            None => true,
            // Some recipients were refused, and the session was not over.
            Some((AttemptResult::Code(code), _)) => taken && code != 421,
            Some(_) => false,
        };
        self.taken.is_empty() && !self.offered_content && could_go_on
    }

    /// Whether it met a session that was over: kept open by the client, closed by the receiver meanwhile
    /// (RFC 5321 section 3.8).
    fn was_too_late(&self) -> bool {
        // How a receiver that has closed shows itself to a client that did not notice.
        let over = [
            AttemptResult::Code(421),
            AttemptResult::Closed,
            AttemptResult::Reset,
        ];
        let problem = self.problem.filter(|(_, stage)| *stage == Stage::Mail);
        problem.is_some_and(|(result, _)| over.contains(&result))
    }

    /// The attempt of a transaction. `whole` has what it shares with its session.
    fn into_attempt(self, whole: Attempt) -> Unattributed {
        let (result, stage) = match (self.taken.is_empty(), self.problem) {
            // Taken, and the reply lost.
            (false, Some((AttemptResult::Closed, Stage::Dot))) => {
                (AttemptResult::Closed, Some(Stage::Dot))
            }
            (false, _) => (AttemptResult::Accepted, None),
            (true, Some((result, stage))) => (result, Some(stage)),
            (true, None) => (AttemptResult::Closed, Some(Stage::Content)),
        };
        let attempt = Attempt {
            // What the content says comes before what the connection was said to be for: it may be
            // used again.
            message: self.message.or_else(|| whole.message.clone()),
            result,
            stage,
            reply: self.reply.filter(|_| result != AttemptResult::Accepted),
            from: Some(self.from),
            offered: self.offered,
            recipients: self.recipients,
            taken: self.taken,
            body: self.body,
            ..whole
        };
        Unattributed {
            attempt,
            is_about_one: self.is_about_one,
        }
    }
}

/// How an attempt ends by a failure that a fault caused.
fn failed_result(effect: Misbehaviour) -> AttemptResult {
    match effect {
        Misbehaviour::Hang => AttemptResult::Timeout,
        Misbehaviour::Close | Misbehaviour::LoseReply => AttemptResult::Closed,
        Misbehaviour::Reset => AttemptResult::Reset,
        Misbehaviour::Garbage => AttemptResult::Garbage,
        Misbehaviour::Handshake => AttemptResult::Tls,
    }
}
