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

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::{lint::lint, records::Source};

    const CLEAN: &str = "$ORIGIN example.test.\n$TTL 3600\n@ SOA ns h 1 2 3 4 5\n@ NS ns1.dns.test.\n@ NS ns2.dns.test.\n\
        @ MX 10 mx1\n@ MX 20 mx2\nmx1 A 192.0.2.1\nmx2 A 198.51.100.1\n";

    /// What is found in a domain that shows this besides its records.
    async fn found(live: Live) -> Vec<(&'static str, String)> {
        let mut source = Source::default();
        source
            .add_text("a.zone", CLEAN, None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let domain = "example.test".parse().expect("a name");
        let mut domain_records = DomainRecords::of(&source, &domain).await;
        domain_records.live = Some(live.into());
        let all = lint(&source, &[domain_records]).into_iter();
        let told = all.map(|finding| (finding.check.id, finding.message));
        let ids = [
            "name-servers-differ",
            "dnssec-chain",
            "mta-sts-form",
            "mta-sts-fetch",
        ];
        told.filter(|(id, _)| ids.contains(id)).collect()
    }

    fn nothing_wrong() -> Live {
        Live {
            policy: PolicyFetch::NotAnnounced,
            served: Vec::new(),
            chains: Vec::new(),
            greeted: Vec::new(),
            report_hosts: Vec::new(),
        }
    }

    fn served(last: u8, served: ServedMx) -> (Domain, IpAddr, ServedMx) {
        let host = format!("ns{last}.dns.test").parse().expect("a name");
        (host, IpAddr::from([192, 0, 2, last]), served)
    }

    fn records(hosts: &[(u16, &str)]) -> ServedMx {
        let records = hosts.iter().map(|(preference, host)| {
            let host = format!("{host}.example.test").parse().expect("a name");
            (*preference, host)
        });
        ServedMx::Records(records.collect())
    }

    #[tokio::test]
    async fn a_name_server_that_differs_is_named() {
        let usual = || records(&[(10, "mx1"), (20, "mx2")]);
        let all = vec![
            served(1, usual()),
            served(2, usual()),
            served(3, ServedMx::Silent("timed out".to_owned())),
        ];
        let live = |served| Live {
            served,
            ..nothing_wrong()
        };
        assert_eq!(found(live(all.clone())).await, []);
        for (last, told) in [
            (
                records(&[(10, "mx1")]),
                "ns4.dns.test [192.0.2.4] gives other MX records of example.test than the others: \
                 10 mx1.example.test, and not 10 mx1.example.test and 20 mx2.example.test",
            ),
            (
                ServedMx::NotServed("Query Refused".to_owned()),
                "ns4.dns.test [192.0.2.4] is a name server of example.test and does not serve it: found Query Refused",
            ),
        ] {
            let all = [&all[..], &[served(4, last)]].concat();
            assert_eq!(
                found(live(all)).await,
                [("name-servers-differ", told.to_owned())]
            );
        }
    }

    #[tokio::test]
    async fn a_chain_that_breaks_is_found_and_others_are_not() {
        for (chain, count) in [
            (Chain::Unsigned, 0),
            (Chain::Validated, 0),
            (Chain::Unknown, 0),
            (Chain::Insecure, 1),
            (Chain::Broken, 1),
        ] {
            let name: Domain = "example.test".parse().expect("a name");
            let live = Live {
                chains: vec![(name, chain.clone())],
                ..nothing_wrong()
            };
            let found = found(live).await;
            assert_eq!(found.len(), count, "{chain:?}: {found:?}");
            assert!(found.iter().all(|(id, _)| *id == "dnssec-chain"));
        }
    }

    #[tokio::test]
    async fn a_policy_is_text_and_nothing_else() {
        for (media_type, ids) in [
            (Some("text/plain"), &[][..]),
            (Some("text/html"), &["mta-sts-form"]),
            (None, &["mta-sts-form"]),
        ] {
            let media_type = media_type.map(str::to_owned);
            let live = Live {
                policy: PolicyFetch::Fetched { media_type },
                ..nothing_wrong()
            };
            let found = found(live).await;
            assert!(
                found.iter().map(|(id, _)| *id).eq(ids.iter().copied()),
                "{found:?}"
            );
        }
    }
}
