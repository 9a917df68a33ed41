//! Lines written by a thread of their own, so that a reader who reads nothing holds up nobody else.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use tokio::sync::watch;

/// Octets that may wait to be written: 16 MiB. What comes beyond is dropped, and at the end it is
/// said how much.
const MOST_WAITING: usize = 16 * 1024 * 1024;
/// How long the end may take to write what waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// Standard output, without the lock that a thread would hold that is stuck in writing.
///
/// # Errors
/// When no file more may be open.
pub(crate) fn standard_output() -> io::Result<impl Write + Send + 'static> {
    #[cfg(unix)]
    {
        use std::os::fd::AsFd;
        io::stdout()
            .as_fd()
            .try_clone_to_owned()
            .map(std::fs::File::from)
    }
    #[cfg(not(unix))]
    Ok(io::stdout())
}

/// Why something could not be written, as the system said it.
struct WriteFailure(io::ErrorKind, String);

/// Hands what is to be written to a thread.
pub(crate) struct Writer {
    pieces: mpsc::Sender<Vec<u8>>,
    waiting: Arc<AtomicUsize>,
    dropped: usize,
    /// What failed, once something has.
    failed: watch::Receiver<Option<WriteFailure>>,
    done: mpsc::Receiver<()>,
}

impl Writer {
    /// Begins to write.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(crate) fn start(mut out: impl Write + Send + 'static) -> io::Result<Self> {
        let (pieces, arrived) = mpsc::channel::<Vec<u8>>();
        let (tell, failed) = watch::channel(None);
        let (end, done) = mpsc::channel();
        let waiting = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&waiting);
        thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || {
                for piece in arrived {
                    // After a failure what comes is passed over.
                    if tell.borrow().is_none()
                        && let Err(error) = out.write_all(&piece).and_then(|()| out.flush())
                    {
                        tell.send_replace(Some(WriteFailure(error.kind(), error.to_string())));
                    }
                    left.fetch_sub(piece.len(), Ordering::Relaxed);
                }
                // Whoever waited may be gone.
                end.send(()).ok();
            })?;
        Ok(Self {
            pieces,
            waiting,
            dropped: 0,
            failed,
            done,
        })
    }

    /// Writes lines, unless too many wait already.
    pub(crate) fn write(&mut self, lines: Vec<u8>) {
        let waiting = self.waiting.load(Ordering::Relaxed);
        if waiting + lines.len() > MOST_WAITING {
            self.dropped += lines.split(|octet| *octet == b'\n').count() - 1;
            return;
        }
        self.waiting.fetch_add(lines.len(), Ordering::Relaxed);
        // The thread takes pieces for as long as there is somebody to send them.
        self.pieces.send(lines).ok();
    }

    /// Waits until nothing can be written for another reason than that nobody reads: what that is.
    pub(crate) async fn fails(&self) -> io::Error {
        let mut failed = self.failed.clone();
        let bad = |failed: &Option<WriteFailure>| {
            !matches!(
                failed,
                None | Some(WriteFailure(io::ErrorKind::BrokenPipe, _))
            )
        };
        match failed.wait_for(bad).await.as_deref() {
            Ok(Some(WriteFailure(kind, why))) => io::Error::new(*kind, why.clone()),
            Ok(None) => io::ErrorKind::Other.into(),
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits a moment until all is written; how many lines were dropped.
    pub(crate) fn finish(self) -> usize {
        drop(self.pieces);
        // What is not written by then nobody reads.
        self.done.recv_timeout(PATIENCE).ok();
        self.dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Somebody who never reads.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn who_reads_nothing_holds_nobody_up_and_takes_no_endless_memory() {
        let (free, stuck) = mpsc::channel();
        let mut writer = Writer::start(Stuck(stuck)).expect("a thread");
        for _ in 0..64 {
            writer.write(vec![b'\n'; 1024 * 1024]);
        }
        assert!(writer.waiting.load(Ordering::Relaxed) <= MOST_WAITING);
        drop(free);
        assert_eq!(writer.finish(), 48 * 1024 * 1024);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_and_a_reader_that_left_is_not() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::Error::new(
                    io::ErrorKind::StorageFull,
                    "the disk is full",
                ))
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writer = Writer::start(Full).expect("a thread");
        writer.write(b"line\n".to_vec());
        let told = writer.fails().await;
        assert_eq!(told.kind(), io::ErrorKind::StorageFull);
        assert_eq!(told.to_string(), "the disk is full");
    }
}
