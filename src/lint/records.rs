//! Checks of records as they are written.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::RecordType;

use super::{
    Findings,
    catalogue::{CNAME_BESIDE, TTL_DIFFERS},
};
use crate::{
    name::Domain,
    survey::{Files, Placed},
};

/// What DNSSEC puts beside a CNAME (RFC 4034 sections 3 and 4).
const OF_DNSSEC: [&str; 4] = ["RRSIG", "NSEC", "NSEC3", "KEY"];

pub(super) fn check(findings: &mut Findings<'_>, files: &Files) {
    let survey = findings.survey;
    let within = |owner: &&Domain| owner.is_within(&survey.domain);
    let hosts = survey.hosts.keys();
    let owners: BTreeSet<&Domain> = files.written.keys().filter(within).chain(hosts).collect();
    for owner in owners {
        let Some(set) = files.written.get(owner) else {
            continue;
        };
        beside_alias(findings, files, owner, set);
        ttls(findings, owner, set);
    }
}

fn beside_alias(findings: &mut Findings<'_>, files: &Files, owner: &Domain, set: &[Placed]) {
    let is_alias = |placed: &&Placed| placed.record.record_type() == RecordType::CNAME;
    let Some(alias) = set.iter().find(is_alias) else {
        return;
    };
    let written = set.iter().filter(|placed| !is_alias(placed));
    let written = written.map(|placed| placed.record.record_type().to_string());
    let others = files.other_types(owner).map(str::to_owned);
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
        findings.add(CNAME_BESIDE, alias.place.clone(), message);
    }
}

fn ttls(findings: &mut Findings<'_>, owner: &Domain, set: &[Placed]) {
    let mut by_type: BTreeMap<RecordType, Vec<&Placed>> = BTreeMap::new();
    for placed in set {
        by_type
            .entry(placed.record.record_type())
            .or_default()
            .push(placed);
    }
    for (record_type, records) in by_type {
        let first = records[0].record.ttl;
        if let Some(other) = records.iter().find(|placed| placed.record.ttl != first) {
            let message = format!(
                "the {record_type} records of {owner} have TTLs of {first} and {} seconds",
                other.record.ttl
            );
            findings.add(TTL_DIFFERS, other.place.clone(), message);
        }
    }
}
