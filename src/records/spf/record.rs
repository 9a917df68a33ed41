//! An SPF record as its grammar has it (RFC 7208 section 12): terms, or the first one that is none.
//!
//! The grammar is kept to the letter: receivers differ in what they let pass, and a record has to
//! work with the strictest. Unknown modifiers are checked for their syntax and otherwise ignored (section 6).

use std::{
    fmt,
    net::{Ipv4Addr, Ipv6Addr},
};

use super::macros::{MacroString, Unfit};

/// A record: a syntax error anywhere makes all of it void (section 4.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Record {
    /// In their order, which is that of the check.
    pub(crate) directives: Vec<Directive>,
    /// Where the check goes on if no directive matches (section 6.1).
    pub(crate) redirect: Option<MacroString>,
    /// Where the text for senders that fail stands (section 6.2).
    pub(crate) explanation: Option<MacroString>,
}

/// A mechanism, and the result that its match brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directive {
    pub(crate) qualifier: Qualifier,
    pub(crate) mechanism: Mechanism,
    /// As written.
    pub(crate) text: String,
}

/// What a match means (section 4.6.2); without a sign it is a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Qualifier {
    Pass,
    Fail,
    SoftFail,
    Neutral,
}

/// What a sender is compared with (section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mechanism {
    All,
    Include(MacroString),
    A(Option<MacroString>, Lengths),
    Mx(Option<MacroString>, Lengths),
    Ptr(Option<MacroString>),
    Ip4(Ipv4Addr, u8),
    Ip6(Ipv6Addr, u8),
    Exists(MacroString),
}

impl Mechanism {
    /// Whether it is one of the ten that may cause lookups (section 4.6.4).
    pub(super) fn asks(&self) -> bool {
        !matches!(self, Self::All | Self::Ip4(..) | Self::Ip6(..))
    }
}

/// How many bits of an address have to be the same; all of them by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lengths {
    pub(crate) ipv4: u8,
    pub(crate) ipv6: u8,
}

/// The term that makes a record invalid, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadTerm {
    /// The term as it is written.
    pub(crate) term: String,
    why: String,
}

impl fmt::Display for BadTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.term, self.why)
    }
}

/// Whether a text is an SPF record, valid or not: its version is followed by a space or by nothing
/// (section 4.5).
pub(crate) fn is_record(text: &str) -> bool {
    let version = text.split(' ').next().unwrap_or_default();
    version.eq_ignore_ascii_case("v=spf1")
}

impl Record {
    /// Whether nobody may send by it.
    pub(crate) fn is_empty(&self) -> bool {
        let denies_all = |directive: &Directive| {
            directive.mechanism == Mechanism::All && directive.qualifier == Qualifier::Fail
        };
        matches!(&self.directives[..], [only] if denies_all(only))
    }

    /// Reads a record whose version was found right ([`is_record`]). The first bad term is the
    /// error.
    pub(crate) fn parse(text: &str) -> Result<Self, BadTerm> {
        let mut record = Self::default();
        // Terms are separated by spaces alone, and by no other white space.
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            let bad = |why: String| BadTerm {
                term: term.to_owned(),
                why,
            };
            let end = term.find(['=', ':', '/']).unwrap_or(term.len());
            let Some(value) = term[end..].strip_prefix('=') else {
                record.directives.push(directive(term).map_err(bad)?);
                continue;
            };
            let name = term[..end].to_ascii_lowercase();
            let twice = || bad(format!("there may be one {name}= only"));
            match name.as_str() {
                "redirect" if record.redirect.is_some() => return Err(twice()),
                "exp" if record.explanation.is_some() => return Err(twice()),
                "redirect" => record.redirect = Some(domain_spec(value).map_err(bad)?),
                "exp" => record.explanation = Some(domain_spec(value).map_err(bad)?),
                _ => unknown_modifier(&name, value).map_err(bad)?,
            }
        }
        Ok(record)
    }
}

/// `name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )`, and a macro string, which may be empty.
fn unknown_modifier(name: &str, value: &str) -> Result<(), String> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'));
    if !is_name {
        let what =
            "the name of a modifier begins with a letter, and has letters, digits, -, _ and .";
        return Err(what.to_owned());
    }
    MacroString::parse(value)
        .map(|_| ())
        .map_err(|unfit| unfit.to_string())
}

