//! Small drills of the reference sender, each about one thing that is easily read wrongly: a policy, an
//! address, a notification.

use std::{collections::BTreeSet, sync::Arc};

use mxdrill::{
    drill::{self, Run},
    lab::NetworkKind,
    scenario::Scenario,
    sender::{Flaw, Reference},
};

const ZONE: &str = "$ORIGIN example.test.\n$TTL 300\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n\
    _mta-sts TXT \"v=STSv1; id=1\"\n";

fn scenario(zone: &str, rest: &str) -> Arc<Scenario> {
    let text = format!("summary = \"s\"\nzone = '''\n{zone}'''\n{rest}");
    Arc::new(Scenario::parse("small", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

fn play(zone: &str, rest: &str, sender: Reference) -> Run {
    drill::run(&scenario(zone, rest), NetworkKind::Memory, None, sender).expect("the drill ran")
}

fn passes(zone: &str, rest: &str) -> Run {
    let run = play(zone, rest, Reference::default());
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
    let flawed = play(ZONE, &drill, Reference::with_flaw(Flaw::HighestFirst));
    assert!(rules(&flawed).contains("preference-order"));
    // What an enforced one does not list is left out, and that is right.
    let enforced = policy
        .replace("testing", "enforce")
        .replace("enforce.example", "mx2.example");
    let drill = with_policy("{ certificate = \"valid\" }", &enforced);
    passes(ZONE, &drill);
    let flawed = play(ZONE, &drill, Reference::with_flaw(Flaw::HighestFirst));
    assert!(!rules(&flawed).contains("preference-order"));
}
