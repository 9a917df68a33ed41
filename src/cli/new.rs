//! `mxdrill new`: a first scenario.

use std::{
    fs::File,
    io::{self, Write},
};

use super::{NewArgs, Outcome, at, say};

const FIRST: &str = include_str!("first.toml");

pub(super) fn new(args: &NewArgs) -> io::Result<Outcome> {
    let path = &args.file;
    let mut file = File::create_new(path).map_err(|error| at(path, error))?;
    file.write_all(FIRST.as_bytes())
        .map_err(|error| at(path, error))?;
    let shown = path.display();
    say::out(format_args!("wrote {shown}; play it: mxdrill run {shown}"))?;
    Ok(Outcome::Passed)
}
