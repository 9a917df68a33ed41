//! What a receiver can bear: each limit tripped, and just not tripped, the same on both networks in the process.

mod scripted;

use std::{sync::Arc, time::Duration};

use mxdrill::{
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};
use scripted::{Client, ZONE, on_both, over_time, scenario};
use tokio::io::AsyncReadExt;

fn mx1(limit: &str) -> String {
    format!("receivers = [{{ host = 'mx1.example.test', {limit} }}]\n")
}

#[test]
fn a_session_too_many_is_greeted_with_421_until_another_has_ended() {
    on_both(
        &mx1("max_sessions = 2"),
        &["connect", "connect", "connect", "connect mx2"],
        &[220, 220, 421, 220],
    );
    on_both(
        &mx1("max_sessions = 2"),
        &["connect", "connect", "QUIT", "leave", "connect", "connect"],
        &[220, 220, 221, 0, 220, 421],
    );
}

#[test]
fn the_reply_to_a_session_too_many_may_be_chosen() {
    on_both(
        &mx1("max_sessions = { most = 1, reply = '554 5.3.2 no service' }"),
        &["connect", "connect", "EHLO c.test", "QUIT"],
        &[220, 554, 503, 221],
    );
}

#[test]
fn a_recipient_too_many_is_answered_452_and_the_next_transaction_begins_anew() {
    let envelope = ["connect", "EHLO c.test", "mail", "rcpt a", "rcpt b"];
    on_both(
        &mx1("max_recipients = 2"),
        &[&envelope[..], &["rcpt c", "content 100", "mail", "rcpt c"]].concat(),
        &[220, 250, 250, 250, 250, 452, 250, 250, 250],
    );
    on_both(
        &mx1("max_recipients = { most = 1, reply = '550 5.5.3 one is enough' }"),
        &envelope,
        &[220, 250, 250, 250, 550],
    );
}

#[test]
fn a_message_too_many_in_a_session_ends_it() {
    on_both(
        &mx1("max_messages = 2"),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "rcpt a",
            "content 100",
            "mail",
            "RSET",
            "mail",
            "NOOP",
            "connect",
            "EHLO c.test",
            "mail",
        ],
        &[220, 250, 250, 250, 250, 250, 250, 421, 0, 220, 250, 250],
    );
    on_both(
        &mx1("max_messages = { most = 1, reply = '452 4.3.1 no more' }"),
        &["connect", "EHLO c.test", "mail", "RSET", "mail", "NOOP"],
        &[220, 250, 250, 250, 452, 250],
    );
}

#[test]
fn limits_that_are_announced_are_kept() {
    let rows = mx1("extensions = ['LIMITS RCPTMAX=1 MAILMAX=2']");
    on_both(
        &rows,
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "rcpt a",
            "rcpt b",
            "RSET",
            "mail",
            "RSET",
            "mail",
        ],
        &[220, 250, 250, 250, 452, 250, 250, 250, 421],
    );
    // After HELO nothing is announced.
    on_both(
        &rows,
        &["connect", "HELO c.test", "mail", "rcpt a", "rcpt b"],
        &[220, 250, 250, 250, 250],
    );
}

#[test]
fn domains_of_recipients_are_counted_over_all_transactions_of_a_session() {
    let rows = mx1("extensions = ['LIMITS RCPTDOMAINMAX=2']");
    let session = [
        "connect",
        "EHLO c.test",
        "mail",
        "RCPT TO:<x@one.test>",
        "RCPT TO:<y@One.test>",
        "RCPT TO:<Postmaster>",
        "RSET",
        "mail",
        "RCPT TO:<x@two.test>",
        "RCPT TO:<x@three.test>",
        "RCPT TO:<z@one.test>",
    ];
    let codes = [220, 250, 250, 250, 250, 250, 250, 250, 250, 452, 250];
    on_both(&rows, &session, &codes);
    // Another session begins anew, and so does everything where nothing is announced.
    let anew = ["connect", "EHLO c.test", "mail", "RCPT TO:<x@three.test>"];
    let both = [&session[..], &anew].concat();
    on_both(&rows, &both, &[&codes[..], &[220, 250, 250, 250]].concat());
    let without = codes.map(|code| if code == 452 { 250 } else { code });
    on_both(&mx1("max_messages = 9"), &session, &without);
}

