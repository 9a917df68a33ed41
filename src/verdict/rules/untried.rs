//! A command that ended, and had tried no host of a route that it had asked for.
//!
//! What a command does not deliver it may have left somewhere; one that looks exchangers up and ends without a
//! connection did not leave it to anybody. So it is held to be given up, but only where nothing of the drill could have
//! kept the command from its route: no query fails, nothing but the route
//! decides whether the message can be sent, and there is an IPv4 address that may be used.

use hickory_proto::rr::RecordType;

use super::{ROUTE_IS_TRIED, broken};
use crate::{
    fault::Failure,
    mail::Message,
    name::Domain,
    scenario::{Scenario, TlsPolicy},
    verdict::{
        Finding, SenderKind, Subject,
        facts::{DrillFacts, MessageFacts},
    },
};

/// The finding about a message that a command gave up so.
pub(super) fn check(drill: &DrillFacts<'_>, facts: &MessageFacts<'_>) -> Option<Finding> {
    let is_command = matches!(
        drill.sender_kind,
        SenderKind::Command | SenderKind::ClockedCommand
    );
    let mut faults = drill.scenario.world.faults.iter();
    let queries_fail = faults.any(|fault| matches!(fault.failure, Failure::Query { .. }));
    let was_tried = !facts.attempts.is_empty() || facts.reports.returned().is_some();
    let is_plain = may_be_sent_plainly(drill, facts.message) && !facts.message.require_tls;
    if !is_command || queries_fail || was_tried || !is_plain {
        return None;
    }
    let has_route = |hop: &Domain| {
        let places = drill.dns.places(hop, drill.last);
        let mut kept = places.kept();
        kept.any(|place| place.address.is_ipv4()) && !drill.dns.may_be_nowhere(hop, drill.last)
    };
    let asked = |hop: &Domain| drill.dns.asked(hop, RecordType::MX, drill.last);
    let hops = Scenario::next_hops(facts.message);
    let hop = hops.iter().find(|hop| asked(hop) && has_route(hop))?;
    Some(broken(
        ROUTE_IS_TRIED,
        Subject::of_message(&facts.message.id),
        format!("an attempt at a host of {hop}"),
        vec!["no attempt, and the command ended".to_owned()],
    ))
}

/// Whether nothing but its route decides whether a message can be sent: no wish for TLS that no host may meet,
/// no address that a host would have to be asked whether it takes (RFC 6531), no sign of a loop.
pub(super) fn may_be_sent_plainly(drill: &DrillFacts<'_>, message: &Message) -> bool {
    let mut mailboxes = message.to.iter().chain(&message.from);
    let tls = drill.scenario.sender.tls;
    matches!(tls, TlsPolicy::None | TlsPolicy::Opportunistic)
        && mailboxes.all(|mailbox| mailbox.text.is_ascii())
        && message.received == 0
}
