//! What a drill is judged by: what is known of the whole, and what was seen of one message.
//!
//! `DrillFacts` holds what all checks need of the drill; `MessageFacts` one message with its attempts and what
//! was heard of it. Both are made by `judge` and only read by the checks. Questions that several
//! checks ask, such as whether a sender may remember a dead host, are answered here.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    time::Duration,
};

use super::{
    SenderKind,
    crashes::CrashesSeen,
    dns_view::{Exchangers, LONGEST_PASS},
    notifications::{DsnEvidence, Notification},
    views::Knowledge,
};
use crate::{
    event::{Connected, NotificationReport, ReportedRecipient, SessionId},
    extension::Extension,
    fault::{Failure, Fault, Host, Stage},
    mail::{ByMode, DELIVERBY, DsnRequest, Mailbox, Message, MessageId, Occasion},
    name::Domain,
    observe::{Attempt, MessageResult, Reports},
    outcome::{AttemptResult, Outcome},
    scenario::Scenario,
    time::Moment,
};

/// How long finding out that a host is dead may take, before it is remembered.
///
/// The sender notes it when the attempt ends, and up to ten minutes may have gone by since it
/// began.
const REMEMBERED_FROM: Duration = Duration::from_secs(600);

/// What is known of a drill when a message of it is judged.
pub(super) struct DrillFacts<'a> {
    pub(super) scenario: &'a Scenario,
    /// What the sender knew of the DNS.
    pub(super) dns: Knowledge<'a>,
    pub(super) sender_kind: SenderKind,
    /// The moment of the last event.
    pub(super) last: Moment,
    /// When addresses could not be reached, where a sender may remember that (RFC 5321 section
    /// 4.5.4.1).
    pub(super) unreached: BTreeMap<IpAddr, BTreeSet<Moment>>,
    /// What a foreign sender may know in advance: its attempts that came to no transaction, those that are
    /// alike together, with when and for which message each was made.
    pub(super) fruitless: HashMap<Attempt, BTreeSet<(Moment, Option<MessageId>)>>,
    /// When a foreign sender tried addresses, for whatever message.
    pub(super) tried: BTreeMap<IpAddr, BTreeSet<Moment>>,
    /// When it tried them for which message nobody can tell, or for none.
    pub(super) doubtful: BTreeMap<IpAddr, BTreeSet<Moment>>,
    /// Addresses at which attempts of a foreign sender went unseen for a time, with their names and what an
    /// attempt came to.
    pub(super) hidden: Vec<(IpAddr, Vec<Domain>, AttemptResult)>,
    /// Whether some notification could not be delivered: others may have failed unseen.
    pub(super) returned_in_vain: bool,
    pub(super) crashes: CrashesSeen,
}

