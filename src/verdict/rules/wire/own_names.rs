//! Whether a name that a client calls itself by is known to be nobody's.
//!
//! RFC 5321 section 2.3.5: the name after EHLO "MUST be either a primary host name (a domain name that resolves to an
//! address RR) or, if the host has no name, an address literal". Section 4.1.4 forbids servers to refuse one that does
//! not, so that nobody notices by himself.
//!
//! A lab has a few records, and a sender may have its name from elsewhere. It is known only where all of this holds:
//!
//! 1. The sender was not given the name: those of the scenario's `sender` need no record.
//! 2. A zone of the scenario holds the name, and holds it whole: it has an SOA record, and does not delegate the name. The
//!    records that the lab itself adds are no such zone.
//! 3. In no zone of the drill, whenever it holds, the name leads to an address, or by an alias out of the zones.

use hickory_proto::rr::RecordType;

use crate::{
    name::Domain,
    scenario::Scenario,
    zone::{Zone, alias_target},
};

/// Whether it is known that no address stands for a name.
pub(super) fn is_nobodys(scenario: &Scenario, name: &Domain) -> bool {
    let is_given = scenario.sender.names.contains(name);
    let is_here = name.is_within(&localhost());
    let mut zones = scenario.world.zones.zones();
    !is_given && !is_here && zones.all(|zone| is_known_to_lack(scenario, zone, name))
}

/// The name that stands for one's own host without the DNS, as those below it do (RFC 6761 section 6.3).
fn localhost() -> Domain {
    "localhost".parse().expect("a name")
}

fn is_known_to_lack(scenario: &Scenario, zone: &Zone, name: &Domain) -> bool {
    if !holds(scenario, zone, name) {
        return false;
    }
    [RecordType::A, RecordType::AAAA].iter().all(|wanted| {
        let answer = zone.answer_without_soa(name, *wanted);
        let mut targets = answer.records.iter().filter_map(alias_target);
        let is_address = |kind: RecordType| kind == *wanted;
        let mut kinds = answer.records.iter().map(|one| one.record_type());
        !kinds.any(is_address) && targets.all(|target| holds(scenario, zone, &target))
    })
}

/// Whether all names of a domain that a name lies in are known: the nearest cut above it is the apex of a zone whose
/// records the scenario has.
fn holds(scenario: &Scenario, zone: &Zone, name: &Domain) -> bool {
    let added = scenario.world.own();
    for domain in name.at_and_above() {
        let mut records = zone.owned_by(&domain);
        let own = records.clone().filter(|one| !added.contains(one));
        if own.clone().any(|one| one.record_type() == RecordType::SOA) {
            return true;
        }
        // A delegation, or a zone of the lab's own.
        if records.any(|one| matches!(one.record_type(), RecordType::NS | RecordType::SOA)) {
            return false;
        }
    }
    false
}
