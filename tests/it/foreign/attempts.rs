//! Attempts of a sender that says nothing.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use super::each_is_noticed;
use crate::trial::{ONE, Trial};

/// The primary is down and the backup busy; half an hour later the primary takes it.
const RETRIED: Trial<'static> = Trial {
    rest: "messages = [{ id = 'm', to = 'a@example.test' }]
           [expect.m]
           outcome = 'delivered'
           by = 'mx1.example.test'
           attempts = [
             { host = 'mx1.example.test', result = 'refused' },
             { host = 'mx2.example.test', result = '451', stage = 'rcpt' },
             { host = 'mx1.example.test', result = 'accepted', at = '30m' },
           ]",
    log: "0s  given m
          0s  asks example.test MX: 10 mx1, 20 mx2
          0s  asks mx1 A: 1
          0s  asks mx2 A: 2
          1s  m tries mx1[1] refused
          2s  m tries mx2[2] 451 at rcpt
          1800s m tries mx1[1] accepted",
    ..ONE
};

const FIRST: &str = "1s  m tries mx1[1] refused";
const SECOND: &str = "2s  m tries mx2[2] 451 at rcpt";
const THIRD: &str = "1800s m tries mx1[1] accepted";

#[test]
fn an_attempt_that_is_missing_or_twice_there_or_out_of_order_is_noticed() {
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            RETRIED,
            &[
                (
                    sender_kind,
                    FIRST,
                    "",
                    "attempts of message m, preference-order, next-candidate",
                ),
                (
                    sender_kind,
                    SECOND,
                    "",
                    "attempts of message m, next-candidate",
                ),
                (
                    sender_kind,
                    THIRD,
                    "",
                    "outcome of message m, taker of message m, attempts of message m",
                ),
                (
                    sender_kind,
                    FIRST,
                    "1s m tries mx1[1] refused\n1s m tries mx1[1] refused",
                    "attempts of message m, next-candidate, retry-waits",
                ),
                (
                    sender_kind,
                    SECOND,
                    "2s m tries mx2[2] 451 at rcpt\n2s m tries mx2[2] 451 at rcpt",
                    "attempts of message m, retry-waits",
                ),
                (
                    sender_kind,
                    THIRD,
                    "1800s m tries mx1[1] accepted\n1801s m tries mx1[1] accepted",
                    "attempts of message m, delivered-once",
                ),
                (
                    sender_kind,
                    FIRST,
                    "3s m tries mx1[1] refused",
                    "attempts of message m, preference-order",
                ),
            ],
        );
    }
}

#[test]
fn an_attempt_at_another_address_or_with_another_result_is_noticed() {
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            RETRIED,
            &[
                (
                    sender_kind,
                    "1s  m tries mx1[1] refused",
                    "1s m tries www[80] refused",
                    "attempts of message m, within-route",
                ),
                (
                    sender_kind,
                    "1800s m tries mx1[1]",
                    "1800s m tries mx2[2]",
                    // The host that was down may be remembered.
                    "taker of message m, attempts of message m",
                ),
                (
                    sender_kind,
                    "mx1[1] refused",
                    "mx1[1] timeout",
                    "attempts of message m",
                ),
                (
                    sender_kind,
                    "mx2[2] 451",
                    "mx2[2] 450",
                    "attempts of message m",
                ),
                (
                    sender_kind,
                    "mx2[2] 451 at rcpt",
                    "mx2[2] 550 at rcpt",
                    "attempts of message m, permanent-is-final",
                ),
            ],
        );
    }
}

#[test]
fn a_moment_is_that_of_a_command_to_two_seconds_and_a_mail_servers_own() {
    each_is_noticed(
        RETRIED,
        &[
            (Command, "1800s m", "1802s m", ""),
            (Command, "1800s m", "1798s m", ""),
            (Command, "1800s m", "1803s m", "attempts of message m"),
            (Command, "1800s m", "1797s m", "attempts of message m"),
            (MailServer, "1800s m", "62s m", ""),
            (MailServer, "1800s m", "5000s m", ""),
            (MailServer, "1800s m", "50s m", "retry-waits"),
        ],
    );
}

#[test]
fn a_mail_server_that_takes_a_message_up_after_its_time_may_try_it_once_more() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n",
        rest: "sender = { expire = '1h' }
               messages = [{ id = 'm', at = '1s', to = 'a@example.test' }]
               [expect.m]
               attempts = [{ host = 'mx1.example.test', result = 'refused' }]",
        log: "1s    given m
              1s    asks example.test MX: 10 mx1
              1s    asks mx1 A: 1
              1s    m tries mx1[1] refused
              3601s m tries mx1[1] refused",
        ..ONE
    };
    each_is_noticed(trial, &[]);
    let server = Trial {
        sender_kind: MailServer,
        ..trial
    };
    server.breaks_nothing();
    assert_eq!(server.found_with("3601s", "3600s"), "attempts of message m");
    let command = Trial {
        sender_kind: Command,
        ..trial
    };
    assert_eq!(
        command.found_with("3601s", "3602s"),
        "attempts of message m"
    );
}

#[test]
fn a_client_may_speak_once_in_tls_before_it_looks_at_the_certificate() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]
               [expect.m]
               outcome = 'deferred'
               attempts = [{ host = 'mx1.example.test', result = 'tls', stage = 'starttls' }]",
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n",
        log: "0s given m
              0s asks example.test MX: 10 mx1
              0s asks mx1 A: 1
              0s m tries mx1[1] tls left",
        ..ONE
    };
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            trial,
            &[
                (sender_kind, "tls left", "left", "attempts of message m"),
                (
                    sender_kind,
                    "tls left",
                    "close at starttls",
                    "attempts of message m",
                ),
                (sender_kind, "result = 'tls'", "result = 'insecure'", ""),
                (
                    sender_kind,
                    "result = 'tls'",
                    "result = 'closed'",
                    "attempts of message m",
                ),
            ],
        );
    }
}

#[test]
fn the_number_of_attempts_is_that_of_a_mail_server_where_it_has_one_message() {
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..RETRIED
        };
        assert_eq!(
            trial.found_with("by =", "attempt_count = 2\nby ="),
            "number of attempts of message m"
        );
        assert_eq!(trial.found_with("by =", "attempt_count = 3\nby ="), "");
    }
}

#[test]
fn a_client_may_come_again_at_once_where_its_ehlo_or_a_parameter_was_not_understood() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n",
        log: "0s given m
              0s asks example.test MX: 10 mx1
              0s asks mx1 A: 1
              1s m tries mx1[1] 502 at helo
              2s m tries mx1[1] accepted",
        sender_kind: Command,
        ..ONE
    };
    trial.breaks_nothing();
    for (end, found) in [
        ("555 at mail", ""),
        ("504 at mail", ""),
        ("454 at starttls", ""),
        ("421 at helo", "retry-waits"),
        ("502 at greeting", "retry-waits"),
        ("451 at mail", "retry-waits"),
        ("451 at rcpt", "retry-waits"),
        // What broke inside TLS may have failed by it, and is tried without.
        ("tls reset at content", ""),
        ("reset at content", "retry-waits"),
        ("tls 451 at rcpt", "retry-waits"),
    ] {
        assert_eq!(trial.found_with("502 at helo", end), found, "{end}");
    }
    let again = trial.found_with(
        "502 at helo\n              2s m tries mx1[1] accepted",
        "tls reset at content\n              2s m tries mx1[1] tls accepted",
    );
    assert_eq!(again, "retry-waits", "inside TLS again");
}
