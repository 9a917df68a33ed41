//! Where mail for a domain goes: its route as a sender walks it, before anything is sent.
//!
//! It answers "where would mail go now?" with the records that were looked up. Nothing is drawn by chance:
//! where a sender chooses, the plan gives shares.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use serde::Serialize;

use crate::{
    name::Domain,
    records::{DomainRecords, KnownHost, RecordLookup},
    route::{Exchanger, Unroutable},
};

/// Where mail for a domain goes, as all senders that follow RFC 5321 section 5.1 would find it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The domain, as in an address behind the `@`.
    pub domain: Domain,
    /// By which kind of records its mail is led.
    pub kind: RouteKind,
    /// Why mail cannot go anywhere; `None` if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The levels of preference, most preferred first. Empty if there are no exchangers.
    pub levels: Vec<PreferenceLevel>,
    /// Whether mail that goes nowhere now may go somewhere later: a lookup failed.
    #[serde(skip)]
    waits: bool,
}

/// By which kind of records mail for a domain is led.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RouteKind {
    /// Its MX records.
    Mx,
    /// The domain's own address, for want of MX records (RFC 5321 section 5.1).
    Implicit,
    /// A null MX: it takes no mail (RFC 7505).
    Null,
    /// The domain does not exist: mail for it is returned.
    NoDomain,
    /// Its MX records are not known: a lookup failed, or no file has them.
    Unknown,
}

/// The exchangers of one preference, among which senders choose by chance.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PreferenceLevel {
    /// The preference; 0 for an implicit MX.
    pub preference: u16,
    /// The exchangers, by name.
    pub exchangers: Vec<Planned>,
}

/// An exchanger as a sender would use it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// Its name, as the MX record has it; for an implicit MX the domain itself.
    pub host: Domain,
    /// The name that it is an alias of (which RFC 5321 section 5.1 leaves outside the standard); `None` if it is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias_of: Option<Domain>,
    /// Its addresses in the order of the answers, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Its share of the mail that comes to its level, from 0 to 1: equal among those that can be
    /// used.
    pub share: f64,
    /// Why it gets none, or what is not known of it; `None` if all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Whether a sender can use it. One whose addresses are not known counts as one that can.
    pub usable: bool,
}

impl Plan {
    /// The plan that the records lead to.
    pub fn of(domain_records: &DomainRecords) -> Self {
        let mut hosts = domain_records.hosts.iter();
        let failed = hosts.any(|(_, known)| known.has_failed());
        let plan = |kind, why: Option<String>, levels| Self {
            domain: domain_records.domain.clone(),
            waits: kind == RouteKind::Unknown || why.is_some() && failed,
            kind,
            why,
            levels,
        };
        let exchangers = match domain_records.exchangers() {
            Ok(exchangers) => exchangers,
            Err(why) => {
                let kind = match why {
                    Unroutable::NullMx => RouteKind::Null,
                    Unroutable::NoDomain => RouteKind::NoDomain,
                    _ => RouteKind::Unknown,
                };
                let why = match &domain_records.mx {
                    RecordLookup::Unknown => "the domain is in none of the zone files".to_owned(),
                    _ => why.to_string(),
                };
                return plan(kind, Some(why), Vec::new());
            }
        };
        let kind = if domain_records.targets.is_empty() {
            RouteKind::Implicit
        } else {
            RouteKind::Mx
        };
        // The sender finds itself at a loopback address, and leaves that level and all behind it out.
        let is_sender = |host: &Domain| {
            let known = domain_records.host(host);
            known.is_some_and(|known| known.addresses().iter().any(IpAddr::is_loopback))
        };
        let own = exchangers
            .iter()
            .filter(|exchanger| is_sender(&exchanger.host));
        let own = own.map(|exchanger| exchanger.preference).min();
        let mut levels: BTreeMap<u16, Vec<Planned>> = BTreeMap::new();
        let mut before: BTreeSet<Domain> = BTreeSet::new();
        for Exchanger { preference, host } in exchangers {
            let level = levels.entry(preference).or_default();
            if level.iter().any(|planned| planned.host == host) {
                continue;
            }
            let mut one = planned(domain_records, &host, before.contains(&host));
            if own.is_some_and(|own| preference >= own) && one.usable {
                one.usable = false;
                one.note = Some(if is_sender(&host) {
                    "is the sender itself".to_owned()
                } else {
                    "is left out: the sender comes before it, or with it".to_owned()
                });
            }
            level.push(one);
            before.insert(host);
        }
        let levels: Vec<PreferenceLevel> = levels
            .into_iter()
            .map(|(preference, exchangers)| shared(preference, exchangers))
            .collect();
        let nowhere = !levels
            .iter()
            .flat_map(|level| &level.exchangers)
            .any(|one| one.usable);
        let why = match (nowhere, failed, own) {
            (false, ..) => None,
            (true, true, _) => Some("the addresses could not be looked up; mail waits".to_owned()),
            (true, false, Some(_)) => Some(Unroutable::OnlySelf.to_string()),
            (true, false, None) => Some(Unroutable::NoUsableExchanger.to_string()),
        };
        plan(kind, why, levels)
    }

