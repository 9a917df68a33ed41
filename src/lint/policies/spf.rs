//! Checks of SPF: a domain has one record, it is valid, and checking it does not end in an error.
//!
//! The walk over the record ([`SpfWalk`]) has found the flaws; here each gets the check that it
//! fails and its words.

use super::{
    super::{
        Check, DomainFindings,
        catalogue::{
            SPF_INCLUDE_MISSING, SPF_INVALID, SPF_LOOKUPS, SPF_LOOP, SPF_MISSING, SPF_MX_LIMIT,
            SPF_PLUS_ALL, SPF_SEVERAL, SPF_VOID,
        },
        listed,
    },
    is_known, spf_terms, the_one,
};
use crate::records::{
    MAX_LOOKUPS, MAX_NAMES, MAX_VOID, Mechanism, Qualifier, Record, SpfError, SpfWalk,
};

/// Everything about the SPF record.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if !is_known(findings, "TXT records", &domain_records.txt) {
        return;
    }
    let records = domain_records.spf_records();
    let one = the_one(findings, "SPF", &records, Some(SPF_MISSING), SPF_SEVERAL);
    let Some((record, place)) = one else { return };
    if let Ok(parsed) = Record::parse(&record) {
        let passes_all = parsed.directives.iter().any(|directive| {
            directive.mechanism == Mechanism::All && directive.qualifier == Qualifier::Pass
        });
        if passes_all {
            let message = format!("the SPF record of {domain} lets everybody send: {record}");
            findings.add(SPF_PLUS_ALL, place.clone(), message);
        }
        spf_terms::check(findings, &parsed, place.as_ref());
    }
    spf_terms::beside(findings, place.as_ref());
    spf_terms::walked(findings, place.as_ref());
    let Some(walk) = &domain_records.spf else {
        return;
    };
    for flaw in &walk.flaws {
        let (check, found) = told(findings, walk, flaw);
        let message = format!("the SPF record of {domain} {found}");
        findings.add(check, place.clone(), message);
    }
}

/// The check that a flaw fails, and what was found.
fn told(findings: &DomainFindings<'_>, walk: &SpfWalk, flaw: &SpfError) -> (Check, String) {
    match flaw {
        SpfError::Term { domain, bad } if *domain == findings.domain_records.domain => {
            (SPF_INVALID, format!("is not valid: found {bad}"))
        }
        SpfError::Term { domain, bad } => {
            let found = format!("leads to that of {domain}, which is not valid: found {bad}");
            (SPF_INCLUDE_MISSING, found)
        }
        SpfError::NoRecord {
            term,
            exists: false,
        } => (
            SPF_INCLUDE_MISSING,
            format!("has {term}, which does not exist"),
        ),
        SpfError::NoRecord { term, exists: true } => (
            SPF_INCLUDE_MISSING,
            format!("has {term}, which has no SPF record"),
        ),
        SpfError::Several { term, count } => (
            SPF_INCLUDE_MISSING,
            format!("has {term}, which has {count} SPF records: none counts"),
        ),
        SpfError::Loop { term } => (
            SPF_LOOP,
            format!("comes to {term}, which leads back to where it stands"),
        ),
        SpfError::Exchangers { term, count } => (
            SPF_MX_LIMIT,
            format!("has {term}, which names {count} exchangers, expected {MAX_NAMES} at most"),
        ),
        SpfError::Lookups => {
            let more = if walk.more { " or more" } else { "" };
            let lookups = walk.lookups;
            (
                SPF_LOOKUPS,
                format!("needs {lookups}{more} lookups, expected {MAX_LOOKUPS} at most"),
            )
        }
        SpfError::Void { terms } => (
            SPF_VOID,
            format!(
                "has {} terms whose lookups find nothing, {}, expected {MAX_VOID} at most",
                terms.len(),
                listed(terms)
            ),
        ),
    }
}
