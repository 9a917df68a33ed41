//! What the reference sender sends beside the drill's messages: notifications of those that failed.
//!
//! Everything here is a pure function of the message and the moment, so that the content of a
//! delivery need not be kept while it waits, and two runs with one seed send the same octets. Dots
//! are stuffed elsewhere (`connection::on_the_wire`).

use super::{Flaw, smtp_client::Reason};
use crate::{
    mail::{
        Mailbox, Message, MessageId, Ret,
        content::{date, message},
    },
    name::Domain,
    reply::{Reply, Status},
    time::Moment,
};

/// What a notification tells of a recipient.
#[derive(Debug, Clone)]
pub(super) struct Reported {
    pub(super) recipient: Mailbox,
    pub(super) told: Told,
    /// Why.
    pub(super) reason: Reason,
    /// The server that had to do with it; `None` if none had.
    pub(super) server: Option<Server>,
}

/// What became of a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Failed,
    /// It is tried until this moment.
    Delayed {
        until: Moment,
    },
    Relayed,
}

/// A server that a message was to go to, or went to.
#[derive(Debug, Clone)]
pub(super) struct Server {
    /// The exchanger.
    pub(super) name: Domain,
    /// What it replied, if that was no success.
    pub(super) said: Option<String>,
}

impl Server {
    /// An exchanger, if the reason is its reply and no failure to reach it.
    pub(super) fn that_said(exchanger: &Domain, reason: &Reason) -> Option<Self> {
        let is_reply = reason.text.parse::<Reply>().is_ok();
        is_reply.then(|| Self {
            name: exchanger.clone(),
            said: Some(reason.text.clone()),
        })
    }
}

/// A notification as RFC 3464 has it: words for people, a report for programs, what is returned.
///
/// The parts are those of a `multipart/report` (RFC 6522): text, `message/delivery-status` with one
/// group of fields for each recipient, and of the original the header alone (`text/rfc822-headers`), or
/// all of it if its author wants that returned and something failed (RFC 3461 section 4.3).
/// `Auto-Submitted: auto-replied` keeps vacation programs from answering it (RFC 3834 section 5).
pub(super) fn notification(
    of: &Message,
    to: &Mailbox,
    reported: &[Reported],
    reporter: &str,
    now: Moment,
    id: &MessageId,
    flaw: Option<Flaw>,
) -> Vec<u8> {
    // No line of the parts can begin with it, so it need not be random.
    let boundary = "drill-report";
    let mut words = String::new();
    let mut report = format!(
        "Reporting-MTA: dns; {reporter}\r\nArrival-Date: {}\r\n",
        date(of.at)
    );
    let envelope_id = of.dsn.as_ref().and_then(|dsn| dsn.envelope_id.as_ref());
    if let Some(envelope_id) = envelope_id {
        report.push_str(&format!("Original-Envelope-Id: {envelope_id}\r\n"));
    }
    for one in reported {
        words.push_str(&format!("  {}: {}\r\n", one.recipient, one.reason.text));
        report.push_str(&group(of, one));
    }
    let failed = reported.iter().any(|one| one.told == Told::Failed);
    let subject = match reported.first().map(|one| one.told) {
        _ if failed => "could not be delivered",
        Some(Told::Delayed { .. }) => "delayed",
        _ => "relayed",
    };
    let is_whole = flaw == Some(Flaw::ReturnsAll)
        || failed
            && of
                .dsn
                .as_ref()
                .is_some_and(|dsn| dsn.ret == Some(Ret::Full));
    let (kind, returned) = match is_whole {
        true => (
            "message/rfc822",
            String::from_utf8_lossy(&message(of)).into_owned(),
        ),
        false => ("text/rfc822-headers", header(of)),
    };
    let to = match flaw {
        Some(Flaw::ReportsToNobody) => "undisclosed-recipients:;".to_owned(),
        _ => to.to_string(),
    };
    format!(
        "Date: {}\r\nFrom: Mail Delivery System <mailer-daemon@{reporter}>\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Message-ID: <{id}@{reporter}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         {}:\r\n\r\n{words}\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n{report}\r\n\
         --{boundary}\r\nContent-Type: {kind}\r\n\r\n{returned}\r\n--{boundary}--\r\n",
        date(now),
        match subject {
            "delayed" => "The message could not be delivered yet, and will be tried again, to",
            "relayed" => "The message went on to a server that sends no such notifications, for",
            _ => "The message could not be delivered to",
        },
    )
    .into_bytes()
}

/// The fields about one recipient (RFC 3464 section 2.3), an empty line before them.
fn group(of: &Message, one: &Reported) -> String {
    let mut group = String::from("\r\n");
    let mut field = |name: &str, value: &str| {
        group.push_str(&format!("{name}: {value}\r\n"));
    };
    if let Some(original) = of.request_of(&one.recipient).original {
        field("Original-Recipient", &original.to_string());
    }
    field("Final-Recipient", &format!("rfc822; {}", one.recipient));
    field(
        "Action",
        match one.told {
            Told::Failed => "failed",
            Told::Delayed { .. } => "delayed",
            Told::Relayed => "relayed",
        },
    );
    field("Status", &one.reason.status.to_string());
    if let Some(server) = &one.server {
        field("Remote-MTA", &format!("dns; {}", server.name));
        // Only what a server said is a diagnostic of type smtp (RFC 3464 section 2.3.6).
        if let Some(said) = &server.said {
            field("Diagnostic-Code", &format!("smtp; {said}"));
        }
    }
    if let Told::Delayed { until } = one.told {
        field("Will-Retry-Until", &date(until));
    }
    group
}

/// The header of a drill message, for which no filling need be made.
fn header(of: &Message) -> String {
    let original = message(&Message {
        size: None,
        ..of.clone()
    });
    let original = String::from_utf8_lossy(&original);
    let header = original.split("\r\n\r\n").next().unwrap_or_default();
    format!("{header}\r\n")
}

/// The reason for giving up a message whose time in the queue is over: status 5.4.7, "delivery time
/// expired" (RFC 3463 section 3.5), with what the last attempt met in brackets.
pub(super) fn expired(last: Option<&Reason>) -> Reason {
    let text = last.map_or_else(String::new, |last| format!(" (last: {})", last.text));
    Reason {
        status: Status(5, 4, 7),
        text: format!("delivery time expired{text}"),
    }
}
