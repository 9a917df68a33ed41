//! A drill from beginning to end: a lab for the scenario, a sender in it, a verdict on the log.

use std::{io, sync::Arc, time::Duration};

use crate::{
    event::Event,
    lab::{Lab, NetworkKind},
    scenario::Scenario,
    sender::{Post, Reference, Sender},
    time::Moment,
    verdict::{Verdict, Witness, judge},
};

/// Real time after which a drill with sockets is broken off.
const SOCKETS_LIMIT: Duration = Duration::from_secs(60);
/// The longest drill that is run in real time.
const REAL_TIME: Duration = Duration::from_secs(5);
/// By how much a moment may be off where time is real.
const SOCKETS_TOLERANCE: Duration = Duration::from_secs(2);
/// Virtual time after which a drill is broken off: no queue lives as long.
const MEMORY_LIMIT: Duration = Duration::from_secs(200 * 365 * 86_400);

/// Events after which a drill is broken off, such as one that retries every millisecond for days: so
/// many, and so many more for each message.
const MAX_EVENTS: (usize, usize) = (100_000, 1_000);

/// How long sessions may take to end once the sender is done.
const SETTLING: Duration = Duration::from_secs(1);

/// What came of a drill.
#[derive(Debug, Clone)]
pub struct Run {
    /// What happened.
    pub events: Vec<Event>,
    /// How it is judged.
    pub verdict: Verdict,
    /// Where randomness started from.
    pub seed: u64,
    /// How long it took on the drill's own clock.
    pub took: Moment,
}

/// Why a drill cannot be run on a network: real time would pass by hours where a virtual clock leaps.
pub fn obstacle(scenario: &Arc<Scenario>, kind: NetworkKind) -> Option<String> {
    if kind == NetworkKind::Memory {
        let reason = "needs sockets: a receiver has a server behind it";
        return scenario.needs_sockets().then(|| reason.to_owned());
    }
    let took = match run(scenario, NetworkKind::Memory, None, Reference::default()) {
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
    run_counting(scenario, kind, seed, sender, || {})
}

/// As [`run`]; `given` is called for each message that the sender is given, to show how far it is.
///
/// # Errors
/// As [`run`].
pub fn run_counting(
    scenario: &Arc<Scenario>,
    kind: NetworkKind,
    seed: Option<u64>,
    sender: impl Sender,
    given: impl Fn() + 'static,
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
        let lab = Lab::start_without_mailbox(Arc::clone(scenario), kind).await?;
        let log = lab.site().log.clone();
        let seed = seed.unwrap_or(scenario.seed);
        let post = Post::new(Arc::clone(lab.site()), seed, Box::new(given));
        let took = carry_out(&lab, sender, post, limit).await?;
        lab.stop().await;
        let events = log.take();
        let verdict = judge(scenario, &events, Witness::Sender { tolerance });
        Ok(Run {
            took,
            events,
            verdict,
            seed,
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
    let post = Post::new(Arc::clone(lab.site()), seed, Box::new(|| {}));
    let took = carry_out(lab, sender, post, limit).await?;
    let events = lab.events();
    let verdict = judge(scenario, &events, witness);
    Ok(Run {
        events,
        verdict,
        seed,
        took,
    })
}

/// Lets a sender send until it is done; when that was, on the lab's clock.
async fn carry_out(
    lab: &Lab,
    sender: impl Sender,
    post: Post,
    limit: Duration,
) -> io::Result<Moment> {
    let scenario = &lab.site().scenario;
    let most = MAX_EVENTS.0 + MAX_EVENTS.1 * scenario.messages.len();
    let broken_off = |reason: String| io::Error::new(io::ErrorKind::TimedOut, reason);
    tokio::select! {
        biased;
        () = lab.past(most) => {
            return Err(broken_off(format!("the drill did not end within {most} events")));
        }
        ended = tokio::time::timeout(limit, sender.send(post)) => {
            ended.map_err(|_| broken_off(format!("the drill did not end within {limit:?}")))?;
        }
    }
    let took = lab.site().clock.now();
    // What the receivers see last may still be on its way, as the alert of a refused certificate.
    let settled = tokio::time::timeout(SETTLING, lab.settled());
    drop(settled.await);
    if let Some(trouble) = lab.trouble() {
        return Err(io::Error::other(trouble));
    }
    Ok(took)
}
