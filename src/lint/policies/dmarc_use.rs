//! Checks of what a DMARC record that is valid comes to: who hears of it, what it leaves open, where it stands.

use super::{
    super::{
        DomainFindings,
        catalogue::{
            DMARC_INHERITED, DMARC_MISPLACED, DMARC_NO_REPORTS, DMARC_OBSOLETE_TAG, DMARC_ORDER,
            DMARC_REPORT_CONSENT, DMARC_SUBDOMAINS,
        },
        listed,
    },
    DMARC_POLICIES,
    tags::{tags, value},
};
use crate::{
    name::Domain,
    records::{DomainRecords, Location},
};

/// Tags that RFC 9989 removed.
const OBSOLETE: [&str; 3] = ["pct", "rf", "ri"];

/// Everything about a record that is one.
pub(super) fn check(findings: &mut DomainFindings<'_>, record: &str, place: Option<&Location>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let mut add = |check, message: String| findings.add(check, place.cloned(), message);
    if let Some(above) = inherited_from(domain_records) {
        // What holds for a subdomain that exists (section 4.7).
        let policy = ["sp", "p"]
            .into_iter()
            .find_map(|tag| Some((tag, value(record, tag)?)));
        let (tag, policy) = policy.unwrap_or(("p", "none"));
        let message = format!(
            "{domain} has no DMARC record of its own: that of {above} holds, with {tag}={policy}"
        );
        return add(DMARC_INHERITED, message);
    }
    if value(record, "rua").is_none_or(str::is_empty) {
        add(
            DMARC_NO_REPORTS,
            format!("the DMARC record of {domain} has no rua"),
        );
    }
    let strength = |tag: &str| {
        let found = value(record, tag)?;
        let is_it = |policy: &str| policy.eq_ignore_ascii_case(found);
        DMARC_POLICIES.iter().position(|policy| is_it(policy))
    };
    if let Some(own) = strength("p") {
        for tag in ["sp", "np"] {
            if strength(tag).is_some_and(|other| other < own) {
                let message = format!(
                    "the DMARC record of {domain} has p={} and a weaker {tag}={}",
                    value(record, "p").unwrap_or_default(),
                    value(record, tag).unwrap_or_default()
                );
                add(DMARC_SUBDOMAINS, message);
            }
        }
    }
    let is_old = |name: &str| OBSOLETE.iter().any(|old| old.eq_ignore_ascii_case(name));
    let old: Vec<&str> = tags(record)
        .filter(|tag| is_old(tag.name))
        .map(|tag| tag.text)
        .collect();
    if !old.is_empty() {
        let message = format!("the DMARC record of {domain} has {}", listed(old));
        add(DMARC_OBSOLETE_TAG, message);
    }
    if value(record, "t").is_some_and(|test| test.eq_ignore_ascii_case("y")) {
        let message = format!("the DMARC record of {domain} has t=y: its policy is a test");
        add(DMARC_OBSOLETE_TAG, message);
    }
    let has_policy = value(record, "p").is_some();
    let second = tags(record).nth(1);
    if let Some(second) = second.filter(|tag| has_policy && !tag.name.eq_ignore_ascii_case("p")) {
        let message = format!(
            "the DMARC record of {domain} has {} in second place, where older receivers expect p",
            second.text
        );
        add(DMARC_ORDER, message);
    }
    for (other, reply) in &domain_records.consents {
        let says_so = |(text, _): &(String, _)| text.trim_start().starts_with("v=DMARC1");
        let consents = DomainRecords::texts(reply).iter().any(says_so);
        let is_known = reply.is_none() || !reply.records().is_empty();
        if is_known && !consents {
            let message = format!(
                "the DMARC record of {domain} sends reports to {other}, which does not say at {domain}._report._dmarc.{other} that it takes them"
            );
            add(DMARC_REPORT_CONSENT, message);
        }
    }
}

/// The domain above whose record holds; `None` where it is the domain's own, or there is none.
pub(super) fn inherited_from(domain_records: &DomainRecords) -> Option<Domain> {
    let owner = Domain::from(&domain_records.dmarc.records().first()?.record.name);
    let above = owner.as_str().strip_prefix("_dmarc.")?.parse().ok()?;
    (above != domain_records.domain).then_some(above)
}

/// Whether there is a record where nobody looks for one.
pub(super) fn misplaced(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    for (text, place) in DomainRecords::texts(&domain_records.txt) {
        if text
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("v=dmarc1")
        {
            let message =
                format!("{domain} has a DMARC record at its own name, where nobody looks");
            findings.add(DMARC_MISPLACED, place, message);
        }
    }
}
