//! Checks of what a domain hangs on beside its exchangers: its name servers, and how long it is remembered that
//! something is not there.

use hickory_proto::rr::RData;

use super::{
    DomainFindings,
    addresses::Networks,
    catalogue::{NEGATIVE_TTL, ONE_NAME_SERVER, SHARED_FATE},
    listed,
};
/// Seconds for which an absence may be remembered: a day.
const LONGEST: u32 = 86_400;

/// Everything about the top of a zone; other names have no such records.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let servers = domain_records.ns.records();
    if let [only] = servers
        && let RData::NS(name) = &only.record.data
    {
        let message = format!(
            "{domain} has one name server, {}",
            name.0.to_string().trim_end_matches('.')
        );
        findings.add(ONE_NAME_SERVER, only.place.clone(), message);
    }
    shared_fate(findings);
    for placed in domain_records.soa.records() {
        if let RData::SOA(soa) = &placed.record.data {
            // RFC 2308 section 5: the smaller of both.
            let ttl = placed.record.ttl.min(soa.minimum);
            if ttl > LONGEST {
                let message = format!(
                    "that a name of {domain} is not there is remembered for {ttl} seconds, expected {LONGEST} at most"
                );
                findings.add(NEGATIVE_TTL, placed.place.clone(), message);
            }
        }
    }
}

/// Whether one broken link can cut off all name servers, or these with all exchangers.
fn shared_fate(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let known = &domain_records.name_servers;
    // Of one that is not known it cannot be told where it stands.
    if known.len() < 2 || known.values().any(Vec::is_empty) {
        return;
    }
    let servers = known.values().flatten().copied();
    if !Networks::of(servers.clone()).is_one() {
        return;
    }
    let exchangers = domain_records.targets.iter();
    let exchangers = exchangers.filter_map(|listed| domain_records.host(&listed.host));
    let exchangers: Vec<_> = exchangers.flat_map(|host| host.addresses()).collect();
    let all = Networks::of(servers.chain(exchangers.iter().copied()));
    let too = match !exchangers.is_empty() && all.is_one() {
        true => ", and so do the exchangers",
        false => "",
    };
    let message = format!(
        "the name servers {} stand in one network{too}",
        listed(known.keys())
    );
    let place = domain_records.ns.records().first();
    let place = place.and_then(|first| first.place.clone());
    findings.add(SHARED_FATE, place, message);
}
