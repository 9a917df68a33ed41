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

    /// Sends octets that the end of the stream follows at once, so that both may leave together: how many. What is left is
    /// to be written as anything else is.
    pub(crate) fn send_before_end(&self, octets: &[u8]) -> usize {
        match self {
            Self::Memory(_) => 0,
            Self::Tcp(socket) => kernel::send_before_end(socket, octets),
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
        fs, io,
        net::{IpAddr, SocketAddr},
        os::fd::AsRawFd,
    };

    use nix::{
        libc,
        sys::socket::{
            AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
        },
    };
    use rustix::net::SendFlags;
    use tokio::{io::Interest, net::TcpStream};

    /// Has the kernel keep octets for what follows (`MSG_MORE`), as far as it takes them now.
    pub(super) fn send_before_end(socket: &TcpStream, octets: &[u8]) -> usize {
        let sent = socket.try_io(Interest::WRITABLE, || {
            let flags = SendFlags::MORE | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            Ok(rustix::net::send(socket, octets, flags)?)
        });
        sent.unwrap_or_default()
    }

    /// Whether some process has the socket that is connected from one address to another. After a
    /// half-close, a close sends nothing that the other end could see.
    pub(super) fn holds(from: SocketAddr, to: SocketAddr) -> Option<bool> {
        Some(looked_up(from, to).unwrap_or_else(|_| listed(from, to)))
    }

    /// Asks for this one socket (sock_diag(7)), which the kernel finds without going through all.
    ///
    /// # Errors
    /// That it does not answer such questions.
    pub(super) fn looked_up(from: SocketAddr, to: SocketAddr) -> io::Result<bool> {
        const SOCK_DIAG_BY_FAMILY: u16 = 20;
        /// The type of an answer that says that there is none.
        const ERROR: u16 = 2;
        /// Octets of a message's own header, and where in an answer the inode is: 0 where nobody has the socket.
        const HEADER: usize = 16;
        const INODE: std::ops::Range<usize> = HEADER + 68..HEADER + 72;
        let diagnostics = socket(
            AddressFamily::Netlink,
            SockType::Raw,
            SockFlag::SOCK_CLOEXEC,
            SockProtocol::NetlinkSockDiag,
        )?;
        let family = match from {
            SocketAddr::V4(_) => libc::AF_INET,
            SocketAddr::V6(_) => libc::AF_INET6,
        };
        let mut request = [0; HEADER + 56];
        request[..4].copy_from_slice(&72_u32.to_ne_bytes());
        request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        request[16..18].copy_from_slice(&[family as u8, libc::IPPROTO_TCP as u8]);
        // In any state.
        request[20..24].fill(0xff);
        request[24..26].copy_from_slice(&from.port().to_be_bytes());
        request[26..28].copy_from_slice(&to.port().to_be_bytes());
        for (at, end) in [(28, from), (44, to)] {
            let octets = octets(end.ip());
            request[at..at + octets.len()].copy_from_slice(&octets);
        }
        // Whatever number the kernel has given to it.
        request[64..72].fill(0xff);
        send(diagnostics.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut answer = [0; 1024];
        let length = recv(diagnostics.as_raw_fd(), &mut answer, MsgFlags::empty())?;
        let number = |at: usize| answer.get(at..at + 4).filter(|_| at + 4 <= length);
        if answer[4..6] == ERROR.to_ne_bytes() {
            let code = number(HEADER).and_then(|octets| octets.first_chunk());
            return match code.map_or(0, |octets| -i32::from_ne_bytes(*octets)) {
                libc::ENOENT => Ok(false),
                code => Err(io::Error::from_raw_os_error(code)),
            };
        }
        // Where there is no connection, whoever listens there is found.
        const LISTENS: u8 = 10;
        let inode = number(INODE.start).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(inode != [0; 4] && answer[HEADER + 1] != LISTENS)
    }

    /// Goes through the tables of all sockets.
    pub(super) fn listed(from: SocketAddr, to: SocketAddr) -> bool {
        let mapped = |end: SocketAddr| match end.ip() {
            IpAddr::V4(address) => SocketAddr::from((address.to_ipv6_mapped(), end.port())),
            IpAddr::V6(_) => end,
        };
        is_listed("/proc/thread-self/net/tcp", from, to)
            || is_listed("/proc/thread-self/net/tcp6", mapped(from), mapped(to))
    }

    fn is_listed(table: &str, from: SocketAddr, to: SocketAddr) -> bool {
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

    fn octets(address: IpAddr) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        }
    }

    /// An end as the table has it: the address in words of the processor's own order, then the port.
    pub(crate) fn as_listed(end: SocketAddr) -> String {
        let mut text = String::new();
        for word in octets(end.ip()).chunks_exact(4) {
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

    use tokio::net::TcpStream;

    pub(super) fn send_before_end(_socket: &TcpStream, _octets: &[u8]) -> usize {
        0
    }

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

#[cfg(all(test, target_os = "linux", feature = "private-network"))]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::kernel::{listed, looked_up};

    /// Both ways of asking, held against each other and against what is the case.
    #[test]
    fn it_is_known_whether_an_end_is_held() {
        for listens in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
            // A machine may have no IPv6.
            let Ok(listener) = TcpListener::bind(listens) else {
                continue;
            };
            let there = listener.local_addr().expect("bound");
            let one = TcpStream::connect(there).expect("connected");
            let (other, from) = listener.accept().expect("accepted");
            let is_held = |held: bool| {
                assert_eq!(looked_up(from, there).expect("told"), held, "{listens}");
                assert_eq!(listed(from, there), held, "{listens}");
            };
            is_held(true);
            one.shutdown(std::net::Shutdown::Write)
                .expect("half closed");
            is_held(true);
            drop(one);
            is_held(false);
            drop(other);
            // Only the listener is left.
            assert!(!looked_up(there, from).expect("told"), "{listens}");
        }
    }
}
