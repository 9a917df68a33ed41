//! `check_host()` (RFC 7208 section 4): what an SPF record says of a sender, and what the check costs.
//!
//! With a sender that is not known the check walks past every term, as it does for a sender that no term
//! matches, and goes on behind what ends it for a receiver: that shows all that is wrong.

mod hosts;
mod limits;
mod target;

use std::{collections::BTreeSet, future::Future, net::IpAddr, pin::Pin};

use hickory_proto::rr::RecordType;

pub(crate) use self::limits::{MAX_LOOKUPS, MAX_VOID, SpfError};
use super::{
    super::{DomainRecords, RecordLookup, Source},
    record::{self, Directive, Mechanism, Qualifier, Record},
    step::{SpfResult, SpfStep, TracedStep},
};
use crate::name::Domain;

/// Who sends; what is not known of it is nothing.
#[derive(Debug, Clone, Default)]
pub struct SpfClient {
    /// The address from which it connects.
    pub address: Option<IpAddr>,
    /// What stands before the `@` in MAIL FROM; `postmaster` if it is not known (section 4.3).
    pub local_part: Option<String>,
    /// The name in HELO or EHLO.
    pub helo: Option<String>,
    /// The time, in seconds since 1970, for the text of an explanation.
    pub now: u64,
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
        // A resolver's lookup is large, and includes are polled within each other.
        Box::pin(self.ask(name, record_type))
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
    pub(super) void: Vec<String>,
    /// Those of the records of the domain and of names below it, with whose they are.
    pub(crate) dead: Vec<(Domain, String)>,
    pub(crate) flaws: Vec<SpfError>,
    /// Targets that are not at hand.
    pub(crate) unseen: BTreeSet<Domain>,
    /// Whether the result depends on records that are not at hand.
    pub(super) is_open: bool,
    /// Whether a target depends on the message, by a macro of the sender.
    pub(crate) depends: bool,
    /// What the domain says to a sender that fails.
    pub(super) explanation: Option<String>,
    /// What happened, if that is wanted.
    pub(super) steps: Option<Vec<TracedStep>>,
    /// The domains whose records are being checked.
    open: Vec<Domain>,
    /// How many of them are included: these explain nothing (section 6.2).
    included: usize,
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
            is_open: false,
            depends: false,
            explanation: None,
            steps: None,
            open: Vec::new(),
            included: 0,
        }
    }

    /// What the records of a domain say of the sender.
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
        self.log(|| SpfStep::Record {
            domain: domain.clone(),
            text: record.to_owned(),
        });
        let result = match Record::parse(record) {
            Ok(record) => self.of_terms(domain, record).await,
            Err(bad) => {
                let domain = domain.clone();
                let flaw = self.flaw(SpfError::Term { domain, bad });
                flaw.map_or_else(|over| over.0, |()| SpfResult::PermError)
            }
        };
        self.log(|| SpfStep::End {
            domain: domain.clone(),
            result,
        });
        result
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
            let text = || directive.text.clone();
            self.log(|| SpfStep::Term { text: text() });
            if directive.mechanism.asks() {
                self.count()?;
            }
            let is_met = self.matches(domain, directive).await?;
            self.log(|| match is_met {
                true => SpfStep::Match { text: text() },
                false => SpfStep::NoMatch { text: text() },
            });
            if !is_met {
                continue;
            }
            if let (Qualifier::Fail, Some(target), 0) =
                (directive.qualifier, &record.explanation, self.included)
            {
                self.explanation = Box::pin(self.explained(domain, target)).await;
            }
            return Ok(match directive.qualifier {
                Qualifier::Pass => SpfResult::Pass,
                Qualifier::Fail => SpfResult::Fail,
                Qualifier::SoftFail => SpfResult::SoftFail,
                Qualifier::Neutral => SpfResult::Neutral,
            });
        }
        let Some(target) = &record.redirect else {
            return Ok(SpfResult::Neutral);
        };
        let term = format!("redirect={}", target.as_str());
        self.log(|| SpfStep::Term { text: term.clone() });
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
                match self.target(domain, target).await {
                    Some(target) => {
                        self.included += 1;
                        let result = self.elsewhere(&target, term).await;
                        self.included -= 1;
                        Ok(result? == SpfResult::Pass)
                    }
                    None if self.sender.address.is_none() => Ok(false),
                    // What is no name has no record (sections 4.3, 5.2).
                    None => Err(Over(SpfResult::PermError)),
                }
            }
            Mechanism::A(target, lengths) => {
                let Some(host) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                self.has_address(&host, *lengths, Some(term)).await
            }
            Mechanism::Mx(target, lengths) => {
                let Some(target) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                self.is_exchanger(&target, *lengths, term).await
            }
            Mechanism::Ptr(target) => {
                let Some(target) = self.target_or(domain, target.as_ref()).await else {
                    return Ok(false);
                };
                let names = self.validated().await;
                Ok(names.iter().any(|name| name.is_within(&target)))
            }
            Mechanism::Exists(target) => {
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
                return match is_known {
                    true => Err(self.is_not_known()),
                    false => Ok(SpfResult::None),
                };
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
}

/// The SPF records of an answer.
fn texts(reply: &RecordLookup) -> Vec<String> {
    let texts = DomainRecords::texts(reply).into_iter();
    let texts = texts.map(|(text, _)| text);
    texts.filter(|text| record::is_record(text)).collect()
}
