//! `mxdrill run`: drills, reported in order as they end.
//!
//! Reports are written as drills end, in the order of the drills. The exit status is 2 if anything
//! could not be run, else 1 if a drill failed.

use std::{
    cell::RefCell,
    fs,
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    time::Instant,
};

use super::{
    CommandOutcome, Format, at, output,
    play::{Announced, Finished, PlayEnd, play_all},
    run_args::RunArgs,
    scenario_files::{self, Loaded},
    selection,
};
use crate::{
    departures::{ExpectedDepartures, Played, PlayedWhole, Standing, plain_path},
    report::{
        DrillEnd, DrillReport, GithubReport, Json, Junit, Quiet, Report, RunCounts, Shown, Style,
        TextReport, TimelinePage, TimelineSection, merged_junit,
    },
};
use mxdrill::scenario::Scenario;

/// Plays the drills, and reports them.
pub(crate) fn run(args: &RunArgs) -> io::Result<CommandOutcome> {
    if !args.merge.is_empty() {
        return merged(&args.merge);
    }
    let expected = args.baseline.load()?;
    let filter = args.selection.filter.as_deref();
    let loaded = scenario_files::load(&args.paths, filter, args.outside.reach())?;
    let loaded = args.selection.of(loaded)?;
    if args.selection.list {
        return selection::list(&loaded);
    }
    let whole = PlayedWhole {
        folders: args.selection.whole_folders(&args.paths, &loaded),
        servers: vec![None],
    };
    let expected = expected.as_ref();
    let (tally, held) = played(args, loaded, expected)?;
    let as_expected = args
        .baseline
        .hold_against(expected, &held, &whole, args.quiet)?;
    Ok(outcome(tally, as_expected))
}

/// How a run ends, with what a baseline has to say if there is one.
fn outcome(counts: RunCounts, as_expected: Option<bool>) -> CommandOutcome {
    match as_expected {
        _ if counts.broken > 0 => CommandOutcome::CouldNotRun,
        Some(true) => CommandOutcome::Passed,
        Some(false) => CommandOutcome::Failed,
        None if counts.failed > 0 => CommandOutcome::Failed,
        None => CommandOutcome::Passed,
    }
}

/// Plays the drills and reports each as it ends, as known if it fails as expected; the counts, and what a baseline has of
/// each.
fn played(
    args: &RunArgs,
    loaded: Vec<Loaded>,
    expected: Option<&ExpectedDepartures>,
) -> io::Result<(RunCounts, Vec<Played>)> {
    let begun = Instant::now();
    let (scenarios, unreadable): (Vec<Loaded>, Vec<Loaded>) =
        loaded.into_iter().partition(Result::is_ok);
    let scenarios: Vec<Arc<Scenario>> = scenarios.into_iter().flatten().collect();
    scenario_files::tell_notes(scenarios.iter().map(|scenario| &**scenario));
    let mut out = SharedOutput::default();
    let mut report = reporter(args.format, style(args, scenarios.len()), &out);
    if args.quiet && matches!(args.format, Format::Text | Format::Github) {
        report = Box::new(Quiet(report));
    }
    let mut tally = RunCounts::default();
    let shown = Shown::among(scenarios.len() + unreadable.len());
    let mut page = match &args.html {
        Some(path) => {
            Some(TimelinePage::begin(output::create(path)?).map_err(|error| at(path, error))?)
        }
        None => None,
    };
    let mut on_page = |section: &TimelineSection| match (&mut page, &args.html) {
        (Some(page), Some(path)) => page.add(section).map_err(|error| at(path, error)),
        _ => Ok(()),
    };
    for mistakes in unreadable.into_iter().filter_map(Result::err) {
        tally.broken += 1;
        report.unreadable(&mistakes)?;
        let title = mistakes.0.first().map_or("", |one| one.path.as_str());
        on_page(&TimelineSection::not_run(
            title,
            &mistakes.to_string(),
            shown,
        ))?;
    }
    let mut played_so_far = Vec::new();
    let ended = play_all(&scenarios, args, shown, |told| {
        let Finished {
            mut played,
            rest,
            mut section,
        } = match told {
            // Lines of the drill whose turn it is.
            Announced::Lines(lines) => return out.write_all(&lines),
            Announced::Finished(finished) => *finished,
        };
        let held = held(&played);
        let reason = expected.and_then(|expected| expected.reason(&held));
        if let (Some(section), Some(reason)) = (&mut section, reason) {
            section.expect(reason, shown);
        }
        played.known = reason.map(str::to_owned);
        played_so_far.push(held);
        tally.count(&played);
        rest.write(&mut out)?;
        report.played(&played)?;
        out.flush()?;
        section.map_or(Ok(()), |section| on_page(&section))
    })?;
    if let (Some(page), Some(path)) = (page, &args.html) {
        page.finish().map_err(|error| at(path, error))?;
    }
    report.finished(tally, begun.elapsed())?;
    out.flush()?;
    if ended == PlayEnd::Interrupted {
        let left = scenarios.len() - played_so_far.len();
        return Err(io::Error::new(
            io::ErrorKind::Interrupted,
            format!(
                "interrupted: {left} of {} drills were not played",
                scenarios.len()
            ),
        ));
    }
    Ok((tally, played_so_far))
}

