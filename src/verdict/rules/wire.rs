//! Rules about what a client says to a receiver, command by command, whatever message it is for.
//!
//! They are read off the events of each session alone:
//!
//! 1. What was offered is in the reply to EHLO, and counts until the next one, HELO, or STARTTLS (RFC 3207
//!    section 4.2). Of a session whose log does not say what was offered, nothing is held against the client that
//!    depends on it.
//! 2. A client was too early where it had sent more before it could have a reply.
//! 3. A client owes a QUIT where it left a session that worked to the last reply.
//! 4. Credentials by a mechanism that hides nothing were sent, whether AUTH was offered or not: what was sent was seen.
//!
//! A client that breaks a rule breaks it in many sessions: a rule is one finding, with the sessions that came first.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use super::{
    BDAT_OR_DATA, CONTENT_AFTER_354, CREDENTIALS_IN_TLS, CRLF_ONLY, EHLO_AFTER_TLS, EHLO_ASCII,
    EHLO_FIRST, EHLO_NAME, EIGHT_BIT_OFFERED, GREETING_FIRST, GROUP_ENDS, HANDSHAKE_AFTER_220,
    LOCAL_PART_KEPT, NO_SOURCE_ROUTE, ONE_TRANSACTION, QUITS, RCPT_PARAMETERS, REPLY_FIRST, Rule,
    SMTPUTF8_NEEDED, SMTPUTF8_OFFERED, TLS_ONCE, broken,
};
use crate::{
    event::{
        BareOctet, Connected, Event, EventKind, Particulars, ReplyEvent, SessionEnd, SessionId,
        SessionPart,
    },
    extension::{self, Extension},
    fault::Stage,
    mail::{Mailbox, Message},
    name::Domain,
    scenario::Scenario,
    verdict::{Finding, SenderKind, Subject},
};

/// Sessions that a finding tells of one by one; of more it has the number.
const MOST_SESSIONS: usize = 3;

/// Commands of RFC 5321 and of extensions that are no content, whoever offers them.
const VERBS: [&str; 16] = [
    "EHLO", "HELO", "LHLO", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "EXPN", "HELP",
    "QUIT", "STARTTLS", "AUTH", "ETRN",
];

/// What clients said, as far as it matters to the rules.
pub(in crate::verdict) struct Wire<'a> {
    scenario: &'a Scenario,
    sender_kind: SenderKind,
    sessions: BTreeMap<SessionId, Dialogue>,
    /// Addresses at which EHLO failed: HELO may come first there in a later session (RFC 5321 section 3.2).
    ehlo_failed: BTreeSet<IpAddr>,
    /// The drill's recipients in the order of their lower case, once one was asked for.
    recipients: Option<Vec<(String, &'a Mailbox)>>,
    /// Whether any message has an address beyond ASCII: only such a message, or a notification about one, may need
    /// SMTPUTF8. What else the drill sends is in ASCII but for bodies.
    may_need_utf8: bool,
    /// Whether the server that is judged was found to have nothing more to do: it may be stopped at any time.
    is_over: bool,
    /// By the place of the rule, what was seen in which sessions.
    found: BTreeMap<&'static str, (Rule, Seen)>,
}

/// What was seen against a rule.
#[derive(Default)]
struct Seen {
    sessions: BTreeSet<SessionId>,
    lines: Vec<String>,
    expected: String,
}

/// A session as far as it came.
struct Dialogue {
    host: String,
    address: IpAddr,
    /// Whether the sender says what the session is for, and so has the name that the scenario gives it.
    is_told: bool,
    /// The extensions that the client knows to be there; `None` where the log does not tell.
    offered: Option<Arc<[Extension]>>,
    tls: bool,
    /// Whether EHLO or HELO was sent since the session began, or TLS did.
    greeted: bool,
    /// Whether EHLO was sent at all.
    said_ehlo: bool,
    /// Whether a transaction is open.
    transaction: bool,
    /// Whether DATA, and whether BDAT, was sent in it.
    data: bool,
    bdat: bool,
    /// Whether the last thing that was answered is DATA, and not with 354.
    data_refused: bool,
    /// Whether something came that was no reply.
    is_broken: bool,
    /// Whether something went wrong after which no QUIT can be expected, or it was sent.
    no_quit_due: bool,
}

impl Dialogue {
    /// Whether an extension was not offered, where that is known.
    fn lacks(&self, keyword: &str) -> bool {
        let offered = self.offered.as_ref();
        offered.is_some_and(|offered| !offered.iter().any(|one| one.is(keyword)))
    }

    fn close_transaction(&mut self) {
        self.transaction = false;
        self.data = false;
        self.bdat = false;
    }
}

