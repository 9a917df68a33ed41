//! Alarms and timers: what rings by itself when its time has come.
//!
//! The kernel's own would ring by its own clock, so it is given none. Those of a process are kept here, by what
//! they ring with, and rung by hand: with SIGALRM, or by letting a timer's descriptor fire at once. Timers that
//! count what was computed stay the kernel's.

use std::{fs, io, rc::Rc};

use mxdrill_notify::{Answer, Process};
use nix::libc;

use super::{
    calls::{Call, Handled},
    memory::{Memory, SECOND},
    supervisor::{Alarm, Supervisor},
};

use Handled::Answer as Now;

impl Supervisor {
    /// `alarm` and its relatives; the timers of computing are the kernel's.
    pub(super) fn alarm(&mut self, call: &Call) -> Option<Handled> {
        let memory = Memory(call.thread);
        let [a, b, c, ..] = call.arguments;
        if call.number != libc::SYS_alarm && a != libc::ITIMER_REAL as u64 {
            return Some(Now(Answer::Continue));
        }
        let of = self.quiet.threads.process_with(call.thread).ok()?;
        let now = self.now();
        let known = self
            .alarms
            .iter()
            .position(|alarm| Rc::ptr_eq(&alarm.of, &of) && alarm.timer.is_none());
        let (left, every) = known.map_or((0, 0), |known| {
            let alarm = &self.alarms[known];
            ((alarm.due - now).max(1000), alarm.every)
        });
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
                    of,
                    due: now.saturating_add(wait),
                    every: again,
                    timer: None,
                });
            }
        }
        if before != 0 {
            memory.write_timeval(before, every)?;
            memory.write_timeval(before.wrapping_add(16), left)?;
        }
        // Part of a second counts as one.
        let seconds = (left + SECOND - 1) / SECOND;
        Some(Now(Answer::Value(if call.number == libc::SYS_alarm {
            seconds
        } else {
            0
        })))
    }

    /// A timer with a descriptor: it is fired by hand when its time has come.
    pub(super) fn timer(&mut self, call: &Call) -> Option<Handled> {
        let memory = Memory(call.thread);
        let [a, flags, new, old] = *call.arguments.first_chunk()?;
        let number = i32::try_from(a).ok()?;
        let process = self.quiet.threads.process_of(call.thread);
        let of = self.quiet.threads.process(process).ok()?;
        let now = self.now();
        let known = self
            .alarms
            .iter()
            .position(|alarm| Rc::ptr_eq(&alarm.of, &of) && alarm.timer == Some(number));
        let (left, every) = known.map_or((0, 0), |known| {
            let alarm = &self.alarms[known];
            ((alarm.due - now).max(1), alarm.every)
        });
        let before = if call.number == libc::SYS_timerfd_settime {
            let (every, mut wait) = (
                memory.timespec(new)?,
                memory.timespec(new.wrapping_add(16))?,
            );
            // What the kernel has of it must not fire by the kernel's clock.
            mxdrill_notify::set_timer(&of.descriptor(number).ok()?, 0).ok()?;
            if let Some(known) = known {
                self.alarms.swap_remove(known);
            }
            if wait > 0 {
                if flags & libc::TFD_TIMER_ABSTIME as u64 != 0 {
                    wait -=
                        self.clocks.start(clock_of(process, number)) + now - self.clocks.start(1);
                }
                self.alarms.push(Alarm {
                    of,
                    due: now.saturating_add(wait.max(1)),
                    every,
                    timer: Some(number),
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
}

/// Lets a timer of a process fire at once.
pub(super) fn fire(of: &Process, number: i32) -> io::Result<()> {
    mxdrill_notify::set_timer(&of.descriptor(number)?, 1)
}

/// The clock of a timer's descriptor; the monotonic one where that is not said.
fn clock_of(process: i32, number: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/fdinfo/{number}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("clockid:"));
    line.and_then(|clock| clock.trim().parse().ok())
        .unwrap_or(1)
}
