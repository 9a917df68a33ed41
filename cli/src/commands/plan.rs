//! `mxdrill plan`: where mail for a domain goes.
//!
//! The plan itself is `mxdrill::plan`'s; here it is written as text or JSON.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
};

use super::{
    CommandOutcome, PlanFormat, at, output,
    records::{self, Looked},
};
use crate::{
    groups::{self, Groups},
    report::{
        domain_page::{self, DomainPart, goes},
        table::{self, Align, Column},
    },
};
use mxdrill::{
    name::Domain,
    plan::{Plan, Planned},
};

/// The width of a preference, which is at most 65535.
const PREFERENCE: usize = 5;
/// The width of a share, which is at most `100.0 %`.
const SHARE: usize = 7;

pub(crate) const PLAN_NOTES: &str = "\
Percentages are of the mail that comes to a level: all of it to the first, to the others what the ones
before could not take.

Exit status: 0 mail can be delivered, 1 it cannot, 2 the records could not be read.

Examples:
  mxdrill plan example.com                       what the system's resolver says
  mxdrill plan example.com --zone example.com.zone
  mxdrill plan export.txt --format json          every domain in a file that takes mail, or says that it takes none";

#[derive(Debug, clap::Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to show it: text for people, json for programs (a line for each domain).
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
    /// Also write one HTML page, with the route drawn.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

pub(crate) fn plan(args: &PlanArgs) -> io::Result<CommandOutcome> {
    let Looked {
        domains_records,
        from,
        ..
    } = args.records.look()?;
    let plans: Vec<Plan> = domains_records.iter().map(Plan::of).collect();
    if let Some(path) = &args.html {
        let parts: Vec<DomainPart<'_>> = plans
            .iter()
            .map(|plan| DomainPart {
                plan,
                findings: None,
                unseen: Vec::new(),
            })
            .collect();
        let mut page = output::create(path)?;
        domain_page::write(&mut page, &from, &parts).map_err(|error| at(path, error))?;
    }
    let mut out = anstream::stdout().lock();
    // Of a group the first plan is shown, for the names and files of all.
    let mut groups: Groups<String, (&Plan, String)> = Groups::default();
    for (plan, domain_records) in plans.iter().zip(&domains_records) {
        match args.format {
            PlanFormat::Json => {
                serde_json::to_writer(&mut out, plan).map_err(io::Error::other)?;
                writeln!(out)?;
            }
            PlanFormat::Text => {
                let place = records::place_of(domain_records, &from);
                groups.add(groups::route_of(plan), (plan, place));
            }
        }
    }
    for (index, group) in groups.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        let (domains, places): (Vec<&Domain>, BTreeSet<&str>) = group
            .iter()
            .map(|(plan, place)| (&plan.domain, &**place))
            .unzip();
        let (plan, _) = &group[0];
        write(
            &mut out,
            plan,
            &groups::named(&domains),
            &records::places(&places),
        )?;
    }
    out.flush()?;
    Ok(if plans.iter().all(Plan::is_deliverable) {
        CommandOutcome::Passed
    } else {
        CommandOutcome::Failed
    })
}

/// A plan as text: a line for each exchanger, and why nothing can be delivered if so.
fn write(out: &mut impl Write, plan: &Plan, domains: &str, from: &str) -> io::Result<()> {
    let kind = goes(plan.kind);
    writeln!(out, "Mail for {domains} {kind} ({from})")?;
    let host = |planned: &Planned| match &planned.alias_of {
        Some(target) => format!("{} (an alias of {target})", planned.host),
        None => planned.host.to_string(),
    };
    let all = plan.levels.iter().flat_map(|level| &level.exchangers);
    let columns = [
        Column::new(Align::Right, PREFERENCE),
        Column::new(Align::Right, SHARE),
        Column::fitting(Align::Left, all.map(host)),
    ];
    let mut first = true;
    for level in &plan.levels {
        let mut preference = level.preference.to_string();
        for planned in &level.exchangers {
            let share = if planned.usable {
                format!("{:.1} %", planned.share * 100.0)
            } else {
                "-".to_owned()
            };
            let addresses: Vec<String> =
                planned.addresses.iter().map(ToString::to_string).collect();
            let mut told = addresses.join(", ");
            if let Some(note) = &planned.note {
                told = if told.is_empty() {
                    note.clone()
                } else {
                    format!("{told} ({note})")
                };
            }
            let cells = [preference, share, host(planned), told];
            writeln!(out, "  {}", table::line(&columns, "  ", cells))?;
            // It stands at the first exchanger of its level.
            preference = String::new();
        }
        let usable = level.exchangers.iter().any(|planned| planned.usable);
        first &= !usable;
    }
    if plan.levels.len() > 1 && !first {
        writeln!(
            out,
            "Lower preferences first; a level is tried when every one before it has failed."
        )?;
    }
    if let Some(why) = &plan.why {
        writeln!(out, "Nothing can be delivered: {why}.")?;
    }
    Ok(())
}
