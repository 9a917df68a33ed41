//! The DMARC record that holds for a domain (RFC 9989 section 4.10), and who takes its reports.

use std::collections::BTreeSet;

use hickory_proto::rr::{RData, RecordType};

use super::{AT_ONCE, DomainRecords, LocatedRecord, RecordLookup, Source, joined};
use crate::name::Domain;

/// Labels of the longest name that is asked about after the domain itself (section 4.10: a walk has at most eight
/// questions, whoever made up the name).
const MOST_LABELS: usize = 7;

/// A record that a walk found above a domain.
struct Above {
    name: Domain,
    record: LocatedRecord,
    psd: Psd,
}

/// What a record says of the name that it is for (section 4.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Psd {
    /// `psd=y`: under it others have their domains.
    Suffix,
    /// `psd=n`: it is the top of what is one organization's.
    Organization,
    Unsaid,
}

/// The DMARC records that hold for a domain: its own, else that of its organizational domain, else that of the public
/// suffix above (section 4.10.1). All of its own are given, since several are a mistake; of the others one.
///
/// What is not known above a record that was found is passed over, and so is what is not known of a name of one label,
/// which no file has.
pub(super) async fn dmarc(source: &Source, domain: &Domain) -> RecordLookup {
    let own = records_at(source, domain).await;
    if !own.is_none() {
        return own;
    }
    let mut found: Vec<Above> = Vec::new();
    for name in names_above(domain) {
        let is_suffix = !name.as_str().contains('.');
        let mut records = match records_at(source, &name).await {
            RecordLookup::Records(records) => records,
            unknown @ (RecordLookup::Failed | RecordLookup::Unknown)
                if !is_suffix && found.is_empty() =>
            {
                return unknown;
            }
            _ => continue,
        };
        // Of several none counts (section 4.10, step 5).
        records.retain(is_valid);
        if let [_] = &records[..] {
            let record = records.remove(0);
            let psd = psd(&record);
            found.push(Above { name, record, psd });
            if psd != Psd::Unsaid {
                break;
            }
        }
    }
    match holding(domain, found) {
        Some(record) => RecordLookup::Records(vec![record]),
        None => own,
    }
}

/// The names that a walk asks about after the domain itself.
fn names_above(domain: &Domain) -> impl Iterator<Item = Domain> {
    let above = domain.at_and_above().skip(1);
    above
        .filter(|name| !name.is_root())
        .skip_while(|name| name.as_str().split('.').count() > MOST_LABELS)
}

/// The record that holds, of those that a walk found, from the longest name to the shortest (section 4.10.2).
fn holding(domain: &Domain, mut found: Vec<Above>) -> Option<LocatedRecord> {
    let last = found.pop()?;
    if last.psd != Psd::Suffix {
        return Some(last.record);
    }
    // The organizational domain is one label below the suffix; without a record of it that of the suffix holds.
    let below = |name: &Domain| name.parent().as_ref() == Some(&last.name);
    let organization = domain.at_and_above().find(below);
    let own = found
        .into_iter()
        .find(|above| Some(&above.name) == organization.as_ref());
    Some(own.map_or(last.record, |above| above.record))
}

/// The records at `_dmarc` under a name that are meant to be of DMARC.
async fn records_at(source: &Source, name: &Domain) -> RecordLookup {
    let mut reply = source.ask(&name.prefixed("_dmarc"), RecordType::TXT).await;
    if let RecordLookup::Records(records) = &mut reply {
        records.retain(is_dmarc);
        if records.is_empty() {
            return RecordLookup::NoData;
        }
    }
    reply
}

/// Whether a record begins with the version, exactly (section 4.8).
fn is_valid(placed: &LocatedRecord) -> bool {
    let RData::TXT(txt) = &placed.record.data else {
        return false;
    };
    let text = joined(txt);
    let first = text.split(';').next().unwrap_or_default();
    let tag = first.split_once('=');
    tag.is_some_and(|(name, value)| {
        name.trim().eq_ignore_ascii_case("v") && value.trim() == "DMARC1"
    })
}

fn psd(placed: &LocatedRecord) -> Psd {
    let RData::TXT(txt) = &placed.record.data else {
        return Psd::Unsaid;
    };
    let text = joined(txt);
    let tags = text.split(';').filter_map(|tag| tag.split_once('='));
    let mut values = tags.filter(|(name, _)| name.trim().eq_ignore_ascii_case("psd"));
    match values.next().map(|(_, value)| value.trim()) {
        Some(value) if value.eq_ignore_ascii_case("y") => Psd::Suffix,
        Some(value) if value.eq_ignore_ascii_case("n") => Psd::Organization,
        _ => Psd::Unsaid,
    }
}

