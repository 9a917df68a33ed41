//! What became of each message of a drill, read off its log.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    time::Duration,
};

use crate::{
    event::{Event, EventKind, SessionId},
    mail::MessageId,
    name::Domain,
    outcome::Outcome,
    scenario::Scenario,
    time::Moment,
};

/// A message of a drill, and what became of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Passage {
    /// The message.
    pub message: MessageId,
    /// When its sender was given it.
    pub given: Moment,
    /// What became of it.
    pub end: PassageEnd,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PassageEnd {
    /// A host accepted it.
    Taken {
        /// The exchanger, by the name that the MX record has.
        by: Domain,
        /// The address at which it did.
        address: IpAddr,
        /// When.
        at: Moment,
    },
    /// It was returned to its author at this moment.
    Returned(Moment),
    /// Neither, until the drill ended.
    Waiting,
}

impl Passage {
    /// The exchanger that accepted it.
    pub fn taker(&self) -> Option<&Domain> {
        match &self.end {
            PassageEnd::Taken { by, .. } => Some(by),
            _ => None,
        }
    }

    /// How long it waited until it was accepted.
    pub fn wait(&self) -> Option<Duration> {
        match &self.end {
            PassageEnd::Taken { at, .. } => Some(at.since(self.given)),
            _ => None,
        }
    }

    /// Whether it came back to its author.
    pub fn is_returned(&self) -> bool {
        matches!(self.end, PassageEnd::Returned(_))
    }
}

/// What became of each message of a scenario, in its order.
pub(super) fn passages(scenario: &Scenario, events: &[Event]) -> Vec<Passage> {
    let mut hosts: HashMap<SessionId, (&Domain, IpAddr)> = HashMap::new();
    let mut ends: BTreeMap<&MessageId, PassageEnd> = BTreeMap::new();
    for event in events {
        match &event.kind {
            EventKind::Connect {
                session,
                address,
                hosts: names,
                hint,
                ..
            } => {
                if let Some(host) = hint.exchanger.as_ref().or(names.first()) {
                    hosts.insert(*session, (host, *address));
                }
            }
            EventKind::Taken {
                session,
                message: Some(message),
                ..
            } => {
                if let Some((host, address)) = hosts.get(session) {
                    ends.entry(message).or_insert_with(|| PassageEnd::Taken {
                        by: (*host).clone(),
                        address: *address,
                        at: event.at,
                    });
                }
            }
            EventKind::Report {
                message,
                outcome: Outcome::Bounced,
                ..
            } => {
                ends.entry(message)
                    .or_insert(PassageEnd::Returned(event.at));
            }
            _ => {}
        }
    }
    let messages = scenario.messages.iter();
    messages
        .map(|message| Passage {
            message: message.id.clone(),
            given: message.at,
            end: ends.remove(&message.id).unwrap_or(PassageEnd::Waiting),
        })
        .collect()
}

/// What came of some messages together.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PassageSum {
    /// How many there were.
    pub messages: usize,
    /// How many of them each host accepted.
    pub takers: BTreeMap<Domain, usize>,
    /// How many were accepted later than at once.
    pub waited: usize,
    /// The longest time from submission to acceptance.
    pub longest_wait: Duration,
    /// How many were returned.
    pub returned: usize,
    /// The longest time from submission to return; `None` if nothing was returned.
    pub returned_after: Option<Duration>,
}

impl PassageSum {
    /// That of these messages.
    pub fn of<'a>(passages: impl IntoIterator<Item = &'a Passage>) -> Self {
        let mut sum = Self::default();
        for passage in passages {
            sum.messages += 1;
            match &passage.end {
                PassageEnd::Taken { by, at, .. } => {
                    *sum.takers.entry(by.clone()).or_default() += 1;
                    let wait = at.since(passage.given);
                    sum.waited += usize::from(!wait.is_zero());
                    sum.longest_wait = sum.longest_wait.max(wait);
                }
                PassageEnd::Returned(at) => {
                    sum.returned += 1;
                    let after = Some(at.since(passage.given));
                    sum.returned_after = sum.returned_after.max(after);
                }
                PassageEnd::Waiting => {}
            }
        }
        sum
    }
}
