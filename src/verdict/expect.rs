//! What the scenario's author expects, held against what was observed.
//!
//! For each message and each key of the scenario there is one function, which returns a finding if the observed
//! differs. A foreign sender is judged more mildly in three ways: what could not be seen is not missed; what may be
//! done in another way is a note of level `Info`; and several transactions for several recipients count as one
//! attempt.
//!
//! The level of a finding is the scenario's where the sender was inside the process, and so did what it was told. Of a
//! foreign sender only what breaks a sentence by itself keeps it: an outcome, a notification, a time. That it came
//! there another way (other hosts, more attempts) is information; whether the way was right is what rules are for.

mod attempts;
mod counted;
mod moments;
mod notifications;
mod whole_drill;

use std::fmt;

use self::{
    attempts::{Listing, is_doubtful, sequence},
    counted::{counted_attempts, is_a_copy_for_each},
    notifications::WrongNotification,
};
pub(super) use self::{
    moments::{RETRY_WAITS, RETURNED_AFTER},
    whole_drill::{shares, totals},
};
use super::{
    Finding, SenderKind, Subject,
    facts::{DrillFacts, MessageFacts},
};
use crate::{
    level::Level,
    mail::{Message, mailbox},
    name::Domain,
    observe::{Attempt, MessageResult},
    outcome::Outcome,
    reply::Status,
    scenario::{ExpectedMessage, Scenario},
};

/// How much a departure weighs that breaks no sentence of an RFC by itself: a foreign sender may do in
/// another way what the reference sender does, and is held to the rules.
fn as_another_way(drill: &DrillFacts<'_>) -> Level {
    match drill.sender_kind {
        SenderKind::InProcess { .. } => drill.scenario.level,
        SenderKind::Command | SenderKind::ClockedCommand | SenderKind::MailServer => Level::Info,
    }
}

/// A finding about an expectation: the scenario says how strongly it is asked for, and by which
/// sections.
fn finding(
    drill: &DrillFacts<'_>,
    subject: Subject,
    claim: String,
    expected: Vec<String>,
    observed: Vec<String>,
) -> Finding {
    Finding {
        subject,
        claim,
        rule: None,
        statement: None,
        level: drill.scenario.level,
        cites: drill.scenario.cites.clone(),
        expected,
        observed,
        attempts: None,
        because: Vec::new(),
    }
}

/// What does not hold of one message, in the order of the scenario's keys.
pub(super) fn message(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    expected: &ExpectedMessage,
) -> Vec<Finding> {
    let held = Held {
        drill,
        facts,
        expected,
        attempts: counted_attempts(drill, facts),
    };
    // The order is that in which a report is read: what became of it, by whom, and only then how.
    let mut findings: Vec<Finding> = [held.outcome(), held.taker(), held.copies(), held.status()]
        .into_iter()
        .flatten()
        .collect();
    findings.extend(held.recipients());
    findings.extend(held.attempt_count());
    findings.extend(held.dsn());
    findings.extend(
        [held.retry_waits(), held.returned_after()]
            .into_iter()
            .flatten(),
    );
    let of_attempts = [
        (Listing::Whole, &expected.attempts),
        (Listing::Beginning, &expected.starts_with),
    ];
    findings.extend(of_attempts.into_iter().filter_map(|(extent, expected)| {
        let expected = expected.as_ref()?;
        sequence(drill, &facts.message.id, extent, expected, &held.attempts)
    }));
    findings
}

/// What may differ from what is expected of a message.
enum Aspect<'a> {
    Outcome,
    /// The host that accepted it.
    Taker,
    /// How often receivers accepted it.
    Copies,
    /// The status that the sender or its notification gave.
    Status,
    /// What became of it for one recipient.
    OutcomeFor(&'a str),
    /// How many attempts were made.
    AttemptCount,
    /// How long it takes from one attempt at an address to the next.
    RetryWaits,
    /// When it was returned.
    ReturnedAfter,
    /// Which notifications arrived.
    Notifications,
    /// What a notification says under a key of the scenario.
    Notified(&'static str),
}

impl fmt::Display for Aspect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outcome => f.write_str("outcome"),
            Self::Taker => f.write_str("taker"),
            Self::Copies => f.write_str("copies"),
            Self::Status => f.write_str("status"),
            Self::OutcomeFor(recipient) => write!(f, "outcome for {recipient}"),
            Self::AttemptCount => f.write_str("number of attempts"),
            Self::RetryWaits => f.write_str(RETRY_WAITS),
            Self::ReturnedAfter => f.write_str(RETURNED_AFTER),
            Self::Notifications => f.write_str("notifications"),
            Self::Notified(key) => write!(f, "{key} in a notification"),
        }
    }
}

/// A message that is held against what is expected of it, with the attempts that count.
struct Held<'a> {
    drill: &'a DrillFacts<'a>,
    facts: &'a MessageFacts<'a>,
    expected: &'a ExpectedMessage,
    attempts: Vec<&'a Attempt>,
}

