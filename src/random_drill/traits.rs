//! What kinds of things a case has in it: the shape by which two failures are told apart.
//!
//! A trait is a few words: `dot hang`, `equals`, `no extensions`. That there is a domain with one exchanger and a
//! message to it is none: every case has that at least.

use std::collections::{BTreeMap, BTreeSet};

use super::{Asks, Body, RandomDrill, Setting, points::kind_of_effect};
use crate::{
    extension::is_offered,
    fault::{Failure, Fault},
    scenario::ReceiverSettings,
};

impl RandomDrill {
    /// The kinds of its faults, the shape of its zone, and what is special about receivers, messages and the sender;
    /// in the order of the alphabet.
    pub fn traits(&self) -> BTreeSet<String> {
        let mut traits = BTreeSet::new();
        traits.extend(self.faults.iter().map(of_fault));
        traits.extend(self.receivers.iter().flat_map(of_receivers));
        let zone = DrillZone::of(&self.records);
        for domain in self.domains() {
            zone.describe(domain, &mut traits);
        }
        let mut add = |holds: bool, name: &str| {
            if holds {
                traits.insert(name.to_owned());
            }
        };
        let rows = &self.messages;
        let several = rows.len() > 1 || rows.iter().any(|row| row.count > 1);
        add(several, "several messages");
        add(
            rows.iter().any(|row| row.to.len() > 1),
            "several recipients",
        );
        add(self.domains().len() > 1, "several domains");
        add(rows.iter().any(|row| row.from_nobody), "null reverse-path");
        add(
            rows.iter().any(|row| row.body == Body::EightBit),
            "8-bit body",
        );
        add(
            rows.iter().any(|row| row.body == Body::Dots),
            "leading dots",
        );
        add(
            rows.iter().any(|row| row.body == Body::Binary),
            "binary body",
        );
        for (asks, name) in [
            (Asks::Priority, "priority"),
            (Asks::BackInAnHour, "back in an hour"),
            (Asks::TellInAnHour, "told in an hour"),
        ] {
            add(rows.iter().any(|row| row.asks == Some(asks)), name);
        }
        for setting in &self.sender {
            match setting {
                // Set in every drill that is drawn for the reference sender.
                Setting::RetriesEvery20Minutes | Setting::ExpiresAfter5Hours => {}
                Setting::RemembersUnreachable => add(true, "remembers hosts"),
                Setting::IsAnExchanger => add(true, "own name"),
                Setting::RequiresTls => add(true, "TLS required"),
            }
        }
        traits
    }

    /// The domains to which messages go, as their first labels.
    pub(super) fn domains(&self) -> BTreeSet<&str> {
        let to = self.messages.iter().flat_map(|row| &row.to);
        to.filter_map(|to| to.split_once('@')?.1.strip_suffix(".test"))
            .collect()
    }
}

fn of_fault(fault: &Fault) -> String {
    let what = of_failure(fault);
    match (fault.every, fault.chance) {
        (Some(_), _) => format!("{what} now and then"),
        (_, Some(_)) => format!("{what} by chance"),
        _ => what,
    }
}

fn of_failure(fault: &Fault) -> String {
    match &fault.failure {
        Failure::Session { stage, effect, .. } => {
            format!("{stage} {}", kind_of_effect(&effect.to_string()))
        }
        Failure::Query {
            record_type,
            effect,
            ..
        } => {
            let kind = record_type.map_or_else(|| "any".to_owned(), |kind| kind.to_string());
            format!("{kind} {}", kind_of_effect(&effect.to_string()))
        }
    }
}

fn of_receivers(row: &ReceiverSettings) -> Vec<String> {
    let mut traits = Vec::new();
    traits.extend(row.certificate.map(|kind| format!("STARTTLS {kind}")));
    if let Some(extensions) = &row.extensions {
        let has = |keyword: &str| is_offered(extensions, keyword);
        let name = match (extensions.is_empty(), has("8BITMIME"), has("PIPELINING")) {
            _ if has("LIMITS") => "limits announced",
            (true, ..) => "no extensions",
            (_, false, _) => "no 8BITMIME",
            (_, _, false) => "no PIPELINING",
            _ => "every extension",
        };
        traits.push(name.to_owned());
    }
    let limits = &row.limits;
    let set = [
        (limits.greylist.is_some(), "greylist"),
        (limits.max_recipients.is_some(), "max_recipients"),
        (limits.max_messages.is_some(), "max_messages"),
        (limits.max_sessions.is_some(), "max_sessions"),
        (limits.rate.is_some(), "rate"),
        (limits.bandwidth.is_some(), "bandwidth"),
        (limits.silent_after.is_some(), "silent_after"),
    ];
    let set = set.into_iter().filter(|(is_set, _)| *is_set);
    traits.extend(set.map(|(_, name)| name.to_owned()));
    traits.extend(limits.trickle.map(|trickle| format!("trickle {trickle}")));
    traits
}

