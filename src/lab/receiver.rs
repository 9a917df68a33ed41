//! A fake SMTP receiver: one session of it, as RFC 5321 asks, failing where a fault says so.
//!
//! Command syntax is smtp-proto's. Faults decide before the receiver does; what it answers and
//! takes goes to the lab's log and mailbox.

use std::{io, net::IpAddr, sync::Arc, time::Duration};

use smtp_proto::{
    Error as SyntaxError, MAIL_BODY_BINARYMIME, MAIL_REQUIRETLS, Request,
    request::receiver::DataReceiver,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_rustls::TlsAcceptor;

use super::{
    Site,
    authority::Credentials,
    mailbox::{Captured, Content},
    upstream::Upstream,
};
use crate::{
    connection::{Connection, Line, on_the_wire},
    event::{Answered, Ended, Failed, SessionId, What},
    fault::{Effect, Stage},
    name::Domain,
    reply::{Reply, Severity},
    scenario::Certificate,
    stream::Stream,
};

/// How long a receiver waits for a command (RFC 5321 section 4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(300);
/// Recipients of one transaction; a hundred is the least (RFC 5321 section 4.5.3.1.8).
const MAX_RECIPIENTS: usize = 1000;
/// Octets of further commands kept while an answer is delayed.
const MAX_PIPELINED: usize = 64 * 1024;
/// How long a receiver that hangs in the content reads nothing, longer than any client waits.
const DEAF: Duration = Duration::from_secs(3600);
/// Bad commands in a row before the receiver hangs up.
const MAX_ERRORS: usize = 100;
/// The largest message taken, in octets, where the scenario sets no other limit.
pub(super) const MAX_SIZE: usize = 50 * 1024 * 1024;

/// What a receiver is.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) address: IpAddr,
    pub(crate) names: Vec<Domain>,
    pub(crate) max_size: usize,
    /// Offers STARTTLS with these.
    pub(crate) credentials: Option<Credentials>,
    /// The address of the server behind it.
    pub(crate) upstream: Option<String>,
}

impl Receiver {
    /// The name it says in its greeting.
    fn greeting_name(&self) -> String {
        self.names
            .first()
            .map_or_else(|| format!("[{}]", self.address), ToString::to_string)
    }
}

/// Whether a session goes on.
enum Step {
    Go,
    /// A positive reply was sent.
    Ended(Ended),
}

/// A transaction under way.
#[derive(Debug, Default)]
struct Envelope {
    from: String,
    to: Vec<String>,
}

/// One session with a client.
pub(crate) struct Session {
    site: Arc<Site>,
    receiver: Arc<Receiver>,
    id: SessionId,
    connection: Connection,
    upstream: Option<Upstream>,
    /// The command being served, as it came.
    command: Vec<u8>,
    greeted: bool,
    /// After a negative greeting only QUIT is served (RFC 5321 section 3.1).
    refusing: bool,
    envelope: Option<Envelope>,
    errors: usize,
}

/// Serves a client from greeting to end.
pub(crate) async fn serve(site: Arc<Site>, receiver: Arc<Receiver>, id: SessionId, stream: Stream) {
    let connection = Connection::new(stream);
    let mut session = Session {
        site,
        receiver,
        id,
        connection,
        upstream: None,
        command: Vec::new(),
        greeted: false,
        refusing: false,
        envelope: None,
        errors: 0,
    };
    // An I/O error is a client that went away.
    let how = session.run().await.unwrap_or(Ended::ClientClosed);
    session.site.record(What::End { session: id, how });
}

impl Session {
    async fn run(&mut self) -> io::Result<Ended> {
        let greeting = self.greeting().await;
        if let Step::Ended(how) = self.greet(greeting).await? {
            return Ok(how);
        }
        loop {
            let line = match timeout(IDLE, self.connection.line()).await {
                Ok(line) => line?,
                Err(_) => return self.idle().await,
            };
            let step = match line {
                Line::Complete(line) => self.command(line).await?,
                Line::TooLong => {
                    self.command.clear();
                    self.complain(Reply::new(500, "5.5.6 line too long"))
                        .await?
                }
                Line::End => return Ok(Ended::ClientClosed),
            };
            if let Step::Ended(how) = step {
                return Ok(how);
            }
        }
    }

