//! Connections, and whether one has octets that it has not sent although it may.
//!
//! To ask for all of them makes the kernel walk a table as large as the machine is (inet_diag(7)), so that it is
//! done only after one was opened, which the kernel counts (`ActiveOpens`, `PassiveOpens`). Until then those that
//! are known are asked for one by one, which it looks up.

use std::{
    fs::File,
    io,
    os::{fd::AsRawFd, fd::OwnedFd, unix::fs::FileExt},
};

use nix::{
    libc,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

/// `INET_DIAG_INFO`, the `tcp_info` of a connection.
const INFO: u16 = 2;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// Octets before a netlink message's own.
const HEADER: usize = 16;
/// What names a connection in a message about it: ports, addresses, and a number that no other has.
const NAME: std::ops::Range<usize> = 4..52;

/// Those that may still send: ESTABLISHED, FIN_WAIT1, CLOSE_WAIT, LAST_ACK, CLOSING.
const SENDING: u32 = 1 << 1 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 11;
/// SYN_SENT: it is counted as opened, and may send later.
const OPENING: u32 = 1 << 2;

/// A connection as the kernel knows it: its family, and what names it.
type ConnectionName = (u8, [u8; NAME.end - NAME.start]);

/// The connections of this network.
pub(super) struct Connections {
    counters: File,
    diagnostics: OwnedFd,
    buffer: Vec<u8>,
    /// Those that may send, when all were asked for last.
    known: Vec<ConnectionName>,
    /// How many had been opened by then.
    opened: Option<[u64; 2]>,
    /// Whether there was none when that was asked last.
    none: bool,
}

impl Connections {
    /// # Errors
    /// That the kernel does not let this process see its connections.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            counters: File::open("/proc/net/snmp")?,
            diagnostics: socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkSockDiag,
            )?,
            buffer: vec![0; 64 * 1024],
            known: Vec::new(),
            opened: None,
            none: false,
        })
    }

    /// Whether a connection has octets that it has not sent although it may: with Nagle's algorithm the last
    /// ones wait for an acknowledgement, which the other side delays, and meanwhile everybody sleeps.
    ///
    /// # Errors
    /// What the kernel says.
    pub(super) fn octets_wait(&mut self) -> io::Result<bool> {
        let counted = self.counted()?;
        let opened = counted.map(|(_, opened)| opened);
        self.none = counted.is_some_and(|(established, _)| established == 0);
        if self.none {
            return Ok(false);
        }
        if opened.is_some() && opened == self.opened {
            return self.known_wait();
        }
        self.known.clear();
        let mut any = false;
        for family in [libc::AF_INET, libc::AF_INET6] {
            any |= self.ask(family as u8, None)?;
        }
        self.opened = opened;
        Ok(any)
    }

    /// Whether there was none when it was asked last whether octets wait.
    pub(super) fn are_none(&self) -> bool {
        self.none
    }

    /// Asks for those that are known; one that has gone is forgotten.
    fn known_wait(&mut self) -> io::Result<bool> {
        let mut any = false;
        for (family, name) in std::mem::take(&mut self.known) {
            any |= self.ask(family, Some(&name))?;
        }
        Ok(any)
    }

    /// How many connections there are, and how many were opened by either side; `None` where that is not said.
    fn counted(&mut self) -> io::Result<Option<(u64, [u64; 2])>> {
        let length = self.counters.read_at(&mut self.buffer, 0)?;
        let text = std::str::from_utf8(&self.buffer[..length]).unwrap_or_default();
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
        let (names, values) = (lines.next(), lines.next());
        let mut found = [None; 3];
        let names = names.unwrap_or_default().split(' ');
        for (name, value) in names.zip(values.unwrap_or_default().split(' ')) {
            let wanted = ["CurrEstab", "ActiveOpens", "PassiveOpens"];
            if let Some(place) = wanted.iter().position(|wanted| *wanted == name) {
                found[place] = value.parse().ok();
            }
        }
        let [established, active, passive] = found;
        Ok(established.zip(active.zip(passive).map(|(one, other)| [one, other])))
    }

    /// Asks for a connection, or for all of a family (sock_diag(7)); those that may send are known from then on.
    /// Whether one has octets to send.
    fn ask(&mut self, family: u8, name: Option<&[u8; 48]>) -> io::Result<bool> {
        const SOCK_DIAG_BY_FAMILY: u16 = 20;
        let flags = match name {
            Some(_) => libc::NLM_F_REQUEST,
            None => libc::NLM_F_REQUEST | libc::NLM_F_DUMP,
        };
        let mut request = [0; 72];
        request[..4].copy_from_slice(&72_u32.to_ne_bytes());
        request[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
        request[6..8].copy_from_slice(&(flags as u16).to_ne_bytes());
        request[16..19].copy_from_slice(&[family, libc::IPPROTO_TCP as u8, 1 << (INFO - 1)]);
        request[20..24].copy_from_slice(&(SENDING | OPENING).to_ne_bytes());
        if let Some(name) = name {
            request[24..].copy_from_slice(name);
        }
        send(self.diagnostics.as_raw_fd(), &request, MsgFlags::empty())?;
        let mut any = false;
        loop {
            let diagnostics = self.diagnostics.as_raw_fd();
            let length = recv(diagnostics, &mut self.buffer, MsgFlags::empty())?;
            let mut rest = &self.buffer[..length];
            while rest.len() >= HEADER {
                let size = number(rest, 0) as usize;
                if size < HEADER || size > rest.len() {
                    break;
                }
                // One that is not there any more is an error.
                if matches!(number(rest, 4) as u16, ERROR | DONE) {
                    return Ok(any);
                }
                let message = &rest[HEADER..size];
                if may_send(message) {
                    self.known.extend(named(message));
                    any |= has_unsent(message);
                }
                rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
            }
            // Of all of them there is an end that says so.
            if length == 0 || name.is_some() {
                return Ok(any);
            }
        }
    }
}

