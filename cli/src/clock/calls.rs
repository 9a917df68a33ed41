//! What each call means to the clock, and how it is answered.
//!
//! Five things may come of a call:
//!
//! * It reads a clock (`clock_gettime`, `gettimeofday`, `time`): it is answered with the time of ours.
//! * It waits, with a time after which it gives up (`poll` and its relatives, the sleeps, `futex`, `connect`
//!   that blocks): it is held, with what it waits for.
//! * It asks for the times of a file (`stat` and its relatives): `files` says which moments of our clock they are.
//! * It asks to be rung (`alarm`, interval timers, timers with a descriptor): `alarms` keeps it.
//! * It is none of these after all: a wait with no time to wait, or for what cannot be duplicated. The
//!   kernel does it.
//!
//! What a call points to is read from the memory of its thread while that waits for the answer. Should the thread
//! have gone away meanwhile, and its id be another's, the answer goes nowhere: the kernel knows the call by its
//! own number. A call that points to nothing is left to the kernel, which refuses it.

use std::{fs, io, time::Duration};

use mxdrill_notify::Answer;
use nix::{libc, poll::PollFlags, sys::epoll::Epoll};

use super::{
    filter::NOTED,
    memory::{Memory, Nanos, SECOND, nanos},
    received::ReceivedCall,
    supervisor::Supervisor,
    wait::{Handled, Kind, Select, Wait},
};

/// Descriptors that a call may wait for.
const MOST_DESCRIPTORS: u64 = 4096;

use Handled::Answer as Now;

impl Supervisor {
    /// Answers a call, or holds it.
    pub(super) fn call(&mut self, call: ReceivedCall) -> io::Result<()> {
        self.creep();
        // Whoever calls waits for nothing any more: a signal ended that.
        if let Some(at) = self
            .held
            .iter()
            .position(|wait| wait.call.thread == call.thread)
        {
            let wait = self.held.swap_remove(at);
            self.break_off(wait);
        }
        // What cannot be read is the kernel's to refuse.
        match self.handled(&call).unwrap_or(Now(Answer::Continue)) {
            Now(answer) => self.answer(&call, answer),
            Handled::Wait(_, due) if self.is_repeated(&call, due) => {
                self.answer(&call, Answer::Error(libc::EINTR))
            }
            Handled::Wait(kind, due) => {
                // Kept beside the moment: a call that is begun again asks for as long as before, or until the same
                // moment.
                let asked = due - self.now();
                let mask = mask(&call);
                let process = self.quiet.threads.process_of(call.thread);
                let wait = Wait {
                    call,
                    process,
                    due,
                    asked,
                    kind,
                    mask,
                };
                // What it waits for may be there already; it then costs one look and no round.
                match wait.answer(self.now()) {
                    Some(answer) => self.finish(wait, answer),
                    None => {
                        self.held.push(wait);
                        // Who calls sleeps now, and may have been the last one.
                        self.round = Duration::ZERO;
                        Ok(())
                    }
                }
            }
        }
    }

    /// Whether a call is the one that a signal has just ended, begun again by the kernel: where the handler
    /// would have it so, a wait that is none of the kernel's would begin anew each time.
    fn is_repeated(&mut self, call: &ReceivedCall, due: Nanos) -> bool {
        let Some(at) = self
            .broken
            .iter()
            .position(|wait| wait.call.thread == call.thread)
        else {
            return false;
        };
        let wait = self.broken.swap_remove(at);
        let before = &wait.call;
        let is_same = before.number == call.number
            && before.instruction == call.instruction
            && before.arguments == call.arguments
            // What the arguments point to is the same, too: so long, or until that moment.
            && (wait.asked == due - self.now() || wait.due == due);
        // Sleeps tell how much is left where a signal ended them. Calls that the kernel itself goes on with are no
        // repetition.
        let remains = match call.number {
            libc::SYS_nanosleep => call.arguments[1],
            libc::SYS_clock_nanosleep => call.arguments[3],
            libc::SYS_futex | libc::SYS_connect => return false,
            _ => 0,
        };
        if is_same && remains != 0 {
            let left = (wait.due - self.now()).max(0);
            Memory(call.thread).write_timespec(remains, left);
        }
        is_same
    }

    /// What a clock shows.
    fn read(&self, clock: u64) -> Nanos {
        self.clocks.start(clock) + nanos(self.elapsed())
    }

