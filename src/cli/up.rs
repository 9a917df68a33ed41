//! `mxdrill up`: a lab that stays up on loopback until it is interrupted.

use std::{
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use super::{LogFormat, Outcome, UpArgs, follow};
use crate::{
    event::{EventLog, What},
    lab::{Lab, NetworkKind},
    observe::Sessions,
    scenario::Scenario,
};

pub(super) fn up(args: &UpArgs) -> io::Result<Outcome> {
    super::allow_many_files();
    let scenario = match Scenario::load_within(&args.scenario, args.outside.reach()) {
        Ok(scenario) => Arc::new(scenario),
        Err(mistakes) => {
            anstream::eprintln!("{mistakes}");
            return Ok(Outcome::CouldNotRun);
        }
    };
    if let Some(obstacle) = super::upstream_obstacle(&scenario, args.allow_upstream) {
        return Err(io::Error::other(obstacle));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let ports = (args.dns_port, args.smtp_port);
        let lab = Lab::start_without_mailbox(scenario, NetworkKind::Loopback, ports).await?;
        if let Some(file) = &args.ca_file {
            write_authority(&lab, file)?;
        }
        introduce(&lab, args.format)?;
        let mut seen = Seen::default();
        let told = tokio::select! {
            told = seen.follow(&lab, args.format) => told,
            interrupted = interrupted() => interrupted,
        };
        let log = lab.site().log.clone();
        lab.stop().await;
        if told.is_ok() {
            seen.write(&log, args.format)?;
        }
        if args.format == LogFormat::Text {
            let Seen {
                sessions,
                attempts,
                taken,
            } = seen;
            let attempts = attempts + sessions.finish().flatten().count();
            anstream::println!("stopped: {attempts} attempts, {taken} messages taken");
        }
        told.map(|()| Outcome::Passed)
    })
}

/// What a lab saw that nothing else is kept of: it may stay up for long.
#[derive(Default)]
struct Seen {
    sessions: Sessions,
    attempts: usize,
    taken: usize,
}

impl Seen {
    /// Writes down what happened since, and keeps nothing of it; how many events that were.
    fn write(&mut self, log: &EventLog, format: LogFormat) -> io::Result<usize> {
        let events = log.take().events;
        for event in &events {
            self.attempts += self.sessions.see(event).len();
            self.taken += usize::from(matches!(event.what, What::Taken { .. }));
        }
        follow::write(&events, format, &mut io::stdout())?;
        Ok(events.len())
    }

    /// Writes the log down as it grows.
    async fn follow(&mut self, lab: &Lab, format: LogFormat) -> io::Result<()> {
        let mut count = 0;
        loop {
            lab.past(count).await;
            count += self.write(&lab.site().log, format)?;
        }
    }
}

/// Writes the certificate of the lab's authority to a file.
pub(super) fn write_authority(lab: &Lab, file: &Path) -> io::Result<()> {
    let none = "found no certificate in the scenario, for --ca-file expected a receiver with one";
    let pem = lab.authority_pem().ok_or_else(|| io::Error::other(none))?;
    std::fs::write(file, pem)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
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
