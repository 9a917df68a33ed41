//! The client side of one SMTP session: one message to one candidate.
//!
//! In the order of RFC 5321 section 3:
//!
//! 1. Connect, and wait for the greeting.
//! 2. EHLO, or HELO for a server that does not know EHLO.
//! 3. STARTTLS as far as the demand on the candidate asks and the server offers, then EHLO again
//!    (RFC 3207).
//!    At port 465 TLS comes first of all (RFC 8314). To a relay that offers AUTH the client then says who it is.
//! 4. MAIL, and RCPT for each recipient. Commands are not pipelined.
//! 5. DATA if a recipient was taken, the content, and the final dot, whose reply counts for all
//!    that were taken.
//! 6. QUIT, whatever came of it, unless the connection is broken.
//!
//! Each step has a time-out of its own (section 4.5.3.2). What comes of it is a result for each recipient;
//! what is made of it is decided in `agent`.

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use super::{
    Flaw,
    tls::{self, TlsRequirement},
};
use crate::{
    connection::Connection,
    event::AttemptHint,
    extension::Extension,
    fault::Stage,
    lab::{LabState, network},
    mail::{Mailbox, Message},
    port,
    reply::{Reply, ReplyClass, Status},
    route::Candidate,
    sasl,
    scenario::SenderSettings,
};

/// Octets of content that are sent at once.
const BLOCK: usize = 16 * 1024;

/// Why something was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reason {
    /// The enhanced status code (RFC 3463): the server's own, or one for what happened to the
    /// connection.
    pub(crate) status: Status,
    /// The server's reply, or words of the sender's own.
    pub(crate) text: String,
}

/// The result of an attempt for one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecipientResult {
    /// The receiver accepted the message with a 2yz reply to the final dot, and is responsible for
    /// it from then on (RFC 5321 section 6.1).
    Delivered,
    /// A transient failure: another candidate, or a later pass.
    Deferred(Reason),
    /// This host refuses the client for good, as with a 5yz greeting. Another candidate may do, so
    /// it is final only when all have refused.
    HostRefuses(Reason),
    /// A permanent failure of this recipient: no further attempt anywhere.
    Failed(Reason),
}

/// The result of an attempt.
pub(crate) struct AttemptReport {
    /// Whether anything answered at that address. `false` for a time-out and for what is not
    /// reached, and the address may then be left out for a while.
    pub(crate) connected: bool,
    /// Whether the server that took it offered DSN, and so answers for what was asked.
    pub(crate) dsn_offered: bool,
    /// One for each recipient of the envelope, in its order.
    pub(crate) results: Vec<RecipientResult>,
}

/// What to send in one transaction.
pub(crate) struct Envelope<'a> {
    /// `None` is the null reverse-path.
    pub(crate) from: Option<&'a Mailbox>,
    /// The recipients that are still open.
    pub(crate) to: &'a [Mailbox],
    /// The content as it goes over the wire, with the final dot.
    pub(crate) content: &'a [u8],
    /// Whether it may only go where REQUIRETLS is announced (RFC 8689).
    pub(crate) require_tls: bool,
    /// The message that the content is of.
    pub(crate) message: &'a Message,
    /// What the sender gets wrong.
    pub(crate) flaw: Option<Flaw>,
    /// What is asked of notifications, where DSN is offered.
    pub(crate) dsn: DsnParameters,
}

/// The parameters of RFC 3461 as they follow MAIL and RCPT, a space before each.
#[derive(Debug, Default)]
pub(crate) struct DsnParameters {
    /// Those of MAIL.
    pub(crate) mail: String,
    /// Those of RCPT, for each recipient.
    pub(crate) rcpt: Vec<String>,
}

