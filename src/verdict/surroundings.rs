//! What a drill did beside its messages, told as notes: faults that never applied, crashes that never came, and what
//! the sender tried to reach outside the drill.
//!
//! A fault that never applied often means that the scenario tests nothing: the sender never came to
//! that stage or host. So it is said, and the author has to judge.
//!
//! Each event is held against what is still waited for, and what it shows is taken off the list. What is left at the
//! end was never seen. So an effect has to show in the log, or its fault would be noted in every drill: a delay shows
//! in that the reply came at all, a content that was cut off in the reply to its end.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use crate::{
    event::{Connected, Event, EventKind, Misbehaviour, ReplyEvent, SessionId},
    fault::{Effect, Failure, Fault, Host, Stage, Transport, covers, is_like},
    name::Domain,
    scenario::{Crash, LimitShown, Scenario},
    time::Moment,
};

/// Faults that are looked for: the first hundred. Each costs a look at every event until it has
/// applied.
const MOST_FAULTS: usize = 100;
/// Places outside the drill that are listed; how many more there were is said.
const MOST_STRAYS: usize = 10;

/// Where a session leads: the address, its names, and the port.
type SessionPlace = (IpAddr, Arc<[Domain]>, u16);

/// Reads a log for what is beside its messages.
pub(super) struct Surroundings<'a> {
    /// The faults that did not apply yet, with their place in the scenario.
    waiting: Vec<(usize, &'a Fault)>,
    /// The limits of receivers that were not met yet: whose, what they are, how they show.
    limits: Vec<(Option<&'a Host>, String, LimitShown<'a>)>,
    /// The crashes that did not come yet.
    crashes: Vec<&'a Crash>,
    /// Where sessions under way lead, while that is of interest.
    // Only accepted ones: at `connect` the event itself says where.
    sessions: BTreeMap<SessionId, SessionPlace>,
    /// What the sender tried to reach outside the drill, and how often.
    strays: BTreeMap<(SocketAddr, Transport), usize>,
}

impl<'a> Surroundings<'a> {
    pub(super) fn new(scenario: &'a Scenario) -> Self {
        let faults = scenario.world.faults.iter().enumerate();
        let limits = scenario.world.receivers.iter().flat_map(|row| {
            let limits = row.limits.each().into_iter();
            limits.map(|(text, shown)| (row.host.as_ref(), text, shown))
        });
        Self {
            waiting: faults.take(MOST_FAULTS).collect(),
            limits: limits.take(MOST_FAULTS).collect(),
            crashes: scenario.crashes.iter().collect(),
            sessions: BTreeMap::new(),
            strays: BTreeMap::new(),
        }
    }

    /// Takes in what happened next.
    pub(super) fn see(&mut self, event: &Event) {
        if let EventKind::Stray { to, over } = &event.kind {
            *self.strays.entry((*to, *over)).or_default() += 1;
        }
        if let EventKind::Crash { after } = &event.kind {
            // Crashes are alike but for what they wait for: one of its kind is taken off for each that came.
            let came = |crash: &&Crash| match crash {
                Crash::At(_) => after.is_none(),
                Crash::After { stage, .. } => *after == Some(*stage),
            };
            if let Some(came) = self.crashes.iter().position(came) {
                self.crashes.remove(came);
            }
        }
        // Most of a long log is read with nothing left to look for.
        if self.waiting.is_empty() && self.limits.is_empty() {
            return;
        }
        match &event.kind {
            EventKind::Connect {
                session,
                address,
                port,
                hosts,
                result: Connected::Accepted,
                ..
            } => {
                let place = (*address, hosts.clone(), *port);
                drop(self.sessions.insert(*session, place));
            }
            EventKind::End { session, .. } => drop(self.sessions.remove(session)),
            _ => {}
        }
        let sessions = &self.sessions;
        let applied = |fault: &Fault| holds(fault, event.at) && applies(fault, event, sessions);
        self.waiting.retain(|(_, fault)| !applied(fault));
        let met = |host: Option<&Host>, shown| is_met(host, shown, event, sessions);
        self.limits.retain(|(host, _, shown)| !met(*host, *shown));
    }

    /// What is worth knowing of it.
    pub(super) fn notes(&self) -> Vec<String> {
        let faults = self.waiting.iter();
        let faults = faults.map(|(_, fault)| format!("a fault never applied: {fault}"));
        let mut notes: Vec<String> = faults.collect();
        notes.extend(self.limits.iter().map(|(host, limit, _)| {
            let host = host.map_or_else(|| "all receivers".to_owned(), ToString::to_string);
            format!("a limit never applied: {limit} of {host}")
        }));
        let crashes = self.crashes.iter();
        notes.extend(crashes.map(|crash| format!("a crash never came: {crash}")));
        let strays = self.strays.iter().take(MOST_STRAYS);
        notes.extend(strays.map(|((to, over), count)| {
            let over = match over {
                Transport::Udp => "UDP",
                Transport::Tcp => "TCP",
            };
            let times = match count {
                1 => "once".to_owned(),
                2 => "twice".to_owned(),
                count => format!("{count} times"),
            };
            format!("the sender tried {to} over {over} {times}, where nothing of the drill is")
        }));
        let more = self.strays.len().saturating_sub(MOST_STRAYS);
        notes.extend((more > 0).then(|| format!("and {more} more places outside the drill")));
        notes
    }
}

/// Whether a fault may apply at a moment; what was begun within its window may be answered after it.
fn holds(fault: &Fault, at: Moment) -> bool {
    fault.from <= at
}

