//! A message on its way to one next hop, and the notification that comes of it when it fails.
//!
//! A delivery that waits is small, since many may wait: its content is made anew for each pass, and of
//! its random numbers it keeps only how far it came.

use std::sync::Arc;

use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::{content, session::Reason};
use crate::{
    connection::on_the_wire,
    event::EventLog,
    mail::{Mailbox, Message, MessageId},
    name::Domain,
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
    /// The message of the drill that it belongs to, as a notification does too.
    under_way: Arc<UnderWay>,
    pub(super) message: Arc<Message>,
    pub(super) hop: Domain,
    /// The recipients whose fate is open.
    pub(super) to: Vec<Mailbox>,
    pub(super) dice: Dice,
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
    /// The content of a notification.
    notice: Option<Arc<[u8]>>,
}

/// Random numbers of a delivery's own: what one draws does not depend on the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dice {
    seed: u64,
    stream: u64,
    /// How often they were taken up.
    times: u64,
}

impl Dice {
    /// The numbers for one pass.
    pub(super) fn taken_up(&mut self) -> ChaCha8Rng {
        /// Far more words of 32 bits than a pass ever draws.
        const WORDS: u128 = 1 << 32;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        random.set_stream(self.stream);
        random.set_word_pos(u128::from(self.times) * WORDS);
        self.times += 1;
        random
    }
}

impl Delivery {
    /// The delivery of a message to its recipients at one of its next hops, with the seed and the stream of its dice.
    pub(super) fn new(
        message: Arc<Message>,
        to: Vec<Mailbox>,
        hop: Domain,
        (seed, stream): (u64, u64),
        under_way: Arc<UnderWay>,
    ) -> Self {
        Self {
            under_way,
            message,
            hop,
            to,
            dice: Dice {
                seed,
                stream,
                times: 0,
            },
            pass: 0,
            attempts: 0,
            last: None,
            failed: Vec::new(),
            returned: 0,
            is_notification: false,
            notice: None,
        }
    }

    /// What goes over the wire after DATA.
    pub(super) fn content(&self) -> Arc<[u8]> {
        match &self.notice {
            Some(notice) => Arc::clone(notice),
            None => on_the_wire(&content::message(&self.message)).into(),
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
        let id = self.message.id.of_notification(&self.hop, self.returned);
        let content = content::notification(&self.message, &to, failed, reporter, now, &id);
        let hop = to.domain.clone();
        let message = Message {
            id,
            at: now,
            from: None,
            to: Arc::new([to.clone()]),
            size: None,
            received: 0,
            require_tls: false,
            leave: None,
        };
        let dice = (self.dice.seed, self.dice.stream | 1 << 63);
        let under_way = Arc::clone(&self.under_way);
        Self {
            is_notification: true,
            notice: Some(on_the_wire(&content).into()),
            ..Self::new(Arc::new(message), vec![to], hop, dice, under_way)
        }
    }
}
