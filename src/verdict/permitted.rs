//! Where a message may go, as its sender knew the DNS at some moment.
//!
//! This is RFC 5321 section 5.1 a second time, in another form: not an order to walk, but the set
//! of addresses with their preferences, from which a rule asks whether an address is in it.

use std::{collections::BTreeSet, net::IpAddr};

use hickory_proto::rr::{RData, RecordType};

use super::dns_view::{DnsView, Exchangers};
use crate::{
    name::Domain,
    observe::Attempt,
    port,
    time::Moment,
    zone::{Zone, address_of},
};

/// The places a message may be sent to, as the sender knew them at some moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PermittedRoute {
    /// Where they come from, or why there are none.
    pub(super) exchangers: Exchangers,
    /// Every address of every exchanger in a family that the sender can reach, its own level and
    /// worse ones included.
    pub(super) list: Vec<PermittedAddress>,
    /// The lowest preference at which the sender found itself.
    own: Option<u16>,
    /// Whether the addresses of some exchanger could not be looked up for now: there may be more.
    lacks_some: bool,
}

/// One address of an exchanger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PermittedAddress {
    /// The preference of the exchanger; 0 for the implicit one, which is what RFC 5321 section 5.1
    /// gives it.
    pub(super) preference: u16,
    pub(super) host: Domain,
    pub(super) address: IpAddr,
    /// That of exchangers, or of the relay.
    pub(super) port: u16,
}

impl PermittedRoute {
    /// As the name server told it.
    pub(super) fn new(dns: &DnsView<'_>, hop: &Domain, at: Moment) -> Self {
        let exchangers = dns.exchangers(hop, at);
        let mut lacking = Vec::new();
        let mut places = Self::of(dns, hop, exchangers, |host| {
            let (addresses, lacks_some) = dns.addresses_or_lack(host, at);
            if lacks_some {
                lacking.push(host.clone());
            }
            addresses
        });
        places.lacks_some = match &places.exchangers {
            Exchangers::Mx(pairs) => pairs
                .iter()
                .filter(|(preference, _)| places.own.is_none_or(|own| *preference < own))
                .any(|(_, host)| lacking.contains(host)),
            Exchangers::Implicit => !lacking.is_empty(),
            Exchangers::Null | Exchangers::NoDomain | Exchangers::Failed => false,
        };
        places
    }

    /// With some exchangers, whoever told the sender of them.
    ///
    /// The sender finds itself by name or by address, loopback included (RFC 5321 section 5.1).
    pub(super) fn of(
        dns: &DnsView<'_>,
        hop: &Domain,
        exchangers: Exchangers,
        mut addresses_of: impl FnMut(&Domain) -> BTreeSet<IpAddr>,
    ) -> Self {
        let pairs = match &exchangers {
            Exchangers::Mx(pairs) => pairs.clone(),
            Exchangers::Implicit => BTreeSet::from([(0, hop.clone())]),
            _ => BTreeSet::new(),
        };
        let settings = &dns.scenario().sender;
        let port = |place: u16| {
            let relay = settings.relays.get(usize::from(place));
            relay.map_or(port::SMTP, |relay| relay.port)
        };
        let mut list = Vec::new();
        let mut own: Option<u16> = None;
        for (preference, host) in pairs {
            let addresses = addresses_of(&host);
            let is_own =
                |address: &IpAddr| address.is_loopback() || settings.addresses.contains(address);
            // Who is given a relay does not look for itself in a list.
            if settings.relays.is_empty()
                && (settings.names.contains(&host) || addresses.iter().any(is_own))
            {
                own = Some(own.map_or(preference, |known| known.min(preference)));
            }
            let usable = addresses
                .into_iter()
                .filter(|address| settings.families.reach(*address));
            list.extend(usable.map(|address| PermittedAddress {
                preference,
                host: host.clone(),
                address,
                port: port(preference),
            }));
        }
        Self {
            exchangers,
            list,
            own,
            lacks_some: false,
        }
    }

