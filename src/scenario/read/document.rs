//! A TOML document with the place of everything in it, and the collecting of mistakes.
//!
//! [`Table`] reads one table: keys outside its list are mistakes, and so are values of another type.
//! A reader that returns `None` for a key that is there has recorded why.
//!
//! Mistakes are kept with their offsets and sorted at the end, so that readers may go through the
//! file in the order that suits them.
//!
//! A reader asks for one key after the other and is handed a value or nothing. Nothing means that the key is not
//! there, or that what is there was wrong and has been told; a reader never has to tell these apart in order to go on.
//! So one pass over a file finds all its mistakes.

use std::{cell::RefCell, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::keys::Row;
use crate::diagnostic::{Mistake, Mistakes, did_you_mean, nearest};

/// The text of a file, and the mistakes found in it so far.
pub(super) struct Document<'a> {
    path: &'a str,
    text: &'a str,
    // Each with its offset, by which they are sorted.
    mistakes: RefCell<Vec<(usize, Mistake)>>,
}

impl<'a> Document<'a> {
    pub(super) fn new(path: &'a str, text: &'a str) -> Self {
        Self {
            path,
            text,
            mistakes: RefCell::default(),
        }
    }

    /// Parses the TOML; `None` if it is not even that.
    pub(super) fn parse(&self) -> Option<Spanned<DeTable<'a>>> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        // TOML that is broken has no tables to read: this mistake is then the only one.
        // What follows the first one is mostly its consequence.
        if let Some(error) = errors.first() {
            let offset = error.span().map_or(0, |span| span.start);
            self.mistake(offset, error.message().replace('\n', "; "));
        }
        errors.is_empty().then_some(table)
    }

    pub(super) fn path(&self) -> &'a str {
        self.path
    }

    /// Records a mistake at an offset of the text.
    pub(super) fn mistake(&self, offset: usize, message: impl Into<String>) {
        self.mistakes.borrow_mut().push((
            offset,
            Mistake::at(self.path, self.text, offset, message.into()),
        ));
    }

    /// Records a mistake in another file; those come last.
    pub(super) fn mistake_elsewhere(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push((usize::MAX, mistake));
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.borrow().is_empty()
    }

    /// The mistakes in the order of the file, each once: a value that is read twice is wrong twice.
    pub(super) fn into_mistakes(self) -> Mistakes {
        let mut mistakes = self.mistakes.into_inner();
        mistakes.sort_by_key(|(offset, _)| *offset);
        mistakes.dedup_by(|a, b| a.1 == b.1);
        Mistakes(mistakes.into_iter().map(|(_, mistake)| mistake).collect())
    }

    /// Where in the text each octet of a string's value stands, and its end, so that a mistake
    /// within a zone of many lines has its own line.
    pub(super) fn places(&self, span: &Range<usize>, value: &str) -> Vec<usize> {
        string_places(&self.text[span.clone()], value)
            .into_iter()
            .map(|offset| span.start + offset)
            .collect()
    }
}

/// For each octet of a decoded TOML string (and its end), its offset in the raw text of the string.
fn string_places(raw: &str, value: &str) -> Vec<usize> {
    // Four kinds of strings: basic and literal ones, of one line or of several.
    let (quote, literal) = match raw.get(..3) {
        Some("\"\"\"") => (3, false),
        Some("'''") => (3, true),
        _ => (1, raw.starts_with('\'')),
    };
    let bytes = raw.as_bytes();
    let mut at = quote;
    if quote == 3 {
        // A newline right after the opening quotes is no part of the value.
        at += match bytes.get(at..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([b'\n', ..]) => 1,
            _ => 0,
        };
    }
    let mut places = Vec::with_capacity(value.len() + 1);
    for character in value.chars() {
        if !literal && bytes.get(at) == Some(&b'\\') {
            at = skip_line_ending_escape(bytes, at);
        }
        let start = at;
        at += match bytes.get(at) {
            Some(b'\\') if !literal => escape_length(bytes, at),
            // TOML reads CR LF as one newline.
            Some(b'\r') if character == '\n' => 2,
            _ => character.len_utf8(),
        };
        places.extend(std::iter::repeat_n(
            start.min(raw.len()),
            character.len_utf8(),
        ));
    }
    places.push(at.min(raw.len()));
    places
}

