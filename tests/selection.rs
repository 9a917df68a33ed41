//! The order among exchangers: uniform over the permutations of equals, and without memory of its own.

use std::collections::BTreeMap;

use mxdrill::route::Order;
use rand::{SeedableRng, rngs::ChaCha8Rng};

/// Standard deviations by which a sum of squares may exceed what chance gives: about one in three million.
const CERTAIN: f64 = 5.0;

fn order(preferences: &[u16], random: &mut ChaCha8Rng) -> Vec<usize> {
    Order::new(preferences.iter().copied(), random)
        .places()
        .collect()
}

/// Pearson's chi-square of counts that should all be the same, in standard deviations above its mean.
fn excess(counts: impl Iterator<Item = u32> + Clone, cells: f64) -> f64 {
    let total: f64 = counts.clone().map(f64::from).sum();
    let expected = total / cells;
    // Cells that were never seen miss by all that was expected of them.
    let seen = counts.clone().count() as f64;
    let squares: f64 = counts
        .map(|count| (f64::from(count) - expected).powi(2))
        .sum();
    let chi_square = (squares + (cells - seen) * expected.powi(2)) / expected;
    let freedom = cells - 1.0;
    (chi_square - freedom) / (2.0 * freedom).sqrt()
}

fn factorial(n: u32) -> u32 {
    (1..=n).product()
}

#[test]
fn every_permutation_of_equals_is_as_likely() {
    let mut random = ChaCha8Rng::seed_from_u64(5321);
    for equals in 2..=8_u32 {
        let cells = factorial(equals);
        let preferences = vec![10; equals as usize];
        let mut counts: BTreeMap<Vec<usize>, u32> = BTreeMap::new();
        for _ in 0..(cells * 8).max(20_000) {
            *counts.entry(order(&preferences, &mut random)).or_default() += 1;
        }
        let excess = excess(counts.values().copied(), f64::from(cells));
        assert!(
            excess.abs() < CERTAIN,
            "{equals} equals: {excess:.1} standard deviations"
        );
    }
}

#[test]
fn every_equal_gets_its_share_of_first_attempts() {
    let mut random = ChaCha8Rng::seed_from_u64(5321);
    for equals in 2..=8_usize {
        // Between a better one and a worse one, which must not matter.
        let preferences: Vec<u16> = [0]
            .into_iter()
            .chain(vec![10; equals])
            .chain([20])
            .collect();
        let mut counts = vec![0_u32; equals];
        for _ in 0..equals * 10_000 {
            let places = order(&preferences, &mut random);
            assert_eq!((places[0], places[equals + 1]), (0, equals + 1));
            counts[places[1] - 1] += 1;
        }
        let excess = excess(counts.iter().copied(), equals as f64);
        assert!(excess.abs() < CERTAIN, "{equals} equals: {counts:?}");
    }
}

#[test]
fn the_test_of_chance_finds_a_preferred_host_out() {
    // One of eight that comes first a fifth more often than it should.
    let skewed = [1200_u32, 971, 971, 971, 971, 971, 971, 974];
    assert!(excess(skewed.into_iter(), 8.0) > CERTAIN);
    // Three permutations of six that never come.
    assert!(excess([3333_u32, 3333, 3334].into_iter(), 6.0) > CERTAIN);
}

#[test]
fn up_to_sixteen_exchangers_take_no_memory() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for count in 0..=16_u16 {
        let preferences: Vec<u16> = (0..count).map(|n| n / 4).collect();
        let mut sum = 0;
        let measured = allocation_counter::measure(|| {
            let order = Order::new(preferences.iter().copied(), &mut random);
            sum = order.places().sum();
        });
        assert_eq!(measured.count_total, 0, "{count} exchangers");
        assert_eq!(sum, (0..usize::from(count)).sum::<usize>());
    }
    let preferences = [0; 17];
    let measured = allocation_counter::measure(|| {
        drop(Order::new(preferences.iter().copied(), &mut random));
    });
    assert!(measured.count_total > 0, "the counter counts");
}
