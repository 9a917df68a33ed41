//! What the reference sender knows and does for every delivery: one pass over the candidates, and what
//! it says of recipients.
//!
//! A pass is what RFC 5321 section 5.1 describes for one next hop:
//!
//! 1. Find the MTA-STS policy of the next hop, if the scenario's sender goes by such policies.
//! 2. Look up the MX records, then the addresses of all exchangers, and let `route` put the
//!    candidates in order.
//! 3. Leave out addresses to which a connection failed a short while ago (section 4.5.4.1).
//! 4. Try one candidate after the other with the recipients that are still open. A candidate whose
//!    TLS needs cannot be known or met is passed over.
//! 5. After each attempt, report the recipients that are delivered or refused for good.
//! 6. If every host turned the client away for good and nothing was transient, give the rest up
//!    (RFC 5321 section 4.2.1: a 5yz reply is not to be repeated).
//!
//! When a pass may begin, and what happens between two passes, is decided in `reference`. Names of
//! functions are told by what they change: `settle` takes recipients out of a delivery, `fail` puts
//! them on its list for the notification.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    Flaw, Post,
    delivery::Delivery,
    flaw::stray_candidates,
    mta_sts::Policies,
    report,
    resolver::Lookups,
    session::{self, Attempted, Fate, Letter, Reason},
    tls::{Demand, Unusable},
};
use crate::{
    event::Purpose,
    lab::Site,
    mail::Mailbox,
    mta_sts::{Mode, Policy},
    name::Domain,
    outcome::Outcome,
    reply::{Severity, Status},
    route::{self, Candidate, Identity, Unroutable},
    scenario::{SenderSettings, TlsPolicy},
    time::Moment,
};

/// What all deliveries of one reference sender share: settings, caches and what it knows of
/// unreachable hosts.
pub(super) struct Office {
    pub(super) site: Arc<Site>,
    // Copied out of the scenario once; every pass reads them.
    pub(super) settings: SenderSettings,
    /// The mistake that this sender makes; `None` for one that does everything right.
    pub(super) flaw: Option<Flaw>,
    /// The drill's seed, from which each delivery has a stream of random numbers of its own.
    pub(super) seed: u64,
    /// Lookups with a cache, if the scenario's sender has one.
    lookups: Lookups,
    /// The MTA-STS policies that are kept for their `max_age`.
    policies: Policies,
    /// Addresses whose connections failed, and until when they are skipped. It is shared by all
    /// messages: one that finds a host dead spares the others the time-out.
    unreachable: Mutex<BTreeMap<IpAddr, Moment>>,
}

/// The candidates of a pass, in the order in which they are to be tried.
struct Candidates {
    candidates: Vec<Candidate>,
    /// Whether these are all that the domain has. `false` if an address lookup failed, if the limit
    /// on candidates was reached or if unreachable ones were left out: the pass has then no right
    /// to call a failure permanent.
    complete: bool,
}

impl Office {
    pub(super) fn new(post: &Post, flaw: Option<Flaw>) -> Self {
        let settings = post.scenario().sender.clone();
        Self {
            site: Arc::clone(&post.site),
            flaw,
            seed: post.seed(),
            lookups: Lookups::new(Arc::clone(&post.site), settings.cache).flawed(flaw),
            settings,
            policies: Policies::default(),
            unreachable: Mutex::default(),
        }
    }

