//! What a client says to a receiver, command by command.
//!
//! A session is written a line an event: `mail a@sender.test 250 SIZE=100`, `data 354`. Words in brackets are facts of the line: `[ahead]` that the client had sent more, `[PIPELINING, SIZE]` what a reply to EHLO offers.

use std::sync::Arc;

use mxdrill::{
    Extension, Scenario, Stage,
    event::{
        AttemptHint, BareOctet, Connected, Event, EventKind, Misbehaviour, Particulars, ReplyEvent,
        SessionEnd, SessionId, SessionPart,
    },
    mail::BodyDigest,
    time::Moment,
    verdict::{SenderKind, judge},
};

pub(super) const ZONE: &str = "
summary = 'x'
zone = '''
$ORIGIN example.test.
@   MX 10 mx1
mx1 A  192.0.2.1
'''
messages = [{ id = 'm', to = 'Anna@example.test', body = '.a' }]
";

/// A session in which nothing is wrong.
pub(super) const GOOD: &str = "
connect
greeting 220
helo mail.sender.test 250 [PIPELINING, STARTTLS]
starttls 220
secured
helo mail.sender.test 250 [PIPELINING, 8BITMIME, SIZE, CHUNKING]
mail a@sender.test 250 SIZE=100 [ahead]
rcpt Anna@example.test 250 [ahead]
data 354
eight-bit
taken
dot 250
noop 250
rset 250 [ahead]
mail a@sender.test 450
quit 221
end quit
";

fn session() -> SessionId {
    SessionId(1)
}

fn event(line: &str) -> EventKind {
    let (said, facts) = match line.rsplit_once(" [") {
        Some((said, facts)) if line.ends_with(']') => (said, facts.trim_end_matches(']')),
        // An address literal stands in brackets, too.
        _ => (line, ""),
    };
    let words: Vec<&str> = said.split_whitespace().collect();
    match words[..] {
        ["connect"] => EventKind::Connect {
            session: session(),
            address: "192.0.2.1".parse().expect("an address"),
            port: 25,
            hosts: vec!["mx1.example.test".parse().expect("a name")].into(),
            result: Connected::Accepted,
            hint: AttemptHint::default(),
        },
        ["crash"] => EventKind::Crash { after: None },
        ["secured"] => EventKind::Secured {
            session: session(),
            sni: None,
        },
        ["plaintext"] => EventKind::Plaintext { session: session() },
        ["eight-bit", ref place @ ..] => EventKind::EightBit {
            session: session(),
            header: place == ["header"],
        },
        ["bare-lf"] => EventKind::BareOctet {
            session: session(),
            octet: BareOctet::Lf,
            place: SessionPart::Content,
        },
        ["taken" | "large"] | ["taken", _] => EventKind::Taken {
            session: session(),
            message: Some("m".into()),
            about: None,
            action: None,
            status: None,
            report: None,
            from: "sender@sender.test".to_owned(),
            to: vec!["Anna@example.test".to_owned()],
            octets: if words[0] == "large" { 65_537 } else { 100 },
            body: words
                .get(1)
                .map(|digest| BodyDigest(digest.parse().expect("a number"))),
            tls: true,
        },
        ["end", how] => EventKind::End {
            session: session(),
            how: match how {
                "quit" => SessionEnd::Quit,
                _ => SessionEnd::ClientClosed,
            },
        },
        [
            verb @ ("noop" | "rset" | "starttls-again" | "bdat-refused" | "subject:"),
            code,
        ] => EventKind::Command {
            session: session(),
            verb: match verb {
                "starttls-again" => "STARTTLS".to_owned(),
                "bdat-refused" => "BDAT".to_owned(),
                verb => verb.to_uppercase(),
            },
            code: code.parse().expect("a code"),
            ahead: facts == "ahead",
        },
        ["mail", "garbage"] => EventKind::Reply {
            session: session(),
            stage: Stage::Mail,
            argument: None,
            more: Particulars::default(),
            answer: ReplyEvent::Failed {
                effect: Misbehaviour::Garbage,
            },
        },
        [stage, ref rest @ ..] => reply(stage, rest, facts),
        [] => panic!("an empty line"),
    }
}

