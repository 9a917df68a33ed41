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
    conduct::{LIMIT, conducted, written_down},
    driver::{self, DrivenServer},
    eligibility::{self, Eligibility, Pace},
    one_command, own_moments,
    processors::OneProcessor,
    record::RunRecord,
    reference_run,
    request::{Player, RunRequest, ScenarioSource},
    run_error::RunError,
    scripts,
    syslog::Syslog,
};
use crate::{
    clock::{Clock, Passed},
    sandbox::{self, Ids, host, ids, resolver_files, rootfs},
};
use mxdrill::{
    drill::Run,
    event::Event,
    lab::{
        AcceptedMail, Lab,
        namespace::{OwnHost, SendersHost},
    },
    observe::Attempt,
    verdict::SenderKind,
};
use serde::{Deserialize, Serialize};

/// How often a drill is played at most that a busy machine spoils.
const TRIES: usize = 3;
/// As long for a server's own schedule: one that wakes each second of five days takes minutes, on a busy machine many.
const SCHEDULE_LIMIT: Duration = Duration::from_secs(1800);
/// Octets of a notification that are kept: its header and the report are at its beginning.
const MAX_RETURNED: usize = 4 * 1024;

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
    // What is started keeps to it as well. By the system's clock servers may need more than one.
    let _processor = (job.pace == Pace::Virtual).then(OneProcessor::take);
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
