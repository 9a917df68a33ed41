//! Rules about where a sender goes, and in which order.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    rc::Rc,
    time::Duration,
};

use super::{
    EQUALS_SHARE, FAILED_LOOKUP_DEFERS, MX_OVER_ADDRESS, NEXT_CANDIDATE, NULL_MX, OWN_LEVEL,
    PREFERENCE_ORDER, WITHIN_ROUTE, broken,
};
use crate::{
    fault::Host,
    name::Domain,
    observe::Attempt,
    scenario::{AttemptResult, Scenario},
    time::Moment,
    verdict::{
        Finding, Witness,
        case::{Case, Subject},
        places::Places,
        told::Exchangers,
    },
};

/// First attempts per equal exchanger from which a share of nothing is no chance (one in a million).
const ENOUGH: usize = 20;
pub(in crate::verdict) fn check(case: &Case<'_>, subject: &Subject<'_>) -> Vec<Finding> {
    let strays: Vec<Finding> = subject
        .attempts
        .iter()
        .filter_map(|attempt| stray(case, subject, attempt))
        .collect();
    if !strays.is_empty() {
        return first_of_each_rule(strays);
    }
    let mut findings = Vec::new();
    for hop in Scenario::next_hops(subject.message) {
        let passes = passes(&for_hop(case, &hop, &subject.attempts));
        let mut orders = passes
            .iter()
            .filter_map(|pass| pass_order(case, subject, &hop, pass));
        findings.extend(orders.next());
        findings.extend(second_candidate(case, subject, &hop, &passes));
    }
    findings
}

fn first_of_each_rule(findings: Vec<Finding>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    findings
        .into_iter()
        .filter(|finding| seen.insert(finding.rule))
        .collect()
}

/// An attempt at an address to which the message should not have gone.
fn stray(case: &Case<'_>, subject: &Subject<'_>, attempt: &Attempt) -> Option<Finding> {
    let hops = Scenario::next_hops(subject.message);
    let places: Vec<(&Domain, Rc<Places>)> = hops
        .iter()
        .map(|hop| (hop, case.told.places(hop, attempt.at)))
        .collect();
    let in_route = |places: &Places| {
        let mut kept = places.kept();
        kept.any(|(_, _, address)| *address == attempt.address)
    };
    // The route is made when a pass begins; what is told later is for the next one.
    let at_its_start = || {
        let begun = pass_began(subject, attempt);
        hops.iter()
            .any(|hop| in_route(&case.told.places(hop, begun)))
    };
    if places.iter().any(|(_, places)| in_route(places)) || at_its_start() {
        return None;
    }
    let observed = vec![attempt.to_string()];
    let id = Some(&subject.message.id);
    let of_own_level = |places: &Places| {
        places
            .list
            .iter()
            .any(|(_, _, address)| *address == attempt.address)
    };
    if places.iter().any(|(_, places)| of_own_level(places)) {
        return Some(broken(
            OWN_LEVEL,
            id,
            "no attempt at the sender's own preference or a higher number",
            observed,
        ));
    }
    for (hop, places) in &places {
        match places.exchangers {
            Exchangers::Null => {
                return Some(broken(
                    NULL_MX,
                    id,
                    format!("no attempt: {hop} has a null MX"),
                    observed,
                ));
            }
            Exchangers::Failed => {
                return Some(broken(
                    FAILED_LOOKUP_DEFERS,
                    id,
                    format!("no attempt: the exchangers of {hop} are not known"),
                    observed,
                ));
            }
            Exchangers::Mx(_) if attempt.hosts.contains(hop) => {
                return Some(broken(
                    MX_OVER_ADDRESS,
                    id,
                    format!("an attempt at an exchanger of {hop}"),
                    observed,
                ));
            }
            _ => {}
        }
    }
    let allowed: Vec<String> = places
        .iter()
        .flat_map(|(_, places)| places.kept())
        .map(|(_, host, address)| format!("{host} [{address}]"))
        .collect();
    let allowed = if allowed.is_empty() {
        "no attempt".to_owned()
    } else {
        format!("one of {}", allowed.join(", "))
    };
    Some(broken(WITHIN_ROUTE, id, allowed, observed))
}

/// The attempts of a message for one next hop: as the sender says, else those that could be for it.
fn for_hop<'a>(case: &Case<'_>, hop: &Domain, attempts: &'a [Attempt]) -> Vec<&'a Attempt> {
    let could_be = |attempt: &Attempt| {
        let places = case.told.places(hop, attempt.at);
        places
            .list
            .iter()
            .any(|(_, _, address)| *address == attempt.address)
    };
    let is_for = |attempt: &&Attempt| match &attempt.hop {
        Some(said) => said == hop,
        None => could_be(attempt),
    };
    attempts.iter().filter(is_for).collect()
}

/// When the pass of an attempt began.
fn pass_began(subject: &Subject<'_>, attempt: &Attempt) -> Moment {
    let same = |other: &&Attempt| other.pass == attempt.pass && other.hop == attempt.hop;
    let of_message = subject.attempts.iter();
    let in_pass = of_message.filter(|other| attempt.pass.is_some() && same(other));
    in_pass
        .map(|other| other.at)
        .min()
        .unwrap_or(attempt.at)
        .min(attempt.at)
}

