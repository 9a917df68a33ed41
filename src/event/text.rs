//! Events as people read them.
//!
//! A line has the moment in seconds and what happened. It is meant to be read, not parsed: programs
//! read the JSON.
//!
//! A line of a session begins with the session's number, so that sessions that overlap can be told apart by eye.
//! Addresses are those of the zone, whatever the network has in their place.

use super::{Connected, Event, EventKind, Particulars, ReplyEvent, SessionEnd, SessionPart};
use crate::{port, zone::present};

impl Event {
    /// The event in a line for people.
    pub fn line(&self) -> String {
        let what = self.kind.words();
        format!("{:>9.3}s {}", self.at.0.as_secs_f64(), what.trim_end())
    }
}

impl EventKind {
    /// What happened, without the moment. What has to do with a session is below.
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
                let result = match result {
                    Connected::Timeout => "not answered".to_owned(),
                    _ => format!("{result:?}").to_lowercase(),
                };
                let (hosts, port) = (hosts.join(", "), beside_smtp(*port));
                format!(
                    "session {} to {hosts} [{address}]{port}: {result}",
                    session.0
                )
            }
            EventKind::Reply {
                session,
                stage,
                argument,
                more,
                answer,
            } => {
                let said = said(argument.as_deref(), more);
                let answer = match answer {
                    ReplyEvent::Reply { code, reply } => format!("{code} {reply}"),
                    ReplyEvent::Failed { effect } => format!("{effect:?}").to_lowercase(),
                };
                format!("session {} {stage}{said}: {answer}", session.0)
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
            EventKind::EightBit { session, header } => {
                let place = if *header { "the header" } else { "the content" };
                format!("session {} sent octets over 127 in {place}", session.0)
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
                let place = words_of_part(*place);
                format!("session {} sent a bare {octet} in {place}", session.0)
            }
            EventKind::End { session, how } => {
                format!("session {} ended: {}", session.0, words_of_end(*how))
            }
            _ => String::new(),
        }
    }
}

/// How a session ended.
fn words_of_end(how: SessionEnd) -> &'static str {
    match how {
        SessionEnd::Quit => "after QUIT",
        SessionEnd::ClientClosed => "the client closed",
        SessionEnd::ServerClosed => "the receiver closed",
        SessionEnd::Idle => "the client was idle",
    }
}

/// Where in a session octets came.
fn words_of_part(part: SessionPart) -> &'static str {
    match part {
        SessionPart::Command => "a command",
        SessionPart::Content => "the content",
    }
}

/// What a command said behind its stage: the verb where another could stand there, the argument, the parameters.
fn said(argument: Option<&str>, more: &Particulars) -> String {
    let verb = more.verb.iter().map(|verb| format!(" ({verb})"));
    let argument = argument.into_iter().map(|argument| format!(" {argument}"));
    let parameters = more.parameters.iter().map(|one| format!(" {one}"));
    verb.chain(argument).chain(parameters).collect()
}

/// A port that is not that of exchangers, as it stands behind an address.
fn beside_smtp(port: u16) -> String {
    match port {
        port::SMTP => String::new(),
        port => format!(":{port}"),
    }
}
