//! `mxdrill judge`: what was written down is judged again, and nothing is run.

use std::{
    fs,
    io::{self, Write},
    sync::Arc,
    time::Instant,
};

use clap::ValueEnum;

use super::{JudgeArgs, Outcome, SenderArg, at, run};
use crate::{
    recording::Recording,
    report::{End, Played, Style, Tally, json},
    scenario::Scenario,
    verdict::Witness,
};

pub(super) fn judge(args: &JudgeArgs) -> io::Result<Outcome> {
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
            return Ok(Outcome::CouldNotRun);
        }
    };
    let witness = args.sender.map(Witness::from).or(recording.witness);
    let Some(witness) = witness else {
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
    let drill = recording.judge(&scenario, witness);
    let passed = drill.verdict.passed();
    let same = args.sender.is_some()
        || before.is_none_or(|before| is_same(&before, &json::verdict(&scenario, &drill)));
    let played = Played {
        again: again(args),
        end: End::Ran(Box::new(drill)),
        elapsed: begun.elapsed(),
        scenario,
    };
    let style = match args.verbose {
        true => Style::Traced,
        false => Style::Detailed,
    };
    let out = run::Shared::default();
    let mut report = run::reporter(args.format, style, &out);
    report.played(&played)?;
    let mut tally = Tally::default();
    tally.count(&played.end);
    report.finished(tally, begun.elapsed())?;
    out.clone().flush()?;
    if !same {
        anstream::eprintln!(
            "mxdrill: the verdict that was given then, in {}, is another one",
            args.log.display()
        );
    }
    Ok(match passed {
        true => Outcome::Passed,
        false => Outcome::Failed,
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

/// Whether two verdicts say the same of what happened.
fn is_same(one: &serde_json::Value, other: &serde_json::Value) -> bool {
    let keys = ["passed", "outcomes", "attempts", "findings", "notes"];
    keys.iter().all(|key| one[key] == other[key])
}

impl From<SenderArg> for Witness {
    fn from(sender: SenderArg) -> Self {
        match sender {
            SenderArg::InProcess => Self::Sender {
                tolerance: std::time::Duration::ZERO,
            },
            SenderArg::Command => Self::Command,
            SenderArg::MailServer => Self::Server,
        }
    }
}
