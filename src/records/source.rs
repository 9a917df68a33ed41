//! Where records are looked up: in zone files, in a scenario, or by a resolver.
//!
//! A question goes to the files if they say everything about the name, and to a resolver otherwise;
//! without a resolver the answer is unknown. An alias may lead from one to the other.
//!
//! A resolver that does not answer at all is given up after a few questions, so that reading a
//! large file ends soon without a network.

mod import;
mod transfer;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{Record, RecordType},
};
use hickory_resolver::{
    Resolver, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    system_conf::read_system_conf,
};

use super::{
    answer::{LocatedRecord, Location, RecordLookup},
    files::Files,
};
use crate::{
    diagnostic::{Invalid, Mistakes},
    name::Domain,
    scenario::Scenario,
    zone::{
        MAX_ALIASES, alias_target,
        file::{self, Reach, ZoneText},
    },
};

/// How long to wait for a resolver's answer; each question is repeated once.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Questions without any answer after which a resolver is asked no more, if it never answered at
/// all.
const PATIENCE: usize = 3;

/// Where records are looked up: what the files have, and for all else a resolver, if there is one.
#[derive(Default)]
pub struct Source {
    files: Option<Files>,
    resolver: Option<TokioResolver>,
    /// Where it is, or the first of several.
    resolver_at: Option<SocketAddr>,
    /// Where files may lie that files name.
    reach: Reach,
    /// Questions that the resolver answered, whatever it said, and those that it did not.
    // They differ from failures: SERVFAIL is an answer.
    answered: AtomicUsize,
    unanswered: AtomicUsize,
}

impl Source {
    /// A resolver: the system's, or at an address.
    ///
    /// # Errors
    /// That the system's is not known.
    pub fn resolver(at: Option<SocketAddr>) -> io::Result<Self> {
        let mut source = Self::default();
        source.ask_beside(at)?;
        Ok(source)
    }

    /// Lets a resolver be asked for what the files do not have.
    ///
    /// # Errors
    /// That the system's is not known.
    pub fn ask_beside(&mut self, at: Option<SocketAddr>) -> io::Result<()> {
        let provider = TokioRuntimeProvider::default();
        let (config, options) = match at {
            None => read_system_conf().map_err(io::Error::other)?,
            Some(server) => (asking_only(server), ResolverOpts::default()),
        };
        let port = |server: &NameServerConfig| server.connections.first().map(|one| one.port);
        let first = config.name_servers().first();
        self.resolver_at = first.and_then(|server| Some(SocketAddr::new(server.ip, port(server)?)));
        let mut builder = Resolver::builder_with_config(config, provider);
        *builder.options_mut() = options;
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        options.edns0 = true;
        options.timeout = TIMEOUT;
        options.attempts = 1;
        self.resolver = Some(builder.build().map_err(io::Error::other)?);
        Ok(())
    }

    /// Lets files name others (`$INCLUDE`, `zone_file`) outside their own folder.
    pub fn reach(&mut self, reach: Reach) {
        self.reach = reach;
    }

    /// Adds a zone file, or a scenario if its name ends in `.toml`; of standard input (`-`), whichever it is. By its
    /// ending or by how it begins it may be what another tool writes: Route 53's JSON, octoDNS's YAML, dnscontrol's TSV.
    /// Relative names of a zone file are completed by `origin` until it says otherwise.
    ///
    /// # Errors
    /// The mistakes in it, or that it cannot be read.
    pub fn add_file(&mut self, path: &Path, origin: Option<&Domain>) -> Result<(), Mistakes> {
        let shown = path.display().to_string();
        let extension = path.extension();
        if extension.is_some_and(|extension| extension == "toml") {
            return self.add_scenario(&Scenario::load_within(path, self.reach)?);
        }
        let text = file::zone_text(path).map_err(|message| Mistakes::of_file(&shown, message))?;
        if file::is_standard_input(path) && toml::de::DeTable::parse(&text.text).is_ok() {
            return self.add_scenario(&Scenario::parse_within(&shown, &text.text, self.reach)?);
        }
        if let Some(form) = import::form_of(path, &text.text) {
            return self.add_imported(path, form, &text.text, origin);
        }
        self.add_zone(path, &text, origin)
    }

