//! The command line: what can be asked for, and the exit status.

mod check;
#[cfg(target_os = "linux")]
mod conform;
#[cfg(target_os = "linux")]
mod control;
#[cfg(target_os = "linux")]
mod exec;
mod find;
mod follow;
mod fuzz;
mod html;
mod judge;
mod lines;
mod lint;
#[cfg(target_os = "linux")]
mod mta;
mod new;
mod plan;
mod play;
mod records;
mod rehearse;
mod run;
mod say;
mod up;
mod writer;
mod written;

use std::{
    ffi::OsString,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};

#[cfg(target_os = "linux")]
pub(crate) use self::find::bundled_scenario;
use crate::{
    lab::{NetworkKind, Spread},
    scenario::Reach,
};

const EXAMPLES: &str = "\
Examples:
  mxdrill run                              replay the drills that come with it
  mxdrill run drills/ --filter primary     those of a folder whose path has \"primary\" in it
  mxdrill run a.toml --format json         every event and the verdict, a line each
  mxdrill check drills/                    validate files, run nothing
  mxdrill plan example.com                 where mail for a domain goes
  mxdrill lint example.com.zone            what is wrong with its records
  mxdrill rehearse example.com             what happens when its exchangers fail
  mxdrill up a.toml                        keep its DNS and SMTP servers up on loopback
  mxdrill exec a.toml -- swaks --to alice@example.test
                                           a program as it is, in a private network (Linux)

Exit status: 0 all passed, 1 a drill failed, 2 something could not be run.";

/// A fire drill for mail delivery: what happens to mail when an exchanger dies.
///
/// A scenario file names DNS records, outages and messages, and says what delivery should do.
/// mxdrill puts up the name server and the mail exchangers, breaks them on schedule, sends the mail
/// and judges whether it went where RFC 5321 says.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Set by mxdrill itself for its first process in a private network.
    #[arg(long, hide = true, value_name = "DESCRIPTOR")]
    inside: Option<i32>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run drills and judge them.
    Run(RunArgs),
    /// Validate scenario files without running them.
    Check(CheckArgs),
    /// Judge the log of a drill again: nothing is run.
    #[command(after_help = JUDGE_NOTES)]
    Judge(JudgeArgs),
    /// Run drills made at random and hold them against the rules; the smallest that fails is written down.
    #[command(after_help = FUZZ_NOTES)]
    Fuzz(FuzzArgs),
    /// Show where mail for a domain goes: preferences, exchangers, addresses, and what each gets.
    #[command(after_help = PLAN_NOTES)]
    Plan(PlanArgs),
    /// Let a domain's exchangers fail in every way, and show who takes the mail, how long it waits and
    /// what is lost.
    #[command(after_help = REHEARSE_NOTES)]
    Rehearse(RehearseArgs),
    /// Write a first scenario, with comments.
    New(NewArgs),
    /// Check a domain's records: MX, addresses, PTR, SPF, DMARC, MTA-STS, TLSA.
    #[command(after_help = LINT_NOTES)]
    Lint(LintArgs),
    /// Keep the servers of a scenario up on loopback, for dig, swaks and senders of your own.
    Up(UpArgs),
    /// Run a command as the sender, unmodified, in a private network where it finds the drill's DNS and
    /// exchangers as it would on the internet (Linux; no root needed).
    #[command(after_help = EXEC_NOTES)]
    Exec(ExecArgs),
    /// Put real mail servers through the suite and show where they depart from the RFCs (Linux).
    #[command(after_help = CONFORM_NOTES)]
    Conform(ConformArgs),
    /// Mail servers that can be put through the suite, and fetching them (Linux).
    #[command(subcommand)]
    Mta(MtaCommand),
    /// One drill of one mail server; mxdrill starts itself so.
    #[command(hide = true)]
    Cell,
    /// A program as another user; mxdrill starts itself so.
    #[command(hide = true)]
    User(UserArgs),
}

const JUDGE_NOTES: &str = "\
A log is what `mxdrill run --format json`, `exec --log` and `conform --logs` write. With the scenario it is
all that a verdict rests on: two files that show what somebody's sender did, on any machine.

Exit status: that of the verdict (0 passed, 1 failed), 2 a file could not be read.