    /// Whether there is somewhere to go now.
    pub fn is_deliverable(&self) -> bool {
        matches!(self.kind, RouteKind::Mx | RouteKind::Implicit) && self.why.is_none()
    }

    /// Whether the domain takes no mail, by what is known of it. Mail that waits for a lookup to succeed may still go somewhere.
    pub fn takes_no_mail(&self) -> bool {
        !self.is_deliverable() && !self.waits
    }

    /// The exchangers that senders use, most preferred first.
    pub fn usable(&self) -> impl Iterator<Item = (&PreferenceLevel, &Planned)> + Clone {
        let pairs = self
            .levels
            .iter()
            .flat_map(|level| level.exchangers.iter().map(move |planned| (level, planned)));
        pairs.filter(|(_, planned)| planned.usable)
    }

    /// The exchangers that senders use when none of the most preferred ones can be.
    pub fn backups(&self) -> impl Iterator<Item = &Planned> {
        let first = self.usable().next().map(|(level, _)| level.preference);
        let behind = self
            .usable()
            .filter(move |(level, _)| Some(level.preference) != first);
        behind.map(|(_, planned)| planned)
    }
}

/// A level whose usable exchangers share its mail alike.
fn shared(preference: u16, mut exchangers: Vec<Planned>) -> PreferenceLevel {
    exchangers.sort_by(|one, other| one.host.cmp(&other.host));
    let usable = exchangers.iter().filter(|one| one.usable).count();
    for one in exchangers.iter_mut().filter(|one| one.usable) {
        one.share = 1.0 / usable as f64;
    }
    PreferenceLevel {
        preference,
        exchangers,
    }
}

/// An exchanger by itself: what it leads to, and why it cannot be used.
fn planned(domain_records: &DomainRecords, host: &Domain, repeated: bool) -> Planned {
    let known = domain_records.host(host);
    let addresses = known.map(KnownHost::addresses).unwrap_or_default();
    let uncertain = known.is_some_and(KnownHost::is_uncertain);
    let missing = known.is_some_and(|known| {
        matches!(known.ipv4, RecordLookup::NoDomain) && matches!(known.ipv6, RecordLookup::NoDomain)
    });
    let failed = known.is_some_and(KnownHost::has_failed);
    let literal = domain_records.literal(host).is_some();
    let localhost = DomainRecords::is_localhost(host);
    let note = match () {
        () if literal => Some("is an address, expected a name"),
        () if localhost => Some("is the sender itself"),
        () if repeated => Some("is tried already, at a better preference"),
        () if !addresses.is_empty() => None,
        () if failed => Some("its addresses could not be looked up"),
        () if uncertain => Some("its addresses are in none of the zone files"),
        () if missing => Some("does not exist"),
        () => Some("has no address"),
    };
    Planned {
        alias_of: known.and_then(|known| Some(known.alias.as_ref()?.0.clone())),
        usable: !repeated
            && !literal
            && !localhost
            && (!addresses.is_empty() || (uncertain && !failed)),
        note: note.map(str::to_owned),
        host: host.clone(),
        addresses,
        share: 0.0,
    }
}
