//! The matrix for a terminal: a line for each group of drills, one for each drill in which some
//! server departs or nothing is known, and what is wrong below.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::reasons;
use crate::{
    conform::matrix::{Grade, Matrix, MatrixRow, ServerColumn, session_rules},
    report::table::{self, Align, Column},
};

/// The least width of a column in characters, which the longest grade fits into.
const WIDTH: usize = 12;
/// Lines of reasons that are shown for a cell.
const MOST_REASONS: usize = 4;

/// A table for the terminal.
pub(crate) fn text(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
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
            let grades = row.cells.iter();
            let grades = grades.map(|cell| (cell.grade.to_string(), colour(cell.grade)));
            line(indented(row), grades.collect())?;
        }
    }
    details(matrix, out)?;
    in_sessions(matrix, out)?;
    writeln!(out)?;
    for (index, column) in matrix.columns.iter().enumerate() {
        let tally = matrix.tally(index);
        let counted = tally.iter().filter(|(_, count)| *count > 0).rev();
        let counted: Vec<String> = counted
            .map(|(grade, count)| format!("{count} {grade}"))
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

/// What is wrong below the table, a paragraph for each cell.
fn details(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    for row in &matrix.rows {
        for (cell, column) in row.cells.iter().zip(&matrix.columns) {
            if cell.grade <= Grade::Informs {
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
