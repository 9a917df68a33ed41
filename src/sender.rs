//! What sends the drill's messages: the reference sender, or anything else that runs inside the lab.
//!
//! A [`Sender`] is given a [`SenderContext`], through which messages reach it at their moments and through
//! which it connects. What it does is read off the lab's side; what it says of a message's end goes
//! into the same log.
//!
//! A drill hands its sender one [`SenderContext`] and waits until [`Sender::send`] ends. The context is
//! the only way to the lab:
//!
//! 1. [`SenderContext::next_message`] waits on the drill's clock until a message is due, records `Submitted`
//!    and returns it.
//! 2. [`SenderContext::route`] looks up MX and address records and orders them (RFC 5321 section 5.1).
//! 3. [`SenderContext::connect`] opens a session with one candidate; SMTP on it is the sender's own
//!    business.
//! 4. [`SenderContext::report`] says what became of a recipient. A sender that reports nothing is judged by
//!    what the receivers saw.
//!
//! The reference sender is spread over the files below: `reference` (the queue: what is due when),
//! `agent` (one pass over the candidates), `smtp_client` (one SMTP session), `resolver` (lookups and
//! their cache), `tls` and `mta_sts_cache` (what a candidate must prove), `content` (messages and
//! notifications), `flaw` (deliberate mistakes). The choice and order of candidates is [`route`]'s,
//! which knows nothing of senders.

mod agent;
mod content;
pub mod flaw;
mod moments;
mod mta_sts_cache;
mod queue_entry;
mod reference;
mod resolver;
mod smtp_client;
mod tls;

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::RecordType;
use rand::Rng;

use self::resolver::Lookups;
pub use self::{
    flaw::{Control, Flaw},
    moments::Moments,
    reference::Reference,
    resolver::LookupResult,
};
use crate::{
    connection::on_the_wire,
    event::{AttemptHint, EventKind, EventLog},
    lab::{LabState, network},
    mail::{Mailbox, Message, MessageId, content::message as message_content},
    name::Domain,
    outcome::Outcome,
    port,
    reply::Status,
    route::{self, Candidate, Identity, Unroutable},
    scenario::Scenario,
    stream::Stream,
    time::Moment,
};

/// Something that sends the messages of a drill.
///
/// Implement it, or use [`from_fn`]. It runs on the lab's own runtime, which on the memory network
/// has one thread and a paused clock: a sender that blocks the thread stops the drill.
pub trait Sender {
    /// Takes the messages from the context until there are none left, and ends when it is done with them.
    ///
    /// A drill ends when this future does, so a sender whose work goes on in tasks has to wait for
    /// them.
    fn send(self, context: SenderContext) -> impl Future<Output = ()>;
}

/// A sender made of a function: `sender::from_fn(|context| async move { ... })`.
pub fn from_fn<F, W>(function: F) -> impl Sender
where
    F: FnOnce(SenderContext) -> W,
    W: Future<Output = ()>,
{
    struct Function<F>(F);
    impl<F: FnOnce(SenderContext) -> W, W: Future<Output = ()>> Sender for Function<F> {
        fn send(self, context: SenderContext) -> impl Future<Output = ()> {
            (self.0)(context)
        }
    }
    Function(function)
}

/// What a sender is handed: messages come in through it, connections go out through it.
///
/// Addresses that it returns or takes are always those of the zone, whatever network the lab stands
/// on.
pub struct SenderContext {
    // The sender's view of the lab. Its own answers are not cached; the reference sender keeps a
    // second `Lookups` with a cache where the scenario asks for one.
    state: Arc<LabState>,
    seed: u64,
    lookups: Lookups,
    /// How many of `order` were handed out.
    next: usize,
    /// Indexes into the scenario's messages, by the moment at which each is due. The sort is
    /// stable: messages of one moment keep the order of the file.
    order: Vec<usize>,
}

