//! Byte streams of both networks: in-process pipes and TCP connections, which can end with an RST.

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

/// Octets that a pipe holds in each direction.
const PIPE_CAPACITY: usize = 16 * 1024;

/// A byte stream on one of the lab's networks.
#[derive(Debug)]
pub enum Stream {
    /// In-process.
    Memory(Pipe),
    /// A socket.
    Tcp(TcpStream),
}

/// One end of an in-process connection.
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

    /// Lets the connection end with an RST once it is dropped.
    pub(crate) fn reset_on_drop(&self) {
        match self {
            Self::Memory(pipe) => pipe.reset.store(true, Ordering::Relaxed),
            // A socket that refuses this closes in order instead: the peer fails all the same.
            Self::Tcp(socket) => drop(socket.set_zero_linger()),
        }
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
