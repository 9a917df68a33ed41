//! Senders that hand all their mail to relays: the list is the route.

use crate::trial::{ONE, Trial};

/// Two relays, and the exchanger of the domain, which is none of theirs.
const RELAYS: Trial<'static> = Trial {
    zone: "
$ORIGIN provider.test.
smtp1 A 192.0.2.1
smtp2 A 192.0.2.2
example.test. MX 10 mx1.example.test.
mx1.example.test. A 192.0.2.3
",
    rest: "sender = { relays = ['smtp1.provider.test:587', 'smtp2.provider.test:465'] }
receivers = [{ certificate = 'valid' }]
messages = [{ id = 'm', to = 'a@example.test' }]",
    ..ONE
};

#[test]
fn relays_may_be_tried_in_any_order() {
    let trial = Trial {
        log: "0s m tries smtp1.provider.test[1]:587 refused
              0s m tries smtp2.provider.test[2]:465 tls accepted",
        ..RELAYS
    };
    trial.breaks_nothing();
    let reversed = Trial {
        log: "0s m tries smtp2.provider.test[2]:465 refused
              0s m tries smtp1.provider.test[1]:587 tls accepted",
        ..RELAYS
    };
    reversed.breaks_nothing();
}

#[test]
fn mail_goes_to_the_ports_of_relays_and_nowhere_else() {
    let places = "one of smtp1.provider.test [192.0.2.1]:587, smtp2.provider.test [192.0.2.2]:465";
    let trial = Trial {
        log: "0s m tries mx1.example.test[3] accepted",
        ..RELAYS
    };
    trial.breaks(
        &format!("MUST within-route: {places}; not mx1.example.test accepted [192.0.2.3] +0s"),
        &[(
            "mx1.example.test[3] accepted",
            "smtp1.provider.test[1]:587 accepted",
        )],
    );
    let at_another_port = Trial {
        log: "0s m tries smtp1.provider.test[1]:465 accepted",
        ..RELAYS
    };
    at_another_port.breaks(
        &format!(
            "MUST within-route: {places}; not smtp1.provider.test accepted [192.0.2.1]:465 +0s"
        ),
        &[("[1]:465", "[1]:587")],
    );
}

#[test]
fn a_relay_that_fails_for_now_is_followed_by_another() {
    let trial = Trial {
        rest: &format!("stop = '0s'\n{}", RELAYS.rest),
        log: "0s m tries smtp1.provider.test[1]:587 451 at rcpt",
        ..RELAYS
    };
    trial.breaks(
        "SHOULD next-candidate: then smtp2.provider.test [192.0.2.2]; not smtp1.provider.test 451 at rcpt [192.0.2.1]:587 +0s",
        &[(", 'smtp2.provider.test:465'", "")],
    );
}

#[test]
fn who_is_turned_away_as_a_stranger_may_ask_the_next_relay() {
    let trial = Trial {
        log: "0s m tries smtp1.provider.test[1]:587 550 at mail
              0s m tries smtp2.provider.test[2]:465 tls accepted",
        ..RELAYS
    };
    trial.breaks(
        "SHOULD permanent-is-final: no further attempt for a@example.test; not smtp1.provider.test 550 at mail [192.0.2.1]:587 +0s, smtp2.provider.test accepted [192.0.2.2]:465 in TLS +0s",
        &[("550 at mail", "530 at mail")],
    );
}

#[test]
fn the_ports_of_one_host_are_several_relays() {
    let trial = Trial {
        rest: "sender = { relays = ['smtp1.provider.test:587', 'smtp1.provider.test:465'] }
receivers = [{ certificate = 'valid' }]
messages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s m tries smtp1.provider.test[1]:587 451 at rcpt
              0s m tries smtp1.provider.test[1]:465 tls accepted",
        ..RELAYS
    };
    trial.breaks_nothing();
}
