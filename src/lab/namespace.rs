//! The lab's side of the private network: receivers on the zone's own addresses at port 25 and at those of relays,
//! the name server at port 53. What nobody accepts is the tap's.
//!
//! A receiver that refuses has no listener, so that the kernel answers with RST; one that is silent, or unreachable,
//! has a listener whose socket filter drops what arrives. None of these reaches a listener's `accept`: the
//! tap sees them, and counts them for faults that count.
//!
//! The process is in the network namespace already; `cli/src/sandbox` has made it, with routes that
//! bring every address here. Listeners are bound with `IP_FREEBIND`, since no interface has the
//! zone's addresses.
//!
//! What the three states of a receiver look like to a client is what real hosts do:
//!
//! * open: the connection is accepted;
//! * shut: RST, "connection refused";
//! * silent: nothing at all, and the client's kernel repeats its SYN until the client gives up;
//! * unreachable: nothing of the host, and a word of the network's that there is no way to it (`gateway`).
//!
//! A fault with a count has to be counted by connections, of which only the tap knows. It tells the
//! gate the client's port, which then stays unanswered, while the next connection may be accepted.

mod gateway;
mod host;
mod tap;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    thread,
};

use socket2::{Domain as Family, Protocol, SockFilter, Socket, Type};
use tokio::{
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{mpsc, oneshot},
    task::JoinSet,
};

pub use self::host::SendersHost;
pub use self::tap::OwnHost;
pub(super) use self::tap::Seen;
pub(crate) use self::tap::caught_up;
use self::{gateway::Gateway, tap::Tap};
use super::{
    LabState, Packet, datagrams, listener,
    network::bounds::{HTTPS_PORT, MAX_SESSIONS, TOO_MANY_SESSIONS},
    questions,
    receiver::Receiver,
};
use crate::{fault::Effect, stream::Stream};

/// Where the name server of a private network listens: `/etc/resolv.conf` in it names this address.
pub(crate) const NAME_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53);
/// Where else it answers: programs bring resolvers of their own, those of Google, Cloudflare and Quad9.
///
/// A program that asks one of these finds the lab's name server there, and is not told of as going
/// astray.
const PUBLIC_RESOLVERS: [IpAddr; 12] = [
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 4, 4)),
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(1, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
    IpAddr::V4(Ipv4Addr::new(149, 112, 112, 112)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8844)),
    IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1111)),
    IpAddr::V6(Ipv6Addr::new(0x2606, 0x4700, 0x4700, 0, 0, 0, 0, 0x1001)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 0xfe)),
    IpAddr::V6(Ipv6Addr::new(0x2620, 0xfe, 0, 0, 0, 0, 0, 9)),
];
/// Connections that may wait to be accepted: as many as the kernel lets by default.
const BACKLOG: i32 = 4096;
/// Unanswered connections of one receiver that are told apart. Each costs two instructions of a
/// filter, and classic BPF allows 4096; the bound keeps the filter short for the kernel, which runs
/// it for every segment.
const MAX_IGNORED: usize = 60;

/// The sockets of a lab in a private network, bound.
///
/// The name server and the tap are bound before anything runs, receivers when they are served.
pub(super) struct PrivateSockets {
    /// The name server's pairs, one for each address at which it answers.
    dns: Vec<(UdpSocket, TcpListener)>,
    /// A packet socket; to the runtime, a socket of datagrams like another.
    tap: UdpSocket,
    gateway: Gateway,
}

/// Binds the name server's sockets, the one that sees all packets, and those that speak for the network.
///
/// # Errors
/// That the network is not one where this may be done.
pub(super) async fn bind(packets: Seen) -> io::Result<PrivateSockets> {
    let dns_tcp = TcpListener::bind(NAME_SERVER).await?;
    let dns_udp = UdpSocket::bind(NAME_SERVER).await?;
    datagrams::make_room(&dns_udp);
    let mut dns = vec![(dns_udp, dns_tcp)];
    // Where a family is missing, nobody asks in it.
    let public = PUBLIC_RESOLVERS.map(|address| SocketAddr::new(address, NAME_SERVER.port()));
    dns.extend(public.into_iter().filter_map(|at| bind_dns(at).ok()));
    Ok(PrivateSockets {
        dns,
        tap: tap::open(packets)?,
        gateway: Gateway::new()?,
    })
}

/// Whether the name server answers at an address and port.
fn is_name_server(at: SocketAddr) -> bool {
    at.port() == NAME_SERVER.port() && (at == NAME_SERVER || PUBLIC_RESOLVERS.contains(&at.ip()))
}

