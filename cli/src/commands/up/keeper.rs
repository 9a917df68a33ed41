//! The owner of a lab that is up: it follows the log, writes it out, and does what the API asks for.
//!
//! Events are taken out of the log as they come, so that it does not grow. They are written and counted, and handed on
//! to what is kept for the API, if there is one. The API has no hold of the lab: each request is carried out here,
//! between two looks at the log, when all that happened before it has been taken in.

use std::{io, sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::MissedTickBehavior};

use crate::{
    commands::{LogFormat, event_stream, say, writer::Writer},
    control_api::{Ask, SharedKept},
    groups::counted,
};
use mxdrill::{
    event::{EventKind, EventLog},
    lab::{AcceptedMail, Lab, LoopbackBinding, Spread},
    observe::Sessions,
    scenario::Scenario,
};

/// How often it is looked for what the kernel dropped.
const LOOK: Duration = Duration::from_secs(1);

/// Owns a lab, and knows what has to be known to put up another one in its place.
pub(super) struct Keeper {
    /// `None` where another one could not be put up.
    lab: Option<Lab>,
    place: LoopbackBinding,
    format: LogFormat,
    writer: Writer,
    kept: Option<SharedKept>,
    /// How many events of this lab's log were taken out of it.
    seen: usize,
    /// Whether nothing was found yet that makes what it saw unreliable.
    sound: bool,
    counts: UpCounts,
}

/// What is counted of what labs saw.
#[derive(Default)]
struct UpCounts {
    sessions: Sessions,
    attempts: usize,
    taken: usize,
}

/// Requests of nobody: for a lab without the API.
pub(super) fn nobody_asks() -> mpsc::Receiver<Ask> {
    mpsc::channel(1).1
}

impl Keeper {
    pub(super) fn new(lab: Lab, place: LoopbackBinding, format: LogFormat, writer: Writer) -> Self {
        Self {
            lab: Some(lab),
            place,
            format,
            writer,
            kept: None,
            seen: 0,
            sound: true,
            counts: UpCounts::default(),
        }
    }

    /// Keeps what the lab sees from now on.
    pub(super) fn keep(&mut self, kept: SharedKept) {
        self.kept = Some(kept);
    }

