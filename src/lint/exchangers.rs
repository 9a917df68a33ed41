//! Checks of MX records, of the hosts that they name and of these hosts' addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::{
    Findings,
    catalogue::{
        BACKUP_PREFERRED, DUPLICATE_EXCHANGER, EQUAL_PREFERENCES, IPV6_ABSENT, IPV6_ONLY,
        LOOKUP_FAILED, NO_DOMAIN, NO_MX, NULL_MX_MIXED, NULL_MX_PREFERENCE, NULL_MX_SENDS,
        NULL_MX_UNNEEDED, PREFERENCE_EXTREME, PTR_MISMATCH, PTR_MISSING, SHARED_ADDRESS,
        SHARED_NETWORK, SINGLE_EXCHANGER, TARGET_ADDRESS, TARGET_ALIAS, TARGET_LOCALHOST,
        TARGET_NO_ADDRESS, TARGET_NXDOMAIN, TARGET_PRIVATE, TLSA_PARTIAL, TLSA_UNSIGNED, TTL_HIGH,
        TTL_LOW,
    },
    listed,
};
use crate::{
    name::Domain,
    survey::{Host, Listed, Place, Reply, Survey},
};

/// A preference from which on there is hardly room behind it.
const EXTREME: u16 = 65_000;
/// Seconds under which a record is asked for too often.
const LOW_TTL: u32 = 300;
/// Seconds over which a change takes too long to be seen.
const HIGH_TTL: u32 = 7 * 86_400;
/// What some providers write for "as we think best".
const AUTOMATIC_TTL: u32 = 1;
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
/// Words in names of hosts that are meant to come last.
const BACKUP: [&str; 8] = [
    "backup",
    "bak",
    "secondary",
    "fallback",
    "slave",
    "standby",
    "spare",
    "lastresort",
];
/// Words in names of hosts that are meant to come first.
const PRIMARY: [&str; 4] = ["primary", "main", "master", "prio"];

/// Whether the domain exists and its MX records are known.
pub(super) fn is_there(findings: &mut Findings<'_>) -> bool {
    let survey = findings.survey;
    match survey.mx {
        Reply::Failed => {
            let message = format!("the MX records of {} could not be looked up", survey.domain);
            findings.add(LOOKUP_FAILED, None, message);
            false
        }
        Reply::NoDomain => {
            findings.add(NO_DOMAIN, None, format!("{} does not exist", survey.domain));
            false
        }
        _ => true,
    }
}

pub(super) fn check(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    null_mx(findings);
    let named: Vec<&Listed> = survey
        .listed
        .iter()
        .filter(|listed| !listed.host.is_root())
        .collect();
    if named.is_empty() {
        if !matches!(survey.mx, Reply::Unknown) && survey.listed.is_empty() {
            no_mx(findings);
        }
        return;
    }
    targets(findings, &named);
    preferences(findings, &named);
    sharing(findings, &named);
    families(findings, &named);
    reverse(findings, &named);
    tlsa(findings, &named);
    ttls(findings, &named);
}

fn no_mx(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    let domain = &survey.domain;
    let message = match survey.hosts.get(domain).map(Host::addresses) {
        Some(addresses) if !addresses.is_empty() => format!(
            "{domain} has no MX record: mail goes to its own address, {}",
            listed(addresses)
        ),
        _ => format!("{domain} has no MX record and no address: it can get no mail"),
    };
    findings.add(NO_MX, None, message);
}

fn null_mx(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    let domain = &survey.domain;
    let (null, others): (Vec<&Listed>, Vec<&Listed>) = survey
        .listed
        .iter()
        .partition(|listed| listed.host.is_root());
    let Some(first) = null.first() else { return };
    if !others.is_empty() {
        let message = format!(
            "{domain} has a null MX beside {} other MX records",
            others.len()
        );
        return findings.add(NULL_MX_MIXED, first.place.clone(), message);
    }
    if first.preference != 0 {
        let message = format!(
            "the null MX of {domain} has preference {}, expected 0",
            first.preference
        );
        findings.add(NULL_MX_PREFERENCE, first.place.clone(), message);
    }
    let own = survey.hosts.get(domain);
    if own.is_some_and(Host::has_no_address) {
        let message = format!("{domain} has no address: it would get no mail without a null MX");
        findings.add(NULL_MX_UNNEEDED, first.place.clone(), message);
    }
    if let [(record, _)] = &survey.spf_records()[..]
        && record.split_whitespace().skip(1).any(|term| {
            let fails = term.starts_with(['-', '~', '?']);
            let modifies = term.contains('=') && !term.starts_with("redirect=");
            !fails && !modifies
        })
    {
        let message =
            format!("{domain} takes no mail, and its SPF record lets hosts send: {record}");
        findings.add(NULL_MX_SENDS, first.place.clone(), message);
    }
}