/// A session that could not go on.
enum SessionError {
    /// The transport or the protocol failed at a stage. QUIT is not tried.
    Broken(Status, String),
    /// The host turned the client away before any transaction: in its greeting, in the reply to EHLO or to AUTH, or
    /// for want of AUTH.
    Turned(Reply),
    /// TLS is needed and not to be had, or not with this certificate.
    Insecure(String),
    /// REQUIRETLS is needed and not announced.
    NoRequireTls,
    /// An extension that the message needs is not announced, or not as large as it needs.
    Lacks(&'static str),
}

/// Tries to hand an envelope to a candidate. It never fails: what goes wrong is in the result.
pub(crate) async fn attempt(
    state: &Arc<LabState>,
    settings: &SenderSettings,
    (candidate, port): (&Candidate, u16),
    requirement: &TlsRequirement,
    hint: AttemptHint,
    envelope: &Envelope<'_>,
) -> AttemptReport {
    let connect = network::connect(state, candidate.address, port, hint);
    let mut session = match state
        .clock
        .within(settings.timeouts.at(Stage::Connect), connect)
        .await
    {
        Some(Ok(stream)) => SmtpClient {
            connection: Connection::new(stream),
            settings,
            state,
            candidate,
            port,
            extensions: Vec::new(),
            flaw: envelope.flaw,
            answered: vec![None; envelope.to.len()],
            beyond: Vec::new(),
            delivered: BTreeSet::new(),
        },
        Some(Err(error)) => {
            // A connection that was made and reset has reached somebody; one that was refused has
            // not.
            let reached = error.kind() == io::ErrorKind::ConnectionReset;
            let stop = SessionError::Broken(
                connect_status(&error),
                format!("connection failed: {error}"),
            );
            return AttemptReport {
                connected: reached,
                dsn_offered: false,
                results: all(envelope, stop),
            };
        }
        None => {
            let stop = SessionError::Broken(Status(4, 4, 1), "connection timed out".to_owned());
            return AttemptReport {
                connected: false,
                dsn_offered: false,
                results: all(envelope, stop),
            };
        }
    };
    let delivered = session.deliver(requirement, envelope).await;
    let dsn_offered = session.offers("DSN");
    let results = match delivered {
        Ok(results) => {
            session.quit().await;
            results
        }
        Err(stop) => {
            if !matches!(stop, SessionError::Broken(..)) {
                session.quit().await;
            }
            let mut results = all(envelope, stop);
            // Who was refused for good stays refused, whatever became of the connection, and who had the
            // message in an earlier transaction has it.
            for (index, answered) in session.answered.into_iter().enumerate() {
                let delivered = session.delivered.contains(&index);
                results[index] = match answered {
                    Some(answered @ RecipientResult::Failed(_)) => answered,
                    Some(answered) if delivered => answered,
                    _ => continue,
                };
            }
            results
        }
    };
    AttemptReport {
        connected: true,
        dsn_offered,
        results,
    }
}

/// Status 4.4.2 "bad connection" if there was one, 4.4.1 "no answer from host" if not (RFC 3463
/// section 3.5).
fn connect_status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::ConnectionReset => Status(4, 4, 2),
        _ => Status(4, 4, 1),
    }
}

/// The result for every recipient when the session could not go on.
fn all(envelope: &Envelope<'_>, stop: SessionError) -> Vec<RecipientResult> {
    let result = match stop {
        SessionError::Broken(status, text) => RecipientResult::Deferred(Reason { status, text }),
        SessionError::Turned(reply) => match reply.class() {
            ReplyClass::Permanent => RecipientResult::HostRefuses(reason(&reply)),
            _ => RecipientResult::Deferred(reason(&reply)),
        },
        // Later will be no better for who asked for it (RFC 8689 section 4.2.1).
        SessionError::Insecure(text) if envelope.require_tls => {
            RecipientResult::HostRefuses(Reason {
                status: Status(5, 7, 10),
                text,
            })
        }
        SessionError::Insecure(text) => RecipientResult::Deferred(Reason {
            status: Status(4, 7, 10),
            text,
        }),
        // Another exchanger may offer it (RFC 5321 section 2.2.3, RFC 6531 section 3.2).
        SessionError::Lacks(extension) => RecipientResult::HostRefuses(Reason {
            status: match extension {
                "SMTPUTF8" => Status(5, 6, 7),
                "SIZE" => Status(5, 3, 4),
                _ => Status(5, 6, 3),
            },
            text: match extension {
                "SIZE" => "the message is larger than SIZE allows".to_owned(),
                extension => format!("{extension} is not announced"),
            },
        }),
        SessionError::NoRequireTls => RecipientResult::HostRefuses(Reason {
            status: Status(5, 7, 30),
            text: "REQUIRETLS is not announced".to_owned(),
        }),
    };
    vec![result; envelope.to.len()]
}

