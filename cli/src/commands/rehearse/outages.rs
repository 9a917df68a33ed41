//! All that may happen to a domain's exchangers, as a table.

use std::{collections::BTreeSet, io};

use serde_json::json;

use super::{
    Part,
    words::{LONG, line, lost, takers, takers_up_to, tries, waited, weight},
};
use crate::report::sheet::{Sheet, SheetRow};
use mxdrill::{
    name::Domain,
    rehearse::{PassageSum, Rehearsal, Rehearsed, SenderProfile},
};

/// Hosts that are told in a row, with the share of each; of more, how many there are. Two still fit a screen.
const TAKERS_TOLD: usize = 2;

/// Rehearses the outages of a domain.
pub(super) fn rehearse(
    domain: &Domain,
    from: &str,
    rehearsal: &Rehearsal,
    sender: &SenderProfile,
) -> io::Result<Part> {
    let drills = rehearsal.outages()?;
    let merged = rehearsal.merged();
    let sizes = drills.iter().map(|drill| drill.sum.messages);
    let messages = match (sizes.clone().min(), sizes.max()) {
        (Some(few), Some(most)) if few < most => format!("{few} to {most}"),
        (_, most) => most.unwrap_or_default().to_string(),
    };
    let mut sheet = Sheet {
        about: vec![format!("{domain} ({from}): {messages} messages a drill")],
        notes: [rehearsal.notes(), &merged].concat(),
        ..Sheet::default()
    };
    let heads = ["what happens", "longest wait", "returned"];
    sheet.heads = heads.map(str::to_owned).to_vec();
    let has_unknown = drills.iter().any(|drill| drill.unknown.is_some());
    if has_unknown {
        sheet.heads.push("mail to nobody".to_owned());
    }
    sheet.heads.push("who takes the mail".to_owned());
    let titles = titles(&drills).into_iter();
    let told: Vec<Vec<String>> = titles
        .zip(&drills)
        .map(|(title, drill)| cells(title, drill, has_unknown))
        .collect();
    let mut same = Vec::new();
    for (index, (cells, drill)) in told.iter().zip(&drills).enumerate() {
        if index > 0 && cells[1..] == told[0][1..] {
            same.push(cells[0].clone());
        } else {
            sheet.rows.push(SheetRow {
                cells: cells.clone(),
                weight: weight(&drill.sum),
            });
        }
    }
    if !same.is_empty() {
        sheet.folded = Some((format!("Nothing changes in {} more", same.len()), same));
    }
    sheet.closing = closing(&drills, sender);
    let lines = drills.iter().map(|drill| {
        let mut line = line(domain, rehearsal, drill, sender);
        if !merged.is_empty() {
            line["merged"] = json!(merged);
        }
        if drill.alike > 1 {
            line["alike"] = drill.alike.into();
        }
        line
    });
    Ok(Part {
        what: "What happens when exchangers fail".to_owned(),
        lines: lines.collect(),
        sheet,
        drills,
    })
}

/// What happens in each drill. Of several exchangers alike none is named, unless there are two kinds of as many.
fn titles(drills: &[Rehearsed]) -> Vec<String> {
    // The one that is drilled, how many are alike, and what happens to it.
    let parts = |drill: &Rehearsed| {
        let (host, told) = drill.title.split_once(" (one of ")?;
        let (alike, happens) = told.split_once(')')?;
        Some((host.to_owned(), alike.to_owned(), happens.to_owned()))
    };
    let kinds: BTreeSet<(String, String)> = drills
        .iter()
        .filter_map(parts)
        .map(|(host, alike, _)| (alike, host))
        .collect();
    let title = |drill: &Rehearsed| match parts(drill) {
        Some((_, alike, happens)) if kinds.iter().filter(|(all, _)| *all == alike).count() == 1 => {
            format!("one of {alike}{happens}")
        }
        _ => drill.title.clone(),
    };
    drills.iter().map(title).collect()
}

fn cells(title: String, drill: &Rehearsed, has_unknown: bool) -> Vec<String> {
    let sum = &drill.sum;
    let wait = match sum.takers.is_empty() {
        true => "-".to_owned(),
        false => waited(sum.longest_wait),
    };
    let mut cells = vec![title, wait, lost(sum)];
    if has_unknown {
        cells.push(drill.unknown.as_ref().map_or_else(String::new, to_nobody));
    }
    cells.push(takers_up_to(TAKERS_TOLD, sum));
    cells
}

/// What became of mail to users that there are not.
fn to_nobody(unknown: &PassageSum) -> String {
    let taken: usize = unknown.takers.values().sum();
    match taken {
        0 => "comes back".to_owned(),
        taken if taken == unknown.messages => format!("taken by {}", takers(unknown)),
        taken => format!("{taken} of {} taken", unknown.messages),
    }
}

/// What the drills say together.
fn closing(drills: &[Rehearsed], sender: &SenderProfile) -> Vec<String> {
    let all = drills.len();
    let lossy = drills.iter().filter(|drill| drill.sum.returned > 0).count();
    let slow = drills.iter().filter(|drill| drill.sum.longest_wait >= LONG);
    let mut closing = vec![match lossy {
        0 => "No mail comes back in any of these.".to_owned(),
        count => format!("Mail comes back to its senders in {count} of {all} drills."),
    }];
    match slow.count() {
        0 => {}
        slow => closing.push(format!("Mail waits an hour or more in {slow} of {all}.")),
    }
    let unknown = drills.iter().filter_map(|drill| drill.unknown.as_ref());
    let taken = unknown.filter(|unknown| !unknown.takers.is_empty()).count();
    if taken > 0 {
        closing.push(format!(
            "Mail to users that there are not is taken in {taken} of {all}; whoever took it has to return it, to senders that may be forged."
        ));
    }
    closing.push(format!(
        "While no exchanger answers, mail waits with its senders; after {} they return it. (These try again {}; others have other waits: --senders.)",
        waited(sender.lifetime),
        tries(sender)
    ));
    closing
}
