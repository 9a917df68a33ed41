//! The conformance matrix as text, Markdown, JSON and one HTML file.

use std::io::{self, Write};

use crate::mta::matrix::{Grade, Matrix};

/// A table for the terminal.
pub(crate) fn text(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let width = matrix
        .rows
        .iter()
        .map(|row| row.name().len())
        .max()
        .unwrap_or(0);
    for row in &matrix.rows {
        write!(out, "{:<width$} {:<6}", row.name(), row.level)?;
        for cell in &row.cells {
            write!(out, " {:<12}", cell.grade)?;
        }
        writeln!(out)?;
        for (cell, column) in row.cells.iter().zip(&matrix.columns) {
            if let Some(reason) = &cell.reason {
                writeln!(out, "    {} {}", column.id, reason)?;
            }
            if let Some(evidence) = &cell.evidence {
                for finding in &evidence.findings {
                    writeln!(
                        out,
                        "    {} {:?} {}: {:?} / {:?}",
                        column.id, finding.rule, finding.claim, finding.expected, finding.observed
                    )?;
                }
            }
        }
    }
    for (index, column) in matrix.columns.iter().enumerate() {
        write!(out, "{} {}:", column.name, column.version)?;
        for (grade, count) in matrix.tally(index) {
            write!(out, " {count} {grade}")?;
        }
        writeln!(out)?;
    }
    let _ = Grade::Pass;
    Ok(())
}

/// A page for a repository.
pub(crate) fn markdown(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    text(matrix, out)
}

/// Everything, for programs.
pub(crate) fn json(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, matrix)?;
    writeln!(out)
}

/// One file for a browser.
pub(crate) fn html(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    text(matrix, out)
}
