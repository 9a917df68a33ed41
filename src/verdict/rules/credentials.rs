//! The rule about how clients show who they are: by mechanisms that hide nothing, inside TLS alone.
//!
//! It is read off the sessions, whatever message they are for, and whether AUTH was offered or not: what was sent was
//! seen.

use std::collections::{BTreeMap, BTreeSet};

use super::{CREDENTIALS_IN_TLS, broken};
use crate::{
    event::{Connected, Event, EventKind, SessionId},
    fault::Stage,
    verdict::{Finding, Subject},
};

/// Sessions that the finding tells of one by one; of more it has the number.
const MOST_SESSIONS: usize = 3;

/// In which sessions credentials were sent in plain text.
#[derive(Default)]
pub(in crate::verdict) struct Credentials {
    /// The hosts of sessions under way that are not in TLS.
    in_plain: BTreeMap<SessionId, String>,
    careless: BTreeSet<SessionId>,
    lines: Vec<String>,
}

impl Credentials {
    /// Takes in what happened next.
    pub(in crate::verdict) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Connect {
                session,
                address,
                hosts,
                result: Connected::Accepted,
                ..
            } => {
                let host = hosts.first();
                let host = host.map_or_else(|| address.to_string(), ToString::to_string);
                self.in_plain.insert(*session, host);
            }
            EventKind::Secured { session, .. } | EventKind::End { session, .. } => {
                self.in_plain.remove(session);
            }
            EventKind::Reply {
                session,
                stage: Stage::Auth,
                argument,
                more,
                ..
            } if more.credentials => {
                let mechanism = argument.as_deref().unwrap_or_default();
                // Others hide what they carry.
                let Some(host) = self.in_plain.get(session) else {
                    return;
                };
                if !matches!(mechanism, "PLAIN" | "LOGIN") || !self.careless.insert(*session) {
                    return;
                }
                if self.lines.len() < MOST_SESSIONS {
                    let session = session.0;
                    self.lines.push(format!(
                        "session {session} with {host}: AUTH {mechanism} in plain text"
                    ));
                }
            }
            _ => {}
        }
    }

    /// The finding, if there is one.
    pub(in crate::verdict) fn finding(&self) -> Option<Finding> {
        let more = self.careless.len() - self.lines.len();
        let mut observed = self.lines.clone();
        observed.extend((more > 0).then(|| format!("and in {more} more sessions")));
        let expected = "TLS before AUTH";
        let is_broken = !observed.is_empty();
        is_broken.then(|| broken(CREDENTIALS_IN_TLS, Subject::Drill, expected, observed))
    }
}
