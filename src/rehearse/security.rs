//! What a domain says of TLS with its exchangers, as far as a drill can play it: its MTA-STS policy (RFC 8461) and
//! the TLSA records of its exchangers (RFC 7672).
//!
//! The lab's exchangers have certificates of their own. In place of the domain's TLSA records there are such that
//! match these, with the same parameters, so that all is well until something happens to it.

use std::{collections::BTreeMap, fmt::Write};

use hickory_proto::rr::{RData, Record};

use super::drill_records;
use crate::{
    fault::Host,
    mta_sts::{Mode, Policy},
    name::Domain,
    plan::{Plan, Planned},
    records::{DomainRecords, KnownHost},
    scenario::{
        Certificate, PolicyRow, ReceiverSettings, ScenarioBuilder, SenderSettings, TlsPolicy,
        TlsaParameters,
    },
};

/// What is wrong with the TLS of an exchanger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing.
    None,
    /// Its certificate has expired.
    Expired(Domain),
    /// Its TLSA records are those of another key.
    OldTlsa(Domain),
}

/// How the exchangers of a domain are secured.
#[derive(Debug, Default)]
pub(super) struct Security {
    domain: Option<Domain>,
    /// The TXT records at `_mta-sts`, and the text of the policy; `None` if there is none to play.
    mta_sts: Option<(Vec<Record>, String)>,
    /// The TLSA records of each exchanger that senders can use.
    tlsa: BTreeMap<Domain, Vec<Record>>,
    /// What stands at the end of each of these exchangers' aliases: that name, else its own.
    names: BTreeMap<Domain, Domain>,
    /// What is assumed of it, and what is left out, in words.
    pub(super) notes: Vec<String>,
}

impl Security {
    /// What the records say, with a policy of the user's for the one that is served by HTTPS.
    pub(super) fn of(plan: &Plan, records: &DomainRecords, policy: Option<&str>) -> Self {
        let mut security = Self::default();
        if !cfg!(feature = "tls") {
            let why = "left out: MTA-STS and TLSA records (DANE), for want of the feature \"tls\"";
            security.notes.push(why.to_owned());
            return security;
        }
        security.domain = Some(plan.domain.clone());
        let hosts: Vec<&Planned> = plan.usable().map(|(_, planned)| planned).collect();
        for planned in &hosts {
            let name = planned.alias_of.as_ref().unwrap_or(&planned.host);
            security.names.insert(planned.host.clone(), name.clone());
            if let Some(known) = records.host(&planned.host) {
                security.add_tlsa(&planned.host, known);
            }
        }
        security.add_policy(&hosts, records, policy);
        if security.is_there() {
            let what = match (security.mta_sts.is_some(), security.tlsa.is_empty()) {
                (true, true) => "heed MTA-STS",
                (false, false) => "heed TLSA records (DANE)",
                _ => "heed TLSA records (DANE) and MTA-STS",
            };
            security.notes.push(format!(
                "assumed: senders {what}, as many others do not; the exchangers have valid certificates"
            ));
        }
        security
    }

    /// The TLSA records of an exchanger that mean something to senders of mail (RFC 7672 section 3.1).
    fn add_tlsa(&mut self, host: &Domain, known: &KnownHost) {
        let all = known.tlsa.records();
        let usable: Vec<Record> = all
            .iter()
            .map(|placed| &*placed.record)
            .filter(|record| parameters(record).is_some())
            .cloned()
            .collect();
        if usable.len() < all.len() {
            self.notes.push(format!(
                "left out: TLSA records of {host} that no sender can use, {} of {}",
                all.len() - usable.len(),
                all.len()
            ));
        }
        if usable.is_empty() {
            return;
        }
        if known.signed != Some(true) {
            self.notes.push(format!(
                "assumed: {host} is signed by DNSSEC; what was read does not show it, and else its TLSA records mean nothing"
            ));
        }
        self.tlsa.insert(host.clone(), usable);
    }

    /// The policy: the user's, or a scenario's, or one that asks for just these exchangers.
    fn add_policy(&mut self, hosts: &[&Planned], records: &DomainRecords, given: Option<&str>) {
        if !records.announces_policy() {
            if given.is_some() {
                self.notes.push(format!(
                    "left out: the MTA-STS policy; without one valid record at _mta-sts.{} senders ask for none",
                    records.domain
                ));
            }
            return;
        }
        let text = match given.or(records.policy.as_deref()) {
            Some(text) => text.to_owned(),
            None => {
                self.notes.push(
                    "assumed: the MTA-STS policy is \"enforce\" for just these exchangers; --mta-sts-policy FILE gives what it is"
                        .to_owned(),
                );
                assumed_policy(hosts)
            }
        };
        match Policy::parse(&text).map(|policy| policy.mode) {
            Some(Mode::Enforce) => {}
            Some(_) => self.notes.push(
                "the MTA-STS policy does not say \"enforce\": mail goes on whatever the certificates are".to_owned(),
            ),
            None => self.notes.push(
                "the MTA-STS policy is not a valid one: senders do as if there were none (RFC 8461 section 3.2)"
                    .to_owned(),
            ),
        }
        let of_domain = records.mta_sts.records().iter().map(|placed| {
            // The record may be at the end of an alias, which a drill can do without.
            let owner = records.domain.prefixed("_mta-sts").to_wire();
            Record::from_rdata(owner, placed.record.ttl, placed.record.data.clone())
        });
        self.mta_sts = Some((of_domain.collect(), text));
    }

