//! TOML as it is written: tables, arrays and strings, with no more quotes and lines than they need.
//!
//! Values are text by the time that they come here: each function returns what stands behind the `=`.
//!
//! A string of one line is a basic string, with escapes; text of several lines is a literal one where it can be, so
//! that zone-file text keeps its own quotes and backslashes and a reader finds the line that a mistake names. A key is
//! bare where TOML lets it be.

use std::{fmt::Display, time::Duration};

use crate::time::{HumanDuration, Moment};

/// The keys of a table with their values, in order.
#[derive(Default)]
pub(super) struct TomlTable(Vec<(String, String)>);

impl TomlTable {
    pub(super) fn put(&mut self, key: &str, value: String) {
        self.0.push((key.to_owned(), value));
    }

    pub(super) fn put_some(&mut self, key: &str, value: Option<String>) {
        self.0.extend(value.map(|value| (key.to_owned(), value)));
    }

    /// Whether it has no key at all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As an inline table.
    pub(super) fn inline(&self) -> String {
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(key, value)| format!("{key} = {value}"))
            .collect();
        if pairs.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{ {} }}", pairs.join(", "))
        }
    }

    /// As an inline table; where there is one key only, its value alone.
    pub(super) fn alone_or_inline(&self) -> String {
        match &self.0[..] {
            [(_, value)] => value.clone(),
            _ => self.inline(),
        }
    }

    /// As lines below a table's heading.
    pub(super) fn lines(&self) -> String {
        let lines = self
            .0
            .iter()
            .map(|(key, value)| format!("{key} = {value}\n"));
        lines.collect()
    }
}

/// A string for one value, an array for several, nothing for none.
pub(super) fn one_or_many(values: &[String]) -> Option<String> {
    match values {
        [] => None,
        [one] => Some(string(one)),
        many => Some(array(many.iter().map(string))),
    }
}

pub(super) fn array(values: impl Iterator<Item = String>) -> String {
    let values: Vec<String> = values.collect();
    format!("[{}]", values.join(", "))
}

/// An array with a line for each value.
pub(super) fn array_of_lines(values: impl Iterator<Item = String>) -> String {
    let lines: String = values.map(|value| format!("  {value},\n")).collect();
    if lines.is_empty() {
        "[]".to_owned()
    } else {
        format!("[\n{lines}]")
    }
}

/// An array of tables; `None` if there is none.
pub(super) fn rows<T>(rows: &[T], keys: impl Fn(&T) -> TomlTable) -> Option<String> {
    let lines = rows.iter().map(|row| keys(row).inline());
    (!rows.is_empty()).then(|| array_of_lines(lines))
}

/// A key, in quotes where it has signs that a bare one may not have.
pub(super) fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !text.is_empty() && text.chars().all(is_bare) {
        text.to_owned()
    } else {
        string(text)
    }
}

/// A string of one line, with the escapes that it needs.
pub(super) fn string(text: impl Display) -> String {
    format!("\"{}\"", escaped(&text.to_string()))
}

/// Text of several lines. As it is where that can be told from the end of the string, since zone-file
/// text has quotes and backslashes of its own.
pub(super) fn lines(text: &str) -> String {
    let is_plain = |c: char| c == '\n' || c == '\t' || !c.is_control();
    if text.contains("'''") || text.ends_with('\'') || !text.chars().all(is_plain) {
        string(text)
    } else {
        format!("'''\n{text}'''")
    }
}

/// Quotes, backslashes and controls as TOML writes them in a basic string; all else stands for itself.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '"' | '\\' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => escaped.push(c),
        }
    }
    escaped
}

pub(super) fn moment(moment: Moment) -> String {
    duration(moment.0)
}

pub(super) fn duration(duration: Duration) -> String {
    string(HumanDuration(duration))
}
