//! Many domains, and what becomes of each in every outage that they may share.
//!
//! Domains that go through the same drills are played once, for all of them; and outages that hit the same of a domain
//! are one to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
};

use super::names::{Zones, operator};
use crate::{
    commands::rehearse::{assumed::meant_for, words::without_domain},
    groups::{self, Groups},
    parallel, progress,
};
use mxdrill::{
    name::Domain,
    plan::Plan,
    records::DomainRecords,
    rehearse::{Assumptions, Fate, Hit, Rehearsal, SharedOutage, shared_outages},
};

/// Domains that go through the same drills, and what becomes of them.
pub(super) struct FateGroup<'a> {
    pub(super) members: Vec<&'a DomainRecords>,
    /// What is hit of them, in some outage.
    pub(super) hits: Vec<Hit>,
    /// What becomes of their mail then, hit by hit.
    pub(super) fates: Vec<Fate>,
}

impl FateGroup<'_> {
    /// The first member, which is played for all.
    pub(super) fn rehearsal(&self, assumptions: &Assumptions) -> io::Result<Rehearsal> {
        rehearsal(self.members[0], assumptions)
    }
}

/// A domain among others.
fn rehearsal(domain_records: &DomainRecords, assumptions: &Assumptions) -> io::Result<Rehearsal> {
    Rehearsal::of(domain_records, meant_for(assumptions, domain_records))
}

/// An outage with what it takes with it.
pub(super) struct Toll {
    pub(super) outage: SharedOutage,
    /// The groups that it hits, each with the number of the hit among its own.
    pub(super) touched: Vec<(usize, usize)>,
}

/// Domains beside each other.
pub(super) struct Portfolio<'a> {
    /// Those that take mail.
    pub(super) groups: Vec<FateGroup<'a>>,
    /// All outages, in the order of kinds and names.
    pub(super) tolls: Vec<Toll>,
    /// Domains that take no mail.
    pub(super) without_mail: Vec<&'a Domain>,
    /// Domains whose mail does not get through at once even while nothing fails.
    pub(super) failing: Vec<&'a Domain>,
    /// Domains that could not be rehearsed.
    pub(super) unplayed: Vec<&'a Domain>,
    /// Why not, of these and of those that take no mail.
    pub(super) reasons: Vec<(&'a Domain, String)>,
    /// Exchangers whose addresses are not known.
    pub(super) unknown: usize,
}

impl<'a> Portfolio<'a> {
    /// Plays the outages that these domains may share. `zones_of` looks the zones of their names up.
    ///
    /// # Errors
    /// That a drill did not run.
    pub(super) fn of(
        all: &'a [DomainRecords],
        assumptions: &Assumptions,
        zones_of: impl FnOnce(&[(&DomainRecords, Plan)]) -> Zones,
    ) -> io::Result<Self> {
        let mut portfolio = Self {
            groups: Vec::new(),
            tolls: Vec::new(),
            without_mail: Vec::new(),
            failing: Vec::new(),
            unplayed: Vec::new(),
            reasons: Vec::new(),
            unknown: 0,
        };
        let mut planned = Vec::new();
        for domain_records in all {
            let plan = Plan::of(domain_records);
            if plan.is_deliverable() {
                planned.push((domain_records, plan));
                continue;
            }
            let domain = &domain_records.domain;
            portfolio.without_mail.push(domain);
            portfolio.reasons.extend(plan.why.map(|why| (domain, why)));
        }
        let zones = zones_of(&planned);
        let mut plans = Vec::new();
        for (members, plan) in grouped(planned, &zones) {
            // What is refused here was told of when the domain was rehearsed by itself.
            if let Err(error) = rehearsal(members[0], assumptions) {
                let why = without_domain(&error, &members[0].domain);
                let domains = members.iter().map(|member| &member.domain);
                let reasons = domains.clone().map(|domain| (domain, why.clone()));
                portfolio.reasons.extend(reasons);
                portfolio.unplayed.extend(domains);
                continue;
            }
            portfolio.groups.push(FateGroup {
                members,
                hits: Vec::new(),
                fates: Vec::new(),
            });
            plans.push(plan);
        }
        let exchangers = plans.iter().flat_map(Plan::usable);
        let unknown: BTreeSet<&Domain> = exchangers
            .filter(|(_, planned)| planned.addresses.is_empty())
            .map(|(_, planned)| &planned.host)
            .collect();
        portfolio.unknown = unknown.len();
        let outages = shared_outages(&plans, operator, |name| zones.zone(name));
        portfolio.number_hits(outages);
        portfolio.play(assumptions)?;
        Ok(portfolio)
    }

    /// Gives what is hit of a group a number, the same in each outage that hits the same.
    fn number_hits(&mut self, outages: Vec<SharedOutage>) {
        let mut numbers: Vec<BTreeMap<Hit, usize>> = vec![BTreeMap::new(); self.groups.len()];
        for mut outage in outages {
            let hits = std::mem::take(&mut outage.hits).into_iter();
            let touched = hits.map(|(group, hit)| {
                let next = numbers[group].len();
                let number = *numbers[group].entry(hit.clone()).or_insert(next);
                if number == next {
                    self.groups[group].hits.push(hit);
                }
                (group, number)
            });
            let touched = touched.collect();
            self.tolls.push(Toll { outage, touched });
        }
    }

