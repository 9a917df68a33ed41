//! The loopback network: real sockets in 127.0.0.0/8, one address for each of the zone's, all with
//! one SMTP port; an IPv6 address becomes the IPv4-mapped form of its loopback address.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use super::Place;
use crate::name::Domain;

/// Attempts at finding a free port or block of addresses before giving up.
const TRIES: u32 = 50;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where the zone's addresses are on the loopback network.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    pub(crate) dns: SocketAddr,
    pub(crate) smtp_port: u16,
    there: BTreeMap<IpAddr, Ipv4Addr>,
}

/// The sockets of a lab, bound.
pub(crate) struct Sockets {
    pub(crate) map: Map,
    pub(crate) dns_udp: UdpSocket,
    pub(crate) dns_tcp: TcpListener,
    pub(crate) smtp: Vec<(IpAddr, TcpListener)>,
}

impl Map {
    /// The loopback address that stands for one of the zone's.
    pub(crate) fn there(&self, address: IpAddr) -> Option<Ipv4Addr> {
        self.there.get(&address).copied()
    }

    /// The zone's address for which a loopback one stands.
    pub(crate) fn back(&self, address: IpAddr) -> Option<IpAddr> {
        let address = address.to_canonical();
        self.there
            .iter()
            .find(|(_, there)| IpAddr::V4(**there) == address)
            .map(|(zone, _)| *zone)
    }

    /// The reverse name of the zone's address, for the reverse name of a loopback one.
    pub(crate) fn back_reverse(&self, name: &Domain) -> Option<Domain> {
        let network = name.to_wire().parse_arpa_name().ok()?;
        Some(Domain::from(
            &self.back(network.addr())?.into_reverse_name(),
        ))
    }
}

/// The name of the PTR record of an address.
trait ReverseName {
    fn into_reverse_name(self) -> hickory_proto::rr::Name;
}

impl ReverseName for IpAddr {
    fn into_reverse_name(self) -> hickory_proto::rr::Name {
        self.into()
    }
}

/// Binds the sockets of a lab with these addresses, on free ports where a port is 0.
///
/// # Errors
/// The last failure to bind.
pub(crate) async fn bind(addresses: &[IpAddr], place: Place) -> io::Result<Sockets> {
    let own = Ipv4Addr::from([127, (std::process::id() % 199 + 16) as u8, 0, 0]);
    let first = u32::from(place.first.unwrap_or(own));
    let mut last = io::Error::other("no address to bind");
    // The next block, where a port of this one is taken.
    for attempt in 0..TRIES {
        match try_bind(addresses, first + attempt * 1024, place).await {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn try_bind(addresses: &[IpAddr], first: u32, place: Place) -> io::Result<Sockets> {
    let there = translation(addresses, first);
    let (dns_udp, dns_tcp) = bind_dns(place.dns_port).await?;
    let mut port = place.smtp_port;
    let mut smtp = Vec::new();
    for (address, loopback) in &there {
        let listener =
            listen(SocketAddr::from((*loopback, port))).map_err(at((*loopback, port)))?;
        port = listener.local_addr()?.port();
        smtp.push((*address, listener));
    }
    let map = Map {
        dns: dns_udp.local_addr()?,
        smtp_port: port,
        there,
    };
    Ok(Sockets {
        map,
        dns_udp,
        dns_tcp,
        smtp,
    })
}

async fn bind_dns(port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .await
        .map_err(at((Ipv4Addr::LOCALHOST, port)))?;
    let udp = UdpSocket::bind(tcp.local_addr()?).await?;
    Ok((udp, tcp))
}

/// Says of an error where it happened.
fn at(address: (Ipv4Addr, u16)) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        io::Error::new(
            error.kind(),
            format!("{}:{}: {error}", address.0, address.1),
        )
    }
}

/// Listens, also where a connection of an earlier listener lingers.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A loopback address for each of the zone's, from the first one on: the last octet is kept where that is
/// possible.
fn translation(addresses: &[IpAddr], first: u32) -> BTreeMap<IpAddr, Ipv4Addr> {
    let mut free = (256..).map(|n: u32| Ipv4Addr::from(first + n));
    let mut there: BTreeMap<IpAddr, Ipv4Addr> = BTreeMap::new();
    for address in addresses {
        let last = match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        let wanted = Ipv4Addr::from(first + u32::from(last));
        let chosen = match there.values().any(|used| *used == wanted) || matches!(last, 0 | 255) {
            true => free
                .next()
                .expect("the block has more addresses than a zone"),
            false => wanted,
        };
        there.insert(*address, chosen);
    }
    there
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_gets_a_loopback_address_of_its_own() {
        let mut addresses: Vec<IpAddr> = (0..=255).map(|n| IpAddr::from([192, 0, 2, n])).collect();
        addresses.extend((0..=255).map(|n| IpAddr::from([198, 51, 100, n])));
        let there = translation(&addresses, u32::from(Ipv4Addr::new(127, 25, 4, 0)));
        let distinct: std::collections::BTreeSet<_> = there.values().collect();
        assert_eq!(distinct.len(), 512);
        assert!(there.values().all(Ipv4Addr::is_loopback));
        assert_eq!(there[&IpAddr::from([192, 0, 2, 7])].octets()[3], 7);
    }
}
