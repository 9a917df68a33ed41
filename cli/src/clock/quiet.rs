//! Whether nothing goes on: every thread sleeps, and no octet is on its way.
//!
//! This is what a leap of time rests on. If it happens although something goes on, whoever was about to act finds
//! that its time has passed: time-outs that never were, and messages that are sent twice. What is looked at, and
//! why it takes so much:
//!
//! 1. The state of each thread. That alone is not enough: a thread that has said that it will sleep, and looks
//!    once more whether it has to, is shown as asleep while it runs.
//! 2. Where the kernel has it blocked (`wchan`), which is nowhere as long as it is to run.
//! 3. How long and how often it ran (`schedstat`). Threads are looked at one after the other, and who is seen asleep
//!    may be woken by one that is seen asleep later. If no count differs from one look to the next, nobody ran in
//!    between, and all slept at one time.
//! 4. Processes that have ended. Whoever waits for the end of one is woken a little after it is shown as ended.
//! 5. Octets that a connection has not sent although it may: they go when an acknowledgement comes, which the
//!    other side's kernel delays for 40 ms, in which everybody sleeps.
//!
//! So two looks have to agree, but not each has to take in everything. A thread that is blocked, and whose count is
//! what it was when it was seen asleep, has slept ever since: that is one look, for those that did nothing. Those
//! that may have run, because they called or had run the time before, are looked at first, and again with all
//! others. If nobody ran since, all slept when that first look was over.
//!
//! If the processor worked for a process no longer than for those of its threads that may have run, none of the others
//! has: their counts need not be read one by one, but that is asked when all have been looked at. Whether it is blocked
//! is asked of each all the same, since one that was woken and has had no processor yet has run for no time.
//!
//! Threads of the lab count as well; the one that looks does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use super::{
    connections::Connections,
    process_times::ProcessTimes,
    threads::{Blocked, LastSeen, Thread, Threads, ticks},
};

/// What is looked at to find out.
pub(super) struct Quiet {
    pub(super) threads: Threads,
    /// How long processes ran by when all slept.
    times: ProcessTimes,
    /// Those that may have run since all slept.
    suspects: BTreeSet<i32>,
    /// The one that ran at the look before: it most likely still does.
    runner: Option<i32>,
    /// For how many nanoseconds the processor worked for each thread.
    worked: BTreeMap<i32, u64>,
    connections: Connections,
    /// Whether octets waited when that was asked last.
    octets_waited: bool,
    /// For how long the lab had run when there was no connection, as long as nobody begins one.
    unconnected: Option<u64>,
}

/// What a look at all threads finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    AllSlept,
    /// Somebody ran, and may sleep again by now.
    Ran,
    Runs,
}

/// What a look at one finds.
enum Found {
    Asleep,
    /// It ran since it was looked at first.
    Ran,
    Runs,
    Gone,
}

impl Quiet {
    /// For the threads of this namespace of processes but the one that this is called on.
    ///
    /// # Errors
    /// That the kernel does not let this process see what is looked at.
    pub(super) fn new() -> io::Result<Self> {
        shows_what_is_blocked()?;
        Ok(Self {
            threads: Threads::new()?,
            times: ProcessTimes::default(),
            suspects: BTreeSet::new(),
            runner: None,
            worked: BTreeMap::new(),
            connections: Connections::new()?,
            octets_waited: false,
            unconnected: None,
        })
    }

    /// A thread has made a call, so that it ran.
    pub(super) fn suspect(&mut self, thread: i32) {
        self.threads.forget_caller();
        self.suspects.insert(thread);
    }

    /// Looks whether there was a moment at which every thread slept, now or a little before.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn look(&mut self) -> io::Result<Look> {
        if let Some(id) = self.runner {
            if self.threads.known(id).is_some_and(|one| one.runs(id)) {
                return Ok(Look::Runs);
            }
            self.runner = None;
        }
        let mut gone = Vec::new();
        for id in &self.suspects {
            match self.threads.take_in(*id).map(|one| first_look(one, *id)) {
                Some(Found::Asleep) => {}
                Some(Found::Gone) | None => gone.push(*id),
                Some(_) => {
                    self.runner = Some(*id);
                    return Ok(Look::Runs);
                }
            }
        }
        for id in gone.drain(..) {
            self.suspects.remove(&id);
            self.threads.forget(id);
        }
        // This is the moment: who sleeps from here on to its second look slept now, and was starting nobody.
        self.threads.take_in_born()?;
        let expected = self.times.expected(&mut self.threads, &self.suspects);
        // The second look takes in all, those of the first look as well.
        let mut look = Look::AllSlept;
        for (id, thread) in self.threads.all() {
            let is_counted = expected.contains_key(&thread.process(id));
            let found = if is_counted && !self.suspects.contains(&id) {
                is_still_asleep(thread, id)
            } else {
                second_look(thread, id)
            };
            match found {
                Found::Asleep => {}
                Found::Ran => {
                    self.suspects.insert(id);
                    look = Look::Ran;
                }
                Found::Gone => {
                    gone.push(id);
                    look = Look::Ran;
                }
                Found::Runs => return Ok(Look::Runs),
            }
        }
        gone.into_iter().for_each(|id| self.threads.forget(id));
        if look == Look::AllSlept {
            let ran = self.times.look(&mut self.threads, &expected);
            if !ran.is_empty() {
                self.suspects.extend(ran);
                return Ok(Look::Ran);
            }
            self.suspects.clear();
            self.threads.settle();
            self.times.settle(&mut self.threads);
        }
        Ok(look)
    }

    /// How long the processor worked for the threads that there are, and for those that were there when this was asked
    /// before.
    pub(super) fn computed(&mut self) -> Duration {
        // Who cannot be found is not counted.
        self.threads.take_in_born().ok();
        for (id, thread) in self.threads.all() {
            if let Some(ran) = thread.counts(id).ok().and_then(|counts| counts.ran()) {
                self.worked.insert(id, ran);
            }
        }
        Duration::from_nanos(self.worked.values().sum())
    }

    /// For how many ticks all threads ran by themselves, and for how many the kernel did what they asked for.
    pub(super) fn ticks(&mut self) -> (u64, u64) {
        let ticks = self.threads.all().filter_map(|(id, _)| ticks(id));
        ticks.fold((0, 0), |(own, kernel), (more, asked)| {
            (own + more, kernel + asked)
        })
    }

    /// A connection is begun, or may come of one that was.
    pub(super) fn connects(&mut self) {
        self.unconnected = None;
    }

    /// Whether a connection has octets that it has not sent although it may, or had when this was asked last: if they
    /// went between a look and this, whoever they came to was woken after everybody was seen asleep.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn octets_wait(&mut self) -> io::Result<bool> {
        // Where there was no connection there is none, unless somebody called for one or the lab, which does not call
        // here, has run.
        let ran = self.times.lab_ran(&mut self.threads);
        if self.unconnected == Some(ran) {
            return Ok(false);
        }
        let wait = self.connections.octets_wait()?;
        self.unconnected = self.connections.are_none().then_some(ran);
        // Asked in the round before: two answers in a row must be no.
        let waited = std::mem::replace(&mut self.octets_waited, wait);
        Ok(wait || waited)
    }
}

