//! A fake SMTP receiver: one session of it, as RFC 5321 asks, failing where a fault says so.
//!
//! Faults decide before the receiver does; what it answers and takes goes to the lab's log and mailbox.
//!
//! A session runs like this:
//!
//! 1. The greeting (RFC 5321 section 3.1). If a fault makes it negative, all commands but QUIT are
//!    refused.
//! 2. Lines are read one at a time. A line that ends with LF alone is served and noted: senders
//!    that do so let messages be smuggled.
//! 3. `command` parses the line (section 4.1.1), strictly: what a lab lets pass, a sender never
//!    learns.
//! 4. EHLO and HELO begin anew; MAIL and RCPT are `envelope`'s, DATA and what follows `content`'s,
//!    STARTTLS `starttls`'s, AUTH `auth`'s.
//! 5. Before each answer, `answer` asks whether a fault strikes at that stage. If so it decides;
//!    otherwise the receiver answers, or the server that stands behind it.
//! 6. The session ends with QUIT, with a 421, by a fault, when the client is gone, or after ten
//!    minutes without a command.
//!
//! Every answer at a stage is an event, and so is the end. Commands outside the stages (NOOP, VRFY,
//! RSET) are served and not logged: nothing is judged by them.

mod answer;
mod auth;
mod command;
mod content;
mod dots;
mod envelope;
mod limits;
mod offer;
mod starttls;

use std::{collections::BTreeSet, io, net::IpAddr, sync::Arc, time::Duration};

use self::{command::SmtpCommand, envelope::ReceivedEnvelope, offer::Hello};
pub(crate) use self::{
    limits::Loads,
    offer::{Means, Offer},
};
use super::{LabState, upstream::Upstream};
use crate::{
    connection::{Connection, Line, LineEnd},
    event::{BareOctet, EventKind, Particulars, SessionEnd, SessionId, SessionPart},
    extension::{self, Extension},
    fault::Stage,
    name::Domain,
    reply::{Reply, ReplyClass},
    scenario::{AuthSettings, Limits},
    stream::Stream,
    tls::Credentials,
};

/// How long a receiver waits for a command: 5 minutes are the least (RFC 5321 section 4.5.3.2.7), and what many senders
/// wait for a reply (4.5.3.2.1 to 3). One that hung up at the same moment would leave it to chance who is first.
const IDLE: Duration = Duration::from_secs(600);
/// The largest message accepted, in octets, where the scenario sets no other limit: 50 MiB. It
/// is announced with SIZE (RFC 1870).
pub(super) const MAX_SIZE: usize = 50 * 1024 * 1024;

/// One receiver: the SMTP server at one address of the zone.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    /// Its address in the zone.
    pub(crate) address: IpAddr,
    /// Its names, aliases included; the first is the one that it goes by. Empty if only a literal
    /// leads to it.
    pub(crate) names: Arc<[Domain]>,
    /// The largest message that it accepts, in octets, where it announces no other limit.
    pub(crate) max_size: usize,
    /// Whether the scenario sets that limit, whatever is announced.
    pub(crate) is_size_set: bool,
    /// The extensions that it offers.
    pub(crate) offer: Offer,
    /// The certificate and key with which it offers STARTTLS; `None`: it does not.
    pub(crate) credentials: Option<Credentials>,
    /// Whether the scenario lists its extensions.
    pub(crate) is_listed: bool,
    /// The ports at which it listens, in order; 25 is among them.
    pub(crate) ports: Vec<u16>,
    /// The AUTH that it offers; `None`: it does not.
    pub(crate) auth: Option<AuthSettings>,
    /// What it can bear.
    pub(crate) limits: Limits,
    /// `host:port` of the server that stands behind it; `None`: it answers itself.
    pub(crate) upstream: Option<String>,
}

