//! Domain names as mail sees them: case-insensitive, written without the final dot.
//!
//! Owns the one form in which a name reaches a log, a map key or a message. The wire form and the
//! zone-file form are hickory's; [`Domain::to_wire`] leads there.

use std::{fmt, str::FromStr, sync::Arc};

use hickory_proto::rr::Name;
use serde::{Serialize, Serializer};

/// A domain name in lower case, absolute, without the final dot; the root is `.`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Arc<str>);

/// A text that is no domain name.
#[derive(Debug, Clone, thiserror::Error)]
#[error("found {text:?}, expected a domain name ({reason})")]
pub struct InvalidDomain {
    text: String,
    reason: String,
}

impl Domain {
    /// The root of the name space, which a null MX names (RFC 7505 section 3).
    pub fn root() -> Self {
        Self(".".into())
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        &*self.0 == "."
    }

    /// The name as text, without the final dot.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this name is `apex` or below it.
    pub fn is_within(&self, apex: &Domain) -> bool {
        apex.is_root()
            || self == apex
            || self
                .0
                .strip_suffix(&*apex.0)
                .is_some_and(|head| head.ends_with('.'))
    }

    /// The name one label up, unless this is the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(
            self.0
                .split_once('.')
                .map_or_else(Self::root, |(_, rest)| Self(rest.into())),
        )
    }

    /// This name with labels put before it, as in `_25._tcp`.
    pub fn prefixed(&self, labels: &str) -> Self {
        Self(format!("{}.{}", labels.to_ascii_lowercase(), self.0).into())
    }

    /// The name as hickory writes it on the wire.
    pub fn to_wire(&self) -> Name {
        if self.is_root() {
            return Name::root();
        }
        let mut name = Name::from_ascii(&*self.0).expect("a Domain is made from a valid name");
        name.set_fqdn(true);
        name
    }
}

impl From<&Name> for Domain {
    fn from(name: &Name) -> Self {
        let text = name.to_ascii().to_ascii_lowercase();
        match text.strip_suffix('.') {
            Some("") | None if text.len() <= 1 => Self::root(),
            Some(rest) => Self(rest.into()),
            None => Self(text.into()),
        }
    }
}

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
        let name = Name::from_utf8(text)
            .or_else(|_| Name::from_ascii(text))
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self::from(&name))
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
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
    fn an_empty_or_overlong_name_is_refused() {
        assert!("".parse::<Domain>().is_err());
        assert!("a".repeat(64).parse::<Domain>().is_err());
    }
}
