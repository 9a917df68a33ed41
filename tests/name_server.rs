//! The name server over real UDP and TCP, asked with hickory's own messages.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
    serialize::binary::{BinDecodable, BinDecoder},
};
use mxdrill::{
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
};

const ZONE: &str = r#"
$ORIGIN example.test.
$TTL 300
@ IN SOA ns1 hostmaster 7 7200 3600 1209600 60
@ IN NS ns1
@ IN MX 10 mx1
@ IN TXT "v=spf1 mx -all"
ns1 IN A 192.0.2.53
mx1 IN A 192.0.2.1
mx1 IN AAAA 2001:db8::1
www IN CNAME mx1
_25._tcp.mx1 IN TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
_submission._tcp IN SRV 0 1 587 mx1
1.2.0.192.in-addr.arpa. IN PTR mx1
"#;

fn question(name: &str, record_type: RecordType, payload: Option<u16>) -> Vec<u8> {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(
        Name::from_ascii(name).expect("a name"),
        record_type,
    ));
    if let Some(payload) = payload {
        let mut edns = Edns::new();
        edns.set_max_payload(payload);
        message.edns = Some(edns);
    }
    message.to_vec().expect("encoded")
}

async fn udp(server: SocketAddr, question: &[u8]) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    socket.send_to(question, server).await.expect("sent");
    let mut buffer = vec![0; 65535];
    let (length, _) = socket.recv_from(&mut buffer).await.expect("an answer");
    whole(&buffer[..length])
}

async fn tcp(server: SocketAddr, question: &[u8]) -> Message {
    let mut stream = TcpStream::connect(server).await.expect("connected");
    stream
        .write_u16(u16::try_from(question.len()).expect("short"))
        .await
        .expect("sent");
    stream.write_all(question).await.expect("sent");
    let length = stream.read_u16().await.expect("an answer");
    let mut buffer = vec![0; length.into()];
    stream.read_exact(&mut buffer).await.expect("an answer");
    whole(&buffer)
}

/// A message, and nothing after it.
fn whole(octets: &[u8]) -> Message {
    let mut decoder = BinDecoder::new(octets);
    let message = Message::read(&mut decoder).expect("a message");
    assert!(decoder.is_empty(), "{} stray octets", decoder.len());
    message
}

fn data(message: &Message) -> Vec<String> {
    message
        .answers
        .iter()
        .map(|record| record.data.to_string())
        .collect()
}

#[tokio::test]
async fn every_type_is_answered_over_udp_and_tcp() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    for (name, record_type, expected) in [
        ("example.test.", RecordType::MX, "10 mx1.example.test."),
        ("EXAMPLE.test.", RecordType::TXT, "v=spf1 mx -all"),
        ("example.test.", RecordType::NS, "ns1.example.test."),
        (
            "example.test.",
            RecordType::SOA,
            "ns1.example.test. hostmaster.example.test. 7 7200 3600 1209600 60",
        ),
        (
            "_submission._tcp.example.test.",
            RecordType::SRV,
            "0 1 587 mx1.example.test.",
        ),
        (
            "1.2.0.192.in-addr.arpa.",
            RecordType::PTR,
            "mx1.example.test.",
        ),
        (
            "_25._tcp.mx1.example.test.",
            RecordType::TLSA,
            "3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        ),
    ] {
        let question = question(name, record_type, None);
        for answer in [
            udp(lab.resolver(), &question).await,
            tcp(lab.resolver(), &question).await,
        ] {
            assert_eq!(data(&answer), [expected], "{name} {record_type}");
            assert!(answer.metadata.recursion_available && answer.metadata.id == 4711);
        }
    }
}

#[tokio::test]
async fn addresses_lead_to_where_receivers_listen() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let answer = udp(
        lab.resolver(),
        &question("www.example.test.", RecordType::A, None),
    )
    .await;
    let endpoint = &lab.endpoints()[0];
    let listens = endpoint.listens;
    let told = data(&answer);
    assert_eq!(told[0], "mx1.example.test.");
    let answered: IpAddr = told[1].parse().expect("an address");
    // Where the system has no address for each, they are told apart by their ports.
    assert!(answered == listens.ip() || listens.ip() == Ipv4Addr::LOCALHOST);
    for address in [answered, endpoint.zone_address] {
        assert_eq!(lab.socket_for(address), listens, "{address}");
    }
    let answer = udp(
        lab.resolver(),
        &question("mx1.example.test.", RecordType::AAAA, None),
    )
    .await;
    let address: IpAddr = data(&answer)[0].parse().expect("an address");
    TcpStream::connect(lab.socket_for(address))
        .await
        .expect("what is answered for IPv6 reaches the receiver");
    // Some systems connect to no IPv4-mapped address.
    if cfg!(target_os = "linux") && answered == listens.ip() {
        TcpStream::connect((address, lab.smtp_port()))
            .await
            .expect("an IPv4-mapped address reaches the receiver");
    }
    let reverse = Name::from(answered).to_ascii();
    let answer = udp(lab.resolver(), &question(&reverse, RecordType::PTR, None)).await;
    assert_eq!(data(&answer), ["mx1.example.test."]);
}

