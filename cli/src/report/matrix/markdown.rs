//! The matrix as a page for a repository: statements by mail server, what departs, and how each server
//! was set up. Nothing in it differs between two runs that came to the same.
//!
//! It is compared in version control, so moments, counts of samples and host names that chance
//! decides are left out.

use std::io::{self, Write};

use super::{
    plain::{address, anchor, escaped, path, script},
    reasons,
};
use crate::{
    conform::{
        matrix::{Grade, Judged, Matrix, MatrixRow, session_rules},
        played_server::PlayedServer,
        run_error::Difference,
    },
    statements::statements,
};
use mxdrill::verdict::Rule;

/// A page for a repository.
pub(crate) fn markdown(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let names: Vec<String> = matrix
        .columns
        .iter()
        .map(|column| {
            format!(
                "[{}](#{})",
                escaped(&column.server.name),
                anchor(&column.server.id)
            )
        })
        .collect();
    writeln!(out, "# How mail servers route by MX\n")?;
    writeln!(
        out,
        "{} drills of mxdrill {}, on {}, made by `mxdrill conform --markdown`.\nHow it is measured and what the grades mean is at the end. When each tries again by itself: [schedules.md](schedules.md).\n",
        matrix.rows.len(),
        matrix.mxdrill,
        escaped(&matrix.system),
    )?;
    summary(matrix, &names, out)?;
    by_statement(matrix, &names, out)?;
    in_sessions(matrix, out)?;
    departures(matrix, out)?;
    set_up(matrix, out)?;
    grades(out)
}

/// How many drills got each grade, by server.
fn summary(matrix: &Matrix, names: &[String], out: &mut impl Write) -> io::Result<()> {
    write!(out, "| MTA | version |")?;
    for grade in Grade::ALL.iter().rev() {
        write!(out, " {grade} {} |", grade.sign())?;
    }
    writeln!(out, "\n| --- | --- |{}", " --- |".repeat(Grade::ALL.len()))?;
    for (index, column) in matrix.columns.iter().enumerate() {
        write!(
            out,
            "| {} | {} |",
            names[index],
            escaped(&column.server.version)
        )?;
        for (_, count) in matrix.tally(index).iter().rev() {
            write!(out, " {count} |")?;
        }
        writeln!(out)?;
    }
    writeln!(out)
}

