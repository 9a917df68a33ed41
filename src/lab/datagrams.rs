//! What comes at once: room for it in the kernel, and how much it lost for want of that.
//!
//! A sender that starts a thousand deliveries asks thousands of questions before the name server has its turn. What the
//! kernel drops then looks to the sender like a name server that does not answer, and is the lab's own fault. So does a
//! connection that finds a backlog full look like an exchanger that is silent.

/// Sockets and their tables, as Linux has them.
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod kernel {
    use std::{fs, net::SocketAddr, os::fd::AsFd};

    use nix::sys::socket::{setsockopt, sockopt};

    use crate::stream::as_listed;

    /// Octets of datagrams that may wait: fifty thousand questions, as the kernel counts them. They take no memory
    /// until they come.
    const ROOM: usize = 64 << 20;

    /// Gives a socket room, or as much of it as this process may have.
    pub(in super::super) fn make_room(socket: &impl AsFd) {
        // Whoever may not go beyond the system's bound has what that allows.
        if setsockopt(socket, sockopt::RcvBufForce, &ROOM).is_err() {
            setsockopt(socket, sockopt::RcvBuf, &ROOM).ok();
        }
    }

    /// Datagrams that the kernel dropped at a socket of this network, for as long as the socket is there; with
    /// `at_any` at all sockets of its port.
    pub(in super::super) fn dropped(at: SocketAddr, at_any: bool) -> u64 {
        let end = as_listed(at);
        let (_, port) = end.rsplit_once(':').expect("an address and a port");
        let is_it = |local: &str| match at_any {
            true => local.rsplit_once(':').is_some_and(|(_, own)| own == port),
            false => local == end,
        };
        // A number, the local end, and more; the last column is what was dropped.
        let drops = |line: &str| {
            let local = line.split_ascii_whitespace().nth(1)?;
            let last = line.split_ascii_whitespace().next_back()?;
            last.parse::<u64>().ok().filter(|_| is_it(local))
        };
        let tables = ["/proc/thread-self/net/udp", "/proc/thread-self/net/udp6"];
        let read = tables.map(|table| fs::read_to_string(table).unwrap_or_default());
        read.iter()
            .flat_map(|table| table.lines())
            .filter_map(drops)
            .sum()
    }

    /// Datagrams of this network that found no room, whoever they were for.
    pub(in super::super) fn without_room() -> u64 {
        let of_version_6 = fs::read_to_string("/proc/thread-self/net/snmp6").unwrap_or_default();
        let mut of_version_6 = of_version_6.lines();
        let of_version_6 = of_version_6.find_map(|line| line.strip_prefix("Udp6RcvbufErrors"));
        let of_version_6 = of_version_6.and_then(|count| count.trim().parse::<u64>().ok());
        counter("snmp", "Udp: ", "RcvbufErrors") + of_version_6.unwrap_or(0)
    }

    /// Connections of this network that a full backlog turned away, whoever listened.
    pub(in super::super) fn turned_away() -> u64 {
        counter("netstat", "TcpExt: ", "ListenOverflows")
    }

    /// What a file of this network counts under a name; 0 if it does not.
    fn counter(file: &str, of: &str, name: &str) -> u64 {
        let counters = fs::read_to_string(format!("/proc/thread-self/net/{file}"));
        let counters = counters.unwrap_or_default();
        // A line of names, and one of what they count.
        let mut lines = counters.lines().filter_map(|line| line.strip_prefix(of));
        let (names, counts) = (lines.next().unwrap_or_default(), lines.next());
        let mut named = names.split(' ').zip(counts.unwrap_or_default().split(' '));
        let found = named.find(|(known, _)| *known == name);
        found.and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
    }
}

/// Elsewhere the system's usual room has to do, and nobody says what is dropped.
#[cfg(not(all(target_os = "linux", feature = "private-network")))]
mod kernel {
    use std::net::SocketAddr;

    pub(in super::super) fn make_room<T>(_socket: &T) {}

    pub(in super::super) fn dropped(_at: SocketAddr, _at_any: bool) -> u64 {
        0
    }

    pub(in super::super) fn without_room() -> u64 {
        0
    }

    pub(in super::super) fn turned_away() -> u64 {
        0
    }
}

pub(super) use self::kernel::{dropped, make_room, turned_away, without_room};

#[cfg(all(test, target_os = "linux", feature = "private-network"))]
mod tests {
    use std::{
        net::{SocketAddrV4, TcpStream, UdpSocket},
        os::fd::AsRawFd,
        time::Duration,
    };

    use nix::sys::socket::{
        AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, getsockname, listen, socket,
    };

    use super::*;

    #[test]
    fn connections_that_find_a_backlog_full_are_counted() {
        let listener = socket(
            AddressFamily::Inet,
            SockType::Stream,
            SockFlag::empty(),
            None,
        )
        .expect("a socket");
        let any = SockaddrIn::new(127, 0, 0, 1, 0);
        bind(listener.as_raw_fd(), &any).expect("bound");
        listen(&listener, Backlog::new(1).expect("a number")).expect("listening");
        let at = getsockname::<SockaddrIn>(listener.as_raw_fd());
        let at = SocketAddrV4::from(at.expect("bound")).into();
        let before = turned_away();
        // Linux queues one more than it is told; the others' SYN is not answered.
        let wait = Duration::from_millis(50);
        let queued: Vec<_> = (0..6)
            .map(|_| TcpStream::connect_timeout(&at, wait))
            .collect();
        assert!(queued.iter().any(Result::is_err));
        assert!(turned_away() > before);
    }

    #[test]
    fn what_the_kernel_drops_is_counted_and_room_keeps_it_from_that() {
        let socket = || UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let send = |count: usize, to: &UdpSocket| {
            let from = socket();
            let to = to.local_addr().expect("bound");
            for _ in 0..count {
                from.send_to(&[0; 40], to).expect("sent");
            }
            dropped(to, false)
        };
        // As little room as there can be: a few datagrams.
        let narrow = socket();
        nix::sys::socket::setsockopt(&narrow, nix::sys::socket::sockopt::RcvBuf, &1).expect("set");
        let before = without_room();
        assert!(send(200, &narrow) >= 100);
        assert!(without_room() >= before + 100);
        let wide = socket();
        make_room(&wide);
        assert_eq!(send(200, &wide), 0);
    }
}
