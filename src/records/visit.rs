//! Visits to exchangers: a connection to each address, as far as a sender would go before it hands mail over, and QUIT.
//!
//! Nobody is visited unasked. There is one connection at a time to a host, a few hosts are visited at once, and
//! each visit ends in time; no sender, no recipient and no mail is named.

use std::{
    io,
    net::IpAddr,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use tokio::{net::TcpStream, time::timeout};

use super::{DomainRecords, MAX_VISITED, Source, hosts::addresses_of};
use crate::{
    connection::Connection,
    name::Domain,
    stream::Stream,
    tls::{self, Presented},
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(10);
/// How long a visit may take behind that, all replies together.
const DIALOGUE: Duration = Duration::from_secs(30);
/// Hosts that are visited at once.
const HOSTS_AT_ONCE: usize = 8;
/// The port of exchangers (RFC 5321 section 2.3.1).
const SMTP_PORT: u16 = 25;

/// A visit to one address of an exchanger.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visit {
    /// The exchanger.
    pub host: Domain,
    /// The address.
    pub address: IpAddr,
    /// How long it took, from connecting to the last reply.
    pub took: Duration,
    /// How it ended.
    pub(crate) end: VisitEnd,
}

/// How a visit ended.
#[derive(Debug, Clone)]
pub(crate) enum VisitEnd {
    /// This machine has no way there, as to IPv6 addresses without IPv6.
    NoWay(String),
    /// It did not answer as an exchanger does.
    Down(String),
    Talked(Talk),
}

/// What an exchanger said.
#[derive(Debug, Clone)]
pub(crate) struct Talk {
    /// The text of the greeting, without its code.
    pub(crate) greeting: String,
    /// The first line of the reply to EHLO.
    pub(crate) hello: String,
    pub(crate) tls: OfferedTls,
    /// Whether the name in that reply has the address; nothing if that is not known.
    pub(crate) leads_back: Option<bool>,
    /// Whether SMTPUTF8 is offered, inside TLS if there is some.
    pub(crate) has_utf8: bool,
}

/// What came of STARTTLS.
#[derive(Debug, Clone)]
pub(crate) enum OfferedTls {
    Absent,
    /// It was offered, and then refused or not gone through with.
    Failed(String),
    /// No version from 1.2 on.
    TooOld,
    Made(Box<Presented>),
}

impl DomainRecords {
    /// Visits every address of the exchangers that are hosts; `done` hears of each visit as it ends.
    pub async fn visit(&mut self, source: &Source, done: impl Fn(&Visit)) {
        let mut hosts: Vec<(Domain, Vec<IpAddr>)> = Vec::new();
        for listed in &self.targets {
            let is_new = hosts.iter().all(|(host, _)| *host != listed.host);
            if let Some(known) = self.host(&listed.host).filter(|_| is_new) {
                let mut addresses = known.addresses();
                addresses.truncate(MAX_VISITED);
                hosts.push((listed.host.clone(), addresses));
            }
        }
        // The domain itself, where it has no MX records (RFC 5321 section 5.1).
        if self.targets.is_empty()
            && let Some(known) = self.host(&self.domain)
        {
            hosts.push((self.domain.clone(), known.addresses()));
        }
        let done = &done;
        let visits = hosts.into_iter().map(|(host, addresses)| async move {
            let mut visits = Vec::new();
            for address in addresses {
                let visit = visit(&host, address).await;
                done(&visit);
                visits.push(visit);
            }
            visits
        });
        let visits: Vec<Vec<Visit>> = stream::iter(visits).buffered(HOSTS_AT_ONCE).collect().await;
        let mut visits: Vec<Visit> = visits.into_iter().flatten().collect();
        for visit in &mut visits {
            if let VisitEnd::Talked(talk) = &mut visit.end {
                talk.leads_back = leads_to(source, talk.name(), &visit.host, visit.address).await;
            }
        }
        self.visits = Some(visits);
    }

    /// What came of the visits, in the order of preference; none if there were none.
    pub fn visits(&self) -> &[Visit] {
        self.visits.as_deref().unwrap_or_default()
    }

    /// How many visits there would be.
    pub fn visitable(&self) -> usize {
        let named = |host: &Domain| {
            self.targets.iter().any(|listed| listed.host == *host)
                || (self.targets.is_empty() && *host == self.domain)
        };
        let hosts = self.hosts.iter().filter(|(host, _)| named(host));
        hosts
            .map(|(_, known)| known.addresses().len().min(MAX_VISITED))
            .sum()
    }
}

impl Visit {
    /// What came of it, in words: `mx1.example.test ESMTP, TLS 1.3`.
    pub fn told(&self) -> String {
        match &self.end {
            VisitEnd::NoWay(why) | VisitEnd::Down(why) => why.clone(),
            VisitEnd::Talked(talk) => {
                let tls = match &talk.tls {
                    OfferedTls::Absent => "no STARTTLS".to_owned(),
                    OfferedTls::Failed(why) => format!("STARTTLS failed: {why}"),
                    OfferedTls::TooOld => "no TLS from 1.2 on".to_owned(),
                    OfferedTls::Made(presented) => presented.version.clone(),
                };
                format!("{}, {tls}", talk.greeting)
            }
        }
    }
}

impl Talk {
    /// The name that it gives itself (RFC 5321 section 4.1.1.1).
    pub(crate) fn name(&self) -> &str {
        self.hello.split(' ').next().unwrap_or_default()
    }
}

/// Whether a name has an address; that of the exchanger is known to.
async fn leads_to(source: &Source, name: &str, host: &Domain, address: IpAddr) -> Option<bool> {
    let Ok(name) = name.parse::<Domain>() else {
        return Some(false);
    };
    if name == *host {
        return Some(true);
    }
    let (addresses, is_uncertain) = addresses_of(source, &name).await;
    match addresses.contains(&address) {
        true => Some(true),
        false => (!is_uncertain).then_some(false),
    }
}

/// Visits one address.
async fn visit(host: &Domain, address: IpAddr) -> Visit {
    let began = Instant::now();
    let connecting = timeout(CONNECT, TcpStream::connect((address, SMTP_PORT))).await;
    let end = match connecting.unwrap_or(Err(io::ErrorKind::TimedOut.into())) {
        Err(error) if is_ours(&error) => VisitEnd::NoWay(error.to_string()),
        Err(error) => VisitEnd::Down(format!("does not answer: {error}")),
        Ok(stream) => {
            let own = stream.local_addr().map(|own| own.ip());
            let mut connection = Connection::new(Stream::Tcp(stream));
            let talk = timeout(DIALOGUE, talk(host, own.ok(), &mut connection)).await;
            match talk {
                Ok(Ok(talk)) => VisitEnd::Talked(talk),
                Ok(Err(error)) => VisitEnd::Down(error.to_string()),
                Err(_) => VisitEnd::Down(format!(
                    "did not go through with the session in {} seconds",
                    DIALOGUE.as_secs()
                )),
            }
        }
    };
    Visit {
        host: host.clone(),
        address,
        took: began.elapsed(),
        end,
    }
}

/// Whether it is this machine that has no way there.
fn is_ours(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
    )
}

