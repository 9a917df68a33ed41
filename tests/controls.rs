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

/// Where else than in its control a flaw must be named: each thing that demands TLS.
const FURTHER: [(Flaw, &str, &str); 2] = [
    (Flaw::SendsInPlain, "dane/never_plaintext", "tls-kept"),
    (
        Flaw::SendsInPlain,
        "mta_sts/mx_not_in_the_policy",
        "tls-kept",
    ),
];

fn controls() -> impl Iterator<Item = (Flaw, &'static str, &'static str)> {
    let own = Flaw::ALL.into_iter().map(|flaw| {
        let control = flaw.control();
        (flaw, control.drill, control.rule)
    });
    own.chain(FURTHER)
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
    for (flaw, name, rule) in controls() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let scenario = Scenario::load(&folder.join(format!("{name}.toml")));
        let scenario = Arc::new(scenario.unwrap_or_else(|mistakes| panic!("{mistakes}")));
        assert_eq!(
            rules_broken(Reference::default(), &scenario),
            BTreeSet::new(),
            "{name}"
        );
        let broken = rules_broken(Reference::with_flaw(flaw), &scenario);
        let mut expected = BTreeSet::from([rule]);
        // Who was sent to is nobody of the drill's, and for whom it was to be nobody took it.
        expected.extend((flaw == Flaw::LowersLocalParts).then_some("nothing-lost"));
        assert_eq!(broken, expected, "{flaw:?} in {name}");
    }
}

#[test]
fn every_rule_is_tripped_by_a_control() {
    let tripped: BTreeSet<&str> = controls().map(|(_, _, rule)| rule).collect();
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.name).collect();
    assert_eq!(tripped, all);
}

/// What is wrong with notifications is told once: by the rule that it breaks.
#[test]
fn a_flaw_in_notifications_breaks_one_rule() {
    let of_dsn = controls().filter(|(_, name, _)| name.starts_with("dsn/"));
    for (flaw, name, rule) in of_dsn {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let scenario = Scenario::load(&folder.join(format!("{name}.toml"))).expect("a drill");
        let broken = rules_broken(Reference::with_flaw(flaw), &Arc::new(scenario));
        assert_eq!(broken, BTreeSet::from([rule]), "{flaw:?} in {name}");
    }
}
