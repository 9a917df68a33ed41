//! What becomes of a message.

use mxdrill::verdict::SenderKind;

use crate::{
    log::SENDER,
    trial::{ONE, Trial, ZONE},
};

pub(super) const TWO_RECIPIENTS: &str =
    "sender = {}\nmessages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]";

#[test]
fn a_message_is_delivered_or_queued_or_returned() {
    let silence = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]\n#",
        log: "0s m tries mx1[1] refused
              0s m tries mx2[2] refused",
        ..ONE
    };
    silence.breaks(
        "MUST nothing-lost: an end for a@example.test; not neither delivered nor queued nor returned",
        &[("mx2[2] refused", "mx2[2] accepted"), ("#", "stop = '0s'"), ("#", "[expect.m]\noutcome = 'deferred'")],
    );
    let queued = Trial {
        log: "0s m tries mx1[1] refused
              0s m tries mx2[2] refused
              0s reports m a@example.test deferred",
        ..silence
    };
    queued.breaks(
        "MUST nothing-lost: an end for a@example.test; not the sender ended with the message still queued",
        &[("mx2[2] refused", "mx2[2] accepted"), ("#", "stop = '0s'")],
    );
    let lie = Trial {
        log: "0s m tries mx1[1] refused
              0s m tries mx2[2] refused
              0s reports m a@example.test delivered",
        ..silence
    };
    let finding = "MUST nothing-lost: an end for a@example.test; not the sender says delivered; no receiver took it";
    lie.breaks(finding, &[("mx2[2] refused", "mx2[2] accepted")]);
    lie.also(finding, &[("#", "stop = '0s'")]);
}

#[test]
fn each_recipient_has_an_end() {
    let trial = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] b@example.test=451 accepted
              0s m tries mx2[2] only=b@example.test 451 at rcpt",
        ..ONE
    };
    trial.breaks(
        "MUST nothing-lost: an end for b@example.test; not neither delivered nor queued nor returned",
        &[("451 at rcpt", "accepted")],
    );
}

#[test]
fn no_recipient_is_delivered_to_twice() {
    let trial = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] only=a@example.test accepted
              1h m tries mx1[1] pass=2 accepted",
        ..ONE
    };
    trial.breaks(
        "SHOULD delivered-once: one copy for a@example.test; \
         not mx1.example.test accepted [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +1h",
        &[
            ("pass=2", "pass=2 only=b@example.test"),
            (
                "only=a@example.test accepted",
                "only=a@example.test lose at dot",
            ),
        ],
    );
}

#[test]
fn local_parts_in_another_case_are_other_recipients_and_domains_are_not() {
    for sender_kind in [SENDER, SenderKind::MailServer] {
        let trial = Trial {
            rest: "sender = {}\nmessages = [{ id = 'm', to = ['Smith@example.test', 'smith@example.test'] }]",
            log: "0s given m
                  0s asks example.test MX: 10 mx1, 20 mx2
                  0s asks mx1 A: 1
                  0s m tries mx1[1] only=Smith@example.test accepted
                  1h m tries mx1[1] pass=2 only=smith@example.test accepted",
            sender_kind,
            ..ONE
        };
        trial.breaks_nothing();
        let twice = trial
            .with("only=smith@example.test", "only=Smith@example.test")
            .0;
        assert_eq!(
            twice.last().map(String::as_str),
            Some(
                "SHOULD delivered-once: one copy for Smith@example.test; not \
                 mx1.example.test accepted [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +1h"
            )
        );
        // One is refused, and the other tried again.
        let refused = "only=Smith@example.test 550 at rcpt";
        let other = trial.found_with("only=Smith@example.test accepted", refused);
        assert!(!other.contains("permanent-is-final"), "{other}");
        let rest = trial
            .rest
            .replace("'smith@", "'Smith@EXAMPLE.test', 'smith@");
        let log = trial
            .log
            .replace("only=smith@example.test", "only=Smith@EXAMPLE.test");
        let domain = Trial {
            rest: &rest,
            log: &log,
            ..trial
        };
        let found = domain.verdict().0;
        let is_twice = |line: &String| line.starts_with("SHOULD delivered-once");
        assert!(found.iter().any(is_twice), "{found:?}");
    }
}

#[test]
fn after_a_lost_reply_a_second_copy_is_noted() {
    let trial = Trial {
        log: "0s m tries mx1[1] lose at dot
              0s m tries mx2[2] lose at dot
              0s reports m a@example.test delivered
              1h m tries mx1[1] pass=2 accepted",
        ..ONE
    };
    let (found, notes) = trial.verdict();
    assert_eq!(found, [""; 0]);
    assert_eq!(
        notes,
        ["message m reached a@example.test 3 times after a lost reply"]
    );
    let finding = "SHOULD delivered-once: one copy for a@example.test; not mx1.example.test closed at dot [192.0.2.1] +0s, \
                   mx2.example.test accepted [192.0.2.2] +0s, mx1.example.test accepted [192.0.2.1] +1h";
    trial.also(finding, &[("mx2[2] lose at dot", "mx2[2] accepted")]);
    let once = trial.with("1h m tries mx1[1] pass=2 accepted", "").1;
    assert_eq!(
        once,
        ["message m reached a@example.test 2 times after a lost reply"]
    );
    let (found, notes) = trial.with("0s m tries mx2[2] lose at dot", "");
    assert_eq!((found.len(), notes.len()), (0, 1));
}

