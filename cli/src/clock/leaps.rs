//! Which moment of the clock a moment of the system's was: files are stamped with the system's.
//!
//! Time stands still between leaps, so that all that is written between two of them was written at one moment. So as
//! to keep the order in which it was, a millisecond of the system's counts as a microsecond. What a file shows must
//! not change while the file does not, hence what was said of a stamp is true for good.
//!
//! The kernel's stamps are those of its last tick, some milliseconds old. Before time leaps by much, it is waited for
//! the next tick, so that no stamp is older than the leap and yet of a file that was written after it. Short leaps
//! do without: what is written in the same tick may look ten minutes older than it is, and nothing looks days older.

use std::time::Duration;

use nix::time::{ClockId, clock_getres, clock_gettime};

use super::memory::{Nanos, SECOND, nanos_of};

/// How much time may pass within a tick.
const MOST: Nanos = 600 * SECOND;
/// What is too short to be one.
const LEAST: Nanos = 1_000_000;
/// How often it is waited for a tick in which nobody ran.
const TRIES: u32 = 5;
/// How much longer the system's time is than ours, where ours stands still.
const SCALE: Nanos = 1000;

/// The leaps that there were, and the beginning.
pub(super) struct Leaps {
    /// By when: from a moment of the system's on it was that one of ours.
    known: Vec<(Nanos, Nanos)>,
    /// How long a tick is.
    tick: Nanos,
    /// The last tick in which time leapt, and when that began on our clock.
    last: (Nanos, Nanos),
    /// When all were found asleep, as long as they are, and how often it was waited for a tick that is later. The
    /// kernel stamps some files with its time and not that of the tick, and ticks may be late.
    still: Option<(Nanos, u32)>,
}

impl Leaps {
    /// From a moment of the wall clock on, at which it stands still now.
    pub(super) fn new(wall: Nanos) -> nix::Result<Self> {
        Ok(Self {
            known: vec![(stamp()?, wall)],
            tick: nanos_of(clock_getres(ClockId::CLOCK_REALTIME_COARSE)?),
            last: (0, 0),
            still: None,
        })
    }

    /// Somebody runs, and may write.
    pub(super) fn somebody_runs(&mut self) {
        self.still = self.still.map(|(_, tries)| (Nanos::MAX, tries));
    }

    /// How long to wait before time leaps from one moment to another; nothing where it may at once. Both are of the
    /// wall clock, as files are.
    pub(super) fn wait(&mut self, from: Nanos, to: Nanos) -> nix::Result<Option<Duration>> {
        let now = stamp()?;
        if now != self.last.0 {
            self.last = (now, from);
        }
        if to - self.last.1 < MOST {
            return Ok(None);
        }
        let (when, tries) = match self.still {
            Some((when, tries)) if when < now || tries >= TRIES => return Ok(None),
            Some((when, tries)) if when < Nanos::MAX => (when, tries),
            Some((_, tries)) => (Self::now()?, tries),
            None => (Self::now()?, 0),
        };
        self.still = Some((when, tries + 1));
        Ok(Some(Duration::from_nanos(self.tick.unsigned_abs())))
    }

    /// Time has leapt to this moment of the wall clock.
    pub(super) fn leapt(&mut self, to: Nanos) -> nix::Result<()> {
        let now = stamp()?;
        let still = self.still.take();
        // Where time runs along it does so by little at once.
        if self.known.last().is_some_and(|(_, last)| to - last < LEAST) {
            return Ok(());
        }
        let since = match still {
            Some((when, _)) if when < now => now,
            // No file has a stamp yet that is later than that.
            _ => Self::now()?,
        };
        self.known.push((since, to));
        Ok(())
    }

    /// The moment that a stamp is of. One that is later than the system's time, or from before the clock began, was set
    /// on purpose or is old, and is what it says.
    pub(super) fn moment(&self, stamp: Nanos, now: Nanos) -> Nanos {
        let after = self.known.partition_point(|(since, _)| *since <= stamp);
        match after.checked_sub(1).and_then(|last| self.known.get(last)) {
            Some((since, moment)) if stamp <= now => moment + (stamp - since) / SCALE,
            _ => stamp,
        }
    }

    /// The system's time, later than which no file is stamped by it.
    pub(super) fn now() -> nix::Result<Nanos> {
        clock_gettime(ClockId::CLOCK_REALTIME).map(nanos_of)
    }
}

/// How the kernel stamps a file now.
fn stamp() -> nix::Result<Nanos> {
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map(nanos_of)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(known: &[(Nanos, Nanos)]) -> Leaps {
        Leaps {
            known: known.to_vec(),
            ..Leaps::new(0).expect("told")
        }
    }

    #[test]
    fn a_stamp_is_of_the_moment_to_which_time_had_leapt() {
        let leaps = after(&[(1_000_000, 50_000_000_000), (9_000_000, 90_000_000_000)]);
        let now = 20_000_000;
        for (stamp, moment) in [
            // From before the first one, and from the future: as they are.
            (999_999, 999_999),
            (20_000_001, 20_000_001),
            (1_000_000, 50_000_000_000),
            (8_000_000, 50_000_007_000),
            (9_000_000, 90_000_000_000),
            (20_000_000, 90_000_011_000),
        ] {
            assert_eq!(leaps.moment(stamp, now), moment, "{stamp}");
        }
    }

    #[test]
    fn a_long_leap_waits_for_a_tick_and_a_short_one_does_not() {
        let mut leaps = Leaps::new(0).expect("told");
        assert_eq!(leaps.wait(0, SECOND).expect("told"), None);
        let mut waited = 0;
        while let Some(wait) = leaps.wait(SECOND, 3600 * SECOND).expect("told") {
            std::thread::sleep(wait);
            waited += 1;
        }
        assert!((1..=5).contains(&waited), "{waited}");
        leaps.leapt(3600 * SECOND).expect("told");
        let now = Leaps::now().expect("told");
        let stamp = stamp().expect("told");
        assert!(leaps.moment(stamp, now) >= 3600 * SECOND);
    }
}
