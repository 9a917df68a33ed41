//! Checks of MX records, of the hosts that they name, and of TTLs.
//!
//! The order is that of a sender: is there a domain, a null MX, exchangers; what do they name; how
//! do preferences relate; how long may it all be kept.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DomainFindings,
    addresses::{self, Networks},
    catalogue::{
        BACKUP_PREFERRED, DUPLICATE_EXCHANGER, EQUAL_PREFERENCES, LOOKUP_FAILED, NO_DOMAIN, NO_MX,
        NULL_MX_MIXED, NULL_MX_PREFERENCE, NULL_MX_SENDS, NULL_MX_UNNEEDED, PREFERENCE_EXTREME,
        SINGLE_EXCHANGER, TARGET_ADDRESS, TARGET_ALIAS, TARGET_LOCALHOST, TARGET_NO_ADDRESS,
        TARGET_NXDOMAIN, TARGET_SYNTAX, TTL_HIGH, TTL_LOW,
    },
    listed, tlsa,
};
use crate::{
    name::Domain,
    records::{DomainRecords, KnownHost, MxTarget, RecordLookup},
};

/// A preference from which on there is hardly room behind it, of 65535.
const EXTREME: u16 = 65_000;
/// Seconds under which a record is asked for too often: five minutes.
const LOW_TTL: u32 = 300;
/// Seconds over which a change takes too long to be seen: a week.
const HIGH_TTL: u32 = 7 * 86_400;
/// The TTL that some providers write for "automatic"; it says nothing.
pub(super) const AUTOMATIC_TTL: u32 = 1;
/// Words in names of hosts that are meant to come last.
const BACKUP: [&str; 8] = [
    "backup",
    "bak",
    "secondary",
    "fallback",
    "slave",
    "standby",
    "spare",
    "lastresort",
];
/// Words in names of hosts that are meant to come first.
const PRIMARY: [&str; 4] = ["primary", "main", "master", "prio"];

/// Words that stand beside those in names of hosts that are for mail.
const MAIL: [&str; 13] = [
    "mx", "mail", "smtp", "in", "inbound", "relay", "gw", "gateway", "mta", "host", "server",
    "exchange", "imap",
];

/// Whether the domain exists and its MX records are known.
pub(super) fn is_there(findings: &mut DomainFindings<'_>) -> bool {
    let domain_records = findings.domain_records;
    match domain_records.mx {
        RecordLookup::Failed => {
            let message = format!(
                "the MX records of {} could not be looked up",
                domain_records.domain
            );
            findings.add(LOOKUP_FAILED, None, message);
            false
        }
        RecordLookup::NoDomain => {
            findings.add(
                NO_DOMAIN,
                None,
                format!("{} does not exist", domain_records.domain),
            );
            false
        }
        _ => true,
    }
}

/// Everything about a domain that exists.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    null_mx(findings);
    let named: Vec<&MxTarget> = domain_records
        .targets
        .iter()
        .filter(|listed| !listed.host.is_root())
        .collect();
    if named.is_empty() {
        if !matches!(domain_records.mx, RecordLookup::Unknown) && domain_records.targets.is_empty()
        {
            no_mx(findings);
        }
        return;
    }
    targets(findings, &named);
    preferences(findings, &named);
    addresses::check(findings, &named);
    tlsa::check(findings, &named);
    ttls(findings, &named);
}

/// A domain without MX records: it may still be its own exchanger.
fn no_mx(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let message = match domain_records.host(domain).map(|known| known.addresses()) {
        Some(addresses) if !addresses.is_empty() => format!(
            "{domain} has no MX record: mail goes to its own address, {}",
            listed(addresses)
        ),
        _ => format!("{domain} has no MX record and no address: it can get no mail"),
    };
    findings.add(NO_MX, None, message);
    // The domain is its own exchanger (RFC 5321 section 5.1).
    if let Some(known) = domain_records.host(domain) {
        addresses::reachable(findings, domain, known);
    }
}

