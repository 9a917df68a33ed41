//! Logs written by hand, a line for each query, attempt and report, and what the judge says of them.
//!
//! ```text
//! 0s   given m
//! 0s   asks example.test MX: 10 mx1, 20 mx2
//! 0s   m tries mx1[1] refused
//! 0s   m tries mx2[2] 451 at rcpt
//! 30m  m tries mx1[1] pass=2 accepted
//! 30m  reports m a@example.test delivered
//! ```
//!
//! A name without a dot is one of `example.test`, and `[1]` is 192.0.2.1. An attempt that is accepted or
//! fails after `connect` becomes a whole session. More words of an attempt: `tls`, `sni=NAME`,
//! `hop=DOMAIN`, `only=RECIPIENT`, `RECIPIENT=CODE`, `lasts=10s`, and `same` for a further transaction of
//! the session before it. `crashes` kills the sender, `is empty` is what its queue was found to be. What an id that is none of the drill's tries is a notification; `?` is mail of
//! somebody else.
//!
//! Of DSN: `offers=DSN,SIZE` is what EHLO was answered with, `+RET=FULL` a parameter of MAIL, `++NOTIFY=NEVER` one
//! of each RCPT. `notifies m of=a@example.test action=failed` is a notification that arrives, by its fields.

mod attempts;
mod notifications;
mod words;

use std::{sync::Arc, time::Duration};

use hickory_proto::rr::RecordType;
use mxdrill::{
    event::{Event, EventKind, QueryOutcome, silenced},
    fault::{QueryEffect, Transport},
    mail::Message,
    outcome::Outcome,
    scenario::Scenario,
    time::Moment,
    verdict::{Finding, SenderKind, Verdict, judge},
};

use self::words::{name, records, span};

/// A sender on the virtual clock, which says what becomes of its messages.
pub(crate) const SENDER: SenderKind = SenderKind::InProcess {
    tolerance: Duration::ZERO,
};

/// A scenario of records and of whatever else is written below them.
pub(crate) fn scenario(zone: &str, rest: &str) -> Arc<Scenario> {
    parse(&format!("summary = \"s\"\nzone = '''\n{zone}'''\n{rest}"))
}

/// The scenario of a whole text.
pub(crate) fn parse(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::parse("drill", text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")))
}

/// Judges a log. Of a sender that says nothing, what only the reference sender says is left out.
pub(crate) fn judged(scenario: &Scenario, events: &[Event], sender_kind: SenderKind) -> Verdict {
    let verdict = match sender_kind {
        SenderKind::InProcess { .. } => judge(scenario, events, sender_kind),
        SenderKind::Command | SenderKind::ClockedCommand | SenderKind::MailServer => {
            judge(scenario, &silenced(events), sender_kind)
        }
    };
    assert_eq!(verdict.passed(), verdict.findings.is_empty());
    verdict
}

/// A finding in one line.
pub(crate) fn line(finding: &Finding) -> String {
    let Finding {
        claim,
        rule,
        level,
        expected,
        observed,
        ..
    } = finding;
    let (expected, observed) = (expected.join(", "), observed.join(", "));
    let what = rule.unwrap_or(claim);
    format!("{level} {what}: {expected}; not {observed}")
}

/// The findings of a verdict, a line each.
pub(crate) fn lines(verdict: &Verdict) -> Vec<String> {
    verdict.findings.iter().map(line).collect()
}

/// The events of a log that is written as text.
pub(crate) fn events(scenario: &Scenario, text: &str) -> Vec<Event> {
    let mut log = WrittenLog {
        scenario,
        at: Moment::START,
        sessions: 0,
        events: Vec::new(),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        log.at = Moment(span(at));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match words[..] {
            ["given", id] => log.given(id),
            ["asks", name, kind, ref answer @ ..] => log.asks(name, kind, &answer.join(" ")),
            ["reports", id, recipient, outcome] => log.reports(id, recipient, outcome, None),
            ["reports", id, recipient, outcome, status] => {
                log.reports(id, recipient, outcome, Some(status));
            }
            ["returns", id, ref status @ ..] => log.returns(id, status.first().copied()),
            ["notifies", id, ref words @ ..] => log.notifies(id, words),
            ["fetches", host, answer] => log.push(EventKind::Fetched {
                host: name(host),
                answer: answer.parse().expect("an answer"),
            }),
            ["crashes"] => log.push(EventKind::Crash { after: None }),
            ["crashes", "after", stage] => log.push(EventKind::Crash {
                after: Some(stage.parse().expect("a stage")),
            }),
            ["is", "empty"] => log.push(EventKind::QueueEmpty),
            [id, "tries", host, ref words @ ..] => log.tries(id, host, words),
            _ => panic!("{line}"),
        }
    }
    log.events
}

struct WrittenLog<'a> {
    scenario: &'a Scenario,
    at: Moment,
    sessions: u64,
    events: Vec<Event>,
}

impl WrittenLog<'_> {
    fn push(&mut self, what: EventKind) {
        let at = self.at;
        self.events.push(Event { at, kind: what });
    }

    fn message(&self, id: &str) -> Option<&Message> {
        let mut messages = self.scenario.messages.iter();
        messages.find(|message| &*message.id.0 == id)
    }

    fn given(&mut self, id: &str) {
        let message = self.message(id).expect("a message of the drill");
        let from = message.from.as_ref();
        self.push(EventKind::Submitted {
            message: id.into(),
            from: from.map_or(String::new(), ToString::to_string),
            to: message.to.iter().map(ToString::to_string).collect(),
        });
    }

    fn asks(&mut self, owner: &str, kind: &str, answer: &str) {
        let record_type: RecordType = kind.trim_end_matches(':').parse().expect("a type");
        let (code, records) = match answer {
            "nodata" => (QueryOutcome::NoData, Vec::new()),
            "nxdomain" => (QueryOutcome::NxDomain, Vec::new()),
            "servfail" => (QueryOutcome::ServFail, Vec::new()),
            "refused" => (QueryOutcome::Refused, Vec::new()),
            "timeout" => (QueryOutcome::Unanswered, Vec::new()),
            data => (
                QueryOutcome::NoError,
                records(&name(owner), record_type, data),
            ),
        };
        self.push(EventKind::Query {
            name: name(owner),
            record_type,
            over: Transport::Udp,
            answer: code,
            fault: (code == QueryOutcome::Unanswered).then_some(QueryEffect::Timeout),
            records,
        });
    }

    fn reports(&mut self, id: &str, recipient: &str, outcome: &str, status: Option<&str>) {
        self.push(EventKind::Report {
            message: id.into(),
            recipient: recipient.to_owned(),
            outcome: match outcome {
                "delivered" => Outcome::Delivered,
                "deferred" => Outcome::Deferred,
                "bounced" => Outcome::Bounced,
                other => panic!("{other}"),
            },
            status: status.map(|status| status.parse().expect("a status")),
            reason: String::new(),
        });
    }
}
