//! The judge: it reads the log as it grows and judges each message when nothing more will come of it.
//!
//! What happens with an event ([`Judge::see`]):
//!
//! 1. It goes to those who need every event: faults that wait to apply, what the name server told,
//!    who was given what.
//! 2. If it speaks of a message, the message's evidence takes it in.
//! 3. If it ends a session, the session's attempts are filed: at once if the sender said which
//!    message they are for, otherwise at the end, when all that can tell messages apart is known.
//! 4. If the sender is done with a message and none of its sessions is open, the message is judged.
//!
//! Findings are sorted at the end, so that their order does not depend on which message ended
//! first.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    Finding, SenderKind, Verdict,
    crashes::CrashesSeen,
    dns_view::settles,
    evidence::{AttemptPool, Evidence},
    expect,
    facts::{DrillFacts, MessageFacts},
    notifications::DsnSessions,
    rules::{PolicyFetches, Wire, delivery, dsn, priority, report, routing, security},
    surroundings::Surroundings,
    totals::Totals,
    views::Knowledge,
};
use crate::{
    event::{Connected, Event, EventKind, SessionId},
    fault::Stage,
    mail::{MessageId, MessageIndex},
    observe::{self, Attempt, LogFacts, MessageResult, Sessions, Unattributed},
    scenario::Scenario,
    time::Moment,
};

/// Findings about messages that are listed one by one; more of them are only counted. A broken
/// sender breaks a rule with every message.
const MOST_FINDINGS: usize = 10_000;
/// Notes on messages that are listed one by one; more of them are only counted.
const MOST_NOTES: usize = 1000;

/// Reads a log and judges it. A message that its sender is done with is forgotten.
pub(crate) struct Judge<'a> {
    drill: DrillFacts<'a>,
    /// Finds a message of the scenario by its id.
    index: MessageIndex,
    /// Which messages something is expected of, and where that is, in order.
    expected: Vec<(usize, usize)>,
    sessions: Sessions,
    /// What sessions under way pass on of what is asked of notifications.
    dsn: DsnSessions,
    /// The messages that sessions under way are for.
    served: BTreeMap<SessionId, usize>,
    /// What was seen so far of messages that are not judged.
    open: BTreeMap<usize, Evidence>,
    /// Shared by the evidence of all messages.
    alike: AttemptPool,
    /// Whether a message was judged, by its index.
    judged: Vec<bool>,
    /// Attempts of senders that do not say which message they are for; they are attributed at the
    /// end.
    unsaid: Vec<Unattributed>,
    log_facts: LogFacts,
    surroundings: Surroundings<'a>,
    wire: Wire<'a>,
    fetches: PolicyFetches,
    tally: Totals,
    findings: FoundSoFar,
    /// How many messages the sender took up later than it might have, and the first of them.
    late: Option<(usize, MessageId)>,
}

/// The order in which findings are told: first by what they are about, then by message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    Totals,
    Shares,
    /// What is expected of messages, in the order in which it is written.
    Expectations,
    Routing,
    Equals,
    Security,
    Delivery,
    Wire,
    Dsn,
}

/// What was found so far, bounded, with what it sorts by.
#[derive(Default)]
struct FoundSoFar {
    dns: Vec<((About, usize), Finding)>,
    untold: usize,
    notes: Vec<(usize, String)>,
    unnoted: usize,
}

impl FoundSoFar {
    /// Adds findings, as long as there is room. What is found of the drill as a whole is few, and is never left out.
    fn add(&mut self, about: About, place: usize, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            let of_all = matches!(
                about,
                About::Totals | About::Shares | About::Equals | About::Wire
            );
            if of_all || self.dns.len() < MOST_FINDINGS {
                self.dns.push(((about, place), finding));
            } else {
                self.untold += 1;
            }
        }
    }

    fn note(&mut self, place: usize, notes: Vec<String>) {
        for note in notes {
            if self.notes.len() < MOST_NOTES {
                self.notes.push((place, note));
            } else {
                self.unnoted += 1;
            }
        }
    }

    /// What was found, in the order of the report: the sort is stable, and keeps the order within a message.
    fn into_order(mut self) -> (Vec<Finding>, Vec<String>) {
        self.dns.sort_by_key(|(place, _)| *place);
        self.notes.sort_by_key(|(place, _)| *place);
        let mut notes: Vec<String> = self.notes.into_iter().map(|(_, note)| note).collect();
        if self.unnoted > 0 {
            notes.push(format!("and {} notes more like these", self.unnoted));
        }
        if self.untold > 0 {
            notes.push(format!("and {} findings more than are listed", self.untold));
        }
        let findings = self.dns.into_iter().map(|(_, finding)| finding).collect();
        (findings, notes)
    }
}

