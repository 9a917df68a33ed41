//! In which order a sender goes to exchangers.

use mxdrill::verdict::SenderKind;

use crate::trial::{ONE, Trial, ZONE};

const MX2_FIRST: &str = "MUST preference-order: mx1.example.test [192.0.2.1] (preference 10) before any \
                         of preference 20; not mx2.example.test accepted [192.0.2.2] +";

fn mx2_first(at: &str) -> String {
    format!("{MX2_FIRST}{at}")
}

#[test]
fn a_less_preferred_exchanger_comes_after_the_more_preferred_ones() {
    let trial = Trial {
        log: "0s m tries mx2[2] accepted",
        ..ONE
    };
    trial.breaks(
        &mx2_first("0s"),
        &[
            ("mx2[2]", "mx1[1]"),
            ("MX 10 mx1", "MX 20 mx1"),
            ("MX 10 mx1", "MX 21 mx1"),
            ("mx1 A ", "mx1 TXT"),
        ],
    );
}

#[test]
fn each_pass_begins_at_the_most_preferred_exchanger() {
    let trial = Trial {
        log: "0s  m tries mx1[1] refused
              0s  m tries mx2[2] refused
              30m m tries mx2[2] pass=2 accepted",
        ..ONE
    };
    trial.breaks(&mx2_first("30m"), &[]);
    let continued = Trial {
        log: "0s  m tries mx1[1] timeout
              5m  m tries mx2[2] pass=1 accepted",
        ..ONE
    };
    continued.breaks_nothing();
}

#[test]
fn a_dead_host_is_remembered_for_its_time_and_for_that_of_finding_it_dead() {
    let trial = Trial {
        rest: "sender = { remember_unreachable = '10m' }
               messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]",
        log: "0s    m tries mx1[1] refused
              0s    m tries mx2[2] accepted
              20m1s n tries mx2[2] accepted",
        ..ONE
    };
    trial.breaks(&mx2_first("20m1s"), &[("20m1s", "20m"), ("20m1s", "1s")]);
    let soon = Trial {
        log: "0s m tries mx1[1] reset
              0s m tries mx2[2] accepted
              9m n tries mx2[2] accepted",
        ..trial
    };
    soon.breaks(
        &mx2_first("9m"),
        &[
            ("reset", "refused"),
            ("reset", "timeout"),
            ("reset", "unreachable"),
        ],
    );
    soon.also(&mx2_first("9m"), &[("reset", "451 at greeting")]);
    let not_told_to = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }, { id = 'n', to = 'b@example.test' }]",
        ..trial
    };
    not_told_to.also(&mx2_first("1s"), &[("20m1s", "1s")]);
}

#[test]
fn an_exchanger_may_be_left_out_whose_address_was_asked_for_in_vain_in_the_pass() {
    let trial = Trial {
        log: "0s  asks example.test MX: 10 mx1, 20 mx2
              0s  asks mx1 A: 1
              9s  asks mx1 A servfail
              10s m tries mx2[2] accepted",
        ..ONE
    };
    trial.breaks(
        &mx2_first("10s"),
        &[("9s ", "10s"), ("9s  asks mx1 A ", "10s asks mx1 AAAA ")],
    );
    trial.also(
        &mx2_first("10s"),
        &[("9s  asks mx1 A ", "10s asks mx2 AAAA ")],
    );
    // Somebody else has asked again, and with success.
    let again = Trial {
        log: "0s asks mx1 A servfail
              0s asks mx1 A: 1
              0s m tries mx2[2] accepted",
        ..ONE
    };
    again.breaks_nothing();
    let not_known_any_more = Trial {
        log: "0s   asks mx1 A: 1
              299s asks mx1 A servfail
              300s m tries mx2[2] accepted",
        ..ONE
    };
    not_known_any_more.breaks(&mx2_first("5m"), &[("300s", "301s")]);
}

#[test]
fn an_exchanger_may_be_left_out_whose_tlsa_records_are_not_known() {
    let trial = Trial {
        rest: "sender = { tls = 'opportunistic' }
               messages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s asks _25._tcp.mx1.example.test TLSA servfail
              0s m tries mx2[2] tls accepted",
        ..ONE
    };
    let finding = "MUST preference-order: mx1.example.test [192.0.2.1] (preference 10) before any of \
                   preference 20; not mx2.example.test accepted [192.0.2.2] in TLS +0s";
    trial.breaks(finding, &[("opportunistic", "dane")]);
    trial.also(finding, &[("opportunistic", "mta-sts")]);
    let known = Trial {
        rest: "sender = { tls = 'dane' }
               messages = [{ id = 'm', to = 'a@example.test' }]",
        ..trial
    };
    known.also(finding, &[("servfail", "nodata"), ("servfail", "nxdomain")]);
    known.also(
        finding,
        &[("_25._tcp.mx1.example.test", "_25._tcp.mx2.example.test")],
    );
}

