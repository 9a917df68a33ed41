//! The lab's side of the private network: receivers on the zone's own addresses at port 25, the name
//! server at port 53, and a tap that sees every packet.
//!
//! A receiver that refuses has no listener, so that the kernel answers with RST; one that is silent
//! has a listener whose socket filter drops what arrives. Neither reaches a listener's `accept`: the
//! tap sees them, and counts them for faults that count.

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
use socket2::{Domain as Family, Protocol, SockFilter, Socket, Type};
use tokio::{
    io::Interest,
    net::{TcpListener, TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    Packet, Site, door,
    network::{HTTPS_PORT, MAX_SESSIONS, record_connect},
    receiver::Receiver,
};
use crate::{
    event::{Connected, Purpose},
    fault::{Effect, Stage},
    stream::Stream,
};

/// Where the name server of a private network listens.
pub(crate) const NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
/// The port of exchangers.
pub(crate) const SMTP_PORT: u16 = 25;
/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;
/// Octets of a packet that are looked at; loopback carries up to 64 KiB at once.
const MAX_PACKET: usize = 68 * 1024;
/// Octets of packets that may wait for the tap.
const TAP_BUFFER: usize = 32 * 1024 * 1024;
/// How long the tap may take to come to a mark.
const MARK_LIMIT: Duration = Duration::from_secs(1);
/// Unanswered connections of one receiver that are told apart.
const MAX_IGNORED: usize = 60;
/// The packet type of what a socket sees on its way out; on `lo` it is seen again on its way in.
const OUTGOING: u8 = 4;

/// The sockets of a lab in a private network, bound.
pub(super) struct Sockets {
    dns_udp: UdpSocket,
    dns_tcp: TcpListener,
    /// A packet socket; to the runtime, a socket of datagrams like another.
    tap: UdpSocket,
}

/// Binds the name server's sockets, and the one that sees all packets.
///
/// # Errors
/// That the network is not one where this may be done.
pub(super) async fn bind(packets: Seen) -> io::Result<Sockets> {
    let dns_tcp = TcpListener::bind(NAME_SERVER).await?;
    let dns_udp = UdpSocket::bind(NAME_SERVER).await?;
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
    tap.attach_filter(&tap_filter(packets))?;
    Ok(Sockets {
        dns_udp,
        dns_tcp,
        tap: UdpSocket::from_std(tap.into())?,
    })
}

/// Which packets a lab is to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
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

/// Serves a private network, until the lab stops.
///
/// # Errors
/// That a receiver could not listen.
pub(super) fn serve(
    site: &Arc<Site>,
    sockets: Sockets,
    packets: Option<mpsc::UnboundedSender<Packet>>,
    tasks: &mut JoinSet<()>,
) -> io::Result<()> {
    door::serve_dns(site, sockets.dns_udp, sockets.dns_tcp, tasks)?;
    for (address, host) in &site.policy_hosts {
        let listener = listener(SocketAddr::new(*address, HTTPS_PORT), &Door::Open)?;
        let listener = TcpListener::from_std(listener.into())?;
        tasks.spawn(door::listen_https(
            Arc::clone(site),
            Arc::clone(host),
            listener,
        ));
    }
    let mut doors = BTreeMap::new();
    for (address, receiver) in &site.receivers {
        let (ignore, ignored) = mpsc::unbounded_channel();
        doors.insert(*address, ignore);
        let gate = Gate::new(Arc::clone(site), Arc::clone(receiver), ignored)?;
        tasks.spawn(gate.keep());
    }
    let tap = Tap {
        site: Arc::clone(site),
        doors,
        waiting: BTreeMap::new(),
        packets,
    };
    tasks.spawn(tap.watch(sockets.tap));
    Ok(())
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

/// What a receiver does with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Door {
    Open,
    /// No listener: the kernel refuses.
    Shut,
    /// Connections from these ports are not answered.
    Deaf(BTreeSet<u16>),
    /// No connection is answered.
    Silent,
}

/// One receiver's listener, as the faults of the moment ask for it.
struct Gate {
    site: Arc<Site>,
    receiver: Arc<Receiver>,
    address: SocketAddr,
    door: Door,
    listener: Option<TcpListener>,
    /// Client ports whose connections a counting fault left unanswered: they are not to be answered
    /// when the client's kernel tries again.
    ignored: BTreeSet<u16>,
    /// Further ones, as the tap tells them.
    told: mpsc::UnboundedReceiver<u16>,
}

impl Gate {
    fn new(
        site: Arc<Site>,
        receiver: Arc<Receiver>,
        told: mpsc::UnboundedReceiver<u16>,
    ) -> io::Result<Self> {
        let address = SocketAddr::new(receiver.address, SMTP_PORT);
        let mut gate = Self {
            site,
            receiver,
            address,
            door: Door::Shut,
            listener: None,
            ignored: BTreeSet::new(),
            told,
        };
        gate.turn()?;
        Ok(gate)
    }

    fn wanted(&self) -> Door {
        match self.site.foresee_connect(&self.receiver) {
            Some((Effect::Refuse, _)) => Door::Shut,
            Some((Effect::Timeout, _)) => Door::Silent,
            _ if self.ignored.is_empty() => Door::Open,
            _ => Door::Deaf(self.ignored.clone()),
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        let wanted = self.wanted();
        if wanted == self.door {
            return Ok(());
        }
        match (&wanted, &self.listener) {
            (Door::Shut, _) => self.listener = None,
            (door, Some(listener)) => attach(socket2::SockRef::from(listener), door)?,
            (door, None) => {
                let listener = listener(self.address, door)?;
                self.listener = Some(TcpListener::from_std(listener.into())?);
            }
        }
        self.door = wanted;
        Ok(())
    }

    async fn keep(mut self) {
        let mut changed = self.site.faults_changed.subscribe();
        let mut sessions = JoinSet::new();
        loop {
            if let Err(error) = self.turn() {
                let text = format!("the receiver at {} could not listen: {error}", self.address);
                // The first is told.
                drop(self.site.trouble.set(text));
                return;
            }
            let next = self.site.faults().next_change(self.site.clock.now());
            let window = async {
                match next {
                    Some(moment) => self.site.clock.sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            let accepted = async {
                match &self.listener {
                    Some(listener) => door::accept(listener).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(port) = self.told.recv() => {
                    if self.ignored.len() >= MAX_IGNORED {
                        self.ignored.pop_first();
                    }
                    self.ignored.insert(port);
                }
                _ = changed.changed() => {}
                () = window => {}
                (socket, peer) = accepted => {
                    while sessions.try_join_next().is_some() {}
                    self.admit(&mut sessions, socket, peer);
                }
            }
        }
    }

    fn admit(&self, sessions: &mut JoinSet<()>, socket: TcpStream, peer: SocketAddr) {
        if sessions.len() >= MAX_SESSIONS {
            Stream::Tcp(socket).reset_on_drop();
            return;
        }
        let (site, receiver) = (Arc::clone(&self.site), Arc::clone(&self.receiver));
        sessions.spawn(door::admit(site, receiver, socket, peer));
    }
}

/// A listener that does what a door asks from the first packet on.
fn listener(address: SocketAddr, door: &Door) -> io::Result<Socket> {
    let family = Family::for_address(address);
    let socket = Socket::new(family, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // The address is routed here and no interface has it.
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket
        .bind(&address.into())
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))?;
    attach(socket2::SockRef::from(&socket), door)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Lets the kernel drop what the door does not answer. A classic BPF program sees a segment from its
/// TCP header on, the source port first.
fn attach(socket: socket2::SockRef<'_>, door: &Door) -> io::Result<()> {
    const LOAD_HALF: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
    const PASS: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
    let filter = match door {
        Door::Silent => vec![DROP],
        Door::Open | Door::Shut => vec![PASS],
        Door::Deaf(ports) => {
            let mut filter = vec![SockFilter::new(LOAD_HALF, 0, 0, 0)];
            for port in ports {
                filter.push(SockFilter::new(JUMP_IF_EQUAL, 0, 1, u32::from(*port)));
                filter.push(DROP);
            }
            filter.push(PASS);
            filter
        }
    };
    socket.attach_filter(&filter)
}

/// A connection that a client asked for: its address and port, the address it wants.
type Flow = (SocketAddr, IpAddr);

/// What sees all packets: connections that nobody accepts are told by it alone.
struct Tap {
    site: Arc<Site>,
    doors: BTreeMap<IpAddr, mpsc::UnboundedSender<u16>>,
    /// Flows that were asked for and not yet answered, by the sequence number of their SYN.
    waiting: BTreeMap<Flow, u32>,
    packets: Option<mpsc::UnboundedSender<Packet>>,
}

impl Tap {
    async fn watch(mut self, socket: UdpSocket) {
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
            Some(TransportSlice::Udp(udp)) if udp.source_port() == udp.destination_port() => {
                self.site.marked.send_replace(udp.source_port());
                return false;
            }
            _ => return true,
        };
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
        // What a sender's host says to itself is its own affair.
        if address.is_loopback() || self.waiting.get(&flow) == Some(&tcp.sequence_number()) {
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
