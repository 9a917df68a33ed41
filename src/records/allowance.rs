//! Comments of a zone file that accept findings: `; mxdrill: allow CHECK (reason)`.

use std::{collections::BTreeMap, sync::Arc};

use super::answer::Location;
use crate::name::Domain;

/// What a comment accepts.
#[derive(Debug)]
pub(crate) struct Allowance {
    /// Where the comment stands.
    pub(crate) place: Location,
    /// The line at which the record begins that it is about; `None` behind the last one.
    pub(crate) line: Option<usize>,
    /// What it says.
    pub(crate) says: Result<Allowed, String>,
}

/// What is accepted, and why.
#[derive(Debug)]
pub(crate) struct Allowed {
    /// The ids of checks.
    pub(crate) checks: Vec<String>,
    /// Why; `None` where that is not said.
    pub(crate) reason: Option<String>,
}

impl Allowance {
    /// Whether a place is that of the record.
    pub(crate) fn covers(&self, place: &Location) -> bool {
        Some(place.line) == self.line && place.path == self.place.path
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
        let is_own_line = content.trim_start().starts_with(';');
        let record = match is_own_line {
            true => owners.range(line..).next(),
            // A record may go on over several lines.
            false => owners.range(..=line).next_back(),
        };
        // Several may stand in a line, one behind the other.
        let mut rest = comment;
        while let Some(told) = rest
            .trim_start_matches([' ', '\t', ';'])
            .strip_prefix("mxdrill:")
        {
            let (says, behind) = accepted(told.trim());
            rest = behind;
            found.push(Allowance {
                place: Location {
                    path: Arc::clone(path),
                    line,
                },
                line: record.map(|(line, _)| *line),
                says,
            });
        }
    }
    found
}

/// Reads `allow CHECK (reason)`; gives what stands behind it.
fn accepted(text: &str) -> (Result<Allowed, String>, &str) {
    let word = text.split([' ', '\t', '(']).next().unwrap_or_default();
    if word != "allow" {
        let wrong = format!("found {word:?}, expected ; mxdrill: allow CHECK (reason)");
        return (Err(wrong), "");
    }
    let rest = &text[word.len()..];
    let (ids, reason, behind) = match rest.split_once('(') {
        None => (rest, None, ""),
        Some((ids, inside)) => {
            let end = end_of_reason(inside);
            let reason = inside[..end].trim();
            let behind = inside[end..].strip_prefix(')').unwrap_or_default();
            (
                ids,
                Some(reason).filter(|reason| !reason.is_empty()),
                behind,
            )
        }
    };
    let stray = behind.trim_start_matches([' ', '\t', ';']);
    if !stray.is_empty() && !stray.starts_with("mxdrill:") && behind.trim_start() == stray {
        let wrong =
            format!("found {stray:?} behind the reason, expected ; mxdrill: allow CHECK (reason)");
        return (Err(wrong), "");
    }
    let checks = ids.split([',', ' ', '\t']).filter(|id| !id.is_empty());
    let accepted = Allowed {
        checks: checks.map(str::to_owned).collect(),
        reason: reason.map(str::to_owned),
    };
    (Ok(accepted), behind)
}

/// Where the parenthesis that ends a reason stands: there may be others within.
fn end_of_reason(inside: &str) -> usize {
    let mut open = 1;
    for (at, c) in inside.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at;
        }
    }
    inside.len()
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
            ; mxdrill: allow no-mx\n\n@ TXT ( \"a\"\n\"b\" ) ; mxdrill: allow spf-type (b) ; mxdrill: allow parked (c)\n\
            @ A 192.0.2.1 ; mxdrill: allow parked (d) ; a remark\n@ A 192.0.2.2 ; mxdrill: allow parked (e) too\n\
            ; mxdrill: allow no-mx (f)\n";
        let owner: Domain = "example.test".parse().expect("a name");
        let owners = [1, 2, 5, 7, 8].map(|line| (line, owner.clone())).into();
        let told: Vec<String> = read(&"f".into(), text, &owners)
            .into_iter()
            .map(|one| {
                let (place, line) = (one.place.line, one.line.unwrap_or_default());
                match one.says {
                    Ok(accepted) => {
                        format!("{place} {line} {:?} {:?}", accepted.checks, accepted.reason)
                    }
                    Err(wrong) => format!("{place} {line} {wrong}"),
                }
            })
            .collect();
        assert_eq!(
            told,
            [
                r#"1 1 ["ttl-low", "ttl-high"] Some("a test (really)")"#,
                r#"2 2 found "disallow", expected ; mxdrill: allow CHECK (reason)"#,
                r#"3 5 ["no-mx"] None"#,
                r#"6 5 ["spf-type"] Some("b")"#,
                r#"6 5 ["parked"] Some("c")"#,
                r#"7 7 ["parked"] Some("d")"#,
                r#"8 8 found "too" behind the reason, expected ; mxdrill: allow CHECK (reason)"#,
                r#"9 0 ["no-mx"] Some("f")"#,
            ]
        );
    }
}
