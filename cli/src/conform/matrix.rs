//! The conformance matrix as data: drills by mail server, and what each cell is judged as.
//!
//! A cell is graded by the worst that was found in it; shares of first attempts by what was `counted`.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    counted::Counted, played_server::PlayedServer, record::RunRecord, run_error::RunError,
    scenario_ref,
};
use crate::departures::{Played, Standing, plain_path};
use mxdrill::{
    level::Level,
    scenario::Scenario,
    verdict::{RULES, Rule},
};

/// How a mail server did in a drill, from good to bad. That nothing is known is worse than a
/// difference that only informs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Grade {
    /// It cannot be put through it.
    Unfit,
    /// Nothing is wrong.
    Pass,
    /// Something that the RFCs leave open, or that they contest, is done in another way.
    Informs,
    /// Nothing is known: the drill did not end, or not twice the same way.
    Inconclusive,
    /// It departs from what SHOULD be done.
    Deviates,
    /// It departs from what MUST be done.
    Violates,
}

impl Grade {
    /// Every grade, the worst last.
    pub(crate) const ALL: [Self; 6] = [
        Self::Unfit,
        Self::Pass,
        Self::Informs,
        Self::Inconclusive,
        Self::Deviates,
        Self::Violates,
    ];

    /// The grade of something that is wrong.
    pub(crate) fn of(level: Level) -> Self {
        match level {
            Level::Must => Self::Violates,
            Level::Should => Self::Deviates,
            Level::May | Level::Info => Self::Informs,
        }
    }

    /// What it means, in a sentence.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Unfit => "the server cannot be put through it; the reason is given",
            Self::Pass => "as the scenario expects, and no rule is broken",
            Self::Informs => {
                "another way than the scenario's, which breaks no sentence of an RFC by itself or where they leave it open"
            }
            Self::Inconclusive => "nothing is known, for the reason given",
            Self::Deviates => "departs from a SHOULD",
            Self::Violates => "departs from a MUST",
        }
    }

    /// One sign, for tables.
    pub(crate) fn sign(self) -> &'static str {
        match self {
            Self::Unfit => "·",
            Self::Pass => "✓",
            Self::Informs => "i",
            Self::Inconclusive => "?",
            Self::Deviates => "△",
            Self::Violates => "✗",
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unfit => "unfit",
            Self::Pass => "pass",
            Self::Informs => "informs",
            Self::Inconclusive => "inconclusive",
            Self::Deviates => "deviates",
            Self::Violates => "violates",
        })
    }
}

/// A mail server of the matrix, with all that somebody needs to play it again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerColumn {
    #[serde(flatten)]
    pub(crate) server: PlayedServer,
    /// The script that wrote the configuration.
    pub(crate) configure: String,
    /// The features that it does not have, each with the reason.
    pub(crate) cannot: Vec<(String, String)>,
}

/// A drill of the matrix, and how each mail server did in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MatrixRow {
    pub(crate) path: String,
    pub(crate) summary: String,
    pub(crate) level: Level,
    pub(crate) cites: Vec<String>,
    /// The numbers of the statements in `docs/requirements.md` that it covers.
    pub(crate) covers: Vec<u16>,
    /// How each mail server did, in the order of the columns.
    pub(crate) cells: Vec<Judged>,
}

impl MatrixRow {
    pub(crate) fn new(scenario: &Arc<Scenario>) -> Self {
        Self {
            path: scenario.path.clone(),
            summary: scenario.summary.clone(),
            level: scenario.level,
            cites: scenario.cites.clone(),
            covers: scenario.covers.clone(),
            cells: Vec::new(),
        }
    }

    /// A cell as a baseline has it: a departure is one of this grade and above.
    pub(crate) fn played(&self, column: &ServerColumn, cell: &Judged, from: Grade) -> Played {
        Played {
            server: Some(column.server.id.clone()),
            scenario: plain_path(&self.path),
            grade: cell.grade.to_string(),
            standing: match cell.grade {
                grade if grade >= from => Standing::Fails,
                Grade::Violates | Grade::Deviates => Standing::Tolerated,
                Grade::Inconclusive => Standing::Unknown,
                Grade::Unfit => Standing::Unplayed,
                Grade::Pass | Grade::Informs => Standing::Fine,
            },
        }
    }

