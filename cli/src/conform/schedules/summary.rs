//! Runs of a drill put together: ranges where they differ, what comes over and over, and what lies below the advice of
//! RFC 5321.
//!
//! Two runs of one server differ where it leaves something to chance, and by a second where moments are rounded. So a
//! number is always a range over the runs; a range no wider than a second is told as one number. What comes over and
//! over is looked for in the waits between attempts, not in the moments, and may be a group of up to four waits (5m,
//! 5m, 2h).

use std::fmt;

use mxdrill::{fault::Stage, scenario::Timeouts};

use super::reading::{Ending, HangRun, NotNowRun, Seconds, Then};

/// What differs by no more is the same: moments are rounded, and fall to either side.
const SAME: u64 = 1;
/// In a part of how many two waits may differ that are left to chance, and still come over and over.
const CHANCE: u64 = 10;
/// How many waits a part that comes over and over may have.
const LONGEST_ROUND: usize = 4;
/// How often it has to come.
const REPEATS: usize = 3;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// The shortest wait between attempts, and how soon a message may be given up (RFC 5321 section 4.5.4.1).
pub(crate) const LEAST_WAIT: Seconds = Seconds(30 * MINUTE);
pub(crate) const LEAST_LIFE: Seconds = Seconds(4 * DAY);
/// How often it is to be tried in the first hour (the same section).
pub(crate) const IN_FIRST_HOUR: usize = 2;

/// How long RFC 5321 (sections 4.5.3.2.1 to 4.5.3.2.6) advises to wait at a stage at least, as the reference sender
/// does; `None` where it says nothing.
pub(crate) fn advised(stage: Stage) -> Option<Seconds> {
    let is_advised = matches!(
        stage,
        Stage::Greeting | Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Content | Stage::Dot
    );
    is_advised.then(|| Seconds(Timeouts::default().at(stage).as_secs()))
}

/// From the least to the most of several runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RunRange {
    pub(crate) min: u64,
    pub(crate) max: u64,
}

impl RunRange {
    /// The range of some numbers; `None` of none.
    pub(crate) fn of(numbers: impl IntoIterator<Item = u64>) -> Option<Self> {
        let mut numbers = numbers.into_iter();
        let first = numbers.next()?;
        let first = Self {
            min: first,
            max: first,
        };
        Some(numbers.fold(first, |range, number| Self {
            min: range.min.min(number),
            max: range.max.max(number),
        }))
    }

    fn with(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    fn is_one(self) -> bool {
        self.max - self.min <= SAME
    }

    /// Whether both may be the same wait.
    fn is_like(self, other: Self) -> bool {
        let both = self.with(other);
        // Waits that chance has no part in are the same to the second; others within a tenth.
        let exact = self.is_one() && other.is_one();
        both.max - both.min
            <= if exact {
                SAME
            } else {
                SAME.max(both.max / CHANCE)
            }
    }

    /// As times.
    pub(crate) fn times(self) -> String {
        if self.is_one() {
            Seconds(self.min).to_string()
        } else {
            format!("{} to {}", Seconds(self.min), Seconds(self.max))
        }
    }
}

impl fmt::Display for RunRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.min == self.max {
            write!(f, "{}", self.min)
        } else {
            write!(f, "{} to {}", self.min, self.max)
        }
    }
}

/// Whether runs came to the same, but for a second.
pub(super) fn are_alike(runs: &[NotNowRun]) -> bool {
    let Some(first) = runs.first() else {
        return true;
    };
    let near = |one: &[Seconds], other: &[Seconds]| {
        one.len() == other.len()
            && one
                .iter()
                .zip(other)
                .all(|(one, other)| one.0.abs_diff(other.0) <= SAME)
    };
    runs.iter().all(|run| {
        let ended = [first.ending, run.ending].map(|ending| [after(ending)]);
        near(&run.attempts, &first.attempts)
            && near(&run.warned, &first.warned)
            && near(&ended[0], &ended[1])
    })
}

/// When a message came to its end, whichever that was.
fn after(ending: Ending) -> Seconds {
    match ending {
        Ending::Delivered(at) | Ending::Returned(at) | Ending::Lost(at) | Ending::Open(at) => at,
    }
}

