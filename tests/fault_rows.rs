//! Rows of faults by pattern, by count and by size, and effects of several lines: the same on both networks in the
//! process.

mod scripted;

use std::sync::Arc;

use mxdrill::{
    drill,
    event::{Connected, EventKind},
    lab::NetworkKind,
    scenario::Scenario,
    sender::Reference,
};
use scripted::{ZONE, on_both, over_time, scenario};

fn faults(rows: &str) -> String {
    format!("faults = [{rows}]\n")
}

/// A transaction up to its content, and further steps.
fn after_envelope<'a>(steps: &[&'a str]) -> Vec<&'a str> {
    [&["connect", "EHLO c.test", "mail", "rcpt a"], steps].concat()
}

#[test]
fn a_recipient_may_be_a_pattern() {
    let row =
        "{ host = 'mx1.example.test', stage = 'rcpt', effect = '550 no', recipient = 'a*@*' }";
    on_both(
        &faults(row),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "rcpt alice",
            "rcpt ANN",
            "rcpt bob",
        ],
        &[220, 250, 250, 550, 550, 250],
    );
}

#[test]
fn a_reverse_path_chooses_a_row_from_mail_on() {
    for (stage, expected) in [
        ("mail", [220, 250, 451, 250]),
        ("rcpt", [220, 250, 250, 250]),
    ] {
        let row = format!("{{ stage = '{stage}', effect = '451 no', sender = '*@c.test' }}");
        let steps = ["connect", "EHLO c.test", "mail", "MAIL FROM:<a@d.test>"];
        // A transaction that is under way is none to begin.
        let expected = if stage == "rcpt" {
            [220, 250, 250, 503]
        } else {
            expected
        };
        on_both(&faults(&row), &steps, &expected);
    }
    let row = "{ stage = 'rcpt', effect = '451 no', sender = '' }";
    on_both(
        &faults(row),
        &[
            "connect",
            "EHLO c.test",
            "MAIL FROM:<>",
            "rcpt a",
            "RSET",
            "mail",
            "rcpt a",
        ],
        &[220, 250, 250, 451, 250, 250, 250],
    );
}

#[test]
fn a_recipient_chooses_a_row_of_the_content_too() {
    let row = "{ stage = 'dot', effect = '554 no', recipient = 'bob@example.test' }";
    on_both(
        &faults(row),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "rcpt a",
            "rcpt bob",
            "content 100",
            "mail",
            "rcpt a",
            "content 100",
        ],
        &[220, 250, 250, 250, 250, 554, 250, 250, 250],
    );
}

#[test]
fn rows_may_be_about_several_hosts_or_all() {
    let rows = "{ host = ['mx1.example.test', '192.0.2.2'], stage = 'mail', effect = '451 no', first = 1 }";
    // The count is that of the row.
    on_both(
        &faults(rows),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "connect mx2",
            "EHLO c.test",
            "mail",
        ],
        &[220, 250, 451, 220, 250, 250],
    );
    on_both(
        &faults("{ stage = 'mail', effect = '451 no' }"),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "connect mx2",
            "EHLO c.test",
            "mail",
        ],
        &[220, 250, 451, 220, 250, 451],
    );
}

#[test]
fn every_third_recipient_is_refused() {
    let row = "{ host = 'mx1.example.test', stage = 'rcpt', effect = '450 no', every = 3 }";
    on_both(
        &faults(row),
        &[
            "connect",
            "EHLO c.test",
            "mail",
            "rcpt a",
            "rcpt a",
            "rcpt a",
            "rcpt a",
            "rcpt a",
            "rcpt a",
        ],
        &[220, 250, 250, 250, 250, 450, 250, 250, 450],
    );
}

#[test]
fn only_a_content_over_the_size_meets_the_row() {
    let row = "{ host = 'mx1.example.test', stage = 'dot', effect = '552 no', larger_than = 2000 }";
    on_both(
        &faults(row),
        &after_envelope(&["content 2000", "mail", "rcpt a", "content 2100"]),
        &[220, 250, 250, 250, 250, 250, 250, 552],
    );
    let row =
        "{ host = 'mx1.example.test', stage = 'content', effect = 'close', larger_than = 2000 }";
    // The final dot and its line end are octets of the transfer.
    on_both(
        &faults(row),
        &after_envelope(&["content 1900", "mail", "rcpt a", "content 2100"]),
        &[220, 250, 250, 250, 250, 250, 250, 0],
    );
    let row =
        "{ host = 'mx1.example.test', stage = 'content', effect = 'hang', larger_than = 2000 }";
    over_time(
        &faults(row),
        &after_envelope(&["content 100000"]),
        &[220, 250, 250, 250, 1],
    );
}

#[test]
fn a_content_after_354_to_nobody_is_refused() {
    let rows = "{ stage = 'rcpt', effect = '550 no', first = 1 }, { stage = 'data', effect = '354 go ahead' }";
    on_both(
        &faults(rows),
        &after_envelope(&["content 0", "mail", "rcpt a", "content 100"]),
        &[220, 250, 250, 550, 554, 250, 250, 250],
    );
}

