//! Rules about what keeps mail from prying eyes: TLS where something demands it.
//!
//! A message that a host accepted is what counts: a session that broke off before has told nobody
//! anything. Where both a policy and TLSA records ask for TLS, DANE counts (RFC 8461 section 2).
//!
//! What demands it, in this order, since the finding names one: the settings of the sender; REQUIRETLS of the message
//! (RFC 8689); TLSA records that DNSSEC vouches for (RFC 7672); an MTA-STS policy in force (RFC 8461). A message that
//! waives TLS (`TLS-Required: No`, RFC 8689 section 3) is freed from the last three, and not from the sender's own
//! settings.

use super::{TLS_KEPT, broken};
use crate::{
    mail::Message,
    mta_sts::{Mode, Policy},
    name::Domain,
    observe::Attempt,
    scenario::{PolicyRow, Scenario, TlsPolicy, policy_host},
    time::Moment,
    verdict::{
        Finding, Subject,
        facts::{DrillFacts, MessageFacts},
    },
};

/// The first transaction in which a message was accepted against a demand for TLS.
pub(in crate::verdict) fn check(
    drill: &DrillFacts<'_>,
    facts: &MessageFacts<'_>,
) -> Option<Finding> {
    let mut taken = facts
        .attempts
        .iter()
        .filter(|attempt| !attempt.taken.is_empty());
    taken.find_map(|attempt| unprotected(drill, facts.message, attempt))
}

/// A message that went in plain text, or to a host that the policy does not list, against a demand.
fn unprotected(drill: &DrillFacts<'_>, message: &Message, attempt: &Attempt) -> Option<Finding> {
    // Of several domains, that of whom the message was taken for counts.
    let of_taken = |hop: &&Domain| {
        let mut taken = attempt.taken.iter();
        taken.any(|to| {
            message
                .to
                .iter()
                .any(|one| one.domain == **hop && one.is(to))
        })
    };
    let hops = Scenario::next_hops(message);
    let hops: Vec<&Domain> = match &attempt.hop {
        Some(hop) => vec![hop],
        None => hops.iter().filter(of_taken).collect(),
    };
    hops.into_iter()
        .find_map(|hop| unprotected_for(drill, message, attempt, hop))
}

/// The same for one domain of its recipients.
fn unprotected_for(
    drill: &DrillFacts<'_>,
    message: &Message,
    attempt: &Attempt,
    hop: &Domain,
) -> Option<Finding> {
    if message.waives_tls()
        && !matches!(
            drill.scenario.sender.tls,
            TlsPolicy::Required | TlsPolicy::Verified
        )
    {
        return None;
    }
    // The name that the sender went by; of one that says nothing, the first that the address has.
    let host = attempt.exchanger.as_ref().or(attempt.hosts.first())?;
    let tls = drill.scenario.sender.tls;
    // Signed all the way: the domain of the exchangers as well as the exchanger's own.
    let by_dane = matches!(tls, TlsPolicy::Dane | TlsPolicy::DaneOnly)
        && is_signed(drill, hop)
        && is_signed(drill, host)
        && drill.dns.has_tlsa(host, attempt.at);
    let policy = match tls {
        TlsPolicy::MtaSts | TlsPolicy::Dane => policy_in_force(drill, hop, attempt.at),
        _ => None,
    };
    let by_sts = !by_dane && policy.is_some();
    let (demanded_by, section) = if matches!(
        tls,
        TlsPolicy::Required | TlsPolicy::Verified | TlsPolicy::DaneOnly
    ) {
        ("the sender's settings", "RFC 3207 section 4.1")
    } else if message.require_tls && message.from.is_some() {
        ("REQUIRETLS", "RFC 8689 section 4.2.1")
    } else if by_dane {
        ("TLSA records", "RFC 7672 section 2.2")
    } else if by_sts {
        ("the MTA-STS policy", TLS_KEPT.cite)
    } else {
        return None;
    };
    // TLS with a host that the policy does not list is as bad as none.
    let unlisted = by_sts && policy.is_some_and(|policy| !policy.lists(host));
    if attempt.tls && !unlisted {
        return None;
    }
    let expected = format!("TLS, and a host that may be used, as {demanded_by} ask");
    let subject = Subject::of_message(&message.id);
    Some(Finding {
        cites: vec![section.to_owned()],
        ..broken(TLS_KEPT, subject, expected, vec![attempt.to_string()])
    })
}

/// Whether a name lies in a zone that the scenario has signed.
fn is_signed(drill: &DrillFacts<'_>, name: &Domain) -> bool {
    drill
        .scenario
        .world
        .dnssec
        .iter()
        .any(|apex| name.is_within(apex))
}

/// The policy that enforces something at a moment: the one fetched last, as long as it may be kept.
fn policy_in_force<'a>(drill: &DrillFacts<'a>, hop: &Domain, at: Moment) -> Option<&'a Policy> {
    // A policy that was fetched counts for its `max_age`, whatever is served by now (RFC 8461 section 5.1).
    let last = drill.dns.policy_fetched(&policy_host(hop), at)?;
    let served = |row: &&PolicyRow| {
        row.domain == *hop && row.from <= last && row.until.is_none_or(|until| last < until)
    };
    let row = drill.scenario.world.policies.iter().find(served)?;
    // One that is not valid counts as none (RFC 8461 section 3.3).
    let policy = row.policy.as_ref()?;
    (policy.mode == Mode::Enforce && at < last.after(policy.max_age)).then_some(policy)
}
