//! A lab in every kind of Rust test: whatever runtime it has, and whatever its thread does; and what a test says
//! that fails.

#[path = "../examples/blocking_sender.rs"]
#[expect(dead_code, reason = "an example with a main of its own")]
mod blocking_sender;

use std::{
    error::Error,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
    thread,
    time::Duration,
};

use mxdrill::{
    Lab, NetworkKind, Scenario, Stage, blocking,
    event::{Event, EventKind, SessionId},
    verdict::SenderKind,
};

/// Long enough for what has happened to be seen, where nothing is to come.
const SHORT: Duration = Duration::from_millis(500);

type LabResult = Result<(), Box<dyn Error>>;

const ZONE: &str = "
example.test.      300 IN MX 10 mx1.example.test.
example.test.      300 IN MX 20 mx2.example.test.
mx1.example.test.  300 IN A  192.0.2.1
mx2.example.test.  300 IN A  192.0.2.2
";

/// Sends in a way that blocks the thread, wherever that is called.
fn send(lab: &Lab, to: &str) -> LabResult {
    blocking_sender::send(lab.resolver(), |address| lab.socket_for(address), to)
}

/// The drill of every test: a primary that is down, and a sender that blocks.
async fn drill() -> LabResult {
    let lab = Lab::from_zone(ZONE).await?;
    let _down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
    send(&lab, "alice@example.test")?;
    let message = lab.wait_for_message("alice@example.test").await?;
    assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
    lab.assert_passed(SenderKind::Command);
    Ok(())
}

