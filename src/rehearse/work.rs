//! Planned work at a domain's exchangers: one or some are down for a time, or each in turn.
//!
//! Messages come at even intervals, from before the work until after it, so that it shows who takes mail when.

use std::{collections::BTreeSet, io, time::Duration};

use super::{MESSAGES, PassageSum, Rehearsal, Rehearsed, SenderProfile, security::Trouble};
use crate::{
    diagnostic::{Invalid, not_allowed},
    fault::{Effect, Fault, Host, Stage},
    name::Domain,
    scenario::Messages,
    time::Moment,
};

/// Mail comes for as long before and after the work as it lasts, within these bounds.
const LEAST_BESIDE: Duration = Duration::from_secs(600);
const MOST_BESIDE: Duration = Duration::from_secs(3600);

/// A time in which an exchanger does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkWindow {
    /// The exchanger.
    pub host: Domain,
    /// When it begins, from the beginning of the work.
    pub from: Duration,
    /// How long it lasts.
    pub length: Duration,
}

impl WorkWindow {
    fn until(&self) -> Duration {
        self.from + self.length
    }
}

/// Planned work, rehearsed.
#[derive(Debug)]
#[non_exhaustive]
pub struct WorkDrill {
    /// The drill, played.
    pub rehearsed: Rehearsed,
    /// When the work begins.
    pub begin: Moment,
    /// What came of the mail, time by time: each ends when an exchanger goes or comes.
    pub phases: Vec<WorkPhase>,
}

/// Phases of a drill that are all told; of more, those at both ends.
const TOLD: usize = 12;
/// Phases at each end that are told where there are more.
const AT_EACH_END: usize = 4;

impl WorkDrill {
    /// The phases as a person reads them: of very many the first and the last few, and what is between them as one.
    pub fn shortened(&self) -> Vec<WorkPhase> {
        if self.phases.len() <= TOLD {
            return self.phases.clone();
        }
        let (first, rest) = self.phases.split_at(AT_EACH_END);
        let (between, last) = rest.split_at(rest.len() - AT_EACH_END);
        let (from, until) = (between[0].from, last[0].from);
        let given = self.rehearsed.passages.iter();
        let given = given.filter(|passage| (from..until).contains(&passage.given));
        let down: BTreeSet<&Domain> = between.iter().flat_map(|phase| &phase.down).collect();
        let merged = WorkPhase {
            from,
            until,
            down: down.into_iter().cloned().collect(),
            sum: PassageSum::of(given),
            merged: between.len(),
        };
        let first = first.iter().cloned();
        first.chain([merged]).chain(last.iter().cloned()).collect()
    }
}

/// A part of the time of a drill, in which the same exchangers are down.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkPhase {
    /// When it begins.
    pub from: Moment,
    /// When it ends.
    pub until: Moment,
    /// The exchangers that do not answer.
    pub down: Vec<Domain>,
    /// What came of the messages that senders were given in that time.
    pub sum: PassageSum,
    /// How many phases these are, one after the other ([`WorkDrill::shortened`]); one otherwise.
    pub merged: usize,
}

impl Rehearsal {
    /// The exchanger that a user means: by its name, or by the first label of it if that is no other's.
    ///
    /// # Errors
    /// That there is none, or several; with those that there are.
    pub fn exchanger(&self, named: &str) -> Result<Domain, Invalid> {
        let hosts: BTreeSet<&Domain> = self.hosts().collect();
        let wanted = named.trim_end_matches('.').to_ascii_lowercase();
        let found: Vec<&&Domain> = hosts
            .iter()
            .filter(|host| {
                host.as_str() == wanted || host.as_str().split('.').next() == Some(&wanted)
            })
            .collect();
        let exactly = found.iter().find(|host| host.as_str() == wanted);
        match (exactly, &found[..]) {
            (Some(host), _) | (None, [host]) => Ok((***host).clone()),
            (None, _) => {
                let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
                let what = format!("an exchanger of {}", self.plan.domain);
                Err(not_allowed(named, &what, &names).into())
            }
        }
    }

    /// Each exchanger for so long, one after the other, those that senders prefer first.
    pub fn rolling(&self, each: Duration) -> Vec<WorkWindow> {
        let mut windows: Vec<WorkWindow> = Vec::new();
        for host in self.hosts() {
            let from = windows.last().map_or(Duration::ZERO, WorkWindow::until);
            windows.push(WorkWindow {
                host: host.clone(),
                from,
                length: each,
            });
        }
        windows
    }

    /// Rehearses planned work, with mail of one kind of sender. `file` is the name of the drill's file, without
    /// `.toml`.
    ///
    /// # Errors
    /// That the drill did not run.
    pub fn work(
        &self,
        title: String,
        file: String,
        windows: &[WorkWindow],
        sender: &SenderProfile,
    ) -> io::Result<WorkDrill> {
        let length = windows.iter().map(WorkWindow::until).max();
        let length = length.unwrap_or_default();
        let beside = length.clamp(LEAST_BESIDE, MOST_BESIDE);
        let (begin, end) = (Moment(beside), Moment(beside + length + beside));
        let mut builder = self.builder(&title, sender, &Trouble::None);
        let count = u32::try_from(MESSAGES).expect("a few");
        for number in 0..count {
            let message = Messages::new(format!("m{number}"), self.someone());
            builder = builder.messages(message.at(Moment(end.0 / count * number)));
        }
        for window in windows {
            let effect = Effect::parse("timeout", Stage::Connect).expect("an effect of that stage");
            let fault = Fault::of_host(Host::Name(window.host.clone()), Stage::Connect, effect);
            let fault = fault.from(begin.after(window.from));
            builder = builder.fault(fault.until(begin.after(window.until())));
        }
        let rehearsed = self.finished(title, file, builder)?;
        let phases = phases(&rehearsed, windows, begin, end);
        Ok(WorkDrill {
            rehearsed,
            begin,
            phases,
        })
    }
}

/// The times between the moments at which an exchanger goes or comes.
fn phases(
    rehearsed: &Rehearsed,
    windows: &[WorkWindow],
    begin: Moment,
    end: Moment,
) -> Vec<WorkPhase> {
    let edges = windows
        .iter()
        .flat_map(|window| [window.from, window.until()]);
    let mut edges: Vec<Moment> = edges.map(|edge| begin.after(edge)).collect();
    edges.extend([Moment::START, end]);
    edges.sort();
    edges.dedup();
    let phase = |pair: &[Moment]| {
        let (from, until) = (pair[0], pair[1]);
        let is_down = |window: &&WorkWindow| {
            begin.after(window.from) <= from && from < begin.after(window.until())
        };
        let down: BTreeSet<&Domain> = windows
            .iter()
            .filter(is_down)
            .map(|window| &window.host)
            .collect();
        let given = rehearsed.passages.iter();
        let given = given.filter(|passage| (from..until).contains(&passage.given));
        WorkPhase {
            from,
            until,
            down: down.into_iter().cloned().collect(),
            sum: PassageSum::of(given),
            merged: 1,
        }
    };
    edges.windows(2).map(phase).collect()
}
