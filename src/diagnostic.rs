//! What is wrong in what somebody wrote: in a file with its place, `path:line:column: found, expected`; in a
//! single value without.
//!
//! Every message says what was found and what was expected, and names the nearest allowed value
//! where there is one. The caller decides where it goes.

use std::fmt;

/// A value that cannot be used: what was found, what was expected, and the nearest allowed value.
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
    /// The path of the file, as the user gave it.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What was found and what was expected, in lower case and without a final dot.
    pub message: String,
}

impl Mistake {
    /// A mistake at an offset in octets from the start of a text; past its end it is at the end.
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

/// The mistakes found in a file, in the order of the file; never empty.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Mistakes(pub Vec<Mistake>);

impl Mistakes {
    /// What a TOML error says of a text, at the place of which it speaks.
    pub fn of_toml(path: &str, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        Self(vec![Mistake::at(
            path,
            text,
            at,
            error.message().to_owned(),
        )])
    }

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

/// The allowed value most like what was found, by the number of letters that would have to be
/// changed, left out, put in or exchanged. `None` if more than half of them would.
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

/// The end of a message that proposes the allowed value nearest to what was found; nothing if none is near.
pub fn did_you_mean(near: Option<&str>) -> String {
    near.map_or(String::new(), |near| format!("; did you mean {near:?}?"))
}

/// The message about a word that is not one of the allowed ones, which it lists.
pub fn not_allowed(found: &str, what: &str, allowed: &[&str]) -> String {
    let near = nearest(found, allowed.iter().copied());
    let (hint, all) = (did_you_mean(near), allowed.join(", "));
    if near.is_some() {
        format!("found {found:?}, expected {what}{hint} ({all})")
    } else {
        format!("found {found:?}, expected {what}: {all}")
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
