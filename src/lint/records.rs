//! Checks of records as they are written.
//!
//! A survey has answers, in which a CNAME hides what stands beside it and a record that is written
//! twice is one. These checks look at the files themselves.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::{RData, RecordType};

use super::{
    Check, LintFinding,
    catalogue::{CNAME_BESIDE, TTL_DIFFERS},
};
use crate::{
    name::Domain,
    records::{DomainRecords, Files, LocatedRecord},
};

/// What DNSSEC puts beside a CNAME (RFC 4034 sections 3 and 4).
const OF_DNSSEC: [&str; 4] = ["RRSIG", "NSEC", "NSEC3", "KEY"];

/// Checks the records of the domains and of their exchangers, each name once.
pub(super) fn check(surveys: &[DomainRecords], files: &Files, found: &mut Vec<LintFinding>) {
    let domains: BTreeSet<&Domain> = surveys
        .iter()
        .map(|domain_records| &domain_records.domain)
        .collect();
    let mut hosts: BTreeMap<&Domain, &Domain> = BTreeMap::new();
    for domain_records in surveys {
        for host in domain_records.hosts.keys() {
            hosts.entry(host).or_insert(&domain_records.domain);
        }
    }
    for (owner, set) in &files.written {
        let mut above = owner.at_and_above();
        let domain = above.find_map(|name| domains.get(&name).copied());
        let Some(domain) = domain.or_else(|| hosts.get(owner).copied()) else {
            continue;
        };
        let mut add = |check: Check, placed: &LocatedRecord, message: String| {
            found.push(LintFinding {
                check,
                domain: domain.clone(),
                place: placed.place.clone(),
                message,
            });
        };
        beside_alias(files, owner, set, &mut add);
        ttls(owner, set, &mut add);
    }
}

/// Whether anything stands beside a CNAME (RFC 1034 section 3.6.2: "no other data should be
/// present").
fn beside_alias(
    files: &Files,
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(Check, &LocatedRecord, String),
) {
    let targets: BTreeMap<String, &LocatedRecord> = set
        .iter()
        .filter_map(|placed| match &placed.record.data {
            RData::CNAME(target) => Some((target.0.to_lowercase().to_ascii(), placed)),
            _ => None,
        })
        .collect();
    let Some(alias) = targets.values().next() else {
        return;
    };
    if targets.len() > 1 {
        let message = format!("{owner} is an alias of {} names", targets.len());
        add(CNAME_BESIDE, alias, message);
    }
    let written = set.iter().map(|placed| placed.record.record_type());
    let written = written
        .filter(|kind| *kind != RecordType::CNAME)
        .map(|kind| kind.to_string());
    let others = files.other_types(owner).iter().cloned();
    let beside: BTreeSet<String> = written
        .chain(others)
        .filter(|kind| !OF_DNSSEC.contains(&&**kind))
        .collect();
    if !beside.is_empty() {
        let beside: Vec<String> = beside.into_iter().collect();
        let message = format!(
            "{owner} is an alias and has {} records too",
            beside.join(", ")
        );
        add(CNAME_BESIDE, alias, message);
    }
}

/// Whether the records of one name and type have one TTL (RFC 2181 section 5.2).
fn ttls(
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(Check, &LocatedRecord, String),
) {
    let mut first: BTreeMap<RecordType, u32> = BTreeMap::new();
    let mut told: BTreeSet<RecordType> = BTreeSet::new();
    for placed in set {
        let kind = placed.record.record_type();
        let ttl = placed.record.ttl;
        let expected = *first.entry(kind).or_insert(ttl);
        if ttl != expected && told.insert(kind) {
            let message =
                format!("the {kind} records of {owner} have TTLs of {expected} and {ttl} seconds");
            add(TTL_DIFFERS, placed, message);
        }
    }
}