impl Held<'_> {
    /// A finding that something differs. Its level follows from what differs and from who sent the
    /// message.
    fn differs(&self, what: Aspect<'_>, expected: String, observed: String) -> Finding {
        let MessageFacts {
            message, ending, ..
        } = self.facts;
        let claim = format!("{what} of message {}", message.id);
        let subject = match what {
            Aspect::OutcomeFor(recipient) => Subject::of_recipient(&message.id, recipient),
            _ => Subject::of_message(&message.id),
        };
        let finding = finding(self.drill, subject, claim, vec![expected], vec![observed]);
        let level = match (self.drill.sender_kind, what) {
            (SenderKind::InProcess { .. }, _)
            | (
                _,
                Aspect::OutcomeFor(_)
                | Aspect::RetryWaits
                | Aspect::ReturnedAfter
                | Aspect::Notifications,
            ) => finding.level,
            // Which status a report gives is settled by no MUST.
            (_, Aspect::Status | Aspect::Notified("status")) => Level::May,
            (_, Aspect::Notified(_)) => finding.level,
            // Where a message came to no end, nothing was seen that settles what becomes of it.
            (_, Aspect::Outcome) if ending.outcome() != Outcome::Deferred => finding.level,
            (_, Aspect::Outcome | Aspect::Taker | Aspect::Copies | Aspect::AttemptCount) => {
                as_another_way(self.drill)
            }
        };
        Finding {
            level,
            because: why(self.drill, self.facts),
            ..finding
        }
    }

    /// Whether the observed outcome can be the expected one.
    fn is(&self, expected: Outcome, observed: Outcome) -> bool {
        is_outcome(self.drill, self.facts.message, expected, observed)
    }

    // One function for each key of an expected message.
    fn outcome(&self) -> Option<Finding> {
        let observed = self.facts.ending.outcome();
        let expected = self.expected.outcome?;
        let saw = || self.drill.sender_kind.saw(observed);
        let wrong = !self.is(expected, observed);
        wrong.then(|| self.differs(Aspect::Outcome, expected.to_string(), saw()))
    }

    /// Whether the host that accepted it is the expected one.
    fn taker(&self) -> Option<Finding> {
        let host = self.expected.by.as_ref()?;
        let attempts = self.attempts.iter();
        let takers: Vec<_> = attempts
            .filter(|attempt| !attempt.taken.is_empty())
            .collect();
        if !takers.is_empty() && takers.iter().all(|attempt| attempt.went_to(host)) {
            return None;
        }
        // With several takers all must be the expected host: a sender that splits recipients may have several.
        let shown: Vec<String> = takers.iter().map(|attempt| attempt.host()).collect();
        let observed = if shown.is_empty() {
            "nobody".to_owned()
        } else {
            shown.join(", ")
        };
        Some(self.differs(Aspect::Taker, host.to_string(), observed))
    }

    /// Whether it was accepted as often as expected, or once for each recipient by a sender that
    /// splits them.
    fn copies(&self) -> Option<Finding> {
        let observed = self.facts.ending.copies;
        let copies = self.expected.copies?;
        let wrong = !copies.allow(observed) && !is_a_copy_for_each(self.drill, &self.attempts);
        wrong.then(|| self.differs(Aspect::Copies, copies.to_string(), observed.to_string()))
    }

    /// Whether the status is the expected one, or may stand for it.
    fn status(&self) -> Option<Finding> {
        let ending = &self.facts.ending;
        let status = self.expected.status?;
        if is_status(self.drill, status, ending) {
            return None;
        }
        let observed = ending.status;
        let observed = observed.map_or("none".to_owned(), |status| status.to_string());
        Some(self.differs(Aspect::Status, status.to_string(), observed))
    }

    /// The recipients with another outcome than expected.
    fn recipients(&self) -> impl Iterator<Item = Finding> {
        let expected = self.expected.recipients.iter();
        expected.filter_map(|(recipient, outcome)| {
            let observed = self.outcome_for(recipient);
            if observed.is_some_and(|observed| self.is(*outcome, observed)) {
                return None;
            }
            let observed = observed.map_or("no such recipient".to_owned(), |outcome| {
                self.drill.sender_kind.saw(outcome)
            });
            let what = Aspect::OutcomeFor(recipient);
            Some(self.differs(what, outcome.to_string(), observed))
        })
    }

    /// The outcome for a recipient, whose local part may be written in another case if no other has that.
    fn outcome_for(&self, recipient: &str) -> Option<Outcome> {
        let all = &self.facts.ending.recipients;
        let key = mailbox::key(recipient);
        // RFC 5321 section 2.4: local parts keep their case. `key` folds that of the domain alone.
        let exact = all.iter().find(|(known, _)| mailbox::key(known) == key);
        let folded = || {
            let mut all = all.iter();
            all.find(|(known, _)| known.eq_ignore_ascii_case(recipient))
        };
        exact.or_else(folded).map(|(_, outcome)| *outcome)
    }

    /// What notifications tell otherwise than expected.
    fn dsn(&self) -> Vec<Finding> {
        let Some(expected) = &self.expected.dsn else {
            return Vec::new();
        };
        let shown = |text: String| match &*text {
            "" => "nothing".to_owned(),
            _ => text,
        };
        let mut findings = Vec::new();
        for wrong in notifications::compare(self.drill, self.facts, expected) {
            match wrong {
                WrongNotification::Missing(row) => {
                    findings.push(self.differs(Aspect::Notifications, row, "none".to_owned()));
                }
                WrongNotification::Unexpected(told) => {
                    findings.push(self.differs(Aspect::Notifications, "no other".to_owned(), told));
                }
                WrongNotification::Differs(keys) => {
                    findings.extend(keys.into_iter().map(|differs| {
                        let what = Aspect::Notified(differs.key);
                        self.differs(what, shown(differs.expected), shown(differs.observed))
                    }))
                }
            }
        }
        findings
    }

    /// Whether there were as many attempts as expected. Doubtful ones may be counted or not,
    /// whichever fits.
    fn attempt_count(&self) -> Option<Finding> {
        let count = self.expected.attempt_count?;
        let attempts = self.attempts.iter();
        // A range: without the doubtful ones to with all of them. One number in it that is allowed is enough.
        let proper = attempts.filter(|attempt| !is_doubtful(attempt)).count() as u64;
        let all = self.attempts.len() as u64;
        // Of several messages to one place, some attempts may be known in advance.
        let is_counted = self.drill.sender_kind != SenderKind::MailServer
            || self.drill.scenario.messages.len() == 1;
        let wrong = is_counted && !(proper..=all).any(|possible| count.allow(possible));
        wrong.then(|| self.differs(Aspect::AttemptCount, count.to_string(), all.to_string()))
    }
}

