//! The matrix for a terminal: a line for each group of drills, one for each drill in which some
//! server departs or nothing is known, and what is wrong below.

use std::{
    collections::BTreeMap,
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};

use super::reasons;
use crate::conform::matrix::{Grade, Matrix, MatrixRow};

/// The width of a column in characters, which the longest grade fits into.
const WIDTH: usize = 12;
/// Lines of reasons that are shown for a cell.
const MOST_REASONS: usize = 4;

/// A table for the terminal.
pub(crate) fn text(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let names = matrix.rows.iter().map(|row| row.name().len() + 2);
    let width = names.max().unwrap_or(0);
    let heads = matrix.columns.iter();
    line(
        out,
        width,
        "",
        heads.map(|column| (column.id.clone(), None)),
    )?;
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
            (format!("{} of {fit} pass", with(Grade::Pass)), None)
        });
        let group = if group.is_empty() { "drills" } else { group };
        line(out, width, group, tallies)?;
        let is_plain = |row: &&&MatrixRow| {
            let mut cells = row.cells.iter();
            cells.all(|cell| cell.grade <= Grade::Informs)
        };
        for row in rows.iter().filter(|row| !is_plain(row)) {
            let grades = row.cells.iter();
            let grades = grades.map(|cell| (cell.grade.to_string(), Some(cell.grade)));
            line(out, width, &format!("  {}", row.name()), grades)?;
        }
    }
    details(matrix, out)?;
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
            column.name,
            column.version,
            counted.join(", ")
        )?;
    }
    Ok(())
}

/// A line of the table: cells in the colour of their grade, nothing after the last one.
fn line(
    out: &mut impl Write,
    width: usize,
    head: &str,
    cells: impl Iterator<Item = (String, Option<Grade>)>,
) -> io::Result<()> {
    let mut text = format!("{head:<width$}");
    for (cell, grade) in cells {
        let style = grade.map_or(Style::new(), colour);
        let padding = WIDTH.saturating_sub(cell.len());
        text.push_str(&format!(" {style}{cell}{style:#}{:padding$}", ""));
    }
    writeln!(out, "{}", text.trim_end())
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
                column.id,
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