fn reply(stage: &str, rest: &[&str], facts: &str) -> EventKind {
    let (verb, stage) = match stage {
        "HELO" => (Some("HELO"), "helo"),
        "BDAT" => (Some("BDAT"), "data"),
        stage => (None, stage),
    };
    let code = rest.iter().position(|word| word.parse::<u16>().is_ok());
    let code = code.expect("a code");
    let offered = || {
        facts
            .split(", ")
            .filter(|word| *word != "ahead" && *word != "route")
    };
    let mut more = Particulars::default();
    more.verb = verb.map(Into::into);
    more.parameters = rest[code + 1..].iter().map(ToString::to_string).collect();
    more.source_route = facts.contains("route");
    more.ahead = facts.contains("ahead");
    more.credentials = facts.contains("credentials");
    if stage == "helo" && verb.is_none() && rest[code].starts_with('2') {
        let offered = offered().filter(|word| !word.is_empty());
        let offered: Vec<Extension> = offered.map(|word| word.parse().expect(word)).collect();
        more.extensions = Some(Arc::from(offered));
    }
    EventKind::Reply {
        session: session(),
        stage: stage.parse::<Stage>().expect("a stage"),
        argument: (code > 0).then(|| rest[0].to_owned()),
        more,
        answer: ReplyEvent::Reply {
            code: rest[code].parse().expect("a code"),
            reply: String::new(),
        },
    }
}

/// The rules that a session breaks of those that are about sessions, as findings are told.
pub(super) fn found(text: &str, kind: SenderKind) -> Vec<String> {
    let scenario = Scenario::parse("wire.toml", ZONE).expect("a scenario");
    found_in(&scenario, text, kind)
}

/// The same in a drill with other records.
pub(super) fn found_in(scenario: &Scenario, text: &str, kind: SenderKind) -> Vec<String> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let events: Vec<Event> = lines
        .map(|line| Event {
            at: Moment::START,
            kind: event(line),
        })
        .collect();
    let verdict = judge(scenario, &events, kind);
    let findings = verdict.findings.iter();
    let told = findings.filter_map(|one| {
        let rule = one.rule.filter(|rule| *rule != "nothing-lost")?;
        Some(format!(
            "{} {rule}: {}; not {}",
            one.level,
            one.expected.join(", "),
            one.observed.join(", ")
        ))
    });
    told.collect()
}

/// With the first text in place of the second the good session breaks a rule and nothing else; with each of the
/// others it breaks none.
pub(super) fn breaks(finding: &str, (written, wrong): (&str, &str), right: &[&str]) {
    let change = |instead: &str| {
        assert_eq!(GOOD.matches(written).count(), 1, "{written}");
        found(&GOOD.replace(written, instead), SenderKind::Command)
    };
    assert_eq!(change(wrong), [finding]);
    for right in right {
        assert_eq!(change(right), [""; 0], "{right}");
    }
}

#[test]
fn credentials_are_sent_in_tls_alone() {
    let before_tls = "starttls 220\n";
    breaks(
        "SHOULD credentials-in-tls: TLS before AUTH; not session 1 with mx1.example.test: AUTH PLAIN in plain text",
        (before_tls, "auth PLAIN 538 [credentials]\nstarttls 220\n"),
        &[
            // Asked for, and not sent; or sent by a mechanism that hides them.
            "auth PLAIN 538\nstarttls 220\n",
            "auth CRAM-MD5 235 [credentials]\nstarttls 220\n",
        ],
    );
    breaks(
        "SHOULD credentials-in-tls: TLS before AUTH; not session 1 with mx1.example.test: AUTH LOGIN in plain text",
        (before_tls, "auth LOGIN 235 [credentials]\nstarttls 220\n"),
        &[],
    );
    let in_tls = GOOD.replace(
        "mail a@sender.test 250",
        "auth PLAIN 235 [credentials]\nmail a@sender.test 250",
    );
    assert_eq!(found(&in_tls, SenderKind::Command), [""; 0]);
}

#[test]
fn a_session_without_a_mistake_breaks_nothing() {
    assert_eq!(found(GOOD, SenderKind::Command), [""; 0]);
}

