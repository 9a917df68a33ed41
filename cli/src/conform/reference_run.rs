//! The reference sender in the place of a mail server, and nobody in its place: drills that put mxdrill itself to the test.
//!
//! It is a process of its own ([`send`]), started as a mail server's are: the lab knows of it what it sees on the network.

use std::{ffi::OsString, io, process::Stdio, sync::Arc, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{
    conduct::{LIMIT, conducted, written_down},
    eligibility::{self, Eligibility},
    record::RunRecord,
    request::RunRequest,
    run_error::RunError,
};
use crate::clock::Clock;
use mxdrill::{
    drill,
    event::silenced,
    lab::{AcceptedMail, Lab, NetworkKind, namespace::OwnHost},
    observe::{self, Attempt},
    scenario::Scenario,
    sender::{Sender, SenderContext},
    verdict::{SenderKind, judge},
};

/// By how much a moment on virtual time may be off, as in expectations.
const CLOCK_TOLERANCE: Duration = Duration::from_millis(50);
/// By how much more for each attempt before: who waits anew each time wakes at the next whole millisecond.
const EACH_WAIT: Duration = Duration::from_millis(2);

/// A sleep of an hour on a clock, which takes no time.
pub(super) async fn slept(clock: Option<&Clock>) -> io::Result<RunRecord> {
    const SOON: Duration = Duration::from_secs(10);
    let mut record = RunRecord::default();
    if let Some(clock) = clock {
        clock.begin();
        let words = clock.command(&["sleep", "3600"].map(OsString::from));
        let mut sleep = tokio::process::Command::new(&words[0]);
        let slept = tokio::time::timeout(SOON, sleep.args(&words[1..]).status()).await;
        record.trouble = match slept {
            Ok(status) => (!status?.success()).then(|| "a sleep failed".to_owned()),
            Err(_) => Some("a sleep went on by the system's clock".to_owned()),
        };
    }
    Ok(record)
}

/// The reference sender's drill, as a mail server's: a process of its own, of which the lab sees what happens on the
/// network. It is judged as a mail server is, and as a command is.
///
/// The self-test of judge and network: the reference sender must pass, and one with a flaw must
/// not.
pub(super) async fn control(
    request: &RunRequest,
    fit: &Eligibility,
    clock: Option<&Clock>,
) -> io::Result<(RunRecord, Vec<Attempt>)> {
    let scenario = &fit.scenario;
    let (own_host, mailbox) = (OwnHost::PassedOver, AcceptedMail::Dropped);
    let time = clock.map(Clock::time);
    let lab = Lab::start_watched(Arc::clone(scenario), None, own_host, mailbox, time).await?;
    let mut trouble = None;
    let sender = SenderApart {
        request,
        clock,
        trouble: &mut trouble,
    };
    let run = conducted(&lab, sender, request.seed, LIMIT).await;
    lab.stop().await;
    let trouble = trouble.or_else(|| run.as_ref().err().map(ToString::to_string));
    let mut run = match (run, trouble) {
        (Ok(run), None) => run,
        (_, trouble) => {
            let record = RunRecord {
                trouble,
                ..RunRecord::default()
            };
            return Ok((record, Vec::new()));
        }
    };
    let recording = written_down(scenario, &run)?;
    let attempts = observe::attempts(scenario, &run.events);
    let shares = fit.shares.iter();
    let counts = shares.map(|share| eligibility::first_attempts(&attempts, &share.host));
    let mut findings = std::mem::take(&mut run.verdict.findings);
    // Of a command, moments are held against the expected ones, too.
    let as_command = match clock {
        Some(_) => SenderKind::ClockedCommand,
        None => SenderKind::Command,
    };
    findings.extend(judge(scenario, &run.events, as_command).findings);
    let record = RunRecord {
        trouble: run.too_slow.map(|why| why.to_string()),
        too_busy: run.too_slow.is_some(),
        findings: findings.into_iter().map(RunError::from).collect(),
        sampled: scenario.messages.len(),
        counts: counts.collect(),
        recording,
        ..RunRecord::default()
    };
    Ok((record, attempts))
}

/// In what a drill of the sender's process, on virtual time, differs from the same one on the memory network: attempts
/// that the other has not, at the same host with the same end and at the same moment.
///
/// # Errors
/// That the latter cannot be played.
pub(super) fn differs_from_memory(
    request: &RunRequest,
    scenario: &Arc<Scenario>,
    mut attempts: Vec<Attempt>,
) -> io::Result<Vec<String>> {
    let sender = request.player.reference();
    let run = drill::run(
        scenario,
        NetworkKind::Memory,
        Some(request.seed),
        sender.unwrap_or_default(),
    );
    let run = run.map_err(io::Error::other)?;
    let mut differences = Vec::new();
    let there = observe::attempts(scenario, &silenced(&run.events));
    for (waits, expected) in (0..).zip(there) {
        let same = |one: &Attempt| {
            let apart = one.at.0.abs_diff(expected.at.0);
            apart <= CLOCK_TOLERANCE + EACH_WAIT * waits
                && format!("{one:#}") == format!("{expected:#}")
        };
        match attempts.iter().position(same) {
            Some(place) => drop(attempts.remove(place)),
            None => differences.push(format!("on the memory network alone: {expected}")),
        }
    }
    differences.extend(
        attempts
            .iter()
            .map(|one| format!("of the process alone: {one}")),
    );
    Ok(differences)
}

/// The reference sender in a process of its own, on the drill's clock if there is one.
struct SenderApart<'a> {
    request: &'a RunRequest,
    clock: Option<&'a Clock>,
    /// Why it did not come to its end.
    trouble: &'a mut Option<String>,
}

impl Sender for SenderApart<'_> {
    async fn send(self, mut context: SenderContext) {
        if let Err(error) = self.sent(&mut context).await {
            *self.trouble = Some(format!("the reference sender: {error}"));
        }
    }
}

impl SenderApart<'_> {
    /// Starts the process and waits for its end. A message is logged as submitted when it is due here, which is a
    /// little before it is due there: that process begins later.
    async fn sent(&self, context: &mut SenderContext) -> io::Result<()> {
        let words = ["/proc/self/exe", "cell", "--sends"].map(OsString::from);
        let words = match self.clock {
            Some(clock) => clock.command(&words),
            None => words.to_vec(),
        };
        let mut command = tokio::process::Command::new(&words[0]);
        command.args(&words[1..]).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        if let Some(clock) = self.clock {
            clock.begin();
        }
        while context.due().is_some() {}
        let mut process = command.spawn()?;
        if let Some(mut stdin) = process.stdin.take() {
            stdin.write_all(&serde_json::to_vec(self.request)?).await?;
        }
        let status = loop {
            tokio::select! {
                status = process.wait() => break status?,
                _ = context.next_message(), if context.next_at().is_some() => {}
            }
        };
        match status.success() {
            true => Ok(()),
            false => Err(io::Error::other(status.to_string())),
        }
    }
}

/// The process of the reference sender, in a private network that is there already: sends what the drill on standard
/// input has.
///
/// # Errors
/// What keeps it from sending.
pub(crate) fn send() -> io::Result<()> {
    let request: RunRequest = serde_json::from_reader(io::stdin())?;
    let Some(sender) = request.player.reference() else {
        return Err(io::Error::other(
            "it is not the reference sender that is to send",
        ));
    };
    let scenario = request.eligibility()?.scenario;
    let runtime = crate::runtime::of_this_thread()?;
    let sent = runtime.block_on(drill::send_apart(scenario, sender, request.seed));
    sent.map_err(io::Error::other)
}
