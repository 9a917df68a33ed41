//! What `mxdrill run` is asked, and how to ask it again.

use std::path::PathBuf;

use clap::ValueEnum;
use mxdrill::{lab::NetworkKind, scenario::Scenario, sender::Flaw};

use super::{Format, OutsideArgs, baseline_args::BaselineArgs, selection::SelectionArgs};

pub(crate) const RUN_NOTES: &str = "\
A drill that cannot be played on the network that was asked for is skipped, with the reason.

Exit status: 0 every drill passed (with --baseline: all is as listed), 1 one failed (with --baseline: something is not as
listed), 2 one could not be run or read.

Examples:
  mxdrill run                                    the drills that come with mxdrill
  mxdrill run my-drills/ -v                      your own, a line each
  mxdrill run a.toml --trace                     every lookup, attempt and reply
  mxdrill run my-drills/ --html report.html      timelines to look at
  mxdrill run --statement 15                     what shows a statement of docs/requirements.md
  mxdrill run my-drills/ --baseline known.toml   in CI: only what is new fails, and what is listed and mended
  mxdrill run my-drills/ --partition slice:1/4 --format junit";

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct RunArgs {
    /// Scenario files, or folders of them, - for standard input; without any, the drills that come with
    /// mxdrill.
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
    /// The network to run on: memory has a virtual clock, loopback real sockets and real time.
    /// Without it, memory, and loopback for drills that need sockets.
    #[arg(long, value_enum)]
    pub(crate) network: Option<NetworkArg>,
    /// Where randomness starts from, in place of each scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
    /// How to report: text for people, json for programs (JSON lines, written as they come), junit for CI
    /// systems (whose counts come first, so that it is written when all drills have ended), github for annotations in a
    /// workflow there.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// A line for every drill in place of one for every folder.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print nothing where all drills pass, and else only those that do not (text and github).
    #[arg(long, short, conflicts_with_all = ["verbose", "trace"])]
    pub(crate) quiet: bool,
    /// The whole timeline of each drill, those that pass too: lookups, attempts, replies and their moments.
    #[arg(long)]
    pub(crate) trace: bool,
    /// Break the reference sender on purpose, to see what catches it.
    #[arg(long, value_parser = super::flaw(), value_name = "FLAW")]
    pub(crate) flaw: Option<Flaw>,
    /// Also write one HTML file with a timeline for each message; it grows as drills end.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Let scenarios send mail to a server on another host (upstream).
    #[arg(long)]
    pub(crate) allow_upstream: bool,
    /// Play nothing, and print one JUnit report of these, such as those of shares of the drills.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["paths", "filter", "statement", "section", "partition", "list", "baseline", "write_baseline", "seed"])]
    pub(crate) merge: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    Memory,
    Loopback,
}

impl From<NetworkArg> for NetworkKind {
    fn from(network: NetworkArg) -> Self {
        match network {
            NetworkArg::Memory => Self::Memory,
            NetworkArg::Loopback => Self::Loopback,
        }
    }
}

/// The command that plays a drill again, as it was.
pub(crate) fn again(scenario: &Scenario, args: &RunArgs) -> String {
    let path = super::quoted(&scenario.path);
    // The drills that come with the command need no checkout.
    let mut command = if args.paths.is_empty() {
        format!("mxdrill run --filter {path}")
    } else {
        format!("mxdrill run {path}{}", args.outside.again())
    };
    command.push_str(&format!(" --seed {}", args.seed.unwrap_or(scenario.seed)));
    if let Some(network) = args.network.and_then(|network| network.to_possible_value()) {
        command.push_str(&format!(" --network {}", network.get_name()));
    }
    if let Some(flaw) = args.flaw {
        command.push_str(&format!(" --flaw {flaw}"));
    }
    command
}