#[tokio::test]
async fn on_a_runtime_of_one_thread() -> LabResult {
    drill().await
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_runtime_of_several_threads() -> LabResult {
    drill().await
}

#[tokio::test(start_paused = true)]
async fn on_a_runtime_whose_clock_is_paused() -> LabResult {
    drill().await
}

#[test]
fn on_an_executor_that_is_none_of_tokios() -> LabResult {
    futures_executor::block_on(drill())
}

#[test]
fn in_a_plain_test() -> LabResult {
    let lab = blocking::Lab::from_zone(ZONE)?;
    let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
    send(&lab, "alice@example.test")?;
    let message = lab.wait_for_message("alice@example.test")?;
    assert_eq!(message.hosts[0].as_str(), "mx2.example.test");
    // What is over with the guard is over for the next connection.
    drop(down);
    send(&lab, "bob@example.test")?;
    let message = lab.wait_for_message("bob@example.test")?;
    assert_eq!(message.hosts[0].as_str(), "mx1.example.test");
    lab.assert_passed(SenderKind::Command);
    lab.stop();
    Ok(())
}

/// A task that has come far without making room for others still gets its labs.
#[tokio::test]
async fn a_plain_lab_in_a_task_that_never_rests() -> LabResult {
    for _ in 0..200 {
        drop(blocking::Lab::from_zone(ZONE)?);
    }
    Ok(())
}

/// A fault holds when the call that puts it up returns, and no longer when its guard is gone: a connection
/// that is made at once shows it.
#[test]
fn a_fault_takes_effect_at_once() -> LabResult {
    let lab = blocking::Lab::from_zone(ZONE)?;
    let mx1 = lab.socket_for([192, 0, 2, 1].into());
    for _ in 0..200 {
        let down = lab.fail("mx1.example.test", Stage::Connect, "refuse")?;
        assert!(TcpStream::connect(mx1).is_err());
        drop(down);
        let mut greeting = String::new();
        BufReader::new(TcpStream::connect(mx1)?).read_line(&mut greeting)?;
        assert!(greeting.starts_with("220"), "{greeting}");
    }
    Ok(())
}

#[test]
fn a_fault_of_the_scenario_holds_from_the_start() -> LabResult {
    let text = format!(
        "summary = 's'\nzone = '''{ZONE}'''\nmessages = [{{ id = 'm', to = 'alice@example.test' }}]\n\
        faults = [{{ host = 'mx1.example.test', stage = 'connect', effect = 'refuse' }}]\n\
        [expect.m]\nattempts = [{{ host = 'mx1.example.test', result = 'refused' }}, {{ host = 'mx2.example.test', result = 'accepted' }}]\n"
    );
    let scenario = Arc::new(Scenario::parse("s.toml", &text)?);
    for _ in 0..20 {
        let lab = blocking::Lab::start(Arc::clone(&scenario))?;
        assert!(TcpStream::connect(lab.socket_for([192, 0, 2, 1].into())).is_err());
        send(&lab, "alice@example.test")?;
        // The kernel refused it, and the lab saw nothing of it: that is held against nobody.
        lab.assert_passed(SenderKind::Command);
    }
    Ok(())
}

#[test]
fn a_hundred_labs_at_once() {
    let labs = (0..100).map(|number| {
        thread::spawn(move || {
            let lab = blocking::Lab::from_zone(ZONE).expect("a lab");
            let to = format!("user{number}@example.test");
            send(&lab, &to).expect("sent");
            lab.wait_for_message(&to).expect("a message");
            lab.assert_passed(SenderKind::Command);
        })
    });
    let labs: Vec<_> = labs.collect();
    labs.into_iter()
        .for_each(|lab| lab.join().expect("it passed"));
}

/// What a text says with each address and port of this run, and each moment, replaced.
fn plain(text: &str, lab: &Lab) -> String {
    let mut text = text.replace(&lab.resolver().to_string(), "RESOLVER");
    for endpoint in lab.endpoints() {
        text = text.replace(&endpoint.listens.to_string(), "SOCKET");
    }
    let is_moment = |word: &str| {
        let word = word.trim_start_matches('+');
        word.ends_with('s') && word.starts_with(|c: char| c.is_ascii_digit())
    };
    let lines = text.lines().map(|line| {
        let words: Vec<&str> = line.split(' ').collect();
        let words = words
            .iter()
            .map(|word| if is_moment(word) { "T" } else { word });
        let line = words.collect::<Vec<_>>().join(" ");
        // Moments stand in a column.
        match line.trim_start().strip_prefix("T ") {
            Some(event) => format!("    T {event}"),
            None => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

/// What a panic says.
fn said(what: impl FnOnce() + std::panic::UnwindSafe) -> String {
    let panic = std::panic::catch_unwind(what).expect_err("it panics");
    *panic.downcast::<String>().expect("a text")
}

#[test]
fn waiting_in_vain_where_nobody_came_says_so() -> LabResult {
    let lab = blocking::Lab::from_zone(ZONE)?.with_patience(SHORT);
    let error = lab
        .wait_for_message("alice@example.test")
        .expect_err("in vain");
    assert_eq!(
        plain(&error.to_string(), &lab),
        "\
a message for alice@example.test did not come within T
  the lab's name server is at RESOLVER
  mx1.example.test is at SOCKET
  mx2.example.test is at SOCKET
  bounces.sender.test is at SOCKET
  the lab saw nothing: no query, and no connection"
    );
    Ok(())
}

#[test]
fn waiting_in_vain_says_what_came_instead() -> LabResult {
    let lab = blocking::Lab::from_zone(ZONE)?.with_patience(SHORT);
    send(&lab, "bob@example.test")?;
    lab.wait_for(|event| matches!(event.kind, EventKind::End { .. }))?;
    let mut stream = TcpStream::connect(lab.socket_for([192, 0, 2, 2].into()))?;
    stream.write_all(b"EHLO client.test\r\n")?;
    let greeted = |event: &Event| {
        let is_second = |session: &SessionId| session.0 == 2;
        matches!(&event.kind, EventKind::Reply { session, stage: Stage::Helo, .. } if is_second(session))
    };
    lab.wait_for(greeted)?;
    let error = lab
        .wait_for_message("alice@example.test")
        .expect_err("in vain");
    assert_eq!(
        plain(&error.to_string(), &lab),
        "\
a message for alice@example.test did not come within T
  the lab's name server is at RESOLVER
  mx1.example.test is at SOCKET
  mx2.example.test is at SOCKET
  bounces.sender.test is at SOCKET
  the lab saw:
    T query example.test MX over udp: noerror 10 mx1.example.test., 20 mx2.example.test.
    T query mx1.example.test A over udp: noerror 192.0.2.1
    T query mx2.example.test A over udp: noerror 192.0.2.2
    T session 1 to mx1.example.test [192.0.2.1]: accepted
    T session 1 greeting: 220 mx1.example.test ESMTP mxdrill
    T session 1 helo client.test: 250 ENHANCEDSTATUSCODES
    T session 1 mail me@client.test: 250 2.1.0 sender ok
    T session 1 rcpt bob@example.test: 250 2.1.5 recipient ok
    T session 1 data: 354 go ahead
    T session 1 took a message of 19 octets from <me@client.test> for bob@example.test
    T session 1 dot: 250 2.0.0 taken
    T session 1 quit: 221 2.0.0 bye
    T session 1 ended: after QUIT
    T session 2 to mx2.example.test [192.0.2.2]: accepted
    T session 2 greeting: 220 mx2.example.test ESMTP mxdrill
    T session 2 helo client.test: 250 ENHANCEDSTATUSCODES
  session 2 with mx2.example.test [192.0.2.2] is still open: the last reply was at helo"
    );
    Ok(())
}

#[test]
fn a_failed_assertion_shows_what_is_wrong_and_the_attempts() -> LabResult {
    let lab = blocking::Lab::from_zone(ZONE)?;
    blocking_sender::hand_over(
        TcpStream::connect(lab.socket_for([192, 0, 2, 2].into()))?,
        "alice@example.test",
    )?;
    lab.wait_for_message("alice@example.test")?;
    let lab = std::panic::AssertUnwindSafe(lab);
    let text = said(|| lab.assert_passed(SenderKind::Command));
    assert_eq!(
        plain(&text, &lab),
        "\
what the lab saw does not pass

  within a pass, lower preference numbers are tried before higher ones (message m1) (MUST)
    expected  mx1.example.test [192.0.2.1] (preference 10) before any of preference 20
    observed  mx2.example.test accepted [192.0.2.2] T
    see       RFC 5321 section 5.1

  attempts, in order:
    mx2.example.test accepted [192.0.2.2] T"
    );
    Ok(())
}

#[test]
fn an_assertion_about_nothing_fails() -> LabResult {
    let lab = std::panic::AssertUnwindSafe(blocking::Lab::from_zone(ZONE)?);
    let text = said(|| lab.assert_passed(SenderKind::Command));
    assert_eq!(
        plain(&text, &lab),
        "\
nobody connected to an exchanger
the lab's name server is at RESOLVER
mx1.example.test is at SOCKET
mx2.example.test is at SOCKET
bounces.sender.test is at SOCKET
the lab saw nothing: no query, and no connection"
    );
    Ok(())
}

/// The memory network shares its runtime's clock, and ends with it.
#[test]
fn a_lab_that_has_ended_says_so() -> LabResult {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()?;
    let scenario = Arc::new(Scenario::from_zone(ZONE)?);
    let lab = runtime.block_on(Lab::start(scenario, NetworkKind::Memory))?;
    drop(runtime);
    let error = futures_executor::block_on(lab.wait_for_message("alice@example.test"));
    let error = error.expect_err("it has ended");
    assert!(matches!(error, mxdrill::Error::Ended), "{error}");
    Ok(())
}
