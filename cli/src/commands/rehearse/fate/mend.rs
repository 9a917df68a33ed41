//! What to mend first: where one exchanger more, elsewhere, takes most domains out of danger, and what is left then.
//!
//! It is not reckoned but played: the domains go through all that hit them again, with that exchanger.

use std::{collections::BTreeMap, io};

use super::portfolio::{Counts, Portfolio, Toll, each_group};
use mxdrill::{
    name::Domain,
    rehearse::{Assumptions, Fate},
};

/// Steps that are told: what comes later depends on what was done before.
const STEPS: usize = 3;

/// A step, after those before it.
pub(super) struct Mend<'a> {
    /// The number of the outage against which it is.
    pub(super) toll: usize,
    /// The domains that get an exchanger elsewhere.
    pub(super) domains: Vec<&'a Domain>,
    /// The outages that are still a danger to some after it, with what they take, the worst first.
    pub(super) left: Vec<(usize, Counts)>,
}

/// What groups come to, mended or not.
struct Mending<'p, 'a> {
    portfolio: &'p Portfolio<'a>,
    assumptions: &'p Assumptions,
    /// What becomes of each group, by the number of the hit.
    now: Vec<Vec<Fate>>,
    /// The same of those that were played with an exchanger elsewhere.
    mended: BTreeMap<usize, Vec<Fate>>,
}

/// The first steps.
///
/// # Errors
/// That a drill did not run.
pub(super) fn mends<'a>(
    portfolio: &Portfolio<'a>,
    assumptions: &Assumptions,
) -> io::Result<Vec<Mend<'a>>> {
    let now = portfolio.groups.iter().map(|group| group.fates.clone());
    let mut mending = Mending {
        portfolio,
        assumptions,
        now: now.collect(),
        mended: BTreeMap::new(),
    };
    let mut mends = Vec::new();
    while mends.len() < STEPS
        && let Some((toll, groups)) = mending.best()?
    {
        let members = groups
            .iter()
            .flat_map(|group| &portfolio.groups[*group].members);
        let mut domains: Vec<&Domain> = members.map(|member| &member.domain).collect();
        domains.sort();
        for group in groups {
            mending.now[group] = mending.mended[&group].clone();
        }
        mends.push(Mend {
            toll,
            domains,
            left: mending.left(),
        });
    }
    Ok(mends)
}

impl Mending<'_, '_> {
    fn counts(&self, toll: &Toll) -> Counts {
        let fate = |group: usize, hit: usize| self.now[group][hit];
        self.portfolio.counts(toll, fate)
    }

    /// The outages that are a danger to some, the worst first.
    fn left(&self) -> Vec<(usize, Counts)> {
        let tolls = self.portfolio.tolls.iter().enumerate();
        let counted = tolls.map(|(number, toll)| (number, self.counts(toll)));
        let mut left: Vec<_> = counted
            .filter(|(_, counts)| counts.in_danger() > 0)
            .collect();
        left.sort_by(|(_, one), (_, other)| other.cmp(one));
        left
    }

    /// The outage against which an exchanger elsewhere helps most domains, and the groups that it helps; `None` if it
    /// helps none.
    fn best(&mut self) -> io::Result<Option<(usize, Vec<usize>)>> {
        let mut left = self.left();
        left.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.in_danger()));
        let mut best: Option<(usize, usize, Vec<usize>)> = None;
        for (toll, counts) in left {
            let most = best.as_ref().map_or(0, |(most, ..)| *most);
            if counts.in_danger() <= most {
                break;
            }
            let touched = &self.portfolio.tolls[toll].touched;
            let in_danger =
                |(group, hit): &&(usize, usize)| self.now[*group][*hit] >= Fate::AtStake;
            let in_danger: Vec<(usize, usize)> =
                touched.iter().filter(in_danger).copied().collect();
            self.play(in_danger.iter().map(|(group, _)| *group))?;
            let helped = in_danger.into_iter();
            let helped = helped.filter(|(group, hit)| self.mended[group][*hit] < Fate::AtStake);
            let helped: Vec<usize> = helped.map(|(group, _)| group).collect();
            let members = helped
                .iter()
                .map(|group| self.portfolio.groups[*group].members.len());
            let members: usize = members.sum();
            if members > most {
                best = Some((members, toll, helped));
            }
        }
        Ok(best.map(|(_, toll, helped)| (toll, helped)))
    }

    /// Plays groups with an exchanger elsewhere, unless that was done before. It is tried after all others: where mail
    /// was in no danger nothing changes.
    fn play(&mut self, groups: impl Iterator<Item = usize>) -> io::Result<()> {
        let groups: Vec<usize> = groups
            .filter(|group| !self.mended.contains_key(group))
            .collect();
        let played = each_group(&groups, |number| {
            let group = &self.portfolio.groups[number];
            let rehearsal = group
                .rehearsal(self.assumptions)?
                .with_exchanger_elsewhere();
            let fates = group.hits.iter().zip(&group.fates);
            let endangered = fates.filter(|(_, fate)| **fate >= Fate::AtStake);
            let mut anew = rehearsal
                .fates(endangered.map(|(hit, _)| hit))?
                .of
                .into_iter();
            let fates = group.fates.iter().map(|fate| match fate {
                Fate::AtStake | Fate::Lost => anew.next().unwrap_or(*fate),
                fate => *fate,
            });
            Ok(fates.collect::<Vec<Fate>>())
        })?;
        self.mended.extend(groups.into_iter().zip(played));
        Ok(())
    }
}