/// The name server's sockets at an address that no interface has; an error where its family is
/// missing.
fn bind_dns(at: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let tcp = listener(at, &PrivateListening::Open)?;
    let udp = Socket::new(Family::for_address(at), Type::DGRAM, Some(Protocol::UDP))?;
    bind_anywhere(&udp, at)?;
    datagrams::make_room(&udp);
    Ok((
        UdpSocket::from_std(udp.into())?,
        TcpListener::from_std(tcp.into())?,
    ))
}

/// Serves a private network, until the lab stops.
///
/// # Errors
/// That a receiver could not listen.
pub(super) fn serve(
    state: &Arc<LabState>,
    sockets: PrivateSockets,
    packets: Option<mpsc::UnboundedSender<Packet>>,
    own_host: OwnHost,
    tasks: &mut JoinSet<()>,
) -> io::Result<()> {
    serve_dns(state, sockets.dns, tasks)?;
    for (address, host) in &state.policy_hosts {
        let listener = listener(
            SocketAddr::new(*address, HTTPS_PORT),
            &PrivateListening::Open,
        )?;
        let listener = TcpListener::from_std(listener.into())?;
        tasks.spawn(listener::listen_https(
            Arc::clone(state),
            Arc::clone(host),
            listener,
        ));
    }
    let mut doors = BTreeMap::new();
    for (address, receiver) in &state.receivers {
        for port in &receiver.ports {
            let (ignore, ignored) = mpsc::unbounded_channel();
            let place = SocketAddr::new(*address, *port);
            doors.insert(place, ignore);
            let gate = Gate::new(Arc::clone(state), Arc::clone(receiver), place, ignored)?;
            tasks.spawn(gate.keep());
        }
    }
    let tap = Tap::new(state, doors, packets, own_host, sockets.gateway);
    tasks.spawn(tap.watch(sockets.tap));
    Ok(())
}

/// Serves the name server's sockets on a thread of its own, where the lab has the one of who asks: it answers
/// one query while that is at the next.
///
/// # Errors
/// When there is no such thread.
fn serve_dns(
    state: &Arc<LabState>,
    sockets: Vec<(UdpSocket, TcpListener)>,
    tasks: &mut JoinSet<()>,
) -> io::Result<()> {
    let sockets = sockets
        .into_iter()
        .map(|(udp, tcp)| Ok((udp.into_std()?, tcp.into_std()?)))
        .collect::<io::Result<Vec<_>>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (stop, stopped) = oneshot::channel();
    let state = Arc::clone(state);
    let thread = thread::Builder::new()
        .name("name server".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let here = sockets
                    .into_iter()
                    .map(|(udp, tcp)| Ok((UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?)));
                let here = match here.collect::<io::Result<_>>() {
                    Ok(here) => here,
                    Err(error) => {
                        state.own_fault(format!("the name server does not serve: {error}"));
                        return;
                    }
                };
                tokio::select! {
                    Ok(()) = stopped => {}
                    () = questions::answer(Arc::clone(&state), here) => {}
                    never = state.delays.watch(), if !state.clock.is_shared() => match never {},
                }
            });
        })?;
    let apart = Apart(Some((stop, thread)));
    tasks.spawn(async move {
        let _apart = apart;
        std::future::pending().await
    });
    Ok(())
}

/// A thread that ends when this is dropped, and is joined: nothing is left behind when a lab is
/// gone.
struct Apart(Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>);

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            // It may have ended by itself, and its panic is reported where it happened.
            stop.send(()).ok();
            drop(thread.join());
        }
    }
}

/// Octets that the kernel may hold of a connection over a slow line; it takes some more.
const SLOW_BUFFER: usize = 4096;

/// What a receiver does with a connection at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
enum PrivateListening {
    Open,
    /// No listener: the kernel refuses.
    Shut,
    /// Connections from these ports are not answered.
    Deaf(BTreeSet<u16>),
    /// No connection is answered.
    Silent,
}

/// One receiver's listener, as the faults of the moment ask for it.
///
/// It keeps the listener as long as it can and changes the filter on it: a listener that is closed
/// and bound again would lose connections that wait in its backlog.
struct Gate {
    state: Arc<LabState>,
    receiver: Arc<Receiver>,
    address: SocketAddr,
    door: PrivateListening,
    /// `None` while the receiver refuses.
    listener: Option<TcpListener>,
    /// Client ports whose connections a counting fault left unanswered: they are not to be answered
    /// when the client's kernel tries again.
    ignored: BTreeSet<u16>,
    /// Further ones, as the tap tells them.
    told: mpsc::UnboundedReceiver<u16>,
}

impl Gate {
    fn new(
        state: Arc<LabState>,
        receiver: Arc<Receiver>,
        address: SocketAddr,
        told: mpsc::UnboundedReceiver<u16>,
    ) -> io::Result<Self> {
        let mut gate = Self {
            state,
            receiver,
            address,
            door: PrivateListening::Shut,
            listener: None,
            ignored: BTreeSet::new(),
            told,
        };
        gate.turn()?;
        Ok(gate)
    }

