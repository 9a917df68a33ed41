//! The words of an entry and what they stand for: octets, strings, names, completed by the origin.
//!
//! A word has the escapes of RFC 1035 section 5.1: a backslash and a character, or a backslash and
//! three decimal digits for an octet.

use std::{borrow::Cow, ops::Range};

use hickory_proto::{rr::Name, serialize::txt::parse_ttl};

use super::entries::ZoneMistake;
use crate::name;

/// How a text is to be read.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    /// Whether this is somebody else's file, and not the records of a scenario.
    pub(super) is_file: bool,
    /// Whether each character stands for an octet of the file, which was not UTF-8.
    pub(super) is_latin: bool,
}

/// The words of a text, with the origin that holds at them.
pub(super) struct Words<'a> {
    pub(super) text: &'a str,
    /// What relative names are completed by; `None` if nothing says so yet.
    pub(super) origin: Option<&'a Name>,
    pub(super) manner: Manner,
}

impl<'a> Words<'a> {
    /// The word at a place.
    pub(super) fn token(&self, range: &Range<usize>) -> &'a str {
        &self.text[range.clone()]
    }

    /// A mistake at the place of a word.
    pub(super) fn at(&self, range: &Range<usize>, message: impl Into<String>) -> ZoneMistake {
        ZoneMistake {
            offset: range.start,
            message: message.into(),
            elsewhere: None,
        }
    }

    /// A character string, quoted or not, its escapes decoded.
    pub(super) fn string(&self, range: &Range<usize>) -> Result<Vec<u8>, ZoneMistake> {
        let raw = self.octets(range);
        let quoted = raw.strip_prefix(b"\"");
        let mut rest = quoted
            .and_then(|raw| raw.strip_suffix(b"\""))
            .unwrap_or(&raw);
        let mut string = Vec::with_capacity(rest.len());
        while let [first, after @ ..] = rest {
            rest = after;
            if *first != b'\\' {
                string.push(*first);
                continue;
            }
            let (octet, length) = name::escaped(after).map_err(|reason| {
                let found = self.token(range);
                self.at(
                    range,
                    format!("found {found:?}, expected a string ({reason})"),
                )
            })?;
            string.push(octet);
            rest = &after[length..];
        }
        Ok(string)
    }

    /// A name, relative ones completed by the origin.
    pub(super) fn name(&self, range: &Range<usize>) -> Result<Name, ZoneMistake> {
        let written = self.token(range);
        // Some exports put the origin behind labels.
        let token = match written.strip_suffix(".@") {
            Some(labels) if self.manner.is_file => labels,
            _ => written,
        };
        let octets = self.octets(&(range.start..range.start + token.len()));
        let is_relative = token == "@" || name::is_relative(&octets);
        let invalid = |reason: String| {
            self.at(
                range,
                format!("found {token:?}, expected a domain name ({reason})"),
            )
        };
        if token.starts_with('"') {
            return Err(invalid("it is in quotes".to_owned()));
        }
        let origin = match self.origin.filter(|_| is_relative) {
            None if is_relative => return Err(self.without_origin(range)),
            None => &Name::root(),
            Some(origin) if token == "@" => return Ok(origin.clone()),
            Some(origin) => origin,
        };
        // A scenario's names are written as people read them; a file's octets are what is served.
        if !token.is_ascii() && !self.manner.is_file {
            let whole = name::international(token).map_err(invalid)?;
            return name::name_of(whole.iter().chain(origin.iter())).map_err(invalid);
        }
        name::completed(&octets, origin).map_err(invalid)
    }

    /// The mistake that a relative name has nothing to complete it.
    fn without_origin(&self, range: &Range<usize>) -> ZoneMistake {
        let found = self.token(range);
        let expected = "expected an $ORIGIN line before it, --origin DOMAIN, or a final dot";
        self.at(
            range,
            format!("found the relative name {found:?} and no origin, {expected}"),
        )
    }

    /// The octets of the file that a word is made of.
    fn octets(&self, range: &Range<usize>) -> Cow<'a, [u8]> {
        let token = self.token(range);
        if !self.manner.is_latin {
            return Cow::Borrowed(token.as_bytes());
        }
        // Each of these characters was one octet when the file was read.
        token
            .chars()
            .map(|c| u8::try_from(c).unwrap_or(b'?'))
            .collect()
    }
}

/// A TTL: seconds, or units of time.
pub(super) fn ttl(words: &Words<'_>, range: &Range<usize>) -> Result<u32, ZoneMistake> {
    let token = words.token(range);
    parse_ttl(token).map_err(|_| {
        let expected = "expected seconds (0 to 4294967295) or a form such as 1h";
        words.at(range, format!("found TTL {token:?}, {expected}"))
    })
}
