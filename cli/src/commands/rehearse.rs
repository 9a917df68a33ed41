//! `mxdrill rehearse`: what happens to a domain's mail when its exchangers fail, are worked at, or change.
//!
//! Each kind of rehearsal is in a file of its own: `outages`, `work`, `senders` and `change`. Each makes a table, lines
//! for programs and drills; what is done with these is done here, and how it is said is in `words`. What several domains share
//! is in `fate`.

mod asked_page;
mod assumed;
mod change;
mod fate;
mod outages;
mod senders;
mod words;
mod work;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use self::{
    asked_page::AskedPage,
    assumed::{AssumedArgs, meant_for, some_time},
    fate::SharedFate,
    words::{lost, not_rehearsed, takers, waited, weight, without_domain},
    work::PlannedOutage,
};
use super::{
    CommandOutcome, PlanFormat, at,
    records::{self, Looked},
    say, written,
};
use crate::{
    groups::{self, Groups},
    parallel, progress,
    report::{
        TimelineLog, TimelineSection, key, page,
        sheet::{Sheet, capital},
    },
};
use mxdrill::{
    name::Domain,
    plan::Plan,
    records::DomainRecords,
    rehearse::{Assumptions, Rehearsal, Rehearsed, file_name},
};

pub(crate) const REHEARSE_NOTES: &str = "\
The drills are made of the records, and run with the reference sender on a virtual clock: nothing is sent to
anybody. Exchangers whose addresses are not known get others in their place.

Exit status: 0 it was rehearsed, 2 it could not be. Of several domains those that take no mail are passed over.

Examples:
  mxdrill rehearse example.com
  mxdrill rehearse example.com.zone --html rehearsal.html
  mxdrill rehearse zones/                        many domains, and at the end what one outage takes with it: an
                                                 exchanger, an address, a network, an operator, a zone
  mxdrill rehearse example.com --down mx1=2h     planned work at mx1; --rolling 10m at each in turn
  mxdrill rehearse example.com --senders all     how long outages may be, for each kind of mail server
  mxdrill rehearse old.zone --change new.zone    a move to other exchangers
  mxdrill rehearse example.com --write drills/   the scenario files, for your own repository";

#[derive(Debug, clap::Args)]
pub(crate) struct RehearseArgs {
    #[command(flatten)]
    pub(crate) records: records::RecordsArgs,
    /// How to show it: text for people, json for programs (a line for each drill, or why a domain has none; of several
    /// domains also one for each outage that may hit them, and a last one for what to mend first).
    #[arg(long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) format: PlanFormat,
    /// Write the drills to this folder, as scenario files; of several domains also the worst outages that they share, in
    /// its folder shared-fate. One that is there already is written anew if it is as mxdrill wrote it, and otherwise none
    /// is.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) write: Option<PathBuf>,
    /// Also write one HTML page: what it comes to, the table, and a timeline for each message; of several domains first of
    /// all what becomes of them in each outage that they share, a bar each.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Rehearse a change of the records to those of this file: where mail goes while old ones are remembered, and what
    /// becomes of it if the old exchangers go.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["down", "rolling", "assumed"])]
    pub(crate) change: Option<PathBuf>,
    /// Rehearse planned work: an exchanger, by its name or the first label of it, is down for a time (mx1=2h), from
    /// a time of day on if one is given (mx1=09:00+2h). May be given several times.
    #[arg(long, value_name = "HOST=TIME")]
    pub(crate) down: Vec<PlannedOutage>,
    /// Rehearse work at all exchangers, each down for this time (10m) after the one before.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    pub(crate) rolling: Option<Duration>,
    /// Only tell what several domains share, and what one outage takes with it; none is rehearsed by itself.
    #[arg(long, conflicts_with_all = ["change", "down", "rolling", "senders"])]
    pub(crate) shared: bool,
    #[command(flatten)]
    pub(crate) assumed: AssumedArgs,
}

impl RehearseArgs {
    /// Whether it is about what may happen by itself, and not about what is planned.
    fn is_of_outages(&self) -> bool {
        self.change.is_none() && self.down.is_empty() && self.rolling.is_none()
    }
}

