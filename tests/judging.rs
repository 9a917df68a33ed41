//! What the verdict must and must not say: senders of all manners, rules that bite and rules that are fair.

mod small;

use std::collections::BTreeSet;

use hickory_proto::rr::{RData, RecordType};
use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    outcome::Outcome,
    reply::Status,
    sender::{self, Flaw, LookupResult, Reference, Sender, SenderContext},
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};

use small::{play, scenario};

const ZONE: &str =
    "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";

fn rules(run: &Run) -> BTreeSet<&'static str> {
    run.verdict
        .findings
        .iter()
        .filter_map(|finding| finding.rule)
        .collect()
}

fn reference_is_clean(zone: &str, rest: &str) -> Run {
    let run = play(&scenario(zone, rest), Reference::default());
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    run
}

#[test]
fn a_permanent_rejection_outlives_the_connection() {
    let run = reference_is_clean(
        ZONE,
        "messages = [{ id = \"m\", to = [\"r1@example.test\", \"r2@example.test\"] }]\n\
         faults = [\n  { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"550 5.1.1 no\", recipient = \"r1@example.test\" },\n  \
         { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"close\", recipient = \"r2@example.test\" },\n]\n\
         [expect.m]\nrecipients = { \"r1@example.test\" = \"bounced\", \"r2@example.test\" = \"delivered\" }\n",
    );
    assert_eq!(run.verdict.outcomes.get(&Outcome::Bounced), Some(&1));
}

#[test]
fn nobody_is_given_up_while_a_host_was_left_out() {
    let greeting = "{ host = \"mx2.example.test\", stage = \"greeting\", effect = \"554 5.3.2 no mail here\" }";
    for rest in [
        format!(
            "messages = [{{ id = \"m\", to = \"a@example.test\" }}]\nfaults = [{{ query = \"mx1.example.test A\", effect = \"servfail\", until = \"20m\" }}, {greeting}]\n[expect]\ndelivered = 1\n"
        ),
        format!(
            "sender = {{ remember_unreachable = \"10m\" }}\nmessages = [{{ id = \"m\", to = \"a@example.test\" }}, {{ id = \"n\", at = \"1m\", to = \"b@example.test\" }}]\nfaults = [{{ host = \"mx1.example.test\", stage = \"connect\", effect = \"refuse\", until = \"20m\" }}, {greeting}]\n[expect]\ndelivered = 2\n"
        ),
    ] {
        reference_is_clean(ZONE, &rest);
    }
}

#[test]
fn what_a_server_says_of_connections_does_not_make_it_unreachable() {
    reference_is_clean(
        ZONE,
        "sender = { remember_unreachable = \"10m\" }\n\
         messages = [{ id = \"m\", to = \"a@example.test\" }, { id = \"n\", at = \"1m\", to = \"b@example.test\" }]\n\
         faults = [{ host = \"mx1.example.test\", stage = \"rcpt\", effect = \"451 4.4.1 not now\", recipient = \"a@example.test\" }]\n\
         [expect.n]\nby = \"mx1.example.test\"\n",
    );
}

#[test]
fn replies_are_read_by_their_meaning() {
    for (effect, by) in [
        ("552 5.5.3 too many recipients", "mx2.example.test"),
        ("354 go on", "mx2.example.test"),
    ] {
        let rest = format!(
            "messages = [{{ id = \"m\", to = \"a@example.test\" }}]\nfaults = [{{ host = \"mx1.example.test\", stage = \"rcpt\", effect = \"{effect}\" }}]\n[expect.m]\nby = \"{by}\"\n"
        );
        reference_is_clean(ZONE, &rest);
    }
}

#[test]
fn two_domains_may_prefer_their_shared_hosts_differently() {
    let zone = "a.test. MX 10 h1.test.\na.test. MX 20 h2.test.\nb.test. MX 10 h2.test.\nb.test. MX 20 h1.test.\n\
                h1.test. A 192.0.2.1\nh2.test. A 192.0.2.2\n";
    reference_is_clean(
        zone,
        "messages = [{ id = \"m\", to = [\"x@a.test\", \"y@b.test\"] }]\n",
    );
}