impl DrillFacts<'_> {
    /// Whether a sender that remembers dead hosts may pass an address over (RFC 5321 section 4.5.4.1).
    /// A foreign sender is not told how long the drill says it is since.
    // The sender's clock is its own, and it may remember for as long as it likes.
    pub(super) fn may_be_remembered(&self, address: IpAddr, at: Moment) -> bool {
        let kept = match (self.sender_kind, self.scenario.sender.remember_unreachable) {
            (SenderKind::MailServer | SenderKind::Command | SenderKind::ClockedCommand, _) => {
                Duration::MAX
            }
            (_, None) => return false,
            (_, Some(kept)) => kept + REMEMBERED_FROM,
        };
        let unreached = self.unreached.get(&address);
        // Only the last time counts: what was reached since is not kept here, and a sender may not have noticed.
        let last = unreached.and_then(|unreached| unreached.range(..=at).next_back());
        last.is_some_and(|last| at.since(*last) <= kept)
    }

    /// Whether the sender was told all that authors ask for: one in the process, and a mail server, which is given only
    /// messages whose submission carries that. A command is given messages by other ways than SMTP.
    pub(super) fn tells_all(&self) -> bool {
        match self.sender_kind {
            SenderKind::InProcess { .. } | SenderKind::MailServer => true,
            SenderKind::Command | SenderKind::ClockedCommand => false,
        }
    }

    /// Whether a notification about a message could not be seen: it is not wanted, there is nobody to send it to, no host to
    /// send it to, or no host that takes it.
    pub(super) fn returns_unseen(&self, message: &Message) -> bool {
        let Some(from) = &message.from else {
            return true;
        };
        // Of whom nobody wants to be told (RFC 3461 section 4.1).
        let mut recipients = message.to.iter();
        if self.returned_in_vain || !recipients.any(|to| message.wants(to, Occasion::Failure)) {
            return true;
        }
        let dns = &self.dns;
        let is_nowhere =
            |host: &Domain| dns.may_refuse(host) || dns.addresses(host, self.last).is_empty();
        // With relays, the null reverse-path goes there as all else does.
        match dns.exchangers(&from.domain, self.last) {
            Exchangers::Mx(hosts) => hosts.iter().all(|(_, host)| is_nowhere(host)),
            Exchangers::Implicit => is_nowhere(&from.domain),
            Exchangers::Null | Exchangers::NoDomain | Exchangers::Failed => true,
        }
    }

    /// Whether a foreign sender may have returned a message at any host, for want of what it offers: binary content goes
    /// nowhere without BINARYMIME, nor without DELIVERBY what its author would rather have back than late (RFC 2852 section
    /// 4.1.4.1). Nobody sees where a sender missed it.
    pub(super) fn may_be_returned_unseen(&self, message: &Message) -> bool {
        let is_binary = |one: &Extension| one.is("BINARYMIME");
        // A least time may be more than is left.
        let is_of_any_time = |one: &Extension| one.is(DELIVERBY) && one.parameters.is_empty();
        let wants_it_back = message.when_late() == Some(ByMode::Return);
        self.sender_kind.is_foreign()
            && (message.binary && !self.is_offered_everywhere(is_binary)
                || wants_it_back && !self.is_offered_everywhere(is_of_any_time))
    }

    /// Whether the drill lets every receiver offer such an extension, and EHLO never fail.
    fn is_offered_everywhere(&self, is_it: impl Fn(&Extension) -> bool) -> bool {
        let has = |list: &Option<Vec<Extension>>| {
            let mut list = list.iter();
            list.all(|list| list.iter().any(&is_it))
        };
        let world = &self.scenario.world;
        let is_of_ehlo = |fault: &Fault| {
            matches!(
                fault.failure,
                Failure::Session {
                    stage: Stage::Helo,
                    ..
                }
            )
        };
        let rows = &world.receivers;
        rows.iter()
            .any(|row| row.host.is_none() && row.extensions.is_some())
            && rows
                .iter()
                .all(|row| has(&row.extensions) && has(&row.extensions_in_tls))
            && !world.faults.iter().any(is_of_ehlo)
    }

    /// Whether an address may have been tried for a message about some moment, by an attempt of which that
    /// cannot be told.
    pub(super) fn may_have_been_tried(&self, address: IpAddr, about: Moment) -> bool {
        is_about(self.doubtful.get(&address), about)
    }

    /// Whether a foreign sender tried an address about some moment, for whatever message.
    pub(super) fn was_tried(&self, address: IpAddr, about: Moment) -> bool {
        is_about(self.tried.get(&address), about)
    }

    /// Notes that from now on attempts at an address go unseen. A foreign sender may have made any; for one
    /// inside the lab they are in the log.
    pub(super) fn hide(
        &mut self,
        address: IpAddr,
        hosts: &[Domain],
        result: Connected,
        at: Moment,
    ) {
        let result = match result {
            Connected::Refused => AttemptResult::Refused,
            Connected::Timeout => AttemptResult::Timeout,
            Connected::Accepted | Connected::Reset | Connected::Unreachable => return,
        };
        if self.sender_kind.is_foreign() {
            self.unreached.entry(address).or_default().insert(at);
            self.hidden.push((address, hosts.to_vec(), result));
        }
    }

    /// Whether an attempt at a host may have come to this unseen.
    pub(super) fn may_be_hidden(&self, host: &Host, result: AttemptResult) -> bool {
        let mut hidden = self.hidden.iter();
        hidden.any(|(address, names, of)| *of == result && host.covers(*address, names))
    }

    /// Enters an attempt of a foreign sender, which may remember what it came to.
    ///
    /// Only an attempt that ended before MAIL says something about the host rather than about the
    /// message; or one that met what is no reply, or lost its connection, which may be no message's fault: RFC 5321
    /// section 4.5.4.1 asks for a list of hosts that cannot be reached.
    pub(super) fn remember(&mut self, attempt: &Attempt) {
        let tried = self.tried.entry(attempt.address).or_default();
        tried.insert(attempt.at);
        if attempt.is_guessed() || attempt.incidental {
            let doubtful = self.doubtful.entry(attempt.address).or_default();
            doubtful.insert(attempt.at);
        }
        let before_mail = attempt.stage.is_some_and(|stage| stage < Stage::Mail);
        // What a host says before MAIL, it says to every message.
        let is_broken = matches!(
            attempt.result,
            AttemptResult::Garbage
                | AttemptResult::Closed
                | AttemptResult::Reset
                | AttemptResult::Timeout
        );
        let is_of_host = before_mail || is_broken;
        if is_of_host && !attempt.incidental {
            // Without message, session and time: attempts that are equal then are alike.
            let unreached = self.unreached.entry(attempt.address).or_default();
            unreached.insert(attempt.at);
            let alike = Attempt {
                message: None,
                session: SessionId(0),
                at: Moment::START,
                ended: Moment::START,
                reply: None,
                ..attempt.clone()
            };
            let made = self.fruitless.entry(alike).or_default();
            made.insert((attempt.at, attempt.message.clone()));
        }
    }
}

