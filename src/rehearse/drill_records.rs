//! The records of a domain as a drill has them: those of its plan, with the TTLs that they have.
//!
//! A host whose addresses are not known gets one that stands for them, the same before and after a change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    net::{IpAddr, Ipv4Addr},
};

use hickory_proto::{
    op::{Message, OpCode, Query},
    rr::{
        RData, Record, RecordType,
        rdata::{CNAME, MX},
    },
};

use crate::{
    name::Domain,
    plan::{Plan, Planned, RouteKind},
    records::DomainRecords,
    zone::present,
};

/// The TTL in seconds of what stands for records that are not known, and of the SOA record that a lab makes up.
const TTL: u32 = 300;
/// The longest that records are taken to be remembered, in seconds: a week.
const MOST_TTL: u32 = 7 * 86_400;
/// The first of the addresses that stand for those which are not known, from the range for benchmarks (RFC
/// 2544), which no exchanger has.
const STAND_INS: u32 = u32::from_be_bytes([198, 18, 0, 1]);

/// Octets that a DNS message has for an answer: all of TCP's (RFC 1035 section 4.2.2) but those of an OPT record (RFC 6891
/// section 6.1.2).
const ROOM: usize = 65_535 - 11;
/// The bit of a message's third octet that says that it is cut off (RFC 1035 section 4.1.1).
const IS_TRUNCATED: u8 = 0x02;
/// MX records that fit into an answer however long their names are.
const SURELY_FIT: usize = 200;

/// Addresses that stand for those which are not known.
pub(super) struct StandIns {
    /// Those that a plan has.
    used: BTreeSet<IpAddr>,
    next: u32,
    /// The hosts that have got one.
    pub(super) of: BTreeMap<Domain, IpAddr>,
}

impl StandIns {
    /// Addresses that are in none of these plans.
    pub(super) fn beside<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Self {
        let levels = plans.into_iter().flat_map(|plan| &plan.levels);
        let exchangers = levels.flat_map(|level| &level.exchangers);
        Self {
            used: exchangers
                .flat_map(|planned| &planned.addresses)
                .copied()
                .collect(),
            next: STAND_INS,
            of: BTreeMap::new(),
        }
    }

    /// The one of a host.
    fn stand_in(&mut self, host: &Domain) -> IpAddr {
        if let Some(address) = self.of.get(host) {
            return *address;
        }
        loop {
            let address = IpAddr::V4(Ipv4Addr::from(self.next));
            self.next += 1;
            if !self.used.contains(&address) {
                self.of.insert(host.clone(), address);
                return address;
            }
        }
    }
}

/// What senders look up of a domain.
pub(super) struct DrillRecords {
    /// Its MX records; none where its own address takes the mail.
    pub(super) mx: Vec<Record>,
    /// The records of each host that they lead to.
    pub(super) hosts: BTreeMap<Domain, Vec<Record>>,
    /// The addresses of each exchanger.
    pub(super) addresses: BTreeMap<Domain, Vec<IpAddr>>,
    /// The SOA record, which says for how long it is remembered that something is not there.
    pub(super) soa: Option<Record>,
}

impl DrillRecords {
    /// Those that a plan leads to. An alias keeps its CNAME record: senders meet it as they would on the
    /// internet.
    pub(super) fn of(plan: &Plan, records: &DomainRecords, stand_ins: &mut StandIns) -> Self {
        let soa = records.soa.records().first();
        let soa = soa.map(|placed| &*placed.record);
        let mut drill = Self {
            mx: Vec::new(),
            hosts: BTreeMap::new(),
            addresses: BTreeMap::new(),
            soa: soa
                .filter(|soa| Domain::from(&soa.name) == plan.domain)
                .cloned(),
        };
        for level in &plan.levels {
            for planned in level.exchangers.iter().filter(|planned| planned.usable) {
                let listed = records.targets.iter();
                let ttl = listed
                    .filter(|target| target.host == planned.host)
                    .map(|target| target.ttl)
                    .next()
                    .unwrap_or(TTL);
                if plan.kind == RouteKind::Mx {
                    let data = RData::MX(MX::new(level.preference, planned.host.to_wire()));
                    let record = Record::from_rdata(plan.domain.to_wire(), ttl, data);
                    drill.mx.push(record);
                }
                drill.add_host(planned, ttl, records, stand_ins);
            }
        }
        drill
    }

