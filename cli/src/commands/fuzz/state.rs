//! How far a search has come and what it has found, kept in a file so that it can go on there.
//!
//! The file is written beside its place and then moved to it: whoever ends the process at any moment leaves the old
//! state or the new one.

use std::{collections::BTreeMap, fs, io, path::Path};

use serde::{Deserialize, Serialize};

use super::finding::{Flake, FuzzFinding};
use crate::commands::at;

/// What a search has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct State {
    /// The version whose numbers these are: of another, a number may be another drill.
    mxdrill: String,
    /// Who is tested.
    senders: Vec<String>,
    /// The number of the first drill.
    pub(super) first: u64,
    /// How far a number is from the next one: more than 1 in a share of the drills.
    #[serde(default = "one")]
    pub(super) step: u64,
    /// The number of the first drill of which not all is known.
    pub(super) next: u64,
    /// How many drills were judged, one for each sender.
    pub(super) judged: u64,
    /// How many did not fit a sender, or could not be judged.
    pub(super) unjudged: u64,
    pub(super) findings: Vec<FuzzFinding>,
    pub(super) flakes: Vec<Flake>,
    /// In how many drills a rule was broken that were not pursued, since enough shapes of it are known; by sender and
    /// rule.
    #[serde(default)]
    pub(super) others: BTreeMap<String, u64>,
}

/// The step of files that say none.
fn one() -> u64 {
    1
}

impl State {
    fn new(senders: Vec<String>, first: u64, step: u64) -> Self {
        Self {
            mxdrill: env!("CARGO_PKG_VERSION").to_owned(),
            senders,
            first,
            step,
            next: first,
            judged: 0,
            unjudged: 0,
            findings: Vec::new(),
            flakes: Vec::new(),
            others: BTreeMap::new(),
        }
    }

    /// The state of a file, if there is one; else a new one, which is written there at once: that it cannot be written
    /// is told before an hour has passed.
    ///
    /// # Errors
    /// That the file cannot be read or written, or is about something else.
    pub(super) fn open(
        file: Option<&Path>,
        senders: Vec<String>,
        first: u64,
        step: u64,
    ) -> io::Result<Self> {
        let new = Self::new(senders, first, step);
        let Some(file) = file else {
            return Ok(new);
        };
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                new.save(file)?;
                return Ok(new);
            }
            Err(error) => return Err(at(file, error)),
        };
        let kept: Self = serde_json::from_str(&text).map_err(|error| {
            let text =
                format!("found no state of a search ({error}), expected one that --resume wrote");
            at(file, io::Error::new(io::ErrorKind::InvalidData, text))
        })?;
        let of = |state: &Self| {
            let senders = state.senders.join(", ");
            let each = match state.step {
                1 => String::new(),
                step => format!(", one in {step}"),
            };
            format!(
                "{senders} from number {}{each}, by mxdrill {}",
                state.first, state.mxdrill
            )
        };
        let (found, expected) = (of(&kept), of(&new));
        if found != expected {
            let text =
                format!("found a search of {found}, expected one of {expected}; name another file");
            return Err(at(file, io::Error::new(io::ErrorKind::InvalidInput, text)));
        }
        Ok(kept)
    }

    /// Writes it to the file, all of it or nothing.
    ///
    /// # Errors
    /// What the file system does not allow.
    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        let mut beside = file.as_os_str().to_owned();
        beside.push(".new");
        let mut text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        text.push(b'\n');
        let written = fs::write(&beside, text).and_then(|()| fs::rename(&beside, file));
        written.map_err(|error| at(file, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(senders: &[&str]) -> Vec<String> {
        senders.iter().map(|one| (*one).to_owned()).collect()
    }

    #[test]
    fn a_search_goes_on_where_it_was() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state.json");
        let mut state = State::open(Some(&file), of(&["a"]), 5, 1).expect("a new one");
        assert!(file.exists());
        state.next = 17;
        state.judged = 12;
        state.save(&file).expect("saved");
        let again = State::open(Some(&file), of(&["a"]), 5, 1).expect("the same");
        assert_eq!(again, state);
        let files = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(files, 1, "nothing is left beside it");
    }

    #[test]
    fn the_state_of_another_search_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("state.json");
        State::open(Some(&file), of(&["a"]), 0, 1).expect("a new one");
        for (senders, first, step) in [
            (of(&["b"]), 0, 1),
            (of(&["a"]), 1, 1),
            (of(&["a", "b"]), 0, 1),
            (of(&["a"]), 0, 4),
        ] {
            let refused = State::open(Some(&file), senders, first, step).expect_err("another");
            assert!(
                refused.to_string().contains("name another file"),
                "{refused}"
            );
        }
        fs::write(&file, "{}").expect("written");
        let refused = State::open(Some(&file), of(&["a"]), 0, 1).expect_err("no state");
        assert!(refused.to_string().contains("found no state"), "{refused}");
    }
}
