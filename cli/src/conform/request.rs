//! A drill that is to be played, and by whom: what goes to the process that plays it.

use std::{ffi::OsString, io, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    Adapter,
    eligibility::{Eligibility, Pace},
    schedules::drills::ScheduleDrill,
};
use mxdrill::{
    scenario::Scenario,
    sender::{Flaw, Reference},
    zone::file::Reach,
};

/// A drill to be played, as it goes to the process that plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    pub(crate) player: Player,
    /// The path of the scenario, and whether it is one of mxdrill's own.
    pub(crate) scenario: PathBuf,
    /// Its text, if it stands in no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    pub(crate) from: ScenarioSource,
    /// How time passes.
    pub(crate) pace: Pace,
    /// Where randomness starts from.
    pub(crate) seed: u64,
}

impl RunRequest {
    /// The scenario, and what of it can be played.
    ///
    /// # Errors
    /// The mistakes in it.
    pub(super) fn eligibility(&self) -> io::Result<Eligibility> {
        let scenario = match (self.from, &self.text) {
            (_, Some(text)) => Scenario::parse(&self.scenario.to_string_lossy(), text),
            (ScenarioSource::Mxdrill, _) => mxdrill::bundled::scenario(&self.scenario),
            (ScenarioSource::User(reach), _) => Scenario::load_within(&self.scenario, reach),
            (ScenarioSource::Schedules, _) => {
                ScheduleDrill::named(&self.scenario.to_string_lossy())
            }
        };
        let scenario = scenario.map_err(io::Error::other)?;
        Ok(Eligibility::of(&Arc::new(scenario), self.pace))
    }
}

/// Who plays it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Player {
    /// A mail server, and where it is unpacked.
    Server {
        adapter: Box<Adapter>,
        tree: PathBuf,
    },
    /// A command, in the files of this host: what it does by the time it ends.
    Command { words: Vec<OsString> },
    /// The reference sender, perhaps with a flaw: over the same sockets, and judged by what is seen of
    /// it alone.
    Reference { flaw: Option<String> },
    /// Nobody: it is tried whether there is virtual time.
    Nobody,
}

impl Player {
    /// The reference sender with its flaw, if it is that.
    pub(super) fn reference(&self) -> Option<Reference> {
        let Self::Reference { flaw } = self else {
            return None;
        };
        let flaw = flaw.as_deref().and_then(Flaw::named);
        Some(flaw.map_or_else(Reference::default, Reference::with_flaw))
    }
}

/// Where the scenarios come from.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum ScenarioSource {
    /// They are bundled with mxdrill, and name no files.
    Mxdrill,
    /// They are the user's. The files that they name may lie within this reach.
    User(Reach),
    /// They are those that show a server's own schedule.
    Schedules,
}
