//! Hosts as the DNS has them: their addresses, what these are called, and what secures them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hickory_proto::rr::{Name, RData, RecordType};

use super::{AT_ONCE, LocatedRecord, Location, RecordLookup, Source};
use crate::{name::Domain, zone::address_of};

/// Addresses of a host that are looked at in each family. Real hosts have a few; the bound is for
/// records made to exhaust.
const MAX_ADDRESSES: usize = 100;

/// What is known of a host.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct KnownHost {
    /// The name that it is an alias of, with the place of the CNAME record; `None` if it is none.
    pub alias: Option<(Domain, Option<Location>)>,
    /// The answer to a lookup of its A records.
    pub ipv4: RecordLookup,
    /// The answer to a lookup of its AAAA records.
    pub ipv6: RecordLookup,
    /// The answer to a lookup of TLSA records at `_25._tcp` under it (RFC 7672).
    pub tlsa: RecordLookup,
    /// Whether it is signed with DNSSEC; `None` where that cannot be told, as from a resolver.
    pub signed: Option<bool>,
}

impl KnownHost {
    /// Its address records, IPv4 first.
    pub fn records(&self) -> impl Iterator<Item = &LocatedRecord> {
        self.ipv4.records().iter().chain(self.ipv6.records())
    }

    /// Its addresses with their records, IPv4 first.
    pub fn addressed(&self) -> impl Iterator<Item = (IpAddr, &LocatedRecord)> {
        let records = self.records();
        records.filter_map(|placed| Some((address_of(&placed.record.data)?, placed)))
    }

    /// Its addresses, IPv4 first.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.addressed().map(|(address, _)| address).collect()
    }

    /// Whether a lookup of its addresses failed, in either family.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(self.ipv4, RecordLookup::Failed) || matches!(self.ipv6, RecordLookup::Failed)
    }

    /// Whether it is known to have no address in either family.
    pub(crate) fn has_no_address(&self) -> bool {
        self.ipv4.is_none() && self.ipv6.is_none()
    }

    /// Whether its addresses are not known, or only those of one family.
    pub fn is_uncertain(&self) -> bool {
        let uncertain =
            |reply: &RecordLookup| matches!(reply, RecordLookup::Failed | RecordLookup::Unknown);
        uncertain(&self.ipv4) || uncertain(&self.ipv6)
    }
}

/// The names of an address, and whether they lead back to it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Reverse {
    /// The answer to a lookup of PTR records at the address's reverse name.
    pub names: RecordLookup,
    /// The addresses of these names, of all of them together, in their order.
    pub forward: Box<[IpAddr]>,
    /// Whether the addresses of some name are not known, so that one may lead back.
    pub uncertain: bool,
}

/// Looks up what there is about a host.
pub(super) async fn look_at(source: &Source, host: &Domain) -> KnownHost {
    let few = |mut reply: RecordLookup| {
        if let RecordLookup::Records(records) = &mut reply {
            records.truncate(MAX_ADDRESSES);
        }
        reply
    };
    KnownHost {
        alias: source.alias(host).await,
        ipv4: few(source.ask(host, RecordType::A).await),
        ipv6: few(source.ask(host, RecordType::AAAA).await),
        tlsa: source
            .ask(&host.prefixed("_25._tcp"), RecordType::TLSA)
            .await,
        signed: source.is_signed(host),
    }
}

/// Looks up a host's addresses, IPv4 first; tells whether those of some family are not known.
pub(super) async fn addresses_of(source: &Source, host: &Domain) -> (Vec<IpAddr>, bool) {
    let mut addresses = Vec::new();
    let mut uncertain = false;
    for record_type in [RecordType::A, RecordType::AAAA] {
        let reply = source.ask(host, record_type).await;
        uncertain |= matches!(reply, RecordLookup::Failed | RecordLookup::Unknown);
        let records = reply.records().iter();
        addresses.extend(records.filter_map(|placed| address_of(&placed.record.data)));
    }
    (addresses, uncertain)
}

/// Looks up the names of an address, and their addresses.
pub(super) async fn look_back(source: &Source, address: IpAddr) -> Reverse {
    let names = source
        .ask(&Domain::from(&Name::from(address)), RecordType::PTR)
        .await;
    let mut forward = BTreeSet::new();
    let mut uncertain = false;
    for placed in names.records() {
        if let RData::PTR(name) = &placed.record.data {
            let name = Domain::from(&name.0);
            let (addresses, some_uncertain) = addresses_of(source, &name).await;
            forward.extend(addresses);
            uncertain |= some_uncertain;
        }
    }
    Reverse {
        names,
        forward: forward.into_iter().collect(),
        uncertain,
    }
}

/// The addresses of name servers.
pub(super) async fn name_servers(
    source: &Source,
    ns: &RecordLookup,
) -> BTreeMap<Domain, Vec<IpAddr>> {
    let mut known = BTreeMap::new();
    for placed in ns.records().iter().take(AT_ONCE) {
        let RData::NS(host) = &placed.record.data else {
            continue;
        };
        let host = Domain::from(&host.0);
        let (addresses, _) = addresses_of(source, &host).await;
        known.insert(host, addresses);
    }
    known
}
