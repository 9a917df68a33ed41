//! Zone-file text (RFC 1035 section 5.1) into records, with the place of every mistake.
//!
//! Entries are split and their owner, TTL, class and type are read here, because hickory's zone
//! parser does not say where a record is wrong. The data of each record is hickory's to parse.

use std::{net::IpAddr, ops::Range};

use hickory_proto::{
    rr::{
        Name, RData, Record, RecordType,
        rdata::{CNAME, MX, NS, PTR, SRV},
    },
    serialize::txt::{Parser, parse_ttl},
};

pub(crate) use super::entries::ZoneMistake;
use super::entries::{Entry, MAX_MISTAKES, entries};
use crate::{
    name::Domain,
    scenario::mistake::{nearest, not_allowed},
};

/// TTL in seconds of a record that states none and follows no `$TTL`.
const DEFAULT_TTL: u32 = 300;

const TYPES: [&str; 14] = [
    "A", "AAAA", "CAA", "CNAME", "HINFO", "MX", "NAPTR", "NS", "PTR", "SOA", "SRV", "SSHFP",
    "TLSA", "TXT",
];

/// Types that mean something to mail. Of another's file, others are passed over.
const TYPES_OF_MAIL: [&str; 10] = [
    "A", "AAAA", "CNAME", "MX", "NS", "PTR", "SOA", "SRV", "TLSA", "TXT",
];

/// Types that zone files have and hickory does not know by name.
const MORE_TYPES: [&str; 28] = [
    "AFSDB", "ALIAS", "ANAME", "APL", "CERT", "DHCID", "DNAME", "EUI48", "EUI64", "GPOS", "HIP",
    "HTTPS", "IPSECKEY", "ISDN", "KX", "L32", "L64", "LOC", "LP", "NID", "NSAP", "PX", "RP", "RT",
    "SMIMEA", "SPF", "SVCB", "URI",
];

/// A zone file of somebody else's.
#[derive(Debug, Default)]
pub(crate) struct Written {
    /// The records that mean something to mail, each with its offset in the text.
    pub(crate) records: Vec<(usize, Record)>,
    /// The others, by owner and type.
    pub(crate) others: Vec<(Domain, String)>,
    /// The names that `$ORIGIN` gives.
    pub(crate) origins: Vec<Domain>,
}

/// All records of a zone text in its order, or the mistakes in it.
pub(crate) fn parse(text: &str) -> Result<Vec<Record>, Vec<ZoneMistake>> {
    let written = read(text, Name::root(), false)?;
    Ok(written
        .records
        .into_iter()
        .map(|(_, record)| record)
        .collect())
}

/// Reads a zone file as it is found elsewhere: types that mean nothing to mail are passed over, and a
/// record without a TTL has that of the one before it (RFC 1035 section 5.1).
pub(crate) fn parse_file(text: &str, origin: &Domain) -> Result<Written, Vec<ZoneMistake>> {
    read(text, origin.to_wire(), true)
}

fn read(text: &str, origin: Name, is_file: bool) -> Result<Written, Vec<ZoneMistake>> {
    let mut context = Context {
        text,
        origin,
        ttl: None,
        owner: None,
        is_file,
        stated_ttl: None,
        written: Written::default(),
    };
    let mut mistakes = Vec::new();
    for entry in entries(text, &mut mistakes) {
        if mistakes.len() >= MAX_MISTAKES {
            break;
        }
        let offset = entry.tokens[0].start;
        match context.read(&entry) {
            Ok(record) => {
                let record = record.map(|record| (offset, record));
                context.written.records.extend(record);
            }
            Err(mistake) => mistakes.push(mistake),
        }
    }
    if mistakes.is_empty() {
        Ok(context.written)
    } else {
        Err(mistakes)
    }
}

/// What earlier entries mean for later ones.
struct Context<'a> {
    text: &'a str,
    origin: Name,
    ttl: Option<u32>,
    owner: Option<Name>,
    /// Whether this is somebody else's file.
    is_file: bool,
    /// The TTL that a record stated last.
    stated_ttl: Option<u32>,
    written: Written,
}

