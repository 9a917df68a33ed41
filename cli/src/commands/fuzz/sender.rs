//! Who is tested: the reference sender on the memory network, or a command or a mail server in private networks.

use std::{io, path::Path, sync::Arc, time::Duration};

use super::{FuzzArgs, broken_rule::BrokenRule};
use crate::parallel;
use mxdrill::{
    drill,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{Flaw, Reference},
    verdict::SenderKind,
};

#[cfg(all(target_os = "linux", feature = "private-network"))]
use {
    crate::{
        commands::{conform, quoted},
        conform::{
            eligibility::{Eligibility, Pace},
            isolated_run,
            record::RunRecord,
            request::{Player, RunRequest, ScenarioSource},
            run_error::RunError,
            suite::ServerUnderTest,
        },
        signals,
    },
    mxdrill::zone::file::Reach,
    std::{ffi::OsString, path::PathBuf, thread},
};

/// What stands for the recipient among the arguments of a command.
#[cfg(all(target_os = "linux", feature = "private-network"))]
const RECIPIENT: &str = "{recipient}";
/// A drill in which nothing fails: who does nothing in it does nothing at all.
#[cfg(all(target_os = "linux", feature = "private-network"))]
const PLAIN: &str = "summary = \"a message goes to the only exchanger\"\n\
    zone = \"\"\"\nd0.test. 300 IN MX 10 h0.test.\nh0.test. 300 IN A 192.0.2.1\n\"\"\"\n\
    messages = [{ id = \"m0\", to = \"u0@d0.test\" }]\n";
/// How often, after an interrupt, processes are looked for that have to end.
#[cfg(all(target_os = "linux", feature = "private-network"))]
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who is tested.
pub(super) enum TestedSender {
    /// The reference sender, perhaps with a flaw.
    Reference { flaw: Option<Flaw> },
    /// A command, with `{recipient}` among its arguments.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    Command(Vec<OsString>),
    /// A mail server.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    Server(Box<ServerUnderTest>),
}

/// What came of a drill.
pub(super) enum Played {
    /// The rules that were broken in it.
    Judged(Vec<BrokenRule>),
    /// It does not fit the sender, or could not be judged, for this reason.
    NotJudged(String),
}

impl TestedSender {
    /// What kind of sender it is, which decides what is drawn for it.
    pub(super) fn kind(&self) -> SenderKind {
        match self {
            Self::Reference { .. } => SenderKind::InProcess {
                tolerance: Duration::ZERO,
            },
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Command(_) => SenderKind::ClockedCommand,
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Server(_) => SenderKind::MailServer,
        }
    }

    /// What it is called in what is told.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Reference { flaw: None } => "the reference sender".to_owned(),
            Self::Reference { flaw: Some(flaw) } => format!("the reference sender with {flaw}"),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Command(words) => line(words),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Server(server) => server.id.clone(),
        }
    }

    /// What stands for it in the names of files; `None` where there is only one sender.
    pub(super) fn suffix(&self) -> Option<&str> {
        match self {
            Self::Reference { flaw } => flaw.map(Flaw::word),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Command(_) => None,
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Server(server) => Some(server.id.as_str()),
        }
    }

    /// Whether it does the same each time that it plays a drill.
    pub(super) fn does_the_same(&self) -> bool {
        matches!(self, Self::Reference { .. })
    }

    /// How many smaller drills are tried of one that breaks a rule.
    pub(super) fn most_tries(&self) -> usize {
        match self.does_the_same() {
            true => 20_000,
            false => 150,
        }
    }

    /// How many drills make up a batch, for each that is played at once.
    pub(super) fn batch(&self) -> usize {
        match self.does_the_same() {
            true => 100,
            false => 4,
        }
    }

    /// The command that plays a drill that was written down.
    pub(super) fn replay(&self, file: &Path) -> String {
        let file = crate::commands::quoted(&file.display().to_string());
        match self {
            Self::Reference { flaw: None } => format!("mxdrill run {file}"),
            Self::Reference { flaw: Some(flaw) } => format!("mxdrill run --flaw {flaw} {file}"),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Command(words) => {
                let words = line(&addressed(words, "u0@d0.test"));
                format!("mxdrill exec --virtual-time {file} -- {words}")
            }
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Server(server) => format!("mxdrill conform {} {file}", server.id),
        }
    }

    /// Plays a drill.
    ///
    /// # Errors
    /// That the reference sender's could not be played. What keeps others from it is told as a drill that is not
    /// judged: it may be the drill's or the machine's fault.
    pub(super) fn play(&self, scenario: &Arc<Scenario>) -> io::Result<Played> {
        match self {
            Self::Reference { flaw } => {
                if let Some(obstacle) = drill::obstacle(scenario, NetworkKind::Memory) {
                    return Ok(Played::NotJudged(obstacle));
                }
                let sender = flaw.map_or_else(Reference::default, Reference::with_flaw);
                let run = drill::run(scenario, NetworkKind::Memory, None, sender)?;
                let broken = run.verdict.findings.into_iter();
                Ok(Played::Judged(broken.filter_map(BrokenRule::of).collect()))
            }
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Command(words) => Ok(judged(commanded(words, scenario))),
            #[cfg(all(target_os = "linux", feature = "private-network"))]
            Self::Server(server) => {
                let fit = Eligibility::of(scenario, Pace::Virtual);
                if let Some(obstacle) = fit.obstacle(&server.adapter) {
                    return Ok(Played::NotJudged(obstacle));
                }
                let player = Player::Server {
                    adapter: Box::new(server.adapter.clone()),
                    tree: server.tree.root.clone(),
                };
                Ok(judged(isolated(player, scenario)))
            }
        }
    }
}

