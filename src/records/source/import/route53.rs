//! What `aws route53 list-resource-record-sets` prints: sets of records in JSON, their data as in a zone file.

use std::collections::BTreeSet;

use super::{
    Imported, ImportedLine, refusal,
    tree::{self, Node, Place, Value},
};
use crate::diagnostic::{Mistake, Mistakes};

/// TTL in seconds of an alias, which has none of its own; Route 53 gives 60 for most targets.
const ALIAS_TTL: u32 = 60;
/// Keys of a set by which Route 53 answers one client this and another that.
const ROUTING: [&str; 10] = [
    "SetIdentifier",
    "Weight",
    "Region",
    "GeoLocation",
    "GeoProximityLocation",
    "CidrRoutingConfig",
    "Failover",
    "MultiValueAnswer",
    "HealthCheckId",
    "TrafficPolicyInstanceId",
];

/// Reads it.
pub(super) fn read(path: &str, text: &str) -> Result<Imported, Mistakes> {
    let root = tree::json(path, text)?;
    let wrong = |node: &Node, message: String| Mistakes(vec![node.place.mistake(path, message)]);
    let Some(sets) = root.get("ResourceRecordSets") else {
        let message = "found no \"ResourceRecordSets\", expected what `aws route53 list-resource-record-sets` prints";
        return Err(wrong(&root, message.to_owned()));
    };
    let Value::List(members) = &sets.value else {
        return Err(wrong(
            sets,
            format!("found {}, expected a list of sets", sets.kind()),
        ));
    };
    let is_cut = |key: &str| {
        let value = root.get(key).and_then(Node::text);
        value.is_some_and(|value| !matches!(value, "" | "null" | "false"))
    };
    if is_cut("NextToken") || is_cut("IsTruncated") {
        let message =
            "found a list that goes on elsewhere (NextToken, IsTruncated), expected all of it";
        return Err(wrong(&root, message.to_owned()));
    }
    let mut imported = Imported::default();
    let mut mistakes = Vec::new();
    let (mut routed, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    for set in members {
        match lines(path, set) {
            Ok(lines) => imported.lines.extend(lines),
            Err(mistake) => mistakes.push(mistake),
        }
        for (key, _) in set.table() {
            if ROUTING.contains(&&**key) {
                routed.extend(set.get("Name").and_then(Node::text));
            } else if !matches!(
                &**key,
                "Name" | "Type" | "TTL" | "ResourceRecords" | "AliasTarget"
            ) {
                unknown.insert(&**key);
            }
        }
    }
    let listed = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    if !routed.is_empty() {
        imported.notes.push(format!(
            "{path}: sets with a routing policy are taken as if all of them were answered: {}",
            listed(routed)
        ));
    }
    if !unknown.is_empty() {
        imported.notes.push(format!(
            "{path}: keys of sets that mean nothing here are passed over: {}",
            listed(unknown)
        ));
    }
    match mistakes.is_empty() {
        true => Ok(imported),
        false => Err(Mistakes(mistakes)),
    }
}

/// The records of a set.
fn lines(path: &str, set: &Node) -> Result<Vec<ImportedLine>, Mistake> {
    let wrong = |node: &Node, message: String| node.place.mistake(path, message);
    let field = |key: &str| {
        let text = set.get(key).and_then(Node::text);
        text.ok_or_else(|| {
            wrong(
                set,
                format!("found a set without {key:?}, expected its text"),
            )
        })
    };
    let (name, kind) = (decimal(field("Name")?), field("Type")?);
    let name = format!("{}.", name.trim_end_matches('.'));
    if refusal(&name).is_some() || name.contains([' ', '"']) {
        return Err(wrong(set, format!("found {name:?}, expected a name")));
    }
    if kind.is_empty() || !kind.bytes().all(|octet| octet.is_ascii_alphanumeric()) {
        return Err(wrong(
            set,
            format!("found the type {kind:?}, expected one such as \"MX\""),
        ));
    }
    if let Some(alias) = set.get("AliasTarget") {
        let target = alias.get("DNSName").and_then(Node::text);
        let target = target
            .map(decimal)
            .filter(|target| refusal(target).is_none());
        return match (target, kind) {
            // The zone reader knows of ALIAS that the addresses are to be had elsewhere.
            (Some(target), "A" | "AAAA") => {
                Ok(vec![line(alias.place, &name, ALIAS_TTL, "ALIAS", &target)])
            }
            (Some(_), kind) => Err(wrong(
                alias,
                format!(
                    "found an alias of type {kind}, which is known to Route 53 alone, expected the records"
                ),
            )),
            (None, _) => Err(wrong(
                alias,
                "found an alias without \"DNSName\"".to_owned(),
            )),
        };
    }
    let ttl = field("TTL")?;
    let ttl: u32 = ttl
        .parse()
        .map_err(|_| wrong(set, format!("found the TTL {ttl:?}, expected seconds")))?;
    let Some(records) = set.get("ResourceRecords") else {
        let message = "found a set without \"ResourceRecords\" and without \"AliasTarget\"";
        return Err(wrong(set, message.to_owned()));
    };
    let mut lines = Vec::new();
    for record in records.members() {
        let Some((node, value)) = record
            .get("Value")
            .and_then(|node| Some((node, decimal(node.text()?))))
        else {
            let message = format!("found {}, expected {{\"Value\": \"...\"}}", record.kind());
            return Err(wrong(record, message));
        };
        if let Some(message) = refusal(&value) {
            return Err(wrong(node, message));
        }
        lines.push(line(node.place, &name, ttl, kind, &value));
    }
    match lines.is_empty() {
        true => Err(wrong(records, "found no record in the set".to_owned())),
        false => Ok(lines),
    }
}

fn line(place: Place, name: &str, ttl: u32, kind: &str, data: &str) -> ImportedLine {
    ImportedLine {
        place,
        text: format!("{name} {ttl} IN {kind} {data}"),
    }
}

/// Route 53 writes octets in octal (`\052` is `*`), zone files in decimal.
fn decimal(text: &str) -> String {
    let mut decimal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, behind) = rest.split_at(at);
        decimal.push_str(before);
        let octal = behind.get(1..4).filter(|digits| {
            digits.bytes().all(|digit| matches!(digit, b'0'..=b'7')) && digits < &"400"
        });
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(b'*') => decimal.push('*'),
            Some(octet) => decimal.push_str(&format!("\\{octet:03}")),
            None => {
                // What is escaped by itself may be a backslash.
                let length = 1 + behind[1..].chars().next().map_or(0, char::len_utf8);
                decimal.push_str(&behind[..length]);
                rest = &behind[length..];
                continue;
            }
        }
        rest = &behind[4..];
    }
    decimal + rest
}