/// What the MX records name.
fn targets(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let mut seen: BTreeMap<&Domain, u16> = BTreeMap::new();
    for listed in named {
        let host = &listed.host;
        let place = listed.place.clone();
        if let Some(first) = seen.insert(host, listed.preference) {
            let message = format!(
                "{host} is listed twice, with preference {first} and {}",
                listed.preference
            );
            findings.add(DUPLICATE_EXCHANGER, place, message);
            continue;
        }
        if let Some(address) = survey.literal(host) {
            let message = format!("the MX record names {address}, expected the name of a host");
            findings.add(TARGET_ADDRESS, place, message);
            continue;
        }
        if Survey::is_localhost(host) {
            let message =
                format!("the MX record names {host}, which every sender takes for itself");
            findings.add(TARGET_LOCALHOST, place, message);
            continue;
        }
        if let Some(known) = survey.hosts.get(host) {
            target(findings, listed, known);
        }
    }
}

fn target(findings: &mut Findings<'_>, listed: &Listed, known: &Host) {
    let host = &listed.host;
    let place = listed.place.clone();
    if let Some((target, _)) = &known.alias {
        let message = format!("{host} is an alias of {target}");
        findings.add(TARGET_ALIAS, place.clone(), message);
    }
    if known.has_failed() {
        let message = format!("the addresses of {host} could not be looked up");
        findings.add(LOOKUP_FAILED, place.clone(), message);
    }
    match (&known.ipv4, &known.ipv6) {
        (Reply::NoDomain, Reply::NoDomain) => {
            let own = host.is_within(&findings.survey.domain);
            let relative = host.as_str().strip_suffix(findings.survey.domain.as_str());
            let hint = match relative.map(|relative| relative.trim_end_matches('.')) {
                Some(whole) if whole.contains('.') => {
                    format!("; is the final dot of {whole}. missing?")
                }
                _ if own => String::new(),
                _ => "; whoever can register it gets the mail".to_owned(),
            };
            let message = format!("{host} does not exist{hint}");
            findings.add(TARGET_NXDOMAIN, place, message);
        }
        _ if known.has_no_address() => {
            let message = format!("{host} has no address");
            findings.add(TARGET_NO_ADDRESS, place, message);
        }
        _ => {}
    }
    let documented = RESERVED.iter().any(|name| {
        let name: Result<Domain, _> = name.parse();
        name.is_ok_and(|name| findings.survey.domain.is_within(&name))
    });
    for placed in known.records() {
        let Some(address) = crate::zone::address_of(&placed.record.data) else {
            continue;
        };
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

/// Why an address cannot be reached from the Internet.
fn reserved(address: IpAddr, documented: bool) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => reserved_ipv4(address, documented),
        IpAddr::V6(address) => reserved_ipv6(address, documented),
    }
}

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

