//! Several recipients of a sender that says nothing, and a session for each of them.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use super::each_is_noticed;
use crate::{
    log::SENDER,
    trial::{ONE, Trial},
};

/// One message for two recipients of a domain, each served by a session of its own.
const SPLIT: Trial<'static> = Trial {
    rest: "level = 'MUST'
           messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]
           [expect]
           sessions = 1
           [expect.m]
           copies = 1
           attempts = [
             { host = 'mx1.example.test', result = '451', stage = 'rcpt' },
             { host = 'mx2.example.test', result = 'accepted' },
           ]",
    log: "0s given m
          0s asks example.test MX: 10 mx1, 20 mx2
          0s asks mx1 A: 1
          0s asks mx2 A: 2
          1s m tries mx1[1] only=a@example.test 451 at rcpt
          2s m tries mx2[2] only=a@example.test accepted
          3s m tries mx1[1] only=b@example.test 451 at rcpt
          4s m tries mx2[2] only=b@example.test accepted",
    ..ONE
};

#[test]
fn a_session_for_each_recipient_is_one_attempt_for_all_of_them() {
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            SPLIT,
            &[
                (
                    sender_kind,
                    "level = 'MUST'",
                    "level = 'SHOULD'",
                    "number of sessions",
                ),
                (
                    sender_kind,
                    "4s m tries mx2[2] only=b@",
                    "4s m tries mx2[2] only=a@",
                    "copies of message m, attempts of message m, preference-order, delivered-once",
                ),
                (
                    sender_kind,
                    "4s m tries mx2[2] only=b@example.test accepted",
                    "4s m tries mx2[2] only=b@example.test 451 at data",
                    "attempts of message m",
                ),
                (sender_kind, "4s m tries mx2[2]", "61s m tries mx2[2]", ""),
                (
                    sender_kind,
                    "4s m tries mx2[2]",
                    "62s m tries mx2[2]",
                    "attempts of message m",
                ),
                (
                    sender_kind,
                    "3s m tries mx1[1] only=b@",
                    "3s m tries mx1[1] only=a@",
                    "attempts of message m, retry-waits",
                ),
                (
                    sender_kind,
                    "1s m tries mx1[1] only=a@example.test 451 at rcpt",
                    "1s m tries mx1[1] refused",
                    "attempts of message m",
                ),
            ],
        );
    }
}

#[test]
fn sessions_that_come_to_no_recipient_are_one_attempt_for_all_as_well() {
    let trial = Trial {
        rest: &SPLIT
            .rest
            .replace("result = '451', stage = 'rcpt'", "result = 'refused'"),
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] refused
              2s m tries mx2[2] only=a@example.test accepted
              3s m tries mx1[1] refused
              4s m tries mx2[2] only=b@example.test accepted",
        ..SPLIT
    };
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..trial
        };
        trial.breaks_nothing();
        let once_more = "1s m tries mx1[1] refused\n1s m tries mx1[1] refused\n";
        let found = trial.found_with("1s m tries mx1[1] refused\n", once_more);
        assert!(found.starts_with("attempts of message m"), "{found}");
        let found = trial.found_with("3s m tries mx1[1] refused", "3s m tries mx1[1] timeout");
        assert_eq!(found, "attempts of message m");
    }
}

#[test]
fn of_recipients_of_which_one_is_refused_the_attempt_is_the_others() {
    let rest = SPLIT
        .rest
        .replace("copies = 1", "")
        .replace("result = '451', stage = 'rcpt'", "result = 'accepted'");
    let rest = rest.replace(
        "             { host = 'mx2.example.test', result = 'accepted' },\n",
        "",
    );
    for (first, second) in [
        (
            "only=a@example.test 550 at rcpt",
            "only=b@example.test accepted",
        ),
        (
            "only=b@example.test accepted",
            "only=a@example.test 550 at rcpt",
        ),
    ] {
        let log = format!(
            "0s given m\n0s asks example.test MX: 10 mx1, 20 mx2\n0s asks mx1 A: 1\n0s asks mx2 A: 2\n\
             1s m tries mx1[1] {first}\n2s m tries mx1[1] {second}\n2s returns m 5.1.1"
        );
        for sender_kind in [Command, MailServer] {
            let trial = Trial {
                rest: &rest,
                log: &log,
                sender_kind,
                ..SPLIT
            };
            trial.breaks_nothing();
            let elsewhere = trial.found_with("2s m tries mx1[1]", "2s m tries mx2[2]");
            assert!(
                elsewhere.starts_with("attempts of message m"),
                "{elsewhere}"
            );
        }
    }
    // A sender inside says what it does: two attempts are two.
    let inside = Trial {
        sender_kind: SENDER,
        ..SPLIT
    };
    let found = inside.found_with("sessions = 1", "sessions = 4");
    assert_eq!(
        found,
        "copies of message m, attempts of message m, retry-waits"
    );
}

