//! What is expected of all messages together: totals, and the shares that equal exchangers get.

use super::{as_another_way, finding};
use crate::{
    fault::Host,
    level::Level,
    scenario::Total,
    verdict::{Finding, SenderKind, Subject, facts::DrillFacts, totals::Totals},
};

/// The totals that do not hold, a finding each.
pub(in crate::verdict) fn totals(drill: &DrillFacts<'_>, tally: &Totals) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (total, bounds) in &drill.scenario.expect.totals {
        let observed = tally.total(*total);
        let allowed = match (drill.sender_kind, total) {
            // A foreign sender may use one session for several messages.
            (
                SenderKind::Command | SenderKind::ClockedCommand | SenderKind::MailServer,
                Total::Sessions,
            ) => observed <= bounds.max || splits_recipients(drill),
            // It does not say what it did not deliver, and whether it will.
            (
                SenderKind::Command | SenderKind::ClockedCommand,
                Total::Deferred | Total::Bounced,
            ) => true,
            (SenderKind::Command | SenderKind::ClockedCommand, Total::Notifications) => {
                observed <= bounds.max
            }
            // Some of those deferred may have been returned where nobody sees it; any number of
            // them makes the totals right.
            (SenderKind::MailServer, Total::Deferred | Total::Bounced) => {
                (0..=tally.returned_unseen).any(|unseen| match total {
                    Total::Bounced => bounds.allow(observed + unseen),
                    _ => bounds.allow(observed - unseen),
                })
            }
            _ => bounds.allow(observed),
        };
        if !allowed {
            let (claim, is_by_itself) = match total {
                Total::Sessions | Total::Notifications => {
                    (format!("number of {}", total.word()), true)
                }
                _ => (format!("{} messages", total.word()), false),
            };
            let (expected, observed) = (vec![bounds.to_string()], vec![observed.to_string()]);
            let mut finding = finding(drill, Subject::Drill, claim, expected, observed);
            if is_by_itself {
                finding.level = as_another_way(drill);
            }
            findings.push(finding);
        }
    }
    findings
}

/// Shares of first attempts that do not hold. `counted` are those observed, in the order of the
/// scenario.
pub(in crate::verdict) fn shares(drill: &DrillFacts<'_>, counted: &[u64]) -> Vec<Finding> {
    let expected = &drill.scenario.expect.first_attempts;
    let line = |host: &Host, count: String| format!("{host}: {count}");
    let all = expected.iter().zip(counted);
    let wrong = all
        .clone()
        .filter(|((_, bounds), count)| !bounds.allow(**count));
    wrong
        .map(|((host, bounds), _)| {
            let observed = all
                .clone()
                .map(|((host, _), count)| line(host, count.to_string()))
                .collect();
            finding(
                drill,
                Subject::Share { host: host.clone() },
                format!("first attempts at {host}"),
                vec![line(host, bounds.to_string())],
                observed,
            )
        })
        .collect()
}

/// Whether more sessions than expected come of several recipients, each served by itself: a SHOULD
/// asks for one copy for all (RFC 5321 section 5.1).
fn splits_recipients(drill: &DrillFacts<'_>) -> bool {
    let mut messages = drill.scenario.messages.iter();
    drill.scenario.level == Level::Must && messages.any(|message| message.to.len() > 1)
}
