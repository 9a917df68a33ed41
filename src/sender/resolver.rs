//! The reference sender's resolver: what answers mean, aliases that they leave open, and a cache on the
//! lab's clock.
//!
//! A lookup goes like this:
//!
//! 1. An address literal has no records; nobody is asked.
//! 2. A cached answer that is still fresh on the drill's clock is used. A second caller who asks the
//!    same while the query is out waits for its answer.
//! 3. The lab's name server is asked, as the lab's stub does it.
//! 4. A positive answer is kept for the lowest TTL in it, a negative one for the time that its SOA
//!    record gives (RFC 2308 section 5). A failure is not kept.
//!
//! Addresses are returned as the zone has them; the network's stand-ins never leave this file.

use std::{
    collections::{BTreeMap, HashMap, VecDeque, hash_map::Entry},
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use hickory_proto::{
    op::ResponseCode,
    rr::{Name, RData, Record, RecordType, domain::usage, rdata::PTR},
};
use tokio::sync::Mutex as AsyncMutex;

use super::Flaw;
use crate::{
    lab::{LabState, stub, stub_answer::StubAnswer},
    lock::lock,
    name::Domain,
    route::{Addresses, Exchanger, MxAnswer},
    time::Moment,
};

/// Tries of a lookup if no answer comes, or no connection. An answer that says "failed" is not
/// repeated.
const TRIES: usize = 3;
/// Questions of a lookup, whose answers leave an alias open.
const MAX_QUESTIONS: usize = 8;
/// The longest that an answer is kept, in seconds (RFC 2181 section 8 lets a resolver set a bound).
const MAX_TTL: u32 = 86_400;

/// Answers that are kept at once: those of ten thousand passes under way, each with five questions. A drill of
/// more domains takes no more memory for it.
const MOST_ANSWERS: usize = 50_000;

/// Queries of one route that are out at once, since each takes a socket.
const MAX_QUERIES: usize = 64;

/// The result of a lookup.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LookupResult {
    /// Records of the type asked for, at the end of any aliases.
    Records {
        /// The records, one at least.
        records: Vec<Record>,
        /// Whether the answer carried the AD bit (RFC 4035 section 3.2.3): the lab's resolver
        /// vouches for it.
        secure: bool,
    },
    /// The name exists and has no record of this type (NODATA in RFC 2308).
    NoData,
    /// The name does not exist (NXDOMAIN).
    NoDomain,
    /// Nothing that can be relied on: SERVFAIL and its like, or no answer. Mail must wait, not be
    /// returned (RFC 5321 section 5.1).
    Failed,
}

/// An answer and until when it may be used, on the drill's clock.
#[derive(Debug, Clone)]
struct Cached {
    until: Moment,
    found: LookupResult,
}

/// What is kept of answers, bounded as in any resolver.
#[derive(Default)]
struct Cache {
    slots: HashMap<(Domain, RecordType), CacheSlot>,
    /// The questions in the order in which they were first asked: the oldest goes first.
    order: VecDeque<(Domain, RecordType)>,
}

impl Cache {
    /// The place of a question's answer.
    fn slot(&mut self, name: &Domain, record_type: RecordType) -> CacheSlot {
        let place = match self.slots.entry((name.clone(), record_type)) {
            Entry::Occupied(slot) => return Arc::clone(slot.get()),
            Entry::Vacant(place) => place,
        };
        self.order.push_back(place.key().clone());
        let slot = Arc::clone(place.insert(CacheSlot::default()));
        if self.order.len() > MOST_ANSWERS
            && let Some(oldest) = self.order.pop_front()
        {
            // Who waits for its answer still gets it.
            self.slots.remove(&oldest);
        }
        slot
    }
}

/// A place in the cache. Its lock is held while the query is out, so that the same question is
/// asked once.
type CacheSlot = Arc<AsyncMutex<Option<Cached>>>;

/// Looks names up and keeps the answers.
pub(crate) struct Lookups {
    state: Arc<LabState>,
    /// By name and type. `None`: nothing is kept, and every lookup is a query.
    cache: Option<Mutex<Cache>>,
    /// Whether answers are kept beyond their TTL, as no sender should.
    keeps_for_ever: bool,
}

impl Lookups {
    pub(crate) fn new(state: Arc<LabState>, cached: bool) -> Self {
        Self {
            state,
            cache: cached.then(Mutex::default),
            keeps_for_ever: false,
        }
    }

    /// The same with a flaw, if it is one of looking up.
    pub(super) fn flawed(self, flaw: Option<Flaw>) -> Self {
        Self {
            keeps_for_ever: flaw == Some(Flaw::KeepsAnswers),
            ..self
        }
    }