/// Who is tested, by what was asked for.
///
/// # Errors
/// That there is no such mail server, or that a command does nothing in a drill in which nothing fails.
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(super) fn senders(args: &FuzzArgs) -> io::Result<Vec<TestedSender>> {
    if args.command.is_empty() && args.mta.is_empty() {
        return Ok(vec![TestedSender::Reference { flaw: args.flaw }]);
    }
    isolated_run::try_virtual_time().map_err(|error| {
        let text = format!("drills of commands and mail servers need virtual time: {error}");
        io::Error::new(error.kind(), text)
    })?;
    if args.command.is_empty() {
        let servers = conform::servers(&args.mta)?.into_iter();
        return Ok(servers
            .map(|one| TestedSender::Server(Box::new(one)))
            .collect());
    }
    let words = args.command.clone();
    let mut arguments = words.iter().skip(1);
    if !arguments.any(|word| word.to_string_lossy().contains(RECIPIENT)) {
        let text = format!(
            "found no {RECIPIENT} in {:?}, expected it where the recipient's address goes",
            line(&words)
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    does_something(&words)?;
    Ok(vec![TestedSender::Command(words)])
}

#[cfg(not(all(target_os = "linux", feature = "private-network")))]
pub(super) fn senders(args: &FuzzArgs) -> io::Result<Vec<TestedSender>> {
    if !args.command.is_empty() || !args.mta.is_empty() {
        return Err(io::Error::other(crate::commands::NO_PRIVATE_NETWORK));
    }
    Ok(vec![TestedSender::Reference { flaw: args.flaw }])
}

/// How many drills are played at once, unless the user says so.
pub(super) fn usual_jobs(senders: &[TestedSender]) -> usize {
    match senders {
        [TestedSender::Reference { .. }] => parallel::cores(),
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        _ => conform::usual_jobs(),
        #[cfg(not(all(target_os = "linux", feature = "private-network")))]
        _ => parallel::cores(),
    }
}

/// Ends the drills that are under way in private networks, and whatever still begins, until this process ends.
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(super) fn end_all() {
    loop {
        signals::kill_descendants();
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(not(all(target_os = "linux", feature = "private-network")))]
pub(super) fn end_all() {}

/// A command as it would be typed.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn line(words: &[OsString]) -> String {
    let words = words.iter().map(|word| word.to_string_lossy());
    // The braces are ours, and no shell minds them where there is no comma.
    let words = words.map(|word| match &*word {
        RECIPIENT => RECIPIENT.to_owned(),
        word => quoted(word),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// A command for a recipient.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn addressed(words: &[OsString], recipient: &str) -> Vec<OsString> {
    let words = words.iter().map(|word| match word.to_str() {
        Some(text) => text.replace(RECIPIENT, recipient).into(),
        // No word that is not text has the name of the recipient in it.
        None => word.clone(),
    });
    words.collect()
}

/// An error if a command connects to nobody in a drill in which nothing fails: what it does wrong in others would
/// say nothing.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn does_something(words: &[OsString]) -> io::Result<()> {
    let plain = Scenario::parse("plain.toml", PLAIN).map_err(io::Error::other)?;
    let record = commanded(words, &Arc::new(plain))?;
    if !record.attempts.is_empty() {
        return Ok(());
    }
    let said = match (record.trouble, record.said.trim()) {
        (Some(trouble), _) => format!(": {trouble}"),
        (None, "") => String::new(),
        (None, said) => format!(", and said:\n{said}"),
    };
    Err(io::Error::other(format!(
        "{} connected to no exchanger in a drill in which nothing fails{said}",
        line(words)
    )))
}

/// Lets a command play a drill.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn commanded(words: &[OsString], scenario: &Arc<Scenario>) -> io::Result<RunRecord> {
    let mut to = scenario
        .messages
        .iter()
        .flat_map(|message| message.to.iter());
    let to = to.next().map_or_else(String::new, |to| to.text.to_string());
    let words = addressed(words, &to);
    isolated(Player::Command { words }, scenario)
}

/// Plays a drill in a private network of its own.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn isolated(player: Player, scenario: &Arc<Scenario>) -> io::Result<RunRecord> {
    isolated_run::play(&RunRequest {
        player,
        scenario: PathBuf::from(&scenario.path),
        text: Some(scenario.to_toml()),
        from: ScenarioSource::User(Reach::Folder),
        pace: Pace::Virtual,
        seed: scenario.seed,
    })
}

/// What is held against a sender of what came of its drill.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn judged(played: io::Result<RunRecord>) -> Played {
    let record = match played {
        Ok(record) => record,
        Err(error) => return Played::NotJudged(error.to_string()),
    };
    if let Some(trouble) = record.trouble {
        return Played::NotJudged(trouble);
    }
    let broken = record.findings.into_iter().filter_map(|finding| {
        let RunError {
            rule,
            level,
            cites,
            expected,
            observed,
            ..
        } = finding;
        let broken = BrokenRule {
            rule: rule?,
            level,
            cites,
            expected,
            observed,
        };
        Some(broken).filter(BrokenRule::is_asked_for)
    });
    Played::Judged(broken.collect())
}
