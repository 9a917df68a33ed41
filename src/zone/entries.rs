//! Zone-file text into entries: comments dropped, parentheses joining lines, quoted strings whole.

use std::ops::Range;

/// A mistake at a byte offset of the zone text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZoneMistake {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

/// Mistakes that are told of one text.
pub(super) const MAX_MISTAKES: usize = 100;

/// One entry: its tokens, and whether it starts with white space (the owner is the last one).
pub(super) struct Entry {
    pub(super) inherits_owner: bool,
    pub(super) tokens: Vec<Range<usize>>,
}

/// Splits text into entries: comments dropped, parentheses joining lines, quoted strings whole.
pub(super) fn entries(text: &str, mistakes: &mut Vec<ZoneMistake>) -> Vec<Entry> {
    let bytes = text.as_bytes();
    let indent = shared_indent(text);
    let mut entries = Vec::new();
    let mut entry = Entry {
        inherits_owner: false,
        tokens: Vec::new(),
    };
    let mut open: Option<usize> = None;
    let mut index = 0;
    while index < bytes.len() && mistakes.len() < MAX_MISTAKES {
        match bytes[index] {
            b'\n' => {
                if open.is_none() && !entry.tokens.is_empty() {
                    entries.push(std::mem::replace(
                        &mut entry,
                        Entry {
                            inherits_owner: false,
                            tokens: Vec::new(),
                        },
                    ));
                }
                index += 1;
            }
            b' ' | b'\t' | b'\r' => index += 1,
            b';' => {
                index += bytes[index..]
                    .iter()
                    .take_while(|byte| **byte != b'\n')
                    .count()
            }
            b'(' => {
                open.get_or_insert(index);
                index += 1;
            }
            b')' => {
                if open.take().is_none() {
                    mistakes.push(ZoneMistake {
                        offset: index,
                        message: "found ')' without a '(' before it".to_owned(),
                    });
                }
                index += 1;
            }
            byte => {
                let end = if byte == b'"' {
                    quoted_end(bytes, index)
                } else {
                    Some(word_end(bytes, index))
                };
                let Some(end) = end else {
                    mistakes.push(ZoneMistake {
                        offset: index,
                        message:
                            "found a quoted string without an end, expected '\"' on the same line"
                                .to_owned(),
                    });
                    break;
                };
                if entry.tokens.is_empty() {
                    entry.inherits_owner = starts_blank(bytes, index, indent);
                }
                entry.tokens.push(index..end);
                index = end;
            }
        }
    }
    match open {
        Some(offset) => mistakes.push(ZoneMistake {
            offset,
            message: "found '(' without a ')' after it".to_owned(),
        }),
        None if !entry.tokens.is_empty() => entries.push(entry),
        None => {}
    }
    entries
}

/// Whether white space stands before this offset on its line, beyond the indentation of all lines.
fn starts_blank(bytes: &[u8], offset: usize, indent: usize) -> bool {
    let line = bytes[..offset]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |newline| newline + 1);
    offset - line > indent
}

/// The indentation that all lines share, as text in source code has it; it means nothing.
fn shared_indent(text: &str) -> usize {
    let lines = text.lines().filter(|line| !line.trim_start().is_empty());
    lines
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0)
}

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

fn word_end(bytes: &[u8], start: usize) -> usize {
    let mut index = start;
    while let Some(byte) = bytes.get(index) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | b';' | b'(' | b')' | b'"' => break,
            // An escape of one octet; what follows may be the first octet of a longer character.
            b'\\' if bytes.get(index + 1).is_some_and(u8::is_ascii) => index += 2,
            _ => index += 1,
        }
    }
    index.min(bytes.len())
}
