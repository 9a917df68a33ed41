//! Connections that are made, and given up when the kernel would give them up.
//!
//! The kernel repeats a SYN by its own clock, on which no time passes. A call that blocks is held here, and told so at
//! the moment at which the kernel would have ended it. Where the socket does not block, its process waits for it as for
//! anything else, so that the socket itself has to fail: at that moment it is given no more time
//! (`TCP_USER_TIMEOUT`), and the kernel gives up when it next looks, which is a second after the SYN. Until then
//! time stands still.
//!
//! What is kept of such a socket is where its process has it and its number, no duplicate: one that its process
//! closes must be closed.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::{Duration, Instant},
};

use mxdrill_notify::Answer;
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    libc,
    sys::socket::{
        MsgFlags, SockType, SockaddrLike, SockaddrStorage, connect, getsockopt, sendto, setsockopt,
        sockopt,
    },
};

use super::{
    memory::{Memory, Nanos, SECOND},
    opened::{Name, Opened},
    pending::{GivenUp, PendingConnect},
    received::ReceivedCall,
    supervisor::Supervisor,
    wait::{Handled, Kind, is_silent},
};

use Handled::Answer as Now;

/// The longest that the kernel waits before it repeats a SYN.
const LONGEST: Nanos = 120 * SECOND;
/// How long it may take until the kernel looks at a SYN, which it repeats after a second.
const IS_LOOKED_AT: Duration = Duration::from_secs(5);
/// The most that is sent along with a SYN here.
const MOST_OCTETS: u64 = 64 * 1024;

impl Supervisor {
    /// `connect`, and `sendto` that connects (`MSG_FASTOPEN`). Both are done here: who asks does not notice, and it is
    /// known what comes of it.
    pub(super) fn connects(&mut self, call: &ReceivedCall) -> Option<Handled> {
        self.quiet.connects();
        let memory = Memory(call.thread);
        let [number, data, size, _, to, length] = call.arguments;
        let is_fast = call.number == libc::SYS_sendto;
        // `sendto` has the address behind the data, `connect` right after the socket.
        let (address, length) = if is_fast { (to, length) } else { (data, size) };
        let octets = memory.read(address, length.try_into().ok().filter(|size| *size <= 128)?)?;
        let address = socket_address(&octets)?;
        let data = match is_fast {
            true if size > MOST_OCTETS => return None,
            true => Some(memory.read(data, size.try_into().ok()?)?),
            false => None,
        };
        let number = i32::try_from(number).ok()?;
        let of = self.quiet.threads.process_with(call.thread).ok()?;
        let socket = of.descriptor(number).ok()?;
        if getsockopt(&socket, sockopt::SockType) != Ok(SockType::Stream) {
            return None;
        }
        // By the settings of this socket and this namespace at the moment, as the kernel takes them.
        let due = self.now().saturating_add(limit(&socket));
        let flags = OFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFL).ok()?);
        let is_blocking = !flags.contains(OFlag::O_NONBLOCK);
        if is_blocking {
            fcntl(&socket, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).ok()?;
        }
        let begun = match &data {
            Some(data) => send_with_syn(&socket, data, &address),
            None => connect(socket.as_raw_fd(), &address).map(|()| 0),
        };
        if is_blocking {
            // The program's socket is the same one, and must block again before the program is told anything.
            fcntl(&socket, FcntlArg::F_SETFL(flags)).ok()?;
        }
        // One that is made or refused at once, as within the namespace most are, needs no waiting.
        let is_under_way = matches!(begun, Ok(_) | Err(Errno::EINPROGRESS)) && is_silent(&socket);
        if is_blocking && begun == Err(Errno::EINPROGRESS) {
            return Some(Handled::Wait(Kind::Connect(socket, data), due));
        }
        if is_under_way {
            let name = Name::of_socket(&socket).ok()?;
            let socket = Opened::new(of, number, name);
            self.attempts.push(PendingConnect { socket, due });
        }
        Some(Now(match begun {
            Ok(sent) => Answer::Value(sent),
            Err(error) => Answer::Error(error as i32),
        }))
    }

    /// Forgets the attempts that were answered, failed or were closed; when the first of the others is due.
    pub(super) fn next_attempt(&mut self) -> Option<Nanos> {
        let threads = &mut self.quiet.threads;
        self.attempts
            .retain_mut(|attempt| attempt.silent(threads).is_some());
        self.attempts.iter().map(|attempt| attempt.due).min()
    }

    /// Has the kernel give up the attempts that are due; whether it has done so with any.
    pub(super) fn give_up(&mut self) -> bool {
        let now = self.now();
        let threads = &mut self.quiet.threads;
        // Taken off the list whether they are silent or not: an answer that came is the program's to find.
        let due = self.attempts.extract_if(.., |attempt| attempt.due <= now);
        for socket in due.filter_map(|mut attempt| attempt.silent(threads)) {
            let before = getsockopt(&socket, sockopt::TcpUserTimeout).unwrap_or(0);
            setsockopt(&socket, sockopt::TcpUserTimeout, &1).ok();
            self.given_up.push(GivenUp {
                socket,
                since: Instant::now(),
                before,
            });
        }
        let over = self.given_up.extract_if(.., |one| {
            !is_silent(&one.socket) || one.since.elapsed() > IS_LOOKED_AT
        });
        let mut any = false;
        for GivenUp { socket, before, .. } in over {
            any = true;
            // The last SYN may have been answered after all.
            setsockopt(&socket, sockopt::TcpUserTimeout, &before).ok();
        }
        any
    }
}

