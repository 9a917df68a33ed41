//! Every expectation fails when it is wrong: drills that hold, and for each key what is said when just
//! that one thing is expected otherwise.

mod attempts;

use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    level::Level,
    sender::Reference,
    verdict::{Subject, Verdict},
};

use crate::log::{SENDER, judged, lines, parse};

/// The rows of a table that is written as text, and their columns.
fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        columns
            .try_into()
            .unwrap_or_else(|_| panic!("{N} columns: {line}"))
    })
}

/// A drill that holds, as the reference sender plays it; judged as it grows and as a whole it is the same.
fn held(text: &str) -> Run {
    let scenario = parse(text);
    let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
    let run = run.expect("the drill ran");
    assert_eq!(lines(&run.verdict), [""; 0], "{text}");
    let whole = judged(&scenario, &run.events, SENDER);
    assert_eq!(whole.outcomes, run.verdict.outcomes);
    assert_eq!(
        (whole.attempts, whole.notes),
        (run.verdict.attempts, run.verdict.notes.clone())
    );
    run
}

/// The verdict on what happened, were one thing written otherwise.
fn otherwise(text: &str, run: &Run, written: &str, instead: &str) -> Verdict {
    assert_eq!(text.matches(written).count(), 1, "{written}");
    judged(&parse(&text.replace(written, instead)), &run.events, SENDER)
}

/// A row: what is written, what is written instead, and the one finding that has to come of it, or that
/// there is none.
fn each_is_found(text: &str, table: &'static str) {
    let run = held(text);
    for [written, instead, finding] in rows(table) {
        let found = lines(&otherwise(text, &run, written, instead));
        let expected = Some(finding).filter(|finding| *finding != "holds");
        assert_eq!(found, Vec::from_iter(expected), "{written} made {instead}");
    }
}

/// The primary is down and the backup busy; half an hour later the primary takes it.
const RETRIED: &str = r#"
summary  = "s"
level    = "SHOULD"
cites    = ["RFC 5321 section 5.1", "RFC 5321 section 4.5.4.1"]
zone     = '''
$ORIGIN example.test.
@   MX 10 mx1
@   MX 20 mx2
mx1 A  192.0.2.1
mx2 A  192.0.2.2
mx2 A  192.0.2.3
'''
sender   = { retry = ["30m"] }
messages = [{ id = "m", to = "a@example.test" }]
faults   = [
  { host = "mx1.example.test", stage = "connect", effect = "refuse", until = "20m" },
  { host = "mx2.example.test", stage = "rcpt", effect = "451 4.3.2 later" },
]
[expect.m]
outcome       = "delivered"
by            = "mx1.example.test"
copies        = 1
attempt_count = 4
attempts = [
  { host = "mx1.example.test", result = "refused", stage = "connect", at = "0s" },
  { any = ["mx1.example.test", "mx2.example.test"], result = "451", stage = "rcpt" },
  { host = "mx2.example.test", result = 451 },
  { host = "192.0.2.1", address = "192.0.2.1", result = "accepted", tls = false, at = "30m" },
]
starts_with = [
  { host = "mx1.example.test", result = "refused" }, # first
  { host = "mx2.example.test", result = "451", stage = "rcpt", at = "0ms" },
]
"#;

#[test]
fn what_is_expected_of_a_message_and_wrong_is_found() {
    each_is_found(
        RETRIED,
        r#"
outcome       = "delivered"        | outcome = "bounced"                    | SHOULD outcome of message m: bounced; not delivered
outcome       = "delivered"        | outcome = "deferred"                   | SHOULD outcome of message m: deferred; not delivered
by            = "mx1.example.test" | by = "mx2.example.test"                | SHOULD taker of message m: mx2.example.test; not mx1.example.test
by            = "mx1.example.test" | by = "192.0.2.2"                       | SHOULD taker of message m: 192.0.2.2; not mx1.example.test
by            = "mx1.example.test" | by = "192.0.2.1"                       | holds
copies        = 1                  | copies = 0                             | SHOULD copies of message m: 0; not 1
copies        = 1                  | copies = 2                             | SHOULD copies of message m: 2; not 1
copies        = 1                  | copies = { min = 2 }                   | SHOULD copies of message m: at least 2; not 1
copies        = 1                  | copies = { max = 0 }                   | SHOULD copies of message m: 0; not 1
copies        = 1                  | copies = { min = 1 }                   | holds
copies        = 1                  | copies = { max = 1 }                   | holds
attempt_count = 4                  | attempt_count = 3                      | SHOULD number of attempts of message m: 3; not 4
attempt_count = 4                  | attempt_count = 5                      | SHOULD number of attempts of message m: 5; not 4
attempt_count = 4                  | attempt_count = { max = 3 }            | SHOULD number of attempts of message m: at most 3; not 4
attempt_count = 4                  | attempt_count = { min = 5 }            | SHOULD number of attempts of message m: at least 5; not 4
attempt_count = 4                  | attempt_count = { min = 5, max = 9 }   | SHOULD number of attempts of message m: 5 to 9; not 4
attempt_count = 4                  | attempt_count = { min = 1, max = 4 }   | holds
attempt_count = 4                  | attempt_count = { min = 4, max = 9 }   | holds
copies        = 1                  | retry_waits = { min = "31m" }          | SHOULD time between attempts of message m: 31m at least; not 30m from mx1.example.test refused [192.0.2.1] +0s to mx1.example.test accepted [192.0.2.1] +30m
copies        = 1                  | retry_waits = { max = "29m" }          | SHOULD time between attempts of message m: 29m at most; not 30m from mx1.example.test refused [192.0.2.1] +0s to mx1.example.test accepted [192.0.2.1] +30m
copies        = 1                  | retry_waits = { min = "5m", max = "10m" } | SHOULD time between attempts of message m: 5m to 10m; not 30m from mx1.example.test refused [192.0.2.1] +0s to mx1.example.test accepted [192.0.2.1] +30m
copies        = 1                  | retry_waits = { min = "30m", max = "30m" } | holds
copies        = 1                  | returned_after = { min = "4d" }        | holds
"#,
    );
}

