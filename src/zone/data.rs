//! The data of a record: its fields in zone-file text, to the octets of RFC 1035 section 3.3, to a value.
//!
//! Fields are read here and not by hickory's zone parser, which takes the escape `\DDD` for octal and does
//! not say where a field is wrong. [`present`](super::present) is the way back.
//!
//! Each type is a list of fields. The fields make octets, and the octets make hickory's value by
//! its own decoder: so a record in text and one in the generic form of RFC 3597 come out the same.

use std::{net::IpAddr, ops::Range};

use hickory_proto::{
    rr::{Name, RData, RecordType},
    serialize::{
        binary::{BinDecoder, Restrict},
        txt::parse_ttl,
    },
};

use super::{entries::ZoneMistake, words::Words};

/// Octets that a character string has at most: its length is one octet (RFC 1035 section 3.3).
const MAX_STRING: usize = 255;

/// What a field of record data must be.
#[derive(Debug, Clone, Copy)]
enum Field {
    // Names are what a mistake says was expected.
    Address4,
    Address6,
    /// A number of 8 bits.
    Octet(&'static str),
    /// A number of 16 bits.
    Number(&'static str),
    /// A number of 32 bits without units.
    Serial,
    /// A time of 32 bits, in seconds or with units such as `1h`.
    Period(&'static str),
    /// A domain name, completed by the origin.
    Name,
    /// One character string.
    String(&'static str),
    /// Character strings to the end, one at least.
    Strings,
    /// Octets in hexadecimal digits to the end, in as many words as you like.
    Hex,
    /// The rest of the data, without a length of its own.
    Value,
}

/// The fields of each type that is read.
fn fields(record_type: RecordType) -> &'static [Field] {
    use Field::{
        Address4, Address6, Hex, Name, Number, Octet, Period, Serial, String, Strings, Value,
    };
    match record_type {
        RecordType::A => &[Address4],
        RecordType::AAAA => &[Address6],
        RecordType::CNAME | RecordType::DNAME | RecordType::NS | RecordType::PTR => &[Name],
        RecordType::MX => &[Number("preference"), Name],
        RecordType::SRV => &[Number("priority"), Number("weight"), Number("port"), Name],
        RecordType::SOA => &[
            Name,
            Name,
            Serial,
            Period("refresh"),
            Period("retry"),
            Period("expire"),
            Period("minimum"),
        ],
        RecordType::TXT => &[Strings],
        RecordType::TLSA => &[
            Octet("certificate usage"),
            Octet("selector"),
            Octet("matching type"),
            Hex,
        ],
        RecordType::HINFO => &[String("CPU"), String("system")],
        RecordType::SSHFP => &[Octet("algorithm"), Octet("kind of digest"), Hex],
        RecordType::CAA => &[Octet("flags"), String("tag"), Value],
        RecordType::NAPTR => &[
            Number("order"),
            Number("preference"),
            String("flags"),
            String("service"),
            String("regular expression"),
            Name,
        ],
        _ => &[],
    }
}

/// Reads the data of a record, of which `tokens` are the words; `end` is the offset behind the record.
///
/// `tokens` may be empty, which is a mistake of every type.
pub(super) fn read(
    record_type: RecordType,
    words: &Words<'_>,
    tokens: &[Range<usize>],
    end: usize,
) -> Result<RData, ZoneMistake> {
    let first = tokens.first().map_or(end, |range| range.start);
    let octets = match tokens.first().map(|range| words.token(range)) {
        Some("\\#") => generic(record_type, words, tokens, end)?,
        _ => written(record_type, words, tokens, end)?,
    };
    of_octets(record_type, &octets).map_err(|reason| ZoneMistake {
        offset: first,
        message: format!(
            "found {} octets, expected the data of a {record_type} record ({reason})",
            octets.len()
        ),
        elsewhere: None,
    })
}

/// The value that octets are, as they stand in an answer.
///
/// Octets that are left over are a mistake, as those of a type with a fixed length may have.
pub(super) fn of_octets(record_type: RecordType, octets: &[u8]) -> Result<RData, String> {
    let length =
        u16::try_from(octets.len()).map_err(|_| "65535 octets are the most that fit".to_owned())?;
    let mut decoder = BinDecoder::new(octets);
    let data = RData::read(&mut decoder, record_type, Restrict::new(length))
        .map_err(|error| error.to_string())?;
    if decoder.is_empty() {
        Ok(data)
    } else {
        Err("too many of them".to_owned())
    }
}

/// `\# LENGTH HEX`, which may stand for the data of any type (RFC 3597 section 5).
fn generic(
    record_type: RecordType,
    words: &Words<'_>,
    tokens: &[Range<usize>],
    end: usize,
) -> Result<Vec<u8>, ZoneMistake> {
    let expected = "expected the number of octets, such as \\# 4 c0000201";
    let Some(length) = tokens.get(1) else {
        return Err(missing(record_type, "the number of octets", end));
    };
    let Ok(wanted) = words.token(length).parse::<u16>() else {
        let message = format!("found {:?}, {expected}", words.token(length));
        return Err(words.at(length, message));
    };
    let octets = hex(words, &tokens[2..])?;
    if octets.len() == usize::from(wanted) {
        Ok(octets)
    } else {
        Err(words.at(
            length,
            format!("found {} octets, expected {wanted} of them", octets.len()),
        ))
    }
}

/// The octets of data that is written in the form of its type.
fn written(
    record_type: RecordType,
    words: &Words<'_>,
    tokens: &[Range<usize>],
    end: usize,
) -> Result<Vec<u8>, ZoneMistake> {
    let mut octets = Vec::new();
    let mut rest = tokens;
    for field in fields(record_type) {
        let Some((range, after)) = rest.split_first() else {
            return Err(missing(record_type, &field.describe(), end));
        };
        match field {
            Field::Strings => {
                for range in std::mem::take(&mut rest) {
                    string(words, range, &mut octets)?;
                }
            }
            Field::Hex => octets.append(&mut hex(words, std::mem::take(&mut rest))?),
            Field::Value => {
                octets.append(&mut words.string(range)?);
                rest = after;
            }
            _ => {
                one(*field, words, range, &mut octets)?;
                rest = after;
            }
        }
    }
    match rest.first() {
        Some(extra) => Err(words.at(
            extra,
            format!(
                "found {:?}, expected the end of the {record_type} record",
                words.token(extra)
            ),
        )),
        None => Ok(octets),
    }
}

/// The mistake that a record ends too early.
fn missing(record_type: RecordType, what: &str, end: usize) -> ZoneMistake {
    ZoneMistake {
        offset: end,
        message: format!("found the end of the {record_type} record, expected {what}"),
        elsewhere: None,
    }
}

/// Reads a field of one word.
fn one(
    field: Field,
    words: &Words<'_>,
    range: &Range<usize>,
    octets: &mut Vec<u8>,
) -> Result<(), ZoneMistake> {
    let token = words.token(range);
    // Rust's numbers may have a sign.
    let is_number = token.bytes().all(|octet| octet.is_ascii_digit());
    let number = || token.parse::<u64>().ok().filter(|_| is_number);
    let wrong = || words.at(range, format!("found {token:?}, {}", field.expected(token)));
    match field {
        Field::Address4 | Field::Address6 => match (field, token.parse::<IpAddr>()) {
            (Field::Address4, Ok(IpAddr::V4(address))) => octets.extend(address.octets()),
            (Field::Address6, Ok(IpAddr::V6(address))) => octets.extend(address.octets()),
            _ => return Err(wrong()),
        },
        Field::Octet(_) => {
            let number = number().and_then(|number| u8::try_from(number).ok());
            octets.push(number.ok_or_else(wrong)?);
        }
        Field::Number(_) => {
            let number = number().and_then(|number| u16::try_from(number).ok());
            octets.extend(number.ok_or_else(wrong)?.to_be_bytes());
        }
        Field::Serial => {
            let number = number().and_then(|number| u32::try_from(number).ok());
            octets.extend(number.ok_or_else(wrong)?.to_be_bytes());
        }
        Field::Period(_) => octets.extend(parse_ttl(token).map_err(|_| wrong())?.to_be_bytes()),
        Field::Name => wire(&words.name(range)?, octets),
        Field::String(_) => string(words, range, octets)?,
        Field::Strings | Field::Hex | Field::Value => {}
    }
    Ok(())
}

/// A character string with its length before it.
fn string(
    words: &Words<'_>,
    range: &Range<usize>,
    octets: &mut Vec<u8>,
) -> Result<(), ZoneMistake> {
    let string = words.string(range)?;
    let Ok(length) = u8::try_from(string.len()) else {
        let message = format!(
            "found a string of {} octets, expected {MAX_STRING} at most; split it into several strings",
            string.len()
        );
        return Err(words.at(range, message));
    };
    octets.push(length);
    octets.extend(string);
    Ok(())
}

/// Octets in hexadecimal digits, which may be split into words at any place.
fn hex(words: &Words<'_>, tokens: &[Range<usize>]) -> Result<Vec<u8>, ZoneMistake> {
    let mut digits = Vec::new();
    for range in tokens {
        for digit in words.token(range).chars() {
            let Some(value) = digit.to_digit(16) else {
                let message = format!(
                    "found {:?}, expected octets in hexadecimal digits",
                    words.token(range)
                );
                return Err(words.at(range, message));
            };
            digits.push(u8::try_from(value).unwrap_or(0));
        }
    }
    let (pairs, rest) = digits.as_chunks::<2>();
    match (rest, tokens.last()) {
        ([_], Some(last)) => Err(words.at(
            last,
            format!(
                "found {} hexadecimal digits, expected two for each octet",
                digits.len()
            ),
        )),
        _ => Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect()),
    }
}

/// A name as it stands in record data, without compression.
///
/// A record from text never points into another one: compression is for messages (RFC 1035 section
/// 4.1.4).
fn wire(name: &Name, octets: &mut Vec<u8>) {
    for label in name {
        octets.push(u8::try_from(label.len()).expect("a label has 63 octets at most"));
        octets.extend(label);
    }
    octets.push(0);
}

impl Field {
    /// What a field must be, in a mistake.
    fn describe(self) -> String {
        match self {
            Self::Address4 => "an IPv4 address (four numbers from 0 to 255)".to_owned(),
            Self::Address6 => "an IPv6 address".to_owned(),
            Self::Octet(what) => format!("a {what} from 0 to 255"),
            Self::Number(what) => format!("a {what} from 0 to 65535"),
            Self::Serial => "a serial number from 0 to 4294967295".to_owned(),
            Self::Period(what) => format!("a {what} time in seconds or in a form such as 1h"),
            Self::Name => "a domain name".to_owned(),
            Self::String(what) => format!("a string, the {what}"),
            Self::Strings => "one string or more".to_owned(),
            Self::Hex => "octets in hexadecimal digits".to_owned(),
            Self::Value => "a value".to_owned(),
        }
    }

    /// What was expected of a field, with a hint where it is clear what was meant.
    fn expected(self, found: &str) -> String {
        let hint = match (self, found.parse::<IpAddr>()) {
            (Self::Address4, Ok(_)) => "; an IPv6 address goes into an AAAA record",
            (Self::Address6, Ok(_)) => "; an IPv4 address goes into an A record",
            (Self::Number(_), _) if found.parse::<u64>().is_ok() => {
                "; the nearest allowed value is 65535"
            }
            (Self::Octet(_), _) if found.parse::<u64>().is_ok() => {
                "; the nearest allowed value is 255"
            }
            _ => "",
        };
        format!("expected {}{hint}", self.describe())
    }
}