#[test]
fn several_domains_hide_no_flaw() {
    let zone = "a.test. MX 10 h1.test.\na.test. MX 20 h2.test.\nb.test. MX 10 h3.test.\nb.test. MX 20 h4.test.\n\
                h1.test. A 192.0.2.1\nh2.test. A 192.0.2.2\nh3.test. A 192.0.2.3\nh4.test. A 192.0.2.4\n";
    let mut faults = String::from("faults = [");
    for host in ["h1", "h2", "h3", "h4"] {
        faults.push_str(&format!("{{ host = \"{host}.test\", stage = \"connect\", effect = \"refuse\", until = \"5s\" }},"));
    }
    let scenario = scenario(
        zone,
        &format!("messages = [{{ id = \"m\", to = [\"x@a.test\", \"y@b.test\"] }}]\n{faults}]\n"),
    );
    for (flaw, rule) in [
        (Flaw::RetriesAtOnce, "retry-waits"),
        (Flaw::StopsAtFirst, "next-candidate"),
    ] {
        assert!(
            rules(&play(&scenario, Reference::with_flaw(flaw))).contains(rule),
            "{rule}"
        );
    }
}

#[test]
fn remembering_dead_hosts_hides_no_flaw() {
    let scenario = scenario(
        ZONE,
        "sender = { remember_unreachable = \"10m\" }\nmessages = [{ id = \"m\", to = \"a@example.test\" }]\n",
    );
    assert!(
        rules(&play(&scenario, Reference::with_flaw(Flaw::HighestFirst)))
            .contains("preference-order")
    );
}

#[test]
fn another_recipients_rejection_is_no_excuse() {
    let scenario = scenario(
        ZONE,
        "messages = [{ id = \"m\", to = [\"x@example.test\", \"y@example.test\"] }]\n\
         faults = [\n  { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\", recipient = \"x@example.test\", until = \"5m\" },\n  \
         { host = \"mx2.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\", recipient = \"x@example.test\", until = \"5m\" },\n  \
         { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"550 5.1.1 no\", recipient = \"y@example.test\" },\n]\n",
    );
    assert!(
        rules(&play(
            &scenario,
            Reference::with_flaw(Flaw::BouncesTransient)
        ))
        .contains("transient-is-retried")
    );
}

#[test]
fn a_sender_of_ones_own_may_fail_to_deliver_its_notification() {
    for (id, notified) in [("m.bounce.1", true), ("n.bounce.1", false)] {
        let sender = sender::from_fn(move |mut context: SenderContext| async move {
            let message = context.next_message().await.expect("a message");
            let status = Some(Status(5, 1, 1));
            context.report(&message.id, &message.to[0], Outcome::Bounced, status, "no");
            let nowhere = [198, 51, 100, 99].into();
            assert!(context.connect(nowhere, &id.into()).await.is_err());
        });
        let rest = "messages = [{ id = \"m\", to = \"a@example.test\" }]\n";
        let run = play(&scenario(ZONE, rest), sender);
        let missed = rules(&run).contains("sender-notified");
        assert_eq!(missed, !notified, "{id}: {:#?}", run.verdict.findings);
    }
}

#[test]
fn aliases_that_turn_round_in_time_do_not_trap_the_verdict() {
    let zone = "$TTL 86400\ne.test. MX 10 a.test.\ne.test. MX 20 mx2.test.\nd.test. MX 10 b.test.\nd.test. MX 20 mx2.test.\n\
                mx2.test. A 192.0.2.2\na.test. CNAME b.test.\nb.test. TXT \"x\"\n";
    let rest = "updates = [{ at = \"10m\", delete = [\"a.test.\", \"b.test.\"], add = [\"a.test. 300 IN TXT \\\"x\\\"\", \"b.test. 300 IN CNAME a.test.\"] }]\n\
                faults = [{ query = \"a.test A\", effect = \"servfail\", from = \"10m\" }]\n\
                messages = [{ id = \"m1\", to = \"x@e.test\" }, { id = \"m2\", to = \"x@d.test\", at = \"20m\" }]\n";
    play(&scenario(zone, rest), Reference::default());
}

#[test]
fn a_drill_without_end_is_broken_off() {
    let rest = "sender = { retry = [\"1ms\"], expire = \"5d\" }\nmessages = [{ id = \"m\", to = \"a@example.test\" }]\n\
                faults = [{ query = \"example.test MX\", effect = \"servfail\" }]\n";
    let ended = drill::run(
        &scenario(ZONE, rest),
        NetworkKind::Memory,
        None,
        Reference::default(),
    );
    assert!(
        ended
            .expect_err("broken off")
            .to_string()
            .contains("events")
    );
}

