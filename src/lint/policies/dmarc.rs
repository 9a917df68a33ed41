//! Checks of DMARC (RFC 9989): what receivers make of the record, and which tags they pass over.
//!
//! A record is a list of tags. Without its version in first place it is none; a policy that is not
//! valid spoils it; any other tag that is not understood is passed over by receivers, and its
//! default holds.

use super::{
    super::{
        DomainFindings,
        catalogue::{
            DMARC_INVALID, DMARC_MISSING, DMARC_NONE, DMARC_REPORT_URI, DMARC_SEVERAL,
            DMARC_TAG_IGNORED,
        },
    },
    DMARC_POLICIES, dmarc_use, is_known,
    tags::{Tag, tags, value},
    the_one,
};
use crate::records::{DomainRecords, Location};

/// Everything about the DMARC record that holds for the domain, its own or one above it.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if !is_known(findings, "DMARC record", &domain_records.dmarc) {
        return;
    }
    let mut records = DomainRecords::texts(&domain_records.dmarc);
    // One with a slip in its version is none, unless there is no other.
    if records.iter().any(|(text, _)| is_record(text)) {
        records.retain(|(text, _)| is_record(text));
    }
    let one = the_one(
        findings,
        "DMARC",
        &records,
        Some(DMARC_MISSING),
        DMARC_SEVERAL,
    );
    let Some((record, place)) = one else { return };
    if !is_record(&record) {
        let message = format!("the DMARC record of {domain} is not valid: {record}");
        return findings.add(DMARC_INVALID, place, message);
    }
    policy(findings, &record, place.clone());
    for tag in tags(&record).filter(|tag| !tag.is_understood()) {
        let message = format!(
            "the DMARC record of {domain} has {}, which receivers pass over{}",
            tag.text,
            tag.hint()
        );
        findings.add(DMARC_TAG_IGNORED, place.clone(), message);
    }
    for name in ["rua", "ruf"] {
        let value = value(&record, name).unwrap_or_default();
        let addresses = value.split(',').map(str::trim);
        for address in addresses.filter(|address| !address.is_empty() && !is_uri(address)) {
            let message = format!(
                "the DMARC record of {domain} has {name}={address}, which is no URI: no report comes; expected mailto:{address}"
            );
            findings.add(DMARC_REPORT_URI, place.clone(), message);
        }
    }
    dmarc_use::check(findings, &record, place.as_ref());
}

/// Whether mail in the domain's name that fails is to be kept out; `None` where that is not known.
pub(super) fn enforced(domain_records: &DomainRecords) -> Option<bool> {
    let mut records = DomainRecords::texts(&domain_records.dmarc);
    records.retain(|(text, _)| is_record(text));
    let [(record, _)] = &records[..] else {
        return domain_records.dmarc.is_none().then_some(false);
    };
    Some(!holds_none(domain_records, record))
}

/// Whether the policy that holds for the domain is none, or there is none.
fn holds_none(domain_records: &DomainRecords, record: &str) -> bool {
    let is_inherited = dmarc_use::inherited_from(domain_records).is_some();
    let own = value(record, "sp").filter(|_| is_inherited);
    own.or(value(record, "p"))
        .is_none_or(|policy| policy.eq_ignore_ascii_case("none"))
}

/// The policy that holds for the domain: its own, or one for subdomains from above (section 4.7).
fn policy(findings: &mut DomainFindings<'_>, record: &str, place: Option<Location>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let is_policy = |value: &str| {
        DMARC_POLICIES
            .iter()
            .any(|policy| policy.eq_ignore_ascii_case(value))
    };
    // One that is not valid spoils the others too (section 4.10.1).
    let tags = ["p", "sp", "np"];
    let mut values = tags
        .iter()
        .filter_map(|tag| Some((*tag, value(record, tag)?)));
    if let Some((tag, wrong)) = values.find(|(_, value)| !is_policy(value)) {
        let message = format!(
            "the DMARC record of {domain} has no valid policy: found {tag}={wrong}, expected one of {}",
            DMARC_POLICIES.join(", ")
        );
        return findings.add(DMARC_INVALID, place, message);
    }
    if !holds_none(domain_records, record) {
        return;
    }
    let message = match value(record, "p").or(value(record, "sp")) {
        None => format!("the DMARC record of {domain} has no policy, which counts as none"),
        Some(_) => format!("the DMARC policy of {domain} is none: it asks for nothing"),
    };
    findings.add(DMARC_NONE, place, message);
}

