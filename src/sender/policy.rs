//! An MTA-STS policy as data (RFC 8461 section 3.2).

use std::{collections::BTreeMap, time::Duration};

use crate::name::Domain;

/// The longest time a policy may be kept (section 3.2), in seconds.
const MAX_AGE: u64 = 31_557_600;

/// What a policy asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Deliver to exchangers that satisfy it, and to no other.
    Enforce,
    /// Report only.
    Testing,
    /// Nothing.
    None,
}

/// A policy (section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    patterns: Vec<String>,
    pub(crate) max_age: Duration,
}

impl Policy {
    /// Reads a policy file; `None` if it is not a valid one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let mut patterns = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once(':')?;
            let (key, value) = (key.trim(), value.trim());
            if key == "mx" {
                patterns.push(value.to_ascii_lowercase());
            } else {
                // Of a field that comes twice the first counts.
                first.entry(key).or_insert(value);
            }
        }
        let mode = match *first.get("mode")? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            _ => return None,
        };
        let max_age = first
            .get("max_age")?
            .parse::<u64>()
            .ok()
            .filter(|age| *age <= MAX_AGE)?;
        let complete =
            *first.get("version")? == "STSv1" && (mode == Mode::None || !patterns.is_empty());
        complete.then(|| Self {
            mode,
            patterns,
            max_age: Duration::from_secs(max_age),
        })
    }

    /// Whether an exchanger's name matches (section 4.1): a wildcard stands for one label.
    pub(crate) fn lists(&self, exchanger: &Domain) -> bool {
        let matches = |pattern: &String| match pattern.strip_prefix("*.") {
            Some(rest) => exchanger
                .parent()
                .is_some_and(|parent| parent.as_str() == rest),
            None => exchanger.as_str() == pattern,
        };
        self.patterns.iter().any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(patterns: &str) -> Policy {
        Policy::parse(&format!(
            "version: STSv1\nmode: enforce\n{patterns}max_age: 86400\n"
        ))
        .expect("a valid policy")
    }

    fn name(text: &str) -> Domain {
        text.parse().expect("a name")
    }

    #[test]
    fn a_wildcard_stands_for_one_label() {
        let policy = policy("mx: *.example.test\nmx: mx.other.test\n");
        assert!(policy.lists(&name("mx1.example.test")));
        assert!(!policy.lists(&name("a.mx1.example.test")) && !policy.lists(&name("example.test")));
        assert!(policy.lists(&name("mx.other.test")));
    }

    #[test]
    fn an_incomplete_policy_is_none() {
        for text in [
            "",
            "version: STSv1\n",
            "version: STSv1\nmode: enforce\nmax_age: 1\n",
            "version: STSv2\nmode: none\nmax_age: 1\n",
            "nonsense",
        ] {
            assert_eq!(Policy::parse(text), None, "{text}");
        }
    }
}
