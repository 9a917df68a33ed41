//! The networks a lab can stand on, and how connections cross them.
//!
//! Only this file knows which network it is. Both serve the same name server and receivers.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime, iocompat::AsyncIoTokioAsStd,
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream, UdpSocket},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

use super::{
    Site,
    loopback::{self, Map, Sockets},
    memory::{self, Datagrams},
    name_server::NameServer,
    policy_host::{self, PolicyHost},
    receiver::{self, Receiver},
};
use crate::{
    event::{Connected, Purpose, SessionId, What},
    fault::{Effect, Stage},
    name::Domain,
    stream::Stream,
};

/// Sessions that a lab serves at once; further connections are reset.
const MAX_SESSIONS: usize = 10_000;
/// How long a DNS client may leave a TCP connection idle.
const DNS_IDLE: Duration = Duration::from_secs(30);
/// Connections tried at most to fill a backlog of one.
const FILLERS: usize = 8;

/// The kinds of network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkKind {
    /// In-process pipes on the zone's own addresses, with a virtual clock.
    Memory,
    /// Sockets in 127.0.0.0/8, with the real clock.
    Loopback,
}

/// The network of a running lab.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    Memory(mpsc::UnboundedSender<Incoming>),
    Loopback(Map),
}

/// A connection that arrives on the memory network.
#[derive(Debug)]
pub(crate) enum Incoming {
    Smtp {
        receiver: Arc<Receiver>,
        session: SessionId,
        stream: Stream,
    },
    Dns(Stream),
    Https {
        host: Arc<PolicyHost>,
        stream: Stream,
    },
}

impl Network {
    /// The address and port of the name server.
    pub(crate) fn resolver(&self) -> SocketAddr {
        match self {
            // Never bound: it stands for the lab's name server.
            Self::Memory(_) => SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), 53)),
            Self::Loopback(map) => map.dns,
        }
    }

    pub(crate) fn smtp_port(&self) -> u16 {
        match self {
            Self::Memory(_) => 25,
            Self::Loopback(map) => map.smtp_port,
        }
    }

    /// Where the receiver of an address of the zone listens.
    pub(crate) fn endpoint(&self, address: IpAddr) -> SocketAddr {
        match self {
            Self::Memory(_) => SocketAddr::new(address, 25),
            Self::Loopback(map) => SocketAddr::new(
                map.there(address).map_or(address, IpAddr::V4),
                map.smtp_port,
            ),
        }
    }

    /// The address that answers carry for one of the zone's.
    pub(crate) fn translated(&self, address: IpAddr) -> IpAddr {
        match (self, address) {
            (Self::Memory(_), _) => address,
            (Self::Loopback(map), IpAddr::V4(_)) => map.there(address).map_or(address, IpAddr::V4),
            (Self::Loopback(map), IpAddr::V6(_)) => map
                .there(address)
                .map_or(address, |there| IpAddr::V6(there.to_ipv6_mapped())),
        }
    }

    /// The address of the zone for one that an answer carried.
    pub(crate) fn untranslated(&self, address: IpAddr) -> IpAddr {
        match self {
            Self::Memory(_) => address,
            Self::Loopback(map) => map.back(address).unwrap_or(address),
        }
    }

    /// The reverse name in the zone for that of a translated address.
    pub(crate) fn untranslated_reverse(&self, name: &Domain) -> Option<Domain> {
        match self {
            Self::Memory(_) => None,
            Self::Loopback(map) => map.back_reverse(name),
        }
    }
}

/// Connects to an address of the zone; what came of it is logged.
///
/// # Errors
/// Refused, unreachable or reset. A time-out is the caller's.
pub(crate) async fn connect(
    site: &Arc<Site>,
    address: IpAddr,
    port: u16,
    purpose: Purpose,
) -> io::Result<Stream> {
    let Some(receiver) = site
        .receivers
        .get(&address)
        .filter(|_| port == site.network.smtp_port())
    else {
        record_connect(
            site,
            site.next_session(),
            address,
            &[],
            Connected::Unreachable,
            purpose,
        );
        return Err(io::ErrorKind::HostUnreachable.into());
    };
    match &site.network {
        Network::Memory(incoming) => connect_memory(site, receiver, incoming, purpose).await,
        Network::Loopback(map) => connect_loopback(site, receiver, map, purpose).await,
    }
}

