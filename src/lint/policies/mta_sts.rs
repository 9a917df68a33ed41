//! Checks of MTA-STS (RFC 8461): the record that announces a policy, and the policy.
//!
//! The record is read to the letter here, where `crate::mta_sts` reads it as leniently as a sender
//! may: the owner should mend what only some senders accept.

use super::{
    super::{
        DomainFindings,
        catalogue::{
            MTA_STS_INVALID, MTA_STS_MAX_AGE, MTA_STS_MISSES, MTA_STS_NO_POLICY,
            MTA_STS_NOT_ENFORCED, MTA_STS_STALE_HOST,
        },
        listed,
    },
    is_known, the_one,
};
use crate::{
    mta_sts::{Mode, Policy},
    name::Domain,
    records::{DomainRecords, Location},
};

/// Everything about the record and, where it is at hand, the policy.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    if !is_known(findings, "MTA-STS record", &domain_records.mta_sts) {
        return;
    }
    let mut records = DomainRecords::texts(&domain_records.mta_sts);
    records.retain(|(text, _)| text.trim_start().to_ascii_lowercase().starts_with("v=sts"));
    // Records that do not begin so are discarded (section 3.1).
    let valid = |text: &str| text.starts_with("v=STSv1;");
    if records.iter().any(|(text, _)| valid(text)) {
        records.retain(|(text, _)| valid(text));
    }
    let one = the_one(findings, "MTA-STS", &records, None, MTA_STS_INVALID);
    let Some((record, place)) = one else { return };
    if let Err(why) = fields(&record) {
        let message = format!("the MTA-STS record of {domain} is not valid: {why} in {record}");
        return findings.add(MTA_STS_INVALID, place, message);
    }
    if domain_records.policy.is_none() && domain_records.policy_host.has_no_address() {
        let message = format!("mta-sts.{domain}, which serves the policy, has no address");
        return findings.add(MTA_STS_NO_POLICY, place, message);
    }
    let Some(text) = &domain_records.policy else {
        return;
    };
    let Some(policy) = Policy::parse(text) else {
        let message = format!("the MTA-STS policy of {domain} is not valid");
        return findings.add(MTA_STS_NO_POLICY, place, message);
    };
    let missed = domain_records
        .targets
        .iter()
        .filter(|listed| !policy.lists(&listed.host));
    let missed = listed(missed.map(|listed| &listed.host));
    if !missed.is_empty() && policy.mode != Mode::None {
        let message = format!("the MTA-STS policy of {domain} does not list {missed}");
        findings.add(MTA_STS_MISSES, place.clone(), message);
    }
    comes_to(findings, &policy, place.as_ref());
}

/// What a policy that is valid comes to.
fn comes_to(findings: &mut DomainFindings<'_>, policy: &Policy, place: Option<&Location>) {
    /// The least that `max_age` should be, in seconds; with more than a year the policy is none.
    const LEAST: u64 = 86_400;
    let domain_records = findings.domain_records;
    let domain = &domain_records.domain;
    let age = policy.max_age.as_secs();
    if age < LEAST {
        let message = format!(
            "the MTA-STS policy of {domain} has a max_age of {age} seconds, expected {LEAST} at least"
        );
        findings.add(MTA_STS_MAX_AGE, place.cloned(), message);
    }
    if policy.mode != Mode::Enforce {
        let message = format!("the MTA-STS policy of {domain} is not enforced");
        findings.add(MTA_STS_NOT_ENFORCED, place.cloned(), message);
    }
    let exchangers: Vec<&Domain> = domain_records.targets.iter().map(|one| &one.host).collect();
    let stale = policy.beyond(&exchangers);
    if !stale.is_empty() && !domain_records.targets.is_empty() {
        let message = format!(
            "the MTA-STS policy of {domain} lists {}, which is no exchanger of it",
            listed(stale)
        );
        findings.add(MTA_STS_STALE_HOST, place.cloned(), message);
    }
}

/// Whether a record has the fields that the grammar asks for (section 3.1), and an id among them.
fn fields(record: &str) -> Result<(), String> {
    let is_blank = |c: char| matches!(c, ' ' | '\t');
    // White space may stand before the last semicolon, and behind it where it is the last.
    let fields = record.trim_end_matches(is_blank);
    let fields = fields.strip_suffix(';').unwrap_or(fields);
    let mut ids = 0;
    for field in fields.split(';').skip(1) {
        let field = field.trim_matches(is_blank);
        let (name, value) = field
            .split_once('=')
            .ok_or_else(|| format!("found {field:?}, expected NAME=VALUE"))?;
        if name == "id" {
            ids += 1;
            let is_id = (1..=32).contains(&value.len())
                && value.bytes().all(|octet| octet.is_ascii_alphanumeric());
            if !is_id {
                return Err(format!(
                    "found id={value}, expected 1 to 32 letters and digits"
                ));
            }
            continue;
        }
        let is_name = (1..=32).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'_' | b'-' | b'.'));
        let is_value = !value.is_empty()
            && value
                .bytes()
                .all(|octet| octet.is_ascii_graphic() && octet != b'=');
        if !is_name || !is_value {
            return Err(format!("found {field:?}, expected NAME=VALUE"));
        }
    }
    match ids {
        1 => Ok(()),
        0 => Err("found no id, expected one".to_owned()),
        more => Err(format!("found {more} ids, expected one")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_held_to_the_grammar() {
        for valid in [
            "v=STSv1; id=1",
            "v=STSv1;id=20240101T000000;",
            "v=STSv1; id=1 ; ",
            "v=STSv1; x-y=a/b; id=1;",
        ] {
            assert_eq!(fields(valid), Ok(()), "{valid}");
        }
        let long = format!("v=STSv1; id={}", "1".repeat(33));
        for wrong in [
            "v=STSv1;",
            "v=STSv1",
            "v=STSv1; id=",
            "v=STSv1; id=2024-01-01",
            "v=STSv1; id=1; id=2",
            "v=STSv1; id=1; stray",
            "v=STSv1; id=1;; x=1",
            "v=STSv1; id=1; x=a b",
            "v=STSv1; id = 1",
            "v=STSv1; id=1; -x=1",
            "v=STSv1; id=1; x y=1",
            "v=STSv1; ID=1",
            &long,
        ] {
            assert!(fields(wrong).is_err(), "{wrong}");
        }
    }
}
