//! A mail server that remembers a dead host, and one that only seems to.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use super::each_is_noticed;
use crate::trial::{ONE, Trial};

/// Two messages of a mail server that remembers a dead host.
const REMEMBERED: Trial<'static> = Trial {
    rest: "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]
           [expect.m]
           attempts = [
             { host = 'mx1.example.test', result = 'refused' },
             { host = 'mx2.example.test', result = 'accepted' },
           ]
           [expect.n]
           attempt_count = 2
           attempts = [
             { host = 'mx1.example.test', result = 'refused', stage = 'connect' },
             { host = 'mx2.example.test', result = 'accepted' },
           ]",
    log: "0s  given m
          0s  given n
          0s  asks example.test MX: 10 mx1, 20 mx2
          0s  asks mx1 A: 1
          0s  asks mx2 A: 2
          1s  m tries mx1[1] refused
          1s  m tries mx2[2] accepted
          99s n tries mx2[2] accepted",
    sender_kind: MailServer,
    ..ONE
};

#[test]
fn a_mail_server_may_know_from_another_message_that_a_host_is_dead() {
    each_is_noticed(
        REMEMBERED,
        &[
            // It tries the host for yet another message right after: it has no such memory.
            (
                MailServer,
                "99s n",
                "0s n",
                "attempts of message n, preference-order",
            ),
            (
                MailServer,
                "mx1[1] refused\n",
                "mx1[1] timeout\n",
                "attempts of message m, attempts of message n",
            ),
            (
                MailServer,
                "stage = 'connect'",
                "stage = 'mail'",
                "attempts of message n",
            ),
            (
                MailServer,
                "1s  m tries mx1[1] refused\n",
                "",
                "attempts of message m, attempts of message n, preference-order, preference-order",
            ),
            (
                MailServer,
                "99s n tries mx2[2] accepted",
                "",
                "attempts of message n",
            ),
        ],
    );
    let trial = Trial {
        sender_kind: Command,
        ..REMEMBERED
    };
    let found = trial.found_with("99s n", "98s n");
    assert_eq!(found, "number of attempts of message n");
}

#[test]
fn a_mail_server_that_tries_a_dead_host_right_after_has_no_memory_of_it() {
    let rest = REMEMBERED.rest.replace(
        "{ id = 'n',",
        "{ id = 'o', to = 'c@example.test' }, { id = 'n',",
    );
    let log = format!(
        "0s given o\n{}\n159s o tries mx1[1] refused\n159s o tries mx2[2] accepted",
        REMEMBERED.log
    );
    let trial = Trial {
        rest: &rest,
        log: &log,
        ..REMEMBERED
    };
    trial.breaks_nothing();
    assert_eq!(
        trial.found_with("159s o tries mx1[1]", "158s o tries mx1[1]"),
        "attempts of message n"
    );
    // One that came to a transaction tells nothing of the next message's.
    let rest = REMEMBERED
        .rest
        .replace("'refused'", "450")
        .replace(", stage = 'connect'", ", stage = 'mail'");
    let log = REMEMBERED.log.replace("refused", "450 at mail");
    let trial = Trial {
        rest: &rest,
        log: &log,
        ..REMEMBERED
    };
    let found = trial.found_with("99s n", "98s n");
    assert_eq!(found, "attempts of message n");
}
