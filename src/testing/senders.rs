//! A sender under test: random drills on the memory network, judged by the rules.

use std::{
    collections::BTreeSet,
    fmt::Write,
    fs,
    future::Future,
    panic::Location,
    path::{Path, PathBuf},
    sync::Arc,
    thread,
};

use super::{
    runner::{folder_of, smallest_failing},
    strategies::drills,
};
use crate::{
    drill::{self, Run},
    error::Error,
    event::{Event, EventKind},
    lab::NetworkKind,
    mail::MessageId,
    observe,
    outcome::Outcome,
    random_drill::RandomDrill,
    scenario::Scenario,
    sender::{self, SenderContext},
    verdict::{Finding, RETRY_WAITS, SENDER_NOTIFIED},
};

/// Drills that are played.
const CASES: u32 = 200;
/// Events by which a sender has begun to show what it does.
const BEGINNING: usize = 1000;
/// Events after which a drill is over: of what is longer the beginning counts.
const MOST: usize = 20_000;
/// Attempts that are shown of a drill.
const SHOWN: usize = 12;

/// What a sender does wrong, with the smallest drill in which it does.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{findings}\n{drill}\n  the drill is {}: mxdrill run plays it with mxdrill's own sender", file.display())]
#[non_exhaustive]
pub struct SenderFailure {
    /// The rules that it breaks, with what was expected and what was observed.
    pub findings: String,
    /// The names of those rules.
    pub rules: Vec<String>,
    /// The drill, as the text of a scenario file.
    pub drill: String,
    /// How many MX records it has.
    pub mx_records: usize,
    /// Where the drill was written to.
    pub file: PathBuf,
}

/// Plays drills that are made at random with an async sender, hours in milliseconds, and holds what it does against the
/// [rules](https://docs.rs/mxdrill): the order of preferences, retries, nothing lost and nothing twice.
///
/// The sender is a function from a [`SenderContext`] to a future that ends when its queue is empty: messages come in
/// through it, lookups and connections go out through it, and `tokio::time` is the drill's clock. A sender may say what
/// became of a message ([`SenderContext::report`]) or leave that to what receivers saw. Whoever reports a bounce owes no
/// notification: that is for whoever reads the report to write.
///
/// What fails is made smaller, and the smallest drill is written as a scenario file beside the file of the test.
///
/// # Panics
/// If it breaks a rule ([`SenderFailure`]).
#[track_caller]
pub fn sender<F, W>(send: F)
where
    F: Fn(SenderContext) -> W,
    W: Future<Output = ()>,
{
    if let Err(failure) = check_sender(send) {
        panic!("the sender breaks a rule: {failure}\n");
    }
}

/// As [`sender`](fn@sender), with what is wrong as a value.
///
/// # Errors
/// What it does wrong.
#[track_caller]
pub fn check_sender<F, W>(send: F) -> Result<(), Box<SenderFailure>>
where
    F: Fn(SenderContext) -> W,
    W: Future<Output = ()>,
{
    let caller = Location::caller();
    let check = |case: &RandomDrill| match told(case, &send) {
        FoundInDrill::Nothing => Ok(()),
        FoundInDrill::Breaks { rules, .. } => Err(rules.join(", ")),
    };
    let Some((case, _)) = smallest_failing(drills(), CASES, caller, check) else {
        return Ok(());
    };
    let (rules, findings) = match told(&case, &send) {
        FoundInDrill::Breaks { rules, findings } => (rules, findings),
        FoundInDrill::Nothing => (
            Vec::new(),
            "the same drill passes when it is played again: the sender draws chance from elsewhere than the drill's seed"
                .to_owned(),
        ),
    };
    let drill = case.text();
    let file = folder_of(caller).join(file_name(caller));
    let comment = format!(
        "# The smallest drill in which the sender breaks a rule: {}.\n",
        rules.join(", ")
    );
    let file = match fs::write(&file, comment + &drill) {
        Ok(()) => file,
        Err(error) => PathBuf::from(format!("not written to {} ({error})", file.display())),
    };
    Err(Box::new(SenderFailure {
        findings,
        rules,
        drill: indented(&drill),
        mx_records: case.exchangers(),
        file,
    }))
}