    /// Adds the addresses of an exchanger; where none is known, the one that stands for them has the TTL of its
    /// MX record.
    fn add_host(
        &mut self,
        planned: &Planned,
        mx_ttl: u32,
        records: &DomainRecords,
        stand_ins: &mut StandIns,
    ) {
        let host = &planned.host;
        let known = records.host(host);
        let mut addressed: Vec<(IpAddr, u32)> = known
            .into_iter()
            .flat_map(|known| known.addressed())
            .map(|(address, placed)| (address, placed.record.ttl))
            .collect();
        if addressed.is_empty() {
            addressed.push((stand_ins.stand_in(host), mx_ttl));
        }
        let mut owner = host;
        if let Some(target) = &planned.alias_of {
            let data = RData::CNAME(CNAME(target.to_wire()));
            let alias = Record::from_rdata(host.to_wire(), addressed[0].1, data);
            self.hosts.insert(host.clone(), vec![alias]);
            owner = target;
        }
        let of_host = addressed
            .iter()
            .map(|(address, ttl)| Record::from_rdata(owner.to_wire(), *ttl, RData::from(*address)));
        // Two aliases may lead to one host.
        self.hosts
            .entry(owner.clone())
            .or_insert_with(|| of_host.collect());
        let addresses = addressed.into_iter().map(|(address, _)| address);
        self.addresses.insert(host.clone(), addresses.collect());
    }

    /// Whether the MX records fit into one answer. Where they do not, no sender gets them.
    pub(super) fn fit_an_answer(&self) -> bool {
        let Some(first) = self.mx.get(SURELY_FIT) else {
            return true;
        };
        let mut answer = Message::response(0, OpCode::Query);
        answer.add_query(Query::query(first.name.clone(), RecordType::MX));
        answer.add_answers(self.mx.iter().cloned());
        let octets = answer.to_vec();
        octets.is_ok_and(|octets| octets.len() <= ROOM && octets[2] & IS_TRUNCATED == 0)
    }

    /// As zone-file text, with their own TTLs or another one for all.
    pub(super) fn text(&self, ttl: Option<u32>) -> String {
        let own = self.soa.iter().chain(&self.mx);
        text(own.chain(self.hosts.values().flatten()), ttl)
    }

    /// The same with so many of the MX records, the most preferred ones.
    pub(super) fn of_first(mut self, count: usize) -> Self {
        self.mx.truncate(count);
        self
    }

    /// The addresses that other records do not lead to.
    pub(super) fn beyond(&self, other: &Self) -> BTreeSet<IpAddr> {
        let there: BTreeSet<&IpAddr> = other.addresses.values().flatten().collect();
        let here = self.addresses.values().flatten();
        here.filter(|address| !there.contains(address))
            .copied()
            .collect()
    }

    /// The hosts that have one of these addresses.
    pub(super) fn named(&self, addresses: &BTreeSet<IpAddr>) -> Vec<Domain> {
        let hosts = self.addresses.iter();
        let those = hosts.filter(|(_, own)| own.iter().any(|one| addresses.contains(one)));
        those.map(|(host, _)| host.clone()).collect()
    }

    /// For how long any of it may be remembered, in seconds.
    pub(super) fn longest_ttl(&self) -> u32 {
        let all = self.mx.iter().chain(self.hosts.values().flatten());
        let negative = self.mx.is_empty().then(|| self.negative_ttl());
        all.map(|record| record.ttl)
            .chain(negative)
            .max()
            .unwrap_or(TTL)
            .min(MOST_TTL)
    }

    /// For how long it is remembered that there are no MX records, in seconds: the TTL of the SOA record, or
    /// the minimum in it if that is less (RFC 2308 section 5).
    pub(super) fn negative_ttl(&self) -> u32 {
        match self.soa.as_ref().map(|soa| (soa.ttl, &soa.data)) {
            Some((ttl, RData::SOA(soa))) => ttl.min(soa.minimum),
            _ => TTL,
        }
    }
}

/// Records as zone-file text, with their own TTLs or another one for all.
pub(super) fn text<'a>(records: impl IntoIterator<Item = &'a Record>, ttl: Option<u32>) -> String {
    let mut text = String::new();
    for record in records {
        let mut record = record.clone();
        record.ttl = ttl.unwrap_or(record.ttl);
        writeln!(text, "{}", present::record(&record)).expect("a string takes it all");
    }
    text
}
