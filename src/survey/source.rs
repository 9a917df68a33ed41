//! Where records are looked up: in zone files, in a scenario, or by a resolver.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt, io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};

use hickory_proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};
use hickory_resolver::{
    Resolver, TokioResolver, config::ResolveHosts, net::runtime::TokioRuntimeProvider,
};

use crate::{
    name::Domain,
    scenario::{Mistake, Mistakes, Scenario},
    sender::{Found, asking_only, read_answer},
    time::Moment,
    zone::{Zone, address_of, text},
};

/// Aliases followed before a chain counts as endless.
const MAX_ALIASES: usize = 16;
/// Wait for a resolver's answer, which is asked twice.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Addresses that a name may have: no answer has room for more.
const MAX_ADDRESSES: usize = 1000;
/// What some editors put in front of a text.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
/// Octets that a zone file may have.
const MAX_FILE: u64 = 64 * 1024 * 1024;

/// Where a record is written down.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, as the user named it.
    pub path: Arc<str>,
    /// Line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.path, self.line)
    }
}

/// A record, and where it is written down, if that is known.
#[derive(Debug, Clone)]
pub struct Placed {
    /// The record.
    pub record: Record,
    /// Its place in a zone file.
    pub place: Option<Place>,
}

/// What a lookup came to.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Records of the type asked for, at the end of any aliases.
    Records(Vec<Placed>),
    /// The name exists and has none.
    NoData,
    /// The name does not exist.
    NoDomain,
    /// No answer that can be relied on.
    Failed,
    /// The name is in none of the zone files, and there is no resolver to ask.
    Unknown,
}

impl Reply {
    /// The records, none if there is no answer.
    pub fn records(&self) -> &[Placed] {
        match self {
            Self::Records(records) => records,
            _ => &[],
        }
    }

    /// Whether it is settled that there are none.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::NoData | Self::NoDomain)
    }
}

/// Where records are looked up: what the files have, and for all else a resolver, if there is one.
#[derive(Default)]
pub struct Source {
    files: Option<Files>,
    resolver: Option<TokioResolver>,
}

