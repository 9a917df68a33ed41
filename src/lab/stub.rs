//! The stub resolver of the lab's own senders (RFC 1034 section 5.3.1): one question to the lab's name
//! server, over the lab's network, and its answer.
//!
//! What an answer means, and how long it is kept, is the sender's to say.
//!
//! A datagram is sent up to three times, a third of a second apart, and the first answer to any of them counts; the
//! others are then of no interest. An answer that is truncated is asked for again over TCP (RFC 7766 section 5),
//! unless it is a failure, of which there is no more to know.

use std::{io, net::Ipv4Addr, sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use hickory_proto::{
    op::{DnsResponse, Edns, Message, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UdpSocket,
    task::yield_now,
};

use super::{
    LabState,
    name_server::{MAX_PAYLOAD, NameServer},
    network::{self, Network},
};
use crate::fault::Transport;

/// Wait for an answer, over each transport.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Wait until a datagram without an answer is sent again.
const REPEAT: Duration = Duration::from_millis(333);
/// How often a datagram is sent.
const DATAGRAMS: usize = 3;

/// Asks for records: over UDP, and over TCP where the answer does not fit.
///
/// # Errors
/// That no answer came in time, or what the network says.
pub(crate) async fn ask(
    state: &Arc<LabState>,
    name: &Name,
    record_type: RecordType,
) -> io::Result<DnsResponse> {
    let mut query = query(name.clone(), record_type);
    // The lab's name server plays a recursive resolver.
    query.metadata.recursion_desired = true;
    // It asks whether the answer is vouched for (RFC 6840 section 5.7).
    query.metadata.authentic_data = true;
    let octets = query.to_vec().map_err(io::Error::other)?;
    let answer = state
        .clock
        .within(TIMEOUT, over_udp(state, &query, &octets))
        .await;
    let answer = answer.ok_or(io::ErrorKind::TimedOut)??;
    if answer.truncation && !is_failure(&answer) {
        let answer = state
            .clock
            .within(TIMEOUT, over_tcp(state, &query, &octets))
            .await;
        answer.ok_or(io::ErrorKind::TimedOut)?
    } else {
        Ok(answer)
    }
}

/// Whether an answer says nothing of the name: SERVFAIL and its like.
pub(crate) fn is_failure(answer: &DnsResponse) -> bool {
    !matches!(
        answer.response_code,
        ResponseCode::NoError | ResponseCode::NXDomain
    )
}

/// Sends a query until the first answer to any of its datagrams.
async fn over_udp(
    state: &Arc<LabState>,
    query: &Message,
    octets: &[u8],
) -> io::Result<DnsResponse> {
    let mut sent = FuturesUnordered::new();
    loop {
        sent.push(datagram(state, query, octets));
        tokio::select! {
            biased;
            Some(answer) = sent.next() => return answer,
            () = state.clock.sleep(REPEAT), if sent.len() < DATAGRAMS => {}
        }
    }
}

/// Sends a query in a datagram, and waits for what answers it: whatever else comes is passed over.
async fn datagram(
    state: &Arc<LabState>,
    query: &Message,
    octets: &[u8],
) -> io::Result<DnsResponse> {
    if let Network::Memory(_) = &state.network {
        let server = NameServer::new(Arc::clone(state));
        let answer = server.answer(octets.to_vec(), Transport::Udp).await;
        // As on a wire, others get on while an answer is on its way.
        yield_now().await;
        return match answer.and_then(|answer| answering(query, answer)) {
            Some(answer) => Ok(answer),
            None => std::future::pending().await,
        };
    }
    // A lookup in memory has no room for the buffer of a socket: ten thousand may be under way.
    over_socket(state, query, octets).boxed().await
}

/// As [`datagram`], where there are sockets.
async fn over_socket(state: &LabState, query: &Message, octets: &[u8]) -> io::Result<DnsResponse> {
    let server = state.network.resolver();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.send_to(octets, server).await?;
    let mut buffer = [0; MAX_PAYLOAD as usize];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let answer = answering(query, buffer[..length].to_vec());
        if let Some(answer) = answer.filter(|_| from == server) {
            return Ok(answer);
        }
    }
}

/// Sends a query over a connection of its own.
async fn over_tcp(
    state: &Arc<LabState>,
    query: &Message,
    octets: &[u8],
) -> io::Result<DnsResponse> {
    over_stream(
        network::connect::to_name_server(state).await?,
        query,
        octets,
    )
    .await
}

/// A query for records, with room for an answer of [`MAX_PAYLOAD`] octets (RFC 6891).
pub(crate) fn query(name: Name, record_type: RecordType) -> Message {
    let mut query = Message::query();
    query.add_query(Query::query(name, record_type));
    query
        .edns
        .get_or_insert_with(Edns::new)
        .set_max_payload(MAX_PAYLOAD);
    query
}

/// Sends a query, and reads until its answer comes: messages are preceded by their length (RFC 1035 section 4.2.2).
///
/// # Errors
/// What the connection says. A time-out is the caller's.
pub(crate) async fn over_stream(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    query: &Message,
    octets: &[u8],
) -> io::Result<DnsResponse> {
    let length = u16::try_from(octets.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes(), octets].concat())
        .await?;
    stream.flush().await?;
    loop {
        let length = stream.read_u16().await?;
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await?;
        if let Some(answer) = answering(query, answer) {
            return Ok(answer);
        }
    }
}

/// A message, if it is an answer to this query: of the same id, to the same question.
pub(crate) fn answering(query: &Message, octets: Vec<u8>) -> Option<DnsResponse> {
    let answer = DnsResponse::from_buffer(octets).ok()?;
    (answer.id == query.id && answer.queries == query.queries).then_some(answer)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::OpCode;

    use super::*;

    fn question(name: &str) -> Query {
        Query::query(Name::from_ascii(name).expect("a name"), RecordType::MX)
    }

    #[test]
    fn only_a_response_of_the_same_id_to_the_same_question_is_an_answer() {
        let mut query = Message::query();
        query.add_query(question("example.test."));
        let mut right = Message::response(query.id, OpCode::Query);
        right.add_query(question("EXAMPLE.test."));
        let octets = |message: &Message| message.to_vec().expect("a message");
        assert!(answering(&query, octets(&right)).is_some());

        let mut other_id = right.clone();
        other_id.metadata.id = query.id.wrapping_add(1);
        let mut other_question = Message::response(query.id, OpCode::Query);
        other_question.add_query(question("example.com."));
        let no_question = Message::response(query.id, OpCode::Query);
        for wrong in [other_id, other_question, no_question, query.clone()] {
            assert!(answering(&query, octets(&wrong)).is_none(), "{wrong}");
        }
        assert!(answering(&query, octets(&right)[..11].to_vec()).is_none());
    }
}
