//! Mailboxes as RFC 5321 section 4.1.2 has them: quoted local parts and address literals too, each in one
//! form however it was written, and the paths of MAIL and RCPT around them.
//!
//! Parsing is strict where the grammar is, and mild where real addresses are: underscores in
//! domains, and letters beyond ASCII (RFC 6531), are let through. One form for each mailbox lets a
//! log, an expectation and a command be compared as texts.

use std::{fmt, net::IpAddr, str::FromStr, sync::Arc};

use crate::{diagnostic::Invalid, name::Domain};

/// Octets that a mailbox may have: RFC 5321 section 4.5.3.1.3 gives 256 for a path, its angle
/// brackets included.
const MAX_LENGTH: usize = 256;

/// A mailbox (RFC 5321 section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// The mailbox as it was written, except that the local part has no more quotes and escapes
    /// than it needs, and the domain no final dot: `"alice"@example.test.` is `alice@example.test`.
    pub text: Arc<str>,
    /// What is after the `@`, in lower case: the next hop of mail for it. An address literal keeps
    /// its brackets.
    pub domain: Domain,
}

/// What stands between the angle brackets of MAIL or RCPT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Path {
    /// `<>`, the null reverse-path (RFC 5321 section 4.5.5).
    Null,
    /// A mailbox; a source route before it is passed over (RFC 5321 appendix C).
    Mailbox(Mailbox),
    /// `<postmaster>`, which needs no domain (RFC 5321 section 4.5.1).
    Postmaster,
}

/// What is wrong with a mailbox, as the end of a sentence.
type Wrong = &'static str;

impl FromStr for Mailbox {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Mailbox {
    fn read(text: &str) -> Result<Self, String> {
        let found = |wrong: Wrong| {
            format!("found {text:?}, expected a mailbox such as \"alice@example.test\" ({wrong})")
        };
        let (mailbox, rest) = mailbox(text).map_err(found)?;
        match rest {
            "" => Ok(mailbox),
            _ => Err(found("something follows its domain")),
        }
    }
}

impl Mailbox {
    /// Whether the local part has octets over 127.
    pub(crate) fn needs_smtputf8(&self) -> bool {
        self.text
            .rsplit_once('@')
            .is_some_and(|(local, _)| !local.is_ascii())
    }

    /// The mailbox as it is said in commands: the domain in its form of ASCII, unless the local part has none.
    pub(crate) fn said(&self) -> std::borrow::Cow<'_, str> {
        match self.text.rsplit_once('@') {
            Some((local, domain)) if local.is_ascii() && !domain.is_ascii() => {
                format!("{local}@{}", self.domain).into()
            }
            _ => (&*self.text).into(),
        }
    }

    /// Whether a text names this mailbox, as [`key`] tells them apart.
    pub(crate) fn is(&self, text: &str) -> bool {
        *self.text == *text || key(&self.text) == key(text)
    }
}

/// A mailbox in text as it is told from others: local parts are case-sensitive (RFC 5321 section 2.4),
/// domains are not, and one beyond ASCII is the same as its form in ASCII (RFC 5890 section 2.3.2.1).
pub(crate) fn key(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((local, domain)) if domain.is_ascii() => {
            format!("{local}@{}", domain.to_ascii_lowercase())
        }
        Some((local, domain)) => match domain.parse::<Domain>() {
            Ok(domain) => format!("{local}@{domain}"),
            Err(_) => text.to_owned(),
        },
        None => text.to_owned(),
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Null => "",
            Self::Mailbox(mailbox) => &mailbox.text,
            Self::Postmaster => "postmaster",
        })
    }
}

impl Path {
    /// Reads a path at the start of text; also what follows it. `None` if there is none.
    pub(crate) fn read(text: &str) -> Option<(Self, &str)> {
        let inner = text.strip_prefix('<')?;
        if let Some(rest) = inner.strip_prefix('>') {
            return Some((Self::Null, rest));
        }
        let name = inner.split('>').next()?;
        if name.eq_ignore_ascii_case("postmaster") {
            return Some((Self::Postmaster, inner[name.len()..].strip_prefix('>')?));
        }
        let (mailbox, rest) = mailbox(after_source_route(inner)?).ok()?;
        Some((Self::Mailbox(mailbox), rest.strip_prefix('>')?))
    }
}

