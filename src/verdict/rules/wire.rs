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

mod commands;
mod dialogue;
mod own_names;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::Duration,
};

use self::dialogue::Dialogue;
use super::{
    CONTENT_AFTER_354, CRLF_ONLY, EHLO_FIRST, EIGHT_BIT_OFFERED, HANDSHAKE_AFTER_220, QUITS, Rule,
    TLS_ONCE, broken,
};
use crate::{
    event::{
        BareOctet, Connected, Event, EventKind, Particulars, ReplyEvent, SessionEnd, SessionId,
        SessionPart,
    },
    fault::Stage,
    mail::{Mailbox, Message},
    name::Domain,
    scenario::Scenario,
    time::Moment,
    verdict::{Finding, SenderKind, Subject},
};

/// How long before the log has a crash its sessions may have ended.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

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
    /// Whether a name after EHLO is known to be nobody's, by the name: a client says the same in each session.
    nobodys: BTreeMap<Domain, bool>,
    /// The drill's mailboxes in the order of their lower case, those of either role once one was asked for.
    mailboxes: BTreeMap<Role, Vec<(String, &'a Mailbox)>>,
    /// Whether any message has an address beyond ASCII: only such a message, or a notification about one, may need
    /// SMTPUTF8. What else the drill sends is in ASCII but for bodies.
    may_need_utf8: bool,
    /// Sessions of a moment ago that were left without QUIT: who is killed says no goodbye, and the log has the crash last.
    left: Vec<(Moment, SessionId)>,
    /// Whether the server that is judged was found to have nothing more to do: it may be stopped at any time.
    is_over: bool,
    /// By the place of the rule, what was seen in which sessions.
    found: BTreeMap<&'static str, (Rule, BrokenIn)>,
}

/// Which mailboxes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Sender,
    Recipient,
}

/// What was seen against a rule.
#[derive(Default)]
struct BrokenIn {
    sessions: BTreeSet<SessionId>,
    lines: Vec<String>,
    expected: String,
}

