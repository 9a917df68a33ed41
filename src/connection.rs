//! An SMTP connection of either side: lines in, octets out, bounded buffers, plain or inside TLS.
//!
//! Both sides use it: the reference sender reads replies, receivers read commands. Every buffer is
//! bounded, so that a peer which never ends a line or a reply costs little. Time-outs are the
//! caller's. What a line or a reply means is decided in `crate::reply` and in the receiver.

use std::{
    io,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
    time::Duration,
};

use smtp_proto::response::parser::ResponseReceiver;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::{
    reply::Reply,
    stream::Stream,
    tls::{self, Secured},
};

/// Octets that a line may have without its end: eight times the 512 of a command or a reply (RFC
/// 5321 sections 4.5.3.1.4 and 4.5.3.1.5), four times the 1000 of a text line (4.5.3.1.6).
pub(crate) const MAX_LINE: usize = 4096;
/// Lines of one reply: far more than any server announces; a peer that sends more is no server to
/// talk to.
const MAX_REPLY_LINES: usize = 200;
/// Octets for which there is room when more is read: little where commands come, and more as long as
/// every read fills it.
const ROOM: std::ops::RangeInclusive<usize> = 1024..=64 * 1024;

/// How often a peer that has half-closed is looked at: soon, and then less and less often.
const LETTING_GO: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(5)..=Duration::from_millis(200);

/// How long a peer that has half-closed is taken to wait for an answer where the system does not say: longer than
/// replies are delayed on loopback, and no time for a drill to lose.
const BENEFIT_OF_DOUBT: Duration = Duration::from_secs(1);

/// What carries the octets.
#[derive(Debug)]
enum Carrier {
    // As it comes from the network.
    Plain(Stream),
    Tls(Box<Secured>),
    /// While a handshake has the stream, and after a failed one.
    ///
    /// Reads find the end then, and writes an error.
    Gone,
}

/// What ended a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    // The only end of a line there is.
    CrLf,
    /// LF alone, which is no line end (RFC 5321 section 2.3.8) and taken for one.
    Lf,
}

/// A line as it was read, without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    // Its octets, which may be no text.
    Complete(Vec<u8>, LineEnd),
    /// Longer than allowed; what there was of it has been dropped.
    TooLong,
    /// The peer closed; what it had sent of a line is dropped.
    End,
}

/// One end of an SMTP connection.
#[derive(Debug)]
pub struct Connection {
    // Replaced when TLS begins.
    carrier: Carrier,
    /// What is to be sent with whatever comes next.
    queued: Vec<u8>,
    buffer: Vec<u8>,
    // The place of the first octet in `buffer` that was not consumed.
    start: usize,
    // How much to make room for at the next read, within `ROOM`.
    room: usize,
}

impl Connection {
    /// A conversation over a stream, of which nothing has been read.
    pub fn new(stream: Stream) -> Self {
        Self {
            carrier: Carrier::Plain(stream),
            queued: Vec::new(),
            buffer: Vec::new(),
            start: 0,
            room: *ROOM.start(),
        }
    }