/// What follows the source route `@a.test,@b.test:`, which a server must accept and should ignore
/// (RFC 5321 appendix C). `None` if there is a malformed one.
fn after_source_route(text: &str) -> Option<&str> {
    if !text.starts_with('@') {
        return Some(text);
    }
    let (route, rest) = text.split_once(':')?;
    let is_host = |hop: &str| {
        hop.strip_prefix('@')
            .is_some_and(|host| !host.is_empty() && host.chars().all(is_in_domain))
    };
    route.split(',').all(is_host).then_some(rest)
}

/// Reads a mailbox at the start of text; also what follows it.
fn mailbox(text: &str) -> Result<(Mailbox, &str), Wrong> {
    let (local, rest) = local_part(text)?;
    let rest = rest.strip_prefix('@').ok_or(if rest.contains('@') {
        "before its @ there is a character that has to stand within quotes"
    } else {
        "it has no @"
    })?;
    let (written, domain, rest) = if rest.starts_with('[') {
        literal(rest)?
    } else {
        domain(rest)?
    };
    let text = format!("{local}@{written}");
    if text.len() > MAX_LENGTH {
        return Err("it has more than 256 octets");
    }
    let text = text.into();
    Ok((Mailbox { text, domain }, rest))
}

/// Reads a local part; also what follows it.
fn local_part(text: &str) -> Result<(String, &str), Wrong> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (content, rest) = quoted_string(quoted)?;
        return Ok((written(&content), rest));
    }
    let end = text.find(|c| !(is_atext(c) || c == '.'));
    let (local, rest) = text.split_at(end.unwrap_or(text.len()));
    if is_dot_string(local) {
        Ok((local.to_owned(), rest))
    } else {
        Err("its local part is empty, or has a dot or another character out of place")
    }
}

/// Reads a quoted string from behind its first quote: what it stands for, and what follows its end.
/// Escapes are of printable ASCII (RFC 5321 section 4.1.2).
fn quoted_string(text: &str) -> Result<(String, &str), Wrong> {
    let mut content = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((content, &text[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ' '..='~')) => content.push(escaped),
                _ => return Err("it escapes what cannot be escaped"),
            },
            control if control.is_control() => return Err("it has a control character"),
            plain => content.push(plain),
        }
    }
    Err("its quotes are not closed")
}

