//! The hosts with which a sender is compared: exchangers, hosts with addresses, names of its own address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hickory_proto::rr::{Name, RData, RecordType};

use super::{
    super::record::Lengths,
    Lookup, Over, SpfCheck,
    limits::{MAX_NAMES, SpfError},
};
use crate::{name::Domain, zone::address_of};

impl<L: Lookup> SpfCheck<'_, L> {
    pub(super) async fn is_exchanger(
        &mut self,
        target: &Domain,
        lengths: Lengths,
        term: &str,
    ) -> Result<bool, Over> {
        let reply = self.look_up(target, RecordType::MX).await;
        if reply.is_none() {
            self.found_nothing(term)?;
        }
        let hosts: Vec<Domain> = self
            .known(reply)?
            .iter()
            .filter_map(|placed| match &placed.record.data {
                RData::MX(mx) => Some(Domain::from(&mx.exchange)),
                _ => None,
            })
            .collect();
        if hosts.len() > MAX_NAMES {
            let (term, count) = (term.to_owned(), hosts.len());
            self.flaw(SpfError::Exchangers { term, count })?;
        }
        // The addresses of those hosts count for nothing, and are of no use without a sender's.
        if self.sender.address.is_some() {
            for host in hosts.iter().filter(|host| !host.is_root()) {
                if self.has_address(host, lengths, None).await? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Whether a host has the sender's address, or one in its network; a term that has none is reported.
    pub(super) async fn has_address(
        &mut self,
        host: &Domain,
        lengths: Lengths,
        term: Option<&str>,
    ) -> Result<bool, Over> {
        let types: &[RecordType] = match self.sender.address {
            Some(IpAddr::V4(_)) => &[RecordType::A],
            Some(IpAddr::V6(_)) => &[RecordType::AAAA],
            None => &[RecordType::A, RecordType::AAAA],
        };
        let mut is_nothing = true;
        for record_type in types {
            let reply = self.look_up(host, *record_type).await;
            is_nothing &= reply.is_none();
            for placed in self.known(reply)? {
                let found = match address_of(&placed.record.data) {
                    Some(IpAddr::V4(address)) => self.is_in_ipv4(address, lengths.ipv4),
                    Some(IpAddr::V6(address)) => self.is_in_ipv6(address, lengths.ipv6),
                    None => false,
                };
                if found {
                    return Ok(true);
                }
            }
        }
        if let Some(term) = term.filter(|_| is_nothing) {
            self.found_nothing(term)?;
        }
        Ok(false)
    }

    pub(super) fn is_in_ipv4(&self, network: Ipv4Addr, length: u8) -> bool {
        let Some(IpAddr::V4(address)) = self.sender.address else {
            return false;
        };
        let differ = u32::from(address) ^ u32::from(network);
        differ.checked_shr(32 - u32::from(length)).unwrap_or(0) == 0
    }

    pub(super) fn is_in_ipv6(&self, network: Ipv6Addr, length: u8) -> bool {
        let Some(IpAddr::V6(address)) = self.sender.address else {
            return false;
        };
        let differ = u128::from(address) ^ u128::from(network);
        differ.checked_shr(128 - u32::from(length)).unwrap_or(0) == 0
    }

    /// The names of the sender's address that lead back to it (section 5.5); where that cannot be found
    /// out there are none.
    pub(super) async fn validated(&mut self) -> Vec<Domain> {
        let Some(address) = self.sender.address else {
            return Vec::new();
        };
        let record_type = match address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        let reverse = Domain::from(&Name::from(address));
        let reply = self.look_up(&reverse, RecordType::PTR).await;
        let mut validated = Vec::new();
        for placed in reply.records().iter().take(MAX_NAMES) {
            let RData::PTR(name) = &placed.record.data else {
                continue;
            };
            let name = Domain::from(&name.0);
            let forward = self.look_up(&name, record_type).await;
            let mut addresses = forward.records().iter();
            if addresses.any(|placed| address_of(&placed.record.data) == Some(address)) {
                validated.push(name);
            }
        }
        validated
    }
}
