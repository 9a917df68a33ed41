//! Domain names as mail sees them: case-insensitive, written without the final dot.
//!
//! Owns the one form in which a name reaches a log, a map key or a message, and its escapes (RFC 1035
//! section 5.1; hickory reads and writes `\DDD` as octal). The wire form is hickory's; [`Domain::to_wire`]
//! leads there.
//!
//! Names are compared in lower case: RFC 1035 section 2.3.3 makes case of no consequence, and RFC
//! 5321 section 2.4 says so of mail. A name with letters beyond ASCII is turned into its A-labels
//! when it is read (RFC 5890), so that logs and maps have one form of it.

use std::{
    borrow::Borrow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::IpAddr,
    str::FromStr,
    sync::Arc,
};

use hickory_proto::{rr::Name, serialize::binary::BinDecodable};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The domain that the senders of drills are in, unless a scenario says otherwise.
pub(crate) const SENDER_DOMAIN: &str = "sender.test";

/// The exchanger of the lab's own domain for senders, where notifications arrive.
pub(crate) const OWN_EXCHANGER: &str = "bounces.sender.test";

/// Octets that a name has on the wire at most (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;

/// A domain name in lower case, absolute, without the final dot; the root is `.`.
///
/// A clone costs a counter: drills hold the same name a million times.
#[derive(Clone)]
pub struct Domain(Arc<Forms>);

/// Both forms of a name, made once: logs and maps hold the same name many times.
struct Forms {
    // In lower case, with escapes where an octet needs one.
    text: Box<str>,
    /// The same name on the wire: a query may carry octets that no text of ours would parse to.
    wire: Name,
}

/// A text that is no domain name, with the reason.
#[derive(Debug, Clone, thiserror::Error)]
#[error("found {text:?}, expected a domain name ({reason})")]
pub struct InvalidDomain {
    text: String,
    reason: String,
}

impl Domain {
    /// The root of the name space, which a null MX names (RFC 7505 section 3).
    pub fn root() -> Self {
        Self(Arc::new(Forms {
            text: ".".into(),
            wire: Name::root(),
        }))
    }

    /// An address literal in the place of a domain (RFC 5321 section 4.1.3), which has no records:
    /// mail goes to the address itself.
    pub(crate) fn of_literal(address: IpAddr) -> Self {
        let text = match address {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[ipv6:{address}]"),
        };
        let wire = Name::from_labels([text.as_bytes()]).expect("it fits into a label");
        let text = text.into();
        Self(Arc::new(Forms { text, wire }))
    }

    /// The address, if the name is an address literal.
    pub(crate) fn literal(&self) -> Option<IpAddr> {
        let inner = self.as_str().strip_prefix('[')?.strip_suffix(']')?;
        match inner.strip_prefix("ipv6:") {
            Some(address) => address.parse().ok().map(IpAddr::V6),
            None => inner.parse().ok().map(IpAddr::V4),
        }
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.as_str() == "."
    }

