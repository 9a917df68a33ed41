//! The reference sender: takes up messages and those that wait for their next pass, as they are due,
//! gives up, returns.
//!
//! Each next hop of a message is a queue entry of its own. Time and randomness come from outside: the
//! lab's clock and the drill's seed.
//!
//! A step is all that is done for an entry before it waits again or ends:
//!
//! 1. At the first step, a message with too many Received fields is taken for a loop and given up
//!    (RFC 5321 section 6.3).
//! 2. An entry whose time is over is given up with status 5.4.7 (RFC 5321 section 4.5.4.1).
//! 3. Otherwise one pass over the candidates is made (`agent`).
//! 4. If recipients are left, they are reported as deferred, and the entry is queued for the
//!    next interval, or for its deadline if that comes first.
//! 5. What failed for good is returned in one notification to the reverse-path, which is queued as
//!    an entry of its own (RFC 5321 section 6.1). What the author asked to be told besides (RFC 3461) goes
//!    the same way.
//!
//! Many steps are in flight at once, in one task: they wait for the network, not for each other.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{FutureExt, LocalBoxFuture},
    stream::FuturesUnordered,
};

use super::{
    Flaw, Sender, SenderContext,
    agent::DeliveryAgent,
    content::{Reported, Told, expired},
    moments::Moments,
    queue_entry::{InFlight, QueueEntry},
    smtp_client::Reason,
};
use crate::{
    event::EventLog,
    lab::network::bounds::MAX_SESSIONS,
    mail::{Mailbox, Message, Occasion},
    name::{Domain, SENDER_DOMAIN},
    reply::Status,
    scenario::Scenario,
    time::Moment,
};

/// Passes under way at once. Each has one session at most, so where sessions are pipes there may be
/// as many as a lab serves, and fewer where each takes a socket and a descriptor. Further passes
/// wait, on the drill's clock; a message may expire meanwhile.
const MAX_PASSES: usize = MAX_SESSIONS;
const MAX_PASSES_ON_SOCKETS: usize = 64;
/// Passes that are begun while others have something to do. More are begun once all of these wait for time to
/// pass: they would only take memory before.
const AT_ONCE: usize = 2_000;
/// How often others had their turn without anything to log, until all are taken to wait.
const QUIET_TURNS: usize = 3;

/// The reference sender: it does what the RFCs ask, or all but one thing with a [`Flaw`].
///
/// ```
/// use mxdrill::sender::{Flaw, Reference};
///
/// let right = Reference::default();
/// let wrong = Reference::with_flaw(Flaw::HighestFirst);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reference {
    /// `None` for a sender that does everything right.
    flaw: Option<Flaw>,
    /// When it tries each message, in place of the scenario's intervals.
    moments: Option<Arc<Moments>>,
}

/// After how long a message is late, for authors who asked to be told: what servers take for it by default.
const LATE: Duration = Duration::from_secs(4 * 3600);

/// Later than every moment.
const NEVER: Moment = Moment(Duration::MAX);

/// How long [`Flaw::GivesUpAfterADay`] keeps a message; a shorter time in the scenario still
/// counts.
const A_DAY: Duration = Duration::from_secs(86_400);

impl Reference {
    /// A sender with a flaw.
    pub fn with_flaw(flaw: Flaw) -> Self {
        Self {
            flaw: Some(flaw),
            moments: None,
        }
    }

    /// The same sender, but with passes at these moments and not at the scenario's: what a sender with a schedule of
    /// its own can be held against.
    pub fn at_moments(self, moments: Moments) -> Self {
        Self {
            moments: Some(Arc::new(moments)),
            ..self
        }
    }
}

