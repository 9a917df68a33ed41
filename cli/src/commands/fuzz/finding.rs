//! What was found: a rule that is broken, by which sender, in a drill of which traits; and how it is told.

use std::{collections::BTreeSet, fmt, path::Path};

use serde::{Deserialize, Serialize};

use super::{broken_rule::BrokenRule, sender::TestedSender};
use mxdrill::{random_drill::RandomDrill, verdict::rule, visible::visible};

/// Octets of a file's name that come from traits: what is longer is cut at a word.
const MOST_OF_NAME: usize = 60;

/// What breaks a rule: the smallest drill, and how often it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct FuzzFinding {
    pub(super) sender: String,
    pub(super) broken: BrokenRule,
    /// What the smallest drill has in it.
    pub(super) traits: BTreeSet<String>,
    pub(super) exchangers: usize,
    /// The number of the drill in which it was seen first.
    pub(super) number: u64,
    /// In how many drills it was seen.
    pub(super) seen: u64,
    /// The file of the smallest drill, and the command that plays it.
    pub(super) file: String,
    pub(super) replay: String,
}

impl FuzzFinding {
    /// Whether a drill in which a sender breaks a rule shows nothing new: it has all in it that this one has.
    pub(super) fn explains(&self, sender: &str, rule: &str, traits: &BTreeSet<String>) -> bool {
        self.sender == sender && self.broken.rule == rule && self.traits.is_subset(traits)
    }

    /// How many there are, in words.
    pub(super) fn count(findings: &[Self]) -> String {
        match findings.len() {
            0 => "no rule was broken".to_owned(),
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        }
    }
}

impl fmt::Display for FuzzFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BrokenRule { rule: name, .. } = &self.broken;
        writeln!(
            f,
            "{name} ({}, {}): {}",
            self.broken.level,
            self.broken.cites.join(", "),
            rule(name).map_or("", |rule| rule.claim)
        )?;
        let times = match self.seen {
            1 => "in 1 drill".to_owned(),
            seen => format!("in {seen} drills"),
        };
        let traits: Vec<&str> = self.traits.iter().map(String::as_str).collect();
        let traits = match &traits[..] {
            [] => "an exchanger and a message".to_owned(),
            traits => traits.join(", "),
        };
        writeln!(
            f,
            "  {} {times}, number {} first: {traits}",
            self.sender, self.number
        )?;
        for (what, lines) in [
            ("expected", &self.broken.expected),
            ("observed", &self.broken.observed),
        ] {
            for line in lines {
                writeln!(f, "  {what} {line}")?;
            }
        }
        write!(f, "  {}\n  {}\n", self.file, self.replay)
    }
}

/// A rule that was broken once, and not when the same drill was played again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Flake {
    pub(super) sender: String,
    pub(super) rule: String,
    pub(super) number: u64,
}

impl fmt::Display for Flake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no finding: {} broke {} in number {} once, and not again",
            self.sender, self.rule, self.number
        )
    }
}

/// The name of the file of a finding, without its ending: the rule, the mail server, the traits.
pub(super) fn file_name(rule: &str, sender: &TestedSender, traits: &BTreeSet<String>) -> String {
    let mut name = String::new();
    let words = traits.iter().flat_map(|one| one.split(' '));
    for word in words {
        let word: String = word.chars().filter(char::is_ascii_alphanumeric).collect();
        if name.len() + word.len() > MOST_OF_NAME {
            break;
        }
        name.push('-');
        name.push_str(&word.to_ascii_lowercase());
    }
    let of = sender
        .suffix()
        .map_or_else(String::new, |of| format!("-{of}"));
    format!("{rule}{of}{name}")
}

/// The text of the file of a finding: what was seen, how to see it again, and the drill.
pub(super) fn file_text(
    sender: &TestedSender,
    broken: &BrokenRule,
    drill: &RandomDrill,
    path: &Path,
) -> String {
    let mut lines = vec![
        format!(
            "{} breaks the rule {} ({}, {}).",
            sender.name(),
            broken.rule,
            broken.level,
            broken.cites.join(", ")
        ),
        sender.replay(path),
    ];
    let expected = broken.expected.iter();
    lines.extend(expected.map(|line| format!("expected {line}")));
    let observed = broken.observed.iter();
    lines.extend(observed.map(|line| format!("observed {line}")));
    // A comment ends with its line.
    let comment = lines.iter().fold(String::new(), |text, line| {
        let line = visible(line).replace('\n', " ");
        text + "# " + &line + "\n"
    });
    let drill = match rule(&broken.rule) {
        Some(rule) => drill.text_about(rule),
        None => drill.text(),
    };
    comment + &drill
}

#[cfg(test)]
mod tests {
    use mxdrill::level::Level;

    use super::*;

    fn traits(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn finding(words: &[&str]) -> FuzzFinding {
        FuzzFinding {
            sender: "s".to_owned(),
            broken: BrokenRule {
                rule: "next-candidate".to_owned(),
                level: Level::Should,
                cites: vec!["RFC 5321 section 5.1".to_owned()],
                expected: Vec::new(),
                observed: Vec::new(),
            },
            traits: traits(words),
            exchangers: 2,
            number: 7,
            seen: 1,
            file: String::new(),
            replay: String::new(),
        }
    }

    #[test]
    fn what_has_all_that_a_finding_has_is_the_same_one() {
        let known = finding(&["dot hang", "levels"]);
        let more = traits(&["dot hang", "levels", "greylist"]);
        assert!(known.explains("s", "next-candidate", &more));
        assert!(!known.explains("other", "next-candidate", &more));
        assert!(!known.explains("s", "quits", &more));
        assert!(!known.explains("s", "next-candidate", &traits(&["dot close", "levels"])));
        assert!(!known.explains("s", "next-candidate", &traits(&["dot hang"])));
    }

    #[test]
    fn a_file_is_named_after_rule_and_traits() {
        let sender = TestedSender::Reference { flaw: None };
        let name = |words: &[&str]| file_name("quits", &sender, &traits(words));
        assert_eq!(name(&[]), "quits");
        assert_eq!(
            name(&["dot hang", "8-bit body"]),
            "quits-8bit-body-dot-hang"
        );
        let long: Vec<String> = (0..40).map(|number| format!("trait{number}")).collect();
        let long: Vec<&str> = long.iter().map(String::as_str).collect();
        assert!(name(&long).len() < 100);
    }
}
