//! A file of departures that are expected, each with a reason: what stands in it and departs is fine, what departs and
//! stands not in it fails, and so does what stands in it and departs no longer.
//!
//! `mxdrill run` has drills that fail, `mxdrill conform` has cells of its matrix. Entries for what was not played, such as
//! those of another share of the drills, are passed over, unless all that there is was played. Paths are compared
//! however they were typed.

use std::{
    collections::BTreeSet,
    env, fmt, io,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use crate::commands::at;
use mxdrill::diagnostic::{Mistake, Mistakes};

/// The departures that a file expects.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectedDepartures {
    #[serde(skip)]
    path: String,
    #[serde(skip)]
    text: String,
    #[serde(default)]
    departure: Vec<Spanned<Entry>>,
}

/// One of them, as the file has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The mail server; none for drills of mxdrill's own sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    scenario: String,
    /// As what it is expected to be judged: a grade of the matrix, or `failed`.
    grade: String,
    reason: String,
}

/// Something that was played, and how it was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Played {
    pub(crate) server: Option<String>,
    /// The path of the scenario.
    pub(crate) scenario: String,
    /// As what it was judged, in the words of the file.
    pub(crate) grade: String,
    pub(crate) standing: Standing,
}

/// What a judgement means to a baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Fine,
    /// It could not be played here, which says nothing of what is expected.
    Unplayed,
    /// It was played, and nothing is known of it.
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(dead_code, reason = "a matrix alone has it")
    )]
    Unknown,
    /// It departs, which would fail if more were asked for.
    #[cfg_attr(
        not(all(target_os = "linux", feature = "private-network")),
        expect(dead_code, reason = "a matrix alone has it")
    )]
    Tolerated,
    /// It fails, unless it is listed.
    Fails,
}

/// What was played as a whole: what a file lists of it and was not played is not there any more.
#[derive(Debug, Default)]
pub(crate) struct PlayedWhole {
    /// Folders all of whose drills were played, as [`plain_path`] has them.
    pub(crate) folders: Vec<String>,
    /// The mail servers that played them; `None` is mxdrill's own sender.
    pub(crate) servers: Vec<Option<String>>,
}

impl PlayedWhole {
    fn covers(&self, entry: &Entry) -> bool {
        let path = Path::new(&entry.scenario);
        // Every path begins with that of the current folder, which is empty.
        let within = |folder: &String| {
            path.starts_with(folder) && (!folder.is_empty() || path.is_relative())
        };
        self.servers.contains(&entry.server) && self.folders.iter().any(within)
    }
}

/// A path as it is compared, however it was typed: below the current folder if it is there, and without dots.
pub(crate) fn plain_path(path: &str) -> String {
    let path = Path::new(path);
    let here = env::current_dir().ok();
    let below = here.and_then(|here| path.strip_prefix(here).ok());
    let parts = below.unwrap_or(path).components();
    let kept: PathBuf = parts.filter(|part| *part != Component::CurDir).collect();
    let kept = kept.display().to_string();
    match cfg!(windows) {
        true => kept.replace('\\', "/"),
        false => kept,
    }
}

/// What is not as a file expects it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Surprise {
    /// It departs, and is not in the file.
    New(Played),
    /// It departs in another way than the file has it.
    Changed {
        played: Played,
        expected: String,
        line: usize,
    },
    /// It is in the file, and departs no longer.
    Stale { played: Played, line: usize },
    /// It is in the file, and there is no such drill.
    Gone { listed: String, line: usize },
}

