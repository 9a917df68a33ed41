//! DATA to the end of the content: received, bounded, handed over, taken.
//!
//! 1. DATA is answered with 354 if there is a recipient, with 503 otherwise (RFC 5321 section 3.3),
//!    unless a fault answers.
//! 2. The content is read as it comes, dots undone, up to `<CRLF>.<CRLF>`; past the receiver's
//!    limit it is read and dropped.
//! 3. The end is answered: with 552 if it was too large, as a fault says, or with 250 or what the
//!    server behind says.
//! 4. Only a positive reply accepts the message (section 6.1), which is logged before the reply is
//!    sent. A reply that a fault loses is the exception on purpose: the message is accepted, and
//!    the client cannot know.

use std::{io, sync::Arc};

use super::{
    IDLE, ReceivedEnvelope, Session, Step,
    dots::{Bare, ChunkLines, Dots},
    is_positive, lost_upstream,
};
use crate::{
    connection::on_the_wire,
    event::{BareOctet, EventKind, Misbehaviour, SessionEnd, SessionPart},
    fault::{Effect, Stage},
    lab::{
        mailbox::{Content, ReceivedMessage},
        upstream::Upstream,
    },
    reply::{Reply, ReplyClass},
};

/// The first octet over 127 of a message, and whether it is in the header.
#[derive(Debug, Default)]
struct EightBits {
    is_seen: bool,
    /// Whether the empty line behind the header has come.
    is_body: bool,
    /// Whether anything stands in the line so far.
    is_in_line: bool,
}

impl EightBits {
    /// Whether the first of all is among these octets, the next of the message: then whether it is in the header.
    fn first_in(&mut self, octets: &[u8]) -> Option<bool> {
        if self.is_seen || octets.is_ascii() && self.is_body {
            return None;
        }
        for octet in octets {
            if !octet.is_ascii() {
                self.is_seen = true;
                return Some(!self.is_body);
            }
            self.is_body |= *octet == b'\n' && !self.is_in_line;
            self.is_in_line = match octet {
                b'\r' => self.is_in_line,
                b'\n' => false,
                _ => true,
            };
        }
        None
    }
}

/// What has come of a content by BDAT, and where in it the next chunk begins.
#[derive(Debug)]
pub(super) struct Chunks {
    content: Content,
    eight_bit: EightBits,
    lines: ChunkLines,
}

impl Chunks {
    /// Of a content of which nothing has come.
    fn of(content: Content) -> Self {
        Self {
            content,
            eight_bit: EightBits::default(),
            lines: ChunkLines::default(),
        }
    }
}

impl Session {
    /// DATA. With no recipient the server behind does not hear of it: it may have other recipients
    /// in mind than the client does.
    pub(super) async fn data(&mut self) -> io::Result<Step> {
        let envelope = self.envelope.as_ref();
        let by_chunks = envelope.is_some_and(|one| one.chunks.is_some());
        let is_binary = envelope.is_some_and(|one| one.is_binary);
        // RFC 5321 section 3.3: 503 or 554 is the answer where no recipient was taken.
        let ready = envelope.is_some_and(|one| !one.to.is_empty());
        if !ready {
            self.command.clear();
        }
        let reply = if by_chunks {
            Reply::new(503, "5.5.1 the content comes by BDAT")
        } else if is_binary {
            // RFC 3030 section 3.
            Reply::new(503, "5.5.1 BINARYMIME comes by BDAT")
        } else if ready {
            Reply::new(354, "go ahead")
        } else {
            Reply::new(503, "5.5.1 no valid recipient")
        };
        let (step, sent) = self.answer(Stage::Data, None, None, reply).await?;
        match (step, sent) {
            // A client that goes by the first digit sends the content now.
            // So does one that was told so although nobody was accepted (RFC 2920 section 3.1).
            (Step::Go, Some(reply)) if reply.class() == ReplyClass::Intermediate && !by_chunks => {
                self.content().await
            }
            (step, _) => Ok(step),
        }
    }

