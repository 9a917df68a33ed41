//! MX selection as a function of answers: each reason why there is nothing to try, and each order.

use std::{collections::BTreeMap, net::IpAddr};

use mxdrill::{
    name::Domain,
    reply::{ReplyClass, Status},
    route::{
        Addresses, Candidate, Exchanger, Families, Identity, MxAnswer, Order, Unroutable,
        exchangers, route,
    },
    scenario::SenderSettings,
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn name(text: &str) -> Domain {
    match text {
        "." => Domain::root(),
        text => text.parse().expect("a name"),
    }
}

/// Exchangers as MX records write them: `10 a.test, 20 b.test`.
fn mx(text: &str) -> Vec<Exchanger> {
    let records = text.split(", ").filter(|record| !record.is_empty());
    records
        .map(|record| {
            let (preference, host) = record.split_once(' ').expect("two fields");
            Exchanger {
                preference: preference.parse().expect("a preference"),
                host: name(host),
            }
        })
        .collect()
}

/// Hosts with their addresses: `a.test 192.0.2.1 2001:db8::1, b.test !`, where `!` is a lookup that failed.
fn hosts(text: &str) -> BTreeMap<Domain, Addresses> {
    let hosts = text.split(", ").filter(|host| !host.is_empty());
    hosts
        .map(|host| {
            let mut words = host.split(' ');
            let owner = name(words.next().expect("a name"));
            let mut addresses = Addresses::default();
            for word in words {
                match word {
                    "!" => addresses.failed = true,
                    address => addresses.found.push(address.parse().expect("an address")),
                }
            }
            (owner, addresses)
        })
        .collect()
}

fn sender() -> Identity {
    Identity::from(&SenderSettings::default())
}

/// The route as text: each candidate's preference, exchanger and address.
fn routed(records: &str, addresses: &str, identity: &Identity) -> Result<Vec<String>, Unroutable> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let candidates = route(&mx(records), &hosts(addresses), identity, &mut random)?;
    let tell = |candidate: &Candidate| {
        let Candidate {
            preference,
            exchanger,
            address,
        } = candidate;
        format!("{preference} {exchanger} {address}")
    };
    Ok(candidates.iter().map(tell).collect())
}

#[test]
fn every_reason_has_its_status_and_only_a_failed_lookup_is_worth_waiting_for() {
    for (reason, status, severity) in [
        (Unroutable::NoDomain, Status(5, 1, 2), ReplyClass::Permanent),
        (Unroutable::NullMx, Status(5, 1, 10), ReplyClass::Permanent),
        (
            Unroutable::NoUsableExchanger,
            Status(5, 4, 4),
            ReplyClass::Permanent,
        ),
        (Unroutable::OnlySelf, Status(5, 4, 6), ReplyClass::Permanent),
        (
            Unroutable::Untrusted,
            Status(5, 7, 30),
            ReplyClass::Permanent,
        ),
        (
            Unroutable::LookupFailed,
            Status(4, 4, 3),
            ReplyClass::Transient,
        ),
    ] {
        assert_eq!(
            (reason.status(), reason.class()),
            (status, severity),
            "{reason}"
        );
    }
}

#[test]
fn an_answer_gives_exchangers_or_the_reason_why_there_are_none() {
    let domain = name("example.test");
    let records = |text: &str| exchangers(&domain, &MxAnswer::Records(mx(text)));
    assert_eq!(
        exchangers(&domain, &MxAnswer::Failed),
        Err(Unroutable::LookupFailed)
    );
    assert_eq!(
        exchangers(&domain, &MxAnswer::NoDomain),
        Err(Unroutable::NoDomain)
    );
    assert_eq!(
        exchangers(&domain, &MxAnswer::NoData),
        Ok(mx("0 example.test"))
    );
    assert_eq!(records(""), Ok(mx("0 example.test")));
    assert_eq!(records("0 ."), Err(Unroutable::NullMx));
    assert_eq!(records("1 ."), Ok(Vec::new()));
    assert_eq!(records("0 a.test"), Ok(mx("0 a.test")));
    assert_eq!(records("0 ., 5 a.test"), Ok(mx("5 a.test")));
    assert_eq!(records("0 ., 0 ."), Ok(Vec::new()));
}

#[test]
fn candidates_are_tried_by_preference_and_each_address_once() {
    let addresses = "a.test 192.0.2.1 192.0.2.2 192.0.2.1, b.test 192.0.2.1";
    let all = [
        "10 a.test 192.0.2.1",
        "10 a.test 192.0.2.2",
        "20 b.test 192.0.2.1",
    ]
    .map(str::to_owned);
    assert_eq!(
        routed("20 b.test, 10 a.test, 30 a.test", addresses, &sender()),
        Ok(all.to_vec())
    );
    for most in [1, 2, 3] {
        let identity = Identity {
            max_candidates: Some(most),
            ..sender()
        };
        assert_eq!(
            routed("20 b.test, 10 a.test", addresses, &identity),
            Ok(all[..most].to_vec())
        );
    }
}