#[test]
fn a_recipient_to_whose_command_the_connection_was_closed_is_known_all_the_same() {
    let rest = SPLIT
        .rest
        .replace(
            "result = '451', stage = 'rcpt'",
            "result = 'closed', stage = 'rcpt'",
        )
        .replace("sessions = 1", "sessions = { min = 1 }");
    let trial = Trial {
        rest: &rest,
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] only=a@example.test close at rcpt
              2s m tries mx1[1] only=b@example.test close at rcpt
              3s m tries mx2[2] accepted",
        ..SPLIT
    };
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            trial,
            &[(
                sender_kind,
                "2s m tries mx1[1] only=b@",
                "2s m tries mx1[1] only=a@",
                "attempts of message m, next-candidate, retry-waits",
            )],
        );
    }
}

#[test]
fn a_recipient_who_was_refused_for_good_is_not_named_again_even_if_nothing_is_answered() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] only=a@example.test 550 at rcpt
              2s m tries mx2[2] only=b@example.test close at rcpt",
        ..ONE
    };
    for sender_kind in [Command, MailServer] {
        each_is_noticed(
            trial,
            &[(
                sender_kind,
                "2s m tries mx2[2] only=b@",
                "2s m tries mx2[2] only=a@",
                "permanent-is-final",
            )],
        );
    }
}

#[test]
fn a_message_that_is_refused_at_mail_was_for_a_domain_that_is_not_known_if_it_has_several() {
    let trial = Trial {
        zone: "
            $ORIGIN example.test.
            @       MX 10 mx1
            other   MX 10 mx2
            mx1     A  192.0.2.1
            mx2     A  192.0.2.2",
        rest: "messages = [{ id = 'm', to = ['a@example.test', 'b@other.example.test'] }]",
        log: "0s given m
              0s asks example.test MX: 10 mx1
              0s asks other.example.test MX: 10 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] 550 at mail
              2s m tries mx2[2] only=b@other.example.test accepted",
        ..ONE
    };
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..trial
        };
        trial.breaks_nothing();
    }
}

#[test]
fn a_request_that_is_repeated_for_sure_is_found_behind_one_that_may_be_another_messages() {
    let to = "to = ['a@example.test', 'b@example.test', 'c@example.test']";
    let trial = Trial {
        rest: &format!("messages = [{{ id = 'm', {to} }}, {{ id = 'n', {to} }}]"),
        log: "0s  given m
              0s  given n
              0s  asks example.test MX: 10 mx1, 20 mx2
              0s  asks mx1 A: 1
              0s  asks mx2 A: 2
              1s  m tries mx1[1] a@example.test=550 c@example.test=451 accepted
              2s  m tries mx2[2] only=a@example.test 451 at rcpt
              30m m tries mx1[1] only=c@example.test accepted
              31m n tries mx1[1] accepted",
        ..ONE
    };
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..trial
        };
        trial.breaks_nothing();
        let found = trial.found_with("30m m tries mx1[1] only=c@", "30m m tries mx1[1] only=a@");
        assert_eq!(found, "permanent-is-final");
        // What was refused for now may be asked again.
        let found = trial.found_with("a@example.test=550 ", "a@example.test=451 ");
        assert_eq!(found, "");
    }
}

#[test]
fn what_becomes_of_a_recipient_is_held_as_strongly_as_the_drill_says_and_another_way_is_not() {
    let trial = Trial {
        rest: "level = 'MUST'
               messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]
               [expect.m]
               outcome = 'delivered'
               by = 'mx1.example.test'
               recipients = { 'a@example.test' = 'delivered' }",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] accepted",
        ..ONE
    };
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..trial
        };
        trial.breaks_nothing();
        let found = trial.with("= 'delivered' }", "= 'bounced' }").0;
        let told = "MUST outcome for a@example.test of message m: bounced; not delivered";
        assert_eq!(found, [told]);
        let found = trial.with("outcome = 'delivered'", "outcome = 'bounced'").0;
        assert_eq!(found, ["MUST outcome of message m: bounced; not delivered"]);
        let found = trial
            .with("by = 'mx1.example.test'", "by = 'mx2.example.test'")
            .0;
        assert_eq!(
            found,
            ["INFO taker of message m: mx2.example.test; not mx1.example.test"]
        );
    }
}
