//! `mxdrill up`: a lab that stays up on loopback until it is interrupted.
//!
//! What happened is not kept, since it may stay up for weeks: events are written out and counted.
//! Addresses and ports are printed first, for people or as a line of JSON.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CommandOutcome, LogFormat, OutsideArgs, event_stream, say, scenario_files,
    writer::{Writer, standard_output},
};
use crate::signals;
use mxdrill::{
    event::{EventKind, EventLog},
    lab::{Endpoint, Lab, LoopbackBinding, NetworkKind, Spread},
    observe::Sessions,
    scenario::Scenario,
};

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// The scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
    /// The port of the name server; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) dns_port: u16,
    /// The port of every mail exchanger, or of the first where each has one of its own; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub(crate) smtp_port: u16,
    /// The first address of 127.0.0.0/8 that exchangers may have: each has one of its own from there on. Or, with
    /// a port, the one address of all: the name server has that port, each exchanger one of the next; with port 0
    /// any free ones. So it is also where the system has no address for loopback but 127.0.0.1 (macOS, BSD).
    #[arg(long, default_value = "127.25.0.0", value_name = "ADDRESS[:PORT]", value_parser = spread)]
    pub(crate) bind: Spread,
    /// Write the certificate of the lab's authority to this file (PEM), for clients to trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// How to log what happens: text for people, json for programs (JSON lines).
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) format: LogFormat,
    /// Let the scenario send mail to a server on another host (upstream).
    #[arg(long)]
    pub(crate) allow_upstream: bool,
}

/// Where the hosts of a lab on loopback may be: it binds no other address.
pub(crate) fn spread(text: &str) -> Result<Spread, String> {
    let (address, port) = match text.split_once(':') {
        Some((address, port)) => (address, Some(port)),
        None => (text, None),
    };
    let address = address.parse::<Ipv4Addr>().ok();
    let address = address.filter(Ipv4Addr::is_loopback);
    match (address, port.map(str::parse)) {
        (Some(first), None) => Ok(Spread::Addresses { first: Some(first) }),
        (Some(at), Some(Ok(first))) => Ok(Spread::Ports { at, first }),
        _ => Err(
            "expected an address of 127.0.0.0/8, such as 127.25.0.0, or one with a port, such as 127.0.0.1:2500"
                .to_owned(),
        ),
    }
}

/// Keeps the lab up until this process is asked to end.
pub(crate) fn up(args: &UpArgs) -> io::Result<CommandOutcome> {
    let scenario = match Scenario::load_within(&args.scenario, args.outside.reach()) {
        Ok(scenario) => {
            scenario_files::tell_notes([&scenario]);
            Arc::new(scenario)
        }
        Err(mistakes) => {
            say::err(mistakes);
            return Ok(CommandOutcome::CouldNotRun);
        }
    };
    if let Some(obstacle) = super::upstream_obstacle(&scenario, args.allow_upstream) {
        return Err(io::Error::other(obstacle));
    }
    let runtime = crate::runtime::of_this_thread()?;
    runtime.block_on(async {
        let place = LoopbackBinding {
            dns_port: args.dns_port,
            smtp_port: args.smtp_port,
            spread: args.bind,
        };
        let lab = Lab::start_without_mailbox(scenario, NetworkKind::Loopback, place).await?;
        if let Some(file) = &args.ca_file {
            write_authority(&lab, file)?;
        }
        // Who has read where it is may ask it to end.
        let interrupted = signals::listen().await?;
        let mut writer = Writer::start(standard_output()?)?;
        writer.write(introduction(&lab, args.bind, args.format)?);
        let mut seen = UpCounts::default();
        let ended = tokio::select! {
            told = seen.follow(&lab, args.format, &mut writer) => told,
            interrupted = interrupted => interrupted,
        };
        let log = lab.log().clone();
        lab.stop().await;
        if ended.is_ok() {
            seen.write(&log, args.format, &mut writer)?;
        }
        if args.format == LogFormat::Text {
            let UpCounts {
                sessions,
                attempts,
                taken,
            } = seen;
            let attempts = attempts + sessions.finish().flatten().count();
            let line = format!("stopped: {attempts} attempts, {taken} messages taken\n");
            writer.write(line.into_bytes());
        }
        let dropped = writer.finish();
        if dropped > 0 {
            say::err(format_args!("mxdrill: nobody read {dropped} lines"));
        }
        ended.map(|()| CommandOutcome::Passed)
    })
}

/// What is counted of what a lab saw: it may stay up for long, and nothing else is kept.
#[derive(Default)]
struct UpCounts {
    sessions: Sessions,
    attempts: usize,
    taken: usize,
}

