//! Every rule is broken by a log, and is not by one that differs in just the thing that matters.

mod delivery;
mod dsn;
mod giving_up;
mod leaving;
mod offers;
mod order;
mod own_names;
mod places;
mod priority;
mod relays;
mod returning;
mod security;
mod wire;

use mxdrill::verdict::RULES;

#[test]
fn every_rule_is_broken_by_a_row() {
    let rows = [
        include_str!("rules/delivery.rs"),
        include_str!("rules/dsn.rs"),
        include_str!("rules/giving_up.rs"),
        include_str!("rules/leaving.rs"),
        include_str!("rules/offers.rs"),
        include_str!("rules/order.rs"),
        include_str!("rules/own_names.rs"),
        include_str!("rules/places.rs"),
        include_str!("rules/priority.rs"),
        include_str!("rules/relays.rs"),
        include_str!("rules/returning.rs"),
        include_str!("rules/security.rs"),
        include_str!("rules/wire.rs"),
    ];
    for rule in RULES {
        let finding = format!("{} {}: ", rule.level, rule.name);
        let is_expected = rows.iter().any(|rows| rows.contains(&finding));
        assert!(is_expected, "no row expects {finding:?}");
    }
}
