//! Where a sender goes at all.

use crate::trial::{ONE, Trial, ZONE};

#[test]
fn nothing_but_the_route_is_connected_to() {
    let trial = Trial {
        log: "0s m tries www[80] accepted",
        ..ONE
    };
    let finding = "MUST within-route: one of mx1.example.test [192.0.2.1], mx2.example.test [192.0.2.2]; \
                   not www.example.test accepted [192.0.2.80] +0s";
    trial.breaks(
        finding,
        &[("www[80]", "mx1[1]"), ("@   MX 10 mx1", "@   MX 5 www")],
    );
    let nowhere = Trial {
        zone: "$ORIGIN example.test.\n@ TXT x\nwww A 192.0.2.80",
        ..trial
    };
    nowhere.breaks(
        "MUST within-route: no attempt; not www.example.test accepted [192.0.2.80] +0s",
        &[],
    );
    let of_the_wrong_family = Trial {
        rest: "sender = { families = ['ipv6'] }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] accepted",
        ..ONE
    };
    of_the_wrong_family.breaks(
        "MUST within-route: no attempt; not mx1.example.test accepted [192.0.2.1] +0s",
        &[("ipv6", "ipv4")],
    );
}

#[test]
fn of_several_strays_one_is_told_for_each_rule() {
    let trial = Trial {
        zone: &format!("{ZONE}@ A 192.0.2.9\n"),
        log: "0s m tries www[80] refused
              0s m tries example.test[9] refused
              1h m tries www[80] pass=2 refused
              1h m tries example.test[9] pass=2 accepted",
        ..ONE
    };
    let found = trial.verdict().0;
    let rules: Vec<&str> = found
        .iter()
        .filter_map(|line| line.split(": ").next())
        .collect();
    assert_eq!(rules, ["MUST within-route", "MUST mx-over-address"]);
}

#[test]
fn the_route_of_a_pass_is_made_when_it_begins() {
    let trial = Trial {
        log: "0s asks example.test MX: 10 mx1, 20 mx2
              0s m tries mx1[1] timeout
              1m asks example.test MX: 10 mx1
              2m m tries mx2[2] pass=2 accepted",
        ..ONE
    };
    trial.breaks(
        "MUST within-route: one of mx1.example.test [192.0.2.1]; not mx2.example.test accepted [192.0.2.2] +2m",
        &[("pass=2", "pass=1")],
    );
}

#[test]
fn a_domain_with_exchangers_is_not_sent_to_at_its_own_address() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ A 192.0.2.9\nmx1 A 192.0.2.1\n",
        log: "0s m tries example.test[9] accepted",
        ..ONE
    };
    trial.breaks(
        "MUST mx-over-address: an attempt at an exchanger of example.test; \
         not example.test accepted [192.0.2.9] +0s",
        &[("@ MX 10 mx1\n", ""), ("@ MX 10 mx1", "@ MX 10 @")],
    );
}

#[test]
fn a_domain_with_a_null_mx_is_sent_nothing() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 0 .\n@ A 192.0.2.9\nmx1 A 192.0.2.1\n",
        log: "0s m tries example.test[9] accepted",
        ..ONE
    };
    trial.breaks(
        "MUST null-mx: no attempt: example.test has a null MX; not example.test accepted [192.0.2.9] +0s",
        &[("@ MX 0 .\n", "")],
    );
    // What is no null MX is one exchanger without an address.
    let finding = "MUST mx-over-address: an attempt at an exchanger of example.test; \
                   not example.test accepted [192.0.2.9] +0s";
    trial.also(
        finding,
        &[("MX 0 .", "MX 1 ."), ("MX 0 .", "MX 0 .\n@ MX 1 mx1")],
    );
}

#[test]
fn a_sender_in_the_list_tries_neither_its_level_nor_worse_ones() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\n@ MX 20 mx3\n@ MX 30 mx4\n\
               mx1 A 192.0.2.1\nmx2 A 192.0.2.2\nmx3 A 192.0.2.3\nmx4 A 192.0.2.4\n",
        rest: "sender = { names = ['mx2.example.test'] }\nmessages = [{ id = 'm', to = 'a@example.test' }]",
        log: "0s m tries mx1[1] refused
              0s m tries mx3[3] accepted",
        ..ONE
    };
    let finding = "MUST own-level: no attempt at the sender's own preference or a higher number; \
                   not mx3.example.test accepted [192.0.2.3] +0s";
    trial.breaks(
        finding,
        &[
            ("MX 20 mx3", "MX 19 mx3"),
            ("names = ['mx2.", "names = ['mx4."),
            ("names = ['mx2.", "names = ['www."),
        ],
    );
    trial.also(
        finding,
        &[
            ("names = ['mx2.example.test']", "addresses = ['192.0.2.2']"),
            (
                "names = ['mx2.example.test']",
                "names = ['mx2.example.test', 'mx4.example.test']",
            ),
            ("names = ['mx2.", "names = ['mx3."),
            (
                "names = ['mx2.example.test']",
                "addresses = ['192.0.2.4', '192.0.2.2']",
            ),
            ("MX 20 mx3", "MX 21 mx3"),
        ],
    );
    let on_itself = Trial {
        rest: ONE.rest,
        ..trial
    };
    on_itself.also(finding, &[("mx2 A 192.0.2.2", "mx2 A 127.0.0.2")]);
}

