//! The report for people: a line a group of drills, every failure with all that explains it.
//!
//! In the grouped style, a run that is well is a line for each folder; each failed drill is reported
//! at once, with what was expected and observed side by side, what led there, and the command that
//! plays it again.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use anstyle::{AnsiColor, Style as Ansi};

use super::{
    DrillEnd, DrillReport, Report, RunCounts, first_findings,
    table::{self, Align, Column},
};
use mxdrill::{diagnostic::Mistakes, drill::Run, verdict::Finding, visible::visible};

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// A line for each folder of drills.
    Grouped,
    /// A line for each drill.
    Detailed,
    /// A line for each drill, and one for each thing that happened in it.
    Traced,
}

const GOOD: Ansi = AnsiColor::Green.on_default();
const BAD: Ansi = AnsiColor::Red.on_default().bold();
const DIM: Ansi = Ansi::new().dimmed();
const BOLD: Ansi = Ansi::new().bold();

/// Writes text; colour is the writer's to strip.
///
/// The writer decides about colour: a terminal has it, a file has it stripped.
pub(crate) struct TextReport<W> {
    out: W,
    style: Style,
    // The folder whose drills are being counted, and how they ended so far.
    group: String,
    in_group: RunCounts,
}

impl<W: Write> TextReport<W> {
    /// A report to a writer.
    pub(crate) fn new(out: W, style: Style) -> Self {
        Self {
            out,
            style,
            group: String::new(),
            in_group: RunCounts::default(),
        }
    }

    fn close_group(&mut self) -> io::Result<()> {
        let tally = std::mem::take(&mut self.in_group);
        if tally == RunCounts::default() || self.style != Style::Grouped {
            return Ok(());
        }
        let bad = tally.failed + tally.broken;
        let total = tally.passed + bad + tally.known + tally.skipped;
        let mark = match bad {
            0 => paint(GOOD, "ok  "),
            _ => paint(BAD, "FAIL"),
        };
        let others = [
            (bad, "failed"),
            (tally.known, "known"),
            (tally.skipped, "skipped"),
        ];
        let others = others.iter().filter(|(count, _)| *count > 0);
        let rest: String = others
            .map(|(count, how)| format!(", {count} {how}"))
            .collect();
        writeln!(
            self.out,
            "{mark} {:<44} {:>3} of {total} passed{rest}",
            self.group, tally.passed
        )
    }

    fn detail(&mut self, played: &DrillReport) -> io::Result<()> {
        let scenario = &played.scenario;
        let (mark, rest) = match (&played.end, &played.known) {
            (DrillEnd::Ran(run), _) if run.verdict.passed() => (paint(GOOD, "ok  "), took(run)),
            (DrillEnd::Ran(_), Some(reason)) => (paint(DIM, "known"), reason.clone()),
            (DrillEnd::Ran(run), None) => (paint(BAD, "FAIL"), took(run)),
            (DrillEnd::Skipped(reason), _) => (paint(DIM, "skip"), reason.clone()),
            (DrillEnd::Broken(reason), _) => (paint(BAD, "FAIL"), reason.clone()),
        };
        writeln!(self.out, "{mark} {} {}", scenario.path, paint(DIM, &rest))?;
        if let DrillEnd::Ran(run) = &played.end {
            let events = run.events.iter().filter(|_| self.style == Style::Traced);
            for event in events {
                writeln!(self.out, "     {}", visible(&event.line()))?;
            }
            // Those of a failed drill stand with what failed.
            for note in run.verdict.notes.iter().filter(|_| run.verdict.passed()) {
                writeln!(
                    self.out,
                    "     {}",
                    paint(DIM, &visible(&format!("note: {note}")))
                )?;
            }
        }
        Ok(())
    }
}

