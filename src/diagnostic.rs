//! What is wrong in what somebody wrote: in a file with its place, `path:line:column: found, expected`; in a
//! single value without.

use std::fmt;

/// A value that cannot be used: what was found, what was expected, and the nearest allowed one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(String);

impl From<String> for Invalid {
    fn from(message: String) -> Self {
        Self(message)
    }
}

impl From<Invalid> for String {
    fn from(invalid: Invalid) -> Self {
        invalid.0
    }
}

/// One mistake in a file that a user wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as the user named it.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what was expected.
    pub message: String,
}

impl Mistake {
    /// A mistake at a byte offset of a text.
    pub fn at(path: &str, text: &str, offset: usize, message: String) -> Self {
        let mut offset = offset.min(text.len());
        while !text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &text[..offset];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            path: path.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}:{}: {}",
            self.path, self.line, self.column, self.message
        )
    }
}

/// Every mistake found in a file, in the order of the file; never empty.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// A mistake of a whole file: it stands at its first character.
    pub fn of_file(path: &str, message: String) -> Self {
        Self(vec![Mistake {
            path: path.to_owned(),
            line: 1,
            column: 1,
            message,
        }])
    }
}

/// The allowed value most like what was found, if any is like it.
pub fn nearest<'a>(found: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let found = found.to_lowercase();
    allowed
        .into_iter()
        .map(|value| {
            (
                strsim::damerau_levenshtein(&found, &value.to_lowercase()),
                value,
            )
        })
        .filter(|(distance, value)| *distance <= value.len().max(found.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, value)| value)
}

/// The sentence for a word that is not one of the allowed ones.
pub fn not_allowed(found: &str, what: &str, allowed: &[&str]) -> String {
    match nearest(found, allowed.iter().copied()) {
        Some(value) => format!(
            "found {found:?}, expected {what}; did you mean {value:?}? ({})",
            allowed.join(", ")
        ),
        None => format!("found {found:?}, expected {what}: {}", allowed.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let mistake = Mistake::at("a.toml", "x\nä = ö", "x\nä = ".len(), "m".into());
        assert_eq!((mistake.line, mistake.column), (2, 5));
    }

    #[test]
    fn the_nearest_value_is_a_likely_slip() {
        assert_eq!(nearest("sumary", ["summary", "cites"]), Some("summary"));
        assert_eq!(nearest("zzz", ["summary", "cites"]), None);
    }
}
