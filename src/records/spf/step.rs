//! A step of a check of SPF: which term, which question, what came back, and what of the limits is used up.

use serde::Serialize;

use super::super::RecordLookup;
use crate::{name::Domain, words::words, zone::present};

words! {
    /// What a check of SPF comes to (RFC 7208 section 2.6).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
    #[serde(rename_all = "lowercase")]
    pub enum SpfResult {
        /// There is no record.
        None = "none",
        /// The domain says nothing about the sender.
        Neutral = "neutral",
        /// The sender may send for the domain.
        Pass = "pass",
        /// It may not.
        Fail = "fail",
        /// It probably may not.
        SoftFail = "softfail",
        /// A lookup failed; it may be different later.
        TempError = "temperror",
        /// The records cannot be evaluated.
        PermError = "permerror",
    }
}

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
    /// The terms so far that may cause lookups, of [`SpfTrace::MAX_LOOKUPS`](super::SpfTrace::MAX_LOOKUPS).
    pub lookups: usize,
    /// The terms so far whose lookups found nothing, of [`SpfTrace::MAX_VOID`](super::SpfTrace::MAX_VOID).
    pub void: usize,
    /// What happened.
    #[serde(flatten)]
    pub step: SpfStep,
}
