//! What a route costs: every question once, and two round trips however many exchangers there are.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use mxdrill::{
    drill,
    event::EventKind,
    lab::NetworkKind,
    scenario::Scenario,
    sender::{self, SenderContext},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

/// Every answer takes a second, so that seconds count round trips.
fn scenario(exchangers: usize) -> Arc<Scenario> {
    let mut zone = "$ORIGIN example.test.\n".to_owned();
    let mut faults = vec!["{ query = \"example.test MX\", effect = \"delay 1s\" }".to_owned()];
    for n in 0..exchangers {
        zone.push_str(&format!(
            "@ IN MX {n} mx{n}\nmx{n} IN A 192.0.2.{n}\nmx{n} IN AAAA 2001:db8::{n}\n"
        ));
        for kind in ["A", "AAAA"] {
            faults.push(format!(
                "{{ query = \"mx{n}.example.test {kind}\", effect = \"delay 1s\" }}"
            ));
        }
    }
    let text = format!(
        "summary = 's'\nzone = '''\n{zone}'''\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\nfaults = [{}]\n",
        faults.join(", ")
    );
    Arc::new(Scenario::parse("resolution", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

#[test]
fn a_route_asks_everything_once_and_in_two_round_trips() {
    for exchangers in [1, 2, 5, 20] {
        let took = Arc::new(Mutex::new(None));
        let told = Arc::clone(&took);
        let sender = sender::from_fn(move |context: SenderContext| async move {
            let domain = "example.test".parse().expect("a name");
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let candidates = context.route(&domain, &mut random).await.expect("a route");
            assert_eq!(candidates.len(), 2 * exchangers);
            *told.lock().expect("not poisoned") = Some(context.now().0);
        });
        let run = drill::run(&scenario(exchangers), NetworkKind::Memory, None, sender)
            .expect("the drill ran");
        let questions: Vec<_> = run
            .events
            .iter()
            .filter_map(|event| match &event.kind {
                EventKind::Query {
                    name, record_type, ..
                } => Some((name, record_type)),
                _ => None,
            })
            .collect();
        assert_eq!(questions.len(), 1 + 2 * exchangers);
        let distinct: BTreeSet<_> = questions.iter().collect();
        assert_eq!(distinct.len(), questions.len(), "nothing is asked twice");
        let took = took.lock().expect("not poisoned").expect("the sender ran");
        assert_eq!(took, Duration::from_secs(2), "{exchangers} exchangers");
    }
}
