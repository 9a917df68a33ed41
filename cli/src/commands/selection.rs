//! Which of the loaded scenarios a command is about: by path, by what they show, and by share.
//!
//! `run` and `conform` ask the same words. The order of scenarios is kept; a share is taken last, so that the shares
//! of a selection are that selection.

use std::{
    io::{self, Write},
    path::PathBuf,
    str::FromStr,
    sync::Arc,
};

use super::{CommandOutcome, say, scenario_files::Loaded};
use crate::{
    departures::plain_path,
    statements::{Statement, statements},
};
use mxdrill::scenario::Scenario;

/// What is asked of scenarios.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct SelectionArgs {
    /// Only scenarios whose path contains this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only scenarios that show this statement of docs/requirements.md; may be given more than once.
    #[arg(long, value_name = "NUMBER")]
    statement: Vec<u16>,
    /// Only scenarios that show a statement of this section of an RFC, such as "RFC 5321 5.1".
    #[arg(long, value_name = "SECTION")]
    section: Option<String>,
    /// Only every N-th scenario, from the M-th on: slice:1/4 to slice:4/4 are all of them on four machines.
    #[arg(long, value_name = "slice:M/N")]
    partition: Option<Slice>,
    /// Print the paths of the scenarios, and play none.
    #[arg(long)]
    pub(crate) list: bool,
}

impl SelectionArgs {
    /// Whether more was asked for than a part of the path.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(crate) fn is_more_than_a_filter(&self) -> bool {
        let by_statement = !self.statement.is_empty() || self.section.is_some();
        by_statement || self.partition.is_some() || self.list
    }

    /// The folders all of whose scenarios are among those that were loaded of these paths, which are the bundled ones if
    /// there are none.
    pub(crate) fn whole_folders(&self, paths: &[PathBuf], loaded: &[Loaded]) -> Vec<String> {
        let by_statement = !self.statement.is_empty() || self.section.is_some();
        let is_part = self.filter.is_some() || by_statement || self.partition.is_some();
        // What a file that cannot be read has is not known.
        if is_part || loaded.iter().any(Result::is_err) {
            return Vec::new();
        }
        if paths.is_empty() {
            return vec!["scenarios".to_owned()];
        }
        let folders = paths.iter().filter(|path| path.is_dir());
        let plain = folders.map(|folder| plain_path(&folder.to_string_lossy()));
        plain.collect()
    }

    /// The scenarios that are asked for, in their order; files that cannot be read are kept with them.
    ///
    /// # Errors
    /// That there is none, and what was asked for; a statement or section that does not exist.
    pub(crate) fn of(&self, loaded: Vec<Loaded>) -> io::Result<Vec<Loaded>> {
        let wanted = self.wanted_statements()?;
        let shows = |scenario: &Arc<Scenario>| {
            let mut covers = scenario.covers.iter();
            wanted
                .as_ref()
                .is_none_or(|wanted| covers.any(|number| wanted.contains(number)))
        };
        let shown = loaded
            .into_iter()
            .filter(|one| one.as_ref().map_or(true, shows));
        let selected: Vec<Loaded> = match self.partition {
            Some(slice) => slice.of(shown).collect(),
            None => shown.collect(),
        };
        match selected.is_empty() {
            false => Ok(selected),
            true => Err(io::Error::new(io::ErrorKind::NotFound, self.none_found())),
        }
    }

    /// The numbers of the statements that are asked for; `None` if any will do.
    fn wanted_statements(&self) -> io::Result<Option<Vec<u16>>> {
        if self.statement.is_empty() && self.section.is_none() {
            return Ok(None);
        }
        let all = statements();
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let known = |number: &u16| all.iter().any(|one| one.number == *number);
        if let Some(number) = self.statement.iter().find(|number| !known(number)) {
            let last = all.last().map_or(0, |last| last.number);
            return Err(invalid(format!(
                "found statement {number}, expected one of 1 to {last} (docs/requirements.md)"
            )));
        }
        let Some(section) = &self.section else {
            return Ok(Some(self.statement.clone()));
        };
        let of_section: Vec<u16> = all
            .iter()
            .filter(|one| one.is_of(section))
            .map(|one| one.number)
            .collect();
        if of_section.is_empty() {
            return Err(invalid(format!(
                "found no statement of section {section:?}, expected one as in {:?} (docs/requirements.md)",
                all.first().map_or("", |first: &Statement| &first.section)
            )));
        }
        Ok(Some(match self.statement.is_empty() {
            true => of_section,
            false => of_section
                .into_iter()
                .filter(|one| self.statement.contains(one))
                .collect(),
        }))
    }

    /// What was asked for, where nothing answers to it.
    fn none_found(&self) -> String {
        let mut asked = Vec::new();
        asked.extend(
            self.filter
                .as_ref()
                .map(|text| format!("whose path contains {text:?}")),
        );
        asked.extend(
            self.statement
                .iter()
                .map(|number| format!("that shows statement {number}")),
        );
        asked.extend(
            self.section
                .as_ref()
                .map(|section| format!("that shows a statement of {section}")),
        );
        asked.extend(
            self.partition
                .map(|Slice { place, of }| format!("in slice:{place}/{of}")),
        );
        format!("found no scenario {}", asked.join(", "))
    }
}

