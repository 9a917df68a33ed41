//! What a lab does at a crash of its sender: a session is held at the stage, and let go when nobody is there any more.

use std::{sync::Arc, time::Duration};

use mxdrill::{
    connection::Connection,
    drill,
    event::{Event, EventKind},
    fault::Stage,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{self, SenderContext},
    time::Moment,
};

fn scenario(crashes: &str) -> Arc<Scenario> {
    let text = format!(
        "summary = 's'\nzone = '''\nexample.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n'''\n\
         messages = [{{ id = 'm', to = 'a@example.test' }}]\ncrashes = {crashes}\n"
    );
    Arc::new(Scenario::parse("s.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

/// Says each command and waits for its reply, then sends the message; the replies that came, until nobody answers.
async fn session(context: &SenderContext) -> Vec<u16> {
    let message = context.scenario().messages[0].clone();
    let address = "192.0.2.1".parse().expect("an address");
    let stream = context.connect(address, &message.id).await;
    let mut connection = Connection::new(stream.expect("a connection"));
    let content = context.content(&message);
    let said: [&[u8]; 7] = [
        b"",
        b"EHLO me.test\r\n",
        b"MAIL FROM:<>\r\n",
        b"RCPT TO:<a@example.test>\r\n",
        b"DATA\r\n",
        &content,
        b"QUIT\r\n",
    ];
    let mut heard = Vec::new();
    for said in said {
        connection.send(said).await.expect("sent");
        match connection.reply().await {
            Ok((reply, _)) => heard.push(reply.code),
            Err(_) => break,
        }
    }
    heard
}

/// What a sender hears that is killed when it is due, and the words of the log from the first `what` on.
fn killed(crashes: &str) -> (Vec<u16>, Vec<Event>) {
    let (tell, told) = std::sync::mpsc::channel();
    let sender = sender::from_fn(|mut context| async move {
        context.next_message().await;
        context.take_crashes_on();
        let mut heard = Vec::new();
        tokio::select! {
            biased;
            () = context.crash_is_due() => {}
            all = session(&context) => heard = all,
        }
        context.crashed();
        // The session goes on, and ends.
        tokio::time::sleep(Duration::from_secs(1)).await;
        tell.send(heard).expect("somebody listens");
    });
    let run = drill::run(&scenario(crashes), NetworkKind::Memory, None, sender);
    (told.recv().expect("told"), run.expect("a run").events)
}

/// The log of what happened in the session and to the sender, a word each.
fn words(events: &[Event]) -> Vec<String> {
    let word = |event: &Event| match &event.kind {
        EventKind::Reply { stage, .. } => Some(stage.to_string()),
        EventKind::Taken { .. } => Some("taken".to_owned()),
        EventKind::Crash { after: None } => Some("crash".to_owned()),
        EventKind::Crash { after: Some(stage) } => Some(format!("crash {stage}")),
        EventKind::End { how, .. } => Some(format!("{how:?}")),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

#[test]
fn a_session_is_held_at_the_stage_of_a_crash_and_not_answered() {
    let all = ["greeting", "helo", "mail", "rcpt", "data"];
    for (stage, answered) in [
        ("helo", 1),
        ("mail", 2),
        ("rcpt", 3),
        ("data", 4),
        ("content", 5),
    ] {
        let (_, events) = killed(&format!("[{{ after = '{stage}' }}]"));
        let mut expected: Vec<String> = all[..answered]
            .iter()
            .map(|one| (*one).to_owned())
            .collect();
        expected.extend([format!("crash {stage}"), "ClientClosed".to_owned()]);
        assert_eq!(words(&events), expected, "{stage}");
    }
}

#[test]
fn what_a_crash_after_the_dot_cuts_off_looks_like_a_lost_reply() {
    let (_, events) = killed("[{ after = 'dot' }]");
    let all = words(&events);
    assert_eq!(all[5..], ["taken", "crash dot", "dot", "ClientClosed"]);
    let scenario = scenario("[]");
    let attempts = mxdrill::observe::attempts(&scenario, &events);
    let shown: Vec<String> = attempts.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["mx1.example.test closed at dot [192.0.2.1] +0s"]);
    assert_eq!(attempts[0].taken, ["a@example.test"]);
}

#[test]
fn a_crash_at_a_host_waits_for_that_host_and_one_at_a_moment_for_the_moment() {
    let (heard, events) = killed("[{ after = 'quit', host = 'mx1.example.test' }]");
    assert_eq!(heard, [0; 0]);
    assert_eq!(words(&events)[6..], ["dot", "crash quit", "ClientClosed"]);
    // Another host's is none of this session's.
    let (heard, events) = killed("[{ after = 'dot', host = 'bounces.sender.test' }]");
    assert_eq!(heard, [220, 250, 250, 250, 354, 250, 221]);
    assert_eq!(words(&events)[6..], ["dot", "quit", "Quit", "crash"]);
    let moment = sender::from_fn(|context| async move {
        assert_eq!(context.next_crash_at(), None);
        context.take_crashes_on();
        for hours in [1, 2] {
            let at = Moment(Duration::from_secs(hours * 3600));
            assert_eq!(context.next_crash_at(), Some(at));
            context.crash_is_due().await;
            assert_eq!(context.now(), at);
            context.crashed();
        }
        assert_eq!(context.next_crash_at(), None);
    });
    let rows = scenario("[{ at = '2h' }, { after = 'dot' }, { at = '1h' }]");
    drill::run(&rows, NetworkKind::Memory, None, moment).expect("a run");
}

#[test]
fn nothing_is_held_for_a_sender_that_nobody_kills() {
    let scenario = scenario("[{ after = 'rcpt' }]");
    assert!(drill::obstacle(&scenario, NetworkKind::Memory).is_some());
    let run = drill::run(
        &scenario,
        NetworkKind::Memory,
        None,
        sender::Reference::default(),
    );
    let run = run.expect("a run");
    assert!(run.verdict.passed());
    assert_eq!(run.verdict.notes, ["a crash never came: after rcpt"]);
}

#[test]
fn crashes_and_empty_queues_are_read_as_they_were_written() {
    for (kind, written) in [
        (
            EventKind::Crash { after: None },
            r#"{"at":0.0,"event":"crash"}"#,
        ),
        (
            EventKind::Crash {
                after: Some(Stage::Dot),
            },
            r#"{"at":0.0,"event":"crash","after":"dot"}"#,
        ),
        (EventKind::QueueEmpty, r#"{"at":0.0,"event":"queue-empty"}"#),
    ] {
        let event = Event {
            at: Moment::START,
            kind,
        };
        assert_eq!(serde_json::to_string(&event).expect("written"), written);
        let read: Event = serde_json::from_str(written).expect("read");
        assert_eq!(read, event);
    }
}