/// A drill as a baseline has it.
fn held(report: &DrillReport) -> Played {
    let (grade, standing) = match &report.end {
        DrillEnd::Ran(run) if run.verdict.passed() => ("passed", Standing::Fine),
        DrillEnd::Ran(_) => ("failed", Standing::Fails),
        DrillEnd::Skipped(_) => ("skipped", Standing::Unplayed),
        DrillEnd::Broken(_) => ("broken off", Standing::Unplayed),
    };
    Played {
        server: None,
        scenario: plain_path(&report.scenario.path),
        grade: grade.to_owned(),
        standing,
    }
}

/// Prints the one report of several.
fn merged(files: &[PathBuf]) -> io::Result<CommandOutcome> {
    let mut texts = Vec::new();
    for path in files {
        let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
        texts.push((path.display().to_string(), text));
    }
    let (text, counts) = merged_junit(&texts)?;
    io::stdout().lock().write_all(text.as_bytes())?;
    Ok(outcome(counts, None))
}

/// How much people are told: of few drills a line for each.
fn style(args: &RunArgs, count: usize) -> Style {
    match args.trace {
        true => Style::Traced,
        false if args.verbose || args.quiet || count <= 10 => Style::Detailed,
        false => Style::Grouped,
    }
}

/// Standard output with room for many lines, which is emptied after each drill: an error in that must not be
/// lost.
#[derive(Clone)]
pub(crate) struct SharedOutput(Rc<RefCell<io::BufWriter<anstream::Stdout>>>);

impl Default for SharedOutput {
    fn default() -> Self {
        Self(Rc::new(RefCell::new(
            io::BufWriter::new(anstream::stdout()),
        )))
    }
}

impl Write for SharedOutput {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

/// The report in a format. JSON lines go through the writer that also has the events.
pub(crate) fn reporter(format: Format, style: Style, buffered: &SharedOutput) -> Box<dyn Report> {
    let out = anstream::stdout();
    match format {
        Format::Json => Box::new(Json::new(buffered.clone())),
        Format::Junit => Box::new(Junit::new(out)),
        Format::Github => Box::new(GithubReport::new(out)),
        Format::Text => Box::new(TextReport::new(out, style)),
    }
}

/// A command of mxdrill's about these files, as a shell takes it.
pub(crate) fn quoted_command<'a>(
    command: &str,
    files: impl IntoIterator<Item = &'a PathBuf>,
) -> String {
    let files = files
        .into_iter()
        .map(|file| super::quoted(&file.to_string_lossy()));
    let words: Vec<String> = files.collect();
    format!("mxdrill {command} {}", words.join(" "))
}
