//! A drill from beginning to end: a lab for the scenario, a sender in it, a verdict on the log.
//!
//! How a drill is played ([`run`]):
//!
//! 1. A runtime is made: with a paused clock for the memory network, with a real one for sockets.
//! 2. A lab is started for the scenario, and the sender is handed a `SenderContext`.
//! 3. While the sender sends, the log is judged in batches as it grows.
//! 4. When the sender is done, open sessions may end; then the lab is stopped.
//! 5. The verdict is made. If it failed in real time while the machine was too busy, nobody knows
//!    why it did, and that is said instead.
//!
//! [`conduct`] does the same in a lab that is up already, for commands and mail servers.

mod failure;
mod unannounced;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

#[cfg(any(feature = "proptest", feature = "libtest-mimic"))]
pub(crate) use self::failure::findings;
#[cfg(all(target_os = "linux", feature = "private-network"))]
use crate::lab::LabState;
use crate::{
    error::{Error, TooSlow},
    event::{Batch, Event},
    lab::{Lab, LoopbackBinding, NetworkKind},
    observe,
    scenario::Scenario,
    sender::{Reference, Sender, SenderContext},
    time::Moment,
    verdict::{Judge, SenderKind, Verdict, judge},
};

/// Real time after which a drill with sockets is broken off: its longest is one of `REAL_TIME`,
/// with room for a slow machine.
const SOCKETS_LIMIT: Duration = Duration::from_secs(60);
/// The longest drill, by its own clock, that is played in real time.
const REAL_TIME: Duration = Duration::from_secs(5);
/// By how much a moment may be off where time is real: the machine may be late.
const SOCKETS_TOLERANCE: Duration = Duration::from_secs(2);
/// By how much a lab may be held up in all where a drill in real time fails: by more, and the machine may be
/// to blame.
const MOST_HELD_UP: Duration = Duration::from_millis(250);
/// By how much where others send, at one time or in all: their timeouts are of seconds.
const MOST_WITH_OTHERS: Duration = Duration::from_secs(1);
/// Of a longer drill, for which part of it in all: one in so many.
const MOST_OF_THE_TIME: u32 = 4;

/// Virtual time after which a drill is broken off: no queue lives as long.
const MEMORY_LIMIT: Duration = Duration::from_secs(200 * 365 * 86_400);

/// Events after which a drill is broken off, such as one that retries every millisecond for days: so
/// many, and so many more for each message.
const MAX_EVENTS: (usize, usize) = (100_000, 20_000);

/// Events that are judged at a time: few enough to be forgotten soon, many enough not to wake the
/// judge for each.
const BATCH: usize = 100;

/// How long sessions may take to end once the sender is done, in the lab's time.
const SETTLING: Duration = Duration::from_secs(1);

/// A drill that was played, with its verdict.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Run {
    /// What happened, in order; empty if it was handed over as it happened ([`watch`]).
    pub events: Vec<Event>,
    /// How it is judged.
    pub verdict: Verdict,
    /// Where randomness started from: the scenario's seed, or the one that was given in its place.
    pub seed: u64,
    /// How far the drill's own clock had come when the sender was done.
    pub took: Moment,
    /// Who sent, which decided what could be known.
    pub sender_kind: SenderKind,
    /// Where others sent, and the verdict failed, that the lab was held up: whose fault it is that it failed
    /// cannot be told.
    pub too_slow: Option<TooSlow>,
}

/// Why a drill cannot be played on a network: its sender is killed, which only a mail server's can be; it needs sockets
/// and there are none; or real time would pass by hours where a virtual clock leaps. `None` if it can. ([`run`] plays
/// one with crashes all the same, without them.)
pub fn obstacle(scenario: &Arc<Scenario>, kind: NetworkKind) -> Option<String> {
    if let Some(reason) = scenario.needs_a_mail_server() {
        return Some(reason.to_owned());
    }
    if !kind.has_sockets() {
        let reason = "needs sockets: a receiver has a server behind it";
        return scenario.needs_sockets().then(|| reason.to_owned());
    }
    let sender = Reference::default();
    let took = match watch(scenario, NetworkKind::Memory, None, sender, |_| {}) {
        Ok(run) => run.took,
        Err(error) => return Some(error.to_string()),
    };
    (took.0 > REAL_TIME).then(|| format!("needs virtual time: it takes {took}"))
}

