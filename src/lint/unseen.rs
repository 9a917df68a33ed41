//! What the checks did not see: a domain without findings is clean only as far as its records are known.
//!
//! Each line names the checks that would have needed what was not there, so that nobody takes
//! silence for health.

use super::listed;
use crate::{
    name::Domain,
    records::{
        Chain, DomainRecords, KnownHost, Mailable, PolicyFetch, RecordLookup, ServedMx, VisitEnd,
    },
};

/// Names that are listed; how many more there are is said.
const SHOWN: usize = 5;

/// Something about a domain that is not known, and so has not been checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unseen {
    /// The domain whose mail it is about.
    pub domain: Domain,
    /// What it is, in words.
    pub what: String,
    /// The ids of the checks that would have needed it.
    pub checks: &'static [&'static str],
}

// For each kind of record, the ids of the checks that need it. A test holds them against the
// catalogue.
const OF_ADDRESSES: &[&str] = &[
    "target-alias",
    "target-private",
    "target-no-address",
    "target-nxdomain",
    "shared-address",
    "shared-network",
    "single-exchanger",
    "ipv6-absent",
    "ipv6-only",
    "ptr-missing",
    "ptr-mismatch",
];
const OF_REVERSE: &[&str] = &["ptr-missing", "ptr-mismatch"];
const OF_SPF: &[&str] = &[
    "spf-missing",
    "spf-several",
    "spf-invalid",
    "spf-lookups",
    "spf-void",
    "spf-mx-limit",
    "spf-include-missing",
    "spf-loop",
    "spf-plus-all",
    "spf-dead-term",
    "spf-ptr",
    "spf-no-all",
    "spf-neutral-all",
    "spf-after-all",
    "spf-wide",
    "spf-length",
    "spf-type",
    "spf-macro",
    "spf-own-exchangers",
    "null-mx-sends",
    "parked",
];
const OF_INCLUDES: &[&str] = &[
    "spf-lookups",
    "spf-void",
    "spf-include-missing",
    "spf-loop",
    "spf-own-exchangers",
];
const OF_DMARC: &[&str] = &[
    "dmarc-missing",
    "dmarc-several",
    "dmarc-invalid",
    "dmarc-tag-ignored",
    "dmarc-report-uri",
    "dmarc-none",
    "dmarc-no-reports",
    "dmarc-subdomains",
    "dmarc-obsolete-tag",
    "dmarc-order",
    "dmarc-inherited",
    "bimi-unenforced",
    "parked",
];
const OF_CONSENT: &[&str] = &["dmarc-report-consent"];
const OF_TLS_REPORTS: &[&str] = &["tlsrpt-missing", "tlsrpt-invalid"];
const OF_BIMI: &[&str] = &["bimi-invalid", "bimi-unenforced"];
const OF_NAME_SERVERS: &[&str] = &["shared-fate"];
const OF_MTA_STS: &[&str] = &["mta-sts-invalid", "mta-sts-no-policy", "mta-sts-misses"];
const OF_POLICY: &[&str] = &[
    "mta-sts-misses",
    "mta-sts-max-age",
    "mta-sts-not-enforced",
    "mta-sts-stale-host",
    "mta-sts-form",
];
const OF_TLSA: &[&str] = &[
    "tlsa-partial",
    "tlsa-usage",
    "tlsa-length",
    "tlsa-unsigned",
    "tlsa-sha512-only",
    "tlsa-rollover",
];
const OF_DNSSEC: &[&str] = &["tlsa-unsigned"];
const OF_CHAIN: &[&str] = &["dnssec-chain"];
const OF_SERVERS: &[&str] = &["name-servers-differ"];
const OF_REPORTS: &[&str] = &["dmarc-report-unreachable"];
const OF_VISITS: &[&str] = &[
    "exchanger-down",
    "starttls-absent",
    "certificate-name",
    "certificate-expiry",
    "certificate-untrusted",
    "tls-version",
    "greeting-name",
    "smtputf8-differs",
    "tlsa-mismatch",
];

