//! What several domains have in common, and what one outage of it hits of each.
//!
//! An exchanger is a machine: all its addresses fail together, whoever else has a name for them. So a backup that is the
//! same machine, or another domain's name of it, fails with it. Where names belong (to an operator, to a zone) is the
//! caller's to say.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::Hit;
use crate::{
    name::Domain,
    plan::{Plan, Planned},
};

/// What kind of thing several domains share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SharedPart {
    /// The exchangers of one operator: those whose names are under one registrable domain.
    Operator,
    /// A network: a /24 of IPv4, a /48 of IPv6.
    Network,
    /// A zone: the names of exchangers in it cannot be looked up.
    Zone,
    /// An exchanger, with all its addresses.
    Exchanger,
    /// An address.
    Address,
}

impl SharedPart {
    /// What it is called.
    pub fn word(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Network => "network",
            Self::Zone => "zone",
            Self::Exchanger => "exchanger",
            Self::Address => "address",
        }
    }
}

/// An outage that may hit several domains.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SharedOutage {
    /// What kind of thing fails.
    pub part: SharedPart,
    /// Its name: a domain, an address, or a network such as `192.0.2.0/24`.
    pub name: String,
    /// What of each domain is in it, by the domain's place in the list of plans; those that are not hit are not there.
    pub hits: BTreeMap<usize, Hit>,
}

/// All that may fail of what these plans lead to, in the order of kinds and names. `operator` says to whom an exchanger
/// belongs, and `zone` in which zone a name is.
pub fn shared_outages(
    plans: &[Plan],
    operator: impl Fn(&Domain) -> Domain,
    zone: impl Fn(&Domain) -> Domain,
) -> Vec<SharedOutage> {
    let machines = Machines::of(plans);
    let mut outages: BTreeMap<(SharedPart, String), BTreeMap<usize, Hit>> = BTreeMap::new();
    let mut add = |part, name: String, machine: &Domain| {
        let hits = outages.entry((part, name)).or_default();
        machines.hit(machine, hits);
    };
    for machine in machines.addresses.keys() {
        add(SharedPart::Exchanger, machine.to_string(), machine);
        add(SharedPart::Operator, operator(machine).to_string(), machine);
    }
    for (address, plans) in &machines.plans_at {
        for (part, name) in [
            (SharedPart::Address, address.to_string()),
            (SharedPart::Network, network(*address)),
        ] {
            let hits = outages.entry((part, name)).or_default();
            for plan in plans {
                hits.entry(*plan).or_default().addresses.insert(*address);
            }
        }
    }
    for (zone, hits) in unknown_names(plans, zone) {
        outages.insert((SharedPart::Zone, zone.to_string()), hits);
    }
    let outage = |((part, name), hits)| SharedOutage { part, name, hits };
    outages.into_iter().map(outage).collect()
}

/// The exchangers of all plans, each once.
struct Machines {
    /// The addresses of each, from all that is known of it.
    addresses: BTreeMap<Domain, BTreeSet<IpAddr>>,
    /// The plans that lead to each address.
    plans_at: BTreeMap<IpAddr, BTreeSet<usize>>,
    /// The plans that lead to an exchanger whose addresses are not known, with the name that each has for it.
    plans_by_name: BTreeMap<Domain, BTreeSet<(usize, Domain)>>,
}

impl Machines {
    fn of(plans: &[Plan]) -> Self {
        let mut machines = Self {
            addresses: BTreeMap::new(),
            plans_at: BTreeMap::new(),
            plans_by_name: BTreeMap::new(),
        };
        for (index, plan) in plans.iter().enumerate() {
            for (_, planned) in plan.usable() {
                let machine = machine(planned);
                let own = machines.addresses.entry(machine.clone()).or_default();
                own.extend(&planned.addresses);
                for address in &planned.addresses {
                    machines.plans_at.entry(*address).or_default().insert(index);
                }
                if planned.addresses.is_empty() {
                    let plans = machines.plans_by_name.entry(machine.clone()).or_default();
                    plans.insert((index, planned.host.clone()));
                }
            }
        }
        machines
    }

    /// Adds what fails with an exchanger.
    fn hit(&self, machine: &Domain, hits: &mut BTreeMap<usize, Hit>) {
        for address in self.addresses.get(machine).into_iter().flatten() {
            for plan in self.plans_at.get(address).into_iter().flatten() {
                hits.entry(*plan).or_default().addresses.insert(*address);
            }
        }
        for (plan, host) in self.plans_by_name.get(machine).into_iter().flatten() {
            hits.entry(*plan).or_default().hosts.insert(host.clone());
        }
    }
}

/// The name that an exchanger has itself: of an alias, what stands at its end.
fn machine(planned: &Planned) -> &Domain {
    planned.alias_of.as_ref().unwrap_or(&planned.host)
}

/// What cannot be looked up, zone by zone: exchangers whose own name or whose alias's end is in it, and domains whose MX
/// records are. A zone without an exchanger's name is of no interest here.
fn unknown_names(
    plans: &[Plan],
    zone: impl Fn(&Domain) -> Domain,
) -> BTreeMap<Domain, BTreeMap<usize, Hit>> {
    let mut zones: BTreeMap<Domain, BTreeMap<usize, Hit>> = BTreeMap::new();
    for (index, plan) in plans.iter().enumerate() {
        for (_, planned) in plan.usable() {
            for name in [Some(&planned.host), planned.alias_of.as_ref()] {
                let Some(name) = name else { continue };
                let hit = zones.entry(zone(name)).or_default().entry(index);
                // Who asks for an alias is not answered either without what it leads to.
                hit.or_default().names.insert(planned.host.clone());
            }
        }
    }
    for (index, plan) in plans.iter().enumerate() {
        if let Some(hits) = zones.get_mut(&zone(&plan.domain)) {
            let hit = hits.entry(index).or_default();
            hit.names.insert(plan.domain.clone());
        }
    }
    zones
}

/// The network of an address: what fails together more often than not, and is announced by itself.
fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}