#[test]
fn a_finding_has_the_level_and_the_sections_of_the_drill() {
    let run = held(RETRIED);
    for (level, written) in [
        (Level::Must, "MUST"),
        (Level::May, "MAY"),
        (Level::Info, "INFO"),
    ] {
        let text = RETRIED.replace("SHOULD", written);
        let verdict = otherwise(&text, &run, "copies        = 1", "copies = 2");
        let [finding] = &verdict.findings[..] else {
            panic!("{:#?}", verdict.findings);
        };
        assert_eq!((finding.rule, finding.level), (None, level));
        assert_eq!(
            finding.cites,
            ["RFC 5321 section 5.1", "RFC 5321 section 4.5.4.1"]
        );
    }
}

/// One of two recipients is refused, the other taken.
const REFUSED: &str = r#"
summary  = "s"
zone     = '''
example.test.     MX 10 mx1.example.test.
mx1.example.test. A  192.0.2.1
'''
messages = [
  { id = "m", to = ["a@example.test", "b@example.test"] },
  { id = "n", to = "c@example.test" },
]
faults   = [{ host = "mx1.example.test", stage = "rcpt", effect = "550 5.1.1 no", recipient = "B@example.test" }]
[expect.m]
outcome    = "bounced"
status     = "5.1.1"
recipients = { "a@example.test" = "delivered", "B@Example.Test" = "bounced" }
[expect.n]
copies = 1
"#;

#[test]
fn outcomes_of_recipients_and_statuses_that_are_wrong_are_found() {
    each_is_found(
        REFUSED,
        r#"
outcome    = "bounced"         | outcome = "delivered"          | MUST outcome of message m: delivered; not bounced
status     = "5.1.1"           | status = "5.1.2"               | MUST status of message m: 5.1.2; not 5.1.1
status     = "5.1.1"           | status = "4.1.1"               | MUST status of message m: 4.1.1; not 5.1.1
"a@example.test" = "delivered" | "a@example.test" = "bounced"   | MUST outcome for a@example.test of message m: bounced; not delivered
"a@example.test" = "delivered" | "a@example.test" = "deferred"  | MUST outcome for a@example.test of message m: deferred; not delivered
"B@Example.Test" = "bounced"   | "b@example.test" = "delivered" | MUST outcome for b@example.test of message m: delivered; not bounced
"B@Example.Test" = "bounced"   | "c@example.test" = "bounced"   | MUST outcome for c@example.test of message m: bounced; not no such recipient
copies = 1                     | by = "mx1.example.test"        | holds
copies = 1                     | status = "5.1.1"               | MUST status of message n: 5.1.1; not none
copies = 1                     | recipients = { "c@example.test" = "bounced" } | MUST outcome for c@example.test of message n: bounced; not delivered
"#,
    );
}

