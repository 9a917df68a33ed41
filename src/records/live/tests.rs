//! Name servers that say what they are told to, on loopback.

use std::net::Ipv4Addr;

use hickory_proto::{
    op::Message,
    rr::{
        Name, Record,
        rdata::{MX, NS, NULL, SOA},
    },
};
use tokio::{net::UdpSocket, task::JoinHandle};

use super::*;

/// A name server that is gone with its handle.
struct Server {
    at: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// One that answers each query as it is told; `None` is silence.
    async fn start(answer: impl Fn(&Message, &mut Message) + Send + 'static) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a socket");
        let at = socket.local_addr().expect("an address");
        let task = tokio::spawn(async move {
            let mut buffer = [0; 1232];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let query = Message::from_vec(&buffer[..length]).expect("a query");
                let mut reply = Message::response(query.id, query.op_code);
                reply.add_query(query.queries[0].clone());
                answer(&query, &mut reply);
                let octets = reply.to_vec().expect("a message");
                socket.send_to(&octets, from).await.expect("sent");
            }
        });
        Self { at, task }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn domain() -> Domain {
    "example.test".parse().expect("a name")
}

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

fn mx(preference: u16, host: &str) -> Record {
    let data = RData::MX(MX::new(preference, name(host)));
    Record::from_rdata(name("example.test."), 300, data)
}

#[tokio::test]
async fn each_name_server_is_asked_and_told_apart() {
    let right = Server::start(|_, reply| {
        reply.metadata.authoritative = true;
        reply.answers.push(mx(10, "mx1.example.test."));
    })
    .await;
    let refusing =
        Server::start(|_, reply| reply.metadata.response_code = ResponseCode::Refused).await;
    let referring = Server::start(|_, reply| {
        let ns = RData::NS(NS(name("ns.other.test.")));
        reply
            .authorities
            .push(Record::from_rdata(name("test."), 300, ns));
    })
    .await;
    let forwarding = Server::start(|_, _| {}).await;
    let empty = Server::start(|query, reply| {
        assert!(!query.recursion_desired);
        reply.metadata.authoritative = true;
    })
    .await;
    let servers = [&right, &refusing, &referring, &forwarding, &empty];
    let servers = servers.map(|server| (domain(), server.at)).to_vec();
    let told: Vec<ServedMx> = served(&domain(), servers)
        .await
        .into_iter()
        .map(|(_, _, served)| served)
        .collect();
    let host = "mx1.example.test".parse().expect("a name");
    let expected = [
        ServedMx::Records(BTreeSet::from([(10, host)])),
        ServedMx::NotServed("Query Refused".to_owned()),
        ServedMx::NotServed("a referral".to_owned()),
        ServedMx::Records(BTreeSet::new()),
        ServedMx::Records(BTreeSet::new()),
    ];
    assert_eq!(told, expected);
}

/// A resolver: whether it vouches for the DS record, whether it does for others, whether it refuses these.
async fn chain_by(has_ds: bool, vouches_for_ds: bool, vouches: bool, refuses: bool) -> Chain {
    let server = Server::start(move |query, reply| {
        let top = name("example.test.");
        match query.queries[0].query_type() {
            RecordType::SOA => {
                let soa = SOA::new(top.clone(), top.clone(), 1, 2, 3, 4, 5);
                reply
                    .answers
                    .push(Record::from_rdata(top, 300, RData::SOA(soa)));
            }
            RecordType::DS if has_ds => {
                reply.metadata.authentic_data = vouches_for_ds;
                let data = RData::Unknown {
                    code: RecordType::DS,
                    rdata: NULL::with(vec![0; 36]),
                };
                reply.answers.push(Record::from_rdata(top, 300, data));
            }
            RecordType::DS => {}
            _ if refuses && !query.checking_disabled => {
                reply.metadata.response_code = ResponseCode::ServFail;
            }
            _ => {
                reply.metadata.authentic_data = vouches && !query.checking_disabled;
                reply.answers.push(mx(10, "mx1.example.test."));
            }
        }
    })
    .await;
    chain(server.at, &domain(), RecordType::MX).await
}

#[tokio::test]
async fn a_chain_is_broken_where_a_ds_record_promises_more() {
    assert_eq!(chain_by(false, true, false, false).await, Chain::Unsigned);
    assert_eq!(chain_by(true, true, true, false).await, Chain::Validated);
    assert_eq!(chain_by(true, true, false, false).await, Chain::Insecure);
    assert_eq!(chain_by(true, false, false, false).await, Chain::Unknown);
    assert_eq!(chain_by(true, true, false, true).await, Chain::Broken);
}
