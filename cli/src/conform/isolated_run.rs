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
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::net::UnixDatagram;

use super::{
    Adapter,
    driver::{self, Server},
    eligibility::{self, Eligibility, Feature},
    run_error::RunError,
};
use crate::{
    parallel,
    sandbox::{self, Ids, host, ids, rootfs},
};
use mxdrill::{
    drill::{self, Run},
    event::{Event, silenced},
    lab::{
        AcceptedMail, Lab,
        namespace::{OwnHost, SendersHost},
    },
    scenario::{Scenario, Timeouts},
    sender::{Flaw, Reference},
    verdict::{SenderKind, judge},
    zone::file::Reach,
};

/// How often a drill is played at most that a busy machine spoils.
const TRIES: usize = 3;
/// The longest a drill may take in real time; one that takes longer is inconclusive.
const LIMIT: Duration = Duration::from_secs(150);
/// Every timeout of the reference sender, as `driver` sets those of servers. All replies that come
/// at all come earlier.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Octets of a notification that are kept: its header and the report are at its beginning.
const MAX_RETURNED: usize = 4 * 1024;
/// Octets of the server's syslog that are kept for each drill.
const MAX_SYSLOG: usize = 48 * 1024;

/// A drill to be played, as it goes to the process that plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    pub(crate) player: Player,
    /// The path of the scenario, and whether it is one of mxdrill's own.
    pub(crate) scenario: PathBuf,
    pub(crate) from: ScenarioSource,
    /// Where randomness starts from.
    pub(crate) seed: u64,
}

/// Who plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Player {
    /// A mail server, and where it is unpacked.
    Server {
        adapter: Box<Adapter>,
        tree: PathBuf,
    },
    /// The reference sender, perhaps with a flaw: over the same sockets, and judged by what is seen of
    /// it alone.
    Reference { flaw: Option<String> },
}

/// Where the scenarios come from.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ScenarioSource {
    /// They are bundled with mxdrill, and name no files.
    Mxdrill,
    /// They are the user's. The files that they name may lie within this reach.
    User(Reach),
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
    /// What became of each message, a line each.
    pub(crate) endings: Vec<String>,
    /// Every attempt, a line each.
    pub(crate) attempts: Vec<String>,
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
    let mut keeper = Command::new("/proc/self/exe")
        .arg("cell")
        // In the root that is made for it.
        .env("TMPDIR", "/tmp")
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

