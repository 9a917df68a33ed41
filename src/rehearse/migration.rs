//! A planned change of a domain's records, rehearsed: mail that flows before, at and after it, and senders that remember
//! the old records for as long as their TTLs say.
//!
//! 1. Both versions of the records become a zone, the TTLs as they are, and an update at the moment of the change.
//! 2. Messages come at even intervals, the first a minute before the change, until the old records are forgotten twice
//!    over. The reference sender keeps answers as resolvers do: it is one of those that remember the old records for longest.
//! 3. What is done with the old exchangers differs from drill to drill: they stay, they are gone at once, they turn mail
//!    away at once, they are gone after the TTL; and the TTL was lowered beforehand.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    time::Duration,
};

use super::{
    PassageEnd, Rehearsed,
    drill_records::{DrillRecords, StandIns, text},
    finished,
    messages::messages_of_change,
    told,
};
use crate::{
    fault::{Effect, Fault, Host, Stage},
    level::Level,
    name::Domain,
    plan::Plan,
    records::DomainRecords,
    scenario::{Messages, Scenario},
    time::Moment,
};

/// The moment of the change, from the start, at which senders ask for the old records.
const CHANGE: Duration = Duration::from_secs(60);
/// For how long mail comes besides, so that a short TTL is not all there is.
const BESIDE: Duration = Duration::from_secs(7200);
/// A TTL as it is lowered to before a change, in seconds.
const LOWERED: u32 = 300;

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
    /// For how long it is remembered that there were no MX records, if there were none (RFC 2308 section 5).
    pub none_remembered: Option<Duration>,
    /// The exchangers whose addresses are not known, each with the one that stands for them.
    pub stand_ins: BTreeMap<Domain, IpAddr>,
    /// What is assumed beside the records, and what of them is left out, in words.
    pub notes: Vec<String>,
    /// What may be done with the old exchangers, each played.
    pub drills: Vec<MigrationDrill>,
}

/// What is done with the old exchangers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MigrationWay {
    /// They stay.
    Stay,
    /// They are switched off with the change.
    OffAtOnce,
    /// They refuse all mail from the change on.
    RejectAtOnce,
    /// They are switched off when the old records are forgotten.
    OffAfterTtl,
    /// The TTLs were lowered before the change, and they are switched off soon after it. Not where they are as low already.
    TtlLowered,
}

/// One way to go about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct MigrationDrill {
    /// Which one.
    pub way: MigrationWay,
    /// The drill, played.
    pub rehearsed: Rehearsed,
    /// How many messages that came after the change went to an old exchanger.
    pub late: usize,
    /// How long after the change the last one of these was accepted.
    pub last: Option<Duration>,
}

/// A way to go about a change.
struct Way {
    way: MigrationWay,
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
    let mut stand_ins = StandIns::beside(&plans);
    let old = DrillRecords::of(&plans[0], before, &mut stand_ins);
    let new = DrillRecords::of(&plans[1], after, &mut stand_ins);
    let gone = old.beyond(&new);
    if gone.is_empty() && new.beyond(&old).is_empty() && old.mx == new.mx {
        return refused(
            "the records lead to the same addresses before and after the change".to_owned(),
        );
    }
    let remembered = Duration::from_secs(old.longest_ttl().into());
    let none_remembered = old
        .mx
        .is_empty()
        .then(|| Duration::from_secs(old.negative_ttl().into()));
    let mut notes = told(&stand_ins.of);
    notes.extend(left_out(before, after));
    let drills = ways(remembered)
        .into_iter()
        // Where no address goes nothing else can be done with it.
        .filter(|way| !gone.is_empty() || way.end.is_none())
        // What is as low already is not lowered.
        .filter(|way| {
            let longest = remembered.max(none_remembered.unwrap_or_default());
            way.ttl
                .is_none_or(|ttl| longest > Duration::from_secs(ttl.into()))
        })
        .map(|way| play(domain, &old, &new, &gone, way, &notes))
        .collect::<io::Result<_>>()?;
    Ok(Migration {
        old: old.named(&gone),
        new: new.named(&new.beyond(&old)),
        remembered,
        none_remembered,
        stand_ins: stand_ins.of,
        drills,
        notes,
    })
}

