//! Where a session or a lookup can fail, and how: the words of the fault table.
//!
//! Each effect is a word of the scenario format, and prints as that word. At which stage there is
//! which effect is here; what it does is the receiver's and the name server's.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    diagnostic::{Invalid, not_allowed},
    reply::Reply,
    time::HumanDuration,
    words::words,
};

words! {
    /// A point in a session at which it can fail, in the order of a session.
    #[derive(
        Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
    )]
    #[serde(rename_all = "lowercase")]
    pub enum Stage {
        /// While the connection is made (TCP).
        Connect = "connect",
        /// The first reply of the server, before any command (RFC 5321 section 3.1).
        Greeting = "greeting",
        /// EHLO, or HELO.
        Helo = "helo",
        /// STARTTLS and the handshake.
        Starttls = "starttls",
        /// AUTH (RFC 4954): the reply to the credentials.
        Auth = "auth",
        /// MAIL, which begins a transaction.
        Mail = "mail",
        /// RCPT, once for each recipient.
        Rcpt = "rcpt",
        /// DATA, before any content: the reply is 354.
        Data = "data",
        /// While the content is received.
        Content = "content",
        /// The final dot: with a positive reply the server accepts the message.
        Dot = "dot",
        /// QUIT, when the fate of all messages is settled.
        Quit = "quit",
    }
}

impl Stage {
    /// The effects that a fault can have here, with an example where there is a number or a text.
    pub fn effects(self) -> &'static [&'static str] {
        match self {
            Self::Connect => &["refuse", "timeout", "reset", "unreachable"],
            Self::Content => &["hang", "close", "reset", "delay 3s"],
            Self::Starttls => &[
                "not offered",
                "break",
                "inject 250 text",
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

impl FromStr for Stage {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self::read(text)?)
    }
}

impl Stage {
    fn read(text: &str) -> Result<Self, String> {
        let words = Self::ALL.map(Self::word);
        Self::named(text).ok_or_else(|| not_allowed(text, "a stage of a session", &words))
    }
}

words! {
    /// What a fault makes a receiver do at a stage.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub enum Effect {
        /// The connection is refused (RST to the SYN).
        Refuse = "refuse",
        /// The SYN is never answered.
        Timeout = "timeout",
        /// The network says that there is no way to the host (ICMP).
        Unreachable = "unreachable",
        /// The connection ends with an RST.
        Reset = "reset",
        /// The connection ends in order (FIN) where a reply was due.
        Close = "close",
        /// Nothing is answered any more, and the connection stays open.
        Hang = "hang",
        /// A line is sent that is no SMTP reply.
        Garbage = "garbage",
        /// The message is accepted, and the connection ends before the reply: the client cannot know.
        LoseReply = "lose reply",
        /// STARTTLS is not in the reply to EHLO.
        NotOffered = "not offered",
        /// STARTTLS is answered with 220, and the handshake is broken off.
        Break = "break",
        ;
        /// The session goes on after this long.
        Delay(Duration),
        /// This reply is given instead of the usual one. Each line of its text is one of the reply.
        Reply(Reply),
        /// STARTTLS is answered with 220, and with these octets in plain text in the same segment.
        Inject(String),
    }
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
        let mut words = Self::WORDS.into_iter();
        let known = words.find(|(word, _)| *word == text && allowed.contains(word));
        let effect = match known {
            Some((_, effect)) => effect,
            None => match text.strip_prefix("delay ") {
                _ if allowed.contains(&"inject 250 text") && text.starts_with("inject ") => {
                    Self::Inject(injected(&text["inject ".len()..])?)
                }
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

impl Effect {
    /// Reads a reply of several lines, as they stand on the wire but for their ends: a hyphen follows the code
    /// in all but the last (RFC 5321 section 4.2.1).
    pub(crate) fn of_lines(lines: &[&str], stage: Stage) -> Result<Self, String> {
        let last = lines.last().copied().unwrap_or_default();
        // What the stage allows is told of one of them.
        let Self::Reply(Reply { code, .. }) = Self::read(last, stage)? else {
            return Err(format!(
                "found {last:?}, expected the last line of a reply, such as \"250 last\""
            ));
        };
        let mut texts = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let sign = if index + 1 == lines.len() { ' ' } else { '-' };
            let text = line.strip_prefix(&code.to_string());
            let text = match text {
                Some("") if sign == ' ' => Some(""),
                text => text.and_then(|text| text.strip_prefix(sign)),
            };
            let fits =
                |text: &&str| text.len() <= Reply::MAX_TEXT && !text.contains(char::is_control);
            let expected = || {
                format!(
                    "found {line:?}, expected line {} of the reply, such as \"{code}{sign}text\" of at most {} octets",
                    index + 1,
                    Reply::MAX_TEXT + 4
                )
            };
            texts.push(text.filter(fits).ok_or_else(expected)?);
        }
        Ok(Self::Reply(Reply::new(code, texts.join("\n"))))
    }
}

/// What is sent behind the 220, which is a line.
fn injected(text: &str) -> Result<String, String> {
    let is_line = !text.is_empty() && text.len() <= 500 && !text.contains(char::is_control);
    let expected =
        || format!("found {text:?}, expected a line to inject, such as \"inject 250 text\"");
    is_line.then(|| text.to_owned()).ok_or_else(expected)
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delay(span) => write!(f, "delay {}", HumanDuration(*span)),
            Self::Reply(reply) => f.write_str(&reply.to_string().replace('\n', " | ")),
            Self::Inject(text) => write!(f, "inject {text}"),
            other => f.write_str(other.fixed_word().unwrap_or_default()),
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

words! {
    /// What a fault makes the name server do with a query.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum QueryEffect {
        /// It answers SERVFAIL (RCODE 2, RFC 1035 section 4.1.1).
        ServFail = "servfail",
        /// It answers NXDOMAIN (RCODE 3), whatever exists.
        NxDomain = "nxdomain",
        /// It answers NOERROR without a record, whatever exists.
        NoData = "nodata",
        /// It answers REFUSED (RCODE 5).
        Refused = "refused",
        /// It answers NOTIMP (RCODE 4).
        NotImp = "notimp",
        /// It answers FORMERR (RCODE 1).
        FormErr = "formerr",
        /// It sends no answer.
        Timeout = "timeout",
        /// Over UDP it answers with TC set and without records, so that the client has to ask again
        /// over TCP.
        Truncate = "truncate",
        /// It answers with another id than the query has.
        WrongId = "wrong id",
        ;
        /// It answers after this long.
        Delay(Duration),
    }
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
    /// The words for them, with an example where there is a number.
    pub fn examples() -> &'static [&'static str] {
        &QUERY_EFFECTS
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut words = Self::WORDS.into_iter();
        Ok(match words.find(|(word, _)| *word == text) {
            Some((_, effect)) => effect,
            None => match text.strip_prefix("delay ") {
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
            other => f.write_str(other.fixed_word().unwrap_or_default()),
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
