//! How the sender, the receivers and the policies of a drill are set.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use crate::{
    fault::{Host, Stage},
    mta_sts::Policy,
    name::Domain,
    route::{Families, Identity},
    time::Moment,
};

/// When a sender uses TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsPolicy {
    /// Never.
    None,
    /// When offered, whatever the certificate (RFC 3207, RFC 7435).
    Opportunistic,
    /// Always, whatever the certificate.
    Required,
    /// Always, with a certificate that is valid for the exchanger's name.
    Verified,
    /// As the exchanger's TLSA records ask (RFC 7672); without them as the domain's policy does, if it
    /// has one.
    Dane,
    /// As the domain's MTA-STS policy asks (RFC 8461), opportunistic without one.
    MtaSts,
}

impl TlsPolicy {
    pub(crate) const WORDS: [(&'static str, Self); 6] = [
        ("none", Self::None),
        ("opportunistic", Self::Opportunistic),
        ("required", Self::Required),
        ("verified", Self::Verified),
        ("dane", Self::Dane),
        ("mta-sts", Self::MtaSts),
    ];
}

/// How long the sender waits at each stage. The defaults are the least that RFC 5321 section 4.5.3.2
/// recommends; for a connection, which it leaves open, 30 seconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts(BTreeMap<Stage, Duration>);

impl Timeouts {
    /// How long to wait at a stage.
    pub fn at(&self, stage: Stage) -> Duration {
        self.0
            .get(&stage)
            .copied()
            .unwrap_or(Duration::from_secs(300))
    }

    /// The same wait at every stage.
    pub fn all(wait: Duration) -> Self {
        Self(Stage::ALL.iter().map(|stage| (*stage, wait)).collect())
    }

    pub(crate) fn set(&mut self, stage: Stage, wait: Duration) {
        self.0.insert(stage, wait);
    }
}

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

/// How the sender behaves. Foreign senders are told what they can be told.
#[derive(Debug, Clone)]
pub struct SenderSettings {
    /// Waits after a pass that left the message deferred; the last one repeats.
    pub retry: Vec<Duration>,
    /// How long after submission a message is given up.
    pub expire: Duration,
    /// Its own names, by which it finds itself in a list of exchangers; the first is its EHLO name.
    pub names: Vec<Domain>,
    /// Its own addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it can reach IPv4 and IPv6 addresses.
    pub families: Families,
    /// How many candidates it tries in one pass.
    pub max_candidates: Option<usize>,
    /// The number of Received fields at which a message is taken for a loop.
    pub max_hops: usize,
    /// Waits at each stage.
    pub timeouts: Timeouts,
    /// When it uses TLS.
    pub tls: TlsPolicy,
    /// Whether it keeps DNS answers for their TTL.
    pub cache: bool,
    /// How long an address whose connection failed is skipped by every message.
    pub remember_unreachable: Option<Duration>,
}

impl Default for SenderSettings {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self {
            retry: vec![minutes(30), minutes(60), minutes(120)],
            expire: minutes(5 * 24 * 60),
            names: vec!["mail.sender.test".parse().expect("a valid name")],
            addresses: Vec::new(),
            families: Families {
                ipv4: true,
                ipv6: true,
            },
            max_candidates: None,
            max_hops: 100,
            timeouts: Timeouts::default(),
            tls: TlsPolicy::Opportunistic,
            cache: true,
            remember_unreachable: None,
        }
    }
}

/// The certificate with which a receiver offers STARTTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certificate {
    /// Signed by the lab's own authority, for the receiver's name.
    Valid,
    /// As valid, but past its end.
    Expired,
    /// Signed by its own key.
    SelfSigned,
    /// As valid, but for another name.
    WrongName,
}

impl Certificate {
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("valid", Self::Valid),
        ("expired", Self::Expired),
        ("self-signed", Self::SelfSigned),
        ("wrong-name", Self::WrongName),
    ];
}

/// The parameters of a TLSA record that the lab publishes for a receiver's certificate (RFC 6698).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsaParameters {
    /// Certificate usage, 0 to 3.
    pub usage: u8,
    /// Selector, 0 (the certificate) or 1 (its public key).
    pub selector: u8,
    /// Matching type, 0 (exact), 1 (SHA-256) or 2 (SHA-512).
    pub matching: u8,
}

/// An MTA-STS policy that the lab serves over HTTPS (RFC 8461 section 3.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyRow {
    /// The domain that it is for.
    pub domain: Domain,
    /// The certificate of its web server.
    pub certificate: Certificate,
    /// The HTTP status with which it is served.
    pub status: u16,
    /// The policy, as it is served.
    pub text: String,
    /// What it says, if it is a valid one.
    pub(crate) policy: Option<Policy>,
    /// Served from this moment on.
    pub from: Moment,
    /// Until just before this moment.
    pub until: Option<Moment>,
}

/// The host of a domain's MTA-STS policy.
pub(crate) fn policy_host(domain: &Domain) -> Domain {
    domain.prefixed("mta-sts")
}

/// What serves behind an exchanger's faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// The lab's own receiver.
    Lab,
    /// The server of the mailin-embedded crate.
    MailinEmbedded,
    /// A real SMTP server at this `host:port`.
    Upstream(String),
}

/// What is special about receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Which; `None` is all.
    pub host: Option<Host>,
    /// Offers STARTTLS with this certificate.
    pub certificate: Option<Certificate>,
    /// TLSA records published for it.
    pub tlsa: Vec<TlsaParameters>,
    /// The SIZE limit in octets.
    pub size: Option<usize>,
    /// What serves there.
    pub engine: Option<Engine>,
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
