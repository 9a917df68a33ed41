//! `mxdrill up`: a lab that stays up on loopback until it is interrupted.

use std::{
    io::{self, Write},
    sync::Arc,
};

use super::{LogFormat, Outcome, UpArgs};
use crate::{
    event::{Answered, Event, What},
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};

pub(super) fn up(args: &UpArgs) -> io::Result<Outcome> {
    let scenario = match Scenario::load(&args.scenario) {
        Ok(scenario) => Arc::new(scenario),
        Err(mistakes) => {
            anstream::eprintln!("{mistakes}");
            return Ok(Outcome::CouldNotRun);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let lab = Lab::start_at(
            scenario,
            NetworkKind::Loopback,
            args.dns_port,
            args.smtp_port,
        )
        .await?;
        if let Some(file) = &args.ca_file {
            let none = "found no certificate in the scenario, expected a receiver with one";
            let pem = lab.authority_pem().ok_or_else(|| io::Error::other(none))?;
            std::fs::write(file, pem).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", file.display()))
            })?;
        }
        introduce(&lab, args.format)?;
        let told = tokio::select! {
            told = tell(&lab, args.format) => told,
            interrupted = interrupted() => interrupted,
        };
        let (sessions, messages) = (lab.attempts().len(), lab.messages().len());
        lab.stop().await;
        if args.format == LogFormat::Text {
            anstream::println!("stopped: {sessions} attempts, {messages} messages taken");
        }
        told.map(|()| Outcome::Passed)
    })
}

/// Ends at Ctrl-C, and where there is such a thing when asked to terminate.
async fn interrupted() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate =
            tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
        tokio::select! {
            interrupted = tokio::signal::ctrl_c() => interrupted,
            _ = terminate.recv() => Ok(()),
        }
    }
    #[cfg(not(unix))]
    tokio::signal::ctrl_c().await
}

fn introduce(lab: &Lab, format: LogFormat) -> io::Result<()> {
    let mut out = anstream::stdout().lock();
    let dns = lab.resolver();
    if format == LogFormat::Json {
        let receivers: Vec<_> = lab
            .endpoints()
            .into_iter()
            .map(|endpoint| serde_json::json!({ "hosts": endpoint.hosts, "zone_address": endpoint.zone_address, "listens": endpoint.listens }))
            .collect();
        writeln!(
            out,
            "{}",
            serde_json::json!({ "event": "up", "dns": dns, "smtp_port": lab.smtp_port(), "receivers": receivers })
        )?;
        return out.flush();
    }
    let domain = lab.mail_domain();
    writeln!(
        out,
        "DNS    {dns} (UDP and TCP)   try: dig @{} -p {} {domain} MX",
        dns.ip(),
        dns.port()
    )?;
    for endpoint in lab.endpoints() {
        let hosts: Vec<String> = endpoint.hosts.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "SMTP   {:<24} {} stands for {}",
            endpoint.listens.to_string(),
            hosts.join(", "),
            endpoint.zone_address
        )?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    out.flush()
}

/// Writes events down as they happen.
async fn tell(lab: &Lab, format: LogFormat) -> io::Result<()> {
    let mut seen = 0;
    loop {
        lab.past(seen).await;
        let mut out = anstream::stdout().lock();
        for event in lab.events_since(seen) {
            seen += 1;
            match format {
                LogFormat::Json => writeln!(
                    out,
                    "{}",
                    serde_json::to_string(&event).map_err(io::Error::other)?
                )?,
                LogFormat::Text => writeln!(out, "{}", line(&event))?,
            }
        }
        out.flush()?;
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
