//! Round after round: calls are answered, and time moves when nothing goes on.
//!
//! A round of it:
//!
//! 1. Calls that came are answered or held (`calls`).
//! 2. Calls that are held are answered where what they wait for has come, or their time has.
//! 3. Alarms that are due ring, and the kernel is made to give up connections that it would have given up by now.
//! 4. If none of this happened, all threads have slept since the round before and no octet is on its way, time leaps
//!    to the next moment that anybody waits for: a call, an alarm, or the lab.
//!
//! Time stands still otherwise. Where something computes for long, it runs as fast as the system's, so that a program
//! that waits by computing comes to an end; and faster, where it does nothing but ask the kernel.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
    rc::Rc,
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, ppoll},
    sys::time::TimeSpec,
};

use super::{IDLE_ROUND, ROUND, Supervisor};
use crate::clock::{
    passed::Passed,
    quiet::Look,
    received::ReceivedCall,
    wait::{Kind, Wait},
};

/// How long it may take until a call is looked at that waits for what cannot be waited for here.
const LOOKED_AT: Duration = Duration::from_millis(1);

/// Calls that are held and cost a round little.
const FEW: usize = 8;

/// What a round was told.
struct Came {
    /// Whether a call came, for each listener.
    callers: Vec<bool>,
    /// Whether something that it waits for may have come, for each call that is held.
    ready: Vec<bool>,
}

