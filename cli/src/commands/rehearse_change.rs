//! `mxdrill rehearse --change`: a planned change of a domain's records, before it is made.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use super::{
    PlanFormat,
    rehearse::{lost, takers, waited},
};
use crate::report::table::{self, Align, Column};
use mxdrill::{
    name::Domain,
    records::{DomainRecords, Source},
    rehearse::{MESSAGES, Migration, MigrationDrill, Rehearsed, migrate},
};

/// How long the reference sender keeps an answer at most.
const CACHED: Duration = Duration::from_secs(86_400);

/// The records of the domain after the change.
pub(super) fn after(change: &Path, before: &DomainRecords) -> io::Result<DomainRecords> {
    let mut source = Source::default();
    source
        .add_file(change, Some(&before.domain))
        .map_err(io::Error::other)?;
    let runtime = crate::runtime::of_this_thread()?;
    Ok(runtime.block_on(DomainRecords::of(&source, &before.domain)))
}

/// Rehearses the change, and shows it; the drills, for files and pages.
pub(super) fn show(
    out: &mut impl Write,
    before: &DomainRecords,
    change: &Path,
    format: PlanFormat,
) -> io::Result<Vec<Rehearsed>> {
    let migration = migrate(before, &after(change, before)?)?;
    match format {
        PlanFormat::Json => json(out, before, &migration)?,
        PlanFormat::Text => text(out, before, change, &migration)?,
    }
    let drills = migration.drills.into_iter();
    Ok(drills.map(|drill| drill.rehearsed).collect())
}

/// How long after the change an old exchanger took the last message that came after it.
fn until(drill: &MigrationDrill) -> String {
    drill.last.map_or_else(|| "none".to_owned(), waited)
}

fn text(
    out: &mut impl Write,
    before: &DomainRecords,
    change: &Path,
    migration: &Migration,
) -> io::Result<()> {
    // A host that moves is there before and after.
    let names = |hosts: &[Domain], others: &[Domain], which: &str| {
        let name = |host: &Domain| match others.contains(host) {
            true => format!("{host} (its {which} address)"),
            false => host.to_string(),
        };
        let names: Vec<String> = hosts.iter().map(name).collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(", ")
        }
    };
    writeln!(
        out,
        "{}: the change to {}, with {MESSAGES} messages before and after it\n\n\
         Old exchangers: {}\nNew exchangers: {}\nOld records are remembered for {}\n",
        before.domain,
        change.display(),
        names(&migration.old, &migration.new, "old"),
        names(&migration.new, &migration.old, "new"),
        waited(migration.remembered)
    )?;
    let heads = [
        "what is done",
        "to the old after it",
        "until",
        "longest wait",
        "returned",
        "who takes the mail",
    ];
    let rows: Vec<[String; 6]> = migration
        .drills
        .iter()
        .map(|drill| {
            let rehearsed = &drill.rehearsed;
            [
                rehearsed.title.clone(),
                drill.late.to_string(),
                until(drill),
                waited(rehearsed.longest_wait),
                lost(rehearsed),
                takers(rehearsed),
            ]
        })
        .collect();
    let column = |index: usize, align| {
        let cells = rows.iter().map(|row| &*row[index]);
        Column::fitting(align, cells.chain([heads[index]]))
    };
    let columns: Vec<Column> = (0..5)
        .map(|index| {
            column(
                index,
                if index == 0 {
                    Align::Left
                } else {
                    Align::Right
                },
            )
        })
        .collect();
    writeln!(out, "{}", table::line(&columns, "  ", heads))?;
    for row in &rows {
        writeln!(out, "{}", table::line(&columns, "  ", row))?;
    }
    writeln!(out)?;
    if migration.old.is_empty() {
        return writeln!(
            out,
            "Every address of before is one of after it, too: nothing has to be kept."
        );
    }
    if migration.remembered > CACHED {
        writeln!(
            out,
            "The sender here keeps no answer for more than a day, as many resolvers do not; others keep them for as long as the TTL says."
        )?;
    }
    if migration.remembered.is_zero() {
        return writeln!(
            out,
            "Nothing is remembered: the old exchangers may go with the change."
        );
    }
    writeln!(
        out,
        "Keep {} taking mail for {} after the change. Or lower the TTLs to five minutes that long before it.",
        names(&migration.old, &migration.new, "old"),
        waited(migration.remembered)
    )
}

fn json(out: &mut impl Write, before: &DomainRecords, migration: &Migration) -> io::Result<()> {
    for drill in &migration.drills {
        let rehearsed = &drill.rehearsed;
        let line = serde_json::json!({
            "domain": before.domain,
            "drill": rehearsed.title,
            "file": format!("{}.toml", rehearsed.file),
            "old_exchangers": migration.old,
            "new_exchangers": migration.new,
            "remembered_seconds": migration.remembered.as_secs(),
            "messages": MESSAGES,
            "late_at_the_old": drill.late,
            "last_at_the_old_after_seconds": drill.last.map(|last| last.as_secs()),
            "takers": rehearsed.takers,
            "longest_wait_seconds": rehearsed.longest_wait.as_secs_f64(),
            "returned": rehearsed.lost,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
