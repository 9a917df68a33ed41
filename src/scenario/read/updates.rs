//! The updates of a scenario file: what they delete and add, and the zones that come of them.
//!
//! Every update makes a whole zone of its own, so that an answer at a moment is a look at one zone.
//! What that may cost is bounded before any is made.

use hickory_proto::rr::{Record, RecordType};

use super::{
    document::{Document, Located, Table},
    keys,
    records::placed_records,
    words::{moment, query},
};
use crate::{
    name::Domain,
    time::Moment,
    zone::{History, Zone, text},
};

/// Records of the zones at all moments together, and of what all updates add.
const MAX_RECORDS: usize = 3_000_000;

/// A change of the records.
struct UpdateRow {
    /// When it happens, from the start of the drill.
    at: Moment,
    /// Where its moment stands in the file.
    offset: usize,
    /// What is deleted, by name and perhaps type, each with its place in the file.
    deletions: Vec<Located<(Domain, Option<RecordType>)>>,
    /// What is added, after the deletions.
    additions: Vec<Record>,
}

/// Reads the updates and appends the zones that come of them.
pub(super) fn updates(table: &Table<'_, '_>, zones: &mut History, known: bool) {
    updates_within(MAX_RECORDS, table, zones, known);
}

/// Updates take effect in the order of their moments, whatever the order of the rows; those of one
/// moment in that of the rows.
fn updates_within(most: usize, table: &Table<'_, '_>, zones: &mut History, known: bool) {
    let Some(mut updates) = rows(most, table) else {
        return;
    };
    updates.sort_by_key(|update| update.at);
    // The records at each moment are a zone of their own; what is deleted is not counted off.
    let mut here = zones.last().records().count();
    let mut all = here;
    for UpdateRow {
        offset, additions, ..
    } in &updates
    {
        here += additions.len();
        all += here;
        if all > most {
            table.doc().mistake(
                *offset,
                format!(
                    "found updates that make zones of {all} records in all, expected {most} at most; a smaller zone can change more often"
                ),
            );
            return;
        }
    }
    for update in updates {
        let zone = changed(zones.last().clone(), &update, known, table.doc());
        zones.change(update.at, zone);
    }
}

/// The rows; none where they add too many records.
fn rows(most: usize, table: &Table<'_, '_>) -> Option<Vec<UpdateRow>> {
    let (mut updates, mut added) = (Vec::new(), 0);
    for value in table.array("updates") {
        let Some(row) = Table::of_row(table.doc(), value, &keys::UPDATE) else {
            continue;
        };
        let at = row.parsed("at", moment);
        if row.get("at").is_none() {
            row.missing("at", "the moment of the change, such as at = \"10m\"");
        }
        if row.get("delete").is_none() && row.get("add").is_none() {
            row.missing("add", "delete = \"NAME TYPE\", add = \"a record\", or both");
        }
        let deletions = row.parsed_one_or_many("delete", deletion);
        let mut additions: Vec<Record> = Vec::new();
        for addition in row.parsed_one_or_many("add", |text| Ok::<_, String>(text.to_owned())) {
            additions.extend(added_by(&row, &addition).into_iter().flatten());
            let all = added + additions.len();
            if all > most {
                let text = format!(
                    "found updates that add {all} records up to here, expected {most} at most"
                );
                row.doc().mistake(addition.span.start, text);
                return None;
            }
        }
        added += additions.len();
        for key in ["delete", "add"] {
            let elements = row.get(key).and_then(|value| value.get_ref().as_array());
            if elements.is_some_and(|elements| elements.is_empty()) {
                row.doc().mistake(
                    row.key_offset(key),
                    format!("found an empty {key}, expected something to {key}"),
                );
            }
        }
        updates.extend(at.map(|at| UpdateRow {
            at,
            offset: row.key_offset("at"),
            deletions,
            additions,
        }));
    }
    Some(updates)
}

/// The records that one text of an update adds.
fn added_by(row: &Table<'_, '_>, addition: &Located<String>) -> Option<Vec<Record>> {
    let records = placed_records(row, &addition.value, &addition.span, None)?;
    if records.is_empty() {
        let text = &addition.value;
        row.doc().mistake(
            addition.span.start,
            format!("found {text:?}, expected a record such as \"example.test. MX 10 mx1.example.test.\""),
        );
    }
    Some(records)
}

/// A zone after an update; to delete what is not there is a mistake where the records are known.
fn changed(mut zone: Zone, update: &UpdateRow, known: bool, doc: &Document<'_>) -> Zone {
    let at = update.at;
    for deletion in &update.deletions {
        let (name, record_type) = &deletion.value;
        if zone.remove(name, *record_type) == 0 && known {
            let wanted = record_type.map_or(String::new(), |wanted| format!(" {wanted}"));
            let known: Vec<Domain> = zone.names().cloned().collect();
            let hint = text::nearest_name(name, &known).map_or(String::new(), |near| {
                format!("; the nearest name is {near:?}")
            });
            doc.mistake(deletion.span.start, format!("found delete of \"{name}{wanted}\", expected a record that is there at {at}{hint}"));
        }
    }
    for record in &update.additions {
        zone.add(record.clone());
    }
    zone
}

/// Reads what an update deletes: `NAME` or `NAME TYPE`.
fn deletion(text: &str) -> Result<(Domain, Option<RecordType>), String> {
    query(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of updates to a zone of two records where there may be so many in all.
    fn told(most: usize, updates: &str) -> Vec<String> {
        let text = format!("updates = {updates}");
        let doc = Document::new("f.toml", &text);
        let root = doc.parse().expect("it is TOML");
        let table = Table::open(&doc, root.get_ref(), 0..0, "a scenario", &["updates"]);
        let records = text::parse("a.test. A 192.0.2.1\nb.test. A 192.0.2.2\n");
        let mut zones = History::new(Zone::new(records.expect("valid")));
        updates_within(most, &table, &mut zones, true);
        drop(root);
        let mistakes = doc.into_mistakes().0.into_iter();
        mistakes.map(|mistake| mistake.to_string()).collect()
    }

    #[test]
    fn records_of_all_moments_are_bounded_together() {
        // Two records, then two again, then three.
        let updates = r#"[
            { at = "1m", delete = "a.test A" },
            { at = "2m", add = "c.test. A 192.0.2.3" },
        ]"#;
        assert_eq!(told(7, updates), [""; 0]);
        assert_eq!(
            told(6, updates),
            [
                "f.toml:3:15: found updates that make zones of 7 records in all, expected 6 at most; a smaller zone can change more often"
            ]
        );
    }

    #[test]
    fn records_that_all_updates_add_are_bounded_before_they_are_kept() {
        let updates = r#"[
            { at = "1m", add = "c.test. A 192.0.2.3" },
            { at = "2m", add = ["d.test. A 192.0.2.4", "e.test. A 192.0.2.5\nf.test. A 192.0.2.6"] },
        ]"#;
        assert_eq!(told(14, updates), [""; 0]);
        assert_eq!(
            told(3, updates),
            ["f.toml:3:56: found updates that add 4 records up to here, expected 3 at most"]
        );
    }
}
