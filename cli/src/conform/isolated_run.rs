//! One drill of one mail server, in a private network and a root folder of its own; or of the reference
//! sender as if it were one, which puts the judge to the test.
//!
//! [`play`] is called by whoever makes the matrix: it starts this program again as the keeper of the
//! namespaces ([`keep`]), which starts it as their first process ([`inside`]). A [`RunRequest`] goes in by
//! standard input, a [`RunRecord`] comes out by standard output, or why there is none ([`RunReply`]).
//!
//! A process for each drill makes the isolation simple: when it ends, the kernel takes everything
//! in its namespaces, whatever the mail server has started or forgotten.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    Adapter,
    driver::{self, DrivenServer},
    eligibility::{self, Eligibility, Pace},
    one_command, own_moments, reference_run,
    run_error::RunError,
    schedules::drills::ScheduleDrill,
    scripts,
    syslog::Syslog,
};
use crate::{
    clock::{Clock, Passed},
    sandbox::{self, Ids, host, ids, resolver_files, rootfs},
};
use mxdrill::{
    drill::{self, Run},
    event::Event,
    lab::{
        AcceptedMail, Lab,
        namespace::{OwnHost, SendersHost},
    },
    observe::Attempt,
    scenario::Scenario,
    sender::{Flaw, Reference, Sender},
    verdict::SenderKind,
    zone::file::Reach,
};
use serde::{Deserialize, Serialize};

/// How often a drill is played at most that a busy machine spoils.
const TRIES: usize = 3;
/// The longest a drill may take in real time; one that takes longer is inconclusive.
pub(super) const LIMIT: Duration = Duration::from_secs(600);
/// As long for a server's own schedule: one that wakes each second of five days takes minutes, on a busy machine many.
const SCHEDULE_LIMIT: Duration = Duration::from_secs(1800);
/// The longest by its own clock: longer than a mail server is waited for.
const VIRTUAL_LIMIT: Duration = Duration::from_secs(1000 * 86_400);
/// Octets of a notification that are kept: its header and the report are at its beginning.
const MAX_RETURNED: usize = 4 * 1024;

/// A drill to be played, as it goes to the process that plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    pub(crate) player: Player,
    /// The path of the scenario, and whether it is one of mxdrill's own.
    pub(crate) scenario: PathBuf,
    /// Its text, if it stands in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    pub(crate) from: ScenarioSource,
    /// How time passes.
    pub(crate) pace: Pace,
    /// Where randomness starts from.
    pub(crate) seed: u64,
}

impl RunRequest {
    /// The scenario, and what of it can be played.
    ///
    /// # Errors
    /// The mistakes in it.
    pub(super) fn eligibility(&self) -> io::Result<Eligibility> {
        let scenario = match (self.from, &self.text) {
            (_, Some(text)) => Scenario::parse(&self.scenario.to_string_lossy(), text),
            (ScenarioSource::Mxdrill, _) => mxdrill::bundled::scenario(&self.scenario),
            (ScenarioSource::User(reach), _) => Scenario::load_within(&self.scenario, reach),
            (ScenarioSource::Schedules, _) => {
                ScheduleDrill::named(&self.scenario.to_string_lossy())
            }
        };
        let scenario = scenario.map_err(io::Error::other)?;
        Ok(Eligibility::of(&Arc::new(scenario), self.pace))
    }
}

/// Who plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Player {
    /// A mail server, and where it is unpacked.
    Server {
        adapter: Box<Adapter>,
        tree: PathBuf,
    },
    /// A command, in the files of this host: what it does by the time it ends.
    Command { words: Vec<OsString> },
    /// The reference sender, perhaps with a flaw: over the same sockets, and judged by what is seen of
    /// it alone.
    Reference { flaw: Option<String> },
    /// Nobody: it is tried whether there is virtual time.
    Nobody,
}

impl Player {
    /// The reference sender with its flaw, if it is that.
    pub(super) fn reference(&self) -> Option<Reference> {
        let Self::Reference { flaw } = self else {
            return None;
        };
        let flaw = flaw.as_deref().and_then(Flaw::named);
        Some(flaw.map_or_else(Reference::default, Reference::with_flaw))
    }
}

