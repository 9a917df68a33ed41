//! What a drill gets beside its own records: the domain of senders, and hosts of policies.
//!
//! Both are added to every zone of the drill, so that updates do not lose them, and at addresses
//! that nothing else in the drill has.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use hickory_proto::rr::Record;

use crate::{
    mail::Message,
    name::Domain,
    scenario::{PolicyRow, SenderSettings, policy_host},
    zone::{History, text},
};

/// The lab's own domain for senders: where bounces of `sender@sender.test` arrive.
const SENDER_ZONE: &str = "$ORIGIN sender.test.\n$TTL 3600\n\
    @ IN SOA ns hostmaster 1 7200 3600 1209600 300\n@ IN MX 10 bounces\n@ IN TXT \"v=spf1 mx -all\"\n";
/// The address of its exchanger, from a range for documentation (RFC 5737); if that is taken, the
/// next one that nobody else has.
const BOUNCE_HOST: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 25);

/// Adds the domain of senders, if the scenario does not bring it, on an address that nobody else has; returns
/// what it added.
pub(super) fn host_sender_domain(
    zones: &mut History,
    sender: &SenderSettings,
    messages: &[Message],
) -> Vec<Record> {
    let domain: Domain = "sender.test".parse().expect("a valid name");
    if zones.zones().any(|zone| zone.exists(&domain)) {
        return Vec::new();
    }
    let mut taken: BTreeSet<IpAddr> = zones.addresses().into_keys().collect();
    taken.extend(&sender.addresses);
    let recipients = messages.iter().flat_map(|message| message.to.iter());
    taken.extend(recipients.filter_map(|to| to.domain.literal()));
    let mut free = (u32::from(BOUNCE_HOST)..).map(Ipv4Addr::from);
    let address = free.find(|address| !taken.contains(&IpAddr::V4(*address)));
    let host = address.unwrap_or(BOUNCE_HOST);
    let zone = format!("{SENDER_ZONE}bounces IN A {host}\n");
    let own = text::parse(&zone).expect("a valid zone");
    zones.add_everywhere(&own);
    own
}

/// Gives the web server of each policy an address that no record has, from the top of the same
/// range down. A host that the scenario itself has is left alone. Returns what it added.
pub(super) fn host_policies(policies: &[PolicyRow], zones: &mut History) -> Vec<Record> {
    let mut free = (1..=254).map(|last| IpAddr::from([198, 51, 100, 255 - last]));
    let mut hosted: Vec<Domain> = Vec::new();
    let mut own = Vec::new();
    for row in policies {
        let host = policy_host(&row.domain);
        if hosted.contains(&host) || zones.zones().any(|zone| zone.exists(&host)) {
            continue;
        }
        let taken = zones.addresses();
        let Some(address) = free.find(|address| !taken.contains_key(address)) else {
            break;
        };
        let line = format!("{host}. 3600 IN A {address}\n");
        let records = text::parse(&line).expect("a valid record");
        zones.add_everywhere(&records);
        own.extend(records);
        hosted.push(host);
    }
    own
}
