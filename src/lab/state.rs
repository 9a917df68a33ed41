//! What the parts of a lab share: time, log, records, faults, mailbox.
//!
//! Everything that is served holds the same `LabState`. It is data with small questions; what is done
//! with it is in the files that it names. Locks in it are held for one look, never over an await.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use hickory_proto::rr::RecordType;
use tokio::sync::watch;

use super::{
    clock::LabClock,
    crashes::Crashes,
    datagrams,
    delays::Delays,
    dsn::DeliveryStatus,
    mailbox::{Keeps, ReceivedMessage, Spool},
    mta_sts_server::MtaStsServer,
    network::Network,
    receiver::{Loads, Receiver},
    updates::LiveRecords,
};
use crate::{
    event::{AttemptHint, Connected, EventKind, EventLog, SessionId},
    fault::{Effect, Faults, Point, QueryEffect, Stage, Transfer, Transport},
    lock::lock,
    mail::{MessageId, MessageIndex},
    name::Domain,
    scenario::Scenario,
    time::Moment,
    tls::CertificateAuthority,
    zone::{Answer, History},
};

/// What the parts of a lab share.
pub(crate) struct LabState {
    pub(crate) clock: LabClock,
    // All that a verdict sees.
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
    pub(crate) authority: Option<CertificateAuthority>,
    /// Finds a message of the drill by its id.
    pub(super) messages: MessageIndex,
    /// The zone in all its versions.
    pub(super) records: LiveRecords,
    /// The faults of the scenario and those put up by hand, with their counts.
    pub(super) faults: Mutex<Faults>,
    /// Counts how often a fault was put up or lifted by hand or was counted, so that listeners look again.
    pub(super) faults_changed: watch::Sender<u64>,
    /// By address in the zone and port, up to which of these changes each listener on loopback has followed.
    pub(super) turned: watch::Sender<BTreeMap<(IpAddr, u16), Option<u64>>>,
    /// When the sender is to be killed, if somebody does it.
    pub(super) crashes: Crashes,
    /// By address in the zone.
    pub(super) receivers: BTreeMap<IpAddr, Arc<Receiver>>,
    pub(super) policy_hosts: BTreeMap<IpAddr, Arc<MtaStsServer>>,
    /// What the receivers bear at the moment.
    pub(super) loads: Mutex<Loads>,
    /// Sessions begun so far; the next one gets the number after it.
    pub(super) sessions: AtomicU64,
    /// Where long messages are kept.
    pub(super) spool: Arc<Spool>,
    /// The accepted messages; `None` in a lab that does not keep them.
    pub(super) mailbox: Option<Mutex<Vec<ReceivedMessage>>>,
    /// What senders inside the process said of connections that are not accepted yet, by the
    /// address that they come from.
    pub(super) announced: Mutex<BTreeMap<SocketAddr, AttemptHint>>,
}

impl LabState {
    pub(crate) fn zones(&self) -> Arc<History> {
        self.records.served()
    }

    /// Logs an event of this moment.
    pub(crate) fn record(&self, what: EventKind) {
        self.log.record(self.clock.now(), what);
    }

    /// Logs what came of a connection.
    pub(super) fn record_connect(
        &self,
        session: SessionId,
        (address, port): (IpAddr, u16),
        hosts: Arc<[Domain]>,
        result: Connected,
        hint: AttemptHint,
    ) {
        self.record(EventKind::Connect {
            session,
            address,
            port,
            hosts,
            result,
            hint,
        });
    }

    /// Notes that the lab itself failed, as with a socket that could not be bound again. It is held
    /// against nobody, and what it saw cannot be relied
    /// on; the first reason is kept.
    pub(super) fn own_fault(&self, what: String) {
        self.trouble.send_if_modified(|trouble| {
            let first = trouble.is_none();
            trouble.get_or_insert(what);
            first
        });
    }

