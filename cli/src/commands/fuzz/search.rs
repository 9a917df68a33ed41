//! The search: drills by number, and for each rule that one breaks the smallest that does.
//!
//! 1. Drills are played in batches, several at once, each with every sender.
//! 2. What came of them is taken in the order of their numbers. A rule that is broken is a known finding if the drill
//!    has all in it that the finding has; else it is pursued.
//! 3. To be pursued, a drill is played again: it has to break the rule twice. Then it is made smaller, several smaller
//!    ones tried at once, and the smallest is played again.
//! 4. After each batch and each finding, the state is kept.
//!
//! A share of the drills is each so many-th number. A number counts as played when all that it showed was pursued: who goes on later begins with the first that is not.

use std::{
    fs, io,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use indicatif::ProgressBar;

use super::{
    broken_rule::BrokenRule,
    finding::{Flake, FuzzFinding, file_name, file_text},
    sender::{Played, TestedSender},
    state::State,
};
use crate::{commands::at, parallel};
use mxdrill::{random_drill::RandomDrill, scenario::Scenario};

/// How often a drill is played again that broke a rule once, until it does so twice.
const AGAIN: usize = 3;
/// How many shapes in which a sender breaks one rule are pursued: who goes wrong at every stage would take all the time.
const MOST_SHAPES: usize = 8;
/// How long after its time is over a search goes on to make smaller what it has found.
const GRACE: Duration = Duration::from_secs(60);

/// How much is played.
pub(super) struct SearchBounds {
    /// The first number that is not played any more.
    pub(super) end: u64,
    /// When no further drill begins.
    pub(super) until: Option<Instant>,
    /// How many drills are played at once.
    pub(super) jobs: usize,
}

/// A search under way.
pub(super) struct Search<'a> {
    pub(super) senders: &'a [TestedSender],
    pub(super) bounds: SearchBounds,
    pub(super) state: State,
    pub(super) file: Option<&'a Path>,
    pub(super) folder: &'a Path,
    /// Set from outside when it is to end.
    pub(super) stopped: &'a AtomicBool,
    pub(super) bar: &'a ProgressBar,
    /// Why the first drill that could not be judged could not.
    pub(super) in_vain: Option<String>,
    /// What broke a rule and was not pursued, since the time was over.
    pub(super) left: Option<String>,
}

/// What a drill of a batch came to with a sender; `None` if it was not played.
type TestEnd = Option<io::Result<Played>>;

