//! Properties of MX selection beyond those that `testing::router` holds every router to (`testing.rs`), and of whole
//! zones.

mod whole_domain;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, Mutex},
};

use mxdrill::{
    drill,
    event::EventKind,
    lab::NetworkKind,
    name::Domain,
    plan::Plan,
    records::{DomainRecords, Source},
    route::{Addresses, Candidate, Exchanger, Families, Identity, Unroutable, route},
    scenario::Scenario,
    sender::{self, Reference, SenderContext},
};
use proptest::prelude::*;
use rand::{SeedableRng, rngs::ChaCha8Rng};

use self::whole_domain::{HOSTS, WholeDomain, address, host, preference, zone};

/// Hosts are numbered; host n is `h<n>.test`, and the sender is sometimes one of them.
#[derive(Debug, Clone)]
struct RouteSetting {
    exchangers: Vec<Exchanger>,
    addresses: BTreeMap<Domain, Addresses>,
    identity: Identity,
    seed: u64,
}

fn setting() -> impl Strategy<Value = RouteSetting> {
    let exchangers = prop::collection::vec((preference(), 0..HOSTS), 0..=20);
    let addresses = prop::collection::btree_map(
        0..HOSTS,
        (prop::collection::vec(address(), 0..4), any::<bool>()),
        0..=usize::from(HOSTS),
    );
    let names = prop::collection::vec(0..40_u8, 0..2);
    let families = prop_oneof![Just((true, true)), Just((true, false)), Just((false, true))];
    (
        exchangers,
        addresses,
        names,
        prop::collection::vec(address(), 0..2),
        families,
        any::<u64>(),
    )
        .prop_map(
            |(exchangers, addresses, names, own, (ipv4, ipv6), seed)| RouteSetting {
                exchangers: exchangers
                    .into_iter()
                    .map(|(preference, number)| Exchanger {
                        preference,
                        host: host(number),
                    })
                    .collect(),
                addresses: addresses
                    .into_iter()
                    .map(|(number, (found, failed))| (host(number), Addresses { found, failed }))
                    .collect(),
                identity: Identity {
                    names: names.into_iter().map(host).collect(),
                    addresses: own,
                    families: Families { ipv4, ipv6 },
                    max_candidates: None,
                },
                seed,
            },
        )
}

fn candidates(setting: &RouteSetting, seed: u64) -> Result<Vec<Candidate>, Unroutable> {
    route(
        &setting.exchangers,
        &setting.addresses,
        &setting.identity,
        &mut ChaCha8Rng::seed_from_u64(seed),
    )
}

