//! A client of a lab's receivers that follows a script, on both networks in the process.

use std::{sync::Arc, time::Duration};

use mxdrill::{
    lab::{Lab, NetworkKind},
    scenario::Scenario,
};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

pub(crate) const ZONE: &str =
    "$ORIGIN example.test.\n@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 192.0.2.2\n";

pub(crate) fn scenario(rows: &str) -> Arc<Scenario> {
    let text = format!(
        "summary = 's'\nzone = '''\n{ZONE}'''\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n{rows}"
    );
    Arc::new(Scenario::parse("s.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

/// A client's sessions, and the one that it is in.
pub(crate) struct Client<'l> {
    lab: &'l Lab,
    sessions: Vec<BufReader<mxdrill::stream::Stream>>,
}

impl<'l> Client<'l> {
    pub(crate) fn of(lab: &'l Lab) -> Self {
        let sessions = Vec::new();
        Self { lab, sessions }
    }

    /// Carries out one step: `connect` or `connect mx2` (a further session), `wait 5m`, `mail`, `rcpt NAME`,
    /// `content N` (DATA and so many octets), `leave` (after QUIT), or a command as it is. The code
    /// of the reply; 0 where the session has ended, 1 where nothing comes, 2 where nothing is asked.
    pub(crate) async fn step(&mut self, step: &str) -> u16 {
        let (verb, rest) = step.split_once(' ').unwrap_or((step, ""));
        let line = match verb {
            "connect" => {
                let last = if rest == "mx2" { 2 } else { 1 };
                let connected = self
                    .lab
                    .connect([192, 0, 2, last].into(), self.lab.smtp_port());
                let stream = connected.await.expect("a connection");
                self.sessions.push(BufReader::new(stream));
                return self.reply().await;
            }
            "wait" => {
                let wait: mxdrill::time::HumanDuration = rest.parse().expect("a duration");
                tokio::time::sleep(wait.0).await;
                return 2;
            }
            "leave" => {
                // The receiver closes, and has counted it out by then.
                let end = self.reply().await;
                self.sessions.pop();
                return end;
            }
            "mail" => "MAIL FROM:<a@c.test>".to_owned(),
            "rcpt" => format!("RCPT TO:<{rest}@example.test>"),
            "content" => {
                assert_eq!(self.say("DATA").await, 354);
                let octets: usize = rest.parse().expect("a number");
                let line = format!("{}\r\n", "x".repeat(98));
                format!("{}.", line.repeat(octets / line.len()))
            }
            _ => step.to_owned(),
        };
        self.say(&line).await
    }

    async fn say(&mut self, line: &str) -> u16 {
        let patience = self.patience();
        let session = self.sessions.last_mut().expect("a session");
        let line = format!("{line}\r\n");
        // What the receiver said before it closed can be read all the same.
        let written = session.write_all(line.as_bytes());
        match tokio::time::timeout(patience, written).await {
            Ok(_) => self.reply().await,
            Err(_) => 1,
        }
    }

    async fn reply(&mut self) -> u16 {
        let patience = self.patience();
        let session = self.sessions.last_mut().expect("a session");
        loop {
            let mut line = String::new();
            let read = session.read_line(&mut line);
            match tokio::time::timeout(patience, read).await {
                Err(_) => return 1,
                Ok(Ok(1..)) => {}
                Ok(_) => return 0,
            }
            if line.as_bytes().get(3) != Some(&b'-') {
                return line[..3].parse().expect("a code");
            }
        }
    }

    /// How long it waits: real time is not for waiting in vain.
    fn patience(&self) -> Duration {
        let is_real = self.lab.endpoints()[0].listens.ip().is_loopback();
        Duration::from_secs(if is_real { 10 } else { 20 * 60 })
    }
}

/// The codes of the replies to steps.
async fn played(network: NetworkKind, rows: &str, steps: &[&str]) -> Vec<u16> {
    let lab = Lab::start(scenario(rows), network).await.expect("a lab");
    let mut client = Client::of(&lab);
    let mut codes = Vec::new();
    for step in steps {
        codes.push(client.step(step).await);
    }
    drop(client);
    lab.stop().await;
    codes
}

fn in_memory(rows: &str, steps: &[&str]) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(played(NetworkKind::Memory, rows, steps))
}

fn on_loopback(rows: &str, steps: &[&str]) -> Vec<u16> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(played(NetworkKind::Loopback, rows, steps))
}

/// Plays steps where nothing waits, on both networks.
#[track_caller]
pub(crate) fn on_both(rows: &str, steps: &[&str], expected: &[u16]) {
    assert_eq!(in_memory(rows, steps), expected, "in memory");
    assert_eq!(on_loopback(rows, steps), expected, "on loopback");
}

/// Plays steps that take time, where time is virtual.
#[track_caller]
pub(crate) fn over_time(rows: &str, steps: &[&str], expected: &[u16]) {
    assert_eq!(in_memory(rows, steps), expected);
}