#[test]
fn a_lookup_that_failed_for_now_leads_nowhere() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ A 192.0.2.9\n",
        log: "0s asks example.test MX servfail
              0s m tries example.test[9] accepted",
        ..ONE
    };
    let finding = "MUST failed-lookup-defers: no attempt: the exchangers of example.test are not known; \
                   not example.test accepted [192.0.2.9] +0s";
    trial.breaks(
        finding,
        &[
            ("servfail", "nodata"),
            ("asks example.test MX", "asks other.test MX"),
        ],
    );
    trial.also(finding, &[("servfail", "timeout"), ("servfail", "refused")]);
    // An answer that has not run out of its TTL is one.
    let kept = Trial {
        log: "0s   asks example.test MX: 10 mx1
              299s asks example.test MX servfail
              301s m tries mx1[1] accepted",
        ..ONE
    };
    let finding = "MUST failed-lookup-defers: no attempt: the exchangers of example.test are not known; \
                   not mx1.example.test accepted [192.0.2.1] +5m1s";
    kept.breaks(
        finding,
        &[
            ("301s", "300s"),
            (
                "0s   asks example.test MX: ",
                "0s asks example.test MX: ttl=301 ",
            ),
        ],
    );
    let answered_again = kept.with("301s m", "300s asks example.test MX: 10 mx1\n 301s m");
    assert_eq!(answered_again.0, [""; 0]);
}

#[test]
fn aliases_are_followed_within_an_answer_and_from_answer_to_answer() {
    let trial = Trial {
        // What is there and was not asked for is not known.
        zone: &format!("{ZONE}h.test. A 192.0.2.7\n"),
        log: "0s asks example.test MX: alias other.test, 10 mx7
              0s asks mx7 A: alias h.test
              0s asks h.test A: 7
              0s m tries mx7[7] accepted",
        ..ONE
    };
    trial.breaks_nothing();
    let nowhere = "MUST within-route: no attempt; not mx7.example.test accepted [192.0.2.7] +0s";
    trial.also(nowhere, &[("h.test A: 7", "g.test A: 7")]);
    trial.also(
        "MUST within-route: one of mx7.example.test [192.0.2.8]; not mx7.example.test accepted [192.0.2.7] +0s",
        &[("h.test A: 7", "h.test A: 8")],
    );
}

#[test]
fn who_asks_for_one_address_family_cannot_use_the_other() {
    let trial = Trial {
        zone: "$ORIGIN example.test.\n@ MX 10 mx1\nmx1 A 192.0.2.1\nmx1 AAAA 2001:db8::1\n",
        log: "0s asks mx1 A: 1
              0s asks mx1 AAAA nodata
              0s m tries mx1[2001:db8::1] accepted",
        ..ONE
    };
    let finding = "MUST within-route: one of mx1.example.test [192.0.2.1]; \
                   not mx1.example.test accepted [2001:db8::1] +0s";
    trial.breaks(finding, &[("AAAA nodata", "AAAA: 2001:db8::1")]);
    // Who asks for nothing may know it all.
    let knowing = Trial {
        log: "0s m tries mx1[2001:db8::1] accepted",
        ..trial
    };
    knowing.breaks_nothing();
    let not_asked = Trial {
        log: "0s asks mx1 A: 1\n0s m tries mx1[2001:db8::1] accepted",
        ..trial
    };
    not_asked.breaks(finding, &[]);
}

#[test]
fn an_answer_that_comes_again_was_not_known_in_between() {
    let trial = Trial {
        log: "0s  asks example.test MX: ttl=1 10 mx1
              5s  asks example.test MX servfail
              7s  m tries mx1[1] accepted
              10s asks example.test MX: ttl=1 10 mx1",
        ..ONE
    };
    trial.breaks(
        "MUST failed-lookup-defers: no attempt: the exchangers of example.test are not known; \
         not mx1.example.test accepted [192.0.2.1] +7s",
        &[("7s  m", "10s m")],
    );
    // The same answer once more, and nothing in between.
    let again = trial
        .with(
            "5s  asks example.test MX servfail",
            "5s asks example.test MX: ttl=1 10 mx1",
        )
        .0;
    assert_eq!(again, [""; 0]);
}
