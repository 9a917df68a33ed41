//! Which records a command is about: those of zone files, of scenarios, or of a resolver's answers.
//!
//! A word may be a domain or a file: it is a file if there is one of that name, or if it looks like
//! one. Files come first; a resolver is asked if there are none, or for what they do not have if
//! the user names one.

use std::{
    collections::{BTreeSet, HashSet},
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use futures_util::{StreamExt, stream};

use super::{OutsideArgs, at, say};
use crate::{groups, parallel, progress};
use mxdrill::{
    diagnostic::{Mistake, Mistakes},
    name::Domain,
    records::{DomainRecords, KnownHost, RecordLookup, Source, resolver_address},
    zone::file::{domain_of, is_named_as_a_zone, is_standard_input},
};

/// Mistakes in a file that are shown; how many more there are is said.
const SHOWN: usize = 10;
/// Files that are named as where records are from; of more, how many there are.
const SHOWN_FILES: usize = 3;
/// Domains of files that a thread looks up before it takes the next ones.
const CHUNK: usize = 100;
/// Domains that are looked up at once: a resolver has others to serve.
pub(super) const AT_ONCE: usize = 8;

#[derive(Debug, clap::Args)]
pub(crate) struct RecordsArgs {
    /// A domain, or files with records: zone files as providers export them, folders of them, scenarios (*.toml),
    /// Route 53's JSON, octoDNS's YAML, dnscontrol's TSV, - for standard input. Of files alone, every domain in them that
    /// has MX records, and every zone that has an address of its own instead. Of a domain alone, what the resolver says.
    #[arg(value_name = "DOMAIN|FILE")]
    what: Vec<String>,
    /// A file that lists domains, a name a line; - for standard input.
    #[arg(long, value_name = "FILE")]
    domains: Option<PathBuf>,
    /// A zone file, or a scenario, to look records up in; may be given several times.
    #[arg(long, short, value_name = "FILE")]
    zone: Vec<PathBuf>,
    /// What relative names of zone files are completed by, until they say so themselves; without it what the file's
    /// name says (example.com.zone), or else the domain, if one is named.
    #[arg(long, value_name = "DOMAIN")]
    origin: Option<Domain>,
    /// The resolver to ask, ADDRESS or ADDRESS:PORT: for a domain without files the system's if this is
    /// not given; with files, for what they do not have.
    #[arg(long, value_name = "ADDRESS", value_parser = resolver_address)]
    resolver: Option<SocketAddr>,
    /// Ask this name server, ADDRESS or ADDRESS:PORT, for the whole zone of each domain (AXFR).
    #[arg(long, value_name = "ADDRESS", value_parser = resolver_address)]
    axfr: Option<SocketAddr>,
    #[command(flatten)]
    outside: OutsideArgs,
}

/// What was looked up for a command.
pub(crate) struct Looked {
    pub(crate) source: Source,
    pub(crate) domains_records: Vec<DomainRecords>,
    /// The files, or the resolver, in words.
    pub(crate) from: String,
}

impl Looked {
    /// The domains, in the order in which they were looked at.
    pub(crate) fn domains(&self) -> impl Iterator<Item = &Domain> {
        let all = self.domains_records.iter();
        all.map(|domain_records| &domain_records.domain)
    }
}

/// Where the records of a command are, and the domains that it is about.
pub(crate) struct OpenedRecords {
    pub(crate) source: Source,
    pub(crate) domains: Vec<Domain>,
    files: Vec<PathBuf>,
}

impl RecordsArgs {
    /// Looks up what was asked for.
    ///
    /// # Errors
    /// Mistakes in files, or that there is no domain or no resolver.
    pub(crate) fn look(&self) -> io::Result<Looked> {
        let runtime = crate::runtime::of_this_thread()?;
        runtime.block_on(self.look_at_all())
    }

    /// Looks up the records of all domains, within a runtime.
    ///
    /// # Errors
    /// Those of [`Self::look`].
    pub(crate) async fn look_at_all(&self) -> io::Result<Looked> {
        let OpenedRecords {
            source,
            domains,
            files,
        } = self.open(&[])?;
        let from = from(&files, self.resolver, self.axfr);
        if source.is_files_alone() && domains.len() > CHUNK {
            let domains_records = in_files(&source, &domains, &from)?;
            return Ok(Looked {
                source,
                domains_records,
                from,
            });
        }
        let mut domains_records = Vec::with_capacity(domains.len());
        let bar = progress::bar(domains.len() as u64, "{pos}/{len} domains");
        let looked = domains
            .iter()
            .map(|domain| DomainRecords::of(&source, domain));
        let mut looked = stream::iter(looked).buffered(AT_ONCE);
        while let Some(domain_records) = looked.next().await {
            bar.inc(1);
            if source.is_deaf() {
                return Err(io::Error::other(self.unanswered()));
            }
            domains_records.push(domain_records);
        }
        drop(looked);
        bar.finish_and_clear();
        all_are_written(&domains_records, || match self.resolver {
            Some(_) => self::from(&files, None, self.axfr),
            None => from.clone(),
        })?;
        Ok(Looked {
            source,
            domains_records,
            from,
        })
    }

    /// Reads the files, and says which domains are meant: those that are named, these others, or those of the files.
    /// Within a runtime.
    ///
    /// # Errors
    /// Mistakes in files, or that there is no domain or no resolver.
    pub(crate) fn open(&self, others: &[Domain]) -> io::Result<OpenedRecords> {
        let is_any = !self.what.is_empty() || !self.zone.is_empty() || self.domains.is_some();
        if !is_any && others.is_empty() {
            let nothing = "found no domain and no file, expected some, such as example.com or example.com.zone";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, nothing));
        }
        let (mut domains, words) = self.words();
        domains.extend(others.iter().cloned());
        if let Some(list) = &self.domains {
            domains.extend(listed(list)?);
        }
        let mut files = Vec::new();
        for path in words {
            match path.is_dir() {
                true => files.extend(zone_files_in(&path)?),
                false => files.push(path),
            }
        }
        let mut source = Source::default();
        source.reach(self.outside.reach());
        let only = match &domains[..] {
            [only] => Some(only),
            _ => None,
        };
        for file in &files {
            // Of many files one is the domain's: those that are named after other zones are read as these.
            let unnamed = only.filter(|_| domain_of(file).is_none());
            let origin = self.origin.as_ref().or(unnamed);
            // A scenario names its file in every mistake, and so does a zone file.
            source
                .add_file(file, origin)
                .map_err(|mistakes| told(&mistakes))?;
        }
        if let Some(server) = self.axfr {
            transfer(&mut source, server, &domains)?;
        }
        for note in source.notes() {
            anstream::eprintln!("note: {note}");
        }
        if files.is_empty() && self.axfr.is_none() || self.resolver.is_some() {
            source.ask_beside(self.resolver)?;
        }
        if domains.is_empty() {
            domains = source.mail_domains();
        }
        if domains.iter().any(Domain::is_root) {
            let why = "found the root of all names, expected a domain that gets mail";
            return Err(io::Error::other(why));
        }
        if let Some(first) = files.first().filter(|_| domains.is_empty()) {
            let nothing = "found no domain that gets mail in it";
            return Err(at(first, io::Error::other(nothing)));
        }
        Ok(OpenedRecords {
            source,
            domains,
            files,
        })
    }

    /// Whether records come on standard input, which can be read once.
    pub(crate) fn reads_standard_input(&self) -> bool {
        let (_, files) = self.words();
        let mut read = files.iter().chain(&self.domains);
        read.any(|file| is_standard_input(file))
    }

    /// The domains and the files that the user named.
    fn words(&self) -> (Vec<Domain>, Vec<PathBuf>) {
        let (mut domains, mut files): (Vec<Domain>, Vec<PathBuf>) = (Vec::new(), self.zone.clone());
        for word in &self.what {
            let path = Path::new(word);
            match word.parse::<Domain>() {
                Ok(domain)
                    if !is_standard_input(path) && !path.exists() && !looks_like_a_path(word) =>
                {
                    domains.push(domain);
                }
                _ => files.push(path.to_owned()),
            }
        }
        (domains, files)
    }

    /// The error when not one answer came.
    pub(crate) fn unanswered(&self) -> String {
        let resolver = match self.resolver {
            Some(address) => address.to_string(),
            None => "the system's resolver".to_owned(),
        };
        format!(
            "no answer came from {resolver}, expected a resolver that answers (--resolver ADDRESS)"
        )
    }
}

