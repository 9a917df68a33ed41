//! What a message that was taken says: which of the drill's it is, and as a notification (RFC 3464) what
//! became of another one.
//!
//! mail-parser reads it, whatever it is folded, encoded and nested in. A notification without a report for
//! programs is read for what it returns, and taken for the end of that unless it speaks of a delay.
//!
//! Foreign senders have their own formats. In each part of a message one of these is looked for:
//!
//! 1. An original that is returned whole (`message/rfc822`) or by its header: its Message-ID says
//!    which message the notification is about.
//! 2. A report for programs (`message/delivery-status`, RFC 3464): a group of fields for each
//!    recipient.
//! 3. Text that quotes the original's header, as qmail has it, or is such a report itself.
//!
//! Nothing is guessed beyond that: a message that names none of the drill's is about nothing.

use std::{borrow::Cow, sync::LazyLock};

use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

use crate::{
    event::{Action, NotificationReport, ReportedRecipient, Returned},
    mail::{Mailbox, MessageId, content::ID_DOMAIN, encoded::of_unitext},
    reply::Status,
};

/// Reads the fields that are looked at here.
static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
    MessageParser::new()
        .with_mime_headers()
        .with_message_ids()
        .header_address(mail_parser::HeaderName::To)
        .header_text(mail_parser::HeaderName::Subject)
});

/// The header of a message as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Which of the drill's messages it is.
    pub(super) id: Option<MessageId>,
    /// Whether it says of itself that it is a notification.
    pub(super) is_report: bool,
}

/// A notification as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DeliveryStatus {
    /// The drill's id of the message that it is about; `None` if none is named.
    pub(super) about: Option<MessageId>,
    /// What it says, for programs.
    pub(super) said: NotificationReport,
    /// Whether the subject speaks of a delay: all that can be had where there is no part for
    /// programs.
    delayed: bool,
}

impl DeliveryStatus {
    /// What became of the message: the worst that is said of any recipient. `None` where only words say it,
    /// and those say no more than that it comes back.
    pub(super) fn action(&self) -> Option<Action> {
        let recipients = self.said.recipients.iter();
        let said = recipients.filter_map(ReportedRecipient::what_became);
        said.min().or(self.delayed.then_some(Action::Delayed))
    }

    /// Why: the status of the first recipient of whom the worst is said.
    pub(super) fn status(&self) -> Option<Status> {
        let worst = self.action();
        // Without any action, the first status that is given says why.
        let mut recipients = self.said.recipients.iter();
        recipients
            .find(|one| one.what_became() == worst || one.action.is_none())
            .and_then(|one| one.status)
    }
}

/// What the header of a message says.
pub(super) fn header(content: &[u8]) -> Header {
    let read = PARSER.parse_headers(content);
    read.map_or_else(Header::default, |read| Header {
        id: own_id(&read),
        is_report: is_report(&read),
    })
}

fn id(content: &[u8]) -> Option<MessageId> {
    header(content).id
}

/// What a message says in its body of another one that it may be about.
pub(super) fn report(content: &[u8]) -> DeliveryStatus {
    let Some(message) = PARSER.parse(content) else {
        return DeliveryStatus::default();
    };
    let mut report = DeliveryStatus {
        delayed: speaks_of_delay(message.subject().unwrap_or_default()),
        ..DeliveryStatus::default()
    };
    report.said.multipart_report = is_report(&message);
    let to = message.to().into_iter().flat_map(|to| to.iter());
    report.said.to = to
        .filter_map(|to| to.address().map(str::to_owned))
        .collect();
    read_parts(&message, &mut report);
    report
}

