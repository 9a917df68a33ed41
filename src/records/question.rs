//! A question to one name server, and what it says: for what a resolver library keeps to itself, such as whether an answer
//! was validated, and what each of several servers says.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{DnsResponse, Message},
    rr::RecordType,
};
use tokio::{
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use crate::{
    lab::{
        name_server::MAX_PAYLOAD,
        stub::{answering, over_stream, query},
    },
    name::Domain,
};

/// How long to wait for an answer; each datagram is repeated once.
const WAIT: Duration = Duration::from_secs(3);

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AskedAs {
    /// What it knows itself: it is authoritative.
    Own,
    /// What it finds out and has validated (RFC 6840 section 5.7: the AD bit asks for it).
    Validated,
    /// What it finds out without validating (RFC 4035 section 3.2.2, the CD bit).
    Unchecked,
}

/// Asks one server: over UDP, and over TCP where the answer does not fit.
///
/// # Errors
/// That no answer came in time, or what the network says.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Domain,
    record_type: RecordType,
    manner: AskedAs,
) -> io::Result<DnsResponse> {
    let mut query = query(name.to_wire(), record_type);
    query.metadata.recursion_desired = manner != AskedAs::Own;
    query.metadata.authentic_data = manner == AskedAs::Validated;
    query.metadata.checking_disabled = manner == AskedAs::Unchecked;
    let octets = query.to_vec().map_err(io::Error::other)?;
    let mut answer = timeout(WAIT, over_udp(server, &query, &octets)).await;
    if answer.is_err() {
        answer = timeout(WAIT, over_udp(server, &query, &octets)).await;
    }
    let answer = answer.map_err(|_| io::ErrorKind::TimedOut)??;
    match answer.truncation {
        false => Ok(answer),
        true => timeout(WAIT, over_tcp(server, &query, &octets))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)?,
    }
}

async fn over_udp(server: SocketAddr, query: &Message, octets: &[u8]) -> io::Result<DnsResponse> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    // Only what comes from there is taken, and a refusal is heard.
    socket.connect(server).await?;
    socket.send(octets).await?;
    let mut buffer = [0; MAX_PAYLOAD as usize];
    loop {
        let length = socket.recv(&mut buffer).await?;
        if let Some(answer) = answering(query, buffer[..length].to_vec()) {
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &Message, octets: &[u8]) -> io::Result<DnsResponse> {
    over_stream(TcpStream::connect(server).await?, query, octets).await
}