/// Whether a text is a DMARC record: its version stands first, and is exactly that (section 4.8).
fn is_record(text: &str) -> bool {
    let first = tags(text).next();
    first.is_some_and(|tag| tag.name.eq_ignore_ascii_case("v") && tag.value == Some("DMARC1"))
}

impl Tag<'_> {
    /// Whether a receiver knows what to do with it; tags that nobody knows are there for others.
    fn is_understood(&self) -> bool {
        let Some(value) = self.value else {
            return false;
        };
        let one_of = |allowed: &[&str], value: &str| {
            allowed.iter().any(|word| word.eq_ignore_ascii_case(value))
        };
        match &*self.name.to_ascii_lowercase() {
            "adkim" | "aspf" => one_of(&["r", "s"], value),
            "fo" => value
                .split(':')
                .all(|one| one_of(&["0", "1", "d", "s"], one.trim())),
            "t" => one_of(&["y", "n"], value),
            "psd" => one_of(&["y", "n", "u"], value),
            // Obsolete, and followed by those who know RFC 7489 alone.
            "pct" => value.parse::<u8>().is_ok_and(|percent| percent <= 100),
            "ri" => value.parse::<u32>().is_ok(),
            _ => true,
        }
    }

    /// What would be understood, as the end of a message.
    fn hint(&self) -> &'static str {
        match &*self.name.to_ascii_lowercase() {
            _ if self.value.is_none() => "; expected NAME=VALUE",
            "adkim" | "aspf" => "; expected r or s",
            "fo" => "; expected 0, 1, d or s",
            "t" => "; expected y or n",
            "psd" => "; expected y, n or u",
            "pct" => "; expected a number from 0 to 100",
            _ => "; expected a number",
        }
    }
}

/// Whether a report address begins with a scheme (RFC 3986 section 3.1).
fn is_uri(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once(':') else {
        return false;
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'-' | b'.'));
    let is_mailbox = !scheme.eq_ignore_ascii_case("mailto") || rest.contains('@');
    is_scheme && is_mailbox
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_understood_or_passed_over() {
        for (record, wrong) in [
            ("v=DMARC1; p=reject; adkim=s; fo=1:d; pct=100; x=y", None),
            ("v=DMARC1;p=none;aspf=q", Some("aspf=q")),
            ("v=DMARC1; p=none; fo=2;", Some("fo=2")),
            ("v=DMARC1; p=none; fo=0 : s", None),
            ("v=DMARC1; p=none; pct=101", Some("pct=101")),
            ("v=DMARC1; p=none; ri=day", Some("ri=day")),
            ("v=DMARC1; p=none; t=1", Some("t=1")),
            ("v=DMARC1; p=none; psd=x", Some("psd=x")),
            ("v=DMARC1; p=none; stray", Some("stray")),
        ] {
            let mut ignored = tags(record).filter(|tag| !tag.is_understood());
            assert_eq!(ignored.next().map(|tag| tag.text), wrong, "{record}");
        }
        for (record, valid) in [
            ("v=DMARC1", true),
            ("v = DMARC1 ; p=none", true),
            ("V=DMARC1;p=none", true),
            ("v=dmarc1; p=none", false),
            ("v=DMARC1, p=none", false),
            ("p=none; v=DMARC1", false),
        ] {
            assert_eq!(is_record(record), valid, "{record}");
        }
        for (address, valid) in [
            ("mailto:a@b.test", true),
            ("mailto:a@b.test!10m", true),
            ("https://b.test/r", true),
            ("a@b.test", false),
            ("mailto:b.test", false),
        ] {
            assert_eq!(is_uri(address), valid, "{address}");
        }
    }
}
