//! Drills played side by side on all cores, and told in order.
//!
//! Threads take the next drill as they are free. The main thread hands over what is told in the
//! order of the drills; a drill that is early waits, and one that is too far ahead is not begun.

use std::{
    collections::BTreeMap,
    io,
    ops::ControlFlow,
    sync::{
        Arc,
        mpsc::{self, SyncSender},
    },
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use super::{
    Format,
    lines::{Lines, NextDrill, Rest, When},
    run_args::{NetworkArg, RunArgs, again},
};
use crate::{
    parallel, progress,
    report::{DrillEnd, DrillReport, Shown, TimelineLog, TimelineSection},
    signals,
};
use mxdrill::{
    Error,
    drill::{self, Run},
    event::{Event, EventKind},
    lab::NetworkKind,
    scenario::Scenario,
    sender::Reference,
};

/// Show a progress bar above these counts.
const MANY_DRILLS: usize = 1000;
const MANY_MESSAGES: usize = 20_000;
/// How often a drill is played at most whose verdict a busy machine has spoilt.
const TRIES: usize = 5;
/// A run that takes longer than this shows its progress.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the playing ended: all of it, or at an interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PlayEnd {
    ByItself,
    Interrupted,
}

/// A drill that was played, with all that is to be told of it.
pub(crate) struct Finished {
    pub(crate) played: DrillReport,
    /// Its events as JSON lines, as far as they were not told before.
    pub(crate) rest: Rest,
    /// Its part of the HTML file.
    pub(crate) section: Option<TimelineSection>,
}

/// What is told of drills, in their order.
pub(crate) enum Announced {
    /// JSON lines of the drill whose turn it is.
    Lines(Vec<u8>),
    /// It ended.
    Finished(Box<Finished>),
}

/// What a thread hands over.
enum FromThread {
    Lines(Vec<u8>),
    Finished(usize, Box<Finished>),
    Interrupted,
}

/// What the threads share.
struct Playing {
    scenarios: Vec<Arc<Scenario>>,
    args: RunArgs,
    shown: Shown,
    progress: ProgressBar,
    turn: Arc<NextDrill>,
}

/// Plays every drill, on as many threads as there are cores, and hands them over in order; whether that was
/// interrupted.
pub(crate) fn play_all(
    scenarios: &[Arc<Scenario>],
    args: &RunArgs,
    shown: Shown,
    mut each: impl FnMut(Announced) -> io::Result<()>,
) -> io::Result<PlayEnd> {
    let workers = parallel::cores().min(scenarios.len().max(1));
    // Whoever has much to say waits for it to be written.
    let (tell, told) = mpsc::sync_channel(2 * workers);
    let playing = Arc::new(Playing {
        scenarios: scenarios.to_vec(),
        args: args.clone(),
        shown,
        progress: bar(args, scenarios),
        turn: Arc::default(),
    });
    listen(tell.clone())?;
    let player = Arc::clone(&playing);
    // Nothing that is interrupted is waited for.
    let work = move |index| player.work(index, &tell);
    parallel::unattended(scenarios.len(), workers, work)?;
    let Playing { progress, turn, .. } = &*playing;
    let mut early = BTreeMap::new();
    let mut wanted = 0;
    while wanted < scenarios.len() {
        match told.recv() {
            Ok(FromThread::Lines(lines)) => progress.suspend(|| each(Announced::Lines(lines)))?,
            Ok(FromThread::Finished(index, finished)) => drop(early.insert(index, finished)),
            Ok(FromThread::Interrupted) => {
                progress.finish_and_clear();
                for (_, finished) in early {
                    each(Announced::Finished(finished))?;
                }
                return Ok(PlayEnd::Interrupted);
            }
            Err(_) => return Err(io::Error::other("the drills ended early")),
        }
        while let Some(finished) = early.remove(&wanted) {
            wanted += 1;
            progress.suspend(|| each(Announced::Finished(finished)))?;
            turn.pass();
        }
    }
    progress.finish_and_clear();
    Ok(PlayEnd::ByItself)
}

