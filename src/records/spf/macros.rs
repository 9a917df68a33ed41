//! Macro strings of SPF (RFC 7208 section 7): their grammar, and what they expand to.
//!
//! A macro is `%{d2r.}`, say: the value of a letter, split at delimiters, reversed if so asked, cut
//! to its last parts and joined by dots. What the letters stand for is handed in, so that a check
//! without a sender can ask first which it would need.

use std::{fmt, net::IpAddr};

/// A macro string, taken apart once and expanded as often as needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MacroString {
    parts: Vec<Part>,
    /// As it was written, for messages.
    text: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
// The grammar's `macro-string = *( macro-expand / macro-literal )`.
enum Part {
    Literal(String),
    /// `%%`, `%_` and `%-`, and what they stand for.
    Escape(&'static str),
    Macro(Expand),
}

/// `%{` letter, digits, `r`, delimiters `}`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expand {
    letter: MacroLetter,
    /// Whether the letter is a capital: what comes of it is escaped as in a URL.
    is_escaped: bool,
    /// How many parts are kept, those at the end.
    keep: Option<usize>,
    reverse: bool,
    delimiters: String,
}

/// What a macro stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacroLetter {
    // In the order of section 7.2.
    Sender,
    LocalPart,
    SenderDomain,
    /// `d`: the domain whose record is checked now.
    Domain,
    /// `i`: the sender's address, with dots.
    Address,
    /// `p`: the validated name of the address.
    ValidatedName,
    /// `v`: `in-addr` or `ip6`.
    Version,
    /// `h`: the name in HELO or EHLO.
    Helo,
    /// `c`: the sender's address as people read it.
    ReadableAddress,
    /// `r`: the host that receives.
    Receiver,
    /// `t`: the time.
    Now,
}

/// What a macro string is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Usage {
    Names,
    Explanations,
}

/// Why a text is no macro string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// An octet that may not stand there.
    Sign(char),
    /// A `%` that begins nothing.
    Percent,
    /// A macro that only the text of an explanation may have (section 7.2).
    OnlyInExplanations(char),
    /// No part would be kept.
    NoParts,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sign(sign) => write!(f, "{sign:?} may not stand there"),
            Self::Percent => f.write_str("% begins no macro"),
            Self::OnlyInExplanations(letter) => {
                write!(f, "%{{{letter}}} is for the text of an explanation only")
            }
            Self::NoParts => f.write_str("a macro keeps one part or more"),
        }
    }
}

impl MacroString {
    /// Takes a text apart. All of it must be printable ASCII without spaces (section 7.1).
    pub(crate) fn parse(text: &str) -> Result<Self, Unfit> {
        Self::parse_with(text, Usage::Names)
    }

    /// Takes the text of an explanation apart, which may have spaces, and macros that names may not have (section
    /// 6.2).
    pub(crate) fn parse_explanation(text: &str) -> Result<Self, Unfit> {
        Self::parse_with(text, Usage::Explanations)
    }

    fn parse_with(text: &str, usage: Usage) -> Result<Self, Unfit> {
        let is_fit =
            |sign: char| sign.is_ascii_graphic() || (sign == ' ' && usage == Usage::Explanations);
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            if sign != '%' {
                let end = rest.find('%').unwrap_or(rest.len());
                let literal = &rest[..end];
                if let Some(sign) = literal.chars().find(|sign| !is_fit(*sign)) {
                    return Err(Unfit::Sign(sign));
                }
                parts.push(Part::Literal(literal.to_owned()));
                rest = &rest[end..];
                continue;
            }
            let (part, length) = match rest.as_bytes().get(1) {
                Some(b'%') => (Part::Escape("%"), 2),
                Some(b'_') => (Part::Escape(" "), 2),
                Some(b'-') => (Part::Escape("%20"), 2),
                Some(b'{') => {
                    let (inside, _) = rest[2..].split_once('}').ok_or(Unfit::Percent)?;
                    (Part::Macro(Expand::parse(inside, usage)?), inside.len() + 3)
                }
                _ => return Err(Unfit::Percent),
            };
            parts.push(part);
            rest = &rest[length..];
        }
        Ok(Self {
            parts,
            text: text.to_owned(),
        })
    }

    /// As written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it ends in `macro-expand`, which the escapes are too.
    pub(super) fn ends_in_macro(&self) -> bool {
        !matches!(self.parts.last(), None | Some(Part::Literal(_)))
    }

    /// The literal text that it ends in.
    pub(super) fn literal_end(&self) -> &str {
        match self.parts.last() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The macros that it has.
    pub(super) fn letters(&self) -> impl Iterator<Item = MacroLetter> {
        self.parts.iter().filter_map(|part| match part {
            Part::Macro(expand) => Some(expand.letter),
            _ => None,
        })
    }

    /// The text that it stands for, with the values of its macros.
    pub(super) fn expanded(&self, value: impl Fn(MacroLetter) -> String) -> String {
        let parts = self.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Escape(text) => (*text).to_owned(),
            Part::Macro(expand) => expand.of(&value(expand.letter)),
        });
        parts.collect()
    }
}

