//! `mxdrill lint --watch`: looks again and again, and tells what has changed.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    CommandOutcome,
    lint::{LintArgs, LintFormat, findings, look, outcome, report},
};
use crate::signals;
use mxdrill::lint::LintFinding;

/// The shortest wait: less would be a burden to name servers and exchangers.
const LEAST: Duration = Duration::from_millis(100);

/// What is found, by what tells one finding from another. A record that moves to another line is the same.
type KnownFindings = BTreeMap<(String, String, String), LintFinding>;

/// Watches what `mxdrill lint` would tell once.
pub(crate) fn watch(args: &LintArgs, interval: Duration) -> io::Result<CommandOutcome> {
    let mut out = anstream::stdout().lock();
    crate::runtime::of_this_thread()?.block_on(watched(args, interval, &mut out))
}

/// Looks at once, and then after each interval, until this process is asked to end. The first look is reported as a whole;
/// of a look that fails that is said, and what was found before it still counts.
async fn watched(
    args: &LintArgs,
    interval: Duration,
    out: &mut impl Write,
) -> io::Result<CommandOutcome> {
    let wrong = match args.format {
        _ if interval < LEAST => Some("expected a --watch of 100ms or more"),
        _ if args.records.reads_standard_input() => {
            Some("standard input cannot be watched: it is read once")
        }
        LintFormat::Text | LintFormat::Json => None,
        _ => Some("--watch is told as text or json"),
    };
    if let Some(wrong) = wrong {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, wrong));
    }
    let mut ended = signals::listen().await?;
    // What cannot be read at first is a slip, and no reason to wait.
    let looked = tokio::select! {
        looked = look(args) => looked?,
        ended = &mut ended => return ended.map(|()| CommandOutcome::CouldNotRun),
    };
    let all = findings(args, &looked)?;
    report(out, args, &looked, &all)?;
    let mut last = outcome(args, &all);
    let mut known = by_words(all);
    loop {
        let again = async {
            tokio::time::sleep(interval).await;
            let looked = look(args).await?;
            findings(args, &looked)
        };
        let all = tokio::select! {
            biased;
            ended = &mut ended => return ended.map(|()| last),
            all = again => all,
        };
        match all {
            Err(error) => anstream::eprintln!("could not look: {error}"),
            Ok(all) => {
                last = outcome(args, &all);
                let found = by_words(all);
                tell(out, args.format, "new", &found, &known)?;
                tell(out, args.format, "gone", &known, &found)?;
                out.flush()?;
                known = found;
            }
        }
    }
}

/// What is not accepted, by its words.
fn by_words(all: Vec<LintFinding>) -> KnownFindings {
    let open = all.into_iter().filter(|finding| finding.accepted.is_none());
    let keyed = open.map(|finding| {
        let (id, domain) = (finding.check.id.to_owned(), finding.domain.to_string());
        ((id, domain, finding.message.clone()), finding)
    });
    keyed.collect()
}

/// Tells what is among some findings and not among others.
fn tell(
    out: &mut impl Write,
    format: LintFormat,
    change: &str,
    these: &KnownFindings,
    others: &KnownFindings,
) -> io::Result<()> {
    for (key, finding) in these.iter().filter(|(key, _)| !others.contains_key(*key)) {
        let (id, domain, message) = key;
        match format {
            LintFormat::Json => {
                let line: Value = json!({
                    "change": change,
                    "id": id,
                    "severity": finding.check.severity,
                    "domain": domain,
                    "message": message,
                });
                writeln!(out, "{line}")?;
            }
            _ => writeln!(
                out,
                "{change}: {domain}: {}: {message} [{id}]",
                finding.check.severity
            )?,
        }
    }
    Ok(())
}