/// Looks up the records of very many domains in files, on all cores.
fn in_files(source: &Source, domains: &[Domain], from: &str) -> io::Result<Vec<DomainRecords>> {
    let chunks: Vec<&[Domain]> = domains.chunks(CHUNK).collect();
    let work = |number: usize| -> io::Result<Vec<DomainRecords>> {
        let runtime = crate::runtime::of_this_thread()?;
        let look = |domain| runtime.block_on(DomainRecords::of(source, domain));
        Ok(chunks[number].iter().map(look).collect())
    };
    let bar = progress::bar(domains.len() as u64, "{pos}/{len} domains");
    let mut all = Vec::with_capacity(domains.len());
    parallel::in_order(chunks.len(), parallel::cores().max(2), work, |_, looked| {
        for domain_records in looked? {
            bar.inc(1);
            all.push(domain_records);
        }
        Ok::<_, io::Error>(())
    })?;
    bar.finish_and_clear();
    all_are_written(&all, || from.to_owned())?;
    Ok(all)
}

/// Refuses domains of which nobody knows the MX records.
fn all_are_written(
    domains_records: &[DomainRecords],
    files: impl Fn() -> String,
) -> io::Result<()> {
    let unknown = domains_records
        .iter()
        .filter(|one| matches!(one.mx, RecordLookup::Unknown));
    let unknown: Vec<&Domain> = unknown.map(|one| &one.domain).collect();
    let (are, their) = match unknown.len() {
        0 => return Ok(()),
        1 => ("is", "its"),
        _ => ("are", "their"),
    };
    let (named, files) = (groups::named(&unknown), files());
    let why = format!("{named} {are} in none of the files with {their} MX records ({files})");
    Err(io::Error::other(why))
}

