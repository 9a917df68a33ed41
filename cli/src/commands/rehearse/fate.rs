//! Shared fate: what one outage takes with it, over all domains of a rehearsal.
//!
//! `portfolio` plays it, `mend` plays what would help, `told` and `lines` say what came of it; `names` knows to whom
//! exchangers belong and in which zones names are.

mod lines;
mod mend;
mod names;
mod portfolio;
mod told;

use std::io::{self, Write};

use serde_json::Value;

use self::{mend::Mend, names::Zones, portfolio::Portfolio, told::Row};
use super::words::{not_rehearsed, waited};
use crate::{
    groups::counted,
    report::{
        fate_bars::{self, BarPart, FateBar},
        sheet::Sheet,
    },
};
use mxdrill::{
    plan::Plan,
    records::{DomainRecords, Source},
    rehearse::{Assumptions, Fate, Rehearsed, SenderProfile, file_name},
};

/// Bars on a page: what many domains share is there, whatever they are.
const BARS: usize = 200;
/// The worst outages, which are written as drills, and drills of each: one for each route, most domains first.
const WRITTEN: usize = 5;
const DRILLS: usize = 10;

/// What outages take with them.
pub(super) struct SharedFate<'a> {
    portfolio: Portfolio<'a>,
    /// Outages that several domains share, the worst first.
    rows: Vec<Row>,
    /// How many hit one domain alone.
    single: usize,
    mends: Vec<Mend<'a>>,
    sender: SenderProfile,
}

impl<'a> SharedFate<'a> {
    /// Plays all outages of several domains.
    ///
    /// # Errors
    /// That a drill did not run.
    pub(super) fn of(
        source: &Source,
        runtime: &tokio::runtime::Runtime,
        domains_records: &'a [DomainRecords],
        assumptions: &Assumptions,
    ) -> io::Result<Self> {
        let zones = |planned: &[(&DomainRecords, Plan)]| {
            let plans = planned.iter().map(|(_, plan)| plan);
            runtime.block_on(Zones::of(source, plans))
        };
        let portfolio = Portfolio::of(domains_records, assumptions, zones)?;
        let (rows, single) = told::rows(&portfolio);
        Ok(Self {
            mends: mend::mends(&portfolio, assumptions)?,
            portfolio,
            rows,
            single,
            sender: assumptions.sender.clone(),
        })
    }

    /// Whether there is anything to tell: two domains that take mail.
    pub(super) fn is_of_several(&self) -> bool {
        self.portfolio.counted() > 1
    }

    /// As a table.
    pub(super) fn sheet(&self) -> Sheet {
        let Self {
            portfolio,
            rows,
            mends,
            sender,
            ..
        } = self;
        told::sheet(portfolio, rows, self.single, mends, sender)
    }

    /// As lines of JSON.
    pub(super) fn lines(&self) -> Vec<Value> {
        lines::lines(&self.portfolio, &self.mends, &self.sender)
    }

    /// Lines of JSON about the domains that are not counted, since they cannot be rehearsed at all.
    pub(super) fn not_rehearsed(&self) -> Vec<Value> {
        let reasons = self.portfolio.reasons.iter();
        reasons
            .map(|(domain, why)| not_rehearsed(domain, why))
            .collect()
    }

    /// As a part of a page.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn draw(&self, out: &mut impl Write, from: &str) -> io::Result<()> {
        let rows = self.rows.iter().take(BARS);
        let bars: Vec<FateBar> = rows.map(|row| self.bar(row)).collect();
        let domains = format!("{} domains", counted(self.portfolio.counted()));
        let patience = waited(self.sender.lifetime);
        fate_bars::write(out, &domains, from, &self.sheet(), &bars, &patience)
    }

    fn bar(&self, row: &Row) -> FateBar {
        let counts = &row.counts;
        let toll = &self.portfolio.tolls[row.tolls[0]];
        let names = |fate: Fate| {
            let domains = self.portfolio.domains(toll, |one| one == fate);
            domains.into_iter().map(ToString::to_string).collect()
        };
        FateBar {
            what: told::what(&self.portfolio, row),
            parts: vec![
                (BarPart::Lost, counts.lost),
                (BarPart::AtStake, counts.at_stake),
                (BarPart::Waits, counts.waits - counts.at_stake),
                (BarPart::Another, counts.another),
                (BarPart::Unnoticed, counts.unnoticed),
            ],
            names: vec![
                (BarPart::Lost, names(Fate::Lost)),
                (BarPart::AtStake, names(Fate::AtStake)),
                (BarPart::Waits, names(Fate::Waits)),
                (BarPart::Another, names(Fate::Another)),
            ],
        }
    }

    /// The worst outages, each with a name for its folder, and with a drill of each route that is hit, for the first of
    /// the domains that have it.
    ///
    /// # Errors
    /// That a drill did not run.
    pub(super) fn drills(
        &self,
        assumptions: &Assumptions,
    ) -> io::Result<Vec<(String, Vec<Rehearsed>)>> {
        let portfolio = &self.portfolio;
        let mut worst = Vec::new();
        for row in self.rows.iter().take(WRITTEN) {
            let toll = &portfolio.tolls[row.tolls[0]];
            let noticed = |(group, hit): &&(usize, usize)| {
                portfolio.groups[*group].fates[*hit] > Fate::Unnoticed
            };
            let mut touched: Vec<(usize, usize)> =
                toll.touched.iter().filter(noticed).copied().collect();
            touched.sort_by_key(|(group, hit)| {
                let group = &portfolio.groups[*group];
                std::cmp::Reverse((group.fates[*hit], group.members.len()))
            });
            let drills = touched.into_iter().take(DRILLS).map(|(group, hit)| {
                let group = &portfolio.groups[group];
                let title = match group.members.len() {
                    1 => told::happens(&toll.outage),
                    all => format!(
                        "{} (and so for {} domains more)",
                        told::happens(&toll.outage),
                        counted(all - 1)
                    ),
                };
                let file = group.members[0].domain.to_string();
                let rehearsal = group.rehearsal(assumptions)?;
                rehearsal.fate_drill(&title, file, &group.hits[hit])
            });
            let drills: Vec<Rehearsed> = drills.collect::<io::Result<_>>()?;
            if !drills.is_empty() {
                worst.push((
                    file_name(&told::outage(&toll.outage).replace(' ', "-")),
                    drills,
                ));
            }
        }
        Ok(worst)
    }
}
