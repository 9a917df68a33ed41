//! The network of the host that senders inside stand on: its addresses, its routes.

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

use mxdrill::lab::namespace::SendersHost;

/// The index of `lo`, the first interface of every network namespace.
const LO: u32 = 1;
/// The routing table of addresses that are served here.
const TABLE_LOCAL: u32 = 255;

/// Gives this network the host's addresses, and lets every other address lead to the lab: only
/// the host's own are on the interface, so that a sender does not take receivers for ithost.
///
/// # Errors
/// What the kernel says.
pub(crate) async fn raise(host: &SendersHost) -> io::Result<()> {
    let (connection, handle, _) = rtnetlink::new_connection()?;
    let connection = tokio::spawn(connection);
    let failed = |what: String| move |error| io::Error::other(format!("{what}: {error}"));
    let up = LinkUnspec::new_with_index(LO).up().build();
    let up = handle.link().set(up).execute().await;
    up.map_err(failed("lo could not be brought up".to_owned()))?;
    for address in &host.addresses {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let mut add = handle.address().add(LO, *address, bits);
        // Nobody else could have it: it is ours at once.
        add.message_mut().header.flags = AddressHeaderFlags::Nodad;
        let added = add.execute().await;
        added.map_err(failed(format!("{address} could not be added to lo")))?;
    }
    if let Some(IpAddr::V4(own)) = host.address(IpAddr::is_ipv4) {
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
    if let Some(IpAddr::V6(own)) = host.address(IpAddr::is_ipv6) {
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
