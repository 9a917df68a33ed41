//! MTA-STS as data (RFC 8461): the record that announces a policy, and the policy itself.
//!
//! Both are read here and nowhere else, by the reference sender, the verdict and lint alike. How a policy
//! is fetched and how long it is kept is the sender's affair.
//!
//! A policy that is not valid in any part is none (section 3.2 has the grammar, section 3.3 what a
//! sender makes of a file). Names in it are compared as names, without case.

use std::{collections::BTreeMap, time::Duration};

use crate::name::Domain;

/// The longest time that a policy may be kept, in seconds: a year of 365.25 days (section 3.2,
/// "maximum value of 31557600").
const MAX_AGE: u64 = 31_557_600;

/// Where a policy stands at its host (section 3.3).
pub(crate) const POLICY_PATH: &str = "/.well-known/mta-sts.txt";

/// What a policy asks of senders (section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Deliver to exchangers that the policy lists and whose certificates are valid, and to no
    /// other.
    Enforce,
    /// Deliver as without a policy, and report what would have failed.
    Testing,
    /// Deliver as without a policy: the domain is on its way out of MTA-STS.
    None,
}

/// The hosts that a line of a policy names (section 4.1).
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    // Just this host.
    Host(Domain),
    /// Every host one label below this.
    Below(Domain),
    /// What is no host name lists no host.
    Nothing,
}

/// A policy (section 3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    /// What it asks.
    pub(crate) mode: Mode,
    patterns: Vec<Pattern>,
    /// How long it may be kept after it was fetched.
    pub(crate) max_age: Duration,
}

impl Policy {
    /// Reads a policy file; `None` if it is not a valid one, which counts as if there were none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        let mut patterns = Vec::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once(':')?;
            let (key, value) = (key.trim(), value.trim());
            if !is_field_name(key) {
                return None;
            }
            if key == "mx" {
                patterns.push(Pattern::from(value));
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
        let max_age = seconds(first.get("max_age")?)?;
        let complete =
            *first.get("version")? == "STSv1" && (mode == Mode::None || !patterns.is_empty());
        complete.then_some(Self {
            mode,
            patterns,
            max_age,
        })
    }

    /// The fields that a file has more than once, though they may be there once (section 3.2).
    #[cfg(feature = "records")]
    pub(crate) fn repeated(text: &str) -> Vec<&str> {
        let keys = text
            .lines()
            .filter_map(|line| Some(line.split_once(':')?.0.trim()));
        let mut seen = BTreeMap::new();
        for key in keys.filter(|key| *key != "mx") {
            *seen.entry(key).or_insert(0_usize) += 1;
        }
        let repeated = seen.into_iter().filter(|(_, count)| *count > 1);
        repeated.map(|(key, _)| key).collect()
    }

    /// What it names that is none of these exchangers, as it is written.
    #[cfg(feature = "records")]
    pub(crate) fn beyond(&self, exchangers: &[&Domain]) -> Vec<String> {
        let is_used = |pattern: &&Pattern| exchangers.iter().any(|one| pattern.names(one));
        let unused = self.patterns.iter().filter(|pattern| !is_used(pattern));
        let written = unused.filter_map(|pattern| match pattern {
            Pattern::Host(host) => Some(host.to_string()),
            Pattern::Below(parent) => Some(format!("*.{parent}")),
            Pattern::Nothing => None,
        });
        written.collect()
    }

    /// Whether an exchanger's name matches one of the patterns (section 4.1), in whatever case it
    /// is written.
    pub(crate) fn lists(&self, exchanger: &Domain) -> bool {
        self.patterns.iter().any(|pattern| pattern.names(exchanger))
    }

    /// Whether mail may go to an exchanger: every policy that is not enforced allows that.
    pub(crate) fn allows(&self, exchanger: &Domain) -> bool {
        self.mode != Mode::Enforce || self.lists(exchanger)
    }
}

impl Pattern {
    fn names(&self, exchanger: &Domain) -> bool {
        match self {
            Self::Host(host) => host == exchanger,
            // A wildcard stands for one label.
            Self::Below(parent) => exchanger.parent().as_ref() == Some(parent),
            Self::Nothing => false,
        }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        match text.strip_prefix("*.") {
            Some(parent) => parent.parse().map_or(Self::Nothing, Self::Below),
            None => text.parse().map_or(Self::Nothing, Self::Host),
        }
    }
}

