//! Drills made of a domain's own records: each exchanger dies, each level, all of them, the DNS.
//!
//! For each failure that the plan suggests ([`rehearse`]):
//!
//! 1. The records of the plan become a zone, with short TTLs; addresses that are not known get
//!    stand-ins.
//! 2. A scenario is built, with the failure as its faults, and played by the reference sender on a
//!    virtual clock.
//! 3. What came of it becomes what is expected: the file that is written down passes as it is.
//!
//! The level of these scenarios is INFO: they say what happens, and no RFC asks for it.

mod migration;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
    time::Duration,
};

use hickory_proto::rr::{
    RData, Record,
    rdata::{CNAME, MX},
};

pub use self::migration::{Migration, MigrationDrill, migrate};
use crate::{
    drill::{self, Run},
    event::{EventKind, SessionId},
    fault::{Effect, Fault, Host, QueryEffect, Stage},
    lab::NetworkKind,
    level::Level,
    mail::MessageId,
    name::Domain,
    outcome::Outcome,
    plan::{Plan, Planned},
    records::DomainRecords,
    scenario::{Bounds, Messages, Scenario, ScenarioBuilder, SenderSettings, Total},
    sender::Reference,
    time::Moment,
    verdict::{SenderKind, judge},
    zone::present,
};

/// The messages of each drill: enough for shares to be told in per cent.
pub const MESSAGES: usize = 200;
/// Exchangers that are rehearsed at most: each makes several drills.
const MOST: usize = 50;
/// The TTL of a drill's records, in seconds.
const TTL: u32 = 300;
/// The first of the addresses that stand for those which are not known, from the range for
/// benchmarks (RFC 2544), which no exchanger has.
const STAND_INS: u32 = u32::from_be_bytes([198, 18, 0, 1]);

/// A drill of a rehearsal, played.
#[derive(Debug)]
#[non_exhaustive]
pub struct Rehearsed {
    /// What fails, in words: `mx1.example.test does not answer for a day`.
    pub title: String,
    /// The name of its file, without `.toml`.
    pub file: String,
    /// The text of the scenario, as it can be written to a file.
    pub text: String,
    /// The scenario that the text is.
    pub scenario: Arc<Scenario>,
    /// The run of the reference sender, judged by what is expected in the text.
    pub run: Run,
    /// How many of the messages each host accepted.
    pub takers: BTreeMap<Domain, usize>,
    /// The longest time from submission to acceptance of a message.
    pub longest_wait: Duration,
    /// How many messages were returned.
    pub lost: usize,
}

/// What fails in a drill.
struct RehearsedOutage {
    title: String,
    file: String,
    faults: Vec<Fault>,
}

/// Rehearses what the plan for a domain leads to.
///
/// # Errors
/// That there is nothing to rehearse, or too much; or that a drill did not run.
pub fn rehearse(domain_records: &DomainRecords) -> io::Result<Vec<Rehearsed>> {
    let plan = Plan::of(domain_records);
    let refused = |why: String| Err(io::Error::other(why));
    if let Some(why) = plan.why.as_ref().filter(|_| !plan.is_deliverable()) {
        return refused(format!(
            "{}: nothing to rehearse: {why}",
            domain_records.domain
        ));
    }
    let hosts: BTreeSet<&Domain> = plan.usable().map(|(_, planned)| &planned.host).collect();
    if hosts.len() > MOST {
        return refused(format!(
            "{}: found {} exchangers, expected {MOST} at most to rehearse",
            domain_records.domain,
            hosts.len()
        ));
    }
    let zone = zone_text(&plan);
    failures(&plan)
        .into_iter()
        .map(|failure| play(&plan, &zone, failure))
        .collect()
}

/// The records of a plan as zone-file text.
///
/// A plan has no TTLs of its own, and an alias keeps its CNAME record: senders meet it as they
/// would on the internet.
fn zone_text(plan: &Plan) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes it all");
    let domain = &plan.domain;
    let record =
        |owner: &Domain, data| present::record(&Record::from_rdata(owner.to_wire(), TTL, data));
    if plan.kind == crate::plan::RouteKind::Mx {
        for level in &plan.levels {
            for planned in &level.exchangers {
                let mx = MX::new(level.preference, planned.host.to_wire());
                line(record(domain, RData::MX(mx)));
            }
        }
    }
    let known = plan.levels.iter().flat_map(|level| &level.exchangers);
    let mut stand_ins = stand_ins([plan].into_iter());
    let mut seen = BTreeSet::new();
    for planned in known {
        if !planned.usable || !seen.insert(&planned.host) {
            continue;
        }
        let mut owner = &planned.host;
        if let Some(target) = &planned.alias_of {
            line(record(owner, RData::CNAME(CNAME(target.to_wire()))));
            owner = target;
            if !seen.insert(target) {
                continue;
            }
        }
        let stand_in = planned.addresses.is_empty().then(|| stand_ins.next());
        for address in planned.addresses.iter().copied().chain(stand_in.flatten()) {
            line(record(owner, RData::from(address)));
        }
    }
    text
}

