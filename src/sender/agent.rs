//! What the reference sender knows and does for every queue entry: one pass over the candidates, and what
//! it says of recipients.
//!
//! A pass is what RFC 5321 section 5.1 describes for one next hop:
//!
//! 1. Find the MTA-STS policy of the next hop, if the scenario's sender goes by such policies.
//! 2. With relays in the scenario, look up their addresses and try them in their order. Else look up the MX records, then the addresses of all exchangers, and let `route` put the
//!    candidates in order.
//! 3. Leave out addresses to which a connection failed a short while ago (section 4.5.4.1).
//! 4. Try one candidate after the other with the recipients that are still open. A candidate whose
//!    TLS needs cannot be known or met is passed over.
//! 5. After each attempt, report the recipients that are delivered or refused for good.
//! 6. If every host turned the client away for good and nothing was transient, give the rest up
//!    (RFC 5321 section 4.2.1: a 5yz reply is not to be repeated).
//!
//! When a pass may begin, and what happens between two passes, is decided in `reference`. Names of
//! functions are told by what they change: `settle` takes recipients out of an entry, `fail` puts
//! them on its list for the notification.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use super::{
    Flaw, SenderContext,
    content::{Reported, Server, Told},
    flaw::stray_candidates,
    mta_sts_cache::PolicyCache,
    queue_entry::QueueEntry,
    reference::Moments,
    report,
    resolver::Lookups,
    smtp_client::{self, AttemptReport, Envelope, Reason, RecipientResult},
    tls::{TlsRequirement, Unusable},
};
use crate::{
    event::AttemptHint,
    lab::LabState,
    lock::lock,
    mail::{Mailbox, Occasion},
    mta_sts::{Mode, Policy},
    name::Domain,
    outcome::Outcome,
    port,
    reply::{ReplyClass, Status},
    route::{self, Candidate, Identity, Unroutable},
    scenario::{Relay, SenderSettings, TlsPolicy},
    time::Moment,
};

/// What all entries of one reference sender share: settings, caches and what it knows of
/// unreachable hosts.
pub(super) struct DeliveryAgent {
    pub(super) state: Arc<LabState>,
    // Copied out of the scenario once; every pass reads them.
    pub(super) settings: SenderSettings,
    /// The mistake that this sender makes; `None` for one that does everything right.
    pub(super) flaw: Option<Flaw>,
    /// When each message is tried, in place of the scenario's intervals.
    pub(super) moments: Option<Arc<Moments>>,
    /// The drill's seed, from which each entry has a stream of random numbers of its own.
    pub(super) seed: u64,
    /// Lookups with a cache, if the scenario's sender has one.
    lookups: Lookups,
    /// The MTA-STS policies that are kept for their `max_age`.
    policies: PolicyCache,
    /// Addresses and ports whose connections failed, and until when they are skipped. It is shared by all
    /// messages: one that finds a host dead spares the others the time-out.
    unreachable: Mutex<BTreeMap<(IpAddr, u16), Moment>>,
}

/// The candidates of a pass, in the order in which they are to be tried.
struct Candidates {
    /// Each with the port at which it is tried.
    candidates: Vec<(Candidate, u16)>,
    /// Whether these are all that the domain has. `false` if an address lookup failed, if the limit
    /// on candidates was reached or if unreachable ones were left out: the pass has then no right
    /// to call a failure permanent.
    complete: bool,
}

impl DeliveryAgent {
    pub(super) fn new(
        context: &SenderContext,
        flaw: Option<Flaw>,
        moments: Option<Arc<Moments>>,
    ) -> Self {
        let settings = context.scenario().sender.clone();
        Self {
            state: Arc::clone(&context.state),
            flaw,
            moments,
            seed: context.seed(),
            lookups: Lookups::new(Arc::clone(&context.state), settings.cache).flawed(flaw),
            settings,
            policies: PolicyCache::flawed(flaw),
            unreachable: Mutex::default(),
        }
    }

