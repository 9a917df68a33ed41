//! Domains that say the same: those of one hoster, which a person wants to read of once.

use std::{collections::HashMap, hash::Hash};

use mxdrill::{name::Domain, plan::Plan, records::DomainRecords};

/// Names of a group that are told; how many more there are is said.
const NAMED: usize = 2;

/// Members that have one key, in the order in which the first of each group came.
pub(crate) struct Groups<K, T> {
    places: HashMap<K, usize>,
    groups: Vec<Vec<T>>,
}

impl<K, T> Default for Groups<K, T> {
    fn default() -> Self {
        Self {
            places: HashMap::new(),
            groups: Vec::new(),
        }
    }
}

impl<K: Hash + Eq, T> Groups<K, T> {
    /// Adds a member; whether it is the first with its key.
    pub(crate) fn add(&mut self, key: K, member: T) -> bool {
        let next = self.groups.len();
        let place = *self.places.entry(key).or_insert(next);
        match self.groups.get_mut(place) {
            Some(group) => {
                group.push(member);
                false
            }
            None => {
                self.groups.push(vec![member]);
                true
            }
        }
    }

    /// The groups, each with one member at least.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[T]> {
        self.groups.iter().map(Vec::as_slice)
    }
}

/// What decides over where mail for a domain goes, in the domain's own terms: two with the same have one route.
pub(crate) fn route_of(plan: &Plan) -> String {
    let why = plan.why.as_deref().unwrap_or_default();
    let route = format!("{:?} {why:?} {:?}", plan.kind, plan.levels);
    without(&route, &plan.domain)
}

/// As [`route_of`], with what makes TLS a must: the policy, and TLSA records of the exchangers.
pub(crate) fn drilled_as(domain_records: &DomainRecords) -> String {
    let plan = Plan::of(domain_records);
    let hosts = domain_records.hosts.iter();
    let tlsa: Vec<_> = hosts.map(|(host, known)| (host, &known.tlsa)).collect();
    let more = format!("{:?} {tlsa:?}", domain_records.policy);
    route_of(&plan) + &without(&more, &domain_records.domain)
}

/// A text without the name of the domain that it is about.
pub(crate) fn without(text: &str, domain: &Domain) -> String {
    text.replace(domain.as_str(), "\u{0}")
}

/// The names of a group: `d0.example, d1.example and 1,998 more`.
pub(crate) fn named(domains: &[&Domain]) -> String {
    let names: Vec<&str> = domains.iter().map(|one| one.as_str()).collect();
    match &names[..] {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first, second] => format!("{first} and {second}"),
        many => {
            let (told, more) = many.split_at(NAMED);
            format!("{} and {} more", told.join(", "), counted(more.len()))
        }
    }
}

/// A number with a comma before each three digits.
pub(crate) fn counted(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::new();
    for (index, digit) in digits.char_indices() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_names_two_are_told() {
        let domains = |count: usize| -> Vec<Domain> {
            let names = (0..count).map(|i| format!("d{i}.test").parse().expect("a name"));
            names.collect()
        };
        for (count, told) in [
            (1, "d0.test"),
            (2, "d0.test and d1.test"),
            (3, "d0.test, d1.test and 1 more"),
            (2_000, "d0.test, d1.test and 1,998 more"),
        ] {
            let domains = domains(count);
            assert_eq!(named(&domains.iter().collect::<Vec<_>>()), told);
        }
        for (count, text) in [
            (7, "7"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(counted(count), text);
        }
    }

    #[test]
    fn groups_keep_the_order_of_their_first_members() {
        let mut groups = Groups::default();
        let new = [("b", 1), ("a", 2), ("b", 3)].map(|(key, member)| groups.add(key, member));
        assert_eq!(new, [true, true, false]);
        assert_eq!(groups.iter().collect::<Vec<_>>(), [&[1, 3][..], &[2]]);
    }
}
