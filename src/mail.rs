//! Messages and the mailboxes that they go to.
//!
//! A message here is what a scenario sends: an envelope and what its content shall be like. The
//! content itself is made when it is sent. What receivers accept is `crate::lab`'s.

pub(crate) mod mailbox;

use std::{fmt, sync::Arc};

pub use self::mailbox::Mailbox;
use crate::{name::Domain, time::Moment};

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
    /// Whether it goes with REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// When it may be left in the queue, if it is expected to be deferred; `None`: never.
    pub leave: Option<KeepQueued>,
}
