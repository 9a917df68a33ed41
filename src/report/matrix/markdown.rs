//! The matrix as a page for a repository: statements by mail server, what departs, and how each server
//! was set up. Nothing in it differs between two runs that came to the same.

use std::io::{self, Write};

use super::reasons;
use crate::{
    mta::matrix::{Grade, Judged, Matrix, Row, statements},
    visible::visible,
};

/// A page for a repository.
pub(crate) fn markdown(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let names: Vec<String> = matrix
        .columns
        .iter()
        .map(|column| format!("[{}](#{})", column.name, column.id))
        .collect();
    writeln!(out, "# How mail servers route by MX\n")?;
    writeln!(
        out,
        "{} drills of mxdrill {}, on {}, made by `mxdrill conform --markdown`.\nHow it is measured and what the grades mean is at the end.\n",
        matrix.rows.len(),
        matrix.mxdrill,
        matrix.system,
    )?;
    summary(matrix, &names, out)?;
    by_statement(matrix, &names, out)?;
    departures(matrix, out)?;
    set_up(matrix, out)?;
    grades(out)
}

fn summary(matrix: &Matrix, names: &[String], out: &mut impl Write) -> io::Result<()> {
    write!(out, "| MTA | version |")?;
    for grade in Grade::ALL.iter().rev() {
        write!(out, " {grade} {} |", grade.sign())?;
    }
    writeln!(out, "\n| --- | --- |{}", " --- |".repeat(Grade::ALL.len()))?;
    for (index, column) in matrix.columns.iter().enumerate() {
        write!(out, "| {} | {} |", names[index], column.version)?;
        for (_, count) in matrix.tally(index).iter().rev() {
            write!(out, " {count} |")?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

fn by_statement(matrix: &Matrix, names: &[String], out: &mut impl Write) -> io::Result<()> {
    if matrix.rows.iter().all(|row| row.covers.is_empty()) {
        return Ok(());
    }
    writeln!(
        out,
        "## By statement\n\nThe worst that each came to in the drills that cover a statement ([requirements.md](requirements.md)\nlists them).\n"
    )?;
    writeln!(
        out,
        "| # | section | level | statement | {} |",
        names.join(" | ")
    )?;
    writeln!(
        out,
        "| --- | --- | --- | --- |{}",
        " --- |".repeat(names.len())
    )?;
    for statement in statements() {
        let grades: Vec<Option<Grade>> = (0..matrix.columns.len())
            .map(|column| matrix.of_statement(statement.number, column))
            .collect();
        if grades.iter().all(Option::is_none) {
            continue;
        }
        let signs: Vec<&str> = grades
            .iter()
            .map(|grade| grade.map_or("", Grade::sign))
            .collect();
        writeln!(
            out,
            "| {} | {} | {} | {} | {} |",
            statement.number,
            statement.section,
            statement.level,
            escaped(&statement.text),
            signs.join(" | ")
        )?;
    }
    writeln!(out)
}

fn departures(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let kinds = [
        (Grade::Violates, "Departures from a MUST"),
        (Grade::Deviates, "Departures from a SHOULD"),
        (Grade::Inconclusive, "Inconclusive"),
        (Grade::Informs, "Open or contested, for information"),
    ];
    for (grade, title) in kinds {
        let rows = matrix.rows.iter();
        let rows: Vec<&Row> = rows
            .filter(|row| row.cells.iter().any(|cell| cell.grade == grade))
            .collect();
        if rows.is_empty() {
            continue;
        }
        writeln!(out, "## {title}\n")?;
        for row in rows {
            writeln!(
                out,
                "- **[{}](../{})**: {} ({}, {})",
                row.name(),
                row.path,
                row.summary,
                row.level,
                row.cites.join(", ")
            )?;
            for (cell, column) in row.cells.iter().zip(&matrix.columns) {
                if cell.grade == grade {
                    writeln!(out, "  - {}{}", column.name, because(cell, grade))?;
                }
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Why, in one line: the claims that do not hold, without what differs from run to run.
fn because(cell: &Judged, grade: Grade) -> String {
    let claims = cell.evidence.iter().flat_map(|cell| &cell.findings);
    let mut claims: Vec<String> = claims
        .map(|finding| match &finding.rule {
            Some(rule) => format!("rule {rule}"),
            None if finding.observed.len() == 1 && finding.expected.len() == 1 => format!(
                "{}: {} instead of {}",
                finding.claim,
                without_moment(&finding.observed[0]),
                without_moment(&finding.expected[0])
            ),
            None => finding.claim.clone(),
        })
        .collect();
    let more = claims.len().saturating_sub(3);
    claims.truncate(3);
    if more > 0 {
        claims.push(format!("{more} more"));
    }
    if grade == Grade::Inconclusive || claims.is_empty() {
        claims = reasons(cell);
        claims.truncate(3);
    }
    let setting = cell.depends.as_ref();
    let setting = setting.map_or(String::new(), |setting| format!(" ({setting})"));
    match claims.is_empty() {
        true => setting,
        false => format!(": {}{setting}", escaped(&claims.join("; "))),
    }
}

/// A line about an attempt, without when it was.
fn without_moment(line: &str) -> &str {
    line.rsplit_once(" +").map_or(line, |(line, _)| line)
}

fn set_up(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "## How each was set up\n")?;
    for column in &matrix.columns {
        writeln!(out, "### {}\n", column.id)?;
        writeln!(
            out,
            "[{}]({}) {}, from {}.\n",
            column.name,
            column.home,
            column.version,
            column.packages.join(", ")
        )?;
        for setting in &column.settings {
            writeln!(out, "- {setting}")?;
        }
        for (feature, reason) in &column.cannot {
            writeln!(
                out,
                "- Not put through drills that need {feature}: {reason}."
            )?;
        }
        writeln!(out, "\n```sh\n{}\n```\n", column.configure.trim())?;
    }
    Ok(())
}

fn grades(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "## How it is measured\n\nEach drill runs an unmodified server in a private network and a root folder of its own, against the\ndrill's name server and exchangers. Only what these see counts: queries, connections (refused and\nunanswered ones too), replies, and the notifications that come back. Passes over the queue are begun by\nhand where the drill's schedule has them, so days pass in seconds. A drill that is no pass is played\nagain, and marked where it does not come to the same; where chance has a part, a drill is played until\na wrong share is certain (five standard deviations).\n\n| grade | | meaning |\n| --- | --- | --- |"
    )?;
    for grade in Grade::ALL.iter().rev() {
        writeln!(out, "| {grade} | {} | {} |", grade.sign(), grade.meaning())?;
    }
    Ok(())
}

fn escaped(text: &str) -> String {
    visible(text)
        .replace('|', "\\|")
        .replace('<', "\\<")
        .replace('\n', " ")
}
