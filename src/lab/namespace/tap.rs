//! What sees every packet of a private network: connections that nobody accepts, and what the sender tries
//! to reach that the drill does not have.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::fd::AsRawFd,
    sync::Arc,
    time::Duration,
};

use etherparse::{NetSlice, SlicedPacket, TcpSlice, TransportSlice};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
};
use socket2::{SockFilter, Socket};
use tokio::{io::Interest, net::UdpSocket, sync::mpsc};

use super::host::SendersHost;
use super::{SMTP_PORT, is_name_server};
use crate::{
    event::{Connected, Purpose, What},
    fault::{Effect, Stage, Transport},
    lab::{
        Packet, Site,
        network::{HTTPS_PORT, record_connect},
    },
};

/// Octets of a packet that are looked at; loopback carries up to 64 KiB at once.
const MAX_PACKET: usize = 68 * 1024;
/// Octets of packets that may wait for the tap.
const TAP_BUFFER: usize = 32 * 1024 * 1024;
/// How long the tap may take to come to a mark.
const MARK_LIMIT: Duration = Duration::from_secs(1);
/// The packet type of what a socket sees on its way out; on `lo` it is seen again on its way in.
const OUTGOING: u8 = 4;
/// Tries outside the drill that are told of; a sender that makes more has been found out.
const MAX_STRAYS: usize = 1000;

/// What the sender's host says to itself at port 25, where nobody listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnHost {
    /// It is an attempt like another.
    Told,
    /// It is the affair of a mail server and its parts.
    #[default]
    PassedOver,
}

/// Which packets a lab is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lab) enum Seen {
    /// Those that tell of connections.
    Connections,
    /// All of them.
    All,
}

/// What the kernel leaves out before the tap sees it, as a classic BPF program over an Ethernet frame:
/// packets on their way out, which come again on their way in, and all that tells nothing.
fn tap_filter(seen: Seen) -> Vec<SockFilter> {
    const LOAD_WORD: u16 = 0x20;
    const LOAD_HALF: u16 = 0x28;
    const LOAD_OCTET: u16 = 0x30;
    const LOAD_OCTET_AFTER: u16 = 0x50;
    const LOAD_LENGTH: u16 = 0xb1;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_ANY: u16 = 0x45;
    const RETURN: u16 = 0x06;
    // SKF_AD_OFF + SKF_AD_PKTTYPE
    const PACKET_TYPE: u32 = 0xffff_f004;
    const TYPE: u32 = 12;
    const IPV4: u32 = 0x0800;
    const IPV6: u32 = 0x86dd;
    const TCP: u32 = 6;
    const UDP: u32 = 17;
    const SYN_OR_RST: u32 = 0b110;
    let step = SockFilter::new;
    let (pass, drop) = (step(RETURN, 0, 0, u32::MAX), step(RETURN, 0, 0, 0));
    let mut program = vec![step(LOAD_WORD, 0, 0, PACKET_TYPE)];
    if seen == Seen::All {
        program.extend([step(JUMP_IF_EQUAL, 0, 1, u32::from(OUTGOING)), drop, pass]);
        return program;
    }
    program.extend([
        step(JUMP_IF_EQUAL, 15, 0, u32::from(OUTGOING)),
        step(LOAD_HALF, 0, 0, TYPE),
        step(JUMP_IF_EQUAL, 0, 6, IPV4),
        step(LOAD_OCTET, 0, 0, 14 + 9),
        step(JUMP_IF_EQUAL, 10, 0, UDP),
        step(JUMP_IF_EQUAL, 0, 10, TCP),
        step(LOAD_LENGTH, 0, 0, 14),
        step(LOAD_OCTET_AFTER, 0, 0, 14 + 13),
        step(JUMP_IF_ANY, 6, 7, SYN_OR_RST),
        step(JUMP_IF_EQUAL, 0, 6, IPV6),
        step(LOAD_OCTET, 0, 0, 14 + 6),
        step(JUMP_IF_EQUAL, 3, 0, UDP),
        step(JUMP_IF_EQUAL, 0, 3, TCP),
        step(LOAD_OCTET, 0, 0, 14 + 40 + 13),
        step(JUMP_IF_ANY, 0, 1, SYN_OR_RST),
        pass,
        drop,
    ]);
    program
}

/// Opens the socket that sees packets; to the runtime, a socket of datagrams like another.
///
/// # Errors
/// That the network is not one where this may be done.
pub(super) fn open(seen: Seen) -> io::Result<UdpSocket> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let tap = socket(
        AddressFamily::Packet,
        SockType::Raw,
        flags,
        SockProtocol::EthAll,
    )?;
    setsockopt(&tap, sockopt::RcvBufForce, &TAP_BUFFER)
        .or_else(|_| setsockopt(&tap, sockopt::RcvBuf, &TAP_BUFFER))?;
    let tap = Socket::from(tap);
    tap.attach_filter(&tap_filter(seen))?;
    UdpSocket::from_std(tap.into())
}

/// Waits until the tap has seen all that was sent so far: a packet that is sent now comes after it.
pub(crate) async fn caught_up(site: &Site) {
    let mark = async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let mut marked = site.marked.subscribe();
        socket.send_to(b"mark", address).await?;
        let is_it = |port: &u16| *port == address.port();
        drop(marked.wait_for(is_it).await);
        io::Result::Ok(())
    };
    // A packet that is lost on the way to the tap is not waited for.
    drop(tokio::time::timeout(MARK_LIMIT, mark).await);
}

/// A connection that a client asked for: its address and port, the address it wants.
type Flow = (SocketAddr, IpAddr);

