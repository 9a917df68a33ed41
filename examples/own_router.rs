//! A router of one's own under test: `cargo test --example own_router`.
//!
//! It takes what the DNS says of a domain and gives the addresses to try, in order (RFC 5321 section 5.1).

use std::collections::BTreeMap;

use mxdrill::{
    name::Domain,
    route::{Addresses, Candidate, Exchanger, Identity},
    testing::{MxRecords, Random},
};

/// The code under test.
pub fn candidates(
    mx: &MxRecords,
    addresses: &BTreeMap<Domain, Addresses>,
    sender: &Identity,
    random: &mut Random,
) -> Vec<Candidate> {
    let found = |host: &Domain| addresses.get(host).map_or(&[][..], |known| &known.found);
    let mut exchangers = mx.to_vec();
    if let [only] = &exchangers[..]
        && only.host.is_root()
    {
        return Vec::new(); // a null MX: the domain takes no mail
    }
    if exchangers.is_empty() {
        let host = mx.domain.clone(); // the implicit MX
        exchangers.push(Exchanger {
            preference: 0,
            host,
        });
    }
    // Equals come in random order, to spread the load; the sort keeps it.
    random.shuffle(&mut exchangers);
    exchangers.sort_by_key(|exchanger| exchanger.preference);
    let is_own = |exchanger: &&Exchanger| {
        let own = |address| sender.addresses.contains(address);
        sender.names.contains(&exchanger.host) || found(&exchanger.host).iter().any(own)
    };
    // Who is an exchanger of the domain tries better ones alone, or mail would go in circles.
    if let Some(own) = exchangers.iter().find(is_own).map(|own| own.preference) {
        exchangers.retain(|exchanger| exchanger.preference < own);
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    for Exchanger { preference, host } in exchangers {
        if candidates.iter().any(|known| known.exchanger == host) {
            continue; // listed twice: the better preference counts
        }
        let reached = found(&host)
            .iter()
            .filter(|one| sender.families.reach(**one));
        candidates.extend(reached.map(|address| Candidate {
            preference,
            exchanger: host.clone(),
            address: *address,
        }));
    }
    candidates
}

fn main() {
    mxdrill::testing::router(candidates);
    println!("the router does what RFC 5321 section 5.1 asks for");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mail_is_routed_as_rfc_5321_asks() {
        mxdrill::testing::router(candidates);
    }
}
