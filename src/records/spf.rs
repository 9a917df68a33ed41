//! SPF (RFC 7208): the grammar of records, the check of a sender, and what is wrong with a domain's record
//! whoever sends.
//!
//! The walk is a check of a sender that nothing is known of. It matches no term, so every term is
//! looked at, and errors that would end a real check are collected: that shows all that is wrong
//! with a record at once.

mod check;
mod macros;
mod record;
mod step;
mod trace;

use std::{collections::BTreeSet, net::IpAddr};

use self::check::SpfCheck;
pub use self::{
    check::SpfClient,
    step::{SpfAnswer, SpfResult, SpfStep, TracedStep},
    trace::SpfTrace,
};
pub(crate) use self::{
    check::{MAX_LOOKUPS, MAX_VOID, SpfError},
    record::{Directive, Lengths, Mechanism, Qualifier, Record, is_record},
};
use super::Source;
use crate::name::Domain;

/// What a check of an SPF record costs and meets where no term matches, included records and all.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SpfWalk {
    /// The terms that cause lookups; ten are allowed (RFC 7208 section 4.6.4: "MUST limit the total number of those
    /// terms to 10").
    pub lookups: usize,
    /// Whether there may be more of them: an included record is not at hand, or a target depends on
    /// the message.
    pub more: bool,
    /// The names whose records would have been looked at and are not at hand.
    pub unseen: BTreeSet<Domain>,
    /// Terms whose lookups find nothing, of the records of the domain and of names below it, with whose they are.
    pub(crate) dead: Vec<(Domain, String)>,
    /// What is wrong with the explanation that the record names, such as `names why.example.test, which does not exist`.
    pub(crate) unexplained: Option<String>,
    /// Why it ends in a permanent error, in the order in which that was found.
    pub(crate) flaws: Vec<SpfError>,
}

/// Walks over a domain's record as a check does of a sender that no term matches.
pub(super) async fn walk(source: &Source, domain: &Domain, record: &str) -> SpfWalk {
    let mut check = SpfCheck::new(source, SpfClient::default(), domain.clone());
    check.of_record(domain, record).await;
    SpfWalk {
        unexplained: check.unexplained(domain, record).await,
        lookups: check.lookups,
        more: check.depends || !check.unseen.is_empty(),
        unseen: check.unseen,
        dead: check.dead,
        flaws: check.flaws,
    }
}

/// Whether a host may send for a domain by its record; `None` where that cannot be told.
pub(super) async fn allows(
    source: &Source,
    domain: &Domain,
    record: &str,
    address: IpAddr,
) -> Option<bool> {
    let client = SpfClient {
        address: Some(address),
        ..SpfClient::default()
    };
    let mut check = SpfCheck::new(source, client, domain.clone());
    let result = check.of_record(domain, record).await;
    // A record that is not at hand, or a term that asks for the message, may allow it.
    let is_told = check.unseen.is_empty() && !check.depends;
    match result {
        SpfResult::Pass => Some(true),
        SpfResult::Fail | SpfResult::SoftFail if is_told => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod suite;
