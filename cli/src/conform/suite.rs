//! The suite played with mail servers side by side, each cell judged.
//!
//! Every cell is played by itself, several at once, since a drill mostly waits. How often it is
//! played depends on it:
//!
//! * a drill that passes at once, without chance, is played once, and so is one that informs where time is virtual;
//! * one that does not pass is played again, and a third time if the grades differ;
//! * one in which chance has a part is played four times, and the worst counts;
//! * a sample is played for three rounds, and for more, up to eight, until its shares are within
//!   their bounds.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{
    Adapter,
    counted::Counted,
    eligibility::{Eligibility, Pace},
    isolated_run,
    matrix::{Grade, Judged, Matrix, MatrixRow, ServerColumn},
    packages::RootFs,
    played_server::PlayedServer,
    record::RunRecord,
    request::{Player, RunRequest, ScenarioSource},
    run_error::RunError,
};
use crate::parallel;
use mxdrill::{bundled, level::Level, scenario::Scenario};

/// The rounds of a sample, at least and at most.
pub(crate) const ROUNDS: (usize, usize) = (3, 8);

/// How often a drill is played in which chance has a part: what comes one time in two is missed one time
/// in sixteen.
const CHANCES: usize = 4;

/// What is to be played: every drill with every server.
pub(crate) struct Suite {
    pub(crate) servers: Vec<ServerUnderTest>,
    pub(crate) scenarios: Vec<Arc<Scenario>>,
    /// Whether the scenarios are mxdrill's own or the user's.
    pub(crate) from: ScenarioSource,
    /// How many drills are played at once, at least one.
    pub(crate) jobs: usize,
    /// The seed in place of each scenario's own, if one is given.
    pub(crate) seed: Option<u64>,
    /// How time passes.
    pub(crate) pace: Pace,
    /// The folder to which the log of every run is written, if one is given.
    pub(crate) logs: Option<PathBuf>,
    /// Set from outside when no further drill is to begin; those under way end.
    pub(crate) stopped: Arc<AtomicBool>,
}

/// A mail server that is unpacked and ready to be played with.
pub(crate) struct ServerUnderTest {
    pub(crate) id: String,
    pub(crate) adapter: Adapter,
    pub(crate) tree: RootFs,
}

impl ServerUnderTest {
    /// What results say of it, with the version that it printed.
    pub(super) fn played(&self, version: String) -> PlayedServer {
        PlayedServer {
            id: self.id.clone(),
            name: self.adapter.name.clone(),
            home: self.adapter.home.clone(),
            version,
            packages: self.tree.packages.clone(),
            settings: self.adapter.settings.clone(),
        }
    }
}

impl Suite {
    /// Plays every drill with every server; `progress` is called with each cell that is done.
    pub(crate) fn play(
        &self,
        mut progress: impl FnMut(&ServerUnderTest, &Scenario, &Judged),
    ) -> Matrix {
        let fit = |scenario| Eligibility::of(scenario, self.pace);
        let fits: Vec<Eligibility> = self.scenarios.iter().map(fit).collect();
        let cells = self.scenarios.len() * self.servers.len();
        // What takes days, or may, comes first: begun as the last, a drill of them would be waited for by processors that
        // have no other.
        let mut rows: Vec<usize> = (0..self.scenarios.len()).collect();
        rows.sort_by_key(|row| Reverse((fits[*row].may_be_kept, fits[*row].took)));
        let at = |index: usize| (rows[index / self.servers.len()], index % self.servers.len());
        let work = |index: usize| {
            let (row, column) = at(index);
            let (scenario, server) = (&self.scenarios[row], &self.servers[column]);
            let mut judged = self.cell(&fits[row], scenario, server);
            if judged.grade > Grade::Pass {
                let setting = server.adapter.depends_on(&scenario.path);
                judged.depends = setting.map(str::to_owned);
            }
            judged
        };
        let mut judged: BTreeMap<(usize, usize), Judged> = BTreeMap::new();
        parallel::each(cells, self.jobs, work, |index, cell| {
            let (row, column) = at(index);
            progress(&self.servers[column], &self.scenarios[row], &cell);
            judged.insert((row, column), cell);
        });
        self.matrix(judged)
    }