impl<W: Write> Report for TextReport<W> {
    fn played(&mut self, played: &DrillReport) -> io::Result<()> {
        let folder = Path::new(&played.scenario.path)
            .parent()
            .map(|folder| folder.display().to_string())
            .unwrap_or_default();
        if folder != self.group {
            self.close_group()?;
            self.group = folder;
        }
        self.in_group.count(played);
        if self.style != Style::Grouped || played.known.is_some() {
            self.detail(played)?;
        }
        match &played.end {
            DrillEnd::Ran(_) if played.known.is_some() => Ok(()),
            DrillEnd::Ran(run) if !run.verdict.passed() => failure(&mut self.out, played, run),
            DrillEnd::Broken(reason) => writeln!(
                self.out,
                "\n{} {}: {reason}\n",
                paint(BAD, "BROKEN"),
                played.scenario.path
            ),
            _ => Ok(()),
        }
    }

    fn unreadable(&mut self, mistakes: &Mistakes) -> io::Result<()> {
        // Not part of the report: whoever reads that looks for drills.
        anstream::eprintln!("{mistakes}");
        Ok(())
    }

    fn finished(&mut self, tally: RunCounts, elapsed: Duration) -> io::Result<()> {
        self.close_group()?;
        writeln!(self.out, "{}", sum(tally, elapsed))
    }
}

/// How many drills ended how, and in what time.
pub(super) fn sum(tally: RunCounts, elapsed: Duration) -> String {
    let bad = tally.failed + tally.broken;
    let mut parts = vec![paint(GOOD, &format!("{} passed", tally.passed))];
    parts.push(match bad {
        0 => "0 failed".to_owned(),
        bad => paint(BAD, &format!("{bad} failed")),
    });
    if tally.known > 0 {
        parts.push(format!("{} known", tally.known));
    }
    if tally.skipped > 0 {
        parts.push(format!("{} skipped", tally.skipped));
    }
    format!("{} in {:.2} s", parts.join(", "), elapsed.as_secs_f64())
}

/// What became of the messages of a drill, and how long it took by its own clock.
fn took(run: &Run) -> String {
    let outcomes: Vec<String> = run
        .verdict
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    format!(
        "{}, {} attempts, took {}",
        outcomes.join(", "),
        run.verdict.attempts,
        run.took
    )
}

