//! What may happen to a domain's exchangers and to its lookups.

use std::time::Duration;

use super::{
    PassageSum, Rehearsal,
    many::{self, FIRST, Level, OUTAGE},
    messages::DrillSizes,
    security::Trouble,
};
use crate::{
    fault::{Effect, Fault, Host, QueryEffect, Stage},
    name::Domain,
    plan::Planned,
    time::Moment,
};

/// What fails in a drill.
pub(super) struct RehearsedOutage {
    /// In words: `mx1.example.test does not answer for a day`.
    pub(super) title: String,
    /// The name of its file, without `.toml`.
    pub(super) file: String,
    pub(super) faults: Vec<Fault>,
    /// What is wrong with the TLS of an exchanger, if anything.
    pub(super) trouble: Trouble,
    pub(super) messages: usize,
    /// How many exchangers the one that fails stands for, itself included.
    pub(super) alike: usize,
}

impl RehearsedOutage {
    fn of(title: String, file: String, faults: Vec<Fault>, messages: usize) -> Self {
        Self {
            title,
            file,
            faults,
            trouble: Trouble::None,
            messages,
            alike: 1,
        }
    }
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
        "sends no greeting for a day",
        "hangs",
        Stage::Greeting,
        "hang",
        Some(24 * HOUR),
    ),
];
/// Seconds.
const HOUR: u64 = 3600;

/// The drill that others are held against.
pub(super) fn nothing_fails(rehearsal: &Rehearsal) -> RehearsedOutage {
    let (title, file) = ("nothing fails".to_owned(), "nothing-fails".to_owned());
    RehearsedOutage::of(title, file, Vec::new(), sizes(rehearsal).of_one())
}

/// Everything else that is rehearsed. `usual` is what came of mail when nothing failed.
pub(super) fn outages(rehearsal: &Rehearsal, usual: &PassageSum) -> Vec<RehearsedOutage> {
    match many::are_merged(&rehearsal.plan, &rehearsal.security) {
        true => of_many(rehearsal, usual),
        false => of_each(rehearsal),
    }
}

