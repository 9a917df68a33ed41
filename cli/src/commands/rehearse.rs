//! `mxdrill rehearse`: what happens to a domain's mail when its exchangers fail.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    CommandOutcome, PlanFormat, at, output,
    records::{self, Looked},
    rehearse_change, say, written,
};
use crate::report::{
    Shown, TimelineLog, TimelinePage, TimelineSection,
    table::{self, Align, Column},
};
use mxdrill::{
    name::Domain,
    records::DomainRecords,
    rehearse::{MESSAGES, Rehearsed, assumed_sender, file_name, left_out, rehearse},
    time::HumanDuration,
};

pub(crate) const REHEARSE_NOTES: &str = "\
The drills are made of the records, and run with the reference sender on a virtual clock: nothing is sent to
anybody. Exchangers whose addresses are not known get others in their place.

Exit status: 0 it was rehearsed, 2 it could not be.

Examples:
  mxdrill rehearse example.com
  mxdrill rehearse example.com.zone --html rehearsal.html
  mxdrill rehearse old.zone --change new.zone    a move to other exchangers
  mxdrill rehearse example.com --write drills/   the scenario files, for your own repository";

#[derive(Debug, clap::Args)]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to show it: text for people, json for programs (a line for each drill).
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
    /// Write the drills to this folder, as scenario files. One that is there already is written anew if it is
    /// as mxdrill wrote it, and otherwise none is.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) write: Option<PathBuf>,
    /// Rehearse a change of the records to those of this file: where mail goes while old ones are remembered, and what
    /// becomes of it if the old exchangers go.
    #[arg(long, value_name = "FILE")]
    pub(crate) change: Option<PathBuf>,
    /// Also write one HTML file with a timeline for each message.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// A wait from which on mail is called slow: an hour.
const LONG: Duration = Duration::from_secs(3600);

