//! Which scenario files a command is about.
//!
//! Folders are searched for `*.toml`, links to folders are not followed, and the order is that of
//! the names.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{at, say};
use mxdrill::{
    bundled,
    diagnostic::Mistakes,
    scenario::Scenario,
    zone::file::{Reach, is_standard_input},
};

/// A scenario file that could be read, or the mistakes in it.
pub(crate) type Loaded = Result<Arc<Scenario>, Mistakes>;

/// Loads the files of these paths (`-` is standard input), or the bundled ones if there are none.
///
/// # Errors
/// A path that is not there, or a folder without scenarios.
pub(crate) fn load(
    paths: &[PathBuf],
    filter: Option<&str>,
    reach: Reach,
) -> io::Result<Vec<Loaded>> {
    // Drills that come along have paths with `/` everywhere, and a filter may be written so, too.
    let slashed = |text: &str| match cfg!(windows) {
        true => text.replace('\\', "/"),
        false => text.to_owned(),
    };
    let filter = filter.map(slashed);
    let wanted = |path: &str| {
        let filter = filter.as_deref();
        filter.is_none_or(|filter| slashed(path).contains(filter))
    };
    if paths.is_empty() {
        let paths = bundled::files().into_iter().map(|(path, _)| path);
        let wanted = paths.filter(|path| wanted(path));
        return Ok(wanted
            .map(|path| bundled::scenario(Path::new(&path)).map(Arc::new))
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

/// Prints what is worth knowing of files and is no mistake; the files that come with mxdrill have
/// nothing such.
pub(crate) fn tell_notes<'a>(scenarios: impl IntoIterator<Item = &'a Scenario>) {
    for note in scenarios.into_iter().flat_map(|scenario| &scenario.notes) {
        say::err(format_args!("note: {note}"));
    }
}

/// The scenario files of a path: itself, or those in it.
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
