//! The thread that answers calls, and moves time when nothing goes on.
//!
//! Three kinds of time are told apart here. *Elapsed* is how long the processes' clocks have gone on; *the lab's*
//! begins later, when the server that is judged can be handed mail, and is elapsed less what was before; *the
//! system's* is real, and is what patience and busy loops are measured by.
//!
//! Everything is on one thread and nothing of it is shared but the lab's time and two orders, so there is no lock. A
//! round must not block for longer than it says: somebody's answer may wait for it.

mod measures;
mod moving;
mod rounds;

use std::{
    collections::BTreeSet,
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use mxdrill_notify::{Answer, Listener};

use self::measures::{Stamp, Work};
use super::{
    clocks::Clocks,
    leaps::Leaps,
    memory::{Nanos, nanos},
    passed::Passed,
    pending::{Alarm, GivenUp, PendingConnect},
    quiet::Quiet,
    received::ReceivedCall,
    vdso::Cells,
    wait::{Kind, Wait},
};
use mxdrill::lab::SharedTime;

/// How long a round waits for calls.
const ROUND: Duration = Duration::from_micros(50);
/// How long it does where nobody waits for a moment: the lab may begin to, which is not told.
const IDLE_ROUND: Duration = Duration::from_millis(1);

/// What is supervised, and by which clocks.
pub(super) struct Supervisor {
    /// Where the listeners of what is started come from; `None` when nobody is left who could send one.
    source: Option<OwnedFd>,
    /// Where calls come, of each command that was started and of all that it starts.
    listeners: Vec<Rc<Listener>>,
    /// What the lab reads, too.
    pub(super) time: SharedTime,
    /// How much time passed before the lab's began.
    before: Duration,
    orders: Arc<Orders>,
    pub(super) clocks: Clocks,
    pub(super) leaps: Leaps,
    /// What processes read without a call.
    pub(super) cells: Cells,
    /// Since when time stands still, and where it was then.
    stands: (Stamp, Duration),
    /// Calls that wait, in no order.
    pub(super) held: Vec<Wait>,
    /// Waits that a signal ended, the latest of each thread: if the same call comes again, it is told so.
    pub(super) broken: Vec<Wait>,
    /// What rings when its time has come.
    pub(super) alarms: Vec<Alarm>,
    /// How many timers with a descriptor were set, each of which has a number.
    pub(super) timers: u64,
    /// Connections that are made without blocking, as long as nobody has answered.
    pub(super) attempts: Vec<PendingConnect>,
    /// Those that the kernel is to give up, for which time waits.
    pub(super) given_up: Vec<GivenUp>,
    pub(super) quiet: Quiet,
    /// How long the next round waits for calls.
    pub(super) round: Duration,
    /// When last every call that is held was looked at.
    looked: Instant,
    /// Since when time runs, where it was then, and how many times faster than the system's it is.
    running: Option<(Instant, Duration, u32)>,
    /// When it was last looked what was computed, and how much that was to begin with.
    busy: Option<(Instant, Duration, Work)>,
    pub(super) passed: Passed,
    /// What is not exact, or was refused; each thing once.
    pub(super) said: BTreeSet<String>,
    /// Why it cannot go on.
    pub(super) failed: Option<io::Error>,
}

impl Supervisor {
    /// Takes over the clock of the processes whose listeners come over a socket, on the thread that this is called
    /// on.
    pub(super) fn new(source: OwnedFd, time: SharedTime, orders: Arc<Orders>) -> io::Result<Self> {
        let clocks = Clocks::now()?;
        let stamp = Stamp::now();
        Ok(Self {
            source: Some(source),
            listeners: Vec::new(),
            time,
            before: Duration::ZERO,
            orders,
            leaps: Leaps::new(clocks.wall(Duration::ZERO))?,
            cells: Cells::new(clocks.reading(Duration::ZERO, stamp.count()))?,
            stands: (stamp, Duration::ZERO),
            clocks,
            held: Vec::new(),
            broken: Vec::new(),
            alarms: Vec::new(),
            timers: 0,
            attempts: Vec::new(),
            given_up: Vec::new(),
            quiet: Quiet::new()?,
            round: ROUND,
            looked: Instant::now(),
            running: None,
            busy: None,
            passed: Passed::default(),
            said: BTreeSet::new(),
            failed: None,
        })
    }

    /// How much time has passed on the clock of the processes.
    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.time.now()
    }

    /// Now, on the monotonic clock of the processes.
    pub(super) fn now(&self) -> Nanos {
        self.clocks.monotonic + nanos(self.elapsed())
    }

    pub(super) fn answer(&self, call: &ReceivedCall, answer: Answer) -> io::Result<()> {
        call.from.answer(call.id, answer)
    }

    /// Answers a call that was held.
    pub(super) fn finish(&mut self, wait: Wait, answer: Answer) -> io::Result<()> {
        self.quiet.suspect(wait.call.thread);
        // The duplicates go first: another process's end of a connection must not outlive its own.
        let Wait { call, kind, .. } = wait;
        drop(kind);
        self.answer(&call, answer)
    }

    /// Remembers a wait that a signal ended.
    pub(super) fn break_off(&mut self, wait: Wait) {
        let thread = wait.call.thread;
        // A thread waits in one call at a time: the wait before is of no more interest.
        self.broken.retain(|known| known.call.thread != thread);
        self.broken.push(Wait {
            kind: Kind::Sleep,
            ..wait
        });
    }
}

/// What a supervisor is told from outside.
#[derive(Debug, Default)]
pub(super) struct Orders {
    /// That the lab's time begins.
    pub(super) begun: AtomicBool,
    /// That it is enough.
    pub(super) enough: AtomicBool,
}