#[tokio::test]
async fn negative_answers_carry_an_soa() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    for (name, code) in [
        ("gone.example.test.", ResponseCode::NXDomain),
        ("mx1.example.test.", ResponseCode::NoError),
    ] {
        let answer = udp(lab.resolver(), &question(name, RecordType::MX, None)).await;
        assert_eq!(
            (answer.metadata.response_code, answer.answers.len()),
            (code, 0)
        );
        assert_eq!(answer.authorities[0].record_type(), RecordType::SOA);
        assert_eq!(answer.authorities[0].name.to_string(), "example.test.");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_truncated_and_whole_over_tcp() {
    let mut zone = String::from("$ORIGIN example.test.\n");
    for number in 0..100 {
        zone.push_str(&format!(
            "@ MX {number} exchanger-with-a-long-name-{number}\n"
        ));
    }
    let lab = Lab::from_zone(&zone).await.expect("a lab");
    for payload in [None, Some(512), Some(1232), Some(4096)] {
        let answer = udp(
            lab.resolver(),
            &question("example.test.", RecordType::MX, payload),
        )
        .await;
        let limit = payload.unwrap_or(512).min(1232);
        assert!(
            answer.metadata.truncation && answer.to_vec().expect("encoded").len() <= limit.into(),
            "{payload:?}"
        );
    }
    let answer = tcp(
        lab.resolver(),
        &question("example.test.", RecordType::MX, None),
    )
    .await;
    assert!(!answer.metadata.truncation && answer.answers.len() == 100);
}

#[tokio::test]
async fn names_of_any_octets_are_answered() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    for label in [&b"a b"[..], b"@", b"x\xff", b"-a-", b"\"", b"k_1"] {
        let name = Name::from_labels([label, b"example", b"test"]).expect("a name");
        let mut message = Message::new(1, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name, RecordType::MX));
        let answer = udp(lab.resolver(), &message.to_vec().expect("encoded")).await;
        assert_eq!(
            answer.metadata.response_code,
            ResponseCode::NXDomain,
            "{label:?}"
        );
    }
}

#[tokio::test]
async fn what_is_not_served_is_refused() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let answer = tcp(
        lab.resolver(),
        &question("example.test.", RecordType::AXFR, None),
    )
    .await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
    let mut message = Message::new(1, MessageType::Query, OpCode::Query);
    let mut query = Query::query(
        Name::from_ascii("example.test.").expect("a name"),
        RecordType::MX,
    );
    query.set_query_class(hickory_proto::rr::DNSClass::CH);
    message.add_query(query);
    let answer = udp(lab.resolver(), &message.to_vec().expect("encoded")).await;
    assert_eq!(answer.metadata.response_code, ResponseCode::Refused);
}

#[tokio::test]
async fn nonsense_harms_nobody() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    for nonsense in [&b""[..], b"x", &[0xff; 40], &[0; 12], &[0; 600]] {
        socket
            .send_to(nonsense, lab.resolver())
            .await
            .expect("sent");
        if let Ok(mut stream) = TcpStream::connect(lab.resolver()).await {
            drop(stream.write_all(nonsense).await);
        }
    }
    let answer = udp(
        lab.resolver(),
        &question("example.test.", RecordType::MX, None),
    )
    .await;
    assert_eq!(data(&answer), ["10 mx1.example.test."]);
}

#[tokio::test]
async fn a_question_that_cannot_be_read_is_malformed_and_an_answer_is_none() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let whole = question("example.test.", RecordType::MX, None);
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let mut answer = whole.clone();
    answer[2] |= 0x80;
    // Neither gets a reply, or it would be the first to arrive: there are no more than the header of a question, and it is an
    // answer.
    for silent in [&whole[..11], &answer] {
        socket.send_to(silent, lab.resolver()).await.expect("sent");
    }
    let cut = &whole[..whole.len() - 5];
    socket.send_to(cut, lab.resolver()).await.expect("sent");
    let mut buffer = [0; 512];
    let (length, _) = socket.recv_from(&mut buffer).await.expect("a reply");
    // Its id, QR and RD, FORMERR, and nothing else (RFC 1035 section 4.1.1).
    let expected = [whole[0], whole[1], 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(buffer[..length], expected);
}

