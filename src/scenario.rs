//! A drill as data: records, messages, faults, updates and what is expected of delivery.
//!
//! A [`Scenario`] is valid once it exists; reading one from a file is [`file`]'s concern, and what is
//! wrong in a file is told as [`Mistakes`].

mod document;
mod expect;
mod expected;
mod fault_rows;
mod file;
mod idle;
pub mod mistake;
mod receiver_rows;
mod rows;
mod sample;
mod settings;
mod update_rows;
mod words;

use std::{
    collections::BTreeSet,
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::expected::TOTAL_KEYS;
pub use self::sample::Share;
pub(crate) use self::settings::policy_host;
pub(crate) use self::words::{OWN_EXCHANGER, query as read_query};
pub use self::{
    expected::{AttemptResult, Bounds, Expect, ExpectedAttempt, ExpectedMessage, Outcome, Total},
    mistake::{Mistake, Mistakes},
    settings::{
        Certificate, Engine, Families, PolicyRow, ReceiverSettings, SenderSettings, Timeouts,
        TlsPolicy, TlsaParameters,
    },
};
pub use crate::mailbox::Mailbox;
pub use crate::zone::file::Reach;
use crate::{
    fault::{Fault, Host},
    name::Domain,
    time::Moment,
    zone::{self, History},
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
    /// The zone file that its records come from, if it names one.
    pub zone_file: Option<PathBuf>,
    /// What of that file was passed over that deserves a word, a line each.
    pub notes: Vec<String>,
    /// The sections that make the claim.
    pub cites: Vec<String>,
    /// How strongly they ask for it.
    pub level: Level,
    /// Numbers of the statements in `docs/requirements.md` that it covers.
    pub covers: Vec<u16>,
    /// Where randomness starts from.
    pub seed: u64,
    /// The records, as they are in the course of the drill.
    pub zones: History,
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
        Self::load_within(path, Reach::Folder)
    }

    /// As [`Scenario::load`], of `-` from standard input; `reach` is where the files may lie that it names.
    ///
    /// # Errors
    /// As [`Scenario::load`].
    pub fn load_within(path: &Path, reach: Reach) -> Result<Self, Mistakes> {
        let shown = path.display().to_string();
        match zone::file::utf8(path) {
            Ok(text) => Self::parse_within(&shown, &text, reach),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                Err(Mistakes::of_file(&shown, error.to_string()))
            }
            Err(error) => Err(Mistakes::of_file(
                &shown,
                format!("cannot be read: {error}"),
            )),
        }
    }

    /// Reads and validates scenario text; `path` is what mistakes name, and in its folder a `zone_file` is
    /// found, or below it.
    ///
    /// # Errors
    /// Every mistake in the text, each with path, line and column.
    pub fn parse(path: &str, text: &str) -> Result<Self, Mistakes> {
        Self::parse_within(path, text, Reach::Folder)
    }

    /// As [`Scenario::parse`]; `reach` is where the files may lie that it names.
    ///
    /// # Errors
    /// As [`Scenario::parse`].
    pub fn parse_within(path: &str, text: &str, reach: Reach) -> Result<Self, Mistakes> {
        let folder = zone::file::folder_of(Path::new(path));
        Self::parse_with(path, text, &|path| {
            zone::file::allowed(&folder, path, reach)?;
            zone::file::utf8(path)
        })
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

    /// A server behind a receiver that may not be on this host: a scenario of somebody else's must not
    /// send mail where nobody meant it to go. No name but `localhost` is known to stay here.
    pub fn upstream_elsewhere(&self) -> Option<&str> {
        let is_here = |address: &str| {
            let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
            let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
            address.map_or(host == "localhost", |address| address.is_loopback())
        };
        let mut upstreams = self.receivers.iter().filter_map(|row| match &row.engine {
            Some(Engine::Upstream(address)) => Some(address.as_str()),
            _ => None,
        });
        upstreams.find(|address| !is_here(address))
    }

    /// Whether a message may be left queued: nothing is tried after some moment.
    pub(crate) fn stops(&self, message: &Message) -> bool {
        self.stop.is_some() || message.leave.is_some()
    }

    /// The domain of a message's recipients, in order and without repetition: its next hops.
    pub fn next_hops(message: &Message) -> Vec<Domain> {
        let mut known = BTreeSet::new();
        let domains = message.to.iter().map(|recipient| &recipient.domain);
        domains
            .filter(|domain| known.insert(*domain))
            .cloned()
            .collect()
    }
}

/// Reads a file that a scenario names.
pub type ReadFile<'a> = dyn Fn(&Path) -> std::io::Result<String> + 'a;

/// How strongly a claim binds a sender (RFC 2119), which decides how a foreign one is judged.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct MessageId(pub Arc<str>);

impl MessageId {
    /// Between the id of a message and the rest of a notification's.
    const BOUNCE: &str = ".bounce.";

    /// The id of a notification about a message that could not go to a next hop.
    pub(crate) fn of_notification(&self, hop: &Domain, number: u32) -> Self {
        Self(format!("{self}{}{hop}.{number}", Self::BOUNCE).into())
    }

    /// The message that a notification of this id is about.
    pub(crate) fn about(&self) -> Option<Self> {
        let (about, _) = self.0.split_once(Self::BOUNCE)?;
        Some(about.into())
    }
}

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

/// When a message that is expected to be deferred is left in the queue: no delivery pass for it begins
/// after this moment, once this many attempts have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    /// The moment.
    pub after: Moment,
    /// The attempts.
    pub attempts: usize,
}

/// Finds messages by their ids.
#[derive(Debug)]
pub(crate) struct MessageIndex(Vec<usize>);

impl MessageIndex {
    pub(crate) fn new(messages: &[Message]) -> Self {
        let mut by_id: Vec<usize> = (0..messages.len()).collect();
        by_id.sort_by(|one, other| messages[*one].id.cmp(&messages[*other].id));
        Self(by_id)
    }

    /// Where a message is among those that the index was made of.
    pub(crate) fn find(&self, messages: &[Message], id: &MessageId) -> Option<usize> {
        let place = self.0.binary_search_by(|index| messages[*index].id.cmp(id));
        Some(self.0[place.ok()?])
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
    pub to: Arc<[Mailbox]>,
    /// The size of its content in octets; `None`: as short as it comes.
    pub size: Option<usize>,
    /// How many Received fields it already carries.
    pub received: usize,
    /// Whether it asks for REQUIRETLS (RFC 8689).
    pub require_tls: bool,
    /// When it is left in the queue, if it is expected to be deferred.
    pub leave: Option<Leave>,
}
