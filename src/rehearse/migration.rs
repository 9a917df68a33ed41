//! A planned change of a domain's records, rehearsed: mail that flows before, at and after it, and senders that remember
//! the old records for as long as their TTLs say.
//!
//! 1. Both versions of the records become a zone, the TTLs as they are, and an update at the moment of the change.
//! 2. Messages come at even intervals, from before the change until the old records are forgotten twice over. The reference
//!    sender keeps answers as resolvers do, so that it has asked shortly before the change.
//! 3. What is done with the old exchangers differs from drill to drill: they stay, they are gone at once, they turn mail
//!    away at once, they are gone after the TTL; and the TTL was lowered beforehand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    net::IpAddr,
    time::Duration,
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{CNAME, MX},
};

use super::{MESSAGES, Rehearsed, finished, stand_ins};
use crate::{
    event::EventKind,
    fault::{Effect, Fault, Host, Stage},
    level::Level,
    name::Domain,
    plan::{Plan, RouteKind},
    records::DomainRecords,
    scenario::{Messages, Scenario},
    time::Moment,
    zone::present,
};

/// The moment of the change, from the start: senders have asked for the old records by then.
const CHANGE: Duration = Duration::from_secs(3600);
/// A TTL as it is lowered to before a change, in seconds.
const LOWERED: u32 = 300;
/// The longest that old records are taken to be remembered: a week.
const MOST_TTL: u32 = 7 * 86_400;

/// A change, rehearsed.
#[derive(Debug)]
#[non_exhaustive]
pub struct Migration {
    /// Exchangers with addresses that are there before the change alone.
    pub old: Vec<Domain>,
    /// Those that are there after it alone.
    pub new: Vec<Domain>,
    /// For how long old records may be remembered: the longest TTL of what is changed.
    pub remembered: Duration,
    /// What may be done with the old exchangers, each played.
    pub drills: Vec<MigrationDrill>,
}

/// One way to go about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrationDrill {
    /// The drill, played.
    pub rehearsed: Rehearsed,
    /// How many messages that came after the change went to an old exchanger.
    pub late: usize,
    /// How long after the change the last one of these was accepted.
    pub last: Option<Duration>,
}

/// One side of a change: what senders look up of it.
struct Side {
    /// The MX records, each as a line of a zone file less its TTL.
    mx: Vec<Record>,
    /// The records of each host that they lead to.
    hosts: BTreeMap<Domain, Vec<Record>>,
    addresses: BTreeMap<Domain, Vec<IpAddr>>,
}

