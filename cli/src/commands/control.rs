//! `mxdrill conform control`: the judge of foreign senders, put to the test itself.
//!
//! The reference sender plays the suite as a mail server does, a process of its own in a private network of its own for
//! each drill; drills that set the sender, or that real time cannot carry where there is no virtual time, it plays on the
//! memory network. It is judged by what the lab saw alone: clean it has to pass, and each flaw has to be caught. On
//! virtual time it also has to make the attempts that it makes on the memory network, at the same moments.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CommandOutcome, conform,
    private::{ConformArgs, MatrixFormat},
    say, scenario_files,
};
use crate::{
    conform::{
        counted::Counted,
        eligibility::{Eligibility, Pace},
        isolated_run,
        record::RunRecord,
        request::{Player, RunRequest, ScenarioSource},
        suite::{ROUNDS, keep},
    },
    parallel, signals,
};
use mxdrill::{
    drill,
    event::silenced,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{Flaw, Reference},
    verdict::{SenderKind, judge},
    zone::file::Reach,
};

/// A drill that is to be played, by the reference sender with a flaw or without.
struct ControlDrill {
    scenario: Arc<Scenario>,
    flaw: Option<Flaw>,
    fit: Eligibility,
    pace: Pace,
}

/// What was wrong with it: the claims, and the rules that were broken.
#[derive(Debug, Clone, Default)]
struct ControlResult {
    claims: Vec<String>,
    rules: Vec<String>,
    /// Why it could not be judged.
    trouble: Option<String>,
}

