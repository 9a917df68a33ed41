//! For how long what was found out of answers stays true: each comparison of the moment that is asked about bounds it.

use std::{cell::Cell, time::Duration};

use crate::time::Moment;

/// The whole of time, as far as nothing bounds it.
const ALWAYS: (Moment, Moment) = (Moment::START, Moment(Duration::MAX));

/// The time around a moment in which all comparisons come out as they did: from the first on, before the second.
pub(super) struct Span(Cell<(Moment, Moment)>);

impl Default for Span {
    fn default() -> Self {
        Self(Cell::new(ALWAYS))
    }
}

impl Span {
    /// What `work` comes to, and the time in which all that it compares comes out as it did.
    pub(super) fn around<T>(&self, work: impl FnOnce() -> T) -> (T, (Moment, Moment)) {
        self.0.set(ALWAYS);
        let made = work();
        (made, self.0.get())
    }

    /// Whether `now` is at or after a moment. Every comparison that an answer hangs on goes through here.
    pub(super) fn is_from(&self, since: Moment, now: Moment) -> bool {
        let (from, until) = self.0.get();
        let is_from = since <= now;
        self.0.set(match is_from {
            true => (from.max(since), until),
            false => (from, until.min(since)),
        });
        is_from
    }

    /// Whether `now` is after a moment.
    pub(super) fn is_after(&self, moment: Moment, now: Moment) -> bool {
        self.is_from(moment.after(Duration::from_nanos(1)), now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_holds_the_moments_at_which_all_comparisons_come_out_alike() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        for now in 0..20 {
            let span = Span::default();
            let look = |now| [span.is_from(at(5), now), span.is_after(at(9), now)];
            let (found, (from, until)) = span.around(|| look(at(now)));
            assert!((from..until).contains(&at(now)));
            for other in 0..20 {
                let is_within = (from..until).contains(&at(other));
                assert_eq!(is_within, look(at(other)) == found, "{now} {other}");
            }
        }
    }
}
