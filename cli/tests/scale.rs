//! Very many sessions at one lab.

#[path = "../../tests/sessions/mod.rs"]
mod sessions;

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    thread,
};

use serde_json::Value;
use sessions::{allows, expect, greeted};
use tokio::{io::AsyncWriteExt, task::JoinSet};

const SCENARIO: &str = "summary = 's'\nzone = \"\"\"\n$ORIGIN example.test.\n@ 300 IN MX 10 mx1\nmx1 300 IN A 192.0.2.1\n\"\"\"\n\
    messages = [{ id = 'm', to = 'alice@example.test' }]\n";

/// Sessions held open at once.
const SESSIONS: u32 = 10_000;
/// Files beside the sessions.
const OTHER_FILES: u32 = 100;

#[tokio::test]
async fn ten_thousand_sessions_are_held_open_at_once() {
    if !allows(SESSIONS + OTHER_FILES) {
        eprintln!("skipped: no {SESSIONS} files may be open at once here");
        return;
    }
    let (_up, address) = ProcessUp::new();
    let mut open = Vec::new();
    while open.len() < SESSIONS as usize {
        let mut opening = JoinSet::new();
        for _ in 0..500 {
            opening.spawn(greeted(address));
        }
        for session in opening.join_all().await {
            open.push(session.expect("a greeting"));
        }
    }
    // All of them are alive, the first as much as the last.
    for session in &mut open {
        session.write_all(b"NOOP\r\n").await.expect("sent");
    }
    for session in &mut open {
        expect(session, b"250").await.expect("an answer");
    }
}

/// The command with a lab up, ended with this.
struct ProcessUp(Child);

impl Drop for ProcessUp {
    fn drop(&mut self) {
        // It may be gone already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl ProcessUp {
    fn new() -> (Self, SocketAddr) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("up.toml");
        std::fs::write(&file, SCENARIO).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .args(["up", "--format", "json"])
            .arg(&file)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let out = child.stdout.take().expect("piped");
        let up = Self(child);
        let mut lines = BufReader::new(out).lines();
        let first = lines.next().expect("a line").expect("read");
        let told: Value = serde_json::from_str(&first).expect("JSON");
        let listens = told["receivers"][0]["listens"]
            .as_str()
            .expect("an address");
        // The log is of no interest, and must not stand in the way.
        thread::spawn(move || lines.for_each(drop));
        (up, listens.parse().expect("an address"))
    }
}
