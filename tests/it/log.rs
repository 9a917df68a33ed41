//! Logs written by hand, a line for each query, attempt and report, and what the judge says of them.
//!
//! ```text
//! 0s   given m
//! 0s   asks example.test MX: 10 mx1, 20 mx2
//! 0s   m tries mx1[1] refused
//! 0s   m tries mx2[2] 451 at rcpt
//! 30m  m tries mx1[1] pass=2 accepted
//! 30m  reports m a@example.test delivered
//! ```
//!
//! A name without a dot is one of `example.test`, and `[1]` is 192.0.2.1. An attempt that is accepted or
//! fails after `connect` becomes a whole session. More words of an attempt: `tls`, `sni=NAME`,
//! `hop=DOMAIN`, `only=RECIPIENT`, `RECIPIENT=CODE`, `lasts=10s`, and `same` for a further transaction of
//! the session before it. `crashes` kills the sender, `is empty` is what its queue was found to be. What an id that is none of the drill's tries is a notification; `?` is mail of
//! somebody else.
//!
//! Of DSN: `offers=DSN,SIZE` is what EHLO was answered with, `+RET=FULL` a parameter of MAIL, `++NOTIFY=NEVER` one
//! of each RCPT. `notifies m of=a@example.test action=failed` is a notification that arrives, by its fields.

use std::{net::IpAddr, sync::Arc, time::Duration};

use hickory_proto::rr::{RData, Record, RecordType};
use mxdrill::{
    event::{
        AttemptHint, Connected, Event, EventKind, Misbehaviour, NotificationReport, Particulars,
        QueryOutcome, ReplyEvent, ReportedRecipient, Returned, SessionEnd, SessionId, silenced,
    },
    fault::{QueryEffect, Stage, Transport},
    mail::Message,
    name::Domain,
    outcome::Outcome,
    reply::Status,
    scenario::Scenario,
    time::{HumanDuration, Moment},
    verdict::{Finding, SenderKind, Verdict, judge},
};

/// A sender on the virtual clock, which says what becomes of its messages.
pub(crate) const SENDER: SenderKind = SenderKind::InProcess {
    tolerance: Duration::ZERO,
};

/// A scenario of records and of whatever else is written below them.
pub(crate) fn scenario(zone: &str, rest: &str) -> Arc<Scenario> {
    parse(&format!("summary = \"s\"\nzone = '''\n{zone}'''\n{rest}"))
}

/// The scenario of a whole text.
pub(crate) fn parse(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::parse("drill", text).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")))
}

/// Judges a log. Of a sender that says nothing, what only the reference sender says is left out.
pub(crate) fn judged(scenario: &Scenario, events: &[Event], sender_kind: SenderKind) -> Verdict {
    let verdict = match sender_kind {
        SenderKind::InProcess { .. } => judge(scenario, events, sender_kind),
        SenderKind::Command | SenderKind::ClockedCommand | SenderKind::MailServer => {
            judge(scenario, &silenced(events), sender_kind)
        }
    };
    assert_eq!(verdict.passed(), verdict.findings.is_empty());
    verdict
}

/// A finding in one line.
pub(crate) fn line(finding: &Finding) -> String {
    let Finding {
        claim,
        rule,
        level,
        expected,
        observed,
        ..
    } = finding;
    let (expected, observed) = (expected.join(", "), observed.join(", "));
    let what = rule.unwrap_or(claim);
    format!("{level} {what}: {expected}; not {observed}")
}

/// The findings of a verdict, a line each.
pub(crate) fn lines(verdict: &Verdict) -> Vec<String> {
    verdict.findings.iter().map(line).collect()
}

