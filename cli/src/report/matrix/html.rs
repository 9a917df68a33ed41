//! The matrix as one HTML file that needs nothing else: the page is `page.html`, the data goes into it.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::Value;

use crate::{
    conform::matrix::{Grade, Matrix, session_rule},
    statements::{Statement, statements},
};

const PAGE: &str = include_str!("page.html");
/// What in the page the data takes the place of, and what a picture of schedules and its look do.
const PLACE: &str = "{{matrix}}";
const SECTION_PLACE: &str = "{{schedules}}";
const STYLE_PLACE: &str = "/* {{picture}} */";
/// Lines of the lab's log that are kept of a cell; the file holds a cell for each drill and server.
const MOST_LINES: usize = 120;
/// Octets of the server's own logs that are kept of a cell, the last ones.
const MOST_SYSLOG: usize = 6 * 1024;

/// What the page shows.
#[derive(Serialize)]
struct HtmlPage<'a> {
    grades: Vec<Meaning>,
    statements: Vec<RuledStatement>,
    #[serde(flatten)]
    matrix: &'a Matrix,
}

/// A statement, and the rule that holds every session to it, if there is one.
#[derive(Serialize)]
struct RuledStatement {
    #[serde(flatten)]
    statement: Statement,
    rule: Option<&'static str>,
    /// Whether the rule holds only where an author asks for something.
    asked: bool,
    /// What each server came to, in the order of the columns.
    marks: Vec<Option<Grade>>,
}

#[derive(Serialize)]
struct Meaning {
    grade: Grade,
    sign: &'static str,
    meaning: &'static str,
}

/// One file for a browser, with a section of HTML about schedules, whose look goes into the head; both may be empty.
pub(crate) fn html(
    matrix: &Matrix,
    (style, section): (&str, &str),
    out: &mut impl Write,
) -> io::Result<()> {
    let grades = Grade::ALL.iter().rev().map(|grade| Meaning {
        grade: *grade,
        sign: grade.sign(),
        meaning: grade.meaning(),
    });
    let is_covered = |statement: &Statement| {
        let mut rows = matrix.rows.iter();
        session_rule(statement.number).is_some()
            || rows.any(|row| row.covers.contains(&statement.number))
    };
    let told = statements().into_iter().filter(is_covered);
    let told = told.map(|statement| {
        let rule = session_rule(statement.number);
        RuledStatement {
            rule: rule.map(|rule| rule.name),
            asked: rule.is_some_and(|rule| rule.is_asked_for),
            marks: matrix.of_statement_by_column(&statement),
            statement,
        }
    });
    let shown = HtmlPage {
        grades: grades.collect(),
        statements: told.collect(),
        matrix: &without_ballast(matrix),
    };
    let mut data = serde_json::to_value(&shown).map_err(io::Error::other)?;
    drop_nothings(&mut data);
    // Nothing in it may end the script element, or begin a comment in it.
    let data = data.to_string().replace('<', "\\u003c");
    let page = PAGE.replace(STYLE_PLACE, style);
    // The section last: a name in it may be that of a place.
    let (before, after) = page.split_once(PLACE).expect("the page has its place");
    let before = before.replacen(SECTION_PLACE, section, 1);
    write!(out, "{before}{data}{after}")
}

/// Logs are kept where something is to be explained, and not without end.
fn without_ballast(matrix: &Matrix) -> Matrix {
    let mut matrix = matrix.clone();
    for cell in matrix.rows.iter_mut().flat_map(|row| &mut row.cells) {
        let Some(evidence) = &mut cell.evidence else {
            continue;
        };
        evidence.said.clear();
        if cell.grade == Grade::Pass {
            evidence.log.clear();
            evidence.syslog.clear();
            evidence.returned.clear();
        }
        let more = evidence.log.len().saturating_sub(MOST_LINES);
        evidence.log.truncate(MOST_LINES);
        if more > 0 {
            evidence.log.push(format!("and {more} lines more"));
        }
        let start = evidence.syslog.len().saturating_sub(MOST_SYSLOG);
        let start = (start..).find(|index| evidence.syslog.is_char_boundary(*index));
        evidence.syslog.drain(..start.unwrap_or(0));
    }
    matrix
}

/// Leaves out what is nothing, which is most of it.
fn drop_nothings(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(drop_nothings);
            map.retain(|_, value| match value {
                Value::Null => false,
                Value::String(text) => !text.is_empty(),
                Value::Array(items) => !items.is_empty(),
                _ => true,
            });
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nothings),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conform::matrix::{Judged, MatrixRow};
    use mxdrill::level::Level;

    #[test]
    fn nothing_in_the_data_ends_the_page() {
        let row = MatrixRow {
            path: "scenarios/a.toml".to_owned(),
            summary: "</script><!-- <script>".to_owned(),
            level: Level::Must,
            cites: Vec::new(),
            covers: Vec::new(),
            cells: vec![Judged::without_run(Grade::Unfit, String::new())],
        };
        let matrix = Matrix {
            mxdrill: String::new(),
            suite: None,
            system: String::new(),
            columns: Vec::new(),
            rows: vec![row],
        };
        let mut page = Vec::new();
        html(
            &matrix,
            (".a {}", "<section>{{matrix}}</section>"),
            &mut page,
        )
        .expect("written");
        let page = String::from_utf8(page).expect("text");
        assert!(page.contains("<section>{{matrix}}</section>\n<nav>"));
        assert!(page.contains("\n.a {}\n") && !page.contains("{{schedules}}"));
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("<!--") && page.contains("\\u003c!-- \\u003cscript>"));
    }
}