impl SenderContext {
    pub(crate) fn new(state: Arc<LabState>, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..state.scenario.messages.len()).collect();
        order.sort_by_key(|index| state.scenario.messages[*index].at);
        Self {
            lookups: Lookups::new(Arc::clone(&state), false),
            state,
            seed,
            next: 0,
            order,
        }
    }

    /// The drill as data: records, messages, and the settings that a sender should follow.
    pub fn scenario(&self) -> &Scenario {
        &self.state.scenario
    }

    /// Where randomness starts from. The same scenario with the same seed has to give the same log,
    /// so a sender should draw every random number from a generator made of this.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Waits until the next message is due and returns it; `None` after the last one.
    ///
    /// It is recorded as submitted when it is returned, not before.
    pub async fn next_message(&mut self) -> Option<Message> {
        // A caller may stop waiting: no message is lost by it.
        self.state.clock.sleep_until(self.next_at()?).await;
        self.due().map(|(_, message)| message)
    }

    /// The next message if it is due now, with its index in the scenario; `None` if it is not due
    /// yet or there is none left. It never waits.
    pub fn due(&mut self) -> Option<(usize, Message)> {
        let index = *self.order.get(self.next)?;
        let message = &self.state.scenario.messages[index];
        if message.at > self.now() {
            return None;
        }
        let message = message.clone();
        self.next += 1;
        self.submitted(&message);
        Some((index, message))
    }

    /// When the next message is due; `None` after the last one.
    pub fn next_at(&self) -> Option<Moment> {
        let index = self.order.get(self.next)?;
        Some(self.state.scenario.messages[*index].at)
    }

    /// Waits until a moment of the drill's clock.
    pub async fn until(&self, moment: Moment) {
        self.state.clock.sleep_until(moment).await;
    }

    /// The messages handed out so far, in the order in which they were.
    pub fn given(&self) -> impl Iterator<Item = &Message> {
        let messages = &self.state.scenario.messages;
        self.order[..self.next]
            .iter()
            .map(|index| &messages[*index])
    }

    /// What has happened so far.
    pub fn log(&self) -> &EventLog {
        &self.state.log
    }

    /// Waits until the log has everything that has crossed the wire of a private network so far.
    /// Other networks log what happens as it happens.
    pub async fn caught_up(&self) {
        network::caught_up(&self.state).await;
    }

    /// Takes the drill's crashes upon the sender: from now on somebody waits for [`crash_is_due`], kills the sender's
    /// processes, says so by [`crashed`] and starts it again. Without this no crash comes about.
    ///
    /// [`crash_is_due`]: Self::crash_is_due
    /// [`crashed`]: Self::crashed
    pub fn take_crashes_on(&self) {
        self.state.take_crashes_on();
    }

    /// When the next crash at a moment is; `None` if there is none left, or they were not taken on.
    pub fn next_crash_at(&self) -> Option<Moment> {
        self.state.next_crash_at()
    }

    /// Waits until the sender is to be killed. The session that has come to the stage of such a crash is held, so
    /// that nothing is answered in it.
    pub async fn crash_is_due(&self) {
        self.state.crash_is_due().await;
    }

    /// Logs the crash that was due: no process of the sender is left.
    pub fn crashed(&self) {
        self.state.crashed();
    }

    /// Logs that the sender's queue is empty, as it was asked when nothing more was to be handed over.
    pub fn queue_is_empty(&self) {
        self.state.record(EventKind::QueueEmpty);
    }

    /// The content of a message as a program reads it from a file or a pipe: lines end with LF
    /// alone, and dots are not stuffed, since such programs do both themselves.
    pub fn plain_content(&self, message: &Message) -> Vec<u8> {
        let mut content = message_content(message);
        content.retain(|octet| *octet != b'\r');
        content
    }

    /// Records all messages that are left as submitted. For senders that get the whole scenario at
    /// once and decide themselves when to send what.
    pub fn submit_all(&mut self) {
        for index in &self.order[self.next..] {
            self.submitted(&self.state.scenario.messages[*index]);
        }
        self.next = self.order.len();
    }

    fn submitted(&self, message: &Message) {
        self.state.record(EventKind::Submitted {
            message: message.id.clone(),
            from: message
                .from
                .as_ref()
                .map_or_else(String::new, |from| from.text.to_string()),
            to: message.to.iter().map(|to| to.text.to_string()).collect(),
        });
    }

    /// The content of a message as it is sent after DATA: lines end with CRLF, a leading dot is
    /// doubled, and the final dot is included (RFC 5321 section 4.5.2).
    pub fn content(&self, message: &Message) -> Vec<u8> {
        on_the_wire(&message_content(message))
    }

    /// How far the drill has come, on the drill's clock.
    pub fn now(&self) -> Moment {
        self.state.clock.now()
    }

    /// The address and port of the name server. Only on a network with sockets does anything answer
    /// there.
    pub fn resolver(&self) -> SocketAddr {
        self.state.network.resolver()
    }

    /// The port to which SMTP connections go: 25 on the memory and the private network, on loopback
    /// the one that was bound.
    pub fn smtp_port(&self) -> u16 {
        self.state.network.smtp_port()
    }

    /// Asks the lab's name server, as a stub resolver does: nothing is kept. Addresses in the answer are
    /// the zone's own, as [`SenderContext::connect`] takes them.
    pub async fn lookup(&self, name: &Domain, record_type: RecordType) -> LookupResult {
        let found = self.lookups.lookup(name, record_type).await;
        match found {
            LookupResult::Records {
                mut records,
                secure,
            } => {
                records
                    .iter_mut()
                    .for_each(|record| self.state.network.untranslate(record));
                LookupResult::Records { records, secure }
            }
            other => other,
        }
    }

    /// The route for a domain, as a sender walks it: its exchangers are asked for, then all their
    /// addresses at once, and put in order by chance from `random`. Addresses are the zone's own.
    ///
    /// # Errors
    /// Why there is nothing to try (RFC 5321 section 5.1, RFC 7505).
    pub async fn route(
        &self,
        domain: &Domain,
        random: &mut impl Rng,
    ) -> Result<Vec<Candidate>, Unroutable> {
        let exchangers = route::exchangers(domain, &self.lookups.mx(domain).await)?;
        let hosts: Vec<&Domain> = exchangers.iter().map(|exchanger| &exchanger.host).collect();
        let mut addresses = self.lookups.addresses(&hosts).await;
        let first = self.scenario().sender.first_family;
        for addresses in addresses.values_mut() {
            first.put_first(&mut addresses.found);
        }
        let identity = Identity::from(&self.scenario().sender);
        route::route(&exchangers, &addresses, &identity, random)
    }

    /// Connects to an address of the zone, for a message.
    ///
    /// # Errors
    /// What a connection meets. A time-out is the caller's: the future then never ends.
    pub async fn connect(&self, address: IpAddr, message: &MessageId) -> io::Result<Stream> {
        let hint = AttemptHint {
            message: Some(message.clone()),
            ..AttemptHint::default()
        };
        network::connect::to_receiver(&self.state, address, port::SMTP, hint).await
    }

    /// As [`SenderContext::connect`], at a port of the scenario: that of a relay.
    ///
    /// # Errors
    /// As there.
    pub async fn connect_to_port(
        &self,
        address: IpAddr,
        port: u16,
        message: &MessageId,
    ) -> io::Result<Stream> {
        let hint = AttemptHint {
            message: Some(message.clone()),
            ..AttemptHint::default()
        };
        network::connect::to_receiver(&self.state, address, port, hint).await
    }

    /// Reports what became of one recipient of a message.
    ///
    /// `status` is the enhanced status code (RFC 3463) and `reason` is text for people, such as the
    /// reply. A deferral may be reported again after each pass; a delivery or a bounce is final.
    pub fn report(
        &self,
        message: &MessageId,
        recipient: &Mailbox,
        outcome: Outcome,
        status: Option<Status>,
        reason: &str,
    ) {
        report(&self.state, message, recipient, outcome, status, reason);
    }
}

fn report(
    state: &LabState,
    message: &MessageId,
    recipient: &Mailbox,
    outcome: Outcome,
    status: Option<Status>,
    reason: &str,
) {
    state.record(EventKind::Report {
        message: message.clone(),
        recipient: recipient.text.to_string(),
        outcome,
        status,
        reason: reason.to_owned(),
    });
}
