//! Benchmarks of somebody else's code, each beside the floor, the obvious way and mxdrill's own.
//!
//! criterion measures each by itself. Then all are measured in turn, so that what else the machine does falls on all of
//! them, and the medians of the ratios to the floor are printed: those can be compared between machines.

use std::{
    hint::black_box,
    io::{self, BufRead, BufReader, Write},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, measurement::WallTime};
use hickory_proto::{
    op::{Message, Query},
    rr::{Name, RData, RecordType},
};

use super::{
    Random,
    workloads::{self, Workload},
};
use crate::{
    blocking::Lab,
    name::Domain,
    route::Order,
    scenario::{Messages, Scenario},
    sender::{Reference, Sender, SenderContext},
};

/// Rounds in which all are measured in turn.
const ROUNDS: usize = 21;
/// How often each does its work in a round, where that is a matter of nanoseconds.
const TIMES: u32 = 20;

/// Somebody whose work is measured.
type Contender<'a, I> = (&'a str, Box<dyn FnMut(&I) + 'a>);

/// Measures a selection: `order(preferences, random)` gives the places of a list of preferences in the order in which to
/// try what stands there, equals in random order.
///
/// It is put beside the floor (as many numbers drawn and sorted), the obvious way (a map of shuffled lists) and
/// [`route::Order`](Order), on lists of 4 to 64 exchangers, and the ratios to the floor are printed.
///
/// # Panics
/// If what it gives is no order of a list.
pub fn bench_selection<F, P>(criterion: &mut Criterion<WallTime>, name: &str, mut order: F)
where
    F: FnMut(&[u16], &mut Random) -> P,
    P: IntoIterator<Item = usize>,
{
    let workloads = workloads::standard();
    let sources = [(); 4].map(|()| Random::new(1));
    let [mut mine, mut floors, mut shuffled, mut packed] = sources;
    for list in workloads.iter().flat_map(|workload| &workload.lists) {
        workloads::hold(name, list, order(list, &mut mine));
    }
    let mut keys = Vec::new();
    let mut contenders: [Contender<'_, Vec<u16>>; 4] = [
        (name, Box::new(|list| used(order(list, &mut mine)))),
        (
            FLOOR,
            Box::new(|list| {
                workloads::floor(list, &mut keys, &mut floors);
                black_box(&keys);
            }),
        ),
        (
            OBVIOUS,
            Box::new(|list| used(workloads::obvious(list, &mut shuffled))),
        ),
        (
            "route::Order",
            Box::new(|list| {
                let order = Order::new(list.iter().copied(), &mut packed);
                used(order.places());
            }),
        ),
    ];
    let inputs: Vec<(String, Vec<Vec<u16>>)> = workloads
        .into_iter()
        .map(|Workload { name, lists }| (name, lists))
        .collect();
    compare(criterion, "selection", &mut contenders, &inputs, TIMES);
}

const FLOOR: &str = "the floor";
const OBVIOUS: &str = "the obvious way";

fn used(order: impl IntoIterator<Item = usize>) {
    for place in order {
        black_box(place);
    }
}

/// Two exchangers with two addresses each.
const ZONE: &str = "$ORIGIN example.test.\n$TTL 300\n@ IN MX 10 mx1\n@ IN MX 20 mx2\n\
    mx1 IN A 192.0.2.1\nmx1 IN AAAA 2001:db8::1\nmx2 IN A 192.0.2.2\nmx2 IN AAAA 2001:db8::2\n";
const DOMAIN: &str = "example.test";
const RECIPIENT: &str = "alice@example.test";

/// A lab on loopback for the benchmarks; each of its messages may be sent any number of times.
fn lab() -> Lab {
    let scenario = Scenario::builder("a benchmark")
        .zone(ZONE)
        .messages(Messages::new("m", RECIPIENT))
        .build();
    let scenario = scenario.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    Lab::start(Arc::new(scenario)).unwrap_or_else(|error| panic!("no lab could be had: {error}"))
}

