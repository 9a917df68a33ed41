//! The command line: what can be asked for, and the exit status.
//!
//! Each command has its arguments and its doing in a file of `commands`. This file has the list of
//! commands, and turns what comes of one into an exit status: 0 all passed, 1 a verdict failed, 2
//! something could not be run. Errors are printed here and nowhere else, with the program's name in
//! front.
//!
//! Comments with three slashes on arguments are the text of `--help`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    CommandOutcome,
    check::{self, CheckArgs},
    fuzz::{self, FUZZ_NOTES, FuzzArgs},
    judge::{self, JUDGE_NOTES, JudgeArgs},
    lint::{self, LINT_NOTES, LintArgs},
    lint_watch,
    new::{self, NewArgs},
    plan::{self, PLAN_NOTES, PlanArgs},
    private::{
        CONFORM_NOTES, CellArgs, ClockedArgs, ConformArgs, EXEC_NOTES, ExecArgs, MtaCommand,
        UserArgs,
    },
    rehearse::{self, REHEARSE_NOTES, RehearseArgs},
    run,
    run_args::{RUN_NOTES, RunArgs},
    say,
    schema::{self, SCHEMA_NOTES},
    shell::{self, COMPLETIONS_NOTES, CompletionsArgs, ManArgs},
    up::{self, UpArgs},
};
#[cfg(all(target_os = "linux", feature = "private-network"))]
use crate::commands::{conform, control, exec, mta, schedules};
use mxdrill::time::HumanDuration;

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
#[command(name = "mxdrill", version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Set by mxdrill itself for its first process in a private network.
    #[arg(long, hide = true, value_name = "DESCRIPTOR")]
    inside: Option<i32>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run drills and judge them.
    #[command(after_help = RUN_NOTES)]
    Run(RunArgs),
    /// Validate scenario files without running them.
    Check(CheckArgs),
    /// Judge the log of a drill again: nothing is run.
    #[command(after_help = JUDGE_NOTES)]
    Judge(JudgeArgs),
    /// Play drills made at random with mxdrill's own sender, a command or mail servers, hold them against the rules, and
    /// write down the smallest that break one.
    #[command(after_help = FUZZ_NOTES)]
    Fuzz(FuzzArgs),
    /// Show where mail for a domain goes: preferences, exchangers, addresses, and what each gets.
    #[command(after_help = PLAN_NOTES)]
    Plan(PlanArgs),
    /// Let a domain's exchangers fail in every way, and show who takes the mail, how long it waits and
    /// what is lost; of several domains also what one outage takes with it.
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
    /// Mail servers that can be put through the suite, and fetching them (Linux; elsewhere in a container or a
    /// virtual machine).
    #[command(subcommand)]
    Mta(MtaCommand),
    /// Print the JSON Schema of scenario files, for editors.
    #[command(after_help = SCHEMA_NOTES)]
    Schema,
    /// Print a script that completes the words of a command line in a shell.
    #[command(after_help = COMPLETIONS_NOTES)]
    Completions(CompletionsArgs),
    /// Write manual pages, one for each command.
    Man(ManArgs),
    /// One drill of one mail server; mxdrill starts itself so.
    #[command(hide = true)]
    Cell(CellArgs),
    /// A program on virtual time; mxdrill starts itself so.
    #[command(hide = true)]
    Clocked(ClockedArgs),
    /// A program as another user; mxdrill starts itself so.
    #[command(hide = true)]
    User(UserArgs),
}

/// Does what the command line asks.
pub(crate) fn main() -> ExitCode {
    let cli = Cli::parse();
    allow_many_files();
    let outcome = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Judge(args) => judge::judge(&args),
        Command::Check(args) => check::check(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Lint(args) => match args.watch {
            Some(HumanDuration(interval)) => lint_watch::watch(&args, interval),
            None => lint::lint(&args),
        },
        Command::New(args) => new::new(&args),
        Command::Rehearse(args) => rehearse::run(&args),
        Command::Plan(args) => plan::plan(&args),
        Command::Up(args) => up::up(&args),
        Command::Schema => schema::schema(),
        Command::Completions(args) => shell::completions(Cli::command(), &args),
        Command::Man(args) => shell::man(Cli::command(), &args),
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Exec(args) => match cli.inside {
            None => exec::outside(&args),
            Some(lifeline) => exec::inside(&args, lifeline),
        },
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Conform(args) if args.words.iter().any(|word| word == "control") => {
            control::control(&args)
        }
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Conform(args) if args.schedules => schedules::schedules(&args),
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Conform(args) => conform::conform(&args),
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Mta(command) => mta::mta(&command),
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Cell(args) => match cli.inside {
            None if args.sends => {
                crate::conform::reference_run::send().map(|()| CommandOutcome::Passed)
            }
            None => crate::conform::isolated_run::keep(args.ids()).map(|played| {
                if played {
                    CommandOutcome::Passed
                } else {
                    CommandOutcome::CouldNotRun
                }
            }),
            Some(lifeline) => {
                crate::conform::isolated_run::inside(lifeline).map(|()| CommandOutcome::Passed)
            }
        },
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::User(args) => {
            crate::sandbox::ids::become_user(args.id, &args.program).map(|never| match never {})
        }
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Command::Clocked(args) => exec::on_virtual_time(&args).map(|never| match never {}),
        #[cfg(not(all(target_os = "linux", feature = "private-network")))]
        Command::User(_)
        | Command::Clocked(_)
        | Command::Exec(_)
        | Command::Conform(_)
        | Command::Mta(_)
        | Command::Cell(_) => Err(io::Error::other(crate::commands::NO_PRIVATE_NETWORK)),
    };
    // What was said may still wait to be written.
    match outcome.and_then(|outcome| io::stdout().flush().map(|()| outcome)) {
        Ok(outcome) => outcome.into(),
        // Whoever read our output has had enough of it, and does not know all.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            CommandOutcome::CouldNotRun.into()
        }
        Err(error) => {
            say::err(format_args!("mxdrill: {error}"));
            CommandOutcome::CouldNotRun.into()
        }
    }
}

/// Lets this process have as many files open as it may: every session takes one.
fn allow_many_files() {
    // Windows has no such limit.
    #[cfg(unix)]
    {
        use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
        /// What macOS allows where it says that there is no limit (`OPEN_MAX` of sys/syslimits.h).
        const OPEN_MAX: rlim_t = 10_240;
        // Where this cannot be had there is less room, and that is told when it is used up.
        if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
            setrlimit(Resource::RLIMIT_NOFILE, most, most)
                .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, most.min(OPEN_MAX), most))
                .ok();
        }
    }
}
