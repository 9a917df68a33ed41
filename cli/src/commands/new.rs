//! `mxdrill new`: a first scenario.

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

pub(crate) fn new(args: &NewArgs) -> io::Result<CommandOutcome> {
    let path = &args.file;
    let mut file = File::create_new(path).map_err(|error| at(path, error))?;
    file.write_all(FIRST.as_bytes())
        .map_err(|error| at(path, error))?;
    let shown = path.display();
    say::out(format_args!("wrote {shown}; play it: mxdrill run {shown}"))?;
    Ok(CommandOutcome::Passed)
}
