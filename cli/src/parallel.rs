//! Work done by several threads: each takes the next number as it is free.
//!
//! A number is begun once a thread is free, in order: what comes late in a long list waits for no particular
//! one before it. What is done with the results is the caller's, who gets them as they come or in their order.

use std::{
    collections::BTreeMap,
    io,
    num::NonZero,
    ops::ControlFlow,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// How many threads can compute at once here.
pub(crate) fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does `work` for each number below `count`, on so many threads; `take` gets each result in this thread, in
/// the order in which they come.
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) fn each<R: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> R + Sync,
    take: impl FnMut(usize, R),
) {
    each_while(count, threads, |number| Some(work(number)), take);
}

/// As `each`, as long as more is wanted: a thread ends at the first number for which it gets `None`. What was
/// begun by then is still taken.
pub(crate) fn each_while<R: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Option<R> + Sync,
    mut take: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (done, finished) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                work_through(next, count, |number| {
                    let result = work(number);
                    let sent = result.map(|result| done.send((number, result)));
                    match sent {
                        Some(Ok(())) => ControlFlow::Continue(()),
                        // Enough, or nobody takes it.
                        Some(Err(_)) | None => ControlFlow::Break(()),
                    }
                });
            });
        }
        drop(done);
        for (number, result) in finished {
            take(number, result);
        }
    });
}

/// Results for each thread that may be there and not taken yet: what comes early waits for what is before it, and a
/// thousand of them would be held otherwise.
const AHEAD: usize = 2;

/// What threads that work in order share.
struct Line<R> {
    /// The number that is begun next.
    next: usize,
    /// How many results were taken.
    taken: usize,
    done: BTreeMap<usize, R>,
    /// Nothing more is wanted, or a thread has panicked.
    ended: bool,
}

/// Does `work` for each number below `count`, on so many threads; `take` gets the results in this thread, in the order
/// of their numbers, until it fails. Few of them are held at once.
///
/// # Errors
/// That of `take`.
pub(crate) fn in_order<R: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> R + Sync,
    mut take: impl FnMut(usize, R) -> io::Result<()>,
) -> io::Result<()> {
    let threads = threads.clamp(1, count.max(1));
    if threads == 1 {
        return (0..count).try_for_each(|number| take(number, work(number)));
    }
    let line = Mutex::new(Line {
        next: 0,
        taken: 0,
        done: BTreeMap::new(),
        ended: false,
    });
    let moved = Condvar::new();
    let begin = || {
        let mut line = lock(&line);
        while !line.ended && line.next < count && line.next >= line.taken + AHEAD * threads {
            line = moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
        let number = line.next;
        line.next += 1;
        (!line.ended && number < count).then_some(number)
    };
    let next_result = |number: usize| {
        let mut line = lock(&line);
        loop {
            if let Some(result) = line.done.remove(&number) {
                line.taken = number + 1;
                return Some(result);
            }
            if line.ended {
                return None;
            }
            line = moved.wait(line).unwrap_or_else(PoisonError::into_inner);
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let on_panic = EndsOnPanic(|| {
                    lock(&line).ended = true;
                    moved.notify_all();
                });
                while let Some(number) = begin() {
                    let result = work(number);
                    lock(&line).done.insert(number, result);
                    moved.notify_all();
                }
                drop(on_panic);
            });
        }
        let mut taken = Ok(());
        for number in 0..count {
            // A panic of a thread is this one's as soon as all of them have ended.
            let Some(result) = next_result(number) else {
                break;
            };
            moved.notify_all();
            taken = take(number, result);
            if taken.is_err() {
                break;
            }
        }
        lock(&line).ended = true;
        moved.notify_all();
        taken
    })
}

/// Tells those who wait that nothing comes any more.
struct EndsOnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for EndsOnPanic<F> {
    fn drop(&mut self) {
        if thread::panicking() {
            (self.0)();
        }
    }
}

