//! The loopback network: real sockets, for each of the zone's addresses an address of its own in 127.0.0.0/8 and
//! all with one SMTP port; or, where asked for and where the host has no address but 127.0.0.1, a port of its own at
//! one address. Either way answers carry an address of 127.0.0.0/8 that tells the zone's addresses apart, an IPv6
//! one in its IPv4-mapped form: what is sent there never leaves the host.
//!
//! In short: the zone's 192.0.2.7 becomes 127.x.y.7, with one port for all, and senders that ask
//! the lab's name server are told the latter. The log and everything that people read has the
//! former. Translation is [`Map`]'s alone; `network` asks it.
//!
//! A sender that is not told a port goes to 25, so this network serves senders whose port can be
//! set. For others there is the private network.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use tokio::net::{TcpListener, TcpSocket, UdpSocket};

use super::{LoopbackBinding, Spread, datagrams};
use crate::{name::Domain, port};

/// Attempts at finding a free port or block of addresses before giving up. Each tries the next block,
/// or whatever port is free then.
const TRIES: u32 = 50;
/// Connections that may wait to be accepted: a burst of a drill's messages must not meet a full
/// queue, which looks like a dead host.
const BACKLOG: u32 = 4096;

/// Of a lab whose hosts have ports of their own because that was asked for, the first of the addresses that answers
/// carry: nobody listens there.
///
/// They are told apart by address in answers, and found by port through `Map`.
const STAND_INS: Ipv4Addr = Ipv4Addr::new(127, 24, 0, 0);

/// Where the zone's addresses are on the loopback network.
// Cloned into the network of the lab; it does not change once everything is bound.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    /// The name server's address and port, the same for UDP and TCP.
    pub(crate) dns: SocketAddr,
    /// The port of every host, or of the first.
    pub(crate) smtp_port: u16,
    /// Whether each host has a port of its own.
    pub(crate) differs_by_ports: bool,
    /// By the zone's address.
    there: BTreeMap<IpAddr, Spot>,
    /// Where ports beside that of exchangers are, by the zone's address and port.
    further: BTreeMap<(IpAddr, u16), SocketAddr>,
}

/// What stands for an address of the zone.
#[derive(Debug, Clone, Copy)]
struct Spot {
    /// The address that answers carry.
    shown: Ipv4Addr,
    /// The address and port at which it listens.
    listens: SocketAddr,
}

/// The sockets of a lab, bound and not served yet.
pub(crate) struct LoopbackSockets {
    pub(crate) map: Map,
    pub(crate) dns_udp: UdpSocket,
    pub(crate) dns_tcp: TcpListener,
    /// With the address and the port that the scenario has.
    pub(crate) smtp: Vec<(IpAddr, u16, TcpListener)>,
}

impl Map {
    /// The loopback address that answers carry for one of the zone's; `None` for an address that no
    /// host has.
    pub(crate) fn there(&self, address: IpAddr) -> Option<Ipv4Addr> {
        self.there.get(&address).map(|spot| spot.shown)
    }

    /// Where the host with an address of the zone listens.
    pub(crate) fn listens(&self, address: IpAddr) -> Option<SocketAddr> {
        self.there.get(&address).map(|spot| spot.listens)
    }

    /// Where the host with an address of the zone listens for a port of the scenario.
    pub(crate) fn listens_for(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        match port {
            port::SMTP => self.listens(address),
            port => self.further.get(&(address, port)).copied(),
        }
    }

    /// The zone's address for which a loopback one stands; `None` for one that is not of this lab.
    pub(crate) fn back(&self, address: IpAddr) -> Option<IpAddr> {
        // An IPv4-mapped address is the IPv4 one.
        let address = address.to_canonical();
        self.there
            .iter()
            .find(|(_, spot)| IpAddr::V4(spot.shown) == address)
            .map(|(zone, _)| *zone)
    }

    /// The reverse name of the zone's address for that of a loopback one, so that a PTR lookup of a
    /// peer finds the zone's records. `None` for names outside `in-addr.arpa` and `ip6.arpa`.
    pub(crate) fn back_reverse(&self, name: &Domain) -> Option<Domain> {
        let network = name.to_wire().parse_arpa_name().ok()?;
        Some(Domain::from(
            &self.back(network.addr())?.into_reverse_name(),
        ))
    }
}

/// The name of the PTR record of an address (RFC 1035 section 3.5, RFC 3596 section 2.5).
trait ReverseName {
    fn into_reverse_name(self) -> hickory_proto::rr::Name;
}

impl ReverseName for IpAddr {
    fn into_reverse_name(self) -> hickory_proto::rr::Name {
        self.into()
    }
}

