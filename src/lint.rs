//! What is wrong with the records of a mail domain, each finding at its record, with what to do.
//!
//! A check looks at a [`DomainRecords`] alone, or at the records as they are written. What is not known, as the
//! addresses of hosts in somebody else's zone, trips nothing.
//!
//! The checks are a table (`catalogue`): id, severity, what ought to be, why, what to do, and who
//! says so. The code that finds them is sorted by what it looks at: `exchangers` and `addresses` at
//! hosts, `listing` at the list as a whole, `tlsa` at DANE, `policies` at TXT records, `dkim` at keys, `name_servers` at
//! what the domain hangs on beside them, `live` at what a resolver and web servers show besides, `visits` at what exchangers
//! say, `records` at the records as they are written. `unseen` says what could not be checked.
//!
//! No check asks the network: everything is in the records, or was looked at before.

mod addresses;
mod allowances;
mod baseline;
mod catalogue;
mod dkim;
mod exchangers;
mod listing;
mod live;
mod name_servers;
mod policies;
mod records;
mod tlsa;
mod unseen;
mod visits;

use std::{num::NonZero, panic::resume_unwind, thread};

use serde::Serialize;

pub use self::{
    baseline::Baseline,
    catalogue::CHECKS,
    unseen::{Unseen, unseen},
};
use crate::{
    name::Domain,
    records::{DomainRecords, Location, Source},
    words::words,
};

words! {
    /// How bad a finding is, from mild to bad.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum Severity {
        /// Worth knowing; nothing has to be done.
        Info = "info",
        /// Mail may be lost or delayed one day, as when a host fails.
        Warning = "warning",
        /// Mail is lost or delayed now, or what is written has no effect.
        Error = "error",
    }
}

/// One thing that is checked, as the catalogue has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// Its id, such as `target-alias`: the name by which it is chosen and explained.
    pub id: &'static str,
    /// How bad it is if it does not hold.
    pub severity: Severity,
    /// What ought to be, as a sentence: `an MX target is not an alias`.
    pub claim: &'static str,
    /// Why that matters: what senders do otherwise.
    pub why: &'static str,
    /// What to do about it.
    pub then: &'static str,
    /// The sections that say so, such as `RFC 2181 section 10.3`.
    pub cites: &'static [&'static str],
}

impl Check {
    /// The check of an id; `None` if there is no such check.
    pub fn find(id: &str) -> Option<&'static Self> {
        CHECKS.iter().find(|check| check.id == id)
    }
}

/// One thing that is wrong with the records of a domain.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LintFinding {
    /// The check that it fails.
    pub check: &'static Check,
    /// The domain whose mail it is about.
    pub domain: Domain,
    /// Where it is written down, or where what is missing would be; `None` if the records came from
    /// a resolver.
    pub place: Option<Location>,
    /// What was found, in one line, without control characters.
    pub message: String,
    /// Why the owner of the zone accepts it, if that is said.
    pub accepted: Option<String>,
}

/// What checks say of one domain.
struct DomainFindings<'a> {
    domain_records: &'a DomainRecords,
    /// Where what is missing would be written down.
    home: Option<Location>,
    found: Vec<LintFinding>,
}

impl DomainFindings<'_> {
    /// Adds a finding, at its place or at the domain's home.
    fn add(&mut self, check: &'static Check, place: Option<Location>, message: impl Into<String>) {
        self.found.push(LintFinding {
            check,
            domain: self.domain_records.domain.clone(),
            place: place.or_else(|| self.home.clone()),
            message: plain(&message.into()),
            accepted: None,
        });
    }
}

/// A message without control characters: records are somebody else's text, and a terminal takes
/// some of it for commands.
pub fn plain(message: &str) -> String {
    let mut plain = String::with_capacity(message.len());
    for c in message.chars() {
        if c.is_control() {
            plain.extend(c.escape_default());
        } else {
            plain.push(c);
        }
    }
    plain
}

/// Domains from which on it is worth a thread to check some of them.
const FOR_A_THREAD: usize = 200;

/// Every finding about some domains, in the order of the files, the worst first at one place.
pub fn lint(source: &Source, surveys: &[DomainRecords]) -> Vec<LintFinding> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let each = surveys.len().div_ceil(threads).max(FOR_A_THREAD);
    // Each domain by itself, on all cores; what is found is in the order of the domains.
    let mut all: Vec<LintFinding> = thread::scope(|scope| {
        let parts = surveys.chunks(each);
        let parts: Vec<_> = parts
            .map(|part| {
                scope.spawn(move || {
                    part.iter()
                        .flat_map(|one| of_domain(source, one))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        let found = parts.into_iter().map(|part| part.join());
        found
            .flat_map(|found| found.unwrap_or_else(|panic| resume_unwind(panic)))
            .collect()
    });
    if let Some(files) = source.files() {
        records::check(surveys, files, &mut all);
        allowances::apply(surveys, files, &mut all);
    }
    all.sort_by(|one, other| {
        (&one.place, other.check.severity, one.check.id).cmp(&(
            &other.place,
            one.check.severity,
            other.check.id,
        ))
    });
    all
}

/// What the checks of one domain find.
fn of_domain(source: &Source, domain_records: &DomainRecords) -> Vec<LintFinding> {
    let mut findings = DomainFindings {
        domain_records,
        home: domain_records.place(source.files()),
        found: Vec::new(),
    };
    // Of a domain that is not there, or not to be had, nothing else is worth saying.
    if exchangers::is_there(&mut findings) {
        exchangers::check(&mut findings);
        listing::check(&mut findings);
        name_servers::check(&mut findings);
        policies::check(&mut findings);
        live::check(&mut findings);
        visits::check(&mut findings);
    }
    live::chain(&mut findings);
    findings.found
}

/// Names as a list of words.
fn listed<T: ToString>(names: impl IntoIterator<Item = T>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    match &names[..] {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
