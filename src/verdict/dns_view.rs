//! What the sender had been told by the name server when it made an attempt.
//!
//! It is put together from the log's queries alone and shares nothing with the router: a second
//! reading of RFC 5321 section 5.1 to hold the first one against. What a sender may have known that did
//! not ask, or asked elsewhere, is the concern of [`views`](super::views).
//!
//! A word on time: a sender may use an answer until its TTL is over, and a pass that began by then
//! may take its time. So an answer counts for its TTL and for ten minutes more ([`LONGEST_PASS`]).

mod answers;
mod routes;
mod span;

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Record, RecordType},
};

pub(super) use self::answers::settles;
use self::{
    answers::{Answers, DnsAnswer, Question, Settled, answers_of, of_type, settled, unsettled},
    span::Span,
};
use super::SenderKind;
use crate::{
    event::{Event, EventKind, QueryOutcome},
    name::Domain,
    scenario::Scenario,
    time::Moment,
    zone::{MAX_ALIASES, Zone, alias_target},
};

/// How long a pass over a route may take that was looked up when it began.
///
/// Two hosts that accept a connection and never greet take that long (RFC 5321 section 4.5.3.2.1:
/// five minutes for a greeting).
pub(super) const LONGEST_PASS: Duration = Duration::from_secs(600);

/// Every answer of a log, by question.
pub(super) struct DnsView<'a> {
    scenario: &'a Scenario,
    /// Whether the sender may know what it did not ask the lab for: others than those in the process.
    is_foreign: bool,
    /// By name and type, in order of time. Of most names two types are asked for, each once.
    given: HashMap<Domain, Vec<(RecordType, Answers)>>,
    /// When the web server of an MTA-STS policy handed it out, by its name.
    fetched: BTreeMap<Domain, Vec<Moment>>,
    /// The time in which all questions since [`DnsView::spanning`] began have the same answers.
    span: Span,
    /// How often an answer was taken in, be it news or not.
    changes: usize,
    /// Whether some question was refused, or not understood, as the name server says; and whether one failed in another way.
    refused: bool,
    failed: bool,
}

/// What a question had been answered with at some moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    Records(Vec<Record>),
    NoData,
    NoDomain,
    /// Only failures, or nothing that still held.
    Failed,
}

/// The exchangers of a domain with their preferences, or why there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exchangers {
    /// The MX records, preference and host.
    Mx(BTreeSet<(u16, Domain)>),
    /// There is no MX record: the domain itself is the host, with preference 0.
    Implicit,
    /// A null MX: the domain takes no mail (RFC 7505).
    Null,
    /// There is no such domain.
    NoDomain,
    /// It is not known for now.
    Failed,
}

impl Exchangers {
    /// The exchangers that MX records name; of no record, the implicit one (RFC 5321 section 5.1).
    pub(super) fn of(pairs: BTreeSet<(u16, Domain)>) -> Self {
        let is_null = |(preference, host): &(u16, Domain)| *preference == 0 && host.is_root();
        match pairs.len() {
            0 => Self::Implicit,
            1 if pairs.iter().all(is_null) => Self::Null,
            _ => Self::Mx(pairs),
        }
    }
}

impl<'a> DnsView<'a> {
    pub(super) fn new(scenario: &'a Scenario, sender_kind: SenderKind) -> Self {
        Self {
            scenario,
            is_foreign: sender_kind.is_foreign(),
            given: HashMap::new(),
            fetched: BTreeMap::new(),
            span: Span::default(),
            changes: 0,
            refused: false,
            failed: false,
        }
    }

    /// What `work` makes of the answers, and the time in which it would make the same of them: from the first moment on,
    /// before the second. It is good until [`DnsView::changes`] differs.
    ///
    /// A sender that tries four hundred exchangers in turn does so at as many moments, between which nothing is asked.
    pub(super) fn spanning<T>(&self, work: impl FnOnce() -> T) -> (T, (Moment, Moment)) {
        self.span.around(work)
    }

    /// How often an answer was taken in.
    pub(super) fn changes(&self) -> usize {
        self.changes
    }