#[test]
fn a_permanent_failure_is_not_tried_again() {
    let trial = Trial {
        log: "0s m tries mx1[1] 550 at rcpt
              0s m tries mx2[2] accepted",
        ..ONE
    };
    let finding = |what: &str| {
        format!(
            "SHOULD permanent-is-final: no further attempt for a@example.test; \
             not mx1.example.test {what} [192.0.2.1] +0s, mx2.example.test accepted [192.0.2.2] +0s"
        )
    };
    trial.breaks(
        &finding("550 at rcpt"),
        &[
            ("550", "499"),
            ("550", "450"),
            // 552 to RCPT speaks of the number of recipients.
            ("550", "552"),
            ("550 at rcpt", "554 at greeting"),
            ("550 at rcpt", "550 at helo"),
            ("550 at rcpt", "550 at starttls"),
            ("550 at rcpt", "450 at mail"),
            ("550 at rcpt", "451 at data"),
            ("550 at rcpt", "450 at dot"),
            ("550 at rcpt", "close at dot"),
        ],
    );
    for what in [
        "500 at rcpt",
        "550 at mail",
        "500 at mail",
        "554 at data",
        "552 at dot",
        "554 at dot",
    ] {
        let found = trial.with("550 at rcpt", what).0;
        assert_eq!(found, [finding(what)], "{what}");
    }
}

#[test]
fn a_permanent_failure_is_that_of_the_recipient_that_met_it() {
    let trial = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] a@example.test=550 b@example.test=451 451 at quit
              0s m tries mx2[2] accepted",
        ..ONE
    };
    trial.breaks(
        "SHOULD permanent-is-final: no further attempt for a@example.test; \
         not mx1.example.test 451 at rcpt [192.0.2.1] +0s, mx2.example.test accepted [192.0.2.2] +0s",
        &[("a@example.test=550", "a@example.test=450")],
    );
    let for_the_other = Trial {
        log: "0s m tries mx1[1] a@example.test=550 b@example.test=451 451 at quit
              0s reports m a@example.test bounced 5.1.1
              0s returns m
              0s m tries mx2[2] only=b@example.test accepted",
        ..trial
    };
    for_the_other.breaks_nothing();
    // With the end of the data all that were taken so far are refused.
    let with_the_data = Trial {
        log: "0s m tries mx1[1] b@example.test=451 554 at dot
              0s m tries mx2[2] only=a@example.test accepted
              0s m tries mx2[2] only=b@example.test accepted",
        ..trial
    };
    with_the_data.breaks(
        "SHOULD permanent-is-final: no further attempt for a@example.test; \
         not mx1.example.test 554 at dot [192.0.2.1] +0s, mx2.example.test accepted [192.0.2.2] +0s",
        &[("554", "454")],
    );
    // Of several recipients an attempt that comes to no transaction may be for any.
    let for_anybody = Trial {
        log: "0s m tries mx1[1] a@example.test=550 b@example.test=451 451 at quit
              0s reports m a@example.test bounced 5.1.1
              0s returns m
              0s m tries mx2[2] refused
              1h m tries mx1[1] pass=2 only=b@example.test accepted",
        ..trial
    };
    for_anybody.breaks_nothing();
}

#[test]
fn a_destination_that_failed_is_not_retried_at_once() {
    let trial = Trial {
        log: "0s  m tries mx1[1] refused
              0s  m tries mx2[2] refused
              59s m tries mx1[1] pass=2 accepted",
        ..ONE
    };
    let finding = "SHOULD retry-waits: 1m later at the earliest; \
                   not mx1.example.test refused [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +59s";
    trial.breaks(
        finding,
        &[
            ("59s m", "60s m"),
            ("sender = {}", "sender = { retry = ['1h', '59s'] }"),
            ("mx1[1] refused", "mx1[1] handshake at starttls"),
            ("mx1[1] refused", "mx1[1] lose at dot"),
        ],
    );
    trial.also(
        finding,
        &[("sender = {}", "sender = { retry = ['2h', '1h'] }")],
    );
    let shorter = finding.replace("1m later", "59s1ms later");
    trial.also(
        &shorter,
        &[("sender = {}", "sender = { retry = ['59s1ms'] }")],
    );
    // That there is a wait at all is a MUST.
    let at_once = "MUST retry-waits: 1m later at the earliest; \
                   not mx1.example.test refused [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +1s";
    trial.also(at_once, &[("59s m", "1s m")]);
    // Each of two recipients is no destination of its own.
    let two = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] only=a@example.test 451 at rcpt
              9s m tries mx1[1] only=b@example.test accepted
              9s m tries mx2[2] only=a@example.test accepted",
        ..ONE
    };
    two.breaks(
        "SHOULD retry-waits: 1m later at the earliest; \
         not mx1.example.test 451 at rcpt [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +9s",
        &[],
    );
    let same_session = Trial {
        log: "0s  m tries mx1[1] 451 at rcpt
              59s m tries mx1[1] same pass=2 accepted
              0s  reports m a@example.test delivered",
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\n",
        ..ONE
    };
    same_session.breaks_nothing();
    let another = same_session.with("same ", "").0;
    assert_eq!(another.len(), 1, "{another:?}");
}

#[test]
fn an_address_that_two_exchangers_share_is_tried_for_each() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.1\n",
        log: "0s m tries mx1+mx2[1] refused
              0s m tries mx1[1] accepted",
        ..ONE
    };
    trial.breaks(
        "MUST retry-waits: 1m later at the earliest; \
         not mx1.example.test refused [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +0s",
        &[("mx1[1] accepted", "mx2+mx1[1] accepted")],
    );
}

#[test]
fn a_drill_of_two_messages_tells_of_each_by_its_name() {
    let trial = Trial {
        zone: ZONE,
        rest: "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]",
        log: "0s n tries mx1[1] refused
              0s n tries mx2[2] refused
              0s m tries mx2[2] accepted",
        ..ONE
    };
    let found = trial.verdict().0;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0].starts_with("MUST preference-order") && found[1].starts_with("MUST nothing-lost"),
        "{found:?}"
    );
}
