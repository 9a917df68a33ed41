//! `mxdrill schema`: the JSON Schema of scenario files, for editors.

use std::io::{self, Write};

use super::CommandOutcome;

/// What is said in the help of the command.
pub(crate) const SCHEMA_NOTES: &str = "\
Editors that know TOML by taplo (Even Better TOML, Helix, Neovim) complete keys and mark mistakes in a file whose first
line names it:
  mxdrill schema > mxdrill.schema.json
  #:schema mxdrill.schema.json";

pub(crate) fn schema() -> io::Result<CommandOutcome> {
    let mut out = io::stdout().lock();
    out.write_all(mxdrill::scenario::schema().as_bytes())?;
    Ok(CommandOutcome::Passed)
}