/// Looks at a thread that may have run. What was done for it is read first: if it is the same later on, the thread has
/// slept since it was seen asleep here.
fn first_look(thread: &mut Thread, id: i32) -> Found {
    if matches!(thread.seen, LastSeen::Ended(_)) {
        return Found::Asleep;
    }
    thread.seen = LastSeen::Running;
    let Ok(counts) = thread.counts(id) else {
        return Found::Gone;
    };
    // Who waits for an answer from here sleeps, and its state need not be asked for; that is most of them.
    if thread
        .blocked(id)
        .is_ok_and(|place| place == Blocked::Calling)
    {
        thread.seen = LastSeen::Asleep(counts);
        return Found::Asleep;
    }
    let Some((state, _)) = thread.state(id) else {
        return Found::Gone;
    };
    if state == ENDED {
        thread.seen = LastSeen::Ended(None);
        return Found::Asleep;
    }
    match thread.is_blocked(id) {
        Ok(true) if is_asleep(state) => {
            thread.seen = LastSeen::Asleep(counts);
            Found::Asleep
        }
        Ok(_) => Found::Runs,
        Err(_) => Found::Gone,
    }
}

/// Whether a thread has slept since it was seen asleep. Who was woken and has had no processor yet is not blocked.
fn second_look(thread: &mut Thread, id: i32) -> Found {
    let ended = matches!(thread.seen, LastSeen::Ended(_)).then(|| thread.state(id));
    match &mut thread.seen {
        LastSeen::Running => Found::Ran,
        LastSeen::Ended(since) => match ended.flatten() {
            None => Found::Gone,
            // It is its process that has ended, once it is the last one of it.
            Some((ENDED, ..=1)) => {
                let since = since.get_or_insert_with(Instant::now);
                if since.elapsed() > TAKES_NOTE {
                    Found::Asleep
                } else {
                    Found::Runs
                }
            }
            Some((ENDED, _)) => Found::Asleep,
            Some(_) => Found::Ran,
        },
        LastSeen::Asleep(before) => {
            let before = *before;
            match (thread.counts(id), thread.is_blocked(id)) {
                (Ok(counts), Ok(true)) if counts == before => Found::Asleep,
                (Ok(_), Ok(_)) => Found::Ran,
                _ => Found::Gone,
            }
        }
    }
}

/// Whether a thread that has not run since it was seen asleep was not woken either.
fn is_still_asleep(thread: &Thread, id: i32) -> Found {
    match thread.is_blocked(id) {
        Ok(true) => Found::Asleep,
        Ok(false) => Found::Ran,
        Err(_) => Found::Gone,
    }
}

/// Tries whether this system says of a thread that it is blocked, and counts what it does for one.
fn shows_what_is_blocked() -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let sleeper = thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).ok();
        ended.recv().ok();
    });
    let id = told.recv().map_err(io::Error::other)?;
    let looked_at = Thread::default();
    let is_blocked = || looked_at.is_blocked(id).unwrap_or(false);
    let begun = Instant::now();
    let mut is_shown = is_blocked();
    while !is_shown && begun.elapsed() < IS_SHOWN {
        thread::yield_now();
        is_shown = is_blocked();
    }
    is_shown &= looked_at
        .counts(id)
        .is_ok_and(|counts| counts.are_counted());
    drop(end);
    sleeper.join().ok();
    let why = "virtual time needs a kernel that says where a thread waits and what it did (wchan and schedstat in /proc)";
    if is_shown {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

/// How long a thread may take to fall asleep.
const IS_SHOWN: Duration = Duration::from_secs(5);

/// The state of what has ended, and somebody is to take note of it.
const ENDED: u8 = b'Z';
/// How long the kernel may take to tell who waits for the end of a process that it shows as ended: where that had
/// several threads, the last of them does it when it is seen no more. The machine may be busy.
const TAKES_NOTE: Duration = Duration::from_millis(20);

/// Whether a thread does nothing, as far as its state says: it sleeps or is stopped.
fn is_asleep(state: u8) -> bool {
    matches!(state, b'S' | b'T' | b't' | b'I')
}