/// What may be done with the old exchangers, where their records are remembered for so long.
fn ways(remembered: Duration) -> [Way; 5] {
    let lowered = CHANGE + Duration::from_secs(LOWERED.into());
    [
        Way {
            way: MigrationWay::Stay,
            title: "the old exchangers stay",
            file: "old-stay",
            ttl: None,
            end: None,
        },
        Way {
            way: MigrationWay::OffAtOnce,
            title: "the old exchangers are switched off with the change",
            file: "old-off-at-once",
            ttl: None,
            end: Some((Stage::Connect, "timeout", CHANGE)),
        },
        Way {
            way: MigrationWay::RejectAtOnce,
            title: "the old exchangers turn mail away from the change on (5yz)",
            file: "old-reject-at-once",
            ttl: None,
            end: Some((Stage::Rcpt, "550 5.1.1 no such user here", CHANGE)),
        },
        Way {
            way: MigrationWay::OffAfterTtl,
            title: "the old exchangers are switched off once the old TTL is over",
            file: "old-off-after-the-ttl",
            ttl: None,
            end: Some((Stage::Connect, "timeout", CHANGE + remembered)),
        },
        Way {
            way: MigrationWay::TtlLowered,
            title: "the TTL was five minutes before, and the old exchangers go five minutes after",
            file: "ttl-lowered",
            ttl: Some(LOWERED),
            end: Some((Stage::Connect, "timeout", lowered)),
        },
    ]
}

/// What is said of TLS before or after the change, which the drills leave out.
fn left_out(before: &DomainRecords, after: &DomainRecords) -> Vec<String> {
    let sides = || [before, after].into_iter();
    let mut notes = Vec::new();
    if sides().any(|side| !side.mta_sts.records().is_empty()) {
        notes.push(
            "left out: the MTA-STS policy; it has to name the new exchangers before the change, and the old ones as long as they are kept (RFC 8461 section 8.1)"
                .to_owned(),
        );
    }
    let mut hosts = sides().flat_map(|side| &side.hosts);
    if hosts.any(|(_, host)| !host.tlsa.records().is_empty()) {
        notes.push("left out: TLSA records (DANE)".to_owned());
    }
    notes
}

/// Plays one way to go about a change.
fn play(
    domain: &Domain,
    old: &DrillRecords,
    new: &DrillRecords,
    gone: &BTreeSet<IpAddr>,
    way: Way,
    notes: &[String],
) -> io::Result<MigrationDrill> {
    let ttl = way.ttl;
    let remembered = ttl.unwrap_or_else(|| old.longest_ttl());
    let messages = messages_of_change(gone.len(), remembered);
    let whole = BESIDE + 2 * Duration::from_secs(remembered.into());
    let count = u32::try_from(messages).expect("a few");
    let change = Moment(CHANGE);
    // Hosts of the new records are there before: it is the MX records that change last.
    let come = new
        .hosts
        .iter()
        .filter(|(host, _)| !old.hosts.contains_key(*host));
    let come = come.flat_map(|(_, records)| records);
    let mut builder = Scenario::builder(format!("{domain}: {}", way.title))
        .level(Level::Info)
        .zone(&(old.text(ttl) + &text(come, ttl)));
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
    let rehearsed = finished(
        domain,
        way.title.to_owned(),
        way.file.to_owned(),
        builder,
        notes,
    )?;
    let (late, last) = late(&rehearsed, gone);
    Ok(MigrationDrill {
        way: way.way,
        rehearsed,
        late,
        last,
    })
}

/// How many messages that came after the change went to an old address, and when after it the last one was taken.
fn late(rehearsed: &Rehearsed, gone: &BTreeSet<IpAddr>) -> (usize, Option<Duration>) {
    let (mut late, mut last) = (0, None);
    for passage in &rehearsed.passages {
        match &passage.end {
            PassageEnd::Taken { address, at, .. }
                if passage.given.0 >= CHANGE && gone.contains(address) =>
            {
                late += 1;
                last = last.max(Some(at.0.saturating_sub(CHANGE)));
            }
            _ => {}
        }
    }
    (late, last)
}
