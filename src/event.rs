//! What happened in a drill: one ordered log, written by the lab and by senders that run inside it.
//!
//! The log is all that the verdict sees of a run. It holds nothing that differs between two runs of
//! the same seed on the memory network: no query id, no source port, no wall-clock time.

mod answers;
mod json;
mod log;
mod reports;
mod text;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::{Record, RecordType};
use serde::{Deserialize, Serialize};

pub use self::{
    answers::{FetchOutcome, QueryOutcome},
    log::{Batch, EventLog},
    reports::{NotificationReport, ReportedRecipient},
};
pub use crate::mail::{Action, Returned};
use crate::{
    extension::Extension,
    fault::{QueryEffect, Stage, Transport},
    mail::{BodyDigest, MessageId},
    name::Domain,
    outcome::Outcome,
    port,
    reply::Status,
    time::Moment,
};

/// The number of a session, from 1, in the order of connecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub u64);

/// Something that happened, and when. In a log each is a line of JSON, which [`Event`] is read from again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// When, from the start of the drill.
    pub at: Moment,
    /// What happened, with its particulars.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened. In a log the key `event` names it: `connect`, `reply`, `bare-octet`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// The sender was given a message.
    Submitted {
        /// The id of the message.
        message: MessageId,
        /// Its reverse-path; empty is the null one.
        from: String,
        /// Its recipients, as the scenario has them: `alice@example.test`.
        to: Vec<String>,
    },
    /// The name server was asked.
    Query {
        /// The name that was asked for.
        name: Domain,
        /// The type that was asked for.
        #[serde(rename = "type", with = "json::text")]
        record_type: RecordType,
        /// Over UDP or TCP.
        over: Transport,
        /// How it was answered, in a word.
        answer: QueryOutcome,
        /// The fault that struck.
        #[serde(
            default,
            with = "json::optional_text",
            skip_serializing_if = "Option::is_none"
        )]
        fault: Option<QueryEffect>,
        /// The records of the answer, aliases that were followed included; none after a truncated answer.
        #[serde(default, with = "json::records", skip_serializing_if = "Vec::is_empty")]
        records: Vec<Record>,
    },
    /// A connection was tried.
    Connect {
        /// The session that came of it, or would have.
        session: SessionId,
        /// The address that was tried, as the zone has it.
        address: IpAddr,
        /// The port that was tried, as the scenario has it.
        #[serde(default = "port::smtp", skip_serializing_if = "port::is_smtp")]
        port: u16,
        /// The names that own the address, aliases included.
        hosts: Arc<[Domain]>,
        /// What came of it.
        result: Connected,
        /// Whom the connection is for, where the sender said so.
        #[serde(flatten)]
        hint: AttemptHint,
    },
    /// A receiver answered a command, or failed to.
    Reply {
        /// The session, by the number that its connection has.
        session: SessionId,
        /// The stage of the session at which it answered.
        stage: Stage,
        /// The mailbox of MAIL and RCPT, the name of EHLO, the mechanism of AUTH.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        argument: Option<String>,
        /// What else there is to say of the command and of its reply.
        #[serde(flatten)]
        more: Particulars,
        /// What was sent back.
        #[serde(flatten)]
        answer: ReplyEvent,
    },
    /// A receiver answered a command that belongs to no stage, such as RSET or NOOP, or what is no command.
    Command {
        /// The session.
        session: SessionId,
        /// Its first word, in upper case, at most forty octets of it; `?` if that is no word.
        verb: String,
        /// The code of the reply.
        code: u16,
        /// Whether the client had sent more before it could have the reply.
        #[serde(default, skip_serializing_if = "is_false")]
        ahead: bool,
    },
    /// After the 220 to STARTTLS a client sent what is no TLS handshake.
    Plaintext {
        /// The session.
        session: SessionId,
    },
    /// TLS was established: the handshake has succeeded, after STARTTLS or at port 465.
    Secured {
        /// The session.
        session: SessionId,
        /// The server name that the client asked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sni: Option<String>,
    },
    /// A receiver took a message over.
    Taken {
        /// The session.
        session: SessionId,
        /// Which of the drill's messages it is, where its content says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        message: Option<MessageId>,
        /// For one from the null reverse-path: the message that it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        about: Option<MessageId>,
        /// What became of that message, where the notification says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        action: Option<Action>,
        /// The status that its report gives.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        /// All that it says as a notification. `None` for one of no message of the drill's, and in logs of
        /// before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Box<NotificationReport>>,
        /// The reverse-path; empty is the null one.
        from: String,
        /// The recipients for whom it was taken: those whose RCPT was not refused.
        to: Vec<String>,
        /// Octets of content, header included, without the dots that were doubled for the transfer.
        octets: usize,
        /// What tells its body from another one; `None` in logs that do not have it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        body: Option<BodyDigest>,
        /// Whether it came through TLS.
        tls: bool,
    },
    /// A client sent CR or LF by itself (RFC 5321 section 2.3.8); logged once for each session, octet and
    /// place.
    BareOctet {
        /// The session.
        session: SessionId,
        /// CR or LF.
        octet: BareOctet,
        /// In a command or in the content.
        place: SessionPart,
    },
    /// A client sent an octet over 127 in the content of a message; logged once for each message.
    EightBit {
        /// The session.
        session: SessionId,
        /// Whether the first of them is in the header.
        #[serde(default, skip_serializing_if = "is_false")]
        header: bool,
    },
    /// A session ended.
    End {
        /// The session.
        session: SessionId,
        /// Who ended it, and how.
        how: SessionEnd,
    },
    /// The web server of an MTA-STS policy was asked.
    Fetched {
        /// Its name, such as `mta-sts.example.test`.
        host: Domain,
        /// The HTTP status, or that there was no handshake.
        #[serde(with = "json::text")]
        answer: FetchOutcome,
    },
    /// What a sender says of a recipient.
    Report {
        /// The message.
        message: MessageId,
        /// The recipient, as the scenario has it: `alice@example.test`.
        recipient: String,
        /// What it came to.
        outcome: Outcome,
        /// Why, for what was not delivered.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<Status>,
        /// Why, for people, such as the text of the reply; empty where there is nothing to say.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// The sender tried to reach what the drill does not have: anything but its name server, the exchangers
    /// at port 25 and the web servers of policies. Only a private network lets that be seen.
    Stray {
        /// The address and port that it tried.
        to: SocketAddr,
        /// Over UDP or TCP.
        over: Transport,
    },
    /// From now on the kernel refuses or ignores connections to a receiver, or no longer does. It tells nobody
    /// of them, so that attempts of senders outside the lab go unseen. Only on loopback.
    Unseen {
        /// The address of the receiver, as the zone has it.
        address: IpAddr,
        /// The port, as the scenario has it.
        #[serde(default = "port::smtp", skip_serializing_if = "port::is_smtp")]
        port: u16,
        /// The names that own the address, aliases included.
        hosts: Arc<[Domain]>,
        /// What comes of a connection; `accepted`: attempts are seen again.
        result: Connected,
    },
    /// All processes of the sender were killed; it is started again right after.
    Crash {
        /// The stage that the crash waited for, whose session is cut off by it; `None` for a crash at a moment.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Stage>,
    },
    /// A mail server was asked, and its queue was empty. Only asked once nothing more is to be handed over.
    QueueEmpty,
    /// The lab changed: a record, or a fault by hand.
    Changed {
        /// What changed, as a sentence for people.
        change: String,
    },
}

