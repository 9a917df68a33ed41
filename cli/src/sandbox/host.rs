//! The network of the host that senders inside stand on: its addresses, its routes.
//!
//! There is one interface, `lo`. The sender's addresses are on it, and a route of type `local` lets
//! every other address be delivered here, too, where the lab listens. So no packet can leave,
//! whatever address it is sent to.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsRawFd, OwnedFd},
};

use mxdrill::lab::namespace::SendersHost;
use netlink_bindings::{
    rt_addr, rt_link, rt_route,
    traits::{NetlinkRequest, Protocol},
};
use nix::{
    libc,
    sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket},
};

/// The index of `lo`, the first interface of every network namespace.
const LO: u32 = 1;

/// Gives this network the host's addresses, and lets every other address lead to the lab: only the
/// host's own are on the interface, so that a sender does not take receivers for itself.
///
/// # Errors
/// What the kernel says.
pub(crate) fn raise(host: &SendersHost) -> io::Result<()> {
    let kernel = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    let failed = |what: String| move |error| io::Error::other(format!("{what}: {error}"));
    ask(&kernel, &up()).map_err(failed("lo could not be brought up".to_owned()))?;
    for address in &host.addresses {
        ask(&kernel, &address_on_lo(*address))
            .map_err(failed(format!("{address} could not be added to lo")))?;
    }
    for (family, own) in [
        ("IPv4", host.address(IpAddr::is_ipv4)),
        ("IPv6", host.address(IpAddr::is_ipv6)),
    ] {
        if let Some(own) = own {
            ask(&kernel, &all_to_lo(own)).map_err(failed(format!("no route for {family}")))?;
        }
    }
    Ok(())
}

fn up() -> impl NetlinkRequest {
    let mut header = rt_link::Ifinfomsg::new();
    header.ifi_index = LO as i32;
    header.ifi_flags = libc::IFF_UP as u32;
    header.ifi_change = libc::IFF_UP as u32;
    rt_link::Request::new().op_setlink_do(&header)
}

fn address_on_lo(address: IpAddr) -> impl NetlinkRequest {
    let mut header = rt_addr::Ifaddrmsg::new();
    (header.ifa_family, header.ifa_prefixlen) = family(address);
    // Nobody else could have it: it is ours at once.
    header.ifa_flags = libc::IFA_F_NODAD as u8;
    header.ifa_index = LO;
    let request = rt_addr::Request::new().set_create().set_excl();
    let mut add = request.op_newaddr_do(&header);
    add.encode().push_local(address).push_address(address);
    add
}

/// Every address is served here, and seen from here to come from `own`.
fn all_to_lo(own: IpAddr) -> impl NetlinkRequest {
    let mut header = rt_route::Rtmsg::new();
    header.rtm_family = family(own).0;
    header.rtm_table = libc::RT_TABLE_LOCAL;
    header.rtm_protocol = libc::RTPROT_STATIC;
    header.rtm_scope = match own {
        IpAddr::V4(_) => libc::RT_SCOPE_HOST,
        IpAddr::V6(_) => libc::RT_SCOPE_UNIVERSE,
    };
    header.rtm_type = libc::RTN_LOCAL;
    let request = rt_route::Request::new().set_create().set_excl();
    let mut add = request.op_newroute_do(&header);
    add.encode().push_oif(LO).push_prefsrc(own);
    add
}

/// The family of an address, and its bits.
fn family(address: IpAddr) -> (u8, u8) {
    match address {
        IpAddr::V4(_) => (libc::AF_INET as u8, 32),
        IpAddr::V6(_) => (libc::AF_INET6 as u8, 128),
    }
}

/// Sends a request, and reads what the kernel says to it (netlink(7)): an error's number, 0 for none.
fn ask(kernel: &OwnedFd, request: &impl NetlinkRequest) -> io::Result<()> {
    const HEADER: usize = 16;
    let Protocol::Raw { request_type, .. } = request.protocol() else {
        return Err(io::ErrorKind::Unsupported.into());
    };
    let flags = request.flags() | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let mut message = ((HEADER + request.payload().len()) as u32)
        .to_ne_bytes()
        .to_vec();
    message.extend(request_type.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    // Sequence number and port: there is one request at a time, and the kernel knows the socket.
    message.extend([0; 8]);
    message.extend(request.payload());
    send(kernel.as_raw_fd(), &message, MsgFlags::empty())?;
    let mut reply = [0; 1024];
    let length = recv(kernel.as_raw_fd(), &mut reply, MsgFlags::empty())?;
    let number = reply[..length].get(HEADER..).and_then(<[u8]>::first_chunk);
    match number.map(|number| i32::from_ne_bytes(*number)) {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
