//! The networks a lab can stand on, and how connections cross them.
//!
//! Only this file knows which network it is. Both serve the same name server and receivers.
//!
//! There are three: pipes in memory with a virtual clock, loopback, and a private network.
//! [`NetworkKind`] is what a caller asks for; `Network` is what a lab has. Addresses in a scenario,
//! in the log and in a verdict are always the zone's. Only answers to queries, and sockets, know
//! others, and the translation between them is here.
//!
//! A connection of a sender inside the process is announced with its purpose, since the receivers'
//! side cannot know which message it is for. What a foreign sender's connection is for is worked
//! out later, from what it says (`crate::observe`).

pub(crate) mod bounds;
pub(crate) mod connect;
pub(super) mod listen;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{A, AAAA},
};
use tokio::{sync::mpsc, task::JoinSet};

use self::bounds::{MAX_SESSIONS, TOO_MANY_SESSIONS};
use super::{
    LabState,
    loopback::Map,
    memory::{self},
    mta_sts_server::{self, MtaStsServer},
    name_server::NameServer,
    receiver::{self, Receiver},
};
use crate::{event::SessionId, name::Domain, port, stream::Stream, zone::address_of};

/// The address that stands for the lab's name server on the memory network, one of those for
/// documentation (RFC 5737); never bound.
pub(super) const NAME_SERVER: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)), 53);
/// The address that stands for the sender's host on the memory network.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The kinds of network that a lab can stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkKind {
    /// In-process pipes on the zone's own addresses, with a virtual clock.
    Memory,
    /// Sockets in 127.0.0.0/8, or at ports of 127.0.0.1 where there is no more, with the real clock.
    Loopback,
    /// Sockets on the zone's own addresses, in a private network that the process is in already
    /// (Linux), with the real clock.
    Namespace,
}

impl NetworkKind {
    /// Whether there are sockets, and real time with them.
    pub fn has_sockets(self) -> bool {
        self != Self::Memory
    }

    /// Whether a lab on it is served where it is started: on the memory network it shares the runtime's
    /// clock, in a private one the thread that is in it.
    pub(super) fn shares_the_callers_thread(self) -> bool {
        self != Self::Loopback
    }
}

/// The network of a running lab, with what it needs to translate addresses and to connect.
#[derive(Debug, Clone)]
pub(crate) enum Network {
    // Where connections go, to be served by `serve_memory`.
    Memory(mpsc::UnboundedSender<Incoming>),
    Loopback(Map),
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(dead_code, reason = "there is none")
    )]
    Namespace,
}

/// A connection that arrives on the memory network.
///
/// The far end of a pipe with whom it is for.
#[derive(Debug)]
pub(crate) enum Incoming {
    Smtp {
        receiver: Arc<Receiver>,
        port: u16,
        session: SessionId,
        stream: Stream,
    },
    Dns(Stream),
    Https {
        host: Arc<MtaStsServer>,
        stream: Stream,
    },
}