#[test]
fn an_exchanger_may_be_left_out_that_an_enforced_policy_does_not_list() {
    let trial = Trial {
        rest: "sender = { tls = 'mta-sts' }
               messages = [{ id = 'm', to = 'a@example.test' }]
               policies = [{ domain = 'example.test', text = '''version: STSv1
                             mode: testing
                             mx: mx2.example.test
                             max_age: 60''' }]",
        log: "0s m tries mx2[2] tls accepted",
        ..ONE
    };
    let finding = "MUST preference-order: mx1.example.test [192.0.2.1] (preference 10) before any of \
                   preference 20; not mx2.example.test accepted [192.0.2.2] in TLS +0s";
    trial.breaks(finding, &[("testing", "enforce")]);
    let enforced = trial.rest.replace("testing", "enforce");
    let enforced = Trial {
        rest: &enforced,
        ..trial
    };
    enforced.also(
        finding,
        &[
            ("mx: mx2", "mx: mx1"),
            ("mx: mx2", "mx: *"),
            ("tls = 'mta-sts'", "tls = 'opportunistic'"),
            ("domain = 'example.test'", "domain = 'other.test'"),
        ],
    );
    let by_dane = enforced.with("tls = 'mta-sts'", "tls = 'dane'");
    assert_eq!(by_dane.0, [""; 0]);
}

/// A log of first attempts: at the first of two equals, but for the last so many.
fn first_attempts(count: usize, at_the_second: usize) -> String {
    let line = |n| match n + at_the_second > count {
        true => format!("0s m-{n} tries mx2[2] accepted\n"),
        false => format!("0s m-{n} tries mx1[1] accepted\n"),
    };
    (1..=count).map(line).collect()
}

#[test]
fn equals_share_the_first_attempts_of_twenty_messages_for_each() {
    let equals = ZONE.replace("MX 20", "MX 10");
    let rest =
        "sender = {}\nmessages = [{ id = 'm', to = 'a@example.test', count = 60 }]\nstop = '1h'";
    let log = first_attempts(40, 0);
    let trial = Trial {
        zone: &equals,
        rest,
        log: &log,
        ..ONE
    };
    let finding = "MUST equals-share: some of 40 first attempts at mx2.example.test; not none";
    trial.breaks(
        finding,
        &[
            ("0s m-17 tries mx1[1]", "0s m-17 tries mx2[2]"),
            ("0s m-17 tries mx1[1] accepted\n", ""),
            ("@   MX 10 mx2", "@   MX 11 mx2"),
            ("@   MX 10 mx2", "@   MX 10 mx2\n@ MX 10 www"),
            ("sender = {}", "sender = { remember_unreachable = '1s' }"),
        ],
    );
    let of_three = "MUST equals-share: some of 60 first attempts at mx2.example.test; not none";
    let log = first_attempts(60, 0);
    let three = Trial { log: &log, ..trial };
    three.also(
        of_three,
        &[(
            "@   MX 10 mx2",
            "@   MX 10 mx2\n@ MX 10 mx3\nmx3 A 192.0.2.1",
        )],
    );
    let log = first_attempts(40, 40);
    let of_first = Trial { log: &log, ..trial };
    of_first.breaks(
        "MUST equals-share: some of 40 first attempts at mx1.example.test; not none",
        &[("@   MX 10 mx1", "@   MX 20 mx1")],
    );
}

#[test]
fn the_shares_of_a_command_count_and_those_of_a_mail_server_do_not() {
    let equals = ZONE.replace("MX 20", "MX 10");
    let rest = "messages = [{ id = 'm', to = 'a@example.test', count = 40 }]";
    let log = first_attempts(40, 0);
    let trial = Trial {
        zone: &equals,
        rest,
        log: &log,
        ..ONE
    };
    let finding = "MUST equals-share: some of 40 first attempts at mx2.example.test; not none";
    Trial {
        sender_kind: SenderKind::Command,
        ..trial
    }
    .breaks(finding, &[]);
    Trial {
        sender_kind: SenderKind::MailServer,
        ..trial
    }
    .breaks_nothing();
}