    /// The name as text, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The label that keeps the name from being one of a host: one with other signs than letters,
    /// digits and hyphens, or with a hyphen at an end (RFC 1123 section 2.1). `None` if it is one.
    pub(crate) fn odd_label(&self) -> Option<&str> {
        let is_plain = |label: &str| {
            let mut octets = label.bytes();
            octets.all(|octet| octet.is_ascii_alphanumeric() || octet == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        self.as_str().split('.').find(|label| !is_plain(label))
    }

    /// Whether the name is `apex` or below it: `mx1.example.test` is within `example.test`, and so
    /// is `example.test`.
    pub fn is_within(&self, apex: &Domain) -> bool {
        apex.0.wire.zone_of(&self.0.wire)
    }

    /// The name one label up; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        (!self.is_root()).then(|| Self::from(&self.0.wire.base_name()))
    }

    /// The text of the name one label up, without making a name of it; `None` for the root.
    pub(crate) fn text_above(&self) -> Option<&str> {
        text_above(self.as_str())
    }

    /// The texts of this name and of those above it, up to the root: maps of names are asked by them.
    pub(crate) fn texts_at_and_above(&self) -> impl Iterator<Item = &str> {
        std::iter::successors(Some(self.as_str()), |text| text_above(text))
    }

    /// This name and those above it, up to the root.
    pub(crate) fn at_and_above(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// The name with labels before it: `example.test` prefixed with `_25._tcp` is
    /// `_25._tcp.example.test`. Itself where 255 octets have no room for them.
    pub fn prefixed(&self, labels: &str) -> Self {
        let head = labels.split('.').map(str::as_bytes);
        let longer = Name::from_labels(head.chain(self.0.wire.iter()));
        longer.map_or_else(|_| self.clone(), |name| Self::from(&name))
    }

    /// The name in hickory's form, as it goes over the wire.
    pub fn to_wire(&self) -> Name {
        self.0.wire.clone()
    }

    /// The same, to look at.
    pub(crate) fn wire(&self) -> &Name {
        &self.0.wire
    }
}

impl PartialEq for Domain {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for Domain {}

impl PartialOrd for Domain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Domain {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for Domain {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

// Names are compared, ordered and hashed by their text.
impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

// From the wire: any octets are possible.
impl From<&Name> for Domain {
    fn from(name: &Name) -> Self {
        let mut wire = name.to_lowercase();
        wire.set_fqdn(true);
        if wire.is_root() {
            return Self::root();
        }
        let text = written(&wire).into();
        Self(Arc::new(Forms { text, wire }))
    }
}

// From text, with or without a final dot.
impl FromStr for Domain {
    type Err = InvalidDomain;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = |reason: String| InvalidDomain {
            text: text.to_owned(),
            reason,
        };
        if text.is_empty() {
            return Err(invalid("it is empty".to_owned()));
        }
        let name = if text.is_ascii() {
            completed(text.as_bytes(), &Name::root())
        } else {
            international(text)
        };
        Ok(Self::from(&name.map_err(invalid)?))
    }
}

/// The text of the name one label up; `None` for the root.
fn text_above(text: &str) -> Option<&str> {
    if text == "." {
        return None;
    }
    let mut index = 0;
    while let Some(octet) = text.as_bytes().get(index) {
        index += match octet {
            b'.' => return Some(&text[index + 1..]),
            // The dot of `\.` is part of the label.
            b'\\' => 2,
            _ => 1,
        };
    }
    Some(".")
}

/// A name in text, completed by the labels of an origin. Of most names no label has to be decoded.
pub(crate) fn completed(text: &[u8], origin: &Name) -> Result<Name, String> {
    if text.contains(&b'\\') || text == b"." {
        let labels = labels(text)?;
        return name_of(labels.iter().map(Vec::as_slice).chain(origin.iter()));
    }
    let text = text.strip_suffix(b".").unwrap_or(text);
    let labels = text.split(|octet| *octet == b'.');
    if labels.clone().any(<[u8]>::is_empty) {
        return Err("a label is empty".to_owned());
    }
    name_of(labels.chain(origin.iter()))
}

/// The labels of a name in text, escapes decoded (RFC 1035 section 5.1); the root has none. A final dot
/// makes no difference.
fn labels(text: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    let mut labels = vec![Vec::new()];
    let mut rest = text.strip_suffix(b".").unwrap_or(text);
    // The dot of `\.` is part of the label.
    if is_relative(text) {
        rest = text;
    }
    if rest.is_empty() && !text.is_empty() {
        return Ok(Vec::new());
    }
    while let [first, after @ ..] = rest {
        let label = labels.last_mut().expect("there is always one");
        rest = after;
        match first {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let (octet, length) = escaped(after)?;
                label.push(octet);
                rest = &after[length..];
            }
            octet => label.push(*octet),
        }
    }
    if labels.iter().any(Vec::is_empty) {
        Err("a label is empty".to_owned())
    } else {
        Ok(labels)
    }
}

/// Whether a name in text lacks the final dot, which an escape may hide.
pub(crate) fn is_relative(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b".") else {
        return true;
    };
    let backslashes = before.iter().rev().take_while(|octet| **octet == b'\\');
    backslashes.count() % 2 == 1
}

/// A name of labels, which must fit (RFC 1035 section 2.3.4).
pub(crate) fn name_of<'a>(labels: impl Iterator<Item = &'a [u8]>) -> Result<Name, String> {
    // As it goes over the wire, from which a name is made at less cost than from labels.
    let mut wire = [0; MAX_NAME];
    // The octets of the labels so far; the root's one comes behind them.
    let mut length = 0;
    for label in labels {
        let octets = match u8::try_from(label.len()) {
            Ok(octets @ ..=63) => octets,
            _ => {
                return Err(format!(
                    "a label has {} octets, at most 63 are allowed",
                    label.len()
                ));
            }
        };
        let end = length + 1 + label.len();
        if let Some(place) = wire.get_mut(length..end) {
            place[0] = octets;
            place[1..].copy_from_slice(label);
        }
        length = end;
    }
    if length >= MAX_NAME {
        return Err(format!(
            "it has {} octets, at most {MAX_NAME} are allowed",
            length + 1
        ));
    }
    Name::from_bytes(&wire[..=length]).map_err(|error| error.to_string())
}

/// The octet that an escape stands for, and the length of the escape without its backslash.
pub(crate) fn escaped(after: &[u8]) -> Result<(u8, usize), String> {
    match after {
        [] => Err("a backslash stands at its end".to_owned()),
        [first, ..] if !first.is_ascii_digit() => Ok((*first, 1)),
        _ => {
            let digits = after.get(..3).unwrap_or(after);
            let text = std::str::from_utf8(digits).unwrap_or_default();
            let is_number = text.len() == 3 && text.bytes().all(|octet| octet.is_ascii_digit());
            match text.parse().ok().filter(|_| is_number) {
                Some(octet) => Ok((octet, 3)),
                None => Err(format!(
                    "the escape \\{} is no number from 000 to 255",
                    String::from_utf8_lossy(digits)
                )),
            }
        }
    }
}

/// A name with letters beyond ASCII, in the form that the DNS has (RFC 5890); what that form would drop
/// or replace is no part of a name.
pub(crate) fn international(text: &str) -> Result<Name, String> {
    let mut name = Name::from_utf8(text).map_err(|error| error.to_string())?;
    name.set_fqdn(true);
    let plain = |text: &str| text.trim_end_matches('.').to_lowercase();
    if plain(&name.to_utf8()) == plain(text) {
        Ok(name)
    } else {
        Err("it has a sign that domain names do not have".to_owned())
    }
}

/// A name in text without its final dot, as BIND writes it; the root is `.`.
pub(crate) fn written(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        for octet in label {
            match octet {
                b'.' | b'\\' | b'"' | b'(' | b')' | b';' | b'@' | b'$' => {
                    text.extend(['\\', char::from(*octet)]);
                }
                b'!'..=b'~' => text.push(char::from(*octet)),
                _ => text.push_str(&format!("\\{octet:03}")),
            }
        }
    }
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        text.parse().expect("a valid name")
    }

    #[test]
    fn case_and_final_dot_do_not_matter() {
        assert_eq!(domain("MX1.Example.TEST."), domain("mx1.example.test"));
        assert_eq!(
            Domain::from(&domain("mx1.example.test").to_wire()),
            domain("mx1.example.test")
        );
    }

    #[test]
    fn the_root_survives_the_wire() {
        assert!(Domain::from(&Domain::root().to_wire()).is_root());
        assert!(domain(".").is_root());
    }

    #[test]
    fn within_counts_whole_labels() {
        assert!(domain("mx.example.test").is_within(&domain("example.test")));
        assert!(!domain("myexample.test").is_within(&domain("example.test")));
        assert_eq!(domain("a.test").parent(), Some(domain("test")));
        assert_eq!(domain("test").parent(), Some(Domain::root()));
    }

    #[test]
    fn the_text_above_a_name_is_that_of_its_parent() {
        for text in [
            "a.b.test",
            "a\\.b.test",
            "a\\\\.b.test",
            "a\\032.test",
            "test",
            ".",
        ] {
            let name = domain(text);
            let parent = name.parent();
            assert_eq!(name.text_above(), parent.as_ref().map(Domain::as_str));
        }
    }

    #[test]
    fn any_name_off_the_wire_goes_back_onto_it() {
        let odd = [&b"a b"[..], b"@", b"x\xff\x00", b"\"", b"-a-"];
        for label in odd {
            let name = Name::from_labels([label, b"test"]).expect("a name");
            assert_eq!(Domain::from(&name).to_wire(), name);
        }
        let long = [
            "a".repeat(63),
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(58),
        ]
        .join(".");
        assert_eq!(domain(&long).prefixed("hostmaster"), domain(&long));
    }

    #[test]
    fn escapes_are_decimal_and_a_sign_for_itself() {
        let name = domain("a\\032b.c\\.d\\\\.test").to_wire();
        let labels: Vec<&[u8]> = name.iter().collect();
        assert_eq!(labels, [&b"a b"[..], b"c.d\\", b"test"]);
        assert_eq!(Domain::from(&name).as_str(), "a\\032b.c\\.d\\\\.test");
        assert!(is_relative(b"a\\.") && !is_relative(b"a\\\\."));
        for wrong in ["a\\256", "a\\1", "a\\", "a..b", ".a", "mx1\u{200b}.test"] {
            assert!(wrong.parse::<Domain>().is_err(), "{wrong}");
        }
        assert_eq!(domain("b\u{fc}cher.test").as_str(), "xn--bcher-kva.test");
    }

    #[test]
    fn an_empty_or_overlong_name_is_refused() {
        assert!("".parse::<Domain>().is_err());
        assert!("a".repeat(64).parse::<Domain>().is_err());
    }
}
