//! The networks a lab can stand on, and how connections cross them.
//!
//! Only this file knows which network it is. Both serve the same name server and receivers.
//!
//! There are three: pipes in memory with a virtual clock, loopback, and a private network.
//! [`NetworkKind`] is what a caller asks for; `Network` is what a lab has. Addresses in a scenario,
//! in the log and in a verdict are always the zone's. Only answers to queries, and sockets, know
//! others, and the translation between them is here.
//!
//! A connection of a sender inside the process is announced with its purpose, since the receivers'
//! side cannot know which message it is for. What a foreign sender's connection is for is worked
//! out later, from what it says (`crate::observe`).

pub(super) mod listen;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{A, AAAA},
};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
    task::JoinSet,
};

use super::{
    LabState,
    loopback::Map,
    memory::{self},
    mta_sts_server::{self, MtaStsServer},
    name_server::NameServer,
    receiver::{self, Receiver},
};
use crate::{
    event::{AttemptHint, Connected, EventKind, SessionId},
    fault::{Effect, Stage, Transfer},
    name::Domain,
    port,
    stream::Stream,
    zone::address_of,
};

/// The address that stands for the lab's name server on the memory network, one of those for
/// documentation (RFC 5737); never bound.
pub(super) const NAME_SERVER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)), 53);
/// The address that stands for the sender's host on the memory network.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The port of the web servers of MTA-STS policies in a private network.
pub(super) const HTTPS_PORT: u16 = 443;
/// Sessions that a lab serves at once; further connections are reset. It keeps a sender that opens
/// sessions without end from taking all memory, and is more than any drill needs.
pub(crate) const MAX_SESSIONS: usize = 10_000;

/// The trouble of a lab when there are more.
pub(super) const TOO_MANY_SESSIONS: &str = "more sessions at once than a lab serves (10000)";

/// The kinds of network that a lab can stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkKind {
    /// In-process pipes on the zone's own addresses, with a virtual clock.
    Memory,
    /// Sockets in 127.0.0.0/8, or at ports of 127.0.0.1 where there is no more, with the real clock.
    Loopback,
    /// Sockets on the zone's own addresses, in a private network that the process is in already
    /// (Linux), with the real clock.
    Namespace,
}

impl NetworkKind {
    /// Whether there are sockets, and real time with them.
    pub fn has_sockets(self) -> bool {
        self != Self::Memory
    }

    /// Whether a lab on it is served where it is started: on the memory network it shares the runtime's
    /// clock, in a private one the thread that is in it.
    pub(super) fn shares_the_callers_thread(self) -> bool {
        self != Self::Loopback
    }
}

/// The network of a running lab, with what it needs to translate addresses and to connect.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    // Where connections go, to be served by `serve_memory`.
    Memory(mpsc::UnboundedSender<Incoming>),
    Loopback(Map),
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(dead_code, reason = "there is none")
    )]
    Namespace,
}

/// A connection that arrives on the memory network.
///
/// The far end of a pipe with whom it is for.
#[derive(Debug)]
pub(crate) enum Incoming {
    Smtp {
        receiver: Arc<Receiver>,
        port: u16,
        session: SessionId,
        stream: Stream,
    },
    Dns(Stream),
    Https {
        host: Arc<MtaStsServer>,
        stream: Stream,
    },
}