/// Skips `\` newline and the white space after it, which stand for nothing.
fn skip_line_ending_escape(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at) == Some(&b'\\') {
        let blank = bytes[at + 1..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        if !bytes[at + 1..at + 1 + blank].contains(&b'\n') {
            break;
        }
        at += 1 + blank;
    }
    at
}

/// How many octets an escape takes: `\xHH`, `\uHHHH`, `\UHHHHHHHH`, or a backslash and one
/// character.
fn escape_length(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at + 1) {
        Some(b'x') => 4,
        Some(b'u') => 6,
        Some(b'U') => 10,
        _ => 2,
    }
}

/// A value and where it stands.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) span: Range<usize>,
}

/// One table of a document, read key by key; what a key may hold is the reader's concern.
pub(super) struct Table<'d, 'a> {
    doc: &'d Document<'a>,
    table: &'d DeTable<'a>,
    span: Range<usize>,
    what: &'static str,
    /// Whether it has a key that it may not have, which may stand for one that is missing.
    has_unknown: bool,
}

impl<'d, 'a> Table<'d, 'a> {
    /// Opens a table; keys outside `known` are mistakes.
    pub(super) fn open(
        doc: &'d Document<'a>,
        table: &'d DeTable<'a>,
        span: Range<usize>,
        what: &'static str,
        known: &[&str],
    ) -> Self {
        let mut has_unknown = false;
        for key in table.keys() {
            // Keys are compared as they read, whatever quotes they were written with.
            let name: &str = key.get_ref();
            if !known.contains(&name) {
                has_unknown = true;
                let hint = did_you_mean(nearest(name, known.iter().copied()));
                doc.mistake(
                    key.span().start,
                    format!(
                        "found key {name:?}, expected a key of {what}{hint} ({})",
                        known.join(", ")
                    ),
                );
            }
        }
        Self {
            doc,
            table,
            span,
            what,
            has_unknown,
        }
    }

    /// Opens a document that is a table of a kind.
    pub(super) fn whole(doc: &'d Document<'a>, table: &'d DeTable<'a>, row: &Row) -> Self {
        Self::open(doc, table, 0..0, row.what, &row.names())
    }

    /// Opens the table of a kind that a value is.
    pub(super) fn of_row(
        doc: &'d Document<'a>,
        value: &'d Spanned<DeValue<'a>>,
        row: &Row,
    ) -> Option<Self> {
        Self::of_value(doc, value, row.what, &row.names())
    }

    /// Opens the table that a value is.
    pub(super) fn of_value(
        doc: &'d Document<'a>,
        value: &'d Spanned<DeValue<'a>>,
        what: &'static str,
        known: &[&str],
    ) -> Option<Self> {
        match value.get_ref().as_table() {
            Some(table) => Some(Self::open(doc, table, value.span(), what, known)),
            None => {
                doc.mistake(
                    value.span().start,
                    format!(
                        "found {}, expected {what} (a table)",
                        describe(value.get_ref())
                    ),
                );
                None
            }
        }
    }

    pub(super) fn doc(&self) -> &'d Document<'a> {
        self.doc
    }

    pub(super) fn get(&self, key: &str) -> Option<&'d Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// Where a key stands, for mistakes about it.
    pub(super) fn key_offset(&self, key: &str) -> usize {
        self.table
            .get_key_value(key)
            .map_or(self.span.start, |(key, _)| key.span().start)
    }

    /// Records that a key is missing, unless another one is too many: that is reported already.
    ///
    /// A key that is misspelt would else be reported twice: as one that is not known and as one that is
    /// missing.
    pub(super) fn missing(&self, key: &str, expected: &str) {
        if self.has_unknown {
            return;
        }
        self.doc.mistake(
            self.span.start,
            format!("found {} without {key:?}, expected {expected}", self.what),
        );
    }