    /// Looks up records of a type; an address literal has none, and nobody is asked. Answers still fresh are not asked for again.
    pub(crate) async fn lookup(&self, name: &Domain, record_type: RecordType) -> LookupResult {
        if name.literal().is_some() {
            return LookupResult::NoData;
        }
        let Some(cache) = &self.cache else {
            return self.ask(name, record_type).await.0;
        };
        let slot = lock(cache).slot(name, record_type);
        // A caller who asks while the same question is out waits for its answer.
        let mut slot = slot.lock().await;
        if let Some(cached) = slot
            .as_ref()
            .filter(|cached| self.state.clock.now() < cached.until)
        {
            return cached.found.clone();
        }
        // The lock is held across the query on purpose: a second task with the same question waits
        // here.
        let (found, ttl) = self.ask(name, record_type).await;
        let kept = |ttl| {
            if self.keeps_for_ever {
                Duration::MAX
            } else {
                ttl
            }
        };
        *slot = ttl.map(kept).map(|ttl| Cached {
            until: self.state.clock.now().after(ttl),
            found: found.clone(),
        });
        found
    }

    /// Whether the answer to a lookup of MX records carried the AD bit; `None` if the lookup
    /// failed. A negative answer counts as unsigned.
    pub(crate) async fn mx_is_signed(&self, domain: &Domain) -> Option<bool> {
        match self.lookup(domain, RecordType::MX).await {
            LookupResult::Records { secure, .. } => Some(secure),
            LookupResult::NoData | LookupResult::NoDomain => Some(false),
            LookupResult::Failed => None,
        }
    }

    /// The exchangers of a domain, in the order of the answer.
    pub(crate) async fn mx(&self, domain: &Domain) -> MxAnswer {
        match self.lookup(domain, RecordType::MX).await {
            LookupResult::Records { records, .. } => {
                let exchangers = records.iter().filter_map(|record| match &record.data {
                    RData::MX(mx) => Some(Exchanger {
                        preference: mx.preference,
                        host: Domain::from(&mx.exchange),
                    }),
                    _ => None,
                });
                MxAnswer::Records(exchangers.collect())
            }
            LookupResult::NoData => MxAnswer::NoData,
            LookupResult::NoDomain => MxAnswer::NoDomain,
            LookupResult::Failed => MxAnswer::Failed,
        }
    }

    /// The addresses of these hosts, asked for all at once: A before AAAA, each in the order of its
    /// answer.
    ///
    /// A host is asked for once, however often it is named. An address literal stands for itself.
    /// If either lookup of a host fails, its `failed` is set, and the addresses of the other family
    /// are still used.
    pub(crate) async fn addresses(&self, hosts: &[&Domain]) -> BTreeMap<Domain, Addresses> {
        let mut known: BTreeMap<Domain, Addresses> = BTreeMap::new();
        let mut questions = Vec::new();
        for host in hosts {
            let own = Addresses {
                found: host.literal().into_iter().collect(),
                failed: false,
            };
            let is_new = known.insert(Domain::clone(host), own).is_none();
            if is_new && host.literal().is_none() {
                questions.extend([(*host, RecordType::A), (*host, RecordType::AAAA)]);
            }
        }
        let mut lookups = Vec::with_capacity(questions.len());
        for (host, record_type) in &questions {
            lookups.push(self.lookup(host, *record_type).boxed());
        }
        let mut answers = stream::iter(lookups).buffered(MAX_QUERIES);
        for (host, _) in &questions {
            let answer = answers.next().await.unwrap_or(LookupResult::Failed);
            let Some(addresses) = known.get_mut(*host) else {
                continue;
            };
            match answer {
                LookupResult::Records { records, .. } => {
                    let found = records
                        .iter()
                        .filter_map(|record| crate::zone::address_of(&record.data));
                    addresses.found.extend(
                        found.map(|address: IpAddr| self.state.network.untranslated(address)),
                    );
                }
                LookupResult::NoData | LookupResult::NoDomain => {}
                LookupResult::Failed => addresses.failed = true,
            }
        }
        known
    }

