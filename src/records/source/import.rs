//! Records as other tools write them down: Route 53's JSON, octoDNS's YAML, dnscontrol's TSV.
//!
//! Each becomes lines of a zone file, which are read as those of any other; what is wrong in one, and what is found of
//! it later, stands at the line of the tool's own file.

mod octodns;
mod route53;
mod tree;
mod tsv;

use std::{collections::BTreeMap, path::Path};

use self::tree::Place;
use crate::{
    diagnostic::{Mistake, Mistakes},
    name::Domain,
    zone::{file::ZoneText, text::Included},
};

/// Octets that such a file may have: 64 MiB. As a tree it takes several times as much memory.
const MAX_OCTETS: usize = 64 << 20;
/// Records that one line may have: each of these is a file of its own for who reads zone files.
const MOST_IN_A_LINE: usize = 500;

/// A way to write records down that is no zone file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// What `aws route53 list-resource-record-sets` prints.
    Route53,
    /// What octoDNS keeps a zone in.
    OctoDns,
    /// What `dnscontrol get-zones --format=tsv` prints.
    Tsv,
}

/// A record as a line of a zone file, and where it is written down.
struct ImportedLine {
    place: Place,
    text: String,
}

/// What a file of another tool holds.
#[derive(Default)]
pub(super) struct Imported {
    lines: Vec<ImportedLine>,
    /// What of it was passed over or understood in part.
    pub(super) notes: Vec<String>,
}

/// The form of a text, by the name of its file or by how it begins; `None` for a zone file.
pub(super) fn form_of(path: &Path, text: &str) -> Option<Form> {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("json") => return Some(Form::Route53),
        Some("yaml" | "yml") => return Some(Form::OctoDns),
        Some("tsv") => return Some(Form::Tsv),
        _ => {}
    }
    let start = text.trim_start();
    match () {
        () if start.starts_with('{') => Some(Form::Route53),
        () if start
            .lines()
            .next()
            .is_some_and(|line| line.trim_end() == "---") =>
        {
            Some(Form::OctoDns)
        }
        () if tsv::is_tsv(text) => Some(Form::Tsv),
        () => None,
    }
}

impl Form {
    /// Reads a text of this form. `origin` is the zone that it is about, which octoDNS has in the name of the file.
    pub(super) fn read(
        self,
        path: &Path,
        text: &str,
        origin: Option<&Domain>,
    ) -> Result<Imported, Mistakes> {
        let shown = path.display().to_string();
        if text.len() > MAX_OCTETS {
            let message = format!("found {} octets, expected {MAX_OCTETS} at most", text.len());
            return Err(Mistakes::of_file(&shown, message));
        }
        match self {
            Self::Route53 => route53::read(&shown, text),
            Self::OctoDns => {
                let name = path.file_stem().and_then(|stem| stem.to_str());
                let named = name.and_then(|name| name.trim_end_matches('.').parse().ok());
                let named = named.filter(|domain: &Domain| domain.as_str().contains('.'));
                match origin.cloned().or(named) {
                    Some(origin) => octodns::read(&shown, text, &origin),
                    None => Err(Mistakes::of_file(
                        &shown,
                        "found no domain in the file's name, expected one such as example.com.yaml, or --origin DOMAIN"
                            .to_owned(),
                    )),
                }
            }
            Self::Tsv => tsv::read(&shown, text),
        }
    }
}

impl Imported {
    /// The zone files that have each record at its line: the first has the first record of each line, the second the
    /// second one, and so on; and one that includes them all.
    pub(super) fn files(&self, path: &str) -> Result<(ZoneText, Vec<String>), Mistakes> {
        let mut in_line: BTreeMap<usize, usize> = BTreeMap::new();
        let mut files: Vec<(usize, String)> = Vec::new();
        for ImportedLine { place, text } in &self.lines {
            let number = in_line.entry(place.line).or_default();
            if *number == MOST_IN_A_LINE {
                let message = format!(
                    "found more than {MOST_IN_A_LINE} records in a line, expected a line for each"
                );
                return Err(Mistakes(vec![place.mistake(path, message)]));
            }
            if files.len() == *number {
                files.push((1, String::new()));
            }
            let (at, file) = &mut files[*number];
            // Lists may be out of order by what they share; each file goes forth only.
            file.extend(std::iter::repeat_n('\n', place.line.saturating_sub(*at)));
            *at = (*at).max(place.line) + 1;
            file.push_str(text);
            file.push('\n');
            *number += 1;
        }
        // A name without a final dot is a whole one to these tools.
        let origin = std::iter::once("$ORIGIN .\n".to_owned());
        let including = (0..files.len()).map(|number| format!("$INCLUDE {number}\n"));
        let all = ZoneText {
            text: origin.chain(including).collect(),
            is_latin: false,
        };
        Ok((all, files.into_iter().map(|(_, text)| text).collect()))
    }

    /// A mistake at the column where the line's first record is written down.
    pub(super) fn placed(&self, mistake: Mistake) -> Mistake {
        let mut lines = self.lines.iter();
        let at = lines.find(|line| line.place.line == mistake.line);
        Mistake {
            column: at.map_or(1, |line| line.place.column),
            ..mistake
        }
    }
}

/// One of the files that an import is made of.
pub(super) fn included(files: &[String], path: &str, name: &str) -> Result<Included, String> {
    let number: Option<usize> = name.parse().ok();
    let text = number.and_then(|number| files.get(number));
    match text {
        Some(text) => Ok(Included {
            path: path.to_owned(),
            text: text.clone(),
            is_latin: false,
            is_own: true,
        }),
        None => Err("cannot be read: this file includes no other".to_owned()),
    }
}

/// Whether a text may stand in a zone file as it is: outside quotation marks there must be nothing that would end it
/// or go on in the next line.
fn breaking(text: &str) -> Option<char> {
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        match c {
            _ if escaped && c != '\n' => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '\n' | '\r' => return Some(c),
            ';' | '(' | ')' if !quoted => return Some(c),
            _ => {}
        }
    }
    None
}

/// The message about a text that may not.
fn refusal(text: &str) -> Option<String> {
    let found = breaking(text)?;
    Some(format!(
        "found {found:?} outside quotation marks in {text:?}, expected data as in a zone file"
    ))
}