impl Sender for Reference {
    async fn send(self, mut context: SenderContext) {
        let agent = DeliveryAgent::new(&context, self.flaw, self.moments);
        let most = if agent.state.network.has_sockets() {
            MAX_PASSES_ON_SOCKETS
        } else {
            MAX_PASSES
        };
        let mut queue = QueueManager::default();
        let mut turns: FuturesUnordered<LocalBoxFuture<'_, QueueStep>> = FuturesUnordered::new();
        let mut room = most.min(AT_ONCE);
        loop {
            while turns.len() < room
                && let Some(entry) = queue.due(&mut context, &agent)
            {
                // A step is not held back by what others have used of the time that they all share:
                // of many, each would be woken in vain.
                let step = tokio::task::unconstrained(agent.step(entry));
                turns.push(step.boxed_local());
            }
            // Policies are kept fresh for mail that is still to come.
            let has_more_mail = !turns.is_empty() || queue.next_at(&context).is_some();
            while has_more_mail
                && turns.len() < room
                && let Some(refresh) = agent.due_refresh()
            {
                turns.push(refresh.map(|()| QueueStep::NOTHING).boxed_local());
            }
            // Others have their turn too, also where no entry waits for anything.
            tokio::task::consume_budget().await;
            // A message is taken up when there is room for it: till then it takes no memory.
            let next = queue.next_at(&context).filter(|_| turns.len() < room);
            let next = next.map(|next| agent.next_refresh().map_or(next, |at| next.min(at)));
            let has_more = turns.len() >= room && room < most;
            let clock = &agent.state.clock;
            tokio::select! {
                biased;
                Some(step) = turns.next(), if !turns.is_empty() => {
                    queue.take_back(step);
                    room = most.min(AT_ONCE.max(turns.len()));
                }
                () = quiet(&agent.state.log), if has_more => room = most.min(room + AT_ONCE),
                () = clock.sleep_until(next.unwrap_or_default()), if next.is_some() => {}
                else => return,
            }
        }
    }
}

/// Waits until nobody has anything to do before time passes, as far as the log shows.
async fn quiet(log: &EventLog) {
    let mut turns = 0;
    while turns < QUIET_TURNS {
        let before = log.len();
        tokio::task::yield_now().await;
        turns = match log.len() == before {
            true => turns + 1,
            false => 0,
        };
    }
}

/// Entries that wait for their next step, ordered by when that is and then by when they were
/// queued, so that two runs with one seed take them in one order.
///
/// Messages that are not due yet stay in the context and take no room here.
#[derive(Default)]
struct QueueManager {
    waiting: BTreeMap<(Moment, u64), Box<QueueEntry>>,
    /// How many ever waited: the tie-breaker between entries of one moment.
    count: u64,
}

impl QueueManager {
    fn add(&mut self, at: Moment, entry: Box<QueueEntry>) {
        self.count += 1;
        self.waiting.insert((at, self.count), entry);
    }

    /// When the first waiting entry is due, which may be in the past if all places were taken.
    fn first_at(&self) -> Option<Moment> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// When the next entry or message is due.
    fn next_at(&self, context: &SenderContext) -> Option<Moment> {
        self.first_at().into_iter().chain(context.next_at()).min()
    }

    /// The next entry to take a step: one that waits, or one of the next message if that was due
    /// before them all. `None` if nothing is due now.
    fn due(
        &mut self,
        context: &mut SenderContext,
        agent: &DeliveryAgent,
    ) -> Option<Box<QueueEntry>> {
        let now = context.now();
        let first = self.first_at();
        let earlier = |at: Moment| first.is_none_or(|first| at < first);
        if context.next_at().is_some_and(earlier)
            && let Some((index, message)) = context.due()
        {
            let at = message.at;
            for entry in agent.entries(index, message) {
                self.add(at, Box::new(entry));
            }
        }
        self.first_at().filter(|first| *first <= now)?;
        self.waiting.pop_first().map(|(_, entry)| entry)
    }

    /// Queues again what a step has left over.
    fn take_back(&mut self, step: QueueStep) {
        if let Some((at, entry)) = step.again {
            self.add(at, entry);
        }
        // Notifications go before all that waits: with them a message comes to its end.
        if let Some(notification) = step.notification {
            self.add(Moment::START, Box::new(notification));
        }
    }
}

/// What a step has left over.
struct QueueStep {
    /// The entry and when its next step is; `None` if it is over.
    again: Option<(Moment, Box<QueueEntry>)>,
    /// The notification of what failed in this step, if there is one to send.
    notification: Option<QueueEntry>,
}

impl QueueStep {
    /// That of work that is no entry's.
    const NOTHING: Self = Self {
        again: None,
        notification: None,
    };
}

