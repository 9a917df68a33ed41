//! The reference sender: takes up messages and those that wait for their next pass, as they are due,
//! gives up, returns.
//!
//! Each next hop of a message is a delivery of its own. Time and randomness come from outside: the
//! lab's clock and the drill's seed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::{
    StreamExt,
    future::{FutureExt, LocalBoxFuture},
    stream::FuturesUnordered,
};

use super::{
    Flaw, Post, Sender,
    content::expired,
    delivery::{Delivery, UnderWay},
    office::Office,
    session::Reason,
};
use crate::{
    lab::network::{self, MAX_SESSIONS},
    mail::{Mailbox, Message},
    name::Domain,
    reply::Status,
    scenario::Scenario,
    time::Moment,
};

/// Passes under way at once, each with a session or less: where sessions are pipes, as many as a lab
/// serves, and where they take sockets. What comes beyond waits, on the drill's clock too, and be it to
/// be given up.
const MAX_PASSES: usize = MAX_SESSIONS;
const MAX_PASSES_ON_SOCKETS: usize = 64;

/// A sender that does what the RFCs ask, or with a [`Flaw`] all but one thing of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference {
    flaw: Option<Flaw>,
}

/// How long a sender keeps a message that gives up after a day.
const A_DAY: Duration = Duration::from_secs(86_400);

impl Reference {
    /// A sender with a flaw.
    pub fn with_flaw(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw) }
    }
}

impl Sender for Reference {
    async fn send(self, mut post: Post) {
        let office = Office::new(&post, self.flaw);
        let most = match office.site.network.has_sockets() {
            false => MAX_PASSES,
            true => MAX_PASSES_ON_SOCKETS,
        };
        let mut queue = Queue::default();
        let mut turns: FuturesUnordered<LocalBoxFuture<'_, Turn>> = FuturesUnordered::new();
        loop {
            while turns.len() < most
                && let Some(delivery) = queue.due(&mut post, &office)
            {
                // A turn is not held back by what others have used of the time that they all share:
                // of many, each would be woken in vain.
                let turn = tokio::task::unconstrained(office.turn(delivery));
                turns.push(turn.boxed_local());
            }
            // Others have their turn too, also where no delivery waits for anything.
            tokio::task::consume_budget().await;
            // A message is taken up when there is room for it: till then it takes no memory.
            let next = queue.next_at(&post).filter(|_| turns.len() < most);
            let clock = &office.site.clock;
            if let Some(next) = next
                && turns.is_empty()
            {
                network::leap_to(&office.site, next).await;
            }
            tokio::select! {
                biased;
                Some(turn) = turns.next(), if !turns.is_empty() => queue.take_back(turn),
                () = clock.sleep_until(next.unwrap_or_default()), if next.is_some() => {}
                else => return,
            }
        }
    }
}

/// Deliveries that wait for their next turn, by when that is, and in the order in which they came.
#[derive(Default)]
struct Queue {
    waiting: BTreeMap<(Moment, u64), Box<Delivery>>,
    /// How many ever waited.
    count: u64,
}

impl Queue {
    fn add(&mut self, at: Moment, delivery: Box<Delivery>) {
        self.count += 1;
        self.waiting.insert((at, self.count), delivery);
    }

    fn first_at(&self) -> Option<Moment> {
        self.waiting.keys().next().map(|(at, _)| *at)
    }

    /// When the next delivery or message is due.
    fn next_at(&self, post: &Post) -> Option<Moment> {
        self.first_at().into_iter().chain(post.next_at()).min()
    }

    /// The next delivery that is due: one that waits, or of the next message.
    fn due(&mut self, post: &mut Post, office: &Office) -> Option<Box<Delivery>> {
        let now = post.now();
        let first = self.first_at();
        let earlier = |at: Moment| first.is_none_or(|first| at < first);
        if post.next_at().is_some_and(earlier)
            && let Some((index, message)) = post.due()
        {
            let at = message.at;
            for delivery in office.deliveries(index, message) {
                self.add(at, Box::new(delivery));
            }
        }
        self.first_at().filter(|first| *first <= now)?;
        self.waiting.pop_first().map(|(_, delivery)| delivery)
    }

    fn take_back(&mut self, turn: Turn) {
        if let Some((at, delivery)) = turn.again {
            self.add(at, delivery);
        }
        // Notifications go before all that waits: with them a message comes to its end.
        if let Some(notification) = turn.notification {
            self.add(Moment::START, Box::new(notification));
        }
    }
}

