//! SMTP replies (RFC 5321 section 4.2) and enhanced status codes (RFC 3463).
//!
//! Both parse from the text that scenarios and servers write and print as the same text. A reply
//! here is one line: of several lines the last counts, as section 4.2 has it for the code.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::diagnostic::Invalid;

/// What a client makes of a reply (RFC 5321 section 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplyClass {
    /// 2yz: the command was done.
    Positive,
    /// 3yz: more is wanted, which only DATA has.
    Intermediate,
    /// 4yz: it was not done, and may be later.
    Transient,
    /// 5yz: it was not done, and the same request must not be repeated.
    Permanent,
}

/// An enhanced status code, class, subject and detail (RFC 3463 section 2): `Status(5, 1, 1)` is
/// `5.1.1`.
///
/// ```
/// use mxdrill::reply::Status;
///
/// let status: Status = "4.4.1".parse()?;
/// assert_eq!(status, Status(4, 4, 1));
/// # Ok::<(), mxdrill::Invalid>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(pub u8, pub u16, pub u16);

impl Status {
    /// Whether it says that a message could not be delivered in time (RFC 3463 section 3.5).
    pub(crate) fn is_expired(self) -> bool {
        (self.1, self.2) == (4, 7)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{}.{}", self.0, self.1, self.2))
    }
}

impl FromStr for Status {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Status {
    fn read(text: &str) -> Result<Self, String> {
        let number = |part: &str| {
            let plain =
                !part.is_empty() && part.len() <= 3 && part.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| part.parse::<u16>().ok()).flatten()
        };
        let parts: Vec<Option<u16>> = text.split('.').map(number).collect();
        match parts[..] {
            [Some(class @ (2 | 4 | 5)), Some(subject), Some(detail)] => {
                Ok(Self(class as u8, subject, detail))
            }
            _ => Err(format!(
                "found {text:?}, expected an enhanced status code such as \"5.1.1\" (RFC 3463)"
            )),
        }
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// A reply: its code, and its text with any enhanced status code in front (RFC 2034).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Three digits, 200 to 599.
    pub code: u16,
    /// The rest of the line, without the space after the code.
    pub text: String,
}

impl Reply {
    /// A reply of this code and text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
        }
    }

    /// What the first digit says. It alone decides (RFC 5321 section 4.2): codes that a client does
    /// not know are treated by it.
    pub fn class(&self) -> ReplyClass {
        match self.code {
            0..300 => ReplyClass::Positive,
            300..400 => ReplyClass::Intermediate,
            400..500 => ReplyClass::Transient,
            _ => ReplyClass::Permanent,
        }
    }

    /// The enhanced status code in front of the text; `None` without one, or if its class is not that of the reply.
    pub fn status(&self) -> Option<Status> {
        let status: Status = self.text.split_whitespace().next()?.parse().ok()?;
        (u16::from(status.0) == self.code / 100).then_some(status)
    }
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.text.is_empty() {
            write!(f, "{}", self.code)
        } else {
            write!(f, "{} {}", self.code, self.text)
        }
    }
}

impl FromStr for Reply {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Reply {
    /// Octets that a line has room for beside the code, a sign and its end: 512 in all (RFC 5321 section
    /// 4.5.3.1.5).
    pub(crate) const MAX_TEXT: usize = 506;

    fn read(text: &str) -> Result<Self, String> {
        let (code, rest) = text.split_once(' ').unwrap_or((text, ""));
        let number = code
            .parse()
            .ok()
            .filter(|number| (200..600).contains(number) && code.len() == 3);
        let number = number.ok_or_else(|| {
            format!("found {text:?}, expected a reply: a code from 200 to 599 and a text, such as \"451 4.3.2 try again later\"")
        })?;
        if rest.len() > Self::MAX_TEXT || rest.chars().any(char::is_control) {
            return Err(format!(
                "found {text:?}, expected a text of at most {} octets without control characters",
                Self::MAX_TEXT
            ));
        }
        Ok(Self::new(number, rest.trim()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_keeps_its_enhanced_status() {
        let reply: Reply = "451 4.3.2 try again".parse().expect("valid");
        assert_eq!(
            (reply.class(), reply.status()),
            (ReplyClass::Transient, Some(Status(4, 3, 2)))
        );
        assert_eq!(
            "550 4.3.2 odd".parse::<Reply>().expect("valid").status(),
            None
        );
        assert_eq!(reply.to_string(), "451 4.3.2 try again");
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for text in ["", "99 x", "600 x", "45 x", "4510 x", "451\r\nx", "+45 x"] {
            assert!(text.parse::<Reply>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_status_has_three_numbers_and_a_known_class() {
        assert_eq!("5.1.10".parse(), Ok(Status(5, 1, 10)));
        for text in ["5.1", "3.1.1", "5.1.1.1", "5.x.1", "5.1.1000", "5..1"] {
            assert!(text.parse::<Status>().is_err(), "{text}");
        }
    }
}
