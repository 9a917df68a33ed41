//! Where the answers of the name server lead, all of them together, whoever asked.
//!
//! It joins the answers of a whole drill, changes of the zone included: too much rather than too
//! little, since it only says which messages an attempt may have been for.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use hickory_proto::rr::{RData, Record};

use crate::{name::Domain, zone::address_of};

/// By owner: exchangers and targets of aliases, aliases alone, and addresses.
#[derive(Default)]
pub(super) struct Routes {
    names: BTreeMap<Domain, BTreeSet<Domain>>,
    aliases: BTreeMap<Domain, Domain>,
    addresses: BTreeMap<Domain, BTreeSet<IpAddr>>,
}

impl Routes {
    /// Takes in the records of an answer.
    pub(super) fn learn(&mut self, records: &[Record]) {
        for record in records {
            let owner = Domain::from(&record.name);
            if let RData::CNAME(alias) = &record.data {
                let target = Domain::from(&alias.0);
                self.aliases.insert(owner.clone(), target.clone());
                self.names.entry(owner).or_default().insert(target);
            } else if let RData::MX(mx) = &record.data {
                let target = Domain::from(&mx.exchange);
                self.names.entry(owner).or_default().insert(target);
            } else if let Some(address) = address_of(&record.data) {
                self.addresses.entry(owner).or_default().insert(address);
            }
        }
    }

    /// The addresses to which mail for a domain may have been led, by exchangers, aliases, and
    /// literals. A circle of aliases ends.
    pub(super) fn reach(&self, domain: &Domain) -> BTreeSet<IpAddr> {
        let mut seen = BTreeSet::new();
        let mut next = vec![domain];
        let mut reached = BTreeSet::new();
        while let Some(name) = next.pop() {
            if seen.insert(name) {
                reached.extend(name.literal());
                reached.extend(name.as_str().parse::<IpAddr>());
                reached.extend(self.addresses.get(name).into_iter().flatten());
                next.extend(self.names.get(name).into_iter().flatten());
            }
        }
        reached
    }

    /// The names that an alias stands for, one after the other. Some senders write the last of them
    /// in RCPT.
    pub(super) fn stands_for(&self, alias: &Domain) -> BTreeSet<&Domain> {
        let mut names = BTreeSet::new();
        let mut at = alias;
        while let Some(next) = self.aliases.get(at).filter(|next| names.insert(*next)) {
            at = next;
        }
        names
    }
}
