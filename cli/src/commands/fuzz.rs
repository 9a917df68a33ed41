//! `mxdrill fuzz`: plays random drills and holds them against the rules.
//!
//! Cases are numbered, and played on all cores. The lowest number that fails is the result,
//! whichever thread finds what first: so it is the same on every machine.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use indicatif::ProgressBar;

use super::{CommandOutcome, at, say};
use crate::{
    parallel, progress,
    report::{DrillEnd, DrillReport, Report, Style, TextReport},
    signals,
};
use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    random_drill::RandomDrill,
    scenario::Scenario,
    sender::{Flaw, Reference},
};

pub(crate) const FUZZ_NOTES: &str = "\
Zones, faults and messages come from numbers: the same number is the same drill. Nothing is expected of
them but the rules that always hold. What fails is made smaller as long as it fails, and written to
fuzz-NUMBER.toml, which `mxdrill run` plays.

Exit status: 0 no rule was broken, 1 one was, 2 it could not be run.

Examples:
  mxdrill fuzz --cases 100000
  mxdrill fuzz --flaw highest-first              a sender broken on purpose is found out";

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// How many drills.
    #[arg(long, default_value_t = 1000, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cases: u64,
    /// The number of the first one.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Break the reference sender on purpose.
    #[arg(long, value_parser = super::flaw(), value_name = "FLAW")]
    pub(crate) flaw: Option<Flaw>,
    /// The folder to write the drill that fails to.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub(crate) write: PathBuf,
}

/// Plays the cases; the first that breaks a rule is made smaller and written down.
pub(crate) fn fuzz(args: &FuzzArgs) -> io::Result<CommandOutcome> {
    let begun = Instant::now();
    let folder = &args.write;
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let bar = progress::bar(args.cases, "{pos}/{len} drills, {per_sec}, {eta} to go");
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    signals::when_asked_to_end(move || stop.store(true, Ordering::SeqCst))?;
    let failed = search(args, &bar, &stopped)?;
    bar.finish_and_clear();
    let Some(case) = failed else {
        if stopped.load(Ordering::SeqCst) {
            let text = format!(
                "interrupted: no rule was broken in {} of {} drills, from number {}",
                bar.position(),
                args.cases,
                args.seed
            );
            return Err(io::Error::new(io::ErrorKind::Interrupted, text));
        }
        say::out(format_args!(
            "{} drills, from number {}: no rule was broken ({:.1} s)",
            args.cases,
            args.seed,
            begun.elapsed().as_secs_f64()
        ))?;
        return Ok(CommandOutcome::Passed);
    };
    let number = case.number();
    let case = case.shrunk(|scenario| play(scenario, args).is_ok_and(|run| !run.verdict.passed()));
    let suffix = args.flaw.map_or(String::new(), |flaw| format!("-{flaw}"));
    let path = folder.join(format!("fuzz-{number}{suffix}.toml"));
    let comment = match args.flaw {
        Some(flaw) => {
            format!("# A rule is broken by the flaw {flaw}: mxdrill run --flaw {flaw}.\n")
        }
        None => "# The reference sender breaks a rule, or the rule is wrong.\n".to_owned(),
    };
    fs::write(&path, comment + &case.text()).map_err(|error| at(&path, error))?;
    let scenario = Arc::new(Scenario::load(&path).map_err(io::Error::other)?);
    let run = play(&scenario, args)?;
    let flaw = args
        .flaw
        .map_or(String::new(), |flaw| format!(" --flaw {flaw}"));
    TextReport::new(anstream::stdout(), Style::Detailed).played(&DrillReport {
        again: format!("mxdrill run {}{flaw}", scenario.path),
        scenario,
        elapsed: begun.elapsed(),
        end: DrillEnd::Ran(Box::new(run)),
    })?;
    say::out(format_args!(
        "Number {number} breaks a rule; the smallest drill that does is {}.",
        path.display()
    ))?;
    Ok(CommandOutcome::Failed)
}

/// The case of the lowest number that breaks a rule.
fn search(
    args: &FuzzArgs,
    bar: &ProgressBar,
    stopped: &AtomicBool,
) -> io::Result<Option<RandomDrill>> {
    // No number is beyond the greatest there is.
    let cases = args.cases.min(u64::MAX - args.seed);
    let number = |index: usize| args.seed + index as u64;
    // Beyond the lowest number that failed nothing needs to be played any more.
    let lowest = AtomicU64::new(u64::MAX);
    let work = |index: usize| {
        let number = number(index);
        if number > lowest.load(Ordering::Relaxed) || stopped.load(Ordering::SeqCst) {
            return None;
        }
        let case = RandomDrill::new(number);
        let broken = case
            .scenario()
            .map_err(io::Error::other)
            .and_then(|scenario| play(&scenario, args))
            .map(|run| !run.verdict.passed());
        if !matches!(broken, Ok(false)) {
            lowest.fetch_min(number, Ordering::Relaxed);
        }
        Some(broken.map(|broken| broken.then_some(case)))
    };
    let mut failed: Option<RandomDrill> = None;
    let mut trouble = None;
    let cases = usize::try_from(cases).unwrap_or(usize::MAX);
    parallel::each_while(cases, parallel::cores(), work, |_, played| {
        bar.inc(1);
        match played {
            Ok(Some(case)) => {
                let is_lower = |known: &RandomDrill| case.number() < known.number();
                if failed.as_ref().is_none_or(is_lower) {
                    failed = Some(case);
                }
            }
            Ok(None) => {}
            Err(error) => drop(trouble.get_or_insert(error)),
        }
    });
    trouble.map_or(Ok(failed), Err)
}

fn play(scenario: &Arc<Scenario>, args: &FuzzArgs) -> io::Result<Run> {
    let sender = args
        .flaw
        .map_or_else(Reference::default, Reference::with_flaw);
    Ok(drill::run(scenario, NetworkKind::Memory, None, sender)?)
}