/// The zone files of a folder, in the order of their names. What else is in it is told, unless it is hidden.
fn zone_files_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).map_err(|error| at(folder, error))?;
    let paths = entries.map(|entry| Ok(entry?.path()));
    let mut paths: Vec<PathBuf> = paths.collect::<io::Result<_>>()?;
    paths.sort();
    let (files, others): (Vec<PathBuf>, Vec<PathBuf>) = paths
        .into_iter()
        .partition(|path| path.is_file() && is_named_as_a_zone(path));
    let names = others.iter().filter_map(|path| path.file_name()?.to_str());
    let others: Vec<&str> = names.filter(|name| !name.starts_with('.')).collect();
    if let [first, more @ ..] = &others[..] {
        let more = match more.len() {
            0 => String::new(),
            count => format!(" and {count} more"),
        };
        say::err(format_args!(
            "mxdrill: {}: passed over {first}{more}, not named as a zone file is; files and folders that are named themselves \
            are read",
            folder.display()
        ));
    }
    if files.is_empty() {
        let nothing = "found no zone file in this folder, expected some, such as example.com.zone";
        return Err(at(folder, io::Error::other(nothing)));
    }
    Ok(files)
}

/// The domains that a file lists, a name a line; what follows a `#` is for people.
fn listed(list: &Path) -> io::Result<Vec<Domain>> {
    let text = match is_standard_input(list) {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(list),
    };
    let text = text.map_err(|error| at(list, error))?;
    let (mut domains, mut mistakes) = (Vec::new(), Vec::new());
    let mut seen = HashSet::new();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let name = line.split('#').next().unwrap_or_default().trim();
        let domain = match name.split_whitespace().count() {
            0 => None,
            1 => Some(name.parse::<Domain>().map_err(|error| error.to_string())),
            _ => Some(Err(format!("found {name:?}, expected one name in a line"))),
        };
        match domain {
            None => {}
            Some(Ok(domain)) => domains.extend(seen.insert(domain.clone()).then_some(domain)),
            Some(Err(why)) => {
                let path = list.display().to_string();
                let at = offset + line.len() - line.trim_start().len();
                mistakes.push(Mistake::at(&path, &text, at, why));
            }
        }
        offset += line.len();
    }
    if !mistakes.is_empty() {
        return Err(told(&Mistakes(mistakes)));
    }
    match domains.is_empty() {
        false => Ok(domains),
        true => {
            let nothing = "found no domain in it, expected a name a line";
            Err(at(list, io::Error::other(nothing)))
        }
    }
}

