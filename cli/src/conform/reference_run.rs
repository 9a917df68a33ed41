//! The reference sender in the place of a mail server, and nobody in its place: drills that put mxdrill itself to the test.

use std::{ffi::OsString, io, sync::Arc, time::Duration};

use super::{
    eligibility::{self, Eligibility},
    isolated_run::{LIMIT, RunRecord, conducted, written_down},
    run_error::RunError,
};
use crate::clock::Clock;
use mxdrill::{
    event::silenced,
    lab::{AcceptedMail, Lab, namespace::OwnHost},
    sender::Reference,
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

/// The reference sender's drill. All that it says of itself is struck from the log: it is judged as a
/// mail server is, and as a command is.
///
/// The self-test of judge and network: the reference sender must pass, and one with a flaw must
/// not.
pub(super) async fn control(
    sender: Reference,
    seed: u64,
    fit: &Eligibility,
    clock: Option<&Clock>,
) -> io::Result<RunRecord> {
    let scenario = &fit.scenario;
    let (own_host, mailbox) = (OwnHost::PassedOver, AcceptedMail::Dropped);
    let time = clock.map(Clock::time);
    let lab = Lab::start_watched(Arc::clone(scenario), None, own_host, mailbox, time).await?;
    if let Some(clock) = clock {
        clock.begin();
    }
    let run = conducted(&lab, sender, seed, LIMIT).await;
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
    run.verdict = judge(scenario, &run.events, SenderKind::MailServer);
    let recording = written_down(scenario, &run)?;
    let attempts = mxdrill::observe::attempts(scenario, &run.events);
    let shares = fit.shares.iter();
    let counts = shares.map(|share| eligibility::first_attempts(&attempts, &share.host));
    let mut findings = run.verdict.findings;
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
