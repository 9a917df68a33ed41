//! What an outage takes with it, for people: a table of the worst, what to mend first, and what is left then.

use std::collections::HashMap;

use super::{
    mend::Mend,
    portfolio::{Counts, Portfolio, Toll},
};
use crate::{
    commands::rehearse::words::{tries, waited},
    groups::{counted, named},
    report::sheet::{Sheet, SheetRow, Weight},
};
use mxdrill::{
    name::Domain,
    rehearse::{Fate, SenderProfile, SharedOutage, SharedPart},
};

/// Rows of the table; how many more there are is said.
const WORST: usize = 12;
/// What else fails with it that is told in a row.
const ALSO: usize = 2;

/// Outages that hit the same of the same domains, so that one tells of all.
pub(super) struct Row {
    /// The numbers of these, the widest first.
    pub(super) tolls: Vec<usize>,
    pub(super) counts: Counts,
}

/// All rows that are about more than one domain, the worst first; and how many outages hit one alone.
pub(super) fn rows(portfolio: &Portfolio<'_>) -> (Vec<Row>, usize) {
    let mut places: HashMap<&[(usize, usize)], usize> = HashMap::new();
    let mut rows: Vec<Row> = Vec::new();
    let mut single = 0;
    for (number, toll) in portfolio.tolls.iter().enumerate() {
        match portfolio.hit(toll) {
            // Nobody who is counted.
            0 => continue,
            // Not shared: the rehearsal of that domain tells of it.
            1 => {
                single += 1;
                continue;
            }
            _ => {}
        }
        let place = *places.entry(&toll.touched).or_insert(rows.len());
        match rows.get_mut(place) {
            Some(row) => row.tolls.push(number),
            None => rows.push(Row {
                tolls: vec![number],
                counts: portfolio.counts_now(toll),
            }),
        }
    }
    rows.sort_by(|one, other| other.counts.cmp(&one.counts));
    (rows, single)
}

/// What fails, with its kind: `network 192.0.2.0/24`.
pub(super) fn outage(outage: &SharedOutage) -> String {
    format!("{} {}", outage.part.word(), outage.name)
}

/// What happens, as the title of a drill.
pub(super) fn happens(outage: &SharedOutage) -> String {
    let name = &outage.name;
    match outage.part {
        SharedPart::Operator => format!("no exchanger of {name} answers for a day"),
        SharedPart::Network => format!("nothing in {name} answers for a day"),
        SharedPart::Zone => format!("names in the zone {name} cannot be looked up for a day"),
        SharedPart::Exchanger | SharedPart::Address => format!("{name} does not answer for a day"),
    }
}

/// What fails in a row: the widest of it, and what that comes down to.
pub(super) fn what(portfolio: &Portfolio<'_>, row: &Row) -> String {
    let outages: Vec<&SharedOutage> = row
        .tolls
        .iter()
        .map(|number| &portfolio.tolls[*number].outage)
        .collect();
    let [first, others @ ..] = &outages[..] else {
        return String::new();
    };
    let told: Vec<&str> = others.iter().map(|other| other.name.as_str()).collect();
    let more = match told.len() {
        0 => return outage(first),
        few if few <= ALSO => String::new(),
        many => format!(" and {} more", many - ALSO),
    };
    let told = told[..told.len().min(ALSO)].join(", ");
    format!("{} ({told}{more})", outage(first))
}

/// A number of domains.
pub(super) fn number(count: usize) -> String {
    match count {
        0 => "none".to_owned(),
        count => counted(count),
    }
}

/// How bad a row is.
pub(super) fn weight(counts: &Counts) -> Weight {
    match () {
        () if counts.lost > 0 => Weight::Returned,
        () if counts.waits > 0 => Weight::Waits,
        () => Weight::Fine,
    }
}