impl UpCounts {
    /// Writes down what happened since, and keeps nothing of it; how many events that were.
    fn write(
        &mut self,
        log: &EventLog,
        format: LogFormat,
        writer: &mut Writer,
    ) -> io::Result<usize> {
        let events = log.take().events;
        for event in &events {
            self.attempts += self.sessions.see(event).len();
            self.taken += usize::from(matches!(event.kind, EventKind::Taken { .. }));
        }
        let mut lines = Vec::new();
        event_stream::write(&events, format, &mut lines)?;
        writer.write(lines);
        Ok(events.len())
    }

    /// Writes the log down as it grows.
    async fn follow(
        &mut self,
        lab: &Lab,
        format: LogFormat,
        writer: &mut Writer,
    ) -> io::Result<()> {
        let (mut count, mut sound) = (0, true);
        loop {
            tokio::select! {
                () = lab.past(count) => count += self.write(lab.log(), format, writer)?,
                error = writer.fails() => return Err(error),
                // It stays up all the same.
                () = lab.failed(), if sound => {
                    sound = false;
                    say::err(format_args!("mxdrill: {}", lab.trouble().unwrap_or_default()));
                }
            }
        }
    }
}

/// Writes the certificate of the lab's authority to a file.
pub(crate) fn write_authority(lab: &Lab, file: &Path) -> io::Result<()> {
    let none = "found no certificate in the scenario, for --ca-file expected a receiver with one";
    let pem = lab.authority_pem().ok_or_else(|| io::Error::other(none))?;
    std::fs::write(file, pem)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// Which hosts there are, and where they listen.
fn introduction(lab: &Lab, asked: Spread, format: LogFormat) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let dns = lab.resolver();
    if format == LogFormat::Json {
        let told = |endpoints: Vec<Endpoint>| -> Vec<_> {
            let endpoints = endpoints.into_iter();
            endpoints
                .map(|endpoint| serde_json::json!({ "hosts": endpoint.hosts, "zone_address": endpoint.zone_address, "answered": endpoint.answered, "listens": endpoint.listens, "ports": endpoint.ports.iter().map(|(port, at)| serde_json::json!({ "port": port, "listens": at })).collect::<Vec<_>>() }))
                .collect()
        };
        let (receivers, policy_hosts) = (told(lab.endpoints()), told(lab.policy_endpoints()));
        writeln!(
            out,
            "{}",
            serde_json::json!({ "event": "up", "dns": dns, "smtp_port": lab.smtp_port(), "receivers": receivers, "policy_hosts": policy_hosts })
        )?;
        return Ok(out);
    }
    let domain = lab.mail_domain();
    writeln!(
        out,
        "DNS    {dns} (UDP and TCP)   try: dig @{} -p {} {domain} MX",
        dns.ip(),
        dns.port()
    )?;
    let smtp = lab
        .endpoints()
        .into_iter()
        .map(|endpoint| ("SMTP", endpoint));
    let https = lab.policy_endpoints().into_iter();
    for (what, endpoint) in smtp.chain(https.map(|endpoint| ("HTTPS", endpoint))) {
        let hosts: Vec<String> = endpoint.hosts.iter().map(ToString::to_string).collect();
        writeln!(
            out,
            "{what:<6} {:<24} {} stands for {}",
            endpoint.listens.to_string(),
            hosts.join(", "),
            endpoint.zone_address
        )?;
        for (port, at) in &endpoint.ports {
            writeln!(
                out,
                "{what:<6} {:<24} {} stands for {}, port {port}",
                at.to_string(),
                hosts.join(", "),
                endpoint.zone_address
            )?;
        }
    }
    if let Spread::Addresses { .. } = asked
        && lab.differs_by_ports()
    {
        let endpoints = lab.endpoints().into_iter().chain(lab.policy_endpoints());
        let lacking = endpoints.map(|endpoint| endpoint.answered);
        write!(out, "{}", lack_of_addresses(lacking))?;
    }
    writeln!(out, "Ctrl-C ends it.")?;
    Ok(out)
}

/// What is said where hosts have no addresses of their own, and how the system comes to have them.
fn lack_of_addresses(lacking: impl Iterator<Item = IpAddr>) -> String {
    let addresses: Vec<String> = lacking
        .map(|address| address.to_canonical().to_string())
        .collect();
    let first = addresses.first().map_or("", String::as_str);
    let command = match cfg!(target_os = "linux") {
        true => format!("ip address add {first}/32 dev lo"),
        false => format!("ifconfig lo0 alias {first}"),
    };
    format!(
        "These addresses cannot be had here, so each host has a port of its own: {}.\n\
         Tell a sender the port with the address. Or, for the addresses, as root for each: {command}\n",
        addresses.join(", ")
    )
}
