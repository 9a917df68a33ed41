//! The order among exchangers: lowest preference first, equal ones at random.
//!
//! Each becomes one number of 64 bits: its preference, then chance, then its place in the list. To sort
//! these is to sort by preference and to shuffle every level at once, with one draw for each and, of
//! short lists, nothing on the heap.
//!
//! An order is made for every pass of every message, so it is made to be cheap. What it costs is
//! measured by a benchmark.

use rand::Rng;

/// Bits for the place in the list.
const PLACE_BITS: u32 = 20;
/// Bits for the preference.
const PREFERENCE_BITS: u32 = 16;
/// Bits for chance: of eight equals, two draw the same once in ten million times, and then keep the
/// order of the list.
const CHANCE_BITS: u32 = u64::BITS - PREFERENCE_BITS - PLACE_BITS;

/// The places of a list, in the order in which to try what stands there.
///
/// A place is an index into the list of preferences that it was made of.
#[derive(Debug, Clone)]
pub struct Order {
    keys: Keys,
    count: usize,
}

/// Sorted keys. Short lists take no memory of their own; behind their end are greater keys than any.
#[derive(Debug, Clone)]
enum Keys {
    Four([u64; 4]),
    Eight([u64; 8]),
    Sixteen([u64; 16]),
    Many(Vec<u64>),
}

impl Order {
    /// The order of exchangers by their preferences: lowest first, equal ones at random (RFC 5321 section
    /// 5.1).
    ///
    /// # Panics
    /// With more than a million of them, which no DNS answer has room for.
    // A call, and what it returns through memory, would cost as much as the order of four.
    #[inline(always)]
    pub fn new<I>(preferences: I, random: &mut impl Rng) -> Self
    where
        I: IntoIterator<Item = u16, IntoIter: ExactSizeIterator>,
    {
        let preferences = preferences.into_iter();
        let count = preferences.len();
        assert!(count <= 1 << PLACE_BITS, "a list of {count} exchangers");
        let keys = (0..)
            .zip(preferences)
            .map(|(place, preference): (u64, u16)| {
                let chance = u64::from(random.next_u32() >> (u32::BITS - CHANCE_BITS));
                u64::from(preference) << (u64::BITS - PREFERENCE_BITS)
                    | chance << PLACE_BITS
                    | place
            });
        let keys = match count {
            0..=4 => Keys::Four(four(keys)),
            5..=8 => Keys::Eight(sorted(keys)),
            9..=16 => Keys::Sixteen(sorted(keys)),
            _ => {
                let mut keys: Vec<u64> = keys.collect();
                keys.sort_unstable();
                Keys::Many(keys)
            }
        };
        Self { keys, count }
    }

    /// The places, the one to try first in front.
    #[inline]
    pub fn places(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        let keys: &[u64] = match &self.keys {
            Keys::Four(keys) => keys,
            Keys::Eight(keys) => keys,
            Keys::Sixteen(keys) => keys,
            Keys::Many(keys) => keys,
        };
        let place = |key: &u64| key & ((1 << PLACE_BITS) - 1);
        keys[..self.count]
            .iter()
            .map(move |key| usize::try_from(place(key)).expect("at most a million"))
    }
}

/// At most four keys, sorted by the same comparisons as more are, which stay in registers here.
#[inline(always)]
fn four(mut given: impl Iterator<Item = u64>) -> [u64; 4] {
    let mut next = || given.next().unwrap_or(u64::MAX);
    let (a, b, c, d) = (next(), next(), next(), next());
    let (a, b) = (a.min(b), a.max(b));
    let (c, d) = (c.min(d), c.max(d));
    let (a, c) = (a.min(c), a.max(c));
    let (b, d) = (b.min(d), b.max(d));
    let (b, c) = (b.min(c), b.max(c));
    [a, b, c, d]
}

/// At most `N` keys, a power of two, sorted by Batcher's odd-even merges: which keys are compared does not
/// depend on the keys, so that there is no branch for chance to mislead.
#[inline(always)]
fn sorted<const N: usize>(given: impl Iterator<Item = u64>) -> [u64; N] {
    let mut keys = [u64::MAX; N];
    keys.iter_mut()
        .zip(given)
        .for_each(|(slot, key)| *slot = key);
    let mut merged = 1;
    while merged < N {
        let mut apart = merged;
        while apart >= 1 {
            let mut start = apart % merged;
            while start + apart < N {
                for low in start..(start + apart).min(N - apart) {
                    let high = low + apart;
                    if low / (merged * 2) == high / (merged * 2) {
                        let (one, other) = (keys[low], keys[high]);
                        keys[low] = one.min(other);
                        keys[high] = one.max(other);
                    }
                }
                start += 2 * apart;
            }
            apart /= 2;
        }
        merged *= 2;
    }
    keys
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    fn order(preferences: &[u16], seed: u64) -> Vec<usize> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Order::new(preferences.iter().copied(), &mut random)
            .places()
            .collect()
    }

    #[test]
    fn preferences_come_in_order_and_nothing_is_lost() {
        for count in (0..20).chain([100, 1000_u16]) {
            let preferences: Vec<u16> = (0..count).map(|n| n.wrapping_mul(40503) % 7).collect();
            let places = order(&preferences, u64::from(count));
            assert!(places.is_sorted_by_key(|place| preferences[*place]));
            let mut all = places.clone();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..usize::from(count)));
        }
        assert_eq!(order(&[65535, 0, 1], 1), [1, 2, 0]);
    }
}
