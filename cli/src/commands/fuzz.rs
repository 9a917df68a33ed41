//! `mxdrill fuzz`: plays random drills and holds them against the rules.
//!
//! Who is tested is the reference sender, any command, or mail servers (`sender`). Drills are numbered, and played
//! several at once, but what comes of them is taken in the order of their numbers (`search`): so findings are the same
//! on every machine, as far as the sender does the same. What was found (`finding`) and how far it came is kept in a
//! file, if one is named (`state`).

mod broken_rule;
mod finding;
mod search;
mod sender;
mod state;

use std::{
    ffi::OsString,
    fs, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use self::{
    finding::FuzzFinding,
    search::{Search, SearchBounds},
    sender::TestedSender,
    state::State,
};
use super::{CommandOutcome, at, say, selection::Slice};
use crate::{progress, signals};
use mxdrill::{random_drill::RandomDrill, sender::Flaw, time::HumanDuration};

pub(crate) const FUZZ_NOTES: &str = "\
Without a command or --mta the sender is mxdrill's own, on the memory network. A command and a mail server have a
private network for each drill, on virtual time (Linux on x86-64), as with `mxdrill exec --virtual-time` and
`mxdrill conform`.

A command is started once for each drill and has to send one message, from sender@sender.test, to the recipient that
stands in the place of {recipient} among its arguments; what it does by the time it ends is judged. A mail server is
left to its own schedule. What does not fit it, or could not be judged, is no finding.

Zones, faults, receivers and messages come from numbers: the same number is the same drill. The first numbers have every
two of these together at least once: a stage or query that fails and how, a shape of zone, what receivers offer, what they
bear, what is sent. Those behind them come by chance. Nothing is expected but the rules that always hold.

What breaks a rule is played again, and is a finding only if it breaks it again. It is made smaller as long as it does,
and written to RULE-....toml; the comment at its top says what was seen, and the command that plays it. One file is
written for each rule and shape: what else breaks the rule and has all in it that the file has is only counted, and
so is what breaks a rule of which eight shapes are known.

With --resume what was played and found is kept in a file, and a run that was ended in any way goes on there.

Exit status: 0 no rule was broken, 1 one was, 2 it could not be run.

Examples:
  mxdrill fuzz --cases 100000
  mxdrill fuzz --flaw highest-first              a sender broken on purpose is found out
  mxdrill fuzz --for 2m -- python3 my_sender.py {recipient}
  mxdrill fuzz --mta postfix --mta exim --for 10m --resume state.json --write findings
  mxdrill fuzz --cases 100000 --partition slice:1/4";

/// How many drills are played where neither a number nor a time is given.
const CASES: u64 = 1000;

#[derive(Debug, clap::Args)]
pub(crate) struct FuzzArgs {
    /// How many drills; 1000, or as many as there is time for with --for.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) cases: Option<u64>,
    /// The number of the first one.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    pub(crate) seed: u64,
    /// Only every N-th number, from the M-th on: slice:1/4 to slice:4/4 are all drills on four machines.
    #[arg(long, value_name = "slice:M/N")]
    pub(crate) partition: Option<Slice>,
    /// How long to go on, such as 10m, in real time.
    #[arg(long = "for", value_name = "TIME", value_parser = time)]
    pub(crate) time: Option<Duration>,
    /// How many drills at once; without it, one for each core, two for each in private networks.
    #[arg(long, short, value_name = "NUMBER")]
    pub(crate) jobs: Option<usize>,
    /// Break the reference sender on purpose.
    #[arg(long, value_parser = super::flaw(), value_name = "FLAW", conflicts_with_all = ["mta", "command"])]
    pub(crate) flaw: Option<Flaw>,
    /// A mail server by its name in `mxdrill mta list`, or the path of an adapter; may be given several times.
    #[arg(long, value_name = "MTA", conflicts_with = "command")]
    pub(crate) mta: Vec<String>,
    /// Keep in this file what was played and found, and go on where it ends if it is there.
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// The folder to write the drills that fail to.
    #[arg(long, default_value = ".", value_name = "FOLDER")]
    pub(crate) write: PathBuf,
    /// The command that sends a message to {recipient}.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

fn time(text: &str) -> Result<Duration, String> {
    let time: Result<HumanDuration, _> = text.parse();
    time.map(|time| time.0).map_err(|error| error.to_string())
}

/// Plays drills until there are enough, and tells each finding.
pub(crate) fn fuzz(args: &FuzzArgs) -> io::Result<CommandOutcome> {
    let begun = Instant::now();
    let folder = &args.write;
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let senders = sender::senders(args)?;
    let names = senders.iter().map(TestedSender::name).collect();
    let (place, step) = args.partition.map_or((1, 1), Slice::numbers);
    let first = args.seed.saturating_add(place as u64 - 1);
    let state = State::open(args.resume.as_deref(), names, first, step as u64)?;
    let cases = args.cases.or(args.time.is_none().then_some(CASES));
    let bounds = SearchBounds {
        // No number is beyond the greatest there is.
        end: cases.map_or(u64::MAX, |cases| args.seed.saturating_add(cases)),
        until: args.time.and_then(|time| begun.checked_add(time)),
        jobs: args.jobs.unwrap_or_else(|| sender::usual_jobs(&senders)),
    };
    let bar = progress::bar(
        cases.unwrap_or(0),
        "{human_pos} drills, {per_sec}, {elapsed}  {msg}",
    );
    bar.set_position((state.next - state.first) / state.step);
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    signals::when_asked_to_end(move || {
        stop.store(true, Ordering::SeqCst);
        sender::end_all();
    })?;
    let mut search = Search {
        senders: &senders,
        bounds,
        state,
        file: args.resume.as_deref(),
        folder,
        stopped: &stopped,
        bar: &bar,
        in_vain: None,
        left: None,
    };
    let ended = search.run();
    bar.finish_and_clear();
    ended?;
    let Search {
        state,
        in_vain,
        left,
        ..
    } = search;
    tell(&state, &senders, begun.elapsed())?;
    if let Some(left) = &left {
        say::err(format_args!(
            "mxdrill: the time was over before {left} could be looked at; with --resume it is the first another time"
        ));
    }
    if !state.findings.is_empty() {
        return Ok(CommandOutcome::Failed);
    }
    if stopped.load(Ordering::SeqCst) {
        let text = "interrupted before all drills were played; no rule was broken so far";
        return Err(io::Error::new(io::ErrorKind::Interrupted, text));
    }
    match in_vain {
        _ if left.is_some() => Ok(CommandOutcome::CouldNotRun),
        None if state.judged == 0 => Err(io::Error::other(
            "no drill was played, expected one at least",
        )),
        Some(why) if state.judged == 0 => {
            let text = format!("no drill could be judged: {why}");
            Err(io::Error::other(text))
        }
        _ => Ok(CommandOutcome::Passed),
    }
}

/// Says what was found, and how much was played for it.
fn tell(state: &State, senders: &[TestedSender], elapsed: Duration) -> io::Result<()> {
    for finding in &state.findings {
        say::out(format_args!("{finding}"))?;
    }
    for flake in &state.flakes {
        say::out(format_args!("{flake}"))?;
    }
    for (broken, count) in &state.others {
        say::out(format_args!(
            "{broken} is broken in {count} drills more of other shapes, which were not made smaller"
        ))?;
    }
    let covering = senders
        .first()
        .map_or(0, |one| RandomDrill::covering(one.kind()));
    let pairs = match state.next.saturating_sub(state.first) {
        _ if state.step > 1 => format!(", one in {}", state.step),
        _ if state.first > 0 || senders.is_empty() => String::new(),
        played if played >= covering => ", every two kinds together".to_owned(),
        played => format!(" ({played} of the {covering} that have every two kinds together)"),
    };
    let not_judged = match state.unjudged {
        0 => String::new(),
        count => format!(", {count} not judged"),
    };
    say::out(format_args!(
        "{} drills, from number {}{pairs}{not_judged}: {} ({:.1} s)",
        state.judged + state.unjudged,
        state.first,
        FuzzFinding::count(&state.findings),
        elapsed.as_secs_f64()
    ))
}