    /// Notes questions to the name server and answers of it that the kernel dropped, and connections that found a backlog
    /// full: to a sender they look like a name server that does not answer and an exchanger that is silent.
    pub(super) fn look_for_losses(&self) {
        let lost = self.lost_questions();
        if lost > 0 {
            self.own_fault(format!(
                "{lost} questions to the name server were lost before it saw them: the kernel had no room for more"
            ));
        }
        // This machine's are others', too.
        if !self.network.has_sockets() || self.network.is_of_this_machine() {
            return;
        }
        let unanswered = datagrams::without_room().saturating_sub(lost);
        if unanswered > 0 {
            self.own_fault(format!(
                "{unanswered} datagrams to others than the name server, its answers among them, found no room where they were to be read"
            ));
        }
        let turned_away = datagrams::turned_away();
        if turned_away > 0 {
            self.own_fault(format!(
                "{turned_away} connections were not answered for want of room in the backlog of whoever listened"
            ));
        }
    }

    /// How many questions the kernel dropped so far.
    pub(super) fn lost_questions(&self) -> u64 {
        // A private network has the name server at several addresses, and nobody else at its port.
        let at_any = !self.network.is_of_this_machine();
        match self.network.has_sockets() {
            true => datagrams::dropped(self.network.resolver(), at_any),
            false => 0,
        }
    }

    /// How much is kept of what a receiver accepts. A server behind it needs all octets, even if
    /// nobody will look at them later.
    pub(super) fn keeps(&self, receiver: &Receiver) -> Keeps {
        if self.mailbox.is_some() || receiver.upstream.is_some() {
            Keeps::All
        } else {
            Keeps::Head
        }
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    /// The faults and the time, which need not be asked for where nothing is to fail.
    fn faults_now(&self) -> Option<(MutexGuard<'_, Faults>, Moment)> {
        let faults = self.faults();
        (!faults.is_empty()).then(|| (faults, self.clock.now()))
    }

    pub(super) fn loads(&self) -> MutexGuard<'_, Loads> {
        lock(&self.loads)
    }

