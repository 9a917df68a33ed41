//! Whether hosts of one preference come first equally often: Pearson's chi-square over many orders.

use std::collections::BTreeMap;

use super::{
    oracle::{Allowed, allowed},
    router_case::Case,
};
use crate::name::Domain;

/// Orders that are asked for, for each equal.
const ROUNDS: usize = 200;
/// Standard deviations beyond which it is no chance any more: one in a million.
const CERTAIN: f64 = 4.9;

/// Each equal of the best level, with how often it came first, where that is no chance; `first` gives the host that
/// comes first.
pub(super) fn uneven(
    case: &Case,
    mut first: impl FnMut(u64) -> Option<Domain>,
) -> Option<BTreeMap<Domain, usize>> {
    let Allowed::Hosts(allowed) = allowed(case) else {
        return None;
    };
    let best = allowed.values().map(|(preference, _)| *preference).min()?;
    let equals = allowed
        .iter()
        .filter(|(_, (preference, _))| *preference == best);
    let mut counts: BTreeMap<Domain, usize> = equals.map(|(host, _)| (host.clone(), 0)).collect();
    let rounds = ROUNDS * counts.len();
    if counts.len() < 2 {
        return None;
    }
    for round in 0..rounds {
        let seed = case.seed.wrapping_add(u64::try_from(round).ok()?);
        // What is no equal of the best is another rule's affair.
        *counts.get_mut(&first(seed)?)? += 1;
    }
    (deviations(counts.values().copied(), rounds) > CERTAIN).then_some(counts)
}

/// How far counts that should be the same are from it, in standard deviations of chance (Wilson and Hilferty's
/// approximation).
fn deviations(counts: impl ExactSizeIterator<Item = usize>, rounds: usize) -> f64 {
    let freedom = (counts.len() - 1) as f64;
    let expected = rounds as f64 / counts.len() as f64;
    let squares = counts.map(|count| (count as f64 - expected).powi(2) / expected);
    let spread = 2.0 / (9.0 * freedom);
    ((squares.sum::<f64>() / freedom).cbrt() - (1.0 - spread)) / spread.sqrt()
}

#[cfg(test)]
mod tests {
    use super::deviations;

    #[test]
    fn chance_is_told_from_what_is_none() {
        assert!(deviations([100, 100].into_iter(), 200) < 0.0);
        assert!(deviations([110, 90].into_iter(), 200) < 2.0);
        assert!(deviations([200, 0].into_iter(), 200) > 4.9);
        // The known value: 3.84 with one degree of freedom is one in twenty, 1.64 standard deviations on one side.
        let one_in_twenty = deviations([1096, 904].into_iter().map(|n: usize| n), 2000);
        assert!((3.0..4.5).contains(&one_in_twenty), "{one_in_twenty}");
    }
}