/// Measures a resolution: `resolve(name server, domain)` finds the addresses to try for a domain of two exchangers with two
/// addresses each.
///
/// It is put beside the floor (one question over UDP), the obvious way (five questions, one after the other) and
/// [`SenderContext::route`].
///
/// # Panics
/// If no lab can be had on loopback.
pub fn bench_resolution<F, T>(criterion: &mut Criterion<WallTime>, name: &str, mut resolve: F)
where
    F: FnMut(SocketAddr, &str) -> T,
{
    let lab = lab();
    let server = lab.resolver();
    let socket = socket_to(server);
    let own = Own::of(&lab);
    let domain: Domain = DOMAIN.parse().expect("a name");
    let mut random = Random::new(1);
    let mut contenders: [Contender<'_, ()>; 4] = [
        (
            name,
            Box::new(|()| drop(black_box(resolve(server, DOMAIN)))),
        ),
        (
            FLOOR,
            Box::new(|()| drop(black_box(ask(&socket, DOMAIN, RecordType::MX)))),
        ),
        (OBVIOUS, Box::new(|()| drop(black_box(addresses(&socket))))),
        (
            "SenderContext::route",
            Box::new(|()| {
                let context = own.context();
                let route = context.route(&domain, &mut random);
                drop(black_box(own.runtime.block_on(route)));
            }),
        ),
    ];
    let inputs = [("a domain with two exchangers".to_owned(), vec![()])];
    compare(criterion, "resolution", &mut contenders, &inputs, TIMES);
}

/// Measures a delivery: `deliver(lab, recipient)` resolves the recipient's domain at the lab's name server and hands over
/// one message.
///
/// It is put beside the floor (one SMTP session with an address that is known), the obvious way (five questions first)
/// and mxdrill's [`Reference`] sender.
///
/// # Panics
/// If no lab can be had on loopback.
pub fn bench_delivery<F, T>(criterion: &mut Criterion<WallTime>, name: &str, mut deliver: F)
where
    F: FnMut(&Lab, &str) -> T,
{
    let lab = lab();
    let socket = socket_to(lab.resolver());
    let known = lab.socket_for([192, 0, 2, 1].into());
    let hand_over = |at: SocketAddr| {
        session(at).unwrap_or_else(|error| panic!("the lab took no message: {error}"));
    };
    let own = Own::of(&lab);
    let mut contenders: [Contender<'_, ()>; 4] = [
        (
            name,
            Box::new(|()| drop(black_box(deliver(&lab, RECIPIENT)))),
        ),
        (FLOOR, Box::new(|()| hand_over(known))),
        (
            OBVIOUS,
            Box::new(|()| {
                let first = addresses(&socket).into_iter().next();
                hand_over(lab.socket_for(first.expect("an address")));
            }),
        ),
        (
            "sender::Reference",
            Box::new(|()| {
                own.runtime
                    .block_on(Reference::default().send(own.context()))
            }),
        ),
    ];
    let inputs = [("one message, two exchangers".to_owned(), vec![()])];
    compare(criterion, "delivery", &mut contenders, &inputs, 1);
}

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// mxdrill's own sender, in a lab that is up.
struct Own<'a> {
    lab: &'a Lab,
    runtime: tokio::runtime::Runtime,
}

impl<'a> Own<'a> {
    fn of(lab: &'a Lab) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = runtime.unwrap_or_else(|error| panic!("no runtime could be had: {error}"));
        Self { lab, runtime }
    }

    fn context(&self) -> SenderContext {
        SenderContext::new(Arc::clone(self.lab.state()), 1)
    }
}

/// A socket for questions to a name server.
fn socket_to(server: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind((server.ip(), 0)).and_then(|socket| {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(server)?;
        Ok(socket)
    });
    socket.unwrap_or_else(|error| panic!("no socket could be had: {error}"))
}

/// One question over UDP, and what the answer has.
fn ask(socket: &UdpSocket, name: &str, record_type: RecordType) -> Vec<RData> {
    let told = || -> Result<Vec<RData>, Box<dyn std::error::Error>> {
        let mut question = Message::query();
        question.add_query(Query::query(
            Name::from_ascii(format!("{name}."))?,
            record_type,
        ));
        socket.send(&question.to_vec()?)?;
        let mut octets = [0; 4096];
        let length = socket.recv(&mut octets)?;
        let answer = Message::from_vec(&octets[..length])?;
        Ok(answer
            .answers
            .into_iter()
            .map(|record| record.data)
            .collect())
    };
    told().unwrap_or_else(|error| panic!("the lab's name server gave no answer: {error}"))
}

