//! A record as zone-file text (RFC 1035 section 5.1) that can be read again, whatever octets it has.
//!
//! What it writes, `text` reads as the same record; a test holds the two against each other.

use std::fmt::Write;

use hickory_proto::{
    rr::{Name, RData, Record, RecordType},
    serialize::binary::{BinEncodable, BinEncoder},
};

use crate::name;

/// A record as a line: absolute names, TTL, class, type and data.
pub(crate) fn record(record: &Record) -> String {
    format!(
        "{} {} IN {} {}",
        absolute(&record.name),
        record.ttl,
        type_name(record.record_type()),
        data(&record.data)
    )
}

/// The data of a record; of a type without a text form of its own in the one of RFC 3597 section 5.
pub(crate) fn data(data: &RData) -> String {
    match data {
        RData::A(address) => address.to_string(),
        RData::AAAA(address) => address.to_string(),
        RData::MX(mx) => format!("{} {}", mx.preference, absolute(&mx.exchange)),
        RData::CNAME(target) => absolute(&target.0),
        RData::NS(target) => absolute(&target.0),
        RData::PTR(target) => absolute(&target.0),
        RData::SRV(srv) => format!(
            "{} {} {} {}",
            srv.priority,
            srv.weight,
            srv.port,
            absolute(&srv.target)
        ),
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            absolute(&soa.mname),
            absolute(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::TXT(txt) if !txt.txt_data.is_empty() => {
            let strings: Vec<String> = txt.txt_data.iter().map(|string| quoted(string)).collect();
            strings.join(" ")
        }
        RData::TLSA(tlsa) => format!(
            "{} {} {} {}",
            u8::from(tlsa.cert_usage),
            u8::from(tlsa.selector),
            u8::from(tlsa.matching),
            hex(&tlsa.cert_data)
        ),
        other => generic(other),
    }
}

/// A character string in quotes, with the escapes that it needs.
pub(crate) fn quoted(string: &[u8]) -> String {
    let mut text = String::from("\"");
    for octet in string {
        match octet {
            b'"' | b'\\' => text.extend(['\\', char::from(*octet)]),
            b' '..=b'~' => text.push(char::from(*octet)),
            _ => write!(text, "\\{octet:03}").expect("a string takes it all"),
        }
    }
    text.push('"');
    text
}

/// A name with its final dot.
pub(crate) fn absolute(name: &Name) -> String {
    if name.is_root() {
        ".".to_owned()
    } else {
        name::written(name) + "."
    }
}

/// The name of a type; `TYPE` and its number if it has none (RFC 3597 section 5).
fn type_name(record_type: RecordType) -> String {
    match record_type {
        RecordType::Unknown(number) => format!("TYPE{number}"),
        known => known.to_string(),
    }
}

/// Data in the generic form, `\# LENGTH HEX` (RFC 3597 section 5).
fn generic(data: &RData) -> String {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    match data.emit(&mut encoder) {
        Ok(()) => format!("\\# {} {}", octets.len(), hex(&octets)),
        Err(error) => format!("({error})"),
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        write!(text, "{octet:02x}").expect("a string takes it all");
        text
    })
}

#[cfg(test)]
mod tests {
    use hickory_proto::rr::{
        Record,
        rdata::{MX, SOA, TXT},
    };
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::zone::text;

    fn name() -> impl Strategy<Value = Name> {
        vec(vec(any::<u8>(), 1..=8), 0..=5).prop_map(|labels| {
            Name::from_labels(labels.iter().map(Vec::as_slice)).expect("they fit")
        })
    }

    fn data_of_any_kind() -> impl Strategy<Value = RData> {
        let strings = vec(vec(any::<u8>(), 0..=255), 1..=3);
        prop_oneof![
            strings.prop_map(|strings| {
                let strings = strings.iter().map(Vec::as_slice).collect();
                RData::TXT(TXT::from_bytes(strings))
            }),
            (any::<u16>(), name())
                .prop_map(|(preference, host)| { RData::MX(MX::new(preference, host)) }),
            (name(), name(), any::<u32>()).prop_map(|(primary, contact, serial)| {
                RData::SOA(SOA::new(primary, contact, serial, 1, 2, 3, 4))
            }),
            any::<[u8; 4]>().prop_map(|octets| RData::A(std::net::Ipv4Addr::from(octets).into())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(owner in name(), ttl in any::<u32>(), data in data_of_any_kind()) {
            let record = Record::from_rdata(owner, ttl, data);
            let line = super::record(&record);
            let read = text::parse(&line).map_err(|mistakes| TestCaseError::fail(format!("{line}: {mistakes:?}")))?;
            prop_assert_eq!(&read[..], &[record][..], "{}", line);
        }
    }

    #[test]
    fn a_type_without_a_text_of_its_own_is_read_again() {
        for line in [
            "a. 300 IN DNAME b.\\032c.",
            "a. 300 IN CAA 128 issue \"ca.test; x=\\\"1\\\"\"",
            "_25._tcp.a. 300 IN TLSA 3 1 1 00ff",
            "a. 300 IN TYPE16 \\# 3 026869",
            "a. 300 IN HINFO \"x y\" z",
        ] {
            let read = text::parse(line).expect("valid");
            let again = text::parse(&record(&read[0])).expect("valid");
            assert_eq!(read, again, "{line}");
        }
    }
}
