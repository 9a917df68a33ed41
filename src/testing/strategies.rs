//! Strategies for properties of one's own: zones, faults, messages, and whole drills.
//!
//! What is drawn stays in a small world, so that it fits together: two domains (`d0.test`, `d1.test`) and eight hosts
//! (`h0.test` to `h7.test`). Any zone, faults and messages that are drawn make a scenario.

use std::fmt;

use proptest::strategy::Strategy;
use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::shrinking::{FromSeed, Shrinks, without_one};
use crate::{
    fault::Fault,
    random_drill::{self, RandomDrill},
    scenario::Messages,
};

/// The records of two domains and their exchangers; it prints itself as a zone file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    /// Those that are drawn, and get fewer.
    records: Vec<String>,
}

impl Zone {
    /// The domains that mail may be for.
    pub const DOMAINS: [&str; 2] = ["d0.test", "d1.test"];

    /// How many MX records there are.
    pub fn exchangers(&self) -> usize {
        let is_mx = |record: &&String| record.contains(" IN MX ");
        self.records.iter().filter(is_mx).count()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("$ORIGIN test.\n$TTL 300\n")?;
        for record in &self.records {
            writeln!(f, "{record}")?;
        }
        // Every host has an address, whatever else is left out.
        (0..random_drill::HOSTS)
            .try_for_each(|host| writeln!(f, "h{host} IN A 192.0.2.{}", host + 1))
    }
}

/// Zones of two domains: exchangers or none, equals, a null MX alone or beside others, addresses of the domain's own, an
/// alias in its place. They shrink to fewer records.
pub fn zones() -> impl Strategy<Value = Zone> {
    FromSeed(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut records = Vec::new();
        for domain in 0..random_drill::DOMAINS {
            random_drill::any_exchangers(domain, &mut random, &mut records);
        }
        Zone { records }
    })
}

/// What fails: up to six faults of hosts and of queries, each for good, for a while, some times or now and then. They shrink to fewer.
pub fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let list = FromSeed(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let count = random.random_range(0..=6_u8);
        List(
            (0..count)
                .map(|_| random_drill::any_fault(&mut random))
                .collect(),
        )
    });
    list.prop_map(|List(faults)| faults)
}

/// One to four messages to the domains, to one recipient or more, at once or in the hours after. They shrink to fewer.
pub fn messages() -> impl Strategy<Value = Vec<Messages>> {
    let list = FromSeed(|seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let count = random.random_range(1..=4_u8);
        List(
            (0..count)
                .map(|number| random_drill::any_messages(number, &mut random))
                .collect(),
        )
    });
    list.prop_map(|List(messages)| messages)
}

/// Whole drills: zones, faults and messages, and a sender that has no settings but the default ones. They shrink part by
/// part.
pub fn drills() -> impl Strategy<Value = RandomDrill> {
    FromSeed(|seed| RandomDrill::new(seed).plain())
}

/// What shrinks by leaving members out.
#[derive(Debug, Clone)]
struct List<T>(Vec<T>);

impl<T: Clone + fmt::Debug> Shrinks for List<T> {
    fn smaller(&self) -> Vec<Self> {
        without_one(&self.0).map(Self).collect()
    }
}

impl Shrinks for Zone {
    fn smaller(&self) -> Vec<Self> {
        without_one(&self.records)
            .map(|records| Self { records })
            .collect()
    }
}

impl Shrinks for RandomDrill {
    fn smaller(&self) -> Vec<Self> {
        self.smaller()
    }

    fn is_whole(&self) -> bool {
        self.scenario().is_ok()
    }
}
