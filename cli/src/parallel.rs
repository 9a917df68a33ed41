//! Work done by several threads, and taken in as it is done.

use std::{
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

/// Does `work` for each number below `count`, on so many threads; `take` gets each result in this thread, in
/// the order in which they come.
///
/// A number is begun once a thread is free, in order: what comes late in a long list waits for no particular
/// one before it.
pub(crate) fn each<R: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> R + Sync,
    mut take: impl FnMut(usize, R),
) {
    let next = AtomicUsize::new(0);
    let (done, finished) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, count.max(1)) {
            let (done, next, work) = (done.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count || done.send((number, work(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        for (number, result) in finished {
            take(number, result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_done_once_however_many_threads_there_are() {
        for threads in [0, 1, 3, 100] {
            let mut squares = vec![0; 20];
            each(
                20,
                threads,
                |number| number * number,
                |number, square| {
                    squares[number] += square;
                },
            );
            let expected: Vec<usize> = (0..20).map(|number| number * number).collect();
            assert_eq!(squares, expected, "{threads}");
        }
        each(0, 4, |_| panic!("nothing is to be done"), |_, ()| {});
    }
}
