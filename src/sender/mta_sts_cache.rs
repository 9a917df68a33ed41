//! MTA-STS (RFC 8461) for the reference sender: is there a policy, what does it say, does it still hold.
//!
//! For each next hop and pass, in the order of RFC 8461 section 5.1 and section 3.3:
//!
//! 1. Ask for the TXT record at `_mta-sts.DOMAIN`. Without one valid record, a policy that is still
//!    kept counts.
//! 2. If a kept policy has the id of that record, it counts, and nothing is fetched.
//! 3. Fetch `https://mta-sts.DOMAIN/.well-known/mta-sts.txt`, with a certificate that must be valid
//!    for that name.
//! 4. If that fails, the kept policy counts until its `max_age` is over: an attacker who blocks the
//!    fetch gains nothing.
//! 5. What was fetched is kept for its `max_age`.
//!
//! A kept policy is fetched again before that, once a day, so that it does not lapse while nobody writes to the domain, or
//! an attacker hides the record: section 3.3 suggests it, and section 10.2 has the reason. That goes on for as long as the
//! sender has mail to send, or will be given some.
//!
//! What a policy says is parsed by `crate::mta_sts`; what it asks of a candidate is decided in
//! `tls`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use hickory_proto::rr::{RData, RecordType};

use super::{
    Flaw,
    resolver::{LookupResult, Lookups},
    tls::{self, TlsRequirement},
};
use crate::{
    connection::Connection,
    https,
    lab::{LabState, network},
    lock::lock,
    mta_sts::{self, POLICY_PATH, Policy},
    name::Domain,
    scenario::policy_host,
    time::Moment,
    tls::Authentication,
};

/// How long fetching a policy may take (section 3.3 recommends a minute).
const WAIT: Duration = Duration::from_secs(60);
/// How long after a failure it is not tried again.
const RETRY: Duration = Duration::from_secs(300);
/// How often a kept policy is fetched again (section 3.3 suggests once a day), if it does not run out before.
const REFRESH: Duration = Duration::from_secs(86_400);
// A policy and the id of the record that announced it.
#[derive(Debug, Clone)]
struct CachedPolicy {
    /// The `id` of the TXT record: it changes when the policy does.
    id: String,
    policy: Policy,
    /// When `max_age` is over, on the drill's clock.
    until: Moment,
    /// When it is fetched again; `None` for one that ends too soon for that.
    refreshed_at: Option<Moment>,
}

/// Finds policies and keeps them for their `max_age`.
///
/// One for each reference sender, by next hop. After a fetch that failed, the next one for the same record waits for
/// five minutes.
#[derive(Default)]
pub(super) struct PolicyCache {
    kept: Mutex<BTreeMap<Domain, CachedPolicy>>,
    /// The record for which a fetch failed, and until when it is not tried again (section 3.3).
    failed: Mutex<BTreeMap<Domain, (String, Moment)>>,
    /// When which policy is fetched again, in order of time.
    refreshes: Mutex<BTreeSet<(Moment, Domain)>>,
    /// Whether it is tried again all the same: a mistake.
    is_hasty: bool,
}

impl PolicyCache {
    /// One of a sender that may make a mistake.
    pub(super) fn flawed(flaw: Option<Flaw>) -> Self {
        Self {
            is_hasty: flaw == Some(Flaw::FetchesAgainAtOnce),
            ..Self::default()
        }
    }

    /// The policy that holds for a next hop now: a newer one is looked for first, and a kept one
    /// counts as long as nothing newer was found (section 5.1).
    pub(super) async fn of(
        &self,
        state: &Arc<LabState>,
        hop: &Domain,
        lookups: &Lookups,
    ) -> Option<Policy> {
        let now = state.clock.now();
        let kept = self.kept(hop, now);
        let Some(id) = announced_id(hop, lookups).await else {
            return kept.map(|kept| kept.policy);
        };
        if let Some(kept) = kept.as_ref().filter(|kept| kept.id == id) {
            return Some(kept.policy.clone());
        }
        let fresh = self.fetched(state, hop, id, lookups).await;
        fresh.or(kept.map(|kept| kept.policy))
    }

    /// The policy of a next hop that is kept, if it still counts.
    fn kept(&self, hop: &Domain, now: Moment) -> Option<CachedPolicy> {
        let kept = lock(&self.kept);
        kept.get(hop).filter(|kept| now < kept.until).cloned()
    }

