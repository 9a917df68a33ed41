//! Checks of what exchangers say when they are visited: that they answer, TLS and certificates, names, extensions.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hickory_proto::rr::{RData, rdata::TLSA};

use super::{
    DomainFindings,
    catalogue::{
        CERTIFICATE_EXPIRY, CERTIFICATE_NAME, CERTIFICATE_UNTRUSTED, EXCHANGER_DOWN, GREETING_NAME,
        SMTPUTF8_DIFFERS, STARTTLS_ABSENT, TLS_VERSION, TLSA_MISMATCH,
    },
    listed,
};
use crate::{
    records::{OfferedTls, Talk, Visit, VisitEnd},
    tls::{Presented, Roots},
};

/// How long before its end a certificate should have been renewed: two weeks, in seconds.
const SOON: u64 = 14 * 86_400;

/// Everything about the visits, if there were some.
pub(super) fn check(findings: &mut DomainFindings<'_>) {
    let domain_records = findings.domain_records;
    let Some(visits) = &domain_records.visits else {
        return;
    };
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let roots = Roots::of_machine().ok();
    for visit in visits {
        let place = domain_records
            .targets
            .iter()
            .find(|listed| listed.host == visit.host)
            .and_then(|listed| listed.place.clone());
        let (host, address) = (&visit.host, visit.address);
        let who = format!("{host} [{address}]");
        match &visit.end {
            VisitEnd::NoWay(_) => {}
            VisitEnd::Down(why) => findings.add(EXCHANGER_DOWN, place, format!("{who} {why}")),
            VisitEnd::Talked(talk) => {
                let mut add = |check, message| findings.add(check, place.clone(), message);
                if talk.leads_back == Some(false) {
                    let name = talk.name();
                    add(
                        GREETING_NAME,
                        format!("{who} calls itself {name:?}, which does not lead to it"),
                    );
                }
                match &talk.tls {
                    OfferedTls::Absent => {
                        add(STARTTLS_ABSENT, format!("{who} offers no STARTTLS"));
                    }
                    OfferedTls::Failed(why) => {
                        add(
                            STARTTLS_ABSENT,
                            format!("{who} offers STARTTLS, and it fails: {why}"),
                        );
                    }
                    OfferedTls::TooOld => {
                        add(
                            TLS_VERSION,
                            format!("{who} has no version of TLS from 1.2 on"),
                        );
                    }
                    OfferedTls::Made(presented) => {
                        certificate(findings, visit, presented, roots.as_ref(), now);
                    }
                }
            }
        }
    }
    utf8(findings, visits);
}

/// Whether a certificate is for the host, current, by a known authority, and matched by TLSA records.
fn certificate(
    findings: &mut DomainFindings<'_>,
    visit: &Visit,
    presented: &Presented,
    roots: Option<&Roots>,
    now: Duration,
) {
    let domain_records = findings.domain_records;
    let (host, address) = (&visit.host, visit.address);
    let who = format!("{host} [{address}]");
    let listed = domain_records.targets.iter();
    let place = listed
        .filter(|listed| listed.host == *host)
        .find_map(|one| one.place.clone());
    let mut add = |check, message| findings.add(check, place.clone(), message);
    if !presented.is_for(host) {
        add(
            CERTIFICATE_NAME,
            format!("{who} shows a certificate that is not for {host}"),
        );
    }
    let mut is_current = true;
    if let Some((from, until)) = presented.validity() {
        is_current = (from..=until).contains(&now.as_secs());
        // Dates, and not how many days are left: what is found is the same from one day to the next.
        let wrong = match now.as_secs() {
            now if now < from => Some(format!("holds from {} on", date(from))),
            now if now > until => Some(format!("ended on {}", date(until))),
            now if until - now < SOON => Some(format!("ends on {}", date(until))),
            _ => None,
        };
        if let Some(wrong) = wrong {
            add(
                CERTIFICATE_EXPIRY,
                format!("the certificate of {who} {wrong}"),
            );
        }
    }
    let distrust = roots.and_then(|roots| presented.distrust(roots, now));
    // One that has ended is not looked at further.
    if let Some(why) = distrust.filter(|_| is_current) {
        add(
            CERTIFICATE_UNTRUSTED,
            format!("the certificate of {who} is not trusted: {why}"),
        );
    }
    let Some(known) = domain_records.host(host) else {
        return;
    };
    let tlsa: Vec<TLSA> = known
        .tlsa
        .records()
        .iter()
        .filter_map(|placed| match &placed.record.data {
            RData::TLSA(tlsa) => Some(tlsa.clone()),
            _ => None,
        })
        .collect();
    let names = [host.clone(), domain_records.domain.clone()];
    if presented.matches(&tlsa, &names, now) == Some(false) {
        let place = known
            .tlsa
            .records()
            .first()
            .and_then(|first| first.place.clone());
        let message = format!("no TLSA record of {host} matches the certificate of {who}");
        findings.add(TLSA_MISMATCH, place, message);
    }
}

/// A day as `2024-02-29`, from seconds since 1970.
fn date(seconds: u64) -> String {
    let (mut year, mut days) = (1970, seconds / 86_400);
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let length = |year| 365 + u64::from(is_leap(year));
    while days >= length(year) {
        days -= length(year);
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

/// Whether some take mail with addresses beyond ASCII and others do not.
fn utf8(findings: &mut DomainFindings<'_>, visits: &[Visit]) {
    let talks = || {
        visits.iter().filter_map(|visit| match &visit.end {
            VisitEnd::Talked(talk) => Some((visit, talk)),
            _ => None,
        })
    };
    let of = |wanted: bool| {
        let some = talks().filter(move |(_, talk): &(_, &Talk)| talk.has_utf8 == wanted);
        let mut hosts: Vec<_> = some.map(|(visit, _)| &visit.host).collect();
        hosts.dedup();
        hosts
    };
    let (with, without) = (of(true), of(false));
    if !with.is_empty() && !without.is_empty() {
        let message = format!(
            "SMTPUTF8 is offered by {}, and not by {}",
            listed(with),
            listed(without)
        );
        findings.add(SMTPUTF8_DIFFERS, None, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_told_by_their_dates() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_251_199, "2024-02-29"),
            (1_735_603_200, "2024-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