impl Search<'_> {
    /// Plays drills until there are enough, the time is over, or it is stopped.
    ///
    /// # Errors
    /// What could not be played or written.
    pub(super) fn run(&mut self) -> io::Result<()> {
        while self.state.next < self.bounds.end && !self.is_over() {
            let going_on = self.batch();
            if let Some(file) = self.file {
                self.state.save(file)?;
            }
            if !going_on? {
                break;
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    fn is_over(&self) -> bool {
        self.is_stopped()
            || self
                .bounds
                .until
                .is_some_and(|until| Instant::now() >= until)
    }

    /// Plays the next drills; whether there is more to be done.
    fn batch(&mut self) -> io::Result<bool> {
        let senders = self.senders;
        let cells = senders.first().map_or(1, TestedSender::batch) * self.bounds.jobs.max(1);
        let drills = (cells / senders.len().max(1)).max(1);
        let (first, step) = (self.state.next, self.state.step);
        let left = (self.bounds.end - first).div_ceil(step);
        let count = left.min(drills as u64);
        let cells = usize::try_from(count).unwrap_or(drills) * senders.len();
        let mut outcomes: Vec<TestEnd> = (0..cells).map(|_| None).collect();
        let at = |cell: usize| {
            (
                first + (cell / senders.len()) as u64 * step,
                &senders[cell % senders.len()],
            )
        };
        let work = |cell: usize| {
            if self.is_over() {
                return None;
            }
            let (number, sender) = at(cell);
            let played = scenario(&RandomDrill::for_sender(number, sender.kind()))
                .and_then(|scenario| sender.play(&scenario));
            // What was broken off by the end says nothing.
            (!self.is_stopped()).then_some(played)
        };
        let bar = self.bar;
        parallel::each_while(cells, self.bounds.jobs, work, |cell, played| {
            bar.inc(u64::from(cell % senders.len() == 0));
            outcomes[cell] = Some(played);
        });
        let mut outcomes = outcomes.into_iter();
        for number in (0..count).map(|index| first + index * step) {
            let of_number: Option<Vec<_>> = outcomes.by_ref().take(senders.len()).collect();
            let Some(of_number) = of_number else {
                return Ok(false);
            };
            // Of a number all is known or nothing: who goes on with it later counts nothing twice.
            let before = self.state.clone();
            for (sender, played) in senders.iter().zip(of_number) {
                if !self.take(number, sender, played?)? {
                    self.state = before;
                    return Ok(false);
                }
            }
            self.state.next = number.saturating_add(step);
            let is_news = self.state.findings.len() > before.findings.len();
            if let Some(file) = self.file.filter(|_| is_news) {
                self.state.save(file)?;
            }
        }
        Ok(true)
    }

    /// Takes in what a drill came to; `false` if it was stopped before all was known of it.
    fn take(&mut self, number: u64, sender: &TestedSender, played: Played) -> io::Result<bool> {
        let broken = match played {
            Played::Judged(broken) => broken,
            Played::NotJudged(why) => {
                self.in_vain.get_or_insert(why);
                self.state.unjudged += 1;
                return Ok(true);
            }
        };
        let drill = RandomDrill::for_sender(number, sender.kind());
        let (name, traits) = (sender.name(), drill.traits());
        let mut pursued: Vec<&str> = Vec::new();
        let mut news = Vec::new();
        for one in &broken {
            // A rule may be broken with several messages.
            if pursued.contains(&&*one.rule) {
                continue;
            }
            pursued.push(&one.rule);
            let mut known = self.state.findings.iter_mut();
            if let Some(known) = known.find(|known| known.explains(&name, &one.rule, &traits)) {
                known.seen += 1;
                continue;
            }
            let is_of_rule =
                |known: &&FuzzFinding| known.sender == name && known.broken.rule == one.rule;
            if self.state.findings.iter().filter(is_of_rule).count() >= MOST_SHAPES {
                let others = self.state.others.entry(format!("{name}: {}", one.rule));
                *others.or_default() += 1;
                continue;
            }
            news.push(one);
        }
        for one in news {
            // What cannot be made small any more is left for another time.
            if self.is_over() {
                let is_late = !self.is_stopped();
                self.left = is_late.then(|| format!("{} in number {number}", one.rule));
                return Ok(false);
            }
            self.bar
                .set_message(format!("{}: {}", one.rule, self.state.findings.len() + 1));
            self.pursue(&drill, sender, one)?;
            if self.is_stopped() {
                return Ok(false);
            }
        }
        self.state.judged += 1;
        Ok(true)
    }

    /// Looks whether a rule is broken again, and by which smallest drill.
    fn pursue(
        &mut self,
        drill: &RandomDrill,
        sender: &TestedSender,
        broken: &BrokenRule,
    ) -> io::Result<()> {
        let breaks = |scenario: &Arc<Scenario>| breaks(sender, scenario, &broken.rule);
        let again = |scenario: &Arc<Scenario>| {
            let mut tries = (0..AGAIN).map(|_| breaks(scenario));
            tries.find_map(|broken| broken)
        };
        if !sender.does_the_same() && again(&scenario(drill)?).is_none() {
            if !self.is_stopped() {
                self.state.flakes.push(Flake {
                    sender: sender.name(),
                    rule: broken.rule.clone(),
                    number: drill.number(),
                });
            }
            return Ok(());
        }
        let small = self.smallest(drill, sender, &breaks);
        let shown = again(&scenario(&small)?).map(|broken| (small, broken));
        // What is broken by the large drill twice, and by the small one once, is shown by the large one.
        let (small, broken) = shown.unwrap_or_else(|| (drill.clone(), broken.clone()));
        if self.is_stopped() {
            return Ok(());
        }
        self.keep(drill.number(), sender, &small, broken)
    }

    /// The smallest drill that breaks a rule, as far as there are tries and time.
    fn smallest(
        &self,
        drill: &RandomDrill,
        sender: &TestedSender,
        breaks: &(impl Fn(&Arc<Scenario>) -> Option<BrokenRule> + Sync),
    ) -> RandomDrill {
        let mut tries = sender.most_tries();
        let until = self.bounds.until.map(|until| until + GRACE);
        let jobs = self.bounds.jobs;
        drill.clone().shrunk_by(jobs, |cases| {
            let late = until.is_some_and(|until| Instant::now() >= until);
            if tries < cases.len() || late || self.is_stopped() {
                return None;
            }
            tries -= cases.len();
            let failing = Mutex::new(None);
            let work = |index: usize| {
                // One that comes later is of no use any more.
                let lower = |known: &usize| *known < index;
                if !parallel::lock(&failing).as_ref().is_some_and(lower)
                    && breaks(&cases[index]).is_some()
                {
                    let mut failing = parallel::lock(&failing);
                    *failing = Some(failing.map_or(index, |known: usize| known.min(index)));
                }
                Some(())
            };
            parallel::each_while(cases.len(), jobs, work, |_, ()| {});
            *parallel::lock(&failing)
        })
    }

    /// Enters a finding, and writes its drill down; or counts a known one.
    fn keep(
        &mut self,
        number: u64,
        sender: &TestedSender,
        small: &RandomDrill,
        broken: BrokenRule,
    ) -> io::Result<()> {
        let (name, traits) = (sender.name(), small.traits());
        let mut known = self.state.findings.iter_mut();
        if let Some(known) = known.find(|known| known.explains(&name, &broken.rule, &traits)) {
            known.seen += 1;
            return Ok(());
        }
        let stem = file_name(&broken.rule, sender, &traits);
        let names = (1..).map(|number| match number {
            1 => format!("{stem}.toml"),
            number => format!("{stem}-{number}.toml"),
        });
        let is_taken = |path: &Path| {
            let file = path.display().to_string();
            self.state.findings.iter().any(|known| known.file == file)
        };
        let mut paths = names.map(|name| self.folder.join(name));
        let path = paths.find(|path| !is_taken(path)).unwrap_or_default();
        fs::write(&path, file_text(sender, &broken, small, &path))
            .map_err(|error| at(&path, error))?;
        self.state.findings.push(FuzzFinding {
            sender: name,
            broken,
            traits,
            exchangers: small.exchangers(),
            number,
            seen: 1,
            file: path.display().to_string(),
            replay: sender.replay(&path),
        });
        Ok(())
    }
}

/// The rule as a sender breaks it in a drill; `None` if it does not, or that cannot be judged.
fn breaks(sender: &TestedSender, scenario: &Arc<Scenario>, rule: &str) -> Option<BrokenRule> {
    match sender.play(scenario) {
        Ok(Played::Judged(broken)) => broken.into_iter().find(|one| one.rule == rule),
        Ok(Played::NotJudged(_)) | Err(_) => None,
    }
}

/// The scenario of a drill.
fn scenario(drill: &RandomDrill) -> io::Result<Arc<Scenario>> {
    drill.scenario().map_err(io::Error::other)
}
