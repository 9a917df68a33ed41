//! Drills as one HTML file that needs nothing else, with a timeline for each message.
//!
//! The page is written drill by drill; its heading comes last and is put first by its style. It has
//! no script, and needs nothing from the network.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use super::{
    first_findings,
    page::{self, Plain},
    sheet::Weight,
};
use mxdrill::{
    event::{Event, EventKind},
    mail::{Message, MessageId},
    observe::{Attempt, Attempts},
    outcome::{AttemptResult, Outcome},
    scenario::Scenario,
    time::Moment,
    verdict::{Finding, Verdict},
};

/// Messages of a drill that get a line of their own; what something was found of comes first.
const MOST_MESSAGES: usize = 30;
/// A file with at most so many drills shows all of them open.
const FEW: usize = 5;

/// What a timeline needs of a log: it is read as it grows, and nothing else is kept of it.
#[derive(Default)]
pub(crate) struct TimelineLog {
    attempts: Attempts,
    /// The outcome of each message as far as its sender said it, the worst among its recipients,
    /// with the moment of the last word.
    ends: BTreeMap<MessageId, (Outcome, Moment)>,
    end: Moment,
}

impl TimelineLog {
    /// What there is to see in a log.
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut seen = Self::default();
        events.iter().for_each(|event| seen.see(event));
        seen
    }

    /// Takes an event in.
    pub(crate) fn see(&mut self, event: &Event) {
        self.end = event.at;
        self.attempts.see(event);
        if let EventKind::Report {
            message, outcome, ..
        } = &event.kind
        {
            let ends = self.ends.entry(message.clone());
            let (worst, at) = ends.or_insert((*outcome, event.at));
            *at = event.at;
            if *worst == Outcome::Deferred || *outcome == Outcome::Bounced {
                *worst = *outcome;
            }
        }
    }
}

/// How a drill that is shown ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    Ok,
    Fail,
    /// It failed, as a baseline has it.
    Known,
    Skip,
    /// What a rehearsal came to, where nothing is right or wrong.
    Came(Weight),
}

impl Mark {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Fail => "fail",
            Self::Known => "known",
            Self::Skip => "skip",
            Self::Came(weight) => weight.class(),
        }
    }
}

/// How a drill is shown that nothing is wrong with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Open,
    Closed,
}

impl Shown {
    /// For a file with so many drills.
    pub(crate) fn among(drills: usize) -> Self {
        if drills <= FEW {
            Self::Open
        } else {
            Self::Closed
        }
    }
}

/// The part of the file that one drill is.
pub(crate) struct TimelineSection {
    title: String,
    mark: Mark,
    shown: Shown,
    /// What is below its heading.
    html: Vec<u8>,
}

impl TimelineSection {
    /// A drill that ran.
    pub(crate) fn ran(
        title: &str,
        scenario: &Scenario,
        verdict: &Verdict,
        seen: TimelineLog,
        shown: Shown,
    ) -> Self {
        let (mark, shown) = if verdict.passed() {
            (Mark::Ok, shown)
        } else {
            (Mark::Fail, Shown::Open)
        };
        Self::of(title, mark, shown, |html| {
            let (findings, more) = first_findings(verdict);
            for finding in findings {
                self::finding(finding, html)?;
            }
            if let Some(more) = more {
                writeln!(html, "<p class=\"soft\">{}</p>", Plain(more))?;
            }
            messages(scenario, verdict, seen, html)
        })
    }

    /// A drill of a rehearsal, and how bad it was for mail.
    pub(crate) fn rehearsed(
        title: &str,
        weight: Weight,
        scenario: &Scenario,
        verdict: &Verdict,
        seen: TimelineLog,
    ) -> Self {
        Self::of(title, Mark::Came(weight), Shown::Closed, |html| {
            messages(scenario, verdict, seen, html)
        })
    }

    /// Marks it as failing in a way that is known, for this reason; it is folded as others are that are fine.
    pub(crate) fn expect(&mut self, reason: &str, shown: Shown) {
        self.mark = Mark::Known;
        self.shown = shown;
        let mut html = format!("<p class=\"soft\">known: {}</p>\n", Plain(reason)).into_bytes();
        html.append(&mut self.html);
        self.html = html;
    }

    /// Writes it into a page.
    pub(crate) fn write(&self, out: &mut impl Write) -> io::Result<()> {
        begin(&self.title, self.mark, self.shown, out)?;
        out.write_all(&self.html)?;
        writeln!(out, "</details>")
    }

    /// A drill that did not run, with the reason.
    pub(crate) fn not_run(title: &str, why: &str, shown: Shown) -> Self {
        Self::of(title, Mark::Skip, shown, |html| {
            writeln!(html, "<p>{}</p>", Plain(why))
        })
    }

