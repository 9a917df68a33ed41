//! Whom attempts are found to be for.

use std::{sync::Arc, time::Duration};

use hickory_proto::rr::RecordType;

use super::*;
use crate::{
    event::{AttemptHint, Connected, QueryOutcome, ReplyEvent, SessionId},
    fault::{Stage, Transport},
    observe::attempts,
};

const SCENARIO: &str = r#"
summary  = "s"
zone     = """
one.test.        300 IN MX 10 mx.one.test.
mx.one.test.     300 IN A  192.0.2.1
two.test.        300 IN CNAME real.test.
real.test.       300 IN A  192.0.2.2
"""
messages = [
  { id = "one", to = "a@one.test" },
  { id = "two", to = "b@two.test" },
  { id = "twin", to = "b@two.test" },
]
"#;

fn scenario() -> Scenario {
    Scenario::parse("s", SCENARIO).expect("valid")
}

/// What a sender is told that asks for everything.
fn told(scenario: &Scenario) -> Vec<Event> {
    let mut events: Vec<EventKind> = scenario
        .messages
        .iter()
        .map(|message| EventKind::Submitted {
            message: message.id.clone(),
            from: "sender@sender.test".to_owned(),
            to: message.to.iter().map(|to| to.text.to_string()).collect(),
        })
        .collect();
    let asked = [
        ("one.test", RecordType::MX),
        ("mx.one.test", RecordType::A),
        ("two.test", RecordType::A),
        ("sender.test", RecordType::MX),
        ("bounces.sender.test", RecordType::A),
    ];
    for (name, record_type) in asked {
        let name: Domain = name.parse().expect("a name");
        let zone = scenario.world.zones.at(Moment::START);
        events.push(EventKind::Query {
            records: zone.answer(&name, record_type).records,
            name,
            record_type,
            over: Transport::Udp,
            answer: QueryOutcome::NoError,
            fault: None,
        });
    }
    let at = Moment::START;
    events
        .into_iter()
        .map(|what| Event { at, kind: what })
        .collect()
}

fn connect(session: u64, address: &str, result: Connected, seconds: u64) -> Event {
    Event {
        at: Moment::START.after(Duration::from_secs(seconds)),
        kind: EventKind::Connect {
            session: SessionId(session),
            address: address.parse().expect("an address"),
            port: 25,
            hosts: Arc::default(),
            result,
            hint: AttemptHint::default(),
        },
    }
}

fn reply(session: u64, stage: Stage, argument: &str, code: u16) -> Event {
    Event {
        at: Moment::START,
        kind: EventKind::Reply {
            session: SessionId(session),
            stage,
            argument: Some(argument.to_owned()),
            more: crate::event::Particulars::default(),
            answer: ReplyEvent::Reply {
                code,
                reply: String::new(),
            },
        },
    }
}

fn about(attempt: &Attempt) -> (Option<&str>, bool) {
    let id = attempt.message.as_ref().map(|id| &*id.0);
    (id, attempt.notification)
}

#[test]
fn the_address_tells_whom_a_refused_connection_was_for() {
    let scenario = scenario();
    let mut events = told(&scenario);
    events.push(connect(1, "192.0.2.1", Connected::Refused, 1));
    events.push(connect(2, "198.51.100.25", Connected::Refused, 2));
    let attempts = attempts(&scenario, &events);
    assert_eq!(about(&attempts[0]), (Some("one"), false));
    assert!(!attempts[0].is_guessed());
    assert_eq!(about(&attempts[1]), (None, true));
}

#[test]
fn of_messages_that_look_the_same_one_is_guessed_and_none_left_out() {
    let scenario = scenario();
    let mut events = told(&scenario);
    events.push(connect(1, "192.0.2.2", Connected::Refused, 1));
    events.push(connect(2, "192.0.2.2", Connected::Refused, 2));
    let attempts = attempts(&scenario, &events);
    assert_eq!(about(&attempts[0]), (Some("two"), false));
    assert_eq!(about(&attempts[1]), (Some("twin"), false));
    assert!(attempts.iter().all(Attempt::is_guessed));
}

#[test]
fn what_an_alias_stands_for_is_the_same_recipient() {
    let scenario = scenario();
    let mut events = told(&scenario);
    events.push(connect(1, "192.0.2.2", Connected::Accepted, 0));
    events.push(reply(1, Stage::Mail, "sender@sender.test", 250));
    events.push(reply(1, Stage::Rcpt, "b@real.test", 550));
    let attempts = attempts(&scenario, &events);
    assert_eq!(about(&attempts[0]), (Some("two"), false));
    assert_eq!(attempts[0].recipients, [("b@two.test".to_owned(), 550)]);
}

#[test]
fn commands_that_failed_name_their_recipients_too() {
    let scenario = scenario();
    let mut events = told(&scenario);
    events.push(connect(1, "203.0.113.9", Connected::Accepted, 0));
    events.push(reply(1, Stage::Mail, "sender@sender.test", 451));
    events.push(reply(1, Stage::Rcpt, "a@one.test", 503));
    let attempts = attempts(&scenario, &events);
    assert_eq!(about(&attempts[0]), (Some("one"), false));
}
