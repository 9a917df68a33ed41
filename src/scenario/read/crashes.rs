//! The crash rows of a scenario file: at a moment, or after a stage.

use super::{
    document::Table,
    keys,
    words::{HostNames, moment, word},
};
use crate::{fault::Stage, scenario::Crash};

/// Reads the rows, in their order.
pub(super) fn crashes(table: &Table<'_, '_>, names: &HostNames) -> Vec<Crash> {
    let rows = table.array("crashes").into_iter();
    rows.filter_map(|value| Table::of_row(table.doc(), value, &keys::CRASH))
        .filter_map(|row| crash(&row, names))
        .collect()
}

/// Reads one row.
fn crash(row: &Table<'_, '_>, names: &HostNames) -> Option<Crash> {
    let host = row.parsed("host", |text| names.host(text));
    let after = row.parsed("after", stage);
    let at = row.parsed("at", moment);
    match (row.get("at"), row.get("after")) {
        (Some(_), None) => {
            if row.get("host").is_some() {
                row.doc().mistake(
                    row.key_offset("host"),
                    "found host beside at, expected it beside after",
                );
            }
            at.map(Crash::At)
        }
        (None, Some(_)) => after.map(|stage| Crash::After { stage, host }),
        (Some(_), Some(_)) => {
            row.doc().mistake(
                row.key_offset("after"),
                "found after beside at, expected one of them",
            );
            None
        }
        (None, None) => {
            row.missing("at", "at = \"2h\", or after = \"dot\"");
            None
        }
    }
}

/// Reads a stage that begins with something of the sender's: else it would not be known when it is there.
fn stage(text: &str) -> Result<Stage, String> {
    let words = Crash::STAGES.map(|stage| (stage.word(), stage));
    word(
        text,
        "a stage that begins with something of the sender's",
        &words,
    )
}
