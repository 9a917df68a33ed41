//! A message on its way to one next hop, and the notification that comes of it when it fails.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::{content, session::Reason};
use crate::{
    connection::on_the_wire,
    event::EventLog,
    name::Domain,
    scenario::{Mailbox, Message, MessageId},
    time::Moment,
};

/// A message of the drill as long as anything is done for it.
pub(super) struct UnderWay {
    id: MessageId,
    log: EventLog,
}

impl UnderWay {
    pub(super) fn new(id: MessageId, log: EventLog) -> Arc<Self> {
        Arc::new(Self { id, log })
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.log.done_with(self.id.clone());
    }
}

/// A message on its way to one next hop.
pub(super) struct Delivery {
    /// The message that it belongs to, as a notification does too.
    under_way: Arc<UnderWay>,
    pub(super) id: MessageId,
    pub(super) message: Message,
    pub(super) hop: Domain,
    /// The recipients whose fate is open.
    pub(super) to: Vec<Mailbox>,
    /// As it goes over the wire.
    pub(super) content: Vec<u8>,
    pub(super) random: ChaCha8Rng,
    /// Passes begun.
    pub(super) pass: u32,
    /// Attempts made.
    pub(super) attempts: usize,
    /// Why the last attempt failed.
    pub(super) last: Option<Reason>,
    /// The recipients given up and not yet returned.
    pub(super) failed: Vec<(Mailbox, Reason)>,
    /// Notifications made.
    pub(super) returned: u32,
    pub(super) is_notification: bool,
}

impl Delivery {
    /// The delivery of a message to one of its next hops. Randomness has a stream of its own for each:
    /// what one draws does not depend on the others.
    pub(super) fn new(
        message: &Message,
        hop: Domain,
        content: &[u8],
        seed: u64,
        stream: u64,
        under_way: Arc<UnderWay>,
    ) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        let to = message
            .to
            .iter()
            .filter(|to| to.domain == hop)
            .cloned()
            .collect();
        Self {
            under_way,
            id: message.id.clone(),
            message: message.clone(),
            hop,
            to,
            content: content.to_vec(),
            random,
            pass: 0,
            attempts: 0,
            last: None,
            failed: Vec::new(),
            returned: 0,
            is_notification: false,
        }
    }

    /// Whether it may go only where REQUIRETLS is announced. A message from the null reverse-path may
    /// go anywhere, or nobody would learn of the failure (RFC 8689 section 5).
    pub(super) fn requires_tls(&self) -> bool {
        self.message.require_tls && self.message.from.is_some()
    }

    /// The notification of what failed, from the null reverse-path (RFC 5321 section 6.1).
    pub(super) fn notification(
        &self,
        failed: &[(Mailbox, Reason)],
        to: Mailbox,
        reporter: &str,
        now: Moment,
    ) -> Self {
        let id = MessageId(format!("{}.bounce.{}.{}", self.id, self.hop, self.returned).into());
        let content = content::notification(&self.message, &to, failed, reporter, now, &id);
        let message = Message {
            id,
            at: now,
            from: None,
            to: vec![to.clone()],
            size: None,
            received: 0,
            require_tls: false,
            leave: None,
        };
        let under_way = Arc::clone(&self.under_way);
        let content = on_the_wire(&content);
        let mut notification = Self::new(&message, to.domain, &content, 0, 0, under_way);
        notification.is_notification = true;
        notification.random = self.random.clone();
        notification
            .random
            .set_stream(self.random.get_stream() | 1 << 63);
        notification
    }
}
