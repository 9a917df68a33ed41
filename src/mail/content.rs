//! The content of a drill's messages: a pure function of the message, so that it need not be kept, and what arrives
//! can be held against what was sent. Dots are stuffed elsewhere (`connection::on_the_wire`).

use std::borrow::Cow;

use super::{Mailbox, Message};
use crate::{name::SENDER_DOMAIN, time::Moment};

/// What follows the message's id in the Message-ID fields of the drill's messages, as in
/// `<m1@mxdrill.test>`.
pub(crate) const ID_DOMAIN: &str = "@mxdrill.test>";

/// One line of filling, 70 octets with its CRLF: well below the 78 characters that RFC 5322 section
/// 2.1.1 recommends, so that no server breaks or rejects the line.
const FILLING: &str = "Paper, dust and the smell of rain; the postman rings no second time.\r\n";

/// The header and body of a drill message, dots not stuffed.
///
/// The Message-ID carries the drill's own id at `mxdrill.test`. It is how a receiver knows which
/// message it got, also from senders that change everything else. `received` Received fields come
/// first, as if the message had passed through that many hosts. If the message has a `size`, the
/// body is filled up to exactly so many octets, where the header leaves room. Dates count from the
/// drill's start, not from the clock on the wall.
pub(crate) fn message(message: &Message) -> Vec<u8> {
    let mut text = String::new();
    // Each host adds its field at the top (RFC 5321 section 4.4), so the last hop comes first.
    for hop in (1..=message.received).rev() {
        text.push_str(&format!(
            "Received: from hop{}.test by hop{hop}.test; {}\r\n",
            hop - 1,
            date(message.at)
        ));
    }
    let daemon = || format!("mailer-daemon@{SENDER_DOMAIN}");
    let from = message.from.as_ref();
    let from = from.map_or_else(daemon, |from| from.said().into_owned());
    let to: Vec<Cow<'_, str>> = message.to.iter().map(Mailbox::said).collect();
    text.push_str(&format!(
        "Date: {}\r\nFrom: {}\r\nTo: {}\r\nSubject: drill message {}\r\nMessage-ID: <{}{ID_DOMAIN}\r\n",
        date(message.at),
        from,
        to.join(", "),
        message.id,
        message.id,
    ));
    for field in message.header.iter() {
        text.push_str(&format!("{field}\r\n"));
    }
    let body = body(message);
    if message.binary {
        text.push_str(
            "MIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n",
        );
    } else if !body.is_ascii() {
        text.push_str(
            "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n",
        );
    }
    text.push_str("\r\n");
    text.push_str(&body);
    let size = message.size.unwrap_or(0);
    while text.len() < size {
        let left = size - text.len();
        // A line needs two octets for its end; what is too short for that joins the last line.
        text.push_str(if left >= FILLING.len() + 2 {
            FILLING
        } else {
            ""
        });
        // The rest: an `x` and dots, then CRLF. The line must not begin with a dot, which stuffing
        // would double: the message would be an octet too long.
        if left < FILLING.len() + 2 {
            text.push_str(&".".repeat(left.saturating_sub(2)).replacen('.', "x", 1));
            text.push_str("\r\n");
            break;
        }
    }
    text.into_bytes()
}

/// The text that a message has before it is filled up to its size, each line ended by CRLF; of a binary one the octets
/// as they are.
fn body(message: &Message) -> Cow<'_, str> {
    match &message.body {
        // What DATA could not carry: a NUL, lines that end otherwise, a dot that would end it.
        None if message.binary => {
            "This is a drill.\0\nIts lines end as they like.\r\r\n.\r\n".into()
        }
        Some(text) if message.binary => (&**text).into(),
        None => "This is a drill.\r\n".into(),
        Some(text) => text
            .lines()
            .map(|line| format!("{line}\r\n"))
            .collect::<String>()
            .into(),
    }
}

/// What tells one body from another: all octets behind the header (FNV-1a, 64 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct BodyDigest(pub u64);

impl BodyDigest {
    /// That of no octets.
    pub(crate) const EMPTY: Self = Self(0xcbf2_9ce4_8422_2325);

    /// That of further octets behind these.
    pub(crate) fn and(self, octets: &[u8]) -> Self {
        let step =
            |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3);
        Self(octets.iter().fold(self.0, step))
    }

    /// That of the body of a whole content.
    pub(crate) fn of(content: &[u8]) -> Self {
        Self::EMPTY.and(body_of(content))
    }
}

/// The octets behind the empty line that ends the header.
pub(crate) fn body_of(content: &[u8]) -> &[u8] {
    let end = content.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(&[], |end| &content[end + 4..])
}

/// The RFC 5322 date of a moment, if the drill starts on Thursday 1 January 2026 at 00:00:00 UTC.
/// Leap days are left out: the first would come in 2028, two years into a drill.
pub(crate) fn date(moment: Moment) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let secs = moment.0.as_secs();
    let days = secs / 86_400;
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let mut day = days % 365;
    let mut month = "Dec";
    for (name, length) in MONTHS {
        if day < length {
            month = name;
            break;
        }
        day -= length;
    }
    let clock = secs % 86_400;
    format!(
        "{weekday}, {} {month} {} {:02}:{:02}:{:02} +0000",
        day + 1,
        2026 + days / 365,
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_size_asked_for() {
        for size in [400, 401, 777, 4096, 100_000] {
            let to = std::sync::Arc::new(["a@b.test".parse().expect("a mailbox")]);
            let asked = Message {
                size: Some(size),
                ..Message::plain("m".into(), Moment::START, None, to)
            };
            assert_eq!(message(&asked).len(), size);
        }
    }

    #[test]
    fn dates_count_from_the_start_of_2026() {
        assert_eq!(date(Moment::START), "Thu, 1 Jan 2026 00:00:00 +0000");
        assert_eq!(
            date(Moment(std::time::Duration::from_secs(40 * 86_400 + 3661))),
            "Tue, 10 Feb 2026 01:01:01 +0000"
        );
    }
}
