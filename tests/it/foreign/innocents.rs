//! What mail servers do for a reason and were once accused of, each with what stays a breach.

use mxdrill::verdict::SenderKind::{self, MailServer};

use crate::{log::SENDER, trial::ZONE};

const ONE: &str = "messages = [{ id = 'm', to = 'a@example.test' }]\n";
const NONE: [&str; 0] = [];

/// The rules that are broken.
fn broken(rest: &str, log: &str, sender_kind: SenderKind) -> Vec<String> {
    super::knowledge::broken(ZONE, rest, log, sender_kind)
}

/// The same with records of one's own.
fn broken_in(zone: &str, log: &str) -> Vec<String> {
    super::knowledge::broken(zone, ONE, log, MailServer)
}

#[test]
fn who_tries_one_host_a_pass_keeps_to_the_order_and_who_begins_with_the_second_does_not() {
    let zone = "
$ORIGIN example.test.
@   MX 10 mx1
@   MX 20 mx2
@   MX 30 mx3
mx1 A  192.0.2.1
mx2 A  192.0.2.2
mx3 A  192.0.2.3
";
    let walk = |hosts: [u8; 4]| {
        let mut log = "0s given m\n".to_owned();
        for (pass, host) in hosts.iter().enumerate() {
            log += &format!("{}m m tries mx{host}[{host}] 451 at rcpt\n", 30 * pass);
        }
        broken_in(zone, &log)
    };
    assert_eq!(walk([1, 2, 3, 1]), ["next-candidate"]);
    assert_eq!(walk([1, 2, 1, 2]), ["next-candidate"]);
    for astray in [[2, 1, 3, 1], [1, 3, 2, 1], [1, 2, 2, 1]] {
        assert!(
            walk(astray).contains(&"preference-order".to_owned()),
            "{astray:?}"
        );
    }
}

#[test]
fn of_a_host_that_answered_the_other_address_need_not_be_tried() {
    let zone = "
$ORIGIN example.test.
@   MX 10 mx1
@   MX 20 mx2
mx1 A  192.0.2.1
mx1 A  192.0.2.11
mx2 A  192.0.2.2
";
    let after = |end: &str| {
        let log = format!("0s given m\n0s m tries mx1[1] {end}\n0s m tries mx2[2] accepted");
        broken_in(zone, &log)
    };
    assert_eq!(after("451 at rcpt"), NONE);
    assert_eq!(after("421 at greeting"), NONE);
    assert_eq!(after("refused"), ["preference-order"]);
}

#[test]
fn a_host_that_lost_a_connection_may_be_passed_over_and_one_that_refused_a_message_may_not() {
    let two = "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'a@example.test', at = '1s' }]\n";
    let next = |end: &str| {
        let log = format!(
            "0s given m\n0s m tries mx1[1] {end}\n0s m tries mx2[2] accepted\n1s given n\n1s n tries mx2[2] accepted"
        );
        broken(two, &log, MailServer)
    };
    assert_eq!(next("reset at content"), NONE);
    assert_eq!(next("close at dot"), NONE);
    assert_eq!(next("451 at dot"), ["preference-order"]);
}

#[test]
fn after_the_dot_a_lost_connection_may_be_left_at_that_and_a_reply_may_not() {
    let once = |end: &str| {
        let log = format!("0s given m\n0s m tries mx1[1] {end}\n30m m tries mx1[1] accepted");
        broken(ONE, &log, MailServer)
    };
    assert_eq!(once("close at dot"), NONE);
    assert_eq!(once("451 at dot"), ["next-candidate"]);
    assert_eq!(once("close at rcpt"), ["next-candidate"]);
}

#[test]
fn a_refusal_of_mail_is_met_by_each_recipient_of_its_own_transaction() {
    let broken = |to: &str| {
        let rest = format!("messages = [{{ id = 'm', to = [{to}] }}]\n");
        let log = "0s given m\n0s m tries mx1[1] hop=example.test 550 at mail\n\
                   30m m tries mx1[1] pass=2 hop=example.test 550 at mail";
        broken(&rest, log, SENDER)
    };
    let is_final = "permanent-is-final".to_owned();
    assert!(broken("'a@example.test'").contains(&is_final));
    assert!(!broken("'a@example.test', 'b@example.test'").contains(&is_final));
}

#[test]
fn what_the_name_server_refuses_may_be_taken_for_good_and_what_it_fails_at_may_not() {
    let returned = |effect: &str| {
        let rest =
            format!("{ONE}faults = [{{ query = 'example.test MX', effect = '{effect}' }}]\n");
        let log = format!("0s given m\n0s asks example.test MX: {effect}\n1s returns m");
        broken(&rest, &log, MailServer)
    };
    assert_eq!(returned("refused"), NONE);
    assert_eq!(returned("servfail"), ["failed-lookup-defers"]);
}

#[test]
fn who_has_no_time_for_another_try_may_give_up_and_not_long_before() {
    let rest = "sender = { retry = ['5m', '10m'], expire = '30m' }\nmessages = [{ id = 'm', to = 'a@example.test' }]\n";
    let given_up = |at: &str| {
        let log = format!(
            "0s given m\n0s m tries mx1[1] refused\n0s m tries mx2[2] refused\n\
             15m m tries mx1[1] refused\n15m m tries mx2[2] refused\n{at} returns m"
        );
        broken(rest, &log, MailServer)
    };
    assert_eq!(given_up("25m"), NONE);
    assert_eq!(given_up("16m"), ["gives-up-late"]);
}

#[test]
fn what_a_drill_leaves_to_a_crash_is_no_second_copy() {
    let rest =
        |crashes: &str, copies: &str| format!("{ONE}{crashes}[expect.m]\ncopies = {copies}\n");
    let log = "0s given m\n0s m tries mx1[1] accepted\n10s crashes\n20s m tries mx1[1] accepted";
    let crashes = "crashes = [{ at = '10s' }]\n";
    let allowed = rest(crashes, "{ min = 1, max = 2 }");
    assert_eq!(broken(&allowed, log, MailServer), NONE);
    let too_many = broken(&rest(crashes, "1"), log, MailServer);
    assert_eq!(too_many, ["copies of message m", "delivered-once"]);
    let no_crash = log.replace("10s crashes\n", "");
    let twice = broken(&rest("", "{ min = 1, max = 2 }"), &no_crash, MailServer);
    assert_eq!(twice, ["delivered-once"]);
}
