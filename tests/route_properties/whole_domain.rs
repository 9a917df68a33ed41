//! A whole domain: its MX records, its hosts with addresses and aliases, and a sender that may be one of them. What
//! the RFC says of it, sentence by sentence, is the oracle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::IpAddr,
};

use mxdrill::{name::Domain, route::Unroutable};
use proptest::prelude::*;

/// Hosts that a list is made of.
pub(crate) const HOSTS: u8 = 20;

pub(crate) fn host(number: u8) -> Domain {
    format!("h{number}.test").parse().expect("a valid name")
}

pub(crate) fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        (1..60_u8).prop_map(|last| IpAddr::from([192, 0, 2, last])),
        (1..60_u16).prop_map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last])),
    ]
}

pub(crate) fn preference() -> impl Strategy<Value = u16> {
    prop_oneof![Just(0), Just(10), Just(20), Just(65535), any::<u16>()]
}

/// What a zone says of a host.
#[derive(Debug, Clone)]
enum Records {
    /// The name does not exist.
    Nothing,
    /// The name exists and has no address.
    NoAddress,
    Addresses(BTreeSet<IpAddr>),
    /// Another name for the host of a lower number.
    Alias(u8),
}

/// What an MX record names.
#[derive(Debug, Clone)]
enum Target {
    Host(u8),
    /// `.`, as in a null MX.
    Root,
    /// The domain itself.
    Apex,
}

/// A whole domain, and a sender that may be one of its exchangers.
#[derive(Debug, Clone)]
pub(crate) struct WholeDomain {
    mx: Vec<(u16, Target)>,
    hosts: Vec<Records>,
    apex: BTreeSet<IpAddr>,
    own_names: Vec<u8>,
    own_addresses: Vec<IpAddr>,
}

pub(crate) fn zone() -> impl Strategy<Value = WholeDomain> {
    let few = || prop::collection::btree_set(address(), 1..4);
    let records = prop_oneof![
        1 => Just(Records::Nothing),
        1 => Just(Records::NoAddress),
        6 => few().prop_map(Records::Addresses),
        2 => any::<u8>().prop_map(Records::Alias),
    ];
    let target = prop_oneof![
        20 => (0..HOSTS).prop_map(Target::Host),
        1 => Just(Target::Root),
        1 => Just(Target::Apex),
    ];
    let mx = prop_oneof![
        1 => Just(Vec::new()),
        1 => Just(vec![(0, Target::Root)]),
        1 => preference().prop_map(|preference| vec![(preference, Target::Root)]),
        12 => prop::collection::vec((preference(), target), 1..=20),
    ];
    (
        mx,
        prop::collection::vec(records, usize::from(HOSTS)),
        prop::collection::btree_set(address(), 0..3),
        prop::collection::vec(0..2 * HOSTS, 0..2),
        prop::collection::vec(address(), 0..2),
    )
        .prop_map(|(mx, mut hosts, apex, own_names, own_addresses)| {
            for (number, records) in hosts.iter_mut().enumerate() {
                // Aliases lead down, so that none goes in a circle.
                match (records, number) {
                    (records @ Records::Alias(_), 0) => *records = Records::Nothing,
                    (Records::Alias(target), _) => *target %= u8::try_from(number).expect("few"),
                    _ => {}
                }
            }
            WholeDomain {
                mx,
                hosts,
                apex,
                own_names,
                own_addresses,
            }
        })
}

impl WholeDomain {
    /// The same, and a sender that is none of its exchangers.
    pub(crate) fn met_from_outside(self) -> Self {
        Self {
            own_names: Vec::new(),
            own_addresses: Vec::new(),
            ..self
        }
    }