impl<'a> Wire<'a> {
    pub(in crate::verdict) fn new(scenario: &'a Scenario, sender_kind: SenderKind) -> Self {
        Self {
            scenario,
            sender_kind,
            sessions: BTreeMap::new(),
            ehlo_failed: BTreeSet::new(),
            recipients: None,
            may_need_utf8: scenario.messages.iter().any(Message::is_beyond_ascii),
            is_over: false,
            found: BTreeMap::new(),
        }
    }

    /// Takes in what happened next.
    pub(in crate::verdict) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Connect {
                session,
                address,
                hosts,
                result: Connected::Accepted,
                hint,
                ..
            } => {
                let host = hosts
                    .first()
                    .map_or_else(|| address.to_string(), Domain::to_string);
                let dialogue = Dialogue {
                    host,
                    address: *address,
                    is_told: hint.message.is_some(),
                    offered: Some(Arc::default()),
                    tls: false,
                    greeted: false,
                    said_ehlo: false,
                    transaction: false,
                    data: false,
                    bdat: false,
                    data_refused: false,
                    is_broken: false,
                    no_quit_due: true,
                };
                self.sessions.insert(*session, dialogue);
            }
            EventKind::Reply {
                session,
                stage,
                argument,
                more,
                answer,
            } => self.replied(*session, *stage, argument.as_deref(), more, answer),
            EventKind::Command {
                session,
                verb,
                code,
                ahead,
            } => self.commanded(*session, verb, *code, *ahead),
            EventKind::Secured { session, .. } => {
                if let Some(dialogue) = self.sessions.get_mut(session) {
                    dialogue.tls = true;
                    dialogue.greeted = false;
                    dialogue.offered = Some(Arc::default());
                    dialogue.close_transaction();
                    // A client that is not content with the certificate may close at once.
                    dialogue.no_quit_due = true;
                }
            }
            EventKind::Plaintext { session } => self.note(
                HANDSHAKE_AFTER_220,
                *session,
                "a TLS handshake after the 220 to STARTTLS",
                "plain text".to_owned(),
            ),
            EventKind::BareOctet {
                session,
                octet,
                place,
            } => {
                let octet = match octet {
                    BareOctet::Cr => "CR",
                    BareOctet::Lf => "LF",
                };
                let place = match place {
                    SessionPart::Command => "a command",
                    SessionPart::Content => "the content",
                };
                let what = format!("a bare {octet} in {place}");
                self.note(CRLF_ONLY, *session, "CR and LF as CRLF alone", what);
            }
            EventKind::EightBit { session } => {
                let lacks = |one: &Dialogue| one.lacks("8BITMIME") && one.lacks("BINARYMIME");
                if self.sessions.get(session).is_some_and(lacks) {
                    let what = "octets over 127 in the content".to_owned();
                    self.note(
                        EIGHT_BIT_OFFERED,
                        *session,
                        "8BITMIME offered, or octets up to 127",
                        what,
                    );
                }
            }
            EventKind::End { session, how } => self.ended(*session, *how),
            EventKind::Crash { .. } => {
                for dialogue in self.sessions.values_mut() {
                    dialogue.no_quit_due = true;
                }
            }
            EventKind::QueueEmpty => self.is_over = true,
            _ => {}
        }
    }

    fn ended(&mut self, session: SessionId, how: SessionEnd) {
        let Some(dialogue) = self.sessions.get(&session) else {
            return;
        };
        if how == SessionEnd::ClientClosed && !dialogue.no_quit_due && !self.is_over {
            let what = "the client closed without it".to_owned();
            self.note(QUITS, session, "QUIT before the connection is closed", what);
        }
        self.sessions.remove(&session);
    }

    /// Takes in a reply at a stage, or how the session failed there.
    fn replied(
        &mut self,
        session: SessionId,
        stage: Stage,
        argument: Option<&str>,
        more: &Particulars,
        answer: &ReplyEvent,
    ) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        let code = match answer {
            ReplyEvent::Reply { code, .. } => Some(*code),
            ReplyEvent::Failed { .. } => None,
        };
        // A client that has said nothing may have connected to another address at the same time (RFC 8305 section 5).
        dialogue.no_quit_due = matches!(stage, Stage::Greeting | Stage::Quit)
            || code.is_none_or(|code| code == 421)
            || dialogue.is_broken;
        // What is no reply tells a client that nothing can be said any more; what it had sent is answered all the same.
        dialogue.is_broken |= code.is_none();
        dialogue.data_refused = false;
        let lacks_pipelining = dialogue.lacks("PIPELINING");
        let by_bdat = more.verb.as_deref() == Some("BDAT");
        if more.ahead {
            let command = more.verb.as_deref().unwrap_or(word_of(stage)).to_owned();
            let ends_a_group = match stage {
                Stage::Helo | Stage::Starttls | Stage::Quit => true,
                Stage::Data => !by_bdat,
                _ => false,
            };
            self.early(
                session,
                stage == Stage::Greeting,
                &command,
                lacks_pipelining,
                ends_a_group,
            );
        }
        match stage {
            Stage::Helo => self.hello(session, argument, more, code),
            Stage::Auth => self.credentials(session, argument, more),
            Stage::Mail => {
                self.mail(session, code);
                self.path(session, "MAIL", argument, more);
            }
            Stage::Rcpt => {
                self.path(session, "RCPT", argument, more);
                self.local_part(session, argument);
            }
            Stage::Data | Stage::Dot => self.content(session, stage, by_bdat, code),
            _ => {}
        }
    }

    /// AUTH with credentials that the mechanism does not hide.
    fn credentials(&mut self, session: SessionId, argument: Option<&str>, more: &Particulars) {
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
    fn mail(&mut self, session: SessionId, code: Option<u16>) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        let was_open = dialogue.transaction;
        let skips_ehlo = dialogue.tls && !dialogue.greeted;
        if code.is_some_and(|code| code < 300) {
            dialogue.close_transaction();
            dialogue.transaction = true;
        }
        if was_open {
            let expected = "RSET, EHLO or the end of the data before MAIL";
            let what = "MAIL while a transaction was open".to_owned();
            self.note(ONE_TRANSACTION, session, expected, what);
        }
        if skips_ehlo {
            let what = "MAIL after the handshake".to_owned();
            self.note(EHLO_AFTER_TLS, session, "EHLO first inside TLS", what);
        }
    }

    /// DATA, BDAT, and the end of the data.
    fn content(&mut self, session: SessionId, stage: Stage, by_bdat: bool, code: Option<u16>) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        let mixed = dialogue.transaction
            && match by_bdat {
                true => dialogue.data && !dialogue.bdat,
                false => dialogue.bdat && stage == Stage::Data,
            };
        dialogue.bdat |= by_bdat;
        dialogue.data |= !by_bdat;
        dialogue.data_refused = stage == Stage::Data
            && !by_bdat
            && code.is_some_and(|code| !(300..400).contains(&code));
        if stage == Stage::Dot {
            dialogue.close_transaction();
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

    /// A client that had sent more before it could have a reply.
    fn early(
        &mut self,
        session: SessionId,
        is_greeting: bool,
        command: &str,
        lacks_pipelining: bool,
        ends_a_group: bool,
    ) {
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
    fn hello(
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
        } else if !is_helo {
            self.ehlo_failed.insert(dialogue.address);
        }
        if too_soon {
            let what = "HELO, and EHLO was not tried".to_owned();
            self.note(EHLO_FIRST, session, "EHLO", what);
        }
        // A program in a test of its own has the name of the machine that it is tested on.
        let own_name = is_told || !matches!(self.sender_kind, SenderKind::InProcess { .. });
        if let Some(name) = argument.filter(|name| !name.is_ascii()) {
            self.note(EHLO_ASCII, session, "a name in ASCII", name.to_owned());
            return;
        }
        let name = argument.filter(|name| own_name && !is_host_name(name));
        if let Some(name) = name {
            let expected = "a name that is fully qualified, or an address literal";
            self.note(EHLO_NAME, session, expected, name.to_owned());
        }
    }

    /// What MAIL and RCPT say beside the mailbox, and whether the mailbox needs SMTPUTF8.
    fn path(
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
        let Some(dialogue) = self.sessions.get(&session) else {
            return;
        };
        let is_lacking = |parameter: &&String| {
            let (keyword, value) = parameter
                .split_once('=')
                .map_or((&***parameter, None), |(keyword, value)| {
                    (keyword, Some(value))
                });
            let of = extension::of_parameter(keyword, value).unwrap_or(keyword);
            dialogue.lacks(of)
        };
        // Of MAIL no sentence says so (RFC 5321 section 4.1.1.2).
        let is_rcpt = command == "RCPT";
        let lacking = more.parameters.iter().find(is_lacking).cloned();
        let lacking = lacking.filter(|_| is_rcpt);
        let asks_utf8 = more.parameters.iter().any(|one| one == "SMTPUTF8");
        if asks_utf8 && !self.may_need_utf8 {
            let what = format!("{command} with SMTPUTF8");
            self.note(SMTPUTF8_NEEDED, session, "MAIL without SMTPUTF8", what);
            return;
        }
        let needs_utf8 =
            argument.is_some_and(|text| !text.is_ascii()) && dialogue.lacks("SMTPUTF8");
        if let Some(parameter) = lacking {
            let what = format!("{command} with {parameter}");
            self.note(
                RCPT_PARAMETERS,
                session,
                "parameters of what was offered",
                what,
            );
        } else if needs_utf8 {
            let what = format!("{command} with {}", argument.unwrap_or_default());
            self.note(
                SMTPUTF8_OFFERED,
                session,
                "SMTPUTF8 offered, or an address in ASCII",
                what,
            );
        }
    }

    /// A local part in another case than the message has it.
    fn local_part(&mut self, session: SessionId, argument: Option<&str>) {
        let Some(said) = argument else { return };
        let scenario = self.scenario;
        let recipients = self.recipients.get_or_insert_with(|| {
            let messages = scenario.messages.iter();
            let all = messages.flat_map(|message| message.to.iter());
            let mut all: Vec<(String, &Mailbox)> = all
                .map(|one| (one.text.to_ascii_lowercase(), one))
                .collect();
            all.sort_unstable();
            all.dedup();
            all
        });
        let wanted = said.to_ascii_lowercase();
        let first = recipients.partition_point(|(text, _)| *text < wanted);
        let alike = recipients[first..].iter();
        let mut alike = alike.take_while(|(text, _)| *text == wanted);
        if alike.clone().any(|(_, one)| one.is(said)) {
            return;
        }
        let alike = alike.next().map(|(_, one)| one.text.to_string());
        if let Some(meant) = alike {
            self.note(LOCAL_PART_KEPT, session, &meant, said.to_owned());
        }
    }

    /// Takes in a command that belongs to no stage, or what is none.
    fn commanded(&mut self, session: SessionId, verb: &str, code: u16, ahead: bool) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        dialogue.no_quit_due = code == 421 || dialogue.is_broken;
        let is_known = VERBS.contains(&verb);
        let after_refusal = std::mem::take(&mut dialogue.data_refused);
        let lacks_pipelining = dialogue.lacks("PIPELINING");
        let tls = dialogue.tls;
        let is_lmtp = verb == "LHLO" && !dialogue.said_ehlo;
        if verb == "RSET" && code < 300 {
            dialogue.close_transaction();
        }
        if !is_known {
            if after_refusal {
                let what = format!("content after DATA was refused: it begins with {verb}");
                self.note(CONTENT_AFTER_354, session, "content after 354 alone", what);
            }
            return;
        }
        if ahead {
            self.early(session, false, verb, lacks_pipelining, verb != "RSET");
        }
        if is_lmtp {
            let what = "LHLO, as LMTP has it, and EHLO was not tried".to_owned();
            self.note(EHLO_FIRST, session, "EHLO", what);
        }
        if verb == "STARTTLS" && tls {
            let what = "STARTTLS inside TLS".to_owned();
            self.note(TLS_ONCE, session, "no second STARTTLS", what);
        }
    }

    /// Notes what was seen in a session against a rule.
    fn note(&mut self, rule: Rule, session: SessionId, expected: &str, what: String) {
        let host = self.sessions.get(&session).map_or("", |one| &one.host);
        let line = format!("session {} with {host}: {what}", session.0);
        let (_, seen) = self
            .found
            .entry(rule.name)
            .or_insert_with(|| (rule, Seen::default()));
        if seen.sessions.is_empty() {
            expected.clone_into(&mut seen.expected);
        }
        if seen.sessions.insert(session) && seen.lines.len() < MOST_SESSIONS {
            seen.lines.push(line);
        }
    }

    /// A finding for each rule that was broken, in the order of the table.
    pub(in crate::verdict) fn findings(&self) -> Vec<Finding> {
        let place = |rule: &Rule| super::RULES.iter().position(|one| one.name == rule.name);
        let mut found: Vec<&(Rule, Seen)> = self.found.values().collect();
        found.sort_by_key(|(rule, _)| place(rule));
        let finding = |(rule, seen): &&(Rule, Seen)| {
            let mut observed = seen.lines.clone();
            let more = seen.sessions.len() - observed.len();
            observed.extend((more > 0).then(|| format!("and in {more} more sessions")));
            broken(*rule, Subject::Drill, seen.expected.clone(), observed)
        };
        found.iter().map(finding).collect()
    }
}

/// The command of a stage.
fn word_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Helo => "EHLO",
        Stage::Starttls => "STARTTLS",
        Stage::Auth => "AUTH",
        Stage::Mail => "MAIL",
        Stage::Rcpt => "RCPT",
        Stage::Data => "DATA",
        Stage::Quit => "QUIT",
        Stage::Connect | Stage::Greeting | Stage::Content | Stage::Dot => "the end of the data",
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
