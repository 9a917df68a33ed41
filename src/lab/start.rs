//! How a lab comes up, in the order of the list in `lab`.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, atomic::AtomicU64},
};

use tokio::{sync::watch, task::JoinSet};

use super::{
    AcceptedMail, Lab, LabState, LoopbackBinding, NetworkKind, PATIENCE, Spread,
    clock::LabClock,
    crashes::Crashes,
    delays::Delays,
    network::{
        Network,
        listen::{self, Watched},
    },
    seen::SaysWhatIsOpen,
    serving::{OwnThread, Serving},
    topology::Topology,
    updates::LiveRecords,
    upstream,
};
#[cfg(all(target_os = "linux", feature = "private-network"))]
use super::{Packet, SharedTime, namespace};
use crate::{error::Error, event::EventLog, fault::Faults, mail::MessageIndex, scenario::Scenario};

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

    /// As [`Lab::start`], on the loopback network at a place that the caller says, with or without a mailbox.
    ///
    /// # Errors
    /// That sockets could not be bound.
    pub async fn start_on_loopback(
        scenario: Arc<Scenario>,
        place: LoopbackBinding,
        mailbox: AcceptedMail,
    ) -> Result<Self, Error> {
        let kind = NetworkKind::Loopback;
        Self::launch(scenario, kind, place, Watched::default(), mailbox).await
    }

    /// Starts a lab in the private network that this process is in; every packet goes to `packets`, and
    /// `own_host` says what is made of connections of the sender's host to itself. With a `time` the lab lives by
    /// that, and not by the system's clock.
    ///
    /// # Errors
    /// That the process is not in such a network, or may not see its packets.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub async fn start_watched(
        scenario: Arc<Scenario>,
        packets: Option<tokio::sync::mpsc::UnboundedSender<Packet>>,
        own_host: namespace::OwnHost,
        mailbox: AcceptedMail,
        time: Option<SharedTime>,
    ) -> Result<Self, Error> {
        let watched = Watched {
            packets,
            own_host,
            time,
        };
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
        let hosts = Topology::of(&scenario.world, &scenario.sender.relays, kind)?;
        let addresses: Vec<IpAddr> = hosts.addresses().collect();
        let further: Vec<(IpAddr, u16)> = hosts.further_ports().collect();
        let listening = (&addresses[..], &further[..]);
        let (network, sockets) = listen::bind(kind, listening, place, &watched).await?;
        let clock = LabClock::started(kind, watched.time.clone());
        let state = Arc::new(LabState::new(scenario, hosts, network, clock, mailbox));
        let receivers = state.receivers.values();
        let behind = receivers.filter_map(|receiver| receiver.upstream.as_deref());
        upstream::all_reachable(behind).await?;
        let mut tasks = JoinSet::new();
        listen::serve(&state, sockets, watched, &mut tasks)?;
        state.all_turned(0).await;
        Ok((state, tasks))
    }
}

impl LabState {
    /// What a sender has to know of a lab that another process keeps, in the private network that both are in: where
    /// the name server is, whom to trust, and the scenario with its settings. Nothing is served, and what is logged here
    /// nobody sees.
    ///
    /// # Errors
    /// That certificates cannot be had.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(crate) fn of_another_process(scenario: Arc<Scenario>) -> Result<Self, Error> {
        let kind = NetworkKind::Namespace;
        let hosts = Topology::of(&scenario.world, &scenario.sender.relays, kind)?;
        let clock = LabClock::started(kind, None);
        let dropped = AcceptedMail::Dropped;
        Ok(Self::new(
            scenario,
            hosts,
            Network::Namespace,
            clock,
            dropped,
        ))
    }

    /// The state of a lab in which nothing has happened.
    fn new(
        scenario: Arc<Scenario>,
        hosts: Topology,
        network: Network,
        clock: LabClock,
        mailbox: AcceptedMail,
    ) -> Self {
        Self {
            clock,
            log: EventLog::new(),
            network,
            messages: MessageIndex::new(&scenario.messages),
            authority: hosts.authority,
            records: LiveRecords::new(hosts.zones, Arc::clone(&scenario), hosts.own),
            faults: Mutex::new(Faults::new(&scenario.world.faults, scenario.seed)),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            marked: watch::Sender::new(0),
            trouble: watch::Sender::new(None),
            delays: Delays::default(),
            faults_changed: watch::Sender::new(0),
            turned: watch::Sender::default(),
            crashes: Crashes::none(),
            receivers: hosts.receivers,
            policy_hosts: hosts.policy_hosts,
            loads: Mutex::default(),
            sessions: AtomicU64::new(0),
            spool: Arc::default(),
            mailbox: match mailbox {
                AcceptedMail::Kept => Some(Mutex::default()),
                AcceptedMail::Dropped => None,
            },
            announced: Mutex::default(),
            scenario,
        }
    }
}
