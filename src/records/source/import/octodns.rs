//! What octoDNS keeps a zone in: YAML, a table of names, each with a record set or a list of them.

use std::collections::BTreeMap;

use hickory_proto::rr::{RData, Record, rdata::TXT};

use super::{
    Imported, ImportedLine, refusal,
    tree::{self, Node, Value},
};
use crate::{
    diagnostic::{Mistake, Mistakes},
    name::Domain,
    zone::present,
};

/// TTL in seconds of a set that states none: the default of octoDNS's provider for YAML.
const DEFAULT_TTL: u32 = 3600;
/// Octets of a string of a TXT record (RFC 1035 section 3.3.14).
const STRING: usize = 255;

/// Fields of a record's data, in the order of a zone file; with the older name of some, and whether it is a name or a
/// text.
const FIELDS: [(&str, &[Field]); 6] = [
    (
        "MX",
        &[
            number2("preference", "priority"),
            name2("exchange", "value"),
        ],
    ),
    (
        "SRV",
        &[
            number("priority"),
            number("weight"),
            number("port"),
            name2("target", "target"),
        ],
    ),
    (
        "TLSA",
        &[
            number("certificate_usage"),
            number("selector"),
            number("matching_type"),
            number("certificate_association_data"),
        ],
    ),
    (
        "SSHFP",
        &[
            number("algorithm"),
            number("fingerprint_type"),
            number("fingerprint"),
        ],
    ),
    ("CAA", &[number("flags"), number("tag"), quoted("value")]),
    (
        "NAPTR",
        &[
            number("order"),
            number("preference"),
            quoted("flags"),
            quoted("service"),
            quoted("regexp"),
            name2("replacement", "replacement"),
        ],
    ),
];

/// Types whose data is a name.
const NAMES: [&str; 5] = ["CNAME", "NS", "PTR", "DNAME", "ALIAS"];

/// A field of a record's data.
struct Field {
    key: &'static str,
    older: &'static str,
    form: FieldForm,
}

#[derive(PartialEq, Eq)]
enum FieldForm {
    /// As it stands.
    Word,
    /// A name, which octoDNS wants with its final dot.
    Name,
    /// A text in quotation marks.
    Quoted,
}

const fn number(key: &'static str) -> Field {
    number2(key, key)
}

const fn number2(key: &'static str, older: &'static str) -> Field {
    let form = FieldForm::Word;
    Field { key, older, form }
}

const fn name2(key: &'static str, older: &'static str) -> Field {
    let form = FieldForm::Name;
    Field { key, older, form }
}

const fn quoted(key: &'static str) -> Field {
    let (older, form) = (key, FieldForm::Quoted);
    Field { key, older, form }
}

/// Reads it.
pub(super) fn read(path: &str, text: &str, origin: &Domain) -> Result<Imported, Mistakes> {
    let root = tree::yaml(path, text)?;
    let Value::Table(names) = &root.value else {
        let message = format!(
            "found {}, expected names with their records, as octoDNS has them",
            root.kind()
        );
        return Err(Mistakes(vec![root.place.mistake(path, message)]));
    };
    let mut imported = Imported::default();
    let mut mistakes = Vec::new();
    let mut unread: BTreeMap<&str, usize> = BTreeMap::new();
    let mut dynamic: Vec<&str> = Vec::new();
    for (name, sets) in names {
        for set in sets.members() {
            match lines(path, name, set, origin) {
                Ok(Some(lines)) => imported.lines.extend(lines),
                Ok(None) => {
                    let kind = set.get("type").and_then(Node::text).unwrap_or_default();
                    *unread.entry(kind).or_default() += 1;
                }
                Err(mistake) => mistakes.push(mistake),
            }
            if set.get("dynamic").or(set.get("geo")).is_some() {
                dynamic.push(name);
            }
        }
    }
    if !unread.is_empty() {
        let kinds = unread.iter().map(|(kind, count)| format!("{count} {kind}"));
        imported.notes.push(format!(
            "{path}: records of types that mean nothing to mail are passed over: {}",
            kinds.collect::<Vec<_>>().join(", ")
        ));
    }
    if !dynamic.is_empty() {
        imported.notes.push(format!(
            "{path}: of names with \"dynamic\" or \"geo\" answers the usual values are read: {}",
            dynamic.join(", ")
        ));
    }
    match mistakes.is_empty() {
        true => Ok(imported),
        false => Err(Mistakes(mistakes)),
    }
}

