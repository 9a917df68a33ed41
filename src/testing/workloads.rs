//! What selections are compared by: lists of preferences in any order, the floor, and the obvious way.

use std::collections::BTreeMap;

use rand::{Rng, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

/// Lists that are ordered in turn: the processor must not learn one by heart.
const LISTS: usize = 64;

/// Lists of one shape.
pub(super) struct Workload {
    /// How many exchangers a list has, and how many of them are equal: `16, fours`.
    pub(super) name: String,
    pub(super) lists: Vec<Vec<u16>>,
}

/// The standard workloads: 4 to 64 exchangers, with no equals, pairs, fours, and all equal.
pub(super) fn standard() -> Vec<Workload> {
    let shapes = [
        (1, "no equals"),
        (2, "pairs"),
        (4, "fours"),
        (64, "all equal"),
    ];
    let sizes = [4_u16, 8, 16, 64];
    let pairs = shapes
        .iter()
        .flat_map(|shape| sizes.map(|size| (size, shape)));
    let workloads = pairs.map(|(size, (equals, shape))| {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let lists = (0..LISTS).map(|_| {
            let mut list: Vec<u16> = (0..size).map(|n| n / equals * 10).collect();
            list.shuffle(&mut random);
            list
        });
        Workload {
            name: format!("{size}, {shape}"),
            lists: lists.collect(),
        }
    });
    workloads.collect()
}

/// The floor: as many numbers drawn and sorted, by the standard library, as there are exchangers. What sorts short lists
/// without a branch may be below it.
pub(super) fn floor(list: &[u16], keys: &mut Vec<u64>, random: &mut impl Rng) {
    keys.clear();
    let packed = list
        .iter()
        .map(|one| u64::from(*one) << 48 | u64::from(random.next_u32()));
    keys.extend(packed);
    keys.sort_unstable();
}

/// The obvious way: a list of places for each preference, each shuffled.
pub(super) fn obvious(list: &[u16], random: &mut impl Rng) -> Vec<usize> {
    let mut levels: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
    for (place, preference) in list.iter().enumerate() {
        levels.entry(*preference).or_default().push(place);
    }
    levels.values_mut().for_each(|level| level.shuffle(random));
    levels.into_values().flatten().collect()
}

/// Panics unless this is an order of the list: each place once, and preferences never fall.
pub(super) fn hold(name: &str, list: &[u16], order: impl IntoIterator<Item = usize>) {
    let order: Vec<usize> = order.into_iter().collect();
    let mut places = order.clone();
    places.sort_unstable();
    let is_whole = places.into_iter().eq(0..list.len());
    assert!(
        is_whole && order.is_sorted_by_key(|place| list[*place]),
        "{name} is to give the places of a list in order of preference, each once: of {list:?} it gives {order:?}"
    );
}
