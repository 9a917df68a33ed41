//! Questions that come through sockets: connections are hickory-server's affair, datagrams are taken and answered here,
//! many at a time, where hickory would make a task of each and send what comes of it by another one.
//!
//! A sender that starts a thousand deliveries asks thousands of questions at once, and what answers them is known at
//! once unless a fault holds it back. Only then a question becomes a task.

mod batch;
mod known;

use std::{
    future::poll_fn,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use tokio::{
    net::{TcpListener, UdpSocket},
    task::{JoinSet, yield_now},
    time::sleep,
};

use self::{
    batch::Datagram,
    known::{Known, KnownAnswers},
};
use super::{LabState, name_server::NameServer};
use crate::fault::Transport;

/// How long a DNS client may leave a TCP connection idle: more than any resolver waits between two
/// questions.
const IDLE: Duration = Duration::from_secs(30);
/// How long nothing is read after that failed.
const PAUSE: Duration = Duration::from_millis(20);

/// Serves the name server's sockets, until the lab stops.
pub(super) async fn answer(state: Arc<LabState>, sockets: Vec<(UdpSocket, TcpListener)>) {
    let server = NameServer::new(Arc::clone(&state));
    let mut connections = hickory_server::Server::new(server.clone());
    let mut datagrams = JoinSet::new();
    for (udp, tcp) in sockets {
        datagrams.spawn(answer_datagrams(Arc::clone(&state), server.clone(), udp));
        // The last argument bounds the responses of one connection that wait to be written.
        connections.register_listener(tcp, IDLE, 64 * 1024);
    }
    let why = tokio::select! {
        ended = connections.block_until_done() => ended.err().map(|error| error.to_string()),
        Some(ended) = datagrams.join_next() => ended.err().map(|error| error.to_string()),
    };
    if let Some(why) = why {
        state.own_fault(format!("the name server does not serve: {why}"));
    }
}

/// Answers the datagrams of a socket.
async fn answer_datagrams(state: Arc<LabState>, server: NameServer, socket: UdpSocket) {
    let socket = Arc::new(socket);
    // What a fault holds back; dropped with the lab.
    let mut held_back = JoinSet::new();
    let mut room = vec![0; batch::ROOM];
    let (mut questions, mut answers) = (Vec::new(), Vec::new());
    let mut known = KnownAnswers::default();
    loop {
        let taken = match socket.readable().await {
            Ok(()) => batch::take(&socket, &mut room, &mut questions),
            Err(error) => Err(error),
        };
        match taken {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // An answer that nobody took any more: Linux tells it to the next call.
            Err(error) if is_gone(&error) => continue,
            Err(error) => {
                state.own_fault(format!("a question could not be read: {error}"));
                sleep(PAUSE).await;
                continue;
            }
        }
        for (question, client) in questions.drain(..) {
            if !can_be_answered(client) {
                continue;
            }
            let asked = match known.look_up(&state, &question) {
                Known::Answer(answer) => {
                    answers.push((answer, client));
                    continue;
                }
                Known::Nothing(asked) => Some(asked),
                Known::Unkept => None,
            };
            let server = server.clone();
            let answer = async move { server.answer_and_tell(question, Transport::Udp).await };
            let mut answer = Box::pin(answer);
            match poll_fn(|context| Poll::Ready(answer.as_mut().poll(context))).await {
                Poll::Ready(Some((answer, told))) => {
                    if let Some((asked, event)) = asked.zip(told) {
                        known.keep(asked, &answer, event);
                    }
                    answers.push((answer, client));
                }
                Poll::Ready(None) => {}
                Poll::Pending => {
                    let (state, socket) = (Arc::clone(&state), Arc::clone(&socket));
                    held_back.spawn(async move {
                        if let Some((answer, _)) = answer.await {
                            send(&state, &socket, &[(answer, client)]).await;
                        }
                    });
                }
            }
        }
        send(&state, &socket, &answers).await;
        answers.clear();
        while let Some(ended) = held_back.try_join_next() {
            if let Err(error) = ended {
                state.own_fault(format!("a question was not answered: {error}"));
            }
        }
        // The receivers may be of the same thread.
        yield_now().await;
    }
}

/// Sends answers. A client that went away needs none.
async fn send(state: &LabState, socket: &UdpSocket, mut answers: &[Datagram]) {
    while !answers.is_empty() {
        let sent = match batch::send(socket, answers) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.writable().await.is_err() {
                    return;
                }
                0
            }
            Err(error) => {
                if !is_gone(&error) {
                    state.own_fault(format!("an answer could not be sent: {error}"));
                }
                1
            }
        };
        answers = answers.get(sent..).unwrap_or_default();
    }
}

/// Whether a call failed since a client is not there any more.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}

/// Whether an answer to there would reach one client, and one alone.
fn can_be_answered(client: SocketAddr) -> bool {
    let one = match client.ip() {
        IpAddr::V4(address) => !address.is_broadcast() && !address.is_multicast(),
        IpAddr::V6(address) => !address.is_multicast(),
    };
    one && !client.ip().is_unspecified() && client.port() != 0
}