/// The records of zone files and scenarios.
#[derive(Default)]
pub(crate) struct Files {
    zone: Zone,
    /// Every record as it is written, repetitions too, by owner.
    pub(crate) written: BTreeMap<Domain, Vec<Placed>>,
    /// Names at and below which the files say everything.
    apexes: BTreeSet<Domain>,
    /// Types of records that mean nothing to mail, by owner.
    others: BTreeMap<Domain, Vec<String>>,
    signed: BTreeSet<Domain>,
    /// Where records are written down, by owner and data; of a record that is there twice, the first.
    places: HashMap<(Domain, String), Place>,
    /// Addresses that a name has.
    addresses: HashMap<Domain, usize>,
    policies: BTreeMap<Domain, String>,
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
        let mut builder = match at {
            None => Resolver::builder(provider).map_err(io::Error::other)?,
            Some(server) => Resolver::builder_with_config(asking_only(server), provider),
        };
        let options = builder.options_mut();
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        options.edns0 = true;
        options.timeout = TIMEOUT;
        options.attempts = 1;
        self.resolver = Some(builder.build().map_err(io::Error::other)?);
        Ok(())
    }

    /// Adds a zone file, or a scenario if its name ends in `.toml`. Relative names of a zone file are
    /// completed by `origin` until it says otherwise.
    ///
    /// # Errors
    /// The mistakes in it, or that it cannot be read.
    pub fn add_file(&mut self, path: &Path, origin: Option<&Domain>) -> Result<(), Mistakes> {
        let files = self.files.get_or_insert_default();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.add_scenario(&Scenario::load(path)?);
            return Ok(());
        }
        let shown = path.display().to_string();
        let text = read(path).map_err(|message| Mistakes::of_file(&shown, message))?;
        files.add_zone_file(&shown, &text, origin.or(domain_of(path).as_ref()))
    }

    /// Adds the text of a zone file.
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
        files.add_zone_file(path, text, origin)
    }

    pub(crate) fn files(&self) -> Option<&Files> {
        self.files.as_ref()
    }

    /// The domains of the files to which mail is sent: those with MX records, else the topmost.
    pub fn mail_domains(&self) -> Vec<Domain> {
        let Some(files) = &self.files else {
            return Vec::new();
        };
        let is_mx = |placed: &Placed| placed.record.record_type() == RecordType::MX;
        let with_mx = files
            .written
            .iter()
            .filter(|(_, set)| set.iter().any(is_mx));
        // A scenario has a sender of its own, and a wildcard is no domain to send to.
        let own =
            |owner: &&Domain| owner.as_str() != "sender.test" && !owner.as_str().starts_with("*.");
        let found: Vec<Domain> = with_mx
            .map(|(owner, _)| owner)
            .filter(own)
            .cloned()
            .collect();
        if !found.is_empty() {
            return found;
        }
        let is_reverse = |apex: &&Domain| apex.as_str().ends_with(".arpa");
        files
            .apexes
            .iter()
            .filter(|apex| !is_reverse(apex))
            .cloned()
            .collect()
    }

    /// The policy of a domain's MTA-STS, where a scenario has it.
    pub(crate) fn policy(&self, domain: &Domain) -> Option<&str> {
        let files = self.files.as_ref()?;
        files.policies.get(domain).map(String::as_str)
    }

    /// Whether a domain is signed, where that can be told.
    pub(crate) fn is_signed(&self, domain: &Domain) -> Option<bool> {
        let files = self.files.as_ref().filter(|files| files.cover(domain))?;
        Some(
            domain
                .at_and_above()
                .any(|name| files.signed.contains(&name)),
        )
    }

    /// Looks up records of a type; aliases are followed.
    pub async fn ask(&self, name: &Domain, record_type: RecordType) -> Reply {
        let mut current = name.clone();
        for _ in 0..MAX_ALIASES {
            let Some(files) = self.files.as_ref().filter(|files| files.cover(&current)) else {
                return self.ask_resolver(&current, record_type).await;
            };
            match files.answer(&current, record_type) {
                Ok(reply) => return reply,
                Err(target) => current = target,
            }
        }
        Reply::Failed
    }

    /// What a name is an alias of, if it is one.
    pub(crate) async fn alias(&self, name: &Domain) -> Option<(Domain, Option<Place>)> {
        let reply = self.ask(name, RecordType::CNAME).await;
        let first = reply.records().first()?;
        match &first.record.data {
            RData::CNAME(target) => Some((Domain::from(&target.0), first.place.clone())),
            _ => None,
        }
    }

    async fn ask_resolver(&self, name: &Domain, record_type: RecordType) -> Reply {
        let Some(resolver) = &self.resolver else {
            return Reply::Unknown;
        };
        let answer = resolver.lookup(name.to_wire(), record_type).await;
        match read_answer(answer, record_type).0 {
            Found::Records { records, .. } => {
                let placed = |record| Placed {
                    record,
                    place: None,
                };
                Reply::Records(records.into_iter().map(placed).collect())
            }
            Found::NoData => Reply::NoData,
            Found::NoDomain => Reply::NoDomain,
            Found::Failed => Reply::Failed,
        }
    }
}

/// The zone that the reverse name of an address is likely to be in: of a /24, or of a /64. Files often
/// hold PTR records without the SOA record of their zone.
fn reverse_zone(owner: &Domain) -> Option<Domain> {
    let labels = match owner.as_str() {
        ipv4 if ipv4.ends_with(".in-addr.arpa") => 1,
        ipv6 if ipv6.ends_with(".ip6.arpa") => 16,
        _ => return None,
    };
    owner.at_and_above().nth(labels)
}