    /// Reads the content up to its end, or to that of the session.
    pub(super) async fn content(&mut self) -> io::Result<Step> {
        let mut late = false;
        if let Some(ended) = self.content_fault(None, &mut late).await? {
            return Ok(Step::Ended(ended));
        }
        // From which sizes on there are further faults.
        // A fault with `larger_than` strikes in the middle of a content, once so much has come.
        let mut sizes = self.state.faults().sizes().into_iter().peekable();
        let mut content = self.new_content();
        let mut dots = Dots::new();
        let mut chunk = Vec::new();
        let (mut begun, mut eight_bit) = (false, EightBits::default());
        let (beginning, mut octets) = (self.state.clock.now(), 0);
        loop {
            if let Some(ended) = self.no_more_comes().await? {
                return Ok(Step::Ended(self.gave_up(ended, late)));
            }
            if !begun {
                self.come_to(Stage::Content).await?;
                begun = true;
            }
            // As much as is there, or as a slow line lets through at once; but not beyond the next size at which a
            // fault looks.
            let mut piece = self.piece(self.connection.buffered().len());
            if let Some(size) = sizes.peek() {
                piece = piece.min(size + 1 - octets);
            }
            let (taken, complete) = dots.take(&self.connection.buffered()[..piece], &mut chunk);
            self.connection.consume(taken);
            octets += taken;
            // Before the octets are kept: a client that waits for the reply waits as long as the line is slow.
            self.slow_down(beginning, octets as u64).await;
            self.keep(&mut content, &chunk, &mut eight_bit)?;
            chunk.clear();
            self.tell_bare_in_content(dots.bare);
            if complete {
                return self.end_of_data(content).await;
            }
            if sizes.next_if(|size| octets > *size).is_some()
                && let Some(ended) = self.content_fault(Some(octets), &mut late).await?
            {
                return Ok(Step::Ended(ended));
            }
        }
    }

    /// How a session ended in the content. A client that gave up in a delay, before the end, saw a receiver that hung.
    fn gave_up(&mut self, ended: SessionEnd, late: bool) -> SessionEnd {
        if late && ended == SessionEnd::ClientClosed {
            self.record_failure(Stage::Content, None, Misbehaviour::Hang);
        }
        ended
    }

    /// What a fault does at the beginning of a content, or once so many octets have come; how the session
    /// ended, if it did.
    async fn content_fault(
        &mut self,
        octets: Option<usize>,
        late: &mut bool,
    ) -> io::Result<Option<SessionEnd>> {
        let message = self.transfer(octets);
        match self.strike_message(Stage::Content, message) {
            None => Ok(None),
            Some(Effect::Delay(wait)) => {
                // Nothing is read meanwhile, so that a large message backs up to its sender.
                self.connection.flush().await?;
                self.state.clock.sleep(wait).await;
                *late = true;
                Ok(None)
            }
            Some(effect) => self.fail(Stage::Content, None, &effect).await,
        }
    }

    /// Waits until octets of the content are there; how the session ended, if none come.
    async fn no_more_comes(&mut self) -> io::Result<Option<SessionEnd>> {
        if !self.connection.buffered().is_empty() {
            return Ok(None);
        }
        let filled = self.state.clock.within(IDLE, self.connection.fill());
        match filled.await {
            None => self.idle().await.map(Some),
            Some(Ok(1..)) => Ok(None),
            Some(_) => Ok(Some(SessionEnd::ClientClosed)),
        }
    }

    /// Keeps octets of the content, and tells of those over 127, once for each message.
    fn keep(&self, content: &mut Content, octets: &[u8], seen: &mut EightBits) -> io::Result<()> {
        let kept = content.append(octets, self.max_size());
        kept.inspect_err(|error| {
            let what = format!("a message could not be kept in a temporary file: {error}");
            self.state.own_fault(what);
        })?;
        if let Some(header) = seen.first_in(octets) {
            let session = self.id;
            self.state.record(EventKind::EightBit { session, header });
        }
        Ok(())
    }

    /// Tells of CR and LF by themselves, once for each session, whichever message it was in.
    fn tell_bare_in_content(&mut self, seen: Bare) {
        for (seen, octet) in [(seen.cr, BareOctet::Cr), (seen.lf, BareOctet::Lf)] {
            if seen {
                self.tell_bare(SessionPart::Content, octet);
            }
        }
    }

