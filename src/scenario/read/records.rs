//! The records of a scenario: in the file itself, or in a zone file beside it.
//!
//! A scenario's own zone text is read strictly: a slip in it is the author's to mend. A zone file
//! may be somebody else's, and is read as leniently as `crate::zone::text` allows for files.

use std::{
    ops::Range,
    path::{Path, PathBuf},
};

use hickory_proto::rr::Record;

use super::document::{Document, Table};
use crate::{
    diagnostic::Mistake,
    name::Domain,
    scenario::ReadFile,
    zone::{
        self, Zone,
        text::{self, Entered, Include, Included, Reading},
    },
};

/// The records of `zone` or `zone_file`.
pub(super) fn records(
    table: &Table<'_, '_>,
    read_file: &ReadFile<'_>,
    notes: &mut Vec<String>,
) -> Option<Zone> {
    let doc = table.doc();
    match (table.get("zone"), table.get("zone_file")) {
        (Some(_), Some(_)) => {
            doc.mistake(
                table.key_offset("zone_file"),
                "found zone_file beside zone, expected one of them",
            );
            None
        }
        (None, None) => {
            table.missing(
                "zone",
                "the records as zone-file text, or zone_file = \"path\"",
            );
            None
        }
        (Some(_), None) => zone_text(table, read_file).map(Zone::new),
        (None, Some(_)) => zone_file(table, read_file, notes),
    }
}

/// The records of the `zone` key.
fn zone_text(table: &Table<'_, '_>, read_file: &ReadFile<'_>) -> Option<Vec<Record>> {
    let zone = table.text("zone")?;
    // `$INCLUDE` is meant from where the scenario lies.
    let include = including(Path::new(table.doc().path()), read_file);
    placed_records(table, zone.value, &zone.span, Some(&include))
}

/// Finds what a text of a file includes, beside that file.
fn including<'a>(
    file: &Path,
    read_file: &'a ReadFile<'_>,
) -> impl Fn(&str) -> Result<Included, String> + 'a {
    let folder = zone::file::folder_of(file);
    move |name| {
        let path = folder.join(name);
        let text = read_file(&path).map_err(|error| format!("cannot be read: {error}"))?;
        Ok(Included {
            path: path.display().to_string(),
            text,
            is_latin: false,
            is_own: false,
        })
    }
}

/// The records of a string, its mistakes at their places in the file. `None` if there is any.
pub(super) fn placed_records(
    table: &Table<'_, '_>,
    value: &str,
    span: &Range<usize>,
    include: Option<&Include<'_>>,
) -> Option<Vec<Record>> {
    text::parse_including(value, include)
        .map_err(|mistakes| {
            // The parser counts octets of the value; a reader of the file wants its line, behind quotes and escapes.
            let places = table.doc().places(span, value);
            for mistake in mistakes {
                if let Some(elsewhere) = mistake.elsewhere {
                    table.doc().mistake_elsewhere(elsewhere);
                    continue;
                }
                let offset = places.get(mistake.offset).or(places.last()).copied();
                table
                    .doc()
                    .mistake(offset.unwrap_or(span.start), mistake.message);
            }
        })
        .ok()
}

/// The path of a file that a scenario names. Either slash parts its folders, so that a scenario written on one
/// system is read on another.
pub(super) fn beside(doc: &Document<'_>, name: &str) -> PathBuf {
    let name = match cfg!(windows) {
        true => name.replace('/', "\\"),
        false => name.replace('\\', "/"),
    };
    zone::file::folder_of(Path::new(doc.path())).join(name)
}

/// The records of the `zone_file`.
fn zone_file(
    table: &Table<'_, '_>,
    read_file: &ReadFile<'_>,
    notes: &mut Vec<String>,
) -> Option<Zone> {
    let doc = table.doc();
    let name = table.text("zone_file")?;
    let path = beside(doc, name.value);
    let content = read_file(&path)
        .map_err(|error| {
            doc.mistake(
                name.span.start,
                format!(
                    "found zone_file {:?}, which cannot be read: {error}",
                    name.value
                ),
            )
        })
        .ok()?;
    let include = including(&path, read_file);
    // A file that says no origin is taken for the zone that it is called after.
    let origin = zone::file::domain_of(&path);
    let reading = Reading {
        origin: origin.as_ref().map(Domain::to_wire),
        is_latin: false,
        include: Some(&include),
    };
    let shown = path.display().to_string();
    let mistake = |offset, message| {
        doc.mistake_elsewhere(Mistake::at(&shown, &content, offset, message));
    };
    let mut zone = Zone::default();
    let mut take = |entered: Entered| {
        zone.add(entered.record);
        Ok(())
    };
    match text::parse_file(&content, &reading, &mut take) {
        Ok(written) if written.records == 0 => {
            mistake(
                0,
                "found no record in this file, expected a zone file".to_owned(),
            );
            None
        }
        Ok(written) => {
            // What was passed over in it, in one line.
            notes.extend(written.note(&shown));
            Some(zone)
        }
        // A scenario may be somebody else's, and the file it names none of theirs: nothing is quoted of
        // what is no zone file, and one line of what is one.
        Err(misread) => {
            let count = misread.mistakes.len();
            for one in misread.mistakes.into_iter().take(1) {
                match (one.elsewhere, misread.is_zone) {
                    (Some(elsewhere), _) => doc.mistake_elsewhere(elsewhere),
                    (None, true) => mistake(one.offset, more(one.message, count - 1)),
                    (None, false) => mistake(
                        one.offset,
                        "found no record in this file, expected a zone file".to_owned(),
                    ),
                }
            }
            None
        }
    }
}

/// A message with the number of others behind it.
fn more(message: String, others: usize) -> String {
    match others {
        0 => message,
        others => format!("{message}; and {others} more mistakes"),
    }
}
