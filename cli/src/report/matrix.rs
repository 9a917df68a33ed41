//! The conformance matrix as text, Markdown, JSON, one HTML file and a badge.
//!
//! Each format gets the whole matrix and shows what suits it: a terminal the differences, a page
//! for a repository no more than what stays the same between runs, the HTML file all the evidence. What is listed in a
//! baseline is told as known where people are told what departs.

mod badge;
mod github;
mod html;
mod markdown;
pub(super) mod plain;
mod text;

use std::io::{self, Write};

pub(crate) use self::{
    badge::badge,
    github::github,
    html::html,
    markdown::{markdown, server_settings},
    text::text,
};
use crate::{
    conform::{
        counted::Counted,
        matrix::{Grade, Judged, Matrix, MatrixRow, ServerColumn},
    },
    departures::{ExpectedDepartures, Standing},
};
use mxdrill::visible::visible;

/// What people are told of a matrix.
pub(crate) struct Telling<'a> {
    /// From which grade on something fails.
    pub(crate) from: Grade,
    /// What is expected to depart.
    pub(crate) expected: Option<&'a ExpectedDepartures>,
    /// Whether nothing is told but what fails.
    pub(crate) is_quiet: bool,
}

/// A cell in its place.
#[derive(Clone, Copy)]
struct Place<'a> {
    row: &'a MatrixRow,
    column: &'a ServerColumn,
    cell: &'a Judged,
}

impl Telling<'_> {
    /// All cells, in the order of the rows.
    fn places(matrix: &Matrix) -> impl Iterator<Item = Place<'_>> {
        matrix.rows.iter().flat_map(move |row| {
            let cells = matrix.columns.iter().zip(&row.cells);
            cells.map(move |(column, cell)| Place { row, column, cell })
        })
    }

    /// Why a cell is accepted as it is; `None` if it is not.
    fn known(&self, Place { row, column, cell }: Place<'_>) -> Option<&str> {
        self.expected?.reason(&row.played(column, cell, self.from))
    }

    /// Whether a cell fails, or nothing is known of it, which is not expected.
    fn is_wrong(&self, place: Place<'_>) -> bool {
        let standing = place
            .row
            .played(place.column, place.cell, self.from)
            .standing;
        let is_bad = matches!(standing, Standing::Fails | Standing::Unknown);
        is_bad && self.known(place).is_none()
    }

    /// Whether there is nothing to be told.
    fn is_silent(&self, matrix: &Matrix) -> bool {
        self.is_quiet && !Self::places(matrix).any(|place| self.is_wrong(place))
    }
}

/// Everything, for programs.
pub(crate) fn json(matrix: &Matrix, out: &mut impl Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, matrix)?;
    writeln!(out)
}

/// What is wrong with a cell, in lines for people: every finding, what was counted, why it is not known,
/// what it depends on, and what the drill has set.
fn reasons(cell: &Judged) -> Vec<String> {
    let mut lines: Vec<String> = cell.reason.iter().cloned().collect();
    let shares = cell.shares.iter().filter(|share| !share.is_plausible());
    lines.extend(shares.map(Counted::to_string));
    for finding in cell.evidence.iter().flat_map(|cell| &cell.findings) {
        let rule = finding.rule.as_ref();
        let rule = rule.map_or(String::new(), |rule| format!(" [{rule}]"));
        lines.push(format!(
            "{}{rule}: expected {}; observed {}",
            finding.claim,
            listed(&finding.expected),
            listed(&finding.observed)
        ));
    }
    let depends = cell.depends.as_ref();
    lines.extend(depends.map(|setting| format!("depends on: {setting}")));
    let set = cell.evidence.iter().flat_map(|cell| &cell.set);
    lines.extend(set.map(|set| format!("set by the drill: {set}")));
    // What a sender said stands in them.
    lines
        .iter()
        .map(|line| visible(line).into_owned())
        .collect()
}

/// The most of a list that is shown in a line; how many more there are is said.
const SHOWN: usize = 4;

fn listed(lines: &[String]) -> String {
    match lines {
        [] => "nothing".to_owned(),
        _ if lines.len() <= SHOWN => lines.join(", "),
        _ => format!(
            "{} and {} more",
            lines[..SHOWN].join(", "),
            lines.len() - SHOWN
        ),
    }
}
