//! The runtime that hickory's resolver needs: its sockets, on the network of a lab.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioTime, iocompat::AsyncIoTokioAsStd,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    Site,
    memory::Datagrams,
    name_server::NameServer,
    network::{Incoming, NAME_SERVER, Network},
};
use crate::stream::Stream;

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
            Self::Memory(datagrams) => datagrams.poll_receive(cx, buf, NAME_SERVER),
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
            Self::Memory(datagrams) => Poll::Ready(Ok(datagrams.poll_send(&asking(buf)))),
            Self::Socket(socket) => DnsUdpSocket::poll_send_to(socket, cx, &asking(buf), target),
        }
    }
}

/// The octet of a query's header that has the AD bit, and that bit: whoever sets it wants to know whether
/// the answer is vouched for (RFC 6840 section 5.7), and hickory's resolver never does.
const AD: (usize, u8) = (3, 0b0010_0000);

/// A query that asks whether its answer is vouched for.
fn asking(query: &[u8]) -> Vec<u8> {
    let mut query = query.to_vec();
    if let Some(octet) = query.get_mut(AD.0) {
        *octet |= AD.1;
    }
    query
}

/// A stream whose queries, each preceded by its length, ask as [`asking`] does.
pub(crate) struct Asking {
    stream: Stream,
    under_way: UnderWay,
}

impl Asking {
    fn new(stream: Stream) -> Self {
        let under_way = UnderWay::default();
        Self { stream, under_way }
    }
}

/// How far a message has been written.
#[derive(Debug, Clone, Copy, Default)]
struct UnderWay {
    /// Octets written of it, those of its length included.
    at: usize,
    /// Its length, as far as that was written.
    length: usize,
}

impl UnderWay {
    /// Counts an octet that was written.
    fn step(&mut self, octet: u8) {
        if self.at < 2 {
            self.length = self.length << 8 | usize::from(octet);
        }
        self.at += 1;
        if self.at >= 2 && self.at == 2 + self.length {
            (self.at, self.length) = (0, 0);
        }
    }
}

impl AsyncRead for Asking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Asking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut ahead = self.under_way;
        let mut asked = octets.to_vec();
        for octet in &mut asked {
            if ahead.at == 2 + AD.0 {
                *octet |= AD.1;
            }
            ahead.step(*octet);
        }
        let written = std::task::ready!(Pin::new(&mut self.stream).poll_write(cx, &asked))?;
        let under_way = &mut self.under_way;
        octets[..written]
            .iter()
            .for_each(|octet| under_way.step(*octet));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

type Connecting<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for LabRuntime {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = LabUdp;
    type Tcp = AsyncIoTokioAsStd<Asking>;

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
                    Network::Loopback(_) | Network::Namespace => {
                        TcpStream::connect(server).await.map(Stream::Tcp)
                    }
                }
            };
            let stream = timeout(wait.unwrap_or(Duration::from_secs(5)), connected).await;
            stream
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                .map(|stream| AsyncIoTokioAsStd(Asking::new(stream)))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Connecting<Self::Udp> {
        let site = Arc::clone(&self.site);
        Box::pin(async move {
            match &site.network {
                Network::Memory(_) => Ok(LabUdp::Memory(Box::new(Datagrams::new(
                    NameServer::new(Arc::clone(&site)),
                )))),
                Network::Loopback(_) | Network::Namespace => {
                    UdpSocket::bind(local).await.map(LabUdp::Socket)
                }
            }
        })
    }
}
