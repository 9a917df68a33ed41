//! What becomes of a domain's mail in an outage that it shares with other domains.
//!
//! Each domain that is hit is played through the outage as through any other, with few messages: what is asked here is
//! not who gets which share, but whether its mail notices, waits or is lost. Two drills tell it: an outage of a day, and,
//! where mail waits for its end, one that outlasts the patience of those who send.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{A, MX},
};

use super::{
    DAY, Rehearsal, Rehearsed, drill_records,
    likeness::{Alike, Likeness},
    messages::DrillSizes,
    security::Trouble,
};
use crate::{
    drill,
    event::{Connected, Event, EventKind, SessionId},
    fault::{Effect, Fault, Host, QueryEffect, Stage},
    lab::NetworkKind,
    name::Domain,
    outcome::Outcome,
    plan::{Planned, PreferenceLevel, RouteKind},
    scenario::{Messages, ScenarioBuilder},
    sender::Reference,
    time::Moment,
};

/// Messages of a drill for each address among which senders choose first, and at least. Of 12 for each of them one is
/// passed over by all with a chance of less than 1 in 100,000.
const MESSAGES_FOR_EACH: usize = 12;
const LEAST_MESSAGES: usize = 24;
/// Messages of a drill of an outage that lasts on: each of them tries every exchanger again and again.
const MESSAGES_OF_THE_LONGER: usize = 3;

/// An exchanger that nothing else has anything to do with: its name is in a zone of its own under a name for tests (RFC
/// 2606; `invalid` is looked up by nobody), its address in the range for benchmarks (RFC 2544).
const ELSEWHERE: &str = "exchanger.elsewhere.test";
const ELSEWHERE_ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 19, 255, 254);
/// The TTL of its records in seconds.
const TTL: u32 = 300;

/// What becomes of a domain's mail in an outage, from best to worst: the worst that becomes of any of its messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// It goes where it always goes, at once; no attempt fails.
    Unnoticed,
    /// It is taken without a retry, by another exchanger or at another address.
    Another,
    /// Some of it waits for a retry, and arrives however long the outage lasts.
    Waits,
    /// Some of it waits for the end of the outage, and is lost if that outlasts the patience of those who send.
    AtStake,
    /// Some of it is returned to its authors, in an outage of a day.
    Lost,
}

/// What of a domain is in an outage. Empty where nothing is.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Hit {
    /// Addresses that do not answer.
    pub addresses: BTreeSet<IpAddr>,
    /// Exchangers that do not answer, and whose addresses are not known.
    pub hosts: BTreeSet<Domain>,
    /// Names that cannot be looked up: exchangers, or the domain itself.
    pub names: BTreeSet<Domain>,
}

impl Hit {
    /// Whether nothing is left of an exchanger that senders could try.
    fn leaves_none(&self, planned: &Planned) -> bool {
        let mut addresses = planned.addresses.iter();
        self.names.contains(&planned.host)
            || self.hosts.contains(&planned.host)
            || !planned.addresses.is_empty()
                && addresses.all(|address| self.addresses.contains(address))
    }

    /// What fails, for a day or for ever.
    fn faults(&self, until: Option<Moment>) -> Vec<Fault> {
        let addresses = self.addresses.iter().copied().map(Host::Address);
        let hosts = self.hosts.iter().cloned().map(Host::Name);
        let silent = addresses.chain(hosts).map(|host| {
            let effect = Effect::parse("timeout", Stage::Connect).expect("an effect of that stage");
            Fault::of_host(host, Stage::Connect, effect)
        });
        let names = self.names.iter().cloned();
        let unknown = names.map(|name| Fault::of_query(name, None, QueryEffect::ServFail));
        silent
            .chain(unknown)
            .map(|fault| Fault { until, ..fault })
            .collect()
    }
}

/// What becomes of a domain's mail, outage by outage.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fates {
    /// What becomes of it while nothing fails; what is not [`Fate::Unnoticed`] is no outage's doing.
    pub usual: Fate,
    /// What becomes of it in each outage, in their order.
    pub of: Vec<Fate>,
}