/// The passes of a message: as the sender numbers them; of a silent one, up to where a candidate
/// comes again or a better one follows after a pause.
fn passes<'a>(attempts: &[&'a Attempt]) -> Vec<Vec<&'a Attempt>> {
    let mut passes: Vec<Vec<&Attempt>> = Vec::new();
    for attempt in attempts {
        let last = passes
            .last()
            .and_then(|pass| pass.last().map(|last| (pass, *last)));
        let same_pass = last.is_some_and(|(pass, last)| match (last.pass, attempt.pass) {
            (Some(before), Some(now)) => before == now,
            _ => {
                let again = pass
                    .iter()
                    .any(|earlier| earlier.address == attempt.address);
                !again && attempt.at.since(last.ended) < pause_after(last)
            }
        });
        match passes.last_mut().filter(|_| same_pass) {
            Some(pass) => pass.push(attempt),
            None => passes.push(vec![attempt]),
        }
    }
    passes
}

/// How long after an attempt the next one still belongs to the same pass. When a client gave up an
/// unanswered connection the lab cannot see; some wait for minutes.
fn pause_after(attempt: &Attempt) -> Duration {
    match attempt.result {
        AttemptResult::Timeout => Duration::from_secs(600),
        _ => Duration::from_secs(60),
    }
}

/// Within a pass, nothing less preferred before everything more preferred has been tried.
fn pass_order(
    case: &Case<'_>,
    subject: &Subject<'_>,
    hop: &Domain,
    pass: &[&Attempt],
) -> Option<Finding> {
    let mut tried: BTreeSet<IpAddr> = BTreeSet::new();
    let began = pass.first()?.at;
    for attempt in pass {
        let places = case.told.places(hop, attempt.at);
        tried.insert(attempt.address);
        let Some(preference) = places.preference_of(attempt) else {
            continue;
        };
        let better = places
            .kept()
            .filter(|(other, _, address)| *other < preference && !tried.contains(address))
            .filter(|(_, host, _)| !case.told.may_be_left_out(hop, host, began..attempt.at))
            .find(|(_, _, address)| !case.may_be_remembered(*address, attempt.at));
        if let Some((other, host, address)) = better {
            let expected = format!(
                "{host} [{address}] (preference {other}) before any of preference {preference}"
            );
            let observed = pass.iter().map(ToString::to_string).collect();
            return Some(broken(
                PREFERENCE_ORDER,
                Some(&subject.message.id),
                expected,
                observed,
            ));
        }
    }
    None
}

/// A pass that failed transiently at one candidate goes on to another one.
fn second_candidate(
    case: &Case<'_>,
    subject: &Subject<'_>,
    hop: &Domain,
    passes: &[Vec<&Attempt>],
) -> Option<Finding> {
    if case.scenario.sender.max_candidates == Some(1) {
        return None;
    }
    for (index, pass) in passes.iter().enumerate() {
        let [only] = pass[..] else { continue };
        if only.guessed {
            continue;
        }
        let transient = match only.result {
            AttemptResult::Accepted => false,
            AttemptResult::Code(code) => code < 500,
            _ => true,
        };
        let places = case.told.places(hop, only.at);
        // What secures the other one may have been asked for later in the pass, and not found.
        let next = passes.get(index + 1).and_then(|pass| pass.first());
        let until = next.map_or_else(|| subject.last_word(case, only.ended), |next| next.at);
        let other = places
            .kept()
            .filter(|(_, _, address)| *address != only.address)
            .filter(|(_, host, _)| !case.told.may_be_left_out(hop, host, only.at..until))
            .find(|(_, _, address)| !case.may_be_remembered(*address, only.at));
        // A lost reply may be left at that, for fear of a duplicate.
        if let Some((_, host, address)) = other.filter(|_| transient && only.taken.is_empty()) {
            let expected = format!("then {host} [{address}]");
            return Some(broken(
                NEXT_CANDIDATE,
                Some(&subject.message.id),
                expected,
                vec![only.to_string()],
            ));
        }
    }
    None
}

/// Exchangers of equal preference, and how the first attempts of messages were shared among them.
#[derive(Debug, Default)]
pub(in crate::verdict) struct Equals(BTreeMap<BTreeSet<Domain>, Shared>);

#[derive(Debug, Default)]
struct Shared {
    attempts: usize,
    reached: BTreeSet<Domain>,
}

impl Equals {
    /// Counts the first attempt of a message.
    pub(in crate::verdict) fn count(&mut self, case: &Case<'_>, subject: &Subject<'_>) {
        // A sender that remembers dead hosts may leave one of them out; of a mail server's first
        // attempts there are never enough, they are counted over several drills.
        let may_leave_out = case.scenario.sender.remember_unreachable.is_some();
        if may_leave_out || case.witness == Witness::Server {
            return;
        }
        let Some(first) = subject.attempts.first() else {
            return;
        };
        let [hop] = &Scenario::next_hops(subject.message)[..] else {
            return;
        };
        let places = case.told.places(hop, first.at);
        let Some(best) = places.kept().map(|(preference, ..)| *preference).min() else {
            return;
        };
        let equals: BTreeSet<Domain> = places
            .kept()
            .filter(|(preference, ..)| *preference == best)
            .map(|(_, host, _)| host.clone())
            .collect();
        if equals.len() < 2 {
            return;
        }
        let reached = equals
            .iter()
            .filter(|host| first.went_to(&Host::Name((*host).clone())))
            .cloned()
            .collect::<Vec<_>>();
        let shared = self.0.entry(equals).or_default();
        shared.attempts += 1;
        shared.reached.extend(reached);
    }

    /// Of many first attempts, each of several equal exchangers gets some.
    pub(in crate::verdict) fn check(&self) -> Option<Finding> {
        self.0.iter().find_map(|(equals, shared)| {
            let enough = shared.attempts >= ENOUGH * equals.len();
            let missed = equals.difference(&shared.reached).next();
            let host = missed.filter(|_| enough)?;
            let expected = format!("some of {} first attempts at {host}", shared.attempts);
            let observed = vec!["none".to_owned()];
            Some(broken(EQUALS_SHARE, None, expected, observed))
        })
    }
}
