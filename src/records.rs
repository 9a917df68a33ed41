//! What the DNS says of a mail domain: looked up once, for the plan, the checks and the rehearsal.
//!
//! A [`Source`] is where records are; a [`DomainRecords`] is all of it that matters to the mail of one domain.
//!
//! What is looked up for a domain, in this order ([`DomainRecords::of`]):
//!
//! 1. Its MX records. If that fails nothing else is asked, since each question may wait as long.
//! 2. Addresses, aliases and TLSA records of each exchanger and of the domain itself, sixteen hosts
//!    at once.
//! 3. The names of the exchangers' addresses, and what these names lead to.
//! 4. At once, as none waits for another: TXT records at the domain, with a walk over what SPF
//!    includes; DMARC at `_dmarc` and above, and what the domains say to which its reports go;
//!    MTA-STS at `_mta-sts`, the host of its policy, and the policy where a scenario has it; TLS reports at `_smtp._tls`; BIMI at `default._bimi`; the SOA record; the
//!    NS records and the addresses of these name servers.
//!
//! What more there is to see of a live domain is looked at if somebody asks (`live`).
//!
//! Not knowing is a value here ([`RecordLookup::Unknown`], [`RecordLookup::Failed`]), apart from knowing that
//! there is nothing: a check that needs what is not known says nothing. Judging is `crate::lint`'s,
//! and what mail would do is `crate::plan`'s.

mod allowance;
mod answer;
mod dmarc;
mod files;
mod hosts;
mod live;
mod question;
mod source;
mod spf;
mod visit;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use futures_util::{StreamExt, stream};
use hickory_proto::rr::{RData, RecordType, rdata::TXT};

pub(crate) use self::{
    allowance::Allowance,
    dmarc::is_dmarc,
    files::Files,
    live::{Chain, Live, Mailable, PolicyFetch, ServedMx},
    spf::{
        Directive, Lengths, MAX_LOOKUPS, MAX_VOID, Mechanism, Qualifier, Record, SpfError,
        is_record as is_spf,
    },
    visit::{OfferedTls, Talk, VisitEnd},
};
pub use self::{
    answer::{LocatedRecord, Location, RecordLookup},
    hosts::{KnownHost, Reverse},
    source::{Source, resolver_address},
    spf::{SpfAnswer, SpfClient, SpfResult, SpfStep, SpfTrace, SpfWalk, TracedStep},
    visit::Visit,
};
use self::{
    dmarc::{consents, dmarc},
    hosts::{look_at, look_back, name_servers},
};
use crate::{
    mta_sts,
    name::Domain,
    route::{Exchanger, MxAnswer, Unroutable, exchangers},
};

/// Lookups under way at once, of hosts and of addresses: enough to be quick, and few for somebody
/// else's resolver.
const AT_ONCE: usize = 16;
/// Addresses of one host that are visited.
const MAX_VISITED: usize = 20;
/// An exchanger as an MX record lists it; one that is listed twice is two of these.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MxTarget {
    /// The preference, 0 to 65535; lower is more preferred.
    pub preference: u16,
    /// The exchanger that it names; the root for a null MX.
    pub host: Domain,
    /// The TTL in seconds. From a resolver, what is left of it.
    pub ttl: u32,
    /// The place of the record in a zone file; `None` if a resolver gave it.
    pub place: Option<Location>,
}

/// All that the DNS says of the mail of one domain, looked up once.
#[non_exhaustive]
pub struct DomainRecords {
    /// The domain, as in an address behind the `@`.
    pub domain: Domain,
    /// The answer to the lookup of its MX records.
    pub mx: RecordLookup,
    /// Its MX records in the order of preference, then of names.
    pub targets: Vec<MxTarget>,
    /// The hosts that its MX records name, and the domain itself, in the order of names.
    // A map has room for eleven at least, and most domains have two.
    pub hosts: Box<[(Domain, KnownHost)]>,
    /// The exchangers' addresses in their order, each with its names.
    pub reverse: Box<[(IpAddr, Reverse)]>,
    /// The answer to the lookup of TXT records at the domain.
    pub txt: RecordLookup,
    /// The DMARC records at `_dmarc` under the domain, or the one above it that holds for the domain (RFC 9989 section
    /// 4.10).
    pub dmarc: RecordLookup,
    /// The answer to the lookup of TXT records at `_mta-sts` under the domain (RFC 8461 section
    /// 3.1).
    pub mta_sts: RecordLookup,
    /// What is known of `mta-sts` under the domain, which serves the policy.
    pub policy_host: KnownHost,
    /// The text of the MTA-STS policy; `None` unless a scenario has it, or it was fetched.
    pub policy: Option<String>,
    /// What a check of its SPF record comes to; `None` if it has none, or several.
    pub spf: Option<Box<SpfWalk>>,
    /// Those of its own exchangers' addresses that its SPF record does not let send.
    pub(crate) forbidden: Vec<(Domain, IpAddr)>,
    /// Where its DMARC reports go that are for other domains, with what these say of it (RFC 9990 section 4).
    pub(crate) consents: Vec<(Domain, RecordLookup)>,
    /// The answer to the lookup of TXT records at `_smtp._tls` under the domain (RFC 8460 section 3).
    pub tls_rpt: RecordLookup,
    /// The answer to the lookup of TXT records at `default._bimi` under the domain.
    pub bimi: RecordLookup,
    /// The answer to the lookup of the domain's SOA record: only the top of a zone has one.
    pub soa: RecordLookup,
    /// The answer to the lookup of its NS records.
    pub ns: RecordLookup,
    /// The addresses of its name servers, as far as they are known.
    pub name_servers: BTreeMap<Domain, Vec<IpAddr>>,
    /// What was seen besides the records, if it was looked at ([`DomainRecords::look_further`]).
    pub(crate) live: Option<Box<Live>>,
    /// What its exchangers said, if they were visited ([`DomainRecords::visit`]).
    pub(crate) visits: Option<Vec<Visit>>,
}

