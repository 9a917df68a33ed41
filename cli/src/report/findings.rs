//! What `mxdrill lint` found: for people, and as JSON, SARIF and JUnit XML.
//!
//! All formats have the same findings. What could not be checked is part of each: a note in text,
//! an object in JSON, a notification in SARIF, a skipped case in JUnit.
//!
//! Who accepted a finding does not want to see it again: it is in JSON and SARIF, which can say that it was accepted,
//! and in no other format. Everything that a domain's owner wrote is escaped as each format asks, since it may be
//! anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, Write},
};

use anstyle::{AnsiColor, Style};
use quick_junit::{NonSuccessKind, Report as Document, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use super::github::{Annotation, annotate};
use crate::groups::{self, Groups};
use mxdrill::{
    lint::{CHECKS, Check, LintFinding, Severity, Unseen, plain},
    name::Domain,
    records::Visit,
};

/// Groups of domains of which people are told what was not checked; of how many more something was not is said.
const MAX_UNSEEN: usize = 20;
/// Findings alike that are not worth a count.
const FEW: usize = 4;

/// What was checked, and what was found.
pub(crate) struct Linted<'a> {
    pub(crate) domains: Vec<&'a Domain>,
    pub(crate) findings: &'a [LintFinding],
    /// What exchangers said that were visited.
    pub(crate) visits: Vec<&'a Visit>,
    /// What has not been checked.
    pub(crate) unseen: &'a [Unseen],
    /// Where the records are from: files, or a resolver.
    pub(crate) from: &'a str,
    /// Whether text has every finding, also those that many domains have alike.
    pub(crate) all: bool,
}

