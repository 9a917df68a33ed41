//! The zones of a drill as they follow each other in time.
//!
//! Zones are kept whole, one for each change. Looking at a moment is a search among few.

use std::{
    collections::{BTreeMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use hickory_proto::rr::Record;

use super::Zone;
use crate::{name::Domain, time::Moment};

/// The zones of a drill in time: each holds from its moment until the next one's.
///
/// There is always one: the zone from the start.
#[derive(Debug, Clone)]
pub struct History {
    // Shared by the scenario, its lab and its verdict: a zone may have a million records.
    first: Arc<Zone>,
    later: Vec<(Moment, Arc<Zone>)>,
}

impl History {
    // The first zone holds from the start of the drill.
    pub(crate) fn new(first: Zone) -> Self {
        Self {
            first: Arc::new(first),
            later: Vec::new(),
        }
    }

    /// The zone that holds at a moment.
    pub(crate) fn at(&self, now: Moment) -> &Zone {
        let last = self.version(now).checked_sub(1);
        last.map_or(&self.first, |last| &self.later[last].1)
    }

    /// The number of the zone that holds at a moment; the first one's is 0.
    pub(crate) fn version(&self, now: Moment) -> usize {
        self.later.partition_point(|(since, _)| *since <= now)
    }

    /// The moments at which a zone follows another.
    pub(crate) fn changes(&self) -> impl Iterator<Item = Moment> {
        self.later.iter().map(|(since, _)| *since)
    }

    /// The zone after the last change.
    pub(crate) fn last(&self) -> &Zone {
        self.later.last().map_or(&self.first, |(_, zone)| zone)
    }

    /// Lets a zone follow from a moment on, which must not lie before the last change.
    pub(crate) fn change(&mut self, since: Moment, zone: Zone) {
        self.later.push((since, Arc::new(zone)));
    }

    /// The same zones up to a moment, and edited ones from then on: those that follow later as well.
    pub(crate) fn changed_from(&self, at: Moment, edit: impl Fn(&Zone) -> Zone) -> Self {
        let before = self.later.partition_point(|(since, _)| *since <= at);
        let (before, after) = self.later.split_at(before);
        let mut later = before.to_vec();
        later.push((at, Arc::new(edit(self.at(at)))));
        let edited = |zone| Arc::new(edit(zone));
        later.extend(after.iter().map(|(since, zone)| (*since, edited(zone))));
        Self {
            first: Arc::clone(&self.first),
            later,
        }
    }

    /// Every zone, in order of time.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        std::iter::once(&*self.first).chain(self.later.iter().map(|(_, zone)| &**zone))
    }

    /// Every zone with the moment from which it holds and the one from which the next does; the
    /// last has no end.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (Moment, Option<Moment>, &Zone)> {
        let starts = std::iter::once(Moment::START).chain(self.later.iter().map(|(at, _)| *at));
        let ends = self.later.iter().map(|(at, _)| Some(*at)).chain([None]);
        let spans = starts.zip(ends).zip(self.zones());
        spans.map(|((start, end), zone)| (start, end, zone))
    }

    /// Adds records to every zone, the lab's own ones.
    pub(crate) fn add_everywhere(&mut self, records: &[Record]) {
        let zones =
            std::iter::once(&mut self.first).chain(self.later.iter_mut().map(|(_, zone)| zone));
        for zone in zones {
            if records.is_empty() {
                return;
            }
            let zone = Arc::make_mut(zone);
            records.iter().for_each(|record| zone.add(record.clone()));
        }
    }

    /// Every address that any of the zones has, with its names.
    pub fn addresses(&self) -> BTreeMap<IpAddr, Vec<Domain>> {
        let mut all = self.first.addresses();
        for (address, names) in self.later.iter().flat_map(|(_, zone)| zone.addresses()) {
            let known = all.entry(address).or_default();
            let new = names_beside(known, names);
            known.extend(new);
        }
        all
    }
}

/// The names that are not among the known ones. An address may have a hundred thousand of them.
pub(crate) fn names_beside(known: &[Domain], names: Vec<Domain>) -> Vec<Domain> {
    let known: HashSet<&Domain> = known.iter().collect();
    let is_new = |name: &Domain| !known.contains(name);
    names.into_iter().filter(is_new).collect()
}