/// How a message is tried that is answered 451.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Retries {
    /// When it is tried, up to where waits come over and over.
    pub(crate) moments: Vec<RunRange>,
    /// The waits that come over and over from then on; empty if none do.
    pub(crate) round: Vec<RunRange>,
    /// The last wait, if it is another: the attempt before a message is given up may be a special one.
    pub(crate) last: Option<RunRange>,
    pub(crate) count: RunRange,
    pub(crate) in_first_hour: RunRange,
    /// The shortest and the longest wait between two attempts; `None` if there are no two.
    pub(crate) waits: Option<(Seconds, Seconds)>,
}

impl Retries {
    /// Of several runs; `None` of none.
    pub(crate) fn of(runs: &[NotNowRun]) -> Option<Self> {
        let count = RunRange::of(runs.iter().map(|run| run.attempts.len() as u64))?;
        // A run with one attempt more tells nothing about that one: it has nothing beside it.
        let common = runs.iter().map(|run| run.attempts.len()).min()?;
        let each = |of: &dyn Fn(&NotNowRun) -> u64| RunRange::of(runs.iter().map(of));
        let moments: Vec<RunRange> = (0..common)
            .filter_map(|index| each(&|run| run.attempts[index].0))
            .collect();
        let waits: Vec<RunRange> = (1..common)
            .filter_map(|index| each(&|run| run.attempts[index].0 - run.attempts[index - 1].0))
            .collect();
        // First with the last wait; if nothing comes over and over then, without it.
        let (mut listed, mut round) = over_and_over(&waits);
        let mut last = None;
        if let ([], [before @ .., other]) = (&round[..], &waits[..]) {
            (listed, round) = over_and_over(before);
            last = (!round.is_empty()).then_some(*other);
            listed += usize::from(last.is_none());
        }
        let first_hour = |run: &NotNowRun| {
            let begun = run.attempts.first().map_or(0, |first| first.0);
            // The first attempt begins the hour, and counts (RFC 5321 section 4.5.4.1: twice in it).
            let early = run.attempts.iter().filter(|at| at.0 - begun < HOUR);
            early.count() as u64
        };
        let all = RunRange::of(runs.iter().flat_map(|run| {
            let waits = run.attempts.windows(2);
            waits.map(|pair| pair[1].0 - pair[0].0)
        }));
        Some(Self {
            moments: moments.into_iter().take(listed + 1).collect(),
            round,
            last,
            count,
            in_first_hour: each(&first_hour)?,
            waits: all.map(|all| (Seconds(all.min), Seconds(all.max))),
        })
    }

    /// In words, at most so many moments.
    pub(crate) fn words(&self, most: usize) -> String {
        let at = |range: &RunRange| match range.max {
            0 => "at once".to_owned(),
            _ => range.times(),
        };
        let mut words: Vec<String> = self.moments.iter().take(most).map(at).collect();
        if self.moments.len() > most {
            words.push("...".to_owned());
        }
        let round: Vec<String> = self.round.iter().map(|wait| wait.times()).collect();
        match &round[..] {
            [] => {}
            [every] => words.push(format!("then every {every}")),
            _ => words.push(format!("then after {}, over and over", round.join(", "))),
        }
        if let Some(last) = self.last {
            words.push(format!("the last after {}", last.times()));
        }
        words.join(", ")
    }

    /// Whether some wait is shorter than advised.
    pub(crate) fn is_hasty(&self) -> bool {
        self.waits
            .is_some_and(|(least, _)| least.0 + SAME < LEAST_WAIT.0)
    }

    /// Whether it is tried less often in the first hour than advised.
    pub(crate) fn is_slow(&self) -> bool {
        self.in_first_hour.min < IN_FIRST_HOUR as u64
    }
}

/// How many waits there are before some come over and over, and which these are.
fn over_and_over(waits: &[RunRange]) -> (usize, Vec<RunRange>) {
    let begins = |length: usize| {
        let pairs = waits.iter().zip(waits.iter().skip(length));
        // The last pair that differs: from behind it on, each wait is like the one so many before it.
        let mut unlike = pairs
            .enumerate()
            .filter(|(_, (one, other))| !one.is_like(**other));
        unlike.next_back().map_or(0, |(index, _)| index + 1)
    };
    let found = (1..=LONGEST_ROUND)
        .map(|length| (begins(length), length))
        .filter(|(begin, length)| waits.len().saturating_sub(*begin) >= length * REPEATS)
        // The earliest beginning, and of those the shortest round.
        .min();
    let Some((begin, length)) = found else {
        return (waits.len(), Vec::new());
    };
    let round = (0..length).filter_map(|phase| {
        let mut of_phase = waits[begin..].iter().skip(phase).step_by(length);
        let first = *of_phase.next()?;
        Some(of_phase.fold(first, |range, wait| range.with(*wait)))
    });
    (begin, round.collect())
}

