//! Checks of what a domain says in TXT records: SPF, DMARC, MTA-STS.
//!
//! What they have in common is here: the record that counts is the only one of its kind, and a
//! lookup that failed is a finding of its own.

mod dmarc;
mod mta_sts;
mod spf;

use super::{Check, DomainFindings, catalogue::LOOKUP_FAILED};
use crate::records::{Location, RecordLookup};

/// All three, each if its records are known.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    spf::check(findings);
    dmarc::check(findings);
    mta_sts::check(findings);
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
    missing: Option<Check>,
    several: Check,
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