/// Puts the judge to the test and prints what came of it: each drill that failed without a flaw,
/// and for each flaw whether it was caught.
pub(crate) fn control(args: &ConformArgs) -> io::Result<CommandOutcome> {
    alone(args)?;
    signals::when_asked_to_end(|| {
        signals::kill_descendants();
        super::give_up();
    })?;
    let filter = args.selection.filter.as_deref();
    let loaded = scenario_files::load(&[], None, Reach::Folder)?;
    let suite: Vec<Arc<Scenario>> = loaded.into_iter().filter_map(Result::ok).collect();
    let wanted = |scenario: &&Arc<Scenario>| filter.is_none_or(|part| scenario.path.contains(part));
    let pace = conform::pace(args);
    let mut controls: Vec<ControlDrill> = suite
        .iter()
        .filter(wanted)
        .filter_map(|scenario| ControlDrill::new(scenario, None, pace))
        .collect();
    if controls.is_empty() {
        let filter = filter.unwrap_or_default();
        let text = format!("found no scenario whose path contains {filter:?}");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    for flaw in Flaw::ALL {
        let path = format!("scenarios/{}.toml", flaw.control().drill);
        let shown = suite.iter().find(|scenario| scenario.path == path);
        let shown = shown.and_then(|scenario| ControlDrill::new(scenario, Some(flaw), pace));
        controls.push(shown.ok_or_else(|| io::Error::other(format!("found no drill {path}")))?);
    }
    let jobs = args.jobs.unwrap_or_else(conform::usual_jobs);
    let seen = play(&controls, jobs, args.logs.as_deref());
    print(&controls, &seen)
}

/// An error if options were given that are for a matrix.
fn alone(args: &ConformArgs) -> io::Result<()> {
    let files = [&args.html, &args.json, &args.markdown, &args.compare];
    if args.words.len() > 1
        || files.iter().any(|file| file.is_some())
        || args.format != MatrixFormat::Text
        || args.quiet
        || args.baseline.is_any()
        || args.selection.is_more_than_a_filter()
    {
        let text = "control is a matrix of its own, printed as text: expected \
                    `mxdrill conform control`, with --filter, --jobs or --logs";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    Ok(())
}

impl ControlDrill {
    /// A drill for a sender. `None` if it can be played neither in a private network nor on the
    /// memory network.
    fn new(scenario: &Arc<Scenario>, flaw: Option<Flaw>, pace: Pace) -> Option<Self> {
        let fit = Eligibility::of(scenario, pace);
        let is_possible = drill::obstacle(scenario, NetworkKind::Memory).is_none();
        (fit.obstacle.is_none() || is_possible).then(|| Self {
            scenario: Arc::clone(scenario),
            flaw,
            fit,
            pace,
        })
    }

    /// Whether the drill can be played in a private network; otherwise it is on the memory network.
    fn is_private(&self) -> bool {
        self.fit.obstacle.is_none()
    }

    fn seen(&self, logs: Option<&Path>) -> ControlResult {
        if self.is_private() {
            self.in_private(logs)
        } else {
            self.in_memory()
        }
    }

    /// Shares are counted over several rounds, each with a seed of its own, as a mail server's are.
    fn in_private(&self, logs: Option<&Path>) -> ControlResult {
        let mut seen = ControlResult::default();
        let mut counted = Counted::none_of(&self.fit.shares);
        let rounds = if counted.is_empty() { 1 } else { ROUNDS.1 };
        for round in 0..rounds {
            match self.round(round, logs) {
                Ok(cell) => {
                    let rules = cell.findings.iter().filter_map(|one| one.rule.clone());
                    seen.rules.extend(rules);
                    let claims = cell.findings.into_iter().map(|one| one.claim);
                    seen.claims.extend(claims);
                    // What a flaw changes is for rules to see.
                    if self.flaw.is_none() {
                        seen.claims.extend(cell.differences);
                    }
                    seen.trouble = cell.trouble;
                    for (counted, count) in counted.iter_mut().zip(cell.counts) {
                        counted.add(count, cell.sampled);
                    }
                }
                Err(error) => seen.trouble = Some(error.to_string()),
            }
            if seen.trouble.is_some() {
                return seen;
            }
        }
        let wrong = counted.iter().filter(|counted| !counted.is_plausible());
        seen.claims.extend(wrong.map(ToString::to_string));
        seen
    }

    fn round(&self, round: usize, logs: Option<&Path>) -> io::Result<RunRecord> {
        let job = RunRequest {
            player: Player::Reference {
                flaw: self.flaw.map(|flaw| flaw.to_string()),
            },
            scenario: PathBuf::from(&self.scenario.path),
            text: None,
            from: ScenarioSource::Mxdrill,
            pace: self.pace,
            seed: self.scenario.seed.wrapping_add(round as u64),
        };
        let cell = isolated_run::play(&job)?;
        if let Some(folder) = logs {
            let sender = self.flaw.map_or("reference", Flaw::word);
            keep(folder, sender, &self.scenario.path, round, &cell.recording)?;
        }
        Ok(cell)
    }

    /// On the memory network, judged as a mail server and as a command.
    fn in_memory(&self) -> ControlResult {
        let sender = self
            .flaw
            .map_or_else(Reference::default, Reference::with_flaw);
        let mut seen = ControlResult::default();
        match drill::run(&self.scenario, NetworkKind::Memory, None, sender) {
            Ok(run) => {
                let events = silenced(&run.events);
                for sender_kind in [SenderKind::MailServer, SenderKind::Command] {
                    for finding in judge(&self.scenario, &events, sender_kind).findings {
                        seen.rules.extend(finding.rule.map(str::to_owned));
                        seen.claims.push(finding.claim);
                    }
                }
            }
            Err(error) => seen.trouble = Some(error.to_string()),
        }
        seen
    }
}

/// Plays them all, so many at once.
fn play(controls: &[ControlDrill], jobs: usize, logs: Option<&Path>) -> Vec<ControlResult> {
    let mut all = vec![ControlResult::default(); controls.len()];
    let work = |index: usize| controls[index].seen(logs);
    parallel::each(controls.len(), jobs, work, |index, seen| all[index] = seen);
    all
}

/// Prints the result: what was clean, and what each flaw was seen by.
fn print(controls: &[ControlDrill], seen: &[ControlResult]) -> io::Result<CommandOutcome> {
    let mut out = anstream::stdout();
    let both = || controls.iter().zip(seen);
    let clean = |is_private| {
        let kind = both().filter(move |(control, _)| {
            control.flaw.is_none() && control.is_private() == is_private
        });
        let passed = kind.clone().filter(|(_, seen)| seen.is_clean()).count();
        format!("{passed} of {}", kind.count())
    };
    writeln!(
        out,
        "The reference sender, judged by what the lab saw alone, as a mail server and as a command.\n\n\
         without a flaw, drills passed\n  in a private network            {}\n  \
         on the memory network           {}  (they set the reference sender)",
        clean(true),
        clean(false)
    )?;
    let wrong = both().filter(|(control, seen)| control.flaw.is_none() && !seen.is_clean());
    let mut is_clean = true;
    for (control, seen) in wrong {
        is_clean = false;
        let claims = seen.trouble.iter().chain(&seen.claims).cloned();
        let claims: Vec<String> = claims.collect();
        writeln!(out, "  {}: {}", control.scenario.path, claims.join("; "))?;
    }
    writeln!(
        out,
        "\nEach flaw, and by what it is seen: a rule, or what its drill expects.\n\n{:<24} {:<46} {:<22} rule",
        "flaw", "drill", "seen"
    )?;
    let mut missed = 0;
    for (control, seen) in both() {
        let Some(flaw) = control.flaw else {
            continue;
        };
        let told = flaw.control();
        let by = match seen.rules.iter().any(|rule| rule == told.rule) {
            true => "by its rule",
            false if !seen.claims.is_empty() && told.unseen.is_some() => "by its expectations",
            false => "MISSED",
        };
        missed += usize::from(by == "MISSED");
        writeln!(out, "{flaw:<24} {:<46} {by:<22} {}", told.drill, told.rule)?;
        for why in seen.trouble.as_deref().into_iter().chain(told.unseen) {
            writeln!(out, "{:<24} {why}", "")?;
        }
    }
    let troubles =
        both().filter(|(control, seen)| control.flaw.is_none() && seen.trouble.is_some());
    if troubles.count() > 0 {
        say::err("mxdrill: some drills could not be judged");
        return Ok(CommandOutcome::CouldNotRun);
    }
    Ok(if is_clean && missed == 0 {
        CommandOutcome::Passed
    } else {
        CommandOutcome::Failed
    })
}

impl ControlResult {
    /// Whether nothing was wrong, and it could be judged.
    fn is_clean(&self) -> bool {
        self.claims.is_empty() && self.trouble.is_none()
    }
}