/// Where the scenarios come from.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ScenarioSource {
    /// They are bundled with mxdrill, and name no files.
    Mxdrill,
    /// They are the user's. The files that they name may lie within this reach.
    User(Reach),
    /// They are those that show a server's own schedule.
    Schedules,
}

/// What came of a drill, as it comes back from the process that played it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RunRecord {
    /// The version that the server printed; empty if it said none.
    pub(crate) version: String,
    /// Why the drill did not come to its end; `None` if it did. What was found then means nothing.
    pub(crate) trouble: Option<String>,
    /// Whether that is the machine, which had too much else to do: another time may tell more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) too_busy: bool,
    /// What is wrong.
    pub(crate) findings: Vec<RunError>,
    /// What is worth knowing and no failure.
    pub(crate) notes: Vec<String>,
    /// What of the server the drill has set, and of which its result therefore says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) set: Vec<String>,
    /// How much time passed, and how; empty where it was real.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) clock: String,
    /// What became of each message, a line each.
    pub(crate) endings: Vec<String>,
    /// Every attempt, a line each.
    pub(crate) attempts: Vec<String>,
    /// Of the reference sender, in what its drill differs from the same one on the memory network, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) differences: Vec<String>,
    /// How many messages were sent; of a sample, fewer than the scenario has.
    pub(crate) sampled: usize,
    /// How many first attempts each host of a share had, in the order of the shares.
    pub(crate) counts: Vec<usize>,
    /// The drill written down, for `mxdrill judge`: JSON lines.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) recording: String,
    /// The lab's log, a line for each event.
    pub(crate) log: Vec<String>,
    /// The notifications that came back, the beginning of each.
    pub(crate) returned: Vec<String>,
    /// What the server wrote to its log.
    pub(crate) syslog: String,
    /// What its scripts and daemons printed.
    pub(crate) said: String,
    /// How long it took, in seconds.
    pub(crate) seconds: f64,
}

/// What a process that was to play a drill answers.
#[derive(Debug, Serialize, Deserialize)]
enum RunReply {
    Played(Box<RunRecord>),
    /// It could not be played at all, for this reason.
    NotPlayed(String),
}

impl RunReply {
    /// Hands a result over to whoever started this process.
    fn write(played: io::Result<RunRecord>) -> io::Result<()> {
        let reply = match played {
            Ok(record) => Self::Played(Box::new(record)),
            Err(error) => Self::NotPlayed(error.to_string()),
        };
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, &reply)?;
        out.flush()
    }
}

/// Tries whether there is virtual time here.
///
/// # Errors
/// Why not.
pub(crate) fn try_virtual_time() -> io::Result<()> {
    let tried = play_once(&RunRequest {
        player: Player::Nobody,
        scenario: PathBuf::from("scenarios/basics/best_preference_takes_it.toml"),
        text: None,
        from: ScenarioSource::Mxdrill,
        pace: Pace::Virtual,
        seed: 0,
    })?;
    match tried.trouble {
        Some(trouble) => Err(io::Error::other(trouble)),
        None => Ok(()),
    }
}

/// Plays a drill and waits for what comes of it; again, where the machine was too busy to judge it.
///
/// # Errors
/// When it could not be played at all, such as on a system without namespaces.
pub(crate) fn play(job: &RunRequest) -> io::Result<RunRecord> {
    for _ in 1..TRIES {
        let cell = play_once(job)?;
        if !cell.too_busy {
            return Ok(cell);
        }
    }
    play_once(job)
}

fn play_once(job: &RunRequest) -> io::Result<RunRecord> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("cell");
    match job.player {
        Player::Command { .. } => command.arg("--own-files"),
        // In the root that is made for it.
        _ => command.env("TMPDIR", "/tmp"),
    };
    let mut keeper = command
        .env(sandbox::PARENT, std::process::id().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let text = serde_json::to_vec(job)?;
    if let Some(mut stdin) = keeper.stdin.take() {
        // Who does not read it says why on standard error.
        stdin.write_all(&text).ok();
    }
    let output = keeper.wait_with_output()?;
    if output.status.success() {
        let reply = serde_json::from_slice(&output.stdout).map_err(io::Error::other)?;
        return match reply {
            RunReply::Played(record) => Ok(*record),
            RunReply::NotPlayed(reason) => Err(io::Error::other(reason)),
        };
    }
    // It was killed, or is broken: what it said last may tell why.
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(match said.trim() {
        "" => format!("the drill's process ended with {}", output.status),
        said => said.to_owned(),
    }))
}