/// Three of five messages are delivered, one is returned and one left queued.
const COUNTED: &str = r#"
summary  = "s"
zone     = """
good.test.  MX 10 mx1.good.test.
good.test.  MX 20 mx2.good.test.
mx1.good.test. A  192.0.2.1
mx2.good.test. A  192.0.2.2
mx2.good.test. A  192.0.2.3
bad.test.   MX 10 mx.bad.test.
mx.bad.test. A 192.0.2.4
"""
sender   = { retry = ["30m"] }
stop     = "10m"
messages = [
  { id = "good", to = "a@good.test", count = 3 },
  { id = "gone", to = "b@bad.test" },
  { id = "late", to = "c@bad.test", at = "5s" },
]
faults   = [
  { host = "mx.bad.test", stage = "rcpt", effect = "550 5.1.1 no", recipient = "b@bad.test" },
  { host = "mx.bad.test", stage = "connect", effect = "refuse", from = "5s" },
]
[expect]
delivered      = 3
deferred       = 1
bounced        = 1
sessions       = 4
notifications  = 1
first_attempts = [
  { host = "mx1.good.test", min = 1, max = 3 },
  { host = "mx.bad.test", min = 2, max = 2 },
  { host = "192.0.2.4", max = 4 },
]
"#;

#[test]
fn totals_that_are_wrong_are_found_and_ranges_hold_up_to_their_ends() {
    each_is_found(
        COUNTED,
        r#"
delivered      = 3    | delivered = 2                 | MUST delivered messages: 2; not 3
delivered      = 3    | delivered = 4                 | MUST delivered messages: 4; not 3
delivered      = 3    | delivered = { min = 4 }       | MUST delivered messages: at least 4; not 3
delivered      = 3    | delivered = { max = 2 }       | MUST delivered messages: at most 2; not 3
delivered      = 3    | delivered = { min = 1, max = 2 } | MUST delivered messages: 1 to 2; not 3
delivered      = 3    | delivered = { min = 2, max = 3 } | holds
delivered      = 3    | delivered = { min = 3, max = 9 } | holds
deferred       = 1    | deferred = 0                  | MUST deferred messages: 0; not 1
deferred       = 1    | deferred = 2                  | MUST deferred messages: 2; not 1
bounced        = 1    | bounced = 0                   | MUST bounced messages: 0; not 1
bounced        = 1    | bounced = 2                   | MUST bounced messages: 2; not 1
sessions       = 4    | sessions = 3                  | MUST number of sessions: 3; not 4
sessions       = 4    | sessions = 5                  | MUST number of sessions: 5; not 4
sessions       = 4    | sessions = { min = 5 }        | MUST number of sessions: at least 5; not 4
notifications  = 1    | notifications = 0             | MUST number of notifications: 0; not 1
notifications  = 1    | notifications = 2             | MUST number of notifications: 2; not 1
min = 2, max = 2      | min = 3                       | MUST first attempts at mx.bad.test: mx.bad.test: at least 3; not mx1.good.test: 3, mx.bad.test: 2, 192.0.2.4: 2
min = 2, max = 2      | max = 1                       | MUST first attempts at mx.bad.test: mx.bad.test: at most 1; not mx1.good.test: 3, mx.bad.test: 2, 192.0.2.4: 2
min = 2, max = 2      | min = 1, max = 2              | holds
min = 2, max = 2      | min = 2, max = 3              | holds
max = 4               | max = 1                       | MUST first attempts at 192.0.2.4: 192.0.2.4: at most 1; not mx1.good.test: 3, mx.bad.test: 2, 192.0.2.4: 2
max = 4               | max = 2                       | holds
min = 1, max = 3 },   | min = 4 },                    | MUST first attempts at mx1.good.test: mx1.good.test: at least 4; not mx1.good.test: 3, mx.bad.test: 2, 192.0.2.4: 2
"#,
    );
}

/// TLS is offered with a certificate of another name.
const IN_TLS: &str = r#"
summary   = "s"
zone      = """
example.test.     MX 10 mx1.example.test.
example.test.     MX 20 mx2.example.test.
mx1.example.test. A  192.0.2.1
mx2.example.test. A  192.0.2.2
"""
sender    = { tls = "verified" }
receivers = [{ host = "mx1.example.test", certificate = "wrong-name" }, { host = "mx2.example.test", certificate = "valid" }]
messages  = [{ id = "m", to = "a@example.test" }]
[expect.m]
attempts  = [
  { host = "mx1.example.test", result = "tls", stage = "starttls" },
  { host = "mx2.example.test", result = "accepted", tls = true, sni = "mx2.example.test" },
]
"#;

#[test]
fn tls_and_its_server_name_that_are_wrong_are_found() {
    let observed = "mx1.example.test tls at starttls [192.0.2.1] +0s, mx2.example.test accepted [192.0.2.2] in TLS asked for mx2.example.test +0s";
    let run = held(IN_TLS);
    for [written, instead, told] in rows(
        r#"
tls = true, sni = "mx2.example.test" | tls = false                           | mx1.example.test tls at starttls, mx2.example.test accepted in plain text
sni = "mx2.example.test"             | sni = "mx1.example.test"              | mx1.example.test tls at starttls, mx2.example.test accepted in TLS asked for mx1.example.test
result = "tls"                       | result = "insecure"                   | mx1.example.test insecure at starttls, mx2.example.test accepted in TLS asked for mx2.example.test
tls = true, sni                      | sni                                   | holds
"#,
    ) {
        let finding = format!("MUST attempts of message m: {told}; not {observed}");
        let expected = Some(finding).filter(|_| told != "holds");
        let found = lines(&otherwise(IN_TLS, &run, written, instead));
        assert_eq!(found, Vec::from_iter(expected), "{written} made {instead}");
    }
}

