//! The command with a lab up, and requests to its API as they go over the wire.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdin, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// The command with a lab up, which ends with this.
pub(super) struct Up {
    child: Child,
    input: Option<ChildStdin>,
    pub(super) control: String,
    pub(super) told: Value,
}

/// What an answer of the API is.
pub(super) struct HttpAnswer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl HttpAnswer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    /// The reason of a problem, of this status.
    #[track_caller]
    pub(super) fn problem(&self, status: u16) -> String {
        let told = self.json();
        assert_eq!(self.status, status, "{told}");
        assert_eq!(told["status"], status);
        assert!(
            self.head.contains("application/problem+json"),
            "{}",
            self.head
        );
        told["detail"].as_str().expect("a text").to_owned()
    }
}

impl Up {
    pub(super) fn new() -> Self {
        Self::with(&[])
    }

    pub(super) fn with(more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mxdrill"))
            .args([
                "up",
                "--control",
                "127.0.0.1:0",
                "--format",
                "json",
                "--until-eof",
            ])
            .args(more)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it runs");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first = String::new();
        lines.read_line(&mut first).expect("a line");
        let told: Value = serde_json::from_str(&first).expect("JSON");
        let control = told["control"].as_str().expect("an address");
        Self {
            control: control.trim_start_matches("http://").to_owned(),
            input: child.stdin.take(),
            child,
            told,
        }
    }

    pub(super) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.control).expect("connected");
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        stream
    }

    /// Sends a request with these lines in its head, and reads the answer.
    pub(super) fn send(&self, method: &str, path: &str, lines: &[&str], body: &[u8]) -> HttpAnswer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !lines.iter().any(|line| line.starts_with("Host:")) {
            head += &format!("Host: {}\r\n", self.control);
        }
        for line in lines {
            head += &format!("{line}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", body.len());
        let mut stream = self.connect();
        stream.write_all(head.as_bytes()).expect("sent");
        // A request that is refused at its head is not read further.
        stream.write_all(body).ok();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("no answer: {read:?}"));
        let head = String::from_utf8(answer[..end].to_vec()).expect("text");
        HttpAnswer {
            status: head[9..12].parse().expect("a status"),
            body: answer[end + 4..].to_vec(),
            head: head.to_ascii_lowercase(),
        }
    }

    pub(super) fn get(&self, path: &str) -> HttpAnswer {
        self.send("GET", path, &[], b"")
    }

    /// What a request with JSON is answered with.
    pub(super) fn ask(&self, method: &str, path: &str, body: &Value) -> HttpAnswer {
        let media = ["Content-Type: application/json"];
        self.send(method, path, &media, body.to_string().as_bytes())
    }

    pub(super) fn put_up(&self, text: &str, media: &str) -> HttpAnswer {
        let media = format!("Content-Type: {media}");
        self.send("PUT", "/v1/lab", &[&media], text.as_bytes())
    }

    pub(super) fn fail(&self, host: &str, stage: &str, effect: &str) -> HttpAnswer {
        let row = json!({ "host": host, "stage": stage, "effect": effect });
        self.ask("POST", "/v1/faults", &row)
    }

    /// Where a host listens.
    pub(super) fn listens(&self, name: &str) -> String {
        let lab = self.get("/v1/lab").json();
        let mut hosts = lab["hosts"].as_array().expect("hosts").iter();
        let host = hosts.find(|host| host["names"][0] == name);
        host.expect("a host")["listens"]
            .as_str()
            .expect("an address")
            .to_owned()
    }

    /// Speaks SMTP with a host up to the first reply that is not positive, which is returned; `None` if the connection
    /// is refused.
    pub(super) fn mail(&self, host: &str, to: &str) -> Option<String> {
        let stream = TcpStream::connect(self.listens(host)).ok()?;
        stream.set_read_timeout(Some(DEADLINE)).expect("set");
        let mut replies = BufReader::new(stream.try_clone().expect("a copy"));
        let mut stream = stream;
        let rcpt = format!("RCPT TO:<{to}>");
        let content = "Subject: Hello\r\nTo: you\r\n\r\nHello\r\n.";
        let said = [
            "",
            "EHLO sender.test",
            "MAIL FROM:<sender@sender.test>",
            &rcpt,
            "DATA",
            content,
            "QUIT",
        ];
        let mut reply = String::new();
        for line in said {
            if !line.is_empty() {
                stream.write_all(format!("{line}\r\n").as_bytes()).ok()?;
            }
            loop {
                reply.clear();
                if replies.read_line(&mut reply).ok()? == 0 {
                    return None;
                }
                if reply.as_bytes().get(3) != Some(&b'-') {
                    break;
                }
            }
            if !reply.starts_with(['2', '3']) {
                break;
            }
        }
        Some(reply.trim_end().to_owned())
    }

    /// Ends it, as when whoever started it is gone.
    pub(super) fn end(mut self) -> bool {
        drop(self.input.take());
        self.child.wait().expect("ended").success()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        drop(self.input.take());
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Follows the stream after an event, once its head has come.
pub(super) fn follow(up: &Up, after: u64) -> (TcpStream, BufReader<TcpStream>) {
    let mut stream = up.connect();
    let head = format!(
        "GET /v1/events/stream HTTP/1.1\r\nHost: {}\r\nLast-Event-ID: {after}\r\n\r\n",
        up.control
    );
    stream.write_all(head.as_bytes()).expect("sent");
    let mut lines = BufReader::new(stream.try_clone().expect("a copy"));
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0);
    }
    (stream, lines)
}

/// The next lines of the stream that begin so, without that.
pub(super) fn told(lines: &mut BufReader<TcpStream>, field: &str) -> String {
    let mut line = String::new();
    let begun = Instant::now();
    loop {
        line.clear();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0);
        // One in which nothing happens says so from time to time.
        assert!(begun.elapsed() < DEADLINE, "nothing came");
        if let Some(told) = line.strip_prefix(field) {
            return told.trim_end().to_owned();
        }
    }
}