fn as_set(candidates: &[Candidate]) -> BTreeSet<(u16, Domain, IpAddr)> {
    candidates
        .iter()
        .map(|c| (c.preference, c.exchanger.clone(), c.address))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn the_addresses_of_an_exchanger_stay_together(setting in setting()) {
        if let Ok(found) = candidates(&setting, setting.seed) {
            let mut left: BTreeSet<&Domain> = BTreeSet::new();
            for pair in found.windows(2) {
                if pair[0].exchanger != pair[1].exchanger {
                    left.insert(&pair[0].exchanger);
                }
                prop_assert!(!left.contains(&pair[1].exchanger));
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_route(setting in setting()) {
        prop_assert_eq!(candidates(&setting, setting.seed), candidates(&setting, setting.seed));
    }

    #[test]
    fn a_limit_keeps_the_best(setting in setting(), limit in 1..5_usize) {
        let limited = RouteSetting { identity: Identity { max_candidates: Some(limit), ..setting.identity.clone() }, ..setting.clone() };
        if let (Ok(all), Ok(some)) = (candidates(&setting, setting.seed), candidates(&limited, setting.seed)) {
            prop_assert_eq!(&all[..all.len().min(limit)], &some[..]);
        }
    }

    #[test]
    fn without_a_candidate_the_reason_is_the_right_one(setting in setting()) {
        if let Err(reason) = candidates(&setting, setting.seed) {
            let failed = setting.exchangers.iter().any(|e| setting.addresses.get(&e.host).is_some_and(|a| a.failed));
            let listed = setting.exchangers.iter().any(|e| {
                setting.identity.names.contains(&e.host)
                    || setting.addresses.get(&e.host).is_some_and(|a| a.found.iter().any(|f| setting.identity.addresses.contains(f)))
            });
            match reason {
                Unroutable::LookupFailed => prop_assert!(failed),
                Unroutable::OnlySelf => prop_assert!(listed),
                Unroutable::NoUsableExchanger => {}
                other => prop_assert!(false, "{other:?} is for a domain without exchangers"),
            }
        }
    }
}

/// The route that a sender in a lab with these records finds.
fn found_in_a_lab(zone: &WholeDomain) -> Result<Vec<Candidate>, Unroutable> {
    let text = zone.text("messages = [{ id = 'm', to = 'a@example.test' }]\n");
    let scenario = Scenario::parse("zone", &text);
    let scenario = Arc::new(scenario.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")));
    let found = Arc::new(Mutex::new(None));
    let tell = Arc::clone(&found);
    let sender = sender::from_fn(|mut context: SenderContext| async move {
        drop(context.next_message().await);
        let domain = "example.test".parse().expect("a name");
        let route = context
            .route(&domain, &mut ChaCha8Rng::seed_from_u64(1))
            .await;
        *tell.lock().expect("not poisoned") = Some(route);
    });
    drill::run(&scenario, NetworkKind::Memory, None, sender).expect("it ran");
    let found = found.lock().expect("not poisoned").take();
    found.expect("a route, or the reason why there is none")
}

/// Messages of a drill that a plan is held against.
const MESSAGES: usize = 200;

/// The plan that the records lead to.
fn planned(zone: &WholeDomain) -> Plan {
    let mut source = Source::default();
    let domain: Domain = "example.test".parse().expect("a name");
    // What is not there does not exist, whatever it is called.
    let records = format!(". SOA ns.test. h.test. 1 2 3 4 5\n{}", zone.records());
    source
        .add_text("zone", &records, None)
        .unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    Plan::of(&runtime.block_on(DomainRecords::of(&source, &domain)))
}

/// What the reference sender tries first for each message, while everything is down: exchangers and
/// addresses in their order.
fn walked(zone: &WholeDomain) -> Vec<Vec<(Domain, IpAddr)>> {
    let hosts: BTreeSet<String> = (0..HOSTS).map(|n| host(n).to_string()).collect();
    let with_address = zone.records();
    let owns = |name: &String| {
        let owner = format!("{name}. A");
        with_address.lines().any(|line| line.starts_with(&owner))
    };
    let names = hosts
        .into_iter()
        .chain(["example.test".to_owned()])
        .filter(owns);
    let fault = |name: String| {
        format!("{{ host = '{name}', stage = 'connect', effect = 'refuse', until = '20m' }}")
    };
    let faults: Vec<String> = names.map(fault).collect();
    let more = format!(
        "messages = [{{ id = 'm', to = 'a@example.test', count = {MESSAGES} }}]\nfaults = [{}]\n",
        faults.join(", ")
    );
    let text = zone.text(&more);
    let scenario = Scenario::parse("zone", &text);
    let scenario = Arc::new(scenario.unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}")));
    let run = drill::run(&scenario, NetworkKind::Memory, None, Reference::default());
    let mut walks: BTreeMap<String, Vec<(Domain, IpAddr)>> = BTreeMap::new();
    for event in run.expect("it ran").events {
        if let EventKind::Connect { address, hint, .. } = event.kind
            && let (Some(message), Some(exchanger)) = (hint.message, hint.exchanger)
            && hint.pass == Some(1)
            && message.0.starts_with("m-")
            && !message.0.contains(".bounce.")
        {
            walks
                .entry(message.0.to_string())
                .or_default()
                .push((exchanger, address));
        }
    }
    walks.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_sender_walks_as_planned(zone in zone().prop_map(WholeDomain::met_from_outside)) {
        let plan = planned(&zone);
        let walks = walked(&zone);
        prop_assert_eq!(walks.len(), if plan.is_deliverable() { MESSAGES } else { 0 });
        let levels: Vec<BTreeSet<(Domain, IpAddr)>> = plan.levels.iter().map(|level| {
            let usable = level.exchangers.iter().filter(|planned| planned.usable);
            usable.flat_map(|planned| planned.addresses.iter().map(|address| (planned.host.clone(), *address))).collect()
        }).collect();
        for walk in &walks {
            // Level by level, each of them to its end.
            let mut rest = &walk[..];
            for level in &levels {
                let (here, after) = rest.split_at(level.len().min(rest.len()));
                prop_assert_eq!(&here.iter().cloned().collect::<BTreeSet<_>>(), level);
                rest = after;
            }
            prop_assert!(rest.is_empty());
        }
        // Of few equals, each comes first as often as its share says, give or take six deviations.
        let best = plan.levels.iter().find(|level| level.exchangers.iter().any(|planned| planned.usable));
        for planned in best.iter().flat_map(|level| &level.exchangers).filter(|planned| planned.share >= 0.2) {
            let first = walks.iter().filter(|walk| walk[0].0 == planned.host).count() as f64;
            let expected = planned.share * MESSAGES as f64;
            let deviation = (expected * (1.0 - planned.share)).sqrt();
            prop_assert!((first - expected).abs() <= 6.0 * deviation, "{first} of {MESSAGES} at {}", planned.host);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn what_a_lookup_finds_is_what_the_rfc_says_of_the_zone(zone in zone()) {
        match (found_in_a_lab(&zone), zone.oracle()) {
            (Ok(found), Ok(expected)) => {
                prop_assert_eq!(as_set(&found), expected);
                prop_assert!(found.is_sorted_by_key(|candidate| candidate.preference));
            }
            (found, expected) => prop_assert_eq!(found.map(|found| as_set(&found)), expected),
        }
    }
}
