//! What sees every packet of a private network: connections that nobody accepts, and what the sender tries to reach
//! that the drill does not have.
//!
//! The tap is a packet socket on the loopback interface of the namespace. For each packet:
//!
//! 1. The kernel drops what tells nothing (a classic BPF program), unless all packets are to be written down.
//! 2. A datagram of the lab's own is a mark: whoever waits for the tap learns that it has come so far.
//! 3. A SYN to port 25, or to that of a relay, begins a flow. If the fault of the moment lets nobody answer, the
//!    attempt is logged as a time-out at once, not when the client gives up. If the network has no way there, the
//!    client is told so (`gateway`), and the attempt is logged.
//! 4. A RST from such a port to a flow that waits is a refusal. What is accepted is logged by the listener, not here.
//! 5. A SYN or a datagram to what the drill does not have is a stray.
//!
//! The tap decides nothing about an accepted session: that is the receiver's.

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

use super::{gateway::Gateway, host::SendersHost, is_name_server};
use crate::{
    event::{AttemptHint, Connected, EventKind},
    fault::{Effect, Stage, Transfer, Transport},
    lab::{LabState, Packet, network::bounds::HTTPS_PORT},
    port,
};

/// Octets of a packet that are looked at: loopback carries up to 64 KiB at once, and headers come
/// on top.
const MAX_PACKET: usize = 68 * 1024;
/// Octets of packets that may wait for the tap: 32 MiB, for bursts while the machine is busy. A
/// packet that finds no room is lost.
const TAP_BUFFER: usize = 32 * 1024 * 1024;
/// How long the tap may take to come to a mark. A mark may be lost, and then nobody must wait for
/// ever.
const MARK_LIMIT: Duration = Duration::from_secs(1);
/// The packet type (`PACKET_OUTGOING`) of what a socket sees on its way out; on `lo` each packet is
/// seen again on its way in.
const OUTGOING: u8 = 4;
/// Strays that are logged; a sender that makes more has been found out.
const MAX_STRAYS: usize = 1000;

/// What is made of connections of the sender's host to itself at port 25, where no receiver
/// listens.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OwnHost {
    /// Each is an attempt like another: a sender that ignores that it is an exchanger itself shows
    /// here.
    Told,
    /// They are passed over: a mail server talks with its own parts that way.
    #[default]
    PassedOver,
}

/// Which packets a lab is to see: fewer cost less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::lab) enum Seen {
    /// SYN and RST segments of TCP, and all datagrams of UDP: those that tell of connections and
    /// strays.
    Connections,
    /// All, since they are written to a file.
    All,
}

/// What the kernel leaves out before the tap sees it, as a classic BPF program over an Ethernet frame:
/// packets on their way out, which come again on their way in, and all that tells nothing.
///
/// Offsets are from the start of the frame, with 14 octets of link header: the protocol is at octet
/// 9 of an IPv4 header and octet 6 of an IPv6 one, the flags at octet 13 of a TCP header. Jumps
/// count the instructions that they pass over.
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
        // The length of the IPv4 header, four times the low half of its first octet, goes into the
        // index register.
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
///
/// It needs CAP_NET_RAW in the namespace.
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

/// Waits until the tap has seen all that was sent so far, by sending a datagram that is seen after
/// it: the packets of one interface keep their order.
pub(crate) async fn caught_up(state: &LabState) {
    let mark = async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = socket.local_addr()?;
        let mut marked = state.marked.subscribe();
        socket.send_to(b"mark", address).await?;
        let is_it = |port: &u16| *port == address.port();
        marked.wait_for(is_it).await.ok();
        io::Result::Ok(())
    };
    // A packet that is lost on the way to the tap is not waited for.
    tokio::time::timeout(MARK_LIMIT, mark).await.ok();
}

/// A connection that a client asked for: its address and port, and the address and port that it wants.
type Flow = (SocketAddr, SocketAddr);

/// What sees all packets: connections that nobody accepts are told by it alone.
///
/// It owns no socket of a client, and changes nothing on the network.
pub(super) struct Tap {
    // Shared with listeners and name server.
    state: Arc<LabState>,
    /// The addresses of the sender's host.
    own: BTreeSet<IpAddr>,
    /// What is made of the host's connections to itself.
    own_host: OwnHost,
    /// By receiver: where to tell a client port that is not to be answered.
    doors: BTreeMap<SocketAddr, mpsc::UnboundedSender<u16>>,
    /// Flows that were asked for and not yet answered, with the sequence number of their SYN: one
    /// that is repeated has the same, and is no new attempt.
    waiting: BTreeMap<Flow, u32>,
    /// The strays logged so far, over which transport, from where and to where: a repeated packet
    /// is no other stray.
    strays: BTreeSet<(Transport, SocketAddr, SocketAddr)>,
    /// Flows whose clients are told that there is no way, with the sequence number of their SYN: one that is repeated is
    /// answered again, as a client in the middle of a call may not have heard it.
    nowhere: BTreeMap<Flow, u32>,
    /// Who is to be told so, and of which frame.
    owed: Vec<(SocketAddr, Packet)>,
    gateway: Gateway,
    /// Where every packet goes that is to be written down; `None`: nowhere.
    packets: Option<mpsc::UnboundedSender<Packet>>,
}