Examples:
  mxdrill exec a.toml --log a.jsonl -- ./my-sender alice@example.test
  mxdrill judge a.toml a.jsonl
  mxdrill up a.toml --format json > a.jsonl; mxdrill judge a.toml a.jsonl --sender command";

const PLAN_NOTES: &str = "\
Percentages are of the mail that comes to a level: all of it to the first, to the others what the ones
before could not take.

Exit status: 0 mail can be delivered, 1 it cannot, 2 the records could not be read.

Examples:
  mxdrill plan example.com                       what the system's resolver says
  mxdrill plan example.com --zone example.com.zone
  mxdrill plan export.txt --format json          every domain in a file that has MX records";

const REHEARSE_NOTES: &str = "\
The drills are made of the records, and run with the reference sender on a virtual clock: nothing is sent to
anybody. Exchangers whose addresses are not known get others in their place.

Exit status: 0 it was rehearsed, 2 it could not be.

Examples:
  mxdrill rehearse example.com
  mxdrill rehearse example.com.zone --html rehearsal.html
  mxdrill rehearse example.com --write drills/   the scenario files, for your own repository";

const LINT_NOTES: &str = "\
Each finding stands at its record (path:line), with the id of its check. What the files do not say, as the
addresses of a provider's exchangers, trips nothing and is named as not checked; --resolver looks that up.

Exit status: 0 nothing as bad as --fail-on, 1 something is, 2 the records could not be read.

Examples:
  mxdrill lint example.com                       what the system's resolver says
  mxdrill lint example.com.zone reverse.zone     files, with what their PTR records say
  mxdrill lint export.txt --format sarif         for a code host; junit for CI
  dig example.com axfr | mxdrill lint -          standard input
  mxdrill lint --explain spf-lookups             why that matters, and what to do";

const CONFORM_NOTES: &str = "\
Each drill has a private network of its own, in which the mail server finds the drill's DNS and
exchangers. It is judged by what the lab saw, notifications included. Mail servers are fetched when they
are first needed, into a cache folder ($MXDRILL_CACHE); nothing is installed.

Grades: pass; informs (open or contested in the RFCs); deviates (from a SHOULD); violates (a MUST);
inconclusive and unfit, with the reason.

Exit status: 0 nothing violates a MUST, 1 something does, 2 something is inconclusive or could not be run.

Examples:
  mxdrill conform postfix                        the whole suite
  mxdrill conform postfix exim my-drills/        drills of your own
  mxdrill conform all --html matrix.html         the matrix as a page
  mxdrill conform ./my-mta.toml --filter null    an adapter of your own
  mxdrill conform control                        the judge itself: the reference sender, clean and with each
                                                 flaw, judged as a mail server is";

const EXEC_NOTES: &str = "\
Inside, the name server of /etc/resolv.conf is the drill's, its exchangers have the zone's own addresses
at port 25, and no other host can be reached. Files and local sockets are the host's: what a program hands
to a mail server on this host by them, that sends. An ordinary user is root inside, of files of their own.
Moments are real: a connection that is never answered costs what the command waits for it. When the
command ends the drill does, and what was not delivered by then counts as given up or kept. So it is when
mxdrill is asked to end; an interrupt from the terminal is left to the command.

Exit status: that of the verdict (0 passed, 1 failed, 2 could not run); of a program that sends nothing (dig,
nslookup, host, drill, delv, kdig, getent) there is nothing to judge: 0 if it succeeded, 1 if not.

Examples:
  mxdrill exec a.toml -- swaks --to alice@example.test
  mxdrill exec a.toml --follow -- python3 my_sender.py alice@example.test
  mxdrill exec a.toml --pcap drill.pcap -- sh";

#[derive(Debug, Clone, clap::Args)]
struct RunArgs {
    /// Scenario files, or folders of them, - for standard input; without any, the drills that come with
    /// mxdrill.
    paths: Vec<PathBuf>,
    #[command(flatten)]
    outside: OutsideArgs,
    /// The network to run on: memory has a virtual clock, loopback real sockets and real time.
    /// Without it, memory, and loopback for drills that need sockets.
    #[arg(long, value_enum)]
    network: Option<NetworkArg>,
    /// Where randomness starts from, in place of each scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Only scenarios whose path contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How to report: text for people, json for programs (JSON lines, written as they come), junit for CI
    /// systems (whose counts come first, so that it is written when all drills have ended).
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// A line for every drill in place of one for every folder.
    #[arg(long, short)]
    verbose: bool,
    /// The whole timeline of each drill, those that pass too: lookups, attempts, replies and their moments.
    #[arg(long)]
    trace: bool,
    /// Break the reference sender on purpose, to see what catches it.
    #[arg(long, value_enum, value_name = "FLAW")]
    flaw: Option<crate::sender::Flaw>,
    /// Also write one HTML file with a timeline for each message; it grows as drills end.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Let scenarios send mail to a server on another host (upstream).
    #[arg(long)]
    allow_upstream: bool,
}

