//! `mxdrill lint`: what is wrong with a domain's records.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use futures_util::{StreamExt, stream};

use super::{
    CommandOutcome, at, output,
    records::{self, Looked},
    spf_trace::{self, SpfArgs},
};
use crate::{
    progress,
    report::{
        Linted,
        domain_page::{self, DomainPart},
    },
};
use mxdrill::{
    diagnostic::not_allowed,
    lint::{self, Baseline, CHECKS, Check, LintFinding, Severity},
    name::Domain,
    plan::Plan,
    records::DomainRecords,
    time::HumanDuration,
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
  mxdrill lint example.com --connect --watch 1h  goes on, and tells what has changed
  mxdrill lint --explain spf-lookups             why that matters, and what to do";

#[derive(Debug, clap::Args)]
pub(crate) struct LintArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to report: text for people, json for programs (a line for each finding, then one for each domain), sarif for
    /// code hosts, junit for CI systems, github for annotations in a workflow there.
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
    /// Also write one HTML page: the route drawn, and the findings, the worst first.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Print nothing where nothing is as bad as --fail-on.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Tell every finding, also those that many domains have alike.
    #[arg(long, short, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Connect to every address of the exchangers as well, one at a time to a host: greeting, STARTTLS and certificate.
    /// No mail is sent.
    #[arg(long)]
    pub(crate) connect: bool,
    /// Look again after each such time, such as 1h, and report what is new and what is gone, until this is ended by a
    /// signal. Text or json.
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["spf_trace", "write_baseline", "html"])]
    pub(crate) watch: Option<HumanDuration>,
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

impl FailOn {
    /// Whether a finding of a severity makes the command fail.
    fn fails(self, severity: Severity) -> bool {
        match self {
            Self::Never => false,
            Self::Info => true,
            Self::Warning => severity >= Severity::Warning,
            Self::Error => severity >= Severity::Error,
        }
    }
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
    let runtime = crate::runtime::of_this_thread()?;
    let looked = runtime.block_on(look(args))?;
    let findings = findings(args, &looked)?;
    if let Some(path) = &args.write_baseline {
        let earlier = baseline(args)?;
        let text = Baseline::write(&findings, REASON, earlier.as_ref());
        fs::write(path, text).map_err(|error| at(path, error))?;
    }
    if let Some(path) = &args.html {
        draw(path, &looked, &findings)?;
    }
    report(&mut out, args, &looked, &findings)
}

/// What is found, with what a baseline accepts marked.
pub(super) fn findings(args: &LintArgs, looked: &Looked) -> io::Result<Vec<LintFinding>> {
    let mut findings = lint::lint(&looked.source, &looked.domains_records);
    if let Some(baseline) = baseline(args)? {
        let domains: Vec<&Domain> = looked.domains().collect();
        baseline.apply(&domains, &mut findings);
    }
    Ok(findings)
}

/// The baseline, if one was given.
fn baseline(args: &LintArgs) -> io::Result<Option<Baseline>> {
    let Some(path) = &args.baseline else {
        return Ok(None);
    };
    let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
    let baseline = Baseline::parse(&path.display().to_string(), &text);
    baseline.map(Some).map_err(io::Error::other)
}

/// Reports what was found, in the format that was asked for.
pub(super) fn report(
    out: &mut impl Write,
    args: &LintArgs,
    looked: &Looked,
    findings: &[LintFinding],
) -> io::Result<CommandOutcome> {
    let unseen = lint::unseen(&looked.domains_records);
    let all = looked.domains_records.iter();
    let linted = Linted {
        domains: looked.domains().collect(),
        findings,
        visits: all.flat_map(DomainRecords::visits).collect(),
        unseen: &unseen,
        from: &looked.from,
        all: args.verbose,
    };
    let outcome = outcome(args, findings);
    if args.quiet && outcome == CommandOutcome::Passed {
        return Ok(outcome);
    }
    match args.format {
        LintFormat::Github => linted.github(out)?,
        LintFormat::Text => linted.text(out)?,
        LintFormat::Json => linted.json(out)?,
        LintFormat::Sarif => linted.sarif(out)?,
        LintFormat::Junit => linted.junit(out, |severity| args.fail_on.fails(severity))?,
    }
    out.flush()?;
    Ok(outcome)
}

/// Whether anything that is not accepted is as bad as the user says.
pub(super) fn outcome(args: &LintArgs, findings: &[LintFinding]) -> CommandOutcome {
    let is_bad = |finding: &LintFinding| {
        finding.accepted.is_none() && args.fail_on.fails(finding.check.severity)
    };
    match findings.iter().any(is_bad) {
        true => CommandOutcome::Failed,
        false => CommandOutcome::Passed,
    }
}

/// Looks up the records, and what a live domain shows besides.
pub(super) async fn look(args: &LintArgs) -> io::Result<Looked> {
    let mut looked = args.records.look_at_all().await?;
    look_further(&mut looked).await;
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

/// Looks at what live domains show besides their records, a few at once.
async fn look_further(looked: &mut Looked) {
    let source = &looked.source;
    let domains_records = &mut looked.domains_records;
    if source.is_files_alone() {
        return;
    }
    let bar = progress::bar(
        domains_records.len() as u64,
        "{pos}/{len} domains, looked at further",
    );
    let looks = domains_records
        .iter_mut()
        .map(|one| one.look_further(source));
    let mut looks = stream::iter(looks).buffer_unordered(records::AT_ONCE);
    while looks.next().await.is_some() {
        bar.inc(1);
    }
    bar.finish_and_clear();
}

/// Writes a page with what was found of each domain.
fn draw(path: &Path, looked: &Looked, findings: &[LintFinding]) -> io::Result<()> {
    let unseen = lint::unseen(&looked.domains_records);
    let plans: Vec<Plan> = looked.domains_records.iter().map(Plan::of).collect();
    let part = |plan| -> DomainPart<'_> {
        let Plan { domain, .. }: &Plan = plan;
        let own = findings.iter().filter(|finding| finding.domain == *domain);
        let unseen = unseen.iter().filter(|unseen| unseen.domain == *domain);
        DomainPart {
            plan,
            findings: Some(own.collect()),
            unseen: unseen.map(|unseen| &*unseen.what).collect(),
        }
    };
    let parts: Vec<DomainPart<'_>> = plans.iter().map(part).collect();
    let mut page = output::create(path)?;
    domain_page::write(&mut page, &looked.from, &parts).map_err(|error| at(path, error))
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
