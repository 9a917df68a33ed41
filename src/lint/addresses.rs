//! Checks of the addresses that exchangers have: whether they can be reached, what they share, which
//! families there are, and whether their names lead back.
//!
//! Addresses that are not known, or not all of them, trip only the checks that no further address
//! could undo.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    DomainFindings,
    catalogue::{
        IPV6_ABSENT, IPV6_ONLY, PTR_MISMATCH, PTR_MISSING, SHARED_ADDRESS, SHARED_NETWORK,
        TARGET_LOCALHOST, TARGET_PRIVATE,
    },
    listed,
};
use crate::{
    name::Domain,
    records::{KnownHost, Location, MxTarget},
    zone::present,
};

/// Domains that are for documentation and tests, as documentation's addresses are.
const RESERVED: [&str; 7] = [
    "test",
    "example",
    "invalid",
    "localhost",
    "example.com",
    "example.net",
    "example.org",
];
pub(super) fn check(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    sharing(findings, named);
    families(findings, named);
    reverse(findings, named);
}

/// Whether senders can get to the addresses of a host.
pub(super) fn reachable(findings: &mut DomainFindings<'_>, host: &Domain, known: &KnownHost) {
    let documented = RESERVED.iter().any(|name| {
        let name: Result<Domain, _> = name.parse();
        name.is_ok_and(|name| findings.domain_records.domain.is_within(&name))
    });
    for (address, placed) in known.addressed() {
        if address.is_loopback() {
            let message =
                format!("{host} has the address {address}, which every sender takes for itself");
            findings.add(TARGET_LOCALHOST, placed.place.clone(), message);
        } else if let Some(what) = reserved(address, documented) {
            let message = format!("{host} has the address {address}, which is {what}");
            findings.add(TARGET_PRIVATE, placed.place.clone(), message);
        }
    }
}

/// Why an address cannot be reached from the Internet; `None` if it can. `documented`: the domain
/// is itself one for documentation, whose addresses are then no mistake.
fn reserved(address: IpAddr, documented: bool) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_ipv4(address, documented),
        IpAddr::V6(address) => reserved_ipv6(address, documented),
    }
}

// The registries of RFC 6890, as far as a host may be given such an address by mistake.
fn reserved_ipv4(address: Ipv4Addr, documented: bool) -> Option<&'static str> {
    let [first, second, ..] = address.octets();
    match () {
        () if address.is_private() => Some("private (RFC 1918)"),
        () if address.is_link_local() => Some("link-local (RFC 3927)"),
        () if address.is_multicast() => Some("for multicast"),
        () if first == 0 || first >= 240 => Some("reserved (RFC 6890)"),
        () if first == 100 && second & 0xc0 == 64 => Some("shared address space (RFC 6598)"),
        () if first == 198 && second & 0xfe == 18 => Some("for benchmarks (RFC 2544)"),
        () if address.is_documentation() && !documented => Some("for documentation (RFC 5737)"),
        () => None,
    }
}

fn reserved_ipv6(address: Ipv6Addr, documented: bool) -> Option<&'static str> {
    let first = address.segments()[0];
    let second = address.segments()[1];
    match () {
        () if address.is_unique_local() => Some("unique local (RFC 4193)"),
        () if address.is_unicast_link_local() => Some("link-local (RFC 4291)"),
        () if address.is_multicast() => Some("for multicast"),
        () if address.is_unspecified() => Some("no address at all"),
        () if address.to_ipv4_mapped().is_some() => Some("a mapped IPv4 address"),
        () if first == 0x2001 && second == 0xdb8 && !documented => {
            Some("for documentation (RFC 3849)")
        }
        () => None,
    }
}

/// What exchangers have in common.
fn sharing(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let mut at: BTreeMap<IpAddr, BTreeSet<&Domain>> = BTreeMap::new();
    let mut places: BTreeMap<IpAddr, Option<Location>> = BTreeMap::new();
    let mut uncertain = false;
    for listed in named {
        let Some(known) = domain_records.host(&listed.host) else {
            continue;
        };
        uncertain |= known.is_uncertain();
        for (address, placed) in known.addressed() {
            at.entry(address).or_default().insert(&listed.host);
            places.insert(address, placed.place.clone());
        }
    }
    for (address, hosts) in &at {
        if hosts.len() > 1 {
            let message = format!("{} share the address {address}", listed(hosts));
            findings.add(SHARED_ADDRESS, places[address].clone(), message);
        }
    }
    let hosts: BTreeSet<&Domain> = at.values().flatten().copied().collect();
    let networks = Networks::of(at.keys().copied());
    if hosts.len() > 1 && at.len() > 1 && !uncertain && networks.is_one() {
        let networks = listed(networks.ipv4.iter().chain(&networks.ipv6));
        let message = format!(
            "all exchangers of {} are in {networks}",
            domain_records.domain
        );
        findings.add(SHARED_NETWORK, named[0].place.clone(), message);
    }
}

/// The networks that addresses are likely to fail with.
pub(super) struct Networks {
    ipv4: BTreeSet<String>,
    ipv6: BTreeSet<String>,
}

