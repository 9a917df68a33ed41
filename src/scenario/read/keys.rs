//! The tables of a scenario file: which keys each may have, and of what shape their values are.
//!
//! The readers beside this file open their tables by these lists, and the JSON Schema (`crate::scenario::schema`) is
//! made of them: a key that one of them knows, the other knows, too. A shape says less than a reader: that a host has a
//! record, or that two keys exclude each other, the reader alone can tell.

mod expected;
mod message;
mod receiver;

pub(in crate::scenario) use self::{
    expected::{ATTEMPT, BOUNDS, EXPECTED, NOTIFICATION, RANGE, SHARE, TIME_RANGE},
    message::{DELIVER_BY, MESSAGE},
    receiver::{AUTH, BOUNDED, ENGINES, GREYLIST, POLICY, RATE, RECEIVER},
};

use crate::{
    fault::{Stage, Transport},
    level::Level,
    scenario::{Crash, Family, TlsPolicy},
};

/// A kind of table.
pub(in crate::scenario) struct Row {
    /// What mistakes call it, such as `a fault`.
    pub(in crate::scenario) what: &'static str,
    /// The keys that it may have, in the order in which mistakes list them.
    pub(in crate::scenario) keys: &'static [Key],
}

impl Row {
    /// The names of its keys.
    pub(in crate::scenario) fn names(&self) -> Vec<&'static str> {
        self.keys.iter().map(|key| key.name).collect()
    }
}

/// A key of a table.
pub(in crate::scenario) struct Key {
    pub(in crate::scenario) name: &'static str,
    pub(in crate::scenario) shape: Shape,
    /// What it means, in a line: editors show it.
    pub(in crate::scenario) about: &'static str,
}

