//! What a receiver can bear, and what it answers beyond.
//!
//! Data with the defaults of real servers; what is counted, and when something is over, is the receiver's
//! (`crate::lab`). A reply stands beside each limit, so that a log can be held against it.

use std::{fmt, str::FromStr, time::Duration};

use crate::{diagnostic::Invalid, fault::Stage, reply::Reply, time::HumanDuration, words::words};

/// The limits of a receiver; `None` is no limit, or that of another row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Sessions at one time; beyond, the greeting is a 421.
    pub max_sessions: Option<Limit>,
    /// Recipients of a transaction; beyond, RCPT is answered 452 (RFC 5321 section 4.5.3.1.10).
    pub max_recipients: Option<Limit>,
    /// Transactions of a session; beyond, MAIL is answered 421.
    pub max_messages: Option<Limit>,
    /// Messages or connections in a time.
    pub rate: Option<Rate>,
    /// Octets of content that are read in a second.
    pub bandwidth: Option<Bandwidth>,
    /// How replies are sent.
    pub trickle: Option<Trickle>,
    /// Refuses whom it does not know for a while (RFC 6647).
    pub greylist: Option<Greylist>,
    /// After so long without a command nothing is answered any more, as where a firewall has forgotten the
    /// session.
    pub silent_after: Option<Duration>,
}

/// A number of something, and the reply to what is beyond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// As many are taken.
    pub most: usize,
    /// The reply to the next one; after a 421 the receiver closes.
    pub reply: Reply,
}

/// Messages or connections in a time.
///
/// It is counted as the anvil server of Postfix does: a window begins with the first that comes, and the
/// first that comes once it is over begins the next. Of ten a minute the eleventh passes a minute after the
/// first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// How many are taken in what time.
    pub most: Frequency,
    /// What is counted.
    pub of: Counted,
    /// Whose are counted together.
    pub by: CountedBy,
    /// The reply to what is beyond, at MAIL or in place of the greeting.
    pub reply: Reply,
}

/// A number in a second, a minute, an hour or a day: `10/min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frequency {
    /// How many.
    pub times: u32,
    /// In which time.
    pub per: Duration,
}

words! {
    /// What a rate counts.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Counted {
        /// MAIL commands; the default.
        Messages = "messages",
        /// Connections.
        Connections = "connections",
    }
}

words! {
    /// Whose messages or connections a rate counts together.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum CountedBy {
        /// Those of each client address; the default.
        Client = "client",
        /// Those of all clients.
        All = "all",
    }
}

words! {
    /// How a receiver sends its replies where it does not send each in one piece.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Trickle {
        /// Octet by octet.
        Octets = "octets",
        /// In two segments, of which the first ends within the text.
        Segments = "segments",
        /// Lines end with LF alone.
        Lf = "lf",
        /// In fifty lines (but for EHLO, whose lines have a meaning).
        Lines = "lines",
    }
}

/// Octets in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth(u64);

/// A client is refused until it has waited (RFC 6647): the network of its address, the reverse-path and the
/// recipient together are one to be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greylist {
    /// For how long after the first attempt it is refused.
    pub wait: Duration,
    /// From when on after the first attempt it is a new one, if it did not come back until then. 24 hours (RFC
    /// 6647 section 5).
    pub window: Duration,
    /// Whether all receivers with such a list have one; else each has its own.
    pub shared: bool,
    /// The reply to RCPT meanwhile.
    pub reply: Reply,
}

impl Limit {
    /// A limit of sessions, with the usual reply.
    pub fn of_sessions(most: usize) -> Self {
        let reply = Reply::new(421, "4.7.0 too many sessions, try again later");
        Self { most, reply }
    }

    /// A limit of recipients, with the usual reply.
    pub fn of_recipients(most: usize) -> Self {
        let reply = Reply::new(452, "4.5.3 too many recipients");
        Self { most, reply }
    }

    /// A limit of messages in a session, with the usual reply.
    pub fn of_messages(most: usize) -> Self {
        let reply = Reply::new(421, "4.7.0 too many messages in this session");
        Self { most, reply }
    }
}

impl Rate {
    /// A rate with the usual reply.
    pub fn new(most: Frequency, of: Counted, by: CountedBy) -> Self {
        let reply = match of {
            Counted::Messages => Reply::new(450, "4.7.1 too many messages, try again later"),
            Counted::Connections => Reply::new(421, "4.7.0 too many connections, try again later"),
        };
        Self {
            most,
            of,
            by,
            reply,
        }
    }
}

impl Greylist {
    /// A list of each receiver's own, with the usual reply.
    pub fn new(wait: Duration) -> Self {
        Self {
            wait,
            window: Self::WINDOW,
            shared: false,
            reply: Reply::new(451, "4.7.1 greylisted, try again later"),
        }
    }

    /// The usual window.
    pub(super) const WINDOW: Duration = Duration::from_secs(24 * 60 * 60);
}

/// How a log shows that a limit was met.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LimitShown<'a> {
    /// By its reply at a stage.
    Reply(Stage, &'a Reply),
    /// By the end of a content that was received.
    Content,
    /// By any reply.
    AnyReply,
    /// By a command without an answer.
    Silence,
}

