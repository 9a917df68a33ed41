//! What a drill may need of a mail server, by the words that adapters have for it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that a drill may need and a mail server may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Feature {
    /// STARTTLS.
    Tls,
    /// TLS that is required, or required and verified.
    TlsRequired,
    /// TLS whose certificates are verified.
    TlsVerified,
    /// DANE (RFC 7672).
    Dane,
    /// MTA-STS (RFC 8461).
    MtaSts,
    /// REQUIRETLS (RFC 8689).
    Requiretls,
    /// IPv6.
    Ipv6,
    /// Names in a list of exchangers that are its own.
    OwnNames,
    /// Giving a message up when its time is over, which a drill can choose.
    Lifetime,
    /// Intervals between attempts that a drill can choose.
    Schedule,
    /// Timeouts that a drill can choose.
    Timeouts,
    /// Waits of minutes for one reply: without them nothing is seen of how waits are counted.
    Patience,
    /// Messages from the null reverse-path, handed over from outside.
    NullSender,
    /// Addresses and domains beyond ASCII.
    Utf8,
    /// Messages whose content has eight bits, handed over as what they are (RFC 6152).
    EightBit,
    /// Messages that already carry Received fields.
    Received,
    /// Messages that are handed over with what is asked of notifications (RFC 3461).
    Dsn,
    /// Messages that go by BINARYMIME alone (RFC 3030).
    Binarymime,
    /// Messages with a priority (RFC 6710).
    Priority,
    /// Messages with a time in which they are to be delivered (RFC 2852).
    DeliverBy,
    /// A relay through which all mail goes: a host and a port.
    Relays,
    /// More than one of them, in an order.
    SeveralRelays,
    /// Relays of which some have TLS before the greeting and others do not.
    MixedRelays,
    /// Credentials for relays.
    RelayLogin,
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tls => "STARTTLS",
            Self::TlsRequired => "TLS that is required",
            Self::TlsVerified => "certificates that are verified",
            Self::Dane => "DANE",
            Self::MtaSts => "MTA-STS",
            Self::Requiretls => "REQUIRETLS",
            Self::Ipv6 => "IPv6",
            Self::OwnNames => "names of its own in a list of exchangers",
            Self::Lifetime => "a queue lifetime that can be set",
            Self::Schedule => "retry intervals that can be set",
            Self::Timeouts => "timeouts that can be set",
            Self::NullSender => "messages from the null reverse-path",
            Self::Utf8 => "addresses beyond ASCII",
            Self::EightBit => "content of eight bits when a message is handed over",
            Self::Patience => "waits of minutes for a reply",
            Self::Received => "messages with Received fields",
            Self::Dsn => "DSN when a message is handed over",
            Self::Binarymime => "binary content when a message is handed over",
            Self::Priority => "MT-PRIORITY when a message is handed over",
            Self::DeliverBy => "DELIVERBY when a message is handed over",
            Self::Relays => "relays that can be set",
            Self::SeveralRelays => "several relays in an order",
            Self::MixedRelays => "relays at port 465 and at others",
            Self::RelayLogin => "credentials for relays",
        })
    }
}
