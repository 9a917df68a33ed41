//! Receivers under clients that behave and clients that do not, on real sockets. Here are those that send too much, or
//! leave without a word.

mod client;
mod conversation;
mod faults;

use std::sync::Arc;

use mxdrill::{
    event::{EventKind, SessionEnd},
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};
use tokio::net::TcpStream;

use self::client::{LineClient, ZONE, lab};

#[tokio::test]
async fn an_endless_line_is_refused_and_harms_no_other() {
    let (_lab, mx1, _) = lab().await;
    let mut rude = LineClient::connect(mx1).await;
    for _ in 0..2000 {
        rude.send(&[b'x'; 8192]).await;
    }
    let mut polite = LineClient::connect(mx1).await;
    assert_eq!(polite.say("EHLO c.test").await, 250);
    rude.send(b"\r\n").await;
    assert_eq!(rude.reply().await, 500);
    assert_eq!(rude.say("NOOP").await, 250);
}

#[tokio::test]
async fn a_client_that_only_sends_long_lines_is_hung_up_on() {
    let (lab, mx1, _) = lab().await;
    let mut rude = LineClient::connect(mx1).await;
    let line = [&[b'x'; 5000][..], b"\r\n"].concat();
    let mut last = 500;
    for _ in 0..150 {
        rude.send(&line).await;
        last = rude.reply().await;
        if last != 500 {
            break;
        }
    }
    assert_eq!(last, 421);
    assert!(lab.events().len() < 150);
}

#[tokio::test]
async fn a_message_past_the_limit_is_refused_after_its_end() {
    let text = format!(
        "summary = \"s\"\nzone = '''{ZONE}'''\nmessages = [{{ id = \"m\", to = \"a@example.test\" }}]\nreceivers = [{{ host = \"mx1.example.test\", size = 1000 }}]\n"
    );
    let scenario = Arc::new(Scenario::parse("limit", &text).expect("valid"));
    let lab = Lab::start(scenario, NetworkKind::Loopback)
        .await
        .expect("a lab");
    let mx1 = lab.endpoints()[0].listens;
    let mut client = LineClient::connect(mx1).await;
    for line in [
        "EHLO c.test",
        "MAIL FROM:<a@c.test>",
        "RCPT TO:<x@example.test>",
        "DATA",
    ] {
        client.say(line).await;
    }
    for _ in 0..1000 {
        client
            .send(&[b"y".repeat(998), b"\r\n".to_vec()].concat())
            .await;
    }
    client.send(b".\r\n").await;
    assert_eq!(client.reply().await, 552);
    assert_eq!(client.say("NOOP").await, 250);
    assert!(lab.messages().is_empty());
}

#[tokio::test]
async fn clients_without_quit_and_byte_by_byte_end_cleanly() {
    let (lab, mx1, _) = lab().await;
    let mut slow = LineClient::connect(mx1).await;
    for octet in b"EHLO c.test\r\n" {
        slow.send(&[*octet]).await;
    }
    assert_eq!(slow.reply().await, 250);
    drop(slow);
    let gone = |event: &mxdrill::event::Event| {
        matches!(
            event.kind,
            EventKind::End {
                how: SessionEnd::ClientClosed,
                ..
            }
        )
    };
    lab.wait_for(gone).await.expect("the session ended");
}

#[tokio::test]
async fn many_sessions_at_once_are_all_served() {
    let (lab, mx1, mx2) = lab().await;
    let mut clients = Vec::new();
    for number in 0..200 {
        clients.push(LineClient::connect(if number % 2 == 0 { mx1 } else { mx2 }).await);
    }
    for client in &mut clients {
        assert_eq!(client.say("EHLO c.test").await, 250);
    }
    drop(clients);
    drop(lab);
}

#[tokio::test]
async fn nothing_listens_once_the_lab_has_stopped() {
    let (lab, mx1, _) = lab().await;
    let client = LineClient::connect(mx1).await;
    lab.stop().await;
    assert!(TcpStream::connect(mx1).await.is_err());
    drop(client);
}
