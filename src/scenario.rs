//! A drill as data: records, messages, faults, updates and what is expected of delivery.
//!
//! A [`Scenario`] is valid once it exists; reading one from a file is [`file`]'s concern, and what is
//! wrong in a file is told as [`Mistakes`].

mod document;
mod expect;
mod file;
pub(crate) mod mistake;
mod rows;

use std::{collections::BTreeMap, fmt, net::IpAddr, path::Path, time::Duration};

pub(crate) use self::file::query as read_query;
pub use self::mistake::{Mistake, Mistakes};
use crate::{
    fault::{Fault, Host, Stage},
    name::Domain,
    reply::Status,
    time::{Moment, Span},
    zone::History,
};

/// A drill, ready to be run.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// What it is called: the file's name without `.toml`.
    pub name: String,
    /// The file it came from, as the user named it.
    pub path: String,
    /// One sentence: what is claimed.
    pub summary: String,
    /// The sections that make the claim.
    pub cites: Vec<String>,
    /// How strongly they ask for it.
    pub level: Level,
    /// Numbers of the statements in `docs/requirements.md` that it covers.
    pub covers: Vec<u16>,
    /// Where randomness starts from.
    pub seed: u64,
    pub(crate) zones: History,
    /// What is sent.
    pub messages: Vec<Message>,
    /// How the reference sender is set.
    pub sender: SenderSettings,
    /// What fails.
    pub faults: Vec<Fault>,
    /// What is special about receivers.
    pub receivers: Vec<ReceiverSettings>,
    /// MTA-STS policies that the lab serves.
    pub policies: Vec<PolicyRow>,
    /// Domains whose answers, with what is below them, carry the AD bit.
    pub dnssec: Vec<Domain>,
    /// No delivery pass begins after this moment; `None`: the drill ends when every message is
    /// delivered or bounced.
    pub stop: Option<Moment>,
    /// What delivery is expected to do.
    pub expect: Expect,
}

impl Scenario {
    /// Reads and validates a scenario file.
    ///
    /// # Errors
    /// Every mistake in the file, each with path, line and column. A file that cannot be read is a
    /// mistake at its first character.
    pub fn load(path: &Path) -> Result<Self, Mistakes> {
        let shown = path.display().to_string();
        let text = std::fs::read(path)
            .map_err(|error| format!("cannot be read: {error}"))
            .and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| {
                    format!(
                        "found octets that are not UTF-8 after octet {}, expected UTF-8 text",
                        error.utf8_error().valid_up_to()
                    )
                })
            });
        match text {
            Ok(text) => Self::parse(&shown, &text),
            Err(message) => Err(Mistakes(vec![Mistake {
                path: shown,
                line: 1,
                column: 1,
                message,
            }])),
        }
    }

    /// Reads and validates scenario text; `path` is what mistakes name, and relative to its folder a
    /// `zone_file` is found.
    ///
    /// # Errors
    /// Every mistake in the text, each with path, line and column.
    pub fn parse(path: &str, text: &str) -> Result<Self, Mistakes> {
        Self::parse_with(path, text, &|path| std::fs::read_to_string(path))
    }

    /// As [`Scenario::parse`], with another way to read a `zone_file`.
    ///
    /// # Errors
    /// Every mistake in the text, each with path, line and column.
    pub fn parse_with(path: &str, text: &str, read: &ReadFile<'_>) -> Result<Self, Mistakes> {
        file::read(path, text, read)
    }

    /// A scenario of records alone, without messages or faults: a lab for senders of one's own.
    ///
    /// # Errors
    /// Every mistake in the zone-file text, with its line and column.
    pub fn from_zone(zone: &str) -> Result<Self, Mistakes> {
        file::from_zone(zone)
    }

    /// Whether some receiver has a server behind it that only sockets reach.
    pub fn needs_sockets(&self) -> bool {
        let behind =
            |receiver: &ReceiverSettings| !matches!(receiver.engine, None | Some(Engine::Lab));
        self.receivers.iter().any(behind)
    }

    /// The domain of a message's recipients, in order and without repetition: its next hops.
    pub fn next_hops(message: &Message) -> Vec<Domain> {
        let mut hops = Vec::new();
        for recipient in &message.to {
            if !hops.contains(&recipient.domain) {
                hops.push(recipient.domain.clone());
            }
        }
        hops
    }
}