impl Network {
    /// Whether there are sockets, and real time with them.
    pub(crate) fn has_sockets(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Whether what is served on it is gone, as with the runtime that it was on.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self, Self::Memory(incoming) if incoming.is_closed())
    }

    /// Whether others on this machine can reach it.
    pub(super) fn is_of_this_machine(&self) -> bool {
        matches!(self, Self::Loopback(_))
    }

    /// The address and port of the name server.
    pub(crate) fn resolver(&self) -> SocketAddr {
        match self {
            Self::Memory(_) => NAME_SERVER,
            Self::Loopback(map) => map.dns,
            Self::Namespace => SocketAddr::from((Ipv4Addr::LOCALHOST, 53)),
        }
    }

    /// The port of every receiver; on loopback with a port for each, of the first.
    pub(crate) fn smtp_port(&self) -> u16 {
        match self {
            Self::Memory(_) | Self::Namespace => 25,
            Self::Loopback(map) => map.smtp_port,
        }
    }

    /// Whether hosts are told apart by their ports.
    pub(crate) fn differs_by_ports(&self) -> bool {
        matches!(self, Self::Loopback(map) if map.differs_by_ports)
    }

    /// The address and port at which the receiver of an address of the zone listens. An address
    /// that no receiver has is returned with the usual port, where nothing listens.
    pub(crate) fn endpoint(&self, address: IpAddr) -> SocketAddr {
        match self {
            Self::Memory(_) | Self::Namespace => SocketAddr::new(address, 25),
            Self::Loopback(map) => {
                let nowhere = SocketAddr::new(address, map.smtp_port);
                map.listens(address).unwrap_or(nowhere)
            }
        }
    }

    /// The address and port at which the receiver of an address of the zone listens for a port of the scenario;
    /// `None` where it does not.
    pub(crate) fn endpoint_for(&self, address: IpAddr, port: u16) -> Option<SocketAddr> {
        match self {
            Self::Memory(_) | Self::Namespace => Some(SocketAddr::new(address, port)),
            Self::Loopback(map) => map.listens_for(address, port),
        }
    }

    /// The port of the scenario for one that a sender was told: that of all receivers is that of exchangers.
    pub(crate) fn untranslated_port(&self, port: u16) -> u16 {
        match self {
            Self::Memory(_) | Self::Namespace => port,
            Self::Loopback(map) if map.smtp_port == port => port::SMTP,
            Self::Loopback(_) => port,
        }
    }

    /// The address that answers carry for one of the zone's, an IPv6 one in its IPv4-mapped form.
    pub(crate) fn translated(&self, address: IpAddr) -> IpAddr {
        match (self, address) {
            (Self::Memory(_) | Self::Namespace, _) => address,
            (Self::Loopback(map), IpAddr::V4(_)) => map.there(address).map_or(address, IpAddr::V4),
            (Self::Loopback(map), IpAddr::V6(_)) => map
                .there(address)
                .map_or(address, |there| IpAddr::V6(there.to_ipv6_mapped())),
        }
    }

    /// The address of the zone for one that an answer carried.
    pub(crate) fn untranslated(&self, address: IpAddr) -> IpAddr {
        match self {
            Self::Memory(_) | Self::Namespace => address,
            Self::Loopback(map) => map.back(address).unwrap_or(address),
        }
    }

    /// Puts the zone's own address into a record that an answer carried.
    pub(crate) fn untranslate(&self, record: &mut Record) {
        let Some(there) = address_of(&record.data) else {
            return;
        };
        match self.untranslated(there) {
            IpAddr::V4(address) => record.data = RData::A(A(address)),
            IpAddr::V6(address) => record.data = RData::AAAA(AAAA(address)),
        }
    }

    /// The reverse name in the zone for that of a translated address.
    pub(crate) fn untranslated_reverse(&self, name: &Domain) -> Option<Domain> {
        match self {
            Self::Memory(_) | Self::Namespace => None,
            Self::Loopback(map) => map.back_reverse(name),
        }
    }
}

/// Serves what arrives on the memory network, until the lab stops. One task accepts for all
/// receivers, in the order of arrival, so that a drill replays.
pub(super) async fn serve_memory(
    state: Arc<LabState>,
    mut connections: mpsc::UnboundedReceiver<Incoming>,
) {
    let mut sessions = JoinSet::new();
    while let Some(incoming) = connections.recv().await {
        while sessions.try_join_next().is_some() {}
        match incoming {
            Incoming::Smtp { stream, .. } if sessions.len() >= MAX_SESSIONS => {
                state.own_fault(TOO_MANY_SESSIONS.to_owned());
                stream.reset_on_drop()
            }
            Incoming::Smtp {
                receiver,
                port,
                session,
                stream,
            } => {
                sessions.spawn(receiver::serve(
                    Arc::clone(&state),
                    (receiver, port),
                    session,
                    CLIENT,
                    stream,
                ));
            }
            Incoming::Https { host, stream } => {
                sessions.spawn(mta_sts_server::serve(Arc::clone(&state), host, stream));
            }
            Incoming::Dns(stream) => {
                let server = NameServer::new(Arc::clone(&state));
                // An error is a client that went away.
                sessions.spawn(async move {
                    memory::serve_dns_stream(server, stream).await.ok();
                });
            }
        }
    }
}

/// Waits until the lab has seen what happened on its network so far; others than a private network show it
/// at once.
pub(crate) async fn caught_up(state: &LabState) {
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    if matches!(state.network, Network::Namespace) {
        super::namespace::caught_up(state).await;
    }
    #[cfg(not(all(target_os = "linux", feature = "private-network")))]
    let _ = state;
}