/// The domains other than this one to which its DMARC reports go, each with what it says of that at
/// `DOMAIN._report._dmarc` under it. Whether two domains are of one owner is told by their names: one within the
/// other.
pub(super) async fn consents(
    source: &Source,
    domain: &Domain,
    dmarc: &RecordLookup,
) -> Vec<(Domain, RecordLookup)> {
    let mut others = report_hosts(dmarc);
    others.retain(|other| !other.is_within(domain) && !domain.is_within(other));
    let mut told = Vec::new();
    for other in others.into_iter().take(AT_ONCE) {
        let name = other.prefixed(&format!("{domain}._report._dmarc"));
        told.push((other, source.ask(&name, RecordType::TXT).await));
    }
    told
}

/// The domains to which DMARC reports go by mail.
pub(super) fn report_hosts(dmarc: &RecordLookup) -> BTreeSet<Domain> {
    let mut hosts: BTreeSet<Domain> = BTreeSet::new();
    for (text, _) in DomainRecords::texts(dmarc) {
        let addresses = text.split([';', ',', '=']).map(str::trim);
        let mailboxes = addresses.filter_map(|address| address.strip_prefix("mailto:"));
        hosts.extend(mailboxes.filter_map(|mailbox| {
            let (_, host) = mailbox.split_once('@')?;
            // The size that it takes may stand behind it.
            host.split('!').next()?.parse().ok()
        }));
    }
    hosts
}

/// Whether a record is one of DMARC, or is meant to be.
pub(crate) fn is_dmarc(placed: &LocatedRecord) -> bool {
    let RData::TXT(txt) = &placed.record.data else {
        return false;
    };
    let start: String = joined(txt).chars().filter(|c| *c != ' ').take(7).collect();
    let start = start.to_ascii_lowercase();
    start.starts_with("v=dmarc") || start.starts_with("p=")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn holding_for(domain: &str, records: &str) -> String {
        let mut source = Source::default();
        let text = format!("$TTL 300\n. SOA a. b. 1 2 3 4 5\n{records}");
        source
            .add_text("a.zone", &text, None)
            .unwrap_or_else(|mistakes| panic!("{mistakes}"));
        let domain: Domain = domain.parse().expect("a name");
        let reply = dmarc(&source, &domain).await;
        let owners = reply.records().iter().map(|placed| &placed.record.name);
        let owners: Vec<String> = owners.map(|name| Domain::from(name).to_string()).collect();
        owners.join(" ")
    }

    /// The examples of section 4.10.2, and what a walk passes over.
    #[tokio::test]
    async fn the_organizational_domain_says_what_holds() {
        let at = |names: &[(&str, &str)]| -> String {
            let lines = names
                .iter()
                .map(|(name, more)| format!("_dmarc.{name}. TXT \"v=DMARC1; p=none;{more}\"\n"));
            lines.collect()
        };
        let start = "a.mail.example.com";
        for (records, expected) in [
            (
                at(&[("mail.example.com", ""), ("example.com", "")]),
                "_dmarc.example.com",
            ),
            (
                at(&[("mail.example.com", " psd=n"), ("example.com", "")]),
                "_dmarc.mail.example.com",
            ),
            (at(&[("com", " psd=y")]), "_dmarc.com"),
            (
                at(&[("example.com", ""), ("com", " psd=y")]),
                "_dmarc.example.com",
            ),
            (
                at(&[("mail.example.com", ""), ("com", " psd=y")]),
                "_dmarc.com",
            ),
            (
                at(&[("a.mail.example.com", " psd=y"), ("com", "")]),
                "_dmarc.a.mail.example.com",
            ),
            (at(&[("example.com", ""), ("example.com", " sp=none")]), ""),
            (at(&[("other.com", "")]), ""),
            (
                "_dmarc.example.com. TXT \"v=DMARC2; p=none\"\n".to_owned(),
                "",
            ),
        ] {
            assert_eq!(holding_for(start, &records).await, expected, "{records}");
        }
    }

    #[test]
    fn a_walk_has_eight_questions_at_most() {
        let domain: Domain = "a.b.c.d.e.f.g.h.i.j.mail.example.com"
            .parse()
            .expect("a name");
        let names: Vec<String> = names_above(&domain).map(|name| name.to_string()).collect();
        assert_eq!(names.len(), 7);
        assert_eq!(names[0], "g.h.i.j.mail.example.com");
        assert_eq!(names[6], "com");
        let domain: Domain = "a.example.com".parse().expect("a name");
        assert_eq!(names_above(&domain).count(), 2);
    }
}