/// Whether one of some moments is as near to another as those of one pass may be: ten minutes
/// before or after it.
fn is_about(moments: Option<&BTreeSet<Moment>>, about: Moment) -> bool {
    let from = Moment(about.0.saturating_sub(LONGEST_PASS));
    let mut near = moments
        .into_iter()
        .flat_map(|all| all.range(from..=about.after(LONGEST_PASS)));
    near.next().is_some()
}

/// A message, with all that was seen of it.
pub(super) struct MessageFacts<'a> {
    pub(super) message: &'a Message,
    /// The attempts that were for it, or may have been, in the order in which they began.
    pub(super) attempts: Vec<Attempt>,
    /// What its sender and notifications said of it.
    pub(super) reports: Reports,
    /// What became of it for each recipient.
    pub(super) ending: MessageResult,
    /// Whether a notification about it was tried to be delivered.
    pub(super) is_notified_of: bool,
    /// What was passed on of what is asked of notifications, and the notifications themselves.
    pub(super) dsn: DsnEvidence,
}

// Questions about one message.
impl MessageFacts<'_> {
    /// Whether an attempt failed in a way that another host may not have.
    pub(super) fn is_worth_another_host(&self, attempt: &Attempt, was_tried_again: bool) -> bool {
        match attempt.result {
            // What a host does not offer it will not offer later: another may be tried (RFC 5321 section 2.2.3).
            AttemptResult::Accepted | AttemptResult::Unsupported => false,
            AttemptResult::Code(code) => code < 500,
            // What a line that is no reply means, no RFC says: who returned the message, and did not try again, took it
            // for permanent.
            AttemptResult::Garbage if attempt.hop.is_none() => {
                self.reports.first_returned().is_none() || was_tried_again
            }
            _ => true,
        }
    }

    /// Whether a client may connect to a host again right after an attempt, without having waited: after one
    /// that was none, TLS that failed, EHLO that was not understood (RFC 5321 section 3.2), or a parameter of
    /// MAIL that was not (section 4.1.1.11); or for other
    /// recipients, as far as that can be told.
    ///
    /// A session that broke inside TLS may have failed by it: who uses TLS where it can be had then does without (RFC
    /// 7435 section 3).
    pub(super) fn may_follow_at_once(&self, attempt: &Attempt, later: &Attempt) -> bool {
        // `hop` is what a sender inside the process says: it has no such excuse, since it is told what to do.
        let unlike_ehlo = attempt.stage == Some(Stage::Helo)
            && matches!(attempt.result, AttemptResult::Code(500..))
            && attempt.hop.is_none();
        let of_parameters = attempt.stage == Some(Stage::Mail)
            && matches!(attempt.result, AttemptResult::Code(504 | 555))
            && attempt.hop.is_none();
        let is_lost = matches!(
            attempt.result,
            AttemptResult::Reset
                | AttemptResult::Closed
                | AttemptResult::Timeout
                | AttemptResult::Garbage
        );
        let without_tls = attempt.tls && !later.tls && is_lost && attempt.hop.is_none();
        without_tls
            || attempt.incidental
            || later.incidental
            || attempt.stage == Some(Stage::Starttls)
            || unlike_ehlo
            || of_parameters
            || self.are_for_others(attempt, later)
    }

    /// Whether two attempts of a sender that says nothing may be for different recipients. One that
    /// says its next hop is taken at its word.
    fn are_for_others(&self, one: &Attempt, other: &Attempt) -> bool {
        let in_both = one.offered.iter().any(|to| other.offered.contains(to));
        one.hop.is_none() && self.message.to.len() > 1 && !in_both
    }

    /// When the sender had the last word on the message, if that was after a moment; else when
    /// anything was seen last.
    pub(super) fn last_word(&self, drill: &DrillFacts<'_>, since: Moment) -> Moment {
        let word = self.reports.last_word();
        word.filter(|word| *word >= since).unwrap_or(drill.last)
    }

    /// What was said of a recipient; of one of whom nothing was said, what came back of a message that
    /// had no other.
    pub(super) fn said_of(&self, recipient: &str) -> Option<(Outcome, Moment)> {
        // A notification without a report says nothing of single recipients.
        let alone = self.message.to.len() == 1;
        let returned = self.reports.returned().filter(|_| alone);
        let report = self.reports.report(recipient);
        report.or_else(|| Some((Outcome::Bounced, returned?)))
    }

    /// What was asked of notifications, if the sender was told.
    pub(super) fn asked(&self, drill: &DrillFacts<'_>) -> Option<&DsnRequest> {
        drill.tells_all().then_some(self.message.dsn.as_deref()?)
    }

    /// The recipient that a text names: to the letter, or else in another case if that is no other's.
    pub(super) fn recipient(&self, text: &str) -> Option<&Mailbox> {
        let exact = self.message.to.iter().find(|to| to.is(text));
        exact.or_else(|| {
            let mut folded = self.message.to.iter();
            folded.find(|to| to.text.eq_ignore_ascii_case(text))
        })
    }

    /// What notifications say of recipients, each with the one that says it.
    pub(super) fn told(&self) -> impl Iterator<Item = ToldOfRecipient<'_>> {
        self.dsn.notifications.iter().flat_map(|notification| {
            let report = notification.report.as_deref();
            report.into_iter().flat_map(move |report| {
                let groups = report.recipients.iter();
                groups.map(move |of| ToldOfRecipient {
                    notification,
                    report,
                    of,
                })
            })
        })
    }
}

/// What a notification says of one recipient.
#[derive(Clone, Copy)]
pub(super) struct ToldOfRecipient<'a> {
    pub(super) notification: &'a Notification,
    pub(super) report: &'a NotificationReport,
    pub(super) of: &'a ReportedRecipient,
}
