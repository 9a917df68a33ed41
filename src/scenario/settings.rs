//! How the sender, the receivers and the policies of a drill are set.
//!
//! Data with defaults and no decisions. The defaults of the sender are those that RFC 5321
//! recommends where it recommends any.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    str::FromStr,
    time::Duration,
};

use super::limits::Limits;
use crate::{
    diagnostic::Invalid,
    extension::Extension,
    fault::{Host, Stage},
    mta_sts::Policy,
    name::{Domain, SENDER_DOMAIN},
    port,
    route::{Families, Identity},
    time::Moment,
    words::words,
};

words! {
    /// When a sender uses TLS.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum TlsPolicy {
        /// Never, even where it is offered.
        None = "none",
        /// Where it is offered, whatever the certificate (RFC 3207, RFC 7435); the default.
        Opportunistic = "opportunistic",
        /// Always, whatever the certificate; a host without it is not used.
        Required = "required",
        /// Always, with a certificate that is valid for the exchanger's name.
        Verified = "verified",
        /// As the exchanger's TLSA records ask (RFC 7672); without them as the domain's policy does, if it
        /// has one.
        Dane = "dane",
        /// As the exchanger's TLSA records ask; a host that DNSSEC and usable records do not secure is not used.
        DaneOnly = "dane-only",
        /// As the domain's MTA-STS policy asks (RFC 8461), opportunistic without one.
        MtaSts = "mta-sts",
    }
}

/// A host to which a sender hands all its mail, whoever it is for, and the port there.
///
/// RFC 5321 section 2.3.10 calls it a relay; senders call it a smart host, or their provider's server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Its name, or its address.
    pub host: Host,
    /// The port: 587 for submission, 465 for submission inside TLS (RFC 6409, RFC 8314), or any other.
    pub port: u16,
}

impl Relay {
    /// Whether TLS comes there before the greeting (RFC 8314 section 3.3).
    pub fn is_tls_first(&self) -> bool {
        self.port == port::SUBMISSIONS
    }

    /// Its host as an exchanger is named: an address becomes a literal.
    pub(crate) fn domain(&self) -> Domain {
        match &self.host {
            Host::Name(name) => name.clone(),
            Host::Address(address) => Domain::of_literal(*address),
        }
    }
}

impl FromStr for Relay {
    type Err = Invalid;

    /// Reads `HOST:PORT`; an IPv6 address stands in brackets.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let expected = || {
            format!("found {text:?}, expected a host and a port, such as \"smtp.example.test:587\"")
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let port = port.parse().ok().filter(|port| *port > 0);
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        // An address of IPv6 without brackets would lose its last part to the port.
        if host.is_empty() || bare.is_none() && host.contains(':') {
            return Err(expected().into());
        }
        Ok(Self {
            host: bare.unwrap_or(host).parse()?,
            port: port.ok_or_else(expected)?,
        })
    }
}

impl fmt::Display for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Address(address) => SocketAddr::new(*address, self.port).fmt(f),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Who a client is to a server, and what shows it (RFC 4954).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub user: String,
    /// The password.
    pub password: String,
}

words! {
    /// A family of addresses.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Family {
        /// IPv4 (A records).
        Ipv4 = "ipv4",
        /// IPv6 (AAAA records).
        Ipv6 = "ipv6",
    }
}

impl Family {
    /// Puts the addresses of this family first, and leaves the order within each as it is.
    pub(crate) fn put_first(self, addresses: &mut [IpAddr]) {
        addresses.sort_by_key(|address| address.is_ipv6() != (self == Self::Ipv6));
    }
}

/// How long the sender waits at each stage. The defaults are the least that RFC 5321 section 4.5.3.2
/// recommends; for a connection, which it leaves open, 30 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts(BTreeMap<Stage, Duration>);

impl Timeouts {
    /// How long to wait at a stage: what the scenario set, or the default of that stage.
    pub fn at(&self, stage: Stage) -> Duration {
        self.0
            .get(&stage)
            .copied()
            .unwrap_or(Duration::from_secs(300))
    }

    /// The same wait at every stage, as a test may want it.
    pub fn all(wait: Duration) -> Self {
        Self(Stage::ALL.iter().map(|stage| (*stage, wait)).collect())
    }

    pub(crate) fn set(&mut self, stage: Stage, wait: Duration) {
        self.0.insert(stage, wait);
    }
}