/// Reads a mechanism with its qualifier.
fn directive(term: &str) -> Result<Directive, String> {
    let (qualifier, rest) = match term.as_bytes().first() {
        Some(b'+') => (Qualifier::Pass, &term[1..]),
        Some(b'-') => (Qualifier::Fail, &term[1..]),
        Some(b'~') => (Qualifier::SoftFail, &term[1..]),
        Some(b'?') => (Qualifier::Neutral, &term[1..]),
        _ => (Qualifier::Pass, term),
    };
    let end = rest.find([':', '/']).unwrap_or(rest.len());
    let (name, rest) = rest.split_at(end);
    let target = || match rest.strip_prefix(':') {
        Some(target) => domain_spec(target),
        None => Err(format!("{name} needs a domain, as in {name}:example.com")),
    };
    let mechanism = match &*name.to_ascii_lowercase() {
        "all" if rest.is_empty() => Mechanism::All,
        "all" => return Err("nothing may follow all".to_owned()),
        "include" => Mechanism::Include(target()?),
        "exists" => Mechanism::Exists(target()?),
        "ptr" if rest.is_empty() => Mechanism::Ptr(None),
        "ptr" => Mechanism::Ptr(Some(target()?)),
        "a" => {
            let (target, lengths) = target_and_lengths(rest)?;
            Mechanism::A(target, lengths)
        }
        "mx" => {
            let (target, lengths) = target_and_lengths(rest)?;
            Mechanism::Mx(target, lengths)
        }
        "ip4" => {
            let (address, length) = network(rest, 32, "ip4:192.0.2.0/24")?;
            Mechanism::Ip4(address, length)
        }
        "ip6" => {
            let (address, length) = network(rest, 128, "ip6:2001:db8::/32")?;
            Mechanism::Ip6(address, length)
        }
        "redirect" | "exp" => return Err(format!("a modifier is written {name}=")),
        _ => return Err("no such mechanism".to_owned()),
    };
    Ok(Directive {
        qualifier,
        mechanism,
        text: term.to_owned(),
    })
}

/// Reads `:ADDRESS` or `:ADDRESS/LENGTH` of ip4 and ip6.
fn network<A: std::str::FromStr>(
    rest: &str,
    longest: u8,
    example: &str,
) -> Result<(A, u8), String> {
    let wrong = || format!("expected a network such as {example}");
    let text = rest.strip_prefix(':').ok_or_else(wrong)?;
    let (address, length) = match text.split_once('/') {
        Some((address, bits)) => (address, length(bits, longest)?),
        None => (text, longest),
    };
    Ok((address.parse().map_err(|_| wrong())?, length))
}