    /// The zone of a moment.
    fn zone_at(&self, now: Moment) -> &'a Zone {
        let zones = &self.scenario.world.zones;
        for since in zones.changes() {
            self.span.is_from(since, now);
        }
        zones.at(now)
    }

    /// Takes an event in; whether anything is known by it that was not before.
    pub(super) fn see(&mut self, event: &Event) -> bool {
        self.changes += usize::from(matches!(event.kind, EventKind::Query { .. }));
        match &event.kind {
            EventKind::Query {
                name,
                record_type,
                answer,
                fault,
                records,
                ..
            } => {
                let is_settled = settles(*answer, *fault);
                match answer {
                    QueryOutcome::Refused | QueryOutcome::NotImp | QueryOutcome::FormErr => {
                        self.refused = true;
                    }
                    _ => self.failed |= !is_settled,
                }
                // Most names were asked about before, and are not cloned again.
                let given = match self.given.get_mut(name) {
                    Some(given) => given,
                    None => self.given.entry(name.clone()).or_default(),
                };
                let zones = &self.scenario.world.zones;
                let mut enter = |record_type: RecordType| {
                    let given = of_type(given, record_type);
                    if is_settled {
                        let question = Question {
                            zones,
                            name,
                            record_type,
                        };
                        let exists = *answer != QueryOutcome::NxDomain;
                        settled(given, &question, event.at, exists, records)
                    } else {
                        unsettled(given, event.at)
                    }
                };
                match record_type {
                    // Everything at once; what is not among it was not asked for (RFC 8482).
                    RecordType::ANY => {
                        let types: BTreeSet<RecordType> =
                            records.iter().map(Record::record_type).collect();
                        types
                            .into_iter()
                            .map(enter)
                            .fold(false, |any, news| any | news)
                    }
                    one => enter(*one),
                }
            }
            EventKind::Fetched { host, answer } if answer.is_ok() => {
                let fetched = self.fetched.entry(host.clone()).or_default();
                let news = fetched.last() != Some(&event.at);
                if news {
                    fetched.push(event.at);
                }
                news
            }
            _ => false,
        }
    }

    /// Whether a sender from outside may take what was not answered for more than a failure of the moment: RFC 5321 section
    /// 5.1 speaks of a temporary error, and no RFC says that REFUSED, NOTIMP or FORMERR is one.
    pub(super) fn may_not_be_for_now(&self) -> bool {
        self.is_foreign && self.refused && !self.failed
    }

    /// The answers to a question, in order.
    fn given(&self, name: &Domain, record_type: RecordType) -> Option<&[DnsAnswer]> {
        let given = self.given.get(name)?;
        answers_of(given, record_type)
    }

    /// The records of an answer.
    fn records<'s>(
        &self,
        name: &Domain,
        record_type: RecordType,
        settled: &'s Settled,
    ) -> Cow<'s, [Record]> {
        self.question(name, record_type).records(settled)
    }

    fn question<'s>(&'s self, name: &'s Domain, record_type: RecordType) -> Question<'s> {
        Question {
            zones: &self.scenario.world.zones,
            name,
            record_type,
        }
    }

    /// Hands over the records of every answer that settled something.
    pub(super) fn each_settled(&self, mut each: impl FnMut(&[Record])) {
        let mut all = Vec::new();
        for (name, given) in &self.given {
            for (record_type, answers) in given {
                let settled = answers.iter().filter_map(DnsAnswer::settled);
                all.extend(settled.map(|settled| (name, *record_type, settled)));
            }
        }
        // Of several aliases that a name had, the last one counts; those of one moment are in the order of their names.
        all.sort_by_key(|(name, _, settled)| (settled.first, *name));
        for (name, record_type, settled) in all {
            each(&self.records(name, record_type, settled));
        }
    }

    /// An answer in words.
    fn told(&self, name: &Domain, record_type: RecordType, answer: &DnsAnswer) -> String {
        let settled = match answer {
            DnsAnswer::Unsettled(_) => return "failed".to_owned(),
            DnsAnswer::Settled(settled) if !settled.exists => return "no such name".to_owned(),
            DnsAnswer::Settled(settled) => settled,
        };
        let records = self.records(name, record_type, settled);
        let data = records.iter().map(|record| record.data.to_string());
        match &*records {
            [] => "no such record".to_owned(),
            _ => data.collect::<Vec<_>>().join(", "),
        }
    }

    pub(super) fn scenario(&self) -> &'a Scenario {
        self.scenario
    }

    pub(super) fn is_foreign(&self) -> bool {
        self.is_foreign
    }

    /// Whether anything of a type was asked for, by a moment.
    pub(super) fn asked_for_any(&self, record_type: RecordType, at: Moment) -> bool {
        let names = self.given.values();
        let of_type = |given| answers_of(given, record_type);
        let mut given = names.filter_map(|given| of_type(given)).flatten();
        given.any(|given| given.since() <= at)
    }

    /// What was answered about a domain's route, a line for each answer.
    pub(super) fn lookups(&self, hop: &Domain) -> Vec<String> {
        // The domain first, then its exchangers; lines are sorted by moment in the end.
        let mut names = vec![hop.clone()];
        let last = Moment(Duration::MAX);
        if let Exchangers::Mx(pairs) = self.exchangers(hop, last) {
            names.extend(pairs.into_iter().map(|(_, host)| host));
        }
        let mut lines = Vec::new();
        for name in names {
            let given = self.given.get(&name).into_iter().flatten();
            for (record_type, given) in given {
                for given in &**given {
                    let at = given.since();
                    let told = self.told(&name, *record_type, given);
                    lines.push((at, format!("lookup of {name} {record_type}: {told} +{at}")));
                }
            }
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }

    /// Whether anything was asked about a name, or one below it.
    pub(super) fn was_asked_about(&self, name: &Domain) -> bool {
        self.given.keys().any(|asked| asked.is_within(name))
    }

    /// The moments at which something was answered about a name, in order.
    pub(super) fn answered_at(&self, name: &Domain) -> Vec<Moment> {
        let given = self.given.get(name).into_iter().flatten();
        let given = given.flat_map(|(_, answers)| &**answers);
        let mut moments: Vec<Moment> = given.map(DnsAnswer::since).collect();
        moments.sort_unstable();
        moments
    }

    /// Whether a question was asked by a moment.
    pub(super) fn asked(&self, name: &Domain, record_type: RecordType, at: Moment) -> bool {
        let mut given = self.given(name, record_type).into_iter().flatten();
        given.any(|given| self.span.is_from(given.since(), at))
    }

    /// When a policy was last handed out, up to a moment.
    pub(super) fn policy_fetched(&self, host: &Domain, at: Moment) -> Option<Moment> {
        let mut fetches = self.fetched.get(host)?.iter().rev();
        fetches.find(|fetched| **fetched <= at).copied()
    }

    /// What was known of a name at a moment: the last answer that settled something and had not run
    /// out of its TTL; if a later question failed and the earlier answer ran out, nothing.
    pub(super) fn known(&self, name: &Domain, record_type: RecordType, at: Moment) -> Known {
        self.known_within(name, record_type, at, MAX_ALIASES)
    }

    /// As `known`; `depth` bounds aliases that turn round in time.
    fn known_within(
        &self,
        name: &Domain,
        record_type: RecordType,
        at: Moment,
        depth: usize,
    ) -> Known {
        // A question that came later says nothing about what was known before it.
        let given = self.given(name, record_type);
        let is_by_then = |given: &DnsAnswer| self.span.is_from(given.since(), at);
        let Some(given) = given.filter(|given| given.iter().any(is_by_then)) else {
            return self.unasked(name, record_type, at, depth);
        };
        let mut failed = None;
        let mut before = given.iter().rev();
        let last = before.find_map(|given| match given {
            DnsAnswer::Settled(settled) => self.span.is_from(settled.first, at).then_some(settled),
            DnsAnswer::Unsettled(when) => {
                failed = failed.or(self.span.is_from(*when, at).then_some(*when));
                None
            }
        });
        let Some(last) = last else {
            return Known::Failed;
        };
        let question = self.question(name, record_type);
        let plain = question.plain_records(last);
        let all = match &plain {
            Some(_) => Cow::Borrowed(&[][..]),
            None => question.records(last),
        };
        // The least TTL of the answer: what a sender rests on is gone with the first record of it.
        let ttl = match &plain {
            Some(records) => records.clone().map(|record| record.ttl).min(),
            None => all.iter().map(|record| record.ttl).min(),
        };
        let ttl = ttl.unwrap_or(0);
        // What is not asked for again runs out; a pass that began before may take its time.
        let good_for = Duration::from_secs(ttl.into()).saturating_add(LONGEST_PASS);
        if self.span.is_after(last.last.after(good_for), at) {
            return self.unasked(name, record_type, at, depth);
        }
        let failed_since = failed.is_some_and(|failed| failed > last.last);
        let ran_out = last.last.after(Duration::from_secs(ttl.into()));
        if failed_since && self.span.is_after(ran_out, at) {
            return Known::Failed;
        }
        match plain {
            _ if !last.exists => Known::NoDomain,
            Some(records) => match records.clone().next() {
                Some(_) => Known::Records(records.cloned().collect()),
                None => Known::NoData,
            },
            None => self.at_end_of_aliases(name, record_type, &all, at, depth),
        }
    }

    /// A sender may know without asking, or not care to ask: the records themselves then say what is
    /// right.
    fn unasked(&self, name: &Domain, record_type: RecordType, at: Moment, depth: usize) -> Known {
        // Who asks for one address family only cannot use the other.
        let never_asked = !self.is_foreign && !self.asked(name, record_type, at);
        if record_type == RecordType::AAAA && never_asked && !self.given.is_empty() {
            return Known::NoData;
        }
        let answer = self.zone_at(at).answer_without_soa(name, record_type);
        match answer.code {
            ResponseCode::NXDomain => Known::NoDomain,
            _ => self.at_end_of_aliases(name, record_type, &answer.records, at, depth),
        }
    }

    /// What records say of a type, at the end of the aliases that they hold.
    fn at_end_of_aliases(
        &self,
        name: &Domain,
        record_type: RecordType,
        records: &[Record],
        at: Moment,
        depth: usize,
    ) -> Known {
        // An answer brings the aliases that lead to its records, in any order; a circle of them ends here.
        let mut current = name.clone();
        for _ in 0..MAX_ALIASES {
            let here = |record: &&Record| Domain::from(&record.name) == current;
            let found: Vec<Record> = records
                .iter()
                .filter(here)
                .filter(|record| record.record_type() == record_type)
                .cloned()
                .collect();
            if !found.is_empty() {
                return Known::Records(found);
            }
            let alias = records.iter().filter(here).find_map(alias_target);
            match alias {
                Some(target) => current = target,
                None => break,
            }
        }
        // The end of the chain may have been asked for by itself.
        match depth.checked_sub(1) {
            Some(depth) if current != *name && self.given(&current, record_type).is_some() => {
                self.known_within(&current, record_type, at, depth)
            }
            _ => Known::NoData,
        }
    }

    /// Whether a question was answered at this very moment by nothing: which of several answers of one moment was
    /// whose cannot be told. With `name_only` it had to be that there is no such name.
    pub(super) fn told_of_nothing(
        &self,
        name: &Domain,
        record_type: RecordType,
        at: Moment,
        name_only: bool,
    ) -> bool {
        let mut given = self.given(name, record_type).into_iter().flatten();
        given.any(|given| match given {
            DnsAnswer::Settled(settled) => {
                let is_now = settled.first <= at && settled.last >= at;
                let is_empty = || self.records(name, record_type, settled).is_empty();
                is_now && (!settled.exists || !name_only && is_empty())
            }
            DnsAnswer::Unsettled(_) => false,
        })
    }

    /// When a question was asked in vain.
    pub(super) fn asked_in_vain(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> impl Iterator<Item = Moment> {
        let given = self.given(name, record_type).into_iter().flatten();
        given.filter_map(|given| match given {
            DnsAnswer::Unsettled(at) => Some(*at),
            DnsAnswer::Settled(_) => None,
        })
    }
}
