//! What things cost against their floor, as ratios: both sides are measured in turn in one run, so that
//! what else the machine does falls on both. `cargo bench --bench ratios`, or only
//! some of it: `cargo bench --bench ratios -- selection`.

mod receivers;
mod scale;

use std::{
    collections::BTreeMap,
    hint::black_box,
    net::IpAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hickory_proto::rr::RecordType;
use mxdrill::{
    drill,
    lab::{Lab, NetworkKind},
    name::Domain,
    route::Order,
    scenario::Scenario,
    sender::{self, Reference, SenderContext},
};
use rand::{Rng, SeedableRng, rngs::ChaCha8Rng, seq::SliceRandom};

use self::{receivers::receivers, scale::scale};

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of a comparison; the median of their ratios is told.
const ROUNDS: usize = 41;

fn main() {
    // `cargo test --benches`, which says no `--bench`, wants to know that it runs, not how fast.
    let tested = !std::env::args().any(|argument| argument == "--bench");
    let rounds = if tested { 1 } else { ROUNDS };
    let parts: [(&str, &dyn Fn()); 7] = [
        ("selection", &|| selection(rounds)),
        ("resolution", &|| resolution(rounds)),
        ("drills", &|| whole_drills(rounds)),
        ("receivers", &|| receivers(!tested)),
        ("growth", &|| growth(!tested)),
        ("labs", &|| labs(!tested)),
        ("scale", &|| scale(!tested)),
    ];
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    for (name, measure) in parts {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            measure();
        }
    }
}

