//! What can fail: where in a session or a lookup, how, and when.
//!
//! A [`Fault`] is data. `Faults` holds those of a lab and answers the one question that receivers
//! and the name server ask: what happens here, now? It counts what it has answered, so that
//! `first = 2` ends by itself.
//!
//! The order of faults decides where several apply: those put up by hand first, the latest before
//! the others, then the rows of the scenario in their order. A fault whose count is used up is
//! passed over.

mod effect;

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr};

use hickory_proto::rr::RecordType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

pub use self::effect::{Effect, QueryEffect, Stage, Transport};
use crate::{diagnostic::Invalid, name::Domain, time::Moment};

/// Which receivers a fault or an expectation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name: every address that owns it, aliases included.
    Name(Domain),
    /// One address of the zone.
    Address(IpAddr),
}

impl Host {
    /// Whether a receiver with this address and these names is meant.
    pub(crate) fn covers(&self, address: IpAddr, names: &[Domain]) -> bool {
        match self {
            Self::Name(name) => names.contains(name),
            Self::Address(wanted) => *wanted == address,
        }
    }
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Host {
    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text
                .parse()
                .map(Self::Name)
                .map_err(|error: crate::name::InvalidDomain| error.to_string()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What fails, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A session with a receiver, at one of its stages.
    Session {
        /// The receivers that fail.
        host: Host,
        /// The stage at which they fail.
        stage: Stage,
        /// What they do instead.
        effect: Effect,
        /// The recipient for whom alone it is so, at stage `rcpt`; `None`: for each.
        recipient: Option<String>,
    },
    /// A query to the name server.
    Query {
        /// The name that is asked for, exactly.
        name: Domain,
        /// The type asked for; `None` is every type.
        record_type: Option<RecordType>,
        /// The transport over which alone it is so; `None`: over both.
        over: Option<Transport>,
        /// What the name server does instead.
        effect: QueryEffect,
    },
}

/// Something that fails, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What fails: a host at a stage of a session, or a query.
    pub failure: Failure,
    /// The moment from which it holds, counted from the start of the drill.
    pub from: Moment,
    /// The moment from which it no longer holds; `None`: to the end.
    pub until: Option<Moment>,
    /// How often it strikes before it is used up; `None`: always.
    pub first: Option<u32>,
}

impl Fault {
    /// A fault from the start of the drill until it is lifted.
    pub fn lasting(failure: Failure) -> Self {
        Self {
            failure,
            from: Moment::START,
            until: None,
            first: None,
        }
    }

    /// A fault of the receivers of a host, whoever the recipient is.
    pub fn of_host(host: Host, stage: Stage, effect: Effect) -> Self {
        Self::lasting(Failure::Session {
            host,
            stage,
            effect,
            recipient: None,
        })
    }

    /// A fault of queries for a name, over UDP and TCP; without a type it is that of each.
    pub fn of_query(name: Domain, record_type: Option<RecordType>, effect: QueryEffect) -> Self {
        Self::lasting(Failure::Query {
            name,
            record_type,
            over: None,
            effect,
        })
    }

    /// From this moment on.
    #[must_use]
    pub fn from(self, from: Moment) -> Self {
        Self { from, ..self }
    }

    /// Up to and without this moment.
    #[must_use]
    pub fn until(self, until: Moment) -> Self {
        let until = Some(until);
        Self { until, ..self }
    }

    /// Only so many times.
    #[must_use]
    pub fn first(self, times: u32) -> Self {
        let first = Some(times);
        Self { first, ..self }
    }

    /// Whether its window has this moment: from its beginning up to and without its end.
    fn holds_at(&self, now: Moment) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::Session {
                host,
                stage,
                effect,
                recipient,
            } => {
                write!(f, "{host} at {stage}: {effect}")?;
                if let Some(recipient) = recipient {
                    write!(f, " for {recipient}")?;
                }
            }
            Failure::Query {
                name,
                record_type,
                over,
                effect,
            } => {
                write!(f, "query {name}")?;
                if let Some(record_type) = record_type {
                    write!(f, " {record_type}")?;
                }
                if let Some(over) = over {
                    write!(f, " over {}", format!("{over:?}").to_lowercase())?;
                }
                write!(f, ": {effect}")?;
            }
        }
        if self.from > Moment::START {
            write!(f, ", from {}", self.from)?;
        }
        self.until
            .map_or(Ok(()), |until| write!(f, ", until {until}"))
    }
}

/// Where a session stands when it asks what happens.
///
/// Without a recipient outside RCPT.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) address: IpAddr,
    pub(crate) names: &'a [Domain],
    pub(crate) stage: Stage,
    pub(crate) recipient: Option<&'a str>,
}

