//! What can fail: where in a session or a lookup, how, and when.
//!
//! A [`Fault`] is data. [`Faults`] holds those of a lab and answers the one question that receivers
//! and the name server ask: what happens here, now? It counts what it has answered, so that
//! `first = 2` ends by itself.

use std::{collections::BTreeMap, fmt, net::IpAddr, str::FromStr, time::Duration};

use hickory_proto::rr::RecordType;

use crate::{
    name::Domain,
    reply::Reply,
    scenario::mistake::not_allowed,
    time::{Moment, Span},
};

/// A point in a session at which it can fail, in the order of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Before the connection exists.
    Connect,
    /// The server's first reply.
    Greeting,
    /// EHLO or HELO.
    Helo,
    /// STARTTLS and the handshake.
    Starttls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before the content.
    Data,
    /// While the content is received.
    Content,
    /// The end of the content, where the server takes the message over.
    Dot,
    /// QUIT.
    Quit,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 10] = [
        Self::Connect,
        Self::Greeting,
        Self::Helo,
        Self::Starttls,
        Self::Mail,
        Self::Rcpt,
        Self::Data,
        Self::Content,
        Self::Dot,
        Self::Quit,
    ];

    /// The word for it in scenario files and logs.
    pub fn word(self) -> &'static str {
        [
            "connect", "greeting", "helo", "starttls", "mail", "rcpt", "data", "content", "dot",
            "quit",
        ][self as usize]
    }

    /// The effects a fault can have here, as scenario files write them.
    pub(crate) fn effects(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &["refuse", "timeout", "reset"],
            Self::Content => &["hang", "close", "reset", "delay 3s"],
            Self::Starttls => &[
                "not offered",
                "break",
                "garbage",
                "hang",
                "close",
                "reset",
                "delay 3s",
                "a reply such as \"454 4.7.0 not now\"",
            ],
            Self::Dot => &[
                "lose reply",
                "garbage",
                "hang",
                "close",
                "reset",
                "delay 3s",
                "a reply such as \"451 4.3.0 not now\"",
            ],
            _ => &[
                "garbage",
                "hang",
                "close",
                "reset",
                "delay 3s",
                "a reply such as \"421 4.3.2 closing\"",
            ],
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        Self::ALL
            .into_iter()
            .find(|stage| stage.word() == text)
            .ok_or_else(|| not_allowed(text, "a stage of a session", &words))
    }
}

/// What a fault does to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The connection is refused (RST to the SYN).
    Refuse,
    /// The SYN is never answered.
    Timeout,
    /// The connection ends with an RST.
    Reset,
    /// The connection ends in order (FIN), without a reply.
    Close,
    /// Nothing is ever answered; the connection stays up.
    Hang,
    /// A line that is no SMTP reply.
    Garbage,
    /// The session goes on after this long.
    Delay(Duration),
    /// The message is taken; the connection ends before the reply.
    LoseReply,
    /// STARTTLS is not offered.
    NotOffered,
    /// The TLS handshake is broken off.
    Break,
    /// This reply instead of the usual one.
    Reply(Reply),
}

