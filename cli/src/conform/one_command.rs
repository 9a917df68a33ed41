//! A drill of a command that is played as those of mail servers are: in a process of its own, without anybody at a
//! terminal. It is what `mxdrill exec --virtual-time` does, and judged alike.

use std::{
    cell::RefCell,
    ffi::OsString,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
    time::Duration,
};

use super::{record::RunRecord, run_error::RunError};
use crate::{
    clock::{Clock, Passed},
    command::ChildCommand,
    sandbox,
};
use mxdrill::{
    Error,
    drill::{self, Run},
    event::Event,
    lab::{AcceptedMail, Lab, namespace::OwnHost},
    scenario::Scenario,
    verdict::SenderKind,
};

/// The longest that a command may take in real time; one that takes longer is not judged.
const LIMIT: Duration = Duration::from_secs(60);
/// Octets that are kept of the end of what a command says.
const MOST_SAID: u64 = 4 * 1024;

/// Lets a command send in a lab until it ends, and judges what the lab saw.
pub(super) async fn played(
    words: &[OsString],
    scenario: &Arc<Scenario>,
    seed: u64,
    clock: Option<Clock>,
) -> io::Result<(RunRecord, Option<Passed>)> {
    let time = clock.as_ref().map(Clock::time);
    let command = match &clock {
        Some(clock) => clock.command(words),
        None => words.to_vec(),
    };
    let (own_host, mail) = (OwnHost::Told, AcceptedMail::Dropped);
    let lab = Lab::start_watched(Arc::clone(scenario), None, own_host, mail, time).await?;
    let kind = match clock {
        Some(_) => SenderKind::ClockedCommand,
        None => SenderKind::Command,
    };
    let said = tempfile::tempfile()?;
    let (kept, passed) = (RefCell::new(clock), RefCell::new(None));
    let mut ended = None;
    let sender = ChildCommand::new(&command, &mut ended).saying_to(said.try_clone()?);
    let sender = sender.once_started(|| {
        if let Some(clock) = &mut *kept.borrow_mut() {
            clock.begin();
            clock.complete();
        }
    });
    // What the command leaves behind has no clock any more.
    let sender = sender.once_over(|| {
        sandbox::end_all_others();
        let over = kept.borrow_mut().take().map(Clock::stop);
        *passed.borrow_mut() = over;
    });
    let run = drill::conduct(&lab, sender, Some(seed), Duration::MAX, kind);
    let run = tokio::time::timeout(LIMIT, run).await;
    let run = run.unwrap_or_else(|_| Err(Error::BrokenOff(format!("{LIMIT:?} of real time"))));
    if let Some(clock) = kept.into_inner() {
        sandbox::end_all_others();
        *passed.borrow_mut() = Some(clock.stop());
    }
    let mut record = RunRecord {
        attempts: lab.attempts().iter().map(ToString::to_string).collect(),
        log: lab.events().iter().map(Event::line).collect(),
        said: end_of(said)?,
        ..RunRecord::default()
    };
    lab.stop().await;
    match (run, ended) {
        (Err(error), _) => record.trouble = Some(error.to_string()),
        (Ok(_), Some(Err(error))) => record.trouble = Some(error.to_string()),
        (Ok(run), _) => record.judged(run),
    }
    Ok((record, passed.into_inner().transpose()?))
}

impl RunRecord {
    /// Takes over what was found.
    fn judged(&mut self, run: Run) {
        self.too_busy = run.too_slow.is_some();
        self.trouble = run.too_slow.map(|why| why.to_string());
        let findings = run.verdict.findings.into_iter();
        self.findings = findings.map(RunError::from).collect();
        self.notes = run.verdict.notes;
    }
}

/// The end of what a command said.
fn end_of(mut said: File) -> io::Result<String> {
    let length = said.seek(SeekFrom::End(0))?;
    said.seek(SeekFrom::Start(length.saturating_sub(MOST_SAID)))?;
    let mut text = Vec::new();
    said.take(MOST_SAID).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}