impl Linted<'_> {
    /// What is not accepted.
    fn open(&self) -> impl Iterator<Item = &LintFinding> {
        let findings = self.findings.iter();
        findings.filter(|finding| finding.accepted.is_none())
    }

    fn count(&self, severity: Severity) -> usize {
        let mut findings = self.open();
        // A shared record is told once and counted for each: the sum is what has to be mended.
        // Once for each domain that it is about.
        findings
            .by_ref()
            .filter(|finding| finding.check.severity == severity)
            .count()
    }

    /// A line for each finding, and a sum.
    pub(crate) fn text(&self, out: &mut impl Write) -> io::Result<()> {
        self.text_of_findings(out)?;
        for visit in &self.visits {
            let took = visit.took.as_millis();
            let told = plain(&visit.told());
            writeln!(out, "{} [{}] {took} ms: {told}", visit.host, visit.address)?;
        }
        writeln!(out, "{}", self.sum())?;
        self.text_of_unseen(out)?;
        if let Some(finding) = self.open().max_by_key(|finding| finding.check.severity) {
            writeln!(
                out,
                "Why, and what to do: mxdrill lint --explain {}",
                finding.check.id
            )?;
        }
        Ok(())
    }

    /// A line for each finding; what is said of many domains in the same words is said once, unless all is asked for.
    fn text_of_findings(&self, out: &mut impl Write) -> io::Result<()> {
        // A record that several domains share is wrong once.
        let mut seen = BTreeSet::new();
        let told = self.open();
        let told = told.filter(|one| seen.insert((one.check.id, place(one), &one.message)));
        let mut groups: Groups<(usize, &str, String), &LintFinding> = Groups::default();
        for (index, finding) in told.enumerate() {
            let alone = if self.all { index } else { 0 };
            let message = groups::without(&finding.message, &finding.domain);
            groups.add((alone, finding.check.id, message), finding);
        }
        for group in groups.iter() {
            let alike: &[&LintFinding] = match group.len() {
                ..FEW => &group[..0],
                _ => &group[1..],
            };
            for finding in &group[..group.len() - alike.len()] {
                let severity = finding.check.severity;
                let style = style(severity);
                let more = match alike.len() {
                    0 => String::new(),
                    more => format!(" (and {} more like it: -v)", groups::counted(more)),
                };
                writeln!(
                    out,
                    "{}: {style}{severity}{style:#}: {} [{}]{more}",
                    place(finding),
                    finding.message,
                    finding.check.id
                )?;
            }
        }
        Ok(())
    }

    /// Which domains were checked, where their records are from, and how much was found.
    fn sum(&self) -> String {
        let domains = groups::few(&self.domains);
        let sum = [Severity::Error, Severity::Warning, Severity::Info]
            .map(|severity| (self.count(severity), severity));
        let sum: Vec<String> = sum
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, severity)| {
                // `info` has no plural.
                let plural = if *count == 1 || *severity == Severity::Info {
                    ""
                } else {
                    "s"
                };
                format!("{count} {severity}{plural}")
            })
            .collect();
        let sum = match sum.is_empty() {
            true if self.unseen.is_empty() => "no problems found".to_owned(),
            true => "no problems found in what was checked".to_owned(),
            false => sum.join(", "),
        };
        let accepted = match self.findings.len() - self.open().count() {
            0 => String::new(),
            accepted => format!(", {accepted} accepted"),
        };
        format!("{domains} ({}): {sum}{accepted}", self.from)
    }

    /// What was not checked, domains with the same in one line.
    fn text_of_unseen(&self, out: &mut impl Write) -> io::Result<()> {
        let mut groups: Groups<String, &Domain> = Groups::default();
        let mut told = Vec::new();
        for (domain, unseen) in self.unseen_by_domain() {
            let unseen = unseen.join("; ");
            if groups.add(unseen.clone(), domain) {
                told.push(unseen);
            }
        }
        for (domains, unseen) in groups.iter().zip(told).take(MAX_UNSEEN) {
            let of = match self.domains.len() {
                1 => String::new(),
                _ => format!(" of {}", groups::named(domains)),
            };
            writeln!(out, "not checked{of}: {}", plain(&unseen))?;
        }
        let more = groups.iter().skip(MAX_UNSEEN).map(<[&Domain]>::len);
        match more.sum() {
            0 => Ok(()),
            more => writeln!(
                out,
                "not checked of {} more: --format json tells what",
                groups::counted_domains(more)
            ),
        }
    }

    /// What was not checked of each domain that it is told of, in their order.
    fn unseen_by_domain(&self) -> Vec<(&Domain, Vec<&str>)> {
        let mut all: Vec<(&Domain, Vec<&str>)> = Vec::new();
        for one in self.unseen {
            match all.last_mut().filter(|(domain, _)| **domain == one.domain) {
                Some((_, whats)) => whats.push(&one.what),
                None => all.push((&one.domain, vec![&one.what])),
            }
        }
        all
    }

    /// A line for each finding, and then one for each domain: how much was found, and what was not checked of it.
    pub(crate) fn json(&self, out: &mut impl Write) -> io::Result<()> {
        for finding in self.findings {
            let line = json!({
                "id": finding.check.id,
                "severity": finding.check.severity,
                "domain": finding.domain,
                "path": finding.place.as_ref().map(|place| &*place.path),
                "line": finding.place.as_ref().map(|place| place.line),
                "message": finding.message,
                "why": finding.check.why,
                "then": finding.check.then,
                "cites": finding.check.cites,
                "accepted": finding.accepted,
            });
            writeln!(out, "{line}")?;
        }
        for visit in &self.visits {
            let took = u64::try_from(visit.took.as_millis()).unwrap_or(u64::MAX);
            let line = json!({
                "host": visit.host,
                "address": visit.address,
                "took_ms": took,
                "said": visit.told(),
            });
            writeln!(out, "{line}")?;
        }
        let mut found: BTreeMap<&Domain, usize> = BTreeMap::new();
        for finding in self.open() {
            *found.entry(&finding.domain).or_default() += 1;
        }
        let mut unseen: BTreeMap<&Domain, Vec<&str>> =
            self.unseen_by_domain().into_iter().collect();
        // A clean one is told, too: what is not there was not looked at.
        for domain in &self.domains {
            let line = json!({
                "domain": domain,
                "findings": found.get(domain).copied().unwrap_or(0),
                "not_checked": unseen.remove(domain).unwrap_or_default(),
            });
            writeln!(out, "{line}")?;
        }
        Ok(())
    }

    /// Workflow commands of GitHub Actions, which shows them at the lines of the files.
    pub(crate) fn github(&self, out: &mut impl Write) -> io::Result<()> {
        self.open().try_for_each(|finding| {
            let kind = match finding.check.severity {
                Severity::Error => Annotation::Error,
                Severity::Warning => Annotation::Warning,
                Severity::Info => Annotation::Notice,
            };
            let place = finding.place.as_ref();
            let place = place.map(|place| (&*place.path, place.line));
            annotate(out, kind, place, finding.check.id, &finding.message)
        })
    }

    /// SARIF 2.1.0, as code hosts take it.
    pub(crate) fn sarif(&self, out: &mut impl Write) -> io::Result<()> {
        let rules: Vec<Value> = CHECKS.iter().map(rule).collect();
        let results: Vec<Value> = self.findings.iter().map(result).collect();
        let unseen = self.unseen.iter().map(|one| {
            let text = format!("not checked of {}: {}", one.domain, one.what);
            json!({ "level": "note", "message": { "text": text } })
        });
        let unseen: Vec<Value> = unseen.collect();
        let document = json!({
            "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
            "version": "2.1.0",
            "runs": [{
                "tool": { "driver": {
                    "name": env!("CARGO_PKG_NAME"),
                    "semanticVersion": env!("CARGO_PKG_VERSION"),
                    "rules": rules,
                } },
                "columnKind": "unicodeCodePoints",
                "invocations": [{
                    "executionSuccessful": true,
                    "toolExecutionNotifications": unseen,
                }],
                "results": results,
            }],
        });
        serde_json::to_writer_pretty(&mut *out, &document)?;
        writeln!(out)
    }

    /// JUnit XML: a suite for each domain, a case for each check, failed from a severity on, and skipped
    /// where it found nothing and did not see all that it needs.
    pub(crate) fn junit(
        &self,
        out: &mut impl Write,
        fails: impl Fn(Severity) -> bool,
    ) -> io::Result<()> {
        let mut document = Document::new("mxdrill lint");
        let mut by_check: BTreeMap<(&Domain, &str), Vec<&LintFinding>> = BTreeMap::new();
        for finding in self.open() {
            by_check
                .entry((&finding.domain, finding.check.id))
                .or_default()
                .push(finding);
        }
        for domain in &self.domains {
            let mut suite = TestSuite::new(domain.to_string());
            for check in CHECKS {
                let found = by_check
                    .get(&(*domain, check.id))
                    .map_or(&[][..], Vec::as_slice);
                // A finding below the severity that fails leaves its case successful.
                let mut status = TestCaseStatus::success();
                if !found.is_empty() && fails(check.severity) {
                    status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    let lines = found
                        .iter()
                        .map(|one| format!("{}: {}", place(one), one.message));
                    status.set_message(found[0].message.clone());
                    status.set_type(check.severity.to_string());
                    status.set_description(lines.collect::<Vec<_>>().join("\n"));
                }
                let mut unseen = self.unseen.iter();
                let unseen =
                    unseen.find(|one| one.domain == **domain && one.checks.contains(&check.id));
                if let Some(unseen) = unseen.filter(|_| found.is_empty()) {
                    status = TestCaseStatus::skipped();
                    status.set_message(format!("not checked: {}", unseen.what));
                }
                suite.add_test_case(TestCase::new(check.id, status));
            }
            document.add_test_suite(suite);
        }
        let text = document.to_string().map_err(io::Error::other)?;
        out.write_all(text.as_bytes())
    }
}

