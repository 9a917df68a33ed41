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

mod envelope;
mod results;
mod security;
mod transaction;

use std::{collections::BTreeSet, io, sync::Arc, time::Duration};

use self::results::{SessionError, all, connect_status};
pub(crate) use self::{
    envelope::Envelope,
    results::{AttemptReport, Reason, RecipientResult},
};
use super::{Flaw, tls::TlsRequirement};
use crate::{
    connection::Connection,
    event::AttemptHint,
    extension::{self, Extension},
    fault::Stage,
    lab::{LabState, network},
    mail::DELIVERBY,
    name::Domain,
    port,
    reply::{Reply, ReplyClass, Status},
    route::Candidate,
    scenario::SenderSettings,
};

/// Tries to hand an envelope to a candidate. It never fails: what goes wrong is in the result.
pub(crate) async fn attempt(
    state: &Arc<LabState>,
    settings: &SenderSettings,
    (candidate, port): (&Candidate, u16),
    requirement: &TlsRequirement,
    hint: AttemptHint,
    envelope: &Envelope<'_>,
) -> AttemptReport {
    let connect = network::connect::to_receiver(state, candidate.address, port, hint);
    let mut session = match state
        .clock
        .within(settings.timeouts.at(Stage::Connect), connect)
        .await
    {
        Some(Ok(stream)) => SmtpClient {
            // Nothing is known of the server yet: an extension counts only once EHLO has announced it.
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
            return without_session(reached, envelope, stop);
        }
        None => {
            let stop = SessionError::Broken(Status(4, 4, 1), "connection timed out".to_owned());
            return without_session(false, envelope, stop);
        }
    };
    let delivered = session.deliver(requirement, envelope).await;
    let results = match delivered {
        Ok(results) => {
            session.quit().await;
            results
        }
        Err(stop) => {
            // RFC 5321 section 4.1.1.10: QUIT wherever the connection still works, also after a 554 greeting.
            if !matches!(stop, SessionError::Broken(..)) {
                session.quit().await;
            }
            let mut results = all(envelope, stop);
            // Who was refused for good stays refused, whatever became of the connection, and who had the
            // message in an earlier transaction has it.
            for (index, answered) in session.answered.iter_mut().enumerate() {
                let delivered = session.delivered.contains(&index);
                results[index] = match answered.take() {
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
        offered: session.extensions,
        results,
    }
}

/// What came of an attempt that never was a session.
fn without_session(reached: bool, envelope: &Envelope<'_>, stop: SessionError) -> AttemptReport {
    AttemptReport {
        connected: reached,
        offered: Vec::new(),
        results: all(envelope, stop),
    }
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
    /// The results of the recipients answered so far, by their place in the envelope, so that a permanent refusal
    /// survives a connection that breaks later.
    answered: Vec<Option<RecipientResult>>,
    /// The recipients who were too many for the transaction, by their place in the envelope.
    beyond: Vec<usize>,
    /// Those who have the message by an earlier transaction of the session.
    delivered: BTreeSet<usize>,
}

// Order and dependence of the steps are in `deliver`; each of the others is one step. What has to do with TLS is in
// `security`, what with a message in `transaction`.
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
        // What the message needs of the server is known only now, after the last EHLO.
        let ignored = match self.flaw {
            Some(Flaw::SendsUtf8Anyway) => Some("SMTPUTF8"),
            Some(Flaw::SendsEightBitAnyway) => Some("8BITMIME"),
            _ => None,
        };
        let now = self.state.clock.now();
        match envelope.message.want(&self.extensions, now) {
            Some(DELIVERBY) if self.offers(DELIVERBY) => Err(SessionError::TooUrgent),
            Some(extension) if Some(extension) != ignored => Err(SessionError::Lacks(extension)),
            _ => self.transactions(envelope).await,
        }
    }

    /// Whether the server announced a keyword. Keywords are compared without case (RFC 5321 section
    /// 4.1.1.1).
    fn offers(&self, keyword: &str) -> bool {
        extension::is_offered(&self.extensions, keyword)
    }

    /// What it calls itself.
    fn own_name(&self) -> String {
        if self.flaw == Some(Flaw::SaysUnknownName)
            && let Some(name) = self.unknown_name()
        {
            return name;
        }
        match self.settings.names.first() {
            Some(_) if self.flaw == Some(Flaw::SaysUtf8Name) => "müller.sender.test".to_owned(),
            Some(name) if self.flaw != Some(Flaw::SaysLocalhost) => name.to_string(),
            _ => "localhost".to_owned(),
        }
    }

    /// A name below the first apex of the scenario's own zones, for a flaw: nobody has it.
    fn unknown_name(&self) -> Option<String> {
        let world = &self.state.scenario.world;
        let zone = world.zones.zones().next()?;
        let mut apexes = zone.records().filter(|one| {
            one.record_type() == hickory_proto::rr::RecordType::SOA && !world.own().contains(one)
        });
        let apex = Domain::from(&apexes.next()?.name);
        Some(apex.prefixed("nobody").to_string())
    }

    /// EHLO, or HELO if the server does not know it. The keywords of the reply replace those known
    /// before.
    async fn hello(&mut self) -> Result<(), SessionError> {
        let name = self.own_name();
        self.extensions.clear();
        let (reply, lines) = match self.flaw {
            Some(Flaw::SaysHelo) => (Reply::new(502, "not tried"), Vec::new()),
            Some(Flaw::SkipsHello) => return Ok(()),
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
