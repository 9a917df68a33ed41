//! Notifications, totals and mail of others, of a sender that says nothing.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use super::each_is_noticed;
use crate::trial::{ONE, Trial};

/// Refused for good and returned.
const RETURNED: Trial<'static> = Trial {
    rest: "messages = [{ id = 'm', from = 'me@sender.test', to = 'a@example.test' }]
           [expect]
           sessions = 1
           notifications = 1
           bounced = 1
           deferred = 0
           delivered = 0
           [expect.m]
           outcome = 'bounced'
           status = '5.1.1'
           recipients = { 'a@example.test' = 'bounced' }",
    log: "0s given m
          0s asks example.test MX: 10 mx1, 20 mx2
          0s asks mx1 A: 1
          0s m tries mx1[1] 550 at rcpt
          2s asks sender.test MX: 10 bounces.sender.test
          2s asks bounces.sender.test A: 198.51.100.25
          2s returns m 5.1.1",
    ..ONE
};

#[test]
fn a_notification_that_is_missing_or_about_another_message_or_twice_there_is_noticed() {
    let lost = "bounced messages, deferred messages, outcome of message m, outcome for a@example.test of message m";
    let missing = format!("number of notifications, {lost}");
    each_is_noticed(
        RETURNED,
        &[
            // A command may have said so where the lab does not see it.
            (Command, "2s returns m 5.1.1", "", ""),
            (MailServer, "2s returns m 5.1.1", "", &missing),
            (MailServer, "2s returns m 5.1.1", "2s returns n 5.1.1", lost),
            (
                MailServer,
                "2s returns m 5.1.1",
                "2s m.bounce.1 tries bounces.sender.test[198.51.100.25] refused",
                "number of notifications",
            ),
            (
                Command,
                "2s returns m 5.1.1",
                "2s returns m 5.1.1\n3s returns m",
                "number of notifications",
            ),
            (
                MailServer,
                "2s returns m 5.1.1",
                "2s returns m 5.1.1\n3s returns m",
                "number of notifications",
            ),
            // Nobody hears of what is returned to a domain that is not there.
            (MailServer, "me@sender.test", "me@nowhere.test", ""),
        ],
    );
}

#[test]
fn what_is_returned_to_where_nobody_looks_may_have_been_returned_or_not() {
    let unseen = Trial {
        rest: &RETURNED
            .rest
            .replace("me@sender.test", "me@nowhere.test")
            .replace("notifications = 1", "notifications = 0"),
        log: RETURNED.log.split("2s asks").next().expect("a beginning"),
        ..RETURNED
    };
    each_is_noticed(
        unseen,
        &[
            (
                MailServer,
                "bounced = 1",
                "bounced = { min = 2 }",
                "bounced messages",
            ),
            (MailServer, "bounced = 1", "bounced = 0", ""),
            (MailServer, "deferred = 0", "deferred = { min = 1 }", ""),
            (
                MailServer,
                "deferred = 0",
                "deferred = { min = 2 }",
                "deferred messages",
            ),
            (
                MailServer,
                "delivered = 0",
                "delivered = 1",
                "delivered messages",
            ),
            (
                MailServer,
                "outcome = 'bounced'",
                "outcome = 'deferred'",
                "",
            ),
            (
                MailServer,
                "outcome = 'bounced'",
                "outcome = 'delivered'",
                "outcome of message m",
            ),
            (Command, "bounced = 1", "bounced = 2", ""),
            (Command, "deferred = 0", "deferred = 7", ""),
            (
                Command,
                "delivered = 0",
                "delivered = 1",
                "delivered messages",
            ),
            (Command, "outcome = 'bounced'", "outcome = 'deferred'", ""),
            (
                Command,
                "outcome = 'bounced'",
                "outcome = 'delivered'",
                "outcome of message m",
            ),
            (
                Command,
                "notifications = 0",
                "notifications = { min = 1 }",
                "",
            ),
        ],
    );
}

#[test]
fn totals_of_what_was_seen_are_those_of_any_sender() {
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            RETURNED,
            &[
                (
                    sender_kind,
                    "sessions = 1",
                    "sessions = 0",
                    "number of sessions",
                ),
                // It may use one for several messages.
                (sender_kind, "sessions = 1", "sessions = 2", ""),
                (
                    sender_kind,
                    "notifications = 1",
                    "notifications = 0",
                    "number of notifications",
                ),
                (
                    sender_kind,
                    "delivered = 0",
                    "delivered = 1",
                    "delivered messages",
                ),
                (
                    sender_kind,
                    "outcome = 'bounced'",
                    "outcome = 'deferred'",
                    "outcome of message m",
                ),
                (
                    sender_kind,
                    "outcome = 'bounced'",
                    "outcome = 'delivered'",
                    "outcome of message m",
                ),
            ],
        );
    }
    each_is_noticed(
        RETURNED,
        &[
            (MailServer, "bounced = 1", "bounced = 0", "bounced messages"),
            (MailServer, "bounced = 1", "bounced = 2", "bounced messages"),
            (
                MailServer,
                "deferred = 0",
                "deferred = 1",
                "deferred messages",
            ),
            (Command, "bounced = 1", "bounced = 0", ""),
            (Command, "deferred = 0", "deferred = 1", ""),
            (Command, "notifications = 1", "notifications = 2", ""),
            (
                MailServer,
                "notifications = 1",
                "notifications = 2",
                "number of notifications",
            ),
        ],
    );
}

