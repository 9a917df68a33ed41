//! Text of foreign origin, shown so that it does nothing to a terminal and hides nothing from a reader.
//!
//! Replies, records and names come from others. Printed as they are, they could move a cursor, hide
//! what stands before them, or turn a line around.

use std::{borrow::Cow, fmt::Write};

/// Characters that move a cursor, change colours or turn text around: controls of ASCII and Latin-1, line
/// separators, and those of bidirectional text.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// Text with what is active in it shown as `\u{...}`; line ends and tabs stay.
pub fn visible(text: &str) -> Cow<'_, str> {
    let escapes = |c: char| is_active(c) && !matches!(c, '\n' | '\t');
    shown(text, escapes, |shown, c| {
        write!(shown, "{}", c.escape_unicode())
    })
}

/// JSON in which nothing is active: what serde leaves as it is in strings is escaped there.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    let escapes = |c: char| is_active(c) && !matches!(c, '\n' | '\r' | '\t');
    // All of them are in the basic plane.
    shown(json, escapes, |shown, c| {
        write!(shown, "\\u{:04x}", u32::from(c))
    })
}

/// A text with some of its characters escaped; the text itself if it has none of them.
fn shown(
    text: &str,
    escapes: impl Fn(char) -> bool,
    escape: impl Fn(&mut String, char) -> std::fmt::Result,
) -> Cow<'_, str> {
    if !text.contains(&escapes) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if escapes(c) {
            escape(&mut shown, c).expect("a string takes it all");
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_active_is_shown_and_the_rest_is_left() {
        for plain in ["", "grüße\tan\nalle", "ünï ← → שלום"] {
            assert!(matches!(visible(plain), Cow::Borrowed(_)), "{plain:?}");
        }
        assert_eq!(
            visible("a\u{1b}[31mb\r\u{9b}2Jc\u{202e}d\u{7f}"),
            "a\\u{1b}[31mb\\u{d}\\u{9b}2Jc\\u{202e}d\\u{7f}"
        );
    }

    #[test]
    fn json_stays_what_it_says() {
        let text = "a\u{85}b\u{202e}\u{7f}\u{1b}";
        let json = serde_json::to_string(text).expect("written");
        let shown = visible_json(&json);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).expect("read"), text);
    }
}
