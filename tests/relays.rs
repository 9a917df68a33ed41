//! Relays: receivers at further ports, AUTH and TLS from the first octet as clients meet them, and scenarios that name
//! them.

use std::{net::SocketAddr, sync::Arc};

use mxdrill::{
    event::{EventKind, ReplyEvent},
    fault::{Host, Stage},
    lab::{Lab, NetworkKind},
    scenario::{Relay, Scenario},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

const ZONE: &str = "summary = 's'\nzone = '''\n$ORIGIN provider.test.\nsmtp1 A 192.0.2.1\nsmtp2 A 192.0.2.2\n\
    smtp3 AAAA 2001:db8::3\n'''\nmessages = [{ id = 'm', to = 'a@example.test' }]\n";

/// `app` and `secret` in base64, and both as PLAIN has them.
const USER: &str = "YXBw";
const PASSWORD: &str = "c2VjcmV0";
const PLAIN: &str = "AGFwcABzZWNyZXQ=";

fn scenario(rest: &str) -> Scenario {
    let text = format!("{ZONE}{rest}");
    Scenario::parse("f", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

async fn lab(rest: &str) -> Lab {
    let lab = Lab::start(Arc::new(scenario(rest)), NetworkKind::Loopback).await;
    lab.expect("a lab")
}

fn at(lab: &Lab, address: &str, port: u16) -> Option<SocketAddr> {
    lab.socket_for_port(address.parse().expect("an address"), port)
}

/// A client that speaks line by line.
struct RelayClient(BufReader<TcpStream>);

impl RelayClient {
    async fn connect(lab: &Lab, port: u16) -> Self {
        let at = at(lab, "192.0.2.1", port).expect("it listens");
        let stream = TcpStream::connect(at).await.expect("a connection");
        let mut client = Self(BufReader::new(stream));
        assert_eq!(client.reply().await, "220");
        assert_eq!(client.say("EHLO c.test").await, "250");
        client
    }

    /// The code of the next reply, or its whole last line where it asks for more.
    async fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).await.expect("a line");
            if line.as_bytes().get(3) != Some(&b'-') {
                let code = line.get(..3).unwrap_or_default();
                let asks = code == "334";
                return if asks {
                    line.trim_end().to_owned()
                } else {
                    code.to_owned()
                };
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        let line = format!("{line}\r\n");
        self.0.write_all(line.as_bytes()).await.expect("sent");
        self.reply().await
    }
}

const OPEN: &str = "receivers = [{ host = 'smtp1.provider.test', ports = [587], \
    auth = { user = 'app', password = 'secret', plaintext = true } }]";

#[tokio::test]
async fn auth_is_answered_as_the_rfc_has_it() {
    let lab = lab(OPEN).await;
    let sessions: &[&[(&str, &str)]] = &[
        &[
            ("MAIL FROM:<a@c.test>", "530"),
            (&format!("AUTH PLAIN {PLAIN}"), "235"),
            (&format!("AUTH PLAIN {PLAIN}"), "503"),
            ("MAIL FROM:<a@c.test> AUTH=<>", "250"),
        ],
        &[("AUTH PLAIN", "334 "), (PLAIN, "235")],
        &[
            ("AUTH login", "334 VXNlcm5hbWU6"),
            (USER, "334 UGFzc3dvcmQ6"),
            (PASSWORD, "235"),
        ],
        &[
            (&format!("AUTH LOGIN {USER}"), "334 UGFzc3dvcmQ6"),
            (PASSWORD, "235"),
        ],
        &[
            ("AUTH LOGIN", "334 VXNlcm5hbWU6"),
            ("*", "501"),
            ("AUTH PLAIN =", "501"),
            ("AUTH PLAIN !", "501"),
            ("AUTH CRAM-MD5", "504"),
            ("AUTH PLAIN AGFwcABub3RvbmU=", "535"),
            (&format!("AUTH LOGIN {PASSWORD}"), "334 UGFzc3dvcmQ6"),
            (PASSWORD, "535"),
            ("MAIL FROM:<a@c.test>", "530"),
        ],
    ];
    for session in sessions {
        let mut client = RelayClient::connect(&lab, 587).await;
        for (line, reply) in *session {
            assert_eq!(
                client.say(line).await.trim_end(),
                reply.trim_end(),
                "{line}"
            );
        }
    }
    // Nobody is asked at 25, nor offered more than there is.
    let mut client = RelayClient::connect(&lab, 25).await;
    assert_eq!(client.say("MAIL FROM:<a@c.test>").await, "250");
    assert_eq!(client.say("AUTH PLAIN").await, "503");
    assert_eq!(at(&lab, "192.0.2.1", 465), None);
    assert_eq!(at(&lab, "192.0.2.2", 587), None);
}

#[tokio::test]
async fn credentials_are_refused_in_plain_text_and_never_logged() {
    let lab = lab(&OPEN.replace(", plaintext = true", "")).await;
    let mut client = RelayClient::connect(&lab, 587).await;
    assert_eq!(client.say(&format!("AUTH PLAIN {PLAIN}")).await, "538");
    let log = serde_json::to_string(&lab.events()).expect("a log");
    for secret in [USER, PASSWORD, PLAIN, "secret"] {
        assert!(!log.contains(secret), "{log}");
    }
    let mut events = lab.events().into_iter();
    let sent = events.find_map(|event| match event.kind {
        EventKind::Reply {
            stage: Stage::Auth,
            argument,
            more,
            answer: ReplyEvent::Reply { code, .. },
            ..
        } => Some((argument, more.credentials, code)),
        _ => None,
    });
    assert_eq!(sent, Some((Some("PLAIN".to_owned()), true, 538)));
}

#[tokio::test]
async fn a_fault_may_be_of_one_port() {
    let faults = "\nfaults = [{ host = 'smtp1.provider.test', port = 587, stage = 'connect', effect = 'refuse' }]";
    let lab = lab(&format!("{OPEN}{faults}")).await;
    let at_587 = at(&lab, "192.0.2.1", 587).expect("it is its own");
    let refused = TcpStream::connect(at_587).await.expect_err("refused");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    RelayClient::connect(&lab, 25).await;
}

#[test]
fn relays_are_read_and_written() {
    let rest = "sender = { relays = ['smtp1.provider.test:587', '192.0.2.2:465', '[2001:db8::3]:2525'], user = 'u', password = 'p' }\n\
        receivers = [{ certificate = 'valid', ports = [2587], auth = { user = 'u', password = 'p', required = false } }]\n\
        faults = [{ host = 'smtp1.provider.test', port = 587, stage = 'auth', effect = '454 4.7.0 later' }]\n\
        [expect.m]\nattempts = [{ host = 'smtp1.provider.test', port = 587, result = '454', stage = 'auth' }]\n";
    let read = scenario(rest);
    let relay = |host: &str, port| Relay {
        host: host.parse::<Host>().expect("a host"),
        port,
    };
    let expected = [
        relay("smtp1.provider.test", 587),
        relay("192.0.2.2", 465),
        relay("2001:db8::3", 2525),
    ];
    assert_eq!(read.sender.relays, expected);
    let again =
        Scenario::parse("f", &read.to_toml()).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(again.sender.relays, expected);
    assert_eq!(again.sender.login, read.sender.login);
    assert_eq!(again.world.receivers, read.world.receivers);
    assert_eq!(again.world.faults, read.world.faults);
    assert_eq!(again.to_toml(), read.to_toml());
}

#[test]
fn mistakes_about_relays_are_told_where_they_are() {
    let no_certificate = "expected a row of receivers with a certificate for it: port 465 is inside TLS from the first octet on";
    for (rest, told) in [
        (
            "sender = { relays = ['smtp1.provider.test'] }",
            "f:9:22: found \"smtp1.provider.test\", expected a host and a port, such as \"smtp.example.test:587\"",
        ),
        (
            "sender = { relays = ['2001:db8::3'] }",
            "f:9:22: found \"2001:db8::3\", expected a host and a port, such as \"smtp.example.test:587\"",
        ),
        (
            "sender = { relays = ['smtp4.provider.test:587'] }",
            "f:9:22: found host \"smtp4.provider.test\", expected one that a record names; did you mean \"smtp1.provider.test\"?",
        ),
        (
            "sender = { relays = [] }",
            "f:9:12: found no relay, expected one at least, such as relays = [\"smtp.example.test:587\"]",
        ),
        (
            "sender = { relays = ['smtp1.provider.test:587'], user = 'u' }",
            "f:9:50: found user without password, expected both",
        ),
        (
            "sender = { user = 'u', password = 'p' }",
            "f:9:12: found user without relays, expected it beside them\n\
             f:9:24: found password without relays, expected it beside them",
        ),
        (
            "sender = { relays = ['smtp1.provider.test:587'], tls = 'dane' }",
            "f:9:50: found tls = \"dane\" beside relays, expected none, opportunistic, required or verified: no MX record leads there",
        ),
        (
            "sender = { relays = ['smtp1.provider.test:465'] }",
            &format!("f:9:21: found relay \"smtp1.provider.test:465\", {no_certificate}"),
        ),
        (
            "receivers = [{ host = 'smtp1.provider.test', ports = [465] }]",
            &format!("f:9:14: found a receiver at port 465, {no_certificate}"),
        ),
        (
            "receivers = [{ ports = [0] }]",
            "f:9:25: found ports 0, expected 1 to 65535",
        ),
        (
            "receivers = [{ auth = { user = 'u' } }]",
            "f:9:23: found auth without \"password\", expected the password of the client that it knows",
        ),
    ] {
        let mistakes = Scenario::parse("f", &format!("{ZONE}{rest}")).expect_err(rest);
        assert_eq!(mistakes.to_string(), told, "{rest}");
    }
}
