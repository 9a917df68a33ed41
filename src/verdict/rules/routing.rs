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
    fault::Stage,
    name::Domain,
    observe::Attempt,
    scenario::{AttemptResult, Message, MessageId, Scenario},
    time::Moment,
    verdict::{Case, Finding, Witness, places::Places, told::Exchangers},
};

/// First attempts per equal exchanger from which a share of nothing is no chance (one in a million).
const ENOUGH: usize = 20;
/// How long finding out that a host is dead may take, before it is remembered.
const REMEMBERED_FROM: Duration = Duration::from_secs(600);

pub(super) fn check(case: &Case<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for message in &case.scenario.messages {
        let attempts = case.attempts_of(&message.id);
        let strays: Vec<Finding> = attempts
            .iter()
            .filter_map(|attempt| stray(case, message, attempt))
            .collect();
        let astray = !strays.is_empty();
        findings.extend(first_of_each_rule(strays));
        if astray {
            continue;
        }
        for hop in Scenario::next_hops(message) {
            let passes = passes(&for_hop(case, &hop, &attempts));
            let mut orders = passes
                .iter()
                .filter_map(|pass| pass_order(case, message, &hop, pass));
            findings.extend(orders.next());
            findings.extend(second_candidate(case, message, &hop, &passes));
        }
    }
    findings.extend(equals_share(case));
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
fn stray(case: &Case<'_>, message: &Message, attempt: &Attempt) -> Option<Finding> {
    let hops = Scenario::next_hops(message);
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
        let begun = pass_began(case, attempt);
        hops.iter()
            .any(|hop| in_route(&case.told.places(hop, begun)))
    };
    if places.iter().any(|(_, places)| in_route(places)) || at_its_start() {
        return None;
    }
    let observed = vec![attempt.to_string()];
    let id = Some(&message.id);
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
fn for_hop<'a>(case: &Case<'_>, hop: &Domain, attempts: &[&'a Attempt]) -> Vec<&'a Attempt> {
    let could_be = |attempt: &Attempt| {
        let places = case.told.places(hop, attempt.at);
        places
            .list
            .iter()
            .any(|(_, _, address)| *address == attempt.address)
    };
    let is_for = |attempt: &&&Attempt| match &attempt.hop {
        Some(said) => said == hop,
        None => could_be(attempt),
    };
    attempts.iter().filter(is_for).copied().collect()
}

/// When the pass of an attempt began.
fn pass_began(case: &Case<'_>, attempt: &Attempt) -> Moment {
    let same = |other: &&Attempt| other.pass == attempt.pass && other.hop == attempt.hop;
    let of_message = attempt.message.iter().flat_map(|id| case.attempts_of(id));
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

/// Whether a sender that remembers dead hosts may pass an address over (RFC 5321 section 4.5.4.1).
/// A mail server is not told how long the drill says it is since.
fn may_be_remembered(case: &Case<'_>, address: IpAddr, at: Moment) -> bool {
    let kept = match (case.witness, case.scenario.sender.remember_unreachable) {
        (Witness::Server, _) => Duration::MAX,
        (_, None) => return false,
        (_, Some(kept)) => kept + REMEMBERED_FROM,
    };
    let unreached = |attempt: &&Attempt| match case.witness {
        Witness::Server => attempt.stage.is_some_and(|stage| stage < Stage::Mail),
        _ => {
            let failed = matches!(
                attempt.result,
                AttemptResult::Refused | AttemptResult::Timeout | AttemptResult::Unreachable
            );
            failed && attempt.stage == Some(Stage::Connect)
        }
    };
    let recent = |attempt: &Attempt| attempt.at <= at && at.since(attempt.at) <= kept;
    let at_address = case
        .attempts
        .iter()
        .filter(|attempt| attempt.address == address);
    at_address.filter(unreached).any(recent)
}

/// Within a pass, nothing less preferred before everything more preferred has been tried.
fn pass_order(
    case: &Case<'_>,
    message: &Message,
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
            .find(|(_, _, address)| !may_be_remembered(case, *address, attempt.at));
        if let Some((other, host, address)) = better {
            let expected = format!(
                "{host} [{address}] (preference {other}) before any of preference {preference}"
            );
            let observed = pass.iter().map(ToString::to_string).collect();
            return Some(broken(
                PREFERENCE_ORDER,
                Some(&message.id),
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
    message: &Message,
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
        let last = case.events.last().map_or(only.at, |event| event.at);
        let until = next.map_or(last, |next| next.at);
        let other = places
            .kept()
            .filter(|(_, _, address)| *address != only.address)
            .filter(|(_, host, _)| !case.told.may_be_left_out(hop, host, only.at..until))
            .find(|(_, _, address)| !may_be_remembered(case, *address, only.at));
        // A lost reply may be left at that, for fear of a duplicate.
        if let Some((_, host, address)) = other.filter(|_| transient && only.taken.is_empty()) {
            let expected = format!("then {host} [{address}]");
            return Some(broken(
                NEXT_CANDIDATE,
                Some(&message.id),
                expected,
                vec![only.to_string()],
            ));
        }
    }
    None
}

/// Of many first attempts, each of several equal exchangers gets some.
fn equals_share(case: &Case<'_>) -> Option<Finding> {
    // A sender that remembers dead hosts may leave one of them out; of a mail server's first attempts
    // there are never enough, they are counted over several drills.
    if case.scenario.sender.remember_unreachable.is_some() || case.witness == Witness::Server {
        return None;
    }
    let mut groups: BTreeMap<BTreeSet<Domain>, Vec<&Attempt>> = BTreeMap::new();
    let mut seen: BTreeSet<&MessageId> = BTreeSet::new();
    let messages: BTreeMap<&MessageId, &Message> = case
        .scenario
        .messages
        .iter()
        .map(|message| (&message.id, message))
        .collect();
    for attempt in &case.attempts {
        let Some(message) = attempt.message.as_ref().filter(|id| seen.insert(id)) else {
            continue;
        };
        let Some(message) = messages.get(message) else {
            continue;
        };
        let [hop] = &Scenario::next_hops(message)[..] else {
            continue;
        };
        let places = case.told.places(hop, attempt.at);
        let Some(best) = places.kept().map(|(preference, ..)| *preference).min() else {
            continue;
        };
        let equals: BTreeSet<Domain> = places
            .kept()
            .filter(|(preference, ..)| *preference == best)
            .map(|(_, host, _)| host.clone())
            .collect();
        if equals.len() > 1 {
            groups.entry(equals).or_default().push(attempt);
        }
    }
    for (equals, first) in groups {
        let without = |host: &&Domain| {
            !first
                .iter()
                .any(|attempt| attempt.went_to(&crate::fault::Host::Name((*host).clone())))
        };
        if let Some(host) = equals
            .iter()
            .find(without)
            .filter(|_| first.len() >= ENOUGH * equals.len())
        {
            let expected = format!("some of {} first attempts at {host}", first.len());
            return Some(broken(
                EQUALS_SHARE,
                None,
                expected,
                vec!["none".to_owned()],
            ));
        }
    }
    None
}
