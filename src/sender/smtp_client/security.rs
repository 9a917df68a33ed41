//! The steps before the first transaction that make the connection fit for it: TLS, and AUTH inside of it.
//!
//! Both may end the session. Where the demand allows plain text, a server without STARTTLS, or one that refuses the
//! command, is served all the same; a handshake that fails is never followed by plain text.

use super::{SmtpClient, results::SessionError};
use crate::{
    fault::Stage,
    reply::{ReplyClass, Status},
    sasl,
    sender::{
        Flaw,
        tls::{self, TlsRequirement},
    },
};

impl SmtpClient<'_> {
    /// Goes on inside TLS, as far as the demand asks and the server allows.
    ///
    /// A handshake that fails ends the session: the candidate fails transiently. After STARTTLS was
    /// answered with 220 there is no way back to plain text on this connection.
    pub(super) async fn secure(
        &mut self,
        requirement: &TlsRequirement,
    ) -> Result<(), SessionError> {
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
    pub(super) async fn handshake(
        &mut self,
        requirement: &TlsRequirement,
    ) -> Result<(), SessionError> {
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
    pub(super) async fn authenticate(&mut self) -> Result<(), SessionError> {
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
}

/// Goes on in plain text if the demand allows it; an error if not.
fn plain(requirement: &TlsRequirement, why: String) -> Result<(), SessionError> {
    if requirement.allows_plain() {
        Ok(())
    } else {
        Err(SessionError::Insecure(why))
    }
}