impl Network {
    /// Whether there are sockets, and real time with them.
    pub(crate) fn has_sockets(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Whether what is served on it is gone, as with the runtime that it was on.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Memory(incoming) if incoming.is_closed())
    }

    /// Whether others on this machine can reach it.
    pub(super) fn is_of_this_machine(&self) -> bool {
        matches!(self, Self::Loopback(_))
    }

    /// The address and port of the name server.
    pub(crate) fn resolver(&self) -> SocketAddr {
        match self {
            Self::Memory(_) => NAME_SERVER,
            Self::Loopback(map) => map.dns,
            Self::Namespace => SocketAddr::from((Ipv4Addr::LOCALHOST, 53)),
        }
    }

    /// The port of every receiver; on loopback with a port for each, of the first.
    pub(crate) fn smtp_port(&self) -> u16 {
        match self {
            Self::Memory(_) | Self::Namespace => 25,
            Self::Loopback(map) => map.smtp_port,
        }
    }

    /// Whether hosts are told apart by their ports.
    pub(crate) fn differs_by_ports(&self) -> bool {
        matches!(self, Self::Loopback(map) if map.differs_by_ports)
    }

    /// The address and port at which the receiver of an address of the zone listens. An address
    /// that no receiver has is returned with the usual port, where nothing listens.
    pub(crate) fn endpoint(&self, address: IpAddr) -> SocketAddr {
        match self {
            Self::Memory(_) | Self::Namespace => SocketAddr::new(address, 25),
            Self::Loopback(map) => {
                let nowhere = SocketAddr::new(address, map.smtp_port);
                map.listens(address).unwrap_or(nowhere)
            }
        }
    }

    /// The address and port at which the receiver of an address of the zone listens for a port of the scenario;
    /// `None` where it does not.
    pub(crate) fn endpoint_for(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        match self {
            Self::Memory(_) | Self::Namespace => Some(SocketAddr::new(address, port)),
            Self::Loopback(map) => map.listens_for(address, port),
        }
    }

    /// The port of the scenario for one that a sender was told: that of all receivers is that of exchangers.
    pub(crate) fn untranslated_port(&self, port: u16) -> u16 {
        match self {
            Self::Memory(_) | Self::Namespace => port,
            Self::Loopback(map) if map.smtp_port == port => port::SMTP,
            Self::Loopback(_) => port,
        }
    }

    /// The address that answers carry for one of the zone's, an IPv6 one in its IPv4-mapped form.
    pub(crate) fn translated(&self, address: IpAddr) -> IpAddr {
        match (self, address) {
            (Self::Memory(_) | Self::Namespace, _) => address,
            (Self::Loopback(map), IpAddr::V4(_)) => map.there(address).map_or(address, IpAddr::V4),
            (Self::Loopback(map), IpAddr::V6(_)) => map
                .there(address)
                .map_or(address, |there| IpAddr::V6(there.to_ipv6_mapped())),
        }
    }

    /// The address of the zone for one that an answer carried.
    pub(crate) fn untranslated(&self, address: IpAddr) -> IpAddr {
        match self {
            Self::Memory(_) | Self::Namespace => address,
            Self::Loopback(map) => map.back(address).unwrap_or(address),
        }
    }

    /// Puts the zone's own address into a record that an answer carried.
    pub(crate) fn untranslate(&self, record: &mut Record) {
        let Some(there) = address_of(&record.data) else {
            return;
        };
        match self.untranslated(there) {
            IpAddr::V4(address) => record.data = RData::A(A(address)),
            IpAddr::V6(address) => record.data = RData::AAAA(AAAA(address)),
        }
    }

    /// The reverse name in the zone for that of a translated address.
    pub(crate) fn untranslated_reverse(&self, name: &Domain) -> Option<Domain> {
        match self {
            Self::Memory(_) | Self::Namespace => None,
            Self::Loopback(map) => map.back_reverse(name),
        }
    }
}

/// Connects to an address of the zone, at a port of the scenario; what came of it is logged.
///
/// # Errors
/// Refused, unreachable or reset. A time-out is the caller's.
///
/// In the order of what may happen: an address that no receiver has is unreachable, as with a
/// router that has no route; a fault at `connect` strikes; else the session begins. Each way out is
/// logged once, here or by who accepts.
pub(crate) async fn connect(
    state: &Arc<LabState>,
    address: IpAddr,
    port: u16,
    hint: AttemptHint,
) -> io::Result<Stream> {
    match &state.network {
        Network::Memory(incoming) => {
            let receiver = receiver_at(state, (address, port), &hint)?;
            connect_memory(state, (receiver, port), incoming, hint).await
        }
        Network::Loopback(map) => {
            let receiver = receiver_at(state, (address, port), &hint)?;
            connect_loopback(state, (receiver, port), map, hint).await
        }
        // The lab is another process's: what it knows of a connection it sees on the wire.
        Network::Namespace => TcpStream::connect((address, port)).await.map(Stream::Tcp),
    }
}

/// The receiver of an address and a port; where there is none, the connection that fails for it is logged.
fn receiver_at<'a>(
    state: &'a Arc<LabState>,
    (address, port): (IpAddr, u16),
    hint: &AttemptHint,
) -> io::Result<&'a Arc<Receiver>> {
    let receiver = state.receivers.get(&address);
    let listening = receiver.filter(|receiver| receiver.ports.contains(&port));
    listening.ok_or_else(|| {
        let session = state.next_session();
        let result = Connected::Unreachable;
        record_connect(state, session, (address, port), &[], result, hint.clone());
        io::ErrorKind::HostUnreachable.into()
    })
}

