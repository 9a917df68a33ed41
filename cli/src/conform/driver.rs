//! A mail server driven through a drill: set up, started, and handed each message at its moment. When it tries
//! again, for how long, and what it waits for is its own affair.
//!
//! The steps, in order:
//!
//! 1. It is configured by the clock of the system, and started on the drill's clock, which it shares with the lab
//!    where the machine has virtual time. The lab's time begins when it can be handed mail.
//! 2. Messages are handed over at their moments; those of one moment one after the other, so that what is done for
//!    each can be told apart.
//! 3. When a crash is due, all its processes are killed and it is started again; not while a script runs that is
//!    waited for.
//! 4. The drill is over when every message has come to its end and nothing is queued any more, when the scenario
//!    says so (`stop`, or a message that is left), or after more days than any queue lives.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    Adapter,
    eligibility::SettingsTold,
    scripts::{FOLDER, Scripts},
    submission,
};
use crate::clock::Clock;
use mxdrill::{
    event::{Event, EventKind},
    lab::namespace::SendersHost,
    mail::Message,
    observe,
    outcome::Outcome,
    sender::{Sender, SenderContext},
    time::Moment,
};

/// A wait after a server's start, by the drill's clock: it passes once all is quiet. It is so short that a schedule which
/// begins with the server is a schedule of the message.
const SETTLED: &str = "sleep 0.001";
/// How long after the last message a drill goes on at most: no server keeps mail for so long by default.
pub(super) const LONGEST: Duration = Duration::from_secs(12 * 86_400);
/// How long nothing may be seen of a message, with no session open, until the next one of the same moment is
/// handed over.
const HESITATION: Duration = Duration::from_secs(1);
/// How long the next one of the same moment waits at most, whatever is under way.
const MOST_HESITATION: Duration = Duration::from_secs(10);
/// How soon after something happened the queue is looked at, and again each time after twice as long.
const FIRST_LOOK: Duration = Duration::from_secs(5);
/// How long nothing may be seen of a message until it is asked whether it is queued at all.
const LONG_SILENCE: Duration = Duration::from_secs(3600);
/// How long a server that was killed is down. Nothing starts in the instant in which it died: OpenSMTPD passes over
/// files in its queue that are younger than itself, and the kernel stamps files less exactly than its clocks tell.
const DOWN: Duration = Duration::from_secs(1);
/// The longest time between two looks.
const RARE_LOOK: Duration = Duration::from_secs(6 * 3600);

/// A mail server, unpacked in the root of this process, and the host it stands on.
pub(crate) struct DrivenServer<'a> {
    pub(crate) adapter: &'a Adapter,
    pub(crate) host: &'a SendersHost,
    /// The clock of its processes and of the lab; without one, time is the system's.
    pub(crate) clock: Option<&'a Clock>,
    /// What the drill has to set of it.
    pub(crate) told: &'a SettingsTold,
    /// Why the drill could not be driven to its end.
    pub(crate) trouble: &'a mut Option<String>,
}

impl Sender for DrivenServer<'_> {
    async fn send(self, context: SenderContext) {
        let scripts = Scripts::new(self.adapter, self.host, context.scenario());
        let scripts = scripts.map(|scripts| scripts.telling(self.told).on(self.clock));
        let driven = match scripts {
            Ok(scripts) => {
                let mut driver = Driver {
                    scripts,
                    adapter: self.adapter,
                    context,
                    given: 0,
                    seen: SeenSoFar::default(),
                };
                driver.through(self.clock).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = driven {
            *self.trouble = Some(error.to_string());
        }
    }
}

/// A drill under way.
struct Driver<'a> {
    adapter: &'a Adapter,
    scripts: Scripts<'a>,
    context: SenderContext,
    /// How many messages have been handed over.
    given: usize,
    seen: SeenSoFar,
}

/// What was known of the messages when that was asked last, and by how much of the log.
#[derive(Default)]
struct SeenSoFar {
    events: usize,
    given: usize,
    all_ended: bool,
}