#[test]
fn replies_of_several_lines_are_sent_as_they_stand() {
    let rows = "{ stage = 'rcpt', effect = ['452-4.5.3 first', '452 '] }";
    on_both(&faults(rows), &after_envelope(&[]), &[220, 250, 250, 452]);
    let read = scenario(&faults(rows));
    let again = Scenario::parse("again.toml", &read.to_toml()).expect("valid");
    assert_eq!(again.world.faults, read.world.faults);
}

#[test]
fn rows_read_the_same_once_written() {
    let rows = "{ stage = 'connect', effect = 'unreachable', every = 2, chance = 0.25 },
      { host = ['mx1.example.test', 'mx2.example.test'], stage = 'content', effect = 'reset', recipient = '*@example.test', sender = '', larger_than = 1400 },
      { host = 'mx1.example.test', stage = 'starttls', effect = 'inject 250 ok' },
      { host = 'mx1.example.test', stage = 'helo', effect = ['250-mx1', '250-SIZE', '250 PIPELINING'] }";
    let read = scenario(&faults(rows));
    let written = read.to_toml();
    let again = Scenario::parse("again.toml", &written);
    let again = again.unwrap_or_else(|mistakes| panic!("{mistakes}\n{written}"));
    assert_eq!(again.world.faults, read.world.faults, "{written}");
}

#[test]
fn a_row_for_nobody_is_noted() {
    let noted = |row: &str| scenario(&faults(row)).idle_rows();
    for (row, note) in [
        (
            "{ stage = 'rcpt', effect = '550 no', recipient = '*@exmaple.test' }",
            "the fault \"all hosts at rcpt: 550 no for *@exmaple.test\" can never apply: nothing is sent to *@exmaple.test",
        ),
        (
            "{ stage = 'mail', effect = '550 no', sender = 'b@sender.test' }",
            "the fault \"all hosts at mail: 550 no from <b@sender.test>\" can never apply: nothing is sent from b@sender.test",
        ),
        (
            "{ stage = 'dot', effect = '550 no', larger_than = 5000 }",
            "the fault \"all hosts at dot: 550 no of more than 5000 octets\" may never apply: no message has a size over 5000",
        ),
    ] {
        let notes = noted(row);
        assert!(notes.len() == 1 && notes[0].starts_with(note), "{notes:?}");
    }
    for row in [
        "{ stage = 'rcpt', effect = '550 no', recipient = '*@example.test' }",
        "{ stage = 'mail', effect = '550 no', sender = '*' }",
        "{ stage = 'mail', effect = '550 no', sender = '' }",
    ] {
        assert_eq!(noted(row), [""; 0], "{row}");
    }
}

/// A drill of forty messages, of which some meet a fault by chance.
fn by_chance(seed: u64) -> (Arc<Scenario>, drill::Run) {
    let text = format!(
        "summary = 's'\nseed = {seed}\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = 'a@example.test', count = 40 }}]\n\
         faults = [{{ host = 'mx1.example.test', stage = 'connect', effect = 'unreachable', chance = 0.3 }}]\n"
    );
    let scenario = Arc::new(Scenario::parse("s.toml", &text).expect("valid"));
    let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
    (scenario, run.expect("it ran"))
}

#[test]
fn chance_replays_with_its_seed() {
    let log = |seed| {
        let (_, run) = by_chance(seed);
        assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
        run.events
    };
    assert_eq!(log(1), log(1));
    let unreachable = |seed| {
        let events = log(seed);
        let met = |event: &&mxdrill::event::Event| {
            let EventKind::Connect { result, .. } = &event.kind else {
                return false;
            };
            *result == Connected::Unreachable
        };
        events.iter().filter(met).count()
    };
    assert!((4..25).contains(&unreachable(1)), "{}", unreachable(1));
    assert_ne!(log(1), log(2));
}

#[tokio::test]
async fn what_is_injected_comes_in_the_segment_of_the_220() {
    use mxdrill::lab::Lab;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let rows = "receivers = [{ host = 'mx1.example.test', certificate = 'valid' }]\n\
                faults = [{ host = 'mx1.example.test', stage = 'starttls', effect = 'inject 250 mine' }]\n";
    let lab = Lab::start(scenario(rows), NetworkKind::Loopback).await;
    let lab = lab.expect("a lab");
    let connected = lab.connect([192, 0, 2, 1].into(), lab.smtp_port()).await;
    let mut stream = connected.expect("a connection");
    let mut said = String::new();
    for command in ["EHLO c.test\r\n", "STARTTLS\r\n"] {
        // The greeting, and then the reply to EHLO.
        said = read(&mut stream).await;
        stream.write_all(command.as_bytes()).await.expect("sent");
    }
    assert!(said.contains("STARTTLS"), "{said}");
    assert_eq!(
        read(&mut stream).await,
        "220 2.0.0 go ahead\r\n250 mine\r\n"
    );

    /// What one read brings.
    async fn read(stream: &mut mxdrill::stream::Stream) -> String {
        let mut octets = Vec::with_capacity(1000);
        stream.read_buf(&mut octets).await.expect("read");
        String::from_utf8(octets).expect("text")
    }
}