/// `path:line`, or the domain where there is no file.
fn place(finding: &LintFinding) -> String {
    match &finding.place {
        Some(place) => place.to_string(),
        None => finding.domain.to_string(),
    }
}

fn style(severity: Severity) -> Style {
    let color = match severity {
        Severity::Error => AnsiColor::Red,
        Severity::Warning => AnsiColor::Yellow,
        Severity::Info => AnsiColor::Cyan,
    };
    Style::new().fg_color(Some(color.into())).bold()
}

/// The level that SARIF has for a severity.
fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

/// A path as a reference of URI (RFC 3986): what is none of its own characters is escaped. With a drive
/// (`C:\a.zone`) it begins at the root (RFC 8089 appendix E.2).
fn uri(path: &str) -> String {
    let (drive, path) = match path.as_bytes() {
        [b'a'..=b'z' | b'A'..=b'Z', b':', b'\\' | b'/', ..] => path.split_at(2),
        _ => ("", path),
    };
    let mut uri = match drive {
        "" => String::new(),
        drive => format!("/{drive}"),
    };
    for octet in path.replace('\\', "/").bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(octet.into());
            }
            _ => uri.push_str(&format!("%{octet:02X}")),
        }
    }
    if uri.starts_with('/') {
        format!("file://{uri}")
    } else {
        uri
    }
}

/// A check as a rule of SARIF.
fn rule(check: &Check) -> Value {
    json!({
        "id": check.id,
        "shortDescription": { "text": check.claim },
        "fullDescription": { "text": check.why },
        "help": { "text": format!("{} {} ({})", check.why, check.then, check.cites.join(", ")) },
        "defaultConfiguration": { "level": level(check.severity) },
    })
}

/// A finding as a result of SARIF. The fingerprint has no line, so that a record may move in its
/// file and still be the same finding.
fn result(finding: &LintFinding) -> Value {
    let locations: Vec<Value> = finding
        .place
        .iter()
        .map(|place| {
            json!({ "logicalLocations": [{ "fullyQualifiedName": finding.domain }], "physicalLocation": {
                "artifactLocation": { "uri": uri(&place.path) },
                "region": { "startLine": place.line },
            } })
        })
        .collect();
    // SARIF refers to a rule by its place in the tool's list, too.
    let index = CHECKS.iter().position(|check| check.id == finding.check.id);
    let accepted = finding.accepted.iter();
    let suppressions: Vec<Value> = accepted
        .map(|reason| json!({ "kind": "external", "justification": reason }))
        .collect();
    json!({
        "ruleId": finding.check.id,
        "ruleIndex": index,
        "level": level(finding.check.severity),
        "message": { "text": finding.message },
        "locations": locations,
        "suppressions": suppressions,
        "partialFingerprints": { "findingOfDomain/v1": format!("{}/{}/{}", finding.domain, finding.check.id, finding.message) },
    })
}
