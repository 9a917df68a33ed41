//! The lab: a name server and as many SMTP receivers as the records have addresses, on one network.
//!
//! [`Lab`] starts everything and stops it when it is dropped. It knows records and faults, and nothing of what is
//! expected of delivery. `LabState` is what its parts share.
//!
//! A lab comes up in this order (`start`: [`Lab::start`] and its variants all end in `launch`), on a thread of its own
//! or the caller's (`serving`):
//!
//! 1. `topology` reads off the zone who stands where: a receiver for each address, a web server for each MTA-STS
//!    policy, an authority if anything needs a certificate.
//! 2. `network` binds what these hosts need on the kind of network that was asked for.
//! 3. `state` is made: clock, log, records, faults, mailbox. Time starts here.
//! 4. Servers behind receivers are tried once, so that a drill does not fail for the lack of one.
//! 5. The name server, the receivers and the web servers are served in tasks of the lab, until it is dropped.
//!
//! From then on a session of a receiver is `receiver`'s, a query is `name_server`'s, and how either arrives is
//! `network`'s and, below it, `memory`'s, `loopback`'s with `listener`, or `namespace`'s. What is read out of a
//! message is `dsn`'s and `mailbox`'s. Faults that come by hand are in `by_hand`, and changes of records that do in
//! `updates`; sessions that are held until the sender was killed are in `crashes`; waiting for what happens is in
//! `waiting`, and words about what did are in `seen`.

mod by_hand;
mod clock;
mod crashes;
mod datagrams;
pub(crate) mod delays;
mod dsn;
mod listener;
mod loopback;
mod mailbox;
#[cfg(feature = "mailin-embedded")]
mod mailin;
pub(crate) mod memory;
mod mta_sts_server;
pub(crate) mod name_server;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub mod namespace;
pub(crate) mod network;
mod questions;
mod receiver;
pub(crate) mod seen;
mod serving;
mod start;
mod state;
pub(crate) mod stub;
pub(crate) mod stub_answer;
mod topology;
mod updates;
mod upstream;
mod waiting;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

pub use self::by_hand::{Failing, FaultId, StandingFault};
pub use self::clock::SharedTime;
pub use self::mailbox::{Content, ReceivedMessage};
pub use self::network::NetworkKind;
use self::{
    mta_sts_server::MtaStsServer, receiver::Receiver, seen::SaysWhatIsOpen, serving::Serving,
};
pub(crate) use self::{serving::block_on, state::LabState};
use crate::{
    event::{AttemptHint, Event, EventLog},
    lock::lock,
    name::Domain,
    observe::{self, Attempt},
    port,
    stream::Stream,
    tls::CertificateAuthority,
};

/// A running lab. Dropping it stops everything that it started.
///
/// What it saw stays in its log, which can be kept longer: `let log = lab.log().clone();`.
pub struct Lab {
    state: Arc<LabState>,
    // Said before anything is stopped.
    _at_the_end: SaysWhatIsOpen,
    serving: Serving,
    patience: Duration,
}

/// How long [`Lab::wait_for`] waits unless it is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where a lab stands on the loopback network; a port of 0 is any free one.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopbackBinding {
    /// The port of the name server, UDP and TCP.
    pub dns_port: u16,
    /// The port of every receiver; with [`Spread::Ports`], of the first one.
    pub smtp_port: u16,
    /// How the hosts are told apart.
    pub spread: Spread,
}

/// How the hosts of a lab on the loopback network are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
// Linux routes all of 127.0.0.0/8 to loopback; macOS and the BSDs have 127.0.0.1 alone.
pub enum Spread {
    /// By addresses, all with one port. Where the system has no such address, by ports of 127.0.0.1.
    Addresses {
        /// The first address that they may have. `None`: one made of the process's id, so that labs
        /// of other processes hardly get in the way.
        first: Option<Ipv4Addr>,
    },
    /// By ports of one address.
    Ports {
        /// That address, which is the name server's too.
        at: Ipv4Addr,
        /// The first port, the next hosts having the next ones; 0 means any that are free.
        first: u16,
    },
}