/// A way to go about a change.
struct Way {
    title: &'static str,
    file: &'static str,
    /// The TTL of all records, in place of their own.
    ttl: Option<u32>,
    /// What the old exchangers do, and from when on.
    end: Option<(Stage, &'static str, Duration)>,
}

/// Rehearses the change from one version of a domain's records to another.
///
/// # Errors
/// That mail cannot be sent by one of them, that they lead to the same addresses, or that a drill did not run.
pub fn migrate(before: &DomainRecords, after: &DomainRecords) -> io::Result<Migration> {
    let domain = &before.domain;
    let refused = |why: String| Err(io::Error::other(format!("{domain}: {why}")));
    let plans = [before, after].map(Plan::of);
    for (plan, when) in plans.iter().zip(["before", "after"]) {
        if !plan.is_deliverable() {
            let why = plan
                .why
                .as_ref()
                .map_or_else(String::new, ToString::to_string);
            return refused(format!("no mail can be sent {when} the change: {why}"));
        }
    }
    let mut stand_ins = stand_ins(plans.iter());
    let mut known = BTreeMap::new();
    let old = Side::of(&plans[0], before, &mut stand_ins, &mut known);
    let new = Side::of(&plans[1], after, &mut stand_ins, &mut known);
    let gone = old.beyond(&new);
    if gone.is_empty() && new.beyond(&old).is_empty() && old.mx == new.mx {
        return refused(
            "the records lead to the same addresses before and after the change".to_owned(),
        );
    }
    let remembered = Duration::from_secs(old.longest_ttl().into());
    let lowered = CHANGE + Duration::from_secs(LOWERED.into());
    let ways = [
        Way {
            title: "the old exchangers stay",
            file: "old-stay",
            ttl: None,
            end: None,
        },
        Way {
            title: "the old exchangers are switched off with the change",
            file: "old-off-at-once",
            ttl: None,
            end: Some((Stage::Connect, "timeout", CHANGE)),
        },
        Way {
            title: "the old exchangers turn mail away from the change on (5yz)",
            file: "old-reject-at-once",
            ttl: None,
            end: Some((Stage::Rcpt, "550 5.1.1 no such user here", CHANGE)),
        },
        Way {
            title: "the old exchangers are switched off once the old TTL is over",
            file: "old-off-after-the-ttl",
            ttl: None,
            end: Some((Stage::Connect, "timeout", CHANGE + remembered)),
        },
        Way {
            title: "the TTL was five minutes before, and the old exchangers go five minutes after",
            file: "ttl-lowered",
            ttl: Some(LOWERED),
            end: Some((Stage::Connect, "timeout", lowered)),
        },
    ];
    let drills = ways
        .into_iter()
        // Where no address goes nothing else can be done with it.
        .filter(|way| !gone.is_empty() || way.end.is_none())
        .map(|way| play(domain, &old, &new, &gone, way));
    Ok(Migration {
        old: old.named(&gone),
        new: new.named(&new.beyond(&old)),
        remembered,
        drills: drills.collect::<io::Result<_>>()?,
    })
}

impl Side {
    /// `known` has the addresses of hosts that both sides may have.
    fn of(
        plan: &Plan,
        records: &DomainRecords,
        stand_ins: &mut impl Iterator<Item = IpAddr>,
        known: &mut BTreeMap<Domain, Vec<IpAddr>>,
    ) -> Self {
        let mut side = Self {
            mx: Vec::new(),
            hosts: BTreeMap::new(),
            addresses: BTreeMap::new(),
        };
        let mx_ttl = records
            .targets
            .first()
            .map_or(super::TTL, |target| target.ttl);
        for level in &plan.levels {
            for planned in level.exchangers.iter().filter(|planned| planned.usable) {
                let host = &planned.host;
                if plan.kind == RouteKind::Mx {
                    let data = RData::MX(MX::new(level.preference, host.to_wire()));
                    side.mx
                        .push(Record::from_rdata(plan.domain.to_wire(), mx_ttl, data));
                }
                let first = records
                    .hosts
                    .get(host)
                    .and_then(|known| known.records().next());
                let ttl = first.map_or(mx_ttl, |placed| placed.record.ttl);
                let addresses = match planned.addresses.is_empty() {
                    true => known
                        .entry(host.clone())
                        .or_insert_with(|| stand_ins.next().into_iter().collect())
                        .clone(),
                    false => planned.addresses.clone(),
                };
                let mut owner = host;
                if let Some(target) = &planned.alias_of {
                    let data = RData::CNAME(CNAME(target.to_wire()));
                    let alias = Record::from_rdata(host.to_wire(), ttl, data);
                    side.hosts.insert(host.clone(), vec![alias]);
                    owner = target;
                }
                let of_host = addresses
                    .iter()
                    .map(|address| Record::from_rdata(owner.to_wire(), ttl, RData::from(*address)));
                side.hosts.insert(owner.clone(), of_host.collect());
                side.addresses.insert(host.clone(), addresses);
            }
        }
        side
    }

    /// The addresses that the other side does not have.
    fn beyond(&self, other: &Self) -> BTreeSet<IpAddr> {
        let there: BTreeSet<&IpAddr> = other.addresses.values().flatten().collect();
        let here = self.addresses.values().flatten();
        here.filter(|address| !there.contains(address))
            .copied()
            .collect()
    }

    /// The hosts that have one of these addresses.
    fn named(&self, addresses: &BTreeSet<IpAddr>) -> Vec<Domain> {
        let hosts = self.addresses.iter();
        let those = hosts.filter(|(_, own)| own.iter().any(|one| addresses.contains(one)));
        those.map(|(host, _)| host.clone()).collect()
    }

