//! What was seen of notifications (RFC 3461, RFC 3464): the parameters that ask for them, transaction by
//! transaction, and what arrived.
//!
//! A transaction counts if it is known which message it was for: its content says so, or the sender did. What
//! was refused before its content came is not guessed at.
//!
//! What is kept of a session is little: what EHLO offered last, MAIL and the RCPTs of the transaction under way, with
//! the replies. At the end of its data the log says whether a message or a notification was taken, and only then is it
//! known whose evidence it is.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use crate::{
    event::{Connected, Event, EventKind, NotificationReport, ReplyEvent, SessionId},
    extension::{self, Extension},
    fault::Stage,
    mail::{Action, MessageId},
    name::Domain,
    time::Moment,
};

/// A mailbox of MAIL or RCPT with its parameters, as the client wrote them.
#[derive(Debug, Clone, Default)]
pub(super) struct DsnPath {
    pub(super) mailbox: String,
    parameters: Vec<String>,
    /// Whether the reply was positive.
    pub(super) accepted: bool,
}

impl DsnPath {
    /// The value of a parameter; `None` without one.
    pub(super) fn value(&self, keyword: &str) -> Option<&str> {
        // Keywords have no case (RFC 5321 section 4.1.1.1); of one that stands there twice, the first counts.
        let pairs = self.parameters.iter().filter_map(|one| one.split_once('='));
        let mut found = pairs.filter(|(known, _)| known.eq_ignore_ascii_case(keyword));
        found.next().map(|(_, value)| value)
    }
}

/// A transaction for a message of the drill.
#[derive(Debug, Clone, Default)]
pub(super) struct DsnTransaction {
    at: Moment,
    /// The server, by its first name or its address; `None` where the log has no beginning of the session.
    host: Option<Result<Domain, IpAddr>>,
    /// What the server offered; `None` where the log does not say.
    offered: Option<Arc<[Extension]>>,
    pub(super) mail: DsnPath,
    pub(super) rcpt: Vec<DsnPath>,
    /// Whether the server took the message.
    pub(super) taken: bool,
}

impl DsnTransaction {
    /// Whether the server offered an extension; `None` where the log does not say what was offered.
    pub(super) fn offers(&self, keyword: &str) -> Option<bool> {
        let offered = self.offered.as_deref();
        offered.map(|offered| extension::is_offered(offered, keyword))
    }

    /// Where and when, for people.
    pub(super) fn place(&self) -> String {
        let host = match &self.host {
            Some(Ok(name)) => name.to_string(),
            Some(Err(address)) => address.to_string(),
            None => "a server".to_owned(),
        };
        format!("{host} +{}", self.at)
    }
}

/// A notification that arrived.
#[derive(Debug, Clone)]
pub(super) struct Notification {
    pub(super) at: Moment,
    pub(super) transaction: DsnTransaction,
    /// What became of the message, as far as that was understood.
    pub(super) action: Option<Action>,
    /// What it says; `None` in logs of before.
    pub(super) report: Option<Box<NotificationReport>>,
}

/// What was seen with an event.
pub(super) enum DsnSeen {
    Transaction(DsnTransaction),
    Notification(Notification),
}

impl DsnSeen {
    /// Whether it arrived; else it was sent on.
    pub(super) fn is_notification(&self) -> bool {
        matches!(self, Self::Notification(_))
    }
}

/// What was seen of one message.
#[derive(Debug, Default)]
pub(super) struct DsnEvidence {
    pub(super) transactions: Vec<DsnTransaction>,
    pub(super) notifications: Vec<Notification>,
}

impl DsnEvidence {
    pub(super) fn take(&mut self, seen: DsnSeen) {
        match seen {
            DsnSeen::Transaction(transaction) => self.transactions.push(transaction),
            DsnSeen::Notification(notification) => self.notifications.push(notification),
        }
    }
}

/// The sessions under way.
#[derive(Default)]
pub(super) struct DsnSessions(BTreeMap<SessionId, DsnSession>);

struct DsnSession {
    /// The message that the sender said it was for.
    said: Option<MessageId>,
    /// The server: its first name, or its address if it has none.
    host: Result<Domain, IpAddr>,
    offered: Option<Arc<[Extension]>>,
    /// The transaction under way.
    transaction: Option<DsnTransaction>,
}

impl DsnSession {
    /// A transaction that is over without its content having been taken.
    fn abandoned(&mut self) -> Option<(MessageId, DsnSeen)> {
        let transaction = self.transaction.take()?;
        Some((self.said.clone()?, DsnSeen::Transaction(transaction)))
    }
}

impl DsnSessions {
    /// Takes an event in; what it completes, with the message that it is of.
    pub(super) fn see(&mut self, event: &Event) -> Option<(MessageId, DsnSeen)> {
        match &event.kind {
            EventKind::Connect {
                session,
                address,
                hosts,
                result: Connected::Accepted,
                hint,
                ..
            } => {
                let begun = DsnSession {
                    said: hint.message.clone(),
                    host: hosts.first().cloned().ok_or(*address),
                    offered: None,
                    transaction: None,
                };
                self.0.insert(*session, begun);
                None
            }
            EventKind::Reply { session, .. } => {
                let session = self.0.get_mut(session)?;
                session.replied(event)
            }
            EventKind::Taken { session, .. } => self.0.get_mut(session)?.took(event),
            EventKind::End { session, .. } => self.0.remove(session)?.abandoned(),
            _ => None,
        }
    }
}

impl DsnSession {
    fn replied(&mut self, event: &Event) -> Option<(MessageId, DsnSeen)> {
        let EventKind::Reply {
            stage,
            argument,
            more,
            answer,
            ..
        } = &event.kind
        else {
            return None;
        };
        // 3yz is no refusal: it is what DATA is answered with.
        let accepted = matches!(answer, ReplyEvent::Reply { code, .. } if *code < 400);
        let path = || DsnPath {
            mailbox: argument.clone().unwrap_or_default(),
            parameters: more.parameters.clone(),
            accepted,
        };
        match stage {
            Stage::Helo => {
                // HELO is answered without a list.
                let is_helo = more.verb.as_deref() == Some("HELO");
                self.offered = more.extensions.clone().or(is_helo.then(Arc::default));
                None
            }
            Stage::Mail => {
                let before = self.abandoned();
                self.transaction = Some(DsnTransaction {
                    at: event.at,
                    host: Some(self.host.clone()),
                    offered: self.offered.clone(),
                    mail: path(),
                    ..DsnTransaction::default()
                });
                before
            }
            Stage::Rcpt => {
                if let Some(transaction) = &mut self.transaction {
                    transaction.rcpt.push(path());
                }
                None
            }
            _ => None,
        }
    }

    fn took(&mut self, event: &Event) -> Option<(MessageId, DsnSeen)> {
        let EventKind::Taken {
            message,
            about,
            action,
            report,
            from,
            ..
        } = &event.kind
        else {
            return None;
        };
        let mut transaction = self.transaction.take().unwrap_or_else(|| DsnTransaction {
            // A log may have begun later.
            mail: DsnPath {
                mailbox: from.clone(),
                ..DsnPath::default()
            },
            ..DsnTransaction::default()
        });
        transaction.taken = true;
        if let Some(about) = about {
            let notification = Notification {
                at: event.at,
                transaction,
                action: *action,
                report: report.clone(),
            };
            return Some((about.clone(), DsnSeen::Notification(notification)));
        }
        let id = message.clone().or_else(|| self.said.clone())?;
        Some((id, DsnSeen::Transaction(transaction)))
    }
}
