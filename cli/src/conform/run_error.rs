//! What is wrong in a run, as it goes from the process that played it to the matrix.

use serde::{Deserialize, Serialize};

use mxdrill::{
    level::Level,
    verdict::{Finding, Subject},
};

/// A finding of the verdict as it is passed on between processes: the rule is text here, since a
/// name of the table cannot be read back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunError {
    pub(crate) subject: Subject,
    pub(crate) claim: String,
    pub(crate) rule: Option<String>,
    /// The statement that is broken, if the rule is about sessions and notifications and not about routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) statement: Option<u16>,
    pub(crate) level: Level,
    pub(crate) cites: Vec<String>,
    pub(crate) expected: Vec<String>,
    pub(crate) observed: Vec<String>,
    /// What was expected and observed, if each is one thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) difference: Option<Difference>,
}

/// What was expected and observed, without moments: the same in each run that comes to the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Difference {
    pub(crate) expected: String,
    pub(crate) observed: String,
}

impl Difference {
    /// That of a finding; `None` if it has several lines on a side, or none.
    fn of(finding: &Finding) -> Option<Self> {
        if let Some(lists) = &finding.attempts {
            let ([expected], [observed]) = (&lists.expected[..], &lists.observed[..]) else {
                return None;
            };
            return Some(Self {
                expected: format!("{expected:#}"),
                observed: format!("{observed:#}"),
            });
        }
        let ([expected], [observed]) = (&finding.expected[..], &finding.observed[..]) else {
            return None;
        };
        Some(Self {
            expected: expected.clone(),
            observed: observed.clone(),
        })
    }
}

impl RunError {
    /// Whether it counts in a drill that covers these statements: what is said in sessions does only where the drill is
    /// about that.
    pub(crate) fn counts_in(&self, covers: &[u16]) -> bool {
        self.statement.is_none_or(|number| covers.contains(&number))
    }
}

impl From<Finding> for RunError {
    fn from(finding: Finding) -> Self {
        Self {
            difference: Difference::of(&finding),
            statement: finding.statement,
            subject: finding.subject,
            claim: finding.claim,
            rule: finding.rule.map(str::to_owned),
            level: finding.level,
            cites: finding.cites,
            expected: finding.expected,
            observed: finding.observed,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use mxdrill::{
        drill,
        lab::NetworkKind,
        scenario::Scenario,
        sender::Reference,
        verdict::{AttemptLists, Verdict},
    };

    fn verdict(expected: &str) -> Verdict {
        let text = format!(
            "summary = 's'\nzone = \"a.test. MX 0 b.test.\\nb.test. A 192.0.2.1\"\nmessages = [{{ id = 'm', to = 'x@a.test' }}]\n[expect.m]\n{expected}\n"
        );
        let scenario = Arc::new(Scenario::parse("drill", &text).expect("a scenario"));
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
        run.expect("it ran").verdict
    }

    #[test]
    fn a_difference_between_attempts_has_no_moment_and_any_other_is_as_it_is_told() {
        let late = "attempts = [{ host = 'b.test', result = 'refused', at = '5s' }]";
        let mut finding = verdict(late).findings.remove(0);
        assert_eq!(finding.expected, ["b.test refused +5s"]);
        let observed = "b.test accepted [192.0.2.1]".to_owned();
        let expected = "b.test refused".to_owned();
        assert_eq!(
            Difference::of(&finding),
            Some(Difference { expected, observed })
        );
        let twice = finding.attempts.take().map(|lists| AttemptLists {
            expected: [&lists.expected[..], &lists.expected[..]].concat(),
            ..lists
        });
        finding.attempts = twice;
        assert_eq!(Difference::of(&finding), None);
        finding.attempts = None;
        finding.observed = vec!["a +b".to_owned()];
        let told = Difference::of(&finding).map(|difference| difference.observed);
        assert_eq!(told.as_deref(), Some("a +b"));
    }
}