/// The keeper of the namespaces of one drill: whether their first process answered. That namespaces may
/// not be made here is an answer, too.
///
/// # Errors
/// An answer that cannot be written.
pub(crate) fn keep() -> io::Result<bool> {
    let arguments = [OsString::from("cell")];
    let kept = sandbox::die_with_parent()
        .and_then(|parent| sandbox::run_inside_with(&parent, Ids::Mapped, &arguments));
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

/// Plays the drill that standard input has, in this process.
fn play_here(lifeline: i32) -> io::Result<RunRecord> {
    let begun = Instant::now();
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let job: RunRequest = serde_json::from_str(&text)?;
    let scenario = match job.from {
        ScenarioSource::Mxdrill => mxdrill::bundled::scenario(&job.scenario),
        ScenarioSource::User(reach) => Scenario::load_within(&job.scenario, reach),
    };
    let fit = Eligibility::of(&Arc::new(scenario.map_err(io::Error::other)?));
    let host = SendersHost::of(&fit.scenario);
    sandbox::begin(lifeline, &host.name())?;
    if let Player::Server { adapter, tree } = &job.player {
        let accounts = rootfs::Accounts {
            users: &adapter.users,
            groups: &adapter.groups,
        };
        rootfs::change(tree, &host, &accounts)?;
        ids::let_changes_pass()?;
    }
    let runtime = crate::runtime::of_this_thread()?;
    let mut cell = runtime.block_on(async {
        host::raise(&host)?;
        match &job.player {
            Player::Server { adapter, .. } => served(adapter, job.seed, &fit, &host).await,
            Player::Reference { flaw } => {
                let flaw = flaw.as_deref().and_then(Flaw::named);
                let sender = flaw.map_or_else(Reference::default, Reference::with_flaw);
                control(sender, job.seed, &fit).await
            }
        }
    })?;
    // What still runs ends with this process.
    runtime.shutdown_background();
    cell.seconds = begun.elapsed().as_secs_f64();
    Ok(cell)
}

/// The reference sender's drill. All that it says of itself is struck from the log: it is judged as a
/// mail server is, and as a command is.
///
/// The self-test of judge and network: the reference sender must pass, and one with a flaw must
/// not.
async fn control(sender: Reference, seed: u64, fit: &Eligibility) -> io::Result<RunRecord> {
    let mut scenario = Scenario::clone(&fit.scenario);
    scenario.sender.timeouts = Timeouts::all(TIMEOUT);
    let scenario = Arc::new(scenario);
    let (own_host, mailbox) = (OwnHost::PassedOver, AcceptedMail::Dropped);
    let lab = Lab::start_watched(Arc::clone(&scenario), None, own_host, mailbox, None).await?;
    let run = drill::conduct(&lab, sender, Some(seed), LIMIT, SenderKind::MailServer).await;
    lab.stop().await;
    let mut run = match run {
        Ok(run) => run,
        Err(error) => {
            return Ok(RunRecord {
                trouble: Some(error.to_string()),
                ..RunRecord::default()
            });
        }
    };
    run.events = silenced(&run.events);
    run.verdict = judge(&scenario, &run.events, SenderKind::MailServer);
    let recording = written_down(&scenario, &run)?;
    let attempts = mxdrill::observe::attempts(&scenario, &run.events);
    let shares = fit.shares.iter();
    let counts = shares.map(|share| eligibility::first_attempts(&attempts, &share.host));
    let mut findings = run.verdict.findings;
    // Of a command, moments are held against the expected ones: its timeouts would have to be the drill's.
    let waits = [Feature::Timeouts, Feature::LostQueries];
    if !waits.iter().any(|wait| fit.needs.contains(wait)) {
        findings.extend(judge(&scenario, &run.events, SenderKind::Command).findings);
    }
    Ok(RunRecord {
        trouble: run.too_slow.map(|why| why.to_string()),
        too_busy: run.too_slow.is_some(),
        findings: findings.into_iter().map(RunError::from).collect(),
        sampled: scenario.messages.len(),
        counts: counts.collect(),
        recording,
        ..RunRecord::default()
    })
}

/// A mail server's drill.
async fn served(
    adapter: &Adapter,
    seed: u64,
    fit: &Eligibility,
    host: &SendersHost,
) -> io::Result<RunRecord> {
    let syslog = Syslog::listen()?;
    let scenario = &fit.scenario;
    let lab = Lab::start_watched(
        Arc::clone(scenario),
        None,
        OwnHost::PassedOver,
        AcceptedMail::Kept,
        None,
    )
    .await?;
    driver::prepare(lab.authority_pem())?;
    let version = driver::version(adapter, host, scenario).await;
    let mut trouble = version.as_ref().err().map(ToString::to_string);
    let mut too_busy = false;
    let server = Server {
        adapter,
        host,
        trouble: &mut trouble,
    };
    let run = drill::conduct(&lab, server, Some(seed), LIMIT, SenderKind::MailServer).await;
    let events = lab.events();
    let attempts = lab.attempts();
    let (findings, notes, recording) = match run {
        Ok(run) => {
            too_busy = trouble.is_none() && run.too_slow.is_some();
            trouble = trouble.or(run.too_slow.map(|why| why.to_string()));
            let recording = written_down(scenario, &run)?;
            (run.verdict.findings, run.verdict.notes, recording)
        }
        Err(error) => {
            trouble.get_or_insert(error.to_string());
            (Vec::new(), Vec::new(), String::new())
        }
    };
    // Only notifications are from the null reverse-path.
    let returned = lab.messages().into_iter().filter(|one| one.from.is_empty());
    let returned = returned
        .map(|one| {
            let mut octets = one.content.read()?;
            octets.truncate(MAX_RETURNED);
            Ok(String::from_utf8_lossy(&octets).replace('\r', ""))
        })
        .collect::<io::Result<_>>()?;
    lab.stop().await;
    let endings = mxdrill::observe::endings(scenario, &events, &attempts);
    let counts = fit.shares.iter();
    let counts = counts.map(|share| eligibility::first_attempts(&attempts, &share.host));
    Ok(RunRecord {
        version: version.unwrap_or_default(),
        trouble,
        too_busy,
        findings: findings.into_iter().map(RunError::from).collect(),
        notes,
        endings: endings
            .iter()
            .map(|(id, ending)| format!("{id}: {}", SenderKind::MailServer.saw(ending.outcome())))
            .collect(),
        attempts: attempts.iter().map(ToString::to_string).collect(),
        sampled: scenario.messages.len(),
        counts: counts.collect(),
        recording,
        log: events.iter().map(Event::line).collect(),
        returned,
        syslog: syslog.text() + &driver::tail(adapter.log.as_deref()),
        said: driver::said(),
        seconds: 0.0,
    })
}

/// The drill written down, as `mxdrill run --format json` does.
fn written_down(scenario: &Arc<Scenario>, run: &Run) -> io::Result<String> {
    let mut lines = Vec::new();
    mxdrill::recording::write(&mut lines, scenario, run)?;
    String::from_utf8(lines).map_err(io::Error::other)
}

/// What listens in the place of the system's logger, until the process ends.
struct Syslog {
    lines: Arc<Mutex<String>>,
}

impl Syslog {
    fn listen() -> io::Result<Self> {
        let socket = UnixDatagram::bind("/dev/log")?;
        let lines = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&lines);
        tokio::spawn(async move {
            let mut buffer = vec![0; 8 * 1024];
            while let Ok(length) = socket.recv(&mut buffer).await {
                let text = String::from_utf8_lossy(&buffer[..length]);
                // <PRIORITY>TEXT
                let line = text.split_once('>').map_or(&*text, |(_, line)| line);
                let mut heard = parallel::lock(&heard);
                if heard.len() < MAX_SYSLOG {
                    heard.push_str(line.trim_end_matches(['\n', '\0']));
                    heard.push('\n');
                }
            }
        });
        Ok(Self { lines })
    }

    fn text(&self) -> String {
        parallel::lock(&self.lines).clone()
    }
}
