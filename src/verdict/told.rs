//! What the sender had been told by the name server when it made an attempt.
//!
//! It is put together from the log's queries alone and shares nothing with the router: a second
//! reading of RFC 5321 section 5.1 to hold the first one against.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    ops::Range,
    rc::Rc,
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};

use super::places::Places;
use crate::{
    event::{Event, What},
    name::Domain,
    scenario::{PolicyRow, Scenario, TlsPolicy},
    time::Moment,
    zone::address_of,
};

/// Aliases followed at most.
const MAX_ALIASES: usize = 16;

/// One answer, as it was given.
struct Given<'a> {
    at: Moment,
    answer: &'a str,
    fault: Option<&'a str>,
    records: &'a [Record],
}

impl Given<'_> {
    /// Whether the sender knows more by it.
    fn settles(&self) -> bool {
        let usable = !matches!(self.fault, Some("truncate" | "wrong id" | "timeout"));
        usable && matches!(self.answer, "noerror" | "nodata" | "nxdomain")
    }
}

/// Every answer of a log, by question.
pub(super) struct Told<'a> {
    scenario: &'a Scenario,
    given: BTreeMap<(&'a Domain, RecordType), Vec<Given<'a>>>,
    /// When the web server of an MTA-STS policy handed it out, by its name.
    fetched: BTreeMap<&'a Domain, Vec<Moment>>,
    /// For each next hop, what was worked out last: many messages go there at one moment.
    places: RefCell<BTreeMap<Domain, (Moment, Rc<Places>)>>,
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
    Mx(BTreeSet<(u16, Domain)>),
    Implicit,
    Null,
    NoDomain,
    Failed,
}

impl<'a> Told<'a> {
    pub(super) fn new(scenario: &'a Scenario, events: &'a [Event]) -> Self {
        let mut given: BTreeMap<_, Vec<Given<'a>>> = BTreeMap::new();
        let mut fetched: BTreeMap<_, Vec<Moment>> = BTreeMap::new();
        for event in events {
            match &event.what {
                What::Query {
                    name,
                    record_type,
                    answer,
                    fault,
                    records,
                    ..
                } => given.entry((name, *record_type)).or_default().push(Given {
                    at: event.at,
                    answer,
                    fault: fault.as_deref(),
                    records,
                }),
                What::Fetched { host, answer } if answer == "200" => {
                    fetched.entry(host).or_default().push(event.at);
                }
                _ => {}
            }
        }
        Self {
            scenario,
            given,
            fetched,
            places: RefCell::default(),
        }
    }

    pub(super) fn scenario(&self) -> &Scenario {
        self.scenario
    }

    /// Where mail for a domain may go, as known at a moment.
    pub(super) fn places(&self, hop: &Domain, at: Moment) -> Rc<Places> {
        if let Some((of, places)) = self.places.borrow().get(hop)
            && *of == at
        {
            return Rc::clone(places);
        }
        let places = Rc::new(Places::new(self, hop, at));
        let known = (at, Rc::clone(&places));
        self.places.borrow_mut().insert(hop.clone(), known);
        places
    }

    /// When a policy was last handed out, up to a moment.
    pub(super) fn policy_fetched(&self, host: &Domain, at: Moment) -> Option<Moment> {
        let mut fetches = self.fetched.get(host)?.iter().rev();
        fetches.find(|fetched| **fetched <= at).copied()
    }

    /// What was known of a name at a moment: the last answer that settled something and had not run
    /// out of its TTL; if a later question failed and the earlier answer ran out, nothing.
    fn known(&self, name: &Domain, record_type: RecordType, at: Moment) -> Known {
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
        let Some(given) = self.given.get(&(name, record_type)) else {
            return self.unasked(name, record_type, at, depth);
        };
        let Some(last) = given
            .iter()
            .rev()
            .filter(|given| given.at <= at)
            .find(|given| given.settles())
        else {
            return Known::Failed;
        };
        let since = given.iter().rev().take_while(|later| later.at > last.at);
        let failed_since = since.into_iter().any(|later| later.at <= at);
        let ttl = last
            .records
            .iter()
            .map(|record| record.ttl)
            .min()
            .unwrap_or(0);
        if failed_since && last.at.after(Duration::from_secs(ttl.into())) < at {
            return Known::Failed;
        }
        match last.answer {
            "nxdomain" => Known::NoDomain,
            _ => self.at_end_of_aliases(name, record_type, last.records, at, depth),
        }
    }

    /// A sender may know without asking, or not care to ask: the records themselves then say what is
    /// right.
    fn unasked(&self, name: &Domain, record_type: RecordType, at: Moment, depth: usize) -> Known {
        // Who asks for one address family only cannot use the other.
        if record_type == RecordType::AAAA && !self.given.is_empty() {
            return Known::NoData;
        }
        let answer = self.scenario.zones.at(at).answer(name, record_type);
        match answer.code {
            ResponseCode::NXDomain => Known::NoDomain,
            _ => self.at_end_of_aliases(name, record_type, &answer.records, at, depth),
        }
    }

