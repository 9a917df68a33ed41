//! MX selection, pure: DNS answers and a random source in, ordered candidates out.
//!
//! It reads as RFC 5321 section 5.1 does. No I/O and no clock: looking up is the resolver's, trying
//! and waiting the sender's.
//!
//! 1. [`exchangers`] turns the answer to an MX lookup into a list: MX records, the implicit MX, or
//!    a reason why there is nothing (null MX, no such domain, failed lookup).
//! 2. [`route`] drops the sender's own preference and all higher numbers if the sender finds itself
//!    in the list, by name or address.
//! 3. It sorts by preference, and puts equal ones in random order ([`Order`]).
//! 4. It expands each exchanger into its addresses in the order of the answers, in the families
//!    that the sender can reach, and cuts the list at the sender's limit.
//!
//! Section 5.1 on the order: "the sender-SMTP MUST randomize them to spread the load", and on
//! addresses: the order of the resolver is kept.

mod order;

use std::{collections::BTreeMap, net::IpAddr};

use rand::Rng;

pub use self::order::Order;
use crate::{
    name::Domain,
    reply::{ReplyClass, Status},
};

/// The address families that a sender can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Families {
    /// Whether it can reach IPv4 addresses.
    pub ipv4: bool,
    /// Whether it can reach IPv6 addresses.
    pub ipv6: bool,
}

impl Families {
    /// Whether an address can be reached.
    pub fn reach(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(_) => self.ipv4,
            IpAddr::V6(_) => self.ipv6,
        }
    }
}

/// An exchanger as an MX record names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exchanger {
    /// The preference, 0 to 65535; lower is more preferred (RFC 1035 section 3.3.9).
    pub preference: u16,
    /// The host; the root for a null MX.
    pub host: Domain,
}

/// The answer to a lookup of MX records, aliases followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MxAnswer {
    /// The MX records, in any order; a null MX is one of them.
    Records(Vec<Exchanger>),
    /// The domain exists and has no MX record: it is its own exchanger.
    NoData,
    /// The domain does not exist: its mail is returned.
    NoDomain,
    /// No answer that can be relied on, for now: its mail waits.
    Failed,
}

/// What is known of a host's addresses, in the order in which the resolver gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Those that were found.
    pub found: Vec<IpAddr>,
    /// Whether a lookup failed for now, so that there may be more of them.
    pub failed: bool,
}

/// One host and address to try.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Candidate {
    /// The preference of its MX record; 0 for an implicit MX.
    pub preference: u16,
    /// The host; for an implicit MX the domain itself.
    pub exchanger: Domain,
    /// The address of that host to connect to.
    pub address: IpAddr,
}

/// What a sender knows of itself, and how far it goes.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Its names, by which it finds itself in the list.
    pub names: Vec<Domain>,
    /// Its addresses; loopback ones are its own anyway.
    pub addresses: Vec<IpAddr>,
    /// The address families it can reach.
    pub families: Families,
    /// How many candidates it tries in one pass; `None`: all.
    pub max_candidates: Option<usize>,
}

// Loopback counts as the sender's own wherever it is.
impl Identity {
    fn is_self(&self, host: &Domain, addresses: &Addresses) -> bool {
        self.names.contains(host)
            || addresses
                .found
                .iter()
                .any(|address| address.is_loopback() || self.addresses.contains(address))
    }
}

/// Why there is nothing to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unroutable {
    /// The domain does not exist (5.1.2).
    #[error("the domain does not exist")]
    NoDomain,
    /// The domain takes no mail: it has a null MX (5.1.10, RFC 7505 section 4).
    #[error("the domain takes no mail (null MX)")]
    NullMx,
    /// No exchanger has an address that the sender can use (5.4.4).
    #[error("no exchanger has a usable address")]
    NoUsableExchanger,
    /// The sender is the most preferred exchanger itself, so that mail would go in a circle
    /// (5.4.6).
    #[error("the sender is the most preferred exchanger itself")]
    OnlySelf,
    /// The message asks for REQUIRETLS, and nothing vouches for the exchangers (RFC 8689 section 4.2.1).
    #[error("nothing vouches for the exchangers, as REQUIRETLS needs")]
    Untrusted,
    /// A lookup failed for now (4.4.3): the only one of these for which mail waits.
    #[error("a lookup failed for now")]
    LookupFailed,
}

