//! Which scenario files a command is about.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use include_dir::{Dir, include_dir};

use super::{at, say};
use crate::{
    scenario::{Mistakes, Reach, Scenario},
    zone::file::is_standard_input,
};

/// The scenarios that come with mxdrill, so that the command needs no checkout.
static BUNDLED: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/scenarios");

/// A scenario file that could be read, or the mistakes in it.
pub(super) type Loaded = Result<Arc<Scenario>, Mistakes>;

/// Loads the files of these paths (`-` is standard input), or the bundled ones if there are none.
///
/// # Errors
/// A path that is not there, or a folder without scenarios.
pub(super) fn load(
    paths: &[PathBuf],
    filter: Option<&str>,
    reach: Reach,
) -> io::Result<Vec<Loaded>> {
    let wanted = |path: &str| filter.is_none_or(|filter| path.contains(filter));
    if paths.is_empty() {
        let mut files = bundled(&BUNDLED);
        files.sort();
        let files = files.into_iter().filter(|(path, _)| wanted(path));
        return Ok(files
            .map(|(path, text)| Scenario::parse_with(&path, text, &bundled_file).map(Arc::new))
            .collect());
    }
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        collect(path, &mut files)?;
        if files.len() == before {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "found no *.toml in {}, expected scenario files",
                    path.display()
                ),
            ));
        }
    }
    let files = files
        .into_iter()
        .filter(|path| wanted(&path.display().to_string()));
    Ok(files
        .map(|path| Scenario::load_within(&path, reach).map(Arc::new))
        .collect())
}

/// Tells what is worth knowing of files that are no mistakes; those that come with mxdrill have nothing such.
pub(super) fn tell_notes<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>) {
    for note in scenarios.into_iter().flat_map(|scenario| &scenario.notes) {
        say::err(format_args!("note: {note}"));
    }
}

/// One of the scenarios that come with mxdrill, by its path.
///
/// # Errors
/// That there is none of that path.
#[cfg(target_os = "linux")]
pub(crate) fn bundled_scenario(path: &Path) -> Result<Scenario, Mistakes> {
    let shown = path.display().to_string();
    let text = bundled_file(path)
        .map_err(|error| Mistakes::of_file(&shown, format!("cannot be read: {error}")))?;
    Scenario::parse_with(&shown, &text, &bundled_file)
}

/// Reads a file that a bundled scenario names.
fn bundled_file(path: &Path) -> io::Result<String> {
    let inside = path.strip_prefix("scenarios").unwrap_or(path);
    let file = BUNDLED
        .get_file(inside)
        .and_then(|file| file.contents_utf8());
    file.map(str::to_owned)
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn bundled(folder: &Dir<'static>) -> Vec<(String, &'static str)> {
    let own = folder.files().filter(|file| {
        file.path()
            .extension()
            .is_some_and(|extension| extension == "toml")
    });
    let mut files: Vec<(String, &'static str)> = own
        .filter_map(|file| {
            Some((
                format!("scenarios/{}", file.path().display()),
                file.contents_utf8()?,
            ))
        })
        .collect();
    files.extend(folder.dirs().flat_map(bundled));
    files
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let named = |error: io::Error| at(path, error);
    if is_standard_input(path) || !std::fs::metadata(path).map_err(named)?.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries: Vec<PathBuf> = std::fs::read_dir(path)
        .map_err(named)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<_>>()
        .map_err(named)?;
    entries.sort();
    for entry in entries {
        let is_scenario = entry
            .extension()
            .is_some_and(|extension| extension == "toml");
        // A link to a folder may lead back to where it stands.
        if entry.is_dir() && !entry.is_symlink() {
            collect(&entry, files)?;
        } else if is_scenario && !entry.is_dir() {
            files.push(entry);
        }
    }
    Ok(())
}
