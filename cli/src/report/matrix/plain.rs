//! Text of foreign origin in Markdown, as GitHub reads it: it stays text, in its place.
//!
//! Names, versions and settings come from adapters and from what servers print. In a page none of
//! it may become a heading, a link or an element.

use std::fmt::Write;

use mxdrill::visible::visible;

/// A text in which nothing is markup: no element, no link, no end of a cell or of a line.
pub(crate) fn escaped(text: &str) -> String {
    let shown = visible(text);
    let shown: Vec<char> = shown.trim_start().chars().collect();
    let mut escaped = String::with_capacity(shown.len() + 8);
    for (index, c) in shown.iter().enumerate() {
        let before = &shown[..index];
        let after = &shown[index + 1..];
        if *c == '\n' || *c == '\t' {
            escaped.push(' ');
            continue;
        }
        if is_markup(*c, before, after) {
            escaped.push('\\');
        }
        escaped.push(*c);
    }
    escaped
}

/// Whether a character between others means more than itself.
fn is_markup(c: char, before: &[char], after: &[char]) -> bool {
    let is_in_word = |side: Option<&char>| side.is_some_and(|c| c.is_alphanumeric());
    match c {
        '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' | '&' | '$' => true,
        '_' => !(is_in_word(before.last()) && is_in_word(after.first())),
        // What begins a heading or a list, at the beginning of a line.
        '#' | '+' | '-' | '=' => before.is_empty(),
        ')' => begins_a_list(before, after),
        // So does a number. And a bare address of the web becomes a link.
        '.' => begins_a_list(before, after) || ends_in_www(before),
        ':' => after.starts_with(&['/', '/']),
        _ => false,
    }
}

/// Whether a number before it stands alone at the beginning of a line: a list would begin there.
fn begins_a_list(before: &[char], after: &[char]) -> bool {
    let is_number = !before.is_empty() && before.iter().all(char::is_ascii_digit);
    is_number && after.first().is_none_or(|c| c.is_whitespace())
}

fn ends_in_www(text: &[char]) -> bool {
    let last = text.iter().rev().take(3);
    last.clone().count() == 3 && last.into_iter().all(|c| c.eq_ignore_ascii_case(&'w'))
}

/// A path in the place of a link's destination.
pub(crate) fn path(path: &str) -> String {
    percent(path, "-._~/")
}

/// A web address there, which an adapter's is known to be.
pub(crate) fn address(address: &str) -> String {
    percent(address, "-._~/:?#&=%+,;@!'")
}

/// Octets other than letters, digits and the plain ones as `%XX`.
fn percent(text: &str, plain: &str) -> String {
    text.bytes().fold(String::new(), |mut out, octet| {
        if octet.is_ascii_alphanumeric() || plain.as_bytes().contains(&octet) {
            out.push(char::from(octet));
        } else {
            write!(out, "%{octet:02X}").expect("a string takes it all")
        }
        out
    })
}

/// The name by which a heading is linked to.
pub(crate) fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// A script as a block of code, whose end no line of the script is.
pub(crate) fn script(text: &str) -> String {
    let text = visible(text.trim());
    let runs = text.split(|c| c != '`').map(str::len);
    let fence = "`".repeat(runs.max().unwrap_or(0).max(2) + 1);
    format!("{fence}sh\n{text}\n{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_markup_is_left_as_it_is() {
        for plain in [
            "",
            "status of message m1: 5.1.2 instead of 5.4.6 (a.b_c@example.test)",
            "1.11-2+b2",
            "self = freeze (hosts_avoid_tls), TLS: \"none\"; #1!",
            "grüße",
        ] {
            assert_eq!(escaped(plain), plain);
        }
    }

    #[test]
    fn what_is_markup_is_escaped() {
        for (text, wanted) in [
            ("a|b<i>&amp;", "a\\|b\\<i\\>\\&amp;"),
            (
                "[a](b) `c` *d* ~e~ $f$ \\",
                "\\[a\\](b) \\`c\\` \\*d\\* \\~e\\~ \\$f\\$ \\\\",
            ),
            ("_a_ b_c", "\\_a\\_ b_c"),
            ("a\n# b\tc", "a # b c"),
            ("# a", "\\# a"),
            ("    - a", "\\- a"),
            ("12. a", "12\\. a"),
            ("1) a", "1\\) a"),
            ("see https://a.test", "see https\\://a.test"),
            ("see wWw.a.test", "see wWw\\.a.test"),
            ("a\rb\u{202e}", "a\\\\u{d}b\\\\u{202e}"),
        ] {
            assert_eq!(escaped(text), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_destination_ends_where_it_is_to_end() {
        assert_eq!(path("my drills/a).toml"), "my%20drills/a%29.toml");
        assert_eq!(
            address("https://a.test/b(c)?d=%20"),
            "https://a.test/b%28c%29?d=%20"
        );
        assert_eq!(anchor("My server (2)"), "my-server-2");
    }

    #[test]
    fn no_line_of_a_script_ends_its_block() {
        assert_eq!(script(" a\n"), "```sh\na\n```");
        assert_eq!(script("````\n<b>"), "`````sh\n````\n<b>\n`````");
    }
}
