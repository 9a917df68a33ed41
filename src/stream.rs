//! Byte streams of both networks: in-process pipes and TCP connections, which can end with an RST.
//!
//! SMTP over a pipe behaves as over a socket as far as a drill can tell: it has a bounded capacity,
//! an end in each direction, and may end with a reset.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
};

/// Octets that a pipe holds in each direction before a writer has to wait, of the order of a
/// socket's buffer.
const PIPE_CAPACITY: usize = 16 * 1024;

/// A byte stream on one of the lab's networks.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// One end of an in-process pipe.
    Memory(Pipe),
    /// A TCP connection, on loopback or in a private network.
    Tcp(TcpStream),
}

/// One end of an in-process connection. The other end has the same `reset`.
#[derive(Debug)]
pub struct Pipe {
    inner: DuplexStream,
    /// Set when either end resets: the other then reads an error in place of an orderly end.
    reset: Arc<AtomicBool>,
}

impl Stream {
    /// Both ends of an in-process connection.
    pub(crate) fn pair() -> (Self, Self) {
        let (near, far) = tokio::io::duplex(PIPE_CAPACITY);
        let reset = Arc::new(AtomicBool::new(false));
        let end = |inner, reset| Self::Memory(Pipe { inner, reset });
        (end(near, Arc::clone(&reset)), end(far, reset))
    }

    /// Lets the connection end with a reset once it is dropped.
    pub(crate) fn reset_on_drop(&self) {
        match self {
            Self::Memory(pipe) => pipe.reset.store(true, Ordering::Relaxed),
            // A socket that refuses this closes in order instead: the peer fails all the same.
            Self::Tcp(socket) => drop(socket.set_zero_linger()),
        }
    }

    /// Whether the other end, which has sent its last octet, is still held by somebody, who may wait for an
    /// answer; `None` where the system does not say. Both ends are on this host.
    pub(crate) fn peer_holds(&self) -> Option<bool> {
        match self {
            Self::Memory(pipe) => Some(Arc::strong_count(&pipe.reset) > 1),
            Self::Tcp(socket) => {
                let ends = socket
                    .local_addr()
                    .and_then(|own| Ok((own, socket.peer_addr()?)));
                ends.map_or(Some(false), |(own, peer)| kernel::holds(peer, own))
            }
        }
    }
}

#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) use self::kernel::as_listed;

/// What the kernel says of sockets of this network.
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod kernel {
    use std::{
        fmt::Write,
        fs,
        net::{IpAddr, SocketAddr},
    };

    /// Whether some process has the socket that is connected from one address to another. After a
    /// half-close, a close sends nothing that the other end could see.
    pub(super) fn holds(from: SocketAddr, to: SocketAddr) -> Option<bool> {
        let mapped = |end: SocketAddr| match end.ip() {
            IpAddr::V4(address) => SocketAddr::from((address.to_ipv6_mapped(), end.port())),
            IpAddr::V6(_) => end,
        };
        let held = is_held("/proc/thread-self/net/tcp", from, to)
            || is_held("/proc/thread-self/net/tcp6", mapped(from), mapped(to));
        Some(held)
    }

    fn is_held(table: &str, from: SocketAddr, to: SocketAddr) -> bool {
        let ends = (as_listed(from), as_listed(to));
        let is_it = |line: &str| {
            // A number, both ends, the state, four more, and the inode: 0 where nobody has it.
            let mut fields = line.split_ascii_whitespace().skip(1);
            fields.next() == Some(&ends.0)
                && fields.next() == Some(&ends.1)
                && fields.nth(6).is_some_and(|inode| inode != "0")
        };
        fs::read_to_string(table).is_ok_and(|table| table.lines().any(is_it))
    }

    /// An end as the table has it: the address in words of the processor's own order, then the port.
    pub(crate) fn as_listed(end: SocketAddr) -> String {
        let octets = match end.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let mut text = String::new();
        for word in octets.chunks_exact(4) {
            let word = u32::from_ne_bytes(word.try_into().expect("four octets"));
            write!(text, "{word:08X}").expect("a string takes it all");
        }
        write!(text, ":{:04X}", end.port()).expect("a string takes it all");
        text
    }
}

/// Elsewhere there is nobody to ask.
#[cfg(not(all(target_os = "linux", feature = "private-network")))]
mod kernel {
    use std::net::SocketAddr;

    pub(super) fn holds(_from: SocketAddr, _to: SocketAddr) -> Option<bool> {
        None
    }
}

fn connection_reset() -> io::Error {
    io::Error::from(io::ErrorKind::ConnectionReset)
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Memory(pipe) => {
                let before = buf.filled().len();
                let polled = Pin::new(&mut pipe.inner).poll_read(cx, buf);
                let ended = matches!(polled, Poll::Ready(Ok(())))
                    && buf.filled().len() == before
                    && buf.remaining() > 0;
                if ended && pipe.reset.load(Ordering::Relaxed) {
                    return Poll::Ready(Err(connection_reset()));
                }
                polled
            }
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Memory(pipe) => Pin::new(&mut pipe.inner).poll_write(cx, bytes),
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Memory(pipe) => Pin::new(&mut pipe.inner).poll_flush(cx),
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Memory(pipe) => Pin::new(&mut pipe.inner).poll_shutdown(cx),
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}
