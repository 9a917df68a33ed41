//! The reference sender's resolver: hickory-resolver over the lab's network, with a cache of its own.
//!
//! hickory's cache runs on the machine's clock; answers here are kept for their TTL on the lab's.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{FutureExt, StreamExt, stream};
use hickory_proto::{
    op::ResponseCode,
    rr::{RData, Record, RecordType},
};
use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError},
};
use tokio::sync::Mutex as AsyncMutex;

use super::Flaw;
use crate::{
    lab::{Network, Site, runtime::LabRuntime},
    name::Domain,
    route::{Addresses, Exchanger, MxAnswer},
    time::Moment,
};

/// Wait for an answer in one try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Tries of a lookup.
const TRIES: usize = 3;

/// Queries that are out at once, where each takes a socket.
const MAX_QUERIES: usize = 64;

/// What a lookup came to.
#[derive(Debug, Clone)]
pub enum Found {
    /// Records of the type asked for, at the end of any aliases.
    Records {
        /// The records.
        records: Vec<Record>,
        /// Whether the answer carried the AD bit.
        secure: bool,
    },
    /// The name exists and has no such record.
    NoData,
    /// The name does not exist.
    NoDomain,
    /// Nothing that can be relied on: SERVFAIL and its like, or no answer.
    Failed,
}

#[derive(Debug, Clone)]
struct Cached {
    until: Moment,
    found: Found,
}

type Slot = Arc<AsyncMutex<Option<Cached>>>;

/// Looks names up and keeps the answers.
pub(crate) struct Lookups {
    site: Arc<Site>,
    /// Kept where time is real. One that is kept measures its server on the machine's clock and times its
    /// repeats by that: on a virtual clock each try has its own, or nothing could be replayed.
    resolver: Option<Resolver<LabRuntime>>,
    /// `None`: nothing is kept.
    cache: Option<Mutex<HashMap<(Domain, RecordType), Slot>>>,
    /// Whether answers are kept beyond their TTL, as no sender should.
    keeps_for_ever: bool,
}

impl Lookups {
    pub(crate) fn new(site: Arc<Site>, cached: bool) -> Self {
        let keeps = !matches!(site.network, Network::Memory(_));
        Self {
            resolver: keeps.then(|| resolver(&site)),
            site,
            cache: cached.then(Mutex::default),
            keeps_for_ever: false,
        }
    }

    /// The same with a flaw, if it is one of looking up.
    pub(super) fn flawed(self, flaw: Option<Flaw>) -> Self {
        Self {
            keeps_for_ever: flaw == Some(Flaw::KeepsAnswers),
            ..self
        }
    }

    /// Asks once.
    async fn try_once(&self, name: &Domain, record_type: RecordType) -> Result<Lookup, NetError> {
        match &self.resolver {
            Some(resolver) => resolver.lookup(name.to_wire(), record_type).await,
            None => {
                resolver(&self.site)
                    .lookup(name.to_wire(), record_type)
                    .await
            }
        }
    }

    /// Looks up records of a type; an address literal has none, and nobody is asked. Answers still fresh are not asked for again.
    pub(crate) async fn lookup(&self, name: &Domain, record_type: RecordType) -> Found {
        if name.literal().is_some() {
            return Found::NoData;
        }
        let Some(cache) = &self.cache else {
            return self.ask(name, record_type).await.0;
        };
        let slot = {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(cache.entry((name.clone(), record_type)).or_default())
        };
        // Whoever asks while the same question is out waits for its answer.
        let mut slot = slot.lock().await;
        if let Some(cached) = slot
            .as_ref()
            .filter(|cached| self.site.clock.now() < cached.until)
        {
            return cached.found.clone();
        }
        let (found, ttl) = self.ask(name, record_type).await;
        let kept = |ttl| match self.keeps_for_ever {
            true => Duration::MAX,
            false => ttl,
        };
        *slot = ttl.map(kept).map(|ttl| Cached {
            until: self.site.clock.now().after(ttl),
            found: found.clone(),
        });
        found
    }

    /// Whether the answer to a lookup of MX records carried the AD bit; nothing if there is none.
    pub(crate) async fn mx_is_signed(&self, domain: &Domain) -> Option<bool> {
        match self.lookup(domain, RecordType::MX).await {
            Found::Records { secure, .. } => Some(secure),
            Found::NoData | Found::NoDomain => Some(false),
            Found::Failed => None,
        }
    }

