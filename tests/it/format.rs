//! What is read of a scenario file, and what is told of a mistake in it, with its place.

use std::{net::IpAddr, time::Duration};

use hickory_proto::rr::RecordType;
use mxdrill::{
    fault::{Effect, Failure, Host, Stage, Transport},
    level::Level,
    mail::{Notify, Occasion, Ret},
    outcome::Outcome,
    reply::Status,
    scenario::{
        Bounds, Certificate, Crash, Engine, Messages, Scenario, TlsPolicy, TlsaParameters, Total,
    },
    time::Moment,
};

/// Every key once.
const WHOLE: &str = r#"summary = "s"
cites   = ["RFC 5321 section 5.1"]
level   = "MAY"
covers  = [1, 23]
seed    = 0x2a
stop    = "3d"
dnssec  = ["Example.test"]
zone    = """
example.test. MX 10 mx1.example.test.
mx1.example.test. A 192.0.2.1
mx1.example.test. AAAA 2001:db8::1
"""
messages = [
  { id = "m", to = ["a@Example.test", "b@example.test"], from = "<>", at = "5s", size = 9, received = 3, requiretls = true },
  { id = "n", to = "c@example.test", from = "d@sender.test", count = 2 },
]
faults = [
  { host = "mx1.example.test", stage = "rcpt", effect = "550 5.1.1 no", recipient = "a@example.test", from = "1s", until = "2s", first = 3 },
  { query = "example.test mx", effect = "servfail", over = "tcp" },
]
updates = [{ at = "1m", delete = ["mx1.example.test AAAA"], add = "mx2.example.test. A 192.0.2.2" }]
receivers = [
  { host = "192.0.2.1", certificate = "expired", tlsa = ["3 1 1", "2 0 2"], size = 1000 },
  { host = "mx1.example.test", upstream = "127.0.0.1:2525" },
]
policies = [{ domain = "example.test", text = "version: STSv1", certificate = "valid", status = 404, from = "1s", until = "2s" }]
crashes = [{ at = "2h" }, { after = "dot", host = "mx1.example.test" }]
[sender]
retry = ["1m", "2m"]
expire = "1d"
names = ["me.test"]
addresses = ["192.0.2.9"]
families = ["ipv6"]
max_candidates = 2
max_hops = 7
timeouts = { rcpt = "9s" }
tls = "dane"
cache = false
remember_unreachable = "5m"
[expect]
delivered = { min = 1, max = 2 }
first_attempts = [{ host = "mx1.example.test", min = 1 }]
[expect.m]
outcome = "delivered"
recipients = { "a@example.test" = "deferred" }
status = "4.4.7"
attempts = [{ any = ["mx1.example.test", "192.0.2.1"], result = 451, stage = "rcpt", at = "5s", address = "192.0.2.1", tls = true, sni = "x" }]
[expect.n]
copies = 1
"#;

/// The mistakes of a file, a line each.
fn mistakes(text: &str) -> Vec<String> {
    match Scenario::parse("f", text) {
        Ok(_) => Vec::new(),
        Err(mistakes) => mistakes.0.iter().map(ToString::to_string).collect(),
    }
}

/// What is told of the whole file with one thing written otherwise.
fn otherwise(written: &str, instead: &str) -> Vec<String> {
    assert_eq!(WHOLE.matches(written).count(), 1, "{written}");
    mistakes(&WHOLE.replace(written, instead))
}

#[test]
fn each_mistake_is_told_once_with_its_place_and_what_was_expected() {
    let table = include_str!("mistakes.txt").split("\n\n").skip(1);
    for row in table {
        let mut lines = row.lines();
        let change = lines.next().expect("a change");
        let (written, instead) = change.split_once("->").expect("an arrow");
        let told: Vec<String> = lines.map(|line| format!("f:{}", line.trim())).collect();
        assert_eq!(otherwise(written.trim(), instead.trim()), told, "{change}");
    }
}

