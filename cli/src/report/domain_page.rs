//! A page about a domain's records: where its mail goes, drawn, and what is wrong, the worst first.

use std::io::{self, Write};

use super::{
    page::{self, Plain},
    route_drawing::drawing,
};
use crate::groups;
use mxdrill::{
    lint::{LintFinding, Severity},
    name::Domain,
    plan::{Plan, RouteKind},
};

/// What a page says of a domain.
pub(crate) struct DomainPart<'a> {
    pub(crate) plan: &'a Plan,
    /// What lint found of it; `None` where only the route is asked for.
    pub(crate) findings: Option<Vec<&'a LintFinding>>,
    /// What was not checked.
    pub(crate) unseen: Vec<&'a str>,
}

/// Where mail of a plan goes, as the end of a sentence about it.
pub(crate) fn goes(kind: RouteKind) -> &'static str {
    match kind {
        RouteKind::Mx => "goes to its MX records",
        RouteKind::Implicit => "goes to its own address, for want of MX records (implicit MX)",
        RouteKind::Null => "is returned at once: it takes none (null MX)",
        RouteKind::NoDomain => "is returned at once: the domain does not exist",
        RouteKind::Unknown => "waits: its MX records are not known",
    }
}

/// Writes the page of some domains.
pub(crate) fn write(out: &mut impl Write, from: &str, parts: &[DomainPart<'_>]) -> io::Result<()> {
    let domains: Vec<&Domain> = parts.iter().map(|part| &part.plan.domain).collect();
    page::begin(out, &format!("{}: mail", groups::few(&domains)))?;
    for part in parts {
        domain(out, from, part)?;
    }
    page::end(out)
}

fn domain(out: &mut impl Write, from: &str, part: &DomainPart<'_>) -> io::Result<()> {
    let plan = part.plan;
    let what = match part.findings {
        Some(_) => "mail records, checked",
        None => "where mail goes",
    };
    page::heading(out, plan.domain.as_str(), what, from)?;
    let open: Vec<&LintFinding> = part
        .findings
        .iter()
        .flatten()
        .filter(|finding| finding.accepted.is_none())
        .copied()
        .collect();
    let domain = Plain(&plan.domain);
    writeln!(
        out,
        "<div class=\"closing\"><p>Mail for {domain} {}.</p>",
        goes(plan.kind)
    )?;
    if let Some(why) = &plan.why {
        writeln!(
            out,
            "<p class=\"bad\">Nothing can be delivered: {}.</p>",
            Plain(why)
        )?;
    }
    if part.findings.is_some() {
        writeln!(out, "<p>{}</p>", Plain(sum(&open)))?;
    }
    writeln!(out, "</div>\n{}", drawing(plan, &open))?;
    for (severity, heading) in [
        (Severity::Error, "Errors"),
        (Severity::Warning, "Warnings"),
        (Severity::Info, "Worth knowing"),
    ] {
        let these = open
            .iter()
            .filter(|finding| finding.check.severity == severity);
        list(out, heading, severity, these)?;
    }
    accepted(out, part)?;
    if !part.unseen.is_empty() {
        writeln!(out, "<h2>Not checked</h2>\n<ul class=\"soft\">")?;
        for what in &part.unseen {
            writeln!(out, "<li>{}</li>", Plain(what))?;
        }
        writeln!(out, "</ul>")?;
    }
    Ok(())
}

/// How many findings of each severity there are.
fn sum(open: &[&LintFinding]) -> String {
    let count = |severity| {
        let these = open
            .iter()
            .filter(|finding| finding.check.severity == severity);
        these.count()
    };
    let told = [
        (count(Severity::Error), "error", "errors"),
        (count(Severity::Warning), "warning", "warnings"),
        (
            count(Severity::Info),
            "thing worth knowing",
            "things worth knowing",
        ),
    ];
    let told = told.into_iter().filter(|(count, ..)| *count > 0);
    let told: Vec<String> = told
        .map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many }))
        .collect();
    match told.is_empty() {
        true => "No problems were found.".to_owned(),
        false => format!("Found: {}.", told.join(", ")),
    }
}

/// Findings, each with why it matters and what to do.
fn list<'a>(
    out: &mut impl Write,
    heading: &str,
    severity: Severity,
    findings: impl Iterator<Item = &'a &'a LintFinding>,
) -> io::Result<()> {
    let mut findings = findings.peekable();
    if findings.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "<h2>{heading}</h2>")?;
    for finding in findings {
        let place = finding.place.as_ref();
        writeln!(
            out,
            "<details class=\"finding {severity}\"><summary>{} <span class=\"soft\">{}{}</span></summary><p>{}</p><p>{}</p><p class=\"soft\">{}</p></details>",
            Plain(&finding.message),
            place.map_or_else(String::new, |place| format!("{}, ", Plain(place))),
            finding.check.id,
            Plain(finding.check.why),
            Plain(finding.check.then),
            Plain(finding.check.cites.join(", "))
        )?;
    }
    Ok(())
}

/// What the owner accepts, with the reasons.
fn accepted(out: &mut impl Write, part: &DomainPart<'_>) -> io::Result<()> {
    let all = part.findings.iter().flatten();
    let mut accepted = all
        .filter_map(|finding| Some((finding, finding.accepted.as_ref()?)))
        .peekable();
    if accepted.peek().is_none() {
        return Ok(());
    }
    writeln!(out, "<h2>Accepted</h2>\n<ul class=\"soft\">")?;
    for (finding, reason) in accepted {
        writeln!(
            out,
            "<li>{} ({}): {}</li>",
            Plain(&finding.message),
            finding.check.id,
            Plain(reason)
        )?;
    }
    writeln!(out, "</ul>")
}
