//! Events as people read them.
//!
//! A line has the moment in seconds and what happened. It is meant to be read, not parsed: programs
//! read the JSON.

use super::{Answered, Connected, Ended, Event, Place, What};
use crate::zone::present;

impl Event {
    /// The event in a line for people.
    pub fn line(&self) -> String {
        let what = self.what.words();
        format!("{:>9.3}s {}", self.at.0.as_secs_f64(), what.trim_end())
    }
}

impl What {
    fn words(&self) -> String {
        match self {
            What::Submitted { message, from, to } => {
                format!("message {message} from <{from}> to {}", to.join(", "))
            }
            What::Query {
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
            What::Report {
                message,
                recipient,
                outcome,
                ..
            } => format!("message {message} for {recipient}: {outcome}"),
            What::Fetched { host, answer } => format!("policy of {host} fetched: {answer}"),
            What::Stray { to, over } => {
                let over = format!("{over:?}").to_lowercase();
                format!("tried {to} over {over}, where nothing is")
            }
            What::Changed { change } => change.clone(),
            _ => self.words_of_session(),
        }
    }

    /// The words for what happens in a session, which begin with its number.
    fn words_of_session(&self) -> String {
        match self {
            What::Connect {
                session,
                address,
                hosts,
                result,
                ..
            } => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                format!(
                    "session {} to {} [{address}]: {}",
                    session.0,
                    hosts.join(", "),
                    match result {
                        Connected::Timeout => "not answered".to_owned(),
                        _ => format!("{result:?}").to_lowercase(),
                    }
                )
            }
            What::Reply {
                session,
                stage,
                argument,
                answer,
            } => {
                let argument = argument
                    .as_ref()
                    .map_or(String::new(), |argument| format!(" {argument}"));
                let answer = match answer {
                    Answered::Reply { code, reply } => format!("{code} {reply}"),
                    Answered::Failed { effect } => format!("{effect:?}").to_lowercase(),
                };
                format!("session {} {stage}{argument}: {answer}", session.0)
            }
            What::Secured { session, .. } => format!("session {} goes on inside TLS", session.0),
            What::Taken {
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
            What::BareOctet {
                session,
                octet,
                place,
            } => {
                let octet = format!("{octet:?}").to_uppercase();
                let place = match place {
                    Place::Command => "a command",
                    Place::Content => "the content",
                };
                format!("session {} sent a bare {octet} in {place}", session.0)
            }
            What::End { session, how } => {
                let how = match how {
                    Ended::Quit => "after QUIT",
                    Ended::ClientClosed => "the client closed",
                    Ended::ServerClosed => "the receiver closed",
                    Ended::Idle => "the client was idle",
                };
                format!("session {} ended: {how}", session.0)
            }
            _ => String::new(),
        }
    }
}
