//! Receivers under load: their rate beside that of mailin-embedded and of smtp-sink, and how it grows with sessions.
//!
//! Two figures are told. The rate is messages by the clock: clients and server share the machine, so that part of it is the
//! clients'. The work is the processor's time of the server alone, which is what it could do if nobody else had to run.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    process::{Child, Command},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use mxdrill::blocking::Lab;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

use super::{TWO_EXCHANGERS, scenario};

#[derive(Clone)]
struct DoesNothing;

impl mailin_embedded::Handler for DoesNothing {}

/// What some messages took.
#[derive(Clone, Copy)]
struct Took {
    /// By the clock.
    rate: Duration,
    /// Of the processor, where the system tells; of the server alone.
    work: Option<Duration>,
}

/// Whole sessions over loopback, so many at once, each with one message: with the lab's receivers, with mailin-embedded,
/// whose handler does nothing, and with Postfix's smtp-sink where that is installed. Clients send MAIL, RCPT and DATA in one
/// go (RFC 2920), or wait for each reply.
pub(crate) fn receivers(whole: bool) {
    let (messages, rounds) = if whole { (5_000, 15) } else { (40, 1) };
    let mailin = mailin_embedded();
    let mut of_twenty = None;
    for manner in [Waits::Pipelined, Waits::OneByOne] {
        // With mailin-embedded one pipelining session at a time did not end in seven minutes.
        let is_pipelined = manner == Waits::Pipelined;
        let sessions: &[usize] = if is_pipelined {
            &[20, 200]
        } else {
            &[1, 20, 200]
        };
        for sessions in sessions.iter().copied() {
            let mut ours = Vec::new();
            let (mut by_mailin, mut by_sink) = (Vec::new(), Vec::new());
            for _ in 0..rounds {
                let measured = |address| load(address, sessions, messages, manner);
                ours.push(of_a_lab(measured));
                by_mailin.extend((!is_pipelined).then(|| Took {
                    rate: measured(mailin),
                    work: None,
                }));
                by_sink.extend(SmtpSink::start().map(|sink| sink.measured(measured)));
            }
            let what = format!("receivers, {sessions} sessions at once, {manner}");
            tell(&what, "mailin-embedded", &by_mailin, &ours);
            tell(&what, "smtp-sink", &by_sink, &ours);
            match (sessions, &of_twenty) {
                (20, _) => of_twenty = Some(ours),
                (200, Some(twenty)) => tell(&what, "20 sessions", twenty, &ours),
                _ => {}
            }
        }
    }
}

/// Tells how many times the rate, and the messages for the processor's time, of another.
fn tell(what: &str, other: &str, theirs: &[Took], ours: &[Took]) {
    let median = |took: &dyn Fn(&Took) -> Option<Duration>| {
        let pairs = theirs.iter().zip(ours);
        let ratios = pairs.filter_map(|(theirs, ours)| {
            Some(took(theirs)?.as_secs_f64() / took(ours)?.as_secs_f64())
        });
        let mut ratios: Vec<f64> = ratios.collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied()
    };
    if let Some(times) = median(&|took| Some(took.rate)) {
        print!("{what}: {times:.2} times the rate of {other}");
        match median(&|took| took.work) {
            Some(times) => println!(", {times:.2} times the messages for its work"),
            None => println!(),
        }
    }
}

/// The lab's receivers under a load.
fn of_a_lab(load: impl Fn(SocketAddr) -> Duration) -> Took {
    let lab = Lab::start(scenario(TWO_EXCHANGERS)).expect("a lab");
    let before = work_of_thread("lab");
    let rate = load(lab.endpoints()[0].listens);
    let work = work_of_thread("lab").zip(before);
    lab.stop();
    Took {
        rate,
        work: work.map(|(now, before)| now - before),
    }
}

/// Where mailin-embedded listens, for as long as this process runs.
fn mailin_embedded() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let mut server = mailin_embedded::Server::new(DoesNothing);
    // One thread for each session that may be open at once: fewer would be held against it.
    server.with_tcp_listener(listener).with_num_threads(200);
    thread::spawn(move || drop(server.serve()));
    address
}

/// Postfix's smtp-sink, which takes mail and drops it.
struct SmtpSink {
    address: SocketAddr,
    process: Child,
}

