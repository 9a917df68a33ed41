//! `check_host()` (RFC 7208 section 4): what an SPF record says of a sender, and what the check costs.
//!
//! With a sender that is not known the check walks past every term, as it does for a sender that no term
//! matches, and goes on behind what ends it for a receiver: that shows all that is wrong.

use std::{
    collections::BTreeSet,
    future::Future,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    pin::Pin,
};

use hickory_proto::rr::{Name, RData, RecordType};

use super::{
    super::{DomainRecords, LocatedRecord, RecordLookup, Source},
    macros::{MacroLetter, MacroString, dotted},
    record::{self, BadTerm, Directive, Lengths, Mechanism, Qualifier, Record},
};
use crate::{name::Domain, zone::address_of};

/// Terms that may cause lookups (section 4.6.4).
pub(crate) const MAX_LOOKUPS: usize = 10;
/// Lookups that may find nothing (section 4.6.4).
pub(crate) const MAX_VOID: usize = 2;
/// Exchangers that an `mx` term may name, and names of an address that are looked at.
pub(crate) const MAX_NAMES: usize = 10;
/// Stop counting here: the lookups are far over the limit, and includes may go in a circle.
const ENOUGH: usize = 50;

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SpfResult {
    None,
    Neutral,
    Pass,
    Fail,
    SoftFail,
    TempError,
    PermError,
}

/// Who sends; what is not known of it is nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpfClient {
    pub(crate) address: Option<IpAddr>,
    pub(crate) local_part: Option<String>,
    pub(crate) helo: Option<String>,
}

/// Why a check ends in a permanent error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SpfError {
    /// A record has a term that is none.
    Term { domain: Domain, bad: BadTerm },
    /// The target of a term has no SPF record.
    NoRecord { term: String, exists: bool },
    /// It has several.
    Several { term: String, count: usize },
    /// It is being checked already.
    Loop { term: String },
    /// An `mx` term names too many exchangers.
    Exchangers { term: String, count: usize },
    /// More than [`MAX_LOOKUPS`].
    Lookups,
    /// More than [`MAX_VOID`].
    Void { terms: Vec<String> },
}

/// Where names are looked up.
pub(crate) trait Lookup: Sync {
    fn look_up(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> impl Future<Output = RecordLookup> + Send;
}

impl Lookup for Source {
    fn look_up(
        &self,
        name: &Domain,
        record_type: RecordType,
    ) -> impl Future<Output = RecordLookup> + Send {
        self.ask(name, record_type)
    }
}

/// A check under way.
pub(crate) struct SpfCheck<'a, L> {
    lookup: &'a L,
    sender: SpfClient,
    sender_domain: Domain,
    /// Terms that cause lookups.
    pub(crate) lookups: usize,
    /// Terms whose lookups found nothing.
    void: Vec<String>,
    /// Those of the record itself, and not of what it includes.
    pub(crate) dead: Vec<String>,
    pub(crate) flaws: Vec<SpfError>,
    /// Targets that are not at hand.
    pub(crate) unseen: BTreeSet<Domain>,
    /// Whether a target depends on the message, by a macro of the sender.
    pub(crate) depends: bool,
    open: Vec<Domain>,
}

/// A check that is over before its end.
struct Over(SpfResult);

type Checking<'b, T> = Pin<Box<dyn Future<Output = T> + Send + 'b>>;

impl<'a, L: Lookup> SpfCheck<'a, L> {
    pub(crate) fn new(lookup: &'a L, sender: SpfClient, sender_domain: Domain) -> Self {
        let address = sender.address.map(|address| address.to_canonical());
        Self {
            lookup,
            sender: SpfClient { address, ..sender },
            sender_domain,
            lookups: 0,
            void: Vec::new(),
            dead: Vec::new(),
            flaws: Vec::new(),
            unseen: BTreeSet::new(),
            depends: false,
            open: Vec::new(),
        }
    }

    /// What the records of a domain say of the sender.
    #[cfg(test)]
    pub(crate) async fn of(&mut self, domain: &Domain) -> SpfResult {
        // What is no name with two labels has no record (section 4.3).
        if domain.as_str().split('.').count() < 2 {
            return SpfResult::None;
        }
        match self.look_up(domain, RecordType::TXT).await {
            RecordLookup::Failed => SpfResult::TempError,
            reply => match &texts(&reply)[..] {
                [] => SpfResult::None,
                [only] => self.of_record(domain, only).await,
                _ => SpfResult::PermError,
            },
        }
    }