    /// What was read and not yet consumed.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer[self.start..]
    }

    /// Consumes octets of what is buffered.
    pub(crate) fn consume(&mut self, octets: usize) {
        self.start += octets;
        if self.start >= self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
    }

    /// Reads more; how many octets, 0 at the end. What is queued goes out first: whoever is waited for may
    /// wait for it.
    pub(crate) async fn fill(&mut self) -> io::Result<usize> {
        self.flush().await?;
        self.buffer.drain(..std::mem::take(&mut self.start));
        self.buffer.reserve(self.room);
        let room = self.buffer.capacity() - self.buffer.len();
        let read = self.carrier.read_buf(&mut self.buffer).await?;
        if read == room {
            self.room = (self.room * 2).min(*ROOM.end());
        }
        Ok(read)
    }

    /// Whether the peer has sent more than what was consumed, as far as that has come. Waits for nothing.
    pub(crate) fn has_sent_more(&mut self) -> bool {
        if self.buffered().is_empty() {
            self.buffer.reserve(self.room);
            let mut context = Context::from_waker(Waker::noop());
            let mut read = pin!(self.carrier.read_buf(&mut self.buffer));
            // An end or an error is found again by the next read.
            drop(read.as_mut().poll(&mut context));
        }
        !self.buffered().is_empty()
    }

    /// Reads one line, ended by LF or CRLF. A longer one than [`MAX_LINE`] is read to its end and
    /// dropped.
    pub(crate) async fn line(&mut self) -> io::Result<Line> {
        let mut dropped = false;
        let mut searched = 0;
        loop {
            if let Some(end) = self.buffered()[searched..]
                .iter()
                .position(|octet| *octet == b'\n')
            {
                let line = &self.buffered()[..searched + end];
                let (line, line_end) = match line.strip_suffix(b"\r") {
                    Some(line) => (line.to_vec(), LineEnd::CrLf),
                    None => (line.to_vec(), LineEnd::Lf),
                };
                self.consume(searched + end + 1);
                return Ok(if dropped || line.len() > MAX_LINE {
                    Line::TooLong
                } else {
                    Line::Complete(line, line_end)
                });
            }
            searched = self.buffered().len();
            if searched > MAX_LINE {
                self.consume(searched);
                searched = 0;
                dropped = true;
            }
            if self.fill().await? == 0 {
                return Ok(Line::End);
            }
        }
    }

    /// Reads a reply (RFC 5321 section 4.2): the code with the text of its last line, and the texts
    /// of all lines.
    ///
    /// # Errors
    /// When the connection ends before the reply does, or what comes is no reply.
    pub async fn reply(&mut self) -> io::Result<(Reply, Vec<String>)> {
        let mut parser = ResponseReceiver::default();
        let mut lines = Vec::new();
        while lines.len() < MAX_REPLY_LINES {
            let line = match self.line().await? {
                Line::Complete(line, _) => line,
                Line::TooLong => return Err(io::Error::other("a reply line that is too long")),
                Line::End => return Err(io::ErrorKind::UnexpectedEof.into()),
            };
            let text = String::from_utf8_lossy(&line);
            lines.push(text.get(4..).unwrap_or_default().to_owned());
            let ended = [&line[..], b"\r\n"].concat();
            match parser.parse(&mut ended.iter()) {
                Ok(response) if (200..600).contains(&response.code) => {
                    let last = lines.last().cloned().unwrap_or_default();
                    return Ok((Reply::new(response.code, last), lines));
                }
                Err(smtp_proto::Error::NeedsMoreData { .. }) => {}
                _ => return Err(io::Error::other("what is no reply")),
            }
        }
        Err(io::Error::other("a reply without an end"))
    }

    /// Keeps octets until more is sent or read: answers to a group of commands leave together (RFC 2920
    /// section 3.2).
    pub(crate) fn queue(&mut self, octets: &[u8]) {
        self.queued.extend_from_slice(octets);
    }

    /// Sends what is queued. A caller that stops waiting loses nothing: the rest is sent by the next call.
    pub(crate) async fn flush(&mut self) -> io::Result<()> {
        if self.queued.is_empty() {
            return Ok(());
        }
        while !self.queued.is_empty() {
            match self.carrier.write(&self.queued).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => drop(self.queued.drain(..written)),
            }
        }
        self.carrier.flush().await
    }

    /// Sends octets, after those that are queued and in one write with them.
    pub async fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        if self.queued.is_empty() {
            self.carrier.write_all(octets).await?;
            return self.carrier.flush().await;
        }
        self.queue(octets);
        self.flush().await
    }

    /// Reads and drops whatever comes until the peer is gone.
    pub(crate) async fn drain(&mut self) {
        self.consume(self.buffered().len());
        while let Ok(read) = self.fill().await {
            self.consume(self.buffered().len());
            if read == 0 {
                return self.abandoned().await;
            }
        }
    }

    /// Waits until the peer, which said that it sends no more, has let go of the connection: after a
    /// half-close it may still wait for an answer.
    pub(crate) async fn abandoned(&self) {
        let mut wait = *LETTING_GO.start();
        let end_of_doubt = tokio::time::Instant::now() + BENEFIT_OF_DOUBT;
        let in_doubt = || tokio::time::Instant::now() < end_of_doubt;
        while self.peer_holds().unwrap_or_else(in_doubt) {
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(*LETTING_GO.end());
        }
    }

    /// Whether the peer has not let go of the connection yet, which also tells without reading what it sent; `None`
    /// where the system does not say.
    pub(crate) fn peer_holds(&self) -> Option<bool> {
        match &self.carrier {
            Carrier::Plain(stream) => stream.peer_holds(),
            Carrier::Tls(stream) => tls::below(stream).peer_holds(),
            Carrier::Gone => Some(false),
        }
    }

    /// Closes in order, also where the peer has sent what was not read. Errors are of no interest:
    /// the peer may be gone. What is queued leaves together with the end, if it can.
    pub(crate) async fn close(&mut self) {
        if let Carrier::Plain(stream) = &self.carrier {
            let sent = stream.send_before_end(&self.queued);
            self.queued.drain(..sent);
        }
        self.flush().await.ok();
        self.carrier.shutdown().await.ok();
    }

    /// Lets the connection end with an RST once it is dropped.
    pub(crate) fn reset_on_drop(&self) {
        match &self.carrier {
            Carrier::Plain(stream) => stream.reset_on_drop(),
            Carrier::Tls(stream) => tls::below(stream).reset_on_drop(),
            Carrier::Gone => {}
        }
    }

    /// Whether the connection is inside TLS.
    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.carrier, Carrier::Tls(_))
    }

    /// What carries the octets inside TLS, if it is.
    #[cfg(feature = "records")]
    pub(crate) fn secured(&self) -> Option<&Secured> {
        match &self.carrier {
            Carrier::Tls(stream) => Some(stream),
            Carrier::Plain(_) | Carrier::Gone => None,
        }
    }

    /// Goes on inside TLS. What was received in plain text is dropped (RFC 3207 section 4.2).
    ///
    /// # Errors
    /// The handshake's; the connection is then gone.
    ///
    /// It is what an attacker may have put in before the handshake, as commands or as replies.
    pub(crate) async fn secure<F>(&mut self, handshake: impl FnOnce(Stream) -> F) -> io::Result<()>
    where
        F: Future<Output = io::Result<Secured>>,
    {
        self.flush().await?;
        self.buffer.clear();
        self.start = 0;
        match std::mem::replace(&mut self.carrier, Carrier::Gone) {
            Carrier::Plain(stream) => {
                self.carrier = Carrier::Tls(Box::new(handshake(stream).await?));
                Ok(())
            }
            carrier @ (Carrier::Tls(_) | Carrier::Gone) => {
                self.carrier = carrier;
                Err(io::Error::other("TLS inside TLS"))
            }
        }
    }
}

