//! How long an outage of all exchangers may be, for several kinds of senders.

use std::{io, time::Duration};

use mxdrill::time::HumanDuration;

use super::{
    Part,
    words::{line, schedule, waited},
};
use crate::report::sheet::{Sheet, SheetRow, Weight, percentages};
use mxdrill::{
    name::Domain,
    rehearse::{OutageLength, PassageSum, Rehearsal, SenderProfile},
};

/// Rehearses outages of several lengths.
pub(super) fn rehearse(
    domain: &Domain,
    rehearsal: &Rehearsal,
    senders: &[SenderProfile],
) -> io::Result<Part> {
    let lengths = rehearsal.lengths(senders)?;
    let mut sheet = Sheet {
        about: vec![format!(
            "{domain}: no exchanger answers for so long, and mail comes all that time; how late it is at most, or how much of it comes back"
        )],
        ..Sheet::default()
    };
    sheet.heads = vec!["sent by".to_owned()];
    sheet
        .heads
        .extend(lengths.iter().map(|length| waited(length.length)));
    let mut lines = Vec::new();
    for (index, sender) in senders.iter().enumerate() {
        let drills = lengths.iter().map(|length| &length.drills[index]);
        let mut cells = vec![sender.name.to_owned()];
        for (drill, length) in drills.zip(&lengths) {
            cells.push(cell(&drill.sum));
            let mut line = line(domain, rehearsal, drill, sender);
            line["outage_seconds"] = length.length.as_secs().into();
            if let Some(most) = rehearsal.candidates() {
                line["exchangers_tried_at_most"] = most.into();
            }
            lines.push(line);
        }
        let weight = Weight::Fine;
        sheet.rows.push(SheetRow { cells, weight });
        sheet.closing.push(patience(&lengths, index, sender));
    }
    if let Some(most) = rehearsal.candidates() {
        sheet.notes.push(format!(
            "assumed: senders try {most} of the exchangers before they wait, as RFC 5321 section 5.1 lets them; the drills have no others"
        ));
    }
    let reference = SenderProfile::default().name;
    if senders.iter().any(|sender| sender.name != reference) {
        sheet.notes.push(
            "assumed: mail servers have the waits and the patience that they have by default (docs/schedules.md), and else do as mxdrill's reference sender"
                .to_owned(),
        );
    }
    Ok(Part {
        what: "How long an outage may be".to_owned(),
        sheet,
        lines,
        drills: lengths
            .into_iter()
            .flat_map(|length| length.drills)
            .collect(),
    })
}

/// Which of the outages a kind of sender comes through without a loss.
fn patience(lengths: &[OutageLength], index: usize, sender: &SenderProfile) -> String {
    let is_lossless = |length: &&OutageLength| length.drills[index].sum.returned == 0;
    let through = lengths.iter().take_while(is_lossless).last();
    let told = match through {
        Some(length) => format!("all arrives after an outage of {}", waited(length.length)),
        None => "mail comes back after the shortest of these outages".to_owned(),
    };
    let beyond = lengths.iter().find(|length| !is_lossless(length));
    let beyond = beyond.map_or_else(String::new, |length| {
        format!(", some comes back after one of {}", waited(length.length))
    });
    format!(
        "{}: {told}{beyond}. These {}.",
        sender.name,
        schedule(sender)
    )
}

/// What came of the mail of one kind of sender.
fn cell(sum: &PassageSum) -> String {
    match sum.returned {
        0 => roughly(sum.longest_wait),
        all if all == sum.messages => "all back".to_owned(),
        returned => {
            let share = percentages(&[returned, sum.messages - returned]).swap_remove(0);
            format!("{share} back")
        }
    }
}

/// A wait in whole minutes, of days in whole hours, rounded up.
fn roughly(wait: Duration) -> String {
    let unit = match wait.as_secs() {
        0..60 => 1,
        60..86_400 => 60,
        _ => 3600,
    };
    let whole = wait.as_secs_f64() / f64::from(unit);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a wait of some days"
    )]
    let whole = whole.ceil() as u32;
    HumanDuration(Duration::from_secs(1) * unit * whole).to_string()
}
