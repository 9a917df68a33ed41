//! `mxdrill lint --spf-trace`: a check of SPF as a receiver makes it, with every lookup.

use std::{
    io::{self, Write},
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{CommandOutcome, records::RecordsArgs};
use mxdrill::{
    diagnostic::Invalid,
    lint::plain,
    name::Domain,
    records::{SpfAnswer, SpfClient, SpfResult, SpfStep, SpfTrace, TracedStep},
};
use serde_json::json;

/// Who is taken to send.
#[derive(Debug, clap::Args)]
pub(crate) struct SpfArgs {
    /// Check SPF as a receiver does (RFC 7208), and tell each term, each lookup with its answer, and what of the ten
    /// lookups and of the two that may find nothing is used up. Exit status: 1 if it ends in an error, 2 if it is not known.
    #[arg(long, conflicts_with_all = ["baseline", "write_baseline", "quiet", "html", "connect", "fail_on"])]
    pub(crate) spf_trace: bool,
    /// The address that sends; without it every term is looked at.
    #[arg(long, value_name = "ADDRESS", requires = "spf_trace")]
    pub(crate) spf_from: Option<IpAddr>,
    /// The name that it says in EHLO; that alone is looked at where the sender in MAIL FROM is empty.
    #[arg(long, value_name = "NAME", requires = "spf_from")]
    pub(crate) spf_helo: Option<String>,
    /// The sender in MAIL FROM, whose domain is checked; `<>` for a notification, of which the name in EHLO is checked.
    #[arg(long, value_name = "MAILBOX", requires = "spf_from", value_parser = sender)]
    pub(crate) spf_sender: Option<SpfSender>,
}

/// A sender in MAIL FROM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SpfSender {
    /// Of a notification (RFC 5321 section 4.5.5).
    Empty,
    Mailbox {
        local_part: String,
        domain: Domain,
    },
}