impl<'a> Judge<'a> {
    /// A judge that has seen nothing yet. What a scenario expects of a message is found by the
    /// message's index, since messages are judged as they end and not in the order of the scenario.
    pub(crate) fn new(scenario: &'a Scenario, sender_kind: SenderKind) -> Self {
        let index = MessageIndex::new(&scenario.messages);
        let expected = scenario.expect.messages.iter().zip(0..);
        let mut expected: Vec<(usize, usize)> = expected
            .filter_map(|((id, _), place)| Some((index.find(&scenario.messages, id)?, place)))
            .collect();
        expected.sort_unstable();
        Self {
            drill: DrillFacts {
                scenario,
                dns: Knowledge::new(scenario, sender_kind),
                sender_kind,
                last: Moment::START,
                unreached: BTreeMap::new(),
                fruitless: HashMap::new(),
                hidden: Vec::new(),
                tried: BTreeMap::new(),
                doubtful: BTreeMap::new(),
                returned_in_vain: false,
                crashes: CrashesSeen::new(scenario),
            },
            index,
            expected,
            sessions: Sessions::default(),
            dsn: DsnSessions::default(),
            served: BTreeMap::new(),
            open: BTreeMap::new(),
            alike: AttemptPool::default(),
            judged: vec![false; scenario.messages.len()],
            unsaid: Vec::new(),
            log_facts: LogFacts::default(),
            surroundings: Surroundings::new(scenario),
            wire: Wire::new(scenario, sender_kind),
            fetches: PolicyFetches::default(),
            tally: Totals::new(scenario),
            findings: FoundSoFar::default(),
            late: None,
        }
    }

    /// The index of a message of the drill; `None` for a notification or a stranger.
    fn find(&self, id: &MessageId) -> Option<usize> {
        self.index.find(&self.drill.scenario.messages, id)
    }

    /// The message that a notification is about, of a sender that says so in its id.
    fn notified_of(&self, id: &MessageId) -> Option<usize> {
        self.find(&id.about()?)
    }

    /// The evidence of a message; `None` if that was judged already.
    fn evidence(&mut self, index: usize) -> Option<&mut Evidence> {
        (!self.judged[index]).then(|| self.open.entry(index).or_default())
    }

    /// Takes in the next event.
    pub(crate) fn see(&mut self, event: &Event) {
        self.drill.last = event.at;
        self.surroundings.see(event);
        self.wire.see(event);
        self.fetches.see(event);
        self.drill.crashes.see(event);
        // A question that was answered as before tells nobody anything: a drill of many messages has many of them.
        let news = self.drill.dns.see(event);
        // What was answered for good is known there, and handed on where it is needed at the end.
        let is_known = |kind: &EventKind| match kind {
            EventKind::Query { answer, fault, .. } => !news || settles(*answer, *fault),
            _ => false,
        };
        if !is_known(&event.kind) {
            self.log_facts.see(event);
        }
        if let Some(index) = observe::spoken_of(event).and_then(|id| self.find(id))
            && let Some(evidence) = self.evidence(index)
        {
            evidence.reports.take(event);
        }
        // What a session passed on matters to a notification always, to a message only if its author asked for something.
        if let Some((id, seen)) = self.dsn.see(event)
            && let Some(index) = self.find(&id)
            && (seen.is_notification() || self.drill.scenario.messages[index].is_marked())
            && let Some(evidence) = self.evidence(index)
        {
            evidence.dsn.take(seen);
        }
        match &event.kind {
            EventKind::Connect { .. } => self.connected(event),
            EventKind::Submitted { message, .. } => self.submitted(message, event.at),
            EventKind::Unseen {
                address,
                hosts,
                result,
                ..
            } => self.drill.hide(*address, hosts, *result, event.at),
            EventKind::Taken {
                message: None,
                from,
                ..
            } if from.is_empty() => self.tally.notifications += 1,
            _ => {}
        }
        // The attempts come first and the count after: a message whose last session ends here is judged with them.
        let over = self.sessions.see(event);
        self.enter_session(over);
        if let EventKind::End { session, .. } = &event.kind
            && let Some(index) = self.served.remove(session)
            && let Some(evidence) = self.evidence(index)
        {
            evidence.under_way -= 1;
            self.judge_if_over(index);
        }
    }

