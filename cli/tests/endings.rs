//! How the command ends: asked by a signal, left by who read it, with a disk that is full.

mod hangup;

use std::{
    fs::{self, File, OpenOptions},
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::{Duration, Instant},
};

use tempfile::TempDir;

const DRILL: &str = r#"summary = "it takes mail"
zone = """
$ORIGIN example.test.
@   IN MX 10 mx1
mx1 IN A 192.0.2.1
"""
messages = [{ id = "m1", to = "alice@example.test" }]
[expect]
delivered = 1
"#;

/// How long anything may take that has to come.
const DEADLINE: Duration = Duration::from_secs(30);

struct EndingDesk(TempDir);

impl EndingDesk {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("drill.toml"), DRILL).expect("written");
        Self(folder)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mxdrill"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .stdin(Stdio::null());
        command
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).expect("written");
    }
}

/// Whether this system has the commands that need a private network.
const PRIVATE_NETWORK: bool = cfg!(all(target_os = "linux", feature = "private-network"));

/// Whether exchangers can have addresses of their own here: many systems have 127.0.0.1 alone.
fn has_addresses() -> bool {
    std::net::TcpListener::bind("127.25.0.1:0").is_ok()
}

fn full() -> File {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .expect("a full device")
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", name, &id]).status();
    assert!(sent.expect("kill runs").success());
}

