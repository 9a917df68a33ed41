//! Properties of whole drills that no single scenario shows.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mxdrill::{
    drill,
    event::EventKind,
    lab::{Lab, NetworkKind},
    scenario::Scenario,
    sender::{self, Reference},
};

const OUTAGE: &str = r#"
summary = "a day of outage, five days of patience"
zone = """
$ORIGIN example.test.
@   IN MX 10 mx1
@   IN MX 20 mx2
mx1 IN A 192.0.2.1
mx2 IN A 192.0.2.2
"""
sender = { retry = ["30m"], expire = "5d" }
messages = [{ id = "m", to = "alice@example.test" }]
faults = [
  { host = "mx1.example.test", stage = "connect", effect = "timeout", until = "1d" },
  { host = "mx2.example.test", stage = "rcpt", effect = "451 4.3.2 later", until = "1d" },
]
"#;

fn scenario(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::parse("drill", text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

#[test]
fn a_day_passes_in_milliseconds() {
    let scenario = scenario(OUTAGE);
    let begun = Instant::now();
    let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default())
        .expect("the drill ran");
    assert!(run.verdict.passed() && run.took.0 > Duration::from_secs(86_400));
    // Without optimisation and beside other tests; the release build takes a twentieth of it.
    assert!(
        begun.elapsed() < Duration::from_secs(2),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_sender_made_of_a_function_is_judged_by_the_same_rules() {
    let scenario = scenario(OUTAGE);
    let to_the_backup_first = sender::from_fn(|mut context| async move {
        while let Some(message) = context.next_message().await {
            drop(context.connect([192, 0, 2, 2].into(), &message.id).await);
        }
    });
    let run = drill::run(&scenario, NetworkKind::Memory, None, to_the_backup_first)
        .expect("the drill ran");
    let rules: Vec<_> = run
        .verdict
        .findings
        .iter()
        .filter_map(|finding| finding.rule)
        .collect();
    assert!(
        rules.contains(&"preference-order"),
        "{:#?}",
        run.verdict.findings
    );
}

#[test]
fn the_memory_network_runs_inside_a_paused_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let lab = Lab::start(scenario(OUTAGE), NetworkKind::Memory)
            .await
            .expect("a lab");
        assert!(
            tokio::time::timeout(
                Duration::from_secs(30),
                lab.connect([192, 0, 2, 1].into(), 25)
            )
            .await
            .is_err()
        );
        drop(
            lab.connect([192, 0, 2, 2].into(), 25)
                .await
                .expect("the backup accepts"),
        );
        lab.wait_for(|event| matches!(event.kind, EventKind::End { .. }))
            .await
            .expect("the session ended");
        assert_eq!(lab.attempts().len(), 2);
    });
}

#[test]
fn two_thousand_messages_are_delivered_and_none_is_lost() {
    let text = OUTAGE
        .replace("id = \"m\",", "id = \"m\", count = 2000,")
        .replace("\"1d\"", "\"1s\"");
    let run = drill::run(
        &scenario(&text),
        NetworkKind::Memory,
        Some(3),
        Reference::default(),
    )
    .expect("the drill ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings.first());
    assert_eq!(run.verdict.outcomes.values().sum::<usize>(), 2000);
}
