//! MAIL and RCPT: what a receiver takes of them, and with which parameters.
//!
//! The order of commands is checked first (503, RFC 5321 section 4.1.4), then the parameters, then
//! faults may answer otherwise. Where a server stands behind the receiver, parameters are for that
//! one to judge.
//!
//! Any recipient is accepted: a drill that wants one refused has a fault for it.

use std::io;

use super::{Session, Step, command::Parameter, content::Chunks, is_positive};
use crate::{
    extension,
    fault::{Stage, Transfer, Whom},
    mail::{ByMode, dsn::is_utf8, encoded::is_unitext, mailbox::Path},
    reply::Reply,
};

/// Recipients of one transaction; RFC 5321 section 4.5.3.1.8 asks for 100 at least. More get 452,
/// which is transient (section 4.5.3.1.10).
const MAX_RECIPIENTS: usize = 1000;

/// A transaction under way: what the client gave, as it was accepted.
#[derive(Debug, Default)]
pub(super) struct ReceivedEnvelope {
    /// The reverse-path without angle brackets; empty for the null one.
    pub(super) from: String,
    /// The recipients accepted so far, in order.
    pub(super) to: Vec<String>,
    /// RCPT commands so far, accepted or not.
    pub(super) asked: usize,
    /// What of the content has come by BDAT (RFC 3030); `None` before the first.
    pub(super) chunks: Option<Chunks>,
    /// Whether MAIL said that the content is binary (`BODY=BINARYMIME`).
    pub(super) is_binary: bool,
    /// Whether MAIL said that the message is internationalised (`SMTPUTF8`).
    pub(super) is_utf8: bool,
}

impl ReceivedEnvelope {
    /// What is known of its message, of whose content so much has come.
    pub(super) fn transfer(&self, octets: Option<usize>) -> Transfer<'_> {
        Transfer {
            sender: Some(&self.from),
            to: Whom::All(&self.to),
            octets,
        }
    }
}

impl Session {
    /// MAIL. It begins a transaction if the reply is positive, whoever gave it.
    pub(super) async fn mail(&mut self, from: &Path, with: &[Parameter]) -> io::Result<Step> {
        let refusal = if !self.greeted {
            Some(Reply::new(503, "5.5.1 EHLO first"))
        } else if self.envelope.is_some() {
            Some(Reply::new(503, "5.5.1 a transaction is under way"))
        } else if let Some(refusal) = self.refusal_of_stranger() {
            Some(refusal)
        } else if let Some(refusal) = self.beyond_messages() {
            Some(refusal)
        } else if self.receiver.asks_the_server_behind() {
            None
        } else {
            let parameters = with.iter();
            let mut refusals = parameters.filter_map(|parameter| self.refusal_of_mail(parameter));
            // RFC 6531 section 3.5.
            let beyond = || {
                let is_beyond = !from.to_string().is_ascii() && !asks_utf8(with);
                is_beyond.then(|| Reply::new(550, "5.6.7 an address beyond ASCII needs SMTPUTF8"))
            };
            refusals.next().or_else(beyond)
        };
        let refused = refusal.is_some();
        self.note_particulars(with);
        if refused {
            // Not for the server behind: what it is told is what is in order here.
            self.command.clear();
        }
        let from = from.to_string();
        let reply = refusal.unwrap_or_else(|| Reply::new(250, "2.1.0 sender ok"));
        let (step, sent) = self.answer(Stage::Mail, Some(&from), None, reply).await?;
        if !refused && is_positive(sent.as_ref()) {
            let is_binary = |one: &Parameter| {
                let value = one.value.as_deref().unwrap_or_default();
                &*one.keyword == "BODY" && value.eq_ignore_ascii_case("BINARYMIME")
            };
            self.envelope = Some(ReceivedEnvelope {
                from,
                is_binary: with.iter().any(is_binary),
                is_utf8: asks_utf8(with),
                ..ReceivedEnvelope::default()
            });
        }
        Ok(step)
    }

