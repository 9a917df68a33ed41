//! Who owes a QUIT before the connection is closed, and who does not.

use mxdrill::{Scenario, verdict::SenderKind::Command};

use super::wire::{GOOD, ZONE, found_in};

const QUITS: &str = "MUST quits: QUIT before the connection is closed; not session 1 with mx1.example.test: \
                     the client closed without it";
const NONE: [&str; 0] = [];

/// What is found of the good session with another end, in a drill with something more to it.
fn ended(more: &str, end: &str) -> Vec<String> {
    let scenario = Scenario::parse("leaving.toml", &format!("{ZONE}{more}")).expect("a scenario");
    let text = GOOD.replace("quit 221\nend quit", end);
    assert_ne!(text, GOOD);
    found_in(&scenario, &text, Command)
}

#[test]
fn a_client_says_quit_before_it_closes() {
    assert_eq!(ended("", "end closed"), [QUITS]);
    assert_eq!(ended("", "quit 221\nend closed"), NONE);
    // Not where the server has closed, or said what is no reply.
    assert_eq!(ended("", "noop 421\nend closed"), NONE);
    assert_eq!(ended("", "mail garbage\nnoop 503\nend closed"), NONE);
}

#[test]
fn in_the_content_there_is_no_place_for_quit() {
    let transaction = "mail a@sender.test 250\nrcpt Anna@example.test 250\n";
    assert_eq!(
        ended("", &format!("{transaction}data 354\nend closed")),
        NONE
    );
    assert_eq!(
        ended("", &format!("{transaction}data 451\nend closed")),
        [QUITS]
    );
}

#[test]
fn who_was_killed_says_no_goodbye() {
    let crashes = "crashes = [{ at = '1h' }]\n";
    assert_eq!(ended(crashes, "end closed\ncrash"), NONE);
    assert_eq!(ended(crashes, "crash\nend closed"), NONE);
    assert_eq!(ended(crashes, "end closed"), [QUITS]);
}

#[test]
fn of_a_slow_line_nobody_sees_when_a_client_left() {
    let slow = |host: &str| format!("receivers = [{{ host = '{host}', bandwidth = '10kB/s' }}]\n");
    assert_eq!(ended(&slow("mx1.example.test"), "end closed"), NONE);
    assert_eq!(ended(&slow("bounces.sender.test"), "end closed"), [QUITS]);
}
