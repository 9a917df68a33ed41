//! Checks of what stands in an SPF record: terms without effect, terms that allow too much, and how long it is.

use super::super::{
    DomainFindings,
    catalogue::{
        SPF_AFTER_ALL, SPF_DEAD_TERM, SPF_LENGTH, SPF_MACRO, SPF_NEUTRAL_ALL, SPF_NO_ALL,
        SPF_OWN_EXCHANGERS, SPF_PTR, SPF_TYPE, SPF_WIDE,
    },
    listed,
};
use crate::name::Domain;
use crate::records::{
    Directive, DomainRecords, Lengths, Location, MAX_VOID, Mechanism, Qualifier, Record,
};

/// A sixteenth of all addresses has so many bits in common, in either family.
const WIDE: u8 = 4;
/// Octets of all TXT records of a name that are sure to fit one answer (RFC 7208 section 3.4).
const MOST_OCTETS: usize = 450;

/// Everything about a record that can be read.
pub(super) fn check(findings: &mut DomainFindings<'_>, record: &Record, place: Option<&Location>) {
    let domain = findings.domain_records.domain.clone();
    let mut add = |check, message: String| findings.add(check, place.cloned(), message);
    for directive in &record.directives {
        if let Mechanism::Ptr(_) = directive.mechanism {
            let message = format!("the SPF record of {domain} has {}", directive.text);
            add(SPF_PTR, message);
        }
        if let Some(length) = wide(directive) {
            let share = 1_u32 << length;
            let message = format!(
                "the SPF record of {domain} has {}, which is one in {share} of all addresses",
                directive.text
            );
            add(SPF_WIDE, message);
        }
    }
    let is_all = |directive: &Directive| directive.mechanism == Mechanism::All;
    match record.directives.iter().position(is_all) {
        None if record.redirect.is_none() => {
            let message = format!("the SPF record of {domain} ends without all or redirect");
            add(SPF_NO_ALL, message);
        }
        None => {}
        Some(at) => {
            let (all, behind) = (&record.directives[at], &record.directives[at + 1..]);
            if all.qualifier == Qualifier::Neutral {
                add(
                    SPF_NEUTRAL_ALL,
                    format!("the SPF record of {domain} has ?all"),
                );
            }
            let mut ignored: Vec<String> = behind
                .iter()
                .map(|directive| directive.text.clone())
                .collect();
            let redirect = record.redirect.iter();
            ignored.extend(redirect.map(|target| format!("redirect={}", target.as_str())));
            if !ignored.is_empty() {
                let message = format!(
                    "the SPF record of {domain} has {} beside {}, which is never looked at",
                    listed(ignored),
                    all.text
                );
                add(SPF_AFTER_ALL, message);
            }
        }
    }
}

/// The length of a network that is too wide.
fn wide(directive: &Directive) -> Option<u8> {
    if directive.qualifier != Qualifier::Pass {
        return None;
    }
    let length = match &directive.mechanism {
        Mechanism::Ip4(_, length) | Mechanism::Ip6(_, length) => *length,
        Mechanism::A(_, Lengths { ipv4, ipv6 }) | Mechanism::Mx(_, Lengths { ipv4, ipv6 }) => {
            *ipv4.min(ipv6)
        }
        _ => return None,
    };
    (length <= WIDE).then_some(length)
}

/// What a walk over the record found nothing for, and whom it does not allow.
pub(super) fn walked(findings: &mut DomainFindings<'_>, place: Option<&Location>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if let Some(walk) = &domain_records.spf
        // More of them are an error of their own.
        && walk.dead.len() <= MAX_VOID
    {
        let names_hosts = |(_, term): &&(Domain, String)| {
            let term = term.trim_start_matches(['+', '-', '~', '?']);
            let name = term.split([':', '/']).next().unwrap_or_default();
            ["a", "mx"].iter().any(|one| one.eq_ignore_ascii_case(name))
        };
        for (owner, term) in walk.dead.iter().filter(names_hosts) {
            let message = match owner == domain {
                true => format!("the SPF record of {domain} has {term}, which leads to no host"),
                false => format!(
                    "the SPF record of {domain} leads to that of {owner}, whose {term} leads to no host"
                ),
            };
            findings.add(SPF_DEAD_TERM, place.cloned(), message);
        }
    }
    let walk = domain_records.spf.as_ref();
    if let Some(unexplained) = walk.and_then(|walk| walk.unexplained.as_ref()) {
        let message = format!("the SPF record of {domain} {unexplained}");
        findings.add(SPF_MACRO, place.cloned(), message);
    }
    let forbidden = domain_records.forbidden.iter();
    let forbidden: Vec<String> = forbidden
        .map(|(host, address)| format!("{host} [{address}]"))
        .collect();
    if !forbidden.is_empty() {
        let message = format!(
            "the SPF record of {domain} does not let its own exchangers send: {}",
            listed(forbidden)
        );
        findings.add(SPF_OWN_EXCHANGERS, place.cloned(), message);
    }
}

/// What stands beside the record: too much of it, or something obsolete.
pub(super) fn beside(findings: &mut DomainFindings<'_>, place: Option<&Location>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let texts = DomainRecords::texts(&domain_records.txt);
    let octets = domain.as_str().len() + texts.iter().map(|(text, _)| text.len()).sum::<usize>();
    if octets > MOST_OCTETS {
        let message = format!(
            "the name and the TXT records of {domain} have {octets} octets, expected {MOST_OCTETS} at most"
        );
        findings.add(SPF_LENGTH, place.cloned(), message);
    }
    for (text, place) in texts {
        if text.to_ascii_lowercase().starts_with("spf2.0") {
            let message = format!("{domain} has a Sender ID record: {text}");
            findings.add(SPF_TYPE, place, message);
        }
    }
}
