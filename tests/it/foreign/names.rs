//! Exchangers whose names are none of hosts (RFC 1123 section 2.1): some senders use them, some do not.

use mxdrill::verdict::SenderKind::{self, Command, MailServer};

use super::knowledge::broken;
use crate::log::SENDER;

const ONE: &str = "messages = [{ id = 'm', to = 'a@example.test' }]\n";
const NONE: [&str; 0] = [];
/// Names of which real servers leave some out.
const ODD: [&str; 5] = ["mx_1", "mx-", "-mx", "_mx", "mx.a-"];
/// Names that are unusual and no more.
const PLAIN: [&str; 4] = ["1mx", "m-x", "m--x", "xn--mx-1"];

/// An exchanger of this name at 192.0.2.1, before or beside `mx2`.
fn zone(name: &str, preference: u16) -> String {
    format!(
        "$ORIGIN example.test.\n@ MX {preference} {name}\n@ MX 20 mx2\n{name} A 192.0.2.1\nmx2 A 192.0.2.2\n"
    )
}

fn tried(name: &str, log: &str, sender_kind: SenderKind) -> Vec<String> {
    broken(
        &zone(name, 10),
        ONE,
        &log.replace("NAME", name),
        sender_kind,
    )
}

#[test]
fn a_foreign_sender_may_leave_out_an_exchanger_whose_name_is_none_of_a_host() {
    let passed_over = "0s given m\n0s m tries mx2[2] accepted";
    // Some system libraries refuse the name once they have been told its address.
    let refused = "0s given m\n0s asks NAME.example.test A: 1\n0s m tries mx2[2] accepted";
    let not_next = "0s given m\n0s m tries mx2[2] 451 at rcpt\n30m m tries mx2[2] accepted";
    for sender_kind in [Command, MailServer] {
        for name in ODD {
            assert_eq!(tried(name, passed_over, sender_kind), NONE, "{name}");
            assert_eq!(tried(name, refused, sender_kind), NONE, "{name}");
            assert_eq!(tried(name, not_next, sender_kind), NONE, "{name}");
        }
        for name in PLAIN {
            assert_eq!(
                tried(name, passed_over, sender_kind),
                ["preference-order"],
                "{name}"
            );
            assert_eq!(
                tried(name, refused, sender_kind),
                ["preference-order"],
                "{name}"
            );
        }
    }
    assert_eq!(tried("mx-", passed_over, SENDER), ["preference-order"]);
}

#[test]
fn a_foreign_sender_may_use_it_as_any_other() {
    for sender_kind in [Command, MailServer] {
        for name in ODD {
            let first = format!("0s given m\n0s m tries {name}.example.test[1] accepted");
            assert_eq!(tried(name, &first, sender_kind), NONE, "{name}");
            let both = format!(
                "0s given m\n0s m tries {name}.example.test[1] refused\n0s m tries mx2[2] accepted"
            );
            assert_eq!(tried(name, &both, sender_kind), NONE, "{name}");
        }
    }
}

#[test]
fn where_no_other_exchanger_is_left_the_message_may_be_returned_at_once() {
    let returned = "0s given m\n1s returns m";
    let alone = |name: &str| format!("$ORIGIN example.test.\n@ MX 10 {name}\n{name} A 192.0.2.1\n");
    for sender_kind in [Command, MailServer] {
        for name in ODD {
            assert_eq!(
                broken(&alone(name), ONE, returned, sender_kind),
                NONE,
                "{name}"
            );
            // Another one that can be sent to is no worse for it.
            assert_eq!(
                tried(name, returned, sender_kind),
                ["route-is-tried"],
                "{name}"
            );
        }
        for name in PLAIN {
            assert_eq!(
                broken(&alone(name), ONE, returned, sender_kind),
                ["route-is-tried"],
                "{name}"
            );
        }
    }
}

#[test]
fn a_share_of_the_first_attempts_is_not_missed_at_it() {
    let rest = "messages = [{ id = 'm', to = 'a@example.test', count = 40 }]";
    let log: String = (1..=40)
        .map(|n| format!("0s m-{n} tries mx2[2] accepted\n"))
        .collect();
    for name in ODD {
        assert_eq!(broken(&zone(name, 20), rest, &log, Command), NONE, "{name}");
    }
    for name in PLAIN {
        assert_eq!(
            broken(&zone(name, 20), rest, &log, Command),
            ["equals-share"],
            "{name}"
        );
    }
}

#[test]
fn a_notification_that_only_such_an_exchanger_would_take_is_not_missed() {
    let zone = |name: &str| {
        format!(
            "{}other.test. MX 0 {name}.other.test.\n{name}.other.test. A 192.0.2.3\n",
            zone("mx1", 10)
        )
    };
    let rest = "messages = [{ id = 'm', to = 'a@example.test', from = 'b@other.test' }]\n\
                [expect.m]\noutcome = 'bounced'\n";
    let log = "0s given m\n0s m tries mx1[1] 550 at rcpt";
    for name in ODD {
        assert_eq!(broken(&zone(name), rest, log, MailServer), NONE, "{name}");
    }
    for name in PLAIN {
        let missed = ["outcome of message m"];
        assert_eq!(broken(&zone(name), rest, log, MailServer), missed, "{name}");
    }
}
