//! The stub resolver of the lab's own senders (RFC 1034 section 5.3.1): one question to the lab's name
//! server, over the lab's network, and its answer.
//!
//! What an answer means, and how long it is kept, is the sender's to say.
//!
//! A datagram is sent up to three times, a third of a second apart, and the first answer to any of them counts; the
//! others are then of no interest. An answer that is truncated is asked for again over TCP (RFC 7766 section 5),
//! unless it is a failure, of which there is no more to know.

use std::{
    future::poll_fn,
    io,
    net::Ipv4Addr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, poll, stream::FuturesUnordered, task::AtomicWaker};
use hickory_proto::{
    op::{DnsResponse, Edns, Message, Query},
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
    stub_answer::StubAnswer,
};
use crate::name::Domain;

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
    name: &Domain,
    record_type: RecordType,
) -> io::Result<StubAnswer> {
    let answer = match &state.network {
        Network::Memory(_) => in_memory(state, name, record_type).await?,
        _ => {
            let question = Question::of(name, record_type)?;
            // Boxed for its size: the buffer of a socket is in it, and ten thousand lookups in memory may be under way.
            let sent = over_udp(state, || over_socket(state, &question).boxed());
            let answer = state.clock.within(TIMEOUT, sent).await;
            answer.ok_or(io::ErrorKind::TimedOut)??
        }
    };
    if answer.truncated && !answer.is_failure() {
        let question = Question::of(name, record_type)?;
        let sent = over_tcp(state, &question).boxed();
        let answer = state.clock.within(TIMEOUT, sent).await;
        answer.ok_or(io::ErrorKind::TimedOut)?
    } else {
        Ok(answer)
    }
}

/// Lets others get on while an answer is on its way, as on a wire.
///
/// Who waits for it is looked at once more meanwhile, as if it were among several datagrams: so lookups that are begun
/// together go on in the order in which they were begun.
async fn on_its_way() {
    #[derive(Default)]
    struct Arrival {
        has_come: AtomicBool,
        waiting: AtomicWaker,
    }
    impl Wake for Arrival {
        fn wake(self: Arc<Self>) {
            self.has_come.store(true, Ordering::Release);
            self.waiting.wake();
        }
    }
    let arrival = Arc::new(Arrival::default());
    let mut turn = Some(yield_now());
    poll_fn(|context| {
        arrival.waiting.register(context.waker());
        if let Some(turn) = turn.take() {
            let arrives = Waker::from(Arc::clone(&arrival));
            // It asks to be woken, once all that can be done now was begun, and is not needed any more.
            let turn = pin!(turn).poll(&mut Context::from_waker(&arrives));
            debug_assert!(turn.is_pending(), "it is its first turn");
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match arrival.has_come.load(Ordering::Acquire) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    })
    .await
}

/// A query, as a message and as octets.
struct Question {
    query: Message,
    octets: Vec<u8>,
}

impl Question {
    fn of(name: &Domain, record_type: RecordType) -> io::Result<Self> {
        let mut query = query(name.to_wire(), record_type);
        // The lab's name server plays a recursive resolver.
        query.metadata.recursion_desired = true;
        // It asks whether the answer is vouched for (RFC 6840 section 5.7).
        query.metadata.authentic_data = true;
        let octets = query.to_vec().map_err(io::Error::other)?;
        Ok(Self { query, octets })
    }
}

/// Sends datagrams until the first answer to any of them.
async fn over_udp<F: Future<Output = io::Result<StubAnswer>>>(
    state: &Arc<LabState>,
    mut datagram: impl FnMut() -> F,
) -> io::Result<StubAnswer> {
    let mut sent = FuturesUnordered::new();
    loop {
        sent.push(datagram());
        tokio::select! {
            biased;
            Some(answer) = sent.next() => return answer,
            () = state.clock.sleep(REPEAT), if sent.len() < DATAGRAMS => {}
        }
    }
}

/// Asks where there are no sockets: the name server is called, and nothing becomes octets.
///
/// It has an answer at once unless a fault delays or takes it, so what waits for one is made only then.
async fn in_memory(
    state: &Arc<LabState>,
    name: &Domain,
    record_type: RecordType,
) -> io::Result<StubAnswer> {
    let server = NameServer::new(Arc::clone(state));
    let mut first = Box::pin(server.answer_in_memory(name, record_type));
    let mut first = match poll!(&mut first) {
        Poll::Ready(Some(answer)) => {
            on_its_way().await;
            return Ok(answer);
        }
        Poll::Ready(None) => Some(std::future::ready(None).boxed()),
        Poll::Pending => Some(first.boxed()),
    };
    let datagram = || {
        let asked = server.answer_in_memory(name, record_type);
        arrival(first.take().unwrap_or_else(|| asked.boxed()))
    };
    let sent = over_udp(state, datagram).boxed();
    let answer = state.clock.within(TIMEOUT, sent).boxed().await;
    answer.ok_or(io::ErrorKind::TimedOut)?
}

/// Waits for an answer that is on its way; for ever, if there is none.
async fn arrival(answer: impl Future<Output = Option<StubAnswer>>) -> io::Result<StubAnswer> {
    let answer = answer.await;
    yield_now().await;
    match answer {
        Some(answer) => Ok(answer),
        None => std::future::pending().await,
    }
}

/// Sends a query in a datagram, and waits for what answers it: whatever else comes is passed over.
async fn over_socket(state: &LabState, question: &Question) -> io::Result<StubAnswer> {
    let server = state.network.resolver();
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.send_to(&question.octets, server).await?;
    let mut buffer = [0; MAX_PAYLOAD as usize];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).await?;
        let answer = answering(&question.query, buffer[..length].to_vec());
        if let Some(answer) = answer.filter(|_| from == server) {
            return Ok(answer.into());
        }
    }
}