/// Whether an event shows that a fault applied.
///
/// There is one way to show it for each kind of fault: the answer to a query says which fault made it; a fault at
/// `connect` is seen in how the connection came about; one at any other stage, in the reply there.
fn applies(fault: &Fault, event: &Event, sessions: &BTreeMap<SessionId, SessionPlace>) -> bool {
    let (hosts, port) = match &fault.failure {
        Failure::Query { .. } => return applies_to_query(&fault.failure, &event.kind),
        Failure::Session { hosts, port, .. } => (hosts, port),
    };
    let is_at = |address: IpAddr, names: &[Domain], at: u16| {
        covers(hosts, address, names) && port.is_none_or(|wanted| wanted == at)
    };
    match &event.kind {
        EventKind::Connect {
            address,
            port,
            hosts,
            result,
            ..
        } => is_at(*address, hosts, *port) && is_connect_of(&fault.failure, *result),
        EventKind::Reply { session, .. } => {
            let place = sessions.get(session);
            place.is_some_and(|(address, hosts, port)| is_at(*address, hosts, *port))
                && is_reply_of(&fault.failure, &event.kind)
        }
        _ => false,
    }
}

/// Whether a query was answered by a fault of queries.
fn applies_to_query(failure: &Failure, kind: &EventKind) -> bool {
    let Failure::Query {
        name,
        record_type,
        over,
        effect,
    } = failure
    else {
        return false;
    };
    let EventKind::Query {
        name: asked,
        record_type: of_type,
        over: by,
        fault,
        ..
    } = kind
    else {
        return false;
    };
    name == asked
        && record_type.is_none_or(|wanted| wanted == *of_type)
        && over.is_none_or(|wanted| wanted == *by)
        && *fault == Some(*effect)
}

/// Whether a connection came about as a fault at `connect` has it.
fn is_connect_of(failure: &Failure, result: Connected) -> bool {
    let Failure::Session {
        stage: Stage::Connect,
        effect,
        ..
    } = failure
    else {
        return false;
    };
    match effect {
        Effect::Refuse => result == Connected::Refused,
        // Where there are packets, a refusal stands for it.
        Effect::Unreachable => matches!(result, Connected::Unreachable | Connected::Refused),
        Effect::Timeout => result == Connected::Timeout,
        _ => result == Connected::Reset,
    }
}

/// Whether a reply is one that a fault of the session made, at its stage and for whom it is.
fn is_reply_of(failure: &Failure, kind: &EventKind) -> bool {
    let Failure::Session {
        stage,
        effect,
        recipient,
        sender,
        ..
    } = failure
    else {
        return false;
    };
    let EventKind::Reply {
        stage: at,
        argument,
        answer,
        ..
    } = kind
    else {
        return false;
    };
    let is_for = |wanted: &String| {
        argument
            .as_ref()
            .is_some_and(|found| is_like(wanted, found))
    };
    // Elsewhere a reply does not say of which message it is.
    let (recipient, sender) = match stage {
        Stage::Mail => (None, sender.as_ref()),
        Stage::Rcpt => (recipient.as_ref(), None),
        _ => (None, None),
    };
    // What is offered stands in the reply to EHLO; content is not answered, its end is.
    let same_stage = stage == at
        || *effect == Effect::NotOffered && *at == Stage::Helo
        || *stage == Stage::Content && *at == Stage::Dot;
    same_stage && recipient.or(sender).is_none_or(is_for) && shows(effect, answer)
}

/// Whether an event shows that a limit was met.
fn is_met(
    of: Option<&Host>,
    shown: LimitShown<'_>,
    event: &Event,
    sessions: &BTreeMap<SessionId, SessionPlace>,
) -> bool {
    let EventKind::Reply {
        session,
        stage,
        answer,
        ..
    } = &event.kind
    else {
        return false;
    };
    let is_there = sessions
        .get(session)
        .is_some_and(|(address, hosts, _)| of.is_none_or(|of| of.covers(*address, hosts)));
    let shows = match (shown, answer) {
        (LimitShown::Reply(at, wanted), ReplyEvent::Reply { code, reply }) => {
            at == *stage && wanted.code == *code && wanted.text == *reply
        }
        (LimitShown::Content, ReplyEvent::Reply { .. }) => *stage == Stage::Dot,
        (LimitShown::AnyReply, ReplyEvent::Reply { .. }) => true,
        (LimitShown::Silence, ReplyEvent::Failed { effect }) => *effect == Misbehaviour::Hang,
        _ => false,
    };
    is_there && shows
}

/// Whether an answer is what an effect makes of it.
fn shows(effect: &Effect, answer: &ReplyEvent) -> bool {
    match (effect, answer) {
        (Effect::Reply(wanted), ReplyEvent::Reply { code, .. }) => wanted.code == *code,
        (Effect::Delay(_) | Effect::NotOffered, ReplyEvent::Reply { .. }) => true,
        (Effect::Inject(_), ReplyEvent::Reply { code, .. }) => *code == 220,
        (Effect::Delay(_), ReplyEvent::Failed { .. }) => false,
        (effect, ReplyEvent::Failed { effect: seen }) => match effect {
            Effect::Close => *seen == Misbehaviour::Close,
            Effect::Reset => *seen == Misbehaviour::Reset,
            Effect::Hang => *seen == Misbehaviour::Hang,
            Effect::Garbage => *seen == Misbehaviour::Garbage,
            Effect::LoseReply => *seen == Misbehaviour::LoseReply,
            Effect::Break => *seen == Misbehaviour::Handshake,
            _ => false,
        },
        _ => false,
    }
}
