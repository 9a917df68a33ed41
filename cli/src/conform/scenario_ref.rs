//! How an adapter names scenarios: one by its group and name, or all whose names begin alike.
//!
//! A name is an exact one, so that a scenario that is added or renamed does not quietly change what an
//! adapter says. Whether there is such a scenario is known of the bundled ones alone.

use std::{fmt, sync::LazyLock};

use serde::{Deserialize, Serialize};

use mxdrill::diagnostic::{did_you_mean, nearest};

/// The names of all bundled scenarios, such as `rfc5321/hundred_exchangers`, in order.
static BUNDLED: LazyLock<Vec<String>> = LazyLock::new(|| {
    let files = mxdrill::bundled::files().into_iter();
    files.map(|(path, _)| name_of(&path).to_owned()).collect()
});

/// The group and name of a scenario's file: its path without what all have in common.
pub(crate) fn name_of(path: &str) -> &str {
    let path = path.strip_suffix(".toml").unwrap_or(path);
    path.strip_prefix("scenarios/").unwrap_or(path)
}

/// A scenario that an adapter names, or a group of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub(crate) enum ScenarioRef {
    /// One scenario: `rfc5321/hundred_exchangers`.
    Named(String),
    /// Every scenario whose name begins with this: written `rfc5321/relay_*`.
    Beginning(String),
}

impl ScenarioRef {
    /// Whether the scenario of a path is meant. Folders above the group's make no difference: a checkout
    /// may lie anywhere.
    pub(crate) fn covers(&self, path: &str) -> bool {
        let name = name_of(path);
        match self {
            Self::Named(wanted) => {
                let above = name.strip_suffix(wanted.as_str());
                above.is_some_and(|above| above.is_empty() || above.ends_with('/'))
            }
            Self::Beginning(wanted) => {
                // The name begins where as many folders stand before it as in what is wanted.
                let folders = wanted.matches('/').count();
                let start = name.rmatch_indices('/').nth(folders);
                let start = start.map_or(0, |(slash, _)| slash + 1);
                name[start..].starts_with(wanted.as_str())
            }
        }
    }

    /// What is wrong if no bundled scenario is meant; `None` if one is.
    pub(crate) fn mistake(&self) -> Option<String> {
        if BUNDLED.iter().any(|name| self.covers(name)) {
            return None;
        }
        let expected = match self {
            Self::Named(_) => "the name of a bundled scenario",
            Self::Beginning(_) => "the beginning of the name of a bundled scenario",
        };
        let shown = self.to_string();
        let names = BUNDLED.iter().map(String::as_str);
        let hint = did_you_mean(nearest(&shown, names));
        Some(format!("found {shown:?}, expected {expected}{hint}"))
    }
}

impl From<String> for ScenarioRef {
    fn from(text: String) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Named(text),
        }
    }
}

impl From<ScenarioRef> for String {
    fn from(scenario: ScenarioRef) -> Self {
        scenario.to_string()
    }
}

impl fmt::Display for ScenarioRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Beginning(name) => write!(f, "{name}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> ScenarioRef {
        ScenarioRef::from(text.to_owned())
    }

    #[test]
    fn a_name_is_a_whole_one_and_a_star_makes_it_a_beginning() {
        for (written, path, is_meant) in [
            ("tls/required", "scenarios/tls/required.toml", true),
            ("tls/required", "/a/checkout/tls/required.toml", true),
            ("tls/required", "scenarios/tls/required_skips.toml", false),
            ("tls/required", "scenarios/starttls/required.toml", false),
            ("tls/required_*", "scenarios/tls/required_skips.toml", true),
            ("tls/required_*", "/a/tls/required_skips.toml", true),
            ("tls/required_*", "scenarios/tls/not_required_.toml", false),
            ("tls/required_*", "scenarios/my_tls/required_a.toml", false),
            ("required_*", "required_a.toml", true),
            ("tls/*", "scenarios/tls/required.toml", true),
            ("tls/*", "scenarios/tls/deeper/required.toml", false),
        ] {
            assert_eq!(of(written).covers(path), is_meant, "{written} {path}");
        }
    }

    #[test]
    fn what_no_bundled_scenario_is_called_is_a_mistake() {
        for right in ["rfc5321/hundred_exchangers", "rfc5321/relay_*"] {
            assert_eq!(of(right).mistake(), None, "{right}");
        }
        for (wrong, told) in [
            (
                "rfc5321/hundred_exchanger",
                "found \"rfc5321/hundred_exchanger\", expected the name of a bundled scenario; did you mean \"rfc5321/hundred_exchangers\"?",
            ),
            (
                "hundred_exchangers_",
                "found \"hundred_exchangers_\", expected the name of a bundled scenario; did you mean \"rfc5321/hundred_exchangers\"?",
            ),
            (
                "zzz/*",
                "found \"zzz/*\", expected the beginning of the name of a bundled scenario",
            ),
        ] {
            assert_eq!(of(wrong).mistake().as_deref(), Some(told));
        }
    }
}
