//! Messages that have something in common by which an attempt may be told, kept in such an order that the
//! likeliest of them is found without looking at all.
//!
//! A drill may have a hundred thousand messages of which any attempt may be for one. To find the
//! least tried at an address, a pool ranks its open messages for each address that was asked about,
//! and keeps the rank with each attempt.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::Certainty;

/// Messages, by their places in the drill, that an attempt may be for.
#[derive(Default)]
pub(super) struct Pool {
    /// Messages that the sender was given and of which some recipient is neither accepted nor
    /// refused for good.
    open: BTreeSet<usize>,
    /// Messages that are done with, in case a sender tries one again.
    done: BTreeSet<usize>,
    /// By address: how often it was tried for each open message, with the message. An address is
    /// ranked when it is first asked about.
    ranked: BTreeMap<IpAddr, BTreeSet<(usize, usize)>>,
    /// The next hops of all that ever belong here, each set of them as a number.
    hops: BTreeSet<usize>,
}

impl Pool {
    /// Takes in that messages with these next hops belong here.
    pub(super) fn lead_to(&mut self, hops: usize) {
        self.hops.insert(hops);
    }

    /// Whether any message here is open.
    pub(super) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// The open message, if there is just one.
    pub(super) fn only_open(&self) -> Option<usize> {
        let first = self.open.first().copied();
        first.filter(|_| self.open.len() == 1)
    }

    /// Takes in a message that the sender has been given.
    pub(super) fn add(&mut self, message: usize, tried: &BTreeMap<IpAddr, usize>) {
        self.open.insert(message);
        for (address, ranked) in &mut self.ranked {
            ranked.insert((tried.get(address).copied().unwrap_or(0), message));
        }
    }

    /// Takes in that a message is done with.
    pub(super) fn close(&mut self, message: usize, tried: &BTreeMap<IpAddr, usize>) {
        if self.open.remove(&message) {
            for (address, ranked) in &mut self.ranked {
                ranked.remove(&(tried.get(address).copied().unwrap_or(0), message));
            }
        }
        self.done.insert(message);
    }

    /// Takes in that an address was tried once more for a message.
    pub(super) fn tried(&mut self, message: usize, address: IpAddr, before: usize) {
        if let Some(ranked) = self.ranked.get_mut(&address)
            && ranked.remove(&(before, message))
        {
            ranked.insert((before + 1, message));
        }
    }

    /// The open message that was least tried at an address, the first of several, after the number
    /// of tries.
    pub(super) fn least_tried(
        &mut self,
        address: IpAddr,
        tried: impl Fn(usize) -> usize,
    ) -> Option<(usize, usize)> {
        let open = &self.open;
        let rank = || open.iter().map(|message| (tried(*message), *message));
        let ranked = self.ranked.entry(address);
        ranked.or_insert_with(|| rank().collect()).first().copied()
    }
}

/// The last message in some pools that is done with.
pub(super) fn latest_done(pools: &[&Pool]) -> Option<(usize, Certainty)> {
    let last = pools.iter().filter_map(|pool| pool.done.last()).max()?;
    Some((*last, certainty(pools, |pool| &pool.done)))
}

/// How sure it is that one of the open messages in some pools is the one.
pub(super) fn certainty_of_open(pools: &[&Pool]) -> Certainty {
    certainty(pools, |pool| &pool.open)
}

/// Sure if there is one message; of one kind if all that ever belong to the pools have the same
/// next hops; a guess otherwise.
fn certainty(pools: &[&Pool], of: impl Fn(&Pool) -> &BTreeSet<usize>) -> Certainty {
    let mut sets = pools.iter().map(|pool| of(pool));
    let first = sets.clone().find_map(BTreeSet::first);
    let is_first =
        |set: &BTreeSet<usize>| set.len() < 2 && set.iter().all(|one| Some(one) == first);
    let mut hops = pools.iter().flat_map(|pool| pool.hops.iter().take(2));
    let hop = hops.next();
    if sets.all(is_first) {
        Certainty::Sure
    } else if hops.all(|other| Some(other) == hop) {
        Certainty::OneOfAlike
    } else {
        Certainty::Guessed
    }
}