/// Greeting, EHLO, STARTTLS, EHLO, QUIT.
async fn talk(host: &Domain, own: Option<IpAddr>, connection: &mut Connection) -> io::Result<Talk> {
    let (greeting, lines) = connection.reply().await?;
    if greeting.code != 220 {
        let why = format!("greets with {} {}", greeting.code, greeting.text);
        quit(connection).await;
        return Err(io::Error::other(why));
    }
    // Who has no name gives its address (RFC 5321 section 4.1.3).
    let ehlo = match own {
        Some(IpAddr::V6(own)) => format!("EHLO [IPv6:{own}]\r\n"),
        Some(IpAddr::V4(own)) => format!("EHLO [{own}]\r\n"),
        None => "EHLO localhost\r\n".to_owned(),
    };
    let mut offers = said(connection, &ehlo).await?;
    let hello = offers.first().cloned().unwrap_or_default();
    let tls = match has(&offers, "STARTTLS") {
        false => OfferedTls::Absent,
        true => start_tls(host, connection).await,
    };
    if let OfferedTls::Made(_) = &tls {
        offers = said(connection, &ehlo).await?;
    }
    quit(connection).await;
    Ok(Talk {
        greeting: lines.into_iter().next().unwrap_or_default(),
        hello,
        leads_back: None,
        tls,
        has_utf8: has(&offers, "SMTPUTF8"),
    })
}

/// The lines of the reply to EHLO.
async fn said(connection: &mut Connection, ehlo: &str) -> io::Result<Vec<String>> {
    connection.send(ehlo.as_bytes()).await?;
    let (reply, lines) = connection.reply().await?;
    match reply.code {
        250 => Ok(lines),
        code => Err(io::Error::other(format!(
            "answers EHLO with {code} {}",
            reply.text
        ))),
    }
}

/// Whether an extension is among the lines of a reply to EHLO.
fn has(lines: &[String], extension: &str) -> bool {
    let words = lines.iter().skip(1).map(|line| line.split(' ').next());
    words
        .flatten()
        .any(|word| word.eq_ignore_ascii_case(extension))
}

async fn start_tls(host: &Domain, connection: &mut Connection) -> OfferedTls {
    let refused = async {
        connection.send(b"STARTTLS\r\n").await?;
        let (reply, _) = connection.reply().await?;
        Ok::<_, io::Error>((reply.code != 220).then(|| format!("{} {}", reply.code, reply.text)))
    };
    match refused.await {
        Ok(None) => {}
        Ok(Some(reply)) => return OfferedTls::Failed(reply),
        Err(error) => return OfferedTls::Failed(error.to_string()),
    }
    let secured = connection
        .secure(|stream| tls::connect_to_any(host, stream))
        .await;
    match secured {
        Ok(()) => match connection.secured().and_then(Presented::of) {
            Some(presented) => OfferedTls::Made(Box::new(presented)),
            None => OfferedTls::Failed("no certificate was shown".to_owned()),
        },
        Err(error) if tls::is_too_old(&error) => OfferedTls::TooOld,
        Err(error) => OfferedTls::Failed(error.to_string()),
    }
}

/// Takes its leave; whether that is heard is of no interest.
async fn quit(connection: &mut Connection) {
    if connection.send(b"QUIT\r\n").await.is_ok() {
        connection.reply().await.ok();
    }
    connection.close().await;
}
