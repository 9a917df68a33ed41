//! A drill that was written down, as JSON lines: its events, then the verdict on it.
//!
//! `mxdrill run --format json`, `exec --log` and `conform --logs` write such a log ([`write()`]);
//! this reads it again, so that what happened can be judged anew: on another machine, by a later version,
//! or after an event was changed by hand.
//!
//! The lines are those of [`Event`], each with the path of its scenario; the last one is the
//! verdict as it was then, of which only what decides about a new verdict is read.

mod write;

use std::{collections::BTreeSet, fmt, time::Duration};

use serde::Deserialize;
use serde_json::Value;

pub use self::write::{verdict as verdict_line, write, write_event, write_line};
use crate::{
    diagnostic::{Mistake, Mistakes},
    drill::Run,
    event::{Event, EventKind},
    mail::{Mailbox, MessageId},
    name::{Domain, OWN_EXCHANGER},
    scenario::Scenario,
    time::Moment,
    verdict::{self, SenderKind},
    zone::Zone,
};

/// A log as it was read, of one drill.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Recording {
    /// What happened, in the order of the lines.
    pub events: Vec<Event>,
    /// Who sent; `None` if the log ends without a verdict.
    pub sender_kind: Option<SenderKind>,
    /// The seed of the run; `None` if the log ends without a verdict.
    pub seed: Option<u64>,
    /// How far the drill's clock had come at its end; without a verdict, the moment of the last
    /// event.
    pub took: Moment,
    /// The verdict of then, as it was written; `None` if the log ends without one.
    pub verdict: Option<Value>,
}

/// What every line has.
#[derive(Deserialize)]
struct LineHeader {
    event: String,
    /// The drill that it is of; `mxdrill up` writes none.
    scenario: Option<String>,
}

/// What a verdict says beyond what is wrong.
#[derive(Deserialize)]
struct VerdictEnd {
    sender: Option<String>,
    tolerance: Option<f64>,
    seed: Option<u64>,
    at: Moment,
}

impl Recording {
    /// Reads a log; `path` is what mistakes name. Of a log of several drills, `scenario` says which is
    /// meant.
    ///
    /// # Errors
    /// Every line that is no event, each with path, line and column; or that the log is of other drills.
    pub fn parse(path: &str, text: &str, scenario: &str) -> Result<Self, Mistakes> {
        let mut recording = Self {
            events: Vec::new(),
            sender_kind: None,
            seed: None,
            took: Moment::START,
            verdict: None,
        };
        let mut mistakes = Vec::new();
        let mut others: Vec<String> = Vec::new();
        let several = is_of_several(text);
        for (number, line) in (1..).zip(text.lines()) {
            if line.trim().is_empty() {
                continue;
            }
            let mistake = |error: &serde_json::Error| Mistake {
                path: path.to_owned(),
                line: number,
                column: error.column().max(1),
                message: format!("found no event of a drill ({})", reason(error)),
            };
            match read(line) {
                Ok((Some(other), _)) if several && other != scenario => {
                    if !others.contains(&other) {
                        others.push(other);
                    }
                }
                Ok((_, entry)) => recording.take(entry),
                Err(error) => mistakes.push(mistake(&error)),
            }
        }
        if !mistakes.is_empty() {
            return Err(Mistakes(mistakes));
        }
        if recording.events.is_empty() {
            let message = if others.is_empty() {
                "found no event, expected the log of a drill (JSON lines)".to_owned()
            } else {
                format!(
                    "found the drills {}, expected {scenario}",
                    others.join(", ")
                )
            };
            return Err(Mistakes::of_file(path, message));
        }
        Ok(recording)
    }

    /// Takes a line into the recording.
    fn take(&mut self, entry: RecordedLine) {
        match entry {
            RecordedLine::Event(event) => {
                self.took = self.took.max(event.at);
                self.events.push(event);
            }
            RecordedLine::Verdict(ended, verdict) => {
                let tolerance = Duration::try_from_secs_f64(ended.tolerance.unwrap_or(0.0));
                let tolerance = tolerance.unwrap_or_default();
                let known = [
                    SenderKind::InProcess { tolerance },
                    SenderKind::Command,
                    SenderKind::ClockedCommand,
                    SenderKind::MailServer,
                ];
                let said =
                    |sender_kind: &SenderKind| Some(sender_kind.word()) == ended.sender.as_deref();
                self.sender_kind = known.into_iter().find(said);
                self.seed = ended.seed;
                self.took = ended.at;
                self.verdict = Some(verdict);
            }
            RecordedLine::Other => {}
        }
    }

    /// Sees whether it may be of a drill: some message or domain of it is one of the drill's.
    ///
    /// # Errors
    /// That it seems to be of another one, with the messages and domains of both; `path` is the log's.
    pub fn is_of(&self, scenario: &Scenario, path: &str) -> Result<(), Mistakes> {
        let found = Mentioned::by(&self.events);
        let expected = Mentioned::of(scenario);
        let is_known = |domain: &Domain| {
            let mut above = domain.at_and_above();
            above.any(|above| expected.domains.contains(&above))
        };
        let is_empty = found.messages.is_empty() && found.domains.is_empty();
        let is_of_it =
            !found.messages.is_disjoint(&expected.messages) || found.domains.iter().any(is_known);
        if is_empty || is_of_it {
            return Ok(());
        }
        let message = format!(
            "found {found}; expected some of {}: {expected} (the log seems to be of another drill)",
            scenario.path
        );
        Err(Mistakes::of_file(path, message))
    }

