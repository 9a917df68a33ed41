//! How the lab's servers of names and of policies answered, as a log has it.
//!
//! They are types and not texts, so that a new one makes the compiler name every place that has to
//! know it.

use std::{fmt, str::FromStr};

use hickory_proto::op::ResponseCode;
use serde::{Deserialize, Serialize};

use crate::{diagnostic::Invalid, words::words};

words! {
    /// How the name server answered a query.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[non_exhaustive]
    pub enum QueryOutcome {
        /// NOERROR, with records of the type that was asked for, or aliases.
        NoError = "noerror",
        /// NOERROR, without records of that type (RFC 2308 section 2.2).
        NoData = "nodata",
        /// NXDOMAIN: the name does not exist.
        NxDomain = "nxdomain",
        /// SERVFAIL: the server failed, for now.
        ServFail = "servfail",
        /// REFUSED: the server does not want to answer this client.
        Refused = "refused",
        /// NOTIMP: the server does not know this kind of query.
        NotImp = "notimp",
        /// FORMERR: the server could not read the query.
        FormErr = "formerr",
        /// No answer was sent.
        #[serde(rename = "no answer")]
        Unanswered = "no answer",
    }
}

impl QueryOutcome {
    /// The outcome for a response code; `None` is no response at all.
    pub(crate) fn new(code: Option<ResponseCode>, is_empty: bool) -> Self {
        match code {
            None => Self::Unanswered,
            Some(ResponseCode::NoError) if is_empty => Self::NoData,
            Some(ResponseCode::NoError) => Self::NoError,
            Some(ResponseCode::NXDomain) => Self::NxDomain,
            Some(ResponseCode::Refused) => Self::Refused,
            Some(ResponseCode::NotImp) => Self::NotImp,
            Some(ResponseCode::FormErr) => Self::FormErr,
            Some(_) => Self::ServFail,
        }
    }

    /// Whether an asker knows more by it: the records, or that there are none.
    pub fn is_answer(self) -> bool {
        match self {
            Self::NoError | Self::NoData | Self::NxDomain => true,
            Self::ServFail | Self::Refused | Self::NotImp | Self::FormErr | Self::Unanswered => {
                false
            }
        }
    }
}

/// How the web server of an MTA-STS policy answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchOutcome {
    /// With this HTTP status; only 200 comes with a policy (RFC 8461 section 3.3).
    Status(u16),
    /// The TLS handshake did not come about.
    NoHandshake,
}

impl FetchOutcome {
    /// Whether the policy was handed out (status 200).
    pub fn is_ok(self) -> bool {
        self == Self::Status(200)
    }
}

impl fmt::Display for FetchOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::NoHandshake => f.write_str("no handshake"),
        }
    }
}

impl FromStr for FetchOutcome {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl FetchOutcome {
    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(status) => Ok(Self::Status(status)),
            Err(_) if text == "no handshake" => Ok(Self::NoHandshake),
            Err(_) => Err(format!(
                "found {text:?}, expected an HTTP status or \"no handshake\""
            )),
        }
    }
}
