//! On what a lab runs: on the caller's runtime, or on a thread and a runtime of its own.
//!
//! A lab with sockets of loopback has a thread of its own, so that it answers whatever its caller does: a
//! sender that blocks its thread, a test without a runtime, a runtime that is none of tokio's, a paused
//! clock. The memory network shares the virtual clock of the caller's runtime, and a private network the
//! thread that is in it.

use std::{
    future::Future,
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::Duration,
};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    task::JoinSet,
};

/// What serves a lab; dropping it stops everything, and joins the thread if there is one.
pub(super) enum Serving {
    /// Tasks of the caller's runtime. The set aborts them when it is dropped, and with them go sockets
    /// and sessions.
    Here(JoinSet<()>),
    Thread(OwnThread),
}

/// The thread of a lab, which ends when this is dropped.
pub(super) struct OwnThread {
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl OwnThread {
    /// Starts a thread with a runtime, lets `start` set things up there, and serves what it returns until
    /// this is dropped.
    ///
    /// # Errors
    /// When there is no thread or no runtime, or what `start` says.
    pub(super) async fn start<T, E, F>(
        start: impl FnOnce() -> F + Send + 'static,
    ) -> Result<(T, Self), E>
    where
        T: Send + 'static,
        E: From<io::Error> + Send + 'static,
        F: Future<Output = Result<(T, JoinSet<()>), E>>,
    {
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => return drop(ready.send(Err(E::from(error)))),
            };
            let handle = runtime.handle().clone();
            runtime.block_on(async {
                match start().await {
                    Ok((made, tasks)) => {
                        // A caller that went away meanwhile wants no lab.
                        if ready.send(Ok((made, handle))).is_ok() {
                            drop(stopped.await);
                        }
                        drop(tasks);
                    }
                    Err(error) => drop(ready.send(Err(error))),
                }
            });
        };
        let thread = thread::Builder::new().name("lab".to_owned()).spawn(serve)?;
        let ended = || E::from(io::Error::other("the thread of the lab ended"));
        let (made, runtime) = started.await.map_err(|_| ended())??;
        let own = Self {
            runtime,
            stop: Some(stop),
            thread: Some(thread),
        };
        Ok((made, own))
    }

    /// Whether the thread has ended, which only a panic can be the reason of.
    fn has_ended(&self) -> bool {
        self.thread
            .as_ref()
            .is_none_or(thread::JoinHandle::is_finished)
    }
}

impl Drop for OwnThread {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.send(()).ok();
        }
        if let Some(thread) = self.thread.take() {
            // A panic was told where it happened.
            drop(thread.join());
        }
    }
}

impl Serving {
    /// Returns after so much of the lab's time, whatever runtime this is called on.
    pub(super) async fn sleep(&self, time: Duration) {
        match self {
            Self::Here(_) => tokio::time::sleep(time).await,
            Self::Thread(own) => {
                // It is aborted when nobody waits for it any more.
                let mut timer = JoinSet::new();
                let sleep = async move { tokio::time::sleep(time).await };
                timer.spawn_on(sleep, &own.runtime);
                drop(timer.join_next().await);
            }
        }
    }

    /// Does something on the lab's own runtime, if it has one.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        match self {
            Self::Here(_) => work.await,
            Self::Thread(own) => {
                let mut task = JoinSet::new();
                task.spawn_on(work, &own.runtime);
                let done = task.join_next().await;
                done.map_or_else(
                    || Err(io::Error::other("the thread of the lab ended")),
                    |done| done.map_err(io::Error::other)?,
                )
            }
        }
    }

    /// Whether it cannot serve, from where this is asked.
    pub(super) fn has_ended(&self) -> bool {
        match self {
            Self::Here(_) => Handle::try_current().is_err(),
            Self::Thread(own) => own.has_ended(),
        }
    }

    /// Stops everything, and returns when it has stopped.
    pub(super) async fn stop(self) {
        match self {
            Self::Here(mut tasks) => tasks.shutdown().await,
            // It is joined on drop, which takes no time to speak of: nothing there blocks.
            Self::Thread(own) => drop(own),
        }
    }
}

/// Waits for a future on this thread, which sleeps until it is woken.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unparks(Thread);
    impl Wake for Unparks {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unparks(thread::current())));
    let mut context = Context::from_waker(&waker);
    // Inside a task of tokio's, a future that has come far enough is to make room for others and is woken once
    // the task has: it never would, since the task is what waits here.
    let mut future = pin!(tokio::task::unconstrained(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(done) => return done,
            Poll::Pending => thread::park(),
        }
    }
}
