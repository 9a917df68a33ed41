//! Rules about where a sender goes, and in which order.
//!
//! 1. An attempt at an address outside the route breaks a rule by itself; which one depends on why
//!    the address is outside. Nothing else is asked then.
//! 2. Otherwise the attempts are cut into passes, one next hop after the other, and each pass is
//!    held against the order of preferences.
//! 3. A pass that failed transiently at one candidate and stopped there is asked for a second one.
//!
//! A rule is broken only if it is in every view that the sender may have had of the DNS (`views`).

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
    fault::{Host, Stage},
    name::Domain,
    observe::{Attempt, Certainty},
    outcome::AttemptResult,
    port,
    scenario::Scenario,
    time::Moment,
    verdict::{
        Finding, SenderKind, Subject,
        dns_view::Exchangers,
        facts::{DrillFacts, MessageFacts},
        permitted::PermittedRoute,
        views::RouteView,
    },
};

/// First attempts per equal exchanger from which a share of nothing is no chance. With two equals
/// and 40 attempts the chance of it is one in a million million, with twenty and 400 one in some
/// ten million.
const ENOUGH: usize = 20;

/// The routing rules that a message breaks.
pub(in crate::verdict) fn check(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Vec<Finding> {
    let strays: Vec<Finding> = facts
        .attempts
        .iter()
        .filter_map(|attempt| stray(drill, facts, attempt))
        .collect();
    if !strays.is_empty() {
        return first_of_each_rule(strays);
    }
    let mut findings = Vec::new();
    for hop in Scenario::next_hops(facts.message) {
        let exchangers_at = |attempt: &Attempt| {
            let places = drill.dns.places(&hop, attempt.at);
            places.exchangers_at(attempt.address)
        };
        let passes = passes(facts, &for_hop(drill, facts, &hop), exchangers_at);
        let mut walk = BTreeSet::new();
        let mut orders = passes
            .iter()
            // In which order relays are tried no RFC says.
            .filter(|_| drill.scenario.sender.relays.is_empty())
            .filter_map(|pass| {
                let before = walked_before(&mut walk, pass);
                pass_order(drill, facts, &hop, pass, before)
            });
        findings.extend(orders.next());
        findings.extend(second_candidate(drill, facts, &hop, &passes));
    }
    findings
}

/// One finding for each rule: a sender that goes astray does so with every attempt.
fn first_of_each_rule(findings: Vec<Finding>) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    findings
        .into_iter()
        .filter(|finding| seen.insert(finding.rule))
        .collect()
}

