//! Rules about what becomes of a message.
//!
//! All of them are about one message. What a sender says of it ([`MessageFacts::said_of`]) counts as
//! much as what was seen: a sender inside the process says what becomes of each recipient, a mail
//! server says it by a notification.
//!
//! Attempts that may have been for another message, or none (a probe), break no rule.
//!
//! Two questions come before every rule. *Was the attempt for this recipient?* As the sender says, by the next hop;
//! else by the recipients that were named; one that came to no transaction tells only of a message with one recipient.
//! *Is its failure permanent?* By the first digit of the reply and the stage at which it came (RFC 5321 section
//! 4.2.1), but for codes that have a meaning of their own: 552 to RCPT, 504 and 555, 503.

use std::{collections::BTreeSet, time::Duration};

use super::{
    DELIVERED_ONCE, FAILED_LOOKUP_DEFERS, GIVES_UP_LATE, NO_BOUNCE_OF_BOUNCE, PERMANENT_IS_FINAL,
    PERMANENT_IS_RETURNED, ROUTE_IS_TRIED, SENDER_NOTIFIED, TRANSIENT_IS_RETRIED, broken, content,
    losses,
    retries::{self, is_retried, patience},
    untried,
};
use crate::{
    fault::Stage,
    mail::mailbox,
    mail::{Mailbox, Message, Occasion},
    name::Domain,
    observe::Attempt,
    outcome::{AttemptResult, Outcome},
    scenario::Scenario,
    time::{HumanDuration, Moment},
    verdict::{
        Finding, SenderKind, Subject,
        dns_view::Exchangers,
        facts::{DrillFacts, MessageFacts},
    },
};

/// From when on a failure that was met is returned late: twelve hours. A mail server may look at
/// its queue a few times before it notices.
const LONG: Duration = Duration::from_secs(12 * 3600);

/// The rules of this file that a message breaks; each gives one finding at most.
pub(in crate::verdict) fn check(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    notes: &mut Vec<String>,
) -> Vec<Finding> {
    let checks = [
        losses::check(drill, facts),
        delivered_twice(drill, facts, notes),
        repeated_after_permanent(drill, facts),
        kept_for_nothing(drill, facts),
        given_up_too_soon(drill, facts),
        retries::at_once(drill, facts),
        not_notified(drill, facts),
        content::check(facts),
        untried::check(drill, facts),
    ];
    checks.into_iter().flatten().collect()
}

/// More than one copy for a recipient, where no reply was lost.
///
/// A client that gets no reply to the final dot has to try again, so a copy after a lost reply is
/// no fault (RFC 1047), nor is one after a crash that left no time to note the reply; it is noted.
fn delivered_twice(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    notes: &mut Vec<String>,
) -> Option<Finding> {
    let message = facts.message;
    let mut seen = BTreeSet::new();
    // Most messages are taken once: they are passed over without a look at each recipient.
    let taken = facts.attempts.iter().flat_map(|attempt| &attempt.taken);
    if taken.into_iter().all(|to| seen.insert(mailbox::key(to))) {
        return None;
    }
    for recipient in message.to.iter() {
        let took = |attempt: &&Attempt| {
            let mut taken = attempt.taken.iter();
            taken.any(|to| recipient.is(to))
        };
        let taken: Vec<&Attempt> = facts.attempts.iter().filter(took).collect();
        if taken.len() < 2 {
            continue;
        }
        let observed: Vec<String> = taken.iter().map(ToString::to_string).collect();
        // What matters is how the earlier ones ended; the last copy may have ended in any way.
        let before = &taken[..taken.len() - 1];
        let crashed = |attempt: &&Attempt| drill.crashes.came_before_the_note_of(attempt);
        let is_lost = |attempt: &&Attempt| attempt.result != AttemptResult::Accepted;
        if leaves_copies_to_a_crash(drill, message, taken.len()) {
            notes.push(format!(
                "message {} reached {recipient} {} times, as the drill allows",
                message.id,
                taken.len()
            ));
            continue;
        }
        if before
            .iter()
            .all(|attempt| is_lost(attempt) || crashed(attempt))
        {
            let after = match before.iter().any(crashed) {
                true => "a crash",
                false => "a lost reply",
            };
            notes.push(format!(
                "message {} reached {recipient} {} times after {after}",
                message.id,
                taken.len()
            ));
            continue;
        }
        return Some(broken(
            DELIVERED_ONCE,
            Subject::of_recipient(&message.id, &recipient.text),
            format!("one copy for {recipient}"),
            observed,
        ));
    }
    None
}