/// The keeper of the namespaces of one drill, which has these ids in them: whether their first process answered. That
/// namespaces may not be made here is an answer, too.
///
/// # Errors
/// An answer that cannot be written.
pub(crate) fn keep(ids: Ids) -> io::Result<bool> {
    let arguments = [OsString::from("cell")];
    let kept = sandbox::die_with_parent()
        .and_then(|parent| sandbox::run_inside_with(&parent, ids, &arguments));
    match kept {
        Ok(status) => Ok(status.success()),
        Err(error) => RunReply::write(Err(error)).map(|()| true),
    }
}

/// The first process of the namespaces of one drill. What the kernel does not allow is an answer, and so is
/// a job that cannot be read.
///
/// # Errors
/// An answer that cannot be written.
pub(crate) fn inside(lifeline: i32) -> io::Result<()> {
    RunReply::write(play_here(lifeline))
}

/// What a drill has shown that is held against one on the memory network, which is played when this one is over.
enum Shown {
    /// Nothing: what is said of it stands.
    Enough,
    ByServer(Run),
    /// The attempts of the reference sender.
    ByReference(Vec<Attempt>),
}

/// Plays the drill that standard input has, in this process.
fn play_here(lifeline: i32) -> io::Result<RunRecord> {
    let begun = Instant::now();
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: RunRequest = serde_json::from_str(&text)?;
    let fit = job.eligibility()?;
    let host = SendersHost::of(&fit.scenario);
    sandbox::begin(lifeline, &host.name())?;
    if let Player::Server { adapter, tree } = &job.player {
        let accounts = rootfs::Accounts {
            users: &adapter.users,
            groups: &adapter.groups,
        };
        let names = resolver_files::texts(&host, job.pace == Pace::Real);
        rootfs::change(tree, names, &accounts)?;
        ids::let_changes_pass()?;
    }
    if let Player::Command { .. } = &job.player {
        resolver_files::cover(&host, job.pace == Pace::Real)?;
    }
    let runtime = crate::runtime::of_this_thread()?;
    let (mut cell, shown, passed) = runtime.block_on(async {
        host::raise(&host)?;
        let clock = (job.pace == Pace::Virtual).then(Clock::new).transpose()?;
        let (cell, shown) = match &job.player {
            Player::Command { words } => {
                let (cell, passed) =
                    one_command::played(words, &fit.scenario, job.seed, clock).await?;
                return Ok((cell, Shown::Enough, passed));
            }
            Player::Server { adapter, .. } => {
                let (cell, run) = served(adapter, &job, &fit, &host, clock.as_ref()).await?;
                (cell, run.map_or(Shown::Enough, Shown::ByServer))
            }
            Player::Reference { .. } => {
                let (cell, seen) = reference_run::control(&job, &fit, clock.as_ref()).await?;
                (cell, Shown::ByReference(seen))
            }
            Player::Nobody => {
                let cell = reference_run::slept(clock.as_ref()).await?;
                (cell, Shown::Enough)
            }
        };
        // Who is left has no clock any more.
        sandbox::end_all_others();
        io::Result::Ok((cell, shown, clock.map(Clock::stop).transpose()?))
    })?;
    // What still runs ends with this process.
    runtime.shutdown_background();
    match shown {
        Shown::Enough => {}
        Shown::ByServer(run) => {
            let verdict = own_moments::allowed_for(&fit.scenario, &run.events, run.verdict);
            cell.findings = verdict.findings.into_iter().map(RunError::from).collect();
            cell.notes = verdict.notes;
        }
        Shown::ByReference(seen) if job.pace == Pace::Virtual && cell.trouble.is_none() => {
            cell.differences = reference_run::differs_from_memory(&job, &fit.scenario, seen)?;
        }
        Shown::ByReference(_) => {}
    }
    if let Some(passed) = passed {
        cell.passed(passed);
    }
    cell.seconds = begun.elapsed().as_secs_f64();
    Ok(cell)
}