#[test]
fn a_finding_says_as_data_what_it_is_about() {
    let of = |message: &str| Subject::Message {
        message: message.into(),
    };
    let recipient = Subject::Recipient {
        message: "m".into(),
        recipient: "a@example.test".to_owned(),
    };
    let host = "mx.bad.test".parse().expect("a host");
    for (text, written, instead, subject, json) in [
        (
            REFUSED,
            "status     = \"5.1.1\"",
            "status = \"5.1.2\"",
            of("m"),
            r#"{"message":"m"}"#,
        ),
        (
            REFUSED,
            "\"a@example.test\" = \"delivered\"",
            "\"a@example.test\" = \"bounced\"",
            recipient,
            r#"{"message":"m","recipient":"a@example.test"}"#,
        ),
        (
            COUNTED,
            "min = 2, max = 2",
            "min = 3",
            Subject::Share { host },
            r#"{"host":"mx.bad.test"}"#,
        ),
        (
            COUNTED,
            "delivered      = 3",
            "delivered = 2",
            Subject::Drill,
            "null",
        ),
    ] {
        let verdict = otherwise(text, &held(text), written, instead);
        let found = &verdict.findings[0].subject;
        assert_eq!(*found, subject);
        let shown = serde_json::to_string(found).expect("written");
        assert_eq!(shown, json);
        assert_eq!(
            serde_json::from_str::<Subject>(json).expect("read"),
            subject
        );
    }
}

/// Two recipients are refused by two exchangers.
const TOLD: &str = r#"
summary  = "s"
level    = "SHOULD"
zone = """
$ORIGIN example.test.
@    MX 10 mx1
@    MX 20 mx2
mx1  A  192.0.2.1
mx2  A  192.0.2.2
"""
messages = [{ id = "m", to = ["a@example.test", "b@example.test"], envid = "id=1", ret = "hdrs", orcpt = { "a@example.test" = "rfc822;A@old.test" } }]
receivers = [{ extensions = ["DSN"] }]
faults = [
  { host = "mx1.example.test", stage = "rcpt", effect = "550 5.1.1 no", recipient = "a@example.test" },
  { host = "mx1.example.test", stage = "rcpt", effect = "451 4.2.1 no", recipient = "b@example.test" },
  { host = "mx2.example.test", stage = "rcpt", effect = "553 5.7.1 no", recipient = "b@example.test" },
]
[expect.m]
dsn = [
  { recipient = "b@example.test", action = "failed", remote_mta = "mx2.example.test", original_recipient = "" },
  { recipient = "a@example.test", status = "5.1.1", diagnostic = "550 5.1.1", original_recipient = "rfc822;A@old.test", envelope_id = "id=1", returned = "headers" },
]
"#;

#[test]
fn what_notifications_tell_is_held_against_what_is_expected() {
    each_is_found(
        TOLD,
        r#"
        { recipient = "b@example.test", action | { action | holds
        action = "failed" | action = "relayed" | SHOULD action in a notification of message m: relayed; not failed
        remote_mta = "mx2.example.test" | remote_mta = "mx1.example.test" | SHOULD remote_mta in a notification of message m: mx1.example.test; not mx2.example.test
        remote_mta = "mx2.example.test" | remote_mta = "" | SHOULD remote_mta in a notification of message m: nothing; not mx2.example.test
        original_recipient = "" | original_recipient = "rfc822;b@example.test" | SHOULD original_recipient in a notification of message m: rfc822;b@example.test; not nothing
        status = "5.1.1" | status = "5.1.2" | SHOULD status in a notification of message m: 5.1.2; not 5.1.1
        diagnostic = "550 5.1.1" | diagnostic = "551" | SHOULD diagnostic in a notification of message m: 551; not 550 5.1.1 no
        envelope_id = "id=1" | envelope_id = "id=2" | SHOULD envelope_id in a notification of message m: id=2; not id=1
        returned = "headers" | returned = "full" | SHOULD returned in a notification of message m: full; not headers
        , original_recipient = "" }, | , original_recipient = "" }, { action = "delayed" }, | SHOULD notifications of message m: delayed; not none
        { recipient = "a@example.test", status = "5.1.1", diagnostic = "550 5.1.1", original_recipient = "rfc822;A@old.test", envelope_id = "id=1", returned = "headers" }, | | SHOULD notifications of message m: no other; not failed for a@example.test
        "#,
    );
}
