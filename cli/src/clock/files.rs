//! The times of files: `stat` and its relatives, answered with moments of our clock.
//!
//! A file is looked at through a descriptor of our own: a duplicate of the process's, or one that is found from where
//! the process would begin, its root or its folder (openat2(2)). It is found with the rights of the process. Where that
//! fails, or what is found depends on who asks (`/proc/self`), the kernel answers the process itself: errors are the
//! kernel's, and times there the system's.

use std::{
    ffi::CString,
    fs,
    os::fd::{AsFd, OwnedFd},
};

use mxdrill_notify::Answer;
use nix::{
    errno::Errno,
    fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2},
    libc,
    sys::{
        stat::Mode,
        statfs::{PROC_SUPER_MAGIC, fstatfs},
    },
    unistd::{Gid, Uid, setfsgid, setfsuid},
};

use super::{
    leaps::Leaps,
    memory::{Memory, SECOND},
    received::ReceivedCall,
    supervisor::Supervisor,
    wait::Handled,
};

/// How often a path is tried that changes meanwhile.
const TRIES: usize = 3;

/// What is asked.
struct FileAsked {
    /// The descriptor from which the path goes, or the current folder.
    from: i32,
    /// The address of the path; `None` for what the descriptor itself is.
    path: Option<u64>,
    flags: i32,
    /// Where the answer goes.
    to: u64,
}

impl Supervisor {
    /// `stat` and its relatives; `None` leaves it to the kernel.
    pub(super) fn status(&mut self, call: &ReceivedCall) -> Option<Handled> {
        let asked = asked(call)?;
        let file = self.file(call, &asked)?;
        let now = Leaps::now().ok()?;
        let moment = |seconds: i64, nanos: i64| {
            let moment = self.leaps.moment(seconds.checked_mul(SECOND)? + nanos, now);
            Some((moment.div_euclid(SECOND), moment.rem_euclid(SECOND)))
        };
        let octets = if call.number == libc::SYS_statx {
            let mask = u32::try_from(call.arguments[3] & 0xffff_ffff).ok()?;
            let mut all = mxdrill_notify::extended_status(file.as_fd(), asked.flags, mask).ok()?;
            // Access, birth, change, modification; of a word of nanoseconds the upper half is none of it.
            for at in [8, 10, 12, 14] {
                let (seconds, nanos) = moment(all[at] as i64, (all[at + 1] & 0xffff_ffff) as i64)?;
                all[at] = seconds as u64;
                all[at + 1] = nanos as u64;
            }
            octets(&all)
        } else {
            let mut all = mxdrill_notify::status(file.as_fd()).ok()?;
            // Access, modification, change.
            for at in [9, 11, 13] {
                let (seconds, nanos) = moment(all[at] as i64, all[at + 1] as i64)?;
                all[at] = seconds as u64;
                all[at + 1] = nanos as u64;
            }
            octets(&all)
        };
        // To find it took a while.
        if call.from.is_waiting(call.id) {
            Memory(call.thread).write(asked.to, &octets)?;
        }
        Some(Handled::Answer(Answer::Value(0)))
    }

    /// The file that is asked about.
    fn file(&mut self, call: &ReceivedCall, asked: &FileAsked) -> Option<OwnedFd> {
        let path = match asked.path {
            Some(address) => Memory(call.thread).text(address, PATH_MAX)?,
            None => Vec::new(),
        };
        let from = match (path.first(), asked.from) {
            (Some(b'/'), _) => anchor(call.thread, "root")?,
            (_, libc::AT_FDCWD) => anchor(call.thread, "cwd")?,
            (_, number) => self.quiet.threads.descriptor(call.thread, number).ok()?,
        };
        if path.is_empty() {
            let is_asked = asked.path.is_none() || asked.flags & libc::AT_EMPTY_PATH != 0;
            return is_asked.then_some(from);
        }
        let is_absolute = path.starts_with(b"/");
        let path = CString::new(path).ok()?;
        let mut flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        flags.set(
            OFlag::O_NOFOLLOW,
            asked.flags & libc::AT_SYMLINK_NOFOLLOW != 0,
        );
        // Links that lead to what a process has open lead to what we have.
        let within = if is_absolute {
            ResolveFlag::RESOLVE_IN_ROOT
        } else {
            ResolveFlag::RESOLVE_BENEATH
        };
        let find = |within| {
            let how = OpenHow::new()
                .flags(flags)
                .resolve(within | ResolveFlag::RESOLVE_NO_MAGICLINKS);
            let mut found = Err(Errno::EAGAIN);
            for _ in 0..TRIES {
                found = openat2(&from, path.as_c_str(), how);
                if !matches!(found, Err(Errno::EAGAIN)) {
                    break;
                }
            }
            found
        };
        let found = Rights::of(call.thread)?.with(|| match find(within) {
            // It leaves the folder where it begins: from there on our root has to be the process's.
            Err(Errno::EXDEV) if !is_absolute && has_our_root(call.thread) => {
                find(ResolveFlag::empty())
            }
            found => found,
        });
        let found = found.ok()?;
        let is_proc = fstatfs(&found).is_ok_and(|on| on.filesystem_type() == PROC_SUPER_MAGIC);
        (!is_proc).then_some(found)
    }
}

