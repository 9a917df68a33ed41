//! Rows of a scenario that can do nothing, found without running it: what `mxdrill check` notes.
//!
//! A fault for a recipient to whom nothing is sent, a fault of a query that nobody has a reason for, an
//! exchanger without an address in the drill: each may be meant, and is more often a slip.
//!
//! What is looked at is what the scenario says, at any of its times: records of each zone, messages of any moment. So
//! a note may be missing where it would be right (a fault over before the first message), and is not made where the
//! row can do something.

use std::collections::BTreeSet;

use hickory_proto::rr::{RData, Record, RecordType};

use super::Scenario;
use crate::diagnostic::{did_you_mean, nearest};
use crate::{
    fault::{Failure, is_like},
    name::Domain,
    zone::{address_of, text::nearest_name},
};

/// Octets that a message may have without a size of its own, its header included.
const SHORT: usize = 1000;

// Notes, not mistakes: a drill may want a name that does not resolve, or a fault as a trap.
impl Scenario {
    /// The rows that can do nothing, a sentence each, with the nearest name where a slip is likely.
    pub fn idle_rows(&self) -> Vec<String> {
        let mut notes = self.exchangers_without_address();
        notes.extend(self.limits_out_of_reach());
        let recipients: BTreeSet<&str> = self
            .messages
            .iter()
            .flat_map(|message| message.to.iter().map(|to| &*to.text))
            .collect();
        let from = self
            .messages
            .iter()
            .filter_map(|message| message.from.as_ref());
        let mut senders: BTreeSet<&str> = from.map(|from| &*from.text).collect();
        // Notifications have the null reverse-path, and a fault may be about them.
        senders.insert("");
        let largest = self
            .messages
            .iter()
            .filter_map(|message| message.size)
            .max();
        let largest = largest.unwrap_or(0);
        // A million records have several million names with them: they are gathered where a row is about one.
        let mut failures = self.world.faults.iter().map(|fault| &fault.failure);
        let asked = match failures.any(|failure| matches!(failure, Failure::Query { .. })) {
            true => self.names_of_the_drill(),
            false => BTreeSet::new(),
        };
        let names: Vec<Domain> = asked.iter().cloned().collect();
        for fault in &self.world.faults {
            match &fault.failure {
                Failure::Session {
                    recipient: Some(recipient),
                    ..
                } if !recipients.iter().any(|to| is_like(recipient, to)) => {
                    let hint = did_you_mean(nearest(recipient, recipients.iter().copied()));
                    notes.push(format!(
                        "the fault \"{fault}\" can never apply: nothing is sent to {recipient}{hint}"
                    ));
                }
                Failure::Query { name, .. } if !asked.contains(name) => {
                    let hint = did_you_mean(nearest_name(name, &names).as_deref());
                    notes.push(format!(
                        "the fault \"{fault}\" may never apply: no message of the drill leads to {name}{hint}"
                    ));
                }
                // Notifications have the null reverse-path.
                Failure::Session {
                    sender: Some(sender),
                    ..
                } if !senders.iter().any(|from| is_like(sender, from)) => {
                    let hint = did_you_mean(nearest(sender, senders.iter().copied()));
                    notes.push(format!(
                        "the fault \"{fault}\" can never apply: nothing is sent from {sender}{hint}"
                    ));
                }
                Failure::Session {
                    larger_than: Some(octets),
                    ..
                // Without a size a message is short, and still has its header.
                } if *octets >= largest && *octets >= SHORT => {
                    notes.push(format!(
                        "the fault \"{fault}\" may never apply: no message has a size over {octets}"
                    ));
                }
                Failure::Session { .. } | Failure::Query { .. } => {}
            }
        }
        notes
    }

