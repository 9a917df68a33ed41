//! Zone-file text into entries: comments dropped, parentheses joining lines, quoted strings whole.
//!
//! An entry is a line, or several that parentheses join. Its tokens are ranges of the text, so that
//! every mistake has its place; what they stand for is decided in `words`.

use std::ops::Range;

use crate::diagnostic::Mistake;

/// A mistake at a byte offset of the zone text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneMistake {
    /// The offset in octets from the start of the text.
    pub(crate) offset: usize,
    /// What was found and what was expected.
    pub(crate) message: String,
    /// Where it is, if in a file that the text includes; the offset is that of the `$INCLUDE`.
    pub(crate) elsewhere: Option<Mistake>,
}

/// Mistakes that are told of one text; nobody mends more at a time.
pub(super) const MAX_MISTAKES: usize = 100;

/// Words that an entry may have: no record has room for more.
const MAX_TOKENS: usize = 70_000;

/// One entry: its tokens, and whether it starts with white space (the owner is the last one).
#[derive(Default)]
pub(super) struct ZoneEntry {
    /// Whether white space stands before the first token.
    pub(super) inherits_owner: bool,
    /// The places of its words, one at least; quoted strings with their quotes.
    pub(super) tokens: Vec<Range<usize>>,
}

impl ZoneEntry {
    /// The offset behind its last word.
    pub(super) fn end(&self) -> usize {
        self.tokens.last().map_or(0, |range| range.end)
    }
}

/// The entries of a text, one after the other.
pub(super) struct Entries<'a> {
    bytes: &'a [u8],
    /// The indentation that all lines share.
    indent: usize,
    /// How far the text was read.
    index: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        Self {
            bytes: text.as_bytes(),
            indent: shared_indent(text),
            index: 0,
        }
    }

    /// Reads the next entry into the place of the last one; whether there is one. What is wrong before it is
    /// added to the mistakes.
    pub(super) fn next(&mut self, entry: &mut ZoneEntry, mistakes: &mut Vec<ZoneMistake>) -> bool {
        let bytes = self.bytes;
        entry.tokens.clear();
        let mut open: Option<usize> = None;
        let mut wrong = |offset, message: &str| {
            mistakes.push(ZoneMistake {
                offset,
                message: message.to_owned(),
                elsewhere: None,
            });
            mistakes.len() >= MAX_MISTAKES
        };
        while let Some(byte) = bytes.get(self.index) {
            let start = self.index;
            self.index += 1;
            match byte {
                b'\n' if open.is_none() && !entry.tokens.is_empty() => return true,
                b'\n' | b' ' | b'\t' | b'\r' => {}
                b';' => {
                    let rest = &bytes[self.index..];
                    self.index += rest.iter().take_while(|byte| **byte != b'\n').count();
                }
                b'(' => {
                    open.get_or_insert(start);
                }
                b')' => {
                    if open.take().is_none() && wrong(start, "found ')' without a '(' before it") {
                        return false;
                    }
                }
                _ => {
                    let end = match byte {
                        b'"' => quoted_end(bytes, start),
                        _ => Some(word_end(bytes, start)),
                    };
                    let Some(end) = end else {
                        wrong(
                            start,
                            "found a quoted string without an end, expected '\"' on the same line",
                        );
                        // What follows cannot be told apart.
                        return false;
                    };
                    if entry.tokens.is_empty() {
                        entry.inherits_owner = starts_blank(bytes, start, self.indent);
                    }
                    if entry.tokens.len() >= MAX_TOKENS {
                        let message =
                            "found more words than a record has room for, expected its end";
                        wrong(start, message);
                        // What follows cannot be told apart.
                        return false;
                    }
                    entry.tokens.push(start..end);
                    self.index = end;
                }
            }
        }
        match open {
            Some(offset) => {
                wrong(offset, "found '(' without a ')' after it");
                false
            }
            None => !entry.tokens.is_empty(),
        }
    }
}

/// Whether white space stands before this offset on its line, beyond the indentation of all lines.
// A scenario's zone is indented in its file as a whole, which must not make every owner the last
// one.
fn starts_blank(bytes: &[u8], offset: usize, indent: usize) -> bool {
    let line = bytes[..offset]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    offset - line > indent
}

/// The indentation that all lines share, as text in source code has it; it means nothing.
fn shared_indent(text: &str) -> usize {
    let mut least = None;
    for line in text.lines() {
        let written = line.trim_start();
        let indent = line.len() - written.len();
        match written {
            "" => {}
            // Most files have a line that begins at its margin, and soon.
            _ if indent == 0 => return 0,
            _ => least = Some(least.map_or(indent, |least: usize| least.min(indent))),
        }
    }
    least.unwrap_or(0)
}

/// The offset behind a quoted string; `None` if it does not end on its line.
fn quoted_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut index = start + 1;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b'"' => return Some(index + 1),
            b'\n' => return None,
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    None
}

/// The offset behind a word that stands without quotes.
fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut index = start;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
            // The next octet is no end; of a longer character it is the first one.
            b'\\' => index += 2,
            _ => index += 1,
        }
    }
    index.min(bytes.len())
}