impl ExpectedDepartures {
    /// Reads a file.
    ///
    /// # Errors
    /// That it cannot be read, or what is wrong in it and where: a reason that is missing, too.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| at(path, error))?;
        Self::parse(&path.to_string_lossy(), &text)
            .map_err(|mistakes| io::Error::new(io::ErrorKind::InvalidData, mistakes.to_string()))
    }

    fn parse(path: &str, text: &str) -> Result<Self, Mistakes> {
        let wrong =
            |at: usize, message: String| Mistakes(vec![Mistake::at(path, text, at, message)]);
        let mut read: Self =
            toml::from_str(text).map_err(|error| Mistakes::of_toml(path, text, &error))?;
        for entry in &mut read.departure {
            let entry = entry.get_mut();
            entry.scenario = plain_path(&entry.scenario);
        }
        let mut seen = BTreeSet::new();
        for entry in &read.departure {
            let (at, entry) = (entry.span().start, entry.get_ref());
            if entry.reason.trim().is_empty() {
                let message = "found no reason, expected why the departure is accepted";
                return Err(wrong(at, message.to_owned()));
            }
            if !seen.insert((&entry.server, &entry.scenario)) {
                let message = format!("found {} a second time, expected it once", entry.scenario);
                return Err(wrong(at, message));
            }
        }
        path.clone_into(&mut read.path);
        text.clone_into(&mut read.text);
        Ok(read)
    }

    /// What of the played is not as the file expects it, in the order in which it was played; then what it lists of
    /// that which was played as a whole and is not there.
    pub(crate) fn surprises(&self, played: &[Played], whole: &PlayedWhole) -> Vec<Surprise> {
        let surprise = |played: &Played| {
            let entry = self
                .departure
                .iter()
                .find(|entry| entry.get_ref().is_about(played));
            let Some(entry) = entry else {
                let is_new = played.standing == Standing::Fails;
                return is_new.then(|| Surprise::New(played.clone()));
            };
            let line = self.line(entry.span().start);
            let (played, expected) = (played.clone(), entry.get_ref().grade.clone());
            match played.standing {
                Standing::Unplayed => None,
                Standing::Fine => Some(Surprise::Stale { played, line }),
                _ if played.grade == expected => None,
                Standing::Unknown | Standing::Tolerated | Standing::Fails => {
                    Some(Surprise::Changed {
                        played,
                        expected,
                        line,
                    })
                }
            }
        };
        let gone = self.departure.iter();
        let gone = gone.filter(|entry| entry.get_ref().is_gone(played, whole));
        let gone = gone.map(|entry| Surprise::Gone {
            listed: entry.get_ref().to_string(),
            line: self.line(entry.span().start),
        });
        played.iter().filter_map(surprise).chain(gone).collect()
    }

    /// Why something is accepted as it was judged; `None` if the file does not have it so.
    pub(crate) fn reason(&self, played: &Played) -> Option<&str> {
        let mut entries = self.departure.iter().map(Spanned::get_ref);
        let listed = |entry: &&Entry| entry.is_about(played) && entry.grade == played.grade;
        entries.find(listed).map(|entry| entry.reason.as_str())
    }

    fn line(&self, at: usize) -> usize {
        self.text[..at.min(self.text.len())].matches('\n').count() + 1
    }

    /// Tells what is not as expected, a line each: with the file's place where it has one.
    pub(crate) fn lines(&self, surprises: &[Surprise]) -> Vec<String> {
        let place = |line: &usize| format!("{}:{line}", self.path);
        let told = |surprise: &Surprise| match surprise {
            Surprise::New(played) => format!(
                "new: {played} is {}, and not in {}",
                played.grade, self.path
            ),
            Surprise::Changed {
                played,
                expected,
                line,
            } => {
                format!(
                    "changed: {}: {played} is {}, expected {expected}",
                    place(line),
                    played.grade
                )
            }
            Surprise::Stale { played, line } => {
                format!(
                    "stale: {}: {played} is {}, and departs no longer",
                    place(line),
                    played.grade
                )
            }
            Surprise::Gone { listed, line } => {
                format!("stale: {}: there is no {listed} any more", place(line))
            }
        };
        surprises.iter().map(told).collect()
    }

    /// A file that expects all that departs, with the reason that this one has for it or one to be replaced, and what this
    /// one has of drills that were not played.
    pub(crate) fn written(&self, played: &[Played], whole: &PlayedWhole) -> String {
        const REASON: &str = "accepted when the baseline was written";
        let known = || self.departure.iter().map(Spanned::get_ref);
        let failing = |played: &&Played| played.standing == Standing::Fails;
        let departing = played.iter().filter(failing).map(|played| {
            let entry = known().find(|entry| entry.is_about(played));
            Entry {
                server: played.server.clone(),
                scenario: played.scenario.clone(),
                grade: played.grade.clone(),
                reason: entry.map_or(REASON, |entry| &entry.reason).to_owned(),
            }
        });
        let was_played = |entry: &&Entry| {
            let mut played = played.iter();
            played.any(|played| entry.is_about(played) && played.standing != Standing::Unplayed)
        };
        let elsewhere = known().filter(|entry| !was_played(entry) && !entry.is_gone(played, whole));
        let mut text = "# Departures that are expected, each with a reason.\n".to_owned();
        for entry in departing.chain(elsewhere.cloned()) {
            let server = entry.server.map(|server| ("server", server));
            let fields = [
                ("scenario", entry.scenario),
                ("grade", entry.grade),
                ("reason", entry.reason),
            ];
            text.push_str("\n[[departure]]\n");
            for (key, value) in server.into_iter().chain(fields) {
                // What JSON makes of a text is a string of TOML, too.
                text.push_str(&format!("{key} = {}\n", serde_json::Value::from(value)));
            }
        }
        text
    }
}

