//! The records of zone files and scenarios as one: what they say, and of which names and types they say
//! everything. What they do not say trips nothing.
//!
//! A zone file with its SOA record says everything about its zone, up to where NS records hand a
//! part on. A file without one is a list: it says everything of the types that it has, at and below
//! its topmost names. A scenario says everything there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};

use super::{
    allowance::{self, Allowance},
    answer::{LocatedRecord, Location, RecordLookup},
};
use crate::{
    diagnostic::{Mistake, Mistakes},
    name::{Domain, SENDER_DOMAIN},
    scenario::Scenario,
    time::Moment,
    zone::{
        self, Zone, address_of,
        file::ZoneText,
        present,
        text::{self, Entered, Include, LineCounter, Misread, Reading},
    },
};

/// Addresses that a name may have; the bound is for files made to exhaust.
const MAX_ADDRESSES: usize = 1000;

/// The records of zone files and scenarios.
#[derive(Default)]
pub(crate) struct Files {
    /// All records together, which answer.
    zone: Zone,
    /// Every record as it is written, repetitions too, by owner.
    pub(crate) written: BTreeMap<Domain, Vec<LocatedRecord>>,
    /// Names at and below which the files say everything.
    apexes: BTreeMap<Domain, Coverage>,
    /// Whether a scenario is among the files: then a name that is not there does not exist.
    is_scenario: bool,
    /// The types of records that mean nothing to mail, by owner; some of them must not stand beside
    /// a CNAME.
    others: BTreeMap<Domain, Vec<String>>,
    /// The apexes of zones that the files show as signed.
    signed: BTreeSet<Domain>,
    /// The texts of MTA-STS policies, by domain.
    policies: BTreeMap<Domain, String>,
    /// What was passed over, a line for each file.
    pub(super) notes: Vec<String>,
    /// In which files TTLs were assumed.
    assumed: Vec<String>,
    /// Findings that comments accept.
    pub(crate) allowances: Vec<Allowance>,
    /// Zones that files are named after, whether or not they have its SOA record.
    pub(super) named: BTreeSet<Domain>,
    /// Whose record begins at a line of a file.
    owners: BTreeMap<Arc<str>, BTreeMap<usize, Domain>>,
}

/// What the files say everything of, below an apex.
enum Coverage {
    /// Records of every type: it is a zone, with its SOA.
    Zone,
    /// Those of the types that a mere list of records has.
    Types(BTreeSet<RecordType>),
}

impl Files {
    /// The records that a scenario holds itself; it says everything there is.
    pub(super) fn add_scenario(&mut self, scenario: &Scenario) {
        let zone = scenario.world.zones.at(Moment::START);
        for record in zone.records() {
            let owner = Domain::from(&record.name);
            self.add(owner, record.clone(), None);
        }
        self.is_scenario = true;
        self.add_beside(scenario);
    }

    /// What a scenario says besides its records.
    pub(super) fn add_beside(&mut self, scenario: &Scenario) {
        self.signed.extend(scenario.world.dnssec.iter().cloned());
        for policy in &scenario.world.policies {
            self.policies
                .entry(policy.domain.clone())
                .or_insert_with(|| policy.text.clone());
        }
    }