/// Whether the drill has a crash, and lets it make as many copies of a message.
fn leaves_copies_to_a_crash(drill: &DrillFacts<'_>, message: &Message, copies: usize) -> bool {
    let mut expected = drill.scenario.expect.messages.iter();
    let allowed = expected.find(|(id, _)| *id == message.id);
    let allowed = allowed.and_then(|(_, expected)| expected.copies);
    !drill.scenario.crashes.is_empty()
        && allowed.is_some_and(|allowed| allowed.allow(copies as u64))
}

/// A further attempt for a recipient after a 5yz in a transaction.
///
/// RFC 5321 section 4.2.1: the client "SHOULD NOT repeat the exact request (in the same sequence)".
fn repeated_after_permanent(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let MessageFacts {
        message, attempts, ..
    } = facts;
    for (index, attempt) in attempts.iter().enumerate() {
        let refuses = |(_, code): &(String, u16)| *code >= 500;
        let is_permanent = attempt.is_permanent() || attempt.recipients.iter().any(refuses);
        let is_last = index + 1 == attempts.len();
        let is_sure = !attempt.incidental && !attempt.is_guessed();
        if is_last || !is_sure || !is_permanent || drill.crashes.cut_off(attempt) {
            continue;
        }
        for recipient in message.to.iter() {
            let again = |later: &&Attempt| {
                !later.incidental && !later.is_guessed() && offers(later, recipient, message)
            };
            // The next attempt that offers this recipient. Later ones would break the same sentence once more.
            let later = attempts[index + 1..].iter().find(again);
            let is_same = |later: &&Attempt| {
                surely_refused(attempt, recipient, message) && !in_another_sequence(attempt, later)
            };
            if let Some(later) = later.filter(is_same) {
                let observed = vec![attempt.to_string(), later.to_string()];
                return Some(broken(
                    PERMANENT_IS_FINAL,
                    Subject::of_recipient(&message.id, &recipient.text),
                    format!("no further attempt for {recipient}"),
                    observed,
                ));
            }
        }
    }
    None
}

/// Whether commands that came in a wrong order (503) were put in order later in the session.
fn in_another_sequence(attempt: &Attempt, later: &Attempt) -> bool {
    attempt.session == later.session && matches!(attempt.result, AttemptResult::Code(503))
}

/// Whether a recipient was refused for good, and it is known that the attempt was for this one: what is refused at
/// MAIL has named nobody yet. A message to several domains goes to the hosts of each, and who has a transaction for
/// each recipient meets the refusal of MAIL with each.
fn surely_refused(attempt: &Attempt, recipient: &Mailbox, message: &Message) -> bool {
    let is_named = attempt.recipients.iter().any(|(to, _)| recipient.is(to));
    let of_hop = |to: &&Mailbox| match &attempt.hop {
        Some(hop) => to.domain == *hop,
        None => true,
    };
    let mut possible = message.to.iter().filter(of_hop);
    let is_alone =
        possible.next().is_some_and(|to| to.is(&recipient.text)) && possible.next().is_none();
    (is_named || is_alone) && refused_for_good(attempt, recipient)
}

/// Whether a recipient was refused for good: itself, or with the whole message.
pub(super) fn refused_for_good(attempt: &Attempt, recipient: &Mailbox) -> bool {
    let reply = attempt
        .recipients
        .iter()
        .find(|(address, _)| recipient.is(address));
    // What parameters of a command are not known, the command without them is another request.
    let of_parameters = |code: u16| attempt.hop.is_none() && matches!(code, 504 | 555);
    match (reply, attempt.stage) {
        (Some((_, code)), _) if of_parameters(*code) => false,
        (None, Some(Stage::Mail)) if matches!(attempt.result, AttemptResult::Code(code) if of_parameters(code)) => {
            false
        }
        // 552 to RCPT speaks of the number of recipients (RFC 5321 section 4.5.3.1.10).
        (Some((_, 552)), _) => false,
        (Some((_, 500..)), _) => true,
        (Some((_, ..400)), Some(Stage::Data | Stage::Dot)) | (None, Some(Stage::Mail)) => {
            attempt.is_permanent()
        }
        _ => false,
    }
}