/// An attempt at an address to which the message should not have gone.
///
/// The rule is chosen from what the sender should have made of the domain: its own level first,
/// since such an address is in the list; then a null MX, a failed lookup, and the domain's own
/// address beside MX records. All else is outside the route.
fn stray(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>, attempt: &Attempt) -> Option<Finding> {
    let hops = Scenario::next_hops(facts.message);
    // The route is made when a pass begins; what is answered later is for the next one.
    let began = pass_began(facts, attempt);
    let in_route = |hop: &Domain| {
        let views = drill.dns.views(hop, attempt.at, began);
        views.iter().any(|view| view.places.keep(attempt))
    };
    let at_its_start = |hop: &Domain| {
        let places = drill.dns.places(hop, began);
        places.keep(attempt)
    };
    if hops.iter().any(|hop| in_route(hop) || at_its_start(hop)) {
        return None;
    }
    let places: Vec<(&Domain, Rc<PermittedRoute>)> = hops
        .iter()
        .map(|hop| (hop, drill.dns.places(hop, attempt.at)))
        .collect();
    let observed = vec![attempt.to_string()];
    let subject = Subject::of_message(&facts.message.id);
    if places.iter().any(|(_, places)| {
        places.list_address(attempt.address) && !places.keep_address(attempt.address)
    }) {
        return Some(broken(
            OWN_LEVEL,
            subject,
            "no attempt at the sender's own preference or a higher number",
            observed,
        ));
    }
    let has_no_relays = drill.scenario.sender.relays.is_empty();
    for (hop, places) in &places {
        match places.exchangers {
            Exchangers::Null => {
                return Some(broken(
                    NULL_MX,
                    subject,
                    format!("no attempt: {hop} has a null MX"),
                    observed,
                ));
            }
            Exchangers::Failed if drill.dns.may_not_be_for_now() => return None,
            Exchangers::Failed => {
                return Some(broken(
                    FAILED_LOOKUP_DEFERS,
                    subject,
                    format!("no attempt: the exchangers of {hop} are not known"),
                    observed,
                ));
            }
            Exchangers::Mx(_) if attempt.hosts.contains(hop) && has_no_relays => {
                return Some(broken(
                    MX_OVER_ADDRESS,
                    subject,
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
        .map(|place| match place.port {
            port::SMTP => format!("{} [{}]", place.host, place.address),
            port => format!("{} [{}]:{port}", place.host, place.address),
        })
        .collect();
    let allowed = if allowed.is_empty() {
        "no attempt".to_owned()
    } else {
        format!("one of {}", allowed.join(", "))
    };
    Some(broken(WITHIN_ROUTE, subject, allowed, observed))
}

/// The attempts of a message that may be for a next hop.
///
/// An attempt that named no recipient of a message to several domains may be for any whose route
/// has the address.
fn for_hop<'a>(
    drill: &DrillFacts<'_>,
    facts: &'a MessageFacts<'_>,
    hop: &Domain,
) -> Vec<&'a Attempt> {
    // In any of the ways in which the sender may have known the records then.
    let leads_there = |attempt: &Attempt| {
        let views = drill.dns.views(hop, attempt.at, attempt.at);
        views
            .iter()
            .any(|view| view.places.list_address(attempt.address))
    };
    let is_for = |attempt: &&Attempt| match hops_of(facts, attempt) {
        Some(hops) => hops.contains(hop),
        None => leads_there(attempt),
    };
    facts.attempts.iter().filter(is_for).collect()
}

/// The next hops that an attempt was for, as far as that is certain: as the sender says; else by the
/// recipients that it named.
fn hops_of(facts: &MessageFacts<'_>, attempt: &Attempt) -> Option<Vec<Domain>> {
    if let Some(hop) = &attempt.hop {
        return Some(vec![hop.clone()]);
    }
    let hops = Scenario::next_hops(facts.message);
    if hops.len() < 2 {
        return Some(hops);
    }
    let named = |text: &str| {
        let mut to = facts.message.to.iter();
        let known = to.find(|to| to.is(text));
        known.map(|to| to.domain.clone())
    };
    let offered = attempt.offered.iter();
    let hops: Vec<Domain> = offered.filter_map(|text| named(text)).collect();
    (!hops.is_empty()).then_some(hops)
}

/// When the pass of an attempt began.
fn pass_began(facts: &MessageFacts<'_>, attempt: &Attempt) -> Moment {
    let same = |other: &&Attempt| other.pass == attempt.pass && other.hop == attempt.hop;
    let of_message = facts.attempts.iter();
    let in_pass = of_message.filter(|other| attempt.pass.is_some() && same(other));
    in_pass
        .map(|other| other.at)
        .min()
        .unwrap_or(attempt.at)
        .min(attempt.at)
}

/// The passes of a message: as the sender numbers them; of a silent one, up to where a candidate
/// comes again or a better one follows after a pause. An address comes once for each exchanger that has it.
///
/// An attempt may follow another at the same address in one pass where
/// [`MessageFacts::may_follow_at_once`] says so, as after TLS that failed. A further transaction of a session, for
/// recipients who were too many for the first, is no new pass.
fn passes<'a>(
    facts: &MessageFacts<'_>,
    attempts: &[&'a Attempt],
    exchangers_at: impl Fn(&Attempt) -> usize,
) -> Vec<Vec<&'a Attempt>> {
    let mut passes: Vec<Vec<&Attempt>> = Vec::new();
    for attempt in attempts {
        let last = passes
            .last()
            .and_then(|pass| pass.last().map(|last| (pass, *last)));
        let same_pass = last.is_some_and(|(pass, last)| match (last.pass, attempt.pass) {
            (Some(before), Some(now)) => before == now,
            _ => {
                let came = pass.iter().filter(|earlier| {
                    (earlier.address, earlier.port) == (attempt.address, attempt.port)
                        && earlier.session != attempt.session
                        && !facts.may_follow_at_once(earlier, attempt)
                });
                let came = came.count();
                let is_first = came == 0 || came < exchangers_at(attempt);
                is_first && attempt.at.since(last.ended) < pause_after(last)
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
pub(super) fn pause_after(attempt: &Attempt) -> Duration {
    match attempt.result {
        AttemptResult::Timeout => Duration::from_secs(600),
        _ => Duration::from_secs(60),
    }
}

/// The addresses that a sender from outside had tried in its walk along the list when a pass begins; the pass is added to
/// them. RFC 5321 section 5.1 asks to try each in order, and knows no passes: who waits after each host and then goes on
/// with the next one keeps to the order. The walk begins anew where an address comes again.
fn walked_before(walk: &mut BTreeSet<IpAddr>, pass: &[&Attempt]) -> BTreeSet<IpAddr> {
    let is_told = pass.iter().any(|attempt| attempt.pass.is_some());
    let comes_again = |first: &&Attempt| walk.contains(&first.address);
    if is_told || pass.first().is_some_and(comes_again) {
        walk.clear();
    }
    let before = walk.clone();
    walk.extend(pass.iter().map(|attempt| attempt.address));
    before
}

/// Within a pass, nothing less preferred before everything more preferred has been tried.
///
/// RFC 5321 section 5.1: "MX records contain a preference indication that MUST be used in sorting
/// if more than one such record appears". A better place is no fault of the sender's if it may have
/// been tried by an attempt of which the message is not known, may be left out for a failed lookup,
/// or may be remembered as dead.
fn pass_order(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    hop: &Domain,
    pass: &[&Attempt],
    before: BTreeSet<IpAddr>,
) -> Option<Finding> {
    let mut tried = before;
    // Hosts that were reached: of one that answered, a sender from outside need not try the other addresses.
    let mut reached: BTreeSet<&Domain> = BTreeSet::new();
    // Records are looked up when a pass begins, and the pass may go by them to its end.
    let began = pass.first()?.at;
    for attempt in pass {
        tried.insert(attempt.address);
        if attempt.pass.is_none() && attempt.stage > Some(Stage::Connect) {
            reached.extend(attempt.hosts.iter());
        }
        if attempt.incidental || hops_of(facts, attempt).is_none() {
            continue;
        }
        let passed_over = |view: &RouteView| {
            let preference = view.places.preference_of(attempt)?;
            let better = view
                .known(&drill.dns)
                .filter(|place| place.preference < preference)
                .filter(|place| !tried.contains(&place.address) && !reached.contains(&place.host))
                .filter(|place| !drill.may_have_been_tried(place.address, attempt.at))
                .filter(|place| {
                    !drill
                        .dns
                        .may_be_left_out(hop, &place.host, &(began..=attempt.at))
                })
                .find(|place| !drill.may_be_remembered(place.address, attempt.at));
            Some(better.map(|place| {
                format!(
                    "{} [{}] (preference {}) before any of preference {preference}",
                    place.host, place.address, place.preference
                )
            }))
        };
        let views = drill.dns.views(hop, attempt.at, began);
        // In each way in which the sender may have known of this place.
        let ways: Option<Vec<String>> = views.iter().filter_map(passed_over).collect();
        if let Some(expected) = ways.and_then(|ways| ways.into_iter().next()) {
            let observed = pass.iter().map(ToString::to_string).collect();
            let subject = Subject::of_message(&facts.message.id);
            return Some(broken(PREFERENCE_ORDER, subject, expected, observed));
        }
    }
    None
}

/// A pass that failed transiently at one candidate goes on to another one.
///
/// RFC 5321 section 5.1: "the SMTP client SHOULD try at least two addresses". A sender that accepts
/// the failure of a lost reply is right to stop: the message may have been accepted.
fn second_candidate(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
    hop: &Domain,
    passes: &[Vec<&Attempt>],
) -> Option<Finding> {
    let may_stop = drill.scenario.sender.max_candidates == Some(1)
        || drill.may_be_returned_unseen(facts.message);
    if may_stop {
        return None;
    }
    for (index, pass) in passes.iter().enumerate() {
        // Where nothing else was tried, what may have been no attempt was all there was.
        let all_incidental = pass.iter().all(|attempt| attempt.incidental);
        let is_proper = |attempt: &&&Attempt| all_incidental || !attempt.incidental;
        let proper: Vec<&&Attempt> = pass.iter().filter(is_proper).collect();
        // Two attempts or more are what is asked for, whatever became of them.
        let [only] = proper[..] else { continue };
        if only.certainty == Certainty::Guessed || hops_of(facts, only).is_none() {
            continue;
        }
        let transient = facts.is_worth_another_host(only, index + 1 < passes.len());
        // A lost reply may be left at that, for fear of a duplicate; whether it was only the reply a sender from outside
        // cannot know. And what crashed began anew.
        let may_be_taken = only.hop.is_none()
            && only.stage == Some(Stage::Dot)
            && !matches!(only.result, AttemptResult::Code(_));
        if !transient || !only.taken.is_empty() || may_be_taken || drill.crashes.cut_off(only) {
            continue;
        }
        // What secures the other one may have been asked for later in the pass, and not found.
        let next = passes.get(index + 1).and_then(|pass| pass.first());
        let until = next.map_or_else(|| facts.last_word(drill, only.ended), |next| next.at);
        let tried = |address: IpAddr| pass.iter().any(|attempt| attempt.address == address);
        // Of several messages, each that it may have been for was tried nowhere else.
        let is_settled = |view: &PermittedRoute| {
            let mut places = view.kept().map(|place| place.address);
            !only.is_guessed()
                || places.all(|to| to == only.address || !drill.was_tried(to, only.at))
        };
        let may_be_left_out = |host: &Domain| {
            let by = |until| drill.dns.may_be_left_out(hop, host, &(only.at..=until));
            by(until) || only.is_guessed() && by(drill.last)
        };
        let other = |view: &RouteView| {
            let mut others = view
                .known(&drill.dns)
                .filter(|place| !tried(place.address) && is_settled(&view.places))
                .filter(|place| !drill.may_have_been_tried(place.address, only.at))
                .filter(|place| !may_be_left_out(&place.host));
            let other = others.find(|place| !drill.may_be_remembered(place.address, only.at));
            other.map(|place| format!("then {} [{}]", place.host, place.address))
        };
        let began = pass.first().map_or(only.at, |first| first.at);
        let views = drill.dns.views(hop, only.at, began);
        let others: Option<Vec<String>> = views.iter().map(other).collect();
        if let Some(expected) = others.and_then(|others| others.into_iter().next()) {
            let id = &facts.message.id;
            return Some(if only.is_guessed() {
                let observed = format!("{only}, for {id} or a message like it");
                broken(NEXT_CANDIDATE, Subject::Drill, expected, vec![observed])
            } else {
                broken(
                    NEXT_CANDIDATE,
                    Subject::of_message(id),
                    expected,
                    vec![only.to_string()],
                )
            });
        }
    }
    None
}

/// Exchangers of equal preference, and how the first attempts of messages were shared among them.
///
/// Counted for messages with one next hop, by the set of equal hosts.
#[derive(Debug, Default)]
pub(in crate::verdict) struct Equals(BTreeMap<BTreeSet<Domain>, FirstChoices>);

/// How many first attempts there were, and which of the equal hosts got any.
#[derive(Debug, Default)]
struct FirstChoices {
    attempts: usize,
    reached: BTreeSet<Domain>,
}

impl Equals {
    /// Counts the first attempt of a message.
    pub(in crate::verdict) fn count(&mut self, drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) {
        // A sender that remembers dead hosts may leave one of them out; of a mail server's first
        // attempts there are never enough, they are counted over several drills.
        let may_leave_out = drill.scenario.sender.remember_unreachable.is_some();
        if may_leave_out || drill.sender_kind == SenderKind::MailServer {
            return;
        }
        let mut proper = facts.attempts.iter().filter(|attempt| !attempt.incidental);
        let Some(first) = proper.next() else {
            return;
        };
        let [hop] = &Scenario::next_hops(facts.message)[..] else {
            return;
        };
        let places = drill.dns.places(hop, first.at);
        let Some(best) = places.kept().map(|place| place.preference).min() else {
            return;
        };
        // By host and not by address: a host with two addresses is one exchanger.
        let equals: BTreeSet<Domain> = places
            .kept()
            .filter(|place| place.preference == best && !drill.dns.may_refuse(&place.host))
            .map(|place| place.host.clone())
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
            // With few attempts chance alone may miss a host.
            let enough = shared.attempts >= ENOUGH * equals.len();
            let missed = equals.difference(&shared.reached).next();
            let host = missed.filter(|_| enough)?;
            let expected = format!("some of {} first attempts at {host}", shared.attempts);
            let observed = vec!["none".to_owned()];
            let host = Host::Name(host.clone());
            Some(broken(
                EQUALS_SHARE,
                Subject::Share { host },
                expected,
                observed,
            ))
        })
    }
}
