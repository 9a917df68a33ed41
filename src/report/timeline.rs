//! Drills as one HTML file that needs nothing else, with a timeline for each message.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    io::{self, Write},
    sync::Arc,
};

use super::first_findings;
use crate::{
    drill::Run,
    event::What,
    observe::{self, Attempt},
    scenario::{AttemptResult, Message, MessageId, Outcome, Scenario},
    time::Moment,
    verdict::Finding,
    visible::visible,
};

/// Messages of a drill that have a line of their own.
const MOST_MESSAGES: usize = 30;
/// Drills that are shown open.
const FEW: usize = 5;

const HEAD: &str = include_str!("timeline.html");

/// A drill to show.
pub(crate) struct Told {
    /// What it is about.
    pub(crate) title: String,
    /// The drill, with what came of it; or why it was not run.
    pub(crate) run: Result<(Arc<Scenario>, Run), String>,
}

/// Text that is data, in HTML.
struct Plain<T>(T);

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in visible(&self.0.to_string()).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Writes one file for a browser.
pub(crate) fn timeline(drills: &[Told], out: &mut impl Write) -> io::Result<()> {
    out.write_all(HEAD.as_bytes())?;
    let failed = drills.iter().filter(|told| has_failed(told)).count();
    let not_run = drills.iter().filter(|told| told.run.is_err()).count();
    writeln!(
        out,
        "<h1>{}</h1>",
        Plain(sum(drills.len(), failed, not_run))
    )?;
    writeln!(
        out,
        "<p class=\"soft\">Each line is a message, from when it was sent to its end; each mark is an attempt. mxdrill {}</p>",
        env!("CARGO_PKG_VERSION")
    )?;
    writeln!(
        out,
        "<p class=\"key\"><i class=\"accepted\"></i> taken <i class=\"later\"></i> failed for now <i class=\"refused\"></i> failed for good</p>"
    )?;
    for told in drills {
        drill(told, drills.len() <= FEW || has_failed(told), out)?;
    }
    writeln!(out, "</main>\n</body>\n</html>")?;
    out.flush()
}

fn has_failed(told: &Told) -> bool {
    told.run
        .as_ref()
        .is_ok_and(|(_, run)| !run.verdict.passed())
}

fn sum(all: usize, failed: usize, not_run: usize) -> String {
    let drills = if all == 1 { "drill" } else { "drills" };
    match (failed, not_run) {
        (0, 0) => format!("{all} {drills}, as expected"),
        (failed, 0) => format!("{all} {drills}, {failed} not as expected"),
        (failed, not_run) => {
            format!("{all} {drills}, {failed} not as expected, {not_run} not run")
        }
    }
}

fn drill(told: &Told, open: bool, out: &mut impl Write) -> io::Result<()> {
    let open = if open { " open" } else { "" };
    let mark = match &told.run {
        Err(_) => "skip",
        Ok((_, run)) if run.verdict.passed() => "ok",
        Ok(_) => "fail",
    };
    writeln!(
        out,
        "<details class=\"drill\"{open}><summary><b class=\"{mark}\">{mark}</b> {}</summary>",
        Plain(&told.title)
    )?;
    match &told.run {
        Err(why) => writeln!(out, "<p>{}</p>", Plain(why))?,
        Ok((scenario, run)) => {
            let (findings, more) = first_findings(&run.verdict);
            for finding in findings {
                self::finding(finding, out)?;
            }
            if let Some(more) = more {
                writeln!(out, "<p class=\"soft\">{}</p>", Plain(more))?;
            }
            messages(scenario, run, out)?;
        }
    }
    writeln!(out, "</details>")
}

fn finding(finding: &Finding, out: &mut impl Write) -> io::Result<()> {
    let cites = finding.cites.join(", ");
    writeln!(
        out,
        "<div class=\"finding\"><b>{} {}</b> <span class=\"soft\">{}</span>",
        Plain(finding.level),
        Plain(&finding.claim),
        Plain(cites)
    )?;
    for (what, lines) in [
        ("expected", &finding.expected),
        ("observed", &finding.observed),
        ("what led there", &finding.because),
    ] {
        if lines.is_empty() && what == "what led there" {
            continue;
        }
        writeln!(out, "<div>{what}: {}</div>", Plain(lines.join("; ")))?;
    }
    writeln!(out, "</div>")
}

