//! `futex`: waits of threads for a number in memory.
//!
//! One with a time is held here and not in the kernel's queue, so that who wakes it is to be seen, too. Who waits
//! without a time is in the kernel's queue: a call that wakes some goes on to the kernel unless all that it may wake
//! were held here, so that a few more may wake than it asked for, which whoever waits has to expect. Order between the
//! two queues there is none.

use mxdrill_notify::Answer;
use nix::libc;

use super::{
    filter::{
        FUTEX_CMP_REQUEUE, FUTEX_LOCK_PI, FUTEX_LOCK_PI2, FUTEX_REQUEUE, FUTEX_WAIT,
        FUTEX_WAIT_REQUEUE_PI, FUTEX_WAKE, FUTEX_WAKE_BITSET, FUTEX_WAKE_OP,
    },
    memory::Memory,
    received::ReceivedCall,
    supervisor::Supervisor,
    wait::{Handled, Kind, OWNER, is_free},
};

use Handled::Answer as Now;

impl Supervisor {
    /// `futex`, with a time or to wake those that have one.
    pub(super) fn futex(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let [address, operation, value, more, other, expected] = call.arguments;
        let memory = Memory(call.thread);
        // Without the flags for private memory and for the clock.
        let kind = u32::try_from(operation & 0x7f).ok()?;
        match kind {
            FUTEX_WAKE | FUTEX_WAKE_BITSET => {
                let woken = self.wake(call, address, value)?;
                // Then the kernel has nobody to wake any more, and the caller is told how many it were.
                let is_enough = woken > 0 && woken == value;
                Some(Now(if is_enough {
                    Answer::Value(woken.try_into().ok()?)
                } else {
                    Answer::Continue
                }))
            }
            FUTEX_CMP_REQUEUE if memory.number(address)? != expected as u32 => {
                Some(Now(Answer::Error(libc::EAGAIN)))
            }
            FUTEX_REQUEUE | FUTEX_CMP_REQUEUE => {
                self.wake(call, address, value)?;
                self.requeue(call, address, other, more);
                Some(Now(Answer::Continue))
            }
            FUTEX_WAKE_OP => {
                // Whether those at the other place are to be woken is known only when the kernel has done it. Who is
                // woken in vain waits again; and what has changed by then wakes whoever waits.
                self.wake(call, address, value)?;
                self.wake(call, other, more)?;
                Some(Now(Answer::Continue))
            }
            FUTEX_WAIT_REQUEUE_PI => Some(self.noted(call)),
            _ => self.waits(call, kind),
        }
    }

    /// Wakes so many at most of those of a process that wait at an address; how many that were.
    fn wake(&mut self, call: &ReceivedCall, address: u64, most: u64) -> Option<u64> {
        let process = self.quiet.threads.process_of(call.thread);
        let mut woken = 0;
        while woken < most {
            let found = self.held.iter().position(|wait| {
                let is_there = matches!(wait.kind, Kind::Futex(there, _) if there == address);
                is_there && wait.process == process
            });
            let Some(found) = found else { break };
            let wait = self.held.swap_remove(found);
            self.finish(wait, Answer::Value(0)).ok()?;
            woken += 1;
        }
        Some(woken)
    }

    /// Has so many at most of those that wait at an address wait at another one, until they are woken there.
    fn requeue(&mut self, call: &ReceivedCall, from: u64, to: u64, most: u64) {
        let process = self.quiet.threads.process_of(call.thread);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let there = self
            .held
            .iter_mut()
            .filter_map(|wait| match &mut wait.kind {
                Kind::Futex(address, value) if *address == from && wait.process == process => {
                    Some((address, value))
                }
                _ => None,
            });
        for (address, value) in there.take(most) {
            // What the number was that they waited to change is no matter any more.
            (*address, *value) = (to, None);
        }
    }

    /// A wait with a time.
    fn waits(&self, call: &ReceivedCall, kind: u32) -> Option<Handled> {
        const CLOCK_REALTIME: u64 = 256;
        let memory = Memory(call.thread);
        let [address, operation, value, time, ..] = call.arguments;
        let mut wait = memory.timespec(time)?;
        if kind != FUTEX_WAIT {
            // A moment; that of FUTEX_LOCK_PI is one of the wall clock without saying so.
            // FUTEX_WAIT alone takes a duration.
            let is_wall = operation & CLOCK_REALTIME != 0 || kind == FUTEX_LOCK_PI;
            let clock = if is_wall { 0 } else { 1 };
            wait -= self.clocks.start(clock) + self.now() - self.clocks.start(1);
        }
        let due = self.now().saturating_add(wait);
        let number = memory.number(address)?;
        let value = value as u32;
        if matches!(kind, FUTEX_LOCK_PI | FUTEX_LOCK_PI2) {
            // One that is free is the kernel's to take, and so is who asks for what it has or nobody will give.
            let owner = i32::try_from(number & OWNER).ok()?;
            let is_kernels = is_free(number) || owner == call.thread || !is_there(owner);
            return Some(if is_kernels {
                Now(Answer::Continue)
            } else if wait <= 0 {
                Now(Answer::Error(libc::ETIMEDOUT))
            } else {
                Handled::Wait(Kind::Lock, due)
            });
        }
        Some(if number != value {
            Now(Answer::Error(libc::EAGAIN))
        } else if wait <= 0 {
            Now(Answer::Error(libc::ETIMEDOUT))
        } else {
            Handled::Wait(Kind::Futex(address, Some(value)), due)
        })
    }
}

fn is_there(thread: i32) -> bool {
    std::fs::exists(format!("/proc/{thread}")).unwrap_or(true)
}
