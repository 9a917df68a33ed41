//! TLS where something demands it.

use crate::trial::{ONE, Trial};

/// The finding about a message that the first exchanger took.
fn kept(demanded_by: &str, how: &str) -> String {
    format!(
        "MUST tls-kept: TLS, and a host that may be used, as {demanded_by} ask; \
         not mx1.example.test accepted [192.0.2.1]{how} +0s"
    )
}

#[test]
fn a_sender_that_is_set_to_tls_does_not_do_without_it() {
    let trial = Trial {
        rest: "sender = { tls = 'required' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] accepted",
        ..ONE
    };
    let finding = kept("the sender's settings", "");
    trial.breaks(
        &finding,
        &[
            ("mx1[1] accepted", "mx1[1] tls accepted"),
            ("required", "opportunistic"),
            ("required", "none"),
            ("required", "dane"),
            ("required", "mta-sts"),
        ],
    );
    trial.also(&finding, &[("required", "verified")]);
}

#[test]
fn a_message_that_asks_for_requiretls_does_not_go_without_it() {
    let trial = Trial {
        rest: "messages = [{ id = 'm', from = 'me@sender.test', requiretls = true, to = 'a@example.test' }]",
        log: "0s m tries mx1[1] accepted",
        ..ONE
    };
    trial.breaks(
        &kept("REQUIRETLS", ""),
        &[
            ("mx1[1] accepted", "mx1[1] tls accepted"),
            ("requiretls = true", "requiretls = false"),
            // What is returned may go in plain text (RFC 8689 section 5).
            ("'me@sender.test'", "''"),
        ],
    );
}

const SIGNED: &str = "sender = { tls = 'dane' }\ndnssec = ['example.test', 'other.test']\n\
                      messages = [{ id = 'm', to = 'a@example.test' }]";

#[test]
fn tlsa_records_of_a_signed_host_of_a_signed_domain_demand_tls() {
    let trial = Trial {
        zone: "example.test. MX 10 mx.other.test.\nmx.other.test. A 192.0.2.1\n",
        rest: SIGNED,
        log: "0s asks _25._tcp.mx.other.test TLSA: 3 1 1 AB12
              0s m tries mx.other.test[1] accepted",
        ..ONE
    };
    trial.breaks(
        &kept("TLSA records", "").replace("mx1.example", "mx.other"),
        &[
            ("other.test[1] accepted", "other.test[1] tls accepted"),
            ("TLSA: 3 1 1 AB12", "TLSA nodata"),
            ("TLSA: 3 1 1 AB12", "TLSA servfail"),
            ("'example.test', 'other.test'", "'example.test'"),
            ("'example.test', 'other.test'", "'other.test'"),
            ("'dane'", "'mta-sts'"),
        ],
    );
}

const POLICY: &str = "sender = { tls = 'mta-sts' }\nmessages = [{ id = 'm', at = '0s', to = 'a@example.test' }]\n\
    policies = [{ domain = 'example.test', text = '''version: STSv1\nmode: enforce\nmx: mx1.example.test\nmx: *.other.test\nmax_age: 60''' }]";

#[test]
fn a_policy_that_was_fetched_demands_tls_as_long_as_it_may_be_kept() {
    let trial = Trial {
        rest: POLICY,
        log: "0s  fetches mta-sts.example.test 200
              59s m tries mx1[1] accepted",
        ..ONE
    };
    let finding = kept("the MTA-STS policy", "").replace("+0s", "+59s");
    trial.breaks(
        &finding,
        &[
            ("mx1[1] accepted", "mx1[1] tls accepted"),
            ("59s m", "60s m"),
            ("0s  fetches", "61s fetches"),
            ("mta-sts.example.test 200", "mta-sts.example.test 404"),
            ("mta-sts.example.test 200", "mta-sts.other.test 200"),
            ("mode: enforce", "mode: testing"),
            ("mode: enforce", "mode: none"),
            ("max_age: 60", "max_age: 59"),
            ("tls = 'mta-sts'", "tls = 'opportunistic'"),
            ("domain = 'example.test'", "domain = 'other.test'"),
            ("max_age: 60''' }", "max_age: 60''', from = '1s' }"),
        ],
    );
    trial.also(
        &finding,
        &[
            ("tls = 'mta-sts'", "tls = 'dane'"),
            ("0s  fetches", "59s fetches"),
            ("max_age: 60''' }", "max_age: 60''', until = '1s' }"),
        ],
    );
    let replaced = trial
        .with("59s m", "1s fetches mta-sts.example.test 200\n59s m")
        .0;
    assert_eq!(replaced, [finding.as_str()]);
    let withdrawn = Trial {
        rest: &POLICY.replace("60''' }", "60''', until = '1s' }"),
        log: "0s  fetches mta-sts.example.test 200
              1s  fetches mta-sts.example.test 200
              59s m tries mx1[1] accepted",
        ..trial
    };
    withdrawn.breaks_nothing();
    // What was served at that moment is what was fetched.
    withdrawn.also(&finding, &[("until = '1s'", "until = '1001ms'")]);
}

#[test]
fn a_host_that_the_policy_does_not_list_is_not_used_even_in_tls() {
    let trial = Trial {
        rest: POLICY,
        log: "0s fetches mta-sts.example.test 200
              0s m tries mx1[1] tls accepted",
        ..ONE
    };
    trial.breaks_nothing();
    let finding = kept("the MTA-STS policy", " in TLS");
    trial.also(
        &finding,
        &[
            ("mx: mx1.example.test", "mx: *.mx1.example.test"),
            ("mx: mx1.example.test", "mx: *.test"),
            ("mx: mx1.example.test", "mx: example.test"),
        ],
    );
    let wildcard = trial.with("mx: mx1.example.test", "mx: *.example.test").0;
    assert_eq!(wildcard, [""; 0]);
    // Where TLSA records are to be had, they are what counts (RFC 8461 section 2).
    let by_dane = Trial {
        rest: &POLICY
            .replace("'mta-sts'", "'dane'")
            .replace("mx1.example.test", "mx9.example.test"),
        log: "0s fetches mta-sts.example.test 200
              0s asks _25._tcp.mx1.example.test TLSA: 3 1 1 AB12
              0s m tries mx1[1] tls accepted",
        ..ONE
    };
    by_dane.breaks(
        &finding,
        &[("messages =", "dnssec = ['example.test']\nmessages =")],
    );
}

#[test]
fn what_was_not_taken_was_not_let_out() {
    let trial = Trial {
        rest: "stop = '0s'\nsender = { tls = 'required' }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] 451 at rcpt
              0s m tries mx2[2] tls 451 at rcpt",
        ..ONE
    };
    trial.breaks_nothing();
    let second = trial.with("mx2[2] tls 451 at rcpt", "mx2[2] accepted").0;
    assert_eq!(
        second,
        [kept("the sender's settings", "")
            .replace("mx1", "mx2")
            .replace("2.1", "2.2")]
    );
}