/// Lets a sender send in a lab until it is done, and not for ever by any clock.
pub(super) async fn conducted(
    lab: &Lab,
    sender: impl Sender,
    seed: u64,
    limit: Duration,
) -> Result<Run, mxdrill::Error> {
    let kind = SenderKind::MailServer;
    let run = drill::conduct(lab, sender, Some(seed), VIRTUAL_LIMIT, kind);
    let run = tokio::time::timeout(limit, run).await;
    run.unwrap_or_else(|_| Err(mxdrill::Error::BrokenOff(format!("{limit:?} of real time"))))
}

/// A mail server's drill, and what is to be judged of it, if it came to its end.
async fn served(
    adapter: &Adapter,
    job: &RunRequest,
    fit: &Eligibility,
    host: &SendersHost,
    clock: Option<&Clock>,
) -> io::Result<(RunRecord, Option<Run>)> {
    let limit = match job.from {
        ScenarioSource::Schedules => SCHEDULE_LIMIT,
        ScenarioSource::Mxdrill | ScenarioSource::User(_) => LIMIT,
    };
    let syslog = Syslog::listen()?;
    let scenario = &fit.scenario;
    let lab = Lab::start_watched(
        Arc::clone(scenario),
        None,
        OwnHost::PassedOver,
        AcceptedMail::Kept,
        clock.map(Clock::time),
    )
    .await?;
    driver::prepare(lab.authority_pem())?;
    let version = scripts::version(adapter, host, scenario).await;
    let mut trouble = version.as_ref().err().map(ToString::to_string);
    let server = DrivenServer {
        adapter,
        host,
        clock,
        told: &fit.told,
        trouble: &mut trouble,
    };
    let run = conducted(&lab, server, job.seed, limit).await;
    let mut cell = RunRecord {
        version: version.unwrap_or_default(),
        sampled: scenario.messages.len(),
        ..RunRecord::default()
    };
    let run = match run {
        Ok(run) => {
            cell.too_busy = trouble.is_none() && run.too_slow.is_some();
            trouble = trouble.or(run.too_slow.map(|why| why.to_string()));
            cell.recording = written_down(scenario, &run)?;
            Some(run)
        }
        Err(error) => {
            trouble.get_or_insert(error.to_string());
            None
        }
    };
    cell.trouble = trouble;
    cell.set = fit.told.lines();
    cell.saw(&lab, fit)?;
    lab.stop().await;
    cell.syslog = syslog.text() + &scripts::tail(adapter.log.as_deref());
    cell.said = scripts::said();
    Ok((cell, run))
}

impl RunRecord {
    /// What a lab saw of a mail server.
    fn saw(&mut self, lab: &Lab, fit: &Eligibility) -> io::Result<()> {
        let (events, attempts) = (lab.events(), lab.attempts());
        // Only notifications are from the null reverse-path.
        let returned = lab.messages().into_iter().filter(|one| one.from.is_empty());
        let returned = returned.map(|one| {
            let mut octets = one.content.read()?;
            octets.truncate(MAX_RETURNED);
            Ok(String::from_utf8_lossy(&octets).replace('\r', ""))
        });
        self.returned = returned.collect::<io::Result<_>>()?;
        let endings = mxdrill::observe::endings(&fit.scenario, &events, &attempts);
        let ending = |outcome| SenderKind::MailServer.saw(outcome);
        let endings = endings.iter();
        self.endings = endings
            .map(|(id, one)| format!("{id}: {}", ending(one.outcome())))
            .collect();
        self.attempts = attempts.iter().map(ToString::to_string).collect();
        let shares = fit.shares.iter();
        let counts = shares.map(|share| eligibility::first_attempts(&attempts, &share.host));
        self.counts = counts.collect();
        self.log = events.iter().map(Event::line).collect();
        Ok(())
    }

    /// How time passed. Where it ran by itself, what is wrong may be the machine's fault.
    fn passed(&mut self, passed: Passed) {
        self.clock = passed.to_string();
        if passed.ran_along && !self.findings.is_empty() && self.trouble.is_none() {
            self.too_busy = true;
            let why = "something computed for so long that time ran with it";
            self.trouble = Some(why.to_owned());
        }
        self.notes.extend(passed.notes());
    }
}

/// The drill written down, as `mxdrill run --format json` does.
pub(super) fn written_down(scenario: &Arc<Scenario>, run: &Run) -> io::Result<String> {
    let mut lines = Vec::new();
    mxdrill::recording::write(&mut lines, scenario, run)?;
    String::from_utf8(lines).map_err(io::Error::other)
}
