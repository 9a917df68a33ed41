//! What a lookup came to, and where its records are written down.

use std::{fmt, sync::Arc};

use hickory_proto::rr::Record;

/// Where a record is written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub path: Arc<str>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// A record, and where it is written down, if that is known.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The record.
    pub record: Record,
    /// Its place in a zone file.
    pub place: Option<Place>,
}

/// What a lookup came to.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Records of the type asked for, at the end of any aliases.
    Records(Vec<Placed>),
    /// The name exists and has none.
    NoData,
    /// The name does not exist.
    NoDomain,
    /// No answer that can be relied on.
    Failed,
    /// The name is in none of the zone files, and there is no resolver to ask.
    Unknown,
}

impl Reply {
    /// The records, none if there is no answer.
    pub fn records(&self) -> &[Placed] {
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