impl<'a> Wire<'a> {
    pub(in crate::verdict) fn new(scenario: &'a Scenario, sender_kind: SenderKind) -> Self {
        Self {
            scenario,
            sender_kind,
            sessions: BTreeMap::new(),
            ehlo_failed: BTreeSet::new(),
            nobodys: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            may_need_utf8: scenario.messages.iter().any(Message::is_beyond_ascii),
            left: Vec::new(),
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
                let mut dialogue = Dialogue::begun(host, *address, hint.message.is_some());
                dialogue.is_slow = self.is_slow(*address, hosts);
                self.sessions.insert(*session, dialogue);
            }
            EventKind::Reply {
                session,
                stage,
                argument,
                more,
                answer,
            } => self.replied(*session, *stage, argument.as_deref(), more, answer),
            EventKind::Taken {
                session, octets, ..
            } => self.taken(*session, *octets),
            EventKind::Command {
                session,
                verb,
                code,
                ahead,
            } => self.commanded(*session, verb, *code, *ahead),
            EventKind::Secured { session, .. } => {
                if let Some(dialogue) = self.sessions.get_mut(session) {
                    dialogue.secured();
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
            EventKind::EightBit { session, header } => self.eight_bit(*session, *header),
            EventKind::End { session, how } => self.ended(event.at, *session, *how),
            EventKind::Crash { .. } => self.crashed(event.at),
            EventKind::QueueEmpty => self.is_over = true,
            _ => {}
        }
    }

    /// Octets over 127 in the content, the first of them perhaps in the header.
    fn eight_bit(&mut self, session: SessionId, in_header: bool) {
        if in_header {
            self.header_beyond_ascii(session);
        }
        let lacks = |one: &Dialogue| one.lacks("8BITMIME") && one.lacks("BINARYMIME");
        if self.sessions.get(&session).is_some_and(lacks) {
            let expected = "8BITMIME offered, or octets up to 127";
            let what = "octets over 127 in the content".to_owned();
            self.note(EIGHT_BIT_OFFERED, session, expected, what);
        }
    }

    /// Who was killed says no goodbye.
    fn crashed(&mut self, now: Moment) {
        self.left.retain(|(at, _)| now.since(*at) > KILLED_WITHIN);
        for dialogue in self.sessions.values_mut() {
            dialogue.no_quit_due = true;
        }
    }

    /// Whether a receiver reads so slowly, or speaks so, that a client may have left long before the lab sees it.
    fn is_slow(&self, address: IpAddr, hosts: &[Domain]) -> bool {
        let mut rows = self.scenario.world.receivers.iter();
        rows.any(|row| {
            let is_slow = row.limits.bandwidth.is_some() || row.limits.trickle.is_some();
            is_slow && row.is_about(address, hosts)
        })
    }

    fn ended(&mut self, at: Moment, session: SessionId, how: SessionEnd) {
        // A session that was not accepted, or began before the log did, is not in the table.
        let Some(dialogue) = self.sessions.get(&session) else {
            return;
        };
        if how == SessionEnd::ClientClosed && !dialogue.no_quit_due && !self.is_over {
            match self.scenario.crashes.is_empty() {
                true => self.left_without_quit(session),
                // Its host is needed for the finding.
                false => return self.left.push((at, session)),
            }
        }
        self.sessions.remove(&session);
    }

    fn left_without_quit(&mut self, session: SessionId) {
        let what = "the client closed without it".to_owned();
        self.note(QUITS, session, "QUIT before the connection is closed", what);
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
        // And in the content there is no place for QUIT.
        dialogue.no_quit_due = matches!(stage, Stage::Greeting | Stage::Quit)
            || code.is_none_or(|code| code == 421 || code == 354)
            || dialogue.is_slow
            || dialogue.is_broken;
        // What is no reply tells a client that nothing can be said any more; what it had sent is answered all the same.
        dialogue.is_broken |= code.is_none();
        dialogue.data_refused = false;
        let lacks_pipelining = dialogue.lacks("PIPELINING");
        // BDAT is told at the stages of DATA, and may be followed by anything at once (RFC 3030 section 2).
        let by_bdat = is_bdat(more);
        if more.ahead {
            let command = more.verb.as_deref().unwrap_or(word_of(stage)).to_owned();
            // RFC 2920 section 3.1: EHLO, DATA, VRFY, EXPN, TURN, QUIT and NOOP may only be the last of a group; after
            // STARTTLS the handshake comes first (RFC 3207 section 4).
            let ends_a_group = match stage {
                Stage::Helo | Stage::Starttls | Stage::Quit => true,
                Stage::Data => !by_bdat,
                // RFC 4954 section 4: only PLAIN with an initial response may be followed by more.
                Stage::Auth => argument != Some("PLAIN"),
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
                self.local_part(session, argument, Role::Sender);
            }
            Stage::Rcpt => {
                self.path(session, "RCPT", argument, more);
                self.local_part(session, argument, Role::Recipient);
            }
            Stage::Data | Stage::Dot => self.content(session, stage, more, code),
            _ => {}
        }
    }

    /// Takes in a command that belongs to no stage, or what is none.
    fn commanded(&mut self, session: SessionId, verb: &str, code: u16, ahead: bool) {
        let Some(dialogue) = self.sessions.get_mut(&session) else {
            return;
        };
        dialogue.no_quit_due = code == 421 || dialogue.is_broken;
        let is_known = VERBS.contains(&verb);
        // Only the first line after the refusal tells: what follows it may be a client that has noticed.
        let after_refusal = std::mem::take(&mut dialogue.data_refused);
        let lacks_pipelining = dialogue.lacks("PIPELINING");
        let tls = dialogue.tls;
        // RFC 2033 section 4.1: LHLO belongs to LMTP, which is not spoken at port 25.
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
        // A chunk follows BDAT at once, whatever the answer.
        if ahead && verb != "BDAT" {
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
        // By the session's number and its host a reader finds the place in the log.
        let host = self.sessions.get(&session).map_or("", |one| &one.host);
        let line = format!("session {} with {host}: {what}", session.0);
        let (_, seen) = self
            .found
            .entry(rule.name)
            .or_insert_with(|| (rule, BrokenIn::default()));
        if seen.sessions.is_empty() {
            expected.clone_into(&mut seen.expected);
        }
        if seen.sessions.insert(session) && seen.lines.len() < MOST_SESSIONS {
            seen.lines.push(line);
        }
    }

    /// A finding for each rule that was broken, in the order of the table.
    pub(in crate::verdict) fn findings(&mut self) -> Vec<Finding> {
        for (_, session) in std::mem::take(&mut self.left) {
            self.left_without_quit(session);
        }
        // The map has the names in alphabetical order; people read rules in that of `docs/rules.md`.
        let place = |rule: &Rule| super::RULES.iter().position(|one| one.name == rule.name);
        let mut found: Vec<&(Rule, BrokenIn)> = self.found.values().collect();
        found.sort_by_key(|(rule, _)| place(rule));
        let finding = |(rule, seen): &&(Rule, BrokenIn)| {
            let mut observed = seen.lines.clone();
            let more = seen.sessions.len() - observed.len();
            observed.extend((more > 0).then(|| format!("and in {more} more sessions")));
            broken(*rule, Subject::Drill, seen.expected.clone(), observed)
        };
        found.iter().map(finding).collect()
    }
}

/// Whether a chunk was answered, at a stage of DATA.
fn is_bdat(more: &Particulars) -> bool {
    more.verb.as_deref() == Some("BDAT")
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