    /// The exchangers of a domain.
    pub(crate) async fn mx(&self, domain: &Domain) -> MxAnswer {
        match self.lookup(domain, RecordType::MX).await {
            Found::Records { records, .. } => {
                let exchangers = records.iter().filter_map(|record| match &record.data {
                    RData::MX(mx) => Some(Exchanger {
                        preference: mx.preference,
                        host: Domain::from(&mx.exchange),
                    }),
                    _ => None,
                });
                MxAnswer::Records(exchangers.collect())
            }
            Found::NoData => MxAnswer::NoData,
            Found::NoDomain => MxAnswer::NoDomain,
            Found::Failed => MxAnswer::Failed,
        }
    }

    /// The addresses of these hosts, asked for all at once: A before AAAA, each in the order of its
    /// answer.
    pub(crate) async fn addresses(&self, hosts: &[&Domain]) -> BTreeMap<Domain, Addresses> {
        let mut known: BTreeMap<Domain, Addresses> = BTreeMap::new();
        let mut questions = Vec::new();
        for host in hosts {
            let own = Addresses {
                found: host.literal().into_iter().collect(),
                failed: false,
            };
            let is_new = known.insert(Domain::clone(host), own).is_none();
            if is_new && host.literal().is_none() {
                questions.extend([(*host, RecordType::A), (*host, RecordType::AAAA)]);
            }
        }
        let mut lookups = Vec::with_capacity(questions.len());
        for (host, record_type) in &questions {
            lookups.push(self.lookup(host, *record_type).boxed());
        }
        let mut answers = stream::iter(lookups).buffered(MAX_QUERIES);
        for (host, _) in &questions {
            let answer = answers.next().await.unwrap_or(Found::Failed);
            let Some(addresses) = known.get_mut(*host) else {
                continue;
            };
            match answer {
                Found::Records { records, .. } => {
                    let found = records
                        .iter()
                        .filter_map(|record| crate::zone::address_of(&record.data));
                    addresses.found.extend(
                        found.map(|address: IpAddr| self.site.network.untranslated(address)),
                    );
                }
                Found::NoData | Found::NoDomain => {}
                Found::Failed => addresses.failed = true,
            }
        }
        known
    }

    /// Asks the name server; also how long the answer may be kept. Failures are not kept: RFC 2308
    /// section 7 allows five minutes at most, and asks for nothing.
    async fn ask(&self, name: &Domain, record_type: RecordType) -> (Found, Option<Duration>) {
        let mut answer = self.try_once(name, record_type).await;
        for _ in 1..TRIES {
            if !matches!(
                answer,
                Err(NetError::Timeout | NetError::Io(_) | NetError::NoConnections)
            ) {
                break;
            }
            answer = self.try_once(name, record_type).await;
        }
        if let Err(error) = &answer {
            tracing::debug!(%name, %record_type, %error, "a lookup brought nothing");
        }
        read_answer(answer, record_type)
    }
}

/// What an answer of hickory's resolver says, and how long it may be kept.
pub(crate) fn read_answer(
    answer: Result<Lookup, NetError>,
    record_type: RecordType,
) -> (Found, Option<Duration>) {
    match answer {
        Ok(lookup) => {
            let ttl = lookup
                .answers()
                .iter()
                .map(|record| record.ttl)
                .min()
                .unwrap_or(0);
            let records: Vec<Record> = lookup
                .answers()
                .iter()
                .filter(|record| record.record_type() == record_type)
                .cloned()
                .collect();
            let found = match records.is_empty() {
                true => Found::NoData,
                false => Found::Records {
                    records,
                    secure: lookup.message().metadata.authentic_data,
                },
            };
            (found, Some(Duration::from_secs(ttl.into())))
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => {
            let ttl = Duration::from_secs(none.negative_ttl.unwrap_or(0).into());
            match none.response_code {
                ResponseCode::NXDomain => (Found::NoDomain, Some(ttl)),
                _ => (Found::NoData, Some(ttl)),
            }
        }
        Err(_) => (Found::Failed, None),
    }
}

/// One server to ask, over UDP and TCP at one port.
pub(crate) fn asking_only(server: SocketAddr) -> ResolverConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    let server = NameServerConfig::new(server.ip(), true, connections.to_vec());
    ResolverConfig::from_parts(None, vec![], vec![server])
}

fn resolver(site: &Arc<Site>) -> Resolver<LabRuntime> {
    let config = asking_only(site.network.resolver());
    let runtime = LabRuntime::new(Arc::clone(site));
    let mut builder = Resolver::builder_with_config(config, runtime);
    *builder.options_mut() = options();
    builder
        .build()
        .expect("a resolver without TLS needs nothing that can fail")
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TIMEOUT;
    options.attempts = 0;
    options.edns0 = true;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.num_concurrent_reqs = 1;
    options
}
