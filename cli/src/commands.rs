//! A file for each command: its arguments, and what it does.
//!
//! What several commands share is here or in a file without a command of its own: `scenario_files` (which
//! scenarios), `records` (which domains), `play` (drills side by side), `lines`, `event_stream` and
//! `writer` (logs as they grow), `written` (files in a user's folder), `say` (a line to the
//! terminal).

pub(crate) mod baseline_args;
pub(crate) mod check;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod conform;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod control;
pub(crate) mod event_stream;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod exec;
pub(crate) mod fuzz;
pub(crate) mod judge;
pub(crate) mod lines;
pub(crate) mod lint;
pub(crate) mod lint_watch;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod mta;
pub(crate) mod new;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod play;
pub(crate) mod private;
pub(crate) mod records;
pub(crate) mod rehearse;
pub(crate) mod run;
pub(crate) mod run_args;
pub(crate) mod say;
pub(crate) mod scenario_files;
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) mod schedules;
pub(crate) mod schema;
pub(crate) mod selection;
pub(crate) mod shell;
mod spf_trace;
pub(crate) mod up;
pub(crate) mod writer;
pub(crate) mod written;

use std::{io, path::Path, process::ExitCode};

use clap::ValueEnum;
use mxdrill::{scenario::Scenario, sender::Flaw, zone::file::Reach};

/// What is said where `exec`, `conform` and `mta` cannot be had.
#[cfg(not(all(target_os = "linux", feature = "private-network")))]
pub(crate) const NO_PRIVATE_NETWORK: &str = "this command needs Linux, for a private network, and an mxdrill that was built with the \
feature private-network; run it in a container or a virtual machine with Linux, or use `mxdrill up`, whose servers listen \
on loopback";

/// Where the files may lie that other files name.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct OutsideArgs {
    /// Read files that a zone_file or an $INCLUDE names outside the folder of the file that names them.
    #[arg(long)]
    pub(crate) allow_outside: bool,
}

impl OutsideArgs {
    /// Where the files may lie that scenarios and zone files name.
    pub(crate) fn reach(&self) -> Reach {
        if self.allow_outside {
            Reach::Anywhere
        } else {
            Reach::Folder
        }
    }

    /// The same option in a command line that is to be run again.
    pub(crate) fn again(&self) -> &'static str {
        if self.allow_outside {
            " --allow-outside"
        } else {
            ""
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Text,
    Json,
    Junit,
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// How a command ended: the exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandOutcome {
    /// All passed: 0.
    Passed,
    /// A verdict failed: 1.
    Failed,
    /// Something could not be run: 2.
    CouldNotRun,
}

impl From<CommandOutcome> for ExitCode {
    fn from(outcome: CommandOutcome) -> Self {
        match outcome {
            CommandOutcome::Passed => Self::SUCCESS,
            CommandOutcome::Failed => Self::from(1),
            CommandOutcome::CouldNotRun => Self::from(2),
        }
    }
}

/// Why a scenario may not be run unless the user allows it: a server behind a receiver is on
/// another host. `None` if there is no such server.
pub(crate) fn upstream_obstacle(scenario: &Scenario, allowed: bool) -> Option<String> {
    let upstream = scenario.upstream_elsewhere().filter(|_| !allowed)?;
    Some(format!(
        "found upstream {upstream:?}, expected one on this host; --allow-upstream lets it be"
    ))
}

/// An error about a file or folder, with its path in front.
pub(crate) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A word as the system's shell takes it for one.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+".contains(c);
    let own = if cfg!(windows) { '\\' } else { '%' };
    if !word.is_empty() && word.chars().all(|c| plain(c) || c == own) {
        word.to_owned()
    } else if cfg!(windows) {
        // In no file's name there.
        format!("\"{}\"", word.replace('"', ""))
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// Ends this process, which was asked to end before it was done.
pub(crate) fn give_up() {
    say::err("mxdrill: interrupted");
    std::process::exit(2);
}

/// A flaw of the reference sender, by its name.
pub(crate) fn flaw() -> impl clap::builder::TypedValueParser<Value = Flaw> {
    use clap::builder::{PossibleValuesParser, TypedValueParser};
    PossibleValuesParser::new(Flaw::ALL.map(Flaw::word))
        .try_map(|name| Flaw::named(&name).ok_or("no flaw"))
}
