//! The records of a drill as one name space, and how a recursive resolver answers from them.
//!
//! A [`Zone`] never changes; [`History`] holds the zones that follow each other in time. Sending
//! answers (transports, faults) is the name server's concern.
//!
//! How an answer is found (`Zone::answer`), after RFC 1034 section 4.3.2:
//!
//! 1. A DNAME record above the name makes an alias of it (RFC 6672), which is followed.
//! 2. The records at the name count; if the name does not exist, those at the wildcard of
//!    its closest encloser (RFC 4592).
//! 3. Records of the type asked for are the answer; otherwise an alias is followed, 16 of them at
//!    most.
//! 4. Without either the answer is negative, with an SOA record that says for how long (RFC 2308).
//!
//! There are no zone cuts and no delegations: a drill has the whole name space, as a resolver sees
//! it. Zone-file text is read by `text` with `entries`, `words`, `kinds`, `data` and `generate`;
//! `present` writes it; `file` decides which files may be read.

mod data;
mod entries;
mod existing;
pub mod file;
mod generate;
mod history;
mod kinds;
pub(crate) mod present;
pub(crate) mod text;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    net::IpAddr,
    sync::Arc,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{
        Name, RData, Record, RecordType,
        rdata::{A, AAAA, CNAME, SOA},
    },
    serialize::binary::BinDecodable,
};

pub use self::history::History;
pub(crate) use self::history::names_beside;
use crate::name::Domain;

/// Aliases followed before a chain counts as endless. Resolvers stop between 8 and 16.
pub(crate) const MAX_ALIASES: usize = 16;
/// Seconds for which a negative answer may be cached when the zone has no SOA of its own.
const NEGATIVE_TTL: u32 = 300;

/// A set of records; everything outside it does not exist.
///
/// It is a value: changes make another one ([`History`]).
#[derive(Debug, Clone, Default)]
pub struct Zone {
    // By owner; each owner's records in the order of the file. Who tells where they are written down has the same ones.
    records: BTreeMap<Domain, Vec<Arc<Record>>>,
    /// For the text of each name with others below it, how many of those directly below exist.
    parents: HashMap<Box<str>, usize>,
    /// The names that own a DNAME record, which redirects all below them: few zones have one.
    redirecting: BTreeSet<Domain>,
}

/// The answer of a recursive resolver, before any fault.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// NOERROR, NXDOMAIN, or SERVFAIL for an endless chain of aliases.
    pub(crate) code: ResponseCode,
    /// Aliases in the order in which they were followed, then the records asked for.
    pub(crate) records: Vec<Record>,
    /// Set in a negative answer (RFC 2308 section 3).
    pub(crate) soa: Option<Record>,
}

impl Zone {
    /// A zone of these records, kept in their order.
    pub fn new(records: impl IntoIterator<Item = Record>) -> Self {
        let mut zone = Self::default();
        records.into_iter().for_each(|record| zone.add(record));
        zone
    }

    /// Adds a record. One with the same owner and data is replaced, so that its TTL is the last one
    /// given: duplicates are no records (RFC 2181 section 5).
    pub(crate) fn add(&mut self, record: Record) {
        self.add_at(Domain::from(&record.name), Arc::new(record));
    }

    /// As [`Self::add`], where the owner is at hand: maps that hold it too share it, and the record.
    pub(crate) fn add_at(&mut self, owner: Domain, record: Arc<Record>) {
        if dname_target(&record.data).is_some() {
            self.redirecting.insert(owner.clone());
        }
        match self.records.entry(owner) {
            Entry::Occupied(mut set) => {
                let set = set.get_mut();
                match set.iter_mut().find(|known| known.data == record.data) {
                    Some(known) => *known = record,
                    None => push(set, record),
                }
            }
            Entry::Vacant(place) => {
                let owner = place.key().clone();
                place.insert(vec![record]);
                if !self.parents.contains_key(owner.as_str()) {
                    self.exists_from_now_on(owner);
                }
            }
        }
    }

    /// Removes the records of a name, all of them or those of one type; how many there were.
    pub(crate) fn remove(&mut self, name: &Domain, record_type: Option<RecordType>) -> usize {
        let Some(set) = self.records.get_mut(name) else {
            return 0;
        };
        let before = set.len();
        set.retain(|record| record_type.is_some_and(|wanted| record.record_type() != wanted));
        let removed = before - set.len();
        if !set
            .iter()
            .any(|record| dname_target(&record.data).is_some())
        {
            self.redirecting.remove(name);
        }
        if set.is_empty() {
            self.records.remove(name);
            if !self.parents.contains_key(name.as_str()) {
                self.exists_no_more(name.clone());
            }
        }
        removed
    }