impl Unroutable {
    /// The enhanced status code: RFC 3463, for the null MX RFC 7505 section 4.
    pub fn status(self) -> Status {
        match self {
            Self::NoDomain => Status(5, 1, 2),
            Self::NullMx => Status(5, 1, 10),
            Self::NoUsableExchanger => Status(5, 4, 4),
            Self::OnlySelf => Status(5, 4, 6),
            Self::Untrusted => Status(5, 7, 30),
            Self::LookupFailed => Status(4, 4, 3),
        }
    }

    /// Whether trying again later can help: `Transient` if so, else `Permanent`.
    pub fn class(self) -> ReplyClass {
        match self {
            Self::LookupFailed => ReplyClass::Transient,
            _ => ReplyClass::Permanent,
        }
    }
}

/// The exchangers of a domain: those of its MX records, or itself as the implicit MX.
///
/// # Errors
/// Why the domain has none.
pub fn exchangers(domain: &Domain, answer: &MxAnswer) -> Result<Vec<Exchanger>, Unroutable> {
    match answer {
        MxAnswer::Failed => Err(Unroutable::LookupFailed),
        MxAnswer::NoDomain => Err(Unroutable::NoDomain),
        // "If an empty list of MXs is returned, the address is treated as if it was associated with
        // an implicit MX RR with a preference of 0, pointing to that host."
        MxAnswer::NoData => Ok(vec![Exchanger {
            preference: 0,
            host: domain.clone(),
        }]),
        MxAnswer::Records(records) if records.is_empty() => exchangers(domain, &MxAnswer::NoData),
        MxAnswer::Records(records) => match &records[..] {
            [only] if only.preference == 0 && only.host.is_root() => Err(Unroutable::NullMx),
            // Beside other records the root is an exchanger without an address (RFC 7505 section 3).
            _ => Ok(records
                .iter()
                .filter(|exchanger| !exchanger.host.is_root())
                .cloned()
                .collect()),
        },
    }
}

