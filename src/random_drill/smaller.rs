//! Cases that say less: what is left out in search of the smallest that still fails.
//!
//! Each step leaves something out and keeps what is left valid: a record goes with what it leads to, a fault with the
//! host that it is about. So every smaller case is a drill that a person could have written, and the one that is left
//! at the end is read as one.

use std::{collections::BTreeSet, sync::Arc};

use super::{Body, RandomDrill, RandomMessages, traits::DrillZone};
use crate::{
    fault::{Failure, Host},
    scenario::Scenario,
};

/// Lists of so many parts are halved before parts are left out one by one.
const WORTH_HALVING: usize = 4;

impl RandomDrill {
    /// The smallest case, as far as leaving out one part after the other goes, that still fails.
    ///
    /// The order is greedy: the first smaller case that fails is the next one.
    #[must_use]
    pub fn shrunk(self, fails: impl Fn(&Arc<Scenario>) -> bool) -> Self {
        self.shrunk_by(1, |cases| cases.iter().position(&fails))
    }

    /// As [`RandomDrill::shrunk`], with so many cases tried at once: `first_failing` is handed them, and says which is
    /// the first that fails. It may end the search by finding none any more.
    #[must_use]
    pub fn shrunk_by(
        self,
        at_once: usize,
        mut first_failing: impl FnMut(&[Arc<Scenario>]) -> Option<usize>,
    ) -> Self {
        let (mut case, mut from) = (self, 0);
        // Every step makes it smaller, so this ends.
        'smaller: loop {
            let smaller = case.smaller();
            let count = smaller.len();
            // What stands before the last step was tried with the case before it: it comes last.
            // The same parts stand at about the same places in the next list: what did not help just now will hardly
            // help again.
            let order = (from.min(count)..count).chain(0..from.min(count));
            let mut valid = order.filter_map(|at| Some((at, smaller[at].scenario().ok()?)));
            loop {
                let (places, cases): (Vec<usize>, Vec<_>) =
                    valid.by_ref().take(at_once.max(1)).unzip();
                if cases.is_empty() {
                    return case;
                }
                if let Some(failing) = first_failing(&cases) {
                    from = places[failing];
                    case = smaller[from].clone();
                    continue 'smaller;
                }
            }
        }
    }

    /// Cases that say less, large steps before small ones.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let mut smaller = Vec::new();
        let pruned = self.pruned();
        if pruned != *self {
            smaller.push(pruned);
        }
        // Fewer messages first: every step after that is the faster.
        smaller.extend(self.alone(|case| &mut case.messages));
        smaller.extend(self.without_all(|case| &mut case.receivers));
        smaller.extend(self.alone(|case| &mut case.faults));
        smaller.extend(self.halved(|case| &mut case.records));
        smaller.extend(self.without_each(|case| &mut case.messages));
        smaller.extend((0..self.messages.len()).flat_map(|at| self.smaller_row(at)));
        smaller.extend(self.without_each(|case| &mut case.faults));
        smaller.extend(self.without_each(|case| &mut case.receivers));
        smaller.extend(self.without_aliases());
        // Addresses stand behind exchangers and go first: another exchanger shows more than another address.
        for case in self
            .without_each(|case| &mut case.records)
            .into_iter()
            .rev()
        {
            // An exchanger goes with its addresses and what fails there.
            let pruned = case.pruned();
            if pruned != case {
                smaller.push(pruned);
            }
            smaller.push(case);
        }
        smaller.extend(self.without_each(|case| &mut case.sender));
        smaller.extend(self.in_order());
        smaller
    }

    /// The case with what an alias stands for in its place, for each alias.
    fn without_aliases(&self) -> Vec<Self> {
        let in_place = |(at, record): (usize, &String)| {
            let (alias, target) = record.split_once(" IN CNAME ")?;
            let mut case = self.clone();
            case.records.remove(at);
            for record in &mut case.records {
                // The alias becomes the host itself.
                if let Some(rest) = record.strip_prefix(&format!("{target} IN ")) {
                    *record = format!("{alias} IN {rest}");
                }
            }
            Some(case)
        };
        self.records
            .iter()
            .enumerate()
            .filter_map(in_place)
            .collect()
    }

    /// The case with one of two equal exchangers preferred, for each such record: what chance has no part in is read, and
    /// made smaller, the more easily. There are fewer equals each time, so that this ends, too.
    fn in_order(&self) -> Vec<Self> {
        let level = |record: &str| {
            let (level, _) = record.rsplit_once(' ')?;
            level.contains(" IN MX ").then(|| level.to_owned())
        };
        let levels: Vec<String> = self.records.iter().filter_map(|one| level(one)).collect();
        let preferred = |(at, record): (usize, &String)| {
            let own = level(record)?;
            let (owner, preference) = own.rsplit_once(' ')?;
            // One less, where nobody has that preference already: the others keep their order.
            let better = preference.parse::<u16>().ok()?.checked_sub(1)?;
            let better = format!("{owner} {better}");
            let has_equals = levels.iter().filter(|level| **level == own).count() > 1;
            if !has_equals || levels.contains(&better) {
                return None;
            }
            let mut case = self.clone();
            case.records[at] = record.replacen(&own, &better, 1);
            Some(case)
        };
        self.records
            .iter()
            .enumerate()
            .filter_map(preferred)
            .collect()
    }

    /// The case without one part of a list, for each part.
    fn without_each<T>(&self, list: fn(&mut Self) -> &mut Vec<T>) -> Vec<Self> {
        self.each_of(list, |parts, at| drop(parts.remove(at)))
    }

    /// The case with one part of a list alone, for each part, where there are three at least: of two, each is left out
    /// later.
    fn alone<T>(&self, list: fn(&mut Self) -> &mut Vec<T>) -> Vec<Self> {
        if list(&mut self.clone()).len() < 3 {
            return Vec::new();
        }
        self.each_of(list, |parts, at| {
            parts.swap(0, at);
            parts.truncate(1);
        })
    }

    fn each_of<T>(
        &self,
        list: fn(&mut Self) -> &mut Vec<T>,
        cut: impl Fn(&mut Vec<T>, usize),
    ) -> Vec<Self> {
        let count = list(&mut self.clone()).len();
        let case = |at: usize| {
            let mut case = self.clone();
            cut(list(&mut case), at);
            case
        };
        (0..count).map(case).collect()
    }

    /// The case without any part of a list, where there are two at least.
    fn without_all<T>(&self, list: fn(&mut Self) -> &mut Vec<T>) -> Option<Self> {
        let mut case = self.clone();
        let parts = list(&mut case);
        let several = parts.len() > 1;
        parts.clear();
        several.then_some(case)
    }

    /// The case with either half of a long list.
    fn halved<T>(&self, list: fn(&mut Self) -> &mut Vec<T>) -> Vec<Self> {
        let (mut first, mut second) = (self.clone(), self.clone());
        let half = list(&mut first).len() / 2;
        if half * 2 < WORTH_HALVING {
            return Vec::new();
        }
        list(&mut first).truncate(half);
        list(&mut second).drain(..half);
        vec![first, second]
    }

    /// The case without the records that no message leads to, and without the faults that are about those.
    fn pruned(&self) -> Self {
        let mut case = self.clone();
        let zone = DrillZone::of(&self.records);
        let names = zone.led_to(self.domains());
        case.records.retain(|record| {
            let owner = record.split(' ').next().unwrap_or_default();
            names.contains(owner)
        });
        let kept = DrillZone::of(&case.records);
        let addresses: BTreeSet<String> = kept.addresses().map(str::to_owned).collect();
        // Records are written relative to `test.`, faults are not.
        let is_kept = |name: &str| names.contains(name.trim_end_matches(".test"));
        case.faults.retain(|fault| match &fault.failure {
            Failure::Session { hosts, .. } => hosts.iter().all(|host| match host {
                Host::Name(name) => is_kept(name.as_str()),
                Host::Address(address) => addresses.contains(&address.to_string()),
            }),
            Failure::Query { name, .. } => is_kept(name.as_str()),
        });
        case
    }

    /// The case with a row of messages that says less.
    fn smaller_row(&self, at: usize) -> Vec<Self> {
        let row = &self.messages[at];
        let with = |row: RandomMessages| {
            let mut case = self.clone();
            case.messages[at] = row;
            case
        };
        let mut smaller = Vec::new();
        if row.count > 1 {
            smaller.extend([1, row.count / 2].map(|count| {
                with(RandomMessages {
                    count,
                    ..row.clone()
                })
            }));
        }
        if row.to.len() > 1 {
            smaller.extend((0..row.to.len()).map(|to| {
                let mut row = row.clone();
                row.to.remove(to);
                with(row)
            }));
        }
        if row.minute > 0 {
            smaller.push(with(RandomMessages {
                minute: 0,
                ..row.clone()
            }));
        }
        if row.body != Body::Plain {
            smaller.push(with(RandomMessages {
                body: Body::Plain,
                ..row.clone()
            }));
        }
        if row.asks.is_some() {
            smaller.push(with(RandomMessages {
                asks: None,
                ..row.clone()
            }));
        }
        if row.from_nobody {
            smaller.push(with(RandomMessages {
                from_nobody: false,
                ..row.clone()
            }));
        }
        smaller
    }
}