#[test]
fn a_pass_that_fails_transiently_goes_on_to_another_candidate() {
    let trial = Trial {
        log: "0s  m tries mx1[1] 451 at rcpt
              30m m tries mx1[1] pass=2 accepted",
        ..ONE
    };
    let finding = "SHOULD next-candidate: then mx2.example.test [192.0.2.2]; \
                   not mx1.example.test 451 at rcpt [192.0.2.1] +0s";
    trial.breaks(
        finding,
        &[
            ("@   MX 20 mx2\n", ""),
            ("pass=2", "pass=1"),
            ("sender = {}", "sender = { max_candidates = 1 }"),
            ("451 at rcpt", "lose at dot"),
        ],
    );
    trial.also(
        finding,
        &[("sender = {}", "sender = { max_candidates = 2 }")],
    );
    let refused = finding.replace("451 at rcpt", "refused");
    trial.also(&refused, &[("451 at rcpt", "refused")]);
    let last = finding.replace("451", "499");
    trial.also(&last, &[("451", "499")]);
    let for_good = Trial {
        log: "0s m tries mx1[1] 500 at rcpt
              0s reports m a@example.test bounced 5.1.1
              0s returns m",
        ..ONE
    };
    for_good.breaks_nothing();
}

#[test]
fn another_candidate_may_be_left_out_that_was_asked_for_in_vain_before_the_next_pass() {
    let finding = "SHOULD next-candidate: then mx2.example.test [192.0.2.2]; \
                   not mx1.example.test refused [192.0.2.1] +0s";
    let two_passes = Trial {
        log: "0s   asks mx2 A: 2
              0s   m tries mx1[1] refused
              10s  asks mx2 A: 2
              30m  asks mx2 A: 2
              30m  m tries mx1[1] pass=2 refused
              30m  m tries mx2[2] pass=2 accepted",
        ..ONE
    };
    two_passes.breaks(
        finding,
        &[("10s  asks mx2 A: 2", "10s asks mx2 A servfail")],
    );
    // Until it had its last word on the message.
    let one_pass = Trial {
        rest: "messages = [{ id = 'm', to = 'a@example.test' }]\nstop = '1h'",
        log: "0s  asks mx2 A: 2
              0s  m tries mx1[1] refused
              5s  reports m a@example.test deferred
              10s asks mx2 A servfail",
        ..ONE
    };
    one_pass.breaks(finding, &[("5s  reports", "10s reports")]);
}

/// Three exchangers, of which the second is left out.
const SECOND_LEFT_OUT: Trial<'static> = Trial {
    zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\n@ MX 30 mx3\n\
           mx1 A 192.0.2.1\nmx2 A 192.0.2.2\nmx3 A 192.0.2.3\n",
    rest: "sender = { tls = 'opportunistic' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
    ..ONE
};

#[test]
fn with_dane_every_lookup_that_fails_in_a_pass_is_a_reason_to_leave_a_host_out() {
    let finding = "MUST preference-order: mx2.example.test [192.0.2.2] (preference 20) before any of preference 30; \
                   not mx1.example.test timeout [192.0.2.1] +5s, mx3.example.test accepted [192.0.2.3] in TLS +10s";
    for lookups in [
        "0s asks mx2 A: 2\n7s asks _25._tcp.mx2.example.test TLSA servfail",
        "0s asks example.test MX: 10 mx1, 20 mx2, 30 mx3\n7s asks example.test MX servfail",
        "0s asks mx2 AAAA servfail\n0s asks mx2 A: 2",
        "0s asks mx2 A servfail\n8s asks mx2 A: 2",
    ] {
        let log = format!("{lookups}\n5s m tries mx1[1] timeout\n10s m tries mx3[3] tls accepted");
        let trial = Trial {
            log: &log,
            ..SECOND_LEFT_OUT
        };
        trial.breaks(finding, &[("opportunistic", "dane")]);
        trial.also(finding, &[("opportunistic", "mta-sts")]);
    }
    // What fails when the pass is over, and for another host, is no reason.
    for lookups in [
        "0s asks _25._tcp.mx2.example.test TLSA nodata\n11s asks _25._tcp.mx2.example.test TLSA servfail",
        "0s asks mx2 A: 2\n7s asks _25._tcp.mx3.example.test TLSA servfail",
    ] {
        let log = format!("{lookups}\n5s m tries mx1[1] timeout\n10s m tries mx3[3] tls accepted");
        Trial {
            log: &log,
            ..SECOND_LEFT_OUT
        }
        .also(finding, &[("opportunistic", "dane")]);
    }
}

#[test]
fn an_exchanger_that_shares_its_address_has_its_own_preference() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\n@ MX 30 mx3\n\
               mx1 A 192.0.2.1\nmx2 A 192.0.2.2\nmx3 A 192.0.2.1\n",
        log: "0s m tries mx3+mx1[1] accepted",
        ..ONE
    };
    trial.breaks(
        "MUST preference-order: mx2.example.test [192.0.2.2] (preference 20) before any of preference 30; \
         not mx3.example.test accepted [192.0.2.1] +0s",
        &[("mx3+mx1[1]", "mx1+mx3[1]"), ("30 mx3", "20 mx3")],
    );
}