fn paint(style: Ansi, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A failed drill: what it is, what does not hold, how to see it again.
fn failure(out: &mut impl Write, played: &DrillReport, run: &Run) -> io::Result<()> {
    let scenario = &played.scenario;
    writeln!(
        out,
        "\n{} {}",
        paint(BAD, "FAILED"),
        paint(BOLD, &scenario.path)
    )?;
    writeln!(out, "  {}", scenario.summary)?;
    let (findings, more) = first_findings(&run.verdict);
    for finding in findings {
        explain(out, finding)?;
    }
    if let Some(more) = more {
        writeln!(out, "\n  {more}")?;
    }
    for note in &run.verdict.notes {
        writeln!(out, "  note: {}", visible(note))?;
    }
    writeln!(out, "\n  {} {}\n", paint(DIM, "again:"), played.again)
}

/// A finding with what was expected and observed, what led there, and who asks for it.
fn explain(out: &mut impl Write, finding: &Finding) -> io::Result<()> {
    let rule = finding
        .rule
        .map_or(String::new(), |rule| format!("rule {rule}: "));
    writeln!(out, "\n  {}{}", paint(BAD, &rule), visible(&finding.claim))?;
    for line in side_by_side(&finding.expected, &finding.observed) {
        writeln!(out, "    {}", visible(&line))?;
    }
    for (index, line) in finding.because.iter().enumerate() {
        let label = if index == 0 { "what led there:" } else { "" };
        let label = paint(DIM, &format!("{label:<15}"));
        writeln!(out, "    {label} {}", visible(line))?;
    }
    writeln!(out, "    {}", paint(DIM, &asked_by(finding)))
}

/// How strongly something is asked for, and by whom.
pub(crate) fn asked_by(finding: &Finding) -> String {
    if finding.cites.is_empty() {
        format!("{}, by the scenario", finding.level)
    } else {
        format!("{}, {}", finding.level, finding.cites.join(", "))
    }
}

/// Lines that are listed on either side; how many more there are is said.
const MAX_LINES: usize = 20;

/// Two columns, expected and observed.
fn side_by_side(expected: &[String], observed: &[String]) -> Vec<String> {
    let expected = shortened(expected);
    let observed = shortened(observed);
    let cell = |lines: &[String], row: usize| lines.get(row).cloned().unwrap_or_default();
    let rows = expected.len().max(observed.len());
    let rows = (0..rows).map(|row| [cell(&expected, row), cell(&observed, row)]);
    let heads = ["expected", "observed"].map(str::to_owned);
    let all = std::iter::once(heads).chain(rows);
    let left = all.clone().map(|[expected, _]| expected);
    let columns = [Column::fitting(Align::Left, left)];
    all.map(|cells| table::line(&columns, " | ", cells))
        .collect()
}

/// The lines that are listed, and how many more there are.
fn shortened(lines: &[String]) -> Vec<String> {
    if lines.is_empty() {
        return vec!["none".to_owned()];
    }
    let mut shown: Vec<String> = lines.iter().take(MAX_LINES).cloned().collect();
    if lines.len() > MAX_LINES {
        shown.push(format!("... and {} more", lines.len() - MAX_LINES));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use mxdrill::{NetworkKind, Scenario, drill, level::Level, sender::Reference};

    /// A finding about a total, for a test to put its own words in.
    fn finding() -> Finding {
        let text = "summary = 's'\nzone = 'a.test. A 192.0.2.1'\nmessages = [{ id = 'm', to = 'x@a.test' }]\n[expect]\nsessions = 0\n";
        let scenario = Arc::new(Scenario::parse("drill", text).expect("a scenario"));
        let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
        run.expect("it ran").verdict.findings.remove(0)
    }

    #[test]
    fn what_a_sender_said_does_nothing_to_a_terminal() {
        let mut finding = finding();
        finding.claim = "taker\u{1b}]0;title\u{7}".to_owned();
        finding.expected = vec!["a".to_owned()];
        finding.observed = vec!["\u{202e}b".to_owned()];
        finding.because = vec!["c\u{9b}2J".to_owned()];
        let mut out = Vec::new();
        explain(&mut out, &finding).expect("written");
        let text = anstream::adapter::strip_bytes(&out).into_vec();
        let text = String::from_utf8(text).expect("text");
        let active = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(active), "{text:?}");
        assert!(
            text.contains("\\u{202e}b") && text.contains("c\\u{9b}2J"),
            "{text}"
        );
    }

    #[test]
    fn each_finding_says_how_strongly_it_is_asked_for_and_by_whom() {
        for (rule, level, cites, told) in [
            (
                Some("null-mx"),
                Level::Must,
                &["RFC 7505 section 3"][..],
                "MUST, RFC 7505 section 3",
            ),
            (
                None,
                Level::Should,
                &["RFC 1", "RFC 2"],
                "SHOULD, RFC 1, RFC 2",
            ),
            (None, Level::Info, &[], "INFO, by the scenario"),
        ] {
            let mut finding = finding();
            (finding.rule, finding.level) = (rule, level);
            finding.cites = cites.iter().map(ToString::to_string).collect();
            let mut out = Vec::new();
            explain(&mut out, &finding).expect("written");
            let text = anstream::adapter::strip_bytes(&out).into_vec();
            let text = String::from_utf8(text).expect("text");
            assert_eq!(text.lines().last(), Some(&*format!("    {told}")), "{text}");
        }
    }

    #[test]
    fn columns_line_up() {
        let lines = side_by_side(
            &["mx1 refused".to_owned()],
            &["mx2 accepted".to_owned(), "more".to_owned()],
        );
        assert_eq!(
            lines,
            [
                "expected    | observed",
                "mx1 refused | mx2 accepted",
                "            | more"
            ]
        );
    }
}
