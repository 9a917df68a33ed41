//! Where names belong: to whom an exchanger does, by the Public Suffix List, and in which zone a name is.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use hickory_proto::rr::RecordType;

use mxdrill::{name::Domain, plan::Plan, records::Source};

/// Names whose zones are asked for at once: a resolver has others to serve.
const AT_ONCE: usize = 8;

/// The registrable domain of a name: that under the public suffix, or the name itself where there is none.
pub(super) fn operator(name: &Domain) -> Domain {
    let registrable = psl::domain_str(name.as_str());
    let registrable = registrable.and_then(|text| text.parse().ok());
    registrable.unwrap_or_else(|| name.clone())
}

/// The zones of names.
pub(super) struct Zones(BTreeMap<Domain, Domain>);

impl Zones {
    /// Those of all exchangers and domains of these plans.
    pub(super) async fn of(source: &Source, plans: impl Iterator<Item = &Plan>) -> Self {
        let mut names = BTreeSet::new();
        for plan in plans {
            names.insert(plan.domain.clone());
            for (_, planned) in plan.usable() {
                names.insert(planned.host.clone());
                names.extend(planned.alias_of.clone());
            }
        }
        let zones = names.into_iter().map(|name| async move {
            let zone = zone(source, &name).await;
            (name, zone)
        });
        Self(stream::iter(zones).buffered(AT_ONCE).collect().await)
    }

    /// That of one of these names.
    pub(super) fn zone(&self, name: &Domain) -> Domain {
        self.0.get(name).unwrap_or(name).clone()
    }
}

/// The zone of a name: the nearest one at or above it that has an SOA record, else the registrable domain. Nothing is
/// asked of that one: it is delegated by what stands above it.
async fn zone(source: &Source, name: &Domain) -> Domain {
    let registrable = operator(name);
    let mut current = name.clone();
    while current != registrable {
        let answer = source.ask(&current, RecordType::SOA).await;
        // An alias is answered with the record of what it leads to.
        let is_top = |owner: Domain| owner == current;
        let mut tops = answer.records().iter();
        if tops.any(|placed| is_top(Domain::from(&placed.record.name))) {
            return current;
        }
        match current.parent() {
            Some(parent) => current = parent,
            None => break,
        }
    }
    registrable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operator_is_the_registrable_domain() {
        for (name, registrable) in [
            ("mx1.host.example", "host.example"),
            ("mx.mail.host.co.uk", "host.co.uk"),
            ("host.co.uk", "host.co.uk"),
            ("co.uk", "co.uk"),
            // A suffix that its owner, not a registry, has put on the list.
            ("mx.someone.github.io", "someone.github.io"),
        ] {
            let name: Domain = name.parse().expect("a name");
            assert_eq!(operator(&name).as_str(), registrable);
        }
    }
}