    fn handled(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let memory = Memory(call.thread);
        let [a, b, c, d, e, _] = call.arguments;
        let done = |_: ()| Now(Answer::Value(0));
        Some(match call.number {
            libc::SYS_clock_gettime => {
                let time = self.read(a);
                memory.write_timespec(b, time).map(done)?
            }
            libc::SYS_gettimeofday => {
                let time = self.read(libc::CLOCK_REALTIME as u64);
                // The time zone is the kernel's, and nobody's.
                match a {
                    0 => Now(Answer::Continue),
                    _ => memory.write_timeval(a, time).map(done)?,
                }
            }
            libc::SYS_time => {
                let seconds = self.read(libc::CLOCK_REALTIME as u64) / SECOND;
                if a != 0 {
                    memory.write(a, &seconds.to_ne_bytes())?;
                }
                Now(Answer::Value(seconds))
            }
            libc::SYS_nanosleep => self.sleeps(memory.timespec(a)?),
            libc::SYS_clock_nanosleep => {
                let time = memory.timespec(c)?;
                let is_absolute = b & libc::TIMER_ABSTIME as u64 != 0;
                // Clocks go alike and began at different moments; number 1 is the monotonic one.
                let shown = self.clocks.start(a) + self.now() - self.clocks.start(1);
                if is_absolute && time <= shown {
                    Now(Answer::Value(0))
                } else if is_absolute {
                    self.sleeps(time - shown)
                } else {
                    self.sleeps(time)
                }
            }
            libc::SYS_poll => self.polls(memory, a, b, millis(c)),
            libc::SYS_ppoll => self.polls(memory, a, b, memory.timespec(c)?),
            libc::SYS_select => self.selects(call, memory.timeval(e)?)?,
            libc::SYS_pselect6 => self.selects(call, memory.timespec(e)?)?,
            libc::SYS_epoll_wait | libc::SYS_epoll_pwait => self.epolls(call, millis(d)),
            libc::SYS_epoll_pwait2 => self.epolls(call, memory.timespec(d)?),
            // Without a time it waits for a signal alone, which the kernel does better.
            libc::SYS_rt_sigtimedwait => match memory.timespec(c)? {
                wait @ 1.. => Handled::Wait(
                    Kind::Signal(memory.signals(a)?),
                    self.now().saturating_add(wait),
                ),
                _ => Now(Answer::Continue),
            },
            libc::SYS_futex => self.futex(call)?,
            libc::SYS_alarm | libc::SYS_setitimer | libc::SYS_getitimer => self.alarm(call)?,
            libc::SYS_timerfd_settime | libc::SYS_timerfd_gettime => self.timer(call)?,
            libc::SYS_connect | libc::SYS_sendto => self.connects(call)?,
            libc::SYS_stat
            | libc::SYS_fstat
            | libc::SYS_lstat
            | libc::SYS_newfstatat
            | libc::SYS_statx => self.status(call)?,
            libc::SYS_times => self.times(call)?,
            libc::SYS_sysinfo => self.information(call)?,
            libc::SYS_arch_prctl => self.begins(call),
            _ => self.noted(call),
        })
    }

    /// `arch_prctl`, by which the linker and every C library begin, before they read a clock.
    fn begins(&mut self, call: &ReceivedCall) -> Handled {
        // The first thing that every program does with its memory in place: from here on the vDSO can be replaced.
        const ARCH_SET_FS: u64 = 0x1002;
        let process = self.quiet.threads.process_of(call.thread);
        if call.arguments[0] == ARCH_SET_FS
            && let Err(error) = self.cells.replace_in(process)
        {
            let why =
                format!("this kernel does not let the clock of a process be replaced: {error}");
            self.failed = Some(io::Error::new(error.kind(), why));
        }
        Now(Answer::Continue)
    }

    /// A sleep of so long; one that is over is the kernel's, which says so.
    fn sleeps(&self, wait: Nanos) -> Handled {
        match wait {
            0 => Now(Answer::Value(0)),
            // The kernel refuses it.
            ..0 => Now(Answer::Continue),
            wait => Handled::Wait(Kind::Sleep, self.now().saturating_add(wait)),
        }
    }

    /// `poll`: with no time to wait it is the kernel's.
    fn polls(&mut self, memory: Memory, address: u64, count: u64, wait: Nanos) -> Handled {
        if wait <= 0 || count > MOST_DESCRIPTORS {
            return Now(Answer::Continue);
        }
        let of = self.quiet.threads.process_with(memory.0);
        let wanted = || {
            let of = of.ok()?;
            let length = usize::try_from(8 * count).ok()?;
            let all = memory.read(address, length)?;
            let mut wanted = Vec::new();
            for (index, octets) in (0..).zip(all.chunks(8)) {
                let number = i32::from_ne_bytes(*octets.first_chunk()?);
                let events = i16::from_ne_bytes(*octets.get(4..)?.first_chunk()?);
                // Those that are negative are left out.
                if number >= 0 {
                    let descriptor = of.descriptor(number).ok()?;
                    wanted.push((index, descriptor, PollFlags::from_bits_truncate(events)));
                }
            }
            Some(wanted)
        };
        match wanted() {
            Some(wanted) => Handled::Wait(Kind::Poll(wanted), self.now().saturating_add(wait)),
            None => Now(Answer::Continue),
        }
    }