impl Playing {
    /// Plays a drill once it is near its turn; no further one if there is nobody to be told.
    fn work(&self, index: usize, tell: &SyncSender<FromThread>) -> ControlFlow<()> {
        self.turn.come_near(index);
        let finished = Box::new(self.play(index, tell));
        match tell.send(FromThread::Finished(index, finished)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Plays one drill, or says why it is not played. A drill that this machine cannot play is
    /// skipped; one that would reach a server which the caller did not allow is broken.
    ///
    /// The network is the one that was asked for; else memory, where a drill takes no real time,
    /// but for drills that need sockets.
    fn play(&self, index: usize, tell: &SyncSender<FromThread>) -> Finished {
        let begun = Instant::now();
        let (scenario, args) = (&self.scenarios[index], &self.args);
        let network = match args.network {
            Some(network) => network.into(),
            None if scenario.needs_sockets() => NetworkKind::Loopback,
            None => NetworkKind::Memory,
        };
        let when = if network.has_sockets() {
            When::AtTheEnd
        } else {
            When::AtOnce
        };
        // A run that was given up is not told of any more.
        let tell = |lines| {
            tell.send(FromThread::Lines(lines)).ok();
        };
        let mut lines = Lines::new(index, &self.turn, when, tell);
        let mut seen = TimelineLog::default();
        let refused = super::upstream_obstacle(scenario, args.allow_upstream);
        let end = match (refused, drill::obstacle(scenario, network)) {
            (Some(reason), _) => DrillEnd::Broken(reason),
            (None, Some(reason)) => DrillEnd::Skipped(reason),
            (None, None) => match self.carry_out(scenario, network, &mut lines, &mut seen) {
                Ok(run) => DrillEnd::Ran(Box::new(run)),
                Err(error) => DrillEnd::Broken(error.to_string()),
            },
        };
        let section = args.html.is_some().then(|| {
            let title = format!("{}: {}", scenario.path, scenario.summary);
            match &end {
                DrillEnd::Ran(run) => {
                    TimelineSection::ran(&title, scenario, &run.verdict, seen, self.shown)
                }
                DrillEnd::Skipped(why) | DrillEnd::Broken(why) => {
                    TimelineSection::not_run(&title, why, self.shown)
                }
            }
        });
        let played = DrillReport {
            scenario: Arc::clone(scenario),
            end,
            elapsed: begun.elapsed(),
            again: again(scenario, args),
            known: None,
        };
        Finished {
            played,
            rest: lines.finish(),
            section,
        }
    }

    /// Runs a drill, and where the machine spoils it runs it again. What nobody will read is not kept.
    ///
    /// Which events are kept depends on the report: a timeline reads them as they come, JSON lines
    /// are written, and text needs them only with `--trace`.
    fn carry_out(
        &self,
        scenario: &Arc<Scenario>,
        network: NetworkKind,
        lines: &mut Lines<impl FnMut(Vec<u8>)>,
        seen: &mut TimelineLog,
    ) -> io::Result<Run> {
        let (args, progress) = (&self.args, &self.progress);
        let sender = || {
            args.flaw
                .map_or_else(Reference::default, Reference::with_flaw)
        };
        let mut tries = 1;
        loop {
            let (mut events, mut submitted, mut kept) = (Vec::new(), 0, Ok(()));
            let each = |event: Event| {
                if matches!(event.kind, EventKind::Submitted { .. }) {
                    progress.inc(1);
                    submitted += 1;
                }
                if args.html.is_some() {
                    seen.see(&event);
                }
                match args.format {
                    Format::Json if kept.is_ok() => kept = lines.see(scenario, &event),
                    Format::Text if args.trace => events.push(event),
                    Format::Json | Format::Text | Format::Junit | Format::Github => {}
                }
            };
            let run = guarded(|| drill::watch(scenario, network, args.seed, sender(), each));
            if run.as_ref().is_err_and(Error::is_too_slow) && tries < TRIES {
                tries += 1;
                progress.dec(submitted);
                lines.forget();
                *seen = TimelineLog::default();
                continue;
            }
            kept?;
            let mut run = run?;
            run.events = events;
            if args.flaw.is_some() && was_idle(scenario, network, &run, sender) {
                let note = "the flaw never came into play: without it the same happens";
                run.verdict.notes.push(note.to_owned());
            }
            return Ok(run);
        }
    }
}

/// Hands over that this process was asked to end.
fn listen(tell: SyncSender<FromThread>) -> io::Result<()> {
    // Everything may have been played by then.
    signals::when_asked_to_end(move || {
        tell.send(FromThread::Interrupted).ok();
    })
}

/// A bar on the terminal, for long runs only: of messages, of which a drill may have a million.
fn bar(args: &RunArgs, scenarios: &[Arc<Scenario>]) -> ProgressBar {
    let messages: usize = scenarios.iter().map(|one| one.messages.len()).sum();
    let long = args.network == Some(NetworkArg::Loopback)
        || scenarios.len() > MANY_DRILLS
        || messages > MANY_MESSAGES;
    if !long || args.format != Format::Text {
        return ProgressBar::hidden();
    }
    let behind = "{human_pos}/{human_len} messages, {eta} to go";
    let bar = progress::bar(messages as u64, behind);
    bar.enable_steady_tick(PATIENCE / 5);
    bar
}

/// Whether a flaw of the sender changed nothing of what happened.
///
/// Both are played again, from the same seed, and their logs compared.
fn was_idle(
    scenario: &Arc<Scenario>,
    network: NetworkKind,
    run: &Run,
    flawed: impl Fn() -> Reference,
) -> bool {
    let seed = Some(run.seed);
    let events = |sender| drill::run(scenario, network, seed, sender).map(|run| run.events);
    // Only on a virtual clock two runs are the same to the octet.
    !network.has_sockets()
        && match (events(flawed()), events(Reference::default())) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// One drill that panics is a fault of ours, and no reason to lose what the others say.
fn guarded(play: impl FnOnce() -> Result<Run, Error>) -> Result<Run, Error> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
    result.unwrap_or_else(|_| {
        let why = "mxdrill itself failed here; please report it with the scenario";
        Err(io::Error::other(why).into())
    })
}
