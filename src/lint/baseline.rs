//! A file of findings that are accepted: what is in it passes, what is not is told, and what is in it and not found any
//! more is told, too.

use std::{collections::BTreeSet, fmt::Write, sync::Arc};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{LintFinding, catalogue::ALLOWANCE_STALE};
use crate::{
    diagnostic::{Mistake, Mistakes},
    name::Domain,
    records::Location,
};

/// Findings that are accepted, each with a reason.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    #[serde(skip)]
    path: Arc<str>,
    #[serde(skip)]
    text: String,
    #[serde(default)]
    finding: Vec<Spanned<Accepted>>,
}

/// One of them: the same check, domain and words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Accepted {
    check: String,
    domain: Domain,
    message: String,
    reason: String,
}

impl Baseline {
    /// Reads a file.
    ///
    /// # Errors
    /// What is wrong in it, and where: a reason that is missing, too.
    pub fn parse(path: &str, text: &str) -> Result<Self, Mistakes> {
        let wrong =
            |at: usize, message: String| Mistakes(vec![Mistake::at(path, text, at, message)]);
        let mut read: Self =
            toml::from_str(text).map_err(|error| Mistakes::of_toml(path, text, &error))?;
        let unfounded = |one: &&Spanned<Accepted>| one.get_ref().reason.trim().is_empty();
        if let Some(one) = read.finding.iter().find(unfounded) {
            let message = "found no reason, expected why the finding is accepted".to_owned();
            return Err(wrong(one.span().start, message));
        }
        read.path = path.into();
        text.clone_into(&mut read.text);
        Ok(read)
    }

    /// Marks the findings that are accepted, and adds one for each entry that meets none, of the domains that were looked at.
    pub fn apply(&self, domains: &[&Domain], findings: &mut Vec<LintFinding>) {
        let mut stale = Vec::new();
        for entry in &self.finding {
            let accepted = entry.get_ref();
            let mut meets = false;
            for finding in findings.iter_mut().filter(|finding| accepted.is(finding)) {
                finding.accepted = Some(accepted.reason.clone());
                meets = true;
            }
            if !meets && domains.contains(&&accepted.domain) {
                let before = &self.text[..entry.span().start.min(self.text.len())];
                stale.push(LintFinding {
                    check: ALLOWANCE_STALE,
                    domain: accepted.domain.clone(),
                    place: Some(Location {
                        path: Arc::clone(&self.path),
                        line: before.matches('\n').count() + 1,
                    }),
                    message: super::plain(&format!(
                        "{} is in the baseline, and is not found any more: {}",
                        accepted.check, accepted.message
                    )),
                    accepted: None,
                });
            }
        }
        findings.append(&mut stale);
    }

    /// A file that accepts these findings, for this reason, or for the one that an earlier file has for it. What is
    /// accepted where the records are is left out.
    pub fn write(findings: &[LintFinding], reason: &str, earlier: Option<&Self>) -> String {
        let mut text =
            "# Findings of mxdrill lint that are accepted, each with a reason.\n".to_owned();
        let known = |finding: &LintFinding| {
            let mut entries = earlier.iter().flat_map(|earlier| &earlier.finding);
            let entry = entries.find(|entry| entry.get_ref().is(finding))?;
            Some(entry.get_ref().reason.clone())
        };
        let open = findings
            .iter()
            .filter_map(|finding| match &finding.accepted {
                Some(_) => Some((finding, known(finding)?)),
                None if finding.check == ALLOWANCE_STALE => None,
                None => Some((finding, reason.to_owned())),
            });
        // What is told of several domains with the same words is one of each.
        let mut written = BTreeSet::new();
        for (finding, reason) in open {
            let accepted = Accepted {
                check: finding.check.id.to_owned(),
                domain: finding.domain.clone(),
                message: finding.message.clone(),
                reason,
            };
            let entry = [
                ("check", accepted.check),
                ("domain", accepted.domain.to_string()),
                ("message", accepted.message),
                ("reason", accepted.reason),
            ]
            // What JSON makes of a text without control characters is a string of TOML, too.
            .map(|(key, value)| format!("{key} = {}\n", serde_json::Value::String(value)));
            let entry = entry.concat();
            if written.insert(entry.clone()) {
                write!(text, "\n[[finding]]\n{entry}").expect("a string takes everything");
            }
        }
        text
    }
}

impl Accepted {
    fn is(&self, finding: &LintFinding) -> bool {
        self.check == finding.check.id
            && self.domain == finding.domain
            && self.message == finding.message
    }
}
