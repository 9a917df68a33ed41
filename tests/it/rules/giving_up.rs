//! When a message may be given up, and when it must be.

use crate::trial::{ONE, Trial};

#[test]
fn a_message_whose_lookup_failed_for_now_is_queued() {
    let trial = Trial {
        rest: "sender = { expire = '1h' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "59m59s asks example.test MX servfail
              59m59s reports m a@example.test bounced 4.4.3
              59m59s returns m",
        ..ONE
    };
    trial.breaks(
        "MUST failed-lookup-defers: the message queued; not no attempt, and bounced +59m59s",
        &[("servfail", "nxdomain"), ("59m59s reports", "60m reports")],
    );
}

#[test]
fn mail_that_has_a_route_is_returned_only_after_a_try() {
    let trial = Trial {
        rest: "sender = { tls = 'opportunistic', expire = '1h' }\n\
               messages = [{ id = 'm', from = 'me@sender.test', to = 'a@example.test' }]",
        log: "9s asks example.test MX: 10 mx1, 20 mx2
              9s reports m a@example.test bounced 5.4.4
              9s returns m",
        ..ONE
    };
    let finding = "MUST route-is-tried: an attempt at a host of example.test; not no attempt, and bounced +9s";
    trial.breaks(
        finding,
        &[
            ("MX: 10 mx1, 20 mx2", "MX nxdomain"),
            // Which of two answers of one moment was this message's cannot be told.
            (
                "9s asks example.test MX: 10",
                "9s asks example.test MX nxdomain\n9s asks example.test MX: 10",
            ),
            ("9s reports", "60m reports"),
            // What may keep it from being sent although there is a route.
            ("'opportunistic'", "'required'"),
            ("'opportunistic'", "'dane'"),
            (
                "to = 'a@example.test'",
                "received = 1, to = 'a@example.test'",
            ),
            ("'me@sender.test'", "'m\u{e9}@sender.test'"),
        ],
    );
    trial.also(
        finding,
        &[
            ("'opportunistic'", "'none'"),
            (
                "9s asks example.test MX: 10",
                "8s asks example.test MX nxdomain\n9s asks example.test MX: 10",
            ),
        ],
    );
    let tried = trial
        .with("9s reports", "9s m tries mx1[1] 550 at rcpt\n9s reports")
        .0;
    assert_eq!(tried, [""; 0]);
}

#[test]
fn what_was_refused_for_good_is_not_kept_until_its_time_is_over() {
    let trial = Trial {
        rest: "sender = { expire = '12h' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s  asks example.test MX: 10 mx1
              0s  m tries mx1[1] 550 at rcpt
              12h reports m a@example.test bounced 5.1.1
              12h returns m 5.1.1",
        ..ONE
    };
    trial.breaks(
        "SHOULD permanent-is-returned: a notification soon after; \
         not mx1.example.test 550 at rcpt [192.0.2.1] +0s, returned +12h",
        &[
            ("0s  m tries", "1s m tries"),
            ("expire = '12h'", "expire = '13h'"),
            ("550", "450"),
            ("550", "552"),
        ],
    );
}

#[test]
fn a_message_for_a_domain_that_takes_no_mail_is_not_kept_until_its_time_is_over() {
    let trial = Trial {
        zone: "example.test. MX 0 .\n",
        rest: "sender = { expire = '12h' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s  asks example.test MX: 0 .
              12h reports m a@example.test bounced 5.1.10
              12h returns m",
        ..ONE
    };
    let finding = |why: &str| {
        format!(
            "SHOULD permanent-is-returned: a notification soon after; not {why} +0s, returned +12h"
        )
    };
    trial.breaks(
        &finding("example.test has a null MX"),
        &[
            ("0s  asks", "1s asks"),
            ("expire = '12h'", "expire = '13h'"),
            ("asks example.test MX: 0 .", "asks example.test MX servfail"),
        ],
    );
    trial.also(
        &finding("example.test does not exist"),
        &[("asks example.test MX: 0 .", "asks example.test MX nxdomain")],
    );
    trial.also(
        &finding("no exchanger of example.test has an address to send to"),
        &[("asks example.test MX: 0 .", "asks example.test MX: 1 .")],
    );
}