// RFC 5321 section 4.5.3.2: two minutes for DATA, three for a block of data, ten for the final dot,
// five for all else.
impl Default for Timeouts {
    fn default() -> Self {
        let seconds = [
            (Stage::Connect, 30),
            (Stage::Data, 120),
            (Stage::Content, 180),
            (Stage::Dot, 600),
        ];
        Self(
            seconds
                .into_iter()
                .map(|(stage, secs)| (stage, Duration::from_secs(secs)))
                .collect(),
        )
    }
}

/// How the reference sender behaves, and what foreign senders are set up to be.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// The waits after passes that left the message deferred; the last one repeats. Default: 30, 60
    /// and 120 minutes.
    pub retry: Vec<Duration>,
    /// How long after submission a message is given up. Default: five days (RFC 5321 section
    /// 4.5.4.1: "generally needs to be at least 4-5 days").
    pub expire: Duration,
    /// Its own names, by which it finds itself in a list of exchangers. The first is the one it
    /// says in EHLO. Default: `mail.sender.test`.
    pub names: Vec<Domain>,
    /// Its own addresses, by which it finds itself, too. Default: none.
    pub addresses: Vec<IpAddr>,
    /// The address families that it can reach. Default: both.
    pub families: Families,
    /// Whose addresses of a host come first. Default: those of IPv4.
    pub first_family: Family,
    /// How many candidates it tries in one pass; `None`: all. RFC 5321 section 5.1 asks for two at
    /// least.
    pub max_candidates: Option<usize>,
    /// The number of Received fields at which a message counts as looping (RFC 5321 section 6.3:
    /// "at least 100").
    pub max_hops: usize,
    /// How long it waits at each stage.
    pub timeouts: Timeouts,
    /// When it uses TLS. Default: where it is offered.
    pub tls: TlsPolicy,
    /// Whether it keeps DNS answers for their TTL. Default: it does.
    pub cache: bool,
    /// How long an address whose connection failed is left out by every message; `None`: not at all
    /// (RFC 5321 section 4.5.4.1).
    pub remember_unreachable: Option<Duration>,
    /// Where it sends all its mail, in the order of trying; empty: where MX records lead.
    pub relays: Vec<Relay>,
    /// Who it says it is to relays that offer AUTH.
    pub login: Option<Login>,
}

impl Default for SenderSettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        let name = format!("mail.{SENDER_DOMAIN}");
        Self {
            retry: vec![minutes(30), minutes(60), minutes(120)],
            expire: minutes(5 * 24 * 60),
            names: vec![name.parse().expect("a valid name")],
            addresses: Vec::new(),
            families: Families {
                ipv4: true,
                ipv6: true,
            },
            first_family: Family::Ipv4,
            max_candidates: None,
            max_hops: 100,
            timeouts: Timeouts::default(),
            tls: TlsPolicy::Opportunistic,
            cache: true,
            remember_unreachable: None,
            relays: Vec::new(),
            login: None,
        }
    }
}

words! {
    /// The certificate with which a receiver offers STARTTLS.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    #[non_exhaustive]
    pub enum Certificate {
        /// Signed by the lab's own authority, for the receiver's name.
        Valid = "valid",
        /// As valid, but past its end of validity.
        Expired = "expired",
        /// Signed by its own key, so that no authority vouches for it.
        SelfSigned = "self-signed",
        /// As valid, but for a name that is none of the receiver's.
        WrongName = "wrong-name",
        /// As valid, but its name stands in the common name alone, where it does not count (RFC 8461 section
        /// 4.2).
        CnOnly = "cn-only",
        /// As valid, but sent by itself, without the certificate of the authority.
        LeafOnly = "leaf-only",
    }
}

words! {
    /// A version of TLS.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
    pub enum TlsVersion {
        /// Never spoken: a receiver that offers none but this one or 1.1 answers every handshake with the alert
        /// `protocol_version`.
        V1_0 = "1.0",
        /// As 1.0.
        V1_1 = "1.1",
        /// RFC 5246.
        V1_2 = "1.2",
        /// RFC 8446.
        V1_3 = "1.3",
    }
}

