//! What a router is asked: a domain, its MX records, the addresses of their hosts, and who asks.
//!
//! Cases are made from a seed and printed as a zone file, so that a case that fails can be read, mended by hand and
//! fed to `mxdrill plan`. Three things make them dense with what routers get wrong: there are few hosts and fewer
//! preferences, so that hosts are listed twice and preferences collide; a host of the list is often the sender itself;
//! and every twelfth lookup fails or every twelfth record is a null MX beside others (RFC 7505 section 3 forbids that,
//! and it happens).

use std::{collections::BTreeMap, fmt, net::IpAddr, ops::Deref};

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng, seq::IndexedRandom};

use super::shrinking::{Shrinks, without_one};
use crate::{
    name::Domain,
    route::{Addresses, Exchanger, Families, Identity},
};

/// Hosts that records name: few, so that they meet.
const HOSTS: u8 = 12;
/// Records of a domain, at most.
const MOST_RECORDS: usize = 12;

/// The MX records of a domain, as the answer has them: in any order, none where there is none, and `.` as the host of a
/// null MX. It is the list of them, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxRecords {
    /// The domain that mail is for; its own exchanger, where it has no MX record (the implicit MX).
    pub domain: Domain,
    /// Its MX records.
    pub records: Vec<Exchanger>,
}

impl Deref for MxRecords {
    type Target = [Exchanger];

    fn deref(&self) -> &[Exchanger] {
        &self.records
    }
}

/// A case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) mx: MxRecords,
    pub(super) addresses: BTreeMap<Domain, Addresses>,
    /// The sender's names and addresses.
    pub(super) names: Vec<Domain>,
    pub(super) own: Vec<IpAddr>,
    pub(super) ipv4: bool,
    pub(super) ipv6: bool,
    pub(super) seed: u64,
}

fn name(text: &str) -> Domain {
    text.parse().expect("a name")
}

/// The host of a number, the same in every case.
pub(super) fn host(number: u8) -> Domain {
    name(&format!("mx{number}.example.test"))
}

/// An address of those for documentation (RFC 5737, RFC 3849): few, so that hosts share some.
fn address(random: &mut ChaCha8Rng) -> IpAddr {
    let last = random.random_range(1..40_u8);
    match random.random_ratio(1, 3) {
        true => [0x2001, 0xdb8, 0, 0, 0, 0, 0, last.into()].into(),
        false => [192, 0, 2, last].into(),
    }
}

impl Case {
    /// A case of any kind.
    pub(super) fn of(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let random = &mut random;
        let domain = name("example.test");
        let records = records(random);
        let mut addresses = BTreeMap::new();
        let hosts = records.iter().map(|one| one.host.clone());
        let hosts: Vec<Domain> = hosts
            .chain([domain.clone()])
            .filter(|host| !host.is_root())
            .collect();
        for host in hosts {
            // A lookup that failed found nothing: both at once would be no answer that a resolver gives.
            let failed = random.random_ratio(1, 12);
            let count = if failed { 0 } else { random.random_range(0..4) };
            let mut found: Vec<IpAddr> = Vec::new();
            for _ in 0..count {
                let address = address(random);
                if !found.contains(&address) {
                    found.push(address);
                }
            }
            addresses.insert(host, Addresses { found, failed });
        }
        let listed = records.choose(random).map(|one| one.host.clone());
        // Then the sender is the exchanger that was drawn, and has to leave itself out (RFC 5321 section 5.1).
        let is_listed = random.random_ratio(1, 4);
        let names = match listed.filter(|host| is_listed && !host.is_root()) {
            Some(host) => vec![host],
            None => vec![name("mail.sender.test")],
        };
        let own = match random.random_ratio(1, 4) {
            true => vec![address(random)],
            false => vec![[198, 51, 100, 1].into()],
        };
        // A sender that reaches no family at all is no case.
        let (ipv4, ipv6) = [(true, true), (true, true), (true, false), (false, true)]
            [random.random_range(0..4_usize)];
        Self {
            mx: MxRecords { domain, records },
            addresses,
            names,
            own,
            ipv4,
            ipv6,
            seed,
        }
    }

