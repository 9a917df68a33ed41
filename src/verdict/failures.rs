//! Lookups that failed, or may have, and the hosts that a sender may leave out because of them.
//!
//! A host whose addresses could not be looked up cannot be tried, and RFC 7672 and RFC 8461 forbid
//! some others. Such a host is missed by no rule. For a foreign sender a fault of the drill counts
//! even if nobody was seen to ask: another resolver may have been told the same.
//!
//! What excuses a host, from the surest to the least sure: a lookup of it was answered with a failure while the pass
//! was under way; nothing that held was known of it at the beginning or the end of the pass; a fault of the drill
//! would have made it fail for who asked elsewhere. The last counts for foreign senders alone, and only where they did
//! not ask here, unless the fault strikes now and then.

use std::{ops::RangeInclusive, time::Duration};

use hickory_proto::rr::{RData, Record, RecordType};

use super::dns_view::{DnsView, Known, LONGEST_PASS};
use crate::{
    fault::{Failure, Fault, QueryEffect},
    mta_sts::Policy,
    name::Domain,
    scenario::{PolicyRow, TlsPolicy},
    time::Moment,
};

/// The types by which a host's addresses are looked up.
const FAMILIES: [RecordType; 2] = [RecordType::A, RecordType::AAAA];

/// A span of time, both ends included: from the beginning of a pass to the attempt that is judged.
type PassSpan = RangeInclusive<Moment>;