/// The events of a log that is written as text.
pub(crate) fn events(scenario: &Scenario, text: &str) -> Vec<Event> {
    let mut log = Log {
        scenario,
        at: Moment::START,
        sessions: 0,
        events: Vec::new(),
    };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (at, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line}"));
        log.at = Moment(span(at));
        let words: Vec<&str> = rest.split_whitespace().collect();
        match words[..] {
            ["given", id] => log.given(id),
            ["asks", name, kind, ref answer @ ..] => log.asks(name, kind, &answer.join(" ")),
            ["reports", id, recipient, outcome] => log.reports(id, recipient, outcome, None),
            ["reports", id, recipient, outcome, status] => {
                log.reports(id, recipient, outcome, Some(status));
            }
            ["returns", id, ref status @ ..] => log.returns(id, status.first().copied()),
            ["notifies", id, ref words @ ..] => log.notifies(id, words),
            ["fetches", host, answer] => log.push(EventKind::Fetched {
                host: name(host),
                answer: answer.parse().expect("an answer"),
            }),
            ["crashes"] => log.push(EventKind::Crash { after: None }),
            ["crashes", "after", stage] => log.push(EventKind::Crash {
                after: Some(stage.parse().expect("a stage")),
            }),
            ["is", "empty"] => log.push(EventKind::QueueEmpty),
            [id, "tries", host, ref words @ ..] => log.tries(id, host, words),
            _ => panic!("{line}"),
        }
    }
    log.events
}

struct Log<'a> {
    scenario: &'a Scenario,
    at: Moment,
    sessions: u64,
    events: Vec<Event>,
}

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