impl Expand {
    /// Reads what stands between the braces.
    fn parse(inside: &str, usage: Usage) -> Result<Self, Unfit> {
        let sign = inside.chars().next().ok_or(Unfit::Percent)?;
        let letter = match sign.to_ascii_lowercase() {
            's' => MacroLetter::Sender,
            'l' => MacroLetter::LocalPart,
            'o' => MacroLetter::SenderDomain,
            'd' => MacroLetter::Domain,
            'i' => MacroLetter::Address,
            'p' => MacroLetter::ValidatedName,
            'v' => MacroLetter::Version,
            'h' => MacroLetter::Helo,
            'c' | 'r' | 't' if usage == Usage::Names => {
                return Err(Unfit::OnlyInExplanations(sign));
            }
            'c' => MacroLetter::ReadableAddress,
            'r' => MacroLetter::Receiver,
            't' => MacroLetter::Now,
            _ => return Err(Unfit::Percent),
        };
        let rest = &inside[1..];
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let keep = match &rest[..digits] {
            "" => None,
            // More parts than there can be are all of them.
            digits => Some(digits.parse().unwrap_or(usize::MAX)),
        };
        if keep == Some(0) {
            return Err(Unfit::NoParts);
        }
        let rest = &rest[digits..];
        let delimiters = rest.strip_prefix(['r', 'R']);
        let is_delimiter = |c: char| matches!(c, '.' | '-' | '+' | ',' | '/' | '_' | '=');
        let reverse = delimiters.is_some();
        let delimiters = delimiters.unwrap_or(rest);
        if delimiters.chars().all(is_delimiter) {
            Ok(Self {
                letter,
                is_escaped: sign.is_ascii_uppercase(),
                keep,
                reverse,
                delimiters: delimiters.to_owned(),
            })
        } else {
            Err(Unfit::Percent)
        }
    }

    /// The value after splitting, reversing and cutting.
    fn of(&self, value: &str) -> String {
        let delimiters: &[char] = &if self.delimiters.is_empty() {
            vec!['.']
        } else {
            self.delimiters.chars().collect()
        };
        let mut parts: Vec<&str> = value.split(delimiters).collect();
        if self.reverse {
            parts.reverse();
        }
        let first = parts.len().saturating_sub(self.keep.unwrap_or(parts.len()));
        let text = parts[first..].join(".");
        if self.is_escaped {
            escaped(&text)
        } else {
            text
        }
    }
}

/// All but unreserved characters (RFC 3986 section 2.3) as `%XX`.
fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, octet| {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                escaped.push(octet.into());
            }
            _ => escaped.push_str(&format!("%{octet:02X}")),
        }
        escaped
    })
}

/// An address as `%{i}` has it: IPv6 by its hexadecimal digits.
pub(super) fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let digits = address
                .octets()
                .into_iter()
                .flat_map(|octet| [octet >> 4, octet & 0xf]);
            let digits: Vec<String> = digits.map(|digit| format!("{digit:x}")).collect();
            digits.join(".")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of section 7.4.
    #[test]
    fn macros_expand_as_the_rfc_shows() {
        let value = |letter| match letter {
            MacroLetter::Sender => "strong-bad@email.example.com".to_owned(),
            MacroLetter::LocalPart => "strong-bad".to_owned(),
            MacroLetter::SenderDomain | MacroLetter::Domain => "email.example.com".to_owned(),
            MacroLetter::Address => "192.0.2.3".to_owned(),
            MacroLetter::Version => "in-addr".to_owned(),
            _ => "unknown".to_owned(),
        };
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l-}", "strong.bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{S}", "strong-bad%40email.example.com"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("a%%b%_c%-d", "a%b c%20d"),
        ] {
            let parsed = MacroString::parse(text).expect("valid");
            assert_eq!(parsed.expanded(value), expected, "{text}");
        }
        let address = "2001:db8::cb01".parse().expect("an address");
        assert!(dotted(address).starts_with("2.0.0.1.0.d.b.8.0."));
    }
}