#[derive(Debug, clap::Args)]
struct JudgeArgs {
    /// The scenario file.
    scenario: PathBuf,
    /// What happened: JSON lines.
    log: PathBuf,
    #[command(flatten)]
    outside: OutsideArgs,
    /// Who sent, in place of what the log says: it decides what could be known.
    #[arg(long, value_enum, value_name = "SENDER")]
    sender: Option<SenderArg>,
    /// How to report: text for people, json for programs (JSON lines), junit for CI systems.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// The whole timeline, of a drill that passes too.
    #[arg(long, short)]
    verbose: bool,
}

/// Who sent the messages of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SenderArg {
    /// The reference sender, or a Rust sender in the same process, which says what became of messages.
    InProcess,
    /// A command that ended.
    Command,
    /// A mail server.
    MailServer,
}

#[derive(Debug, clap::Args)]
struct CheckArgs {
    /// Scenario files, or folders of them; - is standard input.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    outside: OutsideArgs,
}

/// Where the files may lie that other files name.
#[derive(Debug, Clone, clap::Args)]
struct OutsideArgs {
    /// Read files that a zone_file or an $INCLUDE names outside the folder of the file that names them.
    #[arg(long)]
    allow_outside: bool,
}

impl OutsideArgs {
    fn reach(&self) -> Reach {
        match self.allow_outside {
            true => Reach::Anywhere,
            false => Reach::Folder,
        }
    }

    /// The same once more, in a command.
    fn again(&self) -> &'static str {
        match self.allow_outside {
            true => " --allow-outside",
            false => "",
        }
    }
}

const FUZZ_NOTES: &str = "\
Zones, faults and messages come from numbers: the same number is the same drill. Nothing is expected of
them but the rules that always hold. What fails is made smaller as long as it fails, and written to
fuzz-NUMBER.toml, which `mxdrill run` plays.

Exit status: 0 no rule was broken, 1 one was, 2 it could not be run.

Examples:
  mxdrill fuzz --cases 100000
  mxdrill fuzz --flaw highest-first              a sender broken on purpose is found out";

#[derive(Debug, clap::Args)]
struct FuzzArgs {
    /// How many drills.
    #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    cases: u64,
    /// The number of the first one.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    seed: u64,
    /// Break the reference sender on purpose.
    #[arg(long, value_enum, value_name = "FLAW")]
    flaw: Option<crate::sender::Flaw>,
    /// The folder to write the drill that fails to.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    write: PathBuf,
}