/// The domain that the name of a zone file says it is about: `example.com.zone`, `db.example.com`.
fn domain_of(path: &Path) -> Option<Domain> {
    let name = path.file_name()?.to_str()?;
    let ending = [".zone", ".txt", ".db", ".hosts", ".bind", ".dns"];
    let stem = ending.iter().find_map(|ending| name.strip_suffix(ending));
    let domain: Domain = stem.or_else(|| name.strip_prefix("db."))?.parse().ok()?;
    domain.as_str().contains('.').then_some(domain)
}

/// The text of a zone file.
fn read(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let octets = std::fs::metadata(path).map_err(cannot)?.len();
    if octets > MAX_FILE {
        return Err(format!(
            "found {octets} octets, expected {MAX_FILE} at most"
        ));
    }
    let mut octets = std::fs::read(path).map_err(cannot)?;
    if octets.starts_with(BYTE_ORDER_MARK) {
        octets.drain(..BYTE_ORDER_MARK.len());
    }
    match String::from_utf8(octets) {
        Ok(text) => Ok(text),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let latin: String = error.into_bytes().into_iter().map(char::from).collect();
            // Old files have Latin-1 in their comments; what has control characters is no text at all.
            if latin.contains(|c: char| c.is_ascii_control() && !c.is_ascii_whitespace()) {
                return Err(format!(
                    "found octets that are not UTF-8 after octet {valid}, expected a zone file"
                ));
            }
            Ok(latin)
        }
    }
}

impl Files {
    fn add_scenario(&mut self, scenario: &Scenario) {
        let zone = scenario.zones.at(Moment::START);
        for record in zone.records() {
            self.add(record.clone(), None);
        }
        // A scenario says everything there is.
        self.apexes = BTreeSet::from([Domain::root()]);
        self.signed.extend(scenario.dnssec.iter().cloned());
        for policy in &scenario.policies {
            self.policies
                .entry(policy.domain.clone())
                .or_insert_with(|| policy.text.clone());
        }
    }

    fn add_zone_file(
        &mut self,
        path: &str,
        content: &str,
        origin: Option<&Domain>,
    ) -> Result<(), Mistakes> {
        let root = Domain::root();
        let written = text::parse_file(content, origin.unwrap_or(&root)).map_err(|mistakes| {
            let told = mistakes
                .into_iter()
                .map(|one| Mistake::at(path, content, one.offset, one.message));
            Mistakes(told.collect())
        })?;
        if written.records.is_empty() && written.others.is_empty() {
            let message = "found no record, expected a zone file (RFC 1035 section 5.1)".to_owned();
            return Err(Mistakes(vec![Mistake::at(path, content, 0, message)]));
        }
        let line_starts: Vec<usize> = std::iter::once(0)
            .chain(content.match_indices('\n').map(|(newline, _)| newline + 1))
            .collect();
        let path: Arc<str> = path.into();
        let mut apexes: Vec<Domain> = Vec::new();
        for (offset, record) in written.records {
            if address_of(&record.data).is_some() {
                let addresses = self
                    .addresses
                    .entry(Domain::from(&record.name))
                    .or_default();
                *addresses += 1;
                if *addresses > MAX_ADDRESSES {
                    let message = format!(
                        "found more than {MAX_ADDRESSES} addresses of {}, expected as many as an answer holds",
                        Domain::from(&record.name)
                    );
                    return Err(Mistakes(vec![Mistake::at(&path, content, offset, message)]));
                }
            }
            let line = line_starts.partition_point(|start| *start <= offset);
            if record.record_type() == RecordType::SOA {
                apexes.push(Domain::from(&record.name));
            }
            let place = Place {
                path: Arc::clone(&path),
                line,
            };
            self.add(record, Some(place));
        }
        // Without an SOA record a file is about what is topmost in it.
        if apexes.is_empty() {
            apexes.extend(self.topmost());
        }
        self.apexes.extend(apexes);
        for (owner, kind) in written.others {
            if matches!(&*kind, "DNSKEY" | "RRSIG") {
                self.signed.insert(owner.clone());
            }
            self.others.entry(owner).or_default().push(kind);
        }
        Ok(())
    }

