//! Very many domains and records, beside what they have to be measured against: one domain, and NSD where it is installed.

use std::{
    fmt::Write as _,
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use mxdrill::{blocking::Lab, records::Source, scenario::Scenario};

use super::{median, play, ratio, scenario, timed};

/// What a zone of the bench begins with; name servers take no zone without it.
const HEAD: &str = "$ORIGIN example.test.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 300\n@ NS ns\nns A 127.0.0.1\n";

/// All of it; only that it runs, unless the whole is asked for.
pub(crate) fn scale(whole: bool) {
    let domains = if whole { 100_000 } else { 10 };
    let rounds = if whole { 3 } else { 1 };
    let folder = tempfile::tempdir().expect("a folder");
    let zone = folder.path().join("example.test.zone");
    fs::write(&zone, format!("{HEAD}{}", own_exchangers(domains))).expect("written");
    reading(&zone, domains * 4, rounds);
    many_domains(domains, rounds);
    beside_nsd(folder.path(), rounds, if whole { 5 } else { 1 });
}

/// Domains with two exchangers of their own each: four records a domain.
fn own_exchangers(domains: usize) -> String {
    let mut zone = String::new();
    for n in 0..domains {
        let last = n % 200 + 1;
        let written = write!(
            zone,
            "d{n} MX 10 mx1.d{n}\nd{n} MX 20 mx2.d{n}\nmx1.d{n} A 192.0.2.{last}\nmx2.d{n} A 198.51.100.{last}\n"
        );
        written.expect("memory takes it all");
    }
    zone
}

/// A zone file, read by `plan`, `lint` and `rehearse`, and by a name server.
fn reading(zone: &Path, records: usize, rounds: usize) {
    let ours = || {
        timed(1, || {
            let mut source = Source::default();
            source.add_file(zone, None).expect("a zone");
            std::hint::black_box(source);
        })
    };
    let checked = || {
        let mut nsd = Command::new("nsd-checkzone");
        let nsd = nsd.arg("example.test").arg(zone).stdout(Stdio::null());
        timed(1, || {
            nsd.status().expect("it ran before");
        })
    };
    if Command::new("nsd-checkzone").arg("-h").output().is_err() {
        println!(
            "reading {records} records: NSD is not installed, there is nothing to measure it by"
        );
        return;
    }
    let times = ratio(rounds, ours, checked);
    println!("reading {records} records: {times:.2} times the time of nsd-checkzone");
}

/// A message to each of many domains, and as many to one.
fn many_domains(count: usize, rounds: usize) {
    let exchangers = own_exchangers(count);
    let each: String = (0..count)
        .map(|n| format!("{{ id = 'm{n}', to = 'u@d{n}.example.test' }},\n"))
        .collect();
    let to = |zone: &str, messages: &str| {
        scenario(&format!(
            "summary = 's'\nzone = '''\n{HEAD}{zone}'''\nmessages = [{messages}]\n[expect]\ndelivered = {count}\n"
        ))
    };
    let one = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 198.51.100.1\n";
    let same = format!("{{ id = 'm', to = 'u@example.test', count = {count} }}");
    let (many, one): (Arc<Scenario>, _) = (to(&exchangers, &each), to(one, &same));
    let times = ratio(
        rounds,
        || timed(1, || play(&many)),
        || timed(1, || play(&one)),
    );
    println!("a message to each of {count} domains: {times:.1} times the time of as many to one");
}

/// The lab's name server, every question in its log, beside NSD: the same zone, and dnsperf that keeps a thousand questions
/// under way.
fn beside_nsd(folder: &Path, rounds: usize, seconds: u32) {
    let zone = "@ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 198.51.100.1\n";
    let questions = folder.join("questions");
    fs::write(
        &questions,
        "example.test MX\nmx1.example.test A\nmx2.example.test A\n",
    )
    .expect("written");
    let load = |at| dnsperf(at, &questions, seconds);
    let mut rates = Vec::new();
    let (mut lost, mut unanswered, mut theirs_lost) = (0, 0, 0);
    for _ in 0..rounds {
        let Some(nsd) = Nsd::start(folder, zone) else {
            println!(
                "questions: NSD is not installed, there is nothing to measure the name server by"
            );
            return;
        };
        let Some(theirs) = load(nsd.at) else {
            println!("questions: dnsperf is not installed, nobody asks any");
            return;
        };
        drop(nsd);
        let lab = Lab::from_zone(&format!("{HEAD}{zone}")).expect("a lab");
        let ours = load(lab.resolver()).expect("it ran before");
        rates.push(ours.rate / theirs.rate);
        lost += lab.lost_questions();
        theirs_lost += theirs.lost;
        unanswered += ours.lost;
        lab.stop();
    }
    println!(
        "a thousand questions at once: {:.2} times the rate of NSD; {lost} lost at the lab, {unanswered} without an answer at \
         dnsperf ({theirs_lost} of NSD's)",
        median(rates)
    );
}

/// What dnsperf saw.
struct Answered {
    /// A second.
    rate: f64,
    lost: u64,
}

/// Asks a name server for so long; `None` where there is no dnsperf.
fn dnsperf(at: SocketAddr, questions: &Path, seconds: u32) -> Option<Answered> {
    let mut command = Command::new("dnsperf");
    command.args(["-c", "2", "-q", "1000", "-s", &at.ip().to_string()]);
    command.args(["-p", &at.port().to_string(), "-l", &seconds.to_string()]);
    let output = command.arg("-d").arg(questions).output().ok()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let number = |name: &str| {
        let line = said.lines().find_map(|line| line.trim().strip_prefix(name));
        let number = line?.split_whitespace().next()?;
        number.parse::<f64>().ok()
    };
    let told = number("Queries per second:").zip(number("Queries lost:"));
    let (rate, lost) = told.unwrap_or_else(|| panic!("dnsperf said {said}"));
    Some(Answered {
        rate,
        lost: lost as u64,
    })
}

/// NSD with one process, until this is dropped.
struct Nsd {
    at: SocketAddr,
    process: Child,
}

impl Nsd {
    /// `None` where it is not installed.
    fn start(folder: &Path, zone: &str) -> Option<Self> {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let at = free.local_addr().expect("an address");
        drop(free);
        let here = folder.display();
        let (port, configuration) = (at.port(), folder.join("nsd.conf"));
        fs::write(folder.join("nsd.zone"), format!("{HEAD}{zone}")).expect("written");
        let text = format!(
            "server:\n ip-address: 127.0.0.1@{port}\n server-count: 1\n username: \"\"\n database: \"\"\n zonesdir: \"{here}\"\n \
            pidfile: \"\"\n rrl-ratelimit: 0\n xfrdfile: \"{here}/xfrd\"\n zonelistfile: \"{here}/list\"\n do-ip6: no\nremote-control:\n control-enable: no\n\
            zone:\n name: example.test\n zonefile: nsd.zone\n"
        );
        fs::write(&configuration, text).expect("written");
        let mut command = Command::new("/usr/sbin/nsd");
        command.arg("-d").arg("-c").arg(&configuration);
        let process = command.stderr(Stdio::null()).spawn().ok()?;
        let mut nsd = Self { at, process };
        nsd.wait_until_it_answers();
        Some(nsd)
    }

    fn wait_until_it_answers(&mut self) {
        // Who asks for the root is refused, which is an answer.
        const QUESTION: &[u8] = b"\x12\x34\0\0\0\x01\0\0\0\0\0\0\0\0\x01\0\x01";
        let asking = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        asking.connect(self.at).expect("an address");
        let patience = Duration::from_millis(100);
        asking.set_read_timeout(Some(patience)).expect("set");
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            assert!(self.process.try_wait().expect("its own child").is_none());
            if asking.send(QUESTION).is_ok() && asking.recv(&mut [0; 512]).is_ok() {
                return;
            }
        }
        panic!("NSD does not answer");
    }
}

impl Drop for Nsd {
    fn drop(&mut self) {
        // SIGTERM: the processes that it has started end with it.
        let ended = Command::new("kill")
            .arg(self.process.id().to_string())
            .status();
        if ended.is_err() {
            drop(self.process.kill());
        }
        drop(self.process.wait());
    }
}
