//! AUTH as a receiver offers it (RFC 4954): PLAIN and LOGIN, whose credentials go in plain text and so belong into
//! TLS.
//!
//! The log has the mechanism, the reply, and whether credentials were sent; never the credentials. A server behind
//! the receiver hears nothing of it.

use std::io;

use super::{Session, Step, is_positive};
use crate::{
    connection::Line,
    event::SessionEnd,
    fault::Stage,
    port,
    reply::Reply,
    sasl,
    scenario::{AuthSettings, Login},
};

/// What came of asking the client for its credentials.
enum Asked {
    /// It sent them: name and password.
    Sent(Vec<u8>, Vec<u8>),
    /// It sent something else, or cancelled: the reply to it.
    Refused(Reply),
    /// It is gone, or says nothing.
    Ended(SessionEnd),
}

impl Session {
    /// The AUTH that is offered in this state of the connection.
    pub(super) fn offers_auth(&self) -> bool {
        let auth = self.receiver.auth.as_ref();
        auth.is_some_and(|auth| auth.plaintext || self.connection.is_tls())
    }

    /// The reply to a client that has to show who it is first; `None` if it may go on (RFC 4954 section 6).
    pub(super) fn refusal_of_stranger(&self) -> Option<Reply> {
        let auth = self.receiver.auth.as_ref()?;
        let usual = matches!(self.port, port::SUBMISSION | port::SUBMISSIONS);
        let is_asked = auth.required.unwrap_or(usual) && !self.authenticated;
        is_asked.then(|| Reply::new(530, "5.7.0 authentication required"))
    }

    /// AUTH. Before any credentials are asked for it is looked whether they may be sent at all.
    pub(super) async fn auth(
        &mut self,
        mechanism: &str,
        initial: Option<Vec<u8>>,
    ) -> io::Result<Step> {
        self.command.clear();
        // They were sent, whatever the reply is.
        let sent_at_once = initial.as_ref().is_some_and(|initial| initial != b"=");
        self.more.credentials = sent_at_once;
        let auth = match self.may_authenticate(mechanism) {
            Ok(auth) => auth,
            Err(refusal) => return self.say_at_auth(mechanism, refusal).await,
        };
        let asked = match mechanism {
            "PLAIN" => self.plain(initial).await?,
            _ => self.login(initial).await?,
        };
        let reply = match asked {
            Asked::Ended(how) => return Ok(Step::Ended(how)),
            Asked::Refused(reply) => return self.say_at_auth(mechanism, reply).await,
            Asked::Sent(user, password) => {
                self.more.credentials = true;
                verdict(&auth.login, &user, &password)
            }
        };
        let (step, sent) = self
            .answer(Stage::Auth, Some(mechanism), None, reply)
            .await?;
        self.authenticated |= is_positive(sent.as_ref());
        Ok(step)
    }

    async fn say_at_auth(&mut self, mechanism: &str, reply: Reply) -> io::Result<Step> {
        self.send_reply(Stage::Auth, Some(mechanism), &reply).await
    }

    /// Whether AUTH is in its place, and with what it may go on; else the reply to it.
    fn may_authenticate(&self, mechanism: &str) -> Result<AuthSettings, Reply> {
        let Some(auth) = &self.receiver.auth else {
            // A list may announce what the receiver has no credentials for.
            return Err(match self.offers("AUTH") {
                true => Reply::new(504, "5.5.4 no mechanism is served"),
                false => Reply::new(502, "5.5.1 AUTH is not offered"),
            });
        };
        // RFC 4954 section 4: after a success, and in a transaction, AUTH is refused with 503.
        if !self.greeted {
            Err(Reply::new(503, "5.5.1 EHLO first"))
        } else if self.authenticated {
            Err(Reply::new(503, "5.5.1 authenticated already"))
        } else if self.envelope.is_some() {
            Err(Reply::new(503, "5.5.1 a transaction is under way"))
        } else if !self.offers_auth() {
            Err(Reply::new(538, "5.7.11 encryption required for AUTH"))
        } else if !matches!(mechanism, "PLAIN" | "LOGIN") {
            Err(Reply::new(504, "5.5.4 mechanism is not offered"))
        } else {
            Ok(auth.clone())
        }
    }

    /// PLAIN: one message, with the command or after an empty challenge (RFC 4616).
    async fn plain(&mut self, initial: Option<Vec<u8>>) -> io::Result<Asked> {
        let response = match initial {
            Some(initial) => decoded(&initial),
            None => self.ask("").await?,
        };
        let read = response.and_then(|response| {
            let malformed = || Asked::Refused(Reply::new(501, "5.5.2 malformed message of PLAIN"));
            sasl::read_plain(&response).ok_or_else(malformed)
        });
        Ok(read.map_or_else(
            |asked| asked,
            |(user, password)| Asked::Sent(user, password),
        ))
    }

    /// LOGIN, which no RFC has: the name, which may come with the command, and the password, each asked for.
    async fn login(&mut self, initial: Option<Vec<u8>>) -> io::Result<Asked> {
        let user = match initial {
            Some(initial) => decoded(&initial),
            None => self.ask("Username:").await?,
        };
        let user = match user {
            Ok(user) => user,
            Err(asked) => return Ok(asked),
        };
        let password = self.ask("Password:").await?;
        Ok(password.map_or_else(|asked| asked, |password| Asked::Sent(user, password)))
    }

    /// Sends a challenge and reads what the client answers; an error is what becomes of AUTH without an answer.
    async fn ask(&mut self, challenge: &str) -> io::Result<Result<Vec<u8>, Asked>> {
        // Nobody can answer what was not asked yet.
        self.more.ahead |= self.connection.has_sent_more();
        let challenge = sasl::encode(challenge.as_bytes());
        self.connection
            .send(format!("334 {challenge}\r\n").as_bytes())
            .await?;
        let (patience, _) = self.patience();
        let line = self.state.clock.within(patience, self.connection.line());
        let Some(line) = line.await else {
            return Ok(Err(Asked::Ended(self.out_of_patience().await?)));
        };
        Ok(match line? {
            Line::Complete(line, end) => {
                self.look_at_end(&line, end);
                match &line[..] {
                    b"*" => Err(Asked::Refused(Reply::new(501, "5.7.0 AUTH cancelled"))),
                    // The name of LOGIN is half of it.
                    line => {
                        self.more.credentials |= !line.is_empty();
                        decoded(line)
                    }
                }
            }
            Line::TooLong => Err(Asked::Refused(Reply::new(500, "5.5.6 line too long"))),
            Line::End => Err(Asked::Ended(SessionEnd::ClientClosed)),
        })
    }
}

/// What a client sent in base64; `=` alone is nothing (RFC 4954 section 4).
fn decoded(text: &[u8]) -> Result<Vec<u8>, Asked> {
    let decoded = match text {
        b"=" => Some(Vec::new()),
        text => sasl::decode(text),
    };
    decoded.ok_or_else(|| Asked::Refused(Reply::new(501, "5.5.2 expected base64")))
}

/// The reply to credentials.
fn verdict(login: &Login, user: &[u8], password: &[u8]) -> Reply {
    if login.user.as_bytes() == user && login.password.as_bytes() == password {
        Reply::new(235, "2.7.0 authenticated")
    } else {
        Reply::new(535, "5.7.8 credentials invalid")
    }
}