    /// Some hosts of one preference, all usable, between a better and a worse one or not.
    pub(super) fn of_equals(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let equals = random.random_range(2..6_u8);
        let mut preferences = vec![10; equals.into()];
        if random.random_ratio(1, 2) {
            preferences.push(20);
        }
        let hosts = (1..).map(host);
        let records: Vec<Exchanger> = preferences
            .into_iter()
            .zip(hosts)
            .map(|(preference, host)| Exchanger { preference, host })
            .collect();
        let usable = |last: u8| Addresses {
            found: vec![[192, 0, 2, last].into()],
            failed: false,
        };
        let addresses = records.iter().map(|one| one.host.clone());
        Self {
            addresses: addresses.zip((1..).map(usable)).collect(),
            mx: MxRecords {
                domain: name("example.test"),
                records,
            },
            names: vec![name("mail.sender.test")],
            own: vec![[198, 51, 100, 1].into()],
            ipv4: true,
            ipv6: true,
            seed,
        }
    }

    /// Who asks.
    pub(super) fn identity(&self) -> Identity {
        Identity {
            names: self.names.clone(),
            addresses: self.own.clone(),
            families: Families {
                ipv4: self.ipv4,
                ipv6: self.ipv6,
            },
            max_candidates: None,
        }
    }

    /// Hosts that no record names any more are gone.
    fn with_records(&self, records: Vec<Exchanger>) -> Self {
        let mut case = self.clone();
        case.mx.records = records;
        let (domain, records) = (&case.mx.domain, &case.mx.records);
        case.addresses
            .retain(|host, _| host == domain || records.iter().any(|one| one.host == *host));
        case
    }
}

/// MX records: none, a null MX, or some, with hosts that are listed twice and preferences that collide.
fn records(random: &mut ChaCha8Rng) -> Vec<Exchanger> {
    let null = Exchanger {
        preference: 0,
        host: Domain::root(),
    };
    match random.random_range(0..12_u8) {
        0 => return Vec::new(),
        1 => return vec![null],
        _ => {}
    }
    // The ends of the range, and one that is drawn twice as often.
    let preferences = [0, 10, 10, 20, 30, 65535];
    let count = random.random_range(1..=MOST_RECORDS);
    let some = (0..count).map(|_| Exchanger {
        preference: *preferences.choose(random).unwrap_or(&0),
        host: host(random.random_range(1..=HOSTS)),
    });
    let mut some: Vec<Exchanger> = some.collect();
    if random.random_ratio(1, 12) {
        some.push(Exchanger {
            preference: 5,
            host: Domain::root(),
        });
    }
    some
}

impl Shrinks for Case {
    fn smaller(&self) -> Vec<Self> {
        let mut smaller: Vec<Self> = without_one(&self.mx.records)
            .map(|records| self.with_records(records))
            .collect();
        // A change that changes nothing would never end.
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut case = self.clone();
            change(&mut case);
            if case != *self {
                smaller.push(case);
            }
        };
        for (host, known) in &self.addresses {
            for found in without_one(&known.found) {
                add(&|case| {
                    case.addresses
                        .entry(host.clone())
                        .and_modify(|known| known.found.clone_from(&found));
                });
            }
            add(&|case| {
                let known = case.addresses.entry(host.clone());
                known.and_modify(|known| known.failed = false);
            });
        }
        // What is everyday is smaller than what is not.
        add(&|case| case.names = vec![name("mail.sender.test")]);
        add(&|case| case.own = vec![[198, 51, 100, 1].into()]);
        add(&|case| (case.ipv4, case.ipv6) = (true, true));
        smaller
    }
}

/// The case as a zone file, and who asks.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let MxRecords { domain, records } = &self.mx;
        for Exchanger { preference, host } in records {
            writeln!(f, "{domain}. IN MX {preference} {}", dotted(host))?;
        }
        if records.is_empty() {
            writeln!(f, "; {domain} has no MX record")?;
        }
        for (host, known) in &self.addresses {
            // The domain's own address counts only where there is no MX record (RFC 5321 section 5.1).
            if host == domain && !records.is_empty() {
                continue;
            }
            for address in &known.found {
                let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                writeln!(f, "{host}. IN {kind} {address}")?;
            }
            if known.failed {
                writeln!(f, "; a lookup of the addresses of {host} failed for now")?;
            } else if known.found.is_empty() {
                writeln!(f, "; {host} has no address")?;
            }
        }
        let families = match (self.ipv4, self.ipv6) {
            (true, false) => ", which reaches IPv4 alone",
            (false, true) => ", which reaches IPv6 alone",
            _ => "",
        };
        let list = |texts: Vec<String>| texts.join(", ");
        write!(
            f,
            "; asked by {} [{}]{families}",
            list(self.names.iter().map(ToString::to_string).collect()),
            list(self.own.iter().map(ToString::to_string).collect()),
        )
    }
}

/// A name as zone files have it.
fn dotted(host: &Domain) -> String {
    match host.is_root() {
        true => ".".to_owned(),
        false => format!("{host}."),
    }
}
