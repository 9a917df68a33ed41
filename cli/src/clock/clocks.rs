//! What the clocks of the processes show, and what else tells the time since the system was started.

use std::{
    fs, io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{
    libc,
    time::{ClockId, clock_gettime},
};

use mxdrill_notify::{Answer, clock::ClockReading};

use super::{
    calls::{Handled, ReceivedCall},
    memory::{Memory, Nanos, SECOND},
    supervisor::{Supervisor, nanos},
};

/// What the clocks of the processes showed when time began.
pub(super) struct Clocks {
    pub(super) monotonic: Nanos,
    boot: Nanos,
    wall: Nanos,
}

impl Clocks {
    /// As the system has them; the wall clock begins within a second at the same place in every run.
    pub(super) fn now() -> io::Result<Self> {
        let read = |clock| {
            let time = clock_gettime(clock)?;
            io::Result::Ok(time.tv_sec() * SECOND + time.tv_nsec())
        };
        let wall = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = wall.map_err(io::Error::other)?.as_secs();
        Ok(Self {
            monotonic: read(ClockId::CLOCK_MONOTONIC)?,
            boot: read(ClockId::CLOCK_BOOTTIME)?,
            wall: i64::try_from(seconds).map_err(io::Error::other)? * SECOND + SECOND / 2,
        })
    }

    /// What the wall clock shows after so much time.
    pub(super) fn wall(&self, elapsed: Duration) -> Nanos {
        self.wall.saturating_add(nanos(elapsed))
    }

    /// What processes read after so much time, and at that count of the processor, if it can be trusted.
    pub(super) fn reading(&self, elapsed: Duration, count: Option<u64>) -> ClockReading {
        let after = |start: Nanos| {
            let now = start.saturating_add(nanos(elapsed));
            (now / SECOND, now % SECOND)
        };
        ClockReading {
            holds: count.is_some(),
            count: count.unwrap_or(0),
            wall: after(self.wall),
            monotonic: after(self.monotonic),
            boot: after(self.boot),
        }
    }

    /// What a clock showed at the beginning.
    pub(super) fn start(&self, clock: u64) -> Nanos {
        match i32::try_from(clock) {
            Ok(
                libc::CLOCK_REALTIME
                | libc::CLOCK_REALTIME_COARSE
                | libc::CLOCK_REALTIME_ALARM
                | libc::CLOCK_TAI,
            ) => self.wall,
            Ok(libc::CLOCK_BOOTTIME | libc::CLOCK_BOOTTIME_ALARM) => self.boot,
            _ => self.monotonic,
        }
    }
}

impl Supervisor {
    /// `times`: what was computed is the kernel's to say, and since when is ours.
    pub(super) fn times(&mut self, call: &ReceivedCall) -> Option<Handled> {
        /// A hundredth of a second, in which both are counted (`USER_HZ`).
        const COUNT: Nanos = SECOND / 100;
        let to = call.arguments[0];
        if to != 0 {
            let process = self.quiet.threads.process_of(call.thread);
            let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            // Behind the name, in parentheses, the twelfth is the first: of the process and of its children, in user
            // space and for it.
            let fields = text.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
            let counts = fields.map(|field| field.parse().ok());
            let octets: Option<Vec<i64>> = counts.collect();
            let octets: Vec<u8> = octets?.into_iter().flat_map(i64::to_ne_bytes).collect();
            Memory(call.thread).write(to, &octets)?;
        }
        Some(Handled::Answer(Answer::Value(self.up() / COUNT)))
    }

    /// `sysinfo`, with the time since the system was started.
    pub(super) fn information(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let mut all = mxdrill_notify::system_information().ok()?;
        all[0] = (self.up() / SECOND).unsigned_abs();
        let octets: Vec<u8> = all.iter().flat_map(|word| word.to_ne_bytes()).collect();
        Memory(call.thread).write(call.arguments[0], &octets)?;
        Some(Handled::Answer(Answer::Value(0)))
    }

    /// For how long the system has been up, on our clock.
    fn up(&self) -> Nanos {
        self.clocks.boot + nanos(self.elapsed())
    }
}
