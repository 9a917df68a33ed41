//! The faults of a lab as it runs: what happens here, now, and how often each has struck.
//!
//! The order of faults decides where several apply: those put up by hand first, the latest before
//! the others, then the rows of the scenario in their order. A fault whose count is used up is
//! passed over.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use hickory_proto::rr::RecordType;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::{Chance, Effect, Failure, Fault, Host, QueryEffect, Stage, Transport, covers, is_like};
use crate::{name::Domain, time::Moment};

/// Where a session stands when it asks what happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) address: IpAddr,
    pub(crate) names: &'a [Domain],
    pub(crate) port: u16,
    pub(crate) stage: Stage,
    pub(crate) message: Transfer<'a>,
}

/// What is known of the message at a stage.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Transfer<'a> {
    /// From MAIL on.
    pub(crate) sender: Option<&'a str>,
    pub(crate) to: Whom<'a>,
    /// The octets of its content so far; `None` before any.
    pub(crate) octets: Option<usize>,
}

/// The recipients that a stage is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Whom<'a> {
    /// None yet.
    #[default]
    Nobody,
    /// The one of RCPT.
    One(&'a str),
    /// All that were accepted.
    All(&'a [String]),
}

impl Whom<'_> {
    fn are_like(self, pattern: &str) -> bool {
        match self {
            Self::Nobody => false,
            Self::One(to) => is_like(pattern, to),
            Self::All(to) => to.iter().any(|to| is_like(pattern, to)),
        }
    }
}

/// A fault, and what became of it so far.
#[derive(Debug)]
struct FaultRow {
    fault: Fault,
    /// How often it could have struck.
    met: u32,
    /// How often it has.
    struck: u32,
    /// Where its chances come from: the drill's seed and its number.
    random: ChaCha8Rng,
    /// Whether it strikes the next time. It is known before, so that a listener can be ready.
    strikes_next: bool,
    /// Whether it is about the hosts at an address, once that was asked: an address may have a hundred thousand names.
    is_about: HashMap<IpAddr, bool>,
}

impl FaultRow {
    fn new(fault: Fault, number: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number as u64);
        let mut row = Self {
            fault,
            met: 0,
            struck: 0,
            random,
            strikes_next: true,
            is_about: HashMap::new(),
        };
        row.look_ahead();
        row
    }

    fn is_open(&self, now: Moment) -> bool {
        let is_left = self.fault.first.is_none_or(|first| self.struck < first);
        self.fault.holds_at(now) && is_left
    }

    /// Counts that it could strike; whether it does.
    fn meets(&mut self) -> bool {
        let strikes = self.strikes_next;
        self.met = self.met.saturating_add(1);
        self.struck = self.struck.saturating_add(strikes.into());
        self.look_ahead();
        strikes
    }

    fn look_ahead(&mut self) {
        let next = self.met.saturating_add(1);
        let is_its_turn = self
            .fault
            .every
            .is_none_or(|every| next.is_multiple_of(every));
        // Nothing is drawn where chance has no part.
        let is_lucky = |random: &mut ChaCha8Rng| match self.fault.chance {
            Some(Chance(millionths)) => random.random_ratio(millionths, Chance::SURE),
            None => true,
        };
        self.strikes_next = is_its_turn && is_lucky(&mut self.random);
    }

    /// Whether it is another one after it has struck, or has not.
    fn varies(&self) -> bool {
        self.fault.first.is_some() || self.fault.every.is_some() || self.fault.chance.is_some()
    }
}