#[test]
fn a_status_that_differs_is_told_and_fails_nobody() {
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..RETURNED
        };
        let found = trial.with("returns m 5.1.1", "returns m 5.1.2").0;
        assert_eq!(found, ["MAY status of message m: 5.1.1; not 5.1.2"]);
        each_is_noticed(trial, &[(sender_kind, "returns m 5.1.1", "returns m", "")]);
        // Either may be given of what was not delivered in time (RFC 3463 section 3.5).
        let expired = Trial {
            rest: &trial.rest.replace("5.1.1", "4.4.7"),
            log: &trial.log.replace("returns m 5.1.1", "returns m 5.4.7"),
            ..trial
        };
        each_is_noticed(
            expired,
            &[
                (sender_kind, "returns m 5.4.7", "returns m 4.4.7", ""),
                (
                    sender_kind,
                    "returns m 5.4.7",
                    "returns m 5.4.6",
                    "status of message m",
                ),
                (
                    sender_kind,
                    "status = '4.4.7'",
                    "status = '5.1.1'",
                    "status of message m",
                ),
            ],
        );
    }
}

#[test]
fn mail_of_strangers_is_noted() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]\n[expect]\nsessions = 1",
        log: "0s given m
              0s asks example.test MX: 10 mx1
              0s asks mx1 A: 1
              0s m tries mx1[1] accepted
              0s ? tries www[80] accepted",
        sender_kind: MailServer,
        ..ONE
    };
    let (found, notes) = trial.verdict();
    assert_eq!(found, ["INFO number of sessions: 1; not 2"]);
    assert_eq!(
        notes,
        ["www.example.test took a message for y@elsewhere.test, who gets none of this drill's"]
    );
    let (found, notes) = trial.with("www[80] accepted", "www[80] refused");
    assert_eq!((found.len(), notes.len()), (0, 0));
    // A notification is no stranger's.
    let (found, notes) = trial.with(
        "? tries www[80]",
        "n tries bounces.sender.test[198.51.100.25]",
    );
    assert_eq!((found.len(), notes.len()), (0, 0));
}

#[test]
fn what_is_returned_before_its_time_needs_a_reason() {
    let early = |rest: &str, result: &str| {
        let log = format!(
            "0s given m\n0s asks example.test MX: 10 mx1\n0s asks mx1 A: 1\n0s m tries mx1[1] {result}\n2s returns m"
        );
        let trial = Trial {
            rest,
            log: &log,
            sender_kind: MailServer,
            ..ONE
        };
        trial
            .verdict()
            .0
            .iter()
            .filter_map(|line| Some(line.split(": ").next()?.to_owned()))
            .collect::<Vec<_>>()
    };
    let one = "messages = [{ id = 'm', to = 'a@example.test' }]";
    let two = "messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]";
    let too_soon = ["MUST transient-is-retried"];
    assert_eq!(early(one, "451 at rcpt"), too_soon);
    assert_eq!(early(one, "refused"), too_soon);
    assert_eq!(early(one, "550 at rcpt"), [""; 0]);
    assert_eq!(early(one, "554 at greeting"), [""; 0]);
    // What a line that is no reply means, no RFC says.
    assert_eq!(early(one, "garbage at rcpt"), [""; 0]);
    // Of two recipients it may be about the other one.
    assert_eq!(early(two, "451 at rcpt"), [""; 0]);
}

#[test]
fn of_a_message_from_the_null_reverse_path_a_mail_server_returns_nothing() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', from = '', to = 'a@example.test' }]\n[expect]\nbounced = 1\n[expect.m]\noutcome = 'bounced'",
        log: "0s given m\n0s asks example.test MX: 10 mx1\n0s asks mx1 A: 1\n0s m tries mx1[1] 550 at rcpt",
        sender_kind: MailServer,
        ..ONE
    };
    each_is_noticed(
        trial,
        &[
            (
                MailServer,
                "from = ''",
                "from = 'me@sender.test'",
                "bounced messages, outcome of message m",
            ),
            (
                MailServer,
                "bounced = 1",
                "bounced = { min = 2 }",
                "bounced messages",
            ),
        ],
    );
}
