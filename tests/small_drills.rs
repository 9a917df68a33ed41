//! Small drills of the reference sender, each about one thing that is easily read wrongly: a policy, an
//! address, a notification.

mod small;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mxdrill::{
    drill::{self, Run},
    event::{Event, EventKind},
    lab::NetworkKind,
    outcome::Outcome,
    sender::{self, Flaw, Reference, Sender, SenderContext},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};

use small::{play, scenario};

const ZONE: &str = "$ORIGIN example.test.\n$TTL 300\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n\
    _mta-sts TXT \"v=STSv1; id=1\"\n";

fn passes(zone: &str, rest: &str) -> Run {
    let run = play(&scenario(zone, rest), Reference::default());
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    run
}

fn rules(run: &Run) -> BTreeSet<&'static str> {
    let findings = run.verdict.findings.iter();
    findings.filter_map(|finding| finding.rule).collect()
}

/// A drill in which the domain has this policy.
fn with_policy(receivers: &str, policy: &str) -> String {
    format!(
        "receivers = [{receivers}]\nsender = {{ tls = \"mta-sts\" }}\n\
         policies = [{{ domain = \"example.test\", text = '''\n{policy}''' }}]\n\
         messages = [{{ id = \"m\", to = \"a@example.test\" }}]\n[expect.m]\noutcome = \"delivered\"\n"
    )
}

#[test]
fn a_policy_lists_hosts_in_whatever_case() {
    passes(
        ZONE,
        &with_policy(
            "{ certificate = \"valid\" }",
            "version: STSv1\nmode: enforce\nmx: MX1.Example.Test\nmx: *.EXAMPLE.test\nmax_age: 86400\n",
        ),
    );
}

#[test]
fn a_policy_that_is_not_valid_stops_nothing() {
    for policy in [
        "version: STSv1\nmode: enforce\nnmx: mx1.example.test\nmax_age: 604800\n",
        "mode: enforce\nmx: mx1.example.test\nmax_age: 604800\n",
        "version: STSv2\nmode: enforce\nmx: mx1.example.test\nmax_age: 604800\n",
        "version: STSv1\nmode: enforce\nmx: mx1.example.test\nmax_age: 31557601\n",
        "version: STSv1\nmode: enforce\nmx: mx1.example.test\nmax_age: 604800\nno field\n",
    ] {
        passes(ZONE, &with_policy("", policy));
    }
}

#[test]
fn a_policy_in_testing_mode_excuses_no_host() {
    let policy =
        "version: STSv1\nmode: testing\nmx: enforce.example.test\nmax_age: 86400\n".to_owned();
    let drill = with_policy("{ certificate = \"valid\" }", &policy);
    passes(ZONE, &drill);
    let flawed = play(
        &scenario(ZONE, &drill),
        Reference::with_flaw(Flaw::HighestFirst),
    );
    assert!(rules(&flawed).contains("preference-order"));
    // What an enforced one does not list is left out, and that is right.
    let enforced = policy
        .replace("testing", "enforce")
        .replace("enforce.example", "mx2.example");
    let drill = with_policy("{ certificate = \"valid\" }", &enforced);
    passes(ZONE, &drill);
    let flawed = play(
        &scenario(ZONE, &drill),
        Reference::with_flaw(Flaw::HighestFirst),
    );
    assert!(!rules(&flawed).contains("preference-order"));
}

#[test]
fn mailboxes_are_compared_by_what_they_stand_for() {
    passes(
        ZONE,
        r#"messages = [
    { id = "quoted", to = "\"a b\"@example.test" },
    { id = "needless", to = "\"alice\"@example.test" },
    { id = "escaped", to = "\"b\\ob\"@example.test", from = "\"s t\"@sender.test" },
    { id = "plain", to = "bob@example.test" },
]
faults = [{ host = "mx1.example.test", stage = "rcpt", effect = "550 5.1.1 no", recipient = "\"alice\"@example.test" }]
[expect]
delivered = 3
[expect.needless]
recipients = { "\"al\\ice\"@example.test" = "bounced" }
"#,
    );
}