    /// One drill with one server: again where it is not a pass, and where chance has a part.
    fn cell(&self, fit: &Eligibility, scenario: &Scenario, server: &ServerUnderTest) -> Judged {
        if let Some(reason) = fit.cannot_be_configured(&server.adapter) {
            return Judged::without_run(Grade::of(scenario.level), reason);
        }
        if let Some(obstacle) = fit.obstacle(&server.adapter) {
            return Judged::without_run(Grade::Unfit, obstacle);
        }
        if fit.shares.is_empty() {
            let is_known = server.adapter.leaves_to_chance(&scenario.path);
            return if fit.chance || is_known {
                self.by_chance(scenario, server, is_known)
            } else {
                self.plain(scenario, server)
            };
        }
        let mut counted = Counted::none_of(&fit.shares);
        let mut last = None;
        for round in 0..ROUNDS.1 {
            let judged = self.once(scenario, server, round);
            if judged.grade != Grade::Pass {
                return Judged {
                    runs: round + 1,
                    ..judged
                };
            }
            if let Some(cell) = &judged.evidence {
                for (counted, count) in counted.iter_mut().zip(&cell.counts) {
                    counted.add(*count, cell.sampled);
                }
            }
            last = Some(judged);
            // That a share is wrong is said only after all rounds.
            if round + 1 >= ROUNDS.0 && counted.iter().all(Counted::is_within) {
                break;
            }
        }
        let wrong = !counted.iter().all(Counted::is_plausible);
        let runs =
            counted.first().map_or(0, |counted| counted.of) / fit.scenario.messages.len().max(1);
        let judged = last.unwrap_or_else(|| {
            Judged::without_run(Grade::Inconclusive, "no round was played".to_owned())
        });
        Judged {
            grade: if wrong {
                Grade::of(scenario.level)
            } else {
                judged.grade
            },
            shares: counted,
            runs,
            ..judged
        }
    }

    /// A drill in which chance has a part: what a server does wrong by chance it does wrong. Where it is known that the
    /// server leaves it to chance that is said, however often the same came of it.
    fn by_chance(&self, scenario: &Scenario, server: &ServerUnderTest, is_known: bool) -> Judged {
        let rounds: Vec<Judged> = (0..CHANCES)
            .map(|round| self.once(scenario, server, round))
            .collect();
        let worst = rounds.iter().max_by_key(|judged| judged.grade);
        let Some(worst) = worst.cloned() else {
            return Judged::without_run(Grade::Inconclusive, "it was not played".to_owned());
        };
        let same = rounds.iter().filter(|judged| judged.grade == worst.grade);
        let (same, runs) = (same.count(), rounds.len());
        let is_seen = same < runs || is_known;
        let by_chance = is_seen.then(|| format!("by chance: {same} of {runs} times"));
        Judged {
            reason: worst.reason.clone().or(by_chance),
            runs,
            ..worst
        }
    }

    /// A drill without chance: once if it passes, else again until two runs agree, three times at
    /// most.
    fn plain(&self, scenario: &Scenario, server: &ServerUnderTest) -> Judged {
        let first = self.once(scenario, server, 0);
        // Virtual time is the same each time; what weighs is seen twice all the same.
        let is_settled = self.pace == Pace::Virtual && first.grade == Grade::Informs;
        if first.grade == Grade::Pass || is_settled {
            return first;
        }
        let second = self.again(scenario, server, 1);
        if second.grade == first.grade {
            return Judged { runs: 2, ..second };
        }
        let third = self.again(scenario, server, 2);
        let worst = [&first, &second, &third]
            .into_iter()
            .max_by_key(|judged| judged.grade)
            .cloned()
            .unwrap_or(third.clone());
        let grades = [first.grade, second.grade, third.grade].map(|grade| grade.to_string());
        Judged {
            grade: Grade::Inconclusive,
            reason: Some(format!("flaky: {}", grades.join(", then "))),
            runs: 3,
            flaky: true,
            ..worst
        }
    }

    /// A round of its own, with a seed of its own.
    fn once(&self, scenario: &Scenario, server: &ServerUnderTest, round: usize) -> Judged {
        self.run(scenario, server, round, round as u64)
    }

    /// The same once more.
    fn again(&self, scenario: &Scenario, server: &ServerUnderTest, run: usize) -> Judged {
        self.run(scenario, server, run, 0)
    }

    /// One run of one drill, and its grade.
    fn run(&self, scenario: &Scenario, server: &ServerUnderTest, run: usize, round: u64) -> Judged {
        if self.stopped.load(Ordering::SeqCst) {
            return Judged::without_run(Grade::Inconclusive, "interrupted".to_owned());
        }
        let job = RunRequest {
            player: Player::Server {
                adapter: Box::new(server.adapter.clone()),
                tree: server.tree.root.clone(),
            },
            scenario: PathBuf::from(&scenario.path),
            text: None,
            from: self.from,
            pace: self.pace,
            seed: self.seed.unwrap_or(scenario.seed).wrapping_add(round),
        };
        let played = isolated_run::play(&job).and_then(|mut cell| {
            // Kept in a file if anywhere: a matrix of all logs would not fit into memory.
            let recording = std::mem::take(&mut cell.recording);
            if let Some(folder) = &self.logs {
                keep(folder, &server.id, &scenario.path, run, &recording)?;
            }
            Ok(cell)
        });
        match played {
            Ok(cell) => judge(cell, scenario.level, &scenario.covers),
            // What kept the drill from being played says nothing about the server.
            Err(error) => Judged::without_run(Grade::Inconclusive, error.to_string()),
        }
    }

