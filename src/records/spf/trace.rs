//! A check of SPF with all that happened in it.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    super::Source,
    check::{SpfCheck, SpfClient},
    step::{SpfResult, TracedStep},
};
use crate::name::Domain;

/// A check of SPF with all that happened in it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SpfTrace {
    /// The domain that is checked.
    pub domain: Domain,
    /// What it comes to for the sender; `None` if that depends on records that are not at hand. Without a sender
    /// `None`, unless the domain has no record, or the check cannot end well for anybody.
    pub result: Option<SpfResult>,
    /// What the domain says to a sender that fails (RFC 7208 section 6.2).
    pub explanation: Option<String>,
    /// The terms that may cause lookups.
    pub lookups: usize,
    /// The terms whose lookups found nothing.
    pub void: usize,
    /// The names whose records would have been looked at and are not at hand.
    pub unseen: BTreeSet<Domain>,
    /// All that happened, in order.
    pub steps: Vec<TracedStep>,
}

impl SpfTrace {
    /// Terms that may cause lookups before a check ends in a permanent error (RFC 7208 section 4.6.4).
    pub const MAX_LOOKUPS: usize = super::MAX_LOOKUPS;
    /// Lookups that may find nothing (RFC 7208 section 4.6.4).
    pub const MAX_VOID: usize = super::MAX_VOID;

    /// Checks whether a sender may send for a domain. Of a sender without an address every term is looked at.
    pub async fn of(source: &Source, domain: &Domain, client: SpfClient) -> Self {
        let is_known = client.address.is_some();
        let mut check = SpfCheck::new(source, client, domain.clone());
        check.steps = Some(Vec::new());
        let result = check.of(domain).await;
        let is_settled = result == SpfResult::None || result == SpfResult::TempError;
        let result = match check.flaws.is_empty() {
            _ if check.is_open => None,
            _ if is_known || is_settled => Some(result),
            // Some senders may be matched before it.
            false => Some(SpfResult::PermError),
            true => None,
        };
        Self {
            domain: domain.clone(),
            result,
            explanation: check.explanation,
            lookups: check.lookups,
            void: check.void.len(),
            unseen: check.unseen,
            steps: check.steps.unwrap_or_default(),
        }
    }
}
