//! The attempts that are expected of a message: one that differs, one too many or too few, and the first of them.

use super::{RETRIED, held, otherwise, rows};

/// How the attempts are told that `RETRIED` expects.
const EXPECTED: [&str; 4] = [
    "mx1.example.test refused at connect +0s",
    "mx1.example.test or mx2.example.test 451 at rcpt",
    "mx2.example.test 451",
    "192.0.2.1 accepted [192.0.2.1] in plain text +30m",
];

/// How its attempts are told that are observed.
const OBSERVED: [&str; 4] = [
    "mx1.example.test refused [192.0.2.1] +0s",
    "mx2.example.test 451 at rcpt [192.0.2.2] +0s",
    "mx2.example.test 451 at rcpt [192.0.2.3] +0s",
    "mx1.example.test accepted [192.0.2.1] +30m",
];

/// A row: what is written, what is written instead, and which expected attempt is told how then.
fn each_attempt_is_found(table: &'static str) {
    let run = held(RETRIED);
    for [written, instead, told] in rows(table) {
        let (number, told) = told.split_once(": ").expect("a number and a text");
        let number: usize = number.parse().expect("a number");
        let mut expected = EXPECTED;
        expected[number - 1] = told;
        let verdict = otherwise(RETRIED, &run, written, instead);
        let [finding] = &verdict.findings[..] else {
            panic!("{written} made {instead}: {:#?}", verdict.findings);
        };
        assert_eq!(finding.claim, "attempts of message m");
        assert_eq!(finding.expected, expected, "{written} made {instead}");
        assert_eq!(finding.observed, OBSERVED);
    }
}

#[test]
fn an_attempt_that_differs_in_one_thing_is_found() {
    each_attempt_is_found(
        r#"
host = "mx1.example.test", result = "refused", stage | host = "mx2.example.test", result = "refused", stage | 1: mx2.example.test refused at connect +0s
any = ["mx1.example.test", "mx2.example.test"]       | any = ["mx1.example.test", "192.0.2.1"]            | 2: mx1.example.test or 192.0.2.1 451 at rcpt
any = ["mx1.example.test", "mx2.example.test"]       | any = ["192.0.2.3"]                                | 2: 192.0.2.3 451 at rcpt
host = "192.0.2.1", address                          | host = "192.0.2.2", address                        | 4: 192.0.2.2 accepted [192.0.2.1] in plain text +30m
address = "192.0.2.1"                                | address = "192.0.2.2"                              | 4: 192.0.2.1 accepted [192.0.2.2] in plain text +30m
result = "refused", stage                            | result = "timeout", stage                          | 1: mx1.example.test timeout at connect +0s
result = 451                                         | result = 450                                       | 3: mx2.example.test 450
result = 451                                         | result = "closed"                                  | 3: mx2.example.test closed
result = "accepted"                                  | result = "451"                                     | 4: 192.0.2.1 451 [192.0.2.1] in plain text +30m
stage = "connect", at                                | stage = "greeting", at                             | 1: mx1.example.test refused at greeting +0s
result = "451", stage = "rcpt" },                    | result = "451", stage = "mail" },                  | 2: mx1.example.test or mx2.example.test 451 at mail
result = "accepted"                                  | result = "accepted", stage = "dot"                 | 4: 192.0.2.1 accepted at dot [192.0.2.1] in plain text +30m
at = "0s"                                            | at = "1ms"                                         | 1: mx1.example.test refused at connect +1ms
at = "30m"                                           | at = "29m59s999ms"                                 | 4: 192.0.2.1 accepted [192.0.2.1] in plain text +29m59s999ms
at = "30m"                                           | at = "30m1ms"                                      | 4: 192.0.2.1 accepted [192.0.2.1] in plain text +30m1ms
tls = false                                          | tls = true                                         | 4: 192.0.2.1 accepted [192.0.2.1] in TLS +30m
tls = false                                          | tls = false, sni = "mx1.example.test"              | 4: 192.0.2.1 accepted [192.0.2.1] in plain text asked for mx1.example.test +30m
"#,
    );
}

#[test]
fn an_attempt_missing_or_too_many_or_out_of_order_is_found() {
    let run = held(RETRIED);
    let written: Vec<&str> = RETRIED
        .lines()
        .filter(|line| line.starts_with("  {"))
        .collect();
    // Two faults come first, and what it starts with last.
    let written = &written[2..6];
    let block = written.join("\n");
    let orders: [&[usize]; 10] = [
        &[],
        &[0],
        &[1, 2, 3],
        &[0, 1, 3],
        &[0, 1, 2],
        &[0, 1, 2, 3, 3],
        &[0, 0, 1, 2, 3],
        &[0, 1, 2, 2, 3],
        &[1, 0, 2, 3],
        &[0, 1, 3, 2],
    ];
    for order in orders {
        let instead: Vec<&str> = order.iter().map(|place| written[*place]).collect();
        let verdict = otherwise(RETRIED, &run, &block, &instead.join("\n"));
        let [finding] = &verdict.findings[..] else {
            panic!("{order:?}: {:#?}", verdict.findings);
        };
        let expected: Vec<&str> = order.iter().map(|place| EXPECTED[*place]).collect();
        assert_eq!(finding.claim, "attempts of message m");
        assert_eq!(finding.expected, expected);
        assert_eq!(finding.observed, OBSERVED);
    }
}

#[test]
fn first_attempts_that_differ_are_found_and_what_follows_them_is_not_looked_at() {
    let run = held(RETRIED);
    for [written, instead, told, observed] in rows(
        r#"
result = "refused" }, # first | result = "timeout" },   | mx1.example.test timeout, mx2.example.test 451 at rcpt +0s | 2
stage = "rcpt", at = "0ms"    | stage = "data"          | mx1.example.test refused, mx2.example.test 451 at data     | 2
at = "0ms" },                 | at = "1s" },            | mx1.example.test refused, mx2.example.test 451 at rcpt +1s | 2
at = "0ms" },                 | at = "0ms" }, { host = "mx1.example.test", result = "refused" }, | mx1.example.test refused, mx2.example.test 451 at rcpt +0s, mx1.example.test refused | 3
at = "0ms" },                 | at = "0ms" }, { host = "mx2.example.test", result = "451" },     | - | 0
stage = "rcpt", at = "0ms"    | stage = "rcpt"          | - | 0
"#,
    ) {
        let verdict = otherwise(RETRIED, &run, written, instead);
        let observed = observed.parse().expect("a number");
        let finding = verdict.findings.first();
        assert_eq!(
            verdict.findings.len(),
            usize::from(observed > 0),
            "{instead}"
        );
        if let Some(finding) = finding {
            assert_eq!(finding.claim, "first attempts of message m");
            assert_eq!(finding.expected.join(", "), told);
            assert_eq!(finding.observed, OBSERVED[..observed]);
            let lists = finding.attempts.as_ref().expect("a list of attempts");
            let shown = lists.observed.iter().map(ToString::to_string);
            assert!(shown.eq(finding.observed.iter().cloned()));
            let timeless = lists
                .observed
                .iter()
                .map(|one| format!("{one:#} +{}", one.at));
            assert!(timeless.eq(finding.observed.iter().cloned()));
        }
    }
}