/// Reads a file that a scenario names.
pub type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + 'a;

/// How strongly a claim binds a sender (RFC 2119), which decides how a foreign one is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A requirement.
    Must,
    /// A recommendation.
    Should,
    /// An option.
    May,
    /// Reported, never failed.
    Info,
}

impl Level {
    /// Every level and its word.
    pub(crate) const WORDS: [(&'static str, Self); 4] = [
        ("MUST", Self::Must),
        ("SHOULD", Self::Should),
        ("MAY", Self::May),
        ("INFO", Self::Info),
    ];
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS
            .iter()
            .find(|(_, level)| level == self)
            .expect("every level has a word")
            .0;
        f.pad(word)
    }
}

/// The id of a message, unique within a scenario.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub struct MessageId(pub std::sync::Arc<str>);

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for MessageId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// A mailbox (RFC 5321 section 4.1.2), its domain in lower case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// As written.
    pub text: String,
    /// The part after the last `@`.
    pub domain: Domain,
}

impl std::str::FromStr for Mailbox {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || format!("found {text:?}, expected a mailbox such as \"alice@example.test\"");
        let (local, domain) = text.rsplit_once('@').ok_or_else(expected)?;
        let bad = |c: char| c.is_control() || matches!(c, '<' | '>' | ' ');
        if local.is_empty() || local.contains(bad) {
            return Err(expected());
        }
        let domain = domain
            .parse()
            .map_err(|error| format!("{}: {error}", expected()))?;
        Ok(Self {
            text: text.to_owned(),
            domain,
        })
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// A message of the drill.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id; messages of a row with `count` get `id-1`, `id-2` and so on.
    pub id: MessageId,
    /// When the sender is given it.
    pub at: Moment,
    /// Where bounces go; `None` is the null reverse-path.
    pub from: Option<Mailbox>,
    /// Its recipients, at least one.
    pub to: Vec<Mailbox>,
    /// The size of its content in octets; `None`: as short as it comes.
    pub size: Option<usize>,
    /// How many Received fields it already carries.
    pub received: usize,
    /// Whether it asks for REQUIRETLS (RFC 8689).
    pub require_tls: bool,
}

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

/// The address families a sender can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// IPv4.
    pub ipv4: bool,
    /// IPv6.
    pub ipv6: bool,
}

impl Families {
    /// Whether an address can be reached.
    pub fn reach(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
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
    /// The policy.
    pub text: String,
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

/// What a message comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// An exchanger took it.
    Delivered,
    /// It is still queued.
    Deferred,
    /// It was given up and returned.
    Bounced,
}

impl Outcome {
    pub(crate) const WORDS: [(&'static str, Self); 3] = [
        ("delivered", Self::Delivered),
        ("deferred", Self::Deferred),
        ("bounced", Self::Bounced),
    ];
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS
            .iter()
            .find(|(_, outcome)| outcome == self)
            .expect("every outcome has a word")
            .0;
        f.pad(word)
    }
}

/// An allowed range of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// At least.
    pub min: u64,
    /// At most.
    pub max: u64,
}

impl Bounds {
    /// Whether a number lies within.
    pub fn allow(self, number: u64) -> bool {
        (self.min..=self.max).contains(&number)
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "{min}"),
            (0, max) => write!(f, "at most {max}"),
            (min, u64::MAX) => write!(f, "at least {min}"),
            (min, max) => write!(f, "{min} to {max}"),
        }
    }
}

/// What is expected of the whole drill and of each message.
#[derive(Debug, Clone, Default)]
pub struct Expect {
    /// Totals over the scenario's own messages.
    pub totals: Vec<(Total, Bounds)>,
    /// How first attempts are shared.
    pub first_attempts: Vec<(Host, Bounds)>,
    /// About single messages, in the order of the file.
    pub messages: Vec<(MessageId, ExpectedMessage)>,
}

