//! What the commands are asked that need a private network.
//!
//! Arguments only, so that every system has the same `--help`; what they do is in `exec`, `conform`
//! and `mta`, on Linux.

use std::{ffi::OsString, path::PathBuf};

use clap::{Subcommand, ValueEnum};

use super::{OutsideArgs, baseline_args::BaselineArgs, selection::SelectionArgs};
#[cfg(all(target_os = "linux", feature = "private-network"))]
use crate::sandbox::Ids;

pub(crate) const EXEC_NOTES: &str = "\
Inside, the name server of /etc/resolv.conf is the drill's, its exchangers have the zone's own addresses
at port 25, and no other host can be reached. Files and local sockets are the host's: what a program hands
to a mail server on this host by them, that sends. The command is root inside, with your rights on files.
Relays of the scenario are told in MXDRILL_RELAYS (HOST:PORT HOST:PORT ...), and who the command says it is there in
MXDRILL_RELAY_USER and MXDRILL_RELAY_PASSWORD.
Moments are real: a connection that is never answered costs what the command waits for it. With
--virtual-time they are not: the command's clock and the lab's are one, it leaps when both wait, and moments in
expectations hold to 50 ms. When the command ends the drill does, and what was not delivered by then counts as given up or kept. So it is when
mxdrill is asked to end; an interrupt from the terminal is left to the command.

Elsewhere than on Linux: in a container or a virtual machine with Linux, or `mxdrill up`.

Exit status: that of the verdict (0 passed, 1 failed, 2 could not run); of a program that sends nothing (dig,
nslookup, host, drill, delv, kdig, getent) there is nothing to judge: 0 if it succeeded, 1 if not.

Examples:
  mxdrill exec a.toml -- swaks --to alice@example.test
  mxdrill exec a.toml --follow -- python3 my_sender.py alice@example.test
  mxdrill exec a.toml --virtual-time -- python3 retries_for_days.py alice@example.test
  mxdrill exec a.toml --pcap drill.pcap -- sh";

