//! STARTTLS as a receiver offers it, or fails to.
//!
//! STARTTLS is offered by receivers with a certificate, outside TLS. Faults can hide it, refuse it,
//! delay it, or break the handshake after the
//! 220. Which certificate a receiver has, and whether it is a good one, the scenario says.

use std::{io, sync::Arc};

use super::{IDLE, Session, Step};
use crate::{
    event::{EventKind, Misbehaviour, SessionEnd},
    fault::{Effect, Stage},
    reply::Reply,
    tls::{self, Credentials},
};

/// The part of a session from the EHLO that announces STARTTLS to the end of the handshake.
impl Session {
    /// Whether EHLO announces STARTTLS; a fault that hides it counts as having struck.
    pub(super) fn offers_starttls(&self) -> bool {
        if self.receiver.credentials.is_none() || self.connection.is_tls() {
            return false;
        }
        let hidden =
            self.state.foresee(&self.receiver, Stage::Starttls) == Some(Effect::NotOffered);
        if hidden {
            self.strike(Stage::Starttls);
        }
        !hidden
    }

    /// STARTTLS: the reply that a fault gives, or 220 and the handshake.
    pub(super) async fn starttls(&mut self) -> io::Result<Step> {
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
        self.come_to(Stage::Starttls).await?;
        let effect = match self.strike(Stage::Starttls) {
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
                // What came is the client's first flight; it gets no answer.
                self.connection.fill().await?;
                self.record_failure(Stage::Starttls, None, Misbehaviour::Handshake);
                self.connection.close().await;
                Ok(Step::Ended(SessionEnd::ServerClosed))
            }
            Some(Effect::Inject(text)) => {
                self.injected = format!("{text}\r\n").into_bytes();
                self.say_at(Stage::Starttls, ready).await?;
                self.secure(&credentials).await
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
    ///
    /// A failed handshake ends the session. The server behind gets a fresh connection, so that it
    /// has forgotten, too.
    pub(super) async fn secure(&mut self, credentials: &Credentials) -> io::Result<Step> {
        let mut sni = None;
        let handshake = self.connection.secure(|stream| async {
            let stream = tls::accept(credentials, stream).await?;
            sni = tls::server_name(&stream);
            Ok(stream)
        });
        let secured = self.state.clock.within(IDLE, handshake).await;
        if !matches!(secured, Some(Ok(()))) {
            if matches!(&secured, Some(Err(error)) if tls::is_no_tls(error)) {
                self.state.record(EventKind::Plaintext { session: self.id });
            }
            self.record_failure(Stage::Starttls, None, Misbehaviour::Handshake);
            return Ok(Step::Ended(SessionEnd::ClientClosed));
        }
        self.state.record(EventKind::Secured {
            session: self.id,
            sni,
        });
        self.greeted = false;
        self.offered = Arc::default();
        self.envelope = None;
        self.restart_upstream().await;
        Ok(Step::Go)
    }
}