#[test]
fn each_message_expected_deferred_is_left_alone_and_no_other() {
    let refuse = |until: &str| {
        format!(
            "faults = [{{ host = \"mx1.example.test\", stage = \"connect\", effect = \"refuse\"{until} }}, {{ host = \"mx2.example.test\", stage = \"connect\", effect = \"refuse\"{until} }}]\n"
        )
    };
    let attempt =
        |host: &str| format!("{{ host = \"{host}.example.test\", result = \"refused\" }},");
    let twice = [
        attempt("mx1"),
        attempt("mx2"),
        attempt("mx1"),
        attempt("mx2"),
    ]
    .concat();
    let rest = format!(
        "messages = [{{ id = \"m\", to = \"a@example.test\" }}, {{ id = \"n\", to = \"b@example.test\" }}]\n{}[expect.m]\noutcome = \"deferred\"\nattempts = [{twice}]\n[expect.n]\noutcome = \"delivered\"\n",
        refuse(", until = \"2h\"")
    );
    reference_is_clean(ZONE, &rest);
}

/// Speaks one transaction and says nothing of it afterwards.
async fn hand_over(
    context: &sender::SenderContext,
    address: std::net::IpAddr,
    message: &mxdrill::mail::Message,
) -> bool {
    let Ok(stream) = context.connect(address, &message.id).await else {
        return false;
    };
    let mut stream = BufStream::new(stream);
    let steps = [
        b"EHLO c.test.example\r\n".to_vec(),
        b"MAIL FROM:<sender@sender.test>\r\n".to_vec(),
        format!("RCPT TO:<{}>\r\n", message.to[0]).into_bytes(),
        b"DATA\r\n".to_vec(),
        context.content(message),
    ];
    let mut replies = String::new();
    for step in [Vec::new()].into_iter().chain(steps) {
        let mut line = String::new();
        let said = async {
            stream.write_all(&step).await?;
            stream.flush().await?;
            while line.get(3..4) != Some(" ") {
                line.clear();
                if stream.read_line(&mut line).await? == 0 {
                    return Err(std::io::ErrorKind::UnexpectedEof.into());
                }
            }
            std::io::Result::Ok(())
        };
        if said.await.is_err() {
            return false;
        }
        replies.push_str(&line);
        if !line.starts_with(['2', '3']) {
            break;
        }
    }
    drop(stream.write_all(b"QUIT\r\n").await);
    drop(stream.flush().await);
    drop(stream.read_line(&mut String::new()).await);
    replies.contains("250 2.0.0 taken")
}

/// A sender of somebody else: asks, sorts, tries, and reports nothing.
fn silent() -> impl Sender {
    sender::from_fn(|mut context| async move {
        while let Some(message) = context.next_message().await {
            let LookupResult::Records { records, .. } =
                context.lookup(&message.to[0].domain, RecordType::MX).await
            else {
                continue;
            };
            let mut exchangers: Vec<_> = records
                .iter()
                .filter_map(|record| match &record.data {
                    RData::MX(mx) => {
                        Some((mx.preference, mxdrill::name::Domain::from(&mx.exchange)))
                    }
                    _ => None,
                })
                .collect();
            exchangers.sort();
            for (_, host) in exchangers {
                let LookupResult::Records { records, .. } =
                    context.lookup(&host, RecordType::A).await
                else {
                    continue;
                };
                let RData::A(address) = &records[0].data else {
                    continue;
                };
                if hand_over(&context, address.0.into(), &message).await {
                    break;
                }
            }
        }
    })
}

#[test]
fn a_silent_sender_is_judged_by_what_it_does() {
    let delivered = "messages = [{ id = \"m\", to = \"a@example.test\" }]\nfaults = [{ host = \"mx1.example.test\", stage = \"connect\", effect = \"refuse\" }]\n[expect.m]\nby = \"mx2.example.test\"\n";
    let deferred = "messages = [{ id = \"m\", to = \"a@example.test\" }]\nfaults = [{ host = \"mx1.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\" }, { host = \"mx2.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\" }]\n[expect.m]\noutcome = \"deferred\"\n";
    for rest in [delivered, deferred] {
        let run = play(&scenario(ZONE, rest), silent());
        assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    }
}