    /// One walk over the candidates, as the DNS and the faults have them now.
    ///
    /// Afterwards `entry.to` has the recipients that have to wait, `entry.reported` what is
    /// to be told of others.
    pub(super) async fn pass(&self, entry: &mut QueueEntry) {
        let sts = match self.settings.tls {
            TlsPolicy::MtaSts | TlsPolicy::Dane if !entry.message.waives_tls() => {
                self.policies
                    .of(&self.state, &entry.hop, &self.lookups)
                    .await
            }
            _ => None,
        };
        let Candidates {
            candidates,
            complete,
        } = match self.candidates(entry, sts.as_ref()).await {
            Ok(candidates) => candidates,
            Err(unroutable) => {
                // The error says how final it is: no such domain and a null MX are permanent, a
                // failed lookup is not (RFC 5321 section 5.1, RFC 7505 section 3).
                let reason = Reason {
                    status: unroutable.status(),
                    text: unroutable.to_string(),
                };
                return match unroutable.class() {
                    ReplyClass::Permanent if self.flaw != Some(Flaw::PermanentIsTransient) => {
                        self.fail_rest(entry, reason, None)
                    }
                    _ => (entry.last, entry.last_server) = (Some(reason), None),
                };
            }
        };
        let content = entry.content();
        let mut refusals: Option<(Reason, Option<Server>)> = None;
        // Later, those may be tried that were left out this time.
        let mut transient = !complete;
        for (candidate, port) in &candidates {
            let attempt = self.attempt(entry, (candidate, *port), &content, sts.as_ref());
            let AttemptReport {
                results,
                dsn_offered,
                ..
            } = match attempt.await {
                Ok(report) => {
                    entry.attempts += 1;
                    let first = entry.first_host.take();
                    entry.first_host = first.or_else(|| Some(candidate.exchanger.clone()));
                    report
                }
                Err(unusable) => {
                    transient = true;
                    let text = format!("{}: {unusable}", candidate.exchanger);
                    entry.last = Some(Reason {
                        status: Status(4, 7, 5),
                        text,
                    });
                    entry.last_server = None;
                    continue;
                }
            };
            transient |= results
                .iter()
                .any(|result| matches!(result, RecipientResult::Deferred(_)));
            // All recipients have the same result when the host turned the client away, so the first
            // speaks for all.
            if let Some(RecipientResult::HostRefuses(reason)) = results.first() {
                let server = Server::that_said(&candidate.exchanger, reason);
                refusals = Some((reason.clone(), server));
            }
            self.settle(entry, results, &candidate.exchanger, dsn_offered);
            if entry.to.is_empty() {
                return;
            }
        }
        // Every host turned the client away for good: later will be no better.
        if let Some((reason, server)) = refusals.filter(|_| !transient) {
            self.fail_rest(entry, reason, server);
        }
    }

