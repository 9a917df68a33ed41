//! Virtual time for programs as they are: a clock that stands still while anything runs, and leaps when all
//! wait (Linux on x86-64).
//!
//! A program reads clocks, waits, and lets the kernel wait for it. All of this it does by system calls, which a
//! seccomp filter lets wait for an answer of ours (`filter`); reading a clock without a call is made one
//! (`vdso`). A thread of the lab's process answers (`supervisor`, `calls`, `alarms`): it tells the time of the clock that
//! the lab lives by, too ([`SharedTime`]), and holds whoever waits (`wait`). When every thread in the private
//! network sleeps and no octet is on its way (`quiet`), nothing can happen before the next moment that somebody
//! waits for; time is moved there, and who is due goes on.
//!
//! A day takes as long as what happens in it. Moments are exact, since no time passes while anything computes;
//! what computes for more than two seconds lets time run along, and that is said.
//!
//! The program starts by a detour ([`begin`]): this program is run once more, installs the filter for itself,
//! hands the listener that comes of it to the supervisor, and becomes the program that is meant.

mod alarms;
mod calls;
mod clocks;
mod connections;
mod connects;
mod files;
mod filter;
mod futex;
mod leaps;
mod memory;
mod opened;
mod passed;
mod pending;
mod process_times;
mod quiet;
mod received;
mod supervisor;
mod threads;
mod uptime;
mod vdso;
mod wait;

use std::{
    convert::Infallible,
    ffi::OsString,
    io::{self, IoSlice},
    os::{
        fd::{AsRawFd, OwnedFd, RawFd},
        unix::process::CommandExt,
    },
    process,
    sync::{Arc, atomic::Ordering},
    thread::{self, JoinHandle},
};

use nix::{
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::socket::{
        AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, sendmsg, socketpair,
    },
};

pub(crate) use self::passed::Passed;
use self::supervisor::{Orders, Supervisor};
use mxdrill::lab::SharedTime;

/// The command by which this program is run to become another one whose clock is ours.
const CLOCKED: &str = "clocked";

/// A clock that is kept, for the commands that are started on it; it has to be stopped.
pub(crate) struct Clock {
    time: SharedTime,
    /// Inherited by every command that is started, which sends its listener over it, and closed there.
    source: Option<OwnedFd>,
    orders: Arc<Orders>,
    thread: JoinHandle<io::Result<Passed>>,
}

impl Clock {
    /// A clock, on a thread of its own. Its time moves as soon as something was started on it and waits; that of the
    /// lab only once it [begins](Self::begin).
    ///
    /// # Errors
    /// What the system does not allow.
    pub(crate) fn new() -> io::Result<Self> {
        let (ours, theirs) = socketpair(
            AddressFamily::Unix,
            SockType::Stream,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        fcntl(&theirs, FcntlArg::F_SETFD(FdFlag::empty()))?;
        let (time, orders) = (SharedTime::default(), Arc::<Orders>::default());
        let (moved, told) = (time.clone(), Arc::clone(&orders));
        let keep = move || Supervisor::new(ours, moved, told)?.run();
        let thread = thread::Builder::new()
            .name("clock".to_owned())
            .spawn(keep)?;
        Ok(Self {
            time,
            source: Some(theirs),
            orders,
            thread,
        })
    }

    /// Its time, for a lab.
    pub(crate) fn time(&self) -> SharedTime {
        self.time.clone()
    }

    /// The command that becomes this one, on this clock.
    pub(crate) fn command(&self, command: &[OsString]) -> Vec<OsString> {
        let descriptor = self.source.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let descriptor = descriptor.to_string();
        let detour = ["/proc/self/exe", CLOCKED, &descriptor, "--"].map(OsString::from);
        detour.into_iter().chain(command.iter().cloned()).collect()
    }

    /// Lets the lab's time begin.
    pub(crate) fn begin(&self) {
        self.orders.begun.store(true, Ordering::Relaxed);
    }

    /// No command is started any more: when the last one has ended, so does the clock.
    pub(crate) fn complete(&mut self) {
        self.source = None;
    }

    /// Stops the clock; what passed on it.
    ///
    /// # Errors
    /// Why it could not be kept.
    pub(crate) fn stop(self) -> io::Result<Passed> {
        self.orders.enough.store(true, Ordering::Relaxed);
        let passed = self.thread.join();
        passed.unwrap_or_else(|_| Err(io::Error::other("the thread that keeps the clock ended")))
    }
}

/// Becomes a command, on the clock of who started this process and waits for the listener at this descriptor.
///
/// # Errors
/// Why it could not.
pub(crate) fn begin(descriptor: RawFd, command: &[OsString]) -> io::Result<Infallible> {
    hand_over(descriptor)?;
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    Err(process::Command::new(program).args(arguments).exec())
}

/// Installs the filter and sends its listener.
fn hand_over(descriptor: RawFd) -> io::Result<()> {
    let to = mxdrill_notify::inherited(descriptor)?;
    let listener = mxdrill_notify::install(&filter::program()).map_err(|error| {
        let hint = "another supervisor has its filter here, as in some containers";
        let text = match error.kind() {
            io::ErrorKind::ResourceBusy => format!("{error}: {hint}"),
            _ => error.to_string(),
        };
        io::Error::new(
            error.kind(),
            format!("no clock can be had for the command: {text}"),
        )
    })?;
    let descriptors = [std::os::fd::AsFd::as_fd(&listener).as_raw_fd()];
    let rights = [ControlMessage::ScmRights(&descriptors)];
    sendmsg::<()>(
        to.as_raw_fd(),
        &[IoSlice::new(&[0])],
        &rights,
        MsgFlags::empty(),
        None,
    )?;
    Ok(())
}
