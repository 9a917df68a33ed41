//! Faults by hand, as a client on a real socket meets them.

use std::time::Duration;

use mxdrill::{
    event::{EventKind, ReplyEvent},
    fault::Stage,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{LineClient, lab, lab_that_offers};

/// A client that waits for a reply after it has said that it sends no more, as Exim does.
#[tokio::test]
async fn a_hang_survives_a_half_close() {
    let (lab, mx1, _) = lab().await;
    lab.fail("mx1.example.test", Stage::Dot, "hang")
        .expect("a known host")
        .keep();
    let mut client = LineClient::in_content(mx1).await;
    client.send(b"hi\r\n.\r\nQUIT\r\n").await;
    client.0.shutdown().await.expect("half closed");
    let hung = |event: &mxdrill::event::Event| {
        matches!(
            event.kind,
            EventKind::Reply {
                stage: Stage::Dot,
                ..
            }
        )
    };
    lab.wait_for(hung).await.expect("the hang");
    let waits = tokio::time::timeout(Duration::from_millis(300), client.0.read_u8()).await;
    assert!(waits.is_err(), "{waits:?}");
    let ended = |event: &mxdrill::event::Event| matches!(event.kind, EventKind::End { .. });
    assert!(!lab.events().iter().any(ended));
    drop(client);
    lab.wait_for(ended).await.expect("the end");
}

/// Its end cannot be read: it stands behind the content, of which nothing is read.
#[tokio::test]
#[cfg(all(target_os = "linux", feature = "private-network"))]
async fn a_hang_in_the_content_ends_when_the_client_lets_go() {
    let (lab, mx1, _) = lab().await;
    lab.fail("mx1.example.test", Stage::Content, "hang")
        .expect("a known host")
        .keep();
    let mut client = LineClient::in_content(mx1).await;
    let content = vec![b'x'; 32 * 1024 * 1024];
    let sent = client.0.write_all(&content);
    let sent = tokio::time::timeout(Duration::from_millis(300), sent).await;
    assert!(sent.is_err(), "the content backs up: {sent:?}");
    let ended = |event: &mxdrill::event::Event| matches!(event.kind, EventKind::End { .. });
    assert!(!lab.events().iter().any(ended));
    drop(client);
    lab.wait_for(ended).await.expect("the end");
}

#[tokio::test]
async fn a_delayed_reply_comes_after_a_half_close() {
    let (lab, mx1, _) = lab().await;
    lab.fail("mx1.example.test", Stage::Dot, "delay 100ms")
        .expect("a known host")
        .keep();
    let mut client = LineClient::in_content(mx1).await;
    client.send(b"hi\r\n.\r\nQUIT\r\n").await;
    client.0.shutdown().await.expect("half closed");
    assert_eq!(client.reply().await, 250);
    assert_eq!(client.reply().await, 221);
    assert_eq!(lab.messages().len(), 1);
}

#[tokio::test]
async fn faults_by_hand_begin_and_end() {
    let (lab, mx1, _) = lab().await;
    let down = lab.fail("mx1.example.test", Stage::Connect, "refuse");
    while TcpStream::connect(mx1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    drop(down);
    while TcpStream::connect(mx1).await.is_err() {
        tokio::task::yield_now().await;
    }
    lab.fail("mx1.example.test", Stage::Connect, "refuse")
        .expect("a known host")
        .keep();
    while TcpStream::connect(mx1).await.is_ok() {
        tokio::task::yield_now().await;
    }
    lab.restore("mx1.example.test").expect("a known host");
    while TcpStream::connect(mx1).await.is_err() {
        tokio::task::yield_now().await;
    }
    lab.fail("192.0.2.1", Stage::Rcpt, "450 4.2.1 not now")
        .expect("a known address")
        .keep();
    let mut client = LineClient::connect(mx1).await;
    client.say("HELO c.test").await;
    client.say("MAIL FROM:<>").await;
    assert_eq!(client.say("RCPT TO:<a@example.test>").await, 450);
    let unknown = lab.fail("mx9.example.test", Stage::Rcpt, "hang").err();
    assert!(unknown.is_some_and(|why| why.to_string().contains("mx1.example.test")));
    assert!(lab.fail("mx1.example.test", Stage::Rcpt, "refuse").is_err());
}

#[tokio::test]
async fn a_silent_host_answers_no_connection() {
    let (lab, mx1, _) = lab().await;
    let _silent = lab.fail("mx1.example.test", Stage::Connect, "timeout");
    // Until the fault has arrived in the kernel, a connection may come about.
    let patience = Duration::from_millis(200);
    for _ in 0..100 {
        let silent = match tokio::time::timeout(patience, TcpStream::connect(mx1)).await {
            Err(_) => true,
            // Windows knows no silence of this kind: the connection stands, and nothing is said in it.
            Ok(Ok(mut stream)) if cfg!(windows) => {
                let said = tokio::time::timeout(patience, stream.read_u8()).await;
                said.is_err()
            }
            Ok(_) => false,
        };
        if silent {
            return;
        }
    }
    panic!("it was never silent");
}

#[tokio::test]
async fn a_reset_is_an_rst() {
    let (lab, mx1, _) = lab().await;
    lab.fail("mx1.example.test", Stage::Mail, "reset")
        .expect("a known host")
        .keep();
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    client.send(b"MAIL FROM:<>\r\n").await;
    let error = client.0.read_u8().await.expect_err("no reply");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

/// Content is content, whichever command brings it: a fault in it meets a chunk as it meets what follows DATA.
#[tokio::test]
async fn a_fault_in_the_content_strikes_chunks() {
    let (lab, mx1, _) = lab_that_offers("'CHUNKING'").await;
    let row = "host = 'mx1.example.test'\nstage = 'content'\neffect = 'reset'\nlarger_than = 1000\nfirst = 1";
    lab.fail_row(row).expect("a fault").keep();
    let in_transaction = async || {
        let mut client = LineClient::connect(mx1).await;
        client.say("EHLO c.test").await;
        client.say("MAIL FROM:<a@c.test>").await;
        client.say("RCPT TO:<b@example.test>").await;
        client
    };
    let chunk = |octets: usize, last: &str| {
        let command = format!("BDAT {octets}{last}\r\n");
        [command.into_bytes(), vec![b'x'; octets]].concat()
    };
    let mut client = in_transaction().await;
    client.send(&chunk(900, "")).await;
    assert_eq!(client.reply().await, 250);
    client.send(&chunk(900, " LAST")).await;
    let failed = |event: &mxdrill::event::Event| {
        matches!(
            event.kind,
            EventKind::Reply {
                stage: Stage::Content,
                answer: ReplyEvent::Failed { .. },
                ..
            }
        )
    };
    lab.wait_for(failed).await.expect("the reset");
    assert!(lab.messages().is_empty());
    // It was the first, and is over.
    let mut client = in_transaction().await;
    client.send(&chunk(1800, " LAST")).await;
    assert_eq!(client.reply().await, 250);
}
