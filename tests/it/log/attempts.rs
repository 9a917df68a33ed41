//! A line of an attempt, and the session that it becomes: what the receiver saw, reply by reply.

use std::time::Duration;

use mxdrill::{
    event::{
        AttemptHint, Connected, Event, EventKind, Misbehaviour, Particulars, ReplyEvent,
        SessionEnd, SessionId,
    },
    fault::Stage,
    name::Domain,
};

use super::{
    WrittenLog,
    words::{address_of, name, span},
};

/// An attempt as its words describe it.
struct Try<'a> {
    id: &'a str,
    tls: bool,
    sni: Option<String>,
    lasts: Duration,
    same: bool,
    from: String,
    /// The recipients with the codes that they get.
    recipients: Vec<(String, u16)>,
    hint: AttemptHint,
    /// What EHLO is answered with.
    offers: Option<&'a str>,
    /// The parameters of MAIL, and of each RCPT.
    mail: Vec<String>,
    rcpt: Vec<String>,
    end: Vec<&'a str>,
}

impl WrittenLog<'_> {
    pub(super) fn tries(&mut self, id: &str, host: &str, words: &[&str]) {
        let (host, port) = match host.rsplit_once("]:") {
            Some((host, port)) => (host, port.parse().expect("a port")),
            None => (host, 25),
        };
        let (hosts, address) = host.trim_end_matches(']').split_once('[').expect("a host");
        let hosts: Vec<Domain> = hosts.split('+').map(name).collect();
        let tried = self.read(id, &hosts[0], words);
        let connected = match tried.end[..] {
            ["refused"] => Connected::Refused,
            ["timeout"] => Connected::Timeout,
            ["reset"] => Connected::Reset,
            ["unreachable"] => Connected::Unreachable,
            _ => Connected::Accepted,
        };
        if tried.same {
            // The session goes on: it has not ended yet.
            self.events.pop();
        } else {
            self.sessions += 1;
            self.push(EventKind::Connect {
                session: SessionId(self.sessions),
                address: address_of(address),
                port,
                hosts: hosts.into(),
                result: connected,
                hint: tried.hint.clone(),
            });
        }
        if connected == Connected::Accepted {
            self.session(&tried);
            self.at = self.at.after(tried.lasts);
            let session = SessionId(self.sessions);
            let how = SessionEnd::Quit;
            self.push(EventKind::End { session, how });
        }
    }

    fn read<'a>(&self, id: &'a str, exchanger: &Domain, words: &[&'a str]) -> Try<'a> {
        let message = self.message(id);
        let to = message.map_or_else(Vec::new, |message| message.to.to_vec());
        let from = message.and_then(|message| message.from.as_ref());
        let mut tried = Try {
            id,
            tls: false,
            sni: None,
            lasts: Duration::ZERO,
            same: false,
            from: from.map_or(String::new(), ToString::to_string),
            recipients: to.iter().map(|to| (to.to_string(), 250)).collect(),
            hint: AttemptHint {
                message: Some(id.into()),
                exchanger: Some(exchanger.clone()),
                hop: Some(
                    to.first()
                        .map_or_else(|| name("sender.test"), |to| to.domain.clone()),
                ),
                pass: Some(1),
            },
            offers: None,
            mail: Vec::new(),
            rcpt: Vec::new(),
            end: Vec::new(),
        };
        if id == "?" {
            // Mail of somebody else.
            tried.from = "x@elsewhere.test".to_owned();
            tried.recipients = vec![("y@elsewhere.test".to_owned(), 250)];
        } else if message.is_none() {
            // A notification, to the author of what it is about.
            let about = id
                .split(".bounce")
                .next()
                .and_then(|about| self.message(about));
            let author = about.and_then(|about| about.from.as_ref());
            let author = author.map_or("sender@sender.test".to_owned(), ToString::to_string);
            tried.recipients = vec![(author, 250)];
        }
        for word in words {
            if let Some(parameter) = word.strip_prefix("++") {
                tried.rcpt.push(parameter.to_owned());
                continue;
            }
            if let Some(parameter) = word.strip_prefix('+') {
                tried.mail.push(parameter.to_owned());
                continue;
            }
            match word.split_once('=') {
                Some(("offers", offers)) => tried.offers = Some(offers),
                None if *word == "tls" => tried.tls = true,
                None if *word == "same" => tried.same = true,
                None => tried.end.push(word),
                Some(("sni", sni)) => tried.sni = Some(sni.to_owned()),
                Some(("lasts", lasts)) => tried.lasts = span(lasts),
                Some(("hop", hop)) => tried.hint.hop = Some(name(hop)),
                Some(("pass", pass)) => tried.hint.pass = Some(pass.parse().expect("a number")),
                Some(("only", only)) => tried.recipients.retain(|(to, _)| to == only),
                Some((to, code)) => {
                    let known = tried.recipients.iter_mut().find(|(known, _)| known == to);
                    known.expect("a recipient").1 = code.parse().expect("a code");
                }
            }
        }
        tried
    }

    /// The replies of a session, up to the stage at which something goes wrong.
    fn session(&mut self, tried: &Try<'_>) {
        let (how, end) = match tried.end[..] {
            [how, "at", stage] => (how, Some(stage.parse::<Stage>().expect("a stage"))),
            [how @ ("accepted" | "left")] => (how, None),
            ref other => panic!("{other:?}"),
        };
        let mut before = match tried.same {
            true => Vec::new(),
            false => vec![Stage::Greeting, Stage::Helo],
        };
        if tried.tls || end == Some(Stage::Starttls) {
            before.push(Stage::Starttls);
        }
        for stage in before {
            self.replies(stage, None, 250);
            if let Some(offers) = tried.offers.filter(|_| stage == Stage::Helo) {
                let offers = offers
                    .split(',')
                    .map(|one| one.parse().expect("an extension"));
                self.particulars().extensions = Some(offers.collect());
            }
            if self.fails(end, stage, how, None) {
                return;
            }
        }
        if tried.tls {
            let (session, sni) = (SessionId(self.sessions), tried.sni.clone());
            self.push(EventKind::Secured { session, sni });
            self.replies(Stage::Helo, None, 250);
        }
        if how == "left" {
            return;
        }
        if tried.same {
            let (session, verb) = (SessionId(self.sessions), "RSET".to_owned());
            let (code, ahead) = (250, false);
            self.push(EventKind::Command {
                session,
                verb,
                code,
                ahead,
            });
        }
        self.replies(Stage::Mail, Some(&tried.from), 250);
        self.particulars().parameters.clone_from(&tried.mail);
        if self.fails(end, Stage::Mail, how, Some(&tried.from)) {
            return;
        }
        for (to, code) in &tried.recipients {
            self.replies(Stage::Rcpt, Some(to), *code);
            self.particulars().parameters.clone_from(&tried.rcpt);
            self.fails(end, Stage::Rcpt, how, Some(to));
        }
        let kept = tried.recipients.iter().filter(|(_, code)| *code < 400);
        let kept: Vec<String> = kept.map(|(to, _)| to.clone()).collect();
        if end == Some(Stage::Rcpt) || kept.is_empty() {
            return;
        }
        self.replies(Stage::Data, None, 354);
        if self.fails(end, Stage::Data, how, None) || self.fails(end, Stage::Content, how, None) {
            return;
        }
        if how == "accepted" || how == "lose" {
            self.push(EventKind::Taken {
                session: SessionId(self.sessions),
                message: self.message(tried.id).map(|message| message.id.clone()),
                about: None,
                action: None,
                status: None,
                report: None,
                from: tried.from.clone(),
                to: kept,
                octets: 100,
                body: None,
                tls: tried.tls,
            });
        }
        self.replies(Stage::Dot, None, 250);
        self.fails(end, Stage::Dot, how, None);
    }

    /// What else is said of the last reply.
    fn particulars(&mut self) -> &mut Particulars {
        match self.events.last_mut().map(|event| &mut event.kind) {
            Some(EventKind::Reply { more, .. }) => more,
            other => panic!("{other:?}"),
        }
    }

    fn replies(&mut self, stage: Stage, argument: Option<&str>, code: u16) {
        self.push(EventKind::Reply {
            session: SessionId(self.sessions),
            stage,
            argument: argument.map(str::to_owned),
            more: Default::default(),
            answer: ReplyEvent::Reply {
                code,
                reply: String::new(),
            },
        });
    }

    /// Makes the last reply the failure that is written, if it stands at this stage.
    fn fails(
        &mut self,
        end: Option<Stage>,
        stage: Stage,
        how: &str,
        argument: Option<&str>,
    ) -> bool {
        if end != Some(stage) {
            return false;
        }
        let mut said = Particulars::default();
        if stage != Stage::Content
            && let Some(Event {
                kind: EventKind::Reply { more, .. },
                ..
            }) = self.events.pop()
        {
            said = more;
        }
        let failed = |effect| ReplyEvent::Failed { effect };
        let answer = match how {
            "hang" => failed(Misbehaviour::Hang),
            "close" => failed(Misbehaviour::Close),
            "reset" => failed(Misbehaviour::Reset),
            "garbage" => failed(Misbehaviour::Garbage),
            "lose" => failed(Misbehaviour::LoseReply),
            "handshake" => failed(Misbehaviour::Handshake),
            code => ReplyEvent::Reply {
                code: code.parse().expect("a code"),
                reply: String::new(),
            },
        };
        self.push(EventKind::Reply {
            session: SessionId(self.sessions),
            stage,
            argument: argument.map(str::to_owned),
            more: said,
            answer,
        });
        true
    }
}