    /// The greeting: the lab's own, or that of the server behind.
    async fn greeting(&mut self) -> Reply {
        let Some(address) = self.receiver.upstream.clone() else {
            return Reply::new(
                220,
                format!("{} ESMTP mxdrill", self.receiver.greeting_name()),
            );
        };
        match Upstream::connect(&address).await {
            Ok((upstream, greeting)) => {
                self.upstream = Some(upstream);
                greeting
            }
            Err(error) => {
                tracing::error!(address, %error, "the server behind a receiver does not answer");
                lost_upstream(&error)
            }
        }
    }

    /// The usual reply to the command being served: the lab's own, or that of the server behind.
    async fn usual(&mut self, stage: Option<Stage>, own: Reply) -> Reply {
        let Some(upstream) = self.upstream.as_mut().filter(|_| !self.command.is_empty()) else {
            return own;
        };
        match upstream.ask(&self.command).await {
            Ok(reply) if stage == Some(Stage::Helo) => merged_hello(&reply, &own),
            Ok(reply) => reply,
            Err(error) => lost_upstream(&error),
        }
    }

    /// Hands content over to the server behind; its reply.
    async fn hand_over(&mut self, content: &Content) -> io::Result<Reply> {
        let octets = on_the_wire(&content.read()?);
        let Some(upstream) = &mut self.upstream else {
            return Ok(Reply::new(250, "2.0.0 taken"));
        };
        Ok(upstream
            .ask(&octets)
            .await
            .unwrap_or_else(|error| lost_upstream(&error)))
    }

    /// Lets the server behind forget a transaction that a fault has ended after DATA.
    async fn restart_upstream(&mut self) {
        let (Some(address), Some(_)) = (self.receiver.upstream.clone(), self.upstream.take())
        else {
            return;
        };
        let Ok((mut upstream, _)) = Upstream::connect(&address).await else {
            return;
        };
        let hello = format!("EHLO {}\r\n", self.receiver.greeting_name());
        if upstream.ask(hello.as_bytes()).await.is_ok() {
            self.upstream = Some(upstream);
        }
    }

    async fn idle(&mut self) -> io::Result<Ended> {
        self.connection
            .send(b"421 4.4.2 idle for too long\r\n")
            .await?;
        self.connection.close().await;
        Ok(Ended::Idle)
    }

    async fn greet(&mut self, greeting: Reply) -> io::Result<Step> {
        let (step, sent) = self.answer(Stage::Greeting, None, None, greeting).await?;
        self.refusing = sent.is_some_and(|reply| reply.severity() != Severity::Positive);
        Ok(step)
    }

    /// Serves one command.
    async fn command(&mut self, mut line: Vec<u8>) -> io::Result<Step> {
        line.extend_from_slice(b"\r\n");
        self.command.clone_from(&line);
        let request = match Request::parse(&mut line.iter()) {
            Ok(request) => request.into_owned(),
            Err(error) => return self.complain(syntax_reply(&error)).await,
        };
        if self.refusing && !matches!(request, Request::Quit) {
            self.command.clear();
            return self
                .complain(Reply::new(503, "5.5.1 no service here"))
                .await;
        }
        self.errors = 0;
        match request {
            Request::Ehlo { host } => self.hello(&host, true).await,
            Request::Helo { host } => self.hello(&host, false).await,
            Request::StartTls => self.starttls().await,
            Request::Mail { from } => self.mail(&from).await,
            Request::Rcpt { to } => self.rcpt(&to.address).await,
            Request::Data => self.data().await,
            Request::Quit => self.quit().await,
            Request::Rset => {
                self.envelope = None;
                self.say(Reply::new(250, "2.0.0 reset")).await
            }
            Request::Noop { .. } => self.say(Reply::new(250, "2.0.0 ok")).await,
            Request::Vrfy { .. } => {
                self.say(Reply::new(252, "2.5.2 send some mail and see"))
                    .await
            }
            Request::Help { .. } => {
                self.say(Reply::new(214, "2.0.0 a receiver of mxdrill"))
                    .await
            }
            other => {
                self.complain(Reply::new(
                    502,
                    format!("5.5.1 {} is not offered", other.name()),
                ))
                .await
            }
        }
    }