#[test]
fn an_address_literal_is_where_the_mail_goes() {
    let zone = format!("{ZONE}six AAAA 2001:db8::6\n");
    let run = passes(
        &zone,
        r#"messages = [
    { id = "four", to = "a@[192.0.2.2]" },
    { id = "six", to = "a@[IPv6:2001:DB8::6]" },
]
[expect.four]
by = "mx2.example.test"
attempts = [{ host = "192.0.2.2", result = "accepted" }]
[expect.six]
by = "six.example.test"
"#,
    );
    // Nobody is asked where an address is.
    let events = run.events.iter();
    let queries = events
        .filter(|event| event.line().contains("query"))
        .count();
    assert_eq!(queries, 0);
    // One that nobody has is tried, and tried again.
    passes(
        ZONE,
        "messages = [{ id = \"m\", to = \"a@[192.0.2.9]\" }]\n[expect.m]\noutcome = \"bounced\"\nstatus = \"5.4.7\"\n",
    );
}

/// Ten times the recipients take the lab and the sender some ten times the time, and not a hundred.
#[test]
fn a_message_costs_what_its_recipients_do() {
    let took = |count: usize| {
        let to: Vec<String> = (0..count)
            .map(|n| format!("\"r{n}@example.test\""))
            .collect();
        let rest = format!("messages = [{{ id = \"m\", to = [{}] }}]\n", to.join(", "));
        let scenario = scenario(ZONE, &rest);
        let begun = Instant::now();
        let mut last = begun;
        let each = |_| last = Instant::now();
        let kind = NetworkKind::Memory;
        let run = drill::watch(&scenario, kind, None, Reference::default(), each);
        assert!(run.expect("the drill ran").verdict.passed());
        last - begun
    };
    // What else the machine does lengthens some of them.
    let least = |count: usize| (0..4).map(|_| took(count)).min().expect("four times");
    let (few, many) = (least(100), least(1000));
    assert!(many < few * 40, "{few:?} for 100, {many:?} for 1000");
}

/// The lab's own host for notifications must not be one of the drill's exchangers.
#[test]
fn notifications_arrive_whatever_addresses_the_zone_has() {
    let drill = |address: &str| {
        let zone = format!("$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A {address}\n");
        passes(
            &zone,
            "sender = { addresses = [\"198.51.100.26\"] }\n\
             messages = [{ id = \"m1\", to = \"alice@example.test\" }, { id = \"m2\", to = \"a@[198.51.100.27]\" }]\n\
             faults = [{ host = \"mx1.example.test\", stage = \"rcpt\", effect = \"550 5.1.1 no such user\" }]\n\
             [expect]\nnotifications = 2\n[expect.m1]\noutcome = \"bounced\"\n[expect.m2]\noutcome = \"bounced\"\n",
        )
    };
    for address in ["192.0.2.1", "198.51.100.25"] {
        drill(address);
    }
}

/// A sender that only sends a notification about the message that it is given.
fn notifier(action: &'static str, status: &'static str) -> impl Sender {
    sender::from_fn(move |mut context: SenderContext| async move {
        let message = context.next_message().await.expect("a message");
        let address = "198.51.100.25".parse().expect("an address");
        let mut stream = BufStream::new(
            context
                .connect(address, &message.id)
                .await
                .expect("connected"),
        );
        let notice = format!(
            "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n\
             --b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; x\r\n\r\n\
             Final-Recipient: rfc822; a@example.test\r\nAction: {action}\r\nStatus: {status}\r\n\r\n\
             --b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID:\r\n <m@mxdrill.test>\r\n\r\n--b--\r\n.\r\n"
        );
        for line in [
            "",
            "EHLO x\r\n",
            "MAIL FROM:<>\r\n",
            "RCPT TO:<sender@sender.test>\r\n",
            "DATA\r\n",
            &*notice,
            "QUIT\r\n",
        ] {
            stream.write_all(line.as_bytes()).await.expect("sent");
            stream.flush().await.expect("sent");
            let mut reply = String::from("250-");
            while reply.as_bytes().get(3) == Some(&b'-') {
                reply.clear();
                stream.read_line(&mut reply).await.expect("a reply");
            }
        }
    })
}

