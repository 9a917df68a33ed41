//! Messages that are neither delivered nor returned, and not queued any more.

use super::{NOTHING_LOST, broken};
use crate::{
    outcome::Outcome,
    verdict::{
        Finding, SenderKind, Subject,
        facts::{DrillFacts, MessageFacts},
    },
};

/// A recipient for whom the message was neither delivered nor returned, and for whom it is not
/// queued any more.
///
/// A sender inside the process reports what becomes of each recipient. With the end of the drill
/// each has to be delivered, returned, or reported as queued where the scenario stops early.
pub(super) fn check(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    match drill.sender_kind {
        SenderKind::InProcess { .. } => {}
        SenderKind::MailServer => return lost_by_a_server(drill, facts),
        // Others do not say what they keep.
        SenderKind::Command | SenderKind::ClockedCommand => return None,
    }
    let message = facts.message;
    for (recipient, (_, outcome)) in message.to.iter().zip(&facts.ending.recipients) {
        let said = facts.said_of(&recipient.text);
        let said = said.map(|(outcome, _)| outcome);
        let observed = match (outcome, said) {
            (Outcome::Delivered | Outcome::Bounced, _) => continue,
            (Outcome::Deferred, Some(Outcome::Delivered)) => {
                "the sender says delivered; no receiver took it"
            }
            (Outcome::Deferred, Some(Outcome::Deferred)) if drill.scenario.stops(message) => {
                continue;
            }
            (Outcome::Deferred, Some(_)) => "the sender ended with the message still queued",
            // Nothing is known of the queue of a sender that was told to stop.
            (Outcome::Deferred, None) if drill.scenario.stops(message) => continue,
            (Outcome::Deferred, None) => "neither delivered nor queued nor returned",
        };
        return Some(broken(
            NOTHING_LOST,
            Subject::of_recipient(&message.id, &recipient.text),
            format!("an end for {recipient}"),
            vec![observed.to_owned()],
        ));
    }
    None
}

/// A recipient of a mail server's for whom the message was neither delivered nor returned, although the server's
/// queue is empty.
///
/// RFC 5321 section 6.1: it "MUST NOT lose the message for frivolous reasons, such as because the host later crashes".
/// So it is asked where it crashed.
fn lost_by_a_server(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    if !drill.crashes.left_an_empty_queue() || drill.returns_unseen(message) {
        return None;
    }
    let mut recipients = message.to.iter().zip(&facts.ending.recipients);
    let (recipient, _) = recipients.find(|(_, (_, outcome))| *outcome == Outcome::Deferred)?;
    Some(broken(
        NOTHING_LOST,
        Subject::of_recipient(&message.id, &recipient.text),
        format!("an end for {recipient}"),
        vec!["neither delivered nor returned, and the queue is empty".to_owned()],
    ))
}
