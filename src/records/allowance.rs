//! Comments of a zone file that accept findings: `; mxdrill: allow CHECK (reason)`.

use std::{collections::BTreeMap, sync::Arc};

use super::answer::Location;
use crate::name::Domain;

/// What a comment accepts.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// Where the comment stands.
    pub(crate) place: Location,
    /// The line at which the record begins that it is about.
    pub(crate) line: usize,
    /// The ids of checks.
    pub(crate) checks: Vec<String>,
    /// Why; `None` where that is not said.
    pub(crate) reason: Option<String>,
}

impl Allowance {
    /// Whether a place is that of the record.
    pub(crate) fn covers(&self, place: &Location) -> bool {
        place.line == self.line && place.path == self.place.path
    }
}

/// The allowances of a file, with the lines at which its records begin and whose they are.
pub(super) fn read(
    path: &Arc<str>,
    text: &str,
    owners: &BTreeMap<usize, Domain>,
) -> Vec<Allowance> {
    let mut found = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let Some(comment) = comment(content) else {
            continue;
        };
        let Some(rest) = comment.trim().strip_prefix("mxdrill:") else {
            continue;
        };
        let Some(rest) = rest.trim().strip_prefix("allow") else {
            continue;
        };
        let is_own_line = content.trim_start().starts_with(';');
        let record = match is_own_line {
            true => owners.range(line..).next(),
            // A record may go on over several lines.
            false => owners.range(..=line).next_back(),
        };
        let (ids, reason) = match rest.split_once('(') {
            Some((ids, reason)) => (
                ids,
                reason.rsplit_once(')').map(|(reason, _)| reason.trim()),
            ),
            None => (rest, None),
        };
        let ids = ids.split([',', ' ']).filter(|id| !id.is_empty());
        found.push(Allowance {
            place: Location {
                path: Arc::clone(path),
                line,
            },
            line: record.map_or(line, |(line, _)| *line),
            checks: ids.map(str::to_owned).collect(),
            reason: reason
                .filter(|reason| !reason.is_empty())
                .map(str::to_owned),
        });
    }
    found
}

/// What stands behind the first semicolon that is in no quotes.
fn comment(line: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, c) in line.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ';' if !is_quoted => return Some(&line[at + 1..]),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allowances_are_told_from_what_is_none() {
        let text = "@ MX 10 mx1 ; mxdrill: allow ttl-low, ttl-high (a test (really))\n\
            @ TXT \"; mxdrill: allow spf-ptr (no)\" ; mxdrill: disallow\n\
            ; mxdrill: allow no-mx\n\n@ TXT ( \"a\"\n\"b\" ) ; mxdrill: allow spf-type (b)\n";
        let owner: Domain = "example.test".parse().expect("a name");
        let owners = [1, 2, 5].map(|line| (line, owner.clone())).into();
        let told: Vec<String> = read(&"f".into(), text, &owners)
            .into_iter()
            .map(|one| {
                format!(
                    "{} {} {:?} {:?}",
                    one.place.line, one.line, one.checks, one.reason
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"1 1 ["ttl-low", "ttl-high"] Some("a test (really)")"#,
                r#"3 5 ["no-mx"] None"#,
                r#"6 5 ["spf-type"] Some("b")"#,
            ]
        );
    }
}
