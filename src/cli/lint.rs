//! `mxdrill lint`: what is wrong with a domain's records.

use std::io::{self, Write};

use super::{FailOn, LintArgs, LintFormat, Outcome, records::Looked};
use crate::{
    lint::{self, CHECKS, Check, Severity},
    report::Linted,
    scenario::mistake::not_allowed,
};

/// Columns that an explanation is wrapped at.
const WIDTH: usize = 88;

pub(super) fn lint(args: &LintArgs) -> io::Result<Outcome> {
    let mut out = anstream::stdout().lock();
    if args.checks {
        for check in CHECKS {
            writeln!(
                out,
                "{:<8} {:<20} {}",
                check.severity, check.id, check.claim
            )?;
        }
        return Ok(Outcome::Passed);
    }
    if let Some(id) = &args.explain {
        explain(&mut out, id)?;
        return Ok(Outcome::Passed);
    }
    let Looked {
        source,
        surveys,
        from,
    } = args.records.look()?;
    let findings = lint::lint(&source, &surveys);
    let unseen = lint::unseen(&surveys);
    let linted = Linted {
        domains: surveys.iter().map(|survey| &survey.domain).collect(),
        findings: &findings,
        unseen: &unseen,
        from: &from,
    };
    let fails = |severity: Severity| match args.fail_on {
        FailOn::Never => false,
        FailOn::Info => true,
        FailOn::Warning => severity >= Severity::Warning,
        FailOn::Error => severity >= Severity::Error,
    };
    match args.format {
        LintFormat::Text => linted.text(&mut out)?,
        LintFormat::Json => linted.json(&mut out)?,
        LintFormat::Sarif => linted.sarif(&mut out)?,
        LintFormat::Junit => linted.junit(&mut out, fails)?,
    }
    out.flush()?;
    Ok(
        match findings.iter().any(|finding| fails(finding.check.severity)) {
            true => Outcome::Failed,
            false => Outcome::Passed,
        },
    )
}

fn explain(out: &mut impl Write, id: &str) -> io::Result<()> {
    let Some(check) = Check::find(id) else {
        let ids: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
        return Err(io::Error::other(not_allowed(id, "the id of a check", &ids)));
    };
    writeln!(out, "{} ({}): {}", check.id, check.severity, check.claim)?;
    for paragraph in [check.why, check.then] {
        writeln!(out)?;
        wrapped(out, paragraph)?;
    }
    writeln!(out, "\n{}", check.cites.join(", "))
}

fn wrapped(out: &mut impl Write, paragraph: &str) -> io::Result<()> {
    let mut line = String::new();
    for word in paragraph.split(' ') {
        if !line.is_empty() && line.len() + word.len() >= WIDTH {
            writeln!(out, "{line}")?;
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    writeln!(out, "{line}")
}
