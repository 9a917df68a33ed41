//! The receivers' side of the loopback network: connections accepted, or refused and ignored by the kernel itself
//! while a fault asks for it.
//!
//! The file has the acceptance of connections, and for the loopback network what each listener does at the moment. The
//! private network uses the first; its listeners are in `namespace`.
//!
//! A fault with a count (`first`) cannot be left to the kernel, which tells nobody of what it refuses: such
//! connections are accepted, counted, and then reset or left without an answer.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    LabState,
    loopback::{self, LoopbackSockets},
    mta_sts_server::{self, MtaStsServer},
    network::bounds::{MAX_SESSIONS, TOO_MANY_SESSIONS},
    questions,
    receiver::{self, Receiver},
};
use crate::{
    event::{Connected, EventKind},
    fault::{Effect, Stage, Transfer},
    stream::Stream,
};

/// How long nothing is accepted after that failed, most likely for the lack of file descriptors:
/// trying again at once would only keep the processor busy.
const PAUSE: Duration = Duration::from_millis(20);
/// Connections tried at most to fill a backlog of one. Linux queues one or two beyond the number
/// that was asked for.
const FILLERS: usize = 8;

/// Serves the sockets of the loopback network, until the lab stops.
pub(super) fn serve(state: &Arc<LabState>, sockets: LoopbackSockets, tasks: &mut JoinSet<()>) {
    let dns = vec![(sockets.dns_udp, sockets.dns_tcp)];
    tasks.spawn(questions::answer(Arc::clone(state), dns));
    for (address, port, listener) in sockets.smtp {
        if let Some(host) = state.policy_hosts.get(&address) {
            tasks.spawn(listen_https(Arc::clone(state), Arc::clone(host), listener));
            continue;
        }
        let Some(receiver) = state.receivers.get(&address) else {
            continue;
        };
        let turns = Turns::of(state, (receiver.address, port));
        tasks.spawn(listen(
            Arc::clone(state),
            (Arc::clone(receiver), port),
            listener,
            turns,
        ));
    }
}

/// Accepts the connections of a policy's web server.
pub(super) async fn listen_https(
    state: Arc<LabState>,
    host: Arc<MtaStsServer>,
    listener: TcpListener,
) {
    let mut sessions = JoinSet::new();
    loop {
        let (socket, _) = accept(&state, &listener).await;
        // Sessions that have ended are taken out here, so that the set does not grow with the
        // number of all that were.
        while sessions.try_join_next().is_some() {}
        if sessions.len() < MAX_SESSIONS {
            sessions.spawn(mta_sts_server::serve(
                Arc::clone(&state),
                Arc::clone(&host),
                // The client learns from the closed socket that there is no room.
                Stream::Tcp(socket),
            ));
        }
    }
}

/// The next connection. After one that could not be accepted, most likely because no more files may be
/// open, it waits a moment.
pub(super) async fn accept(state: &LabState, listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => {
                // A reply must not wait for the acknowledgement of the one before. Linux gives a connection what its
                // listener has.
                if cfg!(not(target_os = "linux")) {
                    accepted.0.set_nodelay(true).ok();
                }
                return accepted;
            }
            // Others are of a client that went away before it was let in.
            Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionAborted) => {}
            Err(error) => state.own_fault(format!("a connection could not be accepted: {error}")),
        }
        sleep(PAUSE).await;
    }
}

/// What a loopback receiver does with connections for as long as no fault begins or ends.
///
/// Each holds what keeps the kernel in that state.
enum Listening {
    Open(TcpListener),
    /// The kernel refuses: the address is bound, and nobody listens.
    Shut(#[expect(dead_code, reason = "held so that the address stays ours")] TcpSocket),
    /// The kernel does not answer: the backlog is full.
    Silent(
        #[expect(dead_code, reason = "held so that the backlog stays full")] TcpListener,
        #[expect(dead_code, reason = "as above")] Vec<TcpStream>,
    ),
}

impl Listening {
    /// What comes of a connection.
    fn meets(&self) -> Connected {
        match self {
            Self::Open(_) => Connected::Accepted,
            Self::Shut(_) => Connected::Refused,
            Self::Silent(..) => Connected::Timeout,
        }
    }
}

/// Tells how far a listener has followed the faults that come and go by hand, so that whoever puts one up can
/// wait until it holds.
struct Turns {
    state: Arc<LabState>,
    /// The address in the zone, and the port.
    place: (IpAddr, u16),
}

impl Turns {
    /// Of a listener that has not looked at the faults yet.
    fn of(state: &Arc<LabState>, place: (IpAddr, u16)) -> Self {
        let turns = Self {
            state: Arc::clone(state),
            place,
        };
        turns.note(None);
        turns
    }

    /// Notes that it listens as the faults after this change ask.
    fn made(&self, change: u64) {
        self.note(Some(change));
    }