    /// The records alone.
    pub(crate) fn records(&self) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{line}").expect("written");
        let addresses = |owner: &str, addresses: &BTreeSet<IpAddr>| -> Vec<String> {
            let family = |address: &IpAddr| if address.is_ipv4() { "A" } else { "AAAA" };
            let addresses = addresses.iter();
            addresses
                .map(|address| format!("{owner} {} {address}", family(address)))
                .collect()
        };
        line("example.test. TXT \"x\"".to_owned());
        // The same record twice is one record.
        let mx: BTreeSet<String> = self
            .mx
            .iter()
            .map(|(preference, target)| {
                let target = match target {
                    Target::Host(number) => format!("{}.", host(*number)),
                    Target::Root => ".".to_owned(),
                    Target::Apex => "example.test.".to_owned(),
                };
                format!("example.test. MX {preference} {target}")
            })
            .collect();
        mx.into_iter().for_each(&mut line);
        addresses("example.test.", &self.apex)
            .into_iter()
            .for_each(&mut line);
        for (number, records) in (0..).zip(&self.hosts) {
            let owner = format!("{}.", host(number));
            match records {
                Records::Nothing => {}
                Records::NoAddress => line(format!("{owner} TXT \"x\"")),
                Records::Addresses(found) => {
                    addresses(&owner, found).into_iter().for_each(&mut line)
                }
                Records::Alias(target) => line(format!("{owner} CNAME {}.", host(*target))),
            }
        }
        text
    }

    /// A scenario of these records; `more` is what else stands in it.
    pub(crate) fn text(&self, more: &str) -> String {
        let mut text = format!(
            "summary = 's'\nzone = \"\"\"\n{}\"\"\"\n{more}",
            self.records()
        );
        let names: Vec<String> = self
            .own_names
            .iter()
            .map(|n| format!("{:?}", host(*n).as_str()))
            .collect();
        let own: Vec<String> = self
            .own_addresses
            .iter()
            .map(|a| format!("\"{a}\""))
            .collect();
        writeln!(
            text,
            "sender = {{ retry = ['30m'], names = [{}], addresses = [{}] }}",
            if names.is_empty() {
                "\"sender.test\"".to_owned()
            } else {
                names.join(", ")
            },
            own.join(", "),
        )
        .expect("written");
        text
    }

    /// The addresses behind a name, aliases followed.
    fn addresses(&self, target: &Target) -> BTreeSet<IpAddr> {
        let mut number = match target {
            Target::Root => return BTreeSet::new(),
            Target::Apex => return self.apex.clone(),
            Target::Host(number) => *number,
        };
        loop {
            match &self.hosts[usize::from(number)] {
                Records::Alias(target) => number = *target,
                Records::Addresses(found) => return found.clone(),
                Records::Nothing | Records::NoAddress => return BTreeSet::new(),
            }
        }
    }

    fn name(&self, target: &Target) -> Domain {
        match target {
            Target::Host(number) => host(*number),
            Target::Root => Domain::root(),
            Target::Apex => "example.test".parse().expect("a name"),
        }
    }

    /// RFC 5321 section 5.1, sentence by sentence, with RFC 7505: what may be tried, lowest preference
    /// first, or why there is nothing.
    pub(crate) fn oracle(&self) -> Result<BTreeSet<(u16, Domain, IpAddr)>, Unroutable> {
        // "A domain that advertises a null MX MUST NOT advertise any other MX RR"; of one that stands
        // alone with preference 0, mail is not accepted (RFC 7505 section 3).
        let mut distinct: Vec<(u16, Domain)> = self
            .mx
            .iter()
            .map(|(preference, target)| (*preference, self.name(target)))
            .collect();
        distinct.sort();
        distinct.dedup();
        if distinct == [(0, Domain::root())] {
            return Err(Unroutable::NullMx);
        }
        // "If an empty list of MXs is returned, the address is treated as if it was associated with an
        // implicit MX RR, with a preference of 0, pointing to that host."
        let list = match &self.mx[..] {
            [] => vec![(0, Target::Apex)],
            mx => mx.to_vec(),
        };
        // "If the sender is itself in the list, all that have its preference or a higher number are
        // discarded"; which one it is, it knows by names and addresses.
        let is_own = |target: &Target| {
            let named = self
                .own_names
                .iter()
                .any(|own| host(*own) == self.name(target));
            named
                || self
                    .addresses(target)
                    .iter()
                    .any(|address| self.own_addresses.contains(address))
        };
        let own = list
            .iter()
            .filter(|(_, target)| is_own(target))
            .map(|(preference, _)| *preference)
            .min();
        let kept: Vec<_> = list
            .into_iter()
            .filter(|(preference, _)| own.is_none_or(|own| *preference < own))
            .collect();
        // An exchanger with two preferences is tried at the better one.
        let mut best: BTreeMap<(Domain, IpAddr), u16> = BTreeMap::new();
        for (preference, target) in &kept {
            for address in self.addresses(target) {
                let known = best
                    .entry((self.name(target), address))
                    .or_insert(*preference);
                *known = (*known).min(*preference);
            }
        }
        // "If there are no such hosts left, it is an error"; so it is when none has an address.
        let hosts_left = kept
            .iter()
            .any(|(_, target)| !matches!(target, Target::Root));
        match best.is_empty() {
            true if own.is_some() && !hosts_left => Err(Unroutable::OnlySelf),
            true => Err(Unroutable::NoUsableExchanger),
            false => Ok(best
                .into_iter()
                .map(|((host, address), preference)| (preference, host, address))
                .collect()),
        }
    }
}