/// The records of a case by their owners, below `test.`.
pub(super) struct DrillZone<'a>(BTreeMap<&'a str, Vec<(&'a str, &'a str)>>);

impl<'a> DrillZone<'a> {
    /// Of lines such as `d0 IN MX 10 h0`.
    pub(super) fn of(records: &'a [String]) -> Self {
        let mut owners: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
        for record in records {
            let mut words = record.splitn(4, ' ');
            if let (Some(owner), _, Some(kind), Some(data)) =
                (words.next(), words.next(), words.next(), words.next())
            {
                owners.entry(owner).or_default().push((kind, data));
            }
        }
        Self(owners)
    }

    fn of_kind(&self, owner: &str, kind: &'static str) -> impl Iterator<Item = &'a str> + '_ {
        let records = self.0.get(owner).into_iter().flatten();
        let records = records.filter(move |(other, _)| *other == kind);
        records.map(|(_, data)| *data)
    }

    /// The addresses that a name owns.
    fn addresses_of(&self, owner: &str) -> Vec<&'a str> {
        let four = self.of_kind(owner, "A");
        four.chain(self.of_kind(owner, "AAAA")).collect()
    }

    /// Every address of the zone.
    pub(super) fn addresses(&self) -> impl Iterator<Item = &'a str> + '_ {
        self.0.keys().flat_map(|owner| self.addresses_of(owner))
    }

    /// Where an alias leads, else the name itself.
    fn target(&self, name: &'a str) -> &'a str {
        self.of_kind(name, "CNAME").next().unwrap_or(name)
    }

    /// The exchangers of a domain with their preferences.
    fn exchangers(&self, domain: &'a str) -> Vec<(&'a str, &'a str)> {
        let records = self.of_kind(self.target(domain), "MX");
        records.filter_map(|data| data.split_once(' ')).collect()
    }

    /// The names that mail for domains has to do with.
    pub(super) fn led_to(&self, domains: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let mut names = BTreeSet::new();
        for domain in domains {
            names.extend([domain, self.target(domain)]);
            for (_, host) in self.exchangers(domain) {
                names.extend([host, self.target(host)]);
            }
        }
        names
    }

    /// Adds what is special about the records of a domain.
    fn describe(&self, domain: &'a str, traits: &mut BTreeSet<String>) {
        let mut add = |holds: bool, name: &str| {
            if holds {
                traits.insert(name.to_owned());
            }
        };
        let name = self.target(domain);
        add(name != domain, "domain is an alias");
        let exchangers = self.exchangers(domain);
        let own = self.addresses_of(name);
        if exchangers.is_empty() {
            add(!own.is_empty(), "implicit MX");
            add(own.is_empty(), "no route");
            add(own.len() > 1, "several addresses");
            return;
        }
        add(!own.is_empty(), "address beside MX");
        let preferences: BTreeSet<&str> = exchangers.iter().map(|(number, _)| *number).collect();
        add(preferences.len() > 1, "levels");
        add(preferences.len() < exchangers.len(), "equals");
        let mut seen = BTreeSet::new();
        for (_, host) in exchangers {
            if host == "." {
                add(true, "null MX");
                continue;
            }
            if host.starts_with("mail.sender.test") {
                add(true, "own name");
                continue;
            }
            add(self.target(host) != host, "exchanger is an alias");
            let addresses = self.addresses_of(self.target(host));
            add(addresses.is_empty(), "exchanger without address");
            add(addresses.len() > 1, "several addresses");
            add(addresses.iter().any(|one| one.contains(':')), "IPv6");
            let shared = addresses.iter().filter(|one| !seen.insert(**one));
            add(shared.count() > 0, "shared address");
        }
    }
}