/// The type and class columns of an entry, and where its data starts among the tokens.
struct Header {
    ttl: Option<u32>,
    record_type: RecordType,
    data: usize,
}

impl Context<'_> {
    fn token(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    fn read(&mut self, entry: &Entry) -> Result<Option<Record>, ZoneMistake> {
        let first = &entry.tokens[0];
        if self.token(first).starts_with('$') {
            return self.directive(entry).map(|()| None);
        }
        let owner = if entry.inherits_owner {
            self.owner.clone().ok_or_else(|| {
                at(
                    first,
                    "found no owner name, expected one: no record stands before this line",
                )
            })?
        } else {
            self.name(first)?
        };
        let owner = self.soa_owner(entry, owner);
        self.owner = Some(owner.clone());
        let start = usize::from(!entry.inherits_owner);
        if let Some(other) = self.other_type(entry, start).filter(|_| self.is_file) {
            self.written.others.push((Domain::from(&owner), other));
            return Ok(None);
        }
        let header = self.header(entry, start)?;
        self.stated_ttl = header.ttl.or(self.stated_ttl);
        let data = &entry.tokens[header.data..];
        self.check_data(header.record_type, data, entry)?;
        self.record(&owner, &header, data).map(Some)
    }

    fn directive(&mut self, entry: &Entry) -> Result<(), ZoneMistake> {
        let first = &entry.tokens[0];
        let argument = entry.tokens.get(1);
        let needed = |what: &str| {
            at(
                first,
                format!(
                    "found {} alone, expected {what} after it",
                    &self.text[first.clone()]
                ),
            )
        };
        match self.token(first).to_ascii_uppercase().as_str() {
            "$ORIGIN" => {
                self.origin = self.name(argument.ok_or_else(|| needed("a domain name"))?)?;
                self.written.origins.push(Domain::from(&self.origin));
            }
            "$TTL" => {
                let argument = argument.ok_or_else(|| needed("a number of seconds"))?;
                let seconds = parse_ttl(self.token(argument)).map_err(|_| {
                    at(argument, format!("found TTL {:?}, expected seconds (0 to 4294967295) or a form such as 1h", self.token(argument)))
                })?;
                self.ttl = Some(seconds);
            }
            "$INCLUDE" | "$GENERATE" => {
                return Err(at(
                    first,
                    format!(
                        "found {}, which is not followed; expected the records themselves",
                        self.token(first)
                    ),
                ));
            }
            other => {
                return Err(at(
                    first,
                    not_allowed(other, "a directive", &["$ORIGIN", "$TTL"]),
                ));
            }
        }
        Ok(())
    }

    /// The owner of an entry. Some exports leave out the final dot of that of the SOA record alone: it is
    /// the origin then, and not below it.
    fn soa_owner(&self, entry: &Entry, owner: Name) -> Name {
        let origin = self.origin.to_ascii();
        let first = self.token(&entry.tokens[0]);
        let is_origin = first.eq_ignore_ascii_case(origin.trim_end_matches('.'));
        let mut words = entry.tokens.iter().map(|range| self.token(range));
        let is_soa = words.any(|word| word.eq_ignore_ascii_case("SOA"));
        match self.is_file && !entry.inherits_owner && is_origin && is_soa {
            true => self.origin.clone(),
            false => owner,
        }
    }

    /// The type of an entry, where it means nothing to mail.
    fn other_type(&self, entry: &Entry, start: usize) -> Option<String> {
        let words = entry.tokens.iter().skip(start);
        let mut words = words.map(|range| self.token(range));
        // Route 53 has a class of its own, for aliases that its name servers follow.
        if words
            .clone()
            .take(2)
            .any(|word| word.eq_ignore_ascii_case("AWS"))
        {
            return Some("ALIAS".to_owned());
        }
        // Another provider's word for its own page.
        let last = entry.tokens.last().map(|range| self.token(range));
        if last.is_some_and(|last| last.eq_ignore_ascii_case("Parked")) {
            return Some("ALIAS".to_owned());
        }
        let word = words.find(|word| {
            !word.eq_ignore_ascii_case("IN") && !word.starts_with(|c: char| c.is_ascii_digit())
        })?;
        let word = word.to_ascii_uppercase();
        let generic = word
            .strip_prefix("TYPE")
            .is_some_and(|number| number.parse::<u16>().is_ok());
        let known = generic
            || MORE_TYPES.contains(&&*word)
            || matches!(word.parse::<RecordType>(), Ok(known) if !matches!(known, RecordType::Unknown(_)));
        (known && !TYPES_OF_MAIL.contains(&&*word)).then_some(word)
    }

    /// Reads `[TTL] [class] type` (in either order of the first two), from a token on.
    fn header(&self, entry: &Entry, start: usize) -> Result<Header, ZoneMistake> {
        let mut ttl = None;
        for (index, range) in entry.tokens.iter().enumerate().skip(start) {
            let token = self.token(range);
            match token.to_ascii_uppercase().as_str() {
                "IN" => {}
                class @ ("CH" | "CS" | "HS") => {
                    return Err(at(
                        range,
                        format!("found class {class}, expected IN, the only class mail uses"),
                    ));
                }
                _ if token.starts_with(|c: char| c.is_ascii_digit()) => {
                    ttl = Some(parse_ttl(token).map_err(|_| {
                        at(range, format!("found TTL {token:?}, expected seconds (0 to 4294967295) or a form such as 1h"))
                    })?);
                }
                name => {
                    let record_type = TYPES
                        .contains(&name)
                        .then(|| name.parse().ok())
                        .flatten()
                        .ok_or_else(|| at(range, not_allowed(token, "a record type", &TYPES)))?;
                    return Ok(Header {
                        ttl,
                        record_type,
                        data: index + 1,
                    });
                }
            }
        }
        let last = entry.tokens.last().expect("an entry has tokens");
        Err(at(
            last,
            format!(
                "found {:?} and no record type after it, expected one of {}",
                self.token(last),
                TYPES.join(", ")
            ),
        ))
    }

    /// The checks that can name the very token that is wrong.
    fn check_data(
        &self,
        record_type: RecordType,
        data: &[Range<usize>],
        entry: &Entry,
    ) -> Result<(), ZoneMistake> {
        let expected = match record_type {
            RecordType::A => vec![Field::Address4],
            RecordType::AAAA => vec![Field::Address6],
            RecordType::MX => vec![Field::Number("preference"), Field::Name],
            RecordType::CNAME | RecordType::NS | RecordType::PTR => vec![Field::Name],
            RecordType::SRV => {
                vec![
                    Field::Number("priority"),
                    Field::Number("weight"),
                    Field::Number("port"),
                    Field::Name,
                ]
            }
            _ => vec![],
        };
        let end = entry.tokens.last().expect("an entry has tokens");
        for (index, field) in expected.iter().enumerate() {
            let range = data.get(index).ok_or_else(|| ZoneMistake {
                offset: end.end,
                message: format!(
                    "found the end of the {record_type} record, expected {}",
                    field.describe()
                ),
            })?;
            self.check_field(field, range)?;
        }
        match data.get(expected.len()) {
            Some(extra) if !expected.is_empty() => Err(at(
                extra,
                format!(
                    "found {:?}, expected the end of the {record_type} record",
                    self.token(extra)
                ),
            )),
            None if expected.is_empty() => Err(ZoneMistake {
                offset: end.end,
                message: format!("found a {record_type} record without data"),
            }),
            _ => Ok(()),
        }
    }

    fn check_field(&self, field: &Field, range: &Range<usize>) -> Result<(), ZoneMistake> {
        let token = self.token(range);
        let address = token.parse::<IpAddr>().ok();
        let right = match field {
            Field::Address4 => matches!(address, Some(IpAddr::V4(_))),
            Field::Address6 => matches!(address, Some(IpAddr::V6(_))),
            Field::Number(_) => token.parse::<u16>().is_ok(),
            Field::Name => return self.name(range).map(|_| ()),
        };
        if right {
            return Ok(());
        }
        let hint = match (field, address) {
            (Field::Address4, Some(IpAddr::V6(_))) => "; an IPv6 address goes into an AAAA record",
            (Field::Address6, Some(IpAddr::V4(_))) => "; an IPv4 address goes into an A record",
            (Field::Number(_), _) if token.parse::<u64>().is_ok_and(|number| number > 65535) => {
                "; the nearest allowed value is 65535"
            }
            _ => "",
        };
        Err(at(
            range,
            format!("found {token:?}, expected {}{hint}", field.describe()),
        ))
    }

    /// A name, relative ones completed by the origin.
    fn name(&self, range: &Range<usize>) -> Result<Name, ZoneMistake> {
        let written = self.token(range);
        if written == "@" {
            return Ok(self.origin.clone());
        }
        // Some exports put the origin behind labels.
        let token = match written.strip_suffix(".@") {
            Some(labels) if self.is_file => labels,
            _ => written,
        };
        let invalid = |reason: &dyn std::fmt::Display| {
            at(
                range,
                format!("found {token:?}, expected a domain name ({reason})"),
            )
        };
        let mut name = Name::from_utf8(token)
            .or_else(|_| Name::from_ascii(token))
            .map_err(|error| invalid(&error))?;
        if !token.ends_with('.') {
            name.set_fqdn(false);
            name = name
                .append_domain(&self.origin)
                .map_err(|error| invalid(&error))?;
        }
        name.set_fqdn(true);
        Ok(name)
    }

    /// The data of types that are made of names, whose labels may hold what host names may not.
    fn named_data(
        &self,
        record_type: RecordType,
        data: &[Range<usize>],
    ) -> Result<Option<RData>, ZoneMistake> {
        let name = |index: usize| self.name(&data[index]);
        // Checked before: the fields are there, and the numbers are numbers.
        let number = |index: usize| self.token(&data[index]).parse().unwrap_or(0);
        Ok(Some(match record_type {
            RecordType::MX => RData::MX(MX::new(number(0), name(1)?)),
            RecordType::CNAME => RData::CNAME(CNAME(name(0)?)),
            RecordType::NS => RData::NS(NS(name(0)?)),
            RecordType::PTR => RData::PTR(PTR(name(0)?)),
            RecordType::SRV => RData::SRV(SRV::new(number(0), number(1), number(2), name(3)?)),
            _ => return Ok(None),
        }))
    }

    fn record(
        &self,
        owner: &Name,
        header: &Header,
        data: &[Range<usize>],
    ) -> Result<Record, ZoneMistake> {
        let before = self.stated_ttl.filter(|_| self.is_file);
        let ttl = header.ttl.or(self.ttl).or(before).unwrap_or(DEFAULT_TTL);
        if let Some(data) = self.named_data(header.record_type, data)? {
            return Ok(Record::from_rdata(owner.clone(), ttl, data));
        }
        let origin = self.origin.to_ascii();
        let word = |range: &Range<usize>| match self.token(range) {
            "@" => origin.clone(),
            token => token.to_owned(),
        };
        let words: Vec<String> = data.iter().map(word).collect();
        let line = format!(
            "owner. {ttl} IN {} {}
",
            header.record_type,
            words.join(" ")
        );
        let wrong = |message: String| ZoneMistake {
            offset: data[0].start,
            message: format!(
                "found {:?}, expected the data of a {} record ({message})",
                words.join(" "),
                header.record_type
            ),
        };
        let (_, sets) = Parser::new(line, None, Some(self.origin.clone()))
            .parse()
            .map_err(|error| wrong(error.to_string()))?;
        let mut record = sets
            .values()
            .flat_map(|set| set.records_without_rrsigs())
            .next()
            .cloned()
            .ok_or_else(|| wrong("no record came of it".to_owned()))?;
        record.name = owner.clone();
        record.ttl = ttl;
        Ok(record)
    }
}