/// When the author is told that a message is delayed: the moments, or `never`.
pub(crate) fn warned(runs: &[NotNowRun]) -> String {
    let most = runs.iter().map(|run| run.warned.len()).max().unwrap_or(0);
    let each = (0..most).filter_map(|index| {
        let all = runs.iter().filter_map(|run| run.warned.get(index));
        RunRange::of(all.map(|at| at.0)).map(RunRange::times)
    });
    let words: Vec<String> = each.collect();
    if words.is_empty() {
        return "never".to_owned();
    }
    words.join(", ")
}

/// How a message that no exchanger takes ends.
pub(crate) fn ended(runs: &[NotNowRun]) -> String {
    let returned: Vec<u64> = runs
        .iter()
        .filter_map(|run| match run.ending {
            Ending::Returned(at) => Some(at.0),
            _ => None,
        })
        .collect();
    match RunRange::of(returned.iter().copied()) {
        Some(range) if returned.len() == runs.len() => range.times(),
        _ => distinct(runs.iter().map(|run| ending(run.ending))),
    }
}

/// Whether some run gave the message up earlier than advised.
pub(crate) fn gives_up_early(runs: &[NotNowRun]) -> bool {
    runs.iter().any(|run| {
        let given_up = matches!(run.ending, Ending::Returned(_) | Ending::Lost(_));
        given_up && after(run.ending).0 + SAME < LEAST_LIFE.0
    })
}

fn ending(ending: Ending) -> String {
    match ending {
        Ending::Delivered(at) => format!("delivered after {at}"),
        Ending::Returned(at) => format!("returned after {at}"),
        Ending::Lost(at) => format!("gone after {at}, and nobody was told"),
        Ending::Open(at) => format!("not returned within {at}"),
    }
}

/// How long a server waits at a stage; `None` if it was still waiting at the end of a run.
pub(crate) fn waited(runs: &[HangRun]) -> Option<RunRange> {
    let waits: Option<Vec<u64>> = runs.iter().map(|run| run.waited.map(|at| at.0)).collect();
    RunRange::of(waits?)
}

/// Whether some run waited less than advised.
pub(crate) fn is_impatient(stage: Stage, runs: &[HangRun]) -> bool {
    let waited = runs.iter().filter_map(|run| run.waited).min();
    let advised = advised(stage).zip(waited);
    advised.is_some_and(|(advised, waited)| waited.0 + SAME < advised.0)
}

/// What a server did when it had waited.
pub(crate) fn then(runs: &[HangRun]) -> String {
    let at = |of: &dyn Fn(Then) -> Option<Seconds>| {
        let all: Option<Vec<u64>> = runs.iter().map(|run| of(run.then).map(|at| at.0)).collect();
        all.and_then(RunRange::of)
    };
    // Where all runs did the same, it is said once; otherwise each way once.
    if at(&|then| matches!(then, Then::Next(_)).then_some(Seconds(0))).is_some() {
        return "next".to_owned();
    }
    if let Some(range) = at(&|then| match then {
        Then::NextLater(at) => Some(at),
        _ => None,
    }) {
        return format!("next in a later pass, after {}", range.times());
    }
    if let Some(range) = at(&|then| match then {
        Then::Same(at) => Some(at),
        _ => None,
    }) {
        let ends = distinct(runs.iter().map(|run| roughly(run.ending)));
        return format!("same again after {}; {ends}", range.times());
    }
    distinct(runs.iter().map(|run| {
        let then = match run.then {
            Then::Next(_) => "next".to_owned(),
            Then::NextLater(at) => format!("next in a later pass, after {at}"),
            Then::Same(at) => format!("same again after {at}"),
            Then::Nothing => "nothing".to_owned(),
        };
        format!("{then}; {}", roughly(run.ending))
    }))
}

/// An ending to the hour: what a drill of days comes to by the minute is told by that of the 451.
fn roughly(of: Ending) -> String {
    let hours = |at: Seconds| match at.0 {
        // Within a day the minutes are of interest.
        0..DAY => at,
        long => Seconds(long - long % HOUR),
    };
    ending(match of {
        Ending::Delivered(at) => Ending::Delivered(hours(at)),
        Ending::Returned(at) => Ending::Returned(hours(at)),
        Ending::Lost(at) => Ending::Lost(hours(at)),
        Ending::Open(at) => Ending::Open(hours(at)),
    })
}

