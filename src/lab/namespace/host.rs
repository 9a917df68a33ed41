//! The host that senders in a private network stand on: its names and addresses.
//!
//! The lab needs to know them to tell the sender's own traffic from what goes astray; the sandbox
//! gives the host its addresses, and the mail servers in it their name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{name::Domain, scenario::Scenario};

/// The addresses of a sender whose scenario gives none, from the ranges for documentation (RFC
/// 5737, RFC 3849). If a receiver has one of them, the next free one is used.
const USUAL: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
);

/// The host of a sender in a private network: what it is called, and its addresses.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SendersHost {
    /// Its names; the first is the one it says in EHLO. Empty if the scenario gives none.
    pub names: Vec<Domain>,
    /// Its addresses in the families that the scenario lets it reach.
    pub addresses: Vec<IpAddr>,
}

impl SendersHost {
    /// The host that a scenario asks for: with the addresses that it says, those that its names
    /// have in the zone, and usual ones for the families that are left. A pure function of the
    /// scenario: lab and sandbox work it out apart and agree.
    pub fn of(scenario: &Scenario) -> Self {
        let settings = &scenario.sender;
        let owners = scenario.world.zones.addresses();
        let mut addresses = settings.addresses.clone();
        for (address, names) in &owners {
            let is_own = names.iter().any(|name| settings.names.contains(name));
            if is_own && !addresses.contains(address) {
                addresses.push(*address);
            }
        }
        if !addresses.iter().any(IpAddr::is_ipv4) {
            let free = (0..).map(|n| Ipv4Addr::from(u32::from(USUAL.0) + n));
            let mut free = free.map(IpAddr::V4);
            addresses.extend(free.find(|address| !owners.contains_key(address)));
        }
        if !addresses.iter().any(IpAddr::is_ipv6) {
            let free = (0..).map(|n| Ipv6Addr::from(u128::from(USUAL.1) + n));
            let mut free = free.map(IpAddr::V6);
            addresses.extend(free.find(|address| !owners.contains_key(address)));
        }
        addresses.retain(|address| settings.families.reach(*address));
        Self {
            names: settings.names.clone(),
            addresses,
        }
    }

    /// The name that it goes by; `localhost` if it has none.
    pub fn name(&self) -> String {
        self.names
            .first()
            .map_or_else(|| "localhost".to_owned(), ToString::to_string)
    }

    /// Its first address in one family; `None` if it has none in it.
    pub fn address(&self, family: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(family)
    }
}
