//! What the reference sender knows and does for every queue entry: one pass over the candidates, and what it says of
//! recipients.
//!
//! A pass is what RFC 5321 section 5.1 describes for one next hop:
//!
//! 1. Find the MTA-STS policy of the next hop, if the scenario's sender goes by such policies.
//! 2. With relays in the scenario, look up their addresses and try them in their order. Else look up the MX records,
//!    then the addresses of all exchangers, and let `route` put the candidates in order.
//! 3. Leave out addresses to which a connection failed a short while ago (section 4.5.4.1).
//! 4. Try one candidate after the other with the recipients that are still open. A candidate whose TLS needs cannot be
//!    known or met is passed over.
//! 5. After each attempt, report the recipients that are delivered or refused for good.
//! 6. If every host turned the client away for good and nothing was transient, give the rest up (RFC 5321 section
//!    4.2.1: a 5yz reply is not to be repeated).
//!
//! When a pass may begin, and what happens between two passes, is decided in `reference`. Names of functions are told
//! by what they change: `settle` takes recipients out of an entry, `fail` puts them on its list for the notification.

mod candidates;
mod settling;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex},
};

use super::{
    Flaw, SenderContext,
    content::Server,
    moments::Moments,
    mta_sts_cache::PolicyCache,
    queue_entry::QueueEntry,
    resolver::Lookups,
    smtp_client::{self, AttemptReport, Envelope, Reason, RecipientResult},
    tls::{TlsRequirement, Unusable},
};
use crate::{
    event::AttemptHint,
    lab::LabState,
    lock::lock,
    mta_sts::Policy,
    reply::{ReplyClass, Status},
    route::Candidate,
    scenario::{SenderSettings, TlsPolicy},
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
        let sts = self.sts_policy(entry).await;
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
            if entry.is_too_late(self.state.clock.now()) {
                transient = true;
                break;
            }
            let attempt = self.attempt(entry, (candidate, *port), &content, sts.as_ref());
            let AttemptReport {
                results, offered, ..
            } = match attempt.await {
                Ok(report) => {
                    entry.attempts += 1;
                    // Kept for a flaw alone, which blames it whoever refused the message.
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
            self.settle(entry, results, &candidate.exchanger, &offered);
            if entry.to.is_empty() {
                return;
            }
        }
        // A single transient failure, or a candidate left out, and the rest is tried again in the next pass.
        // Every host turned the client away for good: later will be no better.
        if let Some((reason, server)) = refusals.filter(|_| !transient) {
            self.fail_rest(entry, reason, server);
        }
    }

    /// The MTA-STS policy of the next hop, before any lookup of exchangers: which of them may be used depends on it (RFC
    /// 8461 section 5). A policy that cannot be had counts as none.
    async fn sts_policy(&self, entry: &QueueEntry) -> Option<Policy> {
        match self.settings.tls {
            TlsPolicy::MtaSts | TlsPolicy::Dane if !entry.message.waives_tls() => {
                self.policies
                    .of(&self.state, &entry.hop, &self.lookups)
                    .await
            }
            _ => None,
        }
    }

    /// When the next MTA-STS policy that is kept is to be fetched again.
    pub(super) fn next_refresh(&self) -> Option<Moment> {
        self.policies.next_refresh()
    }

    /// The work of fetching a policy again whose moment has come; `None` if there is none.
    pub(super) fn due_refresh(&self) -> Option<impl Future<Output = ()>> {
        let hop = self.policies.due(self.state.clock.now())?;
        Some(async move {
            let policies = &self.policies;
            policies.refresh(&self.state, &hop, &self.lookups).await;
        })
    }

    /// The TLS policy that holds for an entry: what the author waives, no policy asks for (RFC 8689 section 3).
    fn policy_for(&self, entry: &QueueEntry) -> TlsPolicy {
        match self.settings.tls {
            TlsPolicy::Dane | TlsPolicy::DaneOnly | TlsPolicy::MtaSts
                if entry.message.waives_tls() =>
            {
                TlsPolicy::Opportunistic
            }
            policy => policy,
        }
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
        // May look up TLSA records; that they cannot be had makes the candidate unusable, not plain (RFC 7672 section
        // 2.1.1).
        let demanded = TlsRequirement::of(
            self.policy_for(entry),
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
            is_notification: entry.is_notification,
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
}