/// The table, and what it comes to.
pub(super) fn sheet(
    portfolio: &Portfolio<'_>,
    rows: &[Row],
    single: usize,
    mends: &[Mend<'_>],
    sender: &SenderProfile,
) -> Sheet {
    let patience = waited(sender.lifetime);
    let mut sheet = Sheet {
        about: vec![format!(
            "Shared fate of {} domains: what becomes of their mail in one outage, which lasts a day",
            counted(portfolio.counted())
        )],
        closing: closing(portfolio, rows, mends, sender),
        notes: notes(portfolio),
        ..Sheet::default()
    };
    sheet.heads = [
        "what fails",
        "lost",
        "waits",
        &format!("lost if over {patience}"),
        "by another",
        "notice nothing",
        "whose mail is lost or waits",
    ]
    .map(str::to_owned)
    .to_vec();
    for row in rows.iter().take(WORST) {
        let counts = &row.counts;
        // All of the row hit the same.
        let toll = &portfolio.tolls[row.tolls[0]];
        let hurt = portfolio.domains(toll, |fate| fate >= Fate::Waits);
        let mut cells = vec![what(portfolio, row)];
        let numbers = [
            counts.lost,
            counts.waits,
            counts.at_stake + counts.lost,
            counts.another,
            counts.unnoticed,
        ];
        cells.extend(numbers.map(number));
        cells.push(named(&hurt));
        sheet.rows.push(SheetRow {
            cells,
            weight: weight(counts),
        });
    }
    // The text is as short for a hundred thousand domains as for ten.
    let more = rows.len().saturating_sub(WORST);
    let mut left_out = Vec::new();
    if more > 0 {
        let worst = &rows[WORST].counts;
        left_out.push(format!(
            "{} that several domains share; the worst of them makes the mail of {} wait",
            counted(more),
            number(worst.waits + worst.lost)
        ));
    }
    if single > 0 {
        left_out.push(format!("{} that hit one domain alone", counted(single)));
    }
    if !left_out.is_empty() {
        let what = "Other outages (--format json tells them all)".to_owned();
        sheet.folded = Some((what, left_out));
    }
    sheet
}

/// What it comes to.
fn closing(
    portfolio: &Portfolio<'_>,
    rows: &[Row],
    mends: &[Mend<'_>],
    sender: &SenderProfile,
) -> Vec<String> {
    let patience = waited(sender.lifetime);
    let mut closing = Vec::new();
    match rows.first() {
        None => {
            closing.push("These domains share nothing of which an outage is told here.".to_owned())
        }
        Some(row) if row.counts.waits + row.counts.lost == 0 => {
            closing.push("No outage that they share makes mail wait.".to_owned());
        }
        Some(row) => {
            let worst = what(portfolio, row);
            closing.push(format!(
                "The worst: {worst}. {}",
                worst_of(&row.counts, &patience)
            ));
        }
    }
    for (step, mend) in mends.iter().enumerate() {
        let first = if step == 0 { "Mend first" } else { "Then" };
        let toll = &portfolio.tolls[mend.toll];
        closing.push(format!(
            "{first}: {}. {}",
            lack(&mend.domains, toll),
            left(portfolio, mend, step)
        ));
    }
    closing.push(format!(
        "Who sends tries again {}, and returns mail after {patience}.",
        tries(sender)
    ));
    closing
}

/// What becomes of those who do not get their mail at once.
fn worst_of(counts: &Counts, patience: &str) -> String {
    let waiting = format!("The mail of {} waits", domains(counts.waits));
    match () {
        () if counts.waits == 0 => format!("Mail for {} is lost.", domains(counts.lost)),
        () if counts.lost > 0 => format!("{waiting}, and for {} it is lost.", domains(counts.lost)),
        () if counts.at_stake == 0 => format!("{waiting}, and none is lost."),
        () if counts.at_stake == counts.waits => {
            format!("{waiting}, and some is lost if it lasts longer than {patience}.")
        }
        () => format!(
            "{waiting}; if it lasts longer than {patience}, {} lose some.",
            domains(counts.at_stake)
        ),
    }
}

fn domains(count: usize) -> String {
    match count {
        1 => "1 domain".to_owned(),
        count => format!("{} domains", number(count)),
    }
}

/// What domains lack.
pub(super) fn lack(these: &[&Domain], toll: &Toll) -> String {
    let (who, have) = match these.len() {
        1 => ("this domain".to_owned(), "has"),
        many => (format!("these {}", counted(many)), "have"),
    };
    let name = &toll.outage.name;
    // Not "none but those of NAME": a machine has other names, too.
    let lack = match toll.outage.part {
        SharedPart::Zone => format!("no exchanger that is found while the zone {name} fails"),
        SharedPart::Operator => format!("no exchanger that is left while those of {name} fail"),
        SharedPart::Network => format!("no exchanger outside {name}"),
        SharedPart::Exchanger => format!("no exchanger that is left while {name} fails"),
        SharedPart::Address => format!("no exchanger at another address than {name}"),
    };
    format!("{who} {have} {lack}: {}", named(these))
}

/// What is left when they have an exchanger elsewhere, which is explained the first time.
fn left(portfolio: &Portfolio<'_>, mend: &Mend<'_>, step: usize) -> String {
    let with = match step {
        0 => "With one more elsewhere (another network, another operator, a name in another zone)",
        _ => "With one more elsewhere",
    };
    match mend.left.first() {
        None => format!("{with}, no outage is left that makes mail wait for its end."),
        Some((worst, counts)) => format!(
            "{with}, the worst that is left is the {}: the mail of {} waits for its end.",
            outage(&portfolio.tolls[*worst].outage),
            domains(counts.in_danger())
        ),
    }
}

/// Which domains are not counted, and what is not known.
fn notes(portfolio: &Portfolio<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for (domains, why) in [
        (&portfolio.without_mail, "mail for them goes nowhere"),
        (
            &portfolio.failing,
            "not all mail for them gets through at once even while nothing fails",
        ),
        (&portfolio.unplayed, "they could not be rehearsed"),
    ] {
        if !domains.is_empty() {
            notes.push(format!("not counted: {} ({why})", named(domains)));
        }
    }
    match portfolio.unknown {
        0 => {}
        1 => notes.push(
            "one exchanger is in no address and no network: it is not known where it is".to_owned(),
        ),
        many => notes.push(format!(
            "{} exchangers are in no address and no network: it is not known where they are",
            counted(many)
        )),
    }
    notes.push(
        "assumed: an exchanger is the operator's under whose registrable domain its name is, by the Public Suffix List; all addresses of an exchanger fail together"
            .to_owned(),
    );
    notes
}