    /// The records of a zone file. After an error the files are of no
    /// use: part of it may have been taken in.
    pub(super) fn add_zone_file(
        &mut self,
        path: &str,
        content: &ZoneText,
        origin: Option<&Domain>,
        include: &Include<'_>,
    ) -> Result<(), Mistakes> {
        let reading = Reading {
            origin: origin.map(Domain::to_wire),
            is_latin: content.is_latin,
            include: Some(include),
        };
        let content = &*content.text;
        let has_allowances = content.contains("mxdrill:");
        let shown: Arc<str> = path.into();
        let mut counter = LineCounter::default();
        let mut apexes: Vec<Domain> = Vec::new();
        let mut owners: Vec<Domain> = Vec::new();
        let mut types: BTreeSet<RecordType> = BTreeSet::new();
        let mut lines: BTreeMap<usize, Domain> = BTreeMap::new();
        let mut take = |entered: Entered| {
            let (offset, record) = (entered.offset, entered.record);
            let owner = Domain::from(&record.name);
            let record_type = record.record_type();
            let is_here = entered.included.is_none();
            let place = entered
                .included
                .unwrap_or_else(|| (Arc::clone(&shown), counter.of(content, offset)));
            let place = Location {
                path: place.0,
                line: place.1,
            };
            if record_type == RecordType::SOA {
                self.refuse_another(&owner, &record, &place.path)?;
                apexes.push(owner.clone());
            }
            types.insert(kin(record_type));
            if is_here && has_allowances {
                lines.insert(place.line, owner.clone());
            }
            if owners.last() != Some(&owner) {
                owners.push(owner.clone());
            }
            let is_address = address_of(&record.data).is_some();
            self.add(owner.clone(), record, Some(place));
            match is_address {
                true => self.bound_addresses(&owner),
                false => Ok(()),
            }
        };
        let written = text::parse_file(content, &reading, &mut take)
            .map_err(|misread| told(path, content, misread))?;
        if written.records == 0 && written.others.is_empty() {
            let message = "found no record, expected a zone file (RFC 1035 section 5.1)".to_owned();
            return Err(Mistakes(vec![Mistake::at(path, content, 0, message)]));
        }
        self.notes.extend(written.note(path));
        self.assumed.extend(written.assumed(path));
        if has_allowances {
            self.allowances
                .extend(allowance::read(&shown, content, &lines));
            self.owners.insert(shown, lines);
        }
        // Without an SOA record a file is about what is topmost in it, and lists records of some types.
        if apexes.is_empty() {
            topmost(&owners.into_iter().collect())
                // A file may hold zones within zones, each with its SOA.
                .for_each(|apex| self.cover_types(apex.clone(), types.iter().copied()))
        } else {
            self.apexes
                .extend(apexes.into_iter().map(|apex| (apex, Coverage::Zone)));
        }
        for (owner, kind) in written.others {
            if matches!(&*kind, "DNSKEY" | "RRSIG") {
                self.signed.insert(owner.clone());
            }
            self.others.entry(owner).or_default().push(kind);
        }
        Ok(())
    }

    /// Whose record begins at a line of a file that has allowances.
    pub(crate) fn owner_at(&self, path: &str, line: usize) -> Option<&Domain> {
        self.owners.get(path)?.get(&line)
    }

    /// Two zones of one name are two versions of it, and records of both together are neither. Within a file
    /// the same SOA record may stand twice: a zone transfer ends with it.
    fn refuse_another(&self, owner: &Domain, record: &Record, path: &str) -> Result<(), String> {
        let known = self.written.get(owner).map_or(&[][..], Vec::as_slice);
        let other = known.iter().find(|placed| {
            let is_here = placed
                .place
                .as_ref()
                .is_none_or(|place| *place.path == *path);
            placed.record.record_type() == RecordType::SOA
                && !(is_here && placed.record.data == record.data)
        });
        let Some(other) = other else { return Ok(()) };
        let place = match &other.place {
            Some(place) => format!(" beside the one at {place}"),
            None => String::new(),
        };
        Err(format!(
            "found a second SOA record of {owner}{place}, expected one version of the zone ({} and {})",
            serial(&other.record),
            serial(record)
        ))
    }

    /// Notes that the files say everything of these types at and below an apex.
    fn cover_types(&mut self, apex: Domain, types: impl Iterator<Item = RecordType>) {
        let known = self
            .apexes
            .entry(apex)
            .or_insert_with(|| Coverage::Types(BTreeSet::new()));
        if let Coverage::Types(known) = known {
            known.extend(types);
        }
    }

    /// Adds a record. A PTR record says that its whole reverse zone is there.
    fn add(&mut self, owner: Domain, record: Record, place: Option<Location>) {
        let record = Arc::new(record);
        let placed = LocatedRecord {
            record: Arc::clone(&record),
            place,
        };
        let record_type = record.record_type();
        if matches!(record_type, RecordType::PTR | RecordType::CNAME)
            && let Some(apex) = reverse_zone(&owner)
        {
            self.cover_types(apex, std::iter::once(RecordType::PTR));
        }
        let set = self.written.entry(owner.clone()).or_default();
        zone::push(set, placed);
        self.zone.add_at(owner, record);
    }

    /// Refuses a name with more addresses than an answer holds.
    fn bound_addresses(&self, owner: &Domain) -> Result<(), String> {
        let set = self.written.get(owner).map_or(&[][..], Vec::as_slice);
        if set.len() <= MAX_ADDRESSES {
            return Ok(());
        }
        let is_address = |placed: &&LocatedRecord| address_of(&placed.record.data).is_some();
        match set.iter().filter(is_address).count() {
            ..=MAX_ADDRESSES => Ok(()),
            _ => Err(format!(
                "found more than {MAX_ADDRESSES} addresses of {owner}, expected as many as an answer holds"
            )),
        }
    }

