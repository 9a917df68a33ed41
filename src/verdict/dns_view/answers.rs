//! What one question was answered with in the course of a drill, as short as it can be kept.
//!
//! Only what changes is entered: the same answer again moves the end of its time, and failures at one moment are one.
//!
//! An answer holds from the first to the last moment at which it was given. Nothing says what a sender was told in
//! between, and it is taken to have been told the same. How long it may be used after that is the reader's to say, by
//! its TTLs.

use std::fmt;

use hickory_proto::rr::Record;

use crate::{event::QueryOutcome, fault::QueryEffect, time::Moment};

/// What a question was answered with at some time. Answers alike are told once, so that a drill of
/// many messages fills no memory with them.
pub(super) enum DnsAnswer {
    /// The sender knows more by it.
    Settled(Settled),
    /// A failure, or what is as good as one.
    Unsettled(Moment),
}

impl fmt::Display for DnsAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsettled(_) => f.write_str("failed"),
            Self::Settled(settled) if !settled.exists => f.write_str("no such name"),
            Self::Settled(settled) if settled.records.is_empty() => f.write_str("no such record"),
            Self::Settled(settled) => {
                let data = settled.records.iter().map(|record| record.data.to_string());
                f.write_str(&data.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl DnsAnswer {
    /// When it was first answered so.
    pub(super) fn since(&self) -> Moment {
        match self {
            Self::Settled(settled) => settled.first,
            Self::Unsettled(at) => *at,
        }
    }
}

/// The same answer once or several times, with nothing else in between.
///
/// Between the two the answer is taken to have held.
pub(super) struct Settled {
    pub(super) first: Moment,
    pub(super) last: Moment,
    /// Whether there is such a name.
    pub(super) exists: bool,
    pub(super) records: Vec<Record>,
}

/// Whether a sender knows more by an answer. A truncated one, one with another id and none at all
/// leave it to ask again.
pub(super) fn settles(answer: QueryOutcome, fault: Option<QueryEffect>) -> bool {
    let is_usable = match fault {
        Some(QueryEffect::Truncate | QueryEffect::WrongId | QueryEffect::Timeout) => false,
        Some(
            QueryEffect::ServFail
            | QueryEffect::NxDomain
            | QueryEffect::NoData
            | QueryEffect::Refused
            | QueryEffect::NotImp
            | QueryEffect::FormErr
            | QueryEffect::Delay(_),
        )
        | None => true,
    };
    is_usable && answer.is_answer()
}

/// Takes in an answer; whether it is another one than before.
pub(super) fn settled(
    given: &mut Vec<DnsAnswer>,
    at: Moment,
    exists: bool,
    records: &[Record],
) -> bool {
    // News all the same: between a failure and the same answer as before, nothing was known.
    let after_failure = matches!(given.last(), Some(DnsAnswer::Unsettled(_)));
    // A failure at the very same moment stands for nothing that was later.
    let before = match &mut given[..] {
        [.., DnsAnswer::Settled(before)] => Some(before),
        [.., DnsAnswer::Settled(before), DnsAnswer::Unsettled(failed)] if *failed == at => {
            Some(before)
        }
        _ => None,
    };
    match before.filter(|before| before.exists == exists && before.records == records) {
        Some(before) => {
            before.last = at;
            after_failure
        }
        None => {
            given.push(DnsAnswer::Settled(Settled {
                first: at,
                last: at,
                exists,
                records: records.to_vec(),
            }));
            true
        }
    }
}

/// Takes in a failure; whether there was none at that moment.
pub(super) fn unsettled(given: &mut Vec<DnsAnswer>, at: Moment) -> bool {
    let known = matches!(given.last(), Some(DnsAnswer::Unsettled(failed)) if *failed == at);
    if !known {
        given.push(DnsAnswer::Unsettled(at));
    }
    !known
}
