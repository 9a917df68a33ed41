//! Senders that say nothing of themselves, a command and a mail server, judged by what a lab saw of them.

mod attempts;
mod crashes;
mod excuses;
mod innocents;
mod knowledge;
mod memory;
mod names;
mod notifications;
mod passes;
mod recipients;

use mxdrill::verdict::SenderKind;

use crate::trial::Trial;

/// What was seen of a sender, and what is found by it with one thing changed in turn: the claims, or the
/// rules, in the order of the report.
fn each_is_noticed(trial: Trial<'_>, table: &[(SenderKind, &str, &str, &str)]) {
    for (sender_kind, written, instead, found) in table {
        let trial = Trial {
            sender_kind: *sender_kind,
            ..trial
        };
        trial.breaks_nothing();
        let said = trial.found_with(written, instead);
        assert_eq!(said, *found, "{sender_kind:?}: {written} made {instead}");
    }
}
