//! What the clocks of the processes show.

use std::{
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use nix::{
    libc,
    time::{ClockId, clock_gettime},
};

use mxdrill_notify::clock::ClockReading;

use super::memory::{Nanos, SECOND, nanos, nanos_of};

/// What the clocks of the processes showed when time began.
pub(super) struct Clocks {
    pub(super) monotonic: Nanos,
    boot: Nanos,
    wall: Nanos,
}

impl Clocks {
    /// As the system has them; the wall clock begins within a second at the same place in every run.
    pub(super) fn now() -> io::Result<Self> {
        let read = |clock| clock_gettime(clock).map(nanos_of);
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
