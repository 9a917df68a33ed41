//! The matrix for a terminal: a line for each group of drills, one for each drill in which some
//! server departs or nothing is known, and what is wrong below.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::{Place, Telling, reasons};
use crate::{
    conform::matrix::{Grade, Matrix, MatrixRow, ServerColumn, session_rules},
    report::table::{self, Align, Column},
};
use mxdrill::visible::visible;

/// The least width of a column in characters, which the longest grade fits into.
const WIDTH: usize = 12;
/// Lines of reasons that are shown for a cell.
const MOST_REASONS: usize = 4;
/// What a cell is that departs as a baseline lists it.
const KNOWN: &str = "known";

/// A table for the terminal, and what is wrong; where that alone is to be told, no table.
pub(crate) fn text(matrix: &Matrix, telling: &Telling<'_>, out: &mut impl Write) -> io::Result<()> {
    if telling.is_silent(matrix) {
        return Ok(());
    }
    if !telling.is_quiet {
        grades(matrix, telling, out)?;
    }
    details(matrix, telling, out)?;
    if !telling.is_quiet {
        in_sessions(matrix, out)?;
    }
    writeln!(out)?;
    sums(matrix, telling, out)
}

/// A line for each group of drills, and one for each drill in which some server departs.
fn grades(matrix: &Matrix, telling: &Telling<'_>, out: &mut impl Write) -> io::Result<()> {
    let names = matrix.rows.iter().map(indented);
    let mut columns = vec![Column::fitting(Align::Left, names)];
    let width = |column: &ServerColumn| column.server.id.chars().count().max(WIDTH);
    let widths = matrix.columns.iter().map(width);
    columns.extend(widths.map(|width| Column::new(Align::Left, width)));
    let mut line = |head: String, cells: Vec<(String, Style)>| {
        let cells = std::iter::once((head, Style::new())).chain(cells);
        writeln!(out, "{}", table::coloured_line(&columns, " ", cells))
    };
    let heads = matrix.columns.iter();
    let heads = heads.map(|column| (column.server.id.clone(), Style::new()));
    line(String::new(), heads.collect())?;
    let mut groups: BTreeMap<&str, Vec<&MatrixRow>> = BTreeMap::new();
    for row in &matrix.rows {
        groups.entry(row.group()).or_default().push(row);
    }
    for (group, rows) in groups {
        let tallies = (0..matrix.columns.len()).map(|index| {
            let with = |grade: Grade| {
                let with = |row: &&&MatrixRow| row.cells[index].grade == grade;
                rows.iter().filter(with).count()
            };
            let fit = rows.len() - with(Grade::Unfit);
            let told = format!("{} of {fit} pass", with(Grade::Pass));
            (told, Style::new())
        });
        let group = if group.is_empty() { "drills" } else { group };
        line(group.to_owned(), tallies.collect())?;
        let is_plain = |row: &&&MatrixRow| {
            let mut cells = row.cells.iter();
            cells.all(|cell| cell.grade <= Grade::Informs)
        };
        for row in rows.iter().filter(|row| !is_plain(row)) {
            let cells = matrix.columns.iter().zip(&row.cells);
            let told =
                cells.map(
                    |(column, cell)| match telling.known(Place { row, column, cell }) {
                        Some(_) => (KNOWN.to_owned(), Style::new().dimmed()),
                        None => (cell.grade.to_string(), colour(cell.grade)),
                    },
                );
            line(indented(row), told.collect())?;
        }
    }
    Ok(())
}

/// A line for each mail server: how many drills got each grade, and how many of them are known to.
pub(super) fn sums(matrix: &Matrix, telling: &Telling<'_>, out: &mut impl Write) -> io::Result<()> {
    for (index, column) in matrix.columns.iter().enumerate() {
        let known = |grade: Grade| {
            let rows = matrix.rows.iter().map(|row| (row, &row.cells[index]));
            let of_grade = rows.filter(|(_, cell)| cell.grade == grade);
            let known =
                of_grade.filter(|(row, cell)| telling.known(Place { row, column, cell }).is_some());
            match known.count() {
                0 => String::new(),
                count => format!(" ({count} {KNOWN})"),
            }
        };
        let tally = matrix.tally(index);
        let counted = tally.iter().filter(|(_, count)| *count > 0).rev();
        let counted: Vec<String> = counted
            .map(|(grade, count)| format!("{count} {grade}{}", known(*grade)))
            .collect();
        writeln!(
            out,
            "{} {}: {}",
            column.server.name,
            column.server.version,
            counted.join(", ")
        )?;
    }
    Ok(())
}

/// The name of a drill below its group.
fn indented(row: &MatrixRow) -> String {
    format!("  {}", row.name())
}

/// What is wrong below the table, a paragraph for each cell, and a line for what is known.
fn details(matrix: &Matrix, telling: &Telling<'_>, out: &mut impl Write) -> io::Result<()> {
    for place in Telling::places(matrix) {
        let Place { row, column, cell } = place;
        let is_left_out = telling.is_quiet && !telling.is_wrong(place);
        if cell.grade <= Grade::Informs || is_left_out {
            continue;
        }
        if let Some(reason) = telling.known(place) {
            let (id, name, style) = (&column.server.id, row.name(), Style::new().dimmed());
            let reason = visible(reason);
            writeln!(
                out,
                "\n{style}{id} {KNOWN}{style:#} {name}: {}, {reason}",
                cell.grade
            )?;
            continue;
        }
        let style = colour(cell.grade);
        writeln!(
            out,
            "\n{style}{} {}{style:#} {}: {} ({}, {})",
            column.server.id,
            cell.grade,
            row.name(),
            row.summary,
            row.level,
            row.cites.join(", ")
        )?;
        let reasons = reasons(cell);
        for reason in reasons.iter().take(MOST_REASONS) {
            writeln!(out, "    {reason}")?;
        }
        if reasons.len() > MOST_REASONS {
            writeln!(out, "    and {} more", reasons.len() - MOST_REASONS)?;
        }
    }
    Ok(())
}

/// The rules about sessions that a server broke, whatever the drills were about.
fn in_sessions(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    for (index, column) in matrix.columns.iter().enumerate() {
        for rule in session_rules() {
            let drills: Vec<&MatrixRow> = matrix.breaking(rule, index).collect();
            let Some(first) = drills.first() else {
                continue;
            };
            let grade = Grade::of(rule.level);
            let style = colour(grade);
            writeln!(
                out,
                "\n{style}{} {grade}{style:#} {} in {} drills whatever they are about, {} first: {} ({}, {})",
                column.server.id,
                rule.name,
                drills.len(),
                first.name(),
                rule.claim,
                rule.level,
                rule.cite
            )?;
        }
    }
    Ok(())
}

fn colour(grade: Grade) -> Style {
    match grade {
        Grade::Unfit => Style::new().dimmed(),
        Grade::Pass => AnsiColor::Green.on_default(),
        Grade::Informs => AnsiColor::Cyan.on_default(),
        Grade::Inconclusive => AnsiColor::Magenta.on_default(),
        Grade::Deviates => AnsiColor::Yellow.on_default(),
        Grade::Violates => AnsiColor::Red.on_default().bold(),
    }
}
