//! `mxdrill lint`: what is wrong with a domain's records.

use std::io::{self, Write};

use clap::ValueEnum;

use super::{
    CommandOutcome,
    records::{self, Looked},
};
use crate::report::Linted;
use mxdrill::{
    diagnostic::not_allowed,
    lint::{self, CHECKS, Check, Severity},
};

pub(crate) const LINT_NOTES: &str = "\
Each finding stands at its record (path:line), with the id of its check. What the files do not say, as the
addresses of a provider's exchangers, trips nothing and is named as not checked; --resolver looks that up.

Exit status: 0 nothing as bad as --fail-on, 1 something is, 2 the records could not be read.

Examples:
  mxdrill lint example.com                       what the system's resolver says
  mxdrill lint example.com.zone reverse.zone     files, with what their PTR records say
  mxdrill lint export.txt --format sarif         for a code host; junit for CI
  dig example.com axfr | mxdrill lint -          standard input
  mxdrill lint --explain spf-lookups             why that matters, and what to do";

#[derive(Debug, clap::Args)]
pub(crate) struct LintArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to report: text for people, json for programs (a line for each finding), sarif for code hosts,
    /// junit for CI systems.
    #[arg(long, value_enum, default_value_t = LintFormat::Text)]
    pub(crate) format: LintFormat,
    /// From which severity on the exit status is 1.
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,
    /// Tell what a check is about, why it matters and what to do.
    #[arg(long, value_name = "ID", exclusive = true)]
    pub(crate) explain: Option<String>,
    /// List every check.
    #[arg(long, exclusive = true)]
    pub(crate) checks: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    Text,
    Json,
    Sarif,
    Junit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

/// The column at which an explanation is wrapped.
const WIDTH: usize = 88;

/// Lists the checks, explains one, or checks records.
pub(crate) fn lint(args: &LintArgs) -> io::Result<CommandOutcome> {
    let mut out = anstream::stdout().lock();
    if args.checks {
        for check in CHECKS {
            writeln!(
                out,
                "{:<8} {:<20} {}",
                check.severity, check.id, check.claim
            )?;
        }
        return Ok(CommandOutcome::Passed);
    }
    if let Some(id) = &args.explain {
        explain(&mut out, id)?;
        return Ok(CommandOutcome::Passed);
    }
    let Looked {
        source,
        domains_records,
        from,
    } = args.records.look()?;
    let findings = lint::lint(&source, &domains_records);
    let unseen = lint::unseen(&domains_records);
    let linted = Linted {
        domains: domains_records
            .iter()
            .map(|domain_records| &domain_records.domain)
            .collect(),
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
        if findings.iter().any(|finding| fails(finding.check.severity)) {
            CommandOutcome::Failed
        } else {
            CommandOutcome::Passed
        },
    )
}

/// What a check is about, why it matters and what to do.
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

/// A paragraph in lines of `WIDTH` columns.
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
