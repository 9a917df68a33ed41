//! Whether chance has a part in a drill: then a server does not do the same each time, and is seen several times.

use std::collections::{BTreeMap, BTreeSet};

use hickory_proto::rr::RData;
use mxdrill::{fault::Failure, name::Domain, scenario::Scenario, zone::Zone};

/// Whether a sender chooses, a fault strikes by chance, or the server is killed: what was written down in that instant is
/// left to chance.
pub(super) fn has_part(scenario: &Scenario) -> bool {
    has_equals(scenario) || !scenario.crashes.is_empty() || by_chance(scenario)
}

/// Whether some choice is left to a sender: between exchangers of one preference, or addresses of one host. None is left
/// at its own preference and beyond, nor among the addresses of a domain that has exchangers and is none.
fn has_equals(scenario: &Scenario) -> bool {
    let first = scenario.world.zones.zones().next();
    let records: Vec<_> = first.into_iter().flat_map(Zone::records).collect();
    let mut exchangers = Vec::new();
    for record in &records {
        if let RData::MX(mx) = &record.data {
            let owner = Domain::from(&record.name);
            exchangers.push((owner, mx.preference, Domain::from(&mx.exchange)));
        }
    }
    let own = &scenario.sender.names;
    let mut own_level: BTreeMap<&Domain, u16> = BTreeMap::new();
    for (domain, preference, _) in exchangers.iter().filter(|(_, _, host)| own.contains(host)) {
        let level = own_level.entry(domain).or_insert(*preference);
        *level = (*level).min(*preference);
    }
    let is_left = |domain: &Domain, preference: u16| {
        let level = own_level.get(domain);
        level.is_none_or(|level| preference < *level)
    };
    let mut levels = BTreeSet::new();
    let mut left = exchangers
        .iter()
        .filter(|(domain, preference, _)| is_left(domain, *preference));
    if left.any(|(domain, preference, _)| !levels.insert((domain, preference))) {
        return true;
    }
    let domains: BTreeSet<&Domain> = exchangers.iter().map(|(domain, ..)| domain).collect();
    let hosts: BTreeSet<&Domain> = exchangers.iter().map(|(.., host)| host).collect();
    // Where MX records are not told, or names stand for others, or mail goes to relays, a domain may be a host all the same.
    let may_be_any = !scenario.sender.relays.is_empty()
        || scenario
            .world
            .faults
            .iter()
            .any(|fault| matches!(fault.failure, Failure::Query { .. }))
        || records
            .iter()
            .any(|record| matches!(record.data, RData::CNAME(_)));
    let mut seen = BTreeSet::new();
    records.iter().any(|record| {
        let owner = Domain::from(&record.name);
        let is_address = matches!(record.data, RData::A(_) | RData::AAAA(_));
        let is_host = may_be_any || hosts.contains(&owner) || !domains.contains(&owner);
        is_address && is_host && !seen.insert(owner)
    })
}

/// Whether some fault strikes by chance: when it does depends on how often a sender comes.
fn by_chance(scenario: &Scenario) -> bool {
    let mut faults = scenario.world.faults.iter();
    faults.any(|fault| fault.chance.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_one_between_exchangers_or_their_addresses() {
        let is_choice = |zone: &str, name: &str| {
            let text = format!(
                "summary = \"a choice\"\nzone = \"\"\"\n$ORIGIN example.test.\n$TTL 300\n{zone}\n\"\"\"\nsender = {{ names = [\"{name}\"] }}\n\
                 messages = [{{ id = \"m1\", to = \"alice@example.test\" }}]\n"
            );
            let scenario = Scenario::parse("drill.toml", &text).expect("a drill");
            has_part(&scenario)
        };
        let other = "mail.sender.test";
        let mx1 = "mx1 IN A 192.0.2.1\n";
        let two = "mx1 IN A 192.0.2.1\nmx1 IN AAAA 2001:db8::1\n";
        let web = "@ IN A 192.0.2.80\n@ IN AAAA 2001:db8::80\n";
        let one = "@ IN MX 10 mx1\n";
        let equals = "@ IN MX 10 mx1\n@ IN MX 10 mx2\nmx2 IN A 192.0.2.2\n";
        assert!(!is_choice(&format!("{one}{mx1}"), other));
        assert!(is_choice(&format!("{one}{two}"), other));
        assert!(is_choice(&format!("{equals}{mx1}"), other));
        // The domain's own addresses are of no use beside exchangers, and are all there is without.
        assert!(!is_choice(&format!("{one}{mx1}{web}"), other));
        assert!(is_choice(web, other));
        let alias = "@ IN MX 20 other\nother IN CNAME @\n";
        assert!(is_choice(&format!("{one}{mx1}{web}{alias}"), other));
        // What is left to one of two equals is nothing.
        assert!(!is_choice(&format!("{equals}{mx1}"), "mx2.example.test"));
    }
}
