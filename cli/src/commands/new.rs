//! `mxdrill new`: a first scenario, and beside it the schema by which an editor completes it.

use std::{
    fs::File,
    io::{self, Write},
    path::PathBuf,
};

use super::{CommandOutcome, at, say};

#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The file to write; one that is there is left as it is.
    #[arg(default_value = "drill.toml", value_name = "FILE")]
    pub(crate) file: PathBuf,
}

const FIRST: &str = include_str!("first.toml");

/// The file that its first line names.
const SCHEMA: &str = "mxdrill.schema.json";

pub(crate) fn new(args: &NewArgs) -> io::Result<CommandOutcome> {
    let path = &args.file;
    let mut file = File::create_new(path).map_err(|error| at(path, error))?;
    file.write_all(FIRST.as_bytes())
        .map_err(|error| at(path, error))?;
    // Its first line names the schema; one that is there may be of another version, and is its owner's.
    let schema = path.with_file_name(SCHEMA);
    match File::create_new(&schema) {
        Ok(mut file) => file
            .write_all(mxdrill::scenario::schema().as_bytes())
            .map_err(|error| at(&schema, error))?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(at(&schema, error)),
    }
    let shown = path.display();
    say::out(format_args!("wrote {shown}; play it: mxdrill run {shown}"))?;
    Ok(CommandOutcome::Passed)
}
