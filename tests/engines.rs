//! Two engines, one verdict: every scenario that the mailin-embedded server can serve ends as it does
//! with the lab's own receivers. Those it cannot serve are listed, each with the reason.

mod bundled;

use std::{collections::BTreeMap, sync::Arc};

use mxdrill::{
    drill,
    event::EventKind,
    lab::{Lab, NetworkKind},
    mail::Mailbox,
    scenario::Scenario,
    sender::Reference,
};

/// Every mailbox of a drill's messages.
fn mailboxes(scenario: &Scenario) -> impl Iterator<Item = &Mailbox> {
    let messages = scenario.messages.iter();
    messages.flat_map(|message| message.to.iter().chain(&message.from))
}

/// Why the mailin-embedded server cannot serve a scenario, if it cannot.
fn obstacle(scenario: &Arc<Scenario>) -> Option<&'static str> {
    let own = drill::run(scenario, NetworkKind::Memory, None, Reference::default())
        .expect("the drill ran");
    let null_path = |what: &EventKind| match what {
        // The lab's own exchanger takes the bounces, unless they go through relays; any other is served by the engine.
        EventKind::Taken { from, to, .. } => {
            let is_relayed = !scenario.sender.relays.is_empty();
            from.is_empty() && (is_relayed || !to.iter().any(|to| to.ends_with("@sender.test")))
        }
        _ => false,
    };
    if !own.took.0.is_zero() {
        Some("it needs virtual time, and a server of another thread has real time only")
    } else if scenario
        .messages
        .iter()
        .any(|message| message.from.is_none())
        || own.events.iter().any(|event| null_path(&event.kind))
    {
        Some("it answers MAIL FROM:<> with a syntax error")
    } else if scenario
        .world
        .receivers
        .iter()
        .any(|receiver| receiver.size.is_some())
    {
        Some("it announces and enforces no SIZE")
    } else if mailboxes(scenario).any(|mailbox| !mailbox.text.is_ascii()) {
        Some("it knows no addresses beyond ASCII")
    } else if scenario.messages.iter().any(|message| message.require_tls) {
        Some("it does not know the REQUIRETLS parameter of MAIL")
    } else {
        None
    }
}

#[test]
fn mailin_embedded_gives_the_same_verdicts() {
    let mut skipped: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut served = 0;
    for (name, file) in bundled::scenarios() {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let own = Arc::new(Scenario::load(&file).expect("a valid scenario"));
        if let Some(reason) = obstacle(&own) {
            skipped.entry(reason).or_default().push(name);
            continue;
        }
        let text = format!("engine = \"mailin-embedded\"\n{text}");
        let other = Arc::new(
            Scenario::parse(&file.display().to_string(), &text).expect("a valid scenario"),
        );
        let run = drill::run(&other, NetworkKind::Loopback, None, Reference::default())
            .expect("the drill ran");
        assert!(run.verdict.passed(), "{name}: {:#?}", run.verdict.findings);
        // A scenario without an exchanger is no evidence.
        served += usize::from(other.needs_sockets());
    }
    for (reason, names) in &skipped {
        println!("not served, because {reason}: {} scenarios", names.len());
        names.iter().for_each(|name| println!("  {name}"));
    }
    println!("{served} scenarios served by both engines");
    assert!(served > 100);
}

#[tokio::test]
async fn a_real_server_behind_faults_is_judged_like_any_receiver() {
    // The server behind is another lab's exchanger, which refuses one recipient itself.
    let behind =
        Lab::from_zone("example.test. MX 10 mx.example.test.\nmx.example.test. A 192.0.2.1\n")
            .await
            .expect("a lab");
    let upstream = behind.endpoints()[0].listens;
    let text = format!(
        r#"
        summary = "a server behind the first exchanger"
        zone = """
        example.test. MX 10 mx1.example.test.
        example.test. MX 20 mx2.example.test.
        mx1.example.test. A 192.0.2.1
        mx2.example.test. A 192.0.2.2
        """
        receivers = [{{ host = "mx1.example.test", upstream = "{upstream}" }}]
        messages = [
          {{ id = "first", to = "alice@example.test" }},
          {{ id = "second", to = "bob@example.test" }},
        ]
        faults = [{{ host = "mx1.example.test", stage = "dot", effect = "451 4.3.0 not now", first = 1 }}]
        [expect]
        delivered = 2
        first_attempts = [{{ host = "mx1.example.test", min = 2 }}]
        "#
    );
    let scenario = Arc::new(Scenario::parse("upstream", &text).expect("a valid scenario"));
    assert!(drill::obstacle(&scenario, NetworkKind::Memory).is_some());
    let run = std::thread::spawn(move || {
        drill::run(&scenario, NetworkKind::Loopback, None, Reference::default())
    });
    while !run.is_finished() {
        tokio::task::yield_now().await;
    }
    let run = run.join().expect("no panic").expect("the drill ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
    // Whichever of the two came first met the fault and went on to the other exchanger.
    assert_eq!(behind.messages().len(), 1);
}