/// Whether a null MX is one (RFC 7505 section 3: "MUST NOT advertise any other
/// MX RR"), and
/// what stands beside it.
///
/// An SPF record that lets hosts send contradicts it: mail that is sent from a domain which accepts
/// none cannot be answered (RFC 7505 section 4.2).
fn null_mx(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let (null, others): (Vec<&MxTarget>, Vec<&MxTarget>) = domain_records
        .targets
        .iter()
        .partition(|listed| listed.host.is_root());
    let Some(first) = null.first() else { return };
    if !others.is_empty() {
        let message = format!(
            "{domain} has a null MX beside {} other MX records",
            others.len()
        );
        return findings.add(NULL_MX_MIXED, first.place.clone(), message);
    }
    if first.preference != 0 {
        let message = format!(
            "the null MX of {domain} has preference {}, expected 0",
            first.preference
        );
        findings.add(NULL_MX_PREFERENCE, first.place.clone(), message);
    }
    let own = domain_records.host(domain);
    if own.is_some_and(KnownHost::has_no_address) {
        let message = format!("{domain} has no address: it would get no mail without a null MX");
        findings.add(NULL_MX_UNNEEDED, first.place.clone(), message);
    }
    if let [(record, _)] = &domain_records.spf_records()[..]
        && record.split_whitespace().skip(1).any(|term| {
            let fails = term.starts_with(['-', '~', '?']);
            let modifies = term.contains('=') && !term.starts_with("redirect=");
            !fails && !modifies
        })
    {
        let message =
            format!("{domain} takes no mail, and its SPF record lets hosts send: {record}");
        findings.add(NULL_MX_SENDS, first.place.clone(), message);
    }
}

/// What the MX records name.
///
/// Of what can be wrong with one name the first counts: an address or the sender's own machine is
/// not looked up as a host.
fn targets(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let mut seen: BTreeMap<&Domain, u16> = BTreeMap::new();
    for listed in named {
        let host = &listed.host;
        let place = listed.place.clone();
        if let Some(first) = seen.insert(host, listed.preference) {
            let message = format!(
                "{host} is listed twice, with preference {first} and {}",
                listed.preference
            );
            findings.add(DUPLICATE_EXCHANGER, place, message);
            continue;
        }
        if let Some(address) = domain_records.literal(host) {
            let message = format!("the MX record names {address}, expected the name of a host");
            findings.add(TARGET_ADDRESS, place, message);
            continue;
        }
        if DomainRecords::is_localhost(host) {
            let message =
                format!("the MX record names {host}, which every sender takes for itself");
            findings.add(TARGET_LOCALHOST, place, message);
            continue;
        }
        if let Some(label) = host.odd_label() {
            let message = format!(
                "{host} is no host name: found {label:?}, expected letters, digits and hyphens between them"
            );
            findings.add(TARGET_SYNTAX, place, message);
        }
        if let Some(known) = domain_records.host(host) {
            target(findings, listed, known);
            addresses::reachable(findings, host, known);
        }
    }
}

/// What an exchanger's name leads to.
///
/// An MX target without its final dot has the zone's name behind it in a zone file, and does not
/// exist: the finding says which dot may be missing.
fn target(findings: &mut DomainFindings<'_>, listed: &MxTarget, known: &KnownHost) {
    let host = &listed.host;
    let place = listed.place.clone();
    if let Some((target, _)) = &known.alias {
        let message = format!("{host} is an alias of {target}");
        findings.add(TARGET_ALIAS, place.clone(), message);
    }
    if known.has_failed() {
        let message = format!("the addresses of {host} could not be looked up");
        findings.add(LOOKUP_FAILED, place.clone(), message);
    }
    match (&known.ipv4, &known.ipv6) {
        (RecordLookup::NoDomain, RecordLookup::NoDomain) => {
            let own = host.is_within(&findings.domain_records.domain);
            let relative = host
                .as_str()
                .strip_suffix(findings.domain_records.domain.as_str());
            let hint = match relative.map(|relative| relative.trim_end_matches('.')) {
                Some(whole) if whole.contains('.') => {
                    format!("; is the final dot of {whole}. missing?")
                }
                _ if own => String::new(),
                _ => "; whoever can register it gets the mail".to_owned(),
            };
            let message = format!("{host} does not exist{hint}");
            findings.add(TARGET_NXDOMAIN, place, message);
        }
        _ if known.has_no_address() => {
            let message = format!("{host} has no address");
            findings.add(TARGET_NO_ADDRESS, place, message);
        }
        _ => {}
    }
}

