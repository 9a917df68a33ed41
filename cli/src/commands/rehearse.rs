//! `mxdrill rehearse`: what happens to a domain's mail when its exchangers fail, are worked at, or change.
//!
//! Each kind of rehearsal is in a file of its own: `outages`, `work`, `senders` and `change`. Each makes a table, lines
//! for programs and drills; what is done with these is done here.

mod change;
mod outages;
mod senders;
mod work;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use self::work::PlannedOutage;
use super::{
    CommandOutcome, PlanFormat, at,
    groups::{self, Groups},
    output,
    records::{self, Looked},
    say, written,
};
use crate::report::{
    TimelineLog, TimelineSection, key, page,
    sheet::{Sheet, Weight, capital, percentages},
};
use mxdrill::{
    name::Domain,
    records::DomainRecords,
    rehearse::{
        Assumptions, PassageSum, Rehearsal, Rehearsed, SenderProfile, UnknownUsers, file_name,
    },
    time::HumanDuration,
};

pub(crate) const REHEARSE_NOTES: &str = "\
The drills are made of the records, and run with the reference sender on a virtual clock: nothing is sent to
anybody. Exchangers whose addresses are not known get others in their place.

Exit status: 0 it was rehearsed, 2 it could not be.

Examples:
  mxdrill rehearse example.com
  mxdrill rehearse example.com.zone --html rehearsal.html
  mxdrill rehearse example.com --down mx1=2h     planned work at mx1; --rolling 10m at each in turn
  mxdrill rehearse example.com --senders all     how long outages may be, for each kind of mail server
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
    /// Also write one HTML page: what it comes to, the table, and a timeline for each message.
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
    #[command(flatten)]
    pub(crate) assumed: AssumedArgs,
}

/// What is assumed beside the records.
#[derive(Debug, clap::Args)]
#[group(id = "assumed", multiple = true)]
pub(crate) struct AssumedArgs {
    /// Who sends, beside or in place of mxdrill's reference sender: kinds of mail servers, separated by commas, each
    /// with the waits and the patience that it has by default (docs/schedules.md); or all. Outages of several
    /// lengths are rehearsed with each.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', value_parser = profile)]
    senders: Vec<Senders>,
    /// How long the reference sender keeps mail before it returns it; 5d without this.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    lifetime: Option<Duration>,
    /// The domain's MTA-STS policy, as its web server has it; without it one for the exchangers as they are is
    /// assumed where the domain has a record at _mta-sts.
    #[arg(long, value_name = "FILE")]
    mta_sts_policy: Option<PathBuf>,
    /// Assume that backups (exchangers of a higher preference than others) greylist: who is new waits this long.
    #[arg(long, value_name = "TIME", value_parser = some_time)]
    backup_greylists: Option<Duration>,
    /// Assume mail to users that there are not, and what backups do with it; the most preferred exchangers refuse it.
    #[arg(long, value_enum, value_name = "DOES")]
    unknown_users: Option<Unknown>,
}

/// What backups do with mail to users that there are not.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(crate) enum Unknown {
    /// Backups know the users, and refuse mail to others.
    BackupRejects,
    /// Backups take it, and have to return it.
    BackupAccepts,
}

/// One word of `--senders`.
#[derive(Debug, Clone)]
pub(crate) enum Senders {
    All,
    One(SenderProfile),
}

fn profile(text: &str) -> Result<Senders, String> {
    match text {
        "all" => Ok(Senders::All),
        name => SenderProfile::find(name)
            .map(Senders::One)
            .map_err(String::from),
    }
}

/// A time that is longer than none.
fn some_time(text: &str) -> Result<Duration, String> {
    let time: HumanDuration = text.parse().map_err(|error| format!("{error}"))?;
    match time.0.is_zero() {
        true => Err(format!("found {text:?}, expected a time longer than none")),
        false => Ok(time.0),
    }
}