/// A local part with no more quotes and escapes than it needs (RFC 5321 section 4.1.2).
fn written(content: &str) -> String {
    if is_dot_string(content) {
        return content.to_owned();
    }
    let mut quoted = String::from('"');
    for character in content.chars() {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

/// Whether a text is atoms with dots between them, which need no quotes (RFC 5321 section 4.1.2).
fn is_dot_string(text: &str) -> bool {
    text.split('.')
        .all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// Whether a character may be in an atom: RFC 5322 section 3.2.3, and what RFC 6531 section 3.3
/// adds.
fn is_atext(c: char) -> bool {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => true,
        c if c.is_ascii() => "!#$%&'*+-/=?^_`{|}~".contains(c),
        c => !c.is_control() && !c.is_whitespace(),
    }
}

/// Underscores are no part of host names and found in them all the same.
fn is_in_domain(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "-_.".contains(c)
    } else {
        !c.is_control() && !c.is_whitespace()
    }
}

/// Reads a domain: as written, as a name, and what follows.
fn domain(text: &str) -> Result<(String, Domain, &str), Wrong> {
    let end = text.find(|c| !is_in_domain(c));
    let (written, rest) = text.split_at(end.unwrap_or(text.len()));
    let written = written.strip_suffix('.').unwrap_or(written);
    let domain = written
        .parse()
        .map_err(|_| "what is after its @ is no domain name")?;
    Ok((written.to_owned(), domain, rest))
}

/// Reads an address literal (RFC 5321 section 4.1.3) as [`domain`] does a domain.
fn literal(text: &str) -> Result<(String, Domain, &str), Wrong> {
    const WRONG: Wrong =
        "what is in its brackets is no address, such as [192.0.2.1] or [IPv6:2001:db8::1]";
    let (inner, rest) = text[1..].split_once(']').ok_or(WRONG)?;
    let address = match inner.split_at_checked(5) {
        Some((tag, address)) if tag.eq_ignore_ascii_case("IPv6:") => {
            address.parse().map(IpAddr::V6)
        }
        _ => inner.parse().map(IpAddr::V4),
    }
    .map_err(|_| WRONG)?;
    let written = match address {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    Ok((written, Domain::of_literal(address), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mailbox: &str) -> String {
        let parsed: Mailbox = mailbox.parse().expect("a mailbox");
        parsed.text.to_string()
    }

    #[test]
    fn a_mailbox_has_one_form_however_it_is_written() {
        for (written, form) in [
            ("alice@example.test", "alice@example.test"),
            (r#""alice"@example.test"#, "alice@example.test"),
            (r#""a\l\ice"@example.test"#, "alice@example.test"),
            (r#""a b"@example.test"#, r#""a b"@example.test"#),
            (r#""a\ b"@example.test"#, r#""a b"@example.test"#),
            (r#""a@b"@example.test"#, r#""a@b"@example.test"#),
            (r#""a\"b\\c"@example.test"#, r#""a\"b\\c"@example.test"#),
            (r#""a.b"@example.test"#, "a.b@example.test"),
            (r#""a..b"@example.test"#, r#""a..b"@example.test"#),
            (r#"""@example.test"#, r#"""@example.test"#),
            ("grüße@straße.test", "grüße@straße.test"),
            ("a@example.test.", "a@example.test"),
            ("a+b=c@example.test", "a+b=c@example.test"),
            ("a@[192.0.2.1]", "a@[192.0.2.1]"),
            ("a@[ipv6:2001:DB8:0::1]", "a@[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(text(written), form, "{written}");
            assert_eq!(text(form), form);
        }
    }

    #[test]
    fn what_is_no_mailbox_is_refused() {
        for wrong in [
            "",
            "alice",
            "@example.test",
            "alice@",
            "a b@example.test",
            ".a@example.test",
            "a.@example.test",
            "a..b@example.test",
            "a@b@example.test",
            "a\"b\"@example.test",
            "\"a@example.test",
            "\"a\"b@example.test",
            "\"a\u{1}\"@example.test",
            "a@exam ple.test",
            "a@example..test",
            "a@[192.0.2.256]",
            "a@[2001:db8::1]",
            "a@[IPv6:192.0.2.1]",
            "a@[192.0.2.1",
            "a@[192.0.2.1]x",
            "<a@example.test>",
        ] {
            assert!(wrong.parse::<Mailbox>().is_err(), "{wrong}");
        }
        let long = format!("{}@example.test", "a".repeat(250));
        assert!(long.parse::<Mailbox>().is_err());
    }

    #[test]
    fn an_address_literal_is_an_address_and_no_name() {
        let literal = |text: &str| {
            let parsed: Mailbox = text.parse().expect("a mailbox");
            parsed.domain.literal()
        };
        assert_eq!(literal("a@[192.0.2.1]"), "192.0.2.1".parse().ok());
        assert_eq!(literal("a@[IPv6:2001:db8::1]"), "2001:db8::1".parse().ok());
        assert_eq!(literal("a@example.test"), None);
    }

    #[test]
    fn a_path_is_read_up_to_its_end() {
        let shown = |text| Path::read(text).map(|(path, rest)| (path.to_string(), rest));
        for (text, path, rest) in [
            ("<>", "", ""),
            ("<a@b.test> SIZE=1", "a@b.test", " SIZE=1"),
            ("<Postmaster>", "postmaster", ""),
            ("<@x.test,@y.test:a@b.test>", "a@b.test", ""),
            (r#"<"a>b"@b.test>"#, r#""a>b"@b.test"#, ""),
            ("<a@[192.0.2.1]>", "a@[192.0.2.1]", ""),
        ] {
            assert_eq!(shown(text), Some((path.to_owned(), rest)), "{text}");
        }
        for wrong in [
            "",
            "a@b.test",
            "<a@b.test",
            "<s@>",
            "<a>",
            "< a@b.test>",
            "<a@b.test >",
            "<@x.test:>",
            "<@:a@b.test>",
            "<postmaster",
        ] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
