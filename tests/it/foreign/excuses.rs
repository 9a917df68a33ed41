//! What excuses a foreign sender excuses no more than that: each holds as it is, and not when the one thing
//! that matters is another.

use mxdrill::verdict::SenderKind::{self, Command, MailServer};

use crate::trial::ZONE;

fn broken(rest: &str, log: &str, sender_kind: SenderKind) -> Vec<String> {
    super::knowledge::broken(ZONE, rest, log, sender_kind)
}

const ONE: &str = "messages = [{ id = 'm', to = 'a@example.test' }]\n";
const NONE: [&str; 0] = [];

#[test]
fn a_lookup_that_failed_for_a_while_excuses_nothing_days_later() {
    let rest = |window: &str, effect: &str| {
        format!("{ONE}faults = [{{ query = 'mx1.example.test', effect = '{effect}'{window} }}]\n")
    };
    let at = |at: &str| format!("0s given m\n{at} m tries mx2[2] accepted");
    let early = "0s given m\n5m m tries mx2[2] accepted";
    for sender_kind in [Command, MailServer] {
        let until = rest(", until = '1m'", "servfail");
        assert_eq!(broken(&until, early, sender_kind), NONE);
        assert_eq!(broken(&until, &at("2d"), sender_kind), ["preference-order"]);
        let for_good = rest("", "servfail");
        assert_eq!(broken(&for_good, &at("2d"), sender_kind), NONE);
        // What only takes its time is an answer.
        let late = rest("", "delay 1s");
        assert_eq!(broken(&late, early, sender_kind), ["preference-order"]);
    }
}

#[test]
fn a_fault_of_one_exchanger_is_no_reason_to_give_up_on_all() {
    let returned =
        "0s given m\n0s m tries mx1[1] 451 at rcpt\n0s m tries mx2[2] 451 at rcpt\n1s returns m";
    let faults = |hosts: &[&str]| {
        let rows = hosts.iter().map(|host| {
            format!("{{ query = '{host}.example.test A', effect = 'nxdomain', from = '0s' }}, ")
        });
        format!("{ONE}faults = [{}]\n", rows.collect::<String>())
    };
    assert_eq!(
        broken(&faults(&["mx2"]), returned, MailServer),
        ["transient-is-retried"]
    );
    assert_eq!(broken(&faults(&["mx1", "mx2"]), returned, MailServer), NONE);
}

#[test]
fn a_full_mailbox_may_be_returned_and_a_busy_one_may_not() {
    let returned = |code: &str| {
        format!("0s given m\n0s m tries mx1[1] a@example.test={code} {code} at rcpt\n1s returns m")
    };
    assert_eq!(broken(ONE, &returned("552"), MailServer), NONE);
    assert_eq!(
        broken(ONE, &returned("452"), MailServer)
            .last()
            .map(String::as_str),
        Some("transient-is-retried")
    );
}

#[test]
fn a_line_that_is_no_reply_may_be_taken_for_permanent_and_for_the_hosts_own_fault() {
    let returned = |end: &str| format!("0s given m\n0s m tries mx1[1] {end}\n1s returns m");
    assert_eq!(broken(ONE, &returned("garbage at rcpt"), MailServer), NONE);
    let kept = "0s given m\n0s m tries mx1[1] garbage at rcpt";
    assert_eq!(broken(ONE, kept, MailServer), ["next-candidate"]);
    // Who comes back to the same host did not take it for that, whatever was returned in the end.
    let tried_again = format!("{kept}\n1800s m tries mx1[1] garbage at rcpt\n1801s returns m");
    assert_eq!(broken(ONE, &tried_again, MailServer), ["next-candidate"]);
    // The next message may pass such a host over, and not one that had something against the first.
    let two = "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'a@example.test', at = '1s' }]\n";
    let next = |end: &str| {
        format!(
            "0s given m\n0s m tries mx1[1] {end}\n0s m tries mx2[2] accepted\n1s given n\n1s n tries mx2[2] accepted"
        )
    };
    assert_eq!(broken(two, &next("garbage at mail"), MailServer), NONE);
    assert_eq!(
        broken(two, &next("451 at mail"), MailServer),
        ["preference-order"]
    );
}

#[test]
fn a_further_transaction_of_a_session_is_for_those_who_were_too_many_for_the_first() {
    let rest = "messages = [{ id = 'm', to = ['a@example.test', 'b@example.test'] }]\n";
    let log = |same: &str| {
        format!(
            "0s given m\n1s m tries mx1[1] b@example.test=452 451 at dot\n\
             2s m tries mx2[2] b@example.test=452 accepted\n2s m tries mx2[2] {same}only=b@example.test accepted"
        )
    };
    for sender_kind in [Command, MailServer] {
        assert_eq!(broken(rest, &log("same "), sender_kind), NONE);
        assert_eq!(broken(rest, &log(""), sender_kind), ["preference-order"]);
    }
}
