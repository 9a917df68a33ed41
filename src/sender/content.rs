//! What the reference sender sends beside the drill's messages: notifications of those that failed.
//!
//! Everything here is a pure function of the message and the moment, so that the content of a
//! delivery need not be kept while it waits, and two runs with one seed send the same octets. Dots
//! are stuffed elsewhere (`connection::on_the_wire`).

use super::{Flaw, smtp_client::Reason};
use crate::{
    mail::{
        Mailbox, Message, MessageId, OriginalRecipient, Ret,
        content::{date, message},
        encoded::unitext,
    },
    name::Domain,
    reply::{Reply, Status},
    sasl,
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

/// In which octets a notification is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// No address in it is beyond ASCII, and what a server replied is told in ASCII.
    Ascii,
    /// It tells of addresses beyond ASCII to somebody whose own is not: in ASCII all the same, since the servers on the way
    /// may offer nothing else.
    Encoded,
    /// It goes where SMTPUTF8 is offered, or nowhere (RFC 6533).
    Global,
}

impl Form {
    fn of(message: &Message, to: &Mailbox) -> Self {
        match (to.needs_smtputf8(), message.needs_smtputf8()) {
            (true, _) => Self::Global,
            (_, true) => Self::Encoded,
            _ => Self::Ascii,
        }
    }

    /// An address as words for people have it.
    fn address(self, mailbox: &Mailbox) -> String {
        match self {
            Self::Encoded if mailbox.needs_smtputf8() => unitext(&mailbox.text),
            _ => mailbox.said().into_owned(),
        }
    }

    /// What a server replied, which may be in any octets: who needs ASCII gets what is beyond it as addresses have it.
    fn reply(self, text: &str) -> String {
        let signs = text
            .chars()
            .map(|sign| match sign.is_ascii() || self == Self::Global {
                true => sign.to_string(),
                false => unitext(sign.encode_utf8(&mut [0; 4])),
            });
        signs.collect()
    }

    /// An address with its type (RFC 6533 section 3). Only a local part beyond ASCII makes it another one: a domain has a
    /// form in ASCII.
    fn typed(self, mailbox: &Mailbox) -> String {
        match (mailbox.needs_smtputf8(), self) {
            (false, _) => format!("rfc822; {}", mailbox.said()),
            (true, Self::Global) => format!("utf-8; {mailbox}"),
            (true, _) => format!("utf-8; {}", unitext(&mailbox.text)),
        }
    }

    /// Whom the author wrote to: as it is where that may be beyond ASCII (RFC 6533 section 3).
    fn original(self, original: &OriginalRecipient) -> String {
        match self {
            Self::Ascii | Self::Encoded if original.is_utf8() => original.parameter(),
            _ => original.to_string(),
        }
    }

    /// The type of the report for programs.
    fn report_type(self) -> &'static str {
        match self {
            Self::Ascii | Self::Encoded => "delivery-status",
            Self::Global => "global-delivery-status",
        }
    }

    /// A part that returns the message, or its header (RFC 6533 section 4).
    fn returned(self, is_whole: bool, of: &Message) -> String {
        let text = match is_whole {
            true => message(of),
            false => header(of).into_bytes(),
        };
        // Binary content has lines and octets that a notification may not have.
        let form = match is_whole && of.binary {
            true => Self::Encoded,
            false => self,
        };
        let kind = match (form, is_whole) {
            (Self::Ascii, true) => "message/rfc822",
            (Self::Ascii, false) => "text/rfc822-headers",
            (_, true) => "message/global",
            (_, false) => "message/global-headers",
        };
        let (encoding, text) = match form {
            Self::Encoded => ("base64", in_lines(&sasl::encode(&text))),
            Self::Global => ("8bit", String::from_utf8_lossy(&text).into_owned()),
            Self::Ascii => {
                let text = String::from_utf8_lossy(&text);
                return format!("Content-Type: {kind}\r\n\r\n{text}");
            }
        };
        format!("Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{text}")
    }

    /// The encoding of the other parts, where it has to be said.
    fn encoding(self) -> &'static str {
        match self {
            Self::Ascii | Self::Encoded => "",
            Self::Global => "Content-Transfer-Encoding: 8bit\r\n",
        }
    }
}

/// Lines of 76 signs (RFC 2045 section 6.8).
fn in_lines(text: &str) -> String {
    let lines = text.as_bytes().chunks(76);
    let lines = lines.map(|line| format!("{}\r\n", String::from_utf8_lossy(line)));
    lines.collect()
}

