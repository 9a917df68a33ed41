//! Checks of records as they are written.
//!
//! A survey has answers, in which a CNAME hides what stands beside it and a record that is written
//! twice is one. These checks look at the files themselves.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::{RData, RecordType};

use super::{
    Check, LintFinding,
    catalogue::{
        CNAME_BESIDE, DMARC_MISPLACED, IMPLICIT_MX, MX_WILDCARD, SPF_TYPE, TLSA_PORT, TTL_DIFFERS,
    },
    dkim,
};
use crate::{
    name::Domain,
    records::{DomainRecords, Files, LocatedRecord, is_dmarc, joined},
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
        for (host, _) in &domain_records.hosts {
            hosts.entry(host).or_insert(&domain_records.domain);
        }
    }
    for (owner, set) in &files.written {
        let mut above = owner.at_and_above();
        let domain = above.find_map(|name| domains.get(&name).copied());
        let Some(domain) = domain.or_else(|| hosts.get(owner).copied()) else {
            continue;
        };
        let mut add = |check: &'static Check, placed: &LocatedRecord, message: String| {
            found.push(LintFinding {
                check,
                domain: domain.clone(),
                place: placed.place.clone(),
                message,
                accepted: None,
            });
        };
        beside_alias(files, owner, set, &mut add);
        ttls(owner, set, &mut add);
        dkim::check(owner, set, &mut add);
        wildcard(owner, set, &mut add);
        strays(owner, set, &mut add);
        let is_spf = |kind: &String| matches!(&**kind, "SPF" | "TYPE99");
        if let Some(first) = set.first()
            && files.other_types(owner).iter().any(is_spf)
        {
            add(
                SPF_TYPE,
                first,
                format!("{owner} has a record of the type SPF"),
            );
        }
        if hosts.contains_key(owner) {
            continue;
        }
        if let Some(host) = other_port(owner).filter(|host| hosts.contains_key(host)) {
            let is_tlsa = |placed: &&LocatedRecord| placed.record.record_type() == RecordType::TLSA;
            let port = host.prefixed("_25._tcp");
            if let Some(first) = set.iter().find(is_tlsa)
                && !files.written.contains_key(&port)
            {
                let message = format!("{host} has TLSA records at {owner}, and none at {port}");
                add(TLSA_PORT, first, message);
            }
        }
    }
    implicit(surveys, files, found);
}

/// The host of a name such as `_465._tcp.mx1.example.test`, unless it is at port 25.
fn other_port(owner: &Domain) -> Option<Domain> {
    let (port, rest) = owner.as_str().split_once("._tcp.")?;
    (port.starts_with('_') && port != "_25")
        .then(|| rest.parse().ok())
        .flatten()
}

/// Whether MX records stand at a wildcard.
fn wildcard(
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(&'static Check, &LocatedRecord, String),
) {
    let is_mx = |placed: &&LocatedRecord| placed.record.record_type() == RecordType::MX;
    if owner.as_str().starts_with("*.")
        && let Some(first) = set.iter().find(is_mx)
    {
        let message =
            format!("{owner} has an MX record, which holds for names that do not exist alone");
        add(MX_WILDCARD, first, message);
    }
}

/// Whether what stands at `_dmarc` is none of DMARC.
fn strays(
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(&'static Check, &LocatedRecord, String),
) {
    if !owner.as_str().starts_with("_dmarc.") {
        return;
    }
    let text = |placed: &LocatedRecord| match &placed.record.data {
        RData::TXT(txt) => Some(joined(txt)),
        _ => None,
    };
    let mut texts = set
        .iter()
        .filter_map(|placed| Some((text(placed)?, placed)));
    // Beside one that is, others are passed over.
    if let Some((text, placed)) = texts.next()
        && !set.iter().any(is_dmarc)
    {
        let message = format!("{owner} has a record that is none of DMARC: {text}");
        add(DMARC_MISPLACED, placed, message);
    }
}

/// Names below a domain that take mail by their addresses, one finding for a domain. Exchangers, name servers and hosts of
/// policies are known to be something else.
fn implicit(surveys: &[DomainRecords], files: &Files, found: &mut Vec<LintFinding>) {
    let by_name: BTreeMap<&Domain, &DomainRecords> = surveys
        .iter()
        .map(|domain_records| (&domain_records.domain, domain_records))
        .collect();
    // Those of the nearest domain, in the order of their names.
    let mut below: BTreeMap<&Domain, Vec<(&Domain, &LocatedRecord)>> = BTreeMap::new();
    for (owner, set) in &files.written {
        let is_address = |placed: &&LocatedRecord| {
            matches!(
                placed.record.record_type(),
                RecordType::A | RecordType::AAAA
            )
        };
        let has_mx = set
            .iter()
            .any(|placed| placed.record.record_type() == RecordType::MX);
        let Some(first) = set.iter().find(is_address).filter(|_| !has_mx) else {
            continue;
        };
        let mut above = owner.at_and_above();
        let nearest = above.find_map(|name| by_name.get(&name).copied());
        if let Some(nearest) = nearest.filter(|nearest| takes_mail_below(nearest, owner)) {
            below
                .entry(&nearest.domain)
                .or_default()
                .push((owner, first));
        }
    }
    for (domain, names) in below {
        let (first, placed) = names[0];
        let message = match names.len() - 1 {
            0 => format!("{first} has an address and no MX record: mail to it goes there"),
            more => format!(
                "{first} and {more} more have addresses and no MX record: mail to them goes there"
            ),
        };
        found.push(LintFinding {
            check: IMPLICIT_MX,
            domain: domain.clone(),
            place: placed.place.clone(),
            message,
            accepted: None,
        });
    }
}

/// Whether a name below a domain that has exchangers is none of what is known to be something else.
fn takes_mail_below(domain_records: &DomainRecords, name: &Domain) -> bool {
    let label = name.as_str().split('.').next().unwrap_or_default();
    let is_known = *name == domain_records.domain
        || domain_records.host(name).is_some()
        || domain_records.name_servers.contains_key(name)
        || label.starts_with('_')
        || ["*", "mta-sts", "autoconfig", "autodiscover"].contains(&label);
    !is_known && !domain_records.targets.is_empty()
}

/// Whether anything stands beside a CNAME (RFC 1034 section 3.6.2: "no other data should be
/// present").
fn beside_alias(
    files: &Files,
    owner: &Domain,
    set: &[LocatedRecord],
    add: &mut impl FnMut(&'static Check, &LocatedRecord, String),
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
    add: &mut impl FnMut(&'static Check, &LocatedRecord, String),
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
