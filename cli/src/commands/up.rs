//! `mxdrill up`: a lab that stays up on loopback until it is interrupted.
//!
//! It may stay up for weeks: what happened is written out and counted, and, for the API of `--control` alone, kept up
//! to a bound. Addresses and ports are printed first, for people or as a line of JSON (`told`); whoever follows the
//! log and is asked by the API is the `keeper`.

mod keeper;
mod told;

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use self::{keeper::Keeper, told::ReadyFile};
use super::{
    CommandOutcome, LogFormat, OutsideArgs, say, scenario_files,
    writer::{Writer, standard_output},
};
use crate::{
    control_api::{ControlArgs, ControlServer},
    signals,
};
use mxdrill::{
    diagnostic::Mistakes,
    lab::{AcceptedMail, Lab, LoopbackBinding, Spread},
    scenario::Scenario,
};

#[derive(Debug, clap::Args)]
pub(crate) struct UpArgs {
    /// The scenario file; `-` is standard input. With --control it may be left out: then the lab has no exchangers
    /// until a scenario is put up by the API.
    #[arg(required_unless_present = "control")]
    pub(crate) scenario: Option<PathBuf>,
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
    /// Let the scenario send mail to a server on another host (upstream), and one that the API puts up to any server.
    #[arg(long)]
    pub(crate) allow_upstream: bool,
    #[command(flatten)]
    pub(crate) control: ControlArgs,
    /// Write what is printed first, as JSON, to this file once everything listens; it is taken away at the end.
    #[arg(long, value_name = "FILE")]
    pub(crate) ready_file: Option<PathBuf>,
    /// End when standard input does, as it does for a program when whoever started it is gone.
    #[arg(long)]
    pub(crate) until_eof: bool,
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
    let scenario = match scenario(args) {
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
    if args.until_eof && args.scenario.as_deref() == Some(Path::new("-")) {
        let text = "found --until-eof and a scenario from standard input, expected one of them";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if let Some(file) = &args.ready_file {
        ReadyFile::none_yet(file)?;
    }
    let runtime = crate::runtime::of_this_thread()?;
    runtime.block_on(keep_up(args, scenario))
}

/// The scenario that is put up first.
fn scenario(args: &UpArgs) -> Result<Scenario, Mistakes> {
    match &args.scenario {
        Some(file) => Scenario::load_within(file, args.outside.reach()),
        None => Scenario::from_zone(""),
    }
}

async fn keep_up(args: &UpArgs, scenario: Arc<Scenario>) -> io::Result<CommandOutcome> {
    let place = LoopbackBinding {
        dns_port: args.dns_port,
        smtp_port: args.smtp_port,
        spread: args.bind,
    };
    let control = ControlServer::bind(&args.control, args.allow_upstream).await?;
    // Nobody but the API asks for messages.
    let mail = match control {
        Some(_) => AcceptedMail::Kept,
        None => AcceptedMail::Dropped,
    };
    let lab = Lab::start_on_loopback(scenario, place, mail).await?;
    if let Some(file) = &args.ca_file {
        write_authority(&lab, file)?;
    }
    // Who has read where it is may ask it to end.
    let interrupted = signals::listen().await?;
    let interrupted = async {
        tokio::select! {
            interrupted = interrupted => interrupted,
            () = input_ends(), if args.until_eof => Ok(()),
        }
    };
    let mut writer = Writer::start(standard_output()?)?;
    let url = control.as_ref().map(ControlServer::url);
    writer.write(told::introduction(
        &lab,
        args.bind,
        args.format,
        url.as_deref(),
    )?);
    let ready = args.ready_file.as_ref();
    let ready = ready.map(|file| ReadyFile::write(file, &told::json(&lab, url.as_deref())));
    let _ready = ready.transpose()?;
    let mut keeper = Keeper::new(lab, place, args.format, writer);
    let ended = match control {
        Some(control) => {
            let (asked, kept, served) = control.start();
            keeper.keep(kept);
            tokio::select! {
                told = keeper.follow(asked) => told,
                error = served => Err(error),
                interrupted = interrupted => interrupted,
            }
        }
        None => tokio::select! {
            told = keeper.follow(keeper::nobody_asks()) => told,
            interrupted = interrupted => interrupted,
        },
    };
    let dropped = keeper.stop(ended.is_ok()).await?;
    if dropped > 0 {
        say::err(format_args!("mxdrill: nobody read {dropped} lines"));
    }
    ended.map(|()| CommandOutcome::Passed)
}

/// Waits until standard input has ended; what comes from there is passed over.
async fn input_ends() {
    let (ended, end) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for: it may read for as long as this process lives.
    let reader = thread::Builder::new().spawn(move || {
        io::copy(&mut io::stdin().lock(), &mut io::sink()).ok();
        ended.send(()).ok();
    });
    match reader {
        Ok(_) => drop(end.await),
        Err(_) => std::future::pending().await,
    }
}

/// Writes the certificate of the lab's authority to a file.
pub(crate) fn write_authority(lab: &Lab, file: &Path) -> io::Result<()> {
    let none = "found no certificate in the scenario, for --ca-file expected a receiver with one";
    let pem = lab.authority_pem().ok_or_else(|| io::Error::other(none))?;
    std::fs::write(file, pem)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}
