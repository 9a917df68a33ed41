//! A badge of the matrix, as shields.io reads one from an address of the reader's (its endpoint form).

use std::io::{self, Write};

use serde_json::json;

use crate::conform::matrix::{Grade, Matrix};

/// How many drills pass, of those that the mail servers could be put through, and by its colour the worst that was found.
pub(crate) fn badge(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let with = |grade: Grade| -> usize {
        let tallies = (0..matrix.columns.len()).flat_map(|column| matrix.tally(column));
        tallies
            .filter(|(one, _)| *one == grade)
            .map(|(_, count)| count)
            .sum()
    };
    let fit: usize = Grade::ALL.into_iter().map(with).sum::<usize>() - with(Grade::Unfit);
    let label = match &matrix.columns[..] {
        [one] => one.server.id.clone(),
        many => format!("{} mail servers", many.len()),
    };
    let mut message = format!("{} of {fit} drills pass", with(Grade::Pass));
    // What only informs is no departure.
    let worst = [Grade::Violates, Grade::Deviates, Grade::Inconclusive];
    let worst = worst.into_iter().find(|grade| with(*grade) > 0);
    match worst {
        Some(Grade::Violates) => message += &format!(", {} violate", with(Grade::Violates)),
        Some(Grade::Deviates) => message += &format!(", {} deviate", with(Grade::Deviates)),
        _ => {}
    }
    let color = match worst {
        Some(Grade::Violates) => "red",
        Some(Grade::Deviates) => "yellow",
        Some(_) => "lightgrey",
        None => "brightgreen",
    };
    let badge = json!({ "schemaVersion": 1, "label": label, "message": message, "color": color });
    writeln!(out, "{badge}")
}