/// A rehearsal that was played, as it is shown.
struct Part {
    /// What it is, for the heading of a page.
    what: String,
    sheet: Sheet,
    /// A line of JSON for each drill.
    lines: Vec<Value>,
    drills: Vec<Rehearsed>,
}

/// The folder of drills about what several domains share.
const SHARED: &str = "shared-fate";

/// Rehearses each domain, and shows, writes down and draws what came of it, as it was asked for.
pub(crate) fn run(args: &RehearseArgs) -> io::Result<CommandOutcome> {
    crate::signals::when_asked_to_end(super::give_up)?;
    let runtime = crate::runtime::of_this_thread()?;
    let Looked {
        source,
        domains_records,
        from,
    } = runtime.block_on(args.records.look_at_all())?;
    records::say_assumed(&source);
    let mut out = anstream::stdout().lock();
    let domains: Vec<&Domain> = domains_records.iter().map(|one| &one.domain).collect();
    let title = format!("{}: rehearsal", groups::named(&domains));
    let mut page = AskedPage::new(args.html.as_deref(), title);
    let failed = match args.shared {
        true => 0,
        false => rehearse_each(args, &domains_records, &from, &mut out, &mut page)?,
    };
    if args.is_of_outages() && (args.shared || domains_records.len() > 1) {
        let assumptions = args.assumed.assumptions()?;
        let fate = SharedFate::of(&source, &runtime, &domains_records, &assumptions)?;
        show_shared(args, &fate, &assumptions, &from, &mut out, &mut page)?;
    }
    page.end()?;
    Ok(match failed {
        0 => CommandOutcome::Passed,
        _ => CommandOutcome::CouldNotRun,
    })
}

/// Domains with one route go through the same drills: they are rehearsed once, for all of them.
fn grouped<'a>(
    args: &RehearseArgs,
    domains_records: &'a [DomainRecords],
) -> Groups<String, &'a DomainRecords> {
    let mut groups = Groups::default();
    for (index, domain_records) in domains_records.iter().enumerate() {
        // Each has files of its own.
        let key = match args.change.is_some() || args.write.is_some() {
            true => index.to_string(),
            false => groups::drilled_as(domain_records),
        };
        groups.add(key, domain_records);
    }
    groups
}

/// Rehearses each domain by itself; how many could not be.
fn rehearse_each(
    args: &RehearseArgs,
    domains_records: &[DomainRecords],
    from: &str,
    out: &mut impl Write,
    page: &mut AskedPage<'_>,
) -> io::Result<usize> {
    let is_alone = domains_records.len() == 1;
    let mut telling = Telling {
        args,
        out,
        from,
        page,
        is_alone,
        failed: 0,
        without_mail: 0,
    };
    let groups = grouped(args, domains_records);
    let groups: Vec<&[&DomainRecords]> = groups.iter().collect();
    let is_kept = args.html.is_some() || args.write.is_some();
    let threads = match args.change {
        // What is noted about the other files is said as they are read.
        Some(_) => 1,
        None => parallel::cores(),
    };
    let work = |index: usize| {
        let mut parts = parts_of_all(args, groups[index], from, is_alone);
        // Of drills that nobody is to see nothing is held until their turn has come.
        if let (Ok(parts), false) = (&mut parts, is_kept) {
            parts.iter_mut().for_each(|part| part.drills.clear());
        }
        parts
    };
    // One is soon done.
    let bar = match groups.len() {
        ..=1 => ProgressBar::hidden(),
        many => progress::bar(many as u64, "{pos}/{len} groups of domains"),
    };
    parallel::in_order(groups.len(), threads, work, |index, parts| {
        bar.inc(1);
        // What is told may go to the same terminal.
        bar.suspend(|| telling.tell(index, groups[index], parts))
    })?;
    bar.finish_and_clear();
    // Where none takes mail, nothing was rehearsed.
    Ok(match telling.without_mail == domains_records.len() {
        true => telling.without_mail,
        false => telling.failed,
    })
}

/// What is told of the rehearsals, one after the other.
struct Telling<'a, 'b, W> {
    args: &'a RehearseArgs,
    out: &'a mut W,
    from: &'a str,
    page: &'a mut AskedPage<'b>,
    /// Whether there is one domain.
    is_alone: bool,
    /// Domains that could not be rehearsed.
    failed: usize,
    /// Domains that take no mail, of which there is nothing to rehearse.
    without_mail: usize,
}

