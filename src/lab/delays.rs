//! By how much the lab was held up: on a machine with too much to do, what is late is not the sender.
//!
//! A timer asks every 20 ms how late it is woken. The sum says how far time-outs and intervals of
//! the sender under test may be off, and what is late by that much is held against nobody. On a
//! paused clock nothing is ever late, and nothing is measured.

use std::{
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

/// How often the lateness of a timer is looked at.
const INTERVAL: Duration = Duration::from_millis(20);
/// How late a timer may be in good order: tokio counts in milliseconds, and the system's scheduler
/// adds some.
const USUAL: Duration = Duration::from_millis(5);

/// The time lost so far, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Delays {
    total: AtomicU64,
    longest: AtomicU64,
}

impl Delays {
    /// Notes by how much its own task is woken late. It measures the thread that it runs on, so
    /// each thread of the lab has one.
    pub(super) async fn watch(&self) -> Infallible {
        loop {
            let due = Instant::now() + INTERVAL;
            sleep_until(due).await;
            self.note(due.elapsed());
        }
    }

    fn note(&self, late: Duration) {
        if late > USUAL {
            let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
            self.total.fetch_add(late, Ordering::Relaxed);
            self.longest.fetch_max(late, Ordering::Relaxed);
        }
    }

    /// All of it.
    pub(super) fn total(&self) -> Duration {
        Duration::from_micros(self.total.load(Ordering::Relaxed))
    }

    /// The longest of it at one time.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_late_adds_up_and_a_timer_is_never_exact() {
        let delays = Delays::default();
        for _ in 0..1000 {
            delays.note(Duration::from_millis(3));
        }
        assert_eq!(delays.total(), Duration::ZERO);
        delays.note(Duration::from_millis(300));
        delays.note(Duration::from_millis(200));
        assert_eq!(delays.total(), Duration::from_millis(500));
        assert_eq!(delays.longest(), Duration::from_millis(300));
    }
}
