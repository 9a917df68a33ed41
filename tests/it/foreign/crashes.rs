//! A mail server that was killed and started again: what it must not do for all that, and what it may.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use crate::trial::Trial;

/// The exchanger was down, and the message had to wait; then a crash.
const WAITED: Trial<'static> = Trial {
    zone: "example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n",
    rest: "messages = [{ id = 'm', from = 'me@sender.test', to = 'a@example.test' }]
           crashes = [{ at = '1h' }]",
    log: "0s given m
          0s asks sender.test MX: 10 bounces.sender.test
          0s asks bounces.sender.test A: 198.51.100.25
          0s asks example.test MX: 10 mx1
          0s asks mx1 A: 1
          0s m tries mx1[1] refused
          1h crashes
          9d is empty",
    sender_kind: MailServer,
};

#[test]
fn what_is_neither_delivered_nor_returned_nor_queued_is_lost() {
    WAITED.breaks(
        "MUST nothing-lost: an end for a@example.test; \
         not neither delivered nor returned, and the queue is empty",
        &[
            ("9d is empty", ""),
            ("1h crashes", ""),
            ("1h crashes", "1h crashes\n2h m tries mx1[1] accepted"),
            ("1h crashes", "1h crashes\n121h returns m 4.4.7"),
            // Nobody would hear of it.
            ("me@sender.test", "<>"),
            ("me@sender.test", "me@nowhere.test"),
        ],
    );
    let command = Trial {
        sender_kind: Command,
        ..WAITED
    };
    command.breaks_nothing();
}

#[test]
fn one_recipient_may_be_lost_and_the_other_not() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]
               crashes = [{ at = '1h' }]",
        log: &WAITED.log.replace("refused", "b@example.test=451 accepted"),
        ..WAITED
    };
    trial.breaks(
        "MUST nothing-lost: an end for b@example.test; \
         not neither delivered nor returned, and the queue is empty",
        &[(
            "1h crashes",
            "1h crashes\n2h m tries mx1[1] only=b@example.test accepted",
        )],
    );
}

/// Taken, and a crash; then taken again.
const TWICE: Trial<'static> = Trial {
    log: "0s given m
          0s asks example.test MX: 10 mx1
          0s asks mx1 A: 1
          0s m tries mx1[1] accepted
          2s crashes
          1h m tries mx1[1] accepted
          9d is empty",
    ..WAITED
};

#[test]
fn a_second_copy_is_one_too_many_unless_a_crash_left_no_time_to_note_the_first() {
    let finding = "SHOULD delivered-once: one copy for a@example.test; \
         not mx1.example.test accepted [192.0.2.1] +0s, mx1.example.test accepted [192.0.2.1] +1h";
    TWICE.breaks(
        finding,
        &[
            ("2s crashes", "1s crashes"),
            ("2s crashes", "0s crashes after quit"),
            ("1h m tries mx1[1] accepted", ""),
        ],
    );
    TWICE.also(
        finding,
        &[("2s crashes", "1001ms crashes"), ("2s crashes", "")],
    );
    let noted = TWICE.with("2s crashes", "1s crashes").1;
    assert_eq!(
        noted,
        ["message m reached a@example.test 2 times after a crash"]
    );
    // One crash is no excuse for all that comes later.
    let third = "1h m tries mx1[1] accepted\n2h m tries mx1[1] accepted";
    let log = TWICE.log.replace("2s crashes", "0s crashes");
    let thrice = Trial { log: &log, ..TWICE };
    let found = thrice.found_with("1h m tries mx1[1] accepted", third);
    assert_eq!(found, "delivered-once");
    // Nor is the crash of a drill that has none: then somebody else wrote the log.
    let found = TWICE.with("crashes = [{ at = '1h' }]", "").0;
    assert_eq!(found, [finding]);
}

#[test]
fn a_reply_that_a_crash_cut_off_was_lost() {
    let trial = Trial {
        log: &TWICE.log.replace(
            "accepted\n          2s crashes",
            "lose at dot\n0s crashes after dot",
        ),
        ..TWICE
    };
    let (found, notes) = trial.verdict();
    assert_eq!((found.len(), notes.len()), (0, 2), "{notes:?}");
    assert_eq!(
        notes,
        [
            "message m reached a@example.test 2 times after a crash",
            "a crash never came: at 1h"
        ]
    );
}

#[test]
fn who_is_started_anew_may_try_at_once_and_again_what_it_had_no_time_to_note() {
    let at_once = Trial {
        log: "0s given m
              0s asks example.test MX: 10 mx1
              0s asks mx1 A: 1
              0s m tries mx1[1] 451 at rcpt
              5s crashes
              6s m tries mx1[1] accepted
              9d is empty",
        ..WAITED
    };
    at_once.breaks_nothing();
    let found = at_once.found_with("5s crashes", "");
    assert_eq!(found, "retry-waits");
    let found = at_once.found_with("5s crashes", "7s crashes");
    assert_eq!(found, "retry-waits");
    let refused = Trial {
        log: &at_once.log.replace("451", "550"),
        ..at_once
    };
    let found = refused.found_with("5s crashes", "5s crashes");
    assert_eq!(found, "permanent-is-final");
    let found = refused.with("5s crashes", "1s crashes").0;
    assert_eq!(found, [""; 0]);
}

#[test]
fn a_pass_that_a_crash_broke_off_needs_no_second_candidate() {
    let trial = Trial {
        zone: crate::trial::ZONE,
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              0s m tries mx1[1] 451 at rcpt
              5s crashes
              1h m tries mx1[1] accepted
              9d is empty",
        ..WAITED
    };
    trial.breaks("SHOULD next-candidate: then mx2.example.test [192.0.2.2]; not mx1.example.test 451 at rcpt [192.0.2.1] +0s", &[("5s crashes", "1s crashes")]);
}

#[test]
fn a_crash_that_never_came_is_noted() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]
               crashes = [{ after = 'dot', host = 'mx1.example.test' }, { after = 'dot' }, { at = '1h' }, { at = '2h' }]",
        log: &WAITED.log.replace("refused", "accepted"),
        ..WAITED
    };
    let notes = trial.verdict().1;
    assert_eq!(
        notes,
        [
            "a crash never came: after dot at mx1.example.test",
            "a crash never came: after dot",
            "a crash never came: at 2h"
        ]
    );
    let notes = trial.with("1h crashes", "1h crashes after dot").1;
    assert_eq!(notes[0], "a crash never came: after dot");
}
