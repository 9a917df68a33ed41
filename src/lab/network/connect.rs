//! How a connection of the lab's own programs comes about on each network.
//!
//! On the memory network nobody listens: a fault at `connect` strikes here, and the far end of the pipe goes to
//! `serve_memory`. On loopback the port is bound first and announced, so that the listener, which logs the connection,
//! knows whom it is for. In a private network the packets themselves are seen, and nothing is said here.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    sync::mpsc,
};

use super::{Incoming, Network, bounds::HTTPS_PORT};
use crate::{
    event::{AttemptHint, Connected},
    fault::{Effect, Stage, Transfer},
    lab::{LabState, loopback::Map, receiver::Receiver},
    stream::Stream,
};

/// Connects to an address of the zone, at a port of the scenario; what came of it is logged.
///
/// # Errors
/// Refused, unreachable or reset. A time-out is the caller's.
///
/// In the order of what may happen: an address that no receiver has is unreachable, as with a
/// router that has no route; a fault at `connect` strikes; else the session begins. Each way out is
/// logged once, here or by who accepts.
pub(crate) async fn to_receiver(
    state: &Arc<LabState>,
    address: IpAddr,
    port: u16,
    hint: AttemptHint,
) -> io::Result<Stream> {
    match &state.network {
        Network::Memory(incoming) => {
            let receiver = receiver_at(state, (address, port), &hint)?;
            by_pipe(state, (receiver, port), incoming, hint).await
        }
        Network::Loopback(map) => {
            let receiver = receiver_at(state, (address, port), &hint)?;
            by_socket(state, (receiver, port), map, hint).await
        }
        // The lab is another process's: what it knows of a connection it sees on the wire.
        Network::Namespace => TcpStream::connect((address, port)).await.map(Stream::Tcp),
    }
}

/// The receiver of an address and a port; where there is none, the connection that fails for it is logged.
fn receiver_at<'a>(
    state: &'a Arc<LabState>,
    (address, port): (IpAddr, u16),
    hint: &AttemptHint,
) -> io::Result<&'a Arc<Receiver>> {
    let receiver = state.receivers.get(&address);
    let listening = receiver.filter(|receiver| receiver.ports.contains(&port));
    listening.ok_or_else(|| {
        let session = state.next_session();
        let result = Connected::Unreachable;
        state.record_connect(
            session,
            (address, port),
            Arc::default(),
            result,
            hint.clone(),
        );
        io::ErrorKind::HostUnreachable.into()
    })
}

/// Connects to the web server of an MTA-STS policy.
///
/// # Errors
/// When no such server has that address, or the connection fails.
pub(crate) async fn to_policy_server(state: &Arc<LabState>, address: IpAddr) -> io::Result<Stream> {
    let policy_host = || {
        let host = state.policy_hosts.get(&address);
        host.ok_or(io::ErrorKind::HostUnreachable)
    };
    match &state.network {
        Network::Memory(incoming) => {
            let (near, stream) = Stream::pair();
            let host = Arc::clone(policy_host()?);
            incoming
                .send(Incoming::Https { host, stream })
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
        Network::Loopback(map) => {
            policy_host()?;
            let there = map.listens(address);
            let there = there.ok_or(io::ErrorKind::HostUnreachable)?;
            TcpStream::connect(there).await.map(Stream::Tcp)
        }
        Network::Namespace => TcpStream::connect((address, HTTPS_PORT))
            .await
            .map(Stream::Tcp),
    }
}

/// Connects to the name server.
///
/// # Errors
/// When the connection fails.
pub(in crate::lab) async fn to_name_server(state: &LabState) -> io::Result<Stream> {
    match &state.network {
        Network::Memory(incoming) => {
            let (near, far) = Stream::pair();
            incoming
                .send(Incoming::Dns(far))
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
        Network::Loopback(_) | Network::Namespace => TcpStream::connect(state.network.resolver())
            .await
            .map(Stream::Tcp),
    }
}

/// Connects by a pair of pipes. A fault strikes and is counted here, since nobody listens on this
/// network.
async fn by_pipe(
    state: &Arc<LabState>,
    (receiver, port): (&Arc<Receiver>, u16),
    incoming: &mpsc::UnboundedSender<Incoming>,
    hint: AttemptHint,
) -> io::Result<Stream> {
    let session = state.next_session();
    let logged = |result| {
        state.record_connect(
            session,
            (receiver.address, port),
            Arc::clone(&receiver.names),
            result,
            hint,
        )
    };
    // Struck once for each connection, so that `first = 2` counts connections.
    match state.strike(receiver, port, Stage::Connect, Transfer::default()) {
        Some(Effect::Refuse) => {
            logged(Connected::Refused);
            Err(io::ErrorKind::ConnectionRefused.into())
        }
        Some(Effect::Unreachable) => {
            logged(Connected::Unreachable);
            Err(io::ErrorKind::HostUnreachable.into())
        }
        // The caller's time-out ends it; until then nothing happens, as with a SYN that nobody answers.
        Some(Effect::Timeout) => {
            logged(Connected::Timeout);
            std::future::pending().await
        }
        // Nothing else may stand at `connect` but a reset: `Stage::effects` says so.
        Some(_) => {
            logged(Connected::Reset);
            Err(io::ErrorKind::ConnectionReset.into())
        }
        None => {
            logged(Connected::Accepted);
            let (near, far) = Stream::pair();
            let arrival = Incoming::Smtp {
                receiver: Arc::clone(receiver),
                port,
                session,
                stream: far,
            };
            incoming
                .send(arrival)
                .map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(near)
        }
    }
}

/// Connects by a socket. Its port is bound first and announced, so that the listener knows for
/// which message it is when it accepts.
async fn by_socket(
    state: &Arc<LabState>,
    (receiver, port): (&Arc<Receiver>, u16),
    map: &Map,
    hint: AttemptHint,
) -> io::Result<Stream> {
    let there = map
        .listens_for(receiver.address, port)
        .ok_or(io::ErrorKind::HostUnreachable)?;
    // What is no count happens in the kernel, unseen by the listener. No packet says that a host is unreachable here:
    // senders outside the lab are refused.
    let unseen = match state.foresee_connect(receiver, port) {
        Some((Effect::Refuse, false)) => Some(Connected::Refused),
        Some((Effect::Unreachable, false)) => Some(Connected::Unreachable),
        Some((Effect::Timeout, false)) => Some(Connected::Timeout),
        _ => None,
    };
    if let Some(result) = unseen {
        let (session, place) = (state.next_session(), (receiver.address, port));
        state.record_connect(session, place, Arc::clone(&receiver.names), result, hint);
        return match result {
            Connected::Refused => Err(io::ErrorKind::ConnectionRefused.into()),
            Connected::Unreachable => Err(io::ErrorKind::HostUnreachable.into()),
            _ => std::future::pending().await,
        };
    }
    // All receivers are in 127.0.0.0/8, those of IPv6 addresses too.
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let from = socket.local_addr()?;
    // Before connecting: the listener may accept before `connect` returns.
    state.announce(from, hint);
    let connected = socket.connect(there).await;
    // The listener asks for it once; a connection that never came about leaves it.
    let stream = connected.inspect_err(|_| drop(state.announced(from)))?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(stream))
}