/// The reason that a reply gives, with its own enhanced status or a plain one of its class.
fn reason(reply: &Reply) -> Reason {
    let class = if reply.class() == ReplyClass::Permanent {
        5
    } else {
        4
    };
    Reason {
        status: reply.status().unwrap_or(Status(class, 0, 0)),
        text: reply.to_string(),
    }
}

/// The result that a reply gives, by its first digit (RFC 5321 section 4.2.1).
fn result(reply: &Reply) -> RecipientResult {
    match reply.class() {
        ReplyClass::Positive => RecipientResult::Delivered,
        // 3yz is an answer to DATA alone.
        ReplyClass::Transient | ReplyClass::Intermediate => {
            RecipientResult::Deferred(reason(reply))
        }
        ReplyClass::Permanent => RecipientResult::Failed(reason(reply)),
    }
}

/// Whether RCPT was refused because there are too many (RFC 5321 section 4.5.3.1.10): 452, or 552 of an old
/// server. Either may say something else by an enhanced status, such as that a mailbox is full.
fn is_about_number(reply: &Reply) -> bool {
    let status = reply.status().map(|status| (status.1, status.2));
    matches!(reply.code, 452 | 552) && status.is_none_or(|status| status == (5, 3))
}

/// A session under way.
struct SmtpClient<'s> {
    connection: Connection,
    settings: &'s SenderSettings,
    state: &'s LabState,
    candidate: &'s Candidate,
    port: u16,
    /// The extensions that the last reply to EHLO announced; none after HELO.
    extensions: Vec<Extension>,
    flaw: Option<Flaw>,
    /// The results of the recipients answered so far, by their place in the envelope, so that a permanent refusal survives a
    /// connection that breaks later.
    answered: Vec<Option<RecipientResult>>,
    /// The recipients who were too many for the transaction, by their place in the envelope.
    beyond: Vec<usize>,
    /// Those who have the message by an earlier transaction of the session.
    delivered: BTreeSet<usize>,
}