#[test]
fn a_session_begins_with_the_greeting_and_ehlo() {
    breaks(
        "SHOULD greeting-first: nothing before the greeting; not session 1 with mx1.example.test: a command before the greeting",
        ("greeting 220", "greeting 220 [ahead]"),
        &[],
    );
    let first = "helo mail.sender.test 250 [PIPELINING, STARTTLS]";
    breaks(
        "SHOULD ehlo-first: EHLO; not session 1 with mx1.example.test: HELO, and EHLO was not tried",
        (first, "HELO mail.sender.test 250\nquit 221\nend quit"),
        &["helo mail.sender.test 502\nHELO mail.sender.test 250\nquit 221\nend quit"],
    );
    let twice = GOOD.replacen(
        "starttls 220\nsecured\nhelo mail.sender.test 250",
        "rset 250\nhelo mail.sender.test 250",
        1,
    );
    let without = twice.replacen(&format!("{first}\nrset 250\n"), "", 1);
    let without = without.replacen(
        "helo mail.sender.test 250 [PIPELINING, 8BITMIME, SIZE, CHUNKING]\n",
        "",
        1,
    );
    let without = &without[..without.find("rcpt").expect("a recipient")];
    assert_eq!(
        found(&format!("{without}quit 221\nend quit"), SenderKind::Command)[0],
        "MUST hello-first: EHLO or HELO; not session 1 with mx1.example.test: MAIL, and neither was said"
    );
    breaks(
        "SHOULD ehlo-name: a name that is fully qualified, or an address literal; not session 1 with mx1.example.test: localhost",
        (first, "helo localhost 250 [PIPELINING, STARTTLS]"),
        &["helo [192.0.2.9] 250 [PIPELINING, STARTTLS]"],
    );
    let in_a_test = SenderKind::InProcess {
        tolerance: std::time::Duration::ZERO,
    };
    let bare = GOOD.replacen("mail.sender.test 250 [P", "box 250 [P", 1);
    assert_eq!(found(&bare, in_a_test), [""; 0]);
}

#[test]
fn replies_are_waited_for() {
    let last = "data 354";
    breaks(
        "MUST group-ends: the reply to DATA waited for; not session 1 with mx1.example.test: more was sent before DATA was answered",
        (last, "data 354 [ahead]"),
        &["BDAT 250 [ahead]"],
    );
    breaks(
        "MUST group-ends: the reply to NOOP waited for; not session 1 with mx1.example.test: more was sent before NOOP was answered",
        ("noop 250", "noop 250 [ahead]"),
        &["rset 250 [ahead]"],
    );
    let offered = "[PIPELINING, 8BITMIME, SIZE, CHUNKING]";
    breaks(
        "MUST reply-first: each reply waited for: PIPELINING was not offered; not session 1 with mx1.example.test: \
         more was sent before MAIL was answered",
        (offered, "[8BITMIME, SIZE, CHUNKING]"),
        &[],
    );
}

#[test]
fn commands_are_in_order() {
    breaks(
        "MUST one-transaction: RSET, EHLO or the end of the data before MAIL; not session 1 with mx1.example.test: \
         MAIL while a transaction was open",
        (
            "rcpt Anna@example.test 250 [ahead]",
            "mail a@sender.test 503\nrcpt Anna@example.test 250",
        ),
        &["rset 250\nmail a@sender.test 250\nrcpt Anna@example.test 250"],
    );
    breaks(
        "MUST content-after-354: content after 354 alone; not session 1 with mx1.example.test: \
         content after DATA was refused: it begins with SUBJECT:",
        ("quit 221", "data 451\nsubject: 500\nquit 221"),
        &["data 451\nrset 250\nsubject: 500\nquit 221"],
    );
    breaks(
        "MUST bdat-or-data: DATA or BDAT in a transaction, not both; not session 1 with mx1.example.test: DATA after BDAT",
        ("data 354", "BDAT 250\ndata 503"),
        &[
            "BDAT 250",
            "BDAT 250\nrset 250\nmail a@sender.test 250\ndata 354",
        ],
    );
}