/// How long the kernel tries to connect a socket: it repeats the SYN so many times, a second apart at first (Linux
/// 6.5 and later), then after twice as long each time.
fn limit(socket: &OwnedFd) -> Nanos {
    let network = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
        text.trim().parse().ok()
    };
    let repeated = mxdrill_notify::repetitions_of_syn(socket.as_fd())
        .ok()
        .and_then(|count| u32::try_from(count).ok())
        .or_else(|| network("tcp_syn_retries"))
        .unwrap_or(6);
    tries_for(network("tcp_syn_linear_timeouts").unwrap_or(0), repeated)
}

/// How long it takes to repeat a SYN so many times, a second apart and then after twice as long each time, and to wait
/// for an answer to the last one.
fn tries_for(linear: u32, doubled: u32) -> Nanos {
    // 1, 2, 4 seconds and so on, up to two minutes; the last is the wait for an answer.
    let waits = (0..=doubled).map(|power| (SECOND << power.min(7)).min(LONGEST));
    Nanos::from(linear) * SECOND + waits.sum::<Nanos>()
}

/// Connects a socket and sends octets along, where the other side has allowed it before.
fn send_with_syn(socket: &OwnedFd, data: &[u8], to: &SockaddrStorage) -> nix::Result<i64> {
    let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN) | MsgFlags::MSG_NOSIGNAL;
    let sent = sendto(socket.as_raw_fd(), data, to, flags)?;
    i64::try_from(sent).map_err(|_| Errno::EOVERFLOW)
}

/// An address of IPv4 or IPv6; others are not waited for.
fn socket_address(octets: &[u8]) -> Option<SockaddrStorage> {
    // A `sockaddr` has its family as the machine writes numbers, and its port as the network does.
    let family = i32::from(u16::from_ne_bytes(*octets.first_chunk()?));
    let port = u16::from_be_bytes(*octets.get(2..)?.first_chunk()?);
    let address = match family {
        libc::AF_INET => {
            let ip: [u8; 4] = *octets.get(4..)?.first_chunk()?;
            std::net::SocketAddr::from((ip, port))
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = *octets.get(8..)?.first_chunk()?;
            std::net::SocketAddr::from((ip, port))
        }
        _ => return None,
    };
    let storage = SockaddrStorage::from(address);
    (storage.len() > 0).then_some(storage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tries_for_so_long() {
        // tcp(7) and ip-sysctl of Linux: 127 s, and 131 s with four linear time-outs.
        for (linear, doubled, seconds) in [(0, 6, 127), (4, 6, 131), (0, 0, 1), (0, 8, 367)] {
            assert_eq!(tries_for(linear, doubled), seconds * SECOND);
        }
    }
}
