//! How a session answers: as a fault says, else as the receiver or the server behind it would.
//!
//! Replies to MAIL and RCPT wait in the connection until the client has sent nothing more that
//! could be answered with them, so that a pipelined group gets its replies in one segment (RFC 2920
//! section 3.2). All others are sent at once.
//!
//! What is logged is what was sent: the reply, or how the session failed instead.

use std::{io, time::Duration};

use super::{Session, Step, command::SmtpCommand};
use crate::{
    event::{EventKind, Misbehaviour, Particulars, ReplyEvent, SessionEnd},
    fault::{Effect, Stage, Transfer, Whom},
    reply::{Reply, ReplyClass},
};

/// Octets of further commands kept while an answer is delayed. A client that pipelines more is no
/// longer watched for leaving.
const MAX_PIPELINED: usize = 64 * 1024;
/// How long a receiver that hangs in the content reads nothing where the system does not say whether the client is
/// still there (RFC 5321 section 4.5.3.2.5 gives it three minutes for a block of data).
const DEAF: Duration = Duration::from_secs(3600);
/// How often it is looked whether the client is still there: each second, and later on each time after this part of
/// what has passed, since some wait for days.
const LOOK: (Duration, u32) = (Duration::from_secs(1), 600);
/// Bad commands in a row before the receiver hangs up: enough for any client in good faith.
const MAX_ERRORS: usize = 100;

impl Session {
    /// A reply outside the stages, which no fault touches and no log needs.
    pub(super) async fn say(&mut self, reply: Reply) -> io::Result<Step> {
        let reply = self.usual(None, reply).await;
        self.record_command(reply.code);
        self.say_plainly(&reply).await
    }

    /// As [`Session::say`], together with the replies to what else came with the command: only RSET, MAIL
    /// and RCPT may be answered so (RFC 2920 section 3.2).
    pub(super) async fn say_grouped(&mut self, reply: Reply) -> io::Result<Step> {
        let reply = self.usual(None, reply).await;
        self.record_command(reply.code);
        self.put(&reply, None).await?;
        Ok(Step::Go)
    }

    /// Sends a reply and nothing else.
    async fn say_plainly(&mut self, reply: &Reply) -> io::Result<Step> {
        self.put(reply, None).await?;
        self.connection.flush().await?;
        Ok(Step::Go)
    }

    /// Complains of a command that cannot be served. If it belongs to a stage, the complaint is
    /// logged there.
    pub(super) async fn complain(&mut self, reply: Reply) -> io::Result<Step> {
        // A command of a transaction is part of what happened to it, however it was misspelt.
        self.complain_at(SmtpCommand::stage_of(&self.command), reply)
            .await
    }

    /// Complains of what cannot be served; a client that goes on with that for too long is hung up
    /// on (RFC 5321 section 4.3.2 gives 421 for a server that shuts the connection).
    pub(super) async fn complain_at(
        &mut self,
        stage: Option<Stage>,
        reply: Reply,
    ) -> io::Result<Step> {
        self.errors += 1;
        if self.errors > MAX_ERRORS {
            self.connection
                .send(b"421 4.7.0 too many errors\r\n")
                .await?;
            self.connection.close().await;
            return Ok(Step::Ended(SessionEnd::ServerClosed));
        }
        let reply = self.usual(None, reply).await;
        match stage {
            Some(stage) => self.send_reply(stage, None, &reply).await,
            None => {
                self.record_command(reply.code);
                self.say_plainly(&reply).await
            }
        }
    }

