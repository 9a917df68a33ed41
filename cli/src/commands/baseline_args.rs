//! The arguments for a baseline, and what becomes of what was played when there is one.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{at, say};
use crate::departures::{ExpectedDepartures, Played, PlayedWhole, Standing};

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct BaselineArgs {
    /// Known departures, each with a reason: one that is not listed fails, and so does a listed one that no longer occurs.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write what departs to this file, for --baseline; reasons that the baseline has are kept.
    #[arg(long, value_name = "FILE")]
    write_baseline: Option<PathBuf>,
}

impl BaselineArgs {
    /// Whether anything was asked for.
    #[cfg(all(target_os = "linux", feature = "private-network"))]
    pub(crate) fn is_any(&self) -> bool {
        self.baseline.is_some() || self.write_baseline.is_some()
    }

    /// Reads the baseline, if there is one.
    ///
    /// # Errors
    /// That it cannot be read, or the mistakes in it.
    pub(crate) fn load(&self) -> io::Result<Option<ExpectedDepartures>> {
        self.baseline
            .as_deref()
            .map(ExpectedDepartures::load)
            .transpose()
    }

    /// Writes what departs to the file that was asked for, and tells what is not as expected; a quiet one tells of
    /// nothing else. Whether all is; `None` if there is no baseline to hold it against.
    ///
    /// # Errors
    /// That the file cannot be written.
    pub(crate) fn hold_against(
        &self,
        expected: Option<&ExpectedDepartures>,
        played: &[Played],
        whole: &PlayedWhole,
        is_quiet: bool,
    ) -> io::Result<Option<bool>> {
        if let Some(path) = &self.write_baseline {
            let none = ExpectedDepartures::default();
            write(path, &expected.unwrap_or(&none).written(played, whole))?;
        }
        let Some(expected) = expected else {
            return Ok(None);
        };
        let surprises = expected.surprises(played, whole);
        expected.lines(&surprises).iter().for_each(say::err);
        let listed = played
            .iter()
            .filter(|one| one.standing == Standing::Fails && expected.reason(one).is_some())
            .count();
        if listed > 0 && !is_quiet {
            say::err(format_args!(
                "mxdrill: {listed} of what departs is listed, and is no failure"
            ));
        }
        Ok(Some(surprises.is_empty()))
    }
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|error| at(path, error))
}