/// The faults of a lab, and how often each has struck so far.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// By number, which stays as long as the fault does: its place in the scenario, or a later one.
    rows: BTreeMap<usize, FaultRow>,
    /// Rows put up by hand come before those of the scenario, the latest first.
    by_hand: Vec<usize>,
    next: usize,
    seed: u64,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault], seed: u64) -> Self {
        let rows = faults.iter().cloned().enumerate();
        let rows = rows.map(|(number, fault)| (number, FaultRow::new(fault, number, seed)));
        Self {
            rows: rows.collect(),
            next: faults.len(),
            by_hand: Vec::new(),
            seed,
        }
    }

    /// Puts a fault up, before all others; the number by which it can be ended.
    pub(crate) fn fail(&mut self, fault: Fault) -> usize {
        let row = self.next;
        self.rows.insert(row, FaultRow::new(fault, row, self.seed));
        self.by_hand.push(row);
        self.next += 1;
        row
    }

    /// Lifts a fault that was put up by hand; nothing if it was lifted before.
    pub(crate) fn end(&mut self, row: usize) -> Option<Fault> {
        self.by_hand.retain(|index| *index != row);
        self.rows.remove(&row).map(|row| row.fault)
    }

    /// Every fault in the order in which it is asked: its number, whether it was put up by hand, and how often it
    /// has struck.
    pub(crate) fn all(&self) -> Vec<(usize, &Fault, bool, u32)> {
        let by_hand = self.by_hand.iter().rev().map(|number| (number, true));
        let others = self.rows.keys().map(|number| (number, false));
        let others = others.filter(|(number, _)| !self.by_hand.contains(number));
        by_hand
            .chain(others)
            .filter_map(|(number, by_hand)| {
                let row = self.rows.get(number)?;
                Some((*number, &row.fault, by_hand, row.struck))
            })
            .collect()
    }

    /// Lifts every fault that the predicate names; how many there were.
    pub(crate) fn lift(&mut self, matches: impl Fn(&Failure) -> bool) -> usize {
        let before = self.rows.len();
        self.rows.retain(|_, row| !matches(&row.fault.failure));
        self.by_hand.retain(|index| self.rows.contains_key(index));
        before - self.rows.len()
    }

    /// The effect that a session meets here and now, which counts as having struck.
    pub(crate) fn strike(&mut self, now: Moment, point: Point<'_>) -> Option<Effect> {
        self.first_struck(now, |row| {
            let is_about = &mut row.is_about;
            session_effect(&row.fault.failure, point, |hosts| {
                let looked = || covers(hosts, point.address, point.names);
                *is_about.entry(point.address).or_insert_with(looked)
            })
        })
    }

    /// Whether nothing is to fail.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The effect that a session would meet, without counting, and whether that changes by itself: a fault
    /// that counts, or one that a count or chance keeps from striking this time.
    pub(crate) fn foresee(&self, now: Moment, point: Point<'_>) -> Option<(Effect, bool)> {
        let mut varies = false;
        for row in self.in_order().filter(|row| row.is_open(now)) {
            let covered = |hosts: &[Host]| covers(hosts, point.address, point.names);
            if let Some(effect) = session_effect(&row.fault.failure, point, covered) {
                varies |= row.varies();
                if row.strikes_next {
                    return Some((effect, varies));
                }
            }
        }
        None
    }

    /// The sizes from which on a content may meet a fault, in order.
    pub(crate) fn sizes(&self) -> Vec<usize> {
        let mut sizes: Vec<usize> = self
            .rows
            .values()
            .filter_map(|row| match &row.fault.failure {
                Failure::Session {
                    stage: Stage::Content,
                    larger_than,
                    ..
                } => *larger_than,
                _ => None,
            })
            .collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// Whether there is any that may strike a question, now or later.
    pub(crate) fn strike_queries(&self) -> bool {
        let strikes = |row: &FaultRow| matches!(row.fault.failure, Failure::Query { .. });
        self.rows.values().any(strikes)
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
        self.first_struck(now, |row| match &row.fault.failure {
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
    }

    /// The next moment after `now` at which a window opens or closes: then listeners look again.
    pub(crate) fn next_change(&self, now: Moment) -> Option<Moment> {
        self.rows
            .values()
            .flat_map(|row| [Some(row.fault.from), row.fault.until])
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn in_order(&self) -> impl Iterator<Item = &FaultRow> {
        let by_hand = self.by_hand.iter().rev();
        let by_hand = by_hand.filter_map(|index| self.rows.get(index));
        let rest = self.rows.iter();
        let rest = rest.filter(|(index, _)| !self.by_hand.contains(index));
        by_hand.chain(rest.map(|(_, row)| row))
    }

    /// What the first fault does, in their order, that holds, is not used up, matches and strikes this time.
    /// Those before it are counted as well: it was their time, and they let it pass.
    fn first_struck<T>(
        &mut self,
        now: Moment,
        matches: impl Fn(&mut FaultRow) -> Option<T>,
    ) -> Option<T> {
        let strikes = |row: &mut FaultRow| {
            if !row.is_open(now) {
                return None;
            }
            matches(row).filter(|_| row.meets())
        };
        let Self { rows, by_hand, .. } = self;
        for index in by_hand.iter().rev() {
            if let Some(struck) = rows.get_mut(index).and_then(strikes) {
                return Some(struck);
            }
        }
        let rest = rows.iter_mut();
        let mut rest = rest.filter(|(index, _)| !by_hand.contains(index));
        rest.find_map(|(_, row)| strikes(row))
    }
}

/// The effect that a failure has at a point of a session; `None` if it is about something else.
///
/// In a content, a row about large messages is asked for when there is as much of one, and the others before it
/// comes.
fn session_effect(
    failure: &Failure,
    point: Point<'_>,
    is_about: impl FnOnce(&[Host]) -> bool,
) -> Option<Effect> {
    let Failure::Session {
        hosts,
        port,
        stage,
        effect,
        recipient,
        sender,
        larger_than,
    } = failure
    else {
        return None;
    };
    let message = point.message;
    let is_large = match (larger_than, message.octets) {
        (None, octets) => *stage != Stage::Content || octets.is_none(),
        (Some(least), octets) => octets.is_some_and(|octets| octets > *least),
    };
    let is_meant = *stage == point.stage
        && is_about(hosts)
        && port.is_none_or(|port| port == point.port)
        && recipient
            .as_deref()
            .is_none_or(|wanted| message.to.are_like(wanted))
        && sender
            .as_deref()
            .is_none_or(|wanted| message.sender.is_some_and(|sender| is_like(wanted, sender)))
        && is_large;
    is_meant.then(|| effect.clone())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn refuse(first: Option<u32>, from: u64, until: Option<u64>) -> Fault {
        let moment = |secs| Moment(Duration::from_secs(secs));
        Fault {
            from: moment(from),
            until: until.map(moment),
            first,
            ..Fault::of_host(
                Host::Name("mx1.test".parse().expect("a name")),
                Stage::Connect,
                Effect::Refuse,
            )
        }
    }

    fn strikes(faults: &mut Faults, at: u64) -> bool {
        let names = ["mx1.test".parse().expect("a name")];
        let point = Point {
            address: [192, 0, 2, 1].into(),
            names: &names,
            port: 25,
            stage: Stage::Connect,
            message: Transfer::default(),
        };
        faults
            .strike(Moment(Duration::from_secs(at)), point)
            .is_some()
    }

    #[test]
    fn a_window_is_open_from_its_start_to_just_before_its_end() {
        let mut faults = Faults::new(&[refuse(None, 10, Some(20))], 0);
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
        let mut faults = Faults::new(&[refuse(Some(2), 0, None)], 0);
        assert_eq!(
            [0, 0, 0].map(|at| strikes(&mut faults, at)),
            [true, true, false]
        );
    }

    #[test]
    fn every_third_time_is_the_third_and_the_sixth() {
        let mut faults = Faults::new(&[refuse(Some(2), 0, None).every(3)], 0);
        let struck: Vec<bool> = (0..10).map(|at| strikes(&mut faults, at)).collect();
        let times: Vec<usize> = (1..=10).filter(|n| struck[n - 1]).collect();
        // `first` counts what has struck.
        assert_eq!(times, [3, 6]);
    }

    #[test]
    fn chance_is_that_of_the_seed_and_as_likely_as_it_says() {
        let struck = |seed| {
            let chance = Chance::of(0.2).expect("a chance");
            let mut faults = Faults::new(&[refuse(None, 0, None).chance(chance)], seed);
            (0..1000)
                .map(|at| strikes(&mut faults, at))
                .collect::<Vec<_>>()
        };
        assert_eq!(struck(7), struck(7));
        assert_ne!(struck(7), struck(8));
        let times = struck(7).iter().filter(|struck| **struck).count();
        assert!((150..250).contains(&times), "{times}");
        assert_eq!(
            Chance::of(0.2).map(|chance| chance.to_string()),
            Some("0.2".to_owned())
        );
        assert_eq!([0.0, -1.0, 1.1, f64::NAN].map(Chance::of), [None; 4]);
    }

    #[test]
    fn what_is_foreseen_comes() {
        let chance = Chance::of(0.5).expect("a chance");
        let mut faults = Faults::new(&[refuse(None, 0, None).chance(chance)], 1);
        let names = ["mx1.test".parse().expect("a name")];
        for at in 0..100 {
            let point = Point {
                address: [192, 0, 2, 1].into(),
                names: &names,
                port: 25,
                stage: Stage::Connect,
                message: Transfer::default(),
            };
            let foreseen = faults
                .foresee(Moment(Duration::from_secs(at)), point)
                .is_some();
            assert_eq!(foreseen, strikes(&mut faults, at));
        }
    }

    #[test]
    fn a_row_that_lets_it_pass_leaves_it_to_the_next() {
        let rows = [refuse(None, 0, None).every(2), refuse(Some(1), 0, None)];
        let mut faults = Faults::new(&rows, 0);
        // The second row at first, then the first, then nobody.
        assert_eq!(
            [0, 0, 0].map(|at| strikes(&mut faults, at)),
            [true, true, false]
        );
    }

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, mailbox) in [
            ("a@b.test", "A@b.test"),
            ("*", ""),
            ("*@b.test", "a@b.test"),
            ("a*@*.test", "abc@x.y.test"),
            ("*b*", "abc"),
            ("", ""),
        ] {
            assert!(is_like(pattern, mailbox), "{pattern} {mailbox}");
        }
        for (pattern, mailbox) in [
            ("a@b.test", "aa@b.test"),
            ("*@b.test", "a@bb.test"),
            ("a*a", "a"),
            ("", "a"),
            ("*b*c", "acb"),
        ] {
            assert!(!is_like(pattern, mailbox), "{pattern} {mailbox}");
        }
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