/// What each server came to, by statement of the RFCs.
fn by_statement(matrix: &Matrix, names: &[String], out: &mut impl Write) -> io::Result<()> {
    if matrix.rows.iter().all(|row| row.covers.is_empty()) {
        return Ok(());
    }
    writeln!(
        out,
        "## By statement\n\nThe worst that each came to in the drills that cover a statement ([requirements.md](requirements.md)\nlists them), and no worse than the statement's level. A drill is graded as a whole: what was broken in it stands below, and may be\nanother sentence than that of the row.\n"
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
        let grades = matrix.of_statement_by_column(&statement);
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

/// The rules about sessions that servers broke, whatever a drill was about.
fn in_sessions(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let broken = session_rules().filter(|rule| {
        let mut columns = 0..matrix.columns.len();
        columns.any(|column| matrix.breaking(rule, column).next().is_some())
    });
    let broken: Vec<&Rule> = broken.collect();
    if broken.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "## In the sessions and notifications of any drill\n\nThese rules ([rules.md](rules.md)) are checked in every drill. A server that breaks one is named here, once, and no drill\nthat is about something else is graded by it.\n"
    )?;
    for rule in broken {
        writeln!(
            out,
            "- **{}**: {} ({}, {})",
            rule.name, rule.claim, rule.level, rule.cite
        )?;
        for (index, column) in matrix.columns.iter().enumerate() {
            if let Some(first) = matrix.breaking(rule, index).next() {
                writeln!(
                    out,
                    "  - {}: in {}",
                    escaped(&column.server.name),
                    escaped(first.name())
                )?;
            }
        }
    }
    writeln!(out)
}

/// Every drill that some server departs in, by grade.
fn departures(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    let kinds = [
        (Grade::Violates, "Departures from a MUST"),
        (Grade::Deviates, "Departures from a SHOULD"),
        (Grade::Inconclusive, "Inconclusive"),
        (Grade::Informs, "Open or contested, for information"),
    ];
    for (grade, title) in kinds {
        let rows = matrix.rows.iter();
        let rows: Vec<&MatrixRow> = rows
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
                escaped(row.name()),
                path(&row.path),
                escaped(&row.summary),
                row.level,
                escaped(&row.cites.join(", "))
            )?;
            for (cell, column) in row.cells.iter().zip(&matrix.columns) {
                if cell.grade == grade {
                    writeln!(
                        out,
                        "  - {}{}",
                        escaped(&column.server.name),
                        because(cell, grade, &row.covers)
                    )?;
                }
            }
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Why, in one line: the claims that do not hold, without what differs from run to run.
fn because(cell: &Judged, grade: Grade, covers: &[u16]) -> String {
    let claims = cell.evidence.iter().flat_map(|cell| &cell.findings);
    let mut claims: Vec<String> = claims
        .filter(|finding| finding.counts_in(covers))
        .map(|finding| match &finding.rule {
            Some(rule) => format!("rule {rule}"),
            None => match &finding.difference {
                Some(Difference { expected, observed }) => {
                    format!("{}: {observed} instead of {expected}", finding.claim)
                }
                None => finding.claim.clone(),
            },
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
    let set = cell.evidence.iter().flat_map(|cell| &cell.set);
    let set = set.map(|set| format!("set by the drill: {set}"));
    let settings: Vec<String> = cell.depends.iter().cloned().chain(set).collect();
    let setting = match &settings[..] {
        [] => String::new(),
        settings => format!(" ({})", escaped(&settings.join("; "))),
    };
    if claims.is_empty() {
        setting
    } else {
        format!(": {}{setting}", escaped(&claims.join("; ")))
    }
}

/// A server under a heading of its own: its version, where that came from, and the settings that decide.
pub(crate) fn server_settings(server: &PlayedServer, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "### {}\n\n[{}]({}) {}, from {}.\n",
        escaped(&server.id),
        escaped(&server.name),
        address(&server.home),
        escaped(&server.version),
        escaped(&server.packages.join(", "))
    )?;
    for setting in &server.settings {
        writeln!(out, "- {}", escaped(setting))?;
    }
    Ok(())
}

/// For each server, what somebody needs to set it up the same way.
fn set_up(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "## How each was set up\n")?;
    for column in &matrix.columns {
        server_settings(&column.server, out)?;
        for (feature, reason) in &column.cannot {
            writeln!(
                out,
                "- Not put through drills that need {}: {}.",
                escaped(feature),
                escaped(reason)
            )?;
        }
        writeln!(out, "\n{}\n", script(&column.configure))?;
    }
    Ok(())
}

/// How it was measured, and what the grades mean.
fn grades(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "## How it is measured\n\nEach drill runs an unmodified server in a private network and a root folder of its own, against the\ndrill's name server and exchangers. Only what these see counts: queries, connections (refused and\nunanswered ones too), replies, and the notifications that come back. Server and\nlab live on one virtual clock, which stands still while anything runs and leaps when all wait: timeouts,\nretries and lifetimes are the server's own defaults, and five days take seconds. Where a server tries at\nother moments than the scenario has, it is held against what the reference sender does at these moments.\nWhat a drill has to set is said with its result. A drill that is no pass is played\nagain, and marked where it does not come to the same; where chance has a part, a drill is played until\na wrong share is certain (five standard deviations).\n\n| grade | | meaning |\n| --- | --- | --- |"
    )?;
    for grade in Grade::ALL.iter().rev() {
        writeln!(out, "| {grade} | {} | {} |", grade.sign(), grade.meaning())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::conform::matrix::ServerColumn;
    use mxdrill::level::Level;

    const HOSTILE: &str = "x|y<script>`*[a](javascript:b)~~c~~&lt; $d$ ![e](//f.test) _g_\n# h\n| i |\r\u{202e}\n```\nhttps://j.test www.k.test";

    /// A page in which every text that others wrote is this one.
    fn page(text: &str) -> String {
        let text = || text.to_owned();
        let evidence = json!({
            "version": text(), "trouble": null, "notes": [], "endings": [], "attempts": [],
            "findings": [{ "subject": null, "claim": text(), "rule": null, "level": "MUST", "cites": [text()], "expected": [text()],
                "observed": [text()], "difference": { "expected": text(), "observed": text() } }],
            "sampled": 0, "counts": [], "log": [], "returned": [], "syslog": "", "said": "", "seconds": 0.0,
        });
        let judged = |grade| Judged {
            depends: Some(text()),
            evidence: Some(serde_json::from_value(evidence.clone()).expect("a cell")),
            ..Judged::without_run(grade, text())
        };
        let row = |grade| MatrixRow {
            path: text(),
            summary: text(),
            level: Level::Must,
            cites: vec![text()],
            covers: vec![1],
            cells: vec![judged(grade)],
        };
        let matrix = Matrix {
            mxdrill: "0".to_owned(),
            suite: None,
            system: text(),
            columns: vec![ServerColumn {
                server: PlayedServer {
                    id: text(),
                    name: text(),
                    home: text(),
                    version: text(),
                    packages: vec![text()],
                    settings: vec![text()],
                },
                configure: "true".to_owned(),
                cannot: vec![(text(), text())],
            }],
            rows: Grade::ALL.map(row).to_vec(),
        };
        let mut page = Vec::new();
        markdown(&matrix, &mut page).expect("memory takes it all");
        String::from_utf8(page).expect("text")
    }

    /// What is left of a page without its texts: lines, and what is markup and not escaped.
    fn skeleton(page: &str) -> String {
        let mut skeleton = String::new();
        let mut characters = page.chars().peekable();
        while let Some(c) = characters.next() {
            match c {
                '\\' => drop(characters.next()),
                // A destination is what it is up to its end.
                '(' if skeleton.ends_with(']') => {
                    let destination = characters.by_ref().take_while(|c| *c != ')');
                    assert!(destination.into_iter().all(|c| !" \n<>\\".contains(c)));
                }
                ':' if characters.peek() == Some(&'/') => skeleton.push_str("://"),
                '\n' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' | '#' => {
                    skeleton.push(c);
                }
                c => assert!(!c.is_control() && c != '\u{202e}', "{c:?}"),
            }
        }
        skeleton
    }

    #[test]
    fn what_others_wrote_adds_no_markup_to_a_page() {
        let innocent = page("x");
        assert!(
            innocent.contains("| [x](#x) | x |")
                && innocent.contains("- **[x](../x)**: x (MUST, x)")
        );
        // The same markup in place of the same texts; a `#` within a line is none.
        let hostile = page(HOSTILE).replace(" # h", "");
        assert_eq!(skeleton(&hostile), skeleton(&innocent));
        assert_ne!(
            skeleton(&innocent.replace("x (MUST", "<x (MUST")),
            skeleton(&innocent)
        );
    }
}
