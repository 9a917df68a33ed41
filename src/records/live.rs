//! What there is to see of a domain in the DNS besides its records: the policy that its web server has, what each of its
//! name servers says, whether its answers are validated, and where its names and reports lead.
//!
//! It is looked at where a resolver gave the MX records, and only if somebody asks
//! ([`DomainRecords::look_further`]): it connects to hosts of the domain, at ports 53 and 443.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use hickory_proto::{
    op::{DnsResponse, ResponseCode},
    rr::{RData, RecordType},
};
use tokio::{net::TcpStream, time::timeout};

use super::{
    AT_ONCE, DomainRecords, RecordLookup, Source,
    dmarc::report_hosts,
    question::{AskedAs, ask},
};
use crate::{
    connection::Connection,
    https,
    mta_sts::{POLICY_PATH, announced_id},
    name::Domain,
    stream::Stream,
    tls::Roots,
};

/// How long fetching a policy may take (RFC 8461 section 3.3: "a timeout of one minute" is suggested).
const FETCH: Duration = Duration::from_secs(60);
/// How long connecting to a web server may take.
const CONNECT: Duration = Duration::from_secs(10);
/// The port of name servers.
const DNS_PORT: u16 = 53;

/// What was seen besides the records.
#[derive(Debug)]
pub(crate) struct Live {
    pub(crate) policy: PolicyFetch,
    /// What each address of its name servers says of the MX records.
    pub(crate) served: Vec<(Domain, IpAddr, ServedMx)>,
    /// The domain and the exchangers below it, with what DNSSEC makes of them.
    pub(crate) chains: Vec<(Domain, Chain)>,
    /// The TXT records of the exchangers below the domain, under whose names they greet.
    pub(crate) greeted: Vec<(Domain, RecordLookup)>,
    /// The domains to which reports go, with what keeps mail from them.
    pub(crate) report_hosts: Vec<(Domain, Mailable)>,
}

/// What came of fetching the policy.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum PolicyFetch {
    /// No record announces one.
    NotAnnounced,
    /// It could not be tried, and why: nothing of that is the domain's doing.
    NotTried(String),
    Failed(String),
    Fetched {
        media_type: Option<String>,
    },
}

/// What a name server says of the MX records of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ServedMx {
    Records(BTreeSet<(u16, Domain)>),
    /// It does not serve the domain, and what it says instead.
    NotServed(String),
    /// No answer came, and why.
    Silent(String),
}

/// What DNSSEC makes of the answers for a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chain {
    /// No DS record is published: nothing is to be validated.
    Unsigned,
    Validated,
    /// A DS record is published, and the answers are not validated all the same.
    Insecure,
    /// The resolver refuses the answers, and gives them unchecked.
    Broken,
    /// The resolver does not validate, or did not answer.
    Unknown,
}

/// Whether a domain takes mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mailable {
    Yes,
    No(&'static str),
    Unknown,
}

impl DomainRecords {
    /// Looks at more than the records, if a resolver gave those: fetches the MTA-STS policy by HTTPS, asks every name
    /// server for the MX records, and looks up DS records and what reports and greetings name.
    pub async fn look_further(&mut self, source: &Source) {
        let Some(resolver) = source.resolver_of(&self.domain) else {
            return;
        };
        if let RecordLookup::Failed = self.mx {
            // Whether it is DNSSEC that keeps it back.
            let chain = chain(resolver, &self.domain, RecordType::MX).await;
            self.live = Some(Box::new(Live {
                policy: PolicyFetch::NotAnnounced,
                served: Vec::new(),
                chains: vec![(self.domain.clone(), chain)],
                greeted: Vec::new(),
                report_hosts: Vec::new(),
            }));
            return;
        }
        let servers = self.name_servers.iter().flat_map(|(host, addresses)| {
            let addresses = addresses.iter();
            addresses.map(move |address| (host.clone(), SocketAddr::new(*address, DNS_PORT)))
        });
        let servers: Vec<(Domain, SocketAddr)> = servers.collect();
        let ((policy, text), served, chains, greeted, report_hosts) = tokio::join!(
            self.fetch_policy(),
            served(&self.domain, servers),
            self.chains(resolver),
            self.greeted(source),
            self.mailable(source),
        );
        self.policy = self.policy.take().or(text);
        self.live = Some(Box::new(Live {
            policy,
            served,
            chains,
            greeted,
            report_hosts,
        }));
    }

