//! The conformance matrix as data: drills by mail server, and what each cell is judged as.
//!
//! A cell is graded by the worst that was found in it; shares of first attempts by what was `counted`.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    counted::Counted, played_server::PlayedServer, record::RunRecord, run_error::RunError,
    scenario_ref,
};
use crate::{
    departures::{Played, Standing, plain_path},
    statements::Statement,
};
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

    /// What a cell shows of a statement that the drill covers. Where the server broke rules which speak of other
    /// sentences it did something in another way, and this statement is not what it departed from.
    fn shows(&self, number: u16, column: usize) -> Grade {
        let cell = &self.cells[column];
        if cell.grade < Grade::Deviates {
            return cell.grade;
        }
        let findings = cell.evidence.iter().flat_map(|record| &record.findings);
        let counting = findings.filter(|finding| finding.counts_in(&self.covers));
        let broken = counting.filter_map(|finding| {
            let rule = mxdrill::verdict::rule(finding.rule.as_deref()?)?;
            let grade = Grade::of(finding.level);
            let is_about = match finding.statement {
                Some(statement) => statement == number,
                None => rule.statements.is_empty() || rule.statements.contains(&number),
            };
            let weighs = grade >= Grade::Deviates;
            weighs.then_some(if is_about { grade } else { Grade::Informs })
        });
        // Without a broken rule it is what the drill expects.
        broken.max().unwrap_or(cell.grade)
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
    /// if a rule holds them to it; drills that only inform count where there are no others. No departure is graver than
    /// the statement: what else was broken in its drills stands with these.
    fn of_statement(&self, statement: &Statement, column: usize) -> Option<Grade> {
        let number = statement.number;
        let rows = self.rows.iter().filter(|row| row.covers.contains(&number));
        let worst = |binding: bool| {
            let rows = rows.clone().filter(move |row| row.binds() == binding);
            rows.map(|row| row.shows(number, column)).max()
        };
        let weighty = worst(true).filter(|grade| *grade != Grade::Unfit);
        let of_drills = weighty.or(worst(false)).or(worst(true));
        let worst = of_drills.max(self.of_sessions(number, column))?;
        Some(match worst {
            Grade::Violates | Grade::Deviates => worst.min(Grade::of(statement.level)),
            _ => worst,
        })
    }

    /// The same of each mail server, in the order of the columns.
    pub(crate) fn of_statement_by_column(&self, statement: &Statement) -> Vec<Option<Grade>> {
        let columns = 0..self.columns.len();
        columns
            .map(|column| self.of_statement(statement, column))
            .collect()
    }

    /// What a server came to by the rule that holds every session to a statement; `None` if there is none, or nothing
    /// was played.
    fn of_sessions(&self, number: u16, column: usize) -> Option<Grade> {
        let rule = session_rule(number)?;
        // Who was never asked for anything has not done it either; nor is all of a rule with several parts seen everywhere.
        let is_seen_anywhere = !rule.is_asked_for && rule.statements.len() == 1;
        let shows = |row: &&MatrixRow| is_seen_anywhere || row.covers.contains(&number);
        let mut played = self.rows.iter().filter(shows);
        let is_meant = |finding: &RunError| finding.statement == Some(number);
        if self.broken(rule, column, is_meant).next().is_some() {
            return Some(Grade::of(rule.level));
        }
        let is_played = played.any(|row| row.cells[column].record().is_some());
        is_played.then_some(Grade::Pass)
    }

    /// The drills in whose sessions a server broke a rule.
    pub(crate) fn breaking(&self, rule: &Rule, column: usize) -> impl Iterator<Item = &MatrixRow> {
        self.broken(rule, column, |_| true)
    }

    /// The same by those of its breaches that are meant.
    fn broken(
        &self,
        rule: &Rule,
        column: usize,
        is_meant: impl Fn(&RunError) -> bool,
    ) -> impl Iterator<Item = &MatrixRow> {
        let breaks = move |finding: &RunError| {
            finding.rule.as_deref() == Some(rule.name) && is_meant(finding)
        };
        self.rows.iter().filter(move |row| {
            let record = row.cells[column].record();
            record.is_some_and(|record| record.findings.iter().any(&breaks))
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
    session_rules().find(|rule| rule.statements.contains(&number))
}

/// The rules about what is said in sessions, whatever a drill is about.
pub(crate) fn session_rules() -> impl Iterator<Item = &'static Rule> {
    RULES.iter().filter(|rule| rule.is_of_sessions)
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

    fn statement(number: u16, level: Level) -> Statement {
        Statement {
            number,
            section: String::new(),
            level,
            text: String::new(),
        }
    }

    #[test]
    fn a_statement_is_departed_from_where_a_broken_rule_speaks_of_it() {
        let finding = |rule: Option<&str>, statement, level| RunError {
            subject: mxdrill::verdict::Subject::Drill,
            claim: String::new(),
            rule: rule.map(str::to_owned),
            statement,
            level,
            cites: Vec::new(),
            expected: Vec::new(),
            observed: Vec::new(),
            difference: None,
        };
        let of = |findings: Vec<RunError>, number| {
            let record = RunRecord {
                findings,
                ..RunRecord::default()
            };
            row("one.toml", vec![1, 14, 101], Grade::Violates, Some(record)).shows(number, 0)
        };
        let order = || finding(Some("preference-order"), None, Level::Must);
        let outcome = || finding(None, None, Level::Must);
        // The order of preferences is 14; whether the domain was looked up at all is 1.
        assert_eq!(of(vec![order(), outcome()], 14), Grade::Violates);
        assert_eq!(of(vec![order(), outcome()], 1), Grade::Informs);
        assert_eq!(of(vec![outcome()], 1), Grade::Violates);
        // Of what is said in sessions each breach has its own number, and counts in drills about that.
        let quits = || finding(Some("quits"), Some(101), Level::Must);
        assert_eq!(of(vec![quits()], 101), Grade::Violates);
        assert_eq!(of(vec![quits(), outcome()], 1), Grade::Informs);
        let bare = || finding(Some("crlf-only"), Some(92), Level::Must);
        assert_eq!(of(vec![bare(), outcome()], 1), Grade::Violates);
        // A rule that speaks of whatever the drill shows.
        let tls = || finding(Some("tls-kept"), None, Level::Must);
        assert_eq!(of(vec![tls()], 1), Grade::Violates);
    }

    #[test]
    fn nobody_departs_from_more_than_a_statement_asks_for() {
        let of = |grade, level| {
            let matrix = matrix(vec![row("one.toml", vec![1], grade, None)]);
            matrix.of_statement(&statement(1, level), 0)
        };
        let broken = Grade::Violates;
        assert_eq!(of(broken, Level::Must), Some(Grade::Violates));
        assert_eq!(of(broken, Level::Should), Some(Grade::Deviates));
        assert_eq!(of(broken, Level::May), Some(Grade::Informs));
        // That nothing is known has no level.
        let unknown = Grade::Inconclusive;
        assert_eq!(of(unknown, Level::May), Some(unknown));
        assert_eq!(of(Grade::Deviates, Level::Must), Some(Grade::Deviates));
    }

    #[test]
    fn a_statement_is_graded_by_the_worst_of_its_drills() {
        let matrix = matrix(vec![
            row("scenarios/a/one.toml", vec![1, 2], Grade::Pass, None),
            row("scenarios/a/two.toml", vec![2], Grade::Deviates, None),
            row("scenarios/a/three.toml", vec![1], Grade::Unfit, None),
        ]);
        let of = |number, level| matrix.of_statement(&statement(number, level), 0);
        assert_eq!(of(1, Level::Must), Some(Grade::Pass));
        assert_eq!(of(2, Level::Must), Some(Grade::Deviates));
        assert_eq!(of(3, Level::Must), None);
        assert_eq!(matrix.worst(), Grade::Deviates);
        let first = &matrix.rows[0];
        assert_eq!((first.group(), first.name()), ("a", "a/one"));
    }
}