    /// The reply to a parameter of MAIL that is not accepted; `None` if it is. 555 is for
    /// parameters that are not known or were not offered, 501 for values that are malformed (RFC 5321 section
    /// 4.1.1.11).
    fn refusal_of_mail(&self, parameter: &Parameter) -> Option<Reply> {
        let keyword = &*parameter.keyword;
        let value = parameter.value.as_deref();
        if matches!(keyword, "NOTIFY" | "ORCPT") || !self.offers_parameter(parameter) {
            return Some(not_offered(keyword));
        }
        let valid = match (keyword, value) {
            ("SIZE", Some(value)) => return self.refusal_of_size(value),
            ("BODY", Some(value)) => is_one_of(value, &["7BIT", "8BITMIME", "BINARYMIME"]),
            ("SMTPUTF8" | "REQUIRETLS", None) => true,
            ("RET", Some(value)) => is_one_of(value, &["FULL", "HDRS"]),
            ("ENVID", Some(value)) => value.len() <= 100 && is_xtext(value),
            ("MT-PRIORITY", Some(value)) => is_priority(value),
            ("BY", Some(value)) => return self.refusal_of_time(value),
            // `<>`, or the mailbox of who submitted it (RFC 4954 section 5).
            ("AUTH", Some(value)) => value.len() <= 500 && is_xtext(value),
            _ => false,
        };
        (!valid).then(|| bad_value(keyword))
    }

    /// The reply to a parameter of RCPT that is not accepted; `None` if it is (RFC 3461 section 4).
    fn refusal_of_rcpt(&self, parameter: &Parameter) -> Option<Reply> {
        let keyword = &*parameter.keyword;
        if !matches!(keyword, "NOTIFY" | "ORCPT") || !self.offers_parameter(parameter) {
            return Some(not_offered(keyword));
        }
        let valid = match (keyword, parameter.value.as_deref()) {
            ("NOTIFY", Some(value)) => is_notify(value),
            ("ORCPT", Some(value)) => {
                let (kind, address) = value.split_once(';').unwrap_or(("", ""));
                let is_address = match is_utf8(kind) {
                    true => is_unitext(address, self.offers("SMTPUTF8")),
                    false => is_xtext(address),
                };
                value.len() <= 500 && !kind.is_empty() && !address.is_empty() && is_address
            }
            _ => false,
        };
        (!valid).then(|| bad_value(keyword))
    }

    /// Whether the extension of a parameter was offered.
    fn offers_parameter(&self, parameter: &Parameter) -> bool {
        let of = extension::of_parameter(&parameter.keyword, parameter.value.as_deref());
        of.is_some_and(|extension| self.offers(extension))
    }

    /// RFC 1870 section 3: up to twenty digits, which are more than a machine may count.
    ///
    /// One over the limit gets 552 at once, which spares both sides the content.
    fn refusal_of_size(&self, value: &str) -> Option<Reply> {
        let plain = (1..=20).contains(&value.len()) && value.bytes().all(|o| o.is_ascii_digit());
        if !plain {
            return Some(bad_value("SIZE"));
        }
        let most = u64::try_from(self.max_size()).unwrap_or(u64::MAX);
        let has_room = value.parse::<u64>().is_ok_and(|size| size <= most);
        (!has_room).then(|| Reply::new(552, "5.3.4 message too large"))
    }

    /// RFC 2852 section 3: less than the server's least time is refused, unless the author is only to be told.
    fn refusal_of_time(&self, value: &str) -> Option<Reply> {
        let Some((seconds, mode)) = deliver_by(value) else {
            return Some(bad_value("BY"));
        };
        let least = extension::least_time(&self.offered).unwrap_or(0);
        (mode == ByMode::Return && seconds < least).then(|| {
            Reply::new(
                555,
                format!("5.5.4 BY of less than {least} seconds is not offered"),
            )
        })
    }

    /// RCPT. A recipient is accepted if the reply is positive, whoever gave it.
    pub(super) async fn rcpt(&mut self, to: &Path, with: &[Parameter]) -> io::Result<Step> {
        let to = to.to_string();
        let beyond = self.beyond_recipients(&to);
        let refusal = match &self.envelope {
            None => Some(Reply::new(503, "5.5.1 MAIL first")),
            Some(_) if beyond.is_some() => beyond,
            Some(_) if self.receiver.asks_the_server_behind() => None,
            Some(envelope) if envelope.to.len() >= MAX_RECIPIENTS => {
                Some(Reply::new(452, "4.5.3 too many recipients"))
            }
            // RFC 6531 section 3.5.
            Some(envelope) if !envelope.is_utf8 && !to.is_ascii() => Some(Reply::new(
                553,
                "5.6.7 an address beyond ASCII needs SMTPUTF8",
            )),
            Some(_) => with
                .iter()
                .find_map(|parameter| self.refusal_of_rcpt(parameter)),
        };
        let refused = refusal.is_some();
        self.note_particulars(with);
        if refused {
            // Not for the server behind: what it is told is what is in order here.
            self.command.clear();
        }
        let reply = refusal.unwrap_or_else(|| Reply::new(250, "2.1.5 recipient ok"));
        let (step, sent) = self
            .answer(Stage::Rcpt, Some(&to), Some(&to), reply)
            .await?;
        if let Some(envelope) = self
            .envelope
            .as_mut()
            .filter(|_| !refused && is_positive(sent.as_ref()))
        {
            envelope.to.push(to);
        }
        Ok(step)
    }