impl Effect {
    /// Reads an effect at a stage, as a scenario file writes it.
    ///
    /// # Errors
    /// What was found and what this stage allows.
    pub fn parse(text: &str, stage: Stage) -> Result<Self, String> {
        let allowed = stage.effects();
        let expected = || not_allowed(text, &format!("an effect at stage {stage}"), allowed);
        let word = |word: &str| text == word && allowed.contains(&word);
        let effect = match text {
            _ if word("refuse") => Self::Refuse,
            _ if word("timeout") => Self::Timeout,
            _ if word("reset") => Self::Reset,
            _ if word("close") => Self::Close,
            _ if word("hang") => Self::Hang,
            _ if word("garbage") => Self::Garbage,
            _ if word("lose reply") => Self::LoseReply,
            _ if word("not offered") => Self::NotOffered,
            _ if word("break") => Self::Break,
            _ => match text.strip_prefix("delay ") {
                Some(span) if allowed.contains(&"delay 3s") => Self::Delay(
                    span.trim()
                        .parse::<Span>()
                        .map_err(|error| error.to_string())?
                        .0,
                ),
                _ if text.starts_with(|c: char| c.is_ascii_digit())
                    && allowed
                        .last()
                        .is_some_and(|last| last.starts_with("a reply")) =>
                {
                    Self::Reply(text.parse()?)
                }
                _ => return Err(expected()),
            },
        };
        Ok(effect)
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refuse => f.write_str("refuse"),
            Self::Timeout => f.write_str("timeout"),
            Self::Reset => f.write_str("reset"),
            Self::Close => f.write_str("close"),
            Self::Hang => f.write_str("hang"),
            Self::Garbage => f.write_str("garbage"),
            Self::Delay(span) => write!(f, "delay {}", Span(*span)),
            Self::LoseReply => f.write_str("lose reply"),
            Self::NotOffered => f.write_str("not offered"),
            Self::Break => f.write_str("break"),
            Self::Reply(reply) => write!(f, "{reply}"),
        }
    }
}

/// How a query travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream.
    Tcp,
}

/// What a fault does to a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEffect {
    /// Answered SERVFAIL.
    ServFail,
    /// Answered NXDOMAIN.
    NxDomain,
    /// Answered with no record.
    NoData,
    /// Answered REFUSED.
    Refused,
    /// Answered NOTIMP.
    NotImp,
    /// Answered FORMERR.
    FormErr,
    /// Not answered.
    Timeout,
    /// Over UDP, answered truncated and without records.
    Truncate,
    /// Answered after this long.
    Delay(Duration),
    /// Answered under another id.
    WrongId,
}

const QUERY_EFFECTS: [&str; 10] = [
    "servfail", "nxdomain", "nodata", "refused", "notimp", "formerr", "timeout", "truncate",
    "delay 2s", "wrong id",
];

impl FromStr for QueryEffect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "servfail" => Self::ServFail,
            "nxdomain" => Self::NxDomain,
            "nodata" => Self::NoData,
            "refused" => Self::Refused,
            "notimp" => Self::NotImp,
            "formerr" => Self::FormErr,
            "timeout" => Self::Timeout,
            "truncate" => Self::Truncate,
            "wrong id" => Self::WrongId,
            _ => match text.strip_prefix("delay ") {
                Some(span) => Self::Delay(
                    span.trim()
                        .parse::<Span>()
                        .map_err(|error| error.to_string())?
                        .0,
                ),
                None => return Err(not_allowed(text, "an effect on a query", &QUERY_EFFECTS)),
            },
        })
    }
}

impl fmt::Display for QueryEffect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(span) => write!(f, "delay {}", Span(*span)),
            Self::ServFail => f.write_str("servfail"),
            Self::NxDomain => f.write_str("nxdomain"),
            Self::NoData => f.write_str("nodata"),
            Self::Refused => f.write_str("refused"),
            Self::NotImp => f.write_str("notimp"),
            Self::FormErr => f.write_str("formerr"),
            Self::Timeout => f.write_str("timeout"),
            Self::Truncate => f.write_str("truncate"),
            Self::WrongId => f.write_str("wrong id"),
        }
    }
}

/// Which receivers a fault is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A name: all its addresses.
    Name(Domain),
    /// One address.
    Address(IpAddr),
}

impl Host {
    /// Whether a receiver is meant, given its address and names.
    pub(crate) fn covers(&self, address: IpAddr, names: &[Domain]) -> bool {
        match self {
            Self::Name(name) => names.contains(name),
            Self::Address(wanted) => *wanted == address,
        }
    }
}

