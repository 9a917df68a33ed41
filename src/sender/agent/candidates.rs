//! Whom a pass tries, and in which order: what is looked up for it, and what is left out.
//!
//! The order is `route`'s. What this adds is what a pass knows beyond records: relays that stand in for exchangers,
//! the wish for signed names, the limit on candidates, and addresses that were dead a short while ago.

use super::{Candidates, DeliveryAgent};
use crate::{
    lock::lock,
    mta_sts::{Mode, Policy},
    name::Domain,
    port,
    route::{self, Candidate, Identity, Unroutable},
    scenario::Relay,
    sender::{Flaw, flaw::stray_candidates, queue_entry::QueueEntry},
};

impl DeliveryAgent {
    /// The candidates of this pass in order.
    ///
    /// # Errors
    /// Why there are none: a null MX, no such domain, a failed lookup, or only the sender
    /// itself.
    pub(super) async fn candidates(
        &self,
        entry: &mut QueueEntry,
        sts: Option<&Policy>,
    ) -> Result<Candidates, Unroutable> {
        if self.flaw == Some(Flaw::AsksAddressFirst) && !entry.is_notification {
            // The flaw alone: what is right asks for MX records first (RFC 5321 section 5.1).
            let own = self.lookups.addresses(&[&entry.hop]).await;
            if own.values().all(|own| own.found.is_empty() && !own.failed) {
                return Err(Unroutable::NoUsableExchanger);
            }
        }
        if !self.settings.relays.is_empty() {
            // A smarthost takes all mail, whatever the records of its domain say.
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
        // Each entry has its own stream: which candidates others shuffled changes nothing here.
        let mut random = entry.random.taken_up();
        let candidates = route::route(&exchangers, &addresses, &identity, &mut random)?;
        let candidates = match self.flaw {
            None => candidates,
            Some(flaw) => {
                let mut strays = Vec::new();
                if let Some(host) = flaw.stray(&entry.hop, &exchangers) {
                    strays = stray_candidates(&host, &self.lookups.addresses(&[&host]).await);
                }
                // Those that no record leads to come first, then the others in the wrong order.
                strays.extend(flaw.reorder(candidates, &mut random));
                strays
            }
        };
        let all = candidates.len();
        let candidates = candidates.into_iter().map(|one| (one, port::SMTP));
        let candidates = self.without_unreachable(candidates.collect());
        let unknown = addresses.values().any(|addresses| addresses.failed);
        // `route` has cut the list already; a list as long as the limit may have lost its end.
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
}