    /// All records, by owner, those of an owner in the order of the file.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.values().flatten().map(|record| &**record)
    }

    /// The records as zone-file text, a line each.
    pub fn to_text(&self) -> String {
        self.records()
            .map(|record| present::record(record) + "\n")
            .collect()
    }

    /// The names that own records, in order.
    pub fn names(&self) -> impl Iterator<Item = &Domain> {
        self.records.keys()
    }

    /// The zone's own copy of a name, if it owns records: who holds that holds no other.
    pub(crate) fn own(&self, name: &Domain) -> Domain {
        let own = self.records.get_key_value(name);
        own.map_or(name, |(own, _)| own).clone()
    }

    /// The records that a name owns, in the order of the file.
    pub(crate) fn owned_by(&self, owner: &Domain) -> impl Iterator<Item = &Record> + Clone {
        let records = self.records.get(owner).into_iter().flatten();
        records.map(|record| &**record)
    }

    /// Every address with the names that own it.
    pub fn addresses(&self) -> BTreeMap<IpAddr, Vec<Domain>> {
        let mut owners: BTreeMap<IpAddr, Vec<Domain>> = BTreeMap::new();
        for (owner, set) in &self.records {
            for address in set.iter().filter_map(|record| address_of(&record.data)) {
                owners.entry(address).or_default().push(owner.clone());
            }
        }
        owners
    }

    /// Answers a query as a recursive resolver does: aliases followed, an SOA with what is not there.
    ///
    /// Records at a wildcard carry the name of the question (RFC 4592).
    pub(crate) fn answer(&self, name: &Domain, record_type: RecordType) -> Answer {
        self.answer_with(name, record_type, |name| Some(self.soa_for(name)))
    }

    /// The records of a type where no alias or wildcard is in the way: then they are the answer to the question, and need not
    /// be made one. `None`: it takes [`Self::answer`] to tell.
    pub(crate) fn plainly_at(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> Option<impl Iterator<Item = &Record> + Clone> {
        let is_special = matches!(
            record_type,
            RecordType::ANY | RecordType::CNAME | RecordType::SOA
        );
        if is_special || !self.redirecting.is_empty() {
            return None;
        }
        let set = self.records.get(name)?;
        let all = set.iter().map(|record| &**record);
        let is_alias = |record: &Record| record.record_type() == RecordType::CNAME;
        let of_type = move |record: &&Record| record.record_type() == record_type;
        (!all.clone().any(is_alias)).then(|| all.filter(of_type))
    }

    /// As [`Self::answer`], for those who do not ask for how long something is not there: of most names of a portfolio
    /// most records are not there.
    pub(crate) fn answer_without_soa(&self, name: &Domain, record_type: RecordType) -> Answer {
        match record_type {
            RecordType::SOA => self.answer(name, record_type),
            _ => self.answer_with(name, record_type, |_| None),
        }
    }

    fn answer_with(
        &self,
        name: &Domain,
        record_type: RecordType,
        soa_for: impl Fn(&Domain) -> Option<Record>,
    ) -> Answer {
        let positive = |records| Answer {
            code: ResponseCode::NoError,
            records,
            soa: None,
        };
        let mut records = Vec::new();
        let mut current = name.clone();
        for _ in 0..=MAX_ALIASES {
            if let Some((above, alias)) = self.redirected(&current) {
                records.push(above);
                let Some(target) = alias.as_ref().and_then(alias_target) else {
                    break;
                };
                records.extend(alias);
                current = target;
                if record_type == RecordType::CNAME {
                    return positive(records);
                }
                continue;
            }
            let Some((owner, set)) = self.lookup(&current) else {
                let code = if self.exists(&current) {
                    ResponseCode::NoError
                } else {
                    ResponseCode::NXDomain
                };
                return Answer {
                    code,
                    records,
                    soa: soa_for(&current),
                };
            };
            let at_current = |record: &Record| {
                let mut record = record.clone();
                record.name = current.to_wire();
                record
            };
            let wanted = |record: &&Record| {
                record_type == RecordType::ANY || record.record_type() == record_type
            };
            let all = set.iter().map(|record| &**record);
            let found: Vec<Record> = all.filter(wanted).map(at_current).collect();
            if !found.is_empty() {
                records.extend(found);
                return positive(records);
            }
            let alias = set
                .iter()
                .find_map(|record| Some((record, alias_target(record)?)));
            let Some((record, target)) = alias else {
                let soa = soa_for(&current);
                if let Some(soa) = &soa
                    && record_type == RecordType::SOA
                    && soa.name == owner.to_wire()
                {
                    records.push(soa.clone());
                    return positive(records);
                }
                return Answer {
                    code: ResponseCode::NoError,
                    records,
                    soa,
                };
            };
            records.push(at_current(record));
            current = target;
        }
        // An endless chain: what resolvers that give up on one answer.
        Answer {
            code: ResponseCode::ServFail,
            records: Vec::new(),
            soa: None,
        }
    }

    /// The DNAME record above a name, and the alias that it makes of the name (RFC 6672 section 3.1); none
    /// where the new name does not fit.
    fn redirected(&self, name: &Domain) -> Option<(Record, Option<Record>)> {
        if self.redirecting.is_empty() {
            return None;
        }
        let (above, target) = name.at_and_above().skip(1).find_map(|above| {
            let set = self.redirecting.get(&above)?;
            let set = self.records.get(set)?;
            set.iter()
                .find_map(|record| Some((record, dname_target(&record.data)?)))
        })?;
        let wire = name.to_wire();
        let below = wire.iter().len() - above.name.iter().len();
        let labels = wire.iter().take(below).chain(target.iter());
        let alias = Name::from_labels(labels)
            .ok()
            .map(|target| Record::from_rdata(wire.clone(), above.ttl, RData::CNAME(CNAME(target))));
        Some((Record::clone(above), alias))
    }

    /// The records at a name, or at the wildcard that stands for it (RFC 4592 section 2.1.1).
    fn lookup(&self, name: &Domain) -> Option<(Domain, &Vec<Arc<Record>>)> {
        if let Some(set) = self.records.get(name) {
            return Some((name.clone(), set));
        }
        if self.exists(name) {
            return None;
        }
        let mut above = name.texts_at_and_above().skip(1);
        let encloser = above.find(|text| *text == "." || self.exists_text(text))?;
        let wildcard = match encloser {
            "." => "*".to_owned(),
            encloser => format!("*.{encloser}"),
        };
        let found = self.records.get_key_value(wildcard.as_str());
        found.map(|(wildcard, set)| (wildcard.clone(), set))
    }

    /// The SOA of the zone that a name lies in: the nearest one above it, or one made up at the
    /// topmost existing name above it.
    pub(crate) fn soa_for(&self, name: &Domain) -> Record {
        let mut apex = Domain::root();
        for above in name.texts_at_and_above() {
            let Some((owner, set)) = self.records.get_key_value(above) else {
                continue;
            };
            let mut records = set.iter();
            if let Some(soa) = records.find(|record| record.record_type() == RecordType::SOA) {
                return Record::clone(soa);
            }
            apex = owner.clone();
        }
        let (primary, contact) = if apex.is_root() {
            (Domain::root(), Domain::root())
        } else {
            (apex.prefixed("ns"), apex.prefixed("hostmaster"))
        };
        let soa = SOA::new(
            primary.to_wire(),
            contact.to_wire(),
            1,
            7200,
            3600,
            1_209_600,
            NEGATIVE_TTL,
        );
        Record::from_rdata(apex.to_wire(), NEGATIVE_TTL, RData::SOA(soa))
    }
}

/// Adds a record to those of a name. Most names have one or two, of zones that may have a million: no room is
/// made for more.
pub(crate) fn push<T>(set: &mut Vec<T>, record: T) {
    if set.len() < 4 {
        set.reserve_exact(1);
    }
    set.push(record);
}

/// The name that a CNAME record leads to.
pub(crate) fn alias_target(record: &Record) -> Option<Domain> {
    match &record.data {
        RData::CNAME(target) => Some(Domain::from(&target.0)),
        _ => None,
    }
}

/// The name that a DNAME record leads to, which hickory leaves as the octets it is.
fn dname_target(data: &RData) -> Option<Name> {
    match data {
        RData::Unknown {
            code: RecordType::DNAME,
            rdata,
        } => Name::from_bytes(&rdata.anything).ok(),
        _ => None,
    }
}

/// The address in an A or AAAA record's data.
pub(crate) fn address_of(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(A(address)) => Some(IpAddr::V4(*address)),
        RData::AAAA(AAAA(address)) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