/// How the preferences relate.
///
/// A single exchanger has no order, and whether it is a single point of failure is asked instead.
///
/// Names tell what was meant: `mx2` behind `mx1`, a `backup` behind all that are none.
fn preferences(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    let levels: BTreeSet<u16> = named.iter().map(|listed| listed.preference).collect();
    let domain = &findings.domain_records.domain;
    if let [only] = &hosts.iter().collect::<Vec<_>>()[..] {
        // A host with addresses in several networks is several, and of a provider's nothing is known.
        let known = findings.domain_records.host(only);
        let networks = Networks::of(known.map(KnownHost::addresses).unwrap_or_default());
        if networks.is_one() && !known.is_some_and(KnownHost::is_uncertain) {
            let message = format!("{only} is the only exchanger of {domain}");
            findings.add(SINGLE_EXCHANGER, named[0].place.clone(), message);
        }
        return;
    }
    if levels.len() == 1 {
        let message = format!(
            "all {} exchangers of {domain} have preference {}: they share the load, and none is a backup",
            hosts.len(),
            named[0].preference
        );
        findings.add(EQUAL_PREFERENCES, named[0].place.clone(), message);
    }
    for listed in named.iter().filter(|listed| listed.preference >= EXTREME) {
        let message = format!(
            "{} has preference {}; 65535 is the last there is",
            listed.host, listed.preference
        );
        findings.add(PREFERENCE_EXTREME, listed.place.clone(), message);
    }
    let roles: Vec<Role> = named.iter().map(|listed| Role::of(&listed.host)).collect();
    for (listed, role) in named.iter().zip(&roles) {
        let meant_before = named.iter().zip(&roles).find(|(other, of_other)| {
            other.preference > listed.preference && role.is_behind(of_other)
        });
        if let Some((other, _)) = meant_before {
            let message = format!(
                "{} (preference {}) comes before {} (preference {}); their names say otherwise",
                listed.host, listed.preference, other.host, other.preference
            );
            findings.add(BACKUP_PREFERRED, listed.place.clone(), message);
        }
    }
}

/// What the name of a host says of its place in the order.
struct Role {
    backup: bool,
    primary: bool,
    /// `mx` and 2 of `mx2`.
    numbered: Option<(String, u32)>,
}

impl Role {
    /// What a name says, by the words and the number in its first label.
    fn of(host: &Domain) -> Self {
        let label = host.as_str().split('.').next().unwrap_or_default();
        let parts = || {
            let parts = label.split(|c: char| !c.is_ascii_alphabetic());
            parts.filter(|part| !part.is_empty())
        };
        // A word among others, as in primary-care, says nothing of mail.
        let is_known = |part: &str| [&MAIL[..], &BACKUP, &PRIMARY].concat().contains(&part);
        let is_of_mail = parts().all(is_known);
        let has = |words: &[&str]| is_of_mail && parts().any(|part| words.contains(&part));
        let stem = label.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_mail = ["mx", "mail", "smtp", "in", "mx-"].contains(&stem);
        let number = label[stem.len()..].parse().ok().filter(|_| is_mail);
        Self {
            backup: has(&BACKUP),
            primary: has(&PRIMARY),
            numbered: number.map(|number| (stem.to_owned(), number)),
        }
    }

    /// Whether it is to come behind another: a backup, or a higher number.
    fn is_behind(&self, other: &Self) -> bool {
        let later = match (&self.numbered, &other.numbered) {
            (Some((stem, mine)), Some((other_stem, theirs))) => mine > theirs && stem == other_stem,
            _ => false,
        };
        later || (self.backup && !other.backup) || (other.primary && !self.primary)
    }
}

/// How long records may be kept.
///
/// From a file only: a resolver's TTL is what is left of it.
fn ttls(findings: &mut DomainFindings<'_>, named: &[&MxTarget]) {
    let domain_records = findings.domain_records;
    let mx = named.iter().map(|listed| {
        let what = format!("the MX record of {}", domain_records.domain);
        (what, listed.ttl, listed.place.clone())
    });
    let hosts: BTreeSet<&Domain> = named.iter().map(|listed| &listed.host).collect();
    let addresses = hosts
        .iter()
        .filter_map(|host| Some((host, domain_records.host(host)?)));
    let addresses = addresses.flat_map(|(host, known)| {
        known.records().map(move |placed| {
            let what = format!("the {} record of {host}", placed.record.record_type());
            (what, placed.record.ttl, placed.place.clone())
        })
    });
    let mut told = BTreeSet::new();
    for (what, ttl, place) in mx.chain(addresses).collect::<Vec<_>>() {
        // What a resolver gives is what is left of it.
        if place.is_none() || !told.insert(what.clone()) {
            continue;
        }
        if ttl < LOW_TTL && ttl != AUTOMATIC_TTL {
            let message = format!("{what} has a TTL of {ttl} seconds");
            findings.add(TTL_LOW, place, message);
        } else if ttl > HIGH_TTL {
            let message = format!("{what} has a TTL of {} days", ttl / 86_400);
            findings.add(TTL_HIGH, place, message);
        }
    }
}
