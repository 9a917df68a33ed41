//! What the parts of a lab share: time, log, records, faults, mailbox.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use hickory_proto::rr::RecordType;
use tokio::{sync::watch, time::Instant};

use super::{
    delays::Delays,
    mailbox::{Captured, Keeps, Spool},
    network::Network,
    policy_host::PolicyHost,
    receiver::Receiver,
    report::Report,
};
use crate::{
    event::{EventLog, Purpose, SessionId, What},
    fault::{Effect, Faults, Point, QueryEffect, Stage, Transport},
    mail::{MessageId, MessageIndex},
    name::Domain,
    scenario::Scenario,
    time::Moment,
    tls::Authority,
    zone::{Answer, History},
};

/// The lab's time: the runtime's clock, which a memory drill pauses, counted from the start. Where
/// time is real and nothing is under way, it may leap ahead.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    start: Instant,
    leapt: watch::Sender<Duration>,
}

impl Clock {
    pub(super) fn started() -> Self {
        Self {
            start: Instant::now(),
            leapt: watch::Sender::new(Duration::ZERO),
        }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(self.start.elapsed() + *self.leapt.borrow())
    }

    pub(crate) async fn sleep_until(&self, moment: Moment) {
        let mut leapt = self.leapt.subscribe();
        while self.now() < moment {
            let left = moment.since(self.now());
            tokio::select! {
                () = tokio::time::sleep(left) => {}
                _ = leapt.changed() => {}
            }
        }
    }

    /// Makes it this moment at once, if it is still ahead: whoever sleeps until then wakes.
    pub(crate) fn leap_to(&self, moment: Moment) {
        let ahead = moment.since(self.now());
        self.leapt.send_modify(|leapt| *leapt += ahead);
    }
}

/// What the parts of a lab share.
pub(crate) struct Site {
    pub(crate) clock: Clock,
    pub(crate) log: EventLog,
    pub(crate) network: Network,
    pub(crate) scenario: Arc<Scenario>,
    /// Why what the lab saw cannot be relied on: a fault of its own.
    pub(super) trouble: watch::Sender<Option<String>>,
    /// By how much the lab was held up.
    pub(super) delays: Delays,
    /// The last mark that the tap of a private network came to; see [`super::namespace::caught_up`].
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(super) marked: watch::Sender<u16>,
    /// Where there are certificates.
    pub(crate) authority: Option<Authority>,
    pub(super) messages: MessageIndex,
    pub(super) zones: History,
    pub(super) faults: Mutex<Faults>,
    pub(super) faults_changed: watch::Sender<()>,
    pub(super) receivers: BTreeMap<IpAddr, Arc<Receiver>>,
    pub(super) policy_hosts: BTreeMap<IpAddr, Arc<PolicyHost>>,
    pub(super) sessions: AtomicU64,
    pub(super) spool: Arc<Spool>,
    /// `None`: nobody will look into it.
    pub(super) mailbox: Option<Mutex<Vec<Captured>>>,
    /// What in-process senders said of connections under way, by the address they come from.
    pub(super) announced: Mutex<BTreeMap<SocketAddr, Purpose>>,
}

impl Site {
    pub(crate) fn zones(&self) -> &History {
        &self.zones
    }

    pub(crate) fn record(&self, what: What) {
        self.log.record(self.clock.now(), what);
    }

    /// Notes a fault of the lab's own, which is held against nobody; the first is told.
    pub(super) fn own_fault(&self, what: String) {
        self.trouble.send_if_modified(|trouble| {
            let first = trouble.is_none();
            trouble.get_or_insert(what);
            first
        });
    }

    /// How much is kept of what a receiver takes.
    pub(super) fn keeps(&self, receiver: &Receiver) -> Keeps {
        match self.mailbox.is_some() || receiver.upstream.is_some() {
            true => Keeps::All,
            false => Keeps::Head,
        }
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn point<'a>(receiver: &'a Receiver, stage: Stage, recipient: Option<&'a str>) -> Point<'a> {
        Point {
            address: receiver.address,
            names: &receiver.names,
            stage,
            recipient,
        }
    }

    pub(super) fn strike(
        &self,
        receiver: &Receiver,
        stage: Stage,
        recipient: Option<&str>,
    ) -> Option<Effect> {
        self.faults()
            .strike(self.clock.now(), Self::point(receiver, stage, recipient))
    }

    /// What a session would meet at a stage now.
    pub(super) fn foresee(&self, receiver: &Receiver, stage: Stage) -> Option<Effect> {
        self.faults()
            .foresee(self.clock.now(), Self::point(receiver, stage, None))
            .map(|(effect, _)| effect)
    }

    /// What a connection would meet now, and whether that ends with a count.
    pub(super) fn foresee_connect(&self, receiver: &Receiver) -> Option<(Effect, bool)> {
        self.faults().foresee(
            self.clock.now(),
            Self::point(receiver, Stage::Connect, None),
        )
    }

    pub(super) fn strike_query(
        &self,
        name: &Domain,
        record_type: RecordType,
        over: Transport,
    ) -> Option<QueryEffect> {
        self.faults()
            .strike_query(self.clock.now(), name, record_type, over)
    }

    pub(super) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Says whom a connection that will come from this address is for.
    pub(super) fn announce(&self, from: SocketAddr, purpose: Purpose) {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(from, purpose);
    }

    pub(super) fn announced(&self, from: SocketAddr) -> Purpose {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&from)
            .unwrap_or_default()
    }

    /// Whether the lab's resolver sets the AD bit on an answer: all its names must be signed.
    pub(super) fn vouches_for(&self, asked: &Domain, answer: &Answer) -> bool {
        let signed = |name: &Domain| self.scenario.dnssec.iter().any(|apex| name.is_within(apex));
        signed(asked)
            && answer
                .records
                .iter()
                .all(|record| signed(&Domain::from(&record.name)))
    }

    pub(super) fn take(&self, captured: Captured) {
        let messages = &self.scenario.messages;
        let known = |id: &MessageId| self.messages.find(messages, id).is_some();
        let report = captured.from.is_empty().then(|| captured.content.report());
        let about = report.as_ref().and_then(|report| report.about.clone());
        let about = about.filter(known);
        let told = report.as_ref().filter(|_| about.is_some());
        self.record(What::Taken {
            session: captured.session,
            message: captured.content.id().filter(known),
            action: told.and_then(Report::action),
            status: told.and_then(Report::status),
            about,
            from: captured.from.clone(),
            to: captured.to.clone(),
            octets: captured.content.len(),
            tls: captured.tls,
        });
        if let Some(mailbox) = &self.mailbox {
            mailbox
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(captured);
        }
    }
}
