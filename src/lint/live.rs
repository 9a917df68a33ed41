//! Checks of what a live domain shows besides its records: the policy that is served, its name servers, DNSSEC, and where
//! its names and reports lead.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    DomainFindings,
    catalogue::{
        DMARC_REPORT_UNREACHABLE, DNSSEC_CHAIN, MTA_STS_FETCH, MTA_STS_FORM, NAME_SERVERS_DIFFER,
        SPF_HELO,
    },
    listed,
};
use crate::{
    mta_sts::Policy,
    name::Domain,
    records::{Chain, DomainRecords, Live, Mailable, PolicyFetch, ServedMx, is_spf},
};

/// Everything about it, if it was looked at.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    form(findings);
    let Some(live) = &domain_records.live else {
        return;
    };
    fetch(findings, live);
    name_servers(findings, live);
    greetings(findings, live);
    let domain = &domain_records.domain;
    for (host, mailable) in &live.report_hosts {
        if let Mailable::No(why) = mailable {
            let message =
                format!("the DMARC record of {domain} sends reports to {host}, which {why}");
            findings.add(DMARC_REPORT_UNREACHABLE, None, message);
        }
    }
}

/// What DNSSEC makes of the domain: also of one that cannot be looked up.
pub(super) fn chain(findings: &mut DomainFindings<'_>) {
    let Some(live) = &findings.domain_records.live else {
        return;
    };
    for (name, chain) in &live.chains {
        let found = match chain {
            Chain::Broken => {
                "its answers do not pass validation: resolvers that validate refuse them"
            }
            Chain::Insecure => "its answers are not validated",
            Chain::Unsigned | Chain::Validated | Chain::Unknown => continue,
        };
        let message = format!("a DS record is published for the zone of {name}, and {found}");
        findings.add(DNSSEC_CHAIN, None, message);
    }
}

/// How the policy is written, wherever it is from.
fn form(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let Some(text) = &domain_records.policy else {
        return;
    };
    let repeated = Policy::repeated(text);
    if !repeated.is_empty() {
        let message = format!(
            "the MTA-STS policy of {domain} has {} more than once",
            listed(repeated)
        );
        findings.add(MTA_STS_FORM, None, message);
    }
}

/// Whether the policy was there, and as what it came.
fn fetch(findings: &mut DomainFindings<'_>, live: &Live) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    match &live.policy {
        // A host without an address is a finding of its own.
        PolicyFetch::Failed(why) if !domain_records.policy_host.has_no_address() => {
            let message = format!("the MTA-STS policy of {domain} cannot be fetched: {why}");
            findings.add(MTA_STS_FETCH, None, message);
        }
        PolicyFetch::Fetched { media_type } if media_type.as_deref() != Some("text/plain") => {
            let found = media_type.as_deref().unwrap_or("no media type");
            let message =
                format!("the MTA-STS policy of {domain} is served as {found}, expected text/plain");
            findings.add(MTA_STS_FORM, None, message);
        }
        _ => {}
    }
}

/// Whether all name servers that answer give the same MX records. Those that most of them give are taken for right.
fn name_servers(findings: &mut DomainFindings<'_>, live: &Live) {
    let domain = &findings.domain_records.domain;
    let mut by_answer: BTreeMap<&BTreeSet<(u16, Domain)>, Vec<String>> = BTreeMap::new();
    for (host, address, served) in &live.served {
        let server = format!("{host} [{address}]");
        match served {
            ServedMx::Records(records) => by_answer.entry(records).or_default().push(server),
            ServedMx::NotServed(what) => {
                let message = format!(
                    "{server} is a name server of {domain} and does not serve it: found {what}"
                );
                findings.add(NAME_SERVERS_DIFFER, None, message);
            }
            ServedMx::Silent(_) => {}
        }
    }
    let Some(usual) = by_answer.iter().max_by_key(|(_, servers)| servers.len()) else {
        return;
    };
    let usual = *usual.0;
    for (records, servers) in by_answer.iter().filter(|(records, _)| **records != usual) {
        let message = format!(
            "{} gives other MX records of {domain} than the others: {}, and not {}",
            listed(servers),
            told(records),
            told(usual)
        );
        findings.add(NAME_SERVERS_DIFFER, None, message);
    }
}

/// MX records in words.
fn told(records: &BTreeSet<(u16, Domain)>) -> String {
    match records.is_empty() {
        true => "none".to_owned(),
        false => listed(
            records
                .iter()
                .map(|(preference, host)| format!("{preference} {host}")),
        ),
    }
}

/// Whether the exchangers' own names have SPF records.
fn greetings(findings: &mut DomainFindings<'_>, live: &Live) {
    let lacks = |(host, reply): &&(Domain, _)| {
        let texts = DomainRecords::texts(reply);
        // That of the domain is a check of its own.
        *host != findings.domain_records.domain
            && (reply.is_none() || !reply.records().is_empty())
            && !texts.iter().any(|(text, _)| is_spf(text))
    };
    let without: Vec<&Domain> = live
        .greeted
        .iter()
        .filter(lacks)
        .map(|(host, _)| host)
        .collect();
    if !without.is_empty() {
        let message = format!("no SPF record stands at the names of {}", listed(without));
        findings.add(SPF_HELO, None, message);
    }
}
