//! Messages and the mailboxes that they go to.
//!
//! A message here is what a scenario sends: an envelope and what its content shall be like. The
//! content itself is made when it is sent. What receivers accept is `crate::lab`'s.

pub(crate) mod content;
pub(crate) mod dsn;
pub(crate) mod encoded;
mod handling;
pub(crate) mod mailbox;

use std::{fmt, sync::Arc, time::Duration};

pub use self::{
    content::BodyDigest,
    dsn::{
        Action, DsnRequest, Notify, Occasion, OriginalRecipient, RecipientRequest, Ret, Returned,
    },
    handling::{ByMode, DeliverBy, Priority},
    mailbox::Mailbox,
};
use crate::{
    extension::{Extension, is_offered, least_time},
    name::Domain,
    time::Moment,
};

/// The id of a message, unique within a scenario: `m1`, or `m-17` in a row with a count.
///
/// The reference sender's notifications have ids, too: `m1.bounce.example.test.1`.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct MessageId(pub Arc<str>);

impl MessageId {
    /// What stands between the id of a message and the rest of the id of a notification about it.
    const BOUNCE: &str = ".bounce.";

    /// The id of a notification about a message that could not go to a next hop.
    pub(crate) fn of_notification(&self, hop: &Domain, number: u32) -> Self {
        Self(format!("{self}{}{hop}.{number}", Self::BOUNCE).into())
    }

    /// The message that a notification of this id is about.
    pub(crate) fn about(&self) -> Option<Self> {
        let (about, _) = self.0.split_once(Self::BOUNCE)?;
        Some(about.into())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// When a message that is expected to be deferred is left in the queue: no delivery pass for it begins
/// after this moment, once this many attempts have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepQueued {
    /// The moment after which it may be left.
    pub after: Moment,
    /// How many attempts must have been made for it.
    pub attempts: usize,
}

/// Finds messages by their ids, among as many as a million, without holding the ids twice.
#[derive(Debug)]
pub(crate) struct MessageIndex(Vec<usize>);

impl MessageIndex {
    pub(crate) fn new(messages: &[Message]) -> Self {
        let mut by_id: Vec<usize> = (0..messages.len()).collect();
        by_id.sort_by(|one, other| messages[*one].id.cmp(&messages[*other].id));
        Self(by_id)
    }

    /// The index of a message in the list that this was made of; `None` if it is not there.
    pub(crate) fn find(&self, messages: &[Message], id: &MessageId) -> Option<usize> {
        let place = self.0.binary_search_by(|index| messages[*index].id.cmp(id));
        Some(self.0[place.ok()?])
    }
}

/// The keyword of RFC 2852.
pub(crate) const DELIVERBY: &str = "DELIVERBY";

impl Message {
    /// One that asks for nothing.
    pub(crate) fn plain(
        id: MessageId,
        at: Moment,
        from: Option<Mailbox>,
        to: Arc<[Mailbox]>,
    ) -> Self {
        Self {
            id,
            at,
            from,
            to,
            size: None,
            received: 0,
            body: None,
            binary: false,
            priority: None,
            deliver_by: None,
            header: Arc::default(),
            require_tls: false,
            dsn: None,
            leave: None,
        }
    }

    /// Whether a mailbox of its envelope can only go where SMTPUTF8 is offered (RFC 6531 section 3.4): the local
    /// part is not in ASCII. A domain that is not has a form that is.
    pub(crate) fn needs_smtputf8(&self) -> bool {
        let mut mailboxes = self.to.iter().chain(&self.from);
        mailboxes.any(Mailbox::needs_smtputf8)
    }

    /// What is to happen when it is late; `None` if nobody asked that.
    pub(crate) fn when_late(&self) -> Option<ByMode> {
        self.deliver_by.map(|by| by.mode)
    }

    /// How long it is kept by a sender that keeps others for so long: its author may want it back before that (RFC 2852
    /// section 4.1.3).
    pub(crate) fn patience(&self, otherwise: Duration) -> Duration {
        match self.deliver_by {
            Some(by) if by.mode == ByMode::Return => otherwise.min(by.within),
            _ => otherwise,
        }
    }

    /// Whether it is to be delivered whatever policies say of TLS: it has the field `TLS-Required: No`, which REQUIRETLS
    /// overrides (RFC 8689 sections 3 and 4.1).
    pub fn waives_tls(&self) -> bool {
        let is_waiver = |field: &String| {
            field.split_once(':').is_some_and(|(name, value)| {
                name.eq_ignore_ascii_case("tls-required") && value.trim().eq_ignore_ascii_case("no")
            })
        };
        !self.require_tls && self.header.iter().any(is_waiver)
    }