    /// What the faults of the moment ask for. A receiver may ignore some ports although no fault is
    /// left: their kernels still repeat.
    fn wanted(&self) -> PrivateListening {
        match self
            .state
            .foresee_connect(&self.receiver, self.address.port())
        {
            Some((Effect::Refuse, _)) => PrivateListening::Shut,
            Some((Effect::Timeout | Effect::Unreachable, _)) => PrivateListening::Silent,
            _ if self.ignored.is_empty() => PrivateListening::Open,
            _ => PrivateListening::Deaf(self.ignored.clone()),
        }
    }

    /// Makes the listener what is wanted now.
    fn turn(&mut self) -> io::Result<()> {
        let wanted = self.wanted();
        if wanted == self.door {
            return Ok(());
        }
        match (&wanted, &self.listener) {
            (PrivateListening::Shut, _) => self.listener = None,
            (door, Some(listener)) => attach(socket2::SockRef::from(listener), door)?,
            (door, None) => {
                let listener = listener(self.address, door)?;
                if self.receiver.limits.bandwidth.is_some() {
                    // What the kernel takes in at once goes over no slow line.
                    listener.set_recv_buffer_size(SLOW_BUFFER)?;
                }
                self.listener = Some(TcpListener::from_std(listener.into())?);
            }
        }
        self.door = wanted;
        Ok(())
    }

    /// Keeps the listener as it should be, and accepts connections, until the lab stops.
    ///
    /// Changes come before connections: ports that the tap tells, faults by hand, the edges of
    /// windows.
    async fn keep(mut self) {
        let mut changed = self.state.faults_changed.subscribe();
        let mut sessions = JoinSet::new();
        loop {
            if let Err(error) = self.turn() {
                let text = format!("the receiver at {} could not listen: {error}", self.address);
                self.state.own_fault(text);
                return;
            }
            let next = self.state.faults().next_change(self.state.clock.now());
            let window = async {
                match next {
                    Some(moment) => self.state.clock.sleep_until(moment).await,
                    None => std::future::pending().await,
                }
            };
            let accepted = async {
                match &self.listener {
                    Some(listener) => listener::accept(&self.state, listener).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                Some(port) = self.told.recv() => {
                    // The lowest port makes room: its client may be answered after all.
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

    /// Serves a connection, or resets it if the lab has as many as it serves.
    fn admit(&self, sessions: &mut JoinSet<()>, socket: TcpStream, peer: SocketAddr) {
        if sessions.len() >= MAX_SESSIONS {
            self.state.own_fault(TOO_MANY_SESSIONS.to_owned());
            Stream::Tcp(socket).reset_on_drop();
            return;
        }
        let (state, receiver) = (Arc::clone(&self.state), Arc::clone(&self.receiver));
        let to = (receiver, self.address.port());
        sessions.spawn(listener::admit(state, to, socket, peer));
    }
}

/// A listener whose filter is attached before it listens, so that not even the first packet gets a
/// wrong answer.
fn listener(address: SocketAddr, door: &PrivateListening) -> io::Result<Socket> {
    let family = Family::for_address(address);
    let socket = Socket::new(family, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_tcp_nodelay(true)?;
    bind_anywhere(&socket, address)?;
    attach(socket2::SockRef::from(&socket), door)?;
    socket.listen(BACKLOG)?;
    Ok(socket)
}

/// Binds a socket to an address that is routed here and that no interface has (`IP_FREEBIND`).
fn bind_anywhere(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    match address {
        SocketAddr::V4(_) => socket.set_freebind_v4(true)?,
        SocketAddr::V6(_) => {
            socket.set_only_v6(true)?;
            socket.set_freebind_v6(true)?;
        }
    }
    socket
        .bind(&address.into())
        .map_err(|error| io::Error::new(error.kind(), format!("{address}: {error}")))
}

/// Lets the kernel drop what the listener does not answer. A classic BPF program sees a segment from its
/// TCP header on, the source port first.
fn attach(socket: socket2::SockRef<'_>, door: &PrivateListening) -> io::Result<()> {
    const LOAD_HALF: u16 = 0x28;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const DROP: SockFilter = SockFilter::new(RETURN, 0, 0, 0);
    const PASS: SockFilter = SockFilter::new(RETURN, 0, 0, u32::MAX);
    let filter = match door {
        PrivateListening::Silent => vec![DROP],
        PrivateListening::Open | PrivateListening::Shut => vec![PASS],
        PrivateListening::Deaf(ports) => {
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
