//! What RFC 5321 section 5.1 leaves of a domain's records, as a plain set, and whether an order of it is one that it allows.
//!
//! It shares no code with [`route`](crate::route): that one sorts and filters a list, this one asks for each pair of an
//! exchanger and an address whether it may be there.
//!
//! Two routers are never compared with each other: two that share a mistake agree. What an order must be is said here
//! once, by sets and minima, which leave nothing to get wrong about sorting, and a breach names the sentence that it
//! breaks.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::router_case::Case;
use crate::{
    name::Domain,
    route::{Candidate, Exchanger},
};

/// A sentence that an order breaks, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) sentence: &'static str,
    pub(super) cites: &'static str,
    pub(super) expected: String,
}

impl Breach {
    fn new(sentence: &'static str, cites: &'static str, expected: String) -> Self {
        Self {
            sentence,
            cites,
            expected,
        }
    }
}

/// Why nothing may be tried, or what may be and at which preference.
pub(super) enum Allowed {
    NullMx,
    Hosts(BTreeMap<Domain, (u16, Vec<IpAddr>)>),
}

/// What may be tried: each host at its best preference, with those of its addresses that can be reached.
pub(super) fn allowed(case: &Case) -> Allowed {
    let implicit = [Exchanger {
        preference: 0,
        host: case.mx.domain.clone(),
    }];
    // An empty list is the implicit MX; the null MX is one record alone (RFC 7505 section 3).
    let records = match &case.mx.records[..] {
        [] => &implicit[..],
        [only] if only.preference == 0 && only.host.is_root() => return Allowed::NullMx,
        records => records,
    };
    let found = |host: &Domain| {
        case.addresses
            .get(host)
            .map_or(&[][..], |known| &known.found)
    };
    let is_own = |host: &Domain| {
        case.names.contains(host) || found(host).iter().any(|one| case.own.contains(one))
    };
    let own = records.iter().filter(|one| is_own(&one.host));
    // By name or by any of its addresses. The best preference at which it finds itself counts: from there on all is
    // dropped, equals too.
    let own_level = own.map(|one| one.preference).min();
    let mut hosts = BTreeMap::new();
    for Exchanger { preference, host } in records {
        if own_level.is_some_and(|level| *preference >= level) {
            continue;
        }
        let reached = found(host).iter().copied().filter(|one| match one {
            IpAddr::V4(_) => case.ipv4,
            IpAddr::V6(_) => case.ipv6,
        });
        let reached: Vec<IpAddr> = reached.collect();
        if !reached.is_empty() {
            let known = hosts.entry(host.clone()).or_insert((*preference, reached));
            // A host that is listed twice is tried where it comes first.
            known.0 = known.0.min(*preference);
        }
    }
    Allowed::Hosts(hosts)
}

const SECTION: &str = "RFC 5321 section 5.1";

/// What is wrong with the order in which hosts are tried.
pub(super) fn breach_of_hosts(case: &Case, order: &[Domain]) -> Option<Breach> {
    let Allowed::Hosts(allowed) = allowed(case) else {
        return null_mx(order.is_empty());
    };
    missing_or_foreign(case, &allowed, order).or_else(|| {
        let preferences = order.iter().map(|host| allowed[host].0);
        falls(preferences.collect())
    })
}

/// What is wrong with the order in which addresses are tried.
pub(super) fn breach_of_candidates(case: &Case, order: &[Candidate]) -> Option<Breach> {
    let Allowed::Hosts(allowed) = allowed(case) else {
        return null_mx(order.is_empty());
    };
    // Each host once, in the order of its first address.
    let mut hosts: Vec<Domain> = Vec::new();
    for candidate in order {
        if !hosts.contains(&candidate.exchanger) {
            hosts.push(candidate.exchanger.clone());
        }
    }
    let breach = missing_or_foreign(case, &allowed, &hosts);
    let breach = breach.or_else(|| {
        let preferences = order.iter().map(|one| allowed[&one.exchanger].0);
        falls(preferences.collect())
    });
    breach.or_else(|| {
        allowed.iter().find_map(|(host, (_, addresses))| {
            let tried = order.iter().filter(|one| one.exchanger == *host);
            let tried: Vec<IpAddr> = tried.map(|one| one.address).collect();
            (tried != *addresses).then(|| {
                let sentence = "each address of a host is tried, once, in the order of the answer";
                Breach::new(sentence, SECTION, format!("of {host}: {}", list(addresses)))
            })
        })
    })
}

fn null_mx(is_empty: bool) -> Option<Breach> {
    let sentence = "a domain with a null MX takes no mail: nothing is tried";
    (!is_empty).then(|| Breach::new(sentence, "RFC 7505 section 4.1", "nothing".to_owned()))
}

/// A host that has to be tried and is not, is tried twice, or may not be tried.
fn missing_or_foreign(
    case: &Case,
    allowed: &BTreeMap<Domain, (u16, Vec<IpAddr>)>,
    order: &[Domain],
) -> Option<Breach> {
    let tried: BTreeSet<&Domain> = order.iter().collect();
    let all = match allowed.is_empty() {
        true => "nothing".to_owned(),
        false => list(allowed.keys()),
    };
    if let Some(foreign) = tried.iter().find(|host| !allowed.contains_key(**host)) {
        let is_listed = case.mx.records.iter().any(|one| one.host == **foreign);
        let has_own = case.mx.records.iter().any(|one| {
            let known = case.addresses.get(&one.host);
            let is_own =
                known.is_some_and(|known| known.found.iter().any(|a| case.own.contains(a)));
            is_own || case.names.contains(&one.host)
        });
        let sentence = match (is_listed, has_own) {
            (true, true) => {
                "who finds itself in the list drops its own preference and all higher numbers"
            }
            (true, false) => "a host without an address that can be reached is not tried",
            (false, _) => "nothing but the hosts of the MX records is tried",
        };
        return Some(Breach::new(sentence, SECTION, all));
    }
    if allowed.keys().any(|host| !tried.contains(host)) {
        let sentence = match case.mx.records.is_empty() {
            true => "a domain without an MX record is its own exchanger (the implicit MX)",
            false => "every exchanger is tried",
        };
        return Some(Breach::new(sentence, SECTION, all));
    }
    let sentence = "a host is tried once, at its best preference";
    (tried.len() < order.len()).then(|| Breach::new(sentence, SECTION, all))
}

fn falls(preferences: Vec<u16>) -> Option<Breach> {
    let sentence = "lower preference numbers are tried before higher ones";
    (!preferences.is_sorted()).then(|| {
        let mut sorted = preferences.clone();
        sorted.sort_unstable();
        Breach::new(sentence, SECTION, format!("preferences {}", list(&sorted)))
    })
}

/// Members of a list, for people.
pub(super) fn list<T: ToString>(members: impl IntoIterator<Item = T>) -> String {
    let members: Vec<String> = members.into_iter().map(|one| one.to_string()).collect();
    members.join(", ")
}