/// Connects to the web server of an MTA-STS policy.
///
/// # Errors
/// When no such server has that address, or the connection fails.
pub(crate) async fn connect_https(site: &Arc<Site>, address: IpAddr) -> io::Result<Stream> {
    let host = site
        .policy_hosts
        .get(&address)
        .ok_or(io::ErrorKind::HostUnreachable)?;
    match &site.network {
        Network::Memory(incoming) => {
            let (near, stream) = Stream::pair();
            let host = Arc::clone(host);
            incoming
                .send(Incoming::Https { host, stream })
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
        Network::Loopback(map) => {
            let there = map.there(address).ok_or(io::ErrorKind::HostUnreachable)?;
            TcpStream::connect((there, map.smtp_port))
                .await
                .map(Stream::Tcp)
        }
    }
}

async fn connect_memory(
    site: &Arc<Site>,
    receiver: &Arc<Receiver>,
    incoming: &mpsc::UnboundedSender<Incoming>,
    purpose: Purpose,
) -> io::Result<Stream> {
    let session = site.next_session();
    let logged = |result| {
        record_connect(
            site,
            session,
            receiver.address,
            &receiver.names,
            result,
            purpose,
        )
    };
    match site.strike(receiver, Stage::Connect, None) {
        Some(Effect::Refuse) => {
            logged(Connected::Refused);
            Err(io::ErrorKind::ConnectionRefused.into())
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

async fn connect_loopback(
    site: &Arc<Site>,
    receiver: &Arc<Receiver>,
    map: &Map,
    purpose: Purpose,
) -> io::Result<Stream> {
    let there = map
        .there(receiver.address)
        .ok_or(io::ErrorKind::HostUnreachable)?;
    // A refusal or a silence that is no count happens in the kernel, unseen by the listener.
    match site.foresee_connect(receiver) {
        Some((Effect::Refuse, false)) => {
            record_connect(
                site,
                site.next_session(),
                receiver.address,
                &receiver.names,
                Connected::Refused,
                purpose,
            );
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        Some((Effect::Timeout, false)) => {
            record_connect(
                site,
                site.next_session(),
                receiver.address,
                &receiver.names,
                Connected::Timeout,
                purpose,
            );
            return std::future::pending().await;
        }
        _ => {}
    }
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    site.announce(socket.local_addr()?, purpose);
    let stream = socket
        .connect(SocketAddr::from((there, map.smtp_port)))
        .await?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}

fn record_connect(
    site: &Site,
    session: SessionId,
    address: IpAddr,
    hosts: &[Domain],
    result: Connected,
    purpose: Purpose,
) {
    site.record(What::Connect {
        session,
        address,
        hosts: hosts.to_vec(),
        result,
        purpose,
    });
}

/// Serves what arrives on the memory network, until the lab stops.
pub(super) async fn serve_memory(
    site: Arc<Site>,
    mut connections: mpsc::UnboundedReceiver<Incoming>,
) {
    let mut sessions = JoinSet::new();
    while let Some(incoming) = connections.recv().await {
        while sessions.try_join_next().is_some() {}
        match incoming {
            Incoming::Smtp { stream, .. } if sessions.len() >= MAX_SESSIONS => {
                stream.reset_on_drop()
            }
            Incoming::Smtp {
                receiver,
                session,
                stream,
            } => {
                sessions.spawn(receiver::serve(
                    Arc::clone(&site),
                    receiver,
                    session,
                    stream,
                ));
            }
            Incoming::Https { host, stream } => {
                sessions.spawn(policy_host::serve(Arc::clone(&site), host, stream));
            }
            Incoming::Dns(stream) => {
                let server = NameServer::new(Arc::clone(&site));
                // An error is a client that went away.
                sessions.spawn(async move { drop(memory::serve_dns_stream(server, stream).await) });
            }
        }
    }
}

/// Serves the sockets of the loopback network, until the lab stops.
pub(super) fn serve_loopback(site: &Arc<Site>, sockets: Sockets, tasks: &mut JoinSet<()>) {
    let mut server = hickory_server::Server::new(NameServer::new(Arc::clone(site)));
    server.register_socket(sockets.dns_udp);
    server.register_listener(sockets.dns_tcp, DNS_IDLE, 64 * 1024);
    tasks.spawn(async move { drop(server.block_until_done().await) });
    for (address, listener) in sockets.smtp {
        if let Some(host) = site.policy_hosts.get(&address) {
            tasks.spawn(listen_https(Arc::clone(site), Arc::clone(host), listener));
            continue;
        }
        let Some(receiver) = site.receivers.get(&address) else {
            continue;
        };
        tasks.spawn(listen(Arc::clone(site), Arc::clone(receiver), listener));
    }
}

/// Accepts the connections of a policy's web server.
async fn listen_https(site: Arc<Site>, host: Arc<PolicyHost>, listener: TcpListener) {
    let mut sessions = JoinSet::new();
    loop {
        let accepted = listener.accept().await;
        while sessions.try_join_next().is_some() {}
        if let Ok((socket, _)) = accepted {
            sessions.spawn(policy_host::serve(
                Arc::clone(&site),
                Arc::clone(&host),
                Stream::Tcp(socket),
            ));
        }
    }
}

/// What a loopback receiver does with connections for as long as no fault begins or ends.
enum Door {
    Open(TcpListener),
    /// The kernel refuses: the address is bound, and nobody listens.
    Shut(#[expect(dead_code, reason = "held so that the address stays ours")] TcpSocket),
    /// The kernel does not answer: the backlog is full.
    Silent(
        #[expect(dead_code, reason = "held so that the backlog stays full")] TcpListener,
        #[expect(dead_code, reason = "as above")] Vec<TcpStream>,
    ),
}

/// Accepts the connections of one receiver, refusing or ignoring them in the kernel while a fault asks.
async fn listen(site: Arc<Site>, receiver: Arc<Receiver>, listener: TcpListener) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut changed = site.faults_changed.subscribe();
    let mut sessions = JoinSet::new();
    let mut door = Door::Open(listener);
    loop {
        let wanted = site.foresee_connect(&receiver);
        door = match turn(door, wanted, address).await {
            Ok(door) => door,
            Err(error) => {
                tracing::error!(%address, %error, "a receiver could not listen again");
                return;
            }
        };
        let next = site.faults().next_change(site.clock.now());
        let window = async {
            match next {
                Some(moment) => site.clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        let accepted = async {
            match &door {
                Door::Open(listener) => listener.accept().await,
                Door::Shut(_) | Door::Silent(..) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = changed.changed() => {}
            () = window => {}
            connection = accepted => {
                while sessions.try_join_next().is_some() {}
                if let Ok((socket, peer)) = connection {
                    if sessions.len() >= MAX_SESSIONS {
                        Stream::Tcp(socket).reset_on_drop();
                    } else {
                        sessions.spawn(admit(Arc::clone(&site), Arc::clone(&receiver), socket, peer));
                    }
                }
            }
        }
    }
}

/// Opens, shuts or silences a receiver, as the fault that a connection would meet asks. A fault that
/// counts lets connections in: they must be seen to be counted.
async fn turn(door: Door, wanted: Option<(Effect, bool)>, address: SocketAddr) -> io::Result<Door> {
    match (wanted, door) {
        (Some((Effect::Refuse, false)), door @ Door::Shut(_))
        | (Some((Effect::Timeout, false)), door @ Door::Silent(..)) => Ok(door),
        (Some((Effect::Refuse, false)), door) => {
            drop(door);
            bound(address).map(Door::Shut)
        }
        (Some((Effect::Timeout, false)), door) => {
            drop(door);
            silent(address).await
        }
        (_, door @ Door::Open(_)) => Ok(door),
        (_, door) => {
            drop(door);
            loopback::listen(address).map(Door::Open)
        }
    }
}

fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// A listener with a full backlog, which the kernel lets no further SYN into.
async fn silent(address: SocketAddr) -> io::Result<Door> {
    let listener = bound(address)?.listen(0)?;
    let mut fillers = Vec::new();
    for _ in 0..FILLERS {
        match timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            Ok(filler) => fillers.push(filler?),
            Err(_) => break,
        }
    }
    Ok(Door::Silent(listener, fillers))
}

/// Lets a connection in, or fails it as a counting fault says.
async fn admit(site: Arc<Site>, receiver: Arc<Receiver>, socket: TcpStream, peer: SocketAddr) {
    let session = site.next_session();
    let purpose = site.announced(peer);
    let stream = Stream::Tcp(socket);
    let effect = site.strike(&receiver, Stage::Connect, None);
    let result = match effect {
        None => Connected::Accepted,
        Some(Effect::Refuse) => Connected::Refused,
        Some(Effect::Timeout) => Connected::Timeout,
        Some(_) => Connected::Reset,
    };
    record_connect(
        &site,
        session,
        receiver.address,
        &receiver.names,
        result,
        purpose,
    );
    match result {
        Connected::Accepted => receiver::serve(site, receiver, session, stream).await,
        Connected::Timeout => crate::connection::Connection::new(stream).drain().await,
        _ => stream.reset_on_drop(),
    }
}

/// The runtime of resolvers inside the lab: their sockets are on the lab's network.
#[derive(Clone)]
pub(crate) struct LabRuntime {
    site: Arc<Site>,
    handle: TokioHandle,
}

impl LabRuntime {
    pub(crate) fn new(site: Arc<Site>) -> Self {
        // One handle for all: a fresh one would cancel the tasks that it spawned when it is dropped.
        Self {
            site,
            handle: TokioHandle::default(),
        }
    }
}

/// A datagram socket on the lab's network.
pub(crate) enum LabUdp {
    Memory(Box<Datagrams>),
    Socket(UdpSocket),
}

#[async_trait::async_trait]
impl DnsUdpSocket for LabUdp {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        match self {
            Self::Memory(datagrams) => datagrams.poll_receive(
                cx,
                buf,
                SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), 53)),
            ),
            Self::Socket(socket) => DnsUdpSocket::poll_recv_from(socket, cx, buf),
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        match self {
            Self::Memory(datagrams) => Poll::Ready(Ok(datagrams.poll_send(buf))),
            Self::Socket(socket) => DnsUdpSocket::poll_send_to(socket, cx, buf, target),
        }
    }
}

type Connecting<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for LabRuntime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = LabUdp;
    type Tcp = AsyncIoTokioAsStd<Stream>;

    fn create_handle(&self) -> Self::Handle {
        self.handle.clone()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        _: Option<SocketAddr>,
        wait: Option<Duration>,
    ) -> Connecting<Self::Tcp> {
        let network = self.site.network.clone();
        Box::pin(async move {
            let connected = async {
                match network {
                    Network::Memory(incoming) => {
                        let (near, far) = Stream::pair();
                        incoming
                            .send(Incoming::Dns(far))
                            .map_err(|_| io::ErrorKind::ConnectionRefused)?;
                        Ok(near)
                    }
                    Network::Loopback(_) => TcpStream::connect(server).await.map(Stream::Tcp),
                }
            };
            let stream = timeout(wait.unwrap_or(Duration::from_secs(5)), connected).await;
            stream
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                .map(AsyncIoTokioAsStd)
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Connecting<Self::Udp> {
        let site = Arc::clone(&self.site);
        Box::pin(async move {
            match &site.network {
                Network::Memory(_) => Ok(LabUdp::Memory(Box::new(Datagrams::new(
                    NameServer::new(Arc::clone(&site)),
                )))),
                Network::Loopback(_) => UdpSocket::bind(local).await.map(LabUdp::Socket),
            }
        })
    }
}
