//! What ends a check: ten terms that cause lookups, two lookups that find nothing (RFC 7208 section 4.6.4), and all
//! else that is a permanent error.

use std::fmt;

use hickory_proto::rr::RecordType;

use super::{
    super::{
        record::BadTerm,
        step::{SpfAnswer, SpfResult, SpfStep, TracedStep},
    },
    Lookup, Over, SpfCheck,
};
use crate::{
    name::Domain,
    records::{LocatedRecord, RecordLookup},
};

/// Terms that may cause lookups (section 4.6.4).
pub(crate) const MAX_LOOKUPS: usize = 10;
/// Lookups that may find nothing (section 4.6.4).
pub(crate) const MAX_VOID: usize = 2;
/// Exchangers that an `mx` term may name, and names of an address that are looked at.
pub(crate) const MAX_NAMES: usize = 10;
/// Stop counting here: the lookups are far over the limit, and includes may go in a circle.
const ENOUGH: usize = 50;

/// Why a check ends in a permanent error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SpfError {
    /// A record has a term that is none.
    Term { domain: Domain, bad: BadTerm },
    /// The target of a term has no SPF record.
    NoRecord { term: String, exists: bool },
    /// It has several.
    Several { term: String, count: usize },
    /// It is being checked already.
    Loop { term: String },
    /// An `mx` term names too many exchangers.
    Exchangers { term: String, count: usize },
    /// More than [`MAX_LOOKUPS`].
    Lookups,
    /// More than [`MAX_VOID`].
    Void { terms: Vec<String> },
}

impl fmt::Display for SpfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Term { domain, bad } => {
                write!(
                    f,
                    "leads to that of {domain}, which is not valid: found {bad}"
                )
            }
            Self::NoRecord {
                term,
                exists: false,
            } => write!(f, "has {term}, which does not exist"),
            Self::NoRecord { term, exists: true } => {
                write!(f, "has {term}, which has no SPF record")
            }
            Self::Several { term, count } => {
                write!(f, "has {term}, which has {count} SPF records: none counts")
            }
            Self::Loop { term } => {
                write!(f, "comes to {term}, which leads back to where it stands")
            }
            Self::Exchangers { term, count } => write!(
                f,
                "has {term}, which names {count} exchangers, expected {MAX_NAMES} at most"
            ),
            Self::Lookups => write!(f, "needs more than {MAX_LOOKUPS} lookups"),
            Self::Void { terms } => write!(
                f,
                "has {} terms whose lookups find nothing, {}, expected {MAX_VOID} at most",
                terms.len(),
                terms.join(", ")
            ),
        }
    }
}

impl<L: Lookup> SpfCheck<'_, L> {
    /// Counts a term that causes lookups.
    pub(super) fn count(&mut self) -> Result<(), Over> {
        self.lookups += 1;
        match self.lookups {
            count if count == MAX_LOOKUPS + 1 => self.flaw(SpfError::Lookups),
            count if count > ENOUGH => Err(Over(SpfResult::PermError)),
            _ => Ok(()),
        }
    }

    pub(super) fn found_nothing(&mut self, term: &str) -> Result<(), Over> {
        self.void.push(term.to_owned());
        if let (Some(first), Some(last)) = (self.open.first(), self.open.last())
            && last.is_within(first)
        {
            self.dead.push((last.clone(), term.to_owned()));
        }
        if self.void.len() > MAX_VOID {
            let terms = self.void.clone();
            self.flaws
                .retain(|flaw| !matches!(flaw, SpfError::Void { .. }));
            self.flaw(SpfError::Void { terms })
        } else {
            Ok(())
        }
    }

    /// A receiver stops at the first; without a sender all of them are told.
    pub(super) fn flaw(&mut self, flaw: SpfError) -> Result<(), Over> {
        self.log(|| SpfStep::Error {
            message: flaw.to_string(),
        });
        self.flaws.push(flaw);
        match self.sender.address {
            Some(_) => Err(Over(SpfResult::PermError)),
            None => Ok(()),
        }
    }

    /// Ends the check of a sender for whom records decide that are not at hand.
    pub(super) fn is_not_known(&mut self) -> Over {
        self.is_open = true;
        Over(SpfResult::None)
    }

    /// The records of an answer; a lookup that fails ends the check, and so does one whose answer is not at hand.
    pub(super) fn known(&mut self, reply: RecordLookup) -> Result<Vec<LocatedRecord>, Over> {
        match reply {
            RecordLookup::Failed if self.sender.address.is_some() => {
                Err(Over(SpfResult::TempError))
            }
            RecordLookup::Unknown if self.sender.address.is_some() => Err(self.is_not_known()),
            RecordLookup::Records(records) => Ok(records),
            _ => Ok(Vec::new()),
        }
    }

    pub(super) async fn look_up(&mut self, name: &Domain, record_type: RecordType) -> RecordLookup {
        let reply = self.lookup.look_up(name, record_type).await;
        self.log(|| SpfStep::Lookup {
            name: name.clone(),
            record_type: record_type.to_string(),
            answer: SpfAnswer::of(&reply),
        });
        reply
    }

    /// Writes a step down, if the check is traced.
    pub(super) fn log(&mut self, step: impl FnOnce() -> SpfStep) {
        let (depth, lookups, void) = (self.open.len(), self.lookups, self.void.len());
        if let Some(steps) = &mut self.steps {
            steps.push(TracedStep {
                depth,
                lookups,
                void,
                step: step(),
            });
        }
    }
}
