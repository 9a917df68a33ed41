//! What a drill costs: choosing candidates, resolving a domain, delivering a message, a whole scenario.

use std::{collections::BTreeMap, hint::black_box, net::IpAddr, sync::Arc};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mxdrill::{
    drill,
    lab::NetworkKind,
    name::Domain,
    route::{Addresses, Exchanger, Identity, route},
    scenario::{Scenario, SenderSettings},
    sender::{self, Reference},
};
use rand::{SeedableRng, rngs::ChaCha8Rng};

fn host(number: u16) -> Domain {
    format!("mx{number}.example.test")
        .parse()
        .expect("a valid name")
}

/// Candidates out of lists of 1 to 100 exchangers, four to a preference, two addresses each.
fn selection(c: &mut Criterion) {
    let mut group = c.benchmark_group("selection");
    for count in [1_u16, 4, 20, 100] {
        let exchangers: Vec<Exchanger> = (0..count)
            .map(|n| Exchanger {
                preference: n / 4 * 10,
                host: host(n),
            })
            .collect();
        let found = |n: u16| {
            [1, 2]
                .map(|last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, n, last]))
                .to_vec()
        };
        let addresses: BTreeMap<Domain, Addresses> = (0..count)
            .map(|n| {
                (
                    host(n),
                    Addresses {
                        found: found(n),
                        failed: false,
                    },
                )
            })
            .collect();
        let identity = Identity::from(&SenderSettings::default());
        group.throughput(Throughput::Elements(count.into()));
        group.bench_with_input(BenchmarkId::from_parameter(count), &count, |bencher, _| {
            let mut random = ChaCha8Rng::seed_from_u64(1);
            bencher.iter(|| black_box(route(&exchangers, &addresses, &identity, &mut random)));
        });
    }
    group.finish();
}

fn zone(exchangers: u16) -> String {
    let mut text = "$ORIGIN example.test.\n$TTL 300\n".to_owned();
    for n in 0..exchangers {
        text.push_str(&format!(
            "@ IN MX {n} mx{n}\nmx{n} IN A 192.0.2.{}\n",
            n + 1
        ));
    }
    text
}

fn scenario(exchangers: u16, messages: u32, extra: &str) -> Arc<Scenario> {
    let text = format!(
        "summary = \"a benchmark\"\nzone = '''\n{}'''\nmessages = [{{ id = \"m\", to = \"a@example.test\", count = {messages} }}]\n{extra}",
        zone(exchangers)
    );
    Arc::new(Scenario::parse("benchmark", &text).unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

fn play(scenario: &Arc<Scenario>) {
    let run = drill::run(scenario, NetworkKind::Memory, None, Reference::default())
        .expect("the drill ran");
    assert!(run.verdict.passed());
}

/// Resolving a domain and its exchangers, without sending anything: every exchanger is the sender's.
fn resolution(c: &mut Criterion) {
    let mut group = c.benchmark_group("resolution");
    for exchangers in [1_u16, 10, 100] {
        let own = "sender = { names = [\"mx0.example.test\"], cache = false }\n";
        let scenario = scenario(exchangers, 10, own);
        group.throughput(Throughput::Elements(10 * (1 + 2 * u64::from(exchangers))));
        group.bench_with_input(
            BenchmarkId::new("queries", exchangers),
            &scenario,
            |bencher, scenario| {
                bencher.iter(|| play(scenario));
            },
        );
    }
    group.finish();
}

/// Handing over messages, lookups from the cache.
fn delivery(c: &mut Criterion) {
    let mut group = c.benchmark_group("delivery");
    group.sample_size(20);
    for messages in [1_u32, 100] {
        let scenario = scenario(2, messages, "");
        group.throughput(Throughput::Elements(messages.into()));
        group.bench_with_input(
            BenchmarkId::new("messages", messages),
            &scenario,
            |bencher, scenario| {
                bencher.iter(|| play(scenario));
            },
        );
    }
    group.finish();
}

/// A lab that nobody uses, and a day of outage with retries every half hour.
fn whole(c: &mut Criterion) {
    let mut group = c.benchmark_group("scenario");
    let outage = "sender = { retry = [\"30m\"], expire = \"5d\" }\nfaults = [\n  \
        { host = \"mx0.example.test\", stage = \"connect\", effect = \"timeout\", until = \"1d\" },\n  \
        { host = \"mx1.example.test\", stage = \"rcpt\", effect = \"451 4.3.2 later\", until = \"1d\" },\n]\n";
    let scenario = scenario(2, 1, outage);
    group.bench_function("a day of outage", |bencher| {
        bencher.iter(|| play(&scenario))
    });
    group.bench_function("an empty lab", |bencher| {
        bencher.iter_batched(
            || sender::from_fn(|_| async {}),
            |nobody| {
                drill::run(&scenario, NetworkKind::Memory, None, nobody).expect("the drill ran")
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

criterion_group!(benches, selection, resolution, delivery, whole);
criterion_main!(benches);
