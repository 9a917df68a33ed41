//! What a server did in one run, read off the log: when it tried, whom it told, how long it waited and what it did
//! then.
//!
//! Times are counted from the moment at which the server was handed the message, or at which an exchanger hung, and
//! are whole seconds: servers go by seconds, and what remains is how long the machine took.

use std::{fmt, time::Duration};

use mxdrill::{
    event::{Action, Connected, Event, EventKind, Misbehaviour, ReplyEvent, SessionId},
    fault::Stage,
    mail::MessageId,
    name::Domain,
    observe::{self, SAME_PASS},
    scenario::Scenario,
    time::{HumanDuration, Moment},
};
use serde::{Deserialize, Serialize};

use super::drills::{HOSTS, MESSAGE};

/// A time in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Seconds(pub(crate) u64);

impl Seconds {
    /// From one moment to another, rounded.
    fn between(from: Moment, to: Moment) -> Self {
        Self((to.since(from) + Duration::from_millis(500)).as_secs())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        HumanDuration(Duration::from_secs(self.0)).fmt(f)
    }
}

/// What became of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ending {
    /// An exchanger took it.
    Delivered(Seconds),
    /// Its author was told that it is given up.
    Returned(Seconds),
    /// Nothing was queued any more, and nobody was told.
    Lost(Seconds),
    /// It was watched for so long, and neither delivered nor returned.
    Open(Seconds),
}

/// What a server did about an exchanger that answers 451.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotNowRun {
    /// Every attempt.
    pub(crate) attempts: Vec<Seconds>,
    /// When its author was told that it is delayed.
    pub(crate) warned: Vec<Seconds>,
    pub(crate) ending: Ending,
}

/// What a server did about an exchanger that hangs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HangRun {
    /// How long it waited there; `None` if it still did at the end.
    pub(crate) waited: Option<Seconds>,
    pub(crate) then: Then,
    pub(crate) ending: Ending,
}

/// What a server did when it had waited, counted from the moment at which the exchanger hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Then {
    /// It went on to the next exchanger.
    Next(Seconds),
    /// It went to the next exchanger in a later pass.
    NextLater(Seconds),
    /// It tried the same one again.
    Same(Seconds),
    /// It tried none, as long as it was watched.
    Nothing,
}

/// A log of one of the drills.
pub(crate) struct Log<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) events: &'a [Event],
    /// How long it was watched.
    pub(crate) took: Moment,
    /// How long a drill is watched at most: what ended before had nothing queued any more.
    pub(crate) longest: Duration,
}

impl Log<'_> {
    /// What a server did about an exchanger that answers 451.
    pub(crate) fn not_now(&self) -> NotNowRun {
        let begun = self.submitted();
        let id = MessageId(MESSAGE.into());
        let attempts = observe::attempts(self.scenario, self.events);
        let attempts = attempts
            .iter()
            .filter(|attempt| attempt.message.as_ref() == Some(&id) && !attempt.notification);
        NotNowRun {
            attempts: attempts
                .map(|attempt| Seconds::between(begun, attempt.at))
                .collect(),
            warned: self.told(|action| action == Some(Action::Delayed)),
            ending: self.ending(),
        }
    }

    /// What a server did about an exchanger that hangs at a stage; `None` if it never came there.
    pub(crate) fn hang(&self, stage: Stage) -> Option<HangRun> {
        let place = self
            .events
            .iter()
            .position(|event| hung(event, stage).is_some())?;
        let hung_at = self.events[place].at;
        let session = hung(&self.events[place], stage)?;
        let after = &self.events[place + 1..];
        let since = |event: &Event| Seconds::between(hung_at, event.at);
        let ended = after.iter().find(|event| {
            matches!(&event.kind, EventKind::End { session: ended, .. } if *ended == session)
        });
        let tried = after.iter().position(|event| exchanger(event).is_some());
        let ended = ended.filter(|ended| tried.is_none_or(|tried| ended.at <= after[tried].at));
        let then = match tried.map(|tried| (&after[tried], exchanger(&after[tried]))) {
            None => Then::Nothing,
            Some((event, Some(0))) => Then::Same(since(event)),
            Some((event, _)) => {
                let asked = after[..tried.unwrap_or(0)].iter().any(asks_for_exchangers);
                // When a client lets go whose last words were read is not always seen.
                let late = ended.is_some_and(|ended| event.at.since(ended.at) > SAME_PASS);
                if asked || late {
                    Then::NextLater(since(event))
                } else {
                    Then::Next(since(event))
                }
            }
        };
        Some(HangRun {
            waited: ended.or(tried.map(|tried| &after[tried])).map(since),
            then,
            ending: self.ending(),
        })
    }

    /// When the server was handed the message.
    fn submitted(&self) -> Moment {
        let mut events = self.events.iter();
        let submitted = events.find(|event| matches!(event.kind, EventKind::Submitted { .. }));
        submitted.map_or(Moment::START, |event| event.at)
    }

    /// When notifications about the message came, of those that say something of this kind.
    fn told(&self, is_it: impl Fn(Option<Action>) -> bool) -> Vec<Seconds> {
        let begun = self.submitted();
        let told = self.events.iter().filter(|event| match &event.kind {
            EventKind::Taken { from, action, .. } => from.is_empty() && is_it(*action),
            _ => false,
        });
        told.map(|event| Seconds::between(begun, event.at))
            .collect()
    }

    fn ending(&self) -> Ending {
        let begun = self.submitted();
        let delivered = self
            .events
            .iter()
            .find(|event| matches!(&event.kind, EventKind::Taken { from, .. } if !from.is_empty()));
        let returned = self.told(|action| matches!(action, None | Some(Action::Failed)));
        let took = Seconds::between(begun, self.took);
        match (delivered, returned.first()) {
            (Some(event), _) => Ending::Delivered(Seconds::between(begun, event.at)),
            (None, Some(at)) => Ending::Returned(*at),
            (None, None) if self.took.0 < self.longest => Ending::Lost(took),
            (None, None) => Ending::Open(took),
        }
    }
}