    /// Holds the session if the sender is to be killed at this stage. An error if it was: the client is gone.
    pub(super) async fn come_to(&mut self, stage: Stage) -> io::Result<()> {
        let crashes = &self.state.crashes;
        let Some(turn) = crashes.come_to(&self.receiver, stage) else {
            return Ok(());
        };
        // What was answered before leaves, as it does before a failure.
        self.connection.flush().await?;
        crashes.turn_is_over(turn).await;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    /// The effect of the fault that strikes at this stage, which is counted for it; `None` if there
    /// is none.
    pub(super) fn strike(&self, stage: Stage) -> Option<Effect> {
        self.strike_message(stage, self.transfer(None))
    }

    /// As [`Session::strike`], of a message that the session does not have yet, or no more.
    pub(super) fn strike_message(&self, stage: Stage, message: Transfer<'_>) -> Option<Effect> {
        self.state.strike(&self.receiver, self.port, stage, message)
    }

    /// What is known of the message under way.
    pub(super) fn transfer(&self, octets: Option<usize>) -> Transfer<'_> {
        let envelope = self.envelope.as_ref();
        envelope.map_or_else(Transfer::default, |envelope| envelope.transfer(octets))
    }

    /// Answers at a stage: as the fault says, else with the usual reply. Also returns what was
    /// sent; `None` if nothing was.
    ///
    /// `argument` goes into the log, and `recipient` chooses among faults for one recipient.
    pub(super) async fn answer(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        recipient: Option<&str>,
        usual: Reply,
    ) -> io::Result<(Step, Option<Reply>)> {
        self.come_to(stage).await?;
        let message = match stage {
            Stage::Mail => Transfer {
                sender: argument,
                ..Transfer::default()
            },
            Stage::Rcpt => Transfer {
                to: recipient.map_or(Whom::Nobody, Whom::One),
                ..self.transfer(None)
            },
            _ => self.transfer(None),
        };
        let reply = match self.strike_message(stage, message) {
            None => self.usual(Some(stage), usual).await,
            Some(Effect::Reply(reply)) => {
                // The server behind must know what the client is told was done.
                let done = match stage {
                    Stage::Data => ReplyClass::Intermediate,
                    _ => ReplyClass::Positive,
                };
                if reply.class() == done {
                    self.usual(Some(stage), usual).await;
                }
                reply
            }
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

    /// Lets time pass before an answer. An error if the client does not wait for it, which is
    /// logged as a hang: to the client it was one.
    pub(super) async fn delay(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        wait: Duration,
    ) -> io::Result<()> {
        self.connection.flush().await?;
        let connection = &mut self.connection;
        let gone = async {
            while connection.buffered().len() < MAX_PIPELINED {
                match connection.fill().await {
                    Ok(1..) => {}
                    Ok(_) => return connection.abandoned().await,
                    Err(_) => return,
                }
            }
            std::future::pending().await
        };
        if self.state.clock.within(wait, gone).await.is_some() {
            self.record_failure(stage, argument, Misbehaviour::Hang);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

    /// A reply at a stage, without asking for a fault.
    pub(super) async fn say_at(&mut self, stage: Stage, reply: Reply) -> io::Result<Step> {
        self.send_reply(stage, None, &reply).await
    }

    /// Sends and logs a reply; after a 421 the receiver closes (RFC 5321 section 3.8).
    pub(super) async fn send_reply(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        reply: &Reply,
    ) -> io::Result<Step> {
        let last = reply.text.split('\n').next_back().unwrap_or_default();
        let last = last.to_owned();
        let mut more = self.particulars();
        let hello = self.hello.take();
        if stage == Stage::Helo && reply.class() == ReplyClass::Positive {
            more.extensions = hello.map(|hello| hello.offered_by(&reply.text));
            self.offered = more.extensions.clone().unwrap_or_default();
        }
        self.state.record(EventKind::Reply {
            session: self.id,
            stage,
            argument: argument.map(str::to_owned),
            more,
            answer: ReplyEvent::Reply {
                code: reply.code,
                reply: last,
            },
        });
        self.put(reply, Some(stage)).await?;
        let injected = std::mem::take(&mut self.injected);
        self.connection.queue(&injected);
        if reply.code == 421 {
            self.connection.close().await;
            return Ok(Step::Ended(SessionEnd::ServerClosed));
        }
        // The client may pipeline further RCPTs and DATA behind this one; if it has not, the next
        // read flushes. It leaves when nothing more of the group is there to be answered, and the answer to QUIT with the
        // end.
        if !matches!(stage, Stage::Mail | Stage::Rcpt | Stage::Quit) {
            self.connection.flush().await?;
        }
        Ok(Step::Go)
    }

    /// Fails as an effect says that is no reply and no delay; how the session ended, if it did.
    pub(super) async fn fail(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        effect: &Effect,
    ) -> io::Result<Option<SessionEnd>> {
        let (failed, ended) = match effect {
            Effect::Hang | Effect::Timeout => (Misbehaviour::Hang, Some(SessionEnd::ClientClosed)),
            Effect::Reset | Effect::Refuse | Effect::Unreachable => {
                (Misbehaviour::Reset, Some(SessionEnd::ServerClosed))
            }
            Effect::Garbage => (Misbehaviour::Garbage, None),
            // To a client they are one: the connection is closed where a reply was due.
            Effect::LoseReply | Effect::Close | Effect::NotOffered | Effect::Break => {
                (Misbehaviour::Close, Some(SessionEnd::ServerClosed))
            }
            Effect::Reply(_) | Effect::Delay(_) | Effect::Inject(_) => {
                unreachable!("replies and delays are handled by the caller")
            }
        };
        self.record_failure(stage, argument, failed);
        self.connection.flush().await?;
        match failed {
            // In the content the client is the one who sends: not to read makes its writes stall,
            // where for a reply it would only wait.
            Misbehaviour::Hang => {
                if stage == Stage::Content {
                    self.read_nothing().await;
                }
                self.connection.drain().await;
            }
            Misbehaviour::Reset => self.connection.reset_on_drop(),
            // It looks like the start of a TLS record, and is no reply in any reading.
            Misbehaviour::Garbage => {
                self.connection
                    .send(b"\x16\x03 this is no reply\r\n")
                    .await?
            }
            _ => self.connection.close().await,
        }
        Ok(ended)
    }

    /// Leaves what the client sends where it is until it has let go of the connection. Its end cannot be read: it
    /// stands behind the content.
    async fn read_nothing(&self) {
        let begun = self.state.clock.now();
        loop {
            let passed = self.state.clock.now().since(begun);
            let is_there = self.connection.peer_holds();
            if !is_there.unwrap_or(passed < DEAF) {
                return;
            }
            self.state.clock.sleep(LOOK.0.max(passed / LOOK.1)).await;
        }
    }

    /// What the log is to have of the command being answered, which begins anew with the next one.
    fn particulars(&mut self) -> Particulars {
        let more = std::mem::take(&mut self.more);
        Particulars {
            ahead: more.ahead || self.connection.has_sent_more(),
            ..more
        }
    }

    /// Logs a command that belongs to no stage.
    fn record_command(&mut self, code: u16) {
        self.state.record(EventKind::Command {
            session: self.id,
            verb: self.verb.clone(),
            code,
            ahead: self.connection.has_sent_more(),
        });
    }

    /// Logs that the session failed at a stage instead of being answered.
    pub(super) fn record_failure(
        &mut self,
        stage: Stage,
        argument: Option<&str>,
        effect: Misbehaviour,
    ) {
        self.hello = None;
        // What has come by now may be what the client sent after a reply, such as a handshake: nobody was early.
        let more = std::mem::take(&mut self.more);
        self.state.record(EventKind::Reply {
            session: self.id,
            stage,
            argument: argument.map(str::to_owned),
            more,
            answer: ReplyEvent::Failed { effect },
        });
    }
}

/// A reply on the wire; each line of its text is a line of the reply (RFC 5321 section 4.2.1).
pub(super) fn wire_form(reply: &Reply) -> Vec<u8> {
    let code = reply.code.to_string();
    let mut lines = reply.text.split('\n').peekable();
    let around = lines.clone().count() * (code.len() + " \r\n".len());
    let mut wire = String::with_capacity(reply.text.len() + around);
    while let Some(text) = lines.next() {
        let separator = if lines.peek().is_none() { " " } else { "-" };
        for part in [&code, separator, text, "\r\n"] {
            wire.push_str(part);
        }
    }
    wire.into_bytes()
}
