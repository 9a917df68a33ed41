//! What the clock owes to processes that do not wait in a call: alarms, and the ends of connections that are made.

use std::{os::fd::OwnedFd, rc::Rc, time::Instant};

use mxdrill_notify::Process;

use super::{memory::Nanos, opened::Opened, threads::Threads, wait::is_silent};

/// Something that rings at a moment.
pub(super) struct Alarm {
    pub(super) rings: Rings,
    /// When, on the monotonic clock.
    pub(super) due: Nanos,
    /// After how long again; 0 for once.
    pub(super) every: Nanos,
}

/// What rings.
pub(super) enum Rings {
    /// A process that asked for it, with SIGALRM. Its id may be another's one day.
    Signal(Rc<Process>),
    Timer(Opened),
}

/// A connection that somebody makes without blocking.
pub(super) struct PendingConnect {
    pub(super) socket: Opened,
    /// When the kernel would give it up.
    pub(super) due: Nanos,
}

/// A connection that the kernel is to give up.
pub(super) struct GivenUp {
    pub(super) socket: OwnedFd,
    pub(super) since: Instant,
    /// How much time it had for what it sends.
    pub(super) before: u32,
}

impl PendingConnect {
    /// A duplicate of the socket, as long as nobody has answered.
    pub(super) fn silent(&mut self, threads: &mut Threads) -> Option<OwnedFd> {
        self.socket.find(threads).filter(is_silent)
    }
}