/// What a value looks like.
pub(in crate::scenario) enum Shape {
    /// A string, whatever it says.
    Text,
    /// A string that a regular expression (ECMA 262) matches.
    Pattern(&'static str),
    /// A span of time, or a moment since the start of the drill.
    Time,
    /// One of some words.
    Words(fn() -> Vec<&'static str>),
    /// `true` or `false`.
    Flag,
    /// A whole number, and the least that it may be.
    Number(u64),
    /// A whole number from one to another.
    Between([i64; 2]),
    /// A number over 0 and up to 1.
    Fraction,
    /// An array of such values.
    Many(&'static Shape),
    /// One such value, or an array of them.
    OneOrMany(&'static Shape),
    /// Any of these.
    Any(&'static [Shape]),
    /// A table of a kind.
    Table(&'static Row),
    /// A table whose keys the author makes up, with such values.
    Map(&'static Shape),
    /// What is expected: totals, and a table for each message.
    Expect,
    /// What a fault does, at a stage of a session or to a query.
    Effect,
}

/// A key, what its values look like, and what it means.
const fn key(name: &'static str, shape: Shape, about: &'static str) -> Key {
    Key { name, shape, about }
}

/// The words of a table of them.
pub(in crate::scenario) fn names<T>(words: &[(&'static str, T)]) -> Vec<&'static str> {
    words.iter().map(|(word, _)| *word).collect()
}

const TEXTS: Shape = Shape::Many(&Shape::Text);
const TEXT_OR_TEXTS: Shape = Shape::OneOrMany(&Shape::Text);
const PORT: Shape = Shape::Number(1);
const STAGE: Shape = Shape::Words(|| Stage::ALL.map(Stage::word).to_vec());
/// The file itself.
/// The transports of a query, with their words.
pub(in crate::scenario) const TRANSPORTS: [(&str, Transport); 2] =
    [("udp", Transport::Udp), ("tcp", Transport::Tcp)];

pub(in crate::scenario) const SCENARIO: Row = Row {
    what: "a scenario",
    keys: &[
        key(
            "policies",
            Shape::Many(&Shape::Table(&POLICY)),
            "MTA-STS policies, served over HTTPS",
        ),
        key(
            "summary",
            Shape::Text,
            "one sentence that says what is claimed",
        ),
        key(
            "cites",
            TEXTS,
            "the sections that make the claim, such as \"RFC 5321 section 5.1\"",
        ),
        key(
            "level",
            Shape::Words(|| names(&Level::WORDS)),
            "how strongly they ask for it; \"MUST\" if it is left out",
        ),
        key(
            "covers",
            Shape::Many(&Shape::Number(0)),
            "numbers of the statements in docs/requirements.md that it covers",
        ),
        key(
            "seed",
            Shape::Number(0),
            "where randomness starts; 0 if it is left out",
        ),
        key(
            "zone",
            Shape::Text,
            "the records, as zone-file text (RFC 1035 section 5)",
        ),
        key(
            "zone_file",
            Shape::Text,
            "the path of a zone file that has the records, in place of zone",
        ),
        key(
            "messages",
            Shape::Many(&Shape::Table(&MESSAGE)),
            "the mail that is sent",
        ),
        key(
            "sender",
            Shape::Table(&SENDER),
            "the settings of the reference sender",
        ),
        key(
            "faults",
            Shape::Many(&Shape::Table(&FAULT)),
            "what fails, and when; the first row that applies wins",
        ),
        key(
            "crashes",
            Shape::Many(&Shape::Table(&CRASH)),
            "when all processes of the sender are killed, before it is started again",
        ),
        key(
            "updates",
            Shape::Many(&Shape::Table(&UPDATE)),
            "how the records change",
        ),
        key(
            "receivers",
            Shape::Many(&Shape::Table(&RECEIVER)),
            "what the exchangers offer, and what they can bear",
        ),
        key("dnssec", TEXTS, "domains whose answers have the AD bit"),
        key(
            "engine",
            receiver::ENGINE,
            "the SMTP server of all receivers",
        ),
        key(
            "stop",
            Shape::Time,
            "no pass begins after this moment, and what is still queued is deferred",
        ),
        key(
            "expect",
            Shape::Expect,
            "what delivery should do: totals, and a table for each message",
        ),
    ],
};

/// The sender's settings.
pub(in crate::scenario) const SENDER: Row = Row {
    what: "sender",
    keys: &[
        key(
            "relays",
            TEXTS,
            "hosts with their ports to which all mail goes, in the order of trying",
        ),
        key(
            "user",
            Shape::Text,
            "who it says it is to relays that offer AUTH",
        ),
        key("password", Shape::Text, "the password that goes with user"),
        key(
            "retry",
            Shape::Many(&Shape::Time),
            "waits after a pass has ended; the last one repeats",
        ),
        key(
            "expire",
            Shape::Time,
            "after which a message is given up; \"5d\" if it is left out",
        ),
        key("names", TEXTS, "its own names; the first is its EHLO name"),
        key("addresses", TEXTS, "its own addresses"),
        key(
            "families",
            Shape::Many(&Shape::Words(|| names(&Family::WORDS))),
            "what it can reach; the first is tried first",
        ),
        key(
            "max_candidates",
            Shape::Number(1),
            "how many candidates it tries in one pass",
        ),
        key(
            "max_hops",
            Shape::Number(1),
            "Received fields from which on a message is a loop",
        ),
        key(
            "timeouts",
            Shape::Table(&TIMEOUTS),
            "how long it waits, by stage",
        ),
        key(
            "tls",
            Shape::Words(|| names(&TlsPolicy::WORDS)),
            "what it asks of TLS; \"opportunistic\" if it is left out",
        ),
        key(
            "cache",
            Shape::Flag,
            "whether it keeps DNS answers for their TTL",
        ),
        key(
            "remember_unreachable",
            Shape::Time,
            "for how long an address that could not be connected to is left out",
        ),
    ],
};

/// The sender's time-outs: a key for each stage (RFC 5321 section 4.5.3.2).
pub(in crate::scenario) const TIMEOUTS: Row = Row {
    what: "timeouts",
    keys: &[
        key("connect", Shape::Time, "for the connection"),
        key("greeting", Shape::Time, "for the greeting"),
        key("helo", Shape::Time, "for the reply to EHLO or HELO"),
        key(
            "starttls",
            Shape::Time,
            "for the reply to STARTTLS, and the handshake",
        ),
        key("auth", Shape::Time, "for the reply to AUTH"),
        key("mail", Shape::Time, "for the reply to MAIL"),
        key("rcpt", Shape::Time, "for the reply to RCPT"),
        key("data", Shape::Time, "for the reply to DATA"),
        key("content", Shape::Time, "for a block of content to be taken"),
        key("dot", Shape::Time, "for the reply to the end of the data"),
        key("quit", Shape::Time, "for the reply to QUIT"),
    ],
};

/// A row of `faults`.
pub(in crate::scenario) const FAULT: Row = Row {
    what: "a fault",
    keys: &[
        key(
            "host",
            TEXT_OR_TEXTS,
            "a name, which is all its addresses, or an address; without it all hosts",
        ),
        key("port", PORT, "at this port alone"),
        key("stage", STAGE, "where in a session it fails"),
        key(
            "query",
            Shape::Text,
            "the query that fails, such as \"example.test MX\"",
        ),
        key("effect", Shape::Effect, "what happens there"),
        key(
            "from",
            Shape::Time,
            "the moment from which on it may strike",
        ),
        key(
            "until",
            Shape::Time,
            "the moment from which on it strikes no more",
        ),
        key(
            "first",
            Shape::Number(1),
            "how often it strikes: the first so many times that it applies",
        ),
        key(
            "every",
            Shape::Number(1),
            "it strikes each so many times that it applies",
        ),
        key(
            "chance",
            Shape::Fraction,
            "how likely it is to strike, by the drill's seed",
        ),
        key(
            "recipient",
            Shape::Text,
            "for this recipient alone, or those of a pattern such as \"*@example.test\"",
        ),
        key(
            "sender",
            Shape::Text,
            "for this reverse-path alone, or those of a pattern; \"\" is the null one",
        ),
        key(
            "larger_than",
            Shape::Number(0),
            "for messages of more octets alone",
        ),
        key(
            "over",
            Shape::Words(|| names(&TRANSPORTS)),
            "for queries over this transport alone",
        ),
    ],
};

/// A row of `crashes`.
pub(in crate::scenario) const CRASH: Row = Row {
    what: "a crash",
    keys: &[
        key("at", Shape::Time, "the moment of the crash"),
        key(
            "after",
            Shape::Words(|| Crash::STAGES.map(Stage::word).to_vec()),
            "the stage at which the sender has sent something, in place of a moment",
        ),
        key("host", Shape::Text, "to this host"),
    ],
};

/// A row of `updates`.
pub(in crate::scenario) const UPDATE: Row = Row {
    what: "an update",
    keys: &[
        key("at", Shape::Time, "the moment of the change"),
        key(
            "delete",
            TEXT_OR_TEXTS,
            "\"NAME TYPE\", or \"NAME\" for all types",
        ),
        key("add", TEXT_OR_TEXTS, "records as zone-file text"),
    ],
};