// Made once, read by plan, lint and rehearsal.
impl DomainRecords {
    /// Looks everything up. It does not fail: what cannot be had is unknown in the records.
    pub async fn of(source: &Source, domain: &Domain) -> Self {
        let mx = source.ask(domain, RecordType::MX).await;
        let listed = targets(source, &mx);
        // Of a domain that cannot be looked up nothing else is asked: each question may wait as long.
        let source = match mx {
            RecordLookup::Failed => &Source::default(),
            _ => source,
        };
        let mut names: BTreeSet<Domain> = listed.iter().map(|one| one.host.clone()).collect();
        names.insert(domain.clone());
        names.retain(|name| !name.is_root());
        let hosts = look_at_each(source, names).await;
        let exchangers = listed.iter().filter_map(|one| host(&hosts, &one.host));
        let reverse = look_back_at(source, exchangers).await;
        let senders = async {
            let txt = source.ask(domain, RecordType::TXT).await;
            let mut spf = None;
            if let [(record, _)] = &spf_records(&txt)[..] {
                spf = Some(Box::new(spf::walk(source, domain, record).await));
            }
            let forbidden = forbidden(source, domain, &txt, &listed, &hosts).await;
            (txt, spf, forbidden)
        };
        let reports = async {
            let dmarc = dmarc(source, domain).await;
            let consents = consents(source, domain, &dmarc).await;
            (dmarc, consents)
        };
        let servers = async {
            let ns = source.ask(domain, RecordType::NS).await;
            let name_servers = name_servers(source, &ns).await;
            (ns, name_servers)
        };
        let txt_at = |under: &str| {
            let name = domain.prefixed(under);
            async move { source.ask(&name, RecordType::TXT).await }
        };
        let policy_host = domain.prefixed("mta-sts");
        let (
            (txt, spf, forbidden),
            (dmarc, consents),
            (ns, name_servers),
            policy_host,
            mta_sts,
            tls_rpt,
            bimi,
            soa,
        ) = tokio::join!(
            senders,
            reports,
            servers,
            look_at(source, &policy_host),
            txt_at("_mta-sts"),
            txt_at("_smtp._tls"),
            txt_at("default._bimi"),
            source.ask(domain, RecordType::SOA),
        );
        Self {
            domain: domain.clone(),
            mx,
            targets: listed,
            hosts,
            reverse,
            txt,
            dmarc,
            mta_sts,
            policy_host,
            policy: source.policy(domain).map(str::to_owned),
            spf,
            forbidden,
            consents,
            tls_rpt,
            bimi,
            soa,
            ns,
            name_servers,
            live: None,
            visits: None,
        }
    }

    /// What is known of a host that its MX records name, or of the domain itself.
    pub fn host(&self, name: &Domain) -> Option<&KnownHost> {
        host(&self.hosts, name)
    }

    /// The names of one of its exchangers' addresses.
    pub fn reverse_of(&self, address: IpAddr) -> Option<&Reverse> {
        let place = self.reverse.binary_search_by_key(&address, |(at, _)| *at);
        Some(&self.reverse[place.ok()?].1)
    }

    /// The answer to a lookup of MX records, as the router takes it. What is not known counts as a
    /// lookup that failed.
    pub(crate) fn mx_answer(&self) -> MxAnswer {
        match &self.mx {
            RecordLookup::Records(_) => {
                let exchanger = |listed: &MxTarget| Exchanger {
                    preference: listed.preference,
                    host: listed.host.clone(),
                };
                MxAnswer::Records(self.targets.iter().map(exchanger).collect())
            }
            RecordLookup::NoData => MxAnswer::NoData,
            RecordLookup::NoDomain => MxAnswer::NoDomain,
            RecordLookup::Failed | RecordLookup::Unknown => MxAnswer::Failed,
        }
    }

    /// The exchangers that senders try, or why there are none.
    ///
    /// # Errors
    /// Why there are none.
    pub fn exchangers(&self) -> Result<Vec<Exchanger>, Unroutable> {
        exchangers(&self.domain, &self.mx_answer())
    }

