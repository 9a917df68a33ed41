//! What BIND makes of a zone file, as sets of records, and mxdrill's reading held against it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use hickory_proto::{
    rr::{Name, RecordType},
    serialize::binary::{BinDecodable, BinEncodable},
};
use mxdrill::{name::Domain, records::Source};

/// The types that are compared with what BIND makes of a file.
const COMPARED: [RecordType; 4] = [
    RecordType::MX,
    RecordType::A,
    RecordType::AAAA,
    RecordType::TXT,
];

pub(crate) type Sets = BTreeMap<(Vec<u8>, u16), (u32, BTreeSet<Vec<u8>>)>;

/// The sets of records that named-compilezone makes of a file, in its raw form; nothing if it refuses it.
pub(crate) fn of_bind(folder: &Path, text: &str) -> Option<Sets> {
    fs::write(folder.join("zone"), text).expect("written");
    let output = Command::new("named-compilezone")
        .args([
            "-q", "-i", "none", "-k", "ignore", "-n", "ignore", "-m", "ignore", "-M", "ignore",
        ])
        .args([
            "-S", "ignore", "-T", "ignore", "-r", "ignore", "-F", "raw=0", "-o", "raw",
        ])
        .args(["example.test", "zone"])
        .current_dir(folder)
        .output()
        .expect("it runs");
    if !output.status.success() {
        return None;
    }
    let raw = fs::read(folder.join("raw")).expect("written");
    // Format, version, time; then sets: length, class, type, covered type, TTL, count, owner, data.
    let mut rest = &raw[12..];
    let number = |octets: &[u8]| {
        octets
            .iter()
            .fold(0_usize, |sum, octet| sum << 8 | usize::from(*octet))
    };
    let mut sets = Sets::new();
    while rest.len() >= 4 {
        let (set, after) = rest.split_at(number(&rest[..4]));
        rest = after;
        let record_type = u16::try_from(number(&set[6..8])).expect("two octets");
        let ttl = u32::try_from(number(&set[10..14])).expect("four octets");
        let count = number(&set[14..18]);
        let mut fields = &set[18..];
        let mut next = || {
            let (field, after) = fields[2..].split_at(number(&fields[..2]));
            fields = after;
            field.to_ascii_lowercase()
        };
        let owner = next();
        let data = (0..count).map(|_| next()).collect();
        sets.insert((owner, record_type), (ttl, data));
    }
    Some(sets)
}

/// Whether BIND's program is there.
pub(crate) fn has_bind() -> bool {
    let found = Command::new("named-compilezone").arg("-h").output().is_ok();
    if !found {
        eprintln!("skipped: named-compilezone is not installed");
    }
    found
}

/// Holds what mxdrill reads in a file against what BIND reads.
pub(crate) async fn compare(what: &str, text: &str, sets: &Sets) {
    let mut source = Source::default();
    let origin: Domain = "example.test".parse().expect("a name");
    source
        .add_text("a.zone", text, Some(&origin))
        .unwrap_or_else(|mistakes| panic!("{what}: BIND takes it: {mistakes}\n{text}"));
    let owners: BTreeSet<&Vec<u8>> = sets.keys().map(|(owner, _)| owner).collect();
    for owner in owners {
        let name = Name::from_bytes(owner).expect("a name");
        for record_type in COMPARED {
            // An alias is followed here, and below a DNAME there is nothing.
            let aliases = [RecordType::CNAME, RecordType::DNAME];
            let mut above = Domain::from(&name);
            let mut is_alias = false;
            loop {
                let wire = above.to_wire().to_bytes().expect("a name");
                is_alias |= aliases
                    .iter()
                    .any(|alias| sets.contains_key(&(wire.clone(), u16::from(*alias))));
                match above.parent() {
                    Some(parent) => above = parent,
                    None => break,
                }
            }
            if is_alias {
                continue;
            }
            let reply = source.ask(&Domain::from(&name), record_type).await;
            let expected = sets.get(&(owner.clone(), u16::from(record_type)));
            let found: BTreeSet<Vec<u8>> = reply
                .records()
                .iter()
                .map(|placed| {
                    placed
                        .record
                        .data
                        .to_bytes()
                        .expect("data")
                        .to_ascii_lowercase()
                })
                .collect();
            let wanted = expected.map(|(_, data)| data.clone()).unwrap_or_default();
            assert_eq!(found, wanted, "{what}: {name} {record_type}\n{text}");
            // BIND gives a set one TTL, the first; where nothing else is said, it holds for what follows too.
            let differ = !text.starts_with("$TTL") && what.starts_with("zone ");
            if let Some((ttl, _)) = expected.filter(|_| !differ) {
                let mut ttls = reply.records().iter().map(|placed| placed.record.ttl);
                assert!(
                    ttls.any(|found| found == *ttl),
                    "{what}: {name} {record_type} {ttl}\n{text}"
                );
            }
        }
    }
}
