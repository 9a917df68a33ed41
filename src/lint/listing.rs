//! Checks of the list of exchangers as a whole: names that are none, how large the answer is, how long its parts live.

use super::{
    DomainFindings,
    catalogue::{ADDRESS_OUTLIVES_MX, ANSWER_SIZE, TARGET_PLACEHOLDER, TARGET_SINGLE_LABEL},
    exchangers::AUTOMATIC_TTL,
};
use crate::records::MxTarget;

/// Octets of an answer that go through everywhere in one packet (RFC 9715).
const ONE_PACKET: usize = 1232;

/// Everything about the list.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let targets = &findings.domain_records.targets;
    let named: Vec<&MxTarget> = targets.iter().filter(|one| !one.host.is_root()).collect();
    for target in &named {
        let host = &target.host;
        let is_placeholder = host.as_str().rsplit('.').next() == Some("invalid");
        if is_placeholder {
            let message = format!("the MX record names {host}, which is a placeholder");
            findings.add(TARGET_PLACEHOLDER, target.place.clone(), message);
        } else if !host.as_str().contains('.') && host.as_str() != "localhost" {
            let message = format!("the MX record names {host}., expected more than one label");
            findings.add(TARGET_SINGLE_LABEL, target.place.clone(), message);
        }
    }
    size(findings, &named);
    lives(findings, &named);
}

/// Whether the answer fits a packet, the addresses of the hosts with it.
fn size(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    /// The header and the question, less its name; an MX record, less its host; an address record of each family,
    /// whose name is a pointer; and what says how large an answer may be (EDNS).
    const HEAD: usize = 12 + 6;
    const MX: usize = 12 + 2 + 2;
    const ADDRESS: [usize; 2] = [12 + 4, 12 + 16];
    const EDNS: usize = 11;
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let mut octets = HEAD + domain.as_str().len() + EDNS;
    for target in named {
        let host = target.host.as_str();
        // What it has in common with the domain is a pointer.
        let own = host.strip_suffix(domain.as_str());
        octets += MX + own.map_or(host.len() + 2, |own| own.len() + 2);
        if let Some(known) = domain_records.host(&target.host) {
            let addresses = known.addresses().into_iter();
            octets += addresses
                .map(|address| ADDRESS[usize::from(address.is_ipv6())])
                .sum::<usize>();
        }
    }
    if octets > ONE_PACKET {
        let message = format!(
            "the MX answer of {domain} has about {octets} octets with its addresses, expected {ONE_PACKET} at most"
        );
        findings.add(ANSWER_SIZE, None, message);
    }
}

/// Whether the addresses of the hosts are kept longer than the list.
fn lives(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    // What a resolver gives is what is left.
    let listed = named.iter().filter(|target| target.place.is_some());
    let shortest = listed.map(|target| target.ttl).min();
    let Some(shortest) = shortest.filter(|ttl| *ttl != AUTOMATIC_TTL) else {
        return;
    };
    for target in named {
        let known = domain_records.host(&target.host);
        let records = known.into_iter().flat_map(|known| known.records());
        let longer =
            records.filter(|placed| placed.record.ttl > shortest && placed.place.is_some());
        if let Some(longest) = longer.max_by_key(|placed| placed.record.ttl) {
            let message = format!(
                "an address of {} is kept for {} seconds, and the MX records for {shortest}",
                target.host, longest.record.ttl
            );
            findings.add(ADDRESS_OUTLIVES_MX, longest.place.clone(), message);
        }
    }
}
