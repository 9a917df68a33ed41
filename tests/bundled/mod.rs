//! The scenarios that come with mxdrill, for the tests that go through all of them.

use std::path::{Path, PathBuf};

/// The folder of the checkout.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every scenario file with its name, such as `basics/primary_down`, in order.
pub(crate) fn scenarios() -> Vec<(String, PathBuf)> {
    let folder = root().join("scenarios");
    let mut files = Vec::new();
    collect(&folder, &mut files);
    files.sort();
    let named = files.into_iter().map(|file| {
        let inside = file.strip_prefix(&folder).expect("a file below the folder");
        let name = inside.with_extension("").display().to_string();
        (name.replace('\\', "/"), file)
    });
    named.collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder of scenarios") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
}
