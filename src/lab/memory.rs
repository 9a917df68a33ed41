//! The in-process network: DNS datagrams and byte streams that never leave the process, so that the
//! paused clock of a runtime can carry them through days in milliseconds.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::name_server::NameServer;
use crate::{fault::Transport, stream::Stream};

type PendingAnswer = Pin<Box<dyn Future<Output = Option<Vec<u8>>> + Send>>;

/// A datagram socket whose every datagram goes to the lab's name server.
///
/// Answers under way are polled by whoever receives: no task of its own, nothing left behind.
pub(crate) struct Datagrams {
    server: NameServer,
    state: Mutex<DatagramState>,
}

#[derive(Default)]
struct DatagramState {
    pending: FuturesUnordered<PendingAnswer>,
    arrived: VecDeque<Vec<u8>>,
    receiver: Option<Waker>,
}

impl Datagrams {
    pub(crate) fn new(server: NameServer) -> Self {
        Self {
            server,
            state: Mutex::default(),
        }
    }

    pub(crate) fn poll_send(&self, datagram: &[u8]) -> usize {
        let server = self.server.clone();
        let sent = datagram.to_vec();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.pending.push(Box::pin(async move {
            server.answer(sent, Transport::Udp).await
        }));
        if let Some(waker) = state.receiver.take() {
            waker.wake();
        }
        datagram.len()
    }

    pub(crate) fn poll_receive(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
        server: SocketAddr,
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while let Poll::Ready(Some(answer)) = state.pending.poll_next_unpin(cx) {
            state.arrived.extend(answer);
        }
        let Some(datagram) = state.arrived.pop_front() else {
            state.receiver = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let length = datagram.len().min(buf.len());
        buf[..length].copy_from_slice(&datagram[..length]);
        Poll::Ready(Ok((length, server)))
    }
}

/// Serves DNS over a stream: messages preceded by their length (RFC 1035 section 4.2.2).
pub(crate) async fn serve_dns_stream(server: NameServer, mut stream: Stream) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut message = vec![0; usize::from(length)];
        stream.read_exact(&mut message).await?;
        if let Some(answer) = server.answer(message, Transport::Tcp).await {
            let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
            stream.write_u16(length).await?;
            stream.write_all(&answer).await?;
            stream.flush().await?;
        }
    }
}