    /// Whether there is anything to play.
    fn is_there(&self) -> bool {
        self.mta_sts.is_some() || !self.tlsa.is_empty()
    }

    /// Whether an exchanger is secured by the policy or TLSA records.
    pub(super) fn secures(&self, host: &Domain) -> bool {
        self.mta_sts.is_some() || self.has_tlsa(host)
    }

    /// Whether an exchanger has TLSA records.
    pub(super) fn has_tlsa(&self, host: &Domain) -> bool {
        self.tlsa.contains_key(host)
    }

    /// Secures one exchanger more, as the others are by the policy.
    pub(super) fn secure(&mut self, host: &Domain) {
        self.names.insert(host.clone(), host.clone());
        if let Some((_, text)) = &mut self.mta_sts {
            if !text.ends_with('\n') {
                text.push('\n');
            }
            writeln!(text, "mx: {host}").expect("a string takes it all");
        }
    }

    /// The sender that heeds what there is.
    pub(super) fn sender(&self, settings: SenderSettings) -> SenderSettings {
        match self.is_there() {
            true => SenderSettings {
                tls: TlsPolicy::Dane,
                ..settings
            },
            false => settings,
        }
    }

    /// Puts it all into a drill, with what is wrong with it.
    pub(super) fn play(&self, mut builder: ScenarioBuilder, trouble: &Trouble) -> ScenarioBuilder {
        let (Some(domain), true) = (&self.domain, self.is_there()) else {
            return builder;
        };
        if let Some((records, text)) = &self.mta_sts {
            builder = builder
                .zone(&drill_records::text(records, None))
                .policy(PolicyRow::new(domain.clone(), text));
        }
        for (host, name) in &self.names {
            if !self.secures(host) {
                continue;
            }
            let certificate = match trouble {
                Trouble::Expired(of) if of == host => Certificate::Expired,
                _ => Certificate::Valid,
            };
            let mut receiver = ReceiverSettings {
                host: Some(Host::Name(name.clone())),
                certificate: Some(certificate),
                ..ReceiverSettings::default()
            };
            if let Some(records) = self.tlsa.get(host) {
                match trouble {
                    // Those of the domain are of keys that the lab has not.
                    Trouble::OldTlsa(of) if of == host => {
                        builder = builder.zone(&drill_records::text(records, None));
                    }
                    _ => {
                        for parameters in records.iter().filter_map(parameters) {
                            if !receiver.tlsa.contains(&parameters) {
                                receiver.tlsa.push(parameters);
                            }
                        }
                    }
                }
            }
            builder = builder.receiver(receiver);
        }
        if self.tlsa.is_empty() {
            return builder;
        }
        let signed = std::iter::once(domain).chain(
            self.tlsa
                .keys()
                .flat_map(|host| [host, self.names.get(host).unwrap_or(host)]),
        );
        let mut apexes: Vec<&Domain> = Vec::new();
        for name in signed {
            if !apexes.iter().any(|apex| name.is_within(apex)) {
                apexes.push(name);
            }
        }
        apexes
            .into_iter()
            .fold(builder, |builder, apex| builder.dnssec(apex.clone()))
    }
}

/// The parameters of a TLSA record; `None` if senders of mail cannot use it (RFC 7672 section 3.1).
fn parameters(record: &Record) -> Option<TlsaParameters> {
    let RData::TLSA(tlsa) = &record.data else {
        return None;
    };
    let parameters = TlsaParameters {
        usage: tlsa.cert_usage.into(),
        selector: tlsa.selector.into(),
        matching: tlsa.matching.into(),
    };
    let usable = matches!(parameters.usage, 2 | 3)
        && matches!(parameters.selector, 0 | 1)
        && matches!(parameters.matching, 0..=2);
    usable.then_some(parameters)
}

/// A policy that asks for TLS with just these exchangers, and is kept for a week.
fn assumed_policy(hosts: &[&Planned]) -> String {
    let mut text = "version: STSv1\nmode: enforce\n".to_owned();
    for planned in hosts {
        writeln!(text, "mx: {}", planned.host).expect("a string takes it all");
    }
    text + "max_age: 604800\n"
}
