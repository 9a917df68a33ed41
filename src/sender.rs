//! What sends the drill's messages: the reference sender, or anything else that runs inside the lab.
//!
//! A [`Sender`] is given a [`Post`], through which messages reach it at their moments and through
//! which it connects. What it does is read off the lab's side; what it says of a message's end goes
//! into the same log.

mod content;
mod delivery;
pub mod flaw;
mod mta_sts;
mod office;
mod reference;
mod resolver;
mod session;
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
    reference::Reference,
    resolver::Found,
};
use crate::{
    connection::on_the_wire,
    event::{EventLog, Purpose, What},
    lab::{Site, network},
    mail::{Mailbox, Message, MessageId},
    name::Domain,
    outcome::Outcome,
    reply::Status,
    route::{self, Candidate, Identity, Unroutable},
    scenario::Scenario,
    stream::Stream,
    time::Moment,
};

/// Sends the messages of a drill.
pub trait Sender {
    /// Takes the messages from the post until there are none left, and ends when it is done with them.
    fn send(self, post: Post) -> impl Future<Output = ()>;
}

/// A sender made of a function: `sender::from_fn(|post| async move { ... })`.
pub fn from_fn<F, W>(function: F) -> impl Sender
where
    F: FnOnce(Post) -> W,
    W: Future<Output = ()>,
{
    struct Function<F>(F);
    impl<F: FnOnce(Post) -> W, W: Future<Output = ()>> Sender for Function<F> {
        fn send(self, post: Post) -> impl Future<Output = ()> {
            (self.0)(post)
        }
    }
    Function(function)
}

/// Where a sender stands: messages come in, connections go out.
pub struct Post {
    site: Arc<Site>,
    seed: u64,
    lookups: Lookups,
    next: usize,
    order: Vec<usize>,
}

impl Post {
    pub(crate) fn new(site: Arc<Site>, seed: u64) -> Self {
        let mut order: Vec<usize> = (0..site.scenario.messages.len()).collect();
        order.sort_by_key(|index| site.scenario.messages[*index].at);
        Self {
            lookups: Lookups::new(Arc::clone(&site), false),
            site,
            seed,
            next: 0,
            order,
        }
    }

    /// The drill.
    pub fn scenario(&self) -> &Scenario {
        &self.site.scenario
    }

    /// Where randomness starts from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The next message, at its moment; `None` after the last one.
    pub async fn next_message(&mut self) -> Option<Message> {
        // A caller may stop waiting: no message is lost by it.
        self.site.clock.sleep_until(self.next_at()?).await;
        self.due().map(|(_, message)| message)
    }

    /// The next message if its moment has come, and where it is in the scenario.
    pub fn due(&mut self) -> Option<(usize, Message)> {
        let index = *self.order.get(self.next)?;
        let message = &self.site.scenario.messages[index];
        if message.at > self.now() {
            return None;
        }
        let message = message.clone();
        self.next += 1;
        self.submitted(&message);
        Some((index, message))
    }

    /// When the next message comes.
    pub fn next_at(&self) -> Option<Moment> {
        let index = self.order.get(self.next)?;
        Some(self.site.scenario.messages[*index].at)
    }

    /// The messages so far.
    pub fn given(&self) -> impl Iterator<Item = &Message> {
        let messages = &self.site.scenario.messages;
        self.order[..self.next]
            .iter()
            .map(|index| &messages[*index])
    }

    /// Makes it a later moment at once, where time is real and nothing is under way.
    pub fn leap_to(&self, moment: Moment) {
        self.site.clock.leap_to(moment);
    }

    /// What has happened so far.
    pub fn log(&self) -> &EventLog {
        &self.site.log
    }

    /// Waits until what was sent in the private network has been seen.
    pub async fn caught_up(&self) {
        network::caught_up(&self.site).await;
    }

    /// The content of a message as a program reads it from a file, its lines ended by LF.
    pub fn plain_content(&self, message: &Message) -> Vec<u8> {
        let mut content = content::message(message);
        content.retain(|octet| *octet != b'\r');
        content
    }

    /// Counts all messages as submitted: to a sender that has its own idea of when to send what.
    pub fn submit_all(&mut self) {
        for index in &self.order[self.next..] {
            self.submitted(&self.site.scenario.messages[*index]);
        }
        self.next = self.order.len();
    }

    fn submitted(&self, message: &Message) {
        self.site.record(What::Submitted {
            message: message.id.clone(),
            from: message
                .from
                .as_ref()
                .map_or_else(String::new, |from| from.text.to_string()),
            to: message.to.iter().map(|to| to.text.to_string()).collect(),
        });
    }

    /// The content of a message, ready to be sent after DATA, its final dot included.
    pub fn content(&self, message: &Message) -> Vec<u8> {
        on_the_wire(&content::message(message))
    }

    /// The moment it is.
    pub fn now(&self) -> Moment {
        self.site.clock.now()
    }

    /// Where the name server is; only sockets of the loopback network reach it.
    pub fn resolver(&self) -> SocketAddr {
        self.site.network.resolver()
    }

    /// The port of every receiver.
    pub fn smtp_port(&self) -> u16 {
        self.site.network.smtp_port()
    }

    /// Asks the lab's name server, as a stub resolver does: nothing is kept. Addresses in the answer are
    /// the zone's own, as [`Post::connect`] takes them.
    pub async fn lookup(&self, name: &Domain, record_type: RecordType) -> Found {
        let found = self.lookups.lookup(name, record_type).await;
        match found {
            Found::Records {
                mut records,
                secure,
            } => {
                records
                    .iter_mut()
                    .for_each(|record| self.site.network.untranslate(record));
                Found::Records { records, secure }
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
        let addresses = self.lookups.addresses(&hosts).await;
        let identity = Identity::from(&self.scenario().sender);
        route::route(&exchangers, &addresses, &identity, random)
    }

    /// Connects to an address of the zone, for a message.
    ///
    /// # Errors
    /// What a connection meets. A time-out is the caller's: the future then never ends.
    pub async fn connect(&self, address: IpAddr, message: &MessageId) -> io::Result<Stream> {
        let purpose = Purpose {
            message: Some(message.clone()),
            ..Purpose::default()
        };
        network::connect(&self.site, address, self.smtp_port(), purpose).await
    }

    /// Says what a recipient of a message came to.
    pub fn report(
        &self,
        message: &MessageId,
        recipient: &Mailbox,
        outcome: Outcome,
        status: Option<Status>,
        reason: &str,
    ) {
        report(&self.site, message, recipient, outcome, status, reason);
    }
}

fn report(
    site: &Site,
    message: &MessageId,
    recipient: &Mailbox,
    outcome: Outcome,
    status: Option<Status>,
    reason: &str,
) {
    site.record(What::Report {
        message: message.clone(),
        recipient: recipient.text.to_string(),
        outcome,
        status,
        reason: reason.to_owned(),
    });
}
