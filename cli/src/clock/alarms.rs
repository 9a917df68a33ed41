//! Alarms and timers: what rings by itself when its time has come.
//!
//! The kernel's own would ring by its own clock, so it is given none. Those of a process are kept here, by what
//! they ring with, and rung by hand: with SIGALRM, or by letting a timer's descriptor fire at once. Timers that
//! count what was computed stay the kernel's.
//!
//! A process has one alarm (`alarm` and `setitimer` share it), and as many timers as it likes. Both are found again by
//! something that cannot be another's one day: a process by its descriptor, a timer by a number that the kernel keeps
//! for us.

use std::{fs, rc::Rc};

use mxdrill_notify::Answer;
use nix::libc;

use super::{
    memory::{Memory, Nanos, SECOND},
    opened::{Name, Opened},
    pending::{Alarm, Rings},
    received::ReceivedCall,
    supervisor::Supervisor,
    threads::Threads,
    wait::Handled,
};

use Handled::Answer as Now;

impl Supervisor {
    /// `alarm` and its relatives; the timers of computing are the kernel's.
    pub(super) fn alarm(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let memory = Memory(call.thread);
        let [a, b, c, ..] = call.arguments;
        // ITIMER_VIRTUAL and ITIMER_PROF count what the process computed.
        if call.number != libc::SYS_alarm && a != libc::ITIMER_REAL as u64 {
            return Some(Now(Answer::Continue));
        }
        let of = self.quiet.threads.process_with(call.thread).ok()?;
        let now = self.now();
        let known = self
            .alarms
            .iter()
            .position(|alarm| matches!(&alarm.rings, Rings::Signal(one) if Rc::ptr_eq(one, &of)));
        let (left, every) = known.map_or((0, 0), |known| {
            let alarm = &self.alarms[known];
            ((alarm.due - now).max(1000), alarm.every)
        });
        // An `itimerval` is the interval and then the first wait, of two numbers each: 16 octets.
        let (wait, again, before) = match call.number {
            libc::SYS_alarm => (i64::from(a as u32) * SECOND, 0, 0),
            libc::SYS_setitimer if b != 0 => {
                (memory.timeval(b.wrapping_add(16))?, memory.timeval(b)?, c)
            }
            libc::SYS_setitimer => (0, 0, c),
            _ => (0, 0, b),
        };
        if call.number != libc::SYS_getitimer {
            if let Some(known) = known {
                self.alarms.swap_remove(known);
            }
            if wait > 0 {
                self.alarms.push(Alarm {
                    rings: Rings::Signal(of),
                    due: now.saturating_add(wait),
                    every: again,
                });
            }
        }
        if before != 0 {
            memory.write_timeval(before, every)?;
            memory.write_timeval(before.wrapping_add(16), left)?;
        }
        // `alarm` tells in whole seconds what was left of the one before.
        // Part of a second counts as one.
        let seconds = (left + SECOND - 1) / SECOND;
        Some(Now(Answer::Value(if call.number == libc::SYS_alarm {
            seconds
        } else {
            0
        })))
    }

    /// A timer with a descriptor: it is fired by hand when its time has come. The timer is marked with a number of
    /// ours, by which it is known whoever has it under whichever descriptor.
    pub(super) fn timer(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let memory = Memory(call.thread);
        let [a, flags, new, old] = *call.arguments.first_chunk()?;
        let number = i32::try_from(a).ok()?;
        let process = self.quiet.threads.process_of(call.thread);
        let of = self.quiet.threads.process(process).ok()?;
        let timer = of.descriptor(number).ok()?;
        // `None` for one that was never set: it gets the next number.
        let mark = mxdrill_notify::timer_number(&timer).ok()?;
        let now = self.now();
        let known = self.alarms.iter().position(|alarm| {
            matches!(&alarm.rings, Rings::Timer(one) if Some(one.name()) == mark.map(Name::Timer))
        });
        let (left, every) = known.map_or((0, 0), |known| {
            let alarm = &self.alarms[known];
            ((alarm.due - now).max(1), alarm.every)
        });
        let before = if call.number == libc::SYS_timerfd_settime {
            const FLAGS: i32 = libc::TFD_TIMER_ABSTIME | libc::TFD_TIMER_CANCEL_ON_SET;
            let every = memory.timespec(new)?;
            let mut wait = memory.timespec(new.wrapping_add(16))?;
            // The kernel refuses it, in its own words.
            if flags as i32 & !FLAGS != 0 || every < 0 || wait < 0 {
                return None;
            }
            let mark = mark.unwrap_or_else(|| {
                self.timers += 1;
                self.timers
            });
            // What the kernel has of it must not fire by the kernel's clock.
            mxdrill_notify::set_timer(&timer, 0, mark).ok()?;
            if let Some(known) = known {
                self.alarms.swap_remove(known);
            }
            if wait > 0 {
                if flags & libc::TFD_TIMER_ABSTIME as u64 != 0 {
                    wait -=
                        self.clocks.start(clock_of(process, number)) + now - self.clocks.start(1);
                }
                self.alarms.push(Alarm {
                    rings: Rings::Timer(Opened::new(of, number, Name::Timer(mark))),
                    due: now.saturating_add(wait.max(1)),
                    every,
                });
            }
            old
        } else {
            flags
        };
        if before != 0 {
            memory.write_timespec(before, every)?;
            memory.write_timespec(before.wrapping_add(16), left)?;
        }
        Some(Now(Answer::Value(0)))
    }

    /// Rings the alarms that are due; whether there was any.
    pub(super) fn ring(&mut self) -> bool {
        let now = self.now();
        let due: Vec<Alarm> = self
            .alarms
            .extract_if(.., |alarm| alarm.due <= now)
            .collect();
        let any = !due.is_empty();
        for mut alarm in due {
            let is_there = match &mut alarm.rings {
                Rings::Signal(of) => of.signal(libc::SIGALRM).is_ok(),
                Rings::Timer(timer) => fire(timer, &mut self.quiet.threads).is_some(),
            };
            if alarm.every > 0 && is_there {
                // From when it was due, not from now: one that repeats keeps its beat.
                alarm.due += alarm.every;
                self.alarms.push(alarm);
            }
        }
        any
    }

    /// When the first alarm is due. Those whose process is gone, or whose timer nobody has any more, are forgotten.
    pub(super) fn next_alarm(&mut self) -> Option<Nanos> {
        loop {
            // There are few, and they change often: a look at all is cheaper than to keep them in order.
            let all = self.alarms.iter_mut().enumerate();
            let (place, first) = all.min_by_key(|(_, alarm)| alarm.due)?;
            let is_there = match &mut first.rings {
                Rings::Signal(of) => of.signal(0).is_ok(),
                Rings::Timer(timer) => timer.find(&mut self.quiet.threads).is_some(),
            };
            if is_there {
                return Some(first.due);
            }
            self.alarms.swap_remove(place);
        }
    }
}

/// Lets a timer fire at once; `None` if nobody has it.
fn fire(timer: &mut Opened, threads: &mut Threads) -> Option<()> {
    let Name::Timer(mark) = timer.name() else {
        return None;
    };
    mxdrill_notify::set_timer(&timer.find(threads)?, 1, mark).ok()
}

/// The clock of a timer's descriptor; the monotonic one where that is not said.
fn clock_of(process: i32, number: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("clockid:"));
    line.and_then(|clock| clock.trim().parse().ok())
        .unwrap_or(1)
}