    /// Whether a MUST or a SHOULD asks for it.
    fn binds(&self) -> bool {
        matches!(self.level, Level::Must | Level::Should)
    }

    /// The folder and name of the file, without what all have in common.
    pub(crate) fn name(&self) -> &str {
        scenario_ref::name_of(&self.path)
    }

    /// The folder of the file.
    pub(crate) fn group(&self) -> &str {
        self.name().rsplit_once('/').map_or("", |(group, _)| group)
    }
}

/// A cell of the matrix: a drill of a mail server, judged over all its runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Judged {
    /// What it is judged as.
    pub(crate) grade: Grade,
    /// Why it is unfit or inconclusive; `None` for other grades, unless chance had a part.
    pub(crate) reason: Option<String>,
    /// The setting that the result depends on, if the adapter knows of one.
    pub(crate) depends: Option<String>,
    /// How often it was played; more than once where chance has a part, or the first time was not
    /// a pass.
    pub(crate) runs: usize,
    /// Whether it came to different grades in the same circumstances.
    pub(crate) flaky: bool,
    /// Of a sample: what was counted over all rounds, and what that should be.
    pub(crate) shares: Vec<Counted>,
    /// The run that shows the grade; `None` if there was none.
    pub(crate) evidence: Option<RunRecord>,
}

impl Judged {
    /// What came of a run that came to its end.
    fn record(&self) -> Option<&RunRecord> {
        self.evidence
            .as_ref()
            .filter(|record| record.trouble.is_none())
    }

    pub(crate) fn without_run(grade: Grade, reason: String) -> Self {
        Self {
            grade,
            reason: Some(reason),
            depends: None,
            runs: 0,
            flaky: false,
            shares: Vec::new(),
            evidence: None,
        }
    }
}

/// The conformance matrix: rows of drills, columns of mail servers.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub(crate) struct Matrix {
    /// The version of mxdrill that made it.
    pub(crate) mxdrill: String,
    /// The version of its suite; `None` if the drills are the user's.
    pub(crate) suite: Option<String>,
    /// The system that it was made on.
    pub(crate) system: String,
    pub(crate) columns: Vec<ServerColumn>,
    pub(crate) rows: Vec<MatrixRow>,
}

impl Matrix {
    /// How many drills got each grade, for one mail server.
    pub(crate) fn tally(&self, column: usize) -> [(Grade, usize); 6] {
        Grade::ALL.map(|grade| {
            let rows = self.rows.iter();
            let got = rows.filter(|row| row.cells[column].grade == grade);
            (grade, got.count())
        })
    }

    /// The worst grade that a mail server got in the drills that cover a statement, and in the sessions of all drills
    /// if a rule holds them to it; drills that only inform count where there are no others.
    pub(crate) fn of_statement(&self, number: u16, column: usize) -> Option<Grade> {
        let rows = self.rows.iter().filter(|row| row.covers.contains(&number));
        let worst = |binding: bool| {
            let rows = rows.clone().filter(move |row| row.binds() == binding);
            rows.map(|row| row.cells[column].grade).max()
        };
        let weighty = worst(true).filter(|grade| *grade != Grade::Unfit);
        let of_drills = weighty.or(worst(false)).or(worst(true));
        of_drills.max(self.of_sessions(number, column))
    }

    /// What a server came to by the rule that holds every session to a statement; `None` if there is none, or nothing
    /// was played.
    fn of_sessions(&self, number: u16, column: usize) -> Option<Grade> {
        let rule = session_rule(number)?;
        // Who was never asked for anything has not done it either.
        let shows = |row: &&MatrixRow| !rule.is_asked_for || row.covers.contains(&number);
        let mut played = self.rows.iter().filter(shows);
        played.find(|row| row.cells[column].record().is_some())?;
        let broken = self.breaking(rule, column).next();
        Some(broken.map_or(Grade::Pass, |_| Grade::of(rule.level)))
    }