    /// `select`, of which Linux leaves descriptors beyond the highest alone. With no time to wait it is the
    /// kernel's.
    fn selects(&mut self, call: &ReceivedCall, wait: Nanos) -> Option<Handled> {
        let memory = Memory(call.thread);
        // Bits of descriptors beyond are not looked at, as the kernel does with those beyond the largest that it can
        // open.
        let most = call.arguments[0].min(MOST_DESCRIPTORS);
        if wait <= 0 {
            return Some(Now(Answer::Continue));
        }
        let octets = usize::try_from(most.div_ceil(64) * 8).ok()?;
        let mut sets = Vec::new();
        for address in &call.arguments[1..4] {
            sets.push(match address {
                0 => vec![0; octets],
                address => memory.read(*address, octets)?,
            });
        }
        let of = self.quiet.threads.process_with(call.thread).ok()?;
        // The three sets in the order of the arguments.
        let kinds = [PollFlags::POLLIN, PollFlags::POLLOUT, PollFlags::POLLPRI];
        let mut wanted = Vec::new();
        for number in 0..u32::try_from(most).ok()? {
            let mut events = PollFlags::empty();
            for (set, kind) in sets.iter().zip(kinds) {
                let is_set = set[number as usize / 8] >> (number % 8) & 1 == 1;
                events.set(kind, is_set);
            }
            if !events.is_empty() {
                let descriptor = of.descriptor(i32::try_from(number).ok()?).ok()?;
                wanted.push((number, descriptor, events));
            }
        }
        let select = Select { wanted, octets };
        Some(Handled::Wait(
            Kind::Select(select),
            self.now().saturating_add(wait),
        ))
    }

    /// `epoll_wait`: the set is ready when something in it is.
    fn epolls(&mut self, call: &ReceivedCall, wait: Nanos) -> Handled {
        let number = i32::try_from(call.arguments[0]).ok();
        let Some(number) = number.filter(|_| wait > 0) else {
            return Now(Answer::Continue);
        };
        match self.quiet.threads.descriptor(call.thread, number) {
            Ok(set) => Handled::Wait(Kind::Epoll(Epoll(set)), self.now().saturating_add(wait)),
            Err(_) => Now(Answer::Continue),
        }
    }

    /// A call that this clock does not reach.
    pub(super) fn noted(&mut self, call: &ReceivedCall) -> Handled {
        let name = NOTED.iter().find(|(number, _)| *number == call.number);
        let memory = Memory(call.thread);
        let what = match name {
            // With a time alone they wait for one.
            Some((libc::SYS_recvmmsg | libc::SYS_mq_timedreceive, _)) if call.arguments[4] == 0 => {
                return Now(Answer::Continue);
            }
            Some((_, name)) => (*name).to_owned(),
            None if call.number == libc::SYS_futex => "FUTEX_WAIT_REQUEUE_PI".to_owned(),
            None if memory.timeval(call.arguments[3]) == Some(0) => return Now(Answer::Continue),
            None => "SO_RCVTIMEO or SO_SNDTIMEO".to_owned(),
        };
        let program = fs::read_to_string(format!("/proc/{}/comm", call.thread)).unwrap_or_default();
        // Without timers of their own, programs fall back to alarms.
        // What is done by a ring of the kernel's never comes by as a call, so it would go by the kernel's time unseen.
        let refused = [libc::SYS_io_uring_setup, libc::SYS_timer_create].contains(&call.number);
        let sets = [
            libc::SYS_clock_settime,
            libc::SYS_settimeofday,
            libc::SYS_adjtimex,
        ];
        let ending = match refused {
            true => "which is refused on virtual time",
            false => "which goes by the system's clock: moments that rest on it are not exact",
        };
        self.said
            .insert(format!("{} uses {what}, {ending}", program.trim_end()));
        Now(if refused {
            Answer::Error(libc::ENOSYS)
        } else if sets.contains(&call.number) {
            Answer::Error(libc::EPERM)
        } else {
            Answer::Continue
        })
    }
}

/// A number of milliseconds, as `poll` is given.
fn millis(argument: u64) -> Nanos {
    Nanos::from(argument as u32 as i32) * 1_000_000
}

/// The signals that a call blocks while it waits.
fn mask(call: &ReceivedCall) -> Option<u64> {
    let memory = Memory(call.thread);
    let [_, _, _, d, e, f] = call.arguments;
    let address = match call.number {
        libc::SYS_ppoll => d,
        libc::SYS_epoll_pwait | libc::SYS_epoll_pwait2 => e,
        // A pointer to a pointer and a size.
        libc::SYS_pselect6 if f != 0 => memory.signals(f)?,
        _ => 0,
    };
    if address == 0 {
        None
    } else {
        memory.signals(address)
    }
}
