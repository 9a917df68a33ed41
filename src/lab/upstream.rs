//! The server behind an exchanger's faults: any SMTP server at an address, or mailin-embedded.
//!
//! A session of such a receiver asks the server for what it would answer itself. Faults still come
//! first, and the server never hears of a command that one of them has answered.
//!
//! The server keeps its own state: EHLO, MAIL and RCPT are passed on one by one, each after the
//! reply to the last. Its name in a scenario is `host:port`, or the word for the one that comes
//! along. If it goes away in the midst of a session, the client gets 421.

use std::{collections::BTreeSet, io, time::Duration};

use tokio::{net::TcpStream, time::timeout};

use crate::{connection::Connection, reply::Reply, stream::Stream};

/// How long a server may take to connect and for each answer. It is less than the 5 minutes of a
/// client (RFC 5321 section 4.5.3.2), which must not be the first to give up.
const WAIT: Duration = Duration::from_secs(60);
/// How long a server may take to be reached before the drill begins.
const REACH: Duration = Duration::from_secs(5);

/// A connection to the server behind a receiver.
#[derive(Debug)]
pub(super) struct Upstream {
    connection: Connection,
}

impl Upstream {
    /// Connects; also the server's greeting.
    ///
    /// # Errors
    /// When the server cannot be reached or says nothing.
    pub(super) async fn connect(address: &str) -> io::Result<(Self, Reply)> {
        // Real time: the server behind lives by no other.
        let stream = timeout(WAIT, TcpStream::connect(address))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        stream.set_nodelay(true)?;
        let mut upstream = Self {
            connection: Connection::new(Stream::Tcp(stream)),
        };
        let greeting = upstream.reply().await?;
        Ok((upstream, greeting))
    }

    /// Sends octets and reads the reply, the texts of its lines separated by LF.
    pub(super) async fn ask(&mut self, octets: &[u8]) -> io::Result<Reply> {
        self.connection.send(octets).await?;
        self.reply().await
    }

    /// The next reply. An error when none comes in time, or what comes is none.
    async fn reply(&mut self) -> io::Result<Reply> {
        let reply = timeout(WAIT, self.connection.reply()).await;
        let (reply, lines) = reply.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Reply::new(reply.code, lines.join("\n")))
    }
}

/// Checks that the servers behind receivers are there before a drill relies on them.
///
/// # Errors
/// As [`reachable`].
pub(super) async fn all_reachable(behind: impl Iterator<Item = &str>) -> io::Result<()> {
    // One server may stand behind many receivers, and is asked once.
    for address in behind.collect::<BTreeSet<_>>() {
        reachable(address).await?;
    }
    Ok(())
}

/// Checks that a server is there before a drill relies on it.
///
/// # Errors
/// That it cannot be connected to, with its address.
async fn reachable(address: &str) -> io::Result<()> {
    let connected = timeout(REACH, TcpStream::connect(address)).await;
    let failed = match connected {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => io::ErrorKind::TimedOut.into(),
    };
    Err(io::Error::new(
        failed.kind(),
        format!("upstream {address} does not answer: {failed}"),
    ))
}