    /// The drills in whose sessions a server broke a rule.
    pub(crate) fn breaking(&self, rule: &Rule, column: usize) -> impl Iterator<Item = &MatrixRow> {
        let breaks = |finding: &RunError| finding.rule.as_deref() == Some(rule.name);
        self.rows.iter().filter(move |row| {
            let record = row.cells[column].record();
            record.is_some_and(|record| record.findings.iter().any(breaks))
        })
    }

    /// Why no drill at all could be played, such as on a system that allows no namespaces.
    pub(crate) fn obstacle(&self) -> Option<&str> {
        let mut cells = self.rows.iter().flat_map(|row| &row.cells);
        if cells.clone().any(|cell| cell.evidence.is_some()) {
            return None;
        }
        let tried = cells.find(|cell| cell.grade == Grade::Inconclusive)?;
        tried.reason.as_deref()
    }

    /// What was played, and what of it is a departure: that of this grade and above.
    pub(crate) fn played(&self, from: Grade) -> Vec<Played> {
        let of_row = |row: &MatrixRow| {
            let cells = self.columns.iter().zip(&row.cells);
            let played = cells.map(|(column, cell)| row.played(column, cell, from));
            played.collect::<Vec<_>>()
        };
        self.rows.iter().flat_map(of_row).collect()
    }

    /// The worst grade in the matrix; `Unfit` for one without cells.
    pub(crate) fn worst(&self) -> Grade {
        let cells = self.rows.iter().flat_map(|row| &row.cells);
        cells.map(|cell| cell.grade).max().unwrap_or(Grade::Unfit)
    }
}

/// The rule that holds every session to a statement; `None` if there is none.
pub(crate) fn session_rule(number: u16) -> Option<&'static Rule> {
    session_rules().find(|rule| rule.statement == Some(number))
}

/// The rules about what is said in sessions, whatever a drill is about.
pub(crate) fn session_rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(|rule| rule.statement.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(path: &str, covers: Vec<u16>, grade: Grade, evidence: Option<RunRecord>) -> MatrixRow {
        let mut cell = Judged::without_run(grade, String::new());
        cell.evidence = evidence;
        MatrixRow {
            path: path.to_owned(),
            summary: String::new(),
            level: Level::Must,
            cites: Vec::new(),
            covers,
            cells: vec![cell],
        }
    }

    fn matrix(rows: Vec<MatrixRow>) -> Matrix {
        Matrix {
            rows,
            ..Matrix::default()
        }
    }

    #[test]
    fn who_was_not_asked_for_anything_has_not_kept_to_it() {
        let one = |covers, is_played: bool| {
            let evidence = is_played.then(RunRecord::default);
            matrix(vec![row("one.toml", covers, Grade::Pass, evidence)])
        };
        // QUIT (101) is to be sent in every session; DSN (153) is passed on if somebody asked for it.
        assert_eq!(one(vec![1], true).of_sessions(101, 0), Some(Grade::Pass));
        assert_eq!(one(vec![1], true).of_sessions(153, 0), None);
        assert_eq!(one(vec![153], false).of_sessions(153, 0), None);
        assert_eq!(one(vec![153], true).of_sessions(153, 0), Some(Grade::Pass));
    }

    #[test]
    fn a_statement_is_graded_by_the_worst_of_its_drills() {
        let matrix = matrix(vec![
            row("scenarios/a/one.toml", vec![1, 2], Grade::Pass, None),
            row("scenarios/a/two.toml", vec![2], Grade::Deviates, None),
            row("scenarios/a/three.toml", vec![1], Grade::Unfit, None),
        ]);
        assert_eq!(matrix.of_statement(1, 0), Some(Grade::Pass));
        assert_eq!(matrix.of_statement(2, 0), Some(Grade::Deviates));
        assert_eq!(matrix.of_statement(3, 0), None);
        assert_eq!(matrix.worst(), Grade::Deviates);
        let first = &matrix.rows[0];
        assert_eq!((first.group(), first.name()), ("a", "a/one"));
    }
}
