//! The words that several parts of a scenario file share: hosts, names with types, moments, choices.
//!
//! Each function reads the text of one value and says what was expected in its place; where the value stands is added
//! by `document`. A host is more than a word: it must be one that the records name at some time, since a slip in it
//! would make a fault that never applies.

use std::{net::IpAddr, time::Duration};

use hickory_proto::rr::RecordType;
use toml::{Spanned, de::DeValue};

use super::document::{Document, Table, whole_number};
use crate::{
    diagnostic::{did_you_mean, nearest, not_allowed},
    fault::Host,
};
use crate::{
    name::Domain,
    time::{HumanDuration, Moment},
    zone::{History, Zone, text},
};

/// Types that mean something to a query about mail; others have no use in a fault or an update.
const TYPES: [&str; 11] = [
    "A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT",
];

/// Whether a fault or an update may name a type.
pub(crate) fn may_be_named(record_type: RecordType) -> bool {
    TYPES.contains(&record_type.to_string().as_str())
}

/// Reads `NAME` or `NAME TYPE`.
pub(crate) fn query(text: &str) -> Result<(Domain, Option<RecordType>), String> {
    let mut words = text.split_whitespace();
    let expected = || {
        format!("found {text:?}, expected a name and a record type, such as \"example.test MX\"")
    };
    let name = words
        .next()
        .ok_or_else(expected)?
        .parse()
        .map_err(|error: crate::name::InvalidDomain| error.to_string())?;
    let record_type = match words.next() {
        Some(word) => match TYPES.contains(&word.to_ascii_uppercase().as_str()) {
            // Types are written in either case (RFC 1035 section 2.3.3).
            true => word.to_ascii_uppercase().parse().ok(),
            false => return Err(not_allowed(word, "a record type", &TYPES)),
        },
        None => None,
    };
    words
        .next()
        .map_or(Ok((name, record_type)), |_| Err(expected()))
}

/// A domain that mail is sent to, and no other name that the DNS might hold.
pub(super) fn domain(text: &str) -> Result<Domain, String> {
    let domain: Domain = text
        .parse()
        .map_err(|error: crate::name::InvalidDomain| error.to_string())?;
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    match domain.as_str().chars().find(|c| !is_plain(c)) {
        Some(_) => Err(format!(
            "found {text:?}, expected a domain name (it has a sign that those of mail do not have)"
        )),
        None => Ok(domain),
    }
}

/// The hosts that a scenario may speak of: names with addresses, exchangers, aliases, and
/// addresses.
pub(super) struct HostNames {
    /// Whether the records could be read; if not, any host may be meant.
    readable: bool,
    /// In order.
    names: Vec<Domain>,
    addresses: Vec<IpAddr>,
}

impl HostNames {
    pub(super) fn new(zones: &History, readable: bool) -> Self {
        let all = zones.addresses();
        let mut names: Vec<Domain> = all.values().flatten().cloned().collect();
        names.sort();
        names.dedup();
        // An exchanger may be an alias, or a name without an address: it can still be spoken of.
        let mut others = Vec::new();
        for record in zones.zones().flat_map(Zone::records) {
            let name = match &record.data {
                hickory_proto::rr::RData::MX(mx) => Domain::from(&mx.exchange),
                hickory_proto::rr::RData::CNAME(_) => Domain::from(&record.name),
                _ => continue,
            };
            if names.binary_search(&name).is_err() {
                others.push(name);
            }
        }
        names.extend(others);
        names.sort();
        names.dedup();
        Self {
            readable,
            names,
            addresses: all.into_keys().collect(),
        }
    }

    /// Reads a host that the records name; an error with the nearest one if they do not.
    pub(super) fn host(&self, text: &str) -> Result<Host, String> {
        let host: Host = text.parse()?;
        let known = match &host {
            Host::Name(name) => self.names.binary_search(name).is_ok(),
            Host::Address(address) => self.addresses.binary_search(address).is_ok(),
        };
        // Records with a mistake in them name nobody, and every host would be one more mistake.
        if known || !self.readable {
            return Ok(host);
        }
        let hint = match &host {
            Host::Name(name) => text::nearest_name(name, &self.names),
            Host::Address(_) => nearest(
                text,
                self.addresses
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .iter()
                    .map(String::as_str),
            )
            .map(str::to_owned),
        };
        let hint = did_you_mean(hint.as_deref());
        Err(format!(
            "found host {text:?}, expected one that a record names{hint}"
        ))
    }
}

/// Reads a port: 1 to 65535.
pub(super) fn port(table: &Table<'_, '_>, key: &str) -> Option<u16> {
    port_of(table.doc(), table.get(key)?, key)
}

/// Reads ports, an array of them.
pub(super) fn ports(table: &Table<'_, '_>, key: &str) -> Vec<u16> {
    let values = table.array(key).into_iter();
    values
        .filter_map(|value| port_of(table.doc(), value, key))
        .collect()
}

fn port_of(doc: &Document<'_>, value: &Spanned<DeValue<'_>>, key: &str) -> Option<u16> {
    let port = whole_number(doc, value, key, u64::from(u16::MAX))?;
    if port == 0 {
        let mistake = format!("found {key} 0, expected 1 to {}", u16::MAX);
        doc.mistake(value.span().start, mistake);
    }
    u16::try_from(port).ok().filter(|port| *port > 0)
}

/// Reads a moment, written as a duration since the start, such as `1h30m`.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    duration(text).map(Moment)
}

/// Reads a duration.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    text.parse::<HumanDuration>()
        .map(|span| span.0)
        .map_err(|error| error.to_string())
}

/// Reads one of a list of words; an error lists them.
pub(super) fn word<T: Copy>(
    text: &str,
    what: &str,
    words: &[(&'static str, T)],
) -> Result<T, String> {
    let found = words
        .iter()
        .find(|(word, _)| *word == text)
        .map(|(_, value)| *value);
    found.ok_or_else(|| {
        not_allowed(
            text,
            what,
            &words.iter().map(|(word, _)| *word).collect::<Vec<_>>(),
        )
    })
}
