//! How a session answers: as a fault says, else as the receiver or the server behind it would.

use std::{fmt::Write, io, time::Duration};

use tokio::time::timeout;

use super::{Session, Step, command::Command};
use crate::{
    event::{Answered, Ended, Failed, What},
    fault::{Effect, Stage},
    reply::Reply,
};

/// Octets of further commands kept while an answer is delayed.
const MAX_PIPELINED: usize = 64 * 1024;
/// How long a receiver that hangs in the content reads nothing, longer than any client waits.
const DEAF: Duration = Duration::from_secs(3600);
/// Bad commands in a row before the receiver hangs up.
const MAX_ERRORS: usize = 100;

impl Session {
    /// A reply outside the stages, which no fault touches and no log needs.
    pub(super) async fn say(&mut self, reply: Reply) -> io::Result<Step> {
        let reply = self.usual(None, reply).await;
        self.say_plainly(&reply).await
    }

    /// As [`Session::say`], together with the replies to what else came with the command: only RSET, MAIL
    /// and RCPT may be answered so (RFC 2920 section 3.2).
    pub(super) async fn say_grouped(&mut self, reply: Reply) -> io::Result<Step> {
        let reply = self.usual(None, reply).await;
        self.connection.queue(&wire_form(&reply));
        Ok(Step::Go)
    }

    async fn say_plainly(&mut self, reply: &Reply) -> io::Result<Step> {
        self.connection.send(&wire_form(reply)).await?;
        Ok(Step::Go)
    }

    pub(super) async fn complain(&mut self, reply: Reply) -> io::Result<Step> {
        // A command of a transaction is part of what happened to it, however it was misspelt.
        self.complain_at(Command::stage_of(&self.command), reply)
            .await
    }

    /// Complains of what cannot be served; who goes on with that is hung up on.
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
            return Ok(Step::Ended(Ended::ServerClosed));
        }
        let reply = self.usual(None, reply).await;
        match stage {
            Some(stage) => self.send_reply(stage, None, &reply).await,
            None => self.say_plainly(&reply).await,
        }
    }

    /// What a fault does here, and that it did.
    pub(super) fn strike(&self, stage: Stage, recipient: Option<&str>) -> Option<Effect> {
        self.site.strike(&self.receiver, stage, recipient)
    }

    /// Answers at a stage: as the fault says, else with the usual reply. Also what was sent.
    pub(super) async fn answer(
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
        if timeout(wait, gone).await.is_ok() {
            self.record_failure(stage, argument, Failed::Hang);
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }

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
        self.connection.queue(&wire_form(reply));
        // It leaves when nothing more of the group is there to be answered.
        if !matches!(stage, Stage::Mail | Stage::Rcpt) {
            self.connection.flush().await?;
        }
        if reply.code == 421 {
            self.connection.close().await;
            return Ok(Step::Ended(Ended::ServerClosed));
        }
        Ok(Step::Go)
    }

    /// Fails as an effect says that is no reply and no delay; how the session ended, if it did.
    pub(super) async fn fail(
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
        self.connection.flush().await?;
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

    pub(super) fn record_failure(&self, stage: Stage, argument: Option<&str>, effect: Failed) {
        self.site.record(What::Reply {
            session: self.id,
            stage,
            argument: argument.map(str::to_owned),
            answer: Answered::Failed { effect },
        });
    }
}

/// A reply on the wire; each line of its text is a line of the reply (RFC 5321 section 4.2.1).
fn wire_form(reply: &Reply) -> Vec<u8> {
    let mut wire = String::with_capacity(reply.text.len() + 16);
    let mut line = |separator: char, text: &str| {
        write!(wire, "{}{separator}{text}\r\n", reply.code).expect("a string takes it all");
    };
    let mut lines = reply.text.lines().peekable();
    if lines.peek().is_none() {
        line(' ', "");
    }
    while let Some(text) = lines.next() {
        let separator = if lines.peek().is_none() { ' ' } else { '-' };
        line(separator, text);
    }
    wire.into_bytes()
}