/// How the preferences relate.
fn preferences(findings: &mut Findings<'_>, named: &[&Listed]) {
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    let levels: BTreeSet<u16> = named.iter().map(|listed| listed.preference).collect();
    let domain = &findings.survey.domain;
    if let [only] = &hosts.iter().collect::<Vec<_>>()[..] {
        // A host with addresses in several networks is several, and of a provider's nothing is known.
        let known = findings.survey.hosts.get(**only);
        let addresses = known.map(Host::addresses).unwrap_or_default();
        let networks = |ipv4: bool| -> BTreeSet<String> {
            let family = addresses.iter().filter(|address| address.is_ipv4() == ipv4);
            family.map(|address| network(*address)).collect()
        };
        let several = networks(true).len() > 1 || networks(false).len() > 1;
        if !several && !known.is_some_and(Host::is_uncertain) {
            let message = format!("{only} is the only exchanger of {domain}");
            findings.add(SINGLE_EXCHANGER, named[0].place.clone(), message);
        }
        return;
    }
    if levels.len() == 1 {
        let message = format!(
            "all {} exchangers of {domain} have preference {}: they share the load, and none is a backup",
            hosts.len(),
            named[0].preference
        );
        findings.add(EQUAL_PREFERENCES, named[0].place.clone(), message);
    }
    for listed in named.iter().filter(|listed| listed.preference >= EXTREME) {
        let message = format!(
            "{} has preference {}; 65535 is the last there is",
            listed.host, listed.preference
        );
        findings.add(PREFERENCE_EXTREME, listed.place.clone(), message);
    }
    let roles: Vec<Role> = named.iter().map(|listed| Role::of(&listed.host)).collect();
    for (listed, role) in named.iter().zip(&roles) {
        let meant_before = named.iter().zip(&roles).find(|(other, of_other)| {
            other.preference > listed.preference && role.is_behind(of_other)
        });
        if let Some((other, _)) = meant_before {
            let message = format!(
                "{} (preference {}) comes before {} (preference {}); their names say otherwise",
                listed.host, listed.preference, other.host, other.preference
            );
            findings.add(BACKUP_PREFERRED, listed.place.clone(), message);
        }
    }
}

/// What the name of a host says of its place in the order.
struct Role {
    backup: bool,
    primary: bool,
    /// `mx` and 2 of `mx2`.
    numbered: Option<(String, u32)>,
}

impl Role {
    fn of(host: &Domain) -> Self {
        let label = host.as_str().split('.').next().unwrap_or_default();
        let has = |words: &[&str]| {
            let mut parts = label.split(|c: char| !c.is_ascii_alphabetic());
            parts.any(|part| words.contains(&part))
        };
        let stem = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_mail = ["mx", "mail", "smtp", "in", "mx-"].contains(&stem);
        let number = label[stem.len()..].parse().ok().filter(|_| is_mail);
        Self {
            backup: has(&BACKUP),
            primary: has(&PRIMARY),
            numbered: number.map(|number| (stem.to_owned(), number)),
        }
    }

    /// Whether it is to come behind another: a backup, or a higher number.
    fn is_behind(&self, other: &Self) -> bool {
        let later = match (&self.numbered, &other.numbered) {
            (Some((stem, mine)), Some((other_stem, theirs))) => mine > theirs && stem == other_stem,
            _ => false,
        };
        later || (self.backup && !other.backup) || (other.primary && !self.primary)
    }
}

