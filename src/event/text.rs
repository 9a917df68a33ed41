//! Events as people read them.
//!
//! A line has the moment in seconds and what happened. It is meant to be read, not parsed: programs
//! read the JSON.

use super::{Connected, Event, EventKind, ReplyEvent, SessionEnd, SessionPart};
use crate::{port, zone::present};

impl Event {
    /// The event in a line for people.
    pub fn line(&self) -> String {
        let what = self.kind.words();
        format!("{:>9.3}s {}", self.at.0.as_secs_f64(), what.trim_end())
    }
}

impl EventKind {
    fn words(&self) -> String {
        match self {
            EventKind::Submitted { message, from, to } => {
                format!("message {message} from <{from}> to {}", to.join(", "))
            }
            EventKind::Query {
                name,
                record_type,
                over,
                answer,
                fault,
                records,
            } => {
                let data: Vec<String> = records
                    .iter()
                    .map(|record| present::data(&record.data))
                    .collect();
                let over = format!("{over:?}").to_lowercase();
                let fault = fault
                    .as_ref()
                    .map_or(String::new(), |fault| format!(" (fault: {fault})"));
                format!(
                    "query {name} {record_type} over {over}: {answer}{fault} {}",
                    data.join(", ")
                )
            }
            EventKind::Report {
                message,
                recipient,
                outcome,
                ..
            } => format!("message {message} for {recipient}: {outcome}"),
            EventKind::Fetched { host, answer } => format!("policy of {host} fetched: {answer}"),
            EventKind::Stray { to, over } => {
                let over = format!("{over:?}").to_lowercase();
                format!("tried {to} over {over}, where nothing is")
            }
            EventKind::Unseen {
                address,
                hosts,
                result,
                ..
            } => {
                let host = hosts
                    .first()
                    .map_or_else(String::new, |host| format!("{host} "));
                let what = match result {
                    Connected::Refused => "refuses connections, and attempts go unseen",
                    Connected::Accepted => "accepts connections, and attempts are seen",
                    _ => "ignores connections, and attempts go unseen",
                };
                format!("{host}[{address}] {what}")
            }
            EventKind::Crash { after: None } => "the sender was killed".to_owned(),
            EventKind::Crash { after: Some(stage) } => {
                format!("the sender was killed after {stage}, before it was answered")
            }
            EventKind::QueueEmpty => "the sender's queue is empty".to_owned(),
            EventKind::Changed { change } => change.clone(),
            _ => self.words_of_session(),
        }
    }

    /// The words for what happens in a session, which begin with its number.
    fn words_of_session(&self) -> String {
        match self {
            EventKind::Connect {
                session,
                address,
                port,
                hosts,
                result,
                ..
            } => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                format!(
                    "session {} to {} [{address}]{}: {}",
                    session.0,
                    hosts.join(", "),
                    beside_smtp(*port),
                    match result {
                        Connected::Timeout => "not answered".to_owned(),
                        _ => format!("{result:?}").to_lowercase(),
                    }
                )
            }
            EventKind::Reply {
                session,
                stage,
                argument,
                more,
                answer,
            } => {
                let argument = argument
                    .as_ref()
                    .map_or(String::new(), |argument| format!(" {argument}"));
                let parameters = more.parameters.iter();
                let parameters: String = parameters.map(|one| format!(" {one}")).collect();
                let verb = more.verb.as_deref();
                let verb = verb.map_or(String::new(), |verb| format!(" ({verb})"));
                let answer = match answer {
                    ReplyEvent::Reply { code, reply } => format!("{code} {reply}"),
                    ReplyEvent::Failed { effect } => format!("{effect:?}").to_lowercase(),
                };
                format!(
                    "session {} {stage}{verb}{argument}{parameters}: {answer}",
                    session.0
                )
            }
            EventKind::Command {
                session,
                verb,
                code,
                ..
            } => format!("session {} {verb}: {code}", session.0),
            EventKind::Plaintext { session } => format!(
                "session {} sent something other than a TLS handshake",
                session.0
            ),
            EventKind::EightBit { session } => {
                format!("session {} sent octets over 127 in the content", session.0)
            }
            EventKind::Secured { session, .. } => {
                format!("session {} goes on inside TLS", session.0)
            }
            EventKind::Taken {
                session,
                from,
                to,
                octets,
                ..
            } => {
                format!(
                    "session {} took a message of {octets} octets from <{from}> for {}",
                    session.0,
                    to.join(", ")
                )
            }
            EventKind::BareOctet {
                session,
                octet,
                place,
            } => {
                let octet = format!("{octet:?}").to_uppercase();
                let place = match place {
                    SessionPart::Command => "a command",
                    SessionPart::Content => "the content",
                };
                format!("session {} sent a bare {octet} in {place}", session.0)
            }
            EventKind::End { session, how } => {
                let how = match how {
                    SessionEnd::Quit => "after QUIT",
                    SessionEnd::ClientClosed => "the client closed",
                    SessionEnd::ServerClosed => "the receiver closed",
                    SessionEnd::Idle => "the client was idle",
                };
                format!("session {} ended: {how}", session.0)
            }
            _ => String::new(),
        }
    }
}

/// A port that is not that of exchangers, as it stands behind an address.
fn beside_smtp(port: u16) -> String {
    match port {
        port::SMTP => String::new(),
        port => format!(":{port}"),
    }
}