    /// For how long any of it may be remembered, in seconds.
    fn longest_ttl(&self) -> u32 {
        let all = self.mx.iter().chain(self.hosts.values().flatten());
        all.map(|record| record.ttl)
            .max()
            .unwrap_or(super::TTL)
            .min(MOST_TTL)
    }
}

/// Records as zone-file text, with their TTLs or another one for all.
fn text<'a>(records: impl IntoIterator<Item = &'a Record>, ttl: Option<u32>) -> String {
    let mut text = String::new();
    for record in records {
        let mut record = record.clone();
        record.ttl = ttl.unwrap_or(record.ttl);
        writeln!(text, "{}", present::record(&record)).expect("a string takes it all");
    }
    text
}

/// Plays one way to go about a change.
fn play(
    domain: &Domain,
    old: &Side,
    new: &Side,
    gone: &BTreeSet<IpAddr>,
    way: Way,
) -> io::Result<MigrationDrill> {
    let ttl = way.ttl;
    let remembered = ttl.unwrap_or_else(|| old.longest_ttl());
    let whole = 2 * CHANGE + 2 * Duration::from_secs(remembered.into());
    let count = u32::try_from(MESSAGES).expect("a few");
    let change = Moment(CHANGE);
    // Hosts of the new records are there before: it is the MX records that change last.
    let come = new
        .hosts
        .iter()
        .filter(|(host, _)| !old.hosts.contains_key(host));
    let hosts = old.hosts.values().chain(come.map(|(_, records)| records));
    let mut builder = Scenario::builder(format!("{domain}: {}", way.title))
        .level(Level::Info)
        .zone(&(text(&old.mx, ttl) + &text(hosts.flatten(), ttl)));
    for number in 0..count {
        let id = format!("m{number}");
        let message = Messages::new(id, format!("someone@{domain}"));
        builder = builder.messages(message.at(Moment(whole / count * number)));
    }
    if old.mx != new.mx {
        let delete = match old.mx.is_empty() {
            true => String::new(),
            false => format!("{domain} MX"),
        };
        builder = builder.update(change, &delete, &text(&new.mx, ttl));
    }
    let moved = new.hosts.iter();
    for (host, records) in
        moved.filter(|(host, now)| old.hosts.get(*host).is_some_and(|was| was != *now))
    {
        builder = builder.update(change, host.as_str(), &text(records, ttl));
    }
    if let Some((stage, effect, from)) = way.end {
        for address in gone {
            let effect = Effect::parse(effect, stage).expect("an effect of that stage");
            let fault = Fault::of_host(Host::Address(*address), stage, effect);
            builder = builder.fault(fault.from(Moment(from)));
        }
    }
    let rehearsed = finished(domain, way.title.to_owned(), way.file.to_owned(), builder)?;
    let (late, last) = late(&rehearsed, gone);
    Ok(MigrationDrill {
        rehearsed,
        late,
        last,
    })
}

/// How many messages that came after the change went to an old address, and when after it the last one was taken.
fn late(rehearsed: &Rehearsed, gone: &BTreeSet<IpAddr>) -> (usize, Option<Duration>) {
    let came: BTreeMap<_, _> = rehearsed
        .scenario
        .messages
        .iter()
        .map(|message| (&message.id, message.at))
        .collect();
    let mut there = BTreeSet::new();
    let (mut late, mut last) = (0, None);
    for event in &rehearsed.run.events {
        match &event.kind {
            EventKind::Connect {
                session, address, ..
            } if gone.contains(address) => {
                there.insert(*session);
            }
            EventKind::Taken {
                session,
                message: Some(message),
                ..
            } if there.contains(session) && came.get(message).is_some_and(|at| at.0 >= CHANGE) => {
                late += 1;
                last = Some(event.at.0.saturating_sub(CHANGE));
            }
            _ => {}
        }
    }
    (late, last)
}
