//! What tests of other people's code find: planted faults, each shown by few records, and nothing in code that is right.

use std::{
    collections::BTreeMap,
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use mxdrill::{
    drill,
    lab::NetworkKind,
    name::Domain,
    route::{self, Addresses, Candidate, Identity, MxAnswer, Unroutable},
    scenario::Scenario,
    sender::{Flaw, Reference, Sender, SenderContext},
    testing::{self, MxRecords, Random, check_router, check_sender, proptest::prelude::*},
};

/// mxdrill's own router.
fn own(
    mx: &MxRecords,
    addresses: &BTreeMap<Domain, Addresses>,
    sender: &Identity,
    random: &mut Random,
) -> Result<Vec<Candidate>, Unroutable> {
    let answer = match mx.is_empty() {
        true => MxAnswer::NoData,
        false => MxAnswer::Records(mx.to_vec()),
    };
    route::route(
        &route::exchangers(&mx.domain, &answer)?,
        addresses,
        sender,
        random,
    )
}

/// Hosts alone, as who resolves them later has them.
fn hosts(candidates: Vec<Candidate>) -> Vec<Domain> {
    let mut hosts: Vec<Domain> = candidates.into_iter().map(|one| one.exchanger).collect();
    let mut seen = std::collections::BTreeSet::new();
    hosts.retain(|host| seen.insert(host.clone()));
    hosts
}

#[test]
fn a_router_that_is_right_passes() {
    testing::router(own);
    testing::router(|mx, addresses, sender, random| own(mx, addresses, sender, random).map(hosts));
}

#[test]
fn a_fault_of_a_router_is_shown_by_three_records_at_most() {
    type BrokenRouter =
        fn(&MxRecords, &BTreeMap<Domain, Addresses>, &Identity, &mut Random) -> Vec<Candidate>;
    let faults: [(&str, BrokenRouter); 7] = [
        ("in random order", |mx, addresses, sender, _| {
            own(mx, addresses, sender, &mut Random::new(1)).unwrap_or_default()
        }),
        (
            "lower preference numbers",
            |mx, addresses, sender, random| {
                let mut route = own(mx, addresses, sender, random).unwrap_or_default();
                route.sort_by_key(|one| std::cmp::Reverse(one.preference));
                route
            },
        ),
        (
            "the implicit MX",
            |mx, addresses, sender, random| match mx.is_empty() {
                true => Vec::new(),
                false => own(mx, addresses, sender, random).unwrap_or_default(),
            },
        ),
        (
            "drops its own preference",
            |mx, addresses, sender, random| {
                let nobody = Identity {
                    names: Vec::new(),
                    addresses: Vec::new(),
                    ..sender.clone()
                };
                own(mx, addresses, &nobody, random).unwrap_or_default()
            },
        ),
        (
            "a null MX takes no mail",
            |mx, addresses, sender, random| {
                let is_null = mx.len() == 1 && mx[0].host.is_root();
                let none = MxRecords {
                    records: Vec::new(),
                    ..mx.clone()
                };
                own(if is_null { &none } else { mx }, addresses, sender, random).unwrap_or_default()
            },
        ),
        (
            "every exchanger is tried",
            |mx, addresses, sender, random| {
                let mut route = own(mx, addresses, sender, random).unwrap_or_default();
                let first = route.first().map(|first| first.exchanger.clone());
                route.retain(|one| Some(&one.exchanger) == first.as_ref());
                route
            },
        ),
        ("each address of a host", |mx, addresses, sender, random| {
            let mut route = own(mx, addresses, sender, random).unwrap_or_default();
            route.dedup_by(|later, earlier| later.exchanger == earlier.exchanger);
            route
        }),
    ];
    for (sentence, fault) in faults {
        let begun = Instant::now();
        let failure = check_router(fault).expect_err(sentence);
        assert!(failure.sentence.contains(sentence), "{sentence}: {failure}");
        assert!(failure.mx_records <= 3, "{failure}");
        let records = failure.records.matches(" IN MX ").count();
        assert_eq!(records, failure.mx_records, "{failure}");
        // Some minutes of a slow machine, at which it would be useless.
        assert!(begun.elapsed() < Duration::from_secs(60), "{sentence}");
    }
    forget("proptest-regressions");
}

/// Takes away what failed tests leave beside this file.
fn forget(ending: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests");
    for entry in fs::read_dir(folder).expect("this folder").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("testing") && name.ends_with(ending) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

async fn reference(context: SenderContext) {
    Reference::default().send(context).await;
}

#[test]
fn a_sender_that_is_right_passes() {
    testing::sender(reference);
}

#[test]
fn a_fault_of_a_sender_is_written_as_a_drill_that_shows_it() {
    for flaw in [
        Flaw::StopsAtFirst,
        Flaw::RetriesAtOnce,
        Flaw::FailedLookupIsNoMx,
    ] {
        let failure = check_sender(|context| Reference::with_flaw(flaw).send(context));
        let failure = failure.expect_err(&flaw.to_string());
        assert!(failure.mx_records <= 3, "{failure}");
        let scenario = Arc::new(Scenario::load(&failure.file).expect("a scenario"));
        fs::remove_file(&failure.file).expect("it was written");
        let run = |sender| drill::run(&scenario, NetworkKind::Memory, None, sender);
        let flawed = run(Reference::with_flaw(flaw));
        assert!(
            flawed.is_err() || flawed.is_ok_and(|run| !run.verdict.passed()),
            "{flaw}"
        );
        assert!(run(Reference::default()).expect("it ran").verdict.passed());
    }
    forget("proptest-regressions");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever zone, faults and messages are drawn, they make a scenario.
    #[test]
    fn what_is_drawn_fits_together(
        zone in testing::zones(), faults in testing::faults(), messages in testing::messages(),
    ) {
        let mut builder = Scenario::builder("drawn").zone(&zone.to_string());
        for fault in faults {
            builder = builder.fault(fault);
        }
        for row in messages {
            builder = builder.messages(row);
        }
        prop_assert!(builder.build().is_ok());
    }
}
