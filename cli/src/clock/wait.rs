//! Calls that wait for a time, held until it has come or what else they wait for has.
//!
//! What a call waits for is looked at through duplicates of its process's descriptors, and it is answered as the
//! kernel answers: with what is ready, with what is left of its time, or as a wait that was in vain. It is not left
//! to the kernel to do so: where several wait for the same, one of them finds that nothing is left, and would wait
//! by the kernel's clock.
//!
//! Duplicates are held no longer than the call: a connection whose end somebody closes must not be kept open by
//! who only looks at it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use mxdrill_notify::Answer;
use nix::{
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        epoll::{Epoll, EpollEvent, EpollTimeout},
        socket::{MsgFlags, send},
    },
};

use super::{
    memory::{Memory, Nanos},
    received::ReceivedCall,
};

/// What of a lock that is handed on (`FUTEX_LOCK_PI`) names the thread that has it.
pub(super) const OWNER: u32 = 0x3fff_ffff;
/// `FUTEX_OWNER_DIED`, of such a lock.
const OWNER_DIED: u32 = 0x4000_0000;

/// What is made of a call at once: it has an answer, or waits until then at the latest.
pub(super) enum Handled {
    Answer(Answer),
    Wait(Kind, Nanos),
}

/// A call that is held.
pub(super) struct Wait {
    pub(super) call: ReceivedCall,
    /// The process of its thread.
    pub(super) process: i32,
    /// When its time has come, on the monotonic clock.
    pub(super) due: Nanos,
    /// How long it was to wait when it was made.
    pub(super) asked: Nanos,
    pub(super) kind: Kind,
    /// The signals that are blocked while it waits, where the call says so.
    pub(super) mask: Option<u64>,
}

/// What a call waits for beside its time.
pub(super) enum Kind {
    Sleep,
    /// Descriptors, each with its place among those of the call and the events that are wanted. They are
    /// duplicates, held no longer than the call.
    Poll(Vec<(u64, OwnedFd, PollFlags)>),
    Select(Select),
    Epoll(Epoll),
    /// To be woken at an address; who wakes without a call has changed the number there, as long as it was not
    /// requeued.
    Futex(u64, Option<u32>),
    /// A lock that another thread has.
    Lock,
    /// One of these signals.
    Signal(u64),
    /// A connection that is being made, with what is sent when it is, where the call is to send as well.
    Connect(OwnedFd, Option<Vec<u8>>),
}

/// What a `select` waits for.
pub(super) struct Select {
    /// Each descriptor with its number in the process.
    pub(super) wanted: Vec<(u32, OwnedFd, PollFlags)>,
    /// How many octets each of the three sets has.
    pub(super) octets: usize,
}

impl Wait {
    /// Adds the descriptors whose readiness ends it to those that are asked, and for what.
    pub(super) fn ask<'a>(&'a self, asked: &mut Vec<PollFd<'a>>) {
        // Sleeps, futexes and signals have no descriptor: they are looked at when something else ended the round.
        let one = |one: &'a OwnedFd, events| PollFd::new(one.as_fd(), events);
        match &self.kind {
            Kind::Poll(wanted) => {
                asked.extend(wanted.iter().map(|(_, fd, events)| one(fd, *events)));
            }
            Kind::Select(select) => {
                let wanted = select.wanted.iter();
                asked.extend(wanted.map(|(_, fd, events)| one(fd, *events)));
            }
            Kind::Epoll(set) => asked.push(one(&set.0, PollFlags::POLLIN)),
            Kind::Connect(socket, _) => asked.push(one(socket, PollFlags::POLLOUT)),
            Kind::Sleep | Kind::Futex(..) | Kind::Lock | Kind::Signal(_) => {}
        }
    }

    /// The answer, if it has one at this moment.
    pub(super) fn answer(&self, now: Nanos) -> Option<Answer> {
        let memory = Memory(self.call.thread);
        let arguments = &self.call.arguments;
        let (is_due, left) = (self.due <= now, (self.due - now).max(0));
        if self
            .mask
            .is_some_and(|mask| pending(self.call.thread) & !mask != 0)
        {
            // The kernel breaks it off, with the signals as the call wants them.
            return Some(Answer::Continue);
        }
        match &self.kind {
            Kind::Poll(wanted) => polled(memory, arguments[0], wanted, is_due),
            Kind::Select(select) => select.answer(memory, &self.call, is_due, left),
            Kind::Epoll(set) => {
                let ready = taken(memory, arguments[1], arguments[2], set)?;
                (ready > 0 || is_due).then_some(Answer::Value(ready))
            }
            Kind::Sleep => is_due.then_some(Answer::Value(0)),
            Kind::Futex(..) | Kind::Lock if is_due => Some(Answer::Error(libc::ETIMEDOUT)),
            Kind::Futex(address, Some(value)) => {
                let changed = memory.number(*address).is_some_and(|now| now != *value);
                changed.then_some(Answer::Value(0))
            }
            Kind::Futex(_, None) => None,
            Kind::Lock => {
                let is_free = memory.number(arguments[0]).is_some_and(is_free);
                is_free.then_some(Answer::Continue)
            }
            Kind::Signal(_) if is_due => Some(Answer::Error(libc::EAGAIN)),
            Kind::Signal(set) => {
                let came = pending(self.call.thread) & set != 0;
                came.then_some(Answer::Continue)
            }
            Kind::Connect(socket, data) => connected(socket, data.as_deref(), is_due),
        }
    }
}

