//! What is sent in one transaction: whom from, whom to, the content, and what is asked of the server with it.
//!
//! The agent fills it in anew for each attempt, since recipients that are settled are no part of the next.

use crate::{
    mail::{Mailbox, Message},
    sender::Flaw,
};

/// What to send in one transaction.
pub(crate) struct Envelope<'a> {
    /// `None` is the null reverse-path.
    pub(crate) from: Option<&'a Mailbox>,
    /// The recipients that are still open.
    pub(crate) to: &'a [Mailbox],
    /// The content as it goes over the wire, with the final dot; of a binary message as it is.
    pub(crate) content: &'a [u8],
    /// Whether it may only go where REQUIRETLS is announced (RFC 8689).
    pub(crate) require_tls: bool,
    /// The message that the content is of.
    pub(crate) message: &'a Message,
    /// What the sender gets wrong.
    pub(crate) flaw: Option<Flaw>,
    /// Whether it is a notification.
    pub(crate) is_notification: bool,
}