#[test]
fn numbers_are_read_up_to_their_ends() {
    for (written, instead) in [
        ("[1, 23]", "[0, 999]"),
        ("0x2a", "9223372036854775807"),
        ("\"3d\"", "\"0s\""),
        ("id = \"m\"", "id = \"aA0-_.\""),
        (
            "id = \"m\"",
            "id = \"0123456789012345678901234567890123456789012345678901234567890123\"",
        ),
        ("size = 9", "size = 67108864"),
        ("received = 3", "received = 1000"),
        ("count = 2", "count = 1"),
        ("until = \"2s\", first", "until = \"1001ms\", first"),
        ("first = 3", "first = 1"),
        ("first = 3", "first = 4294967295"),
        ("127.0.0.1:2525", "h:65535"),
        ("\"2 0 2\"", "\"0 1 0\""),
        ("size = 1000", "size = 1073741824"),
        ("status = 404", "status = 200"),
        ("status = 404", "status = 599"),
        ("max_candidates = 2", "max_candidates = 1000"),
        ("max_candidates = 2", "max_candidates = 1"),
        ("max_hops = 7", "max_hops = 1"),
        (
            "delivered = { min = 1, max = 2 }",
            "delivered = 1099511627776",
        ),
        (
            "delivered = { min = 1, max = 2 }",
            "delivered = { min = 2, max = 2 }",
        ),
        ("result = 451", "result = 400"),
        ("result = 451", "result = \"599\""),
        ("\"<>\"", "\"\""),
        ("\"a@example.test\" = \"deferred\"", "\"z\" = \"bounced\""),
    ] {
        let told: Vec<String> = otherwise(written, instead);
        let about_ids = |line: &&String| line.contains("found key \"m\"");
        let others = told.iter().filter(|line| !about_ids(line)).count();
        assert_eq!(others, 0, "{written} made {instead}: {told:?}");
    }
}