    pub(super) fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn assumed(&self) -> &[String] {
        &self.assumed
    }

    /// The domains that the files are about: those with MX records, and zones with an address of their own, which takes
    /// their mail; without any MX record, the apexes that are no reverse zones.
    pub(super) fn mail_domains(&self) -> Vec<Domain> {
        let is_mx = |placed: &LocatedRecord| placed.record.record_type() == RecordType::MX;
        let is_address = |placed: &LocatedRecord| address_of(&placed.record.data).is_some();
        let is_forward = |apex: &&Domain| !apex.is_root() && !apex.as_str().ends_with(".arpa");
        // A scenario has a sender of its own, and a wildcard is no domain to send to.
        let own =
            |owner: &&Domain| owner.as_str() != SENDER_DOMAIN && !owner.as_str().starts_with("*.");
        let is_zone = |owner: &Domain| match self.apexes.get(owner) {
            Some(Coverage::Zone) => true,
            // The topmost names of a list may be hosts alone, and one of no addresses says nothing of MX records.
            Some(Coverage::Types(types)) => {
                self.named.contains(owner) && types.contains(&RecordType::A)
            }
            None => false,
        };
        let (mut found, mut has_mx) = (Vec::new(), false);
        for (owner, set) in self.written.iter().filter(|(owner, _)| own(owner)) {
            let with_mx = set.iter().any(is_mx);
            has_mx |= with_mx;
            let is_meant = with_mx
                || is_zone(owner)
                    && is_forward(&owner)
                    && (set.iter().any(is_address) || self.is_provider_alias(owner));
            found.extend(is_meant.then(|| owner.clone()));
        }
        match has_mx {
            true => found,
            false => self.apexes.keys().filter(is_forward).cloned().collect(),
        }
    }

    /// Whether a provider's own name servers put addresses at a name.
    fn is_provider_alias(&self, name: &Domain) -> bool {
        let mut others = self.other_types(name).iter();
        others.any(|kind| matches!(&**kind, "ALIAS" | "ANAME"))
    }

    pub(super) fn policy(&self, domain: &Domain) -> Option<&str> {
        self.policies.get(domain).map(String::as_str)
    }

    /// Whether a domain is signed, where that can be told.
    pub(super) fn is_signed(&self, domain: &Domain) -> Option<bool> {
        // What signs is passed over, wherever it is: a list of other records says nothing of it.
        let is_covered = self.cover(domain, RecordType::RRSIG);
        is_covered.then(|| {
            domain
                .texts_at_and_above()
                .any(|name| self.signed.contains(name))
        })
    }

    /// Types of records at a name that mean nothing to mail.
    pub(crate) fn other_types(&self, owner: &Domain) -> &[String] {
        self.others.get(owner).map_or(&[], Vec::as_slice)
    }

    /// Whether the files say everything about a name and type: it is within a zone and not handed on.
    pub(super) fn cover(&self, name: &Domain, record_type: RecordType) -> bool {
        if self.is_scenario {
            return true;
        }
        for node in name.texts_at_and_above() {
            match self.apexes.get(node) {
                Some(Coverage::Zone) => return true,
                Some(Coverage::Types(types)) if types.contains(&kin(record_type)) => return true,
                // A list of hosts in which nobody has an MX record is of a domain without one.
                Some(Coverage::Types(types))
                    if record_type == RecordType::MX
                        && node == name.as_str()
                        && types.contains(&RecordType::A) =>
                {
                    return true;
                }
                _ => {}
            }
            let set = self.written.get(node).map_or(&[][..], Vec::as_slice);
            let is_cut = set
                .iter()
                .any(|placed| placed.record.record_type() == RecordType::NS);
            if is_cut {
                return false;
            }
        }
        false
    }