    /// A content of which nothing has come.
    fn new_content(&self) -> Content {
        let keeps = self.state.keeps(&self.receiver);
        Content::new(Arc::clone(&self.state.spool), keeps)
    }

    /// BDAT (RFC 3030 section 2): a chunk of the content, and its end if it is the last.
    ///
    /// The octets are read whatever the answer is: the client sends them without waiting. A chunk that is not
    /// the last is answered at the stage `data`, as DATA is, and the last one at `dot`.
    pub(super) async fn bdat(&mut self, octets: usize, last: bool) -> io::Result<Step> {
        if !self.offers("CHUNKING") {
            return self
                .complain(Reply::new(502, "5.5.1 BDAT is not offered"))
                .await;
        }
        let ready = self.envelope.as_ref().is_some_and(|one| !one.to.is_empty());
        let chunks = self.envelope.as_mut().and_then(|one| one.chunks.take());
        let (is_first, mut late) = (ready && chunks.is_none(), false);
        // What earlier chunks brought is with the envelope, and goes on here.
        let mut chunks = chunks.unwrap_or_else(|| Chunks::of(self.new_content()));
        // What is declared binary has no lines (RFC 3030 section 3).
        let envelope = self.envelope.as_ref();
        let has_lines = ready && envelope.is_some_and(|one| !one.is_binary);
        if is_first && let Some(ended) = self.content_fault(None, &mut late).await? {
            return Ok(Step::Ended(ended));
        }
        let mut sizes = self.state.faults().sizes();
        sizes.retain(|size| *size >= chunks.content.len());
        let mut sizes = sizes.into_iter().peekable();
        let (beginning, mut come) = (self.state.clock.now(), 0);
        while come < octets {
            if let Some(ended) = self.no_more_comes().await? {
                return Ok(Step::Ended(self.gave_up(ended, late)));
            }
            if is_first && come == 0 {
                self.come_to(Stage::Content).await?;
            }
            let buffered = self.connection.buffered().len();
            let mut piece = self.piece(buffered).min(octets - come);
            if let Some(size) = sizes.peek().filter(|_| ready) {
                piece = piece.min(size + 1 - chunks.content.len());
            }
            come += piece;
            self.slow_down(beginning, come as u64).await;
            if ready {
                let octets = &self.connection.buffered()[..piece];
                self.keep(&mut chunks.content, octets, &mut chunks.eight_bit)?;
            }
            if has_lines {
                let bare = chunks.lines.take(&self.connection.buffered()[..piece]);
                self.tell_bare_in_content(bare);
            }
            self.connection.consume(piece);
            if ready
                && sizes.next_if(|size| chunks.content.len() > *size).is_some()
                && let Some(ended) = self
                    .content_fault(Some(chunks.content.len()), &mut late)
                    .await?
            {
                return Ok(Step::Ended(ended));
            }
        }
        self.more.verb = Some("BDAT".into());
        if !ready {
            let reply = Reply::new(503, "5.5.1 no valid recipient");
            return self.say_at(Stage::Data, reply).await;
        }
        if last {
            if has_lines {
                self.tell_bare_in_content(chunks.lines.end());
            }
            return self.end_of_data(chunks.content).await;
        }
        let taken = Reply::new(250, format!("2.0.0 {octets} octets taken"));
        let (step, sent) = self.answer(Stage::Data, None, None, taken).await?;
        if let Some(envelope) = &mut self.envelope {
            envelope.chunks = Some(chunks);
            // After an error the transaction is over but for RSET (RFC 3030 section 2).
            if !is_positive(sent.as_ref()) {
                envelope.to.clear();
            }
        }
        Ok(step)
    }

