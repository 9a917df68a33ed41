//! How much a message matters (MT-PRIORITY, RFC 6710): every server that offers the extension is told, of notifications
//! about it, too.
//!
//! A server that does not offer it refuses the parameter, which a drill's expectations show. Which number is told is not
//! judged: a server may give a message another priority than its author did.

use super::{PRIORITY_PASSED_ON, REPORT_PRIORITY, broken};
use crate::{
    mail::Priority,
    verdict::{
        Finding, Subject,
        facts::{DrillFacts, MessageFacts},
        notifications::DsnTransaction,
    },
};

/// The rules of this file that a message breaks; each gives one finding at most.
pub(in crate::verdict) fn check(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Vec<Finding> {
    // 0 is what a message has without the parameter.
    let priority = facts.message.priority.filter(|one| *one != Priority::USUAL);
    let Some(priority) = priority.filter(|_| drill.tells_all()) else {
        return Vec::new();
    };
    let id = &facts.message.id;
    let silent = |one: &&DsnTransaction| {
        one.offers("MT-PRIORITY") == Some(true) && one.mail.value("MT-PRIORITY").is_none()
    };
    let finding = |rule, transaction: &DsnTransaction| {
        let observed = format!("no MT-PRIORITY at {}", transaction.place());
        let expected = format!("MT-PRIORITY={priority}");
        broken(rule, Subject::of_message(id), expected, vec![observed])
    };
    let dsn = &facts.dsn;
    let passed_on = dsn.transactions.iter().find(silent);
    let passed_on = passed_on.map(|one| finding(PRIORITY_PASSED_ON, one));
    let mut notifications = dsn.notifications.iter().map(|one| &one.transaction);
    let reported = notifications.find(silent);
    let reported = reported.map(|one| finding(REPORT_PRIORITY, one));
    passed_on.into_iter().chain(reported).collect()
}