    /// The address that an exchanger's name is written as, where there should be a name. In a zone
    /// file it may have the domain behind it, for lack of a final dot. `None` for a proper name.
    pub fn literal(&self, host: &Domain) -> Option<IpAddr> {
        let text = host.as_str();
        let relative = text
            .strip_suffix(self.domain.as_str())
            .and_then(|text| text.strip_suffix('.'));
        [Some(text), relative]
            .into_iter()
            .flatten()
            .find_map(|text| text.parse().ok())
    }

    /// Whether an exchanger's name means the sender's own machine: `localhost`, or a name below it
    /// (RFC 6761 section 6.3).
    pub fn is_localhost(host: &Domain) -> bool {
        let top = host.as_str().rsplit('.').next();
        top == Some("localhost") || host.as_str() == "localhost.localdomain"
    }

    /// The domain's SPF records, with their places. One is right; receivers use none of several
    /// (RFC 7208 section 4.5).
    pub fn spf_records(&self) -> Vec<(String, Option<Location>)> {
        spf_records(&self.txt)
    }

    /// Whether the records at `_mta-sts` announce a policy: one of them does, with an id (RFC 8461 section 3.1).
    pub fn announces_policy(&self) -> bool {
        let texts = Self::texts(&self.mta_sts).into_iter();
        mta_sts::announced_id(texts.map(|(text, _)| text)).is_some()
    }

    /// The texts of TXT records, their strings joined, with their places.
    pub(crate) fn texts(reply: &RecordLookup) -> Vec<(String, Option<Location>)> {
        let text = |placed: &LocatedRecord| match &placed.record.data {
            RData::TXT(txt) => Some((joined(txt), placed.place.clone())),
            _ => None,
        };
        reply.records().iter().filter_map(text).collect()
    }

    /// Where what is missing would be written down: at the MX records, else at the domain's first one.
    pub(crate) fn place(&self, files: Option<&Files>) -> Option<Location> {
        let at_mx = self.targets.iter().find_map(|listed| listed.place.clone());
        at_mx.or_else(|| files?.place_of_name(&self.domain))
    }
}

/// What is known of a host, among others in the order of names.
fn host<'a>(hosts: &'a [(Domain, KnownHost)], name: &Domain) -> Option<&'a KnownHost> {
    let place = hosts.binary_search_by(|(host, _)| host.cmp(name));
    Some(&hosts[place.ok()?].1)
}

/// What is known of each host.
async fn look_at_each(source: &Source, names: BTreeSet<Domain>) -> Box<[(Domain, KnownHost)]> {
    let looks = names.into_iter().map(|host| async move {
        let known = look_at(source, &host).await;
        (host, known)
    });
    let known: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    known.into()
}

/// What is known of each address of these exchangers by its reverse name.
async fn look_back_at(
    source: &Source,
    exchangers: impl Iterator<Item = &KnownHost>,
) -> Box<[(IpAddr, Reverse)]> {
    let addresses: BTreeSet<IpAddr> = exchangers.flat_map(|host| host.addresses()).collect();
    let looks = addresses.into_iter().map(|address| async move {
        let names = look_back(source, address).await;
        (address, names)
    });
    let known: Vec<_> = stream::iter(looks).buffered(AT_ONCE).collect().await;
    known.into()
}

/// What the MX records name, the most preferred first.
fn targets(source: &Source, mx: &RecordLookup) -> Vec<MxTarget> {
    let target = |placed: &LocatedRecord| match &placed.record.data {
        RData::MX(mx) => Some(MxTarget {
            preference: mx.preference,
            host: source.own(&Domain::from(&mx.exchange)),
            ttl: placed.record.ttl,
            place: placed.place.clone(),
        }),
        _ => None,
    };
    let mut listed: Vec<MxTarget> = mx.records().iter().filter_map(target).collect();
    listed.sort_by(|one, other| (one.preference, &one.host).cmp(&(other.preference, &other.host)));
    listed
}

/// The strings of a TXT record as one (RFC 7208 section 3.3).
pub(crate) fn joined(txt: &TXT) -> String {
    let strings = txt.txt_data.iter();
    strings
        .map(|string| String::from_utf8_lossy(string))
        .collect()
}

/// The SPF records among TXT records (RFC 7208 section 4.5).
fn spf_records(reply: &RecordLookup) -> Vec<(String, Option<Location>)> {
    let mut texts = DomainRecords::texts(reply);
    texts.retain(|(text, _)| spf::is_record(text));
    texts
}

/// The addresses of the domain's own exchangers that its SPF record does not let send.
async fn forbidden(
    source: &Source,
    domain: &Domain,
    txt: &RecordLookup,
    listed: &[MxTarget],
    hosts: &[(Domain, KnownHost)],
) -> Vec<(Domain, IpAddr)> {
    let mut forbidden = Vec::new();
    let records = spf_records(txt);
    let [(record, _)] = &records[..] else {
        return forbidden;
    };
    let own = hosts.iter().filter(|(host, _)| {
        host.is_within(domain) && listed.iter().any(|listed| listed.host == *host)
    });
    let own = own.flat_map(|(host, known)| {
        let addresses = known.addresses().into_iter();
        addresses.map(move |address| (host.clone(), address))
    });
    for (host, address) in own {
        if spf::allows(source, domain, record, address).await == Some(false) {
            forbidden.push((host, address));
        }
    }
    forbidden
}