    /// Notes what the log is to have beside the mailbox. A server behind a receiver that judges parameters itself gets
    /// none of them: it may not know what the scenario offers.
    fn note_particulars(&mut self, with: &[Parameter]) {
        let path = self.command.iter().skip_while(|octet| **octet != b'<');
        self.more.source_route = path.skip(1).copied().next() == Some(b'@');
        self.more.parameters = with.iter().map(ToString::to_string).collect();
        let end = self.command.iter().rposition(|octet| *octet == b'>');
        if let Some(end) = end.filter(|_| !self.receiver.asks_the_server_behind()) {
            self.command.truncate(end + 1);
            self.command.extend_from_slice(b"\r\n");
        }
    }
}

/// Whether MAIL says that the message is internationalised (RFC 6531 section 3.4).
fn asks_utf8(with: &[Parameter]) -> bool {
    with.iter().any(|one| &*one.keyword == "SMTPUTF8")
}

/// `0`, or a digit that is none, perhaps negative (RFC 6710 section 7).
fn is_priority(value: &str) -> bool {
    let digits = value.strip_prefix('-').unwrap_or(value);
    value == "0" || matches!(digits.as_bytes(), [b'1'..=b'9'])
}

/// Words are compared without case.
fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| word.eq_ignore_ascii_case(value))
}

/// The reply to a parameter that was not announced. Its keyword is cut: a client chooses its
/// length.
fn not_offered(keyword: &str) -> Reply {
    let shown: String = keyword.chars().take(40).collect();
    Reply::new(555, format!("5.5.4 parameter {shown} is not offered"))
}

fn bad_value(keyword: &str) -> Reply {
    Reply::new(501, format!("5.5.4 bad value of {keyword}"))
}

/// `NEVER`, or some of the others, each once (RFC 3461 section 4.1).
fn is_notify(value: &str) -> bool {
    let words: Vec<String> = value.split(',').map(str::to_ascii_uppercase).collect();
    let known = |word: &String| matches!(&**word, "SUCCESS" | "FAILURE" | "DELAY");
    words == ["NEVER"]
        || words.iter().all(known) && (1..words.len()).all(|n| !words[..n].contains(&words[n]))
}

/// Printable ASCII, `+` and `=` as `+` and two digits of upper-case hexadecimal (RFC 3461 section 4).
fn is_xtext(value: &str) -> bool {
    let is_digit = |octet: &u8| octet.is_ascii_digit() || (b'A'..=b'F').contains(octet);
    let mut octets = value.bytes();
    while let Some(octet) = octets.next() {
        let valid = match octet {
            b'+' => (0..2).all(|_| octets.next().is_some_and(|octet| is_digit(&octet))),
            octet => octet.is_ascii_graphic() && octet != b'=',
        };
        if !valid {
            return false;
        }
    }
    true
}

/// Seconds, perhaps negative, and a mode (RFC 2852 section 4): `120;R`, `-5;NT`. Who wants it returned must leave some
/// time.
fn deliver_by(value: &str) -> Option<(i64, ByMode)> {
    let (seconds, mode) = value.split_once(';')?;
    let digits = seconds.strip_prefix(['-', '+']).unwrap_or(seconds);
    let is_time = (1..=9).contains(&digits.len()) && digits.bytes().all(|o| o.is_ascii_digit());
    let seconds = seconds.parse().ok().filter(|_| is_time)?;
    let mode = match &*mode.to_ascii_uppercase() {
        "R" | "RT" if seconds > 0 => ByMode::Return,
        "N" | "NT" => ByMode::Notify,
        _ => return None,
    };
    Some((seconds, mode))
}

#[cfg(test)]
mod tests {
    use super::{deliver_by, is_priority};

    #[test]
    fn a_time_is_seconds_and_a_mode_and_what_is_to_be_returned_has_some_left() {
        for right in ["120;R", "1;rt", "0;N", "-5;NT", "+999999999;R"] {
            assert!(deliver_by(right).is_some(), "{right}");
        }
        for wrong in [
            "0;R",
            "-5;RT",
            "120",
            "120;X",
            "1234567890;N",
            ";R",
            "1.5;N",
        ] {
            assert_eq!(deliver_by(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_priority_is_written_in_one_way() {
        for right in ["-9", "-1", "0", "4", "9"] {
            assert!(is_priority(right), "{right}");
        }
        for wrong in ["", "-", "-0", "+5", "05", "10", "-10", "x"] {
            assert!(!is_priority(wrong), "{wrong}");
        }
    }
}