    async fn hello(&mut self, name: &str, extended: bool) -> io::Result<Step> {
        let mut lines = vec![self.receiver.greeting_name()];
        if extended {
            let size = format!("SIZE {}", self.receiver.max_size);
            lines.extend(["PIPELINING", &size, "8BITMIME", "SMTPUTF8"].map(str::to_owned));
            if self.offers_starttls() {
                lines.push("STARTTLS".to_owned());
            }
            if self.offers_requiretls() {
                lines.push("REQUIRETLS".to_owned());
            }
            lines.push("ENHANCEDSTATUSCODES".to_owned());
        }
        let reply = Reply::new(250, lines.join("\n"));
        let (step, sent) = self.answer(Stage::Helo, Some(name), None, reply).await?;
        if is_positive(sent.as_ref()) {
            self.greeted = true;
            self.envelope = None;
        }
        Ok(step)
    }

    /// Whether EHLO announces STARTTLS; a fault that hides it counts as having struck.
    fn offers_starttls(&self) -> bool {
        if self.receiver.credentials.is_none() || self.connection.is_tls() {
            return false;
        }
        let hidden = self.site.foresee(&self.receiver, Stage::Starttls) == Some(Effect::NotOffered);
        if hidden {
            self.strike(Stage::Starttls, None);
        }
        !hidden
    }

    /// REQUIRETLS is announced inside TLS only (RFC 8689 section 2), by receivers in good order.
    fn offers_requiretls(&self) -> bool {
        let valid = |credentials: &Credentials| credentials.kind == Certificate::Valid;
        self.connection.is_tls() && self.receiver.credentials.as_ref().is_some_and(valid)
    }

    async fn starttls(&mut self) -> io::Result<Step> {
        let offered = self
            .receiver
            .credentials
            .clone()
            .filter(|_| !self.connection.is_tls());
        let Some(credentials) = offered else {
            return self
                .complain(Reply::new(502, "5.5.1 STARTTLS is not offered"))
                .await;
        };
        let effect = match self.strike(Stage::Starttls, None) {
            Some(Effect::Delay(wait)) => {
                self.delay(Stage::Starttls, None, wait).await?;
                None
            }
            effect => effect,
        };
        let ready = Reply::new(220, "2.0.0 go ahead");
        match effect {
            None => {
                self.say_at(Stage::Starttls, ready).await?;
                self.secure(&credentials).await
            }
            Some(Effect::Break) => {
                self.say_at(Stage::Starttls, ready).await?;
                self.connection.fill().await?;
                self.record_failure(Stage::Starttls, None, Failed::Handshake);
                self.connection.close().await;
                Ok(Step::Ended(Ended::ServerClosed))
            }
            Some(Effect::NotOffered) => {
                self.complain(Reply::new(502, "5.5.1 STARTTLS is not offered"))
                    .await
            }
            Some(Effect::Reply(reply)) => self.say_at(Stage::Starttls, reply).await,
            Some(effect) => Ok(self
                .fail(Stage::Starttls, None, &effect)
                .await?
                .map_or(Step::Go, Step::Ended)),
        }
    }

    /// Goes on inside TLS; what the client said before is forgotten (RFC 3207 section 4.2).
    async fn secure(&mut self, credentials: &Credentials) -> io::Result<Step> {
        let acceptor = TlsAcceptor::from(Arc::clone(&credentials.config));
        let mut sni = None;
        let handshake = self.connection.secure(|stream| async {
            let stream = acceptor.accept(stream).await?;
            sni = stream.get_ref().1.server_name().map(str::to_owned);
            Ok(stream)
        });
        if !matches!(timeout(IDLE, handshake).await, Ok(Ok(()))) {
            self.record_failure(Stage::Starttls, None, Failed::Handshake);
            return Ok(Step::Ended(Ended::ClientClosed));
        }
        self.site.record(What::Secured {
            session: self.id,
            sni,
        });
        self.greeted = false;
        self.envelope = None;
        Ok(Step::Go)
    }

    async fn mail(&mut self, from: &smtp_proto::MailFrom<String>) -> io::Result<Step> {
        let refusal = if self.upstream.is_some() {
            None
        } else if !self.greeted {
            Some(Reply::new(503, "5.5.1 EHLO first"))
        } else if self.envelope.is_some() {
            Some(Reply::new(503, "5.5.1 a transaction is under way"))
        } else if from.flags & MAIL_REQUIRETLS != 0 && !self.offers_requiretls() {
            Some(Reply::new(555, "5.7.30 REQUIRETLS is not offered"))
        } else if from.flags & MAIL_BODY_BINARYMIME != 0 {
            Some(Reply::new(555, "5.6.1 BINARYMIME is not offered"))
        } else if from.size > self.receiver.max_size {
            Some(Reply::new(552, "5.3.4 message too large"))
        } else {
            None
        };
        let refused = refusal.is_some();
        let reply = refusal.unwrap_or_else(|| Reply::new(250, "2.1.0 sender ok"));
        let (step, sent) = self
            .answer(Stage::Mail, Some(&from.address), None, reply)
            .await?;
        if !refused && is_positive(sent.as_ref()) {
            self.envelope = Some(Envelope {
                from: from.address.clone(),
                to: Vec::new(),
            });
        }
        Ok(step)
    }

