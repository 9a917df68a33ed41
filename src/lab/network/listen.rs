//! What a lab listens on, by the kind of its network.
//!
//! Binding and serving are apart since the lab's state, which is served, needs to know what was bound.
//! Only these two functions know all kinds.

use std::{io, net::IpAddr, sync::Arc};

use tokio::{sync::mpsc, task::JoinSet};

use super::{Incoming, Network, NetworkKind, serve_memory};
use crate::lab::{LabState, LoopbackBinding, SharedTime, listener, loopback};
#[cfg(all(target_os = "linux", feature = "private-network"))]
use crate::lab::{Packet, namespace};

#[cfg(not(all(target_os = "linux", feature = "private-network")))]
const NO_NAMESPACE: &str = "a private network needs Linux, and the feature private-network";

/// Bound, and not served yet; one variant for each kind of network.
pub(in crate::lab) enum Sockets {
    Memory(mpsc::UnboundedReceiver<Incoming>),
    Loopback(loopback::LoopbackSockets),
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    Namespace(namespace::PrivateSockets),
}

/// What is watched of a private network beside connections to exchangers. Other networks have
/// nothing of the kind, and it is empty there.
#[derive(Default)]
pub(in crate::lab) struct Watched {
    /// Where every packet goes; `None`: only those are looked at that tell of connections.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(in crate::lab) packets: Option<mpsc::UnboundedSender<Packet>>,
    /// What is made of connections of the sender's host to itself.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(in crate::lab) own_host: namespace::OwnHost,
    /// The time that the lab shares with what it serves.
    pub(in crate::lab) time: Option<SharedTime>,
}

/// Binds what hosts at these addresses need, and at further ports of theirs.
///
/// # Errors
/// That sockets could not be bound, or that there is no such network here.
///
/// The memory network binds nothing. The lab's addresses need only be known on loopback; in a
/// private network, receivers bind when they are served.
pub(in crate::lab) async fn bind(
    kind: NetworkKind,
    (addresses, further): (&[IpAddr], &[(IpAddr, u16)]),
    place: LoopbackBinding,
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(unused_variables, reason = "it is about private networks")
    )]
    watched: &Watched,
) -> io::Result<(Network, Sockets)> {
    Ok(match kind {
        NetworkKind::Memory => {
            let (incoming, connections) = mpsc::unbounded_channel();
            (Network::Memory(incoming), Sockets::Memory(connections))
        }
        NetworkKind::Loopback => {
            let sockets = loopback::bind(addresses, further, place).await?;
            let network = Network::Loopback(sockets.map.clone());
            (network, Sockets::Loopback(sockets))
        }
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        NetworkKind::Namespace => {
            let seen = match watched.packets {
                Some(_) => namespace::Seen::All,
                None => namespace::Seen::Connections,
            };
            let sockets = namespace::bind(seen).await?;
            (Network::Namespace, Sockets::Namespace(sockets))
        }
        #[cfg(not(all(target_os = "linux", feature = "private-network")))]
        NetworkKind::Namespace => return Err(io::Error::other(NO_NAMESPACE)),
    })
}

/// Serves what was bound, in tasks of the lab.
///
/// # Errors
/// What the system does not allow.
///
/// Where time is real, the lab's own lateness is measured along with it.
pub(in crate::lab) fn serve(
    state: &Arc<LabState>,
    sockets: Sockets,
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(unused_variables, reason = "it is about private networks")
    )]
    watched: Watched,
    tasks: &mut JoinSet<()>,
) -> io::Result<()> {
    if state.network.has_sockets() && !state.clock.is_shared() {
        let state = Arc::clone(state);
        tasks.spawn(async move { match state.delays.watch().await {} });
    }
    match sockets {
        Sockets::Memory(connections) => {
            tasks.spawn(serve_memory(Arc::clone(state), connections));
            Ok(())
        }
        Sockets::Loopback(sockets) => {
            listener::serve(state, sockets, tasks);
            Ok(())
        }
        #[cfg(all(target_os = "linux", feature = "private-network"))]
        Sockets::Namespace(sockets) => {
            let Watched {
                packets, own_host, ..
            } = watched;
            namespace::serve(state, sockets, packets, own_host, tasks)
        }
    }
}
