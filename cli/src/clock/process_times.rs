//! How long the processor worked for each process, by which many threads are known at once not to have run.
//!
//! The kernel adds up for a process (`clock_getcpuclockid`) what it counts for each of its threads, to the nanosecond,
//! and for those that have ended. So if a process has had no more of the processor than some of its threads, none of the
//! others has run. One question takes the place of one for each thread; Node has eleven, one of which does the work.
//!
//! The kernel adds what a thread has had when it leaves the processor. Hence this is asked after the threads were seen
//! to be blocked: who ran before that has left it.

use std::collections::{BTreeMap, BTreeSet};

use nix::{
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

use super::{
    memory::nanos_of,
    threads::{LastSeen, Thread, Threads},
};

/// For how many nanoseconds each process had run when everybody slept last.
#[derive(Default)]
pub(super) struct ProcessTimes {
    settled: BTreeMap<i32, ProcessTime>,
    /// What was found at the look that may turn out to be the one at which everybody slept.
    looked: BTreeMap<i32, ProcessTime>,
}

/// A process's clock, and what it showed.
#[derive(Clone, Copy)]
struct ProcessTime {
    clock: ClockId,
    ran: u64,
}

impl ProcessTimes {
    /// For how many nanoseconds processes have run if only those of their threads did that may have, which are the
    /// suspects. These have been looked at already. Processes of which that cannot be said are left out.
    pub(super) fn expected(
        &self,
        threads: &mut Threads,
        suspects: &BTreeSet<i32>,
    ) -> BTreeMap<i32, u64> {
        // The thread that looks is the lab's, and runs.
        let own = threads.lab();
        let mut expected: BTreeMap<i32, Option<u64>> = BTreeMap::new();
        for (id, thread) in threads.all() {
            let process = thread.process(id);
            let settled = || {
                let known = self.settled.get(&process).filter(|_| process != own);
                known.map(|known| known.ran)
            };
            let all = expected.entry(process).or_insert_with(settled);
            let ran = ran(thread, suspects.contains(&id));
            *all = all.zip(ran).map(|(others, ran)| others + ran);
        }
        let said = expected.into_iter();
        said.filter_map(|(process, ran)| Some((process, ran?)))
            .collect()
    }

    /// Asks how long each process has run. The threads of those that ran for longer than was expected: one that may not
    /// have run did, or one has ended. Until everybody sleeps they are looked at one by one.
    pub(super) fn look(
        &mut self,
        threads: &mut Threads,
        expected: &BTreeMap<i32, u64>,
    ) -> Vec<i32> {
        self.looked.clear();
        let mut ran = Vec::new();
        for (id, thread) in threads.all() {
            let process = thread.process(id);
            let time = match self.looked.get(&process) {
                Some(time) => Some(*time),
                None => ProcessTime::now(process, self.settled.get(&process)),
            };
            // One that has ended is looked at thread by thread.
            self.looked.extend(time.map(|time| (process, time)));
            let now = time.map(|time| time.ran);
            let as_expected = expected.get(&process).is_none_or(|ran| now == Some(*ran));
            if !as_expected {
                self.settled.remove(&process);
                ran.push(id);
            }
        }
        ran
    }

    /// For how long the lab's threads had run when everybody slept last.
    pub(super) fn lab_ran(&self, threads: &mut Threads) -> u64 {
        let own = threads.lab();
        let its = threads.all().filter_map(|(id, thread)| {
            let is_its = thread.process(id) == own;
            thread.had_run.filter(|_| is_its)
        });
        its.sum()
    }

    /// Everybody slept at the last look: what comes is measured from there.
    pub(super) fn settle(&mut self, threads: &mut Threads) {
        for (_, thread) in threads.all() {
            thread.had_run = match &thread.seen {
                LastSeen::Asleep(counts) => counts.ran(),
                _ => None,
            };
        }
        std::mem::swap(&mut self.settled, &mut self.looked);
    }
}

/// For how long a thread has run since everybody slept: not at all if it cannot have. `None` for one that was not there
/// then, or has ended.
fn ran(thread: &Thread, may_have_run: bool) -> Option<u64> {
    let LastSeen::Asleep(counts) = &thread.seen else {
        return None;
    };
    let before = thread.had_run?;
    if may_have_run {
        counts.ran()?.checked_sub(before)
    } else {
        Some(0)
    }
}

impl ProcessTime {
    /// Of this process, whose clock may be known; `None` if it is gone.
    fn now(process: i32, known: Option<&Self>) -> Option<Self> {
        let clock = match known {
            Some(known) => known.clock,
            None => clock_getcpuclockid(Pid::from_raw(process)).ok()?,
        };
        let ran = clock_gettime(clock).ok().map(nanos_of)?;
        let ran = u64::try_from(ran).ok()?;
        Some(Self { clock, ran })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        process::{Child, Command, Stdio},
        time::{Duration, Instant},
    };

    use super::*;

    /// A process that does something whenever it is written to, and nothing else. It has begun: one whose pages are still
    /// read from the disk is blocked too, and goes on by itself.
    fn reader(threads: &mut Threads) -> Child {
        let mut cat = Command::new("cat");
        let cat = cat.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cat = cat.spawn().expect("cat of every system");
        stir(&mut cat, threads);
        cat
    }

    /// Has it do something, and sleep again.
    fn stir(cat: &mut Child, threads: &mut Threads) {
        let mut octet = [0];
        let input = cat.stdin.as_mut().expect("piped");
        input.write_all(b".").expect("written");
        let output = cat.stdout.as_mut().expect("piped");
        output.read_exact(&mut octet).expect("answered");
        wait_until_blocked(threads, cat.id().cast_signed());
    }

    fn wait_until_blocked(threads: &mut Threads, id: i32) -> &mut Thread {
        let begun = Instant::now();
        let thread = threads.take_in(id).expect("there");
        let sleeps = |thread: &Thread| thread.state(id).expect("there").0 == b'S';
        while !(sleeps(thread) && thread.is_blocked(id).expect("there")) {
            assert!(begun.elapsed() < Duration::from_secs(10));
            std::thread::yield_now();
        }
        thread
    }

    /// Looks until a thread is seen to have slept, and gives it its record.
    fn settled(threads: &mut Threads, times: &mut ProcessTimes, id: i32) {
        let thread = wait_until_blocked(threads, id);
        thread.seen = LastSeen::Asleep(thread.counts(id).expect("there"));
        times.look(threads, &BTreeMap::new());
        times.settle(threads);
    }

    #[test]
    fn one_that_ran_although_none_of_its_threads_was_to_is_seen() {
        let mut threads = Threads::new().expect("told");
        let mut cat = reader(&mut threads);
        let id = cat.id().cast_signed();
        let mut times = ProcessTimes::default();
        settled(&mut threads, &mut times, id);
        let expected = times.expected(&mut threads, &BTreeSet::new());
        assert!(expected.contains_key(&id));
        assert!(times.look(&mut threads, &expected).is_empty());
        // It answers, and nobody told that it would.
        stir(&mut cat, &mut threads);
        assert_eq!(times.look(&mut threads, &expected), [id]);
        // From then on each of its threads is looked at, until all have slept.
        let expected = times.expected(&mut threads, &BTreeSet::new());
        assert!(!expected.contains_key(&id));
        settled(&mut threads, &mut times, id);
        // Of a suspect it is expected.
        stir(&mut cat, &mut threads);
        let thread = wait_until_blocked(&mut threads, id);
        thread.seen = LastSeen::Asleep(thread.counts(id).expect("there"));
        let expected = times.expected(&mut threads, &BTreeSet::from([id]));
        assert!(expected.contains_key(&id));
        assert!(times.look(&mut threads, &expected).is_empty());
        drop(cat.stdin.take());
        cat.wait().expect("ended");
    }
}