/// Reads each part into the report. What was found first stands.
fn read_parts(message: &Message<'_>, report: &mut DeliveryStatus) {
    for part in &message.parts {
        if let PartType::Message(returned) = &part.body {
            // Some return a header alone as a message without a body.
            let how_much = match has_body(returned) {
                true => Returned::Full,
                false => Returned::Headers,
            };
            returns(report, how_much);
            report.about = report.about.take().or_else(|| own_id(returned));
            continue;
        }
        let octets: Cow<'_, [u8]> = match &part.body {
            PartType::Text(text) | PartType::Html(text) => Cow::Borrowed(text.as_bytes()),
            PartType::Binary(octets) | PartType::InlineBinary(octets) => Cow::Borrowed(octets),
            PartType::Multipart(_) | PartType::Message(_) => continue,
        };
        match subtype(part) {
            "delivery-status" | "global-delivery-status" => {
                let text = String::from_utf8_lossy(&octets);
                read_fields(&text, &mut report.said);
            }
            "rfc822-headers" | "global-headers" => {
                returns(report, Returned::Headers);
                report.about = report.about.take().or_else(|| id(&octets));
            }
            // The type of a whole message beyond ASCII (RFC 6533 section 4.4), where it is encoded.
            "global" => {
                returns(report, Returned::Full);
                report.about = report.about.take().or_else(|| id(&octets));
            }
            _ => {
                let text = String::from_utf8_lossy(&octets);
                report.about = report.about.take().or_else(|| quoted_id(&text));
                // A report of old, in the text itself.
                if report.said.recipients.is_empty() && is_only_part(message) {
                    read_fields(&text, &mut report.said);
                }
            }
        }
    }
}

/// Notes how much is returned; the first part that returns something counts.
fn returns(report: &mut DeliveryStatus, how_much: Returned) {
    if report.said.returned == Returned::Nothing {
        report.said.returned = how_much;
    }
}

fn has_body(message: &Message<'_>) -> bool {
    match &message.root_part().body {
        PartType::Text(text) | PartType::Html(text) => !text.trim().is_empty(),
        PartType::Binary(octets) | PartType::InlineBinary(octets) => !octets.is_empty(),
        PartType::Multipart(_) | PartType::Message(_) => true,
    }
}

/// Whether it has the type of a notification (RFC 3464 section 2).
fn is_report(message: &Message<'_>) -> bool {
    message.content_type().is_some_and(|kind| {
        let report_type = kind.attribute("report-type").unwrap_or_default();
        let is_multipart = kind.ctype().eq_ignore_ascii_case("multipart");
        let of = kind.subtype().unwrap_or_default();
        is_multipart
            && of.eq_ignore_ascii_case("report")
            && ["delivery-status", "global-delivery-status"]
                .iter()
                .any(|known| known.eq_ignore_ascii_case(report_type))
    })
}

/// Whether the message is nothing but this part.
fn is_only_part(message: &Message<'_>) -> bool {
    message.parts.len() == 1
}

/// The second half of a part's type, in lower case as mail-parser has it.
fn subtype<'a>(part: &'a MessagePart<'_>) -> &'a str {
    let found = part.content_type().and_then(|kind| kind.subtype());
    found.unwrap_or_default()
}

/// The drill's id of a message, from its Message-ID; `None` if it is none of the drill's.
fn own_id(message: &Message<'_>) -> Option<MessageId> {
    own(message.message_id()?)
}

/// The id in `ID@mxdrill.test`.
fn own(id: &str) -> Option<MessageId> {
    let id = id.strip_suffix(ID_DOMAIN.strip_suffix('>')?)?;
    Some(MessageId::from(id))
}

/// The drill's id in a header that is quoted in a text.
fn quoted_id(text: &str) -> Option<MessageId> {
    let mut ids = fields(text).filter(|(name, _)| name.eq_ignore_ascii_case("message-id"));
    ids.find_map(|(_, value)| own(value.strip_prefix('<')?.strip_suffix('>')?))
}