    /// What a domain's record says of the sender.
    pub(crate) async fn of_record(&mut self, domain: &Domain, record: &str) -> SpfResult {
        match Record::parse(record) {
            Ok(record) => self.of_terms(domain, record).await,
            Err(bad) => {
                let domain = domain.clone();
                let flaw = self.flaw(SpfError::Term { domain, bad });
                flaw.map_or_else(|over| over.0, |()| SpfResult::PermError)
            }
        }
    }

    fn of_terms<'b>(&'b mut self, domain: &'b Domain, record: Record) -> Checking<'b, SpfResult> {
        Box::pin(async move {
            self.open.push(domain.clone());
            let result = self.terms(domain, record).await;
            self.open.pop();
            result.unwrap_or_else(|over| over.0)
        })
    }

    async fn terms(&mut self, domain: &Domain, record: Record) -> Result<SpfResult, Over> {
        for directive in &record.directives {
            if self.matches(domain, directive).await? {
                return Ok(match directive.qualifier {
                    Qualifier::Pass => SpfResult::Pass,
                    Qualifier::Fail => SpfResult::Fail,
                    Qualifier::SoftFail => SpfResult::SoftFail,
                    Qualifier::Neutral => SpfResult::Neutral,
                });
            }
        }
        let Some(target) = &record.redirect else {
            return Ok(SpfResult::Neutral);
        };
        let term = format!("redirect={}", target.as_str());
        self.count()?;
        match self.target(domain, target).await {
            Some(target) => self.elsewhere(&target, &term).await,
            None => Ok(SpfResult::PermError),
        }
    }

