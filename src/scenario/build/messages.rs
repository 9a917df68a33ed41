//! Rows of messages: made in code, or found again in a scenario's messages.
//!
//! A row with a count is found again by the ids that it gave: `m-1`, `m-2` and so on, without a gap, of messages that
//! are alike in everything else. A message that happens to be called `m-1` and stands alone is read as a row of one,
//! which comes to the same.

use crate::{
    mail::{DeliverBy, Message, Notify, OriginalRecipient, Priority, RecipientRequest, Ret},
    time::Moment,
};

/// Messages of a scenario that differ in their ids alone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Messages {
    pub(in crate::scenario) id: String,
    pub(in crate::scenario) to: Vec<String>,
    pub(in crate::scenario) from: Option<String>,
    pub(in crate::scenario) at: Moment,
    pub(in crate::scenario) count: Option<usize>,
    pub(in crate::scenario) size: Option<usize>,
    pub(in crate::scenario) received: usize,
    pub(in crate::scenario) body: Option<String>,
    pub(in crate::scenario) binary: bool,
    pub(in crate::scenario) priority: Option<Priority>,
    pub(in crate::scenario) deliver_by: Option<DeliverBy>,
    pub(in crate::scenario) header: Vec<String>,
    pub(in crate::scenario) require_tls: bool,
    pub(in crate::scenario) notify: Vec<(String, Notify)>,
    pub(in crate::scenario) ret: Option<Ret>,
    pub(in crate::scenario) envelope_id: Option<String>,
    pub(in crate::scenario) originals: Vec<(String, OriginalRecipient)>,
}

impl Messages {
    /// One message of this id to a mailbox, given to the sender at the start of the drill. It comes from
    /// `sender@sender.test`, whose notifications the lab takes.
    pub fn new(id: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            to: vec![to.into()],
            from: None,
            at: Moment::START,
            count: None,
            size: None,
            received: 0,
            body: None,
            binary: false,
            priority: None,
            deliver_by: None,
            header: Vec::new(),
            require_tls: false,
            notify: Vec::new(),
            ret: None,
            envelope_id: None,
            originals: Vec::new(),
        }
    }

    /// A further recipient of each message: `bob@example.test`.
    pub fn also_to(mut self, mailbox: impl Into<String>) -> Self {
        self.to.push(mailbox.into());
        self
    }

    /// The reverse-path; empty text is the null one.
    pub fn from(mut self, mailbox: impl Into<String>) -> Self {
        self.from = Some(mailbox.into());
        self
    }

    /// When the sender is given them.
    pub fn at(mut self, at: Moment) -> Self {
        self.at = at;
        self
    }

    /// That many messages, whose ids are `id-1`, `id-2` and so on.
    pub fn count(mut self, count: usize) -> Self {
        self.count = Some(count);
        self
    }

    /// The octets of content of each.
    pub fn size(mut self, octets: usize) -> Self {
        self.size = Some(octets);
        self
    }

    /// Received fields that each already carries.
    pub fn received(mut self, fields: usize) -> Self {
        self.received = fields;
        self
    }

    /// A further field of its header, such as `TLS-Required: No`.
    pub fn header(mut self, field: impl Into<String>) -> Self {
        self.header.push(field.into());
        self
    }

    /// The text of its body, whatever octets and lines it has.
    pub fn body(mut self, text: impl Into<String>) -> Self {
        self.body = Some(text.into());
        self
    }

    /// The body of each is octets as they are, for BINARYMIME (RFC 3030).
    pub fn binary(mut self) -> Self {
        self.binary = true;
        self
    }

    /// How much each matters (RFC 6710).
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// In what time each is to be delivered (RFC 2852).
    pub fn deliver_by(mut self, by: DeliverBy) -> Self {
        self.deliver_by = Some(by);
        self
    }

    /// Each asks for REQUIRETLS (RFC 8689).
    pub fn require_tls(mut self) -> Self {
        self.require_tls = true;
        self
    }

    /// Of what its author wants to be notified about a recipient (RFC 3461): `alice@example.test`.
    pub fn notify(mut self, recipient: impl Into<String>, notify: Notify) -> Self {
        self.notify.push((recipient.into(), notify));
        self
    }

    /// How much of it a notification of its failure returns (RFC 3461).
    pub fn ret(mut self, ret: Ret) -> Self {
        self.ret = Some(ret);
        self
    }

    /// The author's own name for it (ENVID, RFC 3461).
    pub fn envelope_id(mut self, id: impl Into<String>) -> Self {
        self.envelope_id = Some(id.into());
        self
    }

    /// Whom its author wrote to, where it goes to this recipient (ORCPT, RFC 3461).
    pub fn original_recipient(
        mut self,
        recipient: impl Into<String>,
        original: OriginalRecipient,
    ) -> Self {
        self.originals.push((recipient.into(), original));
        self
    }
}

/// The rows that messages come from: those that follow each other as `id-1`, `id-2` and so on, and are the
/// same otherwise, are one.
pub(super) fn rows(messages: &[Message]) -> Vec<Messages> {
    let mut rows: Vec<Messages> = Vec::new();
    for message in messages {
        let row = Messages {
            id: message.id.to_string(),
            to: message.to.iter().map(ToString::to_string).collect(),
            from: Some(
                message
                    .from
                    .as_ref()
                    .map_or_else(String::new, ToString::to_string),
            ),
            at: message.at,
            count: None,
            size: message.size,
            received: message.received,
            body: message.body.as_ref().map(ToString::to_string),
            binary: message.binary,
            priority: message.priority,
            deliver_by: message.deliver_by,
            header: message.header.to_vec(),
            require_tls: message.require_tls,
            notify: asked_of(message, |asked| asked.notify),
            ret: message.dsn.as_ref().and_then(|dsn| dsn.ret),
            envelope_id: message
                .dsn
                .as_ref()
                .and_then(|dsn| dsn.envelope_id.as_ref().map(ToString::to_string)),
            originals: asked_of(message, |asked| asked.original),
        };
        let counted = row
            .id
            .rsplit_once('-')
            .map(|(id, number)| (id.to_owned(), number.to_owned()));
        let Some((id, number)) = counted else {
            rows.push(row);
            continue;
        };
        let as_one = |count| Messages {
            id: id.clone(),
            count: Some(count),
            ..row.clone()
        };
        match rows.last_mut() {
            Some(last)
                if last.count.is_some_and(|count| {
                    number == (count + 1).to_string() && *last == as_one(count)
                }) =>
            {
                last.count = last.count.map(|count| count + 1);
            }
            _ if number == "1" => rows.push(as_one(1)),
            _ => rows.push(row),
        }
    }
    rows
}

/// What is asked of notifications about each recipient, in one respect.
fn asked_of<T>(
    message: &Message,
    respect: impl Fn(RecipientRequest) -> Option<T>,
) -> Vec<(String, T)> {
    let dsn = message.dsn.as_ref().map(|dsn| dsn.recipients.iter());
    let asked = message.to.iter().zip(dsn.into_iter().flatten());
    asked
        .filter_map(|(to, asked)| Some((to.to_string(), respect(asked.clone())?)))
        .collect()
}
