//! Where a function under test draws its randomness from.

use std::convert::Infallible;

use rand::{Rng, RngExt, SeedableRng, TryRng, rngs::ChaCha8Rng, seq::SliceRandom};

/// A source of randomness that is the same for the same seed on every machine.
///
/// It is a generator of the rand crate (0.10). Code that has another version, or none, does with [`shuffle`], [`below`]
/// and [`seed`].
///
/// [`shuffle`]: Self::shuffle
/// [`below`]: Self::below
/// [`seed`]: Self::seed
#[derive(Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Any number of 64 bits, each as likely: a seed for a generator of one's own.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below a limit, each as likely.
    ///
    /// # Panics
    /// If the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.random_range(0..limit)
    }

    /// Puts a list in an order by chance, each as likely.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        list.shuffle(&mut self.0);
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    fn try_fill_bytes(&mut self, octets: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(octets)
    }
}
