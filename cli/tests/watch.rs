//! `mxdrill lint --watch`: what changes is told, and a signal ends it.

#![cfg(unix)]

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long anything may take that has to come.
const DEADLINE: Duration = Duration::from_secs(60);

const ZONE: &str =
    "$ORIGIN example.test.\n$TTL 3600\n@ SOA ns h 1 2 3 4 5\n@ MX 10 mx1\nmx1 A 192.0.2.1\n";

/// Ended with the test, whatever comes of it.
struct Watch(Child);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn watched(zone: &Path, options: &[&str]) -> (Watch, mpsc::Receiver<String>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
        .args(["lint", "--watch", "100ms"])
        .args(options)
        .arg(zone)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it runs");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    let (lines, received) = mpsc::channel();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            if lines.send(line).is_err() {
                break;
            }
        }
    });
    (Watch(child), received)
}

/// Replaces a file at once, so that nobody reads half of it.
fn replace(zone: &Path, text: &str) {
    let new = zone.with_extension("new");
    fs::write(&new, text).expect("written");
    fs::rename(new, zone).expect("renamed");
}

fn wait_for(lines: &mpsc::Receiver<String>, what: &str) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let line = lines.recv_timeout(DEADLINE);
        all.push(line.unwrap_or_else(|_| panic!("no {what:?} among {all:#?}")));
        if all.last().is_some_and(|line| line.contains(what)) {
            return all;
        }
    }
}

fn ended(mut watch: Watch, signal: &str) -> Option<i32> {
    let id = watch.0.id().to_string();
    let killed = Command::new("kill").args(["-s", signal, &id]).status();
    assert!(killed.expect("it runs").success());
    watch.0.wait().expect("it ends").code()
}

#[test]
fn changes_alone_are_told_after_the_first_look() {
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("a.zone");
    fs::write(&zone, ZONE).expect("written");
    let (watch, lines) = watched(&zone, &[]);
    let first = wait_for(&lines, "Why, and what to do");
    assert!(
        first.iter().any(|line| line.contains("[spf-missing]")),
        "{first:#?}"
    );
    // A line that moves is no change, and neither is what stays as it was.
    replace(&zone, &format!("; a remark\n{ZONE}@ TXT \"v=spf1 +all\"\n"));
    let told = wait_for(&lines, "gone: ");
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(
        told[0].starts_with("new: example.test: error: ") && told[0].ends_with("[spf-plus-all]"),
        "{told:#?}"
    );
    assert!(told[1].ends_with("[spf-missing]"), "{told:#?}");
    assert_eq!(ended(watch, "TERM"), Some(1));
}

#[test]
fn a_look_that_fails_ends_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("a.zone");
    fs::write(&zone, ZONE).expect("written");
    let (watch, lines) = watched(&zone, &["--format", "json"]);
    wait_for(&lines, "not_checked");
    fs::remove_file(&zone).expect("removed");
    replace(&zone, &format!("{ZONE}@ TXT \"v=spf1 mx -all\"\n"));
    let told = wait_for(&lines, "\"gone\"");
    assert!(told[0].contains("spf-missing"), "{told:#?}");
    assert_eq!(ended(watch, "INT"), Some(0));
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("a.zone");
    fs::write(&zone, ZONE).expect("written");
    let zone = zone.display().to_string();
    for arguments in [
        &["--watch", "1h", "-"][..],
        &["--watch", "0s", &zone],
        &["--watch", "often", &zone],
        &["--watch", "1h", "--format", "sarif", &zone],
        &["--watch", "1h", "none.zone"],
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .arg("lint")
            .args(arguments)
            .stdin(Stdio::null())
            .output();
        assert_eq!(
            output.expect("it runs").status.code(),
            Some(2),
            "{arguments:?}"
        );
    }
}