    /// One walk over the candidates, as the DNS and the faults have them now.
    ///
    /// Afterwards `delivery.to` has the recipients that have to wait, `delivery.failed` those given
    /// up in this pass.
    pub(super) async fn pass(&self, delivery: &mut Delivery) {
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
                // The error says how final it is: no such domain and a null MX are permanent, a
                // failed lookup is not (RFC 5321 section 5.1, RFC 7505 section 3).
                let reason = Reason {
                    status: unroutable.status(),
                    text: unroutable.to_string(),
                };
                return match unroutable.severity() {
                    Severity::Permanent if self.flaw != Some(Flaw::PermanentIsTransient) => {
                        self.fail_rest(delivery, reason)
                    }
                    _ => delivery.last = Some(reason),
                };
            }
        };
        let content = delivery.content();
        let mut refusals: Option<Reason> = None;
        // Later, those may be tried that were left out this time.
        let mut transient = !complete;
        for candidate in &candidates {
            let fates = match self
                .attempt(delivery, candidate, &content, sts.as_ref())
                .await
            {
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
            // All recipients have the same fate when the host turned the client away, so the first
            // speaks for all.
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

    /// The candidates of this pass in order.
    ///
    /// # Errors
    /// Why there are none: a null MX, no such domain, a failed lookup, or only the sender
    /// itself.
    async fn candidates(
        &self,
        delivery: &mut Delivery,
        sts: Option<&Policy>,
    ) -> Result<Candidates, Unroutable> {
        if self.flaw == Some(Flaw::AsksAddressFirst) && !delivery.is_notification {
            let own = self.lookups.addresses(&[&delivery.hop]).await;
            if own.values().all(|own| own.found.is_empty() && !own.failed) {
                return Err(Unroutable::NoUsableExchanger);
            }
        }
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
        // All at once, so that equal exchangers can be shuffled with all their addresses known.
        let addresses = self.lookups.addresses(&hosts).await;
        let mut random = delivery.dice.taken_up();
        let candidates = route::route(&exchangers, &addresses, &identity, &mut random)?;
        let candidates = match self.flaw {
            None => candidates,
            Some(flaw) => {
                let mut strays = Vec::new();
                if let Some(host) = flaw.stray(&delivery.hop, &exchangers) {
                    strays = stray_candidates(&host, &self.lookups.addresses(&[&host]).await);
                }
                strays.extend(flaw.reorder(candidates, &mut random));
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
    ///
    /// If every candidate failed recently, all are tried: waiting would not be better, and a host
    /// that came back is found at once.
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
        content: &[u8],
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
            content,
            require_tls,
        };
        let purpose = Purpose {
            message: Some(delivery.message.id.clone()),
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
        // A connection that was reset counts as reached: something answers at that address.
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
    ///
    /// Those that are deferred stay, in their order, for the next candidate. The reasons of later
    /// candidates overwrite those of earlier ones: what the last host said is what the sender is
    /// told.
    fn settle(&self, delivery: &mut Delivery, fates: Vec<Fate>) {
        let recipients = std::mem::take(&mut delivery.to);
        for (recipient, fate) in recipients.into_iter().zip(fates) {
            match fate {
                Fate::Delivered => report(
                    &self.site,
                    &delivery.message.id,
                    &recipient,
                    Outcome::Delivered,
                    None,
                    "",
                ),
                Fate::Failed(reason)
                    if matches!(
                        self.flaw,
                        Some(Flaw::IgnoresPermanent | Flaw::PermanentIsTransient)
                    ) =>
                {
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

    /// Reports a recipient as bounced, and notes it for the notification that ends the turn.
    fn fail(&self, delivery: &mut Delivery, recipient: Mailbox, reason: Reason) {
        report(
            &self.site,
            &delivery.message.id,
            &recipient,
            Outcome::Bounced,
            Some(reason.status),
            &reason.text,
        );
        delivery.failed.push((recipient, reason));
    }

    /// Gives up all recipients that are left, for one reason.
    pub(super) fn fail_rest(&self, delivery: &mut Delivery, reason: Reason) {
        for recipient in std::mem::take(&mut delivery.to) {
            self.fail(delivery, recipient, reason.clone());
        }
    }

    /// Reports the recipients that are left as deferred: once after each pass, and for a message
    /// that is due only after the drill's stop.
    pub(super) fn say_deferred(&self, delivery: &Delivery) {
        let reason = delivery.last.as_ref();
        for recipient in &delivery.to {
            let text = reason.map_or("", |reason| &reason.text);
            report(
                &self.site,
                &delivery.message.id,
                recipient,
                Outcome::Deferred,
                reason.map(|reason| reason.status),
                text,
            );
        }
    }
}