    fn note(&self, change: Option<u64>) {
        // Each connection that comes leads here: nobody is woken for what is known.
        let is_new = |was: Option<Option<u64>>| was != Some(change);
        self.state
            .turned
            .send_if_modified(|turned| is_new(turned.insert(self.place, change)));
    }
}

impl Drop for Turns {
    /// Nothing is to be waited for from one that is gone.
    fn drop(&mut self) {
        self.made(u64::MAX);
    }
}

/// Accepts the connections of one receiver, refusing or ignoring them in the kernel while a fault asks.
///
/// It wakes when a connection comes, when a fault is put up or lifted by hand, and when the window
/// of one begins or ends, and turns the listener to what is wanted then. Order matters: a change is
/// looked at before a connection is accepted, so that none slips in after the moment at which it
/// should be refused.
async fn listen(
    state: Arc<LabState>,
    (receiver, port): (Arc<Receiver>, u16),
    listener: TcpListener,
    turns: Turns,
) {
    let Ok(address) = listener.local_addr() else {
        return;
    };
    let mut changed = state.faults_changed.subscribe();
    let mut sessions = JoinSet::new();
    let mut listening = Listening::Open(listener);
    loop {
        let change = *changed.borrow_and_update();
        let wanted = state.foresee_connect(&receiver, port);
        let before = listening.meets();
        listening = match turn(listening, wanted, address).await {
            Ok(listening) => listening,
            Err(error) => {
                state.own_fault(format!(
                    "the receiver at {address} could not listen: {error}"
                ));
                // A loopback listener that is gone leaves connections refused that the drill wanted
                // accepted.
                return;
            }
        };
        if listening.meets() != before {
            state.record(EventKind::Unseen {
                address: receiver.address,
                port,
                hosts: Arc::clone(&receiver.names),
                result: listening.meets(),
            });
        }
        turns.made(change);
        let next = state.faults().next_change(state.clock.now());
        let window = async {
            match next {
                Some(moment) => state.clock.sleep_until(moment).await,
                None => std::future::pending().await,
            }
        };
        let accepted = async {
            match &listening {
                Listening::Open(listener) => accept(&state, listener).await,
                Listening::Shut(_) | Listening::Silent(..) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = changed.changed() => {}
            () = window => {}
            (socket, peer) = accepted => {
                while sessions.try_join_next().is_some() {}
                if sessions.len() >= MAX_SESSIONS {
                    state.own_fault(TOO_MANY_SESSIONS.to_owned());
                    Stream::Tcp(socket).reset_on_drop();
                } else {
                    let to = (Arc::clone(&receiver), port);
                    sessions.spawn(admit(Arc::clone(&state), to, socket, peer));
                }
            }
        }
    }
}

/// Opens, shuts or silences a receiver, as the fault that a connection would meet asks. A fault that
/// counts lets connections in: they must be seen to be counted.
///
/// The effect `refuse` needs a socket that is bound and does not listen; `timeout` one that listens
/// with a full backlog. Anything else needs an ordinary listener, also to reset what it accepts.
async fn turn(
    listening: Listening,
    wanted: Option<(Effect, bool)>,
    address: SocketAddr,
) -> io::Result<Listening> {
    match (wanted, listening) {
        (Some((Effect::Refuse | Effect::Unreachable, false)), as_before @ Listening::Shut(_))
        | (Some((Effect::Timeout, false)), as_before @ Listening::Silent(..)) => Ok(as_before),
        (Some((Effect::Refuse | Effect::Unreachable, false)), before) => {
            drop(before);
            loopback::bound_again(address).map(Listening::Shut)
        }
        // Windows refuses where the backlog is full: there `admit` lets it in and says nothing.
        (Some((Effect::Timeout, false)), before) if cfg!(not(windows)) => {
            drop(before);
            silent(address).await
        }
        (_, as_before @ Listening::Open(_)) => Ok(as_before),
        (_, before) => {
            drop(before);
            loopback::listen_again(address).map(Listening::Open)
        }
    }
}

/// A listener with a full backlog, which the kernel lets no further SYN into.
///
/// The first attempt to connect that gets no answer in 100 ms shows that it is full.
async fn silent(address: SocketAddr) -> io::Result<Listening> {
    // For macOS and the BSDs a backlog of 0 is one of the usual length.
    let listener = loopback::bound_again(address)?.listen(1)?;
    let mut fillers = Vec::new();
    for _ in 0..FILLERS {
        match timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            Ok(filler) => fillers.push(filler?),
            Err(_) => break,
        }
    }
    Ok(Listening::Silent(listener, fillers))
}

/// Lets a connection in, or fails it as a fault says that lets the kernel accept. Both are recorded
/// under a session number of its own.
pub(super) async fn admit(
    state: Arc<LabState>,
    (receiver, port): (Arc<Receiver>, u16),
    socket: TcpStream,
    peer: SocketAddr,
) {
    let session = state.next_session();
    let hint = state.announced(peer);
    let stream = Stream::Tcp(socket);
    let before = state.foresee_connect(&receiver, port);
    let effect = state.strike(&receiver, port, Stage::Connect, Transfer::default());
    // A listener that the kernel keeps shut or silent has to know whose turn it is next.
    if state.foresee_connect(&receiver, port) != before {
        state.faults_have_changed();
    }
    let result = match effect {
        None => Connected::Accepted,
        Some(Effect::Refuse) => Connected::Refused,
        // The reset stands for what the network would say.
        Some(Effect::Unreachable) => Connected::Unreachable,
        Some(Effect::Timeout) => Connected::Timeout,
        Some(_) => Connected::Reset,
    };
    state.record_connect(
        session,
        (receiver.address, port),
        Arc::clone(&receiver.names),
        result,
        hint,
    );
    // A time-out for the client: the connection stands, and nothing is ever sent.
    match result {
        Connected::Accepted => {
            receiver::serve(state, (receiver, port), session, peer.ip(), stream).await
        }
        Connected::Timeout => crate::connection::Connection::new(stream).drain().await,
        _ => stream.reset_on_drop(),
    }
}
