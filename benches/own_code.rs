//! Code of one's own, measured beside the floor, the obvious way and mxdrill's: `cargo bench --bench own_code`.

#[path = "../examples/blocking_sender.rs"]
#[expect(dead_code, reason = "an example with a main of its own")]
#[cfg_attr(test, expect(unused_imports, reason = "its tests are not run here"))]
mod blocking_sender;

use mxdrill::testing::{self, Random, criterion::Criterion};

/// An order among exchangers: shuffled, then sorted by preference, which keeps the order of equals.
fn order(preferences: &[u16], random: &mut Random) -> Vec<usize> {
    let mut places: Vec<usize> = (0..preferences.len()).collect();
    random.shuffle(&mut places);
    places.sort_by_key(|place| preferences[*place]);
    places
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    testing::bench_selection(&mut criterion, "shuffle and sort", order);
    testing::bench_resolution(&mut criterion, "blocking_sender", |dns, domain| {
        blocking_sender::candidates(dns, &format!("alice@{domain}")).expect("the lab answers")
    });
    testing::bench_delivery(&mut criterion, "blocking_sender", |lab, recipient| {
        let socket_for = |address| lab.socket_for(address);
        blocking_sender::send(lab.resolver(), socket_for, recipient).expect("the lab takes it");
    });
    criterion.final_summary();
}