/// Plays a drill on a network of its own and judges it. `seed` replaces the scenario's.
///
/// It makes a runtime of its own, so it must not be called from inside one.
///
/// # Errors
/// When the runtime or the sockets of the loopback network cannot be had, or the drill did not end.
pub fn run(
    scenario: &Arc<Scenario>,
    kind: NetworkKind,
    seed: Option<u64>,
    sender: impl Sender,
) -> Result<Run, Error> {
    let mut events = Vec::new();
    let run = watch(scenario, kind, seed, sender, |event| events.push(event))?;
    Ok(Run { events, ..run })
}

/// As [`run`], but hands over what happens soon after it does and keeps nothing of it: a drill of a
/// million messages takes little memory so, if it is the reference sender's.
///
/// # Errors
/// As [`run`].
pub fn watch(
    scenario: &Arc<Scenario>,
    kind: NetworkKind,
    seed: Option<u64>,
    sender: impl Sender,
    mut each: impl FnMut(Event),
) -> Result<Run, Error> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let (runtime, limit, tolerance) = if kind.has_sockets() {
        (
            builder.enable_all().build()?,
            SOCKETS_LIMIT,
            SOCKETS_TOLERANCE,
        )
    } else {
        // The clock leaps only when nothing else can be done: sound, since nothing leaves the process.
        (
            builder.enable_time().start_paused(true).build()?,
            MEMORY_LIMIT,
            Duration::ZERO,
        )
    };
    runtime.block_on(async {
        let lab =
            Lab::start_without_mailbox(Arc::clone(scenario), kind, LoopbackBinding::default())
                .await?;
        let log = lab.state().log.clone();
        let seed = seed.unwrap_or(scenario.seed);
        let context = SenderContext::new(Arc::clone(lab.state()), seed);
        let sender_kind = SenderKind::InProcess { tolerance };
        let mut judge = Judge::new(scenario, sender_kind);
        let mut follow = || {
            let Batch { events, done } = log.take();
            for event in events {
                judge.see(&event);
                each(event);
            }
            done.iter().for_each(|id| judge.done(id));
        };
        let carried_out = carry_out(&lab, sender, context, limit, &mut follow);
        let took = tokio::select! {
            biased;
            took = carried_out => took?,
            // A sender inside the process may be held up as the lab may.
            never = lab.watch_delays(), if kind.has_sockets() => match never {},
        };
        let held_up = lab.held_up();
        lab.stop().await;
        follow();
        let verdict = judge.finish();
        if !verdict.passed() && held_up > MOST_HELD_UP {
            return Err(TooSlow(held_up).into());
        }
        Ok(Run {
            took,
            events: Vec::new(),
            verdict,
            seed,
            sender_kind,
            too_slow: None,
        })
    })
}

/// Lets a sender send in a lab that is up, until it is done, and judges what happened. `sender_kind`
/// says who the sender is.
///
/// # Errors
/// When it did not end within `limit` of the lab's clock, or within very many events.
pub async fn conduct(
    lab: &Lab,
    sender: impl Sender,
    seed: Option<u64>,
    limit: Duration,
    sender_kind: SenderKind,
) -> Result<Run, Error> {
    let scenario = &lab.state().scenario;
    let seed = seed.unwrap_or(scenario.seed);
    let context = SenderContext::new(Arc::clone(lab.state()), seed);
    let begun = Instant::now();
    let took = carry_out(lab, sender, context, limit, || {}).await?;
    let events = lab.events();
    let verdict = judge(scenario, &events, sender_kind);
    let most = MOST_WITH_OTHERS.max(begun.elapsed() / MOST_OF_THE_TIME);
    let was_slow = lab.held_up() > most || lab.held_up_at_once() > MOST_WITH_OTHERS;
    let too_slow = (was_slow && !verdict.passed()).then(|| TooSlow(lab.held_up()));
    Ok(Run {
        events,
        verdict,
        seed,
        took,
        sender_kind,
        too_slow,
    })
}

/// Lets a sender send in the private network that this process is in, until it is done. The lab is another process's,
/// which sees of the sender what it sees of any: what it reports, nobody hears.
///
/// The sender's time begins with this call. Its messages are due by it, so the lab's has to have begun by then.
///
/// # Errors
/// That certificates cannot be had, which the lab and the sender make alike from the scenario.
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub async fn send_apart(
    scenario: Arc<Scenario>,
    sender: impl Sender,
    seed: u64,
) -> Result<(), Error> {
    let state = LabState::of_another_process(scenario)?;
    sender.send(SenderContext::new(Arc::new(state), seed)).await;
    Ok(())
}