impl Rehearsal {
    /// Plays each of these outages. Of those that hit exchangers which nothing distinguishes, one is played for all.
    ///
    /// # Errors
    /// That a drill did not run.
    pub fn fates<'a>(&self, hits: impl IntoIterator<Item = &'a Hit>) -> io::Result<Fates> {
        let count = self.messages_for_fates(&Hit::default());
        let usual = self.seen(&Hit::default(), Some(day()), count)?;
        let likeness = Likeness::of(&self.plan, &self.security);
        let mut played: BTreeMap<Alike, Fate> = BTreeMap::new();
        let mut of = Vec::new();
        for hit in hits {
            let alike = likeness.alike(hit);
            let fate = match played.get(&alike) {
                Some(fate) => *fate,
                None => self.fate(hit, &usual)?,
            };
            played.insert(alike, fate);
            of.push(fate);
        }
        Ok(Fates {
            usual: usual.fate,
            of,
        })
    }

    /// Plays an outage. `usual` is what is seen without one.
    fn fate(&self, hit: &Hit, usual: &Seen) -> io::Result<Fate> {
        let count = match self.is_wholly_in(hit) {
            // There is no choice that makes one fare otherwise than another.
            true => 1,
            false => self.messages_for_fates(hit),
        };
        let seen = self.seen(hit, Some(day()), count)?;
        Ok(match seen.fate {
            // Of very many equals not each was chosen, by so few messages: what would have been seen is reckoned.
            Fate::Unnoticed if count < self.messages_for_each() => {
                match self.is_chosen_first(hit) {
                    true => Fate::Another,
                    false => Fate::Unnoticed,
                }
            }
            Fate::Unnoticed if seen.takers != usual.takers => Fate::Another,
            // Whether it arrives in the end, whatever becomes of the exchangers.
            Fate::Waits => {
                let longer = self.seen(hit, None, count.min(MESSAGES_OF_THE_LONGER))?;
                match longer.fate {
                    Fate::Lost => Fate::AtStake,
                    _ => Fate::Waits,
                }
            }
            fate => fate,
        })
    }

    /// The drill of an outage of a day, as it can be written down. `file` is the name of its file, without `.toml`.
    ///
    /// # Errors
    /// That the drill did not run.
    pub fn fate_drill(&self, title: &str, file: String, hit: &Hit) -> io::Result<Rehearsed> {
        let count = self.messages_for_fates(hit);
        let builder = self.hit_builder(title, hit, Some(day()), count);
        self.finished(title.to_owned(), file, builder)
    }

    /// The domain with one exchanger more, which senders try last and which shares nothing with any other.
    #[must_use]
    pub fn with_exchanger_elsewhere(mut self) -> Self {
        let host: Domain = ELSEWHERE.parse().expect("a name");
        let domain = self.plan.domain.to_wire();
        let last = self.plan.levels.last().map(|level| level.preference);
        let preference = last.unwrap_or_default().saturating_add(1);
        let exchanger = |preference, host: &Domain| {
            let data = RData::MX(MX::new(preference, host.to_wire()));
            Record::from_rdata(domain.clone(), TTL, data)
        };
        let mut records = vec![
            exchanger(preference, &host),
            Record::from_rdata(host.to_wire(), TTL, RData::A(A(ELSEWHERE_ADDRESS))),
        ];
        // With an MX record the domain's own address is asked for no more, unless one names it, too.
        if self.plan.kind == RouteKind::Implicit {
            records.push(exchanger(0, &self.plan.domain));
            self.plan.kind = RouteKind::Mx;
        }
        self.zone.push_str(&drill_records::text(&records, None));
        self.security.secure(&host);
        self.plan.levels.push(PreferenceLevel {
            preference,
            exchangers: vec![Planned {
                host,
                alias_of: None,
                addresses: vec![IpAddr::V4(ELSEWHERE_ADDRESS)],
                share: 1.0,
                note: None,
                usable: true,
            }],
        });
        self
    }

    /// Whether nothing is left that senders could choose.
    fn is_wholly_in(&self, hit: &Hit) -> bool {
        hit.names.contains(&self.plan.domain)
            || self.plan.usable().all(|(_, one)| hit.leaves_none(one))
    }

    /// The exchangers among which senders choose first.
    fn first_choices(&self) -> impl Iterator<Item = &Planned> {
        let first = self.plan.usable().next().map(|(level, _)| level.preference);
        let usable = self.plan.usable();
        let here = usable.filter(move |(level, _)| Some(level.preference) == first);
        here.map(|(_, planned)| planned)
    }

    /// Whether what senders try first is hit of an exchanger that they choose first, or as likely as any other: its
    /// name, itself, or the first of its addresses.
    fn is_chosen_first(&self, hit: &Hit) -> bool {
        self.first_choices().any(|planned| {
            let first = planned.addresses.first();
            hit.hosts.contains(&planned.host)
                || hit.names.contains(&planned.host)
                || first.is_some_and(|address| hit.addresses.contains(address))
        })
    }

    /// As many messages as let every candidate of the first level be chosen.
    fn messages_for_each(&self) -> usize {
        let addresses = self.first_choices().map(|planned| planned.addresses.len());
        let candidates: usize = addresses.map(|count| count.max(1)).sum();
        (candidates * MESSAGES_FOR_EACH).max(LEAST_MESSAGES)
    }

    /// The same, if they are played in a reasonable time.
    fn messages_for_fates(&self, hit: &Hit) -> usize {
        let usable = self.plan.usable();
        let down = usable.filter(|(_, one)| hit.leaves_none(one)).count();
        let sizes = DrillSizes::of(&self.plan, &self.assumptions.sender.settings());
        sizes.affordable(self.messages_for_each(), down)
    }

    fn hit_builder(
        &self,
        title: &str,
        hit: &Hit,
        until: Option<Moment>,
        count: usize,
    ) -> ScenarioBuilder {
        let messages = Messages::new("m", self.someone()).count(count);
        let builder = self.builder(title, &self.assumptions.sender, &Trouble::None);
        let faults = hit.faults(until).into_iter();
        faults.fold(builder.messages(messages), ScenarioBuilder::fault)
    }

    /// Plays an outage, and looks at what became of the mail.
    fn seen(&self, hit: &Hit, until: Option<Moment>, count: usize) -> io::Result<Seen> {
        let builder = self.hit_builder("an outage", hit, until, count);
        let scenario = builder.build_as("outage.toml").map_err(io::Error::other)?;
        let sender = Reference::default();
        let run = drill::run(&Arc::new(scenario), NetworkKind::Memory, None, sender)?;
        Ok(Seen::of(&run.events))
    }
}