    /// Follows the lab, and does what is asked for, until the log cannot be written.
    pub(super) async fn follow(&mut self, mut asked: mpsc::Receiver<Ask>) -> io::Result<()> {
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let (lab, seen) = (self.lab.as_ref(), self.seen);
            let grown = async {
                match lab {
                    Some(lab) => lab.past(seen).await,
                    None => std::future::pending().await,
                }
            };
            let failed = async {
                match lab {
                    Some(lab) => lab.failed().await,
                    None => std::future::pending().await,
                }
            };
            let ask = tokio::select! {
                () = grown => None,
                error = self.writer.fails() => return Err(error),
                // It stays up all the same.
                () = failed, if self.sound => {
                    self.sound = false;
                    let trouble = lab.and_then(Lab::trouble).unwrap_or_default();
                    say::err(format_args!("mxdrill: {trouble}"));
                    None
                }
                Some(ask) = asked.recv() => Some(ask),
                // What the kernel dropped is in no log: whoever looks finds it, and the lab says so above.
                _ = ticks.tick(), if self.sound => {
                    lab.and_then(Lab::trouble);
                    None
                }
            };
            self.take_in()?;
            match ask {
                None => {}
                Some(Ask::Look(look)) => {
                    // Without a lab it is dropped, which tells whoever waits for it.
                    if let Some(lab) = &self.lab {
                        look(lab);
                    }
                    self.take_in()?;
                }
                Some(Ask::PutUp(scenario, answer)) => {
                    let done = self.put_up(scenario).await?;
                    // Whoever asked may be gone.
                    answer.send(done).ok();
                }
            }
        }
    }

    /// Takes in what the lab saw since.
    fn take_in(&mut self) -> io::Result<()> {
        let Some(lab) = &self.lab else {
            return Ok(());
        };
        let log = lab.log();
        // A message is in the mailbox before the log tells of it: the log is read first.
        let events = log.take().events;
        let messages = lab.take_messages();
        self.seen += events.len();
        self.counts.count(&events);
        let mut lines = Vec::new();
        event_stream::write(&events, self.format, &mut lines)?;
        self.writer.write(lines);
        if let Some(kept) = &self.kept {
            kept.take_in(events, messages);
        }
        Ok(())
    }

    /// Puts up a lab for another scenario in place of this one, where it stands if that can be had: or why it could
    /// not, and then the one before is up again if it can be.
    async fn put_up(&mut self, scenario: Arc<Scenario>) -> io::Result<Result<(), String>> {
        let before = self.lab.as_ref().map(Lab::scenario);
        let there = self.lab.as_ref().map_or(self.place, |lab| self.there(lab));
        self.stop_lab().await?;
        let done = self.start(scenario, there).await;
        if done.is_err()
            && let Some(before) = before
            && let Err(error) = self.start(before, there).await
        {
            say::err(format_args!(
                "mxdrill: the lab before is not up again: {error}"
            ));
        }
        self.take_in()?;
        Ok(done)
    }

    /// The place of a lab, with the ports that it has now: who was told them goes on with them.
    fn there(&self, lab: &Lab) -> LoopbackBinding {
        let shares_a_port = matches!(self.place.spread, Spread::Addresses { .. })
            && !lab.differs_by_ports()
            && !lab.endpoints().is_empty();
        LoopbackBinding {
            dns_port: lab.resolver().port(),
            smtp_port: match shares_a_port {
                true => lab.smtp_port(),
                false => self.place.smtp_port,
            },
            ..self.place
        }
    }

    /// Starts a lab there, or else where it was asked for at first.
    async fn start(
        &mut self,
        scenario: Arc<Scenario>,
        there: LoopbackBinding,
    ) -> Result<(), String> {
        let start =
            |place| Lab::start_on_loopback(Arc::clone(&scenario), place, AcceptedMail::Kept);
        let lab = match start(there).await {
            Ok(lab) => lab,
            Err(_) => start(self.place).await.map_err(|error| error.to_string())?,
        };
        self.lab = Some(lab);
        (self.seen, self.sound) = (0, true);
        if let Some(kept) = &self.kept {
            kept.begin_lab();
        }
        Ok(())
    }

    async fn stop_lab(&mut self) -> io::Result<()> {
        let log = self.lab.as_ref().map(|lab| lab.log().clone());
        if let Some(lab) = self.lab.take() {
            lab.stop().await;
        }
        log.map_or(Ok(()), |log| self.write_rest(&log))
    }

    /// Writes what came last, when the lab has stopped.
    fn write_rest(&mut self, log: &EventLog) -> io::Result<()> {
        let events = log.take().events;
        self.counts.count(&events);
        let mut lines = Vec::new();
        event_stream::write(&events, self.format, &mut lines)?;
        self.writer.write(lines);
        if let Some(kept) = &self.kept {
            kept.take_in(events, Vec::new());
        }
        let ended = std::mem::take(&mut self.counts.sessions).finish();
        self.counts.attempts += ended.flatten().count();
        Ok(())
    }

    /// Stops the lab, and says what was counted; how many lines nobody read.
    pub(super) async fn stop(mut self, in_order: bool) -> io::Result<usize> {
        // It is known as long as the name server has its sockets.
        let lost = self.lab.as_ref().map_or(0, Lab::lost_questions);
        if lost > 0 {
            say::err(format_args!(
                "mxdrill: {} questions to the name server were lost in all: the kernel had no room for more",
                counted(usize::try_from(lost).unwrap_or(usize::MAX))
            ));
        }
        if in_order {
            self.stop_lab().await?;
        }
        drop(self.lab.take());
        if self.format == LogFormat::Text {
            let UpCounts {
                attempts, taken, ..
            } = self.counts;
            let line = format!("stopped: {attempts} attempts, {taken} messages taken\n");
            self.writer.write(line.into_bytes());
        }
        Ok(self.writer.finish())
    }
}

impl UpCounts {
    fn count(&mut self, events: &[mxdrill::event::Event]) {
        for event in events {
            self.attempts += self.sessions.see(event).len();
            self.taken += usize::from(matches!(event.kind, EventKind::Taken { .. }));
        }
    }
}
