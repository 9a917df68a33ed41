//! Receivers under load: their rate beside that of mailin-embedded and of smtp-sink, and how it grows with sessions.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    process::{Child, Command},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use mxdrill::lab::{Lab, NetworkKind};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    sync::oneshot,
};

use super::{TWO_EXCHANGERS, scenario};

#[derive(Clone)]
struct DoesNothing;

impl mailin_embedded::Handler for DoesNothing {}

/// Whole sessions over loopback with the lab's receivers and with mailin-embedded, whose handler does
/// nothing, behind one client; so many at once, each with one message.
pub(crate) fn receivers(whole: bool) {
    let (messages, rounds) = if whole { (15_000, 5) } else { (40, 1) };
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let theirs = listener.local_addr().expect("an address");
    let mut server = mailin_embedded::Server::new(DoesNothing);
    // One thread for each session that may be open at once: fewer would be held against it.
    server.with_tcp_listener(listener).with_num_threads(200);
    thread::spawn(move || drop(server.serve()));
    let mut rates: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    let mut busy: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for sessions in [1, 20, 200] {
            let lab = LabOfItsOwn::start();
            let ours = load(lab.address, sessions, messages, Waits::OneByOne);
            if let Some(worked) = lab.stop() {
                let worked = worked.as_secs_f64();
                busy.entry(sessions).or_default().push(worked);
            }
            let theirs = load(theirs, sessions, messages, Waits::OneByOne);
            rates.entry(sessions).or_default().push(ours.as_secs_f64());
            rates
                .entry(sessions + 1000)
                .or_default()
                .push(theirs.as_secs_f64());
        }
    }
    let median = |ones: &[f64], others: &[f64]| {
        let mut ratios: Vec<f64> = ones
            .iter()
            .zip(others)
            .map(|(one, other)| one / other)
            .collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    for sessions in [1, 20, 200] {
        let faster = median(&rates[&(sessions + 1000)], &rates[&sessions]);
        println!(
            "receivers, {sessions} sessions at once: {faster:.2} times the rate of mailin-embedded"
        );
    }
    let more = median(&rates[&20], &rates[&200]);
    println!("receivers, 200 sessions at once: {more:.2} times the rate of 20");
    if let (Some(many), Some(some)) = (busy.get(&200), busy.get(&20)) {
        let work = median(many, some);
        println!(
            "receivers, 200 sessions at once: {work:.2} times the processor time of 20 for a message"
        );
    }
    pipelining(messages, rounds);
}

/// Clients that send MAIL, RCPT and DATA in one go (RFC 2920), beside those that wait for every reply, and
/// beside Postfix's smtp-sink where that is installed.
fn pipelining(messages: usize, rounds: usize) {
    for sessions in [20, 200] {
        let (mut saved, mut sink) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            let timed = |manner| {
                let lab = LabOfItsOwn::start();
                let took = load(lab.address, sessions, messages, manner).as_secs_f64();
                lab.stop();
                took
            };
            let (one_by_one, ours) = (timed(Waits::OneByOne), timed(Waits::Pipelined));
            saved.push(one_by_one / ours);
            if let Some(server) = SmtpSink::start() {
                let theirs = load(server.address, sessions, messages, Waits::Pipelined);
                sink.push(theirs.as_secs_f64() / ours);
            }
        }
        saved.sort_by(f64::total_cmp);
        sink.sort_by(f64::total_cmp);
        println!(
            "receivers, {sessions} pipelining sessions at once: {:.2} times the rate of waiting for each reply",
            saved[rounds / 2]
        );
        if let Some(times) = sink.get(sink.len() / 2) {
            println!(
                "receivers, {sessions} pipelining sessions at once: {times:.2} times the rate of smtp-sink"
            );
        }
    }
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
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A lab on a thread of its own.
struct LabOfItsOwn {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<Option<Duration>>,
}

impl LabOfItsOwn {
    fn start() -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let scenario = scenario(TWO_EXCHANGERS);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.expect("a runtime").block_on(async {
                let lab = Lab::start(scenario, NetworkKind::Loopback)
                    .await
                    .expect("a lab");
                let before = processor_time();
                tell.send(lab.endpoints()[0].listens).expect("awaited");
                drop(stopped.await);
                let worked = processor_time().zip(before);
                lab.stop().await;
                worked.map(|(now, before)| now - before)
            })
        });
        Self {
            address: told.recv().expect("a lab"),
            stop,
            thread,
        }
    }

    /// Stops it; how long it kept a processor busy, where the system tells.
    fn stop(self) -> Option<Duration> {
        drop(self.stop);
        self.thread.join().expect("no panic")
    }
}

/// How long this thread has kept a processor busy, where the system tells.
fn processor_time() -> Option<Duration> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = told.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

/// How a client sends what it has to say.
#[derive(Debug, Clone, Copy)]
enum Waits {
    OneByOne,
    Pipelined,
}

/// Delivers messages over so many sessions at once, each with one message.
fn load(to: SocketAddr, sessions: usize, messages: usize, manner: Waits) -> Duration {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.expect("a runtime").block_on(async {
        let begun = Instant::now();
        let mut clients = tokio::task::JoinSet::new();
        let given = Arc::new(AtomicUsize::new(0));
        for _ in 0..sessions {
            let given = Arc::clone(&given);
            clients.spawn(async move {
                while given.fetch_add(1, Ordering::Relaxed) < messages {
                    deliver(to, manner).await.expect("delivered");
                }
            });
        }
        clients.join_all().await;
        begun.elapsed()
    })
}

async fn deliver(to: SocketAddr, manner: Waits) -> std::io::Result<()> {
    let mut stream = BufStream::new(TcpStream::connect(to).await?);
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