#[test]
fn a_sender_in_the_list_is_known_by_its_names_its_addresses_and_by_loopback_ones() {
    let records = "10 a.test, 20 b.test, 20 c.test, 30 d.test";
    let addresses = "a.test 192.0.2.1, b.test 192.0.2.2, c.test 192.0.2.3, d.test 192.0.2.4";
    let only_a = Ok(vec!["10 a.test 192.0.2.1".to_owned()]);
    let by_name = Identity {
        names: vec![name("b.test")],
        ..sender()
    };
    let by_address = Identity {
        addresses: vec![IpAddr::from([192, 0, 2, 2])],
        ..sender()
    };
    let twice = Identity {
        names: vec![name("d.test"), name("b.test")],
        ..sender()
    };
    for identity in [&by_name, &by_address, &twice] {
        assert_eq!(routed(records, addresses, identity), only_a);
    }
    let loopback = addresses.replace("192.0.2.2", "127.0.0.3");
    assert_eq!(routed(records, &loopback, &sender()), only_a);
    assert_eq!(
        routed("20 b.test, 30 d.test", addresses, &by_name),
        Err(Unroutable::OnlySelf)
    );
    let unknown = Identity {
        names: vec![name("e.test")],
        addresses: vec![IpAddr::from([192, 0, 2, 9])],
        ..sender()
    };
    assert_eq!(
        routed(records, addresses, &unknown).map(|list| list.len()),
        Ok(4)
    );
}

#[test]
fn without_a_candidate_it_matters_whether_a_lookup_failed() {
    let missing = routed("10 a.test, 20 b.test", "b.test", &sender());
    assert_eq!(missing, Err(Unroutable::NoUsableExchanger));
    let failed = routed("10 a.test, 20 b.test", "b.test !", &sender());
    assert_eq!(failed, Err(Unroutable::LookupFailed));
    assert_eq!(
        routed("", "", &sender()),
        Err(Unroutable::NoUsableExchanger)
    );
    // What is discarded with the own level does not matter any more.
    let discarded = Identity {
        names: vec![name("b.test")],
        ..sender()
    };
    let reason = routed("10 a.test, 20 b.test", "b.test !", &discarded);
    assert_eq!(reason, Err(Unroutable::NoUsableExchanger));
}

#[test]
fn an_address_family_that_cannot_be_reached_is_left_out() {
    let addresses = "a.test 2001:db8::1 192.0.2.1";
    for (ipv4, ipv6, found) in [
        (true, false, vec!["10 a.test 192.0.2.1"]),
        (false, true, vec!["10 a.test 2001:db8::1"]),
        (
            true,
            true,
            vec!["10 a.test 2001:db8::1", "10 a.test 192.0.2.1"],
        ),
    ] {
        let identity = Identity {
            families: Families { ipv4, ipv6 },
            ..sender()
        };
        let found = found.into_iter().map(str::to_owned).collect();
        assert_eq!(routed("10 a.test", addresses, &identity), Ok(found));
    }
}

#[test]
fn lists_of_every_length_are_sorted_and_nothing_is_lost_or_added() {
    let mut random = ChaCha8Rng::seed_from_u64(5321);
    for count in (0..=40_u16).chain([1000]) {
        // Ascending, descending, mixed, alike, and at both ends.
        let lists: [fn(u16) -> u16; 5] = [
            |n| n,
            |n| 2000 - n,
            |n| n.wrapping_mul(40503) % 7,
            |_| 10,
            |n| (n % 2) * 65535,
        ];
        for list in lists {
            let preferences: Vec<u16> = (0..count).map(list).collect();
            let order = Order::new(preferences.iter().copied(), &mut random);
            let places: Vec<usize> = order.places().collect();
            assert!(
                places.is_sorted_by_key(|place| preferences[*place]),
                "{preferences:?}: {places:?}"
            );
            let mut all = places.clone();
            all.sort_unstable();
            assert!(
                all.into_iter().eq(0..usize::from(count)),
                "{preferences:?}: {places:?}"
            );
        }
    }
}

/// Each of a level comes at each place in about its share of many orders; all draws are of one fixed seed.
#[test]
fn each_of_a_level_comes_at_each_of_its_places_in_its_turn() {
    let mut random = ChaCha8Rng::seed_from_u64(5321);
    for equals in [2_usize, 3, 4, 5, 8, 12, 16, 20] {
        let rounds = 400 * equals;
        let mut counts = vec![vec![0_u32; equals]; equals];
        for _ in 0..rounds {
            let order = Order::new(vec![10_u16; equals], &mut random);
            for (at, place) in order.places().enumerate() {
                counts[at][place] += 1;
            }
        }
        // Of 400 expected, six standard deviations are 120.
        let fair = |count: &u32| (280..=520).contains(count);
        assert!(
            counts.iter().flatten().all(fair),
            "{equals} equals: {counts:?}"
        );
    }
}
