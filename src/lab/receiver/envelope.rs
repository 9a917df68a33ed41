//! MAIL and RCPT: what a receiver takes of them, and with which parameters.
//!
//! The order of commands is checked first (503, RFC 5321 section 4.1.4), then the parameters, then
//! faults may answer otherwise. Where a server stands behind the receiver, parameters are for that
//! one to judge.
//!
//! Any recipient is accepted: a drill that wants one refused has a fault for it.

use std::io;

use super::{Session, Step, command::Parameter, is_positive};
use crate::{fault::Stage, mail::mailbox::Path, reply::Reply};

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
}

impl Session {
    /// MAIL. It begins a transaction if the reply is positive, whoever gave it.
    pub(super) async fn mail(&mut self, from: &Path, with: &[Parameter]) -> io::Result<Step> {
        let refusal = if !self.greeted {
            Some(Reply::new(503, "5.5.1 EHLO first"))
        } else if self.envelope.is_some() {
            Some(Reply::new(503, "5.5.1 a transaction is under way"))
        } else if self.receiver.upstream.is_some() {
            None
        } else {
            with.iter()
                .find_map(|parameter| self.refusal_of_mail(parameter))
        };
        let refused = refusal.is_some();
        if refused {
            // Not for the server behind: what it is told is what is in order here.
            self.command.clear();
        }
        let from = from.to_string();
        let reply = refusal.unwrap_or_else(|| Reply::new(250, "2.1.0 sender ok"));
        let (step, sent) = self.answer(Stage::Mail, Some(&from), None, reply).await?;
        if !refused && is_positive(sent.as_ref()) {
            let to = Vec::new();
            self.envelope = Some(ReceivedEnvelope { from, to });
        }
        Ok(step)
    }

    /// The reply to a parameter of MAIL that is not accepted; `None` if it is. 555 is for
    /// parameters that are not known, 501 for values that are malformed (RFC 5321 section
    /// 4.1.1.11).
    fn refusal_of_mail(&self, parameter: &Parameter) -> Option<Reply> {
        let keyword = &*parameter.keyword;
        match (keyword, parameter.value.as_deref()) {
            ("SIZE", Some(value)) => self.refusal_of_size(value),
            ("BODY", Some(value)) if is_one_of(value, &["7BIT", "8BITMIME"]) => None,
            // Without CHUNKING there is no such body (RFC 3030 section 3).
            ("BODY", Some(value)) if is_one_of(value, &["BINARYMIME"]) => {
                Some(Reply::new(555, "5.6.1 BINARYMIME is not offered"))
            }
            ("SMTPUTF8", None) => None,
            ("REQUIRETLS", None) if self.offers_requiretls() => None,
            ("REQUIRETLS", None) => Some(Reply::new(555, "5.7.30 REQUIRETLS is not offered")),
            ("SIZE" | "BODY" | "SMTPUTF8" | "REQUIRETLS", _) => {
                Some(Reply::new(501, format!("5.5.4 bad value of {keyword}")))
            }
            _ => Some(not_offered(keyword)),
        }
    }

    /// RFC 1870 section 3: up to twenty digits. More than any machine counts is a mistake of the client's.
    ///
    /// One over the limit gets 552 at once, which spares both sides the content.
    fn refusal_of_size(&self, value: &str) -> Option<Reply> {
        let plain = (1..=20).contains(&value.len()) && value.bytes().all(|o| o.is_ascii_digit());
        match value.parse::<u64>() {
            Ok(size) if plain => {
                let most = u64::try_from(self.receiver.max_size).unwrap_or(u64::MAX);
                (size > most).then(|| Reply::new(552, "5.3.4 message too large"))
            }
            _ => Some(Reply::new(501, "5.5.4 bad value of SIZE")),
        }
    }

    /// RCPT. A recipient is accepted if the reply is positive, whoever gave it.
    pub(super) async fn rcpt(&mut self, to: &Path, with: &[Parameter]) -> io::Result<Step> {
        let refusal = match &self.envelope {
            None => Some(Reply::new(503, "5.5.1 MAIL first")),
            Some(_) if self.receiver.upstream.is_some() => None,
            Some(envelope) if envelope.to.len() >= MAX_RECIPIENTS => {
                Some(Reply::new(452, "4.5.3 too many recipients"))
            }
            Some(_) => with
                .first()
                .map(|parameter| not_offered(&parameter.keyword)),
        };
        let to = to.to_string();
        let refused = refusal.is_some();
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
