//! Work done by several threads: each takes the next number as it is free.
//!
//! A number is begun once a thread is free, in order: what comes late in a long list waits for no particular
//! one before it. What is done with the results is the caller's.

use std::{
    io,
    num::NonZero,
    ops::ControlFlow,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
