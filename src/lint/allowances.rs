//! Findings that the owner of a zone accepts, and says so in the file: `; mxdrill: allow CHECK (reason)`.
//!
//! It stands at the end of a record's line, or on a line of its own before the record. A finding at that record is then
//! accepted; an allowance that meets none is a finding itself, so that none outlives what it was for.

use std::collections::BTreeSet;

use super::{Check, LintFinding, catalogue::ALLOWANCE_STALE};
use crate::{
    diagnostic::not_allowed,
    name::Domain,
    records::{Allowance, DomainRecords, Files},
};

/// Marks the findings that are accepted, and adds one for each allowance that does nothing.
pub(super) fn apply(surveys: &[DomainRecords], files: &Files, all: &mut Vec<LintFinding>) {
    let mut stale = Vec::new();
    for allowance in &files.allowances {
        let Some(domain) = domain_of(surveys, files, allowance) else {
            continue;
        };
        let mut tell = |message: String| {
            stale.push(LintFinding {
                check: ALLOWANCE_STALE,
                domain: domain.clone(),
                place: Some(allowance.place.clone()),
                message: super::plain(&message),
                accepted: None,
            });
        };
        let accepted = match &allowance.says {
            Ok(accepted) => accepted,
            Err(wrong) => {
                tell(wrong.clone());
                continue;
            }
        };
        if allowance.line.is_none() {
            tell("an allowance stands behind the last record, expected one before a record or at the end of its line".to_owned());
            continue;
        }
        let Some(reason) = &accepted.reason else {
            tell("found no reason, expected ; mxdrill: allow CHECK (reason)".to_owned());
            continue;
        };
        for id in &accepted.checks {
            if Check::find(id).is_none() {
                let ids: Vec<&str> = super::CHECKS.iter().map(|check| check.id).collect();
                tell(not_allowed(id, "the id of a check", &ids));
                continue;
            }
            let mut meets = false;
            let there = all.iter_mut().filter(|finding| {
                finding.check.id == *id
                    && finding
                        .place
                        .as_ref()
                        .is_some_and(|place| allowance.covers(place))
            });
            for finding in there {
                finding.accepted = Some(reason.clone());
                meets = true;
            }
            if !meets {
                tell(format!("{id} is allowed here, and is not found any more"));
            }
        }
    }
    all.append(&mut stale);
}

/// The domain that an allowance is about: that of the record it stands at. `None` if there is no domain at all.
fn domain_of(surveys: &[DomainRecords], files: &Files, allowance: &Allowance) -> Option<Domain> {
    let domains: BTreeSet<&Domain> = surveys.iter().map(|one| &one.domain).collect();
    let owner = allowance
        .line
        .and_then(|line| files.owner_at(&allowance.place.path, line));
    let nearest = owner.and_then(|owner| {
        let mut above = owner.at_and_above();
        above.find(|name| domains.contains(name))
    });
    // A host elsewhere, or a reverse zone, belongs to whoever is looked at.
    nearest.or_else(|| surveys.first().map(|first| first.domain.clone()))
}
