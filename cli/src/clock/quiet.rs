//! Whether nothing goes on: every thread sleeps, and no octet is on its way.
//!
//! This is what a leap of time rests on. If it happens although something goes on, whoever was about to act finds
//! that its time has passed: time-outs that never were, and messages that are sent twice. What is looked at, and
//! why it takes so much:
//!
//! 1. The state of each thread. That alone is not enough: a thread that has said that it will sleep, and looks
//!    once more whether it has to, is shown as asleep while it runs.
//! 2. Where the kernel has it blocked (`wchan`), which is nowhere as long as it is to run.
//! 3. How long and how often it ran (`schedstat`). Threads are looked at one after the other, and who is seen asleep
//!    may be woken by one that is seen asleep later. If no count differs from one look to the next, nobody ran in
//!    between, and all slept at one time.
//! 4. Processes that have ended. Whoever waits for the end of one is woken a little after it is shown as ended.
//! 5. Octets that a connection has not sent although it may: they go when an acknowledgement comes, which the
//!    other side's kernel delays for 40 ms, in which everybody sleeps.
//!
//! Threads of the lab count as well; the one that looks does not.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::{fd::AsRawFd, fd::OwnedFd, unix::fs::FileExt},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use nix::{
    libc,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

/// `INET_DIAG_INFO`, the `tcp_info` of a connection.
const INFO: u16 = 2;

/// Threads, with the line in which the kernel counts how long each ran, how long it waited to, and how often.
type Sleepers = BTreeMap<i32, Vec<u8>>;

/// What is looked at to find out.
pub(super) struct Quiet {
    /// The thread that looks, which does not sleep.
    own: i32,
    /// Processes that have ended and that nobody has taken note of, since when.
    ended: BTreeMap<i32, Instant>,
    /// What the last look saw, if all slept.
    seen: Option<Sleepers>,
    /// For how many nanoseconds the processor worked for each thread.
    worked: BTreeMap<i32, u64>,
    connections: File,
    diagnostics: OwnedFd,
}

