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

/// What decides over where mail for a domain goes: two with the same have one route, to the same hosts.
pub(crate) fn route_of(plan: &Plan) -> String {
    let why = without(plan.why.as_deref().unwrap_or_default(), &plan.domain);
    format!("{:?} {why:?} {:?}", plan.kind, plan.levels)
}

/// As [`route_of`], with what else drills of outages are made of: the policy, TLSA records of the exchangers, and whether a
/// resolver gave the records, which is noted. Serial numbers and TTLs are no part of it: nothing that a sender remembers
/// changes while an outage lasts. (A change of records hangs on them, and is rehearsed domain by domain.)
pub(crate) fn drilled_as(domain_records: &DomainRecords) -> String {
    let plan = Plan::of(domain_records);
    let hosts = domain_records.targets.iter();
    let hosts = hosts.filter_map(|target| domain_records.host(&target.host));
    let hosts: Vec<_> = hosts
        .map(|known| {
            let tlsa = known.tlsa.records().iter();
            let tlsa: Vec<_> = tlsa.map(|placed| &placed.record.data).collect();
            (tlsa, known.signed)
        })
        .collect();
    let is_of_files = domain_records
        .targets
        .iter()
        .all(|target| target.place.is_some());
    format!(
        "{} {:?} {} {hosts:?} {is_of_files}",
        route_of(&plan),
        domain_records.policy,
        domain_records.announces_policy()
    )
}

/// A text without the name of the domain that it is about, as a whole name or the end of one.
pub(crate) fn without(text: &str, domain: &Domain) -> String {
    let name = domain.as_str();
    let is_of_a_label = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    let mut left = text;
    let mut kept = String::with_capacity(text.len());
    while let Some(at) = left.find(name) {
        let (before, found) = left.split_at(at);
        let after = &found[name.len()..];
        let mut next = after.chars();
        let goes_on = match next.next() {
            // A label that begins with an underscore is no host's: `a.test._report._dmarc.b.test` is about `a.test`.
            Some('.') => next.next().is_some_and(|c| is_of_a_label(c) && c != '_'),
            next => next.is_some_and(is_of_a_label),
        };
        kept.push_str(before);
        match goes_on || before.ends_with(is_of_a_label) {
            true => kept.push_str(name),
            false => kept.push('\u{0}'),
        }
        left = after;
    }
    kept + left
}

/// The names of up to three domains, which still fit into a line; of more, how many there are.
pub(crate) fn few(domains: &[&Domain]) -> String {
    match domains {
        [_] | [_, _] | [_, _, _] => {
            let names: Vec<&str> = domains.iter().map(|one| one.as_str()).collect();
            names.join(", ")
        }
        many => format!("{} domains", many.len()),
    }
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

/// How many domains: `1 domain`, `1,998 domains`.
pub(crate) fn counted_domains(count: usize) -> String {
    let domains = if count == 1 { "domain" } else { "domains" };
    format!("{} {domains}", counted(count))
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
    fn a_domain_is_left_out_of_a_text_as_a_whole_name_alone() {
        let domain = "a.test".parse().expect("a name");
        for (text, wanted) in [
            ("a.test has no SPF record.", "\0 has no SPF record."),
            ("mx1.a.test, a.test.", "mx1.\0, \0."),
            ("mxa.test is an alias", "mxa.test is an alias"),
            ("a.test.example", "a.test.example"),
            ("a.tests", "a.tests"),
            ("a.test._report._dmarc.b.test", "\0._report._dmarc.b.test"),
        ] {
            assert_eq!(without(text, &domain), wanted);
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