/// A number that can be expected of a whole drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Total {
    /// Messages delivered.
    Delivered,
    /// Messages deferred.
    Deferred,
    /// Messages bounced.
    Bounced,
    /// Connections that receivers accepted.
    Sessions,
    /// Bounces that arrived where they belong.
    Notifications,
}

impl Total {
    pub(crate) const WORDS: [(&'static str, Self); 5] = [
        ("delivered", Self::Delivered),
        ("deferred", Self::Deferred),
        ("bounced", Self::Bounced),
        ("sessions", Self::Sessions),
        ("notifications", Self::Notifications),
    ];

    /// The word for it in scenario files.
    pub fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find(|(_, total)| *total == self)
            .expect("every total has a word")
            .0
    }
}

/// What is expected of one message; `None` is no expectation.
#[derive(Debug, Clone, Default)]
pub struct ExpectedMessage {
    /// What it comes to.
    pub outcome: Option<Outcome>,
    /// Who takes it.
    pub by: Option<Host>,
    /// How many copies are taken.
    pub copies: Option<Bounds>,
    /// The status of its bounce or last deferral.
    pub status: Option<Status>,
    /// What it comes to for single recipients.
    pub recipients: Vec<(String, Outcome)>,
    /// Every attempt, in order.
    pub attempts: Option<Vec<ExpectedAttempt>>,
    /// The first attempts, in order.
    pub starts_with: Option<Vec<ExpectedAttempt>>,
    /// How many attempts.
    pub attempt_count: Option<Bounds>,
}

/// An attempt as expected.
#[derive(Debug, Clone)]
pub struct ExpectedAttempt {
    /// At one of these hosts.
    pub hosts: Vec<Host>,
    /// At this address.
    pub address: Option<IpAddr>,
    /// How it ended.
    pub result: AttemptResult,
    /// Where in the session it ended.
    pub stage: Option<Stage>,
    /// When it began.
    pub at: Option<Moment>,
    /// Whether the transaction ran inside TLS.
    pub tls: Option<bool>,
    /// The server name that the client asked for in the handshake.
    pub sni: Option<String>,
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AttemptResult {
    /// The receiver took the message.
    Accepted,
    /// The connection was refused.
    Refused,
    /// No answer in time.
    Timeout,
    /// The connection ended with an RST.
    Reset,
    /// The connection ended in order, too early.
    Closed,
    /// Something that is no reply.
    Garbage,
    /// No host has that address.
    Unreachable,
    /// TLS failed, or the certificate did not satisfy the sender.
    Tls,
    /// TLS was needed and not to be had.
    Insecure,
    /// This reply code.
    Code(u16),
}

impl AttemptResult {
    pub(crate) const WORDS: [(&'static str, Self); 9] = [
        ("accepted", Self::Accepted),
        ("refused", Self::Refused),
        ("timeout", Self::Timeout),
        ("reset", Self::Reset),
        ("closed", Self::Closed),
        ("garbage", Self::Garbage),
        ("unreachable", Self::Unreachable),
        ("tls", Self::Tls),
        ("insecure", Self::Insecure),
    ];
}

impl fmt::Display for AttemptResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => f.pad(&code.to_string()),
            other => f.pad(
                Self::WORDS
                    .iter()
                    .find(|(_, result)| result == other)
                    .expect("every result has a word")
                    .0,
            ),
        }
    }
}

impl serde::Serialize for AttemptResult {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl fmt::Display for ExpectedAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        write!(f, "{} {}", hosts.join(" or "), self.result)?;
        if let Some(stage) = self.stage {
            write!(f, " at {stage}")?;
        }
        if let Some(address) = self.address {
            write!(f, " [{address}]")?;
        }
        match self.tls {
            Some(true) => f.write_str(" in TLS")?,
            Some(false) => f.write_str(" in plain text")?,
            None => {}
        }
        self.at.map_or(Ok(()), |at| write!(f, " +{}", Span(at.0)))
    }
}