impl Quiet {
    /// For the threads of this namespace of processes but the one that this is called on.
    ///
    /// # Errors
    /// That the kernel does not let this process see its connections.
    pub(super) fn new() -> io::Result<Self> {
        shows_what_is_blocked()?;
        Ok(Self {
            own: nix::unistd::gettid().as_raw(),
            ended: BTreeMap::new(),
            seen: None,
            worked: BTreeMap::new(),
            connections: File::open("/proc/net/snmp")?,
            diagnostics: socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkSockDiag,
            )?,
        })
    }

    /// Whether every thread has slept since this was asked last. A look takes its time, and who is seen asleep may
    /// be woken by who is looked at later; if no thread ran from one look to the next, all slept at once.
    pub(super) fn all_slept(&mut self) -> bool {
        let seen = self.sleepers();
        let all_slept = seen.is_some() && seen == self.seen;
        self.seen = seen;
        all_slept
    }

    /// Something went on: what was seen last says nothing any more.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Every thread, with what the processor did for it so far; `None` where one does not sleep.
    fn sleepers(&mut self) -> Option<Sleepers> {
        let ids: Vec<i32> = numbers(fs::read_dir("/proc").ok()?).collect();
        self.ended.retain(|process, _| ids.contains(process));
        let mut all = Sleepers::new();
        for process in ids {
            self.look_at(process, &mut all)?;
        }
        Some(all)
    }

    /// How long the processor worked for the threads that there are, and for those that were there when this was asked
    /// before.
    pub(super) fn computed(&mut self) -> Duration {
        let processes = fs::read_dir("/proc").into_iter().flat_map(numbers);
        for process in processes.collect::<Vec<_>>() {
            let folder = fs::read_dir(format!("/proc/{process}/task"));
            for thread in folder.into_iter().flat_map(numbers) {
                let counts = fs::read_to_string(format!("/proc/{process}/task/{thread}/schedstat"));
                let counts = counts.unwrap_or_default();
                let worked = counts.split(' ').next().and_then(|one| one.parse().ok());
                if let Some(worked) = worked.filter(|_| thread != self.own) {
                    self.worked.insert(thread, worked);
                }
            }
        }
        Duration::from_nanos(self.worked.values().sum())
    }

    fn look_at(&mut self, process: i32, all: &mut Sleepers) -> Option<()> {
        let (own, threads) = state(process, process)?;
        if own == ENDED && threads <= 1 {
            let since = self.ended.entry(process).or_insert_with(Instant::now);
            all.insert(process, Vec::new());
            return (since.elapsed() > TAKES_NOTE).then_some(());
        }
        let threads = match threads {
            ..=1 => vec![process],
            _ => numbers(fs::read_dir(format!("/proc/{process}/task")).ok()?).collect(),
        };
        for thread in threads.into_iter().filter(|thread| *thread != self.own) {
            let (state, _) = state(process, thread)?;
            if state != ENDED && !(is_asleep(state) && is_blocked(process, thread)) {
                return None;
            }
            let did = fs::read(format!("/proc/{process}/task/{thread}/schedstat")).ok()?;
            all.insert(thread, did);
        }
        Some(())
    }

    /// Whether a connection has octets that it has not sent although it may: with Nagle's algorithm the last
    /// ones wait for an acknowledgement, which the other side delays, and meanwhile everybody sleeps.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn octets_wait(&self) -> io::Result<bool> {
        if self.established()? == 0 {
            return Ok(false);
        }
        for family in [libc::AF_INET, libc::AF_INET6] {
            if self.unsent(family)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many connections there are (`CurrEstab`), which is cheap to know.
    fn established(&self) -> io::Result<u64> {
        let mut octets = vec![0; 16 * 1024];
        let length = self.connections.read_at(&mut octets, 0)?;
        let text = String::from_utf8_lossy(&octets[..length]);
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next(), lines.next());
        let mut pairs = names
            .unwrap_or("")
            .split(' ')
            .zip(values.unwrap_or("").split(' '));
        let found = pairs.find(|(name, _)| *name == "CurrEstab");
        // Where that is not said, there may be any.
        Ok(found.and_then(|(_, value)| value.parse().ok()).unwrap_or(1))
    }

    /// Asks for the connections of a family, and whether one has octets to send (sock_diag(7)).
    fn unsent(&self, family: libc::c_int) -> io::Result<bool> {
        // ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING: those that may still send.
        const STATES: u32 = 1 << 1 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 11;
        const SOCK_DIAG_BY_FAMILY: u16 = 20;
        let mut request = Vec::new();
        request.extend(72_u32.to_ne_bytes());
        request.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request.extend(((libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16).to_ne_bytes());
        request.extend([0; 8]);
        request.extend([family as u8, libc::IPPROTO_TCP as u8, 1 << (INFO - 1), 0]);
        request.extend(STATES.to_ne_bytes());
        request.extend([0; 48]);
        send(self.diagnostics.as_raw_fd(), &request, MsgFlags::empty())?;
        let (mut buffer, mut found) = (vec![0; 64 * 1024], false);
        loop {
            let length = recv(self.diagnostics.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
            let mut rest = &buffer[..length];
            while rest.len() >= 16 {
                let size = number(rest, 0) as usize;
                let kind = number(rest, 4) as u16;
                if size < 16 || size > rest.len() {
                    break;
                }
                // NLMSG_ERROR and NLMSG_DONE
                if kind == 2 || kind == 3 {
                    return Ok(found);
                }
                found |= has_unsent(&rest[16..size]);
                rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
            }
            if length == 0 {
                return Ok(found);
            }
        }
    }
}

/// Tries whether this system says of a thread that it is blocked.
fn shows_what_is_blocked() -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    let sleeper = thread::spawn(move || {
        tell.send(nix::unistd::gettid().as_raw()).ok();
        ended.recv().ok();
    });
    let thread = told.recv().map_err(io::Error::other)?;
    let process = i32::try_from(std::process::id()).map_err(io::Error::other)?;
    let begun = Instant::now();
    let mut is_shown = is_blocked(process, thread);
    while !is_shown && begun.elapsed() < IS_SHOWN {
        thread::yield_now();
        is_shown = is_blocked(process, thread);
    }
    drop(end);
    sleeper.join().ok();
    let counts = fs::read(format!("/proc/{process}/task/{process}/schedstat")).is_ok();
    is_shown &= counts;
    let why = "virtual time needs a kernel that says where a thread waits and what it did (wchan and schedstat in /proc)";
    if is_shown {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

/// How long a thread may take to fall asleep.
const IS_SHOWN: Duration = Duration::from_secs(5);

/// Whether a connection, as the kernel describes it, has octets that it has not sent and waits for no window.
fn has_unsent(message: &[u8]) -> bool {
    const FIXED: usize = 72;
    /// The timer of a sender to whom no window is open.
    const PROBING: u8 = 4;
    /// `tcpi_notsent_bytes` in the `tcp_info` of Linux 4.6 and later.
    const NOT_SENT: usize = 144;
    let waits_for_a_window = message.get(2) == Some(&PROBING);
    let mut rest = message.get(FIXED..).unwrap_or_default();
    while rest.len() >= 4 {
        let size = usize::from(number(rest, 0) as u16);
        if size < 4 || size > rest.len() {
            return false;
        }
        if (number(rest, 0) >> 16) as u16 == INFO && size >= 4 + NOT_SENT + 4 {
            return number(rest, 4 + NOT_SENT) > 0 && !waits_for_a_window;
        }
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn number(octets: &[u8], at: usize) -> u32 {
    let found = octets.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |found| u32::from_ne_bytes(*found))
}

/// The state of a thread, and how many its process has; `None` if it is gone.
fn state(process: i32, thread: i32) -> Option<(u8, u32)> {
    let text = fs::read(format!("/proc/{process}/task/{thread}/stat")).ok()?;
    // The name, which may hold anything, is in parentheses.
    let end = text.iter().rposition(|octet| *octet == b')')?;
    let rest = std::str::from_utf8(text.get(end + 2..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = fields.next()?.bytes().next()?;
    let threads = fields.nth(16)?.parse().ok()?;
    Some((state, threads))
}

/// The entries of a folder that are numbers.
fn numbers(folder: fs::ReadDir) -> impl Iterator<Item = i32> {
    let names = folder.flatten().map(|one| one.file_name());
    names.filter_map(|name| name.to_str()?.parse().ok())
}

/// The state of what has ended, and somebody is to take note of it.
const ENDED: u8 = b'Z';
/// How long the kernel may take to tell who waits for the end of a process that it shows as ended: where that had
/// several threads, the last of them does it when it is seen no more. The machine may be busy.
const TAKES_NOTE: Duration = Duration::from_millis(20);

/// Whether a thread is where the processor has nothing to do with it. The kernel shows one as asleep, too, that is
/// about to be and looks once more whether it has to; where others compute, that may take a while.
fn is_blocked(process: i32, thread: i32) -> bool {
    let place = fs::read(format!("/proc/{process}/task/{thread}/wchan"));
    place.is_ok_and(|place| !matches!(&place[..], b"" | b"0"))
}

/// Whether a thread does nothing, as far as its state says: it sleeps or is stopped.
fn is_asleep(state: u8) -> bool {
    matches!(state, b'S' | b'T' | b't' | b'I')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_computes_is_not_asleep() {
        let this = nix::unistd::gettid().as_raw();
        let process = i32::try_from(std::process::id()).expect("small");
        let (state, threads) = state(process, this).expect("there");
        assert!(!is_asleep(state) && threads >= 1);
        assert_eq!(super::state(process, i32::MAX), None);
    }
}
