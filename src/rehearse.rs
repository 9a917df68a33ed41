//! Drills made of a domain's own records: each exchanger dies, each level, all of them, the DNS.
//!
//! For each failure that the plan suggests ([`rehearse`]):
//!
//! 1. The records of the plan become a zone, with short TTLs; addresses that are not known get
//!    stand-ins.
//! 2. A scenario is written as text, with the failure as its fault, and played by the reference
//!    sender on a virtual clock.
//! 3. What came of it becomes what is expected: the file that is written down passes as it is.
//!
//! The level of these scenarios is INFO: they say what happens, and no RFC asks for it.

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

use crate::{
    drill::{self, Run},
    event::{EventKind, SessionId},
    lab::NetworkKind,
    mail::MessageId,
    name::Domain,
    plan::{Plan, Planned},
    records::DomainRecords,
    scenario::Scenario,
    sender::Reference,
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
    faults: Vec<String>,
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
    let used: BTreeSet<IpAddr> = known
        .clone()
        .flat_map(|planned| &planned.addresses)
        .copied()
        .collect();
    let mut stand_ins = (STAND_INS..)
        .map(|number| IpAddr::V4(Ipv4Addr::from(number)))
        .filter(|address| !used.contains(address));
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

/// What else happens to each exchanger: in words, the file's name, the stage, the effect, how long.
const FAILURES_OF_A_HOST: [(&str, &str, &str, &str, &str); 3] = [
    (
        "says \"later\" (4yz) for an hour",
        "says-later",
        "rcpt",
        "450 4.2.0 try again later",
        "1h",
    ),
    (
        "rejects everything (5yz)",
        "rejects",
        "rcpt",
        "550 5.7.1 rejected",
        "",
    ),
    (
        "accepts connections and hangs for a day",
        "hangs",
        "greeting",
        "hang",
        "1d",
    ),
];

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
    let mut add = |title: String, file: String, faults: Vec<String>| {
        failures.push(RehearsedOutage {
            title,
            file: file_name(&file),
            faults,
        });
    };
    let down = |planned: &&Planned| fault(&planned.host, "connect", "timeout", "1d");
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
    add(
        "the domain cannot be looked up for an hour".to_owned(),
        "dns-fails".to_owned(),
        vec![format!(
            "{{ query = \"{}\", effect = \"servfail\", until = \"1h\" }}",
            quoted(plan.domain.as_str())
        )],
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

/// A row of faults, as a scenario has it.
fn fault(host: &Domain, stage: &str, effect: &str, until: &str) -> String {
    let until = match until {
        "" => String::new(),
        until => format!(", until = \"{until}\""),
    };
    let host = quoted(host.as_str());
    format!("{{ host = \"{host}\", stage = \"{stage}\", effect = \"{effect}\"{until} }}")
}

/// Plays a failure, and writes down what came of it as what is expected.
fn play(plan: &Plan, zone: &str, failure: RehearsedOutage) -> io::Result<Rehearsed> {
    let RehearsedOutage {
        title,
        file,
        faults,
    } = failure;
    // The first text expects nothing; what it comes to is what the second expects.
    let draft = scenario(&file, &scenario_text(plan, zone, &title, &faults, ""))?;
    let mut run = drill::run(&draft, NetworkKind::Memory, None, Reference::default())?;
    let [lost, delivered] = [
        crate::outcome::Outcome::Bounced,
        crate::outcome::Outcome::Delivered,
    ]
    .map(|outcome| run.verdict.outcomes.get(&outcome).copied().unwrap_or(0));
    // How many of several equals' share is chance; all or nothing is not.
    let expected = match delivered {
        MESSAGES => format!("delivered = {MESSAGES}"),
        0 => format!("bounced = {MESSAGES}"),
        _ => format!(
            "# Equal exchangers share by chance.\ndelivered = {{ min = 1, max = {} }}\nbounced = {{ min = 1, max = {0} }}",
            MESSAGES - 1
        ),
    };
    let text = scenario_text(plan, zone, &title, &faults, &expected);
    // What is expected changes nothing of what happens.
    let scenario = scenario(&file, &text)?;
    let sender_kind = SenderKind::InProcess {
        tolerance: Duration::ZERO,
    };
    run.verdict = judge(&scenario, &run.events, sender_kind);
    let (takers, longest_wait) = takers(&scenario, &run);
    Ok(Rehearsed {
        title,
        file,
        text,
        scenario,
        run,
        takers,
        longest_wait,
        lost,
    })
}

fn scenario(file: &str, text: &str) -> io::Result<Arc<Scenario>> {
    let scenario = Scenario::parse(&format!("{file}.toml"), text).map_err(io::Error::other)?;
    Ok(Arc::new(scenario))
}

/// The text of a scenario.
fn scenario_text(
    plan: &Plan,
    zone: &str,
    title: &str,
    faults: &[String],
    expected: &str,
) -> String {
    let faults: String = faults
        .iter()
        .fold(String::new(), |all, fault| all + "  " + fault + ",\n");
    let faults = match faults.is_empty() {
        true => String::new(),
        false => format!("faults = [\n{faults}]\n"),
    };
    format!(
        "# Made by mxdrill rehearse from the records of {domain}.\n\
        summary = \"{domain}: {title}\"\nlevel = \"INFO\"\n\nzone = \"\"\"\n{zone}\"\"\"\n\n\
        messages = [{{ id = \"m\", to = \"someone@{domain}\", count = {MESSAGES} }}]\n{faults}\n[expect]\n{expected}\n",
        domain = quoted(plan.domain.as_str()),
        title = quoted(title),
        zone = quoted(zone),
    )
}

/// A text as it stands in a TOML string.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
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
