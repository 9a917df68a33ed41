//! Files that a report is written to beside standard output.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

use super::at;

/// Opens a file before the work begins: an hour's work should not end at a folder that is not there.
pub(crate) fn create(path: &Path) -> io::Result<BufWriter<File>> {
    File::create(path)
        .map(BufWriter::new)
        .map_err(|error| at(path, error))
}
