//! STARTTLS as a receiver offers it, or fails to.
//!
//! STARTTLS is offered by receivers with a certificate, outside TLS. Faults can hide it, refuse it,
//! delay it, or break the handshake after the
//! 220. Which certificate a receiver has, and whether it is a good one, the scenario says.
//!
//! In a session at a port of exchangers:
//!
//! 1. EHLO announces STARTTLS, unless the receiver has no certificate, is inside TLS already, or a fault hides it.
//! 2. STARTTLS is answered: 220, or what a fault says in its place; `inject` puts text behind the 220, in plain text,
//!    which a client must not take for a part of what comes inside TLS (CVE-2011-0411).
//! 3. The handshake, in the time that a receiver waits for anything. The name that the client asks for is noted.
//! 4. Everything said before is forgotten: EHLO, AUTH, an open transaction (RFC 3207 section 4.2).
//!
//! At port 465 the third step comes first of all, before the greeting.

use std::{io, sync::Arc};

use super::{IDLE, Session, Step};
use crate::{
    event::{EventKind, Misbehaviour, SessionEnd},
    fault::{Effect, Stage},
    port,
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
        let hidden = self
            .state
            .foresee(&self.receiver, self.port, Stage::Starttls)
            == Some(Effect::NotOffered);
        if hidden {
            self.strike(Stage::Starttls);
        }
        !hidden
    }

    /// The handshake before the greeting, at the port for it (RFC 8314 section 3). Faults at `starttls` that a
    /// handshake can have are its own.
    pub(super) async fn secure_from_the_start(&mut self) -> io::Result<Step> {
        if self.port != port::SUBMISSIONS {
            return Ok(Step::Go);
        }
        let Some(credentials) = self.receiver.credentials.clone() else {
            self.record_failure(Stage::Starttls, None, Misbehaviour::Close);
            self.connection.close().await;
            return Ok(Step::Ended(SessionEnd::ServerClosed));
        };
        let foreseen = self
            .state
            .foresee(&self.receiver, self.port, Stage::Starttls);
        let is_of_a_handshake = |effect: &Effect| {
            !matches!(
                effect,
                Effect::NotOffered | Effect::Inject(_) | Effect::Reply(_) | Effect::Garbage
            )
        };
        let effect = match foreseen.filter(is_of_a_handshake) {
            Some(_) => self.strike(Stage::Starttls),
            None => None,
        };
        match effect {
            None => self.secure(&credentials).await,
            Some(Effect::Delay(wait)) => {
                self.delay(Stage::Starttls, None, wait).await?;
                self.secure(&credentials).await
            }
            Some(Effect::Break) => self.break_off().await,
            Some(effect) => Ok(self
                .fail(Stage::Starttls, None, &effect)
                .await?
                .map_or(Step::Go, Step::Ended)),
        }
    }

    /// Breaks the handshake off: what comes is the client's first flight, which gets no answer.
    async fn break_off(&mut self) -> io::Result<Step> {
        self.connection.fill().await?;
        self.record_failure(Stage::Starttls, None, Misbehaviour::Handshake);
        self.connection.close().await;
        Ok(Step::Ended(SessionEnd::ServerClosed))
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
                self.break_off().await
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
            // Who speaks plain text at the wrong port was asked for nothing.
            let after_starttls = self.port != port::SUBMISSIONS;
            if after_starttls && matches!(&secured, Some(Err(error)) if tls::is_no_tls(error)) {
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
        self.authenticated = false;
        self.offered = Arc::default();
        self.envelope = None;
        self.restart_upstream().await;
        Ok(Step::Go)
    }
}