/// What a drill of three recipients comes to: how many sessions there were, and the codes of all replies to MAIL and RCPT.
fn kept(rows: &str, to: &str) -> (usize, Vec<u16>) {
    use mxdrill::{
        drill,
        event::{EventKind, ReplyEvent},
        fault::Stage,
        sender::Reference,
    };
    let text = format!(
        "summary = 's'\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = [{to}] }}]\n{rows}[expect]\ndelivered = 1\n"
    );
    let scenario = Arc::new(Scenario::parse("s.toml", &text).expect("valid"));
    let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
    let run = run.expect("it ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    let (mut sessions, mut codes) = (0, Vec::new());
    for event in &run.events {
        match &event.kind {
            EventKind::Reply {
                stage: Stage::Greeting,
                ..
            } => sessions += 1,
            EventKind::Reply {
                stage: Stage::Mail | Stage::Rcpt,
                answer: ReplyEvent::Reply { code, .. },
                ..
            } => codes.push(*code),
            _ => {}
        }
    }
    (sessions, codes)
}

#[test]
fn the_reference_sender_keeps_to_what_is_announced() {
    let to = "'a@example.test', 'b@example.test', 'c@example.test'";
    let offering = |limits: &str| mx1(&format!("extensions = ['LIMITS {limits}']"));
    // Two transactions, of two and of one.
    let codes = [250; 5].to_vec();
    assert_eq!(kept(&offering("RCPTMAX=2"), to), (1, codes.clone()));
    // The second one in a session of its own, at the next exchanger.
    assert_eq!(kept(&offering("RCPTMAX=2 MAILMAX=1"), to), (2, codes));
    // What is malformed is no limit.
    assert_eq!(
        kept(&offering("RCPTMAX=0 MAILMAX=x"), to),
        (1, vec![250; 4])
    );
}

#[test]
fn a_recipient_who_is_refused_keeps_no_one_else_from_the_next_transaction() {
    let refused = "faults = [{ stage = 'rcpt', recipient = 'a@example.test', effect = '451 4.3.0 no', first = 1 }]\n";
    let rows = format!("{}{refused}", mx1("extensions = ['LIMITS RCPTMAX=1']"));
    let (_, codes) = kept(&rows, "'a@example.test', 'b@example.test'");
    assert_eq!(codes, [250, 451, 250, 250, 250, 250]);
}

#[test]
fn the_reference_sender_sends_to_one_domain_in_a_session_whatever_relay_takes_it() {
    let rows = "sender = { relays = ['mx1.example.test:587'] }\n\
        receivers = [{ host = 'mx1.example.test', extensions = ['LIMITS RCPTDOMAINMAX=1'] }]\n";
    let to = "'a@one.test', 'b@one.test', 'c@two.test'";
    assert_eq!(kept(rows, to), (2, vec![250; 5]));
}

#[test]
fn a_rate_is_over_until_its_time_is() {
    let of_two = [
        "connect",
        "EHLO c.test",
        "mail",
        "RSET",
        "mail",
        "RSET",
        "mail",
    ];
    on_both(
        &mx1("rate = '2/h'"),
        &of_two,
        &[220, 250, 250, 250, 250, 250, 450],
    );
    over_time(
        &mx1("rate = '2/min'"),
        &[&of_two[..], &["wait 59s", "mail", "wait 1s", "mail"]].concat(),
        &[220, 250, 250, 250, 250, 250, 450, 2, 450, 2, 250],
    );
}

#[test]
fn a_rate_of_connections_is_told_in_the_greeting() {
    on_both(
        &mx1("rate = { most = '1/h', of = 'connections', by = 'all' }"),
        &["connect", "connect", "connect mx2"],
        &[220, 421, 220],
    );
}

#[test]
fn a_greylist_lets_in_who_has_waited() {
    let asked = ["connect", "EHLO c.test", "mail", "rcpt a"];
    on_both(&mx1("greylist = '5m'"), &asked, &[220, 250, 250, 451]);
    over_time(
        &mx1("greylist = '5m'"),
        &[
            &asked[..],
            &["wait 4m59s", "rcpt a", "wait 1s", "rcpt A", "rcpt b"],
        ]
        .concat(),
        &[220, 250, 250, 451, 2, 451, 2, 250, 451],
    );
}

#[test]
fn a_greylist_is_shared_if_it_says_so() {
    let steps = [
        "connect",
        "EHLO c.test",
        "mail",
        "rcpt a",
        "wait 5m",
        "connect mx2",
        "EHLO c.test",
        "mail",
        "rcpt a",
    ];
    let own = "receivers = [{ greylist = '5m' }]\n";
    over_time(own, &steps, &[220, 250, 250, 451, 2, 220, 250, 250, 451]);
    let shared = "receivers = [{ greylist = { wait = '5m', shared = true } }]\n";
    over_time(shared, &steps, &[220, 250, 250, 451, 2, 220, 250, 250, 250]);
}

#[test]
fn replies_that_trickle_are_what_they_would_be() {
    for way in ["octets", "segments", "lf", "lines"] {
        on_both(
            &mx1(&format!("trickle = '{way}'")),
            &[
                "connect",
                "EHLO c.test",
                "mail",
                "rcpt a",
                "content 100",
                "NOOP",
                "QUIT",
            ],
            &[220, 250, 250, 250, 250, 250, 221],
        );
    }
}

#[test]
fn a_session_falls_silent_after_a_while_without_a_command() {
    let rows = mx1("silent_after = '10m'");
    over_time(
        &rows,
        &[
            "connect",
            "EHLO c.test",
            "wait 9m59s",
            "NOOP",
            "wait 9m59s",
            "mail",
        ],
        &[220, 250, 2, 250, 2, 250],
    );
    over_time(
        &rows,
        &["connect", "EHLO c.test", "wait 10m1s", "mail", "NOOP"],
        &[220, 250, 2, 1, 1],
    );
    over_time(
        &rows,
        &["connect", "EHLO c.test", "wait 10m1s", "RSET", "mail"],
        &[220, 250, 2, 1, 1],
    );
    // By itself a receiver says that it has waited for long enough.
    over_time("", &["connect", "wait 9m59s", "NOOP"], &[220, 2, 250]);
    over_time("", &["connect", "wait 10m1s", "NOOP"], &[220, 2, 421]);
}

/// How long the content of a message takes.
fn takes(rows: &str, octets: usize) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let lab = Lab::start(scenario(rows), NetworkKind::Memory)
            .await
            .expect("a lab");
        let mut client = Client::of(&lab);
        for step in ["connect", "EHLO c.test", "mail", "rcpt a"] {
            client.step(step).await;
        }
        let begun = tokio::time::Instant::now();
        assert_eq!(client.step(&format!("content {octets}")).await, 250);
        begun.elapsed()
    })
}