/// Reads `alice@example.com` or `<>`.
fn sender(text: &str) -> Result<SpfSender, Invalid> {
    let expected = "a mailbox such as alice@example.com, or <> for notifications";
    let wrong = || Invalid::from(format!("found {text:?}, expected {expected}"));
    if text == "<>" {
        return Ok(SpfSender::Empty);
    }
    let (local_part, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    if local_part.is_empty() {
        return Err(wrong());
    }
    let (local_part, domain) = (local_part.to_owned(), domain.parse().map_err(|_| wrong())?);
    Ok(SpfSender::Mailbox { local_part, domain })
}

impl SpfArgs {
    /// The domain that the sender names, if it names one: that of MAIL FROM, or the name in EHLO (RFC 7208 section 2.4).
    fn named(&self) -> io::Result<Option<Domain>> {
        match (&self.spf_sender, &self.spf_helo) {
            (None, _) => Ok(None),
            (Some(SpfSender::Mailbox { domain, .. }), _) => Ok(Some(domain.clone())),
            (Some(SpfSender::Empty), Some(helo)) => {
                helo.parse().map(Some).map_err(io::Error::other)
            }
            (Some(SpfSender::Empty), None) => {
                let why = "found --spf-sender <> without --spf-helo, expected the name that is checked instead";
                Err(io::Error::new(io::ErrorKind::InvalidInput, why))
            }
        }
    }

    fn client(&self) -> SpfClient {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        SpfClient {
            address: self.spf_from,
            local_part: match &self.spf_sender {
                Some(SpfSender::Mailbox { local_part, .. }) => Some(local_part.clone()),
                _ => None,
            },
            helo: self.spf_helo.clone(),
            now: now.map_or(0, |now| now.as_secs()),
        }
    }
}

/// Traces the check of each domain.
pub(crate) fn trace(
    records: &RecordsArgs,
    args: &SpfArgs,
    as_json: bool,
) -> io::Result<CommandOutcome> {
    let named = args.named()?;
    let runtime = crate::runtime::of_this_thread()?;
    let traces = runtime.block_on(async {
        let opened = records.open(named.as_slice())?;
        let mut traces = Vec::new();
        // Whose records are looked at is one thing, whom the sender claims to be another.
        for domain in named
            .as_ref()
            .map_or(&opened.domains[..], std::slice::from_ref)
        {
            traces.push(SpfTrace::of(&opened.source, domain, args.client()).await);
            if opened.source.is_deaf() {
                return Err(io::Error::other(records.unanswered()));
            }
        }
        Ok(traces)
    })?;
    let mut out = anstream::stdout().lock();
    for trace in &traces {
        match as_json {
            true => {
                let mut line = json!(trace);
                line["from"] = json!(args.spf_from);
                line["helo"] = json!(args.spf_helo);
                writeln!(out, "{line}")?;
            }
            false => text(&mut out, trace, args)?,
        }
    }
    out.flush()?;
    let is_error = |trace: &SpfTrace| {
        matches!(
            trace.result,
            Some(SpfResult::PermError | SpfResult::TempError)
        )
    };
    let is_open = |trace: &SpfTrace| args.spf_from.is_some() && trace.result.is_none();
    Ok(match traces.iter().any(is_error) {
        true => CommandOutcome::Failed,
        false if traces.iter().any(is_open) => CommandOutcome::CouldNotRun,
        false => CommandOutcome::Passed,
    })
}

/// A check for people: what happened, in order, beside what of the limits was used up by then.
fn text(out: &mut impl Write, trace: &SpfTrace, args: &SpfArgs) -> io::Result<()> {
    match args.spf_from {
        Some(address) => writeln!(out, "SPF of {} for mail from {address}", trace.domain)?,
        None => writeln!(
            out,
            "SPF of {} for a sender that no term matches",
            trace.domain
        )?,
    }
    writeln!(out, "lookups  void")?;
    for step in &trace.steps {
        let (lookups, void) = (step.lookups, step.void);
        let indent = "  ".repeat(step.depth + within(step));
        let line = plain(&told(&step.step));
        writeln!(
            out,
            "{lookups:>3}/{}  {void:>2}/{}  {indent}{line}",
            SpfTrace::MAX_LOOKUPS,
            SpfTrace::MAX_VOID
        )?;
    }
    for name in &trace.unseen {
        writeln!(out, "not known: the SPF record of {name}")?;
    }
    match trace.result {
        Some(result) => writeln!(out, "{}: {result}", trace.domain)?,
        None if args.spf_from.is_some() => writeln!(
            out,
            "{}: not known, since the records that decide are in none of the files; --resolver looks them up",
            trace.domain
        )?,
        None => writeln!(
            out,
            "{}: no term ends in an error; --spf-from ADDRESS says what comes of a sender",
            trace.domain
        )?,
    }
    if let Some(explanation) = &trace.explanation {
        writeln!(
            out,
            "the domain says to this sender: {}",
            plain(explanation)
        )?;
    }
    Ok(())
}

/// How far a step is to the right of those that begin and end its record.
fn within(step: &TracedStep) -> usize {
    match step.step {
        // The questions of a term stand below it.
        SpfStep::Lookup { .. } if step.depth > 0 => 1,
        _ => 0,
    }
}

fn told(step: &SpfStep) -> String {
    match step {
        SpfStep::Record { domain, text } => format!("the record of {domain}: {text}"),
        SpfStep::Term { text } => format!("{text} ..."),
        SpfStep::Lookup {
            name,
            record_type,
            answer,
        } => format!("{name} {record_type}? {}", answered(answer)),
        SpfStep::Match { text } => format!("{text} matches"),
        SpfStep::NoMatch { text } => format!("{text} does not match"),
        SpfStep::Error { message } => format!("error: the record {message}"),
        SpfStep::End { domain, result } => format!("{domain} says {result}"),
        other => format!("{other:?}"),
    }
}

fn answered(answer: &SpfAnswer) -> String {
    match answer {
        SpfAnswer::Records(records) => records.join(", "),
        SpfAnswer::NoData => "none of this type".to_owned(),
        SpfAnswer::NoDomain => "no such name".to_owned(),
        SpfAnswer::Failed => "the lookup failed".to_owned(),
        SpfAnswer::Unknown => "not known: no file has it, and no resolver was given".to_owned(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn senders_are_mailboxes_or_empty() {
        assert_eq!(sender("<>").ok(), Some(SpfSender::Empty));
        let quoted = sender("\"a@b\"@Example.test").ok();
        let expected = SpfSender::Mailbox {
            local_part: "\"a@b\"".to_owned(),
            domain: "example.test".parse().expect("a name"),
        };
        assert_eq!(quoted, Some(expected));
        for wrong in ["", "alice", "@example.test", "alice@a..b"] {
            assert!(sender(wrong).is_err(), "{wrong}");
        }
    }
}