    fn at_end_of_aliases(
        &self,
        name: &Domain,
        record_type: RecordType,
        records: &[Record],
        at: Moment,
        depth: usize,
    ) -> Known {
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
            let alias = records
                .iter()
                .filter(here)
                .find_map(|record| match &record.data {
                    RData::CNAME(target) => Some(Domain::from(&target.0)),
                    _ => None,
                });
            match alias {
                Some(target) => current = target,
                None => break,
            }
        }
        // The end of the chain may have been asked for by itself.
        match depth.checked_sub(1) {
            Some(depth)
                if current != *name && self.given.contains_key(&(&current, record_type)) =>
            {
                self.known_within(&current, record_type, at, depth)
            }
            _ => Known::NoData,
        }
    }

    /// The exchangers of a domain, as known at a moment.
    pub(super) fn exchangers(&self, domain: &Domain, at: Moment) -> Exchangers {
        match self.known(domain, RecordType::MX, at) {
            Known::Records(records) => {
                let pairs: BTreeSet<(u16, Domain)> = records
                    .iter()
                    .filter_map(|record| match &record.data {
                        RData::MX(mx) => Some((mx.preference, Domain::from(&mx.exchange))),
                        _ => None,
                    })
                    .collect();
                let null = pairs.len() == 1
                    && pairs
                        .iter()
                        .all(|(preference, host)| *preference == 0 && host.is_root());
                if null {
                    Exchangers::Null
                } else {
                    Exchangers::Mx(pairs)
                }
            }
            Known::NoData => Exchangers::Implicit,
            Known::NoDomain => Exchangers::NoDomain,
            Known::Failed => Exchangers::Failed,
        }
    }

    /// Whether a sender may leave a host out: it asked for its addresses in vain, although somebody asked
    /// again with success; nothing was known of its TLSA records (RFC 7672 section 2.1.2); or the
    /// domain's MTA-STS policy does not list it (RFC 8461 section 5). It may have asked at any time of a
    /// span.
    pub(super) fn may_be_left_out(&self, hop: &Domain, host: &Domain, span: Range<Moment>) -> bool {
        let tls = self.scenario.sender.tls;
        let failed = |name: &Domain, record_type| {
            let given = self.given.get(&(name, record_type)).into_iter().flatten();
            let mut within = given.filter(|given| span.contains(&given.at));
            within.any(|given| !given.settles())
                || self.known(name, record_type, span.start) == Known::Failed
        };
        let in_vain = |record_type| {
            let given = self.given.get(&(host, record_type)).into_iter().flatten();
            let mut within = given.filter(|given| (span.start..=span.end).contains(&given.at));
            within.any(|given| !given.settles())
        };
        if in_vain(RecordType::A) || in_vain(RecordType::AAAA) {
            return true;
        }
        let by_dane = tls == TlsPolicy::Dane
            && (failed(&host.prefixed("_25._tcp"), RecordType::TLSA)
                || failed(hop, RecordType::MX)
                || failed(host, RecordType::A)
                || failed(host, RecordType::AAAA));
        // A policy may have been kept from before: any that the domain ever had counts.
        let excludes = |policy: &&PolicyRow| {
            policy.domain == *hop && policy.text.contains("enforce") && !lists(&policy.text, host)
        };
        let by_sts = matches!(tls, TlsPolicy::Dane | TlsPolicy::MtaSts)
            && self
                .scenario
                .policies
                .iter()
                .any(|policy| excludes(&policy));
        by_dane || by_sts
    }

    /// Whether the sender was told of TLSA records of a host.
    pub(super) fn has_tlsa(&self, host: &Domain, at: Moment) -> bool {
        matches!(
            self.known(&host.prefixed("_25._tcp"), RecordType::TLSA, at),
            Known::Records(_)
        )
    }

    /// The addresses of a host, as known at a moment.
    pub(super) fn addresses(&self, host: &Domain, at: Moment) -> BTreeSet<IpAddr> {
        let families = [RecordType::A, RecordType::AAAA].into_iter();
        families
            .flat_map(|record_type| match self.known(host, record_type, at) {
                Known::Records(records) => records
                    .iter()
                    .filter_map(|record| address_of(&record.data))
                    .collect(),
                _ => Vec::new(),
            })
            .collect()
    }
}

/// Whether the text of an MTA-STS policy has a line for a host.
pub(super) fn lists(policy: &str, host: &Domain) -> bool {
    let patterns = policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("mx:"))
        .map(str::trim);
    let wildcard = host
        .as_str()
        .split_once('.')
        .map(|(_, rest)| format!("*.{rest}"));
    patterns
        .into_iter()
        .any(|pattern| pattern == host.as_str() || Some(pattern) == wildcard.as_deref())
}