impl Lab {
    /// What the rules and the scenario's expectations have to say of what the lab has seen so far.
    /// `sender` says who sent: a command or a mail server reports nothing of a message's end.
    ///
    /// A lab of records alone knows of no messages: those are judged that receivers were offered, one for
    /// each reverse-path and set of recipients, or as many as were accepted.
    pub fn verdict(&self, sender: SenderKind) -> Verdict {
        judge_so_far(&self.scenario(), &self.events(), sender)
    }

    /// Panics unless somebody sent, and the lab's [verdict](Lab::verdict) on it is good. The panic says what
    /// is wrong, and shows the attempts in order.
    ///
    /// # Panics
    /// When nobody connected to an exchanger, or the verdict has a finding.
    #[track_caller]
    pub fn assert_passed(&self, sender: SenderKind) {
        let verdict = self.verdict(sender);
        let attempts = self.attempts();
        let is_vain = verdict.passed() && attempts.is_empty();
        if is_vain || !verdict.passed() {
            panic!("{}", failure::text(self, &verdict, &attempts));
        }
    }
}

/// As [`Lab::verdict`], of events that were taken away from the lab's log; `scenario` is [`Lab::scenario`].
pub fn judge_so_far(scenario: &Scenario, events: &[Event], sender: SenderKind) -> Verdict {
    if !scenario.messages.is_empty() {
        return judge(scenario, events, sender);
    }
    let messages = unannounced::messages(&observe::attempts(scenario, events));
    let scenario = Scenario {
        messages,
        ..Scenario::clone(scenario)
    };
    judge(&scenario, events, sender)
}

/// Lets a sender send until it is done; when that was, on the lab's clock. Each time the log has grown
/// by some events, `follow` is called.
async fn carry_out(
    lab: &Lab,
    sender: impl Sender,
    context: SenderContext,
    limit: Duration,
    mut follow: impl FnMut(),
) -> Result<Moment, Error> {
    let scenario = &lab.state().scenario;
    let most = MAX_EVENTS.0 + MAX_EVENTS.1 * scenario.messages.len();
    let overlong = async {
        let mut seen = 0;
        while seen <= most {
            lab.past(most.min(seen + BATCH)).await;
            seen = lab.state().log.len();
            follow();
        }
    };
    tokio::select! {
        biased;
        () = overlong => {
            return Err(Error::BrokenOff(format!("{most} events")));
        }
        // What a sender does from now on shows nothing.
        () = lab.failed() => {}
        ended = lab.state().clock.within(limit, sender.send(context)) => {
            ended.ok_or_else(|| Error::BrokenOff(format!("{limit:?}")))?;
        }
    }
    let took = lab.state().clock.now();
    if lab.trouble().is_none() {
        settle(lab).await;
    }
    if let Some(trouble) = lab.trouble() {
        return Err(Error::LabFailed(trouble));
    }
    Ok(took)
}

/// Waits a little for sessions to end: what receivers see last may still be on its way, such as the
/// alert about a refused certificate.
async fn settle(lab: &Lab) {
    let settled = tokio::time::timeout(SETTLING, lab.settled());
    settled.await.ok();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sender;

    /// What a command or a mail server that fails is to be blamed for, if the lab had the time to serve it.
    #[tokio::test]
    async fn a_failure_while_the_lab_is_held_up_is_told_as_such() {
        let text = "summary = 's'\nzone = \"\"\"\n$ORIGIN example.test.\n@ 300 IN MX 10 mx1\nmx1 300 IN A 192.0.2.1\n\"\"\"\n\
            messages = [{ id = 'm', to = 'a@example.test' }]\n[expect]\ndelivered = 1\n";
        let scenario = Arc::new(Scenario::parse("s.toml", text).expect("valid"));
        let kind = NetworkKind::Loopback;
        let lab = Lab::start(scenario, kind).await.expect("a lab");
        let sender = sender::from_fn(|_| async {
            // It is looked before and after.
            tokio::time::sleep(Duration::from_millis(30)).await;
            lab.hold_up(Duration::from_millis(1200)).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
        });
        let limit = Duration::from_secs(60);
        let run = conduct(&lab, sender, None, limit, SenderKind::Command).await;
        let run = run.expect("a run");
        assert!(!run.verdict.passed());
        assert!(run.too_slow.is_some());
        lab.stop().await;
    }
}
