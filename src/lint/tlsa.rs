//! Checks of TLSA records for SMTP (RFC 7672): whether DANE can do what it is there for.

use std::collections::BTreeMap;

use hickory_proto::rr::{RData, rdata::TLSA};

use super::{
    DomainFindings,
    catalogue::{
        TLSA_LENGTH, TLSA_MISPLACED, TLSA_PARTIAL, TLSA_ROLLOVER, TLSA_SHA512_ONLY, TLSA_UNSIGNED,
        TLSA_USAGE,
    },
    listed,
};
use crate::{
    name::Domain,
    records::{KnownHost, MxTarget},
};

/// Everything about TLSA records.
pub(super) fn check(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    across(findings, named);
    each(findings, named);
    misplaced(findings, named);
}

/// Whether DANE holds for all exchangers, in a zone that is signed.
fn across(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let hosts: BTreeMap<&Domain, &KnownHost> = named
        .iter()
        .filter_map(|listed| Some((&listed.host, domain_records.host(&listed.host)?)))
        .collect();
    let with: Vec<_> = hosts
        .iter()
        .filter(|(_, host)| !host.tlsa.records().is_empty())
        .collect();
    let without: Vec<_> = hosts
        .iter()
        .filter(|(_, host)| host.tlsa.is_none())
        .collect();
    let Some((_, first)) = with.first() else {
        return;
    };
    let place = first.tlsa.records()[0].place.clone();
    if !without.is_empty() {
        let message = format!(
            "TLSA records: {} has some, and {} none",
            listed(with.iter().map(|(name, _)| name)),
            listed(without.iter().map(|(name, _)| name)),
        );
        findings.add(TLSA_PARTIAL, place.clone(), message);
    }
    let unsigned = with.iter().filter(|(_, host)| host.signed == Some(false));
    let unsigned = listed(unsigned.map(|(name, _)| name));
    if !unsigned.is_empty() {
        let message = format!("TLSA records without DNSSEC, as far as the file says: {unsigned}");
        findings.add(TLSA_UNSIGNED, place, message);
    }
}

/// Whether a sender can use each record.
fn each(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let hosts: BTreeMap<&Domain, &KnownHost> = named
        .iter()
        .filter_map(|listed| Some((&listed.host, domain_records.host(&listed.host)?)))
        .collect();
    for (name, host) in hosts {
        together(findings, name, host);
        for placed in host.tlsa.records() {
            let RData::TLSA(tlsa) = &placed.record.data else {
                continue;
            };
            if let Some(found) = unusable(tlsa) {
                let message = format!("a TLSA record of {name} has {found}");
                findings.add(TLSA_USAGE, placed.place.clone(), message);
            }
            let octets = tlsa.cert_data.len();
            let (kind, expected) = match u8::from(tlsa.matching) {
                1 => ("SHA-256", 32),
                2 => ("SHA-512", 64),
                _ => continue,
            };
            if octets != expected {
                let message = format!(
                    "a TLSA record of {name} has a {kind} digest of {octets} octets, expected {expected}"
                );
                findings.add(TLSA_LENGTH, placed.place.clone(), message);
            }
        }
    }
}

/// Whether the records of a host do for every sender, and for the next key.
fn together(findings: &mut DomainFindings<'_>, name: &Domain, host: &KnownHost) {
    let records = host.tlsa.records().iter();
    let usable: Vec<(&TLSA, _)> = records
        .filter_map(|placed| match &placed.record.data {
            RData::TLSA(tlsa) if unusable(tlsa).is_none() => Some((tlsa, &placed.place)),
            _ => None,
        })
        .collect();
    let Some((_, place)) = usable.first() else {
        return;
    };
    let digests = usable.iter().map(|(tlsa, _)| u8::from(tlsa.matching));
    if digests.clone().all(|digest| digest == 2) {
        let message = format!("the TLSA records of {name} have SHA-512 digests alone");
        findings.add(TLSA_SHA512_ONLY, (*place).clone(), message);
    }
    if usable.len() == 1 {
        let message = format!("{name} has one TLSA record, and none for the next key");
        findings.add(TLSA_ROLLOVER, (*place).clone(), message);
    }
}

/// The field of a record that keeps senders from using it (RFC 7672 section 3.1, RFC 6698 section
/// 7); `None` if they can.
fn unusable(tlsa: &TLSA) -> Option<String> {
    let usage = u8::from(tlsa.cert_usage);
    let selector = u8::from(tlsa.selector);
    let matching = u8::from(tlsa.matching);
    match () {
        () if usage < 2 => Some(format!(
            "usage {usage}, which means nothing for SMTP, expected 3 or 2"
        )),
        () if usage > 3 => Some(format!("usage {usage}, expected 3 or 2")),
        () if selector > 1 => Some(format!("selector {selector}, expected 0 or 1")),
        () if matching > 2 => Some(format!("matching type {matching}, expected 1, 2 or 0")),
        () => None,
    }
}

/// Whether there are records at the domain, where nobody looks who sends to its exchangers.
fn misplaced(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if named.iter().any(|listed| listed.host == *domain) {
        return;
    }
    let own = domain_records.host(domain);
    let own = own.map(|host| host.tlsa.records());
    if let Some(first) = own.and_then(<[_]>::first) {
        let message = format!(
            "{} has TLSA records, and {domain} is no exchanger of its own: senders look for those of {}",
            domain.prefixed("_25._tcp"),
            named[0].host
        );
        findings.add(TLSA_MISPLACED, first.place.clone(), message);
    }
}