    fn of(
        title: &str,
        mark: Mark,
        shown: Shown,
        body: impl FnOnce(&mut Vec<u8>) -> io::Result<()>,
    ) -> Self {
        let mut html = Vec::new();
        body(&mut html).expect("memory takes it all");
        let title = title.to_owned();
        Self {
            title,
            mark,
            shown,
            html,
        }
    }
}

/// One file for a browser, which grows as drills end.
pub(crate) struct TimelinePage<W> {
    out: W,
    drills: usize,
    failed: usize,
    known: usize,
    not_run: usize,
}

impl<W: Write> TimelinePage<W> {
    /// Begins the file.
    pub(crate) fn begin(mut out: W) -> io::Result<Self> {
        page::begin(&mut out, "Mail drills")?;
        writeln!(
            out,
            "<p class=\"soft\">Each line is a message, from when it was sent to its end; each mark is an attempt. mxdrill {}</p>",
            env!("CARGO_PKG_VERSION")
        )?;
        key(&mut out)?;
        out.flush()?;
        Ok(Self {
            out,
            drills: 0,
            failed: 0,
            known: 0,
            not_run: 0,
        })
    }

    /// Writes a drill.
    pub(crate) fn add(&mut self, section: &TimelineSection) -> io::Result<()> {
        self.drills += 1;
        match section.mark {
            Mark::Ok | Mark::Came(_) => {}
            Mark::Fail => self.failed += 1,
            Mark::Known => self.known += 1,
            Mark::Skip => self.not_run += 1,
        }
        section.write(&mut self.out)?;
        self.out.flush()
    }

    /// Ends the file with what there was, which a browser shows first.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let sum = sum(self.drills, self.failed, self.known, self.not_run);
        writeln!(self.out, "<h1 class=\"last\">{}</h1>", Plain(sum))?;
        page::end(&mut self.out)
    }
}

/// What the marks of a timeline mean.
pub(crate) fn key(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "<p class=\"key\"><i class=\"accepted\"></i> taken <i class=\"later\"></i> failed for now <i class=\"refused\"></i> failed for good</p>"
    )
}

/// The heading: how many drills there were, and how many of them are not well.
fn sum(all: usize, failed: usize, known: usize, not_run: usize) -> String {
    let drills = if all == 1 { "drill" } else { "drills" };
    if (failed, known, not_run) == (0, 0, 0) {
        return format!("{all} {drills}, as expected");
    }
    let mut parts = vec![format!("{all} {drills}, {failed} not as expected")];
    if known > 0 {
        parts.push(format!("{known} known to fail"));
    }
    if not_run > 0 {
        parts.push(format!("{not_run} not run"));
    }
    parts.join(", ")
}

/// Begins a drill, which can be folded.
fn begin(title: &str, mark: Mark, shown: Shown, out: &mut impl Write) -> io::Result<()> {
    let open = match shown {
        Shown::Open => " open",
        Shown::Closed => "",
    };
    writeln!(
        out,
        "<details class=\"drill\"{open}><summary><b class=\"{mark}\">{mark}</b> {}</summary>",
        Plain(title),
        mark = mark.word()
    )
}

/// A finding, before the messages.
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

/// A line for each message; those that something was found of come first.
fn messages(
    scenario: &Scenario,
    verdict: &Verdict,
    seen: TimelineLog,
    out: &mut impl Write,
) -> io::Result<()> {
    let TimelineLog {
        attempts: all,
        ends,
        end,
    } = seen;
    let mut attempts: BTreeMap<MessageId, Vec<Attempt>> = BTreeMap::new();
    for attempt in all.finish(scenario) {
        if let Some(id) = attempt.message.clone() {
            attempts.entry(id).or_default().push(attempt);
        }
    }
    writeln!(
        out,
        "<div class=\"axis\"><span>+{}</span><span>+{end}</span></div>",
        Moment::START
    )?;
    let findings = verdict.findings.iter();
    let wrong: BTreeSet<&MessageId> = findings
        .filter_map(|finding| finding.subject.message())
        .collect();
    let all = scenario.messages.iter();
    let (failed, others): (Vec<&Message>, Vec<&Message>) =
        all.partition(|message| wrong.contains(&message.id));
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
    if end.0.is_zero() {
        0.0
    } else {
        at.0.as_secs_f64() / end.0.as_secs_f64() * 100.0
    }
}

/// A message: a bar from its submission to its end, and a mark for each attempt.
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

/// The class of an attempt's mark, as the page's style has it.
fn class(attempt: &Attempt) -> &'static str {
    match attempt.result {
        AttemptResult::Accepted => "accepted",
        AttemptResult::Code(500..) => "refused",
        _ => "later",
    }
}