/// The duration of a `max_age`: one to ten digits, a year at most.
fn seconds(text: &str) -> Option<Duration> {
    let plain = (1..=10).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_digit());
    let seconds = text.parse().ok().filter(|age| plain && *age <= MAX_AGE)?;
    Some(Duration::from_secs(seconds))
}

/// Whether a word can name a field, one known or an extension (section 3.2).
fn is_field_name(word: &str) -> bool {
    let inner = |octet: u8| octet.is_ascii_alphanumeric() || b"_-.".contains(&octet);
    word.len() <= 32
        && word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word.bytes().all(inner)
}

/// The id of the policy that the TXT records at `_mta-sts` announce; `None` if not just one of them is
/// such a record, and a valid one (section 3.1).
pub(crate) fn announced_id(texts: impl IntoIterator<Item = String>) -> Option<String> {
    let announces = |text: &String| {
        let rest = text.strip_prefix("v=STSv1");
        rest.is_some_and(|rest| rest.trim_start().starts_with(';'))
    };
    let mut records = texts.into_iter().filter(announces);
    let (only, None) = (records.next()?, records.next()) else {
        return None;
    };
    let mut fields = only.split(';').map(str::trim);
    let id = fields.find_map(|field| field.strip_prefix("id="))?;
    let valid =
        (1..=32).contains(&id.len()) && id.bytes().all(|octet| octet.is_ascii_alphanumeric());
    valid.then(|| id.to_owned())
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
    fn hosts_are_listed_in_whatever_case() {
        let policy = policy("mx: MX1.Example.TEST\nmx: *.Other.Test\n");
        assert!(policy.lists(&name("mx1.example.test")));
        assert!(policy.lists(&name("A.other.test")) && !policy.lists(&name("mx2.example.test")));
    }

    #[test]
    fn only_an_enforced_policy_forbids_a_host() {
        let text = "version: STSv1\nmode: testing\nmx: enforce.example.test\nmax_age: 1\n";
        let testing = Policy::parse(text).expect("a valid policy");
        assert!(testing.allows(&name("mx1.example.test")));
        assert!(!policy("mx: mx2.example.test\n").allows(&name("mx1.example.test")));
    }

    #[test]
    fn an_invalid_policy_is_none() {
        let valid = "version: STSv1\nmode: enforce\nmx: a.test\nmax_age: 31557600\n";
        assert!(Policy::parse(valid).is_some());
        let extended = "version: STSv1\r\nmode: none\r\nmax_age: 1\r\nnew.field: x\r\n";
        assert!(Policy::parse(extended).is_some());
        for (right, wrong) in [
            ("version: STSv1\n", ""),
            ("STSv1", "STSv2"),
            ("mode: enforce", "mode: Enforce"),
            ("mode: enforce\n", ""),
            ("mx: a.test", "nmx: a.test"),
            ("mx: a.test\n", ""),
            ("max_age: 31557600\n", ""),
            ("31557600", "31557601"),
            ("31557600", "+1"),
            ("31557600", "1d"),
            ("mode: enforce", "mode: enforce\nno field at all"),
            ("mode: enforce", "mode: enforce\nno name: x"),
            (valid, ""),
        ] {
            let text = valid.replacen(right, wrong, 1);
            assert_eq!(Policy::parse(&text), None, "{text}");
        }
    }

    #[test]
    fn one_valid_record_announces_an_id() {
        let id = |texts: &[&str]| announced_id(texts.iter().map(|text| (*text).to_owned()));
        assert_eq!(id(&["v=STSv1; id=a1;"]).as_deref(), Some("a1"));
        assert_eq!(id(&["unrelated", "v=STSv1 ;id=2"]).as_deref(), Some("2"));
        for none in [
            &["v=STSv1; id=1", "v=STSv1; id=1"][..],
            &["v=STSv1; id="],
            &["v=STSv1; id=a-b"],
            &["v=STSv10; id=1"],
            &["v=STSv2; id=1"],
            &[],
        ] {
            assert_eq!(id(none), None, "{none:?}");
        }
    }
}
