//! Rules about notifications (RFC 3461, RFC 3464): what asks for them is passed on, they are sent where they are
//! wanted and nowhere else, and as they have to be. What their fields say is judged in `report`.
//!
//! What depends on what the author asked for is held against a sender that was told it: one in the process,
//! or a mail server, which is only given such a message where its submission carries the parameters. What is
//! wrong of a notification in any case is held against everybody.
//!
//! In the order in which a notification comes about:
//!
//! 1. What the author asked for goes on to a server that offers DSN (RFC 3461 section 5.2.1).
//! 2. Nobody is told what nobody wanted to know (NOTIFY, section 4.1).
//! 3. Where DSN ends, who asked to be told of success is told that the message was relayed (section 5.2.2).
//! 4. What is sent comes from the null reverse-path, to the author, and asks for no notification itself (RFC 3464
//!    section 2, RFC 5321 section 4.5.5).
//! 5. It is a report for programs, addressed to the author (RFC 3464 section 2).
//! 6. It returns as much of the message as the author asked for (RET, RFC 3461 section 4.3).

use super::{
    DSN_PARAMETERS_KEPT, Differs, NOTIFY_KEPT, RELAYED_REPORT, REPORT_ENVELOPE, REPORT_FORM,
    REPORT_RETURNS, broken,
};
use crate::{
    event::ReportedRecipient,
    mail::{
        Action, ByMode, DELIVERBY, DsnRequest, Mailbox, Message, Notify, Occasion,
        OriginalRecipient, Ret, Returned,
        encoded::{of_xtext, xtext},
    },
    verdict::{
        Finding, SenderKind, Subject,
        facts::{DrillFacts, MessageFacts},
        notifications::{DsnPath, DsnTransaction, Notification},
    },
};

/// Octets of content up to which a server returns a message whole if it is asked to: those that come along set
/// their limits at 50000 and more.
const SHORT: usize = 20_000;

