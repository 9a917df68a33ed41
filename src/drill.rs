//! A drill from beginning to end: a lab for the scenario, a sender in it, a verdict on the log.

use std::{io, sync::Arc, time::Duration};

use crate::{
    event::{Batch, Event},
    lab::{Lab, NetworkKind, Place},
    scenario::Scenario,
    sender::{Post, Reference, Sender},
    time::Moment,
    verdict::{Judge, Verdict, Witness, judge},
};

/// Real time after which a drill with sockets is broken off.
const SOCKETS_LIMIT: Duration = Duration::from_secs(60);
/// The longest drill that is run in real time.
const REAL_TIME: Duration = Duration::from_secs(5);
/// By how much a moment may be off where time is real.
const SOCKETS_TOLERANCE: Duration = Duration::from_secs(2);
/// By how much a lab may be held up in all where a drill in real time fails: by more, and the machine may be
/// to blame.
const MOST_HELD_UP: Duration = Duration::from_millis(250);

/// Virtual time after which a drill is broken off: no queue lives as long.
const MEMORY_LIMIT: Duration = Duration::from_secs(200 * 365 * 86_400);

/// Events after which a drill is broken off, such as one that retries every millisecond for days: so
/// many, and so many more for each message.
const MAX_EVENTS: (usize, usize) = (100_000, 20_000);

/// So many events are judged at a time.
const BATCH: usize = 100;

/// How long sessions may take to end once the sender is done.
const SETTLING: Duration = Duration::from_secs(1);

/// What came of a drill.
#[derive(Debug, Clone)]
pub struct Run {
    /// What happened; nothing where it was handed over as it did.
    pub events: Vec<Event>,
    /// How it is judged.
    pub verdict: Verdict,
    /// Where randomness started from.
    pub seed: u64,
    /// How long it took on the drill's own clock.
    pub took: Moment,
    /// Who sent: it decides what could be known.
    pub witness: Witness,
}

/// That a drill failed while its lab was held up: whose fault that is cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "could not be judged: this machine is too busy for real time, the lab was held up for {0:.1?} in all"
)]
pub struct TooSlow(pub Duration);

impl TooSlow {
    /// Whether this is why a drill could not be run; another try may fare better.
    pub fn is(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// Why a drill cannot be run on a network: real time would pass by hours where a virtual clock leaps.
pub fn obstacle(scenario: &Arc<Scenario>, kind: NetworkKind) -> Option<String> {
    if kind == NetworkKind::Memory {
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

/// Runs a drill on a network of its own and judges it; `seed` replaces the scenario's.
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
) -> io::Result<Run> {
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
) -> io::Result<Run> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let (runtime, limit, tolerance) = match kind {
        // The clock leaps only when nothing else can be done: sound, since nothing leaves the process.
        NetworkKind::Memory => (
            builder.enable_time().start_paused(true).build()?,
            MEMORY_LIMIT,
            Duration::ZERO,
        ),
        NetworkKind::Loopback | NetworkKind::Namespace => (
            builder.enable_all().build()?,
            SOCKETS_LIMIT,
            SOCKETS_TOLERANCE,
        ),
    };
    runtime.block_on(async {
        let lab = Lab::start_without_mailbox(Arc::clone(scenario), kind, Place::default()).await?;
        let log = lab.site().log.clone();
        let seed = seed.unwrap_or(scenario.seed);
        let post = Post::new(Arc::clone(lab.site()), seed);
        let witness = Witness::Sender { tolerance };
        let mut judge = Judge::new(scenario, witness);
        let mut follow = || {
            let Batch { events, done } = log.take();
            for event in events {
                judge.see(&event);
                each(event);
            }
            done.iter().for_each(|id| judge.done(id));
        };
        let took = carry_out(&lab, sender, post, limit, &mut follow).await?;
        let held_up = lab.held_up();
        lab.stop().await;
        follow();
        let verdict = judge.finish();
        if !verdict.passed() && held_up > MOST_HELD_UP {
            return Err(io::Error::other(TooSlow(held_up)));
        }
        Ok(Run {
            took,
            events: Vec::new(),
            verdict,
            seed,
            witness,
        })
    })
}

/// Lets a sender send in a lab that is up, until it is done, and judges what happened.
///
/// # Errors
/// When it did not end within `limit` of the lab's clock, or within very many events.
pub(crate) async fn conduct(
    lab: &Lab,
    sender: impl Sender,
    seed: Option<u64>,
    limit: Duration,
    witness: Witness,
) -> io::Result<Run> {
    let scenario = &lab.site().scenario;
    let seed = seed.unwrap_or(scenario.seed);
    let post = Post::new(Arc::clone(lab.site()), seed);
    let took = carry_out(lab, sender, post, limit, || {}).await?;
    let events = lab.events();
    let verdict = judge(scenario, &events, witness);
    Ok(Run {
        events,
        verdict,
        seed,
        took,
        witness,
    })
}

/// Lets a sender send until it is done; when that was, on the lab's clock. Each time the log has grown
/// by some events, `follow` is called.
async fn carry_out(
    lab: &Lab,
    sender: impl Sender,
    post: Post,
    limit: Duration,
    mut follow: impl FnMut(),
) -> io::Result<Moment> {
    let scenario = &lab.site().scenario;
    let most = MAX_EVENTS.0 + MAX_EVENTS.1 * scenario.messages.len();
    let broken_off = |reason: String| io::Error::new(io::ErrorKind::TimedOut, reason);
    let overlong = async {
        let mut seen = 0;
        while seen <= most {
            lab.past(most.min(seen + BATCH)).await;
            seen = lab.site().log.len();
            follow();
        }
    };
    tokio::select! {
        biased;
        () = overlong => {
            return Err(broken_off(format!("the drill did not end within {most} events")));
        }
        // What a sender does from now on shows nothing.
        () = lab.failed() => {}
        ended = tokio::time::timeout(limit, sender.send(post)) => {
            ended.map_err(|_| broken_off(format!("the drill did not end within {limit:?}")))?;
        }
    }
    let took = lab.site().clock.now();
    if lab.trouble().is_none() {
        settle(lab).await;
    }
    if let Some(trouble) = lab.trouble() {
        let text = format!("could not be judged: {trouble}");
        return Err(io::Error::other(text));
    }
    Ok(took)
}

/// What the receivers see last may still be on its way, as the alert of a refused certificate.
async fn settle(lab: &Lab) {
    let settled = tokio::time::timeout(SETTLING, lab.settled());
    drop(settled.await);
}