/// The addresses of the domain's exchangers, one question after the other.
fn addresses(socket: &UdpSocket) -> Vec<IpAddr> {
    let mut exchangers = Vec::new();
    for answer in ask(socket, DOMAIN, RecordType::MX) {
        if let RData::MX(mx) = answer {
            exchangers.push((mx.preference, mx.exchange.to_string()));
        }
    }
    exchangers.sort();
    let mut found = Vec::new();
    for (_, host) in exchangers {
        for record_type in [RecordType::A, RecordType::AAAA] {
            let answers = ask(socket, host.trim_end_matches('.'), record_type);
            found.extend(answers.iter().filter_map(RData::ip_addr));
        }
    }
    found
}

/// A message in a session of its own, each command after the reply to the one before.
fn session(at: SocketAddr) -> io::Result<()> {
    let stream = TcpStream::connect(at)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut replies = BufReader::new(&stream);
    for step in [
        "",
        "EHLO client.test\r\n",
        "MAIL FROM:<sender@sender.test>\r\n",
        "RCPT TO:<alice@example.test>\r\n",
        "DATA\r\n",
        "Subject: hi\r\n\r\nhi\r\n.\r\n",
        "QUIT\r\n",
    ] {
        (&stream).write_all(step.as_bytes())?;
        let mut line = String::from("-");
        while line.get(3..4).is_none_or(|mark| mark == "-") {
            line.clear();
            replies.read_line(&mut line)?;
            if line.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !line.starts_with(['2', '3']) {
            return Err(io::Error::other(line));
        }
    }
    Ok(())
}

/// Lets criterion measure each contender with each input, then prints the ratios to the floor, which is the second.
fn compare<I>(
    criterion: &mut Criterion<WallTime>,
    what: &str,
    contenders: &mut [Contender<'_, I>; 4],
    inputs: &[(String, Vec<I>)],
    times: u32,
) {
    let mut group = criterion.benchmark_group(what);
    group.sample_size(10);
    group.warm_up_time(Duration::from_millis(50));
    group.measurement_time(Duration::from_millis(200));
    for (input, values) in inputs {
        for (name, work) in contenders.iter_mut() {
            let id = criterion::BenchmarkId::new(&**name, input);
            group.bench_function(id, |bencher| {
                bencher.iter(|| values.iter().for_each(|value| work(black_box(value))));
            });
        }
    }
    group.finish();
    // `cargo test --benches`, which says no `--bench`, wants to know that it runs, not how fast.
    let rounds = match std::env::args().any(|argument| argument == "--bench") {
        true => ROUNDS,
        false => 1,
    };
    println!("{what}: how many times the floor each takes, the median of {rounds} rounds");
    let mut products = [0.0; 4];
    for (input, values) in inputs {
        let ratios = ratios(contenders, values, rounds, times);
        for (product, ratio) in products.iter_mut().zip(ratios) {
            *product += ratio.ln();
        }
        line(contenders, input, ratios);
    }
    if inputs.len() > 1 {
        let means = products.map(|product| (product / inputs.len() as f64).exp());
        line(contenders, "all of them (geometric mean)", means);
    }
}

fn line<I>(contenders: &[Contender<'_, I>; 4], input: &str, ratios: [f64; 4]) {
    let told = contenders.iter().zip(ratios);
    let told: Vec<String> = told
        .map(|((name, _), ratio)| format!("{name} {ratio:.2}"))
        .collect();
    println!("  {input}: {}", told.join(", "));
}

/// The ratio of each to the floor, all measured in turn.
fn ratios<I>(
    contenders: &mut [Contender<'_, I>; 4],
    values: &[I],
    rounds: usize,
    times: u32,
) -> [f64; 4] {
    let mut rounds: Vec<[f64; 4]> = (0..rounds)
        .map(|_| {
            let took = [0, 1, 2, 3].map(|at| {
                let begun = Instant::now();
                for _ in 0..times {
                    values
                        .iter()
                        .for_each(|value| (contenders[at].1)(black_box(value)));
                }
                begun.elapsed().as_secs_f64()
            });
            took.map(|one| one / took[1])
        })
        .collect();
    let middle = rounds.len() / 2;
    [0, 1, 2, 3].map(|at| {
        rounds.sort_by(|one, other| one[at].total_cmp(&other[at]));
        rounds[middle][at]
    })
}