    /// The value of a key, if it is of a type; another type is a mistake.
    fn typed<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'d DeValue<'a>) -> Option<T>,
    ) -> Option<Located<T>> {
        let value = self.get(key)?;
        let span = value.span();
        match read(value.get_ref()) {
            Some(value) => Some(Located { value, span }),
            None => {
                self.doc.mistake(
                    span.start,
                    format!(
                        "found {}, expected {key} to be {expected}",
                        describe(value.get_ref())
                    ),
                );
                None
            }
        }
    }

    /// A string.
    pub(super) fn text(&self, key: &str) -> Option<Located<&'d str>> {
        self.typed(key, "a string", DeValue::as_str)
    }

    /// A boolean.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        self.typed(key, "true or false", DeValue::as_bool)
            .map(|placed| placed.value)
    }

    /// A whole number from 0 to `max`.
    pub(super) fn number(&self, key: &str, max: u64) -> Option<u64> {
        let value = self.get(key)?;
        whole_number(self.doc, value, key, max)
    }

    /// A string that `read` understands; its error is the mistake.
    pub(super) fn parsed<T, E: Into<String>>(
        &self,
        key: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = self.text(key)?;
        read(text.value)
            .map_err(|message| self.doc.mistake(text.span.start, message))
            .ok()
    }

    /// The elements of an array.
    pub(super) fn array(&self, key: &str) -> Vec<&'d Spanned<DeValue<'a>>> {
        self.typed(key, "an array", DeValue::as_array)
            .map(|array| array.value.iter().collect())
            .unwrap_or_default()
    }

    /// Strings, each understood by `read`: an array of them.
    pub(super) fn parsed_array<T, E: Into<String>>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        self.array(key)
            .into_iter()
            .filter_map(|value| self.parse_element(key, value, &read))
            .collect()
    }

    /// Strings, each understood by `read`: one alone, or an array of them.
    pub(super) fn parsed_one_or_many<T, E: Into<String>>(
        &self,
        key: &str,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<Located<T>> {
        let Some(value) = self.get(key) else {
            return Vec::new();
        };
        let elements: Vec<_> = match value.get_ref().as_array() {
            Some(array) => array.iter().collect(),
            None => vec![value],
        };
        elements
            .into_iter()
            .filter_map(|value| {
                self.parse_element(key, value, &read).map(|parsed| Located {
                    value: parsed,
                    span: value.span(),
                })
            })
            .collect()
    }

    /// One string of an array, as `read` understands it.
    fn parse_element<T, E: Into<String>>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'a>>,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Some(text) = value.get_ref().as_str() else {
            self.doc.mistake(
                value.span().start,
                format!(
                    "found {}, expected {key} to hold strings",
                    describe(value.get_ref())
                ),
            );
            return None;
        };
        read(text)
            .map_err(|message| self.doc.mistake(value.span().start, message))
            .ok()
    }
}

/// A value that must be a whole number from 0 to `max`.
pub(super) fn whole_number(
    doc: &Document<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &str,
    max: u64,
) -> Option<u64> {
    // A number with a sign or of another size than fits is none from 0 to `max`, and is told as it is written.
    let integer = value.get_ref().as_integer();
    let number =
        integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
    let number = number.filter(|number| *number <= max);
    if number.is_none() {
        doc.mistake(
            value.span().start,
            format!(
                "found {}, expected {key} to be a whole number from 0 to {max}",
                describe(value.get_ref())
            ),
        );
    }
    number
}

/// What a value is, in a mistake. A long string is not repeated.
pub(super) fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 60 => format!("the string {text:?}"),
        DeValue::Integer(integer) => format!("the number {}", integer.as_str()),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a value of type {}", other.type_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_escapes_and_line_endings() {
        let check = |raw: &str, value: &str, octet: usize, place: usize| {
            assert_eq!(string_places(raw, value)[octet], place, "{raw:?}");
        };
        check("\"\"\"\nab\ncd\"\"\"", "ab\ncd", 3, 7);
        check("\"\"\"\r\nab\r\ncd\"\"\"", "ab\ncd", 3, 9);
        check("\"\"\"a\\\n   b\"\"\"", "ab", 1, 9);
        check("\"a\\u0041b\"", "aAb", 2, 8);
        check("'a\\b'", "a\\b", 2, 3);
        check("\"a\\\"b\"", "a\"b", 2, 4);
        check("\"\"\"\n\nab\"\"\"", "\nab", 1, 5);
    }
}
