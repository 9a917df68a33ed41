//! Where a session or a lookup can fail, and how: the words of the fault table.
//!
//! Each effect is a word of the scenario format, and prints as that word. At which stage there is
//! which effect is here; what it does is the receiver's and the name server's.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    diagnostic::{Invalid, not_allowed},
    reply::Reply,
    time::HumanDuration,
};

/// A point in a session at which it can fail, in the order of a session.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// While the connection is made (TCP).
    Connect,
    /// The first reply of the server, before any command (RFC 5321 section 3.1).
    Greeting,
    /// EHLO, or HELO.
    Helo,
    /// STARTTLS and the handshake.
    Starttls,
    /// MAIL, which begins a transaction.
    Mail,
    /// RCPT, once for each recipient.
    Rcpt,
    /// DATA, before any content: the reply is 354.
    Data,
    /// While the content is received.
    Content,
    /// The final dot: with a positive reply the server accepts the message.
    Dot,
    /// QUIT, when the fate of all messages is settled.
    Quit,
}

impl Stage {
    /// Every stage, in the order of a session.
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

    /// The word for it in scenario files and logs, such as `greeting`.
    pub fn word(self) -> &'static str {
        [
            "connect", "greeting", "helo", "starttls", "mail", "rcpt", "data", "content", "dot",
            "quit",
        ][self as usize]
    }

    /// The effects that a fault can have here, with an example where there is a number or a text.
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
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Stage {
    fn read(text: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        Self::ALL
            .into_iter()
            .find(|stage| stage.word() == text)
            .ok_or_else(|| not_allowed(text, "a stage of a session", &words))
    }
}

/// What a fault makes a receiver do at a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The connection is refused (RST to the SYN).
    Refuse,
    /// The SYN is never answered.
    Timeout,
    /// The connection ends with an RST.
    Reset,
    /// The connection ends in order (FIN) where a reply was due.
    Close,
    /// Nothing is answered any more, and the connection stays open.
    Hang,
    /// A line is sent that is no SMTP reply.
    Garbage,
    /// The session goes on after this long.
    Delay(Duration),
    /// The message is accepted, and the connection ends before the reply: the client cannot know.
    LoseReply,
    /// STARTTLS is not in the reply to EHLO.
    NotOffered,
    /// STARTTLS is answered with 220, and the handshake is broken off.
    Break,
    /// This reply is given instead of the usual one.
    Reply(Reply),
}

impl Effect {
    /// Reads an effect at a stage, as a scenario file writes it.
    ///
    /// # Errors
    /// What was found and what this stage allows.
    pub fn parse(text: &str, stage: Stage) -> Result<Self, Invalid> {
        Ok(Self::read(text, stage)?)
    }

    /// Reads a word only where its stage can have it: `refuse` is of a connection, a reply is of a
    /// command. A mistake lists the effects of the stage.
    fn read(text: &str, stage: Stage) -> Result<Self, String> {
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
                        .parse::<HumanDuration>()
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
            Self::Delay(span) => write!(f, "delay {}", HumanDuration(*span)),
            Self::LoseReply => f.write_str("lose reply"),
            Self::NotOffered => f.write_str("not offered"),
            Self::Break => f.write_str("break"),
            Self::Reply(reply) => write!(f, "{reply}"),
        }
    }
}

/// How a query reaches the name server.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// A datagram (RFC 1035 section 4.2.1).
    Udp,
    /// A connection (RFC 1035 section 4.2.2).
    Tcp,
}

/// What a fault makes the name server do with a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEffect {
    /// It answers SERVFAIL.
    ServFail,
    /// It answers NXDOMAIN, whatever exists.
    NxDomain,
    /// It answers NOERROR without a record, whatever exists.
    NoData,
    /// Answered REFUSED.
    Refused,
    /// Answered NOTIMP.
    NotImp,
    /// Answered FORMERR.
    FormErr,
    /// It sends no answer.
    Timeout,
    /// Over UDP it answers with TC set and without records, so that the client has to ask again
    /// over TCP.
    Truncate,
    /// It answers after this long.
    Delay(Duration),
    /// It answers with another id than the query has.
    WrongId,
}

/// The words for them, as mistakes list them.
const QUERY_EFFECTS: [&str; 10] = [
    "servfail", "nxdomain", "nodata", "refused", "notimp", "formerr", "timeout", "truncate",
    "delay 2s", "wrong id",
];

impl FromStr for QueryEffect {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl QueryEffect {
    fn read(text: &str) -> Result<Self, String> {
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
                        .parse::<HumanDuration>()
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
            Self::Delay(span) => write!(f, "delay {}", HumanDuration(*span)),
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

#[cfg(test)]
mod tests {
    use super::*;

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
                .to_string()
                .contains("did you mean \"hang\"")
        );
    }
}
