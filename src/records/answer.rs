//! What a lookup came to, and where its records are written down.
//!
//! A zone file and a resolver give the same kind of answer; only the former knows places.

use std::{fmt, sync::Arc};

use hickory_proto::rr::Record;

/// Where a record is written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// The path of the file, as the user gave it.
    pub path: Arc<str>,
    /// The line in it, from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// A record, and where it is written down, if that is known.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocatedRecord {
    /// The record, with its owner, its TTL and its data; whoever has it from the same file has the same one.
    pub record: Arc<Record>,
    /// Where it is written down; `None` if a resolver gave it.
    pub place: Option<Location>,
}

/// The answer to a lookup, from files or a resolver.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RecordLookup {
    /// Records of the type asked for, at the end of any aliases.
    Records(Vec<LocatedRecord>),
    /// The name exists and has no record of this type. It is known that there is none.
    NoData,
    /// The name does not exist. It is known that there is none.
    NoDomain,
    /// A resolver was asked, and gave no answer that can be relied on.
    Failed,
    /// The files do not say, and there is no resolver to ask.
    Unknown,
}

impl RecordLookup {
    /// The records, none if there is no answer.
    pub fn records(&self) -> &[LocatedRecord] {
        match self {
            Self::Records(records) => records,
            _ => &[],
        }
    }

    /// Whether it is settled that there are none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::NoData | Self::NoDomain)
    }
}