/// Rehearses each domain, and shows, writes down and draws what came of it, as it was asked for.
pub(crate) fn run(args: &RehearseArgs) -> io::Result<CommandOutcome> {
    crate::signals::when_asked_to_end(super::give_up)?;
    let Looked {
        domains_records,
        from,
        ..
    } = args.records.look()?;
    let mut out = anstream::stdout().lock();
    let mut page = match &args.html {
        Some(path) => {
            Some(TimelinePage::begin(output::create(path)?).map_err(|error| at(path, error))?)
        }
        None => None,
    };
    for (index, domain_records) in domains_records.iter().enumerate() {
        if index > 0 && args.format == PlanFormat::Text {
            writeln!(out)?;
        }
        let rehearsed = match &args.change {
            Some(change) => rehearse_change::show(&mut out, domain_records, change, args.format),
            None => outages(&mut out, domain_records, args.format, &from),
        };
        let drills = match rehearsed {
            Ok(drills) => drills,
            // One domain that takes no mail is no reason to leave the others out.
            Err(error) if domains_records.len() > 1 => {
                say::err(format_args!("mxdrill: {error}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        if domain_records
            .hosts
            .values()
            .any(mxdrill::records::KnownHost::is_uncertain)
        {
            say::err("Exchangers whose addresses are not known have others in their place.");
        }
        if let Some(folder) = &args.write {
            let domain = (domains_records.len() > 1).then_some(&domain_records.domain);
            leave(folder, domain, &drills)?;
        }
        if let (Some(page), Some(path)) = (&mut page, &args.html) {
            show(page, &domain_records.domain, drills).map_err(|error| at(path, error))?;
        }
    }
    if let (Some(page), Some(path)) = (page, &args.html) {
        page.finish().map_err(|error| at(path, error))?;
    }
    Ok(CommandOutcome::Passed)
}

/// Rehearses the outages of a domain, and shows them.
fn outages(
    out: &mut impl Write,
    domain_records: &DomainRecords,
    format: PlanFormat,
    from: &str,
) -> io::Result<Vec<Rehearsed>> {
    let drills = rehearse(domain_records)?;
    let domain = &domain_records.domain;
    match format {
        PlanFormat::Json => json(out, domain.as_str(), &drills)?,
        PlanFormat::Text => {
            writeln!(out, "{domain} ({from}): {MESSAGES} messages a drill\n")?;
            table(out, &drills)?;
            let left_out = left_out(domain_records);
            if !left_out.is_empty() {
                writeln!(out, "Left out: {}.", left_out.join(", "))?;
            }
        }
    }
    Ok(drills)
}

/// Shows drills on a page.
fn show(
    page: &mut TimelinePage<impl Write>,
    domain: &Domain,
    drills: Vec<Rehearsed>,
) -> io::Result<()> {
    for drill in drills {
        let title = format!(
            "{domain}: {} (longest wait {}, returned {}; {})",
            drill.title,
            waited(drill.longest_wait),
            lost(&drill),
            takers(&drill)
        );
        let seen = TimelineLog::of(&drill.run.events);
        let verdict = &drill.run.verdict;
        page.add(&TimelineSection::ran(
            &title,
            &drill.scenario,
            verdict,
            seen,
            Shown::Closed,
        ))?;
    }
    Ok(())
}

/// Writes drills as files into a folder; those of several domains into a folder of each.
fn leave(folder: &Path, domain: Option<&Domain>, drills: &[Rehearsed]) -> io::Result<()> {
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let folder = match domain {
        Some(domain) => written::folder_in(folder, &file_name(domain.as_str()))?,
        None => folder.to_owned(),
    };
    let pages = drills.iter().map(|drill| written::OutputFile {
        path: folder.join(format!("{}.toml", drill.file)),
        text: drill.text.clone(),
    });
    written::write(&pages.collect::<Vec<_>>())?;
    let (count, shown) = (drills.len(), folder.display());
    say::err(format_args!("{count} drills written to {shown}"));
    Ok(())
}

/// A wait in whole seconds, for people.
pub(super) fn waited(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "none".to_owned(),
        wait => HumanDuration(Duration::from_secs(wait.as_secs())).to_string(),
    }
}

/// Which hosts accepted the mail, with shares in per cent where there are several.
pub(super) fn takers(drill: &Rehearsed) -> String {
    let takers = drill.takers.iter().map(|(host, count)| match *count {
        MESSAGES => host.to_string(),
        count => format!("{host} {} %", (count * 100 + MESSAGES / 2) / MESSAGES),
    });
    let takers: Vec<String> = takers.collect();
    if takers.is_empty() {
        "nobody".to_owned()
    } else {
        takers.join(", ")
    }
}

/// The share of the mail that was returned.
pub(super) fn lost(drill: &Rehearsed) -> String {
    match drill.lost {
        0 => "none".to_owned(),
        MESSAGES => "all".to_owned(),
        lost => format!("{} %", (lost * 100 + MESSAGES / 2) / MESSAGES),
    }
}

/// A table of drills, and what they say together.
fn table(out: &mut impl Write, drills: &[Rehearsed]) -> io::Result<()> {
    let rows: Vec<[String; 4]> = drills
        .iter()
        .map(|drill| {
            [
                drill.title.clone(),
                waited(drill.longest_wait),
                lost(drill),
                takers(drill),
            ]
        })
        .collect();
    let heads = [
        "what happens",
        "longest wait",
        "returned",
        "who takes the mail",
    ];
    let column = |index: usize, align| {
        let cells = rows.iter().map(|row| &*row[index]);
        Column::fitting(align, cells.chain([heads[index]]))
    };
    let columns = [
        column(0, Align::Left),
        column(1, Align::Right),
        column(2, Align::Right),
    ];
    writeln!(out, "{}", table::line(&columns, "  ", heads))?;
    for row in &rows {
        writeln!(out, "{}", table::line(&columns, "  ", row))?;
    }
    let lossy = drills.iter().filter(|drill| drill.lost > 0).count();
    let slow = drills
        .iter()
        .filter(|drill| drill.longest_wait >= LONG)
        .count();
    writeln!(out)?;
    match lossy {
        0 => writeln!(out, "No mail comes back in any of these.")?,
        count => writeln!(
            out,
            "Mail comes back to its senders in {count} of {} drills.",
            drills.len()
        )?,
    }
    if slow > 0 {
        writeln!(
            out,
            "Mail waits an hour or more in {slow} of {}.",
            drills.len()
        )?;
    }
    let (patience, waits) = assumed_sender();
    let waits: Vec<String> = waits.into_iter().map(waited).collect();
    let (last, others) = waits
        .split_last()
        .map_or(("", &[][..]), |(last, others)| (last, others));
    writeln!(
        out,
        "While no exchanger answers, mail waits with its senders; after {} they return it. (These try again after {}, then every {last}; others have other waits.)",
        waited(patience),
        others.join(", ")
    )
}

fn json(out: &mut impl Write, domain: &str, drills: &[Rehearsed]) -> io::Result<()> {
    let (patience, waits) = assumed_sender();
    let assumed = serde_json::json!({
        "returns_after_seconds": patience.as_secs(),
        "retries_after_seconds": waits.iter().map(Duration::as_secs).collect::<Vec<_>>(),
    });
    for drill in drills {
        let line = serde_json::json!({
            "domain": domain,
            "drill": drill.title,
            "file": format!("{}.toml", drill.file),
            "messages": MESSAGES,
            "takers": drill.takers,
            "longest_wait_seconds": drill.longest_wait.as_secs_f64(),
            "returned": drill.lost,
            "sender": assumed,
        });
        writeln!(out, "{line}")?;
    }
    Ok(())
}