// Order and dependence of the steps are in `deliver`; each of the others is one step.
impl SmtpClient<'_> {
    async fn deliver(
        &mut self,
        requirement: &TlsRequirement,
        envelope: &Envelope<'_>,
    ) -> Result<Vec<RecipientResult>, SessionError> {
        // RFC 8314 section 3: TLS is negotiated at once, and STARTTLS is not needed.
        if self.port == port::SUBMISSIONS {
            self.handshake(requirement).await?;
        }
        let greeting = match self.flaw {
            Some(Flaw::SpeaksFirst) => {
                let name = self.own_name();
                self.send(Stage::Helo, format!("EHLO {name}\r\n").as_bytes())
                    .await?;
                self.reply(Stage::Greeting).await?
            }
            _ => self.reply(Stage::Greeting).await?,
        };
        if greeting.class() != ReplyClass::Positive {
            return Err(SessionError::Turned(greeting));
        }
        self.hello().await?;
        if !self.connection.is_tls() {
            self.secure(requirement).await?;
        }
        self.authenticate().await?;
        if envelope.require_tls && !self.offers("REQUIRETLS") {
            return Err(SessionError::NoRequireTls);
        }
        let ignored = match self.flaw {
            Some(Flaw::SendsUtf8Anyway) => Some("SMTPUTF8"),
            Some(Flaw::SendsEightBitAnyway) => Some("8BITMIME"),
            _ => None,
        };
        match envelope.message.want(&self.extensions) {
            Some(extension) if Some(extension) != ignored => Err(SessionError::Lacks(extension)),
            _ => self.transactions(envelope).await,
        }
    }

    /// As many transactions as the server needs for the recipients: those who are too many for one are sent the
    /// message in the next, at once, as long as each is of use (RFC 5321 section 4.5.3.1.10).
    async fn transactions(
        &mut self,
        envelope: &Envelope<'_>,
    ) -> Result<Vec<RecipientResult>, SessionError> {
        let mut open: Vec<usize> = (0..envelope.to.len()).collect();
        while !open.is_empty() {
            let answers = self.transaction(envelope, &open).await?;
            let mut of_use = false;
            for (place, answer) in open.iter().zip(answers) {
                if answer == RecipientResult::Delivered {
                    of_use = true;
                    self.delivered.insert(*place);
                }
                self.answered[*place] = Some(answer);
            }
            open = std::mem::take(&mut self.beyond);
            if !of_use {
                break;
            }
        }
        Ok(self.answered.iter().flatten().cloned().collect())
    }

    /// Whether the server announced a keyword. Keywords are compared without case (RFC 5321 section
    /// 4.1.1.1).
    fn offers(&self, keyword: &str) -> bool {
        self.extensions.iter().any(|known| known.is(keyword))
    }

    /// What it calls itself.
    fn own_name(&self) -> String {
        match self.settings.names.first() {
            Some(_) if self.flaw == Some(Flaw::SaysUtf8Name) => "müller.sender.test".to_owned(),
            Some(name) if self.flaw != Some(Flaw::SaysLocalhost) => name.to_string(),
            _ => "localhost".to_owned(),
        }
    }

    /// EHLO, or HELO if the server does not know it. The keywords of the reply replace those known
    /// before.
    async fn hello(&mut self) -> Result<(), SessionError> {
        let name = self.own_name();
        self.extensions.clear();
        let (reply, lines) = match self.flaw {
            Some(Flaw::SaysHelo) => (Reply::new(502, "not tried"), Vec::new()),
            // It was sent already.
            Some(Flaw::SpeaksFirst) if !self.connection.is_tls() => self.lines(Stage::Helo).await?,
            _ => self.exchange(Stage::Helo, &format!("EHLO {name}")).await?,
        };
        let reply = match reply.code {
            // A server that knows no EHLO (RFC 5321 section 3.2).
            500 | 502 | 504 => self.command(Stage::Helo, &format!("HELO {name}")).await?,
            _ => {
                let lines = lines.iter().skip(1);
                self.extensions = lines.filter_map(|line| Extension::of_line(line)).collect();
                reply
            }
        };
        match reply.class() {
            ReplyClass::Positive => Ok(()),
            _ => Err(SessionError::Turned(reply)),
        }
    }

    /// Goes on inside TLS, as far as the demand asks and the server allows.
    ///
    /// A handshake that fails ends the session: the candidate fails transiently. After STARTTLS was
    /// answered with 220 there is no way back to plain text on this connection.
    async fn secure(&mut self, requirement: &TlsRequirement) -> Result<(), SessionError> {
        if let TlsRequirement::Plain = requirement {
            return Ok(());
        }
        if !self.offers("STARTTLS") {
            return plain(requirement, "STARTTLS is not offered".to_owned());
        }
        let reply = self.command(Stage::Starttls, "STARTTLS").await?;
        if reply.code != 220 {
            return plain(requirement, format!("STARTTLS: {reply}"));
        }
        if self.flaw == Some(Flaw::SkipsHandshake) {
            return self.hello().await;
        }
        self.handshake(requirement).await?;
        // What was announced in plain text counts no more (RFC 3207 section 4.2).
        if self.flaw == Some(Flaw::SkipsEhloInTls) {
            return Ok(());
        }
        self.hello().await?;
        if self.flaw == Some(Flaw::StartsTlsTwice) {
            self.command(Stage::Starttls, "STARTTLS").await?;
        }
        Ok(())
    }

    /// The handshake, in its time.
    async fn handshake(&mut self, requirement: &TlsRequirement) -> Result<(), SessionError> {
        let wait = self.settings.timeouts.at(Stage::Starttls);
        let (state, exchanger) = (self.state, &self.candidate.exchanger);
        let secured = self
            .connection
            .secure(|stream| tls::handshake(state, requirement, exchanger, stream));
        match state.clock.within(wait, secured).await {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(SessionError::Insecure(format!("TLS failed: {error}"))),
            None => Err(SessionError::Broken(
                Status(4, 4, 2),
                "at starttls: no answer in time".to_owned(),
            )),
        }
    }

    /// Says who it is to a relay that wants to know, inside TLS alone: PLAIN hides nothing (RFC 4616 section 5).
    ///
    /// A relay that does not offer it may take mail without; one that does not know the client turns it away.
    async fn authenticate(&mut self) -> Result<(), SessionError> {
        let Some(login) = &self.settings.login else {
            return Ok(());
        };
        let is_careless = self.flaw == Some(Flaw::SendsCredentialsInPlain);
        if !self.connection.is_tls() && !is_careless {
            let text = "there is no TLS to send credentials in".to_owned();
            return Err(SessionError::Insecure(text));
        }
        let is_plain = |word: &str| word.eq_ignore_ascii_case("PLAIN");
        let mut auth = self.extensions.iter().filter(|one| one.is("AUTH"));
        if !auth.any(|one| one.parameters.split_whitespace().any(is_plain)) {
            return Ok(());
        }
        let message = sasl::plain(&login.user, &login.password);
        let command = format!("AUTH PLAIN {}", sasl::encode(&message));
        let reply = self.command(Stage::Auth, &command).await?;
        match reply.class() {
            ReplyClass::Positive => Ok(()),
            _ => Err(SessionError::Turned(reply)),
        }
    }

    /// MAIL, RCPT and the content; a result for each recipient.
    ///
    /// A negative reply to MAIL is about the message and so about all recipients. A negative reply
    /// to RCPT is about that recipient alone.
    async fn transaction(
        &mut self,
        envelope: &Envelope<'_>,
        open: &[usize],
    ) -> Result<Vec<RecipientResult>, SessionError> {
        let from = envelope.from.map_or("".into(), Mailbox::said);
        let parameters = self.parameters(envelope);
        let mail = format!("MAIL FROM:<{from}>{parameters}");
        let mut with_mail = None;
        let reply = match self.flaw {
            Some(Flaw::DoesNotWait) => {
                let first = open.first().and_then(|place| envelope.to.get(*place));
                let to = first.map_or("".into(), Mailbox::said);
                let group = format!("{mail}\r\nRCPT TO:<{to}>");
                let reply = self.command(Stage::Mail, &group).await?;
                with_mail = Some(self.reply(Stage::Rcpt).await?);
                reply
            }
            Some(Flaw::SendsMailTwice) => {
                let reply = self.command(Stage::Mail, &mail).await?;
                self.command(Stage::Mail, &mail).await?;
                reply
            }
            _ => self.command(Stage::Mail, &mail).await?,
        };
        // Where messages are submitted, it is the client that has to show who it is (RFC 4954 section 6).
        if reply.code == 530 && self.port != port::SMTP {
            return Err(SessionError::Turned(reply));
        }
        if reply.class() != ReplyClass::Positive {
            return Ok(vec![result(&reply); open.len()]);
        }
        let mut results = Vec::new();
        for place in open {
            let to = self.path_of(&envelope.to[*place]);
            let reply = match with_mail.take() {
                Some(reply) => reply,
                None => {
                    let asked = self.dsn(envelope).and_then(|dsn| dsn.rcpt.get(*place));
                    let asked = asked.map_or("", |asked| asked);
                    let rcpt = format!("RCPT TO:<{to}>{}{asked}", self.rcpt_parameters());
                    self.command(Stage::Rcpt, &rcpt).await?
                }
            };
            let result = match reply.code {
                // Too many recipients, not this one (RFC 5321 section 4.5.3.1.10).
                552 => RecipientResult::Deferred(Reason {
                    status: Status(4, 5, 3),
                    text: reply.to_string(),
                }),
                _ => result(&reply),
            };
            if is_about_number(&reply) {
                self.beyond.push(*place);
            }
            self.answered[*place] = Some(result.clone());
            results.push(result);
        }
        // Without a recipient there is nothing to send, and DATA would be refused (RFC 5321 section
        // 3.3).
        if !results.contains(&RecipientResult::Delivered) {
            return Ok(results);
        }
        let end = self.content(envelope.content).await?;
        // What was said of the message is said of every recipient taken so far.
        results
            .iter_mut()
            .filter(|result| **result == RecipientResult::Delivered)
            .for_each(|taken| *taken = result(&end));
        Ok(results)
    }

    /// What is asked of notifications, if this server wants to know: each decides anew (RFC 3461 section 5.2).
    fn dsn<'e>(&self, envelope: &'e Envelope<'_>) -> Option<&'e DsnParameters> {
        self.offers("DSN").then_some(&envelope.dsn)
    }

    /// The parameters of MAIL: what the message is like, as far as the server wants to know.
    fn parameters(&self, envelope: &Envelope<'_>) -> String {
        let mut parameters = String::new();
        let message = envelope.message;
        if self.offers("SIZE") {
            parameters.push_str(&format!(" SIZE={}", size_of(envelope.content)));
        }
        if message.needs_eight_bit() && self.offers("8BITMIME") {
            parameters.push_str(" BODY=8BITMIME");
        }
        let wanted = message.needs_smtputf8() || self.flaw == Some(Flaw::AsksForUtf8);
        if wanted && self.offers("SMTPUTF8") {
            parameters.push_str(" SMTPUTF8");
        }
        if envelope.require_tls {
            parameters.push_str(" REQUIRETLS");
        }
        parameters.push_str(self.dsn(envelope).map_or("", |dsn| &dsn.mail));
        parameters
    }

    /// The parameters of RCPT.
    fn rcpt_parameters(&self) -> &'static str {
        match self.flaw {
            Some(Flaw::SendsNotifyAnyway) => " NOTIFY=NEVER",
            _ => "",
        }
    }

    /// A recipient as RCPT names it.
    fn path_of(&self, to: &Mailbox) -> String {
        match self.flaw {
            Some(Flaw::LowersLocalParts) => to.said().to_lowercase(),
            Some(Flaw::SendsSourceRoutes) => format!("@{}:{}", self.candidate.exchanger, to.said()),
            _ => to.said().into_owned(),
        }
    }

    /// DATA, the content and the reply to the final dot, or the negative reply to DATA.
    async fn content(&mut self, content: &[u8]) -> Result<Reply, SessionError> {
        if self.flaw == Some(Flaw::SendsContentWithData) {
            self.send(Stage::Data, &[b"DATA\r\n", content].concat())
                .await?;
            self.reply(Stage::Data).await?;
            return self.reply(Stage::Dot).await;
        }
        if self.flaw == Some(Flaw::MixesBdatAndData) && self.offers("CHUNKING") {
            self.command(Stage::Data, "BDAT 2\r\n").await?;
        }
        let content = match self.flaw {
            Some(Flaw::EndsLinesWithLf) => &with_bare_lf(content),
            Some(Flaw::LeavesDots) => &without_doubled_dots(content),
            _ => content,
        };
        let reply = self.command(Stage::Data, "DATA").await?;
        if self.flaw == Some(Flaw::IgnoresRefusedData) && reply.class() != ReplyClass::Intermediate
        {
            let first = content.split_inclusive(|octet| *octet == b'\n').next();
            self.send(Stage::Content, first.unwrap_or_default()).await?;
            self.reply(Stage::Content).await?;
            return Ok(reply);
        }
        if reply.class() != ReplyClass::Intermediate {
            // The first digit alone tells (RFC 5321 section 4.2): without a 3 there is no leave to send, and
            // the message is not taken, whatever a 2 may be meant to say.
            return Ok(if reply.class() == ReplyClass::Positive {
                Reply::new(451, "4.5.0 unexpected reply to DATA")
            } else {
                reply
            });
        }
        // The time-out is that of a block, not of them all (RFC 5321 section 4.5.3.2.5).
        for block in content.chunks(BLOCK) {
            self.send(Stage::Content, block).await?;
        }
        self.reply(Stage::Dot).await
    }

    /// Ends the session politely (RFC 5321 section 4.1.1.10).
    async fn quit(&mut self) {
        if self.flaw == Some(Flaw::LeavesWithoutQuit) {
            return self.connection.close().await;
        }
        // The message is settled; what becomes of QUIT changes nothing.
        self.command(Stage::Quit, "QUIT").await.ok();
        self.connection.close().await;
    }

    async fn command(&mut self, stage: Stage, line: &str) -> Result<Reply, SessionError> {
        self.exchange(stage, line).await.map(|(reply, _)| reply)
    }

    /// Sends a command; its reply, and the text of all lines of the reply.
    async fn exchange(
        &mut self,
        stage: Stage,
        line: &str,
    ) -> Result<(Reply, Vec<String>), SessionError> {
        self.send(stage, format!("{line}\r\n").as_bytes()).await?;
        self.lines(stage).await
    }

    /// Sends octets; the time-out is that of the stage.
    async fn send(&mut self, stage: Stage, octets: &[u8]) -> Result<(), SessionError> {
        let wait = self.settings.timeouts.at(stage);
        within(self.state, wait, stage, self.connection.send(octets)).await
    }

    async fn reply(&mut self, stage: Stage) -> Result<Reply, SessionError> {
        self.lines(stage).await.map(|(reply, _)| reply)
    }

    /// Reads a reply, all its lines.
    async fn lines(&mut self, stage: Stage) -> Result<(Reply, Vec<String>), SessionError> {
        let wait = self.settings.timeouts.at(stage);
        let connection = &mut self.connection;
        within(self.state, wait, stage, connection.reply()).await
    }
}

