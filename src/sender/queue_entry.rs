//! A message on its way to one next hop, and the notification that comes of it when it fails.
//!
//! An entry that waits is small, since many may wait: its content is made anew for each pass, and of
//! its random numbers it keeps only how far it came.
//!
//! `agent` walks an entry over its candidates; `reference` decides when it is walked again. A
//! message with recipients at two domains is two entries that share the message and nothing
//! else.

use std::sync::Arc;

use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::{
    Flaw, content,
    content::{Reported, Server},
    smtp_client::Reason,
};
use crate::{
    connection::on_the_wire,
    event::EventLog,
    mail::{ByMode, Mailbox, Message, MessageId, content::message as message_content},
    name::Domain,
    time::Moment,
};

/// Held by everything that is still done for one message of the drill: its entries and their
/// notifications. When the last of them is dropped, the log learns that nothing more comes of the
/// message, and a verdict that is made as the log grows may forget it.
pub(super) struct InFlight {
    id: MessageId,
    log: EventLog,
}

impl InFlight {
    pub(super) fn new(id: MessageId, log: EventLog) -> Arc<Self> {
        Arc::new(Self { id, log })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.log.done_with(self.id.clone());
    }
}

/// A message on its way to one next hop.
pub(super) struct QueueEntry {
    /// The message of the drill that it belongs to, as a notification does too.
    in_flight: Arc<InFlight>,
    /// The message as it was submitted, or the notification as a message of its own.
    pub(super) message: Arc<Message>,
    /// The next hop: the domain whose MX records are looked up at the beginning of each pass.
    pub(super) hop: Domain,
    /// The recipients that are still open; with none left the entry is over.
    ///
    /// Recipients leave this list when they are delivered or have failed for good.
    pub(super) to: Vec<Mailbox>,
    /// Where the random order of equal preferences comes from (RFC 5321 section 5.1).
    pub(super) random: RandomStream,
    /// Passes begun, the current one included; 0 before the first.
    pub(super) pass: u32,
    /// Attempts made in all passes. A candidate that was left out because its TLS could not be
    /// settled is not counted.
    pub(super) attempts: usize,
    /// Why the last attempt failed; `None` before the first failure. It goes into reports of a
    /// deferral, and into the reason when the message expires.
    pub(super) last: Option<Reason>,
    /// The server that said so; `None` where none said anything.
    pub(super) last_server: Option<Server>,
    /// The exchanger that was tried first, for a flaw that blames it for everything.
    pub(super) first_host: Option<Domain>,
    /// What is to be told of recipients in this step. The list is emptied at the end of the step, into a
    /// notification if there is to be one.
    pub(super) reported: Vec<Reported>,
    /// Whether a delay was told.
    pub(super) warned: bool,
    /// Whether it was told that the time in which it was to be delivered is over.
    pub(super) told_late: bool,
    /// When its next pass begins, while it is woken before that to tell that its time is over.
    pub(super) resumes: Option<Moment>,
    /// Notifications made so far; the number keeps their Message-IDs apart.
    pub(super) returned: u32,
    /// Set for a notification. No notification is ever made about it (RFC 5321 section 6.1).
    pub(super) is_notification: bool,
    /// The content of a notification, ready for the wire; `None` for a message of the drill, whose
    /// content is made anew from the message.
    notice: Option<Arc<[u8]>>,
}

/// Random numbers of an entry's own. The generator is positioned, not stored: 24 octets stand for
/// it while an entry waits. Each entry has a stream of its own, so that a message that is
/// retried once more does not change the order in which others try their candidates.
#[derive(Debug, Clone, Copy)]
pub(super) struct RandomStream {
    /// The drill's seed.
    seed: u64,
    /// The ChaCha stream: the index of the next hop in the low 16 bits, that of the message above
    /// them, and the top bit set for a notification.
    stream: u64,
    /// How often they were taken up.
    times: u64,
}

impl RandomStream {
    /// The generator for one pass. Each pass starts at a place of its own in the stream, however
    /// many numbers the passes before it drew.
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

impl QueueEntry {
    /// The entry of a message to its recipients at one of its next hops, with the seed and the stream of its random numbers.
    pub(super) fn new(
        message: Arc<Message>,
        to: Vec<Mailbox>,
        hop: Domain,
        (seed, stream): (u64, u64),
        in_flight: Arc<InFlight>,
    ) -> Self {
        Self {
            in_flight,
            message,
            hop,
            to,
            random: RandomStream {
                seed,
                stream,
                times: 0,
            },
            pass: 0,
            attempts: 0,
            last: None,
            last_server: None,
            first_host: None,
            reported: Vec::new(),
            warned: false,
            told_late: false,
            resumes: None,
            returned: 0,
            is_notification: false,
            notice: None,
        }
    }

    /// What goes over the wire after DATA, or in chunks if it is binary.
    pub(super) fn content(&self) -> Arc<[u8]> {
        match &self.notice {
            Some(notice) => Arc::clone(notice),
            // Its octets are counted, so that no dot ends it (RFC 3030 section 2).
            None if self.message.binary => message_content(&self.message).into(),
            None => on_the_wire(&message_content(&self.message)).into(),
        }
    }

    /// Whether it is to be returned now, since its time is over (RFC 2852 section 4.1.3).
    pub(super) fn is_too_late(&self, now: Moment) -> bool {
        let by = self.message.deliver_by;
        let by = by.filter(|by| by.mode == ByMode::Return);
        by.is_some_and(|by| by.is_over(now.since(self.message.at)))
    }

    /// When its author is to be told that its time is over, if it is tried beyond that and nothing was told yet.
    pub(super) fn told_late_at(&self) -> Option<Moment> {
        let by = self
            .message
            .deliver_by
            .filter(|by| by.mode == ByMode::Notify);
        let at = self.message.at.after(by?.within);
        (!self.told_late).then_some(at)
    }

    /// Whether it may go only where REQUIRETLS is announced. A message from the null reverse-path
    /// may go anywhere, or nobody would learn of the failure (RFC 8689 section 5).
    pub(super) fn requires_tls(&self) -> bool {
        self.message.require_tls && self.message.from.is_some()
    }

    /// The notification of what is to be told, from the null reverse-path (RFC 5321 section 6.1).
    ///
    /// It is a message of its own, to the one who sent the original: at most one recipient, and a queue time that starts
    /// now. REQUIRETLS goes along where it is offered (RFC 8689 section 5).
    pub(super) fn notification(
        &self,
        reported: &[Reported],
        to: Mailbox,
        reporter: &str,
        now: Moment,
        flaw: Option<Flaw>,
    ) -> Self {
        let id = self.message.id.of_notification(&self.hop, self.returned);
        let content = content::notification(&self.message, &to, reported, reporter, now, &id, flaw);
        let hop = to.domain.clone();
        let matters_as_much = flaw != Some(Flaw::ReportsWithoutPriority);
        let message = Message {
            // It matters as much as what it is about (RFC 6710 section 4.6).
            priority: self.message.priority.filter(|_| matters_as_much),
            require_tls: self.message.require_tls,
            ..Message::plain(id, now, None, Arc::new([to.clone()]))
        };
        // The top bit keeps its random numbers apart from those of the message that it is about.
        let random = (self.random.seed, self.random.stream | 1 << 63);
        let in_flight = Arc::clone(&self.in_flight);
        Self {
            is_notification: true,
            notice: Some(on_the_wire(&content).into()),
            ..Self::new(Arc::new(message), vec![to], hop, random, in_flight)
        }
    }
}
