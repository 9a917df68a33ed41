//! What is wrong with one command: with what it says, with where it stands, or with when it was sent.
//!
//! Each function changes the session as the command and its reply do, and then notes what was wrong with it: a command
//! is held against what was known before it.
//!
//! Of one command at most one thing is noted for each rule. Where a reply is of no matter to a rule, the command is
//! held against it even if it was refused: what was said was said.

use std::sync::Arc;

use super::{Role, Wire, dialogue::Dialogue, is_bdat, own_names};
use crate::{
    event::{Particulars, SessionId},
    extension::{self, Extension},
    fault::Stage,
    mail::Mailbox,
    name::Domain,
    verdict::rules::{
        BDAT_OR_DATA, CHUNKS_END, CREDENTIALS_IN_TLS, DSN_OFFERED, EHLO_AFTER_TLS, EHLO_ASCII,
        EHLO_FIRST, EHLO_NAME, EHLO_RESOLVES, GREETING_FIRST, GROUP_ENDS, HELLO_FIRST,
        LOCAL_PART_KEPT, NO_SOURCE_ROUTE, ONE_TRANSACTION, RCPT_PARAMETERS, REPLY_FIRST,
        SIZE_ANNOUNCED, SMTPUTF8_ASKED, SMTPUTF8_NEEDED, SMTPUTF8_OFFERED,
    },
};

/// Octets that every server takes (RFC 5321 section 4.5.3.1.7): what is larger is a large message.
const LARGE: usize = 64 * 1024;

