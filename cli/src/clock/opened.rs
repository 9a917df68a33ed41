//! Something that a process has open, known again wherever it is by then.
//!
//! A descriptor's number may be closed and given to something else, and the same thing may have other numbers, in other
//! processes too (`dup`, `fork`, SCM_RIGHTS). A duplicate of our own would tell, but keep it open. So what is kept is
//! what names the thing itself, and where it was last.

use std::{fs, os::fd::OwnedFd, rc::Rc};

use mxdrill_notify::Process;
use nix::sys::stat::fstat;

use super::threads::{Threads, numbers};

/// Something that is open.
pub(super) struct Opened {
    of: Rc<Process>,
    number: i32,
    name: Name,
}

/// What names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// A socket, by its number (`st_ino`).
    Socket(u64),
    /// A timer, by the number that we gave it.
    Timer(u64),
}

impl Name {
    /// The name of a socket.
    pub(super) fn of_socket(socket: &OwnedFd) -> nix::Result<Self> {
        fstat(socket).map(|status| Self::Socket(status.st_ino))
    }

    fn is_of(self, descriptor: &OwnedFd) -> bool {
        match self {
            Self::Socket(_) => Self::of_socket(descriptor) == Ok(self),
            Self::Timer(number) => {
                mxdrill_notify::timer_number(descriptor).is_ok_and(|known| known == Some(number))
            }
        }
    }

    /// How /proc shows it among what a process has open.
    fn link(self) -> String {
        match self {
            Self::Socket(number) => format!("socket:[{number}]"),
            Self::Timer(_) => "anon_inode:[timerfd]".to_owned(),
        }
    }
}

impl Opened {
    /// What a process has open under a number.
    pub(super) fn new(of: Rc<Process>, number: i32, name: Name) -> Self {
        Self { of, number, name }
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// A duplicate of it, to be held no longer than needed; `None` if nobody has it open any more.
    pub(super) fn find(&mut self, threads: &mut Threads) -> Option<OwnedFd> {
        let here = self.of.descriptor(self.number).ok();
        if let Some(here) = here.filter(|one| self.name.is_of(one)) {
            return Some(here);
        }
        let (own, link) = (std::process::id(), self.name.link());
        for process in numbers(fs::read_dir("/proc").ok()?) {
            let path = format!("/proc/{process}/fd");
            let Ok(folder) = fs::read_dir(&path) else {
                continue;
            };
            let is_other = i64::from(process) != i64::from(own);
            for number in numbers(folder).filter(|_| is_other) {
                let shown = fs::read_link(format!("{path}/{number}")).unwrap_or_default();
                if shown.as_os_str() != link.as_str() {
                    continue;
                }
                let of = threads.process(process).ok()?;
                let found = of.descriptor(number).ok();
                if let Some(found) = found.filter(|one| self.name.is_of(one)) {
                    (self.of, self.number) = (of, number);
                    return Some(found);
                }
            }
        }
        None
    }
}