/// Connects to the web server of an MTA-STS policy.
///
/// # Errors
/// When no such server has that address, or the connection fails.
pub(crate) async fn connect_https(state: &Arc<LabState>, address: IpAddr) -> io::Result<Stream> {
    let policy_host = || {
        let host = state.policy_hosts.get(&address);
        host.ok_or(io::ErrorKind::HostUnreachable)
    };
    match &state.network {
        Network::Memory(incoming) => {
            let (near, stream) = Stream::pair();
            let host = Arc::clone(policy_host()?);
            incoming
                .send(Incoming::Https { host, stream })
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
        Network::Loopback(map) => {
            policy_host()?;
            let there = map.listens(address);
            let there = there.ok_or(io::ErrorKind::HostUnreachable)?;
            TcpStream::connect(there).await.map(Stream::Tcp)
        }
        Network::Namespace => TcpStream::connect((address, HTTPS_PORT))
            .await
            .map(Stream::Tcp),
    }
}

/// Connects to the name server.
///
/// # Errors
/// When the connection fails.
pub(super) async fn connect_dns(state: &LabState) -> io::Result<Stream> {
    match &state.network {
        Network::Memory(incoming) => {
            let (near, far) = Stream::pair();
            incoming
                .send(Incoming::Dns(far))
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
        Network::Loopback(_) | Network::Namespace => TcpStream::connect(state.network.resolver())
            .await
            .map(Stream::Tcp),
    }
}

/// Connects by a pair of pipes. A fault strikes and is counted here, since nobody listens on this
/// network.
async fn connect_memory(
    state: &Arc<LabState>,
    (receiver, port): (&Arc<Receiver>, u16),
    incoming: &mpsc::UnboundedSender<Incoming>,
    hint: AttemptHint,
) -> io::Result<Stream> {
    let session = state.next_session();
    let logged = |result| {
        record_connect(
            state,
            session,
            (receiver.address, port),
            &receiver.names,
            result,
            hint,
        )
    };
    match state.strike(receiver, port, Stage::Connect, Transfer::default()) {
        Some(Effect::Refuse) => {
            logged(Connected::Refused);
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        Some(Effect::Unreachable) => {
            logged(Connected::Unreachable);
            Err(io::ErrorKind::HostUnreachable.into())
        }
        Some(Effect::Timeout) => {
            logged(Connected::Timeout);
            std::future::pending().await
        }
        Some(_) => {
            logged(Connected::Reset);
            Err(io::ErrorKind::ConnectionReset.into())
        }
        None => {
            logged(Connected::Accepted);
            let (near, far) = Stream::pair();
            let arrival = Incoming::Smtp {
                receiver: Arc::clone(receiver),
                port,
                session,
                stream: far,
            };
            incoming
                .send(arrival)
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
    }
}

/// Connects by a socket. Its port is bound first and announced, so that the listener knows for
/// which message it is when it accepts.
async fn connect_loopback(
    state: &Arc<LabState>,
    (receiver, port): (&Arc<Receiver>, u16),
    map: &Map,
    hint: AttemptHint,
) -> io::Result<Stream> {
    let there = map
        .listens_for(receiver.address, port)
        .ok_or(io::ErrorKind::HostUnreachable)?;
    // A refusal or a silence that is no count happens in the kernel, unseen by the listener.
    match state.foresee_connect(receiver, port) {
        Some((Effect::Refuse, false)) => {
            record_connect(
                state,
                state.next_session(),
                (receiver.address, port),
                &receiver.names,
                Connected::Refused,
                hint,
            );
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        // No packet says so here: senders outside the lab are refused.
        Some((Effect::Unreachable, false)) => {
            record_connect(
                state,
                state.next_session(),
                (receiver.address, port),
                &receiver.names,
                Connected::Unreachable,
                hint,
            );
            return Err(io::ErrorKind::HostUnreachable.into());
        }
        Some((Effect::Timeout, false)) => {
            record_connect(
                state,
                state.next_session(),
                (receiver.address, port),
                &receiver.names,
                Connected::Timeout,
                hint,
            );
            return std::future::pending().await;
        }
        _ => {}
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let from = socket.local_addr()?;
    state.announce(from, hint);
    let connected = socket.connect(there).await;
    // The listener asks for it once; a connection that never came about leaves it.
    let stream = connected.inspect_err(|_| drop(state.announced(from)))?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

/// Logs what came of a connection.
pub(super) fn record_connect(
    state: &LabState,
    session: SessionId,
    (address, port): (IpAddr, u16),
    hosts: &[Domain],
    result: Connected,
    hint: AttemptHint,
) {
    state.record(EventKind::Connect {
        session,
        address,
        port,
        hosts: hosts.to_vec(),
        result,
        hint,
    });
}

/// Serves what arrives on the memory network, until the lab stops. One task accepts for all
/// receivers, in the order of arrival, so that a drill replays.
pub(super) async fn serve_memory(
    state: Arc<LabState>,
    mut connections: mpsc::UnboundedReceiver<Incoming>,
) {
    let mut sessions = JoinSet::new();
    while let Some(incoming) = connections.recv().await {
        while sessions.try_join_next().is_some() {}
        match incoming {
            Incoming::Smtp { stream, .. } if sessions.len() >= MAX_SESSIONS => {
                state.own_fault(TOO_MANY_SESSIONS.to_owned());
                stream.reset_on_drop()
            }
            Incoming::Smtp {
                receiver,
                port,
                session,
                stream,
            } => {
                sessions.spawn(receiver::serve(
                    Arc::clone(&state),
                    (receiver, port),
                    session,
                    CLIENT,
                    stream,
                ));
            }
            Incoming::Https { host, stream } => {
                sessions.spawn(mta_sts_server::serve(Arc::clone(&state), host, stream));
            }
            Incoming::Dns(stream) => {
                let server = NameServer::new(Arc::clone(&state));
                // An error is a client that went away.
                sessions.spawn(async move {
                    memory::serve_dns_stream(server, stream).await.ok();
                });
            }
        }
    }
}

/// Waits until the lab has seen what happened on its network so far; others than a private network show it
/// at once.
pub(crate) async fn caught_up(state: &LabState) {
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    if matches!(state.network, Network::Namespace) {
        super::namespace::caught_up(state).await;
    }
    #[cfg(not(all(target_os = "linux", feature = "private-network")))]
    let _ = state;
}