    /// The exchangers whose names are the domain's own.
    fn own_exchangers(&self) -> impl Iterator<Item = &Domain> {
        let own = |host: &&Domain| {
            host.is_within(&self.domain) && self.targets.iter().any(|one| one.host == **host)
        };
        self.hosts.iter().map(|(host, _)| host).filter(own)
    }

    /// Fetches the policy from the first address of its host that answers.
    async fn fetch_policy(&self) -> (PolicyFetch, Option<String>) {
        let texts = Self::texts(&self.mta_sts).into_iter().map(|(text, _)| text);
        if announced_id(texts).is_none() {
            return (PolicyFetch::NotAnnounced, None);
        }
        let roots = match Roots::of_machine() {
            Ok(roots) => roots,
            Err(error) => return (PolicyFetch::NotTried(error.to_string()), None),
        };
        let addresses = self.policy_host.addresses();
        if addresses.is_empty() {
            let why = "its host has no address".to_owned();
            return match self.policy_host.is_uncertain() {
                true => (PolicyFetch::NotTried(why), None),
                false => (PolicyFetch::Failed(why), None),
            };
        }
        let host = self.domain.prefixed("mta-sts");
        let fetched = timeout(FETCH, fetch(&host, &addresses, &roots)).await;
        let answer = match fetched {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return (PolicyFetch::Failed(error.to_string()), None),
            Err(_) => {
                let why = format!("it did not end within {} seconds", FETCH.as_secs());
                return (PolicyFetch::Failed(why), None);
            }
        };
        let why = match answer.status {
            200 => None,
            status @ 300..400 => Some(format!(
                "found a redirect ({status}), which senders do not follow"
            )),
            status => Some(format!("found the status {status}, expected 200")),
        };
        if let Some(why) = why {
            return (PolicyFetch::Failed(why), None);
        }
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let media_type = answer.media_type;
        (PolicyFetch::Fetched { media_type }, Some(text))
    }

    /// What DNSSEC makes of the domain, and of the exchangers below it.
    async fn chains(&self, resolver: SocketAddr) -> Vec<(Domain, Chain)> {
        let own = self.own_exchangers().filter(|host| **host != self.domain);
        let hosts = own.map(|host| (host.clone(), RecordType::A));
        let all = std::iter::once((self.domain.clone(), RecordType::MX)).chain(hosts);
        let asked = all.map(|(name, record_type)| async move {
            let chain = chain(resolver, &name, record_type).await;
            (name, chain)
        });
        stream::iter(asked).buffered(AT_ONCE).collect().await
    }

    /// The TXT records at the names of its own exchangers.
    async fn greeted(&self, source: &Source) -> Vec<(Domain, RecordLookup)> {
        let mut greeted = Vec::new();
        for host in self.own_exchangers().take(AT_ONCE) {
            greeted.push((host.clone(), source.ask(host, RecordType::TXT).await));
        }
        greeted
    }

    /// Whether the domains take mail to which its DMARC reports go.
    async fn mailable(&self, source: &Source) -> Vec<(Domain, Mailable)> {
        let mut all = Vec::new();
        for host in report_hosts(&self.dmarc).into_iter().take(AT_ONCE) {
            let mailable = mailable(source, &host).await;
            all.push((host, mailable));
        }
        all
    }
}

/// Fetches a policy; of several addresses the first one counts that lets itself be connected to.
async fn fetch(host: &Domain, addresses: &[IpAddr], roots: &Roots) -> io::Result<https::WebAnswer> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in addresses {
        let connecting = timeout(CONNECT, TcpStream::connect((*address, 443))).await;
        let stream = match connecting.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
            Ok(stream) => stream,
            Err(error) => {
                last = io::Error::new(error.kind(), format!("{address} port 443: {error}"));
                continue;
            }
        };
        let mut connection = Connection::new(Stream::Tcp(stream));
        connection
            .secure(|stream| roots.connect(host, stream))
            .await?;
        return https::get(&mut connection, host, POLICY_PATH).await;
    }
    Err(last)
}