impl FromStr for Host {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
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

/// What fails, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// A session at a stage.
    Session {
        /// The receivers that fail.
        host: Host,
        /// Where in the session.
        stage: Stage,
        /// How.
        effect: Effect,
        /// Only for this recipient, at stage `rcpt`.
        recipient: Option<String>,
    },
    /// A lookup.
    Query {
        /// The name asked for.
        name: Domain,
        /// The type asked for; `None` is every type.
        record_type: Option<RecordType>,
        /// Only over this transport.
        over: Option<Transport>,
        /// How.
        effect: QueryEffect,
    },
}

/// Something that fails, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What fails.
    pub failure: Failure,
    /// From this moment on.
    pub from: Moment,
    /// Until just before this moment.
    pub until: Option<Moment>,
    /// Only the first so many times.
    pub first: Option<u32>,
}

impl Fault {
    /// A fault that lasts until it is lifted.
    pub fn lasting(failure: Failure) -> Self {
        Self {
            failure,
            from: Moment::START,
            until: None,
            first: None,
        }
    }

    fn holds_at(&self, now: Moment) -> bool {
        self.from <= now && self.until.is_none_or(|until| now < until)
    }
}

/// Where a session stands when it asks what happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point<'a> {
    pub(crate) address: IpAddr,
    pub(crate) names: &'a [Domain],
    pub(crate) stage: Stage,
    pub(crate) recipient: Option<&'a str>,
}

/// The faults of a lab, and how often each has struck.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rows: BTreeMap<usize, (Fault, u32)>,
    /// Rows put up by hand come before those of the scenario, the latest first.
    by_hand: Vec<usize>,
    next: usize,
}

impl Faults {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let rows: BTreeMap<_, _> = faults
            .iter()
            .cloned()
            .map(|fault| (fault, 0))
            .enumerate()
            .collect();
        Self {
            next: rows.len(),
            rows,
            by_hand: Vec::new(),
        }
    }

    /// Puts a fault up, before all others.
    pub(crate) fn fail(&mut self, fault: Fault) {
        self.rows.insert(self.next, (fault, 0));
        self.by_hand.push(self.next);
        self.next += 1;
    }

    /// Lifts every fault that the predicate names; how many there were.
    pub(crate) fn lift(&mut self, matches: impl Fn(&Failure) -> bool) -> usize {
        let before = self.rows.len();
        self.rows.retain(|_, (fault, _)| !matches(&fault.failure));
        self.by_hand.retain(|index| self.rows.contains_key(index));
        before - self.rows.len()
    }

    /// What happens to a session here and now; counts as having struck.
    pub(crate) fn strike(&mut self, now: Moment, point: Point<'_>) -> Option<Effect> {
        self.first_match(now, |failure| session_effect(failure, point))
            .map(|(index, effect)| {
                self.count(index);
                effect
            })
    }

    /// What would happen, without counting; whether the answer depends on a count.
    pub(crate) fn foresee(&self, now: Moment, point: Point<'_>) -> Option<(Effect, bool)> {
        self.first_match(now, |failure| session_effect(failure, point))
            .map(|(index, effect)| (effect, self.rows[&index].0.first.is_some()))
    }

    /// What happens to a query now; counts as having struck.
    pub(crate) fn strike_query(
        &mut self,
        now: Moment,
        name: &Domain,
        record_type: RecordType,
        over: Transport,
    ) -> Option<QueryEffect> {
        self.first_match(now, |failure| match failure {
            Failure::Query {
                name: wanted,
                record_type: wanted_type,
                over: wanted_over,
                effect,
            } if wanted == name
                && wanted_type.is_none_or(|wanted| wanted == record_type)
                && wanted_over.is_none_or(|wanted| wanted == over)
                && (*effect != QueryEffect::Truncate || over == Transport::Udp) =>
            {
                Some(*effect)
            }
            _ => None,
        })
        .map(|(index, effect)| {
            self.count(index);
            effect
        })
    }

    /// The next moment after `now` at which a window opens or closes.
    pub(crate) fn next_change(&self, now: Moment) -> Option<Moment> {
        self.rows
            .values()
            .flat_map(|(fault, _)| [Some(fault.from), fault.until])
            .flatten()
            .filter(|moment| *moment > now)
            .min()
    }

    fn count(&mut self, index: usize) {
        if let Some((_, struck)) = self.rows.get_mut(&index) {
            *struck = struck.saturating_add(1);
        }
    }

    fn first_match<T>(
        &self,
        now: Moment,
        matches: impl Fn(&Failure) -> Option<T>,
    ) -> Option<(usize, T)> {
        let by_hand = self.by_hand.iter().rev();
        let rest = self
            .rows
            .keys()
            .filter(|index| !self.by_hand.contains(index));
        by_hand.chain(rest).find_map(|index| {
            let (fault, struck) = &self.rows[index];
            if !fault.holds_at(now) || fault.first.is_some_and(|first| *struck >= first) {
                return None;
            }
            matches(&fault.failure).map(|effect| (*index, effect))
        })
    }
}