impl Default for Spread {
    fn default() -> Self {
        Self::Addresses { first: None }
    }
}

/// What becomes of the messages that receivers accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedMail {
    /// They are kept, and [`Lab::messages`] returns them.
    Kept,
    /// They are dropped, and the log alone tells of them.
    Dropped,
}

/// A packet of a private network as it crossed the wire, its link header included.
///
/// Every clone shares the octets.
pub type Packet = Arc<[u8]>;

/// Where an exchanger or a policy's web server of a lab can be reached from outside the drill.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// Its names in the zone, aliases included.
    pub hosts: Vec<Domain>,
    /// Its address in the zone, as MX and address records lead to it.
    pub zone_address: IpAddr,
    /// The address that the lab's name server answers in its place; on loopback another than the zone's, and
    /// nobody listens there where hosts differ by their ports.
    pub answered: IpAddr,
    /// The address and port at which it listens on this machine. On the memory network nothing
    /// listens: it is the address in the zone.
    pub listens: SocketAddr,
    /// Its further ports, as the scenario has them, each with the address and port at which it listens for it.
    pub ports: Vec<(u16, SocketAddr)>,
}

impl Lab {
    pub(crate) fn state(&self) -> &Arc<LabState> {
        &self.state
    }

    /// What happens, as it happens; it can be read after the lab has stopped.
    pub fn log(&self) -> &EventLog {
        &self.state.log
    }

    /// Where the name server listens, over UDP and TCP; on the memory network the address that stands
    /// for it.
    pub fn resolver(&self) -> SocketAddr {
        self.state.network.resolver()
    }

    /// The first domain with MX records, as something to show in an example; the root if no domain
    /// has any. `sender.test` is the sender's own
    /// and does not count.
    pub fn mail_domain(&self) -> Domain {
        let zones = self.state.zones();
        let mut owners = zones
            .zones()
            .flat_map(crate::zone::Zone::records)
            .filter(|record| record.record_type() == hickory_proto::rr::RecordType::MX);
        let own = |owner: &Domain| owner.as_str() == "sender.test";
        let found = owners.find(|record| !own(&Domain::from(&record.name)));
        found.map_or_else(Domain::root, |record| Domain::from(&record.name))
    }

    /// The port of every receiver; where they have ports of their own, of the first ([`Lab::endpoints`] has all).
    pub fn smtp_port(&self) -> u16 {
        self.state.network.smtp_port()
    }

    /// Where to connect for an address that the lab's name server answered: on loopback the port goes with the
    /// address, since hosts may differ by their ports alone ([`Spread`]). For an address of the zone it is the
    /// same place; at one that no host has nobody listens.
    ///
    /// A sender that is told where to connect for an address, and not a port for all, runs on every system.
    pub fn socket_for(&self, address: IpAddr) -> SocketAddr {
        let network = &self.state.network;
        network.endpoint(network.untranslated(address))
    }

    /// As [`Lab::socket_for`], for another port than that of exchangers: 587 or 465 of a relay, say. `None` where
    /// nobody listens at that port.
    pub fn socket_for_port(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        let network = &self.state.network;
        let address = network.untranslated(address);
        let receiver = self.state.receivers.get(&address);
        let receiver = receiver.filter(|receiver| receiver.ports.contains(&port));
        network.endpoint_for(receiver?.address, port)
    }

    /// Whether hosts are told apart by their ports, as was asked for or for lack of addresses ([`Spread`]).
    pub fn differs_by_ports(&self) -> bool {
        self.state.network.differs_by_ports()
    }

