//! What is counted over the runs of a sample, and when its share is wrong beyond what chance allows.
//!
//! Shares of first attempts are judged by statistics, since a fair choice may look unfair in a few messages; the bound is
//! so wide that a wrong verdict is not to be expected in the life of the suite.

use std::fmt;

use serde::{Deserialize, Serialize};

use mxdrill::scenario::Share;

/// Standard deviations by which a share must miss its bounds to be wrong. Five are passed by chance
/// once in three million times.
const CERTAIN: f64 = 5.0;

/// Something counted over all runs of a sample.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Counted {
    /// The share of first attempts that a host should have.
    #[serde(flatten)]
    pub(crate) share: Share,
    /// How many first attempts it had in all rounds.
    pub(crate) count: usize,
    /// Out of how many messages.
    pub(crate) of: usize,
    /// How often in each run: what a server draws in one second may be the same for all messages.
    pub(crate) runs: Vec<usize>,
}

impl Counted {
    /// Shares of which nothing has been counted yet.
    pub(crate) fn none_of(shares: &[Share]) -> Vec<Self> {
        let none = |share: &Share| Self {
            share: share.clone(),
            count: 0,
            of: 0,
            runs: Vec::new(),
        };
        shares.iter().map(none).collect()
    }

    /// A run more, with so many messages.
    pub(crate) fn add(&mut self, count: usize, of: usize) {
        self.count += count;
        self.of += of;
        self.runs.push(count);
    }

    // Between which shares the true one lies, as far as can be told.
    #[expect(clippy::cast_precision_loss, reason = "counts of messages are small")]
    fn interval(&self) -> (f64, f64) {
        let of = self.of.max(1) as f64;
        let seen = self.count as f64 / of;
        // Wilson's interval, which holds also where a share is near nothing or all.
        let (z, n) = (CERTAIN, of);
        let middle = (seen + z * z / (2.0 * n)) / (1.0 + z * z / n);
        let spread =
            z / (1.0 + z * z / n) * (seen * (1.0 - seen) / n + z * z / (4.0 * n * n)).sqrt();
        let spread = spread.max(z * self.error_between_runs());
        (middle - spread, middle + spread)
    }

    /// The standard error of the share as the runs differ from each other.
    #[expect(clippy::cast_precision_loss, reason = "counts of messages are small")]
    fn error_between_runs(&self) -> f64 {
        let runs = self.runs.len() as f64;
        if runs < 2.0 {
            return 0.0;
        }
        let of = self.of as f64 / runs;
        let mean = self.count as f64 / self.of.max(1) as f64;
        let squares = self
            .runs
            .iter()
            .map(|run| (*run as f64 / of - mean).powi(2));
        (squares.sum::<f64>() / (runs - 1.0) / runs).sqrt()
    }

    /// Whether chance alone could make it miss its bounds by so much. A share of nothing or of all
    /// leaves nothing to chance.
    pub(crate) fn is_plausible(&self) -> bool {
        if self.of == 0 {
            return true;
        }
        if self.share.high == 0.0 {
            return self.count == 0;
        }
        if self.share.low >= 1.0 {
            return self.count == self.of;
        }
        let (low, high) = self.interval();
        low <= self.share.high && high >= self.share.low
    }

    /// Whether it lies within its bounds.
    #[expect(clippy::cast_precision_loss, reason = "counts of messages are small")]
    pub(crate) fn is_within(&self) -> bool {
        let seen = self.count as f64 / self.of.max(1) as f64;
        (self.share.low..=self.share.high).contains(&seen)
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| (100.0 * share).round();
        let (low, high) = (percent(self.share.low), percent(self.share.high));
        let bounds = if low < high {
            format!("{low} to {high}")
        } else {
            low.to_string()
        };
        write!(
            f,
            "first attempts at {}: expected {bounds} %, observed {} of {}",
            self.share.host, self.count, self.of
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(low: f64, high: f64, count: usize, of: usize) -> Counted {
        let host = "a.example.test".parse().expect("a host");
        Counted {
            share: Share { host, low, high },
            count,
            of,
            runs: Vec::new(),
        }
    }

    #[test]
    fn a_share_is_wrong_only_where_chance_is_out_of_the_question() {
        for count in [0, 4, 12, 20, 24] {
            let plausible = counted(0.45, 0.55, count, 24).is_plausible();
            assert!(plausible, "{count} of 24");
        }
        // More of the same makes it certain.
        assert!(!counted(0.45, 0.55, 48, 48).is_plausible());
        assert!(!counted(0.45, 0.55, 0, 48).is_plausible());
        assert!(!counted(0.45, 0.55, 160, 192).is_plausible());
        assert!(counted(0.45, 0.55, 100, 192).is_plausible());
    }

    #[test]
    fn runs_that_differ_more_than_chance_allows_are_no_proof() {
        let steady = Counted {
            runs: vec![20; 4],
            ..counted(0.25, 0.42, 80, 96)
        };
        assert!(!steady.is_plausible());
        let swaying = Counted {
            runs: vec![24, 24, 24, 8],
            ..counted(0.25, 0.42, 80, 96)
        };
        assert!(swaying.is_plausible());
    }

    #[test]
    fn nothing_and_all_leave_nothing_to_chance() {
        assert!(!counted(0.0, 0.0, 1, 24).is_plausible());
        assert!(!counted(1.0, 1.0, 23, 24).is_plausible());
        assert!(counted(0.0, 0.0, 0, 24).is_plausible());
        assert!(counted(1.0, 1.0, 24, 24).is_plausible());
    }
}
