//! What comes of an attempt, and what a reply or a failure means for the recipients.
//!
//! Three kinds of failure are told apart, since a queue does something else about each: of a recipient (no further
//! attempt anywhere), of a host (another candidate may do), and of the moment (later may do). Which it is follows
//! from the first digit of the reply (RFC 5321 section 4.2.1) and from the step at which it came: a 5yz to RCPT is
//! about a recipient, one to EHLO about the host.

use std::io;

use super::envelope::Envelope;
use crate::{
    extension::Extension,
    mail::DELIVERBY,
    reply::{Reply, ReplyClass, Status},
};

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The enhanced status code (RFC 3463): the server's own, or one for what happened to the
    /// connection.
    pub(crate) status: Status,
    /// The server's reply, or words of the sender's own.
    pub(crate) text: String,
}

/// The result of an attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecipientResult {
    /// The receiver accepted the message with a 2yz reply to the final dot, and is responsible for
    /// it from then on (RFC 5321 section 6.1).
    Delivered,
    /// A transient failure: another candidate, or a later pass.
    Deferred(Reason),
    /// This host refuses the client for good, as with a 5yz greeting. Another candidate may do, so
    /// it is final only when all have refused.
    HostRefuses(Reason),
    /// A permanent failure of this recipient: no further attempt anywhere.
    Failed(Reason),
}

/// The result of an attempt.
pub(crate) struct AttemptReport {
    /// Whether anything answered at that address. `false` for a time-out and for what is not
    /// reached, and the address may then be left out for a while.
    pub(crate) connected: bool,
    /// What the server offered in the end, and so answers for.
    pub(crate) offered: Vec<Extension>,
    /// One for each recipient of the envelope, in its order.
    pub(crate) results: Vec<RecipientResult>,
}

/// A session that could not go on.
pub(super) enum SessionError {
    /// The transport or the protocol failed at a stage. QUIT is not tried.
    Broken(Status, String),
    /// The host turned the client away before any transaction: in its greeting, in the reply to EHLO or to AUTH, or
    /// for want of AUTH.
    Turned(Reply),
    /// TLS is needed and not to be had, or not with this certificate.
    Insecure(String),
    /// REQUIRETLS is needed and not announced.
    NoRequireTls,
    /// An extension that the message needs is not announced, or not as large as it needs.
    Lacks(&'static str),
    /// DELIVERBY is announced for more time than is left.
    TooUrgent,
}

/// Status 4.4.2 "bad connection" if there was one, 4.4.1 "no answer from host" if not (RFC 3463
/// section 3.5).
pub(super) fn connect_status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::ConnectionReset => Status(4, 4, 2),
        _ => Status(4, 4, 1),
    }
}

/// The result for every recipient when the session could not go on.
pub(super) fn all(envelope: &Envelope<'_>, stop: SessionError) -> Vec<RecipientResult> {
    // What stopped the session stopped it for every recipient that is in the envelope.
    let result = match stop {
        SessionError::Broken(status, text) => RecipientResult::Deferred(Reason { status, text }),
        SessionError::Turned(reply) => match reply.class() {
            ReplyClass::Permanent => RecipientResult::HostRefuses(reason(&reply)),
            _ => RecipientResult::Deferred(reason(&reply)),
        },
        // Later will be no better for who asked for it (RFC 8689 section 4.2.1).
        SessionError::Insecure(text) if envelope.require_tls => {
            RecipientResult::HostRefuses(Reason {
                status: Status(5, 7, 10),
                text,
            })
        }
        SessionError::Insecure(text) => RecipientResult::Deferred(Reason {
            status: Status(4, 7, 10),
            text,
        }),
        // No exchanger is searched for that offers it (RFC 2852 section 7).
        SessionError::Lacks(DELIVERBY) => RecipientResult::Failed(Reason {
            status: Status(5, 3, 3),
            text: format!("{DELIVERBY} is not announced, and it is to be returned by then"),
        }),
        // Another one may be faster (RFC 2852 section 6).
        SessionError::TooUrgent => RecipientResult::HostRefuses(Reason {
            status: Status(5, 3, 3),
            text: format!("{DELIVERBY} is announced for more time than is left"),
        }),
        // Another exchanger may offer it (RFC 5321 section 2.2.3, RFC 6531 section 3.2).
        SessionError::Lacks(extension) => RecipientResult::HostRefuses(Reason {
            status: match extension {
                "SMTPUTF8" => Status(5, 6, 7),
                "SIZE" => Status(5, 3, 4),
                _ => Status(5, 6, 3),
            },
            text: match extension {
                "SIZE" => "the message is larger than SIZE allows".to_owned(),
                extension => format!("{extension} is not announced"),
            },
        }),
        SessionError::NoRequireTls => RecipientResult::HostRefuses(Reason {
            status: Status(5, 7, 30),
            text: "REQUIRETLS is not announced".to_owned(),
        }),
    };
    vec![result; envelope.to.len()]
}

/// The reason that a reply gives, with its own enhanced status or a plain one of its class.
pub(super) fn reason(reply: &Reply) -> Reason {
    let class = if reply.class() == ReplyClass::Permanent {
        5
    } else {
        4
    };
    Reason {
        status: reply.status().unwrap_or(Status(class, 0, 0)),
        text: reply.to_string(),
    }
}

/// The result that a reply gives, by its first digit (RFC 5321 section 4.2.1).
pub(super) fn result(reply: &Reply) -> RecipientResult {
    match reply.class() {
        ReplyClass::Positive => RecipientResult::Delivered,
        // 3yz is an answer to DATA alone.
        ReplyClass::Transient | ReplyClass::Intermediate => {
            RecipientResult::Deferred(reason(reply))
        }
        ReplyClass::Permanent => RecipientResult::Failed(reason(reply)),
    }
}

/// Whether RCPT was refused because there are too many (RFC 5321 section 4.5.3.1.10): 452, or 552 of an old
/// server. Either may say something else by an enhanced status, such as that a mailbox is full.
pub(super) fn is_about_number(reply: &Reply) -> bool {
    let status = reply.status().map(|status| (status.1, status.2));
    matches!(reply.code, 452 | 552) && status.is_none_or(|status| status == (5, 3))
}