    /// Limits of receivers that the drill's messages do not come to.
    fn limits_out_of_reach(&self) -> Vec<String> {
        let largest = self.messages.iter().map(|message| message.to.len()).max();
        let largest = largest.unwrap_or(0);
        let messages = self.messages.len();
        // Where a transaction may be too small for a message, it takes several.
        let mut rows = self.world.receivers.iter();
        let in_parts = rows.any(|row| row.limits.max_recipients.is_some());
        let transactions = if in_parts { usize::MAX } else { messages };
        let mut notes = Vec::new();
        for row in &self.world.receivers {
            let of = match &row.host {
                Some(host) => host.to_string(),
                None => "all receivers".to_owned(),
            };
            let limits = &row.limits;
            let limits = [
                ("max_sessions", &limits.max_sessions, messages, "messages"),
                (
                    "max_messages",
                    &limits.max_messages,
                    transactions,
                    "messages",
                ),
                (
                    "max_recipients",
                    &limits.max_recipients,
                    largest,
                    "recipients of one message",
                ),
            ];
            for (key, limit, most, what) in limits {
                if let Some(limit) = limit.as_ref().filter(|limit| limit.most >= most) {
                    notes.push(format!(
                        "the limit {key} = {} of {of} may never apply: there are {most} {what}",
                        limit.most
                    ));
                }
            }
        }
        notes
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.world.zones.zones().flat_map(|zone| zone.records())
    }

    /// Exchangers that no zone of the drill gives an address.
    fn exchangers_without_address(&self) -> Vec<String> {
        let targets: BTreeSet<Domain> = self
            .records()
            .filter_map(|record| match &record.data {
                RData::MX(mx) => Some(Domain::from(&mx.exchange)),
                _ => None,
            })
            .filter(|target| !target.is_root() && !self.owns_an_address(target))
            .collect();
        targets
            .iter()
            .filter_map(|target| self.leads_nowhere(target))
            .collect()
    }

    /// Whether a name has an address by itself, as most exchangers have.
    fn owns_an_address(&self, name: &Domain) -> bool {
        let mut zones = self.world.zones.zones();
        zones.any(|zone| {
            let mut records = zone.owned_by(name);
            records.any(|record| address_of(&record.data).is_some())
        })
    }

    /// What keeps mail from an exchanger that never has an address; `None` if it has one at some
    /// time.
    fn leads_nowhere(&self, exchanger: &Domain) -> Option<String> {
        let mut alias_of = None;
        for zone in self.world.zones.zones() {
            for record_type in [RecordType::A, RecordType::AAAA] {
                for record in zone.answer(exchanger, record_type).records {
                    match &record.data {
                        RData::CNAME(target) => alias_of = Some(Domain::from(&target.0)),
                        data if address_of(data).is_some() => return None,
                        _ => {}
                    }
                }
            }
        }
        let alias = alias_of.map_or(String::new(), |name| {
            format!("is an alias of {name}, which ")
        });
        Some(format!(
            "the exchanger {exchanger} {alias}has no address in the drill: no host answers for it"
        ))
    }

    /// Names that a sender of the drill may ask for: those of its messages, whatever its records name, and
    /// the names that go with each for TLS.
    fn names_of_the_drill(&self) -> BTreeSet<Domain> {
        let mut names: BTreeSet<Domain> = self
            .records()
            .map(|record| Domain::from(&record.name))
            .collect();
        for message in &self.messages {
            names.extend(message.to.iter().map(|to| to.domain.clone()));
            names.extend(message.from.iter().map(|from| from.domain.clone()));
        }
        for record in self.records() {
            match &record.data {
                RData::MX(mx) => drop(names.insert(Domain::from(&mx.exchange))),
                RData::CNAME(target) => drop(names.insert(Domain::from(&target.0))),
                _ => {}
            }
        }
        let more = ["_25._tcp", "_mta-sts", "mta-sts"];
        // TLSA records of an exchanger (RFC 7672 section 3), the record and the web server of a policy (RFC 8461
        // section 3).
        let further: Vec<Domain> = names
            .iter()
            .flat_map(|name| more.map(|labels| name.prefixed(labels)))
            .collect();
        names.extend(further);
        names
    }
}