    /// The matrix of all cells, with the columns' versions from whichever run has one.
    fn matrix(&self, mut judged: BTreeMap<(usize, usize), Judged>) -> Matrix {
        let mut rows: Vec<MatrixRow> = self.scenarios.iter().map(MatrixRow::new).collect();
        for (row, cells) in rows.iter_mut().enumerate() {
            cells.cells = (0..self.servers.len())
                .map(|column| {
                    judged.remove(&(row, column)).unwrap_or_else(|| {
                        Judged::without_run(Grade::Inconclusive, "it was not played".to_owned())
                    })
                })
                .collect();
        }
        // A server says its version in each run that came so far; any one will do.
        let column = |(index, server): (usize, &ServerUnderTest)| {
            let version = rows.iter().find_map(|row| {
                let evidence = row.cells[index].evidence.as_ref()?;
                (!evidence.version.is_empty()).then(|| evidence.version.clone())
            });
            ServerColumn {
                server: server.played(version.unwrap_or_default()),
                configure: server.adapter.configure.clone(),
                cannot: server
                    .adapter
                    .cannot
                    .iter()
                    .map(|(feature, reason)| (feature.to_string(), reason.clone()))
                    .collect(),
            }
        };
        let columns = self.servers.iter().enumerate().map(column).collect();
        Matrix {
            mxdrill: env!("CARGO_PKG_VERSION").to_owned(),
            suite: matches!(self.from, ScenarioSource::Mxdrill).then(bundled::suite),
            system: system(),
            columns,
            rows,
        }
    }
}

/// Writes the log of a run to `FOLDER/SENDER/SCENARIO.jsonl`; of a further run, with its number.
///
/// # Errors
/// What the file system does not allow.
pub(crate) fn keep(
    folder: &Path,
    sender: &str,
    scenario: &str,
    run: usize,
    recording: &str,
) -> io::Result<()> {
    if recording.is_empty() {
        return Ok(());
    }
    let number = (run > 0).then(|| format!(".{}", run + 1));
    // A path of the user's stays below the folder, wherever it leads.
    let inside = scenario.trim_start_matches(['/', '.']);
    let inside = inside.strip_suffix(".toml").unwrap_or(inside);
    let file = format!("{inside}{}.jsonl", number.unwrap_or_default());
    let file = folder.join(sender).join(file);
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, recording)
}

/// The grade of a cell: of the worst that is wrong with it.
///
/// Where a whole drill is about what is left open or contested, nothing in it weighs more than that. What a server says
/// in sessions weighs in the drills that are about it: it says the same in all others, whatever they show.
fn judge(cell: RunRecord, drill: Level, covers: &[u16]) -> Judged {
    let grade_of = |finding: &RunError| match (drill, finding.level) {
        (Level::May | Level::Info, _) => Grade::Informs,
        // Worth knowing, and nothing that anything asks for.
        (_, Level::May) => Grade::Pass,
        (_, level) => Grade::of(level),
    };
    // Of several findings the gravest gives the grade; all of them are shown.
    let counting = cell.findings.iter().filter(|one| one.counts_in(covers));
    let worst = counting.map(grade_of).max();
    let (grade, reason) = match &cell.trouble {
        // What a broken-off drill seems to show may be what is missing of it.
        Some(trouble) => (Grade::Inconclusive, Some(trouble.clone())),
        None => (worst.unwrap_or(Grade::Pass), None),
    };
    Judged {
        grade,
        reason,
        depends: None,
        runs: 1,
        flaky: false,
        shares: Vec::new(),
        evidence: Some(cell),
    }
}

/// The system's name, its kernel and the architecture, for the page.
pub(super) fn system() -> String {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = release
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="));
    let name = name.map_or("Linux", |name| name.trim_matches('"'));
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    // `6.1.0-18-amd64` is 6.1.0: what follows is of the distribution.
    let numbers = kernel.split(['-', '+']).next().unwrap_or(kernel);
    format!("{name}, Linux {numbers}, {}", std::env::consts::ARCH)
}