/// What exchangers have in common.
fn sharing(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let mut at: BTreeMap<IpAddr, BTreeSet<&Domain>> = BTreeMap::new();
    let mut places: BTreeMap<IpAddr, Option<Place>> = BTreeMap::new();
    let mut uncertain = false;
    for listed in named {
        let Some(known) = survey.hosts.get(&listed.host) else {
            continue;
        };
        uncertain |= known.is_uncertain();
        for placed in known.records() {
            if let Some(address) = crate::zone::address_of(&placed.record.data) {
                at.entry(address).or_default().insert(&listed.host);
                places.insert(address, placed.place.clone());
            }
        }
    }
    for (address, hosts) in &at {
        if hosts.len() > 1 {
            let message = format!("{} share the address {address}", listed(hosts));
            findings.add(SHARED_ADDRESS, places[address].clone(), message);
        }
    }
    let hosts: BTreeSet<&Domain> = at.values().flatten().copied().collect();
    let networks = |wanted: fn(&IpAddr) -> bool| -> BTreeSet<String> {
        at.keys()
            .filter(|address| wanted(address))
            .map(|address| network(*address))
            .collect()
    };
    let in_one = |networks: &BTreeSet<String>| networks.len() <= 1;
    let (ipv4, ipv6) = (networks(IpAddr::is_ipv4), networks(IpAddr::is_ipv6));
    if hosts.len() > 1 && at.len() > 1 && !uncertain && in_one(&ipv4) && in_one(&ipv6) {
        let networks = listed(ipv4.iter().chain(&ipv6));
        let message = format!("all exchangers of {} are in {networks}", survey.domain);
        findings.add(SHARED_NETWORK, named[0].place.clone(), message);
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
fn families(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let known: Vec<(&&Listed, &Host)> = named
        .iter()
        .filter_map(|listed| Some((listed, survey.hosts.get(&listed.host)?)))
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
        let message = format!("no exchanger of {} has an IPv6 address", survey.domain);
        findings.add(IPV6_ABSENT, named[0].place.clone(), message);
    }
    if ipv6 && !ipv4 {
        let message = format!("no exchanger of {} has an IPv4 address", survey.domain);
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
fn reverse(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    for host in hosts {
        let Some(known) = survey.hosts.get(host) else {
            continue;
        };
        for placed in known.records() {
            let Some(address) = crate::zone::address_of(&placed.record.data) else {
                continue;
            };
            let Some(reverse) = survey.reverse.get(&address) else {
                continue;
            };
            if reverse.names.is_none() {
                let message = format!("{address}, the address of {host}, has no PTR record");
                findings.add(PTR_MISSING, placed.place.clone(), message);
            }
            let names = reverse.names.records();
            if !names.is_empty() && !reverse.uncertain && !reverse.forward.contains(&address) {
                let found = listed(names.iter().map(|name| name.record.data.to_string()));
                let message = format!(
                    "the PTR record of {address} ({host}) is {found}, which does not lead back"
                );
                findings.add(PTR_MISMATCH, names[0].place.clone(), message);
            }
        }
    }
}

/// Whether DANE can do what it is there for.
fn tlsa(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let hosts: BTreeMap<&Domain, &Host> = named
        .iter()
        .filter_map(|listed| Some((&listed.host, survey.hosts.get(&listed.host)?)))
        .collect();
    let with: Vec<_> = hosts
        .iter()
        .filter(|(_, host)| !host.tlsa.records().is_empty())
        .collect();
    let without: Vec<_> = hosts
        .iter()
        .filter(|(_, host)| host.tlsa.is_none())
        .collect();
    let Some((_, first)) = with.first() else {
        return;
    };
    let place = first.tlsa.records()[0].place.clone();
    if !without.is_empty() {
        let message = format!(
            "TLSA records: {} has some, and {} none",
            listed(with.iter().map(|(name, _)| name)),
            listed(without.iter().map(|(name, _)| name)),
        );
        findings.add(TLSA_PARTIAL, place.clone(), message);
    }
    let unsigned = with.iter().filter(|(_, host)| host.signed == Some(false));
    let unsigned = listed(unsigned.map(|(name, _)| name));
    if !unsigned.is_empty() {
        let message = format!("TLSA records without DNSSEC, as far as the file says: {unsigned}");
        findings.add(TLSA_UNSIGNED, place, message);
    }
}

/// How long records may be kept.
fn ttls(findings: &mut Findings<'_>, named: &[&Listed]) {
    let survey = findings.survey;
    let mx = named.iter().map(|listed| {
        let what = format!("the MX record of {}", survey.domain);
        (what, listed.ttl, listed.place.clone())
    });
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    let addresses = hosts
        .iter()
        .filter_map(|host| Some((host, survey.hosts.get(*host)?)));
    let addresses = addresses.flat_map(|(host, known)| {
        known.records().map(move |placed| {
            let what = format!("the {} record of {host}", placed.record.record_type());
            (what, placed.record.ttl, placed.place.clone())
        })
    });
    let mut told = BTreeSet::new();
    for (what, ttl, place) in mx.chain(addresses).collect::<Vec<_>>() {
        // What a resolver gives is what is left of it.
        if place.is_none() || !told.insert(what.clone()) {
            continue;
        }
        if ttl < LOW_TTL && ttl != AUTOMATIC_TTL {
            let message = format!("{what} has a TTL of {ttl} seconds");
            findings.add(TTL_LOW, place, message);
        } else if ttl > HIGH_TTL {
            let message = format!("{what} has a TTL of {} days", ttl / 86_400);
            findings.add(TTL_HIGH, place, message);
        }
    }
}
