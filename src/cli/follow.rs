//! The log of a running lab, a line for each event, as it happens.

use std::io::{self, Write};

use super::LogFormat;
use crate::{
    event::{Answered, Event, What},
    lab::Lab,
};

/// Who reads the log of a lab, and how far.
pub(super) struct Follower {
    format: LogFormat,
    seen: usize,
}

impl Follower {
    pub(super) fn new(format: LogFormat) -> Self {
        Self { format, seen: 0 }
    }

    /// Writes events down as they happen, to what `out` opens, for as long as that can be written to.
    pub(super) async fn follow<W: Write>(
        &mut self,
        lab: &Lab,
        out: impl Fn() -> W,
    ) -> io::Result<()> {
        loop {
            lab.past(self.seen).await;
            self.catch_up(lab, out())?;
        }
    }

    /// Writes down what happened since.
    pub(super) fn catch_up(&mut self, lab: &Lab, mut out: impl Write) -> io::Result<()> {
        for event in lab.events_since(self.seen) {
            self.seen += 1;
            match self.format {
                LogFormat::Json => {
                    let event = serde_json::to_string(&event).map_err(io::Error::other)?;
                    writeln!(out, "{event}")?;
                }
                LogFormat::Text => writeln!(out, "{}", line(&event))?,
            }
        }
        out.flush()
    }
}

/// An event in a line for people.
fn line(event: &Event) -> String {
    let what = match &event.what {
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
                .map(|record| record.data.to_string())
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
                format!("{result:?}").to_lowercase()
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
        What::End { session, how } => format!(
            "session {} ended: {}",
            session.0,
            format!("{how:?}").to_lowercase()
        ),
        What::Report {
            message,
            recipient,
            outcome,
            ..
        } => format!("message {message} for {recipient}: {outcome}"),
        What::Fetched { host, answer } => format!("policy of {host} fetched: {answer}"),
        What::Changed { change } => change.clone(),
    };
    format!("{:>9.3}s {}", event.at.0.as_secs_f64(), what.trim_end())
}
