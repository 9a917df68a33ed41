//! What can fail: where in a session or a lookup, how, and when.
//!
//! A [`Fault`] is data. `Faults`, in `rows`, holds those of a lab and answers the one question that receivers
//! and the name server ask: what happens here, now? It counts what it has answered, so that
//! `first = 2` ends by itself.

mod effect;
mod rows;

use std::{fmt, net::IpAddr, str::FromStr};

use hickory_proto::rr::RecordType;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

pub use self::effect::{Effect, QueryEffect, Stage, Transport};
pub(crate) use self::rows::{Faults, Point, Transfer, Whom};
use crate::{
    diagnostic::Invalid,
    name::{Domain, OWN_EXCHANGER},
    time::Moment,
};

/// Which receivers a fault or an expectation is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name: every address that owns it, aliases included.
    Name(Domain),
    /// One address of the zone.
    Address(IpAddr),
}

impl Host {
    /// Whether a receiver with this address and these names is meant.
    pub(crate) fn covers(&self, address: IpAddr, names: &[Domain]) -> bool {
        match self {
            Self::Name(name) => names.contains(name),
            Self::Address(wanted) => *wanted == address,
        }
    }
}

impl FromStr for Host {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Host {
    fn read(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(address) => Ok(Self::Address(address)),
            Err(_) => text
                .parse()
                .map(Self::Name)
                .map_err(|error: crate::name::InvalidDomain| error.to_string()),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Host {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// What fails, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A session with a receiver, at one of its stages.
    Session {
        /// The receivers that fail; none: all, but for the lab's own.
        hosts: Vec<Host>,
        /// The port at which they fail; `None`: at all of theirs.
        port: Option<u16>,
        /// The stage at which they fail.
        stage: Stage,
        /// What they do instead.
        effect: Effect,
        /// The recipient for whom alone it is so, or a pattern in which `*` stands for anything: at stage `rcpt`,
        /// and from `data` on for a message with such a recipient. `None`: for each.
        recipient: Option<String>,
        /// The reverse-path with which alone it is so, or a pattern of it; empty is the null one. `None`: with
        /// each.
        sender: Option<String>,
        /// Only for messages of more octets than this, at stages `content` and `dot`.
        larger_than: Option<usize>,
    },
    /// A query to the name server.
    Query {
        /// The name that is asked for, exactly.
        name: Domain,
        /// The type asked for; `None` is every type.
        record_type: Option<RecordType>,
        /// The transport over which alone it is so; `None`: over both.
        over: Option<Transport>,
        /// What the name server does instead.
        effect: QueryEffect,
    },
}

impl Failure {
    /// That of a host, whatever the message.
    pub fn of_host(host: Host, stage: Stage, effect: Effect) -> Self {
        Self::Session {
            hosts: vec![host],
            port: None,
            stage,
            effect,
            recipient: None,
            sender: None,
            larger_than: None,
        }
    }
}

/// Whether a fault of these hosts is about a receiver.
pub(crate) fn covers(hosts: &[Host], address: IpAddr, names: &[Domain]) -> bool {
    if hosts.is_empty() {
        return !names.iter().any(|name| name.as_str() == OWN_EXCHANGER);
    }
    hosts.iter().any(|host| host.covers(address, names))
}

/// Whether a mailbox is the one of a row, or as its pattern says, in which `*` stands for anything. Both are
/// compared without case.
pub(crate) fn is_like(pattern: &str, mailbox: &str) -> bool {
    let pattern = pattern.to_ascii_lowercase();
    let mailbox = mailbox.to_ascii_lowercase();
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = mailbox.strip_prefix(first) else {
        return false;
    };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Something that fails, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What fails: a host at a stage of a session, or a query.
    pub failure: Failure,
    /// The moment from which it holds, counted from the start of the drill.
    pub from: Moment,
    /// The moment from which it no longer holds; `None`: to the end.
    pub until: Option<Moment>,
    /// How often it strikes before it is used up; `None`: always.
    pub first: Option<u32>,
    /// It strikes each time that this number has come: the third, the sixth, ... `None`: each time.
    pub every: Option<u32>,
    /// How likely it strikes; `None`: surely.
    pub chance: Option<Chance>,
}

/// How likely something is, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chance(u32);

impl Chance {
    /// Of a number over 0 and up to 1; `None` for any other.
    pub fn of(likely: f64) -> Option<Self> {
        let millionths = (likely * f64::from(Self::SURE)).round();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is within the bounds"
        )]
        ((1.0..=f64::from(Self::SURE)).contains(&millionths)).then_some(Self(millionths as u32))
    }

