//! A planned change of a domain's records, before it is made.

use std::{io, path::Path, time::Duration};

use serde_json::{Value, json};

use super::{
    super::{records, say},
    Part,
    words::{lost, takers, waited, weight},
};
use crate::{
    groups::counted,
    report::sheet::{Sheet, SheetRow},
};
use mxdrill::{
    name::Domain,
    records::{DomainRecords, Source},
    rehearse::{Migration, MigrationDrill, MigrationWay, migrate},
};

/// How long the reference sender keeps an answer at most.
const CACHED: Duration = Duration::from_secs(86_400);

/// The records of the domain after the change.
fn after(change: &Path, before: &DomainRecords) -> io::Result<DomainRecords> {
    let mut source = Source::default();
    source
        .add_file(change, Some(&before.domain))
        .map_err(io::Error::other)?;
    for note in source.notes() {
        say::err(format_args!("note: {note}"));
    }
    records::say_assumed(&source);
    let runtime = crate::runtime::of_this_thread()?;
    Ok(runtime.block_on(DomainRecords::of(&source, &before.domain)))
}

/// Rehearses the change.
pub(super) fn rehearse(before: &DomainRecords, change: &Path) -> io::Result<Part> {
    let migration = migrate(before, &after(change, before)?)?;
    let mut sheet = Sheet {
        about: about(before, change, &migration),
        closing: closing(&migration),
        notes: notes(&migration),
        ..Sheet::default()
    };
    let heads = [
        "what is done",
        "to the old after it",
        "until",
        "longest wait",
        "returned",
        "who takes the mail",
    ];
    sheet.heads = heads.map(str::to_owned).to_vec();
    sheet.rows = migration.drills.iter().map(row).collect();
    Ok(Part {
        what: format!("The change to {}", change.display()),
        lines: lines(before, &migration),
        sheet,
        drills: migration
            .drills
            .into_iter()
            .map(|drill| drill.rehearsed)
            .collect(),
    })
}

fn row(drill: &MigrationDrill) -> SheetRow {
    let sum = &drill.rehearsed.sum;
    SheetRow {
        cells: vec![
            drill.rehearsed.title.clone(),
            drill.late.to_string(),
            drill.last.map_or_else(|| "none".to_owned(), waited),
            waited(sum.longest_wait),
            lost(sum),
            takers(sum),
        ],
        weight: weight(sum),
    }
}

/// Exchangers that are named; of more, the first two and how many more there are.
const NAMES_TOLD: usize = 10;

/// Exchangers; one that moves is there before and after.
fn names(hosts: &[Domain], others: &[Domain], which: &str) -> String {
    let name = |host: &Domain| match others.contains(host) {
        true => format!("{host} (its {which} address)"),
        false => host.to_string(),
    };
    let names: Vec<String> = hosts.iter().map(name).collect();
    match &names[..] {
        [] => "none".to_owned(),
        [first, second, more @ ..] if names.len() > NAMES_TOLD => {
            format!("{first}, {second} and {} more", counted(more.len()))
        }
        all => all.join(", "),
    }
}

fn about(before: &DomainRecords, change: &Path, migration: &Migration) -> Vec<String> {
    let Migration {
        old,
        new,
        remembered,
        ..
    } = migration;
    let mut about = vec![
        format!(
            "{}: the change to {}, with {} messages from a minute before it on",
            before.domain,
            change.display(),
            migration
                .drills
                .first()
                .map_or(0, |drill| drill.rehearsed.sum.messages)
        ),
        String::new(),
        format!("Old exchangers: {}", names(old, new, "old")),
        format!("New exchangers: {}", names(new, old, "new")),
        format!("Old records are remembered for {}", waited(*remembered)),
    ];
    if let Some(negative) = migration.none_remembered {
        about.push(format!(
            "That there are no MX records is remembered for {} (the SOA record's TTL or minimum)",
            waited(negative)
        ));
    }
    about
}

/// What has to be done, and what comes of it if it is not.
fn closing(migration: &Migration) -> Vec<String> {
    if migration.old.is_empty() {
        let kept = "Every address of before is one of after it, too: nothing has to be kept.";
        return vec![kept.to_owned()];
    }
    if migration.remembered.is_zero() {
        let gone = "Nothing is remembered: the old exchangers may go with the change.";
        return vec![gone.to_owned()];
    }
    let old = names(&migration.old, &migration.new, "old");
    let remembered = waited(migration.remembered);
    let mut closing = Vec::new();
    let drill = |way| migration.drills.iter().find(|drill| drill.way == way);
    if let Some(MigrationDrill {
        late,
        last: Some(last),
        ..
    }) = drill(MigrationWay::Stay)
    {
        closing.push(format!(
            "Messages go to {old} for {} after the change ({late} of those that come after it): their senders asked before it, and remember the old records.",
            waited(*last)
        ));
    }
    if let Some(off) = drill(MigrationWay::OffAtOnce) {
        let sum = &off.rehearsed.sum;
        let returned = match sum.returned {
            0 => String::new(),
            count => format!(", and {count} come back"),
        };
        if sum.waited + sum.returned > 0 {
            closing.push(format!(
                "Switched off with the change, they leave {} messages waiting, up to {}{returned}.",
                sum.waited,
                waited(sum.longest_wait)
            ));
        }
    }
    if let Some(reject) = drill(MigrationWay::RejectAtOnce)
        && reject.rehearsed.sum.returned > 0
    {
        closing.push(format!(
            "If they turn mail away from the change on, {} messages come back to their authors.",
            reject.rehearsed.sum.returned
        ));
    }
    let or_lower = match drill(MigrationWay::TtlLowered) {
        Some(_) => " Or lower the TTLs to five minutes that long before it.",
        None => "",
    };
    closing.push(format!(
        "Keep {old} taking mail for {remembered} after the change.{or_lower}"
    ));
    closing
}

fn notes(migration: &Migration) -> Vec<String> {
    let mut notes = migration.notes.clone();
    if migration.remembered > CACHED {
        notes.push(
            "the sender here keeps no answer for more than a day, as many resolvers do not; others keep them for as long as the TTL says"
                .to_owned(),
        );
    }
    notes
}

fn lines(before: &DomainRecords, migration: &Migration) -> Vec<Value> {
    let line = |drill: &MigrationDrill| {
        let rehearsed = &drill.rehearsed;
        json!({
            "domain": before.domain,
            "drill": rehearsed.title,
            "file": format!("{}.toml", rehearsed.file),
            "old_exchangers": migration.old,
            "new_exchangers": migration.new,
            "remembered_seconds": migration.remembered.as_secs(),
            "no_mx_remembered_seconds": migration.none_remembered.map(|time| time.as_secs()),
            "messages": rehearsed.sum.messages,
            "late_at_the_old": drill.late,
            "last_at_the_old_after_seconds": drill.last.map(|last| last.as_secs()),
            "takers": rehearsed.sum.takers,
            "longest_wait_seconds": rehearsed.sum.longest_wait.as_secs_f64(),
            "waited": rehearsed.sum.waited,
            "returned": rehearsed.sum.returned,
            "stand_ins": migration.stand_ins,
            "notes": migration.notes,
        })
    };
    migration.drills.iter().map(line).collect()
}
