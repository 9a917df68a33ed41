//! Rules about what keeps mail from prying eyes: TLS where something demands it.
//!
//! A message that a host accepted is what counts: a session that broke off before has told nobody
//! anything. Where both a policy and TLSA records ask for TLS, DANE counts (RFC 8461 section 2).

use super::{TLS_KEPT, broken};
use crate::{
    mail::Message,
    mta_sts::{Mode, Policy},
    name::Domain,
    observe::Attempt,
    scenario::{PolicyRow, Scenario, TlsPolicy, policy_host},
    time::Moment,
    verdict::{
        Finding,
        case::{Case, Subject},
    },
};

/// The first transaction in which a message was accepted against a demand for TLS.
pub(in crate::verdict) fn check(case: &Case<'_>, subject: &Subject<'_>) -> Option<Finding> {
    let mut taken = subject
        .attempts
        .iter()
        .filter(|attempt| !attempt.taken.is_empty());
    taken.find_map(|attempt| unprotected(case, subject.message, attempt))
}

/// A message that went in plain text, or to a host that the policy does not list, against a demand.
fn unprotected(case: &Case<'_>, message: &Message, attempt: &Attempt) -> Option<Finding> {
    let hops = Scenario::next_hops(message);
    let hop = attempt.hop.as_ref().or(hops.first())?;
    let host = attempt.exchanger.as_ref().or(attempt.hosts.first())?;
    let tls = case.scenario.sender.tls;
    let by_dane = tls == TlsPolicy::Dane
        && is_signed(case, hop)
        && is_signed(case, host)
        && case.told.has_tlsa(host, attempt.at);
    let policy = match tls {
        TlsPolicy::MtaSts | TlsPolicy::Dane => policy_in_force(case, hop, attempt.at),
        _ => None,
    };
    let by_sts = !by_dane && policy.is_some();
    let demanded_by = if matches!(tls, TlsPolicy::Required | TlsPolicy::Verified) {
        "the sender's settings"
    } else if message.require_tls && message.from.is_some() {
        "REQUIRETLS"
    } else if by_dane {
        "TLSA records"
    } else if by_sts {
        "the MTA-STS policy"
    } else {
        return None;
    };
    let unlisted = by_sts && policy.is_some_and(|policy| !policy.lists(host));
    if attempt.tls && !unlisted {
        return None;
    }
    let expected = format!("TLS, and a host that may be used, as {demanded_by} ask");
    Some(broken(
        TLS_KEPT,
        Some(&message.id),
        expected,
        vec![attempt.to_string()],
    ))
}

/// Whether a name lies in a zone that the scenario has signed.
fn is_signed(case: &Case<'_>, name: &Domain) -> bool {
    case.scenario.dnssec.iter().any(|apex| name.is_within(apex))
}

/// The policy that enforces something at a moment: the one fetched last, as long as it may be kept.
fn policy_in_force<'a>(case: &Case<'a>, hop: &Domain, at: Moment) -> Option<&'a Policy> {
    let last = case.told.policy_fetched(&policy_host(hop), at)?;
    let served = |row: &&PolicyRow| {
        row.domain == *hop && row.from <= last && row.until.is_none_or(|until| last < until)
    };
    let row = case.scenario.policies.iter().find(served)?;
    // One that is not valid counts as none (RFC 8461 section 3.3).
    let policy = row.policy.as_ref()?;
    (policy.mode == Mode::Enforce && at < last.after(policy.max_age)).then_some(policy)
}
