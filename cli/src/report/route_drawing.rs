//! Where mail for a domain goes, drawn: its exchangers by preference, with shares, addresses and what is wrong there.
//!
//! An SVG of boxes below each other, in the colours of the page: whatever the names are, each has a line of its own.

use std::fmt::Write;

use super::page::Plain;
use mxdrill::{
    lint::{LintFinding, Severity},
    name::Domain,
    plan::{Plan, Planned, PreferenceLevel},
};

/// The width of the drawing and where its parts stand, in its own units.
const WIDTH: usize = 800;
const TRUNK: usize = 30;
const BOXES: usize = 150;
/// What a line of text takes, and the room around those of a box.
const LINE: usize = 20;
const PADDING: usize = 12;
/// The room between two boxes, and between two preferences.
const GAP: usize = 8;
const LEVEL_GAP: usize = 34;
/// Letters that a line of a box holds beside a share, and without one.
const NAME_LETTERS: usize = 50;
const LINE_LETTERS: usize = 78;
/// Exchangers of a preference that are drawn.
const MOST_DRAWN: usize = 20;

/// The route, with the findings that name its exchangers.
pub(super) fn drawing(plan: &Plan, findings: &[&LintFinding]) -> String {
    let mut drawing = Drawing {
        svg: String::new(),
        at: 0,
        branch: 0,
    };
    drawing.domain(&plan.domain);
    for (index, level) in plan.levels.iter().enumerate() {
        drawing.level(index, level, findings);
    }
    let (start, end) = (LINE + PADDING + 1, drawing.branch);
    if end > start {
        drawing.line(TRUNK, start, TRUNK, end);
    }
    let Drawing { svg, at, .. } = drawing;
    let height = at + 2;
    format!(
        "<svg class=\"route\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Where mail for {} goes\">\n{svg}</svg>\n",
        Plain(&plan.domain)
    )
}

struct Drawing {
    svg: String,
    /// How far down it has come.
    at: usize,
    /// Where the line from the domain has its last branch.
    branch: usize,
}

impl Drawing {
    fn domain(&mut self, domain: &Domain) {
        let height = LINE + PADDING;
        self.shape("start", 0, 1, WIDTH - 1, height);
        let name = shortened(&format!("Mail for {domain}"), LINE_LETTERS);
        self.text("name", PADDING, height - PADDING + 2, &name);
        self.at = height + 1;
    }

    /// The exchangers of a preference, on a branch of the line that comes from the domain.
    fn level(&mut self, index: usize, level: &PreferenceLevel, findings: &[&LintFinding]) {
        if index > 0 {
            let y = self.at + LEVEL_GAP - GAP;
            self.text("soft", TRUNK + 10, y - 6, "if none of these takes it");
        }
        self.at += LEVEL_GAP;
        let label = format!("preference {}", level.preference);
        self.text("label", TRUNK + 10, self.at + LINE - 2, &label);
        for planned in level.exchangers.iter().take(MOST_DRAWN) {
            let y = self.at + LINE + PADDING / 2;
            self.line(TRUNK, y, BOXES, y);
            self.branch = y;
            self.exchanger(planned, findings);
        }
        let more = level.exchangers.len().saturating_sub(MOST_DRAWN);
        if more > 0 {
            self.at += LINE;
            self.text("soft", BOXES, self.at - 6, &format!("and {more} more"));
        }
        self.at -= GAP;
    }

    fn exchanger(&mut self, planned: &Planned, findings: &[&LintFinding]) {
        let lines = lines(planned, findings);
        let height = LINE * (lines.len() + 1) + PADDING;
        let class = match planned.usable {
            true => "box",
            false => "box unused",
        };
        let top = self.at;
        self.shape(class, BOXES, top, WIDTH - BOXES - 1, height);
        let baseline = top + LINE;
        let name = shortened(planned.host.as_str(), NAME_LETTERS);
        self.text("name", BOXES + PADDING, baseline, &name);
        if planned.usable {
            let share = format!("{:.0} %", planned.share * 100.0);
            writeln!(
                self.svg,
                "<text class=\"share\" x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{share}</text>",
                WIDTH - PADDING
            )
            .expect("a string takes it all");
        }
        for (number, (class, line)) in lines.iter().enumerate() {
            let y = baseline + LINE * (number + 1);
            self.text(class, BOXES + PADDING, y, &shortened(line, LINE_LETTERS));
        }
        self.at += height + GAP;
    }

    fn shape(&mut self, class: &str, x: usize, y: usize, width: usize, height: usize) {
        writeln!(
            self.svg,
            "<rect class=\"{class}\" x=\"{x}.5\" y=\"{y}.5\" width=\"{}\" height=\"{height}\" rx=\"6\"/>",
            width.saturating_sub(1)
        )
        .expect("a string takes it all");
    }

    fn line(&mut self, x1: usize, y1: usize, x2: usize, y2: usize) {
        writeln!(
            self.svg,
            "<path class=\"way\" d=\"M{x1}.5 {y1}.5L{x2}.5 {y2}.5\"/>"
        )
        .expect("a string takes it all");
    }

    fn text(&mut self, class: &str, x: usize, y: usize, text: &str) {
        writeln!(
            self.svg,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>",
            Plain(text)
        )
        .expect("a string takes it all");
    }
}

/// What stands in a box below the name, each line with its class: addresses, what is known of it, what is wrong.
fn lines(planned: &Planned, findings: &[&LintFinding]) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if let Some(target) = &planned.alias_of {
        lines.push(("soft", format!("an alias of {target}")));
    }
    if !planned.addresses.is_empty() {
        let addresses: Vec<String> = planned.addresses.iter().map(ToString::to_string).collect();
        lines.push(("soft", addresses.join(", ")));
    }
    if let Some(note) = &planned.note {
        let class = if planned.usable { "later" } else { "bad" };
        lines.push((class, note.clone()));
    }
    let mut ids: Vec<(&str, &str)> = Vec::new();
    for finding in findings
        .iter()
        .filter(|finding| names(finding, &planned.host))
    {
        let class = match finding.check.severity {
            Severity::Error => "bad",
            Severity::Warning => "later",
            _ => continue,
        };
        if !ids.contains(&(class, finding.check.id)) {
            ids.push((class, finding.check.id));
        }
    }
    for class in ["bad", "later"] {
        let these = ids.iter().filter(|(known, _)| *known == class);
        let these: Vec<&str> = these.map(|(_, id)| *id).collect();
        if !these.is_empty() {
            lines.push((class, these.join(", ")));
        }
    }
    lines
}

/// Whether a finding speaks of a host.
fn names(finding: &LintFinding, host: &Domain) -> bool {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut words = finding.message.split(|c| !is_name(c));
    words.any(|word| word.trim_end_matches('.') == host.as_str())
}

/// A text of at most so many letters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}