/// The rules of this file that a message breaks; each gives one finding at most.
pub(in crate::verdict) fn check(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Vec<Finding> {
    let checks = [
        not_passed_on(drill, facts),
        unwanted(drill, facts),
        not_reported(drill, facts),
        wrong_envelope(facts),
        wrong_form(drill, facts),
        wrong_return(drill, facts),
    ];
    checks.into_iter().flatten().collect()
}

/// A parameter that a server which offers DSN was not given as it was, or was given of itself.
///
/// RFC 3461 section 5.2.1: ENVID, RET and NOTIFY "with the same associated value", or not at all; ORCPT with "the
/// identical original-recipient-address". Where none was given, the sender may add the recipient's own.
fn not_passed_on(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    // Nothing was asked, or a sender that cannot know what was.
    let asked = facts.asked(drill)?;
    let message = facts.message;
    let to_dsn = facts.dsn.transactions.iter();
    // Where the log does not say what was offered, it says nothing about what was due.
    let mut to_dsn = to_dsn.filter(|transaction| transaction.offers("DSN") == Some(true));
    to_dsn.find_map(|transaction| {
        let wrong = wrong_mail_parameter(asked, &transaction.mail)
            .map(|wrong| (wrong, Subject::of_message(&message.id)));
        let wrong = wrong.or_else(|| {
            transaction.rcpt.iter().find_map(|path| {
                let to = facts.recipient(&path.mailbox)?;
                let knows = transaction.offers(DELIVERBY) == Some(true);
                let wrong = wrong_rcpt_parameter(message, to, path, knows)?;
                Some((wrong, Subject::of_recipient(&message.id, &to.text)))
            })
        });
        let ((expected, observed), subject) = wrong?;
        let observed = vec![format!("{observed} at {}", transaction.place())];
        Some(broken(DSN_PARAMETERS_KEPT, subject, expected, observed))
    })
}

/// A parameter for people, whether it is there or not.
fn shown(keyword: &str, value: Option<impl std::fmt::Display>) -> String {
    match value {
        Some(value) => format!("{keyword}={value}"),
        None => format!("no {keyword}"),
    }
}

/// What is wrong with the parameters of MAIL: another ENVID or RET than the author gave, or one that nobody gave.
fn wrong_mail_parameter(asked: &DsnRequest, mail: &DsnPath) -> Option<Differs> {
    // ENVID is compared as text, however it was written as xtext (RFC 3461 section 4).
    let given = mail.value("ENVID");
    let is_same = given.map(of_xtext) == asked.envelope_id.as_ref().map(|id| Some(id.to_string()));
    if !is_same {
        let expected = asked.envelope_id.as_ref();
        let expected = expected.map(|id| xtext(id));
        return Some((shown("ENVID", expected), shown("ENVID", given)));
    }
    let given = mail.value("RET");
    let read = given.map(|value| Ret::named(&value.to_ascii_lowercase()));
    (read != asked.ret.map(Some)).then(|| {
        let expected = asked.ret.map(|ret| ret.word().to_ascii_uppercase());
        (shown("RET", expected), shown("RET", given))
    })
}

/// What is wrong with those of RCPT, NOTIFY before ORCPT, at a server that may know DELIVERBY.
fn wrong_rcpt_parameter(
    message: &Message,
    to: &Mailbox,
    rcpt: &DsnPath,
    knows_deliverby: bool,
) -> Option<Differs> {
    let asked = message.request_of(to);
    let given = rcpt.value("NOTIFY");
    let read = given.map(Notify::of_parameter);
    // A server that cannot know when the message is late is asked to tell of delays (RFC 2852 section 4.1.4.2).
    let may_add_delay = message.when_late() == Some(ByMode::Notify) && !knows_deliverby;
    let is_same = read == asked.notify.clone().map(Some)
        || may_add_delay && read == asked.clone().with_delay().notify.map(Some);
    if !is_same {
        return Some((shown("NOTIFY", asked.notify), shown("NOTIFY", given)));
    }
    // Without an ORCPT of the author's, a sender may add one, and then it must name this recipient.
    let given = rcpt.value("ORCPT");
    let read = given.map(OriginalRecipient::of_parameter);
    let is_same = match (&asked.original, read) {
        (None, None) => true,
        (Some(asked), Some(Some(read))) => asked.is(&read),
        (None, Some(Some(read))) => to.is(&read.address),
        _ => false,
    };
    let expected = asked.original.map(|original| original.parameter());
    (!is_same).then(|| (shown("ORCPT", expected), shown("ORCPT", given)))
}

/// What a group of fields is about.
fn occasion(group: &ReportedRecipient) -> Option<Occasion> {
    Some(match group.what_became()? {
        Action::Failed => Occasion::Failure,
        Action::Delayed => Occasion::Delay,
        Action::Relayed | Action::Expanded | Action::Delivered => Occasion::Success,
    })
}

/// A notification of what nobody wanted to be told.
fn unwanted(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    facts.asked(drill)?;
    let message = facts.message;
    let told = facts.told().find_map(|told| {
        let group = told.of;
        let to = facts.recipient(group.recipient.as_deref()?)?;
        // Without NOTIFY it is FAILURE, or that and DELAY (RFC 3461 section 4.1).
        let default = || Notify::of_parameter("FAILURE,DELAY");
        let notify = message.request_of(to).notify.or_else(default)?;
        // A notification without an action is unwanted only by who wants none at all.
        let is_wanted = match occasion(group) {
            Some(_) if group.action == Some(Action::Relayed) && relays_are_told(facts) => {
                notify != Notify::Never
            }
            // That its time is over may be a warning by another name.
            Some(occasion) => {
                let warns = group.action == Some(Action::Delayed);
                notify.wants(occasion) || warns && notify.wants(Occasion::Delay)
            }
            None => notify != Notify::Never,
        };
        let action = group.action.map_or("notification", Action::word);
        let observed = format!("{action} for {to} +{}", told.notification.at);
        let subject = Subject::of_recipient(&message.id, &to.text);
        (!is_wanted).then_some((subject, notify, observed))
    });
    // One that speaks of no recipient is about all.
    let told = told.or_else(|| {
        let is_never = |to: &Mailbox| message.request_of(to).notify == Some(Notify::Never);
        let mut all = facts.dsn.notifications.iter();
        let unspecific = all.find(|one| {
            let report = one.report.as_ref();
            report.is_some_and(|report| report.recipients.is_empty())
        });
        let one = unspecific.filter(|_| message.to.iter().all(is_never))?;
        let subject = Subject::of_message(&message.id);
        Some((
            subject,
            Notify::Never,
            format!("a notification +{}", one.at),
        ))
    });
    let (subject, notify, observed) = told?;
    Some(broken(
        NOTIFY_KEPT,
        subject,
        format!("nothing beside NOTIFY={notify}"),
        vec![observed],
    ))
}

/// Whether a message is reported as relayed whatever is asked of success: each relay was asked for, or it went on to a server
/// that does not know until when it is to arrive (RFC 2852 section 4.1.4).
fn relays_are_told(facts: &MessageFacts<'_>) -> bool {
    let Some(by) = facts.message.deliver_by else {
        return false;
    };
    let mut taken = facts.dsn.transactions.iter().filter(|one| one.taken);
    by.trace || by.mode == ByMode::Notify && taken.any(|one| one.offers(DELIVERBY) != Some(true))
}

/// A recipient whose author wants to be told of success, and is not where nobody further on will do it.
///
/// Of a mail server it is known once its queue is empty.
fn not_reported(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    facts.asked(drill)?;
    let message = facts.message;
    let from = message.from.as_ref()?;
    // Where the author's domain is known to lead nowhere, a notification cannot arrive.
    let nowhere = drill.dns.places(&from.domain, drill.last);
    // One in the process says when it is done, and one whose notification is on its way is not. Of others, only an
    // empty queue says so.
    let is_at_an_end = match drill.sender_kind {
        SenderKind::InProcess { .. } => !facts.is_notified_of,
        _ => drill.crashes.queue_is_empty() && !drill.returned_in_vain,
    };
    let is_readable = |one: &Notification| one.report.is_some();
    let mut notifications = facts.dsn.notifications.iter();
    // After a stop nothing is begun.
    let is_stopped = drill.scenario.stop.is_some();
    let has_report = facts.dsn.notifications.iter().any(is_readable);
    if is_stopped
        || nowhere.are_known_to_be_none()
        || !(is_at_an_end || has_report)
        || !notifications.all(is_readable)
    {
        return None;
    }
    let taken = facts.dsn.transactions.iter();
    // Taken by a server that was asked and does not offer DSN: the last one that could be held to it is the sender.
    let mut taken = taken.filter(|one| one.taken && one.offers("DSN") == Some(false));
    let (to, transaction) = taken.find_map(|transaction: &DsnTransaction| {
        let accepted = transaction.rcpt.iter().filter(|path| path.accepted);
        let mut accepted = accepted.filter_map(|path| facts.recipient(&path.mailbox));
        let is_unreported = |to: &&Mailbox| {
            let is_wanted = message.wants(to, Occasion::Success);
            let is_of = |group: &ReportedRecipient| {
                let named = group.recipient.as_deref();
                let named = named.and_then(|named| facts.recipient(named));
                named == Some(*to) && occasion(group) == Some(Occasion::Success)
            };
            is_wanted && !facts.told().any(|told| is_of(told.of))
        };
        Some((accepted.find(is_unreported)?, transaction))
    })?;
    Some(broken(
        RELAYED_REPORT,
        Subject::of_recipient(&message.id, &to.text),
        format!("a notification that it was relayed for {to}"),
        vec![format!(
            "none; it was taken without DSN at {}",
            transaction.place()
        )],
    ))
}

/// A notification that is sent in a way in which none may be.
fn wrong_envelope(facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    let from = message.from.as_ref()?;
    let arrived = &facts.dsn.notifications;
    let goes_back = |one: &Notification| {
        let local = |mailbox: &str| {
            let (local, _) = mailbox.rsplit_once('@').unwrap_or((mailbox, ""));
            local.to_ascii_lowercase()
        };
        // The domain may be written with the name that an alias stands for.
        let mut to = one.transaction.rcpt.iter().map(|path| &path.mailbox);
        to.any(|to| local(to) == local(&from.text))
    };
    let wrong = arrived.iter().find_map(|one| {
        let DsnTransaction { mail, rcpt, .. } = &one.transaction;
        // One thing is told, the gravest first.
        let observed = if !mail.mailbox.is_empty() {
            format!("MAIL FROM:<{}>", mail.mailbox)
        } else if let Some(ret) = mail.value("RET") {
            format!("RET={ret}")
        } else {
            let notify = rcpt.iter().filter_map(|path| path.value("NOTIFY"));
            let mut other = notify.filter(|value| !value.eq_ignore_ascii_case("NEVER"));
            format!("NOTIFY={}", other.next()?)
        };
        Some((one, observed))
    });
    // A copy may go to somebody else, such as a postmaster.
    let elsewhere = || {
        let first = arrived
            .iter()
            .find(|one| !one.transaction.rcpt.is_empty())?;
        let to = first.transaction.rcpt.first()?;
        (!arrived.iter().any(goes_back)).then(|| (first, format!("RCPT TO:<{}>", to.mailbox)))
    };
    let (notification, observed) = wrong.or_else(elsewhere)?;
    Some(broken(
        REPORT_ENVELOPE,
        Subject::of_message(&message.id),
        format!("from <> to <{from}>, without RET and with NOTIFY=NEVER at most"),
        vec![format!("{observed} +{}", notification.at)],
    ))
}

/// A notification that is none for a program, or is addressed to somebody else.
fn wrong_form(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    facts.asked(drill)?;
    let message = facts.message;
    let from = message.from.as_ref()?;
    let mut arrived = facts.dsn.notifications.iter();
    let (notification, observed) = arrived.find_map(|one| {
        let report = one.report.as_deref()?;
        // A copy for somebody else is addressed to that one.
        let mut to = one.transaction.rcpt.iter();
        to.find(|to| from.is(&to.mailbox))?;
        let is_addressed = |to: &String| from.is(to) || from.text.eq_ignore_ascii_case(to);
        if !report.multipart_report {
            return Some((one, "no multipart/report with delivery-status".to_owned()));
        }
        if !report.to.iter().any(is_addressed) {
            return Some((one, format!("To: {}", report.to.join(", "))));
        }
        None
    })?;
    Some(broken(
        REPORT_FORM,
        Subject::of_message(&message.id),
        format!("a multipart/report of delivery-status, To: {from}"),
        vec![format!("{observed} +{}", notification.at)],
    ))
}

/// More of a message than its author wants to have back, or less.
fn wrong_return(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    let asked = facts.asked(drill)?;
    // Without RET the choice is the sender's (RFC 3461 section 4.3); with REQUIRETLS it is as if the header was asked for
    // (RFC 8689 section 5).
    let ret = match message.require_tls {
        true => Ret::Headers,
        false => asked.ret?,
    };
    let mut all = facts.dsn.notifications.iter();
    let (notification, returned) = all.find_map(|one| {
        let report = one.report.as_deref()?;
        let mut groups = report.recipients.iter();
        // RET speaks of failures; with others the header alone is to come.
        let has_failure = groups.any(|group| group.action == Some(Action::Failed));
        let is_short = message.size.is_none_or(|size| size <= SHORT);
        let is_wrong = match (ret, report.returned) {
            (Ret::Headers, Returned::Full) => true,
            (Ret::Full, Returned::Headers | Returned::Nothing) => has_failure && is_short,
            _ => false,
        };
        is_wrong.then_some((one, report.returned))
    })?;
    Some(broken(
        REPORT_RETURNS,
        Subject::of_message(&message.id),
        format!("as RET={} asks", ret.word().to_ascii_uppercase()),
        vec![format!("{returned} returned +{}", notification.at)],
    ))
}
