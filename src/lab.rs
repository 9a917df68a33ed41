//! The lab: a name server and as many SMTP receivers as the records have addresses, on one network.
//!
//! [`Lab`] starts everything and stops it when it is dropped. It knows records and faults, and
//! nothing of what is expected of delivery. `LabState` is what its parts share.
//!
//! A lab comes up in this order ([`Lab::start`] and its variants all end in `launch`):
//!
//! 1. `topology` reads off the zone who stands where: a receiver for each address, a web server for
//!    each MTA-STS policy, an authority if anything needs a certificate.
//! 2. `network` binds what these hosts need on the kind of network that was asked for.
//! 3. `state` is made: clock, log, records, faults, mailbox. Time starts here.
//! 4. Servers behind receivers are tried once, so that a drill does not fail for the lack of one.
//! 5. The name server, the receivers and the web servers are served in tasks of the lab, until it
//!    is dropped.
//!
//! From then on a session of a receiver is `receiver`'s, a query is `name_server`'s, and how either
//! arrives is `network`'s and, below it, `memory`'s, `loopback`'s with `listener`, or `namespace`'s.
//! What is read out of a message is `dsn`'s and `mailbox`'s. Faults that come by hand are in
//! `by_hand`.

mod by_hand;
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
mod receiver;
pub(crate) mod seen;
mod serving;
mod state;
pub(crate) mod stub;
mod topology;
mod upstream;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
    time::Duration,
};

use tokio::{sync::watch, task::JoinSet};

pub use self::by_hand::Failing;
pub use self::mailbox::{Content, ReceivedMessage};
pub use self::network::NetworkKind;
use self::{
    delays::Delays,
    mta_sts_server::MtaStsServer,
    receiver::Receiver,
    seen::SaysWhatIsOpen,
    serving::{OwnThread, Serving},
    topology::Topology,
};
pub(crate) use self::{mailbox::ID_DOMAIN, serving::block_on, state::LabState};
use self::{
    network::listen::{self, Watched},
    state::Clock,
};
use crate::{
    error::{Error, NotSeen},
    event::{AttemptHint, Event, EventKind, EventLog},
    fault::Faults,
    mail::MessageIndex,
    name::Domain,
    observe::{self, Attempt},
    scenario::Scenario,
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
}

