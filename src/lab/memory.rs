//! The in-process network's name server over byte streams that never leave the process, so that the
//! paused clock of a runtime can carry them through days in milliseconds.
//!
//! A datagram to the name server becomes a future that answers it; a TCP connection becomes a pair
//! of pipes, whose far end goes to whoever serves. Neither has a limit of its own, loses anything
//! or takes time: what is late or lost here is so by a fault.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::name_server::NameServer;
use crate::{fault::Transport, stream::Stream};

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
