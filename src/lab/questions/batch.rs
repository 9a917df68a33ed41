//! Datagrams by the batch: taken by one call to the system and sent by one, where the system has such calls.
//!
//! Each call costs as much as it takes to find an answer, and each answer that is sent alone wakes its client, which then
//! takes the processor for the sake of it.

use std::net::SocketAddr;

/// Datagrams that are taken at once.
const MOST: usize = 64;

/// A datagram, and whom it is from or goes to.
pub(super) type Datagram = (Vec<u8>, SocketAddr);

/// In one call each (`recvmmsg`, `sendmmsg`).
#[cfg(all(target_os = "linux", feature = "private-network"))]
mod calls {
    use std::{
        io::{self, IoSlice, IoSliceMut},
        net::SocketAddr,
        os::fd::AsRawFd,
    };

    use nix::sys::socket::{
        AddressFamily, MsgFlags, MultiHeaders, SockaddrLike, SockaddrStorage, recvmmsg,
    };
    // The answers of `sendmmsg` in nix can only be counted by reading addresses that it never writes.
    use rustix::net::{MMsgHdr, SendAncillaryBuffer, SendFlags, SocketAddrAny, sendmmsg};
    use tokio::{io::Interest, net::UdpSocket};

    use super::{Datagram, MOST};

    /// Octets that are taken of a question. No resolver writes so many; a longer one is cut, and so malformed.
    const LONGEST: usize = 4096;
    /// Octets that a batch takes.
    pub(in super::super) const ROOM: usize = MOST * LONGEST;

    /// Takes what has come, if anything has.
    pub(in super::super) fn take(
        socket: &UdpSocket,
        room: &mut [u8],
        taken: &mut Vec<Datagram>,
    ) -> io::Result<()> {
        socket.try_io(Interest::READABLE, || {
            let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(MOST, None);
            let mut slices: Vec<[IoSliceMut<'_>; 1]> = room
                .chunks_exact_mut(LONGEST)
                .map(|one| [IoSliceMut::new(one)])
                .collect();
            let descriptor = socket.as_raw_fd();
            let flags = MsgFlags::MSG_DONTWAIT;
            let all = recvmmsg(descriptor, &mut headers, &mut slices, flags, None)?;
            taken.extend(all.filter_map(|one| {
                let octets = one.iovs().next().unwrap_or_default();
                Some((octets.to_vec(), address_of(&one.address?)?))
            }));
            Ok(())
        })
    }

    /// Sends as many as the socket takes, in their order; how many those are, one at least.
    pub(in super::super) fn send(socket: &UdpSocket, answers: &[Datagram]) -> io::Result<usize> {
        let mut parts: Vec<_> = answers
            .iter()
            .map(|(octets, client)| {
                let nothing = SendAncillaryBuffer::default();
                (
                    [IoSlice::new(octets)],
                    SocketAddrAny::from(*client),
                    nothing,
                )
            })
            .collect();
        let mut headers: Vec<MMsgHdr<'_>> = parts
            .iter_mut()
            .map(|(octets, client, nothing)| MMsgHdr::new_with_addr(client, octets, nothing))
            .collect();
        socket.try_io(Interest::WRITABLE, || {
            Ok(sendmmsg(socket, &mut headers, SendFlags::DONTWAIT)?)
        })
    }

    fn address_of(address: &SockaddrStorage) -> Option<SocketAddr> {
        match address.family()? {
            AddressFamily::Inet => Some(SocketAddr::V4((*address.as_sockaddr_in()?).into())),
            AddressFamily::Inet6 => Some(SocketAddr::V6((*address.as_sockaddr_in6()?).into())),
            _ => None,
        }
    }
}

/// Elsewhere one by one.
#[cfg(not(all(target_os = "linux", feature = "private-network")))]
mod calls {
    use std::io;

    use tokio::net::UdpSocket;

    use super::{Datagram, MOST};

    /// Octets of the largest datagram that there is: one that is cut would be an error on some systems.
    pub(in super::super) const ROOM: usize = u16::MAX as usize;

    /// Takes what has come, if anything has.
    pub(in super::super) fn take(
        socket: &UdpSocket,
        room: &mut [u8],
        taken: &mut Vec<Datagram>,
    ) -> io::Result<()> {
        for _ in 0..MOST {
            match socket.try_recv_from(room) {
                Ok((length, client)) => taken.push((room[..length].to_vec(), client)),
                // It comes again if it lasts.
                Err(_) if !taken.is_empty() => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends the first; how many were sent.
    pub(in super::super) fn send(socket: &UdpSocket, answers: &[Datagram]) -> io::Result<usize> {
        let Some((answer, client)) = answers.first() else {
            return Ok(0);
        };
        socket.try_send_to(answer, *client).map(|_| 1)
    }
}

pub(super) use self::calls::{ROOM, send, take};