/// The candidates in the order in which to try them.
///
/// # Errors
/// Why there is none.
///
/// A host that is listed twice is tried at its better preference only.
pub fn route(
    exchangers: &[Exchanger],
    addresses: &BTreeMap<Domain, Addresses>,
    identity: &Identity,
    random: &mut impl Rng,
) -> Result<Vec<Candidate>, Unroutable> {
    let none = Addresses::default();
    let addresses_of = |host: &Domain| addresses.get(host).unwrap_or(&none);
    // A relay that finds itself in the list discards that preference and all higher numbers.
    let own_level = exchangers
        .iter()
        .filter(|exchanger| identity.is_self(&exchanger.host, addresses_of(&exchanger.host)))
        .map(|exchanger| exchanger.preference)
        .min();
    let kept: Vec<&Exchanger> = exchangers
        .iter()
        .filter(|exchanger| own_level.is_none_or(|own| exchanger.preference < own))
        .collect();
    if kept.is_empty() && own_level.is_some() {
        return Err(Unroutable::OnlySelf);
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    let order = Order::new(kept.iter().map(|exchanger| exchanger.preference), random);
    for exchanger in order.places().map(|place| kept[place]) {
        for address in &addresses_of(&exchanger.host).found {
            let known = candidates
                .iter()
                .any(|known| known.exchanger == exchanger.host && known.address == *address);
            if identity.families.reach(*address) && !known {
                candidates.push(Candidate {
                    preference: exchanger.preference,
                    exchanger: exchanger.host.clone(),
                    address: *address,
                });
            }
        }
    }
    if candidates.is_empty() {
        let failed = kept
            .iter()
            .any(|exchanger| addresses_of(&exchanger.host).failed);
        return Err(if failed {
            Unroutable::LookupFailed
        } else {
            Unroutable::NoUsableExchanger
        });
    }
    candidates.truncate(identity.max_candidates.unwrap_or(usize::MAX).max(1));
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    fn name(text: &str) -> Domain {
        text.parse().expect("a name")
    }

    fn mx(list: &[(u16, &str)]) -> Vec<Exchanger> {
        list.iter()
            .map(|(preference, host)| Exchanger {
                preference: *preference,
                host: name(host),
            })
            .collect()
    }

    fn hosts(list: &[(&str, &[u8])]) -> BTreeMap<Domain, Addresses> {
        let addresses = |lasts: &[u8]| Addresses {
            found: lasts
                .iter()
                .map(|last| IpAddr::from([192, 0, 2, *last]))
                .collect(),
            failed: false,
        };
        list.iter()
            .map(|(host, lasts)| (name(host), addresses(lasts)))
            .collect()
    }

    fn me() -> Identity {
        Identity {
            names: vec![name("mail.sender.test")],
            addresses: Vec::new(),
            families: Families {
                ipv4: true,
                ipv6: true,
            },
            max_candidates: None,
        }
    }

    fn order(
        exchangers: &[Exchanger],
        addresses: &BTreeMap<Domain, Addresses>,
        identity: &Identity,
    ) -> Result<Vec<String>, Unroutable> {
        let candidates = route(
            exchangers,
            addresses,
            identity,
            &mut ChaCha8Rng::seed_from_u64(1),
        )?;
        Ok(candidates
            .iter()
            .map(|candidate| format!("{} {}", candidate.exchanger, candidate.address))
            .collect())
    }

    #[test]
    fn lowest_preference_first_and_each_address_in_its_order() {
        let found = order(
            &mx(&[(20, "b.test"), (10, "a.test")]),
            &hosts(&[("a.test", &[9, 1]), ("b.test", &[2])]),
            &me(),
        );
        assert_eq!(
            found,
            Ok(["a.test 192.0.2.9", "a.test 192.0.2.1", "b.test 192.0.2.2"]
                .map(str::to_owned)
                .to_vec())
        );
    }

    #[test]
    fn the_own_level_and_worse_are_discarded() {
        let list = mx(&[
            (10, "a.test"),
            (20, "mail.sender.test"),
            (20, "c.test"),
            (30, "d.test"),
        ]);
        let addresses = hosts(&[("a.test", &[1]), ("c.test", &[3]), ("d.test", &[4])]);
        assert_eq!(
            order(&list, &addresses, &me()),
            Ok(vec!["a.test 192.0.2.1".to_owned()])
        );
        assert_eq!(
            order(&list[1..], &addresses, &me()),
            Err(Unroutable::OnlySelf)
        );
    }

    #[test]
    fn without_addresses_it_matters_whether_a_lookup_failed() {
        let list = mx(&[(10, "a.test")]);
        assert_eq!(
            order(&list, &hosts(&[]), &me()),
            Err(Unroutable::NoUsableExchanger)
        );
        let failed = BTreeMap::from([(
            name("a.test"),
            Addresses {
                found: vec![],
                failed: true,
            },
        )]);
        assert_eq!(order(&list, &failed, &me()), Err(Unroutable::LookupFailed));
    }

    #[test]
    fn null_mx_implicit_mx_and_missing_domain() {
        let domain = name("example.test");
        let null = Exchanger {
            preference: 0,
            host: Domain::root(),
        };
        assert_eq!(
            exchangers(&domain, &MxAnswer::Records(vec![null.clone()])),
            Err(Unroutable::NullMx)
        );
        let beside = MxAnswer::Records([vec![null], mx(&[(5, "a.test")])].concat());
        assert_eq!(exchangers(&domain, &beside), Ok(mx(&[(5, "a.test")])));
        assert_eq!(
            exchangers(&domain, &MxAnswer::NoData),
            Ok(mx(&[(0, "example.test")]))
        );
        assert_eq!(
            exchangers(&domain, &MxAnswer::NoDomain),
            Err(Unroutable::NoDomain)
        );
    }
}