impl Log<'_> {
    fn push(&mut self, what: EventKind) {
        let at = self.at;
        self.events.push(Event { at, kind: what });
    }

    fn message(&self, id: &str) -> Option<&Message> {
        let mut messages = self.scenario.messages.iter();
        messages.find(|message| &*message.id.0 == id)
    }

    fn given(&mut self, id: &str) {
        let message = self.message(id).expect("a message of the drill");
        let from = message.from.as_ref();
        self.push(EventKind::Submitted {
            message: id.into(),
            from: from.map_or(String::new(), ToString::to_string),
            to: message.to.iter().map(ToString::to_string).collect(),
        });
    }

    fn asks(&mut self, owner: &str, kind: &str, answer: &str) {
        let record_type: RecordType = kind.trim_end_matches(':').parse().expect("a type");
        let (code, records) = match answer {
            "nodata" => (QueryOutcome::NoData, Vec::new()),
            "nxdomain" => (QueryOutcome::NxDomain, Vec::new()),
            "servfail" => (QueryOutcome::ServFail, Vec::new()),
            "refused" => (QueryOutcome::Refused, Vec::new()),
            "timeout" => (QueryOutcome::Unanswered, Vec::new()),
            data => (
                QueryOutcome::NoError,
                records(&name(owner), record_type, data),
            ),
        };
        self.push(EventKind::Query {
            name: name(owner),
            record_type,
            over: Transport::Udp,
            answer: code,
            fault: (code == QueryOutcome::Unanswered).then_some(QueryEffect::Timeout),
            records,
        });
    }

    fn reports(&mut self, id: &str, recipient: &str, outcome: &str, status: Option<&str>) {
        self.push(EventKind::Report {
            message: id.into(),
            recipient: recipient.to_owned(),
            outcome: match outcome {
                "delivered" => Outcome::Delivered,
                "deferred" => Outcome::Deferred,
                "bounced" => Outcome::Bounced,
                other => panic!("{other}"),
            },
            status: status.map(|status| status.parse().expect("a status")),
            reason: String::new(),
        });
    }

    /// A notification that arrives at the lab's own domain for senders.
    fn returns(&mut self, id: &str, status: Option<&str>) {
        let notification = format!("{id}.bounce.1");
        self.tries(
            &notification,
            "bounces.sender.test[198.51.100.25]",
            &["accepted"],
        );
        let status: Option<Status> = status.map(|status| status.parse().expect("a status"));
        let taken = self.events.iter_mut().rev();
        let mut taken = taken.filter_map(|event| match &mut event.kind {
            EventKind::Taken { about, status, .. } => Some((about, status)),
            _ => None,
        });
        let (about, given) = taken.next().expect("it was taken");
        (*about, *given) = (Some(id.into()), status);
    }

    /// A notification with a report, by its fields.
    fn notifies(&mut self, id: &str, words: &[&str]) {
        let mut tried: Vec<&str> = words.to_vec();
        tried.retain(|word| word.starts_with('+') || word.starts_with("offers="));
        let notification = format!("{id}.bounce.1");
        let host = "bounces.sender.test[198.51.100.25]";
        self.tries(&notification, host, &[&tried[..], &["accepted"]].concat());
        let mut group = ReportedRecipient::default();
        let mut report = NotificationReport::default();
        (report.multipart_report, report.to) = (true, vec!["sender@sender.test".to_owned()]);
        let mut envelope = ("", "sender@sender.test");
        for word in words.iter().filter(|word| !tried.contains(word)) {
            match word.split_once('=') {
                Some(("of", of)) => group.recipient = Some(of.to_owned()),
                Some(("action", action)) => group.action = mxdrill::mail::Action::named(action),
                Some(("status", status)) => group.status = status.parse().ok(),
                Some(("remote", name)) => group.remote_mta = Some(format!("dns; {name}")),
                Some(("code", code)) => group.diagnostic = Some(format!("smtp; {code} no")),
                Some(("original", to)) => group.original_recipient = Some(to.to_owned()),
                Some(("envid", envid)) => report.envelope_id = Some(envid.to_owned()),
                Some(("returned", part)) => {
                    report.returned = Returned::named(part).expect("a part");
                }
                Some(("To", to)) => report.to = vec![to.to_owned()],
                Some(("from", from)) => envelope.0 = from,
                Some(("to", to)) => envelope.1 = to,
                None if *word == "plain" => report.multipart_report = false,
                None if *word == "until" => group.will_retry = true,
                _ => panic!("{word}"),
            }
        }
        let (given, why) = (group.action, group.status);
        report.recipients.push(group);
        // The last session is that of the notification.
        let session = SessionId(self.sessions);
        for event in self.events.iter_mut().rev() {
            match &mut event.kind {
                EventKind::Taken {
                    about,
                    action,
                    status,
                    report: said,
                    from,
                    to,
                    ..
                } if about.is_none() && said.is_none() => {
                    (*about, *action, *status) = (Some(id.into()), given, why);
                    *said = Some(Box::new(report.clone()));
                    (*from, *to) = (envelope.0.to_owned(), vec![envelope.1.to_owned()]);
                }
                EventKind::Reply {
                    session: of,
                    stage,
                    argument,
                    ..
                } if *of == session => match stage {
                    Stage::Mail => *argument = Some(envelope.0.to_owned()),
                    Stage::Rcpt => *argument = Some(envelope.1.to_owned()),
                    _ => {}
                },
                EventKind::Connect { .. } => break,
                _ => {}
            }
        }
    }

    fn tries(&mut self, id: &str, host: &str, words: &[&str]) {
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
                hosts,
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

fn span(text: &str) -> Duration {
    text.parse::<HumanDuration>().expect("a duration").0
}

fn name(text: &str) -> Domain {
    match text.contains('.') {
        true => text.parse().expect("a name"),
        false => format!("{text}.example.test").parse().expect("a name"),
    }
}

fn address_of(text: &str) -> IpAddr {
    let last = text.parse::<u8>();
    last.map_or_else(
        |_| text.parse().expect("an address"),
        |last| [192, 0, 2, last].into(),
    )
}

/// Records of one type, `alias NAME` first where the name is another one for it; `ttl=60` in front.
fn records(owner: &Domain, record_type: RecordType, data: &str) -> Vec<Record> {
    let mut owner = owner.to_wire();
    let mut ttl = 300;
    let mut records = Vec::new();
    for data in data.split(", ") {
        let mut words: Vec<&str> = data.split_whitespace().collect();
        if let Some(seconds) = words[0].strip_prefix("ttl=") {
            ttl = seconds.parse().expect("seconds");
            words.remove(0);
        }
        let (record_type, data) = match (&words[..], record_type) {
            (["alias", target], _) => (RecordType::CNAME, format!("{}.", name(target))),
            ([preference, host], RecordType::MX) if *host != "." => {
                (RecordType::MX, format!("{preference} {}.", name(host)))
            }
            ([address], RecordType::A | RecordType::AAAA) => {
                (record_type, address_of(address).to_string())
            }
            (words, _) => (record_type, words.join(" ")),
        };
        let data = RData::try_from_str(record_type, &data).expect("record data");
        let alias = match &data {
            RData::CNAME(target) => Some(target.0.clone()),
            _ => None,
        };
        records.push(Record::from_rdata(owner.clone(), ttl, data));
        owner = alias.unwrap_or(owner);
    }
    records
}
