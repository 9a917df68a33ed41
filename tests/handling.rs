//! What authors ask of those who carry their messages, as the reference sender passes it on: binary content (RFC 3030),
//! a priority (RFC 6710), and a time in which they are to be delivered (RFC 2852).

mod small;

use mxdrill::{
    drill::Run,
    event::EventKind,
    fault::Stage,
    sender::{Flaw, Reference},
};

use small::{play, scenario};

const ZONE: &str =
    "$ORIGIN example.test.\n$TTL 300\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";

/// A drill that passes with whatever stands in it.
fn passes(rest: &str) -> Run {
    let run = play(&scenario(ZONE, rest), Reference::default());
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    run
}

/// The parameters of each MAIL, sizes left out.
fn of_mail(run: &Run) -> Vec<String> {
    let of = |kind: &EventKind| match kind {
        EventKind::Reply { stage, more, .. } if *stage == Stage::Mail => {
            let told = more.parameters.iter();
            let told = told.filter(|one| !one.starts_with("SIZE="));
            Some(told.cloned().collect::<Vec<_>>().join(" "))
        }
        _ => None,
    };
    run.events
        .iter()
        .filter_map(|event| of(&event.kind))
        .collect()
}

/// How often a chunk was answered at a stage.
fn chunks(run: &Run, at: Stage) -> usize {
    let is_one = |kind: &EventKind| match kind {
        EventKind::Reply { stage, more, .. } => {
            *stage == at && more.verb.as_deref() == Some("BDAT")
        }
        _ => false,
    };
    run.events
        .iter()
        .filter(|event| is_one(&event.kind))
        .count()
}

/// Octets and body of the messages that were taken.
fn taken(run: &Run) -> Vec<(usize, Option<u64>)> {
    let of = |kind: &EventKind| match kind {
        EventKind::Taken { octets, body, .. } => Some((*octets, body.map(|body| body.0))),
        _ => None,
    };
    run.events
        .iter()
        .filter_map(|event| of(&event.kind))
        .collect()
}