/// What sees all packets: connections that nobody accepts are told by it alone.
pub(super) struct Tap {
    site: Arc<Site>,
    /// The addresses of the sender's host.
    own: BTreeSet<IpAddr>,
    own_host: OwnHost,
    doors: BTreeMap<IpAddr, mpsc::UnboundedSender<u16>>,
    /// Flows that were asked for and not yet answered, by the sequence number of their SYN.
    waiting: BTreeMap<Flow, u32>,
    /// What was told of as tried outside the drill: from where, to where.
    strays: BTreeSet<(Transport, SocketAddr, SocketAddr)>,
    packets: Option<mpsc::UnboundedSender<Packet>>,
}

impl Tap {
    pub(super) fn new(
        site: &Arc<Site>,
        doors: BTreeMap<IpAddr, mpsc::UnboundedSender<u16>>,
        packets: Option<mpsc::UnboundedSender<Packet>>,
        own_host: OwnHost,
    ) -> Self {
        Self {
            own: SendersHost::of(&site.scenario)
                .addresses
                .into_iter()
                .collect(),
            site: Arc::clone(site),
            own_host,
            doors,
            waiting: BTreeMap::new(),
            strays: BTreeSet::new(),
            packets,
        }
    }

    pub(super) async fn watch(mut self, socket: UdpSocket) {
        let mut buffer = vec![0; MAX_PACKET];
        loop {
            if socket.readable().await.is_err() {
                return;
            }
            let received = socket.try_io(Interest::READABLE, || {
                recvfrom::<()>(socket.as_raw_fd(), &mut buffer).map_err(io::Error::from)
            });
            let Ok((length, _)) = received else {
                continue;
            };
            let packet = &buffer[..length];
            if !self.segment(packet) {
                continue;
            }
            if let Some(packets) = &self.packets {
                // Whoever wrote them down has had enough.
                drop(packets.send(packet.into()));
            }
        }
    }

    /// Whether a packet is the sender's, and no mark of the lab's.
    fn segment(&mut self, packet: &[u8]) -> bool {
        let Ok(packet) = SlicedPacket::from_ethernet(packet) else {
            return true;
        };
        let (from, to): (IpAddr, IpAddr) = match &packet.net {
            Some(NetSlice::Ipv4(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            Some(NetSlice::Ipv6(ip)) => (
                ip.header().source_addr().into(),
                ip.header().destination_addr().into(),
            ),
            _ => return true,
        };
        let tcp = match &packet.transport {
            Some(TransportSlice::Tcp(tcp)) => tcp,
            Some(TransportSlice::Udp(udp)) => {
                let (source, destination) = (udp.source_port(), udp.destination_port());
                if to.is_loopback() && source == destination {
                    self.site.marked.send_replace(source);
                    return false;
                }
                self.tried(
                    Transport::Udp,
                    SocketAddr::new(from, source),
                    SocketAddr::new(to, destination),
                );
                return true;
            }
            _ => return true,
        };
        if tcp.syn() && !tcp.ack() {
            self.tried(
                Transport::Tcp,
                SocketAddr::new(from, tcp.source_port()),
                SocketAddr::new(to, tcp.destination_port()),
            );
        }
        if tcp.destination_port() == SMTP_PORT && tcp.syn() && !tcp.ack() {
            self.asked((SocketAddr::new(from, tcp.source_port()), to), tcp);
        } else if tcp.source_port() == SMTP_PORT && (tcp.rst() || tcp.syn()) {
            let flow = (SocketAddr::new(to, tcp.destination_port()), from);
            let waiting = self.waiting.remove(&flow).is_some();
            // A listener records what it accepts.
            if waiting && tcp.rst() {
                self.record(flow, Connected::Refused);
            }
        }
        true
    }

    /// A SYN: one that nobody will answer is a time-out, at once, for the drill knows.
    fn asked(&mut self, flow: Flow, tcp: &TcpSlice<'_>) {
        let (client, address) = flow;
        let passed_over = address.is_loopback() && self.own_host == OwnHost::PassedOver;
        if passed_over || self.waiting.get(&flow) == Some(&tcp.sequence_number()) {
            return;
        }
        self.waiting.insert(flow, tcp.sequence_number());
        let receiver = self.site.receivers.get(&address).cloned();
        let foreseen = receiver.and_then(|receiver| self.site.foresee_connect(&receiver));
        if let Some((Effect::Timeout, counts)) = foreseen {
            if let Some(door) = self.doors.get(&address).filter(|_| counts) {
                // The gate lives as long as the lab.
                door.send(client.port()).unwrap_or_default();
            }
            self.record(flow, Connected::Timeout);
        }
    }

    /// Tells of what the sender tries and the drill does not have; repeats of a packet are one try.
    fn tried(&mut self, over: Transport, from: SocketAddr, to: SocketAddr) {
        let is_own = to.ip().is_loopback() || self.own.contains(&to.ip());
        let is_exchange = over == Transport::Tcp && to.port() == SMTP_PORT;
        let is_policy = over == Transport::Tcp
            && to.port() == HTTPS_PORT
            && self.site.policy_hosts.contains_key(&to.ip());
        if is_own || is_exchange || is_policy || is_name_server(to) {
            return;
        }
        if self.strays.len() < MAX_STRAYS && self.strays.insert((over, from, to)) {
            self.site.record(What::Stray { to, over });
        }
    }

    /// Writes down a connection that was not accepted, and counts it for the faults that do.
    fn record(&self, (_, address): Flow, result: Connected) {
        let names = match self.site.receivers.get(&address) {
            Some(receiver) => {
                self.site.strike(receiver, Stage::Connect, None);
                self.site.faults_changed.send_replace(());
                receiver.names.clone()
            }
            None => Vec::new(),
        };
        let session = self.site.next_session();
        record_connect(
            &self.site,
            session,
            address,
            &names,
            result,
            Purpose::default(),
        );
    }
}