    /// The candidates of this pass in order.
    ///
    /// # Errors
    /// Why there are none: a null MX, no such domain, a failed lookup, or only the sender
    /// itself.
    async fn candidates(
        &self,
        entry: &mut QueueEntry,
        sts: Option<&Policy>,
    ) -> Result<Candidates, Unroutable> {
        if self.flaw == Some(Flaw::AsksAddressFirst) && !entry.is_notification {
            let own = self.lookups.addresses(&[&entry.hop]).await;
            if own.values().all(|own| own.found.is_empty() && !own.failed) {
                return Err(Unroutable::NoUsableExchanger);
            }
        }
        if !self.settings.relays.is_empty() {
            return self.relays().await;
        }
        let mut answer = self.lookups.mx(&entry.hop).await;
        let mut identity = Identity::from(&self.settings);
        if let Some(flaw) = self.flaw {
            answer = flaw.misread(answer);
            identity = flaw.mistake_identity(identity);
        }
        let exchangers = route::exchangers(&entry.hop, &answer)?;
        // REQUIRETLS needs names that DNSSEC or MTA-STS vouches for (RFC 8689 section 4.2.1).
        if entry.requires_tls() && !sts.is_some_and(|policy| policy.mode == Mode::Enforce) {
            match self.lookups.mx_is_signed(&entry.hop).await {
                Some(true) => {}
                Some(false) => return Err(Unroutable::Untrusted),
                None => return Err(Unroutable::LookupFailed),
            }
        }
        let hosts: Vec<&Domain> = exchangers.iter().map(|exchanger| &exchanger.host).collect();
        // All at once, so that equal exchangers can be shuffled with all their addresses known.
        let mut addresses = self.lookups.addresses(&hosts).await;
        for addresses in addresses.values_mut() {
            self.settings.first_family.put_first(&mut addresses.found);
        }
        let mut random = entry.random.taken_up();
        let candidates = route::route(&exchangers, &addresses, &identity, &mut random)?;
        let candidates = match self.flaw {
            None => candidates,
            Some(flaw) => {
                let mut strays = Vec::new();
                if let Some(host) = flaw.stray(&entry.hop, &exchangers) {
                    strays = stray_candidates(&host, &self.lookups.addresses(&[&host]).await);
                }
                strays.extend(flaw.reorder(candidates, &mut random));
                strays
            }
        };
        let all = candidates.len();
        let candidates = candidates.into_iter().map(|one| (one, port::SMTP));
        let candidates = self.without_unreachable(candidates.collect());
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

    /// The relays of the settings in their order, with all addresses of each: no MX record leads there (RFC 5321
    /// section 5.1 is about what the sender does not know).
    ///
    /// # Errors
    /// That none has an address, or that it is not known for now.
    async fn relays(&self) -> Result<Candidates, Unroutable> {
        let relays = &self.settings.relays;
        let hosts: Vec<Domain> = relays.iter().map(Relay::domain).collect();
        let named: Vec<&Domain> = hosts.iter().collect();
        let mut addresses = self.lookups.addresses(&named).await;
        let mut candidates = Vec::new();
        for ((relay, host), place) in relays.iter().zip(&hosts).zip(0..) {
            let Some(addresses) = addresses.get_mut(host) else {
                continue;
            };
            self.settings.first_family.put_first(&mut addresses.found);
            let reached = addresses.found.iter();
            let reached = reached.filter(|address| self.settings.families.reach(**address));
            candidates.extend(reached.map(|address| {
                let candidate = Candidate {
                    preference: place,
                    exchanger: host.clone(),
                    address: *address,
                };
                (candidate, relay.port)
            }));
        }
        let unknown = addresses.values().any(|addresses| addresses.failed);
        if candidates.is_empty() {
            return Err(match unknown {
                true => Unroutable::LookupFailed,
                false => Unroutable::NoUsableExchanger,
            });
        }
        let all = candidates.len();
        let most = self.settings.max_candidates.unwrap_or(usize::MAX);
        candidates.truncate(match self.flaw {
            Some(Flaw::StopsAtFirst) => 1,
            _ => most.max(1),
        });
        let candidates = self.without_unreachable(candidates);
        Ok(Candidates {
            complete: !unknown && candidates.len() == all,
            candidates,
        })
    }

    /// Leaves out addresses whose connections failed a short while ago, as long as others are left
    /// (RFC 5321 section 4.5.4.1).
    ///
    /// If every candidate failed recently, all are tried: waiting would not be better, and a host
    /// that came back is found at once.
    fn without_unreachable(&self, candidates: Vec<(Candidate, u16)>) -> Vec<(Candidate, u16)> {
        let now = self.state.clock.now();
        let unreachable = lock(&self.unreachable);
        let skipped = |(candidate, port): &&(Candidate, u16)| {
            unreachable
                .get(&(candidate.address, *port))
                .is_some_and(|until| now < *until)
        };
        let left: Vec<(Candidate, u16)> = candidates
            .iter()
            .filter(|candidate| !skipped(candidate))
            .cloned()
            .collect();
        if left.is_empty() { candidates } else { left }
    }

    /// Tries one candidate; what came of it has a result for each recipient.
    ///
    /// # Errors
    /// When it is not known what TLS the candidate needs.
    async fn attempt(
        &self,
        entry: &QueueEntry,
        (candidate, port): (&Candidate, u16),
        content: &[u8],
        sts: Option<&Policy>,
    ) -> Result<AttemptReport, Unusable> {
        let require_tls = entry.requires_tls();
        // What the author waives, no policy asks for (RFC 8689 section 5).
        let policy = match self.settings.tls {
            TlsPolicy::Dane | TlsPolicy::DaneOnly | TlsPolicy::MtaSts
                if entry.message.waives_tls() =>
            {
                TlsPolicy::Opportunistic
            }
            policy => policy,
        };
        let demanded = TlsRequirement::of(
            policy,
            require_tls,
            candidate,
            &entry.hop,
            &self.lookups,
            sts,
        )
        .await?;
        let requirement = match self.flaw {
            Some(Flaw::SendsInPlain) => TlsRequirement::Plain,
            _ => demanded,
        };
        let envelope = Envelope {
            from: entry.message.from.as_ref(),
            to: &entry.to,
            content,
            require_tls,
            message: &entry.message,
            flaw: self.flaw,
            dsn: entry.dsn_parameters(self.flaw),
        };
        let hint = AttemptHint {
            message: Some(entry.message.id.clone()),
            exchanger: Some(candidate.exchanger.clone()),
            hop: Some(entry.hop.clone()),
            pass: Some(entry.pass),
        };
        let attempted = smtp_client::attempt(
            &self.state,
            &self.settings,
            (candidate, port),
            &requirement,
            hint.clone(),
            &envelope,
        )
        .await;
        // A connection that was reset counts as reached: something answers at that address.
        if let Some(wait) = self
            .settings
            .remember_unreachable
            .filter(|_| !attempted.connected)
        {
            let until = self.state.clock.now().after(wait);
            let mut unreachable = lock(&self.unreachable);
            unreachable.insert((candidate.address, port), until);
        }
        if self.flaw == Some(Flaw::DeliversTwice)
            && attempted.results.contains(&RecipientResult::Delivered)
        {
            smtp_client::attempt(
                &self.state,
                &self.settings,
                (candidate, port),
                &requirement,
                hint,
                &envelope,
            )
            .await;
        }
        Ok(attempted)
    }

    /// Takes the recipients that are settled out of the entry.
    ///
    /// Those that are deferred stay, in their order, for the next candidate. The reasons of later
    /// candidates overwrite those of earlier ones: what the last host said is what the sender is
    /// told.
    fn settle(
        &self,
        entry: &mut QueueEntry,
        results: Vec<RecipientResult>,
        exchanger: &Domain,
        dsn_offered: bool,
    ) {
        let recipients = std::mem::take(&mut entry.to);
        for (recipient, result) in recipients.into_iter().zip(results) {
            match result {
                RecipientResult::Delivered => {
                    report(
                        &self.state,
                        &entry.message.id,
                        &recipient,
                        Outcome::Delivered,
                        None,
                        "",
                    );
                    if !dsn_offered {
                        self.relayed(entry, recipient, exchanger);
                    }
                }
                RecipientResult::Failed(reason)
                    if matches!(
                        self.flaw,
                        Some(Flaw::IgnoresPermanent | Flaw::PermanentIsTransient)
                    ) =>
                {
                    entry.last = Some(reason);
                    entry.to.push(recipient);
                }
                RecipientResult::Failed(reason) => {
                    let server = Server::that_said(exchanger, &reason);
                    self.fail(entry, recipient, reason, server);
                }
                RecipientResult::Deferred(reason) | RecipientResult::HostRefuses(reason) => {
                    entry.last_server = Server::that_said(exchanger, &reason);
                    entry.last = Some(reason);
                    entry.to.push(recipient);
                }
            }
        }
    }

    /// Reports a recipient as bounced, and notes it for the notification that ends the step.
    fn fail(
        &self,
        entry: &mut QueueEntry,
        recipient: Mailbox,
        reason: Reason,
        server: Option<Server>,
    ) {
        report(
            &self.state,
            &entry.message.id,
            &recipient,
            Outcome::Bounced,
            Some(reason.status),
            &reason.text,
        );
        // Who asked not to be told of failures is not (RFC 3461 section 5.2.6).
        if self.flaw == Some(Flaw::IgnoresNever)
            || entry.message.wants(&recipient, Occasion::Failure)
        {
            entry.reported.push(Reported {
                recipient,
                told: Told::Failed,
                reason,
                server,
            });
        }
    }

    /// Notes a recipient whose author asked to be told of success, where nobody further on will do it (RFC
    /// 3461 section 5.2.2(b)).
    fn relayed(&self, entry: &mut QueueEntry, recipient: Mailbox, exchanger: &Domain) {
        if entry.message.wants(&recipient, Occasion::Success) {
            entry.reported.push(Reported {
                recipient,
                told: Told::Relayed,
                reason: Reason {
                    status: Status(2, 0, 0),
                    text: format!(
                        "relayed to {exchanger}, which sends no notifications of success"
                    ),
                },
                server: Some(Server {
                    name: exchanger.clone(),
                    said: None,
                }),
            });
        }
    }

    /// Gives up all recipients that are left, for one reason.
    pub(super) fn fail_rest(&self, entry: &mut QueueEntry, reason: Reason, server: Option<Server>) {
        for recipient in std::mem::take(&mut entry.to) {
            self.fail(entry, recipient, reason.clone(), server.clone());
        }
    }

    /// Reports the recipients that are left as deferred: once after each pass, and for a message
    /// that is due only after the drill's stop.
    pub(super) fn say_deferred(&self, entry: &QueueEntry) {
        let reason = entry.last.as_ref();
        for recipient in &entry.to {
            let text = reason.map_or("", |reason| &reason.text);
            report(
                &self.state,
                &entry.message.id,
                recipient,
                Outcome::Deferred,
                reason.map(|reason| reason.status),
                text,
            );
        }
    }
}