/// How it ended, if it did in time.
fn ended(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().expect("its own child").is_none() {
        if begun.elapsed() > DEADLINE {
            child.kill().expect("killed");
            panic!("it did not end");
        }
        std::thread::yield_now();
    }
    child.wait_with_output().expect("its own child")
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs /dev/full")]
fn a_full_disk_is_told_and_no_success() {
    let desk = EndingDesk::new();
    for arguments in [
        &["run", "drill.toml"][..],
        &["run", "drill.toml", "--format", "json"],
        &["run", "drill.toml", "--format", "junit"],
        &["check", "drill.toml"],
        &["plan", "drill.toml"],
        &["lint", "--checks"],
        &["lint", "drill.toml"],
        &["lint", "drill.toml", "--format", "sarif"],
        &["lint", "drill.toml", "--format", "junit"],
        &["rehearse", "drill.toml"],
        &["fuzz", "--cases", "1"],
        &["mta", "list"],
        &["up", "drill.toml"],
    ] {
        if arguments[0] == "mta" && !PRIVATE_NETWORK {
            continue;
        }
        let output = desk
            .command(arguments)
            .stdout(full())
            .output()
            .expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        let told = "mxdrill: No space left on device (os error 28)\n";
        assert!(errors.ends_with(told), "{arguments:?}: {errors}");
        // Nor where nobody can be told.
        let mut command = desk.command(arguments);
        let status = command.stdout(full()).stderr(full()).status();
        assert_eq!(status.expect("it runs").code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn who_leaves_early_gets_no_success_and_no_noise() {
    let desk = EndingDesk::new();
    for arguments in [
        &["run", "drill.toml"][..],
        &["run", "drill.toml", "--format", "json"],
        &["run", "drill.toml", "--format", "junit"],
        &["check", "drill.toml"],
        &["mta", "list"],
        &["lint", "--checks"],
    ] {
        if arguments[0] == "mta" && !PRIVATE_NETWORK {
            continue;
        }
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = desk
            .command(arguments)
            .stdout(writer)
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

/// A lab that is up, and what it said first.
fn up(desk: &EndingDesk, more: &[&str]) -> (Child, BufReader<ChildStdout>, Vec<String>) {
    up_with(desk, more, |line| line.starts_with("Ctrl-C"))
}

/// As [`up`], where what it says first ends with a line of this kind.
fn up_with(
    desk: &EndingDesk,
    more: &[&str],
    is_last: impl Fn(&str) -> bool,
) -> (Child, BufReader<ChildStdout>, Vec<String>) {
    let mut command = desk.command(&[&["up", "drill.toml"], more].concat());
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it runs");
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    let mut said = Vec::new();
    while said.last().is_none_or(|line: &String| !is_last(line)) {
        let mut line = String::new();
        let length = out.read_line(&mut line).expect("a line");
        assert!(length > 0, "{said:?}: {:?}", child.wait_with_output());
        said.push(line);
    }
    (child, out, said)
}

/// Where an exchanger listens.
fn listens(said: &[String], host: &str) -> String {
    let line = said.iter().find(|line| line.contains(host));
    let line = line.expect("the exchanger is told of");
    line.split_whitespace()
        .nth(1)
        .expect("an address")
        .to_owned()
}

/// Where the first exchanger listens, as a program is told.
fn json_listens(line: &str) -> String {
    let up: serde_json::Value = serde_json::from_str(line).expect("JSON");
    let listens = up["receivers"][0]["listens"].as_str();
    listens.expect("an address").to_owned()
}

/// A session that writes some lines of log.
fn talk(to: &str, commands: usize) {
    let stream = TcpStream::connect(to).expect("connected");
    stream.set_read_timeout(Some(DEADLINE)).expect("set");
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).expect("a greeting");
    for _ in 0..commands {
        stream
            .get_mut()
            .write_all(b"MAIL FROM:<>\r\n")
            .expect("sent");
        line.clear();
        stream.read_line(&mut line).expect("a reply");
        assert!(line.starts_with('5') || line.starts_with('4'), "{line}");
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs signals")]
fn a_lab_stays_up_when_nobody_reads_and_ends_when_it_is_asked_to() {
    let desk = EndingDesk::new();
    for (closes, name) in [
        (true, "INT"),
        (false, "INT"),
        (true, "TERM"),
        (false, "HUP"),
    ] {
        if name == "HUP" && hangup::is_ignored() {
            continue;
        }
        let (child, out, said) = up(&desk, &[]);
        let at = listens(&said, "mx1.example.test");
        let out = (!closes).then_some(out);
        // More than a pipe holds.
        for _ in 0..40 {
            talk(&at, 50);
        }
        signal(&child, name);
        let output = ended(child);
        assert_eq!(output.status.code(), Some(0), "{name} {output:?}");
        drop(out);
    }
}

/// What a client says must not reach the terminal of who watches.
#[test]
#[cfg_attr(not(unix), ignore = "needs signals")]
fn a_log_shows_what_is_active_and_does_not_obey_it() {
    let desk = EndingDesk::new();
    for format in ["text", "json"] {
        let (child, mut out, said) = up_with(&desk, &["--format", format], |line| {
            line.starts_with("Ctrl-C") || line.contains(r#""event":"up""#)
        });
        let at = match format {
            "json" => json_listens(&said[0]),
            _ => listens(&said, "mx1.example.test"),
        };
        let mut stream = TcpStream::connect(&at).expect("connected");
        let line = "EHLO a\u{1b}[31m\u{9b}2J\u{202e}\r\nEHLO b\u{202e}\r\nQUIT\r\n";
        stream.write_all(line.as_bytes()).expect("sent");
        stream.read_to_end(&mut Vec::new()).expect("replies");
        signal(&child, "INT");
        let mut log = String::new();
        out.read_to_string(&mut log).expect("text");
        ended(child);
        assert!(log.contains("202e"), "{log}");
        assert!(!log.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{log:?}");
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs signals")]
fn a_lab_is_where_it_was_and_where_it_is_put() {
    let desk = EndingDesk::new();
    let host = |more: &[&str]| {
        let (child, mut out, said) = up(&desk, more);
        signal(&child, "INT");
        let output = ended(child);
        let mut rest = String::new();
        out.read_to_string(&mut rest).expect("text");
        assert!(rest.contains("stopped"), "{rest} {output:?}");
        let at = listens(&said, "mx1.example.test");
        at.split(':').next().expect("an address").to_owned()
    };
    assert_eq!(host(&[]), host(&[]));
    let put = match has_addresses() {
        true => "127.77.3.1",
        false => "127.0.0.1",
    };
    assert_eq!(host(&["--bind", "127.77.3.0"]), put);
    let refused = desk
        .command(&["up", "drill.toml", "--bind", "0.0.0.0"])
        .output();
    assert_eq!(refused.expect("it runs").status.code(), Some(2));
}

#[test]
#[cfg_attr(not(unix), ignore = "needs signals")]
fn a_run_that_is_interrupted_says_what_it_has() {
    let desk = EndingDesk::new();
    desk.write("a.toml", DRILL);
    // One that waits for a server that says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    silent.set_nonblocking(true).expect("set");
    let address = silent.local_addr().expect("an address");
    let engine = format!("receivers = [{{ upstream = \"{address}\" }}]\n");
    desk.write(
        "b.toml",
        &DRILL.replacen("zone", &format!("{engine}zone"), 1),
    );
    for name in ["INT", "TERM", "HUP"] {
        if name == "HUP" && hangup::is_ignored() {
            continue;
        }
        let mut child = desk
            .command(&["run", "a.toml", "b.toml", "--format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        // It has connected twice, to see whether there is a server and to use it.
        for _ in 0..2 {
            let begun = Instant::now();
            while silent.accept().is_err() {
                assert!(begun.elapsed() < DEADLINE, "nobody connected");
                std::thread::yield_now();
            }
        }
        // The other drill is played beside it, and may end later.
        let mut pipe = BufReader::new(child.stdout.take().expect("piped"));
        let mut out = String::new();
        while !out.contains(r#""event":"verdict""#) {
            assert_ne!(pipe.read_line(&mut out).expect("text"), 0, "{name}: {out}");
        }
        signal(&child, name);
        pipe.read_to_string(&mut out).expect("text");
        let output = ended(child);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{name}: {errors}");
        assert!(errors.contains("interrupted: 1 of 2"), "{name}: {errors}");
        assert!(out.contains(r#""event":"summary""#), "{name}: {out}");
    }
}

/// A fetch with programs that take their time, in place of those of the distribution.
#[test]
#[cfg_attr(
    not(all(target_os = "linux", feature = "private-network")),
    ignore = "needs Linux, and the feature private-network"
)]
fn a_fetch_that_is_interrupted_leaves_nothing() {
    let desk = EndingDesk::new();
    let programs = desk.0.path().join("bin");
    fs::create_dir(&programs).expect("made");
    let apt = programs.join("apt-get");
    let begun = desk.0.path().join("begun");
    let script = format!("#!/bin/sh\necho $$ > {}\nsleep 1000\n", begun.display());
    fs::write(&apt, script).expect("written");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(&apt, fs::Permissions::from_mode(0o755)).expect("opened");
    }
    let path = std::env::var("PATH").expect("a path");
    for name in ["INT", "TERM"] {
        let child = desk
            .command(&["mta", "get", "exim"])
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("MXDRILL_CACHE", desk.0.path().join("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it runs");
        let started = Instant::now();
        let fetching = loop {
            let said = fs::read_to_string(&begun).unwrap_or_default();
            if said.ends_with('\n') {
                break said.trim().to_owned();
            }
            assert!(started.elapsed() < DEADLINE, "it did not begin");
            std::thread::yield_now();
        };
        signal(&child, name);
        assert_eq!(ended(child).status.code(), Some(2));
        fs::remove_file(&begun).expect("removed");
        let left = fs::read_dir(desk.0.path().join("cache/mta")).expect("a folder");
        assert_eq!(left.count(), 0);
        let process = std::path::Path::new("/proc").join(fetching);
        while process.exists() {
            assert!(started.elapsed() < DEADLINE, "its program is still there");
            std::thread::yield_now();
        }
    }
}

#[test]
#[cfg_attr(not(unix), ignore = "needs signals")]
fn exchangers_are_told_apart_by_ports_of_one_address_where_that_is_asked_for() {
    let desk = EndingDesk::new();
    for (bind, of_one) in [("127.0.0.1:0", true), ("127.25.0.0", !has_addresses())] {
        let (child, _out, said) = up(&desk, &["--bind", bind]);
        // What was not asked for is told.
        let told = said.iter().any(|line| line.contains("cannot be had here"));
        assert_eq!(told, of_one && !bind.contains(':'), "{bind}: {said:?}");
        let exchangers = said.iter().filter(|line| line.starts_with("SMTP"));
        let sockets = exchangers.map(|line| line.split_whitespace().nth(1).expect("an address"));
        let sockets: Vec<(&str, &str)> = sockets
            .map(|socket| socket.split_once(':').expect("a port"))
            .collect();
        assert!(sockets.len() > 1, "{said:?}");
        let (address, port) = sockets[0];
        for (index, other) in sockets.iter().enumerate().skip(1) {
            let same = (address == other.0, port == other.1);
            assert_eq!(same, (of_one, !of_one), "{index}: {said:?}");
        }
        assert_eq!(address == "127.0.0.1", of_one, "{said:?}");
        for (address, port) in &sockets {
            talk(&format!("{address}:{port}"), 1);
        }
        signal(&child, "TERM");
        assert_eq!(ended(child).status.code(), Some(0));
    }
}

/// The name server reads nothing while its process is stopped, and the kernel keeps no more than there is room for.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "only Linux tells what it drops")]
fn questions_that_the_kernel_dropped_are_told_once_and_counted_at_the_end() {
    if !PRIVATE_NETWORK {
        return;
    }
    let desk = EndingDesk::new();
    let (mut child, out, said) = up_with(&desk, &["--format", "json"], |line| {
        line.contains(r#""event":"up""#)
    });
    let told: serde_json::Value = serde_json::from_str(&said[0]).expect("JSON");
    let resolver = told["dns"].as_str().expect("an address").to_owned();
    // The log is of no interest, and must not stand in the way.
    let reader = std::thread::spawn(move || out.lines().for_each(drop));
    signal(&child, "STOP");
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..200_000 {
        // An empty header is a question as much as any for the kernel.
        socket.send_to(&[0; 12], &resolver).expect("sent");
    }
    signal(&child, "CONT");
    let mut errors = BufReader::new(child.stderr.take().expect("piped"));
    let mut line = String::new();
    errors.read_line(&mut line).expect("read");
    assert!(line.contains("were lost before it saw them"), "{line}");
    signal(&child, "TERM");
    let mut rest = String::new();
    errors.read_to_string(&mut rest).expect("read");
    assert_eq!(rest.matches("were lost in all").count(), 1, "{rest}");
    assert!(!rest.contains("before it saw them"), "{rest}");
    assert!(child.wait().expect("it ends").success());
    reader.join().expect("read to its end");
}