/// Addresses for exchangers whose own are not known: none that a plan has.
fn stand_ins<'a>(plans: impl Iterator<Item = &'a Plan>) -> impl Iterator<Item = IpAddr> {
    let exchangers = plans
        .flat_map(|plan| &plan.levels)
        .flat_map(|level| &level.exchangers);
    let used: BTreeSet<IpAddr> = exchangers
        .flat_map(|planned| &planned.addresses)
        .copied()
        .collect();
    (STAND_INS..)
        .map(|number| IpAddr::V4(Ipv4Addr::from(number)))
        .filter(move |address| !used.contains(address))
}

/// What else happens to each exchanger: in words, the file's name, the stage, the effect, how long.
const FAILURES_OF_A_HOST: [(&str, &str, Stage, &str, Option<u64>); 3] = [
    (
        "says \"later\" (4yz) for an hour",
        "says-later",
        Stage::Rcpt,
        "450 4.2.0 try again later",
        Some(HOUR),
    ),
    (
        "rejects everything (5yz)",
        "rejects",
        Stage::Rcpt,
        "550 5.7.1 rejected",
        None,
    ),
    (
        "accepts connections and hangs for a day",
        "hangs",
        Stage::Greeting,
        "hang",
        Some(24 * HOUR),
    ),
];
/// Seconds.
const HOUR: u64 = 3600;
/// An outage that no sender waits for: the queues of these keep mail for five days.
const OUTLASTING: u64 = 6 * 24 * HOUR;

/// Who sends in a rehearsal: how long its queue keeps a message, and after which waits it tries again. The last wait
/// repeats.
pub fn assumed_sender() -> (Duration, Vec<Duration>) {
    let settings = SenderSettings::default();
    (settings.expire, settings.retry)
}

/// What records say that a rehearsal leaves out, in words.
pub fn left_out(domain_records: &DomainRecords) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    let known = || domain_records.hosts.values();
    if known().any(|host| !host.tlsa.records().is_empty()) {
        left_out.push("TLSA records (DANE)");
    }
    if !domain_records.mta_sts.records().is_empty() {
        left_out.push("the MTA-STS policy");
    }
    let ttls = domain_records.targets.iter().map(|target| target.ttl);
    let addresses = known()
        .flat_map(|host| host.records())
        .map(|placed| placed.record.ttl);
    if ttls.chain(addresses).any(|ttl| ttl != TTL) {
        left_out.push("TTLs (all are five minutes here)");
    }
    left_out
}

/// What may happen to the exchangers of a plan.
///
/// A level of one exchanger is that exchanger, and all of them are the only level where there is
/// one: neither is played twice.
fn failures(plan: &Plan) -> Vec<RehearsedOutage> {
    let usable: Vec<&Planned> = plan.usable().map(|(_, planned)| planned).collect();
    let mut failures = vec![RehearsedOutage {
        title: "nothing fails".to_owned(),
        file: "nothing-fails".to_owned(),
        faults: Vec::new(),
    }];
    let mut add = |title: String, file: String, faults: Vec<Fault>| {
        failures.push(RehearsedOutage {
            title,
            file: file_name(&file),
            faults,
        });
    };
    let down =
        |planned: &&Planned| fault(&planned.host, Stage::Connect, "timeout", Some(24 * HOUR));
    for planned in &usable {
        add(
            format!("{} does not answer for a day", planned.host),
            format!("{}-down", planned.host),
            vec![down(planned)],
        );
    }
    let levels: Vec<_> = plan
        .levels
        .iter()
        .map(|level| {
            let here = level.exchangers.iter().filter(|planned| planned.usable);
            (level.preference, here.collect::<Vec<_>>())
        })
        .filter(|(_, here)| !here.is_empty())
        .collect();
    for (preference, here) in levels
        .iter()
        .filter(|(_, here)| here.len() > 1 && levels.len() > 1)
    {
        add(
            format!("none of preference {preference} answers for a day"),
            format!("preference-{preference}-down"),
            here.iter().map(down).collect(),
        );
    }
    if usable.len() > 1 {
        add(
            "no exchanger answers for a day".to_owned(),
            "all-down".to_owned(),
            usable.iter().map(down).collect(),
        );
    }
    let for_good =
        |planned: &&Planned| fault(&planned.host, Stage::Connect, "timeout", Some(OUTLASTING));
    let nobody = match &usable[..] {
        [only] => format!("{} does not answer", only.host),
        _ => "no exchanger answers".to_owned(),
    };
    add(
        format!("{nobody} for longer than senders wait"),
        "all-down-too-long".to_owned(),
        usable.iter().map(for_good).collect(),
    );
    add(
        "the domain cannot be looked up for an hour".to_owned(),
        "dns-fails".to_owned(),
        vec![Fault::of_query(plan.domain.clone(), None, QueryEffect::ServFail).until(at(HOUR))],
    );
    for planned in &usable {
        let host = &planned.host;
        for (what, file, stage, effect, until) in FAILURES_OF_A_HOST {
            add(
                format!("{host} {what}"),
                format!("{host}-{file}"),
                vec![fault(host, stage, effect, until)],
            );
        }
    }
    failures
}