    /// Answers the end of the data.
    pub(super) async fn end_of_data(&mut self, content: Content) -> io::Result<Step> {
        let envelope = self.envelope.take().unwrap_or_default();
        if envelope.to.is_empty() {
            let reply = Reply::new(554, "5.5.1 no valid recipient");
            return self.say_at(Stage::Dot, reply).await;
        }
        if content.is_cut() {
            self.restart_upstream().await;
            let reply = Reply::new(552, "5.3.4 message too large");
            return self.say_at(Stage::Dot, reply).await;
        }
        // Faults may be about its size, which is known only now.
        let message = envelope.transfer(Some(content.len()));
        let mut effect = self.strike_message(Stage::Dot, message);
        // Afterwards the receiver goes on as without a fault.
        if let Some(Effect::Delay(wait)) = effect {
            self.delay(Stage::Dot, None, wait).await?;
            effect = None;
        }
        match effect {
            None => {
                let reply = self.hand_over(&content).await?;
                self.conclude(envelope, content, reply).await
            }
            Some(Effect::Reply(reply)) => {
                // The server behind must have the message if the client is told that it was
                // accepted.
                if reply.class() == ReplyClass::Positive {
                    self.hand_over(&content).await?;
                } else {
                    self.restart_upstream().await;
                }
                self.conclude(envelope, content, reply).await
            }
            Some(Effect::LoseReply) => {
                if self.hand_over(&content).await?.class() == ReplyClass::Positive {
                    self.take(envelope, content);
                    self.come_to_dot().await?;
                }
                self.record_failure(Stage::Dot, None, Misbehaviour::LoseReply);
                self.connection.close().await;
                Ok(Step::Ended(SessionEnd::ServerClosed))
            }
            Some(effect) => {
                let ended = self.fail(Stage::Dot, None, &effect).await?;
                Ok(ended.map_or(Step::Go, Step::Ended))
            }
        }
    }

    /// Answers the end of the data; a positive reply accepts the message.
    pub(super) async fn conclude(
        &mut self,
        envelope: ReceivedEnvelope,
        content: Content,
        reply: Reply,
    ) -> io::Result<Step> {
        if reply.class() == ReplyClass::Positive {
            self.take(envelope, content);
            self.come_to_dot().await?;
        }
        self.say_at(Stage::Dot, reply).await
    }

    /// Holds the session if the sender is to be killed once a message was taken. What it then looks like to whoever
    /// sends again is a lost reply.
    async fn come_to_dot(&mut self) -> io::Result<()> {
        let held = self.come_to(Stage::Dot).await;
        if held.is_err() {
            self.record_failure(Stage::Dot, None, Misbehaviour::LoseReply);
        }
        held
    }

    /// Accepts a message: into the log and the mailbox.
    pub(super) fn take(&mut self, envelope: ReceivedEnvelope, content: Content) {
        let ReceivedEnvelope { from, to, .. } = envelope;
        let captured = ReceivedMessage {
            at: self.state.clock.now(),
            session: self.id,
            hosts: Arc::clone(&self.receiver.names),
            address: self.receiver.address,
            from,
            to,
            tls: self.connection.is_tls(),
            content,
        };
        self.state.take(captured);
    }

    /// Hands content over to the server behind; its reply, or the lab's own without one.
    pub(super) async fn hand_over(&mut self, content: &Content) -> io::Result<Reply> {
        if self.receiver.upstream.is_none() {
            return Ok(Reply::new(250, "2.0.0 taken"));
        }
        let Some(upstream) = &mut self.upstream else {
            return Ok(lost_upstream(&io::ErrorKind::NotConnected.into()));
        };
        let content = content.read().inspect_err(|error| {
            let what = format!("a message could not be read from a temporary file: {error}");
            self.state.own_fault(what);
        })?;
        let octets = on_the_wire(&content);
        Ok(upstream
            .ask(&octets)
            .await
            .unwrap_or_else(|error| lost_upstream(&error)))
    }

    /// Gives the session a fresh connection to the server behind, which forgets a transaction that
    /// a fault ended after DATA: there is no command that takes DATA back.
    pub(super) async fn restart_upstream(&mut self) {
        let (Some(address), Some(_)) = (self.receiver.upstream.clone(), self.upstream.take())
        else {
            return;
        };
        // It is tried and not insisted on: without one, the next content is answered as a server that was lost.
        let Ok((mut upstream, _)) = Upstream::connect(&address).await else {
            return;
        };
        let hello = format!("EHLO {}\r\n", self.receiver.greeting_name());
        if upstream.ask(hello.as_bytes()).await.is_ok() {
            self.upstream = Some(upstream);
        }
    }
}