/// Whether the host would not talk to the sender at all, for good.
fn turned_away(attempt: &Attempt) -> bool {
    let before_mail = matches!(
        attempt.stage,
        Some(Stage::Greeting | Stage::Helo | Stage::Auth)
    );
    let is_refused = matches!(attempt.result, AttemptResult::Code(500..));
    attempt.is_of_a_stranger() || before_mail && is_refused
}

/// Whether an attempt offers a recipient. One that never came to a transaction is for everybody,
/// which tells something only of a message with one recipient.
fn offers(attempt: &Attempt, recipient: &Mailbox, message: &Message) -> bool {
    if attempt.offered.is_empty() {
        message.to.len() == 1
    } else {
        attempt.offered.iter().any(|to| recipient.is(to))
    }
}

/// Returned only when its time was over, although a permanent failure had been met long before.
///
/// A sender that keeps such a message until it expires tells its author days late what it knew at
/// once.
fn kept_for_nothing(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    for (recipient, (_, ending)) in message.to.iter().zip(&facts.ending.recipients) {
        let said = facts.said_of(&recipient.text).map(|(_, at)| at);
        // Of several recipients, the first notification may be about any that was not delivered.
        // What its sender says of this recipient comes first.
        let returned = said.or(facts.reports.first_returned());
        let Some(at) = returned.filter(|_| *ending == Outcome::Bounced) else {
            continue;
        };
        let is_late = |since: &Moment| at.since(*since) >= LONG;
        // How long a mail server keeps a message is its own affair.
        let is_known = drill.sender_kind != SenderKind::MailServer;
        if is_known && at.since(message.at) < drill.scenario.sender.expire {
            continue;
        }
        let refused = |attempt: &&Attempt| {
            let sure = !attempt.incidental && !attempt.is_guessed();
            sure && surely_refused(attempt, recipient, message) && is_late(&attempt.ended)
        };
        let refused = facts.attempts.iter().find(refused);
        let cause = refused.map(ToString::to_string);
        let cause = cause.or_else(|| {
            let since = nowhere_since(drill, facts, &recipient.domain).filter(is_late)?;
            let places = drill.dns.places(&recipient.domain, since);
            Some(why_nowhere(&recipient.domain, &places.exchangers, since))
        });
        if let Some(cause) = cause {
            return Some(broken(
                PERMANENT_IS_RETURNED,
                Subject::of_message(&message.id),
                "a notification soon after",
                vec![cause, format!("returned +{at}")],
            ));
        }
    }
    None
}

/// Since when a sender had been told that there is nowhere to send mail for a domain to, and was told nothing
/// else later nor tried anything.
fn nowhere_since(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>, hop: &Domain) -> Option<Moment> {
    let dns = &drill.dns;
    let mut moments = dns.answered_at(hop);
    if let Exchangers::Mx(pairs) = dns.exchangers(hop, drill.last) {
        moments.extend(pairs.iter().flat_map(|(_, host)| dns.answered_at(host)));
        moments.sort_unstable();
    }
    let is_nowhere = |at: &&Moment| dns.places(hop, **at).are_known_to_be_none();
    // From the end backwards: as long as each answer said that there is nowhere to go.
    let mut last: Vec<&Moment> = moments.iter().rev().take_while(is_nowhere).collect();
    let since = (*last.pop()?).max(facts.message.at);
    let is_for = |attempt: &Attempt| match &attempt.hop {
        Some(said) => said == hop,
        None => Scenario::next_hops(facts.message).len() == 1,
    };
    let mut later = facts.attempts.iter();
    let tried = later.any(|attempt| attempt.at > since && is_for(attempt));
    (!tried).then_some(since)
}

/// Why there is nowhere to send mail for a domain to, in words.
fn why_nowhere(hop: &Domain, exchangers: &Exchangers, since: Moment) -> String {
    let why = match exchangers {
        Exchangers::Null => format!("{hop} has a null MX"),
        Exchangers::NoDomain => format!("{hop} does not exist"),
        Exchangers::Implicit | Exchangers::Mx(_) | Exchangers::Failed => {
            format!("no exchanger of {hop} has an address to send to")
        }
    };
    format!("{why} +{since}")
}