impl DnsView<'_> {
    /// Whether some fault of the drill may have answered a question by a moment, in one of these ways: a
    /// foreign sender may have been told so without having asked here.
    pub(super) fn may_have_failed(
        &self,
        name: &Domain,
        record_type: RecordType,
        at: Moment,
        how: impl Fn(QueryEffect) -> bool,
    ) -> bool {
        self.is_foreign() && self.failing(name, record_type, at, how).next().is_some()
    }

    /// The faults that may have answered a question by a moment, in one of these ways.
    ///
    /// A fault counts from its beginning until its end and for as long as a negative answer may be
    /// kept after that.
    fn failing(
        &self,
        name: &Domain,
        record_type: RecordType,
        at: Moment,
        how: impl Fn(QueryEffect) -> bool,
    ) -> impl Iterator<Item = &Fault> {
        // A failure may be remembered like a negative answer (RFC 2308 section 7).
        let is_kept = move |until: Moment| at <= until.after(self.negative_ttl(name, until));
        let faults = self.scenario().world.faults.iter();
        faults.filter(move |fault| match &fault.failure {
            Failure::Query {
                name: of,
                record_type: wanted,
                effect,
                ..
            } => {
                of == name
                    && wanted.is_none_or(|wanted| wanted == record_type)
                    && fault.from <= at
                    && fault.until.is_none_or(is_kept)
                    && how(*effect)
            }
            Failure::Session { .. } => false,
        })
    }

    /// How long a failed lookup of a name may count that was made at a moment: as long as its zone lets a
    /// negative answer be kept (RFC 2308 section 5), and the pass takes that rests on it.
    fn negative_ttl(&self, name: &Domain, at: Moment) -> Duration {
        let soa = self.scenario().world.zones.at(at).soa_for(name);
        Duration::from_secs(negative_ttl(&soa).into()).saturating_add(LONGEST_PASS)
    }

    /// Whether a sender may leave a host out, which it may have looked up at any time of a span: it asked for
    /// its addresses in vain, although somebody asked again with success, or may know none; nothing was known
    /// of its TLSA records (RFC 7672 section 2.1.2); or the domain's MTA-STS policy does not list it (RFC 8461
    /// section 5).
    pub(super) fn may_be_left_out(&self, hop: &Domain, host: &Domain, span: &PassSpan) -> bool {
        let has_some = |family: &RecordType| {
            let at = *span.end();
            let known = || self.known(host, *family, at);
            self.asked(host, *family, at) && matches!(known(), Known::Records(_))
        };
        // With an address of one family a sender may go on as if the other had none.
        let has_address = FAMILIES.iter().any(has_some);
        let by_address = |family: RecordType| {
            self.failed(host, family, span)
                || !has_address && self.may_fail(host, family, span)
                || self.fails_now_and_then(host, family, *span.end())
        };
        FAMILIES.into_iter().any(by_address)
            || self.is_left_out_by_dane(hop, host, span)
            || self.is_left_out_by_policy(hop, host)
    }

    /// Whether DANE lets a sender leave a host out: a lookup that secures it may have failed (RFC
    /// 7672 section 2.1.2).
    fn is_left_out_by_dane(&self, hop: &Domain, host: &Domain, span: &PassSpan) -> bool {
        // Where DANE is demanded, what it does not secure is left out; that nothing goes there is a rule's affair.
        if self.scenario().sender.tls == TlsPolicy::DaneOnly {
            return true;
        }
        let tlsa = host.prefixed("_25._tcp");
        let [a, aaaa] = FAMILIES.map(|family| (host, family));
        let mut needed = [(&tlsa, RecordType::TLSA), (hop, RecordType::MX), a, aaaa].into_iter();
        self.scenario().sender.tls == TlsPolicy::Dane
            && needed.any(|(name, record_type)| self.may_fail(name, record_type, span))
    }

    /// Whether an MTA-STS policy of the domain does not list a host. A policy may have been kept
    /// from before: any that the domain ever had counts.
    fn is_left_out_by_policy(&self, hop: &Domain, host: &Domain) -> bool {
        // A policy that only tests forbids nothing (RFC 8461 section 5).
        let forbids = |policy: &Policy| !policy.allows(host);
        let excludes =
            |row: &PolicyRow| row.domain == *hop && row.policy.as_ref().is_some_and(forbids);
        let scenario = self.scenario();
        matches!(
            scenario.sender.tls,
            TlsPolicy::Dane | TlsPolicy::DaneOnly | TlsPolicy::MtaSts
        ) && scenario.world.policies.iter().any(excludes)
    }

    /// Whether a lookup was answered with a failure in a span.
    fn failed(&self, name: &Domain, record_type: RecordType, span: &PassSpan) -> bool {
        self.asked_in_vain(name, record_type)
            .any(|at| span.contains(&at))
    }

    /// Whether a lookup may have failed for a sender in a span: it did, nothing was known at either end, or the
    /// drill lets it fail and a foreign sender did not ask here, or asked elsewhere as well and failed there alone.
    fn may_fail(&self, name: &Domain, record_type: RecordType, span: &PassSpan) -> bool {
        let mut ends = [*span.start(), *span.end()].into_iter();
        self.failed(name, record_type, span)
            || ends.any(|at| self.known(name, record_type, at) == Known::Failed)
            || !self.asked(name, record_type, *span.end())
                && self.may_have_failed(name, record_type, *span.end(), fails)
            || self.fails_now_and_then(name, record_type, *span.end())
    }

    /// Whether a fault of the drill makes some of the questions fail, by chance or each third time, so that for a foreign
    /// sender one that was answered here tells nothing of another.
    fn fails_now_and_then(&self, name: &Domain, record_type: RecordType, at: Moment) -> bool {
        let mut failing = self.failing(name, record_type, at, fails);
        self.is_foreign() && failing.any(varies)
    }

    /// The names about which some questions fail and others of the same moment do not.
    pub(super) fn varying(&self) -> impl Iterator<Item = &Domain> {
        let faults = self.scenario().world.faults.iter();
        let varying = faults.filter(|fault| varies(fault));
        varying.filter_map(|fault| match &fault.failure {
            Failure::Query { name, effect, .. } if fails(*effect) => Some(name),
            _ => None,
        })
    }
}

/// Whether a fault takes an answer away: what is only late is an answer all the same, and what is truncated is asked for
/// again.
fn fails(effect: QueryEffect) -> bool {
    !matches!(effect, QueryEffect::Delay(_) | QueryEffect::Truncate)
}

/// Whether a fault strikes some of the times at which it could: by chance, or each third time.
fn varies(fault: &Fault) -> bool {
    fault.chance.is_some() || fault.every.is_some()
}

/// The seconds for which a negative answer with this SOA may be kept: the lesser of its TTL and its MINIMUM
/// (RFC 2308 section 5).
pub(super) fn negative_ttl(soa: &Record) -> u32 {
    match &soa.data {
        RData::SOA(data) => soa.ttl.min(data.minimum),
        _ => soa.ttl,
    }
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{Name, rdata::SOA};

    use super::*;

    #[test]
    fn a_negative_answer_is_kept_for_the_lesser_of_the_ttl_and_the_minimum() {
        for (ttl, minimum, kept) in [(60, 300, 60), (600, 300, 300), (300, 300, 300)] {
            let data = SOA::new(Name::root(), Name::root(), 1, 2, 3, 4, minimum);
            let soa = Record::from_rdata(Name::root(), ttl, RData::SOA(data));
            assert_eq!(negative_ttl(&soa), kept, "{ttl} {minimum}");
        }
    }
}