impl<W: Write> Telling<'_, '_, W> {
    /// Tells of the domains of one route, as it was asked for.
    fn tell(
        &mut self,
        index: usize,
        group: &[&DomainRecords],
        parts: io::Result<Vec<Part>>,
    ) -> io::Result<()> {
        let args = self.args;
        let parts = match parts {
            Ok(parts) => parts,
            Err(error) => return self.tell_why_not(group, error),
        };
        for (number, part) in parts.iter().enumerate() {
            if args.format == PlanFormat::Text && index + number > 0 {
                writeln!(self.out)?;
            }
            show(self.out, part, args.format)?;
        }
        if let Some(folder) = &args.write {
            let several = (!self.is_alone).then_some(&group[0].domain);
            let drills = parts.iter().flat_map(|part| &part.drills);
            leave(folder, several, drills)?;
        }
        let domains: Vec<&Domain> = group.iter().map(|one| &one.domain).collect();
        let (named, from) = (groups::named(&domains), self.from);
        self.page.write(|page| draw(page, &named, from, &parts))
    }

    /// Tells why domains were not rehearsed. Of several domains one that takes no mail is no failure, and none is a reason
    /// to leave the others out.
    fn tell_why_not(&mut self, group: &[&DomainRecords], error: io::Error) -> io::Result<()> {
        if self.args.format == PlanFormat::Json {
            let refused = without_domain(&error, &group[0].domain);
            let lines = group.iter().map(|one| {
                let why = Plan::of(one).why;
                not_rehearsed(&one.domain, why.as_ref().unwrap_or(&refused))
            });
            write_lines(self.out, &lines.collect::<Vec<_>>())?;
        }
        if self.is_alone {
            return Err(error);
        }
        let others = match group.len() {
            1 => String::new(),
            all => format!(" (and so for {} domains more)", groups::counted(all - 1)),
        };
        say::err(format_args!("mxdrill: {error}{others}"));
        match Plan::of(group[0]).takes_no_mail() {
            true => self.without_mail += group.len(),
            false => self.failed += group.len(),
        }
        Ok(())
    }
}

/// Rehearses domains that have one route: the first of them, for all.
fn parts_of_all(
    args: &RehearseArgs,
    group: &[&DomainRecords],
    from: &str,
    is_alone: bool,
) -> io::Result<Vec<Part>> {
    let places: Vec<String> = group
        .iter()
        .map(|one| records::place_of(one, from))
        .collect();
    let place = records::places(&places.iter().map(String::as_str).collect());
    let mut parts = parts(args, group[0], &place, is_alone)?;
    let [first, others @ ..] = group else {
        return Ok(parts);
    };
    let domains: Vec<&Domain> = group.iter().map(|one| &one.domain).collect();
    let named = groups::named(&domains);
    for part in &mut parts {
        for line in &mut part.sheet.about {
            *line = line.replacen(first.domain.as_str(), &named, 1);
        }
        let lines = part.lines.clone();
        for other in others {
            part.lines.extend(lines.iter().cloned().map(|mut line| {
                line["domain"] = json!(other.domain);
                line
            }));
        }
    }
    Ok(parts)
}

/// Rehearses what was asked for of a domain.
fn parts(
    args: &RehearseArgs,
    domain_records: &DomainRecords,
    from: &str,
    is_alone: bool,
) -> io::Result<Vec<Part>> {
    if let Some(change) = &args.change {
        return Ok(vec![change::rehearse(domain_records, change)?]);
    }
    let mut assumptions = args.assumed.assumptions()?;
    if !is_alone {
        assumptions = meant_for(&assumptions, domain_records);
    }
    let reference = assumptions.sender.clone();
    let senders = args.assumed.senders(&reference)?;
    let rehearsal = Rehearsal::of(domain_records, assumptions)?;
    let domain = &domain_records.domain;
    if args.is_of_outages() {
        let mut parts = vec![outages::rehearse(domain, from, &rehearsal, &reference)?];
        if !senders.is_empty() {
            parts.push(senders::rehearse(domain, &rehearsal, &senders)?);
        }
        return Ok(parts);
    }
    let senders = match senders.is_empty() {
        true => vec![reference],
        false => senders,
    };
    let mut parts = Vec::new();
    for sender in &senders {
        if !args.down.is_empty() {
            let down = work::down(&rehearsal, &args.down)?;
            parts.push(work::rehearse(domain, from, &rehearsal, down, sender)?);
        }
        if let Some(each) = args.rolling {
            let rolling = work::rolling(&rehearsal, each);
            parts.push(work::rehearse(domain, from, &rehearsal, rolling, sender)?);
        }
    }
    Ok(parts)
}