/// The octets of a content, which goes over the wire with its dots doubled and a dot at its end that do not count
/// (RFC 1870 section 3).
fn size_of(content: &[u8]) -> usize {
    let lines = content.split_inclusive(|octet| *octet == b'\n');
    let doubled = lines.filter(|line| line.starts_with(b"..")).count();
    content.len() - doubled - b".\r\n".len()
}

/// Content whose lines end in LF, up to the last, which ends it.
fn with_bare_lf(content: &[u8]) -> Vec<u8> {
    let body = content.strip_suffix(b"\r\n.\r\n").unwrap_or(content);
    let mut wrong: Vec<u8> = body
        .iter()
        .copied()
        .filter(|octet| *octet != b'\r')
        .collect();
    wrong.extend_from_slice(b"\r\n.\r\n");
    wrong
}

/// Content in which the dots are not doubled.
fn without_doubled_dots(content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|octet| *octet == b'\n');
    let undone = lines.flat_map(|line| match line {
        [b'.', b'.', ..] => &line[1..],
        _ => line,
    });
    undone.copied().collect()
}

/// Goes on in plain text if the demand allows it; an error if not.
fn plain(requirement: &TlsRequirement, why: String) -> Result<(), SessionError> {
    if requirement.allows_plain() {
        Ok(())
    } else {
        Err(SessionError::Insecure(why))
    }
}

/// A step within its time. What breaks or takes too long is status 4.4.2: the connection is of no
/// more use.
async fn within<T>(
    state: &LabState,
    wait: Duration,
    stage: Stage,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, SessionError> {
    match state.clock.within(wait, step).await {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(SessionError::Broken(
            Status(4, 4, 2),
            format!("at {stage}: {error}"),
        )),
        None => Err(SessionError::Broken(
            Status(4, 4, 2),
            format!("at {stage}: no answer in time"),
        )),
    }
}
