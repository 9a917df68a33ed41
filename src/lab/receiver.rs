//! A fake SMTP receiver: one session of it, as RFC 5321 asks, failing where a fault says so.
//!
//! Faults decide before the receiver does; what it answers and takes goes to the lab's log and mailbox.

mod answer;
mod command;
mod content;
mod dots;
mod envelope;
mod starttls;

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use tokio::time::timeout;

use self::{command::Command, envelope::Envelope};
use super::{Site, upstream::Upstream};
use crate::{
    connection::{Connection, Line, LineEnd},
    event::{BareOctet, Ended, Place, SessionId, What},
    fault::Stage,
    name::Domain,
    reply::{Reply, Severity},
    stream::Stream,
    tls::Credentials,
};

/// How long a receiver waits for a command (RFC 5321 section 4.5.3.2.7).
const IDLE: Duration = Duration::from_secs(300);
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
    /// It is over.
    Ended(Ended),
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
    /// What was told of line ends that are none.
    bare: BTreeSet<(Place, BareOctet)>,
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
        bare: BTreeSet::new(),
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
                Line::Complete(line, end) => {
                    self.look_at_end(&line, end);
                    self.command(line).await?
                }
                Line::TooLong => self.too_long().await?,
                Line::End => return Ok(Ended::ClientClosed),
            };
            if let Step::Ended(how) = step {
                return Ok(how);
            }
        }
    }

    /// A line that is too long to be looked at: of the command that would come next.
    async fn too_long(&mut self) -> io::Result<Step> {
        self.command.clear();
        let stage = match (self.greeted, &self.envelope) {
            (false, _) => Stage::Helo,
            (true, None) => Stage::Mail,
            (true, Some(_)) => Stage::Rcpt,
        };
        self.complain_at(Some(stage), Reply::new(500, "5.5.6 line too long"))
            .await
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
        if self.receiver.upstream.is_none() || self.command.is_empty() {
            return own;
        }
        // Nobody waits for what is already known while the server behind takes its time.
        if let Err(error) = self.connection.flush().await {
            tracing::debug!(%error, "a client is gone");
        }
        let Some(upstream) = &mut self.upstream else {
            return lost_upstream(&io::ErrorKind::NotConnected.into());
        };
        match upstream.ask(&self.command).await {
            Ok(reply) if stage == Some(Stage::Helo) => merged_hello(&reply, &own),
            Ok(reply) => reply,
            Err(error) => lost_upstream(&error),
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
        let command = Command::read(&line);
        line.extend_from_slice(b"\r\n");
        self.command = line;
        let command = match command {
            Ok(command) => command,
            Err(reply) => return self.misunderstood(reply).await,
        };
        if self.refusing && command != Command::Quit {
            self.command.clear();
            return self
                .complain(Reply::new(503, "5.5.1 no service here"))
                .await;
        }
        self.errors = 0;
        match command {
            Command::Ehlo(host) => self.hello(&host, true).await,
            Command::Helo(host) => self.hello(&host, false).await,
            Command::StartTls => self.starttls().await,
            Command::Mail(from, with) => self.mail(&from, &with).await,
            Command::Rcpt(to, with) => self.rcpt(&to, &with).await,
            Command::Data => self.data().await,
            Command::Quit => self.quit().await,
            Command::Rset => {
                self.envelope = None;
                self.say_grouped(Reply::new(250, "2.0.0 reset")).await
            }
            Command::Noop => self.say(Reply::new(250, "2.0.0 ok")).await,
            Command::Vrfy => {
                self.say(Reply::new(252, "2.5.2 send some mail and see"))
                    .await
            }
            Command::Help => {
                self.say(Reply::new(214, "2.0.0 a receiver of mxdrill"))
                    .await
            }
            Command::Other(verb) => {
                self.complain(Reply::new(502, format!("5.5.1 {verb} is not offered")))
                    .await
            }
        }
    }

    /// What is no command; the server behind is not told of one that it could take for another.
    async fn misunderstood(&mut self, reply: Reply) -> io::Result<Step> {
        let stage = Command::stage_of(&self.command);
        if stage.is_none() && reply.code == 501 {
            self.command.clear();
        }
        self.complain_at(stage, reply).await
    }

    /// Tells of a command line that CRLF alone should have ended.
    fn look_at_end(&mut self, line: &[u8], end: LineEnd) {
        if end == LineEnd::Lf {
            self.tell_bare(Place::Command, BareOctet::Lf);
        }
        if line.contains(&b'\r') {
            self.tell_bare(Place::Command, BareOctet::Cr);
        }
    }

    /// Tells of a CR or LF by itself, each kind once for each session.
    fn tell_bare(&mut self, place: Place, octet: BareOctet) {
        if self.bare.insert((place, octet)) {
            self.site.record(What::BareOctet {
                session: self.id,
                octet,
                place,
            });
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