    /// Notes that a message was taken up late: a sender with too much to do is no fault of the
    /// network's.
    fn submitted(&mut self, id: &MessageId, at: Moment) {
        let Some(index) = self.find(id) else { return };
        // Only where the moment is the sender's to keep: others are given their messages by who runs them.
        let meant = self.drill.scenario.messages[index].at;
        if let SenderKind::InProcess { tolerance } = self.drill.sender_kind
            && at.since(meant) > tolerance
        {
            self.late.get_or_insert_with(|| (0, id.clone())).0 += 1;
        }
    }

    /// Notes a connection: which message it serves, or that an address could not be reached.
    fn connected(&mut self, event: &Event) {
        let EventKind::Connect {
            session,
            address,
            result,
            hint,
            ..
        } = &event.kind
        else {
            return;
        };
        let id = hint.message.as_ref();
        // A notification keeps its message open, too: it may be what is still missing.
        let served = id.and_then(|id| self.find(id).or_else(|| self.notified_of(id)));
        match result {
            Connected::Accepted => {
                self.tally.accepted += 1;
                if let Some(index) = served
                    && let Some(evidence) = self.evidence(index)
                {
                    evidence.under_way += 1;
                    self.served.insert(*session, index);
                }
            }
            Connected::Refused | Connected::Timeout | Connected::Unreachable => {
                // Kept only where a sender remembers dead hosts: it then excuses that a candidate was left out.
                let sender = &self.drill.scenario.sender;
                if sender.remember_unreachable.is_some() {
                    let unreached = self.drill.unreached.entry(*address).or_default();
                    unreached.insert(event.at);
                }
            }
            Connected::Reset => {}
        }
    }

    /// Enters what was attempted in a session that is over.
    ///
    /// An attempt for an unknown id may be for a notification, which is counted apart from the
    /// drill's messages, or for mail of somebody else's.
    fn enter_session(&mut self, attempts: Vec<Unattributed>) {
        let (said, unsaid): (Vec<_>, Vec<_>) =
            attempts.into_iter().partition(Unattributed::is_said);
        self.unsaid.extend(unsaid);
        // Counted once for a session, however many transactions it had: totals count sessions.
        let mut is_for_others = false;
        for attempt in said.into_iter().map(|one| one.attempt) {
            let Some(id) = &attempt.message else { continue };
            match self.find(id) {
                Some(index) => self.keep(index, attempt),
                None => {
                    is_for_others |= attempt.stage != Some(Stage::Connect);
                    self.note_notification(id);
                }
            }
        }
        self.tally.for_others += usize::from(is_for_others);
    }

    /// Keeps an attempt for a message.
    fn keep(&mut self, index: usize, mut attempt: Attempt) {
        attempt.look_for_want(&self.drill.scenario.messages[index]);
        if !self.judged[index] {
            let evidence = self.open.entry(index).or_default();
            evidence.enter(attempt, &mut self.alike);
        }
    }

    /// Notes that a notification was tried to be delivered, if the id is one's.
    fn note_notification(&mut self, id: &MessageId) {
        if let Some(index) = self.notified_of(id)
            && let Some(evidence) = self.evidence(index)
        {
            evidence.is_notified_of = true;
        }
    }

    /// Takes in that a sender is done with a message: it is judged as soon as its sessions have ended.
    pub(crate) fn done(&mut self, id: &MessageId) {
        if let Some(index) = self.find(id)
            && let Some(evidence) = self.evidence(index)
        {
            evidence.done = true;
            self.judge_if_over(index);
        }
    }

    /// Judges a message if its sender is done with it and no session is open.
    fn judge_if_over(&mut self, index: usize) {
        let over = |evidence: &Evidence| evidence.done && evidence.under_way == 0;
        if self.open.get(&index).is_some_and(over) {
            self.judge(index);
        }
    }

