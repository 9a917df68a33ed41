//! A mail server in another configuration: what an adapter can change of its server, each change under a name.
//!
//! `postfix+ipv4-first` is Postfix with the change `ipv4-first`; `postfix+ipv4-first+fixed-order` has both. Results have
//! a column for each, with an id of its own; the packages are those of the server.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::scenario_ref::ScenarioRef;

/// What stands before each change in the word for a server.
pub(crate) const SIGN: char = '+';

/// A change by its name, which is part of ids, of files' names and of words on a command line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct VariantName(pub(super) String);

impl TryFrom<String> for VariantName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match !name.is_empty() && name.chars().all(is_plain) {
            true => Ok(Self(name)),
            false => Err(format!(
                "found variant {name:?}, expected small letters, digits and hyphens, such as \"ipv4-first\""
            )),
        }
    }
}

impl From<VariantName> for String {
    fn from(name: VariantName) -> Self {
        name.0
    }
}

/// What an adapter can change of its server.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Variant {
    /// What it changes, in a sentence for readers of the results.
    pub(crate) changes: String,
    /// Changes it: a script that goes on where `configure` ends.
    pub(crate) configure: String,
    /// Scenarios whose results depended on what it changes: `depends` says nothing of them any more.
    #[serde(default)]
    pub(crate) settles: Vec<ScenarioRef>,
}

/// The word for a server, and the names of the changes that follow it. A path ends where its `.toml` does: there may be
/// a sign in it.
pub(super) fn split(word: &str) -> (&str, Vec<&str>) {
    let end = match word.find(".toml+") {
        Some(at) => Some(at + ".toml".len()),
        None if word.ends_with(".toml") || word.contains('/') => None,
        None => word.find(SIGN),
    };
    let (server, changes) = word.split_at(end.unwrap_or(word.len()));
    (server, changes.split(SIGN).skip(1).collect())
}

/// The server of an id, whatever is changed of it.
pub(super) fn server_of(id: &str) -> &str {
    id.split_once(SIGN).map_or(id, |(server, _)| server)
}

/// What can be changed of a server, by name.
pub(crate) type Variants = BTreeMap<VariantName, Variant>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_a_server_and_what_is_changed_of_it() {
        for (word, server, changes) in [
            ("postfix", "postfix", &[][..]),
            ("postfix+a", "postfix", &["a"]),
            ("postfix+a+b", "postfix", &["a", "b"]),
            ("./c++/my.toml", "./c++/my.toml", &[]),
            ("./c++/my.toml+a", "./c++/my.toml", &["a"]),
            ("my.toml+a", "my.toml", &["a"]),
            ("postfix+", "postfix", &[""]),
        ] {
            assert_eq!(split(word), (server, changes.to_vec()), "{word}");
        }
    }
}