impl EventKind {
    /// The message that a notification gives up: not one that only waits or was delivered.
    pub(crate) fn given_up(&self) -> Option<&MessageId> {
        match self {
            Self::Taken { about, action, .. } => about
                .as_ref()
                .filter(|_| matches!(action, None | Some(Action::Failed))),
            _ => None,
        }
    }
}

/// What came of a connection attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Connected {
    /// A receiver accepted it.
    Accepted,
    /// It was refused: an RST answered the SYN.
    Refused,
    /// It was never answered.
    Timeout,
    /// It was accepted and reset.
    Reset,
    /// No host has that address.
    Unreachable,
}

/// Whom a connection is for, said by senders that run inside the lab.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptHint {
    /// The id of the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<MessageId>,
    /// The exchanger that is meant, where several share the address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanger: Option<Domain>,
    /// The next hop: the domain whose route is walked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop: Option<Domain>,
    /// Which pass over the candidates, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass: Option<u32>,
}

/// What there is to say of a command and its reply where stage and argument do not say it all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Particulars {
    /// The command, where it is not the usual one of the stage: HELO, BDAT.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<Arc<str>>,
    /// The parameters of MAIL or RCPT, as the client wrote them: `SIZE=1000`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
    /// Whether there was a source route before the mailbox of MAIL or RCPT (RFC 5321 appendix C), which
    /// `argument` does not have.
    #[serde(default, skip_serializing_if = "is_false")]
    pub source_route: bool,
    /// The extensions that were offered: the lines of a positive reply to EHLO after the first. `None` for
    /// all other replies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Arc<[Extension]>>,
    /// Whether the client had sent more before it could have the reply.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ahead: bool,
    /// Whether the client sent its credentials with AUTH. What they are no log has.
    #[serde(default, skip_serializing_if = "is_false")]
    pub credentials: bool,
}

// serde asks with a reference.
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What a receiver sent back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum ReplyEvent {
    /// A reply (RFC 5321 section 4.2).
    Reply {
        /// Its code, three digits.
        code: u16,
        /// The text of its last line, without the code.
        reply: String,
    },
    /// Something else, as a fault asked.
    Failed {
        /// How it failed, such as `lose-reply` in a log.
        effect: Misbehaviour,
    },
}

/// How a receiver failed to reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Misbehaviour {
    /// It said nothing more and kept the connection open.
    Hang,
    /// It closed the connection in order.
    Close,
    /// It reset the connection (RST).
    Reset,
    /// It sent a line that is no reply.
    Garbage,
    /// It accepted the message and closed before its reply.
    LoseReply,
    /// The TLS handshake did not come about.
    Handshake,
}

/// An octet that may stand in a pair only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BareOctet {
    /// CR without LF after it.
    Cr,
    /// LF without CR before it.
    Lf,
}

/// A part of what a client sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionPart {
    /// A command line, up to its CRLF.
    Command,
    /// The content of a message.
    Content,
}

/// How a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SessionEnd {
    /// The client sent QUIT and the receiver answered it.
    Quit,
    /// The client closed without QUIT.
    ClientClosed,
    /// The receiver closed or reset.
    ServerClosed,
    /// The client sent nothing for too long.
    Idle,
}

/// What the lab saw, without what a sender in the process said of itself: how a mail server or a command that
/// did the same would look.
pub fn silenced(events: &[Event]) -> Vec<Event> {
    let said = |event: &&Event| matches!(event.kind, EventKind::Report { .. });
    let mut seen: Vec<Event> = events
        .iter()
        .filter(|event| !said(event))
        .cloned()
        .collect();
    for event in &mut seen {
        if let EventKind::Connect { hint, .. } = &mut event.kind {
            *hint = AttemptHint::default();
        }
    }
    seen
}
