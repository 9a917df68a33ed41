//! Negative controls: senders broken on purpose, and the rule that catches each. A rule that nothing
//! trips is not trusted.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use mxdrill::{
    drill,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{Flaw, Reference},
    verdict::RULES,
};

/// Each flaw, the rule that must name it, and a drill in which it shows.
const CONTROLS: [(Flaw, &str, &str); 22] = [
    (
        Flaw::IgnoresPreference,
        "preference-order",
        "basics/uneven_preferences",
    ),
    (
        Flaw::HighestFirst,
        "preference-order",
        "basics/best_preference_takes_it",
    ),
    (
        Flaw::NoShuffle,
        "equals-share",
        "basics/equal_preference_shares",
    ),
    (
        Flaw::UsesDomainAddress,
        "mx-over-address",
        "rfc5321/own_address_of_the_domain_is_not_used",
    ),
    (
        Flaw::IgnoresNullMx,
        "null-mx",
        "rfc7505/null_mx_is_permanent",
    ),
    (
        Flaw::KeepsItself,
        "own-level",
        "rfc5321/relay_in_the_middle_of_the_list",
    ),
    (Flaw::StopsAtFirst, "next-candidate", "basics/primary_down"),
    (
        Flaw::IgnoresPermanent,
        "permanent-is-final",
        "basics/rejected_recipient",
    ),
    (
        Flaw::DeliversTwice,
        "delivered-once",
        "basics/best_preference_takes_it",
    ),
    (
        Flaw::DropsMessage,
        "nothing-lost",
        "basics/all_down_then_recovered",
    ),
    (
        Flaw::RetriesAtOnce,
        "retry-waits",
        "basics/all_down_then_recovered",
    ),
    (
        Flaw::FailedLookupIsNoMx,
        "failed-lookup-defers",
        "incidents/dns_timeout_taken_for_no_mx",
    ),
    (Flaw::LeavesRoute, "within-route", "CONTROL"),
    (
        Flaw::BouncesTransient,
        "transient-is-retried",
        "basics/all_down_then_recovered",
    ),
    (
        Flaw::NoNotification,
        "sender-notified",
        "basics/rejected_recipient",
    ),
    (
        Flaw::ReturnsNotifications,
        "no-bounce-of-bounce",
        "rfc5321/no_notification_about_a_notification",
    ),
    (
        Flaw::SendsInPlain,
        "tls-kept",
        "tls/required_skips_plaintext",
    ),
    (Flaw::SendsInPlain, "tls-kept", "dane/never_plaintext"),
    (
        Flaw::SendsInPlain,
        "tls-kept",
        "mta_sts/mx_not_in_the_policy",
    ),
    (
        Flaw::PermanentIsTransient,
        "permanent-is-returned",
        "rfc7505/null_mx_is_reported_at_once",
    ),
    (
        Flaw::GivesUpAfterADay,
        "transient-is-retried",
        "bounces/expired",
    ),
    (
        Flaw::KeepsAnswers,
        "within-route",
        "basics/changed_record_after_its_ttl",
    ),
];

/// A domain with a web server that is no exchanger.
const WITH_WEB_SERVER: &str = r#"
summary = "a web server beside the exchanger"
zone = """
$ORIGIN example.test.
@   IN MX 10 mx1
mx1 IN A 192.0.2.1
www IN A 192.0.2.80
"""
messages = [{ id = "m1", to = "alice@example.test" }]
"#;

fn scenario(name: &str) -> Arc<Scenario> {
    if name == "CONTROL" {
        return Arc::new(Scenario::parse("control", WITH_WEB_SERVER).expect("a valid scenario"));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("scenarios")
        .join(format!("{name}.toml"));
    Arc::new(Scenario::load(&file).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

fn rules_broken(sender: Reference, scenario: &Arc<Scenario>) -> BTreeSet<&'static str> {
    let run = drill::run(scenario, NetworkKind::Memory, None, sender).expect("the drill ran");
    run.verdict
        .findings
        .iter()
        .filter_map(|finding| finding.rule)
        .collect()
}

#[test]
fn every_flaw_is_caught_by_the_rule_that_names_it() {
    for (flaw, rule, name) in CONTROLS {
        let scenario = scenario(name);
        assert_eq!(
            rules_broken(Reference::default(), &scenario),
            BTreeSet::new(),
            "{name}"
        );
        let broken = rules_broken(Reference::with_flaw(flaw), &scenario);
        assert!(
            broken.contains(rule),
            "{flaw:?} in {name} broke {broken:?}, not {rule}"
        );
    }
}

#[test]
fn every_flaw_is_a_control() {
    for (name, flaw) in Flaw::ALL {
        assert!(
            CONTROLS.iter().any(|(control, ..)| *control == flaw),
            "{name}"
        );
    }
}

#[test]
fn every_rule_is_tripped_by_a_control() {
    let tripped: BTreeSet<&str> = CONTROLS.iter().map(|(_, rule, _)| *rule).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tripped, all);
}