fn session_effect(failure: &Failure, point: Point<'_>) -> Option<Effect> {
    match failure {
        Failure::Session {
            host,
            stage,
            effect,
            recipient,
        } if *stage == point.stage
            && host.covers(point.address, point.names)
            && recipient.as_deref().is_none_or(|wanted| {
                point
                    .recipient
                    .is_some_and(|found| found.eq_ignore_ascii_case(wanted))
            }) =>
        {
            Some(effect.clone())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(first: Option<u32>, from: u64, until: Option<u64>) -> Fault {
        let moment = |secs| Moment(Duration::from_secs(secs));
        Fault {
            failure: Failure::Session {
                host: Host::Name("mx1.test".parse().expect("a name")),
                stage: Stage::Connect,
                effect: Effect::Refuse,
                recipient: None,
            },
            from: moment(from),
            until: until.map(moment),
            first,
        }
    }

    fn strikes(faults: &mut Faults, at: u64) -> bool {
        let names = ["mx1.test".parse().expect("a name")];
        let point = Point {
            address: [192, 0, 2, 1].into(),
            names: &names,
            stage: Stage::Connect,
            recipient: None,
        };
        faults
            .strike(Moment(Duration::from_secs(at)), point)
            .is_some()
    }

    #[test]
    fn a_window_is_open_from_its_start_to_just_before_its_end() {
        let mut faults = Faults::new(&[refuse(None, 10, Some(20))]);
        assert_eq!(
            [9, 10, 19, 20].map(|at| strikes(&mut faults, at)),
            [false, true, true, false]
        );
        assert_eq!(
            faults.next_change(Moment::START),
            Some(Moment(Duration::from_secs(10)))
        );
    }

    #[test]
    fn a_count_ends_by_itself() {
        let mut faults = Faults::new(&[refuse(Some(2), 0, None)]);
        assert_eq!(
            [0, 0, 0].map(|at| strikes(&mut faults, at)),
            [true, true, false]
        );
    }

    #[test]
    fn what_was_put_up_by_hand_can_be_lifted() {
        let mut faults = Faults::default();
        faults.fail(refuse(None, 0, None));
        assert!(strikes(&mut faults, 5));
        assert_eq!(faults.lift(|_| true), 1);
        assert!(!strikes(&mut faults, 5));
    }

    #[test]
    fn effects_fit_their_stage() {
        assert!(Effect::parse("refuse", Stage::Connect).is_ok());
        assert!(Effect::parse("refuse", Stage::Mail).is_err());
        assert!(Effect::parse("lose reply", Stage::Dot).is_ok());
        assert!(Effect::parse("lose reply", Stage::Data).is_err());
        assert!(Effect::parse("451 4.3.2 later", Stage::Connect).is_err());
        assert!(Effect::parse("4511 later", Stage::Rcpt).is_err());
        assert_eq!(
            Effect::parse("delay 3s", Stage::Quit),
            Ok(Effect::Delay(Duration::from_secs(3)))
        );
        assert!(
            Effect::parse("hangs", Stage::Quit)
                .expect_err("a slip")
                .contains("did you mean \"hang\"")
        );
    }
}