/// The parameters of a TLSA record that the lab publishes for a receiver's certificate (RFC 6698).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsaParameters {
    /// The certificate usage, 0 to 3 (RFC 6698 section 2.1.1); between mail hosts 2 and 3 count
    /// (RFC 7672 section 3.1).
    pub usage: u8,
    /// The selector: 0 for the certificate, 1 for its public key.
    pub selector: u8,
    /// The matching type: 0 for the octets themselves, 1 for SHA-256, 2 for SHA-512.
    pub matching: u8,
}

/// An MTA-STS policy that the lab serves over HTTPS (RFC 8461 section 3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// The domain that the policy is for; it is served at `mta-sts` under it.
    pub domain: Domain,
    /// The certificate of its web server, which may be a bad one.
    pub certificate: Certificate,
    /// The HTTP status with which it is served, 200 to 599; anything but 200 is no policy (RFC 8461
    /// section 3.3).
    pub status: u16,
    /// The text of the policy, as it is served. It may be malformed on purpose.
    pub text: String,
    /// What the text says; `None` if it is no valid policy.
    pub(crate) policy: Option<Policy>,
    /// The moment from which it is served.
    pub from: Moment,
    /// The moment from which it is no longer served; `None`: to the end.
    pub until: Option<Moment>,
}

impl PolicyRow {
    /// A policy that is served from the start to the end of the drill, with a valid certificate and status
    /// 200. The text may be no valid policy.
    pub fn new(domain: Domain, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            domain,
            certificate: Certificate::Valid,
            status: 200,
            policy: Policy::parse(&text),
            text,
            from: Moment::START,
            until: None,
        }
    }
}

/// The host of a domain's MTA-STS policy: `mta-sts` under the domain (RFC 8461 section 3.3).
pub(crate) fn policy_host(domain: &Domain) -> Domain {
    domain.prefixed("mta-sts")
}

/// What serves behind an exchanger's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Engine {
    /// The lab's own receiver; the default.
    Lab,
    /// The server of the mailin-embedded crate, another implementation of SMTP.
    MailinEmbedded,
    /// A real SMTP server at this `host:port`, which receives the mail in earnest.
    Upstream(String),
}

/// What is special about some receivers, or about all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// The receiver, by name or address; `None` means all of them.
    pub host: Option<Host>,
    /// The certificate with which it offers STARTTLS; `None`: as another row says, or it offers
    /// none.
    pub certificate: Option<Certificate>,
    /// The name that its certificate is for, which may begin with `*.`; `None`: as another row says, or its own.
    pub certificate_name: Option<String>,
    /// The versions of TLS that it offers; `None`: as another row says, or all that there are.
    pub tls_versions: Option<Vec<TlsVersion>>,
    /// The TLSA records that are published for its certificate.
    pub tlsa: Vec<TlsaParameters>,
    /// The largest message that it accepts, in octets; `None`: as another row says, or 50 MiB.
    pub size: Option<usize>,
    /// What answers there; `None`: as another row says, or the lab's own receiver.
    pub engine: Option<Engine>,
    /// The extensions that it offers, in the order of its reply to EHLO; `None`: as another row says, or the
    /// usual ones. STARTTLS comes with a certificate, whether it is listed or not.
    pub extensions: Option<Vec<Extension>>,
    /// Those that it offers inside TLS; `None`: as another row says, or `extensions` without STARTTLS.
    pub extensions_in_tls: Option<Vec<Extension>>,
    /// What it can bear.
    pub limits: Limits,
    /// The ports at which it listens beside 25 and those by which relays name it.
    pub ports: Vec<u16>,
    /// The AUTH that it offers; `None`: as another row says, or none.
    pub auth: Option<AuthSettings>,
}

impl ReceiverSettings {
    /// Whether the row is about a receiver with this address and these names.
    pub(crate) fn is_about(&self, address: IpAddr, names: &[Domain]) -> bool {
        let host = self.host.as_ref();
        host.is_none_or(|host| host.covers(address, names))
    }
}

/// The AUTH that a receiver offers, PLAIN and LOGIN (RFC 4954).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    /// The only client that it knows.
    pub login: Login,
    /// Whether it takes mail of nobody else; `None`: at ports 465 and 587 alone.
    pub required: Option<bool>,
    /// Whether it offers AUTH outside TLS, too.
    pub plaintext: bool,
}

impl From<&SenderSettings> for Identity {
    fn from(settings: &SenderSettings) -> Self {
        Self {
            names: settings.names.clone(),
            addresses: settings.addresses.clone(),
            families: settings.families,
            max_candidates: settings.max_candidates,
        }
    }
}