/// Content as it goes over the wire: dots stuffed, ended (RFC 5321 section 4.5.2).
///
/// The input has CRLF at the end of each line; a missing one at the end of the content is added
/// before the final dot.
pub(crate) fn on_the_wire(content: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(content.len() + 16);
    let mut at_start = true;
    for octet in content {
        if at_start && *octet == b'.' {
            wire.push(b'.');
        }
        wire.push(*octet);
        at_start = *octet == b'\n';
    }
    if !wire.ends_with(b"\r\n") {
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

impl AsyncRead for Carrier {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Carrier {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Tls(stream) => Pin::new(stream).poll_write(cx, octets),
            Self::Gone => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream).poll_flush(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut *self {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Gone => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_are_stuffed_and_the_end_is_put() {
        assert_eq!(on_the_wire(b".a\r\n..\r\nb"), b"..a\r\n...\r\nb\r\n.\r\n");
        assert_eq!(on_the_wire(b""), b"\r\n.\r\n");
    }

    #[tokio::test]
    async fn an_endless_line_is_dropped_and_the_next_one_read() {
        let (near, far) = Stream::pair();
        let (mut near, mut far) = (Connection::new(near), Connection::new(far));
        let writer = async {
            for _ in 0..100 {
                far.send(&[b'x'; 4000]).await.expect("sent");
            }
            far.send(b"\r\nNOOP\r\n").await.expect("sent");
        };
        let reader = async {
            let first = near.line().await.expect("read");
            assert!(
                near.buffer.capacity() < 64 * 1024,
                "{}",
                near.buffer.capacity()
            );
            (first, near.line().await.expect("read"))
        };
        let ((), lines) = tokio::join!(writer, reader);
        assert_eq!(
            lines,
            (
                Line::TooLong,
                Line::Complete(b"NOOP".to_vec(), LineEnd::CrLf)
            )
        );
    }

    #[tokio::test]
    async fn a_reset_is_an_error_and_a_close_is_an_end() {
        for reset in [true, false] {
            let (near, far) = Stream::pair();
            let mut near = Connection::new(near);
            if reset {
                far.reset_on_drop();
            }
            drop(far);
            assert_eq!(near.line().await.is_err(), reset);
        }
    }
}
