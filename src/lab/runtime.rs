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
                    Network::Loopback(_) | Network::Namespace => {
                        TcpStream::connect(server).await.map(Stream::Tcp)
                    }
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
                Network::Loopback(_) | Network::Namespace => {
                    UdpSocket::bind(local).await.map(LabUdp::Socket)
                }
            }
        })
    }
}
