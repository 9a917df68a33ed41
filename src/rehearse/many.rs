//! What is rehearsed of a domain with more exchangers than a person wants to read of one by one.
//!
//! 1. Exchangers of one preference that nothing distinguishes are alike: of more than three one is drilled, for each of them.
//! 2. Of many preferences the first few are drilled by themselves, then the first two, five, ten and so on together, all but the
//!    last, and all.
//! 3. A drill has fewer messages where each of them means many attempts (`messages`).
//!
//! What is merged and what is left out is said ([`notes`]).

use std::{collections::BTreeMap, net::IpAddr};

use super::{DAY, PassageSum, security::Security};
use crate::{
    name::Domain,
    plan::{Plan, Planned},
};

/// Exchangers of a domain up to which each is drilled by itself, and all that happens to it is told, and exchangers alike.
const EACH: usize = 5;
const EACH_ALIKE: usize = 3;
/// Exchangers of which a sender may try all, again and again, with all the messages of a drill.
pub(super) const FEW: usize = 10;
/// Preferences that are drilled by themselves where there are more exchangers, and kinds of exchangers of one preference.
pub(super) const FIRST: usize = 3;
/// The exchangers of one preference.
pub(super) struct Level<'a> {
    pub(super) preference: u16,
    /// Those that senders use.
    pub(super) exchangers: Vec<&'a Planned>,
    /// The same, those together that nothing distinguishes.
    pub(super) alike: Vec<Vec<&'a Planned>>,
}

/// How many of the exchangers that senders use are at each address.
pub(super) fn exchangers_at(plan: &Plan) -> BTreeMap<IpAddr, usize> {
    let mut at: BTreeMap<IpAddr, usize> = BTreeMap::new();
    for (_, planned) in plan.usable() {
        for address in &planned.addresses {
            *at.entry(*address).or_default() += 1;
        }
    }
    at
}

/// The levels of a plan that senders use, most preferred first.
pub(super) fn levels<'a>(plan: &'a Plan, security: &Security) -> Vec<Level<'a>> {
    let at = exchangers_at(plan);
    // What decides over what becomes of mail when an exchanger fails.
    let traits = |planned: &Planned| {
        let ipv4 = planned.addresses.iter().filter(|one| one.is_ipv4()).count();
        let shared = planned.addresses.iter().map(|address| at[address]).max();
        (
            (ipv4, planned.addresses.len() - ipv4, shared),
            (planned.alias_of.is_some(), security.has_tlsa(&planned.host)),
        )
    };
    let level = |level: &'a crate::plan::PreferenceLevel| {
        let exchangers: Vec<&Planned> = level
            .exchangers
            .iter()
            .filter(|planned| planned.usable)
            .collect();
        let mut alike: Vec<Vec<&Planned>> = Vec::new();
        for planned in &exchangers {
            match alike
                .iter_mut()
                .find(|those| traits(those[0]) == traits(planned))
            {
                Some(those) => those.push(planned),
                None => alike.push(vec![planned]),
            }
        }
        Level {
            preference: level.preference,
            exchangers,
            alike,
        }
    };
    let levels = plan.levels.iter().map(level);
    levels
        .filter(|level| !level.exchangers.is_empty())
        .collect()
}

/// Whether a domain has more exchangers than senders try with all the messages of a drill.
pub(super) fn are_many(plan: &Plan) -> bool {
    plan.usable().nth(FEW).is_some()
}

/// Whether a domain has more exchangers than are drilled one by one, or more of one kind.
pub(super) fn are_merged(plan: &Plan, security: &Security) -> bool {
    let levels = levels(plan, security);
    let mut kinds = levels.iter().flat_map(|level| &level.alike);
    plan.usable().nth(EACH).is_some() || kinds.any(|alike| alike.len() > EACH_ALIKE)
}

/// The one of some exchangers alike that is drilled: of those that take mail when nothing fails, one that takes least. To
/// each of hundreds few messages of a drill go, and where none does, nothing would be seen to happen.
pub(super) fn drilled<'a>(alike: &[&'a Planned], usual: &PassageSum) -> &'a Planned {
    let taken = |planned: &&&Planned| usual.takers.get(&planned.host).copied();
    let takers = alike.iter().filter(|planned| taken(planned).is_some());
    takers.min_by_key(taken).unwrap_or(&alike[0])
}

/// How many of the first preferences fail together: two, five, ten and so on, and all but the last.
pub(super) fn together(levels: usize) -> Vec<usize> {
    let steps = (0..).flat_map(|tens| [1, 2, 5].map(|step| step * 10_usize.pow(tens)));
    let before_last = steps.skip(1).take_while(|count| count + 1 < levels);
    let mut counts: Vec<usize> = before_last.collect();
    if levels > 2 {
        counts.push(levels - 1);
    }
    counts
}

/// What is merged and left out, in words.
pub(super) fn notes(plan: &Plan, security: &Security) -> Vec<String> {
    if !are_merged(plan, security) {
        return Vec::new();
    }
    let levels = levels(plan, security);
    let told = levels.iter().take(FIRST);
    let alike = told.flat_map(|level| level.alike.iter().take(FIRST).map(move |all| (level, all)));
    let mut notes: Vec<String> = alike
        .filter(|(_, all)| all.len() > 1)
        .map(|(level, all)| {
            let share = match level.preference == levels[0].preference {
                true => format!(", to which one message in {} goes in the long run", level.exchangers.len()),
                false => String::new(),
            };
            format!(
                "merged: nothing distinguishes {} exchangers of preference {}, {}; one of them is drilled{share}",
                all.len(),
                level.preference,
                few(all.iter().map(|planned| &planned.host))
            )
        })
        .collect();
    let behind = levels
        .iter()
        .skip(FIRST)
        .flat_map(|level| &level.exchangers);
    let kinds = levels
        .iter()
        .take(FIRST)
        .flat_map(|level| level.alike.iter().skip(FIRST));
    let left: Vec<&Domain> = kinds
        .flatten()
        .chain(behind)
        .map(|planned| &planned.host)
        .collect();
    if !left.is_empty() {
        notes.push(format!(
            "left out: what happens when one of {} fails alone",
            few(left.into_iter())
        ));
    }
    if levels.len() > 1 {
        notes.push(format!(
            "left out: what else may happen to exchangers behind preference {}, to which no mail comes while that one answers",
            levels[0].preference
        ));
    }
    if are_many(plan) {
        notes.push(
            "left out: some of the messages in drills in which each means many attempts".to_owned(),
        );
    }
    notes
}

/// Names of which the first two are told, and how many more there are.
pub(super) fn few<'a>(names: impl Iterator<Item = &'a Domain>) -> String {
    let names: Vec<&str> = names.map(Domain::as_str).collect();
    match &names[..] {
        [first, second, more @ ..] if more.len() > 1 => {
            format!("{first}, {second} and {} more", more.len())
        }
        few => few.join(", "),
    }
}

/// Seconds for which exchangers do not answer: a day.
pub(super) const OUTAGE: u64 = DAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_preferences_fail_together_in_steps_that_grow() {
        for (levels, expected) in [
            (1, &[][..]),
            (2, &[]),
            (3, &[2]),
            (4, &[2, 3]),
            (12, &[2, 5, 10, 11]),
            (123, &[2, 5, 10, 20, 50, 100, 122]),
        ] {
            assert_eq!(together(levels), expected, "{levels}");
        }
    }
}
