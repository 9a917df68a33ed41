//! `mxdrill run`: drills side by side on all cores, reported in order.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{self, IsTerminal, Write},
    path::PathBuf,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::{
    Format, NetworkArg, Outcome, RunArgs,
    find::{self, Loaded},
    html,
};
use crate::{
    drill,
    event::{Event, What},
    lab::NetworkKind,
    report::{End, Json, Junit, Played, Report, Style, Tally, Text, Told, timeline},
    scenario::Scenario,
    sender::{Flaw, Reference},
    signals,
};

/// Runs of more than this show their progress.
const MANY_DRILLS: usize = 1000;
const MANY_MESSAGES: usize = 20_000;
/// How often a drill is played at most that a busy machine spoils.
const TRIES: usize = 5;
/// A run that takes longer than this shows its progress.
const PATIENCE: Duration = Duration::from_secs(1);

pub(super) fn run(args: &RunArgs) -> io::Result<Outcome> {
    let begun = Instant::now();
    let loaded = find::load(&args.paths, args.filter.as_deref(), args.outside.reach())?;
    if loaded.is_empty() {
        let filter = args.filter.as_deref().unwrap_or_default();
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            format!("found no scenario whose path contains {filter:?}"),
        ));
    }
    let (scenarios, unreadable): (Vec<Loaded>, Vec<Loaded>) =
        loaded.into_iter().partition(Result::is_ok);
    let scenarios: Vec<Arc<Scenario>> = scenarios.into_iter().flatten().collect();
    let out = Shared::default();
    let mut report = reporter(args.format, style(args, scenarios.len()), &out);
    let mut tally = Tally::default();
    let mut told = Vec::new();
    for mistakes in unreadable.into_iter().filter_map(Result::err) {
        tally.broken += 1;
        report.unreadable(&mistakes)?;
        told.push(Told {
            title: mistakes
                .0
                .first()
                .map_or_else(String::new, |one| one.path.clone()),
            run: Err(mistakes.to_string()),
        });
    }
    let mut page = args
        .html
        .as_ref()
        .map(|path| html::create(path))
        .transpose()?;
    let mut played_so_far = 0;
    let ended = play_all(&scenarios, args, |played| {
        played_so_far += 1;
        tally.count(&played.end);
        report.played(&played)?;
        if page.is_some() {
            told.push(Told {
                title: format!("{}: {}", played.scenario.path, played.scenario.summary),
                run: match played.end {
                    End::Ran(run) => Ok((played.scenario, *run)),
                    End::Skipped(why) | End::Broken(why) => Err(why),
                },
            });
        }
        Ok(())
    })?;
    if let Some(page) = &mut page {
        timeline(&told, page)?;
    }
    report.finished(tally, begun.elapsed())?;
    out.clone().flush()?;
    if ended == Ended::Interrupted {
        let left = scenarios.len() - played_so_far;
        return Err(io::Error::new(
            io::ErrorKind::Interrupted,
            format!(
                "interrupted: {left} of {} drills were not played",
                scenarios.len()
            ),
        ));
    }
    if tally.broken > 0 {
        return Ok(Outcome::CouldNotRun);
    }
    Ok(if tally.failed > 0 {
        Outcome::Failed
    } else {
        Outcome::Passed
    })
}

fn style(args: &RunArgs, count: usize) -> Style {
    match args.trace {
        true => Style::Traced,
        false if args.verbose || count <= 10 => Style::Detailed,
        false => Style::Grouped,
    }
}

/// Standard output with room for many lines, which is emptied when all is said: an error in that must not
/// be lost.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<io::BufWriter<anstream::Stdout>>>);

impl Default for Shared {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(
            io::BufWriter::new(anstream::stdout()),
        )))
    }
}

impl Write for Shared {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

pub(super) fn reporter(format: Format, style: Style, buffered: &Shared) -> Box<dyn Report> {
    let out = anstream::stdout();
    match format {
        Format::Json => Box::new(Json::new(buffered.clone())),
        Format::Junit => Box::new(Junit::new(out)),
        Format::Text => Box::new(Text::new(out, style)),
    }
}

/// How the playing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByItself,
    Interrupted,
}

/// What a thread has to say.
enum Said {
    Played(usize, Box<Played>),
    Interrupted,
}

/// Plays every drill, on as many threads as there are cores, and hands them over in order; whether that was
/// interrupted.
fn play_all(
    scenarios: &[Arc<Scenario>],
    args: &RunArgs,
    mut each: impl FnMut(Played) -> io::Result<()>,
) -> io::Result<Ended> {
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(scenarios.len().max(1));
    let next = Arc::new(AtomicUsize::new(0));
    let (tell, told) = mpsc::channel();
    let progress = progress(args, scenarios);
    listen(tell.clone())?;
    let wanted: Arc<[Arc<Scenario>]> = scenarios.into();
    for _ in 0..workers {
        let (tell, next, progress) = (tell.clone(), Arc::clone(&next), progress.clone());
        let (scenarios, args) = (Arc::clone(&wanted), args.clone());
        // They end by themselves, or with the process: nothing that is interrupted is waited for.
        thread::Builder::new().spawn(move || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(scenario) = scenarios.get(index) else {
                    return;
                };
                let played = Box::new(play(scenario, &args, &progress));
                if tell.send(Said::Played(index, played)).is_err() {
                    return;
                }
            }
        })?;
    }
    let mut early = BTreeMap::new();
    let mut wanted = 0;
    while wanted < scenarios.len() {
        match told.recv() {
            Ok(Said::Played(index, played)) => drop(early.insert(index, played)),
            Ok(Said::Interrupted) => {
                progress.finish_and_clear();
                for (_, played) in early {
                    each(*played)?;
                }
                return Ok(Ended::Interrupted);
            }
            Err(_) => return Err(io::Error::other("the drills ended early")),
        }
        while let Some(played) = early.remove(&wanted) {
            wanted += 1;
            progress.suspend(|| each(*played))?;
        }
    }
    progress.finish_and_clear();
    Ok(Ended::ByItself)
}

