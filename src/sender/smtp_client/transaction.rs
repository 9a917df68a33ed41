//! Transactions: MAIL, RCPT and the content, as many times as the server needs for the recipients.
//!
//! In order (RFC 5321 section 3.3):
//!
//! 1. MAIL with what the server wants to know of the message: SIZE, BODY, SMTPUTF8, how much it matters and until when it
//!    is to arrive, and what is asked of notifications. A negative reply is about the message, and so about all recipients.
//! 2. RCPT for each recipient. A negative reply is about that recipient alone; one that says that there are too many
//!    leaves it for a transaction of its own (section 4.5.3.1.10).
//! 3. DATA, where at least one recipient was taken, then the content in blocks, each in its time. Binary content comes by
//!    BDAT (RFC 3030).
//! 4. The reply to the final dot, which counts for all who were taken: from a 2yz on the receiver has the message
//!    (section 6.1).

use super::{
    SmtpClient,
    envelope::Envelope,
    results::{Reason, RecipientResult, SessionError, is_about_number, result},
};
use crate::{
    extension,
    fault::Stage,
    mail::{ByMode, DELIVERBY, Mailbox},
    port,
    reply::{Reply, ReplyClass, Status},
    sender::Flaw,
};

/// Octets of content that are sent at once.
const BLOCK: usize = 16 * 1024;

/// What a transaction came to.
enum Answers {
    /// MAIL was refused, and with it the message.
    Message(RecipientResult),
    /// For each recipient that was named, in their order.
    Recipients(Vec<RecipientResult>),
}