/// How long a path may be.
const PATH_MAX: usize = 4096;

/// What a call asks; `None` where it has flags that are not known.
fn asked(call: &ReceivedCall) -> Option<FileAsked> {
    let [a, b, c, d, e, _] = call.arguments;
    let here = libc::AT_FDCWD;
    let (from, path, flags, to) = match call.number {
        libc::SYS_stat => (here, Some(a), 0, b),
        libc::SYS_lstat => (here, Some(a), libc::AT_SYMLINK_NOFOLLOW, b),
        libc::SYS_fstat => (a as i32, None, 0, b),
        libc::SYS_newfstatat => (a as i32, Some(b), d as i32, c),
        libc::SYS_statx => (a as i32, Some(b), c as i32, e),
        _ => return None,
    };
    let known = libc::AT_SYMLINK_NOFOLLOW
        | libc::AT_NO_AUTOMOUNT
        | libc::AT_EMPTY_PATH
        | libc::AT_STATX_FORCE_SYNC
        | libc::AT_STATX_DONT_SYNC;
    (flags & !known == 0).then_some(FileAsked {
        from,
        path,
        flags,
        to,
    })
}

/// Where the paths of a thread begin.
fn anchor(thread: i32, which: &str) -> Option<OwnedFd> {
    let path = format!("/proc/{thread}/{which}");
    open(
        path.as_str(),
        OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .ok()
}

/// Whether a path that leads to the root leads a thread to where it leads us.
fn has_our_root(thread: i32) -> bool {
    let same = |name: &str| {
        let theirs = fs::read_link(format!("/proc/{thread}/{name}"));
        let ours = fs::read_link(format!("/proc/thread-self/{name}"));
        theirs.is_ok() && theirs.ok() == ours.ok()
    };
    same("ns/mnt") && same("root")
}

/// With which rights a thread looks for files.
struct Rights {
    user: Uid,
    group: Gid,
}

impl Rights {
    /// Those of a thread; `None` where we cannot do as it does. Of groups that it has besides we have none: what it
    /// may reach by these alone is left to the kernel.
    fn of(thread: i32) -> Option<Self> {
        /// CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root goes where it likes.
        const EVERYWHERE: u64 = 1 << 1 | 1 << 2;
        let status = fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        // Real, effective, saved, and that for files.
        let last = |name: &str| field(name)?.split_whitespace().nth(3)?.parse().ok();
        let (user, group) = (last("Uid:")?, last("Gid:")?);
        let may = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
        let is_like_ours = user != 0 || may & EVERYWHERE == EVERYWHERE;
        is_like_ours.then_some(Self {
            user: Uid::from_raw(user),
            group: Gid::from_raw(group),
        })
    }

    /// Does something with these rights, on this thread alone.
    fn with<T>(&self, work: impl FnOnce() -> T) -> T {
        let is_root = self.user.is_root();
        // Root's group decides nothing: it goes where it likes.
        let before = (!is_root).then(|| (setfsgid(self.group), setfsuid(self.user)));
        let done = work();
        if let Some((group, user)) = before {
            setfsuid(user);
            setfsgid(group);
        }
        done
    }
}

fn octets(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}