/// What was not seen of some domains, in their order.
pub fn unseen(surveys: &[DomainRecords]) -> Vec<Unseen> {
    let mut all = Vec::new();
    for domain_records in surveys {
        // Of a domain that is not there nothing was to be seen, and of a lookup that failed there is a finding.
        if matches!(
            domain_records.mx,
            RecordLookup::Failed | RecordLookup::NoDomain
        ) {
            continue;
        }
        let mut add = |what: String, checks| {
            all.push(Unseen {
                domain: domain_records.domain.clone(),
                what,
                checks,
            });
        };
        let those = |unknown: &dyn Fn(&KnownHost) -> bool| {
            let hosts = exchangers(domain_records).filter(|(_, host)| unknown(host));
            few(hosts.map(|(name, _)| name))
        };
        let unknown = |reply: &RecordLookup| matches!(reply, RecordLookup::Unknown);
        if let Some(hosts) = those(&|host| unknown(&host.ipv4) || unknown(&host.ipv6)) {
            add(format!("the addresses of {hosts}"), OF_ADDRESSES);
        }
        let unnamed = domain_records.reverse.iter().filter(|(_, reverse)| {
            matches!(reverse.names, RecordLookup::Unknown | RecordLookup::Failed)
        });
        if let Some(addresses) = few(unnamed.map(|(address, _)| address)) {
            add(format!("the PTR records of {addresses}"), OF_REVERSE);
        }
        if unknown(&domain_records.txt) {
            add("the SPF record".to_owned(), OF_SPF);
        }
        let targets = domain_records
            .spf
            .as_ref()
            .and_then(|walk| few(&walk.unseen));
        if let Some(targets) = targets {
            let what = format!("the SPF records of {targets}, which it includes");
            add(what, OF_INCLUDES);
        }
        if unknown(&domain_records.dmarc) {
            add("the DMARC record".to_owned(), OF_DMARC);
        }
        match &domain_records.mta_sts {
            RecordLookup::Unknown => add("the MTA-STS record".to_owned(), OF_MTA_STS),
            RecordLookup::Records(_) if domain_records.policy.is_none() => {
                policy(domain_records, &mut add);
            }
            _ => {}
        }
        around(domain_records, &mut add);
        if let Some(hosts) =
            those(&|host| matches!(host.tlsa, RecordLookup::Unknown | RecordLookup::Failed))
        {
            add(format!("the TLSA records of {hosts}"), OF_TLSA);
        }
        let unsigned = |host: &KnownHost| !host.tlsa.records().is_empty() && host.signed.is_none();
        if let Some(hosts) = those(&unsigned) {
            add(format!("whether DNSSEC covers {hosts}"), OF_DNSSEC);
        }
        live(domain_records, &mut add);
    }
    all
}

/// Why the policy was not seen; that a live one cannot be fetched is a finding.
fn policy(domain_records: &DomainRecords, add: &mut impl FnMut(String, &'static [&'static str])) {
    match domain_records.live.as_ref().map(|live| &live.policy) {
        None => add(
            "the MTA-STS policy, which is fetched by HTTPS".to_owned(),
            OF_POLICY,
        ),
        Some(PolicyFetch::NotTried(why)) => {
            add(format!("the MTA-STS policy: {why}"), OF_POLICY);
        }
        Some(PolicyFetch::Failed(_)) => add("the MTA-STS policy".to_owned(), OF_POLICY),
        Some(PolicyFetch::NotAnnounced | PolicyFetch::Fetched { .. }) => {}
    }
}