impl Limits {
    /// Those of a row, and of another where this one says nothing.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            max_sessions: self.max_sessions.or_else(|| other.max_sessions.clone()),
            max_recipients: self.max_recipients.or_else(|| other.max_recipients.clone()),
            max_messages: self.max_messages.or_else(|| other.max_messages.clone()),
            rate: self.rate.or_else(|| other.rate.clone()),
            bandwidth: self.bandwidth.or(other.bandwidth),
            trickle: self.trickle.or(other.trickle),
            greylist: self.greylist.or_else(|| other.greylist.clone()),
            silent_after: self.silent_after.or(other.silent_after),
        }
    }

    /// Each that is there, as a person would write it, and how it shows.
    pub(crate) fn each(&self) -> Vec<(String, LimitShown<'_>)> {
        let limits = [
            ("max_sessions", &self.max_sessions, Stage::Greeting),
            ("max_recipients", &self.max_recipients, Stage::Rcpt),
            ("max_messages", &self.max_messages, Stage::Mail),
        ];
        let mut each: Vec<(String, LimitShown<'_>)> = limits
            .into_iter()
            .filter_map(|(key, limit, stage)| {
                let limit = limit.as_ref()?;
                let shown = LimitShown::Reply(stage, &limit.reply);
                Some((format!("{key} = {}", limit.most), shown))
            })
            .collect();
        each.extend(self.rate.as_ref().map(|rate| {
            let shown = LimitShown::Reply(rate.of.stage(), &rate.reply);
            (format!("rate = {:?}", rate.most.to_string()), shown)
        }));
        each.extend(self.bandwidth.map(|bandwidth| {
            let text = format!("bandwidth = {:?}", bandwidth.to_string());
            (text, LimitShown::Content)
        }));
        each.extend(self.trickle.map(|trickle| {
            let text = format!("trickle = {:?}", trickle.word());
            (text, LimitShown::AnyReply)
        }));
        each.extend(self.greylist.as_ref().map(|greylist| {
            let wait = HumanDuration(greylist.wait);
            let shown = LimitShown::Reply(Stage::Rcpt, &greylist.reply);
            (format!("greylist = \"{wait}\""), shown)
        }));
        each.extend(self.silent_after.map(|wait| {
            let text = format!("silent_after = \"{}\"", HumanDuration(wait));
            (text, LimitShown::Silence)
        }));
        each
    }
}

impl Counted {
    /// Where what is beyond is answered.
    pub(crate) fn stage(self) -> Stage {
        match self {
            Self::Messages => Stage::Mail,
            Self::Connections => Stage::Greeting,
        }
    }
}

/// The times of a frequency, by their words.
const TIMES: [(&str, u64); 4] = [("s", 1), ("min", 60), ("h", 3600), ("d", 86_400)];

impl FromStr for Frequency {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let (times, per) = text.split_once('/')?;
            let (_, seconds) = TIMES.iter().find(|(word, _)| *word == per)?;
            let times = times.parse().ok().filter(|times| *times > 0)?;
            let per = Duration::from_secs(*seconds);
            Some(Self { times, per })
        };
        let expected = || {
            format!(
                "found {text:?}, expected a rate such as \"10/min\" (in s, min, h or d, 1 at least)"
            )
        };
        Ok(read().ok_or_else(expected)?)
    }
}

impl fmt::Display for Frequency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times = TIMES.iter();
        let word = times.find(|(_, seconds)| self.per == Duration::from_secs(*seconds));
        match word {
            Some((word, _)) => write!(f, "{}/{word}", self.times),
            None => write!(f, "{}/{}", self.times, HumanDuration(self.per)),
        }
    }
}

/// The units of a bandwidth, the largest first.
const UNITS: [(&str, u64); 3] = [("MB/s", 1_000_000), ("kB/s", 1000), ("B/s", 1)];

impl Bandwidth {
    /// In how long so many octets are read.
    pub(crate) fn time_of(self, octets: u64) -> Duration {
        let nanoseconds = u128::from(octets) * 1_000_000_000 / u128::from(self.0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    }

    /// How many octets are read at once: what a second brings.
    pub(crate) fn piece(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Bandwidth {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let read = || {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, unit) = text.split_at(digits);
            let (_, factor) = UNITS.iter().find(|(word, _)| *word == unit.trim_start())?;
            let octets = number.parse::<u64>().ok()?.checked_mul(*factor)?;
            (octets > 0).then_some(Self(octets))
        };
        let expected = || {
            format!(
                "found {text:?}, expected octets in a second, such as \"10kB/s\" (B/s, kB/s or MB/s, 1 at least)"
            )
        };
        Ok(read().ok_or_else(expected)?)
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut units = UNITS.iter();
        let (unit, factor) = units
            .find(|(_, factor)| self.0.is_multiple_of(*factor))
            .expect("1 divides every number");
        write!(f, "{}{unit}", self.0 / factor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_bandwidths_read_and_write_the_same() {
        for text in ["10/min", "1/s", "3/h", "1000/d"] {
            let read: Frequency = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
        for text in ["10kB/s", "9600B/s", "2MB/s"] {
            let read: Bandwidth = text.parse().expect(text);
            assert_eq!(read.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_rate_or_bandwidth_is_refused() {
        for text in ["", "10", "0/min", "10/m", "-1/s", "/s", "10/min/s"] {
            assert!(text.parse::<Frequency>().is_err(), "{text:?}");
        }
        for text in [
            "",
            "10",
            "0B/s",
            "kB/s",
            "10 KB/s",
            "99999999999999999999B/s",
        ] {
            assert!(text.parse::<Bandwidth>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_a_row_says_comes_before_another() {
        let one = Limits {
            max_sessions: Some(Limit::of_sessions(1)),
            ..Limits::default()
        };
        let other = Limits {
            max_sessions: Some(Limit::of_sessions(2)),
            max_messages: Some(Limit::of_messages(2)),
            ..Limits::default()
        };
        let both = one.or(&other);
        assert_eq!(both.max_sessions.map(|limit| limit.most), Some(1));
        assert_eq!(both.max_messages.map(|limit| limit.most), Some(2));
    }
}