#[test]
fn content_takes_as_long_as_the_line_is_slow() {
    // With the three octets of the final dot, and to a tick of the clock.
    let took = takes(&mx1("bandwidth = '10kB/s'"), 100_000);
    let expected = Duration::from_micros(10_000_300);
    assert!(
        took >= expected && took - expected <= Duration::from_millis(2),
        "{took:?}"
    );
    assert_eq!(takes("", 100_000), Duration::ZERO);
}

#[tokio::test]
async fn a_reply_that_comes_octet_by_octet_comes_in_many_reads() {
    let lab = Lab::start(scenario(&mx1("trickle = 'octets'")), NetworkKind::Loopback)
        .await
        .expect("a lab");
    let mut stream = lab
        .connect([192, 0, 2, 1].into(), lab.smtp_port())
        .await
        .expect("a connection");
    let (mut text, mut reads) = (Vec::new(), 0);
    while !text.ends_with(b"\r\n") {
        assert!(stream.read_buf(&mut text).await.expect("read") > 0);
        reads += 1;
    }
    assert!(
        reads > text.len() / 2,
        "{reads} reads of {} octets",
        text.len()
    );
}

#[test]
fn what_is_no_limit_is_told_with_its_place() {
    let told = |limit: &str| {
        let text = format!(
            "summary = 's'\nzone = '''\n{ZONE}'''\nreceivers = [{{ {limit} }}]\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n"
        );
        let mistakes = Scenario::parse("f", &text).err();
        let mistakes = mistakes.map(|mistakes| mistakes.0).unwrap_or_default();
        let mistakes = mistakes.iter().map(ToString::to_string);
        mistakes.collect::<Vec<_>>()
    };
    for (limit, mistake) in [
        (
            "max_sessions = 0",
            "9:31: found 0, expected max_sessions to be 1 at least",
        ),
        (
            "max_recipients = 'x'",
            "9:33: found the string \"x\", expected max_recipients to be a whole number from 0 to 1000000",
        ),
        (
            "max_messages = { reply = '421 no' }",
            "9:31: found a limit without \"most\", expected how many are taken, such as most = 100",
        ),
        (
            "max_messages = { most = 1, reply = '250 ok' }",
            "9:51: found \"250 ok\", expected a reply from 400 to 599, such as \"452 4.5.3 too many recipients\"",
        ),
        (
            "rate = '10'",
            "9:23: found \"10\", expected a rate such as \"10/min\" (in s, min, h or d, 1 at least)",
        ),
        (
            "rate = { most = '1/h', of = 'mails' }",
            "9:44: found \"mails\", expected what a rate counts: messages, connections",
        ),
        (
            "bandwidth = '10k'",
            "9:28: found \"10k\", expected octets in a second, such as \"10kB/s\" (B/s, kB/s or MB/s, 1 at least)",
        ),
        (
            "trickle = 'octet'",
            "9:26: found \"octet\", expected a way to send replies; did you mean \"octets\"? (octets, segments, lf, lines)",
        ),
        ("greylist = '0s'", "9:27: found \"0s\", expected some time"),
        (
            "greylist = { wait = '5m', window = '5m' }",
            "9:42: found a window that ends before the wait does, expected it to be longer than 5m",
        ),
    ] {
        assert_eq!(told(limit), [format!("f:{mistake}")], "{limit}");
    }
}