/// The median of the ratios of two things measured in turn.
fn ratio(
    rounds: usize,
    mut one: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> f64 {
    let ratios = (0..rounds).map(|_| one().as_secs_f64() / other().as_secs_f64());
    median(ratios.collect())
}

fn median(mut ratios: Vec<f64>) -> f64 {
    ratios.sort_by(f64::total_cmp);
    ratios[ratios.len() / 2]
}

fn timed(times: u32, mut work: impl FnMut()) -> Duration {
    let begun = Instant::now();
    for _ in 0..times {
        work();
    }
    begun.elapsed()
}

/// Lists that are ordered in turn: the processor must not learn one by heart.
const LISTS: usize = 64;

/// Ordering exchangers, against as many packed keys filled and sorted, and against a map of shuffled
/// lists: with so many exchangers to a preference, in any order.
fn selection(rounds: usize) {
    for (equals, shape) in [
        (2, "pairs"),
        (1, "no equals"),
        (4, "fours"),
        (64, "all equal"),
    ] {
        for count in [4_u16, 8, 16, 64] {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            let lists = [(); LISTS].map(|()| {
                let mut list: Vec<u16> = (0..count).map(|n| n / equals * 10).collect();
                list.shuffle(&mut random);
                list
            });
            order(rounds, &lists, &format!("{count}, {shape}"));
        }
    }
}

fn order(rounds: usize, lists: &[Vec<u16>; LISTS], what: &str) {
    let each = |work: &mut dyn FnMut(&[u16])| {
        timed(20, || lists.iter().for_each(|list| work(black_box(list))))
    };
    let random = || ChaCha8Rng::seed_from_u64(1);
    let mut source = random();
    let mut order = || {
        each(&mut |list| {
            let order = Order::new(list.iter().copied(), &mut source);
            black_box(order.places().next());
        })
    };
    let mut source = random();
    let mut keys = vec![0_u64; lists[0].len()];
    let floor = || {
        each(&mut |list| {
            for (key, preference) in keys.iter_mut().zip(list) {
                *key = u64::from(*preference) << 48 | u64::from(source.next_u32());
            }
            keys.sort_unstable();
            black_box(keys.first());
        })
    };
    let against_floor = ratio(rounds, &mut order, floor);
    let mut source = random();
    let obvious = || {
        each(&mut |list| {
            let mut levels: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
            for (place, preference) in list.iter().enumerate() {
                levels.entry(*preference).or_default().push(place);
            }
            levels
                .values_mut()
                .for_each(|level| level.shuffle(&mut source));
            let order: Vec<usize> = levels.into_values().flatten().collect();
            black_box(order.first());
        })
    };
    let faster = 1.0 / ratio(rounds, order, obvious);
    println!(
        "selection of {what}: {against_floor:.2} times the floor, {faster:.1} times as fast as a map of shuffled lists"
    );
}

fn scenario(text: &str) -> Arc<Scenario> {
    Arc::new(Scenario::parse("benchmark", text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

const TWO_EXCHANGERS: &str = "summary = 's'\nzone = '''\n$ORIGIN example.test.\n\
    @ IN MX 10 mx1\n@ IN MX 20 mx2\nmx1 IN A 192.0.2.1\nmx1 IN AAAA 2001:db8::1\nmx2 IN A 192.0.2.2\nmx2 IN AAAA 2001:db8::2\n'''\n\
    messages = [{ id = 'm', to = 'a@example.test' }]\n";

/// A whole route over loopback (five queries, four of them at once), against one lookup.
fn resolution(rounds: usize) {
    let scenario = scenario(TWO_EXCHANGERS);
    let domain: Domain = "example.test".parse().expect("a name");
    let host: Domain = "mx1.example.test".parse().expect("a name");
    let told = Arc::new(Mutex::new(0.0));
    let tell = Arc::clone(&told);
    let sender = sender::from_fn(move |context: SenderContext| async move {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let begun = Instant::now();
            for _ in 0..20 {
                black_box(context.route(&domain, &mut random).await.expect("a route"));
            }
            let route = begun.elapsed();
            let begun = Instant::now();
            for _ in 0..20 {
                black_box(context.lookup(&host, RecordType::A).await);
            }
            ratios.push(route.as_secs_f64() / begun.elapsed().as_secs_f64());
        }
        ratios.sort_by(f64::total_cmp);
        *tell.lock().expect("not poisoned") = ratios[rounds / 2];
    });
    drop(drill::run(&scenario, NetworkKind::Loopback, None, sender));
    let told = *told.lock().expect("not poisoned");
    println!("route of 2 exchangers over loopback: {told:.2} times one lookup");
}

const FAILOVER: &str = "summary = 's'\nzone = '''\n$ORIGIN example.test.\n\
    @ IN MX 10 mx1\n@ IN MX 20 mx2\nmx1 IN A 192.0.2.1\nmx2 IN A 192.0.2.2\n'''\n\
    messages = [{ id = 'm', to = 'a@example.test' }]\n\
    faults = [{ host = 'mx1.example.test', stage = 'connect', effect = 'refuse' }]\n\
    [expect.m]\nby = 'mx2.example.test'\n";

fn play(scenario: &Arc<Scenario>) {
    let run =
        drill::run(scenario, NetworkKind::Memory, None, Reference::default()).expect("it ran");
    assert!(run.verdict.passed(), "{:#?}", run.verdict.findings);
}

/// A drill with one failover, start to verdict.
fn whole_drills(rounds: usize) {
    let scenario = scenario(FAILOVER);
    let mut times: Vec<Duration> = (0..rounds * 25)
        .map(|_| timed(1, || play(&scenario)))
        .collect();
    let total: Duration = times.iter().sum();
    times.sort();
    let rate = times.len() as f64 / total.as_secs_f64();
    println!(
        "a drill with one failover: median {:?}, {rate:.0} a second",
        times[times.len() / 2]
    );
}

/// How time grows with the number of messages.
fn growth(whole: bool) {
    let messages = |count: u32| {
        scenario(&format!(
            "summary = 's'\nzone = '''\n$ORIGIN example.test.\n@ IN MX 10 mx1\nmx1 IN A 192.0.2.1\n'''\n\
            messages = [{{ id = 'm', to = 'a@example.test', count = {count} }}]\n[expect]\ndelivered = {count}\n"
        ))
    };
    let (few, many) = if whole { (10_000, 100_000) } else { (10, 100) };
    let (few, many) = (messages(few), messages(many));
    let times = ratio(
        if whole { 3 } else { 1 },
        || timed(1, || play(&many)),
        || timed(1, || play(&few)),
    );
    println!("ten times the messages: {times:.1} times the time");
}

/// A lab of a thousand exchangers.
fn labs(whole: bool) {
    let count = if whole { 1000 } else { 10 };
    let mut zone = String::new();
    for n in 0..count {
        let address = IpAddr::from([10, 1, (n / 250) as u8, (n % 250 + 1) as u8]);
        zone.push_str(&format!("@ IN MX {n} mx{n}\nmx{n} IN A {address}\n"));
    }
    let scenario = scenario(&format!(
        "summary = 's'\nzone = '''\n$ORIGIN example.test.\n{zone}'''\nmessages = [{{ id = 'm', to = 'a@example.test' }}]\n"
    ));
    for kind in [NetworkKind::Memory, NetworkKind::Loopback] {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let mut times: Vec<Duration> = (0..5)
            .map(|_| {
                runtime.block_on(async {
                    let begun = Instant::now();
                    let lab = Lab::start(Arc::clone(&scenario), kind)
                        .await
                        .expect("a lab");
                    let took = begun.elapsed();
                    lab.stop().await;
                    took
                })
            })
            .collect();
        times.sort();
        println!("a lab of {count} exchangers, {kind:?}: {:?}", times[2]);
    }
}