fn whole() -> Scenario {
    Scenario::parse("folder/drill.toml", WHOLE).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn seconds(number: u64) -> Moment {
    Moment(Duration::from_secs(number))
}

fn host(text: &str) -> Host {
    text.parse().expect("a host")
}

#[test]
fn what_the_drill_is_and_its_messages_are_read_as_written() {
    let scenario = whole();
    assert_eq!(
        (&*scenario.name, &*scenario.path, &*scenario.summary),
        ("drill", "folder/drill.toml", "s")
    );
    assert_eq!(scenario.cites, ["RFC 5321 section 5.1"]);
    assert_eq!(
        (scenario.level, scenario.seed, scenario.stop),
        (Level::May, 42, Some(seconds(259_200)))
    );
    assert_eq!(scenario.covers, [1, 23]);
    assert_eq!(
        scenario.world.dnssec,
        ["example.test".parse().expect("a name")]
    );
    let [m, first, second] = &scenario.messages[..] else {
        panic!("{:?}", scenario.messages);
    };
    let to: Vec<&str> = m.to.iter().map(|to| &*to.text).collect();
    assert_eq!(to, ["a@Example.test", "b@example.test"]);
    assert_eq!(
        Scenario::next_hops(m),
        ["example.test".parse().expect("a name")]
    );
    assert_eq!(
        (&m.from, m.at, m.size, m.received, m.require_tls),
        (&None, seconds(5), Some(9), 3, true)
    );
    assert_eq!((&*first.id.0, &*second.id.0), ("n-1", "n-2"));
    assert_eq!(
        (first.at, first.size, first.received, first.require_tls),
        (Moment::START, None, 0, false)
    );
    assert_eq!(
        first.from.as_ref().map(ToString::to_string).as_deref(),
        Some("d@sender.test")
    );
}

#[test]
fn faults_receivers_and_policies_are_read_as_written() {
    let scenario = whole();
    let [session, query] = &scenario.world.faults[..] else {
        panic!("{:?}", scenario.world.faults);
    };
    assert_eq!(
        (session.from, session.until, session.first),
        (seconds(1), Some(seconds(2)), Some(3))
    );
    assert_eq!(
        (query.from, query.until, query.first),
        (Moment::START, None, None)
    );
    let refused = Failure::Session {
        hosts: vec![host("mx1.example.test")],
        port: None,
        stage: Stage::Rcpt,
        effect: Effect::parse("550 5.1.1 no", Stage::Rcpt).expect("an effect"),
        recipient: Some("a@example.test".to_owned()),
        sender: None,
        larger_than: None,
    };
    assert_eq!(session.failure, refused);
    let failed = Failure::Query {
        name: "example.test".parse().expect("a name"),
        record_type: Some(RecordType::MX),
        over: Some(Transport::Tcp),
        effect: "servfail".parse().expect("an effect"),
    };
    assert_eq!(query.failure, failed);
    let [one, other] = &scenario.world.receivers[..] else {
        panic!("{:?}", scenario.world.receivers);
    };
    let tlsa = |usage, selector, matching| TlsaParameters {
        usage,
        selector,
        matching,
    };
    assert_eq!(
        (&one.host, one.certificate),
        (&Some(host("192.0.2.1")), Some(Certificate::Expired))
    );
    assert_eq!((one.size, &one.engine), (Some(1000), &None));
    assert_eq!(one.tlsa, [tlsa(3, 1, 1), tlsa(2, 0, 2)]);
    assert_eq!(
        (&other.host, other.certificate),
        (&Some(host("mx1.example.test")), None)
    );
    assert_eq!(
        other.engine,
        Some(Engine::Upstream("127.0.0.1:2525".to_owned()))
    );
    let [policy] = &scenario.world.policies[..] else {
        panic!("{:?}", scenario.world.policies);
    };
    assert_eq!(
        (policy.domain.as_str(), &*policy.text),
        ("example.test", "version: STSv1")
    );
    assert_eq!(
        (policy.certificate, policy.status),
        (Certificate::Valid, 404)
    );
    assert_eq!((policy.from, policy.until), (seconds(1), Some(seconds(2))));
}

#[test]
fn crashes_are_read_as_written() {
    let after = Crash::After {
        stage: Stage::Dot,
        host: Some(host("mx1.example.test")),
    };
    assert_eq!(whole().crashes, [Crash::At(seconds(7200)), after]);
    let (read, wrong) = Stage::ALL.into_iter().partition::<Vec<_>, _>(|stage| {
        let told = otherwise("after = \"dot\"", &format!("after = \"{stage}\""));
        told.is_empty()
    });
    assert_eq!(read, Crash::STAGES);
    assert_eq!(wrong, [Stage::Connect, Stage::Greeting]);
}

#[test]
fn the_senders_settings_are_read_as_written() {
    let sender = whole().sender;
    assert_eq!(sender.retry, [seconds(60).0, seconds(120).0]);
    assert_eq!(sender.expire, seconds(86_400).0);
    assert_eq!(sender.names, ["me.test".parse().expect("a name")]);
    assert_eq!(sender.addresses, [IpAddr::from([192, 0, 2, 9])]);
    assert_eq!((sender.families.ipv4, sender.families.ipv6), (false, true));
    assert_eq!((sender.max_candidates, sender.max_hops), (Some(2), 7));
    assert_eq!((sender.tls, sender.cache), (TlsPolicy::Dane, false));
    assert_eq!(sender.remember_unreachable, Some(seconds(300).0));
    let waits = Stage::ALL.map(|stage| sender.timeouts.at(stage).as_secs());
    assert_eq!(waits, [30, 300, 300, 300, 300, 300, 9, 120, 180, 600, 300]);
}

#[test]
fn expectations_are_read_as_written() {
    let expect = whole().expect;
    let bounds = |min, max| Bounds { min, max };
    assert_eq!(expect.totals, [(Total::Delivered, bounds(1, 2))]);
    assert_eq!(
        expect.first_attempts,
        [(host("mx1.example.test"), bounds(1, u64::MAX))]
    );
    let ids: Vec<&str> = expect.messages.iter().map(|(id, _)| &*id.0).collect();
    assert_eq!(ids, ["m", "n-1", "n-2"]);
    let m = &expect.messages[0].1;
    assert_eq!(
        (m.outcome, m.status),
        (Some(Outcome::Delivered), Some(Status(4, 4, 7)))
    );
    assert_eq!((&m.by, m.copies, m.attempt_count), (&None, None, None));
    assert_eq!(
        m.recipients,
        [("a@example.test".to_owned(), Outcome::Deferred)]
    );
    assert!(m.starts_with.is_none());
    let attempts = m.attempts.iter().flatten().map(ToString::to_string);
    assert_eq!(
        Vec::from_iter(attempts),
        ["mx1.example.test or 192.0.2.1 451 at rcpt [192.0.2.1] in TLS asked for x +5s"]
    );
    assert_eq!(expect.messages[2].1.copies, Some(bounds(1, 1)));
}

#[test]
fn a_message_that_is_expected_deferred_is_left_after_its_expected_attempts() {
    let left = |expect: &str| {
        let text = format!(
            "summary = 's'\nzone = 'example.test. MX 10 mx1.example.test.'\n\
             messages = [{{ id = 'm', at = '5s', to = 'a@example.test' }}, {{ id = 'n', to = 'b@example.test' }}]\n{expect}"
        );
        let scenario = Scenario::parse("f", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let leaves = scenario.messages.iter().map(|message| message.leave);
        leaves
            .map(|leave| Some((leave?.after.0.as_secs(), leave?.attempts)))
            .collect::<Vec<_>>()
    };
    let attempt = |at: &str| format!("{{ host = 'mx1.example.test', result = 'refused'{at} }}");
    let (one, late) = (attempt(""), attempt(", at = '30m'"));
    for (expect, leaves) in [
        ("".to_owned(), [None, None]),
        ("[expect.m]\noutcome = 'delivered'".to_owned(), [None, None]),
        (
            "[expect.m]\noutcome = 'deferred'".to_owned(),
            [Some((5, 0)), None],
        ),
        (
            "[expect.n]\nrecipients = { 'b@example.test' = 'deferred' }".to_owned(),
            [None, Some((0, 0))],
        ),
        (
            "[expect.n]\nrecipients = { 'b@example.test' = 'bounced' }".to_owned(),
            [None, None],
        ),
        (
            format!("[expect.m]\noutcome = 'deferred'\nattempts = [{one}, {one}]"),
            [Some((5, 2)), None],
        ),
        (
            format!("[expect.m]\noutcome = 'deferred'\nattempts = [{late}, {one}]"),
            [Some((1800, 2)), None],
        ),
        (
            format!("[expect.m]\noutcome = 'deferred'\nstarts_with = [{late}]"),
            [Some((1800, 1)), None],
        ),
        (
            format!(
                "[expect.m]\noutcome = 'deferred'\nattempts = [{}]",
                attempt(", at = '1s'")
            ),
            [Some((5, 1)), None],
        ),
        (
            "[expect]\ndeferred = 1".to_owned(),
            [Some((5, 0)), Some((0, 0))],
        ),
        (
            "[expect]\ndeferred = { min = 1, max = 2 }".to_owned(),
            [Some((5, 0)), Some((0, 0))],
        ),
        ("[expect]\ndeferred = 0".to_owned(), [None, None]),
        ("[expect]\ndeferred = { max = 2 }".to_owned(), [None, None]),
        ("[expect]\nbounced = 1".to_owned(), [None, None]),
        (
            "[expect]\ndeferred = 1\n[expect.n]\noutcome = 'deferred'".to_owned(),
            [None, Some((0, 0))],
        ),
        (
            "stop = '1h'\n[expect.m]\noutcome = 'deferred'".to_owned(),
            [None, None],
        ),
    ] {
        assert_eq!(left(&expect), leaves, "{expect}");
    }
}

#[test]
fn what_is_asked_of_notifications_is_built_as_it_is_read() {
    let messages = Messages::new("m", "a+b@Example.test")
        .also_to("c@example.test")
        .also_to("d@example.test")
        .notify("a+b@Example.test", Notify::Never)
        .notify(
            "c@example.test",
            Notify::Of([Occasion::Delay, Occasion::Success].into()),
        )
        .ret(Ret::Headers)
        .envelope_id("QQ+1 = \"x\"")
        .original_recipient(
            "c@example.test",
            "rfc822; C=c@Old.test".parse().expect("one"),
        );
    let scenario = Scenario::builder("s")
        .zone("example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1")
        .messages(messages)
        .build()
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let message = &scenario.messages[0];
    assert_eq!(
        message.mail_parameters(),
        " RET=HDRS ENVID=QQ+2B1+20+3D+20\"x\""
    );
    let rcpt = message.to.iter().map(|to| message.rcpt_parameters(to));
    assert_eq!(
        rcpt.collect::<Vec<_>>(),
        [
            " NOTIFY=NEVER",
            " NOTIFY=SUCCESS,DELAY ORCPT=rfc822;C+3Dc@Old.test",
            "",
        ]
    );
    let wants = |to: usize, occasion| message.wants(&message.to[to], occasion);
    assert!(!wants(0, Occasion::Failure) && wants(1, Occasion::Success));
    assert!(wants(2, Occasion::Failure) && !wants(2, Occasion::Delay));
    // Written for all at once it is the same as for each.
    let text = scenario.to_toml();
    let again = Scenario::parse("again", &text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(again.messages, scenario.messages);
    let all = text.replace(
        "notify = { \"a+b@Example.test\" = \"never\", \"c@example.test\" = [\"success\", \"delay\"] }",
        "notify = \"never\"",
    );
    let all = Scenario::parse("all", &all).expect("valid");
    let message = &all.messages[0];
    let of_each = message.to.iter().map(|to| message.request_of(to).notify);
    assert!(
        of_each
            .into_iter()
            .all(|notify| notify == Some(Notify::Never)),
        "{text}"
    );
}
