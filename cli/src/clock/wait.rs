//! Calls that wait for a time, held until it has come or what else they wait for has.
//!
//! What a call waits for is looked at through duplicates of its process's descriptors: whether they are ready is
//! the kernel's to say. Then the call is let through, and the kernel returns at once with all that is ready. (A
//! `select` is answered here, since Linux writes down how much time is left, which would be that of its own
//! clock.) If its time has come first, it is answered as the kernel answers a wait that was in vain.
//!
//! Duplicates are held no longer than the call: a connection whose end somebody closes must not be kept open by
//! who only looks at it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use mxdrill_notify::{Answer, Call};
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use super::memory::{Memory, Nanos};

/// A call that is held.
pub(super) struct Wait {
    pub(super) call: Call,
    /// The process of its thread.
    pub(super) process: i32,
    /// When its time has come, on the monotonic clock.
    pub(super) due: Nanos,
    pub(super) kind: Kind,
    /// The signals that are blocked while it waits, where the call says so.
    pub(super) mask: Option<u64>,
}

/// What a call waits for beside its time.
pub(super) enum Kind {
    Sleep,
    /// Descriptors, with the events that are wanted. They are duplicates, held no longer than the call.
    Poll(Vec<(OwnedFd, PollFlags)>),
    Select(Select),
    Epoll(OwnedFd),
    /// A number that another thread changes.
    Futex(u32),
    /// One of these signals.
    Signal(u64),
    /// A connection that is being made, on a duplicate of its socket that does not block.
    Connect(OwnedFd),
}

/// What a `select` waits for.
pub(super) struct Select {
    /// Each descriptor with its number in the process.
    pub(super) wanted: Vec<(u32, OwnedFd, PollFlags)>,
    /// How many octets each of the three sets has.
    pub(super) octets: usize,
}

impl Wait {
    /// The descriptors whose readiness ends it, and for what.
    pub(super) fn descriptors(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        match &self.kind {
            Kind::Poll(wanted) => wanted
                .iter()
                .map(|(one, events)| (one.as_fd(), *events))
                .collect(),
            Kind::Select(select) => {
                let wanted = select.wanted.iter();
                wanted
                    .map(|(_, one, events)| (one.as_fd(), *events))
                    .collect()
            }
            Kind::Epoll(one) => vec![(one.as_fd(), PollFlags::POLLIN)],
            Kind::Connect(one) => vec![(one.as_fd(), PollFlags::POLLOUT)],
            Kind::Sleep | Kind::Futex(_) | Kind::Signal(_) => Vec::new(),
        }
    }

    /// The answer, if it has one now; `is_due` says that its time has come.
    pub(super) fn answer(&self, is_due: bool) -> Option<Answer> {
        let memory = Memory(self.call.thread);
        let arguments = &self.call.arguments;
        let interrupted = self
            .mask
            .is_some_and(|mask| pending(self.call.thread) & !mask != 0);
        match &self.kind {
            // What is ready the kernel sees itself, and returns at once.
            Kind::Poll(_) | Kind::Epoll(_) if self.is_ready() || interrupted => {
                Some(Answer::Continue)
            }
            Kind::Select(_) if interrupted => Some(Answer::Continue),
            Kind::Select(select) if self.is_ready() || is_due => {
                let left = (self.due > 0).then_some(0).filter(|_| is_due);
                Some(select.answer(memory, &self.call, left))
            }
            Kind::Poll(wanted) if is_due => {
                for index in 0..wanted.len() as u64 {
                    memory.write(arguments[0] + 8 * index + 6, &[0, 0]);
                }
                Some(Answer::Value(0))
            }
            Kind::Sleep | Kind::Epoll(_) if is_due => Some(Answer::Value(0)),
            Kind::Futex(_) if is_due => Some(Answer::Error(libc::ETIMEDOUT)),
            Kind::Futex(value) => {
                let changed = memory.number(arguments[0]).is_some_and(|now| now != *value);
                changed.then_some(Answer::Value(0))
            }
            Kind::Signal(_) if is_due => Some(Answer::Error(libc::EAGAIN)),
            Kind::Signal(set) => {
                let came = pending(self.call.thread) & set != 0;
                came.then_some(Answer::Continue)
            }
            Kind::Connect(socket) => connected(socket, self.is_ready(), is_due),
            Kind::Sleep | Kind::Poll(_) | Kind::Select(_) | Kind::Epoll(_) => None,
        }
    }

    /// Whether a descriptor is ready.
    fn is_ready(&self) -> bool {
        let descriptors = self.descriptors();
        let mut asked: Vec<PollFd<'_>> = descriptors
            .iter()
            .map(|(one, events)| PollFd::new(*one, *events))
            .collect();
        poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl Select {
    /// Writes the descriptors that are ready into the sets of a call.
    fn answer(&self, memory: Memory, call: &Call, left: Option<Nanos>) -> Answer {
        let mut sets = [0, 1, 2].map(|_| vec![0_u8; self.octets]);
        let mut count = 0;
        for (number, descriptor, wanted) in &self.wanted {
            let mut asked = [PollFd::new(descriptor.as_fd(), *wanted)];
            if !poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0) {
                continue;
            }
            let seen = asked[0].revents().unwrap_or(PollFlags::empty());
            let ended = PollFlags::POLLHUP | PollFlags::POLLERR;
            let kinds = [
                (PollFlags::POLLIN, PollFlags::POLLIN | ended),
                (PollFlags::POLLOUT, PollFlags::POLLOUT | PollFlags::POLLERR),
                (PollFlags::POLLPRI, PollFlags::POLLPRI),
            ];
            for (set, (events, shown)) in sets.iter_mut().zip(kinds) {
                if wanted.contains(events) && seen.intersects(shown) {
                    set[*number as usize / 8] |= 1 << (number % 8);
                    count += 1;
                }
            }
        }
        for (set, address) in sets.iter().zip(&call.arguments[1..4]) {
            if *address != 0 {
                memory.write(*address, set);
            }
        }
        // Linux says what is left of the time, and programs go on with that.
        if let Some(left) = left
            && call.number == libc::SYS_select
        {
            memory.write_timeval(call.arguments[4], left);
        }
        Answer::Value(count)
    }
}

/// What a connection has come to. When the kernel would have given up, at the end of its repetitions, it says
/// that nobody answered.
fn connected(socket: &OwnedFd, is_ready: bool, is_due: bool) -> Option<Answer> {
    if is_ready {
        let error = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::SocketError);
        return Some(match error {
            Ok(0) => Answer::Value(0),
            Ok(number) => Answer::Error(number),
            Err(error) => Answer::Error(error as i32),
        });
    }
    is_due.then_some(Answer::Error(libc::ETIMEDOUT))
}

/// The signals that wait for a thread, its process's included.
fn pending(thread: i32) -> u64 {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{thread}/status")) else {
        return 0;
    };
    let sets = status.lines().filter_map(|line| {
        let set = line
            .strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"))?;
        u64::from_str_radix(set.trim(), 16).ok()
    });
    sets.fold(0, |all, set| all | set)
}
