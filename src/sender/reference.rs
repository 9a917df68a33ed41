//! The reference sender: looks up, routes, tries candidates pass by pass, waits, gives up, returns.
//!
//! Each next hop of a message is a delivery of its own. Time and randomness come from outside: the
//! lab's clock and the drill's seed.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    Flaw, Post, Sender,
    content::{self, expired},
    delivery::{Delivery, UnderWay},
    flaw::stray_candidates,
    mta_sts::Policies,
    policy::{Mode, Policy},
    report,
    resolver::Lookups,
    session::{self, Attempted, Fate, Letter, Reason},
    tls::{Demand, Unusable},
};
use crate::{
    connection::on_the_wire,
    event::Purpose,
    lab::{Network, Site, network::MAX_SESSIONS},
    name::Domain,
    reply::{Severity, Status},
    route::{self, Candidate, Identity, Unroutable},
    scenario::{Mailbox, Message, Outcome, Scenario, SenderSettings, TlsPolicy},
    time::Moment,
};

/// Passes under way at once, each with a session or less: where sessions are pipes, as many as a lab
/// serves, and where they take sockets. What comes beyond waits, on the drill's clock too.
const MAX_PASSES: usize = MAX_SESSIONS;
const MAX_PASSES_ON_SOCKETS: usize = 64;

/// A sender that does what the RFCs ask, or with a [`Flaw`] all but one thing of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reference {
    flaw: Option<Flaw>,
}

impl Reference {
    /// A sender with a flaw.
    pub fn with_flaw(flaw: Flaw) -> Self {
        Self { flaw: Some(flaw) }
    }
}

impl Sender for Reference {
    async fn send(self, mut post: Post) {
        let (returned, mut returns) = mpsc::unbounded_channel();
        let office = Arc::new(Office::new(&post, self.flaw, returned));
        let mut deliveries: FuturesUnordered<BoxFuture<'static, ()>> = FuturesUnordered::new();
        let mut open = true;
        // The leave to begin a pass is had before a message is: what cannot be tried yet is not taken
        // up, and takes no memory.
        let mut leave = None;
        loop {
            // Notifications first: what a finished delivery has returned is there by now.
            while let Ok(notification) = returns.try_recv() {
                deliveries.push(Arc::clone(&office).carried(notification, None));
            }
            if !open && deliveries.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                Some(notification) = returns.recv() => {
                    deliveries.push(Arc::clone(&office).carried(notification, None));
                }
                given = office.leave(), if open && leave.is_none() => leave = Some(given),
                next = post.next_indexed(), if open && leave.is_some() => match next {
                    Some((index, message)) => {
                        deliveries.extend(office.accept(index, message, leave.take()));
                    }
                    None => {
                        open = false;
                        leave = None;
                    }
                },
                _ = deliveries.next(), if !deliveries.is_empty() => {}
            }
        }
    }
}

/// Leave for one pass.
type Leave = OwnedSemaphorePermit;

/// What all deliveries share.
struct Office {
    site: Arc<Site>,
    settings: SenderSettings,
    stop: Option<Moment>,
    lookups: Lookups,
    policies: Policies,
    flaw: Option<Flaw>,
    seed: u64,
    /// Where notifications go to be delivered.
    returned: mpsc::UnboundedSender<Delivery>,
    /// How many passes may be under way at once: sockets are few, pipes are not.
    passes: Arc<Semaphore>,
    /// Addresses whose connections failed, and until when they are skipped.
    unreachable: Mutex<BTreeMap<IpAddr, Moment>>,
}

/// The candidates of a pass.
struct Candidates {
    candidates: Vec<Candidate>,
    /// Whether these are all that the domain has.
    complete: bool,
}

impl Office {
    fn new(post: &Post, flaw: Option<Flaw>, returned: mpsc::UnboundedSender<Delivery>) -> Self {
        let scenario: &Scenario = post.scenario();
        Self {
            site: Arc::clone(&post.site),
            settings: scenario.sender.clone(),
            stop: scenario.stop,
            lookups: Lookups::new(Arc::clone(&post.site), scenario.sender.cache),
            policies: Policies::default(),
            flaw,
            seed: post.seed(),
            returned,
            passes: Arc::new(Semaphore::new(match post.site.network {
                Network::Memory(_) => MAX_PASSES,
                Network::Loopback(_) | Network::Namespace => MAX_PASSES_ON_SOCKETS,
            })),
            unreachable: Mutex::default(),
        }
    }