/// Says where TTLs were assumed, for commands whose result hangs on them.
pub(crate) fn say_assumed(source: &Source) {
    let assumed = source.assumed_ttls();
    for note in assumed.iter().take(SHOWN_FILES) {
        say::err(format_args!("note: {note}"));
    }
    if let Some(more @ 1..) = assumed.len().checked_sub(SHOWN_FILES) {
        let files = if more == 1 { "file" } else { "files" };
        let more = groups::counted(more);
        say::err(format_args!("note: and so in {more} more {files}"));
    }
}

/// Where the records of a domain are written: the file of its MX record; without one that of its own address, which
/// takes the mail, or of what else it has; else where all are from.
pub(crate) fn place_of(domain_records: &DomainRecords, from: &str) -> String {
    let own = domain_records.host(&domain_records.domain).into_iter();
    let placed = domain_records.mx.records().iter();
    let placed = placed.chain(own.flat_map(KnownHost::records));
    let mut placed = placed.chain(domain_records.soa.records());
    let place = placed.find_map(|record| record.place.as_ref());
    place.map_or(from.to_owned(), |place| place.path.to_string())
}

/// Where the records of several domains are: the place, or how many there are.
pub(crate) fn places(places: &BTreeSet<&str>) -> String {
    match places.first() {
        Some(only) if places.len() == 1 => (*only).to_owned(),
        _ => format!("{} files", groups::counted(places.len())),
    }
}

/// Whether a word that could be a domain is more likely a file that is not there.
fn looks_like_a_path(word: &str) -> bool {
    let endings = ["zone", "toml", "txt", "db", "json", "yaml", "yml", "tsv"];
    word.contains('/')
        || endings
            .iter()
            .any(|ending| word.ends_with(&format!(".{ending}")))
}

/// Asks a name server for the zones of these domains.
fn transfer(source: &mut Source, server: SocketAddr, domains: &[Domain]) -> io::Result<()> {
    if domains.is_empty() {
        let nothing = "found --axfr without a domain, expected the zone that is asked for";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, nothing));
    }
    domains
        .iter()
        .try_for_each(|domain| source.add_transfer(server, domain))
}

/// Where the records are from, in words.
fn from(files: &[PathBuf], resolver: Option<SocketAddr>, axfr: Option<SocketAddr>) -> String {
    let mut files: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    files.extend(axfr.map(|server| format!("the zone as {server} hands it over")));
    match (files.is_empty(), resolver) {
        (true, Some(resolver)) => format!("as {resolver} says"),
        (true, None) => "as the system's resolver says".to_owned(),
        (false, _) if files.len() > SHOWN_FILES => {
            format!("{} files", groups::counted(files.len()))
        }
        (false, _) => files.join(", "),
    }
}

/// Mistakes as one error, each on a line.
fn told(mistakes: &Mistakes) -> io::Error {
    let mut lines: Vec<String> = mistakes
        .0
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    if mistakes.0.len() > SHOWN {
        lines.push(format!("and {} more mistakes", mistakes.0.len() - SHOWN));
    }
    io::Error::new(io::ErrorKind::InvalidData, lines.join("\n"))
}