/// FNV-1a of 64 bits, by its own description.
fn fnv(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn binary_content_arrives_as_it_is_where_binarymime_and_chunking_are_offered() {
    let run = passes(
        r#"messages = [{ id = "m", to = "a@example.test", binary = true, body = "a\u0000\nb\r.\r\n.\r\n\u00e9" }]
receivers = [
    { host = "mx1.example.test", extensions = ["BINARYMIME", "8BITMIME"] },
    { host = "mx2.example.test", extensions = ["BINARYMIME", "CHUNKING"] },
]
[expect.m]
outcome  = "delivered"
attempts = [
    { host = "mx1.example.test", result = "unsupported", stage = "helo" },
    { host = "mx2.example.test", result = "accepted" },
]
"#,
    );
    assert_eq!(of_mail(&run), ["BODY=BINARYMIME"]);
    let body = taken(&run)[0].1;
    assert_eq!(body, Some(fnv("a\0\nb\r.\r\n.\r\n\u{e9}".as_bytes())));
}

const BINARY: &str = "receivers = [{ extensions = ['BINARYMIME', 'CHUNKING', 'SIZE 100000'] }]\n\
    messages = [{ id = 'm', to = 'a@example.test', binary = true, size = 40000 }]\n[expect.m]\n";

#[test]
fn large_binary_content_comes_in_chunks_and_none_follows_one_that_is_refused() {
    let run = passes(&format!("{BINARY}by = 'mx1.example.test'\n"));
    assert_eq!(
        (chunks(&run, Stage::Data), chunks(&run, Stage::Dot)),
        (2, 1)
    );
    assert_eq!(taken(&run)[0].0, 40_000);
    let refused =
        "faults = [{ host = 'mx1.example.test', stage = 'data', effect = '451 4.3.0 no' }]\n";
    let run = passes(&format!("{refused}{BINARY}by = 'mx2.example.test'\n"));
    assert_eq!(
        (chunks(&run, Stage::Data), chunks(&run, Stage::Dot)),
        (3, 1)
    );
}

#[test]
fn binary_content_that_nobody_takes_is_returned() {
    passes(
        "messages = [{ id = 'm', to = 'a@example.test', binary = true }]\n\
         [expect.m]\noutcome = 'bounced'\nstatus = '5.6.3'\n",
    );
}

#[test]
fn a_priority_is_told_where_it_is_offered_and_that_of_a_notification_is_its_messages() {
    let run = passes(
        r#"messages = [{ id = "m", to = "a@example.test", priority = -3 }]
receivers = [{ host = "mx2.example.test", extensions = ["MT-PRIORITY"] }, { host = "bounces.sender.test", extensions = ["MT-PRIORITY MIXER"] }]
faults = [
    { host = "mx1.example.test", stage = "rcpt", effect = "451 4.3.0 later" },
    { host = "mx2.example.test", stage = "rcpt", effect = "550 5.1.1 nobody" },
]
[expect.m]
outcome = "bounced"
"#,
    );
    assert_eq!(of_mail(&run), ["", "MT-PRIORITY=-3", "MT-PRIORITY=-3"]);
}

/// A drill of a message with a time, whose exchangers offer DELIVERBY and refuse until some moment.
fn timed(by: &str, until: &str, expect: &str) -> Run {
    passes(&format!(
        "messages = [{{ id = 'm', to = 'a@example.test', {by} }}]\n\
         receivers = [{{ extensions = ['DELIVERBY'] }}]\n\
         faults = [{{ host = 'mx1.example.test', stage = 'greeting', effect = 'delay 30s', first = 1 }},\n\
           {{ host = ['mx1.example.test', 'mx2.example.test'], stage = 'rcpt', effect = '451 4.3.0 later', until = '{until}' }}]\n\
         [expect.m]\n{expect}"
    ))
}

#[test]
fn what_is_asked_is_written_as_it_is_read() {
    let rest = "messages = [{ id = 'm', to = 'a@example.test', binary = true, priority = 9,\n\
        deliver_by = { within = '90s', mode = 'return', trace = true } }]\n";
    let read = scenario(ZONE, rest);
    let again = mxdrill::Scenario::parse("again.toml", &read.to_toml()).expect("valid");
    assert_eq!(again.messages, read.messages);
}

#[test]
fn what_is_left_of_the_time_is_passed_on() {
    let by = "deliver_by = { within = '1h', mode = 'return', trace = true }";
    let run = timed(by, "20m", "outcome = 'delivered'\n");
    // The last one is of the notification that it was relayed.
    let told = ["BY=3570;RT", "BY=3570;RT", "BY=1770;RT", ""];
    assert_eq!(of_mail(&run), told);
}

#[test]
fn a_message_whose_time_is_over_is_returned_at_that_moment() {
    let by = "deliver_by = { within = '40m', mode = 'return' }";
    let run = timed(
        by,
        "2h",
        "outcome = 'bounced'\nstatus = '5.4.7'\nattempt_count = 4\n",
    );
    let returned = run.events.iter().find_map(|event| match event.kind {
        EventKind::Taken { .. } => Some(event.at.0.as_secs()),
        _ => None,
    });
    assert_eq!(returned, Some(2400));
    // Who asked for nothing of the kind is not given up so soon: the rule that holds it against a sender still holds.
    let rest = "messages = [{ id = 'm', to = 'a@example.test' }]\n\
        faults = [{ stage = 'rcpt', effect = '451 4.3.0 later', until = '2h' }]\n[expect.m]\noutcome = 'bounced'\n";
    let flawed = Reference::with_flaw(Flaw::BouncesTransient);
    let run = play(&scenario(ZONE, rest), flawed);
    let rules = run.verdict.findings.iter().filter_map(|one| one.rule);
    assert!(rules.into_iter().any(|rule| rule == "transient-is-retried"));
}

#[test]
fn a_message_that_is_to_be_returned_in_time_goes_on_with_deliverby_alone_and_looks_for_it_nowhere_else()
 {
    passes(
        r#"messages = [{ id = "m", to = "a@example.test", deliver_by = { within = "1h", mode = "return" } }]
receivers = [{ host = "mx2.example.test", extensions = ["DELIVERBY"] }]
[expect.m]
outcome  = "bounced"
status   = "5.3.3"
attempts = [{ host = "mx1.example.test", result = "unsupported", stage = "helo" }]
"#,
    );
}

#[test]
fn who_asks_to_be_told_that_the_time_is_over_is_told_and_the_message_is_tried_on() {
    let by = "deliver_by = { within = '10m' }";
    let delayed = "outcome = 'delivered'\ndsn = [{ recipient = 'a@example.test', action = 'delayed', status = '4.4.7' }]\n";
    let run = timed(by, "20m", delayed);
    let told = run.events.iter().find_map(|event| match event.kind {
        EventKind::Taken { .. } => Some(event.at.0.as_secs()),
        _ => None,
    });
    assert_eq!(told, Some(600));
    assert_eq!(of_mail(&run).last().map(String::as_str), Some("BY=-1230;N"));
    // Who wants to hear of failures alone is not told, and where DELIVERBY is not offered nothing is said of it.
    let quiet = "notify = 'failure', deliver_by = { within = '10m' }";
    timed(quiet, "20m", "outcome = 'delivered'\ndsn = []\n");
    let run = passes(
        "messages = [{ id = 'm', to = 'a@example.test', deliver_by = { within = '10m' } }]\n[expect.m]\nby = 'mx1.example.test'\n",
    );
    // The message, and the notification that it was relayed.
    assert_eq!(of_mail(&run), ["", ""]);
}

#[test]
fn a_server_that_returns_nothing_so_soon_is_handed_nothing_that_is_to_be_back_by_then() {
    let told = |within: &str, mode: &str, expected: &str| {
        let run = passes(&format!(
            "messages = [{{ id = 'm', to = 'a@example.test', deliver_by = {{ within = '{within}', mode = '{mode}' }} }}]\n\
             receivers = [{{ extensions = ['DELIVERBY 240'] }}]\n[expect.m]\n{expected}"
        ));
        of_mail(&run)
    };
    let taken = "by = 'mx1.example.test'\n";
    let unsupported = "outcome = 'bounced'\nstatus = '5.3.3'\nattempts = [{ host = 'mx1.example.test', result = 'unsupported' }, { host = 'mx2.example.test', result = 'unsupported' }]\n";
    assert_eq!(told("240s", "return", taken), ["BY=240;R"]);
    // The notification alone.
    assert_eq!(told("239s", "return", unsupported), [""]);
    // Who is only to be told can be told at any time.
    assert_eq!(told("239s", "notify", taken), ["BY=239;N"]);
}

/// The parameters of RCPT at exchangers.
fn of_rcpt(run: &Run) -> Vec<String> {
    let of = |kind: &EventKind| match kind {
        EventKind::Reply { stage, more, .. } if *stage == Stage::Rcpt => {
            Some(more.parameters.join(" "))
        }
        _ => None,
    };
    let all = run.events.iter();
    all.filter_map(|event| of(&event.kind)).collect()
}

#[test]
fn a_message_that_may_get_late_unseen_is_reported_as_relayed() {
    let told = |asks: &str, extensions: &str, dsn: &str| {
        let run = passes(&format!(
            "messages = [{{ id = 'm', to = 'a@example.test', {asks} }}]\n\
             receivers = [{{ extensions = [{extensions}] }}]\n[expect.m]\nby = 'mx1.example.test'\ndsn = {dsn}\n"
        ));
        of_rcpt(&run).into_iter().next()
    };
    let by = "deliver_by = { within = '10m' }";
    let relayed = "[{ recipient = 'a@example.test', action = 'relayed' }]";
    let first = |text: &str| Some(text.to_owned());
    assert_eq!(told(by, "", relayed), first(""));
    // Servers that know DSN can at least tell of delays.
    assert_eq!(told(by, "'DSN'", relayed), first("NOTIFY=FAILURE,DELAY"));
    let failures = format!("notify = 'failure', {by}");
    assert_eq!(
        told(&failures, "'DSN'", relayed),
        first("NOTIFY=FAILURE,DELAY")
    );
    let never = format!("notify = 'never', {by}");
    assert_eq!(told(&never, "'DSN'", "[]"), first("NOTIFY=NEVER"));
    // Who knows until when it is to arrive tells by itself; each relay is told of where that is asked for.
    assert_eq!(told(by, "'DELIVERBY'", "[]"), first(""));
    let trace = "deliver_by = { within = '10m', trace = true }";
    assert_eq!(told(trace, "'DELIVERBY', 'DSN'", relayed), first(""));
    // One that is to be returned must not go on at all without it.
    let back = "deliver_by = { within = '10m', mode = 'return', trace = true }";
    assert_eq!(told(back, "'DELIVERBY'", relayed), first(""));
}

#[test]
fn who_is_told_of_a_delay_is_not_told_of_the_relay_as_well_and_nobody_is_told_nothing() {
    let told = |within: &str, until: &str, dsn: &str| {
        passes(&format!(
            "messages = [{{ id = 'm', to = 'a@example.test', deliver_by = {{ within = '{within}' }} }}]\n\
             receivers = [{{ extensions = ['DSN'] }}]\n\
             faults = [{{ host = 'mx2.example.test', stage = 'connect', effect = 'refuse' }},\n\
               {{ host = 'mx1.example.test', {until} }}]\n\
             [expect.m]\nby = 'mx1.example.test'\ndsn = {dsn}\n"
        ))
    };
    let delayed = "[{ recipient = 'a@example.test', action = 'delayed', status = '4.4.7' }]";
    let relayed = "[{ recipient = 'a@example.test', action = 'relayed' }]";
    let busy = "stage = 'rcpt', effect = '451 4.3.0 later', until = '2h'";
    let run = told("30m", busy, delayed);
    let last = of_rcpt(&run)
        .into_iter()
        .rfind(|one| !one.contains("NEVER"));
    // Its time is over: as its author asked, and no more.
    assert_eq!(last.as_deref(), Some(""));
    // It is over between MAIL and the end of the data.
    told(
        "5m",
        "stage = 'dot', effect = 'delay 9m', first = 1",
        relayed,
    );
}

/// RFC 8689 section 5: what tells of a message is as private as the message, as far as the way back allows.
#[test]
fn a_notification_asks_for_requiretls_where_it_is_offered_and_is_sent_where_it_is_not() {
    let returned = |offered: &str| {
        let zone = format!("{ZONE}$ORIGIN author.test.\n@ MX 10 mx\nmx A 192.0.2.9\n");
        let rest = format!(
            r#"dnssec = ["example.test", "author.test"]
sender = {{ tls = "dane" }}
messages = [{{ id = "m", from = "me@author.test", to = "a@example.test", requiretls = true, ret = "full" }}]
receivers = [
    {{ certificate = "valid", tlsa = ["3 1 1"], extensions_in_tls = ["DSN", "REQUIRETLS"] }},
    {{ host = "mx.author.test", extensions_in_tls = [{offered}] }},
]
faults = [{{ host = "mx1.example.test", stage = "rcpt", effect = "550 5.1.1 no such user" }}]
[expect.m]
outcome = "bounced"
dsn = {{ action = "failed", returned = "headers" }}
"#
        );
        let run = play(&scenario(&zone, &rest), Reference::default());
        assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
        of_mail(&run)
    };
    assert_eq!(
        returned("'REQUIRETLS'"),
        ["REQUIRETLS RET=FULL", "REQUIRETLS"]
    );
    assert_eq!(returned("'SIZE'"), ["REQUIRETLS RET=FULL", ""]);
}