/// Each text once, in the order in which they come.
fn distinct(texts: impl Iterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for text in texts {
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(attempts: &[u64]) -> NotNowRun {
        NotNowRun {
            attempts: attempts.iter().copied().map(Seconds).collect(),
            warned: Vec::new(),
            ending: Ending::Returned(Seconds(5 * DAY)),
        }
    }

    fn words(runs: &[NotNowRun]) -> String {
        Retries::of(runs).expect("a run").words(8)
    }

    #[test]
    fn what_comes_over_and_over_is_said_once() {
        let postfix = [0, 300, 600, 1200, 2400, 6600, 10_800, 15_000, 19_200];
        assert_eq!(
            words(&[run(&postfix)]),
            "at once, 5m, 10m, 20m, 40m, then every 1h10m"
        );
        let mut groups = vec![0, 300, 600];
        while groups.len() < 14 {
            groups.extend([7800, 8100, 8400].map(|later| later + groups[groups.len() - 1] - 600));
        }
        assert_eq!(
            words(&[run(&groups)]),
            "at once, then after 5m, 5m, 2h, over and over"
        );
        let early_end = [&postfix[..], &[21_000]].concat();
        assert!(words(&[run(&early_end)]).ends_with("then every 1h10m, the last after 30m"));
        let squares: Vec<u64> = (0..12).map(|number| 400 * number * number).collect();
        assert!(words(&[run(&squares)]).ends_with("4h, 5h26m40s, ..."));
    }

    #[test]
    fn chance_makes_ranges_and_a_second_none() {
        let one = run(&[0, 300, 600]);
        assert!(are_alike(&[one.clone(), run(&[0, 301, 601])]));
        assert!(!are_alike(&[one.clone(), run(&[0, 302, 600])]));
        assert!(!are_alike(&[one.clone(), run(&[0, 300])]));
        assert_eq!(words(&[one, run(&[0, 360, 600])]), "at once, 5m to 6m, 10m");
        let early = run(&[0, 1200, 2450, 3660, 4860]);
        let late = run(&[0, 1250, 2460, 3720, 4970]);
        assert_eq!(words(&[early, late]), "at once, then every 20m to 21m");
    }

    #[test]
    fn what_is_below_the_advice_is_seen() {
        let retries = |attempts: &[u64]| Retries::of(&[run(attempts)]).expect("a run");
        assert!(retries(&[0, 1798, 5000]).is_hasty());
        assert!(!retries(&[0, 1800, 5000]).is_hasty());
        assert!(retries(&[0, 3600]).is_slow());
        assert!(!retries(&[0, 1800]).is_slow());
        let days = |days| NotNowRun {
            ending: Ending::Returned(Seconds(days * DAY)),
            ..run(&[0])
        };
        assert!(gives_up_early(&[days(4), days(3)]) && !gives_up_early(&[days(4)]));
    }

    #[test]
    fn what_follows_a_wait_is_said_in_words() {
        let hang = |waited, then, ending| HangRun {
            waited,
            then,
            ending,
        };
        let next = hang(
            Some(Seconds(300)),
            Then::Next(Seconds(301)),
            Ending::Delivered(Seconds(301)),
        );
        let same = hang(
            Some(Seconds(300)),
            Then::Same(Seconds(400)),
            Ending::Returned(Seconds(4 * DAY + 70)),
        );
        let nothing = hang(
            Some(Seconds(300)),
            Then::Nothing,
            Ending::Open(Seconds(12 * DAY)),
        );
        let waits = hang(None, Then::Nothing, Ending::Open(Seconds(12 * DAY)));
        assert_eq!(then(&[next.clone(), next.clone()]), "next");
        assert_eq!(
            then(&[same.clone(), same.clone()]),
            "same again after 6m40s; returned after 4d"
        );
        assert_eq!(
            then(std::slice::from_ref(&nothing)),
            "nothing; not returned within 12d"
        );
        assert_eq!(
            waited(&[same.clone(), nothing])
                .map(RunRange::times)
                .as_deref(),
            Some("5m")
        );
        assert_eq!(waited(&[waits, same]), None);
        let next = [next];
        assert!(is_impatient(Stage::Dot, &next) && !is_impatient(Stage::Mail, &next));
    }
}