    const SURE: u32 = 1_000_000;
}

impl fmt::Display for Chance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", f64::from(self.0) / f64::from(Self::SURE))
    }
}

impl Fault {
    /// A fault from the start of the drill until it is lifted.
    pub fn lasting(failure: Failure) -> Self {
        Self {
            failure,
            from: Moment::START,
            until: None,
            first: None,
            every: None,
            chance: None,
        }
    }

    /// A fault of the receivers of a host, whoever the recipient is.
    pub fn of_host(host: Host, stage: Stage, effect: Effect) -> Self {
        Self::lasting(Failure::of_host(host, stage, effect))
    }

    /// A fault of queries for a name, over UDP and TCP; without a type it is that of each.
    pub fn of_query(name: Domain, record_type: Option<RecordType>, effect: QueryEffect) -> Self {
        Self::lasting(Failure::Query {
            name,
            record_type,
            over: None,
            effect,
        })
    }

    /// From this moment on.
    #[must_use]
    pub fn from(self, from: Moment) -> Self {
        Self { from, ..self }
    }

    /// Up to and without this moment.
    #[must_use]
    pub fn until(self, until: Moment) -> Self {
        let until = Some(until);
        Self { until, ..self }
    }

    /// Only so many times.
    #[must_use]
    pub fn first(self, times: u32) -> Self {
        let first = Some(times);
        Self { first, ..self }
    }

    /// Only each time that this number has come.
    #[must_use]
    pub fn every(self, times: u32) -> Self {
        let every = Some(times);
        Self { every, ..self }
    }

    /// Only as likely as this.
    #[must_use]
    pub fn chance(self, chance: Chance) -> Self {
        let chance = Some(chance);
        Self { chance, ..self }
    }

    /// Whether its window has this moment: from its beginning up to and without its end.
    fn holds_at(&self, now: Moment) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            Failure::Session {
                hosts,
                port,
                stage,
                effect,
                recipient,
                sender,
                larger_than,
            } => {
                let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
                let hosts = match &hosts[..] {
                    [] => "all hosts".to_owned(),
                    hosts => hosts.join(", "),
                };
                let port = port.map_or_else(String::new, |port| format!(", port {port}"));
                write!(f, "{hosts}{port} at {stage}: {effect}")?;
                if let Some(recipient) = recipient {
                    write!(f, " for {recipient}")?;
                }
                if let Some(sender) = sender {
                    write!(f, " from <{sender}>")?;
                }
                if let Some(octets) = larger_than {
                    write!(f, " of more than {octets} octets")?;
                }
            }
            Failure::Query {
                name,
                record_type,
                over,
                effect,
            } => {
                write!(f, "query {name}")?;
                if let Some(record_type) = record_type {
                    write!(f, " {record_type}")?;
                }
                if let Some(over) = over {
                    write!(f, " over {}", format!("{over:?}").to_lowercase())?;
                }
                write!(f, ": {effect}")?;
            }
        }
        if self.from > Moment::START {
            write!(f, ", from {}", self.from)?;
        }
        if let Some(until) = self.until {
            write!(f, ", until {until}")?;
        }
        if let Some(every) = self.every {
            write!(f, ", every {every}")?;
        }
        self.chance
            .map_or(Ok(()), |chance| write!(f, ", chance {chance}"))
    }
}