    /// The deliveries that a message of the drill makes: one for each next hop.
    fn accept(
        self: &Arc<Self>,
        index: usize,
        message: Message,
        mut leave: Option<Leave>,
    ) -> Vec<BoxFuture<'static, ()>> {
        let content = on_the_wire(&content::message(&message));
        let under_way = UnderWay::new(message.id.clone(), self.site.log.clone());
        let hops = Scenario::next_hops(&message).into_iter().enumerate();
        hops.map(|(hop_index, hop)| {
            let stream = (index as u64) << 16 | hop_index as u64;
            let under_way = Arc::clone(&under_way);
            let delivery = Delivery::new(&message, hop, &content, self.seed, stream, under_way);
            Arc::clone(self).carried(delivery, leave.take())
        })
        .collect()
    }

    /// Waits until a pass may begin.
    async fn leave(&self) -> Leave {
        let leave = Arc::clone(&self.passes).acquire_owned().await;
        leave.expect("the semaphore is never closed")
    }

    /// A delivery being carried to its end. It is not held back by what others have used of the turn
    /// that they all share: of very many that wait, each would be woken in vain.
    fn carried(
        self: Arc<Self>,
        delivery: Delivery,
        leave: Option<Leave>,
    ) -> BoxFuture<'static, ()> {
        tokio::task::unconstrained(self.carry(delivery, leave)).boxed()
    }

    /// Carries a delivery to its end; it may have leave for its first pass already.
    async fn carry(self: Arc<Self>, mut delivery: Delivery, leave: Option<Leave>) {
        self.deliver(&mut delivery, leave).await;
        self.return_failed(&mut delivery);
    }

    async fn deliver(&self, delivery: &mut Delivery, mut leave: Option<Leave>) {
        if delivery.message.received >= self.settings.max_hops {
            let text = format!(
                "{} Received fields: the message goes in a loop",
                delivery.message.received
            );
            return self.fail_rest(
                delivery,
                Reason {
                    status: Status(5, 4, 6),
                    text,
                },
            );
        }
        let deadline = delivery.message.at.after(self.settings.expire);
        if self.stop.is_some_and(|stop| delivery.message.at > stop) {
            return self.say_deferred(delivery);
        }
        loop {
            delivery.pass += 1;
            let before = delivery.attempts;
            let under_way = match leave.take() {
                Some(leave) => leave,
                None => self.leave().await,
            };
            // The leave may have been long in coming.
            let now = self.site.clock.now();
            if delivery.pass > 1 && self.stop.is_some_and(|stop| now > stop) {
                return;
            }
            if delivery.pass > 1 && now >= deadline {
                return self.fail_rest(delivery, expired(delivery.last.as_ref()));
            }
            // Boxed: a message that waits for its next pass is small.
            Box::pin(self.pass(delivery)).await;
            drop(under_way);
            self.return_failed(delivery);
            if delivery.to.is_empty() || self.flaw == Some(Flaw::DropsMessage) {
                return;
            }
            self.say_deferred(delivery);
            if self.flaw == Some(Flaw::BouncesTransient) {
                let reason = delivery.last.clone().unwrap_or_else(|| expired(None));
                return self.fail_rest(delivery, reason);
            }
            let next = self.site.clock.now().after(self.interval(delivery.pass));
            let expires = next >= deadline;
            let wake = if expires { deadline } else { next };
            let fruitless = delivery.attempts == before;
            let left = delivery.message.leave.is_some_and(|leave| {
                wake > leave.after && (fruitless || delivery.attempts >= leave.attempts)
            });
            if left || self.stop.is_some_and(|stop| wake > stop) {
                return;
            }
            self.site.clock.sleep_until(wake).await;
            if expires {
                return self.fail_rest(delivery, expired(delivery.last.as_ref()));
            }
        }
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

    /// One walk over the candidates, as they are now.
    async fn pass(&self, delivery: &mut Delivery) {
        let sts = match self.settings.tls {
            TlsPolicy::MtaSts | TlsPolicy::Dane => {
                self.policies
                    .of(&self.site, &delivery.hop, &self.lookups)
                    .await
            }
            _ => None,
        };
        let Candidates {
            candidates,
            complete,
        } = match self.candidates(delivery, sts.as_ref()).await {
            Ok(candidates) => candidates,
            Err(unroutable) => {
                let reason = Reason {
                    status: unroutable.status(),
                    text: unroutable.to_string(),
                };
                return match unroutable.severity() {
                    Severity::Permanent => self.fail_rest(delivery, reason),
                    _ => delivery.last = Some(reason),
                };
            }
        };
        let mut refusals: Option<Reason> = None;
        // Later, those may be tried that were left out this time.
        let mut transient = !complete;
        for candidate in &candidates {
            let fates = match self.attempt(delivery, candidate, sts.as_ref()).await {
                Ok(fates) => {
                    delivery.attempts += 1;
                    fates
                }
                Err(unusable) => {
                    transient = true;
                    let text = format!("{}: {unusable}", candidate.exchanger);
                    delivery.last = Some(Reason {
                        status: Status(4, 7, 5),
                        text,
                    });
                    continue;
                }
            };
            transient |= fates.iter().any(|fate| matches!(fate, Fate::Deferred(_)));
            if let Some(Fate::HostRefuses(reason)) = fates.first() {
                refusals = Some(reason.clone());
            }
            self.settle(delivery, fates);
            if delivery.to.is_empty() {
                return;
            }
        }
        // Every host turned the client away for good: later will be no better.
        if let Some(reason) = refusals.filter(|_| !transient) {
            self.fail_rest(delivery, reason);
        }
    }

    async fn candidates(
        &self,
        delivery: &mut Delivery,
        sts: Option<&Policy>,
    ) -> Result<Candidates, Unroutable> {
        let mut answer = self.lookups.mx(&delivery.hop).await;
        let mut identity = Identity::from(&self.settings);
        if let Some(flaw) = self.flaw {
            answer = flaw.misread(answer);
            identity = flaw.mistake_identity(identity);
        }
        let exchangers = route::exchangers(&delivery.hop, &answer)?;
        // REQUIRETLS needs names that DNSSEC or MTA-STS vouches for (RFC 8689 section 4.2.1).
        if delivery.requires_tls() && !sts.is_some_and(|policy| policy.mode == Mode::Enforce) {
            match self.lookups.mx_is_signed(&delivery.hop).await {
                Some(true) => {}
                Some(false) => return Err(Unroutable::Untrusted),
                None => return Err(Unroutable::LookupFailed),
            }
        }
        let hosts: Vec<&Domain> = exchangers.iter().map(|exchanger| &exchanger.host).collect();
        let addresses = self.lookups.addresses(&hosts).await;
        let candidates = route::route(&exchangers, &addresses, &identity, &mut delivery.random)?;
        let candidates = match self.flaw {
            None => candidates,
            Some(flaw) => {
                let mut strays = Vec::new();
                if let Some(host) = flaw.stray(&delivery.hop, &exchangers) {
                    strays = stray_candidates(&host, &self.lookups.addresses(&[&host]).await);
                }
                strays.extend(flaw.reorder(candidates, &mut delivery.random));
                strays
            }
        };
        let all = candidates.len();
        let candidates = self.without_unreachable(candidates);
        let unknown = addresses.values().any(|addresses| addresses.failed);
        let limited = self
            .settings
            .max_candidates
            .is_some_and(|limit| all >= limit);
        Ok(Candidates {
            complete: !unknown && !limited && candidates.len() == all,
            candidates,
        })
    }

    /// Leaves out addresses whose connections failed a short while ago, as long as others are left
    /// (RFC 5321 section 4.5.4.1).
    fn without_unreachable(&self, candidates: Vec<Candidate>) -> Vec<Candidate> {
        let now = self.site.clock.now();
        let unreachable = self
            .unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let skipped = |candidate: &&Candidate| {
            unreachable
                .get(&candidate.address)
                .is_some_and(|until| now < *until)
        };
        let left: Vec<Candidate> = candidates
            .iter()
            .filter(|candidate| !skipped(candidate))
            .cloned()
            .collect();
        if left.is_empty() { candidates } else { left }
    }

    /// Tries one candidate; a fate for each recipient.
    ///
    /// # Errors
    /// When it is not known what TLS the candidate needs.
    async fn attempt(
        &self,
        delivery: &Delivery,
        candidate: &Candidate,
        sts: Option<&Policy>,
    ) -> Result<Vec<Fate>, Unusable> {
        let require_tls = delivery.requires_tls();
        let demanded = Demand::of(
            self.settings.tls,
            require_tls,
            candidate,
            &delivery.hop,
            &self.lookups,
            sts,
        )
        .await?;
        let demand = match self.flaw {
            Some(Flaw::SendsInPlain) => Demand::Plain,
            _ => demanded,
        };
        let letter = Letter {
            from: delivery.message.from.as_ref(),
            to: &delivery.to,
            content: &delivery.content,
            require_tls,
        };
        let purpose = Purpose {
            message: Some(delivery.id.clone()),
            exchanger: Some(candidate.exchanger.clone()),
            hop: Some(delivery.hop.clone()),
            pass: Some(delivery.pass),
        };
        let Attempted { connected, fates } = session::attempt(
            &self.site,
            &self.settings,
            candidate,
            &demand,
            purpose.clone(),
            &letter,
        )
        .await;
        if let Some(wait) = self.settings.remember_unreachable.filter(|_| !connected) {
            let until = self.site.clock.now().after(wait);
            let mut unreachable = self
                .unreachable
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            unreachable.insert(candidate.address, until);
        }
        if self.flaw == Some(Flaw::DeliversTwice) && fates.contains(&Fate::Delivered) {
            session::attempt(
                &self.site,
                &self.settings,
                candidate,
                &demand,
                purpose,
                &letter,
            )
            .await;
        }
        Ok(fates)
    }

    /// Takes the recipients whose fate is final out of the delivery.
    fn settle(&self, delivery: &mut Delivery, fates: Vec<Fate>) {
        let recipients = std::mem::take(&mut delivery.to);
        for (recipient, fate) in recipients.into_iter().zip(fates) {
            match fate {
                Fate::Delivered => report(
                    &self.site,
                    &delivery.id,
                    &recipient,
                    Outcome::Delivered,
                    None,
                    "",
                ),
                Fate::Failed(reason) if self.flaw == Some(Flaw::IgnoresPermanent) => {
                    delivery.last = Some(reason);
                    delivery.to.push(recipient);
                }
                Fate::Failed(reason) => self.fail(delivery, recipient, reason),
                Fate::Deferred(reason) | Fate::HostRefuses(reason) => {
                    delivery.last = Some(reason);
                    delivery.to.push(recipient);
                }
            }
        }
    }

    fn fail(&self, delivery: &mut Delivery, recipient: Mailbox, reason: Reason) {
        report(
            &self.site,
            &delivery.id,
            &recipient,
            Outcome::Bounced,
            Some(reason.status),
            &reason.text,
        );
        delivery.failed.push((recipient, reason));
    }

    fn fail_rest(&self, delivery: &mut Delivery, reason: Reason) {
        for recipient in std::mem::take(&mut delivery.to) {
            self.fail(delivery, recipient, reason.clone());
        }
    }

    fn say_deferred(&self, delivery: &Delivery) {
        let reason = delivery.last.as_ref();
        for recipient in &delivery.to {
            let text = reason.map_or("", |reason| &reason.text);
            report(
                &self.site,
                &delivery.id,
                recipient,
                Outcome::Deferred,
                reason.map(|reason| reason.status),
                text,
            );
        }
    }

    /// Returns what has failed for good, to where the message came from. A notification is never the
    /// cause of another one (RFC 5321 section 6.1).
    fn return_failed(&self, delivery: &mut Delivery) {
        let failed = std::mem::take(&mut delivery.failed);
        let to = match self.flaw {
            Some(Flaw::NoNotification) => None,
            Some(Flaw::ReturnsNotifications) => "postmaster@sender.test".parse().ok(),
            _ => delivery.message.from.clone(),
        };
        let (Some(to), Some(reporter)) = (to, self.settings.names.first()) else {
            return;
        };
        if !failed.is_empty() && !delivery.is_notification {
            delivery.returned += 1;
            let now = self.site.clock.now();
            // The other end lives as long as the office.
            drop(self.returned.send(delivery.notification(
                &failed,
                to,
                &reporter.to_string(),
                now,
            )));
        }
    }
}