    /// Whether a mailbox of its envelope is not in ASCII.
    pub(crate) fn is_beyond_ascii(&self) -> bool {
        let mut mailboxes = self.to.iter().chain(&self.from);
        mailboxes.any(|mailbox| !mailbox.text.is_ascii())
    }

    /// What it needs at a moment of a receiver that offers these extensions and has not got: an extension by its keyword.
    pub(crate) fn want(&self, offered: &[Extension], now: Moment) -> Option<&'static str> {
        let lacks = |keyword: &str| !is_offered(offered, keyword);
        let limit = offered.iter().find(|one| one.is("SIZE"));
        let limit = limit.and_then(|one| one.parameters.parse().ok());
        // BINARYMIME is of use only with CHUNKING (RFC 3030 section 3).
        let is_binary = self.binary;
        if self.needs_smtputf8() && lacks("SMTPUTF8") {
            Some("SMTPUTF8")
        } else if is_binary && (lacks("BINARYMIME") || lacks("CHUNKING")) {
            Some("BINARYMIME")
        } else if !is_binary && self.needs_eight_bit() && lacks("8BITMIME") {
            Some("8BITMIME")
        } else if limit.is_some_and(|limit: usize| limit > 0 && limit < self.octets()) {
            Some("SIZE")
        } else if self.is_too_urgent_for(offered, now) {
            Some(DELIVERBY)
        } else {
            None
        }
    }

    /// Whether its author gave what is to be passed on to servers that offer DSN or MT-PRIORITY.
    pub(crate) fn is_marked(&self) -> bool {
        self.dsn.is_some() || self.priority.is_some()
    }

    /// Whether it is to be returned when its time is over, so that it cannot go on without DELIVERBY, nor to a server that
    /// wants more time for that than is left (RFC 2852 section 4.1.4.1).
    fn is_too_urgent_for(&self, offered: &[Extension], now: Moment) -> bool {
        let Some(by) = self.deliver_by.filter(|by| by.mode == ByMode::Return) else {
            return false;
        };
        least_time(offered).is_none_or(|least| by.left(now.since(self.at)) < least)
    }

    /// How many octets its content has.
    fn octets(&self) -> usize {
        let least = || content::message(self).len();
        self.size.filter(|size| *size > 1000).unwrap_or_else(least)
    }

    /// Whether its content has octets over 127, so that it can only go where 8BITMIME is offered (RFC 6152
    /// section 3).
    pub(crate) fn needs_eight_bit(&self) -> bool {
        let body = self.body.as_ref().is_some_and(|body| !body.is_ascii());
        // Such an address stands in the header, too.
        body || self.needs_smtputf8()
    }
}

/// A message that a drill sends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, unique in the scenario; messages of a row with `count` get `id-1`, `id-2` and so on.
    pub id: MessageId,
    /// When the sender is given it, from the start of the drill.
    pub at: Moment,
    /// The reverse-path, to which notifications go; `None` is the null one.
    pub from: Option<Mailbox>,
    /// Its recipients, in the order of the scenario, at least one.
    pub to: Arc<[Mailbox]>,
    /// The size of its content in octets, before dots are stuffed; `None`: as short as it comes.
    pub size: Option<usize>,
    /// How many Received fields it already carries, as if it had been through so many hosts.
    pub received: usize,
    /// The text of its body, which may have octets over 127, dots at the start of lines and long lines; `None`: a
    /// line of the lab's own.
    pub body: Option<Arc<str>>,
    /// Whether its body is octets as they are, which go by BINARYMIME alone (RFC 3030): lines may end as they like.
    pub binary: bool,
    /// How much it matters (RFC 6710); `None`: nothing is said of that.
    pub priority: Option<Priority>,
    /// In what time it is to be delivered (RFC 2852); `None`: in its own.
    pub deliver_by: Option<DeliverBy>,
    /// Further fields of its header, such as `TLS-Required: No`.
    pub header: Arc<[String]>,
    /// Whether it goes with REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// What is asked of notifications about it (RFC 3461); `None`: nothing.
    pub dsn: Option<Arc<DsnRequest>>,
    /// When it may be left in the queue, if it is expected to be deferred; `None`: never.
    pub leave: Option<KeepQueued>,
}