    /// Fetches the policy that a record of this id announces, and keeps it; `None` if it is not to be had, or was not a
    /// short while ago.
    async fn fetched(
        &self,
        state: &Arc<LabState>,
        hop: &Domain,
        id: String,
        lookups: &Lookups,
    ) -> Option<Policy> {
        let now = state.clock.now();
        let waits = lock(&self.failed)
            .get(hop)
            .is_some_and(|(of, until)| *of == id && now < *until);
        if waits && !self.is_hasty {
            return None;
        }
        let fetched = state.clock.within(WAIT, fetch(state, hop, lookups)).await;
        let Some(policy) = fetched.and_then(|answer| answer.ok().flatten()) else {
            let until = state.clock.now().after(RETRY);
            lock(&self.failed).insert(hop.clone(), (id, until));
            return None;
        };
        let now = state.clock.now();
        let fresh = CachedPolicy {
            id,
            policy: policy.clone(),
            until: now.after(policy.max_age),
            refreshed_at: None,
        };
        let before = lock(&self.kept).insert(hop.clone(), fresh);
        self.plan_refresh(hop, now, before.and_then(|before| before.refreshed_at));
        Some(policy)
    }

    /// Notes when a kept policy is fetched again, in place of a moment that was noted before: in a day, or after half of the
    /// time that is left of it where that comes first.
    fn plan_refresh(&self, hop: &Domain, now: Moment, before: Option<Moment>) {
        let mut kept = lock(&self.kept);
        let Some(kept) = kept.get_mut(hop) else {
            return;
        };
        let wait = REFRESH.min(kept.until.since(now) / 2);
        kept.refreshed_at = (wait >= RETRY).then(|| now.after(wait));
        let mut refreshes = lock(&self.refreshes);
        if let Some(before) = before {
            refreshes.remove(&(before, hop.clone()));
        }
        refreshes.extend(kept.refreshed_at.map(|at| (at, hop.clone())));
    }

    /// When the next kept policy is to be fetched again.
    pub(super) fn next_refresh(&self) -> Option<Moment> {
        lock(&self.refreshes).first().map(|(at, _)| *at)
    }

    /// The next hop whose policy is to be fetched again by now, which is then the caller's to do.
    pub(super) fn due(&self, now: Moment) -> Option<Domain> {
        let mut refreshes = lock(&self.refreshes);
        refreshes.first().filter(|(at, _)| *at <= now)?;
        refreshes.pop_first().map(|(_, hop)| hop)
    }

    /// Fetches a kept policy again, if a record still announces one. What is kept counts on if that fails, and it is tried
    /// again.
    pub(super) async fn refresh(&self, state: &Arc<LabState>, hop: &Domain, lookups: &Lookups) {
        if self.kept(hop, state.clock.now()).is_none() {
            return;
        }
        let fresh = match announced_id(hop, lookups).await {
            Some(id) => self.fetched(state, hop, id, lookups).await,
            None => None,
        };
        if fresh.is_none() {
            // Somebody with mail may have fetched another meanwhile.
            let kept = self.kept(hop, state.clock.now());
            let before = kept.and_then(|kept| kept.refreshed_at);
            self.plan_refresh(hop, state.clock.now(), before);
        }
    }
}

/// The id of the policy that a domain announces now; `None` without a valid record, when the lookup
/// fails, and for an address literal, which has no records.
async fn announced_id(hop: &Domain, lookups: &Lookups) -> Option<String> {
    if hop.literal().is_some() {
        return None;
    }
    let LookupResult::Records { records, .. } = lookups
        .lookup(&hop.prefixed("_mta-sts"), RecordType::TXT)
        .await
    else {
        return None;
    };
    let texts = records.iter().filter_map(|record| match &record.data {
        // Several strings are joined without anything between them.
        RData::TXT(txt) => Some(
            txt.txt_data
                .iter()
                .map(|part| String::from_utf8_lossy(part))
                .collect::<String>(),
        ),
        _ => None,
    });
    mta_sts::announced_id(texts)
}

/// Fetches the policy file over HTTP/1.1; `None` if what came is no valid policy.
///
/// # Errors
/// When the host has no address or does not answer, or the handshake fails. The caller
/// treats all of them alike: there is no newer policy.
async fn fetch(
    state: &Arc<LabState>,
    hop: &Domain,
    lookups: &Lookups,
) -> io::Result<Option<Policy>> {
    let host = policy_host(hop);
    // One address is enough: a fetch that fails is repeated at the next pass.
    let addresses = lookups.addresses(&[&host]).await;
    let address = addresses
        .get(&host)
        .and_then(|addresses| addresses.found.first().copied());
    let stream =
        network::connect::to_policy_server(state, address.ok_or(io::ErrorKind::AddrNotAvailable)?)
            .await?;
    let mut connection = Connection::new(stream);
    let requirement = TlsRequirement::Authenticated(Authentication::Authority(vec![host.clone()]));
    connection
        .secure(|stream| tls::handshake(state, &requirement, &host, stream))
        .await?;
    let answer = https::get(&mut connection, &host, POLICY_PATH).await?;
    // Only a 200 has a policy in it; redirects are not followed (section 3.3). The media type must be text/plain (section
    // 3.2), so that a file that users may upload elsewhere on the host cannot become the policy.
    let is_policy = answer.status == 200 && answer.media_type.as_deref() == Some("text/plain");
    let text = String::from_utf8(answer.body).ok().filter(|_| is_policy);
    Ok(text.as_deref().and_then(Policy::parse))
}
