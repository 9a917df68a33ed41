//! The client side of one SMTP session: one message to one candidate.
//!
//! In the order of RFC 5321 section 3:
//!
//! 1. Connect, and wait for the greeting.
//! 2. EHLO, or HELO for a server that does not know EHLO.
//! 3. STARTTLS as far as the demand on the candidate asks and the server offers, then EHLO again
//!    (RFC 3207).
//! 4. MAIL, and RCPT for each recipient. Commands are not pipelined.
//! 5. DATA if a recipient was taken, the content, and the final dot, whose reply counts for all
//!    that were taken.
//! 6. QUIT, whatever came of it, unless the connection is broken.
//!
//! Each step has a time-out of its own (section 4.5.3.2). The result is a fate for each recipient;
//! what is made of it is decided in `office`.

use std::{io, sync::Arc, time::Duration};

use tokio::time::timeout;

use super::tls::{self, Demand};
use crate::{
    connection::Connection,
    event::Purpose,
    fault::Stage,
    lab::{Site, network},
    mail::Mailbox,
    reply::{Reply, Severity, Status},
    route::Candidate,
    scenario::SenderSettings,
};

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
pub(crate) enum Fate {
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
pub(crate) struct Attempted {
    /// Whether anything answered at that address. `false` for a time-out and for what is not
    /// reached, and the address may then be left out for a while.
    pub(crate) connected: bool,
    /// One for each recipient of the letter, in its order.
    pub(crate) fates: Vec<Fate>,
}

/// What to send in one transaction.
pub(crate) struct Letter<'a> {
    /// `None` is the null reverse-path.
    pub(crate) from: Option<&'a Mailbox>,
    /// The recipients that are still open.
    pub(crate) to: &'a [Mailbox],
    /// The content as it goes over the wire, with the final dot.
    pub(crate) content: &'a [u8],
    /// Whether it may only go where REQUIRETLS is announced (RFC 8689).
    pub(crate) require_tls: bool,
}

/// A session that could not go on.
enum Stop {
    /// The transport or the protocol failed at a stage. QUIT is not tried.
    Broken(Status, String),
    /// The host turned the client away before any transaction, in its greeting or in the reply to
    /// EHLO.
    Turned(Reply),
    /// TLS is needed and not to be had, or not with this certificate.
    Insecure(String),
    /// REQUIRETLS is needed and not announced.
    NoRequireTls,
}