impl Wire<'_> {
    /// AUTH with credentials that the mechanism does not hide.
    pub(super) fn credentials(
        &mut self,
        session: SessionId,
        argument: Option<&str>,
        more: &Particulars,
    ) {
        // CRAM-MD5 and its like show no password (RFC 4954 section 4); PLAIN and LOGIN are as good as the password
        // itself.
        let mechanism = argument.unwrap_or_default();
        let in_plain = |one: &Dialogue| !one.tls;
        if more.credentials
            && matches!(mechanism, "PLAIN" | "LOGIN")
            && self.sessions.get(&session).is_some_and(in_plain)
        {
            let what = format!("AUTH {mechanism} in plain text");
            self.note(CREDENTIALS_IN_TLS, session, "TLS before AUTH", what);
        }
    }

    /// MAIL, where it stands.
    pub(super) fn mail(&mut self, session: SessionId, code: Option<u16>) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        // Taken down before the reply changes them: MAIL is judged by what was so when it was sent. A MAIL that is
        // refused opens nothing (RFC 5321 section 3.3).
        let was_open = dialogue.transaction;
        let skips_ehlo = !dialogue.greeted;
        let is_tls = dialogue.tls;
        if code.is_some_and(|code| code < 300) {
            dialogue.close_transaction();
            dialogue.transaction = true;
        }
        if was_open {
            let expected = "RSET, EHLO or the end of the data before MAIL";
            let what = "MAIL while a transaction was open".to_owned();
            self.note(ONE_TRANSACTION, session, expected, what);
        }
        if skips_ehlo && is_tls {
            let what = "MAIL after the handshake".to_owned();
            self.note(EHLO_AFTER_TLS, session, "EHLO first inside TLS", what);
        } else if skips_ehlo {
            let what = "MAIL, and neither was said".to_owned();
            self.note(HELLO_FIRST, session, "EHLO or HELO", what);
        }
    }

    /// DATA, BDAT, and the end of the data.
    pub(super) fn content(
        &mut self,
        session: SessionId,
        stage: Stage,
        more: &Particulars,
        code: Option<u16>,
    ) {
        let by_bdat = is_bdat(more);
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        // RFC 3030 section 2: BDAT and DATA do not go together in one transaction. The end of the data belongs to the
        // DATA that began it, and is no second one.
        let mixed = dialogue.transaction
            && match by_bdat {
                true => dialogue.data && !dialogue.bdat,
                false => dialogue.bdat && stage == Stage::Data,
            };
        // What was sent before the error was answered is no breach: chunks may be pipelined.
        let goes_on = by_bdat && dialogue.chunk_refused;
        dialogue.chunk_refused |= by_bdat && !more.ahead && code.is_some_and(|code| code >= 400);
        dialogue.bdat |= by_bdat;
        dialogue.data |= !by_bdat;
        // What follows a refusal is looked at in `commanded`: content is then read as commands, which nobody knows.
        dialogue.data_refused = stage == Stage::Data
            && !by_bdat
            && code.is_some_and(|code| !(300..400).contains(&code));
        let is_needless = stage == Stage::Dot && dialogue.utf8_for_header;
        if stage == Stage::Dot {
            dialogue.close_transaction();
        }
        if goes_on {
            let what = "BDAT after one that was refused".to_owned();
            self.note(CHUNKS_END, session, "RSET after an error to BDAT", what);
        }
        if is_needless {
            let what = "MAIL with SMTPUTF8".to_owned();
            self.note(SMTPUTF8_NEEDED, session, "MAIL without SMTPUTF8", what);
        }
        if mixed {
            let what = match by_bdat {
                true => "BDAT after DATA",
                false => "DATA after BDAT",
            };
            let expected = "DATA or BDAT in a transaction, not both";
            self.note(BDAT_OR_DATA, session, expected, what.to_owned());
        }
    }

    /// A message that was taken. Where the offer names a limit, who says no size may have looked whether it is kept; and
    /// without 8BITMIME a client may have to encode the message anew, and cannot say beforehand how large it becomes.
    pub(super) fn taken(&mut self, session: SessionId, octets: usize) {
        let Some(dialogue) = self.sessions.get(&session) else {
            return;
        };
        let offered = dialogue.offered.as_deref().unwrap_or_default();
        // RFC 1870 section 4: without a number, and with 0, no limit is named.
        let names_none = |one: &Extension| one.parameters.bytes().all(|octet| octet == b'0');
        let size = offered.iter().find(|one| one.is("SIZE"));
        let is_asked = size.is_some_and(names_none) && extension::is_offered(offered, "8BITMIME");
        if octets > LARGE && is_asked && !dialogue.size_said {
            let what = format!("MAIL without it, and {octets} octets");
            self.note(SIZE_ANNOUNCED, session, "MAIL with SIZE", what);
        }
    }

    /// A header that is beyond ASCII, and so a reason to ask for SMTPUTF8 (RFC 6531 section 3.2).
    pub(super) fn header_beyond_ascii(&mut self, session: SessionId) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        dialogue.utf8_for_header = false;
        if dialogue.lacks("SMTPUTF8") {
            let expected = "SMTPUTF8 offered, or a header in ASCII";
            let what = "octets over 127 in the header".to_owned();
            self.note(SMTPUTF8_OFFERED, session, expected, what);
        }
    }

    /// A client that had sent more before it could have a reply.
    pub(super) fn early(
        &mut self,
        session: SessionId,
        is_greeting: bool,
        command: &str,
        lacks_pipelining: bool,
        ends_a_group: bool,
    ) {
        // The strongest sentence comes first: nothing before the greeting (RFC 5321 section 4.3.1), then nothing
        // unasked where PIPELINING is not offered, then the commands that end a group where it is (RFC 2920 section
        // 3.1).
        if is_greeting {
            let what = "a command before the greeting".to_owned();
            self.note(GREETING_FIRST, session, "nothing before the greeting", what);
        } else if lacks_pipelining {
            let expected = "each reply waited for: PIPELINING was not offered";
            let what = format!("more was sent before {command} was answered");
            self.note(REPLY_FIRST, session, expected, what);
        } else if ends_a_group {
            let expected = format!("the reply to {command} waited for");
            let what = format!("more was sent before {command} was answered");
            self.note(GROUP_ENDS, session, &expected, what);
        }
    }

    /// EHLO or HELO.
    pub(super) fn hello(
        &mut self,
        session: SessionId,
        argument: Option<&str>,
        more: &Particulars,
        code: Option<u16>,
    ) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        let is_positive = code.is_some_and(|code| code < 300);
        // The stage of both is `helo`; the verb is written down only where it is not the usual one, EHLO.
        let is_helo = more.verb.is_some();
        let is_told = dialogue.is_told;
        let too_soon =
            is_helo && !dialogue.said_ehlo && !self.ehlo_failed.contains(&dialogue.address);
        dialogue.said_ehlo |= !is_helo;
        dialogue.greeted = true;
        if is_positive {
            dialogue.close_transaction();
            dialogue.offered = match is_helo {
                true => Some(Arc::default()),
                false => more.extensions.clone(),
            };
        // RFC 5321 section 3.2: who was refused EHLO may say HELO, in this session or in a later one there.
        } else if !is_helo {
            self.ehlo_failed.insert(dialogue.address);
        }
        if too_soon {
            let what = "HELO, and EHLO was not tried".to_owned();
            self.note(EHLO_FIRST, session, "EHLO", what);
        }
        // A program in a test of its own has the name of the machine that it is tested on.
        let own_name = is_told || self.sender_kind.is_foreign();
        if let Some(name) = argument.filter(|name| !name.is_ascii()) {
            self.note(EHLO_ASCII, session, "a name in ASCII", name.to_owned());
            return;
        }
        let Some(name) = argument.filter(|_| own_name) else {
            return;
        };
        if !is_host_name(name) {
            let expected = "a name that is fully qualified, or an address literal";
            self.note(EHLO_NAME, session, expected, name.to_owned());
        } else if self.is_nobodys(name) {
            let expected = "a name with an address in the DNS, or an address literal";
            self.note(EHLO_RESOLVES, session, expected, name.to_owned());
        }
    }

    /// Whether a name, which is in shape, is known to be no host's.
    fn is_nobodys(&mut self, name: &str) -> bool {
        let Ok(name) = name.parse::<Domain>() else {
            return false;
        };
        let scenario = self.scenario;
        let known = self.nobodys.entry(name);
        // A literal has no record, and needs none.
        *known.or_insert_with_key(|name| {
            name.literal().is_none() && own_names::is_nobodys(scenario, name)
        })
    }

    /// What MAIL and RCPT say beside the mailbox, and whether the mailbox needs SMTPUTF8.
    pub(super) fn path(
        &mut self,
        session: SessionId,
        command: &str,
        argument: Option<&str>,
        more: &Particulars,
    ) {
        if more.source_route {
            let what = format!("{command} with a source route");
            self.note(NO_SOURCE_ROUTE, session, "the mailbox alone", what);
        }
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        let asks_utf8 = more.parameters.iter().any(|one| one == "SMTPUTF8");
        let is_rcpt = command == "RCPT";
        // What MAIL asks for holds for the transaction; a header may be the reason, which is still to come.
        if !is_rcpt {
            dialogue.utf8 = asks_utf8;
            dialogue.utf8_for_header = asks_utf8 && !self.may_need_utf8;
            let says_size = |one: &String| one.to_ascii_uppercase().starts_with("SIZE=");
            dialogue.size_said = more.parameters.iter().any(says_size);
        }
        let is_lacking = |parameter: &&String| {
            let (keyword, value) = parameter
                .split_once('=')
                .map_or((&***parameter, None), |(keyword, value)| {
                    (keyword, Some(value))
                });
            // BODY is of 8BITMIME or of BINARYMIME by its value; others have the name of their extension.
            let of = extension::of_parameter(keyword, value).unwrap_or(keyword);
            dialogue.lacks(of)
        };
        // RFC 5321 section 4.1.1.3: "MUST NOT" is said of RCPT and its parameters alone, and RFC 3461 section 5.2.2 of those
        // of DSN. Of others of MAIL no sentence says so (section 4.1.1.2).
        let is_said_of = |parameter: &&String| {
            is_rcpt || parameter.starts_with("RET=") || parameter.starts_with("ENVID=")
        };
        let mut lacking = more.parameters.iter().filter(is_said_of);
        let lacking = lacking.find(is_lacking).cloned();
        // RFC 6531 section 3.2: an address beyond ASCII goes only to who offers SMTPUTF8.
        let is_beyond = argument.is_some_and(|text| !text.is_ascii());
        let lacks_utf8 = is_beyond && dialogue.lacks("SMTPUTF8");
        let is_unasked = is_beyond && !dialogue.utf8 && dialogue.offered.is_some();
        let address = argument.unwrap_or_default();
        if let Some(parameter) = lacking {
            let what = format!("{command} with {parameter}");
            let rule = if is_rcpt {
                RCPT_PARAMETERS
            } else {
                DSN_OFFERED
            };
            self.note(rule, session, "parameters of what was offered", what);
        } else if lacks_utf8 {
            let expected = "SMTPUTF8 offered, or an address in ASCII";
            let what = format!("{command} with {address}");
            self.note(SMTPUTF8_OFFERED, session, expected, what);
        } else if is_unasked {
            let what = format!("{command} with {address}, and MAIL without it");
            self.note(SMTPUTF8_ASKED, session, "MAIL with SMTPUTF8", what);
        }
    }

    /// A local part in another case than the message has it, whose mailbox of this role it is.
    pub(super) fn local_part(&mut self, session: SessionId, argument: Option<&str>, of: Role) {
        let Some(said) = argument else { return };
        let scenario = self.scenario;
        // Sorted once and then searched: a drill may have a hundred thousand recipients, and each RCPT asks.
        let known = self.mailboxes.entry(of);
        let known = known.or_insert_with(|| {
            let mut all: Vec<(String, &Mailbox)> = Vec::new();
            let of_message = scenario.messages.iter().flat_map(|message| {
                let (from, to) = match of {
                    Role::Sender => (message.from.as_ref(), [].iter()),
                    Role::Recipient => (None, message.to.iter()),
                };
                from.into_iter().chain(to)
            });
            for one in of_message {
                // Of messages that a row counts, each has the recipient of the one before it.
                if all.last().is_none_or(|(_, last)| *last != one) {
                    all.push((one.text.to_ascii_lowercase(), one));
                }
            }
            all.sort_unstable();
            all.dedup();
            all
        });
        let wanted = said.to_ascii_lowercase();
        // All that are alike but for case stand side by side. If one of them is just what was said, that one is
        // meant, whatever the others look like.
        let first = known.partition_point(|(text, _)| *text < wanted);
        let alike = known[first..].iter();
        let mut alike = alike.take_while(|(text, _)| *text == wanted);
        if alike.clone().any(|(_, one)| one.is(said)) {
            return;
        }
        let alike = alike.next().map(|(_, one)| one.text.to_string());
        if let Some(meant) = alike {
            self.note(LOCAL_PART_KEPT, session, &meant, said.to_owned());
        }
    }
}

/// Whether a client may call itself so (RFC 5321 sections 2.3.5 and 4.1.3): a name with several labels, or an
/// address literal.
fn is_host_name(name: &str) -> bool {
    let domain: Result<Domain, _> = name.parse();
    let Ok(domain) = domain else { return false };
    if name.starts_with('[') {
        return domain.literal().is_some();
    }
    let name = domain.as_str();
    let is_label =
        |label: &str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let is_local = name.ends_with(".localdomain");
    name.contains('.') && !is_local && name.chars().all(is_plain) && name.split('.').all(is_label)
}
