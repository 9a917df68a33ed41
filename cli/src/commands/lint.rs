//! `mxdrill lint`: what is wrong with a domain's records.

use std::{
    fs,
    io::{self, Write},
    path::PathBuf,
};

use clap::ValueEnum;

use super::{
    CommandOutcome, at,
    records::{self, Looked},
    spf_trace::{self, SpfArgs},
};
use crate::{progress, report::Linted};
use mxdrill::{
    diagnostic::not_allowed,
    lint::{self, Baseline, CHECKS, Check, LintFinding, Severity},
    name::Domain,
    records::DomainRecords,
};

pub(crate) const LINT_NOTES: &str = "\
Each finding stands at its record (path:line), with the id of its check. What the files do not say, as the
addresses of a provider's exchangers, trips nothing and is named as not checked; --resolver looks that up.

What is meant to be so is accepted in the file, at the end of the record's line or on a line of its own before
it: ; mxdrill: allow CHECK (reason). Or in a file beside it: --write-baseline, then --baseline.

Exit status: 0 nothing as bad as --fail-on, 1 something is, 2 the records could not be read.

Examples:
  mxdrill lint example.com                       what the system's resolver and the domain's own servers say
  mxdrill lint example.com --connect             and its exchangers, which are greeted and left again
  mxdrill lint example.com.zone reverse.zone     files, with what their PTR records say
  mxdrill lint export.txt --format sarif         for a code host; junit for CI
  dig example.com axfr | mxdrill lint -          standard input
  mxdrill lint example.com -q --fail-on warning  for cron: silent unless something is wrong
  mxdrill lint example.com --spf-trace --spf-from 192.0.2.1
                                                 whether that host may send, lookup by lookup
  mxdrill lint --explain spf-lookups             why that matters, and what to do";

#[derive(Debug, clap::Args)]
pub(crate) struct LintArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to report: text for people, json for programs (a line for each finding), sarif for code hosts,
    /// junit for CI systems, github for annotations in a workflow there.
    #[arg(long, value_enum, default_value_t = LintFormat::Text)]
    pub(crate) format: LintFormat,
    /// From which severity on the exit status is 1.
    #[arg(long, value_enum, default_value_t = FailOn::Error, value_name = "SEVERITY")]
    pub(crate) fail_on: FailOn,
    /// Pass over the findings that this file lists, each with a reason; an entry that meets none is a finding itself.
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// Write the findings to this file, as a baseline to be gone through.
    #[arg(long, value_name = "FILE")]
    pub(crate) write_baseline: Option<PathBuf>,
    /// Print nothing where nothing is as bad as --fail-on.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Connect to every address of the exchangers as well, one at a time to a host: greeting, STARTTLS and certificate.
    /// No mail is sent.
    #[arg(long)]
    pub(crate) connect: bool,
    #[command(flatten)]
    pub(crate) spf: SpfArgs,
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
    Github,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FailOn {
    Error,
    Warning,
    Info,
    Never,
}

/// What a baseline that is written says of why its findings are accepted.
const REASON: &str = "found when the baseline was written";
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
    if args.spf.spf_trace {
        let as_json = match args.format {
            LintFormat::Text => false,
            LintFormat::Json => true,
            _ => {
                let why = "--spf-trace is told as text or json";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
        };
        return spf_trace::trace(&args.records, &args.spf, as_json);
    }
    let Looked {
        source,
        domains_records,
        from,
    } = crate::runtime::of_this_thread()?.block_on(look(args))?;
    let mut findings = lint::lint(&source, &domains_records);
    if let Some(path) = &args.baseline {
        let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
        let baseline = Baseline::parse(&path.display().to_string(), &text);
        let domains: Vec<&Domain> = domains_records.iter().map(|one| &one.domain).collect();
        baseline
            .map_err(io::Error::other)?
            .apply(&domains, &mut findings);
    }
    if let Some(path) = &args.write_baseline {
        let text = Baseline::write(&findings, REASON);
        fs::write(path, text).map_err(|error| at(path, error))?;
    }
    let unseen = lint::unseen(&domains_records);
    let linted = Linted {
        domains: domains_records
            .iter()
            .map(|domain_records| &domain_records.domain)
            .collect(),
        findings: &findings,
        visits: domains_records
            .iter()
            .flat_map(DomainRecords::visits)
            .collect(),
        unseen: &unseen,
        from: &from,
    };
    let fails = |severity: Severity| match args.fail_on {
        FailOn::Never => false,
        FailOn::Info => true,
        FailOn::Warning => severity >= Severity::Warning,
        FailOn::Error => severity >= Severity::Error,
    };
    let is_bad =
        |finding: &LintFinding| finding.accepted.is_none() && fails(finding.check.severity);
    let outcome = match findings.iter().any(is_bad) {
        true => CommandOutcome::Failed,
        false => CommandOutcome::Passed,
    };
    if args.quiet && outcome == CommandOutcome::Passed {
        return Ok(outcome);
    }
    match args.format {
        LintFormat::Github => linted.github(&mut out)?,
        LintFormat::Text => linted.text(&mut out)?,
        LintFormat::Json => linted.json(&mut out)?,
        LintFormat::Sarif => linted.sarif(&mut out)?,
        LintFormat::Junit => linted.junit(&mut out, fails)?,
    }
    out.flush()?;
    Ok(outcome)
}

/// Looks up the records, and what a live domain shows besides.
async fn look(args: &LintArgs) -> io::Result<Looked> {
    let mut looked = args.records.look_at_all().await?;
    for domain_records in &mut looked.domains_records {
        domain_records.look_further(&looked.source).await;
    }
    if args.connect {
        let all = looked.domains_records.iter();
        let count: usize = all.map(DomainRecords::visitable).sum();
        let bar = progress::bar(count as u64, "{pos}/{len} addresses of exchangers");
        for domain_records in &mut looked.domains_records {
            let visits = domain_records.visit(&looked.source, |_| bar.inc(1));
            visits.await;
        }
        bar.finish_and_clear();
    }
    Ok(looked)
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
