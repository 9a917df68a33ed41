//! What `dnscontrol get-zones --format=tsv` prints: the full name, the short one, TTL, class, type and data, with tabs
//! between them.

use super::{Imported, ImportedLine, refusal, tree::Place};
use crate::diagnostic::Mistakes;

/// The columns of a line, if it is such a one. What comes behind the data is the provider's own.
fn columns(line: &str) -> Option<[&str; 4]> {
    let columns: Vec<&str> = line.trim_end().split('\t').collect();
    let [full, _, ttl, "IN", kind, data, ..] = columns[..] else {
        return None;
    };
    ttl.parse::<u32>().ok()?;
    Some([full, ttl, kind, data])
}

/// Whether a text is of such lines.
pub(super) fn is_tsv(text: &str) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    first.is_some_and(|line| columns(line).is_some())
}

/// Reads it.
pub(super) fn read(path: &str, text: &str) -> Result<Imported, Mistakes> {
    let mut imported = Imported::default();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let place = Place {
            line: index + 1,
            column: 1,
        };
        let Some([full, ttl, kind, data]) = columns(line) else {
            let message = "found a line that is none of dnscontrol's, expected name, short name, TTL, IN, type and data with tabs between them";
            mistakes.push(place.mistake(path, message.to_owned()));
            continue;
        };
        if let Some(message) = refusal(data) {
            mistakes.push(place.mistake(path, message));
            continue;
        }
        let name = full.trim_end_matches('.');
        imported.lines.push(ImportedLine {
            place,
            text: format!("{name}. {ttl} IN {kind} {data}"),
        });
    }
    match mistakes.is_empty() {
        true => Ok(imported),
        false => Err(Mistakes(mistakes)),
    }
}
