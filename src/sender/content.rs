//! What the reference sender sends: the drill's messages and the notifications of failed ones.
//!
//! Everything here is a pure function of the message and the moment, so that the content of a
//! delivery need not be kept while it waits, and two runs with one seed send the same octets. Dots
//! are stuffed elsewhere (`connection::on_the_wire`).

use crate::{
    lab::ID_DOMAIN,
    mail::{Mailbox, Message, MessageId},
    name::SENDER_DOMAIN,
    reply::{Reply, Status},
    sender::smtp_client::Reason,
    time::Moment,
};

/// One line of filling, 70 octets with its CRLF: well below the 78 characters that RFC 5322 section
/// 2.1.1 recommends, so that no server breaks or rejects the line.
const FILLING: &str = "Paper, dust and the smell of rain; the postman rings no second time.\r\n";

/// The header and body of a drill message, dots not stuffed.
///
/// The Message-ID carries the drill's own id at `mxdrill.test`. It is how a receiver knows which
/// message it got, also from senders that change everything else. `received` Received fields come
/// first, as if the message had passed through that many hosts. If the message has a `size`, the
/// body is filled up to exactly so many octets, where the header leaves room. Dates count from the
/// drill's start, not from the clock on the wall.
pub(super) fn message(message: &Message) -> Vec<u8> {
    let mut text = String::new();
    // Each host adds its field at the top (RFC 5321 section 4.4), so the last hop comes first.
    for hop in (1..=message.received).rev() {
        text.push_str(&format!(
            "Received: from hop{}.test by hop{hop}.test; {}\r\n",
            hop - 1,
            date(message.at)
        ));
    }
    let daemon = || format!("mailer-daemon@{SENDER_DOMAIN}");
    let from = message.from.as_ref();
    let from = from.map_or_else(daemon, |from| from.text.to_string());
    let to: Vec<&str> = message.to.iter().map(|to| &*to.text).collect();
    text.push_str(&format!(
        "Date: {}\r\nFrom: {}\r\nTo: {}\r\nSubject: drill message {}\r\nMessage-ID: <{}{ID_DOMAIN}\r\n\r\n",
        date(message.at),
        from,
        to.join(", "),
        message.id,
        message.id,
    ));
    text.push_str("This is a drill.\r\n");
    let size = message.size.unwrap_or(0);
    while text.len() < size {
        let left = size - text.len();
        // A line needs two octets for its end; what is too short for that joins the last line.
        text.push_str(if left >= FILLING.len() + 2 {
            FILLING
        } else {
            ""
        });
        // The rest: an `x` and dots, then CRLF. The line must not begin with a dot, which stuffing
        // would double: the message would be an octet too long.
        if left < FILLING.len() + 2 {
            text.push_str(&".".repeat(left.saturating_sub(2)).replacen('.', "x", 1));
            text.push_str("\r\n");
            break;
        }
    }
    text.into_bytes()
}

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

/// The RFC 5322 date of a moment, if the drill starts on Thursday 1 January 2026 at 00:00:00 UTC.
/// Leap days are left out: the first would come in 2028, two years into a drill.
fn date(moment: Moment) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let secs = moment.0.as_secs();
    let days = secs / 86_400;
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let mut day = days % 365;
    let mut month = "Dec";
    for (name, length) in MONTHS {
        if day < length {
            month = name;
            break;
        }
        day -= length;
    }
    let clock = secs % 86_400;
    format!(
        "{weekday}, {} {month} {} {:02}:{:02}:{:02} +0000",
        day + 1,
        2026 + days / 365,
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for() {
        for size in [400, 401, 777, 4096, 100_000] {
            let asked = Message {
                id: "m".into(),
                at: Moment::START,
                from: None,
                to: std::sync::Arc::new(["a@b.test".parse().expect("a mailbox")]),
                size: Some(size),
                received: 0,
                require_tls: false,
                leave: None,
            };
            assert_eq!(message(&asked).len(), size);
        }
    }

    #[test]
    fn dates_count_from_the_start_of_2026() {
        assert_eq!(date(Moment::START), "Thu, 1 Jan 2026 00:00:00 +0000");
        assert_eq!(
            date(Moment(std::time::Duration::from_secs(40 * 86_400 + 3661))),
            "Tue, 10 Feb 2026 01:01:01 +0000"
        );
    }
}