#[test]
fn a_silent_sender_works_on_loopback_too() {
    let rest = "messages = [{ id = \"m\", to = \"a@example.test\" }]\nfaults = [{ host = \"mx1.example.test\", stage = \"rcpt\", effect = \"450 4.2.1 later\" }]\n[expect.m]\nby = \"mx2.example.test\"\n";
    let run = drill::run(&scenario(ZONE, rest), NetworkKind::Loopback, None, silent())
        .expect("the drill ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
}

#[test]
fn the_last_thing_that_a_receiver_sees_counts() {
    reference_is_clean(
        "example.test. MX 10 mx1.example.test.\nmx1.example.test. A 192.0.2.1\n",
        "sender = { tls = \"verified\" }\nreceivers = [{ certificate = \"self-signed\" }]\nmessages = [{ id = \"m\", to = \"a@example.test\" }]\n\
         [expect.m]\noutcome = \"deferred\"\nattempts = [{ host = \"mx1.example.test\", result = \"tls\", stage = \"starttls\" }]\n",
    );
}

const SIGNED: &str =
    "dnssec = [\"example.test\"]\nreceivers = [{ certificate = \"valid\", tlsa = [\"3 1 1\"] }]\n";

#[test]
fn dane_is_not_switched_off_by_a_lookup_that_fails_in_the_middle() {
    let rest = format!(
        "{SIGNED}sender = {{ tls = \"dane\", cache = false }}\nmessages = [{{ id = \"m\", to = \"a@example.test\" }}]\n\
         faults = [\n  {{ host = \"mx1.example.test\", stage = \"connect\", effect = \"timeout\", until = \"1m\" }},\n  \
         {{ query = \"example.test MX\", effect = \"servfail\", from = \"1s\", until = \"1m\" }},\n  \
         {{ host = \"mx2.example.test\", stage = \"starttls\", effect = \"not offered\" }},\n]\n\
         [expect.m]\nby = \"mx1.example.test\"\nstarts_with = [{{ host = \"mx1.example.test\", result = \"timeout\" }}, {{ host = \"mx1.example.test\", result = \"accepted\", tls = true }}]\n"
    );
    reference_is_clean(ZONE, &rest);
}

#[test]
fn records_that_are_of_no_use_do_not_undo_a_policy() {
    let zone = format!("{ZONE}_mta-sts TXT \"v=STSv1; id=1\"\n");
    let rest = "dnssec = [\"example.test\"]\nreceivers = [{ certificate = \"self-signed\", tlsa = [\"1 1 1\"] }]\n\
                sender = { tls = \"dane\" }\nmessages = [{ id = \"m\", to = \"a@example.test\" }]\n\
                policies = [{ domain = \"example.test\", text = \"version: STSv1\\nmode: enforce\\nmx: *.example.test\\nmax_age: 86400\\n\" }]\n\
                [expect.m]\noutcome = \"deferred\"\ncopies = 0\n";
    reference_is_clean(&zone, rest);
}

#[test]
fn a_policy_of_another_domain_and_another_messages_wish_excuse_nothing() {
    let policy = "policies = [{ domain = \"other.test\", text = \"version: STSv1\\nmode: enforce\\nmx: mx.other.test\\nmax_age: 86400\\n\" }]\n";
    let highest = scenario(
        ZONE,
        &format!(
            "sender = {{ tls = \"mta-sts\" }}\nmessages = [{{ id = \"m\", to = \"a@example.test\" }}]\n{policy}"
        ),
    );
    assert!(
        rules(&play(&highest, Reference::with_flaw(Flaw::HighestFirst)))
            .contains("preference-order")
    );
    let bounces = scenario(
        ZONE,
        "messages = [{ id = \"m\", to = \"a@example.test\", requiretls = true }, { id = \"n\", to = \"b@example.test\" }]\n\
         faults = [{ host = \"mx1.example.test\", stage = \"mail\", effect = \"451 4.3.0 later\" }, { host = \"mx2.example.test\", stage = \"mail\", effect = \"451 4.3.0 later\" }]\n",
    );
    assert!(
        rules(&play(
            &bounces,
            Reference::with_flaw(Flaw::BouncesTransient)
        ))
        .contains("transient-is-retried")
    );
}

#[test]
fn who_is_rejected_is_told_before_the_others_are_given_up() {
    let run = reference_is_clean(
        ZONE,
        "messages = [{ id = \"m\", to = [\"a@example.test\", \"b@example.test\"] }]\n\
         faults = [\n  { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"550 5.1.1 no\", recipient = \"b@example.test\" },\n  \
         { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\", recipient = \"a@example.test\" },\n  \
         { host = \"mx2.example.test\", stage = \"rcpt\", effect = \"451 4.2.1 later\", recipient = \"a@example.test\" },\n]\n\
         [expect]\nnotifications = 2\n",
    );
    let notified = |event: &&mxdrill::event::Event| {
        matches!(
            event.kind,
            mxdrill::event::EventKind::Taken { about: Some(_), .. }
        )
    };
    let first = run.events.iter().find(notified).expect("a notification");
    assert!(first.at.0.is_zero());
}
