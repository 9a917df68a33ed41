//! When a message may be given up, and that its sender is told.

use mxdrill::verdict::SenderKind;

use super::delivery::TWO_RECIPIENTS;
use crate::trial::{ONE, Trial};

#[test]
fn a_transient_failure_is_retried_until_the_message_expires() {
    let trial = Trial {
        rest: "sender = { expire = '1d', max_hops = 5 }\nmessages = [{ id = 'm', at = '1s', to = 'a@example.test' }]",
        log: "1s asks example.test MX: 10 mx1, 20 mx2
              1s m tries mx1[1] refused
              1s m tries mx2[2] 451 at rcpt
              1d reports m a@example.test bounced 4.4.7
              1d returns m",
        ..ONE
    };
    let finding = "MUST transient-is-retried: a retry; not mx2.example.test 451 at rcpt [192.0.2.2] +1s, bounced +1d";
    trial.breaks(
        finding,
        &[
            ("expire = '1d'", "expire = '23h59m59s'"),
            ("1d reports", "24h1s reports"),
            ("451 at rcpt", "550 at rcpt"),
            ("451 at rcpt", "554 at greeting"),
            ("451 at rcpt", "500 at helo"),
            ("to = 'a@", "received = 5, to = 'a@"),
            ("to = 'a@", "received = 6, to = 'a@"),
            ("to = 'a@", "requiretls = true, to = 'a@"),
        ],
    );
    trial.also(
        finding,
        &[
            ("to = 'a@", "received = 4, to = 'a@"),
            ("expire = '1d'", "expire = '24h'"),
        ],
    );
    trial.also(
        &finding.replace("451 at rcpt", "499 at helo"),
        &[("451 at rcpt", "499 at helo")],
    );
    trial.also(
        &finding.replace("451 at rcpt", "garbage at rcpt"),
        &[("451 at rcpt", "garbage at rcpt")],
    );
    trial.also(
        &finding
            .replace("451 at rcpt", "550 at starttls")
            .replace("550", "insecure"),
        &[("451 at rcpt", "550 at starttls")],
    );
    let gone = trial
        .with("1d reports", "1d asks example.test MX nxdomain\n1d reports")
        .0;
    assert_eq!(gone, [""; 0]);
}

#[test]
fn a_message_that_is_retried_is_given_up_late() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s given m
              0s asks example.test MX: 10 mx1, 20 mx2
              0s asks mx1 A: 1
              0s asks mx2 A: 2
              0s m tries mx1[1] 451 at rcpt
              0s m tries mx2[2] 451 at rcpt
              5m m tries mx1[1] 451 at rcpt
              5m m tries mx2[2] 452 at rcpt
              20h returns m",
        sender_kind: SenderKind::MailServer,
        ..ONE
    };
    let finding = "SHOULD gives-up-late: kept for 4d at least; not mx2.example.test 452 at rcpt [192.0.2.2] +5m, bounced +20h";
    trial.breaks(
        finding,
        &[
            ("20h returns", "96h returns"),
            ("messages", "sender = { expire = '19h' }\nmessages"),
        ],
    );
    trial.also(
        &finding.replace("20h", "3d23h"),
        &[("20h returns", "95h returns")],
    );
    // Another exchanger a little later is no retry.
    let again = "5m m tries mx1[1] 451 at rcpt\n              5m m tries mx2[2] 452 at rcpt";
    let once = trial.with(again, "").0;
    assert_eq!(once.len(), 1);
    assert!(once[0].starts_with("MUST transient-is-retried"), "{once:?}");
}

#[test]
fn what_another_recipient_met_is_no_reason_to_give_up() {
    let trial = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] a@example.test=451 b@example.test=550 451 at quit
              0s m tries mx2[2] only=a@example.test 451 at rcpt
              0s reports m a@example.test bounced 4.2.1
              0s reports m b@example.test bounced 5.1.1
              0s returns m",
        ..ONE
    };
    trial.breaks(
        "MUST transient-is-retried: a retry; not mx2.example.test 451 at rcpt [192.0.2.2] +0s, bounced +0s",
        &[("only=a@example.test 451 at rcpt", "only=a@example.test 550 at rcpt")],
    );
    // What the exchangers of another domain say is not said of this one.
    let two_domains = Trial {
        zone: "a.test. MX 10 h.a.test.\nb.test. MX 10 h.b.test.\nh.a.test. A 192.0.2.1\nh.b.test. A 192.0.2.2\n",
        rest: "messages = [{ id = 'm', to = ['x@a.test', 'y@b.test'] }]",
        log: "0s m tries h.a.test[1] hop=a.test only=x@a.test 451 at rcpt
              0s m tries h.b.test[2] hop=b.test only=y@b.test 554 at greeting
              0s reports m x@a.test bounced 4.2.1
              0s reports m y@b.test bounced 5.3.2
              0s returns m",
        ..ONE
    };
    two_domains.breaks(
        "MUST transient-is-retried: a retry; not h.a.test 451 at rcpt [192.0.2.1] +0s, bounced +0s",
        &[("451 at rcpt", "554 at greeting")],
    );
}

#[test]
fn a_message_that_is_given_up_is_returned_to_its_sender() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', from = 'me@sender.test', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] 550 at rcpt
              0s reports m a@example.test bounced 5.1.1",
        ..ONE
    };
    let finding = "MUST sender-notified: a notification for me@sender.test; not none";
    trial.breaks(
        finding,
        &[
            ("me@sender.test", "me@nowhere.test"),
            ("'me@sender.test'", "''"),
        ],
    );
    for (notification, is_missed) in [
        ("0s returns m 5.1.1", false),
        (
            "0s m.bounce.1 tries bounces.sender.test[198.51.100.25] refused",
            false,
        ),
        (
            "0s n.bounce.1 tries bounces.sender.test[198.51.100.25] refused",
            true,
        ),
        ("0s returns n", true),
    ] {
        let log = format!("{}\n{notification}", trial.log);
        let found = Trial { log: &log, ..trial }.verdict().0;
        assert_eq!(
            found,
            Vec::from_iter(is_missed.then_some(finding)),
            "{notification}"
        );
    }
    let one_of_two = Trial {
        rest: TWO_RECIPIENTS,
        log: "0s m tries mx1[1] a@example.test=550 accepted
              0s reports m a@example.test bounced 5.1.1",
        ..ONE
    };
    let finding = "MUST sender-notified: a notification for sender@sender.test; not none";
    one_of_two.breaks(finding, &[]);
}

#[test]
fn nothing_is_returned_of_what_came_from_the_null_reverse_path() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', from = '', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] 550 at rcpt
              0s reports m a@example.test bounced 5.1.1
              7s returns m",
        ..ONE
    };
    trial.breaks(
        "MUST no-bounce-of-bounce: nothing returned; not a notification +7s",
        &[
            ("from = ''", "from = 'me@sender.test'"),
            ("7s returns m", "7s reports m a@example.test bounced"),
        ],
    );
}