    async fn rcpt(&mut self, to: &str) -> io::Result<Step> {
        let refusal = match &self.envelope {
            _ if self.upstream.is_some() => None,
            None => Some(Reply::new(503, "5.5.1 MAIL first")),
            Some(envelope) if envelope.to.len() >= MAX_RECIPIENTS => {
                Some(Reply::new(452, "4.5.3 too many recipients"))
            }
            Some(_) => None,
        };
        let refused = refusal.is_some();
        let reply = refusal.unwrap_or_else(|| Reply::new(250, "2.1.5 recipient ok"));
        let (step, sent) = self.answer(Stage::Rcpt, Some(to), Some(to), reply).await?;
        if let Some(envelope) = self
            .envelope
            .as_mut()
            .filter(|_| !refused && is_positive(sent.as_ref()))
        {
            envelope.to.push(to.to_owned());
        }
        Ok(step)
    }

    async fn data(&mut self) -> io::Result<Step> {
        let taken = |envelope: &Envelope| !envelope.to.is_empty();
        let ready = self.upstream.is_some() || self.envelope.as_ref().is_some_and(taken);
        let reply = match ready {
            true => Reply::new(354, "go ahead"),
            false => Reply::new(503, "5.5.1 no valid recipient"),
        };
        let (step, sent) = self.answer(Stage::Data, None, None, reply).await?;
        match (step, sent) {
            (Step::Go, Some(reply)) if reply.code == 354 && ready => self.content().await,
            (step, _) => Ok(step),
        }
    }

    async fn content(&mut self) -> io::Result<Step> {
        let mut late = false;
        if let Some(effect) = self.strike(Stage::Content, None) {
            if let Effect::Delay(wait) = effect {
                // Nothing is read meanwhile, so that a large message backs up to its sender.
                tokio::time::sleep(wait).await;
                late = true;
            } else if let Some(ended) = self.fail(Stage::Content, None, &effect).await? {
                return Ok(Step::Ended(ended));
            }
        }
        let mut content = Content::new();
        let mut receiver = DataReceiver::new();
        let mut chunk = Vec::new();
        loop {
            let buffered = self.connection.buffered().len();
            if buffered == 0 {
                match timeout(IDLE, self.connection.fill()).await {
                    Err(_) => return self.idle().await.map(Step::Ended),
                    Ok(Ok(1..)) => continue,
                    Ok(_) => {
                        if late {
                            self.record_failure(Stage::Content, None, Failed::Hang);
                        }
                        return Ok(Step::Ended(Ended::ClientClosed));
                    }
                }
            }
            let mut octets = self.connection.buffered().iter();
            let complete = receiver.ingest(&mut octets, &mut chunk);
            let consumed = buffered - octets.len();
            self.connection.consume(consumed);
            // The receiver takes the last octet back when the end turns out to follow it.
            let kept = if complete { 0 } else { 1.min(chunk.len()) };
            let settled = chunk.len() - kept;
            content.append(&chunk[..settled], self.receiver.max_size)?;
            chunk.drain(..settled);
            if complete {
                return self.end_of_data(content).await;
            }
        }
    }

    async fn end_of_data(&mut self, content: Content) -> io::Result<Step> {
        let envelope = self.envelope.take().unwrap_or_default();
        if content.is_cut() {
            self.restart_upstream().await;
            let reply = Reply::new(552, "5.3.4 message too large");
            return self.say_at(Stage::Dot, reply).await;
        }
        match self.strike(Stage::Dot, None) {
            None => {
                let reply = self.hand_over(&content).await?;
                self.conclude(envelope, content, reply).await
            }
            Some(Effect::Delay(wait)) => {
                self.delay(Stage::Dot, None, wait).await?;
                let reply = self.hand_over(&content).await?;
                self.conclude(envelope, content, reply).await
            }
            Some(Effect::Reply(reply)) => {
                if reply.severity() == Severity::Positive {
                    self.hand_over(&content).await?;
                } else {
                    self.restart_upstream().await;
                }
                self.conclude(envelope, content, reply).await
            }
            Some(Effect::LoseReply) => {
                if self.hand_over(&content).await?.severity() == Severity::Positive {
                    self.take(envelope, content);
                }
                self.record_failure(Stage::Dot, None, Failed::LoseReply);
                self.connection.close().await;
                Ok(Step::Ended(Ended::ServerClosed))
            }
            Some(effect) => {
                let ended = self.fail(Stage::Dot, None, &effect).await?;
                Ok(ended.map_or(Step::Go, Step::Ended))
            }
        }
    }