fn day() -> Moment {
    Moment(Duration::from_secs(DAY))
}

/// What became of the mail of a drill.
struct Seen {
    fate: Fate,
    /// Who took it, and where.
    takers: BTreeSet<(Domain, IpAddr)>,
}

impl Seen {
    /// Read off the log of a drill that was played to its end.
    fn of(events: &[Event]) -> Self {
        let mut sessions: BTreeMap<SessionId, (&Domain, IpAddr, Option<u32>)> = BTreeMap::new();
        let mut takers = BTreeSet::new();
        let mut fate = Fate::Unnoticed;
        for event in events {
            match &event.kind {
                // Notifications of what is returned go to the sender's own exchanger, and are not looked at.
                EventKind::Connect {
                    session,
                    address,
                    hosts,
                    result,
                    hint,
                    ..
                } if hint.message.is_some() => {
                    if let Some(host) = hint.exchanger.as_ref().or(hosts.first()) {
                        sessions.insert(*session, (host, *address, hint.pass));
                    }
                    if *result != Connected::Accepted {
                        fate = fate.max(Fate::Another);
                    }
                }
                EventKind::Taken {
                    session,
                    message: Some(_),
                    ..
                } => {
                    if let Some((host, address, pass)) = sessions.get(session) {
                        takers.insert(((*host).clone(), *address));
                        if pass.is_some_and(|pass| pass > 1) {
                            fate = fate.max(Fate::Waits);
                        }
                    }
                }
                EventKind::Report {
                    outcome: Outcome::Bounced,
                    ..
                } => fate = fate.max(Fate::Lost),
                _ => {}
            }
        }
        Self { fate, takers }
    }
}