impl DeliveryAgent {
    /// The entries that a message of the drill makes: one for each next hop.
    ///
    /// Each has its own stream of random numbers, made of the places of message and next hop in the
    /// scenario.
    fn entries(&self, index: usize, message: Message) -> Vec<QueueEntry> {
        let message = Arc::new(message);
        let in_flight = InFlight::new(message.id.clone(), self.state.log.clone());
        let mut recipients: BTreeMap<&Domain, Vec<Mailbox>> = BTreeMap::new();
        for to in message.to.iter() {
            recipients.entry(&to.domain).or_default().push(to.clone());
        }
        let hops = Scenario::next_hops(&message).into_iter().enumerate();
        hops.map(|(hop_index, hop)| {
            let stream = (index as u64) << 16 | hop_index as u64;
            let to = recipients.remove(&hop).unwrap_or_default();
            let in_flight = Arc::clone(&in_flight);
            QueueEntry::new(
                Arc::clone(&message),
                to,
                hop,
                (self.seed, stream),
                in_flight,
            )
        })
        .collect()
    }

    /// One step of an entry, and the notification about what failed in it.
    async fn step(&self, mut entry: Box<QueueEntry>) -> QueueStep {
        let again = self.advance(&mut entry).await;
        let notification = self.returned(&mut entry);
        QueueStep {
            again: again.map(|at| (at, entry)),
            notification,
        }
    }

    /// Does what is due for an entry. The result is when its next step is; `None` if it is over,
    /// or if that would be after the drill's stop.
    async fn advance(&self, entry: &mut QueueEntry) -> Option<Moment> {
        let now = self.state.clock.now();
        // After the stop nothing is begun. A deadline after it is not reached, either: such a
        // message ends as deferred.
        let stop = self.state.scenario.stop;
        let is_past_stop = |at: Moment| stop.is_some_and(|stop| at > stop);
        let given = entry.message.at;
        let deadline = self.deadline_of(entry);
        if self.tell_late(entry, deadline)
            && let Some(resumes) = entry.resumes.take()
        {
            return Some(resumes);
        }
        if entry.pass == 0 {
            let received = entry.message.received;
            if received >= self.settings.max_hops {
                let text = format!("{received} Received fields: the message goes in a loop");
                let status = Status(5, 4, 6);
                self.fail_rest(entry, Reason { status, text }, None);
                return None;
            }
            if is_past_stop(given) {
                self.say_deferred(entry);
                return None;
            }
        } else if now >= deadline && !is_past_stop(deadline) {
            let (reason, server) = (expired(entry.last.as_ref()), entry.last_server.clone());
            self.fail_rest(entry, reason, server);
            return None;
        } else if is_past_stop(now) {
            return None;
        }
        // The pass is numbered before it is made: attempts in the log carry the number, from 1.
        entry.pass += 1;
        let before = entry.attempts;
        self.pass(entry).await;
        if entry.to.is_empty() || self.flaw == Some(Flaw::DropsMessage) {
            return None;
        }
        // The recipients that are left wait.
        self.say_deferred(entry);
        if self.flaw == Some(Flaw::BouncesTransient) {
            let reason = entry.last.clone().unwrap_or_else(|| expired(None));
            let server = entry.last_server.clone();
            self.fail_rest(entry, reason, server);
            return None;
        }
        self.warn(entry, deadline);
        let next = self.next_pass(entry);
        let wake = next.min(deadline);
        // A drill in which a message shall be left queued says after how many attempts it has seen
        // enough. A pass without any attempt would repeat for ever, so it counts as enough.
        let fruitless = entry.attempts == before;
        let left = entry.message.leave.is_some_and(|leave| {
            wake > leave.after && (fruitless || entry.attempts >= leave.attempts)
        });
        let again = (!left && !is_past_stop(wake) && wake != NEVER).then_some(wake)?;
        // Woken for a word in between, it goes on waiting for its next pass.
        match entry.told_late_at() {
            Some(at) if at < again => {
                entry.resumes = Some(again);
                Some(at)
            }
            _ => Some(again),
        }
    }

    /// When an entry is given up.
    fn deadline_of(&self, entry: &QueueEntry) -> Moment {
        let patience = match self.flaw {
            Some(Flaw::GivesUpAfterADay) => A_DAY.min(self.settings.expire),
            _ => self.settings.expire,
        };
        match self.moments_of(entry) {
            Some(moments) => *moments.given_up.get(&entry.message.id).unwrap_or(&NEVER),
            None => entry.message.at.after(entry.message.patience(patience)),
        }
    }

    /// The moments that are given for an entry: notifications have none.
    fn moments_of(&self, entry: &QueueEntry) -> Option<&Moments> {
        self.moments.as_deref().filter(|_| !entry.is_notification)
    }

