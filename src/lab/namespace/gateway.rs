//! What a gateway on the way says of a host that it has no way to: an ICMP message to who asked for the connection.
//!
//! A route of type `unreachable` would do it in the kernel, for all ports of an address, and before anything is sent: nobody
//! would see the attempt. Here the SYN is sent and seen, the receiver's filter drops it, and the message follows (RFC 792,
//! RFC 4443 section 3.1). The kernel fails the connection by it with "no route to host" (EHOSTUNREACH), as it does on the
//! internet while a connection is not yet made (RFC 5461 tells which systems do).

use std::{io, net::SocketAddr};

use etherparse::checksum::Sum16BitWords;
use socket2::{Domain as Family, Protocol, SockFilter, Socket, Type};

/// Host unreachable, of IPv4: type 3, code 1.
const OF_IPV4: [u8; 2] = [3, 1];
/// Address unreachable, of IPv6: type 1, code 3.
const OF_IPV6: [u8; 2] = [1, 3];
/// Octets of the packet that is answered which go back: all headers, and what tells the connection.
const MOST: usize = 512;
/// What the kernel says where it has no IPv6.
const NO_IPV6: i32 = nix::libc::EAFNOSUPPORT;
/// Octets of the link header before a packet.
const LINK: usize = 14;

/// The sockets by which it is told, one for each family.
pub(super) struct Gateway {
    of_ipv4: Socket,
    /// None where the system has no IPv6.
    of_ipv6: Option<Socket>,
}

impl Gateway {
    /// # Errors
    /// That this may not be done in this network: it needs CAP_NET_RAW, as the tap does.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            of_ipv4: raw(Family::IPV4, Protocol::ICMPV4)?,
            of_ipv6: match raw(Family::IPV6, Protocol::ICMPV6) {
                Ok(socket) => Some(socket),
                Err(error) if error.raw_os_error() == Some(NO_IPV6) => None,
                Err(error) => return Err(error),
            },
        })
    }

    /// Tells a client that there is no way to where it sent this frame.
    ///
    /// # Errors
    /// What the kernel says, or that there is no such family.
    pub(super) fn tell(&self, client: SocketAddr, frame: &[u8]) -> io::Result<()> {
        let packet = frame.get(LINK..).unwrap_or_default();
        let packet = &packet[..packet.len().min(MOST)];
        // The port of a raw socket's peer has to be 0 for IPv6.
        let to = SocketAddr::new(client.ip(), 0).into();
        let (socket, message) = match client {
            SocketAddr::V4(_) => (Some(&self.of_ipv4), with_checksum(message(OF_IPV4, packet))),
            // The kernel fills in the checksum, which is over its header, too (RFC 3542 section 3.1).
            SocketAddr::V6(_) => (self.of_ipv6.as_ref(), message(OF_IPV6, packet)),
        };
        let socket = socket.ok_or(io::ErrorKind::Unsupported)?;
        socket.send_to(&message, &to).map(drop)
    }
}

/// A raw socket that sends, and keeps nothing of what comes.
fn raw(family: Family, protocol: Protocol) -> io::Result<Socket> {
    const RETURN: u16 = 0x06;
    let socket = Socket::new(family, Type::RAW, Some(protocol))?;
    socket.attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)])?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Type and code, a checksum of 0, four octets that mean nothing, and what is answered.
fn message([kind, code]: [u8; 2], packet: &[u8]) -> Vec<u8> {
    let header = [kind, code, 0, 0, 0, 0, 0, 0];
    [&header[..], packet].concat()
}

fn with_checksum(mut message: Vec<u8>) -> Vec<u8> {
    let sum = Sum16BitWords::new().add_slice(&message).ones_complement();
    // It is reckoned in the order of this machine, and so written.
    message[2..4].copy_from_slice(&sum.to_ne_bytes());
    message
}