    /// Owners that are below no other.
    fn topmost(&self) -> Vec<Domain> {
        let owners: Vec<&Domain> = self.written.keys().collect();
        let below = |owner: &Domain| {
            let mut above = owner.at_and_above().skip(1);
            above.any(|above| self.written.contains_key(&above))
        };
        owners
            .into_iter()
            .filter(|owner| !below(owner))
            .cloned()
            .collect()
    }

    fn add(&mut self, record: Record, place: Option<Place>) {
        let placed = Placed {
            record: record.clone(),
            place,
        };
        let owner = Domain::from(&record.name);
        if record.record_type() == RecordType::PTR {
            self.apexes.extend(reverse_zone(&owner));
        }
        if let Some(place) = &placed.place {
            let key = (owner.clone(), record.data.to_string());
            self.places.entry(key).or_insert_with(|| place.clone());
        }
        self.written.entry(owner).or_default().push(placed);
        self.zone.add(record);
    }

    /// Types of records at a name that mean nothing to mail.
    pub(crate) fn other_types(&self, owner: &Domain) -> &[String] {
        self.others.get(owner).map_or(&[], Vec::as_slice)
    }

    /// Whether the files say everything about a name: it is within a zone and not handed on.
    fn cover(&self, name: &Domain) -> bool {
        for node in name.at_and_above() {
            if self.apexes.contains(&node) {
                return true;
            }
            let set = self.written.get(&node).map_or(&[][..], Vec::as_slice);
            let is_cut = set
                .iter()
                .any(|placed| placed.record.record_type() == RecordType::NS);
            // Names below a DNAME are those of another zone (RFC 6672).
            let is_alias =
                node != *name && self.other_types(&node).iter().any(|kind| kind == "DNAME");
            if is_cut || is_alias {
                return false;
            }
        }
        false
    }

    /// The answer at a name, or the name that it is an alias of.
    fn answer(&self, name: &Domain, record_type: RecordType) -> Result<Reply, Domain> {
        let answer = self.zone.answer(name, record_type);
        if answer.code == ResponseCode::ServFail {
            return Ok(Reply::Failed);
        }
        let mut end = name.clone();
        for record in &answer.records {
            match &record.data {
                RData::CNAME(target) if record_type != RecordType::CNAME => {
                    end = Domain::from(&target.0);
                }
                _ => {}
            }
        }
        let found: Vec<Placed> = answer
            .records
            .into_iter()
            .filter(|record| record.record_type() == record_type)
            .map(|record| Placed {
                place: self
                    .places
                    .get(&(end.clone(), record.data.to_string()))
                    .cloned(),
                record,
            })
            .collect();
        if !found.is_empty() {
            return Ok(Reply::Records(found));
        }
        if end != *name && !self.cover(&end) {
            return Err(end);
        }
        // The provider's own name servers put addresses there.
        let is_address = matches!(record_type, RecordType::A | RecordType::AAAA);
        if is_address
            && self
                .other_types(&end)
                .iter()
                .any(|kind| matches!(&**kind, "ALIAS" | "ANAME"))
        {
            return Ok(Reply::Unknown);
        }
        Ok(match answer.code {
            ResponseCode::NXDomain => Reply::NoDomain,
            _ => Reply::NoData,
        })
    }

    /// Where a name is written down first.
    pub(crate) fn place_of_name(&self, name: &Domain) -> Option<Place> {
        self.written.get(name)?.first()?.place.clone()
    }
}

/// `ADDRESS` or `ADDRESS:PORT` of a resolver.
///
/// # Errors
/// What it is, if it is neither.
pub fn resolver_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, 53));
    }
    text.parse().map_err(|_| {
        format!("found {text:?}, expected an address such as 192.0.2.53 or [2001:db8::53]:5353")
    })
}