/// `"0" / %x31-39 *DIGIT`, up to the longest there is.
fn length(text: &str, longest: u8) -> Result<u8, String> {
    let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
    let is_plain = is_number && (text == "0" || !text.starts_with('0'));
    let length = text
        .parse()
        .ok()
        .filter(|length| is_plain && *length <= longest);
    length.ok_or_else(|| format!("expected a prefix length from 0 to {longest}"))
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`; a slash within the domain is part of it.
fn target_and_lengths(rest: &str) -> Result<(Option<MacroString>, Lengths), String> {
    let mut lengths = Lengths {
        ipv4: 32,
        ipv6: 128,
    };
    let mut target = rest;
    // Digits at the end are a length.
    let is_length = |bits: &str| bits.bytes().all(|octet| octet.is_ascii_digit());
    if let Some((before, bits)) = target.rsplit_once("//").filter(|(_, bits)| is_length(bits)) {
        lengths.ipv6 = length(bits, 128)?;
        target = before;
    }
    if let Some((before, bits)) = target.rsplit_once('/').filter(|(_, bits)| is_length(bits)) {
        lengths.ipv4 = length(bits, 32)?;
        target = before;
    }
    match target.strip_prefix(':') {
        None if target.is_empty() => Ok((None, lengths)),
        None => Err("expected a prefix length such as /24".to_owned()),
        Some(domain) => Ok((Some(domain_spec(domain)?), lengths)),
    }
}

/// A macro string that ends in a macro or in a label that may be topmost, with a dot before it.
fn domain_spec(text: &str) -> Result<MacroString, String> {
    let parsed = MacroString::parse(text).map_err(|unfit: Unfit| unfit.to_string())?;
    if text.is_empty() {
        return Err("the domain is missing".to_owned());
    }
    if parsed.ends_in_macro() {
        return Ok(parsed);
    }
    let end = parsed.literal_end();
    let end = end.strip_suffix('.').unwrap_or(end);
    let hint = match text.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(_)) => "; an address is written ip4:",
        Ok(std::net::IpAddr::V6(_)) => "; an address is written ip6:",
        Err(_) => "",
    };
    match end.rsplit_once('.') {
        Some((_, top)) if is_top_label(top) => Ok(parsed),
        _ => Err(format!("expected a domain such as mail.example.com{hint}")),
    }
}

/// `toplabel`: letters, digits and hyphens, no hyphen at either end, and not of digits alone
/// (section 7.1).
fn is_top_label(label: &str) -> bool {
    let has = |wanted: fn(&u8) -> bool| label.as_bytes().iter().any(wanted);
    let is_plain = label
        .bytes()
        .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let has_edge = label.starts_with('-') || label.ends_with('-');
    let is_more = has(u8::is_ascii_alphabetic) || has(|octet| *octet == b'-');
    is_plain && !has_edge && is_more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_that_spoils_a_record_is_named() {
        for (record, bad) in [
            (
                "v=spf1 mx ip4:192.0.2.0/24 ip6:2001:db8::/32 include:a.test ra=x -all ",
                None,
            ),
            (
                "v=spf1 +a:mx.test/24//64 ?exists:%{i}.a.test redirect=b.test",
                None,
            ),
            (
                "v=spf1 moo.cow-far_out=man:dog/cat a:foo:bar/baz.a.test",
                None,
            ),
            ("v=spf1 a//0 mx/0 a:%{d} a:b.xn--zckzah. ptr op=", None),
            ("v=spf1 ipv4:192.0.2.1 -all", Some("ipv4:192.0.2.1")),
            ("v=spf1 ip4:192.0.2.1/33 -all", Some("ip4:192.0.2.1/33")),
            ("v=spf1 ip4:192.0.2.1/032", Some("ip4:192.0.2.1/032")),
            ("v=spf1 ip4:300.1.1.1 -all", Some("ip4:300.1.1.1")),
            ("v=spf1 ip6:192.0.2.1 -all", Some("ip6:192.0.2.1")),
            ("v=spf1 mx -al", Some("-al")),
            ("v=spf1 --all", Some("--all")),
            ("v=spf1 a:192.0.2.1", Some("a:192.0.2.1")),
            ("v=spf1 mx:mailhost", Some("mx:mailhost")),
            ("v=spf1 mx//129", Some("mx//129")),
            ("v=spf1 a/33", Some("a/33")),
            ("v=spf1 a/", Some("a/")),
            ("v=spf1 a:b.test:8080", Some("a:b.test:8080")),
            ("v=spf1 include:b.test/24", Some("include:b.test/24")),
            ("v=spf1 ptr:foo@bar", Some("ptr:foo@bar")),
            ("v=spf1 =all", Some("=all")),
            ("v=spf1 1a=b", Some("1a=b")),
            ("v=spf1 exp=-all", Some("exp=-all")),
            (
                "v=spf1 redirect=a.test redirect=a.test",
                Some("redirect=a.test"),
            ),
            ("v=spf1 redirect:a.test", Some("redirect:a.test")),
            ("v=spf1 a\tmx", Some("a\tmx")),
            ("v=spf1 a:%{x}.test", Some("a:%{x}.test")),
            ("v=spf1 a:%{d0}", Some("a:%{d0}")),
            ("v=spf1 exp=%{c}.test", Some("exp=%{c}.test")),
            ("v=spf1 x=%(i)", Some("x=%(i)")),
            ("v=spf1 \u{e4}=1", Some("\u{e4}=1")),
        ] {
            let found = Record::parse(record).err().map(|bad| bad.term);
            assert_eq!(found.as_deref(), bad, "{record}");
        }
    }
}