/// Binds the sockets of a lab with these addresses, on free ports where a port is 0, and a free port for each
/// further port of theirs.
///
/// # Errors
/// The last failure to bind.
///
/// It tries the block of addresses that the process's id gives, then the next ones; each is 1024
/// addresses long, which is more than zones have.
pub(crate) async fn bind(
    addresses: &[IpAddr],
    further: &[(IpAddr, u16)],
    place: LoopbackBinding,
) -> io::Result<LoopbackSockets> {
    let mut sockets = bind_hosts(addresses, place).await?;
    for (address, port) in further {
        let Some(at) = sockets.map.listens(*address) else {
            continue;
        };
        // A port below 1024 is not to be had, and one address may stand for all hosts.
        let listener = listen(SocketAddr::new(at.ip(), 0))?;
        let place = (*address, *port);
        sockets.map.further.insert(place, listener.local_addr()?);
        sockets.smtp.push((*address, *port, listener));
    }
    Ok(sockets)
}

/// Binds the name server's sockets and a port for each host.
async fn bind_hosts(addresses: &[IpAddr], place: LoopbackBinding) -> io::Result<LoopbackSockets> {
    let first = match place.spread {
        Spread::Ports { at, first } => {
            let stand_ins = translation(addresses, u32::from(STAND_INS));
            return bind_ports(addresses, &stand_ins, (at, first), place).await;
        }
        Spread::Addresses { first } => first,
    };
    // Blocks 127.16 to 127.214: two processes meet rarely, and then one of them takes the next block.
    let own = Ipv4Addr::from([127, (std::process::id() % 199 + 16) as u8, 0, 0]);
    let first = u32::from(first.unwrap_or(own));
    let mut last = io::Error::other("no address to bind");
    // The next block, where a port of this one is taken.
    for attempt in 0..TRIES {
        match try_addresses(addresses, first + attempt * 1024, place).await {
            Ok(sockets) => return Ok(sockets),
            // Many systems have no address for loopback but the one. Answers carry those that they lack.
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                let stand_ins = translation(addresses, first);
                return bind_ports(addresses, &stand_ins, (Ipv4Addr::LOCALHOST, 0), place).await;
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Binds a port for each at one address: the name server's, then the hosts' in the order of their addresses, from
/// the first port on, or any that are free. Answers carry what stands in for each of the zone's addresses.
async fn bind_ports(
    addresses: &[IpAddr],
    stand_ins: &BTreeMap<IpAddr, Ipv4Addr>,
    (at, first): (Ipv4Addr, u16),
    place: LoopbackBinding,
) -> io::Result<LoopbackSockets> {
    let mut ports = Ports(first);
    let dns = match place.dns_port {
        0 => ports.next()?,
        port => port,
    };
    if place.smtp_port != 0 {
        ports = Ports(place.smtp_port);
    }
    let ports = addresses
        .iter()
        .map(|_| ports.next())
        .collect::<io::Result<Vec<u16>>>()?;
    let mut last = io::Error::other("no port to bind");
    // A port given by hand is tried once: if it is taken, waiting does not free it.
    // A free port of TCP may be taken in UDP.
    let tries = if dns == 0 { TRIES } else { 1 };
    for _ in 0..tries {
        match try_ports(addresses, stand_ins, (at, dns), &ports).await {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The next port to bind; 0 stays 0 and is any that is free.
struct Ports(u16);

impl Ports {
    fn next(&mut self) -> io::Result<u16> {
        let port = self.0;
        if port == u16::MAX {
            let why = "found more hosts than ports from there up to 65535, expected room for all";
            return Err(io::Error::other(why));
        }
        self.0 += u16::from(port != 0);
        Ok(port)
    }
}

/// Binds one port for each address.
async fn try_ports(
    addresses: &[IpAddr],
    stand_ins: &BTreeMap<IpAddr, Ipv4Addr>,
    (at, dns): (Ipv4Addr, u16),
    ports: &[u16],
) -> io::Result<LoopbackSockets> {
    let (dns_udp, dns_tcp) = bind_dns(at, dns).await?;
    let (mut there, mut smtp) = (BTreeMap::new(), Vec::new());
    for (address, port) in addresses.iter().zip(ports) {
        let listener = listen(SocketAddr::from((at, *port))).map_err(failed_at((at, *port)))?;
        let spot = Spot {
            shown: stand_ins[address],
            listens: listener.local_addr()?,
        };
        there.insert(*address, spot);
        smtp.push((*address, port::SMTP, listener));
    }
    let first = addresses.first().and_then(|first| there.get(first));
    let map = Map {
        dns: dns_udp.local_addr()?,
        smtp_port: first.map_or(0, |spot| spot.listens.port()),
        differs_by_ports: true,
        there,
        further: BTreeMap::new(),
    };
    Ok(LoopbackSockets {
        map,
        dns_udp,
        dns_tcp,
        smtp,
    })
}

/// Binds one address for each of the zone's. The first host gets the port that was asked for, or a
/// free one, and all others must have the same: a taken one fails the whole block.
async fn try_addresses(
    addresses: &[IpAddr],
    first: u32,
    place: LoopbackBinding,
) -> io::Result<LoopbackSockets> {
    let (dns_udp, dns_tcp) = bind_dns(Ipv4Addr::LOCALHOST, place.dns_port).await?;
    let mut port = place.smtp_port;
    let (mut there, mut smtp) = (BTreeMap::new(), Vec::new());
    for (address, shown) in translation(addresses, first) {
        let listener = listen(SocketAddr::from((shown, port))).map_err(failed_at((shown, port)))?;
        let listens = listener.local_addr()?;
        port = listens.port();
        there.insert(address, Spot { shown, listens });
        smtp.push((address, port::SMTP, listener));
    }
    let map = Map {
        dns: dns_udp.local_addr()?,
        smtp_port: port,
        differs_by_ports: false,
        there,
        further: BTreeMap::new(),
    };
    Ok(LoopbackSockets {
        map,
        dns_udp,
        dns_tcp,
        smtp,
    })
}

/// The name server's sockets. UDP gets the port that TCP has got, so that a truncated answer is asked
/// for again at the same port.
async fn bind_dns(at: Ipv4Addr, port: u16) -> io::Result<(UdpSocket, TcpListener)> {
    let tcp = TcpListener::bind((at, port))
        .await
        .map_err(failed_at((at, port)))?;
    let udp = UdpSocket::bind(tcp.local_addr()?).await?;
    datagrams::make_room(&udp);
    Ok((udp, tcp))
}

/// Says of an error at which address and port it happened.
fn failed_at(address: (Ipv4Addr, u16)) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        io::Error::new(
            error.kind(),
            format!("{}:{}: {error}", address.0, address.1),
        )
    }
}

/// Listens at an address that is not this lab's yet, also where a connection of an earlier listener lingers in
/// TIME-WAIT.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // On Windows, where nothing that lingers is in the way, this would share an address with whoever has it.
    socket.set_reuseaddr(cfg!(not(windows)))?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket at an address that is this lab's already, also where connections of an earlier listener are still
/// there.
pub(super) fn bound_again(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.set_nodelay(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// As [`bound_again`], and listens.
pub(super) fn listen_again(address: SocketAddr) -> io::Result<TcpListener> {
    bound_again(address)?.listen(BACKLOG)
}

/// A loopback address for each of the zone's, from the first one on: the last octet is kept where that is
/// possible.
///
/// `.7` stays `.7`, which people recognise in a log. The second host with the same last octet, and
/// one that ends in 0 or 255, gets the next free address after the first 256.
fn translation(addresses: &[IpAddr], first: u32) -> BTreeMap<IpAddr, Ipv4Addr> {
    let mut free = (256..).map(|n: u32| Ipv4Addr::from(first + n));
    let mut there: BTreeMap<IpAddr, Ipv4Addr> = BTreeMap::new();
    for address in addresses {
        let last = match address {
            IpAddr::V4(v4) => v4.octets()[3],
            IpAddr::V6(v6) => v6.octets()[15],
        };
        let wanted = Ipv4Addr::from(first + u32::from(last));
        let chosen = if there.values().any(|used| *used == wanted) || matches!(last, 0 | 255) {
            free.next()
                .expect("the block has more addresses than a zone")
        } else {
            wanted
        };
        there.insert(*address, chosen);
    }
    there
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Arc, time::Duration};

    use super::*;
    use crate::{
        drill,
        lab::{Lab, NetworkKind},
        scenario::Scenario,
        sender::Reference,
        verdict::SenderKind,
    };

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

    /// Two exchangers, of which the preferred one refuses.
    const DRILL: &str = "summary = 's'\nzone = \"\"\"\n$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\n@ MX 30 mx3\n\
        mx1 A 192.0.2.1\nmx2 AAAA 2001:db8::2\nmx3 A 192.0.2.3\n\"\"\"\n\
        messages = [{ id = 'm', to = 'a@example.test' }]\n\
        faults = [{ host = 'mx1.example.test', stage = 'connect', effect = 'refuse' }, \
        { host = 'mx2.example.test', stage = 'rcpt', effect = '451 4.3.2 later' }]\n\
        [expect.m]\nattempts = [{ host = 'mx1.example.test', result = 'refused', address = '192.0.2.1' }, \
        { host = 'mx2.example.test', result = 451, address = '2001:db8::2' }, \
        { host = 'mx3.example.test', result = 'accepted', address = '192.0.2.3' }]\n";
    /// What no host has that tests run on (RFC 5737): as where there is no address but 127.0.0.1.
    const NOBODYS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 0);

    /// Whether this system has all of 127.0.0.0/8.
    fn has_addresses() -> bool {
        std::net::TcpListener::bind(("127.25.0.1", 0)).is_ok()
    }

    /// What is found in the drill on a lab of this kind, and where its hosts listen.
    fn played(spread: Spread) -> (Vec<String>, Vec<SocketAddr>) {
        let scenario = Scenario::parse("s", DRILL).expect("valid");
        let place = LoopbackBinding {
            spread,
            ..LoopbackBinding::default()
        };
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let network = NetworkKind::Loopback;
            let lab = Lab::start_without_mailbox(Arc::new(scenario), network, place).await;
            let lab = lab.expect("it starts");
            let sender_kind = SenderKind::InProcess {
                tolerance: Duration::from_secs(5),
            };
            let limit = Duration::from_secs(60);
            let run = drill::conduct(&lab, Reference::default(), None, limit, sender_kind).await;
            let run = run.expect("it ends");
            let findings = run.verdict.findings.iter();
            let findings = findings.map(|finding| finding.claim.clone()).collect();
            let endpoints = lab.endpoints().into_iter();
            let mut sockets: Vec<SocketAddr> = endpoints.map(|endpoint| endpoint.listens).collect();
            sockets.push(lab.resolver());
            lab.stop().await;
            (findings, sockets)
        })
    }

    #[test]
    fn drills_come_to_the_same_where_hosts_differ_by_their_ports_alone() {
        let own = Spread::Addresses { first: None };
        let ports = Spread::Ports {
            at: Ipv4Addr::LOCALHOST,
            first: 0,
        };
        let lacking = Spread::Addresses {
            first: Some(NOBODYS),
        };
        for (spread, differ_by_ports) in [(own, !has_addresses()), (ports, true), (lacking, true)] {
            let (findings, sockets) = played(spread);
            assert_eq!(findings, [""; 0], "{spread:?}");
            let (_, hosts) = sockets.split_last().expect("the name server");
            let distinct = |part: fn(&SocketAddr) -> String, sockets: &[SocketAddr]| {
                let parts: BTreeSet<String> = sockets.iter().map(part).collect();
                parts.len()
            };
            let by_address = distinct(|socket| socket.ip().to_string(), hosts);
            let by_port = distinct(|socket| socket.port().to_string(), &sockets);
            let expected = if differ_by_ports {
                (1, sockets.len())
            } else {
                (hosts.len(), 2)
            };
            assert_eq!((by_address, by_port), expected, "{spread:?}: {sockets:?}");
        }
    }

    #[tokio::test]
    async fn with_a_first_port_the_others_follow_it() {
        let addresses = [1, 2, 3].map(|last| IpAddr::from([192, 0, 2, last]));
        let stand_ins = translation(&addresses, u32::from(STAND_INS));
        let place = |dns_port| LoopbackBinding {
            dns_port,
            ..LoopbackBinding::default()
        };
        let at = Ipv4Addr::LOCALHOST;
        let mut bound = None;
        // Some block of ports is free.
        for first in (20_000..60_000).step_by(97) {
            let sockets = bind_ports(&addresses, &stand_ins, (at, first), place(0)).await;
            bound = bound.or(sockets.ok().map(|sockets| (first, sockets)));
            if bound.is_some() {
                break;
            }
        }
        let (first, sockets) = bound.expect("room for four");
        assert_eq!(sockets.map.dns.port(), first);
        let ports = addresses.map(|address| sockets.map.listens(address).map(|at| at.port()));
        assert_eq!(ports, [1, 2, 3].map(|more| Some(first + more)));
        // The same ports once more are taken, and told by the first of them.
        let taken = bind_ports(&addresses, &stand_ins, (at, first), place(0)).await;
        let told = taken.err().expect("taken").to_string();
        assert!(told.starts_with(&format!("127.0.0.1:{first}: ")), "{told}");
        let beyond = bind_ports(&addresses, &stand_ins, (at, 65_533), place(0)).await;
        let told = beyond.err().expect("no room").to_string();
        assert!(told.starts_with("found more hosts than ports"), "{told}");
    }
}