#[test]
fn only_a_notification_of_failure_is_a_bounce() {
    let scenario = scenario(
        ZONE,
        "messages = [{ id = \"m\", to = \"a@example.test\" }]\n",
    );
    for (action, status, outcome) in [
        ("failed", "5.1.1", Outcome::Bounced),
        ("delayed", "4.4.1", Outcome::Deferred),
        ("relayed", "2.0.0", Outcome::Deferred),
        ("delivered", "2.0.0", Outcome::Deferred),
    ] {
        let sender = notifier(action, status);
        let run = drill::run(&scenario, NetworkKind::Memory, None, sender).expect("the drill ran");
        assert_eq!(run.verdict.outcomes.get(&outcome), Some(&1), "{action}");
    }
}

#[test]
fn a_reply_is_taken_by_its_first_digit() {
    for (stage, effect, end) in [
        ("rcpt", "500 5.5.2 what", "outcome = \"bounced\""),
        ("rcpt", "501 5.1.3 bad", "outcome = \"bounced\""),
        ("rcpt", "451 4.2.1 later", "by = \"mx2.example.test\""),
        ("data", "354 go", "by = \"mx1.example.test\""),
        ("data", "350 go", "by = \"mx1.example.test\""),
        // No leave to send, and nothing taken.
        ("data", "250 fine", "by = \"mx2.example.test\""),
        ("dot", "354 more", "by = \"mx2.example.test\""),
    ] {
        let rest = format!(
            "messages = [{{ id = \"m\", to = \"a@example.test\" }}]\n\
             faults = [{{ host = \"mx1.example.test\", stage = \"{stage}\", effect = \"{effect}\" }}]\n[expect.m]\n{end}\n"
        );
        passes(ZONE, &rest);
    }
}

/// Where time is real, a lab that was held up cannot tell whose fault it is that a drill fails.
#[test]
fn a_failure_on_a_machine_that_is_too_busy_is_nobodys() {
    let scenario = scenario(
        ZONE,
        "messages = [{ id = \"m\", to = \"a@example.test\" }]\n[expect]\ndelivered = 1\n",
    );
    let play = |busy: Duration| {
        let sender = sender::from_fn(move |mut context: SenderContext| async move {
            let message = context.next_message().await.expect("a message");
            // The lab has a turn, and then none for a while: it is on this thread too.
            let mx1 = "192.0.2.1".parse().expect("an address");
            drop(context.connect(mx1, &message.id).await);
            tokio::time::sleep(Duration::from_millis(30)).await;
            let begun = Instant::now();
            while begun.elapsed() < busy {}
            tokio::time::sleep(Duration::from_millis(30)).await;
        });
        drill::run(&scenario, NetworkKind::Loopback, None, sender)
    };
    let error = play(Duration::from_millis(600)).expect_err("it cannot be judged");
    assert!(error.is_too_slow(), "{error}");
    // Who had the time to send and did not has failed, if this machine has the time to see it.
    match play(Duration::ZERO) {
        Ok(run) => assert!(!run.verdict.passed()),
        Err(error) => assert!(error.is_too_slow(), "{error}"),
    }
}

/// The moments, in hours, at which a policy was fetched.
fn fetches(run: &Run) -> Vec<u64> {
    let of = |event: &Event| match event.kind {
        EventKind::Fetched { .. } => Some(event.at.0.as_secs() / 3600),
        _ => None,
    };
    run.events.iter().filter_map(of).collect()
}