#[test]
fn addresses_and_content_are_what_they_were() {
    breaks(
        "MUST local-part-kept: Anna@example.test; not session 1 with mx1.example.test: anna@example.test",
        (
            "mail a@sender.test 450",
            "mail a@sender.test 250\nrcpt anna@example.test 450",
        ),
        &[
            "mail a@sender.test 250\nrcpt Anna@EXAMPLE.test 450",
            "mail a@sender.test 250\nrcpt otto@example.test 450",
        ],
    );
    breaks(
        "SHOULD no-source-route: the mailbox alone; not session 1 with mx1.example.test: MAIL with a source route",
        ("mail a@sender.test 450", "mail a@sender.test 450 [route]"),
        &[],
    );
    breaks(
        "MUST crlf-only: CR and LF as CRLF alone; not session 1 with mx1.example.test: a bare LF in the content",
        ("eight-bit", "bare-lf"),
        &["noop 250"],
    );
    // FNV-1a of "a", of "..a", of "\r\n" behind ".a"; and of what it should be, and of something else.
    let digest = |text: &str| {
        let step = |hash: u64, octet: u8| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
        text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
    };
    let taken = |text: &str| format!("taken {}", digest(text));
    for (wrong, what) in [
        ("a\r\n", "a leading dot was lost: it was not doubled"),
        ("..a\r\n", "a leading dot was doubled once too often"),
        (".a\r\n\r\n", "an empty line was added to its end"),
    ] {
        let finding = format!(
            "MUST content-kept: the content as it was given; not mx1.example.test accepted [192.0.2.1] in TLS +0s: {what}"
        );
        breaks(
            &finding,
            ("taken", &taken(wrong)),
            &[&taken(".a\r\n"), &taken("another\r\n")],
        );
    }
}

#[test]
fn tls_begins_once_and_anew() {
    breaks(
        "MUST handshake-after-220: a TLS handshake after the 220 to STARTTLS; not session 1 with mx1.example.test: plain text",
        ("secured", "plaintext\nquit 221"),
        &[],
    );
    breaks(
        "MUST tls-once: no second STARTTLS; not session 1 with mx1.example.test: STARTTLS inside TLS",
        ("noop 250", "starttls-again 502"),
        &[],
    );
    let again = "helo mail.sender.test 250 [PIPELINING, 8BITMIME, SIZE, CHUNKING]\nmail a@sender.test 250 SIZE=100 [ahead]";
    breaks(
        "SHOULD ehlo-after-tls: EHLO first inside TLS; not session 1 with mx1.example.test: MAIL after the handshake",
        (again, "mail a@sender.test 503\nend quit"),
        &[],
    );
}

/// The web server of a policy is asked in vain, and again after a while; between them the record changes or does not.
#[test]
fn a_policy_that_could_not_be_fetched_is_not_asked_for_at_once() {
    let scenario = Scenario::parse("wire.toml", ZONE).expect("a scenario");
    let asks = |at: u64, id: &str| {
        let record = format!(r#"_mta-sts.example.test. 300 IN TXT \"v=STSv1; id={id};\""#);
        format!(
            r#"{{"at":{at}.0,"event":"query","name":"_mta-sts.example.test","type":"TXT","over":"udp","answer":"noerror","records":["{record}"]}}"#
        )
    };
    let fetches = |at: u64, answer: &str| {
        format!(
            r#"{{"at":{at}.0,"event":"fetched","host":"mta-sts.example.test","answer":"{answer}"}}"#
        )
    };
    let found = |lines: &[String]| {
        let events: Vec<Event> = lines
            .iter()
            .map(|line| serde_json::from_str(line).expect(line))
            .collect();
        let verdict = judge(&scenario, &events, SenderKind::MailServer);
        let findings = verdict.findings.iter().filter(|one| one.rule.is_some());
        let told = findings.map(|one| {
            let rule = one.rule.unwrap_or_default();
            format!(
                "{} {rule}: {}; not {}",
                one.level,
                one.expected[0],
                one.observed.join(", ")
            )
        });
        told.collect::<Vec<String>>()
    };
    assert_eq!(
        found(&[
            asks(0, "1"),
            fetches(0, "404"),
            asks(60, "1"),
            fetches(60, "200")
        ]),
        [
            "SHOULD policy-fetch-waits: five minutes between them; not mta-sts.example.test asked again 1m after a failure"
        ]
    );
    for innocent in [
        [
            asks(0, "1"),
            fetches(0, "404"),
            asks(300, "1"),
            fetches(300, "200"),
        ],
        [
            asks(0, "1"),
            fetches(0, "404"),
            asks(60, "2"),
            fetches(60, "200"),
        ],
        [
            asks(0, "1"),
            fetches(0, "200"),
            asks(60, "1"),
            fetches(60, "404"),
        ],
        [
            asks(0, "1"),
            fetches(0, "no handshake"),
            asks(1, "1"),
            fetches(1, "200"),
        ],
    ] {
        assert_eq!(found(&innocent), [""; 0]);
    }
}