/// The session in which an exchanger hung at a stage.
fn hung(event: &Event, wanted: Stage) -> Option<SessionId> {
    match &event.kind {
        EventKind::Connect {
            session,
            result: Connected::Timeout,
            ..
        } if wanted == Stage::Connect => Some(*session),
        EventKind::Reply {
            session,
            stage,
            answer: ReplyEvent::Failed {
                effect: Misbehaviour::Hang,
            },
            ..
        } if *stage == wanted => Some(*session),
        _ => None,
    }
}

/// Which of the exchangers was connected to, if one was.
fn exchanger(event: &Event) -> Option<usize> {
    match &event.kind {
        EventKind::Connect { hosts, .. } => HOSTS.iter().position(|host| {
            let is_it = |name: &Domain| name.to_string() == *host;
            hosts.iter().any(is_it)
        }),
        _ => None,
    }
}

/// Whether a pass begins: the exchangers of the domain are asked for.
fn asks_for_exchangers(event: &Event) -> bool {
    match &event.kind {
        EventKind::Query {
            name, record_type, ..
        } => name.to_string() == "example.test" && record_type.to_string() == "MX",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::drills::ScheduleDrill;
    use super::*;

    /// A line of a log: the second, and what happened then.
    fn events(lines: &[(f64, &str)]) -> Vec<Event> {
        let event = |(at, rest): &(f64, &str)| {
            let text = format!(r#"{{"at":{at},{rest}}}"#);
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        lines.iter().map(event).collect()
    }

    const SUBMITTED: &str = r#""event":"submitted","message":"m1","from":"sender@sender.test","to":["alice@example.test"]"#;
    const ASKS: &str =
        r#""event":"query","name":"example.test","type":"MX","over":"udp","answer":"noerror""#;
    const WARNS: &str = r#""event":"taken","session":8,"about":"m1","action":"delayed","from":"","to":["sender@sender.test"],"octets":1,"tls":false"#;
    const RETURNS: &str = r#""event":"taken","session":9,"about":"m1","action":"failed","from":"","to":["sender@sender.test"],"octets":1,"tls":false"#;
    const TAKES: &str = r#""event":"taken","session":2,"message":"m1","from":"sender@sender.test","to":["alice@example.test"],"octets":1,"tls":false"#;

    fn connects(session: u64, host: u8) -> String {
        format!(
            r#""event":"connect","session":{session},"address":"192.0.2.{host}","hosts":["mx{host}.example.test"],"result":"accepted""#
        )
    }

    fn ends(session: u64) -> String {
        format!(r#""event":"end","session":{session},"how":"client-closed""#)
    }

    const HANGS: &str = r#""event":"reply","session":1,"stage":"dot","effect":"hang""#;
    const MAIL: &str = r#""event":"reply","session":1,"stage":"mail","argument":"sender@sender.test","code":250,"reply":"ok""#;
    const LATER: &str = r#""event":"reply","session":1,"stage":"rcpt","argument":"alice@example.test","code":451,"reply":"later""#;

    fn read<T>(
        drill: ScheduleDrill,
        took: f64,
        lines: &[(f64, &str)],
        of: impl Fn(&Log<'_>) -> T,
    ) -> T {
        let scenario = ScheduleDrill::named(&drill.name()).expect("a drill");
        of(&Log {
            scenario: &scenario,
            events: &events(lines),
            took: Moment(Duration::from_secs_f64(took)),
            longest: Duration::from_secs(12 * 86_400),
        })
    }

    fn hang(lines: &[(f64, &str)], took: f64) -> HangRun {
        let drill = ScheduleDrill::Hang(Stage::Dot);
        read(drill, took, lines, |log| log.hang(Stage::Dot)).expect("it hung")
    }

    #[test]
    fn attempts_warnings_and_the_return_are_read_off_a_log() {
        let (first, second) = (connects(1, 1), connects(2, 1));
        let (later, mail) = (LATER.replace(":1,", ":2,"), MAIL.replace(":1,", ":2,"));
        let lines = [
            (0.1, SUBMITTED),
            (0.2, &first),
            (0.2, MAIL),
            (0.2, LATER),
            (0.3, &ends(1)),
            (300.1, &second),
            (300.1, &mail),
            (300.1, &later),
            (300.2, &ends(2)),
            (14_400.1, WARNS),
            (432_000.4, RETURNS),
        ];
        let run = read(ScheduleDrill::NotNow, 432_005.0, &lines, |log| {
            log.not_now()
        });
        assert_eq!(run.attempts, [Seconds(0), Seconds(300)]);
        assert_eq!(run.warned, [Seconds(14_400)]);
        assert_eq!(run.ending, Ending::Returned(Seconds(432_000)));
    }

    #[test]
    fn who_tells_nobody_has_lost_the_message_or_still_has_it() {
        for (took, ending) in [
            (3600.0, Ending::Lost(Seconds(3600))),
            (1_036_800.0, Ending::Open(Seconds(1_036_800))),
        ] {
            let run = read(ScheduleDrill::NotNow, took, &[(0.0, SUBMITTED)], |log| {
                log.not_now()
            });
            assert_eq!((run.ending, run.attempts.len()), (ending, 0));
        }
    }

    #[test]
    fn the_next_exchanger_in_the_same_pass_is_told_from_a_later_pass() {
        let (first, next, end) = (connects(1, 1), connects(2, 2), ends(1));
        let begin = [(0.0, SUBMITTED), (0.0, ASKS), (0.0, &first), (5.0, HANGS)];
        let with = |more: &[(f64, &str)]| hang(&[&begin, more].concat(), 3000.0);
        let run = with(&[(605.0, &end), (606.0, &next), (606.0, TAKES)]);
        assert_eq!(run.waited, Some(Seconds(600)));
        assert_eq!(run.then, Then::Next(Seconds(601)));
        assert_eq!(run.ending, Ending::Delivered(Seconds(606)));
        // Of a client that had said its last words it is not seen when it let go.
        let run = with(&[(606.0, &next), (606.0, TAKES), (2000.0, &end)]);
        assert_eq!(
            (run.waited, run.then),
            (Some(Seconds(601)), Then::Next(Seconds(601)))
        );
        for between in [(605.0, end.as_str()), (1799.0, ASKS)] {
            let run = with(&[between, (1805.0, &next)]);
            assert_eq!(run.then, Then::NextLater(Seconds(1800)), "{between:?}");
        }
    }

    #[test]
    fn the_same_exchanger_again_and_nothing_at_all_are_read_as_such() {
        let (first, again, end) = (connects(1, 1), connects(2, 1), ends(1));
        let begin = [(0.0, SUBMITTED), (0.0, &*first), (0.0, HANGS)];
        let run = hang(
            &[&begin[..], &[(300.0, &end), (400.0, &again)]].concat(),
            12.0 * 86_400.0,
        );
        assert_eq!(
            (run.waited, run.then),
            (Some(Seconds(300)), Then::Same(Seconds(400)))
        );
        let run = hang(&[&begin[..], &[(300.0, &end)]].concat(), 12.0 * 86_400.0);
        assert_eq!((run.waited, run.then), (Some(Seconds(300)), Then::Nothing));
        let run = hang(&begin, 12.0 * 86_400.0);
        assert_eq!((run.waited, run.then), (None, Then::Nothing));
        assert_eq!(run.ending, Ending::Open(Seconds(12 * 86_400)));
        let drill = ScheduleDrill::Hang(Stage::Dot);
        assert_eq!(
            read(drill, 1.0, &begin[..2], |log| log.hang(Stage::Dot)),
            None
        );
    }
}
