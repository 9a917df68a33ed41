//! What one question was answered with in the course of a drill, as short as it can be kept.
//!
//! Only what changes is entered: the same answer again moves the end of its time, and failures at one moment are one.
//!
//! An answer holds from the first to the last moment at which it was given. Nothing says what a sender was told in
//! between, and it is taken to have been told the same. How long it may be used after that is the reader's to say, by
//! its TTLs.

use std::{
    borrow::Cow,
    ops::{Deref, DerefMut},
    slice,
};

use hickory_proto::rr::{Record, RecordType};

use crate::{
    event::QueryOutcome,
    fault::QueryEffect,
    name::Domain,
    time::Moment,
    zone::{self, History},
};

/// What a question was answered with at some time. Answers alike are told once, so that a drill of
/// many messages fills no memory with them.
pub(super) enum DnsAnswer {
    /// The sender knows more by it.
    Settled(Settled),
    /// A failure, or what is as good as one.
    Unsettled(Moment),
}

impl DnsAnswer {
    /// When it was first answered so.
    pub(super) fn since(&self) -> Moment {
        match self {
            Self::Settled(settled) => settled.first,
            Self::Unsettled(at) => *at,
        }
    }

    /// What it settled, if anything.
    pub(super) fn settled(&self) -> Option<&Settled> {
        match self {
            Self::Settled(settled) => Some(settled),
            Self::Unsettled(_) => None,
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
    /// `None`: those that the zone of that moment has for the question, as most answers do. A drill of a hundred
    /// thousand domains holds them once so.
    records: Option<Box<[Record]>>,
}

/// The answers to a question, in order of time. Most have one, of questions of which there may be half a million.
#[derive(Default)]
pub(super) enum Answers {
    #[default]
    None,
    One(DnsAnswer),
    Several(Vec<DnsAnswer>),
}

impl Answers {
    fn push(&mut self, answer: DnsAnswer) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(answer),
            Self::One(first) => Self::Several(vec![first, answer]),
            Self::Several(mut answers) => {
                answers.push(answer);
                Self::Several(answers)
            }
        };
    }
}

impl Deref for Answers {
    type Target = [DnsAnswer];

    fn deref(&self) -> &[DnsAnswer] {
        match self {
            Self::None => &[],
            Self::One(answer) => slice::from_ref(answer),
            Self::Several(answers) => answers,
        }
    }
}

impl DerefMut for Answers {
    fn deref_mut(&mut self) -> &mut [DnsAnswer] {
        match self {
            Self::None => &mut [],
            Self::One(answer) => slice::from_mut(answer),
            Self::Several(answers) => answers,
        }
    }
}

/// Whether a sender knows more by an answer. A truncated one, one with another id and none at all
/// leave it to ask again.
pub(in super::super) fn settles(answer: QueryOutcome, fault: Option<QueryEffect>) -> bool {
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

/// The answers of one type.
pub(super) fn answers_of(
    given: &[(RecordType, Answers)],
    record_type: RecordType,
) -> Option<&[DnsAnswer]> {
    let mut given = given.iter();
    let (_, answers) = given.find(|(known, _)| *known == record_type)?;
    Some(answers)
}

/// The answers of one type, to add to them.
pub(super) fn of_type(
    given: &mut Vec<(RecordType, Answers)>,
    record_type: RecordType,
) -> &mut Answers {
    let known = given.iter().position(|(known, _)| *known == record_type);
    let place = known.unwrap_or_else(|| {
        zone::push(given, (record_type, Answers::None));
        given.len() - 1
    });
    &mut given[place].1
}

/// A question to the name server, with the zones that it answers from unless a fault does.
pub(super) struct Question<'a> {
    pub(super) zones: &'a History,
    pub(super) name: &'a Domain,
    pub(super) record_type: RecordType,
}

impl Question<'_> {
    /// The records that the zone of a moment has for it.
    fn in_zone(&self, at: Moment) -> Vec<Record> {
        let zone = self.zones.at(at);
        let answer = zone.answer_without_soa(self.name, self.record_type);
        answer.records
    }

    /// Whether these are the records that the zone of a moment has for it.
    fn are_in_zone(&self, at: Moment, records: &[Record]) -> bool {
        match self.zones.at(at).plainly_at(self.name, self.record_type) {
            Some(own) => own.eq(records),
            None => self.in_zone(at) == records,
        }
    }

    /// The records of an answer to it.
    pub(super) fn records<'s>(&self, settled: &'s Settled) -> Cow<'s, [Record]> {
        match &settled.records {
            Some(records) => Cow::Borrowed(records),
            None => Cow::Owned(self.in_zone(settled.first)),
        }
    }

    /// The records of an answer to it that are of its type and at its name, if no others are in it: then no alias has to
    /// be followed. `None`: it takes `records` to tell.
    pub(super) fn plain_records(
        &self,
        settled: &Settled,
    ) -> Option<impl Iterator<Item = &Record> + Clone> {
        match settled.records {
            Some(_) => None,
            None => {
                let zone = self.zones.at(settled.first);
                zone.plainly_at(self.name, self.record_type)
            }
        }
    }

    /// Whether an answer to it had these records.
    fn had(&self, settled: &Settled, records: &[Record]) -> bool {
        match &settled.records {
            Some(own) => **own == *records,
            None => self.are_in_zone(settled.first, records),
        }
    }
}

/// Takes in an answer; whether it is another one than before.
pub(super) fn settled(
    given: &mut Answers,
    question: &Question<'_>,
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
    let is_same = |before: &&mut Settled| before.exists == exists && question.had(before, records);
    match before.filter(is_same) {
        Some(before) => {
            before.last = at;
            after_failure
        }
        None => {
            let is_of_zone = question.are_in_zone(at, records);
            let settled = Settled {
                first: at,
                last: at,
                exists,
                records: (!is_of_zone).then(|| records.into()),
            };
            given.push(DnsAnswer::Settled(settled));
            true
        }
    }
}

/// Takes in a failure; whether there was none at that moment.
pub(super) fn unsettled(given: &mut Answers, at: Moment) -> bool {
    let known = matches!(given.last(), Some(DnsAnswer::Unsettled(failed)) if *failed == at);
    if !known {
        given.push(DnsAnswer::Unsettled(at));
    }
    !known
}
