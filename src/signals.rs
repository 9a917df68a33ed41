//! What asks a process to end: an interrupt from the terminal, TERM, and HUP where that is not ignored.

use std::io;

/// Waits until this process is asked to end, from the terminal or by others.
pub(crate) async fn interrupted() -> io::Result<()> {
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        terminated = terminated() => terminated,
    }
}

/// Waits until this process is asked to end by TERM or HUP.
#[cfg(unix)]
pub(crate) async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    if ignores_hangup() {
        terminate.recv().await;
        return Ok(());
    }
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
    Ok(())
}

/// Elsewhere there is no such thing.
#[cfg(not(unix))]
pub(crate) async fn terminated() -> io::Result<()> {
    std::future::pending().await
}

/// Whether this process was started to go on when its terminal goes, as nohup does it.
#[cfg(unix)]
fn ignores_hangup() -> bool {
    const HUP: u64 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & HUP != 0)
}

/// Kills every process that this one started, and those that they started.
#[cfg(target_os = "linux")]
pub(crate) fn kill_descendants() {
    use nix::{
        sys::signal::{Signal, kill},
        unistd::Pid,
    };
    for process in descendants(std::process::id()) {
        // It may have ended by itself.
        kill(Pid::from_raw(process), Signal::SIGKILL).unwrap_or_default();
    }
}

/// The processes that one started, and those that they started.
#[cfg(target_os = "linux")]
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
