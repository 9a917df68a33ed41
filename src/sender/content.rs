//! What the reference sender sends beside the drill's messages: notifications of those that failed.
//!
//! Everything here is a pure function of the message and the moment, so that the content of a
//! delivery need not be kept while it waits, and two runs with one seed send the same octets. Dots
//! are stuffed elsewhere (`connection::on_the_wire`).

use crate::{
    mail::{
        Mailbox, Message, MessageId,
        content::{date, message},
    },
    reply::{Reply, Status},
    sender::smtp_client::Reason,
    time::Moment,
};

/// A notification as RFC 3464 has it: words for people, a report for programs, the header returned.
///
/// The parts are those of a `multipart/report` (RFC 6522): text, `message/delivery-status` with one
/// group of fields for each failed recipient, and the header alone of the original
/// (`text/rfc822-headers`), which needs no more room than the original's header. `Auto-Submitted:
/// auto-replied` keeps vacation programs from answering it (RFC 3834 section 5).
pub(super) fn notification(
    of: &Message,
    to: &Mailbox,
    failed: &[(Mailbox, Reason)],
    reporter: &str,
    now: Moment,
    id: &MessageId,
) -> Vec<u8> {
    // No line of the parts can begin with it, so it need not be random.
    let boundary = "drill-report";
    let mut words = String::new();
    let mut report = format!(
        "Reporting-MTA: dns; {reporter}\r\nArrival-Date: {}\r\n",
        date(of.at)
    );
    for (recipient, reason) in failed {
        words.push_str(&format!("  {recipient}: {}\r\n", reason.text));
        report.push_str(&format!(
            "\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: {}\r\n",
            reason.status,
        ));
        // Only what a server said is a diagnostic of type smtp (RFC 3464 section 2.3.6).
        if reason.text.parse::<Reply>().is_ok() {
            report.push_str(&format!("Diagnostic-Code: smtp; {}\r\n", reason.text));
        }
    }
    // Only the header is returned: no filling need be made for it.
    let original = String::from_utf8_lossy(&message(&Message {
        size: None,
        ..of.clone()
    }))
    .into_owned();
    let header = original
        .split("\r\n\r\n")
        .next()
        .unwrap_or_default()
        .to_owned();
    format!(
        "Date: {}\r\nFrom: Mail Delivery System <mailer-daemon@{reporter}>\r\nTo: {to}\r\nSubject: could not be delivered\r\n\
         Message-ID: <{id}@{reporter}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{boundary}\"\r\n\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n\
         The message could not be delivered to:\r\n\r\n{words}\r\n\
         --{boundary}\r\nContent-Type: message/delivery-status\r\n\r\n{report}\r\n\
         --{boundary}\r\nContent-Type: text/rfc822-headers\r\n\r\n{header}\r\n\r\n--{boundary}--\r\n",
        date(now),
    )
    .into_bytes()
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
