//! The drills that come with mxdrill, so that nobody needs a checkout: about four hundred kilobytes.
//!
//! Scenarios are read from the program as they would be from files, by the same paths, and what
//! they name is looked for among them, too.

use std::{io, path::Path};

use include_dir::{Dir, include_dir};

use crate::{diagnostic::Mistakes, scenario::Scenario};

static SCENARIOS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// The statements of the RFCs that the drills cover, as TOML.
///
/// `docs/requirements.md` is made of them, and each drill's `covers` has numbers of theirs.
pub const STATEMENTS: &str = include_str!("../docs/statements.toml");

/// Every drill in the order of paths: its path, such as `scenarios/basics/primary_down.toml`, and
/// its text.
pub fn files() -> Vec<(String, &'static str)> {
    let mut files = within(&SCENARIOS);
    files.sort();
    files
}

/// Which drills these are: how many, and a number made of all that is in them, which changes with every word. Results of
/// the same suite can be compared.
pub fn suite() -> String {
    let files = files();
    // FNV-1a: nothing has to be secret here.
    let digest = |seen: u64, octet: u8| (seen ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3);
    let octets = files
        .iter()
        .flat_map(|(path, text)| path.bytes().chain(text.bytes()));
    let digest = octets.fold(0xcbf2_9ce4_8422_2325, digest);
    format!("suite {}-{:08x}", files.len(), digest >> 32)
}

/// The drill of a path such as `scenarios/basics/primary_down.toml`; the first folder may be left
/// out.
///
/// # Errors
/// That there is none of that path.
pub fn scenario(path: &Path) -> Result<Scenario, Mistakes> {
    let shown = path.display().to_string();
    let text = file(path)
        .map_err(|error| Mistakes::of_file(&shown, format!("cannot be read: {error}")))?;
    Scenario::parse_with(&shown, &text, &file)
}

/// Reads a drill, or a file that one names.
fn file(path: &Path) -> io::Result<String> {
    let inside = path.strip_prefix("scenarios").unwrap_or(path);
    let found = SCENARIOS.get_file(inside);
    let text = found.and_then(|file| file.contents_utf8());
    let text = text.map(str::to_owned);
    text.ok_or_else(|| io::ErrorKind::NotFound.into())
}

// A folder's own drills, then those of the folders below.
fn within(folder: &Dir<'static>) -> Vec<(String, &'static str)> {
    let is_drill = |path: &Path| path.extension().is_some_and(|ending| ending == "toml");
    let own = folder.files().filter(|file| is_drill(file.path()));
    let named = own.filter_map(|file| {
        let path = format!("scenarios/{}", file.path().display());
        Some((path, file.contents_utf8()?))
    });
    named.chain(folder.dirs().flat_map(within)).collect()
}