impl Networks {
    // A network is a /24 or a /48: what one site usually gets from its provider.
    pub(super) fn of(addresses: impl IntoIterator<Item = IpAddr>) -> Self {
        let (ipv4, ipv6): (Vec<IpAddr>, Vec<IpAddr>) =
            addresses.into_iter().partition(IpAddr::is_ipv4);
        Self {
            ipv4: ipv4.into_iter().map(network).collect(),
            ipv6: ipv6.into_iter().map(network).collect(),
        }
    }

    /// Whether there is not more than one of each family.
    pub(super) fn is_one(&self) -> bool {
        self.ipv4.len() <= 1 && self.ipv6.len() <= 1
    }
}

/// The network that an address is likely to fail with.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// Which address families lead to an exchanger.
///
/// A sender with IPv4 only must find a host at each preference, or it passes over a whole level.
fn families(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let known: Vec<(&&MxTarget, &KnownHost)> = named
        .iter()
        .filter_map(|listed| Some((listed, domain_records.host(&listed.host)?)))
        .collect();
    let uncertain = known.iter().any(|(_, host)| host.is_uncertain());
    let ipv6 = known
        .iter()
        .any(|(_, host)| !host.ipv6.records().is_empty());
    let ipv4 = known
        .iter()
        .any(|(_, host)| !host.ipv4.records().is_empty());
    if uncertain {
        return;
    }
    if ipv4 && !ipv6 {
        let message = format!(
            "no exchanger of {} has an IPv6 address",
            domain_records.domain
        );
        findings.add(IPV6_ABSENT, named[0].place.clone(), message);
    }
    if ipv6 && !ipv4 {
        let message = format!(
            "no exchanger of {} has an IPv4 address",
            domain_records.domain
        );
        return findings.add(IPV6_ONLY, named[0].place.clone(), message);
    }
    let levels: BTreeSet<u16> = named.iter().map(|listed| listed.preference).collect();
    for level in levels.iter().filter(|_| levels.len() > 1) {
        let here: Vec<_> = known
            .iter()
            .filter(|(listed, _)| listed.preference == *level)
            .collect();
        let with = |ipv4: bool| {
            here.iter().any(|(_, host)| {
                let reply = if ipv4 { &host.ipv4 } else { &host.ipv6 };
                !reply.records().is_empty()
            })
        };
        if with(false) && !with(true) {
            let message = format!("no exchanger of preference {level} has an IPv4 address");
            findings.add(IPV6_ONLY, here[0].0.place.clone(), message);
        }
    }
}

/// Whether the names of addresses lead back to them.
fn reverse(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    for host in hosts {
        let Some(known) = domain_records.host(host) else {
            continue;
        };
        for (address, placed) in known.addressed() {
            let Some(reverse) = domain_records.reverse_of(address) else {
                continue;
            };
            if reverse.names.is_none() {
                let message = format!("{address}, the address of {host}, has no PTR record");
                findings.add(PTR_MISSING, placed.place.clone(), message);
            }
            let names = reverse.names.records();
            if !names.is_empty() && !reverse.uncertain && !reverse.forward.contains(&address) {
                let found = listed(names.iter().map(|name| present::data(&name.record.data)));
                let message = format!(
                    "the PTR record of {address} ({host}) is {found}, which does not lead back"
                );
                findings.add(PTR_MISMATCH, names[0].place.clone(), message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_address_that_the_internet_does_not_reach_is_known_up_to_its_ends() {
        for (address, what) in [
            ("10.0.0.1", Some("private")),
            ("172.31.255.255", Some("private")),
            ("172.32.0.0", None),
            ("169.254.0.1", Some("link-local")),
            ("169.255.0.1", None),
            ("224.0.0.1", Some("for multicast")),
            ("239.255.255.255", Some("for multicast")),
            ("223.255.255.255", None),
            ("0.1.2.3", Some("reserved")),
            ("1.0.0.1", None),
            ("240.0.0.1", Some("reserved")),
            ("100.64.0.1", Some("shared address space")),
            ("100.127.255.255", Some("shared address space")),
            ("100.63.255.255", None),
            ("100.128.0.1", None),
            ("101.64.0.1", None),
            ("198.18.0.1", Some("for benchmarks")),
            ("198.19.255.255", Some("for benchmarks")),
            ("198.17.0.1", None),
            ("198.20.0.1", None),
            ("199.18.0.1", None),
            ("192.0.2.1", Some("for documentation")),
            ("203.0.113.1", Some("for documentation")),
            ("192.0.3.1", None),
            ("fd00::1", Some("unique local")),
            ("fe80::1", Some("link-local")),
            ("ff02::1", Some("for multicast")),
            ("::", Some("no address at all")),
            ("::ffff:198.51.100.1", Some("a mapped IPv4 address")),
            ("2001:db8::1", Some("for documentation")),
            ("2001:db9::1", None),
            ("2002:db8::1", None),
            ("2a00::1", None),
        ] {
            let address: IpAddr = address.parse().expect("an address");
            let found = reserved(address, false);
            let same = match (found, what) {
                (Some(found), Some(what)) => found.starts_with(what),
                (found, what) => found.is_none() && what.is_none(),
            };
            assert!(same, "{address}: {found:?}, not {what:?}");
        }
        // Where everything is at such addresses, they mean nothing.
        for address in ["192.0.2.1", "2001:db8::1"] {
            let address = address.parse().expect("an address");
            assert_eq!(reserved(address, true), None, "{address}");
        }
    }
}