    /// The answer at a name, or the name that it is an alias of.
    pub(super) fn answer(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> Result<RecordLookup, Domain> {
        // What is there with records of no interest is no less there: no wildcard speaks for it (RFC 4592 section 2.2).
        if self.others.contains_key(name) && !self.written.contains_key(name) {
            return Ok(self.nothing_at(name, record_type, ResponseCode::NoError));
        }
        let answer = self.zone.answer_without_soa(name, record_type);
        if answer.code == ResponseCode::ServFail {
            return Ok(RecordLookup::Failed);
        }
        let mut end = name.clone();
        for record in &answer.records {
            match &record.data {
                RData::CNAME(target) if record_type != RecordType::CNAME => {
                    end = Domain::from(&target.0);
                }
                _ => {}
            }
        }
        let written = self.written.get(&end).map_or(&[][..], Vec::as_slice);
        // A zone keeps the order of its file: the next record is looked for where the last one was.
        let mut next = 0;
        let mut found: Vec<LocatedRecord> = answer
            .records
            .into_iter()
            .filter(|record| record.record_type() == record_type)
            .map(|record| {
                let (before, behind) = written.split_at(next.min(written.len()));
                let mut in_turn = (next..).zip(behind).chain((0..).zip(before));
                let same = in_turn.find(|(_, placed)| placed.record.data == record.data);
                next = same.map_or(next, |(index, _)| index + 1);
                let same = same.map(|(_, placed)| placed);
                // Records are equal whatever their TTLs are.
                let is_whole = |placed: &&LocatedRecord| {
                    *placed.record == record
                        && placed.record.ttl == record.ttl
                        && placed.record.name.eq_case(&record.name)
                };
                LocatedRecord {
                    place: same.and_then(|placed| placed.place.clone()),
                    // A portfolio has a million of them, and most are as they are written.
                    record: match same.filter(is_whole) {
                        Some(placed) => Arc::clone(&placed.record),
                        None => Arc::new(record),
                    },
                }
            })
            .collect();
        if !found.is_empty() {
            // They are kept, most of them alone: a portfolio has a million of them.
            found.shrink_to_fit();
            return Ok(RecordLookup::Records(found));
        }
        // An alias that leads out of the files is for somebody else to follow.
        if end != *name && !self.cover(&end, record_type) {
            return Err(end);
        }
        Ok(self.nothing_at(&end, record_type, answer.code))
    }

    /// What it means that a name has no such record.
    fn nothing_at(
        &self,
        name: &Domain,
        record_type: RecordType,
        code: ResponseCode,
    ) -> RecordLookup {
        let is_address = matches!(record_type, RecordType::A | RecordType::AAAA);
        if is_address && self.is_provider_alias(name) {
            return RecordLookup::Unknown;
        }
        match code {
            ResponseCode::NXDomain => RecordLookup::NoDomain,
            _ => RecordLookup::NoData,
        }
    }

    /// A name as it is held here, if it owns records.
    pub(super) fn own(&self, name: &Domain) -> Domain {
        self.zone.own(name)
    }

    /// Where a name is written down first.
    pub(crate) fn place_of_name(&self, name: &Domain) -> Option<Location> {
        self.written.get(name)?.first()?.place.clone()
    }
}

/// Types that a list has together: who writes down hosts writes down all their addresses.
fn kin(record_type: RecordType) -> RecordType {
    match record_type {
        RecordType::AAAA | RecordType::CNAME | RecordType::DNAME => RecordType::A,
        other => other,
    }
}

/// The serial number of an SOA record, by which people tell versions of a zone apart.
fn serial(record: &Record) -> String {
    match &record.data {
        RData::SOA(soa) => format!("serial {}", soa.serial),
        other => present::data(other),
    }
}

/// Owners that are below no other.
fn topmost(owners: &BTreeSet<Domain>) -> impl Iterator<Item = &Domain> {
    let is_below = |owner: &Domain| {
        let mut above = owner.at_and_above().skip(1);
        above.any(|above| owners.contains(&above))
    };
    owners.iter().filter(move |owner| !is_below(owner))
}

/// The mistakes of a file that the user named: each with its place.
fn told(path: &str, content: &str, misread: Misread) -> Mistakes {
    let told = misread.mistakes.into_iter().map(|one| {
        let here = Mistake::at(path, content, one.offset, one.message);
        one.elsewhere.unwrap_or(here)
    });
    Mistakes(told.collect())
}

/// The zone that the reverse name of an address is likely to be in: of a /24, or of a /64. Files often
/// hold PTR records without the SOA record of their zone.
fn reverse_zone(owner: &Domain) -> Option<Domain> {
    let labels = match owner.as_str() {
        ipv4 if ipv4.ends_with(".in-addr.arpa") => 1,
        ipv6 if ipv6.ends_with(".ip6.arpa") => 16,
        _ => return None,
    };
    owner.at_and_above().nth(labels)
}