/// Reads the fields of a report. Groups are separated by empty lines (RFC 3464 section 2.1); the first is about
/// the message, and has neither action nor status.
fn read_fields(text: &str, said: &mut NotificationReport) {
    let text = text.replace("\r\n", "\n");
    for group in text.split("\n\n") {
        match of_recipient(group) {
            Some(recipient) => said.recipients.push(recipient),
            None => {
                let field = |name: &str| value(group, name);
                said.envelope_id = said
                    .envelope_id
                    .take()
                    .or_else(|| field("original-envelope-id"));
                said.reporting_mta = said.reporting_mta.take().or_else(|| field("reporting-mta"));
            }
        }
    }
}

/// The value of the first field of a name.
fn value(group: &str, wanted: &str) -> Option<String> {
    let mut found = fields(group).filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    found.next().map(|(_, value)| value)
}

/// One group; `None` if it is not about a recipient.
fn of_recipient(group: &str) -> Option<ReportedRecipient> {
    let field = |name: &str| value(group, name);
    // A comment may follow it.
    let first = |name: &str| {
        field(name).and_then(|value| Some(value.split_whitespace().next()?.to_owned()))
    };
    let status: Option<Status> = first("status").and_then(|status| status.parse().ok());
    let action = first("action").and_then(|word| Action::named(&word.to_ascii_lowercase()));
    let recipient = field("final-recipient").map(|value| recipient(&value));
    if action.is_none() && status.is_none() && recipient.is_none() {
        return None;
    }
    Some(ReportedRecipient {
        recipient,
        original_recipient: field("original-recipient"),
        action,
        status,
        remote_mta: field("remote-mta"),
        diagnostic: field("diagnostic-code"),
        will_retry: field("will-retry-until").is_some(),
    })
}

/// The mailbox in `rfc822; MAILBOX` (section 2.3.2), or in `utf-8; MAILBOX`, which may be in ASCII all the same (RFC
/// 6533 section 3).
fn recipient(value: &str) -> String {
    let (kind, address) = value.split_once(';').unwrap_or(("", value));
    let address = address.trim().trim_matches(['<', '>']);
    let address = match kind.trim().eq_ignore_ascii_case("utf-8") {
        true => of_unitext(address),
        false => address.to_owned(),
    };
    match address.parse::<Mailbox>() {
        Ok(mailbox) => mailbox.text.to_string(),
        Err(_) => address,
    }
}

/// The fields that stand in a text, unfolded (RFC 5322 section 2.2.3); lines that are no fields are
/// passed over.
fn fields(text: &str) -> impl Iterator<Item = (&str, String)> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let (name, value) = match lines.next()?.split_once(':') {
                Some((name, value)) if !name.contains(char::is_whitespace) => (name, value),
                _ => continue,
            };
            let mut value = value.trim().to_owned();
            // A line that begins with white space goes on with the one before.
            while let Some(more) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                value = format!("{value} {}", more.trim()).trim().to_owned();
            }
            return Some((name, value));
        }
    })
}