/// Sends a query over a connection of its own.
async fn over_tcp(state: &Arc<LabState>, question: &Question) -> io::Result<StubAnswer> {
    let stream = network::connect::to_name_server(state).await?;
    let answer = over_stream(stream, &question.query, &question.octets).await?;
    Ok(answer.into())
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
    use crate::{
        fault::Transport,
        lab::{Lab, NetworkKind},
        scenario::Scenario,
    };

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

    const NAMES: &str = r#"@      IN SOA ns hostmaster 1 3600 600 86400 60
@      IN MX 10 mx1
@      IN MX 20 MX2.Other.test.
@      IN TXT "v=spf1 mx -all"
@      IN CAA 0 issue "ca.example"
mx1    IN A 192.0.2.1
mx1    IN AAAA 2001:db8::1
_25._tcp.mx1 IN TLSA 3 1 1 0000000000000000000000000000000000000000000000000000000000000000
alias  IN CNAME mx1
out    IN CNAME host.elsewhere.test.
round  IN CNAME round
*.wild IN A 192.0.2.3
host.elsewhere.test. IN CNAME nowhere.test.
"#;

    /// What a fault does to the answer about `WORD.example.test`, by the word.
    const EFFECTS: [(&str, &str); 8] = [
        ("fails", "servfail"),
        ("gone", "nxdomain"),
        ("empty", "nodata"),
        ("refused", "refused"),
        ("cut", "truncate"),
        ("strange", "wrong id"),
        ("silent", "timeout"),
        ("slow", "delay 1s"),
    ];

    /// A lab of these names, of more than a datagram takes, and of names with a fault each.
    async fn lab_of_names() -> Lab {
        let many = (1..=200).map(|n| format!("many IN A 198.51.100.{n}\nsome IN MX {n} mx{n}\n"));
        let faulty = EFFECTS.map(|(name, _)| format!("{name} IN A 192.0.2.9\n"));
        let faults = EFFECTS.map(|(name, effect)| {
            format!("{{ query = '{name}.example.test', effect = '{effect}' }},")
        });
        let text = format!(
            "summary = 's'\ndnssec = ['example.test']\nzone = '''{}{NAMES}{}'''\nfaults = [{}]\n\
            messages = [{{ id = 'm', to = 'a@example.test' }}]\n",
            "$ORIGIN example.test.\n$TTL 300\n",
            many.chain(faulty).collect::<String>(),
            faults.concat()
        );
        let scenario = Scenario::parse("s", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let lab = Lab::start(Arc::new(scenario), NetworkKind::Memory).await;
        lab.expect("a lab")
    }

    /// The octets are the oracle: what hickory reads of the answer that the same server writes.
    #[tokio::test(start_paused = true)]
    async fn what_is_handed_over_in_memory_is_what_a_datagram_would_bring() {
        use RecordType::{A, AAAA, ANY, CAA, CNAME, MX, SOA, TLSA, TXT};
        let lab = lab_of_names().await;
        let server = NameServer::new(Arc::clone(lab.state()));
        let names = "example.test mx1.example.test alias.example.test out.example.test round.example.test \
            a.wild.example.test _25._tcp.mx1.example.test none.example.test host.elsewhere.test many.example.test \
            some.example.test";
        let faulty = EFFECTS.map(|(name, _)| format!("{name}.example.test"));
        let (mut whole, mut cut) = (0, 0);
        for name in names.split(' ').map(str::to_owned).chain(faulty) {
            let name: Domain = name.parse().expect("a name");
            for record_type in [A, AAAA, ANY, CAA, CNAME, MX, SOA, TLSA, TXT] {
                let told = server.answer_in_memory(&name, record_type).await;
                let question = Question::of(&name, record_type).expect("a question");
                let octets = server.answer(question.octets, Transport::Udp).await;
                let read = octets.and_then(|octets| answering(&question.query, octets));
                let read = read.map(StubAnswer::from);
                assert_eq!(
                    format!("{told:?}"),
                    format!("{read:?}"),
                    "{name} {record_type}"
                );
                if let Some(told) = told {
                    whole += usize::from(!told.records.is_empty());
                    cut += usize::from(told.truncated);
                }
            }
        }
        assert!(
            whole > 20 && cut > 9,
            "{whole} answers with records, {cut} cut off"
        );
    }
}