    /// Whether a mechanism matches (section 5).
    async fn matches(&mut self, domain: &Domain, directive: &Directive) -> Result<bool, Over> {
        let term = &directive.text;
        match &directive.mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(network, length) => Ok(self.is_in_ipv4(*network, *length)),
            Mechanism::Ip6(network, length) => Ok(self.is_in_ipv6(*network, *length)),
            Mechanism::Include(target) => {
                self.count()?;
                match self.target(domain, target).await {
                    Some(target) => Ok(self.elsewhere(&target, term).await? == SpfResult::Pass),
                    None if self.sender.address.is_none() => Ok(false),
                    // What is no name has no record (sections 4.3, 5.2).
                    None => Err(Over(SpfResult::PermError)),
                }
            }
            Mechanism::A(target, lengths) => {
                self.count()?;
                let Some(host) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                self.has_address(&host, *lengths, Some(term)).await
            }
            Mechanism::Mx(target, lengths) => {
                self.count()?;
                let Some(target) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                self.is_exchanger(&target, *lengths, term).await
            }
            Mechanism::Ptr(target) => {
                self.count()?;
                let Some(target) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                let names = self.validated().await;
                Ok(names.iter().any(|name| name.is_within(&target)))
            }
            Mechanism::Exists(target) => {
                self.count()?;
                let Some(target) = self.target(domain, target).await else {
                    return Ok(false);
                };
                // The type is A whatever the sender's address is (section 5.7).
                let reply = self.look_up(&target, RecordType::A).await;
                if reply.is_none() {
                    self.found_nothing(term)?;
                }
                Ok(!self.known(reply)?.is_empty() && self.sender.address.is_some())
            }
        }
    }

    /// The result of another domain's record, which must be there (sections 5.2, 6.1).
    async fn elsewhere(&mut self, target: &Domain, term: &str) -> Result<SpfResult, Over> {
        let is_known = self.sender.address.is_some();
        if self.open.contains(target) && !is_known {
            let term = term.to_owned();
            self.flaw(SpfError::Loop { term })?;
            return Ok(SpfResult::PermError);
        }
        let reply = self.look_up(target, RecordType::TXT).await;
        let exists = !matches!(reply, RecordLookup::NoDomain);
        match &reply {
            RecordLookup::Failed if is_known => return Err(Over(SpfResult::TempError)),
            RecordLookup::Failed | RecordLookup::Unknown => {
                self.unseen.insert(target.clone());
                return Ok(SpfResult::None);
            }
            _ => {}
        }
        let term = term.to_owned();
        match &texts(&reply)[..] {
            [only] => match self.of_record(target, only).await {
                error @ (SpfResult::TempError | SpfResult::PermError) if is_known => {
                    Err(Over(error))
                }
                result => Ok(result),
            },
            [] => self
                .flaw(SpfError::NoRecord { term, exists })
                .map(|()| SpfResult::PermError),
            several => {
                let count = several.len();
                self.flaw(SpfError::Several { term, count })
                    .map(|()| SpfResult::PermError)
            }
        }
    }

    async fn is_exchanger(
        &mut self,
        target: &Domain,
        lengths: Lengths,
        term: &str,
    ) -> Result<bool, Over> {
        let reply = self.look_up(target, RecordType::MX).await;
        if reply.is_none() {
            self.found_nothing(term)?;
        }
        let hosts: Vec<Domain> = self
            .known(reply)?
            .iter()
            .filter_map(|placed| match &placed.record.data {
                RData::MX(mx) => Some(Domain::from(&mx.exchange)),
                _ => None,
            })
            .collect();
        if hosts.len() > MAX_NAMES {
            let (term, count) = (term.to_owned(), hosts.len());
            self.flaw(SpfError::Exchangers { term, count })?;
        }
        // The addresses of those hosts count for nothing, and are of no use without a sender's.
        if self.sender.address.is_some() {
            for host in hosts.iter().filter(|host| !host.is_root()) {
                if self.has_address(host, lengths, None).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a host has the sender's address, or one in its network; a term that has none is reported.
    async fn has_address(
        &mut self,
        host: &Domain,
        lengths: Lengths,
        term: Option<&str>,
    ) -> Result<bool, Over> {
        let types: &[RecordType] = match self.sender.address {
            Some(IpAddr::V4(_)) => &[RecordType::A],
            Some(IpAddr::V6(_)) => &[RecordType::AAAA],
            None => &[RecordType::A, RecordType::AAAA],
        };
        let mut is_nothing = true;
        for record_type in types {
            let reply = self.look_up(host, *record_type).await;
            is_nothing &= reply.is_none();
            for placed in self.known(reply)? {
                let found = match address_of(&placed.record.data) {
                    Some(IpAddr::V4(address)) => self.is_in_ipv4(address, lengths.ipv4),
                    Some(IpAddr::V6(address)) => self.is_in_ipv6(address, lengths.ipv6),
                    None => false,
                };
                if found {
                    return Ok(true);
                }
            }
        }
        if let Some(term) = term.filter(|_| is_nothing) {
            self.found_nothing(term)?;
        }
        Ok(false)
    }

    fn is_in_ipv4(&self, network: Ipv4Addr, length: u8) -> bool {
        let Some(IpAddr::V4(address)) = self.sender.address else {
            return false;
        };
        let differ = u32::from(address) ^ u32::from(network);
        differ.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
    }

    fn is_in_ipv6(&self, network: Ipv6Addr, length: u8) -> bool {
        let Some(IpAddr::V6(address)) = self.sender.address else {
            return false;
        };
        let differ = u128::from(address) ^ u128::from(network);
        differ.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
    }

    /// The names of the sender's address that lead back to it (section 5.5); where that cannot be found
    /// out there are none.
    async fn validated(&self) -> Vec<Domain> {
        let Some(address) = self.sender.address else {
            return Vec::new();
        };
        let record_type = match address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        let reverse = Domain::from(&Name::from(address));
        let reply = self.look_up(&reverse, RecordType::PTR).await;
        let mut validated = Vec::new();
        for placed in reply.records().iter().take(MAX_NAMES) {
            let RData::PTR(name) = &placed.record.data else {
                continue;
            };
            let name = Domain::from(&name.0);
            let forward = self.look_up(&name, record_type).await;
            let mut addresses = forward.records().iter();
            if addresses.any(|placed| address_of(&placed.record.data) == Some(address)) {
                validated.push(name);
            }
        }
        validated
    }

    async fn target_or(&mut self, domain: &Domain, target: Option<&MacroString>) -> Option<Domain> {
        match target {
            Some(target) => self.target(domain, target).await,
            None => Some(domain.clone()),
        }
    }

    /// The name that a domain-spec stands for; nothing if it is none, or depends on the sender.
    async fn target(&mut self, domain: &Domain, target: &MacroString) -> Option<Domain> {
        let needs = |letter: MacroLetter| target.letters().any(|other| other == letter);
        let is_plain = |letter| matches!(letter, MacroLetter::Domain | MacroLetter::SenderDomain);
        if self.sender.address.is_none() && !target.letters().all(is_plain) {
            self.depends = true;
            return None;
        }
        let validated = if needs(MacroLetter::ValidatedName) {
            best_of(&self.validated().await, domain)
        } else {
            String::new()
        };
        let local_part = || {
            let given = self.sender.local_part.as_deref();
            given
                .filter(|given| !given.is_empty())
                .unwrap_or("postmaster")
        };
        let text = target.expanded(|letter| match letter {
            MacroLetter::Sender => format!("{}@{}", local_part(), self.sender_domain),
            MacroLetter::LocalPart => local_part().to_owned(),
            MacroLetter::SenderDomain => self.sender_domain.to_string(),
            MacroLetter::Domain => domain.to_string(),
            MacroLetter::Address => self.sender.address.map(dotted).unwrap_or_default(),
            MacroLetter::Version => match self.sender.address {
                Some(IpAddr::V6(_)) => "ip6".to_owned(),
                _ => "in-addr".to_owned(),
            },
            MacroLetter::Helo => self.sender.helo.clone().unwrap_or_default(),
            MacroLetter::ValidatedName => validated.clone(),
        });
        name_of(&text)
    }

    /// Counts a term that causes lookups.
    fn count(&mut self) -> Result<(), Over> {
        self.lookups += 1;
        match self.lookups {
            count if count == MAX_LOOKUPS + 1 => self.flaw(SpfError::Lookups),
            count if count > ENOUGH => Err(Over(SpfResult::PermError)),
            _ => Ok(()),
        }
    }

    fn found_nothing(&mut self, term: &str) -> Result<(), Over> {
        self.void.push(term.to_owned());
        if self.open.len() == 1 {
            self.dead.push(term.to_owned());
        }
        if self.void.len() > MAX_VOID {
            let terms = self.void.clone();
            self.flaws
                .retain(|flaw| !matches!(flaw, SpfError::Void { .. }));
            self.flaw(SpfError::Void { terms })
        } else {
            Ok(())
        }
    }

    /// A receiver stops at the first; without a sender all of them are told.
    fn flaw(&mut self, flaw: SpfError) -> Result<(), Over> {
        self.flaws.push(flaw);
        match self.sender.address {
            Some(_) => Err(Over(SpfResult::PermError)),
            None => Ok(()),
        }
    }

    /// The records of an answer; a lookup that fails ends the check.
    fn known(&self, reply: RecordLookup) -> Result<Vec<LocatedRecord>, Over> {
        match reply {
            RecordLookup::Failed if self.sender.address.is_some() => {
                Err(Over(SpfResult::TempError))
            }
            RecordLookup::Records(records) => Ok(records),
            _ => Ok(Vec::new()),
        }
    }

    async fn look_up(&self, name: &Domain, record_type: RecordType) -> RecordLookup {
        self.lookup.look_up(name, record_type).await
    }
}

/// The SPF records of an answer.
fn texts(reply: &RecordLookup) -> Vec<String> {
    let texts = DomainRecords::texts(reply).into_iter();
    let texts = texts.map(|(text, _)| text);
    texts.filter(|text| record::is_record(text)).collect()
}

/// The validated name for `%{p}`: the domain itself, one below it, or any (section 7.3).
fn best_of(names: &[Domain], domain: &Domain) -> String {
    let same = names.iter().find(|name| *name == domain);
    let below = || names.iter().find(|name| name.is_within(domain));
    let best = same.or_else(below).or(names.first());
    best.map_or_else(|| "unknown".to_owned(), Domain::to_string)
}

/// A name of labels as they are, without escapes: those on the left go where it is too long (section 7.3).
fn name_of(text: &str) -> Option<Domain> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let mut labels: Vec<&[u8]> = text.split('.').map(str::as_bytes).collect();
    let length = |labels: &[&[u8]]| labels.iter().map(|label| label.len() + 1).sum::<usize>();
    while length(&labels) > 254 && labels.len() > 1 {
        labels.remove(0);
    }
    Some(Domain::from(&Name::from_labels(labels).ok()?))
}