impl Supervisor {
    /// Supervises until nobody is left, or somebody says that it is enough.
    pub(in crate::clock) fn run(mut self) -> io::Result<Passed> {
        // A wait of some microseconds is one: the kernel would put it together with others'.
        nix::sys::prctl::set_timerslack(1)?;
        let begun = Instant::now();
        let mut last = Instant::now();
        while !self.orders.enough.load(Ordering::Relaxed) {
            let came = self.came()?;
            self.creep();
            // Nobody can send a listener any more, and all whose listener is here have ended.
            if self.source.is_none() && self.listeners.is_empty() {
                break;
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let mut news = self.look_at_held(&came.ready)?;
            news |= self.calls(&came.callers)?;
            news |= self.ring() | self.give_up();
            if news {
                self.leaps.somebody_runs();
                self.run_along(last)?;
                continue;
            }
            let looked = self.quiet.look()?;
            if looked != Look::AllSlept {
                self.round = match looked {
                    // If they sleep again, the next look says so.
                    Look::Ran => Duration::ZERO,
                    _ => patience(last),
                };
                self.leaps.somebody_runs();
                self.run_along(last)?;
                continue;
            }
            // One that nobody has answered yet may be made by the kernel alone.
            if !self.attempts.is_empty() || !self.given_up.is_empty() || self.is_connecting() {
                self.quiet.connects();
            }
            // The kernel will wake somebody for them, by its own clock.
            if self.quiet.octets_wait()? {
                self.passed.held += 1;
                self.round = patience(last);
                continue;
            }
            // Who calls sleeps until the answer, and what somebody did before may be what another waits for:
            // what came while it was looked whether all sleep is seen only now.
            if self.has_call()? || self.look_at_all_held()? {
                continue;
            }
            // Connections that the kernel is told to give up: who waits for them is woken by it soon.
            if !self.given_up.is_empty() {
                self.round = IDLE_ROUND;
                continue;
            }
            self.running = None;
            last = Instant::now();
            self.round = self.leap()?;
            // Who waited for this very moment has its answer at once.
            if self.round.is_zero() && self.answer_due()? {
                self.leaps.somebody_runs();
                self.round = ROUND;
            }
        }
        self.passed.virtually = self.time.now();
        self.passed.really = begun.elapsed();
        self.passed.notes = self.said.into_iter().collect();
        Ok(self.passed)
    }

    /// Waits a moment for calls, or for what calls wait for; takes in who has been started, and forgets who has
    /// ended.
    fn came(&mut self) -> io::Result<Came> {
        let sources = self.source.iter().map(AsFd::as_fd);
        let listeners = self.listeners.iter().map(|one| one.as_fd());
        let asked = sources.chain(listeners);
        let mut asked: Vec<PollFd> = asked
            .map(|one| PollFd::new(one, PollFlags::POLLIN))
            .collect();
        // Where the descriptors of each call that is held begin.
        let mut starts = Vec::with_capacity(self.held.len());
        for wait in &self.held {
            starts.push(asked.len());
            wait.ask(&mut asked);
        }
        let round = Some(TimeSpec::from_duration(std::mem::replace(
            &mut self.round,
            ROUND,
        )));
        match ppoll(&mut asked, round, None) {
            Ok(_) | Err(nix::Error::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let seen = |one: &PollFd| one.revents().unwrap_or(PollFlags::empty());
        // The descriptors of a call end where those of the next one begin.
        let ends = starts.iter().skip(1).copied().chain([asked.len()]);
        let ready = starts.iter().zip(ends).map(|(start, end)| {
            let mut its = asked[*start..end].iter();
            its.any(|one| !seen(one).is_empty())
        });
        let ready = ready.collect();
        let mut first = asked.iter().map(seen);
        let source = self.source.as_ref().and_then(|_| first.next());
        let first: Vec<PollFlags> = first.take(self.listeners.len()).collect();
        drop(asked);
        // A listener hangs up when the last process with its filter has ended; calls that came before are read first.
        let is_over = |seen: PollFlags| {
            seen.contains(PollFlags::POLLHUP) && !seen.contains(PollFlags::POLLIN)
        };
        let mut ended = first.iter().copied().map(is_over);
        self.listeners.retain(|_| !ended.next().unwrap_or(false));
        if source.is_some_and(|seen| !seen.is_empty()) {
            self.take_in()?;
        }
        let there = first.into_iter().filter(|seen| !is_over(*seen));
        let callers = there.map(|seen| seen.contains(PollFlags::POLLIN));
        Ok(Came {
            callers: callers.collect(),
            ready,
        })
    }

    /// Takes in a listener that has come.
    fn take_in(&mut self) -> io::Result<()> {
        let Some(source) = &self.source else {
            return Ok(());
        };
        match mxdrill_notify::receive_listener(source.as_fd())? {
            Some(listener) => self.listeners.push(Rc::new(listener)),
            None => self.source = None,
        }
        Ok(())
    }

    /// Answers or holds the calls that are there, by who has any; whether there was one.
    fn calls(&mut self, callers: &[bool]) -> io::Result<bool> {
        let mut any = false;
        for (listener, _) in self
            .listeners
            .clone()
            .iter()
            .zip(callers)
            .filter(|one| *one.1)
        {
            any = true;
            loop {
                // `None` is a call whose thread was killed, or interrupted, between the notice and now.
                if let Some(call) = listener.receive()? {
                    self.passed.calls += 1;
                    let from = Rc::clone(listener);
                    self.quiet.suspect(call.thread);
                    self.call(ReceivedCall { call, from })?;
                }
                // The next round tells of others, which costs less than to ask as long as it asks for few.
                if self.held.len() <= FEW || !any_has_call([listener.as_fd()])? {
                    break;
                }
            }
        }
        Ok(any)
    }

    /// Whether a call has come, or somebody who may make one.
    fn has_call(&self) -> io::Result<bool> {
        let sources = self.source.iter().map(AsFd::as_fd);
        let listeners = self.listeners.iter().map(|one| one.as_fd());
        any_has_call(sources.chain(listeners))
    }

    /// Whether a call is held that waits for a connection to be made.
    fn is_connecting(&self) -> bool {
        let mut held = self.held.iter();
        held.any(|wait| matches!(wait.kind, Kind::Connect(..)))
    }

    /// Looks at the calls that are held and whose time has come, or some descriptor of which is ready; whether one was
    /// answered or has gone away. What cannot be waited for, as signals, is looked at now and then, and before time
    /// leaps.
    fn look_at_held(&mut self, ready: &[bool]) -> io::Result<bool> {
        if self.looked.elapsed() >= LOOKED_AT {
            return self.look_at_all_held();
        }
        let now = self.now();
        let is_ready = |(wait, ready): (&Wait, &bool)| *ready || wait.due <= now;
        let found: Vec<bool> = self.held.iter().zip(ready).map(is_ready).collect();
        if found.contains(&true) {
            self.look_at_those(&found)
        } else {
            Ok(false)
        }
    }

    /// Answers those whose time has come; whether there were any.
    fn answer_due(&mut self) -> io::Result<bool> {
        let none_is_ready = vec![false; self.held.len()];
        Ok(self.look_at_held(&none_is_ready)? | self.ring() | self.give_up())
    }

    fn look_at_all_held(&mut self) -> io::Result<bool> {
        self.looked = Instant::now();
        self.look_at_those(&vec![true; self.held.len()])
    }

    fn look_at_those(&mut self, chosen: &[bool]) -> io::Result<bool> {
        let now = self.now();
        let mut any = false;
        for (wait, is_chosen) in std::mem::take(&mut self.held).into_iter().zip(chosen) {
            if !is_chosen {
                self.held.push(wait);
                continue;
            }
            if !wait.call.from.is_waiting(wait.call.id) {
                self.break_off(wait);
                any = true;
                continue;
            }
            match wait.answer(now) {
                Some(answer) => {
                    self.finish(wait, answer)?;
                    any = true;
                }
                None => self.held.push(wait),
            }
        }
        Ok(any)
    }
}

/// How long a round waits where something has gone on since then: the longer, the longer that was. What is waited for
/// wants the processor, and may have to share it.
fn patience(since: Instant) -> Duration {
    const PART: u32 = 16;
    (since.elapsed() / PART).clamp(ROUND, IDLE_ROUND)
}

/// Whether there is something to be read from one of some descriptors.
fn any_has_call<'a>(from: impl IntoIterator<Item = BorrowedFd<'a>>) -> io::Result<bool> {
    let asked = from.into_iter();
    let mut asked: Vec<_> = asked
        .map(|one| PollFd::new(one, PollFlags::POLLIN))
        .collect();
    let at_once = TimeSpec::from_duration(Duration::ZERO);
    // A signal would end it before it has looked.
    while let Err(error) = ppoll(&mut asked, Some(at_once), None) {
        if error != nix::Error::EINTR {
            return Err(error.into());
        }
    }
    let come = PollFlags::POLLIN | PollFlags::POLLERR;
    let mut seen = asked.iter().filter_map(PollFd::revents);
    Ok(seen.any(|seen| seen.intersects(come)))
}
