//! The processors of this machine, shared out among drills on virtual time: one for all processes of a drill.
//!
//! On virtual time hardly two of them compute at once. They wake each other for every call that is held and for every
//! leap, a thousand times for each second; whoever is woken on another processor has to rouse that first, which costs
//! more than the work that it has.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// The thread that asks.
const THIS: Pid = Pid::from_raw(0);

/// The processors that this process may use, with the number of drills that each has.
struct Processors {
    all: CpuSet,
    drills: Mutex<Vec<(usize, usize)>>,
}

impl Processors {
    /// Those of this machine; `None` where the system does not tell.
    fn of_this_machine() -> Option<&'static Self> {
        static ALL: OnceLock<Option<Processors>> = OnceLock::new();
        let all = ALL.get_or_init(|| {
            let all = sched_getaffinity(THIS).ok()?;
            let numbers =
                (0..CpuSet::count()).filter(|number| all.is_set(*number).unwrap_or(false));
            Some(Self {
                all,
                drills: Mutex::new(numbers.map(|number| (number, 0)).collect()),
            })
        });
        all.as_ref()
    }

    fn drills(&self) -> MutexGuard<'_, Vec<(usize, usize)>> {
        self.drills.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A processor that this thread keeps to, and all that it starts; it may use all of them again when this is dropped.
pub(super) struct OneProcessor {
    of: &'static Processors,
    number: usize,
}

impl OneProcessor {
    /// The one that has the fewest drills; `None` where the system lets nobody choose.
    pub(super) fn take() -> Option<Self> {
        let of = Processors::of_this_machine()?;
        let mut drills = of.drills();
        let (number, count) = drills.iter_mut().min_by_key(|(_, count)| *count)?;
        let number = *number;
        let mut only = CpuSet::new();
        only.set(number).ok()?;
        sched_setaffinity(THIS, &only).ok()?;
        *count += 1;
        Some(Self { of, number })
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        // What cannot be given back stays as it is: this thread does little but wait for drills.
        sched_setaffinity(THIS, &self.of.all).ok();
        let mut drills = self.of.drills();
        if let Some((_, count)) = drills.iter_mut().find(|(number, _)| *number == self.number) {
            *count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    /// The processors that this thread may use.
    fn mine() -> Vec<usize> {
        let set = sched_getaffinity(THIS).expect("told");
        let numbers = (0..CpuSet::count()).filter(|number| set.is_set(*number).unwrap_or(false));
        numbers.collect()
    }

    #[test]
    fn drills_are_spread_over_processors_that_are_given_back() {
        let all = mine();
        // As many again as there are: each has two.
        let threads = (0..2 * all.len()).map(|_| {
            thread::spawn(|| {
                let taken = OneProcessor::take().expect("a processor");
                assert_eq!(mine(), [taken.number]);
                taken
            })
        });
        let taken: Vec<_> = threads.map(|one| one.join().expect("no panic")).collect();
        for number in &all {
            let on_it = taken.iter().filter(|taken| taken.number == *number);
            assert_eq!(on_it.count(), 2, "processor {number}");
        }
        drop(taken);
        assert_eq!(mine(), all);
        let free = Processors::of_this_machine().expect("told").drills();
        assert!(free.iter().all(|(_, count)| *count == 0));
    }
}
