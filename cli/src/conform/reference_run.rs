//! The reference sender in the place of a mail server, and nobody in its place: drills that put mxdrill itself to the test.
//!
//! It is a process of its own ([`send`]), started as a mail server's are: the lab knows of it what it sees on the network.

use std::{ffi::OsString, io, process::Stdio, sync::Arc, time::Duration};

use tokio::io::AsyncWriteExt;

use super::{
    eligibility::{self, Eligibility},
    isolated_run::{LIMIT, Player, RunRecord, RunRequest, conducted, written_down},
    run_error::RunError,
};
use crate::clock::Clock;
use mxdrill::{
    drill,
    lab::{AcceptedMail, Lab, namespace::OwnHost},
    sender::{Flaw, Reference, Sender, SenderContext},
    verdict::{SenderKind, judge},
};

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
) -> io::Result<RunRecord> {
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
            return Ok(RunRecord {
                trouble,
                ..RunRecord::default()
            });
        }
    };
    let recording = written_down(scenario, &run)?;
    let attempts = mxdrill::observe::attempts(scenario, &run.events);
    let shares = fit.shares.iter();
    let counts = shares.map(|share| eligibility::first_attempts(&attempts, &share.host));
    let mut findings = std::mem::take(&mut run.verdict.findings);
    // Of a command, moments are held against the expected ones, too.
    let as_command = match clock {
        Some(_) => SenderKind::ClockedCommand,
        None => SenderKind::Command,
    };
    findings.extend(judge(scenario, &run.events, as_command).findings);
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
                Some(_) = context.next_message() => {}
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
    let Player::Reference { flaw } = &request.player else {
        return Err(io::Error::other(
            "it is not the reference sender that is to send",
        ));
    };
    let flaw = flaw.as_deref().and_then(Flaw::named);
    let sender = flaw.map_or_else(Reference::default, Reference::with_flaw);
    let scenario = request.eligibility()?.scenario;
    let runtime = crate::runtime::of_this_thread()?;
    let sent = runtime.block_on(drill::send_apart(scenario, sender, request.seed));
    sent.map_err(io::Error::other)
}
