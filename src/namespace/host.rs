//! The host that senders inside stand on: its names, its addresses, its routes.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use rtnetlink::{
    LinkUnspec, RouteMessageBuilder,
    packet_route::{
        address::AddressHeaderFlags,
        route::{RouteScope, RouteType},
    },
};

use crate::{name::Domain, scenario::Scenario};

/// The index of `lo`, the first interface of every network namespace.
const LO: u32 = 1;
/// The routing table of addresses that are served here.
const TABLE_LOCAL: u32 = 255;
/// The addresses of a sender that the scenario gives none.
const USUAL: (Ipv4Addr, Ipv6Addr) = (
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
);

/// A sender's host.
#[derive(Debug, Clone)]
pub(crate) struct SendersHost {
    /// Its names; the first is the one it says in EHLO.
    pub(crate) names: Vec<Domain>,
    /// Its addresses.
    pub(crate) addresses: Vec<IpAddr>,
}

impl SendersHost {
    /// The host that a scenario asks for: with the addresses that it says, those that its names have
    /// in the zone, and usual ones for the families that are left.
    pub(crate) fn of(scenario: &Scenario) -> Self {
        let settings = &scenario.sender;
        let owners = scenario.zones.addresses();
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

    /// The name that it goes by.
    pub(crate) fn name(&self) -> String {
        self.names
            .first()
            .map_or_else(|| "localhost".to_owned(), ToString::to_string)
    }

    /// Its address in one family.
    pub(crate) fn address(&self, family: impl Fn(&IpAddr) -> bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(family)
    }

    /// Gives this network the host's addresses, and lets every other address lead to the lab: only
    /// the host's own are on the interface, so that a sender does not take receivers for itself.
    ///
    /// # Errors
    /// What the kernel says.
    pub(crate) async fn raise(&self) -> io::Result<()> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        let connection = tokio::spawn(connection);
        let failed = |what: String| move |error| io::Error::other(format!("{what}: {error}"));
        let up = LinkUnspec::new_with_index(LO).up().build();
        let up = handle.link().set(up).execute().await;
        up.map_err(failed("lo could not be brought up".to_owned()))?;
        for address in &self.addresses {
            let bits = if address.is_ipv4() { 32 } else { 128 };
            let mut add = handle.address().add(LO, *address, bits);
            // Nobody else could have it: it is ours at once.
            add.message_mut().header.flags = AddressHeaderFlags::Nodad;
            let added = add.execute().await;
            added.map_err(failed(format!("{address} could not be added to lo")))?;
        }
        if let Some(IpAddr::V4(own)) = self.address(IpAddr::is_ipv4) {
            let all = RouteMessageBuilder::<Ipv4Addr>::new()
                .destination_prefix(Ipv4Addr::UNSPECIFIED, 0)
                .output_interface(LO)
                .table_id(TABLE_LOCAL)
                .kind(RouteType::Local)
                .scope(RouteScope::Host)
                .pref_source(own)
                .build();
            let added = handle.route().add(all).execute().await;
            added.map_err(failed("no route for IPv4".to_owned()))?;
        }
        if let Some(IpAddr::V6(own)) = self.address(IpAddr::is_ipv6) {
            let all = RouteMessageBuilder::<Ipv6Addr>::new()
                .destination_prefix(Ipv6Addr::UNSPECIFIED, 0)
                .output_interface(LO)
                .table_id(TABLE_LOCAL)
                .kind(RouteType::Local)
                .pref_source(own)
                .build();
            let added = handle.route().add(all).execute().await;
            added.map_err(failed("no route for IPv6".to_owned()))?;
        }
        connection.abort();
        Ok(())
    }
}