/// Tries to hand a letter to a candidate. It never fails: what goes wrong is a fate.
pub(crate) async fn attempt(
    site: &Arc<Site>,
    settings: &SenderSettings,
    candidate: &Candidate,
    demand: &Demand,
    purpose: Purpose,
    letter: &Letter<'_>,
) -> Attempted {
    let connect = network::connect(site, candidate.address, site.network.smtp_port(), purpose);
    let mut session = match timeout(settings.timeouts.at(Stage::Connect), connect).await {
        Ok(Ok(stream)) => Client {
            connection: Connection::new(stream),
            settings,
            site,
            candidate,
            extensions: Vec::new(),
            answered: Vec::new(),
        },
        Ok(Err(error)) => {
            // A connection that was made and reset has reached somebody; one that was refused has
            // not.
            let reached = error.kind() == io::ErrorKind::ConnectionReset;
            let stop = Stop::Broken(
                connect_status(&error),
                format!("connection failed: {error}"),
            );
            return Attempted {
                connected: reached,
                fates: all(letter, stop),
            };
        }
        Err(_) => {
            let stop = Stop::Broken(Status(4, 4, 1), "connection timed out".to_owned());
            return Attempted {
                connected: false,
                fates: all(letter, stop),
            };
        }
    };
    let fates = match session.deliver(demand, letter).await {
        Ok(fates) => {
            session.quit().await;
            fates
        }
        Err(stop) => {
            if !matches!(stop, Stop::Broken(..)) {
                session.quit().await;
            }
            let mut fates = all(letter, stop);
            // Who was refused for good stays refused, whatever became of the connection.
            for (fate, answered) in fates.iter_mut().zip(session.answered) {
                if matches!(answered, Fate::Failed(_)) {
                    *fate = answered;
                }
            }
            fates
        }
    };
    Attempted {
        connected: true,
        fates,
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

/// The fate of every recipient when the session could not go on.
fn all(letter: &Letter<'_>, stop: Stop) -> Vec<Fate> {
    let fate = match stop {
        Stop::Broken(status, text) => Fate::Deferred(Reason { status, text }),
        Stop::Turned(reply) => match reply.severity() {
            Severity::Permanent => Fate::HostRefuses(reason(&reply)),
            _ => Fate::Deferred(reason(&reply)),
        },
        // Later will be no better for who asked for it (RFC 8689 section 4.2.1).
        Stop::Insecure(text) if letter.require_tls => Fate::HostRefuses(Reason {
            status: Status(5, 7, 10),
            text,
        }),
        Stop::Insecure(text) => Fate::Deferred(Reason {
            status: Status(4, 7, 10),
            text,
        }),
        Stop::NoRequireTls => Fate::HostRefuses(Reason {
            status: Status(5, 7, 30),
            text: "REQUIRETLS is not announced".to_owned(),
        }),
    };
    vec![fate; letter.to.len()]
}

/// The reason that a reply gives, with its own enhanced status or a plain one of its class.
fn reason(reply: &Reply) -> Reason {
    let class = if reply.severity() == Severity::Permanent {
        5
    } else {
        4
    };
    Reason {
        status: reply.status().unwrap_or(Status(class, 0, 0)),
        text: reply.to_string(),
    }
}

/// The fate that a reply gives, by its first digit (RFC 5321 section 4.2.1).
fn fate(reply: &Reply) -> Fate {
    match reply.severity() {
        Severity::Positive => Fate::Delivered,
        // 3yz is an answer to DATA alone.
        Severity::Transient | Severity::Intermediate => Fate::Deferred(reason(reply)),
        Severity::Permanent => Fate::Failed(reason(reply)),
    }
}

/// A session under way.
struct Client<'s> {
    connection: Connection,
    settings: &'s SenderSettings,
    site: &'s Site,
    candidate: &'s Candidate,
    /// The keywords of the last EHLO reply, without their parameters; none after HELO.
    extensions: Vec<String>,
    /// The fates of the recipients answered so far, so that a permanent refusal survives a
    /// connection that breaks later.
    answered: Vec<Fate>,
}

// Order and dependence of the steps are in `deliver`; each of the others is one step.
impl Client<'_> {
    async fn deliver(&mut self, demand: &Demand, letter: &Letter<'_>) -> Result<Vec<Fate>, Stop> {
        let greeting = self.reply(Stage::Greeting).await?;
        if greeting.severity() != Severity::Positive {
            return Err(Stop::Turned(greeting));
        }
        self.hello().await?;
        self.secure(demand).await?;
        if letter.require_tls && !self.offers("REQUIRETLS") {
            return Err(Stop::NoRequireTls);
        }
        self.transaction(letter).await
    }

    /// Whether the server announced a keyword. Keywords are compared without case (RFC 5321 section
    /// 4.1.1.1).
    fn offers(&self, keyword: &str) -> bool {
        self.extensions
            .iter()
            .any(|known| known.eq_ignore_ascii_case(keyword))
    }

    /// EHLO, or HELO if the server does not know it. The keywords of the reply replace those known
    /// before.
    async fn hello(&mut self) -> Result<(), Stop> {
        let name = self
            .settings
            .names
            .first()
            .map_or_else(|| "localhost".to_owned(), ToString::to_string);
        self.extensions.clear();
        let (reply, lines) = self.exchange(Stage::Helo, &format!("EHLO {name}")).await?;
        let reply = match reply.code {
            // A server that knows no EHLO (RFC 5321 section 3.2).
            500 | 502 | 504 => self.command(Stage::Helo, &format!("HELO {name}")).await?,
            _ => {
                let keywords = lines
                    .iter()
                    .skip(1)
                    .filter_map(|line| line.split_whitespace().next());
                self.extensions = keywords.map(str::to_owned).collect();
                reply
            }
        };
        match reply.severity() {
            Severity::Positive => Ok(()),
            _ => Err(Stop::Turned(reply)),
        }
    }

    /// Goes on inside TLS, as far as the demand asks and the server allows.
    ///
    /// A handshake that fails ends the session: the candidate fails transiently. After STARTTLS was
    /// answered with 220 there is no way back to plain text on this connection.
    async fn secure(&mut self, demand: &Demand) -> Result<(), Stop> {
        if let Demand::Plain = demand {
            return Ok(());
        }
        if !self.offers("STARTTLS") {
            return plain(demand, "STARTTLS is not offered".to_owned());
        }
        let reply = self.command(Stage::Starttls, "STARTTLS").await?;
        if reply.code != 220 {
            return plain(demand, format!("STARTTLS: {reply}"));
        }
        let wait = self.settings.timeouts.at(Stage::Starttls);
        let (site, exchanger) = (self.site, &self.candidate.exchanger);
        let secured = self
            .connection
            .secure(|stream| tls::handshake(site, demand, exchanger, stream));
        match timeout(wait, secured).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Stop::Insecure(format!("TLS failed: {error}"))),
            Err(_) => {
                return Err(Stop::Broken(
                    Status(4, 4, 2),
                    "at starttls: no answer in time".to_owned(),
                ));
            }
        }
        // What was announced in plain text counts no more (RFC 3207 section 4.2).
        self.hello().await
    }

    /// MAIL, RCPT and the content; a fate for each recipient.
    ///
    /// A negative reply to MAIL is about the message and so about all recipients. A negative reply
    /// to RCPT is about that recipient alone.
    async fn transaction(&mut self, letter: &Letter<'_>) -> Result<Vec<Fate>, Stop> {
        let from = letter.from.map_or("", |from| &from.text);
        let require = if letter.require_tls {
            " REQUIRETLS"
        } else {
            ""
        };
        let reply = self
            .command(Stage::Mail, &format!("MAIL FROM:<{from}>{require}"))
            .await?;
        if reply.severity() != Severity::Positive {
            return Ok(vec![fate(&reply); letter.to.len()]);
        }
        for to in letter.to {
            let reply = self
                .command(Stage::Rcpt, &format!("RCPT TO:<{to}>"))
                .await?;
            let fate = match reply.code {
                // Too many recipients, not this one (RFC 5321 section 4.5.3.1.10).
                552 => Fate::Deferred(Reason {
                    status: Status(4, 5, 3),
                    text: reply.to_string(),
                }),
                _ => fate(&reply),
            };
            self.answered.push(fate);
        }
        let mut fates = self.answered.clone();
        // Without a recipient there is nothing to send, and DATA would be refused (RFC 5321 section
        // 3.3).
        if !fates.contains(&Fate::Delivered) {
            return Ok(fates);
        }
        let end = self.content(letter.content).await?;
        // What was said of the message is said of every recipient taken so far.
        fates
            .iter_mut()
            .filter(|fate| **fate == Fate::Delivered)
            .for_each(|taken| *taken = fate(&end));
        Ok(fates)
    }

    /// DATA, the content and the reply to the final dot, or the negative reply to DATA.
    async fn content(&mut self, content: &[u8]) -> Result<Reply, Stop> {
        let reply = self.command(Stage::Data, "DATA").await?;
        if reply.severity() != Severity::Intermediate {
            // The first digit alone tells (RFC 5321 section 4.2): without a 3 there is no leave to send, and
            // the message is not taken, whatever a 2 may be meant to say.
            return Ok(if reply.severity() == Severity::Positive {
                Reply::new(451, "4.5.0 unexpected reply to DATA")
            } else {
                reply
            });
        }
        self.send(Stage::Content, content).await?;
        self.reply(Stage::Dot).await
    }

    /// Ends the session politely (RFC 5321 section 4.1.1.10).
    async fn quit(&mut self) {
        // The message's fate is settled; what becomes of QUIT changes nothing.
        drop(self.command(Stage::Quit, "QUIT").await);
        self.connection.close().await;
    }

    async fn command(&mut self, stage: Stage, line: &str) -> Result<Reply, Stop> {
        self.exchange(stage, line).await.map(|(reply, _)| reply)
    }

    /// Sends a command; its reply, and the text of all lines of the reply.
    async fn exchange(&mut self, stage: Stage, line: &str) -> Result<(Reply, Vec<String>), Stop> {
        self.send(stage, format!("{line}\r\n").as_bytes()).await?;
        self.lines(stage).await
    }

    /// Sends octets; the time-out is that of the stage.
    async fn send(&mut self, stage: Stage, octets: &[u8]) -> Result<(), Stop> {
        let wait = self.settings.timeouts.at(stage);
        within(wait, stage, self.connection.send(octets)).await
    }

    async fn reply(&mut self, stage: Stage) -> Result<Reply, Stop> {
        self.lines(stage).await.map(|(reply, _)| reply)
    }

    /// Reads a reply, all its lines.
    async fn lines(&mut self, stage: Stage) -> Result<(Reply, Vec<String>), Stop> {
        let wait = self.settings.timeouts.at(stage);
        let connection = &mut self.connection;
        within(wait, stage, connection.reply()).await
    }
}

/// Goes on in plain text if the demand allows it; an error if not.
fn plain(demand: &Demand, why: String) -> Result<(), Stop> {
    match demand.allows_plain() {
        true => Ok(()),
        false => Err(Stop::Insecure(why)),
    }
}

/// A step within its time. What breaks or takes too long is status 4.4.2: the connection is of no
/// more use.
async fn within<T>(
    wait: Duration,
    stage: Stage,
    step: impl Future<Output = io::Result<T>>,
) -> Result<T, Stop> {
    match timeout(wait, step).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Stop::Broken(
            Status(4, 4, 2),
            format!("at {stage}: {error}"),
        )),
        Err(_) => Err(Stop::Broken(
            Status(4, 4, 2),
            format!("at {stage}: no answer in time"),
        )),
    }
}