impl Select {
    /// Writes the descriptors that are ready into the sets of a call, and how much of its time is left; nothing
    /// where none is ready and its time has not come.
    fn answer(
        &self,
        memory: Memory,
        call: &ReceivedCall,
        is_due: bool,
        left: Nanos,
    ) -> Option<Answer> {
        let mut sets = [0, 1, 2].map(|_| vec![0_u8; self.octets]);
        let mut count = 0;
        for (number, descriptor, wanted) in &self.wanted {
            let seen = seen(descriptor, *wanted);
            // As `select` of Linux maps them: an end is readable, an error is both.
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
        if count == 0 && !is_due {
            return None;
        }
        for (set, address) in sets.iter().zip(&call.arguments[1..4]) {
            if *address != 0 {
                memory.write(*address, set);
            }
        }
        // Linux says what is left of the time, and programs go on with that.
        match call.number {
            libc::SYS_select => memory.write_timeval(call.arguments[4], left),
            _ => memory.write_timespec(call.arguments[4], left),
        };
        Some(Answer::Value(count))
    }
}

/// Writes what is ready of the descriptors of a `poll`, and how many that are; nothing where none is and its time
/// has not come. Others may have taken what was there, so that it is asked here and not left to the kernel, which
/// would wait by its own clock.
fn polled(
    memory: Memory,
    address: u64,
    wanted: &[(u64, OwnedFd, PollFlags)],
    is_due: bool,
) -> Option<Answer> {
    let all = wanted.iter();
    let all: Vec<_> = all
        .map(|(place, descriptor, events)| (place, seen(descriptor, *events)))
        .collect();
    let ready = all.iter().filter(|(_, seen)| !seen.is_empty()).count();
    if ready == 0 && !is_due {
        return None;
    }
    for (place, seen) in all {
        let there = address.wrapping_add(8 * place + 6);
        memory.write(there, &seen.bits().to_ne_bytes())?;
    }
    i64::try_from(ready).ok().map(Answer::Value)
}

/// What has come of the events that are wanted of a descriptor.
fn seen(descriptor: &OwnedFd, wanted: PollFlags) -> PollFlags {
    let mut asked = [PollFd::new(descriptor.as_fd(), wanted)];
    match poll(&mut asked, PollTimeout::ZERO) {
        Ok(1..) => asked[0].revents().unwrap_or(PollFlags::empty()),
        _ => PollFlags::empty(),
    }
}

/// Takes the events of a set of `epoll` for a call, and how many those are.
fn taken(memory: Memory, address: u64, most: u64, set: &Epoll) -> Option<i64> {
    const MOST: usize = 1024;
    // Events that are not taken stay in the set, and come with the next call.
    let room = usize::try_from(most).ok()?.clamp(1, MOST);
    let mut events = vec![EpollEvent::empty(); room];
    let ready = set.wait(&mut events, EpollTimeout::ZERO).ok()?;
    let mut octets = Vec::new();
    // The kernel's structure has no gaps on x86-64: four octets of flags, eight of data.
    for event in &events[..ready] {
        octets.extend(event.events().bits().to_ne_bytes());
        octets.extend(event.data().to_ne_bytes());
    }
    if ready > 0 {
        memory.write(address, &octets)?;
    }
    i64::try_from(ready).ok()
}

/// What a connection has come to. When the kernel would have given up, at the end of its repetitions, it says
/// that nobody answered.
fn connected(socket: &OwnedFd, data: Option<&[u8]>, is_due: bool) -> Option<Answer> {
    // Something came of it: connected, refused, or whatever the socket says went wrong.
    if !is_silent(socket) {
        let error = nix::sys::socket::getsockopt(socket, nix::sys::socket::sockopt::SocketError);
        return Some(match error {
            Ok(0) => {
                match data.map(|data| send(socket.as_raw_fd(), data, MsgFlags::MSG_NOSIGNAL)) {
                    None => Answer::Value(0),
                    Some(Ok(sent)) => Answer::Value(i64::try_from(sent).unwrap_or(i64::MAX)),
                    Some(Err(error)) => Answer::Error(error as i32),
                }
            }
            Ok(number) => Answer::Error(number),
            Err(error) => Answer::Error(error as i32),
        });
    }
    is_due.then_some(Answer::Error(libc::ETIMEDOUT))
}

/// Whether nothing has come of a connection yet.
pub(super) fn is_silent(socket: &OwnedFd) -> bool {
    seen(socket, PollFlags::POLLOUT).is_empty()
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
    // Those of the thread, and those that any thread of its process may take.
    sets.fold(0, |all, set| all | set)
}

/// Whether a lock that is handed on is to be had.
pub(super) fn is_free(number: u32) -> bool {
    number & OWNER == 0 || number & OWNER_DIED != 0
}