/// Prints the paths of the selected, a line each; of those that cannot be read, the mistakes.
pub(crate) fn list(selected: &[Loaded]) -> io::Result<CommandOutcome> {
    let mut out = io::stdout().lock();
    let mut outcome = CommandOutcome::Passed;
    for one in selected {
        match one {
            Ok(scenario) => writeln!(out, "{}", scenario.path)?,
            Err(mistakes) => {
                say::err(mistakes);
                outcome = CommandOutcome::CouldNotRun;
            }
        }
    }
    Ok(outcome)
}

/// Each `of`-th of a list, from the `place`-th on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slice {
    /// From 1 to `of`.
    place: usize,
    of: usize,
}

impl Slice {
    /// Its place among the slices, from 1, and how many there are.
    pub(crate) fn numbers(self) -> (usize, usize) {
        (self.place, self.of)
    }

    pub(crate) fn of<T>(self, list: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        list.skip(self.place - 1).step_by(self.of)
    }
}

impl FromStr for Slice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text
            .strip_prefix("slice:")
            .and_then(|numbers| numbers.split_once('/'));
        let numbers = numbers.and_then(|(place, of)| Some((place.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((place, of)) if (1..=of).contains(&place) => Ok(Self { place, of }),
            _ => Err("expected slice:M/N with M from 1 to N, such as slice:1/4".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_disjoint_and_make_the_whole() {
        for of in 1..6 {
            let mut all: Vec<usize> = (1..=of)
                .flat_map(|place| Slice { place, of }.of(0..11))
                .collect();
            all.sort_unstable();
            assert_eq!(all, (0..11).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_slice_is_written_as_nextest_has_it() {
        assert_eq!("slice:2/4".parse(), Ok(Slice { place: 2, of: 4 }));
        for text in [
            "slice:0/4",
            "slice:5/4",
            "slice:1",
            "hash:1/4",
            "1/4",
            "slice:1/0",
            "",
        ] {
            assert!(text.parse::<Slice>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_statement_or_section_that_there_is_not_is_told() {
        let none = SelectionArgs {
            statement: vec![60_000],
            ..SelectionArgs::default()
        };
        let text = none.of(Vec::new()).expect_err("there is none").to_string();
        assert!(
            text.starts_with("found statement 60000, expected one of 1 to "),
            "{text}"
        );
        let none = SelectionArgs {
            section: Some("RFC 1".to_owned()),
            ..SelectionArgs::default()
        };
        let text = none.of(Vec::new()).expect_err("there is none").to_string();
        assert!(
            text.starts_with("found no statement of section \"RFC 1\""),
            "{text}"
        );
    }
}