/// A fault of a host from the start on, for so many seconds if not for ever.
fn fault(host: &Domain, stage: Stage, effect: &str, seconds: Option<u64>) -> Fault {
    let effect = Effect::parse(effect, stage).expect("an effect of that stage");
    let fault = Fault::of_host(Host::Name(host.clone()), stage, effect);
    match seconds {
        Some(seconds) => fault.until(at(seconds)),
        None => fault,
    }
}

fn at(seconds: u64) -> Moment {
    Moment(Duration::from_secs(seconds))
}

/// Plays a failure.
fn play(plan: &Plan, zone: &str, failure: RehearsedOutage) -> io::Result<Rehearsed> {
    let RehearsedOutage {
        title,
        file,
        faults,
    } = failure;
    let mut builder = Scenario::builder(format!("{}: {title}", plan.domain))
        .level(Level::Info)
        .zone(zone)
        .messages(Messages::new("m", format!("someone@{}", plan.domain)).count(MESSAGES));
    for fault in faults {
        builder = builder.fault(fault);
    }
    finished(&plan.domain, title, file, builder)
}

/// Plays a drill, and writes down what came of it as what is expected.
fn finished(
    domain: &Domain,
    title: String,
    file: String,
    mut builder: ScenarioBuilder,
) -> io::Result<Rehearsed> {
    let path = format!("{file}.toml");
    let build = |builder: &ScenarioBuilder| builder.build_as(&path).map(Arc::new);
    // The draft expects nothing; what it comes to is what the scenario expects.
    let draft = build(&builder).map_err(io::Error::other)?;
    let mut run = drill::run(&draft, NetworkKind::Memory, None, Reference::default())?;
    let [lost, delivered] = [Outcome::Bounced, Outcome::Delivered]
        .map(|outcome| run.verdict.outcomes.get(&outcome).copied().unwrap_or(0));
    for (total, bounds) in expected(delivered) {
        builder = builder.expect_total(total, bounds);
    }
    // What is expected changes nothing of what happens.
    let scenario = build(&builder).map_err(io::Error::other)?;
    let sender_kind = SenderKind::InProcess {
        tolerance: Duration::ZERO,
    };
    run.verdict = judge(&scenario, &run.events, sender_kind);
    let (takers, longest_wait) = takers(&scenario, &run);
    let heading = format!("# Made by mxdrill rehearse from the records of {domain}.\n");
    Ok(Rehearsed {
        title,
        file,
        text: heading + &builder.to_toml(),
        scenario,
        run,
        takers,
        longest_wait,
        lost,
    })
}

/// What is expected where so many messages were delivered. How many of several equals' share is chance; all
/// or nothing is not.
fn expected(delivered: usize) -> Vec<(Total, Bounds)> {
    let exactly = |count: usize| Bounds {
        min: count as u64,
        max: count as u64,
    };
    let some = Bounds {
        min: 1,
        max: MESSAGES as u64 - 1,
    };
    match delivered {
        MESSAGES => vec![(Total::Delivered, exactly(MESSAGES))],
        0 => vec![(Total::Bounced, exactly(MESSAGES))],
        _ => vec![(Total::Delivered, some), (Total::Bounced, some)],
    }
}

/// A name of a file, of letters, digits, dots, hyphens and underscores alone.
pub fn file_name(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let plain = text.chars().map(|c| if is_plain(c) { c } else { '_' });
    plain.collect()
}

/// How many messages each host accepted, and the longest that one of these waited.
fn takers(scenario: &Scenario, run: &Run) -> (BTreeMap<Domain, usize>, Duration) {
    let at: BTreeMap<&MessageId, _> = scenario
        .messages
        .iter()
        .map(|message| (&message.id, message.at))
        .collect();
    let mut hosts: BTreeMap<SessionId, &Domain> = BTreeMap::new();
    let mut takers: BTreeMap<Domain, usize> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    for event in &run.events {
        match &event.kind {
            EventKind::Connect {
                session,
                hosts: names,
                hint,
                ..
            } => {
                if let Some(host) = hint.exchanger.as_ref().or(names.first()) {
                    hosts.insert(*session, host);
                }
            }
            EventKind::Taken {
                session,
                message: Some(message),
                ..
            } => {
                if let Some(given) = at.get(message) {
                    longest = longest.max(event.at.since(*given));
                    if let Some(host) = hosts.get(session) {
                        *takers.entry((*host).clone()).or_default() += 1;
                    }
                }
            }
            _ => {}
        }
    }
    (takers, longest)
}
