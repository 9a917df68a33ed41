//! `mxdrill judge`: what was written down is judged again, and nothing is run.
//!
//! A verdict rests on a scenario and a log alone. If it differs from the one in the log, that is
//! said: the rules have changed since, or the file has.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::Arc,
    time::Instant,
};

use clap::ValueEnum;

use super::{CommandOutcome, Format, OutsideArgs, at, run};
use crate::report::{DrillEnd, DrillReport, RunCounts, Style};
use mxdrill::{
    recording::{self, Recording},
    scenario::Scenario,
    verdict::SenderKind,
};

pub(crate) const JUDGE_NOTES: &str = "\
A log is what `mxdrill run --format json`, `exec --log` and `conform --logs` write. With the scenario it is
all that a verdict rests on: two files that show what somebody's sender did, on any machine.

Exit status: that of the verdict (0 passed, 1 failed), 2 a file could not be read.

Examples:
  mxdrill exec a.toml --log a.jsonl -- ./my-sender alice@example.test
  mxdrill judge a.toml a.jsonl
  mxdrill up a.toml --format json > a.jsonl; mxdrill judge a.toml a.jsonl --sender command";

#[derive(Debug, clap::Args)]
pub(crate) struct JudgeArgs {
    /// The scenario file.
    pub(crate) scenario: PathBuf,
    /// What happened: JSON lines.
    pub(crate) log: PathBuf,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
    /// Who sent, in place of what the log says: it decides what could be known.
    #[arg(long, value_enum, value_name = "SENDER")]
    pub(crate) sender: Option<SenderArg>,
    /// How to report: text for people, json for programs (JSON lines), junit for CI systems, github
    /// for annotations in a workflow there.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// The whole timeline, of a drill that passes too.
    #[arg(long, short)]
    pub(crate) verbose: bool,
}

/// Who sent the messages of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SenderArg {
    /// The reference sender, or a Rust sender in the same process, which says what became of messages.
    InProcess,
    /// A command that ended.
    Command,
    /// A command that ended, on virtual time.
    ClockedCommand,
    /// A mail server.
    MailServer,
}

/// Judges a log, and reports it as `mxdrill run` does.
pub(crate) fn judge(args: &JudgeArgs) -> io::Result<CommandOutcome> {
    let begun = Instant::now();
    let text = fs::read_to_string(&args.log).map_err(|error| at(&args.log, error))?;
    let read = Scenario::load_within(&args.scenario, args.outside.reach()).and_then(|scenario| {
        let log = args.log.display().to_string();
        let recording = Recording::parse(&log, &text, &scenario.path)?;
        recording.is_of(&scenario, &log)?;
        Ok((scenario, recording))
    });
    let (scenario, recording) = match read {
        Ok(read) => read,
        Err(mistakes) => {
            anstream::eprintln!("{mistakes}");
            return Ok(CommandOutcome::CouldNotRun);
        }
    };
    let sender_kind = args.sender.map(SenderKind::from).or(recording.sender_kind);
    let Some(sender_kind) = sender_kind else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{}: found no verdict that says who sent, expected --sender in-process, command or mail-server",
                args.log.display()
            ),
        ));
    };
    let scenario = Arc::new(scenario);
    let before = recording.verdict.clone();
    let drill = recording.judge(&scenario, sender_kind);
    let passed = drill.verdict.passed();
    let same = args.sender.is_some()
        || before
            .is_none_or(|before| is_same(&before, &recording::verdict_line(&scenario, &drill)));
    let played = DrillReport {
        again: again(args),
        end: DrillEnd::Ran(Box::new(drill)),
        elapsed: begun.elapsed(),
        known: None,
        scenario,
    };
    let style = if args.verbose {
        Style::Traced
    } else {
        Style::Detailed
    };
    let out = run::SharedOutput::default();
    let mut report = run::reporter(args.format, style, &out);
    report.played(&played)?;
    let mut tally = RunCounts::default();
    tally.count(&played);
    report.finished(tally, begun.elapsed())?;
    out.clone().flush()?;
    if !same {
        anstream::eprintln!(
            "mxdrill: the verdict that was given then, in {}, is another one",
            args.log.display()
        );
    }
    Ok(if passed {
        CommandOutcome::Passed
    } else {
        CommandOutcome::Failed
    })
}

/// The command that judges it again, as it was.
fn again(args: &JudgeArgs) -> String {
    let mut command = run::quoted_command("judge", [&args.scenario, &args.log]);
    command.push_str(args.outside.again());
    if let Some(sender) = args.sender.and_then(|sender| sender.to_possible_value()) {
        command.push_str(&format!(" --sender {}", sender.get_name()));
    }
    command
}

/// Whether two verdicts say the same of what happened; seeds and times do not count.
fn is_same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    let keys = ["passed", "outcomes", "attempts", "findings", "notes"];
    keys.iter().all(|key| one[key] == other[key])
}

impl From<SenderArg> for SenderKind {
    fn from(sender: SenderArg) -> Self {
        match sender {
            SenderArg::InProcess => Self::InProcess {
                tolerance: std::time::Duration::ZERO,
            },
            SenderArg::Command => Self::Command,
            SenderArg::ClockedCommand => Self::ClockedCommand,
            SenderArg::MailServer => Self::MailServer,
        }
    }
}
