//! How time moves: it creeps, leaps to the next moment that anybody waits for, or runs along with what computes.
//!
//! The lab's time, the times of files and what processes read without a call are moved together, in this order: the
//! clock, the table of leaps, the cells. Nothing runs while it leaps, so nobody sees one without the others.

use std::{
    io,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use super::{
    IDLE_ROUND, ROUND, Supervisor,
    measures::{Stamp, speed},
};
use crate::clock::memory::Nanos;

/// How long something may compute before time runs with it: so long by the processor's count, that is, and not
/// because others have the machine.
const BUSY: Duration = Duration::from_secs(2);
/// How often the processor's count is asked for.
const COUNTED: Duration = Duration::from_millis(50);
/// How long nothing may be quiet before time runs, whatever was computed.
const STUCK: Duration = Duration::from_secs(60);

impl Supervisor {
    /// Makes it as late as whoever looked at a clock last may have seen.
    pub(in crate::clock) fn creep(&mut self) {
        let (since, at) = &self.stands;
        self.move_to(*at + since.crept());
    }

    /// Makes it so late on the clock of the processes. The lab's time goes along, once it has begun.
    fn move_to(&mut self, elapsed: Duration) {
        if self.orders.begun.load(Ordering::Relaxed) {
            self.time.move_to(elapsed.saturating_sub(self.before));
        } else {
            self.before = self.before.max(elapsed);
        }
    }

    /// Moves time to the next moment that anybody waits for, if there is one; how long to wait for calls then.
    pub(super) fn leap(&mut self) -> io::Result<Duration> {
        // The earliest of all that anybody waits for: calls, alarms, connections that would time out, the lab.
        let (alarm, attempt) = (self.next_alarm(), self.next_attempt());
        let held = self.held.iter().map(|wait| wait.due);
        let theirs = held
            .chain(alarm)
            .chain(attempt)
            .map(|due| self.since_start(due));
        // Before its time begins the lab waits for nothing.
        let is_begun = self.orders.begun.load(Ordering::Relaxed);
        let labs = self.time.next().filter(|_| is_begun);
        // Its moments count from its own beginning.
        let labs = labs.map(|moment| moment.saturating_add(self.before));
        let theirs = theirs.min();
        let next = theirs.into_iter().chain(labs).min();
        self.creep();
        let Some(next) = next else {
            return Ok(IDLE_ROUND);
        };
        // It has crept there.
        if next <= self.elapsed() {
            return Ok(Duration::ZERO);
        }
        // Files are stamped with the kernel's last tick: before a long leap the next one is waited for, so that a
        // stamp of before is told from one of after it.
        let to = self.clocks.wall(next);
        if let Some(wait) = self.leaps.wait(self.clocks.wall(self.elapsed()), to)? {
            return Ok(wait);
        }
        self.leap_to(next)?;
        // Cells are written last, when everything else says the new time already.
        self.show(self.stands.0.count())?;
        self.passed.leaps += 1;
        // What is due has its answer here; the lab is awake only a little later.
        Ok(if theirs == Some(next) {
            Duration::ZERO
        } else {
            ROUND
        })
    }

    /// Makes it so late, which the times of files are reckoned by.
    fn leap_to(&mut self, elapsed: Duration) -> io::Result<()> {
        self.move_to(elapsed);
        self.leaps.leapt(self.clocks.wall(self.elapsed()))?;
        self.stands = (Stamp::now(), self.elapsed());
        Ok(())
    }

    /// Lets processes read what time it is since that count of the processor; without one they have to ask.
    fn show(&mut self, count: Option<u64>) -> io::Result<()> {
        let reading = self.clocks.reading(self.elapsed(), count);
        let processes = self.quiet.threads.processes();
        self.cells.show(reading, &processes)
    }

    /// Lets processes ask for the time, those too that are forked meanwhile.
    fn ask_the_kernel(&mut self) -> io::Result<()> {
        self.quiet.threads.take_in_born()?;
        let processes = self.quiet.threads.processes();
        if self.cells.hold_for(&processes) {
            self.show(None)?;
        }
        Ok(())
    }

    /// A moment of the monotonic clock, from the beginning.
    fn since_start(&self, moment: Nanos) -> Duration {
        let nanos = u64::try_from(moment - self.clocks.monotonic).unwrap_or(0);
        Duration::from_nanos(nanos)
    }

    /// Lets time run where something has computed for long since all was quiet.
    pub(super) fn run_along(&mut self, last_quiet: Instant) -> io::Result<()> {
        // By the system's clock: it is real computing that is waited for.
        let since = last_quiet.elapsed();
        if since < BUSY {
            self.busy = None;
            return Ok(());
        }
        // Who looks at a clock is counted from here on.
        self.ask_the_kernel()?;
        if self.running.is_none() {
            let calls = self.passed.calls;
            let (looked, begun, before) = self.busy.get_or_insert_with(|| {
                let computed = self.quiet.computed();
                (Instant::now(), computed, (self.quiet.ticks(), calls))
            });
            // Three measures are needed at once: when it was looked last, the processor's count when it began, and what
            // was done by then, own and kernel's.
            let before = *before;
            if looked.elapsed() < COUNTED && since < STUCK {
                return Ok(());
            }
            *looked = Instant::now();
            let computed = self.quiet.computed().saturating_sub(*begun);
            if computed < BUSY && since < STUCK {
                return Ok(());
            }
            let speed = speed(before, (self.quiet.ticks(), calls));
            self.running = Some((Instant::now(), self.before + self.time.now(), speed));
        }
        let Some((from, at, speed)) = self.running else {
            return Ok(());
        };
        // Whoever only asks again and again has nothing to be late with.
        self.passed.ran_along |= speed == 1;
        // Reckoned from where it began to run, so that rounding does not add up.
        let to = at + from.elapsed() * speed;
        let note = match speed {
            1 => {
                "something computed for more than two seconds: time ran with it, and moments are not exact"
            }
            _ => {
                "something asked the kernel again and again for more than two seconds: time ran fast, and moments are not exact"
            }
        };
        self.said.insert(note.to_owned());
        self.leap_to(to)
    }
}