/// What may happen to each of a few exchangers.
///
/// A level of one exchanger is that exchanger, and all of them are the only level where there is one: neither is
/// played twice.
fn of_each(rehearsal: &Rehearsal) -> Vec<RehearsedOutage> {
    let plan = &rehearsal.plan;
    let usable: Vec<&Planned> = plan.usable().map(|(_, planned)| planned).collect();
    let sizes = sizes(rehearsal);
    let messages = sizes.of_one();
    let mut outages = Vec::new();
    let mut add = |title: String, file: String, faults: Vec<Fault>| {
        outages.push(RehearsedOutage::of(title, file, faults, messages));
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
    outages.push(outlasting(rehearsal, &usable, &sizes));
    let mut add = |title: String, file: String, faults: Vec<Fault>| {
        outages.push(RehearsedOutage::of(title, file, faults, messages));
    };
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
    for planned in usable {
        outages.extend(of_tls(rehearsal, planned));
    }
    outages
}

/// Nobody answers for a day more than the queues of these senders keep mail.
fn outlasting(rehearsal: &Rehearsal, usable: &[&Planned], sizes: &DrillSizes) -> RehearsedOutage {
    let seconds = rehearsal.assumptions.sender.lifetime.as_secs() + 24 * HOUR;
    let for_good =
        |planned: &&Planned| fault(&planned.host, Stage::Connect, "timeout", Some(seconds));
    let nobody = match usable {
        [only] => format!("{} does not answer", only.host),
        _ => "no exchanger answers".to_owned(),
    };
    RehearsedOutage::of(
        format!("{nobody} for longer than senders wait"),
        "all-down-too-long".to_owned(),
        usable.iter().map(for_good).collect(),
        sizes.returned(seconds),
    )
}

/// What may happen to some of many exchangers: those that stand for others alike, and preferences together.
fn of_many(rehearsal: &Rehearsal, usual: &PassageSum) -> Vec<RehearsedOutage> {
    let plan = &rehearsal.plan;
    let levels = many::levels(plan, &rehearsal.security);
    let sizes = sizes(rehearsal);
    let of = |title: String, file: String, faults: Vec<Fault>| {
        RehearsedOutage::of(title, file, faults, sizes.of_one())
    };
    let down = |hosts: &[&Planned], seconds| {
        let faults = hosts.iter().map(|planned| {
            let host = &planned.host;
            fault(host, Stage::Connect, "timeout", Some(seconds))
        });
        faults.collect::<Vec<_>>()
    };
    let together = |title: String, file: String, hosts: &[&Planned]| {
        let messages = sizes.messages(hosts.len(), OUTAGE);
        RehearsedOutage::of(title, file, down(hosts, OUTAGE), messages)
    };
    let mut outages = Vec::new();
    for alike in levels.iter().take(FIRST).flat_map(kinds) {
        let one = many::drilled(alike, usual);
        outages.push(RehearsedOutage {
            alike: alike.len(),
            ..of(
                format!("{} does not answer for a day", one_of(one, alike)),
                format!("{}-down", one.host),
                down(&[one], OUTAGE),
            )
        });
    }
    outages.extend(
        of_levels(&levels)
            .into_iter()
            .map(|(title, file, hosts)| together(title, file, &hosts)),
    );
    let everyone: Vec<&Planned> = plan.usable().map(|(_, planned)| planned).collect();
    outages.push(together(
        "no exchanger answers for a day".to_owned(),
        "all-down".to_owned(),
        &everyone,
    ));
    let outlasting = rehearsal.assumptions.sender.lifetime.as_secs() + OUTAGE;
    outages.push(RehearsedOutage::of(
        "no exchanger answers for longer than senders wait".to_owned(),
        "all-down-too-long".to_owned(),
        down(&everyone, outlasting),
        sizes.returned(outlasting),
    ));
    outages.push(of(
        "the domain cannot be looked up for an hour".to_owned(),
        "dns-fails".to_owned(),
        vec![Fault::of_query(plan.domain.clone(), None, QueryEffect::ServFail).until(at(HOUR))],
    ));
    for alike in levels.first().into_iter().flat_map(kinds) {
        let one = many::drilled(alike, usual);
        let host = &one.host;
        let of_host = FAILURES_OF_A_HOST.map(|(what, file, stage, effect, until)| {
            of(
                format!("{} {what}", one_of(one, alike)),
                format!("{host}-{file}"),
                vec![fault(host, stage, effect, until)],
            )
        });
        let all = of_host.into_iter().chain(of_tls(rehearsal, one));
        outages.extend(all.map(|outage| RehearsedOutage {
            alike: alike.len(),
            ..outage
        }));
    }
    outages
}

/// Preferences that do not answer, and parts of the first one: in words, the file's name, the exchangers.
fn of_levels<'a>(levels: &[Level<'a>]) -> Vec<(String, String, Vec<&'a Planned>)> {
    let mut outages = Vec::new();
    for (index, level) in levels.iter().enumerate().take(FIRST) {
        let (preference, hosts) = (level.preference, &level.exchangers);
        let all = hosts.len();
        // Those behind the first have nothing to do while it answers.
        let some = [(all / 2, "half"), (all - 1, "all-but-one")];
        for (count, file) in some
            .into_iter()
            .filter(|(count, _)| *count > 1 && index == 0)
        {
            outages.push((
                format!("{count} of {all} of preference {preference} do not answer for a day"),
                format!("preference-{preference}-{file}-down"),
                hosts[..count].to_vec(),
            ));
        }
        if levels.len() > 1 && all > 1 {
            outages.push((
                format!("none of preference {preference} answers for a day"),
                format!("preference-{preference}-down"),
                hosts.clone(),
            ));
        }
    }
    for count in many::together(levels.len()) {
        let before = levels.iter().take(count);
        let hosts: Vec<&Planned> = before.flat_map(|level| level.exchangers.clone()).collect();
        let title = match &levels[count..] {
            [last] => format!("none but preference {} answers for a day", last.preference),
            _ => format!(
                "none of the first {count} of {} preferences answers for a day",
                levels.len()
            ),
        };
        outages.push((title, format!("first-{count}-down"), hosts));
    }
    outages
}

/// The kinds of exchangers of a level that are drilled.
fn kinds<'l, 'a>(level: &'l Level<'a>) -> impl Iterator<Item = &'l Vec<&'a Planned>> {
    level.alike.iter().take(FIRST)
}

/// One of some exchangers, and how many are alike.
fn one_of(one: &Planned, alike: &[&Planned]) -> String {
    match alike.len() {
        1 => one.host.to_string(),
        all => format!("{} (one of {all} alike)", one.host),
    }
}

/// How many messages its drills have.
fn sizes(rehearsal: &Rehearsal) -> DrillSizes {
    let settings = rehearsal.assumptions.sender.settings();
    DrillSizes::of(&rehearsal.plan, &settings)
}

/// What may happen to the TLS of an exchanger that the domain's policy or TLSA records secure.
fn of_tls(rehearsal: &Rehearsal, planned: &Planned) -> Vec<RehearsedOutage> {
    let security = &rehearsal.security;
    let messages = sizes(rehearsal).of_one();
    let mut outages = Vec::new();
    let host = &planned.host;
    if !security.secures(host) {
        return outages;
    }
    outages.push(RehearsedOutage::of(
        format!("{host} does not offer STARTTLS for a day"),
        format!("{host}-no-starttls"),
        vec![fault(host, Stage::Starttls, "not offered", Some(24 * HOUR))],
        messages,
    ));
    let mut add = |title: String, file: String, trouble| {
        outages.push(RehearsedOutage {
            trouble,
            ..RehearsedOutage::of(title, file, Vec::new(), messages)
        });
    };
    add(
        format!("the certificate of {host} has expired, and stays so"),
        format!("{host}-expired"),
        Trouble::Expired(host.clone()),
    );
    if security.has_tlsa(host) {
        add(
            format!("{host} has a new key, and the TLSA records are of the old one"),
            format!("{host}-old-tlsa"),
            Trouble::OldTlsa(host.clone()),
        );
    }
    outages
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