    /// Answers the end of the data; a positive reply takes the message.
    async fn conclude(
        &mut self,
        envelope: Envelope,
        content: Content,
        reply: Reply,
    ) -> io::Result<Step> {
        if reply.severity() == Severity::Positive {
            self.take(envelope, content);
        }
        self.say_at(Stage::Dot, reply).await
    }

    /// Takes responsibility for a message: into the mailbox and the log.
    fn take(&mut self, envelope: Envelope, content: Content) {
        let Envelope { from, to } = envelope;
        let captured = Captured {
            at: self.site.clock.now(),
            session: self.id,
            hosts: self.receiver.names.clone(),
            address: self.receiver.address,
            from,
            to,
            tls: self.connection.is_tls(),
            content,
        };
        self.site.take(captured);
    }

    async fn quit(&mut self) -> io::Result<Step> {
        let (step, _) = self
            .answer(Stage::Quit, None, None, Reply::new(221, "2.0.0 bye"))
            .await?;
        if let Step::Go = step {
            self.connection.close().await;
            return Ok(Step::Ended(Ended::Quit));
        }
        Ok(step)
    }

    /// A reply outside the stages, which no fault touches and no log needs.
    async fn say(&mut self, reply: Reply) -> io::Result<Step> {
        let reply = self.usual(None, reply).await;
        self.connection.send(&wire_form(&reply)).await?;
        Ok(Step::Go)
    }

    async fn complain(&mut self, reply: Reply) -> io::Result<Step> {
        self.errors += 1;
        if self.errors > MAX_ERRORS {
            self.connection
                .send(b"421 4.7.0 too many errors\r\n")
                .await?;
            self.connection.close().await;
            return Ok(Step::Ended(Ended::ServerClosed));
        }
        self.say(reply).await
    }

    /// What a fault does here, and that it did.
    fn strike(&self, stage: Stage, recipient: Option<&str>) -> Option<Effect> {
        self.site.strike(&self.receiver, stage, recipient)
    }

    /// Answers at a stage: as the fault says, else with the usual reply. Also what was sent.
    async fn answer(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        recipient: Option<&str>,
        usual: Reply,
    ) -> io::Result<(Step, Option<Reply>)> {
        let reply = match self.strike(stage, recipient) {
            None => self.usual(Some(stage), usual).await,
            Some(Effect::Reply(reply)) => reply,
            Some(Effect::Delay(wait)) => {
                self.delay(stage, argument, wait).await?;
                self.usual(Some(stage), usual).await
            }
            Some(effect) => {
                let ended = self.fail(stage, argument, &effect).await?;
                return Ok((ended.map_or(Step::Go, Step::Ended), None));
            }
        };
        let step = self.send_reply(stage, argument, &reply).await?;
        Ok((step, Some(reply)))
    }

