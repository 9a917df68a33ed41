//! Messages and the mailboxes that they go to.

pub(crate) mod mailbox;

use std::{fmt, sync::Arc};

pub use self::mailbox::Mailbox;
use crate::{name::Domain, time::Moment};

/// The id of a message, unique within a scenario.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct MessageId(pub Arc<str>);

impl MessageId {
    /// Between the id of a message and the rest of a notification's.
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
pub struct Leave {
    /// The moment.
    pub after: Moment,
    /// The attempts.
    pub attempts: usize,
}

/// Finds messages by their ids.
#[derive(Debug)]
pub(crate) struct MessageIndex(Vec<usize>);

impl MessageIndex {
    pub(crate) fn new(messages: &[Message]) -> Self {
        let mut by_id: Vec<usize> = (0..messages.len()).collect();
        by_id.sort_by(|one, other| messages[*one].id.cmp(&messages[*other].id));
        Self(by_id)
    }

    /// Where a message is among those that the index was made of.
    pub(crate) fn find(&self, messages: &[Message], id: &MessageId) -> Option<usize> {
        let place = self.0.binary_search_by(|index| messages[*index].id.cmp(id));
        Some(self.0[place.ok()?])
    }
}

/// A message of the drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id; messages of a row with `count` get `id-1`, `id-2` and so on.
    pub id: MessageId,
    /// When the sender is given it.
    pub at: Moment,
    /// Where bounces go; `None` is the null reverse-path.
    pub from: Option<Mailbox>,
    /// Its recipients, at least one.
    pub to: Arc<[Mailbox]>,
    /// The size of its content in octets; `None`: as short as it comes.
    pub size: Option<usize>,
    /// How many Received fields it already carries.
    pub received: usize,
    /// Whether it asks for REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// When it is left in the queue, if it is expected to be deferred.
    pub leave: Option<Leave>,
}