/// What each name server says of the MX records of a domain.
async fn served(
    domain: &Domain,
    servers: Vec<(Domain, SocketAddr)>,
) -> Vec<(Domain, IpAddr, ServedMx)> {
    let asked = servers.into_iter().map(|(host, server)| async move {
        let answer = ask(server, domain, RecordType::MX, AskedAs::Own).await;
        let served = match answer {
            Ok(answer) => served_mx(domain, &answer),
            Err(error) => ServedMx::Silent(error.to_string()),
        };
        (host, server.ip(), served)
    });
    stream::iter(asked).buffered(AT_ONCE).collect().await
}

fn served_mx(domain: &Domain, answer: &DnsResponse) -> ServedMx {
    let records = answer.answers.iter();
    let records = records.filter_map(|record| match &record.data {
        RData::MX(mx) if Domain::from(&record.name) == *domain => {
            Some((mx.preference, Domain::from(&mx.exchange)))
        }
        _ => None,
    });
    let records: BTreeSet<(u16, Domain)> = records.collect();
    match answer.response_code {
        // What is neither its own nor an answer, and names other servers, leads elsewhere (RFC 1034 section 4.3.2, step 3b).
        ResponseCode::NoError if !answer.authoritative && names_servers(answer) => {
            ServedMx::NotServed("a referral".to_owned())
        }
        ResponseCode::NoError | ResponseCode::NXDomain => ServedMx::Records(records),
        code => ServedMx::NotServed(code.to_str().to_owned()),
    }
}

fn names_servers(answer: &DnsResponse) -> bool {
    let mut authorities = answer.authorities.iter();
    answer.answers.is_empty() && authorities.any(|record| record.record_type() == RecordType::NS)
}

/// What DNSSEC makes of the records of a name. A DS record stands at the top of its zone (RFC 4035 section 2.4), which its
/// SOA record names.
async fn chain(resolver: SocketAddr, name: &Domain, record_type: RecordType) -> Chain {
    let Some(top) = top_of_zone(resolver, name).await else {
        return Chain::Unknown;
    };
    let Ok(published) = ask(resolver, &top, RecordType::DS, AskedAs::Validated).await else {
        return Chain::Unknown;
    };
    let is_ds = |record: &hickory_proto::rr::Record| record.record_type() == RecordType::DS;
    if !published.answers.iter().any(is_ds) {
        return Chain::Unsigned;
    }
    let Ok(answer) = ask(resolver, name, record_type, AskedAs::Validated).await else {
        return Chain::Unknown;
    };
    match answer.response_code {
        ResponseCode::ServFail => {
            let unchecked = ask(resolver, name, record_type, AskedAs::Unchecked).await;
            match unchecked.is_ok_and(|answer| answer.response_code != ResponseCode::ServFail) {
                true => Chain::Broken,
                false => Chain::Unknown,
            }
        }
        _ if answer.authentic_data => Chain::Validated,
        // A resolver that validates vouches for the DS record at least.
        _ if published.authentic_data => Chain::Insecure,
        _ => Chain::Unknown,
    }
}

/// The top of the zone that a name is in.
async fn top_of_zone(resolver: SocketAddr, name: &Domain) -> Option<Domain> {
    // Unchecked, since what does not validate is of interest.
    let answer = ask(resolver, name, RecordType::SOA, AskedAs::Unchecked)
        .await
        .ok()?;
    let records = answer.answers.iter().chain(&answer.authorities);
    let mut tops = records.filter(|record| record.record_type() == RecordType::SOA);
    tops.next().map(|soa| Domain::from(&soa.name))
}

/// Whether a domain takes mail, as far as the DNS says.
async fn mailable(source: &Source, domain: &Domain) -> Mailable {
    let mx = source.ask(domain, RecordType::MX).await;
    match &mx {
        RecordLookup::NoDomain => return Mailable::No("does not exist"),
        RecordLookup::Failed | RecordLookup::Unknown => return Mailable::Unknown,
        RecordLookup::Records(records) => {
            let is_null = |placed: &super::LocatedRecord| matches!(&placed.record.data, RData::MX(mx) if mx.exchange.is_root());
            return match records.iter().all(is_null) {
                true => Mailable::No("has a null MX"),
                false => Mailable::Yes,
            };
        }
        RecordLookup::NoData => {}
    }
    let known = super::hosts::look_at(source, domain).await;
    match (known.addresses().is_empty(), known.has_no_address()) {
        (false, _) => Mailable::Yes,
        (true, true) => Mailable::No("has no MX record and no address"),
        (true, false) => Mailable::Unknown,
    }
}

#[cfg(test)]
mod tests;