impl Lab {
    /// Starts a lab from zone-file text alone, on the loopback network.
    ///
    /// # Errors
    /// The mistakes in the zone text, or that sockets could not be bound.
    ///
    /// For tests that need no faults and no expectations:
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), mxdrill::Error> {
    /// let lab = mxdrill::Lab::from_zone(
    ///     "example.test.     300 MX 10 mx1.example.test.
    ///      mx1.example.test. 300 A  192.0.2.1",
    /// )
    /// .await?;
    /// println!("{} {}", lab.resolver(), lab.smtp_port());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn from_zone(zone: &str) -> Result<Self, Error> {
        let scenario = Scenario::from_zone(zone)?;
        Self::start(Arc::new(scenario), NetworkKind::Loopback).await
    }

    /// Starts a lab for a scenario.
    ///
    /// On the loopback network it runs on a thread of its own and answers whatever the caller's thread does;
    /// any runtime will do, and none ([`crate::blocking::Lab`]). The memory network wants a tokio runtime
    /// whose clock is paused: it shares that clock, which advances only while nothing computes.
    ///
    /// # Errors
    /// On the loopback network, that sockets could not be bound.
    pub async fn start(scenario: Arc<Scenario>, kind: NetworkKind) -> Result<Self, Error> {
        Self::start_at(scenario, kind, 0, 0).await
    }

    /// As [`Lab::start`], on these ports of the loopback network; 0 is any free one.
    ///
    /// # Errors
    /// That sockets could not be bound.
    pub async fn start_at(
        scenario: Arc<Scenario>,
        kind: NetworkKind,
        dns_port: u16,
        smtp_port: u16,
    ) -> Result<Self, Error> {
        Self::launch(
            scenario,
            kind,
            LoopbackBinding {
                dns_port,
                smtp_port,
                spread: Spread::default(),
            },
            Watched::default(),
            AcceptedMail::Kept,
        )
        .await
    }

    /// As [`Lab::start_at`], for a caller that reads the log alone: accepted messages are not kept.
    ///
    /// # Errors
    /// That sockets could not be bound.
    pub async fn start_without_mailbox(
        scenario: Arc<Scenario>,
        kind: NetworkKind,
        place: LoopbackBinding,
    ) -> Result<Self, Error> {
        Self::launch(
            scenario,
            kind,
            place,
            Watched::default(),
            AcceptedMail::Dropped,
        )
        .await
    }

    /// Starts a lab in the private network that this process is in; every packet goes to `packets`, and
    /// `own_host` says what is made of connections of the sender's host to itself.
    ///
    /// # Errors
    /// That the process is not in such a network, or may not see its packets.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub async fn start_watched(
        scenario: Arc<Scenario>,
        packets: Option<tokio::sync::mpsc::UnboundedSender<Packet>>,
        own_host: namespace::OwnHost,
        mailbox: AcceptedMail,
    ) -> Result<Self, Error> {
        let watched = Watched { packets, own_host };
        Self::launch(
            scenario,
            NetworkKind::Namespace,
            LoopbackBinding::default(),
            watched,
            mailbox,
        )
        .await
    }

    /// Starts a lab on the thread on which it is to be served.
    async fn launch(
        scenario: Arc<Scenario>,
        kind: NetworkKind,
        place: LoopbackBinding,
        watched: Watched,
        mailbox: AcceptedMail,
    ) -> Result<Self, Error> {
        let set_up = move || Self::set_up(scenario, kind, place, watched, mailbox);
        let (state, serving) = if kind.shares_the_callers_thread() {
            let (state, tasks) = set_up().await?;
            (state, Serving::Here(tasks))
        } else {
            let (state, thread) = OwnThread::start(set_up).await?;
            (state, Serving::Thread(thread))
        };
        Ok(Self {
            _at_the_end: SaysWhatIsOpen(Arc::clone(&state)),
            state,
            serving,
            patience: PATIENCE,
        })
    }

    /// Sets a lab up in an order in which nothing is missed: sockets are bound first, so that a port
    /// in use is an error before anything runs; then what all parts share is made; and nothing is
    /// served before every real server behind a receiver was reached.
    async fn set_up(
        scenario: Arc<Scenario>,
        kind: NetworkKind,
        place: LoopbackBinding,
        watched: Watched,
        mailbox: AcceptedMail,
    ) -> Result<(Arc<LabState>, JoinSet<()>), Error> {
        let hosts = Topology::of(&scenario.world, kind)?;
        let addresses: Vec<IpAddr> = hosts.addresses().collect();
        let (network, sockets) = listen::bind(kind, &addresses, place, &watched).await?;
        let state = Arc::new(LabState {
            clock: Clock::started(kind),
            log: EventLog::new(),
            network,
            messages: MessageIndex::new(&scenario.messages),
            authority: hosts.authority,
            zones: hosts.zones,
            faults: Mutex::new(Faults::new(&scenario.world.faults)),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            marked: watch::Sender::new(0),
            trouble: watch::Sender::new(None),
            delays: Delays::default(),
            faults_changed: watch::Sender::new(0),
            turned: watch::Sender::default(),
            receivers: hosts.receivers,
            policy_hosts: hosts.policy_hosts,
            sessions: AtomicU64::new(0),
            spool: Arc::default(),
            mailbox: match mailbox {
                AcceptedMail::Kept => Some(Mutex::default()),
                AcceptedMail::Dropped => None,
            },
            announced: Mutex::default(),
            scenario,
        });
        upstream::all_reachable(state.receivers.values()).await?;
        let mut tasks = JoinSet::new();
        listen::serve(&state, sockets, watched, &mut tasks)?;
        state.all_turned(0).await;
        Ok((state, tasks))
    }

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

    /// Whether hosts are told apart by their ports, as was asked for or for lack of addresses ([`Spread`]).
    pub fn differs_by_ports(&self) -> bool {
        self.state.network.differs_by_ports()
    }

    /// Where each receiver listens, ordered by its address in the zone.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |receiver: &Arc<Receiver>| Endpoint {
            hosts: receiver.names.clone(),
            zone_address: receiver.address,
            answered: self.state.network.translated(receiver.address),
            listens: self.state.network.endpoint(receiver.address),
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
        };
        self.state.policy_hosts.iter().map(endpoint).collect()
    }

    /// The certificate of the lab's authority in PEM, for a sender that shall trust it; `None`
    /// where no receiver has a certificate and there is no policy.
    pub fn authority_pem(&self) -> Option<String> {
        self.state.authority.as_ref().map(CertificateAuthority::pem)
    }

    /// Connects to an address of the zone, as a host on the lab's network does.
    ///
    /// # Errors
    /// What a connection meets: refused, unreachable, reset. A time-out is the caller's: the future
    /// then never ends.
    ///
    /// For tests that speak SMTP themselves: nothing is announced, so the log cannot say which
    /// message it is for.
    pub async fn connect(&self, address: IpAddr, port: u16) -> io::Result<Stream> {
        let state = Arc::clone(&self.state);
        let connect =
            async move { network::connect(&state, address, port, AttemptHint::default()).await };
        self.serving.run(connect).await
    }

    /// How long [`Lab::wait_for`] and [`Lab::wait_for_message`] wait, by the lab's clock: ten seconds unless it is
    /// set here.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Waits for an event, past ones included.
    ///
    /// # Errors
    /// When none came in time ([`Lab::with_patience`]): [`Error::NotSeen`] says what the lab saw instead.
    /// When the lab has ended before.
    ///
    /// The condition sees every event once, in order, from the first one on.
    pub async fn wait_for(&self, condition: impl FnMut(&Event) -> bool) -> Result<Event, Error> {
        self.wait_for_what("an event that satisfies the condition", condition)
            .await
    }

    async fn wait_for_what(
        &self,
        what: &str,
        condition: impl FnMut(&Event) -> bool,
    ) -> Result<Event, Error> {
        if self.has_ended() {
            return Err(Error::Ended);
        }
        tokio::select! {
            biased;
            found = self.state.log.find(condition) => Ok(found),
            () = self.serving.sleep(self.patience) => Err(match self.has_ended() {
                true => Error::Ended,
                false => Error::NotSeen(NotSeen {
                    what: what.to_owned(),
                    waited: self.patience,
                    seen: seen::lines(&self.state),
                }),
            }),
        }
    }

    /// Waits until a receiver accepts a message for this recipient, one that was accepted before
    /// included, and returns the last such message. The recipient is compared as it was given in
    /// RCPT.
    ///
    /// # Errors
    /// As [`Lab::wait_for`].
    pub async fn wait_for_message(&self, recipient: &str) -> Result<ReceivedMessage, Error> {
        let taken = |event: &Event| matches!(&event.kind, EventKind::Taken { to, .. } if to.iter().any(|to| to == recipient));
        let what = format!("a message for {recipient}");
        self.wait_for_what(&what, taken).await?;
        let messages = self.messages().into_iter();
        let found = messages
            .rev()
            .find(|message| message.to.iter().any(|to| to == recipient));
        let dropped = || Error::LabFailed("this lab does not keep messages".to_owned());
        found.ok_or_else(dropped)
    }

    /// Keeps the lab's thread busy for so long.
    #[cfg(test)]
    pub(crate) async fn hold_up(&self, time: Duration) {
        let sleep = async move {
            std::thread::sleep(time);
            Ok(())
        };
        self.serving.run(sleep).await.expect("it slept");
    }

    /// Whether nothing is served any more: a lab on the caller's runtime ends with that.
    fn has_ended(&self) -> bool {
        self.state.network.has_ended() || self.serving.has_ended()
    }

    /// Waits until every session has ended.
    ///
    /// Sessions end by themselves: a client that is gone is noticed, and one that is idle is hung
    /// up on after five minutes.
    pub(crate) async fn settled(&self) {
        network::caught_up(&self.state).await;
        let log = &self.state.log;
        loop {
            // Before looking, so that an end right after is not missed.
            let seen = log.len();
            if log.open_sessions() == 0 {
                return;
            }
            log.past(seen).await;
        }
    }

    /// Why what the lab saw cannot be relied on, such as a receiver that could not listen; `None`
    /// if it can. The first reason counts.
    pub fn trouble(&self) -> Option<String> {
        self.state.trouble.borrow().clone()
    }

    /// Waits until what the lab saw cannot be relied on. It does not return if that does not
    /// happen.
    pub async fn failed(&self) {
        let mut trouble = self.state.trouble.subscribe();
        // It ends with the lab, which is here.
        drop(trouble.wait_for(Option::is_some).await);
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

    /// Waits until there are more events than this: with a count of n, until the one of index n is
    /// there.
    pub async fn past(&self, count: usize) {
        self.state.log.past(count).await;
    }

    /// Every attempt so far, as the lab's side saw it: each connection, or each transaction of one.
    pub fn attempts(&self) -> Vec<Attempt> {
        observe::attempts(&self.state.scenario, &self.events())
    }

    /// The messages accepted so far, in the order in which they were accepted. None in a lab that
    /// does not keep them.
    pub fn messages(&self) -> Vec<ReceivedMessage> {
        let mailbox = self.state.mailbox.as_ref().map(|mailbox| {
            let mailbox = mailbox.lock().unwrap_or_else(PoisonError::into_inner);
            mailbox.clone()
        });
        mailbox.unwrap_or_default()
    }

    /// Stops everything and waits until it has stopped, so that ports are free again.
    pub async fn stop(self) {
        self.serving.stop().await;
    }
}
