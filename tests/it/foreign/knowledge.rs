//! What a sender that says nothing may have known of the DNS is not held against it.

use mxdrill::verdict::SenderKind::{self, Command, MailServer};

use crate::trial::{ONE, Trial, ZONE};

/// The rules that a log breaks.
pub(super) fn broken(zone: &str, rest: &str, log: &str, sender_kind: SenderKind) -> Vec<String> {
    let trial = Trial {
        zone,
        rest,
        log,
        sender_kind,
    };
    let found = trial.verdict().0.into_iter();
    found
        .filter_map(|line| Some(line.split(": ").next()?.split_once(' ')?.1.to_owned()))
        .collect()
}

#[test]
fn an_answer_from_before_a_change_may_be_kept_for_its_ttl() {
    let rest = "messages = [{ id = 'm', at = '10m', to = 'a@example.test' }]\n\
                updates = [{ at = '10m', delete = 'example.test MX', add = 'example.test. MX 10 www.example.test.' }]\n";
    for sender_kind in [Command, MailServer] {
        let tried = |log: &str| broken(ZONE, rest, log, sender_kind);
        let none: [&str; 0] = [];
        assert_eq!(tried("10m given m\n10m m tries www[80] accepted"), none);
        // And a pass that was looked up with it may take ten minutes.
        assert_eq!(tried("10m given m\n25m m tries mx1[1] accepted"), none);
        assert_eq!(
            tried("10m given m\n25m1s m tries mx1[1] accepted"),
            ["within-route"]
        );
    }
    let inside = broken(
        ZONE,
        rest,
        "10m m tries mx1[1] accepted",
        crate::log::SENDER,
    );
    assert_eq!(inside, ["within-route"]);
}

#[test]
fn what_a_fault_tells_those_who_ask_may_have_been_told() {
    let zone = "$ORIGIN example.test.\n@ MX 10 mx1\n@ A 192.0.2.9\nmx1 A 192.0.2.1\n";
    let rest = "messages = [{ id = 'm', to = 'a@example.test' }]\n\
                faults = [{ query = 'example.test MX', effect = 'nodata', from = '5s' }]\n";
    let log = "0s given m\n5s m tries example.test[9] accepted";
    let none: [&str; 0] = [];
    assert_eq!(broken(zone, rest, log, MailServer), none);
    for (written, instead) in [
        ("'nodata'", "'servfail'"),
        ("'5s'", "'6s'"),
        ("test MX'", "test A'"),
    ] {
        let rest = rest.replace(written, instead);
        assert_eq!(
            broken(zone, &rest, log, MailServer),
            ["mx-over-address"],
            "{instead}"
        );
    }
    assert_eq!(
        broken(zone, rest, log, crate::log::SENDER),
        ["mx-over-address"]
    );
}

#[test]
fn who_asks_for_one_address_family_need_not_know_the_other() {
    let zone =
        "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 AAAA 2001:db8::1\nmx2 A 192.0.2.2\n";
    let log = |asked: &str| {
        format!(
            "0s given m\n0s asks example.test MX: 10 mx1, 20 mx2\n{asked}\n1s m tries mx2[2] accepted"
        )
    };
    let none: [&str; 0] = [];
    for sender_kind in [Command, MailServer] {
        let tried = |asked: &str| broken(zone, ONE.rest, &log(asked), sender_kind);
        assert_eq!(tried("0s asks mx1 A nodata\n0s asks mx2 A: 2"), none);
        assert_eq!(tried("0s asks mx2 A: 2"), none);
        assert_eq!(
            tried("0s asks mx1 AAAA: 2001:db8::1\n0s asks mx2 A: 2"),
            ["preference-order"]
        );
    }
}

#[test]
fn a_command_that_asks_for_a_route_and_ends_untried_has_given_up() {
    let zone = "$ORIGIN example.test.\n@ A 192.0.2.9\n";
    let rest = "messages = [{ id = 'm', to = 'a@example.test' }]\n";
    let log = "0s given m\n0s asks example.test MX: nodata";
    let given_up = ["route-is-tried"];
    let none: [&str; 0] = [];
    assert_eq!(broken(zone, rest, log, Command), given_up);
    assert_eq!(
        broken(
            ZONE,
            rest,
            log.replace("nodata", "10 mx1, 20 mx2").as_str(),
            Command
        ),
        given_up
    );
    // A server may come back to it.
    assert_eq!(broken(zone, rest, log, MailServer), none);
    // Where a query fails it may have met what the log does not show.
    let fault = format!("{rest}faults = [{{ query = 'other.test A', effect = 'servfail' }}]\n");
    assert_eq!(broken(zone, &fault, log, Command), none);
    // Who has no IPv6 cannot come to an address of it alone.
    let ipv6 = "$ORIGIN example.test.\n@ AAAA 2001:db8::9\n";
    assert_eq!(broken(ipv6, rest, log, Command), none);
    let null = "$ORIGIN example.test.\n@ MX 0 .\n@ A 192.0.2.9\n";
    assert_eq!(broken(null, rest, log, Command), none);
}