    /// Judges one message: makes facts of its evidence, and asks expectations and rules.
    fn judge(&mut self, index: usize) {
        // Of a message that nothing was seen of, there is no evidence, and that is what is judged.
        let mut evidence = self.open.remove(&index).unwrap_or_default();
        self.judged[index] = true;
        let message = &self.drill.scenario.messages[index];
        self.log_facts.forget(&message.id);
        let attempts = evidence.attempts(&message.id);
        let tried = attempts.iter().map(|attempt| attempt.at);
        evidence.reports.settle(tried);
        let facts = MessageFacts {
            ending: MessageResult::new(message, &attempts, &evidence.reports),
            message,
            attempts,
            reports: evidence.reports,
            is_notified_of: evidence.is_notified_of,
            dsn: evidence.dsn,
        };
        let drill = &self.drill;
        let findings = &mut self.findings;
        // Several keys may speak of one message: its own, and that of its row.
        let before = self.expected.partition_point(|(of, _)| *of < index);
        // Those of one message stand side by side, since they were sorted by its place.
        let expected = self.expected[before..].iter();
        for (_, place) in expected.take_while(|(of, _)| *of == index) {
            let (_, expected) = &drill.scenario.expect.messages[*place];
            let wrong = expect::message(drill, &facts, expected);
            findings.add(About::Expectations, *place, wrong);
        }
        findings.add(About::Routing, index, expect::untouched(drill, &facts));
        findings.add(About::Routing, index, routing::check(drill, &facts));
        findings.add(About::Security, index, security::check(drill, &facts));
        let mut notes = Vec::new();
        let broken = delivery::check(drill, &facts, &mut notes);
        findings.add(About::Delivery, index, broken);
        findings.add(About::Dsn, index, dsn::check(drill, &facts));
        findings.add(About::Dsn, index, report::check(drill, &facts));
        findings.add(About::Dsn, index, priority::check(drill, &facts));
        findings.note(index, notes);
        self.tally.count(drill, &facts);
    }

    /// Judges all that is left, then the drill as a whole.
    pub(crate) fn finish(mut self) -> Verdict {
        for attempts in std::mem::take(&mut self.sessions).finish() {
            self.enter_session(attempts);
        }
        let unsaid = std::mem::take(&mut self.unsaid);
        if !unsaid.is_empty() {
            let facts = &mut self.log_facts;
            self.drill.dns.each_settled(|records| facts.learn(records));
        }
        let attributed = self.log_facts.attribute(self.drill.scenario, unsaid);
        let strangers = self.enter_unsaid(attributed);
        // In the order of the scenario, so that two runs judge in one order.
        for index in 0..self.judged.len() {
            if !self.judged[index] {
                self.judge(index);
            }
        }
        let Self {
            drill,
            tally,
            mut findings,
            late,
            surroundings,
            mut wire,
            fetches,
            ..
        } = self;
        findings.add(About::Totals, 0, expect::totals(&drill, &tally));
        let shares = expect::shares(&drill, &tally.first_attempts);
        findings.add(About::Shares, 0, shares);
        findings.add(About::Equals, 0, tally.equals.check());
        findings.add(About::Wire, 0, wire.findings());
        findings.add(About::Wire, 1, fetches.finding());
        let (findings, mut notes) = findings.into_order();
        notes.extend(strangers);
        notes.extend(surroundings.notes());
        notes.extend(late.map(|(count, first)| {
            format!(
                "{count} messages were taken up later than they came, {first} first: as many as can be were under way"
            )
        }));
        Verdict {
            findings,
            notes,
            outcomes: tally.outcomes,
            attempts: tally.attempts,
        }
    }

    /// Enters attempts of a sender that says nothing; notes on mail that is none of the drill's.
    ///
    /// All sessions are over by then. Mail for somebody who is no recipient of the drill is worth a
    /// note: it may be a typing error, or mail that the server sends of its own accord.
    fn enter_unsaid(&mut self, attempts: Vec<Attempt>) -> Vec<String> {
        let mut strangers = Vec::new();
        let mut for_others = BTreeSet::new();
        for attempt in attempts {
            let index = attempt.message.as_ref().and_then(|id| self.find(id));
            let is_other = index.is_none() && (attempt.notification || attempt.message.is_some());
            if is_other {
                self.drill.returned_in_vain |= attempt.notification && attempt.taken.is_empty();
                if let Some(id) = &attempt.message {
                    self.note_notification(id);
                }
                if attempt.stage != Some(Stage::Connect) {
                    for_others.insert(attempt.session);
                }
                continue;
            }
            self.drill.remember(&attempt);
            match index {
                Some(index) => self.keep(index, attempt),
                None => {
                    // Not of a message, and an attempt all the same.
                    self.tally.attempts += 1;
                    if !attempt.taken.is_empty() {
                        strangers.push(format!(
                            "{} took a message for {}, who gets none of this drill's",
                            attempt.host(),
                            attempt.taken.join(", ")
                        ));
                    }
                }
            }
        }
        self.tally.for_others += for_others.len();
        strangers
    }
}