/// What a column of record data must be.
enum Field {
    Address4,
    Address6,
    Number(&'static str),
    Name,
}

impl Field {
    fn describe(&self) -> String {
        match self {
            Self::Address4 => "an IPv4 address (four numbers from 0 to 255)".to_owned(),
            Self::Address6 => "an IPv6 address".to_owned(),
            Self::Number(what) => format!("a {what} from 0 to 65535"),
            Self::Name => "a domain name".to_owned(),
        }
    }
}

fn at(range: &Range<usize>, message: impl Into<String>) -> ZoneMistake {
    ZoneMistake {
        offset: range.start,
        message: message.into(),
    }
}

/// The nearest of the names that own records, for a name that owns none.
pub(crate) fn nearest_name(found: &Domain, names: &[Domain]) -> Option<String> {
    nearest(found.as_str(), names.iter().map(Domain::as_str)).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<(usize, String)> {
        parse(text)
            .expect_err("a mistake")
            .into_iter()
            .map(|m| (m.offset, m.message))
            .collect()
    }

    #[test]
    fn a_zone_file_as_providers_export_it() {
        let text = "$ORIGIN example.test.\n$TTL 1h\n@ IN SOA ns hostmaster ( 1 2h ; refresh\n 3h 4w 5m )\n  IN NS ns\n\
            \tMX 10 mx1\nmx1 300 IN A 192.0.2.1\n\tIN 60 AAAA 2001:db8::1\n_dmarc TXT \"v=DMARC1; p=none\"\n\
            mail._domainkey IN TXT ( \"v=DKIM1; \" \"p=abc\" )\n1.2.0.192.in-addr.arpa. PTR mx1\n\
            _25._tcp.mx1 TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n\
            _submission._tcp SRV 0 1 587 mx1\n";
        let records = parse(text).expect("valid");
        let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
        assert_eq!(records.len(), 10, "{lines:#?}");
        assert_eq!(lines[2], "example.test. 3600 IN MX 10 mx1.example.test.");
        assert_eq!(records[3].ttl, 300);
        assert_eq!(records[4].ttl, 60);
    }

    #[test]
    fn underscores_may_stand_anywhere() {
        let text = "k_1._domainkey.a. TXT \"x\"\nmy_host.a. CNAME s_1.b_c.\na. MX 5 my_host.a.\n";
        assert_eq!(parse(text).expect("valid").len(), 3);
    }

    #[test]
    fn the_null_mx_parses() {
        assert_eq!(
            parse("example.test. 300 IN MX 0 .").expect("valid")[0]
                .data
                .to_string(),
            "0 ."
        );
    }

    #[test]
    fn each_mistake_is_found_at_its_token() {
        for (text, token) in [
            ("a. IN A 192.0.2.999", "192.0.2.999"),
            ("a. IN A 2001:db8::1", "2001:db8::1"),
            ("a. IN MX 65536 mx1", "65536"),
            ("a. IN MX -1 mx1", "-1"),
            ("a. IN MX ten mx1", "ten"),
            ("a. IN MX 10 a..b", "a..b"),
            ("a. IN MX 10 mx1 mx2", "mx2"),
            ("a. IN MXX 10 mx1", "MXX"),
            ("a. CH A 192.0.2.1", "CH"),
            ("$TLL 300", "$TLL"),
            ("$TTL x", "x"),
            ("$INCLUDE other", "$INCLUDE"),
            ("a. IN TXT \"open", "\"open"),
            ("a. IN SOA ns hostmaster ( 1 2", "( 1"),
            ("; a comment\n IN A 192.0.2.1", "IN"),
        ] {
            let found = mistakes(text);
            assert_eq!(
                found[0].0,
                text.find(token).expect("a token"),
                "{text}: {found:?}"
            );
        }
    }

    #[test]
    fn a_record_cut_short_is_a_mistake_not_a_panic() {
        for text in [
            "a.",
            "a. IN",
            "a. IN MX",
            "a. IN MX 10",
            "a. TXT",
            "a. SRV 1 2 3",
            "$ORIGIN",
            ")",
            "(",
            "\\",
            "\u{e9}\\",
            "a. IN TLSA 3 1",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