impl SmtpClient<'_> {
    /// As many transactions as the server needs for the recipients: those who are too many for one are sent the
    /// message in the next, at once, as long as each is of use (RFC 5321 section 4.5.3.1.10). What the server announces of
    /// how many it takes is kept to (RFC 9422): of the domains in a session, too, since all recipients are at one.
    pub(super) async fn transactions(
        &mut self,
        envelope: &Envelope<'_>,
    ) -> Result<Vec<RecipientResult>, SessionError> {
        let announced = |name| extension::limit(&self.extensions, name).unwrap_or(usize::MAX);
        let (most, mut left) = (announced("RCPTMAX"), announced("MAILMAX"));
        let mut open: Vec<usize> = (0..envelope.to.len()).collect();
        while !open.is_empty() {
            if left == 0 {
                self.leave_over(&open);
                break;
            }
            left -= 1;
            let mut rest = open.split_off(open.len().min(most));
            let answers = match self.transaction(envelope, &open).await? {
                Answers::Message(refused) => {
                    open.append(&mut rest);
                    vec![refused; open.len()]
                }
                Answers::Recipients(answers) => answers,
            };
            let mut of_use = false;
            for (place, answer) in open.iter().zip(answers) {
                if answer == RecipientResult::Delivered {
                    of_use = true;
                    self.delivered.insert(*place);
                }
                self.answered[*place] = Some(answer);
            }
            open = std::mem::take(&mut self.beyond);
            // A transaction that took nobody would be followed by one just like it.
            if !of_use {
                open.clear();
            }
            open.append(&mut rest);
            if !of_use && !open.is_empty() {
                self.command(Stage::Mail, "RSET").await?;
            }
        }
        Ok(self.answered.iter().flatten().cloned().collect())
    }

    /// Leaves recipients for another session: this one has no room for another transaction.
    fn leave_over(&mut self, open: &[usize]) {
        for place in open {
            let reason = Reason {
                status: Status(4, 5, 3),
                text: "the server takes no further message in a session".to_owned(),
            };
            self.answered[*place] = Some(RecipientResult::Deferred(reason));
        }
    }

    /// MAIL, RCPT and the content.
    ///
    /// A negative reply to MAIL is about the message and so about all recipients. A negative reply
    /// to RCPT is about that recipient alone.
    async fn transaction(
        &mut self,
        envelope: &Envelope<'_>,
        open: &[usize],
    ) -> Result<Answers, SessionError> {
        let from = envelope.from.map_or("".into(), Mailbox::said);
        let parameters = self.parameters(envelope);
        let mail = format!("MAIL FROM:<{from}>{parameters}");
        let mut with_mail = None;
        let reply = match self.flaw {
            Some(Flaw::DoesNotWait) => {
                let first = open.first().and_then(|place| envelope.to.get(*place));
                let to = first.map_or("".into(), Mailbox::said);
                let group = format!("{mail}\r\nRCPT TO:<{to}>");
                let reply = self.command(Stage::Mail, &group).await?;
                with_mail = Some(self.reply(Stage::Rcpt).await?);
                reply
            }
            Some(Flaw::SendsMailTwice) => {
                let reply = self.command(Stage::Mail, &mail).await?;
                self.command(Stage::Mail, &mail).await?;
                reply
            }
            Some(Flaw::SendsChunksOn) => {
                self.refused_chunks().await?;
                self.command(Stage::Mail, &mail).await?
            }
            _ => self.command(Stage::Mail, &mail).await?,
        };
        // "530 authentication required" is about the client, and so about the host: another relay may do.
        // Where messages are submitted, it is the client that has to show who it is (RFC 4954 section 6).
        if reply.code == 530 && self.port != port::SMTP {
            return Err(SessionError::Turned(reply));
        }
        if reply.class() != ReplyClass::Positive {
            return Ok(Answers::Message(result(&reply)));
        }
        let mut results = Vec::new();
        for place in open {
            let to = self.path_of(&envelope.to[*place]);
            let reply = match with_mail.take() {
                Some(reply) => reply,
                None => {
                    let asked = self.asked_for(envelope, &envelope.to[*place]);
                    let rcpt = format!("RCPT TO:<{to}>{asked}");
                    self.command(Stage::Rcpt, &rcpt).await?
                }
            };
            let result = match reply.code {
                // Too many recipients, not this one (RFC 5321 section 4.5.3.1.10).
                552 => RecipientResult::Deferred(Reason {
                    status: Status(4, 5, 3),
                    text: reply.to_string(),
                }),
                _ => result(&reply),
            };
            if is_about_number(&reply) {
                self.beyond.push(*place);
            }
            self.answered[*place] = Some(result.clone());
            results.push(result);
        }
        // Without a recipient there is nothing to send, and DATA would be refused (RFC 5321 section
        // 3.3).
        if !results.contains(&RecipientResult::Delivered) {
            return Ok(Answers::Recipients(results));
        }
        let end = match envelope.message.binary {
            true => self.chunks(envelope.content).await?,
            false => self.content(envelope.content).await?,
        };
        // Those that were refused at RCPT keep their own reason.
        // What was said of the message is said of every recipient taken so far.
        results
            .iter_mut()
            .filter(|result| **result == RecipientResult::Delivered)
            .for_each(|taken| *taken = result(&end));
        Ok(Answers::Recipients(results))
    }

    /// What is asked of notifications about a recipient, if this server wants to know: each decides anew (RFC 3461 section
    /// 5.2).
    fn asked_for(&self, envelope: &Envelope<'_>, to: &Mailbox) -> String {
        if self.flaw == Some(Flaw::SendsNotifyAnyway) {
            return " NOTIFY=NEVER".to_owned();
        }
        if !self.offers("DSN") {
            return String::new();
        }
        let mut asked = envelope.message.request_of(to);
        // Who does not know until when it is to arrive can tell of a delay all the same.
        let passed = self.state.clock.now().since(envelope.message.at);
        let by = envelope.message.deliver_by.filter(|by| !by.is_over(passed));
        if by.is_some_and(|by| by.mode == ByMode::Notify) && !self.offers(DELIVERBY) {
            asked = asked.with_delay();
        }
        let parameters = asked.parameters(self.offers("SMTPUTF8"));
        match self.flaw {
            // NOTIFY and ORCPT are words without case for who has not read section 5.2.1.
            Some(Flaw::FoldsParameters) => parameters.to_lowercase(),
            _ => parameters,
        }
    }

    /// The parameters of MAIL: what the message is like, as far as the server wants to know.
    fn parameters(&self, envelope: &Envelope<'_>) -> String {
        let mut parameters = String::new();
        let message = envelope.message;
        if self.offers("SIZE") && self.flaw != Some(Flaw::LeavesSizeOut) {
            let size = match message.binary {
                true => envelope.content.len(),
                false => size_of(envelope.content),
            };
            parameters.push_str(&format!(" SIZE={size}"));
        }
        if message.binary {
            parameters.push_str(" BODY=BINARYMIME");
        } else if message.needs_eight_bit() && self.offers("8BITMIME") {
            parameters.push_str(" BODY=8BITMIME");
        }
        let wanted = match self.flaw {
            Some(Flaw::AsksForUtf8) => true,
            Some(Flaw::LeavesUtf8Out) => false,
            _ => message.needs_smtputf8(),
        };
        if wanted && self.offers("SMTPUTF8") {
            parameters.push_str(" SMTPUTF8");
        }
        // One from the null reverse-path is not held back for it, and asks where it can (RFC 8689 section 5).
        if envelope.require_tls || message.require_tls && self.offers("REQUIRETLS") {
            parameters.push_str(" REQUIRETLS");
        }
        // Left out where it is not offered (RFC 6710 section 4.2).
        let is_told = self.offers("MT-PRIORITY") && self.flaw != Some(Flaw::DropsPriority);
        if let Some(priority) = message.priority.filter(|_| is_told) {
            parameters.push_str(&format!(" MT-PRIORITY={priority}"));
        }
        if let Some(by) = message.deliver_by.filter(|_| self.offers(DELIVERBY)) {
            let passed = self.state.clock.now().since(message.at);
            parameters.push_str(&by.parameter(passed));
        }
        match self.flaw {
            Some(Flaw::SendsRetAnyway) => parameters.push_str(" RET=HDRS"),
            _ if !self.offers("DSN") => {}
            Some(Flaw::ReportsWithRet) if envelope.is_notification => {
                parameters.push_str(" RET=HDRS");
            }
            _ => parameters.push_str(&message.mail_parameters()),
        }
        parameters
    }

    /// A recipient as RCPT names it.
    fn path_of(&self, to: &Mailbox) -> String {
        match self.flaw {
            Some(Flaw::LowersLocalParts) => to.said().to_lowercase(),
            Some(Flaw::SendsSourceRoutes) => format!("@{}:{}", self.candidate.exchanger, to.said()),
            _ => to.said().into_owned(),
        }
    }

    /// The content in chunks, and the reply to the last of them, or to the first that is not taken: after an error none
    /// follows (RFC 3030 section 2).
    async fn chunks(&mut self, content: &[u8]) -> Result<Reply, SessionError> {
        let last = content.len().saturating_sub(1) / BLOCK * BLOCK;
        let (first, last) = content.split_at(last);
        for chunk in first.chunks(BLOCK) {
            let reply = self.chunk(chunk, Stage::Data).await?;
            if reply.class() != ReplyClass::Positive {
                return Ok(reply);
            }
        }
        self.chunk(last, Stage::Dot).await
    }

    /// Two chunks that nobody is to have, so that both are refused: a mistake on purpose.
    async fn refused_chunks(&mut self) -> Result<(), SessionError> {
        for _ in 0..2 {
            self.command(Stage::Data, "BDAT 2\r\n").await?;
        }
        Ok(())
    }

    /// One chunk, which is the last if it is answered as the end of the data.
    async fn chunk(&mut self, octets: &[u8], answered_at: Stage) -> Result<Reply, SessionError> {
        let last = if answered_at == Stage::Dot {
            " LAST"
        } else {
            ""
        };
        let command = format!("BDAT {}{last}\r\n", octets.len());
        let whole = [command.as_bytes(), octets].concat();
        self.send(Stage::Content, &whole).await?;
        self.reply(answered_at).await
    }

    /// DATA, the content and the reply to the final dot, or the negative reply to DATA.
    async fn content(&mut self, content: &[u8]) -> Result<Reply, SessionError> {
        // The content as it is: dots are doubled, lines end with CRLF, and the final dot is there.
        if self.flaw == Some(Flaw::SendsContentWithData) {
            self.send(Stage::Data, &[b"DATA\r\n", content].concat())
                .await?;
            self.reply(Stage::Data).await?;
            return self.reply(Stage::Dot).await;
        }
        if self.flaw == Some(Flaw::MixesBdatAndData) && self.offers("CHUNKING") {
            self.command(Stage::Data, "BDAT 2\r\n").await?;
        }
        let content = match self.flaw {
            Some(Flaw::EndsLinesWithLf) => &with_bare_lf(content),
            Some(Flaw::LeavesDots) => &without_doubled_dots(content),
            _ => content,
        };
        let reply = self.command(Stage::Data, "DATA").await?;
        if self.flaw == Some(Flaw::IgnoresRefusedData) && reply.class() != ReplyClass::Intermediate
        {
            let first = content.split_inclusive(|octet| *octet == b'\n').next();
            self.send(Stage::Content, first.unwrap_or_default()).await?;
            self.reply(Stage::Content).await?;
            return Ok(reply);
        }
        if reply.class() != ReplyClass::Intermediate {
            // The first digit alone tells (RFC 5321 section 4.2): without a 3 there is no leave to send, and
            // the message is not taken, whatever a 2 may be meant to say.
            return Ok(if reply.class() == ReplyClass::Positive {
                Reply::new(451, "4.5.0 unexpected reply to DATA")
            } else {
                reply
            });
        }
        // The time-out is that of a block, not of them all (RFC 5321 section 4.5.3.2.5).
        for block in content.chunks(BLOCK) {
            self.send(Stage::Content, block).await?;
        }
        self.reply(Stage::Dot).await
    }
}

/// The octets of a content, which goes over the wire with its dots doubled and a dot at its end that do not count
/// (RFC 1870 section 3).
fn size_of(content: &[u8]) -> usize {
    let lines = content.split_inclusive(|octet| *octet == b'\n');
    let doubled = lines.filter(|line| line.starts_with(b"..")).count();
    content.len() - doubled - b".\r\n".len()
}

/// Content whose lines end in LF, up to the last, which ends it.
fn with_bare_lf(content: &[u8]) -> Vec<u8> {
    let body = content.strip_suffix(b"\r\n.\r\n").unwrap_or(content);
    let mut wrong: Vec<u8> = body
        .iter()
        .copied()
        .filter(|octet| *octet != b'\r')
        .collect();
    wrong.extend_from_slice(b"\r\n.\r\n");
    wrong
}

/// Content in which the dots are not doubled.
fn without_doubled_dots(content: &[u8]) -> Vec<u8> {
    let lines = content.split_inclusive(|octet| *octet == b'\n');
    let undone = lines.flat_map(|line| match line {
        [b'.', b'.', ..] => &line[1..],
        _ => line,
    });
    undone.copied().collect()
}
