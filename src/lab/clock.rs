//! The lab's time, on which everything that a lab waits for is waited for.
//!
//! There are three sources. On the memory network it is the clock of the runtime, which is paused and leaps by
//! itself. With sockets it is the system's. In a private network it may be a [`SharedTime`]: the processes
//! there live by the same, it stands still while anything runs, and who supervises them moves it.
//!
//! A lab never asks for the time or sleeps in any other way. A sleep on shared time waits to be woken by whoever moves
//! it; one on the system's or the runtime's is tokio's own, which on a paused clock ends as soon as every task waits.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::NetworkKind;
use crate::{lock::lock, time::Moment};

/// When a lab was started, on the clock that it goes by.
#[derive(Debug, Clone)]
enum TimeSource {
    /// The clock of the caller's runtime: where that is paused, time stands still while anything computes.
    Runtime(Instant),
    /// The system's, whatever the clock of the runtime that asks.
    System(std::time::Instant),
    Shared(SharedTime),
}

/// The lab's time, counted from its start, so that a log says the same whenever it was made.
#[derive(Debug, Clone)]
pub(crate) struct LabClock {
    source: TimeSource,
}

impl LabClock {
    pub(super) fn started(kind: NetworkKind, shared: Option<SharedTime>) -> Self {
        let source = match shared {
            Some(shared) => TimeSource::Shared(shared),
            None if kind.has_sockets() => TimeSource::System(std::time::Instant::now()),
            None => TimeSource::Runtime(Instant::now()),
        };
        Self { source }
    }

    pub(crate) fn now(&self) -> Moment {
        Moment(match &self.source {
            TimeSource::Runtime(start) => start.elapsed(),
            TimeSource::System(start) => start.elapsed(),
            TimeSource::Shared(time) => time.now(),
        })
    }

    /// Whether somebody else moves it: nothing is ever late on it.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.source, TimeSource::Shared(_))
    }

    /// Returns at a moment, or at once if it has passed.
    pub(crate) async fn sleep_until(&self, moment: Moment) {
        if let TimeSource::Shared(time) = &self.source {
            return time.until(moment.0).await;
        }
        // The runtime's clock may be a little ahead of the system's.
        while self.now() < moment {
            tokio::time::sleep(moment.since(self.now())).await;
        }
    }

    /// Returns after so much of the lab's time.
    pub(crate) async fn sleep(&self, wait: Duration) {
        match &self.source {
            TimeSource::Shared(time) => time.until(time.now().saturating_add(wait)).await,
            TimeSource::Runtime(_) | TimeSource::System(_) => tokio::time::sleep(wait).await,
        }
    }

    /// What comes of some work within so much of the lab's time; `None` if it takes longer.
    pub(crate) async fn within<T>(
        &self,
        limit: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            done = work => Some(done),
            () = self.sleep(limit) => None,
        }
    }
}

/// Time that stands still until somebody moves it: that of a lab and of the processes in its private network.
///
/// It counts from zero. Clones are the same time.
#[derive(Debug, Clone, Default)]
pub struct SharedTime(Arc<Mutex<Still>>);

#[derive(Debug, Default)]
struct Still {
    now: Duration,
    /// Who waits, by the moment; numbers keep those of one moment apart.
    waiting: BTreeMap<(Duration, u64), Waker>,
    next: u64,
}

impl SharedTime {
    /// How far it has come.
    pub fn now(&self) -> Duration {
        lock(&self.0).now
    }

    /// The earliest moment that the lab waits for, if it waits for any: time is not to be moved past it.
    pub fn next(&self) -> Option<Duration> {
        let still = lock(&self.0);
        still.waiting.keys().next().map(|(moment, _)| *moment)
    }

    /// Moves it, never back, and wakes who is due.
    pub fn move_to(&self, moment: Duration) {
        let mut still = lock(&self.0);
        let now = still.now.max(moment);
        still.now = now;
        // Everybody up to and with this moment: no number comes after the largest.
        let later = still.waiting.split_off(&(now, u64::MAX));
        let due = std::mem::replace(&mut still.waiting, later);
        drop(still);
        due.into_values().for_each(Waker::wake);
    }

    fn until(&self, moment: Duration) -> Until<'_> {
        Until {
            time: self,
            moment,
            number: None,
        }
    }
}

/// Somebody who waits for a moment.
struct Until<'a> {
    time: &'a SharedTime,
    moment: Duration,
    number: Option<u64>,
}

impl Future for Until<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut still = lock(&self.time.0);
        if still.now >= self.moment {
            return Poll::Ready(());
        }
        // Who waits for ever waits for no moment.
        if self.moment == Duration::MAX {
            return Poll::Pending;
        }
        // The same number each time that it is asked: a new waker takes the place of the old one.
        let number = self.number.unwrap_or(still.next);
        still.next = still.next.max(number + 1);
        let waker = context.waker().clone();
        still.waiting.insert((self.moment, number), waker);
        drop(still);
        self.number = Some(number);
        Poll::Pending
    }
}

impl Drop for Until<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            lock(&self.time.0).waiting.remove(&(self.moment, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Time that others move wakes who is due, and nobody else; one that went away is not waited for.
    #[tokio::test]
    async fn shared_time_wakes_who_is_due() {
        let time = SharedTime::default();
        let clock = LabClock::started(NetworkKind::Namespace, Some(time.clone()));
        let seconds = Duration::from_secs;
        let wait = |wait: u64| {
            let clock = clock.clone();
            tokio::spawn(async move { clock.sleep(seconds(wait)).await })
        };
        let (first, second) = (wait(10), wait(20));
        let gone = wait(5);
        tokio::task::yield_now().await;
        assert_eq!(time.next(), Some(seconds(5)));
        gone.abort();
        drop(gone.await);
        assert_eq!(time.next(), Some(seconds(10)));
        time.move_to(seconds(10));
        first.await.expect("it woke");
        assert!(!second.is_finished());
        assert_eq!((time.now(), time.next()), (seconds(10), Some(seconds(20))));
        // It never goes back.
        time.move_to(seconds(3));
        assert_eq!(clock.now(), Moment(seconds(10)));
        assert_eq!(clock.within(seconds(1), async { 7 }).await, Some(7));
        time.move_to(seconds(20));
        second.await.expect("it woke");
        assert_eq!(time.next(), None);
    }
}