/// What came of a drill.
enum FoundInDrill {
    Nothing,
    Breaks {
        rules: Vec<String>,
        findings: String,
    },
}

fn told<F, W>(case: &RandomDrill, send: &F) -> FoundInDrill
where
    F: Fn(SenderContext) -> W,
    W: Future<Output = ()>,
{
    // What is no drill was made smaller by too much.
    let Ok(scenario) = case.scenario() else {
        return FoundInDrill::Nothing;
    };
    let is_restless = |finding: &Finding| finding.rule == Some(RETRY_WAITS.name);
    // Who never waits fills a log as long as it may be. What it does wrong shows in the beginning of it.
    for most in [BEGINNING, MOST] {
        let run = match play(&scenario, send, most) {
            Ok(run) => run,
            Err(error) => {
                return FoundInDrill::Breaks {
                    rules: vec!["the drill comes to an end".to_owned()],
                    findings: format!("\n  {error}\n"),
                };
            }
        };
        if run.events.len() < most {
            let told = returned(&run.events);
            return breaks(&scenario, &run, |finding| {
                let is_about_returning = finding.rule == Some(SENDER_NOTIFIED.name);
                let message = finding.subject.message();
                !(is_about_returning && message.is_some_and(|one| told.contains(one)))
            });
        }
        // It was cut short: what became of its messages is not known.
        if run.verdict.findings.iter().any(is_restless) {
            return breaks(&scenario, &run, is_restless);
        }
    }
    FoundInDrill::Nothing
}

/// Plays a drill, up to so many events.
fn play<F, W>(scenario: &Arc<Scenario>, send: &F, most: usize) -> Result<Run, Error>
where
    F: Fn(SenderContext) -> W,
    W: Future<Output = ()>,
{
    let sender = sender::from_fn(|context: SenderContext| async move {
        let log = context.log().clone();
        tokio::select! {
            biased;
            () = send(context) => {}
            () = log.past(most) => {}
        }
    });
    drill::run(scenario, NetworkKind::Memory, None, sender)
}

/// Messages that the sender said to be undeliverable: whoever it said so to writes the notification, if one is due.
fn returned(events: &[Event]) -> BTreeSet<MessageId> {
    let returned = events.iter().filter_map(|event| match &event.kind {
        EventKind::Report {
            message,
            outcome: Outcome::Bounced,
            ..
        } => Some(message.clone()),
        _ => None,
    });
    returned.collect()
}

/// What is wrong, of those findings that count.
fn breaks(scenario: &Scenario, run: &Run, counts: impl Fn(&Finding) -> bool) -> FoundInDrill {
    let findings = run
        .verdict
        .findings
        .iter()
        .filter(|finding| counts(finding));
    let findings: Vec<&Finding> = findings.collect();
    if findings.is_empty() {
        return FoundInDrill::Nothing;
    }
    let name = |finding: &&Finding| finding.rule.map_or(finding.claim.clone(), str::to_owned);
    let rules: BTreeSet<String> = findings.iter().map(name).collect();
    let mut text = drill::findings(findings);
    let mut line = |one: String| writeln!(text, "{one}").expect("a string takes it all");
    let attempts = observe::attempts(scenario, &run.events);
    line("\n  attempts, in order:".to_owned());
    for attempt in attempts.iter().take(SHOWN) {
        line(format!("    {attempt}"));
    }
    let more = attempts.len().saturating_sub(SHOWN);
    if more > 0 {
        line(format!("    and {more} more"));
    }
    FoundInDrill::Breaks {
        rules: rules.into_iter().collect(),
        findings: text,
    }
}

/// By the test's name, which its thread has: `tests/delivery.rs` and `nothing_is_lost` give
/// `delivery-nothing_is_lost.toml`.
fn file_name(caller: &Location<'_>) -> String {
    let stem = Path::new(caller.file()).file_stem().unwrap_or_default();
    let test = thread::current()
        .name()
        .unwrap_or("main")
        .replace("::", "-");
    format!("{}-{test}.toml", stem.to_string_lossy())
}

fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("  {line}\n"));
    lines.collect()
}