    fn point<'a>(
        receiver: &'a Receiver,
        port: u16,
        stage: Stage,
        message: Transfer<'a>,
    ) -> Point<'a> {
        Point {
            address: receiver.address,
            names: &receiver.names,
            port,
            stage,
            message,
        }
    }

    /// Lets listeners look at the faults again; the number of the change.
    pub(super) fn faults_have_changed(&self) -> u64 {
        let mut number = 0;
        self.faults_changed.send_modify(|changes| {
            *changes += 1;
            number = *changes;
        });
        number
    }

    /// Returns when every listener that is served has followed a change of the faults.
    pub(super) async fn all_turned(&self, change: u64) {
        let all = |turned: &BTreeMap<(IpAddr, u16), Option<u64>>| {
            turned
                .values()
                .all(|one| one.is_some_and(|one| one >= change))
        };
        // The sender is here, so that it does not end.
        drop(self.turned.subscribe().wait_for(all).await);
    }

    /// The effect that a stage meets now, counted against the fault that has it.
    pub(super) fn strike(
        &self,
        receiver: &Receiver,
        port: u16,
        stage: Stage,
        message: Transfer<'_>,
    ) -> Option<Effect> {
        let (mut faults, now) = self.faults_now()?;
        faults.strike(now, Self::point(receiver, port, stage, message))
    }

    /// The effect that a stage would meet now, without counting it.
    pub(super) fn foresee(&self, receiver: &Receiver, port: u16, stage: Stage) -> Option<Effect> {
        let (faults, now) = self.faults_now()?;
        let point = Self::point(receiver, port, stage, Transfer::default());
        faults.foresee(now, point).map(|(effect, _)| effect)
    }

    /// The effect that a connection would meet now, and whether its fault has a count. Without one
    /// the kernel can be left to it.
    pub(super) fn foresee_connect(&self, receiver: &Receiver, port: u16) -> Option<(Effect, bool)> {
        let (faults, now) = self.faults_now()?;
        let point = Self::point(receiver, port, Stage::Connect, Transfer::default());
        faults.foresee(now, point)
    }

    /// Takes the scenario's crashes on for whoever kills the sender.
    pub(crate) fn take_crashes_on(&self) {
        self.crashes.take_on(&self.scenario.crashes);
    }

    /// When the next crash at a moment is; `None` if there is none left.
    pub(crate) fn next_crash_at(&self) -> Option<Moment> {
        self.crashes.next_at()
    }

    /// Waits until a crash is due.
    pub(crate) async fn crash_is_due(&self) {
        let moment = async {
            match self.crashes.next_at() {
                Some(at) => self.clock.sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.crashes.stage_is_due() => {}
            () = moment => {}
        }
    }

    /// Logs the crash that was due, and lets the session go on that was held for it.
    pub(crate) fn crashed(&self) {
        // Before the session goes on, and says that its client is gone.
        let after = self.crashes.due();
        self.record(EventKind::Crash { after });
        self.crashes.carried_out();
    }

    /// The effect that a query meets now, counted against the fault that has it.
    pub(super) fn strike_query(
        &self,
        name: &Domain,
        record_type: RecordType,
        over: Transport,
    ) -> Option<QueryEffect> {
        let (mut faults, now) = self.faults_now()?;
        faults.strike_query(now, name, record_type, over)
    }

    /// A number for a session, from 1.
    pub(super) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Says for which message a connection is that will come from this address. The listener asks
    /// once ([`LabState::announced`]).
    pub(super) fn announce(&self, from: SocketAddr, hint: AttemptHint) {
        lock(&self.announced).insert(from, hint);
    }

    /// What was said of a connection from this address; nothing for a foreign sender's.
    pub(super) fn announced(&self, from: SocketAddr) -> AttemptHint {
        lock(&self.announced).remove(&from).unwrap_or_default()
    }

    /// Whether the lab's resolver sets the AD bit on an answer: all its names must be signed.
    ///
    /// The scenario lists the signed zones by their apex. Answers that cross into an unsigned zone,
    /// as by an alias, are not vouched for.
    pub(super) fn vouches_for(&self, asked: &Domain, answer: &Answer) -> bool {
        let signed = |name: &Domain| {
            self.scenario
                .world
                .dnssec
                .iter()
                .any(|apex| name.is_within(apex))
        };
        signed(asked)
            && answer
                .records
                .iter()
                .all(|record| signed(&Domain::from(&record.name)))
    }

    /// Takes a message that a receiver accepted: into the log, and into the mailbox if there is
    /// one.
    ///
    /// A message from the null reverse-path may be a notification (RFC 5321 section 4.5.5), and one that is
    /// made as a report is, whatever its reverse-path. Only one about a message of the drill is logged as such.
    pub(super) fn take(&self, captured: ReceivedMessage) {
        let messages = &self.scenario.messages;
        let known = |id: &MessageId| self.messages.find(messages, id).is_some();
        let header = captured.content.header();
        let message = header.id.filter(known);
        // Sent from elsewhere it is one all the same if it is made as one, and that is wrong of it.
        let is_one = captured.from.is_empty() || message.is_none() && header.is_report;
        let report = is_one.then(|| captured.content.report());
        let about = report.as_ref().and_then(|report| report.about.clone());
        let about = about.filter(known);
        let told = report.filter(|_| about.is_some());
        let taken = EventKind::Taken {
            session: captured.session,
            message,
            action: told.as_ref().and_then(DeliveryStatus::action),
            status: told.as_ref().and_then(DeliveryStatus::status),
            about,
            report: told.map(|told| Box::new(told.said)),
            from: captured.from.clone(),
            to: captured.to.clone(),
            octets: captured.content.len(),
            body: Some(captured.content.body()),
            tls: captured.tls,
        };
        // Before the log tells of it: whoever reads that looks for the message.
        if let Some(mailbox) = &self.mailbox {
            lock(mailbox).push(captured);
        }
        self.record(taken);
    }
}
