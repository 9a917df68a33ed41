//! What mail servers do by their own defaults: when they try again, whom they tell, how long they wait for an
//! exchanger that says nothing, and what they do then.
//!
//! Each of the [`drills`] is played on virtual time, with two seeds, since what a server leaves to chance differs from
//! run to run; the one of an exchanger that answers 451 a third time where two differ. [`reading`] reads off the log
//! what was done, [`summary`] puts the runs together. What is written about it is `report`'s.

pub(crate) mod drills;
pub(crate) mod reading;
pub(crate) mod summary;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde::{Deserialize, Deserializer, Serialize, de::Error};

use self::{
    drills::ScheduleDrill,
    reading::{HangRun, Log, NotNowRun, Seconds},
};
use super::{
    driver::LONGEST,
    eligibility::Pace,
    isolated_run,
    played_server::PlayedServer,
    request::{Player, RunRequest, ScenarioSource},
    suite::{ServerUnderTest, system},
};
use crate::parallel;
use mxdrill::{fault::Stage, recording::Recording};

/// How many runs a drill has, and how many where two of them differ.
const RUNS: u64 = 2;
const MORE_RUNS: u64 = 3;

/// What is to be measured: the schedules of these servers.
pub(crate) struct Measurement {
    pub(crate) servers: Vec<ServerUnderTest>,
    /// How many drills are played at once, at least one.
    pub(crate) jobs: usize,
    /// The seed of the first run of each drill.
    pub(crate) seed: u64,
    /// Set from outside when no further drill is to begin.
    pub(crate) stopped: Arc<AtomicBool>,
}

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Schedules {
    /// The version of mxdrill that measured it.
    pub(crate) mxdrill: String,
    /// The system that it was measured on.
    pub(crate) system: String,
    pub(crate) servers: Vec<ServerSchedule>,
}

/// What one server does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ServerSchedule {
    #[serde(flatten)]
    pub(crate) server: PlayedServer,
    pub(crate) not_now: Measured<NotNowRun>,
    /// By stage, in the order of a session.
    #[serde(deserialize_with = "by_stage")]
    pub(crate) hangs: Vec<(Stage, Measured<HangRun>)>,
}

/// Reads what is kept by the words of stages.
fn by_stage<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Vec<(Stage, Measured<HangRun>)>, D::Error> {
    let by_word = Vec::<(String, Measured<HangRun>)>::deserialize(from)?;
    let read = |(word, measured): (String, Measured<HangRun>)| {
        let stage = word.parse::<Stage>().map_err(D::Error::custom)?;
        Ok((stage, measured))
    };
    by_word.into_iter().map(read).collect()
}

/// The runs of a drill.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Measured<T> {
    pub(crate) runs: Vec<T>,
    /// Why there are not as many as there should be.
    pub(crate) trouble: Option<String>,
}

/// The runs of one drill with one server, whichever it is.
enum Runs {
    NotNow(Measured<NotNowRun>),
    Hang(Stage, Measured<HangRun>),
}

/// A log as it comes back from the drill's process, with the version that the server printed.
struct PlayedLog {
    version: String,
    recording: Recording,
}

impl Measurement {
    /// How many drills there are.
    pub(crate) fn drills(&self) -> usize {
        self.servers.len() * ScheduleDrill::ALL.len()
    }

    /// Plays every drill with every server; `progress` is called with each that is done, and with what kept it from
    /// being measured.
    pub(crate) fn measure(
        &self,
        mut progress: impl FnMut(&ServerUnderTest, ScheduleDrill, Option<&str>),
    ) -> Schedules {
        let servers = self.servers.len();
        let at = |index: usize| {
            (
                &self.servers[index % servers],
                ScheduleDrill::ALL[index / servers],
            )
        };
        // By their place, since they end in any order and the page has one.
        let mut done: BTreeMap<usize, (String, Runs)> = BTreeMap::new();
        let work = |index: usize| {
            let (server, drill) = at(index);
            self.drill(server, drill)
        };
        parallel::each(self.drills(), self.jobs, work, |index, (version, runs)| {
            let (server, drill) = at(index);
            let trouble = match &runs {
                Runs::NotNow(measured) => &measured.trouble,
                Runs::Hang(_, measured) => &measured.trouble,
            };
            progress(server, drill, trouble.as_deref());
            done.insert(index, (version, runs));
        });
        let mut measured: Vec<ServerSchedule> = self.servers.iter().map(unmeasured).collect();
        for (index, (version, runs)) in done {
            let schedule = &mut measured[index % servers];
            if schedule.server.version.is_empty() {
                schedule.server.version = version;
            }
            match runs {
                Runs::NotNow(measured) => schedule.not_now = measured,
                Runs::Hang(stage, measured) => schedule.hangs.push((stage, measured)),
            }
        }
        Schedules {
            mxdrill: env!("CARGO_PKG_VERSION").to_owned(),
            system: system(),
            servers: measured,
        }
    }