/// A notification as RFC 3464 has it: words for people, a report for programs, what is returned.
///
/// The parts are those of a `multipart/report` (RFC 6522): text, `message/delivery-status` with one
/// group of fields for each recipient, and of the original the header alone (`text/rfc822-headers`), or
/// all of it if its author wants that returned and something failed (RFC 3461 section 4.3). Where addresses are beyond
/// ASCII they are those of RFC 6533.
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
    let form = Form::of(of, to);
    let mut words = String::new();
    let mut report = format!(
        "Reporting-MTA: dns; {reporter}\r\nArrival-Date: {}\r\n",
        date(of.at)
    );
    let envelope_id = of.dsn.as_ref().and_then(|dsn| dsn.envelope_id.as_ref());
    if let Some(envelope_id) = envelope_id {
        report.push_str(&format!("Original-Envelope-Id: {envelope_id}\r\n"));
    }
    // RFC 2852 section 5.
    if let Some(by) = of.deliver_by {
        report.push_str(&format!(
            "Deliver-By-Date: {}\r\n",
            date(of.at.after(by.within))
        ));
    }
    for one in reported {
        let address = form.address(&one.recipient);
        words.push_str(&format!(
            "  {address}: {}\r\n",
            form.reply(&one.reason.text)
        ));
        report.push_str(&group(of, one, form));
    }
    let failed = reported.iter().any(|one| one.told == Told::Failed);
    let subject = match reported.first().map(|one| one.told) {
        _ if failed => "could not be delivered",
        Some(Told::Delayed { .. }) => "delayed",
        _ => "relayed",
    };
    let is_whole = flaw == Some(Flaw::ReturnsAll)
        || failed
            // As if RET=HDRS had been asked for (RFC 8689 section 5).
            && !of.require_tls
            && of
                .dsn
                .as_ref()
                .is_some_and(|dsn| dsn.ret == Some(Ret::Full));
    let to = match flaw {
        Some(Flaw::ReportsToNobody) => "undisclosed-recipients:;".to_owned(),
        _ => to.said().into_owned(),
    };
    let (report_type, encoding) = (form.report_type(), form.encoding());
    format!(
        "Date: {}\r\nFrom: Mail Delivery System <mailer-daemon@{reporter}>\r\nTo: {to}\r\nSubject: {subject}\r\n\
         Message-ID: <{id}@{reporter}>\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type={report_type}; boundary=\"{boundary}\"\r\n{encoding}\r\n\
         --{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n{encoding}\r\n\
         {}:\r\n\r\n{words}\r\n\
         --{boundary}\r\nContent-Type: message/{report_type}\r\n{encoding}\r\n{report}\r\n\
         --{boundary}\r\n{}\r\n--{boundary}--\r\n",
        date(now),
        match subject {
            "delayed" => "The message could not be delivered yet, and will be tried again, to",
            "relayed" => "The message went on to another server, for",
            _ => "The message could not be delivered to",
        },
        form.returned(is_whole, of),
    )
    .into_bytes()
}

/// The fields about one recipient (RFC 3464 section 2.3), an empty line before them.
fn group(of: &Message, one: &Reported, form: Form) -> String {
    let mut group = String::from("\r\n");
    let mut field = |name: &str, value: &str| {
        group.push_str(&format!("{name}: {value}\r\n"));
    };
    if let Some(original) = of.request_of(&one.recipient).original {
        field("Original-Recipient", &form.original(&original));
    }
    field("Final-Recipient", &form.typed(&one.recipient));
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
            field("Diagnostic-Code", &format!("smtp; {}", form.reply(said)));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A notification that a message to a recipient beyond ASCII failed, told to this author.
    fn told_to(author: &str) -> String {
        let mailbox = |text: &str| text.parse::<Mailbox>().expect("a mailbox");
        let (to, author) = (mailbox("m\u{fc}ller@b\u{fc}cher.test"), mailbox(author));
        let of = Message::plain(
            "m".into(),
            Moment::START,
            Some(author.clone()),
            [to.clone()].into(),
        );
        let reported = Reported {
            recipient: to,
            told: Told::Failed,
            reason: Reason {
                status: Status(5, 6, 7),
                text: "550 5.6.7 m\u{fc}ller fehlt".to_owned(),
            },
            server: None,
        };
        let id = MessageId::from("m.bounce.x.1");
        let written = notification(
            &of,
            &author,
            &[reported],
            "mail.sender.test",
            Moment::START,
            &id,
            None,
        );
        String::from_utf8(written).expect("text")
    }

    #[test]
    fn an_author_in_ascii_is_told_of_addresses_beyond_it_in_ascii() {
        let told = told_to("sender@sender.test");
        assert!(told.is_ascii(), "{told}");
        for part in [
            "report-type=delivery-status;",
            "Content-Type: message/delivery-status\r\n\r\n",
            "Final-Recipient: utf-8; m\\x{FC}ller@b\\x{FC}cher.test\r\n",
            ": 550 5.6.7 m\\x{FC}ller fehlt\r\n",
            "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }

    #[test]
    fn an_author_beyond_ascii_is_told_as_smtputf8_has_it() {
        let told = told_to("j\u{fc}rgen@sender.test");
        for part in [
            "report-type=global-delivery-status;",
            "To: j\u{fc}rgen@sender.test\r\n",
            "Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
            "Final-Recipient: utf-8; m\u{fc}ller@b\u{fc}cher.test\r\n",
            "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        ] {
            assert!(told.contains(part), "{part} in {told}");
        }
    }
}