    /// Where each receiver listens, ordered by its address in the zone.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |receiver: &Arc<Receiver>| Endpoint {
            hosts: receiver.names.to_vec(),
            zone_address: receiver.address,
            answered: self.state.network.translated(receiver.address),
            listens: self.state.network.endpoint(receiver.address),
            ports: {
                let further = receiver.ports.iter().filter(|port| **port != port::SMTP);
                let place = |port: &u16| {
                    let network = &self.state.network;
                    Some((*port, network.endpoint_for(receiver.address, *port)?))
                };
                further.filter_map(place).collect()
            },
        };
        self.state.receivers.values().map(endpoint).collect()
    }

    /// Where the web server of each MTA-STS policy listens, ordered by its address in the zone.
    pub fn policy_endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |(address, host): (&IpAddr, &Arc<MtaStsServer>)| Endpoint {
            hosts: host.names(),
            zone_address: *address,
            answered: self.state.network.translated(*address),
            listens: self.state.network.endpoint(*address),
            ports: Vec::new(),
        };
        self.state.policy_hosts.iter().map(endpoint).collect()
    }

    /// The certificate of the lab's authority in PEM, for a sender that shall trust it; `None`
    /// where no receiver has a certificate and there is no policy.
    pub fn authority_pem(&self) -> Option<String> {
        self.state.authority.as_ref().map(CertificateAuthority::pem)
    }

    /// Connects to an address of the zone, as a host on the lab's network does. The port is one of the scenario, or
    /// that of all receivers ([`Lab::smtp_port`]).
    ///
    /// # Errors
    /// What a connection meets: refused, unreachable, reset. A time-out is the caller's: the future
    /// then never ends.
    ///
    /// For tests that speak SMTP themselves: nothing is announced, so the log cannot say which
    /// message it is for.
    pub async fn connect(&self, address: IpAddr, port: u16) -> io::Result<Stream> {
        let state = Arc::clone(&self.state);
        let port = state.network.untranslated_port(port);
        let connect = async move {
            network::connect::to_receiver(&state, address, port, AttemptHint::default()).await
        };
        self.serving.run(connect).await
    }

    /// How many questions to the name server the kernel dropped so far, for want of room: to whoever asked it looks as if
    /// the name server did not answer. Where the system does not say, none.
    pub fn lost_questions(&self) -> u64 {
        self.state.lost_questions()
    }

    /// Why what the lab saw cannot be relied on, such as a receiver that could not listen; `None`
    /// if it can. The first reason counts.
    pub fn trouble(&self) -> Option<String> {
        self.state.look_for_losses();
        self.state.trouble.borrow().clone()
    }

    /// Notes by how much the thread is held up that this is called on, as if it were the lab's.
    pub(crate) async fn watch_delays(&self) -> std::convert::Infallible {
        self.state.delays.watch().await
    }

    /// By how much the lab was held up in all, where time is real: late wake-ups of its own timers,
    /// summed.
    pub(crate) fn held_up(&self) -> Duration {
        self.state.delays.total()
    }

    /// The longest that the lab was held up at one time.
    pub(crate) fn held_up_at_once(&self) -> Duration {
        self.state.delays.longest()
    }

    /// Everything that has happened so far, copied out of the log.
    pub fn events(&self) -> Vec<Event> {
        self.state.log.events()
    }

    /// The events from an index on, which counts from 0: a reader who has seen n of them asks for
    /// `events_since(n)`.
    pub fn events_since(&self, start: usize) -> Vec<Event> {
        self.state.log.since(start)
    }

    /// Every attempt so far, as the lab's side saw it: each connection, or each transaction of one.
    pub fn attempts(&self) -> Vec<Attempt> {
        observe::attempts(&self.scenario(), &self.events())
    }

    /// The messages accepted so far, in the order in which they were accepted. None in a lab that
    /// does not keep them.
    pub fn messages(&self) -> Vec<ReceivedMessage> {
        let mailbox = self
            .state
            .mailbox
            .as_ref()
            .map(|mailbox| lock(mailbox).clone());
        mailbox.unwrap_or_default()
    }

    /// Takes away the messages accepted so far, in the order in which they were accepted: those that a caller
    /// does not keep are gone. In a log each has its event before or by now, in the same order.
    pub fn take_messages(&self) -> Vec<ReceivedMessage> {
        let mailbox = self.state.mailbox.as_ref();
        mailbox.map_or_else(Vec::new, |mailbox| std::mem::take(&mut *lock(mailbox)))
    }

    /// Stops everything and waits until it has stopped, so that ports are free again.
    pub async fn stop(self) {
        self.serving.stop().await;
    }
}