    /// Asks the name server; also how long the answer may be kept. Failures are not kept: RFC 2308
    /// section 7 allows five minutes at most, and asks for nothing.
    async fn ask(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> (LookupResult, Option<Duration>) {
        for _ in 0..TRIES {
            match self.try_once(name, record_type).await {
                Ok(answer) => return answer,
                Err(error) => {
                    tracing::debug!(%name, %record_type, %error, "a lookup brought no answer");
                }
            }
        }
        (LookupResult::Failed, None)
    }

    /// Asks, and asks on where an answer ends at an alias.
    ///
    /// # Errors
    /// That a question got no answer.
    async fn try_once(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> io::Result<(LookupResult, Option<Duration>)> {
        let mut asked = name.clone();
        let mut ttl = MAX_TTL;
        let mut questions = 0;
        loop {
            if let Some(found) = reserved(asked.wire(), record_type) {
                return Ok(found);
            }
            let answer = stub::ask(&self.state, &asked, record_type).await?;
            if answer.truncated || answer.is_failure() {
                return Ok((LookupResult::Failed, None));
            }
            questions += 1;
            let end = end_of_aliases(asked.wire(), record_type, &answer.records);
            let all = answer.records.iter();
            ttl = all.map(|record| record.ttl).fold(ttl, u32::min);
            let is_end = end == asked.wire();
            let names = [asked.wire(), end];
            let has_some = |record: &Record| {
                record.record_type() == record_type && names.contains(&&record.name)
            };
            if answer.records.iter().any(has_some) {
                return Ok((records_of(record_type, answer), Some(seconds(ttl))));
            }
            if is_end || questions == MAX_QUESTIONS {
                return Ok(nothing(&answer));
            }
            asked = Domain::from(end);
        }
    }
}

/// Where the aliases of an answer lead from a name, unless they are what was asked for.
fn end_of_aliases<'a>(name: &'a Name, record_type: RecordType, answers: &'a [Record]) -> &'a Name {
    let mut end = name;
    for record in answers {
        match &record.data {
            RData::CNAME(target) if record_type != RecordType::CNAME && record.name == *end => {
                end = &target.0;
            }
            _ => {}
        }
    }
    end
}

/// The records of an answer that are of the type asked for.
fn records_of(record_type: RecordType, answer: StubAnswer) -> LookupResult {
    let mut records = answer.records;
    records.retain(|record| record.record_type() == record_type);
    // They are kept, and most answers have one.
    records.shrink_to_fit();
    for record in &mut records {
        record.ttl = record.ttl.min(MAX_TTL);
    }
    LookupResult::Records {
        records,
        secure: answer.secure,
    }
}

/// What an answer without records says.
fn nothing(answer: &StubAnswer) -> (LookupResult, Option<Duration>) {
    let found = match answer.code {
        ResponseCode::NXDomain => LookupResult::NoDomain,
        _ => LookupResult::NoData,
    };
    (found, Some(seconds(answer.negative_ttl.unwrap_or(0))))
}

/// What is known without a question: a resolver sends none for these names (RFC 6761 section 6.3 and 6.4,
/// RFC 7686 section 2).
fn reserved(name: &Name, record_type: RecordType) -> Option<(LookupResult, Option<Duration>)> {
    if usage::INVALID.zone_of(name) || usage::ONION.zone_of(name) {
        return Some((LookupResult::NoDomain, Some(Duration::ZERO)));
    }
    let local = [
        &usage::LOCALHOST,
        &usage::IN_ADDR_ARPA_127,
        &usage::IP6_ARPA_1,
    ];
    if !local.iter().any(|zone| zone.zone_of(name)) {
        return None;
    }
    let data = match record_type {
        RecordType::A => RData::A(Ipv4Addr::LOCALHOST.into()),
        RecordType::AAAA => RData::AAAA(Ipv6Addr::LOCALHOST.into()),
        RecordType::PTR => RData::PTR(PTR(usage::LOCALHOST.name().clone())),
        _ => return Some((LookupResult::NoData, Some(Duration::ZERO))),
    };
    let found = LookupResult::Records {
        records: vec![Record::from_rdata(name.clone(), MAX_TTL, data)],
        secure: false,
    };
    Some((found, Some(seconds(MAX_TTL))))
}

fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(ttl.into())
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::rdata::CNAME;

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).expect("a name")
    }

    #[test]
    fn aliases_lead_to_their_end_unless_they_are_asked_for() {
        let alias = |from, to| Record::from_rdata(name(from), 300, RData::CNAME(CNAME(name(to))));
        let answers = [
            alias("a.test.", "b.test."),
            alias("x.test.", "y.test."),
            alias("b.test.", "c.test."),
        ];
        for (record_type, end) in [(RecordType::A, "c.test."), (RecordType::CNAME, "a.test.")] {
            assert_eq!(
                *end_of_aliases(&name("a.test."), record_type, &answers),
                name(end)
            );
        }
    }

    #[test]
    fn nobody_is_asked_for_reserved_names() {
        let found = |text, record_type| match reserved(&name(text), record_type) {
            None => "asked".to_owned(),
            Some((LookupResult::Records { records, .. }, _)) => records[0].data.to_string(),
            Some((found, _)) => format!("{found:?}"),
        };
        for (text, record_type, expected) in [
            ("example.test.", RecordType::A, "asked"),
            ("mail.localhost.", RecordType::A, "127.0.0.1"),
            ("localhost.", RecordType::AAAA, "::1"),
            ("localhost.", RecordType::MX, "NoData"),
            ("1.0.0.127.in-addr.arpa.", RecordType::PTR, "localhost."),
            ("mx.invalid.", RecordType::A, "NoDomain"),
            ("onion.", RecordType::MX, "NoDomain"),
        ] {
            assert_eq!(found(text, record_type), expected, "{text} {record_type}");
        }
    }
}
