//! What is said and how it is answered: commands, groups of them, mailboxes, and the end of a message.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mxdrill::{
    event::{BareOctet, EventKind, SessionPart},
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};
use tokio::io::AsyncReadExt;

use crate::client::{LineClient, ZONE, lab, lab_that_offers};

#[tokio::test]
async fn the_null_reverse_path_and_extensions_are_taken() {
    let (lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    assert_eq!(client.say("EHLO client.test").await, 250);
    assert_eq!(
        client
            .say("MAIL FROM:<> SIZE=1000 BODY=8BITMIME SMTPUTF8")
            .await,
        250
    );
    assert_eq!(client.say("RCPT TO:<grüße@example.test>").await, 250);
    assert_eq!(client.say("DATA").await, 354);
    let long = [vec![0xff; 5000], b"\0\r\n..dots\r\n.\r\n".to_vec()].concat();
    client.send(&long).await;
    assert_eq!(client.reply().await, 250);
    assert_eq!(client.say("QUIT").await, 221);
    let message = lab
        .wait_for_message("grüße@example.test")
        .await
        .expect("a message");
    assert_eq!(message.from, "");
    assert_eq!(
        message.content.read().expect("readable"),
        [vec![0xff; 5000], b"\0\r\n.dots\r\n".to_vec()].concat()
    );
}

#[tokio::test]
async fn content_may_be_empty_or_begin_with_a_dot() {
    let (lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO client.test").await;
    for (sent, taken) in [(&b".\r\n"[..], &b""[..]), (b"..foo\r\n.\r\n", b".foo\r\n")] {
        client.say("MAIL FROM:<>").await;
        client.say("RCPT TO:<a@example.test>").await;
        assert_eq!(client.say("DATA").await, 354);
        client.send(sent).await;
        assert_eq!(client.reply().await, 250);
        let last = lab.messages().pop().expect("a message");
        assert_eq!(last.content.read().expect("readable"), taken);
    }
}

#[tokio::test]
async fn pipelined_commands_are_answered_in_order() {
    let (lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.send(b"EHLO c.test\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<x@example.test>\r\nRCPT TO:<y@example.test>\r\nDATA\r\n").await;
    let replies = [
        client.reply().await,
        client.reply().await,
        client.reply().await,
        client.reply().await,
        client.reply().await,
    ];
    assert_eq!(replies, [250, 250, 250, 250, 354]);
    client
        .send(b"hi\r\n.\r\nMAIL FROM:<b@c.test>\r\nRSET\r\nQUIT\r\n")
        .await;
    let replies = [
        client.reply().await,
        client.reply().await,
        client.reply().await,
        client.reply().await,
    ];
    assert_eq!(replies, [250, 250, 250, 221]);
    assert_eq!(lab.messages()[0].to, ["x@example.test", "y@example.test"]);
}

#[tokio::test]
async fn the_replies_of_a_group_come_at_once() {
    let (_lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    client
        .send(b"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@example.test>\r\nRSET\r\nMAIL FROM:<a@c.test>\r\nRCPT TO:<x@example.test>\r\nDATA\r\n")
        .await;
    // What was sent in one piece comes in one piece.
    let mut first = [0; 4096];
    let length = client.0.read(&mut first).await.expect("replies");
    let codes: Vec<&str> = std::str::from_utf8(&first[..length])
        .expect("text")
        .lines()
        .map(|line| &line[..3])
        .collect();
    assert_eq!(codes, ["250", "250", "250", "250", "250", "354"]);
}

#[tokio::test]
async fn half_a_command_holds_no_reply_back() {
    let (_lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    client.send(b"MAIL FROM:<a@c.test>\r\nRCPT TO:<x@exa").await;
    assert_eq!(client.reply().await, 250);
    client.send(b"mple.test>\r\n").await;
    assert_eq!(client.reply().await, 250);
}

/// A reply that waits for the acknowledgement of the one before waits some 40 ms: far more than it takes
/// to ask for each by itself.
#[tokio::test]
async fn a_reply_does_not_wait_for_the_one_before() {
    let (_lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    let mut took = [Duration::ZERO; 2];
    for _ in 0..10 {
        for (grouped, took) in [false, true].into_iter().zip(&mut took) {
            for line in ["MAIL FROM:<a@c.test>", "RCPT TO:<x@example.test>", "DATA"] {
                client.say(line).await;
            }
            let begun = Instant::now();
            if grouped {
                client.send(b"hi\r\n.\r\nNOOP\r\nNOOP\r\n").await;
                for _ in 0..3 {
                    assert_eq!(client.reply().await, 250);
                }
            } else {
                for line in ["hi\r\n.", "NOOP", "NOOP"] {
                    assert_eq!(client.say(line).await, 250);
                }
            }
            *took += begun.elapsed();
        }
    }
    let [one_by_one, grouped] = took;
    assert!(
        grouped < one_by_one * 10,
        "{grouped:?} for groups, {one_by_one:?} one by one"
    );
}

#[tokio::test]
async fn commands_out_of_order_or_out_of_shape_are_refused() {
    let (_lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    for (line, code) in [
        ("MAIL FROM:<a@c.test>", 503),
        ("EHLO c.test", 250),
        ("RCPT TO:<x@example.test>", 503),
        ("DATA", 503),
        ("MAIL FROM:<a@c.test> SIZE=99999999999", 552),
        ("MAIL FROM:<a@c.test> BODY=BINARYMIME", 555),
        ("MAIL FROM:<a@c.test> NONSENSE=1", 555),
        ("MAIL FROM:<a@c.test> RET=HDRS", 555),
        ("MAIL FROM:<a@c.test> AUTH=<>", 555),
        ("MAIL FROM:<a@c.test> REQUIRETLS", 555),
        ("MAIL FROM:<a@c.test> SIZE=18446744073709551616", 552),
        ("MAIL FROM:<a@c.test> SIZE=-1", 501),
        ("MAIL FROM:<a@c.test> BODY=9BIT", 501),
        ("MAIL FROM:<s@>", 501),
        ("MAIL FROM :<a@c.test>", 501),
        ("MAIL FROM:<a@c.test>", 250),
        ("MAIL FROM:<a@c.test>", 503),
        ("RCPT TO:<>", 501),
        ("RCPT TO:<x@example.test> NOTIFY=NEVER", 555),
        ("RCPT TO:<a..b@example.test>", 501),
        ("RCPT TO:<a@[192.0.2.256]>", 501),
        ("DATA", 503),
        ("RCPT TO:<x@example.test>", 250),
        ("DATA x", 501),
        ("RSET x", 501),
        ("DATA", 354),
        (".", 250),
        ("FROBNICATE", 500),
        ("AUTH PLAIN AGEAYg==", 502),
        ("VRFY alice", 252),
        ("NOOP", 250),
        ("STARTTLS", 502),
        ("QUIT", 221),
    ] {
        assert_eq!(client.say(line).await, code, "{line}");
    }
}

#[tokio::test]
async fn a_time_is_taken_if_the_server_can_return_a_message_so_soon() {
    let (_lab, mx1, _) = lab_that_offers("'DELIVERBY 240'").await;
    let mut client = LineClient::connect(mx1).await;
    for (line, code) in [
        ("EHLO c.test", 250),
        ("MAIL FROM:<a@c.test> BY=239;R", 555),
        ("MAIL FROM:<a@c.test> BY=0;R", 501),
        ("MAIL FROM:<a@c.test> BY=240", 501),
        ("MAIL FROM:<a@c.test> BY=-5;NT", 250),
        ("RSET", 250),
        ("MAIL FROM:<a@c.test> BY=240;rt", 250),
    ] {
        assert_eq!(client.say(line).await, code, "{line}");
    }
}

#[tokio::test]
async fn values_of_parameters_are_read_as_their_rfcs_write_them() {
    let (_lab, mx1, _) =
        lab_that_offers("'SIZE 1000', 'MT-PRIORITY', 'BINARYMIME', 'CHUNKING'").await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    for (with, code) in [
        ("MT-PRIORITY=-9", 250),
        ("MT-PRIORITY=+5", 501),
        ("MT-PRIORITY=05", 501),
        ("MT-PRIORITY=-0", 501),
        ("SIZE=1000", 250),
        ("SIZE=1001", 552),
        ("SIZE=99999999999999999999", 552),
        ("SIZE=999999999999999999999", 501),
        ("SIZE=+5", 501),
    ] {
        assert_eq!(
            client.say(&format!("MAIL FROM:<a@c.test> {with}")).await,
            code,
            "{with}"
        );
        client.say("RSET").await;
    }
    // What is declared binary has no lines that DATA could end (RFC 3030 section 3).
    client.say("MAIL FROM:<a@c.test> BODY=BINARYMIME").await;
    client.say("RCPT TO:<b@example.test>").await;
    assert_eq!(client.say("DATA").await, 503);
    client.send(b"BDAT 3 LAST\r\nabc").await;
    assert_eq!(client.reply().await, 250);
}

#[tokio::test]
async fn an_address_beyond_ascii_is_taken_in_a_message_that_is_declared_so() {
    for offers in ["'SMTPUTF8'", "'SIZE'"] {
        let (_lab, mx1, _) = lab_that_offers(offers).await;
        let mut client = LineClient::connect(mx1).await;
        for (line, code) in [
            ("EHLO c.test", 250),
            ("MAIL FROM:<gr\u{fc}\u{df}e@c.test>", 550),
            ("MAIL FROM:<a@c.test>", 250),
            ("RCPT TO:<gr\u{fc}\u{df}e@example.test>", 553),
            ("RCPT TO:<b@example.test>", 250),
        ] {
            assert_eq!(
                client.say(line).await,
                code,
                "{line} where {offers} is offered"
            );
        }
    }
}

/// Inside TLS and outside there may be another limit; here one list alone has it.
#[tokio::test]
async fn the_limit_of_size_is_that_of_the_last_reply_to_ehlo() {
    let (_lab, mx1, _) = lab_that_offers("'SIZE 20'").await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    assert_eq!(client.say("MAIL FROM:<a@c.test>").await, 250);
    client.say("RCPT TO:<b@example.test>").await;
    client.say("DATA").await;
    client
        .send(b"Subject: longer than twenty octets\r\n\r\n.\r\n")
        .await;
    assert_eq!(client.reply().await, 552);
}

#[tokio::test]
async fn whom_the_author_wrote_to_is_taken_as_its_type_is_encoded() {
    let utf8 = "RCPT TO:<x@example.test> ORCPT=utf-8;m\u{fc}ller@c.test";
    for (offers, native) in [("'DSN', 'SMTPUTF8'", 250), ("'DSN'", 501)] {
        let (_lab, mx1, _) = lab_that_offers(offers).await;
        let mut client = LineClient::connect(mx1).await;
        client.say("EHLO c.test").await;
        client.say("MAIL FROM:<a@c.test>").await;
        for (line, code) in [
            ("RCPT TO:<x@example.test> ORCPT=rfc822;a+2Bb@c.test", 250),
            ("RCPT TO:<x@example.test> ORCPT=rfc822;a+b@c.test", 501),
            (
                "RCPT TO:<x@example.test> ORCPT=utf-8;m\\x{FC}ller@c.test",
                250,
            ),
            ("RCPT TO:<x@example.test> ORCPT=UTF-8;a\\x{2B}b@c.test", 250),
            ("RCPT TO:<x@example.test> ORCPT=utf-8;a+2Bb@c.test", 501),
            ("RCPT TO:<x@example.test> ORCPT=utf-8;a\\b@c.test", 501),
            (utf8, native),
        ] {
            assert_eq!(
                client.say(line).await,
                code,
                "{line} where {offers} is offered"
            );
        }
    }
}

#[tokio::test]
async fn every_form_of_a_mailbox_is_taken() {
    let (lab, mx1, _) = lab().await;
    let mut client = LineClient::connect(mx1).await;
    client.say("EHLO c.test").await;
    client
        .say("MAIL FROM:<\"a b\"@[IPv6:2001:db8::1]> SIZE=10 BODY=7BIT")
        .await;
    for path in [
        "<\"alice\"@example.test>",
        "<\"a b\\\"c\"@example.test>",
        "<x@[192.0.2.1]>",
        "<postmaster>",
        "<@relay.test:bob@example.test>",
    ] {
        assert_eq!(client.say(&format!("RCPT TO:{path}")).await, 250, "{path}");
    }
    client.say("DATA").await;
    assert_eq!(client.say(".").await, 250);
    let message = lab.messages().pop().expect("a message");
    assert_eq!(message.from, "\"a b\"@[IPv6:2001:db8::1]");
    assert_eq!(
        message.to,
        [
            "alice@example.test",
            "\"a b\\\"c\"@example.test",
            "x@[192.0.2.1]",
            "postmaster",
            "bob@example.test"
        ]
    );
}

/// Who takes anything else for the end of a message lets a second one in with the first.
#[tokio::test]
async fn nothing_but_crlf_dot_crlf_ends_a_message() {
    let (lab, mx1, _) = lab().await;
    let mut client = LineClient::in_content(mx1).await;
    let smuggled = b"a\n.\nb\n.\r\nc\r\n.\nd\r.\re\r\n.\r\r\nMAIL FROM:<evil@c.test>\r\n";
    client.send(smuggled).await;
    assert_eq!(client.say(".").await, 250);
    let messages = lab.messages();
    assert_eq!(messages.len(), 1);
    let taken = messages[0].content.read().expect("readable");
    assert!(taken.ends_with(b"\r\r\nMAIL FROM:<evil@c.test>\r\n"));
    let bare = |wanted: BareOctet, at: SessionPart| {
        let is_it = |event: &mxdrill::event::Event| matches!(event.kind, EventKind::BareOctet { octet, place, .. } if octet == wanted && place == at);
        lab.events().iter().filter(|event| is_it(event)).count()
    };
    assert_eq!(bare(BareOctet::Lf, SessionPart::Content), 1);
    assert_eq!(bare(BareOctet::Cr, SessionPart::Content), 1);
    // A command that LF alone ends is served, and told.
    assert_eq!(bare(BareOctet::Lf, SessionPart::Command), 0);
    client.send(b"NOOP\nNOOP\n").await;
    assert_eq!([client.reply().await, client.reply().await], [250, 250]);
    assert_eq!(bare(BareOctet::Lf, SessionPart::Command), 1);
    assert_eq!(bare(BareOctet::Cr, SessionPart::Command), 0);
}

/// What comes in chunks has lines as well, wherever a chunk ends (RFC 5321 section 2.3.8), unless MAIL said that it is
/// binary (RFC 3030 section 3).
#[tokio::test]
async fn a_bare_octet_in_a_chunk_is_told_where_nothing_was_declared() {
    for (with, chunks, told) in [
        ("", &["a\r\nb", "\r", "\nc\r\n"][..], vec![]),
        ("", &["a\nb\r\n"], vec![BareOctet::Lf]),
        ("", &["a\r", "b\r\n"], vec![BareOctet::Cr]),
        ("", &["a\r", ""], vec![BareOctet::Cr]),
        (" BODY=8BITMIME", &["a\r\n\n"], vec![BareOctet::Lf]),
        (" BODY=BINARYMIME", &["a\nb\rc\r"], vec![]),
    ] {
        let (lab, mx1, _) = lab_that_offers("'CHUNKING', 'BINARYMIME', '8BITMIME'").await;
        let mut client = LineClient::connect(mx1).await;
        client.say("EHLO c.test").await;
        let mail = format!("MAIL FROM:<a@c.test>{with}");
        assert_eq!(client.say(&mail).await, 250, "{mail}");
        client.say("RCPT TO:<b@example.test>").await;
        let last = chunks.len() - 1;
        for (number, chunk) in chunks.iter().enumerate() {
            let end = if number == last { " LAST" } else { "" };
            let command = format!("BDAT {}{end}\r\n{chunk}", chunk.len());
            client.send(command.as_bytes()).await;
            assert_eq!(client.reply().await, 250, "{command:?}");
        }
        let seen = lab
            .events()
            .into_iter()
            .filter_map(|event| match event.kind {
                EventKind::BareOctet { octet, .. } => Some(octet),
                _ => None,
            });
        assert_eq!(Vec::from_iter(seen), told, "{mail} {chunks:?}");
    }
}

/// A report that is sent from an address is a notification all the same, and that is wrong of it; other mail
/// that returns a message is none.
#[tokio::test]
async fn a_report_is_a_notification_whoever_it_is_from() {
    let text = format!(
        "summary = 's'\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = 'x@example.test' }}]"
    );
    let scenario = Scenario::parse("drill", &text).expect("a scenario");
    let lab = Lab::start(Arc::new(scenario), NetworkKind::Loopback);
    let lab = lab.await.expect("a lab");
    let mut endpoints = lab.endpoints().into_iter();
    let bounces = endpoints.find(|one| one.hosts[0].as_str() == "bounces.sender.test");
    let address = bounces.expect("the lab's own exchanger").listens;
    for (kind, is_one) in [
        ("report; report-type=delivery-status", true),
        ("mixed", false),
    ] {
        let before = lab.events().len();
        let mut client = LineClient::connect(address).await;
        client.say("EHLO c.test").await;
        client.say("MAIL FROM:<daemon@c.test>").await;
        client.say("RCPT TO:<sender@sender.test>").await;
        client.say("DATA").await;
        let content = format!(
            "Content-Type: multipart/{kind}; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n\
             Reporting-MTA: dns; a\r\n\r\nFinal-Recipient: rfc822;x@example.test\r\nAction: failed\r\nStatus: 5.0.0\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <m@mxdrill.test>\r\n\r\n--b--\r\n."
        );
        assert_eq!(client.say(&content).await, 250);
        let events = lab.events();
        let taken = events[before..].iter().find_map(|event| match &event.kind {
            EventKind::Taken { about, report, .. } => Some((about.is_some(), report.is_some())),
            _ => None,
        });
        assert_eq!(taken, Some((is_one, is_one)), "{kind}");
    }
}