/// What a message is about.
fn named(message: &[u8]) -> Option<ConnectionName> {
    Some((*message.first()?, message.get(NAME)?.try_into().ok()?))
}

/// Whether a connection, as the kernel describes it, may send now or later.
fn may_send(message: &[u8]) -> bool {
    message.get(1).is_some_and(|state| {
        1_u32.checked_shl((*state).into()).unwrap_or(0) & (SENDING | OPENING) != 0
    })
}

/// Whether a connection, as the kernel describes it, has octets that it has not sent and waits for no window.
fn has_unsent(message: &[u8]) -> bool {
    const FIXED: usize = 72;
    /// SYN_SENT: what it has waits until the other side answers.
    const IS_OPENING: u8 = 2;
    /// The timer of a sender to whom no window is open.
    const PROBING: u8 = 4;
    /// `tcpi_notsent_bytes` in the `tcp_info` of Linux 4.6 and later.
    const NOT_SENT: usize = 144;
    let waits = message.get(2) == Some(&PROBING) || message.get(1) == Some(&IS_OPENING);
    let mut rest = message.get(FIXED..).unwrap_or_default();
    while rest.len() >= 4 {
        let size = usize::from(number(rest, 0) as u16);
        if size < 4 || size > rest.len() {
            return false;
        }
        if (number(rest, 0) >> 16) as u16 == INFO && size >= 4 + NOT_SENT + 4 {
            return number(rest, 4 + NOT_SENT) > 0 && !waits;
        }
        rest = rest.get(size.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}

fn number(octets: &[u8], at: usize) -> u32 {
    let found = octets.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |found| u32::from_ne_bytes(*found))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{TcpListener, TcpStream},
        time::{Duration, Instant},
    };

    use super::*;

    /// A connection whose last octets wait for an acknowledgement, in which case somebody is about to do something, and
    /// which has nothing to send once they have come.
    #[test]
    fn octets_that_wait_are_seen_until_they_go() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bound");
        let address = listener.local_addr().expect("known");
        let mut one = TcpStream::connect(address).expect("connected");
        let (mut other, _) = listener.accept().expect("accepted");
        let mut connections = Connections::new().expect("told");
        let begun = Instant::now();
        let mut sent = 0;
        // The first acknowledgements come at once.
        while !connections.octets_wait().expect("told") {
            assert!(begun.elapsed() < Duration::from_secs(10));
            sent += one.write(b".").expect("sent");
        }
        let mut came = vec![0; sent];
        other.read_exact(&mut came).expect("all of them");
        // Others' connections are here, too.
        while connections.octets_wait().expect("told") {
            assert!(begun.elapsed() < Duration::from_secs(10));
        }
        assert!(!connections.known.is_empty());
    }
}
