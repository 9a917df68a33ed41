//! What may happen to a domain's exchangers and to its lookups.

use std::time::Duration;

use super::{Rehearsal, security::Trouble};
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
}

impl RehearsedOutage {
    fn of(title: String, file: String, faults: Vec<Fault>) -> Self {
        Self {
            title,
            file,
            faults,
            trouble: Trouble::None,
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
        "accepts connections and hangs for a day",
        "hangs",
        Stage::Greeting,
        "hang",
        Some(24 * HOUR),
    ),
];
/// Seconds.
const HOUR: u64 = 3600;

/// Everything that is rehearsed.
///
/// A level of one exchanger is that exchanger, and all of them are the only level where there is one: neither is
/// played twice.
pub(super) fn outages(rehearsal: &Rehearsal) -> Vec<RehearsedOutage> {
    let plan = &rehearsal.plan;
    let usable: Vec<&Planned> = plan.usable().map(|(_, planned)| planned).collect();
    let mut outages = vec![RehearsedOutage::of(
        "nothing fails".to_owned(),
        "nothing-fails".to_owned(),
        Vec::new(),
    )];
    let mut add = |title: String, file: String, faults: Vec<Fault>| {
        outages.push(RehearsedOutage::of(title, file, faults));
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
    // A day more than the queues of these senders keep mail.
    let outlasting = rehearsal.assumptions.sender.lifetime.as_secs() + 24 * HOUR;
    let for_good =
        |planned: &&Planned| fault(&planned.host, Stage::Connect, "timeout", Some(outlasting));
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
    outages.extend(of_tls(rehearsal));
    outages
}

/// What may happen to the TLS of exchangers that the domain's policy or TLSA records secure.
fn of_tls(rehearsal: &Rehearsal) -> Vec<RehearsedOutage> {
    let security = &rehearsal.security;
    let mut outages = Vec::new();
    for (_, planned) in rehearsal.plan.usable() {
        let host = &planned.host;
        if !security.secures(host) {
            continue;
        }
        outages.push(RehearsedOutage::of(
            format!("{host} does not offer STARTTLS for a day"),
            format!("{host}-no-starttls"),
            vec![fault(host, Stage::Starttls, "not offered", Some(24 * HOUR))],
        ));
        let mut add = |title: String, file: String, trouble| {
            outages.push(RehearsedOutage {
                trouble,
                ..RehearsedOutage::of(title, file, Vec::new())
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