impl Receiver {
    /// Whether the server behind says what is offered, and judges parameters: there is one, and the scenario does not
    /// list the extensions.
    fn asks_the_server_behind(&self) -> bool {
        self.upstream.is_some() && !self.is_listed
    }

    fn greeting_name(&self) -> String {
        greeting_name(&self.names, self.address)
    }
}

/// The name that a receiver goes by in its greeting and in its reply to EHLO, an address literal if it
/// has none (RFC 5321 section 4.1.3).
pub(super) fn greeting_name(names: &[Domain], address: IpAddr) -> String {
    let first = names.first();
    first.map_or_else(|| format!("[{address}]"), ToString::to_string)
}

/// What a step of a session leaves.
enum Step {
    Go,
    /// The session is over, and how.
    Ended(SessionEnd),
}

/// One session with a client.
pub(crate) struct Session {
    state: Arc<LabState>,
    receiver: Arc<Receiver>,
    id: SessionId,
    /// The port to which the client connected, as the scenario has it.
    port: u16,
    /// Where the client is, as far as that is known.
    client: IpAddr,
    connection: Connection,
    /// The session with the server behind, if there is one and it answered.
    upstream: Option<Upstream>,
    /// The command being served, with its CRLF, for the server behind. Empty: it is not to hear of
    /// it.
    command: Vec<u8>,
    /// Its first word, for the log.
    verb: String,
    /// Whether the client has shown who it is, in this state of the connection.
    authenticated: bool,
    /// Whether EHLO or HELO was accepted, and not undone by STARTTLS.
    greeted: bool,
    /// The extensions that the last reply to EHLO offered; none after HELO.
    offered: Arc<[Extension]>,
    /// What EHLO, if that is being served, is to be answered with.
    hello: Option<Hello>,
    /// What the log is to have of the command being served beside its argument.
    more: Particulars,
    /// After a negative greeting only QUIT is served (RFC 5321 section 3.1).
    refusing: bool,
    /// The transaction under way: from a MAIL that was accepted to the end of the data, RSET or
    /// another EHLO.
    envelope: Option<ReceivedEnvelope>,
    /// Whether it is counted as a session under way.
    counted: bool,
    /// MAIL commands in order so far.
    mails: usize,
    /// The domains of its recipients so far, where there may be so many.
    domains: BTreeSet<String>,
    /// Plain text that goes out behind the next reply.
    injected: Vec<u8>,
    /// Bad commands in a row.
    errors: usize,
    /// The bare CRs and LFs that were logged, so that each kind is once for each session.
    bare: BTreeSet<(SessionPart, BareOctet)>,
}

/// Serves a client from greeting to end.
pub(crate) async fn serve(
    state: Arc<LabState>,
    (receiver, port): (Arc<Receiver>, u16),
    id: SessionId,
    client: IpAddr,
    stream: Stream,
) {
    let connection = Connection::new(stream);
    let mut session = Session {
        state,
        receiver,
        id,
        port,
        client,
        connection,
        upstream: None,
        command: Vec::new(),
        verb: String::new(),
        authenticated: false,
        greeted: false,
        offered: Arc::default(),
        hello: None,
        more: Particulars::default(),
        refusing: false,
        envelope: None,
        counted: false,
        mails: 0,
        domains: BTreeSet::new(),
        injected: Vec::new(),
        errors: 0,
        bare: BTreeSet::new(),
    };
    // An I/O error is a client that went away.
    let how = session.run().await.unwrap_or(SessionEnd::ClientClosed);
    session.leave();
    session.state.record(EventKind::End { session: id, how });
}