impl AssumedArgs {
    fn assumptions(&self) -> io::Result<Assumptions> {
        let mut assumptions = Assumptions::default();
        if let Some(lifetime) = self.lifetime {
            assumptions.sender.lifetime = lifetime;
        }
        if let Some(path) = &self.mta_sts_policy {
            let text = fs::read_to_string(path).map_err(|error| at(path, error))?;
            assumptions.policy = Some(text);
        }
        assumptions.backups.greylist = self.backup_greylists;
        assumptions.backups.unknown_users = self.unknown_users.map(|unknown| match unknown {
            Unknown::BackupRejects => UnknownUsers::Rejected,
            Unknown::BackupAccepts => UnknownUsers::Accepted,
        });
        Ok(assumptions)
    }

    /// The kinds of senders that were asked for, each once. The reference sender is as it is assumed to be.
    fn senders(&self, reference: &SenderProfile) -> io::Result<Vec<SenderProfile>> {
        let mut senders: Vec<SenderProfile> = Vec::new();
        for asked in &self.senders {
            let these = match asked {
                Senders::All => {
                    let names = SenderProfile::names().into_iter();
                    let all = names.map(SenderProfile::find).collect::<Result<_, _>>();
                    all.map_err(io::Error::other)?
                }
                Senders::One(profile) => vec![profile.clone()],
            };
            for profile in these {
                let profile = if profile.name == reference.name {
                    reference.clone()
                } else {
                    profile
                };
                if !senders.contains(&profile) {
                    senders.push(profile);
                }
            }
        }
        Ok(senders)
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
            let mut page = output::create(path)?;
            let names = domains_records.iter().map(|one| one.domain.as_str());
            let title = format!("{}: rehearsal", names.collect::<Vec<_>>().join(", "));
            page::begin(&mut page, &title).map_err(|error| at(path, error))?;
            Some(page)
        }
        None => None,
    };
    // Domains with one route go through the same drills: they are rehearsed once, for all of them.
    let mut groups: Groups<String, &DomainRecords> = Groups::default();
    for (index, domain_records) in domains_records.iter().enumerate() {
        let key = match &args.change {
            Some(_) => index.to_string(),
            None => groups::drilled_as(domain_records),
        };
        groups.add(key, domain_records);
    }
    for (index, group) in groups.iter().enumerate() {
        let domain_records = group[0];
        let parts = match parts_of_all(args, group, &from) {
            Ok(parts) => parts,
            // One domain that takes no mail is no reason to leave the others out.
            Err(error) if domains_records.len() > 1 => {
                let others = match group.len() {
                    1 => String::new(),
                    all => format!(" (and so for {} domains more)", groups::counted(all - 1)),
                };
                say::err(format_args!("mxdrill: {error}{others}"));
                continue;
            }
            Err(error) => return Err(error),
        };
        for (number, part) in parts.iter().enumerate() {
            if args.format == PlanFormat::Text && index + number > 0 {
                writeln!(out)?;
            }
            show(&mut out, part, args.format)?;
        }
        let domain = &domain_records.domain;
        if let Some(folder) = &args.write {
            let several = (domains_records.len() > 1).then_some(domain);
            let drills = parts.iter().flat_map(|part| &part.drills);
            leave(folder, several, drills)?;
        }
        if let (Some(page), Some(path)) = (&mut page, &args.html) {
            let domains: Vec<&Domain> = group.iter().map(|one| &one.domain).collect();
            let named = groups::named(&domains);
            draw(page, &named, &from, &parts).map_err(|error| at(path, error))?;
        }
    }
    if let (Some(mut page), Some(path)) = (page, &args.html) {
        page::end(&mut page).map_err(|error| at(path, error))?;
    }
    Ok(CommandOutcome::Passed)
}

