//! `mxdrill conform`: the suite with real mail servers, and the matrix that comes of it.
//!
//! Files that are to be written are opened before the first drill, mail servers that are missing
//! are fetched, and then the suite is played. An interrupt ends what is under way; the matrix has
//! what was played by then.

use std::{
    fs::{self, File},
    io::{self, BufReader, BufWriter, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use serde::de::DeserializeOwned;

use super::{
    CommandOutcome, at, output,
    private::{ConformArgs, FailOn, MatrixFormat},
    say, scenario_files, selection,
};
use crate::{
    conform::{
        Adapter,
        compared::differences,
        eligibility::Pace,
        isolated_run,
        matrix::{Grade, Matrix},
        packages,
        request::ScenarioSource,
        schedules::Schedules,
        suite::{ServerUnderTest, Suite},
    },
    departures::{ExpectedDepartures, Played, PlayedWhole, Standing},
    parallel, progress,
    report::{
        self,
        matrix::{self, Telling},
        schedules::PicturePart,
    },
    signals,
};
use mxdrill::{bundled, scenario::Scenario};

/// How often, after an interrupt, processes are looked for that have to end.
const AGAIN: Duration = Duration::from_millis(50);
/// Drills at once for each core: in real time most of them wait, and on virtual time they wait for octets under way.
const DRILLS_PER_CORE: usize = 2;

/// Plays the suite, and writes the matrix in every format that was asked for.
pub(crate) fn conform(args: &ConformArgs) -> io::Result<CommandOutcome> {
    let expected = args.baseline.load()?;
    let before = args.compare.as_deref().map(read_matrix).transpose()?;
    let picture = picture(args)?;
    let suite = match args.merge.is_empty() {
        false => None,
        true => match suite(args)? {
            ControlFlow::Continue(suite) => Some(suite),
            ControlFlow::Break(outcome) => return Ok(outcome),
        },
    };
    let reports = DrillReports::open(args)?;
    let (matrix, folders) = match suite {
        Some((suite, folders)) => (played(&suite, args.verbose)?, folders),
        None => {
            let matrix = merged(&args.merge)?;
            let folders = bundled_folder(&matrix);
            (matrix, folders)
        }
    };
    let telling = Telling {
        from: from(args.fail_on),
        expected: expected.as_ref(),
        is_quiet: args.quiet,
    };
    reports.write(|format, mut out| match format {
        MatrixFormat::Text => matrix::text(&matrix, &telling, &mut out),
        MatrixFormat::Github => matrix::github(&matrix, &telling, &mut out),
        MatrixFormat::Markdown => matrix::markdown(&matrix, &mut out),
        MatrixFormat::Json => matrix::json(&matrix, &mut out),
        MatrixFormat::Html => matrix::html(&matrix, (picture.style, &picture.section), &mut out),
        MatrixFormat::Badge => matrix::badge(&matrix, &mut out),
    })?;
    if let Some(before) = before {
        let mut out = anstream::stdout();
        for line in differences(&before, &matrix) {
            writeln!(out, "{line}")?;
        }
    }
    let servers = matrix.columns.iter();
    let servers = servers.map(|column| Some(column.server.id.clone()));
    let whole = PlayedWhole {
        folders,
        servers: servers.collect(),
    };
    outcome(args, &matrix, expected.as_ref(), &whole)
}

/// A suite, and the folders all of whose drills are in it.
type WholeSuite = (Suite, Vec<String>);

/// What is to be played; or how the command ends without that.
fn suite(args: &ConformArgs) -> io::Result<ControlFlow<CommandOutcome, WholeSuite>> {
    let (chosen, paths) = entrants(args)?;
    let filter = args.selection.filter.as_deref();
    let loaded = scenario_files::load(&paths, filter, args.outside.reach())?;
    let folders = args.selection.whole_folders(&paths, &loaded);
    let loaded = args.selection.of(loaded)?;
    if args.selection.list {
        return selection::list(&loaded).map(ControlFlow::Break);
    }
    let mut scenarios: Vec<Arc<Scenario>> = Vec::new();
    for scenario in loaded {
        match scenario {
            Ok(scenario) => scenarios.push(scenario),
            Err(mistakes) => {
                say::err(mistakes);
                return Ok(ControlFlow::Break(CommandOutcome::CouldNotRun));
            }
        }
    }
    let servers = fetched(chosen)?;
    scenario_files::tell_notes(scenarios.iter().map(|scenario| &**scenario));
    let stopped = Arc::default();
    end_when_asked(&stopped)?;
    let pace = pace(args);
    let suite = Suite {
        from: if paths.is_empty() {
            ScenarioSource::Mxdrill
        } else {
            ScenarioSource::User(args.outside.reach())
        },
        jobs: args.jobs.unwrap_or_else(usual_jobs),
        seed: args.seed,
        pace,
        logs: args.logs.clone(),
        servers,
        scenarios,
        stopped,
    };
    Ok(ControlFlow::Continue((suite, folders)))
}

/// Plays a suite, and shows how far it is.
///
/// # Errors
/// Why nothing at all could be played.
fn played(suite: &Suite, is_verbose: bool) -> io::Result<Matrix> {
    let cells = suite.scenarios.len() * suite.servers.len();
    let bar = progress::bar(cells as u64, "{pos}/{len} drills, {eta} to go  {msg}");
    let matrix = suite.play(|server, scenario, judged| {
        bar.inc(1);
        bar.set_message(format!("{} {}", server.id, scenario.name));
        if is_verbose {
            let text = format!("{:<12} {:<10} {}", judged.grade, server.id, scenario.path);
            bar.suspend(|| say::err(text));
        }
    });
    bar.finish_and_clear();
    match matrix.obstacle() {
        Some(obstacle) => Err(io::Error::other(obstacle)),
        None => Ok(matrix),
    }
}

/// The one matrix of these files.
fn merged(files: &[PathBuf]) -> io::Result<Matrix> {
    let parts = files
        .iter()
        .map(|path| Ok((path.display().to_string(), read_matrix(path)?)));
    let parts = parts.collect::<io::Result<Vec<_>>>()?;
    Matrix::merged(parts).map_err(|why| io::Error::new(io::ErrorKind::InvalidInput, why))
}

/// The folder of the drills that come with mxdrill, if all of them were played for a matrix.
fn bundled_folder(matrix: &Matrix) -> Vec<String> {
    let is_there = |path: &String| matrix.rows.iter().any(|row| row.path == *path);
    let is_whole = bundled::files().iter().all(|(path, _)| is_there(path));
    let folder = is_whole.then(|| "scenarios".to_owned());
    folder.into_iter().collect()
}

/// A matrix that was written as JSON.
fn read_matrix(path: &Path) -> io::Result<Matrix> {
    read(path, "mxdrill conform --json")
}

/// The picture of schedules for the page, if one was asked for.
fn picture(args: &ConformArgs) -> io::Result<PicturePart> {
    let Some(path) = &args.with_schedules else {
        return Ok(PicturePart::default());
    };
    let measured: Schedules = read(path, "mxdrill conform --schedules --json")?;
    report::schedules::part(&measured)
}

/// What a command wrote as JSON.
fn read<T: DeserializeOwned>(path: &Path, command: &str) -> io::Result<T> {
    let file = File::open(path).map_err(|error| at(path, error))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|error| {
        let text = format!(
            "{}: {error}, expected what `{command}` writes",
            path.display()
        );
        io::Error::new(io::ErrorKind::InvalidData, text)
    })
}

/// Where what comes of it is to be written, in which format: files, and standard output.
pub(super) struct DrillReports<'a> {
    files: Vec<(&'a Path, BufWriter<File>, MatrixFormat)>,
    printed: MatrixFormat,
}

impl<'a> DrillReports<'a> {
    /// Opens the files that were asked for: what cannot be written is told before an hour has passed.
    pub(super) fn open(args: &'a ConformArgs) -> io::Result<Self> {
        let mut files = Vec::new();
        for (path, format) in [
            (&args.html, MatrixFormat::Html),
            (&args.json, MatrixFormat::Json),
            (&args.markdown, MatrixFormat::Markdown),
            (&args.badge, MatrixFormat::Badge),
        ] {
            if let Some(path) = path {
                files.push((path.as_path(), output::create(path)?, format));
            }
        }
        let printed = args.format;
        Ok(Self { files, printed })
    }

    /// Writes everything, each in its format.
    pub(super) fn write(
        self,
        write: impl Fn(MatrixFormat, &mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        for (path, mut file, format) in self.files {
            write(format, &mut file)
                .and_then(|()| file.flush())
                .map_err(|error| at(path, error))?;
        }
        write(self.printed, &mut anstream::stdout())
    }
}

/// How time passes: virtual where the machine can, unless the user wants it real.
pub(crate) fn pace(args: &ConformArgs) -> Pace {
    if args.real_time {
        return Pace::Real;
    }
    let Err(why) = isolated_run::try_virtual_time() else {
        return Pace::Virtual;
    };
    say::err(format_args!(
        "mxdrill: time is real here, and drills that take longer are unfit: {why}"
    ));
    Pace::Real
}

/// How many drills are played at once, unless the user says so.
pub(crate) fn usual_jobs() -> usize {
    parallel::cores() * DRILLS_PER_CORE
}

/// Lets an interrupt end the drills that are under way; the matrix has what was played by then.
pub(super) fn end_when_asked(stopped: &Arc<AtomicBool>) -> io::Result<()> {
    let stopped = Arc::clone(stopped);
    signals::when_asked_to_end(move || {
        say::err("mxdrill: interrupted; what was not played is inconclusive");
        stopped.store(true, Ordering::SeqCst);
        // A drill that was just beginning is there when it is looked again.
        loop {
            signals::kill_descendants();
            thread::sleep(AGAIN);
        }
    })
}

/// From which grade on something fails.
fn from(fail_on: FailOn) -> Grade {
    match fail_on {
        FailOn::Violates => Grade::Violates,
        FailOn::Deviates => Grade::Deviates,
    }
}

/// What is inconclusive could not be run; a departure that counts is a failure, and with a baseline all that is not as
/// it has it.
fn outcome(
    args: &ConformArgs,
    matrix: &Matrix,
    expected: Option<&ExpectedDepartures>,
    whole: &PlayedWhole,
) -> io::Result<CommandOutcome> {
    let from = from(args.fail_on);
    let played = matrix.played(from);
    let baseline = &args.baseline;
    let as_expected = baseline.hold_against(expected, &played, whole, args.quiet)?;
    let is_known = |one: &Played| expected.is_some_and(|expected| expected.reason(one).is_some());
    let mut unknown = played
        .iter()
        .filter(|one| one.standing == Standing::Unknown);
    Ok(match as_expected {
        _ if unknown.any(|one| !is_known(one)) => CommandOutcome::CouldNotRun,
        Some(true) => CommandOutcome::Passed,
        Some(false) => CommandOutcome::Failed,
        None if matrix.worst() >= from => CommandOutcome::Failed,
        None => CommandOutcome::Passed,
    })
}

/// The adapters of mail servers by what they are called, not fetched yet.
type ChosenServers = Vec<(String, Adapter)>;

/// The requested mail servers, and the scenario paths that follow them.
pub(super) fn entrants(args: &ConformArgs) -> io::Result<(ChosenServers, Vec<PathBuf>)> {
    let mut chosen = Vec::new();
    let mut paths = Vec::new();
    for word in &args.words {
        let path = PathBuf::from(word);
        if word == "all" {
            chosen.extend(Adapter::bundled());
            continue;
        }
        let is_scenarios = if word.ends_with(".toml") {
            !is_adapter(&path)?
        } else {
            // The name of a mail server comes before a folder of the same name.
            path.is_dir() && Adapter::find(word).is_err()
        };
        if is_scenarios {
            paths.push(path);
        } else {
            chosen.push(Adapter::find(word)?);
        }
    }
    if chosen.is_empty() {
        let text = "found no mail server, expected one that `mxdrill mta list` shows, all, or the path of an adapter, before \
                    any scenarios";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    if paths.is_empty() {
        for (_, adapter) in &chosen {
            adapter.names_bundled_scenarios()?;
        }
    }
    Ok((chosen, paths))
}

/// The mail servers of these words: names of `mxdrill mta list`, or paths of adapters.
pub(super) fn servers(words: &[String]) -> io::Result<Vec<ServerUnderTest>> {
    let chosen: io::Result<Vec<_>> = words.iter().map(|word| Adapter::find(word)).collect();
    fetched(chosen?)
}

/// Mail servers, downloaded if missing.
pub(super) fn fetched(chosen: ChosenServers) -> io::Result<Vec<ServerUnderTest>> {
    let mut servers = Vec::new();
    for (id, adapter) in chosen {
        let tree = match packages::find(&id, &adapter)? {
            Some(tree) => tree,
            None => {
                say::err(format_args!("fetching {}", adapter.name));
                packages::get(&id, &adapter).map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", adapter.name))
                })?
            }
        };
        servers.push(ServerUnderTest { id, adapter, tree });
    }
    Ok(servers)
}

/// Whether a TOML file is about a mail server, as it says how one is configured.
fn is_adapter(path: &Path) -> io::Result<bool> {
    let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
    let key = |line: &str| line.split('=').next().map(str::trim) == Some("configure");
    Ok(text.lines().any(key))
}