    /// Lets time pass before an answer; an error if the client does not wait for it.
    async fn delay(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        wait: Duration,
    ) -> io::Result<()> {
        let until = Instant::now() + wait;
        while self.connection.buffered().len() < MAX_PIPELINED {
            match timeout_at(until, self.connection.fill()).await {
                Err(_) => return Ok(()),
                Ok(Ok(1..)) => {}
                Ok(_) => {
                    self.record_failure(stage, argument, Failed::Hang);
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
            }
        }
        sleep_until(until).await;
        Ok(())
    }

    async fn say_at(&mut self, stage: Stage, reply: Reply) -> io::Result<Step> {
        self.send_reply(stage, None, &reply).await
    }

    /// Sends and logs a reply; after a 421 the receiver closes (RFC 5321 section 3.8).
    async fn send_reply(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        reply: &Reply,
    ) -> io::Result<Step> {
        let last = reply.text.lines().last().unwrap_or_default().to_owned();
        self.site.record(What::Reply {
            session: self.id,
            stage,
            argument: argument.map(str::to_owned),
            answer: Answered::Reply {
                code: reply.code,
                reply: last,
            },
        });
        self.connection.send(&wire_form(reply)).await?;
        if reply.code == 421 {
            self.connection.close().await;
            return Ok(Step::Ended(Ended::ServerClosed));
        }
        Ok(Step::Go)
    }

    /// Fails as an effect says that is no reply and no delay; how the session ended, if it did.
    async fn fail(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        effect: &Effect,
    ) -> io::Result<Option<Ended>> {
        let (failed, ended) = match effect {
            Effect::Hang | Effect::Timeout => (Failed::Hang, Some(Ended::ClientClosed)),
            Effect::Reset | Effect::Refuse => (Failed::Reset, Some(Ended::ServerClosed)),
            Effect::Garbage => (Failed::Garbage, None),
            Effect::LoseReply | Effect::Close | Effect::NotOffered | Effect::Break => {
                (Failed::Close, Some(Ended::ServerClosed))
            }
            Effect::Reply(_) | Effect::Delay(_) => {
                unreachable!("replies and delays are handled by the caller")
            }
        };
        self.record_failure(stage, argument, failed);
        match failed {
            Failed::Hang => {
                if stage == Stage::Content {
                    tokio::time::sleep(DEAF).await;
                }
                self.connection.drain().await;
            }
            Failed::Reset => self.connection.reset_on_drop(),
            Failed::Garbage => {
                self.connection
                    .send(b"\x16\x03 this is no reply\r\n")
                    .await?
            }
            _ => self.connection.close().await,
        }
        Ok(ended)
    }

    fn record_failure(&self, stage: Stage, argument: Option<&str>, effect: Failed) {
        self.site.record(What::Reply {
            session: self.id,
            stage,
            argument: argument.map(str::to_owned),
            answer: Answered::Failed { effect },
        });
    }
}

/// What EHLO announces where a server stands behind: what that one does, but for what the receiver
/// has to do itself.
fn merged_hello(theirs: &Reply, own: &Reply) -> Reply {
    const OURS: [&str; 5] = ["STARTTLS", "REQUIRETLS", "CHUNKING", "BINARYMIME", "AUTH"];
    let ours = |line: &&str| {
        OURS.iter()
            .any(|keyword| line.split_whitespace().next() == Some(keyword))
    };
    let lines: Vec<&str> = theirs
        .text
        .lines()
        .filter(|line| !ours(line))
        .chain(own.text.lines().filter(ours))
        .collect();
    Reply::new(theirs.code, lines.join("\n"))
}

/// The reply when the server behind went away.
fn lost_upstream(error: &io::Error) -> Reply {
    Reply::new(
        421,
        format!("4.3.0 the server behind this exchanger failed: {error}"),
    )
}

fn is_positive(reply: Option<&Reply>) -> bool {
    reply.is_some_and(|reply| reply.severity() == Severity::Positive)
}

/// A reply on the wire; each line of its text is a line of the reply (RFC 5321 section 4.2.1).
fn wire_form(reply: &Reply) -> Vec<u8> {
    let lines: Vec<&str> = if reply.text.is_empty() {
        vec![""]
    } else {
        reply.text.lines().collect()
    };
    let last = lines.len() - 1;
    let mut wire = String::new();
    for (index, line) in lines.iter().enumerate() {
        let separator = if index == last { ' ' } else { '-' };
        wire.push_str(&format!("{}{separator}{line}\r\n", reply.code));
    }
    wire.into_bytes()
}

fn syntax_reply(error: &SyntaxError) -> Reply {
    match error {
        SyntaxError::InvalidSenderAddress => Reply::new(501, "5.1.7 bad reverse-path"),
        SyntaxError::InvalidRecipientAddress => Reply::new(501, "5.1.3 bad forward-path"),
        SyntaxError::SyntaxError { syntax } => Reply::new(501, format!("5.5.4 expected {syntax}")),
        SyntaxError::InvalidParameter { param } => {
            Reply::new(501, format!("5.5.4 bad value of {param}"))
        }
        SyntaxError::UnsupportedParameter { param } => {
            let plain: String = param
                .chars()
                .filter(|c| c.is_ascii_graphic())
                .take(40)
                .collect();
            Reply::new(555, format!("5.5.4 parameter {plain} is not offered"))
        }
        _ => Reply::new(500, "5.5.2 unknown command"),
    }
}