impl Entry {
    fn is_about(&self, played: &Played) -> bool {
        self.server == played.server && self.scenario == played.scenario
    }

    /// Whether there is no such drill, as far as that is known.
    fn is_gone(&self, played: &[Played], whole: &PlayedWhole) -> bool {
        whole.covers(self) && !played.iter().any(|played| self.is_about(played))
    }
}

/// Tells what something is about: the mail server, if there is one, and the drill.
fn about(server: Option<&String>, scenario: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(server) = server {
        write!(f, "{server} ")?;
    }
    f.write_str(scenario)
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        about(self.server.as_ref(), &self.scenario, f)
    }
}

impl fmt::Display for Played {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        about(self.server.as_ref(), &self.scenario, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn played(scenario: &str, grade: &str) -> Played {
        Played {
            server: Some("postfix".to_owned()),
            scenario: scenario.to_owned(),
            grade: grade.to_owned(),
            standing: match grade {
                "deviates" | "violates" => Standing::Fails,
                "unfit" => Standing::Unplayed,
                _ => Standing::Fine,
            },
        }
    }

    const FILE: &str = "[[departure]]\nserver = \"postfix\"\nscenario = \"a/one\"\ngrade = \"violates\"\nreason = \"known\"\n\n\
        [[departure]]\nserver = \"postfix\"\nscenario = \"a/two\"\ngrade = \"deviates\"\nreason = \"known\"\n";

    #[test]
    fn what_is_listed_and_departs_is_fine_and_all_else_is_told() {
        let file = ExpectedDepartures::parse("base.toml", FILE).expect("a baseline");
        let as_listed = [
            played("a/one", "violates"),
            played("a/two", "deviates"),
            played("a/three", "pass"),
        ];
        assert_eq!(file.surprises(&as_listed, &PlayedWhole::default()), []);
        // What was not played is none of its business.
        assert_eq!(file.surprises(&as_listed[..1], &PlayedWhole::default()), []);
        let other = [
            played("a/one", "pass"),
            played("a/two", "violates"),
            played("a/three", "deviates"),
        ];
        assert_eq!(
            file.lines(&file.surprises(&other, &PlayedWhole::default())),
            [
                "stale: base.toml:1: postfix a/one is pass, and departs no longer",
                "changed: base.toml:7: postfix a/two is violates, expected deviates",
                "new: postfix a/three is deviates, and not in base.toml",
            ]
        );
        // What could not be played here departs as little as before, and stays where the file is written anew.
        let unfit = [played("a/one", "unfit"), played("a/two", "deviates")];
        assert_eq!(file.surprises(&unfit, &PlayedWhole::default()), []);
        let again =
            ExpectedDepartures::parse("base.toml", &file.written(&unfit, &PlayedWhole::default()));
        let again = again.expect("a baseline");
        assert!(again.reason(&played("a/one", "violates")).is_some());
        // The same drill of another server is another thing.
        let elsewhere = Played {
            server: None,
            ..played("a/one", "violates")
        };
        assert_eq!(
            file.surprises(std::slice::from_ref(&elsewhere), &PlayedWhole::default()),
            [Surprise::New(elsewhere.clone())]
        );
    }

    #[test]
    fn what_is_listed_and_is_not_there_is_told_where_all_was_played() {
        let file = ExpectedDepartures::parse("base.toml", FILE).expect("a baseline");
        let played = [played("a/one", "violates")];
        let whole = |folder: &str, server: &str| PlayedWhole {
            folders: vec![folder.to_owned()],
            servers: vec![Some(server.to_owned())],
        };
        let told = |whole: &PlayedWhole| file.lines(&file.surprises(&played, whole));
        let gone = ["stale: base.toml:7: there is no postfix a/two any more"];
        assert_eq!(told(&whole("a", "postfix")), gone);
        assert_eq!(told(&whole("", "postfix")), gone);
        for (folder, server) in [("b", "postfix"), ("a", "exim"), ("a/two.d", "postfix")] {
            assert!(told(&whole(folder, server)).is_empty(), "{folder} {server}");
        }
        assert!(told(&PlayedWhole::default()).is_empty());
        let written = file.written(&played, &whole("a", "postfix"));
        assert!(
            written.contains("a/one") && !written.contains("a/two"),
            "{written}"
        );
        assert!(
            file.written(&played, &PlayedWhole::default())
                .contains("a/two")
        );
    }

    #[test]
    fn paths_are_one_however_they_are_typed() {
        let here = env::current_dir().expect("a folder").display().to_string();
        for typed in ["drills/a.toml", "./drills/a.toml", "drills//./a.toml"] {
            assert_eq!(plain_path(typed), "drills/a.toml");
            assert_eq!(plain_path(&format!("{here}/{typed}")), "drills/a.toml");
        }
        assert_eq!(
            (plain_path("."), plain_path("../a.toml")),
            (String::new(), "../a.toml".to_owned())
        );
        let typed = FILE.replace("a/one", "./a//one");
        let file = ExpectedDepartures::parse("base.toml", &typed).expect("a baseline");
        assert_eq!(file.reason(&played("a/one", "violates")), Some("known"));
        assert_eq!(file.reason(&played("a/one", "deviates")), None);
    }

    #[test]
    fn what_is_written_is_what_is_expected_and_keeps_its_reasons() {
        let file = ExpectedDepartures::parse("base.toml", FILE).expect("a baseline");
        let now = [
            played("a/one", "violates"),
            played("a/\"odd\"", "deviates"),
            played("a/two", "pass"),
        ];
        let text = file.written(&now, &PlayedWhole::default());
        let again = ExpectedDepartures::parse("base.toml", &text).expect("a baseline");
        assert_eq!(again.surprises(&now, &PlayedWhole::default()), []);
        assert!(text.contains("reason = \"known\""), "{text}");
        // What was not played stays, with its reason.
        let part = file.written(&now[..1], &PlayedWhole::default());
        let again = ExpectedDepartures::parse("base.toml", &part).expect("a baseline");
        assert!(
            again.reason(&played("a/two", "deviates")).is_some(),
            "{part}"
        );
        assert!(!text.contains("a/two"), "{text}");
    }

    #[test]
    fn a_mistake_is_told_with_its_place() {
        for (text, wanted) in [
            (
                "[[departure]]\nscenario = \"a\"\ngrade = \"failed\"\nreason = \" \"\n",
                "base.toml:1:1: found no reason",
            ),
            (
                "[[departure]]\nscenaro = \"a\"\n",
                "base.toml:2:1: unknown field `scenaro`",
            ),
            (
                "[[departure]]\nscenario = \"a\"\ngrade = \"x\"\nreason = \"r\"\n[[departure]]\nscenario = \"a\"\ngrade = \"x\"\nreason = \"r\"\n",
                "base.toml:5:1: found a a second time",
            ),
        ] {
            let mistakes = ExpectedDepartures::parse("base.toml", text)
                .expect_err("a mistake")
                .to_string();
            assert!(mistakes.contains(wanted), "{mistakes}");
        }
    }
}
