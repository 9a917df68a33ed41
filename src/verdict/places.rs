//! Where a message may go, as the sender knew it at some moment.

use std::{collections::BTreeSet, net::IpAddr};

use super::told::{Exchangers, Told};
use crate::{name::Domain, observe::Attempt, time::Moment};

/// The places a message may be sent to, as the sender knew them at some moment.
#[derive(Debug)]
pub(super) struct Places {
    pub(super) exchangers: Exchangers,
    /// Preference, exchanger and address of each.
    pub(super) list: Vec<(u16, Domain, IpAddr)>,
    /// The lowest preference at which the sender found itself.
    own: Option<u16>,
}

impl Places {
    pub(super) fn new(told: &Told<'_>, hop: &Domain, at: Moment) -> Self {
        let exchangers = told.exchangers(hop, at);
        let pairs = match &exchangers {
            Exchangers::Mx(pairs) => pairs.clone(),
            Exchangers::Implicit => BTreeSet::from([(0, hop.clone())]),
            _ => BTreeSet::new(),
        };
        let settings = &told.scenario().sender;
        let mut list = Vec::new();
        let mut own: Option<u16> = None;
        for (preference, host) in pairs {
            let addresses = told.addresses(&host, at);
            let is_own =
                |address: &IpAddr| address.is_loopback() || settings.addresses.contains(address);
            if settings.names.contains(&host) || addresses.iter().any(is_own) {
                own = Some(own.map_or(preference, |known| known.min(preference)));
            }
            let usable = addresses
                .into_iter()
                .filter(|address| settings.families.reach(*address));
            list.extend(usable.map(|address| (preference, host.clone(), address)));
        }
        Self {
            exchangers,
            list,
            own,
        }
    }

    /// The preference at which an attempt's address stands in the list.
    pub(super) fn preference_of(&self, attempt: &Attempt) -> Option<u16> {
        let same_host = |host: &Domain| {
            attempt
                .exchanger
                .as_ref()
                .is_none_or(|exchanger| exchanger == host)
        };
        let at_address = self
            .list
            .iter()
            .filter(|(_, _, address)| *address == attempt.address);
        at_address
            .filter(|(_, host, _)| same_host(host))
            .map(|(preference, ..)| *preference)
            .min()
    }

    /// Whether it is settled that there is nowhere to go.
    pub(super) fn are_known_to_be_none(&self) -> bool {
        self.exchangers != Exchangers::Failed && self.kept().next().is_none()
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &(u16, Domain, IpAddr)> {
        self.list
            .iter()
            .filter(|(preference, ..)| self.own.is_none_or(|own| *preference < own))
    }
}