/// What was not seen of a domain that is looked at live.
fn live(domain_records: &DomainRecords, add: &mut impl FnMut(String, &'static [&'static str])) {
    match &domain_records.visits {
        None if domain_records.live.is_some() => {
            add(
                "the exchangers themselves (--connect)".to_owned(),
                OF_VISITS,
            );
        }
        None => {}
        Some(visits) => {
            let no_way = visits.iter().filter_map(|visit| match &visit.end {
                VisitEnd::NoWay(_) => Some(format!("{} [{}]", visit.host, visit.address)),
                _ => None,
            });
            if let Some(those) = few(no_way) {
                add(
                    format!("{those}, to which this machine has no way"),
                    OF_VISITS,
                );
            }
        }
    }
    let Some(live) = &domain_records.live else {
        return;
    };
    let silent = live
        .served
        .iter()
        .filter_map(|(host, address, served)| match served {
            ServedMx::Silent(_) => Some(format!("{host} [{address}]")),
            _ => None,
        });
    if let Some(servers) = few(silent) {
        add(
            format!("what the name servers {servers} say: they do not answer"),
            OF_SERVERS,
        );
    }
    let unknown = |(_, chain): &&(Domain, Chain)| *chain == Chain::Unknown;
    if let Some(names) = few(live.chains.iter().filter(unknown).map(|(name, _)| name)) {
        let what = format!("whether DNSSEC holds for {names}: the resolver does not validate");
        add(what, OF_CHAIN);
    }
    let unknown = |(_, mailable): &&(Domain, Mailable)| *mailable == Mailable::Unknown;
    if let Some(hosts) = few(live
        .report_hosts
        .iter()
        .filter(unknown)
        .map(|(host, _)| host))
    {
        add(format!("whether {hosts} takes mail"), OF_REPORTS);
    }
}

/// What was not seen beside the exchangers and the policies.
fn around(domain_records: &DomainRecords, add: &mut impl FnMut(String, &'static [&'static str])) {
    let consents = domain_records.consents.iter();
    let silent =
        consents.filter(|(_, reply)| matches!(reply, RecordLookup::Unknown | RecordLookup::Failed));
    if let Some(others) = few(silent.map(|(other, _)| other)) {
        add(format!("whether {others} takes DMARC reports"), OF_CONSENT);
    }
    for (reply, what, checks) in [
        (
            &domain_records.tls_rpt,
            "the TLS report record",
            OF_TLS_REPORTS,
        ),
        (&domain_records.bimi, "the BIMI record", OF_BIMI),
    ] {
        if matches!(reply, RecordLookup::Unknown) {
            add(what.to_owned(), checks);
        }
    }
    let servers = domain_records.name_servers.iter();
    let elsewhere = servers.filter(|(_, addresses)| addresses.is_empty());
    if let Some(servers) = few(elsewhere.map(|(server, _)| server)) {
        let what = format!("the addresses of the name servers {servers}");
        add(what, OF_NAME_SERVERS);
    }
}

/// The exchangers of a domain that are names of hosts, each once, in order, with what is known of them. A domain
/// without MX records is its own.
fn exchangers(domain_records: &DomainRecords) -> impl Iterator<Item = (&Domain, &KnownHost)> {
    // What is no name of another host has a finding of its own.
    let is_host = |host: &&Domain| {
        !host.is_root()
            && domain_records.literal(host).is_none()
            && !DomainRecords::is_localhost(host)
    };
    let listed = domain_records.targets.iter().map(|listed| &listed.host);
    let mut names: Vec<&Domain> = listed.filter(is_host).collect();
    names.sort();
    names.dedup();
    if domain_records.targets.is_empty() {
        names.push(&domain_records.domain);
    }
    names
        .into_iter()
        .filter_map(|name| Some((name, domain_records.host(name)?)))
}

/// Some of the names, and how many more there are; `None` if there is none.
fn few<T: ToString>(names: impl IntoIterator<Item = T>) -> Option<String> {
    let mut names: Vec<String> = names.into_iter().map(|name| name.to_string()).collect();
    let count = names.len();
    if count > SHOWN + 1 {
        names.truncate(SHOWN);
        names.push(format!("{} more", count - SHOWN));
    }
    (count > 0).then(|| listed(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_names_are_told_and_many_are_counted() {
        assert_eq!(few(Vec::<u8>::new()), None);
        assert_eq!(few([1]).as_deref(), Some("1"));
        assert_eq!(few(1..=6).as_deref(), Some("1, 2, 3, 4, 5 and 6"));
        assert_eq!(few(1..=7).as_deref(), Some("1, 2, 3, 4, 5 and 2 more"));
    }
}