/// The faults of a lab, and how often each has struck so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// By number, which stays as long as the fault does: its place in the scenario, or a later one.
    rows: BTreeMap<usize, (Fault, u32)>,
    /// Rows put up by hand come before those of the scenario, the latest first.
    by_hand: Vec<usize>,
    next: usize,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let rows: BTreeMap<_, _> = faults
            .iter()
            .cloned()
            .map(|fault| (fault, 0))
            .enumerate()
            .collect();
        Self {
            next: rows.len(),
            rows,
            by_hand: Vec::new(),
        }
    }

    /// Puts a fault up, before all others; the number by which it can be ended.
    pub(crate) fn fail(&mut self, fault: Fault) -> usize {
        let row = self.next;
        self.rows.insert(row, (fault, 0));
        self.by_hand.push(row);
        self.next += 1;
        row
    }

    /// Lifts a fault that was put up by hand; nothing if it was lifted before.
    pub(crate) fn end(&mut self, row: usize) -> Option<Fault> {
        self.by_hand.retain(|index| *index != row);
        self.rows.remove(&row).map(|(fault, _)| fault)
    }

    /// Lifts every fault that the predicate names; how many there were.
    pub(crate) fn lift(&mut self, matches: impl Fn(&Failure) -> bool) -> usize {
        let before = self.rows.len();
        self.rows.retain(|_, (fault, _)| !matches(&fault.failure));
        self.by_hand.retain(|index| self.rows.contains_key(index));
        before - self.rows.len()
    }

    /// The effect that a session meets here and now, which counts as having struck.
    pub(crate) fn strike(&mut self, now: Moment, point: Point<'_>) -> Option<Effect> {
        self.first_match(now, |failure| session_effect(failure, point))
            .map(|(index, effect)| {
                self.count(index);
                effect
            })
    }

    /// The effect that a session would meet, without counting, and whether the fault has a count.
    pub(crate) fn foresee(&self, now: Moment, point: Point<'_>) -> Option<(Effect, bool)> {
        self.first_match(now, |failure| session_effect(failure, point))
            .map(|(index, effect)| (effect, self.rows[&index].0.first.is_some()))
    }

    /// The effect that a query meets now, which counts as having struck. Over TCP nothing can be
    /// truncated.
    pub(crate) fn strike_query(
        &mut self,
        now: Moment,
        name: &Domain,
        record_type: RecordType,
        over: Transport,
    ) -> Option<QueryEffect> {
        self.first_match(now, |failure| match failure {
            Failure::Query {
                name: wanted,
                record_type: wanted_type,
                over: wanted_over,
                effect,
            } if wanted == name
                && wanted_type.is_none_or(|wanted| wanted == record_type)
                && wanted_over.is_none_or(|wanted| wanted == over)
                && (*effect != QueryEffect::Truncate || over == Transport::Udp) =>
            {
                Some(*effect)
            }
            _ => None,
        })
        .map(|(index, effect)| {
            self.count(index);
            effect
        })
    }

    /// The next moment after `now` at which a window opens or closes: then listeners look again.
    pub(crate) fn next_change(&self, now: Moment) -> Option<Moment> {
        self.rows
            .values()
            .flat_map(|(fault, _)| [Some(fault.from), fault.until])
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn count(&mut self, index: usize) {
        if let Some((_, struck)) = self.rows.get_mut(&index) {
            *struck = struck.saturating_add(1);
        }
    }

    /// The first fault in their order that holds, is not used up and matches.
    fn first_match<T>(
        &self,
        now: Moment,
        matches: impl Fn(&Failure) -> Option<T>,
    ) -> Option<(usize, T)> {
        let by_hand = self.by_hand.iter().rev();
        let rest = self
            .rows
            .keys()
            .filter(|index| !self.by_hand.contains(index));
        by_hand.chain(rest).find_map(|index| {
            let (fault, struck) = &self.rows[index];
            if !fault.holds_at(now) || fault.first.is_some_and(|first| *struck >= first) {
                return None;
            }
            matches(&fault.failure).map(|effect| (*index, effect))
        })
    }
}

/// The effect that a failure has at a point of a session; `None` if it is about something else.
/// Recipients are compared without case.
fn session_effect(failure: &Failure, point: Point<'_>) -> Option<Effect> {
    match failure {
        Failure::Session {
            host,
            stage,
            effect,
            recipient,
        } if *stage == point.stage
            && host.covers(point.address, point.names)
            && recipient.as_deref().is_none_or(|wanted| {
                point
                    .recipient
                    .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            }) =>
        {
            Some(effect.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refuse(first: Option<u32>, from: u64, until: Option<u64>) -> Fault {
        let moment = |secs| Moment(Duration::from_secs(secs));
        Fault {
            failure: Failure::Session {
                host: Host::Name("mx1.test".parse().expect("a name")),
                stage: Stage::Connect,
                effect: Effect::Refuse,
                recipient: None,
            },
            from: moment(from),
            until: until.map(moment),
            first,
        }
    }

    fn strikes(faults: &mut Faults, at: u64) -> bool {
        let names = ["mx1.test".parse().expect("a name")];
        let point = Point {
            address: [192, 0, 2, 1].into(),
            names: &names,
            stage: Stage::Connect,
            recipient: None,
        };
        faults
            .strike(Moment(Duration::from_secs(at)), point)
            .is_some()
    }

    #[test]
    fn a_window_is_open_from_its_start_to_just_before_its_end() {
        let mut faults = Faults::new(&[refuse(None, 10, Some(20))]);
        assert_eq!(
            [9, 10, 19, 20].map(|at| strikes(&mut faults, at)),
            [false, true, true, false]
        );
        assert_eq!(
            faults.next_change(Moment::START),
            Some(Moment(Duration::from_secs(10)))
        );
    }

    #[test]
    fn a_count_ends_by_itself() {
        let mut faults = Faults::new(&[refuse(Some(2), 0, None)]);
        assert_eq!(
            [0, 0, 0].map(|at| strikes(&mut faults, at)),
            [true, true, false]
        );
    }

    #[test]
    fn what_was_put_up_by_hand_can_be_lifted() {
        let mut faults = Faults::default();
        faults.fail(refuse(None, 0, None));
        assert!(strikes(&mut faults, 5));
        assert_eq!(faults.lift(|_| true), 1);
        assert!(!strikes(&mut faults, 5));
    }
}