impl Driver<'_> {
    /// The whole drill: set up, then messages at their moments until nothing is left of them.
    async fn through(&mut self, clock: Option<&Clock>) -> io::Result<()> {
        self.scripts.configure(&self.adapter.configure).await?;
        if let Some(start) = &self.adapter.start {
            self.scripts.run("start", start).await?;
        }
        if let Some(clock) = clock {
            // What a server does at its start, such as a look at its queue, is over then.
            self.scripts.run("start", SETTLED).await?;
            clock.begin();
        }
        self.context.take_crashes_on();
        // Looks at the queue cost a process each: the longer nothing has happened, the rarer they are.
        let (latest, mut wait) = (self.latest(), FIRST_LOOK);
        loop {
            self.submit_due().await?;
            let seen = self.context.log().len();
            let next = self.context.next_at();
            let look = self.context.now().after(wait);
            let until = next.unwrap_or(look).min(latest);
            tokio::select! {
                biased;
                () = self.context.crash_is_due() => {
                    self.crash().await?;
                    wait = FIRST_LOOK;
                    continue;
                }
                // More follows: it is looked at when that is over.
                () = self.context.log().past(seen) => {
                    wait = FIRST_LOOK;
                    continue;
                }
                () = self.context.until(until) => {}
            }
            if self.context.now() >= latest {
                return Ok(());
            }
            // Neither a message to hand over nor a crash to carry out.
            let more_comes = next.is_some() || self.context.next_crash_at().is_some();
            if !more_comes && !self.is_under_way() && self.is_over(wait).await? {
                return Ok(());
            }
            wait = (wait * 2).min(RARE_LOOK);
        }
    }

    /// Hands over every message whose moment has come.
    async fn submit_due(&mut self) -> io::Result<()> {
        while let Some((_, message)) = self.context.due() {
            self.given += 1;
            match &self.adapter.submit_smtp {
                Some(address) => {
                    let content = self.context.content(&message);
                    let what = format!("submission to {address}");
                    let handed = submission::by_smtp(address, &message, &content);
                    // Real time: a server that does not answer is no server that waits.
                    let handed = self.scripts.within(&what, handed).await;
                    handed.map_err(|error| {
                        io::Error::new(error.kind(), format!("{what}: {error}"))
                    })?;
                }
                None => {
                    let path = PathBuf::from(FOLDER).join(format!("message-{}", self.given));
                    fs::write(&path, self.context.plain_content(&message))?;
                    let submit = self.adapter.submit.as_deref().unwrap_or_default();
                    self.scripts.submit(submit, &message, &path).await?;
                }
            }
            let now = self.context.now();
            if self.context.next_at().is_some_and(|at| at <= now) && self.hesitate().await {
                self.crash().await?;
            }
        }
        Ok(())
    }

    /// Kills every process of the server, and starts it again a little later.
    async fn crash(&self) -> io::Result<()> {
        self.scripts.kill_all().await?;
        self.context.caught_up().await;
        self.context.crashed();
        self.context.until(self.context.now().after(DOWN)).await;
        let restart = self
            .adapter
            .restart
            .as_ref()
            .or(self.adapter.start.as_ref());
        match restart {
            Some(script) => self.scripts.run("restart", script).await,
            None => Ok(()),
        }
    }

    /// Waits a little for what is done about a message; whether a crash is due meanwhile.
    async fn hesitate(&self) -> bool {
        let end = self.context.now().after(MOST_HESITATION);
        while self.context.now() < end {
            let seen = self.context.log().len();
            let until = self.context.now().after(HESITATION).min(end);
            tokio::select! {
                biased;
                () = self.context.crash_is_due() => return true,
                () = self.context.log().past(seen) => {}
                () = self.context.until(until) => if !self.is_under_way() {
                    return false;
                }
            }
        }
        false
    }

    /// Whether a session is open.
    fn is_under_way(&self) -> bool {
        self.context.log().open_sessions() > 0
    }

    /// When the drill ends at the latest.
    fn latest(&self) -> Moment {
        let scenario = self.context.scenario();
        let last = scenario.messages.iter().map(|message| message.at).max();
        // Twice what the drill asks for: a server that keeps mail for too long is found out.
        let longest = LONGEST.max(scenario.sender.expire * 2);
        let latest = last.unwrap_or(Moment::START).after(longest);
        scenario.stop.map_or(latest, |stop| stop.min(latest))
    }

    /// Whether every message has come to its end or is left as it is. What is queued all the same will be sent
    /// again; and what left the queue is not waited for, whatever became of it.
    async fn is_over(&mut self, wait: Duration) -> io::Result<bool> {
        if self.has_news() && self.looks_over() {
            return Ok(true);
        }
        // As long as something is open the queue is asked only after a long silence: it may be gone without a word.
        let is_over =
            (self.seen.all_ended || wait >= LONG_SILENCE) && self.nothing_is_queued().await?;
        if is_over {
            self.context.queue_is_empty();
        }
        Ok(is_over)
    }

    /// Whether anything came about since it was looked last by which a message may have come to its end: it was taken, or
    /// somebody spoke of it. What a day of attempts leaves in the log is long, and says nothing new.
    fn has_news(&mut self) -> bool {
        let fresh = self.context.log().since(self.seen.events);
        self.seen.events += fresh.len();
        let tells = |event: &Event| {
            matches!(
                event.kind,
                EventKind::Taken { .. } | EventKind::Report { .. }
            )
        };
        let is_more_given = self.seen.given != self.given;
        self.seen.given = self.given;
        let mut messages = self.context.scenario().messages.iter();
        // Those are counted by their attempts.
        is_more_given || fresh.iter().any(tells) || messages.any(|one| one.leave.is_some())
    }

    /// Looks through the log; whether the drill ends in the middle, as some do: what they are about was seen.
    fn looks_over(&mut self) -> bool {
        let scenario = self.context.scenario();
        let events = self.context.log().events();
        let attempts = observe::attempts(scenario, &events);
        let endings = observe::endings(scenario, &events, &attempts);
        let now = self.context.now();
        let is_left = |message: &Message| {
            let tried = attempts
                .iter()
                .filter(|attempt| attempt.message.as_ref() == Some(&message.id));
            let leave = message.leave;
            leave.is_some_and(|leave| now >= leave.after && tried.count() >= leave.attempts)
        };
        let is_open = |message: &Message| endings[&message.id].outcome() == Outcome::Deferred;
        let mut open = self.context.given().filter(|message| is_open(message));
        let mut left = self.context.given().filter(|message| is_left(message));
        let is_left_open = open.all(is_left) && left.next().is_some();
        self.seen.all_ended = !self.context.given().any(is_open);
        is_left_open
    }

    /// Whether the server's queue is empty.
    async fn nothing_is_queued(&self) -> io::Result<bool> {
        self.context.caught_up().await;
        let queued = self.scripts.output("queued", &self.adapter.queued).await?;
        Ok(queued.trim_ascii().is_empty())
    }
}

/// Makes the folder of what is about the drill, with the certificate of its authority.
pub(crate) fn prepare(authority: Option<String>) -> io::Result<()> {
    fs::create_dir_all(FOLDER)?;
    match authority {
        Some(pem) => fs::write(Path::new(FOLDER).join("ca.pem"), pem),
        None => Ok(()),
    }
}