/// Begins `work` for each number below `count` on so many threads, and waits for none of them: they end by
/// themselves, or with the process. A thread that is told to break does no more.
///
/// # Errors
/// That a thread cannot be started.
pub(crate) fn unattended(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> ControlFlow<()> + Send + Sync + 'static,
) -> io::Result<()> {
    let shared = Arc::new((AtomicUsize::new(0), work));
    for _ in 0..threads.clamp(1, count.max(1)) {
        let shared = Arc::clone(&shared);
        thread::Builder::new().spawn(move || {
            let (next, work) = &*shared;
            work_through(next, count, work);
        })?;
    }
    Ok(())
}

/// Locks a mutex, also after a panic of another holder: one drill that panics is no reason to lose what the
/// others say.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What each of the threads does.
fn work_through(next: &AtomicUsize, count: usize, work: impl Fn(usize) -> ControlFlow<()>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= count || work(number).is_break() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_done_once_however_many_threads_there_are() {
        for threads in [0, 1, 3, 100] {
            let mut squares = vec![0; 20];
            each_while(
                20,
                threads,
                |number| Some(number * number),
                |number, square| {
                    squares[number] += square;
                },
            );
            let expected: Vec<usize> = (0..20).map(|number| number * number).collect();
            assert_eq!(squares, expected, "{threads}");
        }
        each_while(
            0,
            4,
            |_| -> Option<()> { panic!("nothing is to be done") },
            |_, ()| {},
        );
    }

    #[test]
    fn what_is_not_wanted_any_more_is_not_done() {
        let begun = AtomicUsize::new(0);
        let mut taken = Vec::new();
        let work = |number| {
            begun.fetch_add(1, Ordering::Relaxed);
            (number < 5).then_some(())
        };
        each_while(1_000_000, 2, work, |number, ()| taken.push(number));
        taken.sort_unstable();
        assert_eq!(taken, [0, 1, 2, 3, 4]);
        assert_eq!(begun.into_inner(), 7, "each thread asks once more");
    }

    #[test]
    fn results_are_taken_in_their_order_and_few_are_held() {
        for threads in [1, 2, 7] {
            let (begun, held) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let mut taken = Vec::new();
            let work = |number: usize| {
                begun.fetch_add(1, Ordering::Relaxed);
                held.fetch_add(1, Ordering::Relaxed);
                // The first is the last to come.
                while number == 0 && threads > 1 && begun.load(Ordering::Relaxed) < AHEAD * threads
                {
                    thread::yield_now();
                }
                number
            };
            let take = |number: usize, result: usize| {
                assert_eq!(number, result);
                assert!(held.fetch_sub(1, Ordering::Relaxed) <= AHEAD * threads + 1);
                taken.push(result);
                Ok(())
            };
            in_order(50, threads, work, take).expect("taken");
            assert!(taken.into_iter().eq(0..50), "{threads}");
        }
    }

    #[test]
    fn what_cannot_be_taken_ends_the_work_and_so_does_a_panic() {
        for threads in [1, 3] {
            let begun = AtomicUsize::new(0);
            let work = |_| begun.fetch_add(1, Ordering::Relaxed);
            let take = |number, _| match number {
                5 => Err(io::Error::other("full")),
                _ => Ok(()),
            };
            let ended = in_order(1_000_000, threads, work, take);
            assert_eq!(ended.expect_err("full").to_string(), "full");
            assert!(begun.into_inner() <= 6 + (AHEAD + 1) * threads);
        }
        let panicked = std::panic::catch_unwind(|| {
            let work = |number| assert!(number != 5, "the fifth");
            in_order(100, 2, work, |_, ()| Ok(()))
        });
        assert!(panicked.is_err());
    }

    #[test]
    fn work_that_nobody_waits_for_is_done_all_the_same() {
        let (tell, told) = mpsc::channel();
        let work = move |number| match tell.send(number) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        unattended(20, 3, work).expect("threads");
        // The channel ends when the last thread does.
        let mut told: Vec<usize> = told.iter().collect();
        told.sort_unstable();
        assert!(told.into_iter().eq(0..20));
    }
}