    /// Plays each group through what hits it. Groups whose mail does not get through anyway are put apart: no outage
    /// is to blame for them.
    fn play(&mut self, assumptions: &Assumptions) -> io::Result<()> {
        let groups = &self.groups;
        let all: Vec<usize> = (0..groups.len()).collect();
        let played = each_group(&all, |group| {
            let group = &groups[group];
            group.rehearsal(assumptions)?.fates(&group.hits)
        })?;
        for (group, fates) in self.groups.iter_mut().zip(played) {
            if fates.usual == Fate::Unnoticed {
                group.fates = fates.of;
            } else {
                self.failing
                    .extend(group.members.iter().map(|member| &member.domain));
                group.members.clear();
                group.fates = vec![Fate::Unnoticed; group.hits.len()];
            }
        }
        Ok(())
    }

    /// How many domains are counted.
    pub(super) fn counted(&self) -> usize {
        self.groups.iter().map(|group| group.members.len()).sum()
    }

    /// How many domains an outage hits in any way.
    pub(super) fn hit(&self, toll: &Toll) -> usize {
        let groups = toll.touched.iter();
        groups
            .map(|(group, _)| self.groups[*group].members.len())
            .sum()
    }

    /// What becomes of how many in an outage, if groups fare as `fate` says of each with the number of its hit.
    pub(super) fn counts(&self, toll: &Toll, fate: impl Fn(usize, usize) -> Fate) -> Counts {
        let mut counts = Counts::default();
        for (group, hit) in &toll.touched {
            let members = self.groups[*group].members.len();
            match fate(*group, *hit) {
                Fate::Unnoticed => {}
                Fate::Another => counts.another += members,
                Fate::Waits => counts.waits += members,
                Fate::AtStake => {
                    counts.waits += members;
                    counts.at_stake += members;
                }
                Fate::Lost => counts.lost += members,
            }
        }
        counts.unnoticed = self.counted() - counts.another - counts.waits - counts.lost;
        counts
    }

    /// As they were played.
    pub(super) fn counts_now(&self, toll: &Toll) -> Counts {
        self.counts(toll, |group, hit| self.groups[group].fates[hit])
    }

    /// The domains of which this becomes in an outage, by name.
    pub(super) fn domains(&self, toll: &Toll, is_it: impl Fn(Fate) -> bool) -> Vec<&'a Domain> {
        let touched = toll.touched.iter();
        let those = touched.filter(|(group, hit)| is_it(self.groups[*group].fates[*hit]));
        let members = those.flat_map(|(group, _)| &self.groups[*group].members);
        let mut domains: Vec<&Domain> = members.map(|member| &member.domain).collect();
        domains.sort();
        domains
    }
}

/// What becomes of how many domains in an outage; the worse one of two is the greater.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Counts {
    /// Some of their mail is returned, in an outage of a day.
    pub(super) lost: usize,
    /// Of those that wait: some mail is lost if the outage outlasts the senders' patience.
    pub(super) at_stake: usize,
    /// Some of it waits.
    pub(super) waits: usize,
    /// It is taken elsewhere without a wait for a retry.
    pub(super) another: usize,
    /// Nothing changes.
    pub(super) unnoticed: usize,
}

impl Counts {
    /// Those whose mail depends on the end of the outage.
    pub(super) fn in_danger(&self) -> usize {
        self.lost + self.at_stake
    }
}

/// Does work for each of these groups, on all cores; what came of them, in their order.
///
/// # Errors
/// The first error.
pub(super) fn each_group<T: Send>(
    groups: &[usize],
    work: impl Fn(usize) -> io::Result<T> + Sync,
) -> io::Result<Vec<T>> {
    let bar = progress::bar(groups.len() as u64, "{pos}/{len} groups, shared fate");
    let mut done = Vec::with_capacity(groups.len());
    let work = |number: usize| work(groups[number]);
    parallel::in_order(groups.len(), parallel::cores(), work, |_, result| {
        bar.inc(1);
        done.push(result?);
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(done)
}

/// Domains that go through the same drills, with the plan of the first. One whose MX records are in the zone of its
/// exchangers' names fares otherwise when that zone fails.
fn grouped<'a>(
    planned: Vec<(&'a DomainRecords, Plan)>,
    zones: &Zones,
) -> Vec<(Vec<&'a DomainRecords>, Plan)> {
    let of_exchangers: BTreeSet<Domain> = planned
        .iter()
        .flat_map(|(_, plan)| plan.usable())
        .flat_map(|(_, planned)| [Some(&planned.host), planned.alias_of.as_ref()])
        .flatten()
        .map(|name| zones.zone(name))
        .collect();
    let mut groups: Groups<_, (&DomainRecords, Plan)> = Groups::default();
    for (domain_records, plan) in planned {
        let own = Some(zones.zone(&plan.domain));
        let own = own.filter(|zone| of_exchangers.contains(zone));
        let key = (groups::drilled_as(domain_records), own);
        groups.add(key, (domain_records, plan));
    }
    let group = |members: &[(&'a DomainRecords, Plan)]| {
        let plan = members[0].1.clone();
        (members.iter().map(|(member, _)| *member).collect(), plan)
    };
    groups.iter().map(group).collect()
}