/// Rehearses domains that have one route: the first of them, for all.
fn parts_of_all(
    args: &RehearseArgs,
    group: &[&DomainRecords],
    from: &str,
) -> io::Result<Vec<Part>> {
    let places: Vec<String> = group
        .iter()
        .map(|one| records::place_of(one, from))
        .collect();
    let place = records::places(&places.iter().map(String::as_str).collect());
    let mut parts = parts(args, group[0], &place)?;
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
fn parts(args: &RehearseArgs, domain_records: &DomainRecords, from: &str) -> io::Result<Vec<Part>> {
    if let Some(change) = &args.change {
        return Ok(vec![change::rehearse(domain_records, change)?]);
    }
    let assumptions = args.assumed.assumptions()?;
    let reference = assumptions.sender.clone();
    let senders = args.assumed.senders(&reference)?;
    let rehearsal = Rehearsal::of(domain_records, assumptions)?;
    let domain = &domain_records.domain;
    if args.down.is_empty() && args.rolling.is_none() {
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
        PlanFormat::Json => {
            for line in &part.lines {
                writeln!(out, "{line}")?;
            }
            Ok(())
        }
    }
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

/// How bad it was for mail.
fn weight(sum: &PassageSum) -> Weight {
    match () {
        () if sum.returned > 0 => Weight::Returned,
        () if sum.longest_wait >= LONG => Weight::Waits,
        () => Weight::Fine,
    }
}

/// A wait in whole seconds, for people.
fn waited(wait: Duration) -> String {
    match wait {
        Duration::ZERO => "none".to_owned(),
        wait => HumanDuration(Duration::from_secs(wait.as_secs())).to_string(),
    }
}

/// The shares of those that accepted messages, then that of what was returned, then that of what still waits.
fn shares(sum: &PassageSum) -> Vec<String> {
    let mut parts: Vec<usize> = sum.takers.values().copied().collect();
    let taken: usize = parts.iter().sum();
    parts.push(sum.returned);
    parts.push(sum.messages - sum.returned - taken);
    percentages(&parts)
}

/// Which hosts accepted the mail, with shares in per cent where there are several.
fn takers(sum: &PassageSum) -> String {
    let shared = sum.takers.iter().zip(shares(sum));
    let takers = shared.map(|((host, count), share)| match *count == sum.messages {
        true => host.to_string(),
        false => format!("{host} {share}"),
    });
    let takers: Vec<String> = takers.collect();
    if takers.is_empty() {
        "nobody".to_owned()
    } else {
        takers.join(", ")
    }
}

/// The share of the mail that was returned.
fn lost(sum: &PassageSum) -> String {
    match sum.returned {
        0 => "none".to_owned(),
        all if all == sum.messages => "all".to_owned(),
        _ => shares(sum).swap_remove(sum.takers.len()),
    }
}

/// When those who send try again, in words.
fn tries(sender: &SenderProfile) -> String {
    /// Waits that are told; more would tell nobody anything.
    const TOLD: usize = 5;
    let mut waits: Vec<String> = sender.retry.iter().map(|wait| waited(*wait)).collect();
    let last = waits.pop().unwrap_or_default();
    while waits.last() == Some(&last) {
        waits.pop();
    }
    match &waits[..] {
        [] => format!("every {last}"),
        few if few.len() <= TOLD => format!("after {}, then every {last}", few.join(", ")),
        many => format!("after {}, ...", many[..TOLD].join(", ")),
    }
}

/// What is assumed of who sends, in words.
fn schedule(sender: &SenderProfile) -> String {
    let (tries, patience) = (tries(sender), waited(sender.lifetime));
    format!("try again {tries}, and return mail after {patience}")
}

/// A line of JSON about a drill; what is special about it is added.
fn line(
    domain: &Domain,
    rehearsal: &Rehearsal,
    drill: &Rehearsed,
    sender: &SenderProfile,
) -> Value {
    let sum = &drill.sum;
    let mut line = json!({
        "domain": domain,
        "drill": drill.title,
        "file": format!("{}.toml", drill.file),
        "messages": sum.messages,
        "takers": sum.takers,
        "longest_wait_seconds": sum.longest_wait.as_secs_f64(),
        "returned": sum.returned,
        "sender": {
            "name": sender.name,
            "returns_after_seconds": sender.lifetime.as_secs(),
            "retries_after_seconds": sender.retry.iter().map(Duration::as_secs).collect::<Vec<_>>(),
        },
        "stand_ins": rehearsal.stand_ins(),
        "notes": rehearsal.notes(),
    });
    if let Some(unknown) = &drill.unknown {
        line["unknown_users"] = json!({
            "messages": unknown.messages,
            "takers": unknown.takers,
            "returned": unknown.returned,
        });
    }
    line
}