#[test]
fn limits_read_the_same_once_written() {
    let rows = "receivers = [
      { host = 'mx1.example.test', max_sessions = 1, max_recipients = 2, max_messages = 3, rate = '10/min', bandwidth = '1kB/s', trickle = 'lf', greylist = '5m', silent_after = '10m' },
      { max_sessions = { most = 1, reply = '554 no' }, max_recipients = { most = 2, reply = '552 5.5.3 no' }, max_messages = { most = 3, reply = '450 no' }, rate = { most = '1/h', of = 'connections', by = 'all', reply = '554 no' }, greylist = { wait = '5m', window = '1h', shared = true, reply = '450 no' } },
    ]";
    let read = scenario(rows);
    let written = read.to_toml();
    let again = Scenario::parse("again.toml", &written);
    let again = again.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(again.world.receivers, read.world.receivers, "{written}");
    assert_eq!(again.to_toml(), written);
}

#[test]
fn a_limit_that_no_message_comes_to_is_noted() {
    let notes = |limit: &str| scenario(&mx1(limit)).idle_rows();
    assert_eq!(
        notes("max_recipients = 1"),
        [
            "the limit max_recipients = 1 of mx1.example.test may never apply: there are 1 recipients of one message"
        ]
    );
    assert_eq!(
        notes("max_sessions = 1"),
        ["the limit max_sessions = 1 of mx1.example.test may never apply: there are 1 messages"]
    );
    let text = format!(
        "summary = 's'\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = ['a@example.test', 'b@example.test'] }}]\n{}",
        mx1("max_recipients = 1")
    );
    let two = Scenario::parse("s.toml", &text).expect("valid");
    assert_eq!(two.idle_rows(), [""; 0]);
}

#[test]
fn a_limit_that_was_not_met_is_noted_after_the_drill() {
    use mxdrill::{drill, sender::Reference};
    let notes = |recipients: &str| {
        let text = format!(
            "summary = 's'\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = [{recipients}] }}]\n{}",
            mx1("max_recipients = 1, bandwidth = '1MB/s', trickle = 'lf'")
        );
        let scenario = Arc::new(Scenario::parse("s.toml", &text).expect("valid"));
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
        run.expect("it ran").verdict.notes
    };
    assert_eq!(
        notes("'a@example.test'"),
        ["a limit never applied: max_recipients = 1 of mx1.example.test"]
    );
    assert_eq!(notes("'a@example.test', 'b@example.test'"), [""; 0]);
}