/// Returned before its time although nothing permanent was met.
///
/// RFC 5321 section 4.5.4.1: "Retries continue until the message is transmitted or the sender gives
/// up". Which rule is broken depends on how far the sender came: an attempt means that it should
/// retry, a failed lookup that it should wait, and neither that it never tried a route which is
/// there.
fn given_up_too_soon(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    for recipient in message.to.iter() {
        let Some((Outcome::Bounced, at)) = facts.said_of(&recipient.text) else {
            continue;
        };
        let is_for = |attempt: &&Attempt| match &attempt.hop {
            Some(hop) => *hop == recipient.domain,
            None => offers(attempt, recipient, message) || message.to.len() > 1,
        };
        let to_hop: Vec<&Attempt> = facts.attempts.iter().filter(is_for).collect();
        // What a line that is no reply means, no RFC says.
        let unclear =
            |attempt: &Attempt| attempt.hop.is_none() && attempt.result == AttemptResult::Garbage;
        // 552 may mean that there are too many recipients, or that this one's mailbox is full.
        let is_full = |attempt: &Attempt| {
            let mut replies = attempt.recipients.iter();
            attempt.hop.is_none() && replies.any(|(to, code)| *code == 552 && recipient.is(to))
        };
        let permanent = to_hop.iter().any(|attempt| {
            turned_away(attempt)
                || refused_for_good(attempt, recipient)
                || attempt.result == AttemptResult::Unsupported
                || unclear(attempt)
                || is_full(attempt)
        });
        let patience = patience(drill);
        // So may its author.
        let expired = at.since(message.at) >= message.patience(patience);
        // RFC 5321 section 6.3: too many Received fields, and the message goes in a circle.
        let looped = message.received >= drill.scenario.sender.max_hops;
        let unseen = drill.may_be_returned_unseen(message);
        if permanent || expired || looped || message.require_tls || unseen {
            continue;
        }
        if drill.dns.may_be_nowhere(&recipient.domain, at) {
            continue;
        }
        let subject = Subject::of_recipient(&message.id, &recipient.text);
        if let Some(last) = to_hop.last() {
            let observed = vec![last.to_string(), format!("bounced +{at}")];
            return Some(if is_retried(&to_hop) {
                let expected = format!("kept for {} at least", HumanDuration(patience));
                broken(GIVES_UP_LATE, subject, expected, observed)
            } else {
                broken(TRANSIENT_IS_RETRIED, subject, "a retry", observed)
            });
        }
        let observed = vec![format!("no attempt, and bounced +{at}")];
        let places = drill.dns.places(&recipient.domain, at);
        if places.are_unsettled() && drill.dns.may_not_be_for_now() {
            continue;
        }
        if places.are_unsettled() {
            let expected = "the message queued";
            return Some(broken(FAILED_LOOKUP_DEFERS, subject, expected, observed));
        }
        if untried::may_be_sent_plainly(drill, message) {
            let expected = format!("an attempt at a host of {}", recipient.domain);
            return Some(broken(ROUTE_IS_TRIED, subject, expected, observed));
        }
    }
    None
}

/// Returned, says the sender, and nothing came back although its author wants to be told; or a notification of a notification.
///
/// RFC 5321 section 6.1: a failed delivery is reported to the reverse-path, and "this notification
/// MUST be sent using a null ("<>") reverse-path", to which nothing can be returned.
fn not_notified(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    let back = facts.reports.returned();
    let Some(from) = &message.from else {
        let back = back?;
        return Some(broken(
            NO_BOUNCE_OF_BOUNCE,
            Subject::of_message(&message.id),
            "nothing returned",
            vec![format!("a notification +{}", back)],
        ));
    };
    let is_bounced = |to: &Mailbox| {
        let said = facts.said_of(&to.text);
        matches!(said, Some((Outcome::Bounced, _))) && message.wants(to, Occasion::Failure)
    };
    if back.is_some() || !message.to.iter().any(is_bounced) {
        return None;
    }
    // Where nothing can be delivered to the sender's domain, nothing can be returned.
    let nowhere = drill
        .dns
        .places(&from.domain, drill.last)
        .are_known_to_be_none();
    if facts.is_notified_of || nowhere {
        return None;
    }
    Some(broken(
        SENDER_NOTIFIED,
        Subject::of_message(&message.id),
        format!("a notification for {from}"),
        vec!["none".to_owned()],
    ))
}