    /// How many messages the sender was given.
    fn submitted(&self) -> usize {
        let is_given = |event: &&Event| matches!(event.kind, EventKind::Submitted { .. });
        self.events.iter().filter(is_given).count()
    }

    /// Judges what was written down. Of a drill of many messages, `conform` gives a mail server some: then it is
    /// judged by those.
    pub fn judge(self, scenario: &Scenario, sender_kind: SenderKind) -> Run {
        let sample = scenario.sample().0;
        let was_sampled =
            sender_kind == SenderKind::MailServer && self.submitted() <= sample.messages.len();
        let judged = if was_sampled { &sample } else { scenario };
        let verdict = verdict::judge(judged, &self.events, sender_kind);
        Run {
            verdict,
            seed: self.seed.unwrap_or(scenario.seed),
            took: self.took,
            events: self.events,
            sender_kind,
            too_slow: None,
        }
    }
}

/// The messages and the domains that a log or a scenario speaks of. Every drill has the lab's own domain for
/// senders, which tells nothing.
#[derive(Default)]
struct Mentioned {
    messages: BTreeSet<MessageId>,
    domains: BTreeSet<Domain>,
}

impl Mentioned {
    fn by(events: &[Event]) -> Self {
        let mut all = Self::default();
        for event in events {
            let (message, recipients) = match &event.kind {
                EventKind::Submitted { message, to, .. } => (Some(message), &to[..]),
                EventKind::Taken { message, to, .. } => (message.as_ref(), &to[..]),
                EventKind::Report { message, .. } => (Some(message), &[][..]),
                EventKind::Connect { hint, .. } => (hint.message.as_ref(), &[][..]),
                EventKind::Query { name, .. } => {
                    all.domains.insert(name.clone());
                    (None, &[][..])
                }
                _ => (None, &[][..]),
            };
            all.messages.extend(message.cloned());
            let mailboxes = recipients
                .iter()
                .filter_map(|to| to.parse::<Mailbox>().ok());
            all.domains.extend(mailboxes.map(|to| to.domain));
        }
        all.without_own()
    }

    fn of(scenario: &Scenario) -> Self {
        let messages = scenario.messages.iter();
        let hops = messages.clone().flat_map(Scenario::next_hops);
        let names = scenario.world.zones.zones().flat_map(Zone::names).cloned();
        let all = Self {
            messages: messages.map(|message| message.id.clone()).collect(),
            domains: hops.chain(names).collect(),
        };
        all.without_own()
    }

    fn without_own(mut self) -> Self {
        let own: Option<Domain> = OWN_EXCHANGER.parse().ok();
        let own = own.and_then(|exchanger: Domain| exchanger.parent());
        let is_own = |domain: &Domain| own.as_ref().is_some_and(|own| domain.is_within(own));
        self.domains.retain(|domain| !is_own(domain));
        self
    }
}

/// Messages and domains that are named of each; how many more there are is said.
const MOST_NAMED: usize = 5;

impl fmt::Display for Mentioned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn listed(names: &BTreeSet<impl fmt::Display>) -> String {
            let shown = names.iter().take(MOST_NAMED).map(ToString::to_string);
            let more = names.len().saturating_sub(MOST_NAMED);
            let more = (more > 0).then(|| format!("{more} more"));
            let listed: Vec<String> = shown.chain(more).collect();
            if listed.is_empty() {
                "none".to_owned()
            } else {
                listed.join(", ")
            }
        }
        let (messages, domains) = (listed(&self.messages), listed(&self.domains));
        write!(f, "messages {messages}, domains {domains}")
    }
}

/// What a line holds.
enum RecordedLine {
    Event(Event),
    Verdict(VerdictEnd, Value),
    /// About the run as a whole, of which nothing is needed.
    Other,
}

fn read(line: &str) -> Result<(Option<String>, RecordedLine), serde_json::Error> {
    let LineHeader { event, scenario } = serde_json::from_str(line)?;
    let entry = match &*event {
        "verdict" => {
            RecordedLine::Verdict(serde_json::from_str(line)?, serde_json::from_str(line)?)
        }
        "summary" | "skipped" | "broken" | "mistake" => RecordedLine::Other,
        _ => RecordedLine::Event(serde_json::from_str(line)?),
    };
    Ok((scenario, entry))
}

/// Whether a log has the events of more than one drill.
fn is_of_several(text: &str) -> bool {
    let mut first = None;
    let lines = text
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter_map(|line: LineHeader| line.scenario)
        .any(|scenario| *first.get_or_insert_with(|| scenario.clone()) != scenario)
}

/// What is wrong with a line, without the place in it, which stands before.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let end = text.rfind(" at line ").unwrap_or(text.len());
    text[..end].to_owned()
}