    /// As the records themselves have it.
    pub(super) fn in_zone(dns: &DnsView<'_>, zone: &Zone, hop: &Domain) -> Self {
        let exchangers = match dns.relays() {
            Some(relays) => relays,
            None => exchangers_in(zone, hop),
        };
        Self::of(dns, hop, exchangers, |host| addresses_in(zone, host))
    }

    /// The preference at which an attempt's address stands in the list; `None` if it does not. The
    /// lowest counts where several exchangers share it.
    pub(super) fn preference_of(&self, attempt: &Attempt) -> Option<u16> {
        let same_host = |host: &Domain| {
            attempt
                .exchanger
                .as_ref()
                .is_none_or(|exchanger| exchanger == host)
        };
        let at_address = self
            .list
            .iter()
            .filter(|place| place.address == attempt.address);
        at_address
            .filter(|place| same_host(&place.host))
            .map(|place| place.preference)
            .min()
    }

    /// How many exchangers of the list have an address.
    pub(super) fn exchangers_at(&self, address: IpAddr) -> usize {
        let here = self.list.iter().filter(|place| place.address == address);
        let hosts: BTreeSet<&Domain> = here.map(|place| &place.host).collect();
        hosts.len()
    }

    /// Whether a host is one of the list.
    pub(super) fn list_host(&self, host: &Domain) -> bool {
        self.list.iter().any(|place| place.host == *host)
    }

    /// Whether an address is that of some exchanger, the sender's own level and worse ones included.
    pub(super) fn list_address(&self, address: IpAddr) -> bool {
        self.list.iter().any(|place| place.address == address)
    }

    /// Whether there is an address at which mail may be sent to some port.
    pub(super) fn keep_address(&self, address: IpAddr) -> bool {
        self.kept().any(|place| place.address == address)
    }

    /// Whether an attempt went where mail may be sent to.
    pub(super) fn keep(&self, attempt: &Attempt) -> bool {
        let mut kept = self.kept();
        kept.any(|place| place.address == attempt.address && place.port == attempt.port)
    }

    /// Whether it is settled that there is nowhere to go.
    pub(super) fn are_known_to_be_none(&self) -> bool {
        let is_settled = self.exchangers != Exchangers::Failed && !self.lacks_some;
        is_settled && self.kept().next().is_none()
    }

    /// Whether a lookup that failed leaves open where to go: then a message must wait (RFC 5321
    /// section 5.1).
    pub(super) fn are_unsettled(&self) -> bool {
        let is_failed = self.exchangers == Exchangers::Failed || self.lacks_some;
        is_failed && self.kept().next().is_none()
    }

    /// What is left without the sender's own level and worse ones, which RFC 5321 section 5.1
    /// forbids: mail sent there may go in a circle.
    pub(super) fn kept(&self) -> impl Iterator<Item = &PermittedAddress> {
        self.list
            .iter()
            .filter(|place| self.own.is_none_or(|own| place.preference < own))
    }
}

/// The exchangers of a domain by the records of a zone.
pub(super) fn exchangers_in(zone: &Zone, hop: &Domain) -> Exchangers {
    let answer = zone.answer(hop, RecordType::MX);
    let pairs = answer
        .records
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, Domain::from(&mx.exchange))),
            _ => None,
        });
    match answer.code {
        hickory_proto::op::ResponseCode::NXDomain => Exchangers::NoDomain,
        hickory_proto::op::ResponseCode::NoError => Exchangers::of(pairs.collect()),
        _ => Exchangers::Failed,
    }
}

/// The addresses of a host by the records of a zone.
pub(super) fn addresses_in(zone: &Zone, host: &Domain) -> BTreeSet<IpAddr> {
    let families = [RecordType::A, RecordType::AAAA].into_iter();
    let answers = families.flat_map(|family| zone.answer(host, family).records);
    answers
        .filter_map(|record| address_of(&record.data))
        .collect()
}
