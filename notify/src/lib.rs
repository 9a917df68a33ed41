//! System calls of other processes, answered: seccomp user notifications (Linux, `seccomp_unotify(2)`).
//!
//! A process installs a filter ([`install`]) and hands the [`Listener`] that comes of it to another one,
//! its supervisor. Calls that the filter names then wait until the supervisor answers them. Everything that
//! needs `unsafe` for this is here, and nothing else: what a call means, and what to answer, is for others to
//! say.
//!
//! A supervisor does in turn: [`Listener::receive`], decide, [`Listener::answer`]. It may hold a call for as long as
//! it likes. If the thread that made it is interrupted by a signal meanwhile, the call goes away, which
//! [`Listener::is_waiting`] tells, and the thread may make it anew.
#![cfg(target_os = "linux")]

#[cfg(target_arch = "x86_64")]
pub mod clock;

use std::{
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

/// An instruction of a classic BPF program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What it does: `BPF_LD`, `BPF_JMP`, `BPF_RET` and their variants.
    pub code: u16,
    /// How many instructions are passed over where a condition holds.
    pub if_true: u8,
    /// How many where it does not.
    pub if_false: u8,
    /// The operand.
    pub operand: u32,
}

/// Installs a filter for this thread and all that it starts, and returns where its notifications come.
/// Nobody who is filtered can gain privileges any more (`no_new_privs`).
///
/// # Errors
/// What the kernel does not allow; `EBUSY` where a listener is installed already.
pub fn install(program: &[Instruction]) -> io::Result<Listener> {
    let mut filter: Vec<libc::sock_filter> = program
        .iter()
        .map(|one| libc::sock_filter {
            code: one.code,
            jt: one.if_true,
            jf: one.if_false,
            k: one.operand,
        })
        .collect();
    let length = filter.len().try_into();
    let program = libc::sock_fprog {
        len: length.map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: filter.as_mut_ptr(),
    };
    // SAFETY: the call takes numbers alone.
    if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `program` points to `filter`, and both live until the call has copied them.
    let listener = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    owned(listener).map(Listener)
}

/// The descriptor that a call returned, which nobody else has.
fn owned(returned: libc::c_long) -> io::Result<OwnedFd> {
    if returned < 0 {
        return Err(io::Error::last_os_error());
    }
    let number = RawFd::try_from(returned).map_err(io::Error::other)?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A descriptor of our own for one that this process was started with, by the number that it was told. What is under
/// that number is closed when the process becomes another program.
///
/// # Errors
/// That there is nothing.
pub fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the calls take numbers alone, and close nothing that anybody has here.
    let (own, set) = unsafe {
        (
            libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 0),
            libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC),
        )
    };
    let own = owned(own.into())?;
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(own)
}

/// Receives a listener over a socket; it waits for one. `None` where nobody is left who could send one, or what came is
/// none.
///
/// # Errors
/// What the kernel says.
pub fn receive_listener(socket: BorrowedFd<'_>) -> io::Result<Option<Listener>> {
    let mut octet = 0_u8;
    let mut buffer = libc::iovec {
        iov_base: (&raw mut octet).cast(),
        iov_len: 1,
    };
    // A header and one descriptor, aligned as the header has to be.
    let mut space = [0_u64; 3];
    // SAFETY: a structure of numbers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut buffer;
    message.msg_iovlen = 1;
    message.msg_control = space.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&space) as _;
    // SAFETY: what the message points to is there until the call has returned, and is as large as it says.
    let came = unsafe {
        let flags = libc::MSG_CMSG_CLOEXEC;
        libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags)
    };
    if came < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has filled the message in, and a header that it points to lies within the space.
    let descriptor = unsafe {
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        let is_one = !header.is_null()
            && (*header).cmsg_level == libc::SOL_SOCKET
            && (*header).cmsg_type == libc::SCM_RIGHTS;
        is_one.then(|| libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned())
    };
    let listener = descriptor.map(|number| owned(number.into()));
    Ok(listener.transpose()?.map(Listener))
}

