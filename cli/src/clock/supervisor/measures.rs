//! What time is measured by while it stands still or runs: the processor's count, and what threads have done.

use std::time::{Duration, Instant};

use mxdrill_notify::clock;

/// How much faster than the system's time runs where what computes does nothing but ask the kernel the same again and
/// again: it waits for a moment, and has nothing else to do. dma reads on from a connection that has ended until its
/// alarm rings.
const ASKING: u32 = 500;
/// How much slower time goes than the system's while it stands still, so that two looks are never the same.
const CREEPS: u32 = 1000;

/// What was done: by threads themselves and by the kernel for them, in its ticks, and how many calls came here.
pub(super) type Work = ((u64, u64), u64);

/// A moment of the system's: how far a clock that stands still has gone on since. It is the processor's count where
/// that can be trusted, which all processes read.
pub(super) enum Stamp {
    Count(u64),
    System(Instant),
}

impl Stamp {
    pub(super) fn now() -> Self {
        match clock::count() {
            // Processes read the same count in the functions that replace the vDSO: both then creep alike.
            Some(count) => Self::Count(count),
            None => Self::System(Instant::now()),
        }
    }

    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Count(count) => Some(*count),
            Self::System(_) => None,
        }
    }

    pub(super) fn crept(&self) -> Duration {
        match (self, Self::now()) {
            (Self::Count(then), Self::Count(now)) => clock::between(*then, now),
            // Without a trusted count processes ask for the time, and see what this says.
            (Self::System(then), _) => then.elapsed() / CREEPS,
            (Self::Count(_), Self::System(_)) => Duration::ZERO,
        }
    }
}

/// How much faster than the system's time may run, by what was done up to one moment and another: if most of it was the
/// kernel's, and nobody looked at a clock or waited meanwhile, it was asked the same again and again.
pub(super) fn speed(((own, kernel), calls): Work, ((own_now, kernel_now), calls_now): Work) -> u32 {
    let own = own_now.saturating_sub(own);
    let kernel = kernel_now.saturating_sub(kernel);
    // Twice as much for the kernel as for itself, and not one call that this clock answers: it polls.
    let is_asking = calls == calls_now && kernel > own * 2;
    if is_asking { ASKING } else { 1 }
}