#[derive(Debug, clap::Args)]
struct PlanArgs {
    #[command(flatten)]
    records: records::RecordsArgs,
    /// How to show it: text for people, json for programs (a line for each domain).
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    format: PlanFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PlanFormat {
    Text,
    Json,
}

#[derive(Debug, clap::Args)]
struct LintArgs {
    #[command(flatten)]
    records: records::RecordsArgs,
    /// How to report: text for people, json for programs (a line for each finding), sarif for code hosts,
    /// junit for CI systems.
    #[arg(long, value_enum, default_value_t = LintFormat::Text)]
    format: LintFormat,
    /// From which severity on the exit status is 1.
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    fail_on: FailOn,
    /// Tell what a check is about, why it matters and what to do.
    #[arg(long, value_name = "ID", exclusive = true)]
    explain: Option<String>,
    /// List every check.
    #[arg(long, exclusive = true)]
    checks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LintFormat {
    Text,
    Json,
    Sarif,
    Junit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

#[derive(Debug, clap::Args)]
struct RehearseArgs {
    #[command(flatten)]
    records: records::RecordsArgs,
    /// How to show it: text for people, json for programs (a line for each drill).
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    format: PlanFormat,
    /// Write the drills to this folder, as scenario files. One that is there already is written anew if it is
    /// as mxdrill wrote it, and otherwise none is.
    #[arg(long, value_name = "FOLDER")]
    write: Option<PathBuf>,
    /// Also write one HTML file with a timeline for each message.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
struct NewArgs {
    /// The file to write; one that is there is left as it is.
    #[arg(default_value = "drill.toml", value_name = "FILE")]
    file: PathBuf,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    /// The scenario file.
    scenario: PathBuf,
    #[command(flatten)]
    outside: OutsideArgs,
    /// The port of the name server; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    dns_port: u16,
    /// The port of every mail exchanger, or of the first where each has one of its own; 0 is any free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    smtp_port: u16,
    /// The first address of 127.0.0.0/8 that exchangers may have: each has one of its own from there on. Or, with
    /// a port, the one address of all: the name server has that port, each exchanger one of the next; with port 0
    /// any free ones. So it is also where the system has no address for loopback but 127.0.0.1.
    #[arg(long, default_value = "127.25.0.0", value_name = "ADDRESS[:PORT]", value_parser = spread)]
    bind: Spread,
    /// Write the certificate of the lab's authority to this file (PEM), for clients to trust.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How to log what happens: text for people, json for programs (JSON lines).
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    format: LogFormat,
    /// Let the scenario send mail to a server on another host (upstream).
    #[arg(long)]
    allow_upstream: bool,
}

#[derive(Debug, clap::Args)]
struct ExecArgs {
    /// The scenario file.
    scenario: PathBuf,
    #[command(flatten)]
    outside: OutsideArgs,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    /// Log what happens as it happens, to standard error.
    #[arg(long, short)]
    follow: bool,
    /// Write every packet to this file, for Wireshark or tcpdump.
    #[arg(long, value_name = "FILE")]
    pcap: Option<PathBuf>,
    /// Write every event and the verdict to this file (JSON lines).
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Write the certificate of the lab's authority to this file (PEM), for the command to trust.
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where randomness starts from, in place of the scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

#[derive(Debug, clap::Args)]
struct ConformArgs {
    /// Mail servers by the names of `mxdrill mta list`, `all`, or paths of adapters; then scenario
    /// files or folders of them. Without any of the latter, the drills that come with mxdrill.
    #[arg(required = true, value_name = "MTA|PATH")]
    words: Vec<String>,
    #[command(flatten)]
    outside: OutsideArgs,
    /// Only scenarios whose path contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// How many drills at once; without it, three for each core.
    #[arg(long, short, value_name = "NUMBER")]
    jobs: Option<usize>,
    /// Where randomness starts from, in place of each scenario's own seed.
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// What to print.
    #[arg(long, value_enum, default_value_t = MatrixFormat::Text)]
    format: MatrixFormat,
    /// Also write the matrix as one HTML file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Also write everything as JSON, the evidence included.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write the matrix as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write the log of every run to a file of its own in this folder, for `mxdrill judge`.
    #[arg(long, value_name = "FOLDER")]
    logs: Option<PathBuf>,
    /// A line for every drill as it ends.
    #[arg(long, short)]
    verbose: bool,
}

#[derive(Debug, Subcommand)]
enum MtaCommand {
    /// Which there are, and whether they have been fetched.
    List,
    /// Fetch them: packages of the distribution or of npm, unpacked into a cache folder.
    Get(GetArgs),
}

#[derive(Debug, clap::Args)]
struct UserArgs {
    id: u32,
    #[arg(last = true, required = true)]
    program: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
struct GetArgs {
    /// Their names, or paths of adapters; without any, all that come with mxdrill.
    names: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MatrixFormat {
    Text,
    Markdown,
    Json,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum NetworkArg {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Text,
    Json,
    Junit,
}

/// Where the hosts of a lab on loopback may be: it binds no other address.
fn spread(text: &str) -> Result<Spread, String> {
    let (address, port) = match text.split_once(':') {
        Some((address, port)) => (address, Some(port)),
        None => (text, None),
    };
    let address = address.parse::<std::net::Ipv4Addr>().ok();
    let address = address.filter(std::net::Ipv4Addr::is_loopback);
    match (address, port.map(str::parse)) {
        (Some(first), None) => Ok(Spread::Addresses { first: Some(first) }),
        (Some(at), Some(Ok(first))) => Ok(Spread::Ports { at, first }),
        _ => Err(
            "expected an address of 127.0.0.0/8, such as 127.25.0.0, or one with a port, such as 127.0.0.1:2500"
                .to_owned(),
        ),
    }
}

/// Why a scenario may not be run unless the user allows it: it would reach out of this host.
fn upstream_obstacle(scenario: &crate::scenario::Scenario, allowed: bool) -> Option<String> {
    let upstream = scenario.upstream_elsewhere().filter(|_| !allowed)?;
    Some(format!(
        "found upstream {upstream:?}, expected one on this host; --allow-upstream lets it be"
    ))
}

/// An error about a file or folder, with its path in front.
fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A word as a shell takes it for one.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

impl ValueEnum for crate::sender::Flaw {
    fn value_variants<'a>() -> &'a [Self] {
        const VARIANTS: [crate::sender::Flaw; crate::sender::Flaw::ALL.len()] = {
            let mut variants = [crate::sender::Flaw::ALL[0].1; crate::sender::Flaw::ALL.len()];
            let mut index = 0;
            while index < variants.len() {
                variants[index] = crate::sender::Flaw::ALL[index].1;
                index += 1;
            }
            variants
        };
        &VARIANTS
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        let (name, _) = Self::ALL.iter().find(|(_, flaw)| flaw == self)?;
        Some(clap::builder::PossibleValue::new(*name))
    }
}

/// What a command came to.
enum Outcome {
    /// All passed.
    Passed,
    /// A verdict failed.
    Failed,
    /// Something could not be run.
    CouldNotRun,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::SUCCESS,
            Outcome::Failed => Self::from(1),
            Outcome::CouldNotRun => Self::from(2),
        }
    }
}

/// Ends this process, which was asked to end before it was done.
fn give_up() {
    say::err("mxdrill: interrupted");
    std::process::exit(2);
}

/// Does what the command line asks.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    allow_many_files();
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Judge(args) => judge::judge(&args),
        Command::Check(args) => check::check(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Lint(args) => lint::lint(&args),
        Command::New(args) => new::new(&args),
        Command::Rehearse(args) => rehearse::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Up(args) => up::up(&args),
        #[cfg(target_os = "linux")]
        Command::Exec(args) => match cli.inside {
            None => exec::outside(&args),
            Some(lifeline) => exec::inside(&args, lifeline),
        },
        #[cfg(target_os = "linux")]
        Command::Conform(args) if args.words.iter().any(|word| word == "control") => {
            control::control(&args)
        }
        #[cfg(target_os = "linux")]
        Command::Conform(args) => conform::conform(&args),
        #[cfg(target_os = "linux")]
        Command::Mta(command) => mta::mta(&command),
        #[cfg(target_os = "linux")]
        Command::Cell => match cli.inside {
            None => crate::mta::cell::keep().map(|played| match played {
                true => Outcome::Passed,
                false => Outcome::CouldNotRun,
            }),
            Some(lifeline) => crate::mta::cell::inside(lifeline).map(|()| Outcome::Passed),
        },
        #[cfg(target_os = "linux")]
        Command::User(args) => {
            crate::namespace::ids::become_user(args.id, &args.program).map(|never| match never {})
        }
        #[cfg(not(target_os = "linux"))]
        Command::User(_)
        | Command::Exec(_)
        | Command::Conform(_)
        | Command::Mta(_)
        | Command::Cell => Err(io::Error::other(
            "a private network needs Linux; elsewhere `mxdrill up` keeps the servers on loopback",
        )),
    };
    // What was said may still wait to be written.
    match outcome.and_then(|outcome| io::stdout().flush().map(|()| outcome)) {
        Ok(outcome) => outcome.into(),
        // Whoever read our output has had enough of it, and does not know all.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::CouldNotRun.into(),
        Err(error) => {
            say::err(format_args!("mxdrill: {error}"));
            Outcome::CouldNotRun.into()
        }
    }
}

/// Lets this process have as many files open as it may: every session takes one.
fn allow_many_files() {
    #[cfg(target_os = "linux")]
    {
        use nix::sys::resource::{Resource, getrlimit, setrlimit};
        // Where this cannot be had there is less room, and that is told when it is used up.
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            setrlimit(Resource::RLIMIT_NOFILE, most, most).ok();
        }
    }
}