impl SmtpSink {
    fn start() -> Option<Self> {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let process = Command::new("/usr/sbin/smtp-sink")
            .args(["-u", "nobody", &address.to_string(), "1000"])
            .spawn()
            .ok()?;
        let mut server = Self { address, process };
        while std::net::TcpStream::connect(address).is_err() {
            let ended = server.process.try_wait().expect("its own child");
            if ended.is_some() {
                return None;
            }
            thread::yield_now();
        }
        Some(server)
    }

    fn measured(&self, load: impl Fn(SocketAddr) -> Duration) -> Took {
        let schedstat = format!("/proc/{}/schedstat", self.process.id());
        let before = work(&schedstat);
        let rate = load(self.address);
        let work = work(&schedstat).zip(before);
        Took {
            rate,
            work: work.map(|(now, before)| now - before),
        }
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// How long a thread of this process has kept a processor busy, by its name.
fn work_of_thread(name: &str) -> Option<Duration> {
    let threads = fs::read_dir("/proc/self/task").ok()?.flatten();
    let mut threads = threads.map(|thread| thread.path());
    let thread = threads.find(|thread| {
        let comm = fs::read_to_string(thread.join("comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    })?;
    work(thread.join("schedstat").to_str()?)
}

/// What the first number of a file of the kernel's has, in nanoseconds.
fn work(schedstat: &str) -> Option<Duration> {
    let told = fs::read_to_string(schedstat).ok()?;
    let nanoseconds = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// How a client sends what it has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    OneByOne,
    Pipelined,
}

impl std::fmt::Display for Waits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OneByOne => "each reply waited for",
            Self::Pipelined => "pipelining",
        })
    }
}

/// Delivers messages over so many sessions at once, each with one message, from two threads (one, for one session):
/// a client does more for a session than a server, and one thread of clients would be what is measured.
fn load(to: SocketAddr, sessions: usize, messages: usize, manner: Waits) -> Duration {
    let begun = Instant::now();
    let given = AtomicUsize::new(0);
    let clients = |sessions: usize| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.expect("a runtime").block_on(async {
            let client = || async {
                while given.fetch_add(1, Ordering::Relaxed) < messages {
                    deliver(to, manner).await.expect("delivered");
                }
            };
            futures_util::future::join_all((0..sessions).map(|_| client())).await;
        });
    };
    thread::scope(|scope| {
        scope.spawn(|| clients(sessions / 2));
        clients(sessions - sessions / 2);
    });
    begun.elapsed()
}

/// Octets of a client's buffers: as many as it sends, and gets, at once.
const BUFFER: usize = 512;

async fn deliver(to: SocketAddr, manner: Waits) -> std::io::Result<()> {
    // Buffers of the usual size would be cleared for each session, and be a fifth of what a client does.
    let stream = TcpStream::connect(to).await?;
    let mut stream = BufStream::with_capacity(BUFFER, BUFFER, stream);
    let content = b"Subject: a load\r\n\r\nSome lines of it,\r\nand another one.\r\n.\r\n";
    let steps: [(&[u8], &[u8]); 7] = [
        (b"", b"220"),
        (b"EHLO client.test\r\n", b"250"),
        (b"MAIL FROM:<a@client.test>\r\n", b"250"),
        (b"RCPT TO:<b@example.test>\r\n", b"250"),
        (b"DATA\r\n", b"354"),
        (content, b"250"),
        (b"QUIT\r\n", b"221"),
    ];
    let mut line = Vec::new();
    for (place, (command, code)) in steps.into_iter().enumerate() {
        stream.write_all(command).await?;
        // DATA is the last of its group.
        let grouped = matches!(manner, Waits::Pipelined) && matches!(place, 2 | 3);
        if grouped {
            continue;
        }
        stream.flush().await?;
        let replies: &[&[u8]] = match (manner, place) {
            (Waits::Pipelined, 4) => &[b"250", b"250", b"354"],
            _ => &[code],
        };
        for code in replies {
            loop {
                line.clear();
                stream.read_until(b'\n', &mut line).await?;
                assert!(line.starts_with(code), "{}", String::from_utf8_lossy(&line));
                if line[3] == b' ' {
                    break;
                }
            }
        }
    }
    Ok(())
}