/// How long a marked timer's interval is at least, in seconds: a hundred years, in which it does not end.
#[cfg(target_arch = "x86_64")]
const MARKED: libc::time_t = 3_153_600_000;
/// How many marks a second has.
#[cfg(target_arch = "x86_64")]
const MARKS: u64 = 1_000_000_000;

/// Sets a timer with a descriptor: it fires once after so many nanoseconds, never with 0. It is marked with a number,
/// which is kept as an interval that is too long to pass.
///
/// # Errors
/// That it is no timer.
#[cfg(target_arch = "x86_64")]
pub fn set_timer(timer: &OwnedFd, nanos: i64, number: u64) -> io::Result<()> {
    let seconds = libc::time_t::try_from(number / MARKS).map_err(io::Error::other)?;
    let value = libc::itimerspec {
        it_interval: libc::timespec {
            tv_sec: MARKED + seconds,
            tv_nsec: (number % MARKS) as libc::c_long,
        },
        it_value: libc::timespec {
            tv_sec: 0,
            tv_nsec: nanos,
        },
    };
    // SAFETY: the call reads the structure that it is made for, and writes nothing.
    let set = unsafe {
        libc::timerfd_settime(timer.as_raw_fd(), 0, &raw const value, std::ptr::null_mut())
    };
    if set == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The number that a timer with a descriptor was marked with, if it was.
///
/// # Errors
/// That it is no timer.
#[cfg(target_arch = "x86_64")]
pub fn timer_number(timer: &OwnedFd) -> io::Result<Option<u64>> {
    let none = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut value = libc::itimerspec {
        it_interval: none,
        it_value: none,
    };
    // SAFETY: the call fills the structure that it is made for.
    if unsafe { libc::timerfd_gettime(timer.as_raw_fd(), &raw mut value) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let libc::timespec { tv_sec, tv_nsec } = value.it_interval;
    let seconds = u64::try_from(tv_sec - MARKED).ok();
    Ok(seconds.map(|seconds| seconds * MARKS + tv_nsec as u64))
}

/// How often the kernel repeats the SYN of a socket until it gives up (`TCP_SYNCNT`, or what is set for its network).
///
/// # Errors
/// That it is no socket of TCP.
pub fn repetitions_of_syn(socket: BorrowedFd<'_>) -> io::Result<i32> {
    let mut count: libc::c_int = 0;
    let mut size = size_of::<libc::c_int>() as libc::socklen_t;
    let at = (&raw mut count).cast();
    // SAFETY: the call writes a number, for which there is room, and its size.
    let got = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_SYNCNT,
            at,
            &raw mut size,
        )
    };
    if got == 0 {
        Ok(count)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What the kernel says of the system: its `sysinfo`, in words of eight octets.
///
/// # Errors
/// What the kernel says.
#[cfg(target_arch = "x86_64")]
pub fn system_information() -> io::Result<[u64; 14]> {
    const { assert!(size_of::<libc::sysinfo>() == size_of::<[u64; 14]>()) };
    let mut information = [0; 14];
    // SAFETY: the call fills a structure of the same size, for which words are aligned as it needs.
    if unsafe { libc::sysinfo(information.as_mut_ptr().cast()) } == 0 {
        Ok(information)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What the kernel says of an open file: its `stat`, in words of eight octets.
///
/// # Errors
/// What the kernel says.
#[cfg(target_arch = "x86_64")]
pub fn status(file: BorrowedFd<'_>) -> io::Result<[u64; 18]> {
    const { assert!(size_of::<libc::stat>() == size_of::<[u64; 18]>()) };
    let mut status = [0; 18];
    // SAFETY: the call fills a structure of the same size, for which words are aligned as it needs.
    let done = unsafe { libc::fstat(file.as_raw_fd(), status.as_mut_ptr().cast()) };
    if done == 0 {
        Ok(status)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// What the kernel says of an open file: its `statx`, in words of eight octets. Flags and mask are those of the call.
///
/// # Errors
/// What the kernel says.
pub fn extended_status(file: BorrowedFd<'_>, flags: i32, mask: u32) -> io::Result<[u64; 32]> {
    const { assert!(size_of::<libc::statx>() == size_of::<[u64; 32]>()) };
    let (file, flags) = (file.as_raw_fd(), flags | libc::AT_EMPTY_PATH);
    let mut status = [0; 32];
    // SAFETY: the path is empty, and the call fills a structure of the same size, for which words are aligned as it
    // needs.
    let done = unsafe { libc::statx(file, c"".as_ptr(), flags, mask, status.as_mut_ptr().cast()) };
    if done == 0 {
        Ok(status)
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A system call that waits to be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// By which it is answered.
    pub id: u64,
    /// The id of the thread that made it, in the namespace of processes of who receives it.
    pub thread: i32,
    /// Its number on this architecture.
    pub number: i64,
    /// The address of the instruction behind it.
    pub instruction: u64,
    /// What it was called with.
    pub arguments: [u64; 6],
}

/// How a call is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It returns this, and the kernel does nothing.
    Value(i64),
    /// It fails with this number of an error, and the kernel does nothing.
    Error(i32),
    /// The kernel does what it was asked for.
    Continue,
}

/// Where calls come that wait for an answer.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// The next call; it waits for one. `None` if that has gone away meanwhile, as by a signal.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn receive(&self) -> io::Result<Option<Call>> {
        // SAFETY: a structure of numbers, for which zeros are valid; the kernel wants them.
        let mut call: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the request fills the structure that it is made for.
        let received = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_RECV,
                &raw mut call,
            )
        };
        if received != 0 {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::ENOENT | libc::EINTR) => Ok(None),
                _ => Err(error),
            };
        }
        Ok(Some(Call {
            id: call.id,
            thread: i32::try_from(call.pid).unwrap_or(0),
            number: call.data.nr.into(),
            instruction: call.data.instruction_pointer,
            arguments: call.data.args,
        }))
    }

    /// Answers a call. One that has gone away is none.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn answer(&self, id: u64, answer: Answer) -> io::Result<()> {
        let (val, error, flags) = match answer {
            Answer::Value(value) => (value, 0, 0),
            Answer::Error(number) => (0, -number, 0),
            Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
        };
        let answer = libc::seccomp_notif_resp {
            id,
            val,
            error,
            flags,
        };
        // SAFETY: the request reads the structure that it is made for.
        let sent = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_SEND,
                &raw const answer,
            )
        };
        if sent != 0 {
            let error = io::Error::last_os_error();
            if error.raw_os_error() != Some(libc::ENOENT) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether a call still waits: what was read of its process is then that process's.
    pub fn is_waiting(&self, id: u64) -> bool {
        // SAFETY: the request reads the number.
        let valid = unsafe {
            libc::ioctl(
                self.0.as_raw_fd(),
                libc::SECCOMP_IOCTL_NOTIF_ID_VALID,
                &raw const id,
            )
        };
        valid == 0
    }
}

/// A process, however long it lives: its id may be another's when it has ended.
#[derive(Debug)]
pub struct Process(OwnedFd);

impl Process {
    /// The process of this id.
    ///
    /// # Errors
    /// That there is none.
    pub fn open(id: i32) -> io::Result<Self> {
        // SAFETY: the call takes numbers alone.
        owned(unsafe { libc::syscall(libc::SYS_pidfd_open, id, 0) }).map(Self)
    }

    /// A descriptor of its own for what the process has open under a number.
    ///
    /// # Errors
    /// That it has nothing there, or may not be looked at.
    pub fn descriptor(&self, number: RawFd) -> io::Result<OwnedFd> {
        let process = self.0.as_raw_fd();
        // SAFETY: the call takes numbers alone.
        owned(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, number, 0) })
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// That it has ended, or may not be sent any.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        let process = self.0.as_raw_fd();
        let no_details: *const libc::siginfo_t = std::ptr::null();
        // SAFETY: without details the call takes numbers alone.
        let sent =
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, process, signal, no_details, 0) };
        if sent == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }
}