impl Session {
    /// The session from greeting to end; how it ended.
    async fn run(&mut self) -> io::Result<SessionEnd> {
        if let Step::Ended(how) = self.secure_from_the_start().await? {
            return Ok(how);
        }
        let greeting = match self.turned_away() {
            Some(refusal) => refusal,
            None => self.greeting().await,
        };
        if let Step::Ended(how) = self.greet(greeting).await? {
            return Ok(how);
        }
        loop {
            let (patience, _) = self.patience();
            let line = self.state.clock.within(patience, self.connection.line());
            let line = match line.await {
                Some(line) => line?,
                None => return self.out_of_patience().await,
            };
            let step = match line {
                Line::Complete(line, end) => {
                    self.look_at_end(&line, end);
                    self.command(line).await?
                }
                Line::TooLong => self.too_long().await?,
                Line::End => return Ok(SessionEnd::ClientClosed),
            };
            if let Step::Ended(how) = step {
                return Ok(how);
            }
        }
    }

    /// Answers a line that is too long to be read. It is logged at the stage of the command that
    /// would come next, since nobody can say which it was.
    async fn too_long(&mut self) -> io::Result<Step> {
        self.command.clear();
        let stage = self.next_stage();
        self.complain_at(Some(stage), Reply::new(500, "5.5.6 line too long"))
            .await
    }

    /// The stage of the command that would come next.
    fn next_stage(&self) -> Stage {
        match (self.greeted, &self.envelope) {
            (false, _) => Stage::Helo,
            (true, None) => Stage::Mail,
            (true, Some(_)) => Stage::Rcpt,
        }
    }

