//! Checks of TLS reports (RFC 8460) and of BIMI: what a domain asks for beside its policies.

use super::{
    super::{
        DomainFindings,
        catalogue::{BIMI_INVALID, BIMI_UNENFORCED, TLSRPT_INVALID, TLSRPT_MISSING},
    },
    dmarc, is_known, tags, the_one,
};
use crate::records::DomainRecords;

/// Whether TLS reports are asked for where they are wanted, and rightly.
pub(super) fn tls(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if !is_known(findings, "TLS report record", &domain_records.tls_rpt) {
        return;
    }
    let mut records = DomainRecords::texts(&domain_records.tls_rpt);
    // Others are discarded (section 3).
    records.retain(|(text, _)| {
        text.trim_start()
            .to_ascii_lowercase()
            .starts_with("v=tlsrpt")
    });
    if records.is_empty() {
        let mut hosts = domain_records.hosts.iter();
        // What does not begin so is discarded (RFC 8461 section 3.1).
        let announces = |(text, _): &(String, _)| text.starts_with("v=STSv1");
        let asks_for_tls = DomainRecords::texts(&domain_records.mta_sts)
            .iter()
            .any(announces)
            || hosts.any(|(_, host)| !host.tlsa.records().is_empty());
        if asks_for_tls {
            let message = format!("{domain} asks for TLS and for no reports about it");
            findings.add(TLSRPT_MISSING, None, message);
        }
        return;
    }
    let Some((record, place)) = the_one(findings, "TLS report", &records, None, TLSRPT_INVALID)
    else {
        return;
    };
    let wrong = match tags::value(&record, "rua") {
        _ if !record.starts_with("v=TLSRPTv1;") => {
            Some("expected v=TLSRPTv1; in first place".to_owned())
        }
        None => Some("expected a rua".to_owned()),
        Some(value) => value.split(',').map(str::trim).find_map(|address| {
            let is_uri = address.starts_with("mailto:") && address.contains('@')
                || address.starts_with("https://");
            (!is_uri).then(|| format!("found rua={address}, expected mailto: or https:"))
        }),
    };
    if let Some(wrong) = wrong {
        let message = format!("the TLS report record of {domain} is not valid: {wrong}");
        findings.add(TLSRPT_INVALID, place, message);
    }
}

/// Whether a logo can be shown.
pub(super) fn bimi(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if !is_known(findings, "BIMI record", &domain_records.bimi) {
        return;
    }
    let mut records = DomainRecords::texts(&domain_records.bimi);
    records.retain(|(text, _)| text.trim_start().to_ascii_lowercase().starts_with("v=bimi"));
    let Some((record, place)) = the_one(findings, "BIMI", &records, None, BIMI_INVALID) else {
        return;
    };
    let is_https = |value: &str| value.is_empty() || value.starts_with("https://");
    let wrong = match (tags::value(&record, "l"), tags::value(&record, "a")) {
        _ if !record.starts_with("v=BIMI1") => Some("expected v=BIMI1 in first place".to_owned()),
        (None, _) => Some("expected l, where the logo is".to_owned()),
        (Some(logo), _) if !is_https(logo) => Some(format!("found l={logo}, expected https:")),
        (_, Some(evidence)) if !is_https(evidence) => {
            Some(format!("found a={evidence}, expected https:"))
        }
        _ => None,
    };
    if let Some(wrong) = wrong {
        let message = format!("the BIMI record of {domain} is not valid: {wrong}");
        return findings.add(BIMI_INVALID, place, message);
    }
    // A logo that is none is a wish to show none.
    let declines = tags::value(&record, "l") == Some("")
        && tags::value(&record, "a").is_none_or(str::is_empty);
    if !declines && dmarc::enforced(domain_records) == Some(false) {
        let message = format!("{domain} has a BIMI record, and its DMARC policy is not enforced");
        findings.add(BIMI_UNENFORCED, place, message);
    }
}
