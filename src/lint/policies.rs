//! Checks of what a domain says in TXT records: SPF, DMARC, MTA-STS.

use std::{
    net::{Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use mail_auth::{
    common::parse::TxtRecordParser,
    dmarc::Dmarc,
    mta_sts::MtaSts,
    spf::{Mechanism, Qualifier, Spf},
};

use super::{
    Check, Findings,
    catalogue::{
        DMARC_INVALID, DMARC_MISSING, DMARC_NONE, DMARC_SEVERAL, LOOKUP_FAILED, MTA_STS_INVALID,
        MTA_STS_MISSES, MTA_STS_NO_POLICY, SPF_INVALID, SPF_LOOKUPS, SPF_MISSING, SPF_PLUS_ALL,
        SPF_SEVERAL,
    },
    listed,
};
use crate::{
    mta_sts::{Mode, Policy},
    name::Domain,
    survey::{Place, Reply, Survey},
};

/// Lookups that a check of an SPF record may cause (RFC 7208 section 4.6.4).
const MAX_LOOKUPS: usize = 10;

pub(super) fn check(findings: &mut Findings<'_>) {
    spf(findings);
    dmarc(findings);
    mta_sts(findings);
}

/// The record of a kind that counts: of several, none does.
fn the_one(
    findings: &mut Findings<'_>,
    kind: &str,
    records: &[(String, Option<Place>)],
    missing: Option<Check>,
    several: Check,
) -> Option<(String, Option<Place>)> {
    let domain = &findings.survey.domain;
    match records {
        [only] => return Some(only.clone()),
        [] => {
            let message = format!("{domain} has no {kind} record");
            if let Some(missing) = missing {
                findings.add(missing, None, message);
            }
        }
        [_, (_, second), ..] => {
            let count = records.len();
            let message = format!("{domain} has {count} {kind} records: none counts");
            findings.add(several, second.clone(), message);
        }
    }
    None
}

fn spf(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    let domain = &survey.domain;
    match &survey.txt {
        Reply::Failed => {
            let message = format!("the TXT records of {domain} could not be looked up");
            return findings.add(LOOKUP_FAILED, None, message);
        }
        Reply::Unknown => return,
        _ => {}
    }
    let records = survey.spf_records();
    let one = the_one(findings, "SPF", &records, Some(SPF_MISSING), SPF_SEVERAL);
    let Some((record, place)) = one else { return };
    if let Some(term) = bad_term(&record) {
        let message = format!("the SPF record of {domain} is not valid: {term} in {record}");
        return findings.add(SPF_INVALID, place, message);
    }
    let Ok(parsed) = Spf::parse(record.as_bytes()) else {
        let message = format!("the SPF record of {domain} is not valid: {record}");
        return findings.add(SPF_INVALID, place, message);
    };
    let passes_all = parsed.directives.iter().any(|directive| {
        directive.mechanism == Mechanism::All && directive.qualifier == Qualifier::Pass
    });
    if passes_all {
        let message = format!("the SPF record of {domain} lets everybody send: {record}");
        findings.add(SPF_PLUS_ALL, place.clone(), message);
    }
    if let Some(cost) = survey.spf_cost.filter(|cost| cost.lookups > MAX_LOOKUPS) {
        let more = if cost.more { " or more" } else { "" };
        let message = format!(
            "the SPF record of {domain} needs {}{more} lookups, expected {MAX_LOOKUPS} at most",
            cost.lookups
        );
        findings.add(SPF_LOOKUPS, place, message);
    }
}

/// The first term of an SPF record that makes all of it invalid (RFC 7208 section 4.6.1) and that the
/// library lets pass: a mechanism that nobody knows, or a network that is none.
fn bad_term(record: &str) -> Option<&str> {
    const MECHANISMS: [&str; 6] = ["all", "include", "a", "mx", "ptr", "exists"];
    record.split_ascii_whitespace().skip(1).find(|term| {
        let term = term.trim_start_matches(['+', '-', '~', '?']);
        let end = term.find([':', '/', '=']).unwrap_or(term.len());
        let (name, rest) = term.split_at(end);
        if rest.starts_with('=') {
            // Modifiers that nobody knows are passed over.
            return false;
        }
        let known = match &*name.to_ascii_lowercase() {
            "ip4" => is_network::<Ipv4Addr>(rest, 32),
            "ip6" => is_network::<Ipv6Addr>(rest, 128),
            name => MECHANISMS.contains(&name),
        };
        !known
    })
}

/// Whether `:ADDRESS` or `:ADDRESS/LENGTH` is a network.
fn is_network<A: FromStr>(text: &str, longest: u8) -> bool {
    let Some(text) = text.strip_prefix(':') else {
        return false;
    };
    let (address, length) = text
        .split_once('/')
        .map_or((text, None), |(a, l)| (a, Some(l)));
    let length = length.is_none_or(|length| length.parse::<u8>().is_ok_and(|n| n <= longest));
    address.parse::<A>().is_ok() && length
}

fn dmarc(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    let domain = &survey.domain;
    match &survey.dmarc {
        Reply::Failed => {
            let message = format!("the DMARC record of {domain} could not be looked up");
            return findings.add(LOOKUP_FAILED, None, message);
        }
        Reply::Unknown => return,
        _ => {}
    }
    let mut records = Survey::texts(&survey.dmarc);
    // One with a slip in its version is none, unless there is no other.
    let valid = |text: &str| text.starts_with("v=DMARC1");
    if records.iter().any(|(text, _)| valid(text)) {
        records.retain(|(text, _)| valid(text));
    }
    let one = the_one(
        findings,
        "DMARC",
        &records,
        Some(DMARC_MISSING),
        DMARC_SEVERAL,
    );
    let Some((record, place)) = one else { return };
    // A policy of subdomains holds for them in place of the policy (section 6.3).
    let name = format!("_dmarc.{domain}");
    let inherited = !survey
        .dmarc
        .records()
        .iter()
        .any(|placed| Domain::from(&placed.record.name).as_str() == name);
    let tag = match inherited && value(&record, "sp").is_some() {
        true => "sp",
        false => "p",
    };
    let policy = value(&record, tag).unwrap_or_default().to_ascii_lowercase();
    let reports = value(&record, "rua").is_some();
    let readable = Dmarc::parse(record.as_bytes()).is_ok() && valid(&record);
    match &*policy {
        _ if !readable => {
            let message = format!("the DMARC record of {domain} is not valid: {record}");
            findings.add(DMARC_INVALID, place, message);
        }
        "quarantine" | "reject" => {}
        "none" => {
            let message = format!("the DMARC policy of {domain} is none: it asks for nothing");
            findings.add(DMARC_NONE, place, message);
        }
        // With an address for reports it counts as none (section 6.6.3).
        "" if reports => {
            let message =
                format!("the DMARC record of {domain} has no policy, which counts as none");
            findings.add(DMARC_NONE, place, message);
        }
        _ => {
            let message =
                format!("the DMARC record of {domain} has no valid policy ({tag}): {record}");
            findings.add(DMARC_INVALID, place, message);
        }
    }
}

/// The value of a tag.
fn value<'a>(record: &'a str, wanted: &str) -> Option<&'a str> {
    record.split(';').find_map(|tag| {
        let (name, value) = tag.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(wanted)
            .then(|| value.trim())
    })
}