/// What is known from the question before is the answer only as long as the records are the same and no fault strikes.
#[tokio::test]
async fn a_question_that_is_asked_again_is_answered_as_it_would_be_the_first_time() {
    let lab = Lab::from_zone(ZONE).await.expect("a lab");
    let mut asked = question("example.test.", RecordType::MX, Some(1232));
    let mut ask = async |id: u16| {
        asked[..2].copy_from_slice(&id.to_be_bytes());
        let answer = udp(lab.resolver(), &asked).await;
        assert_eq!(answer.metadata.id, id);
        (answer.metadata.response_code, data(&answer))
    };
    let found = |preference: u16| {
        let record = format!("{preference} mx1.example.test.");
        (ResponseCode::NoError, vec![record])
    };
    let nothing = |code| (code, Vec::new());
    assert_eq!(ask(1).await, found(10));
    assert_eq!(ask(2).await, found(10));
    let fault = lab.fail_query("example.test MX", "servfail");
    let fault = fault.expect("a fault");
    assert_eq!(ask(3).await, nothing(ResponseCode::ServFail));
    assert_eq!(ask(4).await, nothing(ResponseCode::ServFail));
    drop(fault);
    assert_eq!(ask(5).await, found(10));
    let instead = "example.test. 300 IN MX 30 mx1.example.test.";
    lab.update(&["example.test MX"], instead).expect("updated");
    assert_eq!(ask(6).await, found(30));
    assert_eq!(ask(7).await, found(30));
    lab.update(&["example.test MX"], "").expect("updated");
    assert_eq!(ask(8).await, nothing(ResponseCode::NoError));
}

/// Records that change at a moment of the scenario are others from then on, for who asked before, too.
#[tokio::test]
async fn a_question_that_is_asked_again_has_the_records_of_its_moment() {
    let later = "updates = [{ at = '1s', add = 'later.example.test. 300 IN A 192.0.2.1' }]";
    let text = format!(
        "summary = 's'\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n{later}\nzone = '''{ZONE}'''\n"
    );
    let scenario = Scenario::parse("later", &text).expect("a scenario");
    let lab = Lab::start(Arc::new(scenario), NetworkKind::Loopback).await;
    let lab = lab.expect("a lab");
    let asked = question("later.example.test.", RecordType::A, None);
    let mut negative = 0;
    let come = async {
        while udp(lab.resolver(), &asked).await.answers.is_empty() {
            negative += 1;
        }
    };
    let limit = std::time::Duration::from_secs(60);
    let come = tokio::time::timeout(limit, come).await;
    come.expect("the record is there in the end");
    assert!(negative > 1, "asked {negative} times before");
}

#[tokio::test]
async fn a_held_back_answer_holds_up_no_other() {
    let faults = "faults = [{ query = 'slow.example.test A', effect = 'delay 1h' }]";
    let text = format!(
        "summary = 's'\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n{faults}\nzone = '''{ZONE}'''\n"
    );
    let scenario = Scenario::parse("held back", &text).expect("a scenario");
    let lab = Lab::start(Arc::new(scenario), NetworkKind::Loopback)
        .await
        .expect("a lab");
    let socket = UdpSocket::bind("127.0.0.1:0").await.expect("bound");
    let slow = question("slow.example.test.", RecordType::A, None);
    socket.send_to(&slow, lab.resolver()).await.expect("sent");
    let answer = udp(
        lab.resolver(),
        &question("mx1.example.test.", RecordType::A, None),
    )
    .await;
    assert_eq!(answer.answers.len(), 1);
}

#[tokio::test]
async fn a_long_text_is_truncated_to_nothing() {
    let text = format!("\"{}\" ", "a".repeat(200)).repeat(3);
    let zone = format!("$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\nbig TXT {text}\n");
    let lab = Lab::from_zone(&zone).await.expect("a lab");
    let asked = question("big.example.test.", RecordType::TXT, None);
    let answer = udp(lab.resolver(), &asked).await;
    assert!(answer.metadata.truncation && answer.answers.is_empty());
    let answer = tcp(lab.resolver(), &asked).await;
    assert!(!answer.metadata.truncation && answer.answers.len() == 1);
    // There is room for it where the client says so.
    let asked = question("big.example.test.", RecordType::TXT, Some(1232));
    let answer = udp(lab.resolver(), &asked).await;
    assert!(!answer.metadata.truncation && answer.answers.len() == 1);
}