/// Tells when this process is asked to end.
fn listen(tell: mpsc::Sender<Said>) -> io::Result<()> {
    // Everything may have been played by then.
    signals::when_asked_to_end(move || tell.send(Said::Interrupted).unwrap_or_default())
}

/// A bar on the terminal, for long runs only: of messages, of which a drill may have a million.
fn progress(args: &RunArgs, scenarios: &[Arc<Scenario>]) -> ProgressBar {
    let messages: usize = scenarios.iter().map(|one| one.messages.len()).sum();
    let long = args.network == Some(NetworkArg::Loopback)
        || scenarios.len() > MANY_DRILLS
        || messages > MANY_MESSAGES;
    if !long || args.format != Format::Text || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("{bar:30} {human_pos}/{human_len} messages, {eta} to go")
            .expect("a valid template");
    let bar = ProgressBar::new(messages as u64).with_style(style);
    bar.enable_steady_tick(PATIENCE / 5);
    bar
}

fn play(scenario: &Arc<Scenario>, args: &RunArgs, progress: &ProgressBar) -> Played {
    let begun = Instant::now();
    let network = match args.network {
        Some(network) => network.into(),
        None if scenario.needs_sockets() => NetworkKind::Loopback,
        None => NetworkKind::Memory,
    };
    let sender = || {
        args.flaw
            .map_or_else(Reference::default, Reference::with_flaw)
    };
    let refused = super::upstream_obstacle(scenario, args.allow_upstream);
    let end = match (refused, drill::obstacle(scenario, network)) {
        (Some(reason), _) => End::Broken(reason),
        (None, Some(reason)) => End::Skipped(reason),
        (None, None) => {
            // What nobody will read is not kept.
            let keeps = args.format == Format::Json || args.html.is_some() || args.trace;
            let mut submitted = 0;
            let mut once = || {
                let mut events = Vec::new();
                progress.dec(std::mem::take(&mut submitted));
                let each = |event: Event| {
                    if matches!(event.what, What::Submitted { .. }) {
                        progress.inc(1);
                        submitted += 1;
                    }
                    events.extend(Some(event).filter(|_| keeps));
                };
                let run = guarded(|| drill::watch(scenario, network, args.seed, sender(), each));
                run.map(|run| drill::Run { events, ..run })
            };
            let mut run = once();
            for _ in 1..TRIES {
                if !run.as_ref().is_err_and(drill::TooSlow::is) {
                    break;
                }
                run = once();
            }
            match run {
                Ok(mut run) => {
                    if args.flaw.is_some() && was_idle(scenario, network, &run, sender()) {
                        let note = "the flaw never came into play: without it the same happens";
                        run.verdict.notes.push(note.to_owned());
                    }
                    End::Ran(Box::new(run))
                }
                Err(error) => End::Broken(error.to_string()),
            }
        }
    };
    let again = again(scenario, args);
    Played {
        scenario: Arc::clone(scenario),
        end,
        elapsed: begun.elapsed(),
        again,
    }
}

/// Whether a flaw of the sender changed nothing of what happened.
fn was_idle(
    scenario: &Arc<Scenario>,
    network: NetworkKind,
    run: &drill::Run,
    flawed: Reference,
) -> bool {
    let seed = Some(run.seed);
    let events = |sender| drill::run(scenario, network, seed, sender).map(|run| run.events);
    // Only on a virtual clock two runs are the same to the octet.
    network == NetworkKind::Memory
        && match (events(flawed), events(Reference::default())) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

/// The command that plays a drill again, as it was.
fn again(scenario: &Scenario, args: &RunArgs) -> String {
    let path = super::quoted(&scenario.path);
    // The drills that come with the command need no checkout.
    let mut command = match args.paths.is_empty() {
        true => format!("mxdrill run --filter {path}"),
        false => format!("mxdrill run {path}"),
    };
    command.push_str(&format!(" --seed {}", args.seed.unwrap_or(scenario.seed)));
    if let Some(network) = args.network.and_then(|network| network.to_possible_value()) {
        command.push_str(&format!(" --network {}", network.get_name()));
    }
    let flaw = Flaw::ALL.iter().find(|(_, flaw)| args.flaw == Some(*flaw));
    command.push_str(&flaw.map_or_else(String::new, |(name, _)| format!(" --flaw {name}")));
    command
}

/// A command of mxdrill's about these files, as a shell takes it.
pub(super) fn quoted_command<'a>(
    command: &str,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> String {
    let files = files
        .into_iter()
        .map(|file| super::quoted(&file.to_string_lossy()));
    let words: Vec<String> = files.collect();
    format!("mxdrill {command} {}", words.join(" "))
}

/// One drill that panics is a fault of ours, and no reason to lose what the others say.
fn guarded(play: impl FnOnce() -> io::Result<drill::Run>) -> io::Result<drill::Run> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(play));
    result.unwrap_or_else(|_| {
        Err(io::Error::other(
            "mxdrill itself failed here; please report it with the scenario",
        ))
    })
}
