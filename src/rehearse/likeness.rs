//! What is hit of a domain in several outages, and fares the same: where exchangers that nothing distinguishes change
//! places, nothing else changes.

use std::collections::BTreeMap;

use super::{Hit, many, many::Level, security::Security};
use crate::{
    name::Domain,
    plan::{Plan, Planned},
};

/// What of an exchanger is hit.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Struck {
    /// Its name cannot be looked up.
    is_unknown: bool,
    /// It does not answer, wherever it is.
    is_silent: bool,
    /// Which of its addresses do not answer, in their order.
    addresses: Vec<bool>,
}

/// What two hits that are alike have in common: whether the domain itself cannot be looked up, and of how many
/// exchangers of each kind what is hit.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Alike {
    is_domain_unknown: bool,
    kinds: Vec<BTreeMap<Struck, usize>>,
}

/// The exchangers of a domain by kind.
pub(super) struct Likeness<'a> {
    domain: &'a Domain,
    kinds: Vec<Vec<&'a Planned>>,
}

impl<'a> Likeness<'a> {
    /// That of a domain with this plan.
    pub(super) fn of(plan: &'a Plan, security: &Security) -> Self {
        let shared = many::exchangers_at(plan);
        let is_by_itself = |planned: &Planned| {
            let mut addresses = planned.addresses.iter();
            addresses.all(|address| shared.get(address) == Some(&1))
        };
        let levels = many::levels(plan, security).into_iter();
        let mut kinds = Vec::new();
        for alike in levels.flat_map(|Level { alike, .. }| alike) {
            // What an exchanger shares is hit of others, too: with which of them is not told by its kind.
            match alike.iter().all(|planned| is_by_itself(planned)) {
                true => kinds.push(alike),
                false => kinds.extend(alike.into_iter().map(|planned| vec![planned])),
            }
        }
        Self {
            domain: &plan.domain,
            kinds,
        }
    }

    /// What a hit has in common with those that fare the same.
    pub(super) fn alike(&self, hit: &Hit) -> Alike {
        let struck = |planned: &Planned| Struck {
            is_unknown: hit.names.contains(&planned.host),
            is_silent: hit.hosts.contains(&planned.host),
            addresses: planned
                .addresses
                .iter()
                .map(|address| hit.addresses.contains(address))
                .collect(),
        };
        let counted = |kind: &Vec<&Planned>| {
            let mut counts = BTreeMap::new();
            for planned in kind {
                *counts.entry(struck(planned)).or_default() += 1;
            }
            counts
        };
        Alike {
            is_domain_unknown: hit.names.contains(self.domain),
            kinds: self.kinds.iter().map(counted).collect(),
        }
    }
}