    /// The greeting: the lab's own, or that of the server behind. If that cannot be reached, 421.
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
    ///
    /// The server behind hears of a command only here, after it was found in order and no fault has
    /// answered it.
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
            Ok(reply) if stage == Some(Stage::Helo) && self.receiver.asks_the_server_behind() => {
                merged_hello(&reply, &own)
            }
            Ok(reply) if stage == Some(Stage::Helo) => Reply {
                code: reply.code,
                ..own
            },
            Ok(reply) => reply,
            Err(error) => lost_upstream(&error),
        }
    }

    /// Hangs up on a client that was idle for too long (RFC 5321 section 3.8 allows a 421).
    async fn idle(&mut self) -> io::Result<SessionEnd> {
        self.connection
            .send(b"421 4.4.2 idle for too long\r\n")
            .await?;
        self.connection.close().await;
        Ok(SessionEnd::Idle)
    }

    /// Sends the greeting, and remembers if it was negative.
    async fn greet(&mut self, greeting: Reply) -> io::Result<Step> {
        let (step, sent) = self.answer(Stage::Greeting, None, None, greeting).await?;
        self.refusing = sent.is_some_and(|reply| reply.class() != ReplyClass::Positive);
        Ok(step)
    }

    /// Serves one command.
    async fn command(&mut self, mut line: Vec<u8>) -> io::Result<Step> {
        SmtpCommand::verb_of(&line, &mut self.verb);
        let command = SmtpCommand::read(&line);
        line.extend_from_slice(b"\r\n");
        self.command = line;
        let command = match command {
            Ok(command) => command,
            Err(reply) => return self.misunderstood(reply).await,
        };
        if self.refusing && command != SmtpCommand::Quit {
            self.command.clear();
            return self
                .complain(Reply::new(503, "5.5.1 no service here"))
                .await;
        }
        // Only an unbroken row of bad commands gets a client hung up on.
        self.errors = 0;
        match command {
            SmtpCommand::Ehlo(host) => self.hello(&host, true).await,
            SmtpCommand::Helo(host) => self.hello(&host, false).await,
            SmtpCommand::StartTls => self.starttls().await,
            SmtpCommand::Auth(mechanism, initial) => self.auth(&mechanism, initial).await,
            SmtpCommand::Mail(from, with) => self.mail(&from, &with).await,
            SmtpCommand::Rcpt(to, with) => self.rcpt(&to, &with).await,
            SmtpCommand::Data => self.data().await,
            SmtpCommand::Bdat(octets, last) => self.bdat(octets, last).await,
            SmtpCommand::Quit => self.quit().await,
            SmtpCommand::Rset => {
                self.envelope = None;
                self.say_grouped(Reply::new(250, "2.0.0 reset")).await
            }
            SmtpCommand::Noop => self.say(Reply::new(250, "2.0.0 ok")).await,
            SmtpCommand::Vrfy => {
                self.say(Reply::new(252, "2.5.2 send some mail and see"))
                    .await
            }
            SmtpCommand::Help => {
                self.say(Reply::new(214, "2.0.0 a receiver of mxdrill"))
                    .await
            }
            SmtpCommand::Other(verb) => {
                self.complain(Reply::new(502, format!("5.5.1 {verb} is not offered")))
                    .await
            }
        }
    }

    /// What is no command; the server behind is not told of one that it could take for another.
    ///
    /// Such is DATA, RSET or QUIT with an argument (501, and none of the stages that
    /// `stage_of` knows): a lenient server would obey it.
    async fn misunderstood(&mut self, reply: Reply) -> io::Result<Step> {
        let stage = SmtpCommand::stage_of(&self.command);
        if stage.is_none() && reply.code == 501 {
            self.command.clear();
        }
        self.complain_at(stage, reply).await
    }

    /// Tells of a command line that CRLF alone should have ended.
    fn look_at_end(&mut self, line: &[u8], end: LineEnd) {
        if end == LineEnd::Lf {
            self.tell_bare(SessionPart::Command, BareOctet::Lf);
        }
        if line.contains(&b'\r') {
            self.tell_bare(SessionPart::Command, BareOctet::Cr);
        }
    }

    /// Tells of a CR or LF by itself, each kind once for each session.
    fn tell_bare(&mut self, place: SessionPart, octet: BareOctet) {
        if self.bare.insert((place, octet)) {
            self.state.record(EventKind::BareOctet {
                session: self.id,
                octet,
                place,
            });
        }
    }

    /// EHLO or HELO. The list of extensions is what the receiver honours: a sender may use all of
    /// it, and nothing else. A positive reply clears the transaction (RFC 5321 section 4.1.4).
    async fn hello(&mut self, name: &str, extended: bool) -> io::Result<Step> {
        let reply = if extended {
            let starttls = self.offers_starttls();
            let hello = self
                .receiver
                .offer
                .hello(self.connection.is_tls(), starttls);
            self.hello = Some(hello.clone());
            Reply::new(250, &*hello.text)
        } else {
            self.more.verb = Some("HELO".into());
            Reply::new(250, self.receiver.greeting_name())
        };
        let (step, sent) = self.answer(Stage::Helo, Some(name), None, reply).await?;
        if is_positive(sent.as_ref()) {
            self.greeted = true;
            self.envelope = None;
        }
        Ok(step)
    }

    /// The largest message that is accepted now, in octets: inside TLS another limit may be announced.
    fn max_size(&self) -> usize {
        let is_own = self.receiver.upstream.is_none() && !self.receiver.is_size_set;
        let announced = extension::size(&self.offered).filter(|_| is_own);
        announced.unwrap_or(self.receiver.max_size)
    }

    /// Whether the client was offered an extension.
    fn offers(&self, keyword: &str) -> bool {
        extension::is_offered(&self.offered, keyword)
    }

    /// QUIT; the receiver closes after its reply (RFC 5321 section 4.1.1.10).
    async fn quit(&mut self) -> io::Result<Step> {
        let (step, _) = self
            .answer(Stage::Quit, None, None, Reply::new(221, "2.0.0 bye"))
            .await?;
        if let Step::Go = step {
            self.connection.close().await;
            return Ok(Step::Ended(SessionEnd::Quit));
        }
        Ok(step)
    }
}

/// What EHLO announces where a server stands behind: what that one does, but for what the receiver
/// has to do itself.
///
/// TLS is the receiver's, since the server behind only sees plain text. Extensions that carry
/// content in other ways than DATA, or that change who the client is, would pass by the faults.
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
    reply.is_some_and(|reply| reply.class() == ReplyClass::Positive)
}
