//! Extensions of SMTP as a reply to EHLO lists them (RFC 5321 section 2.2), and which parameter of a command
//! belongs to which.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use crate::diagnostic::{Invalid, not_allowed};

/// The keywords that receivers know and serve.
const KNOWN: [&str; 14] = [
    "PIPELINING",
    "SIZE",
    "8BITMIME",
    "SMTPUTF8",
    "STARTTLS",
    "REQUIRETLS",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "LIMITS",
    "MT-PRIORITY",
    "DELIVERBY",
    "AUTH",
];

/// A line of the reply to EHLO: a keyword, as the server writes it, and its parameters.
///
/// ```
/// use mxdrill::Extension;
///
/// let size: Extension = "Size 1000".parse()?;
/// assert!(size.is("SIZE") && size.parameters == "1000");
/// # Ok::<(), mxdrill::Invalid>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Extension {
    /// The keyword, in the case in which it was written.
    pub keyword: String,
    /// What follows it, such as the number of SIZE; empty if nothing does.
    pub parameters: String,
}

impl Extension {
    /// One without parameters.
    pub(crate) fn plain(keyword: &str) -> Self {
        Self {
            keyword: keyword.to_owned(),
            parameters: String::new(),
        }
    }

    /// Whether it has a keyword, which is compared without case (RFC 5321 section 4.1.1.1).
    pub fn is(&self, keyword: &str) -> bool {
        self.keyword.eq_ignore_ascii_case(keyword)
    }

    /// The line of a reply, whatever its keyword is; `None` if it is none.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (keyword, parameters) = line.split_once(' ').unwrap_or((line, ""));
        let is_first = |c: char| c.is_ascii_alphanumeric();
        let is_one = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let valid = keyword.starts_with(is_first) && keyword.chars().all(is_one);
        valid.then(|| Self {
            keyword: keyword.to_owned(),
            parameters: parameters.trim().to_owned(),
        })
    }
}

impl FromStr for Extension {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Extension {
    /// One that a receiver can offer: it serves it, or its name says that it means nothing (RFC 5321 section
    /// 2.2.2 leaves names in X to private use; firewalls mask others so).
    fn read(text: &str) -> Result<Self, String> {
        let is_line = text.len() <= 500 && !text.contains(|c: char| c.is_control());
        let read = Self::of_line(text).filter(|_| is_line);
        let read = read.ok_or_else(|| {
            format!(
                "found {text:?}, expected a line of the reply to EHLO, such as \"SIZE 1000000\""
            )
        })?;
        let is_private = read.keyword.starts_with(['X', 'x']);
        if !is_private && !KNOWN.iter().any(|known| read.is(known)) {
            let keyword = read.keyword.to_ascii_uppercase();
            return Err(not_allowed(&keyword, "an extension", &KNOWN));
        }
        Ok(read)
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.keyword)?;
        match &*self.parameters {
            "" => Ok(()),
            parameters => write!(f, " {parameters}"),
        }
    }
}

impl Serialize for Extension {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

// A log has what was offered, which a server behind a receiver may have chosen.
impl<'de> Deserialize<'de> for Extension {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of_line(&text).ok_or_else(|| D::Error::custom("no line of a reply to EHLO"))
    }
}

/// Whether an extension is in a list.
pub(crate) fn is_offered(offered: &[Extension], keyword: &str) -> bool {
    offered.iter().any(|one| one.is(keyword))
}

/// The seconds that a server wants at least for what it is to return when they are over (RFC 2852 section 2): 0 where it says
/// nothing of that, `None` where it does not know DELIVERBY.
pub(crate) fn least_time(offered: &[Extension]) -> Option<i64> {
    let offer = offered.iter().find(|one| one.is("DELIVERBY"))?;
    let first = offer.parameters.split([',', ' ']).next();
    Some(first.and_then(|least| least.parse().ok()).unwrap_or(0))
}

/// The octets of the largest message, as a list of extensions announces them with SIZE; 0 announces none (RFC 1870
/// section 4).
pub(crate) fn size(offered: &[Extension]) -> Option<usize> {
    let size = offered.iter().find(|one| one.is("SIZE"))?;
    size.parameters.parse().ok().filter(|size| *size > 0)
}

/// A limit that a list of extensions announces (RFC 9422 section 4); one that is malformed is none.
pub(crate) fn limit(offered: &[Extension], name: &str) -> Option<usize> {
    let limits = offered.iter().find(|one| one.is("LIMITS"))?;
    let mut parameters = limits.parameters.split_ascii_whitespace();
    parameters.find_map(|parameter| {
        let (key, value) = parameter.split_once('=')?;
        // A digit that is not 0, and five more at most (section 4.2).
        let is_number = (1..=6).contains(&value.len()) && value.bytes().all(|o| o.is_ascii_digit());
        let is_it = is_number && !value.starts_with('0') && key.eq_ignore_ascii_case(name);
        value.parse().ok().filter(|_| is_it)
    })
}

/// The extension that a parameter of MAIL or RCPT belongs to; `None` for one that is not known. The value is
/// that of BODY, which several extensions share.
pub(crate) fn of_parameter(keyword: &str, value: Option<&str>) -> Option<&'static str> {
    let is_binary = value.is_some_and(|value| value.eq_ignore_ascii_case("BINARYMIME"));
    Some(match &*keyword.to_ascii_uppercase() {
        "SIZE" => "SIZE",
        "BODY" if is_binary => "BINARYMIME",
        "BODY" => "8BITMIME",
        "SMTPUTF8" => "SMTPUTF8",
        "REQUIRETLS" => "REQUIRETLS",
        "RET" | "ENVID" | "NOTIFY" | "ORCPT" => "DSN",
        "MT-PRIORITY" => "MT-PRIORITY",
        "BY" => "DELIVERBY",
        "AUTH" => "AUTH",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_from_the_reply_to_ehlo() {
        let offered = |line: &str| vec![line.parse::<Extension>().expect("a line")];
        let limits = offered("LIMITS RCPTMAX=50 mailmax=10 RCPTDOMAINMAX=0 X=y");
        assert_eq!(limit(&limits, "RCPTMAX"), Some(50));
        assert_eq!(limit(&limits, "MAILMAX"), Some(10));
        for (limits, name) in [
            (&limits, "X"),
            (&offered("LIMITS RCPTMAX=+1"), "RCPTMAX"),
            (&offered("LIMITS RCPTMAX=07"), "RCPTMAX"),
            (&offered("LIMITS RCPTMAX=1000000"), "RCPTMAX"),
            (&limits, "RCPTDOMAINMAX"),
            (&offered("SIZE 50"), "RCPTMAX"),
        ] {
            assert_eq!(limit(limits, name), None, "{name}");
        }
    }

    #[test]
    fn what_receivers_serve_can_be_offered_and_what_means_nothing() {
        for text in ["SIZE 1000", "StartTls", "XXXXXXXA", "LIMITS RCPTMAX=50"] {
            let read: Extension = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
        for text in ["", "SIZE\r\n", "-A", "BURL imap", "PIPELINNING"] {
            assert!(text.parse::<Extension>().is_err(), "{text:?}");
        }
        let hint = "PIPELINNING".parse::<Extension>().expect_err("a slip");
        assert!(hint.to_string().contains("did you mean \"PIPELINING\""));
    }
}