/// Attempts and lookups that are listed with a finding; how many more there were is said.
const MOST_REASONS: usize = 12;

/// What led to the end of a message: the attempts with the replies to them; where there was none, what was
/// looked up.
fn why(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Vec<String> {
    let attempt = |attempt: &Attempt| match &attempt.reply {
        Some(reply) => format!("{attempt}: {reply}"),
        None => attempt.to_string(),
    };
    let mut lines: Vec<String> = facts.attempts.iter().map(attempt).collect();
    if lines.is_empty() {
        let hops = Scenario::next_hops(facts.message);
        lines = hops.iter().flat_map(|hop| drill.dns.lookups(hop)).collect();
    }
    if lines.is_empty() {
        lines.push("no attempt and no lookup".to_owned());
    }
    let more = lines.len().saturating_sub(MOST_REASONS);
    lines.truncate(MOST_REASONS);
    lines.extend((more > 0).then(|| format!("and {more} more")));
    lines
}

/// A message that a foreign sender did nothing about, as far as the lab saw: then nothing is known of it,
/// whatever was expected.
///
/// For a mail server it is informative: the message may never have been taken up while its queue
/// was run.
pub(super) fn untouched(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let message = facts.message;
    let hops = Scenario::next_hops(message);
    let is_foreign = drill.sender_kind.is_foreign();
    // A lookup is enough: it may have found, for a reason, that there is nothing to try.
    let is_touched = !facts.attempts.is_empty()
        || facts.reports.returned().is_some()
        || hops.iter().any(|hop| drill.dns.was_asked_about(hop));
    if !is_foreign || is_touched {
        return None;
    }
    let hops: Vec<&str> = hops.iter().map(Domain::as_str).collect();
    let expected = format!("a lookup of {}, or a connection", hops.join(" or "));
    let claim = format!("something is done about message {}", message.id);
    let subject = Subject::of_message(&message.id);
    let observed = vec!["nothing".to_owned()];
    let finding = finding(drill, subject, claim, vec![expected], observed);
    Some(match drill.sender_kind {
        SenderKind::MailServer => Finding {
            level: Level::Info,
            ..finding
        },
        SenderKind::InProcess { .. } | SenderKind::Command | SenderKind::ClockedCommand => finding,
    })
}

/// Whether what was seen of a message can be what was expected of it.
///
/// A command may have queued, dropped or returned what it did not deliver. A server may have
/// returned it to where nobody looks.
fn is_outcome(
    drill: &DrillFacts<'_>,
    message: &Message,
    expected: Outcome,
    observed: Outcome,
) -> bool {
    let undelivered = expected != Outcome::Delivered && observed == Outcome::Deferred;
    expected == observed
        || match drill.sender_kind {
            SenderKind::InProcess { .. } => false,
            SenderKind::Command | SenderKind::ClockedCommand => undelivered,
            SenderKind::MailServer => undelivered && drill.returns_unseen(message),
        }
}

/// Whether a sender that is not told which status to give gave one that will do.
fn is_status(drill: &DrillFacts<'_>, expected: Status, ending: &MessageResult) -> bool {
    match (drill.sender_kind, ending.status) {
        (_, observed) if observed == Some(expected) => true,
        (SenderKind::InProcess { .. }, _) => false,
        // Nothing came back in which it could be.
        (_, None) => true,
        // RFC 3463 has 4.4.7 and 5.4.7 for what was not delivered in time, and one may give either.
        (_, Some(observed)) => expected.is_expired() && observed.is_expired(),
    }
}