/// What came of a turn.
struct Turn {
    /// The delivery, if it is to be taken up again, and when.
    again: Option<(Moment, Box<Delivery>)>,
    /// The notification of what failed.
    notification: Option<Delivery>,
}

impl Office {
    /// The deliveries that a message of the drill makes: one for each next hop.
    fn deliveries(&self, index: usize, message: Message) -> Vec<Delivery> {
        let message = Arc::new(message);
        let under_way = UnderWay::new(message.id.clone(), self.site.log.clone());
        let mut recipients: BTreeMap<&Domain, Vec<Mailbox>> = BTreeMap::new();
        for to in message.to.iter() {
            recipients.entry(&to.domain).or_default().push(to.clone());
        }
        let hops = Scenario::next_hops(&message).into_iter().enumerate();
        hops.map(|(hop_index, hop)| {
            let stream = (index as u64) << 16 | hop_index as u64;
            let to = recipients.remove(&hop).unwrap_or_default();
            let under_way = Arc::clone(&under_way);
            Delivery::new(
                Arc::clone(&message),
                to,
                hop,
                (self.seed, stream),
                under_way,
            )
        })
        .collect()
    }

    /// One turn of a delivery: a pass over its candidates, or its end.
    async fn turn(&self, mut delivery: Box<Delivery>) -> Turn {
        let again = self.advance(&mut delivery).await;
        let notification = self.returned(&mut delivery);
        Turn {
            again: again.map(|at| (at, delivery)),
            notification,
        }
    }

    /// Does what is due for a delivery; when it is to be taken up again.
    async fn advance(&self, delivery: &mut Delivery) -> Option<Moment> {
        let now = self.site.clock.now();
        let stop = self.site.scenario.stop;
        let is_past_stop = |at: Moment| stop.is_some_and(|stop| at > stop);
        let given = delivery.message.at;
        let patience = match self.flaw {
            Some(Flaw::GivesUpAfterADay) => A_DAY.min(self.settings.expire),
            _ => self.settings.expire,
        };
        let deadline = given.after(patience);
        if delivery.pass == 0 {
            let received = delivery.message.received;
            if received >= self.settings.max_hops {
                let text = format!("{received} Received fields: the message goes in a loop");
                let status = Status(5, 4, 6);
                self.fail_rest(delivery, Reason { status, text });
                return None;
            }
            if is_past_stop(given) {
                self.say_deferred(delivery);
                return None;
            }
        } else if now >= deadline && !is_past_stop(deadline) {
            self.fail_rest(delivery, expired(delivery.last.as_ref()));
            return None;
        } else if is_past_stop(now) {
            return None;
        }
        delivery.pass += 1;
        let before = delivery.attempts;
        self.pass(delivery).await;
        if delivery.to.is_empty() || self.flaw == Some(Flaw::DropsMessage) {
            return None;
        }
        self.say_deferred(delivery);
        if self.flaw == Some(Flaw::BouncesTransient) {
            let reason = delivery.last.clone().unwrap_or_else(|| expired(None));
            self.fail_rest(delivery, reason);
            return None;
        }
        let next = self.site.clock.now().after(self.interval(delivery.pass));
        let wake = next.min(deadline);
        let fruitless = delivery.attempts == before;
        let left = delivery.message.leave.is_some_and(|leave| {
            wake > leave.after && (fruitless || delivery.attempts >= leave.attempts)
        });
        (!left && !is_past_stop(wake)).then_some(wake)
    }

    /// How long to wait after a pass; the last interval repeats.
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

    /// What has failed for good, returned to where the message came from. A notification is never the
    /// cause of another one (RFC 5321 section 6.1).
    fn returned(&self, delivery: &mut Delivery) -> Option<Delivery> {
        let failed = std::mem::take(&mut delivery.failed);
        if failed.is_empty() || delivery.is_notification {
            return None;
        }
        let to = match self.flaw {
            Some(Flaw::NoNotification) => None,
            Some(Flaw::ReturnsNotifications) => "postmaster@sender.test".parse().ok(),
            _ => delivery.message.from.clone(),
        };
        let reporter = self.settings.names.first()?.to_string();
        delivery.returned += 1;
        let now = self.site.clock.now();
        Some(delivery.notification(&failed, to?, &reporter, now))
    }
}