/// Whether a subject is that of a warning: servers that send no report for programs say so there.
/// The words are those of such servers' subjects.
fn speaks_of_delay(subject: &str) -> bool {
    let subject = subject.to_ascii_lowercase();
    ["delay", "warning", "still being retried", "not yet"]
        .iter()
        .any(|word| subject.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A notification with a report of this type and encoding.
    fn notification(kind: &str, encoding: &str, report: &str) -> String {
        format!(
            "Subject: x\r\nMessage-ID: <b@elsewhere.test>\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"=_x\"\r\n\r\n\
             --=_x\r\n\r\nwords\r\n\r\n--=_x\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{report}\r\n\
             --=_x\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: y\r\nMessage-ID:\r\n <m@mxdrill.test>\r\n\r\n--=_x--\r\n"
        )
    }

    /// The message that a text is about, what became of it and why.
    fn read(text: &str) -> (Option<String>, Option<Action>, Option<Status>) {
        let report = report(text.as_bytes());
        let about = report.about.as_ref().map(ToString::to_string);
        (about, report.action(), report.status())
    }

    fn about(
        action: Option<Action>,
        status: Option<Status>,
    ) -> (Option<String>, Option<Action>, Option<Status>) {
        (Some("m".to_owned()), action, status)
    }

    #[test]
    fn what_a_report_says_is_kept() {
        let fields = "Original-Envelope-Id: QQ 1\r\nReporting-MTA: dns; a\r\n\r\n\
                      Original-Recipient: rfc822;Bob@old.test\r\nFinal-Recipient: rfc822; Al.Ice@b.test\r\n\
                      Action: delayed\r\nStatus: 4.4.1\r\nRemote-MTA: dns; mx.b.test (192.0.2.1)\r\n\
                      Diagnostic-Code: smtp; 451 4.3.2\r\n later\r\nWill-Retry-Until: soon\r\n";
        let text = notification("message/delivery-status", "7bit", fields);
        let addressed = text.replacen("Subject: x", "Subject: x\r\nTo: Me <me@sender.test>", 1);
        let said = report(addressed.as_bytes()).said;
        assert!(said.multipart_report && said.to == ["me@sender.test"]);
        assert_eq!(said.envelope_id.as_deref(), Some("QQ 1"));
        assert_eq!(said.reporting_mta.as_deref(), Some("dns; a"));
        assert_eq!(said.returned, Returned::Headers);
        let [one] = &said.recipients[..] else {
            panic!("{said:?}")
        };
        assert_eq!(one.recipient.as_deref(), Some("Al.Ice@b.test"));
        assert_eq!(
            one.original_recipient.as_deref(),
            Some("rfc822;Bob@old.test")
        );
        assert_eq!(one.remote_name(), Some("mx.b.test"));
        assert_eq!(one.diagnostic_text(), Some("451 4.3.2 later"));
        assert!(one.will_retry);
        // A log has it as it is.
        let json = serde_json::to_string(&said).expect("written");
        let again: NotificationReport = serde_json::from_str(&json).expect("read");
        assert_eq!(again, said);
    }

    #[test]
    fn how_much_comes_back_is_told_by_the_part_that_returns_it() {
        for (part, returned) in [
            (
                "message/rfc822\r\n\r\nSubject: y\r\n\r\nhi\r\n",
                Returned::Full,
            ),
            (
                "message/rfc822\r\n\r\nSubject: y\r\n\r\n",
                Returned::Headers,
            ),
            (
                "text/rfc822-headers\r\n\r\nSubject: y\r\n",
                Returned::Headers,
            ),
            ("text/plain\r\n\r\nSubject: y\r\n", Returned::Nothing),
        ] {
            let text = format!(
                "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: {part}\r\n--b--\r\n"
            );
            let said = report(text.as_bytes()).said;
            assert_eq!(
                (said.returned, said.multipart_report),
                (returned, false),
                "{part}"
            );
        }
    }

    #[test]
    fn a_folded_id_is_read() {
        let text = b"Subject: x\r\nMessage-ID:\r\n\t<m-1@mxdrill.test>\r\n\r\nhi\r\n";
        assert_eq!(id(text), Some("m-1".into()));
        let other = b"Message-ID: <m@elsewhere.test>\r\n\r\nMessage-ID: <m@mxdrill.test>\r\n";
        assert_eq!(id(other), None);
    }

    #[test]
    fn a_report_is_read_in_every_encoding() {
        let plain = "Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822; a@b.test\r\nAction: failed\r\nStatus: 5.1.1 (bad)\r\n";
        let quoted = plain.replace("failed", "fail=65d");
        let base64 = "UmVwb3J0aW5nLU1UQTogZG5zOyBhDQoNCkZpbmFsLVJlY2lwaWVudDogcmZjODIyOyBhQGIudGVz\r\n\
                      dA0KQWN0aW9uOiBmYWlsZWQNClN0YXR1czogNS4xLjEgKGJhZCkNCg==";
        let expected = about(Some(Action::Failed), Some(Status(5, 1, 1)));
        for (kind, encoding, report) in [
            ("message/delivery-status", "7bit", plain),
            ("message/global-delivery-status", "8bit", plain),
            ("message/delivery-status", "quoted-printable", &quoted),
            ("message/global-delivery-status", "base64", base64),
        ] {
            assert_eq!(
                read(&notification(kind, encoding, report)),
                expected,
                "{kind} {encoding}"
            );
        }
    }

    #[test]
    fn a_returned_message_is_read_wherever_it_is() {
        for part in [
            "Content-Type: message/rfc822\r\n\r\nSubject: y\r\nMessage-Id: <m@mxdrill.test>\r\n\r\nhi\r\n",
            "Content-Type: message/global-headers\r\n\r\nMessage-Id: <m@mxdrill.test>\r\n",
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nTWVzc2FnZS1JRDogPG1AbXhkcmlsbC50ZXN0Pg==\r\n",
        ] {
            let text = format!(
                "Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nhi\r\n--b\r\n{part}\r\n--b--\r\n"
            );
            assert_eq!(read(&text), about(None, None), "{part}");
        }
        let words = "Subject: failure notice\r\n\r\nHi.\r\n\r\nMessage-Id: <m@mxdrill.test>\r\n";
        assert_eq!(read(words), about(None, None));
        let warning =
            "Subject: Warning: message m delayed 24 hours\r\n\r\nMessage-Id: <m@mxdrill.test>\r\n";
        assert_eq!(read(warning), about(Some(Action::Delayed), None));
    }

    #[test]
    fn only_a_failure_is_a_failure() {
        let of = |action: &str, status: &str, more: &str| {
            let report = format!("Action: {action}\r\nStatus: {status}\r\n{more}");
            read(&notification("message/delivery-status", "7bit", &report))
        };
        for (word, action) in [
            ("delivered", Action::Delivered),
            ("Relayed (to somebody)", Action::Relayed),
            ("expanded", Action::Expanded),
        ] {
            assert_eq!(
                of(word, "2.0.0", ""),
                about(Some(action), Some(Status(2, 0, 0)))
            );
        }
        let delayed = about(Some(Action::Delayed), Some(Status(4, 4, 1)));
        assert_eq!(of("delayed", "4.4.1", ""), delayed);
        // Its time is over, unless it is still to be tried.
        let over = about(Some(Action::Failed), Some(Status(4, 4, 7)));
        assert_eq!(of("delayed", "4.4.7", ""), over);
        let waits = about(Some(Action::Delayed), Some(Status(4, 4, 7)));
        assert_eq!(of("delayed", "4.4.7", "Will-Retry-Until: soon\r\n"), waits);
    }

    #[test]
    fn of_several_recipients_the_worst_is_told_and_each_is_kept() {
        let text = notification(
            "message/delivery-status",
            "7bit",
            "Reporting-MTA: dns; x\r\n\r\nFinal-Recipient: rfc822; \"a\"@b.test\r\nAction: delivered\r\nStatus: 2.0.0\r\n\r\n\
             Final-Recipient: rfc822;\r\n c@b.test\r\nAction: failed\r\nStatus: 5.7.1\r\n",
        );
        let report = report(text.as_bytes());
        assert_eq!(
            (report.action(), report.status()),
            (Some(Action::Failed), Some(Status(5, 7, 1)))
        );
        let one = |recipient: &str, action, status| ReportedRecipient {
            recipient: Some(recipient.to_owned()),
            action: Some(action),
            status: Some(status),
            ..ReportedRecipient::default()
        };
        assert_eq!(
            report.said.recipients,
            [
                one("a@b.test", Action::Delivered, Status(2, 0, 0)),
                one("c@b.test", Action::Failed, Status(5, 7, 1)),
            ]
        );
    }
}