#[tokio::test]
async fn the_ad_bit_is_for_who_asks_for_it() {
    let text = format!(
        "summary = \"s\"\nzone = \'\'\'{ZONE}\'\'\'\ndnssec = [\"example.test\"]\nmessages = [{{ id = \"m\", to = \"a@example.test\" }}]\n"
    );
    let scenario = Arc::new(Scenario::parse("signed", &text).expect("valid"));
    let lab = Lab::start(scenario, NetworkKind::Loopback)
        .await
        .expect("a lab");
    let asked = |authentic_data: bool, dnssec_ok: Option<bool>, name: &str| {
        let mut message = Message::new(1, MessageType::Query, OpCode::Query);
        message.metadata.authentic_data = authentic_data;
        message.add_query(Query::query(
            Name::from_ascii(name).expect("a name"),
            RecordType::MX,
        ));
        message.edns = dnssec_ok.map(|dnssec_ok| {
            let mut edns = Edns::new();
            edns.set_dnssec_ok(dnssec_ok);
            edns
        });
        message.to_vec().expect("encoded")
    };
    for (authentic_data, dnssec_ok, vouched) in [
        (false, None, false),
        (false, Some(false), false),
        (true, None, true),
        (true, Some(false), true),
        (false, Some(true), true),
    ] {
        let question = asked(authentic_data, dnssec_ok, "example.test.");
        let answer = udp(lab.resolver(), &question).await;
        assert_eq!(answer.metadata.authentic_data, vouched);
        let copied = answer.edns.map(|edns| edns.flags().dnssec_ok);
        assert_eq!(copied, dnssec_ok);
        let question = asked(authentic_data, dnssec_ok, "elsewhere.test.");
        let answer = udp(lab.resolver(), &question).await;
        assert!(!answer.metadata.authentic_data);
    }
}

#[tokio::test]
async fn a_negative_answer_may_be_kept_for_the_lesser_of_both_times() {
    for (ttl, minimum, kept) in [(300, 60, 60), (30, 600, 30)] {
        let zone = format!(
            "$ORIGIN example.test.\n@ {ttl} IN SOA ns hostmaster 1 7200 3600 1209600 {minimum}\n@ {ttl} IN MX 10 mx1\nmx1 {ttl} IN A 192.0.2.1\n"
        );
        let lab = Lab::from_zone(&zone).await.expect("a lab");
        for name in ["nowhere.example.test.", "mx1.example.test."] {
            let answer = udp(lab.resolver(), &question(name, RecordType::MX, None)).await;
            assert_eq!(answer.authorities[0].ttl, kept);
        }
        // The record itself is what it is.
        let asked = question("example.test.", RecordType::SOA, None);
        assert_eq!(udp(lab.resolver(), &asked).await.answers[0].ttl, ttl);
    }
}

#[tokio::test]
async fn an_address_that_no_host_can_have_has_no_receiver() {
    let zone = "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 0.0.0.0\nmx1 AAAA ::\nmx1 A 224.0.0.1\nmx2 A 192.0.2.2\n";
    let lab = Lab::from_zone(zone).await.expect("a lab");
    let addresses: Vec<String> = lab
        .endpoints()
        .iter()
        .map(|endpoint| endpoint.zone_address.to_string())
        .collect();
    assert_eq!(addresses, ["192.0.2.2", "198.51.100.25"]);
    let asked = question("mx1.example.test.", RecordType::AAAA, None);
    assert_eq!(data(&udp(lab.resolver(), &asked).await), ["::"]);
}

/// What starts a thousand deliveries asks thousands of questions before it reads an answer. Elsewhere nobody tells what
/// is dropped.
#[cfg(all(target_os = "linux", feature = "private-network"))]
#[tokio::test]
async fn of_two_thousand_questions_at_once_none_is_lost_unless_that_is_told() {
    let scenario = Scenario::from_zone(ZONE).expect("valid");
    let lab = Lab::start(Arc::new(scenario), NetworkKind::Loopback).await;
    let lab = lab.expect("a lab");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let asked = question("example.test.", RecordType::MX, None);
    for _ in 0..2_000 {
        socket.send_to(&asked, lab.resolver()).expect("sent");
    }
    // Where the kernel dropped some, fewer come than are waited for, and the lab says so.
    let come = async {
        while lab.trouble().is_none() && lab.events().len() < 2_000 {
            let next = lab.past(lab.events().len());
            tokio::time::timeout(std::time::Duration::from_millis(100), next)
                .await
                .ok();
        }
    };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, come)
        .await
        .expect("each comes, or is told to be lost");
    if let Some(trouble) = lab.trouble() {
        assert!(
            trouble.contains("questions to the name server were lost"),
            "{trouble}"
        );
    }
    lab.stop().await;
}