    /// A file of another tool.
    fn add_imported(
        &mut self,
        path: &Path,
        form: import::Form,
        text: &str,
        origin: Option<&Domain>,
    ) -> Result<(), Mistakes> {
        let shown = path.display().to_string();
        let imported = form.read(path, text, origin)?;
        let (all, each) = imported.files(&shown)?;
        let files = self.files.get_or_insert_default();
        // octoDNS has the name of the zone there alone.
        let named = origin.cloned().or_else(|| file::domain_of(path));
        files.named.extend(named);
        let added = files.add_zone_file(&shown, &all, None, &|name| {
            import::included(&each, &shown, name)
        });
        added.map_err(|mistakes| {
            let mistakes = mistakes.0.into_iter();
            let mut mistakes: Vec<_> = mistakes.map(|one| imported.placed(one)).collect();
            // Records that share a line were read one after the other.
            mistakes.sort_by_key(|one| (one.line, one.column));
            Mistakes(mistakes)
        })?;
        files.notes.extend(imported.notes);
        Ok(())
    }

    /// A scenario with records of its own, or with those of the zone file that it names.
    fn add_scenario(&mut self, scenario: &Scenario) -> Result<(), Mistakes> {
        let files = self.files.get_or_insert_default();
        let Some(path) = &scenario.zone_file else {
            files.add_scenario(scenario);
            return Ok(());
        };
        files.add_beside(scenario);
        let shown = path.display().to_string();
        let text = file::zone_text(path).map_err(|message| Mistakes::of_file(&shown, message))?;
        self.add_zone(path, &text, None)
    }

    /// A zone file whose text is there. Its name may say what it is about ([`file::domain_of`]).
    fn add_zone(
        &mut self,
        path: &Path,
        text: &ZoneText,
        origin: Option<&Domain>,
    ) -> Result<(), Mistakes> {
        let reach = self.reach;
        let folder = file::folder_of(path);
        let origin = origin.cloned().or_else(|| file::domain_of(path));
        let shown = path.display().to_string();
        let files = self.files.get_or_insert_default();
        files.named.extend(origin.clone());
        files.add_zone_file(&shown, text, origin.as_ref(), &|name| {
            file::included(&folder, name, reach)
        })
    }

    /// Adds the text of a zone file, which can include no other.
    ///
    /// # Errors
    /// The mistakes in it.
    pub fn add_text(
        &mut self,
        path: &str,
        text: &str,
        origin: Option<&Domain>,
    ) -> Result<(), Mistakes> {
        let files = self.files.get_or_insert_default();
        files.named.extend(origin.cloned());
        let text = ZoneText {
            text: text.to_owned(),
            is_latin: false,
        };
        files.add_zone_file(path, &text, origin, &|_| {
            Err("cannot be read: this text is no file".to_owned())
        })
    }

    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// A name as the files hold it, if they have records of it: a portfolio names a hundred thousand hosts.
    pub(super) fn own(&self, name: &Domain) -> Domain {
        let own = self.files().map(|files| files.own(name));
        own.unwrap_or_else(|| name.clone())
    }

    /// What of the files was passed over that deserves a word, a line each.
    pub fn notes(&self) -> &[String] {
        self.files.as_ref().map_or(&[], Files::notes)
    }

    /// Where a TTL was assumed since nothing states one, a line for each file. It matters to those who ask for how long
    /// records are remembered.
    pub fn assumed_ttls(&self) -> &[String] {
        self.files.as_ref().map_or(&[], Files::assumed)
    }

    /// Whether files alone are asked, and nobody has to be waited for.
    pub fn is_files_alone(&self) -> bool {
        self.resolver.is_none()
    }

    /// Whether a resolver was asked and not one of its answers came.
    pub fn is_deaf(&self) -> bool {
        let [answered, unanswered] =
            [&self.answered, &self.unanswered].map(|count| count.load(Ordering::Relaxed));
        answered == 0 && unanswered > 0
    }

    /// The domains of the files to which mail is sent: those with MX records, and zones with an address of their own
    /// instead; where there is no MX record at all, the topmost.
    pub fn mail_domains(&self) -> Vec<Domain> {
        self.files
            .as_ref()
            .map_or_else(Vec::new, Files::mail_domains)
    }

