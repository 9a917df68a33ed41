//! `mxdrill check`: validates files and runs nothing.
//!
//! Mistakes make it fail; notes about rows that can do nothing do not.

use std::{io, path::PathBuf};

use super::{CommandOutcome, OutsideArgs, say, scenario_files};

#[derive(Debug, clap::Args)]
pub(crate) struct CheckArgs {
    /// Scenario files, or folders of them; - is standard input.
    #[arg(required = true)]
    pub(crate) paths: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) outside: OutsideArgs,
}

/// Validates the files, and says how many are valid.
pub(crate) fn check(args: &CheckArgs) -> io::Result<CommandOutcome> {
    let loaded = scenario_files::load(&args.paths, None, args.outside.reach())?;
    let mut wrong = 0;
    for mistakes in loaded.iter().filter_map(|scenario| scenario.as_ref().err()) {
        wrong += 1;
        say::err(mistakes);
    }
    scenario_files::tell_notes(loaded.iter().flatten().map(|scenario| &**scenario));
    for scenario in loaded.iter().flatten() {
        for note in scenario.idle_rows() {
            say::err(format_args!("{}: note: {note}", scenario.path));
        }
    }
    let valid = loaded.len() - wrong;
    say::out(format_args!("{valid} valid, {wrong} with mistakes"))?;
    Ok(if wrong == 0 {
        CommandOutcome::Passed
    } else {
        CommandOutcome::CouldNotRun
    })
}
