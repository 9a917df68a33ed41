//! What asks a process to end: an interrupt from the terminal, TERM, QUIT, and HUP where that is not ignored.
//!
//! A command that is asked to end does so by itself, so that what it has found by then is reported and
//! nothing is left behind.

use std::{future::poll_fn, io, pin::Pin, task::Poll, thread};

/// Does something, in a thread of its own, when this process is asked to end.
///
/// # Errors
/// That the system does not let it listen.
pub(crate) fn when_asked_to_end(act: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let runtime = crate::runtime::of_this_thread()?;
    let interrupted = runtime.block_on(listen())?;
    thread::Builder::new().spawn(move || {
        if runtime.block_on(interrupted).is_ok() {
            act();
        }
    })?;
    Ok(())
}

/// Ends when this process is asked to end.
pub(crate) type Interrupted = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// Listens from now on for what asks this process to end, from the terminal or by others.
///
/// # Errors
/// That the system does not let it listen.
pub(crate) async fn listen() -> io::Result<Interrupted> {
    let mut interrupted: Interrupted = Box::pin(interrupted());
    // Only a future that was begun listens.
    match poll_fn(|context| Poll::Ready(interrupted.as_mut().poll(context))).await {
        Poll::Pending => Ok(interrupted),
        Poll::Ready(ended) => ended.map(|()| Box::pin(std::future::ready(Ok(()))) as Interrupted),
    }
}

/// Waits until this process is asked to end.
pub(crate) async fn interrupted() -> io::Result<()> {
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        terminated = terminated() => terminated,
    }
}

/// Waits until this process is asked to end by TERM, QUIT or HUP.
#[cfg(unix)]
pub(crate) async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut quit = signal(SignalKind::quit())?;
    let hung_up = async {
        if ignores_hangup() {
            return std::future::pending().await;
        }
        signal(SignalKind::hangup())?.recv().await;
        Ok(())
    };
    tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = quit.recv() => Ok(()),
        hung_up = hung_up => hung_up,
    }
}

/// Waits until this process is asked to end by Ctrl-Break, or because its window is closed or the system shut down.
#[cfg(windows)]
pub(crate) async fn terminated() -> io::Result<()> {
    use tokio::signal::windows::{ctrl_break, ctrl_close, ctrl_shutdown};
    let (mut breaks, mut closed, mut shut_down) = (ctrl_break()?, ctrl_close()?, ctrl_shutdown()?);
    tokio::select! {
        _ = breaks.recv() => Ok(()),
        _ = closed.recv() => Ok(()),
        _ = shut_down.recv() => Ok(()),
    }
}

/// Whether this process was started to go on when its terminal goes, as nohup does it.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn ignores_hangup() -> bool {
    const HUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HUP != 0)
}

/// Whether this process was started to go on when its terminal goes, as nohup does it. What it ignores is ignored by
/// a process that it starts: one that survives the signal says so.
#[cfg(all(unix, not(all(target_os = "linux", feature = "private-network"))))]
fn ignores_hangup() -> bool {
    use std::process::{Command, Stdio};
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -s HUP $$"]);
    let shell = shell.stdin(Stdio::null()).stdout(Stdio::null());
    let ended = shell.stderr(Stdio::null()).status();
    ended.is_ok_and(|status| status.success())
}

/// Kills every process that this one started, and those that they started: drills have processes of
/// their own.
#[cfg(all(target_os = "linux", feature = "private-network"))]
pub(crate) fn kill_descendants() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    for process in descendants(std::process::id()) {
        // It may have ended by itself.
        kill(Pid::from_raw(process), Signal::SIGKILL).ok();
    }
}

/// The processes that one started, and those that they started.
#[cfg(all(target_os = "linux", feature = "private-network"))]
fn descendants(of: u32) -> Vec<i32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{of}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for thread in threads.flatten() {
        let children = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|id| id.parse().ok()) {
            found.push(child);
            found.extend(u32::try_from(child).into_iter().flat_map(descendants));
        }
    }
    found
}
