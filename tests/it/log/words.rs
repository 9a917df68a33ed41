//! Words of a log: durations, names, addresses and records, written short.

use std::{net::IpAddr, time::Duration};

use hickory_proto::rr::{RData, Record, RecordType};
use mxdrill::{name::Domain, time::HumanDuration};

pub(super) fn span(text: &str) -> Duration {
    text.parse::<HumanDuration>().expect("a duration").0
}

pub(super) fn name(text: &str) -> Domain {
    match text.contains('.') {
        true => text.parse().expect("a name"),
        false => format!("{text}.example.test").parse().expect("a name"),
    }
}

pub(super) fn address_of(text: &str) -> IpAddr {
    let last = text.parse::<u8>();
    last.map_or_else(
        |_| text.parse().expect("an address"),
        |last| [192, 0, 2, last].into(),
    )
}

/// Records of one type, `alias NAME` first where the name is another one for it; `ttl=60` in front.
pub(super) fn records(owner: &Domain, record_type: RecordType, data: &str) -> Vec<Record> {
    let mut owner = owner.to_wire();
    let mut ttl = 300;
    let mut records = Vec::new();
    for data in data.split(", ") {
        let mut words: Vec<&str> = data.split_whitespace().collect();
        if let Some(seconds) = words[0].strip_prefix("ttl=") {
            ttl = seconds.parse().expect("seconds");
            words.remove(0);
        }
        let (record_type, data) = match (&words[..], record_type) {
            (["alias", target], _) => (RecordType::CNAME, format!("{}.", name(target))),
            ([preference, host], RecordType::MX) if *host != "." => {
                (RecordType::MX, format!("{preference} {}.", name(host)))
            }
            ([address], RecordType::A | RecordType::AAAA) => {
                (record_type, address_of(address).to_string())
            }
            (words, _) => (record_type, words.join(" ")),
        };
        let data = RData::try_from_str(record_type, &data).expect("record data");
        let alias = match &data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        };
        records.push(Record::from_rdata(owner.clone(), ttl, data));
        owner = alias.unwrap_or(owner);
    }
    records
}