    /// When the next pass of an entry begins.
    fn next_pass(&self, entry: &QueueEntry) -> Moment {
        let now = self.state.clock.now();
        let Some(moments) = self.moments_of(entry) else {
            return now.after(self.interval(entry.pass));
        };
        let passes = moments.passes.get(&entry.message.id);
        let index = usize::try_from(entry.pass).unwrap_or(usize::MAX);
        let next = passes.and_then(|passes| passes.get(index));
        next.map_or(NEVER, |next| now.max(*next))
    }

    /// How long to wait after a pass, from the scenario's `retry`; the last interval repeats. RFC
    /// 5321 section 4.5.4.1 asks for 30 minutes at least, which is what counts where there are
    /// none.
    fn interval(&self, pass: u32) -> Duration {
        if self.flaw == Some(Flaw::RetriesAtOnce) {
            return Duration::from_secs(1);
        }
        let index = usize::try_from(pass)
            .unwrap_or(usize::MAX)
            .saturating_sub(1);
        let last = self
            .settings
            .retry
            .last()
            .copied()
            .unwrap_or(Duration::from_secs(1800));
        self.settings.retry.get(index).copied().unwrap_or(last)
    }

    /// Tells that the time in which it was to be delivered is over, once, those recipients' author who did not ask for
    /// other notifications alone (RFC 2852 section 4.1.3); whether it did.
    fn tell_late(&self, entry: &mut QueueEntry, until: Moment) -> bool {
        let now = self.state.clock.now();
        if entry.told_late_at().is_none_or(|at| now < at) {
            return false;
        }
        entry.told_late = true;
        let wants = |to: &&Mailbox| {
            let asks = entry.message.request_of(to).notify;
            asks.is_none_or(|notify| notify.wants(Occasion::Delay))
        };
        let late = entry.to.iter().filter(wants).map(|to| Reported {
            recipient: to.clone(),
            told: Told::Delayed { until },
            reason: Reason {
                status: Status(4, 4, 7),
                text: "not delivered in the time that was asked for".to_owned(),
            },
            server: None,
        });
        let late: Vec<Reported> = late.collect();
        entry.reported.extend(late);
        true
    }

    /// Tells of a delay, once, those recipients' author who asked for it.
    fn warn(&self, entry: &mut QueueEntry, deadline: Moment) {
        let late = self.state.clock.now().since(entry.message.at) >= LATE;
        if entry.warned || !late || entry.is_notification {
            return;
        }
        entry.warned = true;
        let wants = |to: &&Mailbox| {
            let asked = entry.message.dsn.is_some();
            entry.message.wants(to, Occasion::Delay)
                || asked && self.flaw == Some(Flaw::WarnsUnasked)
        };
        let late = entry.to.iter().filter(wants).map(|to| Reported {
            recipient: to.clone(),
            told: Told::Delayed { until: deadline },
            reason: entry.last.clone().unwrap_or_else(|| Reason {
                status: Status(4, 0, 0),
                text: "not delivered yet".to_owned(),
            }),
            server: entry.last_server.clone(),
        });
        let late: Vec<Reported> = late.collect();
        entry.reported.extend(late);
    }

    /// What there is to tell, returned to where the message came from. A notification is never the
    /// cause of another one (RFC 5321 section 6.1).
    fn returned(&self, entry: &mut QueueEntry) -> Option<QueueEntry> {
        let mut reported = std::mem::take(&mut entry.reported);
        if self.flaw == Some(Flaw::NoRelayedReport) {
            reported.retain(|one| !matches!(one.told, Told::Relayed));
        }
        if self.flaw == Some(Flaw::BlamesFirstHost) {
            for server in reported.iter_mut().filter_map(|one| one.server.as_mut()) {
                server.name = entry
                    .first_host
                    .clone()
                    .unwrap_or_else(|| server.name.clone());
            }
        }
        if reported.is_empty() || entry.is_notification {
            return None;
        }
        let to = match self.flaw {
            Some(Flaw::NoNotification) => None,
            Some(Flaw::ReturnsNotifications) => format!("postmaster@{SENDER_DOMAIN}").parse().ok(),
            _ => entry.message.from.clone(),
        };
        let reporter = self.settings.names.first()?.to_string();
        entry.returned += 1;
        let now = self.state.clock.now();
        Some(entry.notification(&reported, to?, &reporter, now, self.flaw))
    }
}
