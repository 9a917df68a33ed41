//! Where a pass of a sender that does not number them begins and ends, and of which message it was.

use mxdrill::verdict::SenderKind::{Command, MailServer};

use crate::trial::{ONE, Trial};

#[test]
fn a_pause_ends_a_pass_of_a_sender_that_does_not_number_them() {
    let trial = Trial {
        log: "0s   given m
              0s   asks example.test MX: 10 mx1, 20 mx2
              0s   asks mx1 A: 1
              0s   asks mx2 A: 2
              1s   m tries mx1[1] 451 at rcpt
              60s  m tries mx2[2] accepted",
        sender_kind: Command,
        ..ONE
    };
    trial.breaks_nothing();
    // Who goes on with the list after a pause keeps to its order, and misses the second host of the pass.
    assert_eq!(trial.found_with("60s ", "61s "), "next-candidate");
    // What it takes to be answered counts from its end, and nobody sees when a client gave up waiting.
    assert_eq!(
        trial
            .with(
                "451 at rcpt\n              60s",
                "lasts=10s 451 at rcpt\n70s"
            )
            .0,
        [""; 0]
    );
    assert_eq!(
        trial
            .with("451 at rcpt\n              60s", "timeout\n600s")
            .0,
        [""; 0]
    );
    assert_eq!(
        trial.found_with("451 at rcpt\n              60s", "timeout\n601s"),
        "next-candidate"
    );
}

#[test]
fn where_it_is_not_sure_which_message_an_attempt_was_for_nothing_is_held_against_it() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'a@example.test' }]",
        log: "0s given m
              0s given n
              0s asks example.test MX: 10 mx1
              0s asks mx1 A: 1
              1s m tries mx1[1] refused
              2s m tries mx1[1] refused
              3s m tries mx1[1] refused",
        sender_kind: Command,
        ..ONE
    };
    trial.breaks_nothing();
    assert_eq!(
        trial.found_with(
            ", { id = 'n', to = 'a@example.test' }]",
            ", { id = 'n', to = 'a@other.test' }]"
        ),
        "something is done about message n, retry-waits"
    );
}

#[test]
fn a_second_candidate_is_missed_by_whichever_of_the_messages_that_an_attempt_may_be_for() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n\
               other.test. MX 10 mx1\n",
        rest: "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]",
        log: "0s given m
              0s given n
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks other.test MX: 10 mx1
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              1s m tries mx1[1] refused
              2s n tries mx1[1] refused",
        sender_kind: MailServer,
    };
    let missed = |id: &str, at: &str| {
        format!(
            "SHOULD next-candidate: then mx2.example.test [192.0.2.2]; not \
             mx1.example.test refused [192.0.2.1] +{at}, for {id} or a message like it"
        )
    };
    for sender_kind in [Command, MailServer] {
        let trial = Trial {
            sender_kind,
            ..trial
        };
        let found = trial.verdict().0;
        assert_eq!(found, [missed("m", "1s"), missed("n", "2s")]);
        let more = |line: &str| {
            trial
                .with(
                    "2s n tries mx1[1] refused",
                    &format!("2s n tries mx1[1] refused\n{line}"),
                )
                .0
        };
        // One of them may have gone on; what comes much later is of another pass.
        assert_eq!(more("3s n tries mx2[2] refused"), [""; 0]);
        assert_eq!(more("3s n tries mx2[2] accepted"), [""; 0]);
        assert_eq!(more("600s n tries mx2[2] accepted"), [""; 0]);
        assert!(!more("700s n tries mx2[2] accepted").is_empty());
        // It may have been for a message that has no other candidate.
        assert_eq!(trial.with("b@example.test", "b@other.test").0, [""; 0]);
        assert_eq!(
            trial
                .with(
                    "messages =",
                    "faults = [{ query = 'mx2.example.test', effect = 'servfail' }]\nmessages ="
                )
                .0
                .len(),
            2
        );
        assert_eq!(
            trial.with("0s asks mx2 A: 2", "0s asks mx2 A: servfail").0,
            [""; 0]
        );
    }
}

#[test]
fn an_address_of_two_exchangers_may_be_tried_for_each_of_them() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.1\n",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 1
              1s m tries mx1+mx2[1] refused
              2s m tries mx1+mx2[1] refused",
        sender_kind: Command,
        ..ONE
    };
    trial.breaks_nothing();
    assert_eq!(
        trial.found_with("1s m tries mx1+mx2[1]", "1s m tries mx1[1]"),
        "retry-waits"
    );
}

#[test]
fn two_domains_have_passes_of_their_own() {
    let trial = Trial {
        zone: "a.test. MX 10 h1.test.\na.test. MX 20 h2.test.\nb.test. MX 10 h2.test.\nb.test. MX 20 h1.test.\n\
               h1.test. A 192.0.2.1\nh2.test. A 192.0.2.2\nh3.test. A 192.0.2.3\n",
        rest: "messages = [{ id = 'm', to = 'x@a.test' }, { id = 'n', to = 'y@b.test' }]",
        log: "0s given m
              0s given n
              0s asks a.test MX: 10 h1.test, 20 h2.test
              0s asks b.test MX: 10 h2.test, 20 h1.test
              0s asks h1.test A: 1
              0s asks h2.test A: 2
              1s m tries h1.test[1] 451 at rcpt
              1s n tries h2.test[2] 451 at rcpt
              2s n tries h1.test[1] accepted
              2s m tries h2.test[2] accepted",
        sender_kind: Command,
    };
    trial.breaks_nothing();
    assert_eq!(
        trial.found_with("1s m tries h1.test[1] 451 at rcpt\n", ""),
        "preference-order"
    );
}

#[test]
fn an_address_comes_once_in_a_pass_for_each_host_that_has_it() {
    let shared = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\n@ MX 30 mx3\n\
               mx1 A 192.0.2.1\nmx2 A 192.0.2.1\nmx3 A 192.0.2.2\n",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2, 30 mx3
              0s asks mx1 A: 1
              0s asks mx2 A: 1
              0s asks mx3 A: 2
              1s m tries mx1+mx2[1] 451 at mail
              1s m tries mx1+mx2[1] 451 at mail
              1s m tries mx3[2] accepted",
        sender_kind: MailServer,
        ..ONE
    };
    shared.breaks_nothing();
    // Of one host alone, the second time is of another pass, and the first pass ended too soon.
    let alone = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 30 mx3\nmx1 A 192.0.2.1\nmx3 A 192.0.2.2\n",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 30 mx3
              0s asks mx1 A: 1
              0s asks mx3 A: 2
              1s m tries mx1[1] 451 at mail
              1s m tries mx1[1] 451 at mail
              1s m tries mx3[2] accepted",
        ..shared
    };
    let found = alone.verdict().0;
    assert!(
        found.iter().any(|one| one.contains("next-candidate")),
        "{found:?}"
    );
}