#[derive(Debug, clap::Args)]
pub(crate) struct ExecArgs {
    /// The scenario file.
    pub(crate) scenario: PathBuf,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// Log what happens as it happens, to standard error.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Write every packet to this file, for Wireshark or tcpdump.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,
    /// Write every event and the verdict to this file (JSON lines).
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Write the certificate of the lab's authority to this file (PEM), for the command to trust.
    #[arg(long, value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where randomness starts from, in place of the scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// Let time stand still while anything runs, and leap when the command and the lab wait: days pass in seconds
    /// (Linux on x86-64).
    #[arg(long)]
    pub(crate) virtual_time: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ClockedArgs {
    /// The descriptor at which the supervisor waits.
    pub(crate) descriptor: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct CellArgs {
    /// The drill is a command's, which has the files of this host as their owner.
    #[arg(long)]
    own_files: bool,
    /// It is the reference sender that is started, in the private network of a drill.
    #[arg(long)]
    pub(crate) sends: bool,
}

#[cfg(all(target_os = "linux", feature = "private-network"))]
impl CellArgs {
    /// Whose ids programs inside have.
    pub(crate) fn ids(&self) -> Ids {
        match self.own_files {
            true => Ids::Host,
            false => Ids::Mapped,
        }
    }
}

pub(crate) const CONFORM_NOTES: &str = "\
Each drill has a private network of its own, in which the mail server finds the drill's DNS and
exchangers. It is judged by what the lab saw, notifications included. Mail servers are fetched when they
are first needed, into a cache folder ($MXDRILL_CACHE); nothing is installed.

Elsewhere than on Linux: in a container or a virtual machine with Linux.

Grades: pass; informs (open or contested in the RFCs); deviates (from a SHOULD); violates (a MUST);
inconclusive and unfit, with the reason.

Exit status: 0 nothing violates a MUST (with --fail-on deviates: nor a SHOULD), 1 something does, 2 something is
inconclusive or could not be run. With --baseline 0 all is as listed, 1 something is not.

Examples:
  mxdrill conform postfix                        the whole suite
  mxdrill conform postfix exim my-drills/        drills of your own
  mxdrill conform postfix postfix+ipv4-first     one server in two configurations, each a column
  mxdrill conform all --html matrix.html         the matrix as a page
  mxdrill conform ./my-mta.toml --filter null    an adapter of your own
  mxdrill conform postfix --statement 15         the drills that show a statement of docs/requirements.md
  mxdrill conform postfix --baseline known.toml  in CI: only what is new fails, and what is listed and mended
  mxdrill conform ./my-mta.toml -q --format github
  mxdrill conform postfix --compare old.json     what changed since another run
  mxdrill conform all --partition slice:1/4 --json 1.json
  mxdrill conform --merge 1.json 2.json 3.json 4.json --markdown matrix.md
  mxdrill conform postfix --schedules            when it tries again and how long it waits, by its defaults
  mxdrill conform control                        the judge itself: the reference sender, clean and with each
                                                 flaw, judged as a mail server is";

#[derive(Debug, clap::Args)]
pub(crate) struct ConformArgs {
    /// Mail servers by the names of `mxdrill mta list`, `all`, or paths of adapters, each perhaps with what is to be changed
    /// of it (`postfix+ipv4-first`); then scenario files or folders of them. Without any of the latter, the drills that come
    /// with mxdrill.
    #[arg(required_unless_present = "merge", value_name = "MTA|PATH")]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
    #[command(flatten)]
    pub(crate) selection: SelectionArgs,
    #[command(flatten)]
    pub(crate) baseline: BaselineArgs,
    /// From which grade on something is a departure, for the exit status and for --write-baseline.
    #[arg(long, value_enum, value_name = "GRADE", default_value_t = FailOn::Violates)]
    pub(crate) fail_on: FailOn,
    /// Tell what changed since this matrix (JSON, of --json), cell by cell.
    #[arg(long, value_name = "FILE")]
    pub(crate) compare: Option<PathBuf>,
    /// Play nothing, and make one matrix of these (JSON, of --json): shares of the drills, or of the servers.
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["words", "filter", "statement", "section", "partition", "list", "jobs", "seed", "logs", "real_time"])]
    pub(crate) merge: Vec<PathBuf>,
    /// How many drills at once; without it, two for each core.
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) jobs: Option<usize>,
    /// Where randomness starts from, in place of each scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    pub(crate) seed: Option<u64>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    pub(crate) format: MatrixFormat,
    /// Also write the matrix as one HTML file.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// On that page, show when servers try again: schedules that were measured before (JSON, of --schedules --json).
    #[arg(
        long,
        value_name = "FILE",
        requires = "html",
        conflicts_with = "schedules"
    )]
    pub(crate) with_schedules: Option<PathBuf>,
    /// Also write everything as JSON, the evidence included.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Also write the matrix as Markdown.
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,
    /// Also write a badge, as the endpoint of shields.io reads it (JSON): how many drills pass.
    #[arg(long, value_name = "FILE", conflicts_with = "schedules")]
    pub(crate) badge: Option<PathBuf>,
    /// Write the log of every run to a file of its own in this folder, for `mxdrill judge`.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) logs: Option<PathBuf>,
    /// Let time pass as everywhere, and leave out drills that take longer than two seconds.
    #[arg(long)]
    pub(crate) real_time: bool,
    /// Measure when servers try again, how long they wait for a silent exchanger, and what they do then, by their own
    /// defaults and on virtual time. The formats are then of that.
    #[arg(long, conflicts_with_all = ["filter", "statement", "section", "partition", "list", "baseline", "write_baseline", "compare", "merge", "logs", "real_time"])]
    pub(crate) schedules: bool,
    /// A line for every drill as it ends.
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print nothing where nothing fails, and else only what does (text and github).
    #[arg(long, short, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
}

/// The grades that can be a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    /// A departure from a MUST.
    Violates,
    /// One from a SHOULD, too.
    Deviates,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MatrixFormat {
    Text,
    Markdown,
    Json,
    Html,
    /// Annotations in a workflow of GitHub Actions.
    Github,
    /// To a file alone.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    #[value(skip)]
    Badge,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MtaCommand {
    /// Which there are, and whether they have been fetched.
    List,
    /// Fetch them: packages of the distribution, of npm or of PyPI, unpacked into a cache folder.
    Get(GetArgs),
}

#[derive(Debug, clap::Args)]
pub(crate) struct GetArgs {
    /// Their names, or paths of adapters; without any, all that come with mxdrill.
    pub(crate) names: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UserArgs {
    pub(crate) id: u32,
    #[arg(last = true, required = true)]
    pub(crate) program: Vec<OsString>,
}