    /// One drill with one server, as often as it takes.
    fn drill(&self, server: &ServerUnderTest, drill: ScheduleDrill) -> (String, Runs) {
        let mut version = String::new();
        let runs = match drill {
            ScheduleDrill::NotNow => {
                let not_now = |log: &Log<'_>| Ok(log.not_now());
                let mut measured = self.runs(server, drill, 0..RUNS, &mut version, not_now);
                // A third run tells a range from an accident.
                if measured.trouble.is_none() && !summary::are_alike(&measured.runs) {
                    let more = RUNS..MORE_RUNS;
                    let more = self.runs(server, drill, more, &mut version, not_now);
                    measured.runs.extend(more.runs);
                    measured.trouble = more.trouble;
                }
                Runs::NotNow(measured)
            }
            ScheduleDrill::Hang(stage) => {
                let hang = |log: &Log<'_>| {
                    let found = log.hang(stage);
                    found.ok_or_else(|| format!("it did not come to the stage {stage}"))
                };
                Runs::Hang(stage, self.runs(server, drill, 0..RUNS, &mut version, hang))
            }
        };
        (version, runs)
    }

    /// Some runs of a drill; none after one that failed.
    fn runs<T>(
        &self,
        server: &ServerUnderTest,
        drill: ScheduleDrill,
        numbers: std::ops::Range<u64>,
        version: &mut String,
        read: impl Fn(&Log<'_>) -> Result<T, String>,
    ) -> Measured<T> {
        let mut measured = Measured {
            runs: Vec::new(),
            trouble: None,
        };
        for number in numbers {
            let run = self.play(server, drill, number).and_then(|played| {
                *version = played.version;
                let scenario =
                    ScheduleDrill::named(&drill.name()).map_err(|error| error.to_string())?;
                read(&Log {
                    scenario: &scenario,
                    events: &played.recording.events,
                    took: played.recording.took,
                    longest: scenario.stop.map_or(LONGEST, |stop| stop.0.min(LONGEST)),
                })
            });
            match run {
                Ok(run) => measured.runs.push(run),
                Err(trouble) => {
                    measured.trouble = Some(trouble);
                    break;
                }
            }
        }
        measured
    }

    /// One run.
    fn play(
        &self,
        server: &ServerUnderTest,
        drill: ScheduleDrill,
        number: u64,
    ) -> Result<PlayedLog, String> {
        if self.stopped.load(Ordering::SeqCst) {
            return Err("interrupted".to_owned());
        }
        let played = isolated_run::play(&RunRequest {
            player: Player::Server {
                adapter: Box::new(server.adapter.clone()),
                tree: server.tree.root.clone(),
            },
            scenario: PathBuf::from(drill.name()),
            text: None,
            from: ScenarioSource::Schedules,
            pace: Pace::Virtual,
            // Another seed for each run, and the same ones the next time.
            seed: self.seed.wrapping_add(number),
        });
        let record = played.map_err(|error: io::Error| error.to_string())?;
        if let Some(trouble) = record.trouble {
            return Err(trouble);
        }
        let recording = Recording::parse(&drill.name(), &record.recording, &drill.name());
        Ok(PlayedLog {
            version: record.version,
            recording: recording.map_err(|error| error.to_string())?,
        })
    }
}

/// A server of which nothing is known yet.
fn unmeasured(server: &ServerUnderTest) -> ServerSchedule {
    ServerSchedule {
        server: server.played(String::new()),
        not_now: Measured {
            runs: Vec::new(),
            trouble: Some("it was not played".to_owned()),
        },
        hangs: Vec::new(),
    }
}

impl Schedules {
    /// What was not measured: the server, the drill, and why.
    pub(crate) fn troubles(&self) -> Vec<(&str, ScheduleDrill, &str)> {
        let mut troubles = Vec::new();
        for schedule in &self.servers {
            let hangs = schedule.hangs.iter();
            let all =
                hangs.map(|(stage, measured)| (ScheduleDrill::Hang(*stage), &measured.trouble));
            let all = all.chain([(ScheduleDrill::NotNow, &schedule.not_now.trouble)]);
            for (drill, trouble) in all {
                if let Some(trouble) = trouble {
                    troubles.push((&*schedule.server.id, drill, &**trouble));
                }
            }
        }
        troubles
    }

    /// How long a server that never ends was watched.
    pub(crate) fn watched() -> Seconds {
        Seconds(LONGEST.as_secs())
    }
}