/// Shows a rehearsal on standard output.
fn show(out: &mut impl Write, part: &Part, format: PlanFormat) -> io::Result<()> {
    match format {
        PlanFormat::Text => part.sheet.text(out),
        PlanFormat::Json => write_lines(out, &part.lines),
    }
}

/// Shows what several domains share, and writes it down. If only one of them takes mail there is nothing to show, and
/// who asked for nothing else is told so.
fn show_shared(
    args: &RehearseArgs,
    fate: &SharedFate<'_>,
    assumptions: &Assumptions,
    from: &str,
    out: &mut impl Write,
    page: &mut AskedPage<'_>,
) -> io::Result<()> {
    if args.shared && args.format == PlanFormat::Json {
        write_lines(out, &fate.not_rehearsed())?;
    }
    match (fate.is_of_several(), args.shared) {
        (true, _) => {}
        (false, true) => {
            let why =
                "found fewer than two domains that take mail, expected several to share something";
            return Err(io::Error::other(why));
        }
        (false, false) => return Ok(()),
    }
    page.write(|page| fate.draw(page, from))?;
    match args.format {
        PlanFormat::Text => {
            if !args.shared {
                writeln!(out)?;
            }
            fate.sheet().text(out)?;
        }
        PlanFormat::Json => write_lines(out, &fate.lines())?,
    }
    let Some(folder) = &args.write else {
        return Ok(());
    };
    let shared = written::folder_in(folder, SHARED)?;
    for (outage, drills) in fate.drills(assumptions)? {
        let folder = written::folder_in(&shared, &outage)?;
        leave(&folder, None, drills.iter())?;
    }
    Ok(())
}

fn write_lines(out: &mut impl Write, lines: &[Value]) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Draws what came of a domain on a page: what it comes to first, the drills message by message at the end.
fn draw(out: &mut impl Write, domains: &str, from: &str, parts: &[Part]) -> io::Result<()> {
    page::heading(out, domains, "rehearsal", from)?;
    for part in parts {
        writeln!(out, "<h2>{}</h2>", page::Plain(capital(&part.what)))?;
        part.sheet.html(out)?;
    }
    writeln!(out, "<h2>Message by message</h2>")?;
    key(out)?;
    for drill in parts.iter().flat_map(|part| &part.drills) {
        let title = format!(
            "{} (longest wait {}, returned {}; {})",
            drill.title,
            waited(drill.sum.longest_wait),
            lost(&drill.sum),
            takers(&drill.sum)
        );
        let seen = TimelineLog::of(&drill.run.events);
        let verdict = &drill.run.verdict;
        TimelineSection::rehearsed(&title, weight(&drill.sum), &drill.scenario, verdict, seen)
            .write(out)?;
    }
    Ok(())
}

/// Writes drills as files into a folder; those of several domains into a folder of each.
fn leave<'a>(
    folder: &Path,
    domain: Option<&Domain>,
    drills: impl Iterator<Item = &'a Rehearsed>,
) -> io::Result<()> {
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    let folder = match domain {
        Some(domain) => written::folder_in(folder, &file_name(domain.as_str()))?,
        None => folder.to_owned(),
    };
    let files: Vec<written::OutputFile> = drills
        .map(|drill| written::OutputFile {
            path: folder.join(format!("{}.toml", drill.file)),
            text: drill.text.clone(),
        })
        .collect();
    written::write(&files)?;
    let (count, shown) = (files.len(), folder.display());
    say::err(format_args!("{count} drills written to {shown}"));
    Ok(())
}