impl Tap {
    pub(super) fn new(
        state: &Arc<LabState>,
        doors: BTreeMap<SocketAddr, mpsc::UnboundedSender<u16>>,
        packets: Option<mpsc::UnboundedSender<Packet>>,
        own_host: OwnHost,
        gateway: Gateway,
    ) -> Self {
        Self {
            own: SendersHost::of(&state.scenario)
                .addresses
                .into_iter()
                .collect(),
            state: Arc::clone(state),
            own_host,
            doors,
            waiting: BTreeMap::new(),
            strays: BTreeSet::new(),
            nowhere: BTreeMap::new(),
            owed: Vec::new(),
            gateway,
            packets,
        }
    }

    /// Reads packets until the lab stops.
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
            let is_told = self.segment(packet);
            if !self.owed.is_empty() {
                // A count may be over by this attempt: the receiver listens again before its client can come again.
                tokio::task::yield_now().await;
                self.pay();
            }
            if !is_told {
                continue;
            }
            if let Some(packets) = &self.packets {
                // The reader of the packets may have stopped.
                packets.send(packet.into()).ok();
            }
        }
    }

    /// Tells clients that there is no way.
    fn pay(&mut self) {
        for (client, frame) in self.owed.drain(..) {
            if let Err(error) = self.gateway.tell(client, &frame) {
                let text = format!("{client} could not be told of an unreachable host: {error}");
                self.state.own_fault(text);
            }
        }
    }

    /// Looks at a packet. `false` for a mark of the lab's own, which is not written down.
    fn segment(&mut self, frame: &[u8]) -> bool {
        let Ok(packet) = SlicedPacket::from_ethernet(frame) else {
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
                // No other datagram goes from a port to itself on loopback.
                if to.is_loopback() && source == destination {
                    self.state.marked.send_replace(source);
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
        let (source, destination) = (
            SocketAddr::new(from, tcp.source_port()),
            SocketAddr::new(to, tcp.destination_port()),
        );
        if self.is_exchange(destination) && tcp.syn() && !tcp.ack() {
            self.asked((source, destination), tcp, frame);
        } else if self.is_exchange(source) && (tcp.rst() || tcp.syn()) {
            let flow = (destination, source);
            let waiting = self.waiting.remove(&flow).is_some();
            // A listener records what it accepts.
            if waiting && tcp.rst() {
                self.record(flow, Connected::Refused);
            }
        }
        true
    }

    /// Whether mail is taken at an address and port, or would be if there were a host: at port 25, and where a relay
    /// listens.
    fn is_exchange(&self, at: SocketAddr) -> bool {
        let receiver = self.state.receivers.get(&at.ip());
        at.port() == port::SMTP
            || receiver.is_some_and(|receiver| receiver.ports.contains(&at.port()))
    }

    /// A SYN: one that nobody will answer is a time-out, at once, for the drill knows.
    ///
    /// A counting fault leaves this one port without an answer, so that the client's repeats stay
    /// unanswered when the count is over.
    fn asked(&mut self, flow: Flow, tcp: &TcpSlice<'_>, frame: &[u8]) {
        let (client, wanted) = flow;
        let address = wanted.ip();
        let passed_over = address.is_loopback() && self.own_host == OwnHost::PassedOver;
        let sequence = tcp.sequence_number();
        if passed_over || self.waiting.get(&flow) == Some(&sequence) {
            return;
        }
        if self.nowhere.get(&flow) == Some(&sequence) {
            self.owed.push((client, frame.into()));
            return;
        }
        self.nowhere.remove(&flow);
        self.waiting.insert(flow, sequence);
        let receiver = self.state.receivers.get(&address).cloned();
        let foreseen =
            receiver.and_then(|receiver| self.state.foresee_connect(&receiver, wanted.port()));
        let (result, counts) = match foreseen {
            Some((Effect::Timeout, counts)) => (Connected::Timeout, counts),
            // What is told to the client ends this connection, whatever the receiver does when it comes again.
            Some((Effect::Unreachable, _)) => (Connected::Unreachable, true),
            _ => return,
        };
        if let Some(door) = self.doors.get(&wanted).filter(|_| counts) {
            // The gate lives as long as the lab.
            door.send(client.port()).ok();
        }
        if result == Connected::Unreachable {
            self.waiting.remove(&flow);
            self.nowhere.insert(flow, sequence);
            self.owed.push((client, frame.into()));
        }
        self.record(flow, result);
    }

    /// Logs what the sender tries and the drill does not have. Its own host, exchangers at port 25,
    /// policies' web servers and the name server are what it has; all else would leave the drill.
    fn tried(&mut self, over: Transport, from: SocketAddr, to: SocketAddr) {
        let is_own = to.ip().is_loopback() || self.own.contains(&to.ip());
        let is_exchange = over == Transport::Tcp && self.is_exchange(to);
        let is_policy = over == Transport::Tcp
            && to.port() == HTTPS_PORT
            && self.state.policy_hosts.contains_key(&to.ip());
        if is_own || is_exchange || is_policy || is_name_server(to) {
            return;
        }
        if self.strays.len() < MAX_STRAYS && self.strays.insert((over, from, to)) {
            self.state.record(EventKind::Stray { to, over });
        }
    }

    /// Logs a connection that was not accepted, and counts it for the faults that do. Listeners
    /// look again then: the count may be over.
    fn record(&self, (_, wanted): Flow, result: Connected) {
        let (address, port) = (wanted.ip(), wanted.port());
        let names = match self.state.receivers.get(&address) {
            Some(receiver) => {
                self.state
                    .strike(receiver, port, Stage::Connect, Transfer::default());
                self.state.faults_have_changed();
                Arc::clone(&receiver.names)
            }
            None => Arc::default(),
        };
        let session = self.state.next_session();
        self.state.record_connect(
            session,
            (address, port),
            names,
            result,
            AttemptHint::default(),
        );
    }
}
