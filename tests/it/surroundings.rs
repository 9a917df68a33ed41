//! What a drill did beside its messages: faults that never applied are noted, those that did are not.

use crate::{
    log::{SENDER, events, judged, scenario},
    trial::ZONE,
};

/// Whether it is noted that a fault never applied, in a drill of one message.
fn is_noted(fault: &str, log: &str) -> bool {
    let rest = format!(
        "stop = '1h'\nreceivers = [{{ certificate = 'valid' }}]\n\
         messages = [{{ id = 'm', to = ['a@example.test', 'b@example.test'] }}]\nfaults = [{{ {fault} }}]\n"
    );
    let scenario = scenario(ZONE, &rest);
    let notes = judged(&scenario, &events(&scenario, log), SENDER).notes;
    let never = notes
        .iter()
        .filter(|note| note.starts_with("a fault never applied: "));
    match never.count() {
        0 => false,
        1 => true,
        more => panic!("{more}: {notes:?}"),
    }
}

/// Faults of mx1, with a line that shows that they applied, and one that does not.
const OF_SESSIONS: [(&str, &str, &str); 22] = [
    (
        "stage = 'connect', effect = 'refuse'",
        "0s m tries mx1[1] refused",
        "0s m tries mx1[1] timeout",
    ),
    (
        "stage = 'connect', effect = 'refuse'",
        "0s m tries mx1[1] refused",
        "0s m tries mx2[2] refused",
    ),
    (
        "stage = 'connect', effect = 'timeout'",
        "0s m tries mx1[1] timeout",
        "0s m tries mx1[1] reset",
    ),
    (
        "stage = 'connect', effect = 'reset'",
        "0s m tries mx1[1] reset",
        "0s m tries mx1[1] refused",
    ),
    (
        "stage = 'rcpt', effect = '451 no'",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx1[1] 450 at rcpt",
    ),
    (
        "stage = 'rcpt', effect = '451 no'",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx1[1] 451 at mail",
    ),
    (
        "stage = 'rcpt', effect = '451 no'",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx2[2] 451 at rcpt",
    ),
    (
        "stage = 'rcpt', effect = '451 no', recipient = 'A@example.test'",
        "0s m tries mx1[1] a@example.test=451 accepted",
        "0s m tries mx1[1] b@example.test=451 accepted",
    ),
    (
        "stage = 'greeting', effect = 'close'",
        "0s m tries mx1[1] close at greeting",
        "0s m tries mx1[1] reset at greeting",
    ),
    (
        "stage = 'helo', effect = 'reset'",
        "0s m tries mx1[1] reset at helo",
        "0s m tries mx1[1] hang at helo",
    ),
    (
        "stage = 'mail', effect = 'hang'",
        "0s m tries mx1[1] hang at mail",
        "0s m tries mx1[1] garbage at mail",
    ),
    (
        "stage = 'data', effect = 'garbage'",
        "0s m tries mx1[1] garbage at data",
        "0s m tries mx1[1] close at data",
    ),
    (
        "stage = 'dot', effect = 'lose reply'",
        "0s m tries mx1[1] lose at dot",
        "0s m tries mx1[1] close at dot",
    ),
    (
        "stage = 'content', effect = 'close'",
        "0s m tries mx1[1] close at dot",
        "0s m tries mx1[1] close at data",
    ),
    (
        "stage = 'starttls', effect = 'break'",
        "0s m tries mx1[1] handshake at starttls",
        "0s m tries mx1[1] close at starttls",
    ),
    (
        "stage = 'starttls', effect = 'not offered'",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx1[1] close at greeting",
    ),
    (
        "stage = 'rcpt', effect = 'delay 3s'",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx1[1] close at rcpt",
    ),
    (
        "stage = 'connect', effect = 'unreachable'",
        "0s m tries mx1[1] unreachable",
        "0s m tries mx1[1] timeout",
    ),
    (
        "stage = 'connect', effect = 'unreachable'",
        "0s m tries mx1[1] refused",
        "0s m tries mx2[2] refused",
    ),
    (
        "stage = 'rcpt', effect = '451 no', recipient = 'A*@example.test'",
        "0s m tries mx1[1] a@example.test=451 accepted",
        "0s m tries mx1[1] b@example.test=451 accepted",
    ),
    (
        "stage = 'rcpt', effect = ['451-well', '451 no']",
        "0s m tries mx1[1] 451 at rcpt",
        "0s m tries mx1[1] 450 at rcpt",
    ),
    (
        "stage = 'rcpt', effect = '451 no', from = '5s'",
        "5s m tries mx1[1] 451 at rcpt",
        "4s m tries mx1[1] 451 at rcpt",
    ),
];

#[test]
fn a_fault_of_a_session_applied_if_what_it_does_was_seen_where_and_when_it_does_it() {
    let at_mx1 = |rest: &str| format!("host = 'mx1.example.test', {rest}");
    for (fault, log, otherwise) in OF_SESSIONS {
        assert!(!is_noted(&at_mx1(fault), log), "{fault}: {log}");
        assert!(is_noted(&at_mx1(fault), otherwise), "{fault}: {otherwise}");
        assert!(is_noted(&at_mx1(fault), ""), "{fault}");
    }
}

#[test]
fn a_fault_of_a_query_applied_if_the_question_was_answered_so() {
    let fault = "query = 'example.test MX', effect = 'timeout'";
    assert!(!is_noted(fault, "0s asks example.test MX timeout"));
    assert!(is_noted(fault, "0s asks example.test MX servfail"));
    assert!(is_noted(fault, "0s asks example.test A timeout"));
    assert!(is_noted(fault, "0s asks mx1 MX timeout"));
    let of_any_type = "query = 'example.test', effect = 'timeout', over = 'udp'";
    assert!(!is_noted(of_any_type, "0s asks example.test A timeout"));
    assert!(is_noted(
        &of_any_type.replace("udp", "tcp"),
        "0s asks example.test A timeout"
    ));
}