    /// The policy of a domain's MTA-STS, where a scenario has it.
    pub(crate) fn policy(&self, domain: &Domain) -> Option<&str> {
        self.files.as_ref()?.policy(domain)
    }

    /// Whether a domain is signed, where that can be told.
    pub(crate) fn is_signed(&self, domain: &Domain) -> Option<bool> {
        self.files.as_ref()?.is_signed(domain)
    }

    /// The resolver that is asked about a domain, if it is not the files that say it all.
    pub(super) fn resolver_of(&self, domain: &Domain) -> Option<SocketAddr> {
        let files = self.files.as_ref();
        let is_covered = files.is_some_and(|files| files.cover(domain, RecordType::MX));
        self.resolver_at.filter(|_| !is_covered)
    }

    /// Looks up records of a type; aliases are followed.
    pub async fn ask(&self, name: &Domain, record_type: RecordType) -> RecordLookup {
        let mut current = name.clone();
        for _ in 0..MAX_ALIASES {
            let files = self.files.as_ref();
            let Some(files) = files.filter(|files| files.cover(&current, record_type)) else {
                return self.ask_resolver(&current, record_type).await;
            };
            match files.answer(&current, record_type) {
                Ok(reply) => return reply,
                Err(target) => current = target,
            }
        }
        RecordLookup::Failed
    }

    /// What a name is an alias of, if it is one.
    pub(crate) async fn alias(&self, name: &Domain) -> Option<(Domain, Option<Location>)> {
        let reply = self.ask(name, RecordType::CNAME).await;
        let first = reply.records().first()?;
        Some((alias_target(&first.record)?, first.place.clone()))
    }

    /// Asks the resolver. Whether it answered at all is counted, whatever it said.
    async fn ask_resolver(&self, name: &Domain, record_type: RecordType) -> RecordLookup {
        let Some(resolver) = &self.resolver else {
            return RecordLookup::Unknown;
        };
        if self.is_deaf() && self.unanswered.load(Ordering::Relaxed) >= PATIENCE {
            return RecordLookup::Failed;
        }
        let answer = resolver.lookup(name.to_wire(), record_type).await;
        let count = match &answer {
            Ok(_) | Err(NetError::Dns(_)) => &self.answered,
            Err(_) => &self.unanswered,
        };
        count.fetch_add(1, Ordering::Relaxed);
        read_answer(answer, record_type)
    }
}

/// What an answer of hickory's resolver says.
fn read_answer(answer: Result<Lookup, NetError>, record_type: RecordType) -> RecordLookup {
    let lookup = match answer {
        Ok(lookup) => lookup,
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            return match none.response_code {
                ResponseCode::NXDomain => RecordLookup::NoDomain,
                _ => RecordLookup::NoData,
            };
        }
        Err(_) => return RecordLookup::Failed,
    };
    let of_type = |record: &&Record| record.record_type() == record_type;
    let placed = |record: &Record| LocatedRecord {
        record: record.clone().into(),
        place: None,
    };
    let records = lookup.answers().iter().filter(of_type).map(placed);
    let records: Vec<LocatedRecord> = records.collect();
    if records.is_empty() {
        RecordLookup::NoData
    } else {
        RecordLookup::Records(records)
    }
}

/// One server to ask, over UDP and TCP at one port.
fn asking_only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
    ResolverConfig::from_parts(None, vec![], vec![server])
}

/// `ADDRESS` or `ADDRESS:PORT` of a resolver.
///
/// # Errors
/// What it is, if it is neither.
///
/// ```
/// use mxdrill::records::resolver_address;
///
/// let resolver = resolver_address("192.0.2.53")?;
/// assert_eq!(resolver.port(), 53);
/// # Ok::<(), mxdrill::Invalid>(())
/// ```
pub fn resolver_address(text: &str) -> Result<SocketAddr, Invalid> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().map_err(|_| {
        let expected = "an address such as 192.0.2.53 or [2001:db8::53]:5353";
        Invalid::from(format!("found {text:?}, expected {expected}"))
    })
}
