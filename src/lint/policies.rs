//! Checks of what a domain says in TXT records: SPF, DMARC, MTA-STS, TLS reports, BIMI.
//!
//! What they have in common is here: the record that counts is the only one of its kind, and a
//! lookup that failed is a finding of its own.

mod dmarc;
mod dmarc_use;
mod mta_sts;
mod reports;
mod spf;
mod spf_terms;
pub(super) mod tags;

use super::{
    Check, DomainFindings,
    catalogue::{LOOKUP_FAILED, PARKED},
};
use crate::records::{Location, Record, RecordLookup};

/// What a DMARC record may ask for: the values of `p`, `sp` and `np`.
const DMARC_POLICIES: [&str; 3] = ["none", "quarantine", "reject"];

/// All of them, each if its records are known.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    spf::check(findings);
    dmarc::check(findings);
    dmarc_use::misplaced(findings);
    mta_sts::check(findings);
    reports::tls(findings);
    reports::bimi(findings);
    parked(findings);
}

/// Whether a domain that is without mail says so in all three ways.
fn parked(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let spf = domain_records.spf_records();
    let sends_nothing = match &spf[..] {
        [(record, _)] => Record::parse(record).is_ok_and(|record| record.is_empty()),
        _ => false,
    };
    let takes_nothing = matches!(&domain_records.targets[..], [only] if only.host.is_root());
    // A domain that sends is no parked one, whatever it says of taking mail.
    let is_silent = sends_nothing || takes_nothing && spf.is_empty();
    let takes_mail = !takes_nothing && !domain_records.targets.is_empty();
    if !is_silent || takes_mail || matches!(domain_records.mx, RecordLookup::Unknown) {
        return;
    }
    let mut missing = Vec::new();
    if !takes_nothing {
        missing.push("no null MX");
    }
    if !sends_nothing && domain_records.txt.is_none() {
        missing.push("no \"v=spf1 -all\"");
    }
    if dmarc::enforced(domain_records) == Some(false) {
        missing.push("no DMARC policy of reject");
    }
    if !missing.is_empty() {
        let message = format!(
            "{domain} is without mail and has {}",
            super::listed(missing)
        );
        findings.add(PARKED, None, message);
    }
}

/// Whether a lookup of TXT records came to something; a failed one is reported.
fn is_known(findings: &mut DomainFindings<'_>, kind: &str, reply: &RecordLookup) -> bool {
    match reply {
        RecordLookup::Failed => {
            let domain = &findings.domain_records.domain;
            let message = format!("the {kind} of {domain} could not be looked up");
            findings.add(LOOKUP_FAILED, None, message);
            false
        }
        RecordLookup::Unknown => false,
        _ => true,
    }
}

/// The record of a kind that counts: of several, none does.
fn the_one(
    findings: &mut DomainFindings<'_>,
    kind: &str,
    records: &[(String, Option<Location>)],
    missing: Option<&'static Check>,
    several: &'static Check,
) -> Option<(String, Option<Location>)> {
    let domain = &findings.domain_records.domain;
    match records {
        [only] => return Some(only.clone()),
        [] => {
            let message = format!("{domain} has no {kind} record");
            if let Some(missing) = missing {
                findings.add(missing, None, message);
            }
        }
        [_, (_, second), ..] => {
            let count = records.len();
            let message = format!("{domain} has {count} {kind} records: none counts");
            findings.add(several, second.clone(), message);
        }
    }
    None
}