fn messages(scenario: &Scenario, run: &Run, out: &mut impl Write) -> io::Result<()> {
    let mut attempts: BTreeMap<MessageId, Vec<Attempt>> = BTreeMap::new();
    for attempt in observe::attempts(scenario, &run.events) {
        if let Some(id) = attempt.message.clone() {
            attempts.entry(id).or_default().push(attempt);
        }
    }
    let mut ends: BTreeMap<&MessageId, (Outcome, Moment)> = BTreeMap::new();
    for event in &run.events {
        if let What::Report {
            message, outcome, ..
        } = &event.what
        {
            // Of several recipients the one with whom it went worst, as far as it went.
            let (worst, at) = ends.entry(message).or_insert((*outcome, event.at));
            *at = event.at;
            if *worst == Outcome::Deferred || *outcome == Outcome::Bounced {
                *worst = *outcome;
            }
        }
    }
    let end = run.events.last().map_or(Moment::START, |event| event.at);
    writeln!(
        out,
        "<div class=\"axis\"><span>+{}</span><span>+{end}</span></div>",
        Moment::START
    )?;
    // Those that something was found of come first.
    let claims = run.verdict.findings.iter().map(|finding| &finding.claim);
    let named: BTreeSet<&str> = claims
        .flat_map(|claim| claim.split([' ', '(', ')']))
        .collect();
    let all = scenario.messages.iter();
    let (failed, others): (Vec<&Message>, Vec<&Message>) =
        all.partition(|message| named.contains(&*message.id.0));
    for message in failed.into_iter().chain(others).take(MOST_MESSAGES) {
        let own = attempts.get(&message.id).map_or(&[][..], Vec::as_slice);
        line(message, own, ends.get(&message.id).copied(), end, out)?;
    }
    let more = scenario.messages.len().saturating_sub(MOST_MESSAGES);
    if more > 0 {
        writeln!(out, "<p class=\"soft\">and {more} more messages</p>")?;
    }
    Ok(())
}

/// The part of the drill that has passed at a moment, in per cent.
fn percent(at: Moment, end: Moment) -> f64 {
    match end.0.is_zero() {
        true => 0.0,
        false => at.0.as_secs_f64() / end.0.as_secs_f64() * 100.0,
    }
}

fn line(
    message: &Message,
    attempts: &[Attempt],
    ended: Option<(Outcome, Moment)>,
    end: Moment,
    out: &mut impl Write,
) -> io::Result<()> {
    let (outcome, last) = ended.unwrap_or((Outcome::Deferred, end));
    let (from, to) = (percent(message.at, end), percent(last, end));
    let recipients: Vec<&str> = message.to.iter().map(|to| &*to.text).collect();
    writeln!(
        out,
        "<details class=\"message\"><summary><span class=\"id\">{}</span><span class=\"track\"><s class=\"{outcome}\" style=\"left:{from:.3}%;width:{:.3}%\"></s>",
        Plain(&message.id),
        (to - from).max(0.0),
    )?;
    for (index, attempt) in attempts.iter().enumerate() {
        // What happens at one moment stands side by side.
        let before = attempts[..index]
            .iter()
            .filter(|earlier| earlier.at == attempt.at)
            .count();
        writeln!(
            out,
            "<i class=\"{}\" style=\"left:calc({:.3}% + {}px)\" title=\"{}\"></i>",
            class(attempt),
            percent(attempt.at, end),
            before * 9,
            Plain(attempt)
        )?;
    }
    writeln!(
        out,
        "</span><span class=\"end {outcome}\">{outcome}</span></summary><p class=\"soft\">{}</p><ol>",
        Plain(recipients.join(", "))
    )?;
    for attempt in attempts {
        writeln!(out, "<li>{}</li>", Plain(attempt))?;
    }
    writeln!(out, "</ol></details>")
}

fn class(attempt: &Attempt) -> &'static str {
    match attempt.result {
        AttemptResult::Accepted => "accepted",
        AttemptResult::Code(500..) => "refused",
        _ => "later",
    }
}
