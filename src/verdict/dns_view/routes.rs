//! What answers come to: the exchangers of a domain and their addresses, as a sender knew them at a moment.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::rr::{RData, RecordType};

use super::{DnsView, Exchangers, Known};
use crate::{name::Domain, scenario::Relay, time::Moment, zone::address_of};

impl DnsView<'_> {
    /// The relays that the sender was told to use, in place of any exchangers: their places are their preferences.
    pub(in super::super) fn relays(&self) -> Option<Exchangers> {
        let relays = &self.scenario.sender.relays;
        let pairs = (0..).zip(relays.iter().map(Relay::domain));
        (!relays.is_empty()).then(|| Exchangers::Mx(pairs.collect()))
    }

    /// The exchangers of a domain, as known at a moment.
    pub(in super::super) fn exchangers(&self, domain: &Domain, at: Moment) -> Exchangers {
        if let Some(relays) = self.relays() {
            return relays;
        }
        // An address literal is the host itself (RFC 5321 section 5.1).
        if domain.literal().is_some() {
            return Exchangers::Implicit;
        }
        match self.known(domain, RecordType::MX, at) {
            Known::Records(records) => {
                let pairs: BTreeSet<(u16, Domain)> = records
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::MX(mx) => Some((mx.preference, Domain::from(&mx.exchange))),
                        _ => None,
                    })
                    .collect();
                Exchangers::of(pairs)
            }
            Known::NoData => Exchangers::Implicit,
            Known::NoDomain => Exchangers::NoDomain,
            Known::Failed => Exchangers::Failed,
        }
    }

    /// Whether the sender was told of TLSA records of a host.
    pub(in super::super) fn has_tlsa(&self, host: &Domain, at: Moment) -> bool {
        matches!(
            self.known(&host.prefixed("_25._tcp"), RecordType::TLSA, at),
            Known::Records(_)
        )
    }

    /// The addresses of a host, as known at a moment.
    pub(in super::super) fn addresses(&self, host: &Domain, at: Moment) -> BTreeSet<IpAddr> {
        self.addresses_or_lack(host, at).0
    }

    /// The addresses of a host, as known at a moment, and whether those of some family could not be looked up for now.
    pub(in super::super) fn addresses_or_lack(
        &self,
        host: &Domain,
        at: Moment,
    ) -> (BTreeSet<IpAddr>, bool) {
        if let Some(address) = host.literal() {
            return (BTreeSet::from([address]), false);
        }
        let (mut addresses, mut lacks_some) = (BTreeSet::new(), false);
        for record_type in [RecordType::A, RecordType::AAAA] {
            match self.known(host, record_type, at) {
                Known::Records(records) => {
                    let found = records.iter();
                    addresses.extend(found.filter_map(|record| address_of(&record.data)));
                }
                Known::Failed => lacks_some = true,
                Known::NoData | Known::NoDomain => {}
            }
        }
        (addresses, lacks_some)
    }
}
