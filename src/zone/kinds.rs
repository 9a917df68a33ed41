//! The columns before the data of a record: TTL, class and type, and which types are read.
//!
//! Of another's file, types that mean nothing to mail are passed over: one odd record is no reason to
//! refuse the others. What is likely to be a slip in a type that does matter is reported.

use std::{borrow::Cow, ops::Range};

use hickory_proto::rr::RecordType;

use super::{
    entries::{ZoneEntry, ZoneMistake},
    words::{Words, ttl},
};
use crate::diagnostic::not_allowed;

/// Types whose data are read: those that mean something to mail, and some that are often beside
/// them.
const READ: [&str; 15] = [
    "A", "AAAA", "CAA", "CNAME", "DNAME", "HINFO", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV",
    "SSHFP", "TLSA", "TXT",
];

/// Types that zone files are full of and that are passed over without a word.
const WELL_KNOWN: [&str; 41] = [
    "AFSDB",
    "ALIAS",
    "ANAME",
    "APL",
    "CDNSKEY",
    "CDS",
    "CERT",
    "CSYNC",
    "DHCID",
    "DNSKEY",
    "DS",
    "EUI48",
    "EUI64",
    "GPOS",
    "HIP",
    "HTTPS",
    "IPSECKEY",
    "ISDN",
    "KEY",
    "KX",
    "L32",
    "L64",
    "LOC",
    "LP",
    "NID",
    "NSAP",
    "NSEC",
    "NSEC3",
    "NSEC3PARAM",
    "OPENPGPKEY",
    "PX",
    "RP",
    "RRSIG",
    "RT",
    "SIG",
    "SMIMEA",
    "SPF",
    "SVCB",
    "URI",
    "NULL",
    "TYPE65534",
];

/// Types that are rare, or one vendor's own: no slips, however like another they look.
const RARE: [&str; 42] = [
    "A6", "AMTRELAY", "APP", "ATMA", "AVC", "BRID", "CLA", "DLV", "DOA", "DSYNC", "EID", "FRAME",
    "FWD", "HHIT", "HTTPRED", "IPN", "LUA", "MB", "MD", "MF", "MG", "MINFO", "MR", "NIMLOC",
    "NINFO", "NSAP-PTR", "NXT", "REDIRECT", "RESINFO", "RKEY", "SINK", "TA", "TALINK", "UID",
    "URL", "WALLET", "WINS", "WINSR", "WINS-R", "WKS", "WR", "X25",
];

/// What is to be done with a record of a type.
pub(super) enum RecordKind {
    /// Its data are read.
    Read(RecordType),
    /// It is passed over.
    Passed {
        name: String,
        /// Whether such a type is known.
        is_known: bool,
    },
}

/// The columns of an entry before its data.
pub(super) struct Header {
    /// The TTL in seconds, if it is stated.
    pub(super) ttl: Option<u32>,
    pub(super) kind: RecordKind,
    /// The place of the first word of the data among the tokens.
    pub(super) data: usize,
}

/// Whether a type means something to mail.
pub(super) fn is_of_mail(record_type: RecordType) -> bool {
    !matches!(
        record_type,
        RecordType::CAA | RecordType::HINFO | RecordType::NAPTR | RecordType::SSHFP
    )
}

/// Whether a type that is passed over is too common to be worth a word.
pub(super) fn is_well_known(name: &str) -> bool {
    READ.contains(&name) || WELL_KNOWN.contains(&name)
}

/// Reads `[TTL] [class] type` (in either order of the first two), from a token on.
pub(super) fn header(
    words: &Words<'_>,
    entry: &ZoneEntry,
    start: usize,
) -> Result<Header, ZoneMistake> {
    let mut stated = None;
    let is_file = words.manner.is_file;
    for (index, range) in entry.tokens.iter().enumerate().skip(start) {
        let token = words.token(range);
        let rest = &entry.tokens[index + 1..];
        let is_lower = token.bytes().any(|octet| octet.is_ascii_lowercase());
        let upper = match is_lower {
            true => Cow::Owned(token.to_ascii_uppercase()),
            false => Cow::Borrowed(token),
        };
        match &*upper {
            "IN" | "CLASS1" => {}
            class @ ("CH" | "CS" | "HS") => {
                return Err(words.at(
                    range,
                    format!("found class {class}, expected IN, the only class mail uses"),
                ));
            }
            // A time stamp of Windows' name server.
            age if is_file && is_age(age) => {}
            _ if token.starts_with(|c: char| c.is_ascii_digit()) => {
                stated = Some(ttl(words, range)?);
            }
            word => {
                return Ok(Header {
                    ttl: stated,
                    kind: kind(words, word, range, rest)?,
                    data: index + 1,
                });
            }
        }
    }
    let last = entry.tokens.last().expect("an entry has tokens");
    Err(words.at(
        last,
        format!(
            "found {:?} and no record type after it, expected one of {}",
            words.token(last),
            READ.join(", ")
        ),
    ))
}

/// Whether a token is `[AGE:n]`.
fn is_age(token: &str) -> bool {
    let number = token
        .strip_prefix("[AGE:")
        .and_then(|rest| rest.strip_suffix(']'));
    number.is_some_and(|number| number.bytes().all(|octet| octet.is_ascii_digit()))
}

/// What is done with a record of this type. In somebody else's file an unknown word may be a type;
/// one that is a letter away from a known type is a slip.
fn kind(
    words: &Words<'_>,
    word: &str,
    range: &Range<usize>,
    data: &[Range<usize>],
) -> Result<RecordKind, ZoneMistake> {
    let passed = |name: &str, is_known| {
        Ok(RecordKind::Passed {
            name: name.to_owned(),
            is_known,
        })
    };
    let is_file = words.manner.is_file;
    if is_file && is_providers_own(words, word, data) {
        return passed("ALIAS", true);
    }
    // TYPE15 is MX (RFC 3597 section 5).
    let number = word
        .strip_prefix("TYPE")
        .and_then(|number| number.parse::<u16>().ok());
    let record_type = match number {
        Some(number) => Some(RecordType::from(number)),
        None => word.parse().ok(),
    };
    if let Some(known) = record_type.filter(|known| READ.contains(&<&str>::from(*known))) {
        return Ok(RecordKind::Read(known));
    }
    let is_known = number.is_some() || WELL_KNOWN.contains(&word) || RARE.contains(&word);
    let is_word = word.starts_with(|c: char| c.is_ascii_alphabetic())
        && word
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
    let is_slip = || {
        let mut known = READ.iter();
        known.any(|known| strsim::damerau_levenshtein(word, known) == 1)
    };
    if is_file && (is_known || (is_word && !data.is_empty() && !is_slip())) {
        passed(word, is_known)
    } else {
        Err(words.at(
            range,
            not_allowed(words.token(range), "a record type", &READ),
        ))
    }
}

/// Whether a record is a provider's word for addresses that its name servers put there: Route 53's
/// `AWS ALIAS`, and the pages of a hoster, an address record whose data are words (`A Parked`).
fn is_providers_own(words: &Words<'_>, word: &str, data: &[Range<usize>]) -> bool {
    let mut data = data.iter().map(|range| words.token(range));
    match word {
        "AWS" => data
            .next()
            .is_some_and(|next| next.eq_ignore_ascii_case("ALIAS")),
        "A" => {
            let is_title = |word: &str| {
                word.starts_with(|c: char| c.is_ascii_uppercase())
                    && word.bytes().all(|octet| octet.is_ascii_alphabetic())
            };
            data.len() > 0 && data.all(is_title)
        }
        _ => false,
    }
}