/// The records of a set; `None` if its type is not read.
fn lines(
    path: &str,
    name: &str,
    set: &Node,
    origin: &Domain,
) -> Result<Option<Vec<ImportedLine>>, Mistake> {
    let wrong = |node: &Node, message: String| node.place.mistake(path, message);
    let Some(kind) = set.get("type").and_then(Node::text) else {
        let message = format!(
            "found {} without \"type\", expected a set of records",
            set.kind()
        );
        return Err(wrong(set, message));
    };
    let owner = match name {
        "" | "@" => format!("{origin}."),
        name => format!("{name}.{origin}."),
    };
    if refusal(&owner).is_some() || owner.contains([' ', '"', '\t']) {
        return Err(wrong(
            set,
            format!("found {name:?}, expected a name below {origin}"),
        ));
    }
    let ttl = match set.get("ttl") {
        None => DEFAULT_TTL,
        Some(node) => node
            .text()
            .and_then(|ttl| ttl.parse().ok())
            .ok_or_else(|| {
                wrong(
                    node,
                    format!("found the ttl {}, expected seconds", node.kind()),
                )
            })?,
    };
    let Some(values) = set.get("values").or(set.get("value")) else {
        let message = format!("found a set of {kind} without \"value\" and \"values\"");
        return Err(wrong(set, message));
    };
    let mut lines = Vec::new();
    for value in values.members() {
        let data = match kind {
            "TXT" | "SPF" => value.text().map(strings).ok_or_else(|| {
                format!("found {}, expected the text of a TXT record", value.kind())
            }),
            "A" | "AAAA" => word(value),
            kind if NAMES.contains(&kind) => word(value).and_then(absolute),
            kind => match FIELDS.iter().find(|(known, _)| *known == kind) {
                Some((_, fields)) => fielded(value, fields),
                None => return Ok(None),
            },
        };
        let data = data.map_err(|message| wrong(value, message))?;
        lines.push(ImportedLine {
            place: value.place,
            text: format!("{owner} {ttl} IN {kind} {data}"),
        });
    }
    match lines.is_empty() {
        true => Err(wrong(
            values,
            format!("found no value of {kind}, expected some"),
        )),
        false => Ok(Some(lines)),
    }
}

/// Data that stands in a zone file as it does here.
fn word(value: &Node) -> Result<String, String> {
    let text = value
        .text()
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| format!("found {}, expected a value", value.kind()))?;
    match refusal(text) {
        Some(message) => Err(message),
        None => Ok(text.to_owned()),
    }
}

/// A name with its final dot.
fn absolute(name: String) -> Result<String, String> {
    match name.ends_with('.') {
        true => Ok(name),
        false => Err(format!(
            "found {name:?}, expected a name with a dot at its end"
        )),
    }
}

/// Data of several fields; or all of it as in a zone file.
fn fielded(value: &Node, fields: &[Field]) -> Result<String, String> {
    if value.text().is_some() {
        return word(value);
    }
    let mut data = Vec::new();
    for Field { key, older, form } in fields {
        let node = value.get(key).or(value.get(older));
        let node = node.ok_or_else(|| format!("found a value without {key:?}"))?;
        data.push(match form {
            FieldForm::Quoted => strings(node.text().unwrap_or_default()),
            FieldForm::Word => word(node)?,
            FieldForm::Name => word(node).and_then(absolute)?,
        });
    }
    Ok(data.join(" "))
}

/// A text as strings of a zone file. octoDNS has a backslash before each semicolon.
fn strings(text: &str) -> String {
    let text = text.replace("\\;", ";");
    let octets: Vec<&[u8]> = match text.is_empty() {
        true => vec![b""],
        false => text.as_bytes().chunks(STRING).collect(),
    };
    let data = RData::TXT(TXT::from_bytes(octets));
    let record = Record::from_rdata(Domain::root().to_wire(), 0, data);
    present::data(&record.data)
}