fn mta_sts(findings: &mut Findings<'_>) {
    let survey = findings.survey;
    let domain = &survey.domain;
    if matches!(survey.mta_sts, Reply::Failed) {
        let message = format!("the MTA-STS record of {domain} could not be looked up");
        return findings.add(LOOKUP_FAILED, None, message);
    }
    let mut records = Survey::texts(&survey.mta_sts);
    records.retain(|(text, _)| text.trim_start().to_ascii_lowercase().starts_with("v=sts"));
    let valid = |text: &str| text.starts_with("v=STSv1;");
    if records.iter().any(|(text, _)| valid(text)) {
        records.retain(|(text, _)| valid(text));
    }
    let one = the_one(findings, "MTA-STS", &records, None, MTA_STS_INVALID);
    let Some((record, place)) = one else { return };
    let id = MtaSts::parse(record.as_bytes()).map(|parsed| parsed.id);
    let is_id =
        |id: &str| (1..=32).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric());
    if !id.is_ok_and(|id| is_id(id.trim())) {
        let message = format!("the MTA-STS record of {domain} is not valid: {record}");
        return findings.add(MTA_STS_INVALID, place, message);
    }
    if survey.policy.is_none() && survey.policy_host.has_no_address() {
        let message = format!("mta-sts.{domain}, which serves the policy, has no address");
        return findings.add(MTA_STS_NO_POLICY, place, message);
    }
    let Some(text) = &survey.policy else { return };
    let Some(policy) = Policy::parse(text) else {
        let message = format!("the MTA-STS policy of {domain} is not valid");
        return findings.add(MTA_STS_NO_POLICY, place, message);
    };
    let missed = survey
        .listed
        .iter()
        .filter(|listed| !policy.lists(&listed.host));
    let missed = listed(missed.map(|listed| &listed.host));
    if !missed.is_empty() && policy.mode != Mode::None {
        let message = format!("the MTA-STS policy of {domain} does not list {missed}");
        findings.add(MTA_STS_MISSES, place, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_term_that_spoils_an_spf_record_is_named() {
        for (record, bad) in [
            (
                "v=spf1 mx ip4:192.0.2.0/24 ip6:2001:db8::/32 include:a.test ra=x -all",
                None,
            ),
            (
                "v=spf1 +a:mx.test/24//64 ?exists:%{i}.a.test redirect=b.test",
                None,
            ),
            ("v=spf1 ipv4:192.0.2.1 -all", Some("ipv4:192.0.2.1")),
            ("v=spf1 ip4:192.0.2.1/33 -all", Some("ip4:192.0.2.1/33")),
            ("v=spf1 ip4:300.1.1.1 -all", Some("ip4:300.1.1.1")),
            ("v=spf1 ip6:192.0.2.1 -all", Some("ip6:192.0.2.1")),
            ("v=spf1 mx -al", Some("-al")),
        ] {
            assert_eq!(bad_term(record), bad, "{record}");
        }
    }
}
