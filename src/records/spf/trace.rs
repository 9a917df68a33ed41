//! A check of SPF, step by step: which term, which question, what came back, and what of the limits is used up.

use std::collections::BTreeSet;

use serde::Serialize;

use super::{
    super::{RecordLookup, Source},
    check::{SpfCheck, SpfClient, SpfResult},
};
use crate::{name::Domain, zone::present};

/// A step of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SpfStep {
    /// A record begins to be read.
    Record {
        /// Whose record it is.
        domain: Domain,
        /// What it says.
        text: String,
    },
    /// A mechanism or a redirect is looked at.
    Term {
        /// As it is written.
        text: String,
    },
    /// A question was asked.
    Lookup {
        /// About which name.
        name: Domain,
        /// For records of which type.
        record_type: String,
        /// What came back.
        answer: SpfAnswer,
    },
    /// A mechanism matches the sender.
    Match {
        /// As it is written.
        text: String,
    },
    /// A mechanism does not match the sender.
    NoMatch {
        /// As it is written.
        text: String,
    },
    /// Something that is a permanent error.
    Error {
        /// What the record does, such as `has include:a.test, which does not exist`.
        message: String,
    },
    /// A record has been read, or an error has ended that.
    End {
        /// Whose record it is.
        domain: Domain,
        /// What it comes to.
        result: SpfResult,
    },
}

/// What came back for a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SpfAnswer {
    /// Records, their data as zone files have it (RFC 1035 section 5.1).
    Records(Vec<String>),
    /// The name exists and has none of this type.
    NoData,
    /// The name does not exist.
    NoDomain,
    /// No answer, or one that says that there is none for now.
    Failed,
    /// Nobody could be asked: the files do not say, and there is no resolver.
    Unknown,
}

impl SpfAnswer {
    pub(super) fn of(reply: &RecordLookup) -> Self {
        match reply {
            RecordLookup::Records(records) => {
                let data = records.iter().map(|placed| &placed.record.data);
                Self::Records(data.map(present::data).collect())
            }
            RecordLookup::NoData => Self::NoData,
            RecordLookup::NoDomain => Self::NoDomain,
            RecordLookup::Failed => Self::Failed,
            RecordLookup::Unknown => Self::Unknown,
        }
    }
}

/// A step with its place in the check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TracedStep {
    /// How many records are being read: 0 before the domain's own, 1 within it, 2 within one that it includes.
    pub depth: usize,
    /// The terms so far that may cause lookups, of [`SpfTrace::MAX_LOOKUPS`].
    pub lookups: usize,
    /// The terms so far whose lookups found nothing, of [`SpfTrace::MAX_VOID`].
    pub void: usize,
    /// What happened.
    #[serde(flatten)]
    pub step: SpfStep,
}

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