/// A policy of two days. After three days an attacker hides its record, and takes TLS away.
fn hidden_after_three_days(at: &str, outcome: &str) -> String {
    format!(
        "receivers = [{{ certificate = 'valid' }}]\nsender = {{ tls = 'mta-sts' }}\n\
         policies = [{{ domain = 'example.test', text = '''\nversion: STSv1\nmode: enforce\nmx: *.example.test\nmax_age: 172800\n''' }}]\n\
         messages = [{{ id = 'early', to = 'a@example.test' }}, {{ id = 'late', to = 'a@example.test', at = '{at}' }}]\n\
         updates = [{{ at = '3d', delete = '_mta-sts.example.test. TXT' }}]\n\
         faults = [{{ stage = 'starttls', effect = 'not offered', from = '3d' }}]\nstop = '{at}'\n\
         [expect.early]\noutcome = 'delivered'\n[expect.late]\noutcome = '{outcome}'\n"
    )
}

#[test]
fn a_kept_policy_is_refreshed_each_day_and_counts_on_when_its_record_is_hidden() {
    // Within two days of the second day, and not of the first message.
    let run = passes(ZONE, &hidden_after_three_days("3d12h", "deferred"));
    assert_eq!(fetches(&run), [0, 24, 48]);
    // Of what was fetched last, after two days, nothing is left after four.
    let run = passes(ZONE, &hidden_after_three_days("4d12h", "delivered"));
    assert_eq!(fetches(&run), [0, 24, 48]);
}

#[test]
fn a_policy_that_cannot_be_refreshed_counts_until_its_end_and_is_asked_for_again() {
    let drill = hidden_after_three_days("1d14h", "delivered");
    let drill = drill.replace(
        "domain = 'example.test'",
        "domain = 'example.test', until = '1h'",
    );
    let run = passes(ZONE, &drill);
    // The web server no longer has it, which costs nothing as long as it is kept: it is asked again after half of what is
    // left of the two days, each time.
    assert_eq!(fetches(&run), [0, 24, 36]);
}

#[test]
fn a_policy_of_a_few_minutes_is_not_refreshed() {
    let drill = hidden_after_three_days("2d", "delivered").replace("172800", "500");
    let run = passes(ZONE, &drill);
    assert_eq!(fetches(&run), [0, 48]);
}

/// A notification about an address beyond ASCII, to an author whose exchanger offers this.
fn about_utf8(from: &str, offered: &str) -> Run {
    passes(
        ZONE,
        &format!(
            "messages = [{{ id = 'm', from = '{from}', to = 'm\u{fc}ller@example.test', ret = 'full', body = 'Gr\u{fc}\u{df}e' }}]\n\
             receivers = [{{ host = 'bounces.sender.test', extensions = [{offered}] }}]\n\
             faults = [{{ stage = 'rcpt', recipient = 'm\u{fc}ller@example.test', effect = '550 5.1.1 nobody' }}]\n\
             [expect.m]\noutcome = 'bounced'\n\
             dsn = [{{ recipient = 'm\u{fc}ller@example.test', action = 'failed', status = '5.1.1', returned = 'full' }}]\n"
        ),
    )
}

#[test]
fn a_notification_of_an_address_beyond_ascii_goes_where_nothing_is_offered() {
    let run = about_utf8("sender@sender.test", "");
    let is_eight_bit = |event: &Event| matches!(event.kind, EventKind::EightBit { .. });
    assert!(!run.events.iter().any(is_eight_bit));
    // An author beyond ASCII is told in his own letters, which need both.
    let run = about_utf8("j\u{fc}rgen@sender.test", "'SMTPUTF8', '8BITMIME'");
    assert!(run.events.iter().any(is_eight_bit));
}

#[test]
fn binary_content_comes_back_whole() {
    passes(
        ZONE,
        "messages = [{ id = 'm', to = 'a@example.test', binary = true, ret = 'full' }]\n\
         receivers = [{ host = 'mx1.example.test', extensions = ['BINARYMIME', 'CHUNKING'] }]\n\
         faults = [{ stage = 'rcpt', recipient = 'a@example.test', effect = '550 5.1.1 nobody' }]\n\
         [expect.m]\noutcome = 'bounced'\ndsn = [{ recipient = 'a@example.test', action = 'failed', returned = 'full' }]\n",
    );
}
