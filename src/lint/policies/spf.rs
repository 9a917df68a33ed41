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
    },
    is_known, spf_terms, the_one,
};
use crate::records::{MAX_LOOKUPS, Mechanism, Qualifier, Record, SpfError, SpfWalk};

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
fn told(
    findings: &DomainFindings<'_>,
    walk: &SpfWalk,
    flaw: &SpfError,
) -> (&'static Check, String) {
    let check = match flaw {
        SpfError::Term { domain, bad } if *domain == findings.domain_records.domain => {
            return (SPF_INVALID, format!("is not valid: found {bad}"));
        }
        SpfError::Term { .. } | SpfError::NoRecord { .. } | SpfError::Several { .. } => {
            SPF_INCLUDE_MISSING
        }
        SpfError::Loop { .. } => SPF_LOOP,
        SpfError::Exchangers { .. } => SPF_MX_LIMIT,
        SpfError::Lookups => {
            let more = if walk.more { " or more" } else { "" };
            let lookups = walk.lookups;
            let found = format!("needs {lookups}{more} lookups, expected {MAX_LOOKUPS} at most");
            return (SPF_LOOKUPS, found);
        }
        SpfError::Void { .. } => SPF_VOID,
    };
    (check, flaw.to_string())
}
